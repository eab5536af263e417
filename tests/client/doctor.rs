//! The program `camunda-admin`: its reports, its output and its exit status.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use camunda_admin::doctor::{self, Report, Status};
use camunda_admin::{Cancel, ErrorKind};
use camunda_admin_sandbox::{CertificateFault, Fault, Permission, Sandbox};
use serde_json::{Value, json};

use crate::deadline_check::in_time;
use crate::limited::{Ended, PROGRAM_LIMIT, run_to_end};
use crate::unreachable_ports::closed_port;

const PROGRAM: &str = env!("CARGO_BIN_EXE_camunda-admin");

/// The environment of a program, with a home directory of its own.
struct Environment {
    home: tempfile::TempDir,
    variables: BTreeMap<String, String>,
}

impl Environment {
    fn of(sandbox: &Sandbox) -> Environment {
        Environment {
            home: tempfile::tempdir().unwrap(),
            variables: sandbox.environment().into_iter().collect(),
        }
    }

    fn set(mut self, name: &str, value: impl Into<String>) -> Environment {
        self.variables.insert(name.to_owned(), value.into());
        self
    }

    fn unset(mut self, name: &str) -> Environment {
        assert!(self.variables.remove(name).is_some(), "{name} is not set");
        self
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        self.run_program(Command::new(PROGRAM), arguments)
    }

    fn run_program(&self, mut command: Command, arguments: &[&str]) -> Ended {
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.home.path())
            .envs(&self.variables);
        run_to_end(command, PROGRAM_LIMIT)
    }

    /// Runs `doctor --json` and returns the exit status and the report.
    fn report(&self) -> (Option<i32>, Value) {
        let ended = self.run(&["doctor", "--json"]);
        let report = serde_json::from_str(&ended.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", ended.stdout, ended.stderr));
        (ended.status.code(), report)
    }
}

/// Returns the checks with this name.
fn checks<'a>(report: &'a Value, name: &str) -> Vec<&'a Value> {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().filter(|it| it["name"] == name).collect()
}

/// Returns the only check with this name.
#[track_caller]
fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    match checks(report, name)[..] {
        [check] => check,
        _ => panic!("{name}: {report:#}"),
    }
}

/// Asserts the status of a check and that its message contains `part`.
#[track_caller]
fn assert_check(report: &Value, name: &str, status: &str, part: &str) {
    let check = check(report, name);
    assert_eq!(check["status"], status, "{report:#}");
    let message = check["message"].as_str().unwrap();
    assert!(message.contains(part), "{check:#}");
}

#[test]
fn doctor_reports_a_working_environment() {
    let sandbox = Sandbox::start();
    sandbox.create_cluster(json!({ "name": "orders" }));
    let environment = Environment::of(&sandbox);
    let (status, report) = environment.report();
    assert_eq!(status, Some(0), "{report:#}");
    assert_eq!(report["ok"], true);
    assert_check(&report, "settings", "ok", "complete and valid");
    assert_check(&report, "dns", "ok", "127.0.0.1");
    assert_check(&report, "tcp", "ok", "connected to 127.0.0.1:");
    assert_check(&report, "http", "ok", "responds (HTTP ");
    assert_check(
        &report,
        "clock",
        "ok",
        "agrees with the clock of the server",
    );
    assert_check(&report, "token", "ok", "obtained from the token endpoint");
    assert_check(&report, "token_store", "ok", "usable");
    assert_check(
        &report,
        "permissions",
        "ok",
        "may read clusters, members, audit log, cluster clients, backups, monitoring",
    );
    let secret = report["settings"].as_array().unwrap().iter();
    let secret: Vec<_> = secret.filter(|it| it["key"] == "client_secret").collect();
    assert_eq!(
        secret,
        [&json!({
            "key": "client_secret",
            "value": null,
            "is_set": true,
            "source": "CAMUNDA_CONSOLE_CLIENT_SECRET",
        })]
    );

    // As text, with the token of the store.
    let ended = environment.run(&["doctor"]);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stdout);
    for part in [
        "client_secret         (hidden)  [CAMUNDA_CONSOLE_CLIENT_SECRET]",
        "ok       token               found in the token store",
        "connector secrets     not checked",
        "\n0 failed, 0 warnings\n",
    ] {
        assert!(ended.stdout.contains(part), "{part}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains(&sandbox.client_secret()));
    assert_eq!(sandbox.stats().token_requests, 1);
    assert_eq!(
        sandbox
            .requests_to("GET /clusters/{clusterUuid}/secrets")
            .len(),
        0
    );
    let writes = sandbox.requests();
    let writes = writes
        .iter()
        .filter(|it| it.method != "GET" && it.path != "/oauth/token");
    assert_eq!(writes.count(), 0);
}

#[test]
fn doctor_names_a_missing_variable_and_credentials_of_a_cluster() {
    let sandbox = Sandbox::start();
    let environment = Environment::of(&sandbox)
        .unset("CAMUNDA_CONSOLE_CLIENT_ID")
        .set("ZEEBE_CLIENT_ID", "worker");
    let (status, report) = environment.report();
    assert_eq!(status, Some(1), "{report:#}");
    assert_check(&report, "settings", "failed", "CAMUNDA_CONSOLE_CLIENT_ID");
    assert_check(&report, "token", "skipped", "an earlier check failed");
    let advice = check(&report, "settings")["advice"].as_str().unwrap();
    assert!(
        advice.contains("ZEEBE_CLIENT_ID is a credential of a cluster"),
        "{advice}"
    );
    assert_eq!(sandbox.requests().len(), 0);
}

/// Returns the settings of a report: key, value, source.
fn settings(report: &Report) -> Vec<(&str, Option<&str>, &str)> {
    let settings = report.settings.iter();
    settings
        .map(|it| (it.key, it.value.as_deref(), it.source.as_str()))
        .collect()
}

#[test]
fn doctor_checks_the_settings_of_a_builder() {
    let sandbox = Sandbox::start();
    let (url, token_url) = (sandbox.base_url(), sandbox.oauth_url());
    let (id, store) = (sandbox.client_id(), tempfile::tempdir().unwrap());
    let builder = crate::builder(&sandbox).token_cache(store.path().to_str().unwrap());
    let report = doctor::run(&doctor::Options::new().settings(builder)).unwrap();
    assert!(report.is_ok(), "{report}");
    let mut listed = settings(&report);
    // Those of the system, such as `SSL_CERT_FILE`.
    listed.retain(|(.., source)| !source.contains(char::is_uppercase));
    assert_eq!(
        listed,
        [
            ("client_id", Some(id.as_str()), "program"),
            ("client_secret", None, "program"),
            ("base_url", Some(url.as_str()), "program"),
            ("oauth_url", Some(token_url.as_str()), "program"),
            ("token_cache", store.path().to_str(), "program"),
            ("timeout", Some("20"), "program"),
            ("audience", Some("api.cloud.camunda.io"), "default"),
        ]
    );

    let builder = crate::builder(&sandbox).base_url("ftp://a");
    let report = doctor::run(&doctor::Options::new().settings(builder)).unwrap();
    assert!(!report.is_ok(), "{report}");
    let check = &report.checks[0];
    assert_eq!((check.name, check.status), ("settings", Status::Failed));
    assert!(check.message.contains("`base_url`"), "{report}");
}

#[test]
fn doctor_ends_when_it_is_cancelled() {
    let sandbox = Sandbox::start();
    // A server that accepts connections and sends nothing: with https://, the TLS handshake waits; with
    // http://, the second connection has the request.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for (scheme, connections) in [("https", 1), ("http", 2)] {
        let url = format!("{scheme}://{}", silent.local_addr().unwrap());
        in_time(|| {
            let cancel = Cancel::new();
            let options = doctor::Options::new()
                .settings(crate::builder(&sandbox).base_url(&url))
                .cancel(cancel.clone());
            let checked = thread::spawn(move || (doctor::run(&options), Instant::now()));
            let accepted: Vec<_> = (0..connections).map(|_| silent.accept().unwrap()).collect();
            let begun = Instant::now();
            cancel.cancel();
            let (checked, ended) = checked.join().unwrap();
            assert_eq!(checked.unwrap_err().kind(), ErrorKind::Cancelled);
            drop(accepted);
            ((), ended.saturating_duration_since(begun))
        });
    }
}

#[test]
fn doctor_reports_rejected_credentials_after_one_token_request() {
    let sandbox = Sandbox::builder()
        .rejection_delay(Duration::from_millis(10))
        .start();
    let environment =
        Environment::of(&sandbox).set("CAMUNDA_CONSOLE_CLIENT_SECRET", "not-the-secret");
    let (status, report) = environment.report();
    assert_eq!(status, Some(1), "{report:#}");
    assert_check(
        &report,
        "token",
        "failed",
        "rejected the client credentials (HTTP 401)",
    );
    assert_check(&report, "permissions", "skipped", "an earlier check failed");
    // The rejection is remembered: the next run sends no token request.
    let (_, report) = environment.report();
    assert_check(&report, "token", "failed", "retry after");
    assert_eq!(sandbox.stats().token_requests, 1);
    assert!(!report.to_string().contains("not-the-secret"));
}

#[test]
fn doctor_reports_an_unreachable_server() {
    let sandbox = Sandbox::start();
    let (_reserved, address) = closed_port();
    let closed = format!("http://{address}");
    let environment = Environment::of(&sandbox).set("CAMUNDA_CONSOLE_BASE_URL", &closed);
    let ended = environment.run(&["doctor", "--json", "--timeout", "2"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{report:#}");
    let failed = checks(&report, "tcp");
    assert_eq!(failed[0]["status"], "failed", "{report:#}");
    assert_eq!(failed[0]["target"], json!(closed));
    assert_eq!(failed[1]["status"], "ok", "{report:#}");
    // The token endpoint responds.
    assert_check(&report, "token", "ok", "token endpoint");
    assert_check(&report, "permissions", "failed", "failed to read clusters");
}

#[test]
fn doctor_reports_an_unknown_host() {
    let sandbox = Sandbox::start();
    let environment = Environment::of(&sandbox)
        .set("CAMUNDA_CONSOLE_BASE_URL", "https://api.camunda.invalid")
        .set(
            "CAMUNDA_OAUTH_URL",
            "https://api.camunda.invalid/oauth/token",
        );
    let ended = environment.run(&["doctor", "--json", "--timeout", "2"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{report:#}");
    assert_eq!(check(&report, "dns")["status"], "failed", "{report:#}");
    assert_eq!(check(&report, "clock")["status"], "skipped", "{report:#}");
    assert_eq!(checks(&report, "tcp").len(), 0, "{report:#}");
}

#[test]
fn doctor_reports_a_token_store_that_cannot_be_used() {
    // Two processes that do not share tokens.
    let sandbox = Sandbox::builder().token_rate_limit(false).start();
    let environment = Environment::of(&sandbox);
    let file = environment.home.path().join("file");
    fs::write(&file, "").unwrap();
    let directory = file.join("cache");
    let environment = environment.set(
        "CAMUNDA_TOKEN_CACHE_DIR",
        directory.to_str().unwrap().to_owned(),
    );
    let (status, report) = environment.report();
    // Calls succeed.
    assert_eq!(status, Some(0), "{report:#}");
    assert_check(&report, "token_store", "warning", "Not a directory");
    assert!(check(&report, "token_store")["advice"].is_string());
    let text = environment.run(&["doctor"]).stdout;
    assert!(text.ends_with("\n0 failed, 1 warning\n"), "{text}");
    assert_check(&report, "token", "ok", "token endpoint");
}

#[cfg(unix)]
#[test]
fn doctor_reports_that_tokens_are_not_shared() {
    let sandbox = Sandbox::start();
    // No home directory, so that there is no default directory.
    let mut command = Command::new("env");
    command.args(["-u", "HOME", PROGRAM]);
    let environment = Environment::of(&sandbox);
    let ended = environment.run_program(command, &["doctor", "--json"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_check(&report, "token_store", "warning", "HOME");

    // Another server, because this process requests a token, too.
    let sandbox = Sandbox::start();
    let environment = Environment::of(&sandbox).set("CAMUNDA_TOKEN_DISK_CACHE_DISABLE", "true");
    let (status, report) = environment.report();
    assert_eq!(status, Some(0), "{report:#}");
    assert_check(
        &report,
        "token_store",
        "ok",
        "memory: tokens are not shared",
    );
}

#[cfg(unix)]
#[test]
fn doctor_reports_a_read_only_token_store() {
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::os::unix::process::CommandExt;

    const OTHER_USER: u32 = 60_321;
    let sandbox = Sandbox::start();
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    open(folder.path(), 0o755);
    let program = folder.path().join("camunda-admin");
    fs::copy(PROGRAM, &program).unwrap();
    let cache = folder.path().join("cache");
    fs::create_dir(&cache).unwrap();
    let environment =
        Environment::of(&sandbox).set("CAMUNDA_TOKEN_CACHE_DIR", cache.to_str().unwrap());
    // Permissions do not restrict root.
    let is_root = chown(&cache, Some(OTHER_USER), Some(OTHER_USER)).is_ok();
    let report = || {
        let mut command = Command::new(&program);
        if is_root {
            command.uid(OTHER_USER).gid(OTHER_USER);
        }
        let ended = environment.run_program(command, &["doctor", "--json"]);
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{report:#}");
        report
    };
    open(&cache, 0o700);
    assert_check(&report(), "token_store", "ok", "usable");
    open(&cache, 0o500);
    // A cached token can be read.
    let cached = report();
    assert_check(&cached, "token", "ok", "found in the token store");
    assert_check(&cached, "token_store", "warning", "ermission denied");
    open(&cache, 0o700);
    fs::remove_dir_all(&cache).unwrap();
    fs::create_dir(&cache).unwrap();
    if is_root {
        chown(&cache, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
    }
    open(&cache, 0o500);
    sandbox.advance(Duration::from_secs(60));
    let empty = report();
    assert_check(&empty, "token", "ok", "token endpoint");
    assert_check(&empty, "token_store", "warning", "ermission denied");
}

#[test]
fn doctor_reports_a_wrong_clock() {
    // The sandbox sends its own time.
    let sandbox = Sandbox::builder()
        .start_time(SystemTime::now() + Duration::from_secs(3600))
        .start();
    let (status, report) = Environment::of(&sandbox).report();
    assert_eq!(status, Some(1), "{report:#}");
    assert_check(
        &report,
        "clock",
        "failed",
        " s behind the clock of the server",
    );
    assert!(
        check(&report, "clock")["advice"]
            .as_str()
            .unwrap()
            .contains("NTP")
    );
}

#[test]
fn doctor_reports_the_certificates() {
    let sandbox = Sandbox::builder().client_certificates(true).start();
    let environment = Environment::of(&sandbox);
    let (status, report) = environment.report();
    assert_eq!(status, Some(0), "{report:#}");
    assert_check(&report, "tls", "ok", "TLS 1.3; certificate of ");
    assert_eq!(checks(&report, "client_certificate").len(), 1, "{report:#}");

    let environment = environment.unset("CAMUNDA_CUSTOM_ROOT_CERT_PATH");
    let ended = environment.run(&["doctor", "--json", "--timeout", "5"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{report:#}");
    assert_check(&report, "tls", "failed", "certificate");
    let advice = check(&report, "tls")["advice"].as_str().unwrap();
    assert!(advice.contains("CAMUNDA_CUSTOM_ROOT_CERT_PATH"), "{advice}");
}

/// Returns the advice of the first check with this name and status.
#[track_caller]
fn advice<'a>(report: &'a Value, name: &str, status: &str) -> &'a str {
    let found = checks(report, name)
        .into_iter()
        .find(|it| it["status"] == status);
    let advice = found.and_then(|it| it["advice"].as_str());
    advice.unwrap_or_else(|| panic!("{name}: {report:#}"))
}

#[test]
fn doctor_advises_on_a_defective_certificate() {
    for (fault, expected) in [
        (CertificateFault::Expired, "check the clock of this machine"),
        (
            CertificateFault::WrongName,
            "check the host name of the URL",
        ),
        (CertificateFault::UnknownCa, "set `ca_file`"),
    ] {
        let sandbox = Sandbox::builder().certificate_fault(fault).start();
        let (status, report) = Environment::of(&sandbox).report();
        assert_eq!(status, Some(1), "{report:#}");
        let advice = advice(&report, "tls", "failed");
        assert!(advice.contains(expected), "{fault:?}: {advice}");
    }
}

#[test]
fn doctor_advises_on_the_rate_limit_of_token_requests() {
    let sandbox = Sandbox::start();
    sandbox.add_fault(Fault::on("token").status(429));
    let environment = Environment::of(&sandbox);
    let ended = environment.run(&["doctor", "--json", "--timeout", "2"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let message = check(&report, "token")["message"].as_str().unwrap();
    assert_eq!(message.matches("retry after").count(), 1, "{message}");
    let advice = advice(&report, "token", "failed");
    assert!(advice.contains("behind this IP address"), "{advice}");
}

#[test]
fn doctor_advises_on_credentials_with_white_space_or_quotes() {
    let sandbox = Sandbox::builder()
        .token_rate_limit(false)
        .rejection_delay(Duration::from_millis(10))
        .start();
    let (id, secret) = (sandbox.client_id(), sandbox.client_secret());
    for (name, value, expected) in [
        (
            "CAMUNDA_CONSOLE_CLIENT_SECRET",
            format!("{secret}\n"),
            "`client_secret` ",
        ),
        (
            "CAMUNDA_CONSOLE_CLIENT_SECRET",
            format!("'{secret}'"),
            "`client_secret` ",
        ),
        (
            "CAMUNDA_CONSOLE_CLIENT_ID",
            format!("{id} "),
            "`client_id` ",
        ),
    ] {
        let environment = Environment::of(&sandbox).set(name, value);
        let (status, report) = environment.report();
        assert_eq!(status, Some(1), "{}", report["checks"]);
        let advice = advice(&report, "token", "failed");
        assert!(advice.starts_with(expected), "{advice}");
        assert!(!report.to_string().contains(&secret));
    }
    let environment = Environment::of(&sandbox).set("CAMUNDA_CONSOLE_CLIENT_SECRET", "other");
    let (_, report) = environment.report();
    assert!(check(&report, "token")["advice"].is_null(), "{report:#}");
}

#[test]
fn doctor_advises_to_check_the_path_of_the_base_url() {
    let sandbox = Sandbox::start();
    let url = format!("{}/v1", sandbox.base_url());
    let environment = Environment::of(&sandbox).set("CAMUNDA_CONSOLE_BASE_URL", url);
    let (status, report) = environment.report();
    assert_eq!(status, Some(1), "{report:#}");
    let advice = advice(&report, "permissions", "failed");
    assert!(advice.contains("check the path in `base_url`"), "{advice}");
}

#[cfg(feature = "redis")]
#[test]
fn doctor_advises_to_check_a_redis_server_that_is_not_reachable() {
    let sandbox = Sandbox::start();
    let (_reserved, address) = closed_port();
    let url = format!("redis://{address}");
    let environment = Environment::of(&sandbox).set("CAMUNDA_TOKEN_CACHE_REDIS_URL", url);
    let (status, report) = environment.report();
    assert_eq!(status, Some(0), "{report:#}");
    let expected = "each host sends its own token requests; check the server and its URL";
    assert_eq!(advice(&report, "token_store", "warning"), expected);

    // Without the files as the fallback.
    let environment = environment.set("CAMUNDA_TOKEN_DISK_CACHE_DISABLE", "true");
    let (_, report) = environment.report();
    let expected = "each process sends its own token requests; check the server and its URL";
    assert_eq!(advice(&report, "token_store", "warning"), expected);
}

#[test]
fn doctor_reports_a_proxy_that_does_not_respond() {
    let sandbox = Sandbox::start();
    let (_reserved, proxy) = closed_port();
    let environment = Environment::of(&sandbox)
        .set("CAMUNDA_CONSOLE_BASE_URL", "https://api.camunda.invalid")
        .set("HTTPS_PROXY", format!("http://user:hunter2@{proxy}"));
    let ended = environment.run(&["doctor", "--json", "--timeout", "2"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{report:#}");
    let http = checks(&report, "http")[0];
    assert_eq!(http["status"], "failed", "{report:#}");
    let message = http["message"].as_str().unwrap();
    assert!(message.contains("cannot connect to the proxy"), "{message}");
    assert!(message.contains("HTTPS_PROXY"), "{message}");
    assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
}

#[test]
fn doctor_lists_denied_permissions() {
    let sandbox = Sandbox::start();
    let reader = sandbox.add_credentials(&[Permission::ClusterGet]);
    let environment = Environment::of(&sandbox)
        .set("CAMUNDA_CONSOLE_CLIENT_ID", reader.client_id)
        .set("CAMUNDA_CONSOLE_CLIENT_SECRET", reader.client_secret);
    let (status, report) = environment.report();
    assert_eq!(status, Some(0), "{report:#}");
    assert_check(
        &report,
        "permissions",
        "ok",
        "may read clusters; may not read members, audit log",
    );

    let none = sandbox.add_credentials(&[Permission::WebModeler]);
    let environment = environment
        .set("CAMUNDA_CONSOLE_CLIENT_ID", none.client_id)
        .set("CAMUNDA_CONSOLE_CLIENT_SECRET", none.client_secret);
    let (status, report) = environment.report();
    assert_eq!(status, Some(1), "{report:#}");
    assert_check(&report, "permissions", "failed", "may not read clusters");
}

#[test]
fn token_is_printed_from_the_shared_cache() {
    let sandbox = Sandbox::start();
    let environment = Environment::of(&sandbox);
    let first = environment.run(&["token", "--audience", "api.cloud.camunda.io"]);
    assert!(first.status.success(), "{}", first.stderr);
    let token = first.stdout.strip_suffix('\n').unwrap();
    assert!(!token.is_empty() && !token.contains(char::is_whitespace));
    // The default audience; by another process.
    let second = environment.run(&["token"]);
    assert!(second.stdout == first.stdout);
    assert_eq!(sandbox.stats().token_requests, 1);
}

#[test]
fn access_token_is_used_without_a_token_request() {
    let sandbox = Sandbox::start();
    let environment = Environment::of(&sandbox);
    let token = environment.run(&["token"]).stdout.trim().to_owned();
    let environment = environment
        .unset("CAMUNDA_CONSOLE_CLIENT_ID")
        .unset("CAMUNDA_CONSOLE_CLIENT_SECRET")
        .set("CAMUNDA_CONSOLE_ACCESS_TOKEN", token.as_str());
    let (status, report) = environment.report();
    assert_eq!(status, Some(0), "the report has {}", report["checks"]);
    assert_check(&report, "token", "ok", "`access_token`");
    assert_check(&report, "permissions", "ok", "may read clusters");
    assert!(!report.to_string().contains(&token));
    let settings = report["settings"].as_array().unwrap();
    assert!(settings.iter().all(|it| it["key"] != "client_secret"));
    assert_eq!(sandbox.stats().token_requests, 1);

    let environment = environment.set("CAMUNDA_CONSOLE_ACCESS_TOKEN", "no-token");
    let (status, report) = environment.report();
    assert_eq!(status, Some(1), "{report:#}");
    assert_check(&report, "permissions", "failed", "failed to read clusters");
}

#[test]
fn settings_are_read_from_a_credential_file() {
    let sandbox = Sandbox::start();
    let mut environment = Environment::of(&sandbox);
    let file = environment.home.path().join("console.env");
    let lines = std::mem::take(&mut environment.variables).into_iter();
    let text: String = lines
        .map(|(name, value)| format!("export {name}='{value}'\n"))
        .collect();
    fs::write(&file, text).unwrap();
    for command in ["doctor", "token"] {
        let ended = environment.run(&[command, "--env-file", file.to_str().unwrap()]);
        assert!(ended.status.success(), "{command}: {}", ended.stderr);
    }
}

#[test]
fn errors_and_exit_status_of_invalid_arguments() {
    let sandbox = Sandbox::start();
    let environment = Environment::of(&sandbox);
    for (arguments, message) in [
        (&[][..], "no command"),
        (&["docter"], "unknown command \"docter\""),
        (&["token", "--json"], "--json"),
        (&["doctor", "--audience", "a"], "--audience"),
        (&["token", "--timeout", "0"], "above zero"),
        (&["token", "--timeout", "soon"], "a number of seconds"),
        (&["token", "a"], "unexpected argument"),
    ] {
        let ended = environment.run(arguments);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(
            ended.stderr.contains(message),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert_eq!(ended.stdout, "");
    }
    let missing = environment.unset("CAMUNDA_CONSOLE_CLIENT_SECRET");
    let ended = missing.run(&["token"]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("CAMUNDA_CONSOLE_CLIENT_SECRET"),
        "{}",
        ended.stderr
    );
    for option in ["--help", "--version"] {
        let ended = missing.run(&[option]);
        assert!(ended.status.success());
        assert!(ended.stdout.contains("camunda-admin"), "{}", ended.stdout);
    }
}

#[test]
fn doctor_ends_a_tls_handshake_whose_bytes_arrive_one_by_one() {
    let sandbox = Sandbox::start();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || {
                let mut stream = stream.unwrap();
                // A TLS record with a handshake message of 16 KiB.
                let mut bytes = vec![22, 3, 3, 64, 0, 2, 0, 63, 252];
                bytes.resize(16 * 1024, 0);
                for byte in bytes {
                    if stream.write_all(&[byte]).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_millis(50));
                }
            });
        }
    });
    let environment = Environment::of(&sandbox).set("CAMUNDA_CONSOLE_BASE_URL", url);
    let ended = environment.run(&["doctor", "--json", "--timeout", "1"]);
    let report: Value = serde_json::from_str(&ended.stdout).unwrap();
    let handshake = &checks(&report, "tls")[0];
    assert_eq!(handshake["status"], "failed", "{report:#}");
    let duration = handshake["duration_ms"].as_f64().unwrap();
    assert!(duration < 3_000.0, "{duration}");
}
