//! `camunda_value`: JSON responses, as an immutable tree over the bytes of the response.
//!
//! The index of a response is built while the response is validated, see `api/json_walk.rs`. Strings and
//! the JSON of parts are returned NUL-terminated, and created when first read.

use std::ffi::{CStr, c_char};
use std::fmt;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use serde_json::value::RawValue;

use crate::api::json::integer;
use crate::api::json_index::{Index, MAX_BYTES};
use crate::api::json_walk::walk;
use crate::api::operation::strip_bom;
use crate::api::schema::JsonSchema;
use crate::error::{Error, Result};
use crate::ffi::boundary::{Owner, bytes, catch_panic_or, required, return_owned, set_null};
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::guard::catch_panic;
use crate::ffi::tree::{Kind, Node, PackedEntry, Root};
use crate::secret::Zeroizing;

/// `null`, or a NULL pointer.
pub const CAMUNDA_KIND_NULL: i32 = 0;
/// `true` or `false`.
pub const CAMUNDA_KIND_BOOL: i32 = 1;
/// A number.
pub const CAMUNDA_KIND_NUMBER: i32 = 2;
/// A string.
pub const CAMUNDA_KIND_STRING: i32 = 3;
/// An array.
pub const CAMUNDA_KIND_ARRAY: i32 = 4;
/// An object.
pub const CAMUNDA_KIND_OBJECT: i32 = 5;

/// A JSON value: a response, or a part of one.
///
/// The caller owns a value that a function stores in an out pointer. Parts are borrowed from it and are
/// invalid after it is freed. Immutable; several threads may read it concurrently. If an object has a
/// key twice, the last one applies. A value uses at most eight times the size of its JSON in memory,
/// plus the copies that camunda_value_json() makes of parts.
pub struct camunda_value(#[expect(dead_code, reason = "read by its address")] PackedEntry);

impl camunda_value {
    /// Takes ownership of JSON bytes.
    ///
    /// # Errors
    /// `InvalidArgument` if they are not one JSON value in UTF-8.
    pub(super) fn parse(json: Zeroizing<Vec<u8>>) -> Result<OwnedValue> {
        if json.len() > MAX_BYTES {
            return Err(not_json(format!("it has more than {MAX_BYTES} bytes")));
        }
        let text = strip_bom(&json);
        match walk(JsonSchema::Any, &json, json.len() - text.len()) {
            Some(walked) => Ok(camunda_value::indexed(json, walked.index)),
            None => Err(match std::str::from_utf8(text) {
                Err(error) => not_json(error),
                Ok(text) => match serde_json::from_str::<&RawValue>(text) {
                    Err(error) => not_json(error),
                    Ok(_) => not_json("its index cannot be built"),
                },
            }),
        }
    }

    /// Takes ownership of JSON bytes and their index.
    pub(super) fn indexed(json: Zeroizing<Vec<u8>>, index: Index) -> OwnedValue {
        let mut owned = json;
        let length = owned.len();
        // A reallocation would leave a copy of the bytes in freed memory.
        if owned.capacity() == length {
            let mut grown = Zeroizing::new(Vec::with_capacity(length + 1));
            grown.extend_from_slice(&owned);
            owned = grown;
        }
        owned.push(0);
        let start = length - strip_bom(&owned[..length]).len();
        OwnedValue(Root::new(owned, start, index))
    }

    /// Returns the node of this value.
    fn node(&self) -> Node<'_> {
        // SAFETY: every value belongs to a root, which outlives it.
        unsafe { Node::of(ptr::from_ref(self).cast()) }
    }

    pub(super) fn json(&self) -> &str {
        self.node().json()
    }
}

/// A whole value that Rust owns.
pub(super) struct OwnedValue(NonNull<Root>);

impl OwnedValue {
    /// Takes ownership of a value that the caller owned.
    ///
    /// # Safety
    /// `value` is a whole value that was returned to the caller and is not freed yet.
    unsafe fn from_caller(value: *mut camunda_value) -> OwnedValue {
        // SAFETY: guaranteed by the caller.
        OwnedValue(unsafe { Node::of(value.cast_const().cast()) }.root())
    }
}

impl Deref for OwnedValue {
    type Target = camunda_value;

    fn deref(&self) -> &camunda_value {
        // SAFETY: the root is valid until this is dropped, and `camunda_value` wraps a `PackedEntry`.
        unsafe { &*self.0.as_ref().whole().cast() }
    }
}

impl Drop for OwnedValue {
    fn drop(&mut self) {
        // SAFETY: it was created by a `Box`, and Rust owns it.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl From<OwnedValue> for Owner<camunda_value> {
    fn from(value: OwnedValue) -> Self {
        // SAFETY: the root is valid, since `forget` prevents its drop.
        let whole = unsafe { value.0.as_ref() }.whole();
        std::mem::forget(value);
        Owner(whole.cast_mut().cast())
    }
}

impl fmt::Debug for camunda_value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value may contain secrets.
        f.debug_struct("camunda_value")
            .field("len", &self.json().len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

fn not_json(error: impl fmt::Display) -> Error {
    Error::invalid_argument(format!("not JSON: {error}"))
}

fn step<'a>(node: Node<'a>, step: &[u8]) -> Option<Node<'a>> {
    match node.kind() {
        Kind::Array => node.at(index(step)?),
        _ => node.get(step),
    }
}

/// Returns the index of a step such as `12`; no other text is one, such as `+12` or `012`.
fn index(step: &[u8]) -> Option<usize> {
    let is_index =
        step.iter().all(u8::is_ascii_digit) && (step.len() == 1 || step.first() != Some(&b'0'));
    std::str::from_utf8(step)
        .ok()
        .filter(|_| is_index)?
        .parse()
        .ok()
}

/// Borrows a name or path. It need not be UTF-8: no name in JSON equals one that is not.
///
/// # Safety
/// `text` is NULL, or NUL-terminated and valid for `'a`.
unsafe fn name<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: guaranteed by the caller.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_bytes())
}

/// Reads from a value. Returns `fallback` if `value` is NULL.
///
/// # Safety
/// `value` is NULL or valid.
unsafe fn read<'a, T>(
    value: *const camunda_value,
    fallback: T,
    read: impl FnOnce(Node<'a>) -> Option<T>,
) -> T
where
    T: Copy + 'a,
{
    // SAFETY: guaranteed by the caller.
    match unsafe { value.as_ref() } {
        Some(value) => catch_panic_or(fallback, || read(value.node()).unwrap_or(fallback)),
        None => fallback,
    }
}

/// Returns the address by which C identifies a value.
fn address(node: Node<'_>) -> *const camunda_value {
    node.address().cast()
}

/// Returns a NUL-terminated string, and stores its length without the NUL in `len`.
///
/// # Safety
/// `len` is NULL or valid for writes.
unsafe fn return_borrowed(text: Option<&[u8]>, len: *mut usize) -> *const c_char {
    if !len.is_null() {
        // SAFETY: guaranteed by the caller.
        unsafe { *len = text.map_or(0, |text| text.len() - 1) };
    }
    text.map_or(ptr::null(), |text| text.as_ptr().cast())
}

/// Returns the type of a value.
///
/// @param value Value; NULL counts as `null`.
/// @return CAMUNDA_KIND_…; CAMUNDA_KIND_NULL if `value` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_kind(value: *const camunda_value) -> i32 {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe {
        read(value, CAMUNDA_KIND_NULL, |value| {
            Some(match value.kind() {
                Kind::Null => CAMUNDA_KIND_NULL,
                Kind::Bool => CAMUNDA_KIND_BOOL,
                Kind::Number => CAMUNDA_KIND_NUMBER,
                Kind::String => CAMUNDA_KIND_STRING,
                Kind::Array => CAMUNDA_KIND_ARRAY,
                Kind::Object => CAMUNDA_KIND_OBJECT,
            })
        })
    }
}

/// Returns the number of elements of an array or fields of an object.
///
/// @param value Value; NULL counts as `null`.
/// @return The number; 0 for other types.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_len(value: *const camunda_value) -> usize {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(value, 0, |value| Some(value.len())) }
}

/// Returns a field of an object.
///
/// @param value Value; NULL counts as `null`.
/// @param key Name of the field.
/// @return The value of the field, borrowed from `value`; NULL if it is absent or `value` is not an
///   object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_get(
    value: *const camunda_value,
    key: *const c_char,
) -> *const camunda_value {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        read(value, ptr::null(), |value| {
            value.get(name(key)?).map(address)
        })
    }
}

/// Returns the value at a path.
///
/// @param value Value; NULL counts as `null`.
/// @param path Names of fields and indexes of arrays, separated by dots, for example `status.ready`
///   or `channels.0.name`.
/// @return The value at the path, borrowed from `value`; NULL if it is absent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_path(
    value: *const camunda_value,
    path: *const c_char,
) -> *const camunda_value {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        read(value, ptr::null(), |value| {
            let mut steps = name(path)?.split(|byte| *byte == b'.');
            steps.try_fold(value, step).map(address)
        })
    }
}

/// Returns the element of an array, or the value of the field of an object, at an index.
///
/// @param value Value; NULL counts as `null`.
/// @param index Index from 0.
/// @return The element, borrowed from `value`; NULL if `index` is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_at(
    value: *const camunda_value,
    index: usize,
) -> *const camunda_value {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe { read(value, ptr::null(), |value| value.at(index).map(address)) }
}

/// Returns the name of the field of an object at an index. Escapes that are not valid UTF-16, such
/// as an unpaired surrogate, are replaced by U+FFFD.
///
/// @param value Value; NULL counts as `null`.
/// @param index Index from 0.
/// @param[out] len Length without the NUL; may be NULL.
/// @return The name, NUL-terminated and borrowed from `value`; NULL if `index` is out of range.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_key(
    value: *const camunda_value,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        let key = read(value, None, |value| {
            Some(value.name_at(index)?.terminated(true))
        });
        return_borrowed(key, len)
    }
}

/// Returns the content of a string.
///
/// @param value Value; NULL counts as `null`.
/// @param[out] len Length without the NUL; may be NULL. Use it if the string may contain a NUL.
/// @return The string in UTF-8, NUL-terminated and borrowed from `value`; NULL for other types.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_str(
    value: *const camunda_value,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        let text = read(value, None, |value| match value.kind() {
            Kind::String => Some(value.terminated(false)),
            _ => None,
        });
        return_borrowed(text, len)
    }
}

/// Returns a number, rounded to the nearest double. camunda_value_json() returns all digits.
///
/// @param value Value; NULL counts as `null`.
/// @param fallback Returned for other types.
/// @return The number, or `fallback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_number(value: *const camunda_value, fallback: f64) -> f64 {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe {
        read(value, fallback, |value| match value.kind() {
            Kind::Number => value.json().trim().parse().ok(),
            _ => None,
        })
    }
}

/// Returns an integer.
///
/// @param value Value; NULL counts as `null`.
/// @param fallback Returned for other types, for fractions, and if the number is out of range. `1.0` and
///   `1e3` are integers.
/// @return The integer, or `fallback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_integer(value: *const camunda_value, fallback: i64) -> i64 {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe {
        read(value, fallback, |value| match value.kind() {
            Kind::Number => integer(value.json().trim()),
            _ => None,
        })
    }
}

/// Returns a boolean.
///
/// @param value Value; NULL counts as `null`.
/// @param fallback Returned for other types.
/// @return The boolean, or `fallback`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_bool(value: *const camunda_value, fallback: bool) -> bool {
    // SAFETY: the caller passes a pointer as documented above.
    unsafe {
        read(value, fallback, |value| match value.kind() {
            Kind::Bool => Some(value.json().trim_start().starts_with('t')),
            _ => None,
        })
    }
}

/// Returns the JSON of a value: for a whole response, its unmodified bytes. Only if a string of the
/// documented type has an unpaired surrogate, all of these are `\ufffd` instead, in a response without
/// secrets.
///
/// @param value Value; NULL is accepted.
/// @param[out] len Length without the NUL; may be NULL.
/// @return The JSON, NUL-terminated and borrowed from `value`; NULL if `value` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_json(
    value: *const camunda_value,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        let json = read(value, None, |value| Some(Some(value.json_terminated())));
        return_borrowed(json, len)
    }
}

/// Parses JSON.
///
/// @param json JSON in UTF-8; copied.
/// @param json_len Size of the JSON in bytes.
/// @param[out] value On success a new value, the JSON; else NULL. Free it with
///   camunda_value_free().
/// @param[out] error On failure a new error, else NULL. Free it with camunda_error_free(). May be
///   NULL.
/// @return CAMUNDA_STATUS_OK; CAMUNDA_STATUS_INVALID_ARGUMENT if the bytes are not JSON in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_parse(
    json: *const c_char,
    json_len: usize,
    value: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the caller passes pointers as documented above.
    unsafe {
        set_null(value);
        catch_panic(error, || {
            let value = required("value", value)?;
            let json = bytes("json", json, json_len)?;
            // With room for the NUL.
            let mut owned = Zeroizing::new(Vec::with_capacity(json.len() + 1));
            owned.extend_from_slice(json);
            return_owned(value, camunda_value::parse(owned)?);
            Ok(())
        })
    }
}

/// Frees a value that the caller owns, with all its parts, and zeroizes its bytes. Never call it
/// for a part.
///
/// @param value Value to free. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_free(value: *mut camunda_value) {
    if !value.is_null() {
        // SAFETY: the caller passes a whole value that it owns, as documented above. A panic in `drop`
        // must not reach C.
        catch_panic_or((), || drop(unsafe { OwnedValue::from_caller(value) }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> OwnedValue {
        camunda_value::parse(Zeroizing::new(json.as_bytes().to_vec())).unwrap()
    }

    /// Reads all values, names and strings. Returns the number of values.
    fn read_all(node: Node<'_>) -> usize {
        let mut nodes = vec![node];
        let mut count = 0;
        while let Some(node) = nodes.pop() {
            count += 1;
            if node.kind() == Kind::String {
                node.terminated(false).unwrap();
            }
            for index in 0..node.len() {
                if let Some(name) = node.name_at(index) {
                    name.terminated(true).unwrap();
                }
                nodes.push(node.at(index).unwrap());
            }
        }
        count
    }

    #[test]
    fn get_finds_other_fields_when_a_name_has_an_unpaired_surrogate() {
        let value = parsed(r#"{"\ud800":1,"secret":"made up","a\u0000b\ud83d\ude00":2}"#);
        let node = value.node();
        assert_eq!(node.get(b"secret").unwrap().json(), "\"made up\"");
        assert_eq!(node.at(0).unwrap().json(), "1");
        assert_eq!(node.get("a\0b😀".as_bytes()).unwrap().json(), "2");
        let name = node.name_at(0).unwrap().terminated(true).unwrap();
        assert_eq!(name, "\u{fffd}\0".as_bytes());
    }

    #[test]
    fn value_is_read_and_freed_when_nested_deeper_than_the_stack() {
        const DEPTH: usize = 200_000;
        let read = || {
            let json = format!("{}1{}", r#"[ {"a":"#.repeat(DEPTH), "}]".repeat(DEPTH));
            let value = parsed(&json);
            let mut innermost = value.node();
            while let Some(part) = innermost.at(0) {
                innermost = part;
            }
            assert_eq!(innermost.json(), "1");
            let part = value.node().at(0).unwrap();
            assert_eq!(part.json(), &json[2..json.len() - 1]);
        };
        // A recursive implementation would need more than 100 bytes for each of 400,000 levels.
        let small = std::thread::Builder::new().stack_size(256 * 1024);
        small.spawn(read).unwrap().join().unwrap();
    }

    #[test]
    fn child_is_found_after_white_space_and_nested_containers() {
        let json = r#" { "a" : [ [ ] , { } , [ [ 1 , 2 ] , 3 ] , [ [ 4 ] ] , { "b" : { "c" : [ 5 ] } } , "x\"]" ] , "d" : null , "a" : -1.5e3 } "#;
        let value = parsed(json);
        let at = |path: &str| {
            let found = path
                .split('.')
                .map(str::as_bytes)
                .try_fold(value.node(), step);
            found.map(|node| node.json().to_owned())
        };
        for (path, expected) in [
            ("a", Some("-1.5e3")),
            ("d", Some("null")),
            ("e", None),
            ("d.0", None),
        ] {
            assert_eq!(at(path).as_deref(), expected, "{path}");
        }
        let array = value.node().at(0).unwrap();
        assert_eq!((array.kind(), array.len()), (Kind::Array, 6));
        let parts: Vec<_> = (0..6)
            .map(|index| array.at(index).unwrap().json())
            .collect();
        assert_eq!(
            parts,
            [
                "[ ]",
                "{ }",
                "[ [ 1 , 2 ] , 3 ]",
                "[ [ 4 ] ]",
                r#"{ "b" : { "c" : [ 5 ] } }"#,
                r#""x\"]""#
            ]
        );
        let of_array = |path: &str| {
            path.split('.')
                .map(str::as_bytes)
                .try_fold(array, step)
                .map(|node| node.json())
        };
        for (path, expected) in [
            ("2.0.1", Some("2")),
            ("2.1", Some("3")),
            ("3.0.0", Some("4")),
            ("4.b.c.0", Some("5")),
            ("0.0", None),
            ("1.b", None),
            ("6", None),
        ] {
            assert_eq!(of_array(path), expected, "{path}");
        }
    }

    #[test]
    fn value_uses_at_most_eight_times_its_bytes_when_fully_read() {
        const SIZE: usize = 1 << 20;
        let repeated = |open: &str, element: &str, close: &str| {
            let elements = vec![element; SIZE / (element.len() + 1)];
            format!("{open}{}{close}", elements.join(","))
        };
        let mut tree = "0".to_owned();
        while tree.len() < SIZE {
            tree = format!("[{tree},{tree}]");
        }
        let nested = "[".repeat(SIZE / 2) + &"]".repeat(SIZE / 2);
        for json in [
            repeated("[", "0", "]"),
            repeated("[", "[]", "]"),
            repeated("[", "[0]", "]"),
            repeated("[", r#""""#, "]"),
            repeated("[", r#""\n""#, "]"),
            repeated("[", r#"{"":0}"#, "]"),
            repeated("{", r#""":0"#, "}"),
            tree,
            nested,
        ] {
            let mut bytes = Some(Zeroizing::new(json.clone().into_bytes()));
            let costs = allocation_counter::measure(|| {
                let value = camunda_value::parse(bytes.take().unwrap()).unwrap();
                let node = value.node();
                // Nested values are skipped: the allocations of this loop would count as well.
                if node.len() > 2 {
                    for index in 0..node.len() {
                        if let Some(name) = node.name_at(index) {
                            name.terminated(true).unwrap();
                        }
                        let part = node.at(index).unwrap();
                        if part.kind() == Kind::String {
                            part.terminated(false).unwrap();
                        }
                    }
                }
            });
            // The bytes of the JSON were allocated before the measurement.
            let most = 7 * json.len() as u64 + 4096;
            let shown = &json[..20];
            assert!(
                costs.bytes_max <= most,
                "{shown}: {} > {most}",
                costs.bytes_max
            );
        }
    }

    #[test]
    fn value_is_found_in_every_block_of_the_index() {
        let elements: Vec<_> = (0..1_000)
            .map(|number| {
                format!(r#"{{"number":{number},"name":"n{number}","list":[{number},[]]}}"#)
            })
            .collect();
        let value = parsed(&format!("[{}]", elements.join(", ")));
        assert_eq!(read_all(value.node()), 1 + 1_000 * 6);
        for (index, element) in elements.iter().enumerate() {
            let part = value.node().at(index).unwrap();
            assert_eq!(part.json(), element);
            let name = part.get(b"name").unwrap().terminated(false).unwrap();
            assert_eq!(name, format!("n{index}\0").as_bytes());
        }
    }

    #[test]
    fn get_finds_fields_in_every_block_of_the_index() {
        for before in 0..3 {
            let fields: Vec<_> = (0..200).map(|n| format!(r#""f{n}":{n}"#)).collect();
            let array = format!("[{}", "[0],".repeat(before));
            let value = parsed(&format!("{array}{{{}}}]", fields.join(",")));
            let object = value.node().at(before).unwrap();
            for number in 0..200 {
                let found = object.get(format!("f{number}").as_bytes()).unwrap();
                assert_eq!(found.json(), number.to_string());
            }
            assert!(object.get(b"f200").is_none());
        }
    }

    #[test]
    fn string_is_decoded_once_when_threads_read_it_concurrently() {
        let strings: Vec<_> = (0..2_000)
            .map(|number| format!(r#""\u0041{number}""#))
            .collect();
        let value = parsed(&format!("[{}]", strings.join(",")));
        let address = ptr::from_ref(&*value).addr();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    // SAFETY: the value is dropped after all threads have ended.
                    let node = unsafe { Node::of(ptr::with_exposed_provenance(address)) };
                    for index in 0..node.len() {
                        let text = node.at(index).unwrap().terminated(false).unwrap();
                        assert_eq!(text, format!("A{index}\0").as_bytes());
                    }
                });
            }
        });
    }

    #[test]
    fn parse_rejects_bytes_that_are_not_json() {
        for bytes in ["", "]", "[", "[}", "{\"a\"}", "\"a", "1 2", "[1"] {
            let error = camunda_value::parse(Zeroizing::new(bytes.into())).unwrap_err();
            assert!(
                error.message().starts_with("not JSON: "),
                "{bytes}: {error}"
            );
        }
    }
}
