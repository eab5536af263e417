//! The checks in their order, each with what it adds to the report.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::Source;
use super::findings::{advice_for, describe_certificate, describe_clock, describe_finding};
use super::report::{Access, Check, Permission, Report, Status};
use super::settings;
use crate::api::admin::AdminClient;
use crate::api::admin_builder::AdminClientBuilder;
use crate::auth::{self, StoreRole};
use crate::call::{CallContext, CallOptions};
use crate::config::Config;
use crate::credentials::read_env_file;
use crate::error::{ErrorKind, Result};
use crate::transport::probe::{Finding, Prober, Step, StepResult};

/// Maximum duration of the network steps of one server: DNS, TCP, TLS, HTTP.
const MAX_PROBE_TIME: Duration = Duration::from_secs(10);

/// Runs the checks. Fails if the caller cancels them.
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
        if has_token {
            // One that was found in a store has shown only that this store can be read.
            admin.check_token_stores();
        }
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
            duration: None,
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
        self.report.settings = settings::of_client(builder.config(), &settings::system_variables());
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
            Ok(None) => settings::variables(),
            Err(error) => {
                self.add("settings", Status::Failed, error.message());
                return None;
            }
        };
        self.report.settings = settings::of_variables(&variables, &settings::system_variables());
        let builder = match env_file {
            Some(path) => AdminClientBuilder::from_env_file(path),
            None => Ok(AdminClientBuilder::from_env()),
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
                Err(error) => (Status::Failed, error.message.clone()),
            };
            if let (Some((proxy, source)), Ok(_)) = (&proxy, &result) {
                message = format!("{message} through the proxy {proxy} ({source})");
            }
            if let Ok(Finding::Responded {
                clock_skew: skew, ..
            }) = &result
            {
                clock_skew = *skew;
            }
            let name = match step {
                Step::Dns => "dns",
                Step::Tcp => "tcp",
                Step::Tls => "tls",
                Step::Http => "http",
            };
            let check = self.add(name, status, &message);
            check.target = Some(url.to_owned());
            check.duration = Some(duration);
            if let Err(error) = &result {
                check.advice = advice_for(step, error).map(str::to_owned);
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
                let check = self.add("token", Status::Failed, &error.to_string());
                check.advice = match error.kind() {
                    ErrorKind::RateLimited => Some(
                        "programs behind this IP address send too many token requests; let all of them \
                         share tokens through a token store"
                            .to_owned(),
                    ),
                    ErrorKind::Authentication => advice_for_credentials(config),
                    _ => None,
                };
                Ok(false)
            }
        }
    }

    fn check_token_store(&mut self, config: &Config, has_token: bool) {
        const NOT_SHARED: &str = "each process sends its own token requests; set a directory or a \
                                  Redis URL as `token_cache` to share them";
        const CHECK_SERVER: &str = "check the server and its URL";
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
                let has_fallback = store.role == StoreRole::Shared
                    && stores
                        .iter()
                        .any(|it| it.role == StoreRole::Fallback && it.usable);
                check.advice = Some(match (has_fallback, store.store.starts_with("Redis")) {
                    (true, _) => {
                        format!("each host sends its own token requests; {CHECK_SERVER}")
                    }
                    (false, true) => {
                        format!("each process sends its own token requests; {CHECK_SERVER}")
                    }
                    (false, false) => NOT_SHARED.to_owned(),
                });
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
        // The list exists for every organization.
        let is_other_path = matches!(&clusters, Err(error) if error.kind() == ErrorKind::NotFound);
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
        if is_other_path {
            check.advice = Some("check the path in `base_url`, which is usually empty".to_owned());
        } else if allowed.is_empty() && failed.is_empty() {
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

/// Returns what to do if a credential was not set as it was issued, as with a line feed from a file or
/// with the quotes of a shell.
fn advice_for_credentials(config: &Config) -> Option<String> {
    let is_wrapped = |value: &str| {
        let edges = [value.chars().next(), value.chars().next_back()];
        edges
            .into_iter()
            .flatten()
            .any(|edge| edge.is_whitespace() || matches!(edge, '"' | '\''))
    };
    let wrapped: Vec<_> = ["client_id", "client_secret"]
        .into_iter()
        .filter(|key| {
            config
                .value_of(key)
                .is_some_and(|it| is_wrapped(it.expose()))
        })
        .map(|key| format!("`{key}`"))
        .collect();
    (!wrapped.is_empty()).then(|| {
        format!(
            "{} begins or ends with white space or a quotation mark; set it without",
            wrapped.join(" and ")
        )
    })
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
