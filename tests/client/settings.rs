//! Configuration from environment variables and credential files; in a process of its own, because a
//! process has one environment.

use std::net::TcpListener;
use std::process::Command;

use camunda_admin::AdminClient;
use camunda_admin_sandbox::Sandbox;

use crate::limited::{PROGRAM_LIMIT, run_to_end};

/// Runs a test in a process of its own with only these environment variables, and returns its output.
pub(crate) fn in_a_process(test: &str, environment: &[(String, String)]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            test,
            "--include-ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env_clear()
        .env("HOME", home.path())
        .envs(environment.iter().cloned());
    let ended = run_to_end(command, PROGRAM_LIMIT);
    let text = ended.stdout + &ended.stderr;
    assert!(
        ended.status.success() && text.contains("1 passed"),
        "{text}"
    );
    text
}

#[test]
fn from_env_reads_the_environment() {
    let sandbox = Sandbox::start();
    in_a_process(
        "settings::lists_with_the_environment",
        &sandbox.environment(),
    );
    assert_eq!(sandbox.stats().requests, 1);
}

#[test]
fn tls_with_the_certificates_of_the_environment() {
    let sandbox = Sandbox::builder().client_certificates(true).start();
    in_a_process(
        "settings::lists_with_the_environment",
        &sandbox.environment(),
    );
    assert_eq!(sandbox.stats().requests, 1);
}

#[test]
#[ignore = "run by others in a process of its own"]
fn lists_with_the_environment() {
    AdminClient::from_env().unwrap().clusters().list().unwrap();
}

#[test]
fn from_env_names_a_missing_variable() {
    in_a_process("settings::names_the_missing_variable", &[]);
}

#[test]
#[ignore = "run by others in a process of its own"]
fn names_the_missing_variable() {
    let error = AdminClient::from_env().unwrap_err().to_string();
    assert!(error.contains("CAMUNDA_CONSOLE_CLIENT_ID"), "{error}");
}

#[test]
fn proxy_is_not_used_for_loopback_hosts() {
    let sandbox = Sandbox::start();
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let admin = crate::builder(&sandbox)
        .proxy(&format!("http://{}", proxy.local_addr().unwrap()))
        .build()
        .unwrap();
    admin.clusters().list().unwrap();
    assert!(proxy.accept().is_err(), "the proxy was connected to");
}

#[test]
fn from_env_file_reads_a_file_of_the_console() {
    let sandbox = Sandbox::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("console.env");
    let mut lines = String::from("# from the Console\n");
    for (name, value) in sandbox.environment() {
        lines += &format!("export {name}='{value}'\n");
    }
    lines += &format!(
        "CAMUNDA_TOKEN_CACHE_DIR=\"{}\"\n",
        directory.path().display()
    );
    std::fs::write(&file, lines).unwrap();
    AdminClient::from_env_file(&file)
        .unwrap()
        .clusters()
        .list()
        .unwrap();
    assert_eq!(sandbox.stats().requests, 1);
}

#[cfg(unix)]
#[test]
fn files_with_secrets_that_other_users_can_read_are_logged() {
    let sandbox = Sandbox::builder().client_certificates(true).start();
    let printed = in_a_process(
        "settings::reads_files_that_others_can_read",
        &sandbox.environment(),
    );
    let warnings: Vec<_> = printed
        .lines()
        .filter(|line| line.contains("accessible to other users"))
        .collect();
    // Each file was read twice.
    let [first, second, third] = warnings[..] else {
        panic!("{warnings:?}");
    };
    for (warning, part) in [
        (first, "WARN credential file"),
        (second, "WARN credential file"),
        (third, "WARN private key"),
    ] {
        assert!(warning.starts_with(part), "{warning}");
    }
    assert!(first.ends_with("console.env\" mode=0644"), "{first}");
    assert!(second.ends_with("worker.env\" mode=0620"), "{second}");
    assert!(third.ends_with("client.key\" mode=0604"), "{third}");
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[cfg(unix)]
#[test]
#[ignore = "run by others in a process of its own"]
fn reads_files_that_others_can_read() {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    struct Printer;
    impl log::Log for Printer {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, record: &log::Record<'_>) {
            if record.target().starts_with("camunda_admin") {
                // Starts a new line after the name of the test.
                println!("\n{} {}", record.level(), record.args());
            }
        }
        fn flush(&self) {}
    }
    log::set_logger(&Printer).unwrap();
    log::set_max_level(log::LevelFilter::Warn);

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode: u32| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let variables = "CAMUNDA_CONSOLE_CLIENT_ID=a\nCAMUNDA_CONSOLE_CLIENT_SECRET=hunter2\n";
    let certificate = std::env::var("CAMUNDA_CUSTOM_CERT_CHAIN_PATH").unwrap();
    let key = std::env::var("CAMUNDA_CUSTOM_PRIVATE_KEY_PATH").unwrap();
    let key = fs::read_to_string(key).unwrap();
    let console = [
        file("private.env", variables, 0o600),
        file("console.env", variables, 0o644),
    ];
    let worker = file("worker.env", "ZEEBE_CLIENT_SECRET=hunter2\n", 0o620);
    let keys = [
        file("private.key", &key, 0o400),
        file("client.key", &key, 0o604),
    ];
    for _ in 0..2 {
        for path in &console {
            AdminClient::from_env_file(path).unwrap();
        }
        camunda_admin::ClusterCredentials::from_env_file(&worker).unwrap();
        for path in &keys {
            let builder = AdminClient::builder().client_cert(&certificate);
            builder.client_key(path.to_str().unwrap()).build().unwrap();
        }
    }
}
