//! Sets the name under which the dynamic loader looks for the shared library.

use std::env;
use std::path::Path;

fn main() {
    // Cargo runs the script again when the script changes, and otherwise only for what is printed here.
    println!("cargo::rerun-if-env-changed=CARGO_CFG_TARGET_OS");
    if !cfg!(feature = "capi") {
        return;
    }
    // Before 1.0 a minor version may change the C ABI, so it is part of the name.
    let number = |part: &str| env::var(format!("CARGO_PKG_VERSION_{part}")).expect("cargo sets it");
    let abi = match number("MAJOR").as_str() {
        "0" => format!("0.{}", number("MINOR")),
        major => major.to_owned(),
    };
    match env::var("CARGO_CFG_TARGET_OS").as_deref() {
        Ok("linux" | "android" | "freebsd" | "netbsd" | "openbsd") => {
            let name = format!("libcamunda_admin.so.{abi}");
            println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{name}");
            link_to("libcamunda_admin.so", &name);
        }
        Ok("macos") => {
            let name = format!("libcamunda_admin.{abi}.dylib");
            println!("cargo::rustc-cdylib-link-arg=-Wl,-install_name,@rpath/{name}");
            link_to("libcamunda_admin.dylib", &name);
        }
        _ => {}
    }
}

/// Creates a symbolic link beside the library that cargo leaves in the folder of the profile, so that
/// programs which are linked with it from there find it.
#[cfg(unix)]
fn link_to(library: &str, name: &str) {
    let out = env::var("OUT_DIR").expect("cargo sets it");
    // PROFILE/build/PACKAGE/out
    let Some(profile) = Path::new(&out).ancestors().nth(3) else {
        return;
    };
    if profile.join("build").is_dir() {
        // Fails if it exists, and in a read-only folder, where nothing is linked either.
        let _ = std::os::unix::fs::symlink(library, profile.join(name));
    }
}

#[cfg(not(unix))]
fn link_to(_: &str, _: &str) {}
