//! A rate limiter with its lock, shared with other processes: reads, merges and writes the records of
//! the token stores, under the rate limiter's lock in them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::sync::{Mutex, MutexGuard, Signal, current_thread, lock_inherited};
use crate::auth::diagnostics::RateLimiterReport;
use crate::auth::key::{RATE_LIMIT_PREFIX, TokenHostKey};
use crate::auth::rate_limit_record::{RATE_RECORD_TTL, RateLimitSigner, StoredRateLimit};
use crate::auth::rate_limiter::{MIN_REQUEST_INTERVAL, RateLimiter};
use crate::auth::store::{LockResult, SHORT_LEASE, Store, StoreChain, StoreTime};
use crate::auth::time::{Clock, ClockTime};
use crate::call::CallContext;

/// A rate limiter's lock in a store is held for a moment only. An owner that holds it longer is
/// stopped or stuck, and is not waited for. Longer than [`MIN_REQUEST_INTERVAL`], so that a request
/// which the owner could not record is followed by none too early, and shorter than the lease.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_millis(1_500);
pub(super) const LOCK_POLL: Duration = Duration::from_millis(2);
const _: () = assert!(LOCK_TIMEOUT.as_millis() > MIN_REQUEST_INTERVAL.as_millis());
const _: () = assert!(LOCK_TIMEOUT.as_millis() < SHORT_LEASE.as_millis());

/// How much of the time between two attempts to take a lock counts as a wait: operations of a slow
/// server. If it is longer, this process was stopped, and the lock may have another owner.
pub(super) const MAX_POLL_TIME: Duration = Duration::from_millis(500);

/// Time after which an owner of the lock that has not written its record yet releases the lock and
/// takes it again: other processes may continue without the lock before the record can be read.
pub(super) const MAX_READ_TIME: Duration = Duration::from_millis(1_000);
/// How long a call whose response has arrived waits for the lock.
const MAX_LOCK_WAIT: Duration = Duration::from_millis(50);

/// Maximum number of times that a permit is written: again if a write took longer than expected.
const MAX_RECORD_WRITES: u32 = 3;
/// Maximum time that a write is expected to take.
const MAX_WRITE_TIME: Duration = Duration::from_millis(500);
/// By how much a write may take longer than expected.
const WRITE_TOLERANCE: Duration = Duration::from_millis(5);

/// A rate limiter with its lock.
#[derive(Debug)]
pub(super) struct SharedRateLimiter {
    pub(super) key: TokenHostKey,
    name: String,
    state: Mutex<RateLimiter>,
    /// Whether the log has a warning about a record that cannot be verified.
    warned_of_unverified: AtomicBool,
    /// Notified when the queue moves or requests are blocked.
    pub(super) changed: Signal,
}

/// How the processes of one configuration share a rate limit.
#[derive(Clone, Copy)]
pub(super) struct Sharing<'a> {
    pub(super) stores: &'a StoreChain,
    pub(super) signer: &'a RateLimitSigner,
    pub(super) clock: &'a Clock,
    pub(super) call: &'a CallContext,
}

/// Calls of a thread that let others pass in the queue.
pub(super) struct PausedCalls<'a> {
    limiter: &'a SharedRateLimiter,
    thread: usize,
}

impl Drop for PausedCalls<'_> {
    fn drop(&mut self) {
        self.limiter.lock().resume(self.thread);
    }
}

/// The record of a store, as it was read.
pub(super) struct ReadRecord<'a> {
    store: &'a Store,
    stored: StoredRateLimit,
    time: StoreTime,
    /// The rest of its block; `None` if it could not be read.
    pub(super) block: Option<Duration>,
}

/// What to do if another process holds the lock of the rate limiter for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contended {
    /// Write the record without the lock: other processes have to see a 429.
    Write,
    /// Write no record: it could replace that of a request which the other process is about to
    /// send.
    Skip,
}

impl SharedRateLimiter {
    pub(super) fn new(key: TokenHostKey, rate_limiter: RateLimiter) -> Self {
        let name = format!("{RATE_LIMIT_PREFIX}{}", key.digest());
        SharedRateLimiter {
            key,
            name,
            state: Mutex::new(rate_limiter),
            warned_of_unverified: AtomicBool::new(false),
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
    pub(super) fn permit_at(&self, now: ClockTime) -> Duration {
        self.lock().permit_at(None, now)
    }

    /// Lets others pass the calls of this thread that are in the queue, in whose callback it is, until the
    /// result is dropped. `None` if there are none.
    pub(super) fn pause_calls_of_thread(&self) -> Option<PausedCalls<'_>> {
        let thread = current_thread();
        let is_paused = self.lock().pause(thread);
        is_paused.then(|| {
            self.changed.notify_all();
            PausedCalls {
                limiter: self,
                thread,
            }
        })
    }

    /// Returns the rest of the block after a 429.
    pub(super) fn block_remaining(&self, now: ClockTime) -> Duration {
        self.lock().block_remaining(now)
    }

    /// Returns whether a record that cannot be verified delays requests.
    pub(super) fn is_delayed_by_unverified(&self, now: ClockTime) -> bool {
        self.lock().unverified_until() > now.mono
    }

    pub(super) fn report(&self, now: ClockTime) -> RateLimiterReport {
        let rate_limiter = self.lock();
        RateLimiterReport {
            token_host: self.key.as_str().to_owned(),
            next_request_in: rate_limiter.next_allowed_at().saturating_sub(now.mono),
            blocked: rate_limiter.blocked(now),
            waiting: rate_limiter.waiting(),
            consecutive_429s: rate_limiter.consecutive_429s(),
        }
    }

    /// Tries to take the rate limiter's lock in the stores.
    pub(super) fn try_lock_in_stores(&self, sharing: Sharing<'_>) -> LockResult {
        let Sharing { stores, call, .. } = sharing;
        stores.try_lock(call, &self.name, SHORT_LEASE)
    }

    /// Tries to continue in place of the owner of the lock, who holds it for too long.
    pub(super) fn try_second_lock_in_stores(&self, sharing: Sharing<'_>) -> LockResult {
        let Sharing { stores, call, .. } = sharing;
        stores.try_second_lock(call, &self.name, SHORT_LEASE)
    }

    /// Merges the records of other processes.
    pub(super) fn merge(&self, sharing: Sharing<'_>) {
        self.read_and_merge(sharing);
    }

    /// Reads the records of all stores and merges them: the fallback may have a request or a block
    /// that the shared store does not have.
    pub(super) fn read_and_merge<'a>(&self, sharing: Sharing<'a>) -> Vec<ReadRecord<'a>> {
        let Sharing {
            stores,
            signer,
            clock,
            call,
        } = sharing;
        let mut records = Vec::new();
        for store in stores.all() {
            let read = store.read(call, &self.name);
            let times = store.rate_limit_times(&self.name);
            let is_read = read.is_some();
            let (value, time) = read.map_or((None, None), |read| (read.value, read.time));
            let time = time.unwrap_or_else(|| store.unreported_time(&self.name));
            let stored = value.and_then(|value| StoredRateLimit::decode(&value));
            let now = time.earliest(clock.now().mono);
            let mut unverified_block = false;
            let mut block = is_read.then_some(Duration::ZERO);
            {
                let mut rate_limiter = self.lock();
                let mut merged = store.merged();
                let merged = merged.entry(self.name.clone()).or_default();
                if let Some(stored) = &stored {
                    if store.is_multi_tenant() {
                        let (verified, unverified) = stored.verify(signer, now);
                        if let Some(record) = verified {
                            rate_limiter.merge(record, merged, now);
                            block = block.map(|_| record.block_remaining(now));
                        }
                        if unverified.last_request_at > 0 {
                            let last = unverified.last_request_at;
                            rate_limiter.merge_unverified(last, merged, now);
                        }
                        unverified_block = unverified.blocks;
                    } else {
                        rate_limiter.merge(stored.state, merged, now);
                        block = block.map(|_| stored.state.block_remaining(now));
                    }
                }
                if let Some(times) = times {
                    rate_limiter.merge_times(times, merged, now);
                }
            }
            if unverified_block && !self.warned_of_unverified.swap(true, Ordering::Relaxed) {
                log::warn!(
                    "rate limit record not verified, its block is ignored: store={:?} token_host={}",
                    store.describe(),
                    self.key.as_str()
                );
            }
            records.push(ReadRecord {
                store,
                stored: stored.unwrap_or_default(),
                time,
                block,
            });
        }
        records
    }

    /// Writes the record to the stores: to the fallback too, for when the shared store becomes
    /// unavailable. Returns whether the shared store has it.
    pub(super) fn write(&self, sharing: Sharing<'_>, records: &mut [ReadRecord<'_>]) -> bool {
        let mut is_shared = false;
        // The fallback first: a shared store that fails takes a while, and other processes then read the
        // fallback meanwhile.
        for (index, record) in records.iter_mut().enumerate().rev() {
            let store = record.store;
            let now = record.time.latest(sharing.clock.now().mono);
            let state = {
                let rate_limiter = self.lock();
                let mut merged = store.merged();
                rate_limiter.record(merged.entry(self.name.clone()).or_default(), now)
            };
            match store.is_multi_tenant() {
                true => record.stored.set_signed(state, sharing.signer, now),
                false => record.stored.set(state),
            }
            let stored = &record.stored;
            let written = store.put_rate_limit(sharing.call, &self.name, stored, RATE_RECORD_TTL);
            is_shared |= written && index == 0;
        }
        is_shared
    }

    /// Records a permit, here and in the stores. `write_time` is how long a write is expected to take:
    /// the request is sent after the record is written, so the record has a time at which it will have
    /// been sent. Otherwise a process whose write is faster could send too early.
    pub(super) fn record_permit(
        &self,
        sharing: Sharing<'_>,
        records: &mut [ReadRecord<'_>],
        mut write_time: Duration,
    ) {
        let clock = sharing.clock;
        for _ in 0..MAX_RECORD_WRITES {
            let began = clock.now();
            let recorded = began.after(write_time.min(MAX_WRITE_TIME));
            self.lock().record_request(recorded);
            self.write(sharing, records);
            let now = clock.now().mono;
            if now <= recorded.mono.saturating_add(WRITE_TOLERANCE) {
                break;
            }
            write_time = now.saturating_sub(began.mono).saturating_mul(2);
        }
    }

    /// Records a response that is not a 429, here and in the stores.
    pub(super) fn response_received(&self, sharing: Sharing<'_>, sent: ClockTime) -> bool {
        let now = sharing.clock.now();
        // Other processes wrote their records before this response.
        self.share(sharing, Contended::Skip, |rate_limiter| {
            rate_limiter.response_received(sent, now)
        })
    }

    /// Blocks requests after a 429, here and in the stores. Returns when the block ends
    /// (monotonic), and whether the shared store has it.
    pub(super) fn rate_limited(
        &self,
        sharing: Sharing<'_>,
        retry_after: Option<Duration>,
    ) -> (Duration, bool) {
        let clock = sharing.clock;
        let blocked_until = {
            let mut rate_limiter = self.lock();
            let (now, remaining) = (clock.now(), clock.remaining(sharing.call));
            rate_limiter.rate_limited(now, retry_after, remaining, clock.jitter());
            rate_limiter.next_allowed_at()
        };
        // Callers in the queue have to see their later permits.
        self.changed.notify_all();
        (blocked_until, self.share(sharing, Contended::Write, |_| {}))
    }

    /// Applies an event and writes the record to the stores. Returns whether the shared store has
    /// the record, and no other process can have replaced it meanwhile.
    pub(super) fn share(
        &self,
        sharing: Sharing<'_>,
        contended: Contended,
        event: impl FnOnce(&mut RateLimiter),
    ) -> bool {
        let Sharing {
            stores,
            clock,
            call,
            ..
        } = sharing;
        if stores.is_empty() {
            event(&mut self.lock());
            return true;
        }
        let max_wait = match contended {
            Contended::Write => LOCK_TIMEOUT,
            Contended::Skip => MAX_LOCK_WAIT,
        };
        let began = clock.now().mono;
        let mut locked_at;
        let lock = loop {
            locked_at = clock.now().mono;
            let lock = self.try_lock_in_stores(sharing);
            let is_over = || clock.now().mono.saturating_sub(began) >= max_wait;
            if !matches!(lock, LockResult::Contended)
                || is_over()
                || call.sleep(clock.real_wait(LOCK_POLL)).is_err()
            {
                break lock;
            }
        };
        let is_contended = matches!(lock, LockResult::Contended);
        if is_contended && contended == Contended::Skip {
            event(&mut self.lock());
            return false;
        }
        let mut records = self.read_and_merge(sharing);
        if clock.now().mono > locked_at.saturating_add(MAX_READ_TIME) {
            // Other processes may have written their records without the lock.
            records = self.read_and_merge(sharing);
        }
        event(&mut self.lock());
        let is_shared = self.write(sharing, &mut records);
        drop(lock);
        is_shared && !is_contended
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, RateLimiter> {
        self.state.lock()
    }
}
