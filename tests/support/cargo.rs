//! Running cargo from a test.

use std::process::Command;

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
