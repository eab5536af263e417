//! Callbacks of C programs: a function and the `user` pointer that it receives.

use std::ffi::{c_char, c_void};

/// Write callback: receives a chunk of `len` bytes, on the calling thread. The chunk is not
/// NUL-terminated, and is borrowed during the callback. Return 0 to continue; any other value ends the
/// call.
pub type camunda_write_fn =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, data: *const c_char, len: usize) -> i32>;

/// A function of the caller and its `user` pointer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Callback<F> {
    pub(super) function: F,
    pub(super) user: *mut c_void,
}

// SAFETY: the library passes the pointer only to the caller's function. It calls functions that are not
// thread-safe on the thread of the call only.
unsafe impl<F: Send> Send for Callback<F> {}
// SAFETY: as above.
unsafe impl<F: Sync> Sync for Callback<F> {}
