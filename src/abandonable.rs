//! Threads for blocking system calls that cannot be interrupted, such as DNS resolution.
//!
//! A caller waits for such a thread until its own deadline and then abandons it. The number of these
//! threads is limited, so that a server or a resolver that does not respond cannot use up the
//! process's threads.
//!
//! Must not depend on any module but `fork`.

use std::io;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};

use crate::fork::{ForkSensitive, fork_count};

/// A limit on the number of threads of one kind, per process: a forked child has none of its
/// parent's threads.
pub(crate) struct ThreadLimit {
    name: &'static str,
    limit: u32,
    /// The fork count of the process, and below it the number of permits in use.
    used: AtomicU64,
}

impl ThreadLimit {
    /// Creates a limit for threads of a name.
    pub(crate) const fn new(name: &'static str, limit: u32) -> Self {
        ThreadLimit {
            name,
            limit,
            used: AtomicU64::new(0),
        }
    }

    /// Returns a permit to start a thread, or `None` if the limit is reached.
    ///
    /// Waits for the end of a fork in progress, so it must not be called with a mutex locked that
    /// other calls need.
    pub(crate) fn acquire(&'static self) -> Option<ThreadPermit> {
        let sensitive = ForkSensitive::begin();
        let process = fork_count();
        let acquired = self
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                let count = count(used, process);
                (count < self.limit).then(|| packed(process, count + 1))
            });
        // Not `then_some`, which would create, and drop, a permit in any case.
        acquired.is_ok().then(|| ThreadPermit {
            count: PermitCount { of: self, process },
            sensitive,
        })
    }
}

fn count(used: u64, process: u32) -> u32 {
    if used >> 32 == u64::from(process) {
        used as u32
    } else {
        0
    }
}

fn packed(process: u32, count: u32) -> u64 {
    u64::from(process) << 32 | u64::from(count)
}

/// A permit to run one thread; returned when dropped.
pub(crate) struct ThreadPermit {
    count: PermitCount,
    sensitive: ForkSensitive,
}

/// Counts as a thread until it is dropped.
struct PermitCount {
    of: &'static ThreadLimit,
    process: u32,
}

impl ThreadPermit {
    /// Starts a thread, which returns the permit after `work`.
    ///
    /// # Errors
    ///
    /// The operating system cannot create a thread: the limit on threads or memory of the process, its user
    /// or its container is reached. The message says so, since the text of the system's error does not.
    pub(crate) fn start(
        self,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<AbandonableThread> {
        let ThreadPermit { count, sensitive } = self;
        let name = count.of.name.to_owned();
        let started = Builder::new().name(name).spawn(move || {
            work();
            drop(count);
        });
        let thread = started.map_err(|error| {
            io::Error::new(error.kind(), format!("no thread can be started: {error}"))
        })?;
        Ok(AbandonableThread { thread, sensitive })
    }
}

impl Drop for PermitCount {
    fn drop(&mut self) {
        let _ = self
            .of
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
                let count = count(used, self.process).checked_sub(1)?;
                Some(packed(self.process, count))
            });
    }
}

/// A running thread. Dropping it abandons the thread, which continues.
pub(crate) struct AbandonableThread {
    thread: JoinHandle<()>,
    /// Forks wait for the thread, for a limited time, until it is joined or abandoned.
    sensitive: ForkSensitive,
}

impl AbandonableThread {
    /// Waits for the end of a thread whose work is done.
    pub(crate) fn join(self) {
        let AbandonableThread { thread, sensitive } = self;
        if sensitive.is_inherited() {
            // The thread does not exist in this process.
            mem::forget(thread);
        } else {
            // A panic inside the thread has left its work undone, which the caller detects.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn limit(limit: u32) -> &'static ThreadLimit {
        Box::leak(Box::new(ThreadLimit::new("camunda-test", limit)))
    }

    #[test]
    fn acquire_fails_at_the_limit_until_a_thread_ends() {
        let threads = limit(1);
        let (release, released) = mpsc::channel::<()>();
        let running = threads.acquire().unwrap().start(move || {
            let _ = released.recv();
        });
        assert!(threads.acquire().is_none());
        drop(release);
        running.unwrap().join();
        assert!(threads.acquire().is_some());
    }

    #[test]
    fn acquire_does_not_count_permits_of_another_process() {
        let threads = limit(1);
        let parent = fork_count().wrapping_add(1);
        threads.used.store(packed(parent, 1), Ordering::SeqCst);
        let permit = threads.acquire().unwrap();
        assert!(threads.acquire().is_none());
        drop(permit);
        assert!(threads.acquire().is_some());
    }
}
