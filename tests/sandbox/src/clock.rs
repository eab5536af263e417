//! Adjustable clock of the sandbox, and time formats.
//!
//! All times in the sandbox are [`Duration`]s since the Unix epoch.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Maximum total advance of the clock: 100 years.
pub(crate) const MAX_ADVANCE: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Clock that starts at the system time, is monotonic, and can be advanced.
pub(crate) struct Clock {
    started: Instant,
    started_at: Duration,
    advanced: Duration,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            // A system time before 1970 counts as 1970.
            started_at: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
            advanced: Duration::ZERO,
        }
    }

    /// Returns the current time of the sandbox.
    pub(crate) fn now(&self) -> Duration {
        self.started_at + self.since_start() + self.advanced
    }

    /// Returns the real time elapsed since the start or the last reset.
    pub(crate) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// Advances the clock, by at most [`MAX_ADVANCE`] in total.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by).min(MAX_ADVANCE);
    }
}

/// Formats a time as ISO 8601, for example `2026-03-01T12:34:56.789Z`.
pub(crate) fn iso8601(time: Duration) -> String {
    let (year, month, day) = date(time);
    let (hour, minute, second) = time_of_day(time);
    let milliseconds = time.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// Formats a time for the `Date` header, for example `Sun, 01 Mar 2026 12:34:56 GMT`.
pub(crate) fn http_date(time: Duration) -> String {
    const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (year, month, day) = date(time);
    let (hour, minute, second) = time_of_day(time);
    // 1 January 1970 was a Thursday.
    let weekday = WEEKDAYS[(time.as_secs() / 86_400 % 7) as usize];
    let month = MONTHS[month as usize - 1];
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

fn time_of_day(time: Duration) -> (u64, u64, u64) {
    let seconds = time.as_secs() % 86_400;
    (seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Returns year, month (1 to 12) and day (1 to 31) in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last day of the year.
fn date(time: Duration) -> (u64, u64, u64) {
    const DAYS_FROM_MARCH_OF_YEAR_ZERO: u64 = 719_468;
    const DAYS_PER_ERA: u64 = 146_097;
    let days = time.as_secs() / 86_400 + DAYS_FROM_MARCH_OF_YEAR_ZERO;
    let era = days / DAYS_PER_ERA;
    let day_of_era = days % DAYS_PER_ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = if months_since_march < 10 {
        months_since_march + 3
    } else {
        months_since_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_formats_match_known_dates() {
        for (seconds, iso, http) in [
            (
                0,
                "1970-01-01T00:00:00.000Z",
                "Thu, 01 Jan 1970 00:00:00 GMT",
            ),
            (
                951_782_400,
                "2000-02-29T00:00:00.000Z",
                "Tue, 29 Feb 2000 00:00:00 GMT",
            ),
            (
                1_735_689_599,
                "2024-12-31T23:59:59.000Z",
                "Tue, 31 Dec 2024 23:59:59 GMT",
            ),
            (
                1_772_368_496,
                "2026-03-01T12:34:56.000Z",
                "Sun, 01 Mar 2026 12:34:56 GMT",
            ),
            (
                4_107_542_400,
                "2100-03-01T00:00:00.000Z",
                "Mon, 01 Mar 2100 00:00:00 GMT",
            ),
        ] {
            assert_eq!(iso8601(Duration::from_secs(seconds)), iso);
            assert_eq!(http_date(Duration::from_secs(seconds)), http);
        }
    }
}
