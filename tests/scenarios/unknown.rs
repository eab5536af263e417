//! Fields and enum values of results that the library does not know.
//!
//! The library preserves unknown names, so a misspelled JSON name in a description would decode and encode
//! without an error. Scenarios therefore compare the names in each result with the descriptions.

use camunda_admin::description::{BodyKind, Description, OPERATIONS, TYPES, WAITERS};
use serde_json::Value;

/// Returns the JSON paths of fields and enum values in the result of `call` that the library does not know.
pub(crate) fn unknown_names(call: &str, result: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    if let Some(description) = result_type(call) {
        collect(description, result, "result", &mut unknown);
    }
    unknown
}

/// The type of a result, or of the elements of a list.
fn result_type(call: &str) -> Option<&'static Description> {
    let waiter = WAITERS.iter().find(|waiter| waiter.sdk_method == call);
    if let Some(waiter) = waiter {
        return waiter.response;
    }
    // The typed languages return only the id.
    if call == "clusters.create" {
        return None;
    }
    let operation = OPERATIONS
        .iter()
        .find(|operation| operation.sdk_method == call)?;
    match &operation.response.as_ref()?.kind {
        BodyKind::Object(description) | BodyKind::List(description) => Some(description),
        BodyKind::Secrets | BodyKind::Csv => None,
    }
}

fn collect(description: &Description, value: &Value, path: &str, unknown: &mut Vec<String>) {
    match (description, value) {
        (_, Value::Array(elements)) => {
            for (index, element) in elements.iter().enumerate() {
                collect(description, element, &format!("{path}[{index}]"), unknown);
            }
        }
        (Description::Object { fields, .. }, Value::Object(object)) => {
            for (name, value) in object {
                let path = format!("{path}.{name}");
                match fields.iter().find(|field| field.json == name) {
                    None => unknown.push(path),
                    Some(field) => {
                        if let Some(description) = type_in(field.rust_type) {
                            collect(description, value, &path, unknown);
                        }
                    }
                }
            }
        }
        // A typed language reads an absent value as an empty string.
        (Description::Enum { values, .. }, Value::String(string))
            if !string.is_empty() && !values.iter().any(|value| value.json == string) =>
        {
            unknown.push(format!("{path} = {string:?}"));
        }
        _ => {}
    }
}

/// The described type in a Rust type such as `Option < Vec < Generation > >`.
fn type_in(rust_type: &str) -> Option<&'static Description> {
    rust_type
        .split(|c: char| !c.is_alphanumeric())
        .find_map(|name| {
            let mut types = TYPES.iter();
            types
                .find(|description| description.name() == name)
                .copied()
        })
}

#[test]
fn unknown_names_lists_unknown_fields_and_enum_values_with_their_paths() {
    let result = serde_json::json!([{
        "uuid": "a",
        "novel": 1,
        "status": { "ready": "Healthy", "zeebeStatus": "Odd", "novel": {} },
        "generation": { "uuid": "g", "names": "8.8" },
    }]);
    let mut unknown = unknown_names("clusters.list", &result);
    unknown.sort();
    assert_eq!(
        unknown,
        [
            "result[0].generation.names",
            "result[0].novel",
            "result[0].status.novel",
            "result[0].status.zeebeStatus = \"Odd\"",
        ]
    );
    assert_eq!(unknown_names("request", &result), [""; 0]);
}
