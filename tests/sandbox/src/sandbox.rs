//! Rust API: builder and handle of a running sandbox.

use std::fmt;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::clock::MAX_ADVANCE;
use crate::cluster::{AllowlistField, Busy, Cluster, UpgradeGate};
use crate::control;
use crate::faults::Fault;
use crate::oauth::API_AUDIENCE;
use crate::permissions::Permission;
use crate::random::Random;
use crate::response::Response;
use crate::server::{Shared, serve};
use crate::state::{Limits, Settings, State};
use crate::stats::Stats;
use crate::tls::{Files, Tls};

/// Listen backlog.
const BACKLOG: u32 = 1024;

/// Settings of a sandbox before its start.
#[derive(Clone, Debug)]
pub struct SandboxBuilder {
    port: u16,
    healthy_after: Duration,
    token_lifetime: Duration,
    token_rate_limit: bool,
    ban: Duration,
    rejection_delay: Duration,
    tls: bool,
    client_certificates: bool,
}

impl Default for SandboxBuilder {
    fn default() -> Self {
        Self {
            port: 0,
            healthy_after: Duration::from_millis(300),
            token_lifetime: Duration::from_secs(24 * 60 * 60),
            token_rate_limit: true,
            ban: Duration::from_secs(5),
            rejection_delay: Duration::from_secs(2),
            tls: false,
            client_certificates: false,
        }
    }
}

impl SandboxBuilder {
    /// Sets the port on 127.0.0.1. Default: 0, any free port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the duration of cluster creation, resume, upgrade, backup and restore. Default: 300 ms.
    #[must_use]
    pub fn healthy_after(mut self, healthy_after: Duration) -> Self {
        self.healthy_after = healthy_after;
        self
    }

    /// Sets the token lifetime. Default: 24 hours.
    #[must_use]
    pub fn token_lifetime(mut self, token_lifetime: Duration) -> Self {
        self.token_lifetime = token_lifetime;
        self
    }

    /// Sets whether the token endpoint rejects more than one request per second with 429 and a
    /// ban. Default: true.
    #[must_use]
    pub fn token_rate_limit(mut self, token_rate_limit: bool) -> Self {
        self.token_rate_limit = token_rate_limit;
        self
    }

    /// Sets the duration of the ban after a rate limit violation. Default: 5 s.
    #[must_use]
    pub fn ban(mut self, ban: Duration) -> Self {
        self.ban = ban;
        self
    }

    /// Sets the delay of the response to credentials that were rejected before. Default: 2 s; the
    /// real token endpoint takes about 30 s.
    #[must_use]
    pub fn rejection_delay(mut self, rejection_delay: Duration) -> Self {
        self.rejection_delay = rejection_delay;
        self
    }

    /// Sets whether to serve HTTPS with a certificate authority of the sandbox. Default: false.
    #[must_use]
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Sets whether clients must present a certificate of the sandbox's authority. Implies
    /// [`tls`](Self::tls). Default: false.
    #[must_use]
    pub fn client_certificates(mut self, client_certificates: bool) -> Self {
        self.client_certificates = client_certificates;
        self
    }

    /// Starts the sandbox.
    ///
    /// # Panics
    ///
    /// [`try_start`](Self::try_start) fails.
    #[must_use]
    pub fn start(self) -> Sandbox {
        self.try_start().expect("start sandbox")
    }

    /// Starts the sandbox.
    ///
    /// # Errors
    ///
    /// The port is in use, or the system cannot create a thread, socket or file.
    pub fn try_start(self) -> io::Result<Sandbox> {
        let secure = self.tls || self.client_certificates;
        let (acceptor, files) = match secure {
            false => (None, None),
            true => {
                let tls = Tls::new(self.client_certificates)?;
                (Some(tls.acceptor), Some(tls.files))
            }
        };
        let runtime: Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = {
            let _guard = runtime.enter();
            let socket = TcpSocket::new_v4()?;
            socket.set_reuseaddr(true)?;
            socket.bind((Ipv4Addr::LOCALHOST, self.port).into())?;
            socket.listen(BACKLOG)?
        };
        let scheme = if secure { "https" } else { "http" };
        let mut random = Random::new();
        // Keeps sums with the clock in range.
        let bounded = |duration: Duration| duration.min(MAX_ADVANCE);
        let settings = Settings {
            healthy_after: bounded(self.healthy_after),
            token_lifetime: bounded(self.token_lifetime),
            token_rate_limit: self.token_rate_limit,
            ban: bounded(self.ban),
            rejection_delay: bounded(self.rejection_delay),
            base_url: format!("{scheme}://127.0.0.1:{}", listener.local_addr()?.port()),
            client_id: random.characters(32),
            client_secret: random.characters(64),
        };
        let shared = Arc::new(Shared::new(State::new(settings.clone())));
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("camunda-admin-sandbox".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = serve(listener, acceptor, served) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Sandbox {
            shared,
            settings,
            files,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// Running sandbox. Dropping it stops the server and closes all connections.
pub struct Sandbox {
    shared: Arc<Shared>,
    settings: Settings,
    files: Option<Files>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
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
        self.settings.base_url.clone()
    }

    /// Returns the URL of the token endpoint.
    pub fn oauth_url(&self) -> String {
        self.settings.oauth_url()
    }

    /// Returns the client id of the initial credentials, which have all permissions.
    pub fn client_id(&self) -> String {
        self.settings.client_id.clone()
    }

    /// Returns the client secret of the initial credentials.
    pub fn client_secret(&self) -> String {
        self.settings.client_secret.clone()
    }

    /// Returns the environment variables that configure a client for the sandbox.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("CAMUNDA_CONSOLE_CLIENT_ID".to_owned(), self.client_id()),
            (
                "CAMUNDA_CONSOLE_CLIENT_SECRET".to_owned(),
                self.client_secret(),
            ),
            ("CAMUNDA_CONSOLE_BASE_URL".to_owned(), self.base_url()),
            (
                "CAMUNDA_CONSOLE_OAUTH_AUDIENCE".to_owned(),
                API_AUDIENCE.to_owned(),
            ),
            ("CAMUNDA_OAUTH_URL".to_owned(), self.oauth_url()),
        ];
        let mut add_path = |name: &str, path: PathBuf| {
            variables.push((name.to_owned(), path.to_string_lossy().into_owned()));
        };
        if let Some(files) = &self.files {
            add_path("CAMUNDA_CUSTOM_ROOT_CERT_PATH", files.root());
            if let Some((certificate, key)) = files.client() {
                add_path("CAMUNDA_CUSTOM_CERT_CHAIN_PATH", certificate);
                add_path("CAMUNDA_CUSTOM_PRIVATE_KEY_PATH", key);
            }
        }
        variables
    }

    /// Returns the request counters since the start or the last reset.
    pub fn stats(&self) -> Stats {
        self.shared.state().stats.clone()
    }

    /// Resets clusters, members, tokens, bans, faults, counters and clock. Settings and the initial
    /// credentials are kept.
    pub fn reset(&self) {
        self.shared.state().reset();
    }

    /// Adds a fault.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.state().faults.add(fault);
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
            .expect("create cluster")
    }

    /// Creates `count` clusters with status `Healthy` and returns their ids.
    pub fn create_clusters(&self, count: u64) -> Vec<String> {
        control::create_clusters(&mut self.shared.state(), count)
    }

    /// Applies a JSON merge patch to a cluster.
    ///
    /// # Panics
    ///
    /// The cluster does not exist, or `fields` is not an object.
    pub fn update_cluster(&self, cluster: &str, fields: Value) {
        accepted(control::update_cluster(
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
        accepted(control::create_backup(
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

    /// Moves a cluster to another organisation, or back.
    ///
    /// # Panics
    ///
    /// The cluster does not exist.
    pub fn set_other_organisation(&self, cluster: &str, other: bool) {
        self.with_cluster(cluster, |cluster| cluster.other_organisation = other);
    }

    /// Ensures that a newer generation than the cluster's exists, and returns the id of the newest.
    ///
    /// # Panics
    ///
    /// The cluster does not exist, or its channel is unknown.
    pub fn make_upgrade_available(&self, cluster: &str) -> String {
        let newest = control::make_upgrade_available(&mut self.shared.state(), cluster);
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

    /// Sets the limits of the organisation.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.state().limits = limits;
    }

    /// Creates credentials with these permissions only.
    pub fn add_credentials(&self, permissions: &[Permission]) -> Credentials {
        let (client_id, client_secret) = self.shared.state().add_credentials(permissions.to_vec());
        Credentials {
            client_id,
            client_secret,
        }
    }

    /// Replaces the secret of the initial credentials and returns the new one.
    /// [`client_secret`](Self::client_secret) is invalid until the next reset. Tokens stay valid.
    pub fn rotate_secret(&self) -> String {
        control::rotate_secret(&mut self.shared.state())
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
        control::apply(&mut self.shared.state(), object(changes)).map_err(Response::into_message)
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
            .field("base_url", &self.settings.base_url)
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
