//! Client for the [Camunda 8](https://camunda.com) Administration API (SaaS): clusters and what
//! belongs to them, with OAuth tokens that are asked for once per machine.
//!
//! ```no_run
//! use camunda_admin::{AdminClient, CreateCluster, CreateClusterClient, Wait};
//!
//! let admin = AdminClient::from_env()?;
//! for cluster in admin.clusters().list()? {
//!     println!("{} {}", cluster.name, cluster.status.ready);
//! }
//!
//! let offer = admin.clusters().parameters()?;
//! let channel = &offer.channels[0];
//! let id = admin.clusters().create(&CreateCluster::new(
//!     "orders",
//!     &channel.uuid,
//!     &channel.default_generation.uuid,
//!     &offer.regions[0].uuid,
//!     &offer.cluster_plan_types[0].uuid,
//! ))?;
//! let wait = Wait::new().on_progress(|cluster| println!("{}", cluster.status.ready));
//! admin.cluster(&id).wait_until_healthy(&wait)?;
//!
//! // The secret is shown only once: the file (0600, never over another) comes before the client.
//! let worker = CreateClusterClient::new("worker");
//! admin.cluster(&id).clients().create_env_file("worker.env", &worker)?;
//! # Ok::<(), camunda_admin::Error>(())
//! ```
//!
//! # Calls
//!
//! Calls block. A call has one deadline ([`AdminClientBuilder::timeout`], [`CallOptions::timeout`];
//! 60 s unless set) that covers waiting for locks and turns, the token, retries and the body, and it
//! can be cancelled ([`Cancel`]). Reads and changes that set a state are sent again after passing
//! failures; what must not happen twice (creating a cluster, a client, a backup, …) is sent again
//! only where it is certain that no byte of it left. [`Error::outcome`] tells which of "not sent",
//! "refused", "unknown" and "done" it was, and [`Error::may_have_been_applied`] whether a change has to
//! be checked before it is repeated.
//!
//! # Types
//!
//! Objects keep fields that they do not know in `extra`, and enumerations keep words that they do not
//! know as `Unknown`; both are encoded unchanged. Fields that the service describes as always there
//! and sometimes leaves out read as empty. Secrets are [`Secret`]s: readable through
//! [`Secret::expose`], and neither in `Debug` nor in errors nor in logs.
//!
//! # Tokens
//!
//! The token endpoint allows about one request a second for all that is behind one address, counts
//! refused ones too, and bans the address beyond that. So tokens are shared between all clients of
//! the process and, through sealed files, between all processes of the user; requests are paced; and
//! refused credentials are not tried again for a while. See [`AdminClientBuilder::token_cache`].
//!
//! # Features
//!
//! `capi` exports the C ABI of `include/camunda_admin.h`; without it the crate exports no C symbol,
//! and its only `unsafe` code is the module that detects forks.
//!
//! # Forks
//!
//! A client that was made before a `fork` works in the child, with connections of its own and with
//! the tokens and rate limits that its parent knew. A call that is under way on the thread that forks
//! (a callback forks, for example) ends in the child as cancelled. One limit: if other threads of a
//! Rust program block on `parking_lot` locks of the program's own during the fork, a child that uses
//! the client on several threads can hang.

#![deny(unsafe_code)]

/// The README's own example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod api;
mod auth;
mod backoff;
mod call;
mod config;
mod credentials;
#[cfg(test)]
#[path = "../tests/support/deadline_check.rs"]
mod deadline_check;
mod error;
#[cfg(feature = "capi")]
pub mod ffi;
mod fork;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
#[path = "../tests/support/limited.rs"]
#[allow(dead_code)]
mod limited;
mod random;
mod secret;
mod transport;
#[cfg(test)]
#[path = "../tests/support/unreachable_ports.rs"]
mod unreachable_ports;

pub use api::activity::{Activity, AuditEvent, AuditType};
pub use api::admin::{AdminClient, AdminClientBuilder, ClusterHandle, TokenSource};
pub use api::backups::{
    Backup, BackupId, BackupSchedule, BackupStatus, Backups, Restore, RestoreState,
};
pub use api::cluster_clients::{
    ClientLinks, ClientPermission, ClusterClient, ClusterClientConnectionDetails, ClusterClientId,
    ClusterClients, CreateClusterClient, CreatedClusterClient,
};
pub use api::clusters::{
    BackupOption, BackupRegionOption, Channel, Cluster, ClusterComponentStatus, ClusterEncryption,
    ClusterId, ClusterLinks, ClusterStage, ClusterStatus, Clusters, CreateCluster,
    EncryptionKeyType, EncryptionStatus, FailoverResult, FailoverResults, FailoverStep, Generation,
    GenerationClassification, GenerationUpgrade, IpAllowlistEntry, NamedId, NamedResource,
    Parameters, Region, TriggerFailover, UpdateCluster, UpdateEncryption,
};
pub use api::members::{AssignableRole, Member, Members, OrganizationRole};
pub use api::meta::IpRanges;
pub use api::monitoring::{
    ClusterMonitoring, CreatedMonitoringClient, MetricsEndpoint, Monitoring, MonitoringClient,
    MonitoringClientId, MonitoringStatus,
};
pub use api::object::{Extra, Json, Number};
pub use api::secrets::{ClusterSecrets, Secrets};
pub use api::secure_connectivity::{
    ActivateSecureConnectivity, ClusterRef, Condition, EndpointConnection, OrgLabel,
    SecureConnectivity, SecureConnectivityMetadata, SecureConnectivityOrEmpty,
    SecureConnectivitySpec, SecureConnectivityState, SecureConnectivityStatus, SecureEndpoint,
};
pub use api::wait::Wait;
pub use auth::{StoreLock, Token, TokenStore};
pub use call::{CallOptions, Cancel};
pub use credentials::ClusterCredentials;
pub use error::{Error, ErrorKind, Outcome, Result, Stage};
pub use secret::Secret;
pub use transport::{Idempotency, Method, Stats};

/// The API as data: what the other languages' types and functions are generated from. Not covered
/// by the promise of stable versions.
#[doc(hidden)]
pub mod description {
    pub use crate::api::object::{Description, Direction, EnumValue, Field, Presence};
    pub use crate::api::operation::{BodyKind, BodySchema, Operation};
    pub use crate::api::wait::Waiter;
    pub use crate::api::{OPERATIONS, TYPES, WAITERS};
}
