//! What a type provides to be decoded in one pass over a JSON text: where the values of its fields are
//! stored. `text_decoder.rs` has no code for single types.
//!
//! The decoders with serde, which each type has of its own, are 50 kB of code for a cluster. A call executes
//! most of it once: loading it into the processor's cache takes as long as executing it. They decode what
//! programs decode themselves, and find the reason why a response cannot be decoded.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::api::extra::{Blanks, Extra};
use crate::api::json::{Json, Number};
use crate::api::schema::{Describe, Description, HasSchema};
use crate::secret::Secret;

/// Types that the decoder decodes.
pub(crate) trait Decode: DeserializeOwned {
    /// Returns where the decoder stores the value.
    fn place(value: &mut Option<Self>) -> Place<'_>;
}

/// Where the decoder stores a value, by the JSON that it is decoded from.
pub(crate) enum Place<'a> {
    // Most fields: without a dynamic call.
    String(&'a mut Option<String>),
    Text {
        place: &'a mut dyn TextPlace,
        empty_is_absent: bool,
    },
    Secret(&'a mut Option<Secret>),
    Secrets(&'a mut Option<BTreeMap<String, Secret>>),
    Bool(&'a mut Option<bool>),
    U32(&'a mut Option<u32>),
    Json(&'a mut dyn JsonPlace),
    Object(&'a mut dyn ObjectPlace),
    List(&'a mut dyn ListPlace),
}

/// Types that are decoded from a string.
pub(crate) trait Text: HasSchema + Sized {
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

    /// Returns where the decoder stores the value of the field at `position`.
    fn place(&mut self, position: usize) -> Option<Place<'_>>;
}

pub(crate) trait TextPlace {
    fn set(&mut self, text: &str) -> Result<(), String>;
    fn clear(&mut self);
}

pub(crate) trait JsonPlace {
    fn set(&mut self, json: Json) -> Result<(), &'static str>;
    fn clear(&mut self);
}

/// Decodes the fields of an object into a builder. Returns `None` after an error.
type DecodeFields<'a> = &'a mut dyn FnMut(&mut dyn ObjectBuilder) -> Option<(Blanks, Extra)>;

pub(crate) trait ObjectPlace {
    fn decode(&mut self, decode: DecodeFields<'_>);
    fn clear(&mut self);
}

/// Decodes an element of a list. Returns `false` after an error.
type DecodeElement<'a> = &'a mut dyn FnMut(Place<'_>) -> bool;

pub(crate) trait ListPlace {
    /// Stores an empty list.
    fn start(&mut self);
    fn push(&mut self, decode: DecodeElement<'_>);
    fn clear(&mut self);
}

impl<T: Text> TextPlace for Option<T> {
    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = Some(T::from_text(text)?);
        Ok(())
    }

    fn clear(&mut self) {
        *self = None;
    }
}

impl<T: FromJson> JsonPlace for Option<T> {
    fn set(&mut self, json: Json) -> Result<(), &'static str> {
        *self = Some(T::from_json(json)?);
        Ok(())
    }

    fn clear(&mut self) {
        *self = None;
    }
}

impl<T: Object> ObjectPlace for Option<T> {
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

impl<T: Decode> ListPlace for Option<Vec<T>> {
    fn start(&mut self) {
        *self = Some(Vec::new());
    }

    fn push(&mut self, decode: DecodeElement<'_>) {
        let mut element = None;
        if decode(T::place(&mut element)) {
            self.get_or_insert_default().extend(element);
        }
    }

    fn clear(&mut self) {
        *self = None;
    }
}

impl<'a> Place<'a> {
    pub(crate) fn text<T: Text>(value: &'a mut Option<T>) -> Self {
        Place::Text {
            place: value,
            empty_is_absent: T::EMPTY_IS_ABSENT,
        }
    }

    pub(crate) fn clear(self) {
        match self {
            Place::String(value) => *value = None,
            Place::Text { place, .. } => place.clear(),
            Place::Secret(value) => *value = None,
            Place::Secrets(value) => *value = None,
            Place::Bool(value) => *value = None,
            Place::U32(value) => *value = None,
            Place::Json(json) => json.clear(),
            Place::Object(object) => object.clear(),
            Place::List(list) => list.clear(),
        }
    }
}

/// Implements [`Decode`] for types with a variant of [`Place`].
macro_rules! decode_into {
    ($($variant:ident: $($type:ty)*;)*) => { $($(
        impl Decode for $type {
            fn place(value: &mut Option<Self>) -> Place<'_> {
                Place::$variant(value)
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
    fn place(value: &mut Option<Self>) -> Place<'_> {
        Place::List(value)
    }
}
