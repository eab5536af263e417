//! Shutting clients down as a group, and the one way to call a function of the host.
//!
//! Language runtimes such as Python's end the threads that still run when a program ends: a thread
//! that then enters the runtime is unwound (`pthread_exit`), through the frames of this library if it
//! came through a callback. So such a runtime stops its calls first, and enters nothing afterwards.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::ffi::boundary::{catch_panic_or, free, handle};
use crate::fork::PerProcess;

/// Calls run, and new ones may begin.
const RUNNING: u8 = 0;
/// Calls are cancelled. Their callbacks still run, so that a token store gets its locks back.
const STOPPING: u8 = 1;
/// No callback is entered.
const CLOSED: u8 = 2;

/// How often `camunda_shutdown_start` looks whether the calls have ended.
const POLL: Duration = Duration::from_millis(2);

/// Shuts down clients as a group: cancels their calls and disables their callbacks. For language
/// runtimes whose threads cannot enter the runtime any more once the program ends. May be used from
/// several threads at once.
#[derive(Debug, Default)]
pub struct camunda_shutdown(Arc<Shutdown>);

#[derive(Debug)]
pub(super) struct Shutdown {
    state: AtomicU8,
    /// The thread that started the shutdown, whose own calls go on.
    owner: AtomicUsize,
    /// Calls in progress. A forked child counts from zero: it has not the threads of its parent.
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
            _ if self.owner.load(Ordering::SeqCst) == this_thread() => RUNNING,
            state => state,
        }
    }

    /// Whether the calls of this thread have to end.
    pub(super) fn stops_calls(&self) -> bool {
        self.state() != RUNNING
    }

    fn calls(&self) -> &AtomicUsize {
        self.calls.get(|_| AtomicUsize::new(0))
    }

    /// Cancels the calls of other threads, and waits until they have ended.
    fn start(&self, timeout: Duration) -> bool {
        self.owner.store(this_thread(), Ordering::SeqCst);
        self.state.fetch_max(STOPPING, Ordering::SeqCst);
        let calls = self.calls();
        // This may run inside a callback, whose call cannot end before it.
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

/// A number of the running thread that no other living thread has.
fn this_thread() -> usize {
    thread_local!(static PLACE: u8 = const { 0 });
    PLACE.with(|place| ptr::from_ref(place).addr())
}

thread_local! {
    /// The innermost call on this thread. Without a destructor, so that it is there until the end.
    static CURRENT: Cell<*const Frame> = const { Cell::new(ptr::null()) };
}

/// A call on this thread's stack.
struct Frame {
    /// Lives as long as the client that is called.
    shutdown: Option<*const Shutdown>,
    /// Where the call is counted; `None` if it began after the shutdown.
    calls: Option<*const AtomicUsize>,
    outer: *const Frame,
}

impl Frame {
    fn count_on_this_thread(calls: &AtomicUsize) -> usize {
        let mut count = 0;
        let mut frame = CURRENT.get();
        // SAFETY: each frame lives on the stack of this thread until it is taken off the list.
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
            // SAFETY: it belongs to the shutdown, which lives as long as the client that is called.
            unsafe { (*calls).fetch_sub(1, Ordering::SeqCst) };
        }
    }
}

/// Runs a call of a client, whose callbacks go through [`call_back`].
pub(super) fn during<T>(shutdown: Option<&Arc<Shutdown>>, body: impl FnOnce() -> T) -> T {
    let mut frame = Frame {
        shutdown: shutdown.map(Arc::as_ptr),
        calls: None,
        outer: CURRENT.get(),
    };
    if let Some(shutdown) = shutdown {
        let calls = shutdown.calls();
        // Counted first: a shutdown that starts now waits for the call, or the call sees it.
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

/// Calls a function of the host. `None` without a call if the host was shut down.
pub(super) fn call_back<T>(call: impl FnOnce() -> T) -> Option<T> {
    /// Dropped only where the callback neither returns nor panics.
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
    let result = call();
    std::mem::forget(unwound);
    Some(result)
}

fn is_closed() -> bool {
    // SAFETY: the frame lives on the stack of this thread, and the shutdown as long as the client.
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

/// A callback threw an exception of another language, or its thread is being ended inside it.
fn ended_by_the_host() -> ! {
    if is_closed() {
        // The program ends, and this thread with it. Until then its frames stay as they are: they
        // cannot be unwound from outside.
        loop {
            std::thread::sleep(Duration::from_secs(3600));
        }
    }
    eprintln!("camunda_admin: a callback must not throw, nor end its thread");
    std::process::abort()
}

/// Returns a new shutdown. Free it with camunda_shutdown_free(). Clients join it by
/// camunda_config_set_shutdown().
#[unsafe(no_mangle)]
pub extern "C" fn camunda_shutdown_new() -> *mut camunda_shutdown {
    catch_panic_or(ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Shuts down all clients that joined, for good.
///
/// Calls in progress on other threads end with CAMUNDA_STATUS_CANCELLED, and new ones do so without
/// sending anything. Waits until those in progress have returned, at most `timeout` seconds. After
/// that, no callback of these clients is entered on another thread: progress, log, interrupt, sink and
/// token store functions. A thread that is unwound while it still runs such a callback (pthread_exit)
/// stops where it is until the process ends.
///
/// Calls of the thread that calls this function are not affected, so that a program can still clean
/// up. Returns whether all calls have ended. NULL is ignored, and returns true.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_shutdown_start(
    shutdown: *const camunda_shutdown,
    timeout: f64,
) -> bool {
    catch_panic_or(false, || {
        // SAFETY: the pointer is as this function documents it.
        let Ok(shutdown) = (unsafe { handle("shutdown", shutdown) }) else {
            return true;
        };
        // What is no time is none.
        let timeout = Duration::try_from_secs_f64(timeout).unwrap_or_default();
        shutdown.0.start(timeout)
    })
}

/// Returns whether the calls of this thread end because of camunda_shutdown_start(). False for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_shutdown_stops_calls(shutdown: *const camunda_shutdown) -> bool {
    catch_panic_or(false, || {
        // SAFETY: the pointer is as this function documents it.
        unsafe { handle("shutdown", shutdown) }.is_ok_and(|shutdown| shutdown.0.stops_calls())
    })
}

/// Frees a shutdown; clients that joined it remain valid. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_shutdown_free(shutdown: *mut camunda_shutdown) {
    // SAFETY: the pointer is as this function documents it.
    unsafe { free(shutdown) }
}

impl camunda_shutdown {
    pub(super) fn shared(&self) -> Arc<Shutdown> {
        self.0.clone()
    }
}
