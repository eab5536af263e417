//! `camunda_shutdown`: shuts down clients as a group. Every callback of the host runs through
//! `call_back`.
//!
//! Language runtimes such as Python terminate the remaining threads at process exit: a thread that then
//! enters the runtime is unwound (`pthread_exit`), through the frames of this library if it entered
//! through a callback. Such a runtime therefore shuts its clients down before it exits.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::call::current_thread;
use crate::ffi::boundary::{catch_panic_or, free, handle};
use crate::ffi::host_thread::{CancelDisabled, watch_end};
use crate::fork::PerProcess;

/// Calls run, and new ones can start.
const RUNNING: u8 = 0;
/// Calls are cancelled. Their callbacks still run, so that locks of a token store are released.
const STOPPING: u8 = 1;
/// No callback is called.
const CLOSED: u8 = 2;

/// Delay between two checks of `camunda_shutdown_start` whether the calls have returned.
const POLL: Duration = Duration::from_millis(2);

/// Shuts down clients as a group: cancels their calls and disables their callbacks. For language
/// runtimes whose threads cannot enter the runtime once the program exits. Thread-safe.
#[derive(Debug, Default)]
pub struct camunda_shutdown(Arc<Shutdown>);

#[derive(Debug)]
pub(super) struct Shutdown {
    state: AtomicU8,
    /// The thread that started the shutdown. Its own calls continue.
    owner: AtomicUsize,
    /// Number of calls in progress. A forked child starts at 0, since it has none of its parent's
    /// other threads.
    calls: PerProcess<AtomicUsize>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown {
            state: AtomicU8::new(RUNNING),
            owner: AtomicUsize::new(0),
            calls: PerProcess::new(),
        }
    }
}

impl Shutdown {
    fn state(&self) -> u8 {
        match self.state.load(Ordering::SeqCst) {
            RUNNING => RUNNING,
            _ if self.owner.load(Ordering::SeqCst) == current_thread() => RUNNING,
            state => state,
        }
    }

    /// Returns whether calls of the current thread must return.
    pub(super) fn stops_calls(&self) -> bool {
        self.state() != RUNNING
    }

    fn calls(&self) -> &AtomicUsize {
        self.calls.get(|_| AtomicUsize::new(0))
    }

    /// Cancels the calls of other threads and waits until they have returned. Returns false on a
    /// timeout.
    fn start(&self, timeout: Duration) -> bool {
        self.owner.store(current_thread(), Ordering::SeqCst);
        self.state.fetch_max(STOPPING, Ordering::SeqCst);
        let calls = self.calls();
        // Inside a callback, the call that runs it cannot return first.
        let own = Frame::count_on_this_thread(calls);
        let begun = Instant::now();
        let ended = loop {
            if calls.load(Ordering::SeqCst) <= own {
                break true;
            }
            let Some(left) = timeout.checked_sub(begun.elapsed()) else {
                break false;
            };
            std::thread::sleep(POLL.min(left));
        };
        self.state.fetch_max(CLOSED, Ordering::SeqCst);
        ended
    }
}

thread_local! {
    /// The innermost call on this thread. It has no destructor, so it is usable until the thread ends.
    static CURRENT: Cell<*const Frame> = const { Cell::new(ptr::null()) };
}

/// A call on this thread's stack.
struct Frame {
    /// Valid as long as the client that is called.
    shutdown: Option<*const Shutdown>,
    /// The counter of the call; `None` if the call started after the shutdown.
    calls: Option<*const AtomicUsize>,
    outer: *const Frame,
}

impl Frame {
    fn count_on_this_thread(calls: &AtomicUsize) -> usize {
        let mut count = 0;
        let mut frame = CURRENT.get();
        // SAFETY: each frame is on the stack of this thread, and its `drop` removes it from the list.
        while let Some(this) = unsafe { frame.as_ref() } {
            count += usize::from(this.calls.is_some_and(|known| ptr::eq(known, calls)));
            frame = this.outer;
        }
        count
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        CURRENT.set(self.outer);
        if let Some(calls) = self.calls {
            // SAFETY: it belongs to the shutdown, which is valid as long as the client that is called.
            unsafe { (*calls).fetch_sub(1, Ordering::SeqCst) };
        }
    }
}

/// Runs a call of a client, whose callbacks go through [`call_back`].
///
/// A request of `pthread_cancel` takes effect after the call.
pub(super) fn during<T>(shutdown: Option<&Arc<Shutdown>>, body: impl FnOnce() -> T) -> T {
    let _uncancellable = CancelDisabled::new();
    during_without_io(shutdown, body)
}

/// As [`during`], for a body that never blocks: there, `pthread_cancel` does not take effect.
pub(super) fn during_without_io<T>(
    shutdown: Option<&Arc<Shutdown>>,
    body: impl FnOnce() -> T,
) -> T {
    let mut frame = Frame {
        shutdown: shutdown.map(Arc::as_ptr),
        calls: None,
        outer: CURRENT.get(),
    };
    if let Some(shutdown) = shutdown {
        let calls = shutdown.calls();
        // Counted first: a concurrent shutdown either waits for the call, or the call sees it.
        calls.fetch_add(1, Ordering::SeqCst);
        if shutdown.stops_calls() {
            calls.fetch_sub(1, Ordering::SeqCst);
        } else {
            frame.calls = Some(calls);
        }
    }
    CURRENT.set(&raw const frame);
    let result = body();
    drop(frame);
    result
}

/// Calls a callback of the host. Returns `None` without calling it if the host was shut down.
pub(super) fn call_back<T>(call: impl FnOnce() -> T) -> Option<T> {
    /// Dropped only if the callback neither returns nor panics: by an exception of another language.
    struct Unwound;
    impl Drop for Unwound {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                ended_by_the_host();
            }
        }
    }
    if is_closed() {
        return None;
    }
    let unwound = Unwound;
    let result = watch_end(ended_by_the_host, call);
    std::mem::forget(unwound);
    Some(result)
}

fn is_closed() -> bool {
    // SAFETY: the frame is on the stack of this thread; the shutdown is valid as long as the client.
    let Some(frame) = (unsafe { CURRENT.get().as_ref() }) else {
        return false;
    };
    // SAFETY: as above.
    frame.shutdown.is_some_and(|shutdown| unsafe {
        match (*shutdown).state() {
            RUNNING => false,
            STOPPING => frame.calls.is_none(),
            _ => true,
        }
    })
}

/// Handles a callback that threw a foreign exception, or whose thread is being terminated: blocks the
/// thread during a shutdown, else aborts the process.
fn ended_by_the_host() -> ! {
    if is_closed() {
        // The process is exiting. This thread must not unwind through frames of the library, so it
        // blocks until the process has ended.
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
    eprintln!("camunda_admin: callback: threw an exception or ended its thread; aborting");
    std::process::abort()
}

/// Creates a shutdown handle. Add clients to it with camunda_config_set_shutdown().
///
/// @return A new handle. Free it with camunda_shutdown_free().
#[unsafe(no_mangle)]
pub extern "C" fn camunda_shutdown_new() -> *mut camunda_shutdown {
    catch_panic_or(ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Shuts down all clients of the handle permanently.
///
/// Calls in progress on other threads return CAMUNDA_STATUS_CANCELLED, and so do new ones, without
/// sending a request. Blocks until the calls in progress have returned, at most `timeout` seconds.
/// Afterwards the library calls no callback of these clients on another thread: progress, log,
/// interrupt check, sink and token store functions. A thread that is unwound inside such a callback
/// (pthread_exit) blocks until the process ends.
///
/// Calls of the current thread are not affected, so that a program can still clean up.
///
/// @param shutdown Handle. NULL is ignored.
/// @param timeout Maximum time to wait in seconds.
/// @return Whether all calls have returned; true if `shutdown` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_shutdown_start(
    shutdown: *const camunda_shutdown,
    timeout: f64,
) -> bool {
    catch_panic_or(false, || {
        // SAFETY: the caller passes a pointer as documented above.
        let Ok(shutdown) = (unsafe { handle("shutdown", shutdown) }) else {
            return true;
        };
        // NaN, negative and too large values count as 0.
        let timeout = Duration::try_from_secs_f64(timeout).unwrap_or_default();
        shutdown.0.start(timeout)
    })
}

/// Returns whether calls of the current thread are cancelled because of camunda_shutdown_start().
///
/// @param shutdown Handle; NULL is accepted.
/// @return Whether they are cancelled; false if `shutdown` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_shutdown_stops_calls(shutdown: *const camunda_shutdown) -> bool {
    catch_panic_or(false, || {
        // SAFETY: the caller passes a pointer as documented above.
        unsafe { handle("shutdown", shutdown) }.is_ok_and(|shutdown| shutdown.0.stops_calls())
    })
}

/// Frees a shutdown handle. Its clients remain valid.
///
/// @param shutdown Handle to free. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_shutdown_free(shutdown: *mut camunda_shutdown) {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { free(shutdown) }
}

impl camunda_shutdown {
    pub(super) fn shared(&self) -> Arc<Shutdown> {
        self.0.clone()
    }
}
