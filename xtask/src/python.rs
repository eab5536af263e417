//! Generator of the types, operations and C prototypes of the Python package.
//!
//! Types and operations are generated from the descriptions of the API, prototypes from the C header,
//! so that Python calls exactly the functions that the C ABI exports.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use camunda_admin::description::{
    BodyKind, Description, Direction, Field, OPERATIONS, Operation, Presence, TYPES, WAITERS,
    Waiter,
};

use crate::{Generated, NOTICE};

/// The classes with the operations: the prefix of their `call`, the class name, its docstring.
const PLACES: &[(&str, &str, &str)] = &[
    (
        "clusters",
        "Clusters",
        "Operations on the clusters of the organization: `admin.clusters`.",
    ),
    (
        "cluster",
        "ClusterHandle",
        "Operations on one cluster: `admin.cluster(id)`.",
    ),
    (
        "cluster.clients",
        "ClusterClients",
        "Operations on the clients of a cluster: `admin.cluster(id).clients`.",
    ),
    (
        "cluster.backups",
        "Backups",
        "Operations on the backups of a cluster: `admin.cluster(id).backups`.",
    ),
    (
        "cluster.secrets",
        "ClusterSecrets",
        "Operations on the connector secrets of a cluster: `admin.cluster(id).secrets`.",
    ),
    (
        "cluster.monitoring",
        "ClusterMonitoring",
        "Operations on the external monitoring of a cluster: `admin.cluster(id).monitoring`.",
    ),
    (
        "cluster.secure_connectivity",
        "SecureConnectivity",
        "Operations on the secure connectivity of a cluster: `admin.cluster(id).secure_connectivity`.",
    ),
    (
        "members",
        "Members",
        "Operations on the members of the organization: `admin.members`.",
    ),
    (
        "activity",
        "Activity",
        "Operations on the audit log of the organization: `admin.activity`.",
    ),
    (
        "",
        "AdminOperations",
        "Operations without a resource: base class of `AdminClient`.",
    ),
];

/// Request fields that are positional arguments, and the names of these. All other fields are keyword
/// arguments with their own names.
const BY_POSITION: &[(&str, &[(&str, &str)])] = &[
    ("cluster.clients.create", &[("clientName", "name")]),
    (
        "cluster.secrets.create",
        &[("secretName", "name"), ("secretValue", "value")],
    ),
    ("cluster.secrets.update", &[("secretValue", "value")]),
    ("cluster.backups.set_schedule", &[("schedule", "cron")]),
    (
        "cluster.monitoring.create_client",
        &[("username", "username")],
    ),
    ("cluster.set_ip_allowlist", &[("ipallowlist", "entries")]),
    ("members.set_roles", &[("orgRoles", "roles")]),
];

/// Operations that return one field of the response object: their `call`, and the field.
const ONE_FIELD: &[(&str, &str)] = &[("clusters.create", "cluster_id")];

/// Response types with hand-written methods in `_methods.py`.
const WITH_METHODS: &[&str] = &["Cluster", "CreatedClusterClient", "IpRanges"];

/// Generates `_models.py`.
pub(crate) fn models() -> Generated {
    Generated {
        path: "bindings/python/src/camunda_admin/_models.py",
        text: models_text(),
    }
}

/// Generates `_operations.py`.
pub(crate) fn operations() -> Generated {
    Generated {
        path: "bindings/python/src/camunda_admin/_operations.py",
        text: operations_text(),
    }
}

/// Generates `_prototypes.py` from the C header.
pub(crate) fn prototypes(header: &str) -> Generated {
    Generated {
        path: "bindings/python/src/camunda_admin/_prototypes.py",
        text: prototypes_text(header),
    }
}

// ---- Types ------------------------------------------------------------------------------------

/// The type of a field.
enum Type {
    Str,
    Secret,
    Bool,
    Int,
    Number,
    Json,
    Step,
    Enum(&'static str),
    Object(&'static str),
    List(Box<Type>),
}

impl Type {
    fn of(field: &Field) -> (bool, Type) {
        let written: String = field.rust_type.split_whitespace().collect();
        match inside(&written, "Option") {
            // Ids and times that are documented as required are empty if absent.
            Some(inner) => (field.presence == Presence::Optional, Type::parse(inner)),
            None => (false, Type::parse(&written)),
        }
    }

    fn parse(written: &str) -> Type {
        if let Some(inner) = inside(written, "Vec") {
            return Type::List(Box::new(Type::parse(inner)));
        }
        match written {
            "String" | "Timestamp" => Type::Str,
            "Secret" => Type::Secret,
            "bool" => Type::Bool,
            "u32" => Type::Int,
            "Number" => Type::Number,
            "Json" => Type::Json,
            "FailoverStep" => Type::Step,
            name => {
                let known = TYPES.iter().find(|known| known.name() == name);
                match known.unwrap_or_else(|| panic!("no Python type for the Rust type {name}")) {
                    Description::Object { name, .. } => Type::Object(name),
                    Description::Enum { name, .. } => Type::Enum(name),
                    Description::Id { .. } => Type::Str,
                }
            }
        }
    }

    /// The type hint of a field of a response type.
    fn hint(&self) -> String {
        match self {
            Type::Str | Type::Secret => "str".into(),
            Type::Bool => "bool".into(),
            Type::Int => "int".into(),
            Type::Number => "Number".into(),
            Type::Json => "Any".into(),
            Type::Step => "FailoverStep".into(),
            Type::Enum(name) | Type::Object(name) => (*name).into(),
            Type::List(element) => format!("List[{}]", element.hint()),
        }
    }

    /// The type hint of an argument: callers can pass plain strings as enum values.
    fn argument_hint(&self) -> String {
        match self {
            Type::Enum(_) => "str".into(),
            Type::List(element) => match &**element {
                Type::Object("IpAllowlistEntry") => "Iterable[AllowlistEntry]".into(),
                element => format!("Iterable[{}]", element.argument_hint()),
            },
            _ => self.hint(),
        }
    }

    /// The default of an absent field.
    fn empty(&self) -> String {
        match self {
            Type::Str | Type::Secret => "\"\"".into(),
            Type::Bool => "False".into(),
            Type::Int | Type::Number => "0".into(),
            Type::Json => "None".into(),
            Type::Step => "field(default_factory=lambda: FailoverStep(None))".into(),
            Type::Enum(name) => format!("{name}(\"\")"),
            Type::Object(name) => format!("field(default_factory=lambda: _{}(None))", snake(name)),
            Type::List(_) => "field(default_factory=list)".into(),
        }
    }

    /// Whether the decoded JSON value needs no conversion.
    fn plain(&self) -> bool {
        match self {
            Type::Step | Type::Enum(_) | Type::Object(_) => false,
            Type::List(element) => element.plain(),
            _ => true,
        }
    }

    /// The expression that converts `value`, a decoded JSON value, to the type.
    fn decode(&self, value: &str) -> String {
        match self {
            Type::Step => format!("FailoverStep({value})"),
            Type::Enum(name) => format!("_{}[{value}]", snake(name)),
            Type::Object(name) => format!("_{}({value})", snake(name)),
            Type::List(element) if !element.plain() => {
                format!("[{} for v in {value}]", element.decode("v"))
            }
            _ => value.into(),
        }
    }

    /// The expression that converts `value` to a JSON-serializable one.
    fn encode(&self, value: &str) -> String {
        match self {
            Type::Enum(_) => format!("str({value})"),
            Type::Step | Type::Object(_) => format!("{value}.to_dict()"),
            Type::List(element) if !element.plain() => {
                format!("[{} for v in {value}]", element.encode("v"))
            }
            Type::List(_) => format!("list({value})"),
            _ => value.into(),
        }
    }
}

fn inside<'a>(written: &'a str, outer: &str) -> Option<&'a str> {
    written
        .strip_prefix(outer)?
        .strip_prefix('<')?
        .strip_suffix('>')
}

fn models_text() -> String {
    let mut text = format!("# {NOTICE}\n");
    text.push_str(
        "\"\"\"The response types and enumerations of the API.\"\"\"\n\n\
         from dataclasses import dataclass, field\n\
         from typing import Any, ClassVar, Dict, List, Optional\n\n\
         from ._model import FailoverStep, Model, Number, OpenEnum, OpenEnumValues\n\
         from ._model import new_object, null_fields, set_fields\n\
         from ._methods import ",
    );
    let methods: Vec<_> = WITH_METHODS
        .iter()
        .map(|name| format!("{name}Methods"))
        .collect();
    writeln!(text, "{}\n", methods.join(", ")).unwrap();
    let response_types = response_types();
    let names: Vec<&str> = TYPES
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
        .collect();
    text.push_str("__all__ = [\n");
    for name in ["FailoverStep", "Number"].iter().chain(&names) {
        writeln!(text, "    \"{name}\",").unwrap();
    }
    text.push_str("]\n");
    for description in TYPES {
        match description {
            Description::Object {
                name, doc, fields, ..
            } if response_types.contains(name) => {
                push_object(&mut text, name, doc, fields);
            }
            Description::Enum { name, doc, values } => {
                write!(text, "\n\nclass {name}(OpenEnum):\n").unwrap();
                push_doc(&mut text, 4, doc, &[]);
                text.push_str("\n    __slots__ = ()\n\n");
                for value in *values {
                    let constant = snake(value.name).to_uppercase();
                    push_comment(&mut text, value.doc);
                    writeln!(text, "    {constant}: ClassVar[\"{name}\"]").unwrap();
                }
                text.push_str("\n\n");
                for value in *values {
                    let constant = snake(value.name).to_uppercase();
                    writeln!(text, "{name}.{constant} = {name}({})", quoted(value.json)).unwrap();
                }
                writeln!(text, "_{} = OpenEnumValues({name})", snake(name)).unwrap();
            }
            _ => {}
        }
    }
    text
}

/// The names of the types that responses contain. Request types become arguments in Python.
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
                if let Type::Object(name) = kind {
                    names.insert(name);
                }
            }
        }
    }
    names
}

fn push_object(text: &mut String, name: &str, doc: &str, fields: &[Field]) {
    let base = match WITH_METHODS.contains(&name) {
        true => format!("{name}Methods"),
        false => "Model".into(),
    };
    write!(text, "\n\n@dataclass(frozen=True)\nclass {name}({base}):\n").unwrap();
    push_doc(text, 4, doc, &[]);
    text.push('\n');
    // A dataclass requires that fields without a default precede those with one.
    let (required, others): (Vec<_>, Vec<_>) = fields
        .iter()
        .partition(|field| field.presence == Presence::Required);
    for field in required.iter().chain(&others) {
        let (optional, kind) = Type::of(field);
        push_comment(text, field.doc);
        let hidden = matches!(kind, Type::Secret);
        let line = match (field.presence, optional) {
            (Presence::Required, _) if hidden => format!("{} = field(repr=False)", kind.hint()),
            (Presence::Required, _) => kind.hint(),
            (_, true) if hidden => {
                format!(
                    "Optional[{}] = field(default=None, repr=False)",
                    kind.hint()
                )
            }
            (_, true) => format!("Optional[{}] = None", kind.hint()),
            _ if hidden => format!("{} = field(default=\"\", repr=False)", kind.hint()),
            _ => format!("{} = {}", kind.hint(), kind.empty()),
        };
        writeln!(text, "    {}: {line}", python_name(field)).unwrap();
    }
    text.push_str(
        "    # Fields that this version does not know, by their JSON names. Not part of the `repr`, since\n    \
         # one of them may be a secret.\n    \
         extra: Dict[str, Any] = field(default_factory=dict, repr=False)\n\n    \
         @staticmethod\n",
    );
    writeln!(
        text,
        "    def _decode(data: Optional[Dict[str, Any]]) -> \"{name}\":"
    )
    .unwrap();
    text.push_str(
        "        data = {} if data is None else data\n        nulls = null_fields(data)\n        \
         pop = data.pop\n",
    );
    writeln!(text, "        result: {name} = new_object({name})").unwrap();
    text.push_str("        set_fields(result, \"__dict__\", {\n");
    for field in required.iter().chain(&others) {
        let (optional, kind) = Type::of(field);
        let key = quoted(field.json);
        let value = match (field.presence, optional) {
            (Presence::Required, _) => kind.decode(&format!("pop({key})")),
            (_, true) if kind.plain() => format!("pop({key}, None)"),
            (_, true) => {
                format!(
                    "None if (v := pop({key}, None)) is None else {}",
                    kind.decode("v")
                )
            }
            _ => match &kind {
                Type::Step | Type::Enum(_) | Type::Object(_) => {
                    kind.decode(&format!("pop({key}, None)"))
                }
                Type::Json => format!("pop({key}, None)"),
                Type::List(element) if !element.plain() => {
                    kind.decode(&format!("pop({key}, None) or ()"))
                }
                Type::List(_) => format!("pop({key}, None) or []"),
                kind => format!("pop({key}, None) or {}", kind.empty()),
            },
        };
        let name = python_name(field);
        let line = format!("            \"{name}\": {value},");
        match value.split_once(" if ").and_then(|(none, rest)| Some((none, rest.rsplit_once(" else ")?))) {
            Some((none, (condition, other))) if line.len() > 100 => writeln!(
                text,
                "            \"{name}\": (\n                {none}\n                if {condition}\n                \
                 else {other}\n            ),"
            )
            .unwrap(),
            _ => writeln!(text, "{line}").unwrap(),
        }
    }
    text.push_str(
        "            \"extra\": data or {},\n        })\n        \
         if nulls:\n            result.__dict__[\"_nulls\"] = nulls\n        return result\n\n",
    );
    text.push_str(
        "    def to_dict(self) -> Dict[str, Any]:\n        \
         \"\"\"Return all fields by their JSON names, including unknown ones and those that were null.\"\"\"\n        \
         result: Dict[str, Any] = {\n",
    );
    for field in fields
        .iter()
        .filter(|field| field.presence != Presence::Optional)
    {
        let (_, kind) = Type::of(field);
        let value = kind.encode(&format!("self.{}", python_name(field)));
        writeln!(text, "            {}: {value},", quoted(field.json)).unwrap();
    }
    text.push_str("        }\n");
    for field in fields
        .iter()
        .filter(|field| field.presence == Presence::Optional)
    {
        let (_, kind) = Type::of(field);
        let name = python_name(field);
        writeln!(text, "        if self.{name} is not None:").unwrap();
        let value = kind.encode(&format!("self.{name}"));
        writeln!(text, "            result[{}] = {value}", quoted(field.json)).unwrap();
    }
    text.push_str(
        "        for name in self.__dict__.get(\"_nulls\", ()):\n            \
         result[name] = None\n        \
         result.update(self.extra)\n        return result\n\n\n",
    );
    writeln!(text, "_{} = {name}._decode", snake(name)).unwrap();
}

/// The name of the Rust field, which is the snake case of the JSON name, without `r#`.
fn python_name(field: &Field) -> &str {
    field.name.trim_start_matches("r#")
}

// ---- Operations -------------------------------------------------------------------------------

fn operations_text() -> String {
    let mut text = format!("# {NOTICE}\n");
    text.push_str(
        "\"\"\"The operations and waiters of the API, by resource.\"\"\"\n\n\
         from typing import Any, Dict, IO, Iterable, Iterator, List, Optional, overload\n\n\
         from . import _models\n\
         from ._allowlist import AllowlistEntry, check_allowlist\n\
         from ._arguments import check_str, check_str_list, encode_body, encode_str\n\
         from ._cluster_handle import ClusterClientsMethods, ClusterHandleMethods\n\
         from ._connection import Progress, Resource\n\
         from ._hidden import hide\n\
         from ._model import Secrets\n\
         from ._models import (\n",
    );
    let mut imported: Vec<&str> = OPERATIONS
        .iter()
        .filter(|operation| one_field(operation).is_none())
        .filter_map(|operation| match operation.response.as_ref()?.kind {
            BodyKind::Object(description) | BodyKind::List(description) => Some(description.name()),
            _ => None,
        })
        .chain(WAITERS.iter().map(|waiter| polled_type(waiter)))
        .collect();
    imported.sort_unstable();
    imported.dedup();
    for name in imported {
        writeln!(text, "    {name},").unwrap();
    }
    text.push_str(")\nfrom ._native import lib\n\n__all__ = [\n");
    for (_, class, _) in PLACES {
        writeln!(text, "    \"{class}\",").unwrap();
    }
    text.push_str("]\n");
    let mut places: BTreeMap<&str, String> = BTreeMap::new();
    for operation in OPERATIONS {
        let (place, name) = operation
            .call
            .rsplit_once('.')
            .unwrap_or(("", operation.call));
        let csv = matches!(
            operation.response.as_ref().map(|schema| &schema.kind),
            Some(BodyKind::Csv)
        );
        let methods = places.entry(place).or_default();
        match csv {
            true => push_csv(methods, operation, name),
            false => push_operation(methods, operation, place, name),
        }
    }
    for waiter in WAITERS {
        let (place, name) = waiter.call.rsplit_once('.').unwrap();
        push_waiter(places.entry(place).or_default(), waiter, name);
    }
    for (place, class, doc) in PLACES {
        let base = match *class {
            "ClusterHandle" => "ClusterHandleMethods",
            "ClusterClients" => "ClusterClientsMethods",
            _ => "Resource",
        };
        write!(text, "\n\nclass {class}({base}):\n    \"\"\"{doc}\"\"\"\n").unwrap();
        text.push_str("\n    __slots__ = ()\n");
        text.push_str(&places.remove(place).unwrap_or_default());
        for (inner, class, doc) in PLACES {
            let name = inner
                .strip_prefix(place)
                .and_then(|rest| rest.strip_prefix('.'));
            if let (Some(name), false) = (name, place.is_empty()) {
                write!(
                    text,
                    "\n    @property\n    def {name}(self) -> \"{class}\":\n        \
                     \"\"\"{doc}\"\"\"\n        return {class}(self._connection, self._id)\n"
                )
                .unwrap();
            }
        }
    }
    assert!(
        places.is_empty(),
        "no Python class for the operations of {:?}",
        places.keys()
    );
    text
}

/// An argument of a generated method.
struct Argument {
    name: String,
    hint: String,
    /// The expression that is passed to the C function or put into the body.
    value: String,
    json: Option<&'static str>,
    optional: bool,
    by_position: bool,
    secret: bool,
    doc: String,
}

fn push_operation(text: &mut String, operation: &Operation, place: &str, name: &str) {
    let mut arguments = path_arguments(operation.arguments(), place);
    if let Some(schema) = &operation.body {
        let BodyKind::Object(Description::Object { fields, .. }) = &schema.kind else {
            panic!("{}: the body is not an object", operation.name);
        };
        arguments.extend(fields.iter().map(|field| body_argument(operation, field)));
    }
    let response = operation.response.as_ref().map(|schema| &schema.kind);
    let one_field = one_field(operation);
    let (hint, decode) = match response {
        None => ("None".to_owned(), None),
        Some(BodyKind::Secrets) => ("Secrets".to_owned(), Some("Secrets".to_owned())),
        Some(BodyKind::Object(description)) => {
            let hint = match one_field {
                Some(_) => "str".to_owned(),
                None => description.name().to_owned(),
            };
            (hint, Some(decoder(description)))
        }
        Some(BodyKind::List(description)) => (
            format!("List[{}]", description.name()),
            Some(format!(
                "lambda response: [{}(v) for v in response]",
                decoder(description)
            )),
        ),
        Some(BodyKind::Csv) => unreachable!("push_csv generates CSV operations"),
    };
    push_signature(text, name, &arguments, &[], &hint);
    let sections = [
        argument_section(&arguments),
        error_section(operation.errors),
    ];
    push_doc(text, 8, &imperative(operation.doc), &sections);
    let in_body: Vec<_> = arguments
        .iter()
        .filter(|argument| argument.json.is_some())
        .collect();
    // A traceback may show local variables, so secrets are wrapped.
    for argument in arguments.iter().filter(|argument| argument.secret) {
        writeln!(text, "        {0} = hide({0})", argument.name).unwrap();
    }
    if operation.body.is_some() {
        let (optional, required): (Vec<&Argument>, Vec<&Argument>) =
            in_body.into_iter().partition(|argument| argument.optional);
        if required.is_empty() {
            text.push_str("        body: Dict[str, Any] = {}\n");
        } else {
            text.push_str("        body: Dict[str, Any] = {\n");
            for argument in required {
                let key = quoted(argument.json.unwrap());
                push_fitting(text, &format!("            {key}: "), &argument.value, ",");
            }
            text.push_str("        }\n");
        }
        for argument in optional {
            let key = quoted(argument.json.unwrap());
            writeln!(text, "        if {} is not None:", argument.name).unwrap();
            push_fitting(
                text,
                &format!("            body[{key}] = "),
                &argument.value,
                "",
            );
        }
    }
    let mut passed = vec![format!("lib.{}", operation.c_name), quoted(operation.name)];
    passed.extend(decode.clone());
    passed.extend(has_id(operation.arguments()).then(|| "self._id".to_owned()));
    passed.extend(
        arguments
            .iter()
            .filter(|argument| argument.json.is_none())
            .map(|a| a.value.clone()),
    );
    if operation.body.is_some() {
        passed.push("*encode_body(body)".into());
    }
    let method = if decode.is_some() {
        "call_value"
    } else {
        "call_void"
    };
    let keyword = if decode.is_some() { "return " } else { "" };
    let field = one_field
        .map(|field| format!(".{field}"))
        .unwrap_or_default();
    let line = format!(
        "        {keyword}self._connection.{method}({}){field}",
        passed.join(", ")
    );
    if line.len() <= 100 {
        writeln!(text, "{line}").unwrap();
    } else {
        writeln!(
            text,
            "        {keyword}self._connection.{method}(\n            {},\n        ){field}",
            passed.join(",\n            ")
        )
        .unwrap();
    }
}

/// Pushes a line, or three lines if it is too long and its value is a call.
fn push_fitting(text: &mut String, before: &str, value: &str, after: &str) {
    let line = format!("{before}{value}{after}");
    let call = value
        .strip_suffix(')')
        .and_then(|value| value.split_once('('));
    match call {
        Some((function, arguments)) if line.len() > 100 => writeln!(
            text,
            "{before}{function}(\n                {arguments}\n            ){after}"
        )
        .unwrap(),
        _ => writeln!(text, "{line}").unwrap(),
    }
}

fn push_csv(text: &mut String, operation: &Operation, name: &str) {
    write!(
        text,
        "\n    @overload\n    def {name}(self) -> Iterator[str]: ...\n\n    \
         @overload\n    def {name}(self, file: IO[Any]) -> None: ...\n\n    \
         def {name}(self, file: Optional[IO[Any]] = None) -> Optional[Iterator[str]]:\n"
    )
    .unwrap();
    let file = "A text or binary file object that receives the data piece by piece. None: the method \
                reads the whole response and returns its lines with their line ends, as `csv.reader` \
                expects them.";
    let sections = [
        ("Args", vec![("file".to_owned(), file.to_owned())]),
        error_section(operation.errors),
    ];
    push_doc(text, 8, &imperative(operation.doc), &sections);
    writeln!(
        text,
        "        return self._connection.call_csv(lib.{}, {}, file)",
        operation.c_name,
        quoted(operation.name)
    )
    .unwrap();
}

fn push_waiter(text: &mut String, waiter: &Waiter, name: &str) {
    let arguments = path_arguments(waiter.arguments.iter().copied(), "cluster");
    let shown = polled_type(waiter);
    let hint = waiter.response.map_or("None", |resource| resource.name());
    let options = [
        "timeout: Optional[float] = None".to_owned(),
        "interval: Optional[float] = None".into(),
        format!("progress: Progress[{shown}] = None"),
    ];
    push_signature(text, name, &arguments, &options, hint);
    let entry = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let progress = format!(
        "A function that is called with the {shown} after each poll, or True for a display on \
         standard error."
    );
    let arguments_with_options = [
        argument_section(&arguments).1,
        vec![
            entry(
                "timeout",
                "Deadline of the wait in seconds. Default: that of `AdminClient.with_options`, else \
                 30 minutes.",
            ),
            entry(
                "interval",
                "Maximum time between two polls in seconds. Default: 10.",
            ),
            entry("progress", &progress),
        ],
    ];
    let raised = vec![
        entry(
            "WaitFailedError",
            "the resource reached a final state other than the expected one.",
        ),
        entry("TimeoutError", "the deadline was exceeded."),
    ];
    let sections = [
        ("Args", arguments_with_options.concat()),
        ("Raises", raised),
    ];
    push_doc(text, 8, &imperative(waiter.doc), &sections);
    let mut passed = vec!["self._id".to_owned()];
    passed.extend(arguments.into_iter().map(|argument| argument.value));
    let decode = format!("_models._{}", snake(shown));
    let method = if waiter.response.is_some() {
        "wait_value"
    } else {
        "wait_void"
    };
    let keyword = if waiter.response.is_some() {
        "return "
    } else {
        ""
    };
    writeln!(
        text,
        "        {keyword}self._connection.{method}(\n            lib.{},\n            {},\n            \
         {decode},\n            ({},),\n            timeout,\n            interval,\n            \
         progress,\n        )",
        waiter.c_name,
        quoted(waiter.name),
        passed.join(", ")
    )
    .unwrap();
}

/// The type of the resource that a waiter polls. One that returns nothing polls a cluster.
fn polled_type(waiter: &Waiter) -> &'static str {
    waiter
        .response
        .map_or("Cluster", |resource| resource.name())
}

fn decoder(description: &Description) -> String {
    format!("_models._{}", snake(description.name()))
}

fn one_field(operation: &Operation) -> Option<&'static str> {
    ONE_FIELD
        .iter()
        .find(|(call, _)| *call == operation.call)
        .map(|(_, field)| *field)
}

fn has_id<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| name == "clusterUuid")
}

fn path_arguments(names: impl Iterator<Item = &'static str>, place: &str) -> Vec<Argument> {
    names
        .filter(|name| *name != "clusterUuid" || !place.starts_with("cluster"))
        .map(|name| {
            let python = match name {
                "secretName" => "name".to_owned(),
                name => snake(name),
            };
            Argument {
                hint: "str".into(),
                value: format!("encode_str(\"{python}\", {python})"),
                name: python,
                json: None,
                optional: false,
                by_position: true,
                secret: false,
                doc: String::new(),
            }
        })
        .collect()
}

fn body_argument(operation: &Operation, field: &'static Field) -> Argument {
    let by_position = BY_POSITION
        .iter()
        .find(|(call, _)| *call == operation.call)
        .and_then(|(_, fields)| fields.iter().find(|(json, _)| *json == field.json));
    let name = by_position
        .map_or(python_name(field), |(_, name)| name)
        .to_owned();
    let (optional, kind) = Type::of(field);
    let hint = kind.argument_hint();
    let value = match &kind {
        Type::List(element) => match **element {
            Type::Object("IpAllowlistEntry") => format!("check_allowlist(\"{name}\", {name})"),
            _ => format!("check_str_list(\"{name}\", {name})"),
        },
        // Checked in Python, since the error message of the library would contain a secret of another type.
        Type::Str | Type::Secret | Type::Enum(_) => format!("check_str(\"{name}\", {name})"),
        _ => name.clone(),
    };
    Argument {
        hint: if optional {
            format!("Optional[{hint}]")
        } else {
            hint
        },
        value,
        name,
        json: Some(field.json),
        optional,
        by_position: by_position.is_some(),
        secret: matches!(kind, Type::Secret),
        doc: field.doc.trim().to_owned(),
    }
}

fn push_signature(
    text: &mut String,
    name: &str,
    arguments: &[Argument],
    options: &[String],
    return_type: &str,
) {
    let mut parameters = vec!["self".to_owned()];
    let (by_position, by_name): (Vec<_>, Vec<_>) =
        arguments.iter().partition(|argument| argument.by_position);
    parameters.extend(
        by_position
            .iter()
            .map(|a| format!("{}: {}", a.name, a.hint)),
    );
    if !by_name.is_empty() || !options.is_empty() {
        parameters.push("*".into());
    }
    // Required keyword arguments precede optional ones.
    for optional in [false, true] {
        parameters.extend(by_name.iter().filter(|a| a.optional == optional).map(|a| {
            format!(
                "{}: {}{}",
                a.name,
                a.hint,
                if optional { " = None" } else { "" }
            )
        }));
    }
    parameters.extend(options.iter().cloned());
    let line = format!(
        "    def {name}({}) -> {return_type}:",
        parameters.join(", ")
    );
    if line.len() <= 100 {
        write!(text, "\n{line}\n").unwrap();
        return;
    }
    write!(text, "\n    def {name}(\n").unwrap();
    for parameter in parameters {
        writeln!(text, "        {parameter},").unwrap();
    }
    writeln!(text, "    ) -> {return_type}:").unwrap();
}

/// A section of a docstring, such as `Args`: its title, and names with their descriptions.
type Section = (&'static str, Vec<(String, String)>);

fn argument_section(arguments: &[Argument]) -> Section {
    let described = arguments.iter().filter(|a| !a.doc.is_empty());
    (
        "Args",
        described
            .map(|argument| (argument.name.clone(), argument.doc.clone()))
            .collect(),
    )
}

fn error_section(errors: &[(u16, &str)]) -> Section {
    let entries = errors.iter().map(|(status, reason)| {
        let class = match status {
            403 => "PermissionDeniedError",
            404 => "NotFoundError",
            409 => "ConflictError",
            412 => "NotReadyError",
            400..500 => "InvalidRequestError",
            _ => "ServiceError",
        };
        (class.to_owned(), format!("HTTP {status}: {reason}."))
    });
    ("Raises", entries.collect())
}

/// The text with its first verb in the imperative, as PEP 257 has it: `Creates` becomes `Create`.
fn imperative(doc: &str) -> String {
    let base_form = |verb: &str| {
        let stem = verb.strip_suffix('s').unwrap_or(verb);
        match stem.strip_suffix('e') {
            // Switches, fetches; but not creates.
            Some(short) if short.ends_with(['h', 'x']) => short.to_owned(),
            _ => stem.to_owned(),
        }
    };
    let mut tokens: Vec<String> = doc.split(' ').map(str::to_owned).collect();
    tokens[0] = base_form(&tokens[0]);
    if tokens.len() > 2 && tokens[1] == "or" {
        tokens[2] = base_form(&tokens[2]);
    }
    tokens.join(" ")
}

// ---- Prototypes -------------------------------------------------------------------------------

fn prototypes_text(header: &str) -> String {
    let header = Header::parse(header);
    let mut text = format!("# {NOTICE}\n");
    text.push_str(
        "\"\"\"The ctypes declarations of the C ABI: constants, callback types, structures, prototypes.\"\"\"\n\n\
         from ctypes import (\n    CDLL,\n    CFUNCTYPE,\n    POINTER,\n    Structure,\n    c_bool,\n    c_char_p,\n    \
         c_double,\n    c_int32,\n    c_int64,\n    c_size_t,\n    c_uint32,\n    c_uint64,\n    c_void_p,\n)\n\n",
    );
    for (name, value) in &header.constants {
        writeln!(text, "{name} = {value}").unwrap();
    }
    text.push('\n');
    for function in &header.callbacks {
        // A string that a callback returns is a pointer: ctypes would free a converted string too early.
        let mut types = vec![ctype(&function.return_type, &function.return_type, true)];
        types.extend(function.ctypes(true));
        writeln!(text, "{} = CFUNCTYPE({})", function.name, types.join(", ")).unwrap();
    }
    for structure in &header.structures {
        write!(
            text,
            "\n\nclass {}(Structure):\n    _fields_ = [\n",
            structure.name
        )
        .unwrap();
        for (name, written) in &structure.fields {
            let kind = ctype(written, name, false);
            writeln!(text, "        (\"{name}\", {kind}),").unwrap();
        }
        text.push_str("    ]\n");
    }
    text.push_str(
        "\n\ndef declare(library: CDLL) -> None:\n    \
         \"\"\"Set the argument and return types of all functions.\"\"\"\n",
    );
    for function in &header.functions {
        let name = &function.name;
        let sized = function
            .parameters
            .iter()
            .any(|parameter| parameter.ends_with("size_t*"));
        writeln!(
            text,
            "    library.{name}.restype = {}",
            ctype(&function.return_type, "", sized)
        )
        .unwrap();
        let types = function.ctypes(false);
        let line = format!("    library.{name}.argtypes = [{}]", types.join(", "));
        if line.len() <= 100 {
            writeln!(text, "{line}").unwrap();
        } else {
            writeln!(text, "    library.{name}.argtypes = [").unwrap();
            for kind in types {
                writeln!(text, "        {kind},").unwrap();
            }
            text.push_str("    ]\n");
        }
    }
    text
}

/// The declarations of the C header.
#[derive(Default)]
struct Header {
    constants: Vec<(String, String)>,
    callbacks: Vec<Function>,
    structures: Vec<Structure>,
    functions: Vec<Function>,
}

struct Structure {
    name: String,
    /// Names and types of the fields.
    fields: Vec<(String, String)>,
}

struct Function {
    name: String,
    return_type: String,
    /// The types without names, `const`, `struct` and blanks: `camunda_error**`.
    parameters: Vec<String>,
}

impl Function {
    /// The parameter types for ctypes. In callbacks, a string with a length is not NUL-terminated.
    fn ctypes(&self, callback: bool) -> Vec<String> {
        let followed_by_size = |at: usize| {
            self.parameters
                .get(at + 1)
                .is_some_and(|next| next == "size_t")
        };
        self.parameters
            .iter()
            .enumerate()
            .map(|(at, parameter)| {
                ctype(
                    parameter,
                    parameter,
                    callback && parameter == "char*" && followed_by_size(at),
                )
            })
            .collect()
    }
}

impl Header {
    fn parse(text: &str) -> Header {
        let mut header = Header::default();
        let code = without_comments(text);
        let mut rest = String::new();
        for line in code.lines() {
            match line.trim().strip_prefix('#') {
                None => writeln!(rest, "{line}").unwrap(),
                Some(directive) => {
                    let mut tokens = directive.split_whitespace();
                    if let (Some("define"), Some(name), Some(value)) =
                        (tokens.next(), tokens.next(), tokens.next())
                        && let Ok(value) = value.trim_matches(['(', ')', 'U', 'u']).parse::<i64>()
                    {
                        header.constants.push((name.into(), value.to_string()));
                    }
                }
            }
        }
        let mut rest = rest.replace("extern \"C\" {", "");
        while let Some((before, body)) = rest.split_once("typedef struct {") {
            let (fields, after) = body.split_once('}').unwrap();
            let (name, after) = after.split_once(';').unwrap();
            header.structures.push(structure(name, fields));
            rest = format!("{before}{after}");
        }
        let rest = rest.replace('}', "");
        for statement in rest.split(';') {
            let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
            match statement.strip_prefix("typedef ") {
                Some(alias) => {
                    if let Some((return_type, rest)) = alias.split_once("(*") {
                        let (name, parameters) = rest.split_once(")(").unwrap();
                        header
                            .callbacks
                            .push(function(return_type, name, parameters));
                    }
                }
                None => {
                    if let Some((start, parameters)) = statement.split_once('(') {
                        let at = start.rfind([' ', '*']).unwrap() + 1;
                        header
                            .functions
                            .push(function(&start[..at], &start[at..], parameters));
                    }
                }
            }
        }
        assert!(
            !header.functions.is_empty(),
            "the header declares no function"
        );
        header
    }
}

fn structure(name: &str, fields: &str) -> Structure {
    let fields = fields
        .split(';')
        .map(str::trim)
        .filter(|field| !field.is_empty());
    Structure {
        name: name.trim().to_owned(),
        fields: fields
            .map(|field| {
                let at = field.rfind([' ', '*']).unwrap() + 1;
                (field[at..].to_owned(), bare(&field[..at]))
            })
            .collect(),
    }
}

fn function(return_type: &str, name: &str, parameters: &str) -> Function {
    let parameters = parameters.trim().trim_end_matches(')').trim();
    Function {
        name: name.trim().to_owned(),
        return_type: bare(return_type),
        parameters: parameters
            .split(',')
            .filter(|parameter| !matches!(parameter.trim(), "" | "void"))
            .map(|parameter| {
                // The name follows the last blank or `*`; every parameter of the header has one.
                let at = parameter.trim_end().rfind([' ', '*']).unwrap() + 1;
                bare(&parameter[..at])
            })
            .collect(),
    }
}

fn bare(written: &str) -> String {
    written
        .replace('*', " * ")
        .split_whitespace()
        .filter(|token| !matches!(*token, "const" | "struct"))
        .collect()
}

fn ctype(written: &str, at: &str, sized: bool) -> String {
    match written {
        "void" => "None",
        "bool" => "c_bool",
        "double" => "c_double",
        "int32_t" | "camunda_status" => "c_int32",
        "int64_t" => "c_int64",
        "uint32_t" => "c_uint32",
        "uint64_t" => "c_uint64",
        "size_t" => "c_size_t",
        // A string with a length may contain NULs, at the first of which c_char_p ends.
        "char*" if sized => "c_void_p",
        "char*" => "c_char_p",
        "char**" => "POINTER(c_char_p)",
        "size_t*" => "POINTER(c_size_t)",
        "int64_t*" => "POINTER(c_int64)",
        pointer if pointer.ends_with("**") => "POINTER(c_void_p)",
        pointer if pointer.ends_with('*') => "c_void_p",
        callback if callback.ends_with("_fn") => callback,
        _ => panic!("no ctypes type for the C type {written} {at}"),
    }
    .to_owned()
}

fn without_comments(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("/*") {
        code.push_str(&rest[..start]);
        rest = rest[start..].split_once("*/").map_or("", |(_, rest)| rest);
    }
    code.push_str(rest);
    code.lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}

// ---- Text -------------------------------------------------------------------------------------

/// Pushes a docstring: paragraphs and lists, then sections; wrapped. Empty sections are left out.
fn push_doc(text: &mut String, indent: usize, doc: &str, sections: &[Section]) {
    let pad = " ".repeat(indent);
    let width = 96 - indent;
    let mut lines: Vec<String> = Vec::new();
    for paragraph in doc.trim().split("\n\n") {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        for item in paragraph.split("\n- ") {
            let listed = !std::ptr::eq(item.as_ptr(), paragraph.as_ptr()) || item.starts_with("- ");
            let item = item.strip_prefix("- ").unwrap_or(item);
            let (first, other) = if listed { ("- ", "  ") } else { ("", "") };
            lines.extend(wrapped(&rust_to_python(item), width, first, other));
        }
    }
    for (title, entries) in sections {
        if entries.is_empty() {
            continue;
        }
        lines.push(String::new());
        lines.push(format!("{title}:"));
        for (name, description) in entries {
            let entry = format!("{name}: {}", rust_to_python(description));
            lines.extend(wrapped(&entry, width, "    ", "        "));
        }
    }
    if lines.len() == 1 && lines[0].len() + indent + 6 <= 100 {
        writeln!(text, "{pad}\"\"\"{}\"\"\"", lines[0]).unwrap();
        return;
    }
    for (number, line) in lines.iter().enumerate() {
        let start = if number == 0 { "\"\"\"" } else { "" };
        writeln!(text, "{}", format!("{pad}{start}{line}").trim_end()).unwrap();
    }
    writeln!(text, "{pad}\"\"\"").unwrap();
}

fn push_comment(text: &mut String, doc: &str) {
    for line in wrapped(&rust_to_python(doc), 92, "# ", "# ") {
        writeln!(text, "    {line}").unwrap();
    }
}

fn wrapped(text: &str, width: usize, first: &str, other: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::from(first);
    let mut empty = true;
    for token in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + token.chars().count() > width {
            lines.push(std::mem::replace(&mut line, other.to_owned()));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(token);
        empty = false;
    }
    lines.push(line);
    lines
}

/// Converts Rust links and paths to plain code.
fn rust_to_python(doc: &str) -> String {
    doc.replace("[`", "`")
        .replace("`]", "`")
        .replace("::", ".")
        .replace('\\', "\\\\")
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for (at, c) in camel.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
