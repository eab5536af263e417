//! Errors of one attempt of an API request: no response, a 2xx response with an unusable body, or an
//! error response. Must not depend on `execution`, which decides whether the client retries.

use std::io;

use super::exchange::ExchangeGuard;
use super::response::{BodyError, ErrorResponse, reason};
use super::retry::Failure;
use super::salvage::{self, Salvaged};
use super::{Idempotency, Method, NOT_ACTIVE, Request, connect_error};
use crate::call::CallContext;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Outcome, Stage};

/// A failed attempt: what the retry policy and what the caller needs to know.
pub(super) struct FailedAttempt {
    pub(super) failure: Failure,
    pub(super) error: Error,
}

impl From<Error> for FailedAttempt {
    fn from(error: Error) -> Self {
        FailedAttempt {
            failure: Failure::NotRetryable,
            error,
        }
    }
}

/// What an attempt sends, and the exchange in which it does.
pub(super) struct AttemptContext<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) call: &'a CallContext,
    pub(super) exchange: &'a ExchangeGuard,
    pub(super) config: &'a Config,
}

impl AttemptContext<'_> {
    /// Returns the error of a request that got no response: the connection was lost, or was not
    /// established.
    pub(super) fn connection_error(&self, error: ureq::Error) -> FailedAttempt {
        let sent = self.exchange.sent();
        let outcome = match sent {
            true => Outcome::Unknown,
            false => Outcome::NotSent,
        };
        if let Some(stop) = self.exchange.stopped() {
            let activity = self.exchange.activity(self.config.base_url());
            let activity = Some(activity.as_str());
            return self
                .call
                .stop_error_while(stop, Stage::Request, outcome, activity)
                .into();
        }
        let (kind, message) = connect_error::describe(&error);
        let message = match (sent, kind) {
            (true, _) => format!("connection lost before the response: {message}"),
            (false, ErrorKind::Network) => {
                connect_error::describe_connect_error(self.config.base_url(), &error)
            }
            (false, _) => message,
        };
        let failure = match kind {
            ErrorKind::Network if connect_error::is_permanent(&error) => Failure::NotRetryable,
            ErrorKind::Network if sent => Failure::ConnectionLost,
            ErrorKind::Network => Failure::NotSent,
            _ => Failure::NotRetryable,
        };
        let mut failed = FailedAttempt {
            error: Error::new(kind, Stage::Request, outcome, message).with_underlying(error),
            failure,
        };
        if failed.failure == Failure::NotRetryable {
            failed.error = failed.error.permanent();
        }
        // A response with invalid headers can have a body.
        let captured = self.exchange.captured();
        if let Some(received) = captured.and_then(|wire| self.salvage(&wire)) {
            failed.error = failed
                .error
                .with_note("the error's body has what was received after the headers")
                .with_body(received.body);
        }
        failed
    }

    /// Returns the error of a 2xx response whose body could not be read or decoded. `is_html`: whether
    /// its content type is HTML.
    pub(super) fn body_error(
        &self,
        status: u16,
        is_html: bool,
        mut error: BodyError,
    ) -> FailedAttempt {
        let content = self.replace_by_captured(&mut error);
        // 2xx: the operation was executed, only its response is unusable. Exception: an HTML page
        // comes from a gateway or portal, so the outcome is unknown.
        let outcome = match is_html || error.is_page() {
            true => Outcome::Unknown,
            false => Outcome::Completed,
        };
        let unusable = |message| Error::new(ErrorKind::Decode, Stage::Decode, outcome, message);
        let FailedAttempt { failure, mut error } = match error {
            BodyError::Undecodable(error) => error.into(),
            BodyError::Page { body } => unusable(
                "received an HTML page instead of the API's response, probably from a proxy or a \
                 login portal"
                    .to_owned(),
            )
            .with_body(body)
            .into(),
            BodyError::ConnectionLost {
                error,
                body,
                partly_written,
            } => {
                let lost = self.lost_body_error(error, partly_written, outcome);
                FailedAttempt {
                    error: lost.error.with_body(body),
                    ..lost
                }
            }
            BodyError::TooLarge { limit, body } => unusable(format!(
                "the response body exceeds the limit of {limit} bytes; increase \
                 `max_response_bytes`"
            ))
            .permanent()
            .with_body(body)
            .into(),
            BodyError::Sink(error) => {
                let message = format!("the response cannot be written to its destination: {error}");
                Error::new(ErrorKind::Io, Stage::Decode, outcome, message)
                    .with_underlying(error)
                    .into()
            }
        };
        error = error.with_http_status(status);
        if let Some(content) = content {
            error = error.with_note(format!("the error's body has {content}"));
        }
        FailedAttempt { failure, error }
    }

    /// Returns the error of a connection that was lost while the body was read.
    fn lost_body_error(
        &self,
        error: io::Error,
        partly_written: bool,
        outcome: Outcome,
    ) -> FailedAttempt {
        // The result of a safe request is its response, so without it nothing was completed.
        let outcome = match self.request.idempotency {
            Idempotency::Safe => Outcome::Unknown,
            _ => outcome,
        };
        if let Some(stop) = self.exchange.stopped() {
            let activity = format!("receiving the response of {}", self.config.base_url());
            let activity = Some(activity.as_str());
            return self
                .call
                .stop_error_while(stop, Stage::Request, outcome, activity)
                .into();
        }
        let message = format!(
            "connection lost while reading the response body: {}",
            connect_error::describe_io(&error)
        );
        FailedAttempt {
            // A retry would write the response to the sink again from its beginning.
            failure: match partly_written {
                true => Failure::NotRetryable,
                false => Failure::ConnectionLost,
            },
            error: Error::new(ErrorKind::Network, Stage::Request, outcome, message)
                .with_underlying(error),
        }
    }

    /// Replaces the decoded part of a one-time response by every byte of its body that was received.
    /// Returns what the body of the error then has, or `None` if the response was not captured.
    fn replace_by_captured(&self, error: &mut BodyError) -> Option<&'static str> {
        let BodyError::ConnectionLost { body, .. } = error else {
            return None;
        };
        let salvaged = self.salvage(&self.exchange.captured()?);
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
        Some(content)
    }

    fn salvage(&self, wire: &[u8]) -> Option<Salvaged> {
        salvage::salvage(wire, self.config.max_response_bytes())
    }
}

/// Returns the error of a response with a status other than 2xx.
pub(super) fn status_error(request: &Request<'_>, response: ErrorResponse) -> FailedAttempt {
    let ErrorResponse {
        status,
        message,
        body,
        retry_after,
        request_id,
        from_api,
    } = response;
    let documented = &request.documented_rejections;
    let is_documented = from_api && documented.iter().any(|(known, _)| *known == status);
    let outcome = match status {
        // A gateway can send 5xx after the API executed the operation, a redirect (303, for example)
        // can lead to the result of an executed one, and after 101 comes another protocol.
        ..400 | 500.. if request.idempotency != Idempotency::Safe && !is_documented => {
            Outcome::Unknown
        }
        _ => Outcome::Rejected,
    };
    let text = match &message {
        Some(message) => message.clone(),
        None if (300..400).contains(&status) => "a redirect, which is never followed".to_owned(),
        None => reason(status).to_owned(),
    };
    let error = Error::new(kind_of_status(status), Stage::Request, outcome, text)
        .with_http_status(status)
        .with_server_message(message)
        .with_body(body)
        .with_retry_after(retry_after)
        .with_request_id(request_id);
    let is_absent = status == 404 || status == 409 && documented.contains(&(409, NOT_ACTIVE));
    if is_absent
        && from_api
        && request.method == Method::Delete
        && request.idempotency != Idempotency::NonIdempotent
    {
        let failure = Failure::Absent;
        return FailedAttempt { failure, error };
    }
    FailedAttempt {
        failure: Failure::Status {
            status,
            retry_after,
        },
        // The cause of a redirect is a setting (`base_url`) or a login portal, so a retry does not help.
        error: match status {
            300..400 => error.permanent(),
            _ => error,
        },
    }
}

/// Returns the kind of the error of a response with a status other than 2xx.
fn kind_of_status(status: u16) -> ErrorKind {
    match status {
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
    }
}
