//! Client configuration: names of the settings and their values.
//!
//! C, C++ and Python set values by name through [`Config::set`]; the Rust builder calls it for
//! every string setting. Must not depend on `transport` or `api`.

mod variables;

use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "doctor")]
pub(crate) use variables::VARIABLES;
use variables::{CLIENT_ID_VARIABLE, SECRET_FILE_VARIABLE, SECRET_VARIABLE};

use crate::call::DEFAULT_TIMEOUT;
use crate::client_secret_file::ClientSecretFile;
use crate::config_values::{
    absolute, access_token, has_supported_tilde, plain, seconds, url, user_agent, valid_path,
};
use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::token_config::{
    Fallback, TokenCache, TokenCacheConfig, TokenRequest, TokenRequestFormat, redis_url,
};
use crate::token_store::TokenStore;

const DEFAULT_BASE_URL: &str = "https://api.cloud.camunda.io";
const DEFAULT_OAUTH_URL: &str = "https://login.cloud.camunda.io/oauth/token";
const DEFAULT_AUDIENCE: &str = "api.cloud.camunda.io";
const DEFAULT_USER_AGENT: &str = concat!("camunda-admin/", env!("CARGO_PKG_VERSION"));
const DEFAULT_MAX_RESPONSE_BYTES: u64 = 64 * 1024 * 1024;

/// Keys of [`Config::set`], in the order of the documentation.
pub(crate) const KEYS: &[&str] = &[
    "client_id",
    "client_secret",
    "client_secret_file",
    "access_token",
    "base_url",
    "oauth_url",
    "audience",
    "scope",
    "token_cache",
    "timeout",
    "ca_file",
    "client_cert",
    "client_key",
    "proxy",
    "user_agent",
    "token_request_format",
    "max_response_bytes",
];

/// Settings of a client. Each value was validated when it was set.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    client_secret_file: Option<ClientSecretFile>,
    access_token: Option<Secret>,
    /// Whether variables were read, which must then contain the credentials that are not set.
    requires_credentials: bool,
    /// Whether `access_token` is that of a variable, which credentials of the caller replace.
    token_is_variable: bool,
    /// Whether the client secret or its file is that of a variable, which the other one replaces.
    secret_is_variable: bool,
    base_url: String,
    oauth_url: String,
    audience: String,
    /// Whether the caller set the audience, as opposed to the default or an environment variable.
    audience_is_chosen: bool,
    scope: Option<String>,
    token_cache: TokenCacheConfig,
    token_request_format: TokenRequestFormat,
    timeout: Duration,
    ca_file: Option<PathBuf>,
    client_cert: Option<PathBuf>,
    client_key: Option<PathBuf>,
    /// May contain a password.
    proxy: Option<Secret>,
    user_agent: String,
    max_response_bytes: u64,
    /// The variables from which settings were read that the caller did not replace: key, variable.
    variables: Vec<(&'static str, &'static str)>,
    /// The variables with an invalid value that the caller did not replace, in the order in which they were
    /// read.
    invalid_variables: Vec<InvalidVariable>,
}

/// A variable whose value is not valid for its setting.
#[derive(Debug, Clone)]
pub(crate) struct InvalidVariable {
    pub(crate) key: &'static str,
    #[cfg_attr(not(feature = "doctor"), allow(dead_code))]
    pub(crate) name: &'static str,
    /// `None` if it is not UTF-8.
    #[cfg_attr(not(feature = "doctor"), allow(dead_code))]
    pub(crate) value: Option<Secret>,
    pub(crate) error: Error,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            client_id: None,
            client_secret: None,
            client_secret_file: None,
            access_token: None,
            requires_credentials: false,
            token_is_variable: false,
            secret_is_variable: false,
            base_url: DEFAULT_BASE_URL.to_owned(),
            oauth_url: DEFAULT_OAUTH_URL.to_owned(),
            audience: DEFAULT_AUDIENCE.to_owned(),
            audience_is_chosen: false,
            scope: None,
            token_cache: TokenCacheConfig::Auto,
            token_request_format: TokenRequestFormat::Json,
            timeout: DEFAULT_TIMEOUT,
            ca_file: None,
            client_cert: None,
            client_key: None,
            proxy: None,
            user_agent: DEFAULT_USER_AGENT.to_owned(),
            max_response_bytes: DEFAULT_MAX_RESPONSE_BYTES,
            variables: Vec::new(),
            invalid_variables: Vec::new(),
        }
    }
}

impl Config {
    /// Forgets that variables set the setting `key`, and their errors.
    fn forget_variable(&mut self, key: &str) {
        self.variables.retain(|(known, _)| *known != key);
        self.invalid_variables.retain(|it| it.key != key);
    }

    /// Sets the setting `key`, one of [`KEYS`]. Credentials replace those of variables.
    pub(crate) fn set(&mut self, key: &str, value: &str) -> Result<()> {
        self.set_value(key, value)?;
        self.remove_replaced_variables(key);
        Ok(())
    }

    /// Removes the credentials of variables that are not used with the setting `key` of the caller.
    fn remove_replaced_variables(&mut self, key: &str) {
        self.forget_variable(key);
        match key {
            "client_secret" | "client_secret_file" => {
                self.forget_invalid(&["client_secret", "client_secret_file"]);
                if mem::take(&mut self.secret_is_variable) {
                    match key {
                        "client_secret" => self.client_secret_file = None,
                        _ => self.client_secret = None,
                    }
                }
            }
            "client_id" => {}
            "access_token" => {
                self.token_is_variable = false;
                self.forget_invalid(&["client_id", "client_secret", "client_secret_file"]);
                return;
            }
            _ => return,
        }
        self.forget_invalid(&["access_token"]);
        if mem::take(&mut self.token_is_variable) {
            self.access_token = None;
        }
    }

    fn forget_invalid(&mut self, keys: &[&str]) {
        self.invalid_variables.retain(|it| !keys.contains(&it.key));
    }

    fn set_value(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "client_id" => self.client_id = Some(plain(key, value)?),
            "client_secret" => {
                if value.is_empty() {
                    return Err(Error::config("`client_secret`: empty"));
                }
                self.client_secret = Some(Secret::new(value));
            }
            "client_secret_file" | "ca_file" | "client_cert" | "client_key" => {
                self.set_path_value(key, Path::new(value))?;
            }
            "access_token" => self.access_token = Some(access_token(value)?),
            "base_url" => self.base_url = url(key, value)?.trim_end_matches('/').to_owned(),
            "oauth_url" => self.oauth_url = url(key, value)?,
            "audience" => {
                self.audience = plain(key, value)?;
                self.audience_is_chosen = true;
            }
            "scope" => self.scope = Some(plain(key, value)?),
            "token_cache" => self.set_token_cache(value.parse()?)?,
            "timeout" => self.timeout = seconds(key, value)?,
            "proxy" => self.proxy = Some(Secret::new(plain(key, value)?)),
            "user_agent" => self.user_agent = user_agent(value)?,
            "token_request_format" => self.token_request_format = value.parse()?,
            "max_response_bytes" => {
                self.max_response_bytes = value
                    .parse()
                    .ok()
                    .filter(|bytes| *bytes > 0)
                    .ok_or_else(|| {
                        Error::config(
                            "`max_response_bytes`: invalid value; expected an integer above zero",
                        )
                    })?;
            }
            _ => {
                let key: String = key.chars().take(60).collect();
                return Err(Error::config(format!(
                    "unknown setting `{}`; expected one of: {}",
                    key.escape_debug(),
                    KEYS.join(", "),
                )));
            }
        }
        Ok(())
    }

    /// Sets a setting that is a path, which need not be UTF-8.
    pub(crate) fn set_path(&mut self, key: &str, value: &Path) -> Result<()> {
        self.set_path_value(key, value)?;
        self.remove_replaced_variables(key);
        Ok(())
    }

    fn set_path_value(&mut self, key: &str, value: &Path) -> Result<()> {
        let setting = match key {
            "client_secret_file" => {
                let path = valid_path(key, value)?;
                self.client_secret_file = Some(ClientSecretFile::new("`client_secret_file`", path));
                return Ok(());
            }
            "ca_file" => &mut self.ca_file,
            "client_cert" => &mut self.client_cert,
            "client_key" => &mut self.client_key,
            _ => unreachable!("`{key}` is not a path"),
        };
        *setting = Some(valid_path(key, value)?);
        Ok(())
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    pub(crate) fn set_token_request_format(&mut self, format: TokenRequestFormat) {
        self.token_request_format = format;
    }

    /// Sets `token_cache`, and validates the directory or the URL.
    pub(crate) fn set_token_cache(&mut self, cache: TokenCache) -> Result<()> {
        self.token_cache = match cache {
            TokenCache::Auto => TokenCacheConfig::Auto,
            TokenCache::Memory => TokenCacheConfig::Memory,
            TokenCache::Directory(path) => {
                let path = valid_path("token_cache", &path)?;
                if !has_supported_tilde(&path) {
                    return Err(TokenCache::invalid(
                        "the home directory of another user (`~name`) is not supported",
                    ));
                }
                TokenCacheConfig::Directory(path)
            }
            TokenCache::Redis(url) => {
                let url = redis_url(url.expose())
                    .ok_or_else(|| TokenCache::invalid("unsupported URL scheme"))?;
                TokenCacheConfig::Redis {
                    url: Secret::new(plain("token_cache", url.expose())?),
                    fallback: Fallback::Auto,
                    tls: None,
                }
            }
        };
        self.forget_variable("token_cache");
        Ok(())
    }

    pub(crate) fn set_token_store(&mut self, store: Arc<dyn TokenStore>) {
        self.token_cache = TokenCacheConfig::Custom(store);
        self.forget_variable("token_cache");
    }

    /// Returns the variable from which a setting was read, or `None` if the caller set it.
    #[cfg(feature = "doctor")]
    pub(crate) fn variable_of(&self, key: &str) -> Option<&'static str> {
        let mut known = self.variables.iter();
        known.find(|(of, _)| *of == key).map(|(_, name)| *name)
    }

    /// Returns the value of a setting, one of [`KEYS`], as a string; `None` if it is not set.
    #[cfg(feature = "doctor")]
    pub(crate) fn value_of(&self, key: &str) -> Option<Secret> {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|it| it.display().to_string());
        let value = match key {
            "client_id" => self.client_id.clone(),
            "client_secret" => return self.client_secret.clone(),
            "client_secret_file" => {
                let file = self.client_secret_file.as_ref();
                file.map(|it| it.path().display().to_string())
            }
            "access_token" => return self.access_token.clone(),
            "base_url" => Some(self.base_url.clone()),
            "oauth_url" => Some(self.oauth_url.clone()),
            "audience" => Some(self.audience.clone()),
            "scope" => self.scope.clone(),
            "token_cache" => Some(match &self.token_cache {
                TokenCacheConfig::Auto => "auto".to_owned(),
                TokenCacheConfig::Memory => "memory".to_owned(),
                TokenCacheConfig::Directory(path) => path.display().to_string(),
                TokenCacheConfig::Redis { url, .. } => return Some(url.clone()),
                TokenCacheConfig::Custom(store) => store.describe(),
            }),
            "timeout" => Some(self.timeout.as_secs_f64().to_string()),
            "ca_file" => path(&self.ca_file),
            "client_cert" => path(&self.client_cert),
            "client_key" => path(&self.client_key),
            "proxy" => return self.proxy.clone(),
            "user_agent" => Some(self.user_agent.clone()),
            "token_request_format" => Some(self.token_request_format.to_string()),
            "max_response_bytes" => Some(self.max_response_bytes.to_string()),
            _ => None,
        };
        value.map(Secret::new)
    }

    /// Returns the parameters of token requests with this secret, or `None` without a client id.
    pub(crate) fn token_request(&self, secret: Secret) -> Option<TokenRequest> {
        Some(TokenRequest {
            token_url: self.oauth_url.clone(),
            client_id: self.client_id.clone()?,
            client_secret: secret,
            audience: self.audience.clone(),
            scope: self.scope.clone(),
            format: self.token_request_format,
        })
    }

    /// Returns the settings with absolute paths of the `token_cache` directory and of
    /// `client_secret_file`, which are used later too, so that a change of the current directory has
    /// no effect.
    ///
    /// # Errors
    ///
    /// `Config`, if the current directory or the home directory cannot be determined.
    pub(crate) fn resolved(mut self) -> Result<Self> {
        match &mut self.token_cache {
            TokenCacheConfig::Directory(directory)
            | TokenCacheConfig::Redis {
                fallback: Fallback::Directory(directory),
                ..
            } => *directory = absolute(directory)?,
            _ => {}
        }
        if let Some(file) = &mut self.client_secret_file {
            file.make_absolute()?;
        }
        Ok(self)
    }

    /// Fails if a variable has an invalid value that the caller did not replace.
    pub(crate) fn check_variables(&self) -> Result<()> {
        match self.invalid_variables.first() {
            Some(invalid) => Err(invalid.error.clone()),
            None => Ok(()),
        }
    }

    /// Returns the variables with an invalid value that the caller did not replace.
    #[cfg(feature = "doctor")]
    pub(crate) fn invalid_variables(&self) -> &[InvalidVariable] {
        &self.invalid_variables
    }

    /// Fails as [`check_variables`](Self::check_variables) does, if the credentials are incomplete or
    /// ambiguous, or if variables were read that have none.
    pub(crate) fn check(&self) -> Result<()> {
        self.check_variables()?;
        let missing = |variables: &str, settings: &str| {
            Error::config(format!(
                "the variable {variables} is not set; set it, or the setting {settings}"
            ))
        };
        let has_secret = self.client_secret.is_some() || self.client_secret_file.is_some();
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            return Err(Error::config(
                "`client_secret` and `client_secret_file` are both set; set one of them",
            ));
        }
        match (&self.client_id, has_secret) {
            // The access token is used instead of the credentials.
            _ if self.access_token.is_some() => Ok(()),
            (None, _) if self.requires_credentials => {
                Err(missing(CLIENT_ID_VARIABLE, "`client_id`"))
            }
            (Some(_), false) if self.requires_credentials => Err(missing(
                &format!("{SECRET_VARIABLE} or {SECRET_FILE_VARIABLE}"),
                "`client_secret` or `client_secret_file`",
            )),
            (Some(_), false) => Err(Error::config(
                "`client_secret`: not set; `client_id` requires it or `client_secret_file`",
            )),
            (None, true) => Err(Error::config(
                "`client_id`: not set; required together with the client secret",
            )),
            _ => Ok(()),
        }
    }

    /// Replaces all credentials by those of a client.
    pub(crate) fn set_credentials(&mut self, id: &str, secret: &str) -> Result<()> {
        self.set("client_id", id)?;
        self.set("client_secret", secret)?;
        self.client_secret_file = None;
        self.access_token = None;
        Ok(())
    }

    pub(crate) fn client_secret(&self) -> Option<&Secret> {
        self.client_secret.as_ref()
    }

    pub(crate) fn client_secret_file(&self) -> Option<&ClientSecretFile> {
        self.client_secret_file.as_ref()
    }

    pub(crate) fn access_token(&self) -> Option<&Secret> {
        self.access_token.as_ref()
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    #[cfg(feature = "doctor")]
    pub(crate) fn oauth_url(&self) -> &str {
        &self.oauth_url
    }

    pub(crate) fn audience(&self) -> &str {
        &self.audience
    }

    pub(crate) fn audience_is_chosen(&self) -> bool {
        self.audience_is_chosen
    }

    pub(crate) fn token_cache(&self) -> &TokenCacheConfig {
        &self.token_cache
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    pub(crate) fn client_cert(&self) -> Option<&Path> {
        self.client_cert.as_deref()
    }

    pub(crate) fn client_key(&self) -> Option<&Path> {
        self.client_key.as_deref()
    }

    pub(crate) fn proxy(&self) -> Option<&str> {
        self.proxy.as_ref().map(Secret::expose)
    }

    pub(crate) fn user_agent(&self) -> &str {
        &self.user_agent
    }

    pub(crate) fn max_response_bytes(&self) -> u64 {
        self.max_response_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config_values::HOME;

    fn set(key: &str, value: &str) -> Result<Config> {
        let mut config = Config::default();
        config.set(key, value)?;
        Ok(config)
    }

    #[test]
    fn base_url_accepts_http_only_for_loopback_hosts() {
        for good in [
            "http://localhost:8080",
            "http://127.0.0.1",
            "http://127.9.9.9:1/x",
            "http://[::1]:80",
        ] {
            assert!(set("base_url", good).is_ok(), "{good}");
        }
        for bad in [
            "http://api.cloud.camunda.io",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "http://[::ffff:127.0.0.1]",
            "ftp://localhost",
            "localhost",
            "https://",
            "https://a@b",
            "https://a/?x",
            "https://a/#x",
            "https://a b",
            "https://a\r\nHost: b",
            "",
        ] {
            let error = set("base_url", bad).unwrap_err();
            assert!(error.to_string().contains("base_url"), "{bad:?}: {error}");
        }
    }

    #[test]
    fn set_names_setting_when_value_is_invalid() {
        for (key, value) in [
            ("timeout", "soon"),
            ("timeout", "0"),
            ("timeout", "-1"),
            ("timeout", "NaN"),
            ("timeout", "1e300"),
            ("timeout", "1e-18"),
            ("client_id", ""),
            ("client_id", "a\nb"),
            ("client_secret", ""),
            ("user_agent", "a\r\nX: y"),
            ("user_agent", "ü"),
            ("token_cache", ""),
            ("token_request_format", "xml"),
            ("max_response_bytes", "0"),
            ("colour", "red"),
        ] {
            let error = set(key, value).unwrap_err();
            assert!(error.to_string().contains(key), "{key}={value}: {error}");
        }
        assert_eq!(
            set("timeout", "2.5").unwrap().timeout(),
            Duration::from_millis(2_500)
        );
    }

    #[test]
    fn set_accepts_every_key_of_the_list() {
        for key in KEYS {
            if let Err(error) = set(key, "") {
                assert!(!error.to_string().contains("unknown setting"), "{error}");
            }
        }
    }

    #[test]
    fn token_cache_rejects_values_that_are_neither_keyword_directory_nor_known_url() {
        #[rustfmt::skip]
        let table = [
            ("memroy",                       Some("memory")),
            ("MEMORY",                       Some("memory")),
            ("none",                         Some("memory")),
            ("off",                          Some("memory")),
            ("AUTO",                         Some("auto")),
            ("Auto",                         Some("auto")),
            ("autom",                        Some("auto")),
            ("tokens",                       None),
            ("file",                         None),
            ("https://:hunter2@host/0",      None),
            ("reddis://:hunter2@host/0",     None),
            ("REDISSS://:hunter2@host/0",    None),
            (" redis://:hunter2@host/0",     None),
            ("redis:hunter2@host",           None),
            ("redis:/:hunter2@host/0",       None),
            ("./redis://:hunter2@host/0",    None),
            ("unix:///run/hunter2.sock",     None),
            ("redis+unix:///run/hunter2",    None),
            ("~user/tokens",             None),
            (" ",                            None),
        ];
        for (value, suggestion) in table {
            let error = set("token_cache", value).expect_err(value);
            let message = error.to_string();
            assert!(message.contains("`token_cache`"), "{value}: {message}");
            assert!(!message.contains("hunter2"), "{value}: {message}");
            assert!(!format!("{error:?}").contains("hunter2"), "{value}");
            let expected = suggestion.map(|it| format!("did you mean `{it}`"));
            match expected {
                Some(expected) => assert!(message.contains(&expected), "{value}: {message}"),
                None => assert!(!message.contains("did you mean"), "{value}: {message}"),
            }
        }
    }

    #[cfg(feature = "redis")]
    #[test]
    fn token_cache_accepts_redis_and_valkey_urls_whatever_the_case_of_the_scheme() {
        for (value, expected) in [
            ("redis://host", "redis://host"),
            ("REDIS://:Secret@Host/0", "redis://:Secret@Host/0"),
            ("Rediss://host", "rediss://host"),
            ("valkey://:pw@host:6380/1", "valkey://:pw@host:6380/1"),
            ("VALKEYS://host", "valkeys://host"),
        ] {
            match set("token_cache", value).expect(value).token_cache() {
                TokenCacheConfig::Redis { url, .. } => assert_eq!(url.expose(), expected),
                other => panic!("{value}: {other:?}"),
            }
        }
    }

    #[test]
    fn token_cache_directory_is_resolved_when_the_settings_are_completed() {
        let current = std::env::current_dir().unwrap();
        let home = PathBuf::from(std::env::var_os(HOME).expect("it is set"));
        // On Windows, a path without a drive is not absolute.
        let absolute = if cfg!(windows) {
            "C:/cache/tokens"
        } else {
            "/var/cache/tokens"
        };
        for (value, expected) in [
            (absolute, PathBuf::from(absolute)),
            ("./tokens", current.join("tokens")),
            (".tokens", current.join(".tokens")),
            (".", current.clone()),
            ("var/tokens", current.join("var/tokens")),
            ("tokens/", current.join("tokens/")),
            ("~", home.clone()),
            ("~/tokens", home.join("tokens")),
        ] {
            let config = set("token_cache", value).expect(value).resolved().unwrap();
            match config.token_cache() {
                TokenCacheConfig::Directory(path) => assert_eq!(*path, expected, "{value}"),
                other => panic!("{value}: {other:?}"),
            }
        }
    }

    #[test]
    fn urls_with_invalid_hosts_and_ports_are_rejected() {
        for (url, problem) in [
            ("https://api.example:99999", "invalid port"),
            ("https://api.example:0", "invalid port"),
            ("https://api.example:https", "invalid port"),
            ("https://[::1]:65536/path", "invalid port"),
            ("https://:443", "URL without scheme or host"),
            ("https://api.example/\u{e4}", "not a valid URL"),
            ("https://\u{e4}.example", "not a valid URL"),
        ] {
            for key in ["base_url", "oauth_url"] {
                let error = set(key, url).expect_err(url);
                let expected = format!("`{key}`: {problem}; expected");
                assert!(error.message().starts_with(&expected), "{url}: {error}");
            }
        }
        for url in [
            "https://api.example:65535",
            "https://[::1]:1",
            "https://[::1]",
        ] {
            set("base_url", url).unwrap();
        }
    }

    #[test]
    fn debug_does_not_contain_secrets() {
        let mut config = set("client_secret", "hunter2").unwrap();
        config.set("access_token", "hunter2").unwrap();
        config
            .set("proxy", "http://user:hunter2@proxy:3128")
            .unwrap();
        config
            .set("token_cache", "redis://:hunter2@localhost")
            .unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
