//! ureq agents, and the state of the HTTP exchange that a thread currently runs.

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

/// Maximum duration of one socket wait if the call cannot be cancelled: long enough that the socket
/// timeout is set once per connection, short enough to notice a deadline that passed while the machine
/// was suspended.
const SLICE: Duration = Duration::from_secs(1);
/// Maximum number of idle connections per host. More threads can have more connections in use.
const MAX_IDLE_PER_HOST: usize = 8;
/// Maximum number of idle connections to all hosts.
const MAX_IDLE_TOTAL: usize = 32;
/// Maximum age of an idle connection; load balancers close idle connections after 60 s or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of the headers of a response, in bytes. They must fit into the input buffer.
const MAX_HEADER_BYTES: usize = INPUT_BUFFER * 3 / 4;

/// The two ureq agents of a client, for one process.
pub(super) struct Agents {
    settings: Settings,
    /// Reuses idle connections.
    pooled: Agent,
    /// Opens a connection for each request: for non-idempotent and token requests, which are not
    /// retried if an idle connection turns out to be closed.
    fresh: Agent,
    resolver: CachingResolver,
}

/// Settings of the agents.
#[derive(Clone)]
struct Settings {
    tls: Arc<ClientConfig>,
    proxy: Option<Proxy>,
    /// The setting or environment variable that names the proxy.
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

    /// Returns agents with the same settings for a forked child, which must not share sockets or TLS
    /// sessions with its parent.
    pub(super) fn clone_for_child(&self) -> Self {
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
            let connector = ().chain(ConnectStart).chain(tunnel).chain(sockets).chain(tls);
            Agent::with_parts(config, connector, resolver.clone())
        };
        Agents {
            pooled: agent(MAX_IDLE_PER_HOST, MAX_IDLE_TOTAL),
            fresh: agent(0, 0),
            settings,
            resolver,
        }
    }

    /// Sends a request and reads the head of the response. `encoding`: value of `Accept-Encoding`.
    /// `fresh`: use a new connection.
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
            // Some gateways respond with 411 to a POST or PUT without `Content-Length`.
            None if matches!(method, Method::Post | Method::Put | Method::Patch) => {
                agent.run(request.body(&[][..])?)
            }
            None => agent.run(request.body(())?),
        }
    }

    /// Removes all addresses from the DNS cache, so that the next connection resolves names again.
    pub(super) fn clear_dns_cache(&self) {
        self.resolver.clear();
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents").finish_non_exhaustive()
    }
}

/// The name of the configured proxy in error messages.
const PROXY_SETTING: &str = "`proxy`";

/// Returns the configured proxy, else the proxy of the environment, and the setting or variable that
/// names it. A SOCKS proxy is an error.
fn proxy(config: &Config) -> Result<Option<(Proxy, &'static str)>> {
    let proxy = match config.proxy() {
        Some(url) => Some((parse_proxy(PROXY_SETTING, url)?, PROXY_SETTING)),
        None => proxy_from(|name| std::env::var(name).ok())?,
    };
    if let Some((proxy, _)) = &proxy
        && !matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https)
    {
        return Err(Error::config(format!(
            "the proxy {}:{} is a SOCKS proxy; only HTTP proxies (CONNECT) are supported",
            proxy.host(),
            proxy.port(),
        )));
    }
    Ok(proxy)
}

/// Reads the proxy for `https` and its exceptions (`NO_PROXY`) from environment variables. Ignores
/// `HTTP_PROXY`, because unencrypted requests are sent to loopback addresses only.
fn proxy_from(read: impl Fn(&str) -> Option<String>) -> Result<Option<(Proxy, &'static str)>> {
    let read = |name: &str| read(name).filter(|value| !value.trim().is_empty());
    let first = |names: &[&'static str]| {
        let found = names.iter().find_map(|name| Some((*name, read(name)?)));
        found.map(|(name, value)| (name, value.trim().to_owned()))
    };
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let Some((name, url)) = first(&names) else {
        return Ok(None);
    };
    let proxy = parse_proxy(&format!("the variable {name}"), &url)?;
    let mut builder = Proxy::builder(proxy.protocol())
        .host(proxy.host())
        .port(proxy.port());
    if let Some(username) = proxy.username() {
        builder = builder.username(username);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    let (_, excluded) = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    for host in excluded.split(',').map(str::trim) {
        builder = builder.no_proxy(host);
        // As in curl, a name also excludes its subdomains.
        if host.starts_with(char::is_alphanumeric) {
            builder = builder.no_proxy(&format!(".{host}"));
        }
    }
    builder
        .build()
        .map(|proxy| Some((proxy, name)))
        .map_err(|_| invalid_proxy_url(&format!("the variable {name}")))
}

fn parse_proxy(setting: &str, url: &str) -> Result<Proxy> {
    Proxy::new(url).map_err(|_| invalid_proxy_url(setting))
}

/// Does not quote the URL, which can contain a password.
fn invalid_proxy_url(setting: &str) -> Error {
    Error::config(format!(
        "{setting} is not a valid URL of an HTTP proxy; expected for example http://proxy:3128"
    ))
}

/// Returns the kind of an error of ureq and its description, which contains no secrets.
pub(super) fn describe(error: &ureq::Error) -> (ErrorKind, String) {
    match error {
        ureq::Error::LargeResponseHeader(_, limit) => (
            ErrorKind::Network,
            format!("its headers exceed {limit} bytes"),
        ),
        ureq::Error::HostNotFound => (ErrorKind::Network, "host not found".to_owned()),
        ureq::Error::BadUri(text) => (ErrorKind::Config, format!("invalid URL: {text}")),
        ureq::Error::Http(_) => (
            ErrorKind::InvalidArgument,
            "not valid in an HTTP header".to_owned(),
        ),
        ureq::Error::Io(error) => (ErrorKind::Network, describe_io(error)),
        ureq::Error::Other(other) if other.is::<ConnectError>() => {
            (ErrorKind::Network, other.to_string())
        }
        error => (ErrorKind::Network, error.to_string()),
    }
}

/// Returns the description of an I/O error of a connection, which contains no secrets.
pub(super) fn describe_io(error: &io::Error) -> String {
    match (error.kind(), tls_error(error)) {
        (_, Some(error)) => tls::describe(error),
        (io::ErrorKind::UnexpectedEof, _) => CLOSED_BY_PEER.to_owned(),
        _ => error.to_string(),
    }
}

/// Returns why there is no connection to `target`, or to the proxy before it.
pub(super) fn describe_connect_error(target: &str, error: &ureq::Error) -> String {
    describe_proxy_error(target, error)
        .unwrap_or_else(|| format!("cannot connect to {target}: {}", describe(error).1))
}

/// Returns the description of a proxy's failure, or `None` if `error` is of another kind.
pub(super) fn describe_proxy_error(target: &str, error: &ureq::Error) -> Option<String> {
    match connect_error(error) {
        Some(ConnectError::Proxy(failure)) => Some(failure.describe(target)),
        _ => None,
    }
}

/// Returns whether a retry would fail in the same way: the certificate is not trusted, both ends have
/// no TLS version in common, or the proxy rejects the connection.
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

/// A failure to connect for which ureq has no error of its own.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// This name of the local machine does not resolve to a loopback address.
    NotLoopback(String),
    Proxy(ProxyFailure),
}

/// A failure of the proxy. Contains neither its user name nor its password.
#[derive(Debug)]
pub(super) struct ProxyFailure {
    /// The URL of the proxy.
    proxy: String,
    /// The setting or environment variable that names the proxy.
    source: &'static str,
    /// The HTTP status of its response, if there was one.
    status: Option<u16>,
    error: Box<ureq::Error>,
}

impl ProxyFailure {
    fn new(proxy: &Proxy, source: &'static str, error: ureq::Error) -> Self {
        let status = match &error {
            // ureq has the status only in this text, for example "proxy server responded 407/407".
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

    fn describe(&self, target: &str) -> String {
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
                    error => describe(error).1,
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
            ConnectError::Proxy(failure) => f.write_str(&failure.describe("the server")),
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
    static CURRENT_EXCHANGE: RefCell<Option<Rc<ExchangeState>>> = const { RefCell::new(None) };
}

/// Guard of one HTTP exchange (request and response) on this thread; ends the exchange when dropped.
///
/// A connection of ureq outlives a call, so a socket finds the call that it currently serves in a
/// thread-local variable. ureq runs a request on the thread that sends it.
#[derive(Debug)]
pub(super) struct ExchangeGuard {
    state: Rc<ExchangeState>,
    /// The exchange that this one interrupts: a callback of a call can make another call.
    outer: Option<Rc<ExchangeState>>,
    _agents: InUse,
}

/// State of an exchange.
#[derive(Debug)]
struct ExchangeState {
    call: CallContext,
    stopped: Cell<Option<StopReason>>,
    /// Number of connections being established: one inside the other if there is a proxy.
    connecting: Cell<u32>,
    /// Whether bytes that are written now belong to the request.
    sending: Cell<bool>,
    /// Whether a byte of the request was written.
    sent: Cell<bool>,
    written: Cell<u64>,
    received: Cell<u64>,
    /// Number of reads in progress: one inside the other if TLS runs through a proxy's tunnel.
    reading: Cell<u32>,
    /// The bytes of the response, if they are captured.
    captured: RefCell<Option<Capture>>,
}

/// The bytes of a response as received, its head included.
#[derive(Debug, Default)]
struct Capture {
    bytes: SecretBuffer,
    /// Maximum number of bytes.
    limit: usize,
}

impl ExchangeGuard {
    /// Starts an exchange on this thread.
    pub(super) fn enter(call: &CallContext) -> ExchangeGuard {
        let state = Rc::new(ExchangeState {
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
        let outer = CURRENT_EXCHANGE.replace(Some(state.clone()));
        ExchangeGuard {
            state,
            outer,
            _agents: InUse::begin(),
        }
    }

    /// Captures the response, in case that it cannot be decoded: its head and `limit` bytes of its body.
    pub(super) fn capture(&self, limit: u64) {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.state.captured.replace(Some(Capture {
            bytes: SecretBuffer::default(),
            limit: limit.saturating_add(MAX_HEADER_BYTES),
        }));
    }

    /// Returns the captured bytes of the response, its head included; `None` if there are none.
    pub(super) fn captured(&self) -> Option<Zeroizing<Vec<u8>>> {
        let capture = self.state.captured.take()?;
        Some(capture.bytes.into_bytes()).filter(|bytes| !bytes.is_empty())
    }

    /// Reads from a connection into ureq's buffer, and captures the bytes if the exchange does.
    pub(super) fn receive(
        buffer: &mut [u8],
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let change = |by: i32| {
            ExchangeGuard::current(|state| {
                let reading = state.reading.get().saturating_add_signed(by);
                state.reading.set(reading);
                reading
            })
        };
        change(1);
        let result = read(buffer);
        let reading = change(-1);
        // The bytes of an outer read are the ciphertext of the connection inside the tunnel.
        if let (Ok(amount), Some(0)) = (&result, reading) {
            ExchangeGuard::current(|state| {
                if state.connecting.get() == 0
                    && let Some(capture) = &mut *state.captured.borrow_mut()
                {
                    let room = capture.limit.saturating_sub(capture.bytes.len());
                    capture.bytes.extend(&buffer[..room.min(*amount)]);
                }
            });
        }
        result
    }

    /// Returns whether a byte of the request was sent; establishing the connection does not count.
    pub(super) fn sent(&self) -> bool {
        self.state.sent.get()
    }

    /// Returns why the client ended the exchange, or `None` if it did not.
    pub(super) fn stopped(&self) -> Option<StopReason> {
        self.state.stopped.get()
    }

    pub(super) fn written(&self) -> u64 {
        self.state.written.get()
    }

    pub(super) fn received(&self) -> u64 {
        self.state.received.get()
    }

    fn current<T>(read: impl FnOnce(&ExchangeState) -> T) -> Option<T> {
        // Not borrowed during `read`, which can call the caller's interrupt check, which can start
        // another exchange.
        let current = CURRENT_EXCHANGE.with_borrow(Clone::clone);
        current.as_deref().map(read)
    }

    /// Returns the maximum duration of the next wait on this thread.
    ///
    /// # Errors
    ///
    /// `TimedOut` if the call is cancelled or its deadline has passed.
    pub(super) fn next_wait() -> io::Result<Duration> {
        // There is no exchange while the pool closes a connection.
        ExchangeGuard::current(|state| {
            state.call.next_wait(SLICE).map_err(|stop| {
                state.stopped.set(Some(stop));
                io::Error::new(
                    io::ErrorKind::TimedOut,
                    "call cancelled or deadline exceeded",
                )
            })
        })
        .unwrap_or(Ok(SLICE))
    }

    pub(super) fn is_stopped() -> bool {
        ExchangeGuard::current(|state| state.stopped.get().is_some()).unwrap_or(false)
    }

    /// Records that a connection was established.
    pub(super) fn connected() {
        ExchangeGuard::current(|state| {
            state
                .connecting
                .set(state.connecting.get().saturating_sub(1));
        });
    }

    /// Records that the next bytes belong to the request, unless a connection is being established.
    pub(super) fn begin_to_send() {
        ExchangeGuard::current(|state| {
            if state.connecting.get() == 0 {
                state.sending.set(true);
            }
        });
    }

    pub(super) fn count_written(bytes: usize) {
        ExchangeGuard::current(|state| {
            state.written.set(state.written.get() + bytes as u64);
            if state.sending.get() && bytes > 0 {
                state.sent.set(true);
            }
        });
    }

    pub(super) fn count_received(bytes: usize) {
        ExchangeGuard::current(|state| state.received.set(state.received.get() + bytes as u64));
    }
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        CURRENT_EXCHANGE.set(self.outer.take());
    }
}

/// First connector of the chain: records that a connection is being established.
#[derive(Debug)]
struct ConnectStart;

impl Connector<()> for ConnectStart {
    type Out = ();

    fn connect(&self, _: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<()>, ureq::Error> {
        ExchangeGuard::current(|state| state.connecting.set(state.connecting.get() + 1));
        Ok(None)
    }
}

/// Connects through the proxy's tunnel, except to a loopback host: HTTP without TLS is allowed there,
/// and the proxy would send it over the network.
#[derive(Debug)]
struct TunnelConnector {
    connector: ConnectProxyConnector,
    /// The setting or environment variable that names the proxy.
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
            (Err(error), Some(proxy)) if !ExchangeGuard::is_stopped() => {
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
    fn proxy_from_prefers_https_proxy_over_all_proxy() {
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
    fn proxy_from_decodes_user_name_and_password() {
        let proxy = found(&[("HTTPS_PROXY", "http://us%40er:p%3Aw@proxy:3128")]);
        let proxy = proxy.unwrap().unwrap();
        assert_eq!(
            (proxy.username(), proxy.password()),
            (Some("us@er"), Some("p:w"))
        );
        assert_eq!((proxy.host(), proxy.port()), ("proxy", 3128));
    }

    #[test]
    fn proxy_from_names_an_invalid_variable_without_its_value() {
        let error = found(&[("HTTPS_PROXY", "ftp://user:hunter2@proxy")]).unwrap_err();
        assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn proxy_from_excludes_hosts_of_no_proxy() {
        let excluded = "localhost, example.com,.internal , *.wild,10.0.0.1";
        let proxy = found(&[("HTTPS_PROXY", "proxy"), ("no_proxy", excluded)]);
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
