//! Settings from environment variables.

use std::mem;
use std::path::Path;

use super::{Config, InvalidVariable};
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
    /// Reads the settings from variables, such as those of the environment. `read` fails for a variable
    /// that is not UTF-8.
    ///
    /// Credentials may be missing and values invalid, since the caller can set them afterwards:
    /// [`check`](Self::check) fails for what the caller did not set.
    pub(crate) fn from_variables(read: impl Fn(&str) -> Result<Option<String>>) -> Self {
        // Shells and CI systems set a variable to an empty string to unset it.
        let read = |name: &str| {
            let value = read(name)?.map(Zeroizing::new);
            Ok(value.filter(|value| !value.is_empty()))
        };
        let mut config = Config::default();
        config.set_credential_variables(&read);
        for &(name, key) in VARIABLES.iter().filter(|(name, _)| !is_separate(name)) {
            config.set_variable(&read, name, key, |config, value| match key {
                "token_cache" => config.set_token_cache_directory(value),
                key => config.set_value(key, value),
            });
        }
        // The variable sets the audience of the Administration API only, not that of cluster
        // credentials.
        config.audience_is_chosen = false;
        let disable = DISABLE_FILES_VARIABLE;
        let unless_false =
            |name: &str| Ok(read(name)?.filter(|value| boolean(value) != Some(false)));
        config.set_variable(&unless_false, disable, "token_cache", |config, value| {
            if boolean(value).is_none() {
                return Err(Error::config("invalid value; expected `true` or `false`"));
            }
            config.token_cache = TokenCacheConfig::Memory;
            Ok(())
        });
        config.set_variable(&read, REDIS_VARIABLE, "token_cache", |config, value| {
            config.set_token_cache_redis(value)
        });
        config
    }

    /// Sets the credentials, or the access token, from their variables.
    fn set_credential_variables(
        &mut self,
        read: &impl Fn(&str) -> Result<Option<Zeroizing<String>>>,
    ) {
        for (name, key) in [
            (ACCESS_TOKEN_VARIABLE, "access_token"),
            (CLIENT_ID_VARIABLE, "client_id"),
            (SECRET_VARIABLE, "client_secret"),
        ] {
            self.set_variable(read, name, key, |config, value| {
                config.set_value(key, value)
            });
        }
        let (name, key) = (SECRET_FILE_VARIABLE, "client_secret_file");
        self.set_variable(read, name, key, |config, value| {
            let path = valid_path(key, Path::new(value))?;
            let name = "the variable CAMUNDA_CONSOLE_CLIENT_SECRET_FILE";
            config.client_secret_file = Some(ClientSecretFile::new(name, path));
            Ok(())
        });
        if self.client_secret.is_some() && self.client_secret_file.is_some() {
            (self.client_secret, self.client_secret_file) = (None, None);
            self.forget_variable("client_secret");
            self.forget_variable("client_secret_file");
            self.invalid_variables.push(InvalidVariable {
                key: "client_secret",
                name: SECRET_VARIABLE,
                value: None,
                error: Error::config(format!(
                    "the variables {SECRET_VARIABLE} and {SECRET_FILE_VARIABLE} are both set; \
                     unset one"
                )),
            });
        }
        self.requires_credentials = true;
        self.token_is_variable = self.access_token.is_some();
        self.secret_is_variable = self.client_secret.is_some() || self.client_secret_file.is_some();
    }

    /// Sets the setting `key` to the value of a variable, if that is set. Records the error of an invalid
    /// one.
    fn set_variable(
        &mut self,
        read: &impl Fn(&str) -> Result<Option<Zeroizing<String>>>,
        name: &'static str,
        key: &'static str,
        set: impl FnOnce(&mut Self, &str) -> Result<()>,
    ) {
        let (value, error) = match read(name) {
            Ok(None) => return,
            Ok(Some(value)) => match set(self, &value) {
                Ok(()) => return self.note_variable(key, name),
                Err(error) => (
                    Some(Secret::new(value.as_str())),
                    Error::config(format!("the variable {name}: {}", error.message())),
                ),
            },
            Err(error) => (None, error),
        };
        self.invalid_variables.push(InvalidVariable {
            key,
            name,
            value,
            error,
        });
    }

    /// Sets `token_cache` to the directory that a variable names. Its value is always a path: a directory
    /// can have the name `memory`.
    fn set_token_cache_directory(&mut self, value: &str) -> Result<()> {
        if resembles_url(value) {
            return Err(Error::config(format!(
                "a URL is not a directory; use {REDIS_VARIABLE}"
            )));
        }
        let path = valid_path("token_cache", Path::new(value))?;
        self.token_cache = TokenCacheConfig::Directory(path);
        Ok(())
    }

    /// Sets `token_cache` to the URL of the variable for Redis. The variables that were read before
    /// determine the fallback.
    fn set_token_cache_redis(&mut self, value: &str) -> Result<()> {
        let url = redis_url(value).ok_or_else(|| {
            Error::config("unsupported URL; expected redis://, rediss://, valkey:// or valkeys://")
        })?;
        let url = plain("token_cache", url.expose())?;
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

    /// Records that `variable` has the value of the setting `key`.
    fn note_variable(&mut self, key: &'static str, variable: &'static str) {
        self.variables.retain(|(known, _)| *known != key);
        self.variables.push((key, variable));
    }
}

fn boolean(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_variables_names_missing_variable() {
        let config = Config::from_variables(|_| Ok(None));
        assert_eq!(
            config.check().unwrap_err().message(),
            "the variable CAMUNDA_CONSOLE_CLIENT_ID is not set; set it, or the setting `client_id`"
        );
        let mut config = Config::from_variables(|name| {
            Ok((name == "CAMUNDA_CONSOLE_CLIENT_ID").then(|| "id".to_owned()))
        });
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
            let config = Config::from_variables(read);
            config.check().map(|()| config)
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
            (vec![id, secret, file], "_FILE are both set; unset one"),
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
        .check()
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
            match config.token_cache() {
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
        let config = with("CAMUNDA_TOKEN_CACHE_DIR", "memory");
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
            let error = with(variable, value).check().expect_err(value).to_string();
            assert!(error.contains(variable), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn set_replaces_invalid_variables() {
        const CREDENTIALS: &[(&str, &str)] = &[
            ("CAMUNDA_CONSOLE_CLIENT_ID", "id"),
            ("CAMUNDA_CONSOLE_CLIENT_SECRET", "hunter2"),
        ];
        let from = |variables: &[(&str, Option<&str>)]| {
            Config::from_variables(|name| {
                let given = variables.iter().find(|(known, _)| *known == name);
                match (given, CREDENTIALS.iter().find(|(known, _)| *known == name)) {
                    (Some((_, Some(value))), _) | (None, Some((_, value))) => {
                        Ok(Some((*value).to_owned()))
                    }
                    (Some((_, None)), _) => Err(Error::config(format!("{name} is not UTF-8"))),
                    (None, None) => Ok(None),
                }
            })
        };
        let invalid_id = ("CAMUNDA_CONSOLE_CLIENT_ID", Some("a\nb"));
        let file = ("CAMUNDA_CONSOLE_CLIENT_SECRET_FILE", Some("./secret"));
        for (variables, key, value, other_key) in [
            (
                &[("CAMUNDA_CONSOLE_BASE_URL", Some("ftp://x"))][..],
                "base_url",
                "https://x",
                "oauth_url",
            ),
            (
                &[("CAMUNDA_CONSOLE_BASE_URL", None)],
                "base_url",
                "https://x",
                "client_id",
            ),
            (
                &[("CAMUNDA_TOKEN_DISK_CACHE_DISABLE", Some("maybe"))],
                "token_cache",
                "memory",
                "scope",
            ),
            (
                &[
                    ("CAMUNDA_TOKEN_CACHE_DIR", Some("redis://host")),
                    ("CAMUNDA_TOKEN_CACHE_REDIS_URL", Some("http://host")),
                ],
                "token_cache",
                "auto",
                "scope",
            ),
            (&[file], "client_secret", "given", "client_id"),
            (&[file], "client_secret_file", "./given", "client_id"),
            (
                &[file, invalid_id],
                "access_token",
                "given",
                "client_secret",
            ),
            (
                &[("CAMUNDA_CONSOLE_CLIENT_SECRET", None)],
                "client_secret_file",
                "./given",
                "client_id",
            ),
            (
                &[("CAMUNDA_CONSOLE_ACCESS_TOKEN", Some("Bearer x"))],
                "client_id",
                "given",
                "scope",
            ),
        ] {
            let mut config = from(variables);
            let error = config.check().expect_err(key);
            assert!(
                error.message().contains(variables[0].0) || key == "access_token",
                "{error}"
            );
            config.set(other_key, "https://other").unwrap();
            config.check().expect_err(key);
            config.set(key, value).unwrap();
            config
                .check()
                .unwrap_or_else(|error| panic!("{key}: {error}"));
        }
        let mut config = from(&[("CAMUNDA_CONSOLE_BASE_URL", Some("ftp://x")), invalid_id]);
        config.set("client_id", "given").unwrap();
        let error = config.check().unwrap_err();
        assert!(
            error.message().contains("CAMUNDA_CONSOLE_BASE_URL"),
            "{error}"
        );
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
            .check()
            .expect_err(variable);
            let expected = format!("the variable {variable}: {problem}");
            assert!(error.message().starts_with(&expected), "{error}");
        }
    }
}
