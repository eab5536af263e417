//! Backups of a cluster: list, create, delete, restore, schedule.

use crate::api::clusters::GenerationId;
use crate::api::enum_macro::api_enum;
use crate::api::handle_macro::api_handle;
use crate::api::id_macro::api_id;
use crate::api::object_macro::api_object;
use crate::api::operation::{BodySchema, Operation};
use crate::api::timestamp::Timestamp;
use crate::error::Result;

api_id! {
    /// Id of a backup.
    struct BackupId;
}

api_id! {
    /// Id of a restore.
    struct RestoreId;
}

api_enum! {
    /// Status of a backup, or of a component's part of it.
    enum BackupStatus {
        /// In progress.
        InProgress = "In progress",
        /// Failed permanently.
        Failed = "Failed",
        /// Complete.
        Complete = "Complete",
        /// Not applicable: the component has no part in the backup.
        NotApplicable = "-",
    }
}

api_enum! {
    /// State of a restore.
    enum RestoreState {
        /// Not started.
        Pending = "PENDING",
        /// The backup is being checked.
        Validating = "VALIDATING",
        /// In progress.
        InProgress = "IN_PROGRESS",
        /// Completed.
        Completed = "COMPLETED",
        /// Failed permanently.
        Failed = "FAILED",
        /// Aborted permanently.
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
        /// Start time.
        defaulted created: Timestamp = "created",
        /// Completion time; absent until then.
        omittable completed: Option<Timestamp> = "completed",
        /// Status.
        defaulted status: BackupStatus = "status",
        /// Status of Zeebe's part.
        defaulted zeebe_status: BackupStatus = "zeebeStatus",
        /// Status of Operate's part.
        defaulted operate_status: BackupStatus = "operateStatus",
        /// Status of Tasklist's part.
        defaulted tasklist_status: BackupStatus = "tasklistStatus",
        /// Status of Optimize's part.
        defaulted optimize_status: BackupStatus = "optimizeStatus",
        /// Id of the generation that the cluster ran.
        optional generation_uuid: Option<GenerationId> = "generationUuid",
        /// The name of that generation.
        optional generation_name: Option<String> = "generationName",
        /// URL of the incident page, if the backup failed.
        optional incident_link: Option<String> = "incidentLink",
    }
}

api_object! {
    /// Request to set the backup schedule.
    request struct SetBackupSchedule {
        /// Five-field cron expression in UTC, at most once every 15 min.
        required schedule: String = "schedule",
    }
}

api_object! {
    /// Backup schedule of a cluster.
    response struct BackupSchedule {
        /// Its name.
        defaulted name: String = "name",
        /// Five-field cron expression in UTC.
        required schedule: String = "schedule",
    }
}

api_object! {
    /// Restore of a backup.
    response struct Restore {
        /// Its id.
        omittable uuid: Option<RestoreId> = "uuid",
        /// Id of the backup.
        omittable backup_id: Option<BackupId> = "backupId",
        /// Status.
        defaulted state: RestoreState = "state",
        /// Start time.
        optional start_timestamp: Option<Timestamp> = "startTimestamp",
        /// End time.
        optional completion_timestamp: Option<Timestamp> = "completionTimestamp",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list backups",
    sdk_method: "cluster.backups.list",
    c_function: "camunda_backup_list",
    path: "/clusters/{clusterUuid}/backups",
    response: Some(BodySchema::list::<Backup>()),
    doc: "Lists the backups of the cluster.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static CREATE: Operation = Operation {
    name: "create backup",
    sdk_method: "cluster.backups.create",
    c_function: "camunda_backup_create",
    path: "/clusters/{clusterUuid}/backups",
    response: Some(BodySchema::object::<Backup>()),
    recovery_hint: Some("look for it among the cluster's backups"),
    doc: "Starts a backup, which takes minutes; at most one every 15 minutes. Non-idempotent.",
    documented_errors: &[(404, "no such cluster")],
    ..Operation::POST_DEFAULTS
};

pub(crate) static DELETE: Operation = Operation {
    name: "delete backup",
    sdk_method: "cluster.backups.delete",
    c_function: "camunda_backup_delete",
    path: "/clusters/{clusterUuid}/backups/{backupId}",
    response: Some(BodySchema::object::<Backup>()),
    doc: "Deletes a backup and returns it. Irreversible.",
    documented_errors: &[(403, "cluster belongs to another organization")],
    ..Operation::DELETE_DEFAULTS
};

pub(crate) static RESTORE_STATUS: Operation = Operation {
    name: "get restore",
    sdk_method: "cluster.backups.restore_status",
    c_function: "camunda_backup_restore_status",
    path: "/clusters/{clusterUuid}/backups/{backupId}/restore",
    response: Some(BodySchema::object::<Restore>()),
    doc: "Returns the latest restore of the backup.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no restore was ever triggered for this backup"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static RESTORE: Operation = Operation {
    name: "restore from backup",
    sdk_method: "cluster.backups.restore",
    c_function: "camunda_backup_restore",
    path: "/clusters/{clusterUuid}/backups/{backupId}/restore",
    response: Some(BodySchema::object::<Restore>()),
    recovery_hint: Some("read the restore of this backup"),
    doc: "Starts a restore to the source cluster, which the API suspends and resumes; takes \
          minutes. Non-idempotent.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
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
    sdk_method: "cluster.backups.schedule",
    c_function: "camunda_backup_schedule",
    path: "/clusters/{clusterUuid}/backups/schedule",
    response: Some(BodySchema::object::<BackupSchedule>()),
    doc: "Returns the backup schedule; a cluster has at most one.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no schedule configured"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static SET_SCHEDULE: Operation = Operation {
    name: "set backup schedule",
    sdk_method: "cluster.backups.set_schedule",
    c_function: "camunda_backup_set_schedule",
    path: "/clusters/{clusterUuid}/backups/schedule",
    body: Some(BodySchema::object::<SetBackupSchedule>()),
    response: Some(BodySchema::object::<BackupSchedule>()),
    doc: "Sets or replaces the backup schedule: a five-field cron expression in UTC, at most once \
          every 15 minutes.",
    documented_errors: &[
        (400, "not a valid cron expression"),
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
    ],
    ..Operation::PUT_DEFAULTS
};

pub(crate) static DELETE_SCHEDULE: Operation = Operation {
    name: "delete backup schedule",
    sdk_method: "cluster.backups.delete_schedule",
    c_function: "camunda_backup_delete_schedule",
    path: "/clusters/{clusterUuid}/backups/schedule",
    doc: "Deletes the backup schedule; existing backups remain. Succeeds if there is no schedule.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
    ],
    ..Operation::DELETE_DEFAULTS
};

api_handle! {
    /// Operations on the backups of a cluster; see
    /// [`ClusterHandle::backups`](crate::ClusterHandle::backups).
    ///
    /// ```no_run
    /// # let admin = camunda_admin::AdminClient::from_env()?;
    /// # let id: camunda_admin::ClusterId = "3f0e9a52-7f0c-4a6e-9d0b-7b8f2f6c1d11".parse()?;
    /// use camunda_admin::Wait;
    ///
    /// let backup = admin.cluster(&id).backups().create()?;
    /// admin.cluster(&id).backups().wait_until_complete(&backup.uuid, &Wait::for_backup())?;
    /// # Ok::<(), camunda_admin::Error>(())
    /// ```
    struct Backups;
    /// Returns the operations on the cluster's backups.
    fn backups(&ClusterHandle);
}

impl Backups {
    /// Lists the backups of the cluster.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster.
    pub fn list(&self) -> Result<Vec<Backup>> {
        self.admin.get(&LIST, &[self.cluster.as_str()])
    }

    /// Starts a backup, which takes minutes; see
    /// [`wait_until_complete`](Self::wait_until_complete). At most one every 15 minutes.
    /// Non-idempotent.
    ///
    /// # Errors
    ///
    /// 404 no such cluster.
    pub fn create(&self) -> Result<Backup> {
        self.admin.get(&CREATE, &[self.cluster.as_str()])
    }

    /// Deletes a backup and returns it. Irreversible.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization.
    pub fn delete(&self, backup: &BackupId) -> Result<Backup> {
        self.admin
            .get(&DELETE, &[self.cluster.as_str(), backup.as_str()])
    }

    /// Returns the latest restore of the backup.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no restore was ever triggered for this
    /// backup.
    pub fn restore_status(&self, backup: &BackupId) -> Result<Restore> {
        self.admin
            .get(&RESTORE_STATUS, &[self.cluster.as_str(), backup.as_str()])
    }

    /// Starts a restore to the source cluster, which the API suspends and resumes; takes minutes,
    /// see [`wait_until_restored`](Self::wait_until_restored). Non-idempotent.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster or backup; 409 backup of an
    /// unknown generation, or a restore in flight.
    pub fn restore(&self, backup: &BackupId) -> Result<Restore> {
        self.admin
            .get(&RESTORE, &[self.cluster.as_str(), backup.as_str()])
    }

    /// Returns the backup schedule; a cluster has at most one.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no schedule configured.
    pub fn schedule(&self) -> Result<BackupSchedule> {
        self.admin.get(&SCHEDULE, &[self.cluster.as_str()])
    }

    /// Sets or replaces the backup schedule: a five-field cron expression in UTC, such as `0 2 * *
    /// *`, at most once every 15 minutes.
    ///
    /// # Errors
    ///
    /// 400 not a valid cron expression; 403 cluster belongs to another organization; 404 no such
    /// cluster.
    pub fn set_schedule(&self, cron: &str) -> Result<BackupSchedule> {
        let request = SetBackupSchedule {
            schedule: cron.to_owned(),
            extra: Default::default(),
        };
        self.admin
            .send(&SET_SCHEDULE, &[self.cluster.as_str()], &request)
    }

    /// Deletes the backup schedule; existing backups remain. Succeeds if there is no schedule.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster.
    pub fn delete_schedule(&self) -> Result<()> {
        self.admin
            .send_without_response(&DELETE_SCHEDULE, &[self.cluster.as_str()], None::<&()>)
    }
}
