//! Tools that tests start, with time limits.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_camunda-admin-sandbox");

/// Time limit of a tool, including downloads.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Returns the path of a tool, or reports that it is missing.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        missing(name);
    }
    found
}

/// Reports a missing tool, and fails in CI.
pub(crate) fn missing(what: &str) {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!is_ci, "{what} is missing");
    println!("{what} is missing: test skipped");
}

/// Returns the root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
}

/// Returns a directory for files that later runs can reuse.
pub(crate) fn cache(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// Adds the directory of the program to PATH.
pub(crate) fn add_program_to_path(command: &mut Command) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = Path::new(PROGRAM).parent().unwrap().to_owned();
    let directories = std::iter::once(program).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(directories).unwrap());
}

/// Runs a command to its end. Returns whether it succeeded, and both outputs.
pub(crate) fn try_run(command: &mut Command) -> (bool, String) {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .spawn()
        .unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
    // The command holds the writing ends, without which the reader does not reach the end.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let output = std::thread::spawn(move || {
        let mut output = Vec::new();
        let _ = reader.read_to_end(&mut output);
        String::from_utf8_lossy(&output).into_owned()
    });
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > TIMEOUT {
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "{:?}: still running after {TIMEOUT:?}",
                command.get_program()
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    (status.success(), output.join().unwrap())
}

/// Runs a command that must succeed, and returns both outputs.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let (success, output) = try_run(command);
    assert!(success, "{:?}\n{output}", command.get_program());
    output
}
