//! The ureq agents, and the exchange that is under way on a thread.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use ureq::http::HeaderValue;
use ureq::http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE};
use ureq::unversioned::transport::{
    ConnectProxyConnector, ConnectionDetails, Connector, Either, Transport,
};
use ureq::{Agent, Body, Proxy, ProxyProtocol};

use super::Method;
use super::buffers::INPUT_BUFFER;
use super::resolver::CachingResolver;
use super::response::reason;
use super::socket::{CLOSED_BY_PEER, SocketConnector};
use super::tls::{self, TlsConnector};
use crate::call::{CallContext, StopReason};
use crate::config::{Config, is_loopback};
use crate::error::{Error, ErrorKind, Result};
use crate::fork::InUse;
use crate::secret::{SecretBuffer, Zeroizing};

/// How long a socket waits at a time when nobody can cancel: long enough that its timeout is set
/// once a connection, short enough to notice that the machine slept through a deadline.
const SLICE: Duration = Duration::from_secs(1);
/// Connections kept idle per host; more threads than this open more.
const MAX_IDLE_PER_HOST: usize = 8;
const MAX_IDLE_TOTAL: usize = 32;
/// How long an idle connection is kept; load balancers drop theirs after a minute or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// The most bytes that the headers of an answer may have; they have to fit into the input buffer.
const MAX_HEADER_BYTES: usize = INPUT_BUFFER * 3 / 4;

/// Two agents over one set of settings, for one process.
pub(super) struct Agents {
    settings: Settings,
    /// Keeps connections for the next request.
    pooled: Agent,
    /// Opens a connection for each request, for what must not ride on one that may be dead.
    fresh: Agent,
    resolver: CachingResolver,
}

/// What agents are made from.
#[derive(Clone)]
struct Settings {
    tls: Arc<ClientConfig>,
    proxy: Option<Proxy>,
    /// What names the proxy: a setting or a variable.
    proxy_source: &'static str,
    user_agent: String,
}

impl Agents {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let (proxy, proxy_source) = proxy(config)?.unzip();
        Ok(Agents::with(Settings {
            tls: tls::client_config(config)?,
            proxy,
            proxy_source: proxy_source.unwrap_or(PROXY_SETTING),
            user_agent: config.user_agent().to_owned(),
        }))
    }

    /// The same for a forked child, which shares neither sockets nor TLS sessions with its parent.
    pub(super) fn inherited(&self) -> Self {
        Agents::with(Settings {
            tls: tls::without_sessions(&self.settings.tls),
            ..self.settings.clone()
        })
    }

    fn with(settings: Settings) -> Self {
        let resolver = CachingResolver::default();
        let agent = |idle_per_host, idle| {
            let config = ureq::config::Config::builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .proxy(settings.proxy.clone())
                .user_agent(&settings.user_agent)
                .max_response_header_size(MAX_HEADER_BYTES)
                .max_idle_connections_per_host(idle_per_host)
                .max_idle_connections(idle)
                .max_idle_age(IDLE_TIMEOUT)
                .build();
            let tls = TlsConnector {
                config: settings.tls.clone(),
            };
            let tunnel = TunnelConnector {
                connector: ConnectProxyConnector::default(),
                source: settings.proxy_source,
            };
            let sockets = SocketConnector {
                resolver: resolver.clone(),
            };
            let connector = ().chain(Begin).chain(tunnel).chain(sockets).chain(tls);
            Agent::with_parts(config, connector, resolver.clone())
        };
        Agents {
            pooled: agent(MAX_IDLE_PER_HOST, MAX_IDLE_TOTAL),
            fresh: agent(0, 0),
            settings,
            resolver,
        }
    }

    /// Sends a request and reads the answer's head. `encoding` is the value of `Accept-Encoding`.
    pub(super) fn send(
        &self,
        method: Method,
        url: &str,
        authorization: Option<&HeaderValue>,
        body: Option<(&str, &[u8])>,
        encoding: &'static str,
        fresh: bool,
    ) -> Result<ureq::http::Response<Body>, ureq::Error> {
        let agent = if fresh { &self.fresh } else { &self.pooled };
        let mut request = ureq::http::Request::builder()
            .method(method.as_str())
            .uri(url)
            .header(
                ACCEPT,
                HeaderValue::from_static("application/json, text/csv, */*;q=0.1"),
            )
            .header(ACCEPT_ENCODING, HeaderValue::from_static(encoding));
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        match body {
            Some((content_type, body)) => {
                let request = request.header(CONTENT_TYPE, content_type).body(body)?;
                agent.run(request)
            }
            // Some gateways answer 411 to a POST or PUT that announces no length.
            None if matches!(method, Method::Post | Method::Put | Method::Patch) => {
                agent.run(request.body(&[][..])?)
            }
            None => agent.run(request.body(())?),
        }
    }

    /// Looks names up again, since an address did not answer.
    pub(super) fn clear_dns_cache(&self) {
        self.resolver.clear();
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents").finish_non_exhaustive()
    }
}

/// How the proxy of the configuration is called in error messages.
const PROXY_SETTING: &str = "`proxy`";

/// The proxy of the configuration, else of the environment, and what names it; SOCKS is refused
/// rather than ignored.
fn proxy(config: &Config) -> Result<Option<(Proxy, &'static str)>> {
    let proxy = match config.proxy() {
        Some(address) => Some((parsed_proxy(PROXY_SETTING, address)?, PROXY_SETTING)),
        None => proxy_from(|name| std::env::var(name).ok())?,
    };
    if let Some((proxy, _)) = &proxy
        && !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https)
    {
        return Err(Error::config(format!(
            "the proxy {}:{} speaks SOCKS; only HTTP proxies (CONNECT) are supported",
            proxy.host(),
            proxy.port(),
        )));
    }
    Ok(proxy)
}

/// The proxy that a set of variables names for `https`, and what goes past it. `HTTP_PROXY` is for
/// plain HTTP, which never leaves this machine here.
fn proxy_from(read: impl Fn(&str) -> Option<String>) -> Result<Option<(Proxy, &'static str)>> {
    let read = |name: &str| read(name).filter(|value| !value.trim().is_empty());
    let first = |names: &[&'static str]| {
        let found = names.iter().find_map(|name| Some((*name, read(name)?)));
        found.map(|(name, value)| (name, value.trim().to_owned()))
    };
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let Some((name, address)) = first(&names) else {
        return Ok(None);
    };
    let proxy = parsed_proxy(&format!("the variable {name}"), &address)?;
    let mut builder = Proxy::builder(proxy.protocol())
        .host(proxy.host())
        .port(proxy.port());
    if let Some(username) = proxy.username() {
        builder = builder.username(username);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    let (_, past) = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    for host in past.split(',').map(str::trim) {
        builder = builder.no_proxy(host);
        // A name stands for all names below it as well, as it does for curl and its like.
        if host.starts_with(char::is_alphanumeric) {
            builder = builder.no_proxy(&format!(".{host}"));
        }
    }
    builder
        .build()
        .map(|proxy| Some((proxy, name)))
        .map_err(|_| no_proxy_address(&format!("the variable {name}")))
}

fn parsed_proxy(setting: &str, address: &str) -> Result<Proxy> {
    Proxy::new(address).map_err(|_| no_proxy_address(setting))
}

/// Never quotes the address, which may have a password in it.
fn no_proxy_address(setting: &str) -> Error {
    Error::config(format!(
        "{setting} is no address of an HTTP proxy, such as http://proxy:3128"
    ))
}

/// What went wrong in ureq, as a kind and a text without secrets.
pub(super) fn explain(error: &ureq::Error) -> (ErrorKind, String) {
    match error {
        ureq::Error::LargeResponseHeader(_, most) => (
            ErrorKind::Network,
            format!("its headers have more than {most} bytes"),
        ),
        ureq::Error::HostNotFound => (ErrorKind::Network, "no such host".to_owned()),
        ureq::Error::BadUri(text) => (ErrorKind::Config, format!("bad address: {text}")),
        ureq::Error::Http(_) => (
            ErrorKind::InvalidArgument,
            "not valid in an HTTP header".to_owned(),
        ),
        ureq::Error::Io(error) => (ErrorKind::Network, explain_io(error)),
        ureq::Error::Other(other) if other.is::<ConnectError>() => {
            (ErrorKind::Network, other.to_string())
        }
        error => (ErrorKind::Network, error.to_string()),
    }
}

/// The same for a connection.
pub(super) fn explain_io(error: &io::Error) -> String {
    match (error.kind(), tls_error(error)) {
        (_, Some(error)) => tls::explain(error),
        (io::ErrorKind::UnexpectedEof, _) => CLOSED_BY_PEER.to_owned(),
        _ => error.to_string(),
    }
}

/// Describes why there is no connection to `target`: the proxy, where it is at fault.
pub(super) fn explain_connect(target: &str, error: &ureq::Error) -> String {
    explain_proxy(target, error)
        .unwrap_or_else(|| format!("cannot connect to {target}: {}", explain(error).1))
}

/// Describes how the proxy failed; `None` where it did not.
pub(super) fn explain_proxy(target: &str, error: &ureq::Error) -> Option<String> {
    match connect_error(error) {
        Some(ConnectError::Proxy(failure)) => Some(failure.explain(target)),
        _ => None,
    }
}

/// Whether the same is bound to happen the next time: one end does not trust the other, they have no
/// version of TLS in common, or the proxy rejects the connection.
pub(super) fn is_permanent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => tls_error(error).is_some_and(tls::is_permanent),
        error => match connect_error(error) {
            Some(ConnectError::Proxy(failure)) => failure.is_permanent(),
            Some(ConnectError::NotLoopback(_)) => true,
            None => false,
        },
    }
}

/// Why a connection is not made, as far as ureq has no error for it.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// This name of the local machine resolves to other machines.
    NotLoopback(String),
    Proxy(ProxyFailure),
}

/// How a proxy failed. Knows neither its user name nor its password.
#[derive(Debug)]
pub(super) struct ProxyFailure {
    /// The URL of the proxy.
    proxy: String,
    /// What names the proxy: a setting or a variable.
    source: &'static str,
    /// The status that it responded with, if it did.
    status: Option<u16>,
    error: Box<ureq::Error>,
}

impl ProxyFailure {
    fn new(proxy: &Proxy, source: &'static str, error: ureq::Error) -> Self {
        let status = match &error {
            // The only place where ureq has the status: "proxy server responded 407/407".
            ureq::Error::ConnectProxyFailed(text) => text
                .split(|c: char| !c.is_ascii_digit())
                .find_map(|number| number.parse().ok()),
            _ => None,
        };
        ProxyFailure {
            proxy: format!(
                "{}://{}:{}",
                proxy.protocol().to_string().to_ascii_lowercase(),
                proxy.host(),
                proxy.port()
            ),
            source,
            status,
            error: Box::new(error),
        }
    }

    fn explain(&self, target: &str) -> String {
        let ProxyFailure {
            proxy,
            source,
            status,
            error,
        } = self;
        match status {
            Some(407) => format!(
                "the proxy {proxy} requires authentication (HTTP 407): check the user name and \
                 password in {source}"
            ),
            Some(403) => format!(
                "the proxy {proxy} does not allow connections to {target} (HTTP 403): check its \
                 access rules, or exclude the host with NO_PROXY"
            ),
            Some(status @ (500 | 502..=504)) => format!(
                "the proxy {proxy} cannot connect to {target} (HTTP {status}: {})",
                reason(*status)
            ),
            Some(status) => format!(
                "the proxy {proxy} rejected the connection to {target} (HTTP {status}: {}): check \
                 that {source} names an HTTP proxy that supports CONNECT",
                reason(*status)
            ),
            None => {
                let problem = match &**error {
                    ureq::Error::ConnectProxyFailed(_) => CLOSED_BY_PEER.to_owned(),
                    error => explain(error).1,
                };
                format!("cannot connect to the proxy {proxy}: {problem}; check {source}")
            }
        }
    }

    fn is_permanent(&self) -> bool {
        match self.status {
            Some(408 | 425 | 429 | 500 | 502..=504) => false,
            Some(_) => true,
            None => is_permanent(&self.error),
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectError::NotLoopback(host) => write!(
                f,
                "`{host}` does not resolve to a loopback address of this machine, and http:// is \
                 allowed to those only; check the hosts file or use https://"
            ),
            ConnectError::Proxy(failure) => f.write_str(&failure.explain("the server")),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<ConnectError> for ureq::Error {
    fn from(error: ConnectError) -> Self {
        ureq::Error::Other(Box::new(error))
    }
}

fn connect_error(error: &ureq::Error) -> Option<&ConnectError> {
    match error {
        ureq::Error::Other(other) => other.downcast_ref(),
        _ => None,
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

thread_local! {
    static CURRENT_EXCHANGE: RefCell<Option<Rc<Progress>>> = const { RefCell::new(None) };
}

/// One request and its answer on this thread.
///
/// ureq keeps connections across calls and does its work on the calling thread, so the call that a
/// socket serves at the moment is found by thread rather than by argument.
#[derive(Debug)]
pub(super) struct Exchange {
    progress: Rc<Progress>,
    /// The exchange around this one: a callback of a call may make a call of its own.
    outer: Option<Rc<Progress>>,
    _agents: InUse,
}

#[derive(Debug)]
struct Progress {
    call: CallContext,
    stopped: Cell<Option<StopReason>>,
    /// Connections being set up, one inside the other where there is a proxy.
    connecting: Cell<u32>,
    /// Whether the bytes written now belong to the request.
    sending: Cell<bool>,
    sent: Cell<bool>,
    written: Cell<u64>,
    received: Cell<u64>,
    /// Reads under way, one inside the other where TLS runs through a proxy's tunnel.
    reading: Cell<u32>,
    /// The response as it arrived, if it is captured.
    captured: RefCell<Option<Capture>>,
}

/// The bytes of a response as they arrived, its head included.
#[derive(Debug, Default)]
struct Capture {
    bytes: SecretBuffer,
    /// Bytes that are captured at most.
    limit: usize,
}

impl Exchange {
    /// Begins an exchange on this thread; it is over when the value is dropped.
    pub(super) fn enter(call: &CallContext) -> Exchange {
        let progress = Rc::new(Progress {
            call: call.clone(),
            stopped: Cell::new(None),
            connecting: Cell::new(0),
            sending: Cell::new(false),
            sent: Cell::new(false),
            written: Cell::new(0),
            received: Cell::new(0),
            reading: Cell::new(0),
            captured: RefCell::default(),
        });
        let outer = CURRENT_EXCHANGE.replace(Some(progress.clone()));
        Exchange {
            progress,
            outer,
            _agents: InUse::begin(),
        }
    }

    /// Captures the response, for the case that it cannot be read: at most `limit` bytes of it.
    pub(super) fn capture(&self, limit: u64) {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.progress.captured.replace(Some(Capture {
            bytes: SecretBuffer::default(),
            limit: limit.saturating_add(MAX_HEADER_BYTES),
        }));
    }

    /// Returns what arrived of the response, its head included; `None` if nothing was captured.
    pub(super) fn captured(&self) -> Option<Zeroizing<Vec<u8>>> {
        let capture = self.progress.captured.take()?;
        Some(capture.bytes.into_bytes()).filter(|bytes| !bytes.is_empty())
    }

    /// Reads from a connection into ureq's buffer, and captures what is captured.
    pub(super) fn receive(
        buffer: &mut [u8],
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let change = |by: i32| {
            Exchange::current(|progress| {
                let reading = progress.reading.get().saturating_add_signed(by);
                progress.reading.set(reading);
                reading
            })
        };
        change(1);
        let result = read(buffer);
        let reading = change(-1);
        // What a tunnel reads is the ciphertext of the connection inside it.
        if let (Ok(amount), Some(0)) = (&result, reading) {
            Exchange::current(|progress| {
                if progress.connecting.get() == 0
                    && let Some(capture) = &mut *progress.captured.borrow_mut()
                {
                    let room = capture.limit.saturating_sub(capture.bytes.len());
                    capture.bytes.extend(&buffer[..room.min(*amount)]);
                }
            });
        }
        result
    }

    /// Whether a byte of the request itself was sent; establishing a connection does not count.
    pub(super) fn sent(&self) -> bool {
        self.progress.sent.get()
    }

    /// Whether, and why, the exchange was ended from our side.
    pub(super) fn stopped(&self) -> Option<StopReason> {
        self.progress.stopped.get()
    }

    pub(super) fn written(&self) -> u64 {
        self.progress.written.get()
    }

    pub(super) fn received(&self) -> u64 {
        self.progress.received.get()
    }

    fn current<T>(look: impl FnOnce(&Progress) -> T) -> Option<T> {
        // Not borrowed while looking: the call may ask its caller, who may begin an exchange.
        let under_way = CURRENT_EXCHANGE.with_borrow(Clone::clone);
        under_way.as_deref().map(look)
    }

    /// How long a wait on this thread may take at once; fails where the call has to end.
    pub(super) fn next_wait() -> io::Result<Duration> {
        // Without an exchange there is nobody to wait for: only a pool that closes a connection.
        Exchange::current(|progress| {
            progress.call.next_wait(SLICE).map_err(|stop| {
                progress.stopped.set(Some(stop));
                io::Error::new(io::ErrorKind::TimedOut, "the call ended")
            })
        })
        .unwrap_or(Ok(SLICE))
    }

    pub(super) fn is_stopped() -> bool {
        Exchange::current(|progress| progress.stopped.get().is_some()).unwrap_or(false)
    }

    /// A connection has been set up.
    pub(super) fn connected() {
        Exchange::current(|progress| {
            progress
                .connecting
                .set(progress.connecting.get().saturating_sub(1));
        });
    }

    /// The next bytes belong to the request, unless a connection is still being set up.
    pub(super) fn begin_to_send() {
        Exchange::current(|progress| {
            if progress.connecting.get() == 0 {
                progress.sending.set(true);
            }
        });
    }

    pub(super) fn count_written(bytes: usize) {
        Exchange::current(|progress| {
            progress.written.set(progress.written.get() + bytes as u64);
            if progress.sending.get() && bytes > 0 {
                progress.sent.set(true);
            }
        });
    }

    pub(super) fn count_received(bytes: usize) {
        Exchange::current(|progress| {
            progress
                .received
                .set(progress.received.get() + bytes as u64)
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        CURRENT_EXCHANGE.set(self.outer.take());
    }
}

/// First of the chain: notes that a connection is being set up.
#[derive(Debug)]
struct Begin;

impl Connector<()> for Begin {
    type Out = ();

    fn connect(&self, _: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<()>, ureq::Error> {
        Exchange::current(|progress| progress.connecting.set(progress.connecting.get() + 1));
        Ok(None)
    }
}

/// A tunnel through the proxy, but never to this machine itself: plain HTTP is allowed there, and a
/// proxy would carry it off the machine.
#[derive(Debug)]
struct TunnelConnector {
    connector: ConnectProxyConnector,
    /// What names the proxy: a setting or a variable.
    source: &'static str,
}

impl Connector<()> for TunnelConnector {
    type Out = Either<(), Box<dyn Transport>>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        if details.uri.host().is_some_and(is_loopback) {
            return Ok(None);
        }
        match (
            self.connector.connect(details, chained),
            details.config.proxy(),
        ) {
            (Err(error), Some(proxy)) if !Exchange::is_stopped() => {
                let failure = ProxyFailure::new(proxy, self.source, error);
                Err(ConnectError::Proxy(failure).into())
            }
            (result, _) => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Option<Proxy>> {
        proxy_from(|name| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        })
        .map(|found| found.map(|(proxy, _)| proxy))
    }

    #[test]
    fn the_proxy_for_https_comes_before_the_one_for_all() {
        for (variables, host) in [
            (
                &[
                    ("ALL_PROXY", "socks5://socks"),
                    ("https_proxy", "http://a:1"),
                ][..],
                Some("a"),
            ),
            (&[("HTTPS_PROXY", " "), ("all_proxy", "b:2")], Some("b")),
            (&[("HTTP_PROXY", "http://plain")], None),
            (&[("NO_PROXY", "*")], None),
            (&[], None),
        ] {
            let proxy = found(variables).unwrap();
            assert_eq!(proxy.as_ref().map(Proxy::host), host, "{variables:?}");
        }
    }

    #[test]
    fn credentials_of_the_proxy_survive() {
        let proxy = found(&[("HTTPS_PROXY", "http://us%40er:p%3Aw@proxy:3128")]);
        let proxy = proxy.unwrap().unwrap();
        assert_eq!(
            (proxy.username(), proxy.password()),
            (Some("us@er"), Some("p:w"))
        );
        assert_eq!((proxy.host(), proxy.port()), ("proxy", 3128));
    }

    #[test]
    fn a_bad_variable_is_named_and_not_quoted() {
        let error = found(&[("HTTPS_PROXY", "ftp://user:hunter2@proxy")]).unwrap_err();
        assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn what_goes_past_the_proxy() {
        let past = "localhost, example.com,.internal , *.wild,10.0.0.1";
        let proxy = found(&[("HTTPS_PROXY", "proxy"), ("no_proxy", past)]);
        let proxy = proxy.unwrap().unwrap();
        for (host, expected) in [
            ("example.com", true),
            ("EXAMPLE.com", true),
            ("api.example.com", true),
            ("notexample.com", false),
            ("a.internal", true),
            ("a.wild", true),
            ("10.0.0.1", true),
            ("10.0.0.11", false),
            ("camunda.io", false),
        ] {
            let uri = format!("https://{host}/").parse().unwrap();
            assert_eq!(proxy.is_no_proxy(&uri), expected, "{host}");
        }
    }
}
