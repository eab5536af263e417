//! The C ABI: handles, errors, values, and one thin function per operation.
//!
//! Only this module and `fork` contain `unsafe` code. All functions follow the conventions at the top
//! of `include/camunda_admin.h`, whose source is `cbindgen.toml`. This layer converts arguments,
//! results and errors; the layers below implement the behavior.

#![allow(unsafe_code, non_camel_case_types)]
// The header documents the requirements on pointers, in the conventions at its top.
#![allow(clippy::missing_safety_doc)]

pub mod admin;
pub mod call;
pub mod callback;
pub mod config;
pub mod credentials;
pub mod error;
pub mod log;
pub mod object;
pub mod operation;
pub mod operations;
pub mod shutdown;
pub mod token;
pub mod token_store;
mod tree;
pub mod value;

mod boundary;
#[cfg(any(test, fuzzing))]
#[path = "../fuzzing/ffi.rs"]
pub(crate) mod fuzzing;
mod guard;
#[cfg(test)]
mod tests;

use std::ffi::c_char;

/// The ABI version of this header. It increases with every change that breaks programs built against
/// an older header.
pub const CAMUNDA_ABI_VERSION: u32 = 1;

/// Returns the version of the library, for example `0.1.0`: a static string. Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns the ABI version of the loaded library. Compare it with CAMUNDA_ABI_VERSION, the version of
/// the header that the program was built with.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_abi_version() -> u32 {
    CAMUNDA_ABI_VERSION
}
