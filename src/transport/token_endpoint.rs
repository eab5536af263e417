//! Sends token requests (OAuth 2.0 client credentials grant, RFC 6749, section 4.4). `auth` decides when,
//! `token_response` parses the responses.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::agent::{HttpRequest, Url};
use super::connect_error;
use super::exchange::ExchangeGuard;
use super::response::{BodyError, Response};
use super::token_response::{
    failed, parse_token_response, redacted_secret, rejection, without_token,
};
use super::{Method, Transport, UNCOMPRESSED, logs};
use crate::auth::{
    ConnectionSettings, FetchError, TokenConnection, TokenEndpoint, TokenErrorKind, TokenRequest,
    TokenRequestFormat, TokenResponse,
};
use crate::call::CallContext;
use crate::error::{ErrorKind, Outcome, Stage};
use crate::secret::{SecretBuffer, Zeroizing, to_json};

/// Maximum size of a token response, in bytes; a token has a few thousand.
const MAX_BYTES: u64 = 1024 * 1024;

/// A connection to a token endpoint.
struct Connection<'a> {
    transport: &'a Transport,
    request: &'a TokenRequest,
    /// `None` after the request was sent.
    connection: Option<Box<dyn ureq::unversioned::transport::Transport>>,
    sent_at: Option<Instant>,
    /// The response, until it is logged.
    received: Option<logs::TokenResponseRecord>,
}

impl TokenEndpoint for Transport {
    fn connect<'a>(
        &'a self,
        request: &'a TokenRequest,
        call: &CallContext,
    ) -> Result<Box<dyn TokenConnection + 'a>, FetchError> {
        // Before the permit: a log callback may take long.
        log::debug!(
            "requesting access token: url={} audience={:?}",
            request.token_url,
            request.audience
        );
        let exchange = ExchangeGuard::enter(call);
        match self.agents().connect(&request.token_url, &exchange) {
            Ok(connection) => Ok(Box::new(Connection {
                transport: self,
                request,
                connection: Some(connection),
                sent_at: None,
                received: None,
            })),
            Err(error) => {
                // The attempt counts as a request; see `RateLimiter::connection_failed`.
                self.stats.count_token_request();
                Err(self.connection_failed(request, &exchange, &error, call))
            }
        }
    }

    fn connection_settings(&self) -> ConnectionSettings {
        let mut hasher = DefaultHasher::new();
        self.agents().hash_proxy(&mut hasher);
        let config = self.config();
        (config.ca_file(), config.client_cert(), config.client_key()).hash(&mut hasher);
        ConnectionSettings(hasher.finish())
    }
}

impl Transport {
    /// Returns the error of a token request that got no response.
    fn connection_failed(
        &self,
        request: &TokenRequest,
        exchange: &ExchangeGuard,
        error: &ureq::Error,
        call: &CallContext,
    ) -> FetchError {
        if exchange.is_unconnected() {
            self.agents().clear_dns_cache();
        }
        if let Some(stopped) = stopped(exchange, call, &request.token_url) {
            return stopped;
        }
        let cause = if connect_error::is_permanent(error) {
            TokenErrorKind::Permanent
        } else if exchange.is_send_expired() {
            TokenErrorKind::PermitExpired
        } else {
            TokenErrorKind::Transient
        };
        let (kind, message) = connect_error::describe(error);
        let message = match connect_error::describe_proxy_error(&request.token_url, error) {
            Some(message) => format!("token request failed: {message}"),
            None => format!("token request to {} failed: {message}", request.token_url),
        };
        let FetchError { kind, error } = failed(cause, kind, message);
        let error = match kind {
            TokenErrorKind::Permanent => error.permanent(),
            _ => error,
        };
        FetchError { kind, error }
    }
}

/// Returns the error of an exchange that its call ended; `None` if it did not.
fn stopped(exchange: &ExchangeGuard, call: &CallContext, url: &str) -> Option<FetchError> {
    let stop = exchange.stopped()?;
    let activity = exchange.activity(url);
    Some(FetchError {
        kind: TokenErrorKind::Cancelled,
        error: call.stop_error_while(stop, Stage::Token, Outcome::NotSent, Some(&activity)),
    })
}

impl TokenConnection for Connection<'_> {
    fn is_open(&mut self) -> bool {
        let connection = self.connection.as_mut();
        connection.is_some_and(|connection| connection.is_open())
    }

    fn sent_at(&self) -> Option<Instant> {
        self.sent_at
    }

    fn send(
        &mut self,
        call: &CallContext,
        send_by: Option<Instant>,
    ) -> Result<TokenResponse, FetchError> {
        let request = self.request;
        let begun = Instant::now();
        let exchange = ExchangeGuard::enter(call);
        exchange.send_by(send_by);
        let response = self.send_in(&exchange).map_err(|error| {
            self.transport
                .connection_failed(request, &exchange, &error, call)
        })?;
        let status = response.status();
        let result = match response.is_success() {
            true => read_token(request, response, &exchange, call),
            false => {
                let redact = |text: &str| redacted_secret(request, text);
                Err(rejection(
                    request,
                    response.into_error_response(true, redact),
                ))
            }
        };
        self.received = Some(logs::TokenResponseRecord {
            status,
            bytes: exchange.received(),
            duration: begun.elapsed(),
        });
        result
    }

    fn log_response(&mut self) {
        if let Some(received) = self.received.take() {
            received.log(&self.request.token_url);
        }
    }
}

impl Connection<'_> {
    /// Sends the request in an exchange and reads the head of the response.
    fn send_in(&mut self, exchange: &ExchangeGuard) -> Result<Response, ureq::Error> {
        let (content_type, body) = body_of(self.request);
        if let Some(connection) = self.connection.take() {
            exchange.use_connection(connection);
        }
        let sent = self.transport.agents().send(HttpRequest {
            method: Method::Post,
            url: Url::Absolute(&self.request.token_url),
            authorization: None,
            body: Some((content_type, body.as_slice())),
            accept_encoding: UNCOMPRESSED,
            // So that ureq does not retry the request: it counts against the rate limit.
            new_connection: true,
        });
        self.sent_at = exchange.sent_at();
        if !exchange.is_send_expired() {
            self.transport.stats.count_token_request();
        }
        sent.map(|response| Response::new(response, MAX_BYTES))
    }
}

/// Reads the token of a 2xx response.
fn read_token(
    request: &TokenRequest,
    response: Response,
    exchange: &ExchangeGuard,
    call: &CallContext,
) -> Result<TokenResponse, FetchError> {
    let server_date = response.date();
    let is_html = response.is_html();
    let unsupported = response.unsupported_coding();
    let head = response.head().clone();
    let body = response.read().map_err(|error| {
        stopped(exchange, call, &request.token_url).unwrap_or_else(|| unreadable(request, &error))
    })?;
    parse_token_response(&body, server_date)
        .ok_or_else(|| without_token(request, &head, body, is_html, unsupported))
}

/// Returns the error of a 2xx response whose body could not be read.
fn unreadable(request: &TokenRequest, error: &BodyError) -> FetchError {
    let (kind, problem) = match error {
        BodyError::TooLarge { limit, .. } => (
            ErrorKind::Decode,
            format!("the response body exceeds {limit} bytes"),
        ),
        BodyError::ConnectionLost { error, .. } => (
            ErrorKind::Network,
            format!(
                "connection lost while reading the response body: {}",
                connect_error::describe_io(error)
            ),
        ),
        BodyError::Undecodable(_) | BodyError::Page { .. } | BodyError::Sink(_) => {
            unreachable!("the body is read without being decoded")
        }
    };
    let message = format!("token request to {} failed: {problem}", request.token_url);
    failed(TokenErrorKind::Transient, kind, message)
}

/// Returns the content type and body of a token request.
fn body_of(request: &TokenRequest) -> (&'static str, Zeroizing<Vec<u8>>) {
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", &request.client_id),
        ("client_secret", request.client_secret.expose()),
        ("audience", &request.audience),
    ];
    if let Some(scope) = &request.scope {
        fields.push(("scope", scope));
    }
    match request.format {
        TokenRequestFormat::Json => {
            let fields: std::collections::BTreeMap<_, _> = fields.into_iter().collect();
            let json = to_json(&fields).expect("strings are JSON");
            ("application/json", json.into_bytes())
        }
        TokenRequestFormat::Form => {
            let mut form = SecretBuffer::with_capacity(512);
            for (name, value) in fields {
                if !form.is_empty() {
                    form.push('&');
                }
                form.push_str(name);
                form.push('=');
                for piece in utf8_percent_encode(value, NON_ALPHANUMERIC) {
                    form.push_str(piece);
                }
            }
            ("application/x-www-form-urlencoded", form.into_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    use super::super::agent::Agents;
    use super::super::resolver::CachingResolver;
    use super::super::{Idempotency, Request};
    use super::*;
    use crate::abandonable::ThreadLimit;
    use crate::auth::{TokenCacheConfig, TokenProvider};
    use crate::call::CallOptions;
    use crate::config::Config;
    use crate::fork::PerProcess;
    use crate::secret::Secret;
    use crate::unreachable_ports::UnresponsivePort;

    /// Reads a request and responds with a token. Sends when the first byte arrived.
    fn respond(mut stream: TcpStream, arrived: &mpsc::Sender<Instant>) {
        let mut request = vec![0; 1];
        if stream.read_exact(&mut request).is_err() {
            return;
        }
        arrived.send(Instant::now()).unwrap();
        // The body is the last field of a JSON object without nested ones.
        while !request.ends_with(b"}") {
            let mut bytes = [0; 1024];
            let count = stream.read(&mut bytes).unwrap();
            assert_ne!(count, 0, "the request is complete");
            request.extend_from_slice(&bytes[..count]);
        }
        let body = r#"{"access_token":"a","expires_in":3600}"#;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).unwrap();
    }

    #[test]
    fn requests_are_apart_on_the_wire_after_a_slow_lookup() {
        const LOOKUP: Duration = Duration::from_secs(3);
        crate::limited::limit_this_process();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let (sender, arrived) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                thread::spawn(move || respond(stream.unwrap(), &sender));
            }
        });
        let config = Config::default();
        let lookups = Box::leak(Box::new(ThreadLimit::new("camunda-test", 4)));
        let resolver = CachingResolver::with(lookups, move |_| {
            thread::sleep(LOOKUP);
            Ok(vec![address])
        });
        let agents = Agents::with_resolver(&config, resolver).unwrap();
        let transport = Transport {
            agents: PerProcess::with(agents),
            ..Transport::new(config, None).unwrap()
        };
        let began = Instant::now();
        thread::scope(|scope| {
            for audience in ["a", "b", "c"] {
                let transport = &transport;
                scope.spawn(move || {
                    let request = TokenRequest {
                        audience: audience.to_owned(),
                        ..token_request(&format!("http://localhost:{}", address.port()))
                    };
                    let tokens = TokenProvider::credentials(request, &TokenCacheConfig::Memory);
                    let call = CallContext::start(&CallOptions::new(), Duration::from_secs(60));
                    tokens.unwrap().token(transport, &call).unwrap();
                });
            }
        });
        let mut arrived: Vec<_> = arrived.try_iter().collect();
        arrived.sort();
        assert_eq!(arrived.len(), 3);
        assert!(arrived[0].duration_since(began) >= LOOKUP);
        for pair in arrived.windows(2) {
            let apart = pair[1].duration_since(pair[0]);
            // The server's threads may notice an arrival late.
            assert!(apart >= Duration::from_millis(1_050), "{apart:?}");
        }
    }

    #[test]
    fn name_is_resolved_again_after_no_address_responded_before_the_deadline() {
        let silent = UnresponsivePort::new();
        let address = silent.address();
        let lookups = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&lookups);
        let threads = Box::leak(Box::new(ThreadLimit::new("camunda-test", 4)));
        let resolver = CachingResolver::with(threads, move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok(vec![address])
        });
        let origin = format!("http://localhost:{}", address.port());
        let mut config = Config::default();
        config.set("base_url", &origin).unwrap();
        let agents = Agents::with_resolver(&config, resolver).unwrap();
        let transport = Transport {
            agents: PerProcess::with(agents),
            ..Transport::new(config, None).unwrap()
        };
        let to_endpoint = token_request(&origin);
        let request = Request {
            operation: "test",
            method: Method::Get,
            path: "/".to_owned(),
            body: None,
            idempotency: Idempotency::Safe,
            authenticated: false,
            hint: None,
            secret_response: false,
            one_time_response: false,
            documented_rejections: &[],
            secret_fields: Vec::new(),
        };
        // Longer than the start of a lookup takes.
        let options = CallOptions::new().timeout(Duration::from_secs(1));
        for expected in 1..=3 {
            let call = CallContext::start(&options, Duration::from_secs(60));
            let kind = match expected % 2 {
                0 => transport
                    .connect(&to_endpoint, &call)
                    .err()
                    .unwrap()
                    .error
                    .kind(),
                _ => transport
                    .send(&request, &call, &mut |_| Ok(()))
                    .unwrap_err()
                    .kind(),
            };
            assert_eq!(kind, ErrorKind::Timeout);
            assert_eq!(lookups.load(Ordering::SeqCst), expected);
        }
    }

    fn origin_of(listener: &TcpListener) -> String {
        format!("http://{}", listener.local_addr().unwrap())
    }

    fn token_request(origin: &str) -> TokenRequest {
        TokenRequest {
            token_url: format!("{origin}/oauth/token"),
            client_id: "client".to_owned(),
            client_secret: Secret::from("hunter2"),
            audience: "a".to_owned(),
            scope: None,
            format: TokenRequestFormat::Json,
        }
    }

    #[test]
    fn send_sends_nothing_after_its_permit_expired() {
        crate::limited::limit_this_process();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let transport = Transport::new(Config::default(), None).unwrap();
        let request = token_request(&origin_of(&listener));
        let call = CallContext::start(&CallOptions::new(), Duration::from_secs(60));
        let mut connection = transport.connect(&request, &call).unwrap();
        let error = connection.send(&call, Some(Instant::now())).unwrap_err();
        assert_eq!(error.kind, TokenErrorKind::PermitExpired);
        assert_eq!(connection.sent_at(), None);
        assert!(!connection.is_open());
        drop(connection);
        assert_eq!(transport.stats().token_requests, 0);
        let mut received = Vec::new();
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_to_end(&mut received).unwrap();
        assert_eq!(received, b"");
    }

    /// Responds to a token request, and returns the error.
    fn error_of(status: u16, body: &str) -> FetchError {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let transport = Transport::new(Config::default(), None).unwrap();
        let request = token_request(&origin_of(&listener));
        let call = CallContext::start(&CallOptions::new(), Duration::from_secs(60));
        let length = body.len();
        let response = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{body}");
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = listener.accept().unwrap().0;
                let mut received = Vec::new();
                while !received.ends_with(b"}") {
                    let mut bytes = [0; 1024];
                    let count = stream.read(&mut bytes).unwrap();
                    assert_ne!(count, 0, "the request is complete");
                    received.extend_from_slice(&bytes[..count]);
                }
                stream.write_all(response.as_bytes()).unwrap();
            });
            let mut connection = transport.connect(&request, &call).unwrap();
            connection.send(&call, None).unwrap_err()
        })
    }

    #[test]
    fn error_is_classified_by_its_status_and_code() {
        use TokenErrorKind::{InvalidClient, InvalidRequest, Permanent, Transient};

        crate::limited::limit_this_process();
        for (status, body, expected) in [
            (401, "", (InvalidClient, ErrorKind::Authentication)),
            (
                404,
                r#"{"message":"no route"}"#,
                (InvalidRequest, ErrorKind::Config),
            ),
            (415, "{}", (InvalidRequest, ErrorKind::Config)),
            // Of a gateway, or of a server that requires a client certificate.
            (404, "default backend - 404", (Permanent, ErrorKind::Config)),
            (405, "", (Permanent, ErrorKind::Config)),
            (400, "<html>", (Permanent, ErrorKind::Config)),
            (
                400,
                r#"{"error":"invalid_scope"}"#,
                (InvalidRequest, ErrorKind::Config),
            ),
            (302, "", (Permanent, ErrorKind::Config)),
            (500, "", (Transient, ErrorKind::Service)),
            (
                400,
                r#"{"error":"server_error"}"#,
                (Transient, ErrorKind::Service),
            ),
            // Some servers respond to an invalid request with 200.
            (
                200,
                r#"{"error":"invalid_client","error_description":"no hunter2"}"#,
                (InvalidClient, ErrorKind::Authentication),
            ),
            (
                200,
                r#"{"error":"unsupported_grant_type"}"#,
                (InvalidRequest, ErrorKind::Config),
            ),
            (
                200,
                r#"{"error":"temporarily_unavailable"}"#,
                (Transient, ErrorKind::Service),
            ),
            (200, r#"{"error":null}"#, (Transient, ErrorKind::Decode)),
            (200, "{}", (Transient, ErrorKind::Decode)),
        ] {
            let FetchError { kind, error } = error_of(status, body);
            assert_eq!((kind, error.kind()), expected, "{status} {body}");
            let text = error.to_string();
            assert!(!text.contains("hunter2"), "{text}");
            let shows_status = text.contains(&format!("HTTP {status}"));
            assert_eq!(shows_status, error.kind() != ErrorKind::Decode, "{text}");
        }
    }

    #[test]
    fn connection_settings_differ_by_proxy_and_certificates() {
        let of = |settings: &[(&str, &str)]| {
            let mut config = Config::default();
            for (key, value) in settings {
                config.set(key, value).unwrap();
            }
            let transport = Transport::new(config, None).unwrap();
            transport.connection_settings()
        };
        let directory = tempfile::tempdir().unwrap();
        let certificate = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let ca_file = directory.path().join("ca.pem");
        std::fs::write(&ca_file, certificate.cert.pem()).unwrap();
        let all = [
            of(&[]),
            of(&[("proxy", "http://one:3128")]),
            of(&[("proxy", "http://two:3128")]),
            of(&[("proxy", "http://user:a@one:3128")]),
            of(&[("ca_file", ca_file.to_str().unwrap())]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}");
        }
        assert_eq!(of(&[("proxy", "http://one:3128")]), all[1]);
        assert_eq!(of(&[("timeout", "5")]), all[0]);
    }
}
