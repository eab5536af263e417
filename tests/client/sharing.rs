//! Reports of a token store that cannot be used: errors, diagnostics and the log.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use camunda_admin::{AdminClient, AdminClientBuilder, ErrorKind, StoreLock, TokenStore};
use camunda_admin_sandbox::{Fault, Sandbox};

use crate::log_collector;
use crate::settings::in_a_process;

fn client(sandbox: &Sandbox, directory: &Path) -> AdminClient {
    crate::builder(sandbox)
        .token_cache(directory.to_str().unwrap())
        .build()
        .unwrap()
}

#[test]
fn rate_limit_error_ends_with_the_reason_why_tokens_are_not_shared() {
    in_a_process("sharing::reports_stores_that_cannot_be_used", &[]);
}

/// In a process of its own, because a process has one logger.
#[test]
#[ignore = "run by another in a process of its own"]
fn reports_stores_that_cannot_be_used() {
    log_collector::collect(log::LevelFilter::Warn);
    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    let (open, link) = (place.join("open"), place.join("link"));
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).unwrap();
    symlink(&open, &link).unwrap();
    for (directory, reason) in [
        (
            &open,
            format!(
                "other users can write to it (mode 0777); run `chmod 700 {}`",
                open.display()
            ),
        ),
        (
            &link,
            format!("it is a symbolic link; use {}", open.display()),
        ),
    ] {
        let sandbox = Sandbox::start();
        sandbox.add_fault(Fault::on_token().status(429).always());
        let admin = client(&sandbox, directory);
        let problem = format!(
            "files in {}: directory not used: {reason}",
            directory.display()
        );
        for _ in 0..2 {
            let error = admin.clusters().list().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RateLimited, "{error}");
            let expected = format!("; tokens are not shared: {problem}");
            assert!(error.to_string().ends_with(&expected), "{error}");
            let wait = error.retry_after().unwrap();
            assert!(wait > Duration::from_secs(50), "{error}");
        }
        assert_eq!(sandbox.stats().token_requests, 1);
        let stores = admin.diagnostics().stores;
        let store = format!("files in {}", directory.display());
        let report = stores.iter().find(|report| report.store == store);
        let report = report.expect("a report of the store");
        let last_error = format!("directory not used: {reason}");
        assert_eq!(report.last_error.as_deref(), Some(&*last_error));
        assert!(!report.usable, "{report:?}");
        let warnings = log_collector::records();
        let logged = warnings.iter().filter(|it| it.contains(&*store));
        assert_eq!(logged.count(), 1, "{warnings:?}");
    }
}

#[test]
fn rate_limit_error_names_the_variables_of_a_missing_cache_directory() {
    let sandbox = Sandbox::start();
    sandbox.add_fault(Fault::on_token().status(429).always());
    let mut environment = sandbox.environment();
    environment.retain(|(name, _)| name != "CAMUNDA_TOKEN_CACHE_DIR");
    // Without an absolute path, `HOME` leads to no directory.
    environment.push(("HOME".into(), "relative".into()));
    in_a_process("sharing::reports_a_missing_cache_directory", &environment);
}

#[test]
#[ignore = "run by another in a process of its own"]
fn reports_a_missing_cache_directory() {
    let admin = AdminClient::from_env().unwrap();
    let error = admin.clusters().list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited, "{error}");
    let reason = "neither XDG_CACHE_HOME nor HOME is set";
    let expected = format!("; tokens are not shared: files: {reason}");
    assert!(error.to_string().ends_with(&expected), "{error}");
    let stores = admin.diagnostics().stores;
    assert_eq!(stores.len(), 1, "{stores:?}");
    assert_eq!((&*stores[0].store, stores[0].usable), ("files", false));
    assert_eq!(stores[0].last_error.as_deref(), Some(reason));
}

#[test]
fn rate_limit_error_of_a_working_store_does_not_mention_it() {
    let sandbox = Sandbox::start();
    sandbox.add_fault(Fault::on_token().status(429).always());
    let place = tempfile::tempdir().unwrap();
    let error = client(&sandbox, place.path())
        .clusters()
        .list()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited, "{error}");
    assert!(!error.to_string().contains("not shared"), "{error}");
}

/// A store whose functions all panic.
struct PanickingStore;

impl TokenStore for PanickingStore {
    fn get(&self, _: &str) -> io::Result<Option<Vec<u8>>> {
        panic!("get of the test")
    }
    fn put(&self, _: &str, _: &[u8], _: Duration) -> io::Result<()> {
        panic!("put of the test")
    }
    fn try_lock(&self, _: &str, _: Duration) -> io::Result<Option<StoreLock>> {
        panic!("try_lock of the test")
    }
    fn describe(&self) -> String {
        panic!("describe of the test")
    }
}

/// In a process of its own: the diagnostics of all clients of a process describe the store, and would print
/// the panics with their stacks in other tests, too.
#[test]
fn calls_succeed_although_the_custom_store_panics() {
    let sandbox = Sandbox::start();
    in_a_process(
        "sharing::calls_with_a_custom_store_that_panics",
        &sandbox.environment(),
    );
    assert_eq!(sandbox.stats().token_requests, 1);
}

#[test]
#[ignore = "run by another test in a process of its own"]
fn calls_with_a_custom_store_that_panics() {
    let builder = AdminClientBuilder::from_env().token_store(Arc::new(PanickingStore));
    let admin = builder.timeout(Duration::from_secs(60)).build().unwrap();
    for _ in 0..2 {
        assert_eq!(admin.clusters().list().unwrap(), []);
    }
    let report = format!("{:?}", admin.diagnostics());
    assert!(report.contains("get panicked: get of the test"), "{report}");
}
