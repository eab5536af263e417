//! Waiting for what takes minutes: polling with a deadline, progress and cancellation.
//!
//! A waiter ends well when the wanted state is there, at once with [`ErrorKind::Failed`] when it
//! can no longer come, and survives errors that pass.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use crate::api::admin::{AdminClient, ClusterHandle};
use crate::api::backups::{self, Backup, BackupId, BackupStatus, Backups, Restore, RestoreState};
use crate::api::clusters::{Cluster, ClusterComponentStatus, EncryptionStatus};
use crate::api::object::{Describe, Description};
use crate::call::{Call, Stop};
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};

/// How long is waited unless said otherwise.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The first pause between two looks; each further one is half as long again.
const FIRST_INTERVAL: Duration = Duration::from_millis(500);
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
pub struct Wait<'a, T> {
    timeout: Duration,
    interval: Duration,
    on_progress: Option<Progress<'a, T>>,
}

type Progress<'a, T> = RefCell<Box<dyn FnMut(&T) + 'a>>;

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
    /// The deadline of the whole wait. The client's own timeout holds for each look.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The longest pause between two looks, 10 s unless set; never less than 10 ms.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(10));
        self
    }

    /// Called on the calling thread after each look that succeeded.
    pub fn on_progress(mut self, progress: impl FnMut(&T) + 'a) -> Self {
        self.on_progress = Some(RefCell::new(Box::new(progress)));
        self
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

pub(crate) static GONE: Waiter = Waiter {
    name: "wait until gone",
    call: "cluster.wait_until_gone",
    c_name: "camunda_cluster_wait_until_gone",
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

/// What a look showed.
enum Seen {
    /// The wanted state.
    Reached,
    /// Not yet.
    Pending,
    /// It cannot come any more, and why.
    Hopeless(String),
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
                    Some("the cluster is suspended; `wake` resumes it".to_owned())
                }
                _ => None,
            },
            |_| true,
        )
    }

    /// Waits until the cluster is no longer there, after its deletion.
    pub fn wait_until_gone(&self, wait: &Wait<'_, Cluster>) -> Result<()> {
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
            &GONE,
            wait,
            look,
            progress,
            |cluster| match cluster {
                Some(_) => Seen::Pending,
                None => Seen::Reached,
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
            wait,
            look,
            report,
            |cluster: &Cluster| {
                let encryption = cluster.encryption.as_ref();
                match encryption.and_then(|encryption| encryption.status.as_ref()) {
                    Some(EncryptionStatus::Ready) => Seen::Reached,
                    Some(status @ EncryptionStatus::CreationError) => {
                        Seen::Hopeless(format!("the encryption is {status}"))
                    }
                    None if encryption.is_none() => {
                        Seen::Hopeless("the cluster has no encryption of its own".to_owned())
                    }
                    _ => Seen::Pending,
                }
            },
        )
    }

    fn wait_for_health(
        &self,
        waiter: &Waiter,
        wait: &Wait<'_, Cluster>,
        hopeless: impl Fn(&Cluster) -> Option<String>,
        wanted: impl Fn(&Cluster) -> bool,
    ) -> Result<Cluster> {
        let look = |admin: &AdminClient| admin.cluster(self.cluster).get();
        let mut in_a_row = 0;
        poll(
            self.admin,
            waiter,
            wait,
            look,
            report,
            |cluster: &Cluster| {
                if cluster.status.ready == ClusterComponentStatus::WaitingForInput {
                    return Seen::Hopeless(
                        "the cluster waits for input of its owner, such as an encryption key"
                            .to_owned(),
                    );
                }
                if let Some(reason) = hopeless(cluster) {
                    return Seen::Hopeless(reason);
                }
                // Components settle one by one: a single healthy look may come too early.
                let healthy = cluster.status.ready == ClusterComponentStatus::Healthy;
                in_a_row = if healthy && wanted(cluster) {
                    in_a_row + 1
                } else {
                    0
                };
                if in_a_row >= 2 {
                    Seen::Reached
                } else {
                    Seen::Pending
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
                        Outcome::Refused,
                        "the backup is not among the cluster's backups",
                    )
                    .with_operation(backups::LIST.name)
                })
        };
        poll(
            self.admin,
            &BACKED_UP,
            wait,
            look,
            report,
            |backup: &Backup| match &backup.status {
                BackupStatus::Complete => Seen::Reached,
                BackupStatus::Failed => Seen::Hopeless(match &backup.incident_link {
                    Some(link) => format!("the backup failed, see {link}"),
                    None => "the backup failed".to_owned(),
                }),
                _ => Seen::Pending,
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
            wait,
            look,
            report,
            |restore: &Restore| match &restore.state {
                RestoreState::Completed => Seen::Reached,
                state @ (RestoreState::Failed | RestoreState::Aborted) => {
                    Seen::Hopeless(format!("the restore is {state}"))
                }
                _ => Seen::Pending,
            },
        )
    }
}

impl<T> Wait<'_, T> {
    fn report(&self, seen: &T) {
        // A callback that waits on its own account finds the cell taken and is spared.
        if let Some(progress) = &self.on_progress
            && let Ok(mut progress) = progress.try_borrow_mut()
        {
            progress(seen);
        }
    }
}

fn report<T>(seen: &T, wait: &Wait<'_, T>) {
    wait.report(seen);
}

fn poll<T, P>(
    admin: &AdminClient,
    waiter: &Waiter,
    wait: &Wait<'_, P>,
    look: impl Fn(&AdminClient) -> Result<T>,
    progress: impl Fn(&T, &Wait<'_, P>),
    mut judge: impl FnMut(&T) -> Seen,
) -> Result<T> {
    let whole = Call::start(&admin.options().clone().timeout(wait.timeout), wait.timeout);
    let each = admin.call().timeout();
    let mut pause = FIRST_INTERVAL.min(wait.interval);
    let mut last = None;
    loop {
        let options = whole.options().clone().timeout(each.min(whole.remaining()));
        match look(&admin.with(options)) {
            Ok(seen) => {
                last = None;
                progress(&seen, wait);
                match judge(&seen) {
                    Seen::Reached => return Ok(seen),
                    Seen::Pending => {}
                    Seen::Hopeless(reason) => {
                        return Err(Error::new(
                            ErrorKind::Failed,
                            Stage::Request,
                            Outcome::Done,
                            reason,
                        )
                        .with_operation(waiter.name)
                        .with_elapsed(whole.started().elapsed()));
                    }
                }
            }
            // A look cut short by the end of the wait says less than the one before.
            Err(_) if last.is_some() && whole.check() == Err(Stop::Deadline) => {}
            Err(error) if passes(error.kind()) => {
                log::info!("{}: {error}; looking again", waiter.name);
                if let Some(wanted) = error.retry_after() {
                    pause = pause.max(wanted.min(wait.interval));
                }
                last = Some(error);
            }
            Err(error) => return Err(error),
        }
        if let Err(stop) = whole.sleep(pause).and_then(|()| whole.check()) {
            let stopped = whole
                .stopped(stop, Stage::Request, Outcome::Unknown)
                .with_operation(waiter.name)
                .with_elapsed(whole.started().elapsed());
            return Err(match last {
                Some(error) => stopped.with_source(error),
                None => stopped,
            });
        }
        pause = pause.mul_f64(1.5).min(wait.interval);
    }
}

/// Whether an error may be gone at the next look.
fn passes(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Network
            | ErrorKind::Timeout
            | ErrorKind::Service
            | ErrorKind::RateLimited
            | ErrorKind::NotReady
            | ErrorKind::Decode
    )
}
