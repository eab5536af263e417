//! Rate limiter of one token host, as a state machine.
//!
//! The token endpoint allows about one request per second from one source IP address, counts
//! rejected requests too, and blocks the address if the limit is exceeded. So every token request
//! of this process needs a permit, whatever its credentials are. Performs no I/O and reads no
//! clock; time and events are parameters.
//!
//! Callers queue in the order of their arrival; one whose thread waits for another token in a callback lets
//! the others pass. Permits are not reserved: one is granted when the
//! request is sent, so a caller who leaves the queue or is late delays the others by its own
//! absence only, and two permits are never closer than [`MIN_REQUEST_INTERVAL`].

use std::collections::BTreeMap;
use std::time::Duration;

use super::rate_limit_record::{MAX_BLOCK, RateLimitRecord, RateLimitTimes};
use super::time::{ClockTime, millis};
use crate::backoff::exponential;

/// Minimum time between two token requests.
pub(crate) const MIN_REQUEST_INTERVAL: Duration = Duration::from_millis(1_100);

/// How long a 429 blocks requests, if its `Retry-After` is not longer; doubles with every
/// consecutive 429 up to [`MAX_429_BLOCK`].
const INITIAL_429_BLOCK: Duration = Duration::from_secs(60);
const MAX_429_BLOCK: Duration = Duration::from_secs(600);

/// Maximum `Retry-After` that is applied.
const MAX_SERVER_BLOCK: Duration = Duration::from_secs(3600);

/// A block is longer by a random share of this window, which doubles too: processes behind one IP
/// address that do not know of each other would otherwise send at the same time, and block the
/// address again. Chosen by the simulation in `tests/lone_process_tests.rs`.
const INITIAL_429_WINDOW: Duration = Duration::from_secs(120);
const MAX_429_WINDOW: Duration = Duration::from_secs(3000);

/// Time that a call needs for its token request after its wait for the permit.
pub(crate) const REQUEST_TIME: Duration = Duration::from_secs(5);
/// Minimum length of a window that is cut for the deadline of a call: calls with the same deadline
/// must not send at the same time.
const MIN_429_WINDOW: Duration = Duration::from_secs(10);

const _: () = assert!(MAX_SERVER_BLOCK.as_secs() <= MAX_BLOCK.as_secs());
const _: () = assert!(MAX_429_BLOCK.as_secs() + MAX_429_WINDOW.as_secs() <= MAX_BLOCK.as_secs());

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueueTicket(u64);

/// A caller in the queue.
#[derive(Debug)]
struct Queued {
    thread: usize,
    /// How many callbacks of it, each in one of the one before, wait for a token.
    pauses: u32,
}

/// Two 429s with at most this distance are the same one, read from two stores: conversions between
/// clocks are not exact.
const SAME_429: Duration = Duration::from_secs(2);

/// Maximum time between two delays of one period in which unverified records delay requests: longer than
/// another process of the same secret holds the fetch lock while they delay that one.
const MAX_UNVERIFIED_PAUSE: Duration = Duration::from_secs(180);

/// State of one rate limiter. All times are of the monotonic clock: neither a step of the wall
/// clock nor a suspended machine grants a permit too early.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    /// When the last request was sent, at the latest, or its response received.
    last_request: Option<Duration>,
    /// The same according to records of other credentials, which cannot be verified.
    unverified_request: Option<Duration>,
    /// Since when such records have delayed requests without a permit in between, and when they last
    /// did.
    unverified_delay: Option<(Duration, Duration)>,
    /// When the last 429 was received, and until when it blocks; zero if there was none.
    blocked_at: Duration,
    blocked_until: Duration,
    /// 429s in a row.
    consecutive_429s: u32,
    /// Whether the last attempt to connect failed.
    connection_failed: bool,
    queue: BTreeMap<QueueTicket, Queued>,
    tickets: u64,
}

/// What was last read from one store, or written to it. Times are of the store's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MergedState {
    record: RateLimitRecord,
    /// `blocked_at` of the record on the monotonic clock.
    blocked_at: Duration,
    times: RateLimitTimes,
    unverified_request_at: u64,
}

impl RateLimiter {
    /// Joins the queue for a call of `thread`. The caller must [`dequeue`](RateLimiter::dequeue) the ticket,
    /// whether it sent a request or not.
    pub(crate) fn enqueue(&mut self, thread: usize) -> QueueTicket {
        self.tickets += 1;
        let ticket = QueueTicket(self.tickets);
        self.queue.insert(ticket, Queued { thread, pauses: 0 });
        ticket
    }

    /// Lets other callers pass those of `thread`, which are in a callback, until [`resume`](Self::resume).
    /// Otherwise a callback that waits for one of the others would never end. Returns whether there are
    /// any.
    pub(crate) fn pause(&mut self, thread: usize) -> bool {
        let mut is_queued = false;
        for queued in self.of_thread(thread) {
            queued.pauses += 1;
            is_queued = true;
        }
        is_queued
    }

    pub(crate) fn resume(&mut self, thread: usize) {
        for queued in self.of_thread(thread) {
            queued.pauses = queued.pauses.saturating_sub(1);
        }
    }

    fn of_thread(&mut self, thread: usize) -> impl Iterator<Item = &mut Queued> {
        let queued = self.queue.values_mut();
        queued.filter(move |queued| queued.thread == thread)
    }

    pub(crate) fn dequeue(&mut self, ticket: QueueTicket) {
        self.queue.remove(&ticket);
    }

    /// Returns the earliest time at which a request may be sent.
    pub(crate) fn next_allowed_at(&self) -> Duration {
        let spaced = self.last_request.map_or(Duration::ZERO, |last| {
            last.saturating_add(MIN_REQUEST_INTERVAL)
        });
        spaced.max(self.blocked_until)
    }

    /// Returns the time of the permit for a queued ticket, or (`None`) for a caller who joins now.
    pub(crate) fn permit_at(&self, ticket: Option<QueueTicket>, now: ClockTime) -> Duration {
        let ahead = match ticket {
            Some(ticket) => self.queue.range(..ticket),
            None => self.queue.range(..),
        };
        let ahead = ahead.filter(|(_, queued)| queued.pauses == 0).count();
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        self.next_allowed_at()
            .max(now.mono)
            .saturating_add(MIN_REQUEST_INTERVAL.saturating_mul(ahead))
    }

    /// Records a request. Must be called before it is sent, since one that fails counts too.
    pub(crate) fn record_request(&mut self, now: ClockTime) {
        self.connection_failed = false;
        self.unverified_delay = None;
        self.last_request = Some(now.mono);
    }

    /// Records that no connection could be opened, which counts as a request.
    pub(crate) fn connection_failed(&mut self, now: ClockTime) {
        self.connection_failed = true;
        self.request_sent(now);
    }

    /// Returns whether a connection can be opened ahead of a permit. After a failure, the next
    /// attempt needs to wait for it.
    pub(crate) fn can_connect(&self) -> bool {
        !self.connection_failed
    }

    /// Records when the first byte of a request was sent, if that is later than its permit.
    pub(crate) fn request_sent(&mut self, at: ClockTime) {
        self.last_request = self.last_request.max(Some(at.mono));
    }

    /// Records a response that is not a 429. `sent` is when the first byte of its request was sent.
    ///
    /// The endpoint received the request at some time between sending and response. Counting the
    /// interval from the response keeps it even if the first request had to open a connection and
    /// the next one has not. A response that took longer than the interval changes nothing.
    pub(crate) fn response_received(&mut self, sent: ClockTime, now: ClockTime) {
        self.consecutive_429s = 0;
        self.request_sent(sent);
        if now.mono.saturating_sub(sent.mono) < MIN_REQUEST_INTERVAL {
            self.request_sent(now);
        }
    }

    /// Blocks requests after a 429. `remaining` is the time that the call has left, `jitter` a random
    /// number from 0 to 1.
    pub(crate) fn rate_limited(
        &mut self,
        now: ClockTime,
        retry_after: Option<Duration>,
        remaining: Duration,
        jitter: f64,
    ) {
        let consecutive = self.consecutive_429s.saturating_add(1);
        self.consecutive_429s = consecutive;
        let until = now.after(block_after_429(consecutive, retry_after, remaining, jitter));
        if until.mono > self.blocked_until {
            self.blocked_until = until.mono;
            self.blocked_at = now.mono;
        }
    }

    /// Returns the record for other processes to [`merge`](RateLimiter::merge); `now` is the time
    /// of the store that it is written to.
    pub(crate) fn record(&self, merged: &mut MergedState, now: ClockTime) -> RateLimitRecord {
        let was_blocked = self.blocked_at > Duration::ZERO;
        let record = RateLimitRecord {
            last_request_at: self.last_request.map_or(0, |at| store_millis(at, now)),
            blocked_at: if was_blocked {
                store_millis(self.blocked_at, now)
            } else {
                0
            },
            blocked_until: if was_blocked {
                store_millis(self.blocked_until, now)
            } else {
                0
            },
            consecutive_429s: self.consecutive_429s,
        };
        merged.record = record;
        merged.blocked_at = self.blocked_at;
        record
    }

    /// Merges the record of another process; `now` is the time of the store that it was read from.
    ///
    /// A timestamp is compared with the store's clock once, when it is first seen, and is kept on
    /// the monotonic clock from then on: one from the future, written with a wrong clock, delays
    /// requests no longer than one from now.
    pub(crate) fn merge(
        &mut self,
        record: RateLimitRecord,
        merged: &mut MergedState,
        now: ClockTime,
    ) {
        if record.last_request_at != merged.record.last_request_at {
            self.last_request = self
                .last_request
                .max(Some(mono_of(record.last_request_at, now)));
        }
        let block = |record: &RateLimitRecord| (record.blocked_at, record.blocked_until);
        if block(&record) != block(&merged.record) {
            let until = now.mono.saturating_add(record.block_remaining(now));
            merged.blocked_at = match record.blocked_at {
                0 => Duration::ZERO,
                at => mono_of(at, now),
            };
            if record.blocked_at > 0 && (until > self.blocked_until || !self.blocked(now)) {
                self.blocked_until = self.blocked_until.max(until);
                // Even if a clock that was set back makes it look older than an earlier one.
                self.blocked_at = self.blocked_at.max(merged.blocked_at);
                merged.blocked_at = self.blocked_at;
            }
        }
        if merged.blocked_at.saturating_add(SAME_429) >= self.blocked_at {
            self.consecutive_429s = record.consecutive_429s;
        }
        merged.record = record;
    }

    /// Merges the last request of a record that cannot be verified. It delays requests only as long
    /// as callers respect [`unverified_until`](Self::unverified_until).
    pub(crate) fn merge_unverified(
        &mut self,
        last_request_at: u64,
        merged: &mut MergedState,
        now: ClockTime,
    ) {
        if last_request_at != merged.unverified_request_at {
            merged.unverified_request_at = last_request_at;
            let last = Some(mono_of(last_request_at, now));
            self.unverified_request = self.unverified_request.max(last);
        }
    }

    /// Returns the earliest time of a request that respects unverified records too.
    pub(crate) fn unverified_until(&self) -> Duration {
        self.unverified_request.map_or(Duration::ZERO, |last| {
            last.saturating_add(MIN_REQUEST_INTERVAL)
        })
    }

    /// Records that an unverified record delays a request. Returns for how long such records have
    /// delayed the requests of this process.
    pub(crate) fn delayed_by_unverified(&mut self, now: ClockTime) -> Duration {
        let since = match self.unverified_delay {
            Some((since, last)) if now.mono.saturating_sub(last) <= MAX_UNVERIFIED_PAUSE => since,
            _ => now.mono,
        };
        self.unverified_delay = Some((since, now.mono));
        now.mono.saturating_sub(since)
    }

    /// Applies the timestamps of a process that could not write its record.
    pub(crate) fn merge_times(
        &mut self,
        times: RateLimitTimes,
        merged: &mut MergedState,
        now: ClockTime,
    ) {
        if times == merged.times {
            return;
        }
        merged.times = times;
        if times.last_request_at != merged.record.last_request_at {
            self.last_request = self
                .last_request
                .max(Some(mono_of(times.last_request_at, now)));
        }
        let left = times.block_remaining(now);
        if !left.is_zero() && times.blocked_until > merged.record.blocked_until {
            let until = now.mono.saturating_add(left);
            if until > self.blocked_until {
                self.blocked_until = until;
                self.blocked_at = self.blocked_at.max(mono_of(times.last_request_at, now));
            }
            self.consecutive_429s = self.consecutive_429s.max(1);
        }
    }

    /// Returns the number of callers in the queue.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// 429s in a row.
    pub(crate) fn consecutive_429s(&self) -> u32 {
        self.consecutive_429s
    }

    /// Returns whether a 429 blocks requests now.
    pub(crate) fn blocked(&self, now: ClockTime) -> bool {
        self.blocked_until > now.mono
    }

    /// Returns the rest of the block after a 429.
    pub(crate) fn block_remaining(&self, now: ClockTime) -> Duration {
        self.blocked_until.saturating_sub(now.mono)
    }

    /// Returns the state of a forked child: the same limits and block, without the parent's queue.
    pub(crate) fn inherited(&self) -> RateLimiter {
        RateLimiter {
            last_request: self.last_request,
            blocked_at: self.blocked_at,
            blocked_until: self.blocked_until,
            consecutive_429s: self.consecutive_429s,
            ..RateLimiter::default()
        }
    }
}

/// Converts a time of the monotonic clock to milliseconds of a store's clock.
fn store_millis(mono: Duration, now: ClockTime) -> u64 {
    let wall = match mono.checked_sub(now.mono) {
        Some(ahead) => now.wall.saturating_add(ahead),
        None => now.wall.saturating_sub(now.mono - mono),
    };
    millis(wall)
}

/// Converts milliseconds of a store's clock to a time of the monotonic clock. A time from the future
/// is now.
fn mono_of(store_millis: u64, now: ClockTime) -> Duration {
    let age = now.wall_millis().saturating_sub(store_millis);
    now.mono.saturating_sub(Duration::from_millis(age))
}

/// Returns how long requests are blocked after `consecutive` 429s in a row, received by a call with
/// this remaining time. `jitter` is a random number from 0 to 1.
///
/// If the call would be over before the longest possible block, the block is cut so that the call can
/// send another request before its deadline, and one more if there is time. No block is shorter than
/// the first one or `Retry-After`.
pub(super) fn block_after_429(
    consecutive: u32,
    retry_after: Option<Duration>,
    remaining: Duration,
    jitter: f64,
) -> Duration {
    let from_server = retry_after.unwrap_or_default().min(MAX_SERVER_BLOCK);
    let mut least = exponential(INITIAL_429_BLOCK, consecutive, MAX_429_BLOCK).max(from_server);
    let mut most = least + exponential(INITIAL_429_WINDOW, consecutive, MAX_429_WINDOW);
    let first = INITIAL_429_BLOCK.max(from_server);
    let usable = remaining.saturating_sub(REQUEST_TIME);
    if usable < most && usable >= first + MIN_429_WINDOW {
        let one_more = first + REQUEST_TIME;
        least = first;
        most = match usable >= first + one_more + INITIAL_429_WINDOW / 2 {
            true => usable - one_more,
            false => usable,
        };
    }
    (least + (most - least).mul_f64(jitter.clamp(0.0, 1.0))).min(MAX_BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: ClockTime = ClockTime {
        mono: Duration::from_secs(1_000),
        wall: Duration::from_secs(1_780_000_000),
    };

    /// Remaining time of a call, longer than any block.
    const LONG: Duration = Duration::from_secs(24 * 3_600);

    fn at(millis: u64) -> ClockTime {
        START.after(Duration::from_millis(millis))
    }

    /// The rate limiter of a process, and what it has read from the store.
    #[derive(Default)]
    struct Process {
        rate_limiter: RateLimiter,
        merged: MergedState,
    }

    impl Process {
        fn record(&mut self, now: ClockTime) -> RateLimitRecord {
            self.rate_limiter.record(&mut self.merged, now)
        }

        fn merge(&mut self, record: RateLimitRecord, now: ClockTime) {
            self.rate_limiter.merge(record, &mut self.merged, now);
        }

        fn merge_times(&mut self, times: RateLimitTimes, now: ClockTime) {
            self.rate_limiter.merge_times(times, &mut self.merged, now);
        }
    }

    impl std::ops::Deref for Process {
        type Target = RateLimiter;

        fn deref(&self) -> &RateLimiter {
            &self.rate_limiter
        }
    }

    impl std::ops::DerefMut for Process {
        fn deref_mut(&mut self) -> &mut RateLimiter {
            &mut self.rate_limiter
        }
    }

    #[test]
    fn permit_is_immediate_for_the_first_request_only() {
        let mut rate_limiter = RateLimiter::default();
        let first = rate_limiter.enqueue(1);
        assert_eq!(rate_limiter.permit_at(Some(first), START), START.mono);
        rate_limiter.record_request(START);
        rate_limiter.dequeue(first);
        assert_eq!(rate_limiter.permit_at(None, at(10)), at(1_100).mono);
        assert_eq!(rate_limiter.permit_at(None, at(2_000)), at(2_000).mono);
    }

    #[test]
    fn dequeue_moves_later_tickets_up() {
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.record_request(START);
        let (first, second, third) = (
            rate_limiter.enqueue(2),
            rate_limiter.enqueue(3),
            rate_limiter.enqueue(4),
        );
        assert_eq!(rate_limiter.permit_at(Some(third), START), at(3_300).mono);
        rate_limiter.dequeue(second);
        assert_eq!(rate_limiter.permit_at(Some(third), START), at(2_200).mono);
        rate_limiter.dequeue(first);
        assert_eq!(rate_limiter.permit_at(Some(third), START), at(1_100).mono);
    }

    #[test]
    fn record_request_counts_from_a_late_request() {
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.record_request(START);
        rate_limiter.record_request(at(1_700));
        assert_eq!(rate_limiter.next_allowed_at(), at(2_800).mono);
    }

    #[test]
    fn response_received_counts_from_a_prompt_response() {
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.record_request(START);
        rate_limiter.response_received(START, at(400));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_500).mono);
        rate_limiter.record_request(at(1_500));
        rate_limiter.response_received(at(1_500), at(32_000));
        assert_eq!(rate_limiter.next_allowed_at(), at(2_600).mono);
    }

    #[test]
    fn request_sent_counts_from_a_first_byte_that_is_late_and_never_from_an_earlier_one() {
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.record_request(START);
        rate_limiter.request_sent(at(300));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_400).mono);
        rate_limiter.request_sent(at(100));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_400).mono);
    }

    #[test]
    fn connection_failed_counts_as_a_request_and_ends_connecting_ahead() {
        let mut rate_limiter = RateLimiter::default();
        assert!(rate_limiter.can_connect());
        rate_limiter.connection_failed(START);
        assert!(!rate_limiter.can_connect());
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
        rate_limiter.record_request(at(1_100));
        assert!(rate_limiter.can_connect());
    }

    #[test]
    fn response_received_after_the_interval_changes_nothing() {
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.record_request(START);
        rate_limiter.response_received(START, at(1_100));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
        // A request that was sent meanwhile stays the last one.
        rate_limiter.record_request(at(2_000));
        rate_limiter.response_received(at(1_500), at(1_900));
        assert_eq!(rate_limiter.next_allowed_at(), at(3_100).mono);
    }

    #[test]
    fn record_has_no_block_before_the_first_429() {
        let mut process = Process::default();
        process.record_request(START);
        let record = process.record(at(10));
        assert_eq!((record.blocked_at, record.blocked_until), (0, 0));
        process.rate_limited(at(20), None, LONG, 0.0);
        let record = process.record(at(30));
        assert_eq!(record.blocked_at, at(20).wall_millis());
        assert_eq!(record.blocked_until, at(60_020).wall_millis());
    }

    #[test]
    fn record_has_the_time_of_a_request_in_the_past() {
        let mut process = Process::default();
        process.record_request(START);
        assert_eq!(process.record(at(500)).last_request_at, START.wall_millis());
    }

    #[test]
    fn paused_callers_delay_no_other() {
        let mut rate_limiter = RateLimiter::default();
        assert!(!rate_limiter.pause(1));
        let outer = rate_limiter.enqueue(1);
        let other = rate_limiter.enqueue(2);
        assert!(rate_limiter.pause(1));
        let nested = rate_limiter.enqueue(1);
        assert!(rate_limiter.pause(1));
        let innermost = rate_limiter.enqueue(1);
        let permits = |rate_limiter: &RateLimiter, tickets: &[QueueTicket]| {
            let permit_at = |ticket: &QueueTicket| rate_limiter.permit_at(Some(*ticket), START);
            tickets.iter().map(permit_at).collect::<Vec<_>>()
        };
        let after = |waits: &[u64]| waits.iter().map(|wait| at(*wait).mono).collect::<Vec<_>>();
        let tickets = [outer, other, nested, innermost];
        assert_eq!(
            permits(&rate_limiter, &tickets),
            after(&[0, 0, 1_100, 1_100])
        );
        assert_eq!(rate_limiter.permit_at(None, START), at(2_200).mono);
        rate_limiter.dequeue(innermost);
        rate_limiter.resume(1);
        assert_eq!(permits(&rate_limiter, &tickets[..3]), after(&[0, 0, 1_100]));
        rate_limiter.dequeue(nested);
        rate_limiter.resume(1);
        assert_eq!(permits(&rate_limiter, &tickets[..2]), after(&[0, 1_100]));
    }

    #[test]
    fn waiting_counts_the_tickets_in_the_queue() {
        let mut rate_limiter = RateLimiter::default();
        let first = rate_limiter.enqueue(5);
        rate_limiter.enqueue(6);
        assert_eq!(rate_limiter.waiting(), 2);
        rate_limiter.dequeue(first);
        assert_eq!(rate_limiter.waiting(), 1);
    }

    #[test]
    fn inherited_has_limit_and_block_without_the_queue() {
        let mut parent = RateLimiter::default();
        parent.enqueue(7);
        parent.record_request(START);
        let mut child = parent.inherited();
        assert_eq!(child.waiting(), 0);
        assert_eq!(child.next_allowed_at(), at(1_100).mono);

        parent.rate_limited(at(10), None, LONG, 0.0);
        child = parent.inherited();
        assert_eq!(child.next_allowed_at(), at(60_010).mono);
        assert_eq!(child.consecutive_429s(), 1);
        let record = child.record(&mut MergedState::default(), at(20));
        assert_eq!(record.blocked_at, at(10).wall_millis());
    }

    #[test]
    fn merge_applies_only_a_block_that_has_a_start_and_a_later_end() {
        let mut process = Process::default();
        process.rate_limited(START, None, LONG, 0.0);
        let block = |blocked_at, blocked_until| RateLimitRecord {
            blocked_at,
            blocked_until,
            consecutive_429s: 1,
            ..RateLimitRecord::default()
        };
        for (record, blocked_at, blocked_until) in [
            (block(0, at(120_000).wall_millis()), 0, 60_000),
            (
                block(at(5_000).wall_millis(), at(30_000).wall_millis()),
                0,
                60_000,
            ),
            (
                block(at(6_000).wall_millis(), at(60_000).wall_millis()),
                0,
                60_000,
            ),
            (
                block(at(7_000).wall_millis(), at(90_000).wall_millis()),
                7_000,
                90_000,
            ),
        ] {
            process.merge(record, at(10_000));
            assert_eq!(process.next_allowed_at(), at(blocked_until).mono);
            let written = process.record(at(10_000));
            assert_eq!(
                written.blocked_at,
                at(blocked_at).wall_millis(),
                "{record:?}"
            );
        }
    }

    #[test]
    fn rate_limited_doubles_its_block_and_applies_retry_after() {
        let mut rate_limiter = RateLimiter::default();
        let mut now = START;
        for seconds in [60, 120, 240, 480, 600, 600] {
            rate_limiter.rate_limited(now, Some(Duration::from_secs(5)), LONG, 0.0);
            assert!(rate_limiter.blocked(now));
            assert_eq!(
                rate_limiter.next_allowed_at() - now.mono,
                Duration::from_secs(seconds)
            );
            now = now.after(Duration::from_secs(seconds));
            assert!(!rate_limiter.blocked(now));
        }
        rate_limiter.response_received(now, now);
        rate_limiter.rate_limited(now, Some(Duration::from_secs(90)), LONG, 1.0);
        assert_eq!(
            rate_limiter.next_allowed_at() - now.mono,
            Duration::from_secs(90 + 120)
        );
        rate_limiter.rate_limited(now, Some(Duration::MAX), LONG, 1.0);
        assert_eq!(
            rate_limiter.next_allowed_at() - now.mono,
            Duration::from_secs(3_600 + 240)
        );
    }

    #[test]
    fn rate_limited_replaces_a_block_only_by_one_that_ends_later() {
        let mut process = Process::default();
        process.rate_limited(START, None, LONG, 1.0);
        assert_eq!(process.next_allowed_at(), at(180_000).mono);
        // 120 s from here: the same end, so other processes see the block that they know.
        process.rate_limited(at(60_000), None, LONG, 0.0);
        assert_eq!(process.next_allowed_at(), at(180_000).mono);
        let record = process.record(at(60_000));
        assert_eq!(record.blocked_at, START.wall_millis());
        // The third block is 240 s long.
        process.rate_limited(at(61_000), None, LONG, 0.0);
        assert_eq!(process.next_allowed_at(), at(301_000).mono);
        let record = process.record(at(61_000));
        assert_eq!(record.blocked_at, at(61_000).wall_millis());
    }

    #[test]
    fn block_after_429_is_spread_over_a_window_that_doubles() {
        for (consecutive, least, most) in [
            (1, 60, 180),
            (2, 120, 360),
            (3, 240, 720),
            (4, 480, 1_440),
            (5, 600, 2_520),
            (6, 600, 3_600),
            (u32::MAX, 600, 3_600),
        ] {
            let block = |jitter| block_after_429(consecutive, None, LONG, jitter).as_secs();
            assert_eq!(
                (block(0.0), block(0.5), block(1.0)),
                (least, (least + most) / 2, most),
                "{consecutive}"
            );
        }
    }

    #[test]
    fn block_after_429_lets_the_call_send_again_before_its_deadline() {
        for (retry_after, remaining, least, most) in [
            // The longest block ends before the deadline.
            (None, 365, 120, 360),
            // Another block of 60 s and a request fit after the longest one.
            (None, 364, 60, 294),
            (None, 190, 60, 120),
            // They do not fit.
            (None, 189, 60, 184),
            (None, 75, 60, 70),
            // The call fails in any case.
            (None, 74, 120, 360),
            (None, 60, 120, 360),
            (None, 0, 120, 360),
            (Some(100), 364, 100, 254),
            (Some(100), 269, 100, 264),
            (Some(100), 114, 120, 360),
        ] {
            let block = |jitter| {
                let retry_after = retry_after.map(Duration::from_secs);
                block_after_429(2, retry_after, Duration::from_secs(remaining), jitter).as_secs()
            };
            assert_eq!(
                (block(0.0), block(1.0)),
                (least, most),
                "{retry_after:?} {remaining}"
            );
        }
    }

    #[test]
    fn merge_keeps_the_429s_in_a_row_when_a_record_has_no_block() {
        let mut process = Process::default();
        process.rate_limited(START, None, LONG, 0.0);
        process.record(START);
        // A process that does not know of the block wrote its record after the end of the block.
        process.merge(RateLimitRecord::default(), at(61_000));
        assert_eq!(process.consecutive_429s(), 1);
        process.rate_limited(at(62_000), None, LONG, 0.0);
        assert_eq!(process.next_allowed_at(), at(182_000).mono);
    }

    #[test]
    fn merge_applies_requests_and_blocks_of_another_process() {
        let mut other = Process::default();
        other.record_request(at(0));
        let mut rate_limiter = Process::default();
        rate_limiter.merge(other.record(at(0)), at(300));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
        other.rate_limited(at(400), None, LONG, 0.0);
        rate_limiter.merge(other.record(at(400)), at(500));
        assert_eq!(rate_limiter.next_allowed_at(), at(60_400).mono);
        rate_limiter.rate_limited(at(60_400), None, LONG, 0.0);
        assert_eq!(rate_limiter.next_allowed_at(), at(180_400).mono);
        rate_limiter.response_received(at(180_400), at(180_500));
        other.merge(rate_limiter.record(at(180_500)), at(180_600));
        other.rate_limited(at(180_600), None, LONG, 0.0);
        assert_eq!(other.next_allowed_at(), at(240_600).mono);
    }

    #[test]
    fn merge_times_applies_spacing_and_block_of_another_process() {
        let mut other = Process::default();
        other.record_request(at(0));
        let mut rate_limiter = Process::default();
        rate_limiter.merge_times(RateLimitTimes::from(other.record(at(0))), at(300));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
        other.rate_limited(at(400), None, LONG, 0.0);
        rate_limiter.merge_times(RateLimitTimes::from(other.record(at(400))), at(500));
        assert!(rate_limiter.blocked(at(500)));
        assert_eq!(rate_limiter.next_allowed_at(), at(60_400).mono);
        assert_eq!(rate_limiter.consecutive_429s(), 1);
        // Learning the same again, or an older record, changes nothing.
        rate_limiter.merge_times(RateLimitTimes::from(other.record(at(400))), at(60_300));
        rate_limiter.merge(RateLimitRecord::default(), at(60_300));
        assert_eq!(rate_limiter.next_allowed_at(), at(60_400).mono);
    }

    #[test]
    fn merge_times_does_not_extend_a_known_block_when_the_clock_is_set_back() {
        let mut other = Process::default();
        other.rate_limited(START, None, LONG, 0.0);
        let record = other.record(START);
        let mut rate_limiter = Process::default();
        rate_limiter.merge(record, START);
        let repeated = RateLimitTimes {
            last_request_at: at(500).wall_millis(),
            blocked_until: record.blocked_until,
        };
        rate_limiter.merge_times(repeated, skewed(at(1_000), -30_000));
        assert_eq!(rate_limiter.next_allowed_at(), at(60_000).mono);
    }

    #[test]
    fn merge_times_keeps_the_start_of_a_block_with_the_same_end() {
        let mut process = Process::default();
        process.rate_limited(START, None, LONG, 0.0);
        let same_end = RateLimitTimes {
            last_request_at: at(5_000).wall_millis(),
            blocked_until: at(60_000).wall_millis(),
        };
        process.merge_times(same_end, at(10_000));
        assert_eq!(process.next_allowed_at(), at(60_000).mono);
        let record = process.record(at(10_000));
        assert_eq!(record.blocked_at, START.wall_millis());
    }

    #[test]
    fn merge_times_counts_a_timestamp_from_the_future_once() {
        let mut other = Process::default();
        other.record_request(at(3_600_000));
        let mut rate_limiter = Process::default();
        rate_limiter.merge_times(RateLimitTimes::from(other.record(at(3_600_000))), at(0));
        rate_limiter.merge(RateLimitRecord::default(), at(500));
        rate_limiter.merge_times(RateLimitTimes::from(other.record(at(3_600_000))), at(900));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
        let later = RateLimitTimes {
            last_request_at: at(0).wall_millis(),
            blocked_until: at(24 * 3_600_000).wall_millis(),
        };
        rate_limiter.merge_times(later, at(2_000));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
    }

    #[test]
    fn merge_counts_a_429_after_the_clock_was_set_back() {
        let mut rate_limiter = Process::default();
        rate_limiter.rate_limited(START, None, LONG, 0.0);
        let mut other = Process::default();
        other.merge(rate_limiter.record(START), START);
        // By more than has elapsed: the second 429 seems to be older than the first.
        let set_back = |millis| ClockTime {
            wall: at(millis).wall - Duration::from_secs(3_600),
            ..at(millis)
        };
        rate_limiter.rate_limited(set_back(60_000), None, LONG, 0.0);
        other.merge(rate_limiter.record(set_back(60_000)), set_back(60_000));
        assert_eq!(
            (rate_limiter.consecutive_429s(), other.consecutive_429s()),
            (2, 2)
        );
        assert_eq!(other.next_allowed_at(), at(180_000).mono);
    }

    #[test]
    fn merge_counts_a_timestamp_from_the_future_as_now() {
        let mut other = Process::default();
        other.record_request(at(3_600_000));
        let mut rate_limiter = Process::default();
        rate_limiter.merge(other.record(at(3_600_000)), at(0));
        rate_limiter.merge(other.record(at(3_600_000)), at(900));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
        // Nor does a block that begins later than the maximum length of blocks.
        other.rate_limited(at(24 * 3_600_000), None, LONG, 0.0);
        rate_limiter.merge(other.record(at(24 * 3_600_000)), at(900));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
    }

    #[test]
    fn merge_ignores_known_records_after_a_step_of_the_clock() {
        let mut rate_limiter = Process::default();
        rate_limiter.rate_limited(START, None, LONG, 0.0);
        let mut other = Process::default();
        other.merge(rate_limiter.record(START), START);
        for wall in [Duration::ZERO, START.wall + Duration::from_secs(9_000)] {
            let now = ClockTime { wall, ..at(1_000) };
            let record = rate_limiter.record(START);
            rate_limiter.merge(record, now);
            other.merge(record, now);
            assert_eq!(
                (rate_limiter.next_allowed_at(), other.next_allowed_at()),
                (at(60_000).mono, at(60_000).mono)
            );
        }
    }

    /// The same time on a machine whose wall clock differs.
    fn skewed(now: ClockTime, millis: i64) -> ClockTime {
        let wall = now.wall_millis().saturating_add_signed(millis);
        ClockTime {
            wall: Duration::from_millis(wall),
            ..now
        }
    }

    #[test]
    fn merge_restarts_no_block_that_is_read_from_another_store_too() {
        let mut writer = Process::default();
        writer.rate_limited(START, None, LONG, 0.0);
        let mut reader = Process::default();
        // The clock of the second store is five minutes behind.
        let mut other_store = MergedState::default();
        let behind = |now| skewed(now, -300_000);
        let second = writer.rate_limiter.record(&mut other_store, behind(START));
        reader.merge(writer.record(START), at(1_000));
        let mut merged = MergedState::default();
        let now = behind(at(2_000));
        reader.rate_limiter.merge(second, &mut merged, now);
        assert_eq!(reader.next_allowed_at(), at(60_000).mono);
        assert_eq!(reader.consecutive_429s(), 1);
        // A response resets the count in both.
        writer.response_received(at(60_000), at(60_100));
        let reset = writer
            .rate_limiter
            .record(&mut other_store, behind(at(60_100)));
        reader
            .rate_limiter
            .merge(reset, &mut merged, behind(at(60_200)));
        assert_eq!(reader.consecutive_429s(), 0);
    }

    #[test]
    fn merge_unverified_does_not_delay_verified_requests() {
        let mut process = Process::default();
        let mut merged = MergedState::default();
        let forged = at(24 * 3_600_000).wall_millis();
        for millis in [0, 500] {
            process
                .rate_limiter
                .merge_unverified(forged, &mut merged, at(millis));
        }
        // From the future: counts once, as now.
        assert_eq!(process.unverified_until(), at(1_100).mono);
        assert!(process.next_allowed_at() <= START.mono);
    }

    #[test]
    fn delayed_by_unverified_measures_from_the_first_delay_without_a_permit() {
        let mut rate_limiter = RateLimiter::default();
        let mut delayed = |seconds: u64| {
            let delayed = rate_limiter.delayed_by_unverified(at(seconds * 1_000));
            if seconds == 370 {
                rate_limiter.record_request(at(seconds * 1_000));
            }
            delayed.as_secs()
        };
        let table = [
            (0, 0),
            (2, 2),
            (182, 182),
            (363, 0),
            (370, 7),
            (371, 0),
            (372, 1),
        ];
        for (seconds, expected) in table {
            assert_eq!(delayed(seconds), expected, "{seconds}");
        }
    }
}
