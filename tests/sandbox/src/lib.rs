#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod answer;
mod body;
mod catalog;
mod clock;
mod cluster;
mod control;
mod delivery;
mod encoding;
mod faults;
mod oauth;
mod operations;
mod permissions;
mod random;
mod reference;
mod sandbox;
mod server;
mod state;
mod stats;
mod status;
mod tls;

pub use cluster::AllowlistField;
pub use faults::{Fault, When};
pub use permissions::Permission;
pub use reference::{OperationInfo, operations};
pub use sandbox::{ClusterKind, Credentials, Sandbox, SandboxBuilder};
pub use state::Limits;
pub use stats::Stats;
