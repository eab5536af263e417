//! Sends token requests (OAuth 2.0 client credentials grant, RFC 6749, section 4.4) and parses the
//! responses. `auth` decides when.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Instant, SystemTime};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::agent::{HttpRequest, Url};
use super::connect_error;
use super::exchange::ExchangeGuard;
use super::redaction::redacted;
use super::response::{BodyError, ErrorResponse, Response, is_markup, reason, strip_bom};
use super::{Method, Transport, UNCOMPRESSED, logs};
use crate::auth::{
    ConnectionSettings, FetchError, TokenConnection, TokenEndpoint, TokenErrorKind, TokenRequest,
    TokenRequestFormat, TokenResponse,
};
use crate::call::CallContext;
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::secret::{Secret, SecretBuffer, Zeroizing, to_json};

/// Maximum size of a token response, in bytes; a token has a few thousand.
const MAX_BYTES: u64 = 1024 * 1024;

/// The fields of a token response (RFC 6749, section 5.1) that are used.
#[derive(Deserialize)]
struct AccessTokenResponse {
    access_token: Secret,
    #[serde(default)]
    expires_in: serde_json::Value,
}

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
        } else if exchange.sent() {
            TokenErrorKind::Transient
        } else if exchange.is_send_expired() {
            TokenErrorKind::PermitExpired
        } else {
            TokenErrorKind::NotSent
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

fn failed(cause: TokenErrorKind, kind: ErrorKind, message: String) -> FetchError {
    FetchError {
        kind: cause,
        error: Error::new(kind, Stage::Token, Outcome::NotSent, message),
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
    parse_token_response(&body, server_date).ok_or_else(|| {
        // Some servers respond to an invalid request with 200.
        if error_code(&body).is_some() && !has_token(&body) {
            let redact = |text: &str| redacted_secret(request, text);
            return rejection(request, ErrorResponse::new(&head, body, true, redact));
        }
        let what = if is_html || is_markup(&body) {
            "an HTML page"
        } else {
            "a body that is not a token response in JSON"
        };
        let mut message = format!("token request to {}: received {what}", request.token_url);
        if let Some(problem) = unsupported {
            message = format!("{message}; {problem}");
        }
        failed(TokenErrorKind::Transient, ErrorKind::Decode, message)
    })
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

fn redacted_secret(request: &TokenRequest, text: &str) -> String {
    redacted(text, std::iter::once(request.client_secret.expose()))
}

/// Returns the error of an error response.
fn rejection(request: &TokenRequest, response: ErrorResponse) -> FetchError {
    let FetchError { kind, error } = described_rejection(request, &response);
    let error = error
        .with_http_status(response.status)
        .with_server_message(response.message)
        .with_retry_after(response.retry_after)
        .with_request_id(response.request_id);
    FetchError { kind, error }
}

/// Returns the error of an error response, without its fields.
fn described_rejection(request: &TokenRequest, response: &ErrorResponse) -> FetchError {
    let status = response.status;
    let message = response.message.as_deref();
    let message = message.unwrap_or_else(|| reason(status));
    let code = error_code(&response.body);
    // Anything but JSON is the page of a gateway, or of a server that requires a client certificate: it
    // does not concern clients that connect in another way, or later.
    let is_from_endpoint = serde_json::from_slice::<IgnoredAny>(strip_bom(&response.body)).is_ok();
    let rejected = match status {
        300..400 => TokenErrorKind::Permanent,
        _ if is_from_endpoint => TokenErrorKind::InvalidRequest,
        _ => TokenErrorKind::Permanent,
    };
    // Of a 2xx response with an error, the code says what it means.
    let meaning = match status {
        200..300 => 400,
        _ => status,
    };
    match meaning {
        429 => failed(
            TokenErrorKind::RateLimited {
                retry_after: response.retry_after,
            },
            ErrorKind::RateLimited,
            format!("token endpoint: rate limited (HTTP 429): {message}"),
        ),
        _ if is_transient(meaning, code.as_deref()) => failed(
            TokenErrorKind::Transient,
            ErrorKind::Service,
            format!("token endpoint: failed with HTTP {status}: {message}"),
        ),
        _ if concerns_credentials(meaning, code.as_deref()) => failed(
            TokenErrorKind::InvalidClient,
            ErrorKind::Authentication,
            format!(
                "token endpoint rejected the client credentials (HTTP {status}): {message}; \
                 check client id, client secret and audience ({})",
                request.audience
            ),
        ),
        400 | 415 | 422 => failed(
            rejected,
            ErrorKind::Config,
            format!(
                "token request: rejected with HTTP {status}{}: {message}; {}",
                match &code {
                    Some(code) if code != message => format!(" ({code})"),
                    _ => String::new(),
                },
                advice(code.as_deref(), request.format)
            ),
        ),
        _ => failed(
            rejected,
            ErrorKind::Config,
            format!(
                "token request to {} failed: unexpected HTTP {status}: {message}; \
                 check `oauth_url`",
                request.token_url
            ),
        ),
    }
}

/// Returns whether a body has an access token, which may be unusable.
fn has_token(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct TokenResponse {
        #[serde(rename = "access_token")]
        _access_token: IgnoredAny,
    }
    serde_json::from_slice::<TokenResponse>(strip_bom(body)).is_ok()
}

/// Returns the `error` code of an error response of a token endpoint (RFC 6749, section 5.2), or
/// `None` if it has none.
fn error_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct ErrorResponse {
        error: String,
    }
    let code = serde_json::from_slice::<ErrorResponse>(strip_bom(body))
        .ok()?
        .error;
    let is_code = !code.is_empty()
        && code.len() <= 60
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    is_code.then_some(code)
}

/// Returns whether an error response is about the state of the server. Some servers send the codes of the
/// authorization endpoint (RFC 6749, section 4.1.2.1), which cannot respond with 5xx, from the token
/// endpoint with 400 too.
fn is_transient(status: u16, code: Option<&str>) -> bool {
    matches!(status, 408 | 500..)
        || status == 400 && matches!(code, Some("server_error" | "temporarily_unavailable"))
}

/// Returns whether an error response rejects the credentials, as opposed to the request.
fn concerns_credentials(status: u16, code: Option<&str>) -> bool {
    matches!(status, 401 | 403)
        || status == 400
            && matches!(
                code,
                Some("invalid_client" | "invalid_grant" | "unauthorized_client" | "access_denied")
            )
}

/// Returns what to check after a token endpoint rejected the request.
fn advice(code: Option<&str>, format: TokenRequestFormat) -> &'static str {
    match (code, format) {
        (Some("invalid_scope"), _) => "check `scope`",
        (Some("invalid_target"), _) => "check `audience`",
        (_, TokenRequestFormat::Json) => {
            "many OAuth servers accept forms only: set `token_request_format` to `form`"
        }
        (_, TokenRequestFormat::Form) => {
            "check `audience`, `scope` and `token_request_format`, which is `form`"
        }
    }
}

/// Parses a token response. Returns `None` without the parser's message if it is invalid, because
/// that message can contain a part of the token.
pub(super) fn parse_token_response(
    body: &[u8],
    server_date: Option<SystemTime>,
) -> Option<TokenResponse> {
    let response: AccessTokenResponse = serde_json::from_slice(strip_bom(body)).ok()?;
    let expires_in = match &response.expires_in {
        serde_json::Value::Number(seconds) => seconds.as_f64(),
        serde_json::Value::String(seconds) => seconds.trim().parse().ok(),
        _ => None,
    };
    Some(TokenResponse {
        access_token: response.access_token,
        expires_in,
        server_date,
    })
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

    #[test]
    fn concerns_credentials_depends_on_status_and_error_code() {
        for (status, body, expected) in [
            (401, "", true),
            (403, "no", true),
            (401, r#"{"error":"invalid_request"}"#, true),
            (400, r#"{"error":"invalid_client"}"#, true),
            (400, r#"{"error":"invalid_grant"}"#, true),
            (400, r#"{"error":"unauthorized_client"}"#, true),
            (
                400,
                r#"{"error":"access_denied","error_description":"Unauthorized"}"#,
                true,
            ),
            (400, r#"{"error":"invalid_request"}"#, false),
            (400, r#"{"error":"unsupported_grant_type"}"#, false),
            (400, r#"{"error":"invalid_scope"}"#, false),
            (400, r#"{"error":"invalid_target"}"#, false),
            (400, r#"{"message":"the name is too long"}"#, false),
            (400, "Bad Request", false),
            (404, r#"{"error":"invalid_client"}"#, false),
            (415, "", false),
            (302, "", false),
        ] {
            let code = error_code(body.as_bytes());
            assert_eq!(
                concerns_credentials(status, code.as_deref()),
                expected,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn is_transient_depends_on_status_and_error_code() {
        for (status, code, expected) in [
            (400, Some("temporarily_unavailable"), true),
            (400, Some("server_error"), true),
            (400, Some("invalid_request"), false),
            (400, None, false),
            (401, Some("temporarily_unavailable"), false),
            (404, Some("server_error"), false),
            (408, None, true),
            (499, None, false),
            (500, None, true),
            (503, Some("invalid_client"), true),
        ] {
            assert_eq!(is_transient(status, code), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn error_code_is_a_short_identifier() {
        for (body, expected) in [
            (r#"{"error":"invalid_request"}"#, Some("invalid_request")),
            (
                "\u{feff}{\"error\":\"invalid_scope\"}",
                Some("invalid_scope"),
            ),
            (r#"{"error":"two message"}"#, None),
            (r#"{"error":{"message":"x"}}"#, None),
            (r#"{"error":""}"#, None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(error_code(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
