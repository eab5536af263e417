//! Running cargo from a test.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns `cargo build` with the profile, the features and the target directory of this test. The caller
/// adds what to build.
///
/// The command selects this test too, which is up to date. Without a test, cargo would not enable the features
/// that development dependencies require of common dependencies, and would build those and the library again.
pub(crate) fn build() -> Command {
    let folder = profile_folder();
    let profile = folder.file_name().unwrap().to_str().unwrap();
    let mut command = cargo();
    command.args(["build", "--quiet", "--all-features", "--profile"]);
    command.arg(if profile == "debug" { "dev" } else { profile });
    command.args(["--test", env!("CARGO_CRATE_NAME"), "--target-dir"]);
    command.arg(folder.parent().unwrap());
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    command
}

/// Returns the directory of the profile that this test was built with, such as `target/debug`.
pub(crate) fn profile_folder() -> PathBuf {
    // …/target/debug/deps/c_abi-0123
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}

/// Returns a command for cargo, without the variables that cargo sets for a test: build scripts
/// watch some of them, so that everything would be built again.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"]
            .iter()
            .any(|prefix| text.starts_with(prefix));
        let of_target = ["CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE", "OUT_DIR"];
        if of_package || of_target.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
}
