//! Status codes and `camunda_error`.

use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::ffi::boundary::{catch_panic_or, free};
use crate::secret::Zeroizing;

/// Result of a function call: CAMUNDA_STATUS_OK or the kind of the error. Later versions may add
/// values; treat an unknown value as an error.
pub type camunda_status = i32;

/// Success.
pub const CAMUNDA_STATUS_OK: camunda_status = 0;
/// An argument is invalid: NULL, empty, not UTF-8, of the wrong type, or a dot segment of a path.
pub const CAMUNDA_STATUS_INVALID_ARGUMENT: camunda_status = 1;
/// A setting is missing or invalid; the message names it.
pub const CAMUNDA_STATUS_CONFIG: camunda_status = 2;
/// HTTP 401, or the token endpoint rejected the credentials.
pub const CAMUNDA_STATUS_AUTHENTICATION: camunda_status = 3;
/// HTTP 403: the credentials lack a permission, a quota is exhausted, or the cluster belongs to
/// another organization.
pub const CAMUNDA_STATUS_PERMISSION_DENIED: camunda_status = 4;
/// HTTP 404: the resource does not exist.
pub const CAMUNDA_STATUS_NOT_FOUND: camunda_status = 5;
/// HTTP 409: the current state of the resource does not allow the operation.
pub const CAMUNDA_STATUS_CONFLICT: camunda_status = 6;
/// HTTP 412: the resource is not ready yet; retry later.
pub const CAMUNDA_STATUS_NOT_READY: camunda_status = 7;
/// Any other HTTP 4xx: the API rejected the request.
pub const CAMUNDA_STATUS_INVALID_REQUEST: camunda_status = 8;
/// HTTP 429, or the library's own rate limit of token requests.
pub const CAMUNDA_STATUS_RATE_LIMITED: camunda_status = 9;
/// HTTP 5xx: the API failed.
pub const CAMUNDA_STATUS_SERVICE: camunda_status = 10;
/// The deadline of the call passed.
pub const CAMUNDA_STATUS_TIMEOUT: camunda_status = 11;
/// The call was cancelled.
pub const CAMUNDA_STATUS_CANCELLED: camunda_status = 12;
/// No connection, a lost connection, or a TLS or HTTP protocol error.
pub const CAMUNDA_STATUS_NETWORK: camunda_status = 13;
/// The response does not have the documented format. camunda_error_body() returns its body.
pub const CAMUNDA_STATUS_DECODE: camunda_status = 14;
/// The resource can no longer reach the state that a waiter waits for.
pub const CAMUNDA_STATUS_WAIT_FAILED: camunda_status = 15;
/// A file could not be read or written, or a sink callback ended the call.
pub const CAMUNDA_STATUS_IO: camunda_status = 16;
/// A bug in this library; please report it.
pub const CAMUNDA_STATUS_INTERNAL: camunda_status = 17;

/// Before any request: settings and arguments.
pub const CAMUNDA_STAGE_CONFIG: i32 = 1;
/// Obtaining an access token.
pub const CAMUNDA_STAGE_TOKEN: i32 = 2;
/// Sending the request, or receiving its response.
pub const CAMUNDA_STAGE_REQUEST: i32 = 3;
/// Decoding the response.
pub const CAMUNDA_STAGE_DECODE: i32 = 4;

/// The request did not reach the API: it was not executed.
pub const CAMUNDA_OUTCOME_NOT_SENT: i32 = 1;
/// The API received the request and did not execute it.
pub const CAMUNDA_OUTCOME_REJECTED: i32 = 2;
/// The API may have executed the request. Check the resource before you retry a change; a read can be
/// retried.
pub const CAMUNDA_OUTCOME_UNKNOWN: i32 = 3;
/// The API executed the request, but the response was lost or cannot be decoded.
pub const CAMUNDA_OUTCOME_COMPLETED: i32 = 4;

pub(super) fn status_of(kind: ErrorKind) -> camunda_status {
    match kind {
        ErrorKind::InvalidArgument => CAMUNDA_STATUS_INVALID_ARGUMENT,
        ErrorKind::Config => CAMUNDA_STATUS_CONFIG,
        ErrorKind::Authentication => CAMUNDA_STATUS_AUTHENTICATION,
        ErrorKind::PermissionDenied => CAMUNDA_STATUS_PERMISSION_DENIED,
        ErrorKind::NotFound => CAMUNDA_STATUS_NOT_FOUND,
        ErrorKind::Conflict => CAMUNDA_STATUS_CONFLICT,
        ErrorKind::NotReady => CAMUNDA_STATUS_NOT_READY,
        ErrorKind::InvalidRequest => CAMUNDA_STATUS_INVALID_REQUEST,
        ErrorKind::RateLimited => CAMUNDA_STATUS_RATE_LIMITED,
        ErrorKind::Service => CAMUNDA_STATUS_SERVICE,
        ErrorKind::Timeout => CAMUNDA_STATUS_TIMEOUT,
        ErrorKind::Cancelled => CAMUNDA_STATUS_CANCELLED,
        ErrorKind::Network => CAMUNDA_STATUS_NETWORK,
        ErrorKind::Decode => CAMUNDA_STATUS_DECODE,
        ErrorKind::WaitFailed => CAMUNDA_STATUS_WAIT_FAILED,
        ErrorKind::Io => CAMUNDA_STATUS_IO,
        ErrorKind::Internal => CAMUNDA_STATUS_INTERNAL,
    }
}

/// Returns the C string of a name.
macro_rules! name_of {
    ($value:expr; $($constant:ident = $name:literal)*) => {
        match $value {
            $( $constant => $name, )*
            _ => c"unrecognized",
        }
        .as_ptr()
    };
}

/// Returns the name of a status in lower case, for logs.
///
/// @param status Status.
/// @return `not_found` for CAMUNDA_STATUS_NOT_FOUND, `ok` for CAMUNDA_STATUS_OK, `unrecognized` for
///   a value that this version does not know. A static string. Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_status_name(status: camunda_status) -> *const c_char {
    name_of! { status;
        CAMUNDA_STATUS_OK = c"ok"
        CAMUNDA_STATUS_INVALID_ARGUMENT = c"invalid_argument"
        CAMUNDA_STATUS_CONFIG = c"config"
        CAMUNDA_STATUS_AUTHENTICATION = c"authentication"
        CAMUNDA_STATUS_PERMISSION_DENIED = c"permission_denied"
        CAMUNDA_STATUS_NOT_FOUND = c"not_found"
        CAMUNDA_STATUS_CONFLICT = c"conflict"
        CAMUNDA_STATUS_NOT_READY = c"not_ready"
        CAMUNDA_STATUS_INVALID_REQUEST = c"invalid_request"
        CAMUNDA_STATUS_RATE_LIMITED = c"rate_limited"
        CAMUNDA_STATUS_SERVICE = c"service"
        CAMUNDA_STATUS_TIMEOUT = c"timeout"
        CAMUNDA_STATUS_CANCELLED = c"cancelled"
        CAMUNDA_STATUS_NETWORK = c"network"
        CAMUNDA_STATUS_DECODE = c"decode"
        CAMUNDA_STATUS_WAIT_FAILED = c"wait_failed"
        CAMUNDA_STATUS_IO = c"io"
        CAMUNDA_STATUS_INTERNAL = c"internal"
    }
}

/// Returns the name of a stage in lower case, for logs.
///
/// @param stage Stage: CAMUNDA_STAGE_….
/// @return `token` for CAMUNDA_STAGE_TOKEN, `unrecognized` for a value that this version does not
///   know. A static string. Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_stage_name(stage: i32) -> *const c_char {
    name_of! { stage;
        CAMUNDA_STAGE_CONFIG = c"config"
        CAMUNDA_STAGE_TOKEN = c"token"
        CAMUNDA_STAGE_REQUEST = c"request"
        CAMUNDA_STAGE_DECODE = c"decode"
    }
}

/// Returns the name of an outcome in lower case, for logs.
///
/// @param outcome Outcome: CAMUNDA_OUTCOME_….
/// @return `not_sent` for CAMUNDA_OUTCOME_NOT_SENT, `unrecognized` for a value that this version
///   does not know. A static string. Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_outcome_name(outcome: i32) -> *const c_char {
    name_of! { outcome;
        CAMUNDA_OUTCOME_NOT_SENT = c"not_sent"
        CAMUNDA_OUTCOME_REJECTED = c"rejected"
        CAMUNDA_OUTCOME_UNKNOWN = c"unknown"
        CAMUNDA_OUTCOME_COMPLETED = c"completed"
    }
}

/// Error of a function call. Immutable; several threads may read it concurrently.
#[derive(Debug)]
pub struct camunda_error {
    error: Error,
    message: CString,
    server_message: Option<CString>,
    request_id: Option<CString>,
    operation: Option<CString>,
    method: Option<CString>,
    path: Option<CString>,
    /// NUL-terminated.
    body: Option<Zeroizing<Vec<u8>>>,
}

impl camunda_error {
    pub(super) fn new(error: Error) -> Self {
        let message = c_string(&error.to_string());
        let body = error.body().map(|body| {
            let mut terminated = Zeroizing::new(Vec::with_capacity(body.len() + 1));
            terminated.extend_from_slice(body);
            terminated.push(0);
            terminated
        });
        camunda_error {
            message,
            server_message: error.server_message().map(c_string),
            request_id: error.request_id().map(c_string),
            operation: error.operation().map(c_string),
            method: error.method().map(c_string),
            path: error.path().map(c_string),
            body,
            error,
        }
    }
}

/// Converts a string to C. Truncates it at an embedded NUL.
pub(super) fn c_string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// Reads from an error. Returns `fallback` if `error` is NULL.
///
/// # Safety
/// `error` is NULL or valid.
unsafe fn read<T>(
    error: *const camunda_error,
    fallback: T,
    read: impl FnOnce(&camunda_error) -> T,
) -> T {
    // SAFETY: guaranteed by the caller.
    match unsafe { error.as_ref() } {
        Some(error) => catch_panic_or(fallback, || read(error)),
        None => fallback,
    }
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// Returns the status of an error, which the function that failed also returned.
///
/// @param error Error; NULL is accepted.
/// @return The status; CAMUNDA_STATUS_OK if `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_status(error: *const camunda_error) -> camunda_status {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe {
        read(error, CAMUNDA_STATUS_OK, |error| {
            status_of(error.error.kind())
        })
    }
}

/// Returns a one-line message for humans, without secrets, for example `create cluster: rejected
/// with HTTP 400: Name is too long`.
///
/// @param error Error; NULL is accepted.
/// @return The message, borrowed from `error`; an empty string if `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_message(error: *const camunda_error) -> *const c_char {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(error, c"".as_ptr(), |error| error.message.as_ptr()) }
}

/// Returns the HTTP status code of the response.
///
/// @param error Error; NULL is accepted.
/// @return The status code; 0 if no response was received, or if `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_http_status(error: *const camunda_error) -> i32 {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe {
        read(error, 0, |error| {
            error.error.http_status().map_or(0, i32::from)
        })
    }
}

/// Returns the stage of the call that failed.
///
/// @param error Error; NULL is accepted.
/// @return CAMUNDA_STAGE_…; 0 if `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_stage(error: *const camunda_error) -> i32 {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe {
        read(error, 0, |error| match error.error.stage() {
            Stage::Config => CAMUNDA_STAGE_CONFIG,
            Stage::Token => CAMUNDA_STAGE_TOKEN,
            Stage::Request => CAMUNDA_STAGE_REQUEST,
            Stage::Decode => CAMUNDA_STAGE_DECODE,
        })
    }
}

/// Returns whether the API executed the operation. A waiter changes nothing: its error has
/// CAMUNDA_OUTCOME_NOT_SENT if no poll was sent, else CAMUNDA_OUTCOME_REJECTED.
///
/// @param error Error; NULL is accepted.
/// @return CAMUNDA_OUTCOME_…; 0 if `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_outcome(error: *const camunda_error) -> i32 {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe {
        read(error, 0, |error| match error.error.outcome() {
            Outcome::NotSent => CAMUNDA_OUTCOME_NOT_SENT,
            Outcome::Rejected => CAMUNDA_OUTCOME_REJECTED,
            Outcome::Unknown => CAMUNDA_OUTCOME_UNKNOWN,
            Outcome::Completed => CAMUNDA_OUTCOME_COMPLETED,
        })
    }
}

/// Returns whether the operation is a change that was or may have been applied, although no
/// complete, usable response was received. Check the resource before you retry the change; the
/// message says which of the two it is and what to check.
///
/// @param error Error; NULL is accepted.
/// @return Whether the change may have been applied; false for reads, for waiters, and if `error`
///   is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_may_have_been_applied(error: *const camunda_error) -> bool {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(error, false, |error| error.error.may_have_been_applied()) }
}

/// Returns the error message of the API.
///
/// @param error Error; NULL is accepted.
/// @return The message, borrowed from `error`; NULL if the response has none, or if `error` is
///   NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_server_message(
    error: *const camunda_error,
) -> *const c_char {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(error, ptr::null(), |error| pointer(&error.server_message)) }
}

/// Returns the unmodified response body. If a response that the API returns only once, such as a
/// client secret, cannot be decoded, this is its only copy: store it safely and do not log it.
///
/// @param error Error; NULL is accepted.
/// @param[out] len Number of bytes without the NUL; may be NULL.
/// @return The body, NUL-terminated and borrowed from `error`; NULL if there is none, or if `error`
///   is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_body(
    error: *const camunda_error,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        let (data, length) = read(error, (ptr::null(), 0), |error| match &error.body {
            Some(body) => (body.as_ptr().cast(), body.len() - 1),
            None => (ptr::null(), 0),
        });
        if !len.is_null() {
            *len = length;
        }
        data
    }
}

/// Returns the time to wait before a retry.
///
/// @param error Error; NULL is accepted.
/// @return The time in seconds; negative if unknown, or if `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_retry_after(error: *const camunda_error) -> f64 {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(error, -1.0, |error| seconds(error.error.retry_after())) }
}

/// Returns the number of requests of which at least one byte was sent, including the polls of a
/// waiter, excluding token requests.
///
/// @param error Error; NULL is accepted.
/// @return The number; 0 if the connection could not be established, or if `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_attempts(error: *const camunda_error) -> u32 {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(error, 0, |error| error.error.attempts()) }
}

/// Returns the request id that the API assigned.
///
/// @param error Error; NULL is accepted.
/// @return The id, borrowed from `error`; NULL if the response has none, or if `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_request_id(error: *const camunda_error) -> *const c_char {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(error, ptr::null(), |error| pointer(&error.request_id)) }
}

/// Returns the name of the operation, for example `create cluster`.
///
/// @param error Error; NULL is accepted.
/// @return The name, borrowed from `error`; NULL if no operation was started, or if `error` is
///   NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_operation(error: *const camunda_error) -> *const c_char {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(error, ptr::null(), |error| pointer(&error.operation)) }
}

/// Returns the HTTP method of the request.
///
/// @param error Error; NULL is accepted.
/// @return The method, borrowed from `error`; NULL if no request was prepared, or if `error` is
///   NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_method(error: *const camunda_error) -> *const c_char {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(error, ptr::null(), |error| pointer(&error.method)) }
}

/// Returns the path of the request.
///
/// @param error Error; NULL is accepted.
/// @return The path, borrowed from `error`; NULL if no request was prepared, or if `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_path(error: *const camunda_error) -> *const c_char {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(error, ptr::null(), |error| pointer(&error.path)) }
}

/// Returns the time from the start of the call to its failure.
///
/// @param error Error; NULL is accepted.
/// @return The time in seconds; negative if no call was started, or if `error` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_elapsed(error: *const camunda_error) -> f64 {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(error, -1.0, |error| seconds(error.error.elapsed())) }
}

/// Frees an error.
///
/// @param error Error to free. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_free(error: *mut camunda_error) {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { free(error) }
}

fn seconds(duration: Option<Duration>) -> f64 {
    duration.map_or(-1.0, |duration| duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn string(name: *const c_char) -> &'static str {
        // SAFETY: names are static strings.
        unsafe { CStr::from_ptr(name) }.to_str().unwrap()
    }

    #[test]
    fn status_name_is_that_of_the_error_kind() {
        let mut named = 0;
        for status in 1..=CAMUNDA_STATUS_INTERNAL {
            let kind: ErrorKind = string(camunda_status_name(status)).parse().unwrap();
            assert_eq!(status_of(kind), status);
            named += 1;
        }
        assert_eq!(named, 17);
        assert_eq!(string(camunda_status_name(0)), "ok");
        assert_eq!(string(camunda_status_name(18)), "unrecognized");
        assert_eq!(string(camunda_status_name(-1)), "unrecognized");
    }

    #[test]
    fn stage_and_outcome_names_are_those_of_the_rust_values() {
        let stages = (1..=4).map(|stage| string(camunda_stage_name(stage)));
        assert_eq!(
            stages.collect::<Vec<_>>(),
            ["config", "token", "request", "decode"]
        );
        for stage in 1..=4 {
            assert!(string(camunda_stage_name(stage)).parse::<Stage>().is_ok());
        }
        let outcomes = (1..=4).map(|outcome| string(camunda_outcome_name(outcome)));
        assert_eq!(
            outcomes.collect::<Vec<_>>(),
            ["not_sent", "rejected", "unknown", "completed"]
        );
        for outcome in 1..=4 {
            assert!(
                string(camunda_outcome_name(outcome))
                    .parse::<Outcome>()
                    .is_ok()
            );
        }
        assert_eq!(string(camunda_stage_name(0)), "unrecognized");
        assert_eq!(string(camunda_outcome_name(5)), "unrecognized");
    }
}
