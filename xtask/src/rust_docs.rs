//! Test that the Rust methods of operations exist under the names of the API description, and that
//! their `# Errors` sections list its error responses.

use std::fs;

use camunda_admin::description::{OPERATIONS, Operation};

use crate::root;

/// A public method of a file in `src/api`.
struct Method {
    name: String,
    /// Doc comment, with single spaces.
    doc: String,
    /// Source from the signature to the closing brace.
    body: String,
}

/// Returns the public methods of a source file.
fn methods(source: &str) -> Vec<Method> {
    let mut methods = Vec::new();
    let mut doc = String::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let text = line.trim_start();
        if let Some(comment) = text.strip_prefix("///") {
            doc.push_str(comment);
        } else if let Some(signature) = line.strip_prefix("    pub fn ") {
            let name = signature.split(['(', '<']).next().unwrap_or_default();
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "    }").collect();
            methods.push(Method {
                name: name.trim_start_matches("r#").to_owned(),
                doc: doc.split_whitespace().collect::<Vec<_>>().join(" "),
                body: body.join("\n"),
            });
            doc.clear();
        } else if !text.starts_with("#[") {
            doc.clear();
        }
    }
    methods
}

/// Returns the documented error responses as methods state them: `403 no permission; 404 no backup`.
fn responses(operation: &Operation) -> String {
    let responses: Vec<String> = operation
        .documented_errors
        .iter()
        .map(|(status, reason)| format!("{status} {reason}"))
        .collect();
    responses.join("; ")
}

/// Returns whether a part of `body` is the static `name`.
fn uses(body: &str, name: &str) -> bool {
    body.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .any(|part| part == name)
}

/// Compares the methods with the description of one operation.
fn problem(operation: &Operation, methods: &[Method]) -> Option<String> {
    let call = operation.sdk_method;
    let name = call.rsplit('.').next().unwrap_or(call);
    let method = methods
        .iter()
        .find(|method| method.name == name && uses(&method.body, &name.to_uppercase()));
    let Some(method) = method else {
        return Some(format!(
            "{call}: no method `{name}` uses the static `{}`",
            name.to_uppercase()
        ));
    };
    let section = method.doc.split_once("# Errors ").map_or("", |(_, it)| it);
    let section = section.split(" # ").next().unwrap_or_default();
    let expected = responses(operation);
    if let Some(rest) = section.strip_prefix(expected.as_str()) {
        let is_status = |part: &&str| part.len() == 3 && part.parse::<u16>().is_ok();
        let undescribed = rest
            .split(|c: char| !c.is_ascii_alphanumeric())
            .find(is_status)?;
        return Some(format!(
            "{call}: `# Errors` has {undescribed}, which is not in Operation::documented_errors"
        ));
    }
    Some(format!(
        "{call}: `# Errors` must begin with `{expected}`, found `{section}`"
    ))
}

#[test]
fn methods_document_the_error_responses_of_their_operation() {
    let file = |module: &str| {
        let path = root().join(format!("src/api/{module}.rs"));
        methods(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}")))
    };
    let problems: Vec<String> = OPERATIONS
        .iter()
        .filter_map(|operation| {
            let module = match operation.sdk_method.rsplit_once('.') {
                None => "meta",
                Some(("cluster", _)) => "cluster_operations",
                Some(("cluster.clients", _)) => "cluster_clients",
                Some((place, _)) => place.rsplit('.').next().unwrap_or(place),
            };
            problem(operation, &file(module))
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
