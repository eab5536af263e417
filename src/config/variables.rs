//! Settings from environment variables.

use std::mem;
use std::path::Path;

use super::Config;
use crate::client_secret_file::ClientSecretFile;
use crate::config_values::{plain, valid_path};
use crate::error::{Error, Result};
use crate::secret::{Secret, Zeroizing};
use crate::token_config::{Fallback, TokenCacheConfig, redis_url, resembles_url};

/// Variables of the credentials.
pub(super) const CLIENT_ID_VARIABLE: &str = "CAMUNDA_CONSOLE_CLIENT_ID";
const ACCESS_TOKEN_VARIABLE: &str = "CAMUNDA_CONSOLE_ACCESS_TOKEN";
pub(super) const SECRET_VARIABLE: &str = "CAMUNDA_CONSOLE_CLIENT_SECRET";
pub(super) const SECRET_FILE_VARIABLE: &str = "CAMUNDA_CONSOLE_CLIENT_SECRET_FILE";
/// Variables of the token store that are read after the others, since they depend on its directory.
const DISABLE_FILES_VARIABLE: &str = "CAMUNDA_TOKEN_DISK_CACHE_DISABLE";
const REDIS_VARIABLE: &str = "CAMUNDA_TOKEN_CACHE_REDIS_URL";

/// Environment variables and the settings that they set, in the order of the documentation.
pub(crate) const VARIABLES: &[(&str, &str)] = &[
    (CLIENT_ID_VARIABLE, "client_id"),
    (SECRET_VARIABLE, "client_secret"),
    (SECRET_FILE_VARIABLE, "client_secret_file"),
    (ACCESS_TOKEN_VARIABLE, "access_token"),
    ("CAMUNDA_CONSOLE_BASE_URL", "base_url"),
    ("CAMUNDA_OAUTH_URL", "oauth_url"),
    ("CAMUNDA_CONSOLE_OAUTH_AUDIENCE", "audience"),
    ("CAMUNDA_TOKEN_SCOPE", "scope"),
    ("CAMUNDA_TOKEN_CACHE_DIR", "token_cache"),
    (DISABLE_FILES_VARIABLE, "token_cache"),
    (REDIS_VARIABLE, "token_cache"),
    ("CAMUNDA_CUSTOM_ROOT_CERT_PATH", "ca_file"),
    ("CAMUNDA_CUSTOM_CERT_CHAIN_PATH", "client_cert"),
    ("CAMUNDA_CUSTOM_PRIVATE_KEY_PATH", "client_key"),
    ("CAMUNDA_CUSTOM_USER_AGENT_STRING", "user_agent"),
];

/// Returns whether `Config::from_variables` reads a variable by itself, because it depends on others.
fn is_separate(variable: &str) -> bool {
    [
        CLIENT_ID_VARIABLE,
        SECRET_VARIABLE,
        SECRET_FILE_VARIABLE,
        ACCESS_TOKEN_VARIABLE,
        DISABLE_FILES_VARIABLE,
        REDIS_VARIABLE,
    ]
    .contains(&variable)
}

impl Config {
    /// Reads the settings from variables, such as those of the environment. Credentials may be
    /// missing, since the caller can set them afterwards; [`check`](Self::check) requires them.
    pub(crate) fn from_variables(read: impl Fn(&str) -> Result<Option<String>>) -> Result<Self> {
        // Shells and CI systems set a variable to an empty string to unset it.
        let read = |name: &str| {
            let value = read(name)?.map(Zeroizing::new);
            Ok(value.filter(|value| !value.is_empty()))
        };
        let mut config = Config::default();
        config.set_credential_variables(read)?;
        for &(name, key) in VARIABLES.iter().filter(|(name, _)| !is_separate(name)) {
            if let Some(value) = read(name)? {
                match key {
                    "token_cache" => config.set_token_cache_directory(name, &value)?,
                    key => config.set_from(name, key, &value)?,
                }
            }
        }
        // The variable sets the audience of the Administration API only, not that of cluster
        // credentials.
        config.audience_is_chosen = false;
        if let Some(value) = read(DISABLE_FILES_VARIABLE)? {
            match value.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => {
                    config.token_cache = TokenCacheConfig::Memory;
                    config.note_variable("token_cache", DISABLE_FILES_VARIABLE);
                }
                "0" | "false" | "no" | "off" => {}
                _ => {
                    return Err(Error::config(format!(
                        "the variable {DISABLE_FILES_VARIABLE}: invalid value; \
                         expected `true` or `false`"
                    )));
                }
            }
        }
        if let Some(value) = read(REDIS_VARIABLE)? {
            config.set_token_cache_redis(&value)?;
        }
        Ok(config)
    }

    /// Sets the credentials, or the access token, from their variables.
    fn set_credential_variables(
        &mut self,
        read: impl Fn(&str) -> Result<Option<Zeroizing<String>>>,
    ) -> Result<()> {
        if let Some(value) = read(ACCESS_TOKEN_VARIABLE)? {
            self.set_from(ACCESS_TOKEN_VARIABLE, "access_token", &value)?;
        }
        if let Some(value) = read(CLIENT_ID_VARIABLE)? {
            self.set_from(CLIENT_ID_VARIABLE, "client_id", &value)?;
        }
        match (read(SECRET_VARIABLE)?, read(SECRET_FILE_VARIABLE)?) {
            (Some(_), Some(_)) => {
                return Err(Error::config(format!(
                    "the variables {SECRET_VARIABLE} and {SECRET_FILE_VARIABLE} are both set; \
                     unset one"
                )));
            }
            (Some(value), None) => self.set_from(SECRET_VARIABLE, "client_secret", &value)?,
            (None, Some(value)) => {
                let path = valid_path("client_secret_file", Path::new(&*value))
                    .map_err(|error| in_variable(SECRET_FILE_VARIABLE, &error))?;
                self.client_secret_file = Some(ClientSecretFile::new(
                    "the variable CAMUNDA_CONSOLE_CLIENT_SECRET_FILE",
                    path,
                ));
                self.note_variable("client_secret_file", SECRET_FILE_VARIABLE);
            }
            (None, None) => {}
        }
        self.requires_credentials = true;
        self.token_is_variable = self.access_token.is_some();
        self.secret_is_variable = self.client_secret.is_some() || self.client_secret_file.is_some();
        Ok(())
    }

    /// Sets `token_cache` to the directory that a variable names. Its value is always a path: a directory
    /// can have the name `memory`.
    fn set_token_cache_directory(&mut self, variable: &'static str, value: &str) -> Result<()> {
        if resembles_url(value) {
            return Err(Error::config(format!(
                "the variable {variable}: a URL is not a directory; use {REDIS_VARIABLE}"
            )));
        }
        let path = valid_path("token_cache", Path::new(value))
            .map_err(|error| in_variable(variable, &error))?;
        self.token_cache = TokenCacheConfig::Directory(path);
        self.note_variable("token_cache", variable);
        Ok(())
    }

    /// Sets `token_cache` to the URL of the variable for Redis. The variables that were read before
    /// determine the fallback.
    fn set_token_cache_redis(&mut self, value: &str) -> Result<()> {
        self.note_variable("token_cache", REDIS_VARIABLE);
        let url = redis_url(value).ok_or_else(|| {
            Error::config(format!(
                "the variable {REDIS_VARIABLE}: unsupported URL; \
                 expected redis://, rediss://, valkey:// or valkeys://"
            ))
        })?;
        let url = plain("token_cache", url.expose())
            .map_err(|error| in_variable(REDIS_VARIABLE, &error))?;
        let fallback = match mem::take(&mut self.token_cache) {
            TokenCacheConfig::Directory(path) => Fallback::Directory(path),
            TokenCacheConfig::Memory => Fallback::Memory,
            _ => Fallback::Auto,
        };
        self.token_cache = TokenCacheConfig::Redis {
            url: Secret::new(url),
            fallback,
            tls: None,
        };
        Ok(())
    }

    fn set_from(&mut self, variable: &'static str, key: &'static str, value: &str) -> Result<()> {
        self.set_value(key, value)
            .map_err(|error| in_variable(variable, &error))?;
        self.note_variable(key, variable);
        Ok(())
    }

    /// Records that `variable` has the value of the setting `key`.
    fn note_variable(&mut self, key: &'static str, variable: &'static str) {
        self.forget_variable(key);
        self.variables.push((key, variable));
    }
}

/// Returns the error of a setting's value that an environment variable supplied.
fn in_variable(variable: &str, error: &Error) -> Error {
    Error::config(format!("the variable {variable}: {}", error.message()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_variables_names_missing_variable() {
        let config = Config::from_variables(|_| Ok(None)).unwrap();
        assert_eq!(
            config.check().unwrap_err().message(),
            "the variable CAMUNDA_CONSOLE_CLIENT_ID is not set; set it, or the setting `client_id`"
        );
        let mut config = Config::from_variables(|name| {
            Ok((name == "CAMUNDA_CONSOLE_CLIENT_ID").then(|| "id".to_owned()))
        })
        .unwrap();
        assert_eq!(
            config.check().unwrap_err().message(),
            "the variable CAMUNDA_CONSOLE_CLIENT_SECRET or CAMUNDA_CONSOLE_CLIENT_SECRET_FILE is not \
             set; set it, or the setting `client_secret` or `client_secret_file`"
        );
        config.set("client_secret", "hunter2").unwrap();
        config.check().unwrap();
    }

    #[test]
    fn set_credentials_replace_those_of_variables() {
        let from = |variables: &[(&str, &str)]| {
            Config::from_variables(|name| {
                let variable = variables.iter().find(|(known, _)| *known == name);
                Ok(variable.map(|(_, value)| value.to_string()))
            })
            .unwrap()
        };
        let id = ("CAMUNDA_CONSOLE_CLIENT_ID", "id");
        let secret = ("CAMUNDA_CONSOLE_CLIENT_SECRET", "hunter2");
        let token = ("CAMUNDA_CONSOLE_ACCESS_TOKEN", "hunter2");

        let mut config = from(&[id, secret]);
        config.set("client_secret_file", "./secret").unwrap();
        config.check().unwrap();
        assert!(config.client_secret().is_none());

        let mut config = from(&[id, ("CAMUNDA_CONSOLE_CLIENT_SECRET_FILE", "./secret")]);
        config.set("client_secret", "given").unwrap();
        config.check().unwrap();
        assert!(config.client_secret_file().is_none());
        config
            .set_path("client_secret_file", Path::new("./other"))
            .unwrap();
        let error = config.check().unwrap_err();
        assert!(error.message().contains("are both set"), "{error}");

        let mut config = from(&[id, secret, token]);
        config.set("client_secret", "given").unwrap();
        config.check().unwrap();
        assert!(config.access_token().is_none());
        assert_eq!(config.client_secret().unwrap().expose(), "given");

        let mut config = from(&[token]);
        config.set("access_token", "given").unwrap();
        config.set("client_id", "id").unwrap();
        config.check().unwrap();
        assert_eq!(config.access_token().unwrap().expose(), "given");
    }

    #[test]
    fn from_variables_requires_credentials_or_an_access_token() {
        let from = |variables: &'static [(&str, &str)]| {
            let read = move |name: &str| {
                let variable = variables.iter().find(|(known, _)| *known == name);
                Ok(variable.map(|(_, value)| value.to_string()))
            };
            Config::from_variables(read).and_then(|config| config.check().map(|()| config))
        };
        let id = ("CAMUNDA_CONSOLE_CLIENT_ID", "id");
        let secret = ("CAMUNDA_CONSOLE_CLIENT_SECRET", "hunter2");
        let file = ("CAMUNDA_CONSOLE_CLIENT_SECRET_FILE", "./secret");
        let token = ("CAMUNDA_CONSOLE_ACCESS_TOKEN", "hunter2");
        let config = from(Box::leak(Box::new([token]))).unwrap();
        assert_eq!(config.access_token().unwrap().expose(), "hunter2");
        let config = from(Box::leak(Box::new([id, file]))).unwrap();
        assert!(config.client_secret().is_none());
        let file_setting = config.client_secret_file().unwrap();
        assert_eq!(file_setting.path(), Path::new("./secret"));
        from(Box::leak(Box::new([id, secret, token]))).unwrap();
        for (variables, expected) in [
            (vec![secret], "CAMUNDA_CONSOLE_CLIENT_ID is not set"),
            (
                vec![id],
                "CLIENT_SECRET or CAMUNDA_CONSOLE_CLIENT_SECRET_FILE is not set",
            ),
            (vec![id, secret, file], "_FILE are both set"),
            (vec![id, secret, file, token], "_FILE are both set"),
            (
                vec![("CAMUNDA_CONSOLE_ACCESS_TOKEN", "Bearer hunter2")],
                "CAMUNDA_CONSOLE_ACCESS_TOKEN: `access_token`: invalid value",
            ),
        ] {
            let error = from(Vec::leak(variables)).unwrap_err();
            assert!(error.message().contains(expected), "{error}");
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn from_variables_names_variable_with_invalid_value() {
        let error = Config::from_variables(|name| {
            Ok(Some(
                if name == "CAMUNDA_OAUTH_URL" {
                    "http://evil"
                } else {
                    "x"
                }
                .to_owned(),
            ))
            .map(|value| {
                value.filter(|_| {
                    !matches!(
                        name,
                        "CAMUNDA_CONSOLE_BASE_URL"
                            | "CAMUNDA_CONSOLE_CLIENT_SECRET_FILE"
                            | "CAMUNDA_TOKEN_DISK_CACHE_DISABLE"
                    )
                })
            })
        })
        .unwrap_err();
        assert!(error.to_string().contains("CAMUNDA_OAUTH_URL"), "{error}");
    }

    #[cfg(feature = "redis")]
    #[test]
    fn from_variables_sets_the_fallback_of_redis() {
        for (disable, directory, expected) in [
            ("", "", Fallback::Auto),
            ("false", "", Fallback::Auto),
            ("", "/var/tokens", Fallback::Directory("/var/tokens".into())),
            ("true", "", Fallback::Memory),
            ("true", "/var/tokens", Fallback::Memory),
        ] {
            let config = Config::from_variables(|name| {
                let value = match name {
                    "CAMUNDA_TOKEN_CACHE_REDIS_URL" => "redis://host",
                    "CAMUNDA_TOKEN_DISK_CACHE_DISABLE" => disable,
                    "CAMUNDA_TOKEN_CACHE_DIR" => directory,
                    "CAMUNDA_CONSOLE_CLIENT_ID" | "CAMUNDA_CONSOLE_CLIENT_SECRET" => "x",
                    _ => "",
                };
                Ok(Some(value.to_owned()).filter(|value| !value.is_empty()))
            });
            match config.unwrap().token_cache() {
                TokenCacheConfig::Redis { fallback, .. } => assert_eq!(*fallback, expected),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn cache_directory_variable_is_a_path_and_never_a_url() {
        let with = |name: &'static str, value: &'static str| {
            Config::from_variables(move |variable| {
                Ok(match variable {
                    "CAMUNDA_CONSOLE_CLIENT_ID" | "CAMUNDA_CONSOLE_CLIENT_SECRET" => Some("x"),
                    _ if variable == name => Some(value),
                    _ => None,
                }
                .map(str::to_owned))
            })
        };
        let config = with("CAMUNDA_TOKEN_CACHE_DIR", "memory").unwrap();
        match config.resolved().unwrap().token_cache() {
            TokenCacheConfig::Directory(path) => {
                assert_eq!(*path, std::env::current_dir().unwrap().join("memory"));
            }
            other => panic!("{other:?}"),
        }
        for (variable, value) in [
            ("CAMUNDA_TOKEN_CACHE_DIR", "redis://:hunter2@host"),
            ("CAMUNDA_TOKEN_CACHE_DIR", "Valkey://:hunter2@host"),
            ("CAMUNDA_TOKEN_CACHE_REDIS_URL", "http://:hunter2@host"),
            ("CAMUNDA_TOKEN_CACHE_REDIS_URL", "/var/hunter2"),
            ("CAMUNDA_TOKEN_CACHE_REDIS_URL", "memory"),
        ] {
            let error = with(variable, value).expect_err(value).to_string();
            assert!(error.contains(variable), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn errors_of_variables_name_the_variable_first() {
        for (variable, value, problem) in [
            (
                "CAMUNDA_CONSOLE_CLIENT_ID",
                "a\nb",
                "`client_id`: control character",
            ),
            (
                "CAMUNDA_CONSOLE_CLIENT_SECRET_FILE",
                "a\0b",
                "`client_secret_file`: not a valid path",
            ),
            (
                "CAMUNDA_TOKEN_CACHE_DIR",
                "/a\0b",
                "`token_cache`: not a valid path",
            ),
            (
                "CAMUNDA_TOKEN_CACHE_REDIS_URL",
                "redis://a\u{5}",
                "`token_cache`: control character",
            ),
            (
                "CAMUNDA_OAUTH_URL",
                "x",
                "`oauth_url`: URL without scheme or host",
            ),
        ] {
            let error = Config::from_variables(|name| {
                Ok(match name {
                    _ if name == variable => Some(value),
                    "CAMUNDA_CONSOLE_CLIENT_ID" => Some("x"),
                    "CAMUNDA_CONSOLE_CLIENT_SECRET"
                        if variable != "CAMUNDA_CONSOLE_CLIENT_SECRET_FILE" =>
                    {
                        Some("x")
                    }
                    _ => None,
                }
                .map(str::to_owned))
            })
            .expect_err(variable);
            let expected = format!("the variable {variable}: {problem}");
            assert!(error.message().starts_with(&expected), "{error}");
        }
    }
}
