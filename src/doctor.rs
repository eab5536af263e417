//! Checks of the environment of a client: settings, token store, clock, network, certificates and
//! permissions. The program `camunda-admin doctor` prints the [`Report`].
//!
//! Requires the crate feature `doctor`.
//!
//! ```no_run
//! use camunda_admin::doctor;
//!
//! let report = doctor::run(&doctor::Options::new())?;
//! println!("{report}");
//! assert!(report.is_ok());
//! # Ok::<(), camunda_admin::Error>(())
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::api::admin::AdminClient;
use crate::api::admin_builder::AdminClientBuilder;
use crate::auth;
use crate::call::{CallContext, CallOptions, Cancel};
use crate::config::{Config, KEYS, VARIABLES};
use crate::credentials::read_env_file;
use crate::error::{Error, ErrorKind, Result};
use crate::secret::{Secret, SecretBuffer};
use crate::transport::certificate::Certificate;
use crate::transport::probe::{Finding, Prober, Step, StepResult};

/// Maximum duration of the network steps of one server: DNS, TCP, TLS, HTTP.
const MAX_PROBE_TIME: Duration = Duration::from_secs(10);
/// Difference of the clocks, in seconds, from which the check warns.
const SKEW_WARNING: f64 = 30.0;
/// Difference of the clocks, in seconds, from which the check fails.
const SKEW_FAILURE: f64 = 300.0;
/// Remaining validity of a certificate below which the check warns.
const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 60 * 60);

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

/// Options of [`run`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Options {
    env_file: Option<PathBuf>,
    settings: Option<Arc<AdminClientBuilder>>,
    call: CallOptions,
}

impl Options {
    /// Returns the default options: the settings of the environment are checked.
    pub fn new() -> Self {
        Options::default()
    }

    /// Reads the settings from a credential file of the Console instead of the environment.
    pub fn env_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.env_file = Some(path.into());
        self.settings = None;
        self
    }

    /// Checks the settings of a client instead of those of the environment.
    pub fn settings(mut self, builder: AdminClientBuilder) -> Self {
        self.settings = Some(Arc::new(builder));
        self
    }

    /// Sets the timeout of the token request and of each read; default: the setting `timeout` (60 s).
    /// The token endpoint delays rejections of invalid credentials by about 30 s. The network steps of
    /// each server take at most 10 s in any case.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call = self.call.timeout(timeout);
        self
    }

    /// Sets the flag that cancels the checks.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.call = self.call.cancel(cancel);
        self
    }
}

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// The check found no problem.
    Ok,
    /// Calls succeed, but the environment should be changed.
    Warning,
    /// Calls fail.
    Failed,
    /// The check was not run, because an earlier one failed or it does not apply.
    Skipped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Failed => "FAILED",
            Status::Skipped => "skipped",
        })
    }
}

/// A setting and its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Setting {
    /// Key of the setting, for example `base_url`.
    pub key: &'static str,
    /// Value; `None` for a secret, and for a setting that is not set.
    pub value: Option<String>,
    /// Whether the setting has a value, secret or not.
    pub is_set: bool,
    /// Name of the variable; `default`, or `program` for a setting of [`Options::settings`] that was
    /// not read from a variable.
    pub source: String,
}

/// Result of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// Name of the check: `settings`, `client_certificate`, `dns`, `tcp`, `tls`, `http`, `clock`,
    /// `token`, `token_store` or `permissions`.
    pub name: &'static str,
    /// URL of the server, for checks of a server.
    pub target: Option<String>,
    /// Result.
    pub status: Status,
    /// What the check found.
    pub message: String,
    /// What to do about a problem.
    pub advice: Option<String>,
    /// Duration in milliseconds, for network steps.
    pub duration_ms: Option<f64>,
}

/// Whether the credentials may read a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Access {
    /// The API returned the resource.
    Allowed,
    /// The API denied access (HTTP 403).
    Denied,
    /// The request failed for another reason.
    Failed,
    /// No request was sent.
    NotChecked,
}

/// Result of a read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Permission {
    /// Name of the resource, for example `clusters`.
    pub resource: &'static str,
    /// Result.
    pub access: Access,
    /// Error message, or why no request was sent.
    pub detail: Option<String>,
}

/// Report of [`run`]. `Display` formats it for people; `Serialize` gives the JSON of `doctor --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Version of the library.
    pub version: &'static str,
    /// Whether no check failed.
    pub ok: bool,
    /// Settings that are set, and defaults.
    pub settings: Vec<Setting>,
    /// Checks in the order in which they were run.
    pub checks: Vec<Check>,
    /// Resources that the credentials may read.
    pub permissions: Vec<Permission>,
}

impl Report {
    /// Returns whether no check failed. Warnings count as success.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.ok
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "camunda-admin {}\n\nsettings", self.version)?;
        for setting in &self.settings {
            let value = match (&setting.value, setting.is_set) {
                (Some(value), _) => value.as_str(),
                (None, true) => "(hidden)",
                (None, false) => "(not set)",
            };
            writeln!(f, "  {:<22}{value}  [{}]", setting.key, setting.source)?;
        }
        writeln!(f, "\nchecks")?;
        for check in &self.checks {
            write!(f, "  {:<9}{:<20}", check.status, check.name)?;
            if let Some(target) = &check.target {
                write!(f, "{target}: ")?;
            }
            f.write_str(&check.message)?;
            if let Some(milliseconds) = check.duration_ms {
                write!(f, " ({milliseconds:.0} ms)")?;
            }
            writeln!(f)?;
            if let Some(advice) = &check.advice {
                writeln!(f, "  {:<29}{advice}", "")?;
            }
        }
        if !self.permissions.is_empty() {
            writeln!(f, "\npermissions to read")?;
            for permission in &self.permissions {
                let access = match permission.access {
                    Access::Allowed => "allowed",
                    Access::Denied => "denied",
                    Access::Failed => "failed",
                    Access::NotChecked => "not checked",
                };
                write!(f, "  {:<22}{access}", permission.resource)?;
                match &permission.detail {
                    Some(detail) => writeln!(f, ": {detail}")?,
                    None => writeln!(f)?,
                }
            }
        }
        let count = |status| self.checks.iter().filter(|it| it.status == status).count();
        write!(
            f,
            "\n{} failed, {} warnings",
            count(Status::Failed),
            count(Status::Warning)
        )
    }
}

/// Checks the environment and returns the report. Blocks.
///
/// Sends at most one token request, through the shared cache and its rate limit, and only `GET`
/// requests to the API; it changes nothing. As every call, it repeats a token request that fails
/// with a transient error, up to three in total, and requests another token if the API rejects the
/// first one or the secret in `client_secret_file` has changed. To each server it sends one request without credentials,
/// for the time of the server. The report contains no secrets.
///
/// # Errors
///
/// [`ErrorKind::Cancelled`] if [`Options::cancel`] cancels the checks. A check that fails is not an
/// error: [`Report::is_ok`] returns whether all succeeded.
pub fn run(options: &Options) -> Result<Report> {
    let source = match (&options.settings, &options.env_file) {
        (Some(builder), _) => Source::Builder(builder),
        (None, Some(path)) => Source::File(path),
        (None, None) => Source::Environment,
    };
    check(&source, &options.call)
}

/// Where the settings come from.
pub(crate) enum Source<'a> {
    Environment,
    File(&'a Path),
    Builder(&'a AdminClientBuilder),
}

/// As [`run`].
pub(crate) fn check(source: &Source<'_>, options: &CallOptions) -> Result<Report> {
    let mut doctor = Doctor {
        options: options.begin(),
        report: Report {
            version: env!("CARGO_PKG_VERSION"),
            ok: true,
            settings: Vec::new(),
            checks: Vec::new(),
            permissions: Vec::new(),
        },
    };
    doctor.run(source)?;
    doctor.report.ok = doctor
        .report
        .checks
        .iter()
        .all(|check| check.status != Status::Failed);
    Ok(doctor.report)
}

struct Doctor {
    /// A cancellation ends all checks, also if it is reset.
    options: CallOptions,
    report: Report,
}

impl Doctor {
    /// Fails if the caller cancels the checks.
    fn run(&mut self, source: &Source<'_>) -> Result<()> {
        let read;
        let builder = match *source {
            Source::Builder(builder) => self.list_settings(builder),
            Source::File(path) => {
                read = self.read_variables(Some(path));
                read.as_ref()
            }
            Source::Environment => {
                read = self.read_variables(None);
                read.as_ref()
            }
        };
        match builder {
            Some(builder) => self.check_client(builder),
            None => {
                self.skip_all();
                Ok(())
            }
        }
    }

    fn check_client(&mut self, builder: &AdminClientBuilder) -> Result<()> {
        let config = builder.config();
        let client = Prober::new(config).and_then(|prober| Ok((prober, builder.build_another()?)));
        let (prober, admin) = match client {
            Ok((prober, admin)) => (prober, admin.with(self.options.clone())),
            Err(error) => {
                self.add("settings", Status::Failed, error.message());
                self.skip_all();
                return Ok(());
            }
        };
        self.add("settings", Status::Ok, "complete and valid");
        self.check_client_certificate(&prober);
        self.check_servers(&prober, config)?;
        let has_token = self.check_token(&admin, config)?;
        self.check_token_store(config, has_token);
        if has_token {
            self.check_permissions(&admin)?;
        } else {
            self.skip(&["permissions"]);
        }
        Ok(())
    }

    fn add(&mut self, name: &'static str, status: Status, message: &str) -> &mut Check {
        self.report.checks.push(Check {
            name,
            target: None,
            status,
            message: message.to_owned(),
            advice: None,
            duration_ms: None,
        });
        let last = self.report.checks.len() - 1;
        &mut self.report.checks[last]
    }

    /// Skips the checks that require a client.
    fn skip_all(&mut self) {
        self.skip(&["dns", "clock", "token", "token_store", "permissions"]);
    }

    fn skip(&mut self, names: &[&'static str]) {
        for name in names {
            self.add(name, Status::Skipped, "an earlier check failed");
        }
    }

    /// Lists the settings of a builder. Returns `None` if one is invalid or missing.
    fn list_settings<'a>(
        &mut self,
        builder: &'a AdminClientBuilder,
    ) -> Option<&'a AdminClientBuilder> {
        self.report.settings = settings_of(builder.config(), &environment(SYSTEM_VARIABLES));
        match builder.check() {
            Ok(()) => Some(builder),
            Err(error) => {
                self.add("settings", Status::Failed, error.message());
                None
            }
        }
    }

    /// Lists the settings of the environment or of a file. Returns a builder with them, or `None` if one
    /// is invalid or missing.
    fn read_variables(&mut self, env_file: Option<&Path>) -> Option<AdminClientBuilder> {
        let variables = match env_file.map(read_env_file).transpose() {
            Ok(Some(variables)) => variables,
            Ok(None) => environment(VARIABLES),
            Err(error) => {
                self.add("settings", Status::Failed, error.message());
                return None;
            }
        };
        self.report.settings = settings(&variables, &environment(SYSTEM_VARIABLES));
        let builder = match env_file {
            Some(path) => AdminClientBuilder::from_env_file(path),
            None => AdminClientBuilder::from_env(),
        };
        match builder.and_then(|builder| builder.check().map(|()| builder)) {
            Ok(builder) => Some(builder),
            Err(error) => {
                let other = ["ZEEBE_CLIENT_ID", "CAMUNDA_CLIENT_ID"]
                    .into_iter()
                    .find(|name| match env_file {
                        Some(_) => variables.contains_key(*name),
                        None => std::env::var_os(name).is_some(),
                    });
                let has_id = variables.contains_key("CAMUNDA_CONSOLE_CLIENT_ID");
                let check = self.add("settings", Status::Failed, error.message());
                if let (Some(other), false) = (other, has_id) {
                    check.advice = Some(format!(
                        "{other} is a credential of a cluster; the Administration API needs the \
                         credentials of the organization (Console, Organization, Administration API)"
                    ));
                }
                None
            }
        }
    }

    fn check_client_certificate(&mut self, prober: &Prober) {
        if let Some(certificate) = prober.client_certificate() {
            let (status, message) = describe_certificate(certificate, SystemTime::now());
            self.add("client_certificate", status, &message);
        }
    }

    /// Checks the way to the API and to the token endpoint; once if both are on one server.
    fn check_servers(&mut self, prober: &Prober, config: &Config) -> Result<()> {
        let origin = |url: &str| {
            let authority = url.split('/').take(3).collect::<Vec<_>>();
            authority.join("/")
        };
        let (api, token) = (origin(config.base_url()), origin(config.oauth_url()));
        if api != token {
            self.check_server(prober, &api, config, false)?;
        }
        self.check_server(prober, &token, config, true)
    }

    fn check_server(
        &mut self,
        prober: &Prober,
        url: &str,
        config: &Config,
        checks_clock: bool,
    ) -> Result<()> {
        let call = CallContext::start(&self.options, config.timeout());
        let call = call.with_max_timeout(MAX_PROBE_TIME);
        let proxy = prober.proxy_for(url);
        let mut clock_skew = None;
        for StepResult {
            step,
            duration,
            result,
        } in prober.probe(url, &call)?
        {
            let (status, mut message) = match &result {
                Ok(finding) => describe_finding(finding),
                Err(problem) => (Status::Failed, problem.clone()),
            };
            if let (Some((proxy, source)), Ok(_)) = (&proxy, &result) {
                message = format!("{message} through the proxy {proxy} ({source})");
            }
            if let Ok(Finding::Responded {
                clock_skew: skew, ..
            }) = result
            {
                clock_skew = skew;
            }
            let name = match step {
                Step::Dns => "dns",
                Step::Tcp => "tcp",
                Step::Tls => "tls",
                Step::Http => "http",
            };
            let check = self.add(name, status, &message);
            check.target = Some(url.to_owned());
            check.duration_ms = Some(duration.as_secs_f64() * 1000.0);
            if status == Status::Failed {
                check.advice = advice_for(step).map(str::to_owned);
            }
        }
        if checks_clock {
            let (status, message) = describe_clock(clock_skew);
            let check = self.add("clock", status, &message);
            check.target = Some(url.to_owned());
            if matches!(status, Status::Warning | Status::Failed) {
                check.advice = Some("synchronize the clock of this machine (NTP)".to_owned());
            }
        }
        Ok(())
    }

    /// Requests a token through the cache. Returns whether there is one.
    fn check_token(&mut self, admin: &AdminClient, config: &Config) -> Result<bool> {
        if config.access_token().is_some() {
            let message = "set by `access_token`; no token request is sent";
            self.add("token", Status::Ok, message);
            return Ok(true);
        }
        let before = admin.stats().token_requests;
        match admin.token(config.audience()) {
            Ok(token) => {
                let source = match admin.stats().token_requests > before {
                    true => "obtained from the token endpoint",
                    false => "found in the token store",
                };
                let lifetime = token.expires_at().duration_since(SystemTime::now());
                let message = format!(
                    "{source}; audience {}; valid for {} s",
                    config.audience(),
                    lifetime.unwrap_or_default().as_secs()
                );
                self.add("token", Status::Ok, &message);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
            Err(error) => {
                self.add("token", Status::Failed, &full_message(&error));
                Ok(false)
            }
        }
    }

    fn check_token_store(&mut self, config: &Config, has_token: bool) {
        const NOT_SHARED: &str = "each process sends its own token requests; set a directory or a \
                                  Redis URL as `token_cache` to share them";
        if config.access_token().is_some() {
            let message = "not used with `access_token`";
            self.add("token_store", Status::Skipped, message);
            return;
        }
        let stores = auth::diagnostics().stores;
        for store in &stores {
            let mut missing: Vec<(&str, String)> = Vec::new();
            for (can, ability, error) in [
                (store.can_lock, "lock", &store.lock_error),
                (store.can_read, "read", &store.read_error),
                (store.can_write, "write", &store.write_error),
            ] {
                let reason = error.as_ref().or(store.last_error.as_ref());
                let reason = reason.map_or("unknown reason", String::as_str);
                match missing.iter_mut().find(|(known, _)| *known == reason) {
                    _ if can => {}
                    Some((_, abilities)) => abilities.push_str(&format!(", {ability}")),
                    None => missing.push((reason, ability.to_owned())),
                }
            }
            if missing.is_empty() {
                let message = match has_token {
                    true => format!("{}: usable", store.store),
                    false => format!("{}: no failure", store.store),
                };
                self.add("token_store", Status::Ok, &message);
            } else {
                let problems = missing
                    .iter()
                    .map(|(reason, abilities)| format!("cannot {abilities}: {reason}"));
                let problems = problems.collect::<Vec<_>>().join("; ");
                let message = format!("{}: {problems}", store.store);
                let check = self.add("token_store", Status::Warning, &message);
                check.advice = Some(NOT_SHARED.to_owned());
            }
        }
        if stores.is_empty() {
            let message = "memory: tokens are not shared with other processes";
            self.add("token_store", Status::Ok, message);
        }
    }

    /// Reads one resource of each kind. None of the responses contains a secret.
    fn check_permissions(&mut self, admin: &AdminClient) -> Result<()> {
        let clusters = admin.clusters().list();
        let first = clusters.as_ref().ok().and_then(|list| list.first());
        let first = first.map(|cluster| cluster.uuid.clone());
        self.permission("clusters", clusters.map(drop))?;
        self.permission("members", admin.members().list().map(drop))?;
        self.permission("audit log", read_activity(admin))?;
        match &first {
            Some(id) => {
                let cluster = admin.cluster(id);
                self.permission("cluster clients", cluster.clients().list().map(drop))?;
                self.permission("backups", cluster.backups().list().map(drop))?;
                self.permission("monitoring", cluster.monitoring().get().map(drop))?;
            }
            None => {
                for resource in ["cluster clients", "backups", "monitoring"] {
                    self.not_checked(resource, "no cluster");
                }
            }
        }
        self.not_checked("connector secrets", "the response contains their values");
        let of = |access| {
            let matching = self
                .report
                .permissions
                .iter()
                .filter(|it| it.access == access);
            matching.map(|it| it.resource).collect::<Vec<_>>()
        };
        let (allowed, denied, failed) =
            (of(Access::Allowed), of(Access::Denied), of(Access::Failed));
        let mut parts = Vec::new();
        for (what, resources) in [
            ("may read", &allowed),
            ("may not read", &denied),
            ("failed to read", &failed),
        ] {
            if !resources.is_empty() {
                parts.push(format!("{what} {}", resources.join(", ")));
            }
        }
        let status = match (allowed.is_empty(), failed.is_empty()) {
            (true, _) | (_, false) => Status::Failed,
            (false, true) => Status::Ok,
        };
        let check = self.add("permissions", status, &parts.join("; "));
        if allowed.is_empty() && failed.is_empty() {
            check.advice =
                Some("create credentials with the permissions needed in the Console".to_owned());
        }
        Ok(())
    }

    fn permission(&mut self, resource: &'static str, result: Result<()>) -> Result<()> {
        let (access, detail) = match result {
            Ok(()) => (Access::Allowed, None),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => (Access::Denied, None),
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => (Access::Failed, Some(error.to_string())),
        };
        self.report.permissions.push(Permission {
            resource,
            access,
            detail,
        });
        Ok(())
    }

    fn not_checked(&mut self, resource: &'static str, reason: &str) {
        self.report.permissions.push(Permission {
            resource,
            access: Access::NotChecked,
            detail: Some(reason.to_owned()),
        });
    }
}

/// Reads the beginning of the audit log, which can be large.
fn read_activity(admin: &AdminClient) -> Result<()> {
    struct FirstBytes {
        received: bool,
    }
    impl Write for FirstBytes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.received |= !bytes.is_empty();
            Err(io::Error::other("enough"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut sink = FirstBytes { received: false };
    let result = admin.activity().csv(&mut sink);
    match sink.received {
        true => Ok(()),
        false => result,
    }
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
fn settings(
    variables: &BTreeMap<String, Secret>,
    system: &BTreeMap<String, Secret>,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    add_variables(&mut settings, VARIABLES, variables);
    add_variables(&mut settings, SYSTEM_VARIABLES, system);
    add_defaults(&mut settings);
    settings
}

/// As [`settings`], for the settings of a client.
fn settings_of(config: &Config, system: &BTreeMap<String, Secret>) -> Vec<Setting> {
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
    add_variables(&mut settings, SYSTEM_VARIABLES, system);
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

fn full_message(error: &Error) -> String {
    match error.retry_after() {
        Some(delay) => format!("{error}; retry after {:.0} s", delay.as_secs_f64().ceil()),
        None => error.to_string(),
    }
}

fn describe_finding(finding: &Finding) -> (Status, String) {
    match finding {
        Finding::Resolved(addresses) => {
            let addresses: Vec<_> = addresses.iter().map(|it| it.ip().to_string()).collect();
            (Status::Ok, addresses.join(", "))
        }
        Finding::Connected(address) => (Status::Ok, format!("connected to {address}")),
        Finding::Encrypted {
            version,
            certificate: None,
        } => (Status::Ok, (*version).to_owned()),
        Finding::Encrypted {
            version,
            certificate: Some(certificate),
        } => {
            let (status, message) = describe_certificate(certificate, SystemTime::now());
            (status, format!("{version}; {message}"))
        }
        Finding::Responded { status, .. } => (Status::Ok, format!("responds (HTTP {status})")),
    }
}

fn describe_certificate(certificate: &Certificate, now: SystemTime) -> (Status, String) {
    let Certificate {
        subject,
        issuer,
        not_after,
    } = certificate;
    let (status, validity) = match not_after.duration_since(now) {
        Ok(left) => (
            match left < EXPIRY_WARNING {
                true => Status::Warning,
                false => Status::Ok,
            },
            format!("valid for {} days", left.as_secs() / (24 * 60 * 60)),
        ),
        Err(_) => (Status::Failed, "expired".to_owned()),
    };
    let until = httpdate::fmt_http_date(*not_after);
    (
        status,
        format!("certificate of {subject}, issued by {issuer}, {validity} (until {until})"),
    )
}

fn describe_clock(skew: Option<f64>) -> (Status, String) {
    let Some(skew) = skew else {
        let message = "the server sent no time";
        return (Status::Skipped, message.to_owned());
    };
    let status = match skew.abs() {
        skew if skew >= SKEW_FAILURE => Status::Failed,
        skew if skew >= SKEW_WARNING => Status::Warning,
        _ => Status::Ok,
    };
    let message = match (skew.abs(), skew > 0.0) {
        // The header has a resolution of one second.
        (..1.0, _) => "agrees with the clock of the server within 1 s".to_owned(),
        (difference, true) => format!("{difference:.0} s behind the clock of the server"),
        (difference, false) => format!("{difference:.0} s ahead of the clock of the server"),
    };
    (status, message)
}

fn advice_for(step: Step) -> Option<&'static str> {
    match step {
        Step::Dns => Some("check the host name, the DNS servers, and whether a proxy is required"),
        Step::Tcp => Some("check the firewall, and whether a proxy is required (HTTPS_PROXY)"),
        Step::Tls => Some(
            "if a private certificate authority or a TLS proxy issued the certificate, set `ca_file` \
             (CAMUNDA_CUSTOM_ROOT_CERT_PATH)",
        ),
        Step::Http => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(values: &[(&str, &str)]) -> BTreeMap<String, Secret> {
        values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::from(*value)))
            .collect()
    }

    #[test]
    fn settings_have_source_and_no_secret() {
        let found = settings(
            &variables(&[
                ("CAMUNDA_CONSOLE_CLIENT_SECRET", "hunter2"),
                ("CAMUNDA_CONSOLE_CLIENT_ID", "id"),
                (
                    "CAMUNDA_TOKEN_CACHE_REDIS_URL",
                    "redis://u:hunter2@host/0?password=hunter2",
                ),
                ("CAMUNDA_TOKEN_SCOPE", ""),
            ]),
            &variables(&[("HTTPS_PROXY", "u:hunter2@p@roxy:1")]),
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
            let found = settings(&variables(values), &variables(&[]));
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

    #[test]
    fn clock_skew_warns_from_30_s_and_fails_from_5_min() {
        for (skew, status, message) in [
            (
                Some(0.4),
                Status::Ok,
                "agrees with the clock of the server within 1 s",
            ),
            (
                Some(29.0),
                Status::Ok,
                "29 s behind the clock of the server",
            ),
            (
                Some(-30.0),
                Status::Warning,
                "30 s ahead of the clock of the server",
            ),
            (
                Some(300.0),
                Status::Failed,
                "300 s behind the clock of the server",
            ),
            (None, Status::Skipped, "the server sent no time"),
        ] {
            assert_eq!(describe_clock(skew), (status, message.to_owned()));
        }
    }

    #[test]
    fn certificate_warns_before_it_expires() {
        let not_after = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let certificate = Certificate {
            subject: "CN=api".to_owned(),
            issuer: "CN=ca".to_owned(),
            not_after,
        };
        let day = Duration::from_secs(24 * 60 * 60);
        for (now, status, validity) in [
            (not_after - 15 * day, Status::Ok, "valid for 15 days"),
            (not_after - 13 * day, Status::Warning, "valid for 13 days"),
            (not_after + day, Status::Failed, "expired"),
        ] {
            let expected = format!(
                "certificate of CN=api, issued by CN=ca, {validity} \
                 (until Fri, 15 Jan 2027 08:00:00 GMT)"
            );
            assert_eq!(describe_certificate(&certificate, now), (status, expected));
        }
    }
}
