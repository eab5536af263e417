//! The one error type: what went wrong, where, what the service said, and whether anything was done.
//!
//! Knows nothing of HTTP libraries, tokens or C; the layers above fill it in.

use crate::secret::Zeroizing;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is: the thing to match on.
///
/// Kinds are added as the library grows, so a `match` needs a wildcard arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is not usable: empty, not UTF-8, of the wrong kind, a path trick.
    InvalidArgument,
    /// A setting is missing or not usable; the message names the setting or the variable.
    Config,
    /// The service (401) or the token endpoint does not accept the credentials.
    Authentication,
    /// 403: the credentials lack a permission, a quota is used up, or the cluster is another's.
    PermissionDenied,
    /// 404: no such cluster, client, backup, …
    NotFound,
    /// 409: the state of the thing forbids it; the service's words say how.
    Conflict,
    /// 412: not ready yet; try later.
    NotReady,
    /// Any other 4xx: the service understood the request and refuses it.
    InvalidRequest,
    /// 429, or this process's own pacing of token requests; see [`Error::retry_after`].
    RateLimited,
    /// 5xx: the service failed.
    Service,
    /// The deadline passed.
    Timeout,
    /// Cancelled by the caller.
    Cancelled,
    /// No connection, a broken one, TLS or HTTP violated.
    Network,
    /// The answer arrived and is not what was described; see [`Error::body`].
    Decode,
    /// What was waited for cannot come any more: the state reached is final.
    Failed,
    /// A file could not be read or written.
    Io,
    /// A defect of this library.
    Internal,
}

/// Where it went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Before anything was sent: settings and arguments.
    Config,
    /// While getting a token.
    Token,
    /// While sending the request or waiting for its answer.
    Request,
    /// While making sense of the answer.
    Decode,
}

/// What became of the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Certain: the service never saw the request.
    NotSent,
    /// Certain: the service saw the request and did not do it.
    Refused,
    /// The request may have been carried out: look before doing it again.
    Unknown,
    /// Certain: it was carried out; only the answer could not be used.
    Done,
}

/// Why a call failed.
///
/// `Display` is one line that a person can act on, such as
/// `create cluster refused (400): Name is too long`. Neither it nor `Debug` ever shows a secret, a
/// token or the body of an answer.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    stage: Stage,
    outcome: Outcome,
    message: String,
    operation: Option<&'static str>,
    method: Option<&'static str>,
    path: Option<String>,
    http_status: Option<u16>,
    server_message: Option<String>,
    body: Option<Zeroizing<Vec<u8>>>,
    retry_after: Option<Duration>,
    attempts: u32,
    request_id: Option<String>,
    elapsed: Option<Duration>,
    hint: Option<&'static str>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        stage: Stage,
        outcome: Outcome,
        message: impl Into<String>,
    ) -> Self {
        Error(Box::new(Inner {
            kind,
            stage,
            outcome,
            message: message.into(),
            operation: None,
            method: None,
            path: None,
            http_status: None,
            server_message: None,
            body: None,
            retry_after: None,
            attempts: 0,
            request_id: None,
            elapsed: None,
            hint: None,
            source: None,
        }))
    }

    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        Error::new(
            ErrorKind::InvalidArgument,
            Stage::Config,
            Outcome::NotSent,
            message,
        )
    }

    pub(crate) fn config(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Config, Stage::Config, Outcome::NotSent, message)
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Where it went wrong.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// What became of the operation.
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// The description without the operation's name, as this library words it.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The operation by its plain name, such as `create cluster`.
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The HTTP method of the request.
    pub fn method(&self) -> Option<&'static str> {
        self.0.method
    }

    /// The path of the request, as it was sent or would have been.
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// The HTTP status, where the service answered.
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// The service's own words, where it said any.
    pub fn server_message(&self) -> Option<&str> {
        self.0.server_message.as_deref()
    }

    /// The body of the answer, as it came.
    ///
    /// Where an answer that is given only once (a client's secret, say) cannot be decoded, this is
    /// the only place that has it: keep it safe, and out of logs.
    pub fn body(&self) -> Option<&[u8]> {
        self.0.body.as_ref().map(|body| body.as_slice())
    }

    /// How long to wait before asking again, where the service or the pacing says so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// How many requests were sent for this call, token requests not counted.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// The service's name for the request, to quote to its support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// How long the call took until it failed.
    pub fn elapsed(&self) -> Option<Duration> {
        self.0.elapsed
    }

    pub(crate) fn with_operation(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    pub(crate) fn with_request(mut self, method: &'static str, path: &str) -> Self {
        self.0.method = Some(method);
        self.0.path = Some(path.to_owned());
        self
    }

    /// Appends a detail to the message.
    pub(crate) fn with_detail(mut self, detail: &str) -> Self {
        self.0.message = format!("{}; {detail}", self.0.message);
        self
    }

    pub(crate) fn with_http_status(mut self, status: u16) -> Self {
        self.0.http_status = Some(status);
        self
    }

    pub(crate) fn with_server_message(mut self, message: Option<String>) -> Self {
        self.0.server_message = message;
        self
    }

    pub(crate) fn with_body(mut self, body: Zeroizing<Vec<u8>>) -> Self {
        self.0.body = Some(body);
        self
    }

    pub(crate) fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    pub(crate) fn with_request_id(mut self, request_id: Option<String>) -> Self {
        self.0.request_id = request_id;
        self
    }

    pub(crate) fn with_elapsed(mut self, elapsed: Duration) -> Self {
        self.0.elapsed = Some(elapsed);
        self
    }

    pub(crate) fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.0.outcome = outcome;
        self
    }

    /// What to look at before the operation is done again; shown while the outcome is unknown.
    pub(crate) fn with_hint(mut self, hint: Option<&'static str>) -> Self {
        self.0.hint = hint;
        self
    }

    pub(crate) fn with_source(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(operation) = inner.operation {
            f.write_str(operation)?;
            match inner.http_status {
                // Not the operation's, and the message has it.
                Some(_) if inner.stage == Stage::Token => f.write_str(": ")?,
                Some(status) if inner.outcome == Outcome::Refused => {
                    write!(f, " refused ({status}): ")?;
                }
                // A success of which only the answer is of no use.
                Some(200..=299) | None => f.write_str(": ")?,
                Some(status) => write!(f, " failed ({status}): ")?,
            }
        }
        f.write_str(&inner.message)?;
        if inner.outcome == Outcome::Unknown
            && let Some(hint) = inner.hint
        {
            write!(f, "; it may have been done: {hint}")?;
        }
        if let Some(wait) = inner.retry_after {
            write!(f, "; try again in {:.1} s", wait.as_secs_f64())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("stage", &inner.stage)
            .field("outcome", &inner.outcome)
            .field("message", &self.to_string())
            .field("method", &inner.method)
            .field("path", &inner.path)
            .field("http_status", &inner.http_status)
            .field("body_bytes", &inner.body.as_ref().map(|body| body.len()))
            .field("retry_after", &inner.retry_after)
            .field("attempts", &inner.attempts)
            .field("request_id", &inner.request_id)
            .field("elapsed", &inner.elapsed)
            .field("source", &inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_that_a_person_can_act_on() {
        let error = Error::new(
            ErrorKind::InvalidRequest,
            Stage::Request,
            Outcome::Refused,
            "Name is too long",
        )
        .with_operation("create cluster")
        .with_http_status(400);
        assert_eq!(
            error.to_string(),
            "create cluster refused (400): Name is too long"
        );
    }

    #[test]
    fn the_status_of_the_token_endpoint_is_told_once() {
        let error = Error::new(
            ErrorKind::Authentication,
            Stage::Token,
            Outcome::NotSent,
            "the token endpoint refuses the credentials (401): no",
        )
        .with_operation("get cluster")
        .with_http_status(401);
        assert_eq!(
            error.to_string(),
            "get cluster: the token endpoint refuses the credentials (401): no"
        );
    }

    #[test]
    fn an_unknown_outcome_says_what_to_look_at() {
        let error = Error::new(
            ErrorKind::Timeout,
            Stage::Request,
            Outcome::Unknown,
            "no answer in 60 s",
        )
        .with_operation("create cluster")
        .with_hint(Some("list the clusters"));
        assert_eq!(
            error.to_string(),
            "create cluster: no answer in 60 s; it may have been done: list the clusters"
        );
    }

    #[test]
    fn neither_display_nor_debug_shows_a_body() {
        let error = Error::new(ErrorKind::Decode, Stage::Decode, Outcome::Done, "not JSON")
            .with_body(Zeroizing::new(b"hunter2".to_vec()));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(error.body(), Some(&b"hunter2"[..]));
    }
}
