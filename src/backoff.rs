//! Exponential backoff.

use std::time::Duration;

/// Returns `initial` for the first failure in a row, doubled for each one after it, at most `max`.
pub(crate) fn exponential(initial: Duration, consecutive_failures: u32, max: Duration) -> Duration {
    2u32.checked_pow(consecutive_failures.saturating_sub(1))
        .map_or(max, |factor| initial.saturating_mul(factor).min(max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_doubles_up_to_the_maximum() {
        let table = [
            (0, 10),
            (1, 10),
            (2, 20),
            (3, 40),
            (4, 60),
            (32, 60),
            (33, 60),
            (u32::MAX, 60),
        ];
        for (failures, seconds) in table {
            let backoff = exponential(Duration::from_secs(10), failures, Duration::from_secs(60));
            assert_eq!(backoff, Duration::from_secs(seconds), "{failures}");
        }
    }
}
