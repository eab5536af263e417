//! Micro-benchmarks of single steps, compared with serde_json: `cargo bench --bench micro`.
//!
//! The output includes allocations; a step without a line "alloc" allocates nothing.

#[path = "side_by_side/cluster_types.rs"]
mod cluster_types;

use camunda_admin::{AdminClient, Cluster, TokenSource};
use camunda_admin_sandbox::Sandbox;
use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher};
use serde::de::DeserializeOwned;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const CLUSTERS: [usize; 3] = [1, 100, 10_000];

fn main() {
    divan::main();
}

/// Returns a cached token, on one thread.
#[divan::bench]
fn cached_token(bencher: Bencher<'_, '_>) {
    let sandbox = Sandbox::start();
    let tokens = tokens(&sandbox);
    bencher.bench_local(|| tokens.access_token());
}

/// Decodes responses into the types of this library.
#[divan::bench(args = CLUSTERS)]
fn decode(bencher: Bencher<'_, '_>, clusters: usize) {
    decode_into::<Cluster>(bencher, clusters);
}

/// Decodes the same responses into the same fields with serde_json alone; unknown fields are kept.
#[divan::bench(args = CLUSTERS)]
fn decode_plain(bencher: Bencher<'_, '_>, clusters: usize) {
    decode_into::<cluster_types::keeping::Cluster>(bencher, clusters);
}

/// The same without unknown fields.
#[divan::bench(args = CLUSTERS)]
fn decode_minimal(bencher: Bencher<'_, '_>, clusters: usize) {
    decode_into::<cluster_types::minimal::Cluster>(bencher, clusters);
}

fn tokens(sandbox: &Sandbox) -> TokenSource {
    let admin = AdminClient::builder()
        .client_id(&sandbox.client_id())
        .client_secret(sandbox.client_secret())
        .base_url(&sandbox.base_url())
        .oauth_url(&sandbox.oauth_url())
        .token_cache("memory")
        .build()
        .expect("the settings of the sandbox are valid");
    let tokens = admin.token_source("api.cloud.camunda.io");
    let tokens = tokens.expect("the client has credentials");
    tokens.access_token().expect("the sandbox responds");
    tokens
}

fn decode_into<T: DeserializeOwned>(bencher: Bencher<'_, '_>, clusters: usize) {
    let json = list_of(clusters);
    bencher
        .counter(BytesCount::of_str(&json))
        .bench_local(|| serde_json::from_str::<Vec<T>>(&json).map(|clusters| clusters.len()));
}

/// Returns a list of clusters in JSON, about 1.5 kB each.
fn list_of(clusters: usize) -> String {
    let clusters: Vec<_> = (0..clusters)
        .map(|number| CLUSTER.replace("NUMBER", &format!("{number:012}")))
        .collect();
    format!("[{}]", clusters.join(","))
}

const CLUSTER: &str = concat!(
    r#"{"uuid":"3f0e9a52-7f0c-4a6e-9d0b-NUMBER","name":"orders-NUMBER","#,
    r#""description":"Orders of shop NUMBER, in production","#,
    r#""ownerId":"a9b1c7de-52f3-4f0e-8a55-b0b8d2a3a1f0","created":"2025-03-11T08:15:30.123Z","#,
    r#""autoUpdate":true,"#,
    r#""channel":{"uuid":"6bdf0d1c-3d5a-4df6-8d03-762682d85664","name":"Stable"},"#,
    r#""generation":{"uuid":"0b7b5ab1-2a51-4b0b-a0f1-3a4b5c6d7e8f","name":"Camunda 8.8+gen3"},"#,
    r#""region":{"uuid":"2f6470f0-77ec-4be5-9cdc-3231caf683ec","name":"bru-2 (GCP)"},"#,
    r#""planType":{"uuid":"74f1d1a5-cd92-4e7a-9f6e-fe55c1a3c3cb","name":"Enterprise Production"},"#,
    r#""labels":["prod","team-7"],"links":{"#,
    r#""console":"https://console.camunda.io/org/a9b1c7de/cluster/3f0e9a52-7f0c-4a6e-9d0b-NUMBER","#,
    r#""connectors":"https://bru-2.connectors.camunda.io/3f0e9a52-7f0c-4a6e-9d0b-NUMBER","#,
    r#""identity":"https://bru-2.identity.camunda.io/3f0e9a52-7f0c-4a6e-9d0b-NUMBER","#,
    r#""oauth":"https://login.cloud.camunda.io/oauth/token","#,
    r#""operate":"https://bru-2.operate.camunda.io/3f0e9a52-7f0c-4a6e-9d0b-NUMBER","#,
    r#""optimize":"https://bru-2.optimize.camunda.io/3f0e9a52-7f0c-4a6e-9d0b-NUMBER","#,
    r#""tasklist":"https://bru-2.tasklist.camunda.io/3f0e9a52-7f0c-4a6e-9d0b-NUMBER","#,
    r#""zeebe":"grpcs://3f0e9a52-7f0c-4a6e-9d0b-NUMBER.bru-2.zeebe.camunda.io:443"},"#,
    r#""status":{"ready":"Healthy","zeebeStatus":"Healthy","operateStatus":"Healthy","#,
    r#""tasklistStatus":"Healthy","optimizeStatus":"Healthy","connectorsStatus":"Healthy"},"#,
    r#""encryption":{"type":"Software","status":"Ready"},"#,
    r#""ipallowlist":[{"ip":"10.7.0.0/16","description":"office"}]}"#,
);
