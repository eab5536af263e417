//! Tools that tests start, with time limits.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::limited::{PROGRAM_LIMIT, run_to_end};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_camunda-admin-sandbox");

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

/// Runs a command to its end. Returns whether it succeeded, and both outputs. The command cannot be
/// used again.
pub(crate) fn try_run(command: &mut Command) -> (bool, String) {
    let command = std::mem::replace(command, Command::new(""));
    let ended = run_to_end(command, PROGRAM_LIMIT);
    (ended.status.success(), ended.stdout + &ended.stderr)
}

/// Runs a command that must succeed, and returns both outputs.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let program = command.get_program().to_owned();
    let (success, output) = try_run(command);
    assert!(success, "{program:?}\n{output}");
    output
}
