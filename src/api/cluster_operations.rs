//! Operations on one cluster, with their types.

use crate::api::backups::BackupId;
use crate::api::cluster_handle::ClusterHandle;
use crate::api::clusters::{Cluster, ClusterId, ClusterStage, GenerationId, IpAllowlistEntry};
use crate::api::constructor_macro::api_constructor;
use crate::api::members::OrganizationId;
use crate::api::object_macro::api_object;
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;
use crate::transport::Method;

api_object! {
    /// Cluster in the response of an upgrade: its id and name.
    response struct UpgradedCluster {
        /// Its id.
        omittable id: Option<ClusterId> = "id",
        /// Its name.
        defaulted name: String = "name",
    }
}

api_object! {
    /// Generation in the response of an upgrade: its id and name.
    response struct UpgradedGeneration {
        /// Its id.
        required id: GenerationId = "id",
        /// Its name, as the Console shows it.
        defaulted name: String = "name",
    }
}

api_object! {
    /// Request to update a cluster. Only fields that are set are changed.
    request struct UpdateCluster {
        /// New name.
        optional name: Option<String> = "name",
        /// New description; an empty string clears it.
        optional description: Option<String> = "description",
        /// New stage.
        optional stage_label: Option<ClusterStage> = "stageLabel",
        /// Number of hardware packages.
        optional number_of_allocated_hw_packages: Option<u32> = "numberOfAllocatedHwPackages",
    }
}

impl Default for UpdateCluster {
    fn default() -> Self {
        UpdateCluster::new()
    }
}

api_constructor! {
    impl UpdateCluster {
        /// Creates a request in which no field is set.
        fn new();

        /// Sets the new name.
        fn name(impl Into<String>);

        /// Sets the new description; an empty string clears it.
        fn description(impl Into<String>);

        /// Sets the new stage.
        fn stage_label(ClusterStage);

        /// Sets the number of hardware packages.
        fn number_of_allocated_hw_packages(u32);
    }
}

api_object! {
    /// Request to set the customer's AWS KMS keys of a cluster.
    request struct UpdateEncryption {
        /// ARN of the key of the (primary) region.
        required primary_encryption_key_id: String = "primaryEncryptionKeyId",
        /// ARN of the key of the second region; required for dual-region clusters, not allowed for
        /// others.
        optional secondary_encryption_key_id: Option<String> = "secondaryEncryptionKeyId",
    }
}

impl UpdateEncryption {
    /// Creates a request with the ARN of the key of the (primary) region.
    pub fn new(primary: impl Into<String>) -> Self {
        UpdateEncryption {
            primary_encryption_key_id: primary.into(),
            secondary_encryption_key_id: None,
            extra: Default::default(),
        }
    }

    /// Sets the ARN of the key of the second region of a dual-region cluster.
    #[must_use]
    pub fn secondary(mut self, secondary: impl Into<String>) -> Self {
        self.secondary_encryption_key_id = Some(secondary.into());
        self
    }
}

api_object! {
    /// Request to replace the IP allowlist of a cluster.
    request struct UpdateIpAllowlist {
        /// All entries; an empty list removes the allowlist.
        required ipallowlist: Vec<IpAllowlistEntry> = "ipallowlist",
    }
}

api_object! {
    /// Response to an upgrade.
    response struct GenerationUpgrade {
        /// The cluster.
        defaulted cluster: UpgradedCluster = "cluster",
        /// Generation before the upgrade.
        required old_generation: UpgradedGeneration = "oldGeneration",
        /// Generation after the upgrade, for `wait_until_upgraded`.
        required new_generation: UpgradedGeneration = "newGeneration",
        /// The organization that owns it.
        omittable org_id: Option<OrganizationId> = "orgId",
    }
}

api_object! {
    /// Request to fail over to a new cluster.
    request struct TriggerFailover {
        /// Ids of the backups to copy.
        required backup_ids: Vec<BackupId> = "backupIds",
        /// Id of the backup to restore, one of `backup_ids`.
        required restore_backup_id: BackupId = "restoreBackupId",
    }
}

impl TriggerFailover {
    /// Creates a request that copies the backups and restores one of them.
    pub fn new(
        backup_ids: impl IntoIterator<Item = impl Into<BackupId>>,
        restore_backup_id: impl Into<BackupId>,
    ) -> Self {
        TriggerFailover {
            backup_ids: backup_ids.into_iter().map(Into::into).collect(),
            restore_backup_id: restore_backup_id.into(),
            extra: Default::default(),
        }
    }
}

api_object! {
    /// Response to a failover.
    response struct FailoverResult {
        /// Id of the new cluster in the paired region.
        required new_cluster_id: ClusterId = "newClusterId",
        /// Results of its steps.
        defaulted results: FailoverResults = "results",
    }
}

api_object! {
    /// Results of the steps of a failover.
    response struct FailoverResults {
        /// Result of copying the backups.
        defaulted backup_clone: FailoverStep = "backupClone",
        /// Result of restoring one of them.
        defaulted restore: FailoverStep = "restore",
    }
}

/// Result of a step of a failover: the string `ok`, or an object with `error`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailoverStep(crate::api::json::Json);

impl FailoverStep {
    /// Returns whether the step succeeded (`ok`).
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.0.decode::<&str>().is_ok_and(|result| result == "ok")
    }

    /// Returns the error message of the step, or `None` if there is none.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        let step: serde_json::Value = self.0.decode().ok()?;
        Some(step.get("error")?.as_str()?.to_owned())
    }

    /// Returns the result as JSON.
    #[must_use]
    pub fn as_json(&self) -> &crate::api::json::Json {
        &self.0
    }
}

impl serde::Serialize for FailoverStep {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for FailoverStep {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::Deserialize::deserialize(deserializer).map(FailoverStep)
    }
}

impl crate::api::place::Decode for FailoverStep {
    fn place(value: &mut Option<Self>) -> crate::api::place::Place<'_> {
        crate::api::place::Place::Json(value)
    }
}

impl crate::api::place::FromJson for FailoverStep {
    fn from_json(json: crate::api::json::Json) -> Result<Self, &'static str> {
        Ok(FailoverStep(json))
    }
}

impl crate::api::schema::HasSchema for FailoverStep {
    const SCHEMA: crate::api::schema::JsonSchema = crate::api::schema::JsonSchema::Any;
}

pub(crate) static GET: Operation = Operation {
    name: "get cluster",
    sdk_method: "cluster.get",
    c_function: "camunda_cluster_get",
    path: "/clusters/{clusterUuid}",
    response: Some(BodySchema::object::<Cluster>()),
    doc: "Returns a cluster.",
    documented_errors: &[(404, "no such cluster")],
    ..Operation::GET_DEFAULTS
};

pub(crate) static UPDATE: Operation = Operation {
    name: "update cluster",
    sdk_method: "cluster.update",
    c_function: "camunda_cluster_update",
    method: Method::Patch,
    path: "/clusters/{clusterUuid}",
    body: Some(BodySchema::object::<UpdateCluster>()),
    doc: "Updates the fields that are set; an empty description clears it.",
    documented_errors: &[(404, "no such cluster")],
    ..Operation::PUT_DEFAULTS
};

pub(crate) static DELETE: Operation = Operation {
    name: "delete cluster",
    sdk_method: "cluster.delete",
    c_function: "camunda_cluster_delete",
    path: "/clusters/{clusterUuid}",
    doc: "Deletes a cluster. Irreversible.",
    documented_errors: &[(404, "no such cluster")],
    ..Operation::DELETE_DEFAULTS
};

pub(crate) static WAKE: Operation = Operation {
    name: "wake cluster",
    sdk_method: "cluster.wake",
    c_function: "camunda_cluster_wake",
    path: "/clusters/{clusterUuid}/wake",
    doc: "Resumes a suspended cluster, which takes minutes.",
    ..Operation::PUT_DEFAULTS
};

pub(crate) static UPGRADE: Operation = Operation {
    name: "upgrade cluster",
    sdk_method: "cluster.upgrade",
    c_function: "camunda_cluster_upgrade",
    path: "/clusters/{clusterUuid}/upgrade",
    response: Some(BodySchema::object::<GenerationUpgrade>()),
    doc: "Starts the upgrade to the newest generation of the cluster's channel, which takes minutes.",
    documented_errors: &[
        (400, "no upgrade available"),
        (404, "no such cluster"),
        (
            409,
            "an upgrade gate blocks it; the body names the reason and the next step",
        ),
        (412, "cluster not ready for an upgrade"),
    ],
    ..Operation::PUT_DEFAULTS
};

pub(crate) static SET_ENCRYPTION: Operation = Operation {
    name: "update cluster encryption",
    sdk_method: "cluster.set_encryption",
    c_function: "camunda_cluster_set_encryption",
    path: "/clusters/{clusterUuid}/encryption",
    body: Some(BodySchema::object::<UpdateEncryption>()),
    response: Some(BodySchema::object::<Cluster>()),
    doc: "Sets or rotates the customer's AWS KMS keys. The second key is required for dual-region \
          clusters and not allowed for others. The keys are in use when `encryption.status` is \
          `Ready`.",
    documented_errors: &[
        (
            400,
            "malformed ARN, region mismatch, or second key missing or not allowed",
        ),
        (403, "not on this plan, or the region is not AWS"),
        (404, "no such cluster"),
        (409, "cluster was not created with External encryption"),
    ],
    ..Operation::PUT_DEFAULTS
};

pub(crate) static SET_IP_ALLOWLIST: Operation = Operation {
    name: "set IP allowlist",
    sdk_method: "cluster.set_ip_allowlist",
    c_function: "camunda_cluster_set_ip_allowlist",
    path: "/clusters/{clusterUuid}/ipallowlist",
    body: Some(BodySchema::object::<UpdateIpAllowlist>()),
    doc: "Replaces the IP allowlist of the cluster; an empty list removes it. Each `ip` is a CIDR, \
          or several separated by commas.",
    ..Operation::PUT_DEFAULTS
};

pub(crate) static FAIL_OVER: Operation = Operation {
    name: "trigger failover",
    sdk_method: "cluster.fail_over",
    c_function: "camunda_cluster_fail_over",
    path: "/clusters/{clusterUuid}/failover",
    body: Some(BodySchema::object::<TriggerFailover>()),
    response: Some(BodySchema::object::<FailoverResult>()),
    one_time_response: true,
    recovery_hint: Some(
        "look for the new cluster in the paired region, and whether the source is suspended",
    ),
    doc: "Creates a new cluster in the paired region from the backups, and suspends the source \
          permanently. Not enabled for every organization. Non-idempotent.",
    documented_errors: &[
        (400, "backup ids missing, empty or not valid"),
        (403, "cluster belongs to another organization"),
        (404, "no such cluster or backup"),
        (409, "already failed over, or not ready yet (see message)"),
        (422, "not multi-region, or its region pair has no failover"),
    ],
    ..Operation::POST_DEFAULTS
};

impl ClusterHandle {
    /// Returns the cluster.
    ///
    /// # Errors
    ///
    /// 404 no such cluster.
    pub fn get(&self) -> Result<Cluster> {
        self.admin.get(&GET, &[self.cluster.as_str()])
    }

    /// Updates the fields that are set; an empty description clears it. Idempotent, so it is
    /// retried after transient errors.
    ///
    /// # Errors
    ///
    /// 404 no such cluster.
    pub fn update(&self, change: &UpdateCluster) -> Result<()> {
        self.admin
            .send_without_response(&UPDATE, &[self.cluster.as_str()], Some(change))
    }

    /// Deletes the cluster. Irreversible; see [`wait_until_deleted`](Self::wait_until_deleted).
    ///
    /// # Errors
    ///
    /// 404 no such cluster.
    pub fn delete(&self) -> Result<()> {
        self.admin
            .send_without_response(&DELETE, &[self.cluster.as_str()], None::<&()>)
    }

    /// Resumes a suspended cluster, which takes minutes; see
    /// [`wait_until_woken`](Self::wait_until_woken).
    ///
    /// # Errors
    ///
    /// Those that any call can fail with; see [`ErrorKind`](crate::ErrorKind).
    pub fn wake(&self) -> Result<()> {
        self.admin
            .send_without_response(&WAKE, &[self.cluster.as_str()], None::<&()>)
    }

    /// Starts the upgrade to the newest generation of the cluster's channel, which takes minutes;
    /// see [`wait_until_upgraded`](Self::wait_until_upgraded).
    ///
    /// # Errors
    ///
    /// 400 no upgrade available; 404 no such cluster; 409 an upgrade gate blocks it; the body names
    /// the reason and the next step; 412 cluster not ready for an upgrade.
    pub fn upgrade(&self) -> Result<GenerationUpgrade> {
        self.admin.get(&UPGRADE, &[self.cluster.as_str()])
    }

    /// Sets or rotates the customer's AWS KMS keys; see
    /// [`wait_until_encrypted`](Self::wait_until_encrypted).
    ///
    /// # Errors
    ///
    /// 400 malformed ARN, region mismatch, or second key missing or not allowed; 403 not on this
    /// plan, or the region is not AWS; 404 no such cluster; 409 cluster was not created with
    /// External encryption.
    pub fn set_encryption(&self, keys: &UpdateEncryption) -> Result<Cluster> {
        self.admin
            .send(&SET_ENCRYPTION, &[self.cluster.as_str()], keys)
    }

    /// Replaces the IP allowlist of the cluster; an empty list removes it.
    ///
    /// # Errors
    ///
    /// Those that any call can fail with; see [`ErrorKind`](crate::ErrorKind).
    pub fn set_ip_allowlist(&self, entries: &[IpAllowlistEntry]) -> Result<()> {
        let list = UpdateIpAllowlist {
            ipallowlist: entries.to_vec(),
            extra: Default::default(),
        };
        self.admin
            .send_without_response(&SET_IP_ALLOWLIST, &[self.cluster.as_str()], Some(&list))
    }

    /// Adds an entry to the IP allowlist, and returns the new list. Replaces an entry with the same
    /// `ip`.
    ///
    /// The API has no such operation, so this method reads and then writes the whole list.
    /// Concurrent changes race: the last write wins, and the other change is lost.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) if the credentials have
    /// no permission to read the list; those of [`get`](Self::get) and
    /// [`set_ip_allowlist`](Self::set_ip_allowlist).
    pub fn add_to_ip_allowlist(&self, entry: IpAllowlistEntry) -> Result<Vec<IpAllowlistEntry>> {
        self.change_ip_allowlist(|entries| {
            entries.retain(|known| known.ip != entry.ip);
            entries.push(entry);
        })
    }

    /// Removes the entry with that `ip` from the IP allowlist, and returns the new list. Concurrent
    /// changes race as for [`add_to_ip_allowlist`](Self::add_to_ip_allowlist).
    ///
    /// # Errors
    ///
    /// Those of [`add_to_ip_allowlist`](Self::add_to_ip_allowlist).
    pub fn remove_from_ip_allowlist(&self, ip: &str) -> Result<Vec<IpAllowlistEntry>> {
        self.change_ip_allowlist(|entries| entries.retain(|entry| entry.ip != ip))
    }

    fn change_ip_allowlist(
        &self,
        change: impl FnOnce(&mut Vec<IpAllowlistEntry>),
    ) -> Result<Vec<IpAllowlistEntry>> {
        // A cancellation during the first request also ends the second.
        let admin = self.admin.begin();
        let this = admin.cluster(&self.cluster);
        let cluster = this.get()?;
        // Absent can mean that the credentials may not read the list. Writing it would then lose
        // entries.
        let Some(entries) = cluster.allowlist() else {
            return Err(crate::Error::new(
                crate::ErrorKind::PermissionDenied,
                crate::Stage::Decode,
                crate::Outcome::NotSent,
                "the response has no allowlist: no permission to read it, nothing was changed; \
                 `set_ip_allowlist` replaces it without reading it",
            )
            .with_operation(SET_IP_ALLOWLIST.name));
        };
        let mut entries = entries.to_vec();
        change(&mut entries);
        this.set_ip_allowlist(&entries)?;
        Ok(entries)
    }

    /// Creates a new cluster in the paired region from backups, and suspends this one permanently.
    /// Not enabled for every organization. Non-idempotent.
    ///
    /// # Errors
    ///
    /// 400 backup ids missing, empty or not valid; 403 cluster belongs to another organization; 404
    /// no such cluster or backup; 409 already failed over, or not ready yet (see message); 422 not
    /// multi-region, or its region pair has no failover.
    pub fn fail_over(&self, request: &TriggerFailover) -> Result<FailoverResult> {
        self.admin
            .send(&FAIL_OVER, &[self.cluster.as_str()], request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failover_step_is_ok_or_error() {
        let decode = |json: &str| serde_json::from_str::<FailoverStep>(json).unwrap();
        assert!(decode("\"ok\"").is_ok());
        let step = decode(r#"{"error":"no room"}"#);
        assert!(!step.is_ok());
        assert_eq!(step.error().as_deref(), Some("no room"));
        assert!(!decode("\"later\"").is_ok());
    }
}
