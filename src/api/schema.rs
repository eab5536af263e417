//! Descriptions and JSON schemas of the API's types as data: for the walk through encoded JSON, and
//! for the generators of the other languages.

use crate::api::json::{Json, Number};
use crate::json_text::are_equal;
use crate::secret::Secret;

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

impl Description {
    /// Returns the fields of an object.
    pub(crate) const fn fields(&self) -> &'static [Field] {
        match self {
            Description::Object { fields, .. } => fields,
            _ => &[],
        }
    }
}

/// Types with a [`Description`].
pub(crate) trait Describe {
    const DESCRIPTION: &'static Description;
}

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
    /// The fields that the type has.
    pub(crate) fields: &'static [Field],
}

/// Returns a bit for each required field, by its position.
#[inline]
pub(crate) fn required_fields(fields: &[Field]) -> u64 {
    fields.iter().rev().fold(0, |required, field| {
        required << 1 | u64::from(field.presence == Presence::Required)
    })
}

/// Returns the position of the field of that name. The search starts at `next`.
#[inline]
pub(crate) fn position(fields: &[Field], name: &[u8], next: usize) -> Option<usize> {
    let is_named = |field: &Field| are_equal(field.json.as_bytes(), name);
    let (before, after) = fields.split_at(next);
    match after.iter().position(is_named) {
        Some(index) => Some(next + index),
        None => before.iter().position(is_named),
    }
}
