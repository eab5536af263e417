//! Cases that follow from the description of an operation: for every operation on a cluster, a cluster that
//! does not exist and one of another organization; for every operation with a token, credentials without
//! permission.

use camunda_admin::description::{OPERATIONS, Operation};
use serde_json::{Value, json};

use crate::table::Case;

/// Id of a resource that does not exist.
const UNKNOWN: &str = "no-such";

/// Returns the derived cases. Their bodies are those of the cases of `table` in which the operations succeed;
/// `coverage` requires such a case of every operation.
pub(crate) fn cases(table: &[Case]) -> Vec<Case> {
    let body = |operation: &Operation| {
        let mut succeeds = table
            .iter()
            .filter(|case| case.then.error.is_none() && case.when.call == operation.sdk_method);
        succeeds.find_map(|case| case.when.body.as_ref().map(without_names))
    };
    OPERATIONS
        .iter()
        .flat_map(|operation| of_operation(operation, body(operation)))
        .collect()
}

fn of_operation(operation: &Operation, body: Option<Value>) -> Vec<Case> {
    let mut cases = Vec::new();
    let arguments: Vec<&str> = operation.arguments().map(|_| UNKNOWN).collect();
    if operation.path.contains("{clusterUuid}") {
        cases.push(case(
            operation,
            "is_not_found_for_an_unknown_cluster",
            json!([]),
            call(operation, &arguments, &body),
            (404, "no such cluster"),
            "cluster no-such not found",
        ));
        let documented = (403, "cluster belongs to another organization");
        let (error, message) = match is_documented(operation, documented) {
            true => (documented, "You are not supposed to be here"),
            false => ((404, "no such cluster"), " not found"),
        };
        let mut arguments = arguments.clone();
        arguments[0] = "$c";
        cases.push(case(
            operation,
            "is_rejected_for_another_organization",
            json!([{ "cluster": {}, "as": "c" }, { "other_organization": { "cluster": "$c" } }]),
            call(operation, &arguments, &body),
            error,
            message,
        ));
    }
    if operation.authenticated {
        let mut when = call(operation, &arguments, &body);
        when["with"] = "$k".into();
        cases.push(case(
            operation,
            "is_rejected_without_permission",
            json!([{ "credentials": { "permissions": [] }, "as": "k" }]),
            when,
            (403, "missing permission"),
            "the credentials lack the permission",
        ));
    }
    cases
}

fn call(operation: &Operation, arguments: &[&str], body: &Option<Value>) -> Value {
    let mut call = json!({ "call": operation.sdk_method, "arguments": arguments });
    if let Some(body) = body {
        call["body"] = body.clone();
    }
    call
}

/// Returns a case in which one request is rejected with that status and server message.
fn case(
    operation: &Operation,
    behavior: &str,
    given: Value,
    when: Value,
    error: (u16, &str),
    server_message: &str,
) -> Case {
    let (status, reason) = error;
    let request = format!("{} {}", operation.method, operation.path);
    let case = json!({
        "name": format!("{}_{behavior}", operation.sdk_method.replace('.', "_")),
        "covers": is_documented(operation, error).then_some(reason),
        "given": given,
        "when": when,
        "then": {
            "error": {
                "http_status": status,
                "message": format!("{}: rejected with HTTP {status}: ", operation.name),
                "server_message": server_message,
                "body": server_message,
                "attempts": 1,
            },
            "requests": { request: 1 },
        },
    });
    serde_json::from_value(case).expect("a valid case")
}

/// Returns whether an operation documents an error reason, which can be one of several in a description.
fn is_documented(operation: &Operation, (status, reason): (u16, &str)) -> bool {
    operation
        .documented_errors
        .iter()
        .any(|(documented, text)| *documented == status && text.contains(reason))
}

/// Returns the body with ids that do not exist instead of `$name` strings.
fn without_names(body: &Value) -> Value {
    match body {
        Value::String(text) if text.starts_with('$') => UNKNOWN.into(),
        Value::Array(elements) => elements.iter().map(without_names).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), without_names(value)))
            .collect(),
        _ => body.clone(),
    }
}
