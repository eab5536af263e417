//! The API: one file per resource with its types and operations, and the description and execution
//! of operations.
//!
//! Must not depend on `ffi`.

pub(crate) mod activity;
pub(crate) mod admin;
pub(crate) mod admin_builder;
pub(crate) mod backups;
pub(crate) mod cluster_clients;
pub(crate) mod cluster_handle;
pub(crate) mod cluster_operations;
pub(crate) mod clusters;
mod constructor_macro;
pub(crate) mod enum_macro;
mod error_path;
pub(crate) mod extra;
mod handle_macro;
mod id_macro;
pub(crate) mod json;
mod json_cursor;
pub(crate) mod json_index;
pub(crate) mod json_walk;
pub(crate) mod members;
pub(crate) mod meta;
pub(crate) mod monitoring;
pub(crate) mod object_macro;
pub(crate) mod operation;
pub(crate) mod path_segment;
pub(crate) mod place;
mod polling;
pub(crate) mod schema;
pub(crate) mod secrets;
pub(crate) mod secure_connectivity;
#[cfg(any(test, fuzzing))]
mod tests;
mod text_decoder;
pub(crate) mod timestamp;
pub(crate) mod token_source;
pub(crate) mod wait;
mod wait_loop;
pub(crate) mod wait_options;

#[cfg(any(test, fuzzing))]
pub(crate) use tests::round_trip_tests;

use operation::Operation;
use schema::{Describe, Description};
use wait::Waiter;

/// Lists the types of the API. `@internal` marks request and response bodies that no public function
/// takes or returns; all other types are exported. The fields of such a request are the arguments of the
/// method in all languages.
macro_rules! types {
    ($($module:ident: $($(@$internal:ident)? $name:ident)*;)*) => {
        /// All types of the API's objects, enumerations and ids, for the root of the crate.
        pub(crate) mod types {
            $($(types! { @export $($internal)? $module $name })*)*
        }

        /// Descriptions of all types of the API, each after the types of its fields.
        pub static TYPES: &[&Description] =
            &[$($(<$module::$name as Describe>::DESCRIPTION,)*)*];

        /// Names of the types that no public function takes or returns.
        pub static INTERNAL_TYPES: &[&str] =
            &[$($($(types!(@name $internal $name),)?)*)*];

        /// For each type, a function that decodes JSON and encodes it again.
        #[cfg(any(test, fuzzing))]
        static ROUND_TRIPS: &[(&Description, fn(&[u8]) -> Result<String, String>)] = &[$($(
            (<$module::$name as Describe>::DESCRIPTION, round_trip_tests::round_trip::<$module::$name>),
        )*)*];
    };
    (@name internal $name:ident) => { stringify!($name) };
    (@export internal $module:ident $name:ident) => {};
    (@export $module:ident $name:ident) => { pub use super::$module::$name; };
}

types! {
    members: OrganizationId UserId;
    backups: BackupId RestoreId;
    clusters: ClusterId ChannelId GenerationId RegionId BackupRegionId BackupOptionId PlanTypeId
        ChannelRef GenerationRef RegionRef BackupRegionRef PlanTypeRef PlanType
        GenerationClassification Generation Channel
        BackupRegionOption BackupOption Region Parameters IpAllowlistEntry ClusterLinks
        ClusterComponentStatus ClusterStatus EncryptionKeyType EncryptionStatus ClusterEncryption
        Cluster ClusterStage CreateCluster @internal CreatedCluster;
    cluster_operations: UpdateCluster UpdateEncryption @internal UpdateIpAllowlist UpgradedCluster
        UpgradedGeneration GenerationUpgrade TriggerFailover FailoverResults FailoverResult;
    cluster_clients: ClusterClientId ClientPermission ClusterClient CreateClusterClient ClientLinks
        CreatedClusterClient ClusterClientConnectionDetails;
    backups: BackupStatus RestoreState Backup @internal SetBackupSchedule BackupSchedule
        Restore;
    secrets: @internal CreateSecret @internal UpdateSecret;
    monitoring: MonitoringClientId MonitoringClient @internal CreateMonitoringClient
        CreatedMonitoringClient
        MetricsEndpoint MonitoringStatus Monitoring;
    secure_connectivity: ActivateSecureConnectivity OrgLabel SecureConnectivityMetadata ClusterRef
        SecureConnectivitySpec Condition SecureEndpoint EndpointConnection SecureConnectivityState
        SecureConnectivityOrEmpty SecureConnectivityStatus;
    members: OrganizationRole AssignableRole Member @internal SetMemberRoles;
    activity: AuditType AuditEvent;
    meta: IpRanges;
}

/// Descriptions of all operations of the API, in the order of the reference.
pub static OPERATIONS: &[&Operation] = &[
    &clusters::LIST,
    &clusters::CREATE,
    &clusters::PARAMETERS,
    &cluster_operations::GET,
    &cluster_operations::UPDATE,
    &cluster_operations::DELETE,
    &cluster_operations::WAKE,
    &cluster_operations::UPGRADE,
    &cluster_operations::SET_ENCRYPTION,
    &cluster_operations::SET_IP_ALLOWLIST,
    &cluster_operations::FAIL_OVER,
    &cluster_clients::LIST,
    &cluster_clients::CREATE,
    &cluster_clients::GET,
    &cluster_clients::DELETE,
    &backups::LIST,
    &backups::CREATE,
    &backups::DELETE,
    &backups::RESTORE_STATUS,
    &backups::RESTORE,
    &backups::SCHEDULE,
    &backups::SET_SCHEDULE,
    &backups::DELETE_SCHEDULE,
    &secrets::LIST,
    &secrets::CREATE,
    &secrets::UPDATE,
    &secrets::DELETE,
    &monitoring::ACTIVATE,
    &monitoring::DEACTIVATE,
    &monitoring::GET,
    &monitoring::CREATE_CLIENT,
    &monitoring::DELETE_CLIENT,
    &monitoring::ROTATE_PASSWORD,
    &secure_connectivity::GET,
    &secure_connectivity::ACTIVATE,
    &secure_connectivity::DEACTIVATE,
    &members::LIST,
    &members::SET_ROLES,
    &members::DELETE,
    &activity::LIST,
    &activity::CSV,
    &meta::IP_RANGES,
];

/// Descriptions of all waiters.
pub static WAITERS: &[&Waiter] = &[
    &wait::HEALTHY,
    &wait::DELETED,
    &wait::UPGRADED,
    &wait::WOKEN,
    &wait::ENCRYPTED,
    &wait::BACKED_UP,
    &wait::RESTORED,
];
