//! `camunda_doctor`: checks of the environment.

use crate::doctor::{self, Source};
use crate::ffi::admin::encode;
use crate::ffi::boundary::{required, return_owned, set_null};
use crate::ffi::call::camunda_call_options;
use crate::ffi::config::camunda_config;
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::guard::catch_panic;
use crate::ffi::value::camunda_value;

/// Checks the environment of a client: settings, network, certificates, clock, token, token store and
/// permissions. The program `camunda-admin doctor` prints the same report.
///
/// Changes nothing: sends only `GET` requests to the API, and to each server one request without
/// credentials. Uses a cached token or requests one, through the shared cache and its rate limit; a
/// token request that fails with a transient error is retried. A check that fails is not an error of
/// this function: then `ok` in the report is false.
///
/// Report: an object without secrets.
/// - `version` (string): Version of the library.
/// - `ok` (boolean): Whether no check failed.
/// - `settings` (array of objects): Settings: `key`; `value`, `null` for a secret; `is_set`;
///   `source`, the name of the variable, `program` for one that the program set, or `default`.
/// - `checks` (array of objects): Results: `name`; `target`, a URL or `null`; `status`, one of `ok`,
///   `warning`, `failed`, `skipped`; `message`; `advice`, a string or `null`; `duration_ms`, a number
///   for the steps of a connection, else `null`.
/// - `permissions` (array of objects): Reads: `resource`; `access`, one of `allowed`, `denied`,
///   `failed`, `not_checked`; `detail`, a string or `null`.
///
/// Blocks for at most 10 s for each of the two servers, plus the timeout for the token request and for
/// each of six reads. The token endpoint delays rejections of invalid credentials by about 30 s.
///
/// @param config Settings to check, for example of camunda_config_load_env_file(). NULL for those of
///   the environment, as camunda_config_from_env() reads them; then no other thread may change the
///   environment during the call.
/// @param call Options: the timeout of the token request and of each read, and the cancellation. NULL
///   for the defaults: the setting `timeout`.
/// @param[out] report On success a new value, the report; else NULL. camunda_value_json() returns its
///   JSON. Free it with camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_CANCELLED if the call was cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_doctor(
    config: *const camunda_config,
    call: *const camunda_call_options,
    report: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(report);
        catch_panic(error, || {
            let report = required("report", report)?;
            let options = call.as_ref().map(camunda_call_options::options);
            let options = options.unwrap_or_default();
            let checked = match config.as_ref() {
                None => doctor::check(&Source::Environment, &options),
                Some(config) => config.logging(|config| {
                    let options = config.shutdown_options().merged(options);
                    doctor::check(&Source::Builder(&config.builder), &options)
                }),
            };
            return_owned(report, encode(&checked?)?);
            Ok(())
        })
    }
}
