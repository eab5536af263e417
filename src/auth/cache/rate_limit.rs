//! Waiting for a permit of the rate limiter: among the threads of this process, then among all
//! processes that share a store.

use std::thread;
use std::time::Duration;

use super::sync::{Mutex, MutexGuard, Signal, lock_inherited};
use crate::auth::diagnostics::RateLimiterReport;
use crate::auth::key::{RATE_LIMIT_PREFIX, TokenHostKey};
use crate::auth::rate_limiter::{MIN_REQUEST_INTERVAL, QueueTicket, RateLimiter};
use crate::auth::store::{Ability, HeldLocks, SHORT_LEASE, StoreChain};
use crate::auth::time::{Clock, Timestamp};
use crate::call::{CallContext, StopReason};

/// A rate limiter's lock in a store is held for a moment only. An owner that holds it longer is
/// stopped or stuck, and is not waited for.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
const LOCK_POLL: Duration = Duration::from_millis(2);
/// Few, so that the lock does not delay a call whose response has arrived.
const MAX_LOCK_RETRIES: u32 = 10;

/// Time to live of a rate limit record.
const RATE_RECORD_TTL: Duration = Duration::from_secs(2 * 3600);

/// A rate limiter with its lock.
#[derive(Debug)]
pub(super) struct SharedRateLimiter {
    pub(super) key: TokenHostKey,
    name: String,
    state: Mutex<RateLimiter>,
    /// Notified when the queue moves or requests are blocked.
    changed: Signal,
}

/// Result of waiting for a permit.
#[derive(Debug)]
pub(super) enum Permit {
    /// The permit is granted and recorded at this time: send the request.
    Granted(Timestamp),
    /// The permit would come after this wait, which is later than the caller's deadline.
    AfterDeadline(Duration),
    /// Another process has stored a result: send no request.
    NotNeeded,
    Cancelled(StopReason),
}

impl SharedRateLimiter {
    pub(super) fn new(key: TokenHostKey, rate_limiter: RateLimiter) -> Self {
        let name = format!("{RATE_LIMIT_PREFIX}{}", key.digest());
        SharedRateLimiter {
            key,
            name,
            state: Mutex::new(rate_limiter),
            changed: Signal::new(),
        }
    }

    /// Returns the rate limiter of a forked child; a new one if the parent's is locked.
    pub(super) fn inherited(&self) -> SharedRateLimiter {
        let rate_limiter = lock_inherited(&self.state)
            .map(|rate_limiter| rate_limiter.inherited())
            .unwrap_or_default();
        SharedRateLimiter::new(self.key.clone(), rate_limiter)
    }

    /// Returns the time (monotonic) of the permit for a caller who joins the queue now.
    pub(super) fn permit_at(&self, now: Timestamp) -> Duration {
        self.lock().permit_at(None, now)
    }

    pub(super) fn report(&self, now: Timestamp) -> RateLimiterReport {
        let rate_limiter = self.lock();
        RateLimiterReport {
            token_host: self.key.as_str().to_owned(),
            next_request_in: rate_limiter
                .next_allowed_at()
                .saturating_sub(now.mono)
                .as_secs_f64(),
            blocked: rate_limiter.blocked(now),
            waiting: rate_limiter.waiting(),
            consecutive_429s: rate_limiter.consecutive_429s(),
        }
    }

    /// Waits for a permit and records it. Calls `expect` when the expected time of the permit
    /// changes. Without `may_block`, grants only a permit that is available immediately. After a
    /// wait, calls `is_resolved`, which returns true if the request is no longer needed. No lock is
    /// held during either callback.
    pub(super) fn acquire(
        &self,
        stores: &StoreChain,
        clock: &Clock,
        call: &CallContext,
        may_block: bool,
        expect: impl Fn(Duration),
        mut is_resolved: impl FnMut() -> bool,
    ) -> Permit {
        let queued = QueueGuard {
            limiter: self,
            ticket: self.lock().enqueue(),
        };
        let mut expected = Duration::ZERO;
        let mut has_waited = false;
        loop {
            let step = match call.next_wait(Duration::MAX) {
                Ok(step) => step,
                Err(stop) => return Permit::Cancelled(stop),
            };
            let now = clock.now();
            let mut rate_limiter = self.lock();
            let permit_at = rate_limiter.permit_at(Some(queued.ticket), now);
            let wait = permit_at.saturating_sub(now.mono);
            let ends = wait.is_zero() || !may_block || wait > clock.remaining(call);
            if ends && has_waited {
                drop(rate_limiter);
                if is_resolved() {
                    return Permit::NotNeeded;
                }
                has_waited = false;
                continue;
            }
            if wait.is_zero() {
                if stores.is_empty() {
                    rate_limiter.record_request(now);
                    return Permit::Granted(now);
                }
                drop(rate_limiter);
                match self.acquire_in_stores(stores, clock, call, queued.ticket) {
                    Some(now) => return Permit::Granted(now),
                    None => {
                        has_waited = true;
                        continue;
                    }
                }
            }
            if ends {
                return Permit::AfterDeadline(wait);
            }
            has_waited = true;
            if permit_at.abs_diff(expected) < MIN_REQUEST_INTERVAL / 4 {
                let epoch = self.changed.epoch();
                drop(rate_limiter);
                self.changed
                    .wait_timeout(epoch, step.min(clock.real_wait(wait)));
            } else {
                // Called without this lock; then the loop checks again, as the state may have
                // changed.
                drop(rate_limiter);
                expected = permit_at;
                expect(permit_at);
            }
        }
    }

    /// Records the permit in the stores too. Returns `None` if another process was faster, which
    /// the rate limiter then knows. Only the first of the queue gets here, so one thread of a
    /// process at a time.
    fn acquire_in_stores(
        &self,
        stores: &StoreChain,
        clock: &Clock,
        call: &CallContext,
        ticket: QueueTicket,
    ) -> Option<Timestamp> {
        let mut locks = HeldLocks::default();
        let began = clock.now().mono;
        while !locks.acquire(stores, call, &self.name, SHORT_LEASE) {
            let waited = clock.now().mono.saturating_sub(began);
            if waited >= LOCK_TIMEOUT && locks.acquire_second(stores, call, &self.name, SHORT_LEASE)
            {
                break;
            }
            if waited >= 2 * LOCK_TIMEOUT {
                locks.override_busy(stores, call);
                break;
            }
            call.sleep(clock.real_wait(LOCK_POLL)).ok()?;
        }
        self.merge(stores, clock, call);
        let now = clock.now();
        let record = {
            let mut rate_limiter = self.lock();
            if rate_limiter.permit_at(Some(ticket), now) > now.mono {
                return None;
            }
            rate_limiter.record_request(now);
            rate_limiter.record()
        };
        for tier in stores.usable(call) {
            // Without a lock, a concurrent write may overwrite this one; without the write, no
            // other process would see the request.
            if locks.contains(tier) || !tier.can(Ability::Lock) {
                tier.put_rate_limit(call, &self.name, record, RATE_RECORD_TTL);
            }
        }
        Some(now)
    }

    /// Merges the records of other processes.
    pub(super) fn merge(&self, stores: &StoreChain, clock: &Clock, call: &CallContext) {
        for tier in stores.usable(call) {
            let (record, times) = tier.rate_limit(call, &self.name);
            let now = clock.now();
            let mut rate_limiter = self.lock();
            if let Some(record) = record {
                rate_limiter.merge(record, now);
            }
            if let Some(times) = times {
                rate_limiter.merge_times(times, now);
            }
        }
    }

    /// Records a response that is not a 429, here and in the stores.
    pub(super) fn response_received(
        &self,
        stores: &StoreChain,
        clock: &Clock,
        call: &CallContext,
        sent: Timestamp,
    ) {
        let now = clock.now();
        // Other processes wrote their records before this response.
        self.share(stores, clock, call, |rate_limiter| {
            rate_limiter.response_received(sent, now)
        });
    }

    /// Blocks requests after a 429, here and in the stores. Returns when the block ends
    /// (monotonic).
    pub(super) fn rate_limited(
        &self,
        stores: &StoreChain,
        clock: &Clock,
        call: &CallContext,
        retry_after: Option<Duration>,
    ) -> Duration {
        let blocked_until = {
            let mut rate_limiter = self.lock();
            let (now, remaining) = (clock.now(), clock.remaining(call));
            rate_limiter.rate_limited(now, retry_after, remaining, clock.jitter());
            rate_limiter.next_allowed_at()
        };
        // Callers in the queue have to see their later permits.
        self.changed.notify_all();
        self.share(stores, clock, call, |_| {});
        blocked_until
    }

    /// Applies an event and writes the record to the stores. If another process holds the lock for
    /// too long, the record is written without it: losing a timestamp is less harmful than a 429
    /// that other processes do not see.
    fn share(
        &self,
        stores: &StoreChain,
        clock: &Clock,
        call: &CallContext,
        event: impl FnOnce(&mut RateLimiter),
    ) {
        if stores.is_empty() {
            event(&mut self.lock());
            return;
        }
        let mut locks = HeldLocks::default();
        for _ in 0..MAX_LOCK_RETRIES {
            if locks.acquire(stores, call, &self.name, SHORT_LEASE) {
                break;
            }
            thread::sleep(LOCK_POLL);
        }
        self.merge(stores, clock, call);
        let record = {
            let mut rate_limiter = self.lock();
            event(&mut rate_limiter);
            rate_limiter.record()
        };
        for tier in stores.usable(call) {
            tier.put_rate_limit(call, &self.name, record, RATE_RECORD_TTL);
        }
    }

    fn lock(&self) -> MutexGuard<'_, RateLimiter> {
        self.state.lock()
    }
}

/// A place in the queue of a rate limiter, left on drop.
struct QueueGuard<'a> {
    limiter: &'a SharedRateLimiter,
    ticket: QueueTicket,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        self.limiter.lock().dequeue(self.ticket);
        self.limiter.changed.notify_all();
    }
}
