//! Health of a store, ability by ability.

use std::io;
use std::time::Duration;

use crate::auth::time::ClockTime;
use crate::backoff::exponential;

/// How long an ability of a store is not used after it failed.
pub(super) const SUSPENSION: Duration = Duration::from_secs(30);

/// The same for the first failure of a server; doubles with every consecutive failure up to
/// [`SUSPENSION`]. Shorter, because other hosts go on using the server.
pub(crate) const INITIAL_SERVER_SUSPENSION: Duration = Duration::from_secs(1);

/// An ability of a store. Each may fail while the others work: a full disk can be locked and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ability {
    Lock,
    Read,
    Write,
}

impl Ability {
    pub(super) const ALL: [Ability; 3] = [Ability::Lock, Ability::Read, Ability::Write];

    pub(super) fn name(self) -> &'static str {
        match self {
            Ability::Lock => "lock",
            Ability::Read => "read",
            Ability::Write => "write",
        }
    }
}

/// Health of a store, ability by ability.
#[derive(Debug, Default)]
pub(super) struct Health {
    pub(super) abilities: [Suspension; 3],
    /// Suspends all abilities.
    pub(super) reach: Suspension,
    pub(super) failures: u64,
    pub(super) last_error: Option<String>,
}

/// Whether something failed when it was last used.
#[derive(Debug, Default)]
pub(super) struct Suspension {
    error: Option<String>,
    /// Consecutive failures.
    count: u32,
    /// When it is tried again (monotonic).
    until: Duration,
}

impl Suspension {
    pub(super) fn failed(
        &mut self,
        error: &io::Error,
        initial: Duration,
        now: ClockTime,
    ) -> Duration {
        self.count = self.count.saturating_add(1);
        self.error = Some(error.to_string());
        let length = exponential(initial, self.count, SUSPENSION);
        self.until = now.mono.saturating_add(length);
        length
    }
}

impl Health {
    /// Returns whether an ability may be used: it works, or it is time to try again.
    pub(super) fn can(&self, ability: Ability, now: ClockTime) -> bool {
        let may_try = |it: &Suspension| it.error.is_none() || now.mono >= it.until;
        may_try(&self.reach) && may_try(&self.abilities[ability as usize])
    }

    /// Returns why an ability failed when it was last used.
    pub(super) fn error(&self, ability: Ability) -> Option<&str> {
        let own = &self.abilities[ability as usize];
        self.reach.error.as_deref().or(own.error.as_deref())
    }

    /// Returns why the first ability that does not work failed.
    pub(super) fn problem(&self) -> Option<&str> {
        Ability::ALL.into_iter().find_map(|it| self.error(it))
    }
}

/// Returns whether an error means that the store cannot be reached.
pub(super) fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        AddrNotAvailable
            | BrokenPipe
            | ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkDown
            | NetworkUnreachable
            | NotConnected
            | TimedOut
            | UnexpectedEof
    )
}
