//! The client in C.

use std::sync::Arc;

use serde::Serialize;

use crate::api::admin::AdminClient;
use crate::call::CallOptions;
use crate::error::{Error, Result};
use crate::ffi::boundary::{catch_panic, free, handle, required, return_owned, set_null};
use crate::ffi::config::camunda_config;
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::log::LogSink;
use crate::ffi::shutdown::{self, Shutdown};
use crate::ffi::value::{OwnedValue, camunda_value};
use crate::secret::to_json;

/// A connection to the Administration API. May be used from several threads at once.
#[derive(Debug)]
pub struct camunda_admin {
    pub(super) client: AdminClient,
    log: Option<LogSink>,
    shutdown: Option<Arc<Shutdown>>,
}

impl camunda_admin {
    /// The client with the options of a call.
    pub(super) fn with(&self, options: Option<CallOptions>) -> AdminClient {
        self.client.with(options.unwrap_or_default())
    }

    /// Runs a call with this client's log callback, as one that a shutdown ends.
    pub(super) fn logging<T>(&self, body: impl FnOnce() -> T) -> T {
        shutdown::during(self.shutdown.as_ref(), || LogSink::during(self.log, body))
    }
}

/// Encodes what Rust hands to C as a value.
pub(super) fn encode(value: &impl Serialize) -> Result<OwnedValue> {
    let json =
        to_json(value).map_err(|error| Error::invalid_argument(format!("not JSON: {error}")))?;
    camunda_value::of_valid(json.into_bytes())
}

/// A client with these settings; `admin` gets it, owned by the caller: camunda_admin_free. Sends
/// nothing; reads the files that the settings name. CAMUNDA_STATUS_CONFIG names a bad setting.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_new(
    config: *const camunda_config,
    admin: *mut *mut camunda_admin,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        set_null(admin);
        catch_panic(error, || {
            let config = handle("config", config)?;
            let admin = required("admin", admin)?;
            let mut client = config
                .during(|config| LogSink::during(config.log, || config.builder.build_another()))?;
            let shutdown = config.shutdown.clone();
            if let Some(shutdown) = shutdown.clone() {
                let check = move || shutdown.stops_calls();
                client = client.with(CallOptions::new().shut_down_by(check));
            }
            let log = config.log;
            return_owned(
                admin,
                camunda_admin {
                    client,
                    log,
                    shutdown,
                },
            );
            Ok(())
        })
    }
}

/// What the client did so far, as an object of counters: `calls`, `requests`, `retries`,
/// `token_requests`, `token_cache_hits`, `bytes_sent`, `bytes_received`. `stats` gets it, owned by the
/// caller: camunda_value_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_stats(
    admin: *const camunda_admin,
    stats: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
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

/// The state of all tokens of this process, of the pace of token requests, and of the stores, as an
/// object without secrets: `slots`, `gates`, `stores` and `counters`. Times are seconds from now.
/// `diagnostics` gets it, owned by the caller: camunda_value_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_diagnostics(
    admin: *const camunda_admin,
    diagnostics: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
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

/// Forgets that the token endpoint refused these credentials, so that the next call asks again
/// instead of failing fast.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_clear_auth_failure(
    admin: *const camunda_admin,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            admin.logging(|| admin.client.clear_auth_failure());
            Ok(())
        })
    }
}

/// Forgets the client's token, here and in the shared store, so that the next call asks for another.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_invalidate_tokens(
    admin: *const camunda_admin,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            admin.logging(|| admin.client.invalidate_tokens());
            Ok(())
        })
    }
}

/// Frees a client; no call may be under way through it. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_admin_free(admin: *mut camunda_admin) {
    // SAFETY: the pointer is as this function documents it.
    let shutdown = unsafe { admin.as_ref() }.and_then(|admin| admin.shutdown.clone());
    // A token store may go with it, by a callback.
    // SAFETY: as above.
    shutdown::during(shutdown.as_ref(), || unsafe { free(admin) });
}
