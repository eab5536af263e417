//! A local stand-in for the Camunda 8 Administration API, for tests.
//!
//! ```
//! use camunda_admin_sandbox::Sandbox;
//!
//! let sandbox = Sandbox::start();
//! for (name, value) in sandbox.environment() {
//!     println!("export {name}='{value}'");
//! }
//! assert_eq!(sandbox.stats().requests, 0);
//! ```
//!
//! A sandbox serves the API and the token endpoint on a port of its own until it is dropped. It
//! knows all operations, takes what the service takes and refuses what the service refuses, and
//! goes through the same life cycles in a fraction of the time. [`Sandbox::add_fault`] makes it
//! misbehave, [`Sandbox::advance`] puts its clock forward, and the other methods arrange what a
//! test needs. The program of the same name serves every other language: there the paths below
//! `/_sandbox/` do the same, see [`control`](Sandbox::control).
//!
//! Where the service's description is silent the sandbox has decided as follows:
//!
//! - A second backup within 15 minutes is refused with 409.
//! - A deleted cluster is still there for half of [`healthy_after`](SandboxBuilder::healthy_after).
//! - Waking a cluster that isn't suspended changes nothing, and answers 204. One that was failed
//!   over can't be woken: 409.
//! - A cluster with `External` encryption is `WaitingForInput` until it has its keys.
//! - While a cluster is upgraded it shows its old generation.
//! - A client's details are to be had (else 412) exactly while its cluster is `Healthy`.
//! - A backup that isn't complete can't be restored: 409.
//! - Whoever asks for a token with the credentials of another kind of audience is refused like
//!   one with wrong credentials: 401. An unknown audience is refused with 403.

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
mod sandbox;
mod server;
mod state;
mod stats;
mod status;
mod tls;

pub use cluster::AllowlistField;
pub use faults::{Fault, When};
pub use permissions::Permission;
pub use sandbox::{ClusterKind, Credentials, Sandbox, SandboxBuilder};
pub use state::Limits;
pub use stats::Stats;
