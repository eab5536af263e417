//! What a type provides to be decoded: where the values of its fields are stored. The decoders
//! (`text_decoder.rs` and `serde_decoder.rs`) have no code for single types.
//!
//! Decoders for each type, as serde derives them, are 50 kB of code for a cluster, of which a call executes
//! most instructions once: loading them into the processor's cache takes longer than executing them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::api::extra::{Blanks, Extra};
use crate::api::json::{Json, Number};
use crate::api::schema::{Describe, Description, HasSchema};
use crate::secret::Secret;

/// Types that the decoders decode.
pub(crate) trait Decode: DeserializeOwned {
    /// Returns where a decoder stores the value.
    fn slot(value: &mut Option<Self>) -> Slot<'_>;
}

/// Where a decoder stores a value, by the JSON that it is decoded from.
pub(crate) enum Slot<'a> {
    // Most fields: without a dynamic call.
    String(&'a mut Option<String>),
    Text {
        slot: &'a mut dyn TextSlot,
        empty_is_absent: bool,
    },
    Secret(&'a mut Option<Secret>),
    Secrets(&'a mut Option<BTreeMap<String, Secret>>),
    Bool(&'a mut Option<bool>),
    U32(&'a mut Option<u32>),
    Json(&'a mut dyn JsonSlot),
    Object(&'a mut dyn ObjectSlot),
    List(&'a mut dyn ListSlot),
}

/// Types that are decoded from a string.
pub(crate) trait Text: HasSchema + Sized {
    /// What an error of another JSON type says that was expected.
    const EXPECTED: &'static str = "a string";

    /// # Errors
    ///
    /// The message of the error.
    fn from_text(text: &str) -> Result<Self, String>;
}

/// Types that are decoded from any JSON.
pub(crate) trait FromJson: Sized {
    /// # Errors
    ///
    /// The message of the error.
    fn from_json(json: Json) -> Result<Self, &'static str>;
}

/// Objects, with a builder that has the values of their fields.
pub(crate) trait Object: Describe + Sized {
    type Builder: ObjectBuilder + Default;

    /// Returns `None` if a required field has no value.
    fn build(builder: Self::Builder, blanks: Blanks, extra: Extra) -> Option<Self>;
}

pub(crate) trait ObjectBuilder {
    fn description(&self) -> &'static Description;

    /// Returns where a decoder stores the value of the field at `position`.
    fn slot(&mut self, position: usize) -> Option<Slot<'_>>;
}

pub(crate) trait TextSlot {
    fn expected(&self) -> &'static str;
    fn set(&mut self, text: &str) -> Result<(), String>;
    fn clear(&mut self);
}

pub(crate) trait JsonSlot {
    fn set(&mut self, json: Json) -> Result<(), &'static str>;
    fn clear(&mut self);
}

/// Decodes the fields of an object into a builder. Returns `None` after an error.
type DecodeFields<'a> = &'a mut dyn FnMut(&mut dyn ObjectBuilder) -> Option<(Blanks, Extra)>;

pub(crate) trait ObjectSlot {
    fn name(&self) -> &'static str;
    fn decode(&mut self, decode: DecodeFields<'_>);
    fn clear(&mut self);
}

/// Decodes an element of a list. Returns `false` after an error.
type DecodeElement<'a> = &'a mut dyn FnMut(Slot<'_>) -> bool;

pub(crate) trait ListSlot {
    /// Stores an empty list.
    fn start(&mut self);
    fn push(&mut self, decode: DecodeElement<'_>);
    fn clear(&mut self);
}

impl<T: Text> TextSlot for Option<T> {
    fn expected(&self) -> &'static str {
        T::EXPECTED
    }

    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = Some(T::from_text(text)?);
        Ok(())
    }

    fn clear(&mut self) {
        *self = None;
    }
}

impl<T: FromJson> JsonSlot for Option<T> {
    fn set(&mut self, json: Json) -> Result<(), &'static str> {
        *self = Some(T::from_json(json)?);
        Ok(())
    }

    fn clear(&mut self) {
        *self = None;
    }
}

impl<T: Object> ObjectSlot for Option<T> {
    fn name(&self) -> &'static str {
        T::DESCRIPTION.name()
    }

    fn decode(&mut self, decode: DecodeFields<'_>) {
        let mut builder = T::Builder::default();
        if let Some((blanks, extra)) = decode(&mut builder) {
            *self = T::build(builder, blanks, extra);
        }
    }

    fn clear(&mut self) {
        *self = None;
    }
}

impl<T: Decode> ListSlot for Option<Vec<T>> {
    fn start(&mut self) {
        *self = Some(Vec::new());
    }

    fn push(&mut self, decode: DecodeElement<'_>) {
        let mut element = None;
        if decode(T::slot(&mut element)) {
            self.get_or_insert_default().extend(element);
        }
    }

    fn clear(&mut self) {
        *self = None;
    }
}

impl<'a> Slot<'a> {
    pub(crate) fn text<T: Text>(value: &'a mut Option<T>) -> Self {
        Slot::Text {
            slot: value,
            empty_is_absent: T::EMPTY_IS_ABSENT,
        }
    }

    pub(crate) fn clear(self) {
        match self {
            Slot::String(value) => *value = None,
            Slot::Text { slot, .. } => slot.clear(),
            Slot::Secret(value) => *value = None,
            Slot::Secrets(value) => *value = None,
            Slot::Bool(value) => *value = None,
            Slot::U32(value) => *value = None,
            Slot::Json(json) => json.clear(),
            Slot::Object(object) => object.clear(),
            Slot::List(list) => list.clear(),
        }
    }
}

/// Implements [`Decode`] for types with a variant of [`Slot`].
macro_rules! decode_into {
    ($($variant:ident: $($type:ty)*;)*) => { $($(
        impl Decode for $type {
            fn slot(value: &mut Option<Self>) -> Slot<'_> {
                Slot::$variant(value)
            }
        }
    )*)* };
}

decode_into! {
    String: String;
    Secret: Secret;
    Secrets: BTreeMap<String, Secret>;
    Bool: bool;
    U32: u32;
    Json: Json Number;
}

impl FromJson for Json {
    fn from_json(json: Json) -> Result<Self, &'static str> {
        Ok(json)
    }
}

impl FromJson for Number {
    fn from_json(json: Json) -> Result<Self, &'static str> {
        Number::from_json(json)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn slot(value: &mut Option<Self>) -> Slot<'_> {
        Slot::List(value)
    }
}
