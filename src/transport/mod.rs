//! HTTP transport: sends one request with its access token, within its deadline, and retries it.
//!
//! The only module that uses ureq. It gets tokens from `auth`, and receives an operation as a method,
//! a path and an [`Idempotency`]. Must not depend on `api`.

mod agent;
mod buffers;
#[cfg(feature = "doctor")]
pub(crate) mod certificate;
mod connect_error;
mod exchange;
#[cfg(any(test, fuzzing))]
#[path = "../fuzzing/transport.rs"]
pub(crate) mod fuzzing;
pub(crate) mod logs;
mod pem;
mod pool;
#[cfg(feature = "doctor")]
pub(crate) mod probe;
mod resolver;
mod response;
mod response_head;
mod retry;
mod socket;
mod stats;
mod tls;
mod token_endpoint;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use crate::auth::{StoreTls, Token, TokenCacheConfig, TokenProvider};
use crate::call::CallContext;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Outcome, Result, Stage, string_enum};
use crate::fork::PerProcess;
use crate::random;
use crate::secret::{Secret, Zeroizing};

use agent::{Agents, Url};
use exchange::ExchangeGuard;
use response::Response;
pub(crate) use response::{is_markup, strip_bom};
use retry::{Decision, Failure, RetryState};

pub use stats::Stats;

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads a resource.
    Get,
    /// Creates a resource or starts an action.
    Post,
    /// Replaces a resource or a setting.
    Put,
    /// Changes a part of a resource.
    Patch,
    /// Deletes a resource.
    Delete,
}

string_enum! { Method {
    Get = "GET",
    Post = "POST",
    Put = "PUT",
    Patch = "PATCH",
    Delete = "DELETE",
} }

/// Idempotency of a request, which determines when the client retries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Changes nothing (RFC 9110, section 9.2.1): retried after transient errors.
    Safe,
    /// Has the same effect if executed more than once (RFC 9110, section 9.2.2): retried after
    /// transient errors.
    Idempotent,
    /// Can have another effect each time it is executed: retried only if no byte of the request was
    /// sent.
    NonIdempotent,
}

string_enum! { Idempotency {
    Safe = "safe",
    Idempotent = "idempotent",
    NonIdempotent = "non_idempotent",
} }

/// The value of `Accept-Encoding` that accepts a compressed response.
const COMPRESSED: &str = "gzip";
/// The value of `Accept-Encoding` that requests a response without compression.
const UNCOMPRESSED: &str = "identity";

/// A request, described by its operation.
pub(crate) struct Request<'a> {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    /// Path and query, percent-encoded.
    pub(crate) path: String,
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
    pub(crate) idempotency: Idempotency,
    pub(crate) authenticated: bool,
    pub(crate) hint: Option<&'static str>,
    /// Whether the response contains secrets: it is requested without compression, because a
    /// decompressor keeps copies.
    pub(crate) secret_response: bool,
    /// Whether the API returns the response only once: it is requested without compression, and an
    /// error contains every byte of it that was received.
    pub(crate) one_time_response: bool,
    /// Error responses that the API documents for the operation: HTTP status and reason. After one of
    /// these with a 5xx status the operation was not executed.
    pub(crate) documented_rejections: &'a [(u16, &'static str)],
    /// Fields of the body that are secret strings.
    pub(crate) secret_fields: Vec<&'static str>,
}

impl Request<'_> {
    /// Returns the secrets in the body.
    fn secrets(&self) -> Vec<Secret> {
        let Some(body) = self
            .body
            .as_ref()
            .filter(|_| !self.secret_fields.is_empty())
        else {
            return Vec::new();
        };
        let mut fields: BTreeMap<String, Secret> = serde_json::from_slice(body).unwrap_or_default();
        self.secret_fields
            .iter()
            .filter_map(|name| fields.remove(*name))
            .collect()
    }
}

/// Returns the token stores of a configuration, with its TLS settings for those that need them.
///
/// # Errors
///
/// [`ErrorKind::Config`] if a certificate or key cannot be used.
pub(crate) fn token_cache_config(config: &Config) -> Result<TokenCacheConfig> {
    let mut choice = config.token_cache().clone();
    if let TokenCacheConfig::Redis { url, tls, .. } = &mut choice
        && (url.expose().starts_with("rediss:") || url.expose().starts_with("valkeys:"))
    {
        *tls = Some(StoreTls {
            config: tls::client_config(config)?,
            id: tls::identity(config)?,
        });
    }
    Ok(choice)
}

/// The HTTP connections, counters and token provider that all clones of a client share.
#[derive(Debug)]
pub(crate) struct Transport {
    config: Config,
    /// One set per process: a forked child must not use the sockets of its parent.
    agents: PerProcess<Agents>,
    tokens: Option<TokenProvider>,
    stats: stats::Counters,
}

impl Transport {
    /// Creates a transport. Sends no request and opens no connection.
    pub(crate) fn new(config: Config, tokens: Option<TokenProvider>) -> Result<Self> {
        let agents = PerProcess::with(Agents::new(&config)?);
        Ok(Transport {
            config,
            agents,
            tokens,
            stats: Default::default(),
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn tokens(&self) -> Option<&TokenProvider> {
        self.tokens.as_ref()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats.read()
    }

    /// Sends a request, reads the response to its end and decodes it.
    pub(crate) fn send<T>(
        &self,
        request: &Request<'_>,
        call: &CallContext,
        decode: impl Fn(Zeroizing<Vec<u8>>) -> Result<T>,
    ) -> Result<T> {
        self.send_and_consume(
            request,
            call,
            |response| {
                let unsupported = response.unsupported_coding();
                let body = response.read()?;
                if response::is_markup(&body) {
                    return Err(response::BodyError::Page { body });
                }
                decode(body).map_err(|error| {
                    response::BodyError::Undecodable(match unsupported {
                        Some(problem) => error.with_note(problem),
                        None => error,
                    })
                })
            },
            || decode(Zeroizing::default()).ok(),
        )
    }

    /// Sends a request and writes the response to `sink` as it arrives. CSV inside a JSON string is
    /// decoded. Does not retry after a part of the response was written.
    pub(crate) fn stream(
        &self,
        request: &Request<'_>,
        call: &CallContext,
        sink: &mut dyn Write,
    ) -> Result<()> {
        self.send_and_consume(request, call, |response| response.copy_csv(sink), || None)
    }

    /// Sends a request until it succeeds or is not retryable. `consume` makes the result from a
    /// response. `without_response` makes the result of an operation that was executed but whose
    /// response was lost; it returns `None` if the result cannot be made without the response.
    fn send_and_consume<T>(
        &self,
        request: &Request<'_>,
        call: &CallContext,
        mut consume: impl FnMut(Response) -> Result<T, response::BodyError>,
        without_response: impl Fn() -> Option<T>,
    ) -> Result<T> {
        self.stats.count_call();
        let mut retry_state = RetryState::new(request.idempotency);
        let mut replaced_token = false;
        let mut deleted = false;
        let error = loop {
            let token = match self.token_for(request, call) {
                Ok(token) => token,
                Err(error) => break error,
            };
            if let Err(stop) = call.check() {
                break call.stop_error(stop, Stage::Request, Outcome::NotSent);
            }
            let attempt = self.attempt(
                request,
                token.as_ref(),
                call,
                &mut retry_state,
                &mut consume,
            );
            let (failure, error) = match attempt {
                Ok(consumed) => return Ok(consumed),
                Err(failed) => failed,
            };
            if failure == Failure::Absent && retry_state.may_have_been_applied() {
                if let Some(result) = without_response() {
                    logs::applied_earlier(request.operation, retry_state.attempts(), &error);
                    return Ok(result);
                }
                deleted = true;
                break error;
            }
            let outcome = retry_state.merge_outcome(error.outcome());
            if let (Failure::Status { status: 401, .. }, Some(token), Some(tokens)) =
                (&failure, &token, &self.tokens)
            {
                if tokens.is_supplied() {
                    break error.with_note(supplied_token_rejected(token));
                }
                tokens.invalidate(token, call);
                // A 401 means that the operation was not executed, but a non-idempotent one is retried
                // only if nothing was sent: it could create a second resource, which costs money.
                if !replaced_token && request.idempotency != Idempotency::NonIdempotent {
                    log::debug!(
                        "access token rejected, requesting another: operation={:?} attempt={} \
                         status=401",
                        request.operation,
                        retry_state.attempts(),
                    );
                    replaced_token = true;
                    continue;
                }
            }
            match retry_state.decide(&failure, call.remaining(), random::jitter) {
                Decision::Stop => break error,
                Decision::RetryAfter(pause) => {
                    self.stats.count_retry();
                    logs::retry(request.operation, retry_state.attempts(), pause, &error);
                    if let Err(stop) = call.sleep(pause) {
                        break call.stop_error(stop, Stage::Request, outcome);
                    }
                }
            }
        };
        let error = match (deleted, request.idempotency) {
            (true, _) => error
                .prefixed("already deleted, by an attempt of this call whose response was lost")
                .with_outcome(Outcome::Completed)
                .of_change("do not repeat it"),
            (_, Idempotency::Safe) => {
                let outcome = retry_state.merge_outcome(error.outcome());
                error.with_outcome(outcome)
            }
            (_, idempotency) => {
                let outcome = retry_state.merge_outcome(error.outcome());
                let hint = request.hint.unwrap_or(match idempotency {
                    Idempotency::NonIdempotent => "check it before repeating it",
                    _ => "it is safe to repeat it",
                });
                error.with_outcome(outcome).of_change(hint)
            }
        };
        let error = error
            .with_operation(request.operation)
            .with_request(request.method.as_str(), &request.path)
            .with_attempts(retry_state.attempts())
            .with_elapsed(call.started().elapsed());
        logs::failure(request.operation, &error);
        Err(error)
    }

    fn agents(&self) -> &Agents {
        self.agents.inherit(Agents::clone_for_child)
    }

    fn token_for(&self, request: &Request<'_>, call: &CallContext) -> Result<Option<Token>> {
        match &self.tokens {
            _ if !request.authenticated => Ok(None),
            Some(tokens) => {
                self.stats.count_token_call();
                tokens.token(self, call).map(Some)
            }
            None => Err(Error::config(
                "no credentials: set `client_id` and `client_secret` \
                 (CAMUNDA_CONSOLE_CLIENT_ID, CAMUNDA_CONSOLE_CLIENT_SECRET)",
            )),
        }
    }

    /// Sends the request once.
    fn attempt<T>(
        &self,
        request: &Request<'_>,
        token: Option<&Token>,
        call: &CallContext,
        retry_state: &mut RetryState,
        consume: &mut impl FnMut(Response) -> Result<T, response::BodyError>,
    ) -> Result<T, (Failure, Error)> {
        let agents = self.agents();
        let begun = Instant::now();
        let exchange = ExchangeGuard::enter(call);
        if request.one_time_response {
            exchange.capture(self.config.max_response_bytes());
        }
        let sent = agents.send(
            request.method,
            Url::Api(&request.path),
            token.map(Token::authorization),
            request
                .body
                .as_ref()
                .map(|body| ("application/json", body.as_slice())),
            match request.secret_response || request.one_time_response {
                true => UNCOMPRESSED,
                false => COMPRESSED,
            },
            request.idempotency == Idempotency::NonIdempotent,
        );
        if exchange.sent() {
            self.stats.count_request();
            retry_state.count_attempt();
            call.count_request();
        }
        let response = sent.map_err(|error| {
            self.stats
                .count_bytes(exchange.written(), exchange.received());
            self.connection_error(request, &exchange, error, call, agents)
        })?;
        let response = Response::new(response, self.config.max_response_bytes());
        if let Some(token) = token
            && response.status() != 401
        {
            token.accepted();
        }
        let status = response.status();
        let request_id = match log::log_enabled!(log::Level::Debug) {
            true => response
                .request_id()
                .map(|id| self.redact(id, request, token)),
            false => None,
        };
        let log = |exchange: &ExchangeGuard| {
            self.stats
                .count_bytes(exchange.written(), exchange.received());
            let record = logs::ResponseRecord {
                status,
                bytes: exchange.received(),
                duration: begun.elapsed(),
                attempt: retry_state.attempts(),
                request_id: request_id.as_deref(),
            };
            record.log(request);
        };
        if response.is_success() {
            let html = response.is_html();
            let result = if html {
                let page = response.read();
                page.and_then(|body| Err(response::BodyError::Page { body }))
            } else {
                consume(response)
            };
            log(&exchange);
            return result.map_err(|failure| {
                let (failure, content) = self.with_captured_body(failure, &exchange);
                let (failure, error) =
                    self.body_error(request, &exchange, failure, call, status, html);
                match content {
                    Some(content) => {
                        let note = format!("the error's body has {content}");
                        (failure, error.with_note(note))
                    }
                    None => (failure, error),
                }
            });
        }
        let error_response = response.into_error_response(request.secret_response, |text| {
            self.redact(text, request, token)
        });
        log(&exchange);
        Err(status_error(request, error_response))
    }

    /// Returns the error of a request that got no response: the connection was lost, or was not
    /// established.
    fn connection_error(
        &self,
        request: &Request<'_>,
        exchange: &ExchangeGuard,
        error: ureq::Error,
        call: &CallContext,
        agents: &Agents,
    ) -> (Failure, Error) {
        let outcome = if exchange.sent() {
            Outcome::Unknown
        } else {
            Outcome::NotSent
        };
        if let Some(stop) = exchange.stopped() {
            let activity = exchange.activity(self.config.base_url());
            return (
                Failure::NotRetryable,
                call.stop_error_while(stop, Stage::Request, outcome, Some(&activity)),
            );
        }
        if !exchange.sent() {
            agents.clear_dns_cache();
        }
        let (kind, message) = connect_error::describe(&error);
        let message = match (exchange.sent(), kind) {
            (true, _) => format!("connection lost before the response: {message}"),
            (false, ErrorKind::Network) => {
                connect_error::describe_connect_error(self.config.base_url(), &error)
            }
            (false, _) => message,
        };
        let failure = match (kind, exchange.sent()) {
            (ErrorKind::Network, _) if connect_error::is_permanent(&error) => Failure::NotRetryable,
            (ErrorKind::Network, true) => Failure::ConnectionLost,
            (ErrorKind::Network, false) => Failure::NotSent,
            _ => Failure::NotRetryable,
        };
        debug_assert!(request.path.starts_with('/'));
        // A response with invalid headers can have a body.
        let arrived = exchange
            .captured()
            .and_then(|wire| response::salvage(&wire, self.config.max_response_bytes()));
        let message = match &arrived {
            Some(_) => {
                format!("{message}; the error's body has what was received after the headers")
            }
            None => message,
        };
        let permanent = failure == Failure::NotRetryable;
        let mut error = Error::new(kind, Stage::Request, outcome, message).with_underlying(error);
        if permanent {
            error = error.permanent();
        }
        match arrived {
            Some(arrived) => (failure, error.with_body(arrived.body)),
            None => (failure, error),
        }
    }

    /// Replaces the decoded part of a one-time response by every byte of its body that was received.
    /// Returns also what the body of the error then has.
    fn with_captured_body(
        &self,
        mut failure: response::BodyError,
        exchange: &ExchangeGuard,
    ) -> (response::BodyError, Option<&'static str>) {
        let response::BodyError::ConnectionLost { body, .. } = &mut failure else {
            return (failure, None);
        };
        let Some(wire) = exchange.captured() else {
            return (failure, None);
        };
        let salvaged = response::salvage(&wire, self.config.max_response_bytes());
        let content = match &salvaged {
            Some(salvaged) if salvaged.compressed => {
                "what was received of the response, compressed with gzip"
            }
            Some(salvaged) if salvaged.decompressed => "what could be decompressed of the response",
            _ => "what was received of the response",
        };
        if let Some(salvaged) = salvaged {
            *body = salvaged.body;
        }
        (failure, Some(content))
    }

    /// Returns the error of a 2xx response whose body could not be read or decoded.
    fn body_error(
        &self,
        request: &Request<'_>,
        exchange: &ExchangeGuard,
        failure: response::BodyError,
        call: &CallContext,
        status: u16,
        html: bool,
    ) -> (Failure, Error) {
        let html = html
            || match &failure {
                response::BodyError::Page { .. } => true,
                response::BodyError::ConnectionLost { body, .. }
                | response::BodyError::TooLarge { body, .. } => response::is_markup(body),
                response::BodyError::Undecodable(_) | response::BodyError::Sink(_) => false,
            };
        // 2xx: the operation was executed, only its response is unusable. Exception: an HTML page
        // comes from a gateway or portal, so the outcome is unknown.
        let outcome = if html {
            Outcome::Unknown
        } else {
            Outcome::Completed
        };
        let (failure, error) = match failure {
            response::BodyError::Undecodable(error) => (Failure::NotRetryable, error),
            response::BodyError::Page { body } => (
                Failure::NotRetryable,
                Error::new(
                    ErrorKind::Decode,
                    Stage::Decode,
                    outcome,
                    "received an HTML page instead of the API's response, probably from a proxy or a login portal",
                )
                .with_body(body),
            ),
            response::BodyError::ConnectionLost {
                error,
                body,
                partly_written,
            } => {
                // The result of a safe request is its response, so without it nothing was completed.
                let outcome = match request.idempotency {
                    Idempotency::Safe => Outcome::Unknown,
                    _ => outcome,
                };
                let (failure, error) = match exchange.stopped() {
                    Some(stop) => {
                        let activity = format!("receiving the response of {}", self.config.base_url());
                        let error = call.stop_error_while(stop, Stage::Request, outcome, Some(&activity));
                        (Failure::NotRetryable, error)
                    }
                    None => (
                        // A retry would write the response to the sink again from its beginning.
                        if partly_written {
                            Failure::NotRetryable
                        } else {
                            Failure::ConnectionLost
                        },
                        Error::new(
                            ErrorKind::Network,
                            Stage::Request,
                            outcome,
                            format!(
                                "connection lost while reading the response body: {}",
                                connect_error::describe_io(&error)
                            ),
                        )
                        .with_underlying(error),
                    ),
                };
                (failure, error.with_body(body))
            }
            response::BodyError::TooLarge { limit, body } => (
                Failure::NotRetryable,
                Error::new(
                    ErrorKind::Decode,
                    Stage::Decode,
                    outcome,
                    format!("the response body exceeds the limit of {limit} bytes; increase `max_response_bytes`"),
                )
                .permanent()
                .with_body(body),
            ),
            response::BodyError::Sink(error) => (
                Failure::NotRetryable,
                Error::new(
                    ErrorKind::Io,
                    Stage::Decode,
                    outcome,
                    format!("the response cannot be written to its destination: {error}"),
                )
                .with_underlying(error),
            ),
        };
        (failure, error.with_http_status(status))
    }

    /// Replaces the client secret, the access token and the secrets of the request in a server's
    /// message, in case that it quotes them.
    fn redact(&self, text: &str, request: &Request<'_>, token: Option<&Token>) -> String {
        let client_secret = self.tokens.as_ref().and_then(TokenProvider::client_secret);
        let client_secret = client_secret.as_ref().map(|secret| secret.expose());
        let sent = request.secrets();
        let sent = sent
            .iter()
            .map(Secret::expose)
            .filter(|secret| secret.len() >= MIN_REDACTED_LEN);
        redacted(
            text,
            client_secret
                .into_iter()
                .chain(token.map(Token::expose))
                .chain(sent),
        )
    }
}

/// Minimum length in bytes of a secret of a request that is redacted in messages: a shorter one is
/// likely to be a part of other words.
const MIN_REDACTED_LEN: usize = 4;

/// Replaces secrets in a text.
fn redacted<'a>(text: &str, secrets: impl Iterator<Item = &'a str>) -> String {
    let mut text = Zeroizing::new(text.to_owned());
    for secret in secrets.filter(|secret| !secret.is_empty()) {
        if text.contains(secret) {
            text = Zeroizing::new(text.replace(secret, "…"));
        }
    }
    std::mem::take(&mut *text)
}

/// Returns the detail of the error of a request with a supplied token that the API rejected.
fn supplied_token_rejected(token: &Token) -> &'static str {
    match token.expires_at() <= SystemTime::now() {
        true => "the access token in `access_token` has expired; set a new one",
        false => "the API rejected the access token in `access_token`; set a new one",
    }
}

/// Returns the error of a response with a status other than 2xx.
fn status_error(
    request: &Request<'_>,
    error_response: response::ErrorResponse,
) -> (Failure, Error) {
    let response::ErrorResponse {
        status,
        message,
        body,
        retry_after,
        request_id,
        from_api,
    } = error_response;
    let documented = from_api
        && request
            .documented_rejections
            .iter()
            .any(|(known, _)| *known == status);
    let documents = |status, reason| request.documented_rejections.contains(&(status, reason));
    let outcome = match status {
        // A gateway can send 5xx after the API executed the operation, a redirect (303, for example)
        // can lead to the result of an executed one, and after 101 comes another protocol.
        ..400 | 500.. if request.idempotency != Idempotency::Safe && !documented => {
            Outcome::Unknown
        }
        _ => Outcome::Rejected,
    };
    let kind = match status {
        401 => ErrorKind::Authentication,
        403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        412 => ErrorKind::NotReady,
        429 => ErrorKind::RateLimited,
        400..=499 => ErrorKind::InvalidRequest,
        500.. => ErrorKind::Service,
        // 101 is the only 1xx status that is returned as a final response. A redirect is never
        // followed: that could send the credentials to another host.
        _ => ErrorKind::Network,
    };
    let text = match &message {
        Some(message) => message.clone(),
        None if (300..400).contains(&status) => "a redirect, which is never followed".to_owned(),
        None => response::reason(status).to_owned(),
    };
    let error = Error::new(kind, Stage::Request, outcome, text)
        .with_http_status(status)
        .with_server_message(message)
        .with_body(body)
        .with_retry_after(retry_after)
        .with_request_id(request_id);
    let absent = status == 404 || documents(409, NOT_ACTIVE) && status == 409;
    if absent
        && from_api
        && request.method == Method::Delete
        && request.idempotency != Idempotency::NonIdempotent
    {
        return (Failure::Absent, error);
    }
    // The cause of a redirect is a setting (`base_url`) or a login portal, so a retry does not help.
    let error = match status {
        300..400 => error.permanent(),
        _ => error,
    };
    (
        Failure::Status {
            status,
            retry_after,
        },
        error,
    )
}

/// Documented reason of a 409 to an operation that deactivates what is not active. After a retry it means
/// that an earlier request was applied.
pub(crate) const NOT_ACTIVE: &str = "not active";

/// Maximum wait that the client accepts from a server's `Retry-After`.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
