//! Connections through an HTTP proxy: the tunnel of the method CONNECT (RFC 9110, section 9.3.6).
//!
//! Not the connector of ureq, which rejects interim responses and leaves copies of the password in memory.

use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::transport::{
    ConnectionDetails, Connector, Either, NextTimeout, Transport, TransportAdapter,
};

use super::buffers::INPUT_BUFFER;
use super::connect_error::{ConnectError, ProxyFailure, ProxyProblem, shown_proxy};
use super::exchange::ExchangeGuard;
use super::proxy::ProxySettings;
use super::salvage::split_head;
use crate::config_values::is_loopback;
use crate::secret::{Secret, SecretBuffer, Zeroizing};

/// Connects through the proxy's tunnel, except to a loopback host: HTTP without TLS is allowed there,
/// and the proxy would send it over the network.
#[derive(Debug)]
pub(super) struct TunnelConnector {
    /// The configuration of the connection to the proxy: that of the agent, without a proxy.
    pub(super) direct: Config,
    pub(super) user_agent: String,
    pub(super) proxy: Option<Arc<ProxySettings>>,
}

impl Connector<()> for TunnelConnector {
    type Out = Either<(), Box<dyn Transport>>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        // The configuration of the connection to the proxy has none.
        let (Some(proxy), Some(_)) = (&self.proxy, details.config.proxy()) else {
            return Ok(None);
        };
        if details.uri.host().is_some_and(is_loopback) || proxy.excludes(details.uri) {
            return Ok(None);
        }
        ExchangeGuard::through_proxy(shown_proxy(&proxy.address));
        match self.open(proxy, details) {
            Ok(tunnel) => Ok(Some(Either::B(tunnel))),
            Err(ProxyProblem::Connection(error)) if ExchangeGuard::is_stopped() => Err(error),
            Err(problem) => {
                let failure = ProxyFailure::new(&proxy.address, proxy.source, problem);
                Err(ConnectError::Proxy(failure).into())
            }
        }
    }
}

impl TunnelConnector {
    /// Connects to the proxy and opens a tunnel to the server of a request.
    fn open(
        &self,
        proxy: &ProxySettings,
        details: &ConnectionDetails<'_>,
    ) -> Result<Box<dyn Transport>, ProxyProblem> {
        let to_proxy = ConnectionDetails {
            uri: proxy.address.uri(),
            // Resolved by the connector of sockets.
            addrs: details.resolver.empty(),
            config: &self.direct,
            request_level: details.request_level,
            resolver: details.resolver,
            now: details.now,
            timeout: details.timeout,
            current_time: details.current_time.clone(),
            run_connector: details.run_connector.clone(),
            register_shutdown: details.register_shutdown.clone(),
        };
        let connection = (details.run_connector)(&to_proxy)?;
        let mut writer = TransportAdapter::new(connection, details.current_time.clone());
        writer.set_timeout(details.timeout);
        let head = head_of_request(proxy.credentials.as_ref(), details.uri, &self.user_agent);
        io::Write::write_all(&mut writer, &head).map_err(ureq::Error::from)?;
        let mut connection = writer.into_inner();
        match read_status(&mut *connection, details.timeout)? {
            200..300 => Ok(connection),
            status => Err(ProxyProblem::Status(status)),
        }
    }
}

/// Returns the head of a CONNECT request for the server of `uri`.
fn head_of_request(
    credentials: Option<&Secret>,
    uri: &Uri,
    user_agent: &str,
) -> Zeroizing<Vec<u8>> {
    let host = uri.host().unwrap_or_default();
    let default_port = if uri.scheme_str() == Some("http") {
        80
    } else {
        443
    };
    let port = uri.port_u16().unwrap_or(default_port);
    let mut head = SecretBuffer::with_capacity(512);
    head.push_str(&format!(
        "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {user_agent}\r\n\
         Proxy-Connection: Keep-Alive\r\n"
    ));
    if let Some(credentials) = credentials {
        let encoded = Zeroizing::new(STANDARD.encode(credentials.expose()));
        // Some proxies reject `basic`.
        head.push_str("Proxy-Authorization: Basic ");
        head.push_str(&encoded);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

/// Reads the head of the proxy's final response, and returns its status. What follows the head belongs
/// to the tunnel.
fn read_status(connection: &mut dyn Transport, timeout: NextTimeout) -> Result<u16, ureq::Error> {
    loop {
        let input = connection.buffers().input();
        if !is_http(input) {
            return Err(
                io::Error::new(io::ErrorKind::InvalidData, "it does not respond in HTTP").into(),
            );
        }
        // Some servers send an empty line first.
        if let Some((head, rest)) = split_head(input.trim_ascii_start()) {
            let status = status_of(head);
            let length = input.len() - rest.len();
            connection.buffers().input_consume(length);
            let invalid =
                || io::Error::new(io::ErrorKind::InvalidData, "its response has no status");
            return status.ok_or_else(|| invalid().into());
        }
        if input.len() >= INPUT_BUFFER {
            return Err(ureq::Error::LargeResponseHeader(input.len(), INPUT_BUFFER));
        }
        if !connection.await_input(timeout)? {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

/// Returns whether a response is HTTP/1, as far as it was received.
fn is_http(input: &[u8]) -> bool {
    const START: &[u8] = b"HTTP/1.";
    let input = input.trim_ascii_start();
    let length = input.len().min(START.len());
    input[..length] == START[..length]
}

/// Returns the status of a response, for example of `HTTP/1.1 200 OK`.
fn status_of(head: &[u8]) -> Option<u16> {
    let mut fields = head.split(|byte| byte.is_ascii_whitespace());
    let status = fields.find(|field| !field.is_empty() && !field.starts_with(b"HTTP/"))?;
    let status = std::str::from_utf8(status).ok()?.parse().ok()?;
    (100..1000).contains(&status).then_some(status)
}
