//! The connection to the API, and the way from it to the operations.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::api::activity::Activity;
use crate::api::backups::Backups;
use crate::api::cluster_clients::ClusterClients;
use crate::api::clusters::{ClusterId, Clusters};
use crate::api::members::Members;
use crate::api::monitoring::ClusterMonitoring;
use crate::api::object::{Json, has_dot_segment};
use crate::api::operation::{self, Operation};
use crate::api::secrets::ClusterSecrets;
use crate::api::secure_connectivity::SecureConnectivity;
use crate::auth::{self, Token, TokenCacheHandle, TokenStore};
use crate::call::{CallContext, CallOptions};
use crate::config::Config;
use crate::credentials::{
    CREDENTIAL_FILE, ClusterCredentials, read_env_file, warn_if_open_to_others,
};
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::secret::{Zeroizing, to_json};
use crate::transport::{Idempotency, Method, Request, Stats, Transport};

/// A connection to the Administration API.
///
/// Cheap to clone, and to be shared between threads: clones share connections, counters and, with
/// everything else in the process (and on the machine, see
/// [`token_cache`](AdminClientBuilder::token_cache)), tokens. Nothing is sent before the first call.
#[derive(Clone)]
pub struct AdminClient {
    transport: Arc<Transport>,
    options: CallOptions,
}

impl AdminClient {
    /// A client with the settings of the environment; see [`AdminClientBuilder::from_env`].
    pub fn from_env() -> Result<AdminClient> {
        AdminClientBuilder::from_env()?.build()
    }

    /// A client with the settings of a file that the Console handed out; see
    /// [`AdminClientBuilder::from_env_file`].
    pub fn from_env_file(path: impl AsRef<Path>) -> Result<AdminClient> {
        AdminClientBuilder::from_env_file(path)?.build()
    }

    /// A client whose settings are given one by one.
    pub fn builder() -> AdminClientBuilder {
        AdminClientBuilder::default()
    }

    /// Returns the same client with options for the calls made through it.
    ///
    /// `options` are merged into the options that are already set: an option that is not set in
    /// `options` keeps its value. To remove an option, start from a client without it.
    ///
    /// ```no_run
    /// # use camunda_admin::{AdminClient, CallOptions, Cancel};
    /// # use std::time::Duration;
    /// # let admin = AdminClient::from_env()?;
    /// let cancellable = admin.with(CallOptions::new().cancel(Cancel::new()));
    /// let quick = cancellable.with(CallOptions::new().timeout(Duration::from_secs(5)));
    /// quick.clusters().list()?; // has the deadline and can be cancelled
    /// # Ok::<(), camunda_admin::Error>(())
    /// ```
    pub fn with(&self, options: CallOptions) -> AdminClient {
        AdminClient {
            transport: self.transport.clone(),
            options: self.options.merged(options),
        }
    }

    /// The clusters of the organisation.
    pub fn clusters(&self) -> Clusters<'_> {
        Clusters { admin: self }
    }

    /// One cluster. Nothing is sent by this alone.
    pub fn cluster<'a>(&'a self, id: &'a ClusterId) -> ClusterHandle<'a> {
        ClusterHandle {
            admin: self,
            cluster: id,
            id: id.as_str(),
        }
    }

    /// The members of the organisation.
    pub fn members(&self) -> Members<'_> {
        Members { admin: self }
    }

    /// The organisation's audit log.
    pub fn activity(&self) -> Activity<'_> {
        Activity { admin: self }
    }

    /// A token of this client's credentials for an audience: `api.cloud.camunda.io` is this API's
    /// and the Web Modeler API's.
    ///
    /// Comes from the same cache as the tokens of the calls, so it costs a token request only where
    /// no process of the machine has one.
    pub fn token(&self, audience: &str) -> Result<Token> {
        self.token_source(audience)?.access_token()
    }

    /// Tokens of this client's credentials for an audience, for use again and again.
    pub fn token_source(&self, audience: &str) -> Result<TokenSource> {
        if audience.is_empty() {
            return Err(Error::invalid_argument("the audience is empty"));
        }
        let token_cache =
            token_cache(self.transport.config(), audience)?.ok_or_else(no_credentials)?;
        Ok(TokenSource {
            transport: self.transport.clone(),
            token_cache,
            options: self.options.clone(),
        })
    }

    /// A token for an audience, or for the client's own where there is none: its token_cache is at hand.
    #[cfg(feature = "capi")]
    pub(crate) fn token_for(&self, audience: Option<&str>) -> Result<Token> {
        match (audience, self.transport.token_cache()) {
            (None, Some(token_cache)) => token_cache.token(&*self.transport, &self.call()),
            (None, None) => Err(no_credentials()),
            (Some(audience), _) => self.token(audience),
        }
    }

    #[cfg(feature = "capi")]
    pub(crate) fn invalidate_token(&self, audience: Option<&str>, token: &Token) -> Result<()> {
        let own = self.transport.config().audience();
        self.token_source(audience.unwrap_or(own))?.reject(token);
        Ok(())
    }

    /// Reaches operations that are newer than this library: any method, a path such as
    /// `/clusters?new=1`, and JSON in and out, under the same token. An answer without a body is
    /// `null`.
    ///
    /// Reads are sent again after passing failures; whatever changes something is not, see
    /// [`request_with_idempotency`](Self::request_with_idempotency).
    pub fn request(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Json> {
        let idempotency = if method == Method::Get {
            Idempotency::Safe
        } else {
            Idempotency::NonIdempotent
        };
        self.request_with_idempotency(idempotency, method, path, body)
    }

    /// The same, with the caller's word on whether the request may be sent again.
    pub fn request_with_idempotency(
        &self,
        idempotency: Idempotency,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Json> {
        let body = body.map(|json| Zeroizing::new(json.as_str().as_bytes().to_vec()));
        let answer = self.request_json(idempotency, method, path, body)?;
        operation::decode(&answer).map_err(Error::invalid_argument)
    }

    /// The same with the JSON texts themselves; a response without a body is `null`.
    pub(crate) fn request_json(
        &self,
        idempotency: Idempotency,
        method: Method,
        path: &str,
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        check_path(path)?;
        let request = Request {
            operation: REQUEST,
            method,
            path: path.to_owned(),
            body,
            idempotency,
            authenticated: true,
            hint: Some("look at what it changes before sending it again"),
            // What it is for is unknown here.
            secret_response: false,
            one_time_response: idempotency == Idempotency::NonIdempotent,
            refusals: &[],
        };
        self.transport.send(&request, &self.call(), |answer| {
            let json = operation::strip_bom(&answer).trim_ascii();
            if json.is_empty() {
                return Ok(Zeroizing::new(b"null".to_vec()));
            }
            match operation::decode::<&RawValue>(json) {
                Ok(_) => Ok(answer),
                Err(problem) => {
                    let message = format!("the answer is not JSON: {problem}");
                    Err(Error::new(
                        ErrorKind::Decode,
                        Stage::Decode,
                        Outcome::Completed,
                        message,
                    )
                    .with_body(answer))
                }
            }
        })
    }

    /// What this client and its clones did so far.
    pub fn stats(&self) -> Stats {
        self.transport.stats()
    }

    /// The state of all tokens of this process, of the pace of token requests, and of the stores, as
    /// JSON without secrets: `slots`, `gates`, `stores` and `counters`. Times are seconds from now.
    pub fn diagnostics(&self) -> Json {
        let told = serde_json::to_string(&auth::diagnostics()).unwrap_or_default();
        Json::new(told).unwrap_or_default()
    }

    /// Forgets that the token endpoint refused these credentials, so that the next call asks again
    /// instead of failing fast: for use after they were mended on the service's side.
    pub fn clear_auth_failure(&self) {
        if let Some(token_cache) = self.transport.token_cache() {
            token_cache.clear_auth_failure(&self.call());
        }
    }

    /// Forgets this client's token, here and in the shared store, so that the next call asks for
    /// another.
    pub fn invalidate_tokens(&self) {
        if let Some(token_cache) = self.transport.token_cache() {
            token_cache.forget(&self.call());
        }
    }

    pub(crate) fn options(&self) -> &CallOptions {
        &self.options
    }

    /// The same client for the requests of one call that begins now; see [`CallOptions::begin`].
    pub(crate) fn begin(&self) -> AdminClient {
        AdminClient {
            transport: self.transport.clone(),
            options: self.options.begin(),
        }
    }

    pub(crate) fn call(&self) -> CallContext {
        CallContext::start(&self.options, self.transport.config().timeout())
    }

    /// Calls an operation without a body and decodes its answer.
    pub(crate) fn read<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        arguments: &[&str],
    ) -> Result<T> {
        self.execute(operation, arguments, None, |answer| {
            operation.decode(answer)
        })
    }

    /// Calls an operation with a body and decodes its answer.
    pub(crate) fn send<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        arguments: &[&str],
        body: &impl Serialize,
    ) -> Result<T> {
        self.execute(operation, arguments, Some(encode(body)?), |answer| {
            operation.decode(answer)
        })
    }

    /// Calls an operation that answers nothing.
    pub(crate) fn send_without_response(
        &self,
        operation: &Operation,
        arguments: &[&str],
        body: Option<&impl Serialize>,
    ) -> Result<()> {
        let body = body.map(encode).transpose()?;
        self.execute(operation, arguments, body, |_| Ok(()))
    }

    /// Calls an operation that answers CSV.
    pub(crate) fn stream(&self, operation: &Operation, sink: &mut dyn Write) -> Result<()> {
        let request = self.request_for(operation, &[], None)?;
        self.transport.stream(&request, &self.call(), sink)
    }

    /// Calls an operation and makes of the answer what `decode` makes of it.
    pub(crate) fn execute<T>(
        &self,
        operation: &Operation,
        arguments: &[&str],
        body: Option<Zeroizing<Vec<u8>>>,
        decode: impl Fn(Zeroizing<Vec<u8>>) -> Result<T>,
    ) -> Result<T> {
        self.exchange_in(&self.call(), operation, arguments, body, decode)
    }

    /// The same as a step of a call that has several.
    pub(crate) fn exchange_in<T>(
        &self,
        call: &CallContext,
        operation: &Operation,
        arguments: &[&str],
        body: Option<Zeroizing<Vec<u8>>>,
        decode: impl Fn(Zeroizing<Vec<u8>>) -> Result<T>,
    ) -> Result<T> {
        let request = self.request_for(operation, arguments, body)?;
        self.transport.send(&request, call, decode)
    }

    fn request_for<'a>(
        &self,
        operation: &'a Operation,
        arguments: &[&str],
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Request<'a>> {
        if let Some(body) = &body {
            operation.check_lists(body)?;
        }
        Ok(Request {
            operation: operation.name,
            method: operation.method,
            path: operation.path_with(arguments)?,
            body,
            idempotency: operation.idempotency,
            authenticated: operation.authenticated,
            hint: operation.hint,
            secret_response: operation.has_secret_response(),
            one_time_response: operation.one_time_response
                || (operation.idempotency == Idempotency::NonIdempotent
                    && operation.answer.is_some()),
            refusals: operation.errors,
        })
    }
}

const REQUEST: &str = "request";

impl fmt::Debug for AdminClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminClient")
            .field("base_url", &self.transport.config().base_url())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

pub(super) fn encode(body: &impl Serialize) -> Result<Zeroizing<Vec<u8>>> {
    match to_json(body) {
        Ok(json) => Ok(json.into_bytes()),
        Err(error) => Err(Error::invalid_argument(format!(
            "the body is not JSON: {error}"
        ))),
    }
}

/// A path may neither leave the service nor begin a header.
pub(super) fn check_path(path: &str) -> Result<()> {
    let bad = |why| Err(Error::invalid_argument(format!("the path {why}")).with_operation(REQUEST));
    if !path.starts_with('/') || path.starts_with("//") {
        return bad("does not begin with a single `/`");
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains(['#', '\\']) {
        return bad("has characters that have to be percent-encoded");
    }
    if has_dot_segment(path.split('?').next().unwrap_or_default()) {
        return bad("has a `.` or `..` segment, which servers and proxies resolve");
    }
    Ok(())
}

fn no_credentials() -> Error {
    Error::config("no credentials: set `client_id` and `client_secret`")
}

fn token_cache(config: &Config, audience: &str) -> Result<Option<Arc<TokenCacheHandle>>> {
    config
        .token_request(audience)
        .map(|request| auth::token_cache_handle(request, config.token_cache()))
        .transpose()
}

/// Settings of an [`AdminClient`].
///
/// Each method names its setting's key, under which [`set`](Self::set), C and Python know it. A bad
/// value is reported by [`build`](Self::build).
#[derive(Debug, Default)]
#[must_use]
pub struct AdminClientBuilder {
    config: Config,
    /// The file that the settings come from.
    credential_file: Option<PathBuf>,
    error: Option<Error>,
}

impl AdminClientBuilder {
    /// The settings of the environment variables that Camunda's own SDKs read.
    ///
    /// | variable | setting |
    /// |---|---|
    /// | `CAMUNDA_CONSOLE_CLIENT_ID` | `client_id`, has to be there |
    /// | `CAMUNDA_CONSOLE_CLIENT_SECRET` | `client_secret`, has to be there |
    /// | `CAMUNDA_CONSOLE_BASE_URL` | `base_url` |
    /// | `CAMUNDA_CONSOLE_OAUTH_AUDIENCE` | `audience` |
    /// | `CAMUNDA_OAUTH_URL` | `oauth_url` |
    /// | `CAMUNDA_TOKEN_SCOPE` | `scope` |
    /// | `CAMUNDA_TOKEN_CACHE_DIR` | `token_cache`, a directory |
    /// | `CAMUNDA_TOKEN_DISK_CACHE_DISABLE` | `true`: `token_cache` is `memory` |
    /// | `CAMUNDA_TOKEN_CACHE_REDIS_URL` | `token_cache`, a Redis or Valkey URL |
    /// | `CAMUNDA_CUSTOM_ROOT_CERT_PATH` | `ca_file` |
    /// | `CAMUNDA_CUSTOM_CERT_CHAIN_PATH` | `client_cert` |
    /// | `CAMUNDA_CUSTOM_PRIVATE_KEY_PATH` | `client_key` |
    /// | `CAMUNDA_CUSTOM_USER_AGENT_STRING` | `user_agent` |
    ///
    /// An empty variable counts as not set. Errors: `Config`, naming the variable.
    pub fn from_env() -> Result<Self> {
        let config = Config::from_variables(|name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Error::config(format!("the variable {name} is not UTF-8")))
            }
        })?;
        Ok(AdminClientBuilder {
            config,
            credential_file: None,
            error: None,
        })
    }

    /// The settings of a file of `export NAME='value'` or `NAME=value` lines with the variables of
    /// [`from_env`](Self::from_env), as the Console hands it out. The environment is not read. If
    /// other users can read the file, [`build`](Self::build) logs a warning, once.
    ///
    /// Errors: `Io` where the file cannot be read, `Config` naming the line or the variable.
    pub fn from_env_file(path: impl AsRef<Path>) -> Result<Self> {
        let variables = read_env_file(path.as_ref())?;
        let config = Config::from_variables(|name| {
            Ok(variables.get(name).map(|value| value.expose().to_owned()))
        })?;
        Ok(AdminClientBuilder {
            config,
            credential_file: Some(path.as_ref().to_owned()),
            error: None,
        })
    }

    /// Sets one setting by its key, as C and Python do; all values are text.
    ///
    /// Keys: `client_id`, `client_secret`, `base_url`, `oauth_url`, `audience`, `scope`,
    /// `token_cache`, `timeout` (seconds, decimals allowed), `ca_file`, `client_cert`, `client_key`,
    /// `proxy`, `user_agent`, `token_request_format` (`json` or `form`), `max_response_bytes`.
    ///
    /// Errors: `Config`, naming the key; the setting is unchanged then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        self.config.set(key, value)
    }

    /// Takes the credentials of a cluster's client, its token endpoint and, unless the caller chose
    /// another, its audience.
    pub(crate) fn with_credentials(mut self, credentials: &ClusterCredentials) -> Result<Self> {
        let id = credentials.require(&["ZEEBE_CLIENT_ID"])?;
        let secret = credentials.require(&["ZEEBE_CLIENT_SECRET"])?;
        let url = credentials.require(&["CAMUNDA_OAUTH_URL", "ZEEBE_AUTHORIZATION_SERVER_URL"])?;
        let audience = credentials
            .get("ZEEBE_TOKEN_AUDIENCE")
            .unwrap_or("zeebe.camunda.io");
        for (key, value) in [
            ("client_id", id.expose()),
            ("client_secret", secret.expose()),
            ("oauth_url", url.expose()),
        ] {
            self.set(key, value)?;
        }
        if !self.config.audience_is_chosen() {
            self.set("audience", audience)?;
        }
        Ok(self)
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        if let Err(error) = self.config.set(key, value) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// `client_id`: whose tokens are asked for.
    pub fn client_id(self, id: &str) -> Self {
        self.with("client_id", id)
    }

    /// `client_secret`: the secret of that client.
    pub fn client_secret(self, secret: impl Into<crate::Secret>) -> Self {
        let secret = secret.into();
        self.with("client_secret", secret.expose())
    }

    /// `base_url`: where the API is; `https://api.cloud.camunda.io` unless set. `http://` is refused
    /// except to this machine.
    pub fn base_url(self, url: &str) -> Self {
        self.with("base_url", url)
    }

    /// `oauth_url`: the token endpoint; `https://login.cloud.camunda.io/oauth/token` unless set.
    pub fn oauth_url(self, url: &str) -> Self {
        self.with("oauth_url", url)
    }

    /// `audience`: the audience of this API's tokens; `api.cloud.camunda.io` unless set.
    pub fn audience(self, audience: &str) -> Self {
        self.with("audience", audience)
    }

    /// `scope`: sent with token requests where set.
    pub fn scope(self, scope: &str) -> Self {
        self.with("scope", scope)
    }

    /// `token_cache`: who shares tokens. `auto` (unless set): every process of this user on this
    /// machine, through encrypted files in the user's cache directory; `memory`: this process; a
    /// directory, with a separator in its path or beginning with `.` or `~` (the home directory); a
    /// `redis://`, `rediss://`, `valkey://` or `valkeys://` URL where the library is built with the
    /// feature `redis`. [`build`](Self::build) resolves a relative directory, once. Anything else is
    /// an error.
    pub fn token_cache(self, cache: &str) -> Self {
        self.with("token_cache", cache)
    }

    /// A token store of the caller's own instead of `token_cache`.
    pub fn token_store(mut self, store: Arc<dyn TokenStore>) -> Self {
        self.config.set_token_store(store);
        self
    }

    /// `timeout`: the deadline of a call, 60 s unless set; it covers waiting for locks and turns,
    /// tokens, retries and the body. The token endpoint holds answers to wrong credentials back for
    /// about 30 s, so a shorter one turns "bad credentials" into "timeout".
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if timeout.is_zero() {
            self.error.get_or_insert(Error::config("`timeout` is zero"));
        }
        self.config.set_timeout(timeout);
        self
    }

    /// `ca_file`: certificates in PEM to be trusted instead of the platform's, and instead of those
    /// that `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    pub fn ca_file(self, path: &str) -> Self {
        self.with("ca_file", path)
    }

    /// `client_cert`: our certificates in PEM for mutual TLS, at both endpoints. The key may be in
    /// the same file.
    pub fn client_cert(self, path: &str) -> Self {
        self.with("client_cert", path)
    }

    /// `client_key`: the unencrypted private key in PEM that belongs to `client_cert`. If other users
    /// can read the file, the library logs one warning.
    pub fn client_key(self, path: &str) -> Self {
        self.with("client_key", path)
    }

    /// `proxy`: an HTTP proxy (CONNECT), such as `http://proxy:3128`, instead of the one that
    /// `HTTPS_PROXY` and its like name. SOCKS is refused. This machine itself is reached directly.
    pub fn proxy(self, address: &str) -> Self {
        self.with("proxy", address)
    }

    /// `user_agent`: printable ASCII; `camunda-admin/VERSION` unless set.
    pub fn user_agent(self, text: &str) -> Self {
        self.with("user_agent", text)
    }

    /// `token_request_format`: `json` (unless set) or `form`, for OAuth servers that want a form.
    pub fn token_request_format(self, format: &str) -> Self {
        self.with("token_request_format", format)
    }

    /// `max_response_bytes`: the largest answer that is read, decompressed; 64 MiB unless set.
    pub fn max_response_bytes(self, bytes: u64) -> Self {
        self.with("max_response_bytes", &bytes.to_string())
    }

    /// The client. Sends nothing; reads the files of `ca_file`, `client_cert` and `client_key`.
    ///
    /// Errors: `Config`, naming the setting.
    pub fn build(self) -> Result<AdminClient> {
        match self.error {
            Some(ref error) => Err(error.clone()),
            None => self.build_client(),
        }
    }

    fn build_client(&self) -> Result<AdminClient> {
        let config = &self.config;
        config.check()?;
        // Here rather than where it was read: only now do C and Python have a log callback.
        if let Some(file) = &self.credential_file {
            warn_if_open_to_others(CREDENTIAL_FILE, file);
        }
        let config = config.clone().resolved()?;
        let token_cache = token_cache(&config, config.audience())?;
        let transport = Arc::new(Transport::new(config, token_cache)?);
        Ok(AdminClient {
            transport,
            options: CallOptions::new(),
        })
    }

    /// The client, with the settings left for another one.
    #[cfg(feature = "capi")]
    pub(crate) fn build_another(&self) -> Result<AdminClient> {
        self.build_client()
    }
}

/// One cluster: [`AdminClient::cluster`].
#[derive(Debug, Clone, Copy)]
pub struct ClusterHandle<'a> {
    pub(crate) admin: &'a AdminClient,
    pub(crate) cluster: &'a ClusterId,
    pub(crate) id: &'a str,
}

impl<'a> ClusterHandle<'a> {
    /// Its clients: the credentials that programs use it with.
    pub fn clients(&self) -> ClusterClients<'a> {
        ClusterClients {
            admin: self.admin,
            cluster: self.cluster,
        }
    }

    /// Its backups.
    pub fn backups(&self) -> Backups<'a> {
        Backups {
            admin: self.admin,
            cluster: self.cluster,
        }
    }

    /// Its connector secrets.
    pub fn secrets(&self) -> ClusterSecrets<'a> {
        ClusterSecrets {
            admin: self.admin,
            cluster: self.cluster,
        }
    }

    /// Its monitoring.
    pub fn monitoring(&self) -> ClusterMonitoring<'a> {
        ClusterMonitoring {
            admin: self.admin,
            cluster: self.cluster,
        }
    }

    /// Its secure connectivity.
    pub fn secure_connectivity(&self) -> SecureConnectivity<'a> {
        SecureConnectivity {
            admin: self.admin,
            cluster: self.cluster,
        }
    }
}

/// Bearer tokens of one client for one audience, through the same cache as all others.
///
/// Cheap to clone, and to be shared between threads. [`bearer`](Self::bearer) may be called for each
/// request: while a token lives it costs no I/O.
#[derive(Clone)]
pub struct TokenSource {
    transport: Arc<Transport>,
    token_cache: Arc<TokenCacheHandle>,
    options: CallOptions,
}

impl TokenSource {
    /// Tokens of a cluster's client, for its audience (`zeebe.camunda.io` where the credentials name
    /// none), with the default settings for everything else.
    ///
    /// Errors: `Config`, naming the variable that the credentials lack.
    pub fn new(credentials: &ClusterCredentials) -> Result<TokenSource> {
        TokenSource::with_settings(credentials, AdminClient::builder())
    }

    /// The same, with settings such as `token_cache`, `ca_file` or `proxy`. An
    /// [`audience`](AdminClientBuilder::audience) that is set replaces that of the credentials, to get
    /// tokens for Operate, for example. `client_id`, `client_secret` and `oauth_url` are those of the
    /// credentials.
    ///
    /// Errors: `Config`, naming the setting or the variable that the credentials lack.
    pub fn with_settings(
        credentials: &ClusterCredentials,
        settings: AdminClientBuilder,
    ) -> Result<TokenSource> {
        if let Some(error) = settings.error {
            return Err(error);
        }
        let config = settings.with_credentials(credentials)?.config.resolved()?;
        let token_cache = token_cache(&config, config.audience())?.ok_or_else(no_credentials)?;
        let transport = Arc::new(Transport::new(config, None)?);
        Ok(TokenSource {
            transport,
            token_cache,
            options: CallOptions::new(),
        })
    }

    /// Returns the same source with options for the calls made through it: a deadline, and a
    /// [`Cancel`](crate::Cancel) that ends [`bearer`](Self::bearer) early. `options` are merged into
    /// those that are already set.
    pub fn with(&self, options: CallOptions) -> TokenSource {
        TokenSource {
            transport: self.transport.clone(),
            token_cache: self.token_cache.clone(),
            options: self.options.merged(options),
        }
    }

    /// The counters of this source and its clones: token requests, retries, bytes. One that was made
    /// by [`AdminClient::token_source`] shares those of its client.
    pub fn stats(&self) -> Stats {
        self.transport.stats()
    }

    /// A living token, from memory, the shared store or the token endpoint, in this order.
    pub fn access_token(&self) -> Result<Token> {
        self.token_cache.token(&*self.transport, &self.call())
    }

    /// The token is not accepted: drops it, here and in the shared store, unless a newer one is
    /// there already. The next [`bearer`](Self::bearer) asks for another.
    pub fn reject(&self, token: &Token) {
        self.token_cache.reject(token, &self.call());
    }

    fn call(&self) -> CallContext {
        CallContext::start(&self.options, self.transport.config().timeout())
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_on_the_service() {
        for good in ["/clusters", "/clusters/a%20b?x=1&y=/../", "/a..b"] {
            check_path(good).unwrap();
        }
        for bad in [
            "",
            "clusters",
            "//evil",
            "/a/../b",
            "/a/%2e%2E",
            "/.",
            "/a b",
            "/a\r\nb",
            "/a#b",
            "/ü",
            "/a\\b",
            "/a/..%2Fb",
            "/a%2f..%2Fb",
            "/a%5c..%5cb",
            "/a/%2e%2e%2fb",
            "/a/%252e%252e/b",
            "/a%25252F..",
            "/a/..;x=1/b",
            "/a/.%3bx",
        ] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn half_of_the_credentials_is_named() {
        let error = AdminClient::builder().client_id("a").build().unwrap_err();
        assert!(error.to_string().contains("client_secret"), "{error}");
    }

    #[cfg(feature = "redis")]
    #[test]
    fn build_rejects_unusable_redis_url_without_showing_its_password() {
        for url in [
            "redis://:hunter2@",
            "redis://:hunter2@host:port/0",
            "valkey://:hunter2@host/zero",
        ] {
            let error = AdminClient::builder()
                .client_id("a")
                .client_secret("b")
                .token_cache(url)
                .build()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{url}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_client_is_shared_between_threads() {
        fn shared<T: Clone + Send + Sync>() {}
        shared::<AdminClient>();
        shared::<TokenSource>();
    }
}
