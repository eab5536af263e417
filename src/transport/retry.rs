//! Whether a failed request is sent again, and when. Pure: told what happened, how much time is
//! left and a random number, it answers what to do.

use std::time::Duration;

use super::Class;
use crate::error::Outcome;

/// The first pause; each further one is up to twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause that nobody asked for.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// How often a request is sent at most.
const MOST_ATTEMPTS: u32 = 5;

/// How a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// No byte of it left.
    NotSent,
    /// The connection broke after a byte may have left.
    Broken,
    /// The service answered something other than success.
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    /// The API says that what a deletion should remove does not exist.
    Absent,
    /// Nothing that sending again could mend.
    Final,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Send it again after a pause.
    RetryAfter(Duration),
    /// Tell the caller.
    GiveUp,
}

/// The retries of one call.
#[derive(Debug)]
pub(super) struct Retries {
    class: Class,
    attempts: u32,
    repeats: u32,
    /// What became of the attempts so far.
    outcome: Outcome,
}

impl Retries {
    pub(super) fn new(class: Class) -> Self {
        Retries {
            class,
            attempts: 0,
            repeats: 0,
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
        matches!(self.outcome, Outcome::Unknown | Outcome::Done)
    }

    /// What became of the whole call, once something in it ended with `outcome`: no later failure
    /// takes back what an earlier attempt may have done.
    pub(super) fn settle(&mut self, outcome: Outcome) -> Outcome {
        // A read does nothing, so only its last attempt is of interest.
        if self.class == Class::Safe || weight(outcome) > weight(self.outcome) {
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
        let asked_for = match (failure, self.class) {
            (Failure::NotSent, _) => None,
            (Failure::Broken, Class::Safe | Class::Repeatable) => None,
            (
                Failure::Status {
                    status: 429 | 502 | 503 | 504,
                    retry_after,
                },
                Class::Safe | Class::Repeatable,
            ) => *retry_after,
            _ => return Decision::GiveUp,
        };
        if self.repeats + 1 >= MOST_ATTEMPTS {
            return Decision::GiveUp;
        }
        let ceiling = (FIRST_PAUSE * 2u32.pow(self.repeats)).min(LONGEST_PAUSE);
        let pause = asked_for.unwrap_or_default() + ceiling.mul_f64(0.5 + random() / 2.0);
        self.repeats += 1;
        // Waiting for a turn that comes after the deadline would only delay the bad news.
        if pause >= remaining {
            Decision::GiveUp
        } else {
            Decision::RetryAfter(pause)
        }
    }
}

/// How much an outcome says about what was done.
fn weight(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::NotSent => 0,
        Outcome::Refused => 1,
        Outcome::Unknown => 2,
        Outcome::Done => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn decide(class: Class, failure: Failure) -> Decision {
        Retries::new(class).decide(&failure, LONG, || 0.0)
    }

    fn status(status: u16) -> Failure {
        Failure::Status {
            status,
            retry_after: None,
        }
    }

    #[test]
    fn what_may_be_repeated_is_repeated_after_passing_failures() {
        for class in [Class::Safe, Class::Repeatable] {
            for failure in [
                Failure::NotSent,
                Failure::Broken,
                status(429),
                status(502),
                status(503),
                status(504),
            ] {
                assert_eq!(
                    decide(class, failure.clone()),
                    Decision::RetryAfter(Duration::from_millis(100)),
                    "{class:?} {failure:?}"
                );
            }
            for failure in [
                Failure::Final,
                Failure::Absent,
                status(400),
                status(401),
                status(404),
                status(500),
            ] {
                assert_eq!(
                    decide(class, failure.clone()),
                    Decision::GiveUp,
                    "{class:?} {failure:?}"
                );
            }
        }
    }

    #[test]
    fn a_once_operation_is_repeated_only_where_nothing_left() {
        assert_ne!(decide(Class::Once, Failure::NotSent), Decision::GiveUp);
        for failure in [
            Failure::Broken,
            Failure::Final,
            status(429),
            status(503),
            status(401),
        ] {
            assert_eq!(
                decide(Class::Once, failure.clone()),
                Decision::GiveUp,
                "{failure:?}"
            );
        }
    }

    #[test]
    fn pauses_double_with_jitter_and_come_to_an_end() {
        let mut retries = Retries::new(Class::Safe);
        let pauses: Vec<_> =
            std::iter::from_fn(|| match retries.decide(&Failure::Broken, LONG, || 0.5) {
                Decision::RetryAfter(pause) => Some(pause.as_millis()),
                Decision::GiveUp => None,
            })
            .collect();
        assert_eq!(pauses, [150, 300, 600, 1200]);
    }

    #[test]
    fn a_later_attempt_takes_nothing_back() {
        use Outcome::{Done, NotSent, Refused, Unknown};
        for (attempts, outcome) in [
            (&[NotSent, NotSent][..], NotSent),
            (&[Refused, NotSent], Refused),
            (&[Unknown, Refused, NotSent], Unknown),
            (&[Refused, Unknown], Unknown),
            (&[Done, Unknown, Refused], Done),
        ] {
            let settle = |class| {
                let mut retries = Retries::new(class);
                let outcomes = attempts.iter().map(|outcome| retries.settle(*outcome));
                outcomes.last().unwrap()
            };
            assert_eq!(settle(Class::Repeatable), outcome, "{attempts:?}");
            assert_eq!(settle(Class::Safe), *attempts.last().unwrap());
        }
    }

    #[test]
    fn the_service_says_how_long() {
        let failure = Failure::Status {
            status: 503,
            retry_after: Some(Duration::from_secs(7)),
        };
        let mut retries = Retries::new(Class::Safe);
        assert_eq!(
            retries.decide(&failure, LONG, || 0.0),
            Decision::RetryAfter(Duration::from_millis(7_100))
        );
        assert_eq!(
            retries.decide(&failure, Duration::from_secs(7), || 0.0),
            Decision::GiveUp
        );
    }
}
