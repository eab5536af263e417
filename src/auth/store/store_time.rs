//! The time of a store's clock, which can differ from this machine's.

use std::time::Duration;

use crate::auth::time::ClockTime;

/// The time of a store's clock, as it was reported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreTime {
    /// Time since 1970.
    pub(super) time: Duration,
    /// The moments (monotonic) between which the store reported it.
    pub(super) sent: Duration,
    pub(super) received: Duration,
}

impl StoreTime {
    /// Returns the time of a store that uses this machine's clock.
    pub(crate) fn local(now: ClockTime) -> Self {
        StoreTime {
            time: now.wall,
            sent: now.mono,
            received: now.mono,
        }
    }

    /// Returns the store's time at a moment (monotonic), at the earliest. With it, the age of a
    /// record is not overestimated.
    pub(crate) fn earliest(self, mono: Duration) -> ClockTime {
        ClockTime {
            mono,
            wall: self.time.saturating_add(mono.saturating_sub(self.received)),
        }
    }

    /// Returns the store's time at a moment (monotonic), at the latest. A record that is written
    /// with it does not appear older than it is.
    pub(crate) fn latest(self, mono: Duration) -> ClockTime {
        ClockTime {
            mono,
            wall: self.time.saturating_add(mono.saturating_sub(self.sent)),
        }
    }

    /// Returns by how many milliseconds the store's clock is ahead of this machine's.
    pub(crate) fn ahead_of(self, now: ClockTime) -> i64 {
        let store = self.earliest(now.mono).wall_millis();
        i64::try_from(i128::from(store) - i128::from(now.wall_millis())).unwrap_or(0)
    }
}

/// A value of a store, or its absence.
#[derive(Debug)]
pub(crate) struct StoredValue {
    pub(crate) value: Option<Vec<u8>>,
    /// The time of the store's clock; `None` if it did not report one.
    pub(crate) time: Option<StoreTime>,
}
