//! Credentials from outside: an access token that is handed in, and a client secret in a file.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use camunda_admin::{AdminClient, AdminClientBuilder, CreateClusterClient, Error, ErrorKind};
use camunda_admin_sandbox::{Sandbox, SandboxBuilder};

use crate::limited::limit_this_process;
use crate::settings::in_a_process;

#[allow(dead_code)]
#[path = "../../examples/share_token.rs"]
mod share_token;

/// Audience of the API.
const API: &str = "api.cloud.camunda.io";

fn sandbox() -> SandboxBuilder {
    Sandbox::builder()
        .token_rate_limit(false)
        .rejection_delay(Duration::ZERO)
}

/// Returns a builder without credentials.
fn builder(sandbox: &Sandbox) -> AdminClientBuilder {
    limit_this_process();
    AdminClient::builder()
        .base_url(&sandbox.base_url())
        .oauth_url(&sandbox.oauth_url())
        .token_cache("memory")
        .timeout(Duration::from_secs(20))
}

fn with_file(sandbox: &Sandbox, path: &Path) -> AdminClientBuilder {
    builder(sandbox)
        .client_id(&sandbox.client_id())
        .client_secret_file(path)
}

fn token(sandbox: &Sandbox) -> String {
    let admin = crate::client(sandbox);
    admin.token(API).unwrap().expose().to_owned()
}

fn token_requests(sandbox: &Sandbox) -> u64 {
    sandbox.stats().token_requests
}

#[track_caller]
fn assert_authentication(error: &Error, detail: &str) {
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert!(error.to_string().contains(detail), "{error}");
}

#[test]
fn access_token_is_used_without_a_token_request() {
    let sandbox = sandbox().start();
    let token = token(&sandbox);
    let before = token_requests(&sandbox);
    // The credentials are ignored.
    for builder in [
        builder(&sandbox),
        builder(&sandbox).client_id("unknown"),
        builder(&sandbox)
            .client_id("unknown")
            .client_secret("wrong"),
    ] {
        let admin = builder.access_token(token.as_str()).build().unwrap();
        admin.clusters().list().unwrap();
        assert_eq!(admin.token(API).unwrap().expose(), token);
        admin.invalidate_tokens();
        admin.clear_auth_failure();
        admin
            .token_source(API)
            .unwrap()
            .invalidate(&admin.token(API).unwrap());
        admin.clusters().list().unwrap();
        let error = admin.token("zeebe.camunda.io").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        assert!(error.to_string().contains("`access_token`"), "{error}");
        assert_eq!(admin.stats().token_requests, 0);
    }
    assert_eq!(token_requests(&sandbox), before);
}

#[test]
fn access_token_that_the_api_rejects_is_an_authentication_error() {
    let sandbox = sandbox().start();
    let cluster = camunda_admin::ClusterId::new(sandbox.create_clusters(1).remove(0)).unwrap();
    let token = token(&sandbox);
    sandbox.revoke_tokens();
    let before = token_requests(&sandbox);
    let admin = builder(&sandbox)
        .access_token(token.as_str())
        .build()
        .unwrap();
    let requests = sandbox.stats().requests;
    let clients = admin.cluster(&cluster).clients();
    for error in [
        admin.clusters().list().unwrap_err(),
        clients.create(&CreateClusterClient::new("a")).unwrap_err(),
    ] {
        assert_authentication(
            &error,
            "the API rejected the access token in `access_token`",
        );
        assert!(error.to_string().contains("HTTP 401"), "{error}");
        assert!(!format!("{error:?} {error}").contains(&token), "{error}");
    }
    // Each was sent once, and no token was requested.
    assert_eq!(sandbox.stats().requests, requests + 2);
    assert_eq!(token_requests(&sandbox), before);
}

#[test]
fn access_token_that_is_expired_is_reported_as_such() {
    // Tokens that are JWTs have their expiry in them.
    let sandbox = sandbox().signed_tokens(true).start();
    let token = token(&sandbox);
    let admin = builder(&sandbox)
        .access_token(token.as_str())
        .build()
        .unwrap();
    let expires = admin.token(API).unwrap().expires_at();
    let left = expires
        .duration_since(std::time::SystemTime::now())
        .unwrap();
    assert!(left <= Duration::from_secs(24 * 3600), "{left:?}");
    // {"alg":"none"} and {"exp":1}
    let expired = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln";
    let admin = builder(&sandbox).access_token(expired).build().unwrap();
    let error = admin.clusters().list().unwrap_err();
    assert_authentication(&error, "the access token in `access_token` has expired");
}

#[test]
fn access_token_is_not_shown_by_debug_or_errors() {
    for invalid in ["", "a b", "Bearer hunter2", "hunter2\n", "hünter2"] {
        let error = AdminClient::builder()
            .access_token(invalid)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{invalid:?}: {error}");
        let text = format!("{error} {error:?}");
        assert!(text.contains("`access_token`"), "{text}");
        assert!(!text.contains("nter2"), "{text}");
    }
    let builder = AdminClient::builder().access_token("hunter2");
    assert!(!format!("{builder:?}").contains("hunter2"));
    let admin = builder.build().unwrap();
    let text = format!("{admin:?} {:?}", admin.token_source(API).unwrap());
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!format!("{:?}", admin.diagnostics()).contains("hunter2"));
}

#[test]
fn client_secret_file_is_read_again_when_the_secret_was_rotated() {
    let sandbox = sandbox().start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, sandbox.client_secret() + "\n").unwrap();
    let admin = with_file(&sandbox, &path).build().unwrap();
    admin.clusters().list().unwrap();

    let rotated = sandbox.rotate_secret();
    sandbox.revoke_tokens();
    // Not in the file yet: the rejection is reported, and not repeated.
    let error = admin.clusters().list().unwrap_err();
    assert_authentication(&error, "rejected the client credentials");
    let before = token_requests(&sandbox);
    assert_authentication(&admin.clusters().list().unwrap_err(), "retry after");
    assert_eq!(token_requests(&sandbox), before);

    fs::remove_file(&path).unwrap();
    let error = admin.clusters().list().unwrap_err();
    assert_authentication(&error, "`client_secret_file`: ");
    assert!(error.to_string().contains("No such file"), "{error}");

    // From the first call on, though requests with the old secret are suspended.
    fs::write(&path, format!("{rotated}\r\n")).unwrap();
    admin.clusters().list().unwrap();
    assert_eq!(token_requests(&sandbox), before + 1);
    admin.clusters().list().unwrap();
    assert_eq!(token_requests(&sandbox), before + 1);
}

#[test]
fn client_secret_file_is_read_again_when_rejections_take_longer_than_calls() {
    let sandbox = Sandbox::builder()
        .token_rate_limit(false)
        .rejection_delay(Duration::from_secs(60))
        .start();
    // The sandbox delays all rejections of a secret but the first.
    let stale = builder(&sandbox)
        .client_id(&sandbox.client_id())
        .client_secret("stale")
        .scope("other");
    let error = stale.build().unwrap().clusters().list().unwrap_err();
    assert_authentication(&error, "rejected the client credentials");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, "stale").unwrap();
    let admin = with_file(&sandbox, &path)
        .timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    fs::write(&path, sandbox.client_secret()).unwrap();
    let error = admin.clusters().list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    admin.clusters().list().unwrap();
}

#[test]
fn client_secret_file_is_read_once_for_all_threads_after_a_rotation() {
    let sandbox = sandbox().start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, sandbox.client_secret()).unwrap();
    let admin = with_file(&sandbox, &path).build().unwrap();
    admin.clusters().list().unwrap();
    fs::write(&path, sandbox.rotate_secret()).unwrap();
    sandbox.revoke_tokens();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| admin.clusters().list().unwrap());
        }
    });
    // A rejected request with the old secret, and one with the new secret, after the first.
    assert_eq!(token_requests(&sandbox), 3);
}

#[test]
fn client_secret_file_is_named_by_errors() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let error = AdminClient::builder()
        .client_id("a")
        .client_secret_file(&missing)
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let expected = format!("`client_secret_file`: {} cannot be read", missing.display());
    assert!(error.to_string().starts_with(&expected), "{error}");

    let both = AdminClient::builder()
        .client_id("a")
        .client_secret("b")
        .client_secret_file(&missing);
    let error = both.build().unwrap_err().to_string();
    let expected = "`client_secret` and `client_secret_file` are both set";
    assert!(error.starts_with(expected), "{error}");
}

fn without(environment: &[(String, String)], names: &[&str]) -> Vec<(String, String)> {
    let kept = environment
        .iter()
        .filter(|(name, _)| !names.contains(&&**name));
    kept.cloned().collect()
}

#[test]
fn from_env_reads_token_and_secret_file() {
    let sandbox = sandbox().start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, sandbox.client_secret() + "\n").unwrap();
    #[cfg(unix)]
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    let all = sandbox.environment();
    let secret = "CAMUNDA_CONSOLE_CLIENT_SECRET";
    let mut with_file = without(&all, &[secret]);
    with_file.push((format!("{secret}_FILE"), path.clone()));
    in_a_process("settings::lists_with_the_environment", &with_file);
    let before = token_requests(&sandbox);
    let mut with_token = without(&all, &["CAMUNDA_CONSOLE_CLIENT_ID", secret]);
    with_token.push(("CAMUNDA_CONSOLE_ACCESS_TOKEN".into(), token(&sandbox)));
    in_a_process("settings::lists_with_the_environment", &with_token);
    assert_eq!(token_requests(&sandbox), before + 1);

    let mut both = all;
    both.push((format!("{secret}_FILE"), path));
    in_a_process("credentials::names_both_variables", &both);
}

#[test]
#[ignore = "run by others in a process of its own"]
fn names_both_variables() {
    let error = AdminClient::from_env().unwrap_err().to_string();
    for name in [
        "CAMUNDA_CONSOLE_CLIENT_SECRET ",
        "CAMUNDA_CONSOLE_CLIENT_SECRET_FILE",
    ] {
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn one_job_gets_the_token_for_49_others() {
    let sandbox = Sandbox::start();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token.txt");
    let mut environment = sandbox.environment();
    let file = |path: &Path| ("TOKEN_FILE".to_owned(), path.to_str().unwrap().to_owned());
    environment.push(file(&path));
    let output = in_a_process("credentials::provides_a_token", &environment);
    let token = fs::read_to_string(&path).unwrap();
    assert!(!output.contains(&token), "{output}");

    let mut environment = without(
        &environment,
        &["CAMUNDA_CONSOLE_CLIENT_ID", "CAMUNDA_CONSOLE_CLIENT_SECRET"],
    );
    environment.push(("CAMUNDA_CONSOLE_ACCESS_TOKEN".into(), token));
    thread::scope(|scope| {
        for _ in 0..7 {
            scope.spawn(|| {
                for _ in 0..7 {
                    in_a_process("credentials::uses_the_token", &environment);
                }
            });
        }
    });
    let stats = sandbox.stats();
    assert_eq!((stats.token_requests, stats.requests), (1, 49));
}

#[test]
#[ignore = "run by others in a process of its own"]
fn provides_a_token() {
    share_token::provide(Path::new(&std::env::var("TOKEN_FILE").unwrap())).unwrap();
}

#[test]
#[ignore = "run by others in a process of its own"]
fn uses_the_token() {
    share_token::use_token().unwrap();
}

#[cfg(unix)]
#[test]
fn client_secret_file_that_others_can_read_is_warned_about_once() {
    let output = in_a_process("credentials::warns_once_about_an_open_file", &[]);
    assert!(!output.contains("hunter2"), "{output}");
}

#[cfg(unix)]
#[test]
#[ignore = "run by others in a process of its own"]
fn warns_once_about_an_open_file() {
    use std::os::unix::fs::PermissionsExt;

    crate::log_collector::collect(log::LevelFilter::Warn);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    fs::write(&path, "hunter2").unwrap();
    let build = || {
        AdminClient::builder()
            .client_id("a")
            .client_secret_file(&path)
            .build()
            .unwrap()
    };
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    build();
    assert_eq!(crate::log_collector::records(), [""; 0]);
    fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    build();
    build();
    let expected = format!(
        "WARN client secret file is accessible to other users, restrict it with `chmod 600`: path={path:?} \
         mode=0640"
    );
    assert_eq!(crate::log_collector::records(), [expected]);
}
