//! The time as tokens need it: two clocks at once, and a stand-in for tests.
//!
//! A monotonic clock never jumps, yet it stands still while the machine sleeps. The wall clock goes
//! on while the machine sleeps, yet it jumps. What must not be used too long is therefore measured
//! on both; what only paces this process is measured on the monotonic one alone.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};

use crate::call::CallContext;

/// A point in time on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp {
    /// Since some time before the clock was made; comparable within one process only.
    pub(crate) mono: Duration,
    /// Since 1970; zero if the machine believes in an earlier year.
    pub(crate) wall: Duration,
}

impl Timestamp {
    /// The moment `duration` later; the end of time where that is beyond it.
    pub(crate) fn after(self, duration: Duration) -> Timestamp {
        Timestamp {
            mono: self.mono.saturating_add(duration),
            wall: self.wall.saturating_add(duration),
        }
    }

    /// Whether either clock says that it is past.
    pub(crate) fn is_past(self, now: Timestamp) -> bool {
        now.mono >= self.mono || now.wall >= self.wall
    }

    /// The time left until either clock reaches it.
    pub(crate) fn left(self, now: Timestamp) -> Duration {
        self.mono
            .saturating_sub(now.mono)
            .min(self.wall.saturating_sub(now.wall))
    }

    /// The wall clock's part in the standard library's terms.
    pub(crate) fn system_time(self) -> SystemTime {
        UNIX_EPOCH
            .checked_add(self.wall)
            // Only reachable with a clock set to a year that has more digits than the type.
            .unwrap_or(UNIX_EPOCH + Duration::from_secs(u32::MAX as u64))
    }

    /// The wall clock's part in whole milliseconds, as it is written to stores.
    pub(crate) fn wall_millis(self) -> u64 {
        millis(self.wall)
    }
}

/// Whole milliseconds, as they are written to stores.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where the monotonic clock begins, so that what happened before it did has a time too.
const MONOTONIC_OFFSET: Duration = Duration::from_secs(1 << 32);

/// Reads the time. Copies of a simulated clock show the same time.
#[derive(Debug, Clone)]
pub(crate) enum Clock {
    /// The machine's clocks.
    Real,
    /// Moved by the test that owns it.
    #[cfg(test)]
    Simulated(std::sync::Arc<ManualClock>),
}

impl Clock {
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Clock::Real => real::now(),
            #[cfg(test)]
            Clock::Simulated(simulation) => simulation.now(),
        }
    }

    /// As [`now`](Self::now), but perhaps some milliseconds behind, for a fraction of the price.
    pub(crate) fn now_coarse(&self) -> Timestamp {
        match self {
            Clock::Real => real::now_coarse(),
            #[cfg(test)]
            Clock::Simulated(simulation) => simulation.now(),
        }
    }

    /// How much of this clock's time a call has left.
    pub(crate) fn remaining(&self, call: &CallContext) -> Duration {
        match self {
            Clock::Real => call.remaining(),
            #[cfg(test)]
            Clock::Simulated(simulation) => simulation.limits.unwrap_or_else(|| call.remaining()),
        }
    }

    /// A random number from 0 to 1, for jitter. It comes with the clock, since who simulates the one
    /// has to foresee the other: then it is always 0.
    pub(crate) fn jitter(&self) -> f64 {
        match self {
            Clock::Real => {
                let mut bytes = [0; 4];
                // Without random numbers there is no jitter; nothing else depends on them.
                let _ = SystemRandom::new().fill(&mut bytes);
                f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
            }
            #[cfg(test)]
            Clock::Simulated(_) => 0.0,
        }
    }

    /// How long a thread may really block to wait for `duration` of this clock's time.
    pub(crate) fn real_wait(&self, duration: Duration) -> Duration {
        match self {
            Clock::Real => duration,
            #[cfg(test)]
            Clock::Simulated(simulation) => simulation.real_wait(duration),
        }
    }
}

/// The machine's clocks, by name: `Instant` cannot be compared with a coarse clock.
#[cfg(unix)]
mod real {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    use super::{MONOTONIC_OFFSET, Timestamp};

    pub(super) fn now() -> Timestamp {
        at(ClockId::Monotonic, ClockId::Realtime)
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn now_coarse() -> Timestamp {
        at(ClockId::MonotonicCoarse, ClockId::RealtimeCoarse)
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn now_coarse() -> Timestamp {
        now()
    }

    fn at(mono: ClockId, wall: ClockId) -> Timestamp {
        Timestamp {
            mono: MONOTONIC_OFFSET + read(mono),
            wall: read(wall),
        }
    }

    fn read(clock: ClockId) -> Duration {
        let time = clock_gettime(clock);
        // The nanoseconds are below a second, the seconds below zero only before 1970.
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), time.tv_nsec as u32)
    }
}

/// The machine's clocks, where there are no others.
#[cfg(not(unix))]
mod real {
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    use once_cell::sync::Lazy;

    use super::{MONOTONIC_OFFSET, Timestamp};

    static START: Lazy<Instant> = Lazy::new(Instant::now);

    pub(super) fn now() -> Timestamp {
        Timestamp {
            mono: MONOTONIC_OFFSET + START.elapsed(),
            wall: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    pub(super) fn now_coarse() -> Timestamp {
        now()
    }
}

/// A clock that goes only when told to.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct ManualClock {
    mono_nanos: std::sync::atomic::AtomicU64,
    wall_nanos: std::sync::atomic::AtomicU64,
    /// Whether a wait moves the clock itself instead of waiting for somebody to move it.
    waits_advance: bool,
    /// What every call has left, whatever its deadline says.
    limits: Option<Duration>,
}

#[cfg(test)]
impl ManualClock {
    /// A quiet day in 2026, with a clock that stands still unless advanced.
    pub(crate) fn frozen() -> std::sync::Arc<Self> {
        Self::new(false, None)
    }

    /// As [`standing`](Self::standing), for calls none of which waits any longer than this.
    pub(crate) fn with_remaining(limits: Duration) -> std::sync::Arc<Self> {
        Self::new(false, Some(limits))
    }

    /// As [`standing`](Self::standing), but whoever waits is at once at the end of the wait.
    pub(crate) fn auto_advancing() -> std::sync::Arc<Self> {
        Self::new(true, None)
    }

    fn new(waits_advance: bool, limits: Option<Duration>) -> std::sync::Arc<Self> {
        std::sync::Arc::new(ManualClock {
            mono_nanos: (1_000 * 1_000_000_000).into(),
            wall_nanos: (1_780_000_000 * 1_000_000_000).into(),
            waits_advance,
            limits,
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        use std::sync::atomic::Ordering::SeqCst;
        Timestamp {
            mono: Duration::from_nanos(self.mono_nanos.load(SeqCst)),
            wall: Duration::from_nanos(self.wall_nanos.load(SeqCst)),
        }
    }

    pub(crate) fn advance(&self, duration: Duration) {
        self.advance_mono(duration);
        self.step_wall_clock(i64::try_from(duration.as_millis()).unwrap());
    }

    pub(crate) fn advance_mono(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap();
        self.mono_nanos
            .fetch_add(nanos, std::sync::atomic::Ordering::SeqCst);
    }

    /// Sets the wall clock forward or back, as an administrator or a suspended machine does.
    pub(crate) fn step_wall_clock(&self, millis: i64) {
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
