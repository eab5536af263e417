//! Waiting for a permit of the rate limiter: among the threads of this process, then among all
//! processes that share a store.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::sync::{Mutex, MutexGuard, Signal, lock_inherited};
use crate::auth::diagnostics::RateLimiterReport;
use crate::auth::key::{RATE_LIMIT_PREFIX, TokenHostKey};
use crate::auth::rate_limit_record::{RATE_RECORD_TTL, RateLimitSigner, StoredRateLimit};
use crate::auth::rate_limiter::{MIN_REQUEST_INTERVAL, QueueTicket, RateLimiter};
use crate::auth::store::{
    INITIAL_SERVER_SUSPENSION, LockResult, SHORT_LEASE, Store, StoreChain, StoreTime,
};
use crate::auth::time::{Clock, ClockTime};
use crate::auth::{FetchError, StoreLock, TokenErrorKind};
use crate::call::{CallContext, StopReason};

/// A rate limiter's lock in a store is held for a moment only. An owner that holds it longer is
/// stopped or stuck, and is not waited for. Longer than [`MIN_REQUEST_INTERVAL`], so that a request
/// which the owner could not record is followed by none too early, and shorter than the lease.
const LOCK_TIMEOUT: Duration = Duration::from_millis(1_500);
const LOCK_POLL: Duration = Duration::from_millis(2);
const _: () = assert!(LOCK_TIMEOUT.as_millis() > MIN_REQUEST_INTERVAL.as_millis());
const _: () = assert!(LOCK_TIMEOUT.as_millis() < SHORT_LEASE.as_millis());

/// How much of the time between two attempts to take a lock counts as a wait: two operations of a slow
/// server. If it is longer, this process was stopped, and the lock may have another owner.
pub(super) const MAX_POLL_TIME: Duration = Duration::from_millis(500);

/// Time after which an owner of the lock that has not written its record yet releases the lock and
/// takes it again: other processes may continue without the lock before the record can be read.
const MAX_READ_TIME: Duration = Duration::from_millis(1_000);
/// How often a call releases a lock that it held for too long. After that it keeps the lock: the store
/// is always that slow.
const MAX_OVERLONG_LOCKS: u32 = 3;
/// How long a call whose response has arrived waits for the lock.
const MAX_LOCK_WAIT: Duration = Duration::from_millis(50);

/// Maximum time that records which this process cannot verify delay one request. Long enough for
/// several client secrets that share a store, short enough that a tenant who writes such records
/// all the time does not block the others.
const MAX_UNVERIFIED_DELAY: Duration = Duration::from_secs(10);

/// How long before its permit a request opens its connection.
const CONNECT_AHEAD: Duration = MIN_REQUEST_INTERVAL;
/// Maximum number of connections that are opened for one request: a server may close each of them
/// while the request waits.
const MAX_CONNECTIONS: u32 = 3;

/// Maximum number of times that a permit is written: again if a write took longer than expected.
const MAX_RECORD_WRITES: u32 = 3;
/// Maximum time that a write is expected to take.
const MAX_WRITE_TIME: Duration = Duration::from_millis(500);
/// By how much a write may take longer than expected.
const WRITE_TOLERANCE: Duration = Duration::from_millis(5);

/// Two blocks whose ends differ by at most this are the same one, in two stores.
const SAME_BLOCK: Duration = Duration::from_secs(2);

/// Delay of a token request while the shared store is not available: at least as long as the store is
/// not used after its first failure, which can be caused by a loaded machine, and random, so that
/// hosts do not send at the same time.
const MIN_START_DELAY: Duration = INITIAL_SERVER_SUSPENSION;
const MAX_START_DELAY: Duration = Duration::from_secs(5);

/// A rate limiter with its lock.
#[derive(Debug)]
pub(super) struct SharedRateLimiter {
    pub(super) key: TokenHostKey,
    name: String,
    state: Mutex<RateLimiter>,
    /// Whether the log has a warning about a record that cannot be verified.
    warned_of_unverified: AtomicBool,
    /// Notified when the queue moves or requests are blocked.
    changed: Signal,
}

/// How the processes of one configuration share a rate limit.
#[derive(Clone, Copy)]
pub(super) struct Sharing<'a> {
    pub(super) stores: &'a StoreChain,
    pub(super) signer: &'a RateLimitSigner,
    pub(super) clock: &'a Clock,
    pub(super) call: &'a CallContext,
}

/// The record of a store, as it was read.
struct ReadRecord<'a> {
    store: &'a Store,
    stored: StoredRateLimit,
    time: StoreTime,
    /// The rest of its block; `None` if it could not be read.
    block: Option<Duration>,
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

/// Result of trying to get a permit from the stores.
enum StorePermit {
    Granted(ClockTime),
    /// Another process was faster; the rate limiter then knows its request.
    NotYet,
    /// The shared store is not available: other hosts may send requests now too.
    Unavailable,
    /// The call has too little time left to read and write the record of the shared store.
    NoTimeLeft,
    /// The lock was held for so long that other processes may have continued without it.
    HeldTooLong,
    /// According to a record that cannot be verified, another process was faster. The request may
    /// be sent after this time.
    Unverified(Duration),
    /// The call has ended.
    Stopped,
}

/// What a request does while it waits for a permit. No lock is held during the callbacks.
pub(super) struct PermitCallbacks<Expect, IsResolved, Connect> {
    /// Called with the expected time (monotonic) of the permit when that changes.
    pub(super) expect: Expect,
    /// Called after a wait; returns true if another process has stored a result meanwhile.
    pub(super) is_resolved: IsResolved,
    /// Called before the permit. Opens a connection if there is none, and returns whether it did.
    pub(super) connect: Connect,
}

/// Result of waiting for a permit.
#[derive(Debug)]
pub(super) enum Permit {
    /// The permit is granted and recorded at this time: send the request.
    Granted(ClockTime),
    /// The permit would come after this wait, which is later than the caller's deadline.
    AfterDeadline(Duration),
    /// The call has too little time left to get a permit from the shared store.
    NoTimeLeft,
    /// No connection can be opened: no permit was granted.
    NotConnected(FetchError),
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

    /// Returns the rest of the block after a 429.
    pub(super) fn block_remaining(&self, now: ClockTime) -> Duration {
        self.lock().block_remaining(now)
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

    /// Waits for a permit and records it. Without `may_block`, grants only a permit that is available
    /// immediately.
    pub(super) fn acquire(
        &self,
        sharing: Sharing<'_>,
        may_block: bool,
        mut callbacks: PermitCallbacks<
            impl Fn(Duration),
            impl FnMut() -> bool,
            impl FnMut() -> Result<bool, FetchError>,
        >,
    ) -> Permit {
        let Sharing {
            stores,
            clock,
            call,
            ..
        } = sharing;
        let mut acquisition = match Acquisition::start(self, sharing, may_block) {
            Ok(acquisition) => acquisition,
            Err(stop) => return Permit::Cancelled(stop),
        };
        let ticket = acquisition.queued.ticket;
        let mut expected = Duration::ZERO;
        let mut has_waited = false;
        let mut is_connected = false;
        let mut connections = 0;
        loop {
            let step = match call.next_wait(Duration::MAX) {
                Ok(step) => step,
                Err(stop) => return Permit::Cancelled(stop),
            };
            let now = clock.now();
            let rate_limiter = self.lock();
            let permit_at = rate_limiter.permit_at(Some(ticket), now);
            let wait = permit_at.saturating_sub(now.mono);
            let ends = wait.is_zero() || !may_block || wait > clock.remaining(call);
            if ends && has_waited {
                drop(rate_limiter);
                if (callbacks.is_resolved)() {
                    return Permit::NotNeeded;
                }
                has_waited = false;
                continue;
            }
            let is_near = !ends && wait <= CONNECT_AHEAD && rate_limiter.can_connect();
            if wait.is_zero() || (is_near && !is_connected) {
                drop(rate_limiter);
                let is_new = match (callbacks.connect)() {
                    Ok(is_new) => is_new,
                    Err(error) => return self.not_connected(clock, error),
                };
                is_connected = true;
                connections += u32::from(is_new);
                // Opening it took some time.
                has_waited |= is_new;
                if !wait.is_zero() || (is_new && connections < MAX_CONNECTIONS) {
                    continue;
                }
                has_waited |= !stores.is_empty();
                if let Some(permit) = acquisition.try_grant() {
                    return permit;
                }
                continue;
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
                (callbacks.expect)(permit_at);
            }
        }
    }

    /// Records that no connection was established, unless the call ended.
    fn not_connected(&self, clock: &Clock, error: FetchError) -> Permit {
        if error.kind != TokenErrorKind::Cancelled {
            self.lock().connection_failed(clock.now());
        }
        Permit::NotConnected(error)
    }

    /// Records a permit, without stores. Returns `None` if the permit is later now.
    fn grant_in_memory(&self, ticket: QueueTicket, clock: &Clock) -> Option<ClockTime> {
        let mut rate_limiter = self.lock();
        let now = clock.now();
        if rate_limiter.permit_at(Some(ticket), now) > now.mono {
            return None;
        }
        rate_limiter.record_request(now);
        Some(now)
    }

    /// Takes the rate limiter's lock in the stores. Returns it with the time (monotonic) at which it
    /// was free, at the earliest; or `None` if no store can lock, or its owner holds the lock for too
    /// long.
    fn lock_in_stores(
        &self,
        sharing: Sharing<'_>,
    ) -> Result<(Option<StoreLock>, Duration), StopReason> {
        let Sharing {
            stores,
            clock,
            call,
            ..
        } = sharing;
        let mut waited = Duration::ZERO;
        let mut polled_at = clock.now().mono;
        loop {
            let mut tried_at = clock.now().mono;
            let mut lock = stores.try_lock(call, &self.name, SHORT_LEASE);
            let now = clock.now().mono;
            waited += now.saturating_sub(polled_at).min(MAX_POLL_TIME);
            polled_at = now;
            if matches!(lock, LockResult::Contended) && waited >= LOCK_TIMEOUT {
                tried_at = clock.now().mono;
                lock = stores.try_second_lock(call, &self.name, SHORT_LEASE);
            }
            match lock {
                LockResult::Acquired(lock) => return Ok((Some(lock), tried_at)),
                LockResult::Failed => return Ok((None, tried_at)),
                LockResult::Contended if waited >= 2 * LOCK_TIMEOUT => {
                    return Ok((None, tried_at));
                }
                LockResult::Contended => call.sleep(clock.real_wait(LOCK_POLL))?,
            }
        }
    }

    /// Merges the records of other processes.
    pub(super) fn merge(&self, sharing: Sharing<'_>) {
        self.read_and_merge(sharing);
    }

    /// Reads the records of all stores and merges them: the fallback may have a request or a block
    /// that the shared store does not have.
    fn read_and_merge<'a>(&self, sharing: Sharing<'a>) -> Vec<ReadRecord<'a>> {
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
            let local = StoreTime::local(clock.now());
            let is_read = read.is_some();
            let (value, time) = read.map_or((None, local), |read| (read.value, read.time));
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
    fn write(&self, sharing: Sharing<'_>, records: &mut [ReadRecord<'_>]) -> bool {
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
    fn record_permit(
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
            let lock = stores.try_lock(call, &self.name, SHORT_LEASE);
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

    fn lock(&self) -> MutexGuard<'_, RateLimiter> {
        self.state.lock()
    }
}

/// A call that waits for a permit, in the queue of a rate limiter.
struct Acquisition<'a> {
    limiter: &'a SharedRateLimiter,
    sharing: Sharing<'a>,
    queued: QueueGuard<'a>,
    may_block: bool,
    /// Whether the call waits if the shared store becomes unavailable: it does so only once.
    may_delay: bool,
    /// How long records that cannot be verified may still delay the request.
    unverified_budget: Duration,
    /// How often the lock was held for too long.
    overlong_locks: u32,
}

impl<'a> Acquisition<'a> {
    /// Enters the queue, after a delay if the shared store is not available.
    fn start(
        limiter: &'a SharedRateLimiter,
        sharing: Sharing<'a>,
        may_block: bool,
    ) -> Result<Self, StopReason> {
        let mut may_delay = may_block;
        if may_delay && sharing.stores.is_unavailable() {
            may_delay = false;
            delay_start(sharing)?;
        }
        let queued = QueueGuard {
            limiter,
            ticket: limiter.lock().enqueue(),
        };
        // Half of the time, so that the other half remains for the request.
        let half = sharing.clock.remaining(sharing.call) / 2;
        Ok(Acquisition {
            limiter,
            sharing,
            queued,
            may_block,
            may_delay,
            unverified_budget: MAX_UNVERIFIED_DELAY.min(half),
            overlong_locks: 0,
        })
    }

    /// Tries to record a permit that is due. Returns `None` if the call has to check the queue again,
    /// possibly after a wait.
    fn try_grant(&mut self) -> Option<Permit> {
        match self.sharing.stores.is_empty() {
            true => self
                .limiter
                .grant_in_memory(self.queued.ticket, self.sharing.clock)
                .map(Permit::Granted),
            false => self.try_stores(),
        }
    }

    /// Tries to get the permit from the stores. Returns `None` if the call has to check the queue
    /// again, possibly after a wait.
    fn try_stores(&mut self) -> Option<Permit> {
        let Sharing { clock, call, .. } = self.sharing;
        match self.permit_of_stores() {
            StorePermit::Granted(now) => return Some(Permit::Granted(now)),
            StorePermit::NoTimeLeft if call.check().is_ok() => return Some(Permit::NoTimeLeft),
            StorePermit::HeldTooLong => self.overlong_locks += 1,
            StorePermit::Unavailable => {
                self.may_delay = false;
                if let Err(stop) = delay_start(self.sharing) {
                    return Some(Permit::Cancelled(stop));
                }
            }
            StorePermit::Unverified(wait) if !self.may_block => {
                return Some(Permit::AfterDeadline(wait));
            }
            StorePermit::Unverified(wait) => {
                self.unverified_budget -= wait;
                // The caller notices the end of the call.
                let _ = call.sleep(clock.real_wait(wait));
            }
            // The caller notices the end of the call.
            StorePermit::NotYet | StorePermit::NoTimeLeft | StorePermit::Stopped => {}
        }
        None
    }

    /// Records the permit in the stores too. Only the first of the queue gets here, so one thread of
    /// a process at a time.
    fn permit_of_stores(&self) -> StorePermit {
        let (limiter, sharing) = (self.limiter, self.sharing);
        let Sharing {
            stores,
            clock,
            call,
            ..
        } = sharing;
        let Ok((_lock, locked_at)) = limiter.lock_in_stores(sharing) else {
            return StorePermit::Stopped;
        };
        let is_held_too_long = |limit| {
            self.overlong_locks < MAX_OVERLONG_LOCKS
                && clock.now().mono > locked_at.saturating_add(limit)
        };
        let was_unavailable = stores.is_unavailable();
        let began = clock.now().mono;
        let mut records = limiter.read_and_merge(sharing);
        if stores.is_skipped(call) {
            return StorePermit::NoTimeLeft;
        }
        if self.may_delay && stores.is_unavailable() {
            return StorePermit::Unavailable;
        }
        if !was_unavailable && stores.is_unavailable() {
            // The lock may be in this store only, if the fallback cannot lock.
            return StorePermit::NotYet;
        }
        let now = clock.now();
        if let Some(later) = self.later_permit(&mut records, now) {
            return later;
        }
        if is_held_too_long(MAX_READ_TIME) {
            return StorePermit::HeldTooLong;
        }
        limiter.record_permit(sharing, &mut records, now.mono.saturating_sub(began));
        if stores.is_skipped(call) {
            return StorePermit::NoTimeLeft;
        }
        if is_held_too_long(LOCK_TIMEOUT) {
            return StorePermit::HeldTooLong;
        }
        let now = clock.now();
        limiter.lock().request_sent(now);
        StorePermit::Granted(now)
    }

    /// Returns why the permit is later than `now`, according to the records; `None` if it is not.
    fn later_permit(&self, records: &mut [ReadRecord<'_>], now: ClockTime) -> Option<StorePermit> {
        let rate_limiter = self.limiter.lock();
        if rate_limiter.permit_at(Some(self.queued.ticket), now) > now.mono {
            let block = rate_limiter.block_remaining(now);
            drop(rate_limiter);
            // Other hosts do not know a block that is in the fallback only.
            let lacks_block = |known: Duration| known.saturating_add(SAME_BLOCK) < block;
            if records[0].block.is_some_and(lacks_block) {
                self.limiter.write(self.sharing, records);
            }
            return Some(StorePermit::NotYet);
        }
        let unverified = rate_limiter.unverified_until().saturating_sub(now.mono);
        (!unverified.is_zero() && unverified <= self.unverified_budget)
            .then_some(StorePermit::Unverified(unverified))
    }
}

/// Waits before a request while the shared store is not available, at most a quarter of the call's
/// remaining time.
fn delay_start(sharing: Sharing<'_>) -> Result<(), StopReason> {
    let Sharing { clock, call, .. } = sharing;
    let jitter = (MAX_START_DELAY - MIN_START_DELAY).mul_f64(clock.jitter());
    let delay = (MIN_START_DELAY + jitter).min(clock.remaining(call) / 4);
    call.sleep(clock.real_wait(delay))
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
