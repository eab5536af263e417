//! Options of a waiter, and its progress callback.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::api::backups::{Backup, Restore};
use crate::api::clusters::Cluster;
use crate::call::current_thread;

/// Default timeout of a wait.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Default maximum delay between two polls.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// Options of a waiter: timeout, poll interval and progress callback.
///
/// ```no_run
/// # use camunda_admin::{AdminClient, ClusterId, Wait};
/// # use std::time::Duration;
/// # let admin = AdminClient::from_env()?;
/// # let id = ClusterId::new("…")?;
/// let wait = Wait::new()
///     .timeout(Duration::from_secs(20 * 60))
///     .on_progress(|cluster| println!("{}", cluster.status.ready));
/// admin.cluster(&id).wait_until_healthy(&wait)?;
/// # Ok::<(), camunda_admin::Error>(())
/// ```
///
/// Clones share the callback, which runs on one thread at a time.
pub struct Wait<'a, T> {
    pub(super) timeout: Duration,
    pub(super) max_poll_interval: Duration,
    on_progress: Option<Arc<Progress<'a, T>>>,
}

struct Progress<'a, T> {
    callback: Mutex<Callback<'a, T>>,
    /// The thread on which the callback runs at the moment.
    running_on: Mutex<Option<usize>>,
}

type Callback<'a, T> = Box<dyn FnMut(&T) + Send + 'a>;

// Constructors for each type, so that the parameter of a callback needs no annotation.
impl Wait<'_, Cluster> {
    /// Creates the default options for a cluster: a timeout of 30 min, and a delay between two
    /// polls that grows from 0.5 s to 10 s.
    #[must_use]
    pub fn new() -> Self {
        Wait::default()
    }
}

impl Wait<'_, Backup> {
    /// Creates the default options for a backup: a timeout of 30 min, and a delay between two polls
    /// that grows from 0.5 s to 10 s.
    #[must_use]
    pub fn for_backup() -> Self {
        Wait::default()
    }
}

impl Wait<'_, Restore> {
    /// Creates the default options for a restore: a timeout of 30 min, and a delay between two
    /// polls that grows from 0.5 s to 10 s.
    #[must_use]
    pub fn for_restore() -> Self {
        Wait::default()
    }
}

impl<'a, T> Wait<'a, T> {
    /// Sets the timeout of the whole wait, default 30 min. The last poll is sent shortly before the
    /// deadline. The client's own timeout applies to each poll.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the maximum delay between two polls, default 10 s, minimum 10 ms. A longer
    /// `Retry-After` of the API is honored; one beyond the deadline fails the wait immediately.
    #[must_use]
    pub fn max_poll_interval(mut self, interval: Duration) -> Self {
        self.max_poll_interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Sets a callback that runs on the calling thread after each successful poll, with the
    /// resource as polled. It does not run for a wait that the callback itself starts with this
    /// `Wait`.
    #[must_use]
    pub fn on_progress(mut self, progress: impl FnMut(&T) + Send + 'a) -> Self {
        self.on_progress = Some(Arc::new(Progress {
            callback: Mutex::new(Box::new(progress)),
            running_on: Mutex::default(),
        }));
        self
    }
}

impl<T> Clone for Wait<'_, T> {
    fn clone(&self) -> Self {
        Wait {
            timeout: self.timeout,
            max_poll_interval: self.max_poll_interval,
            on_progress: self.on_progress.clone(),
        }
    }
}

impl<T> Default for Wait<'_, T> {
    fn default() -> Self {
        Wait {
            timeout: DEFAULT_TIMEOUT,
            max_poll_interval: DEFAULT_INTERVAL,
            on_progress: None,
        }
    }
}

impl<T> fmt::Debug for Wait<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("timeout", &self.timeout)
            .field("max_poll_interval", &self.max_poll_interval)
            .field("on_progress", &self.on_progress.is_some())
            .finish()
    }
}

impl<T> Wait<'_, T> {
    /// Runs the callback, unless it runs on this thread already.
    pub(super) fn report(&self, resource: &T) {
        struct Running<'a>(&'a Mutex<Option<usize>>);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
        let Some(progress) = &self.on_progress else {
            return;
        };
        let own = Some(current_thread());
        let running_on = || {
            progress
                .running_on
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if *running_on() == own {
            return;
        }
        let mut callback = progress
            .callback
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *running_on() = own;
        let _running = Running(&progress.running_on);
        callback(resource);
    }
}
