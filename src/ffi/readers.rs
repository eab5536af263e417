//! Readers of `camunda_value` that combine several steps: typed values by path, and iteration.

use std::ffi::c_char;
use std::ptr;

use crate::api::timestamp::Timestamp;
use crate::ffi::boundary::{catch_panic_or, text};
use crate::ffi::value::{
    camunda_value, camunda_value_at, camunda_value_bool, camunda_value_integer, camunda_value_key,
    camunda_value_path, camunda_value_str,
};

/// Returns the string at a path such as `status.ready`, in UTF-8 and NUL-terminated. `fallback`, which
/// may be NULL, if no string is there. Borrowed from `value`.
///
/// See camunda_value_path() for paths. A string with a NUL character ends at it; camunda_value_str()
/// returns the length.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_path_str(
    value: *const camunda_value,
    path: *const c_char,
    fallback: *const c_char,
) -> *const c_char {
    // SAFETY: the caller passes pointers as documented above.
    let found = unsafe { camunda_value_str(camunda_value_path(value, path), ptr::null_mut()) };
    if found.is_null() { fallback } else { found }
}

/// Returns the integer at a path such as `channels.0.priority`. `fallback` if the path leads to no
/// number, to a fraction, or to a number out of range. See camunda_value_path() for paths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_path_integer(
    value: *const camunda_value,
    path: *const c_char,
    fallback: i64,
) -> i64 {
    // SAFETY: the caller passes pointers as documented above.
    unsafe { camunda_value_integer(camunda_value_path(value, path), fallback) }
}

/// Returns the boolean at a path such as `encryption.enabled`. `fallback` if no boolean is there. See
/// camunda_value_path() for paths.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_path_bool(
    value: *const camunda_value,
    path: *const c_char,
    fallback: bool,
) -> bool {
    // SAFETY: the caller passes pointers as documented above.
    unsafe { camunda_value_bool(camunda_value_path(value, path), fallback) }
}

/// Stores the instant of an RFC 3339 time such as `2024-05-01T12:00:00.123Z`, in milliseconds since
/// 1970-01-01 UTC, rounded down, in `*ms`. Returns false and stores 0 if `value` is not a string or not
/// an RFC 3339 time; false if `ms` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_time(value: *const camunda_value, ms: *mut i64) -> bool {
    // SAFETY: the caller passes pointers as documented above.
    unsafe { camunda_time_parse(camunda_value_str(value, ptr::null_mut()), ms) }
}

/// As camunda_value_time(), of a NUL-terminated string. Returns false and stores 0 if `time` is
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_time_parse(time: *const c_char, ms: *mut i64) -> bool {
    // SAFETY: the caller passes pointers as documented above.
    let (Ok(time), Some(ms)) = (unsafe { text("time", time) }, unsafe { ms.as_mut() }) else {
        // SAFETY: as above.
        if let Some(ms) = unsafe { ms.as_mut() } {
            *ms = 0;
        }
        return false;
    };
    let instant = catch_panic_or(None, || time.parse::<Timestamp>().ok()?.to_unix_millis());
    *ms = instant.unwrap_or(0);
    instant.is_some()
}

/// Returns the next element of an array, or the value of the next field of an object, and advances
/// `*position`. Set it to 0 before the first call; pass other values unchanged. NULL after the last
/// element, and if `value` or `position` is NULL. Borrowed from `value`.
///
/// @code
/// size_t position = 0;
/// const camunda_value *cluster;
/// while ((cluster = camunda_value_next(clusters, &position)) != NULL) {
///   puts(camunda_value_path_str(cluster, "name", ""));
/// }
/// @endcode
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_next(
    value: *const camunda_value,
    position: *mut usize,
) -> *const camunda_value {
    // SAFETY: the caller passes pointers as documented above.
    let Some(position) = (unsafe { position.as_mut() }) else {
        return ptr::null();
    };
    // SAFETY: as above.
    let next = unsafe { camunda_value_at(value, *position) };
    if !next.is_null() {
        *position += 1;
    }
    next
}

/// Returns the value of the next field of an object, stores its name, NUL-terminated, in `*key`, and
/// advances `*position`. Set it to 0 before the first call; pass other values unchanged. If `len` is not
/// NULL, `*len` is set to the length of the name without the NUL. NULL after the last field, and if
/// `value` is not an object or another pointer is NULL; then `*key` is NULL. Both are borrowed from
/// `value`.
///
/// @code
/// size_t position = 0;
/// const char *name;
/// const camunda_value *secret;
/// while ((secret = camunda_value_next_field(secrets, &position, &name, NULL)) != NULL) {
///   puts(name);
/// }
/// @endcode
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_next_field(
    value: *const camunda_value,
    position: *mut usize,
    key: *mut *const c_char,
    len: *mut usize,
) -> *const camunda_value {
    // SAFETY: the caller passes pointers as documented above.
    let Some(key) = (unsafe { key.as_mut() }) else {
        return ptr::null();
    };
    // SAFETY: as above.
    unsafe {
        let at = position.as_ref().copied();
        *key = camunda_value_key(value, at.unwrap_or(usize::MAX), len);
        if key.is_null() {
            return ptr::null();
        }
        camunda_value_next(value, position)
    }
}
