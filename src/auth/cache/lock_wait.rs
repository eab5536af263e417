//! Wait for the fetch lock of another process: how often to try again, when to continue in place of
//! its owner, and when to continue without a lock.

use std::time::Duration;

use super::entry::CacheEntry;
use super::permits::MAX_UNVERIFIED_DELAY_WITH_JITTER;
use super::shared_rate_limiter::MAX_POLL_TIME;
use crate::auth::time::ClockTime;
use crate::call::CallContext;

/// Maximum wait for another process that fetches the token: longer than the token endpoint holds
/// back the rejection of bad credentials. A process that takes longer is stopped or stuck.
pub(super) const FETCH_LOCK_TIMEOUT: Duration = Duration::from_secs(40);

/// Initial and final interval between checks whether that process is done.
const INITIAL_POLL: Duration = Duration::from_millis(5);
const MAX_POLL: Duration = Duration::from_millis(25);

/// As [`MAX_POLL_TIME`], for an attempt to take the fetch lock, which reads the stores too.
const MAX_FETCH_POLL_TIME: Duration = MAX_POLL_TIME.saturating_mul(4);

/// Delays of the owner extend the wait, but leave a call this time to continue in its place.
const MIN_TIME_LEFT: Duration = Duration::from_secs(20);

/// Wait for the fetch lock of another process.
pub(super) struct LockWait<'a> {
    entry: &'a CacheEntry,
    call: &'a CallContext,
    /// When the wait for its owner ends (monotonic).
    give_up_at: Duration,
    polled_at: Duration,
    /// For how long records that this process cannot verify have extended the wait. They delay the owner
    /// too.
    extended: Duration,
    poll: Duration,
    /// Whether another process held the lock.
    has_waited: bool,
    /// Whether the wait for the owner has ended. One waiting process then continues in its place, the
    /// others wait for that one.
    is_overdue: bool,
}

/// Next step of a process that waits for the fetch lock.
pub(super) enum LockStep {
    /// Try again after this delay.
    Poll(Duration),
    /// The owner is overdue: try immediately to continue in its place.
    TrySecondLock,
    /// The process that continued in its place is overdue too: send the request without a lock.
    GiveUp,
}

impl<'a> LockWait<'a> {
    pub(super) fn new(entry: &'a CacheEntry, call: &'a CallContext, give_up_at: Duration) -> Self {
        LockWait {
            entry,
            call,
            give_up_at,
            polled_at: entry.clock.now().mono,
            extended: Duration::ZERO,
            poll: INITIAL_POLL,
            has_waited: false,
            is_overdue: false,
        }
    }

    pub(super) fn has_waited(&self) -> bool {
        self.has_waited
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.is_overdue
    }

    /// Returns what to do after an attempt to take the lock that ended at `now`.
    pub(super) fn next_step(&mut self, now: ClockTime) -> LockStep {
        self.has_waited = true;
        let elapsed = now.mono.saturating_sub(self.polled_at);
        self.polled_at = now.mono;
        let rate_limiter = &self.entry.rate_limiter;
        let block = rate_limiter.block_remaining(now);
        if !block.is_zero() {
            self.give_up_at = give_up_time(self.entry, self.call, block);
            self.is_overdue = false;
        } else if rate_limiter.is_delayed_by_unverified(now)
            && self.extended < MAX_UNVERIFIED_DELAY_WITH_JITTER
        {
            let remaining = self.entry.clock.remaining(self.call);
            let latest = now.mono + remaining.saturating_sub(MIN_TIME_LEFT);
            self.extended += elapsed;
            self.give_up_at = self.give_up_at.max(latest.min(self.give_up_at + elapsed));
        } else {
            self.give_up_at += elapsed.saturating_sub(MAX_FETCH_POLL_TIME);
        }
        if now.mono < self.give_up_at {
            let delay = self.poll;
            self.poll = (self.poll * 3 / 2).min(MAX_POLL);
            return LockStep::Poll(delay);
        }
        if self.is_overdue {
            return LockStep::GiveUp;
        }
        self.is_overdue = true;
        self.give_up_at = give_up_time(self.entry, self.call, Duration::ZERO);
        self.poll = INITIAL_POLL;
        LockStep::TrySecondLock
    }
}

/// Returns when a process that waits from now on gives up (monotonic). The owner of the lock waits for
/// the end of a block too.
pub(super) fn give_up_time(entry: &CacheEntry, call: &CallContext, block: Duration) -> Duration {
    let usable = entry.clock.remaining(call).saturating_sub(block) / 3 * 2;
    let wait = block.saturating_add(FETCH_LOCK_TIMEOUT.min(usable));
    entry.clock.now().mono.saturating_add(wait)
}
