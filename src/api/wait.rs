//! Waiters: poll a resource until it reaches the wanted state, with deadline, progress and
//! cancellation.
//!
//! A waiter succeeds when the resource reaches the wanted state. It fails immediately with
//! [`ErrorKind::WaitFailed`] if the resource can no longer reach that state, and with the error of
//! a poll if that error is permanent. It continues after transient errors. `polling` decides when
//! to poll.

use crate::api::admin::AdminClient;
use crate::api::backups::{self, Backup, BackupId, BackupStatus, Backups, Restore, RestoreState};
use crate::api::cluster_handle::ClusterHandle;
use crate::api::clusters::{Cluster, ClusterComponentStatus, EncryptionStatus, GenerationId};
use crate::api::schema::{Describe, Description};
use crate::api::wait_loop::{PollState, WaitLoop};
use crate::api::wait_options::Wait;
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::transport::is_markup;

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

/// Returns what the progress callback of most waiters receives: the resource as polled.
fn resource_itself<T>(resource: &T) -> Option<&T> {
    Some(resource)
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
        let resource = format!("cluster {}", self.cluster);
        WaitLoop::new(&self.admin, DELETED.name, resource, wait)
            .run(request, Option::as_ref, |cluster| match cluster {
                Some(cluster) => PollState::Pending(cluster.status.ready.to_string()),
                None => PollState::Ready,
            })
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
        self.poll_until(&ENCRYPTED, wait, |cluster| {
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
        })
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
        self.poll_until(waiter, wait, |cluster| {
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
        })
    }

    /// Polls the cluster until `classify` ends the wait.
    fn poll_until(
        &self,
        waiter: &'static Waiter,
        wait: &Wait<'_, Cluster>,
        classify: impl Fn(&Cluster) -> PollState,
    ) -> Result<Cluster> {
        let request = |admin: &AdminClient| admin.cluster(&self.cluster).get();
        let resource = format!("cluster {}", self.cluster);
        WaitLoop::new(&self.admin, waiter.name, resource, wait).run(
            request,
            resource_itself,
            classify,
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
        let resource = format!("backup {backup} of cluster {}", self.cluster);
        WaitLoop::new(&self.admin, BACKED_UP.name, resource, wait).run(
            request,
            resource_itself,
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
        let resource = format!("restore of backup {backup} of cluster {}", self.cluster);
        WaitLoop::new(&self.admin, RESTORED.name, resource, wait).run(
            request,
            resource_itself,
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
