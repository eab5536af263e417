//! The tools around us: where they are, and running them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The top of the tree.
pub(crate) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Finds a program. Where it is missing it is named, and `CI=true` does not put up with that.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!in_ci, "{name} is not installed");
        println!("{name} is not installed: what needs it is left out");
    }
    found
}

/// Runs a command that has to succeed, and gives what it prints.
pub(crate) fn run(mut command: Command) -> String {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{command:?}: {error}"),
    };
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        // Without the environment, which has secrets.
        "{:?} {:?}\n{}\n{stdout}\n{}",
        command.get_program(),
        command.get_args().collect::<Vec<_>>(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}
