//! `camunda_admin`: the client.

use std::sync::Arc;

use serde::Serialize;

use crate::api::admin::AdminClient;
use crate::api::operation;
use crate::auth::Token;
use crate::call::CallOptions;
use crate::error::Result;
use crate::ffi::boundary::{free, handle, required, return_owned, set_null};
use crate::ffi::config::camunda_config;
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::guard::catch_panic;
use crate::ffi::log::LogSink;
use crate::ffi::shutdown::{self, Shutdown};
use crate::ffi::value::{OwnedValue, camunda_value};

/// Client for the Camunda 8 Administration API. Thread-safe.
#[derive(Debug)]
pub struct camunda_admin {
    pub(super) client: AdminClient,
    log: Option<LogSink>,
    shutdown: Option<Arc<Shutdown>>,
}

impl camunda_admin {
    /// Returns the client with the options of a call.
    pub(super) fn with(&self, options: Option<CallOptions>) -> AdminClient {
        self.client.with(options.unwrap_or_default())
    }

    /// Runs a call: log records go to this client's log callback, and a shutdown cancels the call.
    pub(super) fn logging<T>(&self, body: impl FnOnce() -> T) -> T {
        shutdown::during(self.shutdown.as_ref(), || LogSink::during(self.log, body))
    }

    /// Returns the access token if it is cached in memory.
    pub(super) fn cached_token(&self) -> Option<Token> {
        shutdown::during_without_io(self.shutdown.as_ref(), || {
            LogSink::during(self.log, || self.client.cached_token())
        })
    }
}

/// Encodes a Rust value as a value for C.
pub(super) fn encode(value: &impl Serialize) -> Result<OwnedValue> {
    camunda_value::parse(operation::encode(value)?)
}

/// Creates a client from settings. Reads the files that the settings name; sends no request.
///
/// @param config Settings. They can be changed or freed afterwards.
/// @param[out] admin On success a new client; else NULL. Free it with camunda_admin_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_CONFIG if a setting is missing or invalid: the message
///   names it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_new(
    config: *const camunda_config,
    admin: *mut *mut camunda_admin,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(admin);
        catch_panic(error, || {
            let config = handle("config", config)?;
            let admin = required("admin", admin)?;
            let client = config.logging(|config| config.builder.build_another())?;
            return_owned(
                admin,
                camunda_admin {
                    client: client.with(config.shutdown_options()),
                    log: config.log,
                    shutdown: config.shutdown.clone(),
                },
            );
            Ok(())
        })
    }
}

/// Reads the counters of the client: `calls`, `requests`, `retries`, `token_requests`,
/// `token_cache_hits`, `bytes_sent` and `bytes_received`, each since the client was created.
///
/// @param admin Client. Thread-safe.
/// @param[out] stats On success a new value, an object; else NULL. Free it with
///   camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_stats(
    admin: *const camunda_admin,
    stats: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(stats);
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            let stats = required("stats", stats)?;
            return_owned(stats, encode(&admin.client.stats())?);
            Ok(())
        })
    }
}

/// Reads the state of the tokens, rate limiters and token stores of this process, without secrets:
/// `process_id`, `tokens`, `rate_limiters`, `stores` and `counters`. Times are in seconds from now.
///
/// @param admin Client. Thread-safe.
/// @param[out] diagnostics On success a new value, an object; else NULL. Free it with
///   camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_diagnostics(
    admin: *const camunda_admin,
    diagnostics: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(diagnostics);
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            let diagnostics = required("diagnostics", diagnostics)?;
            return_owned(diagnostics, encode(&admin.client.diagnostics())?);
            Ok(())
        })
    }
}

/// Clears the stored authentication failure of this client's credentials, in memory and in the token
/// store, so that the next call sends a token request. Call it after the credentials were fixed in the
/// Console; without it, calls fail with CAMUNDA_STATUS_AUTHENTICATION and send nothing until
/// camunda_error_retry_after() has elapsed. The same applies if the token endpoint rejected the request
/// for another reason (CAMUNDA_STATUS_CONFIG). Does nothing if the client has an `access_token` or no
/// credentials.
///
/// @param admin Client. Thread-safe.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_clear_auth_failure(
    admin: *const camunda_admin,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            admin.logging(|| admin.client.clear_auth_failure());
            Ok(())
        })
    }
}

/// Removes the client's access token from memory and from the token store, so that the next call
/// requests a new one. Does nothing if the client has an `access_token` or no credentials.
///
/// @param admin Client. Thread-safe.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_invalidate_tokens(
    admin: *const camunda_admin,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            admin.logging(|| admin.client.invalidate_tokens());
            Ok(())
        })
    }
}

/// Frees a client. No call through it may be in progress.
///
/// @param admin Client to free. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_free(admin: *mut camunda_admin) {
    // SAFETY: the caller passes a pointer as documented above.
    let shutdown = unsafe { admin.as_ref() }.and_then(|admin| admin.shutdown.clone());
    // Freeing the last client of a token store calls the store's `free` callback.
    // SAFETY: as above.
    shutdown::during(shutdown.as_ref(), || unsafe { free(admin) });
}
