//! Clusters: types, and the operations on the list of clusters and on one cluster.

use crate::api::admin::{AdminClient, ClusterHandle};
use crate::api::backups::BackupId;
use crate::api::members::OrganizationId;
use crate::api::object::{api_enum, api_id, api_object};
use crate::api::operation::{BodySchema, Operation};
use crate::api::timestamp::Timestamp;
use crate::error::Result;
use crate::transport::{Idempotency, Method};

api_id! {
    /// Id of a cluster.
    struct ClusterId;
}

api_id! {
    /// Id of a channel.
    struct ChannelId;
}

api_id! {
    /// Id of a generation.
    struct GenerationId;
}

api_id! {
    /// Id of a region in which clusters run.
    struct RegionId;
}

api_id! {
    /// Id of a region in which backups are stored.
    struct BackupRegionId;
}

api_id! {
    /// Id of a backup option of a region.
    struct BackupOptionId;
}

api_id! {
    /// Id of a plan type.
    struct PlanTypeId;
}

api_object! {
    /// Channel of a cluster: its id and name.
    response struct ChannelRef {
        /// Its id.
        omittable uuid: Option<ChannelId> = "uuid",
        /// Its name, as the Console shows it.
        defaulted name: String = "name",
    }
}

api_object! {
    /// Generation of a cluster: its id and name.
    response struct GenerationRef {
        /// Its id.
        omittable uuid: Option<GenerationId> = "uuid",
        /// Its name, as the Console shows it.
        defaulted name: String = "name",
    }
}

api_object! {
    /// Region of a cluster: its id and name.
    response struct RegionRef {
        /// Its id.
        omittable uuid: Option<RegionId> = "uuid",
        /// Its name, as the Console shows it.
        defaulted name: String = "name",
    }
}

api_object! {
    /// Region of a cluster's backups: its id and name.
    response struct BackupRegionRef {
        /// Its id.
        omittable uuid: Option<BackupRegionId> = "uuid",
        /// Its name, as the Console shows it.
        defaulted name: String = "name",
    }
}

api_object! {
    /// Plan type of a cluster: its id and name.
    response struct PlanTypeRef {
        /// Its id.
        omittable uuid: Option<PlanTypeId> = "uuid",
        /// Its name, as the Console shows it.
        defaulted name: String = "name",
    }
}

api_object! {
    /// Plan type: the size of a cluster.
    response struct PlanType {
        /// Its id, for `plan_type_id` when a cluster is created.
        required uuid: PlanTypeId = "uuid",
        /// Its name, as the Console shows it.
        defaulted name: String = "name",
    }
}

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
    /// Generation: a Camunda version that a cluster can run.
    response struct Generation {
        /// Its id, for `generation_id` when a cluster is created.
        required uuid: GenerationId = "uuid",
        /// Its name, such as `Camunda 8.8.1`.
        defaulted name: String = "name",
        /// Reason why the organisation may use it.
        optional classification: Option<GenerationClassification> = "classification",
    }
}

api_object! {
    /// Channel: a series of generations that clusters follow.
    response struct Channel {
        /// Its id, for `channel_id` when a cluster is created.
        required uuid: ChannelId = "uuid",
        /// Its name, such as `Stable`.
        defaulted name: String = "name",
        /// Default generation of new clusters.
        required default_generation: Generation = "defaultGeneration",
        /// Generations that may be used for new clusters.
        defaulted allowed_generations: Vec<Generation> = "allowedGenerations",
    }
}

api_object! {
    /// Region in which the backups of another region can be stored.
    response struct BackupRegionOption {
        /// Its id, for `backup_region_id` when a cluster is created.
        required id: BackupRegionId = "id",
        /// Its name, as the Console shows it.
        defaulted label: String = "label",
    }
}

api_object! {
    /// Option for where the backups of a region are stored.
    response struct BackupOption {
        /// The id of the option.
        omittable uuid: Option<BackupOptionId> = "uuid",
        /// Regions of this option.
        defaulted regions: Vec<BackupRegionOption> = "regions",
    }
}

api_object! {
    /// Region: a cloud provider's location in which clusters run.
    response struct Region {
        /// Its id, for `region_id` when a cluster is created.
        required uuid: RegionId = "uuid",
        /// Its name, as the Console shows it.
        defaulted name: String = "name",
        /// The cloud provider, such as `AWS`.
        defaulted provider: String = "provider",
        /// Options for where its backups are stored.
        optional backups: Option<Vec<BackupOption>> = "backups",
    }
}

api_object! {
    /// Parameters for creating clusters: the only source of the ids in [`CreateCluster`].
    response struct Parameters {
        /// Channels with their generations.
        defaulted channels: Vec<Channel> = "channels",
        /// Plan types.
        defaulted cluster_plan_types: Vec<PlanType> = "clusterPlanTypes",
        /// Regions.
        defaulted regions: Vec<Region> = "regions",
    }
}

api_object! {
    /// Entry of a cluster's IP allowlist.
    request struct IpAllowlistEntry {
        /// CIDR, or several separated by commas.
        required ip: String = "ip",
        /// Description of the entry.
        defaulted description: String = "description",
    }
}

impl IpAllowlistEntry {
    /// Creates an entry for a CIDR, or for several separated by commas.
    pub fn new(ip: impl Into<String>, description: impl Into<String>) -> Self {
        IpAllowlistEntry {
            ip: ip.into(),
            description: description.into(),
            extra: Default::default(),
        }
    }
}

api_object! {
    /// URLs of a cluster's components.
    response struct ClusterLinks {
        /// The Console's page of the cluster.
        optional console: Option<String> = "console",
        /// Connectors.
        optional connectors: Option<String> = "connectors",
        /// Identity.
        optional identity: Option<String> = "identity",
        /// The token endpoint for the cluster's clients.
        optional oauth: Option<String> = "oauth",
        /// Operate.
        optional operate: Option<String> = "operate",
        /// Optimize.
        optional optimize: Option<String> = "optimize",
        /// Tasklist.
        optional tasklist: Option<String> = "tasklist",
        /// Zeebe.
        optional zeebe: Option<String> = "zeebe",
    }
}

api_object! {
    /// Status of a cluster and its components.
    response struct ClusterStatus {
        /// The cluster as a whole.
        defaulted ready: ClusterComponentStatus = "ready",
        /// Zeebe.
        optional zeebe_status: Option<ClusterComponentStatus> = "zeebeStatus",
        /// Operate.
        optional operate_status: Option<ClusterComponentStatus> = "operateStatus",
        /// Tasklist.
        optional tasklist_status: Option<ClusterComponentStatus> = "tasklistStatus",
        /// Optimize.
        optional optimize_status: Option<ClusterComponentStatus> = "optimizeStatus",
        /// Connectors.
        optional connectors_status: Option<ClusterComponentStatus> = "connectorsStatus",
    }
}

api_object! {
    /// Encryption of a cluster's data.
    response struct ClusterEncryption {
        /// Owner of the encryption key.
        defaulted r#type: EncryptionKeyType = "type",
        /// Status of the encryption key.
        optional status: Option<EncryptionStatus> = "status",
        /// The AWS KMS key of the (primary) region.
        optional primary_key_arn: Option<String> = "primaryKeyArn",
        /// The AWS KMS key of the second region of a dual-region cluster.
        optional secondary_key_arn: Option<String> = "secondaryKeyArn",
    }
}

api_object! {
    /// A cluster.
    response struct Cluster {
        /// Its id.
        required uuid: ClusterId = "uuid",
        /// Its name.
        defaulted name: String = "name",
        /// Description, set by the owner.
        optional description: Option<String> = "description",
        /// The organisation that owns it.
        omittable owner_id: Option<OrganizationId> = "ownerId",
        /// Creation time.
        defaulted created: Timestamp = "created",
        /// Whether it is automatically upgraded to the newest generation of its channel.
        defaulted auto_update: bool = "autoUpdate",
        /// The channel that it follows.
        defaulted channel: ChannelRef = "channel",
        /// The generation that it runs.
        defaulted generation: GenerationRef = "generation",
        /// Region in which it runs.
        defaulted region: RegionRef = "region",
        /// Region in which its backups are stored.
        optional backup_region: Option<BackupRegionRef> = "backupRegion",
        /// Its plan type.
        defaulted plan_type: PlanTypeRef = "planType",
        /// Its labels, its stage among them.
        optional labels: Option<Vec<String>> = "labels",
        /// URLs of its components.
        defaulted links: ClusterLinks = "links",
        /// Status.
        defaulted status: ClusterStatus = "status",
        /// Encryption of its data.
        optional encryption: Option<ClusterEncryption> = "encryption",
        /// IP allowlist; absent without the permission to read it. See [`Cluster::allowlist`].
        optional ipallowlist: Option<Vec<IpAllowlistEntry>> = "ipallowlist",
        /// Deprecated name of `ipallowlist`, which the API still uses for some organisations.
        optional ipwhitelist: Option<Vec<IpAllowlistEntry>> = "ipwhitelist",
    }
}

impl Cluster {
    /// Returns the IP allowlist of the cluster: `ipallowlist`, or `ipwhitelist` if that is absent.
    /// `None` without the permission to read it.
    #[must_use]
    pub fn allowlist(&self) -> Option<&[IpAllowlistEntry]> {
        self.ipallowlist.as_deref().or(self.ipwhitelist.as_deref())
    }
}

api_object! {
    /// Request to create a cluster. [`Clusters::parameters`] returns the ids.
    request struct CreateCluster {
        /// Name; the API rejects names that are too long.
        required name: String = "name",
        /// Id of the channel to follow.
        required channel_id: ChannelId = "channelId",
        /// Id of the generation, one of the channel's allowed generations.
        required generation_id: GenerationId = "generationId",
        /// Id of the region.
        required region_id: RegionId = "regionId",
        /// Id of the plan type.
        required plan_type_id: PlanTypeId = "planTypeId",
        /// Description of the cluster.
        optional description: Option<String> = "description",
        /// Whether it is automatically upgraded to the newest generation of its channel.
        optional auto_update: Option<bool> = "autoUpdate",
        /// Id of the region in which its backups are stored, one of the region's backup options.
        optional backup_region_id: Option<BackupRegionId> = "backupRegionId",
        /// Owner of the key that encrypts its data.
        optional encryption: Option<EncryptionKeyType> = "encryption",
        /// Number of hardware packages.
        optional hardware_packages: Option<u32> = "hardwarePackages",
        /// Its stage, shown as a label.
        optional stage_label: Option<ClusterStage> = "stageLabel",
        /// Whether its Identity checks permissions in the backend.
        optional identity_backend_checks_enabled: Option<bool> = "identityBackendChecksEnabled",
    }
}

impl CreateCluster {
    /// Creates a request with the required fields; [`Clusters::parameters`] returns the ids.
    ///
    /// Each kind of id is a type, so that swapped arguments do not compile:
    ///
    /// ```compile_fail
    /// # use camunda_admin::{ChannelId, CreateCluster, GenerationId, PlanTypeId, RegionId};
    /// # fn request(
    /// #     channel: ChannelId,
    /// #     generation: GenerationId,
    /// #     region: RegionId,
    /// #     plan_type: PlanTypeId,
    /// # ) -> CreateCluster {
    /// CreateCluster::new("orders", generation, channel, region, plan_type)
    /// # }
    /// ```
    ///
    /// ```
    /// # use camunda_admin::{ChannelId, CreateCluster, GenerationId, PlanTypeId, RegionId};
    /// # fn request(
    /// #     channel: ChannelId,
    /// #     generation: GenerationId,
    /// #     region: RegionId,
    /// #     plan_type: PlanTypeId,
    /// # ) -> CreateCluster {
    /// CreateCluster::new("orders", channel, generation, region, plan_type)
    /// # }
    /// ```
    pub fn new(
        name: impl Into<String>,
        channel_id: impl Into<ChannelId>,
        generation_id: impl Into<GenerationId>,
        region_id: impl Into<RegionId>,
        plan_type_id: impl Into<PlanTypeId>,
    ) -> Self {
        CreateCluster {
            name: name.into(),
            channel_id: channel_id.into(),
            generation_id: generation_id.into(),
            region_id: region_id.into(),
            plan_type_id: plan_type_id.into(),
            description: None,
            auto_update: None,
            backup_region_id: None,
            encryption: None,
            hardware_packages: None,
            stage_label: None,
            identity_backend_checks_enabled: None,
            extra: Default::default(),
        }
    }

    /// Sets the description.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets whether it is automatically upgraded to the newest generation of its channel.
    #[must_use]
    pub fn auto_update(mut self, auto_update: bool) -> Self {
        self.auto_update = Some(auto_update);
        self
    }

    /// Sets the region in which its backups are stored.
    #[must_use]
    pub fn backup_region_id(mut self, region: impl Into<BackupRegionId>) -> Self {
        self.backup_region_id = Some(region.into());
        self
    }

    /// Sets the owner of the key that encrypts its data.
    #[must_use]
    pub fn encryption(mut self, key: EncryptionKeyType) -> Self {
        self.encryption = Some(key);
        self
    }

    /// Sets the number of hardware packages.
    #[must_use]
    pub fn hardware_packages(mut self, packages: u32) -> Self {
        self.hardware_packages = Some(packages);
        self
    }

    /// Sets the stage.
    #[must_use]
    pub fn stage_label(mut self, stage: ClusterStage) -> Self {
        self.stage_label = Some(stage);
        self
    }

    /// Sets whether Identity checks permissions in the backend.
    #[must_use]
    pub fn identity_backend_checks_enabled(mut self, enabled: bool) -> Self {
        self.identity_backend_checks_enabled = Some(enabled);
        self
    }
}

api_object! {
    /// Response to the creation of a cluster.
    response struct CreatedCluster {
        /// Id of the new cluster, which has the status `Creating` for minutes.
        required cluster_id: ClusterId = "clusterId",
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

impl UpdateCluster {
    /// Creates a request in which no field is set.
    #[must_use]
    pub fn new() -> Self {
        UpdateCluster {
            name: None,
            description: None,
            stage_label: None,
            number_of_allocated_hw_packages: None,
            extra: Default::default(),
        }
    }

    /// Sets the new name.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the new description; an empty string clears it.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the new stage.
    #[must_use]
    pub fn stage_label(mut self, stage: ClusterStage) -> Self {
        self.stage_label = Some(stage);
        self
    }

    /// Sets the number of hardware packages.
    #[must_use]
    pub fn number_of_allocated_hw_packages(mut self, packages: u32) -> Self {
        self.number_of_allocated_hw_packages = Some(packages);
        self
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
        /// The organisation that owns it.
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
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FailoverStep(crate::api::object::Json);

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
    pub fn as_json(&self) -> &crate::api::object::Json {
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

impl crate::api::schema::HasSchema for FailoverStep {
    const SCHEMA: crate::api::schema::JsonSchema = crate::api::schema::JsonSchema::Any;
}

api_enum! {
    /// Status of a cluster or of one of its components.
    enum ClusterComponentStatus {
        /// Being created, which takes minutes.
        Creating = "Creating",
        /// Healthy.
        Healthy = "Healthy",
        /// Unhealthy; may recover.
        Unhealthy = "Unhealthy",
        /// Being upgraded to another generation.
        Updating = "Updating",
        /// Being resumed.
        Resuming = "Resuming",
        /// Suspended; `wake` resumes it.
        Suspended = "Suspended",
        /// Waits for input of its owner, such as an encryption key.
        WaitingForInput = "WaitingForInput",
        /// Under maintenance.
        Maintenance = "Maintenance",
    }
}

api_enum! {
    /// Stage of a cluster, shown as a label.
    enum ClusterStage {
        /// Development.
        Dev = "dev",
        /// Tests.
        Test = "test",
        /// Staging.
        Stage = "stage",
        /// Production.
        Prod = "prod",
    }
}

api_enum! {
    /// Owner of the key that encrypts a cluster's data.
    enum EncryptionKeyType {
        /// Camunda, software key.
        Software = "Software",
        /// Camunda, hardware key.
        Hardware = "Hardware",
        /// Cloud provider.
        Provider = "Provider",
        /// Customer.
        External = "External",
    }
}

api_enum! {
    /// Status of a cluster's encryption key.
    enum EncryptionStatus {
        /// The key is in use.
        Ready = "Ready",
        /// Error of the cloud provider.
        ProviderError = "ProviderError",
        /// The customer's key cannot be used yet.
        ExternalEncryptionKeyNotReady = "ExternalEncryptionKeyNotReady",
        /// The customer's key is missing.
        ExternalEncryptionKeyNotSupplied = "ExternalEncryptionKeyNotSupplied",
        /// The key could not be set up.
        CreationError = "CreationError",
        /// The encrypted storage is not ready yet.
        EncryptedStorageNotReady = "EncryptedStorageNotReady",
    }
}

api_enum! {
    /// Reason why an organisation may use a generation.
    enum GenerationClassification {
        /// The channel contains it.
        Channel = "channel",
        /// A cluster of the organisation already runs it.
        ExistingCluster = "existingCluster",
        /// It was unlocked for the organisation.
        OrgUnlocked = "orgUnlocked",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list clusters",
    sdk_method: "clusters.list",
    c_function: "camunda_cluster_list",
    path: "/clusters",
    response: Some(BodySchema::list::<Cluster>()),
    doc: "Lists all clusters of the organisation, without paging.",
    ..Operation::GET_DEFAULTS
};

pub(crate) static CREATE: Operation = Operation {
    name: "create cluster",
    sdk_method: "clusters.create",
    c_function: "camunda_cluster_create",
    path: "/clusters",
    body: Some(BodySchema::object::<CreateCluster>()),
    response: Some(BodySchema::object::<CreatedCluster>()),
    one_time_response: true,
    recovery_hint: Some("look for the name among the clusters before creating it again"),
    doc: "Creates a cluster. Returns immediately; the cluster has the status `Creating` for \
          minutes. Costs money. Non-idempotent.",
    documented_errors: &[
        (
            400,
            "name too long; plan type, region, channel or generation not valid; no reservation left",
        ),
        (503, "cluster creation is not available"),
    ],
    ..Operation::POST_DEFAULTS
};

pub(crate) static PARAMETERS: Operation = Operation {
    name: "list creation parameters",
    sdk_method: "clusters.parameters",
    c_function: "camunda_cluster_parameters",
    path: "/clusters/parameters",
    response: Some(BodySchema::object::<Parameters>()),
    doc: "Lists the channels with their generations, the plan types and the regions: the only \
          source of the ids for creating a cluster.",
    ..Operation::GET_DEFAULTS
};

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
          permanently. Not enabled for every organisation. Non-idempotent.",
    documented_errors: &[
        (400, "backup ids missing, empty or not valid"),
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster or backup"),
        (409, "already failed over, or not ready yet (see message)"),
        (422, "not multi-region, or its region pair has no failover"),
    ],
    idempotency: Idempotency::NonIdempotent,
    ..Operation::POST_DEFAULTS
};

/// Operations on the clusters of the organisation; see [`AdminClient::clusters`].
///
/// ```no_run
/// # let admin = camunda_admin::AdminClient::from_env()?;
/// use camunda_admin::CreateCluster;
///
/// let offer = admin.clusters().parameters()?;
/// let channel = &offer.channels[0];
/// let id = admin.clusters().create(&CreateCluster::new(
///     "orders",
///     &channel.uuid,
///     &channel.default_generation.uuid,
///     &offer.regions[0].uuid,
///     &offer.cluster_plan_types[0].uuid,
/// ))?;
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Clusters<'a> {
    pub(crate) admin: &'a AdminClient,
}

impl Clusters<'_> {
    /// Lists all clusters of the organisation, without paging.
    ///
    /// # Errors
    ///
    /// Those that any call can fail with; see [`ErrorKind`](crate::ErrorKind).
    pub fn list(&self) -> Result<Vec<Cluster>> {
        self.admin.get(&LIST, &[])
    }

    /// Creates a cluster and returns its id.
    ///
    /// Returns immediately; the cluster has the status `Creating` for minutes, see
    /// [`ClusterHandle::wait_until_healthy`]. Costs money. Non-idempotent: after an error with the
    /// outcome [`Unknown`](crate::Outcome::Unknown), look for the name among the clusters before
    /// creating it again.
    ///
    /// # Errors
    ///
    /// 400 name too long; plan type, region, channel or generation not valid; no reservation left;
    /// 503 cluster creation is not available.
    pub fn create(&self, request: &CreateCluster) -> Result<ClusterId> {
        let created: CreatedCluster = self.admin.send(&CREATE, &[], request)?;
        Ok(created.cluster_id)
    }

    /// Lists the channels with their generations, the plan types and the regions: the only source
    /// of the ids for [`CreateCluster`].
    ///
    /// # Errors
    ///
    /// Those that any call can fail with; see [`ErrorKind`](crate::ErrorKind).
    pub fn parameters(&self) -> Result<Parameters> {
        self.admin.get(&PARAMETERS, &[])
    }
}

impl ClusterHandle<'_> {
    /// Returns the cluster.
    ///
    /// # Errors
    ///
    /// 404 no such cluster.
    pub fn get(&self) -> Result<Cluster> {
        self.admin.get(&GET, &[self.id])
    }

    /// Updates the fields that are set; an empty description clears it. Idempotent, so it is
    /// retried after transient errors.
    ///
    /// # Errors
    ///
    /// 404 no such cluster.
    pub fn update(&self, change: &UpdateCluster) -> Result<()> {
        self.admin
            .send_without_response(&UPDATE, &[self.id], Some(change))
    }

    /// Deletes the cluster. Irreversible; see [`wait_until_deleted`](Self::wait_until_deleted).
    ///
    /// # Errors
    ///
    /// 404 no such cluster.
    pub fn delete(&self) -> Result<()> {
        self.admin
            .send_without_response(&DELETE, &[self.id], None::<&()>)
    }

    /// Resumes a suspended cluster, which takes minutes; see
    /// [`wait_until_woken`](Self::wait_until_woken).
    ///
    /// # Errors
    ///
    /// Those that any call can fail with; see [`ErrorKind`](crate::ErrorKind).
    pub fn wake(&self) -> Result<()> {
        self.admin
            .send_without_response(&WAKE, &[self.id], None::<&()>)
    }

    /// Starts the upgrade to the newest generation of the cluster's channel, which takes minutes;
    /// see [`wait_until_upgraded`](Self::wait_until_upgraded).
    ///
    /// # Errors
    ///
    /// 400 no upgrade available; 404 no such cluster; 409 an upgrade gate blocks it; the body names
    /// the reason and the next step; 412 cluster not ready for an upgrade.
    pub fn upgrade(&self) -> Result<GenerationUpgrade> {
        self.admin.get(&UPGRADE, &[self.id])
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
        self.admin.send(&SET_ENCRYPTION, &[self.id], keys)
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
            .send_without_response(&SET_IP_ALLOWLIST, &[self.id], Some(&list))
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
        let this = admin.cluster(self.cluster);
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
    /// Not enabled for every organisation. Non-idempotent.
    ///
    /// # Errors
    ///
    /// 400 backup ids missing, empty or not valid; 403 cluster belongs to another organisation; 404
    /// no such cluster or backup; 409 already failed over, or not ready yet (see message); 422 not
    /// multi-region, or its region pair has no failover.
    pub fn fail_over(&self, request: &TriggerFailover) -> Result<FailoverResult> {
        self.admin.send(&FAIL_OVER, &[self.id], request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowlist_returns_either_field() {
        let decode = |json: &str| serde_json::from_str::<Cluster>(json).unwrap();
        let cluster =
            decode(r#"{"uuid":"a","ipwhitelist":[{"ip":"1.2.3.4/32","description":"x"}]}"#);
        assert_eq!(cluster.allowlist().unwrap()[0].ip, "1.2.3.4/32");
        let cluster =
            decode(r#"{"uuid":"a","ipallowlist":[],"ipwhitelist":[{"ip":"1.2.3.4/32"}]}"#);
        assert_eq!(cluster.allowlist().unwrap(), []);
        assert_eq!(decode(r#"{"uuid":"a"}"#).allowlist(), None);
    }

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
