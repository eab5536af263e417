//! Generator of the types, operations and C prototypes of the Python package.
//!
//! Types and operations are generated from the descriptions of the API, prototypes from the C header,
//! so that Python calls exactly the functions that the C ABI exports.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;

use camunda_admin::description::{
    BodyKind, Description, Direction, EnumValue, Field, OPERATIONS, Operation, Presence, TYPES,
    WAITERS, Waiter,
};

use crate::{Generated, NOTICE};

/// The classes with the operations: the prefix of their `sdk_method`, the class name, its docstring.
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

/// Operations that return one field of the response object: their `sdk_method`, and the field.
const ONE_FIELD: &[(&str, &str)] = &[("clusters.create", "cluster_id")];

/// Fields that are times in milliseconds since 1970: the type, and the field in JSON.
const MILLISECONDS: &[(&str, &str)] = &[("AuditEvent", "timestamp")];

/// Response types with hand-written methods in `_model_methods.py`.
const WITH_METHODS: &[&str] = &["Cluster", "CreatedClusterClient", "IpRanges"];

/// Public names of the hand-written modules, in the order of the modules.
const HAND_WRITTEN: &[(&str, &[&str])] = &[
    ("_client", &["AdminClient"]),
    ("_connection", &["Cancel"]),
    (
        "_errors",
        &[
            "ArgumentTypeError",
            "AuthenticationError",
            "CamundaError",
            "CancelledError",
            "ConfigError",
            "ConflictError",
            "DecodeError",
            "FileError",
            "InternalError",
            "InvalidArgumentError",
            "InvalidRequestError",
            "NetworkError",
            "NotFoundError",
            "NotReadyError",
            "OutcomeUnknownError",
            "PermissionDeniedError",
            "RateLimitedError",
            "ServiceError",
            "TimeoutError",
            "WaitFailedError",
        ],
    ),
];

/// Public names of the hand-written modules that are imported when they are first used, as the models
/// and the type aliases are.
const HAND_WRITTEN_LAZY: &[(&str, &[&str])] = &[
    ("_credentials", &["ClusterCredentials"]),
    ("_doctor", &["doctor"]),
    ("_model_base", &["Model", "OpenEnum", "OpenEnumType"]),
    ("_stats", &["Stats"]),
    ("_token", &["Token"]),
    ("_token_source", &["TokenSource"]),
    ("_token_store", &["TokenStore"]),
];

/// Public type aliases, which are in `_types`.
const ALIASES: &[&str] = &[
    "AllowlistEntry",
    "DoctorCheck",
    "DoctorPermission",
    "DoctorReport",
    "DoctorSetting",
    "Id",
    "Idempotency",
    "IpRange",
    "Method",
    "Number",
    "Outcome",
    "Progress",
    "Settings",
    "Stage",
    "StrPath",
    "Timeout",
    "TokenSettings",
];

/// Generates `__init__.py`.
pub(crate) fn init() -> Generated {
    Generated {
        path: "bindings/python/src/camunda_admin/__init__.py",
        text: init_text(),
    }
}

fn init_text() -> String {
    let mut models = vec!["FailoverStep", "Secrets"];
    models.extend(model_names());
    let operations: Vec<&str> = PLACES.iter().map(|(_, class, _)| *class).collect();
    let mut modules: Vec<(&str, Vec<&str>)> = HAND_WRITTEN
        .iter()
        .map(|(module, names)| (*module, names.to_vec()))
        .chain([("_operations", operations)])
        .collect();
    modules.sort_unstable();
    let import = |module: &str, indent: &str, names: &[&str]| {
        let mut text = format!("{indent}from .{module} import (\n");
        for name in names {
            writeln!(text, "{indent}    {name},").unwrap();
        }
        writeln!(text, "{indent})").unwrap();
        text
    };
    let mut text = format!("# {NOTICE}\n");
    text.push_str(include_str!("../templates/__init__.py.in"));
    let mut imports = String::new();
    models.sort_unstable();
    let mut classes = models.clone();
    for (module, names) in &mut modules {
        names.sort_unstable();
        imports.push_str(&import(module, "", names));
        classes.extend(names.iter().copied());
    }
    let mut lazy = import("_models", "    ", &models);
    let mut places = String::new();
    for (module, names) in HAND_WRITTEN_LAZY.iter().chain([&("_types", ALIASES)]) {
        lazy.push_str(&import(module, "    ", names));
        for name in *names {
            writeln!(places, "    \"{name}\": \"{module}\",").unwrap();
        }
        if *module != "_types" {
            classes.extend(*names);
        }
    }
    classes.sort_unstable();
    let quoted_names = |names: &[&str]| {
        let mut text = String::new();
        for name in names {
            writeln!(text, "    \"{name}\",").unwrap();
        }
        text
    };
    text.replace("@IMPORTS@\n", &imports)
        .replace("    @LAZY_IMPORTS@\n", &lazy)
        .replace("@MODULES@\n", &places)
        .replace("@CLASSES@\n", &quoted_names(&classes))
        .replace("@ALIAS_NAMES@\n", &quoted_names(ALIASES))
}

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
    fn of(field: &Field) -> (bool, Type) {
        let written: String = field.rust_type.split_whitespace().collect();
        match inside(&written, "Option") {
            // Ids and times that are documented as required are empty if absent.
            Some(inner) => (field.presence == Presence::Optional, Type::parse(inner)),
            None => (false, Type::parse(&written)),
        }
    }

    /// The type of an argument for a field of a request.
    fn of_argument(field: &Field) -> (bool, Type) {
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
            Type::Number => "Number".into(),
            Type::Time => "datetime".into(),
            Type::Json => "Any".into(),
            Type::Step => "FailoverStep".into(),
            Type::Enum(name) | Type::Object(name) => (*name).into(),
            Type::List(element) => format!("Tuple[{}, ...]", element.hint()),
        }
    }

    /// The type hint of a parameter of the constructor of a response type.
    fn constructor_hint(&self) -> String {
        match self {
            Type::List(element) => format!("Iterable[{}]", element.hint()),
            Type::Enum(_) => "str".into(),
            _ => self.hint(),
        }
    }

    /// The type hint of an argument of an operation.
    fn argument_hint(&self) -> String {
        match self {
            Type::Enum(name) => format!("{name}Value"),
            Type::Id => "Id".into(),
            Type::List(element) => match &**element {
                Type::Object("IpAllowlistEntry") => "Iterable[AllowlistEntry]".into(),
                element => format!("Iterable[{}]", element.argument_hint()),
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

fn models_text() -> String {
    let mut text = format!("# {NOTICE}\n");
    text.push_str(
        "# mypy: disable-error-code=\"no-any-return\"\n\
         \"\"\"The response types and enumerations of the API.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         from ._model_base import FailoverStep, Model, OpenEnum, Secrets, to_datetime, to_json\n\
         from ._model_methods import ",
    );
    let methods: Vec<_> = WITH_METHODS
        .iter()
        .map(|name| format!("{name}Methods"))
        .collect();
    writeln!(text, "{}\n", methods.join(", ")).unwrap();
    text.push_str(
        "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    \
         from datetime import datetime\n    \
         from typing import Any, ClassVar, Iterable, Literal, Mapping, Optional, Tuple, Union\n\n    \
         from ._types import Number\n\n",
    );
    let names = model_names();
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
            Description::Enum { name, doc, values } => push_enum(&mut text, name, doc, values),
            _ => {}
        }
    }
    text.push_str(
        "\n\n# Tracebacks, `repr` and pickles show the name that programs import.\n\
         for _name in __all__:\n    globals()[_name].__module__ = \"camunda_admin\"\n\
         \nif TYPE_CHECKING:\n    # What arguments accept: a constant of the enumeration, or the string of a known value.\n",
    );
    for description in TYPES {
        if let Description::Enum { name, values, .. } = description {
            writeln!(
                text,
                "    {name}Value = Union[\n        {name},\n        Literal["
            )
            .unwrap();
            for value in *values {
                writeln!(text, "            {},", quoted(value.json)).unwrap();
            }
            text.push_str("        ],\n    ]\n");
        }
    }
    text
}

/// The names of the generated types that are public.
fn model_names() -> Vec<&'static str> {
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

fn push_enum(text: &mut String, name: &str, doc: &str, values: &[EnumValue]) {
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
    write!(text, "\n\n_{} = {name}._values\n", snake(name)).unwrap();
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
    text.push_str("\n    def __init__(\n        self,\n");
    for field in &fields {
        let hint = field.kind.constructor_hint();
        let parameter = match field.required {
            true => format!("{}: {hint}", field.name),
            false => format!("{}: Optional[{hint}] = None", field.name),
        };
        writeln!(text, "        {parameter},").unwrap();
    }
    text.push_str(
        "        extra: Optional[Mapping[str, Any]] = None,\n    ) -> None:\n        self._fill(\n            (\n",
    );
    for field in &fields {
        writeln!(text, "                {},", field.name).unwrap();
    }
    text.push_str("            ),\n            extra,\n        )\n");
    for field in &fields {
        let optional = field.optional && !field.required;
        let hint = match optional || !field.kind.has_empty_value() {
            true if matches!(field.kind, Type::Json) => field.kind.hint(),
            true => format!("Optional[{}]", field.kind.hint()),
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
fn python_name(field: &Field) -> &'static str {
    field.name.trim_start_matches("r#")
}

// ---- Operations -------------------------------------------------------------------------------

fn operations_text() -> String {
    let mut text = format!("# {NOTICE}\n");
    text.push_str(
        "\"\"\"The operations and waiters of the API, by resource.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         from ._allowlist import check_allowlist\n\
         from ._arguments import (\n    check_bool,\n    check_count,\n    check_id,\n    check_list,\n    \
         check_str,\n    encode_body,\n    encode_segment,\n)\n\
         from ._connection import Resource\n\
         from ._handle_methods import ClusterClientsMethods, ClusterHandleMethods\n\
         from ._hidden import hide\n\
         from ._lazy import models\n\
         from ._library import lib\n\n\
         TYPE_CHECKING = False\nif TYPE_CHECKING:\n    \
         from typing import IO, Any, Dict, Iterable, Iterator, List, Optional, overload\n\n    \
         from ._connection import Cancel\n    \
         from ._model_base import Secrets\n    \
         from ._types import AllowlistEntry, Id, Progress, Timeout\n    \
         from ._models import (\n",
    );
    let mut imported: Vec<String> = OPERATIONS
        .iter()
        .filter(|operation| one_field(operation).is_none())
        .filter_map(|operation| match operation.response.as_ref()?.kind {
            BodyKind::Object(description) | BodyKind::List(description) => Some(description.name()),
            _ => None,
        })
        .chain(WAITERS.iter().map(|waiter| polled_type(waiter)))
        .map(str::to_owned)
        .collect();
    imported.extend(argument_enums());
    imported.sort_unstable();
    imported.dedup();
    for name in imported {
        writeln!(text, "        {name},").unwrap();
    }
    text.push_str("    )\n\n__all__ = [\n");
    for (_, class, _) in PLACES {
        writeln!(text, "    \"{class}\",").unwrap();
    }
    text.push_str("]\n");
    let mut places: BTreeMap<&str, String> = BTreeMap::new();
    for operation in OPERATIONS {
        let (place, name) = operation
            .sdk_method
            .rsplit_once('.')
            .unwrap_or(("", operation.sdk_method));
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
        let (place, name) = waiter.sdk_method.rsplit_once('.').unwrap();
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

/// The type hints of the arguments that are values of an enumeration.
fn argument_enums() -> Vec<String> {
    let mut hints = Vec::new();
    for operation in OPERATIONS {
        if let Some(BodyKind::Object(Description::Object { fields, .. })) =
            operation.body.as_ref().map(|schema| &schema.kind)
        {
            for field in *fields {
                let mut kind = Type::of(field).1;
                while let Type::List(element) = kind {
                    kind = *element;
                }
                if let Type::Enum(_) = kind {
                    hints.push(kind.argument_hint());
                }
            }
        }
    }
    hints
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
        Some(BodyKind::Secrets) => ("Secrets".to_owned(), Some("models.Secrets".to_owned())),
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
                "lambda response: list(map({}, response))",
                decoder(description)
            )),
        ),
        Some(BodyKind::Csv) => unreachable!("push_csv generates CSV operations"),
    };
    push_signature(text, name, &arguments, &call_options(), &hint);
    let sections = [
        (
            "Args",
            [argument_section(&arguments).1, call_option_entries()].concat(),
        ),
        error_section(operation.documented_errors),
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
    let mut passed = vec![
        format!("lib.{}", operation.c_function),
        quoted(operation.name),
    ];
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
        "        {keyword}self._calls(timeout, cancel).{method}({}){field}",
        passed.join(", ")
    );
    if line.len() <= 100 {
        writeln!(text, "{line}").unwrap();
    } else {
        writeln!(
            text,
            "        {keyword}self._calls(timeout, cancel).{method}(\n            {},\n        ){field}",
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
    let options = call_options().join(", ");
    write!(
        text,
        "\n    if TYPE_CHECKING:\n\n        @overload\n        def {name}(self, *, {options}) -> Iterator[str]: ...\n\n        \
         @overload\n        def {name}(self, file: IO[Any], *, {options}) -> None: ...\n\n    \
         def {name}(\n        self, file: Optional[IO[Any]] = None, *, {options}\n    ) -> Optional[Iterator[str]]:\n"
    )
    .unwrap();
    let file = "A text or binary file object that receives the data piece by piece. None: the method \
                reads the whole response and returns its lines with their line ends, as `csv.reader` \
                expects them.";
    let sections = [
        (
            "Args",
            [
                vec![("file".to_owned(), file.to_owned())],
                call_option_entries(),
            ]
            .concat(),
        ),
        error_section(operation.documented_errors),
    ];
    push_doc(text, 8, &imperative(operation.doc), &sections);
    writeln!(
        text,
        "        return self._calls(timeout, cancel).call_csv(lib.{}, {}, file)",
        operation.c_function,
        quoted(operation.name)
    )
    .unwrap();
}

/// The parameters that every operation has.
fn call_options() -> [String; 2] {
    [
        "timeout: Optional[Timeout] = None".to_owned(),
        "cancel: Optional[Cancel] = None".to_owned(),
    ]
}

fn call_option_entries() -> Vec<(String, String)> {
    let entry = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    vec![
        entry(
            "timeout",
            "Deadline of the call in seconds, or as a `timedelta`. Default: that of the client.",
        ),
        entry(
            "cancel",
            "A handle that cancels the call. Default: that of `AdminClient.with_options`.",
        ),
    ]
}

fn push_waiter(text: &mut String, waiter: &Waiter, name: &str) {
    let arguments = path_arguments(waiter.arguments.iter().copied(), "cluster");
    let shown = polled_type(waiter);
    let hint = waiter.response.map_or("None", |resource| resource.name());
    let options = [
        "timeout: Optional[Timeout] = None".to_owned(),
        "max_poll_interval: Optional[Timeout] = None".into(),
        format!("progress: Progress[{shown}] = None"),
        "cancel: Optional[Cancel] = None".into(),
    ];
    push_signature(text, name, &arguments, &options, hint);
    let entry = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let progress = format!(
        "A function that is called with the {shown} after each poll, or True for a display: an \
         output of the cell in a notebook, a line on a terminal, else lines on standard error."
    );
    let arguments_with_options = [
        argument_section(&arguments).1,
        vec![
            entry(
                "timeout",
                "Deadline of the wait in seconds, or as a `timedelta`. Default: that of \
                 `AdminClient.with_options`, else 30 minutes.",
            ),
            entry(
                "max_poll_interval",
                "Maximum time between two polls in seconds, or as a `timedelta`. Default: 10.",
            ),
            entry("progress", &progress),
            entry(
                "cancel",
                "A handle that cancels the wait. Default: that of `AdminClient.with_options`.",
            ),
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
    let decode = format!("models.{shown}._of");
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
        "        {keyword}self._calls(timeout, cancel).{method}(\n            lib.{},\n            {},\n            \
         {decode},\n            ({},),\n            max_poll_interval,\n            \
         progress,\n        )",
        waiter.c_function,
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
    format!("models.{}._of", description.name())
}

fn one_field(operation: &Operation) -> Option<&'static str> {
    ONE_FIELD
        .iter()
        .find(|(call, _)| *call == operation.sdk_method)
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
            // Secrets and members have names; all other resources have ids.
            let is_id = !matches!(name, "secretName" | "email");
            Argument {
                hint: if is_id { "Id" } else { "str" }.into(),
                value: match is_id {
                    true => {
                        format!("encode_segment(\"{python}\", check_id(\"{python}\", {python}))")
                    }
                    false => format!("encode_segment(\"{python}\", {python})"),
                },
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
        .find(|(call, _)| *call == operation.sdk_method)
        .and_then(|(_, fields)| fields.iter().find(|(json, _)| *json == field.json));
    let name = by_position
        .map_or(python_name(field), |(_, name)| name)
        .to_owned();
    let (optional, kind) = Type::of_argument(field);
    let hint = kind.argument_hint();
    let not_empty = operation
        .non_empty
        .iter()
        .find(|(json, _)| *json == field.json);
    // All types are checked in Python: an error message of the library has names of the JSON body.
    let value = match &kind {
        Type::List(element) => match **element {
            Type::Object("IpAllowlistEntry") => format!("check_allowlist(\"{name}\", {name})"),
            ref element => {
                let check = match element {
                    Type::Id => "check_id",
                    _ => "check_str",
                };
                let advice = not_empty
                    .map(|(_, advice)| format!(", {}", quoted(advice)))
                    .unwrap_or_default();
                format!("check_list(\"{name}\", {name}, {check}{advice})")
            }
        },
        Type::Id => format!("check_id(\"{name}\", {name})"),
        Type::Str | Type::Secret | Type::Enum(_) => format!("check_str(\"{name}\", {name})"),
        Type::Bool => format!("check_bool(\"{name}\", {name})"),
        Type::Int => format!("check_count(\"{name}\", {name})"),
        _ => panic!(
            "{}: no check for an argument like {}",
            operation.name, field.json
        ),
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
         from __future__ import annotations\n\n\
         from ctypes import (\n    CFUNCTYPE,\n    POINTER,\n    Structure,\n    c_bool,\n    c_char_p,\n    \
         c_double,\n    c_int32,\n    c_int64,\n    c_size_t,\n    c_uint32,\n    c_uint64,\n    c_void_p,\n)\n\n\
         TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from typing import Any, Dict, Tuple\n\n\
         ",
    );
    let pointers: BTreeSet<String> = header
        .functions
        .iter()
        .flat_map(|function| function.ctypes(false))
        .filter(|kind| kind.starts_with("POINTER("))
        .collect();
    for pointer in &pointers {
        writeln!(text, "{} = {pointer}", pointer_name(pointer)).unwrap();
    }
    text.push('\n');
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
        "\n\n#: The return type and the argument types of each function.\n\
         PROTOTYPES: Dict[str, Tuple[Any, Tuple[Any, ...]]] = {\n",
    );
    for function in &header.functions {
        let sized = function
            .parameters
            .iter()
            .any(|parameter| parameter.ends_with("size_t*"));
        let result = ctype(&function.return_type, "", sized);
        let types: Vec<_> = function
            .ctypes(false)
            .into_iter()
            .map(|kind| match kind.starts_with("POINTER(") {
                true => pointer_name(&kind),
                false => kind,
            })
            .collect();
        let comma = if types.len() == 1 { "," } else { "" };
        let line = format!(
            "    \"{}\": ({result}, ({}{comma})),",
            function.name,
            types.join(", ")
        );
        if line.len() <= 100 {
            writeln!(text, "{line}").unwrap();
        } else {
            writeln!(
                text,
                "    \"{}\": (\n        {result},\n        (",
                function.name
            )
            .unwrap();
            for kind in types {
                writeln!(text, "            {kind},").unwrap();
            }
            text.push_str("        ),\n    ),\n");
        }
    }
    text.push_str("}\n");
    text
}

/// The name of a pointer type that several prototypes have: `_void_p_p` for `POINTER(c_void_p)`.
fn pointer_name(pointer: &str) -> String {
    let target = pointer.trim_start_matches("POINTER(").trim_end_matches(')');
    format!("_{}_p", target.trim_start_matches("c_"))
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
