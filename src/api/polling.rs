//! Polling schedule of a waiter: decides when to poll again and when to give up.
//!
//! Performs no I/O and reads no clock; time and events are parameters, so unit tests run without
//! waiting. Must not depend on the polled resources.

use std::time::Duration;

use crate::error::ErrorKind;

/// Delay before the second poll; each following one is 1.5 times as long, up to the interval.
const INITIAL_DELAY: Duration = Duration::from_millis(500);
/// Bounds of the time before the deadline that is reserved for the last poll.
const MIN_FINAL_POLL_TIME: Duration = Duration::from_millis(100);
const MAX_FINAL_POLL_TIME: Duration = Duration::from_secs(5);
/// Number of consecutive responses that cannot be decoded before a waiter fails. A single one can
/// be an HTML page of a gateway; several indicate another response format.
const MAX_DECODE_ERRORS: u32 = 5;

/// Result of a poll that did not end the wait by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// The resource is not in the wanted state.
    Pending,
    /// The resource is in the wanted state, which the next poll must confirm.
    Confirming,
    /// The poll failed.
    Failed {
        kind: ErrorKind,
        /// Whether the next poll would fail in the same way.
        permanent: bool,
        retry_after: Option<Duration>,
    },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// Poll again after this delay.
    PollAfter(Duration),
    /// The time for the last poll is over: fail at the deadline, which is this far away.
    TimeOutAfter(Duration),
    /// Fail now, with the error of the poll.
    Fail,
    /// Fail now, with the error of the poll: its `Retry-After` is later than the deadline.
    FailBeforeRetryAfter,
}

/// Schedule of one wait.
#[derive(Debug)]
pub(super) struct Polling {
    interval: Duration,
    delay: Duration,
    /// Whether a poll was made although it had less time than is reserved for the last one.
    hurried: bool,
    /// Number of polls in the time that is reserved for the last one.
    final_polls: u32,
    decode_errors: u32,
}

impl Polling {
    /// Creates a schedule whose delays do not exceed `interval`, except for a `Retry-After`.
    pub(super) fn new(interval: Duration) -> Self {
        Polling {
            interval,
            delay: INITIAL_DELAY.min(interval),
            hurried: false,
            final_polls: 0,
            decode_errors: 0,
        }
    }

    /// Returns what to do after a poll that took `took`, `remaining` before the deadline.
    pub(super) fn next(&mut self, event: &Event, took: Duration, remaining: Duration) -> Action {
        let mut retry_after = Duration::ZERO;
        match event {
            Event::Pending | Event::Confirming => self.decode_errors = 0,
            Event::Failed {
                kind, permanent, ..
            } if *permanent || !is_transient(*kind) => return Action::Fail,
            Event::Failed {
                kind,
                retry_after: wanted,
                ..
            } => {
                if *kind == ErrorKind::Decode {
                    self.decode_errors += 1;
                } else {
                    self.decode_errors = 0;
                }
                if self.decode_errors >= MAX_DECODE_ERRORS {
                    return Action::Fail;
                }
                retry_after = wanted.unwrap_or_default();
                if retry_after > remaining {
                    return Action::FailBeforeRetryAfter;
                }
            }
        }
        let delay = self.delay.max(retry_after);
        self.delay = self.delay.mul_f64(1.5).min(self.interval);
        let reserved = (2 * took).clamp(MIN_FINAL_POLL_TIME, MAX_FINAL_POLL_TIME);
        let latest = remaining.saturating_sub(reserved);
        if delay <= latest {
            return Action::PollAfter(delay);
        }
        // A poll that waited for a token or was retried takes longer than the next one.
        if latest.is_zero() && remaining > MIN_FINAL_POLL_TIME && !self.hurried {
            self.hurried = true;
            return Action::PollAfter(delay.min(remaining / 2).max(retry_after));
        }
        self.final_polls += 1;
        match event {
            // One poll remains to confirm what the last one showed for the first time.
            Event::Confirming if self.final_polls == 2 => Action::PollAfter(remaining / 2),
            _ if self.final_polls == 1 && !latest.is_zero() => {
                Action::PollAfter(latest.max(retry_after))
            }
            _ => Action::TimeOutAfter(remaining),
        }
    }
}

/// Returns whether errors of this kind are transient, so that the next poll may succeed.
fn is_transient(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Network
            | ErrorKind::Timeout
            | ErrorKind::Service
            | ErrorKind::RateLimited
            | ErrorKind::NotReady
            | ErrorKind::Decode
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(10);
    const FAST: Duration = Duration::from_millis(20);

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn failed(kind: ErrorKind) -> Event {
        Event::Failed {
            kind,
            permanent: false,
            retry_after: None,
        }
    }

    fn retry_after(seconds: u64) -> Event {
        Event::Failed {
            kind: ErrorKind::RateLimited,
            permanent: false,
            retry_after: Some(Duration::from_secs(seconds)),
        }
    }

    fn first(event: &Event, remaining: Duration) -> Action {
        Polling::new(INTERVAL).next(event, FAST, remaining)
    }

    #[test]
    fn delays_grow_up_to_the_interval() {
        let mut polling = Polling::new(Duration::from_secs(2));
        let delays = [(); 5].map(|()| polling.next(&Event::Pending, FAST, 100 * INTERVAL));
        let expected = [500, 750, 1125, 1687, 2000];
        for (delay, expected) in delays.into_iter().zip(expected) {
            let Action::PollAfter(delay) = delay else {
                panic!("{delay:?}")
            };
            assert_eq!(delay.as_millis(), expected);
        }
    }

    #[test]
    fn first_delay_is_at_most_the_interval() {
        let mut polling = Polling::new(millis(200));
        for _ in 0..2 {
            let action = polling.next(&Event::Pending, FAST, INTERVAL);
            assert_eq!(action, Action::PollAfter(millis(200)));
        }
    }

    #[test]
    fn other_errors_end_a_series_of_decode_errors() {
        let mut polling = Polling::new(millis(10));
        let mut fails = |kind| polling.next(&failed(kind), FAST, INTERVAL) == Action::Fail;
        for _ in 1..MAX_DECODE_ERRORS {
            assert!(!fails(ErrorKind::Decode));
        }
        assert!(!fails(ErrorKind::Network));
        for _ in 1..MAX_DECODE_ERRORS {
            assert!(!fails(ErrorKind::Decode));
        }
        assert!(fails(ErrorKind::Decode));
    }

    #[test]
    fn poll_that_leaves_exactly_the_time_of_the_last_one_is_not_the_last_one() {
        let mut polling = Polling::new(INTERVAL);
        assert_eq!(
            polling.next(&Event::Pending, FAST, millis(600)),
            Action::PollAfter(millis(500))
        );
        assert_eq!(
            polling.next(&Event::Pending, FAST, millis(150)),
            Action::PollAfter(millis(50))
        );
    }

    #[test]
    fn retry_after_is_honored_also_if_little_time_remains_after_a_slow_poll() {
        let mut polling = Polling::new(INTERVAL);
        assert_eq!(
            polling.next(&retry_after(3), INTERVAL, millis(4000)),
            Action::PollAfter(millis(3000))
        );
    }

    #[test]
    fn last_poll_is_made_shortly_before_the_deadline() {
        let mut polling = Polling::new(INTERVAL);
        assert_eq!(
            polling.next(&Event::Pending, FAST, millis(400)),
            Action::PollAfter(millis(300))
        );
        assert_eq!(
            polling.next(&Event::Pending, FAST, millis(80)),
            Action::TimeOutAfter(millis(80))
        );
    }

    #[test]
    fn last_poll_has_twice_the_time_of_the_previous_one() {
        let mut polling = Polling::new(INTERVAL);
        polling.next(&Event::Pending, millis(900), 100 * INTERVAL);
        assert_eq!(
            polling.next(&Event::Pending, millis(700), millis(2000)),
            Action::PollAfter(millis(600))
        );
        let mut polling = Polling::new(INTERVAL);
        assert_eq!(
            polling.next(&Event::Pending, 10 * INTERVAL, millis(5400)),
            Action::PollAfter(millis(400))
        );
    }

    #[test]
    fn slow_poll_is_followed_by_another_one_before_the_deadline() {
        let mut polling = Polling::new(INTERVAL);
        let mut next = |took, remaining| polling.next(&Event::Pending, took, millis(remaining));
        // A wait of 3 s whose first poll waits for a token.
        let action = next(millis(1100), 1900);
        assert_eq!(action, Action::PollAfter(millis(500)));
        assert_eq!(next(FAST, 1380), Action::PollAfter(millis(750)));
        assert_eq!(next(FAST, 610), Action::PollAfter(millis(510)));
        assert_eq!(next(FAST, 80), Action::TimeOutAfter(millis(80)));
        // Polls that stay slow do not use up the time of the wait.
        let mut polling = Polling::new(INTERVAL);
        let mut next = |remaining| polling.next(&Event::Pending, millis(1000), millis(remaining));
        assert_eq!(next(800), Action::PollAfter(millis(400)));
        assert_eq!(next(300), Action::TimeOutAfter(millis(300)));
    }

    #[test]
    fn last_poll_is_confirmed_when_it_shows_the_wanted_state_for_the_first_time() {
        let mut polling = Polling::new(INTERVAL);
        polling.next(&Event::Pending, FAST, millis(400));
        assert_eq!(
            polling.next(&Event::Confirming, FAST, millis(80)),
            Action::PollAfter(millis(40))
        );
        assert_eq!(
            polling.next(&Event::Confirming, FAST, millis(20)),
            Action::TimeOutAfter(millis(20))
        );
    }

    #[test]
    fn no_poll_follows_when_the_deadline_is_too_near() {
        for remaining in [50, 100].map(millis) {
            assert_eq!(
                first(&Event::Pending, remaining),
                Action::TimeOutAfter(remaining)
            );
        }
        assert_eq!(
            first(&Event::Pending, Duration::ZERO),
            Action::TimeOutAfter(Duration::ZERO)
        );
    }

    #[test]
    fn retry_after_is_honored_beyond_the_interval() {
        assert_eq!(
            first(&retry_after(60), Duration::from_secs(1800)),
            Action::PollAfter(Duration::from_secs(60))
        );
        assert_eq!(
            first(&retry_after(0), Duration::from_secs(1800)),
            Action::PollAfter(INITIAL_DELAY)
        );
        // In the time reserved for the last poll, but not before `Retry-After`.
        assert_eq!(
            first(&retry_after(60), millis(60_050)),
            Action::PollAfter(Duration::from_secs(60))
        );
    }

    #[test]
    fn retry_after_beyond_the_deadline_fails_immediately() {
        assert_eq!(
            first(&retry_after(61), Duration::from_secs(60)),
            Action::FailBeforeRetryAfter
        );
        assert_eq!(
            first(&retry_after(60), Duration::from_secs(60)),
            Action::PollAfter(Duration::from_secs(60))
        );
    }

    #[test]
    fn permanent_error_fails_immediately() {
        for kind in [
            ErrorKind::Authentication,
            ErrorKind::PermissionDenied,
            ErrorKind::NotFound,
            ErrorKind::InvalidRequest,
            ErrorKind::Config,
        ] {
            assert_eq!(first(&failed(kind), INTERVAL), Action::Fail, "{kind:?}");
        }
        let untrusted = Event::Failed {
            kind: ErrorKind::Network,
            permanent: true,
            retry_after: None,
        };
        assert_eq!(first(&untrusted, INTERVAL), Action::Fail);
    }

    #[test]
    fn transient_error_is_followed_by_another_poll() {
        for kind in [
            ErrorKind::Network,
            ErrorKind::Timeout,
            ErrorKind::Service,
            ErrorKind::RateLimited,
            ErrorKind::NotReady,
            ErrorKind::Decode,
        ] {
            assert_eq!(
                first(&failed(kind), INTERVAL),
                Action::PollAfter(INITIAL_DELAY),
                "{kind:?}"
            );
        }
    }

    #[test]
    fn fifth_undecodable_response_in_a_row_fails() {
        let mut polling = Polling::new(INTERVAL);
        let mut next = |event| polling.next(&event, FAST, 100 * INTERVAL);
        for _ in 0..4 {
            assert_ne!(next(failed(ErrorKind::Decode)), Action::Fail);
        }
        assert_ne!(next(Event::Pending), Action::Fail);
        for _ in 0..4 {
            assert_ne!(next(failed(ErrorKind::Decode)), Action::Fail);
        }
        assert_eq!(next(failed(ErrorKind::Decode)), Action::Fail);
    }
}
