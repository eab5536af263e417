//! Token requests to an independent OAuth server: npm's `oidc-provider`, which accepts only forms. See
//! `tests/oidc`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use camunda_admin::{AdminClient, ErrorKind, Outcome, Stage};

/// Maximum duration of the installation.
const INSTALL_LIMIT: Duration = Duration::from_secs(300);
/// Maximum time until the server listens.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The server process; terminated when dropped.
struct OidcProvider {
    process: Child,
    /// The server terminates when this is closed, also if this process is killed.
    _input: ChildStdin,
    issuer: String,
}

impl OidcProvider {
    /// Starts the server; `None` if node or the packages are not available.
    fn start() -> Option<OidcProvider> {
        let folder = installed()?;
        let mut process = Command::new("node")
            .arg("server.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (
            process.stdin.take().unwrap(),
            process.stdout.take().unwrap(),
        );
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(output).read_line(&mut line);
            let _ = send.send(line);
        });
        let issuer = receive.recv_timeout(START_LIMIT);
        let provider = OidcProvider {
            process,
            _input: input,
            issuer: issuer.unwrap_or_default().trim().to_owned(),
        };
        assert!(
            provider.issuer.starts_with("http://"),
            "the server does not listen"
        );
        Some(provider)
    }

    fn client(&self, secret: &str, format: &str) -> AdminClient {
        AdminClient::builder()
            .client_id("tester")
            .client_secret(secret)
            .oauth_url(&format!("{}/token", self.issuer))
            .token_cache("memory")
            .token_request_format(format)
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap()
    }
}

impl Drop for OidcProvider {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The folder with the server and its packages, installed once per `package-lock.json`.
fn installed() -> Option<PathBuf> {
    for tool in ["node", "npm"] {
        if !is_on_path(tool) {
            return missing(tool);
        }
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oidc");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oidc");
    fs::create_dir_all(&folder).unwrap();
    // Locked until the end of this function.
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let done = folder.join("installed.json");
    let wanted = fs::read(source.join("package-lock.json")).unwrap();
    for file in ["package.json", "package-lock.json", "server.mjs"] {
        fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    if fs::read(&done).ok().as_ref() == Some(&wanted) {
        return Some(folder);
    }
    let install = || {
        let mut npm = Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + INSTALL_LIMIT;
        let status = loop {
            if let Some(status) = npm.try_wait().unwrap() {
                break Some(status);
            }
            if Instant::now() > deadline {
                let _ = npm.kill();
                let _ = npm.wait();
                break None;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        status.is_some_and(|status| status.success())
    };
    // The registry may fail once.
    if !(0..2).any(|_| install()) {
        return missing("oidc-provider, from npm's registry,");
    }
    fs::write(&done, wanted).unwrap();
    Some(folder)
}

fn is_on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// Prints what is not available; panics in CI.
fn missing<T>(what: &str) -> Option<T> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "{what} is not available");
    println!("{what} is not there: what needs it is left out");
    None
}

#[test]
fn token_request_in_json_is_rejected_by_a_server_that_accepts_only_forms() {
    let Some(provider) = OidcProvider::start() else {
        return;
    };
    let error = provider.client("made up", "json").token("x").unwrap_err();
    assert_eq!(
        (error.kind(), error.stage(), error.outcome()),
        (ErrorKind::Config, Stage::Token, Outcome::NotSent),
        "{error}"
    );
    assert_eq!(error.http_status(), Some(400));
    let message = error.to_string();
    for expected in [
        "rejected with HTTP 400 (invalid_request): only application/x-www-form-urlencoded",
        "set `token_request_format` to `form`",
    ] {
        assert!(message.contains(expected), "{message}");
    }
    assert!(!message.contains("credentials"), "{message}");

    // The rejection is not stored as one of the credentials: a form is accepted immediately.
    let token = provider.client("made up", "form").token("x").unwrap();
    assert!(!token.expose().is_empty());

    let error = provider.client("wrong", "form").token("x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Authentication, "{error}");
    assert_eq!(error.http_status(), Some(401));
    assert!(error.to_string().contains("check client id"), "{error}");
}
