//! Compares the mock server with the API description, status by status.

mod activity_and_meta;
mod api;
mod backups;
mod cluster_clients;
mod clusters;
mod control;
mod encryption;
mod failover;
mod faults;
#[path = "../../../support/limited.rs"]
#[allow(dead_code)]
mod limited;
mod members;
mod monitoring;
mod operations;
mod requests;
mod secrets;
mod secure_connectivity;
mod server;
mod state;
mod tls;
mod token_endpoint;
