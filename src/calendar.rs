//! Dates of the Gregorian calendar, which times in responses and certificates have.

/// Without leap seconds.
pub(crate) const SECONDS_PER_DAY: i64 = 24 * 60 * 60;
/// Days from 0000-03-01 to 1970-01-01. Years that begin in March end with the leap day.
const DAYS_TO_EPOCH: i64 = 719_468;
/// Days in 400 years of the Gregorian calendar.
const DAYS_PER_ERA: i64 = 146_097;

/// Returns the number that decimal digits mean; `None` if there is another character.
pub(crate) fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| {
        byte.is_ascii_digit()
            .then(|| number * 10 + i64::from(byte - b'0'))
    })
}

fn is_leap_year(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap_year(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to a date.
pub(crate) fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    // January and February belong to the year that began in the previous March.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + day_of_year - DAYS_TO_EPOCH
}

/// Returns the year, month and day of the date that is `days` after 1970-01-01.
pub(crate) fn date_from_epoch(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_EPOCH;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / (DAYS_PER_ERA - 1);
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year_of_era;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}
