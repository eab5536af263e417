//! Whether a failed request is sent again, and when. Pure: told what happened, how much time is
//! left and a random number, it answers what to do.

use std::time::Duration;

use super::Idempotency;
use crate::error::Outcome;

/// The first delay; each further one is up to twice as long.
const INITIAL_DELAY: Duration = Duration::from_millis(200);
/// The longest delay that nobody asked for.
const MAX_DELAY: Duration = Duration::from_secs(8);
/// How often a request is sent at most.
const MAX_ATTEMPTS: u32 = 5;

/// How a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// No byte of it left.
    NotSent,
    /// The connection broke after a byte may have left.
    ConnectionLost,
    /// The service answered something other than success.
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    /// The API says that what a deletion should remove does not exist.
    Absent,
    /// Nothing that sending again could mend.
    NotRetryable,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Send it again after a delay.
    RetryAfter(Duration),
    /// Tell the caller.
    Stop,
}

/// The retries of one call.
#[derive(Debug)]
pub(super) struct RetryState {
    idempotency: Idempotency,
    attempts: u32,
    retries: u32,
    /// What became of the attempts so far.
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

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(super) fn count_attempt(&mut self) {
        self.attempts += 1;
    }

    /// Whether an attempt was applied or may have been.
    pub(super) fn may_have_been_applied(&self) -> bool {
        matches!(self.outcome, Outcome::Unknown | Outcome::Completed)
    }

    /// What became of the whole call, once something in it ended with `outcome`: no later failure
    /// takes back what an earlier attempt may have done.
    pub(super) fn merge_outcome(&mut self, outcome: Outcome) -> Outcome {
        // A read does nothing, so only its last attempt is of interest.
        if self.idempotency == Idempotency::Safe || severity(outcome) > severity(self.outcome) {
            self.outcome = outcome;
        }
        self.outcome
    }

    /// Decides; `random` gives a number in `0.0..1.0`.
    pub(super) fn decide(
        &mut self,
        failure: &Failure,
        remaining: Duration,
        random: impl FnOnce() -> f64,
    ) -> Decision {
        let asked_for = match (failure, self.idempotency) {
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
        let ceiling = (INITIAL_DELAY * 2u32.pow(self.retries)).min(MAX_DELAY);
        let delay = asked_for.unwrap_or_default() + ceiling.mul_f64(0.5 + random() / 2.0);
        self.retries += 1;
        // Waiting for a turn that comes after the deadline would only delay the bad news.
        if delay >= remaining {
            Decision::Stop
        } else {
            Decision::RetryAfter(delay)
        }
    }
}

/// How much an outcome says about what was done.
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
    fn what_may_be_repeated_is_repeated_after_passing_failures() {
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
    fn a_once_operation_is_repeated_only_where_nothing_left() {
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
    fn pauses_double_with_jitter_and_come_to_an_end() {
        let mut retry_state = RetryState::new(Idempotency::Safe);
        let pauses: Vec<_> = std::iter::from_fn(|| {
            match retry_state.decide(&Failure::ConnectionLost, LONG, || 0.5) {
                Decision::RetryAfter(delay) => Some(delay.as_millis()),
                Decision::Stop => None,
            }
        })
        .collect();
        assert_eq!(pauses, [150, 300, 600, 1200]);
    }

    #[test]
    fn a_later_attempt_takes_nothing_back() {
        use Outcome::{Completed, NotSent, Rejected, Unknown};
        for (attempts, outcome) in [
            (&[NotSent, NotSent][..], NotSent),
            (&[Rejected, NotSent], Rejected),
            (&[Unknown, Rejected, NotSent], Unknown),
            (&[Rejected, Unknown], Unknown),
            (&[Completed, Unknown, Rejected], Completed),
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
    fn the_service_says_how_long() {
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
