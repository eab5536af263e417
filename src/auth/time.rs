//! Times on two clocks, and a manual clock for tests.
//!
//! A monotonic clock never jumps, but stands still while the machine sleeps. The wall clock goes on
//! while the machine sleeps, but jumps. So the expiry of tokens is measured on both; the rate limit
//! and backoffs of this process on the monotonic one alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::call::CallContext;

/// A point in time on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockTime {
    /// Time since an arbitrary origin; comparable within one process only.
    pub(crate) mono: Duration,
    /// Time since 1970; zero if the clock is set to an earlier year.
    pub(crate) wall: Duration,
}

impl ClockTime {
    /// Returns the time `duration` later, saturating.
    pub(crate) fn after(self, duration: Duration) -> ClockTime {
        ClockTime {
            mono: self.mono.saturating_add(duration),
            wall: self.wall.saturating_add(duration),
        }
    }

    /// Returns whether it is past on either clock.
    pub(crate) fn is_past(self, now: ClockTime) -> bool {
        now.mono >= self.mono || now.wall >= self.wall
    }

    /// Returns the time until either clock reaches it.
    pub(crate) fn remaining(self, now: ClockTime) -> Duration {
        self.mono
            .saturating_sub(now.mono)
            .min(self.wall.saturating_sub(now.wall))
    }

    /// Returns the wall clock's time.
    pub(crate) fn system_time(self) -> SystemTime {
        UNIX_EPOCH
            .checked_add(self.wall)
            // Only reachable with a clock set to a year that has more digits than the type.
            .unwrap_or(UNIX_EPOCH + Duration::from_secs(u32::MAX as u64))
    }

    /// Returns the wall clock's time in milliseconds, the unit of the stores.
    pub(crate) fn wall_millis(self) -> u64 {
        millis(self.wall)
    }
}

/// Returns whole milliseconds, the unit of the stores.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the rest of a time span that was written with a wall clock, at most its length. `None`
/// if it is over, longer than `longest`, or begins later than `now` plus `tolerance`.
pub(crate) fn remaining_span(
    at: u64,
    until: u64,
    now: ClockTime,
    longest: Duration,
    tolerance: Duration,
) -> Option<Duration> {
    let now = now.wall_millis();
    let span = until.saturating_sub(at);
    if span > millis(longest) || at > now.saturating_add(millis(tolerance)) {
        return None;
    }
    let left = until.saturating_sub(now).min(span);
    (left > 0).then(|| Duration::from_millis(left))
}

/// Origin of the monotonic clock, so that earlier events have a time too.
const MONOTONIC_OFFSET: Duration = Duration::from_secs(1 << 32);

/// A source of times. Clones of a simulated clock show the same time.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    /// The machine's clocks.
    Real,
    /// The machine's clocks, with a wall clock that is ahead by milliseconds.
    #[cfg(test)]
    Skewed(i64),
    /// Moved by the test that owns it.
    #[cfg(test)]
    Simulated(std::sync::Arc<ManualClock>),
    /// Moved by the waits of all processes of a simulation.
    #[cfg(test)]
    Process(std::sync::Arc<dyn ProcessClock>),
}

/// The clock of one process in a simulation.
#[cfg(test)]
pub(crate) trait ProcessClock: std::fmt::Debug + Send + Sync {
    fn now(&self) -> ClockTime;

    /// Returns the time until the deadline of the process's call.
    fn remaining(&self) -> Duration;

    /// Returns a random number from 0 to 1.
    fn jitter(&self) -> f64;

    /// Runs the other processes for `duration`.
    fn wait(&self, duration: Duration);
}

impl Clock {
    pub(crate) fn now(&self) -> ClockTime {
        match self {
            Clock::Real => real::now(),
            #[cfg(test)]
            Clock::Skewed(millis) => skewed(real::now(), *millis),
            #[cfg(test)]
            Clock::Simulated(simulation) => simulation.now(),
            #[cfg(test)]
            Clock::Process(process) => process.now(),
        }
    }

    /// Returns the monotonic clock's time up to some milliseconds late, faster than [`now`](Self::now).
    pub(crate) fn coarse_mono(&self) -> Duration {
        match self {
            Clock::Real => real::coarse_mono(),
            #[cfg(test)]
            _ => self.now().mono,
        }
    }

    /// As [`coarse_mono`](Self::coarse_mono), of the wall clock.
    pub(crate) fn coarse_wall(&self) -> Duration {
        match self {
            Clock::Real => real::coarse_wall(),
            #[cfg(test)]
            _ => self.now().wall,
        }
    }

    /// Returns the remaining time of a call on this clock.
    pub(crate) fn remaining(&self, call: &CallContext) -> Duration {
        match self {
            Clock::Real => call.remaining(),
            #[cfg(test)]
            Clock::Skewed(_) => call.remaining(),
            #[cfg(test)]
            Clock::Simulated(simulation) => simulation
                .remaining_override
                .unwrap_or_else(|| call.remaining()),
            #[cfg(test)]
            Clock::Process(process) => process.remaining(),
        }
    }

    /// Returns a random number from 0 to 1, for jitter; always 0 with a clock that a
    /// test moves, so that the test is deterministic.
    pub(crate) fn jitter(&self) -> f64 {
        match self {
            Clock::Real => crate::random::jitter(),
            #[cfg(test)]
            Clock::Skewed(_) => crate::random::jitter(),
            #[cfg(test)]
            Clock::Simulated(_) => 0.0,
            #[cfg(test)]
            Clock::Process(process) => process.jitter(),
        }
    }

    /// Returns how long a thread blocks to wait for `duration` on this clock.
    pub(crate) fn real_wait(&self, duration: Duration) -> Duration {
        match self {
            Clock::Real => duration,
            #[cfg(test)]
            Clock::Skewed(_) => duration,
            #[cfg(test)]
            Clock::Simulated(simulation) => simulation.real_wait(duration),
            #[cfg(test)]
            Clock::Process(process) => {
                process.wait(duration);
                Duration::ZERO
            }
        }
    }
}

#[cfg(test)]
fn skewed(now: ClockTime, millis: i64) -> ClockTime {
    let wall = now.wall_millis().saturating_add_signed(millis);
    ClockTime {
        wall: Duration::from_millis(wall),
        ..now
    }
}

/// The machine's clocks by id: `Instant` cannot be compared with a coarse clock.
#[cfg(unix)]
mod real {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    use super::{ClockTime, MONOTONIC_OFFSET};

    #[cfg(any(target_os = "linux", target_os = "android"))]
    const COARSE: (ClockId, ClockId) = (ClockId::MonotonicCoarse, ClockId::RealtimeCoarse);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const COARSE: (ClockId, ClockId) = (ClockId::Monotonic, ClockId::Realtime);

    pub(super) fn now() -> ClockTime {
        ClockTime {
            mono: MONOTONIC_OFFSET + read(ClockId::Monotonic),
            wall: read(ClockId::Realtime),
        }
    }

    pub(super) fn coarse_mono() -> Duration {
        MONOTONIC_OFFSET + read(COARSE.0)
    }

    pub(super) fn coarse_wall() -> Duration {
        read(COARSE.1)
    }

    fn read(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        // The nanoseconds are below a second, the seconds below zero only before 1970.
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), time.tv_nsec as u32)
    }
}

/// The standard library's clocks.
#[cfg(not(unix))]
mod real {
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use once_cell::sync::Lazy;

    use super::{ClockTime, MONOTONIC_OFFSET};

    static START: Lazy<Instant> = Lazy::new(Instant::now);

    pub(super) fn now() -> ClockTime {
        ClockTime {
            mono: MONOTONIC_OFFSET + START.elapsed(),
            wall: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    pub(super) fn coarse_mono() -> Duration {
        now().mono
    }

    pub(super) fn coarse_wall() -> Duration {
        now().wall
    }
}

/// A clock that only tests advance.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct ManualClock {
    mono_nanos: std::sync::atomic::AtomicU64,
    wall_nanos: std::sync::atomic::AtomicU64,
    /// Whether a wait advances the clock.
    waits_advance: bool,
    /// Remaining time of every call, instead of the call's own.
    remaining_override: Option<Duration>,
}

#[cfg(test)]
impl ManualClock {
    /// Returns a clock in 2026 that stands still unless advanced.
    pub(crate) fn frozen() -> std::sync::Arc<Self> {
        Self::new(false, None)
    }

    /// As [`frozen`](Self::frozen), with this remaining time for every call.
    pub(crate) fn with_remaining(remaining_override: Duration) -> std::sync::Arc<Self> {
        Self::new(false, Some(remaining_override))
    }

    /// As [`frozen`](Self::frozen), but a wait advances the clock and returns immediately.
    pub(crate) fn auto_advancing() -> std::sync::Arc<Self> {
        Self::new(true, None)
    }

    fn new(waits_advance: bool, remaining_override: Option<Duration>) -> std::sync::Arc<Self> {
        std::sync::Arc::new(ManualClock {
            mono_nanos: (1_000 * 1_000_000_000).into(),
            wall_nanos: (1_780_000_000 * 1_000_000_000).into(),
            waits_advance,
            remaining_override,
        })
    }

    pub(crate) fn now(&self) -> ClockTime {
        use std::sync::atomic::Ordering::SeqCst;
        ClockTime {
            mono: Duration::from_nanos(self.mono_nanos.load(SeqCst)),
            wall: Duration::from_nanos(self.wall_nanos.load(SeqCst)),
        }
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.advance_mono(duration);
        self.advance_wall(i64::try_from(duration.as_millis()).unwrap());
    }

    pub(crate) fn advance_mono(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap();
        self.mono_nanos
            .fetch_add(nanos, std::sync::atomic::Ordering::SeqCst);
    }

    /// Sets the wall clock forward or back, as an administrator or a suspended machine does.
    ///
    /// The monotonic clock advances by a nanosecond: a fresh token is checked again only then.
    pub(crate) fn step_wall_clock(&self, millis: i64) {
        self.advance_mono(Duration::from_nanos(1));
        self.advance_wall(millis);
    }

    fn advance_wall(&self, millis: i64) {
        let nanos = (millis * 1_000_000) as u64;
        self.wall_nanos
            .fetch_add(nanos, std::sync::atomic::Ordering::SeqCst);
    }

    fn real_wait(&self, duration: Duration) -> Duration {
        if self.waits_advance {
            // Rounded up, or the last fraction of a millisecond would be waited for endlessly.
            self.advance(Duration::from_millis(duration.as_millis() as u64 + 1));
            Duration::ZERO
        } else {
            duration.min(Duration::from_micros(500))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::test_support::{NOW, NOW_MILLIS};
    use super::*;

    #[test]
    fn remaining_span_is_bounded_and_plausible() {
        let hour = Duration::from_secs(3600);
        #[rustfmt::skip]
        let table = [
            ("as written",          -10_000, 20_000,     Some(20)),
            ("over",                -30_000, 0,          None),
            ("the clock went back", 600_000, 630_000,    Some(30)),
            ("from the far future", 7_200_000, 7_230_000, None),
            ("longer than allowed", 0,       7_200_000,  None),
        ];
        for (name, at, until, expected) in table {
            let at = NOW_MILLIS.saturating_add_signed(at);
            let until = NOW_MILLIS.saturating_add_signed(until);
            let left = remaining_span(at, until, NOW, hour, hour);
            assert_eq!(left, expected.map(Duration::from_secs), "{name}");
        }
    }
}
