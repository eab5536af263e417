//! Rust API: settings and start of a sandbox.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::changes;
use crate::clock::MAX_ADVANCE;
use crate::oauth::SigningKey;
use crate::random::Random;
use crate::sandbox::Sandbox;
use crate::server::{Shared, serve};
use crate::state::{Settings, Setup, State};
use crate::tls::{CertificateFault, Tls};

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

    /// Sets the client secret of the initial credentials. Default: that of their client id in the
    /// [`state`](Self::state), else random.
    #[must_use]
    pub fn client_secret(mut self, client_secret: &str) -> Self {
        self.client_secret = Some(client_secret.into());
        self
    }

    /// Sets the id of the organization of the initial credentials. Default: that of their client id in
    /// the [`state`](Self::state), else random.
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
        let scheme = if secure { "https" } else { "http" };
        let mut reachable = listener.local_addr()?;
        if reachable.ip().is_unspecified() {
            reachable.set_ip(Ipv4Addr::LOCALHOST.into());
        }
        let local_url = format!("{scheme}://{reachable}");
        let (base_url, local_url) = match &self.public_url {
            Some(url) => (url.clone(), Some(local_url)),
            None => (local_url, None),
        };
        let (acceptors, files) = match secure {
            false => (None, None),
            true => {
                let tls = Tls::new(self.client_certificates, host_of(&base_url)?)?;
                (Some(tls.acceptors), Some(tls.files))
            }
        };
        let (verbose, ui) = (self.verbose, self.ui);
        let setup = Arc::new(self.setup(base_url, local_url)?);
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

    fn setup(self, base_url: String, local_url: Option<String>) -> io::Result<Setup> {
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
        changes::check_settings(&settings, &base_url).map_err(invalid_setting)?;
        let mut random = match self.seed {
            None => Random::new(),
            Some(seed) => Random::from_seed(seed.rotate_left(32) ^ 0x5eed),
        };
        let signing_key = match self.signed_tokens {
            false => None,
            true => Some(SigningKey::generate()?),
        };
        let client_id = self.client_id.unwrap_or_else(|| random.characters(32));
        // A state can list the initial credentials; they must be those that clients are given.
        let listed = |field: &str| {
            let credentials = self.state.as_ref()?.get("credentials")?.as_array()?;
            let initial = credentials.iter().find(|it| it["client_id"] == *client_id);
            initial?[field].as_str().map(String::from)
        };
        let client_secret = self.client_secret.or_else(|| listed("client_secret"));
        let organization = self.organization_id.or_else(|| listed("organization"));
        Ok(Setup {
            settings,
            base_url,
            local_url,
            client_secret: client_secret.unwrap_or_else(|| random.characters(64)),
            organization: organization.unwrap_or_else(|| random.uuid()),
            client_id,
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
