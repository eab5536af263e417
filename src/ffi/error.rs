//! Statuses and errors in C.

use std::ffi::{CString, c_char};
use std::ptr;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::ffi::boundary::{catch_panic_or, free};
use crate::secret::Zeroizing;

/// What became of a function call: CAMUNDA_STATUS_OK or why not. Values are only ever added, so
/// treat an unknown one as a failure.
pub type camunda_status = i32;

/// Done.
pub const CAMUNDA_STATUS_OK: camunda_status = 0;
/// An argument is not usable: NULL, empty, not UTF-8, of the wrong kind, a path trick.
pub const CAMUNDA_STATUS_INVALID_ARGUMENT: camunda_status = 1;
/// A setting is missing or not usable; the message names it.
pub const CAMUNDA_STATUS_CONFIG: camunda_status = 2;
/// The credentials are not accepted (401).
pub const CAMUNDA_STATUS_AUTHENTICATION: camunda_status = 3;
/// The credentials lack a permission, a quota is used up, or the cluster is another's (403).
pub const CAMUNDA_STATUS_PERMISSION_DENIED: camunda_status = 4;
/// No such thing (404).
pub const CAMUNDA_STATUS_NOT_FOUND: camunda_status = 5;
/// The state of the thing forbids it (409).
pub const CAMUNDA_STATUS_CONFLICT: camunda_status = 6;
/// Not ready yet; try later (412).
pub const CAMUNDA_STATUS_NOT_READY: camunda_status = 7;
/// The service refuses the request (any other 4xx).
pub const CAMUNDA_STATUS_INVALID_REQUEST: camunda_status = 8;
/// Too many requests (429), or this machine's own pacing of token requests.
pub const CAMUNDA_STATUS_RATE_LIMITED: camunda_status = 9;
/// The service failed (5xx).
pub const CAMUNDA_STATUS_SERVICE: camunda_status = 10;
/// The deadline passed.
pub const CAMUNDA_STATUS_TIMEOUT: camunda_status = 11;
/// Cancelled by the caller.
pub const CAMUNDA_STATUS_CANCELLED: camunda_status = 12;
/// No connection, a broken one, TLS or HTTP violated.
pub const CAMUNDA_STATUS_NETWORK: camunda_status = 13;
/// The answer arrived and is not what was described; camunda_error_body has it.
pub const CAMUNDA_STATUS_DECODE: camunda_status = 14;
/// What was waited for cannot come any more.
pub const CAMUNDA_STATUS_WAIT_FAILED: camunda_status = 15;
/// A file could not be read or written, or a sink ended the call.
pub const CAMUNDA_STATUS_IO: camunda_status = 16;
/// A defect of this library.
pub const CAMUNDA_STATUS_INTERNAL: camunda_status = 17;

/// Before anything was sent: settings and arguments.
pub const CAMUNDA_STAGE_CONFIG: i32 = 1;
/// While getting a token.
pub const CAMUNDA_STAGE_TOKEN: i32 = 2;
/// While sending the request or waiting for its answer.
pub const CAMUNDA_STAGE_REQUEST: i32 = 3;
/// While making sense of the answer.
pub const CAMUNDA_STAGE_DECODE: i32 = 4;

/// Certain: the service never saw the request.
pub const CAMUNDA_OUTCOME_NOT_SENT: i32 = 1;
/// Certain: the service saw the request and did not do it.
pub const CAMUNDA_OUTCOME_REJECTED: i32 = 2;
/// The request may have been carried out. A change: check before you repeat it. A read: repeat it.
pub const CAMUNDA_OUTCOME_UNKNOWN: i32 = 3;
/// Certain: it was carried out, but its response was lost or cannot be decoded.
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

/// What went wrong. Immutable: may be read from several threads at once.
#[derive(Debug)]
pub struct camunda_error {
    error: Error,
    message: CString,
    server_message: Option<CString>,
    request_id: Option<CString>,
    operation: Option<CString>,
    method: Option<CString>,
    path: Option<CString>,
    /// With a NUL behind it.
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

/// A C string; a NUL inside, which no text of ours has, ends it.
pub(super) fn c_string(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// Reads from an error; NULL reads as `fallback`.
///
/// # Safety
/// `error` is NULL or lives.
unsafe fn read<T>(
    error: *const camunda_error,
    fallback: T,
    read: impl FnOnce(&camunda_error) -> T,
) -> T {
    // SAFETY: as the caller promises.
    match unsafe { error.as_ref() } {
        Some(error) => catch_panic_or(fallback, || read(error)),
        None => fallback,
    }
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(ptr::null(), |text| text.as_ptr())
}

/// The status; CAMUNDA_STATUS_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_status(error: *const camunda_error) -> camunda_status {
    // SAFETY: the pointer is as this function documents it.
    unsafe {
        read(error, CAMUNDA_STATUS_OK, |error| {
            status_of(error.error.kind())
        })
    }
}

/// One line that a person can act on, such as `create cluster refused (400): Name is too long`.
/// Without secrets. Borrowed from `error`; empty for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_message(error: *const camunda_error) -> *const c_char {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(error, c"".as_ptr(), |error| error.message.as_ptr()) }
}

/// The HTTP status; 0 where the service did not answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_http_status(error: *const camunda_error) -> i32 {
    // SAFETY: the pointer is as this function documents it.
    unsafe {
        read(error, 0, |error| {
            error.error.http_status().map_or(0, i32::from)
        })
    }
}

/// Where it went wrong: CAMUNDA_STAGE_…; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_stage(error: *const camunda_error) -> i32 {
    // SAFETY: the pointer is as this function documents it.
    unsafe {
        read(error, 0, |error| match error.error.stage() {
            Stage::Config => CAMUNDA_STAGE_CONFIG,
            Stage::Token => CAMUNDA_STAGE_TOKEN,
            Stage::Request => CAMUNDA_STAGE_REQUEST,
            Stage::Decode => CAMUNDA_STAGE_DECODE,
        })
    }
}

/// What became of the operation: CAMUNDA_OUTCOME_…; 0 for NULL. A waiter changes nothing: its error has
/// CAMUNDA_OUTCOME_NOT_SENT if no poll was sent, else CAMUNDA_OUTCOME_REJECTED.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_outcome(error: *const camunda_error) -> i32 {
    // SAFETY: the pointer is as this function documents it.
    unsafe {
        read(error, 0, |error| match error.error.outcome() {
            Outcome::NotSent => CAMUNDA_OUTCOME_NOT_SENT,
            Outcome::Rejected => CAMUNDA_OUTCOME_REJECTED,
            Outcome::Unknown => CAMUNDA_OUTCOME_UNKNOWN,
            Outcome::Completed => CAMUNDA_OUTCOME_COMPLETED,
        })
    }
}

/// Whether the operation is a change that was applied or may have been applied, although its complete,
/// usable response did not arrive: check before you repeat it. The message says which of the two it is
/// and what to look for. False for reads, for waiters, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_may_have_been_applied(error: *const camunda_error) -> bool {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(error, false, |error| error.error.may_have_been_applied()) }
}

/// The service's own words; NULL where it said none. Borrowed from `error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_server_message(
    error: *const camunda_error,
) -> *const c_char {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(error, ptr::null(), |error| pointer(&error.server_message)) }
}

/// The body of the answer as it came, NUL-terminated; `len` (or NULL) gets its length without the
/// NUL. NULL where there is none. Borrowed from `error`.
///
/// Where an answer that is given only once (a client's secret, say) cannot be decoded, this is the
/// only place that has it: keep it safe, and out of logs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_body(
    error: *const camunda_error,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the pointers are as this function documents them.
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

/// How long to wait before asking again, in seconds; negative where nobody said.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_retry_after(error: *const camunda_error) -> f64 {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(error, -1.0, |error| seconds(error.error.retry_after())) }
}

/// Number of requests of which at least one byte was sent, including those of a waiter's polls and
/// excluding token requests. 0 if the connection could not be established, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_attempts(error: *const camunda_error) -> u32 {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(error, 0, |error| error.error.attempts()) }
}

/// The service's name for the request; NULL where it sent none. Borrowed from `error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_request_id(error: *const camunda_error) -> *const c_char {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(error, ptr::null(), |error| pointer(&error.request_id)) }
}

/// The operation by its plain name, such as `create cluster`; NULL before one began. Borrowed from
/// `error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_operation(error: *const camunda_error) -> *const c_char {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(error, ptr::null(), |error| pointer(&error.operation)) }
}

/// The HTTP method of the request; NULL before there was one. Borrowed from `error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_method(error: *const camunda_error) -> *const c_char {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(error, ptr::null(), |error| pointer(&error.method)) }
}

/// The path of the request; NULL before there was one. Borrowed from `error`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_path(error: *const camunda_error) -> *const c_char {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(error, ptr::null(), |error| pointer(&error.path)) }
}

/// How long the call took until it failed, in seconds; negative where no call began.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_elapsed(error: *const camunda_error) -> f64 {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(error, -1.0, |error| seconds(error.error.elapsed())) }
}

/// Frees an error. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_error_free(error: *mut camunda_error) {
    // SAFETY: the pointer is as this function documents it.
    unsafe { free(error) }
}

fn seconds(duration: Option<Duration>) -> f64 {
    duration.map_or(-1.0, |duration| duration.as_secs_f64())
}
