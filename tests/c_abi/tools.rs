//! Finds and runs external tools.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::limited::{Ended, SLOW_PROGRAM_LIMIT, run_to_end};

/// Returns the root directory of the repository.
pub(crate) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Finds a program on the path. If it is missing, prints its name; panics if `CI=true`.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!in_ci, "{name} is not installed");
        println!("{name} is not installed: its tests are skipped");
    }
    found
}

/// Runs a command and returns its standard output. Panics unless it succeeds.
#[track_caller]
pub(crate) fn run(command: Command) -> String {
    run_within(command, SLOW_PROGRAM_LIMIT)
}

/// Runs a command and returns its standard output. Panics unless it succeeds within `limit`.
#[track_caller]
pub(crate) fn run_within(command: Command, limit: Duration) -> String {
    // Excludes the environment, which contains secrets.
    let arguments: Vec<_> = command.get_args().map(OsStr::to_owned).collect();
    let shown = format!("{:?} {arguments:?}", command.get_program());
    let Ended {
        status,
        stdout,
        stderr,
    } = run_to_end(command, limit);
    assert!(status.success(), "{shown}\n{status}\n{stdout}\n{stderr}");
    stdout
}
