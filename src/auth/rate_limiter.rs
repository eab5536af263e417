//! The pacing rate_limiter of one token host, as a state machine.
//!
//! The token endpoint allows about one request per second for everything behind one address, counts
//! refused requests too, and bans the address when it is exceeded. So every request of this process
//! passes here first, whatever credentials it is for. The rate_limiter is told the time and what happened;
//! it has no clock, no lock and no socket.
//!
//! Callers queue in the order in which they come. There are no reservations: a turn is taken at the
//! moment of sending, so neither a caller who gives up nor one who oversleeps costs the others more
//! than its absence, and two turns are never closer than [`MIN_REQUEST_INTERVAL`].

use std::collections::BTreeSet;
use std::time::Duration;

use super::record::{PaceTimes, RateLimitRecord};
use super::time::Timestamp;

/// The least time between two token requests.
pub(crate) const MIN_REQUEST_INTERVAL: Duration = Duration::from_millis(1_100);

/// How long a 429 blocks the rate_limiter, if the service does not ask for longer; doubles with every
/// further 429 up to [`MAX_OWN_BLOCK`].
const INITIAL_429_BLOCK: Duration = Duration::from_secs(60);
const MAX_OWN_BLOCK: Duration = Duration::from_secs(600);

/// The longest `Retry-After` that is believed.
const MAX_SERVER_BLOCK: Duration = Duration::from_secs(3600);

/// Jitter adds up to this share of a block, so that machines behind one address come back apart.
const JITTER_SHARE: u32 = 10;

/// No block is longer; a stored one that claims to be is not believed.
pub(crate) const MAX_BLOCK: Duration =
    MAX_SERVER_BLOCK.saturating_add(MAX_SERVER_BLOCK.checked_div(JITTER_SHARE).unwrap());

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueueTicket(u64);

/// The state of one rate_limiter. All times are of the monotonic clock: neither a jump of the wall clock nor
/// a suspended machine lets a request through too early.
#[derive(Debug, Default)]
pub(crate) struct RateLimiter {
    /// When the last request was sent, or is known to have been answered.
    last: Option<Duration>,
    blocked_until: Duration,
    /// 429s in a row.
    consecutive_429s: u32,
    queue: BTreeSet<QueueTicket>,
    tickets: u64,
    /// The same as it is shared with other processes.
    shared: RateLimitRecord,
    /// What was learned last, as it was written.
    last_merged: RateLimitRecord,
    /// The timestamps that were learned last.
    heard_times: PaceTimes,
}

impl RateLimiter {
    /// Joins the queue. Whoever does has to [`leave`](RateLimiter::leave) it, sent or not.
    pub(crate) fn enqueue(&mut self) -> QueueTicket {
        self.tickets += 1;
        let ticket = QueueTicket(self.tickets);
        self.queue.insert(ticket);
        ticket
    }

    pub(crate) fn dequeue(&mut self, ticket: QueueTicket) {
        self.queue.remove(&ticket);
    }

    /// The earliest time at which a request may be sent if nobody else sends one.
    pub(crate) fn next_allowed_at(&self) -> Duration {
        let spaced = self.last.map_or(Duration::ZERO, |last| {
            last.saturating_add(MIN_REQUEST_INTERVAL)
        });
        spaced.max(self.blocked_until)
    }

    /// The earliest turn of a queued ticket, or (`None`) of someone who joined now.
    pub(crate) fn permit_at(&self, ticket: Option<QueueTicket>, now: Timestamp) -> Duration {
        let ahead = match ticket {
            Some(ticket) => self.queue.range(..ticket).count(),
            None => self.queue.len(),
        };
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        self.next_allowed_at()
            .max(now.mono)
            .saturating_add(MIN_REQUEST_INTERVAL.saturating_mul(ahead))
    }

    /// Takes the turn: to be called before the request is sent, since one that fails counts too.
    pub(crate) fn record_request(&mut self, now: Timestamp) {
        self.last = Some(now.mono);
        self.shared.last = now.wall_millis();
    }

    /// An answer came, of whatever kind except 429.
    ///
    /// The request reached the endpoint at some time between stamp and answer. Counting from the
    /// answer keeps the distance even if the first request had to set up its connection and the
    /// next one has not. An answer that took longer than the spacing says nothing of use.
    pub(crate) fn answered(&mut self, stamped: Timestamp, now: Timestamp) {
        self.consecutive_429s = 0;
        if now.mono.saturating_sub(stamped.mono) < MIN_REQUEST_INTERVAL
            && self.last < Some(now.mono)
        {
            self.record_request(now);
        }
    }

    /// A 429 came. `jitter` is a random number from 0 to 1.
    pub(crate) fn rate_limited(
        &mut self,
        now: Timestamp,
        retry_after: Option<Duration>,
        jitter: f64,
    ) {
        let own = INITIAL_429_BLOCK
            .saturating_mul(1 << self.consecutive_429s.min(10))
            .min(MAX_OWN_BLOCK);
        let asked = retry_after.unwrap_or_default().min(MAX_SERVER_BLOCK);
        let block = own.max(asked);
        let block = block + (block / JITTER_SHARE).mul_f64(jitter.clamp(0.0, 1.0));
        self.consecutive_429s = self.consecutive_429s.saturating_add(1);
        let until = now.after(block);
        if until.mono > self.blocked_until {
            self.blocked_until = until.mono;
            self.shared.blocked_at = now.wall_millis();
            self.shared.blocked_until = until.wall_millis();
        }
    }

    /// What this process knows, for others to [`learn`](RateLimiter::learn).
    pub(crate) fn record(&self) -> RateLimitRecord {
        RateLimitRecord {
            consecutive_429s: self.consecutive_429s,
            ..self.shared
        }
    }

    /// Takes over what another process shared.
    ///
    /// A stamp is compared with the wall clock once, when it is first seen, and is kept by the
    /// monotonic clock from then on: so one from the future, left by a clock that was wrong, holds
    /// nobody up for longer than if it were from now.
    pub(crate) fn merge(&mut self, record: RateLimitRecord, now: Timestamp) {
        if record.last != self.last_merged.last && record.last != self.shared.last {
            let age = Duration::from_millis(now.wall_millis().saturating_sub(record.last));
            let last = now.mono.saturating_sub(age);
            if self.last < Some(last) {
                self.last = Some(last);
                self.shared.last = record.last;
            }
        }
        let block = |record: &RateLimitRecord| (record.blocked_at, record.blocked_until);
        if block(&record) != block(&self.last_merged) && block(&record) != block(&self.shared) {
            let until = now.mono.saturating_add(record.block_left(now));
            // One that is over is passed on too, lest it be news to somebody after a jump of the
            // clock.
            let later = until > self.blocked_until || !self.blocked(now);
            if later && record.blocked_at > 0 {
                self.blocked_until = self.blocked_until.max(until);
                (self.shared.blocked_at, self.shared.blocked_until) = block(&record);
            }
        }
        // Last: a block that was just taken over counts, even if a clock set back makes it look
        // older than one from before.
        if record.blocked_at >= self.shared.blocked_at {
            self.consecutive_429s = record.consecutive_429s;
        }
        self.last_merged = record;
    }

    /// Applies the timestamps of a process that could not write its record.
    pub(crate) fn learn_times(&mut self, times: PaceTimes, now: Timestamp) {
        if times == self.heard_times {
            return;
        }
        self.heard_times = times;
        let age = Duration::from_millis(now.wall_millis().saturating_sub(times.last));
        let last = now.mono.saturating_sub(age);
        if times.last != self.shared.last && self.last < Some(last) {
            self.last = Some(last);
            self.shared.last = times.last;
        }
        let left = times.block_left(now);
        let until = now.mono.saturating_add(left);
        if !left.is_zero() && times.blocked_until > self.shared.blocked_until {
            self.blocked_until = self.blocked_until.max(until);
            self.shared.blocked_at = times.last;
            self.shared.blocked_until = times.blocked_until;
            self.consecutive_429s = self.consecutive_429s.max(1);
        }
    }

    /// How many callers wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// 429s in a row.
    pub(crate) fn consecutive_429s(&self) -> u32 {
        self.consecutive_429s
    }

    /// Whether a 429 keeps it shut now.
    pub(crate) fn blocked(&self, now: Timestamp) -> bool {
        self.blocked_until > now.mono
    }

    /// What a forked child goes on with: the same pace and block, without its parent's queue.
    pub(crate) fn inherited(&self) -> RateLimiter {
        RateLimiter {
            last: self.last,
            blocked_until: self.blocked_until,
            consecutive_429s: self.consecutive_429s,
            shared: self.shared,
            last_merged: self.last_merged,
            heard_times: self.heard_times,
            ..RateLimiter::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp {
        mono: Duration::from_secs(1_000),
        wall: Duration::from_secs(1_780_000_000),
    };

    fn at(millis: u64) -> Timestamp {
        START.after(Duration::from_millis(millis))
    }

    #[test]
    fn the_first_request_goes_at_once_and_the_next_has_to_wait() {
        let mut rate_limiter = RateLimiter::default();
        let first = rate_limiter.enqueue();
        assert_eq!(rate_limiter.permit_at(Some(first), START), START.mono);
        rate_limiter.record_request(START);
        rate_limiter.dequeue(first);
        assert_eq!(rate_limiter.permit_at(None, at(10)), at(1_100).mono);
        assert_eq!(rate_limiter.permit_at(None, at(2_000)), at(2_000).mono);
    }

    #[test]
    fn a_queue_moves_up_when_someone_gives_up() {
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.record_request(START);
        let (first, second, third) = (
            rate_limiter.enqueue(),
            rate_limiter.enqueue(),
            rate_limiter.enqueue(),
        );
        assert_eq!(rate_limiter.permit_at(Some(third), START), at(3_300).mono);
        rate_limiter.dequeue(second);
        assert_eq!(rate_limiter.permit_at(Some(third), START), at(2_200).mono);
        rate_limiter.dequeue(first);
        assert_eq!(rate_limiter.permit_at(Some(third), START), at(1_100).mono);
    }

    #[test]
    fn an_oversleeper_moves_the_others_back() {
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.record_request(START);
        rate_limiter.record_request(at(1_700));
        assert_eq!(rate_limiter.next_allowed_at(), at(2_800).mono);
    }

    #[test]
    fn the_distance_counts_from_a_prompt_answer() {
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.record_request(START);
        rate_limiter.answered(START, at(400));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_500).mono);
        rate_limiter.record_request(at(1_500));
        rate_limiter.answered(at(1_500), at(32_000));
        assert_eq!(rate_limiter.next_allowed_at(), at(2_600).mono);
    }

    #[test]
    fn a_429_blocks_longer_each_time_and_at_least_as_long_as_asked() {
        let mut rate_limiter = RateLimiter::default();
        let mut now = START;
        for seconds in [60, 120, 240, 480, 600, 600] {
            rate_limiter.rate_limited(now, Some(Duration::from_secs(5)), 0.0);
            assert!(rate_limiter.blocked(now));
            assert_eq!(
                rate_limiter.next_allowed_at() - now.mono,
                Duration::from_secs(seconds)
            );
            now = now.after(Duration::from_secs(seconds));
            assert!(!rate_limiter.blocked(now));
        }
        rate_limiter.answered(now, now);
        rate_limiter.rate_limited(now, Some(Duration::from_secs(90)), 1.0);
        assert_eq!(
            rate_limiter.next_allowed_at() - now.mono,
            Duration::from_secs(99)
        );
        rate_limiter.rate_limited(now, Some(Duration::MAX), 1.0);
        assert_eq!(rate_limiter.next_allowed_at() - now.mono, MAX_BLOCK);
    }

    #[test]
    fn another_process_is_minded_as_if_it_were_a_thread() {
        let mut other = RateLimiter::default();
        other.record_request(at(0));
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.merge(other.record(), at(300));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
        other.rate_limited(at(400), None, 0.0);
        rate_limiter.merge(other.record(), at(500));
        assert_eq!(rate_limiter.next_allowed_at(), at(60_400).mono);
        rate_limiter.rate_limited(at(60_400), None, 0.0);
        assert_eq!(rate_limiter.next_allowed_at(), at(180_400).mono);
        rate_limiter.answered(at(180_400), at(180_500));
        other.merge(rate_limiter.record(), at(180_600));
        other.rate_limited(at(180_600), None, 0.0);
        assert_eq!(other.next_allowed_at(), at(240_600).mono);
    }

    #[test]
    fn learn_times_applies_spacing_and_block_of_another_process() {
        let mut other = RateLimiter::default();
        other.record_request(at(0));
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.learn_times(PaceTimes::from(other.record()), at(300));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
        other.rate_limited(at(400), None, 0.0);
        rate_limiter.learn_times(PaceTimes::from(other.record()), at(500));
        assert!(rate_limiter.blocked(at(500)));
        assert_eq!(rate_limiter.next_allowed_at(), at(60_400).mono);
        assert_eq!(rate_limiter.consecutive_429s(), 1);
        // Learning the same again, or an older record, changes nothing.
        rate_limiter.learn_times(PaceTimes::from(other.record()), at(60_300));
        rate_limiter.merge(RateLimitRecord::default(), at(60_300));
        assert_eq!(rate_limiter.next_allowed_at(), at(60_400).mono);
    }

    #[test]
    fn learn_times_counts_a_stamp_from_the_future_once() {
        let mut other = RateLimiter::default();
        other.record_request(at(3_600_000));
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.learn_times(PaceTimes::from(other.record()), at(0));
        rate_limiter.merge(RateLimitRecord::default(), at(500));
        rate_limiter.learn_times(PaceTimes::from(other.record()), at(900));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
        let later = PaceTimes {
            last: at(0).wall_millis(),
            blocked_until: at(24 * 3_600_000).wall_millis(),
        };
        rate_limiter.learn_times(later, at(2_000));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
    }

    #[test]
    fn a_429_after_the_clock_was_set_back_counts_on() {
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.rate_limited(START, None, 0.0);
        let mut other = RateLimiter::default();
        other.merge(rate_limiter.record(), START);
        // By more than has passed: the second 429 seems to be older than the first.
        let set_back = |millis| Timestamp {
            wall: at(millis).wall - Duration::from_secs(3_600),
            ..at(millis)
        };
        rate_limiter.rate_limited(set_back(60_000), None, 0.0);
        other.merge(rate_limiter.record(), set_back(60_000));
        assert_eq!(
            (rate_limiter.consecutive_429s(), other.consecutive_429s()),
            (2, 2)
        );
        assert_eq!(other.next_allowed_at(), at(180_000).mono);
    }

    #[test]
    fn a_stamp_from_the_future_holds_nobody_up_for_long() {
        let mut other = RateLimiter::default();
        other.record_request(at(3_600_000));
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.merge(other.record(), at(0));
        rate_limiter.merge(other.record(), at(900));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
        // Nor does a block from further ahead than blocks are long.
        other.rate_limited(at(24 * 3_600_000), None, 0.0);
        rate_limiter.merge(other.record(), at(900));
        assert_eq!(rate_limiter.next_allowed_at(), at(1_100).mono);
    }

    #[test]
    fn a_wall_clock_that_jumps_changes_nothing_that_is_already_known() {
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.rate_limited(START, None, 0.0);
        let mut other = RateLimiter::default();
        other.merge(rate_limiter.record(), START);
        for wall in [Duration::ZERO, START.wall + Duration::from_secs(9_000)] {
            let now = Timestamp { wall, ..at(1_000) };
            let record = rate_limiter.record();
            rate_limiter.merge(record, now);
            other.merge(record, now);
            assert_eq!(
                (rate_limiter.next_allowed_at(), other.next_allowed_at()),
                (at(60_000).mono, at(60_000).mono)
            );
        }
    }
}
