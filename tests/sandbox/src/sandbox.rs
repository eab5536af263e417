//! Rust API: handle of a running sandbox.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::builder::SandboxBuilder;
use crate::changes;
use crate::cluster::{AllowlistField, Busy, Cluster, UpgradeGate};
use crate::faults::Fault;
use crate::oauth::API_AUDIENCE;
use crate::permissions::Permission;
use crate::request_log::{Filter, RequestLog, RequestRecord};
use crate::response::Response;
use crate::server::Shared;
use crate::snapshot;
use crate::state::{Limits, OTHER_ORGANIZATION, Setup};
use crate::stats::Stats;
use crate::tls::Files;

/// Running sandbox. Dropping it stops the server and closes all connections.
pub struct Sandbox {
    pub(crate) shared: Arc<Shared>,
    pub(crate) setup: Arc<Setup>,
    pub(crate) files: Option<Files>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) thread: Option<JoinHandle<()>>,
}

/// Fault that was added to a sandbox. Dropping it does not remove the fault.
#[derive(Clone)]
pub struct AddedFault {
    shared: Arc<Shared>,
    id: u64,
}

impl AddedFault {
    /// Returns the id, unique since the start or the last reset.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns how often the fault was injected. 0 if it was removed.
    pub fn fired(&self) -> u64 {
        self.shared.state().faults.fired(self.id).unwrap_or(0)
    }

    /// Removes the fault.
    pub fn remove(&self) {
        self.shared.state().faults.remove(self.id);
    }
}

impl fmt::Debug for AddedFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("AddedFault");
        debug.field("id", &self.id).finish_non_exhaustive()
    }
}

/// An environment variable: its name, and its value if the sandbox has one.
type Variable = (&'static str, fn(&Sandbox) -> Option<String>);

const VARIABLES: [Variable; 11] = [
    ("CAMUNDA_CONSOLE_CLIENT_ID", |it| Some(it.client_id())),
    ("CAMUNDA_CONSOLE_CLIENT_SECRET", |it| {
        Some(it.client_secret())
    }),
    ("CAMUNDA_CONSOLE_BASE_URL", |it| Some(it.base_url())),
    ("CAMUNDA_CONSOLE_OAUTH_AUDIENCE", |_| {
        Some(API_AUDIENCE.to_owned())
    }),
    ("CAMUNDA_OAUTH_URL", |it| Some(it.oauth_url())),
    // Required by @camunda8/sdk, although it does not use them for this API.
    ("ZEEBE_CLIENT_ID", |it| Some(it.client_id())),
    ("ZEEBE_CLIENT_SECRET", |it| Some(it.client_secret())),
    // With a public URL, which this host may be unable to reach.
    ("CAMUNDA_ADMIN_SANDBOX_URL", |it| it.setup.local_url.clone()),
    // With TLS, the last two with client certificates.
    ("CAMUNDA_CUSTOM_ROOT_CERT_PATH", |it| {
        it.files.as_ref().map(|files| text(files.root()))
    }),
    ("CAMUNDA_CUSTOM_CERT_CHAIN_PATH", |it| {
        it.client_file(|(certificate, _)| certificate)
    }),
    ("CAMUNDA_CUSTOM_PRIVATE_KEY_PATH", |it| {
        it.client_file(|(_, key)| key)
    }),
];

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

/// API credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub client_secret: String,
}

/// Properties that determine which operations a cluster supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterKind {
    /// Whether its plan supports customer-managed keys.
    pub enterprise: bool,
    /// Whether its region is an AWS region.
    pub aws: bool,
    /// Whether failover is available for its pair of regions.
    pub failover_available: bool,
}

impl Sandbox {
    /// Starts a sandbox with the default settings.
    ///
    /// # Panics
    ///
    /// [`SandboxBuilder::try_start`] fails.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// Returns a builder with the default settings.
    #[must_use]
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder::default()
    }

    /// Returns the base URL of the API, without a trailing slash.
    pub fn base_url(&self) -> String {
        self.setup.base_url.clone()
    }

    /// Returns the URL of the token endpoint.
    pub fn oauth_url(&self) -> String {
        self.setup.oauth_url()
    }

    /// Returns the client id of the initial credentials, which have all permissions.
    pub fn client_id(&self) -> String {
        self.setup.client_id.clone()
    }

    /// Returns the client secret of the initial credentials.
    pub fn client_secret(&self) -> String {
        self.setup.client_secret.clone()
    }

    /// Returns the environment variables that configure a client for the sandbox.
    pub fn environment(&self) -> Vec<(String, String)> {
        VARIABLES
            .iter()
            .filter_map(|(name, value)| Some(((*name).to_owned(), value(self)?)))
            .collect()
    }

    /// Returns whether [`environment`](Self::environment) can have a variable with this name.
    #[doc(hidden)]
    pub fn has_variable(name: &str) -> bool {
        VARIABLES.iter().any(|(variable, _)| *variable == name)
    }

    /// Returns the file of a client certificate, or of its private key.
    fn client_file(&self, choose: impl FnOnce((PathBuf, PathBuf)) -> PathBuf) -> Option<String> {
        self.files
            .as_ref()
            .and_then(Files::client)
            .map(choose)
            .map(text)
    }

    /// Returns the request counters since the start or the last reset.
    pub fn stats(&self) -> Stats {
        self.shared.state().stats.clone()
    }

    /// Restores the state after the start, including the settings of the builder and the initial
    /// credentials. Removes all tokens, bans, faults and logged requests.
    pub fn reset(&self) {
        let mut state = self.shared.state();
        state.reset();
        *self.shared.log() = RequestLog::default();
    }

    /// Resets as [`reset`](Self::reset), but keeps all credentials and their tokens, so that
    /// clients of earlier tests still work.
    pub fn reset_keeping_credentials(&self) {
        let mut state = self.shared.state();
        state.reset_keeping_credentials();
        *self.shared.log() = RequestLog::default();
    }

    /// Adds a fault.
    ///
    /// # Panics
    ///
    /// [`try_add_fault`](Self::try_add_fault) fails.
    #[track_caller]
    pub fn add_fault(&self, fault: Fault) -> AddedFault {
        match self.try_add_fault(fault) {
            Ok(fault) => fault,
            Err(problem) => panic!("add fault: {problem}"),
        }
    }

    /// Adds a fault.
    ///
    /// # Errors
    ///
    /// The fault cannot be injected into any request, for example because its operation does not
    /// exist, it has no effect, or one of its fields has none because of another one.
    pub fn try_add_fault(&self, fault: Fault) -> Result<AddedFault, String> {
        fault.check()?;
        let id = self.shared.state().faults.add(fault);
        Ok(AddedFault {
            shared: Arc::clone(&self.shared),
            id,
        })
    }

    /// Returns the faults that were never injected, as `GET /_sandbox/faults` does.
    pub fn unused_faults(&self) -> Vec<Value> {
        self.shared.state().faults.list(true)
    }

    /// Returns the latest requests to the API and the token endpoint, oldest first: at most 10,000
    /// since the start or the last reset.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.log().records(&Filter::default())
    }

    /// Returns the latest requests of an operation, for example `PATCH /clusters/{clusterUuid}` or
    /// `token`.
    ///
    /// # Panics
    ///
    /// The operation does not exist.
    #[track_caller]
    pub fn requests_to(&self, operation: &str) -> Vec<RequestRecord> {
        let filter = Filter {
            operation: Some(operation.into()),
            ..Filter::default()
        };
        if let Err(problem) = filter.check() {
            panic!("list requests: {problem}");
        }
        self.shared.log().records(&filter)
    }

    /// Returns the state as `GET /_sandbox/state` does.
    pub fn state(&self) -> Value {
        snapshot::take(&self.shared.state())
    }

    /// Replaces the parts of the state that `state` has, as `PUT /_sandbox/state` does.
    ///
    /// # Errors
    ///
    /// The error message of the endpoint.
    pub fn set_state(&self, state: Value) -> Result<(), String> {
        snapshot::replace(&mut self.shared.state(), state).map_err(Response::into_message)
    }

    /// Removes all faults.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// Creates a cluster with status `Healthy` and returns its id.
    ///
    /// `fields` is applied to the cluster as a JSON merge patch; unknown fields and values are
    /// allowed. `null` removes a field.
    ///
    /// # Panics
    ///
    /// `fields` is not an object, or its `uuid` exists already or is not a string.
    pub fn create_cluster(&self, fields: Value) -> String {
        self.shared
            .state()
            .insert_cluster(object(fields))
            .unwrap_or_else(|problem| panic!("create cluster: {problem}"))
    }

    /// Creates `count` clusters with status `Healthy` and returns their ids.
    pub fn create_clusters(&self, count: u64) -> Vec<String> {
        changes::create_clusters(&mut self.shared.state(), count)
    }

    /// Applies a JSON merge patch to a cluster.
    ///
    /// # Panics
    ///
    /// The cluster does not exist, or `fields` is not an object.
    pub fn update_cluster(&self, cluster: &str, fields: Value) {
        accepted(changes::update_cluster(
            &mut self.shared.state(),
            cluster,
            object(fields),
        ));
    }

    /// Creates a complete backup, overrides `fields` in it, and returns its id.
    ///
    /// # Panics
    ///
    /// The cluster does not exist, or `fields` is not an object.
    pub fn create_backup(&self, cluster: &str, fields: Value) -> String {
        accepted(changes::create_backup(
            &mut self.shared.state(),
            cluster,
            object(fields),
        ))
    }

    /// Sets the status of a cluster, for example `{"ready": "Unhealthy"}`, until an operation
    /// changes it. Components that are not listed get the value of `ready`.
    ///
    /// # Panics
    ///
    /// The cluster does not exist, or `values` is not an object.
    pub fn set_status(&self, cluster: &str, values: Value) {
        self.with_cluster(cluster, |cluster| cluster.set_status(object(values)));
    }

    /// Sets the kind of a cluster.
    ///
    /// # Panics
    ///
    /// The cluster does not exist.
    pub fn set_kind(&self, cluster: &str, kind: ClusterKind) {
        self.with_cluster(cluster, |cluster| {
            cluster.enterprise = kind.enterprise;
            cluster.aws = kind.aws;
            cluster.failover_available = kind.failover_available;
        });
    }

    /// Moves a cluster to another organization, or back.
    ///
    /// # Panics
    ///
    /// The cluster does not exist.
    pub fn set_other_organization(&self, cluster: &str, other: bool) {
        let organization = match other {
            true => OTHER_ORGANIZATION,
            false => &self.setup.organization,
        };
        self.with_cluster(cluster, |cluster| {
            cluster.organization = organization.into()
        });
    }

    /// Ensures that a newer generation than the cluster's exists, and returns the id of the newest.
    ///
    /// # Panics
    ///
    /// The cluster does not exist, or its channel is unknown.
    pub fn make_upgrade_available(&self, cluster: &str) -> String {
        let newest = changes::make_upgrade_available(&mut self.shared.state(), cluster);
        accepted(newest)["uuid"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Blocks upgrades of a cluster with this reason and next step.
    ///
    /// # Panics
    ///
    /// The cluster does not exist.
    pub fn set_upgrade_gate(&self, cluster: &str, reason: &str, next_step: &str) {
        let gate = UpgradeGate {
            reason: reason.into(),
            next_step: next_step.into(),
        };
        self.with_cluster(cluster, |cluster| cluster.upgrade_gate = Some(gate));
    }

    /// Removes the upgrade gate of a cluster.
    ///
    /// # Panics
    ///
    /// The cluster does not exist.
    pub fn clear_upgrade_gate(&self, cluster: &str) {
        self.with_cluster(cluster, |cluster| cluster.upgrade_gate = None);
    }

    /// Rejects this number of changes to a cluster's secrets with 409, as if another change were in
    /// progress; `None` rejects all.
    ///
    /// # Panics
    ///
    /// The cluster does not exist.
    pub fn set_secrets_busy(&self, cluster: &str, times: Option<u64>) {
        self.with_cluster(cluster, |cluster| {
            cluster.secrets_busy = times.map_or(Busy::Always, Busy::For);
        });
    }

    /// Returns the current limits.
    pub fn limits(&self) -> Limits {
        self.shared.state().limits.clone()
    }

    /// Sets the limits of the organization.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.state().limits = limits;
    }

    /// Creates credentials with these permissions only.
    pub fn add_credentials(&self, permissions: &[Permission]) -> Credentials {
        let (client_id, client_secret) = self
            .shared
            .state()
            .add_credentials(permissions.to_vec(), None);
        Credentials {
            client_id,
            client_secret,
        }
    }

    /// Replaces the secret of the initial credentials and returns the new one.
    /// [`client_secret`](Self::client_secret) is invalid until the next reset. Tokens stay valid.
    pub fn rotate_secret(&self) -> String {
        changes::rotate_secret(&mut self.shared.state())
    }

    /// Revokes all issued tokens.
    pub fn revoke_tokens(&self) {
        self.shared.state().tokens.clear();
    }

    /// Advances the sandbox's clock, by at most 100 years in total. It applies to everything except
    /// the delays of faults and of rejections.
    pub fn advance(&self, by: Duration) {
        self.shared.state().clock.advance(by);
    }

    /// Sets whether `GET /activity/csv` returns a JSON string with the CSV, as the API description
    /// says, instead of raw CSV. Default: false.
    pub fn set_csv_as_json_string(&self, as_json_string: bool) {
        self.shared.state().csv_as_json_string = as_json_string;
    }

    /// Sets the name of the IP allowlist field in cluster responses.
    pub fn set_allowlist_field(&self, field: AllowlistField) {
        self.shared.state().allowlist_field = field;
    }

    /// Sets the response body of `GET /meta/ip-ranges`.
    pub fn set_ip_ranges(&self, ip_ranges: Value) {
        self.shared.state().ip_ranges = ip_ranges;
    }

    /// Applies changes as `POST /_sandbox/control` does, and returns its response body.
    ///
    /// # Errors
    ///
    /// The error message of the endpoint.
    pub fn control(&self, changes: Value) -> Result<Value, String> {
        changes::apply(&mut self.shared.state(), object(changes)).map_err(Response::into_message)
    }

    fn with_cluster(&self, uuid: &str, change: impl FnOnce(&mut Cluster)) {
        let mut state = self.shared.state();
        match state.cluster(uuid) {
            Some(cluster) => change(cluster),
            None => panic!("cluster {uuid} not found"),
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Sandbox");
        debug
            .field("base_url", &self.setup.base_url)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = formatter.debug_struct("Credentials");
        debug
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not a JSON object: {other}"),
    }
}

fn accepted<T>(result: Result<T, Response>) -> T {
    result.unwrap_or_else(|rejection| panic!("{}", rejection.into_message()))
}
