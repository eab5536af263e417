//! Readers of `camunda_value` that combine several steps: typed values by path, and iteration.

use std::ffi::c_char;
use std::ptr;

use crate::api::timestamp::Timestamp;
use crate::error::Result;
use crate::ffi::boundary::{bytes, catch_panic_or, text};
use crate::ffi::value::{
    camunda_value, camunda_value_at, camunda_value_bool, camunda_value_integer, camunda_value_key,
    camunda_value_path, camunda_value_str,
};

/// Returns the string at a path such as `status.ready`. A string with a NUL character ends at it;
/// camunda_value_str() returns the length.
///
/// @param value Value; NULL counts as `null`.
/// @param path Path, see camunda_value_path().
/// @param fallback Returned if no string is at the path. May be NULL.
/// @return The string in UTF-8, NUL-terminated and borrowed from `value`; or `fallback`.
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

/// Returns the integer at a path such as `retentionDays`.
///
/// @param value Value; NULL counts as `null`.
/// @param path Path, see camunda_value_path().
/// @param fallback Returned if the path leads to no number, to a fraction, or to a number out of
///   range.
/// @return The integer, or `fallback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_path_integer(
    value: *const camunda_value,
    path: *const c_char,
    fallback: i64,
) -> i64 {
    // SAFETY: the caller passes pointers as documented above.
    unsafe { camunda_value_integer(camunda_value_path(value, path), fallback) }
}

/// Returns the boolean at a path such as `autoUpdate`.
///
/// @param value Value; NULL counts as `null`.
/// @param path Path, see camunda_value_path().
/// @param fallback Returned if no boolean is at the path.
/// @return The boolean, or `fallback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_path_bool(
    value: *const camunda_value,
    path: *const c_char,
    fallback: bool,
) -> bool {
    // SAFETY: the caller passes pointers as documented above.
    unsafe { camunda_value_bool(camunda_value_path(value, path), fallback) }
}

/// Reads an RFC 3339 time such as `2024-05-01T12:00:00.123Z`.
///
/// @param value Value; NULL counts as `null`.
/// @param[out] ms The instant in milliseconds since 1970-01-01 UTC, rounded down; 0 if `value` is
///   not a string or not an RFC 3339 time.
/// @return Whether `value` is a time; false if `ms` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_time(value: *const camunda_value, ms: *mut i64) -> bool {
    let mut len = 0;
    // SAFETY: the caller passes pointers as documented above; `camunda_value_str` returns `len` bytes.
    let time = unsafe { bytes("value", camunda_value_str(value, &raw mut len), len) };
    // SAFETY: as above.
    unsafe { store_time(time, ms) }
}

/// As camunda_value_time(), of a string.
///
/// @param time NUL-terminated string; NULL is accepted.
/// @param[out] ms The instant in milliseconds since 1970-01-01 UTC, rounded down; 0 if `time` is
///   not an RFC 3339 time.
/// @return Whether `time` is a time; false if `time` or `ms` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_time_parse(time: *const c_char, ms: *mut i64) -> bool {
    // SAFETY: the caller passes pointers as documented above.
    unsafe { store_time(text("time", time).map(str::as_bytes), ms) }
}

/// Stores the instant of a time, or 0 if there is none, and returns whether there is one.
///
/// # Safety
/// `ms` is NULL or can be written to.
unsafe fn store_time(time: Result<&[u8]>, ms: *mut i64) -> bool {
    // SAFETY: guaranteed by the caller.
    let Some(ms) = (unsafe { ms.as_mut() }) else {
        return false;
    };
    let instant = catch_panic_or(None, || {
        let time = std::str::from_utf8(time.ok()?).ok()?;
        time.parse::<Timestamp>().ok()?.to_unix_millis()
    });
    *ms = instant.unwrap_or(0);
    instant.is_some()
}

/// Returns the next element of an array, or the value of the next field of an object.
///
/// @code
/// size_t position = 0;
/// const camunda_value *cluster;
/// while ((cluster = camunda_value_next(clusters, &position)) != NULL) {
///   puts(camunda_value_path_str(cluster, "name", ""));
/// }
/// @endcode
///
/// @param value Value; NULL counts as `null`.
/// @param[in,out] position Set it to 0 before the first call; pass it unchanged to the following
///   ones.
/// @return The element, borrowed from `value`; NULL after the last one, and if `value` or
///   `position` is NULL.
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

/// Returns the next field of an object.
///
/// @code
/// size_t position = 0;
/// const char *name;
/// const camunda_value *secret;
/// while ((secret = camunda_value_next_field(secrets, &position, &name, NULL)) != NULL) {
///   puts(name);
/// }
/// @endcode
///
/// @param value Value; NULL counts as `null`.
/// @param[in,out] position Set it to 0 before the first call; pass it unchanged to the following
///   ones.
/// @param[out] key Name of the field, NUL-terminated and borrowed from `value`; NULL if there is no
///   next field.
/// @param[out] len Length of the name without the NUL; may be NULL.
/// @return The value of the field, borrowed from `value`; NULL after the last field, and if `value`
///   is not an object, or `position` or `key` is NULL.
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
