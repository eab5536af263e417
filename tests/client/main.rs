//! Tests of the Rust client against the mock server.

mod bad_input;
mod credentials;
#[path = "../support/deadline_check.rs"]
mod deadline_check;
mod deadlines;
#[cfg(feature = "cli")]
mod doctor;
mod end_to_end;
mod env_files;
#[path = "../support/limited.rs"]
#[allow(dead_code)]
mod limited;
mod log_collector;
mod logs;
mod oidc;
mod one_time;
mod proxies;
mod requests;
mod responses;
mod round_trip;
mod settings;
#[cfg(unix)]
mod sharing;
mod strings;
mod token_interval;
mod traits;

#[path = "../support/unreachable_ports.rs"]
mod unreachable_ports;
mod waiters;

use std::time::Duration;

use camunda_admin::{AdminClient, AdminClientBuilder, ClusterId, CreateCluster};
use camunda_admin_sandbox::Sandbox;

/// Returns a builder for a sandbox, with a token cache of its own.
fn builder(sandbox: &Sandbox) -> AdminClientBuilder {
    limited::limit_this_process();
    AdminClient::builder()
        .client_id(&sandbox.client_id())
        .client_secret(sandbox.client_secret())
        .base_url(&sandbox.base_url())
        .oauth_url(&sandbox.oauth_url())
        .token_cache("memory")
        .timeout(Duration::from_secs(20))
}

fn client(sandbox: &Sandbox) -> AdminClient {
    builder(sandbox).build().unwrap()
}

/// Creates a cluster in the sandbox, without a request.
fn new_cluster(sandbox: &Sandbox) -> ClusterId {
    let id = sandbox.create_cluster(serde_json::json!({}));
    id.parse().unwrap()
}

/// Returns a request that the sandbox accepts.
fn cluster(admin: &AdminClient, name: &str) -> CreateCluster {
    let offer = admin.clusters().parameters().unwrap();
    CreateCluster::new(
        name,
        &offer.channels[0].uuid,
        &offer.channels[0].default_generation.uuid,
        &offer.regions[0].uuid,
        &offer.cluster_plan_types[0].uuid,
    )
}
