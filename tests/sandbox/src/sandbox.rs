//! Rust API: builder and handle of a running sandbox.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::clock::MAX_ADVANCE;
use crate::cluster::{AllowlistField, Busy, Cluster, UpgradeGate};
use crate::control;
use crate::faults::Fault;
use crate::oauth::{API_AUDIENCE, SigningKey};
use crate::permissions::Permission;
use crate::random::Random;
use crate::request_log::{Filter, RequestLog, RequestRecord};
use crate::response::Response;
use crate::server::{Shared, serve};
use crate::snapshot;
use crate::state::{Limits, OTHER_ORGANIZATION, Settings, Setup, State};
use crate::stats::Stats;
use crate::tls::{CertificateFault, Files, Tls};

/// Listen backlog.
const BACKLOG: i32 = 1024;

/// Settings of a sandbox before its start.
#[derive(Clone, Debug)]
pub struct SandboxBuilder {
    host: IpAddr,
    port: u16,
    public_url: Option<String>,
    settings: Settings,
    tls: bool,
    client_certificates: bool,
    signed_tokens: bool,
    seed: Option<u64>,
    client_id: Option<String>,
    client_secret: Option<String>,
    organization_id: Option<String>,
    start_time: Option<SystemTime>,
    frozen_clock: bool,
    state: Option<Value>,
    verbose: bool,
    ui: bool,
}

impl Default for SandboxBuilder {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            public_url: None,
            settings: Settings::default(),
            tls: false,
            client_certificates: false,
            signed_tokens: false,
            seed: None,
            client_id: None,
            client_secret: None,
            organization_id: None,
            start_time: None,
            frozen_clock: false,
            state: None,
            verbose: false,
            ui: true,
        }
    }
}

impl SandboxBuilder {
    /// Sets the IP address to listen on. Default: 127.0.0.1.
    ///
    /// Everyone who can connect can use the control API.
    #[must_use]
    pub fn host(mut self, host: IpAddr) -> Self {
        self.host = host;
        self
    }

    /// Sets the base URL by which clients reach the sandbox, for example through a container's
    /// published port. Default: the scheme, address and port that it listens on.
    #[must_use]
    pub fn public_url(mut self, url: &str) -> Self {
        self.public_url = Some(url.trim_end_matches('/').into());
        self
    }

    /// Makes the sandbox deterministic: credentials, ids and secrets are the same in each run with
    /// this seed, and again after each reset. Default: random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the client id of the initial credentials. Default: random.
    #[must_use]
    pub fn client_id(mut self, client_id: &str) -> Self {
        self.client_id = Some(client_id.into());
        self
    }

    /// Sets the client secret of the initial credentials. Default: random.
    #[must_use]
    pub fn client_secret(mut self, client_secret: &str) -> Self {
        self.client_secret = Some(client_secret.into());
        self
    }

    /// Sets the id of the organization of the initial credentials. Default: random.
    #[must_use]
    pub fn organization_id(mut self, organization_id: &str) -> Self {
        self.organization_id = Some(organization_id.into());
        self
    }

    /// Sets the time of the clock at the start and after each reset. Default: the system time.
    #[must_use]
    pub fn start_time(mut self, start_time: SystemTime) -> Self {
        self.start_time = Some(start_time);
        self
    }

    /// Sets whether the clock changes only by [`Sandbox::advance`] and the control API.
    /// Default: false.
    #[must_use]
    pub fn frozen_clock(mut self, frozen: bool) -> Self {
        self.frozen_clock = frozen;
        self
    }

    /// Sets the state at the start and after each reset, in the format of `PUT /_sandbox/state`.
    #[must_use]
    pub fn state(mut self, state: Value) -> Self {
        self.state = Some(state);
        self
    }

    /// Sets whether access tokens are signed with ES256 and can be verified with the key of
    /// `/.well-known/jwks.json`. Default: false, which issues tokens faster.
    #[must_use]
    pub fn signed_tokens(mut self, signed_tokens: bool) -> Self {
        self.signed_tokens = signed_tokens;
        self
    }

    /// Sets whether to write one line per request to stderr. Default: false.
    #[must_use]
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }

    /// Sets whether to serve the page at `/`. Default: true.
    #[must_use]
    pub fn ui(mut self, ui: bool) -> Self {
        self.ui = ui;
        self
    }

    /// Completes status changes at this `GET` of the cluster, counted from 1, instead of after
    /// [`healthy_after`](Self::healthy_after). Default: not set.
    #[must_use]
    pub fn healthy_at_poll(mut self, polls: u64) -> Self {
        self.settings.healthy_at_poll = Some(polls.max(1));
        self
    }

    /// Sets the final status of created clusters, for example `Unhealthy` for creations that fail.
    /// Default: `Healthy`.
    #[must_use]
    pub fn creation_result(mut self, status: &str) -> Self {
        self.settings.creation_result = status.into();
        self
    }

    /// Serves with a defective certificate. Implies [`tls`](Self::tls).
    #[must_use]
    pub fn certificate_fault(mut self, fault: CertificateFault) -> Self {
        self.settings.certificate_fault = Some(fault);
        self.tls = true;
        self
    }

    /// Sets the port. Default: 0, any free port.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the duration of cluster creation, resume, upgrade, backup and restore. Default: 300 ms.
    #[must_use]
    pub fn healthy_after(mut self, healthy_after: Duration) -> Self {
        self.settings.healthy_after = healthy_after;
        self
    }

    /// Sets the token lifetime. Default: 24 hours.
    #[must_use]
    pub fn token_lifetime(mut self, token_lifetime: Duration) -> Self {
        self.settings.token_lifetime = token_lifetime;
        self
    }

    /// Sets whether the token endpoint rejects more than one request per second with 429 and a
    /// ban. Default: true.
    #[must_use]
    pub fn token_rate_limit(mut self, token_rate_limit: bool) -> Self {
        self.settings.token_rate_limit = token_rate_limit;
        self
    }

    /// Sets the duration of the ban after a rate limit violation. Default: 5 s.
    #[must_use]
    pub fn ban(mut self, ban: Duration) -> Self {
        self.settings.ban = ban;
        self
    }

    /// Sets the delay of the response to credentials that were rejected before. Default: 2 s; the
    /// real token endpoint takes about 30 s.
    #[must_use]
    pub fn rejection_delay(mut self, rejection_delay: Duration) -> Self {
        self.settings.rejection_delay = rejection_delay;
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
    /// The port is in use, a setting is invalid, or the system cannot create a thread, socket or
    /// file.
    pub fn try_start(self) -> io::Result<Sandbox> {
        let address = SocketAddr::new(self.host, self.port);
        let listener = listen(address).map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::AddrInUse => "; choose another port, or 0 for any free port",
                _ => "",
            };
            let message = format!("listen on {address}: {error}{hint}");
            io::Error::new(error.kind(), message)
        })?;
        let secure = self.tls || self.client_certificates;
        let base_url = match &self.public_url {
            Some(url) => url.clone(),
            None => {
                let scheme = if secure { "https" } else { "http" };
                let mut reachable = listener.local_addr()?;
                if reachable.ip().is_unspecified() {
                    reachable.set_ip(Ipv4Addr::LOCALHOST.into());
                }
                format!("{scheme}://{reachable}")
            }
        };
        let (acceptors, files) = match secure {
            false => (None, None),
            true => {
                let tls = Tls::new(self.client_certificates, host_of(&base_url)?)?;
                (Some(tls.acceptors), Some(tls.files))
            }
        };
        let (verbose, ui) = (self.verbose, self.ui);
        let setup = Arc::new(self.setup(base_url)?);
        let state = State::new(Arc::clone(&setup)).map_err(invalid_setting)?;
        let shared = Arc::new(Shared::new(state, verbose, ui));
        let (stop, stopped) = oneshot::channel();
        let (report, reported) = mpsc::channel();
        let served = Arc::clone(&shared);
        // The thread owns the runtime, which must not be dropped in another runtime.
        let thread = std::thread::Builder::new()
            .name("camunda-admin-sandbox".into())
            .spawn(move || {
                let runtime = match tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(report.send(Err(error))),
                };
                runtime.block_on(async {
                    let listener = match tokio::net::TcpListener::from_std(listener) {
                        Ok(listener) => listener,
                        Err(error) => return drop(report.send(Err(error))),
                    };
                    let _ = report.send(Ok(()));
                    tokio::select! {
                        () = serve(listener, acceptors, served) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        let sandbox = Sandbox {
            shared,
            setup,
            files,
            stop: Some(stop),
            thread: Some(thread),
        };
        match reported.recv() {
            Ok(started) => started.map(|()| sandbox),
            Err(_) => Err(io::Error::other("the server thread terminated")),
        }
    }

    fn setup(self, base_url: String) -> io::Result<Setup> {
        if !base_url.starts_with("http://") && !base_url.starts_with("https://") {
            let message = format!("public URL {base_url} must begin with http:// or https://");
            return Err(invalid_setting(message));
        }
        // Keeps sums with the clock in range.
        let bounded = |duration: Duration| duration.min(MAX_ADVANCE);
        let settings = Settings {
            healthy_after: bounded(self.settings.healthy_after),
            token_lifetime: bounded(self.settings.token_lifetime),
            ban: bounded(self.settings.ban),
            rejection_delay: bounded(self.settings.rejection_delay),
            ..self.settings
        };
        control::check_settings(&settings, &base_url).map_err(invalid_setting)?;
        let mut random = match self.seed {
            None => Random::new(),
            Some(seed) => Random::from_seed(seed.rotate_left(32) ^ 0x5eed),
        };
        let signing_key = match self.signed_tokens {
            false => None,
            true => Some(SigningKey::generate()?),
        };
        Ok(Setup {
            settings,
            base_url,
            client_id: self.client_id.unwrap_or_else(|| random.characters(32)),
            client_secret: self.client_secret.unwrap_or_else(|| random.characters(64)),
            organization: self.organization_id.unwrap_or_else(|| random.uuid()),
            seed: self.seed,
            start_time: self
                .start_time
                .map(|time| time.duration_since(UNIX_EPOCH).unwrap_or_default()),
            frozen_clock: self.frozen_clock,
            initial_state: self.state,
            signing_key,
        })
    }
}

fn invalid_setting(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    // On Windows the option would let two servers share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Returns the host of a URL, without brackets.
fn host_of(url: &str) -> io::Result<&str> {
    let authority = url
        .split_once("://")
        .map(|(_, rest)| rest.split('/').next().unwrap_or_default());
    let host = authority.and_then(|authority| match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(host, _)| host),
        None => authority.split(':').next(),
    });
    host.filter(|host| !host.is_empty())
        .ok_or_else(|| invalid_setting(format!("public URL {url} is not valid")))
}

/// Running sandbox. Dropping it stops the server and closes all connections.
pub struct Sandbox {
    shared: Arc<Shared>,
    setup: Arc<Setup>,
    files: Option<Files>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
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
            // Required by @camunda8/sdk, although it does not use them for this API.
            ("ZEEBE_CLIENT_ID".to_owned(), self.client_id()),
            ("ZEEBE_CLIENT_SECRET".to_owned(), self.client_secret()),
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
    /// exist, or it has no effect.
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
