//! What makes decode and encode of an object return the same JSON: its unknown fields ([`Extra`]), and
//! which known fields were absent, `null` or an empty string.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::StrDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Visitor};
use serde::ser::SerializeMap;

use crate::api::json::Json;
use crate::api::schema::HasSchema;

/// Unknown fields of an object, with their unmodified values.
///
/// Also stores which known fields were absent, `null` or an empty string instead of a value, so that
/// they are encoded unchanged; comparisons ignore that. `Debug` shows only names, since an unknown field
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
    /// Fields that were absent and have the default value of their type.
    absents: u64,
}

/// What a decoder found in a field.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Decoded {
    Value,
    Null,
    /// An empty string, which is not a value of the type.
    Empty,
}

impl Blanks {
    /// Returns a decoder of the field at `position`, which records whether the field has a value.
    pub(crate) fn field<T>(&mut self, position: u32) -> FieldSeed<'_, T> {
        FieldSeed {
            blanks: self,
            bit: 1 << position,
            value: PhantomData,
        }
    }

    /// Records what the field at `position` had. Of duplicates, the last one counts.
    pub(crate) fn set(&mut self, position: usize, decoded: Decoded) {
        let bit = |is_set: bool| u64::from(is_set) << position;
        self.nulls = self.nulls & !bit(true) | bit(decoded == Decoded::Null);
        self.empties = self.empties & !bit(true) | bit(decoded == Decoded::Empty);
    }

    pub(crate) fn was_null(self, position: u32) -> bool {
        self.nulls >> position & 1 != 0
    }

    pub(crate) fn was_absent(self, position: u32) -> bool {
        self.absents >> position & 1 != 0
    }

    /// Records that the field has the default value of its type, because it was absent, `null` or empty.
    pub(crate) fn set_default(&mut self, position: u32) {
        self.absents |= (1 << position) & !(self.nulls | self.empties);
    }

    pub(crate) fn was_empty(self, position: u32) -> bool {
        self.empties >> position & 1 != 0
    }
}

/// Decoder of a field that may be absent: `None` if it is `null`, or an empty string for a type with
/// [`HasSchema::EMPTY_IS_ABSENT`].
pub(crate) struct FieldSeed<'a, T> {
    blanks: &'a mut Blanks,
    /// The bit of the field. Of duplicates, the last one counts.
    bit: u64,
    value: PhantomData<T>,
}

impl<'de, T: HasSchema + Deserialize<'de>> DeserializeSeed<'de> for FieldSeed<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        self.blanks.nulls &= !self.bit;
        self.blanks.empties &= !self.bit;
        if T::EMPTY_IS_ABSENT {
            return deserializer.deserialize_option(self);
        }
        let value = Option::<T>::deserialize(deserializer)?;
        if value.is_none() {
            self.blanks.nulls |= self.bit;
        }
        Ok(value)
    }
}

/// Visitor of a field for which an empty string is not a value.
impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldSeed<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        self.blanks.nulls |= self.bit;
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        if text.is_empty() {
            self.blanks.empties |= self.bit;
            return Ok(None);
        }
        T::deserialize(StrDeserializer::new(text)).map(Some)
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
    pub(crate) fn with_blanks(mut self, blanks: Blanks) -> Self {
        if blanks != Blanks::default() {
            self.0.get_or_insert_default().blanks = blanks;
        }
        self
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

impl Eq for Extra {}

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
