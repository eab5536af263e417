//! `create_env_file`: creates a cluster client and writes its credentials; no secret is lost.

use std::fs;
use std::path::PathBuf;

use camunda_admin::{
    ClientPermission, ClusterCredentials, ClusterId, CreateClusterClient, ErrorKind, Outcome,
    TokenSource,
};
use camunda_admin_sandbox::{Fault, Permission, Sandbox, When};

use crate::{builder, client};

const CREATE: &str = "POST /clusters/{clusterUuid}/clients";

struct Place {
    sandbox: Sandbox,
    cluster: ClusterId,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let sandbox = Sandbox::start();
        let cluster = sandbox.create_cluster(serde_json::json!({}));
        Place {
            sandbox,
            cluster: cluster.parse().unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("worker.env")
    }

    fn creations(&self) -> u64 {
        let requests = self.sandbox.stats().requests_by_operation;
        requests.get(CREATE).copied().unwrap_or(0)
    }

    fn clients(&self) -> usize {
        let admin = client(&self.sandbox);
        admin.cluster(&self.cluster).clients().list().unwrap().len()
    }
}

#[test]
fn create_env_file_keeps_the_credentials_of_the_created_client() {
    let place = Place::new();
    let admin = client(&place.sandbox);
    let request = CreateClusterClient::new("worker").permissions([ClientPermission::Zeebe]);
    let clients = admin.cluster(&place.cluster);
    let created = clients
        .clients()
        .create_env_file(place.path(), &request)
        .unwrap();
    let kept = ClusterCredentials::from_env_file(place.path()).unwrap();
    let uuid = place.cluster.as_str();
    let zeebe = format!("{uuid}.bru-2.zeebe.camunda.io:443");
    for (name, value) in [
        ("ZEEBE_ADDRESS", zeebe.as_str()),
        ("ZEEBE_CLIENT_ID", created.client_id.as_str()),
        ("ZEEBE_CLIENT_SECRET", created.client_secret.expose()),
        ("ZEEBE_TOKEN_AUDIENCE", "zeebe.camunda.io"),
        ("CAMUNDA_CLUSTER_ID", uuid),
        ("CAMUNDA_CLUSTER_REGION", "bru-2"),
        ("CAMUNDA_CREDENTIALS_SCOPES", "Zeebe"),
    ] {
        assert_eq!(kept.get(name), Some(value), "{name}");
    }
    let text = fs::read_to_string(place.path()).unwrap();
    assert!(text.starts_with("export ZEEBE_ADDRESS="), "{text}");
    assert!(!text.contains('#'), "{text}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(place.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let source = TokenSource::with_settings(&kept, builder(&place.sandbox)).unwrap();
    assert!(!source.access_token().unwrap().expose().is_empty());
}

#[test]
fn create_env_file_creates_no_client_if_the_file_cannot_be_created() {
    let place = Place::new();
    let admin = client(&place.sandbox);
    let cluster = admin.cluster(&place.cluster);
    fs::write(place.path(), "theirs").unwrap();
    let missing = place.folder.path().join("missing").join("worker.env");
    for (path, part) in [
        (place.path(), "not overwritten"),
        (missing, "cannot be created"),
    ] {
        let error = cluster
            .clients()
            .create_env_file(&path, &CreateClusterClient::new("worker"))
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.outcome()),
            (ErrorKind::Io, Outcome::NotSent)
        );
        assert!(error.to_string().contains(part), "{error}");
    }
    assert_eq!(fs::read_to_string(place.path()).unwrap(), "theirs");
    assert_eq!(place.creations(), 0);
}

#[test]
fn create_env_file_leaves_no_file_if_no_client_was_created() {
    let place = Place::new();
    let admin = client(&place.sandbox);
    let clients = admin.cluster(&place.cluster);
    let clients = clients.clients();
    clients.create(&CreateClusterClient::new("worker")).unwrap();
    let error = clients
        .create_env_file(place.path(), &CreateClusterClient::new("worker"))
        .unwrap_err();
    assert_eq!(
        (error.http_status(), error.outcome()),
        (Some(400), Outcome::Rejected)
    );
    assert!(!place.path().exists());

    let unknown: ClusterId = "nope".parse().unwrap();
    let error = admin
        .cluster(&unknown)
        .clients()
        .create_env_file(place.path(), &CreateClusterClient::new("worker"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!place.path().exists());

    let empty = CreateClusterClient::new("other").permissions([]);
    let error = clients.create_env_file(place.path(), &empty).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(!place.path().exists());
    assert_eq!(place.clients(), 1);
}

#[test]
fn create_env_file_removes_the_file_if_the_outcome_is_unknown() {
    let place = Place::new();
    let admin = client(&place.sandbox);
    place
        .sandbox
        .add_fault(Fault::on(CREATE).reset().when(When::After));
    let error = admin
        .cluster(&place.cluster)
        .clients()
        .create_env_file(place.path(), &CreateClusterClient::new("worker"))
        .unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    let text = error.to_string();
    assert!(text.contains("worker.env was removed"), "{text}");
    assert!(text.contains("look for the name"), "{text}");
    assert!(!place.path().exists());
    assert_eq!((place.clients(), place.creations()), (1, 1));
}

#[test]
fn create_env_file_returns_the_response_if_the_file_cannot_be_filled() {
    let place = Place::new();
    let admin = client(&place.sandbox);
    // A file of variables cannot contain a NUL.
    let secret = "hunter2\u{0}hunter2";
    place
        .sandbox
        .add_fault(Fault::on(CREATE).replace("/clientSecret", secret.into()));
    let error = admin
        .cluster(&place.cluster)
        .clients()
        .create_env_file(place.path(), &CreateClusterClient::new("worker"))
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Io, Outcome::Completed)
    );
    assert!(error.may_have_been_applied());
    let body: serde_json::Value = serde_json::from_slice(error.body().unwrap()).unwrap();
    assert_eq!(body["clientSecret"], secret);
    let text = format!("{error} {error:?}");
    assert!(text.contains("the client was created"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!place.path().exists());
    assert_eq!(place.clients(), 1);
}

#[test]
fn create_env_file_returns_the_received_part_of_a_truncated_response() {
    let place = Place::new();
    let admin = client(&place.sandbox);
    place.sandbox.add_fault(Fault::on(CREATE).cut_body(40));
    let error = admin
        .cluster(&place.cluster)
        .clients()
        .create_env_file(place.path(), &CreateClusterClient::new("worker"))
        .unwrap_err();
    assert_eq!(error.body().map(<[u8]>::len), Some(40), "{error}");
    assert!(!place.path().exists());
}

#[test]
fn create_env_file_needs_no_permission_to_read_clusters() {
    let place = Place::new();
    let credentials = place.sandbox.add_credentials(&[Permission::ClientCreate]);
    let admin = builder(&place.sandbox)
        .client_id(&credentials.client_id)
        .client_secret(credentials.client_secret.as_str())
        .build()
        .unwrap();
    admin
        .cluster(&place.cluster)
        .clients()
        .create_env_file(place.path(), &CreateClusterClient::new("worker"))
        .unwrap();
    let kept = ClusterCredentials::from_env_file(place.path()).unwrap();
    assert_eq!(kept.get("CAMUNDA_CLUSTER_ID"), Some(place.cluster.as_str()));
    assert_eq!(kept.get("CAMUNDA_CLUSTER_REGION"), Some("bru-2"));
    assert!(kept.get("CAMUNDA_OPERATE_BASE_URL").is_some());
}
