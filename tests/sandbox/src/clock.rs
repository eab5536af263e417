//! Adjustable clock of the sandbox, and time formats.
//!
//! All times in the sandbox are [`Duration`]s since the Unix epoch.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Maximum total advance of the clock: 100 years.
pub(crate) const MAX_ADVANCE: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Latest time of the clock: the end of the year 9999, the last one that [`parse_iso8601`] reads.
const MAX_TIME: Duration = Duration::from_secs(253_402_300_799);

/// Clock that can be advanced, set and frozen.
#[derive(Clone)]
pub(crate) struct Clock {
    /// Real start, which the adjustments do not change.
    started: Instant,
    /// Time at `running_since`, or the current time if the clock is frozen.
    base: Duration,
    running_since: Option<Instant>,
    advanced: Duration,
}

impl Clock {
    /// Starts a clock at `start`, or at the system time.
    pub(crate) fn new(start: Option<Duration>, frozen: bool) -> Self {
        let started = Instant::now();
        Self {
            started,
            // A system time before 1970 counts as 1970.
            base: start.unwrap_or_else(|| {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default()
            }),
            running_since: (!frozen).then_some(started),
            advanced: Duration::ZERO,
        }
    }

    /// Returns the current time of the sandbox, which does not pass [`MAX_TIME`].
    pub(crate) fn now(&self) -> Duration {
        let running = self.running_since.map(|since| since.elapsed());
        (self.base + running.unwrap_or_default()).min(MAX_TIME)
    }

    /// Returns the real time elapsed since the start or the last reset.
    pub(crate) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// Advances the clock, by at most [`MAX_ADVANCE`] in total.
    pub(crate) fn advance(&mut self, by: Duration) {
        let by = by.min(MAX_ADVANCE - self.advanced);
        self.advanced += by;
        self.base += by;
    }

    /// Sets the time, up to [`MAX_TIME`].
    pub(crate) fn set(&mut self, time: Duration) {
        self.base = time.min(MAX_TIME);
        self.running_since = self.running_since.map(|_| Instant::now());
        self.advanced = Duration::ZERO;
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.running_since.is_none()
    }

    pub(crate) fn set_frozen(&mut self, frozen: bool) {
        self.base = self.now();
        self.running_since = (!frozen).then(Instant::now);
    }
}

/// Parses a time in the format of [`iso8601`], with optional fractional seconds.
pub(crate) fn parse_iso8601(text: &str) -> Option<Duration> {
    let text = text.strip_suffix('Z')?;
    let (day, time) = text.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let numbers = |text: &str, separator: char, widths: [usize; 3]| -> Option<[u64; 3]> {
        let mut parts = text.split(separator);
        let mut numbers = [0; 3];
        for (number, width) in numbers.iter_mut().zip(widths) {
            let part = parts.next()?;
            let is_number = part.len() == width && part.bytes().all(|it| it.is_ascii_digit());
            *number = is_number.then(|| part.parse().ok())??;
        }
        parts.next().is_none().then_some(numbers)
    };
    let [year, month, day] = numbers(day, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|it| it.is_ascii_digit())
    {
        return None;
    }
    let nanoseconds: u64 = format!("{fraction:0<9}").parse().ok()?;
    if year < 1970 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years = year - u64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day.checked_sub(1)?;
    let days = years * 365 + years / 4 - years / 100 + years / 400 + day_of_year;
    let seconds = days.checked_sub(DAYS_FROM_MARCH_OF_YEAR_ZERO)? * 86_400
        + hour * 3_600
        + minute * 60
        + second;
    let parsed = Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds);
    // A day that the month does not have becomes another date.
    (date(parsed) == (year, month, day)).then_some(parsed)
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

/// Days from 1 March of the year 0 to the Unix epoch.
const DAYS_FROM_MARCH_OF_YEAR_ZERO: u64 = 719_468;

/// Returns year, month (1 to 12) and day (1 to 31) in the Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last day of the year.
fn date(time: Duration) -> (u64, u64, u64) {
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
            assert_eq!(parse_iso8601(iso), Some(Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn parse_iso8601_rejects_invalid_times() {
        assert_eq!(
            parse_iso8601("2026-03-01T12:34:56.789Z"),
            Some(Duration::from_millis(1_772_368_496_789))
        );
        assert_eq!(
            parse_iso8601("2026-03-01T12:34:56Z"),
            Some(Duration::from_secs(1_772_368_496))
        );
        for invalid in [
            "",
            "2026-03-01",
            "2026-03-01T12:34:56",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-1-1T00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_iso8601(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn clock_stands_still_while_frozen() {
        let mut clock = Clock::new(Some(Duration::from_secs(100)), true);
        assert_eq!(clock.now(), Duration::from_secs(100));
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), Duration::from_secs(105));
        clock.set(Duration::from_secs(50));
        assert_eq!(clock.now(), Duration::from_secs(50));
        clock.set_frozen(false);
        assert!(clock.now() >= Duration::from_secs(50));
        assert!(!clock.is_frozen());
    }

    #[test]
    fn clock_stops_at_the_last_time_that_can_be_read() {
        for frozen in [false, true] {
            let mut clock = Clock::new(Some(MAX_TIME), frozen);
            clock.advance(Duration::from_secs(86_400));
            assert_eq!(parse_iso8601(&iso8601(clock.now())), Some(clock.now()));
        }
    }
}
