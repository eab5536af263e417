//! JSON schemas of the API's types as data, for the walk through encoded JSON.
//!
//! This file and `object.rs` import each other, because the types are recursive: the description of
//! an object has the schema of each field, and a schema refers to the descriptions of objects.

use crate::api::object::{Description, Json, Number};
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
#[derive(Debug)]
pub(crate) struct UnknownField {
    pub(crate) of: &'static str,
    pub(crate) name: String,
}
