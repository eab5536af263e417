//! Generator of `_models.py`: the types of requests and responses.

use std::collections::HashSet;
use std::fmt::Write as _;

use camunda_admin::description::{
    BodyKind, Description, Direction, EnumValue, Field, OPERATIONS, Operation, Presence, TYPES,
};

use super::docstring::{push_doc, quoted};
use crate::identifiers::snake;
use crate::{Generated, NOTICE};

/// Operations that return one field of the response object: their `sdk_method`, and the field.
const ONE_FIELD: &[(&str, &str)] = &[("clusters.create", "cluster_id")];

/// Fields that are times in milliseconds since 1970: the type, and the field in JSON.
const MILLISECONDS: &[(&str, &str)] = &[("AuditEvent", "timestamp")];

/// Response types with hand-written methods in `_model_methods.py`.
const WITH_METHODS: &[&str] = &["Cluster", "CreatedClusterClient", "IpRanges"];

/// The type of a field.
pub(super) enum Type {
    Str,
    Id,
    Secret,
    Bool,
    Int,
    Number,
    Time,
    Json,
    Step,
    Enum(&'static str),
    Object(&'static str),
    List(Box<Type>),
}

impl Type {
    pub(super) fn of(field: &Field) -> (bool, Type) {
        let written: String = field.rust_type.split_whitespace().collect();
        match inside(&written, "Option") {
            // Ids and times that are documented as required are empty if absent.
            Some(inner) => (field.presence == Presence::Optional, Type::parse(inner)),
            None => (false, Type::parse(&written)),
        }
    }

    /// The type of an argument for a field of a request.
    pub(super) fn of_argument(field: &Field) -> (bool, Type) {
        let (optional, kind) = Type::of(field);
        let kind = match kind {
            Type::Str if field.json.ends_with("Id") => Type::Id,
            Type::List(element) if matches!(*element, Type::Str) && field.json.ends_with("Ids") => {
                Type::List(Box::new(Type::Id))
            }
            kind => kind,
        };
        (optional, kind)
    }

    fn parse(written: &str) -> Type {
        if let Some(inner) = inside(written, "Vec") {
            return Type::List(Box::new(Type::parse(inner)));
        }
        match written {
            "String" => Type::Str,
            "Secret" => Type::Secret,
            "bool" => Type::Bool,
            "u32" => Type::Int,
            "Number" => Type::Number,
            "Timestamp" => Type::Time,
            "Json" => Type::Json,
            "FailoverStep" => Type::Step,
            name => {
                let known = TYPES.iter().find(|known| known.name() == name);
                match known.unwrap_or_else(|| panic!("no Python type for the Rust type {name}")) {
                    Description::Object { name, .. } => Type::Object(name),
                    Description::Enum { name, .. } => Type::Enum(name),
                    Description::Id { .. } => Type::Id,
                }
            }
        }
    }

    /// The type hint of a field of a response type.
    fn hint(&self) -> String {
        match self {
            Type::Str | Type::Id | Type::Secret => "str".into(),
            Type::Bool => "bool".into(),
            Type::Int => "int".into(),
            Type::Number => "types.Number".into(),
            Type::Time => "types.datetime".into(),
            Type::Json => "t.Any".into(),
            Type::Step => "FailoverStep".into(),
            Type::Enum(name) | Type::Object(name) => (*name).into(),
            Type::List(element) => format!("t.Tuple[{}, ...]", element.hint()),
        }
    }

    /// The type hint of a parameter of the constructor of a response type.
    fn constructor_hint(&self) -> String {
        match self {
            Type::List(element) => format!("t.Iterable[{}]", element.hint()),
            Type::Enum(_) => "str".into(),
            _ => self.hint(),
        }
    }

    /// The type hint of an argument of an operation.
    pub(super) fn argument_hint(&self) -> String {
        match self {
            Type::Enum(name) => format!("values.{name}Value"),
            Type::Id => "types.Id".into(),
            Type::List(element) => match &**element {
                Type::Object("IpAllowlistEntry") => "t.Iterable[types.AllowlistEntry]".into(),
                element => format!("t.Iterable[{}]", element.argument_hint()),
            },
            _ => self.hint(),
        }
    }

    /// Whether an attribute of the type has an empty value if the field is absent, else `None`.
    fn has_empty_value(&self) -> bool {
        !matches!(self, Type::Time | Type::Json)
    }

    /// The expression of a property for the field `key`, a Python string.
    fn property(&self, key: &str, optional: bool) -> String {
        let value = format!("self._data.get({key})");
        let unless_absent = |present: String| match optional {
            true => format!("None if {value} is None else {present}"),
            false => present,
        };
        match self {
            Type::Str | Type::Id | Type::Secret | Type::Bool | Type::Int | Type::Number
                if optional =>
            {
                value
            }
            Type::Str | Type::Id | Type::Secret => format!("{value} or \"\""),
            Type::Bool => format!("{value} or False"),
            Type::Int | Type::Number => format!("{value} or 0"),
            Type::Time => format!("to_datetime({value})"),
            Type::Json => format!("to_json({value})"),
            Type::Step => unless_absent(format!("FailoverStep({value})")),
            Type::Enum(name) => unless_absent(format!("_{}[{value}]", snake(name))),
            Type::Object(name) => unless_absent(format!("self._object({key}, {name})")),
            Type::List(element) => unless_absent(match &**element {
                Type::Object(name) => format!("self._objects({key}, {name})"),
                Type::Enum(name) => {
                    format!("tuple([_{}[v] for v in {value} or ()])", snake(name))
                }
                Type::Json => format!("tuple(to_json({value} or ()))"),
                _ => format!("tuple({value} or ())"),
            }),
        }
    }
}

fn inside<'a>(written: &'a str, outer: &str) -> Option<&'a str> {
    written
        .strip_prefix(outer)?
        .strip_prefix('<')?
        .strip_suffix('>')
}

/// Generates `_models.py`.
pub(crate) fn models() -> Generated {
    Generated {
        path: "bindings/python/src/camunda_admin/_models.py",
        text: text(),
    }
}

fn text() -> String {
    let mut text = format!("# {NOTICE}\n");
    text.push_str(
        "# mypy: disable-error-code=\"no-any-return\"\n\
         \"\"\"The response types and enumerations of the API.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         from ._lazy import t, types\n\
         from ._model_base import FailoverStep, Model, OpenEnum, Secrets, to_datetime, to_json\n\
         from ._model_methods import ",
    );
    let methods: Vec<_> = WITH_METHODS
        .iter()
        .map(|name| format!("{name}Methods"))
        .collect();
    writeln!(text, "{}\n", methods.join(", ")).unwrap();
    text.push_str(
        "TYPE_CHECKING: bool = False\nif TYPE_CHECKING:\n    from typing import ClassVar\n\n",
    );
    let names = names();
    text.push_str("__all__ = [\n    \"FailoverStep\",\n    \"Secrets\",\n");
    for name in &names {
        writeln!(text, "    \"{name}\",").unwrap();
    }
    text.push_str("]\n");
    let response_types = response_types();
    for description in TYPES {
        match description {
            Description::Object {
                name, doc, fields, ..
            } if response_types.contains(name) => {
                push_object(&mut text, name, doc, fields);
            }
            Description::Enum { name, doc, values } => {
                let is_in_response = response_types.contains(name);
                push_enum(&mut text, name, doc, values, is_in_response);
            }
            _ => {}
        }
    }
    text.push_str(
        "\n\n# Tracebacks, `repr` and pickles show the name that programs import.\n\
         for _name in __all__:\n    globals()[_name].__module__ = \"camunda_admin\"\n",
    );
    text
}

/// The names of the generated types that are public.
pub(super) fn names() -> Vec<&'static str> {
    let response_types = response_types();
    TYPES
        .iter()
        .filter(|description| match description {
            // Not of operations that return one field of it.
            Description::Object { name, .. } => {
                response_types.contains(name)
                    && !OPERATIONS.iter().any(|operation| {
                        one_field(operation).is_some()
                            && matches!(
                                operation.response.as_ref().map(|schema| &schema.kind),
                                Some(BodyKind::Object(body)) if body.name() == *name
                            )
                    })
            }
            Description::Enum { .. } => true,
            Description::Id { .. } => false,
        })
        .map(|description| description.name())
        .collect()
}

fn push_enum(text: &mut String, name: &str, doc: &str, values: &[EnumValue], is_in_response: bool) {
    write!(text, "\n\nclass {name}(OpenEnum):\n").unwrap();
    let constant = |value: &EnumValue| snake(value.name).to_uppercase();
    let attributes = values
        .iter()
        .map(|value| {
            let doc = format!("`{}`. {}", quoted(value.json), value.doc.trim());
            (constant(value), doc)
        })
        .collect();
    push_doc(text, 4, doc, &[("Attributes", attributes)]);
    text.push_str("\n    __slots__ = ()\n\n    if TYPE_CHECKING:\n");
    for value in values {
        let constant = constant(value);
        writeln!(text, "        {constant}: ClassVar[{name}]").unwrap();
        push_doc(text, 8, value.doc, &[]);
    }
    text.push_str("    else:\n");
    for value in values {
        writeln!(text, "        {} = {}", constant(value), quoted(value.json)).unwrap();
    }
    if is_in_response {
        write!(text, "\n\n_{} = {name}._values\n", snake(name)).unwrap();
    }
}

/// The names of the objects and enumerations that responses contain. Request types become arguments in
/// Python.
fn response_types() -> HashSet<&'static str> {
    let mut names = HashSet::new();
    // Each type follows the types of its fields, so one pass in reverse order finds all.
    for description in TYPES.iter().rev() {
        let Description::Object {
            name,
            direction,
            fields,
            ..
        } = description
        else {
            continue;
        };
        if *direction == Direction::Response {
            names.insert(*name);
        }
        if names.contains(name) {
            for field in *fields {
                let mut kind = Type::of(field).1;
                while let Type::List(element) = kind {
                    kind = *element;
                }
                if let Type::Object(name) | Type::Enum(name) = kind {
                    names.insert(name);
                }
            }
        }
    }
    names
}

pub(super) fn one_field(operation: &Operation) -> Option<&'static str> {
    ONE_FIELD
        .iter()
        .find(|(call, _)| *call == operation.sdk_method)
        .map(|(_, field)| *field)
}

fn push_object(text: &mut String, name: &str, doc: &str, fields: &'static [Field]) {
    let base = match WITH_METHODS.contains(&name) {
        true => format!("{name}Methods"),
        false => "Model".into(),
    };
    write!(text, "\n\nclass {name}({base}):\n").unwrap();
    // Parameters without a default precede those with one.
    let (required, others): (Vec<_>, Vec<_>) = fields
        .iter()
        .partition(|field| field.presence == Presence::Required);
    let fields: Vec<Attribute> = required
        .into_iter()
        .chain(others)
        .map(|field| Attribute::new(name, field))
        .collect();
    let extra = "Fields that this version does not know, by their JSON names.";
    let mut attributes: Vec<_> = fields
        .iter()
        .map(|field| (field.name.to_owned(), field.doc.clone()))
        .collect();
    attributes.push(("extra".into(), extra.into()));
    push_doc(text, 4, doc, &[("Attributes", attributes)]);
    text.push_str("\n    __slots__ = ()\n    __match_args__ = (\n");
    for field in &fields {
        writeln!(text, "        \"{}\",", field.name).unwrap();
    }
    text.push_str("    )\n    _names = {\n");
    for field in &fields {
        writeln!(text, "        \"{}\": {},", field.name, field.key).unwrap();
    }
    text.push_str("    }\n");
    for (attribute, chosen) in [
        (
            "_required",
            fields
                .iter()
                .filter(|field| field.required)
                .collect::<Vec<_>>(),
        ),
        (
            "_hidden",
            fields
                .iter()
                .filter(|field| matches!(field.kind, Type::Secret))
                .collect(),
        ),
    ] {
        if !chosen.is_empty() {
            let names: Vec<_> = chosen
                .iter()
                .map(|field| format!("\"{}\",", field.name))
                .collect();
            writeln!(text, "    {attribute} = ({})", names.join(" ")).unwrap();
        }
    }
    push_constructor(text, &fields);
    for field in &fields {
        push_property(text, field);
    }
}

/// Pushes the method `__init__` of a class.
fn push_constructor(text: &mut String, fields: &[Attribute]) {
    text.push_str("\n    def __init__(\n        self,\n");
    for field in fields {
        let hint = field.kind.constructor_hint();
        let parameter = match field.required {
            true => format!("{}: {hint}", field.name),
            false => format!("{}: t.Optional[{hint}] = None", field.name),
        };
        writeln!(text, "        {parameter},").unwrap();
    }
    text.push_str(
        "        extra: t.Optional[t.Mapping[str, t.Any]] = None,\n    ) -> None:\n        self._fill(\n            (\n",
    );
    for field in fields {
        writeln!(text, "                {},", field.name).unwrap();
    }
    text.push_str("            ),\n            extra,\n        )\n");
}

/// Pushes the property of a field.
fn push_property(text: &mut String, field: &Attribute) {
    let optional = field.optional && !field.required;
    let hint = match optional || !field.kind.has_empty_value() {
        true if matches!(field.kind, Type::Json) => field.kind.hint(),
        true => format!("t.Optional[{}]", field.kind.hint()),
        false => field.kind.hint(),
    };
    write!(
        text,
        "\n    @property\n    def {}(self) -> {hint}:\n",
        field.name
    )
    .unwrap();
    push_doc(text, 8, &field.doc, &[]);
    let value = field.kind.property(&field.key, optional);
    let line = format!("        return {value}");
    match value
        .strip_prefix("None if ")
        .and_then(|rest| rest.split_once(" else "))
    {
        Some((condition, present)) if line.len() > 100 => writeln!(
            text,
            "        if {condition}:\n            return None\n        return {present}"
        )
        .unwrap(),
        _ => writeln!(text, "{line}").unwrap(),
    }
}

/// An attribute of a response type.
struct Attribute {
    name: &'static str,
    /// The JSON name, as a Python string.
    key: String,
    kind: Type,
    required: bool,
    optional: bool,
    doc: String,
}

impl Attribute {
    fn new(class: &str, field: &'static Field) -> Attribute {
        let (optional, kind) = Type::of(field);
        let kind = match MILLISECONDS.contains(&(class, field.json)) {
            true => Type::Time,
            false => kind,
        };
        let mut doc = match (&kind, Type::of(field).1) {
            (Type::Time, Type::Number) => "Time.".to_owned(),
            _ => field.doc.trim().to_owned(),
        };
        if matches!(kind, Type::Time) {
            doc.push_str(
                " None if the response has none, or one that is not a valid time; `to_dict()` has its text.",
            );
        }
        Attribute {
            name: python_name(field),
            key: quoted(field.json),
            required: field.presence == Presence::Required,
            optional,
            kind,
            doc,
        }
    }
}

/// The name of the Rust field, which is the snake case of the JSON name, without `r#`.
pub(super) fn python_name(field: &Field) -> &'static str {
    field.name.trim_start_matches("r#")
}
