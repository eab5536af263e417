//! The clock of the file system of a store in files.
//!
//! Several hosts can share a directory, and their clocks can differ. The times of the rate limit are
//! therefore those of the file system, which is the same for all processes. They are the times of this
//! machine if its clock does not differ from that of the file system, as on a local disk.

use std::io;
use std::time::Duration;

use super::StoreTime;
use crate::auth::time::{Clock, ClockTime};
use crate::fork::Mutex;

/// Age at which the clock is measured again.
const MAX_AGE: Duration = Duration::from_secs(60);
/// A larger difference between the clocks of this machine since the measurement means that the wall
/// clock was set, or that the machine was suspended.
const MAX_DRIFT: Duration = Duration::from_millis(100);
/// The kernel gives files the time of its last timer interrupt, at 100 Hz or more.
const TICK: Duration = Duration::from_millis(10);
/// Clocks that differ by less count as the same: on a busy machine, the time of new files is several timer
/// interrupts old. Two such hosts still keep requests 1 s apart.
const MAX_DIFFERENCE: Duration = Duration::from_millis(50);
/// A measurement that took longer does not show that the clocks are the same, and is not kept.
const MAX_MEASUREMENT: Duration = Duration::from_millis(50);

/// The clock of a file system, as it was measured last.
#[derive(Default)]
pub(super) struct FileClock(Mutex<Option<Measurement>>);

#[derive(Debug, Clone, Copy)]
struct Measurement {
    at: ClockTime,
    /// The time of the file system; `None` if it is that of this machine.
    time: Option<StoreTime>,
}

impl FileClock {
    /// Returns the time of the file system. Measures it, unless the last measurement is recent:
    /// `current_time` returns the time of the file system, if it has one. If it fails, the last
    /// measurement applies, or the time of this machine.
    pub(super) fn measure(
        &self,
        clock: &Clock,
        current_time: impl FnOnce() -> io::Result<Option<Duration>>,
    ) -> StoreTime {
        let sent = clock.now();
        let last = self.last(sent);
        if let Some(last) = last
            && sent.mono.saturating_sub(last.at.mono) < MAX_AGE
        {
            return last.time.unwrap_or(StoreTime::local(sent));
        }
        let measured = current_time().ok().flatten();
        let received = clock.now();
        let time = match measured {
            Some(time) => {
                let time = differing(sent, time, received);
                if received.mono.saturating_sub(sent.mono) <= MAX_MEASUREMENT {
                    *self.0.lock() = Some(Measurement { at: received, time });
                }
                time
            }
            None => last.and_then(|last| last.time),
        };
        time.unwrap_or(StoreTime::local(received))
    }

    /// Returns the last measurement, unless the clock of this machine was set since.
    fn last(&self, now: ClockTime) -> Option<Measurement> {
        let last = (*self.0.lock())?;
        let age = now.mono.saturating_sub(last.at.mono);
        let expected = last.at.wall.saturating_add(age);
        (now.wall.abs_diff(expected) < MAX_DRIFT).then_some(last)
    }
}

/// Returns the time of a file system that was measured between two times of this machine; `None` if
/// their clocks do not differ, or if the file system has only whole seconds.
fn differing(sent: ClockTime, time: Duration, received: ClockTime) -> Option<StoreTime> {
    let took = received.mono.saturating_sub(sent.mono);
    let is_same = took <= MAX_MEASUREMENT
        && time.saturating_add(MAX_DIFFERENCE) >= sent.wall
        && time <= received.wall.saturating_add(MAX_DIFFERENCE);
    let is_whole = time.subsec_nanos() == 0;
    (!is_same && !is_whole).then_some(StoreTime {
        time,
        sent: sent.mono.saturating_sub(TICK),
        received: received.mono,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::time::ManualClock;

    const SENT: ClockTime = ClockTime {
        mono: Duration::from_secs(1_000),
        wall: Duration::from_millis(1_700_000_000_500),
    };

    fn after(millis: u64) -> ClockTime {
        SENT.after(Duration::from_millis(millis))
    }

    #[test]
    fn differing_is_none_for_the_clock_of_this_machine() {
        for (time, took) in [(0, 0), (3, 5), (5, 5), (50, 50)] {
            let time = SENT.wall + Duration::from_millis(time);
            assert!(differing(SENT, time, after(took)).is_none());
            // The kernel's time is some timer interrupts old.
            let lag = Duration::from_millis(45);
            assert!(differing(SENT, SENT.wall - lag, after(took)).is_none());
        }
    }

    #[test]
    fn differing_bounds_the_time_of_another_clock() {
        for time in [
            SENT.wall - Duration::from_secs(18_000),
            SENT.wall - Duration::from_millis(60),
            SENT.wall + Duration::from_millis(60),
            SENT.wall + Duration::from_secs(18_000),
        ] {
            let measured = differing(SENT, time, after(4)).unwrap();
            let mono = after(100).mono;
            assert_eq!(
                measured.earliest(mono).wall,
                time + Duration::from_millis(96)
            );
            assert_eq!(
                measured.latest(mono).wall,
                time + Duration::from_millis(110)
            );
        }
    }

    #[test]
    fn differing_needs_a_short_measurement_and_fractions_of_seconds() {
        // In this time, the clocks may differ by a second.
        let time = SENT.wall + Duration::from_millis(1_000);
        assert!(differing(SENT, time, after(1_200)).is_some());
        let whole = Duration::from_secs(1_600_000_000);
        assert!(differing(SENT, whole, after(4)).is_none());
    }

    #[test]
    fn measure_repeats_a_measurement_that_is_old_or_slow() {
        let (manual, file_clock) = (ManualClock::frozen(), FileClock::default());
        let clock = Clock::Simulated(manual.clone());
        let ahead = Duration::from_millis(18_000_250);
        // Returns how far the file system is ahead, and whether that was measured.
        let measure = |ahead: Option<Duration>| {
            let mut is_measured = false;
            let now = clock.now();
            let time = file_clock.measure(&clock, || {
                is_measured = true;
                Ok(ahead.map(|ahead| now.wall + ahead))
            });
            (time.earliest(now.mono).wall - now.wall, is_measured)
        };
        assert_eq!(measure(Some(ahead)), (ahead, true));
        manual.advance(Duration::from_secs(59));
        assert_eq!(measure(None), (ahead, false));
        manual.advance(Duration::from_secs(1));
        // One that fails is repeated; the last one applies meanwhile.
        assert_eq!(measure(None), (ahead, true));
        assert_eq!(measure(None), (ahead, true));
        assert_eq!(measure(Some(ahead * 2)), (ahead * 2, true));
        assert_eq!(measure(None), (ahead * 2, false));
        // The wall clock was set, and the file system is on the same machine.
        manual.step_wall_clock(500);
        assert_eq!(measure(Some(Duration::ZERO)), (Duration::ZERO, true));
        assert_eq!(measure(None), (Duration::ZERO, false));
        // Without one, the time is that of this machine.
        manual.step_wall_clock(500);
        for _ in 0..2 {
            assert_eq!(measure(None), (Duration::ZERO, true));
        }
        // A slow one is not kept.
        for _ in 0..2 {
            let mut is_measured = false;
            file_clock.measure(&clock, || {
                is_measured = true;
                let now = clock.now();
                manual.advance(Duration::from_millis(60));
                Ok(Some(now.wall))
            });
            assert!(is_measured);
        }
    }
}
