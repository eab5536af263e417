//! Keeps threads of the host from ending inside the library: by `pthread_cancel`, or by `pthread_exit` in
//! a callback.
//!
//! The C library unwinds the stack of such a thread with an unwinder of its own. If another one is linked
//! with this library, the code with which Rust handles unwound frames crashes. So no frame of the library
//! may be unwound.

#[cfg(all(target_os = "linux", any(target_env = "gnu", target_env = "musl")))]
pub(super) use linux::{CancelDisabled, watch_end};
#[cfg(not(all(target_os = "linux", any(target_env = "gnu", target_env = "musl"))))]
pub(super) use other::{CancelDisabled, watch_end};

#[cfg(all(target_os = "linux", any(target_env = "gnu", target_env = "musl")))]
mod linux {
    use std::ffi::{c_int, c_void};

    /// A cleanup handler of a thread: `struct _pthread_cleanup_buffer` of glibc, which is one word longer
    /// than `struct __ptcb` of musl.
    type Handler = [usize; 4];

    const PTHREAD_CANCEL_DISABLE: c_int = 1;

    // The functions behind the macros pthread_cleanup_push() and pthread_cleanup_pop() of C.
    unsafe extern "C" {
        fn _pthread_cleanup_push(
            handler: *mut Handler,
            routine: extern "C" fn(*mut c_void),
            argument: *mut c_void,
        );
        fn _pthread_cleanup_pop(handler: *mut Handler, execute: c_int);
        fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
    }

    /// Runs `body`. If the thread ends inside, the C library calls `ended` before it unwinds a frame.
    pub(in crate::ffi) fn watch_end<T>(ended: fn() -> !, body: impl FnOnce() -> T) -> T {
        /// Removes the handler.
        struct Registered(*mut Handler);
        impl Drop for Registered {
            fn drop(&mut self) {
                // SAFETY: it is the handler that this thread registered last.
                unsafe { _pthread_cleanup_pop(self.0, 0) };
            }
        }
        extern "C" fn call(ended: *mut c_void) {
            // SAFETY: the value that was registered below.
            let ended: fn() -> ! = unsafe { std::mem::transmute(ended) };
            ended()
        }
        // Not on the stack: glibc would call it only after the frames of `body`, of which those of Rust
        // must not be unwound either.
        let mut handler = Box::new(Handler::default());
        // SAFETY: the handler is valid until it is removed, at the end of this frame.
        unsafe { _pthread_cleanup_push(&raw mut *handler, call, ended as *mut c_void) };
        let _registered = Registered(&raw mut *handler);
        body()
    }

    /// Defers `pthread_cancel` for the current thread until the value is dropped.
    #[derive(Debug)]
    pub(in crate::ffi) struct CancelDisabled {
        state_before: c_int,
    }

    impl CancelDisabled {
        pub(in crate::ffi) fn new() -> Self {
            let mut state_before = 0;
            // SAFETY: it cannot fail with these arguments.
            unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &raw mut state_before) };
            CancelDisabled { state_before }
        }
    }

    impl Drop for CancelDisabled {
        fn drop(&mut self) {
            let mut disabled = 0;
            // SAFETY: as above.
            unsafe { pthread_setcancelstate(self.state_before, &raw mut disabled) };
        }
    }
}

/// Where threads end without unwinding their stack, or where there is no such function.
#[cfg(not(all(target_os = "linux", any(target_env = "gnu", target_env = "musl"))))]
mod other {
    pub(in crate::ffi) fn watch_end<T>(_ended: fn() -> !, body: impl FnOnce() -> T) -> T {
        body()
    }

    /// See the implementation for Linux.
    #[derive(Debug)]
    pub(in crate::ffi) struct CancelDisabled;

    impl CancelDisabled {
        pub(in crate::ffi) fn new() -> Self {
            CancelDisabled
        }
    }
}
