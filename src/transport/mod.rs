//! Everything about sending bytes: one request with its token, its deadline and its retries.
//!
//! Nothing outside this folder names ureq. Knows tokens only as something to ask `auth` for, and
//! operations only as a method, a path and a [`Idempotency`].

mod agent;
mod buffers;
#[cfg(any(test, fuzzing))]
#[path = "../fuzzing/transport.rs"]
pub(crate) mod fuzzing;
mod logs;
mod pem;
mod resolver;
mod response;
mod retry;
mod socket;
mod stats;
mod tls;
mod token_endpoint;

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::rand::{SecureRandom, SystemRandom};

use crate::auth::{Token, TokenCacheHandle};
use crate::call::CallContext;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::fork::PerProcess;
use crate::secret::Zeroizing;

use agent::{Agents, Exchange};
use response::Response;
use retry::{Decision, Failure, RetryState};

pub use stats::Stats;

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates, or begins something.
    Post,
    /// Sets.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Method {
    /// The method as HTTP writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Whether a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Changes nothing: sent again after passing failures.
    Safe,
    /// Sets a state, so twice is as good as once: sent again after passing failures.
    Idempotent,
    /// Sent again only where it is certain that no byte of it left.
    NonIdempotent,
}

/// The value of `Accept-Encoding` that requests a response without compression.
const UNCOMPRESSED: &str = "identity";

/// A request, told by its operation.
pub(crate) struct Request<'a> {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    /// Path and query, percent-encoded.
    pub(crate) path: String,
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
    pub(crate) idempotency: Idempotency,
    pub(crate) authenticated: bool,
    pub(crate) hint: Option<&'static str>,
    /// Whether the response has secrets in it: it is requested without compression, since a
    /// decompressor keeps copies.
    pub(crate) secret_response: bool,
    /// Whether the API returns the response only once: it is requested without compression, and an
    /// error carries every byte that arrived of it.
    pub(crate) one_time_response: bool,
    /// Statuses of 5xx that are documented as refusals.
    pub(crate) refusals: &'a [(u16, &'static str)],
}

/// The connection to the service: what a client's clones share.
#[derive(Debug)]
pub(crate) struct Transport {
    config: Config,
    /// A forked child must not touch the sockets that it shares with its parent.
    agents: PerProcess<Agents>,
    token_cache: Option<Arc<TokenCacheHandle>>,
    stats: stats::Counters,
}

impl Transport {
    /// Sets a connection up; nothing is sent yet.
    pub(crate) fn new(config: Config, token_cache: Option<Arc<TokenCacheHandle>>) -> Result<Self> {
        let agents = PerProcess::with(Agents::new(&config)?);
        Ok(Transport {
            config,
            agents,
            token_cache,
            stats: Default::default(),
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn token_cache(&self) -> Option<&Arc<TokenCacheHandle>> {
        self.token_cache.as_ref()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats.read()
    }

    /// Sends a request, reads the whole answer and decodes it.
    pub(crate) fn send<T>(
        &self,
        request: &Request<'_>,
        call: &CallContext,
        decode: impl Fn(Zeroizing<Vec<u8>>) -> Result<T>,
    ) -> Result<T> {
        self.send_and_consume(
            request,
            call,
            |answer| {
                let body = answer.read()?;
                if response::is_markup(&body) {
                    return Err(response::BodyError::Page { body });
                }
                decode(body).map_err(response::BodyError::Undecodable)
            },
            || decode(Zeroizing::default()).ok(),
        )
    }

    /// Sends a request and passes the answer on as it arrives; CSV that comes wrapped in a JSON
    /// string is unwrapped. An answer of which a part was written is not asked for again.
    pub(crate) fn stream(
        &self,
        request: &Request<'_>,
        call: &CallContext,
        sink: &mut dyn Write,
    ) -> Result<()> {
        self.send_and_consume(request, call, |answer| answer.copy_csv(sink), || None)
    }

    /// Sends a request until it succeeds or is not to be retried. `consume` makes the result of a
    /// response; `without_response` that of an operation which is known to be applied although its
    /// response is lost, or `None` if only the response has it.
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
                    log::info!(
                        "{}: an earlier attempt, whose response was lost, was applied: {error}",
                        request.operation
                    );
                    return Ok(result);
                }
                deleted = true;
                break error;
            }
            let outcome = retry_state.merge_outcome(error.outcome());
            if let (Failure::Status { status: 401, .. }, Some(token), Some(token_cache)) =
                (&failure, &token, &self.token_cache)
            {
                token_cache.reject(token, call);
                // 401 says "not done", yet what costs money is not sent again on anyone's word.
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
            match retry_state.decide(&failure, call.remaining(), random) {
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
                .with_outcome(Outcome::Completed),
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
        self.agents.inherit(Agents::inherited)
    }

    fn token_for(&self, request: &Request<'_>, call: &CallContext) -> Result<Option<Token>> {
        match &self.token_cache {
            _ if !request.authenticated => Ok(None),
            Some(token_cache) => {
                self.stats.count_token_call();
                token_cache.token(self, call).map(Some)
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
        let url = format!("{}{}", self.config.base_url(), request.path);
        let exchange = Exchange::enter(call);
        if request.one_time_response {
            exchange.capture(self.config.max_response_bytes());
        }
        let sent = agents.send(
            request.method,
            &url,
            token.map(Token::authorization),
            request
                .body
                .as_ref()
                .map(|body| ("application/json", body.as_slice())),
            match request.secret_response || request.one_time_response {
                true => UNCOMPRESSED,
                false => "gzip",
            },
            request.idempotency == Idempotency::NonIdempotent,
        );
        if exchange.sent() {
            self.stats.count_request();
            retry_state.count_attempt();
            call.count_request();
        }
        let answer = sent.map_err(|error| {
            self.stats
                .count_bytes(exchange.written(), exchange.received());
            self.connection_error(request, &exchange, error, call, agents)
        })?;
        let answer = Response::new(answer, self.config.max_response_bytes());
        if let Some(token) = token
            && answer.status() != 401
        {
            token.accepted();
        }
        let status = answer.status();
        let request_id = match log::log_enabled!(log::Level::Debug) {
            true => answer
                .request_id()
                .map(|id| self.redact(id.to_owned(), token)),
            false => None,
        };
        let log = |exchange: &Exchange| {
            self.stats
                .count_bytes(exchange.written(), exchange.received());
            let response = logs::ResponseRecord {
                status,
                bytes: exchange.received(),
                duration: begun.elapsed(),
                attempt: retry_state.attempts(),
                request_id: request_id.as_deref(),
            };
            response.log(request);
        };
        if answer.is_success() {
            let encoding = answer.encoding();
            let html = answer.is_html();
            let result = if html {
                let page = answer.read();
                page.and_then(|body| Err(response::BodyError::Page { body }))
            } else {
                consume(answer)
            };
            log(&exchange);
            return result.map_err(|failure| {
                let failure = self.with_what_arrived(failure, &exchange, encoding);
                self.body_error(request, &exchange, failure, call, status, html)
            });
        }
        let refusal = answer.into_error_response(|text| self.redact(text, token));
        log(&exchange);
        Err(status_error(request, refusal))
    }

    /// The connection broke, or could not be made, before an answer came.
    fn connection_error(
        &self,
        request: &Request<'_>,
        exchange: &Exchange,
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
            return (
                Failure::NotRetryable,
                call.stop_error(stop, Stage::Request, outcome),
            );
        }
        if !exchange.sent() {
            agents.clear_dns_cache();
        }
        let (kind, message) = agent::explain(&error);
        let message = if exchange.sent() {
            format!("the connection broke before the answer: {message}")
        } else {
            agent::explain_connect(self.config.base_url(), &error)
        };
        let failure = match (kind, exchange.sent()) {
            (ErrorKind::Network, _) if agent::is_permanent(&error) => Failure::NotRetryable,
            (ErrorKind::Network, true) => Failure::ConnectionLost,
            (ErrorKind::Network, false) => Failure::NotSent,
            _ => Failure::NotRetryable,
        };
        debug_assert!(request.path.starts_with('/'));
        // Headers that cannot be understood may have a body behind them.
        let arrived = exchange
            .captured()
            .and_then(|wire| response::salvage(&wire, response::Encoding::default(), u64::MAX));
        let message = match &arrived {
            Some(_) => format!("{message}; the error's body has what arrived after its headers"),
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

    /// Replaces what was read of a one-time response by all that arrived of it.
    fn with_what_arrived(
        &self,
        failure: response::BodyError,
        exchange: &Exchange,
        encoding: response::Encoding,
    ) -> response::BodyError {
        let response::BodyError::Broken {
            error,
            body,
            passed_on,
        } = failure
        else {
            return failure;
        };
        let Some(wire) = exchange.captured() else {
            return response::BodyError::Broken {
                error,
                body,
                passed_on,
            };
        };
        let limit = self.config.max_response_bytes();
        let salvaged = response::salvage(&wire, encoding, limit);
        let note = match &salvaged {
            Some(salvaged) if salvaged.compressed => "what arrived of it, compressed with gzip",
            Some(salvaged) if salvaged.decompressed => "what could be decompressed of it",
            _ => "what arrived of it",
        };
        let text = format!("{}; the error's body has {note}", agent::explain_io(&error));
        response::BodyError::Broken {
            error: io::Error::other(text),
            body: salvaged.map_or(body, |salvaged| salvaged.body),
            passed_on,
        }
    }

    /// The answer began as a success and could not be read to its end.
    fn body_error(
        &self,
        request: &Request<'_>,
        exchange: &Exchange,
        failure: response::BodyError,
        call: &CallContext,
        status: u16,
        html: bool,
    ) -> (Failure, Error) {
        let html = html
            || match &failure {
                response::BodyError::Page { .. } => true,
                response::BodyError::Broken { body, .. }
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
                    "an HTML page came instead of the service's answer, as from a proxy or a portal",
                )
                .with_body(body),
            ),
            response::BodyError::Broken {
                error,
                body,
                passed_on,
            } => {
                // Without its answer nothing is left of a read.
                let outcome = match request.idempotency {
                    Idempotency::Safe => Outcome::Unknown,
                    _ => outcome,
                };
                let (failure, error) = match exchange.stopped() {
                    Some(stop) => (Failure::NotRetryable, call.stop_error(stop, Stage::Request, outcome)),
                    None => (
                        // Asked for again, it would be passed on from its beginning.
                        if passed_on {
                            Failure::NotRetryable
                        } else {
                            Failure::ConnectionLost
                        },
                        Error::new(
                            ErrorKind::Network,
                            Stage::Request,
                            outcome,
                            format!(
                                "the connection broke inside the answer: {}",
                                agent::explain_io(&error)
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
                    format!("the answer is larger than {limit} bytes; `max_response_bytes` raises the limit"),
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
                    format!("the answer cannot be passed on: {error}"),
                )
                .with_underlying(error),
            ),
        };
        (failure, error.with_http_status(status))
    }

    /// Takes what is secret to us out of the service's words, should it ever echo it.
    fn redact(&self, text: String, token: Option<&Token>) -> String {
        let secret = self.config.client_secret().map(|secret| secret.expose());
        let token = token.map(Token::expose);
        [secret, token]
            .into_iter()
            .flatten()
            .filter(|secret| !secret.is_empty())
            .fold(text, |text, secret| {
                if text.contains(secret) {
                    text.replace(secret, "…")
                } else {
                    text
                }
            })
    }
}

/// A number in `0.0..1.0`, for jitter.
fn random() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness there is no TLS either; half-way is as good as anything then.
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

/// The service answered with anything but success.
fn status_error(request: &Request<'_>, refusal: response::ErrorResponse) -> (Failure, Error) {
    let response::ErrorResponse {
        status,
        words,
        body,
        retry_after,
        request_id,
        from_api,
    } = refusal;
    let documented = from_api && request.refusals.iter().any(|(known, _)| *known == status);
    let documents = |status, reason| request.refusals.contains(&(status, reason));
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
        // Of 1xx only 101 gets here, which no other answer follows; 3xx is never followed, since
        // that could carry credentials away.
        _ => ErrorKind::Network,
    };
    let message = match &words {
        Some(words) => words.clone(),
        None if (300..400).contains(&status) => "a redirect, which is never followed".to_owned(),
        None => response::reason(status).to_owned(),
    };
    let error = Error::new(kind, Stage::Request, outcome, message)
        .with_http_status(status)
        .with_server_message(words)
        .with_body(body)
        .with_retry_after(retry_after)
        .with_request_id(request_id);
    // Where monitoring or secure connectivity is not active there is nothing to deactivate.
    let absent = status == 404 || documents(409, "not active") && status == 409;
    if absent
        && from_api
        && request.method == Method::Delete
        && request.idempotency != Idempotency::NonIdempotent
    {
        return (Failure::Absent, error);
    }
    // A redirect is a matter of settings (`base_url`, a login portal), which time does not change.
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

/// The longest wait that a server's word can make us plan for.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);
