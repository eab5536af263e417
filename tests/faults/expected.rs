//! What a call of each class reports for each fault, written by hand from the retry policy and the
//! definition of [`Outcome`]. The test compares its observations with this table, and renders
//! `docs/failure-modes.md` only if they are equal.

use camunda_admin::ErrorKind::{
    Authentication, Config, Conflict, Decode, InvalidRequest, Network, NotFound, PermissionDenied,
    RateLimited, Service, Timeout,
};
use camunda_admin::Outcome::{Completed, NotSent, Rejected, Unknown};
use camunda_admin::{ErrorKind, Outcome};

use crate::run::Class;
use Timing::{AfterRetries, AtDeadline, Immediately, WhenComplete};

/// What a call returned, and what the server saw of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// Kind and outcome of the error; `None` if the call succeeded.
    pub(crate) error: Option<(ErrorKind, Outcome)>,
    /// Requests that the server received.
    pub(crate) requests: u32,
    /// Connections that the server accepted, if it received no request.
    pub(crate) connections: u32,
    pub(crate) timing: Timing,
}

/// When a call returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timing {
    /// After one attempt.
    Immediately,
    /// After more than one attempt.
    AfterRetries,
    /// When a slow response was complete.
    WhenComplete,
    AtDeadline,
    /// Long after the fault, but before the deadline: never expected.
    Late,
}

/// What a call of one class reports for one fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expectation {
    /// If the fault is injected into the first request only; `None` for faults that do not depend on
    /// a request.
    pub(crate) first: Option<Report>,
    /// If the fault is injected into every request; `None` if that is not tested.
    pub(crate) every: Option<Report>,
}

/// What calls of all classes report for the named faults.
#[derive(Clone)]
struct Row {
    faults: &'static [&'static str],
    get: Expectation,
    set: Expectation,
    create: Expectation,
    token: Expectation,
}

/// Returns the names of all faults of the table.
pub(crate) fn faults() -> impl Iterator<Item = &'static str> {
    rows()
        .into_iter()
        .flat_map(|row| row.faults.iter().copied())
}

/// Returns what a call of `class` has to report for a fault.
pub(crate) fn expectation(fault: &str, class: Class) -> Expectation {
    let row = rows()
        .into_iter()
        .find(|row| row.faults.contains(&fault))
        .unwrap_or_else(|| panic!("tests/faults/expected.rs has no row for the fault `{fault}`"));
    match class {
        Class::Safe => row.get,
        Class::Idempotent => row.set,
        Class::NonIdempotent => row.create,
        Class::Token => row.token,
    }
}

fn rows() -> Vec<Row> {
    [
        unreached(),
        sent(),
        succeeded(),
        lost(),
        invalid(),
        statuses(),
    ]
    .concat()
}

/// Faults that prevent a connection: nothing was sent, so that every class is retried.
fn unreached() -> Vec<Row> {
    let no_listener = every_only(unconnected(Network, NotSent, 0, AfterRetries));
    let unresponsive = every_only(unconnected(Timeout, NotSent, 0, AtDeadline));
    let untrusted = every_only(unconnected(Network, NotSent, 1, Immediately));
    let unsupported = always(unconnected(Network, NotSent, 1, Immediately));
    let stalled = always(unconnected(Timeout, NotSent, 1, AtDeadline));
    let no_handshake = first_then(
        response(1, AfterRetries),
        unconnected(Network, NotSent, 5, AfterRetries),
    );
    vec![
        row_of_all(&["connection refused", "host name not found"], no_listener),
        row_of_all(&["no response to connection attempts"], unresponsive),
        row_of_all(
            &[
                "certificate of an unknown authority",
                "expired certificate",
                "certificate for another host",
                "certificate of an authority as that of the server",
                // With TLS 1.3 the server rejects it after it received the request's bytes, which it
                // does not decrypt.
                "client certificate required, none configured",
            ],
            untrusted,
        ),
        Row {
            faults: &[
                "HTTP without TLS instead of TLS",
                "closed during the TLS handshake",
            ],
            get: no_handshake,
            set: no_handshake,
            create: no_handshake,
            token: first_then(
                response(1, AfterRetries),
                unconnected(Network, NotSent, 3, AfterRetries),
            ),
        },
        row_of_all(&["server without TLS 1.2 or later"], unsupported),
        row_of_all(&["no data during the TLS handshake"], stalled),
    ]
}

/// Faults after which a call ends at its deadline.
fn sent() -> Vec<Row> {
    let unknown = always(error(Timeout, Unknown, 1, AtDeadline));
    let not_sent = always(error(Timeout, NotSent, 1, AtDeadline));
    // The status line was 2xx.
    let completed = always(error(Timeout, Completed, 1, AtDeadline));
    vec![
        Row {
            faults: &[
                "response sent slowly, beyond the deadline",
                "no data after the request",
                "no data after partial headers",
                "endless 103 responses",
            ],
            get: unknown,
            set: unknown,
            create: unknown,
            token: not_sent,
        },
        Row {
            faults: &["no data after a partial body"],
            get: unknown,
            set: completed,
            create: completed,
            token: not_sent,
        },
    ]
}

/// Faults that do not make a call fail.
fn succeeded() -> Vec<Row> {
    let slow = always(response(1, WhenComplete));
    let immediate = always(response(1, Immediately));
    let retried = always(response(2, AfterRetries));
    vec![
        row_of_all(
            &[
                "response after 1 s",
                "response sent slowly, within the deadline",
            ],
            slow,
        ),
        row_of_all(
            &[
                "idle connection closed by the server",
                "idle connection with an unsolicited response",
                "idle connection with an unsolicited response, over TLS",
                "100 before the response",
                "103 before the response",
                "no Content-Length, ended by closing",
                "chunks and Content-Length",
                "valid gzip",
            ],
            immediate,
        ),
        // Non-idempotent and token requests do not use idle connections.
        Row {
            faults: &["idle connection reset by the next request"],
            get: retried,
            set: retried,
            create: immediate,
            token: immediate,
        },
    ]
}

/// Faults that end the response before its end.
fn lost() -> Vec<Row> {
    let retried = response(2, AfterRetries);
    let token = first_then(retried, error(Network, NotSent, 3, AfterRetries));
    let unknown = first_then(retried, error(Network, Unknown, 5, AfterRetries));
    let completed = first_then(retried, error(Network, Completed, 5, AfterRetries));
    let create_unknown = always(error(Network, Unknown, 1, Immediately));
    let create_completed = always(error(Network, Completed, 1, Immediately));
    vec![
        Row {
            faults: &[
                "reset before the request is read",
                "reset after the request is read",
                "reset after execution",
                "closed without a response",
                "reset after partial headers",
                "greeting of another protocol",
                "status line without a status",
                "HTTP/2 frames",
                "header without a colon",
                "header with a NUL",
                "truncated HTML page as `application/json`",
                "two different Content-Length values",
                "Content-Length not a number",
                "endless header line",
                "endless header lines",
            ],
            get: unknown,
            set: unknown,
            create: create_unknown,
            token,
        },
        // The status line was 2xx, so that the operation was executed.
        Row {
            faults: &[
                "truncated without close_notify, no Content-Length",
                "reset after a partial body",
                "closed after a partial body",
                "Content-Length too large",
                "chunk size not a number",
                "last chunk missing",
                "truncated chunk",
                "chunk larger than memory",
                "chunk size overflows 64 bits",
                "corrupt gzip",
                "truncated gzip",
                "labelled as gzip, not compressed",
            ],
            get: unknown,
            set: completed,
            create: create_completed,
            token,
        },
        Row {
            faults: &["truncated inside the headers"],
            get: first_only(retried),
            set: first_only(retried),
            create: first_only(error(Network, Unknown, 1, Immediately)),
            token: first_only(retried),
        },
        // The response of `set` is 204, which has no body.
        Row {
            faults: &["truncated inside the body"],
            get: first_only(retried),
            set: Expectation {
                first: None,
                every: None,
            },
            create: first_only(error(Network, Completed, 1, Immediately)),
            token: first_only(retried),
        },
    ]
}

/// Faults whose response is complete but cannot be decoded.
fn invalid() -> Vec<Row> {
    let immediate = always(response(1, Immediately));
    let completed = always(error(Decode, Completed, 1, Immediately));
    let unknown = always(error(Decode, Unknown, 1, Immediately));
    let retried = response(2, AfterRetries);
    let token = first_then(retried, error(Decode, NotSent, 3, AfterRetries));
    vec![
        // `set` does not use the body of its response.
        Row {
            faults: &[
                "body that is not JSON",
                "body of another JSON type",
                "empty body",
                "truncated JSON, valid Content-Length",
                "body that is not UTF-8",
                "Content-Length too small",
            ],
            get: completed,
            set: immediate,
            create: completed,
            token,
        },
        // A gateway or portal sent the page, perhaps without forwarding the request.
        Row {
            faults: &[
                "HTML page as `Text/HTML`, after execution",
                "HTML page as `text/plain`, after execution",
                "HTML page with status 200",
            ],
            get: unknown,
            set: unknown,
            create: unknown,
            token,
        },
        Row {
            faults: &["endless body", "endless chunks", "gzip bomb"],
            get: completed,
            set: completed,
            create: completed,
            token,
        },
    ]
}

/// Responses with a status other than 2xx. A safe request is always `Rejected`, since it changes
/// nothing; for the others a status below 400 or from 500 on leaves the outcome `Unknown`.
fn statuses() -> Vec<Row> {
    let rejected = |kind| always(error(kind, Rejected, 1, Immediately));
    let unknown = |kind| always(error(kind, Unknown, 1, Immediately));
    let token = |kind| always(error(kind, NotSent, 1, Immediately));
    let retried = response(2, AfterRetries);
    let retried_or =
        |kind, outcome, requests| first_then(retried, error(kind, outcome, requests, AfterRetries));
    let client_error = |faults, kind, token_kind| Row {
        faults,
        get: rejected(kind),
        set: rejected(kind),
        create: rejected(kind),
        token: token(token_kind),
    };
    vec![
        client_error(&["400 Bad Request"], InvalidRequest, Config),
        client_error(&["403 Forbidden"], PermissionDenied, Authentication),
        client_error(&["404 Not Found"], NotFound, Config),
        client_error(&["409 Conflict"], Conflict, Config),
        // After the deadline, so that it is not retried.
        client_error(
            &["429 Too Many Requests, `Retry-After: 3600`"],
            RateLimited,
            RateLimited,
        ),
        // Retried once, with another token.
        Row {
            faults: &["401 Unauthorized"],
            get: retried_or(Authentication, Rejected, 2),
            set: retried_or(Authentication, Rejected, 2),
            create: rejected(Authentication),
            token: token(Authentication),
        },
        Row {
            faults: &[
                "429 Too Many Requests",
                "429 Too Many Requests, `Retry-After: 1`",
                "429 Too Many Requests, `Retry-After`: date in 1 s",
            ],
            get: retried_or(RateLimited, Rejected, 5),
            set: retried_or(RateLimited, Rejected, 5),
            create: rejected(RateLimited),
            token: token(RateLimited),
        },
        Row {
            faults: &["500 Internal Server Error"],
            get: rejected(Service),
            set: unknown(Service),
            create: unknown(Service),
            token: retried_or(Service, NotSent, 3),
        },
        // After the deadline, so that it is not retried.
        Row {
            faults: &["503 Service Unavailable, `Retry-After: 3600`"],
            get: rejected(Service),
            set: unknown(Service),
            create: unknown(Service),
            token: token(Service),
        },
        Row {
            faults: &[
                "502 Bad Gateway, HTML page",
                "503 Service Unavailable, HTML page",
                "503 Service Unavailable, plain text, after execution",
                "503 Service Unavailable, JSON of a gateway, after execution",
                "504 Gateway Timeout, after execution",
                "503 Service Unavailable, `Retry-After: 1`",
                "503 Service Unavailable, `Retry-After`: date in 1 s",
            ],
            get: retried_or(Service, Rejected, 5),
            set: retried_or(Service, Unknown, 5),
            create: unknown(Service),
            token: retried_or(Service, NotSent, 3),
        },
        Row {
            faults: &[
                "101 Switching Protocols, after execution",
                "301 Moved Permanently",
                "302 Found",
                "307 Temporary Redirect",
                "308 Permanent Redirect",
                "303 See Other, after execution",
            ],
            get: rejected(Network),
            set: unknown(Network),
            create: unknown(Network),
            token: token(Config),
        },
    ]
}

fn row_of_all(faults: &'static [&'static str], expectation: Expectation) -> Row {
    Row {
        faults,
        get: expectation,
        set: expectation,
        create: expectation,
        token: expectation,
    }
}

fn always(report: Report) -> Expectation {
    first_then(report, report)
}

fn first_then(first: Report, every: Report) -> Expectation {
    Expectation {
        first: Some(first),
        every: Some(every),
    }
}

fn first_only(report: Report) -> Expectation {
    Expectation {
        first: Some(report),
        every: None,
    }
}

fn every_only(report: Report) -> Expectation {
    Expectation {
        first: None,
        every: Some(report),
    }
}

fn response(requests: u32, timing: Timing) -> Report {
    Report {
        error: None,
        requests,
        connections: 0,
        timing,
    }
}

fn error(kind: ErrorKind, outcome: Outcome, requests: u32, timing: Timing) -> Report {
    Report {
        error: Some((kind, outcome)),
        requests,
        connections: 0,
        timing,
    }
}

/// An error of a call whose requests did not arrive.
fn unconnected(kind: ErrorKind, outcome: Outcome, connections: u32, timing: Timing) -> Report {
    Report {
        error: Some((kind, outcome)),
        requests: 0,
        connections,
        timing,
    }
}
