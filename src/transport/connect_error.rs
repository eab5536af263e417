//! Errors of connections: descriptions without secrets, and whether a retry would fail in the same way.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};
use ureq::Proxy;

use super::proxy::shown_proxy;
use super::response::reason;
use crate::error::ErrorKind;

/// Text of webpki's error for a server with the certificate of an authority. Self-signed certificates
/// are such ones unless they say otherwise.
const CA_USED_AS_END_ENTITY: &str = "CaUsedAsEndEntity";
/// Error text for a connection that the peer closed too early.
pub(super) const CLOSED_BY_PEER: &str = "connection closed by peer";

/// Returns the kind of an error of ureq and its description, which contains no secrets.
pub(super) fn describe(error: &ureq::Error) -> (ErrorKind, String) {
    match error {
        ureq::Error::LargeResponseHeader(_, limit) => (
            ErrorKind::Network,
            format!("its headers exceed {limit} bytes"),
        ),
        ureq::Error::HostNotFound => (ErrorKind::Network, "host not found".to_owned()),
        ureq::Error::BadUri(text) => (ErrorKind::Config, format!("invalid URL: {text}")),
        ureq::Error::Http(error) => (
            ErrorKind::InvalidArgument,
            format!("the request is not valid HTTP: {error}"),
        ),
        ureq::Error::Io(error) => (ErrorKind::Network, describe_io(error)),
        error => match connect_error(error) {
            Some(error) => (error.kind(), error.to_string()),
            None => (ErrorKind::Network, error.to_string()),
        },
    }
}

/// Returns the description of an I/O error of a connection, which contains no secrets.
pub(super) fn describe_io(error: &io::Error) -> String {
    match (error.kind(), tls_error(error)) {
        (_, Some(error)) => describe_tls(error),
        (io::ErrorKind::UnexpectedEof, _) => CLOSED_BY_PEER.to_owned(),
        // ureq reports this if a connection is closed between two chunks or within a chunk's size.
        _ if matches!(inner_error(error), Some(ureq::Error::BodyStalled)) => {
            CLOSED_BY_PEER.to_owned()
        }
        _ => error.to_string(),
    }
}

/// Returns the error of ureq in an I/O error.
fn inner_error(error: &io::Error) -> Option<&ureq::Error> {
    error.get_ref()?.downcast_ref()
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
        ureq::Error::Io(error) => tls_error(error).is_some_and(is_permanent_tls),
        error => match connect_error(error) {
            Some(ConnectError::Proxy(failure)) => failure.is_permanent(),
            Some(ConnectError::NotLoopback(_) | ConnectError::LargeHead { .. }) => true,
            Some(ConnectError::NotResolved(_)) | None => false,
        },
    }
}

/// A failure to connect for which ureq has no error of its own.
#[derive(Debug)]
pub(super) enum ConnectError {
    /// This name of the local machine does not resolve to a loopback address.
    NotLoopback(String),
    /// The resolver failed, for another reason than that the name does not exist.
    NotResolved(String),
    Proxy(ProxyFailure),
    /// The request cannot be sent, because its head would be too large.
    LargeHead {
        url_bytes: usize,
        /// Access token and user agent.
        header_bytes: usize,
        /// Maximum of both together.
        max_bytes: usize,
    },
}

impl ConnectError {
    fn kind(&self) -> ErrorKind {
        match self {
            ConnectError::NotLoopback(_)
            | ConnectError::NotResolved(_)
            | ConnectError::Proxy(_) => ErrorKind::Network,
            ConnectError::LargeHead {
                url_bytes,
                header_bytes,
                ..
            } if url_bytes > header_bytes => ErrorKind::InvalidArgument,
            ConnectError::LargeHead { .. } => ErrorKind::Config,
        }
    }
}

/// A failure of the proxy. Contains neither its user name nor its password.
#[derive(Debug)]
pub(super) struct ProxyFailure {
    /// The URL of the proxy.
    proxy: String,
    /// The setting or environment variable that names the proxy.
    source: &'static str,
    problem: ProxyProblem,
}

/// Why there is no tunnel through a proxy.
#[derive(Debug)]
pub(super) enum ProxyProblem {
    /// It responded with this status.
    Status(u16),
    /// There is no connection to it, or no response.
    Connection(ureq::Error),
}

impl From<ureq::Error> for ProxyProblem {
    fn from(error: ureq::Error) -> Self {
        ProxyProblem::Connection(error)
    }
}

impl ProxyFailure {
    pub(super) fn new(proxy: &Proxy, source: &'static str, problem: ProxyProblem) -> Self {
        ProxyFailure {
            proxy: shown_proxy(proxy),
            source,
            problem,
        }
    }

    fn describe(&self, target: &str) -> String {
        let ProxyFailure {
            proxy,
            source,
            problem,
        } = self;
        match problem {
            ProxyProblem::Status(407) => format!(
                "the proxy {proxy} requires authentication (HTTP 407): check the user name and \
                 password in {source}"
            ),
            ProxyProblem::Status(403) => format!(
                "the proxy {proxy} does not allow connections to {target} (HTTP 403): check its \
                 access rules, or exclude the host with NO_PROXY"
            ),
            ProxyProblem::Status(status @ (500 | 502..=504)) => format!(
                "the proxy {proxy} cannot connect to {target} (HTTP {status}: {})",
                reason(*status)
            ),
            ProxyProblem::Status(status) => format!(
                "the proxy {proxy} rejected the connection to {target} (HTTP {status}: {}): check \
                 that {source} names an HTTP proxy that supports CONNECT",
                reason(*status)
            ),
            ProxyProblem::Connection(error) => format!(
                "cannot connect to the proxy {proxy}: {}; check {source}",
                describe(error).1
            ),
        }
    }

    fn is_permanent(&self) -> bool {
        match &self.problem {
            ProxyProblem::Status(408 | 425 | 429 | 500 | 502..=504) => false,
            ProxyProblem::Status(_) => true,
            ProxyProblem::Connection(error) => is_permanent(error),
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
            ConnectError::NotResolved(problem) => write!(f, "host name not resolved: {problem}"),
            ConnectError::Proxy(failure) => f.write_str(&failure.describe("the server")),
            ConnectError::LargeHead {
                url_bytes,
                header_bytes,
                max_bytes,
            } => write!(
                f,
                "the request is too large: its URL has {url_bytes} bytes, its access token and user \
                 agent have {header_bytes}; all together may have {max_bytes}"
            ),
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

/// Why the certificate of a server is rejected. `Display` gives the description in error messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateProblem {
    Untrusted,
    Expired,
    NotValidYet,
    OtherHost,
}

impl CertificateProblem {
    /// Returns `None` if the error is another one.
    #[cfg(feature = "doctor")]
    pub(super) fn of_io(error: &io::Error) -> Option<Self> {
        CertificateProblem::of_tls(tls_error(error)?)
    }

    fn of_tls(error: &rustls::Error) -> Option<Self> {
        let rustls::Error::InvalidCertificate(problem) = error else {
            return None;
        };
        match problem {
            // `BadSignature` if another authority with the same name is trusted.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                Some(CertificateProblem::Untrusted)
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Some(CertificateProblem::Expired)
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Some(CertificateProblem::NotValidYet)
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Some(CertificateProblem::OtherHost)
            }
            _ => None,
        }
    }
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CertificateProblem::Untrusted => {
                "its certificate is signed by an untrusted authority; set `ca_file` to trust it"
            }
            CertificateProblem::Expired => "its certificate has expired",
            CertificateProblem::NotValidYet => "its certificate is not valid yet",
            CertificateProblem::OtherHost => "its certificate is for another host",
        })
    }
}

/// Returns the description of a TLS error, and what to do about it.
fn describe_tls(error: &rustls::Error) -> String {
    if let Some(problem) = CertificateProblem::of_tls(error) {
        return problem.to_string();
    }
    let problem = match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(problem)) => {
            if problem.to_string() != CA_USED_AS_END_ENTITY {
                return format!("its certificate is not valid: {problem}");
            }
            "its certificate is that of a certificate authority, which a server cannot use; issue \
             one with the basic constraint CA:FALSE"
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it requires a client certificate; set `client_cert`"
        }
        rustls::Error::AlertReceived(alert) if rejects_client_certificate(*alert) => {
            return format!("it rejects the client certificate ({alert:?}); check `client_cert`");
        }
        rustls::Error::AlertReceived(AlertDescription::HandshakeFailure) => {
            "it rejects the TLS handshake (HandshakeFailure): it has no cipher suite in common with \
             this client, or requires a client certificate"
        }
        rustls::Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => {
            "it supports neither TLS 1.2 nor TLS 1.3"
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => "it does not use TLS",
        _ => return error.to_string(),
    };
    problem.to_owned()
}

/// Returns whether a retry would fail in the same way.
pub(super) fn is_permanent_tls(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::PeerIncompatible(_) => true,
        error => rejects_client(error),
    }
}

/// Returns whether an error is an alert with which the server rejects the client for its certificate, or
/// for having none.
pub(super) fn rejects_client(error: &rustls::Error) -> bool {
    let rustls::Error::AlertReceived(alert) = error else {
        return false;
    };
    *alert == AlertDescription::CertificateRequired || rejects_client_certificate(*alert)
}

/// Returns whether an alert of the server is about the certificate of the client.
fn rejects_client_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_that_is_not_valid_yet_is_permanent_and_named() {
        let certificate = rustls::CertificateError::NotValidYet;
        let error = io::Error::other(rustls::Error::InvalidCertificate(certificate));
        assert_eq!(describe_io(&error), "its certificate is not valid yet");
        assert!(is_permanent(&ureq::Error::Io(error)));
    }

    #[test]
    fn rejected_client_certificate_is_permanent_and_named() {
        for (alert, name) in [
            (AlertDescription::UnknownCA, "UnknownCA"),
            (AlertDescription::CertificateExpired, "CertificateExpired"),
        ] {
            let error = io::Error::other(rustls::Error::AlertReceived(alert));
            let expected =
                format!("it rejects the client certificate ({name}); check `client_cert`");
            assert_eq!(describe_io(&error), expected);
            assert!(is_permanent(&ureq::Error::Io(error)), "{name}");
            assert!(rejects_client(&rustls::Error::AlertReceived(alert)));
        }
        for alert in [
            AlertDescription::InternalError,
            AlertDescription::HandshakeFailure,
            AlertDescription::DecryptError,
        ] {
            let alert = rustls::Error::AlertReceived(alert);
            assert!(!rejects_client(&alert));
            assert!(!is_permanent(&ureq::Error::Io(io::Error::other(alert))));
        }
    }
}
