//! Log records of requests: `event[, consequence]: key=value …`, without secrets and personal data.
//!
//! Responses, failures and token requests are logged at `debug`, retries at `info`. Strings
//! from outside this library are quoted and escaped, so that a server cannot forge a record.

use std::fmt;
use std::time::{Duration, Instant};

use super::Request;
use crate::error::Error;

/// A response that was read to its end, or until the connection was lost.
pub(super) struct ResponseRecord<'a> {
    pub(super) status: u16,
    /// Bytes received, TLS included.
    pub(super) bytes: u64,
    /// Start time of the request.
    pub(super) begun: Instant,
    pub(super) attempt: u32,
    pub(super) request_id: Option<&'a str>,
}

impl ResponseRecord<'_> {
    pub(super) fn log(&self, request: &Request<'_>) {
        log::debug!(
            "response received: operation={:?} method={} path={} status={} bytes={} duration={} \
             attempt={}{}",
            request.operation,
            request.method,
            ShownPath(&request.path),
            self.status,
            self.bytes,
            Millis(self.begun.elapsed()),
            self.attempt,
            Optional(" request_id=", self.request_id),
        );
    }
}

/// A response of a token endpoint.
pub(super) struct TokenResponseRecord {
    pub(super) status: u16,
    /// Bytes received, TLS included.
    pub(super) bytes: u64,
    pub(super) duration: Duration,
}

impl TokenResponseRecord {
    pub(super) fn log(&self, url: &str) {
        log::debug!(
            "token response received: url={url} status={} bytes={} duration={}",
            self.status,
            self.bytes,
            Millis(self.duration),
        );
    }
}

/// Logs that the client retries a request after `delay`.
pub(super) fn retry(operation: &str, attempt: u32, delay: Duration, error: &Error) {
    log::info!(
        "request failed, retrying: operation={operation:?} attempt={attempt} delay={}{} error={:?}",
        Millis(delay),
        Status(error),
        error.message(),
    );
}

/// Logs that a waiter polls again after `delay`, although a poll failed.
pub(crate) fn poll_retry(operation: &str, delay: Duration, error: &Error) {
    log::info!(
        "poll failed, retrying: operation={operation:?} delay={}{} error={:?}",
        Millis(delay),
        Status(error),
        error.to_string(),
    );
}

/// Logs that a change succeeded because an earlier attempt, whose response was lost, was executed.
pub(super) fn applied_earlier(operation: &str, attempt: u32, error: &Error) {
    log::info!(
        "response of an earlier attempt was lost, it was executed: operation={operation:?} \
         attempt={attempt}{} error={:?}",
        Status(error),
        error.message(),
    );
}

/// Logs that a call returns an error.
pub(crate) fn failure(operation: &str, error: &Error) {
    log::debug!(
        "call failed: operation={operation:?} attempts={} duration={}{} error={:?}",
        error.attempts(),
        Millis(error.elapsed().unwrap_or_default()),
        Status(error),
        error.to_string(),
    );
}

/// Formats a duration in milliseconds with three decimals.
struct Millis(Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}ms", self.0.as_secs_f64() * 1000.0)
    }
}

/// Formats a path without personal data: segments that contain `@` (email addresses of members) and
/// the query are replaced.
struct ShownPath<'a>(&'a str);

impl fmt::Display for ShownPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, query) = match self.0.split_once('?') {
            Some((path, _)) => (path, "?…"),
            None => (self.0, ""),
        };
        for (number, segment) in path.split('/').enumerate() {
            if number > 0 {
                f.write_str("/")?;
            }
            let is_email = segment.contains('@') || segment.contains("%40");
            f.write_str(if is_email { "{email}" } else { segment })?;
        }
        f.write_str(query)
    }
}

struct Optional<'a>(&'static str, Option<&'a str>);

impl fmt::Display for Optional<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(value) => write!(f, "{}{value:?}", self.0),
            None => Ok(()),
        }
    }
}

struct Status<'a>(&'a Error);

impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.http_status() {
            Some(status) => write!(f, " status={status}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_path_omits_emails_and_queries() {
        for (path, shown) in [
            ("/clusters", "/clusters"),
            ("/clusters/a-1/secrets/KEY", "/clusters/a-1/secrets/KEY"),
            ("/members/ann%40example.com", "/members/{email}"),
            ("/members/ann@example.com/x", "/members/{email}/x"),
            ("/clusters?token=1&a=b", "/clusters?…"),
            ("/a?b@c/d", "/a?…"),
        ] {
            assert_eq!(ShownPath(path).to_string(), shown);
        }
    }

    #[test]
    fn millis_have_microseconds() {
        assert_eq!(
            Millis(Duration::from_nanos(188_063_064)).to_string(),
            "188.063ms"
        );
        assert_eq!(Millis(Duration::from_secs(60)).to_string(), "60000.000ms");
    }
}
