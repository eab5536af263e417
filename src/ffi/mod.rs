//! The C ABI: handles, errors, values, and one thin function per operation.
//!
//! With the `fork` module the only place with `unsafe`. Everything here follows the conventions stated at the top of
//! `include/camunda_admin.h` (their source is `cbindgen.toml`); what a function does is said once,
//! in the layers below.

#![allow(unsafe_code, non_camel_case_types)]
// What a pointer has to be is part of the conventions, which C programs read in the header.
#![allow(clippy::missing_safety_doc)]

pub mod admin;
pub mod call;
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
#[cfg(test)]
mod panics;

use std::ffi::c_char;

/// The version of the ABI: raised when a program built against an older header would misbehave.
pub const CAMUNDA_ABI_VERSION: u32 = 1;

/// The version of the library, such as `0.1.0`. Static; never freed.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The version of the ABI that the library speaks; a program compares it with CAMUNDA_ABI_VERSION
/// of the header that it was built with.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_abi_version() -> u32 {
    CAMUNDA_ABI_VERSION
}
