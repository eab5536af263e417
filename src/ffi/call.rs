//! `camunda_call_options` and `camunda_cancel`: options and cancellation of single calls.

use std::ffi::c_void;
use std::time::Duration;

use crate::call::{CallOptions, Cancel};
use crate::error::{Error, Result};
use crate::ffi::boundary::{catch_panic_or, free, handle_mut};
use crate::ffi::callback::Callback;
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::guard::catch_panic;
use crate::ffi::shutdown::call_back;
use crate::ffi::value::camunda_value;

/// Progress callback of a waiter, called after each successful poll, on the calling thread, during the
/// call only. `resource` is the cluster, backup or restore as just polled; it is borrowed during the
/// callback.
pub type camunda_progress_fn =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, resource: *const camunda_value)>;

/// Interrupt check, called about every 20 ms while a call waits, on the calling thread. A non-zero
/// return value cancels the call. For language runtimes that run their own signal handlers. It may make
/// calls, as described for camunda_log_fn.
pub type camunda_interrupt_check_fn = Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> i32>;

/// Options of single calls.
///
/// Several calls may use the same options concurrently. Do not change them during a call.
#[derive(Debug, Default)]
pub struct camunda_call_options {
    timeout: Option<Duration>,
    interval: Option<Duration>,
    cancel: Option<Cancel>,
    progress: Option<Callback<unsafe extern "C-unwind" fn(*mut c_void, *const camunda_value)>>,
    interrupt: Option<Callback<unsafe extern "C-unwind" fn(*mut c_void) -> i32>>,
}

impl camunda_call_options {
    /// Returns the options of an operation.
    pub(super) fn options(&self) -> CallOptions {
        match self.timeout {
            Some(timeout) => self.poll_options().timeout(timeout),
            None => self.poll_options(),
        }
    }

    /// Returns the options of a waiter's polls. They exclude the timeout, which limits the whole wait.
    pub(super) fn poll_options(&self) -> CallOptions {
        let mut options = CallOptions::new();
        if let Some(cancel) = &self.cancel {
            options = options.cancel(cancel.clone());
        }
        if let Some(interrupt) = self.interrupt {
            options = options.interrupt_check(move || {
                // Captures the whole `Callback`, which is `Send` and `Sync`, not its fields.
                let callback = &interrupt;
                // SAFETY: the caller guarantees that `user` is valid for this function.
                call_back(|| unsafe { (callback.function)(callback.user) != 0 }).unwrap_or(true)
            });
        }
        options
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval
    }

    pub(super) fn report(&self, resource: &camunda_value) {
        if let Some(callback) = self.progress {
            // SAFETY: the caller guarantees that `user` is valid for this function.
            call_back(|| unsafe { (callback.function)(callback.user, resource) });
        }
    }

    pub(super) fn wants_progress(&self) -> bool {
        self.progress.is_some()
    }
}

/// Cancels calls from another thread or from a signal handler.
#[derive(Debug, Default)]
pub struct camunda_cancel(Cancel);

/// Creates call options.
///
/// @return New options with the defaults. Free them with camunda_call_options_free().
#[unsafe(no_mangle)]
pub extern "C" fn camunda_call_options_new() -> *mut camunda_call_options {
    catch_panic_or(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Applies a change to options.
///
/// # Safety
/// The pointers meet the requirements of the exported functions.
unsafe fn change(
    call: *mut camunda_call_options,
    error: *mut *mut camunda_error,
    change: impl FnOnce(&mut camunda_call_options) -> Result<()>,
) -> camunda_status {
    // SAFETY: guaranteed by the caller.
    unsafe { catch_panic(error, || change(handle_mut("call", call)?)) }
}

fn seconds(name: &str, seconds: f64) -> Result<Duration> {
    let invalid = |problem| Error::invalid_argument(format!("{name} is {problem}"));
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        Err(_) if seconds.is_finite() && seconds > 0.0 => Err(invalid("too large")),
        Ok(_) if seconds > 0.0 => Err(invalid("less than a nanosecond")),
        _ => Err(invalid("not a positive number of seconds")),
    }
}

/// Sets the timeout of a call. It covers the token, the rate limit, retries and the response body;
/// for a waiter, the whole wait.
///
/// @param call Options to change.
/// @param timeout Timeout in seconds, above 0. Default: the setting `timeout` of the client (60 s);
///   for a waiter, 30 minutes.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_set_timeout(
    call: *mut camunda_call_options,
    timeout: f64,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        change(call, error, |call| {
            call.timeout = Some(seconds("timeout", timeout)?);
            Ok(())
        })
    }
}

/// Sets the maximum delay between two polls of a waiter. A longer `Retry-After` of the API is
/// honored; one beyond the deadline fails the wait immediately.
///
/// @param call Options to change.
/// @param interval Maximum delay in seconds, above 0; at least 10 ms are used. Default: 10 s.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_set_max_poll_interval(
    call: *mut camunda_call_options,
    interval: f64,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        change(call, error, |call| {
            call.interval = Some(seconds("interval", interval)?);
            Ok(())
        })
    }
}

/// Sets the handle that cancels the call.
///
/// @param call Options to change.
/// @param cancel Handle, which may be freed during the call. NULL removes the current one.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_set_cancel(
    call: *mut camunda_call_options,
    cancel: *const camunda_cancel,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        change(call, error, |call| {
            call.cancel = cancel.as_ref().map(|cancel| cancel.0.clone());
            Ok(())
        })
    }
}

/// Sets the progress callback of a waiter.
///
/// @param call Options to change.
/// @param progress Callback. NULL removes the current one.
/// @param user Passed to each callback unchanged; must be valid during the calls that use the options.
///   May be NULL.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_set_progress(
    call: *mut camunda_call_options,
    progress: camunda_progress_fn,
    user: *mut c_void,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        change(call, error, |call| {
            call.progress = progress.map(|function| Callback { function, user });
            Ok(())
        })
    }
}

/// Sets the interrupt check of a call.
///
/// @param call Options to change.
/// @param interrupt Callback. NULL removes the current one.
/// @param user Passed to each callback unchanged; must be valid during the calls that use the options.
///   May be NULL.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_set_interrupt_check(
    call: *mut camunda_call_options,
    interrupt: camunda_interrupt_check_fn,
    user: *mut c_void,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        change(call, error, |call| {
            call.interrupt = interrupt.map(|function| Callback { function, user });
            Ok(())
        })
    }
}

/// Frees call options.
///
/// @param call Options to free. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_free(call: *mut camunda_call_options) {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { free(call) }
}

/// Creates a handle that cancels calls.
///
/// @return A new handle, not triggered. Free it with camunda_cancel_free().
#[unsafe(no_mangle)]
pub extern "C" fn camunda_cancel_new() -> *mut camunda_cancel {
    catch_panic_or(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Cancels every call that uses this handle, including calls that start before
/// camunda_cancel_reset(). Calls in progress return CAMUNDA_STATUS_CANCELLED within 100 ms.
/// Async-signal-safe.
///
/// @param cancel Handle. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cancel_trigger(cancel: *const camunda_cancel) {
    // Only atomic operations, which are async-signal-safe. `catch_panic` is not.
    // SAFETY: the caller passes a pointer as documented above.
    if let Some(cancel) = unsafe { cancel.as_ref() } {
        cancel.0.cancel();
    }
}

/// Makes the handle usable for new calls. Calls that were in progress during
/// camunda_cancel_trigger() stay cancelled.
///
/// @param cancel Handle. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cancel_reset(cancel: *const camunda_cancel) {
    // SAFETY: the caller passes a pointer as documented above.
    if let Some(cancel) = unsafe { cancel.as_ref() } {
        cancel.0.reset();
    }
}

/// Returns whether the handle is triggered and not reset.
///
/// @param cancel Handle; NULL is accepted.
/// @return Whether the handle is triggered; false if `cancel` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cancel_is_triggered(cancel: *const camunda_cancel) -> bool {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { cancel.as_ref() }.is_some_and(|cancel| cancel.0.is_cancelled())
}

/// Frees a handle. Calls in progress that use it continue.
///
/// @param cancel Handle to free. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cancel_free(cancel: *mut camunda_cancel) {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { free(cancel) }
}
