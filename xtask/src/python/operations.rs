//! Generator of `_operations.py`: the methods of the operations and waiters, by resource.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use camunda_admin::Idempotency;
use camunda_admin::description::{
    BodyKind, Description, Field, OPERATIONS, Operation, WAITERS, Waiter,
};

use super::docstring::{Section, push_doc, quoted};
use super::models::{Type, one_field, python_name};
use crate::identifiers::{polled_type, snake};
use crate::{Generated, NOTICE};

/// The classes with the operations: the prefix of their `sdk_method`, the class name, its docstring.
pub(super) const PLACES: &[(&str, &str, &str)] = &[
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

/// Returns whether a request field is a positional argument of the method.
pub(crate) fn is_by_position(call: &str, json: &str) -> bool {
    let fields = BY_POSITION.iter().filter(|(known, _)| *known == call);
    fields
        .flat_map(|(_, fields)| *fields)
        .any(|(known, _)| *known == json)
}

/// Generates `_operations.py`.
pub(crate) fn operations() -> Generated {
    Generated {
        path: "bindings/python/src/camunda_admin/_operations.py",
        text: text(),
    }
}

fn text() -> String {
    let mut text = format!("# {NOTICE}\n");
    text.push_str(
        "\"\"\"The operations and waiters of the API, by resource.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         from ._allowlist import check_allowlist\n\
         from ._arguments import (\n    check_bool,\n    check_count,\n    check_id,\n    check_list,\n    \
         check_str,\n    encode_body,\n    encode_segment,\n)\n\
         from ._connection import Cancel, Resource\n\
         from ._handle_methods import ClusterClientsMethods, ClusterHandleMethods\n\
         from ._hidden import hide\n\
         from ._lazy import models, t, types, values\n\
         from ._library import lib\n\n\
         TYPE_CHECKING = False\n",
    );
    text.push_str("\n__all__ = [\n");
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
    let (hint, decode) = result(operation);
    push_signature(text, name, &arguments, &call_options(), &hint);
    let sections = [
        (
            "Args",
            [argument_section(&arguments).1, call_option_entries()].concat(),
        ),
        error_section(operation.documented_errors),
    ];
    push_doc(text, 8, &imperative(operation.doc), &sections);
    // A traceback may show local variables, so secrets are wrapped.
    for argument in arguments.iter().filter(|argument| argument.secret) {
        writeln!(text, "        {0} = hide({0})", argument.name).unwrap();
    }
    if operation.body.is_some() {
        push_body(text, &arguments);
    }
    push_call(text, operation, &arguments, decode);
}

/// Returns the type hint of an operation's result, and the expression that decodes the response.
fn result(operation: &Operation) -> (String, Option<String>) {
    match operation.response.as_ref().map(|schema| &schema.kind) {
        None => ("None".to_owned(), None),
        Some(BodyKind::Secrets) => (
            "models.Secrets".to_owned(),
            Some("models.Secrets".to_owned()),
        ),
        Some(BodyKind::Object(description)) => {
            let hint = match one_field(operation) {
                Some(_) => "str".to_owned(),
                None => format!("models.{}", description.name()),
            };
            (hint, Some(decoder(description)))
        }
        Some(BodyKind::List(description)) => (
            format!("t.List[models.{}]", description.name()),
            Some(format!(
                "lambda response: list(map({}, response))",
                decoder(description)
            )),
        ),
        Some(BodyKind::Csv) => unreachable!("push_csv generates CSV operations"),
    }
}

/// Pushes the statements that put the arguments into the body.
fn push_body(text: &mut String, arguments: &[Argument]) {
    let in_body = arguments.iter().filter(|argument| argument.json.is_some());
    let (optional, required): (Vec<&Argument>, Vec<&Argument>) =
        in_body.partition(|argument| argument.optional);
    if required.is_empty() {
        text.push_str("        body: t.Dict[str, t.Any] = {}\n");
    } else {
        text.push_str("        body: t.Dict[str, t.Any] = {\n");
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

/// Pushes the statement that calls the C function and returns its result.
fn push_call(
    text: &mut String,
    operation: &Operation,
    arguments: &[Argument],
    decode: Option<String>,
) {
    let (method, keyword) = match decode {
        Some(_) => ("call_value", "return "),
        None => ("call_void", ""),
    };
    let is_change = decode.is_some() && operation.idempotency != Idempotency::Safe;
    let mut passed = vec![
        format!("lib.{}", operation.c_function),
        quoted(operation.name),
    ];
    passed.extend(decode);
    passed.extend(has_id(operation.arguments()).then(|| "self._id".to_owned()));
    let in_path = arguments.iter().filter(|argument| argument.json.is_none());
    passed.extend(in_path.map(|argument| argument.value.clone()));
    if operation.body.is_some() {
        passed.push("*encode_body(body)".into());
    }
    if is_change {
        passed.push("is_change=True".into());
    }
    let field = one_field(operation)
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
        "\n    if TYPE_CHECKING:\n\n        @t.overload\n        def {name}(self, *, {options}) -> t.Iterator[str]: ...\n\n        \
         @t.overload\n        def {name}(self, file: t.IO[t.Any], *, {options}) -> None: ...\n\n    \
         def {name}(\n        self, file: t.Optional[t.IO[t.Any]] = None, *, {options}\n    ) -> t.Optional[t.Iterator[str]]:\n"
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
        "timeout: t.Optional[types.Timeout] = None".to_owned(),
        "cancel: t.Optional[Cancel] = None".to_owned(),
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
    let hint = waiter.response.map_or_else(
        || "None".to_owned(),
        |resource| format!("models.{}", resource.name()),
    );
    let options = [
        "timeout: t.Optional[types.Timeout] = None".to_owned(),
        "max_poll_interval: t.Optional[types.Timeout] = None".into(),
        format!("progress: types.Progress[models.{shown}] = None"),
        "cancel: t.Optional[Cancel] = None".into(),
    ];
    push_signature(text, name, &arguments, &options, &hint);
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

fn decoder(description: &Description) -> String {
    format!("models.{}._of", description.name())
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
                hint: if is_id { "types.Id" } else { "str" }.into(),
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
            format!("t.Optional[{hint}]")
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
