//! Strings and buffers for secrets: client secrets, passwords, tokens, connector secrets.
//!
//! The types redact their `Debug` output, so that the derived `Debug` of a containing type cannot
//! leak them, and zeroize their memory on drop.

use std::fmt;
use std::io::{self, Read, Write};
use std::mem::{self, MaybeUninit};
use std::ops::{Deref, DerefMut};

use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::optimization_barrier;

use crate::json_text::{self, Piece};

/// Message of the decode error of a secret that is not a string.
pub(crate) const NOT_A_STRING: &str = "invalid type: a secret is a string";

/// Secret string that is redacted in `Debug` and zeroized on drop. [`expose`](Secret::expose)
/// returns the string.
///
/// `Debug` prints `Secret(…)`, and there is no `Display`. `Serialize` writes the string itself, as
/// requests and responses contain it.
///
/// ```
/// use camunda_admin::Secret;
///
/// let secret = Secret::new("hunter2");
/// assert_eq!(format!("{secret:?}"), "Secret(…)");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of a string as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(Zeroizing::new(text.into()))
    }

    /// Returns the secret string. Do not put it into logs, errors or file names.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns whether the string is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Secret::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret::new(text)
    }
}

impl From<Zeroizing<String>> for Secret {
    fn from(text: Zeroizing<String>) -> Self {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As raw JSON, since `serde_json` would unescape it into a buffer that it does not zeroize.
        deserializer.deserialize_newtype_struct(RAW_VALUE, RawValue)
    }
}

/// Visitor of a decoded string.
struct SecretVisitor;

impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    // The errors of the provided methods quote the value.
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        Err(not_a_string())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        Err(not_a_string())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        Err(not_a_string())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        Err(not_a_string())
    }
}

fn not_a_string<E: de::Error>() -> E {
    E::custom(NOT_A_STRING)
}

/// Visitor of a `serde_json` raw value, which contains the JSON text of the secret.
struct RawValue;

impl<'de> Visitor<'de> for RawValue {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    // `serde_json` presents a raw value as a map with one field.
    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Secret, M::Error> {
        map.next_key::<IgnoredAny>()?;
        map.next_value_seed(RawText)
    }

    // Other formats present a newtype.
    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Secret, D::Error> {
        // Not `deserialize_string`, whose own error would quote a number.
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// Visitor of the JSON text of a string.
struct RawText;

impl<'de> DeserializeSeed<'de> for RawText {
    type Value = Secret;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for RawText {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, json: &str) -> Result<Secret, E> {
        let text = json.trim_ascii();
        let inside = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let inside = inside.ok_or_else(not_a_string)?;
        match inside.contains('\\') {
            true => decoded(inside)
                .map(Secret)
                .ok_or_else(|| E::custom("a secret has an invalid escape")),
            false => Ok(Secret::new(inside)),
        }
    }

    fn visit_string<E: de::Error>(self, json: String) -> Result<Secret, E> {
        self.visit_str(&Zeroizing::new(json))
    }
}

/// Name by which `serde_json` recognizes a raw value. If a version of `serde_json` changes it,
/// secrets are decoded as in any other format.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// Decodes the bytes between the quotes of a JSON string, without a copy that is not zeroized. Returns
/// `None` if an escape is not valid.
fn decoded(written: &str) -> Option<Zeroizing<String>> {
    let mut text = SecretBuffer::with_capacity(written.len());
    for piece in json_text::pieces(written.as_bytes()) {
        match piece {
            Piece::Bytes(bytes) => text.extend(bytes),
            Piece::Char(c) => text.push(c),
            Piece::Invalid => return None,
        }
    }
    text.into_string()
}

/// String or buffer that is zeroized on drop, for example a response body, which may contain
/// secrets.
///
/// Unlike `zeroize::Zeroizing`, it does not write byte by byte, and its `Debug` is redacted.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Zeroizing<T: ZeroizeAll>(T);

impl<T: ZeroizeAll> Zeroizing<T> {
    pub(crate) fn new(text: T) -> Self {
        Zeroizing(text)
    }
}

impl<T: ZeroizeAll> Deref for Zeroizing<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ZeroizeAll> DerefMut for Zeroizing<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: ZeroizeAll + AsRef<[u8]>> AsRef<[u8]> for Zeroizing<T> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_ref()
    }
}

impl<T: ZeroizeAll> fmt::Debug for Zeroizing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Zeroizing(…)")
    }
}

impl<T: ZeroizeAll> Drop for Zeroizing<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Types whose memory can be zeroized, including spare capacity.
pub(crate) trait ZeroizeAll {
    fn zeroize(&mut self);
}

impl ZeroizeAll for Vec<u8> {
    fn zeroize(&mut self) {
        // Apart from the spare capacity, because a debug build fills uninitialized bytes one by one.
        wipe(self);
        let spare = self.spare_capacity_mut();
        spare.fill(MaybeUninit::new(0));
        optimization_barrier(spare);
        self.clear();
    }
}

impl ZeroizeAll for String {
    fn zeroize(&mut self) {
        mem::take(self).into_bytes().zeroize();
    }
}

impl ZeroizeAll for Box<[u8]> {
    fn zeroize(&mut self) {
        wipe(self);
    }
}

/// Overwrites memory with zeros. The barrier keeps the compiler from removing the writes.
pub(crate) fn wipe(memory: &mut [u8]) {
    memory.fill(0);
    optimization_barrier(memory);
}

/// Growable byte buffer for secrets that zeroizes an outgrown allocation before freeing it.
///
/// Use it for every string that is assembled from secrets: a plain `Vec` or `String` leaves a copy
/// in freed memory each time it grows.
#[derive(Clone, Default)]
pub(crate) struct SecretBuffer(Zeroizing<Vec<u8>>);

impl SecretBuffer {
    /// Creates an empty buffer that holds `capacity` bytes without growing.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        SecretBuffer(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    /// Appends bytes.
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Appends a string.
    pub(crate) fn push_str(&mut self, text: &str) {
        self.extend(text.as_bytes());
    }

    /// Appends a character.
    pub(crate) fn push(&mut self, c: char) {
        self.push_str(c.encode_utf8(&mut [0; 4]));
    }

    /// Returns the bytes without copying them.
    pub(crate) fn into_bytes(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    /// Returns the bytes as a string without copying them, or `None` if they are not UTF-8.
    pub(crate) fn into_string(mut self) -> Option<Zeroizing<String>> {
        std::str::from_utf8(&self.0).ok()?;
        String::from_utf8(mem::take(&mut *self.0))
            .ok()
            .map(Zeroizing::new)
    }

    fn reserve(&mut self, additional: usize) {
        reserve(&mut self.0, additional);
    }
}

impl Deref for SecretBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Write for SecretBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for SecretBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBuffer(…)")
    }
}

/// Reserves capacity for more bytes, and zeroizes the allocation that the vector leaves.
fn reserve(bytes: &mut Zeroizing<Vec<u8>>, additional: usize) {
    let needed = bytes.len().saturating_add(additional);
    if needed > bytes.capacity() {
        let capacity = needed.max(2 * bytes.capacity()).max(64);
        grow(bytes, capacity);
    }
}

/// Moves a vector to a larger allocation, and zeroizes the previous one.
fn grow(bytes: &mut Zeroizing<Vec<u8>>, capacity: usize) {
    let mut grown = Zeroizing::new(Vec::with_capacity(capacity));
    grown.extend_from_slice(bytes);
    *bytes = grown;
}

/// Encodes a value as JSON, without copies of its secrets in freed memory.
pub(crate) fn to_json(value: &(impl Serialize + ?Sized)) -> serde_json::Result<SecretBuffer> {
    let mut json = SecretBuffer::with_capacity(256);
    serde_json::to_writer(&mut json, value)?;
    Ok(json)
}

/// Reads to the end, and zeroizes each allocation that the buffer outgrows.
pub(crate) fn read_to_end(reader: &mut impl Read, text: &mut Zeroizing<Vec<u8>>) -> io::Result<()> {
    read_to_end_expecting(reader, text, 0)
}

/// Initial capacity if more is expected.
const INITIAL_CAPACITY: usize = 1024 * 1024;
/// Maximum factor by which the capacity grows at a time.
const MAX_GROWTH: usize = 16;

/// Reads to the end as [`read_to_end`] does, if `expected` bytes are announced: the buffer moves
/// rarely, and its capacity is at most a small multiple of the received bytes. After an error `text`
/// has what was received.
///
/// Unlike [`Read::read_to_end`], it offers the reader the whole rest of the buffer at a time, and the
/// allocator zeroes the buffer, which for large ones costs nothing.
pub(crate) fn read_to_end_expecting(
    reader: &mut impl Read,
    text: &mut Zeroizing<Vec<u8>>,
    expected: u64,
) -> io::Result<()> {
    let expected = usize::try_from(expected).unwrap_or(usize::MAX);
    let mut filled = text.len();
    let capacity = text.capacity();
    text.resize(capacity, 0);
    let result = loop {
        if filled == text.len() {
            let capacity = if filled < expected {
                expected.min((MAX_GROWTH * filled).max(INITIAL_CAPACITY))
            } else {
                (2 * filled).max(8 * 1024)
            };
            let mut grown = Zeroizing::new(vec![0; capacity]);
            grown[..filled].copy_from_slice(text);
            *text = grown;
        }
        match reader.read(&mut text[filled..]) {
            Ok(0) => break Ok(()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    text.truncate(filled);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_is_redacted() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(format!("{:?}", Some(&secret)), "Some(Secret(…))");
    }

    #[test]
    fn read_to_end_reserves_a_small_multiple_of_what_arrives() {
        const MIB: usize = 1024 * 1024;
        for (expected, length, max) in [
            (u64::MAX, 7, MIB),
            (64 * MIB as u64, 7, MIB),
            (64 * MIB as u64, 3 * MIB, 16 * MIB),
            (5, 7, 8 * 1024),
            (0, 7, 8 * 1024),
        ] {
            let sent = vec![b'x'; length];
            let mut text = Zeroizing::new(Vec::new());
            read_to_end_expecting(&mut &sent[..], &mut text, expected).unwrap();
            assert!(*text == sent);
            assert!(text.capacity() <= max, "{expected}: {}", text.capacity());
        }
        let mut text = Zeroizing::new(Vec::new());
        read_to_end_expecting(&mut &[b'x'; 20][..], &mut text, 21).unwrap();
        assert_eq!((text.len(), text.capacity()), (20, 21), "it has moved");
    }

    #[test]
    fn zeroize_overwrites_spare_capacity() {
        let mut text = Vec::from(*b"hunter2");
        text.truncate(3);
        let room = text.capacity();
        text.zeroize();
        text.resize(room, 1);
        assert_eq!(
            (text.len(), text.capacity()),
            (room, room),
            "it has not moved"
        );
        let mut boxed: Box<[u8]> = Box::from(*b"hunter2");
        boxed.zeroize();
        assert_eq!(*boxed, [0; 7]);
    }

    #[test]
    fn read_to_end_reads_everything_for_any_capacity() {
        for (length, room) in [(0, 0), (0, 1), (5, 0), (5, 5), (5, 6), (100_000, 10)] {
            let whole = vec![7; length];
            let mut text = Zeroizing::new(Vec::with_capacity(room));
            read_to_end(&mut &whole[..], &mut text).unwrap();
            assert_eq!(*text, whole);
            assert!(length >= room || text.capacity() == room, "it has moved");
        }
    }

    #[test]
    fn decode_error_does_not_quote_value_of_wrong_type() {
        for json in ["4711", "-4711", "4711.5", "true", "[4711]", "null"] {
            let error = serde_json::from_str::<Secret>(json)
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("invalid type") && !error.contains("4711"),
                "{error}"
            );
        }
    }

    #[test]
    fn secret_decodes_as_a_string_does() {
        for json in [
            r#""""#,
            r#""plain""#,
            r#"  "ü 𝄞"  "#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0041\u00fc\ud834\udd1e-\uD834\uDD1E""#,
            r#""\ud834""#,
            r#""\udd1e\ud834""#,
            r#""\ud834\u0041""#,
            r#""\u00""#,
            r#""\x""#,
            r#""open"#,
            r#"["a"]"#,
            r#"{"a":"b"}"#,
        ] {
            let expected = serde_json::from_str::<String>(json).ok();
            let secret = serde_json::from_str::<Secret>(json).ok();
            assert_eq!(
                secret.as_ref().map(Secret::expose),
                expected.as_deref(),
                "{json}"
            );
            let value = serde_json::from_str::<serde_json::Value>(json).ok();
            if let Some(value) = value {
                let secret = serde_json::from_value::<Secret>(value).ok();
                assert_eq!(
                    secret.as_ref().map(Secret::expose),
                    expected.as_deref(),
                    "{json}"
                );
            }
        }
    }

    #[test]
    fn json_has_unredacted_string() {
        let secret: Secret = serde_json::from_str("\"hunter2\"").unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"hunter2\"");
    }
}
