//! Step-by-step check of the way to a server, for `doctor`: DNS resolution, TCP connection, TLS
//! handshake, HTTP response. Uses the settings of the client and sends no credentials.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ProtocolVersion, StreamOwned};
use ureq::http::Uri;
use ureq::http::uri::Authority;

use super::agent::{Agents, HttpRequest, Url};
use super::certificate::Certificate;
pub(crate) use super::connect_error::CertificateProblem;
use super::connect_error::{describe, describe_connect_error, describe_io};
use super::exchange::ExchangeGuard;
use super::pem::PemFile;
use super::resolver::{CachingResolver, LOOKUP_THREADS};
use super::response::Response;
use super::socket::{self, Socket};
use super::{Method, UNCOMPRESSED};
use crate::call::{CallContext, StopReason};
use crate::config::Config;
use crate::config_values::is_loopback;
use crate::error::{self, Outcome, Stage};

/// Maximum size of the response to the probe, in bytes; it is discarded.
const MAX_RESPONSE_BYTES: u64 = 64 * 1024;

/// A step on the way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Dns,
    Tcp,
    Tls,
    Http,
}

/// A step with its duration, and what it found or why it failed.
#[derive(Debug)]
pub(crate) struct StepResult {
    pub(crate) step: Step,
    pub(crate) duration: Duration,
    pub(crate) result: Result<Finding, StepError>,
}

/// Why a step failed.
#[derive(Debug, Clone)]
pub(crate) struct StepError {
    pub(crate) message: String,
    /// Why the certificate of the server is rejected, if that is the reason.
    pub(crate) certificate: Option<CertificateProblem>,
}

impl From<String> for StepError {
    fn from(message: String) -> Self {
        StepError {
            message,
            certificate: None,
        }
    }
}

/// What a step found.
#[derive(Debug, Clone)]
pub(crate) enum Finding {
    Resolved(Vec<SocketAddr>),
    Connected(SocketAddr),
    /// `certificate` is `None` if it cannot be parsed.
    Encrypted {
        version: &'static str,
        certificate: Option<Certificate>,
    },
    /// `clock_skew`: time of the server minus time of this machine, in seconds; `None` without a
    /// `Date` header.
    Responded {
        status: u16,
        clock_skew: Option<f64>,
    },
}

/// The settings for the connections of a client.
#[derive(Debug)]
pub(crate) struct Prober {
    agents: Agents,
    client_certificate: Option<Certificate>,
}

impl Prober {
    /// Reads the files of `ca_file`, `client_cert` and `client_key`.
    pub(crate) fn new(config: &Config) -> error::Result<Prober> {
        let agents = Agents::new(config)?;
        let client_certificate = config.client_cert().and_then(|file| {
            let chain = PemFile::read(file).ok()?.certificates().ok()?;
            Certificate::from_der(chain.first()?)
        });
        Ok(Prober {
            agents,
            client_certificate,
        })
    }

    /// Returns the client certificate (mTLS).
    pub(crate) fn client_certificate(&self) -> Option<&Certificate> {
        self.client_certificate.as_ref()
    }

    /// Returns the URL of the proxy for `url`, without user name and password, and the setting or
    /// variable that names it; `None` for a direct connection.
    pub(crate) fn proxy_for(&self, url: &str) -> Option<(String, &'static str)> {
        let uri: Uri = url.parse().ok()?;
        if uri.host().is_some_and(is_loopback) {
            return None;
        }
        self.agents.proxy_for(&uri)
    }

    /// Checks the way to the server of `url`, and ends with the first step that fails. Behind a proxy,
    /// [`Step::Http`] is the only step.
    ///
    /// # Errors
    ///
    /// `Cancelled`, if the call is cancelled.
    pub(crate) fn probe(&self, url: &str, call: &CallContext) -> error::Result<Vec<StepResult>> {
        let exchange = ExchangeGuard::enter(call);
        let mut results = Vec::new();
        if let Ok(uri) = url.parse::<Uri>()
            && let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority())
        {
            self.run_steps(scheme, authority, url, &mut results);
        }
        let Some(stop) = exchange.stopped() else {
            return Ok(results);
        };
        let error = call.stop_error(stop, Stage::Request, Outcome::NotSent);
        if stop != StopReason::Deadline {
            return Err(error);
        }
        // The step that the deadline ended has the error of its last wait.
        if let Some(StepResult { result, .. }) = results.last_mut() {
            *result = Err(error.message().to_owned().into());
        }
        Ok(results)
    }

    fn run_steps(
        &self,
        scheme: &str,
        authority: &Authority,
        url: &str,
        results: &mut Vec<StepResult>,
    ) -> Option<()> {
        let (host, is_https) = (authority.host(), scheme == "https");
        if self.proxy_for(url).is_none() {
            let default_port = if is_https { 443 } else { 80 };
            let port = authority.port_u16().unwrap_or(default_port);
            let addresses = timed(
                results,
                Step::Dns,
                || resolve(host, port),
                |addresses| Finding::Resolved(addresses.clone()),
            )?;
            let (_, socket) = timed(
                results,
                Step::Tcp,
                || socket::connect(&addresses).map_err(|error| describe_io(&error)),
                |(address, _)| Finding::Connected(*address),
            )?;
            if is_https {
                timed(
                    results,
                    Step::Tls,
                    || self.handshake(host, socket),
                    Finding::clone,
                )?;
            }
        }
        let origin = format!("{scheme}://{authority}/");
        timed(
            results,
            Step::Http,
            || self.request(&origin),
            Finding::clone,
        )?;
        Some(())
    }

    fn handshake(&self, host: &str, socket: Socket) -> Result<Finding, StepError> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let client = ClientConnection::new(self.agents.tls().clone(), name)
            .map_err(|error| error.to_string())?;
        let mut stream = StreamOwned::new(client, socket);
        while stream.conn.is_handshaking() {
            let progress = stream.conn.complete_io(&mut stream.sock);
            progress.map_err(|error| StepError {
                message: describe_io(&error),
                certificate: CertificateProblem::of_io(&error),
            })?;
        }
        // With TLS 1.3 a server rejects a missing client certificate after the handshake.
        let version = match stream.conn.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLS 1.2",
            _ => "TLS",
        };
        let certificate = stream
            .conn
            .peer_certificates()
            .and_then(|chain| Certificate::from_der(chain.first()?));
        stream.conn.send_close_notify();
        let _ = stream.flush();
        Ok(Finding::Encrypted {
            version,
            certificate,
        })
    }

    /// Sends a request for `/` without credentials.
    fn request(&self, origin: &str) -> Result<Finding, String> {
        let sent_at = SystemTime::now();
        let begun = Instant::now();
        let sent = self.agents.send(HttpRequest {
            method: Method::Get,
            url: Url::Absolute(origin),
            authorization: None,
            body: None,
            accept_encoding: UNCOMPRESSED,
            new_connection: true,
        });
        let response = sent.map_err(|error| describe_connect_error(origin, &error))?;
        let response = Response::new(response, MAX_RESPONSE_BYTES);
        // `Date` has a resolution of one second and is truncated.
        let local = sent_at + begun.elapsed() / 2;
        let clock_skew = response.date().map(|date| {
            let server = date + Duration::from_millis(500);
            match server.duration_since(local) {
                Ok(ahead) => ahead.as_secs_f64(),
                Err(behind) => -behind.duration().as_secs_f64(),
            }
        });
        Ok(Finding::Responded {
            status: response.status(),
            clock_skew,
        })
    }
}

/// Runs a step and appends its result. Returns what it made, or `None` if it failed.
fn timed<T, E: Clone + Into<StepError>>(
    results: &mut Vec<StepResult>,
    step: Step,
    run: impl FnOnce() -> Result<T, E>,
    finding: impl FnOnce(&T) -> Finding,
) -> Option<T> {
    let begun = Instant::now();
    let made = run();
    results.push(StepResult {
        step,
        duration: begun.elapsed(),
        result: made
            .as_ref()
            .map(finding)
            .map_err(|error| error.clone().into()),
    });
    made.ok()
}

fn lock(reason: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    reason.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Resolves a name. Its thread outlives this call if the lookup does not end.
fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let reason = Arc::new(Mutex::new(None));
    let failure = reason.clone();
    let resolver = CachingResolver::with(&LOOKUP_THREADS, move |name| {
        let addresses = name.to_socket_addrs().inspect_err(|error| {
            *lock(&failure) = Some(error.to_string());
        });
        Ok(addresses?.collect())
    });
    let found = resolver.look_up(format!("{host}:{port}"));
    let found = found.map_err(|error| match lock(&reason).take() {
        Some(reason) => reason,
        None => describe(&error).1,
    })?;
    match found.is_empty() {
        true => Err("the name has no address".to_owned()),
        // Plain HTTP is allowed to loopback addresses only, whatever the name resolves to.
        false if is_loopback(host) => found
            .into_iter()
            .map(|address| match address.ip().is_loopback() {
                true => Ok(address),
                false => Err(format!("{} is not a loopback address", address.ip())),
            })
            .collect(),
        false => Ok(found),
    }
}
