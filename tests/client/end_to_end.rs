//! The end-to-end example, from the token to stored client credentials, and the number of token
//! requests.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use camunda_admin::{
    AdminClient, CallOptions, Cancel, ClientPermission, ClusterComponentStatus, ClusterCredentials,
    CreateClusterClient, ErrorKind, TokenSource, UpdateCluster, Wait,
};
use camunda_admin_sandbox::Sandbox;

use crate::{builder, client, cluster, new_cluster};

#[test]
fn main_job_end_to_end() {
    let sandbox = Sandbox::builder()
        .healthy_after(Duration::from_millis(50))
        .start();
    let admin = client(&sandbox);

    let id = admin.clusters().create(&cluster(&admin, "orders")).unwrap();
    let mut looks = 0;
    let wait = Wait::new()
        .max_poll_interval(Duration::from_millis(20))
        .on_progress(|_| looks += 1);
    let healthy = admin.cluster(&id).wait_until_healthy(&wait).unwrap();
    drop(wait);
    assert!(looks >= 2, "healthy counts only twice in a row");
    assert_eq!(healthy.status.ready, ClusterComponentStatus::Healthy);
    assert_eq!(healthy.name, "orders");

    let request = CreateClusterClient::new("worker").permissions([ClientPermission::Zeebe]);
    let created = admin.cluster(&id).clients().create(&request).unwrap();
    let listed = admin.cluster(&id).clients().list().unwrap();
    assert_eq!(listed[0].client_id, created.client_id);
    assert_eq!(listed[0].permissions, [ClientPermission::Zeebe]);
    let details = admin
        .cluster(&id)
        .clients()
        .get(&created.client_id)
        .unwrap();
    assert_eq!(details.zeebe_client_id.as_ref(), Some(&created.client_id));

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("worker.env");
    let credentials = created.credentials(&healthy);
    credentials.write_env_file(&path).unwrap();
    let kept = ClusterCredentials::from_env_file(&path).unwrap();
    assert_eq!(kept, credentials);
    assert_eq!(
        kept.get("ZEEBE_CLIENT_SECRET"),
        Some(created.client_secret.expose())
    );

    let token = TokenSource::with_settings(&kept, builder(&sandbox))
        .unwrap()
        .access_token()
        .unwrap();
    assert!(!token.expose().is_empty());
    assert_eq!(
        sandbox.stats().token_requests_by_audience["zeebe.camunda.io"],
        1
    );

    admin
        .cluster(&id)
        .update(&UpdateCluster::new().description("new"))
        .unwrap();
    assert_eq!(
        admin.clusters().list().unwrap()[0].description.as_deref(),
        Some("new")
    );
    admin
        .cluster(&id)
        .clients()
        .delete(&created.client_id)
        .unwrap();
    assert_eq!(admin.cluster(&id).clients().list().unwrap(), []);
    admin.cluster(&id).delete().unwrap();
    let wait = Wait::new().max_poll_interval(Duration::from_millis(20));
    admin.cluster(&id).wait_until_deleted(&wait).unwrap();
    assert_eq!(
        admin.cluster(&id).get().unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        sandbox.stats().token_requests_by_audience["api.cloud.camunda.io"],
        1
    );
}

#[test]
fn sixteen_threads_without_a_cached_token_send_one_token_request() {
    let sandbox = Sandbox::start();
    let barrier = Barrier::new(16);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                // One client per thread: they share the token cache of the process.
                let admin = client(&sandbox);
                barrier.wait();
                assert_eq!(admin.clusters().list().unwrap(), []);
            });
        }
    });
    let stats = sandbox.stats();
    assert_eq!((stats.token_requests, stats.requests), (1, 16));
}

#[test]
fn secret_is_only_in_the_credential_file() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    let created = admin
        .cluster(&id)
        .clients()
        .create(&CreateClusterClient::new("worker"))
        .unwrap();
    let secret = created.client_secret.expose();
    assert!(!secret.is_empty());
    let credentials = created.credentials(&admin.cluster(&id).get().unwrap());
    let error = admin
        .cluster(&id)
        .clients()
        .create(&CreateClusterClient::new("worker"));
    let shown = format!(
        "{created:?} {credentials:?} {admin:?} {:?}",
        error.unwrap_err()
    );
    assert!(!shown.contains(secret), "{shown}");
    assert!(!shown.contains(&sandbox.client_secret()), "{shown}");
    let token = admin.token("api.cloud.camunda.io").unwrap();
    assert!(!format!("{token:?}").contains(token.expose()));
}

#[test]
fn wrong_credentials_cause_one_token_request() {
    let sandbox = Sandbox::builder()
        .rejection_delay(Duration::from_secs(20))
        .start();
    let admin = builder(&sandbox).client_secret("wrong").build().unwrap();
    for _ in 0..3 {
        let error = admin.clusters().list().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert!(
            error.to_string().contains("client id, client secret"),
            "{error}"
        );
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    assert_eq!(sandbox.stats().token_requests, 1);
    assert_eq!(sandbox.stats().requests, 0);

    // A new secret is another cache key, so the rejection of the old one does not apply.
    let admin = client(&sandbox);
    assert_eq!(admin.clusters().list().unwrap(), []);
}

/// Creates a cluster and a client of it with access to Zeebe and Operate, and returns its credentials.
fn worker_credentials(sandbox: &Sandbox) -> ClusterCredentials {
    let admin = client(sandbox);
    let id = admin.clusters().create(&cluster(&admin, "orders")).unwrap();
    let handle = admin.cluster(&id);
    let create = CreateClusterClient::new("worker")
        .permissions([ClientPermission::Zeebe, ClientPermission::Operate]);
    let created = handle.clients().create(&create).unwrap();
    created.credentials(&handle.get().unwrap())
}

#[test]
fn token_source_with_settings_uses_the_configured_audience() {
    let sandbox = Sandbox::start();
    let credentials = worker_credentials(&sandbox);
    for (settings, audience) in [
        (builder(&sandbox), "zeebe.camunda.io"),
        (
            builder(&sandbox).audience("operate.camunda.io"),
            "operate.camunda.io",
        ),
    ] {
        let source = TokenSource::with_settings(&credentials, settings).unwrap();
        source.access_token().unwrap();
        let by_audience = sandbox.stats().token_requests_by_audience;
        assert_eq!(by_audience.get(audience), Some(&1), "{by_audience:?}");
        assert_eq!(source.stats().token_requests, 1);
        assert_eq!(source.clone().stats().requests, 0);
    }
}

#[test]
fn token_source_with_options_ends_at_deadline_and_on_cancellation() {
    let sandbox = Sandbox::start();
    let credentials = worker_credentials(&sandbox);
    // A server that accepts connections and never responds.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/oauth/token", silent.local_addr().unwrap());
    let variables = credentials
        .iter()
        .map(|(name, value)| match name {
            "CAMUNDA_OAUTH_URL" => format!("{name}='{url}'\n"),
            _ => format!("{name}='{}'\n", value.expose()),
        })
        .collect::<String>();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker.env");
    std::fs::write(&path, variables).unwrap();
    let credentials = ClusterCredentials::from_env_file(&path).unwrap();
    let settings = AdminClient::builder().token_cache("memory");
    let source = TokenSource::with_settings(&credentials, settings).unwrap();
    let cancel = Cancel::new();
    let source = source.with(CallOptions::new().cancel(cancel.clone()));
    // Adding a deadline does not remove the cancellation.
    let quick = source.with(CallOptions::new().timeout(Duration::from_millis(200)));
    assert_eq!(quick.access_token().unwrap_err().kind(), ErrorKind::Timeout);
    let started = Instant::now();
    let slow = source.with(CallOptions::new().timeout(Duration::from_secs(60)));
    let waiting = std::thread::spawn(move || slow.access_token().unwrap_err().kind());
    // While waiting for the response or for the rate limit.
    while source.stats().token_requests < 2 && started.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    cancel.cancel();
    assert_eq!(waiting.join().unwrap(), ErrorKind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(20));
}
