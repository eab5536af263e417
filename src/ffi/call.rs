//! Options of single calls, and cancelling them, in C.

use std::ffi::c_void;
use std::time::Duration;

use crate::call::{CallOptions, Cancel};
use crate::error::{Error, Result};
use crate::ffi::boundary::{catch_panic, catch_panic_or, free, handle, handle_mut};
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::shutdown::call_back;
use crate::ffi::value::camunda_value;

/// Told by a waiter what each look showed. Runs on the calling thread, during the call only; `seen`
/// is borrowed during the callback.
pub type camunda_progress_fn =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, seen: *const camunda_value)>;

/// Asked about every 20 ms while a call waits, on the calling thread; non-zero cancels the call.
/// For hosts that have to run signal handlers of their own.
pub type camunda_interrupt_check_fn = Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> i32>;

/// Options of single calls.
///
/// May be used by several calls at once; not to be changed meanwhile.
#[derive(Debug, Default)]
pub struct camunda_call_options {
    timeout: Option<Duration>,
    interval: Option<Duration>,
    cancel: Option<Cancel>,
    progress: Option<Callback<unsafe extern "C-unwind" fn(*mut c_void, *const camunda_value)>>,
    interrupt: Option<Callback<unsafe extern "C-unwind" fn(*mut c_void) -> i32>>,
}

#[derive(Debug, Clone, Copy)]
struct Callback<F> {
    function: F,
    user: *mut c_void,
}

// SAFETY: the pointer is only ever passed back to the caller's own function, on the thread that
// makes the call.
unsafe impl<F: Send> Send for Callback<F> {}
// SAFETY: as above.
unsafe impl<F: Sync> Sync for Callback<F> {}

impl camunda_call_options {
    /// The options of an operation.
    pub(super) fn options(&self) -> CallOptions {
        match self.timeout {
            Some(timeout) => self.options_of_looks().timeout(timeout),
            None => self.options_of_looks(),
        }
    }

    /// The options of the single looks of a waiter, whose timeout is that of the whole wait.
    pub(super) fn options_of_looks(&self) -> CallOptions {
        let mut options = CallOptions::new();
        if let Some(cancel) = &self.cancel {
            options = options.cancel(cancel.clone());
        }
        if let Some(interrupt) = self.interrupt {
            options = options.interrupt_check(move || {
                // The whole of it, so that the wrapper that may be shared is what is moved in.
                let callback = &interrupt;
                // SAFETY: the caller promised that function and data go together.
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

    pub(super) fn report(&self, seen: &camunda_value) {
        if let Some(callback) = self.progress {
            // SAFETY: the caller promised that function and data go together.
            call_back(|| unsafe { (callback.function)(callback.user, seen) });
        }
    }

    pub(super) fn wants_progress(&self) -> bool {
        self.progress.is_some()
    }
}

/// Stops calls from another thread or from a signal handler.
#[derive(Debug, Default)]
pub struct camunda_cancel(Cancel);

/// Options that change nothing, owned by the caller: camunda_call_options_free.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_call_options_new() -> *mut camunda_call_options {
    catch_panic_or(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Changes options.
///
/// # Safety
/// The pointers are as the exported functions document them.
unsafe fn change(
    call: *mut camunda_call_options,
    error: *mut *mut camunda_error,
    change: impl FnOnce(&mut camunda_call_options) -> Result<()>,
) -> camunda_status {
    // SAFETY: as the caller promises.
    unsafe { catch_panic(error, || change(handle_mut("call", call)?)) }
}

fn seconds(name: &str, seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            Error::invalid_argument(format!("{name} is no number of seconds above zero"))
        })
}

/// Sets the deadline of the whole call in seconds: waiting for a token or a turn, retries and the
/// body included. Of a waiter: the deadline of the whole wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_set_timeout(
    call: *mut camunda_call_options,
    timeout: f64,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        change(call, error, |call| {
            call.timeout = Some(seconds("timeout", timeout)?);
            Ok(())
        })
    }
}

/// Sets the maximum delay between two polls of a waiter in seconds, default 10. A longer `Retry-After`
/// of the API is honored; one beyond the deadline fails the wait immediately.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_set_max_poll_interval(
    call: *mut camunda_call_options,
    interval: f64,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        change(call, error, |call| {
            call.interval = Some(seconds("interval", interval)?);
            Ok(())
        })
    }
}

/// Lets `cancel` end the call; NULL takes it back. The handle may be freed while the call goes on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_set_cancel(
    call: *mut camunda_call_options,
    cancel: *const camunda_cancel,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        change(call, error, |call| {
            call.cancel = cancel.as_ref().map(|cancel| cancel.0.clone());
            Ok(())
        })
    }
}

/// Lets a waiter report what each look showed; NULL for none. `user` is passed on as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_set_progress(
    call: *mut camunda_call_options,
    progress: camunda_progress_fn,
    user: *mut c_void,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        change(call, error, |call| {
            call.progress = progress.map(|function| Callback { function, user });
            Ok(())
        })
    }
}

/// Lets a waiting call ask whether it is to end; NULL for none. `user` is passed on as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_set_interrupt_check(
    call: *mut camunda_call_options,
    interrupt: camunda_interrupt_check_fn,
    user: *mut c_void,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        change(call, error, |call| {
            call.interrupt = interrupt.map(|function| Callback { function, user });
            Ok(())
        })
    }
}

/// Frees options. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_call_options_free(call: *mut camunda_call_options) {
    // SAFETY: the pointer is as this function documents it.
    unsafe { free(call) }
}

/// A flag that is not set, owned by the caller: camunda_cancel_free. May be used from several
/// threads at once.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_cancel_new() -> *mut camunda_cancel {
    catch_panic_or(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Cancels every call that was given this flag, and those to come until camunda_cancel_reset; calls
/// under way end with CAMUNDA_STATUS_CANCELLED within 100 ms. Async-signal-safe. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cancel_trigger(cancel: *const camunda_cancel) {
    // Without a guard against panics: these are atomic operations only, since a signal handler may
    // do no more.
    // SAFETY: the pointer is as this function documents it.
    if let Some(cancel) = unsafe { cancel.as_ref() } {
        cancel.0.cancel();
    }
}

/// Makes the flag usable for new calls. Calls that were in progress at the time of
/// camunda_cancel_trigger stay cancelled. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cancel_reset(cancel: *const camunda_cancel) {
    // SAFETY: the pointer is as this function documents it.
    if let Some(cancel) = unsafe { cancel.as_ref() } {
        cancel.0.reset();
    }
}

/// Whether the flag is set. False for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cancel_is_triggered(cancel: *const camunda_cancel) -> bool {
    // SAFETY: the pointer is as this function documents it.
    unsafe { handle("cancel", cancel) }.is_ok_and(|cancel| cancel.0.is_cancelled())
}

/// Frees a flag. NULL does nothing. Calls that were given it go on unharmed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cancel_free(cancel: *mut camunda_cancel) {
    // SAFETY: the pointer is as this function documents it.
    unsafe { free(cancel) }
}
