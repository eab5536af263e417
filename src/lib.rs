//! Client for the [Camunda 8](https://camunda.com) Administration API (SaaS): clusters, their
//! clients, backups, secrets and monitoring, members, and the audit log. All processes of a user on a
//! machine share one cache of OAuth access tokens.
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
//! // The API returns the secret only once, so the file (0600, never overwritten) is created first.
//! let worker = CreateClusterClient::new("worker");
//! admin.cluster(&id).clients().create_env_file("worker.env", &worker)?;
//! # Ok::<(), camunda_admin::Error>(())
//! ```
//!
//! # Calls
//!
//! Calls block. A call has one deadline ([`AdminClientBuilder::timeout`], [`CallOptions::timeout`];
//! default: 60 s). It covers locks, the rate limit, the token request, retries and reading the
//! body. Another thread or a signal handler can cancel a call ([`Cancel`]).
//!
//! Safe and idempotent operations are retried after transient errors, up to 5 attempts.
//! Non-idempotent operations (creating a cluster, a client, a backup, …) are retried only if no
//! byte of the request was sent.
//!
//! # Errors
//!
//! Every function returns the same [`Error`]. [`Error::kind`] is the category to match on,
//! [`Error::outcome`] reports whether the operation was executed: [`Outcome::NotSent`],
//! [`Outcome::Rejected`], [`Outcome::Unknown`] or [`Outcome::Completed`].
//! [`Error::may_have_been_applied`] reports whether the caller must check a change before repeating
//! it. If a response that the API returns only once cannot be decoded, [`Error::body`] has its bytes.
//!
//! ```no_run
//! use camunda_admin::{AdminClient, ClusterId, ErrorKind};
//!
//! # let admin = AdminClient::from_env()?;
//! let id: ClusterId = "3f0e9a52-7f0c-4a6e-9d0b-7b8f2f6c1d11".parse()?;
//! match admin.cluster(&id).delete() {
//!     Ok(()) => println!("deleted"),
//!     Err(error) if error.kind() == ErrorKind::NotFound => println!("no such cluster"),
//!     Err(error) if error.may_have_been_applied() => eprintln!("check first: {error}"),
//!     Err(error) => return Err(error),
//! }
//! # Ok::<(), camunda_admin::Error>(())
//! ```
//!
//! # Types
//!
//! Objects keep unknown fields in `extra`, and enumerations keep unknown values as `Unknown`; both
//! are encoded unchanged. A field that the API documents as required but sometimes omits has its
//! default value (an empty string, `false`, an empty list) if absent. Fields of a response that were
//! absent or `null` are encoded as they were, unless the program set them. Tests create a response
//! from JSON:
//!
//! ```
//! let cluster: camunda_admin::Cluster =
//!     serde_json::from_str(r#"{"uuid": "a", "name": "orders", "status": {"ready": "Healthy"}}"#)?;
//! assert_eq!(cluster.status.ready, camunda_admin::ClusterComponentStatus::Healthy);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! Secrets have the type
//! [`Secret`], which only [`Secret::expose`] reads; `Debug`, errors and logs never contain them.
//!
//! # Tokens
//!
//! The token endpoint allows about one request per second and source IP address, counts rejected
//! requests too, and blocks an address that exceeds the limit. Therefore all clients of the process
//! share tokens and, through encrypted files, so do all processes of the user. The library sends at
//! most one token request per 1.1 s and host, and none for 30 s (doubling up to 15 min) after the
//! token endpoint rejected the credentials or the request. See [`AdminClientBuilder::token_cache`].
//!
//! # Features
//!
//! - `redis`: token stores in Redis or Valkey.
//! - `capi`: exports the C ABI of `include/camunda_admin.h`; the shared and the static library are
//!   built from the repository. Without it the crate exports no C symbol, and its only `unsafe` code is
//!   the module that detects forks.
//! - `doctor`: the module `doctor`, which checks the environment; includes `redis`.
//! - `cli`: the program `camunda-admin` (`doctor` checks the environment, `token` prints an access
//!   token); includes `doctor`.
//!
//! # Logs
//!
//! The library logs through the [`log`] facade with the target `camunda_admin`: a `debug` record for
//! each response and token, an `info` record for each retry, a `warn` record for each token store that
//! fails. Records contain no secrets.
//!
//! **Warning:** a program that logs at level `trace` must exclude the target `ureq_proto`. This
//! dependency logs all bytes that it sends and receives, access tokens and secrets included. With
//! `env_logger`, for example: `RUST_LOG=trace,ureq_proto=off`.
//!
//! # Proxies
//!
//! The proxy of `HTTPS_PROXY` or `ALL_PROXY` is used, except for the hosts of `NO_PROXY` and for
//! loopback addresses; [`AdminClientBuilder::proxy`] replaces it. Only HTTP proxies (CONNECT) are
//! supported; a SOCKS proxy is an error. If a proxy intercepts TLS, its certificate authority must be
//! trusted by the platform or set with [`AdminClientBuilder::ca_file`].
//!
//! # Testing
//!
//! The crate `camunda-admin-sandbox` is a mock server of the API and of the token endpoint, with life
//! cycles, errors, rate limits and fault injection. A test starts it in its own process:
//!
//! ```
//! use camunda_admin::AdminClient;
//! use camunda_admin_sandbox::Sandbox;
//!
//! let sandbox = Sandbox::start();
//! let admin = AdminClient::builder()
//!     .client_id(&sandbox.client_id())
//!     .client_secret(sandbox.client_secret())
//!     .base_url(&sandbox.base_url())
//!     .oauth_url(&sandbox.oauth_url())
//!     .token_cache("memory")
//!     .build()?;
//! assert!(admin.clusters().list()?.is_empty());
//! # Ok::<(), camunda_admin::Error>(())
//! ```
//!
//! # Forks
//!
//! A client that was created before a `fork` works in the child, with its own connections and with
//! the cached tokens and rate limits of the parent. A call in progress on the forking thread (if a
//! callback forks, for example) fails in the child with [`ErrorKind::Cancelled`]. One limit: if
//! other threads of a Rust program block on the program's own `parking_lot` locks during the fork,
//! a child that uses the client on several threads can hang.

#![deny(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// A type in a public signature must be exported.
#![cfg_attr(not(test), deny(unnameable_types))]

/// The Rust examples of the documentation site compile.
#[cfg(doctest)]
mod documentation {
    #[doc = include_str!("../docs/cancellation.md")]
    struct Cancellation;
    #[doc = include_str!("../docs/clusters.md")]
    struct Clusters;
    #[cfg(feature = "doctor")]
    #[doc = include_str!("../docs/command-line.md")]
    struct CommandLine;
    #[doc = include_str!("../docs/configuration.md")]
    struct Configuration;
    #[doc = include_str!("../docs/errors.md")]
    struct Errors;
    #[doc = include_str!("../docs/operations.md")]
    struct Operations;
    #[doc = include_str!("../docs/quick-start.md")]
    struct QuickStart;
    #[doc = include_str!("../docs/retries.md")]
    struct Retries;
    #[doc = include_str!("../docs/testing.md")]
    struct Testing;
}

mod abandonable;
mod api;
mod auth;
mod backoff;
mod calendar;
mod call;
mod client_secret_file;
mod config;
mod config_values;
mod credentials;
#[cfg(test)]
#[path = "../tests/support/deadline_check.rs"]
mod deadline_check;
#[cfg(feature = "doctor")]
pub mod doctor;
mod edit_distance;
mod error;
/// The C ABI, which `include/camunda_admin.h` documents. Exempt from semantic versioning as an API of
/// Rust.
#[cfg(feature = "capi")]
#[doc(hidden)]
pub mod ffi;
mod fork;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod json_text;
#[cfg(test)]
#[path = "../tests/support/limited.rs"]
#[allow(dead_code)]
mod limited;
mod private_file;
mod random;
#[cfg(all(test, unix, feature = "redis"))]
#[path = "../tests/support/redis_server.rs"]
mod redis_server;
mod secret;
mod token_config;
mod token_store;
mod transport;
#[cfg(test)]
#[path = "../tests/support/unreachable_ports.rs"]
mod unreachable_ports;

pub use api::activity::Activity;
pub use api::admin::AdminClient;
pub use api::admin_builder::AdminClientBuilder;
pub use api::backups::Backups;
pub use api::cluster_clients::ClusterClients;
pub use api::cluster_handle::ClusterHandle;
pub use api::cluster_operations::FailoverStep;
pub use api::clusters::Clusters;
pub use api::enum_macro::UnknownValue;
pub use api::extra::{Extra, ExtraIter};
pub use api::json::{Json, Number};
pub use api::members::Members;
pub use api::monitoring::ClusterMonitoring;
pub use api::secrets::{ClusterSecrets, Secrets};
pub use api::secure_connectivity::SecureConnectivity;
pub use api::timestamp::Timestamp;
pub use api::token_source::TokenSource;
// The objects, enumerations and ids of the list in `api/mod.rs`.
pub use api::types::*;
pub use api::wait_options::Wait;
pub use auth::{
    CounterReport, Diagnostics, RateLimiterReport, StoreReport, StoreRole, Token, TokenReport,
    TokenStatus,
};
pub use call::{CallOptions, Cancel};
pub use credentials::ClusterCredentials;
pub use error::{Error, ErrorKind, Outcome, Result, Stage};
pub use secret::Secret;
pub use token_config::{TokenCache, TokenRequestFormat};
pub use token_store::{StoreLock, TokenStore};
pub use transport::{Idempotency, Method, Stats};

/// Description of the API as data, from which the types and functions of the other languages are
/// generated. Exempt from semantic versioning.
#[doc(hidden)]
pub mod description {
    pub use crate::api::operation::{BodyKind, BodySchema, Operation};
    pub use crate::api::schema::{Description, Direction, EnumValue, Field, Presence};
    pub use crate::api::wait::Waiter;
    pub use crate::api::{INTERNAL_TYPES, OPERATIONS, TYPES, WAITERS};
}
