//! Locks of the token cache: a mutex for short critical sections, and a signal for long waits.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex as WaitMutex, MutexGuard as WaitGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) use crate::call::current_thread;
pub(super) use crate::fork::{Mutex, MutexGuard};

use crate::fork::fork_count;

/// Maximum time that a child waits for a lock of its parent's cache.
const INHERIT_TIMEOUT: Duration = Duration::from_millis(200);

/// Locks a mutex of the parent's cache, which is free unless another thread of the child copies it
/// too.
pub(super) fn lock_inherited<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    mutex.try_lock_until(Instant::now().checked_add(INHERIT_TIMEOUT))
}

/// Wakes the threads that wait for a change of the data that a [`Mutex`] guards.
///
/// Uses the standard library's primitives, not `parking_lot`'s: a fork cannot wait until long waits
/// end, and a waiting thread must not leave state behind that the child shares with others. A child
/// neither waits for nor notifies the parent's threads.
#[derive(Debug)]
pub(super) struct Signal {
    fork_count: u32,
    epoch: AtomicU64,
    waiting: WaitMutex<()>,
    notified: Condvar,
}

impl Signal {
    pub(super) fn new() -> Self {
        Signal {
            fork_count: fork_count(),
            epoch: AtomicU64::new(0),
            waiting: WaitMutex::new(()),
            notified: Condvar::new(),
        }
    }

    /// Returns the number of notifications so far. Read it with the mutex locked: then
    /// [`wait_timeout`](Self::wait_timeout) misses no later change.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Waits for a notification after `epoch`. Returns early if the process is a forked child, in
    /// which no thread could send one.
    pub(super) fn wait_timeout(&self, epoch: u64, timeout: Duration) {
        if self.fork_count != fork_count() {
            return;
        }
        let guard = self.lock();
        drop(
            self.notified
                .wait_timeout_while(guard, timeout, |()| self.epoch() == epoch),
        );
    }

    /// Wakes all threads that wait. Must not be called with the mutex locked.
    pub(super) fn notify_all(&self) {
        if self.fork_count == fork_count() {
            let guard = self.lock();
            self.epoch.fetch_add(1, Ordering::AcqRel);
            drop(guard);
            self.notified.notify_all();
        }
    }

    fn lock(&self) -> WaitGuard<'_, ()> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
