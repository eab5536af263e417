//! What JSON a value takes, as data, and the check of a text against it.
//!
//! Decoding needs code of its own for every type. The C ABI hands the text itself over and only has
//! to know whether decoding it would work and, if not, why; one copy of code does for that, in a
//! fraction of the time.

use std::cell::RefCell;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::api::error_path;
use crate::api::object::{Description, Direction, Field, Json, Number, Presence};
use crate::api::operation::strip_bom;
use crate::secret::Secret;

/// What JSON is taken for a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum JsonSchema {
    Text,
    /// Text that no error may quote.
    Secret,
    Bool,
    U32,
    Number,
    Any,
    /// An api_object, or a word of an enumeration.
    Described(&'static Description),
    List(&'static JsonSchema),
    /// An object of whatever keys.
    Map(&'static JsonSchema),
    /// `null` will do as well.
    Optional(&'static JsonSchema),
}

/// A type whose form is known.
pub(crate) trait HasSchema {
    const SCHEMA: JsonSchema;
}

macro_rules! forms {
    ($($type:ty: $form:expr;)*) => { $(
        impl HasSchema for $type {
            const SCHEMA: JsonSchema = $form;
        }
    )* };
}

forms! {
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

/// A field of a request that its type lacks.
pub(crate) struct UnknownField {
    pub(crate) of: &'static str,
    pub(crate) name: String,
}

/// Whether a text could be decoded; if not, the same error. Answers the first field of a request
/// that its type lacks, if there is one.
pub(crate) fn check(form: JsonSchema, json: &[u8]) -> Result<Option<UnknownField>, String> {
    let json = strip_bom(json);
    let unknown = RefCell::new(None);
    let check = Check {
        form,
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
    form: JsonSchema,
    unknown: &'a RefCell<Option<UnknownField>>,
}

impl Check<'_> {
    fn of(self, form: JsonSchema) -> Self {
        Check { form, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.form {
            JsonSchema::Text => deserializer.deserialize_str(self),
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
        match self.form {
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

    // What comes here was asked for by the form: anything else the deserializer has refused.
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_none<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.form {
            JsonSchema::Optional(form) => self.of(*form).deserialize(deserializer),
            _ => Err(de::Error::invalid_type(de::Unexpected::Option, &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let JsonSchema::List(form) = self.form else {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        };
        while items.next_element_seed(self.of(*form))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match self.form {
            JsonSchema::Described(Description::Object {
                name,
                fields,
                direction,
                ..
            }) => self.visit_fields(name, fields, *direction, map),
            JsonSchema::Map(form) => {
                while map.next_key::<String>()?.is_some() {
                    map.next_value_seed(self.of(*form))?;
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
        let mut seen = 0_u64;
        let mut next = 0;
        while let Some(key) = map.next_key_seed(Name { fields, next })? {
            match key {
                Ok(index) => {
                    seen |= 1 << index;
                    next = index + 1;
                    let field = &fields[index];
                    let form = match field.presence {
                        Presence::Defaulted => JsonSchema::Optional(&field.form),
                        Presence::Required | Presence::Optional => field.form,
                    };
                    map.next_value_seed(self.of(form))?;
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
            field.presence == Presence::Required && seen & (1 << index) == 0
        });
        match missing {
            Some((_, field)) => Err(de::Error::missing_field(field.json)),
            None => Ok(()),
        }
    }
}

/// Finds the field that a key names; `Err` is a key that none has.
struct Name {
    fields: &'static [Field],
    /// Where to look first: fields come in the order of the reference as a rule.
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
