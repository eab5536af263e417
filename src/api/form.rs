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

use crate::api::locate;
use crate::api::object::{Description, Direction, Field, Json, Number, Presence};
use crate::api::operation::without_bom;
use crate::secret::Secret;

/// What JSON is taken for a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Form {
    Text,
    /// Text that no error may quote.
    Secret,
    Bool,
    U32,
    Number,
    Any,
    /// An object, or a word of an enumeration.
    Described(&'static Description),
    List(&'static Form),
    /// An object of whatever keys.
    Map(&'static Form),
    /// `null` will do as well.
    Optional(&'static Form),
}

/// A type whose form is known.
pub(crate) trait Formed {
    const FORM: Form;
}

macro_rules! forms {
    ($($type:ty: $form:expr;)*) => { $(
        impl Formed for $type {
            const FORM: Form = $form;
        }
    )* };
}

forms! {
    String: Form::Text;
    Secret: Form::Secret;
    bool: Form::Bool;
    u32: Form::U32;
    Number: Form::Number;
    Json: Form::Any;
}

impl<T: Formed> Formed for Vec<T> {
    const FORM: Form = Form::List(&T::FORM);
}

impl<T: Formed> Formed for Option<T> {
    const FORM: Form = Form::Optional(&T::FORM);
}

impl<T: Formed> Formed for std::collections::BTreeMap<String, T> {
    const FORM: Form = Form::Map(&T::FORM);
}

/// A field of a request that its type lacks.
pub(crate) struct UnknownField {
    pub(crate) of: &'static str,
    pub(crate) name: String,
}

/// Whether a text could be decoded; if not, the same error. Answers the first field of a request
/// that its type lacks, if there is one.
pub(crate) fn check(form: Form, json: &[u8]) -> Result<Option<UnknownField>, String> {
    let json = without_bom(json);
    let unknown = RefCell::new(None);
    let check = Check {
        form,
        unknown: &unknown,
    };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    check
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .map_err(|error| locate::describe(json, &error))?;
    Ok(unknown.into_inner())
}

#[derive(Clone, Copy)]
struct Check<'a> {
    form: Form,
    unknown: &'a RefCell<Option<UnknownField>>,
}

impl Check<'_> {
    fn of(self, form: Form) -> Self {
        Check { form, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.form {
            Form::Text => deserializer.deserialize_str(self),
            Form::Secret => Secret::deserialize(deserializer).map(drop),
            Form::Bool => bool::deserialize(deserializer).map(drop),
            Form::U32 => u32::deserialize(deserializer).map(drop),
            Form::Number => Number::deserialize(deserializer).map(drop),
            Form::Any => <&RawValue>::deserialize(deserializer).map(drop),
            Form::Described(Description::Object { .. }) | Form::Map(_) => {
                deserializer.deserialize_map(self)
            }
            Form::Described(_) => deserializer.deserialize_str(self),
            Form::List(_) => deserializer.deserialize_seq(self),
            Form::Optional(_) => deserializer.deserialize_option(self),
        }
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            Form::Described(Description::Object { name, .. }) => write!(f, "an object ({name})"),
            Form::Described(Description::Words { name, .. }) => write!(f, "a string ({name})"),
            Form::List(_) => f.write_str("a sequence"),
            Form::Map(_) => f.write_str("a map"),
            Form::Optional(_) => f.write_str("option"),
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
            Form::Optional(form) => self.of(*form).deserialize(deserializer),
            _ => Err(de::Error::invalid_type(de::Unexpected::Option, &self)),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Form::List(form) = self.form else {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        };
        while items.next_element_seed(self.of(*form))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match self.form {
            Form::Described(Description::Object {
                name,
                fields,
                direction,
                ..
            }) => self.visit_fields(name, fields, *direction, map),
            Form::Map(form) => {
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
                        Presence::Expected => Form::Optional(&field.form),
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
