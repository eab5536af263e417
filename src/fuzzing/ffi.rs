//! Properties of the C ABI for any arguments: the exported functions, called as C calls them.

use std::ffi::{CStr, CString, c_char};
use std::ptr;

use serde_json::value::RawValue;

use super::config::{camunda_config_free, camunda_config_new, camunda_config_set};
use super::error::*;
use super::object::*;
use super::value::*;
use crate::api::operation::strip_bom;
use crate::config::{Config, KEYS};
use crate::config_values::is_loopback;

/// Takes a length and as many bytes from the front.
fn take<'a>(data: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, rest)) = data.split_first() else {
        return &[];
    };
    let (taken, rest) = rest.split_at(usize::from(*length).min(rest.len()));
    *data = rest;
    taken
}

/// Returns a C string: the bytes up to the first NUL.
fn c_string(bytes: &[u8]) -> CString {
    let end = bytes.iter().position(|byte| *byte == 0);
    CString::new(&bytes[..end.unwrap_or(bytes.len())]).unwrap()
}

/// Reads all of an error, as the bindings do, and frees it. There is an error if and only if the
/// call failed.
fn check_and_free_error(status: camunda_status, error: *mut camunda_error) {
    assert_eq!(status != CAMUNDA_STATUS_OK, !error.is_null());
    if error.is_null() {
        return;
    }
    // SAFETY: the error was returned by a call and is freed once.
    unsafe {
        assert_eq!(camunda_error_status(error), status);
        assert!(
            !CStr::from_ptr(camunda_error_message(error))
                .to_str()
                .unwrap()
                .is_empty()
        );
        camunda_error_free(error);
    }
}

/// Takes a length and as many bytes for a key or a path, then JSON: the accessors return what the
/// JSON contains.
pub(crate) fn any_value(mut data: &[u8]) {
    let path = c_string(take(&mut data));
    let (mut value, mut error) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: the strings end with NUL or come with their length, the out pointers are writable,
    // and what is returned is freed once, after its last use.
    unsafe {
        let status = camunda_value_parse(data.as_ptr().cast(), data.len(), &mut value, &mut error);
        check_and_free_error(status, error);
        let text = std::str::from_utf8(strip_bom(data)).ok();
        let is_json = text.is_some_and(|text| serde_json::from_str::<&RawValue>(text).is_ok());
        assert_eq!(!value.is_null(), is_json);
        if value.is_null() {
            return;
        }
        check_value(value);
        let found = camunda_value_path(value, path.as_ptr());
        let mut here: *const camunda_value = value;
        if let Ok(path) = path.to_str() {
            for step in path.split('.') {
                let step_text = CString::new(step).unwrap();
                here = match camunda_value_kind(here) {
                    CAMUNDA_KIND_ARRAY => {
                        index(step).map_or(ptr::null(), |index| camunda_value_at(here, index))
                    }
                    _ => camunda_value_get(here, step_text.as_ptr()),
                };
            }
            assert!(ptr::eq(found, here));
        } else {
            assert!(found.is_null());
        }
        camunda_value_free(value);
    }
}

/// Reads a value and all its parts.
///
/// # Safety
///
/// The value is valid.
unsafe fn check_value(value: *const camunda_value) {
    // SAFETY: as the caller promises; parts are valid as long as the value.
    unsafe {
        let json = returned_str(|len| camunda_value_json(value, len)).unwrap();
        let json = std::str::from_utf8(json).unwrap();
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let (kind, len) = (camunda_value_kind(value), camunda_value_len(value));
        let first = raw.get().as_bytes()[0];
        let expected = match first {
            b'n' => CAMUNDA_KIND_NULL,
            b't' | b'f' => CAMUNDA_KIND_BOOL,
            b'"' => CAMUNDA_KIND_STRING,
            b'[' => CAMUNDA_KIND_ARRAY,
            b'{' => CAMUNDA_KIND_OBJECT,
            _ => CAMUNDA_KIND_NUMBER,
        };
        assert_eq!(kind, expected);
        let text = serde_json::from_str::<String>(json).ok();
        let read = returned_str(|len| camunda_value_str(value, len));
        assert_eq!(read, text.as_deref().map(str::as_bytes));
        assert_eq!(camunda_value_bool(value, true), first != b'f');
        assert_eq!(camunda_value_bool(value, false), first == b't');
        let number = camunda_value_number(value, f64::NAN);
        assert_eq!(number.is_nan(), kind != CAMUNDA_KIND_NUMBER);
        let whole: Option<i64> = serde_json::from_str(json).ok();
        if let Some(whole) = whole {
            assert_eq!(camunda_value_integer(value, !whole), whole);
        }
        assert!(camunda_value_at(value, len).is_null());
        assert!(camunda_value_key(value, len, ptr::null_mut()).is_null());
        for index in 0..len {
            let part = camunda_value_at(value, index);
            assert!(!part.is_null());
            check_value(part);
            let key = returned_str(|len| camunda_value_key(value, index, len));
            assert_eq!(key.is_some(), kind == CAMUNDA_KIND_OBJECT);
            // A key with a NUL character cannot be looked up.
            if let Some(key) = key.and_then(|key| CString::new(key).ok()) {
                let found = camunda_value_get(value, key.as_ptr());
                let last = (index..len).rev().find(|index| {
                    returned_str(|len| camunda_value_key(value, *index, len))
                        == Some(key.as_bytes())
                });
                assert!(ptr::eq(found, camunda_value_at(value, last.unwrap())));
            }
        }
    }
}

/// Returns a string with its length, and checks that it ends with NUL.
///
/// # Safety
///
/// `read` returns NULL, or a pointer to as many bytes as it reports and a NUL.
unsafe fn returned_str<'a>(read: impl FnOnce(*mut usize) -> *const c_char) -> Option<&'a [u8]> {
    let mut len = usize::MAX;
    let text = read(&mut len);
    if text.is_null() {
        assert_eq!(len, 0);
        return None;
    }
    // SAFETY: as the caller promises.
    let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len + 1) };
    let (nul, bytes) = bytes.split_last().unwrap();
    assert_eq!(*nul, 0);
    Some(bytes)
}

/// Returns the index that a step of a path is: digits without leading zeros.
fn index(step: &str) -> Option<usize> {
    let index = step.parse().ok()?;
    (step == usize::to_string(&index)).then_some(index)
}

/// Returns the JSON of a number: of an integer, if it is one.
fn json_number(number: f64) -> Option<String> {
    const RANGE: std::ops::Range<f64> = i64::MIN as f64..-(i64::MIN as f64);
    match number.fract() == 0.0 && RANGE.contains(&number) {
        true => Some((number as i64).to_string()),
        false => number
            .is_finite()
            .then(|| serde_json::to_string(&number).unwrap()),
    }
}

/// Takes a sequence of fields to set, each with a byte for its kind, its key and its value: the
/// object has the last value of each key, and a field that is not accepted changes nothing.
pub(crate) fn any_object(mut data: &[u8]) {
    let mut expected: Vec<(CString, String)> = Vec::new();
    let object = camunda_object_new();
    while let Some((kind, rest)) = data.split_first() {
        data = rest;
        let key = c_string(take(&mut data));
        let bytes = take(&mut data);
        let text = c_string(bytes);
        let mut error = ptr::null_mut();
        let mut number = [0; 8];
        let digits = bytes.len().min(8);
        number[..digits].copy_from_slice(&bytes[..digits]);
        let number = f64::from_le_bytes(number);
        // SAFETY: the object is valid until the end, the strings end with NUL or come with their
        // length.
        let (status, json) = unsafe {
            match kind % 5 {
                0 => (
                    camunda_object_set_str(object, key.as_ptr(), text.as_ptr(), &mut error),
                    text.to_str()
                        .ok()
                        .and_then(|text| serde_json::to_string(text).ok()),
                ),
                1 => (
                    camunda_object_set_number(object, key.as_ptr(), number, &mut error),
                    json_number(number),
                ),
                2 => (
                    camunda_object_set_bool(object, key.as_ptr(), digits > 0, &mut error),
                    Some((digits > 0).to_string()),
                ),
                3 => {
                    let strings = [text.as_ptr(), key.as_ptr()];
                    (
                        camunda_object_set_strings(
                            object,
                            key.as_ptr(),
                            strings.as_ptr(),
                            strings.len(),
                            &mut error,
                        ),
                        text.to_str()
                            .ok()
                            .zip(key.to_str().ok())
                            .map(|(text, key)| serde_json::to_string(&[text, key]).unwrap()),
                    )
                }
                _ => (
                    camunda_object_set_json(
                        object,
                        key.as_ptr(),
                        bytes.as_ptr().cast(),
                        bytes.len(),
                        &mut error,
                    ),
                    serde_json::from_slice::<&RawValue>(bytes)
                        .ok()
                        .map(|json| json.get().to_owned()),
                ),
            }
        };
        check_and_free_error(status, error);
        let json = json.filter(|_| key.to_str().is_ok());
        assert_eq!(status == CAMUNDA_STATUS_OK, json.is_some());
        if let Some(json) = json {
            expected.retain(|(known, _)| *known != key);
            expected.push((key, json));
        }
    }
    // SAFETY: the object and the value are valid until they are freed, each once.
    unsafe {
        let json = returned_str(|len| camunda_object_json(object, len)).unwrap();
        let (mut value, mut error) = (ptr::null_mut(), ptr::null_mut());
        let status = camunda_value_parse(json.as_ptr().cast(), json.len(), &mut value, &mut error);
        check_and_free_error(status, error);
        assert_eq!(camunda_value_len(value), expected.len());
        for (index, (key, json)) in expected.iter().enumerate() {
            let found = returned_str(|len| camunda_value_key(value, index, len));
            assert_eq!(found, Some(key.as_bytes()));
            let part = camunda_value_get(value, key.as_ptr());
            let found = returned_str(|len| camunda_value_json(part, len));
            assert_eq!(found, Some(json.as_bytes()));
        }
        camunda_value_free(value);
        camunda_object_free(object);
    }
}

/// Takes a sequence of settings, each with a byte for its key, or for any key, and a value: a
/// setting that is not accepted changes nothing.
pub(crate) fn any_settings(mut data: &[u8]) {
    let config = camunda_config_new();
    while let Some((choice, rest)) = data.split_first() {
        data = rest;
        let key = match KEYS.get(usize::from(*choice) % (KEYS.len() + 1)) {
            Some(key) => CString::new(*key).unwrap(),
            None => c_string(take(&mut data)),
        };
        let value = c_string(take(&mut data));
        let mut error = ptr::null_mut();
        // SAFETY: the settings are valid until the end, and the strings end with NUL.
        let (before, status, after) = unsafe {
            let before = format!("{:?}", *config);
            let status = camunda_config_set(config, key.as_ptr(), value.as_ptr(), &mut error);
            (before, status, format!("{:?}", *config))
        };
        check_and_free_error(status, error);
        if status != CAMUNDA_STATUS_OK {
            assert_eq!(before, after);
        }
        if let (Ok(key), Ok(value)) = (key.to_str(), value.to_str()) {
            check_setting(key, value);
        }
    }
    // SAFETY: returned above, and freed once.
    unsafe { camunda_config_free(config) };
}

/// Sets a setting in Rust: an accepted value satisfies the invariants, an error names the setting.
fn check_setting(key: &str, value: &str) {
    let mut config = Config::default();
    config.set("client_id", "id").unwrap();
    config.set("client_secret", "made up").unwrap();
    if let Err(error) = config.set(key, value) {
        let known = KEYS.contains(&key);
        assert!(!known || error.message().contains(key), "{error}");
        return;
    }
    for header in [config.user_agent(), config.audience()] {
        assert!(!header.contains(['\r', '\n', '\0']));
    }
    http::HeaderValue::from_str(config.user_agent()).unwrap();
    let request = config.token_request("made up".into()).unwrap();
    for url in [config.base_url(), &request.token_url] {
        let url: http::Uri = format!("{url}/path").parse().unwrap();
        let plain = url.scheme_str() == Some("http");
        assert!(!plain || is_loopback(url.host().unwrap()));
        assert_eq!(url.query(), None);
    }
    assert!(config.timeout() > std::time::Duration::ZERO);
    assert!(config.max_response_bytes() > 0);
}
