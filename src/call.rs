//! One call's limits: its deadline and its cancellation, and waiting that minds both.
//!
//! Every wait of the library goes through here or through the socket, which asks the same
//! [`CallContext`], so that one deadline covers locks, turns, tokens, retries and bodies alike.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::fork::generation;

/// The longest a wait goes without looking at its [`Cancel`].
///
/// A flag has to be polled because a signal handler may do no more than set one.
pub(crate) const CANCEL_POLL: Duration = Duration::from_millis(20);

/// The deadline of a call whose options name none.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Stops calls from another thread or from a signal handler.
///
/// Clones share one flag. [`cancel`](Cancel::cancel) needs only atomic operations, so it is safe in a
/// signal handler; a call in progress then fails with [`ErrorKind::Cancelled`] within 100 ms.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicUsize>);

/// The bit of a [`Cancel`] that is set from `cancel` to `reset`.
const CANCELLED: usize = 1;
/// The other bits count the calls of `cancel`, so that a `reset` right after one cannot hide it.
const CANCEL_COUNT: usize = 2;

impl Cancel {
    /// A flag that is not set.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Cancels every call that was given this flag, and those to come until
    /// [`reset`](Cancel::reset).
    pub fn cancel(&self) {
        self.0.fetch_or(CANCELLED, Ordering::AcqRel);
        self.0.fetch_add(CANCEL_COUNT, Ordering::AcqRel);
    }

    /// Whether it is cancelled.
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

/// Asked during a wait whether the call has to end; see [`CallOptions::interrupt_check`].
type InterruptCheck = Arc<dyn Fn() -> bool + Send + Sync>;

/// Returns whether the client is shut down. Cheap, so it is checked at each step.
type ShutdownCheck = Arc<dyn Fn() -> bool + Send + Sync>;

/// Options of single calls; see [`AdminClient::with`](crate::AdminClient::with).
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
    /// No options: the client's own timeout (60 s unless set), no cancellation.
    pub fn new() -> Self {
        CallOptions::default()
    }

    /// The deadline of the whole call: waiting for a token or a turn, retries and the body
    /// included. A call outlives it by no more than 100 ms. The system's lookup of a name cannot be
    /// interrupted; it runs on a thread of its own, which a call that has to end leaves behind.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// A flag that ends the call early.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.cancel = Some(CancelWatch {
            cancel,
            since: None,
        });
        self
    }

    /// A question asked on the calling thread about every 20 ms while the call waits: `true` ends
    /// the call as cancelled. For hosts that have to run their own signal handlers, such as
    /// Python's. A call that never waits that long never asks.
    pub fn interrupt_check(mut self, ask: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.interrupt = Some(Arc::new(ask));
        self
    }

    /// A check that ends the calls of a client for good; see `camunda_shutdown`.
    #[cfg(feature = "capi")]
    pub(crate) fn shut_down_by(mut self, check: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.shutdown = Some(Arc::new(check));
        self
    }

    /// These options, replaced by those that are set in `options`.
    pub(crate) fn merged(&self, options: CallOptions) -> CallOptions {
        CallOptions {
            timeout: options.timeout.or(self.timeout),
            cancel: options.cancel.or_else(|| self.cancel.clone()),
            interrupt: options.interrupt.or_else(|| self.interrupt.clone()),
            shutdown: options.shutdown.or_else(|| self.shutdown.clone()),
            requests: options.requests.or_else(|| self.requests.clone()),
        }
    }

    /// The options of a call that begins now: a cancellation counts from here on, also for the
    /// requests of an operation that sends several.
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

/// Why a wait has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// The deadline passed.
    Deadline,
    /// The caller cancelled.
    Cancelled,
    /// The process is a child that was forked during the call: connections and locks of the call
    /// belong to its parent.
    Forked,
}

/// A call under way, on the one thread that makes it.
#[derive(Debug, Clone)]
pub(crate) struct CallContext {
    started: Instant,
    timeout: Duration,
    deadline: Option<Instant>,
    options: CallOptions,
    /// The process that makes the call.
    generation: u32,
    /// When the interrupt was last asked; asking can be costly (Python takes its global lock).
    last_interrupt_check: Cell<Instant>,
}

impl CallContext {
    /// Starts the clock. A timeout too large for the clock counts as none.
    pub(crate) fn start(options: &CallOptions, default_timeout: Duration) -> Self {
        let started = Instant::now();
        let timeout = options.timeout.unwrap_or(default_timeout);
        CallContext {
            started,
            timeout,
            deadline: started.checked_add(timeout),
            options: options.begin(),
            generation: generation(),
            last_interrupt_check: Cell::new(started),
        }
    }

    /// The same call with `limit` from now on as its deadline, if that is earlier than its own: for
    /// a step that the call can do without.
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
            generation: self.generation,
            last_interrupt_check: Cell::new(self.last_interrupt_check.get()),
        }
    }

    /// The options, for the steps of this call: a cancellation since its beginning counts for them.
    pub(crate) fn options(&self) -> &CallOptions {
        &self.options
    }

    /// When the call began.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// How long the call may take in all.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// When the call has to be over; `None` if it has no deadline.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Time left; a very long time where there is no deadline.
    pub(crate) fn remaining(&self) -> Duration {
        match self.deadline {
            Some(deadline) => deadline.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        }
    }

    /// Whether the call may go on.
    pub(crate) fn check(&self) -> Result<(), StopReason> {
        if self.generation != generation() {
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
        let now = Instant::now();
        if let Some(interrupt) = &self.options.interrupt
            && now.duration_since(self.last_interrupt_check.get()) >= CANCEL_POLL
        {
            self.last_interrupt_check.set(now);
            if interrupt() {
                return Err(StopReason::Cancelled);
            }
            if self.generation != generation() {
                return Err(StopReason::Forked);
            }
        }
        match self.deadline {
            Some(deadline) if now >= deadline => Err(StopReason::Deadline),
            _ => Ok(()),
        }
    }

    /// The longest single blocking step allowed now, at most `wanted`: short enough to notice a
    /// cancellation and to keep the deadline. Fails where the call has to end.
    pub(crate) fn next_wait(&self, wanted: Duration) -> Result<Duration, StopReason> {
        self.check()?;
        // Never zero, which a socket takes for "no timeout".
        let step = wanted.min(self.remaining()).max(Duration::from_millis(1));
        let watched = self.options.cancel.is_some()
            || self.options.interrupt.is_some()
            || self.options.shutdown.is_some();
        Ok(if watched { step.min(CANCEL_POLL) } else { step })
    }

    /// Sleeps for `duration`, or until the call has to end.
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

    /// The error for a call that had to end.
    pub(crate) fn stop_error(&self, stop: StopReason, stage: Stage, outcome: Outcome) -> Error {
        let (kind, message) = match stop {
            StopReason::Deadline => (
                ErrorKind::Timeout,
                format!("deadline of {:?} exceeded", self.timeout),
            ),
            StopReason::Cancelled if self.is_shut_down() => (
                ErrorKind::Cancelled,
                "cancelled: the client is shut down".to_owned(),
            ),
            StopReason::Cancelled => (ErrorKind::Cancelled, "cancelled by the caller".to_owned()),
            StopReason::Forked => (
                ErrorKind::Cancelled,
                "the process forked during the call; repeat the call in the child".to_owned(),
            ),
        };
        Error::new(kind, stage, outcome, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_call_does_not_start_to_sleep() {
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
        let asked = CallOptions::new().interrupt_check(|| true);
        let options = CallOptions::new()
            .merged(CallOptions::new().cancel(first.clone()))
            .merged(CallOptions::new().timeout(Duration::from_secs(3)))
            .merged(asked);
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
    fn a_deadline_ends_a_sleep() {
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
    fn a_timeout_beyond_the_clock_is_no_deadline() {
        let options = CallOptions::new().timeout(Duration::MAX);
        let call = CallContext::start(&options, DEFAULT_TIMEOUT);
        assert_eq!(call.check(), Ok(()));
        assert!(call.remaining() > Duration::from_secs(1 << 40));
    }
}
