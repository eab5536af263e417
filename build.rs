//! Sets the soname of the shared library.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Without a soname, programs would record the path of the build folder and look there.
    let linux = std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux");
    if cfg!(feature = "capi") && linux {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libcamunda_admin.so");
    }
}
