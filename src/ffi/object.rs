//! Bodies in C: building a JSON object without escaping by hand.

use std::ffi::{CStr, c_char};
use std::fmt;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::ffi::boundary::{bytes, catch_panic, catch_panic_or, free, handle_mut, text};
use crate::ffi::error::{camunda_error, camunda_status};
use crate::secret::{SecretBuffer, Zeroizing, to_json};

/// A JSON object under construction, for use as the body of an operation.
///
/// A field that is set again is replaced. To be used from one thread at a time.
pub struct camunda_object {
    fields: Vec<(String, SecretBuffer)>,
    json: Zeroizing<Vec<u8>>,
}

impl camunda_object {
    fn set(&mut self, key: &str, value: &(impl Serialize + ?Sized)) -> Result<()> {
        let value = to_json(value).map_err(|error| {
            Error::invalid_argument(format!("the value of {key} is not JSON: {error}"))
        })?;
        self.set_encoded(key, value)
    }

    fn set_encoded(&mut self, key: &str, value: SecretBuffer) -> Result<()> {
        self.fields.retain(|(name, _)| name != key);
        self.fields.push((key.to_owned(), value));
        self.write();
        Ok(())
    }

    /// Writes the object anew with a NUL behind it, so that its text is always at hand.
    fn write(&mut self) {
        let length: usize = self
            .fields
            .iter()
            .map(|(name, value)| 2 * name.len() + value.len() + 8)
            .sum();
        let mut json = SecretBuffer::with_capacity(length + 3);
        json.push('{');
        for (name, value) in &self.fields {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&serde_json::json!(name).to_string());
            json.push(':');
            json.extend(value);
        }
        json.extend(b"}\0");
        self.json = json.into_bytes();
    }
}

impl fmt::Debug for camunda_object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.fields.iter().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

/// An empty object, owned by the caller: camunda_object_free.
#[unsafe(no_mangle)]
pub extern "C" fn camunda_object_new() -> *mut camunda_object {
    catch_panic_or(std::ptr::null_mut(), || {
        let mut object = camunda_object {
            fields: Vec::new(),
            json: Zeroizing::default(),
        };
        object.write();
        Box::into_raw(Box::new(object))
    })
}

/// Sets a field.
///
/// # Safety
/// The pointers are as the exported functions document them.
unsafe fn set(
    object: *mut camunda_object,
    key: *const c_char,
    error: *mut *mut camunda_error,
    value: impl FnOnce(&mut camunda_object, &str) -> Result<()>,
) -> camunda_status {
    // SAFETY: as the caller promises.
    unsafe {
        catch_panic(error, || {
            value(handle_mut("object", object)?, text("key", key)?)
        })
    }
}

/// Sets a field to a string. The texts are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_str(
    object: *mut camunda_object,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        set(object, key, error, |object, key| {
            object.set(key, &text("value", value)?)
        })
    }
}

/// Sets a field to a number; what JSON has no number for (NaN, infinity) is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_number(
    object: *mut camunda_object,
    key: *const c_char,
    value: f64,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        set(object, key, error, |object, key| match value.is_finite() {
            true => object.set(key, &value),
            false => Err(Error::invalid_argument(format!(
                "the value of {key} is no finite number"
            ))),
        })
    }
}

/// Sets a field to a whole number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_integer(
    object: *mut camunda_object,
    key: *const c_char,
    value: i64,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe { set(object, key, error, |object, key| object.set(key, &value)) }
}

/// Sets a field to `true` or `false`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_bool(
    object: *mut camunda_object,
    key: *const c_char,
    value: bool,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe { set(object, key, error, |object, key| object.set(key, &value)) }
}

/// Sets a field to an array of `count` strings, each NUL-terminated; `values` may be NULL where
/// `count` is 0. The texts are copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_strings(
    object: *mut camunda_object,
    key: *const c_char,
    values: *const *const c_char,
    count: usize,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        set(object, key, error, |object, key| {
            if count > 0 && values.is_null() {
                return Err(Error::invalid_argument("values is NULL"));
            }
            let strings: Vec<&str> = (0..count)
                .map(|index| text(&format!("values[{index}]"), *values.add(index)))
                .collect::<Result<_>>()?;
            object.set(key, &strings)
        })
    }
}

/// Sets a field to any JSON, given as text of `json_len` bytes, which is copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_json(
    object: *mut camunda_object,
    key: *const c_char,
    json: *const c_char,
    json_len: usize,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        set(object, key, error, |object, key| {
            let json = std::str::from_utf8(bytes("json", json, json_len)?)
                .map_err(|error| Error::invalid_argument(format!("json is not UTF-8: {error}")))?;
            // Borrowed: a copy of the text would not be overwritten.
            let json: &RawValue = serde_json::from_str(json)
                .map_err(|error| Error::invalid_argument(format!("not JSON: {error}")))?;
            object.set(key, json)
        })
    }
}

/// The JSON of the object, NUL-terminated; `len` (or NULL) gets its length. Borrowed from `object`
/// until it is changed or freed. NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_json(
    object: *const camunda_object,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        let json = object.as_ref().map(|object| object.json.as_slice());
        if !len.is_null() {
            *len = json.map_or(0, |json| json.len() - 1);
        }
        json.and_then(|json| CStr::from_bytes_with_nul(json).ok())
            .map_or(std::ptr::null(), CStr::as_ptr)
    }
}

/// Frees an object, overwriting its values. NULL does nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_free(object: *mut camunda_object) {
    // SAFETY: the pointer is as this function documents it.
    unsafe { free(object) }
}
