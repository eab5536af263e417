//! Waiting for a permit of the rate limiter: among the threads of this process, then among all
//! processes that share a store.

use std::time::Duration;

use super::shared_rate_limiter::{
    LOCK_POLL, LOCK_TIMEOUT, MAX_POLL_TIME, MAX_READ_TIME, ReadRecord, SharedRateLimiter, Sharing,
};
use super::sync::current_thread;
use crate::auth::StoreLock;
use crate::auth::rate_limiter::{MIN_REQUEST_INTERVAL, QueueTicket};
use crate::auth::store::{INITIAL_SERVER_SUSPENSION, LockResult};
use crate::auth::time::{Clock, ClockTime};
use crate::auth::{FetchError, TokenErrorKind};
use crate::call::StopReason;

/// How often a call releases a lock that it held for too long. After that it keeps the lock: the store
/// is always that slow.
const MAX_OVERLONG_LOCKS: u32 = 3;
/// Time for which records that this process cannot verify delay its requests, at least, over several calls
/// if one ends before: longer than the default timeout of a call, so that calls of more client secrets than
/// can have a permit until then do not send at the same time. Limited, so that a tenant who writes such
/// records all the time delays the others only.
const MAX_UNVERIFIED_DELAY: Duration = Duration::from_secs(65);
/// Maximum of this limit: with its jitter it is up to twice as long.
pub(super) const MAX_UNVERIFIED_DELAY_WITH_JITTER: Duration =
    MAX_UNVERIFIED_DELAY.saturating_mul(2);

/// How often a call that waits for the rate limiter's lock reads the records.
const READ_INTERVAL: Duration = Duration::from_millis(100);

/// How long before its permit a request opens its connection.
const CONNECT_AHEAD: Duration = MIN_REQUEST_INTERVAL;
/// Maximum number of connections that are opened for one request: a server may close each of them
/// while the request waits.
const MAX_CONNECTIONS: u32 = 3;

/// Two blocks whose ends differ by at most this are the same one, in two stores.
const SAME_BLOCK: Duration = Duration::from_secs(2);

/// Delay of a token request while the shared store is not available: at least as long as the store is
/// not used after its first failure, which can be caused by a loaded machine, and random, so that
/// hosts do not send at the same time.
const MIN_START_DELAY: Duration = INITIAL_SERVER_SUSPENSION;
const MAX_START_DELAY: Duration = Duration::from_secs(5);

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
}

/// A call that waits for a permit, in the queue of a rate limiter.
struct Acquisition<'a> {
    limiter: &'a SharedRateLimiter,
    sharing: Sharing<'a>,
    queued: QueueGuard<'a>,
    may_block: bool,
    /// Whether the call waits if the shared store becomes unavailable: it does so only once.
    may_delay: bool,
    /// How long records that cannot be verified delay the request. Random, so that
    /// processes which have waited for the same time do not send at the same time.
    max_unverified_delay: Duration,
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
            ticket: limiter.lock().enqueue(current_thread()),
        };
        Ok(Acquisition {
            limiter,
            sharing,
            queued,
            may_block,
            may_delay,
            max_unverified_delay: MAX_UNVERIFIED_DELAY.mul_f64(1.0 + sharing.clock.jitter()),
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
            StorePermit::Unverified(wait) if !self.may_block || wait > clock.remaining(call) => {
                return Some(Permit::AfterDeadline(wait));
            }
            StorePermit::Unverified(wait) => {
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
        let (_lock, locked_at) = match self.lock_in_stores() {
            Ok(locked) => locked,
            Err(permit) => return permit,
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
        if let Some(later) = self.later_permit(clock.now()) {
            self.share_block(&mut records);
            return later;
        }
        let now = clock.now();
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

    /// Takes the rate limiter's lock in the stores. Returns it with the time (monotonic) at which it
    /// was free, at the earliest; without a lock if no store can lock, or its owner holds the lock for
    /// too long.
    ///
    /// # Errors
    ///
    /// The call has ended, or the permit is later according to a record that another process has
    /// written meanwhile. With a slow server and many processes, waiting for the lock nevertheless
    /// would take longer than one owner may hold it.
    fn lock_in_stores(&self) -> Result<(Option<StoreLock>, Duration), StorePermit> {
        let (limiter, sharing) = (self.limiter, self.sharing);
        let clock = sharing.clock;
        let mut waited = Duration::ZERO;
        let mut next_read = READ_INTERVAL;
        let mut polled_at = clock.now().mono;
        loop {
            let mut tried_at = clock.now().mono;
            let mut lock = limiter.try_lock_in_stores(sharing);
            let now = clock.now().mono;
            waited += now.saturating_sub(polled_at).min(MAX_POLL_TIME);
            polled_at = now;
            if matches!(lock, LockResult::Contended) && waited >= LOCK_TIMEOUT {
                tried_at = clock.now().mono;
                lock = limiter.try_second_lock_in_stores(sharing);
            }
            match lock {
                LockResult::Acquired(lock) => return Ok((Some(lock), tried_at)),
                LockResult::Failed => return Ok((None, tried_at)),
                LockResult::Contended if waited >= 2 * LOCK_TIMEOUT => {
                    return Ok((None, tried_at));
                }
                LockResult::Contended => {}
            }
            if waited >= next_read {
                next_read = waited + READ_INTERVAL;
                limiter.merge(sharing);
                if let Some(later) = self.later_permit(clock.now()) {
                    return Err(later);
                }
            }
            let slept = sharing.call.sleep(clock.real_wait(LOCK_POLL));
            slept.map_err(|_| StorePermit::Stopped)?;
        }
    }

    /// Writes a block that is in the fallback only: other hosts do not know it.
    fn share_block(&self, records: &mut [ReadRecord<'_>]) {
        let now = self.sharing.clock.now();
        let block = self.limiter.block_remaining(now);
        let lacks_block = |known: Duration| known.saturating_add(SAME_BLOCK) < block;
        if records[0].block.is_some_and(lacks_block) {
            self.limiter.write(self.sharing, records);
        }
    }

    /// Returns why the permit is later than `now`, according to the records that were merged; `None` if
    /// it is not.
    fn later_permit(&self, now: ClockTime) -> Option<StorePermit> {
        let mut rate_limiter = self.limiter.lock();
        if rate_limiter.permit_at(Some(self.queued.ticket), now) > now.mono {
            return Some(StorePermit::NotYet);
        }
        let unverified = rate_limiter.unverified_until().saturating_sub(now.mono);
        if unverified.is_zero() {
            return None;
        }
        let delayed = rate_limiter.delayed_by_unverified(now);
        drop(rate_limiter);
        let is_ignored = delayed >= self.max_unverified_delay;
        (!is_ignored).then_some(StorePermit::Unverified(unverified))
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
