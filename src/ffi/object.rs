//! `camunda_object`: a builder of JSON objects for request bodies.

use std::ffi::{CStr, c_char};
use std::fmt;
use std::ops::Range;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Error, Result};
use crate::ffi::boundary::{bytes, catch_panic_or, free, handle, handle_mut, text};
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::guard::catch_panic;
use crate::secret::{SecretBuffer, Zeroizing, to_json};

/// Builder of a JSON object, for the body of an operation.
///
/// Setting a field again replaces its value. Not thread-safe: use it from one thread at a time.
pub struct camunda_object {
    fields: Vec<(String, SecretBuffer)>,
    json: Zeroizing<Vec<u8>>,
}

impl camunda_object {
    fn set(&mut self, key: &str, value: &(impl Serialize + ?Sized)) -> Result<()> {
        let value = to_json(value).map_err(|error| {
            Error::invalid_argument(format!(
                "the value of {key} cannot be encoded as JSON: {error}"
            ))
        })?;
        self.set_encoded(key, value)
    }

    fn set_encoded(&mut self, key: &str, value: SecretBuffer) -> Result<()> {
        self.fields.retain(|(name, _)| name != key);
        self.fields.push((key.to_owned(), value));
        self.write();
        Ok(())
    }

    /// Appends an element to the array in a field, which is created if it is absent.
    fn append(&mut self, key: &str, element: &(impl Serialize + ?Sized)) -> Result<()> {
        let before = match self.fields.iter().find(|(name, _)| name == key) {
            None => &b"["[..],
            Some((_, array)) => array.strip_suffix(b"]").ok_or_else(|| {
                Error::invalid_argument(format!("the value of {key} is not an array"))
            })?,
        };
        let element = to_json(element).map_err(|error| {
            Error::invalid_argument(format!(
                "the element of {key} cannot be encoded as JSON: {error}"
            ))
        })?;
        let mut array = SecretBuffer::with_capacity(before.len() + element.len() + 2);
        array.extend(before);
        if before.trim_ascii_end() != b"[" {
            array.extend(b",");
        }
        array.extend(&element);
        array.extend(b"]");
        match self.fields.iter_mut().find(|(name, _)| name == key) {
            Some((_, value)) => *value = array,
            None => self.fields.push((key.to_owned(), array)),
        }
        self.write();
        Ok(())
    }

    /// Returns the JSON of the object.
    fn json(&self) -> Result<&RawValue> {
        let json = self.json.strip_suffix(b"\0").unwrap_or(&self.json);
        serde_json::from_slice(json)
            .map_err(|error| Error::invalid_argument(format!("not JSON: {error}")))
    }

    /// Encodes the object, NUL-terminated. Called after each change, since `camunda_object_json` takes a
    /// const pointer.
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

/// Creates an empty object.
///
/// @return A new object. Free it with camunda_object_free().
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

/// Borrows the object and the key, and sets a field.
///
/// # Safety
/// The pointers meet the requirements of the exported functions.
unsafe fn set(
    object: *mut camunda_object,
    key: *const c_char,
    error: *mut *mut camunda_error,
    value: impl FnOnce(&mut camunda_object, &str) -> Result<()>,
) -> camunda_status {
    // SAFETY: guaranteed by the caller.
    unsafe {
        catch_panic(error, || {
            value(handle_mut("object", object)?, text("key", key)?)
        })
    }
}

/// Sets a field to a string.
///
/// @param object Object to change.
/// @param key Name of the field; copied.
/// @param value String; copied.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_str(
    object: *mut camunda_object,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set(object, key, error, |object, key| {
            object.set(key, &text("value", value)?)
        })
    }
}

/// Sets a field to a number.
///
/// @param object Object to change.
/// @param key Name of the field; copied.
/// @param value Number. A whole number in the range of `int64_t` is written as an integer with all its
///   digits: 2.0 as `2`. JSON cannot represent NaN and infinity.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_INVALID_ARGUMENT for NaN and infinity.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_number(
    object: *mut camunda_object,
    key: *const c_char,
    value: f64,
    error: *mut *mut camunda_error,
) -> camunda_status {
    /// The floats whose integer an `i64` can be.
    const INTEGERS: Range<f64> = i64::MIN as f64..-(i64::MIN as f64);
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set(object, key, error, |object, key| {
            if !value.is_finite() {
                return Err(Error::invalid_argument(format!(
                    "the value of {key} is not a finite number"
                )));
            }
            // `Display` is exact only below 2^53: beyond, it writes zeros for the digits that do not identify
            // the float.
            match value.fract() == 0.0 && INTEGERS.contains(&value) {
                true => object.set(key, &(value as i64)),
                false => object.set(key, &value),
            }
        })
    }
}

/// Sets a field to an integer.
///
/// @param object Object to change.
/// @param key Name of the field; copied.
/// @param value Integer.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_integer(
    object: *mut camunda_object,
    key: *const c_char,
    value: i64,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe { set(object, key, error, |object, key| object.set(key, &value)) }
}

/// Sets a field to `true` or `false`.
///
/// @param object Object to change.
/// @param key Name of the field; copied.
/// @param value Boolean.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_bool(
    object: *mut camunda_object,
    key: *const c_char,
    value: bool,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe { set(object, key, error, |object, key| object.set(key, &value)) }
}

/// Sets a field to an array of strings.
///
/// @param object Object to change.
/// @param key Name of the field; copied.
/// @param values The strings, NUL-terminated; copied. May be NULL if `count` is 0.
/// @param count Number of strings.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_strings(
    object: *mut camunda_object,
    key: *const c_char,
    values: *const *const c_char,
    count: usize,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
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

/// Sets a field to a JSON value.
///
/// @param object Object to change.
/// @param key Name of the field; copied.
/// @param json JSON in UTF-8; copied.
/// @param json_len Size of the JSON in bytes.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_INVALID_ARGUMENT if the bytes are not JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_json(
    object: *mut camunda_object,
    key: *const c_char,
    json: *const c_char,
    json_len: usize,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set(object, key, error, |object, key| {
            let json = std::str::from_utf8(bytes("json", json, json_len)?)
                .map_err(|error| Error::invalid_argument(format!("json is not UTF-8: {error}")))?;
            // Borrowed, since an owned copy would not be zeroized.
            let json: &RawValue = serde_json::from_str(json)
                .map_err(|error| Error::invalid_argument(format!("not JSON: {error}")))?;
            object.set(key, json)
        })
    }
}

/// Sets a field to an object.
///
/// @param object Object to change.
/// @param key Name of the field; copied.
/// @param value Object, whose current content is copied.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK, or the kind of the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_set_object(
    object: *mut camunda_object,
    key: *const c_char,
    value: *const camunda_object,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        with_copy(object, key, value, error, |object, key, value| {
            object.set(key, value)
        })
    }
}

/// Appends a string to the array in a field; if the field is absent, it becomes an array with this
/// element.
///
/// @param object Object to change.
/// @param key Name of the field; copied.
/// @param value String; copied.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_INVALID_ARGUMENT if the field has a value that is not
///   an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_append_str(
    object: *mut camunda_object,
    key: *const c_char,
    value: *const c_char,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set(object, key, error, |object, key| {
            object.append(key, text("value", value)?)
        })
    }
}

/// Appends an integer to the array in a field, as camunda_object_append_str().
///
/// @param object Object to change.
/// @param key Name of the field; copied.
/// @param value Integer.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_INVALID_ARGUMENT if the field has a value that is not
///   an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_append_integer(
    object: *mut camunda_object,
    key: *const c_char,
    value: i64,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe { set(object, key, error, |object, key| object.append(key, &value)) }
}

/// Appends an object to the array in a field, as camunda_object_append_str().
///
/// @param object Object to change.
/// @param key Name of the field; copied.
/// @param value Object, whose current content is copied.
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_INVALID_ARGUMENT if the field has a value that is not
///   an array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_append_object(
    object: *mut camunda_object,
    key: *const c_char,
    value: *const camunda_object,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        with_copy(object, key, value, error, |object, key, value| {
            object.append(key, value)
        })
    }
}

/// Copies the JSON of `value`, which may be `object` itself, and passes it to `change`.
///
/// # Safety
/// The pointers meet the requirements of the exported functions.
unsafe fn with_copy(
    object: *mut camunda_object,
    key: *const c_char,
    value: *const camunda_object,
    error: *mut *mut camunda_error,
    change: impl FnOnce(&mut camunda_object, &str, &RawValue) -> Result<()>,
) -> camunda_status {
    // SAFETY: guaranteed by the caller.
    unsafe {
        catch_panic(error, || {
            let copy = to_json(handle("value", value)?.json()?)
                .map_err(|error| Error::invalid_argument(format!("not JSON: {error}")))?;
            let copy: &RawValue = serde_json::from_slice(&copy)
                .map_err(|error| Error::invalid_argument(format!("not JSON: {error}")))?;
            change(handle_mut("object", object)?, text("key", key)?, copy)
        })
    }
}

/// Returns the JSON of an object, for the body of an operation.
///
/// @param object Object; NULL is accepted.
/// @param[out] len Length without the NUL; may be NULL.
/// @return The JSON, NUL-terminated and borrowed from `object` until it is changed or freed; NULL
///   if `object` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_json(
    object: *const camunda_object,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        let json = object.as_ref().map(|object| object.json.as_slice());
        if !len.is_null() {
            *len = json.map_or(0, |json| json.len() - 1);
        }
        json.and_then(|json| CStr::from_bytes_with_nul(json).ok())
            .map_or(std::ptr::null(), CStr::as_ptr)
    }
}

/// Frees an object and zeroizes its values.
///
/// @param object Object to free. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_object_free(object: *mut camunda_object) {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { free(object) }
}
