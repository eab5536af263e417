//! [`Timestamp`]: a time that keeps the text of the API, with conversions to and from `SystemTime`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::api::place::{Decode, Place, Text};
use crate::api::schema::{HasSchema, JsonSchema};
use crate::calendar::{SECONDS_PER_DAY, date_from_epoch, days_from_epoch, days_in_month, digits};
use crate::error::{Error, Result};

/// Time in a response, such as `2024-05-01T12:00:00.123Z`.
///
/// Keeps the text of the API unchanged; the conversions parse it as RFC 3339. A text in another
/// format does not fail the call: the conversions then return `None`. The text is empty if the field
/// was absent.
///
/// `Ord` is by instant, so that `12:00:00+02:00` is before `11:00:00Z`; texts that are not RFC 3339
/// come first. `Eq` compares the texts: two spellings of an instant are different, and in the order
/// of their texts.
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use camunda_admin::Timestamp;
///
/// let time: Timestamp = "1970-01-01T01:00:00+00:30".parse()?;
/// assert_eq!(time.to_system_time(), Some(UNIX_EPOCH + Duration::from_secs(30 * 60)));
/// assert_eq!(time.as_str(), "1970-01-01T01:00:00+00:30");
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(String);

impl Timestamp {
    /// Returns the text as in JSON.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the time, truncated to the resolution of `SystemTime`: 1 ns, on Windows 100 ns. `None`
    /// if the text is not RFC 3339, or if the platform's `SystemTime` cannot represent the time.
    #[must_use]
    pub fn to_system_time(&self) -> Option<SystemTime> {
        let (seconds, nanos) = parse(&self.0)?;
        let distance = Duration::from_secs(seconds.unsigned_abs());
        let whole = if seconds < 0 {
            UNIX_EPOCH.checked_sub(distance)?
        } else {
            UNIX_EPOCH.checked_add(distance)?
        };
        whole.checked_add(Duration::from_nanos(nanos.into()))
    }

    /// Returns the milliseconds since the Unix epoch, rounded down. `None` if the text is not
    /// RFC 3339.
    #[must_use]
    pub fn to_unix_millis(&self) -> Option<i64> {
        let (seconds, nanos) = parse(&self.0)?;
        Some(seconds * 1000 + i64::from(nanos / 1_000_000))
    }
}

impl FromStr for Timestamp {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if the text is not
    /// RFC 3339.
    fn from_str(text: &str) -> Result<Timestamp> {
        if parse(text).is_none() {
            return Err(Error::invalid_argument(format!(
                "not an RFC 3339 time: {text:?}"
            )));
        }
        Ok(Timestamp(text.to_owned()))
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = Error;

    /// Writes the time in UTC, with milliseconds, or with nanoseconds if it has a smaller part.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if the year is not between
    /// 0 and 9999.
    fn try_from(time: SystemTime) -> Result<Timestamp> {
        let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (i128::from(after.as_secs()), after.subsec_nanos()),
            Err(before) => match before.duration() {
                before if before.subsec_nanos() == 0 => (-i128::from(before.as_secs()), 0),
                before => (
                    -i128::from(before.as_secs()) - 1,
                    1_000_000_000 - before.subsec_nanos(),
                ),
            },
        };
        let seconds = i64::try_from(seconds).ok();
        seconds
            .and_then(|seconds| format(seconds, nanos))
            .map(Timestamp)
            .ok_or_else(|| Error::invalid_argument("year is not between 0 and 9999"))
    }
}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        parse(&self.0)
            .cmp(&parse(&other.0))
            .then_with(|| self.0.cmp(&other.0))
    }
}

impl AsRef<str> for Timestamp {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Decode for Timestamp {
    fn place(value: &mut Option<Self>) -> Place<'_> {
        Place::text(value)
    }
}

impl Text for Timestamp {
    fn from_text(text: &str) -> std::result::Result<Self, String> {
        Ok(Timestamp(text.to_owned()))
    }
}

impl HasSchema for Timestamp {
    const SCHEMA: JsonSchema = JsonSchema::Timestamp;
    const EMPTY_IS_ABSENT: bool = true;
}

/// Parses an RFC 3339 time into seconds and nanoseconds since the Unix epoch.
///
/// A leap second is the first second of the next minute, as in POSIX time. Digits after the
/// nanoseconds are ignored.
fn parse(text: &str) -> Option<(i64, u32)> {
    let bytes = text.as_bytes();
    let (date_time, rest) = bytes.split_at_checked(19)?;
    let [
        _,
        _,
        _,
        _,
        b'-',
        _,
        _,
        b'-',
        _,
        _,
        b'T' | b't' | b' ',
        _,
        _,
        b':',
        _,
        _,
        b':',
        _,
        _,
    ] = date_time
    else {
        return None;
    };
    let field = |from: usize, to: usize| digits(&date_time[from..to]);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=days_in_month(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanos, zone) = match rest.strip_prefix(b".") {
        Some(rest) => {
            let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, zone) = rest.split_at(length);
            let kept = &fraction[..length.min(9)];
            let scale = 10_i64.pow(9 - kept.len() as u32);
            (digits(kept).filter(|_| length > 0)? * scale, zone)
        }
        None => (0, rest),
    };
    let offset = match zone {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let offset = hours * 3600 + minutes * 60;
            if *sign == b'-' { -offset } else { offset }
        }
        _ => return None,
    };
    let seconds =
        days_from_epoch(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
            - offset;
    Some((seconds, u32::try_from(nanos).ok()?))
}

/// Formats a time of the years 0 to 9999 in UTC.
fn format(seconds: i64, nanos: u32) -> Option<String> {
    let (year, month, day) = date_from_epoch(seconds.div_euclid(SECONDS_PER_DAY));
    if !(0..=9999).contains(&year) {
        return None;
    }
    let second = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = if nanos.is_multiple_of(1_000_000) {
        format!("{:03}", nanos / 1_000_000)
    } else {
        format!("{nanos:09}")
    };
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction}Z"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn timestamp(text: &str) -> Timestamp {
        serde_json::from_value(text.into()).unwrap()
    }

    #[test]
    fn conversions_parse_rfc_3339() {
        for (text, millis) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:00.001Z", 1),
            ("1969-12-31T23:59:59.999Z", -1),
            ("1969-12-31T23:59:59.9999Z", -1),
            ("2024-05-01T12:00:00.123Z", 1_714_564_800_123),
            ("2024-05-01T14:00:00.123456789123+02:00", 1_714_564_800_123),
            ("2024-05-01 07:30:00-04:30", 1_714_564_800_000),
            ("2024-05-01t12:00:00z", 1_714_564_800_000),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("2000-02-29T00:00:00Z", 951_782_400_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
        ] {
            let time = timestamp(text);
            assert_eq!(time.to_unix_millis(), Some(millis), "{text}");
            assert_eq!(text.parse::<Timestamp>().unwrap(), time);
        }
    }

    #[test]
    fn conversions_return_none_for_other_texts() {
        for text in [
            "",
            "-",
            "yesterday",
            "1714564800",
            "2024-05-01",
            "2024-05-01T12:00Z",
            "2024-05-01T12:00:00",
            "2024-05-01T12:00:00.Z",
            "2024-05-01T12:00:00,5Z",
            "2024-05-01T12:00:00+0200",
            "2024-05-01T12:00:00+24:00",
            "2024-05-01T12:00:00+02:60",
            "2024-05-01T12:00:00ZZ",
            "2024-05-01T24:00:00Z",
            "2024-05-01T12:60:00Z",
            "2024-05-01T12:00:61Z",
            "2024-00-01T12:00:00Z",
            "2024-13-01T12:00:00Z",
            "2024-05-00T12:00:00Z",
            "2024-04-31T12:00:00Z",
            "2023-02-29T12:00:00Z",
            "1900-02-29T12:00:00Z",
            "2024/05/01T12:00:00Z",
            "2024-05-01_12:00:00Z",
            "+024-05-01T12:00:00Z",
            "2024-05-01T12:00:0üZ",
            "2024-05-01T12:00:00ü",
        ] {
            let time = timestamp(text);
            assert_eq!(time.to_system_time(), None, "{text}");
            assert_eq!(time.to_unix_millis(), None, "{text}");
            assert_eq!(time.as_str(), text);
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn order_is_by_instant_then_text() {
        let sorted = [
            "",
            "yesterday",
            "2024-05-01T12:00:00+02:00",
            "2024-05-01T11:00:00Z",
            "2024-05-01T12:00:00+01:00",
            "2024-05-01T11:00:00.000000001Z",
        ]
        .map(timestamp);
        let mut shuffled = sorted.clone();
        shuffled.reverse();
        shuffled.sort();
        assert_eq!(shuffled, sorted);
    }

    #[test]
    fn system_time_is_written_in_utc() {
        let after = |nanos| Timestamp::try_from(UNIX_EPOCH + Duration::from_nanos(nanos)).unwrap();
        assert_eq!(after(0).as_str(), "1970-01-01T00:00:00.000Z");
        assert_eq!(after(1_500_000_000).as_str(), "1970-01-01T00:00:01.500Z");
        // The resolution of `SystemTime` on Windows.
        assert_eq!(after(100).as_str(), "1970-01-01T00:00:00.000000100Z");
        let before = Timestamp::try_from(UNIX_EPOCH - Duration::from_millis(1)).unwrap();
        assert_eq!(before.as_str(), "1969-12-31T23:59:59.999Z");
        let late = UNIX_EPOCH + Duration::from_secs(253_402_300_800);
        assert!(Timestamp::try_from(late).is_err());
    }

    #[test]
    fn every_day_of_400_years_follows_the_previous_one() {
        let mut days = days_from_epoch(1800, 1, 1);
        for year in 1800..2200 {
            for month in 1..=12 {
                for day in 1..=days_in_month(year, month) {
                    assert_eq!(days_from_epoch(year, month, day), days);
                    assert_eq!(date_from_epoch(days), (year, month, day));
                    days += 1;
                }
            }
        }
    }

    proptest! {
        #[test]
        fn written_time_is_parsed_back(
            seconds in -62_167_219_200_i64..253_402_300_800,
            nanos in 0_u32..1_000_000_000,
        ) {
            let nanos = if cfg!(windows) { nanos / 100 * 100 } else { nanos };
            let text = format(seconds, nanos).unwrap();
            prop_assert_eq!(parse(&text), Some((seconds, nanos)));
            if let Some(time) = timestamp(&text).to_system_time() {
                let written = Timestamp::try_from(time).unwrap();
                prop_assert_eq!(written.as_str(), text);
            }
        }

        #[test]
        fn offset_is_subtracted(
            seconds in -62_000_000_000_i64..253_000_000_000,
            hours in 0_i64..24,
            minutes in 0_i64..60,
        ) {
            let text = format(seconds, 0).unwrap();
            let local = text.trim_end_matches('Z');
            let offset = hours * 3600 + minutes * 60;
            let east = format!("{local}+{hours:02}:{minutes:02}");
            let west = format!("{local}-{hours:02}:{minutes:02}");
            prop_assert_eq!(parse(&east), Some((seconds - offset, 0)));
            prop_assert_eq!(parse(&west), Some((seconds + offset, 0)));
        }

        #[test]
        fn any_text_is_kept(text in ".{0,40}", near in "[0-9]{4}-[01][0-9]-[0-3][0-9][T ][0-9:.+Zü-]{8,20}") {
            for text in [text, near] {
                let time = timestamp(&text);
                prop_assert_eq!(time.as_str(), &text);
                prop_assert_eq!(time.to_unix_millis().is_some(), text.parse::<Timestamp>().is_ok());
                prop_assert_eq!(serde_json::to_value(&time).unwrap(), text);
            }
        }
    }
}
