//! What all types of the API have in common: how an api_object, an enumeration or an id is declared,
//! decoded, encoded, and described to the generators of the other languages' types.
//!
//! Written here rather than derived, because an object has to keep fields that it does not know and
//! `serde(flatten)` buffers every object for that; because what is "required" on paper is not
//! always there; and because one declaration feeds four languages. Knows nothing of operations.

use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::api::schema::JsonSchema;
use crate::secret::Zeroizing;

/// Whether a field of an object is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Without it the object is of no use: its absence is a decode error.
    Required,
    /// Described as always there, yet its absence fails no call: it reads as empty then.
    Defaulted,
    /// May be absent; `null` counts as absent.
    Optional,
}

/// A field of an api_object, as the generators of other languages see it.
#[derive(Debug)]
pub struct Field {
    /// The name in Rust.
    pub name: &'static str,
    /// The name in JSON.
    pub json: &'static str,
    /// The type in Rust, as written: `Option < Vec < Generation > >`.
    pub rust_type: &'static str,
    /// Whether it is always there.
    pub presence: Presence,
    /// What it means.
    pub doc: &'static str,
    pub(crate) form: JsonSchema,
}

/// A word of an enumeration.
#[derive(Debug)]
pub struct EnumValue {
    /// The variant in Rust.
    pub name: &'static str,
    /// The word in JSON.
    pub json: &'static str,
    /// What it means.
    pub doc: &'static str,
}

/// Which way an object travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Sent to the service.
    Request,
    /// Answered by it.
    Response,
}

/// A type of the API, as the generators of other languages see it.
#[derive(Debug)]
pub enum Description {
    /// An object with fields.
    Object {
        /// Its name in all languages.
        name: &'static str,
        /// What it is.
        doc: &'static str,
        /// Which way it travels.
        direction: Direction,
        /// Its fields in the order of the reference.
        fields: &'static [Field],
    },
    /// An enumeration that may meet words it does not know.
    Enum {
        /// Its name in all languages.
        name: &'static str,
        /// What it is.
        doc: &'static str,
        /// The words known to this version.
        values: &'static [EnumValue],
    },
    /// A name of a thing: opaque text.
    Id {
        /// Its name in all languages.
        name: &'static str,
        /// What it names.
        doc: &'static str,
    },
}

impl Description {
    /// The name of the type in all languages.
    pub fn name(&self) -> &'static str {
        match self {
            Description::Object { name, .. }
            | Description::Enum { name, .. }
            | Description::Id { name, .. } => name,
        }
    }
}

/// A type that can describe itself.
pub(crate) trait Describe {
    const DESCRIPTION: &'static Description;
}

/// Any JSON, kept to the letter: numbers lose no digit, objects keep their order and duplicates.
///
/// It may hold a secret, so its memory is overwritten on drop.
#[derive(Clone, Default)]
pub struct Json(
    /// `None` is `null`.
    Option<Box<RawValue>>,
);

impl Json {
    /// Takes over a JSON text, surrounding white space dropped. Fails where it is not JSON.
    pub fn new(text: impl Into<String>) -> crate::Result<Self> {
        let text = Zeroizing::new(text.into());
        match serde_json::from_str::<Box<RawValue>>(&text) {
            Ok(raw) => Ok(Json(Some(raw))),
            Err(error) => Err(crate::Error::invalid_argument(format!("not JSON: {error}"))),
        }
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().map_or("null", RawValue::get)
    }

    /// Reads it as a type of the caller's choice.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<T> {
        serde_json::from_str(self.as_str())
    }
}

impl Drop for Json {
    fn drop(&mut self) {
        if let Some(raw) = self.0.take() {
            drop(Zeroizing::new(Box::<str>::from(raw).into_boxed_bytes()));
        }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Json(Some(raw)))
    }
}

/// A JSON number, kept to the letter.
#[derive(Clone, PartialEq)]
pub struct Number(Json);

impl Number {
    /// The number, where it is whole and fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_str().parse().ok()
    }

    /// The nearest floating-point number.
    pub fn as_f64(&self) -> f64 {
        self.as_str().parse().unwrap_or(f64::NAN)
    }

    /// The number as the service wrote it.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Default for Number {
    /// Zero.
    fn default() -> Self {
        Number::from(0)
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Number(Json(Some(
            RawValue::from_string(number.to_string()).expect("a whole number is JSON"),
        )))
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        match json.as_str().as_bytes() {
            [b'-' | b'0'..=b'9', ..] => Ok(Number(json)),
            _ => Err(serde::de::Error::custom("expected a number")),
        }
    }
}

/// The fields of an answer that this version of the library does not know, as they came.
///
/// Also remembers which known fields were `null`, so that they are encoded as they came; two that
/// differ in that alone are equal. `Debug` shows names only: a field that is not known may be a secret.
#[derive(Clone, Default)]
// A box, since nearly every object has none: 8 bytes each instead of 32.
pub struct Extra(Option<Box<Kept>>);

/// What an object keeps besides the values of its fields.
#[derive(Clone, Default)]
struct Kept {
    unknown: Vec<(String, Json)>,
    /// A bit for each known field that was `null`.
    nulls: u64,
}

impl Extra {
    /// The field of that name; the last one where it came twice.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.iter()
            .filter(|(field, _)| *field == name)
            .last()
            .map(|(_, value)| value)
    }

    /// All fields, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0
            .iter()
            .flat_map(|kept| kept.unknown.iter())
            .map(|(name, value)| (name.as_str(), value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |kept| kept.unknown.len())
    }

    /// Whether there are none: the rule.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a field, for a request whose newest field this version does not know.
    pub fn insert(&mut self, name: impl Into<String>, value: Json) {
        let kept = self.0.get_or_insert_default();
        kept.unknown.push((name.into(), value));
    }

    /// Remembers which known fields were `null`.
    pub(crate) fn set_nulls(&mut self, nulls: u64) {
        if nulls != 0 {
            self.0.get_or_insert_default().nulls = nulls;
        }
    }

    /// Returns which known fields were `null`.
    pub(crate) fn nulls(&self) -> u64 {
        self.0.as_ref().map_or(0, |kept| kept.nulls)
    }

    pub(crate) fn encode<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.iter()
            .try_for_each(|(name, value)| map.serialize_entry(name, value))
    }
}

impl PartialEq for Extra {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl fmt::Debug for Extra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(|(name, _)| name))
            .finish()
    }
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Declares an object of the API.
///
/// `response struct` or `request struct`, then a line a field: whether it is there, its name and type
/// in Rust, its name in JSON. Unknown fields go to `extra`; of duplicates the last one wins, as in
/// the languages around us.
macro_rules! api_object {
    (
        $(#[doc = $doc:literal])*
        $direction:ident struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])*
                $presence:ident $field:ident: $type:ty = $json:literal,
            )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        #[allow(unreachable_pub, reason = "some are bodies that methods make of their arguments")]
        pub struct $name {
            $( $(#[doc = $field_doc])* pub $field: $type, )*
            /// Fields that this version does not know.
            pub extra: $crate::api::object::Extra,
        }

        $crate::api::object::api_object!(@default $direction $name { $($field)* });

        // A bit for each field says which were there, where a text is checked.
        const _: () = assert!(<[&str]>::len(&[$($json),*]) <= u64::BITS as usize);

        impl $crate::api::object::Describe for $name {
            const DESCRIPTION: &'static $crate::api::object::Description =
                &$crate::api::object::Description::Object {
                    name: stringify!($name),
                    doc: concat!($($doc, "\n"),*),
                    direction: $crate::api::object::api_object!(@direction $direction),
                    fields: &[ $( $crate::api::object::Field {
                        name: stringify!($field),
                        json: $json,
                        rust_type: stringify!($type),
                        presence: $crate::api::object::api_object!(@presence $presence),
                        doc: concat!($($field_doc, "\n"),*),
                        form: <$type as $crate::api::schema::HasSchema>::SCHEMA,
                    }, )* ],
                };
        }

        impl $crate::api::schema::HasSchema for $name {
            const SCHEMA: $crate::api::schema::JsonSchema = $crate::api::schema::JsonSchema::Described(
                <$name as $crate::api::object::Describe>::DESCRIPTION,
            );
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use serde::ser::SerializeMap;
                #[allow(non_camel_case_types, dead_code)]
                enum Index { $($field,)* }

                #[allow(unused_variables, reason = "an object may have no field")]
                let nulls = self.extra.nulls();
                let mut map = serializer.serialize_map(None)?;
                $(
                    let was_null = nulls >> (Index::$field as u32) & 1 != 0;
                    $crate::api::object::api_object!(
                        @encode $presence map, $json, self.$field, was_null
                    );
                )*
                self.extra.encode(&mut map)?;
                map.end()
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[allow(non_camel_case_types, dead_code)]
                enum Index { $($field,)* }

                #[allow(non_camel_case_types)]
                enum Key { $($field,)* Unknown(String) }

                impl<'de> serde::Deserialize<'de> for Key {
                    fn deserialize<D: serde::Deserializer<'de>>(
                        deserializer: D,
                    ) -> Result<Self, D::Error> {
                        struct KeyVisitor;
                        impl serde::de::Visitor<'_> for KeyVisitor {
                            type Value = Key;
                            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                                f.write_str("the name of a field")
                            }
                            fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key, E> {
                                Ok(match key {
                                    $( $json => Key::$field, )*
                                    _ => Key::Unknown(key.to_owned()),
                                })
                            }
                        }
                        deserializer.deserialize_identifier(KeyVisitor)
                    }
                }

                struct ObjectVisitor;
                impl<'de> serde::de::Visitor<'de> for ObjectVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("an object (", stringify!($name), ")"))
                    }
                    fn visit_map<M: serde::de::MapAccess<'de>>(
                        self,
                        mut map: M,
                    ) -> Result<$name, M::Error> {
                        $( let mut $field: Option<$type> = None; )*
                        let mut extra = $crate::api::object::Extra::default();
                        #[allow(unused_mut, reason = "an object may have no field")]
                        let mut nulls = 0;
                        while let Some(key) = map.next_key::<Key>()? {
                            match key {
                                $( Key::$field => {
                                    let bit = 1 << (Index::$field as u32);
                                    $field = $crate::api::object::api_object!(
                                        @decode $presence map, nulls, bit
                                    );
                                } )*
                                Key::Unknown(name) => extra.insert(name, map.next_value()?),
                            }
                        }
                        extra.set_nulls(nulls);
                        Ok($name {
                            $( $field: $crate::api::object::api_object!(@settle $presence $field $json), )*
                            extra,
                        })
                    }
                }
                deserializer.deserialize_map(ObjectVisitor)
            }
        }
    };
    // An answer has an empty form, for what is expected and absent; a request has to be complete.
    (@default response $name:ident { $($field:ident)* }) => {
        impl Default for $name {
            fn default() -> Self {
                $name {
                    $( $field: Default::default(), )*
                    extra: Default::default(),
                }
            }
        }
    };
    (@default request $name:ident { $($field:ident)* }) => {};
    (@direction response) => { $crate::api::object::Direction::Response };
    (@direction request) => { $crate::api::object::Direction::Request };
    (@presence required) => { $crate::api::object::Presence::Required };
    (@presence defaulted) => { $crate::api::object::Presence::Defaulted };
    (@presence optional) => { $crate::api::object::Presence::Optional };
    (@encode optional $map:ident, $json:literal, $value:expr, $was_null:ident) => {
        if $value.is_some() || $was_null {
            $map.serialize_entry($json, &$value)?;
        }
    };
    (@encode defaulted $map:ident, $json:literal, $value:expr, $was_null:ident) => {
        // Unless it was given a value since.
        if $was_null && $crate::api::object::is_default(&$value) {
            $map.serialize_entry($json, &())?;
        } else {
            $map.serialize_entry($json, &$value)?;
        }
    };
    (@encode required $map:ident, $json:literal, $value:expr, $was_null:ident) => {
        let _ = $was_null;
        $map.serialize_entry($json, &$value)?;
    };
    (@decode required $map:ident, $nulls:ident, $bit:ident) => {{
        let _: u64 = $bit;
        Some($map.next_value()?)
    }};
    // `null` counts as absent, and of duplicates the last one counts.
    (@decode defaulted $map:ident, $nulls:ident, $bit:ident) => {{
        let value = $map.next_value::<Option<_>>()?;
        $nulls = if value.is_none() { $nulls | $bit } else { $nulls & !$bit };
        value
    }};
    (@decode optional $map:ident, $nulls:ident, $bit:ident) => {{
        let value = $map.next_value::<Option<_>>()?;
        $nulls = if value.is_none() { $nulls | $bit } else { $nulls & !$bit };
        Some(value)
    }};
    (@settle required $field:ident $json:literal) => {
        $field.ok_or_else(|| serde::de::Error::missing_field($json))?
    };
    (@settle $presence:ident $field:ident $json:literal) => { $field.unwrap_or_default() };
}
pub(crate) use api_object;

/// Declares an enumeration of the API: words known to this version, and `Unknown` for the rest.
macro_rules! api_enum {
    (
        $(#[doc = $doc:literal])*
        enum $name:ident {
            $( $(#[doc = $word_doc:literal])* $variant:ident = $json:literal, )*
        }
    ) => {
        $(#[doc = $doc])*
        ///
        /// A word that this version does not know is kept as `Unknown` and encoded unchanged.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[doc = $word_doc])* $variant, )*
            /// A word that this version does not know; empty where the field was absent.
            Unknown(String),
        }

        impl $name {
            /// The word as the service writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $( $name::$variant => $json, )*
                    $name::Unknown(word) => word,
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::Unknown(String::new())
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $( $json => $name::$variant, )*
                    _ => $name::Unknown(word.to_owned()),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::api::object::Describe for $name {
            const DESCRIPTION: &'static $crate::api::object::Description =
                &$crate::api::object::Description::Enum {
                    name: stringify!($name),
                    doc: concat!($($doc, "\n"),*),
                    values: &[ $( $crate::api::object::EnumValue {
                        name: stringify!($variant),
                        json: $json,
                        doc: concat!($($word_doc, "\n"),*),
                    }, )* ],
                };
        }

        impl $crate::api::schema::HasSchema for $name {
            const SCHEMA: $crate::api::schema::JsonSchema = $crate::api::schema::JsonSchema::Described(
                <$name as $crate::api::object::Describe>::DESCRIPTION,
            );
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct WordVisitor;
                impl serde::de::Visitor<'_> for WordVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a string (", stringify!($name), ")"))
                    }
                    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<$name, E> {
                        Ok($name::from(word))
                    }
                }
                deserializer.deserialize_str(WordVisitor)
            }
        }
    };
}
pub(crate) use api_enum;

/// Declares an id: opaque text that enters a path only percent-encoded.
macro_rules! api_id {
    ($(#[doc = $doc:literal])* struct $name:ident;) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes ownership of an id. Fails if it is empty or has a `.` or `..` segment, also a
            /// percent-encoded one: servers and proxies resolve these, so that the request could
            /// reach another resource.
            pub fn new(id: impl Into<String>) -> $crate::Result<Self> {
                let id = id.into();
                $crate::api::object::check_segment(stringify!($name), &id)?;
                Ok($name(id))
            }

            /// The id as the service writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;
            fn from_str(id: &str) -> $crate::Result<Self> {
                $name::new(id)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(&self.0)
            }
        }

        impl $crate::api::object::Describe for $name {
            const DESCRIPTION: &'static $crate::api::object::Description =
                &$crate::api::object::Description::Id {
                    name: stringify!($name),
                    doc: concat!($($doc, "\n"),*),
                };
        }

        impl $crate::api::schema::HasSchema for $name {
            const SCHEMA: $crate::api::schema::JsonSchema = $crate::api::schema::JsonSchema::Described(
                <$name as $crate::api::object::Describe>::DESCRIPTION,
            );
        }
    };
}
pub(crate) use api_id;

/// Checks a string that becomes one segment of a path; `what` names it in the error.
pub(crate) fn check_segment(what: &str, text: &str) -> crate::Result<()> {
    if text.is_empty() {
        return Err(crate::Error::invalid_argument(format!("{what} is empty")));
    }
    if has_dot_segment(text) {
        return Err(crate::Error::invalid_argument(format!(
            "{what} has a `.` or `..` segment, which servers and proxies resolve: the request \
             could reach another resource"
        )));
    }
    Ok(())
}

/// Returns whether a `.` or `..` segment is left of a path once it is decoded as often as possible
/// and split at `/` and `\`.
///
/// Proxies decode `%2f` and resolve `..` before they forward a request, some of them more than
/// once, and Java servers ignore what follows `;` in a segment.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    let hex = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let mut decoded = Vec::new();
    for byte in path.bytes() {
        decoded.push(byte);
        // A decoded byte can complete the next escape: `%%32e` is `%2e`, which is `.`.
        while let [.., b'%', high, low] = decoded[..]
            && let (Some(high), Some(low)) = (hex(high), hex(low))
        {
            decoded.truncate(decoded.len() - 3);
            decoded.push(high << 4 | low);
        }
    }
    decoded
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .map(|segment| {
            segment
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or_default()
        })
        .any(|segment| matches!(segment, b"." | b".."))
}

#[cfg(test)]
#[allow(unreachable_pub)] // the macros declare public types
mod tests {
    use super::*;

    api_object! {
        /// A thing.
        response struct Thing {
            /// Its id.
            required id: String = "id",
            /// Its label.
            defaulted label: String = "label",
            /// Its mood.
            defaulted mood: Mood = "mood",
            /// Its size.
            optional size: Option<Number> = "size",
            /// What it is made of.
            optional parts: Option<Vec<Part>> = "parts",
        }
    }

    api_object! {
        /// A part of a thing.
        response struct Part {}
    }

    api_enum! {
        /// A mood.
        enum Mood {
            /// Glad.
            Glad = "glad",
        }
    }

    api_id! {
        /// A name.
        struct ThingId;
    }

    fn thing(json: &str) -> serde_json::Result<Thing> {
        serde_json::from_str(json)
    }

    #[test]
    fn what_is_not_known_survives_to_the_letter() {
        let json = concat!(
            r#"{"id":"a","label":"b","mood":"pensive","size":123456789012345678901234567890,"#,
            r#""parts":[],"new":{"b":1e400,"a":[1.0,null]}}"#,
        );
        let decoded = thing(json).unwrap();
        assert_eq!(decoded.mood, Mood::Unknown("pensive".into()));
        assert_eq!(
            decoded.extra.get("new").unwrap().as_str(),
            r#"{"b":1e400,"a":[1.0,null]}"#
        );
        assert_eq!(serde_json::to_string(&decoded).unwrap(), json);
    }

    #[test]
    fn absent_and_null_are_alike_where_a_field_may_be_absent() {
        let absent = thing(r#"{"id":"a"}"#).unwrap();
        let null =
            thing(r#"{"id":"a","label":null,"mood":null,"size":null,"parts":null}"#).unwrap();
        assert_eq!(absent, null);
        assert_eq!(
            (absent.label.as_str(), absent.mood.as_str(), absent.size),
            ("", "", None)
        );
    }

    #[test]
    fn null_is_encoded_as_it_came_unless_the_field_was_changed() {
        let json = r#"{"id":"a","label":null,"mood":null,"size":null,"parts":null,"new":null}"#;
        let mut decoded = thing(json).unwrap();
        assert_eq!(serde_json::to_string(&decoded).unwrap(), json);
        assert_eq!(decoded.extra.len(), 1);
        decoded.label = "b".to_owned();
        decoded.parts = Some(Vec::new());
        assert_eq!(
            serde_json::to_string(&decoded).unwrap(),
            r#"{"id":"a","label":"b","mood":null,"size":null,"parts":[],"new":null}"#
        );
        let twice = thing(r#"{"id":"a","label":null,"label":"b","size":1,"size":null}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&twice).unwrap(),
            r#"{"id":"a","label":"b","mood":"","size":null}"#
        );
    }

    #[test]
    fn what_is_required_is_missed_by_name() {
        let error = thing(r#"{"label":"b"}"#).unwrap_err();
        assert!(error.to_string().contains("missing field `id`"), "{error}");
        assert!(thing(r#"{"id":null}"#).is_err());
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        assert_eq!(thing(r#"{"id":"a","id":"b"}"#).unwrap().id, "b");
    }

    #[test]
    fn a_number_is_a_number() {
        assert!(thing(r#"{"id":"a","size":"3"}"#).is_err());
        let size = thing(r#"{"id":"a","size":-2.5}"#).unwrap().size.unwrap();
        assert_eq!((size.as_i64(), size.as_f64()), (None, -2.5));
    }

    #[test]
    fn debug_names_unknown_fields_without_their_values() {
        let debug = format!("{:?}", thing(r#"{"id":"a","key":"hunter2"}"#).unwrap());
        assert!(
            debug.contains("key") && !debug.contains("hunter2"),
            "{debug}"
        );
    }

    #[test]
    fn an_id_that_a_server_would_fold_away_is_refused() {
        for bad in ["", ".", "..", "../members", "a%2f..%2fb"] {
            assert!(ThingId::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(ThingId::new("a/members").unwrap().as_str(), "a/members");
    }
}
