//! Running an operation or a waiter for C: arguments in, answer out. What the operation is comes
//! from its description.

use std::ffi::{c_char, c_void};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::admin::AdminClient;
use crate::api::backups::BackupId;
use crate::api::cluster_clients;
use crate::api::clusters::{ClusterId, IpAllowlistEntry};
use crate::api::operation::Operation;
use crate::api::wait::Wait;
use crate::error::{Error, Result};
use crate::ffi::admin::{camunda_admin, encode};
use crate::ffi::boundary::{
    bytes, catch_panic, guard_operation, handle, required, return_owned, set_null, text,
};
use crate::ffi::call::camunda_call_options;
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::shutdown::call_back;
use crate::ffi::value::{OwnedValue, camunda_value};
use crate::secret::Zeroizing;
use crate::transport::{Idempotency, Method};

/// By the method: GET is safe, everything else is sent once.
pub const CAMUNDA_IDEMPOTENCY_BY_METHOD: i32 = 0;
/// Changes nothing: sent again after passing failures.
pub const CAMUNDA_IDEMPOTENCY_SAFE: i32 = 1;
/// Sets a state, so twice is as good as once: sent again after passing failures.
pub const CAMUNDA_IDEMPOTENCY_IDEMPOTENT: i32 = 2;
/// Sent again only where it is certain that no byte of it left.
pub const CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT: i32 = 3;

/// Gets text piece by piece, on the calling thread; returns 0 to go on, anything else ends the call.
/// The piece is not NUL-terminated and borrowed during the callback.
pub type camunda_write_fn =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, data: *const c_char, len: usize) -> i32>;

type Out = Option<*mut *mut camunda_value>;

/// Checks arguments and body, calls the operation, checks the answer and hands it over.
///
/// # Safety
/// The pointers are as the exported functions document them.
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn run(
    operation: &'static Operation,
    admin: *const camunda_admin,
    call: *const camunda_call_options,
    arguments: &[*const c_char],
    body: Option<(*const c_char, usize)>,
    value: Out,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: as the caller promises.
    unsafe {
        value.into_iter().for_each(|value| set_null(value));
        guard_operation(operation.idempotency, error, || {
            let admin = handle("admin", admin)?;
            let names = operation.arguments();
            let arguments: Vec<&str> = names
                .zip(arguments)
                .map(|(name, argument)| text(name, *argument))
                .collect::<Result<_>>()?;
            let body = body
                .map(|(json, len)| bytes("json", json, len))
                .transpose()?;
            operation.check_body(body)?;
            let value = value.map(|value| required("value", value)).transpose()?;
            let client = admin.with(call.as_ref().map(camunda_call_options::options));
            let body = body.map(|body| Zeroizing::new(body.to_vec()));
            let answer = admin.logging(|| {
                client.execute(operation, &arguments, body, |answer| {
                    operation.validate_response(&answer)?;
                    Ok(answer)
                })
            })?;
            if let Some(value) = value {
                // As the check of the answer has found.
                return_owned(value, camunda_value::of_valid(answer)?);
            }
            Ok(())
        })
    }
}

/// Passes the text that an operation answers on to a sink.
///
/// # Safety
/// The pointers are as the exported functions document them.
pub(super) unsafe fn stream(
    operation: &'static Operation,
    admin: *const camunda_admin,
    call: *const camunda_call_options,
    sink: camunda_write_fn,
    user: *mut c_void,
    error: *mut *mut camunda_error,
) -> camunda_status {
    struct Sink {
        function: unsafe extern "C-unwind" fn(*mut c_void, *const c_char, usize) -> i32,
        user: *mut c_void,
    }
    impl Write for Sink {
        fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
            // SAFETY: the caller promised that function and data go together.
            match call_back(|| unsafe {
                (self.function)(self.user, piece.as_ptr().cast(), piece.len())
            }) {
                Some(0) => Ok(piece.len()),
                Some(code) => Err(io::Error::other(format!("the sink answered {code}"))),
                None => Err(io::Error::other("the client is shut down")),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    // SAFETY: as the caller promises.
    unsafe {
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            let function = sink.ok_or_else(|| Error::invalid_argument("sink is NULL"))?;
            let client = admin.with(call.as_ref().map(camunda_call_options::options));
            admin.logging(|| client.stream(operation, &mut Sink { function, user }))
        })
    }
}

/// What a waiter answers, encoded; nothing where it waits for an end.
type Waited = Result<Option<OwnedValue>>;

/// Checks arguments, waits, and hands the answer over.
///
/// # Safety
/// The pointers are as the exported functions document them.
pub(super) unsafe fn wait<const N: usize>(
    waiter: fn(&AdminClient, [&str; N], &camunda_call_options) -> Waited,
    admin: *const camunda_admin,
    call: *const camunda_call_options,
    arguments: [*const c_char; N],
    value: Out,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: as the caller promises.
    unsafe {
        value.into_iter().for_each(|value| set_null(value));
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            let mut texts = [""; N];
            for (index, argument) in arguments.into_iter().enumerate() {
                texts[index] = text(&format!("argument {}", index + 1), argument)?;
            }
            let value = value.map(|value| required("value", value)).transpose()?;
            let none = camunda_call_options::default();
            let call = call.as_ref().unwrap_or(&none);
            let client = admin.with(Some(call.options_of_looks()));
            let waited = admin.logging(|| waiter(&client, texts, call))?;
            if let (Some(value), Some(waited)) = (value, waited) {
                return_owned(value, waited);
            }
            Ok(())
        })
    }
}

/// How to wait, from the options of a call.
fn waiting<T: Serialize>(call: &camunda_call_options) -> Wait<'_, T> {
    let mut wait = Wait::default();
    if let Some(timeout) = call.timeout() {
        wait = wait.timeout(timeout);
    }
    if let Some(interval) = call.interval() {
        wait = wait.interval(interval);
    }
    if call.wants_progress() {
        wait = wait.on_progress(|seen| {
            if let Ok(seen) = encode(seen) {
                call.report(&seen);
            }
        });
    }
    wait
}

pub(super) fn cluster_wait_until_healthy(
    admin: &AdminClient,
    [id]: [&str; 1],
    call: &camunda_call_options,
) -> Waited {
    let id = ClusterId::new(id)?;
    encode(&admin.cluster(&id).wait_until_healthy(&waiting(call))?).map(Some)
}

pub(super) fn cluster_wait_until_deleted(
    admin: &AdminClient,
    [id]: [&str; 1],
    call: &camunda_call_options,
) -> Waited {
    let id = ClusterId::new(id)?;
    admin
        .cluster(&id)
        .wait_until_deleted(&waiting(call))
        .map(|()| None)
}

pub(super) fn cluster_wait_until_upgraded(
    admin: &AdminClient,
    [id, generation]: [&str; 2],
    call: &camunda_call_options,
) -> Waited {
    let id = ClusterId::new(id)?;
    encode(
        &admin
            .cluster(&id)
            .wait_until_upgraded(generation, &waiting(call))?,
    )
    .map(Some)
}

pub(super) fn cluster_wait_until_woken(
    admin: &AdminClient,
    [id]: [&str; 1],
    call: &camunda_call_options,
) -> Waited {
    let id = ClusterId::new(id)?;
    encode(&admin.cluster(&id).wait_until_woken(&waiting(call))?).map(Some)
}

pub(super) fn cluster_wait_until_encrypted(
    admin: &AdminClient,
    [id]: [&str; 1],
    call: &camunda_call_options,
) -> Waited {
    let id = ClusterId::new(id)?;
    encode(&admin.cluster(&id).wait_until_encrypted(&waiting(call))?).map(Some)
}

pub(super) fn backup_wait_until_complete(
    admin: &AdminClient,
    [id, backup]: [&str; 2],
    call: &camunda_call_options,
) -> Waited {
    let (id, backup) = (ClusterId::new(id)?, BackupId::new(backup)?);
    encode(
        &admin
            .cluster(&id)
            .backups()
            .wait_until_complete(&backup, &waiting(call))?,
    )
    .map(Some)
}

pub(super) fn backup_wait_until_restored(
    admin: &AdminClient,
    [id, backup]: [&str; 2],
    call: &camunda_call_options,
) -> Waited {
    let (id, backup) = (ClusterId::new(id)?, BackupId::new(backup)?);
    encode(
        &admin
            .cluster(&id)
            .backups()
            .wait_until_restored(&backup, &waiting(call))?,
    )
    .map(Some)
}

/// Creates a client of a cluster, and keeps its credentials in a new file.
///
/// The secret is shown only once, so the file comes first: it is created with mode 0600, never over
/// another, and takes its room on the disk; then the client is created; then the file is filled and
/// flushed. If no client was created, or if that is unknown, the file is removed again. The cluster
/// is read as well, for its addresses. One deadline covers all of it.
///
/// `json` is the body, a CreateClusterClient, as JSON text of `json_len` bytes; it is checked before
/// anything is sent, and borrowed during the call. `path` is that of the file; camunda_credentials_read
/// reads it. `value` gets a CreatedClusterClient, owned by the caller: camunda_value_free. `call` may be
/// NULL: the client's own timeout. `error` may be NULL; else it gets NULL, or what went wrong, owned by
/// the caller: camunda_error_free. Safe from several threads at once.
///
/// Fails as camunda_cluster_client_create does, and with CAMUNDA_STATUS_IO: with the outcome
/// CAMUNDA_OUTCOME_NOT_SENT if the file exists or cannot be created, and with CAMUNDA_OUTCOME_COMPLETED if
/// it cannot be filled afterwards. The client exists then, and camunda_error_body has the response
/// with its secret.
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
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        set_null(value);
        catch_panic(error, || {
            let admin = handle("admin", admin)?;
            let id = ClusterId::new(text("cluster_uuid", cluster_uuid)?)?;
            let body = bytes("json", json, json_len)?;
            cluster_clients::CREATE.check_body(Some(body))?;
            let path = Path::new(text("path", path)?);
            let value = required("value", value)?;
            let body = Zeroizing::new(body.to_vec());
            let client = admin.with(call.as_ref().map(camunda_call_options::options));
            let (_, answer) = admin.logging(|| {
                let cluster = client.cluster(&id);
                cluster.clients().create_env_file_from(path, body)
            })?;
            return_owned(value, camunda_value::of_valid(answer)?);
            Ok(())
        })
    }
}

/// Adds an entry to a cluster's allowlist: reads, changes, writes. An entry with the same `ip` is
/// replaced. The service has no operation for this, so two of them at once can race: the later write
/// wins, and the other's change is lost.
///
/// `call` may be NULL. `value` gets the list as it is then, owned by the caller: camunda_value_free.
/// Safe from several threads at once.
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
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        change_allowlist(admin, call, cluster_uuid, value, error, |admin, id| {
            let entry = IpAllowlistEntry::new(text("ip", ip)?, text("description", description)?);
            admin.cluster(id).add_to_ip_allowlist(entry)
        })
    }
}

/// Removes the entry with that `ip` from a cluster's allowlist. Races as
/// camunda_cluster_add_to_ip_allowlist does.
///
/// `call` may be NULL. `value` gets the list as it is then, owned by the caller: camunda_value_free.
/// Safe from several threads at once.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_cluster_remove_from_ip_allowlist(
    admin: *const camunda_admin,
    call: *const camunda_call_options,
    cluster_uuid: *const c_char,
    ip: *const c_char,
    value: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        change_allowlist(admin, call, cluster_uuid, value, error, |admin, id| {
            admin.cluster(id).remove_from_ip_allowlist(text("ip", ip)?)
        })
    }
}

/// Runs a change of an allowlist.
///
/// # Safety
/// The pointers are as the exported functions document them.
unsafe fn change_allowlist(
    admin: *const camunda_admin,
    call: *const camunda_call_options,
    cluster_uuid: *const c_char,
    value: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
    change: impl FnOnce(&AdminClient, &ClusterId) -> Result<Vec<IpAllowlistEntry>>,
) -> camunda_status {
    // SAFETY: as the caller promises.
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

/// Reaches operations that are newer than this library: any method, a path such as
/// `/clusters?new=1`, and JSON in and out, under the same token.
///
/// `idempotency` is CAMUNDA_IDEMPOTENCY_…. `json` is the body of `json_len` bytes, or NULL for none. `call` may
/// be NULL. `value` gets the answer (`null` where it has no body), owned by the caller:
/// camunda_value_free. Safe from several threads at once.
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
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        set_null(value);
        let effect = match idempotency {
            CAMUNDA_IDEMPOTENCY_SAFE => Idempotency::Safe,
            _ => Idempotency::NonIdempotent,
        };
        guard_operation(effect, error, || {
            let admin = handle("admin", admin)?;
            let method = match text("method", method)? {
                "GET" => Method::Get,
                "POST" => Method::Post,
                "PUT" => Method::Put,
                "PATCH" => Method::Patch,
                "DELETE" => Method::Delete,
                _ => {
                    return Err(Error::invalid_argument(
                        "method is none of GET, POST, PUT, PATCH, DELETE",
                    ));
                }
            };
            let idempotency = match idempotency {
                CAMUNDA_IDEMPOTENCY_BY_METHOD if method == Method::Get => Idempotency::Safe,
                CAMUNDA_IDEMPOTENCY_SAFE => Idempotency::Safe,
                CAMUNDA_IDEMPOTENCY_IDEMPOTENT => Idempotency::Idempotent,
                CAMUNDA_IDEMPOTENCY_BY_METHOD | CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT => {
                    Idempotency::NonIdempotent
                }
                _ => {
                    return Err(Error::invalid_argument(format!(
                        "idempotency is {idempotency}, not one of CAMUNDA_IDEMPOTENCY_BY_METHOD to CAMUNDA_IDEMPOTENCY_NON_IDEMPOTENT"
                    )));
                }
            };
            let path = text("path", path)?;
            let body = match json.is_null() {
                true => None,
                false => {
                    let json = bytes("json", json, json_len)?;
                    std::str::from_utf8(json).map_err(|error| {
                        Error::invalid_argument(format!("json is not UTF-8: {error}"))
                    })?;
                    serde_json::from_slice::<&RawValue>(json)
                        .map_err(|error| Error::invalid_argument(format!("not JSON: {error}")))?;
                    Some(Zeroizing::new(json.to_vec()))
                }
            };
            let value = required("value", value)?;
            let client = admin.with(call.as_ref().map(camunda_call_options::options));
            let answer = admin.logging(|| client.request_json(idempotency, method, path, body))?;
            return_owned(value, camunda_value::parse(answer)?);
            Ok(())
        })
    }
}
