//! Sets the name under which the dynamic loader looks for the shared library, and its unwinder.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    // Cargo runs the script again when the script changes, and otherwise only for what is printed here.
    println!("cargo::rerun-if-env-changed=CARGO_CFG_TARGET_OS");
    println!("cargo::rerun-if-env-changed=RUSTC_LINKER");
    if !cfg!(feature = "capi") {
        return;
    }
    let number = |part: &str| env::var(format!("CARGO_PKG_VERSION_{part}")).expect("cargo sets it");
    let os = env::var("CARGO_CFG_TARGET_OS").expect("cargo sets it");
    let Some(names) = names(&os, &number("MAJOR"), &number("MINOR")) else {
        return;
    };
    let argument = match os.as_str() {
        "macos" => format!("-install_name,@rpath/{}", names.loaded),
        _ => format!("-soname,{}", names.loaded),
    };
    println!("cargo::rustc-cdylib-link-arg=-Wl,{argument}");
    let has_glibc = env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu");
    if os == "linux" && has_glibc && has_static_unwinder() {
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
    let out = env::var("OUT_DIR").expect("cargo sets it");
    // PROFILE/build/PACKAGE/out
    if let Some(profile) = Path::new(&out).ancestors().nth(3)
        && profile.join("build").is_dir()
    {
        names.link(profile);
    }
}

/// Returns whether the linker finds the unwinder of GCC as a static library.
///
/// It is linked instead of libgcc_s, which takes 0.2 to 0.4 ms at the start of a process: it is one more
/// library to load, and it reads the features of the processor, which virtual machines emulate.
fn has_static_unwinder() -> bool {
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    // A linker without the library prints its name without a directory.
    let printed = Command::new(linker)
        .arg("-print-file-name=libgcc_eh.a")
        .output();
    printed.is_ok_and(|printed| {
        Path::new(String::from_utf8_lossy(&printed.stdout).trim()).is_absolute()
    })
}

/// Names of the shared library.
pub(crate) struct Names {
    /// The file that cargo leaves in the folder of the profile.
    built: &'static str,
    /// The name under which the dynamic loader looks for the library.
    loaded: String,
}

/// Returns the names on an operating system; `None` if it has one name only.
pub(crate) fn names(os: &str, major: &str, minor: &str) -> Option<Names> {
    // Before 1.0 a minor version may change the C ABI, so it is part of the name.
    let abi = match major {
        "0" => format!("0.{minor}"),
        major => major.to_owned(),
    };
    match os {
        "linux" | "android" | "freebsd" | "netbsd" | "openbsd" => Some(Names {
            built: "libcamunda_admin.so",
            loaded: format!("libcamunda_admin.so.{abi}"),
        }),
        "macos" => Some(Names {
            built: "libcamunda_admin.dylib",
            loaded: format!("libcamunda_admin.{abi}.dylib"),
        }),
        _ => None,
    }
}

impl Names {
    /// Creates a symbolic link beside the built library, so that programs which are linked with it from
    /// there find it.
    pub(crate) fn link(&self, folder: &Path) {
        // Fails if it exists, and in a read-only folder, where nothing is linked either.
        #[cfg(unix)]
        let _ = std::os::unix::fs::symlink(self.built, folder.join(&self.loaded));
        #[cfg(not(unix))]
        let _ = (self.built, folder);
    }
}
