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
    WaitFailed,
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

/// What became of the operation. A waiter changes nothing: its error is `NotSent` if no poll was sent,
/// else `Refused`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// Certain: the service never saw the request.
    NotSent,
    /// Certain: the service saw the request and did not do it.
    Rejected,
    /// The request may have been carried out. A change: check before you repeat it. A read: repeat it.
    Unknown,
    /// Certain: it was carried out, but its response was lost or cannot be decoded.
    Completed,
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
    /// Whether a change was or may have been applied without a usable response.
    unconfirmed: bool,
    /// Whether the same request is bound to fail in the same way again.
    permanent: bool,
    /// Whether the message quotes another error, its HTTP status included.
    quotes: bool,
    underlying: Option<Arc<dyn StdError + Send + Sync>>,
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
            unconfirmed: false,
            permanent: false,
            quotes: false,
            underlying: None,
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

    /// Returns whether the operation is a change that was applied or may have been applied, although
    /// its complete, usable response did not arrive: check before you repeat it. The error message
    /// says which of the two it is and what to look for.
    ///
    /// `false` for reads and waiters, which change nothing, and for errors that make certain that
    /// nothing was applied. C++ and Python raise these errors as `OutcomeUnknownError`.
    pub fn may_have_been_applied(&self) -> bool {
        self.0.unconfirmed
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

    /// Number of requests of which at least one byte was sent, including those of a waiter's polls
    /// and excluding token requests. 0 if the connection could not be established.
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

    /// Underlying error, for downcasting (to [`std::io::Error`], for example); a waiter's last error.
    ///
    /// `Display` contains its text, so [`source`](StdError::source) is `None`: a report that walks
    /// the chain of sources would print the text twice.
    pub fn underlying(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .underlying
            .as_deref()
            .map(|underlying| underlying as &(dyn StdError + 'static))
    }

    /// Whether the same request is bound to fail again: an untrusted certificate, for example.
    pub(crate) fn is_permanent(&self) -> bool {
        self.0.permanent
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

    /// Appends what else the caller has to know to the message.
    pub(crate) fn with_note(mut self, note: impl fmt::Display) -> Self {
        self.0.message = format!("{}; {note}", self.0.message);
        self
    }

    /// Marks the error of a change; `hint` says what to check before the change is repeated.
    pub(crate) fn of_change(mut self, hint: &'static str) -> Self {
        self.0.unconfirmed = matches!(self.0.outcome, Outcome::Unknown | Outcome::Completed);
        self.0.hint = Some(hint);
        self
    }

    /// Puts `text` before the message.
    pub(crate) fn prefixed(mut self, text: &str) -> Self {
        self.0.message = format!("{text}: {}", self.0.message);
        self
    }

    pub(crate) fn permanent(mut self) -> Self {
        self.0.permanent = true;
        self
    }

    pub(crate) fn with_underlying(
        mut self,
        underlying: impl StdError + Send + Sync + 'static,
    ) -> Self {
        self.0.underlying = Some(Arc::new(underlying));
        self
    }

    /// Returns this error as that of a waiter: `message` quotes it, `operation` is the waiter's name.
    pub(crate) fn into_error_of_waiter(
        self,
        operation: &'static str,
        message: String,
        outcome: Outcome,
    ) -> Self {
        let mut inner = (*self.0).clone();
        inner.operation = Some(operation);
        inner.message = message;
        inner.outcome = outcome;
        inner.unconfirmed = false;
        inner.quotes = true;
        Error(Box::new(inner)).with_underlying(self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.0;
        if let Some(operation) = inner.operation {
            f.write_str(operation)?;
            match inner.http_status {
                // Not the operation's, or in the message already.
                Some(_) if inner.stage == Stage::Token || inner.quotes => f.write_str(": ")?,
                Some(status) if inner.outcome == Outcome::Rejected => {
                    write!(f, " refused ({status}): ")?;
                }
                // A success of which only the answer is of no use.
                Some(200..=299) | None => f.write_str(": ")?,
                Some(status) => write!(f, " failed ({status}): ")?,
            }
        }
        f.write_str(&inner.message)?;
        if inner.unconfirmed {
            f.write_str(match inner.outcome {
                Outcome::Completed => "; the change was applied",
                _ => "; the change may have been applied",
            })?;
            if let Some(hint) = inner.hint {
                write!(f, ": {hint}")?;
            }
        }
        if let Some(wait) = inner.retry_after
            && !inner.quotes
        {
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
            .field("underlying", &inner.underlying)
            .finish()
    }
}

impl StdError for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_that_a_person_can_act_on() {
        let error = Error::new(
            ErrorKind::InvalidRequest,
            Stage::Request,
            Outcome::Rejected,
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
    fn display_of_change_says_whether_it_was_applied_and_what_to_check() {
        for (outcome, text) in [
            (
                Outcome::Unknown,
                "create cluster: deadline of 60s exceeded; the change may have been applied: list \
                 the clusters",
            ),
            (
                Outcome::Completed,
                "create cluster: deadline of 60s exceeded; the change was applied: list the clusters",
            ),
            (Outcome::NotSent, "create cluster: deadline of 60s exceeded"),
            (
                Outcome::Rejected,
                "create cluster: deadline of 60s exceeded",
            ),
        ] {
            let error = Error::new(
                ErrorKind::Timeout,
                Stage::Request,
                outcome,
                "deadline of 60s exceeded",
            )
            .with_operation("create cluster")
            .of_change("list the clusters");
            assert_eq!(error.to_string(), text);
            let expected = matches!(outcome, Outcome::Unknown | Outcome::Completed);
            assert_eq!(error.may_have_been_applied(), expected, "{outcome:?}");
        }
    }

    #[test]
    fn may_have_been_applied_is_false_for_read_of_unknown_outcome() {
        let error = Error::new(
            ErrorKind::Network,
            Stage::Request,
            Outcome::Unknown,
            "connection lost",
        );
        assert!(!error.may_have_been_applied());
    }

    #[test]
    fn chain_of_sources_repeats_no_text() {
        let cause = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        let error = Error::config(format!("cannot create worker.env: {cause}"))
            .with_underlying(std::io::Error::from(std::io::ErrorKind::AlreadyExists));
        assert!(StdError::source(&error).is_none());
        let underlying = error.underlying().unwrap().downcast_ref::<std::io::Error>();
        assert_eq!(
            underlying.unwrap().kind(),
            std::io::ErrorKind::AlreadyExists
        );
    }

    #[test]
    fn neither_display_nor_debug_shows_a_body() {
        let error = Error::new(
            ErrorKind::Decode,
            Stage::Decode,
            Outcome::Completed,
            "not JSON",
        )
        .with_body(Zeroizing::new(b"hunter2".to_vec()));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        assert_eq!(error.body(), Some(&b"hunter2"[..]));
    }
}
