//! Crossing from C to Rust and back: panics, NULL, UTF-8, out pointers.

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::ffi::error::{CAMUNDA_STATUS_OK, camunda_error, camunda_status, status_of};
use crate::transport::Idempotency;

/// Runs the body of an exported function: clears `error`, stops panics, hands errors over.
///
/// # Safety
/// `error` is NULL or may be written to.
pub(super) unsafe fn catch_panic(
    error: *mut *mut camunda_error,
    body: impl FnOnce() -> Result<()>,
) -> camunda_status {
    // SAFETY: as the caller promises.
    unsafe { guard_operation(Idempotency::Safe, error, body) }
}

/// Does the same for an operation: a panic during a change may come after the change was applied.
///
/// # Safety
/// `error` is NULL or may be written to.
pub(super) unsafe fn guard_operation(
    idempotency: Idempotency,
    error: *mut *mut camunda_error,
    body: impl FnOnce() -> Result<()>,
) -> camunda_status {
    // SAFETY: as the caller promises.
    unsafe { set_null(error) };
    let failure = match stop_panics(body) {
        Ok(Ok(())) => return CAMUNDA_STATUS_OK,
        Ok(Err(failure)) => failure,
        Err(_) => {
            let panicked = Error::new(
                ErrorKind::Internal,
                Stage::Request,
                Outcome::Unknown,
                "a defect of this library: a panic was stopped",
            );
            match idempotency {
                Idempotency::Safe => panicked,
                _ => panicked.of_change("check it before repeating it"),
            }
        }
    };
    let status = status_of(failure.kind());
    if !error.is_null() {
        let failure = Box::into_raw(Box::new(camunda_error::new(failure)));
        // SAFETY: as the caller promises.
        unsafe { *error = failure };
    }
    status
}

/// Runs the body of an exported function that cannot report an error.
pub(super) fn catch_panic_or<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    stop_panics(body).unwrap_or(fallback)
}

fn stop_panics<T>(body: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(|| {
        #[cfg(test)]
        injected_panic();
        body()
    }))
}

#[cfg(test)]
thread_local! {
    /// Makes every exported function of this thread panic inside its guard.
    pub(super) static PANIC: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[cfg(test)]
fn injected_panic() {
    if PANIC.get() {
        // Not `panic!`: its message would fill the output of the tests.
        std::panic::resume_unwind(Box::new("injected"));
    }
}

/// Sets an out pointer to NULL.
///
/// # Safety
/// `out` is NULL or may be written to.
pub(super) unsafe fn set_null<T>(out: *mut *mut T) {
    if !out.is_null() {
        // SAFETY: as the caller promises.
        unsafe { *out = std::ptr::null_mut() };
    }
}

/// Hands a new object over to the caller.
///
/// # Safety
/// `out` may be written to.
pub(super) unsafe fn return_owned<T>(out: *mut *mut T, object: impl Into<Owner<T>>) {
    // SAFETY: as the caller promises.
    unsafe { *out = object.into().0 };
}

/// The pointer under which C owns an object.
pub(super) struct Owner<T>(pub(super) *mut T);

impl<T> From<T> for Owner<T> {
    fn from(object: T) -> Self {
        Owner(Box::into_raw(Box::new(object)))
    }
}

/// Frees an object that was handed over; NULL does nothing.
///
/// # Safety
/// `object` is NULL or was handed over and not freed since.
pub(super) unsafe fn free<T>(object: *mut T) {
    if !object.is_null() {
        // SAFETY: as the caller promises; a panic while dropping must not cross.
        catch_panic_or((), || drop(unsafe { Box::from_raw(object) }));
    }
}

/// An out pointer that has to be there: what it would get must not be lost.
pub(super) fn required<T>(name: &str, out: *mut *mut T) -> Result<*mut *mut T> {
    if out.is_null() {
        Err(null(name))
    } else {
        Ok(out)
    }
}

/// Borrows a handle.
///
/// # Safety
/// `handle` is NULL or lives during `'a`.
pub(super) unsafe fn handle<'a, T>(name: &str, handle: *const T) -> Result<&'a T> {
    // SAFETY: as the caller promises.
    unsafe { handle.as_ref() }.ok_or_else(|| null(name))
}

/// Borrows a handle that is changed.
///
/// # Safety
/// `handle` is NULL or lives during `'a`, and nobody else uses it meanwhile.
pub(super) unsafe fn handle_mut<'a, T>(name: &str, handle: *mut T) -> Result<&'a mut T> {
    // SAFETY: as the caller promises.
    unsafe { handle.as_mut() }.ok_or_else(|| null(name))
}

/// Borrows a string.
///
/// # Safety
/// `text` is NULL or NUL-terminated and lives during `'a`.
pub(super) unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(null(name));
    }
    // SAFETY: as the caller promises.
    unsafe { CStr::from_ptr(text) }
        .to_str()
        .map_err(|error| Error::invalid_argument(format!("{name} is not UTF-8: {error}")))
}

/// Borrows bytes; NULL is allowed where there are none.
///
/// # Safety
/// `data` is NULL or points to `len` bytes that live during `'a`.
pub(super) unsafe fn bytes<'a>(name: &str, data: *const c_char, len: usize) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(null(name));
    }
    if len > isize::MAX as usize {
        return Err(Error::invalid_argument(format!(
            "{name} is longer than memory"
        )));
    }
    // SAFETY: as the caller promises.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

pub(super) fn null(name: &str) -> Error {
    Error::invalid_argument(format!("{name} is NULL"))
}
