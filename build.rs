//! Generates the C header for the feature `capi`.
//!
//! Writes it to `OUT_DIR`; a test compares it with `include/camunda_admin.h`. Writes that file as well if
//! CAMUNDA_ADMIN_REFRESH is set.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "capi")]
    {
        // Without a soname, programs would record the path of the build directory.
        if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
            println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcamunda_admin.so");
        }
        header();
    }
}

#[cfg(feature = "capi")]
fn header() {
    use std::path::PathBuf;

    println!("cargo::rerun-if-changed=cbindgen.toml");
    println!("cargo::rerun-if-changed=src/ffi");
    println!("cargo::rerun-if-env-changed=CAMUNDA_ADMIN_REFRESH");

    let variable = |name| PathBuf::from(std::env::var_os(name).expect("set by cargo"));
    let top = variable("CARGO_MANIFEST_DIR");
    let mut config =
        cbindgen::Config::from_file(top.join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let version = std::env::var("CARGO_PKG_VERSION").expect("set by cargo");
    config.after_includes = Some(format!(
        "\n/** The version of this header. */\n#define CAMUNDA_VERSION \"{version}\""
    ));
    let builder = cbindgen::Builder::new()
        .with_config(config)
        .with_src(top.join("src/ffi/mod.rs"));
    let bindings = builder.generate().expect("src/ffi can be described in C");
    bindings.write_to_file(variable("OUT_DIR").join("camunda_admin.h"));
    if std::env::var_os("CAMUNDA_ADMIN_REFRESH").is_some() {
        bindings.write_to_file(top.join("include/camunda_admin.h"));
    }
}
