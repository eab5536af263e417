//! The sandbox as a test holds it: started, looked at, steered, stopped.

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

use crate::answer::Answer;
use crate::clock::LONGEST_ADVANCE;
use crate::cluster::{AllowlistField, Busy, Cluster, UpgradeGate};
use crate::control;
use crate::faults::Fault;
use crate::oauth::API_AUDIENCE;
use crate::permissions::Permission;
use crate::random::Random;
use crate::server::{Shared, serve};
use crate::state::{Limits, Settings, State};
use crate::stats::Stats;
use crate::tls::{Files, Tls};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The settings of a sandbox that is yet to be started.
#[derive(Clone, Debug)]
pub struct SandboxBuilder {
    port: u16,
    healthy_after: Duration,
    token_lifetime: Duration,
    token_rate_limit: bool,
    ban: Duration,
    hold_back: Duration,
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
            hold_back: Duration::from_secs(2),
            tls: false,
            client_certificates: false,
        }
    }
}

impl SandboxBuilder {
    /// The port on 127.0.0.1; any free one by default, as with 0.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// How long it takes to create, resume, upgrade, back up or restore a cluster; 300 ms by
    /// default.
    #[must_use]
    pub fn healthy_after(mut self, healthy_after: Duration) -> Self {
        self.healthy_after = healthy_after;
        self
    }

    /// How long a token lives; 24 hours by default.
    #[must_use]
    pub fn token_lifetime(mut self, token_lifetime: Duration) -> Self {
        self.token_lifetime = token_lifetime;
        self
    }

    /// Whether the token endpoint refuses more than one request per second with 429 and a ban;
    /// true by default.
    #[must_use]
    pub fn token_rate_limit(mut self, token_rate_limit: bool) -> Self {
        self.token_rate_limit = token_rate_limit;
        self
    }

    /// How long the token endpoint refuses everything after too early a request; 5 s by default.
    #[must_use]
    pub fn ban(mut self, ban: Duration) -> Self {
        self.ban = ban;
        self
    }

    /// How long the token endpoint holds back its answer to credentials that it has refused
    /// before; 2 s by default, where the service takes about 30.
    #[must_use]
    pub fn hold_back(mut self, hold_back: Duration) -> Self {
        self.hold_back = hold_back;
        self
    }

    /// Whether to serve `https`, with a certificate authority of the sandbox's own; false by
    /// default.
    #[must_use]
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// Whether to let in only who shows a certificate of the sandbox's own authority, which
    /// entails [`tls`](Self::tls); false by default.
    #[must_use]
    pub fn client_certificates(mut self, client_certificates: bool) -> Self {
        self.client_certificates = client_certificates;
        self
    }

    /// Starts the sandbox.
    ///
    /// # Panics
    ///
    /// Where [`try_start`](Self::try_start) fails.
    #[must_use]
    pub fn start(self) -> Sandbox {
        self.try_start().expect("the sandbox can be started")
    }

    /// Starts the sandbox.
    ///
    /// # Errors
    ///
    /// The port is taken, or the system has no thread, descriptor or place for a file left.
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
        // What is added to the clock must never be more than it can hold.
        let bounded = |duration: Duration| duration.min(LONGEST_ADVANCE);
        let settings = Settings {
            healthy_after: bounded(self.healthy_after),
            token_lifetime: bounded(self.token_lifetime),
            token_rate_limit: self.token_rate_limit,
            ban: bounded(self.ban),
            hold_back: bounded(self.hold_back),
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

/// A running sandbox. Dropping it stops it and closes all its connections.
pub struct Sandbox {
    shared: Arc<Shared>,
    settings: Settings,
    files: Option<Files>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Credentials for the API.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: String,
}

/// What decides which operations a cluster can be the object of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterKind {
    /// Whether its plan has customer-managed keys.
    pub enterprise: bool,
    /// Whether its region is one of AWS's.
    pub aws: bool,
    /// Whether its pair of regions has failover.
    pub failover_available: bool,
}

impl Sandbox {
    /// Starts a sandbox with the default settings.
    ///
    /// # Panics
    ///
    /// Where [`SandboxBuilder::try_start`] fails.
    #[must_use]
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// The settings of a sandbox that is yet to be started.
    #[must_use]
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder::default()
    }

    /// The address of the API, without a slash at the end.
    pub fn base_url(&self) -> String {
        self.settings.base_url.clone()
    }

    /// The address of the token endpoint.
    pub fn oauth_url(&self) -> String {
        self.settings.oauth_url()
    }

    /// The client id of credentials that may do everything.
    pub fn client_id(&self) -> String {
        self.settings.client_id.clone()
    }

    /// The secret of these credentials.
    pub fn client_secret(&self) -> String {
        self.settings.client_secret.clone()
    }

    /// The variables by which a program comes to use the sandbox.
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

    /// What has reached the sandbox since its start or last reset.
    pub fn stats(&self) -> Stats {
        self.shared.state().stats.clone()
    }

    /// Starts afresh: clusters, members, tokens, bans, faults, counters and clock. Settings and
    /// credentials are those of the start.
    pub fn reset(&self) {
        self.shared.state().reset();
    }

    /// Makes requests go wrong.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.state().faults.add(fault);
    }

    /// Makes nothing go wrong any more.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// Makes a cluster that is `Healthy` at once, and answers its id.
    ///
    /// The fields are laid over the cluster as a JSON merge patch; unknown ones and unknown words
    /// are welcome. `null` removes a field.
    ///
    /// # Panics
    ///
    /// Where the fields are no object, or their `uuid` is taken or no string.
    pub fn create_cluster(&self, fields: Value) -> String {
        self.shared
            .state()
            .insert_cluster(object(fields))
            .expect("the cluster can be made")
    }

    /// Makes so many clusters that are `Healthy`, and answers their ids.
    pub fn create_clusters(&self, count: u64) -> Vec<String> {
        control::create_clusters(&mut self.shared.state(), count)
    }

    /// Lays fields over a cluster as a JSON merge patch.
    ///
    /// # Panics
    ///
    /// Where there is no such cluster, or the fields are no object.
    pub fn update_cluster(&self, cluster: &str, fields: Value) {
        accepted(control::update_cluster(
            &mut self.shared.state(),
            cluster,
            object(fields),
        ));
    }

    /// Makes a backup that is complete, with these fields laid over it, and answers its id.
    ///
    /// # Panics
    ///
    /// Where there is no such cluster, or the fields are no object.
    pub fn create_backup(&self, cluster: &str, fields: Value) -> String {
        accepted(control::create_backup(
            &mut self.shared.state(),
            cluster,
            object(fields),
        ))
    }

    /// Sets the status of a cluster, such as `{"ready": "Unhealthy"}`, until an operation
    /// changes it. Components that aren't named take the word of `ready`.
    ///
    /// # Panics
    ///
    /// Where there is no such cluster, or the words are no object.
    pub fn set_status(&self, cluster: &str, words: Value) {
        self.with_cluster(cluster, |cluster| cluster.set_status(object(words)));
    }

    /// Says what kind of cluster it is.
    ///
    /// # Panics
    ///
    /// Where there is no such cluster.
    pub fn set_kind(&self, cluster: &str, kind: ClusterKind) {
        self.with_cluster(cluster, |cluster| {
            cluster.enterprise = kind.enterprise;
            cluster.aws = kind.aws;
            cluster.failover_available = kind.failover_available;
        });
    }

    /// Gives a cluster to another organisation, or back.
    ///
    /// # Panics
    ///
    /// Where there is no such cluster.
    pub fn set_other_organisation(&self, cluster: &str, other: bool) {
        self.with_cluster(cluster, |cluster| cluster.other_organisation = other);
    }

    /// Sees to it that there is a newer generation than the cluster's, and answers the newest
    /// one's id.
    ///
    /// # Panics
    ///
    /// Where there is no such cluster, or its channel is unknown.
    pub fn make_upgrade_available(&self, cluster: &str) -> String {
        let newest = control::make_upgrade_available(&mut self.shared.state(), cluster);
        accepted(newest)["uuid"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Blocks a cluster's upgrades for this reason, until this next step is done.
    ///
    /// # Panics
    ///
    /// Where there is no such cluster.
    pub fn set_upgrade_gate(&self, cluster: &str, reason: &str, next_step: &str) {
        let gate = UpgradeGate {
            reason: reason.into(),
            next_step: next_step.into(),
        };
        self.with_cluster(cluster, |cluster| cluster.upgrade_gate = Some(gate));
    }

    /// Blocks a cluster's upgrades no longer.
    ///
    /// # Panics
    ///
    /// Where there is no such cluster.
    pub fn clear_upgrade_gate(&self, cluster: &str) {
        self.with_cluster(cluster, |cluster| cluster.upgrade_gate = None);
    }

    /// Lets so many changes to a cluster's secrets find another one in progress; `None` for all
    /// that come.
    ///
    /// # Panics
    ///
    /// Where there is no such cluster.
    pub fn set_secrets_busy(&self, cluster: &str, times: Option<u64>) {
        self.with_cluster(cluster, |cluster| {
            cluster.secrets_busy = times.map_or(Busy::Always, Busy::For);
        });
    }

    /// The limits as they are now.
    pub fn limits(&self) -> Limits {
        self.shared.state().limits.clone()
    }

    /// Sets how much the organisation may have.
    pub fn set_limits(&self, limits: Limits) {
        self.shared.state().limits = limits;
    }

    /// Hands out credentials with these permissions and no others.
    pub fn add_credentials(&self, permissions: &[Permission]) -> Credentials {
        let (client_id, client_secret) = self.shared.state().add_credentials(permissions.to_vec());
        Credentials {
            client_id,
            client_secret,
        }
    }

    /// Gives [`client_id`](Self::client_id) a new secret, and answers it. The one of
    /// [`client_secret`](Self::client_secret) is wrong until the next reset. Tokens live on.
    pub fn rotate_secret(&self) -> String {
        control::rotate_secret(&mut self.shared.state())
    }

    /// Lets no token that was handed out so far be good for anything any more.
    pub fn revoke_tokens(&self) {
        self.shared.state().tokens.clear();
    }

    /// Puts the sandbox's clock forward, by which it measures everything but the delays of faults
    /// and of held back answers. A hundred years in all is the most.
    pub fn advance(&self, by: Duration) {
        self.shared.state().clock.advance(by);
    }

    /// Whether activity events come as a JSON string of CSV, as the service's description has it.
    /// To begin with they come as raw CSV.
    pub fn set_csv_as_json_string(&self, as_json_string: bool) {
        self.shared.state().csv_as_json_string = as_json_string;
    }

    /// Sets under which name or names clusters show their IP allowlists.
    pub fn set_allowlist_field(&self, field: AllowlistField) {
        self.shared.state().allowlist_field = field;
    }

    /// Sets the answer of `GET /meta/ip-ranges`.
    pub fn set_ip_ranges(&self, ip_ranges: Value) {
        self.shared.state().ip_ranges = ip_ranges;
    }

    /// Does what `POST /_sandbox/control` does with this object, and gives its answer.
    ///
    /// # Errors
    ///
    /// The message with which the endpoint refuses it.
    pub fn control(&self, changes: Value) -> Result<Value, String> {
        control::apply(&mut self.shared.state(), object(changes)).map_err(Answer::into_message)
    }

    fn with_cluster(&self, uuid: &str, change: impl FnOnce(&mut Cluster)) {
        let mut state = self.shared.state();
        match state.cluster(uuid) {
            Some(cluster) => change(cluster),
            None => panic!("there is no cluster {uuid}"),
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
        other => panic!("{other} is no object"),
    }
}

fn accepted<T>(result: Result<T, Answer>) -> T {
    result.unwrap_or_else(|refusal| panic!("{}", refusal.into_message()))
}
