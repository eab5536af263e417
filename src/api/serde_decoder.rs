//! Decoder of the API's types with serde: for programs that decode them themselves, and for the reason why
//! a response cannot be decoded.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::api::extra::{Blanks, Decoded, Extra};
use crate::api::json::Json;
use crate::api::schema::{Field, Presence, position};
use crate::api::slot::{Decode, ListSlot, ObjectBuilder, ObjectSlot, Slot, TextSlot};
use crate::secret::Secret;

/// Decodes a value, for the implementations of [`Deserialize`].
pub(crate) fn deserialize<'de, T: Decode, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let mut value = None;
    decode(T::slot(&mut value), deserializer)?;
    value.ok_or_else(|| de::Error::custom("no value"))
}

/// Decodes a value that may not be absent.
fn decode<'de, D: Deserializer<'de>>(slot: Slot<'_>, deserializer: D) -> Result<(), D::Error> {
    match slot {
        Slot::String(value) => deserializer
            .deserialize_str(TextVisitor::String(value))
            .map(drop),
        Slot::Text { slot, .. } => {
            let visitor = TextVisitor::Text {
                slot,
                empty_is_absent: false,
            };
            deserializer.deserialize_str(visitor).map(drop)
        }
        Slot::Secret(value) => {
            *value = Some(Secret::deserialize(deserializer)?);
            Ok(())
        }
        Slot::Secrets(value) => {
            *value = Some(Deserialize::deserialize(deserializer)?);
            Ok(())
        }
        Slot::Bool(value) => {
            *value = Some(bool::deserialize(deserializer)?);
            Ok(())
        }
        Slot::U32(value) => {
            *value = Some(u32::deserialize(deserializer)?);
            Ok(())
        }
        Slot::Json(json) => {
            let value = Json::deserialize(deserializer)?;
            json.set(value).map_err(de::Error::custom)
        }
        Slot::Object(object) => deserializer.deserialize_map(ObjectVisitor(object)),
        Slot::List(list) => deserializer.deserialize_seq(ListVisitor(list)),
    }
}

enum TextVisitor<'a> {
    String(&'a mut Option<String>),
    Text {
        slot: &'a mut dyn TextSlot,
        empty_is_absent: bool,
    },
}

impl Visitor<'_> for TextVisitor<'_> {
    type Value = Decoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TextVisitor::String(_) => "a string",
            TextVisitor::Text { slot, .. } => slot.expected(),
        })
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Decoded, E> {
        match self {
            TextVisitor::String(value) => *value = Some(text.to_owned()),
            TextVisitor::Text {
                empty_is_absent: true,
                ..
            } if text.is_empty() => return Ok(Decoded::Empty),
            TextVisitor::Text { slot, .. } => slot.set(text).map_err(E::custom)?,
        }
        Ok(Decoded::Value)
    }
}

struct ListVisitor<'a>(&'a mut dyn ListSlot);

impl<'de> Visitor<'de> for ListVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut elements: S) -> Result<(), S::Error> {
        self.0.start();
        while elements.next_element_seed(Element(self.0))?.is_some() {}
        Ok(())
    }
}

struct Element<'a>(&'a mut dyn ListSlot);

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let mut deserializer = Some(deserializer);
        let mut result = Ok(());
        self.0.push(&mut |slot| {
            if let Some(deserializer) = deserializer.take() {
                result = decode(slot, deserializer);
            }
            result.is_ok()
        });
        result
    }
}

struct ObjectVisitor<'a>(&'a mut dyn ObjectSlot);

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object ({})", self.0.name())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        let mut result = Ok(());
        self.0
            .decode(&mut |builder| match decode_fields(builder, &mut map) {
                Ok(unknown) => Some(unknown),
                Err(error) => {
                    result = Err(error);
                    None
                }
            });
        result
    }
}

/// Decodes the fields of an object. Returns which of them had no value, and the unknown ones.
fn decode_fields<'de, M: MapAccess<'de>>(
    builder: &mut dyn ObjectBuilder,
    map: &mut M,
) -> Result<(Blanks, Extra), M::Error> {
    let fields = builder.description().fields();
    let mut blanks = Blanks::default();
    let mut extra = Extra::default();
    let mut present = 0_u64;
    let mut next = 0;
    while let Some(key) = map.next_key_seed(KeySeed { fields, next })? {
        let (position, slot) = match key {
            Key::Field(position) => (position, builder.slot(position)),
            Key::Unknown(name) => {
                extra.insert(name, map.next_value()?);
                continue;
            }
        };
        let slot = slot.ok_or_else(|| de::Error::custom("a field has no slot"))?;
        let is_required = fields[position].presence == Presence::Required;
        let decoded = map.next_value_seed(FieldSeed { slot, is_required })?;
        let is_duplicate = present >> position & 1 != 0;
        if is_duplicate && decoded != Decoded::Value {
            builder.slot(position).into_iter().for_each(Slot::clear);
        }
        blanks.set(position, decoded);
        present |= 1 << position;
        next = position + 1;
    }
    for (position, field) in fields.iter().enumerate() {
        if field.presence == Presence::Required && present >> position & 1 == 0 {
            return Err(de::Error::missing_field(field.json));
        }
    }
    Ok((blanks, extra))
}

/// Decoder of the name of a field. `next` is the position at which the search starts: responses usually
/// have the order of the reference.
struct KeySeed {
    fields: &'static [Field],
    next: usize,
}

enum Key {
    Field(usize),
    Unknown(String),
}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KeySeed {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Key, E> {
        Ok(match position(self.fields, name.as_bytes(), self.next) {
            Some(position) => Key::Field(position),
            None => Key::Unknown(name.to_owned()),
        })
    }
}

/// Decoder of the value of a field.
struct FieldSeed<'a> {
    slot: Slot<'a>,
    is_required: bool,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = Decoded;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Decoded, D::Error> {
        match self.is_required {
            true => decode(self.slot, deserializer).map(|()| Decoded::Value),
            false => deserializer.deserialize_option(self),
        }
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = Decoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: de::Error>(self) -> Result<Decoded, E> {
        Ok(Decoded::Null)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Decoded, E> {
        Ok(Decoded::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Decoded, D::Error> {
        match self.slot {
            Slot::Text {
                slot,
                empty_is_absent,
            } => deserializer.deserialize_str(TextVisitor::Text {
                slot,
                empty_is_absent,
            }),
            slot => decode(slot, deserializer).map(|()| Decoded::Value),
        }
    }
}
