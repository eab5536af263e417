//! `camunda_config`: client settings.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use crate::api::admin_builder::AdminClientBuilder;
use crate::call::CallOptions;
use crate::error::{Error, Result};
use crate::ffi::boundary::{catch_panic_or, free, handle, required, return_owned, set_null, text};
use crate::ffi::credentials;
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::guard::catch_panic;
use crate::ffi::log::{LogSink, camunda_log_fn};
use crate::ffi::shutdown::{self, Shutdown, camunda_shutdown};
use crate::ffi::token_store::{Store, camunda_token_store};
use crate::ffi::value::camunda_value;

/// Settings of a client. Not thread-safe: use it from one thread at a time.
#[derive(Debug, Default)]
pub struct camunda_config {
    pub(super) builder: AdminClientBuilder,
    pub(super) log: Option<LogSink>,
    pub(super) shutdown: Option<Arc<Shutdown>>,
}

impl camunda_config {
    /// Runs `body`, which may call the functions of a custom token store.
    pub(super) fn during<T>(&self, body: impl FnOnce(&Self) -> T) -> T {
        shutdown::during(self.shutdown.as_ref(), || body(self))
    }

    /// As [`during`](Self::during); log records go to the log callback.
    pub(super) fn logging<T>(&self, body: impl FnOnce(&Self) -> T) -> T {
        self.during(|config| LogSink::during(config.log, || body(config)))
    }

    /// Returns call options with which a shutdown cancels a call.
    pub(super) fn shutdown_options(&self) -> CallOptions {
        match self.shutdown.clone() {
            Some(shutdown) => CallOptions::new().shut_down_by(move || shutdown.stops_calls()),
            None => CallOptions::new(),
        }
    }

    fn during_mut<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> T {
        let shutdown = self.shutdown.clone();
        shutdown::during(shutdown.as_ref(), || body(self))
    }
}

/// Creates settings with the defaults. Reads no environment variable.
///
/// @return New settings. Free them with camunda_config_free(). NULL if the ABI version of the
///   loaded library is not that of the header; then camunda_admin_new() returns an error with both
///   versions.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_config_new() -> *mut camunda_config {
    catch_panic_or(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Stores the settings that `make` returns in `config`.
///
/// # Safety
/// The pointers meet the requirements of the exported functions.
unsafe fn make(
    config: *mut *mut camunda_config,
    error: *mut *mut camunda_error,
    make: impl FnOnce() -> Result<AdminClientBuilder>,
) -> camunda_status {
    // SAFETY: guaranteed by the caller.
    unsafe {
        set_null(config);
        catch_panic(error, || {
            let config = required("config", config)?;
            return_owned(
                config,
                camunda_config {
                    builder: make()?,
                    log: None,
                    shutdown: None,
                },
            );
            Ok(())
        })
    }
}

/// Reads settings from the environment variables of Camunda's SDKs. No other thread may change the
/// environment during the call.
///
/// Required: CAMUNDA_CONSOLE_CLIENT_ID, and CAMUNDA_CONSOLE_CLIENT_SECRET or
/// CAMUNDA_CONSOLE_CLIENT_SECRET_FILE; or CAMUNDA_CONSOLE_ACCESS_TOKEN. Optional:
/// CAMUNDA_CONSOLE_BASE_URL, CAMUNDA_CONSOLE_OAUTH_AUDIENCE, CAMUNDA_OAUTH_URL,
/// CAMUNDA_TOKEN_SCOPE, CAMUNDA_TOKEN_CACHE_DIR, CAMUNDA_TOKEN_DISK_CACHE_DISABLE,
/// CAMUNDA_TOKEN_CACHE_REDIS_URL, CAMUNDA_CUSTOM_ROOT_CERT_PATH, CAMUNDA_CUSTOM_CERT_CHAIN_PATH,
/// CAMUNDA_CUSTOM_PRIVATE_KEY_PATH and CAMUNDA_CUSTOM_USER_AGENT_STRING. The proxy variables, such
/// as HTTPS_PROXY, are read by camunda_admin_new().
///
/// If CAMUNDA_TOKEN_DISK_CACHE_DISABLE is `true`, no file is written: tokens are shared through
/// CAMUNDA_TOKEN_CACHE_REDIS_URL if that is set, and not at all otherwise.
///
/// @param[out] config On success new settings; else NULL. Free them with camunda_config_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_CONFIG if a variable is missing or invalid: the
///   message names it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_from_env(
    config: *mut *mut camunda_config,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        make(config, error, || {
            AdminClientBuilder::from_env().with_complete_credentials()
        })
    }
}

/// Reads settings from a credential file of the Console: `export NAME='value'` or `NAME=value`
/// lines with the variables of camunda_config_from_env().
///
/// @param path Path of the file.
/// @param[out] config On success new settings; else NULL. Free them with camunda_config_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_IO if the file cannot be read; CAMUNDA_STATUS_CONFIG
///   if a variable is missing or invalid: the message names it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_from_env_file(
    path: *const c_char,
    config: *mut *mut camunda_config,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        make(config, error, || {
            AdminClientBuilder::from_env_file(text("path", path)?)?.with_complete_credentials()
        })
    }
}

/// Reads settings from the environment as camunda_config_from_env() does, into settings of
/// camunda_config_new(): for programs that set credentials with camunda_config_set() afterwards, which
/// replace those of the variables.
///
/// A missing or invalid variable is an error of camunda_admin_new(), unless its setting is set. All
/// settings that were set before are reset, except the log callback and the shutdown handle. On an error
/// `config` is unchanged. No other thread may change the environment during the call.
///
/// @param config Settings of camunda_config_new().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_INVALID_ARGUMENT if `config` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_load_env(
    config: *mut camunda_config,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe { load(config, error, || Ok(AdminClientBuilder::from_env())) }
}

/// Reads settings from a credential file of the Console as camunda_config_from_env_file() does, into
/// settings of camunda_config_new(). Otherwise as camunda_config_load_env().
///
/// @param config Settings of camunda_config_new().
/// @param path Path of the file.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_IO if the file cannot be read; CAMUNDA_STATUS_CONFIG
///   if a line is invalid: the message has its number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_load_env_file(
    config: *mut camunda_config,
    path: *const c_char,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        load(config, error, || {
            AdminClientBuilder::from_env_file(text("path", path)?)
        })
    }
}

/// Replaces the settings of `config` by those that `make` returns.
///
/// # Safety
/// The pointers meet the requirements of the exported functions.
unsafe fn load(
    config: *mut camunda_config,
    error: *mut *mut camunda_error,
    make: impl FnOnce() -> Result<AdminClientBuilder>,
) -> camunda_status {
    // SAFETY: guaranteed by the caller.
    unsafe {
        catch_panic(error, || {
            let config = settings(config)?;
            let builder = make()?;
            // The custom token store that it may replace is freed.
            config.during_mut(|config| {
                config.builder = builder;
                Ok(())
            })
        })
    }
}

/// Creates settings with the credentials of a cluster's client, for camunda_admin_token(): client
/// id, client secret, token URL and audience. All other settings have the defaults of
/// camunda_config_new().
///
/// @param credentials Object of environment variables: of camunda_credentials_from_client(),
///   camunda_credentials_read(), camunda_credentials_from_env() or camunda_value_parse().
/// @param[out] config On success new settings; else NULL. Free them with camunda_config_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_from_credentials(
    credentials: *const camunda_value,
    config: *mut *mut camunda_config,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        make(config, error, || {
            let credentials = credentials::from_value(handle("credentials", credentials)?)?;
            AdminClientBuilder::default().with_credentials(&credentials)
        })
    }
}

/// Borrows settings that a setter changes.
///
/// # Safety
/// `config` is NULL, or valid for `'a` and not used elsewhere during it.
unsafe fn settings<'a>(config: *mut camunda_config) -> Result<&'a mut camunda_config> {
    // SAFETY: guaranteed by the caller.
    unsafe { config.as_mut() }.ok_or_else(|| {
        Error::invalid_argument(
            "config is NULL; camunda_config_new() returns NULL if the program was compiled for \
             another ABI version of the library",
        )
    })
}

/// Sets a setting.
///
/// Keys:
/// - `client_id`, and `client_secret` or `client_secret_file`: the credentials. The file contains
///   the secret; the client reads it again when the credentials are rejected.
/// - `access_token`: an access token that is used unmodified instead of credentials, without
///   token requests.
/// - `base_url`: the URL of the API; default: `https://api.cloud.camunda.io`.
/// - `oauth_url`: the URL of the token endpoint; default:
///   `https://login.cloud.camunda.io/oauth/token`.
/// - `audience`, `scope`: parameters of token requests; default: `api.cloud.camunda.io`, and no
///   scope.
/// - `token_request_format`: encoding of token requests, `json` (default) or `form`.
/// - `token_cache`: where tokens are shared. `auto` (default): files in the user's cache directory.
///   `memory`: this process only. A directory, with a separator in its path or beginning with `.` or
///   `~`. A redis://, rediss://, valkey:// or valkeys:// URL.
/// - `timeout`: maximum duration of a call in seconds, decimals allowed; default: 60.
/// - `max_response_bytes`: maximum size of a decompressed response body; default: 64 MiB.
/// - `ca_file`: certificates in PEM, trusted instead of the platform's. Without it, the
///   environment variables SSL_CERT_FILE and SSL_CERT_DIR replace the platform's on Linux.
/// - `client_cert`, `client_key`: certificate chain and unencrypted private key in PEM, for mTLS.
///   `client_cert` may contain both.
/// - `proxy`: URL of an HTTP proxy; default: that of the environment, for example HTTPS_PROXY.
/// - `user_agent`: the User-Agent header; default: `camunda-admin/VERSION`.
///
/// @param config Settings to change.
/// @param key Key of the setting.
/// @param value Value of the setting; copied.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_CONFIG for an unknown key or an invalid value, and
///   then nothing is changed: the message names the key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_set(
    config: *mut camunda_config,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        catch_panic(error, || {
            let config = settings(config)?;
            let (key, value) = (text("key", key)?, text("value", value)?);
            config.during_mut(|config| config.builder.set(key, value))
        })
    }
}

/// Sets the log callback of clients created from these settings. The callback runs on the calling
/// thread, during calls only. It must be thread-safe.
///
/// @param config Settings to change.
/// @param level The least severe level that the callback receives: CAMUNDA_LOG_….
/// @param log Callback. NULL removes the current one.
/// @param user Passed to each callback unchanged; must be valid until the clients that are created from
///   the settings are freed. May be NULL.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_set_log(
    config: *mut camunda_config,
    level: i32,
    log: camunda_log_fn,
    user: *mut c_void,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        catch_panic(error, || {
            settings(config)?.log = LogSink::new(level, log, user)?;
            Ok(())
        })
    }
}

/// Sets a custom token store. It replaces the setting `token_cache`, and setting that later
/// replaces the store.
///
/// @param config Settings to change.
/// @param store Functions of the store; copied. On failure the library does not call `store->free`.
/// @param user Passed to each function unchanged, until the library has called `store->free`. May
///   be NULL.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_INVALID_ARGUMENT if `store->size` is too small or a
///   required function is NULL, and then nothing is changed: the message names the function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_set_token_store(
    config: *mut camunda_config,
    store: *const camunda_token_store,
    user: *mut c_void,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        catch_panic(error, || {
            let config = settings(config)?;
            config.during_mut(|config| {
                let store = Store::new(store, user)?;
                let builder = std::mem::take(&mut config.builder);
                config.builder = builder.token_store(Arc::new(store));
                Ok(())
            })
        })
    }
}

/// Sets the handle that shuts down clients created from these settings, see
/// camunda_shutdown_start(). Set it before a token store.
///
/// @param config Settings to change.
/// @param shutdown Handle, which may be freed while the clients are in use. NULL removes the
///   current one.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_set_shutdown(
    config: *mut camunda_config,
    shutdown: *const camunda_shutdown,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        catch_panic(error, || {
            settings(config)?.shutdown = shutdown.as_ref().map(camunda_shutdown::shared);
            Ok(())
        })
    }
}

/// Frees settings. Clients created from them remain valid.
///
/// @param config Settings to free. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_free(config: *mut camunda_config) {
    // SAFETY: the caller passes a pointer as documented above.
    let shutdown = unsafe { config.as_ref() }.and_then(|config| config.shutdown.clone());
    // SAFETY: as above.
    shutdown::during(shutdown.as_ref(), || unsafe { free(config) });
}
