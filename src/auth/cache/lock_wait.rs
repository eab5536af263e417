//! Wait for the fetch lock of another process: how often to try again, when to continue in place of
//! its owner, and when to continue without a lock.
//!
//! Performs no I/O and reads no clock; times and the state of the rate limiter are parameters.

use std::time::Duration;

use super::permits::MAX_UNVERIFIED_DELAY_WITH_JITTER;
use super::shared_rate_limiter::MAX_POLL_TIME;

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

/// Wait for the fetch lock of another process. Times are monotonic.
pub(super) struct LockWait {
    /// When the wait for its owner ends.
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

/// What delays the request of the owner of the lock, too.
#[derive(Clone, Copy)]
pub(super) struct OwnerDelay {
    /// The rest of the block after a 429.
    pub(super) block: Duration,
    /// Whether a record that this process cannot verify delays requests.
    pub(super) by_unverified: bool,
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

impl LockWait {
    /// Starts a wait that ends at `give_up_at`, see [`give_up_time`].
    pub(super) fn new(now: Duration, give_up_at: Duration) -> Self {
        LockWait {
            give_up_at,
            polled_at: now,
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

    /// Returns what to do after an attempt to take the lock that ended at `now`. `remaining`: time until
    /// the deadline of the call.
    pub(super) fn next_step(
        &mut self,
        now: Duration,
        remaining: Duration,
        owner: OwnerDelay,
    ) -> LockStep {
        self.has_waited = true;
        let elapsed = now.saturating_sub(self.polled_at);
        self.polled_at = now;
        if !owner.block.is_zero() {
            self.give_up_at = give_up_time(now, remaining, owner.block);
            self.is_overdue = false;
        } else if owner.by_unverified && self.extended < MAX_UNVERIFIED_DELAY_WITH_JITTER {
            let latest = now.saturating_add(remaining.saturating_sub(MIN_TIME_LEFT));
            self.extended += elapsed;
            self.give_up_at = self.give_up_at.max(latest.min(self.give_up_at + elapsed));
        } else {
            self.give_up_at += elapsed.saturating_sub(MAX_FETCH_POLL_TIME);
        }
        if now < self.give_up_at {
            let delay = self.poll;
            self.poll = (self.poll * 3 / 2).min(MAX_POLL);
            return LockStep::Poll(delay);
        }
        if self.is_overdue {
            return LockStep::GiveUp;
        }
        self.is_overdue = true;
        self.give_up_at = give_up_time(now, remaining, Duration::ZERO);
        self.poll = INITIAL_POLL;
        LockStep::TrySecondLock
    }
}

/// Returns when a process that waits from now on gives up. The owner of the lock waits for the end of a
/// block too.
pub(super) fn give_up_time(now: Duration, remaining: Duration, block: Duration) -> Duration {
    let usable = remaining.saturating_sub(block) / 3 * 2;
    let wait = block.saturating_add(FETCH_LOCK_TIMEOUT.min(usable));
    now.saturating_add(wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_DELAY: OwnerDelay = OwnerDelay {
        block: Duration::ZERO,
        by_unverified: false,
    };
    const UNVERIFIED: OwnerDelay = OwnerDelay {
        by_unverified: true,
        ..NO_DELAY
    };
    const START: Duration = Duration::from_secs(1_000);
    const LONG: Duration = Duration::from_secs(3_600);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A wait that began at [`START`] and ends after 40 s.
    fn wait() -> LockWait {
        LockWait::new(START, START + seconds(40))
    }

    #[test]
    fn give_up_time_is_two_thirds_of_the_call_after_a_block_and_at_most_40_s() {
        for (remaining, block, wait) in [
            (LONG, 0, 40),
            (seconds(60), 0, 40),
            (seconds(30), 0, 20),
            (Duration::MAX, 0, 40),
            (LONG, 10, 50),
            (seconds(40), 10, 30),
            (seconds(5), 10, 10),
            (Duration::ZERO, 0, 0),
        ] {
            assert_eq!(
                give_up_time(START, remaining, seconds(block)),
                START + seconds(wait),
                "{remaining:?} {block}"
            );
        }
    }

    #[test]
    fn polls_grow_to_25_ms_until_the_owner_is_overdue_and_then_its_successor() {
        let mut wait = wait();
        let mut delays = Vec::new();
        let mut now = START;
        for _ in 0..6 {
            let LockStep::Poll(delay) = wait.next_step(now, LONG, NO_DELAY) else {
                panic!("gave up after {:?}", now - START);
            };
            delays.push(delay.as_micros());
            now += delay;
        }
        assert_eq!(delays, [5_000, 7_500, 11_250, 16_875, 25_000, 25_000]);
        assert!(!wait.is_overdue());

        // Not one step, which would be a process that was stopped.
        let mut last = now;
        while last < START + seconds(40) {
            now = last;
            assert!(matches!(
                wait.next_step(now, LONG, NO_DELAY),
                LockStep::Poll(_)
            ));
            last += seconds(1);
        }
        let step = wait.next_step(START + seconds(40), LONG, NO_DELAY);
        assert!(matches!(step, LockStep::TrySecondLock));
        assert!(wait.is_overdue());
        let mut now = START + seconds(40);
        while now < START + seconds(80) {
            let step = wait.next_step(now, LONG, NO_DELAY);
            match step {
                LockStep::Poll(delay) if now == START + seconds(40) => {
                    assert_eq!(delay, INITIAL_POLL);
                }
                LockStep::Poll(_) => {}
                _ => panic!("gave up after {:?}", now - START),
            }
            now += seconds(1);
        }
        assert!(matches!(
            wait.next_step(now, LONG, NO_DELAY),
            LockStep::GiveUp
        ));
    }

    #[test]
    fn time_of_a_slow_store_counts_and_that_of_a_stopped_process_does_not() {
        let mut slow = wait();
        for polls in 1..20 {
            slow.next_step(START + seconds(2 * polls), LONG, NO_DELAY);
            assert!(!slow.is_overdue());
        }
        slow.next_step(START + seconds(40), LONG, NO_DELAY);
        assert!(slow.is_overdue());

        let mut stopped = wait();
        stopped.next_step(START + seconds(100), LONG, NO_DELAY);
        assert!(!stopped.is_overdue());
        // 2 of the 100 s counted.
        for at in (102..138).step_by(2) {
            stopped.next_step(START + seconds(at), LONG, NO_DELAY);
            assert!(!stopped.is_overdue(), "{at}");
        }
        stopped.next_step(START + seconds(138), LONG, NO_DELAY);
        assert!(stopped.is_overdue());
    }

    #[test]
    fn block_of_the_owner_extends_the_wait() {
        let mut wait = wait();
        let blocked = OwnerDelay {
            block: seconds(10),
            ..NO_DELAY
        };
        wait.next_step(START + seconds(1), LONG, blocked);
        assert_eq!(wait.give_up_at, START + seconds(51));
        // The block has priority over records that cannot be verified.
        let both = OwnerDelay {
            by_unverified: true,
            ..blocked
        };
        wait.next_step(START + seconds(2), LONG, both);
        assert_eq!(wait.give_up_at, START + seconds(52));
        assert_eq!(wait.extended, Duration::ZERO);

        // The owner may have got the lock while this process was overdue, and then the 429.
        for at in (4..=52).step_by(2) {
            wait.next_step(START + seconds(at), LONG, NO_DELAY);
        }
        assert!(wait.is_overdue());
        let step = wait.next_step(START + seconds(54), LONG, blocked);
        assert!(matches!(step, LockStep::Poll(_)) && !wait.is_overdue());
        assert_eq!(wait.give_up_at, START + seconds(104));
    }

    #[test]
    fn unverified_records_extend_the_wait_for_a_limited_time() {
        let mut wait = wait();
        wait.next_step(START + seconds(1), LONG, UNVERIFIED);
        assert_eq!(wait.give_up_at, START + seconds(41));
        // The call needs 20 s to continue in place of the owner; the wait is not shortened.
        wait.next_step(START + seconds(2), seconds(59), UNVERIFIED);
        assert_eq!(wait.give_up_at, START + seconds(41));
        wait.next_step(START + seconds(3), Duration::ZERO, UNVERIFIED);
        assert_eq!(wait.give_up_at, START + seconds(41));
        // A call without a deadline.
        wait.next_step(START + seconds(4), Duration::MAX, UNVERIFIED);
        assert_eq!(wait.give_up_at, START + seconds(42));
        wait.extended = MAX_UNVERIFIED_DELAY_WITH_JITTER;
        wait.next_step(START + seconds(5), LONG, UNVERIFIED);
        assert_eq!(wait.give_up_at, START + seconds(42));
        wait.extended -= Duration::from_nanos(1);
        wait.next_step(START + seconds(6), LONG, UNVERIFIED);
        assert_eq!(wait.give_up_at, START + seconds(43));
        assert!(wait.extended > MAX_UNVERIFIED_DELAY_WITH_JITTER);
    }
}
