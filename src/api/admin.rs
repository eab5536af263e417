//! [`AdminClient`], its builder, and [`TokenSource`]: the entry points to the operations and
//! tokens.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::api::object::{Json, has_dot_segment};
use crate::api::operation::{self, Operation};
use crate::auth::{self, Diagnostics, Token, TokenProvider, TokenStore};
use crate::call::{CallContext, CallOptions};
use crate::config::Config;
use crate::credentials::{
    CREDENTIAL_FILE, ClusterCredentials, read_env_file, warn_if_open_to_others,
};
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::secret::Zeroizing;
use crate::transport::{self, Idempotency, Method, Request, Stats, Transport};

/// Client for the Camunda 8 Administration API.
///
/// Cloning is cheap; a client can be shared between threads. Clones share the connection pool and
/// the counters. All clients of the process with the same credentials share cached tokens, and by
/// default all processes of the user do, see [`token_cache`](AdminClientBuilder::token_cache).
/// Creating a client sends no request. It keeps as many idle connections as calls ran at a time, each
/// for at most 30 s.
///
/// ```no_run
/// use camunda_admin::AdminClient;
///
/// let admin = AdminClient::from_env()?;
/// for cluster in admin.clusters().list()? {
///     println!("{} {}", cluster.name, cluster.status.ready);
/// }
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Clone)]
pub struct AdminClient {
    transport: Arc<Transport>,
    options: CallOptions,
}

impl AdminClient {
    /// Creates a client with the settings of the environment variables; see
    /// [`AdminClientBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the name of the missing or invalid variable.
    pub fn from_env() -> Result<AdminClient> {
        AdminClientBuilder::from_env()?.build()
    }

    /// Creates a client with the settings of a credential file of the Console; see
    /// [`AdminClientBuilder::from_env_file`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be read; [`ErrorKind::Config`], with the line or the
    /// variable, if its content is invalid. [`build`](Self::build) returns the error of a missing
    /// variable.
    pub fn from_env_file(path: impl AsRef<Path>) -> Result<AdminClient> {
        AdminClientBuilder::from_env_file(path)?.build()
    }

    /// Returns a builder with the default settings.
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
    /// quick.clusters().list()?; // has the timeout and can be cancelled
    /// # Ok::<(), camunda_admin::Error>(())
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> AdminClient {
        AdminClient {
            transport: self.transport.clone(),
            options: self.options.merged(options),
        }
    }

    /// Returns an access token of this client's credentials for an audience. `api.cloud.camunda.io`
    /// is the audience of the Administration API and of the Web Modeler API.
    ///
    /// The token comes from the same cache as the tokens of the API calls. A token request is sent
    /// only if the cache and the token store have no valid token. If the client has an
    /// [`access_token`](AdminClientBuilder::access_token), returns that one for the audience of the
    /// client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if the audience is empty; [`ErrorKind::Config`] without
    /// credentials, or for another audience with an `access_token`; [`ErrorKind::Authentication`], [`ErrorKind::RateLimited`],
    /// [`ErrorKind::Network`] or [`ErrorKind::Timeout`] if the token request fails.
    pub fn token(&self, audience: &str) -> Result<Token> {
        self.token_source(audience)?.access_token()
    }

    /// Returns the audience of the client's own tokens, those for the Administration API.
    #[must_use]
    pub fn audience(&self) -> &str {
        self.transport.config().audience()
    }

    /// Returns a reusable source of access tokens of this client's credentials for an audience.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if the audience is empty; [`ErrorKind::Config`] without
    /// credentials.
    pub fn token_source(&self, audience: &str) -> Result<TokenSource> {
        if audience.is_empty() {
            return Err(Error::invalid_argument("audience is empty"));
        }
        let own = self.transport.tokens().ok_or_else(no_credentials)?;
        let config = self.transport.config();
        let tokens = match audience == config.audience() {
            true => own.clone(),
            false => own
                .for_audience(audience, &transport::token_cache_config(config)?)?
                .ok_or_else(|| {
                    Error::config(format!(
                        "`access_token` is for the audience {} only; set `client_id` and \
                         `client_secret` instead of it",
                        config.audience()
                    ))
                })?,
        };
        Ok(TokenSource {
            transport: self.transport.clone(),
            tokens,
            options: self.options.clone(),
        })
    }

    /// Returns a token for an audience; without one, for the audience of the client.
    #[cfg(feature = "capi")]
    pub(crate) fn token_for(&self, audience: Option<&str>) -> Result<Token> {
        match (audience, self.transport.tokens()) {
            (None, Some(tokens)) => tokens.token(&*self.transport, &self.call()),
            (None, None) => Err(no_credentials()),
            (Some(audience), _) => self.token(audience),
        }
    }

    #[cfg(feature = "capi")]
    pub(crate) fn invalidate_token(&self, audience: Option<&str>, token: &Token) -> Result<()> {
        let own = self.transport.config().audience();
        self.token_source(audience.unwrap_or(own))?
            .invalidate(token);
        Ok(())
    }

    /// Sends a request to an endpoint that this version has no method for.
    ///
    /// `path` is a path with an optional query, such as `/clusters?new=1`. Returns the decoded JSON
    /// response, or `null` if it has no body. `GET` requests are retried after transient errors;
    /// other methods are treated as non-idempotent, see
    /// [`request_with_idempotency`](Self::request_with_idempotency).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if the path is invalid; [`ErrorKind::Decode`] if the response
    /// is not JSON; the error of the response's status.
    pub fn request(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Json> {
        let idempotency = if method == Method::Get {
            Idempotency::Safe
        } else {
            Idempotency::NonIdempotent
        };
        self.request_with_idempotency(idempotency, method, path, body)
    }

    /// Sends a request as [`request`](Self::request) does, with an explicit [`Idempotency`], which
    /// decides whether the request is retried.
    ///
    /// # Errors
    ///
    /// Those of [`request`](Self::request).
    pub fn request_with_idempotency(
        &self,
        idempotency: Idempotency,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Json> {
        let body = body.map(|json| Zeroizing::new(json.as_str().as_bytes().to_vec()));
        let response = self.request_json(idempotency, method, path, body)?;
        operation::decode(&response).map_err(Error::invalid_argument)
    }

    /// Sends a request with an encoded body and returns the encoded response: `null` if it has no
    /// body.
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
            hint: Some("check what the request changes before repeating it"),
            // Its response can be anything.
            secret_response: true,
            one_time_response: idempotency == Idempotency::NonIdempotent,
            documented_rejections: &[],
        };
        self.transport.send(&request, &self.call(), |response| {
            let json = operation::strip_bom(&response).trim_ascii();
            if json.is_empty() {
                return Ok(Zeroizing::new(b"null".to_vec()));
            }
            match operation::decode::<&RawValue>(json) {
                Ok(_) => Ok(response),
                Err(problem) => {
                    let message = format!("response is not JSON: {problem}");
                    Err(Error::new(
                        ErrorKind::Decode,
                        Stage::Decode,
                        Outcome::Completed,
                        message,
                    )
                    .with_body(response))
                }
            }
        })
    }

    /// Returns the counters of this client and its clones: requests, retries, token requests,
    /// bytes.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.transport.stats()
    }

    /// Returns the state of all cached tokens, rate limiters and token stores of this process,
    /// without secrets. A token in [`access_token`](AdminClientBuilder::access_token) is not cached.
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        auth::diagnostics()
    }

    /// Clears the stored authentication failure of this client's credentials, in memory and in the
    /// token store, so that the next call sends a token request.
    ///
    /// Call it after the credentials were fixed in the Console. Without it, calls fail with
    /// [`ErrorKind::Authentication`] and send nothing until [`Error::retry_after`] has elapsed.
    /// Does nothing if the client has an `access_token` or no credentials.
    pub fn clear_auth_failure(&self) {
        if let Some(tokens) = self.transport.tokens() {
            tokens.clear_auth_failure(&self.call());
        }
    }

    /// Discards this client's token, in memory and in the token store, so that the next call
    /// requests a new one. Does nothing if the client has an `access_token` or no credentials.
    pub fn invalidate_tokens(&self) {
        if let Some(tokens) = self.transport.tokens() {
            tokens.forget(&self.call());
        }
    }

    pub(crate) fn options(&self) -> &CallOptions {
        &self.options
    }

    /// Returns a client for the requests of one call that begins now; see [`CallOptions::begin`].
    pub(crate) fn begin(&self) -> AdminClient {
        AdminClient {
            transport: self.transport.clone(),
            options: self.options.begin(),
        }
    }

    pub(crate) fn call(&self) -> CallContext {
        CallContext::start(&self.options, self.transport.config().timeout())
    }

    /// Calls an operation without a request body and decodes its response.
    pub(crate) fn get<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        arguments: &[&str],
    ) -> Result<T> {
        self.execute(operation, arguments, None, |response| {
            operation.decode(response)
        })
    }

    /// Calls an operation with a request body and decodes its response.
    pub(crate) fn send<T: DeserializeOwned>(
        &self,
        operation: &Operation,
        arguments: &[&str],
        body: &impl Serialize,
    ) -> Result<T> {
        self.execute(
            operation,
            arguments,
            Some(operation::encode(body)?),
            |response| operation.decode(response),
        )
    }

    /// Calls an operation whose response has no body.
    pub(crate) fn send_without_response(
        &self,
        operation: &Operation,
        arguments: &[&str],
        body: Option<&impl Serialize>,
    ) -> Result<()> {
        let body = body.map(operation::encode).transpose()?;
        self.execute(operation, arguments, body, |_| Ok(()))
    }

    /// Calls an operation whose response is CSV, and writes it to `sink`.
    pub(crate) fn stream(&self, operation: &Operation, sink: &mut dyn Write) -> Result<()> {
        let request = self.request_for(operation, &[], None)?;
        self.transport.stream(&request, &self.call(), sink)
    }

    /// Calls an operation and returns its response as decoded by `decode`.
    pub(crate) fn execute<T>(
        &self,
        operation: &Operation,
        arguments: &[&str],
        body: Option<Zeroizing<Vec<u8>>>,
        decode: impl Fn(Zeroizing<Vec<u8>>) -> Result<T>,
    ) -> Result<T> {
        self.execute_in(&self.call(), operation, arguments, body, decode)
    }

    /// Calls an operation as one of several steps of `call`.
    pub(crate) fn execute_in<T>(
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
            hint: operation.recovery_hint,
            secret_response: operation.has_secret_response(),
            one_time_response: operation.one_time_response
                || (operation.idempotency == Idempotency::NonIdempotent
                    && operation.response.is_some()),
            documented_rejections: operation.documented_errors,
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

/// Validates the path of a raw request: it must not leave the API or inject a header.
pub(super) fn check_path(path: &str) -> Result<()> {
    let invalid =
        |problem| Err(Error::invalid_argument(format!("path {problem}")).with_operation(REQUEST));
    if !path.starts_with('/') || path.starts_with("//") {
        return invalid("does not begin with a single `/`");
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains(['#', '\\']) {
        return invalid("has characters that must be percent-encoded");
    }
    if has_dot_segment(path.split('?').next().unwrap_or_default()) {
        return invalid("has a `.` or `..` segment, which servers and proxies resolve");
    }
    Ok(())
}

fn no_credentials() -> Error {
    Error::config("no credentials: set `client_id` and `client_secret`, or `access_token`")
}

/// Returns the source of tokens for the settings, or `None` without credentials. Reads the file of
/// `client_secret_file`.
fn token_provider(config: &Config) -> Result<Option<TokenProvider>> {
    if let Some(token) = config.access_token() {
        return Ok(TokenProvider::supplied(token));
    }
    let cache = &transport::token_cache_config(config)?;
    if let Some(file) = config.client_secret_file() {
        return config
            .token_request(file.read()?)
            .map(|request| TokenProvider::secret_file(file.clone(), request, cache))
            .transpose();
    }
    config
        .client_secret()
        .and_then(|secret| config.token_request(secret.clone()))
        .map(|request| TokenProvider::credentials(request, cache))
        .transpose()
}

/// Builder of an [`AdminClient`].
///
/// The documentation of each method begins with the key of its setting, as used by
/// [`set`](Self::set), C, C++ and Python. [`build`](Self::build) returns the error of the first
/// invalid value.
///
/// ```
/// use std::time::Duration;
/// use camunda_admin::AdminClient;
///
/// let admin = AdminClient::builder()
///     .client_id("my-client")
///     .client_secret("my-secret")
///     .timeout(Duration::from_secs(90))
///     .token_cache("memory")
///     .build()?;
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct AdminClientBuilder {
    config: Config,
    /// Credential file from which the settings were read.
    credential_file: Option<PathBuf>,
    error: Option<Error>,
}

impl AdminClientBuilder {
    /// Creates a builder with the settings of environment variables, the same as those of Camunda's
    /// SDKs.
    ///
    /// | variable | setting |
    /// |---|---|
    /// | `CAMUNDA_CONSOLE_CLIENT_ID` | `client_id`, required without an access token |
    /// | `CAMUNDA_CONSOLE_CLIENT_SECRET` | `client_secret`; this or the next is required with the client id |
    /// | `CAMUNDA_CONSOLE_CLIENT_SECRET_FILE` | `client_secret_file` |
    /// | `CAMUNDA_CONSOLE_ACCESS_TOKEN` | `access_token`, used instead of the credentials |
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
    /// An empty variable counts as not set. A setter replaces the value of a variable, and makes a
    /// required variable unnecessary.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the name of the invalid variable. [`build`](Self::build) returns
    /// the error of a missing one.
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

    /// Creates a builder with the settings of a credential file of the Console: lines `export
    /// NAME='value'` or `NAME=value` with the variables of [`from_env`](Self::from_env).
    ///
    /// The environment is not read. If other users can read the file, [`build`](Self::build) logs
    /// one warning.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be read; [`ErrorKind::Config`], with the line or the
    /// variable, if its content is invalid. [`build`](Self::build) returns the error of a missing
    /// variable.
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

    /// Sets a setting by its key. All values are strings.
    ///
    /// Keys: `client_id`, `client_secret`, `client_secret_file`, `access_token`, `base_url`,
    /// `oauth_url`, `audience`, `scope`, `token_cache`, `timeout` (seconds, decimals allowed), `ca_file`, `client_cert`,
    /// `client_key`,
    /// `proxy`, `user_agent`, `token_request_format` (`json` or `form`), `max_response_bytes`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the key, if the key is unknown or the value is invalid. The
    /// setting is then unchanged.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        self.config.set(key, value)
    }

    /// Sets the credentials of a cluster client, its token endpoint and, if the caller set none,
    /// its audience.
    pub(crate) fn with_credentials(mut self, credentials: &ClusterCredentials) -> Result<Self> {
        let id = credentials.require(&["ZEEBE_CLIENT_ID"])?;
        let secret = credentials.require(&["ZEEBE_CLIENT_SECRET"])?;
        let url = credentials.require(&["CAMUNDA_OAUTH_URL", "ZEEBE_AUTHORIZATION_SERVER_URL"])?;
        let audience = credentials
            .get("ZEEBE_TOKEN_AUDIENCE")
            .unwrap_or("zeebe.camunda.io");
        self.config.set_credentials(id.expose(), secret.expose())?;
        self.set("oauth_url", url.expose())?;
        if !self.config.audience_is_chosen() {
            self.set("audience", audience)?;
        }
        Ok(self)
    }

    fn with_path(mut self, key: &str, path: &Path) -> Self {
        if let Err(error) = self.config.set_path(key, path) {
            self.error.get_or_insert(error);
        }
        self
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        if let Err(error) = self.config.set(key, value) {
            self.error.get_or_insert(error);
        }
        self
    }

    /// `client_id`: OAuth client id. Required, together with `client_secret` or
    /// `client_secret_file`, for requests with a token, unless `access_token` is set.
    pub fn client_id(self, id: &str) -> Self {
        self.with("client_id", id)
    }

    /// `client_secret`: OAuth client secret.
    pub fn client_secret(self, secret: impl Into<crate::Secret>) -> Self {
        let secret = secret.into();
        self.with("client_secret", secret.expose())
    }

    /// `client_secret_file`: file that contains the client secret, instead of `client_secret`.
    ///
    /// For secrets that a container platform mounts. [`build`](Self::build) reads the file, and the
    /// client reads it again when the token endpoint rejects the credentials: after a rotation, the
    /// call continues with the new secret. Line breaks at the end are not part of the secret. The file
    /// is a regular file of one line in UTF-8, at most 64 KiB. If other users can read it, the library
    /// logs one warning. A relative path is resolved by `build`.
    pub fn client_secret_file(self, path: impl AsRef<Path>) -> Self {
        self.with_path("client_secret_file", path.as_ref())
    }

    /// `access_token`: access token for the API, used unmodified instead of client credentials.
    ///
    /// The client sends no token request, and does not store the token. If credentials are set too, the
    /// token is used and they are ignored. When the API rejects the token, calls fail with
    /// [`ErrorKind::Authentication`]; create a client with a new token then. The providing side gets
    /// the token from [`AdminClient::token`].
    pub fn access_token(self, token: impl Into<crate::Secret>) -> Self {
        let token = token.into();
        self.with("access_token", token.expose())
    }

    /// `base_url`: URL of the API, default `https://api.cloud.camunda.io`. `http://` is allowed for
    /// loopback hosts only.
    pub fn base_url(self, url: &str) -> Self {
        self.with("base_url", url)
    }

    /// `oauth_url`: URL of the token endpoint, default
    /// `https://login.cloud.camunda.io/oauth/token`.
    pub fn oauth_url(self, url: &str) -> Self {
        self.with("oauth_url", url)
    }

    /// `audience`: audience of the tokens for the API, default `api.cloud.camunda.io`.
    pub fn audience(self, audience: &str) -> Self {
        self.with("audience", audience)
    }

    /// `scope`: scope of token requests, default none.
    pub fn scope(self, scope: &str) -> Self {
        self.with("scope", scope)
    }

    /// `token_cache`: where tokens are cached and with whom they are shared.
    ///
    /// - `auto` (default): all processes of this user on this machine, through encrypted files in
    ///   the user's cache directory.
    /// - `memory`: this process only.
    /// - a directory, with a separator in its path or beginning with `.` or `~` (the home
    ///   directory): all processes that use it. [`build`](Self::build) resolves a relative path.
    /// - a `redis://`, `rediss://`, `valkey://` or `valkeys://` URL: all processes that use this
    ///   server. Encrypted connections use `ca_file`, `client_cert` and `client_key`. Requires the
    ///   crate feature `redis`.
    ///
    /// Other values are invalid.
    pub fn token_cache(self, cache: &str) -> Self {
        self.with("token_cache", cache)
    }

    /// Sets a custom token store, which replaces `token_cache`.
    pub fn token_store(mut self, store: Arc<dyn TokenStore>) -> Self {
        self.config.set_token_store(store);
        self
    }

    /// `timeout`: timeout of a call, default 60 s. It covers locks, the rate limit, the token
    /// request, retries and reading the body. The token endpoint delays rejections of invalid
    /// credentials by about 30 s, so a call with a shorter timeout reports [`ErrorKind::Timeout`]
    /// instead of [`ErrorKind::Authentication`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        if timeout.is_zero() {
            self.error.get_or_insert(Error::config(
                "`timeout`: zero; expected a duration above zero",
            ));
        }
        self.config.set_timeout(timeout);
        self
    }

    /// `ca_file`: PEM file with trusted root certificates, which replace those of the platform and
    /// those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
    pub fn ca_file(self, path: impl AsRef<Path>) -> Self {
        self.with_path("ca_file", path.as_ref())
    }

    /// `client_cert`: PEM file with the client certificate chain for mTLS, used for the API and the
    /// token endpoint. It can also contain the private key.
    pub fn client_cert(self, path: impl AsRef<Path>) -> Self {
        self.with_path("client_cert", path.as_ref())
    }

    /// `client_key`: PEM file with the unencrypted private key of `client_cert`. If other users can
    /// read the file, the library logs one warning.
    pub fn client_key(self, path: impl AsRef<Path>) -> Self {
        self.with_path("client_key", path.as_ref())
    }

    /// `proxy`: URL of an HTTP proxy (CONNECT), such as `http://proxy:3128`. Default: the proxy of
    /// the environment (`HTTPS_PROXY`, …). SOCKS is not supported. Loopback hosts are connected to
    /// directly.
    pub fn proxy(self, url: &str) -> Self {
        self.with("proxy", url)
    }

    /// `user_agent`: value of the `User-Agent` header, in printable ASCII. Default:
    /// `camunda-admin/VERSION`.
    pub fn user_agent(self, text: &str) -> Self {
        self.with("user_agent", text)
    }

    /// `token_request_format`: encoding of token requests, `json` (default) or `form` for other
    /// OAuth servers.
    pub fn token_request_format(self, format: &str) -> Self {
        self.with("token_request_format", format)
    }

    /// `max_response_bytes`: maximum size of a response after decompression, default 64 MiB.
    pub fn max_response_bytes(self, bytes: u64) -> Self {
        self.with("max_response_bytes", &bytes.to_string())
    }

    /// Creates the client. Reads the files of `client_secret_file`, `ca_file`, `client_cert` and
    /// `client_key`, and sends no request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the key of the missing or invalid setting.
    pub fn build(self) -> Result<AdminClient> {
        match self.error {
            Some(ref error) => Err(error.clone()),
            None => self.build_client(),
        }
    }

    fn build_client(&self) -> Result<AdminClient> {
        let config = &self.config;
        config.check()?;
        // Not in `from_env_file`: C and Python set the log callback after it.
        if let Some(file) = &self.credential_file {
            warn_if_open_to_others(CREDENTIAL_FILE, file);
        }
        let config = config.clone().resolved()?;
        let tokens = token_provider(&config)?;
        let transport = Arc::new(Transport::new(config, tokens)?);
        Ok(AdminClient {
            transport,
            options: CallOptions::new(),
        })
    }

    /// Fails if the credentials are incomplete or ambiguous.
    #[cfg(any(feature = "capi", feature = "cli"))]
    pub(crate) fn with_complete_credentials(self) -> Result<Self> {
        self.config.check().map(|()| self)
    }

    #[cfg(feature = "cli")]
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Creates a client without consuming the builder.
    #[cfg(feature = "capi")]
    pub(crate) fn build_another(&self) -> Result<AdminClient> {
        self.build_client()
    }
}

/// Source of access tokens of one client for one audience, which uses the shared token cache.
///
/// Cloning is cheap; a source can be shared between threads. [`access_token`](Self::access_token)
/// can be called for each request: it performs no I/O while the cached token is valid.
///
/// ```no_run
/// use camunda_admin::{ClusterCredentials, TokenSource};
///
/// let credentials = ClusterCredentials::from_env_file("worker.env")?;
/// let tokens = TokenSource::new(&credentials)?;
/// let header = format!("Bearer {}", tokens.access_token()?.expose());
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Clone)]
pub struct TokenSource {
    transport: Arc<Transport>,
    tokens: TokenProvider,
    options: CallOptions,
}

impl TokenSource {
    /// Creates a source of tokens of a cluster client, with default settings. The audience is that
    /// of the credentials, default `zeebe.camunda.io`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the name of the variable that the credentials lack.
    pub fn new(credentials: &ClusterCredentials) -> Result<TokenSource> {
        TokenSource::with_settings(credentials, AdminClient::builder())
    }

    /// Creates a source as [`new`](Self::new) does, with settings such as `token_cache`, `ca_file`
    /// or `proxy`.
    ///
    /// An [`audience`](AdminClientBuilder::audience) in `settings` replaces that of the
    /// credentials, for example to get tokens for Operate. `client_id`, `client_secret` and
    /// `oauth_url` are those of the credentials; `client_secret_file` and `access_token` in
    /// `settings` are ignored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the key of the invalid setting or the name of the variable that
    /// the credentials lack.
    pub fn with_settings(
        credentials: &ClusterCredentials,
        settings: AdminClientBuilder,
    ) -> Result<TokenSource> {
        if let Some(error) = settings.error {
            return Err(error);
        }
        let config = settings.with_credentials(credentials)?.config.resolved()?;
        let tokens = token_provider(&config)?.ok_or_else(no_credentials)?;
        let transport = Arc::new(Transport::new(config, None)?);
        Ok(TokenSource {
            transport,
            tokens,
            options: CallOptions::new(),
        })
    }

    /// Returns the same source with options for the calls made through it: a timeout, and a
    /// [`Cancel`](crate::Cancel) for [`access_token`](Self::access_token). `options` are merged
    /// into those that are already set.
    #[must_use]
    pub fn with(&self, options: CallOptions) -> TokenSource {
        TokenSource {
            transport: self.transport.clone(),
            tokens: self.tokens.clone(),
            options: self.options.merged(options),
        }
    }

    /// Returns the counters of this source and its clones: token requests, retries, bytes. A source
    /// created by [`AdminClient::token_source`] shares the counters of the client.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.transport.stats()
    }

    /// Returns a valid token: from memory, from the token store, or from the token endpoint, in
    /// this order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Authentication`], [`ErrorKind::RateLimited`], [`ErrorKind::Network`] or
    /// [`ErrorKind::Timeout`] if the token request fails; [`ErrorKind::Cancelled`].
    pub fn access_token(&self) -> Result<Token> {
        self.tokens.token(&*self.transport, &self.call())
    }

    /// Discards a token that a server rejected, in memory and in the token store, unless a newer
    /// one is cached. The next [`access_token`](Self::access_token) requests a new one.
    pub fn invalidate(&self, token: &Token) {
        self.tokens.invalidate(token, &self.call());
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
    fn check_path_rejects_paths_that_leave_the_api() {
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
    fn build_names_missing_half_of_credentials() {
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
    fn clients_and_token_sources_are_send_and_sync() {
        fn shared<T: Clone + Send + Sync>() {}
        shared::<AdminClient>();
        shared::<TokenSource>();
    }
}
