//! The C ABI: handles, errors, values, and one thin function per operation.
//!
//! Only this module and `fork` contain `unsafe` code. All functions follow the conventions at the top
//! of `include/camunda_admin.h`, whose source is `cbindgen.toml`. This layer converts arguments,
//! results and errors; the layers below implement the behavior.

#![allow(unsafe_code, non_camel_case_types)]
// The header documents the requirements on pointers, in the conventions at its top.
#![allow(clippy::missing_safety_doc)]
// Doc comments are written for Doxygen; its `@param[out]` is not a link.
#![allow(rustdoc::broken_intra_doc_links)]

// In the order of the header; rustfmt sorts modules up to the next empty line.
pub mod callback;
pub mod config;
pub mod log;
pub mod token_store;

pub mod admin;
pub mod call;
pub mod error;

mod tree;
pub mod value;

pub mod readers;

pub mod object;

pub mod operations_generated;

pub mod dispatch;

pub mod credentials;
pub mod token;

pub mod doctor;
pub mod shutdown;

mod boundary;
mod errno;
#[cfg(any(test, fuzzing))]
#[path = "../fuzzing/ffi.rs"]
pub(crate) mod fuzzing;
mod guard;
mod host_thread;
#[cfg(test)]
mod tests;

use std::ffi::c_char;

use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::guard::catch_panic;

/// The ABI version of this header. It increases with every change that breaks programs built against
/// an older header.
pub const CAMUNDA_ABI_VERSION: u32 = 1;

/// Returns the version of the library.
///
/// @return The version, for example `0.1.0`: a static string. Do not free it.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// Returns the ABI version of the loaded library. Compare it with CAMUNDA_ABI_VERSION, the version
/// of the header that the program was built with.
///
/// @return The ABI version.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_abi_version() -> u32 {
    CAMUNDA_ABI_VERSION
}

/// Compares `abi` with the ABI version of the loaded library.
///
/// A program need not call it: the header makes camunda_config_from_env(),
/// camunda_config_from_env_file(), camunda_config_from_credentials(), camunda_admin_new() and
/// camunda_doctor() call it first, with CAMUNDA_ABI_VERSION.
///
/// @param abi The ABI version that the program was compiled for.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or CAMUNDA_STATUS_CONFIG if the versions differ; the message has
///   both.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_abi_check(
    abi: u32,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe {
        catch_panic(error, || match abi {
            CAMUNDA_ABI_VERSION => Ok(()),
            _ => Err(Error::new(
                ErrorKind::Config,
                Stage::Config,
                Outcome::NotSent,
                format!(
                    "the program was compiled for ABI version {abi} of camunda_admin, the loaded \
                     library has ABI version {CAMUNDA_ABI_VERSION} (version {}); compile it with \
                     the header of the loaded library",
                    env!("CARGO_PKG_VERSION")
                ),
            )),
        })
    }
}
