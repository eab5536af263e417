//! Runs operations and waiters for C: validates the arguments, executes the operation that a description
//! defines, and returns the response as a value.

use std::ffi::{c_char, c_void};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::admin::{AdminClient, RawRequest};
use crate::api::cluster_clients;
use crate::api::clusters::{ClusterId, IpAllowlistEntry};
use crate::api::operation::Operation;
use crate::api::wait_options::Wait;
use crate::error::{Error, Result};
use crate::ffi::admin::{camunda_admin, encode};
use crate::ffi::boundary::{bytes, handle, required, return_owned, set_null, text};
use crate::ffi::call::camunda_call_options;
use crate::ffi::callback::{Callback, camunda_write_fn};
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::guard::{catch_panic, guard_operation};
use crate::ffi::shutdown::call_back;
use crate::ffi::value::{OwnedValue, camunda_value};
use crate::secret::Zeroizing;
use crate::transport::{Idempotency, Method};

/// By the method: GET is safe, all other methods are non-idempotent.
pub const CAMUNDA_IDEMPOTENCY_BY_METHOD: i32 = 0;
/// Safe: the request changes nothing. The library retries it after transient errors.
pub const CAMUNDA_IDEMPOTENCY_SAFE: i32 = 1;
/// Idempotent: executing the request twice has the same effect as once. The library retries it after
/// transient errors.
pub const CAMUNDA_IDEMPOTENCY_IDEMPOTENT: i32 = 2;
/// Non-idempotent: the library retries the request only if no byte of it was sent.
pub const CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT: i32 = 3;

/// Maximum number of arguments in the path of an operation.
const MAX_ARGUMENTS: usize = 4;

type Out = Option<*mut *mut camunda_value>;

/// The pointers that each function of an operation or a waiter receives.
#[derive(Clone, Copy)]
pub(super) struct CallPointers {
    pub(super) admin: *const camunda_admin,
    pub(super) call: *const camunda_call_options,
    pub(super) error: *mut *mut camunda_error,
}

/// Validates arguments and body, executes the operation, validates the response and returns it.
///
/// # Safety
/// The pointers meet the requirements of the exported functions.
pub(super) unsafe fn run(
    operation: &'static Operation,
    pointers: CallPointers,
    arguments: &[*const c_char],
    body: Option<(*const c_char, usize)>,
    value: Out,
) -> camunda_status {
    let CallPointers { admin, call, error } = pointers;
    // SAFETY: guaranteed by the caller.
    unsafe {
        value.into_iter().for_each(|value| set_null(value));
        guard_operation(operation.idempotency, error, || {
            let admin = handle("admin", admin)?;
            let mut texts = [""; MAX_ARGUMENTS];
            for ((name, argument), into) in operation.arguments().zip(arguments).zip(&mut texts) {
                *into = text(name, *argument)?;
            }
            let arguments = &texts[..arguments.len()];
            let body = body
                .map(|(json, len)| bytes("json", json, len))
                .transpose()?;
            operation.check_body(body)?;
            let value = value.map(|value| required("value", value)).transpose()?;
            let client = admin.with(call.as_ref().map(camunda_call_options::options));
            let body = body.map(|body| Zeroizing::new(body.to_vec()));
            let mut decoded = None;
            admin.logging(|| {
                client.execute(operation, arguments, body, &mut |response| {
                    decoded = Some(operation.index_response(response)?);
                    Ok(())
                })
            })?;
            if let (Some(value), Some((response, index))) = (value, decoded) {
                let response = match index {
                    Some(index) => camunda_value::indexed(response, index),
                    None => camunda_value::parse(response)?,
                };
                return_owned(value, response);
            }
            Ok(())
        })
    }
}

/// Executes an operation and passes its response body to a sink.
///
/// # Safety
/// The pointers meet the requirements of the exported functions.
pub(super) unsafe fn stream(
    operation: &'static Operation,
    pointers: CallPointers,
    sink: camunda_write_fn,
    user: *mut c_void,
) -> camunda_status {
    struct Sink(Callback<unsafe extern "C-unwind" fn(*mut c_void, *const c_char, usize) -> i32>);
    impl Write for Sink {
        fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
            // SAFETY: the caller guarantees that `user` is valid for this function.
            match call_back(|| unsafe {
                (self.0.function)(self.0.user, chunk.as_ptr().cast(), chunk.len())
            }) {
                Some(0) => Ok(chunk.len()),
                Some(code) => Err(io::Error::other(format!("sink returned {code}"))),
                None => Err(io::Error::other("the client is shut down")),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let CallPointers { admin, call, error } = pointers;
    // SAFETY: guaranteed by the caller.
    unsafe {
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            let function = sink.ok_or_else(|| Error::invalid_argument("sink is NULL"))?;
            let client = admin.with(call.as_ref().map(camunda_call_options::options));
            admin.logging(|| client.stream(operation, &mut Sink(Callback { function, user })))
        })
    }
}

/// The encoded result of a waiter; `None` if it waits for a deletion.
pub(super) type Waited = Result<Option<OwnedValue>>;

/// Validates the arguments, runs a waiter and returns its result.
///
/// # Safety
/// The pointers meet the requirements of the exported functions.
pub(super) unsafe fn wait<const N: usize>(
    waiter: fn(&AdminClient, [&str; N], &camunda_call_options) -> Waited,
    pointers: CallPointers,
    arguments: [(&str, *const c_char); N],
    value: Out,
) -> camunda_status {
    let CallPointers { admin, call, error } = pointers;
    // SAFETY: guaranteed by the caller.
    unsafe {
        value.into_iter().for_each(|value| set_null(value));
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            let mut strings = [""; N];
            for (string, (name, argument)) in strings.iter_mut().zip(arguments) {
                *string = text(name, argument)?;
            }
            let value = value.map(|value| required("value", value)).transpose()?;
            let none = camunda_call_options::default();
            let call = call.as_ref().unwrap_or(&none);
            let client = admin.with(Some(call.poll_options()));
            let waited = admin.logging(|| waiter(&client, strings, call))?;
            if let (Some(value), Some(waited)) = (value, waited) {
                return_owned(value, waited);
            }
            Ok(())
        })
    }
}

/// Converts the options of a call to those of a waiter.
pub(super) fn wait_options<T: Serialize>(call: &camunda_call_options) -> Wait<'_, T> {
    let mut wait = Wait::default();
    if let Some(timeout) = call.timeout() {
        wait = wait.timeout(timeout);
    }
    if let Some(interval) = call.interval() {
        wait = wait.max_poll_interval(interval);
    }
    if call.wants_progress() {
        wait = wait.on_progress(|resource| {
            if let Ok(resource) = encode(resource) {
                call.report(&resource);
            }
        });
    }
    wait
}

/// Encodes the result of a waiter.
pub(super) fn with_value(result: Result<impl Serialize>) -> Waited {
    encode(&result?).map(Some)
}

/// Converts the result of a waiter that returns no value.
pub(super) fn without_value(result: Result<()>) -> Waited {
    result.map(|()| None)
}

/// Creates a client of a cluster and writes its credentials to a new file, which
/// camunda_credentials_read() reads.
///
/// The API returns the client secret only once, so the file is created first: with mode 0600,
/// without overwriting an existing file, and with its disk space allocated. Then the client is
/// created, and the credentials are written and flushed. If no client was created, or if that is
/// unknown, the file is removed. The function also reads the cluster, for its URLs. The timeout of
/// `call` covers all of it.
///
/// The request body and the response have the fields of camunda_cluster_client_create().
///
/// @param admin Client. Thread-safe.
/// @param call Options of the call; NULL for the defaults.
/// @param cluster_uuid Id of the cluster.
/// @param json Request body, JSON in UTF-8. The library validates it before it sends the request,
///   and borrows it during the call.
/// @param json_len Size of the request body in bytes.
/// @param path Path of the file.
/// @param[out] value On success a new value, the new client; else NULL. Free it with
///   camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error, as camunda_cluster_client_create(). Also
///   CAMUNDA_STATUS_IO: with CAMUNDA_OUTCOME_NOT_SENT if the file exists or cannot be created, and
///   with CAMUNDA_OUTCOME_COMPLETED if it cannot be written afterwards. In the latter case the
///   client exists, and camunda_error_body() returns the response with its secret.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cluster_client_create_env_file(
    admin: *const camunda_admin,
    call: *const camunda_call_options,
    cluster_uuid: *const c_char,
    json: *const c_char,
    json_len: usize,
    path: *const c_char,
    value: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(value);
        guard_operation(cluster_clients::CREATE.idempotency, error, || {
            let admin = handle("admin", admin)?;
            let id = ClusterId::new(text("cluster_uuid", cluster_uuid)?)?;
            let body = bytes("json", json, json_len)?;
            cluster_clients::CREATE.check_body(Some(body))?;
            let path = Path::new(text("path", path)?);
            let value = required("value", value)?;
            let body = Zeroizing::new(body.to_vec());
            let client = admin.with(call.as_ref().map(camunda_call_options::options));
            let (_, response) = admin.logging(|| {
                let cluster = client.cluster(&id);
                cluster.clients().create_env_file_from(path, body)
            })?;
            return_owned(value, camunda_value::parse(response)?);
            Ok(())
        })
    }
}

/// Adds an entry to the IP allowlist of a cluster. Replaces an entry with the same `ip`.
///
/// Reads the allowlist, changes it and writes it, since the API has no operation for this.
/// Concurrent changes are not detected: the last write wins, and earlier changes are lost.
///
/// @param admin Client. Thread-safe.
/// @param call Options of the call; NULL for the defaults.
/// @param cluster_uuid Id of the cluster.
/// @param ip CIDR, or several separated by commas.
/// @param description Description of the entry.
/// @param[out] value On success a new value, the resulting allowlist: an array of objects with `ip`
///   and `description`; else NULL. Free it with camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cluster_add_to_ip_allowlist(
    admin: *const camunda_admin,
    call: *const camunda_call_options,
    cluster_uuid: *const c_char,
    ip: *const c_char,
    description: *const c_char,
    value: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    let pointers = CallPointers { admin, call, error };
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        change_allowlist(pointers, cluster_uuid, value, |admin, id| {
            let entry = IpAllowlistEntry::new(text("ip", ip)?, text("description", description)?);
            admin.cluster(id).add_to_ip_allowlist(entry)
        })
    }
}

/// Removes the entry with this `ip` from the IP allowlist of a cluster. Concurrent changes are not
/// detected, see camunda_cluster_add_to_ip_allowlist().
///
/// @param admin Client. Thread-safe.
/// @param call Options of the call; NULL for the defaults.
/// @param cluster_uuid Id of the cluster.
/// @param ip The `ip` of the entry.
/// @param[out] value On success a new value, the resulting allowlist: an array of objects with `ip`
///   and `description`; else NULL. Free it with camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cluster_remove_from_ip_allowlist(
    admin: *const camunda_admin,
    call: *const camunda_call_options,
    cluster_uuid: *const c_char,
    ip: *const c_char,
    value: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    let pointers = CallPointers { admin, call, error };
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        change_allowlist(pointers, cluster_uuid, value, |admin, id| {
            admin.cluster(id).remove_from_ip_allowlist(text("ip", ip)?)
        })
    }
}

/// Runs a change of an IP allowlist and returns the result.
///
/// # Safety
/// The pointers meet the requirements of the exported functions.
unsafe fn change_allowlist(
    pointers: CallPointers,
    cluster_uuid: *const c_char,
    value: *mut *mut camunda_value,
    change: impl FnOnce(&AdminClient, &ClusterId) -> Result<Vec<IpAllowlistEntry>>,
) -> camunda_status {
    let CallPointers { admin, call, error } = pointers;
    // SAFETY: guaranteed by the caller.
    unsafe {
        set_null(value);
        guard_operation(Idempotency::Idempotent, error, || {
            let admin = handle("admin", admin)?;
            let id = ClusterId::new(text("cluster_uuid", cluster_uuid)?)?;
            let value = required("value", value)?;
            let client = admin.with(call.as_ref().map(camunda_call_options::options));
            let entries = admin.logging(|| change(&client, &id))?;
            return_owned(value, encode(&entries)?);
            Ok(())
        })
    }
}

/// Sends a request to an endpoint that this version has no function for, with the client's token.
///
/// @param admin Client. Thread-safe.
/// @param call Options of the call; NULL for the defaults.
/// @param idempotency Whether the library may retry the request: CAMUNDA_IDEMPOTENCY_….
/// @param method GET, POST, PUT, PATCH or DELETE.
/// @param path Path with an optional query, for example `/clusters?new=1`.
/// @param json Request body, JSON in UTF-8, borrowed during the call. NULL for no body.
/// @param json_len Size of the request body in bytes.
/// @param[out] value On success a new value, the response, or `null` if it has no body; else NULL.
///   Free it with camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_request(
    admin: *const camunda_admin,
    call: *const camunda_call_options,
    idempotency: i32,
    method: *const c_char,
    path: *const c_char,
    json: *const c_char,
    json_len: usize,
    value: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(value);
        let effect = match idempotency {
            CAMUNDA_IDEMPOTENCY_SAFE => Idempotency::Safe,
            _ => Idempotency::NonIdempotent,
        };
        guard_operation(effect, error, || {
            let admin = handle("admin", admin)?;
            let method: Method = text("method", method)?.parse().map_err(|_| {
                Error::invalid_argument("method is not one of GET, POST, PUT, PATCH, DELETE")
            })?;
            let idempotency = match idempotency {
                CAMUNDA_IDEMPOTENCY_BY_METHOD if method == Method::Get => Idempotency::Safe,
                CAMUNDA_IDEMPOTENCY_SAFE => Idempotency::Safe,
                CAMUNDA_IDEMPOTENCY_IDEMPOTENT => Idempotency::Idempotent,
                CAMUNDA_IDEMPOTENCY_BY_METHOD | CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT => {
                    Idempotency::NonIdempotent
                }
                _ => {
                    return Err(Error::invalid_argument(format!(
                        "idempotency is {idempotency}; expected CAMUNDA_IDEMPOTENCY_BY_METHOD to \
                         CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT"
                    )));
                }
            };
            let path = text("path", path)?;
            let value = required("value", value)?;
            let client = admin.with(call.as_ref().map(camunda_call_options::options));
            let response = admin.logging(|| {
                // The time that the check of a large body takes counts, too.
                let call = client.call();
                let body = match json.is_null() {
                    true => None,
                    false => Some(checked_json(bytes("json", json, json_len)?)?),
                };
                client.send_raw(
                    &call,
                    RawRequest {
                        idempotency,
                        method,
                        path,
                        body,
                    },
                )
            })?;
            return_owned(value, camunda_value::parse(response)?);
            Ok(())
        })
    }
}

/// Copies a request body. Fails unless it is JSON.
fn checked_json(json: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    std::str::from_utf8(json)
        .map_err(|error| Error::invalid_argument(format!("json is not UTF-8: {error}")))?;
    serde_json::from_slice::<&RawValue>(json)
        .map_err(|error| Error::invalid_argument(format!("not JSON: {error}")))?;
    Ok(Zeroizing::new(json.to_vec()))
}
