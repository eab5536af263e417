//! The API: one file per resource with its types and operations, and the description and execution
//! of operations.
//!
//! Must not depend on `ffi`.

pub(crate) mod activity;
pub(crate) mod admin;
pub(crate) mod backups;
pub(crate) mod cluster_clients;
pub(crate) mod clusters;
mod error_path;
pub(crate) mod members;
pub(crate) mod meta;
pub(crate) mod monitoring;
pub(crate) mod object;
pub(crate) mod operation;
mod polling;
#[cfg(any(test, fuzzing))]
pub(crate) mod round_trip_tests;
mod schema;
pub(crate) mod secrets;
pub(crate) mod secure_connectivity;
pub(crate) mod wait;

use object::{Describe, Description};
use operation::Operation;
use wait::Waiter;

macro_rules! types {
    ($($module:ident: $($name:ident)*;)*) => {
        /// Descriptions of all types of the API, each after the types of its fields.
        pub static TYPES: &[&Description] =
            &[$($(<$module::$name as Describe>::DESCRIPTION,)*)*];

        /// For each type, a function that decodes JSON and encodes it again.
        #[cfg(any(test, fuzzing))]
        static ROUND_TRIPS: &[(&Description, fn(&[u8]) -> Result<String, String>)] = &[$($(
            (<$module::$name as Describe>::DESCRIPTION, round_trip_tests::round_trip::<$module::$name>),
        )*)*];
    };
}

types! {
    clusters: ClusterId NamedResource NamedId GenerationClassification Generation Channel
        BackupRegionOption BackupOption Region Parameters IpAllowlistEntry ClusterLinks
        ClusterComponentStatus ClusterStatus EncryptionKeyType EncryptionStatus ClusterEncryption
        Cluster ClusterStage CreateCluster CreatedCluster UpdateCluster UpdateEncryption
        UpdateIpAllowlist GenerationUpgrade TriggerFailover FailoverResults FailoverResult;
    cluster_clients: ClusterClientId ClientPermission ClusterClient CreateClusterClient ClientLinks
        CreatedClusterClient ClusterClientConnectionDetails;
    backups: BackupId BackupStatus RestoreState Backup SetBackupSchedule BackupSchedule Restore;
    secrets: CreateSecret UpdateSecret;
    monitoring: MonitoringClientId MonitoringClient CreateMonitoringClient CreatedMonitoringClient
        MetricsEndpoint MonitoringStatus Monitoring;
    secure_connectivity: ActivateSecureConnectivity OrgLabel SecureConnectivityMetadata ClusterRef
        SecureConnectivitySpec Condition SecureEndpoint EndpointConnection SecureConnectivityState
        SecureConnectivityOrEmpty SecureConnectivityStatus;
    members: OrganizationRole AssignableRole Member SetMemberRoles;
    activity: AuditType AuditEvent;
    meta: IpRanges;
}

/// Descriptions of all operations of the API, in the order of the reference.
pub static OPERATIONS: &[&Operation] = &[
    &clusters::LIST,
    &clusters::CREATE,
    &clusters::PARAMETERS,
    &clusters::GET,
    &clusters::UPDATE,
    &clusters::DELETE,
    &clusters::WAKE,
    &clusters::UPGRADE,
    &clusters::SET_ENCRYPTION,
    &clusters::SET_IP_ALLOWLIST,
    &clusters::FAIL_OVER,
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::object::Direction;
    use super::operation::BodyKind;
    use super::*;
    use crate::transport::{Idempotency, Method};

    #[test]
    fn operation_names_are_unique() {
        let mut seen = HashSet::new();
        for operation in OPERATIONS {
            for name in [operation.name, operation.call, operation.c_name] {
                assert!(seen.insert(name), "{name} is not unique");
            }
        }
    }

    #[test]
    fn types_are_listed_after_the_types_of_their_fields() {
        let mut known: HashSet<&str> = [
            "String",
            "bool",
            "u32",
            "Option",
            "Vec",
            "Secret",
            "Json",
            "Number",
            "FailoverStep",
        ]
        .into();
        for description in TYPES {
            if let Description::Object { fields, .. } = description {
                for field in *fields {
                    for name in field.rust_type.split(|c: char| !c.is_alphanumeric()) {
                        assert!(
                            name.is_empty() || known.contains(name),
                            "{}.{}: {name} is not in TYPES before it",
                            description.name(),
                            field.name
                        );
                    }
                }
            }
            assert!(
                known.insert(description.name()),
                "{} is not unique",
                description.name()
            );
        }
    }

    #[test]
    fn types_contain_all_bodies_of_operations() {
        for operation in OPERATIONS {
            for (schema, direction) in [
                (&operation.body, Direction::Request),
                (&operation.response, Direction::Response),
            ] {
                if let Some(BodyKind::Object(description) | BodyKind::List(description)) =
                    schema.as_ref().map(|schema| &schema.kind)
                {
                    let name = description.name();
                    assert!(TYPES.iter().any(|known| known.name() == name), "{name}");
                    let Description::Object {
                        direction: found, ..
                    } = description
                    else {
                        panic!("{name} is not an object");
                    };
                    assert_eq!(*found, direction, "{name}");
                }
            }
        }
    }

    #[test]
    fn only_get_operations_are_safe() {
        for operation in OPERATIONS {
            assert_eq!(
                operation.idempotency == Idempotency::Safe,
                operation.method == Method::Get,
                "{}",
                operation.name
            );
            if operation.idempotency == Idempotency::NonIdempotent {
                assert!(operation.hint.is_some(), "{} has no hint", operation.name);
            }
        }
    }
}
