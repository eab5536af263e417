//! Deadline and cancellation of a call, and waits that observe both.
//!
//! Every wait of the library uses the [`CallContext`] of its call, directly or in the socket, so
//! that one deadline covers locks, the rate limit, token requests, retries and bodies.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::fork::fork_count;

/// Maximum time between two checks of the [`Cancel`] during a wait.
///
/// The flag is polled because a signal handler can only set an atomic variable.
pub(crate) const CANCEL_POLL: Duration = Duration::from_millis(20);

/// Default timeout of a call.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Returns a number that identifies the calling thread among the running threads.
///
/// Allocates nothing, unlike [`std::thread::current`], whose handle of the main thread is never freed.
pub(crate) fn current_thread() -> usize {
    thread_local!(static MARKER: u8 = const { 0 });
    MARKER.with(|marker| std::ptr::from_ref(marker).addr())
}

/// Cancellation flag for calls, to be set from another thread or from a signal handler.
///
/// Clones share one flag. [`cancel`](Cancel::cancel) uses only atomic operations, so it is
/// async-signal-safe. A call in progress then fails with [`ErrorKind::Cancelled`] within 100 ms.
///
/// ```no_run
/// # let admin = camunda_admin::AdminClient::from_env()?;
/// use camunda_admin::{CallOptions, Cancel, ErrorKind};
///
/// let cancel = Cancel::new();
/// let cancellable = admin.with(CallOptions::new().cancel(cancel.clone()));
/// std::thread::spawn(move || cancel.cancel());
/// if let Err(error) = cancellable.clusters().list() {
///     assert_eq!(error.kind(), ErrorKind::Cancelled);
/// }
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicUsize>);

/// The bit of a [`Cancel`] that is set from `cancel` to `reset`.
const CANCELLED: usize = 1;
/// The other bits count the calls of `cancel`, so that a `reset` right after one cannot hide it.
const CANCEL_COUNT: usize = 2;

impl Cancel {
    /// Creates a flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Cancels all calls that use this flag: those in progress, and those that start before
    /// [`reset`](Cancel::reset).
    pub fn cancel(&self) {
        self.0.fetch_or(CANCELLED, Ordering::AcqRel);
        self.0.fetch_add(CANCEL_COUNT, Ordering::AcqRel);
    }

    /// Returns whether the flag is set.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) & CANCELLED != 0
    }

    /// Makes the flag usable for new calls. Calls that were in progress at the time of
    /// [`cancel`](Cancel::cancel) stay cancelled.
    pub fn reset(&self) {
        self.0.fetch_and(!CANCELLED, Ordering::AcqRel);
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::Acquire) / CANCEL_COUNT
    }
}

/// A [`Cancel`] with the number of cancellations that happened before a call began.
#[derive(Debug, Clone)]
struct CancelWatch {
    cancel: Cancel,
    /// Set when the call begins.
    since: Option<usize>,
}

impl CancelWatch {
    fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled() || self.since.is_some_and(|since| since != self.cancel.count())
    }
}

/// Returns whether the call must end; see [`CallOptions::interrupt_check`].
type InterruptCheck = Arc<dyn Fn() -> bool + Send + Sync>;

/// Returns whether the client is shut down. Cheap, therefore evaluated at each step.
type ShutdownCheck = Arc<dyn Fn() -> bool + Send + Sync>;

/// Per-call options: timeout and cancellation. Set them with
/// [`AdminClient::with`](crate::AdminClient::with).
///
/// ```no_run
/// # let admin = camunda_admin::AdminClient::from_env()?;
/// use std::time::Duration;
/// use camunda_admin::CallOptions;
///
/// let quick = admin.with(CallOptions::new().timeout(Duration::from_secs(5)));
/// quick.clusters().list()?;
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct CallOptions {
    timeout: Option<Duration>,
    cancel: Option<CancelWatch>,
    interrupt: Option<InterruptCheck>,
    shutdown: Option<ShutdownCheck>,
    /// Counts the requests of the call.
    requests: Option<Arc<AtomicU32>>,
}

impl CallOptions {
    /// Creates options in which nothing is set: the client's own timeout applies (default: 60 s),
    /// and the calls cannot be cancelled.
    #[must_use]
    pub fn new() -> Self {
        CallOptions::default()
    }

    /// Sets the timeout of the whole call, including the token request, the rate limit, retries and
    /// reading the body. The call returns at most 100 ms after its deadline. DNS resolution cannot
    /// be interrupted: it runs on a separate thread, which a call that must end abandons.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets the flag that cancels the call.
    #[must_use]
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = Some(CancelWatch {
            cancel,
            since: None,
        });
        self
    }

    /// Sets a callback that runs on the calling thread about every 20 ms while the call waits. If
    /// it returns `true`, the call fails with [`ErrorKind::Cancelled`]. For language runtimes that
    /// must run their own signal handlers, such as Python. A call that waits less than 20 ms does
    /// not run it.
    ///
    /// The callback may make calls. One that needs the access token that the thread is requesting fails
    /// immediately with [`ErrorKind::InvalidArgument`].
    #[must_use]
    pub fn interrupt_check(mut self, check: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.interrupt = Some(Arc::new(check));
        self
    }

    /// Sets the check that permanently ends the calls of a client; see `camunda_shutdown`.
    #[cfg(feature = "capi")]
    pub(crate) fn shut_down_by(mut self, check: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.shutdown = Some(Arc::new(check));
        self
    }

    /// Returns these options, overridden by those that are set in `options`.
    pub(crate) fn merged(&self, options: CallOptions) -> CallOptions {
        CallOptions {
            timeout: options.timeout.or(self.timeout),
            cancel: options.cancel.or_else(|| self.cancel.clone()),
            interrupt: options.interrupt.or_else(|| self.interrupt.clone()),
            shutdown: options.shutdown.or_else(|| self.shutdown.clone()),
            requests: options.requests.or_else(|| self.requests.clone()),
        }
    }

    /// Returns the options of a call that begins now. A later cancellation ends the call even if it
    /// is reset, also between the requests of an operation that sends several.
    pub(crate) fn begin(&self) -> CallOptions {
        let mut options = self.clone();
        if let Some(watch) = &mut options.cancel {
            watch.since.get_or_insert_with(|| watch.cancel.count());
        }
        options
    }

    /// Adds the requests that the call sends to `requests`, token requests excluded.
    pub(crate) fn counting_requests(mut self, requests: Arc<AtomicU32>) -> Self {
        self.requests = Some(requests);
        self
    }
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("timeout", &self.timeout)
            .field("cancel", &self.cancel.as_ref().map(|watch| &watch.cancel))
            .field("interrupt", &self.interrupt.is_some())
            .finish()
    }
}

/// Reason why a call must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The deadline was exceeded.
    Deadline,
    /// The caller cancelled the call, or the client is shut down.
    Cancelled,
    /// The process was forked during the call: the parent owns the connections and locks of the
    /// call.
    Forked,
}

/// State of a call in progress, used by the thread that makes it.
#[derive(Debug, Clone)]
pub(crate) struct CallContext {
    started: Instant,
    timeout: Duration,
    deadline: Option<Instant>,
    options: CallOptions,
    /// The process that makes the call; each fork increments it.
    fork_count: u32,
    /// Time of the last interrupt check, which can be expensive (Python acquires the GIL).
    last_interrupt_check: Cell<Instant>,
}

impl CallContext {
    /// Starts a call. It has no deadline if the clock cannot represent it.
    pub(crate) fn start(options: &CallOptions, default_timeout: Duration) -> Self {
        let started = Instant::now();
        let timeout = options.timeout.unwrap_or(default_timeout);
        CallContext {
            started,
            timeout,
            deadline: started.checked_add(timeout),
            options: options.begin(),
            fork_count: fork_count(),
            last_interrupt_check: Cell::new(started),
        }
    }

    /// Returns the same call with its deadline at most `limit` from now, for an optional step.
    pub(crate) fn with_max_timeout(&self, limit: Duration) -> CallContext {
        let sooner = Instant::now().checked_add(limit);
        let deadline = match (self.deadline, sooner) {
            (Some(own), Some(sooner)) => Some(own.min(sooner)),
            (deadline, None) | (None, deadline) => deadline,
        };
        CallContext {
            started: self.started,
            timeout: limit.min(self.timeout),
            deadline,
            options: self.options.clone(),
            fork_count: self.fork_count,
            last_interrupt_check: Cell::new(self.last_interrupt_check.get()),
        }
    }

    /// Returns the options for the steps of this call, which a cancellation since its start ends.
    pub(crate) fn options(&self) -> &CallOptions {
        &self.options
    }

    /// Returns the time at which the call started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Returns the timeout of the whole call.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns the deadline, or `None` if the call has none.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the time until the deadline, or `Duration::MAX` without one.
    pub(crate) fn remaining(&self) -> Duration {
        self.remaining_at(Instant::now())
    }

    fn remaining_at(&self, now: Instant) -> Duration {
        match self.deadline {
            Some(deadline) => deadline.saturating_duration_since(now),
            None => Duration::MAX,
        }
    }

    /// Fails if the call must end.
    pub(crate) fn check(&self) -> Result<(), StopReason> {
        self.check_at(Instant::now())
    }

    fn check_at(&self, now: Instant) -> Result<(), StopReason> {
        if self.fork_count != fork_count() {
            return Err(StopReason::Forked);
        }
        if self
            .options
            .cancel
            .as_ref()
            .is_some_and(CancelWatch::is_cancelled)
            || self.is_shut_down()
        {
            return Err(StopReason::Cancelled);
        }
        if let Some(interrupt) = &self.options.interrupt
            && now.duration_since(self.last_interrupt_check.get()) >= CANCEL_POLL
        {
            self.last_interrupt_check.set(now);
            if interrupt() {
                return Err(StopReason::Cancelled);
            }
            if self.fork_count != fork_count() {
                return Err(StopReason::Forked);
            }
        }
        match self.deadline {
            Some(deadline) if now >= deadline => Err(StopReason::Deadline),
            _ => Ok(()),
        }
    }

    /// Returns the maximum duration of a single blocking step, at most `wanted`, which observes the
    /// deadline and the cancellation. Fails if the call must end.
    pub(crate) fn next_wait(&self, wanted: Duration) -> Result<Duration, StopReason> {
        let now = Instant::now();
        self.check_at(now)?;
        // Not zero, which means "no timeout" to a socket.
        let step = wanted
            .min(self.remaining_at(now))
            .max(Duration::from_millis(1));
        let watched = self.options.cancel.is_some()
            || self.options.interrupt.is_some()
            || self.options.shutdown.is_some();
        Ok(if watched { step.min(CANCEL_POLL) } else { step })
    }

    /// Sleeps for `duration`, or until the call must end.
    pub(crate) fn sleep(&self, duration: Duration) -> Result<(), StopReason> {
        let until = Instant::now().checked_add(duration);
        loop {
            let left = match until {
                Some(until) => until.saturating_duration_since(Instant::now()),
                None => Duration::from_secs(3600),
            };
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(self.next_wait(left)?);
        }
    }

    fn is_shut_down(&self) -> bool {
        self.options.shutdown.as_ref().is_some_and(|check| check())
    }

    /// Counts a request that was sent.
    pub(crate) fn count_request(&self) {
        if let Some(requests) = &self.options.requests {
            requests.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the error of a call that had to end.
    pub(crate) fn stop_error(&self, stop: StopReason, stage: Stage, outcome: Outcome) -> Error {
        self.stop_error_while(stop, stage, outcome, None)
    }

    /// Returns the error of a call that had to end. That of a deadline names the activity which it
    /// interrupted, such as `connecting to URL`.
    pub(crate) fn stop_error_while(
        &self,
        stop: StopReason,
        stage: Stage,
        outcome: Outcome,
        activity: Option<&str>,
    ) -> Error {
        let (kind, message) = match stop {
            StopReason::Deadline => {
                let message = format!("deadline of {:?} exceeded", self.timeout);
                let message = match activity {
                    Some(activity) => format!("{message} while {activity}"),
                    None => message,
                };
                (ErrorKind::Timeout, message)
            }
            StopReason::Cancelled if self.is_shut_down() => (
                ErrorKind::Cancelled,
                "cancelled: the client is shut down".to_owned(),
            ),
            StopReason::Cancelled => (ErrorKind::Cancelled, "cancelled".to_owned()),
            StopReason::Forked => (
                ErrorKind::Cancelled,
                "process forked during the call; repeat the call in the child".to_owned(),
            ),
        };
        Error::new(kind, stage, outcome, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleep_returns_immediately_when_cancelled() {
        let cancel = Cancel::new();
        cancel.cancel();
        let options = CallOptions::new().cancel(cancel.clone());
        let call = CallContext::start(&options, DEFAULT_TIMEOUT);
        assert_eq!(
            call.sleep(Duration::from_secs(3600)),
            Err(StopReason::Cancelled)
        );
        cancel.reset();
        assert_eq!(call.check(), Ok(()));
    }

    #[test]
    fn call_cancelled_and_reset_in_between_stays_cancelled() {
        let cancel = Cancel::new();
        let options = CallOptions::new().cancel(cancel.clone());
        let call = CallContext::start(&options, DEFAULT_TIMEOUT);
        cancel.cancel();
        cancel.reset();
        assert!(!cancel.is_cancelled());
        assert_eq!(call.check(), Err(StopReason::Cancelled));
        let step = CallContext::start(call.options(), DEFAULT_TIMEOUT);
        assert_eq!(step.check(), Err(StopReason::Cancelled));
        assert_eq!(
            CallContext::start(&options, DEFAULT_TIMEOUT).check(),
            Ok(())
        );
    }

    #[test]
    fn cancel_called_twice_needs_one_reset() {
        let cancel = Cancel::new();
        cancel.cancel();
        cancel.cancel();
        assert!(cancel.is_cancelled());
        cancel.reset();
        assert!(!cancel.is_cancelled());
    }

    #[test]
    fn merged_options_keep_what_is_not_set() {
        let (first, second) = (Cancel::new(), Cancel::new());
        second.cancel();
        let interrupted = CallOptions::new().interrupt_check(|| true);
        let options = CallOptions::new()
            .merged(CallOptions::new().cancel(first.clone()))
            .merged(CallOptions::new().timeout(Duration::from_secs(3)))
            .merged(interrupted);
        assert_eq!(options.timeout, Some(Duration::from_secs(3)));
        assert!(options.interrupt.is_some());
        assert!(!options.cancel.as_ref().unwrap().is_cancelled());
        first.cancel();
        assert!(options.cancel.as_ref().unwrap().is_cancelled());
        first.reset();
        let options = options.merged(CallOptions::new().cancel(second));
        assert!(options.cancel.unwrap().is_cancelled());
    }

    #[test]
    fn sleep_ends_at_deadline() {
        let options = CallOptions::new().timeout(Duration::from_millis(1));
        let call = CallContext::start(&options, DEFAULT_TIMEOUT);
        assert_eq!(
            call.sleep(Duration::from_secs(3600)),
            Err(StopReason::Deadline)
        );
    }

    #[cfg(unix)]
    #[test]
    fn check_fails_in_a_child_forked_during_the_call() {
        use crate::fork::tests::forked_child::{Child, fork};
        let call = CallContext::start(&CallOptions::new(), DEFAULT_TIMEOUT);
        let child = fork(|| call.check() == Err(StopReason::Forked)).wait();
        assert_eq!(child, Child::Passed);
        assert_eq!(call.check(), Ok(()));
    }

    #[test]
    fn call_has_no_deadline_when_timeout_exceeds_clock() {
        let options = CallOptions::new().timeout(Duration::MAX);
        let call = CallContext::start(&options, DEFAULT_TIMEOUT);
        assert_eq!(call.check(), Ok(()));
        assert!(call.remaining() > Duration::from_secs(1 << 40));
    }
}
