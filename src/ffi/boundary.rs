//! Conversions between C and Rust: pointers, strings, out pointers and panics.

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result};

/// Runs the body of an exported function that cannot report an error. Returns `fallback` on a panic.
pub(super) fn catch_panic_or<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    caught(body).unwrap_or(fallback)
}

/// Runs `body`. Returns the payload of a panic as an error.
pub(super) fn caught<T>(body: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
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
/// `out` is NULL or valid for writes.
pub(super) unsafe fn set_null<T>(out: *mut *mut T) {
    if !out.is_null() {
        // SAFETY: guaranteed by the caller.
        unsafe { *out = std::ptr::null_mut() };
    }
}

/// Stores a new object in an out pointer; the caller then owns it.
///
/// # Safety
/// `out` is valid for writes.
pub(super) unsafe fn return_owned<T>(out: *mut *mut T, object: impl Into<Owner<T>>) {
    // SAFETY: guaranteed by the caller.
    unsafe { *out = object.into().0 };
}

/// The pointer through which C owns an object.
pub(super) struct Owner<T>(pub(super) *mut T);

impl<T> From<T> for Owner<T> {
    fn from(object: T) -> Self {
        Owner(Box::into_raw(Box::new(object)))
    }
}

/// Frees an object that the caller owns. NULL is ignored.
///
/// # Safety
/// `object` is NULL, or was returned by [`return_owned`] and is not freed yet.
pub(super) unsafe fn free<T>(object: *mut T) {
    if !object.is_null() {
        // SAFETY: guaranteed by the caller. A panic in `drop` must not reach C.
        catch_panic_or((), || drop(unsafe { Box::from_raw(object) }));
    }
}

/// Returns an out pointer, or an error if it is NULL: its value must not be lost.
pub(super) fn required<T>(name: &str, out: *mut *mut T) -> Result<*mut *mut T> {
    if out.is_null() {
        Err(null(name))
    } else {
        Ok(out)
    }
}

/// Borrows a handle.
///
/// # Errors
/// `InvalidArgument` if `handle` is NULL.
///
/// # Safety
/// `handle` is NULL or valid for `'a`.
pub(super) unsafe fn handle<'a, T>(name: &str, handle: *const T) -> Result<&'a T> {
    // SAFETY: guaranteed by the caller.
    unsafe { handle.as_ref() }.ok_or_else(|| null(name))
}

/// Borrows a handle mutably.
///
/// # Safety
/// `handle` is NULL, or valid for `'a` and not used elsewhere during it.
pub(super) unsafe fn handle_mut<'a, T>(name: &str, handle: *mut T) -> Result<&'a mut T> {
    // SAFETY: guaranteed by the caller.
    unsafe { handle.as_mut() }.ok_or_else(|| null(name))
}

/// Borrows a string.
///
/// # Errors
/// `InvalidArgument` if `text` is NULL or not UTF-8.
///
/// # Safety
/// `text` is NULL, or NUL-terminated and valid for `'a`.
pub(super) unsafe fn text<'a>(name: &str, text: *const c_char) -> Result<&'a str> {
    if text.is_null() {
        return Err(null(name));
    }
    // SAFETY: guaranteed by the caller.
    unsafe { CStr::from_ptr(text) }
        .to_str()
        .map_err(|error| Error::invalid_argument(format!("{name} is not UTF-8: {error}")))
}

/// Borrows bytes. `data` may be NULL if `len` is 0.
///
/// # Safety
/// `data` is NULL, or points to `len` bytes that are valid for `'a`.
pub(super) unsafe fn bytes<'a>(name: &str, data: *const c_char, len: usize) -> Result<&'a [u8]> {
    if len == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(null(name));
    }
    if len > isize::MAX as usize {
        return Err(Error::invalid_argument(format!(
            "{name} has {len} bytes; the maximum is {}",
            isize::MAX
        )));
    }
    // SAFETY: guaranteed by the caller.
    Ok(unsafe { std::slice::from_raw_parts(data.cast(), len) })
}

pub(super) fn null(name: &str) -> Error {
    Error::invalid_argument(format!("{name} is NULL"))
}
