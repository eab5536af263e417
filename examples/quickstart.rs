//! End-to-end example: creates a cluster, waits until it is healthy, creates a client and stores
//! its credentials, gets a token as that client, lists the resources, and deletes them.
//!
//! By default it uses a mock server (sandbox) in the same process. If `CAMUNDA_CONSOLE_CLIENT_ID`
//! and `CAMUNDA_CONSOLE_CLIENT_SECRET` are set, it uses the real API: it only reads, unless
//! `--create` is given. Creating a cluster costs money until it is deleted.

use std::error::Error;
use std::time::{Duration, Instant};

use camunda_admin::{
    AdminClient, ClientPermission, Cluster, ClusterCredentials, ClusterId, CreateCluster,
    CreateClusterClient, TokenSource, Wait,
};
use camunda_admin_sandbox::Sandbox;

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("CAMUNDA_CONSOLE_CLIENT_ID").is_some() {
        println!("Using the API of the environment.");
        let admin = AdminClient::from_env()?;
        if std::env::args().any(|argument| argument == "--create") {
            create_use_and_delete(&admin, "auto")?;
        } else {
            list(&admin)?;
            println!("Nothing was changed; `--create` creates a cluster and deletes it again.");
        }
        println!("{}", summary(&admin));
        return Ok(());
    }

    let sandbox = Sandbox::builder()
        .healthy_after(Duration::from_secs(2))
        .start();
    println!(
        "Using a sandbox at {} (no credentials in the environment).",
        sandbox.base_url()
    );
    let admin = AdminClient::builder()
        .client_id(&sandbox.client_id())
        .client_secret(sandbox.client_secret())
        .base_url(&sandbox.base_url())
        .oauth_url(&sandbox.oauth_url())
        .token_cache("memory")
        .build()?;
    create_use_and_delete(&admin, "memory")?;
    println!("{}", summary(&admin));
    let stats = sandbox.stats();
    println!(
        "The sandbox received {} token requests:",
        stats.token_requests
    );
    for (audience, requests) in stats.token_requests_by_audience {
        println!("  {requests} for {audience}");
    }
    Ok(())
}

fn create_use_and_delete(admin: &AdminClient, token_cache: &str) -> Result<(), Box<dyn Error>> {
    let parameters = admin.clusters().parameters()?;
    let channel = parameters
        .channels
        .first()
        .ok_or("the API lists no channel")?;
    let region = parameters
        .regions
        .first()
        .ok_or("the API lists no region")?;
    let plan = parameters
        .cluster_plan_types
        .first()
        .ok_or("the API lists no plan type")?;
    let generation = &channel.default_generation;
    println!(
        "Creating a cluster: {}, {}, {}.",
        generation.name, region.name, plan.name
    );
    let id = admin.clusters().create(
        &CreateCluster::new(
            "quickstart",
            &channel.uuid,
            &generation.uuid,
            &region.uuid,
            &plan.uuid,
        )
        .description("Made by an example; may be deleted"),
    )?;
    println!("Created {id}.");
    // The cluster is deleted even if one of the following steps fails.
    let used = use_cluster(admin, &id, token_cache);
    admin.cluster(&id).delete()?;
    admin.cluster(&id).wait_until_deleted(&Wait::new())?;
    println!("Deleted {id}.");
    used
}

fn use_cluster(
    admin: &AdminClient,
    id: &ClusterId,
    token_cache: &str,
) -> Result<(), Box<dyn Error>> {
    wait_until_healthy(admin, id)?;

    // The secret is shown only once, so the file is created before the client.
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("worker.env");
    let request = CreateClusterClient::new("worker")
        .permissions([ClientPermission::Zeebe, ClientPermission::Operate]);
    let created = admin
        .cluster(id)
        .clients()
        .create_env_file(&file, &request)?;
    println!(
        "Created the client {} ({}), with its credentials in {} (deleted at the end).",
        created.name,
        created.client_id,
        file.display()
    );
    let credentials = ClusterCredentials::from_env_file(&file)?;

    let settings = AdminClient::builder().token_cache(token_cache);
    let token = TokenSource::with_settings(&credentials, settings)?.access_token()?;
    let left = token
        .expires_at()
        .duration_since(std::time::SystemTime::now())?;
    println!(
        "Got a token for Zeebe as that client, valid for {} minutes.",
        left.as_secs() / 60
    );

    list(admin)?;
    for client in admin.cluster(id).clients().list()? {
        println!("  client {} may use {:?}", client.name, client.permissions);
    }
    admin.cluster(id).clients().delete(&created.client_id)?;
    println!("Deleted the client.");
    Ok(())
}

fn wait_until_healthy(
    admin: &AdminClient,
    id: &ClusterId,
) -> Result<Cluster, camunda_admin::Error> {
    let begun = Instant::now();
    let mut shown = String::new();
    let wait = Wait::new()
        .timeout(Duration::from_secs(20 * 60))
        .on_progress(|cluster: &Cluster| {
            let status = cluster.status.ready.to_string();
            if shown != status {
                println!("  {:5.1} s {status}", begun.elapsed().as_secs_f64());
                shown = status;
            }
        });
    admin.cluster(id).wait_until_healthy(&wait)
}

fn list(admin: &AdminClient) -> Result<(), camunda_admin::Error> {
    let clusters = admin.clusters().list()?;
    println!("The organization has {} cluster(s).", clusters.len());
    for cluster in clusters {
        println!(
            "  {} {} {}",
            cluster.uuid, cluster.name, cluster.status.ready
        );
    }
    Ok(())
}

fn summary(admin: &AdminClient) -> String {
    let stats = admin.stats();
    format!(
        "{} requests, {} of them retries; {} token request(s), {} token(s) from the cache.",
        stats.requests, stats.retries, stats.token_requests, stats.token_cache_hits
    )
}
