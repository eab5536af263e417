//! Macros that declare the types of the API (objects, enumerations, ids) with their decoding,
//! encoding and description.
//!
//! Not derived with serde, because objects keep unknown fields, for which `serde(flatten)` would
//! buffer every object; because the API sometimes omits fields that it documents as required; and
//! because the types of all four languages come from one declaration. Must not depend on
//! operations.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::StrDeserializer;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::api::schema::{HasSchema, JsonSchema};
use crate::secret::Zeroizing;

/// Whether a field of an object may be absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Required: decoding fails if the field is absent.
    Required,
    /// Documented as required, but has its default value (empty) if absent or `null`. If the type in
    /// Rust is an `Option`, the default is `None`, also for an empty string.
    Defaulted,
    /// May be absent; `null` counts as absent.
    Optional,
}

/// Description of a field of an object.
#[derive(Debug)]
pub struct Field {
    /// Name in Rust.
    pub name: &'static str,
    /// Name in JSON.
    pub json: &'static str,
    /// Type in Rust as `stringify!` writes it, such as `Option < Vec < Generation > >`.
    pub rust_type: &'static str,
    /// Whether the field may be absent.
    pub presence: Presence,
    /// Documentation.
    pub doc: &'static str,
    pub(crate) schema: JsonSchema,
}

/// Description of an enumeration value.
#[derive(Debug)]
pub struct EnumValue {
    /// Variant in Rust.
    pub name: &'static str,
    /// Value in JSON.
    pub json: &'static str,
    /// Documentation.
    pub doc: &'static str,
}

/// Whether an object is part of requests or of responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Part of requests.
    Request,
    /// Part of responses.
    Response,
}

/// Description of a type of the API, from which the types of the other languages are generated.
#[derive(Debug)]
pub enum Description {
    /// An object with fields.
    Object {
        /// Name in all languages.
        name: &'static str,
        /// Documentation.
        doc: &'static str,
        /// Whether it is part of requests or of responses.
        direction: Direction,
        /// Fields in the order of the API reference.
        fields: &'static [Field],
    },
    /// An open enumeration, which keeps unknown values.
    Enum {
        /// Name in all languages.
        name: &'static str,
        /// Documentation.
        doc: &'static str,
        /// The values known to this version.
        values: &'static [EnumValue],
    },
    /// An id: an opaque, non-empty string.
    Id {
        /// Name in all languages.
        name: &'static str,
        /// Documentation.
        doc: &'static str,
    },
}

impl Description {
    /// Returns the name of the type in all languages.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Description::Object { name, .. }
            | Description::Enum { name, .. }
            | Description::Id { name, .. } => name,
        }
    }
}

/// Types with a [`Description`].
pub(crate) trait Describe {
    const DESCRIPTION: &'static Description;
}

/// Unparsed JSON value that keeps its text verbatim: numbers keep all digits, objects keep the
/// order of their fields and duplicates.
///
/// The value may contain secrets, so its memory is zeroized on drop.
///
/// ```
/// use camunda_admin::Json;
///
/// let json = Json::new(r#"{"price": 1.10}"#)?;
/// assert_eq!(json.as_str(), r#"{"price": 1.10}"#);
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Json(
    /// `None` is `null`.
    Option<Box<RawValue>>,
);

impl Json {
    /// Parses a JSON text. Surrounding white space is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if `text` is not valid
    /// JSON.
    pub fn new(text: impl Into<String>) -> crate::Result<Self> {
        let text = Zeroizing::new(text.into());
        match serde_json::from_str::<Box<RawValue>>(&text) {
            Ok(raw) => Ok(Json(Some(raw))),
            Err(error) => Err(crate::Error::invalid_argument(format!("not JSON: {error}"))),
        }
    }

    /// Returns the JSON text.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().map_or("null", RawValue::get)
    }

    /// Decodes the value as `T`.
    ///
    /// # Errors
    ///
    /// The `serde_json` error if the value does not match `T`.
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

/// Writes the length of the text instead of the text, which can contain a secret.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.as_str().len())
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

/// JSON number that keeps its text verbatim, with all digits.
#[derive(Clone, PartialEq)]
pub struct Number(Json);

impl Number {
    /// Returns the number as `i64`, or `None` if it is not an integer or out of range.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        self.as_str().parse().ok()
    }

    /// Returns the nearest floating-point number.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        self.as_str().parse().unwrap_or(f64::NAN)
    }

    /// Returns the number as the API wrote it.
    #[must_use]
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
            RawValue::from_string(number.to_string()).expect("an integer is valid JSON"),
        )))
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
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

/// Unknown fields of an object, with their unmodified values.
///
/// Also stores which known fields were `null` or an empty string instead of a value, so that they
/// are encoded unchanged; comparisons ignore that. `Debug` shows only names, since an unknown field
/// may be a secret.
#[derive(Clone, Default)]
// Boxed, since most objects have no unknown fields: 8 bytes instead of 32.
pub struct Extra(Option<Box<ExtraFields>>);

/// Content of an [`Extra`] that is not empty.
#[derive(Clone, Default)]
struct ExtraFields {
    unknown: Vec<(String, Json)>,
    blanks: Blanks,
}

/// Known fields of an object that had no value: a bit for each field, by its position.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Blanks {
    /// Fields that were `null`.
    nulls: u64,
    /// Fields that were an empty string, which is not a value of their type.
    empties: u64,
}

impl Blanks {
    /// Records how the field at `position` was encoded; of duplicates, the last one counts. Returns
    /// its value.
    pub(crate) fn record<T>(&mut self, position: u32, value: FieldValue<T>) -> Option<T> {
        let bit = 1 << position;
        self.nulls &= !bit;
        self.empties &= !bit;
        match value {
            FieldValue::Value(value) => return Some(value),
            FieldValue::Null => self.nulls |= bit,
            FieldValue::Empty => self.empties |= bit,
        }
        None
    }

    pub(crate) fn was_null(self, position: u32) -> bool {
        self.nulls >> position & 1 != 0
    }

    pub(crate) fn was_empty(self, position: u32) -> bool {
        self.empties >> position & 1 != 0
    }
}

/// Value of a field that may be absent.
pub(crate) enum FieldValue<T> {
    Value(T),
    Null,
    /// An empty string, for a type with [`HasSchema::EMPTY_IS_ABSENT`].
    Empty,
}

impl<'de, T: HasSchema + Deserialize<'de>> Deserialize<'de> for FieldValue<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !T::EMPTY_IS_ABSENT {
            let value = Option::<T>::deserialize(deserializer)?;
            return Ok(value.map_or(FieldValue::Null, FieldValue::Value));
        }
        struct StringVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for StringVisitor<T> {
            type Value = FieldValue<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(FieldValue::Null)
            }
            fn visit_some<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Self::Value, D::Error> {
                deserializer.deserialize_str(self)
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                if text.is_empty() {
                    return Ok(FieldValue::Empty);
                }
                T::deserialize(StrDeserializer::new(text)).map(FieldValue::Value)
            }
        }
        deserializer.deserialize_option(StringVisitor(PhantomData))
    }
}

impl Extra {
    /// Returns the field of that name, or `None`. Of duplicates, the last one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.iter()
            .filter(|(field, _)| *field == name)
            .last()
            .map(|(_, value)| value)
    }

    /// Iterates over the names and values, in the order of the JSON object.
    #[must_use]
    pub fn iter(&self) -> ExtraIter<'_> {
        let fields = self.0.as_ref().map_or(&[][..], |fields| &fields.unknown);
        ExtraIter(fields.iter())
    }

    /// Returns the number of unknown fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |fields| fields.unknown.len())
    }

    /// Returns whether there are no unknown fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a field, for a request with a field that this version does not know.
    pub fn insert(&mut self, name: impl Into<String>, value: Json) {
        let fields = self.0.get_or_insert_default();
        fields.unknown.push((name.into(), value));
    }

    /// Stores which known fields had no value.
    pub(crate) fn set_blanks(&mut self, blanks: Blanks) {
        if blanks != Blanks::default() {
            self.0.get_or_insert_default().blanks = blanks;
        }
    }

    /// Returns which known fields had no value.
    pub(crate) fn blanks(&self) -> Blanks {
        self.0
            .as_ref()
            .map_or_else(Blanks::default, |fields| fields.blanks)
    }

    pub(crate) fn encode<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.iter()
            .try_for_each(|(name, value)| map.serialize_entry(name, value))
    }
}

/// Iterator over the names and values of an [`Extra`].
#[derive(Debug, Clone)]
pub struct ExtraIter<'a>(std::slice::Iter<'a, (String, Json)>);

impl<'a> Iterator for ExtraIter<'a> {
    type Item = (&'a str, &'a Json);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for ExtraIter<'_> {}

impl<'a> IntoIterator for &'a Extra {
    type Item = (&'a str, &'a Json);
    type IntoIter = ExtraIter<'a>;

    fn into_iter(self) -> ExtraIter<'a> {
        self.iter()
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
/// `response struct` or `request struct`, then for each field: its presence, its name and type in
/// Rust, and its name in JSON. Unknown fields are kept in `extra`. Of duplicate fields the last one
/// wins, as in most JSON decoders.
///
/// Presences: `required`; `optional`, with an `Option` type; `defaulted`, documented as required but
/// default if absent; `omittable`, the same with an `Option` type, for types without a default and
/// for strings that are empty until there is a value.
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
        #[allow(unreachable_pub, reason = "some are request bodies that are not exported")]
        pub struct $name {
            $( $(#[doc = $field_doc])* pub $field: $type, )*
            /// Fields that this version does not know.
            pub extra: $crate::api::object::Extra,
        }

        $crate::api::object::api_object!(@default $direction $name { $($presence $field)* } $($field)*);

        // The walk marks the fields that are present in the bits of a `u64`.
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
                        schema: <$type as $crate::api::schema::HasSchema>::SCHEMA,
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
                let blanks = self.extra.blanks();
                let mut map = serializer.serialize_map(None)?;
                $(
                    $crate::api::object::api_object!(
                        @encode $presence map, $json, self.$field, blanks, Index::$field as u32
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
                        let mut blanks = $crate::api::object::Blanks::default();
                        while let Some(key) = map.next_key::<Key>()? {
                            match key {
                                $( Key::$field => {
                                    $field = $crate::api::object::api_object!(
                                        @decode $presence map, blanks, Index::$field as u32
                                    );
                                } )*
                                Key::Unknown(name) => extra.insert(name, map.next_value()?),
                            }
                        }
                        extra.set_blanks(blanks);
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
    // A response has a default for a `defaulted` field that is absent, unless it has required
    // fields itself. A request must be complete.
    (@default response $name:ident { required $($rest:ident)* } $($field:ident)*) => {};
    (@default response $name:ident { $skipped:ident $skipped_too:ident $($rest:ident)* } $($field:ident)*) => {
        $crate::api::object::api_object!(@default response $name { $($rest)* } $($field)*);
    };
    (@default response $name:ident {} $($field:ident)*) => {
        impl Default for $name {
            fn default() -> Self {
                $name {
                    $( $field: Default::default(), )*
                    extra: Default::default(),
                }
            }
        }
    };
    (@default request $name:ident { $($rest:ident)* } $($field:ident)*) => {};
    (@direction response) => { $crate::api::object::Direction::Response };
    (@direction request) => { $crate::api::object::Direction::Request };
    (@presence required) => { $crate::api::object::Presence::Required };
    (@presence defaulted) => { $crate::api::object::Presence::Defaulted };
    (@presence optional) => { $crate::api::object::Presence::Optional };
    (@presence omittable) => { $crate::api::object::Presence::Defaulted };
    (@encode omittable $($rest:tt)*) => {
        $crate::api::object::api_object!(@encode optional $($rest)*)
    };
    (@encode optional $map:ident, $json:literal, $value:expr, $blanks:ident, $position:expr) => {
        if $value.is_some() || $blanks.was_null($position) {
            $map.serialize_entry($json, &$value)?;
        } else if $blanks.was_empty($position) {
            $map.serialize_entry($json, "")?;
        }
    };
    (@encode defaulted $map:ident, $json:literal, $value:expr, $blanks:ident, $position:expr) => {
        // Unless the caller set it after decoding.
        if $blanks.was_null($position) && $crate::api::object::is_default(&$value) {
            $map.serialize_entry($json, &())?;
        } else {
            $map.serialize_entry($json, &$value)?;
        }
    };
    (@encode required $map:ident, $json:literal, $value:expr, $blanks:ident, $position:expr) => {
        $map.serialize_entry($json, &$value)?;
    };
    (@decode required $map:ident, $blanks:ident, $position:expr) => { Some($map.next_value()?) };
    (@decode defaulted $map:ident, $blanks:ident, $position:expr) => {
        $blanks.record($position, $map.next_value()?)
    };
    (@decode $optional:ident $map:ident, $blanks:ident, $position:expr) => {
        Some($blanks.record($position, $map.next_value()?))
    };
    (@settle required $field:ident $json:literal) => {
        $field.ok_or_else(|| serde::de::Error::missing_field($json))?
    };
    (@settle $presence:ident $field:ident $json:literal) => { $field.unwrap_or_default() };
}
pub(crate) use api_object;

/// Value of an enumeration that this version does not know.
///
/// Opaque: a `match` cannot depend on its text, which would change its result silently when a later
/// version knows the value. Compare with `as_str` of the enumeration instead.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnknownValue(String);

impl UnknownValue {
    pub(crate) fn new(value: &str) -> Self {
        UnknownValue(value.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UnknownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Declares an open enumeration of the API: the values known to this version, and `Unknown`.
macro_rules! api_enum {
    (
        $(#[doc = $doc:literal])*
        enum $name:ident {
            $( $(#[doc = $value_doc:literal])* $variant:ident = $json:literal, )*
        }
    ) => {
        $(#[doc = $doc])*
        ///
        /// A value that this version does not know is kept as `Unknown` and encoded unchanged.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum $name {
            $( $(#[doc = $value_doc])* $variant, )*
            /// A value that this version does not know; empty if the field was absent. `as_str` and
            /// `Display` return it.
            Unknown($crate::api::object::UnknownValue),
        }

        impl $name {
            /// Returns the value as in JSON.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $( $name::$variant => $json, )*
                    $name::Unknown(value) => value.as_str(),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $name::Unknown($crate::api::object::UnknownValue::default())
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                match value {
                    $( $json => $name::$variant, )*
                    _ => $name::Unknown($crate::api::object::UnknownValue::new(value)),
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;
            /// Never fails: an unknown value becomes `Unknown`.
            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Ok($name::from(value))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
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
                        doc: concat!($($value_doc, "\n"),*),
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
                struct ValueVisitor;
                impl serde::de::Visitor<'_> for ValueVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str(concat!("a string (", stringify!($name), ")"))
                    }
                    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<$name, E> {
                        Ok($name::from(value))
                    }
                }
                deserializer.deserialize_str(ValueVisitor)
            }
        }
    };
}
pub(crate) use api_enum;

/// Declares an id: an opaque, non-empty string that is percent-encoded in paths.
macro_rules! api_id {
    ($(#[doc = $doc:literal])* struct $name:ident;) => {
        $(#[doc = $doc])*
        ///
        /// Never empty. Percent-encoded in the paths of requests.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Creates an id from a string.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if the id is empty
            /// or has a `.` or `..` segment, also a percent-encoded one: servers and proxies
            /// resolve these, so that the request could reach another resource.
            pub fn new(id: impl Into<String>) -> $crate::Result<Self> {
                let id = id.into();
                $crate::api::object::check_segment(stringify!($name), &id)?;
                Ok($name(id))
            }

            /// Returns the id as in JSON.
            #[must_use]
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

        impl TryFrom<&str> for $name {
            type Error = $crate::Error;
            fn try_from(id: &str) -> $crate::Result<Self> {
                $name::new(id)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::Error;
            fn try_from(id: String) -> $crate::Result<Self> {
                $name::new(id)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        /// Clones the id, so that a function can take an id by value or by reference.
        impl From<&$name> for $name {
            fn from(id: &$name) -> $name {
                id.clone()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct IdVisitor;
                impl serde::de::Visitor<'_> for IdVisitor {
                    type Value = $name;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a string")
                    }
                    fn visit_str<E: serde::de::Error>(self, id: &str) -> Result<$name, E> {
                        $crate::api::object::check_id(stringify!($name), id)?;
                        Ok($name(id.to_owned()))
                    }
                }
                deserializer.deserialize_str(IdVisitor)
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
            const EMPTY_IS_ABSENT: bool = true;
        }
    };
}
pub(crate) use api_id;

/// Validates an id of a response. Unlike an argument it may have a dot segment: the request that
/// uses it is validated.
pub(crate) fn check_id<E: serde::de::Error>(name: &str, id: &str) -> Result<(), E> {
    if id.is_empty() {
        return Err(E::custom(format_args!("invalid value: {name} is empty")));
    }
    Ok(())
}

/// Validates a string that becomes one segment of a path; `what` names it in the error.
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

/// Returns whether a path has a `.` or `..` segment after repeated percent-decoding and splitting
/// at `/` and `\`.
///
/// Proxies decode `%2f` and resolve `..` before they forward a request, some of them more than
/// once, and Java servers ignore what follows `;` in a segment.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    if !path.bytes().any(|byte| matches!(byte, b'.' | b'%')) {
        return false;
    }
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
    use crate::api::timestamp::Timestamp;

    api_object! {
        /// An item.
        response struct Item {
            /// Its id.
            required id: String = "id",
            /// Its label.
            defaulted label: String = "label",
            /// Its color.
            defaulted color: Color = "color",
            /// Its size.
            optional size: Option<Number> = "size",
            /// What it is made of.
            optional parts: Option<Vec<Part>> = "parts",
        }
    }

    api_object! {
        /// A part of an item.
        response struct Part {}
    }

    api_enum! {
        /// A color.
        enum Color {
            /// Red.
            Red = "red",
        }
    }

    api_id! {
        /// The id of an item.
        struct ItemId;
    }

    api_object! {
        /// A visit.
        response struct Visit {
            /// Whose it was.
            omittable owner: Option<ItemId> = "owner",
            /// When it changed.
            optional changed: Option<Timestamp> = "changed",
            /// When it was used.
            omittable used: Option<Timestamp> = "used",
            /// When it was made.
            defaulted made: Timestamp = "made",
        }
    }

    fn item(json: &str) -> serde_json::Result<Item> {
        serde_json::from_str(json)
    }

    #[test]
    fn debug_of_json_shows_its_length_only() {
        let json = Json::new(r#"{"clientSecret":"hunter2"}"#).unwrap();
        assert_eq!(format!("{json:?}"), "Json(26 bytes)");
        let number: Number = serde_json::from_str("1.50").unwrap();
        assert_eq!(format!("{number:?}"), "1.50");
    }

    #[test]
    fn unknown_fields_and_values_are_encoded_verbatim() {
        let json = concat!(
            r#"{"id":"a","label":"b","color":"green","size":123456789012345678901234567890,"#,
            r#""parts":[],"new":{"b":1e400,"a":[1.0,null]}}"#,
        );
        let decoded = item(json).unwrap();
        assert_eq!(decoded.color, Color::from("green"));
        assert_eq!(format!("{:?}", decoded.color), r#"Unknown("green")"#);
        assert_eq!(
            decoded.extra.get("new").unwrap().as_str(),
            r#"{"b":1e400,"a":[1.0,null]}"#
        );
        assert_eq!(serde_json::to_string(&decoded).unwrap(), json);
    }

    #[test]
    fn absent_and_null_fields_decode_alike() {
        let absent = item(r#"{"id":"a"}"#).unwrap();
        let null =
            item(r#"{"id":"a","label":null,"color":null,"size":null,"parts":null}"#).unwrap();
        assert_eq!(absent, null);
        assert_eq!(
            (absent.label.as_str(), absent.color.as_str(), absent.size),
            ("", "", None)
        );
    }

    #[test]
    fn null_field_is_encoded_as_null_unless_it_was_set() {
        let json = r#"{"id":"a","label":null,"color":null,"size":null,"parts":null,"new":null}"#;
        let mut decoded = item(json).unwrap();
        assert_eq!(serde_json::to_string(&decoded).unwrap(), json);
        assert_eq!(decoded.extra.len(), 1);
        decoded.label = "b".to_owned();
        decoded.parts = Some(Vec::new());
        assert_eq!(
            serde_json::to_string(&decoded).unwrap(),
            r#"{"id":"a","label":"b","color":null,"size":null,"parts":[],"new":null}"#
        );
        let twice = item(r#"{"id":"a","label":null,"label":"b","size":1,"size":null}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&twice).unwrap(),
            r#"{"id":"a","label":"b","color":"","size":null}"#
        );
    }

    #[test]
    fn empty_id_or_time_counts_as_absent_and_is_encoded_as_empty_string() {
        let json = r#"{"owner":"","changed":"","used":"","made":""}"#;
        let mut visit: Visit = serde_json::from_str(json).unwrap();
        assert_eq!(visit.owner, None);
        assert_eq!(visit.changed, None);
        assert_eq!(visit.used, None);
        assert_eq!(visit.made.as_str(), "");
        assert_eq!(serde_json::to_string(&visit).unwrap(), json);
        visit.owner = Some(ItemId::new("a").unwrap());
        assert_eq!(
            serde_json::to_string(&visit).unwrap(),
            r#"{"owner":"a","changed":"","used":"","made":""}"#
        );
        let json = r#"{"owner":null,"changed":"2024","used":null,"made":null}"#;
        let visit: Visit = serde_json::from_str(json).unwrap();
        assert_eq!(visit.owner, None);
        assert_eq!(visit.changed.as_ref().map(Timestamp::as_str), Some("2024"));
        assert_eq!(serde_json::to_string(&visit).unwrap(), json);
        let absent: Visit = serde_json::from_str("{}").unwrap();
        assert_eq!(serde_json::to_string(&absent).unwrap(), r#"{"made":""}"#);
        let last: Visit = serde_json::from_str(r#"{"owner":"","owner":"b"}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&last).unwrap(),
            r#"{"owner":"b","made":""}"#
        );
        let error = serde_json::from_str::<Visit>(r#"{"owner":3}"#).unwrap_err();
        assert!(error.to_string().contains("expected a string"), "{error}");
    }

    #[test]
    fn decode_error_names_missing_required_field() {
        let error = item(r#"{"label":"b"}"#).unwrap_err();
        assert!(error.to_string().contains("missing field `id`"), "{error}");
        assert!(item(r#"{"id":null}"#).is_err());
    }

    #[test]
    fn last_of_duplicate_fields_wins() {
        assert_eq!(item(r#"{"id":"a","id":"b"}"#).unwrap().id, "b");
    }

    #[test]
    fn number_field_rejects_string() {
        assert!(item(r#"{"id":"a","size":"3"}"#).is_err());
        let size = item(r#"{"id":"a","size":-2.5}"#).unwrap().size.unwrap();
        assert_eq!((size.as_i64(), size.as_f64()), (None, -2.5));
    }

    #[test]
    fn debug_names_unknown_fields_without_their_values() {
        let debug = format!("{:?}", item(r#"{"id":"a","key":"hunter2"}"#).unwrap());
        assert!(
            debug.contains("key") && !debug.contains("hunter2"),
            "{debug}"
        );
    }

    #[test]
    fn id_is_never_empty() {
        assert!("".parse::<ItemId>().is_err());
        assert!(ItemId::try_from("").is_err());
        let error = serde_json::from_str::<ItemId>(r#""""#).unwrap_err();
        assert!(error.to_string().contains("ItemId is empty"), "{error}");
        let id: ItemId = serde_json::from_str(r#""a""#).unwrap();
        assert_eq!((id.as_ref(), id.to_string()), ("a", "a".to_owned()));
        assert_eq!(serde_json::to_string(&id).unwrap(), r#""a""#);
        assert_eq!(String::from(id), "a");
    }

    #[test]
    fn enum_value_parses_known_and_unknown_strings() {
        assert_eq!("red".parse(), Ok(Color::Red));
        assert_eq!("green".parse(), Ok(Color::from("green")));
        assert_eq!(Color::Red.as_ref(), "red");
    }

    #[test]
    fn id_rejects_empty_string_and_dot_segments() {
        for bad in ["", ".", "..", "../members", "a%2f..%2fb"] {
            assert!(ItemId::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(ItemId::new("a/members").unwrap().as_str(), "a/members");
    }
}
