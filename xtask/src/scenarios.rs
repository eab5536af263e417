//! Generates the calls of the scenario drivers in languages that cannot look up a function by its name:
//! Rust and C++.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use camunda_admin::description::{
    BodyKind, BodySchema, Description, Field, OPERATIONS, Operation, TYPES, WAITERS, Waiter,
};

use crate::cpp::{cpp_name, is_passed_as_arguments};
use crate::identifiers::{id_type, polled_type};
use crate::{Generated, NOTICE};

/// Calls that the drivers make by hand, because their results are not encoded as those of others.
const BY_HAND: [&str; 2] = ["clusters.create", "activity.csv"];

/// Generates the entries of the C++ driver's table.
pub(crate) fn cpp() -> Generated {
    let mut text = format!("// {NOTICE}\n\n");
    for operation in operations() {
        let mut arguments = path_arguments(operation, |_, index| format!("request.text({index})"));
        if let Some((name, fields)) = body(operation.body.as_ref()) {
            match is_passed_as_arguments(name) {
                true => arguments.extend(fields.iter().map(|field| {
                    format!("request.body<detail::{name}>().{}", cpp_name(field.name))
                })),
                false => arguments.push(format!("request.body<{name}>()")),
            }
        }
        let has_value = operation.response.is_some();
        push_entry(&mut text, operation.sdk_method, &arguments, has_value);
    }
    for waiter in WAITERS {
        let mut arguments = waiter_arguments(waiter, |_, index| format!("request.text({index})"));
        arguments.push(format!("request.wait<{}>()", polled_type(waiter)));
        let has_value = waiter.response.is_some();
        push_entry(&mut text, waiter.sdk_method, &arguments, has_value);
    }
    Generated {
        path: "tests/scenarios/calls_generated.hpp",
        text,
    }
}

fn push_entry(text: &mut String, call: &str, arguments: &[String], has_value: bool) {
    let mut parts: Vec<&str> = call.split('.').collect();
    let method = cpp_name(parts.pop().unwrap());
    let mut handle = String::new();
    for (index, part) in parts.into_iter().enumerate() {
        match (index, part) {
            (0, "cluster") => handle.push_str("CLUSTER."),
            (0, part) => write!(handle, "admin.{part}().").unwrap(),
            (_, part) => write!(handle, "{part}().").unwrap(),
        }
    }
    if handle.is_empty() {
        handle.push_str("admin.");
    }
    let kind = match has_value {
        true => "CALL_VALUE",
        false => "CALL_VOID",
    };
    let arguments = arguments.join(", ");
    writeln!(text, "{kind}(\"{call}\", {handle}{method}({arguments})),").unwrap();
}

/// Generates the calls of the Rust driver.
pub(crate) fn rust() -> Generated {
    let (mut of_cluster, mut others) = (String::new(), String::new());
    let mut push = |call: &str, arguments: &[String]| {
        let (text, call) = match call.strip_prefix("cluster.") {
            Some(call) => (&mut of_cluster, call),
            None => (&mut others, call),
        };
        let (handle, method) = call.rsplit_once('.').unwrap_or(("", call));
        let arguments = arguments.join(", ");
        writeln!(text, "        [{handle}] {method}({arguments});").unwrap();
    };
    for operation in operations() {
        let mut arguments = path_arguments(operation, typed);
        if let Some((name, fields)) = body(operation.body.as_ref()) {
            match is_passed_as_arguments(name) {
                true => arguments.extend(fields.iter().map(|field| {
                    let borrow = if is_by_value(field.rust_type) {
                        ""
                    } else {
                        "&"
                    };
                    format!("{borrow}request.fields()?.{}", field.name)
                })),
                false => arguments.push("&request.body()?".to_owned()),
            }
        }
        push(operation.sdk_method, &arguments);
    }
    let mut used = BTreeSet::new();
    let arguments = arguments(&mut used);
    let path_arguments = operations().flat_map(Operation::arguments);
    let waiter_names = WAITERS.iter().flat_map(|waiter| waiter.arguments).copied();
    used.extend(
        path_arguments
            .chain(waiter_names)
            // The drivers create the handle of the cluster.
            .filter(|name| *name != "clusterUuid")
            .filter_map(id_type),
    );
    let used: String = used
        .iter()
        .map(|name| format!("use camunda_admin::{name};\n"))
        .collect();
    for waiter in WAITERS {
        let mut arguments = waiter_arguments(waiter, typed);
        arguments.push("&request.wait()".to_owned());
        push(waiter.sdk_method, &arguments);
    }
    Generated {
        path: "tests/scenarios/rust_calls_generated.rs",
        text: format!(
            "// {NOTICE}\n\n\
             //! The calls of the operations and waiters.\n\n\
             {used}\n\
             use super::*;\n\n\
             {arguments}\n\
             pub(super) fn call(\n    admin: &AdminClient,\n    name: &str,\n    request: &Request<'_>,\n\
             ) -> Result<String, Failure> {{\n    make_call! {{ name, \"\", admin:\n{others}    }}\n}}\n\n\
             pub(super) fn cluster_call(\n    cluster: &ClusterHandle,\n    name: &str,\n    \
             request: &Request<'_>,\n) -> Result<String, Failure> {{\n    \
             make_call! {{ name, \"cluster.\", cluster:\n{of_cluster}    }}\n}}\n"
        ),
    }
}

/// Returns whether a method takes an argument of this type by value: a number, a boolean, an enumeration value
/// or a secret.
fn is_by_value(rust_type: &str) -> bool {
    matches!(rust_type, "Secret" | "bool" | "u32")
        || TYPES
            .iter()
            .any(|known| matches!(known, Description::Enum { name, .. } if *name == rust_type))
}

/// Generates the type of the body fields that are arguments of a method, and adds the types of the library
/// that it uses to `used`.
fn arguments(used: &mut BTreeSet<&'static str>) -> String {
    let mut members = BTreeMap::new();
    for (name, fields) in operations().filter_map(|operation| body(operation.body.as_ref())) {
        if !is_passed_as_arguments(name) {
            continue;
        }
        for field in fields {
            let rust_type: String = field.rust_type.split_whitespace().collect();
            let names = field.rust_type.split(|c: char| !c.is_alphanumeric());
            used.extend(names.filter(|name| {
                *name == "Secret" || TYPES.iter().any(|known| known.name() == *name)
            }));
            let member = (rust_type, field.json);
            let other = members.insert(field.name, member.clone());
            assert!(
                other.is_none_or(|other| other == member),
                "two arguments `{}` of different types",
                field.name
            );
        }
    }
    let mut text = String::from(
        "/// Body fields that are method arguments in Rust.\n#[derive(Default, Deserialize)]\n\
         #[serde(default)]\npub(super) struct Arguments {\n",
    );
    for (name, (rust_type, json)) in members {
        if name != json {
            writeln!(text, "    #[serde(rename = \"{json}\")]").unwrap();
        }
        writeln!(text, "    {name}: {rust_type},").unwrap();
    }
    text.push_str("}\n");
    text
}

/// Returns the argument at `index` of a request as its type in Rust.
fn typed(name: &str, index: usize) -> String {
    match id_type(name) {
        Some(id) => format!("&{id}::new(request.argument({index}))?"),
        None => format!("request.argument({index})"),
    }
}

fn operations() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS
        .iter()
        .copied()
        .filter(|operation| !BY_HAND.contains(&operation.sdk_method))
}

/// Returns the arguments of a call, other than the id of its handle.
fn path_arguments(operation: &Operation, argument: fn(&str, usize) -> String) -> Vec<String> {
    let skipped = usize::from(operation.sdk_method.starts_with("cluster."));
    let names = operation.arguments().enumerate().skip(skipped);
    names.map(|(index, name)| argument(name, index)).collect()
}

fn waiter_arguments(waiter: &Waiter, argument: fn(&str, usize) -> String) -> Vec<String> {
    let names = waiter.arguments.iter().enumerate().skip(1);
    names.map(|(index, name)| argument(name, index)).collect()
}

fn body(schema: Option<&BodySchema>) -> Option<(&'static str, &'static [Field])> {
    match &schema?.kind {
        BodyKind::Object(Description::Object { name, fields, .. }) => Some((name, fields)),
        _ => None,
    }
}
