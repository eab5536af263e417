//! Execution of one API request: attempts, until one succeeds or a failure is not retryable.

use std::time::{Instant, SystemTime};

use super::agent::{HttpRequest, Url};
use super::attempt_error::{AttemptContext, FailedAttempt, status_error};
use super::exchange::ExchangeGuard;
use super::redaction::{MIN_REDACTED_LEN, redacted};
use super::response::{BodyError, Response};
use super::retry::{Decision, Failure, RetryState};
use super::{COMPRESSED, Idempotency, Request, Transport, UNCOMPRESSED, logs};
use crate::auth::{Token, TokenProvider};
use crate::call::CallContext;
use crate::error::{Error, Outcome, Result, Stage};
use crate::random;
use crate::secret::Secret;

/// The request of a call and the state of its attempts.
pub(super) struct Execution<'a> {
    transport: &'a Transport,
    request: &'a Request<'a>,
    call: &'a CallContext,
    retry_state: RetryState,
    /// The access token of the current attempt.
    token: Option<Token>,
    /// Whether another token was requested because the API rejected the first one.
    replaced_token: bool,
}

/// What a request that succeeds does with its response.
pub(super) trait Consumer {
    fn consume(&mut self, response: Response) -> Result<(), BodyError>;

    /// Makes the result of an operation that was executed but whose response was lost. Returns `false`
    /// if the result cannot be made without the response.
    fn without_response(&mut self) -> bool;
}

impl<'a> Execution<'a> {
    pub(super) fn new(
        transport: &'a Transport,
        request: &'a Request<'a>,
        call: &'a CallContext,
    ) -> Self {
        Execution {
            transport,
            request,
            call,
            retry_state: RetryState::new(request.idempotency),
            token: None,
            replaced_token: false,
        }
    }

    /// Sends the request until it succeeds or is not retryable.
    pub(super) fn run(mut self, consumer: &mut dyn Consumer) -> Result<()> {
        self.transport.stats.count_call();
        let error = loop {
            let FailedAttempt { failure, error } = match self.attempt(consumer) {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            if failure == Failure::Absent && self.retry_state.may_have_been_applied() {
                if consumer.without_response() {
                    let attempts = self.retry_state.attempts();
                    logs::applied_earlier(self.request.operation, attempts, &error);
                    return Ok(());
                }
                break error
                    .prefixed("already deleted, by an attempt of this call whose response was lost")
                    .with_outcome(Outcome::Completed)
                    .of_change("do not repeat it");
            }
            if let Err(error) = self.prepare_retry(&failure, error) {
                break self.with_outcome_of_call(error);
            }
        };
        let error = error
            .with_operation(self.request.operation)
            .with_request(self.request.method.as_str(), &self.request.path)
            .with_attempts(self.retry_state.attempts())
            .with_elapsed(self.call.started().elapsed());
        logs::failure(self.request.operation, &error);
        Err(error)
    }

    /// Gets an access token and sends the request once.
    fn attempt(&mut self, consumer: &mut dyn Consumer) -> Result<(), FailedAttempt> {
        self.token = self.access_token()?;
        if let Err(stop) = self.call.check() {
            let error = self.call.stop_error(stop, Stage::Request, Outcome::NotSent);
            return Err(error.into());
        }
        let config = &self.transport.config;
        let begun = Instant::now();
        let exchange = ExchangeGuard::enter(self.call);
        if self.request.one_time_response {
            exchange.capture(config.max_response_bytes());
        }
        let sent = self.send(&exchange);
        let context = AttemptContext {
            request: self.request,
            call: self.call,
            exchange: &exchange,
            config,
        };
        let response = match sent {
            Ok(response) => Response::new(response, config.max_response_bytes()),
            Err(error) => {
                self.count_bytes(&exchange);
                if exchange.is_unconnected() {
                    self.transport.agents().clear_dns_cache();
                }
                return Err(context.connection_error(error));
            }
        };
        let status = response.status();
        if let Some(token) = &self.token
            && status != 401
        {
            token.accepted();
        }
        let request_id = self.logged_request_id(&response);
        let result = match response.is_success() {
            true => result_of(response, &context, consumer),
            false => {
                let secret = self.request.secret_response;
                let response = response.into_error_response(secret, |text| self.redact(text));
                Err(status_error(self.request, response))
            }
        };
        self.count_bytes(&exchange);
        let record = logs::ResponseRecord {
            status,
            bytes: exchange.received(),
            begun,
            attempt: self.retry_state.attempts(),
            request_id: request_id.as_deref(),
        };
        record.log(self.request);
        result
    }

    /// Returns the access token of an attempt, or `None` if the request has none.
    fn access_token(&self) -> Result<Option<Token>> {
        match &self.transport.tokens {
            _ if !self.request.authenticated => Ok(None),
            Some(tokens) => {
                self.transport.stats.count_token_call();
                tokens.token(self.transport, self.call).map(Some)
            }
            None => Err(no_credentials()),
        }
    }

    /// Sends the request and reads the head of the response. Counts the attempt if a byte was sent.
    fn send(
        &mut self,
        exchange: &ExchangeGuard,
    ) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
        let request = self.request;
        let body = request.body.as_ref();
        let sent = self.transport.agents().send(HttpRequest {
            method: request.method,
            url: Url::Api(&request.path),
            authorization: self.token.as_ref().map(Token::authorization),
            body: body.map(|body| ("application/json", body.as_slice())),
            accept_encoding: match request.secret_response || request.one_time_response {
                true => UNCOMPRESSED,
                false => COMPRESSED,
            },
            new_connection: request.idempotency == Idempotency::NonIdempotent,
        });
        if exchange.sent() {
            self.transport.stats.count_request();
            self.retry_state.count_attempt();
            self.call.count_request();
        }
        sent
    }

    fn count_bytes(&self, exchange: &ExchangeGuard) {
        let stats = &self.transport.stats;
        stats.count_bytes(exchange.written(), exchange.received());
    }

    /// Prepares another attempt after a failed one: discards a rejected token, or waits. Returns the
    /// error of the last attempt if the request is not retried.
    fn prepare_retry(&mut self, failure: &Failure, error: Error) -> Result<()> {
        let outcome = self.retry_state.merge_outcome(error.outcome());
        if let (Failure::Status { status: 401, .. }, Some(token), Some(tokens)) =
            (failure, &self.token, &self.transport.tokens)
        {
            if tokens.is_supplied() {
                return Err(error.with_note(supplied_token_rejected(token)));
            }
            tokens.invalidate(token, self.call);
            // A 401 means that the operation was not executed, but a non-idempotent one is retried
            // only if nothing was sent: it could create a second resource, which costs money.
            if !self.replaced_token && self.request.idempotency != Idempotency::NonIdempotent {
                log::debug!(
                    "access token rejected, requesting another: operation={:?} attempt={} \
                     status=401",
                    self.request.operation,
                    self.retry_state.attempts(),
                );
                self.replaced_token = true;
                return Ok(());
            }
        }
        let remaining = self.call.remaining();
        match self.retry_state.decide(failure, remaining, random::jitter) {
            Decision::Stop => Err(error),
            Decision::RetryAfter(delay) => {
                self.transport.stats.count_retry();
                let attempts = self.retry_state.attempts();
                logs::retry(self.request.operation, attempts, delay, &error);
                self.call
                    .sleep(delay)
                    .map_err(|stop| self.call.stop_error(stop, Stage::Request, outcome))
            }
        }
    }

    /// Returns the error of the last attempt with the outcome of all attempts and, if the request
    /// changes something, with what to check before it is repeated.
    fn with_outcome_of_call(&mut self, error: Error) -> Error {
        let outcome = self.retry_state.merge_outcome(error.outcome());
        let error = error.with_outcome(outcome);
        let default_hint = match self.request.idempotency {
            Idempotency::Safe => return error,
            Idempotency::Idempotent => "it is safe to repeat it",
            Idempotency::NonIdempotent => "check it before repeating it",
        };
        error.of_change(self.request.hint.unwrap_or(default_hint))
    }

    /// Returns the id of a request for its log record; `None` if that is not written.
    fn logged_request_id(&self, response: &Response) -> Option<String> {
        match log::log_enabled!(log::Level::Debug) {
            true => response.request_id().map(|id| self.redact(id)),
            false => None,
        }
    }

    /// Replaces the client secret, the access token and the secrets of the request in a text of a
    /// server.
    fn redact(&self, text: &str) -> String {
        let tokens = self.transport.tokens.as_ref();
        let client_secret = tokens.and_then(TokenProvider::client_secret);
        let sent = self.request.secrets();
        let sent = sent
            .iter()
            .map(Secret::expose)
            .filter(|secret| secret.len() >= MIN_REDACTED_LEN);
        redacted(
            text,
            client_secret
                .iter()
                .map(|secret| secret.expose())
                .chain(self.token.as_ref().map(Token::expose))
                .chain(sent),
        )
    }
}

/// Makes the result from a 2xx response.
fn result_of(
    response: Response,
    context: &AttemptContext<'_>,
    consumer: &mut dyn Consumer,
) -> Result<(), FailedAttempt> {
    let status = response.status();
    let is_html = response.is_html();
    let consumed = match is_html {
        true => response
            .read()
            .and_then(|body| Err(BodyError::Page { body })),
        false => consumer.consume(response),
    };
    consumed.map_err(|error| context.body_error(status, is_html, error))
}

/// Returns the error of a client without credentials that needs an access token.
pub(crate) fn no_credentials() -> Error {
    Error::config(
        "no credentials: set `client_id` and `client_secret`, or `access_token`; `from_env` reads them \
         from CAMUNDA_CONSOLE_CLIENT_ID and CAMUNDA_CONSOLE_CLIENT_SECRET",
    )
}

/// Returns the detail of the error of a request with a supplied token that the API rejected.
fn supplied_token_rejected(token: &Token) -> &'static str {
    match token.expires_at() <= SystemTime::now() {
        true => "the access token in `access_token` has expired; set a new one",
        false => "the API rejected the access token in `access_token`; set a new one",
    }
}
