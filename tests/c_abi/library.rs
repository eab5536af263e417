//! Builds the library under test, with all features, into the target directory of this test.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::cargo::cargo;
use crate::tools::{run, top};

/// The built library.
pub(crate) struct Library {
    pub(crate) shared: PathBuf,
    pub(crate) archive: PathBuf,
}

impl Library {
    pub(crate) fn folder(&self) -> &Path {
        self.shared.parent().unwrap()
    }

    /// Returns the compiler flags that link the shared library and set its run path.
    pub(crate) fn link_flags(&self) -> Vec<String> {
        let folder = self.folder().display();
        vec![
            format!("-L{folder}"),
            format!("-Wl,-rpath,{folder}"),
            "-lcamunda_admin".to_owned(),
        ]
    }
}

/// Builds the library on the first call, and returns its paths.
pub(crate) fn library() -> &'static Library {
    static LIBRARY: OnceLock<Library> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        // …/target/debug/deps/c_abi-0123
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(2).unwrap();
        let profile = folder.file_name().unwrap().to_str().unwrap();
        let mut command = cargo();
        command.args(["build", "--lib", "--all-features", "--profile"]);
        command.arg(if profile == "debug" { "dev" } else { profile });
        command
            .arg("--target-dir")
            .arg(folder.parent().unwrap())
            .current_dir(top());
        run(command);
        Library {
            shared: folder.join("libcamunda_admin.so"),
            archive: folder.join("libcamunda_admin.a"),
        }
    })
}
