//! Credentials of a cluster's client: JSON objects of environment variables.

use std::collections::BTreeMap;
use std::ffi::c_char;

use serde::Serializer;

use crate::api::cluster_clients::CreatedClusterClient;
use crate::api::clusters::Cluster;
use crate::api::operation::decode;
use crate::credentials::ClusterCredentials;
use crate::error::{Error, Result};
use crate::ffi::boundary::{handle, required, return_owned, set_null, text};
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::guard::catch_panic;
use crate::ffi::value::{OwnedValue, camunda_value};
use crate::secret::{Secret, SecretBuffer};

/// Decodes credentials from an object of strings.
pub(super) fn from_value(value: &camunda_value) -> Result<ClusterCredentials> {
    let variables: BTreeMap<String, Secret> = decode(value.json().as_bytes())
        .map_err(|problem| Error::invalid_argument(format!("credentials: {problem}")))?;
    Ok(ClusterCredentials::from_variables(variables))
}

fn to_value(credentials: &ClusterCredentials) -> Result<OwnedValue> {
    let mut json = SecretBuffer::with_capacity(2 * 1024);
    let mut serializer = serde_json::Serializer::new(&mut json);
    serializer
        .collect_map(credentials.iter())
        .map_err(|error| Error::invalid_argument(format!("credentials: {error}")))?;
    camunda_value::parse(json.into_bytes())
}

/// Combines a new cluster client and its cluster into credentials: an object of environment
/// variables such as ZEEBE_ADDRESS and ZEEBE_CLIENT_SECRET, with which a program connects to the
/// cluster.
///
/// @param created Response of camunda_cluster_client_create().
/// @param cluster Response of camunda_cluster_get().
/// @param[out] credentials On success a new value, an object of environment variables that contains
///   the client secret; else NULL. Free it with camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_credentials_from_client(
    created: *const camunda_value,
    cluster: *const camunda_value,
    credentials: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(credentials);
        catch_panic(error, || {
            let bad = |name: &'static str| {
                move |problem| Error::invalid_argument(format!("{name}: {problem}"))
            };
            let created = handle("created", created)?;
            let cluster = handle("cluster", cluster)?;
            let credentials = required("credentials", credentials)?;
            let created: CreatedClusterClient =
                decode(created.json().as_bytes()).map_err(bad("created"))?;
            let cluster: Cluster = decode(cluster.json().as_bytes()).map_err(bad("cluster"))?;
            return_owned(credentials, to_value(&created.credentials(&cluster))?);
            Ok(())
        })
    }
}

/// Writes credentials as `export NAME='value'` lines to a new file with mode 0600, and flushes it
/// to the disk. To store the credentials of a client that is not created yet, use
/// camunda_cluster_client_create_env_file().
///
/// @param credentials Object of environment variables, as for camunda_config_from_credentials().
/// @param path Path of the file. The function never overwrites a file.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_IO if the path exists, also as a symbolic link, or
///   cannot be written; CAMUNDA_STATUS_INVALID_ARGUMENT for an invalid variable name or a value
///   that contains a NUL, before the file is created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_credentials_write(
    credentials: *const camunda_value,
    path: *const c_char,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        catch_panic(error, || {
            let credentials = from_value(handle("credentials", credentials)?)?;
            credentials.write_env_file(text("path", path)?)
        })
    }
}

/// Reads a credential file of the Console: `export NAME='value'` or `NAME=value` lines, with quotes
/// and comments.
///
/// @param path Path of the file.
/// @param[out] credentials On success a new value, an object of environment variables that contains
///   the client secret; else NULL. Free it with camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_credentials_read(
    path: *const c_char,
    credentials: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(credentials);
        catch_panic(error, || {
            let credentials = required("credentials", credentials)?;
            let read = ClusterCredentials::from_env_file(text("path", path)?)?;
            return_owned(credentials, to_value(&read)?);
            Ok(())
        })
    }
}

/// Reads the variables of the Console's credential file from the environment, such as ZEEBE_ADDRESS
/// and ZEEBE_TOKEN_AUDIENCE. ZEEBE_CLIENT_ID and ZEEBE_CLIENT_SECRET are required; an empty
/// variable counts as not set. No other thread may change the environment during the call.
///
/// @param[out] credentials On success a new value, an object of environment variables that contains
///   the client secret; else NULL. Free it with camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_CONFIG if a variable is missing or not UTF-8: the
///   message names it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_credentials_from_env(
    credentials: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(credentials);
        catch_panic(error, || {
            let credentials = required("credentials", credentials)?;
            return_owned(credentials, to_value(&ClusterCredentials::from_env()?)?);
            Ok(())
        })
    }
}
