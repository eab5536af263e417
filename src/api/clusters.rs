//! Clusters: types, and the operations on the list of clusters.

use crate::api::constructor_macro::api_constructor;
use crate::api::enum_macro::api_enum;
use crate::api::handle_macro::api_handle;
use crate::api::id_macro::api_id;
use crate::api::members::OrganizationId;
use crate::api::object_macro::api_object;
use crate::api::operation::{BodySchema, Operation};
use crate::api::timestamp::Timestamp;
use crate::error::Result;

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
    /// Generation: a Camunda version that a cluster can run.
    response struct Generation {
        /// Its id, for `generation_id` when a cluster is created.
        required uuid: GenerationId = "uuid",
        /// Its name, such as `Camunda 8.8.1`.
        defaulted name: String = "name",
        /// Reason why the organization may use it.
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

api_constructor! {
    impl IpAllowlistEntry {
        /// Creates an entry for a CIDR, or for several separated by commas.
        fn new(ip: impl Into<String>, description: impl Into<String>);
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
        /// The organization that owns it.
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
        /// Deprecated name of `ipallowlist`, which the API still uses for some organizations.
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

api_constructor! {
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
        fn new(
            name: impl Into<String>,
            channel_id: impl Into<ChannelId>,
            generation_id: impl Into<GenerationId>,
            region_id: impl Into<RegionId>,
            plan_type_id: impl Into<PlanTypeId>,
        );

        /// Sets the description.
        fn description(impl Into<String>);

        /// Sets whether it is automatically upgraded to the newest generation of its channel.
        fn auto_update(bool);

        /// Sets the region in which its backups are stored.
        fn backup_region_id(impl Into<BackupRegionId>);

        /// Sets the owner of the key that encrypts its data.
        fn encryption(EncryptionKeyType);

        /// Sets the number of hardware packages.
        fn hardware_packages(u32);

        /// Sets the stage.
        fn stage_label(ClusterStage);

        /// Sets whether Identity checks permissions in the backend.
        fn identity_backend_checks_enabled(bool);
    }
}

api_object! {
    /// Response to the creation of a cluster.
    response struct CreatedCluster {
        /// Id of the new cluster, which has the status `Creating` for minutes.
        required cluster_id: ClusterId = "clusterId",
    }
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
    /// Reason why an organization may use a generation.
    enum GenerationClassification {
        /// The channel contains it.
        Channel = "channel",
        /// A cluster of the organization already runs it.
        ExistingCluster = "existingCluster",
        /// It was unlocked for the organization.
        OrgUnlocked = "orgUnlocked",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list clusters",
    sdk_method: "clusters.list",
    c_function: "camunda_cluster_list",
    path: "/clusters",
    response: Some(BodySchema::list::<Cluster>()),
    doc: "Lists all clusters of the organization, without paging.",
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

api_handle! {
    /// Operations on the clusters of the organization; see
    /// [`AdminClient::clusters`](crate::AdminClient::clusters).
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
    struct Clusters;
    /// Returns the operations on all clusters of the organization.
    fn clusters(&AdminClient);
}

impl Clusters {
    /// Lists all clusters of the organization, without paging.
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
    /// [`ClusterHandle::wait_until_healthy`](crate::ClusterHandle::wait_until_healthy). Costs
    /// money. Non-idempotent: after an error with the outcome [`Unknown`](crate::Outcome::Unknown),
    /// look for the name among the clusters before creating it again.
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
}
