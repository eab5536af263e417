//! Backups of a cluster, their schedule, and restoring from them.

use crate::api::admin::AdminClient;
use crate::api::clusters::ClusterId;
use crate::api::object::{api_enum, api_id, api_object};
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;

api_id! {
    /// Names a backup.
    struct BackupId;
}

api_enum! {
    /// How far a backup, or a component's part of it, is.
    enum BackupStatus {
        /// Being made.
        InProgress = "In progress",
        /// Failed: it will not become complete.
        Failed = "Failed",
        /// Made.
        Complete = "Complete",
        /// The component takes no part.
        NotApplicable = "-",
    }
}

api_enum! {
    /// How far a restore is.
    enum RestoreState {
        /// Not begun.
        Pending = "PENDING",
        /// The backup is being checked.
        Validating = "VALIDATING",
        /// Under way.
        InProgress = "IN_PROGRESS",
        /// Done.
        Completed = "COMPLETED",
        /// Failed: it will not complete.
        Failed = "FAILED",
        /// Given up: it will not complete.
        Aborted = "ABORTED",
    }
}

api_object! {
    /// A backup of a cluster.
    response struct Backup {
        /// Its id.
        required uuid: BackupId = "uuid",
        /// Its name.
        defaulted name: String = "name",
        /// When it was begun: RFC 3339, UTC.
        defaulted created: String = "created",
        /// When it was complete: RFC 3339, UTC; empty before.
        defaulted completed: String = "completed",
        /// How far it is.
        defaulted status: BackupStatus = "status",
        /// How far Zeebe's part is.
        defaulted zeebe_status: BackupStatus = "zeebeStatus",
        /// How far Operate's part is.
        defaulted operate_status: BackupStatus = "operateStatus",
        /// How far Tasklist's part is.
        defaulted tasklist_status: BackupStatus = "tasklistStatus",
        /// How far Optimize's part is.
        defaulted optimize_status: BackupStatus = "optimizeStatus",
        /// The generation that the cluster ran.
        optional generation_uuid: Option<String> = "generationUuid",
        /// The name of that generation.
        optional generation_name: Option<String> = "generationName",
        /// The service's page about what went wrong.
        optional incident_link: Option<String> = "incidentLink",
    }
}

api_object! {
    /// When backups are to be made.
    request struct SetBackupSchedule {
        /// Five-field cron, UTC, at most once every 15 minutes.
        required schedule: String = "schedule",
    }
}

api_object! {
    /// When backups are made.
    response struct BackupSchedule {
        /// Its name.
        defaulted name: String = "name",
        /// Five-field cron, UTC.
        required schedule: String = "schedule",
    }
}

api_object! {
    /// A restore from a backup.
    response struct Restore {
        /// Its id.
        defaulted uuid: String = "uuid",
        /// The backup.
        defaulted backup_id: String = "backupId",
        /// How far it is.
        defaulted state: RestoreState = "state",
        /// When it began: RFC 3339, UTC.
        optional start_timestamp: Option<String> = "startTimestamp",
        /// When it was over: RFC 3339, UTC.
        optional completion_timestamp: Option<String> = "completionTimestamp",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list backups",
    call: "cluster.backups.list",
    c_name: "camunda_backup_list",
    path: "/clusters/{clusterUuid}/backups",
    answer: Some(BodySchema::list::<Backup>()),
    doc: "Lists the backups of the cluster.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static CREATE: Operation = Operation {
    name: "create backup",
    call: "cluster.backups.create",
    c_name: "camunda_backup_create",
    path: "/clusters/{clusterUuid}/backups",
    answer: Some(BodySchema::object::<Backup>()),
    hint: Some("look for it among the cluster's backups"),
    doc: "Begins a backup, which takes minutes; at most one every 15 minutes. Never sent twice.",
    errors: &[(404, "no such cluster")],
    ..Operation::POST_DEFAULTS
};

pub(crate) static DELETE: Operation = Operation {
    name: "delete backup",
    call: "cluster.backups.delete",
    c_name: "camunda_backup_delete",
    path: "/clusters/{clusterUuid}/backups/{backupId}",
    answer: Some(BodySchema::object::<Backup>()),
    doc: "Deletes a backup and answers it. Irreversible.",
    errors: &[(403, "cluster belongs to another organisation")],
    ..Operation::DELETE_DEFAULTS
};

pub(crate) static RESTORE_STATUS: Operation = Operation {
    name: "get restore",
    call: "cluster.backups.restore_status",
    c_name: "camunda_backup_restore_status",
    path: "/clusters/{clusterUuid}/backups/{backupId}/restore",
    answer: Some(BodySchema::object::<Restore>()),
    doc: "Reads the latest restore of the backup.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no restore was ever triggered for this backup"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static RESTORE: Operation = Operation {
    name: "restore from backup",
    call: "cluster.backups.restore",
    c_name: "camunda_backup_restore",
    path: "/clusters/{clusterUuid}/backups/{backupId}/restore",
    answer: Some(BodySchema::object::<Restore>()),
    hint: Some("read the restore of this backup"),
    doc: "Begins a restore onto the source cluster, which the service suspends and resumes; takes \
          minutes. Never sent twice.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster or backup"),
        (
            409,
            "backup of an unknown generation, or a restore in flight",
        ),
    ],
    ..Operation::POST_DEFAULTS
};

pub(crate) static SCHEDULE: Operation = Operation {
    name: "get backup schedule",
    call: "cluster.backups.schedule",
    c_name: "camunda_backup_schedule",
    path: "/clusters/{clusterUuid}/backups/schedule",
    answer: Some(BodySchema::object::<BackupSchedule>()),
    doc: "Reads the backup schedule; there is at most one per cluster.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no schedule configured"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static SET_SCHEDULE: Operation = Operation {
    name: "set backup schedule",
    call: "cluster.backups.set_schedule",
    c_name: "camunda_backup_set_schedule",
    path: "/clusters/{clusterUuid}/backups/schedule",
    body: Some(BodySchema::object::<SetBackupSchedule>()),
    answer: Some(BodySchema::object::<BackupSchedule>()),
    doc: "Makes backups by a five-field cron expression in UTC, at most once every 15 minutes. \
          Replaces the schedule there is.",
    errors: &[
        (400, "not a valid cron expression"),
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
    ],
    ..Operation::PUT_DEFAULTS
};

pub(crate) static DELETE_SCHEDULE: Operation = Operation {
    name: "delete backup schedule",
    call: "cluster.backups.delete_schedule",
    c_name: "camunda_backup_delete_schedule",
    path: "/clusters/{clusterUuid}/backups/schedule",
    doc: "Ends scheduled backups; those made so far stay. Succeeds where there is no schedule.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
    ],
    ..Operation::DELETE_DEFAULTS
};

/// The backups of a cluster: [`ClusterHandle::backups`](crate::ClusterHandle::backups).
#[derive(Debug, Clone, Copy)]
pub struct Backups<'a> {
    pub(crate) admin: &'a AdminClient,
    pub(crate) cluster: &'a ClusterId,
}

impl Backups<'_> {
    /// Lists the backups of the cluster.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster.
    pub fn list(&self) -> Result<Vec<Backup>> {
        self.admin.read(&LIST, &[self.cluster.as_str()])
    }

    /// Begins a backup, which takes minutes: see [`wait_until_complete`](Self::wait_until_complete).
    /// At most one every 15 minutes. Never sent twice. Errors: 404 no such cluster.
    pub fn create(&self) -> Result<Backup> {
        self.admin.read(&CREATE, &[self.cluster.as_str()])
    }

    /// Deletes a backup and answers it. Irreversible.
    ///
    /// Errors: 403 cluster belongs to another organisation.
    pub fn delete(&self, backup: &BackupId) -> Result<Backup> {
        self.admin
            .read(&DELETE, &[self.cluster.as_str(), backup.as_str()])
    }

    /// Reads the latest restore of the backup.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no restore was ever triggered for
    /// this backup.
    pub fn restore_status(&self, backup: &BackupId) -> Result<Restore> {
        self.admin
            .read(&RESTORE_STATUS, &[self.cluster.as_str(), backup.as_str()])
    }

    /// Begins a restore onto the source cluster, which the service suspends and resumes; takes
    /// minutes, see [`wait_until_restored`](Self::wait_until_restored). Never sent twice.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster or backup; 409 backup
    /// of an unknown generation, or a restore in flight.
    pub fn restore(&self, backup: &BackupId) -> Result<Restore> {
        self.admin
            .read(&RESTORE, &[self.cluster.as_str(), backup.as_str()])
    }

    /// Reads the backup schedule; there is at most one per cluster.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no schedule configured.
    pub fn schedule(&self) -> Result<BackupSchedule> {
        self.admin.read(&SCHEDULE, &[self.cluster.as_str()])
    }

    /// Makes backups by a five-field cron expression in UTC, such as `0 2 * * *`, at most once every
    /// 15 minutes. Replaces the schedule there is.
    ///
    /// Errors: 400 not a valid cron expression; 403 cluster belongs to another organisation; 404 no
    /// such cluster.
    pub fn set_schedule(&self, cron: &str) -> Result<BackupSchedule> {
        let request = SetBackupSchedule {
            schedule: cron.to_owned(),
            extra: Default::default(),
        };
        self.admin
            .send(&SET_SCHEDULE, &[self.cluster.as_str()], &request)
    }

    /// Ends scheduled backups; those made so far stay. Succeeds where there is no schedule.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster.
    pub fn delete_schedule(&self) -> Result<()> {
        self.admin
            .send_without_response(&DELETE_SCHEDULE, &[self.cluster.as_str()], None::<&()>)
    }
}
