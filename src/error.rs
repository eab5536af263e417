//! The error type of the crate: kind, stage, outcome, the server's error message and the response.
//!
//! Must not depend on other modules of the crate, except `secret`.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::secret::Zeroizing;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Category of an [`Error`], to match on.
///
/// Later versions add kinds, so a `match` needs a wildcard arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is invalid: empty, not UTF-8, of the wrong type, or with a `.` or `..` path
    /// segment.
    InvalidArgument,
    /// A setting is missing or invalid. The message names the setting or the environment variable.
    Config,
    /// The API (HTTP 401) or the token endpoint rejected the credentials.
    Authentication,
    /// HTTP 403 Forbidden: a permission is missing, a quota is exhausted, or the cluster belongs to
    /// another organization.
    PermissionDenied,
    /// HTTP 404 Not Found: no such cluster, client, backup, …
    NotFound,
    /// HTTP 409 Conflict: the current state of the resource does not allow the operation.
    /// [`Error::server_message`] has the reason.
    Conflict,
    /// HTTP 412 Precondition Failed: the resource is not ready yet. Retry later.
    NotReady,
    /// Any other 4xx status: the API rejected the request as invalid.
    InvalidRequest,
    /// HTTP 429 Too Many Requests, or the library's own rate limit of token requests. See
    /// [`Error::retry_after`].
    RateLimited,
    /// Any 5xx status: server error.
    Service,
    /// The deadline was exceeded.
    Timeout,
    /// The caller cancelled the call.
    Cancelled,
    /// No connection, connection lost, or a TLS or HTTP protocol error.
    Network,
    /// The response arrived but cannot be decoded. See [`Error::body`]. Also a value that does not match
    /// the type of [`Json::decode`](crate::Json::decode).
    Decode,
    /// A waiter failed because the resource can no longer reach the wanted state.
    WaitFailed,
    /// A file could not be read or written, or a writer that the program passed failed.
    Io,
    /// A bug in this library; please report it.
    Internal,
}

/// Stage of a call at which it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Validation of settings and arguments, before anything was sent.
    Config,
    /// Obtaining an access token.
    Token,
    /// Sending the request or waiting for the response.
    Request,
    /// Decoding the response.
    Decode,
}

/// Whether a failed operation was executed.
///
/// A waiter changes nothing: the outcome of its error is `NotSent` if it sent no poll, else
/// `Rejected`.
///
/// These four are all that can be known, so that a `match` on them needs no `_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The API did not receive the request.
    NotSent,
    /// The API received the request and did not execute it.
    Rejected,
    /// The API may have executed the request. Check a change before repeating it; a read can be
    /// repeated.
    Unknown,
    /// The API executed the request, but the response was lost or cannot be decoded.
    Completed,
}

/// Error of a call.
///
/// `Display` writes one line: the operation, what happened, and what to do, for example `create
/// cluster: rejected with HTTP 400: Name is too long`. Neither `Display` nor `Debug` contains a
/// secret, a token or a response body.
///
/// ```no_run
/// # let admin = camunda_admin::AdminClient::from_env()?;
/// # let id: camunda_admin::ClusterId = "3f0e9a52-7f0c-4a6e-9d0b-7b8f2f6c1d11".parse()?;
/// use camunda_admin::ErrorKind;
///
/// match admin.cluster(&id).backups().create() {
///     Ok(backup) => println!("{}", backup.uuid),
///     Err(error) if error.kind() == ErrorKind::NotFound => println!("no such cluster"),
///     Err(error) if error.may_have_been_applied() => println!("check first: {error}"),
///     Err(error) => return Err(error),
/// }
/// # Ok::<(), camunda_admin::Error>(())
/// ```
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
    /// Whether the same request would fail in the same way again.
    permanent: bool,
    /// Whether the message quotes another error, its HTTP status included.
    quotes: bool,
    /// A sentence that ends the displayed error.
    ending: Option<String>,
    underlying: Option<Arc<dyn StdError + Send + Sync>>,
}

/// Implements `as_str`, `Display`, `FromStr`, `Serialize` and `Deserialize` with a string for each
/// variant.
macro_rules! string_enum {
    ($name:ident { $($variant:ident = $string:literal,)* }) => {
        impl $name {
            /// Returns the value as a string, the same as `Display` and the JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $( $name::$variant => $string, )*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;

            /// Parses the string of [`as_str`](Self::as_str).
            ///
            /// # Errors
            ///
            /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for any other string.
            fn from_str(name: &str) -> $crate::Result<Self> {
                match name {
                    $( $string => Ok($name::$variant), )*
                    _ => Err($crate::Error::invalid_argument(format!(
                        concat!("unknown ", stringify!($name), " `{}`; expected one of: {}"),
                        name.escape_debug(),
                        [$($string),*].join(", "),
                    ))),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use string_enum;

string_enum! { ErrorKind {
    InvalidArgument = "invalid_argument",
    Config = "config",
    Authentication = "authentication",
    PermissionDenied = "permission_denied",
    NotFound = "not_found",
    Conflict = "conflict",
    NotReady = "not_ready",
    InvalidRequest = "invalid_request",
    RateLimited = "rate_limited",
    Service = "service",
    Timeout = "timeout",
    Cancelled = "cancelled",
    Network = "network",
    Decode = "decode",
    WaitFailed = "wait_failed",
    Io = "io",
    Internal = "internal",
} }

string_enum! { Stage {
    Config = "config",
    Token = "token",
    Request = "request",
    Decode = "decode",
} }

string_enum! { Outcome {
    NotSent = "not_sent",
    Rejected = "rejected",
    Unknown = "unknown",
    Completed = "completed",
} }

/// Escapes control characters, which a path or a name of the caller can contain: an error message is one
/// line of a log.
fn one_line(message: String) -> String {
    if !message.contains(char::is_control) {
        return message;
    }
    let mut line = String::with_capacity(message.len() + 8);
    for c in message.chars() {
        match c.is_control() {
            true => line.extend(c.escape_debug()),
            false => line.push(c),
        }
    }
    line
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
            message: one_line(message.into()),
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
            ending: None,
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

    /// Returns the category of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns the stage at which the call failed.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// Returns whether the operation was executed.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.0.outcome
    }

    /// Returns whether the operation is a change that was applied or may have been applied, although
    /// its complete, usable response did not arrive: check before you repeat it. The error message
    /// says which of the two it is and what to look for.
    ///
    /// `false` for reads and waiters, which change nothing, and for errors that make certain that
    /// nothing was applied. C++ and Python raise these errors as `OutcomeUnknownError`.
    #[must_use]
    pub fn may_have_been_applied(&self) -> bool {
        self.0.unconfirmed
    }

    /// Returns the error message without the name of the operation.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the name of the operation, such as `create cluster`.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// Returns the HTTP method of the request.
    #[must_use]
    pub fn method(&self) -> Option<&'static str> {
        self.0.method
    }

    /// Returns the percent-encoded path of the request, also if the request was not sent.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.path.as_deref()
    }

    /// Returns the HTTP status of the response, or `None` if there was none.
    #[must_use]
    pub fn http_status(&self) -> Option<u16> {
        self.0.http_status
    }

    /// Returns the server's error message on one line, or `None` if the response had none: a field such
    /// as `message` of a JSON object, a text, or the title of an HTML page. JSON in which no message is
    /// recognized is returned whole, unless responses of the operation contain secrets.
    #[must_use]
    pub fn server_message(&self) -> Option<&str> {
        self.0.server_message.as_deref()
    }

    /// Returns the unmodified response body.
    ///
    /// If a one-time response, such as a client secret, cannot be decoded, only this body has it.
    /// Store it safely and do not log it.
    #[must_use]
    pub fn body(&self) -> Option<&[u8]> {
        self.0.body.as_ref().map(|body| body.as_slice())
    }

    /// Returns the time after which the caller may retry: from the server's `Retry-After` header or
    /// from the library's rate limit. `None` if neither applies.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Returns the number of requests of which at least one byte was sent. The polls of a waiter
    /// count, token requests do not. 0 if no connection could be established.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns the server's id of the request, to quote to Camunda support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns the time from the start of the call until it failed.
    #[must_use]
    pub fn elapsed(&self) -> Option<Duration> {
        self.0.elapsed
    }

    /// Returns the underlying error, for downcasting (to [`std::io::Error`], for example). For a
    /// waiter that timed out, this is the error of the last poll.
    ///
    /// `Display` contains its text, so [`source`](StdError::source) is `None`: a report that walks
    /// the chain of sources would print the text twice.
    #[must_use]
    pub fn underlying(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .underlying
            .as_deref()
            .map(|underlying| underlying as &(dyn StdError + 'static))
    }

    /// Returns whether the same request would fail again, for example because of an untrusted
    /// certificate.
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

    /// Adds a sentence to the end of the displayed error.
    pub(crate) fn ending_with(mut self, ending: String) -> Self {
        self.0.ending = Some(ending);
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

    /// Appends a note to the message.
    pub(crate) fn with_note(mut self, note: impl fmt::Display) -> Self {
        self.0.message = one_line(format!("{}; {note}", self.0.message));
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
        self.0.message = one_line(format!("{text}: {}", self.0.message));
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
        inner.message = one_line(message);
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
                // The status of the token endpoint, or one that the message has already.
                Some(_) if inner.stage == Stage::Token || inner.quotes => f.write_str(": ")?,
                Some(status) if inner.outcome == Outcome::Rejected => {
                    write!(f, ": rejected with HTTP {status}: ")?;
                }
                // 2xx: the operation was executed, only the response is unusable.
                Some(200..=299) | None => f.write_str(": ")?,
                Some(status) => write!(f, ": failed with HTTP {status}: ")?,
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
            write!(f, "; retry after {:.1} s", wait.as_secs_f64())?;
        }
        if let Some(ending) = &inner.ending {
            write!(f, "; {ending}")?;
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
    fn display_has_operation_status_and_message_when_rejected() {
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
            "create cluster: rejected with HTTP 400: Name is too long"
        );
    }

    #[test]
    fn message_has_no_control_characters() {
        let error = Error::config("a\nb\tü \u{1b}[31m `c\\d` cannot be read")
            .prefixed("x\r")
            .with_note("y\u{7f}")
            .with_note("z\0");
        let line = r"x\r: a\nb\tü \u{1b}[31m `c\d` cannot be read; y\u{7f}; z\0";
        assert_eq!(error.message(), line);
    }

    #[test]
    fn display_has_status_of_token_endpoint_only_once() {
        let error = Error::new(
            ErrorKind::Authentication,
            Stage::Token,
            Outcome::NotSent,
            "token endpoint rejected the client credentials (HTTP 401): no",
        )
        .with_operation("get cluster")
        .with_http_status(401);
        assert_eq!(
            error.to_string(),
            "get cluster: token endpoint rejected the client credentials (HTTP 401): no"
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
    fn source_is_none_when_display_contains_underlying_error() {
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
    fn display_and_debug_do_not_contain_body() {
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
