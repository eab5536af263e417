//! Waiters: poll a resource until it reaches the wanted state, with deadline, progress and
//! cancellation.
//!
//! A waiter succeeds when the resource reaches the wanted state. It fails immediately with
//! [`ErrorKind::WaitFailed`] if the resource can no longer reach that state, and with the error of
//! a poll if that error is permanent. It continues after transient errors. `polling` decides when
//! to poll.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::api::admin::AdminClient;
use crate::api::backups::{self, Backup, BackupId, BackupStatus, Backups, Restore, RestoreState};
use crate::api::cluster_handle::ClusterHandle;
use crate::api::clusters::{Cluster, ClusterComponentStatus, EncryptionStatus, GenerationId};
use crate::api::polling::{Action, Event, Polling};
use crate::api::schema::{Describe, Description};
use crate::call::{CallContext, StopReason, current_thread};
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::transport::{is_markup, logs};

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
    timeout: Duration,
    max_poll_interval: Duration,
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

/// Description of a waiter, from which the functions of the other languages are generated.
#[derive(Debug)]
pub struct Waiter {
    /// Name in errors and logs, such as `wait until healthy`.
    pub name: &'static str,
    /// Method in Rust, C++ and Python, such as `cluster.wait_until_healthy`.
    pub sdk_method: &'static str,
    /// Function in C.
    pub c_function: &'static str,
    /// Names of the arguments, the cluster's id first.
    pub arguments: &'static [&'static str],
    /// Type of the resource that it polls and returns; `None` if it waits for the deletion.
    pub response: Option<&'static Description>,
    /// Documentation: the wanted state, and the states in which it fails.
    pub doc: &'static str,
}

pub(crate) static HEALTHY: Waiter = Waiter {
    name: "wait until healthy",
    sdk_method: "cluster.wait_until_healthy",
    c_function: "camunda_cluster_wait_until_healthy",
    arguments: &["clusterUuid"],
    response: Some(Cluster::DESCRIPTION),
    doc: "Waits until the cluster is `Healthy` in two consecutive polls, and returns it. Fails \
          immediately if the cluster is suspended, waits for input of its owner, or does not exist.",
};

pub(crate) static DELETED: Waiter = Waiter {
    name: "wait until deleted",
    sdk_method: "cluster.wait_until_deleted",
    c_function: "camunda_cluster_wait_until_deleted",
    arguments: &["clusterUuid"],
    response: None,
    doc: "Waits until the cluster no longer exists, after its deletion. An HTML page with HTTP 404 can \
          be that of a proxy: the list of clusters then decides whether the cluster exists.",
};

pub(crate) static UPGRADED: Waiter = Waiter {
    name: "wait until upgraded",
    sdk_method: "cluster.wait_until_upgraded",
    c_function: "camunda_cluster_wait_until_upgraded",
    arguments: &["clusterUuid", "generationId"],
    response: Some(Cluster::DESCRIPTION),
    doc: "Waits until the cluster runs that generation (the `newGeneration.id` of the upgrade's \
          response) and is `Healthy` in two consecutive polls, and returns it. Fails immediately \
          if the cluster waits for input of its owner or does not exist.",
};

pub(crate) static WOKEN: Waiter = Waiter {
    name: "wait until woken",
    sdk_method: "cluster.wait_until_woken",
    c_function: "camunda_cluster_wait_until_woken",
    arguments: &["clusterUuid"],
    response: Some(Cluster::DESCRIPTION),
    doc: "Waits, after `wake`, until the cluster is `Healthy` in two consecutive polls, and \
          returns it. Fails immediately if the cluster waits for input of its owner or does not \
          exist.",
};

pub(crate) static ENCRYPTED: Waiter = Waiter {
    name: "wait until encrypted",
    sdk_method: "cluster.wait_until_encrypted",
    c_function: "camunda_cluster_wait_until_encrypted",
    arguments: &["clusterUuid"],
    response: Some(Cluster::DESCRIPTION),
    doc: "Waits, after the encryption keys were set, until `encryption.status` is `Ready`, and \
          returns the cluster. Fails immediately if the key could not be set up or the cluster \
          does not exist.",
};

pub(crate) static BACKED_UP: Waiter = Waiter {
    name: "wait until backup complete",
    sdk_method: "cluster.backups.wait_until_complete",
    c_function: "camunda_backup_wait_until_complete",
    arguments: &["clusterUuid", "backupId"],
    response: Some(Backup::DESCRIPTION),
    doc: "Waits until the backup is complete, and returns it. Fails immediately if the backup \
          failed or is not in the list of the cluster's backups.",
};

pub(crate) static RESTORED: Waiter = Waiter {
    name: "wait until restored",
    sdk_method: "cluster.backups.wait_until_restored",
    c_function: "camunda_backup_wait_until_restored",
    arguments: &["clusterUuid", "backupId"],
    response: Some(Restore::DESCRIPTION),
    doc: "Waits until the latest restore of the backup is completed, and returns it. Fails \
          immediately if the restore failed or was aborted, or if there was none.",
};

/// Classification of a successful poll.
enum PollState {
    /// The wanted state.
    Ready,
    /// Another state, with its description.
    Pending(String),
    /// The wanted state, but only if the previous or the next poll has the same result.
    Confirming(String),
    /// The wanted state can no longer be reached. The reason follows the name of the resource.
    Unreachable(String),
}

impl ClusterHandle {
    /// Waits until the cluster is `Healthy` in two consecutive polls, and returns it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WaitFailed`] immediately if the cluster is suspended or waits for input of its
    /// owner; [`ErrorKind::NotFound`] if it does not exist; [`ErrorKind::Timeout`] at the deadline;
    /// [`ErrorKind::Cancelled`].
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

    /// Waits until the cluster no longer exists, after its deletion.
    ///
    /// An HTML page with HTTP 404 can be that of a proxy. In that case the list of clusters decides
    /// whether the cluster exists.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] at the deadline; [`ErrorKind::Cancelled`].
    pub fn wait_until_deleted(&self, wait: &Wait<'_, Cluster>) -> Result<()> {
        let request = |admin: &AdminClient| match admin.cluster(&self.cluster).get() {
            Ok(cluster) => Ok(Some(cluster)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if !error.body().is_some_and(is_markup) {
                    return Ok(None);
                }
                let mut clusters = admin.clusters().list()?.into_iter();
                Ok(clusters.find(|cluster| cluster.uuid == self.cluster))
            }
            Err(error) => Err(error),
        };
        let progress = |polled: &Option<Cluster>, wait: &Wait<'_, Cluster>| {
            if let Some(cluster) = polled {
                wait.report(cluster);
            }
        };
        poll(
            &self.admin,
            &DELETED,
            format!("cluster {}", self.cluster),
            wait,
            request,
            progress,
            |cluster| match cluster {
                Some(cluster) => PollState::Pending(cluster.status.ready.to_string()),
                None => PollState::Ready,
            },
        )
        .map(drop)
    }

    /// Waits until the cluster runs that generation (the `new_generation.id` of the upgrade's
    /// response) and is `Healthy` in two consecutive polls, and returns it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WaitFailed`] immediately if the cluster waits for input of its owner;
    /// [`ErrorKind::NotFound`] if it does not exist; [`ErrorKind::Timeout`] at the deadline;
    /// [`ErrorKind::Cancelled`].
    pub fn wait_until_upgraded(
        &self,
        generation_id: &GenerationId,
        wait: &Wait<'_, Cluster>,
    ) -> Result<Cluster> {
        self.wait_for_health(
            &UPGRADED,
            wait,
            |_| None,
            |cluster| cluster.generation.uuid.as_ref() == Some(generation_id),
        )
    }

    /// Waits, after [`wake`](Self::wake), until the cluster is `Healthy` in two consecutive polls,
    /// and returns it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WaitFailed`] immediately if the cluster waits for input of its owner;
    /// [`ErrorKind::NotFound`] if it does not exist; [`ErrorKind::Timeout`] at the deadline;
    /// [`ErrorKind::Cancelled`].
    pub fn wait_until_woken(&self, wait: &Wait<'_, Cluster>) -> Result<Cluster> {
        self.wait_for_health(&WOKEN, wait, |_| None, |_| true)
    }

    /// Waits, after [`set_encryption`](Self::set_encryption), until `encryption.status` is `Ready`,
    /// and returns the cluster.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WaitFailed`] immediately if the key could not be set up;
    /// [`ErrorKind::NotFound`] if the cluster does not exist; [`ErrorKind::Timeout`] at the
    /// deadline; [`ErrorKind::Cancelled`].
    pub fn wait_until_encrypted(&self, wait: &Wait<'_, Cluster>) -> Result<Cluster> {
        let request = |admin: &AdminClient| admin.cluster(&self.cluster).get();
        poll(
            &self.admin,
            &ENCRYPTED,
            format!("cluster {}", self.cluster),
            wait,
            request,
            report,
            |cluster: &Cluster| {
                let encryption = cluster.encryption.as_ref();
                match encryption.and_then(|encryption| encryption.status.as_ref()) {
                    Some(EncryptionStatus::Ready) => PollState::Ready,
                    Some(status @ EncryptionStatus::CreationError) => {
                        PollState::Unreachable(format!("has the encryption status {status}"))
                    }
                    None if encryption.is_none() => {
                        PollState::Unreachable("has no `encryption`".to_owned())
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
        unreachable: impl Fn(&Cluster) -> Option<String>,
        wanted: impl Fn(&Cluster) -> bool,
    ) -> Result<Cluster> {
        let state = |cluster: &Cluster| {
            let generation = &cluster.generation.name;
            match cluster.status.ready.to_string() {
                ready if generation.is_empty() => ready,
                ready => format!("{ready}, generation {generation}"),
            }
        };
        let request = |admin: &AdminClient| admin.cluster(&self.cluster).get();
        poll(
            &self.admin,
            waiter,
            format!("cluster {}", self.cluster),
            wait,
            request,
            report,
            |cluster: &Cluster| {
                if cluster.status.ready == ClusterComponentStatus::WaitingForInput {
                    return PollState::Unreachable(
                        "waits for input of its owner, such as an encryption key".to_owned(),
                    );
                }
                if let Some(reason) = unreachable(cluster) {
                    return PollState::Unreachable(reason);
                }
                // The components become healthy one by one: a single healthy poll can be premature.
                match cluster.status.ready == ClusterComponentStatus::Healthy && wanted(cluster) {
                    true => PollState::Confirming(state(cluster)),
                    false => PollState::Pending(state(cluster)),
                }
            },
        )
    }
}

impl Backups {
    /// Waits until the backup is complete, and returns it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WaitFailed`] immediately if the backup failed; [`ErrorKind::NotFound`] if it is
    /// not in the list of the cluster's backups; [`ErrorKind::Timeout`] at the deadline;
    /// [`ErrorKind::Cancelled`].
    pub fn wait_until_complete(
        &self,
        backup: &BackupId,
        wait: &Wait<'_, Backup>,
    ) -> Result<Backup> {
        let request = |admin: &AdminClient| {
            let listed = admin.cluster(&self.cluster).backups().list()?;
            listed
                .into_iter()
                .find(|listed| listed.uuid == *backup)
                .ok_or_else(|| {
                    Error::new(
                        ErrorKind::NotFound,
                        Stage::Decode,
                        Outcome::Rejected,
                        "the backup is not in the list of the cluster's backups",
                    )
                    .with_operation(backups::LIST.name)
                })
        };
        poll(
            &self.admin,
            &BACKED_UP,
            format!("backup {backup} of cluster {}", self.cluster),
            wait,
            request,
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

    /// Waits until the latest restore of the backup is completed, and returns it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WaitFailed`] immediately if the restore failed or was aborted;
    /// [`ErrorKind::NotFound`] if none was started; [`ErrorKind::Timeout`] at the deadline;
    /// [`ErrorKind::Cancelled`].
    pub fn wait_until_restored(
        &self,
        backup: &BackupId,
        wait: &Wait<'_, Restore>,
    ) -> Result<Restore> {
        let request = |admin: &AdminClient| {
            admin
                .cluster(&self.cluster)
                .backups()
                .restore_status(backup)
        };
        poll(
            &self.admin,
            &RESTORED,
            format!("restore of backup {backup} of cluster {}", self.cluster),
            wait,
            request,
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
    fn report(&self, resource: &T) {
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

fn report<T>(resource: &T, wait: &Wait<'_, T>) {
    wait.report(resource);
}

/// State of a wait in progress.
struct Waiting {
    waiter: &'static Waiter,
    /// The polled resource, such as `cluster 3f0e…`.
    resource: String,
    /// The wait, polls included.
    call: CallContext,
    /// Requests sent so far.
    requests: Arc<AtomicU32>,
    last_state: Option<String>,
    last_error: Option<Error>,
}

impl Waiting {
    /// Returns the outcome. It is never unknown, because a waiter changes nothing.
    fn outcome(&self) -> Outcome {
        match self.requests.load(Ordering::Relaxed) {
            0 => Outcome::NotSent,
            _ => Outcome::Rejected,
        }
    }

    /// Returns an error message with the last state, and with the last error unless `text` quotes
    /// it.
    fn message(&self, text: &str, quoted: bool) -> String {
        let mut message = format!("{}{text}", self.resource);
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
            .with_elapsed(self.call.started().elapsed());
        logs::failure(self.waiter.name, &error);
        error
    }

    /// Returns the error of a wait that the deadline or the caller ended.
    fn stop_error(self, stop: StopReason) -> Error {
        let stopped = self.call.stop_error(stop, Stage::Request, self.outcome());
        let message = self.message(&format!(": {}", stopped.message()), false);
        let error = Error::new(stopped.kind(), stopped.stage(), stopped.outcome(), message);
        let error = self.finish(error);
        match self.last_error {
            Some(last) => error.with_underlying(last),
            None => error,
        }
    }

    /// Returns the error of a wait that the error of a poll ended.
    fn failed(self, error: Error, note: &str) -> Error {
        let message = self.message(&format!(": {error}{note}"), true);
        let error = error.into_error_of_waiter(self.waiter.name, message, self.outcome());
        self.finish(error)
    }

    /// Returns the error of a wait for a state that the resource can no longer reach.
    fn unreachable(self, reason: &str) -> Error {
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
    request: impl Fn(&AdminClient) -> Result<T>,
    progress: impl Fn(&T, &Wait<'_, P>),
    classify: impl Fn(&T) -> PollState,
) -> Result<T> {
    let mut waiting = Waiting {
        waiter,
        resource,
        call: CallContext::start(&admin.options().clone().timeout(wait.timeout), wait.timeout),
        requests: Arc::default(),
        last_state: None,
        last_error: None,
    };
    let poll_timeout = admin.call().timeout();
    let mut polling = Polling::new(wait.max_poll_interval);
    // Whether the previous poll has to be confirmed. A failed poll confirms nothing.
    let mut confirming = false;
    loop {
        if let Err(stop) = waiting.call.check() {
            return Err(waiting.stop_error(stop));
        }
        let options = waiting
            .call
            .options()
            .clone()
            .timeout(poll_timeout.min(waiting.call.remaining()))
            .counting_requests(waiting.requests.clone());
        let begun = Instant::now();
        let result = request(&admin.with(options));
        let took = begun.elapsed();
        let (event, error) = match result {
            Ok(polled) => {
                waiting.last_error = None;
                progress(&polled, wait);
                let (event, state) = match classify(&polled) {
                    PollState::Ready => return Ok(polled),
                    PollState::Confirming(_) if confirming => return Ok(polled),
                    PollState::Unreachable(reason) => return Err(waiting.unreachable(&reason)),
                    PollState::Pending(state) => (Event::Pending, state),
                    PollState::Confirming(state) => (Event::Confirming, state),
                };
                waiting.last_state = Some(state);
                (event, None)
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => {
                return Err(waiting.stop_error(StopReason::Cancelled));
            }
            Err(error) if waiting.call.remaining().is_zero() => {
                // The previous error has more information than that of a poll that the deadline
                // ended.
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
        confirming = event == Event::Confirming;
        let delay = match (polling.next(&event, took, waiting.call.remaining()), error) {
            (Action::Fail, Some(error)) => return Err(waiting.failed(error, "")),
            (Action::FailBeforeRetryAfter, Some(error)) => {
                return Err(waiting.failed(error, ", which is after the deadline"));
            }
            (Action::PollAfter(delay) | Action::TimeOutAfter(delay), error) => {
                if let Some(error) = error {
                    logs::poll_retry(waiter.name, delay, &error);
                    waiting.last_error = Some(error);
                }
                delay
            }
            (Action::Fail | Action::FailBeforeRetryAfter, None) => {
                unreachable!("only the error of a poll ends a wait")
            }
        };
        if let Err(stop) = waiting.call.sleep(delay) {
            return Err(waiting.stop_error(stop));
        }
    }
}
