//! Runs the bodies of exported functions that can fail: converts panics and errors to status codes.

use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::ffi::boundary::{caught, set_null};
use crate::ffi::error::{CAMUNDA_STATUS_OK, camunda_error, camunda_status, status_of};
use crate::transport::Idempotency;

/// Runs the body of an exported function that can fail: sets `*error` to NULL, catches panics and
/// returns errors through `error`.
///
/// # Safety
/// `error` is NULL or valid for writes.
pub(super) unsafe fn catch_panic(
    error: *mut *mut camunda_error,
    body: impl FnOnce() -> Result<()>,
) -> camunda_status {
    // SAFETY: guaranteed by the caller.
    unsafe { guard_operation(Idempotency::Safe, error, body) }
}

/// As [`catch_panic`], for an operation: after a panic, a change may have been applied.
///
/// # Safety
/// `error` is NULL or valid for writes.
pub(super) unsafe fn guard_operation(
    idempotency: Idempotency,
    error: *mut *mut camunda_error,
    body: impl FnOnce() -> Result<()>,
) -> camunda_status {
    // SAFETY: guaranteed by the caller.
    unsafe { set_null(error) };
    let failure = match caught(body) {
        Ok(Ok(())) => return CAMUNDA_STATUS_OK,
        Ok(Err(failure)) => failure,
        Err(_) => {
            let panicked = Error::new(
                ErrorKind::Internal,
                Stage::Request,
                Outcome::Unknown,
                "bug in this library: caught a panic; please report it",
            );
            match idempotency {
                Idempotency::Safe => panicked,
                _ => panicked.of_change("check the resource before retrying"),
            }
        }
    };
    let status = status_of(failure.kind());
    if !error.is_null() {
        let failure = Box::into_raw(Box::new(camunda_error::new(failure)));
        // SAFETY: guaranteed by the caller.
        unsafe { *error = failure };
    }
    status
}
