//! Answers in C: an immutable tree over the answer's own bytes.
//!
//! The index is built when a part is first read, see [`tree`](super::tree). Strings and JSON texts
//! are handed out NUL-terminated, and made when first read.

use std::ffi::c_char;
use std::fmt;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use serde_json::value::RawValue;

use crate::api::operation::strip_bom;
use crate::error::{Error, Result};
use crate::ffi::boundary::{
    Owner, bytes, catch_panic, catch_panic_or, required, return_owned, set_null, text,
};
use crate::ffi::error::{camunda_error, camunda_status};
use crate::ffi::tree::{Entry, Kind, MAX_BYTES, Node, Root};
use crate::secret::Zeroizing;

/// `null`, or no value at all.
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

/// A JSON value: an answer, or a part of one.
///
/// A value that a function hands out through an out pointer is owned by the caller; parts of it are
/// borrowed from it and end with it. Immutable: may be read from several threads at once. Where a
/// key comes twice in an object, the last one counts. Takes at most eight times the bytes of its JSON in
/// memory, besides what camunda_value_json copies of parts.
pub struct camunda_value(#[expect(dead_code, reason = "read by its address")] Entry);

impl camunda_value {
    /// Takes ownership of JSON bytes. Fails where they are not one JSON value in UTF-8.
    pub(super) fn parse(json: Zeroizing<Vec<u8>>) -> Result<OwnedValue> {
        let value = camunda_value::of_valid(json)?;
        serde_json::from_str::<&RawValue>(value.json()).map_err(not_json)?;
        Ok(value)
    }

    /// Takes ownership of bytes that are known to be one JSON value.
    pub(super) fn of_valid(json: Zeroizing<Vec<u8>>) -> Result<OwnedValue> {
        let mut owned = json;
        let length = owned.len();
        if length > MAX_BYTES {
            return Err(not_json(format!("it has more than {MAX_BYTES} bytes")));
        }
        // Growing in place would leave a copy of the bytes behind in freed memory.
        if owned.capacity() == length {
            let mut grown = Zeroizing::new(Vec::with_capacity(length + 1));
            grown.extend_from_slice(&owned);
            owned = grown;
        }
        owned.push(0);
        let json = strip_bom(&owned[..length]);
        std::str::from_utf8(json).map_err(not_json)?;
        let start = length - json.len();
        Ok(OwnedValue(Root::new(owned, start)))
    }

    /// The node of this value.
    fn node(&self) -> Node<'_> {
        // SAFETY: values are handed out by their roots alone, and none outlives its root.
        unsafe { Node::of(ptr::from_ref(self).cast()) }
    }

    pub(super) fn json(&self) -> &str {
        self.node().json()
    }
}

/// A whole value, not yet handed over.
pub(super) struct OwnedValue(NonNull<Root>);

impl OwnedValue {
    /// Takes back what was handed over.
    ///
    /// # Safety
    /// `value` is a whole value that was handed over, and not taken back since.
    unsafe fn taken_back(value: *mut camunda_value) -> OwnedValue {
        // SAFETY: as the caller promises.
        OwnedValue(unsafe { Node::of(value.cast_const().cast()) }.root())
    }
}

impl Deref for OwnedValue {
    type Target = camunda_value;

    fn deref(&self) -> &camunda_value {
        // SAFETY: the root lives until this is dropped, and a value is nothing but an entry.
        unsafe { &*self.0.as_ref().whole().cast() }
    }
}

impl Drop for OwnedValue {
    fn drop(&mut self) {
        // SAFETY: it was made by a box, and is not handed over.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl From<OwnedValue> for Owner<camunda_value> {
    fn from(value: OwnedValue) -> Self {
        // SAFETY: the root lives, since it is not dropped here.
        let whole = unsafe { value.0.as_ref() }.whole();
        std::mem::forget(value);
        Owner(whole.cast_mut().cast())
    }
}

impl fmt::Debug for camunda_value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value may be secret.
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

fn step<'a>(node: Node<'a>, step: &str) -> Option<Node<'a>> {
    match node.kind() {
        Kind::Array => node.at(step.parse().ok()?),
        _ => node.get(step),
    }
}

/// Reads from a value; NULL reads as `fallback`.
///
/// # Safety
/// `value` is NULL or lives.
unsafe fn read<'a, T>(
    value: *const camunda_value,
    fallback: T,
    read: impl FnOnce(Node<'a>) -> Option<T>,
) -> T
where
    T: Copy + 'a,
{
    // SAFETY: as the caller promises.
    match unsafe { value.as_ref() } {
        Some(value) => catch_panic_or(fallback, || read(value.node()).unwrap_or(fallback)),
        None => fallback,
    }
}

/// The address by which C identifies a value.
fn address(node: Node<'_>) -> *const camunda_value {
    node.address().cast()
}

/// Hands out a text with its length.
///
/// # Safety
/// `len` is NULL or may be written to.
unsafe fn return_borrowed(text: Option<&[u8]>, len: *mut usize) -> *const c_char {
    if !len.is_null() {
        // SAFETY: as the caller promises.
        unsafe { *len = text.map_or(0, |text| text.len() - 1) };
    }
    text.map_or(ptr::null(), |text| text.as_ptr().cast())
}

/// What a value is: CAMUNDA_KIND_…. NULL reads as CAMUNDA_KIND_NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_kind(value: *const camunda_value) -> i32 {
    // SAFETY: the pointer is as this function documents it.
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

/// How many elements an array has, or fields an object; 0 for anything else, NULL included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_len(value: *const camunda_value) -> usize {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(value, 0, |value| Some(value.len())) }
}

/// The field of that name; NULL where there is none, or `value` is no object. Borrowed from `value`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_get(
    value: *const camunda_value,
    key: *const c_char,
) -> *const camunda_value {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        read(value, ptr::null(), |value| {
            value.get(text("key", key).ok()?).map(address)
        })
    }
}

/// The value at a path of fields and indexes with dots between them, such as `status.ready` or
/// `channels.0.name`; NULL where there is none. Borrowed from `value`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_path(
    value: *const camunda_value,
    path: *const c_char,
) -> *const camunda_value {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        read(value, ptr::null(), |value| {
            let mut steps = text("path", path).ok()?.split('.');
            steps.try_fold(value, step).map(address)
        })
    }
}

/// The element of an array, or the field of an object, at that index; NULL beyond the last one.
/// Borrowed from `value`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_at(
    value: *const camunda_value,
    index: usize,
) -> *const camunda_value {
    // SAFETY: the pointer is as this function documents it.
    unsafe { read(value, ptr::null(), |value| value.at(index).map(address)) }
}

/// The name of the field of an object at that index, NUL-terminated; `len` (or NULL) gets its
/// length. Where its escapes make no text, such as half a surrogate pair, U+FFFD is in their place.
/// NULL beyond the last one. Borrowed from `value`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_key(
    value: *const camunda_value,
    index: usize,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        let key = read(value, None, |value| {
            Some(value.name_at(index)?.terminated(true))
        });
        return_borrowed(key, len)
    }
}

/// The text of a string, NUL-terminated; `len` (or NULL) gets its length, which tells where the
/// text has a NUL of its own. NULL for anything else. Borrowed from `value`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_str(
    value: *const camunda_value,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        let text = read(value, None, |value| match value.kind() {
            Kind::String => Some(value.terminated(false)),
            _ => None,
        });
        return_borrowed(text, len)
    }
}

/// A number as the nearest double; `fallback` for anything else. camunda_value_json has all digits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_number(value: *const camunda_value, fallback: f64) -> f64 {
    // SAFETY: the pointer is as this function documents it.
    unsafe {
        read(value, fallback, |value| match value.kind() {
            Kind::Number => value.json().trim().parse().ok(),
            _ => None,
        })
    }
}

/// A whole number; `fallback` for anything else, one that does not fit included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_integer(value: *const camunda_value, fallback: i64) -> i64 {
    // SAFETY: the pointer is as this function documents it.
    unsafe {
        read(value, fallback, |value| match value.kind() {
            Kind::Number => value.json().trim().parse().ok(),
            _ => None,
        })
    }
}

/// Whether it is `true`; `fallback` for anything but `true` and `false`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_bool(value: *const camunda_value, fallback: bool) -> bool {
    // SAFETY: the pointer is as this function documents it.
    unsafe {
        read(value, fallback, |value| match value.kind() {
            Kind::Bool => Some(value.json().trim_start().starts_with('t')),
            _ => None,
        })
    }
}

/// The JSON of a value, NUL-terminated; `len` (or NULL) gets its length. Of a whole answer these are
/// the bytes that came. NULL for NULL. Borrowed from `value`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_json(
    value: *const camunda_value,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        let json = read(value, None, |value| Some(Some(value.json_terminated())));
        return_borrowed(json, len)
    }
}

/// Reads JSON text of `json_len` bytes into a value of the caller's own: camunda_value_free.
/// CAMUNDA_STATUS_INVALID_ARGUMENT where it is not JSON in UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_parse(
    json: *const c_char,
    json_len: usize,
    value: *mut *mut camunda_value,
    error: *mut *mut camunda_error,
) -> camunda_status {
    // SAFETY: the pointers are as this function documents them.
    unsafe {
        set_null(value);
        catch_panic(error, || {
            let value = required("value", value)?;
            let json = bytes("json", json, json_len)?;
            return_owned(value, camunda_value::parse(Zeroizing::new(json.to_vec()))?);
            Ok(())
        })
    }
}

/// Frees a value that the caller owns, overwriting its bytes, and with it all its parts. NULL does
/// nothing; never call it for a part.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_free(value: *mut camunda_value) {
    if !value.is_null() {
        // SAFETY: the pointer is as this function documents it: that of a whole value, which was
        // handed over. A panic while dropping must not cross.
        catch_panic_or((), || drop(unsafe { OwnedValue::taken_back(value) }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> OwnedValue {
        camunda_value::parse(Zeroizing::new(json.as_bytes().to_vec())).unwrap()
    }

    /// Reads everything that there is, strings included; the number of values.
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
    fn a_name_that_is_no_text_hides_no_other() {
        let value = parsed(r#"{"\ud800":1,"secret":"made up","a\u0000b\ud83d\ude00":2}"#);
        let node = value.node();
        assert_eq!(node.get("secret").unwrap().json(), "\"made up\"");
        assert_eq!(node.at(0).unwrap().json(), "1");
        assert_eq!(node.get("a\0b😀").unwrap().json(), "2");
        let name = node.name_at(0).unwrap().terminated(true).unwrap();
        assert_eq!(name, "\u{fffd}\0".as_bytes());
    }

    #[test]
    fn value_nested_deeper_than_the_stack_is_read_and_freed() {
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
        // By recursion each of the 400,000 levels would take over 100 bytes.
        let small = std::thread::Builder::new().stack_size(256 * 1024);
        small.spawn(read).unwrap().join().unwrap();
    }

    #[test]
    fn children_are_found_whatever_surrounds_them() {
        let json = r#" { "a" : [ [ ] , { } , [ [ 1 , 2 ] , 3 ] , [ [ 4 ] ] , { "b" : { "c" : [ 5 ] } } , "x\"]" ] , "d" : null , "a" : -1.5e3 } "#;
        let value = parsed(json);
        let at = |path: &str| {
            let found = path.split('.').try_fold(value.node(), step);
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
    fn value_that_is_read_costs_at_most_eight_times_its_bytes() {
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
                let value = camunda_value::of_valid(bytes.take().unwrap()).unwrap();
                let node = value.node();
                // What the test itself keeps for nested values is not a cost of the value.
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
            // Besides the bytes themselves, which were there before.
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
    fn all_values_are_there_across_the_blocks_of_the_index() {
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
            let name = part.get("name").unwrap().terminated(false).unwrap();
            assert_eq!(name, format!("n{index}\0").as_bytes());
        }
    }

    #[test]
    fn strings_are_read_by_many_threads() {
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
    fn bytes_that_are_not_json_are_null() {
        for bytes in ["", "]", "[", "[}", "{\"a\"}", "\"a", "1 2", "[1"] {
            let value = camunda_value::of_valid(Zeroizing::new(bytes.into())).unwrap();
            let node = value.node();
            assert_eq!((node.kind(), node.len()), (Kind::Null, 0), "{bytes}");
            assert_eq!(node.json(), bytes);
        }
    }
}
