//! The Python package from outside: installs it with pip into a virtual environment, and runs its
//! tests and its example there against a sandbox.
//!
//! Without python3 its name is printed and nothing is tested; with `CI=true` that is a failure.

#[path = "support/cargo.rs"]
mod cargo;
#[path = "support/limited.rs"]
#[allow(dead_code)]
mod limited;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use camunda_admin_sandbox::Sandbox;

use cargo::cargo;
use limited::{Limited, PROGRAM_LIMIT, SLOW_PROGRAM_LIMIT, run_to_end, text_of};

#[test]
fn the_tests_of_the_package_pass() {
    let Some(python) = python() else { return };
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let mut command = python.command(&sandbox, folder.path());
    command
        .args(["-m", "unittest", "discover", "--start-directory"])
        .arg(package().join("tests"));
    run_within(command, PROGRAM_LIMIT);
    // All of its tests and their child processes together kept to the limit of the token endpoint.
    assert_eq!(sandbox.stats().rate_limited_token_requests, 0);
}

#[test]
fn the_example_does_the_main_job() {
    let Some(python) = python() else { return };
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let mut command = python.command(&sandbox, folder.path());
    command.arg(top().join("examples/python/quickstart.py"));
    let said = run(command);
    assert!(said.contains("1 token requests"), "{said}");
    let stats = sandbox.stats();
    // One for the API, one for Zeebe.
    assert_eq!(stats.token_requests, 2, "{stats:?}");
    assert_eq!(
        stats.requests_by_operation["DELETE /clusters/{clusterUuid}"],
        1
    );
}

/// Linux answers on all of 127.0.0.0/8, so there the sandbox can look like a service elsewhere.
#[cfg(target_os = "linux")]
#[test]
fn the_example_only_reads_from_the_real_service() {
    let Some(python) = python() else { return };
    let sandbox = sandbox();
    let folder = tempfile::tempdir().unwrap();
    let mut command = python.command(&sandbox, folder.path());
    command.env("CAMUNDA_CONSOLE_BASE_URL", forward_to(&sandbox));
    command.arg(top().join("examples/python/quickstart.py"));
    assert!(run(command).contains("--create"));
    let asked = sandbox.stats().requests_by_operation;
    assert_eq!(asked.keys().collect::<Vec<_>>(), ["GET /clusters"]);
}

/// Passes connections to another address on to the sandbox; gives that address.
#[cfg(target_os = "linux")]
fn forward_to(sandbox: &Sandbox) -> String {
    use std::net::{Shutdown, TcpListener, TcpStream};

    let listener = TcpListener::bind("127.0.0.2:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let target = sandbox.base_url().replace("http://", "");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(&target).unwrap();
            for (mut from, mut to) in [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    url
}

#[test]
fn types_are_strict() {
    let Some(python) = python() else { return };
    let has_mypy = |python: &Python| {
        let mut command = Command::new(&python.program);
        command.args(["-m", "mypy", "--version"]);
        run_to_end(command, PROGRAM_LIMIT).status.success()
    };
    if !has_mypy(python) {
        let mut command = Command::new(&python.program);
        command.args(["-m", "pip", "install", "--quiet", "mypy"]);
        if !run_to_end(command, SLOW_PROGRAM_LIMIT).status.success() {
            return missing("mypy, from the network,");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(&python.program);
    command
        .current_dir(folder.path())
        .args(["-m", "mypy", "--strict"]);
    command.arg(package().join("src/camunda_admin"));
    run(command);
    // As a user's program sees the installed package, by its py.typed.
    let mut command = Command::new(&python.program);
    command
        .current_dir(folder.path())
        .args(["-m", "mypy", "--strict"]);
    command.arg(top().join("examples/python/quickstart.py"));
    run(command);
}

fn sandbox() -> Sandbox {
    Sandbox::builder()
        .rejection_delay(Duration::from_millis(300))
        .start()
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn package() -> PathBuf {
    top().join("bindings/python")
}

/// An interpreter with the package installed.
struct Python {
    program: PathBuf,
}

impl Python {
    /// A command that uses the sandbox, and a folder as its home.
    fn command(&self, sandbox: &Sandbox, home: &Path) -> Command {
        let mut command = Command::new(&self.program);
        // Nothing but what is installed, and no byte code in the source tree.
        command.args(["-B", "-X", "faulthandler"]).current_dir(home);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if ["CAMUNDA_", "ZEEBE_", "PYTHON"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                command.env_remove(&*name);
            }
        }
        command
            .env("HOME", home)
            .env("XDG_CACHE_HOME", home.join("cache"));
        command.env("CAMUNDA_TOKEN_CACHE_DIR", home.join("tokens"));
        command.envs(sandbox.environment());
        command
    }
}

/// Makes the virtual environment and installs the package, once.
fn python() -> Option<&'static Python> {
    static PYTHON: OnceLock<Option<Python>> = OnceLock::new();
    let python = PYTHON.get_or_init(|| {
        let Some(system) = find("python3") else {
            missing("python3");
            return None;
        };
        let (folder, library) = library();
        // Of its own for each interpreter, so that another one does not get what it cannot load.
        let mut version = Command::new(&system);
        version.args(["-c", "import sys; print('%s-%d.%d.%d' % ((sys.implementation.name,) + sys.version_info[:3]))"]);
        let environment = folder.join("python").join(run(version).trim());
        let program = environment.join("bin/python");
        let works = || {
            let mut command = Command::new(&program);
            command.args(["-c", "import pip"]);
            run_to_end(command, PROGRAM_LIMIT).status.success()
        };
        if !(program.is_file() && works()) {
            let _ = fs::remove_dir_all(&environment);
            let mut command = Command::new(&system);
            command.args(["-m", "venv"]).arg(&environment);
            run(command);
        }
        // The library is built already: the wheel takes that one.
        let mut command = Command::new(&program);
        command.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        command.args(["--no-index", "--no-deps", "--force-reinstall"]).arg(package());
        command.env("CAMUNDA_ADMIN_LIBRARY", library).env("PYTHONDONTWRITEBYTECODE", "1");
        run(command);
        Some(Python { program })
    });
    python.as_ref()
}

/// Builds the library with all features into the folder that this test lies in; that folder, and it.
fn library() -> (PathBuf, PathBuf) {
    // …/target/debug/deps/python-0123
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap().to_owned();
    let profile = folder.file_name().and_then(OsStr::to_str).unwrap();
    let mut command = cargo();
    command.args(["build", "--quiet", "--lib", "--all-features", "--profile"]);
    command.arg(if profile == "debug" { "dev" } else { profile });
    command
        .arg("--target-dir")
        .arg(folder.parent().unwrap())
        .current_dir(top());
    run(command);
    let name = format!(
        "{}camunda_admin{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let library = folder.join(name);
    assert!(library.is_file(), "{} is not there", library.display());
    (folder, library)
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Names what is missing, with which CI does not put up.
fn missing(what: &str) {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "{what} is not there");
    println!("{what} is not there: what needs it is left out");
}

/// Runs a command that has to succeed within its limit; what it said on both outputs.
fn run(command: Command) -> String {
    run_within(command, SLOW_PROGRAM_LIMIT)
}

/// The same with a limit.
fn run_within(mut command: Command, limit: Duration) -> String {
    let (reader, writer) = std::io::pipe().unwrap();
    command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(writer);
    // Without the environment, which has secrets.
    let arguments: Vec<_> = command.get_args().map(OsStr::to_owned).collect();
    let shown = format!("{:?} {arguments:?}", command.get_program());
    // The command holds the writing ends, without which the reader never sees the end, until it is
    // started.
    let program = Limited::start(command, limit);
    let said = text_of(reader).recv().unwrap();
    match program.wait() {
        Ok(status) => assert!(status.success(), "{shown}\n{status}\n{said}"),
        // Where each of the threads is, in Python, is in what it said.
        Err(report) => panic!("{report}\nIt printed:\n{said}"),
    }
    said
}
