//! Settings in C.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use crate::api::admin::AdminClientBuilder;
use crate::error::Result;
use crate::ffi::boundary::{
    catch_panic, catch_panic_or, free, handle, handle_mut, required, return_owned, set_null, text,
};
use crate::ffi::credentials;
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::log::{LogSink, camunda_log_fn};
use crate::ffi::shutdown::{self, Shutdown, camunda_shutdown};
use crate::ffi::token_store::{Store, camunda_token_store};
use crate::ffi::value::camunda_value;

/// Settings of a client. To be used from one thread at a time.
#[derive(Debug, Default)]
pub struct camunda_config {
    pub(super) builder: AdminClientBuilder,
    pub(super) log: Option<LogSink>,
    pub(super) shutdown: Option<Arc<Shutdown>>,
}

impl camunda_config {
    /// Does something that may call a token store of the caller's own.
    pub(super) fn during<T>(&self, body: impl FnOnce(&Self) -> T) -> T {
        shutdown::during(self.shutdown.as_ref(), || body(self))
    }

    fn during_mut<T>(&mut self, body: impl FnOnce(&mut Self) -> T) -> T {
        let shutdown = self.shutdown.clone();
        shutdown::during(shutdown.as_ref(), || body(self))
    }
}

/// The defaults, owned by the caller: camunda_config_free. The environment is not read.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_config_new() -> *mut camunda_config {
    catch_panic_or(std::ptr::null_mut(), || Box::into_raw(Box::default()))
}

/// Makes settings from somewhere.
///
/// # Safety
/// The pointers are as the exported functions document them.
unsafe fn make(
    config: *mut *mut camunda_config,
    error: *mut *mut camunda_error,
    make: impl FnOnce() -> Result<AdminClientBuilder>,
) -> camunda_status {
    // SAFETY: as the caller promises.
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

/// The settings of the environment variables that Camunda's own SDKs read; `config` gets them,
/// owned by the caller: camunda_config_free.
///
/// CAMUNDA_CONSOLE_CLIENT_ID and CAMUNDA_CONSOLE_CLIENT_SECRET have to be there;
/// CAMUNDA_CONSOLE_BASE_URL, CAMUNDA_CONSOLE_OAUTH_AUDIENCE, CAMUNDA_OAUTH_URL, CAMUNDA_TOKEN_SCOPE,
/// CAMUNDA_TOKEN_CACHE_DIR, CAMUNDA_TOKEN_DISK_CACHE_DISABLE, CAMUNDA_TOKEN_CACHE_REDIS_URL,
/// CAMUNDA_CUSTOM_ROOT_CERT_PATH, CAMUNDA_CUSTOM_CERT_CHAIN_PATH, CAMUNDA_CUSTOM_PRIVATE_KEY_PATH and
/// CAMUNDA_CUSTOM_USER_AGENT_STRING may be. CAMUNDA_STATUS_CONFIG names the variable that is missing
/// or not usable. No other thread may change the environment meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_from_env(
    config: *mut *mut camunda_config,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe { make(config, error, AdminClientBuilder::from_env) }
}

/// The settings of a file of `export NAME='value'` or `NAME=value` lines with the same variables, as
/// the Console hands it out; `config` gets them, owned by the caller: camunda_config_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_from_env_file(
    path: *const c_char,
    config: *mut *mut camunda_config,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        make(config, error, || {
            AdminClientBuilder::from_env_file(text("path", path)?)
        })
    }
}

/// The settings with which a cluster's client gets its tokens, for camunda_admin_token: its id,
/// secret, token endpoint and audience, everything else as in camunda_config_new.
///
/// `credentials` is what camunda_credentials_from_client or camunda_credentials_read gave. `config`
/// gets the settings, owned by the caller: camunda_config_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_from_credentials(
    credentials: *const camunda_value,
    config: *mut *mut camunda_config,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        make(config, error, || {
            let credentials = credentials::from_value(handle("credentials", credentials)?)?;
            AdminClientBuilder::default().with_credentials(&credentials)
        })
    }
}

/// Sets one setting. Keys: `client_id`, `client_secret`, `base_url`, `oauth_url`, `audience`,
/// `scope`, `token_cache` (`auto`, `memory`, a directory with a separator in its path or beginning
/// with `.` or `~`, or a redis://, rediss://, valkey:// or valkeys:// URL), `timeout` (seconds,
/// decimals allowed; default: 60), `ca_file` (certificates in PEM, trusted instead of the
/// platform's), `client_cert`, `client_key` (not encrypted), `proxy`, `user_agent`,
/// `token_request_format` (`json` or `form`), `max_response_bytes`.
///
/// CAMUNDA_STATUS_CONFIG for an unknown key or a bad value, naming it; nothing is changed then. The
/// texts are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_set(
    config: *mut camunda_config,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        catch_panic(error, || {
            let config = handle_mut("config", config)?;
            let (key, value) = (text("key", key)?, text("value", value)?);
            config.during_mut(|config| config.builder.set(key, value))
        })
    }
}

/// Lets the calls of clients made from these settings log to `log`, events of `level`
/// (CAMUNDA_LOG_…) and above; NULL for none. `user` is passed on as it is. The function runs on the
/// calling thread, during calls only, and has to bear being called from several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_set_log(
    config: *mut camunda_config,
    level: i32,
    log: camunda_log_fn,
    user: *mut c_void,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        catch_panic(error, || {
            handle_mut("config", config)?.log = LogSink::new(level, log, user)?;
            Ok(())
        })
    }
}

/// Keeps tokens in a store of the program's own instead of where `token_cache` says; whichever is set
/// last counts. `store` is copied; its functions are called with `user` until `store->free` is.
///
/// CAMUNDA_STATUS_INVALID_ARGUMENT for a table that is too short or lacks a function that is needed,
/// naming it; nothing is changed then, and `store->free` is not called.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_set_token_store(
    config: *mut camunda_config,
    store: *const camunda_token_store,
    user: *mut c_void,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        catch_panic(error, || {
            let config = handle_mut("config", config)?;
            config.during_mut(|config| {
                let store = Store::new(store, user)?;
                let builder = std::mem::take(&mut config.builder);
                config.builder = builder.token_store(Arc::new(store));
                Ok(())
            })
        })
    }
}

/// Lets clients made from these settings be shut down by `shutdown`, see camunda_shutdown_start(); NULL
/// takes it back. Set it before a token store. The handle may be freed while the clients are in use.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_set_shutdown(
    config: *mut camunda_config,
    shutdown: *const camunda_shutdown,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        catch_panic(error, || {
            handle_mut("config", config)?.shutdown =
                shutdown.as_ref().map(camunda_shutdown::shared);
            Ok(())
        })
    }
}

/// Frees settings; clients made from them go on unharmed. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_config_free(config: *mut camunda_config) {
    // SAFETY: the pointer is as this function documents it.
    let shutdown = unsafe { config.as_ref() }.and_then(|config| config.shutdown.clone());
    // SAFETY: as above.
    shutdown::during(shutdown.as_ref(), || unsafe { free(config) });
}
