//! Answers in C: an immutable tree over the answer's own bytes.
//!
//! Each node is read when it is first asked for, one level at a time, so that a program pays for
//! what it looks at. Strings and JSON texts are handed out NUL-terminated.

use std::ffi::c_char;
use std::fmt;
use std::ptr;

use once_cell::sync::OnceCell;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::api::operation::without_bom;
use crate::error::{Error, Result};
use crate::ffi::boundary::{bytes, clear, free, guard, guard_or, hand_over, required, text};
use crate::ffi::error::{camunda_error, camunda_status};
use crate::fork::Section;
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
/// key comes twice in an object, the last one counts.
pub struct camunda_value {
    /// This node's JSON. Borrowed from the root's `owned`, which lives as long as any node.
    json: &'static str,
    node: OnceCell<Node>,
    /// The same JSON with a NUL behind it, made when asked for; the root's bytes have theirs.
    terminated: OnceCell<Terminated>,
    /// The answer with a NUL behind it; of the root only.
    owned: Option<Zeroizing<Vec<u8>>>,
}

/// Text with a NUL behind it, overwritten when dropped.
type Terminated = Zeroizing<Box<[u8]>>;

/// The value of a cell, made by the first thread that needs it. A fork waits for that, so that a
/// child never waits for a thread that it does not have.
fn read_once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> T) -> &T {
    match cell.get() {
        Some(value) => value,
        None => {
            let _section = Section::enter();
            cell.get_or_init(make)
        }
    }
}

enum Node {
    Null,
    Bool(bool),
    Number,
    /// `None` where its escapes make no text, such as half a surrogate pair.
    String(Option<Text>),
    Array(Vec<camunda_value>),
    Object(Vec<(Text, camunda_value)>),
}

/// The text of a JSON string.
struct Text {
    /// The text as it is written, where that has no escapes; else empty.
    written: &'static str,
    /// With a NUL behind it: made when asked for, or at once where there are escapes.
    terminated: OnceCell<Terminated>,
}

impl Text {
    fn written(written: &'static str) -> Self {
        Text {
            written,
            terminated: OnceCell::new(),
        }
    }

    fn unescaped(text: &str) -> Self {
        Text {
            written: "",
            terminated: OnceCell::with_value(terminated(text)),
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match self.terminated.get() {
            Some(terminated) => &terminated[..terminated.len() - 1],
            None => self.written.as_bytes(),
        }
    }

    fn terminated(&self) -> &[u8] {
        let bytes = read_once(&self.terminated, || terminated(self.written));
        &bytes[..]
    }
}

impl camunda_value {
    /// Takes over JSON bytes. Fails where they are not one JSON value in UTF-8.
    pub(super) fn new(json: Zeroizing<Vec<u8>>) -> Result<Self> {
        let value = camunda_value::of_valid(json)?;
        serde_json::from_str::<&RawValue>(value.json).map_err(not_json)?;
        Ok(value)
    }

    /// Takes over bytes that are known to be one JSON value.
    pub(super) fn of_valid(json: Zeroizing<Vec<u8>>) -> Result<Self> {
        let mut owned = json;
        let length = owned.len();
        // Growing in place would leave a copy of the bytes behind in freed memory.
        if owned.capacity() == length {
            let mut grown = Zeroizing::new(Vec::with_capacity(length + 1));
            grown.extend_from_slice(&owned);
            owned = grown;
        }
        owned.push(0);
        let json = without_bom(&owned[..length]);
        let text = std::str::from_utf8(json).map_err(not_json)?;
        // SAFETY: the heap block of `owned` neither moves nor changes until the root is dropped, and
        // no node outlives the root.
        let json = unsafe { std::mem::transmute::<&str, &'static str>(text) };
        let mut value = camunda_value::part(json);
        value.owned = Some(owned);
        Ok(value)
    }

    fn part(json: &'static str) -> Self {
        camunda_value {
            json,
            node: OnceCell::new(),
            terminated: OnceCell::new(),
            owned: None,
        }
    }

    fn node(&self) -> &Node {
        read_once(&self.node, || parse(self.json))
    }

    fn get(&self, key: &str) -> Option<&camunda_value> {
        match self.node() {
            Node::Object(fields) => {
                let mut fields = fields.iter().rev();
                let found = fields.find(|(name, _)| name.as_bytes() == key.as_bytes());
                found.map(|(_, value)| value)
            }
            _ => None,
        }
    }

    fn at(&self, index: usize) -> Option<&camunda_value> {
        match self.node() {
            Node::Array(elements) => elements.get(index),
            Node::Object(fields) => fields.get(index).map(|(_, value)| value),
            _ => None,
        }
    }

    fn step(&self, step: &str) -> Option<&camunda_value> {
        match self.node() {
            Node::Array(_) => self.at(step.parse().ok()?),
            _ => self.get(step),
        }
    }

    pub(super) fn json(&self) -> &str {
        self.json
    }
}

impl Drop for camunda_value {
    /// Level by level, since an answer can be nested deeper than a stack is.
    fn drop(&mut self) {
        let mut nodes = Vec::from_iter(self.node.take());
        while let Some(node) = nodes.pop() {
            match node {
                Node::Array(elements) => {
                    nodes.extend(elements.into_iter().filter_map(|mut part| part.node.take()));
                }
                Node::Object(fields) => {
                    nodes.extend(
                        fields
                            .into_iter()
                            .filter_map(|(_, mut part)| part.node.take()),
                    );
                }
                _ => {}
            }
        }
    }
}

impl fmt::Debug for camunda_value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The value may be secret.
        f.debug_struct("camunda_value")
            .field("len", &self.json.len())
            .finish_non_exhaustive()
    }
}

fn not_json(error: impl fmt::Display) -> Error {
    Error::invalid_argument(format!("not JSON: {error}"))
}

fn terminated(text: &str) -> Terminated {
    let mut bytes = Vec::with_capacity(text.len() + 1);
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(0);
    Zeroizing::new(bytes.into_boxed_slice())
}

/// Reads one level of JSON that is known to be well-formed.
fn parse(json: &'static str) -> Node {
    match json.trim_start().as_bytes().first() {
        Some(b'{') => match serde_json::from_str::<Fields>(json) {
            Ok(Fields(fields)) => Node::Object(fields),
            Err(_) => Node::Null,
        },
        Some(b'[') => match serde_json::from_str::<Vec<&'static RawValue>>(json) {
            Ok(elements) => Node::Array(
                elements
                    .into_iter()
                    .map(|element| camunda_value::part(element.get()))
                    .collect(),
            ),
            Err(_) => Node::Null,
        },
        Some(b'"') => Node::String(match serde_json::from_str(json) {
            Ok(written) => Some(Text::written(written)),
            Err(_) => {
                let text = serde_json::from_str(json).map(Zeroizing::<String>::new);
                text.ok().map(|text| Text::unescaped(&text))
            }
        }),
        Some(b't') => Node::Bool(true),
        Some(b'f') => Node::Bool(false),
        Some(b'-' | b'0'..=b'9') => Node::Number,
        _ => Node::Null,
    }
}

/// The fields of an object, in their order, duplicates included.
struct Fields(Vec<(Text, camunda_value)>);

impl<'de: 'static> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldsVisitor;
        impl<'de: 'static> Visitor<'de> for FieldsVisitor {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut fields = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    let value: &'static RawValue = value;
                    fields.push((name, camunda_value::part(value.get())));
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(FieldsVisitor)
    }
}

/// The name of a field, whatever its escapes: one that is no text must not hide all the others.
struct Name(Text);

impl<'de: 'static> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;
        impl Visitor<'static> for NameVisitor {
            type Value = Name;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }
            fn visit_borrowed_bytes<E>(self, name: &'static [u8]) -> Result<Name, E> {
                Ok(Name(match std::str::from_utf8(name) {
                    Ok(written) => Text::written(written),
                    Err(_) => Text::unescaped(&String::from_utf8_lossy(name)),
                }))
            }
            fn visit_bytes<E>(self, name: &[u8]) -> Result<Name, E> {
                Ok(Name(Text::unescaped(&String::from_utf8_lossy(name))))
            }
        }
        // As bytes, among which half a surrogate pair is no error.
        deserializer.deserialize_bytes(NameVisitor)
    }
}

/// Reads from a value; NULL reads as `fallback`.
///
/// # Safety
/// `value` is NULL or lives.
unsafe fn read<'a, T>(
    value: *const camunda_value,
    fallback: T,
    read: impl FnOnce(&'a camunda_value) -> Option<T>,
) -> T
where
    T: Copy + 'a,
{
    // SAFETY: as the caller promises.
    match unsafe { value.as_ref() } {
        Some(value) => guard_or(fallback, || read(value).unwrap_or(fallback)),
        None => fallback,
    }
}

/// Hands out a text with its length.
///
/// # Safety
/// `len` is NULL or may be written to.
unsafe fn hand_out(text: Option<&[u8]>, len: *mut usize) -> *const c_char {
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
            Some(match value.node() {
                Node::Null => CAMUNDA_KIND_NULL,
                Node::Bool(_) => CAMUNDA_KIND_BOOL,
                Node::Number => CAMUNDA_KIND_NUMBER,
                Node::String(_) => CAMUNDA_KIND_STRING,
                Node::Array(_) => CAMUNDA_KIND_ARRAY,
                Node::Object(_) => CAMUNDA_KIND_OBJECT,
            })
        })
    }
}

/// How many elements an array has, or fields an object; 0 for anything else, NULL included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_len(value: *const camunda_value) -> usize {
    // SAFETY: the pointer is as this function documents it.
    unsafe {
        read(value, 0, |value| match value.node() {
            Node::Array(elements) => Some(elements.len()),
            Node::Object(fields) => Some(fields.len()),
            _ => None,
        })
    }
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
            value.get(text("key", key).ok()?).map(ptr::from_ref)
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
            steps
                .try_fold(value, |value, step| value.step(step))
                .map(ptr::from_ref)
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
    unsafe {
        read(value, ptr::null(), |value| {
            value.at(index).map(ptr::from_ref)
        })
    }
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
        let key = read(value, None, |value| match value.node() {
            Node::Object(fields) => fields.get(index).map(|(key, _)| Some(key.terminated())),
            _ => None,
        });
        hand_out(key, len)
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
        let text = read(value, None, |value| match value.node() {
            Node::String(text) => text.as_ref().map(|text| Some(text.terminated())),
            _ => None,
        });
        hand_out(text, len)
    }
}

/// A number as the nearest double; `fallback` for anything else. camunda_value_json has all digits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_number(value: *const camunda_value, fallback: f64) -> f64 {
    // SAFETY: the pointer is as this function documents it.
    unsafe {
        read(value, fallback, |value| match value.node() {
            Node::Number => value.json.trim().parse().ok(),
            _ => None,
        })
    }
}

/// A whole number; `fallback` for anything else, one that does not fit included.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_integer(value: *const camunda_value, fallback: i64) -> i64 {
    // SAFETY: the pointer is as this function documents it.
    unsafe {
        read(value, fallback, |value| match value.node() {
            Node::Number => value.json.trim().parse().ok(),
            _ => None,
        })
    }
}

/// Whether it is `true`; `fallback` for anything but `true` and `false`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_bool(value: *const camunda_value, fallback: bool) -> bool {
    // SAFETY: the pointer is as this function documents it.
    unsafe {
        read(value, fallback, |value| match value.node() {
            Node::Bool(value) => Some(*value),
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
        let json = read(value, None, |value| {
            Some(Some(match &value.owned {
                Some(owned) => &owned[owned.len() - 1 - value.json.len()..],
                None => &read_once(&value.terminated, || terminated(value.json))[..],
            }))
        });
        hand_out(json, len)
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
        clear(value);
        guard(error, || {
            let value = required("value", value)?;
            let json = bytes("json", json, json_len)?;
            hand_over(value, camunda_value::new(Zeroizing::new(json.to_vec()))?);
            Ok(())
        })
    }
}

/// Frees a value that the caller owns, overwriting its bytes, and with it all its parts. NULL does
/// nothing; never call it for a part.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn camunda_value_free(value: *mut camunda_value) {
    // SAFETY: the pointer is as this function documents it.
    unsafe { free(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_text_hides_no_other() {
        let json = br#"{"\ud800":1,"secret":"made up","a\u0000b\ud83d\ude00":2}"#;
        let value = camunda_value::new(Zeroizing::new(json.to_vec())).unwrap();
        assert_eq!(value.get("secret").unwrap().json(), "\"made up\"");
        assert_eq!(value.at(0).unwrap().json(), "1");
        assert_eq!(value.get("a\0b😀").unwrap().json(), "2");
    }

    #[test]
    fn what_is_nested_deeper_than_the_stack_is_freed() {
        const DEPTH: usize = 1_000;
        let free = || {
            let json = format!("{}1{}", r#"[{"a":"#.repeat(DEPTH), "}]".repeat(DEPTH));
            let value = camunda_value::new(Zeroizing::new(json.into_bytes())).unwrap();
            let mut innermost = &value;
            while let Some(part) = innermost.at(0) {
                innermost = part;
            }
            assert_eq!(innermost.json(), "1");
        };
        // By recursion each of the 2,000 levels would take over 100 bytes.
        let small = std::thread::Builder::new().stack_size(128 * 1024);
        small.spawn(free).unwrap().join().unwrap();
    }
}
