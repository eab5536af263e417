//! Fork safety: detects forks, keeps critical sections out of them, and gives a forked child state
//! and descriptors of its own.
//!
//! - A fork waits until no thread is inside, or queued for, a critical section of the library: the
//!   child inherits consistent data and free locks. Nothing blocks inside a critical section: no
//!   I/O, no callback, no log record.
//! - [`fork_count`] is different in parent and child. What belongs to a process (locks that are held
//!   for long, sockets, locked files) remembers the fork count of that process, and a child leaves
//!   it alone.
//! - A fork waits, for a limited time, for the library's own DNS lookups, because they take locks of
//!   the C library ([`ForkSensitive`]).
//! - No function here blocks on a thread that the child does not have.
//!
//! `vfork`, `posix_spawn` and `fork` followed by `exec` need none of this and are not disturbed. On
//! systems without `fork` the fork count is always 0, and critical sections cost nothing.
//!
//! Hazards remain where the program's own threads hold such locks during a fork: a thread that
//! resolves a name can leave glibc's resolver locked in the child; in a Rust program, a thread that
//! starts or ends can leave std's table of threads locked, and threads that block on `parking_lot`
//! locks can leave its table of waiting threads locked. A call in such a child fails at its deadline.
//!
//! Must not depend on any other module of the library.

#[cfg(unix)]
mod descriptor;
#[cfg(unix)]
mod detect;
mod mutex;
mod per_process;
#[cfg(all(test, unix))]
pub(crate) mod tests;

#[cfg(unix)]
pub(crate) use descriptor::{ProcessOwned, above_standard_streams};
#[cfg(unix)]
pub(crate) use detect::{ForkSensitive, InUse, Section, fork_count};
pub(crate) use mutex::{Mutex, MutexGuard};
#[cfg(not(unix))]
pub(crate) use no_fork::{
    ForkSensitive, InUse, ProcessOwned, Section, above_standard_streams, fork_count,
};
pub(crate) use per_process::PerProcess;

#[cfg(unix)]
use detect::{inconsistent_since, interrupted_since, watch};
#[cfg(not(unix))]
use no_fork::{inconsistent_since, interrupted_since, watch};

/// The same interface for systems without `fork`.
#[cfg(not(unix))]
mod no_fork {
    use std::ops::{Deref, DerefMut};
    use std::time::Instant;

    /// See the Unix implementation.
    #[derive(Debug)]
    pub(crate) struct Section;

    impl Section {
        pub(crate) fn enter() -> Self {
            Section
        }

        pub(crate) fn enter_until(_deadline: Option<Instant>) -> Option<Self> {
            Some(Section)
        }
    }

    /// See the Unix implementation.
    #[derive(Debug)]
    pub(crate) struct InUse;

    impl InUse {
        pub(crate) fn begin() -> Self {
            InUse
        }
    }

    /// See the Unix implementation.
    #[derive(Debug)]
    pub(crate) struct ForkSensitive;

    impl ForkSensitive {
        pub(crate) fn begin() -> Self {
            ForkSensitive
        }

        pub(crate) fn is_inherited(&self) -> bool {
            false
        }
    }

    pub(crate) fn fork_count() -> u32 {
        0
    }

    pub(super) fn inconsistent_since() -> u32 {
        0
    }

    pub(super) fn interrupted_since() -> u32 {
        0
    }

    pub(super) fn watch() {}

    /// See the Unix implementation. On other systems, handles and standard streams have no numbers in
    /// common.
    pub(crate) fn above_standard_streams<T>(value: T) -> T {
        value
    }

    /// See the Unix implementation.
    #[derive(Debug)]
    pub(crate) struct ProcessOwned<T>(T);

    impl<T> ProcessOwned<T> {
        pub(crate) fn new(value: T) -> Self {
            ProcessOwned(value)
        }

        pub(crate) fn map<U>(self, convert: impl FnOnce(T) -> U) -> ProcessOwned<U> {
            ProcessOwned(convert(self.0))
        }
    }

    impl<T> Deref for ProcessOwned<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    impl<T> DerefMut for ProcessOwned<T> {
        fn deref_mut(&mut self) -> &mut T {
            &mut self.0
        }
    }
}
