//! Validation of cron expressions for backup schedules.

/// Minimum time between two backups, in minutes.
const INTERVAL: u32 = 15;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Checks that a cron expression has five fields and fires at most every 15 minutes.
pub(crate) fn check(expression: &str) -> Result<(), String> {
    let fields: Vec<&str> = expression.split_ascii_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return Err(format!("it has {} fields instead of 5", fields.len()));
    };
    let minutes = values("minute", minute, 0, 59, &[])?;
    let hours = values("hour", hour, 0, 23, &[])?;
    values("day of month", day, 1, 31, &[])?;
    values("month", month, 1, 12, &MONTHS)?;
    values("day of week", weekday, 0, 7, &WEEKDAYS)?;

    let too_often = "it fires more than once every 15 minutes".to_owned();
    if minutes.windows(2).any(|pair| pair[1] - pair[0] < INTERVAL) {
        return Err(too_often);
    }
    // Gap across the full hour for consecutive hours, including midnight.
    let consecutive = hours.iter().any(|hour| hours.contains(&((hour + 1) % 24)));
    let around = minutes
        .first()
        .zip(minutes.last())
        .map(|(first, last)| first + 60 - last);
    if consecutive && around.is_some_and(|gap| gap < INTERVAL) {
        return Err(too_often);
    }
    Ok(())
}

/// Returns the values that a field matches, in ascending order.
fn values(
    name: &str,
    field: &str,
    lowest: u32,
    highest: u32,
    names: &[&str],
) -> Result<Vec<u32>, String> {
    let wrong = || format!("\"{field}\" is not a valid {name}");
    let number = |text: &str| -> Result<u32, String> {
        let name = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        if let Some(position) = name {
            return Ok(position as u32 + lowest);
        }
        if text.is_empty() || !text.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(wrong());
        }
        text.parse()
            .ok()
            .filter(|value| (lowest..=highest).contains(value))
            .ok_or_else(wrong)
    };
    let mut values = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            None => (part, None),
            Some((range, step)) => (range, Some(step)),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (lowest, highest),
            Some((from, to)) => (number(from)?, number(to)?),
            // A step after a single value extends to the maximum.
            None if step.is_some() => (number(range)?, highest),
            None => (number(range)?, number(range)?),
        };
        let step = match step {
            None => 1,
            Some(step) => step
                .parse()
                .ok()
                .filter(|step| *step > 0_usize)
                .ok_or_else(wrong)?,
        };
        if from > to {
            return Err(wrong());
        }
        values.extend((from..=to).step_by(step));
    }
    values.sort_unstable();
    values.dedup();
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn check_accepts_valid_schedules_only() {
        for good in [
            "0 2 * * *",
            "*/15 * * * *",
            "0,15,30,45 * * * *",
            "5 0-6/2 1,15 jan-JUN Mon-fri",
            "59 * * * *",
            "0 0 1 1 7",
            "0,59 12 * * *",
            "10/20 * * * *",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for wrong in [
            "",
            "0 2 * *",
            "0 2 * * * *",
            "60 * * * *",
            "* 24 * * *",
            "0 0 0 * *",
            "0 0 * 13 *",
            "0 0 * * 8",
            "0 0 * * noday",
            "a * * * *",
            "-1 * * * *",
            "5-1 * * * *",
            "*/0 * * * *",
            "0 2 * * * /",
            "@daily",
            "* * * * *",
            "*/14 * * * *",
            "0,50 * * * *",
            "0,10 3 * * *",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
