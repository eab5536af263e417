//! Step-by-step check of the way to a server, for `doctor`: DNS resolution, TCP connection, TLS
//! handshake, HTTP response. Uses the settings of the client and sends no credentials.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, StreamOwned};
use ureq::http::Uri;
use ureq::http::uri::Authority;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::agent::{Agents, Url};
use super::exchange::ExchangeGuard;
use super::pem::PemFile;
use super::response::Response;
use super::{Method, UNCOMPRESSED, connect_error, tls};
use crate::abandonable::ThreadLimit;
use crate::call::CallContext;
use crate::config::{Config, is_loopback};
use crate::error::{self, Outcome, Stage};

/// Maximum size of the response to the probe, in bytes; it is discarded.
const MAX_RESPONSE_BYTES: u64 = 64 * 1024;

/// The threads that resolve names.
static LOOKUP_THREADS: ThreadLimit = ThreadLimit::new("camunda-doctor", 16);

/// A step on the way to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Dns,
    Tcp,
    Tls,
    Http,
}

/// The facts of a certificate that a person checks first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Certificate {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) not_after: SystemTime,
}

/// A step with its duration, and what it found or why it failed.
#[derive(Debug)]
pub(crate) struct StepResult {
    pub(crate) step: Step,
    pub(crate) duration: Duration,
    pub(crate) result: Result<Finding, String>,
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
    tls: Arc<ClientConfig>,
    client_certificate: Option<Certificate>,
}

impl Prober {
    /// Reads the files of `ca_file`, `client_cert` and `client_key`.
    pub(crate) fn new(config: &Config) -> error::Result<Prober> {
        let agents = Agents::new(config)?;
        let client_certificate = config.client_cert().and_then(|file| {
            let chain = PemFile::read(file).ok()?.certificates().ok()?;
            certificate(chain.first()?)
        });
        Ok(Prober {
            agents,
            tls: tls::client_config(config)?,
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
    pub(crate) fn probe(&self, url: &str, call: &CallContext) -> Vec<StepResult> {
        let mut results = Vec::new();
        if let Ok(uri) = url.parse::<Uri>()
            && let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority())
        {
            self.run_steps(scheme, authority, url, call, &mut results);
        }
        results
    }

    fn run_steps(
        &self,
        scheme: &str,
        authority: &Authority,
        url: &str,
        call: &CallContext,
        results: &mut Vec<StepResult>,
    ) -> Option<()> {
        let (host, is_https) = (authority.host(), scheme == "https");
        if self.proxy_for(url).is_none() {
            let default_port = if is_https { 443 } else { 80 };
            let port = authority.port_u16().unwrap_or(default_port);
            let addresses = timed(
                results,
                Step::Dns,
                || resolve(host, port, call.remaining()),
                |addresses| Finding::Resolved(addresses.clone()),
            )?;
            let (stream, _) = timed(
                results,
                Step::Tcp,
                || connect(&addresses, call),
                |(_, address)| Finding::Connected(*address),
            )?;
            if is_https {
                timed(
                    results,
                    Step::Tls,
                    || self.handshake(host, stream, call),
                    Finding::clone,
                )?;
            }
        }
        let origin = format!("{scheme}://{authority}/");
        timed(
            results,
            Step::Http,
            || self.request(&origin, call),
            Finding::clone,
        )?;
        Some(())
    }

    fn handshake(
        &self,
        host: &str,
        stream: TcpStream,
        call: &CallContext,
    ) -> Result<Finding, String> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let client =
            ClientConnection::new(self.tls.clone(), name).map_err(|error| error.to_string())?;
        let mut stream = StreamOwned::new(client, Limited { stream, call });
        while stream.conn.is_handshaking() {
            let progress = stream.conn.complete_io(&mut stream.sock);
            progress.map_err(|error| connect_error::describe_io(&error))?;
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
            .and_then(|chain| certificate(chain.first()?));
        stream.conn.send_close_notify();
        let _ = stream.flush();
        Ok(Finding::Encrypted {
            version,
            certificate,
        })
    }

    /// Sends a request for `/` without credentials.
    fn request(&self, origin: &str, call: &CallContext) -> Result<Finding, String> {
        let exchange = ExchangeGuard::enter(call);
        let sent_at = SystemTime::now();
        let begun = Instant::now();
        let sent = self.agents.send(
            Method::Get,
            Url::Absolute(origin),
            None,
            None,
            UNCOMPRESSED,
            true,
        );
        let response = match (sent, exchange.stopped()) {
            (Ok(response), _) => Response::new(response, MAX_RESPONSE_BYTES),
            (Err(_), Some(stop)) => {
                let outcome = Outcome::NotSent;
                let error = call.stop_error(stop, Stage::Request, outcome);
                return Err(error.message().to_owned());
            }
            (Err(error), None) => {
                return Err(connect_error::describe_connect_error(origin, &error));
            }
        };
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

/// A connection whose reads and writes end with a call.
struct Limited<'a> {
    stream: TcpStream,
    call: &'a CallContext,
}

impl Limited<'_> {
    /// Returns the timeout of the next read or write.
    fn limit(&self) -> io::Result<Option<Duration>> {
        match self.call.remaining() {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(Some(left)),
        }
    }
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.limit()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Limited<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.limit()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Runs a step and appends its result. Returns what it made, or `None` if it failed.
fn timed<T>(
    results: &mut Vec<StepResult>,
    step: Step,
    run: impl FnOnce() -> Result<T, String>,
    finding: impl FnOnce(&T) -> Finding,
) -> Option<T> {
    let begun = Instant::now();
    let made = run();
    results.push(StepResult {
        step,
        duration: begun.elapsed(),
        result: made.as_ref().map(finding).map_err(Clone::clone),
    });
    made.ok()
}

/// Resolves a name on a thread of its own, which outlives this call if the lookup does not end.
fn resolve(host: &str, port: u16, limit: Duration) -> Result<Vec<SocketAddr>, String> {
    let name = format!("{host}:{port}");
    let (sender, receiver) = mpsc::channel();
    let permit = LOOKUP_THREADS.acquire();
    let permit = permit.ok_or("too many lookups do not end")?;
    let thread = permit.start(move || {
        let found = name.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
        let _ = sender.send(found);
    });
    let thread = thread.map_err(|error| error.to_string())?;
    let found = receiver
        .recv_timeout(limit)
        .map_err(|_| format!("no result within {:.1} s", limit.as_secs_f64()))?;
    thread.join();
    let found = found.map_err(|error| error.to_string())?;
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

fn connect(
    addresses: &[SocketAddr],
    call: &CallContext,
) -> Result<(TcpStream, SocketAddr), String> {
    let mut problem = "no address".to_owned();
    for (index, address) in addresses.iter().enumerate() {
        // Leaves time for the addresses after this one.
        let left = u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
        let limit = (call.remaining() / left).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(address, limit) {
            Ok(stream) => return Ok((stream, *address)),
            Err(error) => problem = format!("{address}: {error}"),
        }
    }
    Err(problem)
}

fn certificate(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let not_after = certificate.validity().not_after.timestamp();
    Some(Certificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        not_after: SystemTime::UNIX_EPOCH
            + Duration::from_secs(u64::try_from(not_after).unwrap_or_default()),
    })
}
