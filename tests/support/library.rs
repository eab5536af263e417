//! Builds the C library under test, with all features, into the target directory of this test.

use std::path::{Path, PathBuf};

use once_cell::sync::OnceCell;

/// The build script of the C library.
#[path = "../../build.rs"]
#[allow(dead_code)]
pub(crate) mod build_script;

use crate::cargo::{build, profile_folder};
use crate::limited::{SLOW_PROGRAM_LIMIT, run_to_end};

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
    static LIBRARY: OnceCell<Library> = OnceCell::new();
    LIBRARY.get_or_init(|| {
        let mut command = build();
        command.arg("--lib");
        let ended = run_to_end(command, SLOW_PROGRAM_LIMIT);
        assert!(ended.status.success(), "{}", ended.stderr);
        let folder = profile_folder();
        // Cargo does not run the build script again in a copy of a target directory without the link.
        let (major, minor) = (
            env!("CARGO_PKG_VERSION_MAJOR"),
            env!("CARGO_PKG_VERSION_MINOR"),
        );
        if let Some(names) = build_script::names(std::env::consts::OS, major, minor) {
            names.link(&folder);
        }
        let shared = format!(
            "{}camunda_admin{}",
            std::env::consts::DLL_PREFIX,
            std::env::consts::DLL_SUFFIX
        );
        let library = Library {
            shared: folder.join(shared),
            archive: folder.join("libcamunda_admin.a"),
        };
        assert!(
            library.shared.is_file(),
            "{:?} does not exist",
            library.shared
        );
        library
    })
}
