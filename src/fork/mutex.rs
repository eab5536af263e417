//! A mutex whose critical sections no fork interrupts.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

use super::Section;

/// A mutex for short critical sections: a forked child finds it free, and what it guards consistent.
///
/// A thread that panics does not poison it.
#[derive(Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

/// The right to use what a [`Mutex`] guards.
pub(crate) struct MutexGuard<'a, T> {
    // Dropped in this order: the lock is free before the section ends.
    guard: parking_lot::MutexGuard<'a, T>,
    _section: Section,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Mutex(parking_lot::const_mutex(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        // Threads that queue count as inside.
        let section = Section::enter();
        MutexGuard {
            guard: self.0.lock(),
            _section: section,
        }
    }

    /// Locks unless another thread holds the lock.
    #[inline]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let section = Section::enter();
        Some(MutexGuard {
            guard: self.0.try_lock()?,
            _section: section,
        })
    }

    /// Locks before the deadline, or returns `None`. Without a deadline, waits indefinitely.
    pub(crate) fn try_lock_until(&self, deadline: Option<Instant>) -> Option<MutexGuard<'_, T>> {
        let section = Section::enter_until(deadline)?;
        let guard = match deadline {
            Some(deadline) => self.0.try_lock_until(deadline)?,
            None => self.0.lock(),
        };
        Some(MutexGuard {
            guard,
            _section: section,
        })
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl<T: fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(guard) => shown.field("value", &*guard).finish(),
            None => shown.finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn try_lock_until_fails_at_its_deadline() {
        let mutex = Mutex::new(1);
        let guard = mutex.lock();
        let deadline = Some(Instant::now() + Duration::from_millis(5));
        let found = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| mutex.try_lock_until(deadline).is_some());
            waiting.join().unwrap()
        });
        drop(guard);
        assert!(!found);
    }

    #[test]
    fn lock_succeeds_after_a_panic() {
        let mutex = Mutex::new(1);
        let panicked = std::thread::scope(|scope| {
            let panicking = scope.spawn(|| {
                let _guard = mutex.lock();
                panic!("with the lock held");
            });
            panicking.join().is_err()
        });
        assert!(panicked);
        assert_eq!(*mutex.lock(), 1);
    }
}
