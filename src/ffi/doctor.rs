//! `camunda_doctor`: checks of the environment.

use std::ffi::c_char;

use crate::doctor::{self, Options};
use crate::ffi::admin::encode;
use crate::ffi::boundary::{required, return_owned, set_null, text};
use crate::ffi::call::camunda_call_options;
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::guard::catch_panic;
use crate::ffi::value::camunda_value;

/// Checks the environment of a client: settings, network, certificates, clock, token, token store and
/// permissions. The program `camunda-admin doctor` prints the same report.
///
/// Sends at most one token request, through the shared cache and its rate limit, and only `GET`
/// requests to the API; it changes nothing. A check that fails is no error of this function. No other
/// thread may change the environment during the call.
///
/// Report: an object without secrets.
/// - `version` (string): Version of the library.
/// - `ok` (boolean): Whether no check failed.
/// - `settings` (array of objects): Settings: `key`; `value`, `null` for a secret; `is_set`;
///   `source`, the name of the variable or `default`.
/// - `checks` (array of objects): Results: `name`; `target`, a URL; `status`, one of `ok`,
///   `warning`, `failed`, `skipped`; `message`; `advice`; `duration_ms`.
/// - `permissions` (array of objects): Reads: `resource`; `access`, one of `allowed`, `denied`,
///   `failed`, `not_checked`; `detail`.
///
/// @param call Options, of which only the timeout applies: to the token request and to each read.
///   NULL for 60 s. The network steps of each server take at most 10 s.
/// @param env_file Path of a credential file of the Console with the settings; NULL for the
///   environment.
/// @param[out] report On success a new value, the report; else NULL. camunda_value_json() returns its
///   JSON. Free it with camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_doctor(
    call: *const camunda_call_options,
    env_file: *const c_char,
    report: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(report);
        catch_panic(error, || {
            let report = required("report", report)?;
            let mut options = Options::new();
            if !env_file.is_null() {
                options = options.env_file(text("env_file", env_file)?);
            }
            if let Some(timeout) = call.as_ref().and_then(camunda_call_options::timeout) {
                options = options.timeout(timeout);
            }
            return_owned(report, encode(&doctor::run(&options))?);
            Ok(())
        })
    }
}
