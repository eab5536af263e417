//! The credentials of a cluster's client in C: an object of variables.

use std::collections::BTreeMap;
use std::ffi::c_char;

use serde::Serializer;

use crate::api::cluster_clients::CreatedClusterClient;
use crate::api::clusters::Cluster;
use crate::api::operation::decode;
use crate::credentials::ClusterCredentials;
use crate::error::{Error, Result};
use crate::ffi::boundary::{catch_panic, handle, required, return_owned, set_null, text};
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::value::{OwnedValue, camunda_value};
use crate::secret::{Secret, SecretBuffer};

/// Reads credentials from an object of strings.
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

/// Everything a program needs to use a cluster as a client that was just created: an object of
/// variables such as ZEEBE_ADDRESS and ZEEBE_CLIENT_SECRET.
///
/// `created` is the answer of camunda_cluster_client_create, `cluster` that of camunda_cluster_get.
/// `credentials` gets the object, owned by the caller: camunda_value_free. Handle it as a secret.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_credentials_from_client(
    created: *const camunda_value,
    cluster: *const camunda_value,
    credentials: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
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

/// Writes credentials as `export NAME='value'` lines to a new file with mode 0600, and flushes it to
/// the disk. Never overwrites (CAMUNDA_STATUS_IO): if the path exists, a symbolic link included, nothing
/// is changed. A name that is not valid or a value with a NUL is CAMUNDA_STATUS_INVALID_ARGUMENT, before
/// the file is created. To keep the credentials of a client that is yet to be created, use
/// camunda_cluster_client_create_env_file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_credentials_write(
    credentials: *const camunda_value,
    path: *const c_char,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        catch_panic(error, || {
            let credentials = from_value(handle("credentials", credentials)?)?;
            credentials.write_env_file(text("path", path)?)
        })
    }
}

/// Reads a credential file of `export NAME='value'` or `NAME=value` lines, as the Console hands it
/// out, quotes and comments understood. `credentials` gets an object of its variables, owned by the
/// caller: camunda_value_free. Handle it as a secret.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_credentials_read(
    path: *const c_char,
    credentials: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
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
/// and ZEEBE_TOKEN_AUDIENCE. ZEEBE_CLIENT_ID and ZEEBE_CLIENT_SECRET are required; an empty variable
/// counts as not set. `credentials` gets an object of the variables, owned by the caller:
/// camunda_value_free. Handle it as a secret.
///
/// CAMUNDA_STATUS_CONFIG names the variable that is not set or not UTF-8. No other thread may change
/// the environment meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_credentials_from_env(
    credentials: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        set_null(credentials);
        catch_panic(error, || {
            let credentials = required("credentials", credentials)?;
            return_owned(credentials, to_value(&ClusterCredentials::from_env()?)?);
            Ok(())
        })
    }
}
