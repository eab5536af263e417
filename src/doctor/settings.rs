//! Settings of a client with their sources, without secrets.

use std::collections::BTreeMap;

use super::report::Setting;
use crate::config::{Config, KEYS, VARIABLES};
use crate::secret::{Secret, SecretBuffer};

/// Variables that are read from the environment even if the settings are those of a file.
const SYSTEM_VARIABLES: &[(&str, &str)] = &[
    ("HTTPS_PROXY", "proxy"),
    ("https_proxy", "proxy"),
    ("ALL_PROXY", "proxy"),
    ("all_proxy", "proxy"),
    ("NO_PROXY", "proxy"),
    ("no_proxy", "proxy"),
    ("SSL_CERT_FILE", "ca_file"),
    ("SSL_CERT_DIR", "ca_file"),
];

/// Returns the variables of the environment that the configuration reads.
pub(super) fn variables() -> BTreeMap<String, Secret> {
    environment(VARIABLES)
}

/// Returns the variables of the environment that apply even if the settings are those of a file.
pub(super) fn system_variables() -> BTreeMap<String, Secret> {
    environment(SYSTEM_VARIABLES)
}

fn environment(names: &[(&str, &str)]) -> BTreeMap<String, Secret> {
    let set = names.iter().filter_map(|(name, _)| {
        let value = std::env::var_os(name)?;
        let value = value.into_string().unwrap_or_else(|value| {
            // Not UTF-8: the configuration rejects it, whatever it contains.
            value.to_string_lossy().into_owned()
        });
        Some(((*name).to_owned(), Secret::new(value)))
    });
    set.collect()
}

/// Returns the settings that are set, with their source, and the defaults of the others.
pub(super) fn of_variables(
    variables: &BTreeMap<String, Secret>,
    system: &BTreeMap<String, Secret>,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    add_variables(&mut settings, VARIABLES, variables);
    add_system_variables(&mut settings, system);
    add_defaults(&mut settings);
    settings
}

/// As [`of_variables`], for the settings of a client.
pub(super) fn of_client(config: &Config, system: &BTreeMap<String, Secret>) -> Vec<Setting> {
    let mut settings = Vec::new();
    let defaults = Config::default();
    for key in KEYS {
        let value = config.value_of(key);
        let variable = config.variable_of(key);
        if variable.is_none() && value == defaults.value_of(key) {
            continue;
        }
        if let Some(value) = value {
            settings.push(Setting {
                key,
                value: shown(key, value.expose()),
                is_set: true,
                source: variable.unwrap_or("program").to_owned(),
            });
        }
    }
    for invalid in config.invalid_variables() {
        let value = invalid.value.as_ref();
        settings.push(Setting {
            key: invalid.key,
            value: value.and_then(|value| shown(invalid.key, value.expose())),
            is_set: true,
            source: invalid.name.to_owned(),
        });
    }
    add_system_variables(&mut settings, system);
    add_defaults(&mut settings);
    settings
}

fn add_variables(
    settings: &mut Vec<Setting>,
    names: &[(&'static str, &'static str)],
    values: &BTreeMap<String, Secret>,
) {
    for (name, key) in names {
        if let Some(value) = values.get(*name).filter(|value| !value.is_empty()) {
            settings.push(Setting {
                key,
                value: shown(key, value.expose()),
                is_set: true,
                source: (*name).to_owned(),
            });
        }
    }
}

/// Adds the variables of the system, without those that a setting replaces.
fn add_system_variables(settings: &mut Vec<Setting>, system: &BTreeMap<String, Secret>) {
    let is_set = |key| settings.iter().any(|setting| setting.key == key);
    let applied: Vec<_> = SYSTEM_VARIABLES
        .iter()
        .filter(|(_, key)| !is_set(*key))
        .copied()
        .collect();
    add_variables(settings, &applied, system);
}

fn add_defaults(settings: &mut Vec<Setting>) {
    let defaults = Config::default();
    let is_set = |key| settings.iter().any(|setting: &Setting| setting.key == key);
    let needs_credentials = !is_set("access_token");
    let needs_secret = needs_credentials && !is_set("client_secret_file");
    for (key, value) in [
        ("client_id", None),
        ("client_secret", None),
        ("base_url", Some(defaults.base_url())),
        ("oauth_url", Some(defaults.oauth_url())),
        ("audience", Some(defaults.audience())),
        ("token_cache", Some("auto")),
    ] {
        let is_needed = match key {
            "client_id" => needs_credentials,
            "client_secret" => needs_secret,
            _ => true,
        };
        if is_needed && !settings.iter().any(|setting| setting.key == key) {
            settings.push(Setting {
                key,
                value: value.map(str::to_owned),
                is_set: value.is_some(),
                source: "default".to_owned(),
            });
        }
    }
}

/// Returns a value without its secret parts, or `None` if it is a secret.
fn shown(key: &str, value: &str) -> Option<String> {
    if matches!(key, "client_secret" | "access_token") {
        return None;
    }
    let mut escaped = SecretBuffer::with_capacity(value.len());
    for c in value.chars().flat_map(char::escape_debug) {
        escaped.push(c);
    }
    let escaped = escaped.into_string()?;
    let value = escaped.as_str();
    if !is_url(key) {
        return Some(value.to_owned());
    }
    // Without user name and password, also of a malformed URL, and without the query.
    let value = match value.rsplit_once('@') {
        Some((before, after)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://…@{}", without_query(after)),
            None => format!("…@{}", without_query(after)),
        },
        None => without_query(value),
    };
    Some(value)
}

fn without_query(value: &str) -> String {
    match value.split_once('?') {
        Some((before, _)) => format!("{before}?…"),
        None => value.to_owned(),
    }
}

fn is_url(key: &str) -> bool {
    matches!(key, "base_url" | "oauth_url" | "proxy" | "token_cache")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values_of(values: &[(&str, &str)]) -> BTreeMap<String, Secret> {
        values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::from(*value)))
            .collect()
    }

    #[test]
    fn settings_have_source_and_no_secret() {
        let found = of_variables(
            &values_of(&[
                ("CAMUNDA_CONSOLE_CLIENT_SECRET", "hunter2"),
                ("CAMUNDA_CONSOLE_CLIENT_ID", "id"),
                (
                    "CAMUNDA_TOKEN_CACHE_REDIS_URL",
                    "redis://u:hunter2@host/0?password=hunter2",
                ),
                ("CAMUNDA_TOKEN_SCOPE", ""),
            ]),
            &values_of(&[("HTTPS_PROXY", "u:hunter2@p@roxy:1")]),
        );
        let rows: Vec<_> = found
            .iter()
            .map(|it| (it.key, it.value.as_deref(), it.is_set, it.source.as_str()))
            .collect();
        assert_eq!(
            rows,
            [
                ("client_id", Some("id"), true, "CAMUNDA_CONSOLE_CLIENT_ID"),
                ("client_secret", None, true, "CAMUNDA_CONSOLE_CLIENT_SECRET"),
                (
                    "token_cache",
                    Some("redis://…@host/0?…"),
                    true,
                    "CAMUNDA_TOKEN_CACHE_REDIS_URL"
                ),
                ("proxy", Some("…@roxy:1"), true, "HTTPS_PROXY"),
                (
                    "base_url",
                    Some("https://api.cloud.camunda.io"),
                    true,
                    "default"
                ),
                (
                    "oauth_url",
                    Some("https://login.cloud.camunda.io/oauth/token"),
                    true,
                    "default"
                ),
                ("audience", Some("api.cloud.camunda.io"), true, "default"),
            ]
        );
    }

    #[test]
    fn settings_lack_system_variables_that_a_setting_replaces() {
        let sources = |variables: &[(&str, &str)]| {
            let system = values_of(&[("SSL_CERT_FILE", "a.pem"), ("NO_PROXY", "localhost")]);
            let found = of_variables(&values_of(variables), &system).into_iter();
            found
                .filter(|it| ["ca_file", "proxy"].contains(&it.key))
                .map(|it| it.source)
                .collect::<Vec<_>>()
        };
        assert_eq!(sources(&[]), ["NO_PROXY", "SSL_CERT_FILE"]);
        assert_eq!(
            sources(&[("CAMUNDA_CUSTOM_ROOT_CERT_PATH", "b.pem")]),
            ["CAMUNDA_CUSTOM_ROOT_CERT_PATH", "NO_PROXY"]
        );
    }

    #[test]
    fn every_variable_of_the_configuration_is_listed() {
        let read = std::cell::RefCell::new(Vec::new());
        let _ = Config::from_variables(|name| {
            read.borrow_mut().push(name.to_owned());
            Ok(match name {
                "CAMUNDA_CONSOLE_CLIENT_ID" | "CAMUNDA_CONSOLE_CLIENT_SECRET" => {
                    Some("a".to_owned())
                }
                _ => None,
            })
        });
        for name in read.into_inner() {
            assert!(VARIABLES.iter().any(|(known, _)| *known == name), "{name}");
        }
    }

    #[test]
    fn settings_lack_credentials_that_others_replace() {
        let keys = |values: &[(&str, &str)]| {
            let found = of_variables(&values_of(values), &values_of(&[]));
            assert!(
                found
                    .iter()
                    .all(|it| it.value.as_deref() != Some("hunter2"))
            );
            let credentials = found.iter().map(|it| it.key);
            credentials
                .filter(|key| key.starts_with("client_") || *key == "access_token")
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(&[]), ["client_id", "client_secret"]);
        assert_eq!(
            keys(&[("CAMUNDA_CONSOLE_ACCESS_TOKEN", "hunter2")]),
            ["access_token"]
        );
        assert_eq!(
            keys(&[("CAMUNDA_CONSOLE_CLIENT_SECRET_FILE", "/run/secret")]),
            ["client_secret_file", "client_id"]
        );
    }
}
