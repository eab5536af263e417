//! `Cluster` types with serde alone: the documented fields and enum values. An unknown enum value is an
//! error.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    missing_debug_implementations
)]

/// Declares the types. With a type as argument, each object keeps its unknown fields in `extra`.
macro_rules! cluster_types {
    ($($extra:ty)?) => {
        use serde::Deserialize;

        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Cluster {
            pub uuid: String,
            pub name: String,
            pub description: Option<String>,
            pub owner_id: String,
            pub created: String,
            pub auto_update: bool,
            pub channel: NamedResource,
            pub generation: NamedResource,
            pub region: NamedResource,
            pub backup_region: Option<NamedResource>,
            pub plan_type: NamedResource,
            pub labels: Option<Vec<String>>,
            pub links: Links,
            pub status: Status,
            pub encryption: Option<Encryption>,
            pub ipallowlist: Option<Vec<IpAllowlistEntry>>,
            pub ipwhitelist: Option<Vec<IpAllowlistEntry>>,
            $( #[serde(flatten)] pub extra: $extra, )?
        }

        #[derive(Deserialize)]
        pub struct NamedResource {
            pub uuid: String,
            pub name: String,
            $( #[serde(flatten)] pub extra: $extra, )?
        }

        #[derive(Deserialize)]
        pub struct Links {
            pub console: Option<String>,
            pub connectors: Option<String>,
            pub identity: Option<String>,
            pub oauth: Option<String>,
            pub operate: Option<String>,
            pub optimize: Option<String>,
            pub tasklist: Option<String>,
            pub zeebe: Option<String>,
            $( #[serde(flatten)] pub extra: $extra, )?
        }

        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Status {
            pub ready: ComponentStatus,
            pub zeebe_status: Option<ComponentStatus>,
            pub operate_status: Option<ComponentStatus>,
            pub tasklist_status: Option<ComponentStatus>,
            pub optimize_status: Option<ComponentStatus>,
            pub connectors_status: Option<ComponentStatus>,
            $( #[serde(flatten)] pub extra: $extra, )?
        }

        #[derive(Deserialize)]
        pub enum ComponentStatus {
            Creating,
            Healthy,
            Unhealthy,
            Updating,
            Resuming,
            Suspended,
            WaitingForInput,
            Maintenance,
        }

        impl ComponentStatus {
            pub fn as_str(&self) -> &'static str {
                match self {
                    ComponentStatus::Creating => "Creating",
                    ComponentStatus::Healthy => "Healthy",
                    ComponentStatus::Unhealthy => "Unhealthy",
                    ComponentStatus::Updating => "Updating",
                    ComponentStatus::Resuming => "Resuming",
                    ComponentStatus::Suspended => "Suspended",
                    ComponentStatus::WaitingForInput => "WaitingForInput",
                    ComponentStatus::Maintenance => "Maintenance",
                }
            }
        }

        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub struct Encryption {
            pub r#type: EncryptionKeyType,
            pub status: Option<EncryptionStatus>,
            pub primary_key_arn: Option<String>,
            pub secondary_key_arn: Option<String>,
            $( #[serde(flatten)] pub extra: $extra, )?
        }

        #[derive(Deserialize)]
        pub enum EncryptionKeyType {
            Software,
            Hardware,
            Provider,
            External,
        }

        #[derive(Deserialize)]
        pub enum EncryptionStatus {
            Ready,
            ProviderError,
            ExternalEncryptionKeyNotReady,
            ExternalEncryptionKeyNotSupplied,
            CreationError,
            EncryptedStorageNotReady,
        }

        #[derive(Deserialize)]
        pub struct IpAllowlistEntry {
            pub ip: String,
            pub description: String,
            $( #[serde(flatten)] pub extra: $extra, )?
        }
    };
}

/// With unknown fields.
pub mod keeping {
    cluster_types!(serde_json::Map<String, serde_json::Value>);
}

/// Unknown fields are dropped.
pub mod minimal {
    cluster_types!();
}
