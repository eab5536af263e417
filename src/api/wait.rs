//! Waiting for what takes minutes: polling with a deadline, progress and cancellation.
//!
//! A waiter succeeds when the wanted state is reached, fails at once with [`ErrorKind::WaitFailed`] when
//! it can no longer be reached or with the error of a poll that is bound to fail again, and survives
//! transient errors. When to poll is decided in `polling`.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::api::admin::{AdminClient, ClusterHandle};
use crate::api::backups::{self, Backup, BackupId, BackupStatus, Backups, Restore, RestoreState};
use crate::api::clusters::{Cluster, ClusterComponentStatus, EncryptionStatus};
use crate::api::object::{Describe, Description};
use crate::api::polling::{Action, Event, Polling};
use crate::call::{CallContext, StopReason};
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};

/// How long is waited unless said otherwise.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The longest pause between two looks unless said otherwise.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// How to wait.
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
    timeout: Duration,
    interval: Duration,
    on_progress: Option<Arc<Progress<'a, T>>>,
}

struct Progress<'a, T> {
    callback: Mutex<Callback<'a, T>>,
    /// The thread on which the callback runs at the moment.
    running_on: Mutex<Option<ThreadId>>,
}

type Callback<'a, T> = Box<dyn FnMut(&T) + Send + 'a>;

// Constructors for each type, so that the parameter of a callback needs no annotation.
impl Wait<'_, Cluster> {
    /// For a cluster: at most 30 minutes, a look every half second at first and every 10 s later on.
    pub fn new() -> Self {
        Wait::default()
    }
}

impl Wait<'_, Backup> {
    /// For a backup: at most 30 minutes, a look every half second at first and every 10 s later on.
    pub fn for_backup() -> Self {
        Wait::default()
    }
}

impl Wait<'_, Restore> {
    /// For a restore: at most 30 minutes, a look every half second at first and every 10 s later on.
    pub fn for_restore() -> Self {
        Wait::default()
    }
}

impl<'a, T> Wait<'a, T> {
    /// Deadline of the whole wait, default 30 min. The last poll is made shortly before it. The
    /// client's own timeout applies to each poll.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Maximum delay between two polls, default 10 s, minimum 10 ms. A longer `Retry-After` of the API
    /// is honored; one beyond the deadline fails the wait immediately.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Called on the calling thread after each poll that succeeded. Not called for a wait that the
    /// callback itself makes with this `Wait`.
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
            interval: self.interval,
            on_progress: self.on_progress.clone(),
        }
    }
}

impl<T> Default for Wait<'_, T> {
    fn default() -> Self {
        Wait {
            timeout: DEFAULT_TIMEOUT,
            interval: DEFAULT_INTERVAL,
            on_progress: None,
        }
    }
}

impl<T> fmt::Debug for Wait<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("timeout", &self.timeout)
            .field("interval", &self.interval)
            .field("on_progress", &self.on_progress.is_some())
            .finish()
    }
}

/// A waiter, as the generators of other languages see it.
#[derive(Debug)]
pub struct Waiter {
    /// Its plain name: `wait until healthy`.
    pub name: &'static str,
    /// Where Rust, C++ and Python have it: `cluster.wait_until_healthy`.
    pub call: &'static str,
    /// Its function in C.
    pub c_name: &'static str,
    /// The names of its arguments, the cluster's id first.
    pub arguments: &'static [&'static str],
    /// What it looks at and answers; `None` where it waits for an end.
    pub answer: Option<&'static Description>,
    /// What it waits for, and what ends it early.
    pub doc: &'static str,
}

pub(crate) static HEALTHY: Waiter = Waiter {
    name: "wait until healthy",
    call: "cluster.wait_until_healthy",
    c_name: "camunda_cluster_wait_until_healthy",
    arguments: &["clusterUuid"],
    answer: Some(Cluster::DESCRIPTION),
    doc: "Waits until the cluster is `Healthy` on two looks in a row, and answers it. Fails at once \
          where it is suspended, waits for input of its owner, or is gone.",
};

pub(crate) static DELETED: Waiter = Waiter {
    name: "wait until gone",
    call: "cluster.wait_until_deleted",
    c_name: "camunda_cluster_wait_until_deleted",
    arguments: &["clusterUuid"],
    answer: None,
    doc: "Waits until the cluster is no longer there, after its deletion.",
};

pub(crate) static UPGRADED: Waiter = Waiter {
    name: "wait until upgraded",
    call: "cluster.wait_until_upgraded",
    c_name: "camunda_cluster_wait_until_upgraded",
    arguments: &["clusterUuid", "generationId"],
    answer: Some(Cluster::DESCRIPTION),
    doc: "Waits until the cluster runs that generation (the `newGeneration.id` of the upgrade's \
          answer) and is `Healthy` on two looks in a row, and answers it. Fails at once where it \
          waits for input of its owner, or is gone.",
};

pub(crate) static WOKEN: Waiter = Waiter {
    name: "wait until woken",
    call: "cluster.wait_until_woken",
    c_name: "camunda_cluster_wait_until_woken",
    arguments: &["clusterUuid"],
    answer: Some(Cluster::DESCRIPTION),
    doc: "Waits, after `wake`, until the cluster is `Healthy` on two looks in a row, and answers \
          it. Fails at once where it waits for input of its owner, or is gone.",
};

pub(crate) static ENCRYPTED: Waiter = Waiter {
    name: "wait until encrypted",
    call: "cluster.wait_until_encrypted",
    c_name: "camunda_cluster_wait_until_encrypted",
    arguments: &["clusterUuid"],
    answer: Some(Cluster::DESCRIPTION),
    doc: "Waits, after keys were set, until `encryption.status` is `Ready`, and answers the \
          cluster. Fails at once where the key could not be set up, or the cluster is gone.",
};

pub(crate) static BACKED_UP: Waiter = Waiter {
    name: "wait until backup complete",
    call: "cluster.backups.wait_until_complete",
    c_name: "camunda_backup_wait_until_complete",
    arguments: &["clusterUuid", "backupId"],
    answer: Some(Backup::DESCRIPTION),
    doc: "Waits until the backup is complete, and answers it. Fails at once where it failed, or is \
          not among the cluster's backups.",
};

pub(crate) static RESTORED: Waiter = Waiter {
    name: "wait until restored",
    call: "cluster.backups.wait_until_restored",
    c_name: "camunda_backup_wait_until_restored",
    arguments: &["clusterUuid", "backupId"],
    answer: Some(Restore::DESCRIPTION),
    doc: "Waits until the latest restore of the backup is completed, and answers it. Fails at once \
          where it failed or was aborted.",
};

/// What a poll showed.
enum PollState {
    /// The wanted state.
    Ready,
    /// Another state, by its name.
    Pending(String),
    /// The wanted state, which has to be seen once more.
    Confirming(String),
    /// The wanted state can no longer be reached. The reason follows the name of the resource.
    Unreachable(String),
}

impl ClusterHandle<'_> {
    /// Waits until the cluster is `Healthy` on two looks in a row, and answers it.
    ///
    /// Fails at once with `Failed` where it is suspended or waits for input of its owner, and with
    /// `NotFound` where it is gone; with `Timeout` at the deadline.
    pub fn wait_until_healthy(&self, wait: &Wait<'_, Cluster>) -> Result<Cluster> {
        self.wait_for_health(
            &HEALTHY,
            wait,
            |cluster| match cluster.status.ready {
                ClusterComponentStatus::Suspended => {
                    Some("is suspended; `wake` resumes it".to_owned())
                }
                _ => None,
            },
            |_| true,
        )
    }

    /// Waits until the cluster is no longer there, after its deletion.
    pub fn wait_until_deleted(&self, wait: &Wait<'_, Cluster>) -> Result<()> {
        let look = |admin: &AdminClient| match admin.cluster(self.cluster).get() {
            Ok(cluster) => Ok(Some(cluster)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let progress = |seen: &Option<Cluster>, wait: &Wait<'_, Cluster>| {
            if let Some(cluster) = seen {
                wait.report(cluster);
            }
        };
        poll(
            self.admin,
            &DELETED,
            format!("cluster {}", self.cluster),
            wait,
            look,
            progress,
            |cluster| match cluster {
                Some(cluster) => PollState::Pending(cluster.status.ready.to_string()),
                None => PollState::Ready,
            },
        )
        .map(drop)
    }

    /// Waits until the cluster runs that generation (the `new_generation.id` of the upgrade's
    /// answer) and is `Healthy` on two looks in a row, and answers it.
    pub fn wait_until_upgraded(
        &self,
        generation_id: &str,
        wait: &Wait<'_, Cluster>,
    ) -> Result<Cluster> {
        self.wait_for_health(
            &UPGRADED,
            wait,
            |_| None,
            |cluster| cluster.generation.uuid == generation_id,
        )
    }

    /// Waits, after [`wake`](Self::wake), until the cluster is `Healthy` on two looks in a row, and
    /// answers it.
    pub fn wait_until_woken(&self, wait: &Wait<'_, Cluster>) -> Result<Cluster> {
        self.wait_for_health(&WOKEN, wait, |_| None, |_| true)
    }

    /// Waits, after [`set_encryption`](Self::set_encryption), until `encryption.status` is `Ready`,
    /// and answers the cluster. Fails at once where the key could not be set up.
    pub fn wait_until_encrypted(&self, wait: &Wait<'_, Cluster>) -> Result<Cluster> {
        let look = |admin: &AdminClient| admin.cluster(self.cluster).get();
        poll(
            self.admin,
            &ENCRYPTED,
            format!("cluster {}", self.cluster),
            wait,
            look,
            report,
            |cluster: &Cluster| {
                let encryption = cluster.encryption.as_ref();
                match encryption.and_then(|encryption| encryption.status.as_ref()) {
                    Some(EncryptionStatus::Ready) => PollState::Ready,
                    Some(status @ EncryptionStatus::CreationError) => {
                        PollState::Unreachable(format!("has the encryption status {status}"))
                    }
                    None if encryption.is_none() => {
                        PollState::Unreachable("has no encryption of its own".to_owned())
                    }
                    Some(status) => PollState::Pending(format!("encryption {status}")),
                    None => PollState::Pending("encryption without a status".to_owned()),
                }
            },
        )
    }

    fn wait_for_health(
        &self,
        waiter: &'static Waiter,
        wait: &Wait<'_, Cluster>,
        hopeless: impl Fn(&Cluster) -> Option<String>,
        wanted: impl Fn(&Cluster) -> bool,
    ) -> Result<Cluster> {
        let state = |cluster: &Cluster| {
            let generation = &cluster.generation.name;
            match cluster.status.ready.to_string() {
                ready if generation.is_empty() => ready,
                ready => format!("{ready}, generation {generation}"),
            }
        };
        let look = |admin: &AdminClient| admin.cluster(self.cluster).get();
        let mut in_a_row = 0;
        poll(
            self.admin,
            waiter,
            format!("cluster {}", self.cluster),
            wait,
            look,
            report,
            |cluster: &Cluster| {
                if cluster.status.ready == ClusterComponentStatus::WaitingForInput {
                    return PollState::Unreachable(
                        "waits for input of its owner, such as an encryption key".to_owned(),
                    );
                }
                if let Some(reason) = hopeless(cluster) {
                    return PollState::Unreachable(reason);
                }
                // Components settle one by one: a single healthy look may come too early.
                let healthy = cluster.status.ready == ClusterComponentStatus::Healthy;
                in_a_row = if healthy && wanted(cluster) {
                    in_a_row + 1
                } else {
                    0
                };
                match in_a_row {
                    0 => PollState::Pending(state(cluster)),
                    1 => PollState::Confirming(state(cluster)),
                    _ => PollState::Ready,
                }
            },
        )
    }
}

impl Backups<'_> {
    /// Waits until the backup is complete, and answers it.
    ///
    /// Fails at once with `Failed` where it failed, and with `NotFound` where it is not among the
    /// cluster's backups.
    pub fn wait_until_complete(
        &self,
        backup: &BackupId,
        wait: &Wait<'_, Backup>,
    ) -> Result<Backup> {
        let look = |admin: &AdminClient| {
            let listed = admin.cluster(self.cluster).backups().list()?;
            listed
                .into_iter()
                .find(|listed| listed.uuid == *backup)
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::NotFound,
                        Stage::Decode,
                        Outcome::Rejected,
                        "the backup is not among the cluster's backups",
                    )
                    .with_operation(backups::LIST.name)
                })
        };
        poll(
            self.admin,
            &BACKED_UP,
            format!("backup {backup} of cluster {}", self.cluster),
            wait,
            look,
            report,
            |backup: &Backup| match &backup.status {
                BackupStatus::Complete => PollState::Ready,
                BackupStatus::Failed => PollState::Unreachable(match &backup.incident_link {
                    Some(link) => format!("failed, see {link}"),
                    None => "failed".to_owned(),
                }),
                status => PollState::Pending(status.to_string()),
            },
        )
    }

    /// Waits until the latest restore of the backup is completed, and answers it.
    ///
    /// Fails at once with `Failed` where it failed or was aborted, and with `NotFound` where none was
    /// ever begun.
    pub fn wait_until_restored(
        &self,
        backup: &BackupId,
        wait: &Wait<'_, Restore>,
    ) -> Result<Restore> {
        let look =
            |admin: &AdminClient| admin.cluster(self.cluster).backups().restore_status(backup);
        poll(
            self.admin,
            &RESTORED,
            format!("restore of backup {backup} of cluster {}", self.cluster),
            wait,
            look,
            report,
            |restore: &Restore| match &restore.state {
                RestoreState::Completed => PollState::Ready,
                state @ (RestoreState::Failed | RestoreState::Aborted) => {
                    PollState::Unreachable(format!("is {state}"))
                }
                state => PollState::Pending(state.to_string()),
            },
        )
    }
}

impl<T> Wait<'_, T> {
    fn report(&self, seen: &T) {
        struct Running<'a>(&'a Mutex<Option<ThreadId>>);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
        let Some(progress) = &self.on_progress else {
            return;
        };
        let own = Some(std::thread::current().id());
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
        callback(seen);
    }
}

fn report<T>(seen: &T, wait: &Wait<'_, T>) {
    wait.report(seen);
}

/// A wait under way.
struct Waiting {
    waiter: &'static Waiter,
    /// What is waited for: `cluster 3f0e…`.
    resource: String,
    whole: CallContext,
    /// Requests sent so far.
    requests: Arc<AtomicU32>,
    last_state: Option<String>,
    last_error: Option<Error>,
}

impl Waiting {
    /// A waiter changes nothing: its outcome is certain, whatever happened to its polls.
    fn outcome(&self) -> Outcome {
        match self.requests.load(Ordering::Relaxed) {
            0 => Outcome::NotSent,
            _ => Outcome::Rejected,
        }
    }

    /// Adds the last state, and the last error unless `what` quotes it.
    fn message(&self, what: &str, quoted: bool) -> String {
        let mut message = format!("{}{what}", self.resource);
        if let Some(state) = &self.last_state {
            message.push_str(&format!("; last state: {state}"));
        }
        if let Some(error) = self.last_error.as_ref().filter(|_| !quoted) {
            message.push_str(&format!("; last error: {error}"));
        }
        message
    }

    fn finish(&self, error: Error) -> Error {
        let error = error
            .with_operation(self.waiter.name)
            .with_attempts(self.requests.load(Ordering::Relaxed))
            .with_elapsed(self.whole.started().elapsed());
        log::debug!("{error}");
        error
    }

    /// Error of a wait that the deadline or the caller ended.
    fn stop_error(self, stop: StopReason) -> Error {
        let stopped = self.whole.stop_error(stop, Stage::Request, self.outcome());
        let message = self.message(&format!(": {}", stopped.message()), false);
        let error = Error::new(stopped.kind(), stopped.stage(), stopped.outcome(), message);
        let error = self.finish(error);
        match self.last_error {
            Some(last) => error.with_underlying(last),
            None => error,
        }
    }

    /// Error of a wait that the error of a poll ended.
    fn failed(self, error: Error, note: &str) -> Error {
        let message = self.message(&format!(": {error}{note}"), true);
        let error = error.into_error_of_waiter(self.waiter.name, message, self.outcome());
        self.finish(error)
    }

    /// Error of a wait for a state that can no longer be reached.
    fn hopeless(self, reason: &str) -> Error {
        let message = format!("{} {reason}", self.resource);
        self.finish(Error::new(
            ErrorKind::WaitFailed,
            Stage::Request,
            self.outcome(),
            message,
        ))
    }
}

fn poll<T, P>(
    admin: &AdminClient,
    waiter: &'static Waiter,
    resource: String,
    wait: &Wait<'_, P>,
    look: impl Fn(&AdminClient) -> Result<T>,
    progress: impl Fn(&T, &Wait<'_, P>),
    mut judge: impl FnMut(&T) -> PollState,
) -> Result<T> {
    let mut waiting = Waiting {
        waiter,
        resource,
        whole: CallContext::start(&admin.options().clone().timeout(wait.timeout), wait.timeout),
        requests: Arc::default(),
        last_state: None,
        last_error: None,
    };
    let each = admin.call().timeout();
    let mut polling = Polling::new(wait.interval);
    loop {
        if let Err(stop) = waiting.whole.check() {
            return Err(waiting.stop_error(stop));
        }
        let options = waiting
            .whole
            .options()
            .clone()
            .timeout(each.min(waiting.whole.remaining()))
            .counting_requests(waiting.requests.clone());
        let begun = Instant::now();
        let result = look(&admin.with(options));
        let took = begun.elapsed();
        let (event, error) = match result {
            Ok(seen) => {
                waiting.last_error = None;
                progress(&seen, wait);
                let (event, state) = match judge(&seen) {
                    PollState::Ready => return Ok(seen),
                    PollState::Unreachable(reason) => return Err(waiting.hopeless(&reason)),
                    PollState::Pending(state) => (Event::Pending, state),
                    PollState::Confirming(state) => (Event::Confirming, state),
                };
                waiting.last_state = Some(state);
                (event, None)
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                return Err(waiting.stop_error(StopReason::Cancelled));
            }
            Err(error) if waiting.whole.remaining().is_zero() => {
                // A poll that the deadline ended says less than the one before.
                if error.kind() != ErrorKind::Timeout || waiting.last_state.is_none() {
                    waiting.last_error.get_or_insert(error);
                }
                return Err(waiting.stop_error(StopReason::Deadline));
            }
            Err(error) => {
                let event = Event::Failed {
                    kind: error.kind(),
                    permanent: error.is_permanent(),
                    retry_after: error.retry_after(),
                };
                (event, Some(error))
            }
        };
        let delay = match (polling.next(&event, took, waiting.whole.remaining()), error) {
            (Action::Fail, Some(error)) => return Err(waiting.failed(error, "")),
            (Action::FailBeforeRetryAfter, Some(error)) => {
                return Err(waiting.failed(error, ", which is after the deadline"));
            }
            (Action::PollAfter(delay) | Action::TimeOutAfter(delay), error) => {
                if let Some(error) = error {
                    log::info!(
                        "poll failed, retrying: operation={:?} delay={delay:?} error={error}",
                        waiter.name
                    );
                    waiting.last_error = Some(error);
                }
                delay
            }
            (Action::Fail | Action::FailBeforeRetryAfter, None) => {
                unreachable!("only the error of a poll ends a wait")
            }
        };
        if let Err(stop) = waiting.whole.sleep(delay) {
            return Err(waiting.stop_error(stop));
        }
    }
}
