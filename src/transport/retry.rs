//! Retry policy: decides whether, and after which delay, the client retries a failed request.
//!
//! Performs no I/O. The failure, the remaining time and a random number are parameters.

use std::time::Duration;

use super::Idempotency;
use crate::error::Outcome;

/// Maximum delay before the first retry, without `Retry-After`. It doubles with each retry, up to
/// 1.6 s before the last one. A delay is at least half of its maximum.
const INITIAL_DELAY: Duration = Duration::from_millis(200);
/// Maximum number of attempts of a call, the first one included.
const MAX_ATTEMPTS: u32 = 5;

/// How a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// No byte of the request was sent.
    NotSent,
    /// The connection was lost after a byte of the request may have been sent.
    ConnectionLost,
    /// The server sent a response with a status other than 2xx.
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    /// The API reports that the resource to be deleted does not exist.
    Absent,
    /// A retry would fail in the same way.
    NotRetryable,
}

/// What the client does after a failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Retry the request after this delay.
    RetryAfter(Duration),
    /// Return the error to the caller.
    Stop,
}

/// Retry state of one call.
#[derive(Debug)]
pub(super) struct RetryState {
    idempotency: Idempotency,
    attempts: u32,
    retries: u32,
    /// The outcome of the attempts so far with the highest [`severity`]; for a safe request, of the
    /// last attempt.
    outcome: Outcome,
}

impl RetryState {
    pub(super) fn new(idempotency: Idempotency) -> Self {
        RetryState {
            idempotency,
            attempts: 0,
            retries: 0,
            outcome: Outcome::NotSent,
        }
    }

    /// Returns the number of attempts of which a byte was sent.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Records an attempt of which a byte was sent.
    pub(super) fn count_attempt(&mut self) {
        self.attempts += 1;
    }

    /// Returns whether the server executed the operation, or may have executed it.
    pub(super) fn may_have_been_applied(&self) -> bool {
        matches!(self.outcome, Outcome::Unknown | Outcome::Completed)
    }

    /// Adds the outcome of an attempt and returns the outcome of the call. A later attempt does not
    /// change that an earlier one may have been executed.
    pub(super) fn merge_outcome(&mut self, outcome: Outcome) -> Outcome {
        // A safe request changes nothing, so only its last attempt counts.
        if self.idempotency == Idempotency::Safe || severity(outcome) > severity(self.outcome) {
            self.outcome = outcome;
        }
        self.outcome
    }

    /// Decides whether to retry after `failure`. `random` returns a number from 0 to 1.
    pub(super) fn decide(
        &mut self,
        failure: &Failure,
        remaining: Duration,
        random: impl FnOnce() -> f64,
    ) -> Decision {
        let server_delay = match (failure, self.idempotency) {
            (Failure::NotSent, _) => None,
            (Failure::ConnectionLost, Idempotency::Safe | Idempotency::Idempotent) => None,
            (
                Failure::Status {
                    status: 429 | 502 | 503 | 504,
                    retry_after,
                },
                Idempotency::Safe | Idempotency::Idempotent,
            ) => *retry_after,
            _ => return Decision::Stop,
        };
        if self.retries + 1 >= MAX_ATTEMPTS {
            return Decision::Stop;
        }
        let max_delay = INITIAL_DELAY * 2u32.pow(self.retries);
        let delay = server_delay.unwrap_or_default() + max_delay.mul_f64(0.5 + random() / 2.0);
        self.retries += 1;
        // A retry after the deadline is not possible, so the error is returned immediately.
        if delay >= remaining {
            Decision::Stop
        } else {
            Decision::RetryAfter(delay)
        }
    }
}

/// Orders outcomes by how certain it is that the operation was executed.
fn severity(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::NotSent => 0,
        Outcome::Rejected => 1,
        Outcome::Unknown => 2,
        Outcome::Completed => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn decide(idempotency: Idempotency, failure: Failure) -> Decision {
        RetryState::new(idempotency).decide(&failure, LONG, || 0.0)
    }

    fn status(status: u16) -> Failure {
        Failure::Status {
            status,
            retry_after: None,
        }
    }

    #[test]
    fn decide_retries_idempotent_requests_after_transient_failures_only() {
        for idempotency in [Idempotency::Safe, Idempotency::Idempotent] {
            for failure in [
                Failure::NotSent,
                Failure::ConnectionLost,
                status(429),
                status(502),
                status(503),
                status(504),
            ] {
                assert_eq!(
                    decide(idempotency, failure.clone()),
                    Decision::RetryAfter(Duration::from_millis(100)),
                    "{idempotency:?} {failure:?}"
                );
            }
            for failure in [
                Failure::NotRetryable,
                Failure::Absent,
                status(400),
                status(401),
                status(404),
                status(500),
            ] {
                assert_eq!(
                    decide(idempotency, failure.clone()),
                    Decision::Stop,
                    "{idempotency:?} {failure:?}"
                );
            }
        }
    }

    #[test]
    fn decide_retries_non_idempotent_requests_only_if_nothing_was_sent() {
        assert_ne!(
            decide(Idempotency::NonIdempotent, Failure::NotSent),
            Decision::Stop
        );
        for failure in [
            Failure::ConnectionLost,
            Failure::NotRetryable,
            status(429),
            status(503),
            status(401),
        ] {
            assert_eq!(
                decide(Idempotency::NonIdempotent, failure.clone()),
                Decision::Stop,
                "{failure:?}"
            );
        }
    }

    #[test]
    fn decide_doubles_the_delay_and_stops_after_five_attempts() {
        let mut retry_state = RetryState::new(Idempotency::Safe);
        let delays: Vec<_> = std::iter::from_fn(|| {
            match retry_state.decide(&Failure::ConnectionLost, LONG, || 0.5) {
                Decision::RetryAfter(delay) => Some(delay.as_millis()),
                Decision::Stop => None,
            }
        })
        // A policy that never stops must fail the test.
        .take(10)
        .collect();
        assert_eq!(delays, [150, 300, 600, 1200]);
    }

    #[test]
    fn decide_jitters_between_half_and_all_of_the_maximum_delay() {
        for (random, millis) in [(0.0, 100), (0.25, 125), (0.5, 150), (1.0, 200)] {
            let mut retry_state = RetryState::new(Idempotency::Safe);
            assert_eq!(
                retry_state.decide(&Failure::NotSent, LONG, || random),
                Decision::RetryAfter(Duration::from_millis(millis)),
                "{random}"
            );
        }
    }

    #[test]
    fn decide_stops_if_the_delay_reaches_the_deadline() {
        for (remaining, decision) in [
            (99, Decision::Stop),
            (100, Decision::Stop),
            (101, Decision::RetryAfter(Duration::from_millis(100))),
        ] {
            let mut retry_state = RetryState::new(Idempotency::Safe);
            let remaining = Duration::from_millis(remaining);
            assert_eq!(
                retry_state.decide(&Failure::NotSent, remaining, || 0.0),
                decision,
                "{remaining:?}"
            );
        }
    }

    #[test]
    fn attempts_counts_sent_attempts_only() {
        let mut retry_state = RetryState::new(Idempotency::Safe);
        assert_eq!(retry_state.attempts(), 0);
        retry_state.decide(&Failure::NotSent, LONG, || 0.0);
        assert_eq!(retry_state.attempts(), 0);
        for attempts in 1..=3 {
            retry_state.count_attempt();
            assert_eq!(retry_state.attempts(), attempts);
        }
    }

    #[test]
    fn may_have_been_applied_depends_on_the_merged_outcome() {
        for (outcomes, expected) in [
            (&[][..], false),
            (&[Outcome::NotSent], false),
            (&[Outcome::Rejected], false),
            (&[Outcome::Unknown], true),
            (&[Outcome::Completed], true),
            (&[Outcome::Unknown, Outcome::Rejected], true),
        ] {
            let mut retry_state = RetryState::new(Idempotency::Idempotent);
            for outcome in outcomes {
                retry_state.merge_outcome(*outcome);
            }
            assert_eq!(
                retry_state.may_have_been_applied(),
                expected,
                "{outcomes:?}"
            );
        }
    }

    #[test]
    fn merge_outcome_keeps_the_most_severe_unless_safe() {
        use Outcome::{Completed, NotSent, Rejected, Unknown};
        for (attempts, outcome) in [
            (&[NotSent, NotSent][..], NotSent),
            (&[Rejected, NotSent], Rejected),
            (&[Unknown, Rejected, NotSent], Unknown),
            (&[Rejected, Unknown], Unknown),
            (&[Completed, Unknown, Rejected], Completed),
            (&[Unknown, Completed], Completed),
        ] {
            let merge_outcome = |idempotency| {
                let mut retry_state = RetryState::new(idempotency);
                let outcomes = attempts
                    .iter()
                    .map(|outcome| retry_state.merge_outcome(*outcome));
                outcomes.last().unwrap()
            };
            assert_eq!(
                merge_outcome(Idempotency::Idempotent),
                outcome,
                "{attempts:?}"
            );
            assert_eq!(merge_outcome(Idempotency::Safe), *attempts.last().unwrap());
        }
    }

    #[test]
    fn decide_adds_retry_after_and_stops_if_it_exceeds_the_deadline() {
        let failure = Failure::Status {
            status: 503,
            retry_after: Some(Duration::from_secs(7)),
        };
        let mut retry_state = RetryState::new(Idempotency::Safe);
        assert_eq!(
            retry_state.decide(&failure, LONG, || 0.0),
            Decision::RetryAfter(Duration::from_millis(7_100))
        );
        assert_eq!(
            retry_state.decide(&failure, Duration::from_secs(7), || 0.0),
            Decision::Stop
        );
    }
}
