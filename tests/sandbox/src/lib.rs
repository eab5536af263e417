#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![allow(
    clippy::must_use_candidate,
    reason = "most methods change the state and also return an id that a test may not need"
)]
#![allow(
    clippy::disallowed_types,
    reason = "the mock server does not depend on once_cell"
)]

mod body;
mod builder;
mod catalog;
mod changes;
mod clock;
mod cluster;
mod control;
mod delivery;
mod encoding;
mod faults;
mod oauth;
mod openapi;
mod operations;
mod permissions;
#[doc(hidden)]
pub mod private_file;
mod random;
mod request_log;
mod response;
mod sandbox;
mod server;
mod snapshot;
mod state;
mod stats;
mod status;
mod tls;

pub use builder::SandboxBuilder;
pub use cluster::AllowlistField;
pub use faults::{Fault, When};
pub use operations::{OperationInfo, operations};
pub use permissions::Permission;
pub use request_log::RequestRecord;
pub use sandbox::{AddedFault, ClusterKind, Credentials, Sandbox};
pub use state::Limits;
pub use stats::Stats;
pub use tls::CertificateFault;

/// Parses a time such as `2026-03-01T12:00:00Z`.
pub fn parse_time(text: &str) -> Option<std::time::SystemTime> {
    std::time::UNIX_EPOCH.checked_add(clock::parse_iso8601(text)?)
}
