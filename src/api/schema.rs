//! JSON schemas of the API's types as data, and validation of encoded JSON against them.
//!
//! Decoders are compiled for every type. The C ABI passes encoded JSON through and only has to
//! validate it: the same code does that for all types, and faster than decoding. It accepts what
//! the decoders accept, with the same error messages.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::api::error_path;
use crate::api::object::{Description, Direction, Field, Json, Number, Presence, check_id};
use crate::api::operation::strip_bom;
use crate::secret::Secret;

/// Schema of a JSON value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum JsonSchema {
    Text,
    /// Time as a string; any string is accepted.
    Timestamp,
    /// String that no error message may quote.
    Secret,
    Bool,
    U32,
    Number,
    Any,
    /// Object, enumeration value or id.
    Described(&'static Description),
    List(&'static JsonSchema),
    /// Object with arbitrary keys.
    Map(&'static JsonSchema),
    /// The value or `null`.
    Optional(&'static JsonSchema),
}

/// Types with a [`JsonSchema`].
pub(crate) trait HasSchema {
    const SCHEMA: JsonSchema;
    /// Whether an empty string means that there is no value.
    const EMPTY_IS_ABSENT: bool = false;
}

macro_rules! schemas {
    ($($type:ty: $schema:expr;)*) => { $(
        impl HasSchema for $type {
            const SCHEMA: JsonSchema = $schema;
        }
    )* };
}

schemas! {
    String: JsonSchema::Text;
    Secret: JsonSchema::Secret;
    bool: JsonSchema::Bool;
    u32: JsonSchema::U32;
    Number: JsonSchema::Number;
    Json: JsonSchema::Any;
}

impl<T: HasSchema> HasSchema for Vec<T> {
    const SCHEMA: JsonSchema = JsonSchema::List(&T::SCHEMA);
}

impl<T: HasSchema> HasSchema for Option<T> {
    const SCHEMA: JsonSchema = JsonSchema::Optional(&T::SCHEMA);
}

impl<T: HasSchema> HasSchema for std::collections::BTreeMap<String, T> {
    const SCHEMA: JsonSchema = JsonSchema::Map(&T::SCHEMA);
}

/// Field of a request that its type does not have.
pub(crate) struct UnknownField {
    pub(crate) of: &'static str,
    pub(crate) name: String,
}

/// Validates encoded JSON. Returns the first field of a request that its type does not have, if
/// any. Fails with the error message of the decoder.
pub(crate) fn check(schema: JsonSchema, json: &[u8]) -> Result<Option<UnknownField>, String> {
    let json = strip_bom(json);
    let unknown = RefCell::new(None);
    let check = Check {
        schema,
        unknown: &unknown,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    check
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| error_path::with_json_path(json, &error))?;
    Ok(unknown.into_inner())
}

#[derive(Clone, Copy)]
struct Check<'a> {
    schema: JsonSchema,
    unknown: &'a RefCell<Option<UnknownField>>,
}

impl Check<'_> {
    fn of(self, schema: JsonSchema) -> Self {
        Check { schema, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.schema {
            JsonSchema::Text | JsonSchema::Timestamp => deserializer.deserialize_str(self),
            JsonSchema::Secret => Secret::deserialize(deserializer).map(drop),
            JsonSchema::Bool => bool::deserialize(deserializer).map(drop),
            JsonSchema::U32 => u32::deserialize(deserializer).map(drop),
            JsonSchema::Number => Number::deserialize(deserializer).map(drop),
            JsonSchema::Any => <&RawValue>::deserialize(deserializer).map(drop),
            JsonSchema::Described(Description::Object { .. }) | JsonSchema::Map(_) => {
                deserializer.deserialize_map(self)
            }
            JsonSchema::Described(_) => deserializer.deserialize_str(self),
            JsonSchema::List(_) => deserializer.deserialize_seq(self),
            JsonSchema::Optional(_) => deserializer.deserialize_option(self),
        }
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.schema {
            JsonSchema::Described(Description::Object { name, .. }) => {
                write!(f, "an object ({name})")
            }
            JsonSchema::Described(Description::Enum { name, .. }) => write!(f, "a string ({name})"),
            JsonSchema::List(_) => f.write_str("a sequence"),
            JsonSchema::Map(_) => f.write_str("a map"),
            JsonSchema::Optional(_) => f.write_str("option"),
            _ => f.write_str("a string"),
        }
    }

    // The schema has requested a string; the deserializer rejects other types.
    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        match self.schema {
            JsonSchema::Described(Description::Id { name, .. }) => check_id(name, text),
            _ => Ok(()),
        }
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.schema {
            // An empty string counts as absent.
            JsonSchema::Optional(JsonSchema::Described(Description::Id { .. })) => {
                self.of(JsonSchema::Text).deserialize(deserializer)
            }
            JsonSchema::Optional(schema) => self.of(*schema).deserialize(deserializer),
            _ => Err(de::Error::invalid_type(de::Unexpected::Option, &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let JsonSchema::List(schema) = self.schema else {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        };
        while items.next_element_seed(self.of(*schema))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match self.schema {
            JsonSchema::Described(Description::Object {
                name,
                fields,
                direction,
                ..
            }) => self.visit_fields(name, fields, *direction, map),
            JsonSchema::Map(schema) => {
                while map.next_key::<String>()?.is_some() {
                    map.next_value_seed(self.of(*schema))?;
                }
                Ok(())
            }
            _ => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
        }
    }
}

impl Check<'_> {
    fn visit_fields<'de, A: MapAccess<'de>>(
        self,
        of: &'static str,
        fields: &'static [Field],
        direction: Direction,
        mut map: A,
    ) -> Result<(), A::Error> {
        let mut present = 0_u64;
        let mut next = 0;
        while let Some(key) = map.next_key_seed(Name { fields, next })? {
            match key {
                Ok(index) => {
                    present |= 1 << index;
                    next = index + 1;
                    let field = &fields[index];
                    let schema = match field.presence {
                        Presence::Defaulted => JsonSchema::Optional(&field.schema),
                        Presence::Required | Presence::Optional => field.schema,
                    };
                    map.next_value_seed(self.of(schema))?;
                }
                Err(name) => {
                    map.next_value::<&RawValue>()?;
                    if direction == Direction::Request {
                        let first = UnknownField { of, name };
                        self.unknown.borrow_mut().get_or_insert(first);
                    }
                }
            }
        }
        let missing = fields.iter().enumerate().find(|(index, field)| {
            field.presence == Presence::Required && present & (1 << index) == 0
        });
        match missing {
            Some((_, field)) => Err(de::Error::missing_field(field.json)),
            None => Ok(()),
        }
    }
}

/// Decodes a key into the index of its field, or into `Err` with the key if it is unknown.
struct Name {
    fields: &'static [Field],
    /// Index at which the search starts: responses usually have the order of the reference.
    next: usize,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Result<usize, String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Result<usize, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        let mut order = (self.next..self.fields.len()).chain(0..self.next);
        let found = order.find(|index| self.fields[*index].json == key);
        Ok(found.ok_or_else(|| key.to_owned()))
    }
}
