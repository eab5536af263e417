//! Clusters: their types, and the operations on all of them and on one.

use crate::api::admin::{AdminClient, ClusterHandle};
use crate::api::object::{api_enum, api_id, api_object};
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;
use crate::transport::{Idempotency, Method};

api_id! {
    /// Names a cluster.
    struct ClusterId;
}

api_object! {
    /// Something that has an id and a name: a generation, a region, a plan type.
    response struct NamedResource {
        /// Its id.
        defaulted uuid: String = "uuid",
        /// Its name, as the Console shows it.
        defaulted name: String = "name",
    }
}

api_object! {
    /// Something that has an id and a name, as the answer of an upgrade writes it.
    response struct NamedId {
        /// Its id.
        defaulted id: String = "id",
        /// Its name, as the Console shows it.
        defaulted name: String = "name",
    }
}

api_object! {
    /// A version of Camunda that a cluster runs.
    response struct Generation {
        /// Its id, for `generation_id` when a cluster is created.
        defaulted uuid: String = "uuid",
        /// Its name, such as `Camunda 8.8.1`.
        defaulted name: String = "name",
        /// Why it may be used.
        optional classification: Option<GenerationClassification> = "classification",
    }
}

api_object! {
    /// A stream of generations that clusters follow.
    response struct Channel {
        /// Its id, for `channel_id` when a cluster is created.
        defaulted uuid: String = "uuid",
        /// Its name, such as `Stable`.
        defaulted name: String = "name",
        /// The generation that new clusters get unless they ask for another.
        defaulted default_generation: NamedResource = "defaultGeneration",
        /// The generations that may be asked for.
        defaulted allowed_generations: Vec<Generation> = "allowedGenerations",
    }
}

api_object! {
    /// A region that can take the backups of another.
    response struct BackupRegionOption {
        /// Its id, for `backup_region_id` when a cluster is created.
        defaulted id: String = "id",
        /// Its name, as the Console shows it.
        defaulted label: String = "label",
    }
}

api_object! {
    /// Where the backups of a region can be kept.
    response struct BackupOption {
        /// The id of the option.
        defaulted uuid: String = "uuid",
        /// The regions to choose from.
        defaulted regions: Vec<BackupRegionOption> = "regions",
    }
}

api_object! {
    /// A place where clusters run.
    response struct Region {
        /// Its id, for `region_id` when a cluster is created.
        defaulted uuid: String = "uuid",
        /// Its name, as the Console shows it.
        defaulted name: String = "name",
        /// The cloud provider, such as `AWS`.
        defaulted provider: String = "provider",
        /// Where its backups can be kept.
        optional backups: Option<Vec<BackupOption>> = "backups",
    }
}

api_object! {
    /// What clusters can be made of: the only source of the ids that [`CreateCluster`] takes.
    response struct Parameters {
        /// Channels with their generations.
        defaulted channels: Vec<Channel> = "channels",
        /// Plan types.
        defaulted cluster_plan_types: Vec<NamedResource> = "clusterPlanTypes",
        /// Regions.
        defaulted regions: Vec<Region> = "regions",
    }
}

api_object! {
    /// Addresses that may reach a cluster.
    request struct IpAllowlistEntry {
        /// A CIDR, or several with commas between them.
        required ip: String = "ip",
        /// What they are for.
        defaulted description: String = "description",
    }
}

impl IpAllowlistEntry {
    /// An entry for a CIDR (or several with commas between them) and what it is for.
    pub fn new(ip: impl Into<String>, description: impl Into<String>) -> Self {
        IpAllowlistEntry {
            ip: ip.into(),
            description: description.into(),
            extra: Default::default(),
        }
    }
}

api_object! {
    /// Where a cluster's components are reached.
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
    /// How a cluster and its components are.
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
    /// How a cluster's data are encrypted.
    response struct ClusterEncryption {
        /// Whose key it is.
        defaulted r#type: EncryptionKeyType = "type",
        /// Whether the key is in use.
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
        /// What it is for, in its owner's values.
        optional description: Option<String> = "description",
        /// The organisation that owns it.
        defaulted owner_id: String = "ownerId",
        /// When it was created: RFC 3339, UTC.
        defaulted created: String = "created",
        /// Whether it follows the newest generation of its channel by itself.
        defaulted auto_update: bool = "autoUpdate",
        /// The channel that it follows.
        defaulted channel: NamedResource = "channel",
        /// The generation that it runs.
        defaulted generation: NamedResource = "generation",
        /// Where it runs.
        defaulted region: NamedResource = "region",
        /// Where its backups are kept.
        optional backup_region: Option<NamedResource> = "backupRegion",
        /// Its plan type.
        defaulted plan_type: NamedResource = "planType",
        /// Its labels, its stage among them.
        optional labels: Option<Vec<String>> = "labels",
        /// Where its components are reached.
        defaulted links: ClusterLinks = "links",
        /// How it is.
        defaulted status: ClusterStatus = "status",
        /// How its data are encrypted.
        optional encryption: Option<ClusterEncryption> = "encryption",
        /// Addresses that may reach it; absent without the permission to see them. See
        /// [`Cluster::allowlist`].
        optional ipallowlist: Option<Vec<IpAllowlistEntry>> = "ipallowlist",
        /// The deprecated name of the same, which still comes for some organisations.
        optional ipwhitelist: Option<Vec<IpAllowlistEntry>> = "ipwhitelist",
    }
}

impl Cluster {
    /// The addresses that may reach the cluster: `ipallowlist`, else `ipwhitelist`; `None` without
    /// the permission to see them.
    pub fn allowlist(&self) -> Option<&[IpAllowlistEntry]> {
        self.ipallowlist.as_deref().or(self.ipwhitelist.as_deref())
    }
}

api_object! {
    /// A cluster to be created. The ids come from [`Clusters::parameters`].
    request struct CreateCluster {
        /// Its name; the service refuses long ones.
        required name: String = "name",
        /// The channel to follow.
        required channel_id: String = "channelId",
        /// The generation to run: one that the channel allows.
        required generation_id: String = "generationId",
        /// Where to run.
        required region_id: String = "regionId",
        /// The plan type.
        required plan_type_id: String = "planTypeId",
        /// What it is for.
        optional description: Option<String> = "description",
        /// Whether it follows the newest generation of its channel by itself.
        optional auto_update: Option<bool> = "autoUpdate",
        /// Where its backups are kept: one of the region's backup options.
        optional backup_region_id: Option<String> = "backupRegionId",
        /// Whose key encrypts its data.
        optional encryption: Option<EncryptionKeyType> = "encryption",
        /// How many hardware packages it gets.
        optional hardware_packages: Option<u32> = "hardwarePackages",
        /// Its stage, shown as a label.
        optional stage_label: Option<ClusterStage> = "stageLabel",
        /// Whether its Identity checks permissions in the backend.
        optional identity_backend_checks_enabled: Option<bool> = "identityBackendChecksEnabled",
    }
}

impl CreateCluster {
    /// A cluster of that name, with the four ids that it cannot be without.
    pub fn new(
        name: impl Into<String>,
        channel_id: impl Into<String>,
        generation_id: impl Into<String>,
        region_id: impl Into<String>,
        plan_type_id: impl Into<String>,
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

    /// Says what the cluster is for.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Makes it follow the newest generation of its channel by itself, or not.
    pub fn auto_update(mut self, auto_update: bool) -> Self {
        self.auto_update = Some(auto_update);
        self
    }

    /// Keeps its backups in that region.
    pub fn backup_region_id(mut self, region: impl Into<String>) -> Self {
        self.backup_region_id = Some(region.into());
        self
    }

    /// Chooses whose key encrypts its data.
    pub fn encryption(mut self, key: EncryptionKeyType) -> Self {
        self.encryption = Some(key);
        self
    }

    /// Gives it that many hardware packages.
    pub fn hardware_packages(mut self, packages: u32) -> Self {
        self.hardware_packages = Some(packages);
        self
    }

    /// Labels it with a stage.
    pub fn stage_label(mut self, stage: ClusterStage) -> Self {
        self.stage_label = Some(stage);
        self
    }

    /// Makes its Identity check permissions in the backend, or not.
    pub fn identity_backend_checks_enabled(mut self, enabled: bool) -> Self {
        self.identity_backend_checks_enabled = Some(enabled);
        self
    }
}

api_object! {
    /// What creating a cluster answers.
    response struct CreatedCluster {
        /// The id of the new cluster, which is `Creating` for minutes.
        required cluster_id: ClusterId = "clusterId",
    }
}

api_object! {
    /// What to change about a cluster: only the fields that are set.
    request struct UpdateCluster {
        /// Its new name.
        optional name: Option<String> = "name",
        /// Its new description; an empty one clears it.
        optional description: Option<String> = "description",
        /// Its new stage.
        optional stage_label: Option<ClusterStage> = "stageLabel",
        /// How many hardware packages it gets.
        optional number_of_allocated_hw_packages: Option<u32> = "numberOfAllocatedHwPackages",
    }
}

impl Default for UpdateCluster {
    fn default() -> Self {
        UpdateCluster::new()
    }
}

impl UpdateCluster {
    /// No change yet.
    pub fn new() -> Self {
        UpdateCluster {
            name: None,
            description: None,
            stage_label: None,
            number_of_allocated_hw_packages: None,
            extra: Default::default(),
        }
    }

    /// Gives it another name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Gives it another description; an empty one clears it.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Labels it with another stage.
    pub fn stage_label(mut self, stage: ClusterStage) -> Self {
        self.stage_label = Some(stage);
        self
    }

    /// Gives it that many hardware packages.
    pub fn number_of_allocated_hw_packages(mut self, packages: u32) -> Self {
        self.number_of_allocated_hw_packages = Some(packages);
        self
    }
}

api_object! {
    /// The customer's own AWS KMS keys for a cluster.
    request struct UpdateEncryption {
        /// The ARN of the key of the (primary) region.
        required primary_encryption_key_id: String = "primaryEncryptionKeyId",
        /// The ARN of the second region's key: exactly for dual-region clusters.
        optional secondary_encryption_key_id: Option<String> = "secondaryEncryptionKeyId",
    }
}

impl UpdateEncryption {
    /// The key of a cluster in one region.
    pub fn new(primary: impl Into<String>) -> Self {
        UpdateEncryption {
            primary_encryption_key_id: primary.into(),
            secondary_encryption_key_id: None,
            extra: Default::default(),
        }
    }

    /// The key of the second region of a dual-region cluster.
    pub fn secondary(mut self, secondary: impl Into<String>) -> Self {
        self.secondary_encryption_key_id = Some(secondary.into());
        self
    }
}

api_object! {
    /// The addresses that may reach a cluster: the whole list.
    request struct UpdateIpAllowlist {
        /// The entries; none removes the list.
        required ipallowlist: Vec<IpAllowlistEntry> = "ipallowlist",
    }
}

api_object! {
    /// What an upgrade answers.
    response struct GenerationUpgrade {
        /// The cluster.
        defaulted cluster: NamedId = "cluster",
        /// The generation that it leaves.
        defaulted old_generation: NamedId = "oldGeneration",
        /// The generation that it gets.
        defaulted new_generation: NamedId = "newGeneration",
        /// The organisation that owns it.
        defaulted org_id: String = "orgId",
    }
}

api_object! {
    /// From what a failover makes the new cluster.
    request struct TriggerFailover {
        /// The backups to copy.
        required backup_ids: Vec<String> = "backupIds",
        /// The one of them to restore.
        required restore_backup_id: String = "restoreBackupId",
    }
}

impl TriggerFailover {
    /// Copies these backups and restores that one of them.
    pub fn new(
        backup_ids: impl IntoIterator<Item = impl Into<String>>,
        restore_backup_id: impl Into<String>,
    ) -> Self {
        TriggerFailover {
            backup_ids: backup_ids.into_iter().map(Into::into).collect(),
            restore_backup_id: restore_backup_id.into(),
            extra: Default::default(),
        }
    }
}

api_object! {
    /// What a failover answers.
    response struct FailoverResult {
        /// The cluster that takes over, in the paired region.
        required new_cluster_id: ClusterId = "newClusterId",
        /// How its steps went.
        defaulted results: FailoverResults = "results",
    }
}

api_object! {
    /// How the steps of a failover went.
    response struct FailoverResults {
        /// Copying the backups.
        defaulted backup_clone: FailoverStep = "backupClone",
        /// Restoring one of them.
        defaulted restore: FailoverStep = "restore",
    }
}

/// How a step of a failover went: the string `ok`, or an object with `error`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FailoverStep(crate::api::object::Json);

impl FailoverStep {
    /// Whether the service said `ok`.
    pub fn is_ok(&self) -> bool {
        self.0.decode::<&str>().is_ok_and(|word| word == "ok")
    }

    /// What the service said went wrong.
    pub fn error(&self) -> Option<String> {
        let step: serde_json::Value = self.0.decode().ok()?;
        Some(step.get("error")?.as_str()?.to_owned())
    }

    /// What the service said, as JSON.
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
    /// How a cluster or a component of it is.
    enum ClusterComponentStatus {
        /// Being created: takes minutes.
        Creating = "Creating",
        /// Fine.
        Healthy = "Healthy",
        /// Not fine; may recover.
        Unhealthy = "Unhealthy",
        /// Being changed to another generation.
        Updating = "Updating",
        /// Waking up.
        Resuming = "Resuming",
        /// Asleep; `wake` resumes it.
        Suspended = "Suspended",
        /// Waits for something of its owner, such as an encryption key.
        WaitingForInput = "WaitingForInput",
        /// Under maintenance by the service.
        Maintenance = "Maintenance",
    }
}

api_enum! {
    /// The stage that a cluster serves.
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
    /// Whose key encrypts a cluster's data.
    enum EncryptionKeyType {
        /// The service's, in software.
        Software = "Software",
        /// The service's, in hardware.
        Hardware = "Hardware",
        /// The cloud provider's.
        Provider = "Provider",
        /// The customer's own.
        External = "External",
    }
}

api_enum! {
    /// Whether a cluster's encryption key is in use.
    enum EncryptionStatus {
        /// In use.
        Ready = "Ready",
        /// The cloud provider failed.
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
    /// Why a generation may be used.
    enum GenerationClassification {
        /// The channel offers it.
        Channel = "channel",
        /// A cluster of the organisation runs it already.
        ExistingCluster = "existingCluster",
        /// It was unlocked for the organisation.
        OrgUnlocked = "orgUnlocked",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list clusters",
    call: "clusters.list",
    c_name: "camunda_cluster_list",
    path: "/clusters",
    answer: Some(BodySchema::list::<Cluster>()),
    doc: "Lists the clusters of the organisation, all of them: there is no paging.",
    ..Operation::GET_DEFAULTS
};

pub(crate) static CREATE: Operation = Operation {
    name: "create cluster",
    call: "clusters.create",
    c_name: "camunda_cluster_create",
    path: "/clusters",
    body: Some(BodySchema::object::<CreateCluster>()),
    answer: Some(BodySchema::object::<CreatedCluster>()),
    one_time_response: true,
    hint: Some("look for the name among the clusters before creating it again"),
    doc: "Creates a cluster. Returns at once; the cluster is `Creating` for minutes. Costs money, \
          so it is never sent twice.",
    errors: &[
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
    call: "clusters.parameters",
    c_name: "camunda_cluster_parameters",
    path: "/clusters/parameters",
    answer: Some(BodySchema::object::<Parameters>()),
    doc: "Lists channels with their generations, plan types and regions: the only source of the \
          ids that creating a cluster takes.",
    ..Operation::GET_DEFAULTS
};

pub(crate) static GET: Operation = Operation {
    name: "get cluster",
    call: "cluster.get",
    c_name: "camunda_cluster_get",
    path: "/clusters/{clusterUuid}",
    answer: Some(BodySchema::object::<Cluster>()),
    doc: "Reads a cluster.",
    errors: &[(404, "no such cluster")],
    ..Operation::GET_DEFAULTS
};

pub(crate) static UPDATE: Operation = Operation {
    name: "update cluster",
    call: "cluster.update",
    c_name: "camunda_cluster_update",
    method: Method::Patch,
    path: "/clusters/{clusterUuid}",
    body: Some(BodySchema::object::<UpdateCluster>()),
    doc: "Changes the fields that are set, and no other; an empty description clears it.",
    errors: &[(404, "no such cluster")],
    ..Operation::PUT_DEFAULTS
};

pub(crate) static DELETE: Operation = Operation {
    name: "delete cluster",
    call: "cluster.delete",
    c_name: "camunda_cluster_delete",
    path: "/clusters/{clusterUuid}",
    doc: "Deletes a cluster. Irreversible.",
    errors: &[(404, "no such cluster")],
    ..Operation::DELETE_DEFAULTS
};

pub(crate) static WAKE: Operation = Operation {
    name: "wake cluster",
    call: "cluster.wake",
    c_name: "camunda_cluster_wake",
    path: "/clusters/{clusterUuid}/wake",
    doc: "Resumes a suspended cluster, which takes minutes.",
    ..Operation::PUT_DEFAULTS
};

pub(crate) static UPGRADE: Operation = Operation {
    name: "upgrade cluster",
    call: "cluster.upgrade",
    c_name: "camunda_cluster_upgrade",
    path: "/clusters/{clusterUuid}/upgrade",
    answer: Some(BodySchema::object::<GenerationUpgrade>()),
    doc: "Begins the upgrade to the newest generation of the cluster's channel, which takes minutes.",
    errors: &[
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
    call: "cluster.set_encryption",
    c_name: "camunda_cluster_set_encryption",
    path: "/clusters/{clusterUuid}/encryption",
    body: Some(BodySchema::object::<UpdateEncryption>()),
    answer: Some(BodySchema::object::<Cluster>()),
    doc: "Sets or rotates the customer's own AWS KMS keys. The second key is given exactly for \
          dual-region clusters. In use once `encryption.status` is `Ready`.",
    errors: &[
        (
            400,
            "malformed ARN, region mismatch, or the second key missing or unwanted",
        ),
        (403, "not on this plan, or the region is not AWS"),
        (404, "no such cluster"),
        (409, "cluster was not created with External encryption"),
    ],
    ..Operation::PUT_DEFAULTS
};

pub(crate) static SET_IP_ALLOWLIST: Operation = Operation {
    name: "set IP allowlist",
    call: "cluster.set_ip_allowlist",
    c_name: "camunda_cluster_set_ip_allowlist",
    path: "/clusters/{clusterUuid}/ipallowlist",
    body: Some(BodySchema::object::<UpdateIpAllowlist>()),
    doc: "Replaces the whole list of addresses that may reach the cluster; an empty list removes \
          it. Each `ip` is a CIDR or several with commas between them.",
    ..Operation::PUT_DEFAULTS
};

pub(crate) static FAIL_OVER: Operation = Operation {
    name: "trigger failover",
    call: "cluster.fail_over",
    c_name: "camunda_cluster_fail_over",
    path: "/clusters/{clusterUuid}/failover",
    body: Some(BodySchema::object::<TriggerFailover>()),
    answer: Some(BodySchema::object::<FailoverResult>()),
    one_time_response: true,
    hint: Some(
        "look for the new cluster in the paired region, and whether the source is suspended",
    ),
    doc: "Makes a new cluster in the paired region from the backups and suspends the source for \
          ever. Not enabled for every organisation. Never sent twice.",
    errors: &[
        (400, "backup ids missing, empty or not valid"),
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster or backup"),
        (409, "already failed over, or not ready yet (see message)"),
        (422, "not multi-region, or its region pair has no failover"),
    ],
    idempotency: Idempotency::NonIdempotent,
    ..Operation::POST_DEFAULTS
};

/// The clusters of the organisation: [`AdminClient::clusters`].
#[derive(Debug, Clone, Copy)]
pub struct Clusters<'a> {
    pub(crate) admin: &'a AdminClient,
}

impl Clusters<'_> {
    /// Lists the clusters of the organisation, all of them: there is no paging.
    pub fn list(&self) -> Result<Vec<Cluster>> {
        self.admin.read(&LIST, &[])
    }

    /// Creates a cluster and answers its id.
    ///
    /// Returns at once; the cluster is `Creating` for minutes, see
    /// [`ClusterHandle::wait_until_healthy`]. Costs money, so it is never sent twice: an error whose
    /// outcome is unknown asks to look among the clusters first.
    ///
    /// Errors: 400 name too long; plan type, region, channel or generation not valid; no reservation
    /// left; 503 cluster creation is not available.
    pub fn create(&self, request: &CreateCluster) -> Result<ClusterId> {
        let created: CreatedCluster = self.admin.send(&CREATE, &[], request)?;
        Ok(created.cluster_id)
    }

    /// Lists channels with their generations, plan types and regions: the only source of the ids
    /// that [`CreateCluster`] takes.
    pub fn parameters(&self) -> Result<Parameters> {
        self.admin.read(&PARAMETERS, &[])
    }
}

impl ClusterHandle<'_> {
    /// Reads the cluster. Errors: 404 no such cluster.
    pub fn get(&self) -> Result<Cluster> {
        self.admin.read(&GET, &[self.id])
    }

    /// Changes the fields that are set, and no other; an empty description clears it. Sets state,
    /// so it is replayed after a passing failure. Errors: 404 no such cluster.
    pub fn update(&self, change: &UpdateCluster) -> Result<()> {
        self.admin
            .send_without_response(&UPDATE, &[self.id], Some(change))
    }

    /// Deletes the cluster. Irreversible; see [`wait_until_deleted`](Self::wait_until_deleted).
    /// Errors: 404 no such cluster.
    pub fn delete(&self) -> Result<()> {
        self.admin
            .send_without_response(&DELETE, &[self.id], None::<&()>)
    }

    /// Resumes the cluster where it is `Suspended`, which takes minutes; see
    /// [`wait_until_woken`](Self::wait_until_woken).
    pub fn wake(&self) -> Result<()> {
        self.admin
            .send_without_response(&WAKE, &[self.id], None::<&()>)
    }

    /// Begins the upgrade to the newest generation of the cluster's channel, which takes minutes;
    /// see [`wait_until_upgraded`](Self::wait_until_upgraded).
    ///
    /// Errors: 400 no upgrade available; 404 no such cluster; 409 an upgrade gate blocks it, the
    /// service's words name the reason and the next step; 412 cluster not ready for an upgrade.
    pub fn upgrade(&self) -> Result<GenerationUpgrade> {
        self.admin.read(&UPGRADE, &[self.id])
    }

    /// Sets or rotates the customer's own AWS KMS keys; see
    /// [`wait_until_encrypted`](Self::wait_until_encrypted).
    ///
    /// Errors: 400 malformed ARN, region mismatch, or the second key missing or unwanted; 403 not on
    /// this plan, or the region is not AWS; 404 no such cluster; 409 cluster was not created with
    /// `External` encryption.
    pub fn set_encryption(&self, keys: &UpdateEncryption) -> Result<Cluster> {
        self.admin.send(&SET_ENCRYPTION, &[self.id], keys)
    }

    /// Replaces the whole list of addresses that may reach the cluster; an empty list removes it.
    pub fn set_ip_allowlist(&self, entries: &[IpAllowlistEntry]) -> Result<()> {
        let list = UpdateIpAllowlist {
            ipallowlist: entries.to_vec(),
            extra: Default::default(),
        };
        self.admin
            .send_without_response(&SET_IP_ALLOWLIST, &[self.id], Some(&list))
    }

    /// Adds an entry to the allowlist, and answers the list as it is then: reads, changes, writes.
    ///
    /// The service has no operation for this, so two of them at once can race: the later write
    /// wins, and the other's change is lost. An entry with the same `ip` is replaced.
    /// Fails with `PermissionDenied` where the credentials may not see the list.
    pub fn add_to_ip_allowlist(&self, entry: IpAllowlistEntry) -> Result<Vec<IpAllowlistEntry>> {
        self.change_ip_allowlist(|entries| {
            entries.retain(|known| known.ip != entry.ip);
            entries.push(entry);
        })
    }

    /// Removes the entry with that `ip` from the allowlist, and answers the list as it is then.
    /// Races as [`add_to_ip_allowlist`](Self::add_to_ip_allowlist) does.
    pub fn remove_from_ip_allowlist(&self, ip: &str) -> Result<Vec<IpAllowlistEntry>> {
        self.change_ip_allowlist(|entries| entries.retain(|entry| entry.ip != ip))
    }

    fn change_ip_allowlist(
        &self,
        change: impl FnOnce(&mut Vec<IpAllowlistEntry>),
    ) -> Result<Vec<IpAllowlistEntry>> {
        // Two requests, one call: a cancellation during the first counts for the second.
        let admin = self.admin.begin();
        let this = admin.cluster(self.cluster);
        let cluster = this.get()?;
        // Absent may mean "none" or "not for you to see"; writing over what cannot be seen would
        // lose it.
        let Some(entries) = cluster.allowlist() else {
            return Err(crate::Error::new(
                crate::ErrorKind::PermissionDenied,
                crate::Stage::Decode,
                crate::Outcome::NotSent,
                "the answer has no allowlist: these credentials may not see it, so nothing was \
                 changed; `set_ip_allowlist` replaces it unseen",
            )
            .with_operation(SET_IP_ALLOWLIST.name));
        };
        let mut entries = entries.to_vec();
        change(&mut entries);
        this.set_ip_allowlist(&entries)?;
        Ok(entries)
    }

    /// Makes a new cluster in the paired region from backups and suspends this one for ever. Not
    /// enabled for every organisation. Never sent twice.
    ///
    /// Errors: 400 backup ids missing, empty or not valid; 403 cluster belongs to another
    /// organisation; 404 no such cluster or backup; 409 already failed over, or not ready yet; 422
    /// not multi-region, or its region pair has no failover.
    pub fn fail_over(&self, request: &TriggerFailover) -> Result<FailoverResult> {
        self.admin.send(&FAIL_OVER, &[self.id], request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowlist_comes_under_either_name() {
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
    fn a_step_of_a_failover_is_a_word_or_an_error() {
        let decode = |json: &str| serde_json::from_str::<FailoverStep>(json).unwrap();
        assert!(decode("\"ok\"").is_ok());
        let step = decode(r#"{"error":"no room"}"#);
        assert!(!step.is_ok());
        assert_eq!(step.error().as_deref(), Some("no room"));
        assert!(!decode("\"later\"").is_ok());
    }
}
