//! Waiting for a turn at a rate_limiter: among the threads of this process, then among all processes that
//! share a store.

use std::thread;
use std::time::Duration;

use super::process_cache::inherited;
use super::sync::{Mutex, MutexGuard, Signal};
use crate::auth::diagnostics::RateLimiterReport;
use crate::auth::key::TokenHostKey;
use crate::auth::rate_limiter::{MIN_REQUEST_INTERVAL, QueueTicket, RateLimiter};
use crate::auth::store::{Ability, HeldLocks, SHORT_LEASE, StoreChain};
use crate::auth::time::{Clock, Timestamp};
use crate::call::{CallContext, StopReason};

/// A rate_limiter's lock in a store is held for an instant only. Whoever holds it longer is stopped or
/// stuck, and is not waited for.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);
const LOCK_POLL: Duration = Duration::from_millis(2);
/// After an answer, the call it was for should not be kept.
const MAX_LOCK_RETRIES: u32 = 10;

/// How long a record of the pace is of use.
const RATE_RECORD_TTL: Duration = Duration::from_secs(2 * 3600);

/// A rate_limiter with its lock.
#[derive(Debug)]
pub(super) struct SharedRateLimiter {
    pub(super) key: TokenHostKey,
    name: String,
    rate_limiter: Mutex<RateLimiter>,
    /// Notified whenever the queue moves or the rate_limiter is blocked.
    changed: Signal,
}

/// How waiting at a rate_limiter ended.
#[derive(Debug)]
pub(super) enum Permit {
    /// The turn is taken, at this moment: send.
    Granted(Timestamp),
    /// The turn comes this much later, which is too late for the caller.
    AfterDeadline(Duration),
    /// No request is needed any more.
    Settled,
    Cancelled(StopReason),
}

impl SharedRateLimiter {
    pub(super) fn new(key: TokenHostKey, rate_limiter: RateLimiter) -> Self {
        let name = format!("gate-{}", key.digest());
        SharedRateLimiter {
            key,
            name,
            rate_limiter: Mutex::new(rate_limiter),
            changed: Signal::new(),
        }
    }

    /// What a forked child goes on with, if it can be read.
    pub(super) fn inherited(&self) -> SharedRateLimiter {
        let rate_limiter = inherited(&self.rate_limiter)
            .map(|rate_limiter| rate_limiter.inherited())
            .unwrap_or_default();
        SharedRateLimiter::new(self.key.clone(), rate_limiter)
    }

    /// The earliest turn (monotonic) of someone who comes now.
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

    /// Waits for a turn and takes it. `expect` is told whenever the expected turn changes. Who does
    /// not want to wait gets the turn only if it is now. After a wait, `is_settled` says whether the
    /// request became unnecessary meanwhile; no lock is held while it does.
    pub(super) fn pass(
        &self,
        stores: &StoreChain,
        clock: &Clock,
        call: &CallContext,
        waits: bool,
        expect: impl Fn(Duration),
        mut is_settled: impl FnMut() -> bool,
    ) -> Permit {
        let place = QueueGuard {
            cell: self,
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
            let turn = rate_limiter.permit_at(Some(place.ticket), now);
            let wait = turn.saturating_sub(now.mono);
            let ends = wait.is_zero() || !waits || wait > clock.remaining(call);
            if ends && has_waited {
                drop(rate_limiter);
                if is_settled() {
                    return Permit::Settled;
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
                match self.pass_stores(stores, clock, call, place.ticket) {
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
            if turn.abs_diff(expected) < MIN_REQUEST_INTERVAL / 4 {
                let epoch = self.changed.epoch();
                drop(rate_limiter);
                self.changed
                    .wait_timeout(epoch, step.min(clock.real_wait(wait)));
            } else {
                // Told without this lock; then looked at again, as things may have changed.
                drop(rate_limiter);
                expected = turn;
                expect(turn);
            }
        }
    }

    /// Takes the turn in the stores too. `None` if another process was faster, which this rate_limiter then
    /// knows. Only the first of the queue comes here, so one thread of a process at a time.
    fn pass_stores(
        &self,
        stores: &StoreChain,
        clock: &Clock,
        call: &CallContext,
        ticket: QueueTicket,
    ) -> Option<Timestamp> {
        let mut locks = HeldLocks::default();
        let began = clock.now().mono;
        while !locks.take(stores, call, &self.name, SHORT_LEASE) {
            let waited = clock.now().mono.saturating_sub(began);
            if waited >= LOCK_TIMEOUT && locks.take_second(stores, call, &self.name, SHORT_LEASE) {
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
            // Without locks, a stamp may get lost; without stamps, all of them would.
            if locks.has(tier) || !tier.can(Ability::Lock) {
                tier.put_pace(call, &self.name, record, RATE_RECORD_TTL);
            }
        }
        Some(now)
    }

    /// Learns what other processes know of the pace.
    pub(super) fn merge(&self, stores: &StoreChain, clock: &Clock, call: &CallContext) {
        for tier in stores.usable(call) {
            let (record, times) = tier.pace(call, &self.name);
            let now = clock.now();
            let mut rate_limiter = self.lock();
            if let Some(record) = record {
                rate_limiter.merge(record, now);
            }
            if let Some(times) = times {
                rate_limiter.learn_times(times, now);
            }
        }
    }

    /// An answer came that is no 429.
    pub(super) fn answered(
        &self,
        stores: &StoreChain,
        clock: &Clock,
        call: &CallContext,
        sent: Timestamp,
    ) {
        let now = clock.now();
        // What the others wrote meanwhile is older news than this answer.
        self.share(stores, clock, call, |rate_limiter| {
            rate_limiter.answered(sent, now)
        });
    }

    /// A 429 came: closes the rate_limiter. The answer is when it opens (monotonic).
    pub(super) fn rate_limited(
        &self,
        stores: &StoreChain,
        clock: &Clock,
        call: &CallContext,
        retry_after: Option<Duration>,
    ) -> Duration {
        let opens = {
            let mut rate_limiter = self.lock();
            rate_limiter.rate_limited(clock.now(), retry_after, clock.jitter());
            rate_limiter.next_allowed_at()
        };
        // Those who queue have to see that their turn is later now.
        self.changed.notify_all();
        self.share(stores, clock, call, |_| {});
        opens
    }

    /// Tells the other processes of an event. If somebody holds the lock for so long that it cannot
    /// be had, a stamp may get lost, which is less bad than a 429 that nobody hears of.
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
            if locks.take(stores, call, &self.name, SHORT_LEASE) {
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
            tier.put_pace(call, &self.name, record, RATE_RECORD_TTL);
        }
    }

    fn lock(&self) -> MutexGuard<'_, RateLimiter> {
        self.rate_limiter.lock()
    }
}

/// A place in the queue of a rate_limiter, left on drop.
struct QueueGuard<'a> {
    cell: &'a SharedRateLimiter,
    ticket: QueueTicket,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        self.cell.lock().dequeue(self.ticket);
        self.cell.changed.notify_all();
    }
}
