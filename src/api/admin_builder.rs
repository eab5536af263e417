//! [`AdminClientBuilder`]: the settings of a client.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::api::admin::AdminClient;
use crate::auth::{TokenProvider, TokenStore};
use crate::config::Config;
use crate::credentials::{
    CREDENTIAL_FILE, ClusterCredentials, DEFAULT_CLUSTER_AUDIENCE, read_env_file,
};
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::private_file::warn_if_open_to_others;
use crate::token_config::{TokenCache, TokenRequestFormat};
use crate::transport::{self, Transport};

impl AdminClient {
    /// Creates a client with the settings of the environment variables; see
    /// [`AdminClientBuilder::from_env`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the name of the missing or invalid variable.
    pub fn from_env() -> Result<AdminClient> {
        AdminClientBuilder::from_env().build()
    }

    /// Creates a client with the settings of a credential file of the Console; see
    /// [`AdminClientBuilder::from_env_file`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be read; [`ErrorKind::Config`], with the line or the
    /// variable, if its content is invalid.
    pub fn from_env_file(path: impl AsRef<Path>) -> Result<AdminClient> {
        AdminClientBuilder::from_env_file(path)?.build()
    }

    /// Returns a builder with the default settings.
    pub fn builder() -> AdminClientBuilder {
        AdminClientBuilder::default()
    }
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
#[derive(Debug, Clone, Default)]
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
    /// | `CAMUNDA_TOKEN_DISK_CACHE_DISABLE` | `true`: no files; `token_cache` is `memory`, or Redis alone |
    /// | `CAMUNDA_TOKEN_CACHE_REDIS_URL` | `token_cache`, a Redis or Valkey URL |
    /// | `CAMUNDA_CUSTOM_ROOT_CERT_PATH` | `ca_file` |
    /// | `CAMUNDA_CUSTOM_CERT_CHAIN_PATH` | `client_cert` |
    /// | `CAMUNDA_CUSTOM_PRIVATE_KEY_PATH` | `client_key` |
    /// | `CAMUNDA_CUSTOM_USER_AGENT_STRING` | `user_agent` |
    ///
    /// An empty variable counts as not set. A setter replaces the value of a variable, which then need
    /// be neither set nor valid. Otherwise [`build`](Self::build) returns the error of a missing or
    /// invalid variable, with its name.
    pub fn from_env() -> Self {
        let config = Config::from_variables(|name| match std::env::var(name) {
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Error::config(format!("the variable {name} is not UTF-8")))
            }
        });
        AdminClientBuilder {
            config,
            credential_file: None,
            error: None,
        }
    }

    /// Creates a builder with the settings of a credential file of the Console: lines `export
    /// NAME='value'` or `NAME=value` with the variables of [`from_env`](Self::from_env).
    ///
    /// The environment is not read. If other users can read the file, [`build`](Self::build) logs
    /// one warning.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be read; [`ErrorKind::Config`], with the line, if its
    /// syntax is invalid. [`build`](Self::build) returns the error of a missing or invalid variable.
    pub fn from_env_file(path: impl AsRef<Path>) -> Result<Self> {
        let variables = read_env_file(path.as_ref())?;
        let config = Config::from_variables(|name| {
            Ok(variables.get(name).map(|value| value.expose().to_owned()))
        });
        Ok(AdminClientBuilder {
            config,
            credential_file: Some(path.as_ref().to_owned()),
            error: None,
        })
    }

    /// Sets a setting by its key. All values are strings.
    ///
    /// Keys: `client_id`, `client_secret`, `client_secret_file`, `access_token`, `base_url`,
    /// `oauth_url`, `audience`, `scope`, `token_cache`, `timeout` (seconds, decimals allowed),
    /// `ca_file`, `client_cert`, `client_key`, `proxy`, `user_agent`, `token_request_format` (`json` or
    /// `form`), `max_response_bytes`.
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
            .unwrap_or(DEFAULT_CLUSTER_AUDIENCE);
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
    /// call continues with the new secret. Line breaks at the end and a byte-order mark are not part of the secret. The file
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

    /// `token_cache`: where tokens are cached and with whom they are shared, default
    /// [`TokenCache::Auto`].
    ///
    /// A string is parsed: `auto`, `memory`, a directory (with a separator in its path, or beginning
    /// with `.` or `~`), or a `redis://`, `rediss://`, `valkey://` or `valkeys://` URL. Encrypted
    /// connections to Redis use `ca_file`, `client_cert` and `client_key`.
    ///
    /// ```
    /// use camunda_admin::{AdminClient, TokenCache};
    ///
    /// let builder = AdminClient::builder().token_cache(TokenCache::Memory);
    /// let builder = AdminClient::builder().token_cache("~/.cache/camunda-ci");
    /// ```
    pub fn token_cache(mut self, cache: impl TryInto<TokenCache, Error: Display>) -> Self {
        let result = cache.try_into().map_err(invalid_value);
        if let Err(error) = result.and_then(|cache| self.config.set_token_cache(cache)) {
            self.error.get_or_insert(error);
        }
        self
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

    /// `token_request_format`: body format of token requests, default
    /// [`TokenRequestFormat::Json`]; other OAuth servers require [`TokenRequestFormat::Form`]. The
    /// strings `json` and `form` are accepted too.
    pub fn token_request_format(
        mut self,
        format: impl TryInto<TokenRequestFormat, Error: Display>,
    ) -> Self {
        match format.try_into().map_err(invalid_value) {
            Ok(format) => self.config.set_token_request_format(format),
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self
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
    /// [`ErrorKind::Config`], with the key of the missing or invalid setting, or its variable.
    pub fn build(self) -> Result<AdminClient> {
        self.build_another()
    }

    /// Creates a client without consuming the builder.
    pub(crate) fn build_another(&self) -> Result<AdminClient> {
        self.check()?;
        let config = &self.config;
        // Not in `from_env_file`: C and Python set the log callback after it.
        if let Some(file) = &self.credential_file {
            warn_if_open_to_others(CREDENTIAL_FILE, file);
        }
        let config = config.clone().resolved()?;
        let tokens = token_provider(&config)?;
        Ok(AdminClient::new(Arc::new(Transport::new(config, tokens)?)))
    }

    /// Returns the settings, or the error of the first invalid value.
    pub(super) fn into_config(self) -> Result<Config> {
        match self.error {
            Some(error) => Err(error),
            None => self.config.check_variables().map(|()| self.config),
        }
    }

    /// Fails if a setter rejected its value, if a variable that no setter replaced is invalid, or if the
    /// credentials are incomplete or ambiguous.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None => self.config.check(),
        }
    }

    /// Fails as [`check`](Self::check) does.
    #[cfg(feature = "capi")]
    pub(crate) fn with_complete_credentials(self) -> Result<Self> {
        self.check().map(|()| self)
    }

    #[cfg(feature = "doctor")]
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}

/// Returns the source of tokens for the settings, or `None` without credentials. Reads the file of
/// `client_secret_file`.
pub(super) fn token_provider(config: &Config) -> Result<Option<TokenProvider>> {
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

/// Returns the error of a value that is not one of a setting's type.
fn invalid_value(error: impl Display) -> Error {
    Error::config(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(feature = "redis")]
    use crate::error::ErrorKind;

    #[test]
    fn build_names_missing_half_of_credentials() {
        let error = AdminClient::builder().client_id("a").build().unwrap_err();
        assert!(error.to_string().contains("client_secret"), "{error}");
    }

    #[test]
    fn typed_settings_accept_values_and_strings() {
        for builder in [
            AdminClient::builder().token_cache(TokenCache::Memory),
            AdminClient::builder().token_cache("memory"),
            AdminClient::builder().token_cache("memory".to_owned()),
            // A value needs no separator to be a directory.
            AdminClient::builder().token_cache(TokenCache::Directory("memory".into())),
            AdminClient::builder().token_request_format(TokenRequestFormat::Form),
            AdminClient::builder().token_request_format("form"),
            AdminClient::builder().token_request_format("form".to_owned()),
        ] {
            assert!(builder.clone().error.is_none(), "{builder:?}");
        }
    }

    #[test]
    fn typed_settings_report_invalid_values_as_set_does() {
        for (key, value) in [
            ("token_cache", "memroy"),
            ("token_cache", ""),
            ("token_cache", "https://host"),
            ("token_cache", "~other/x"),
            ("token_request_format", "xml"),
        ] {
            let builder = AdminClient::builder();
            let error = match key {
                "token_cache" => builder.token_cache(value),
                _ => builder.token_request_format(value),
            }
            .build()
            .unwrap_err();
            let expected = AdminClient::builder().set(key, value).unwrap_err();
            assert!(
                error.to_string().starts_with(&format!("`{key}`: ")),
                "{error}"
            );
            assert_eq!(error.to_string(), expected.to_string());
        }
        for cache in [
            TokenCache::Directory("".into()),
            TokenCache::Directory("~other/x".into()),
            TokenCache::Redis("http://host".into()),
        ] {
            let error = AdminClient::builder()
                .token_cache(cache)
                .build()
                .unwrap_err();
            assert!(error.to_string().starts_with("`token_cache`: "), "{error}");
        }
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
}
