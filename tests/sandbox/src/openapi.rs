//! OpenAPI description of the API, the token endpoint and the control API.
//!
//! Objects and operations are from the API reference, see `schemas.txt` and
//! [`operations`].

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use crate::operations::{self, Operation};

/// Objects and enumerations of the API, one per line.
///
/// `Name: field type, field? type` has optional fields with a question mark; `[T]` is an array.
/// `Name = a | b` is an enumeration. A `text` is a string that is not empty.
const SCHEMAS: &str = include_str!("schemas.txt");

/// Control requests: method, path, summary, description of the JSON body, statuses.
#[rustfmt::skip]
const CONTROLS: [(&str, &str, &str, &str, &str); 15] = [
    ("get", "/_sandbox/health", "report that the server is running", "", "200"),
    ("get", "/_sandbox/stats", "get request counters", "", "200"),
    ("get", "/_sandbox/requests", "list received requests", "", "200 400"),
    ("delete", "/_sandbox/requests", "clear the request log", "", "204"),
    ("get", "/_sandbox/faults", "list faults", "", "200 400"),
    ("post", "/_sandbox/faults", "add a fault", "conditions and effects", "201 400 415"),
    ("delete", "/_sandbox/faults", "remove all faults", "", "204"),
    ("get", "/_sandbox/faults/{id}", "get a fault", "", "200 404"),
    ("delete", "/_sandbox/faults/{id}", "remove a fault", "", "204 404"),
    ("post", "/_sandbox/control", "change the state", "changes by name", "200 400 415"),
    ("get", "/_sandbox/state", "get the state", "", "200"),
    ("put", "/_sandbox/state", "replace the state", "state, or parts of it", "204 400 415"),
    ("get", "/_sandbox/clock", "get the clock", "", "200"),
    ("post", "/_sandbox/clock", "change the clock", "now, advance_ms, frozen", "200 400 415"),
    ("post", "/_sandbox/reset", "restore the initial state", "keep_credentials", "204 400 415"),
];

/// Returns the OpenAPI description of a server with this base URL.
pub(crate) fn description(base_url: &str) -> Value {
    let mut paths = Map::new();
    let mut add = |method: &str, path: &str, operation: Value| {
        let entry = paths.entry(path).or_insert_with(|| json!({}));
        entry[method.to_ascii_lowercase()] = operation;
    };
    for operation in operations::all() {
        add(operation.method, operation.path, describe(operation));
    }
    add("post", "/oauth/token", token_endpoint());
    for (path, summary, statuses) in [
        (
            "/.well-known/jwks.json",
            "get the keys of signed tokens",
            "200 404",
        ),
        (
            "/.well-known/openid-configuration",
            "get the OAuth metadata",
            "200",
        ),
    ] {
        let operation = simple("OAuth", "get", path, summary, "", statuses);
        add("get", path, operation);
    }
    for (method, path, summary, body, statuses) in CONTROLS {
        let operation = simple("Control", method, path, summary, body, statuses);
        add(method, path, operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Camunda 8 Administration API (mock server)",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{ "url": base_url }],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {
                    "type": "oauth2",
                    "flows": { "clientCredentials": {
                        "tokenUrl": format!("{base_url}/oauth/token"),
                        "scopes": {},
                    } },
                },
            },
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": camel_case(operation.summary),
        "summary": operation.summary,
        "tags": [tag(operation.path)],
        "parameters": parameters(operation.path),
    });
    if operation.deprecated {
        described["deprecated"] = true.into();
    }
    if operation.has_body() {
        described["requestBody"] = json_body(schema(operation.request));
    }
    let mut responses = Map::new();
    let status = match operation.response {
        "" => "204",
        _ => "200",
    };
    let mut success = json!({ "description": reason(status) });
    if operation.response == "csv" {
        success["content"] = json!({ "text/csv": { "schema": { "type": "string" } } });
    } else if !operation.response.is_empty() {
        success["content"] =
            json!({ "application/json": { "schema": schema(operation.response) } });
    }
    responses.insert(status.into(), success);
    let mut errors: Vec<&str> = operation.errors.split_whitespace().collect();
    if operation.has_body() {
        errors.extend(["400", "415"]);
    }
    match operation.permission() {
        None => described["security"] = json!([]),
        Some(permission) => {
            described["security"] = json!([{ "token": [] }]);
            described["description"] =
                format!("Requires the permission `{}`.", permission.name()).into();
            errors.extend(["401", "403"]);
        }
    }
    // The reference does not list it for every operation on a cluster.
    if operation.path.contains("{clusterUuid}") {
        errors.push("404");
    }
    for status in errors {
        let media_types: &[&str] = match (operation.has_text_errors(), status) {
            // A missing permission is reported as by any operation.
            (true, "403") => &["application/json", "text/plain"],
            (true, status) if status != "401" => &["text/plain"],
            _ => &["application/json"],
        };
        responses.insert(status.into(), error_response(status, media_types));
    }
    described["responses"] = responses.into();
    described
}

fn token_endpoint() -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "grant_type": { "const": "client_credentials" },
            "audience": { "type": "string" },
            "client_id": { "type": "string" },
            "client_secret": { "type": "string" },
            "scope": { "type": "string" },
        },
        "required": ["grant_type", "audience"],
    });
    let mut responses = json!({ "200": {
        "description": "OK",
        "content": { "application/json": { "schema": {
            "type": "object",
            "properties": {
                "access_token": { "type": "string" },
                "expires_in": { "type": "integer" },
                "token_type": { "const": "Bearer" },
                "scope": { "type": "string" },
            },
            "required": ["access_token", "expires_in", "token_type"],
        } } },
    } });
    for status in ["400", "401", "403", "415", "429"] {
        responses[status] = error_response(status, &["application/json"]);
    }
    json!({
        "operationId": "requestToken",
        "summary": "request an access token",
        "tags": ["OAuth"],
        "security": [],
        "requestBody": {
            "required": true,
            "content": {
                "application/json": { "schema": schema },
                "application/x-www-form-urlencoded": { "schema": schema },
            },
        },
        "responses": responses,
    })
}

fn simple(tag: &str, method: &str, path: &str, summary: &str, body: &str, statuses: &str) -> Value {
    let mut responses = Map::new();
    for status in statuses.split(' ') {
        let response = match status {
            "204" => json!({ "description": reason(status) }),
            "200" | "201" => json!({
                "description": reason(status),
                "content": { "application/json": { "schema": { "type": "object" } } },
            }),
            _ => error_response(status, &["application/json"]),
        };
        responses.insert(status.to_owned(), response);
    }
    let mut described = json!({
        "operationId": camel_case(summary),
        "summary": summary,
        "tags": [tag],
        "parameters": parameters(path),
        "security": [],
        "responses": responses,
    });
    if method != "get" && !body.is_empty() {
        described["requestBody"] = json_body(json!({ "type": "object", "description": body }));
        described["requestBody"]["required"] = (path != "/_sandbox/reset").into();
    }
    if path == "/_sandbox/requests" && method == "get" {
        let filters = [
            ("operation", "string"),
            ("method", "string"),
            ("path", "string"),
            ("client_id", "string"),
            ("status", "integer"),
            ("after", "integer"),
            ("limit", "integer"),
        ];
        let filters = filters.map(|(name, kind)| query_parameter(name, kind));
        described["parameters"] = filters.to_vec().into();
    }
    if path == "/_sandbox/faults" && method == "get" {
        described["parameters"] = json!([query_parameter("unused", "boolean")]);
    }
    described
}

fn query_parameter(name: &str, kind: &str) -> Value {
    json!({ "name": name, "in": "query", "schema": { "type": kind } })
}

fn json_body(schema: Value) -> Value {
    json!({ "required": true, "content": { "application/json": { "schema": schema } } })
}

fn error_response(status: &str, media_types: &[&str]) -> Value {
    let mut content = Map::new();
    for media_type in media_types {
        let schema = match *media_type {
            "application/json" => json!({
                "type": "object",
                "properties": {
                    "message": { "type": "string" },
                    "error": { "type": "string" },
                },
            }),
            _ => json!({ "type": "string" }),
        };
        content.insert((*media_type).to_owned(), json!({ "schema": schema }));
    }
    json!({ "description": reason(status), "content": content })
}

fn reason(status: &str) -> &'static str {
    StatusCode::from_bytes(status.as_bytes())
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Response")
}

fn parameters(path: &str) -> Vec<Value> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect()
}

fn tag(path: &str) -> &'static str {
    let mut segments = path.split('/').skip(1);
    match (segments.next(), segments.nth(1)) {
        (Some("members"), _) => "Members",
        (Some("activity"), _) => "Activity",
        (Some("meta"), _) => "Meta",
        (_, Some("clients")) => "Clients",
        (_, Some("backups")) => "Backups",
        (_, Some("secrets")) => "Secrets",
        (_, Some("monitoring")) => "Monitoring",
        (_, Some("secure-connectivity")) => "Secure connectivity",
        _ => "Clusters",
    }
}

/// Converts a summary such as `list clusters` to an identifier.
fn camel_case(summary: &str) -> String {
    let mut parts = summary.split(' ');
    let mut identifier = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (first, rest) = part.split_at(1);
        identifier.push_str(&first.to_ascii_uppercase());
        identifier.push_str(rest);
    }
    identifier.replace(',', "")
}

/// Returns the schema of a type such as `string`, `[Cluster]` or `{string}`.
fn schema(name: &str) -> Value {
    if let Some(item) = name.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        return json!({ "type": "array", "items": schema(item) });
    }
    if let Some(value) = name.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
        return json!({ "type": "object", "additionalProperties": schema(value) });
    }
    match name {
        "string" => json!({ "type": "string" }),
        "text" => json!({ "type": "string", "minLength": 1 }),
        "datetime" => json!({ "type": "string", "format": "date-time" }),
        "bool" => json!({ "type": "boolean" }),
        "number" => json!({ "type": "number" }),
        "any" => json!({}),
        "FailoverStep" => json!({ "oneOf": [
            { "const": "ok" },
            { "type": "object", "properties": { "error": { "type": "string" } } },
        ] }),
        name => json!({ "$ref": format!("#/components/schemas/{name}") }),
    }
}

fn schemas() -> Value {
    let mut schemas = Map::new();
    for line in SCHEMAS.lines() {
        if let Some((name, values)) = line.split_once(" = ") {
            let values: Vec<&str> = values.split(" | ").collect();
            schemas.insert(name.into(), json!({ "type": "string", "enum": values }));
        } else if let Some((name, fields)) = line.split_once(": ") {
            let mut properties = Map::new();
            let mut required = Vec::new();
            for field in fields.split(", ") {
                let Some((name, kind)) = field.split_once(' ') else {
                    continue;
                };
                let optional = name.strip_suffix('?');
                if optional.is_none() {
                    required.push(name);
                }
                properties.insert(optional.unwrap_or(name).into(), schema(kind));
            }
            let mut object = json!({ "type": "object", "properties": properties });
            if !required.is_empty() {
                object["required"] = required.into();
            }
            if operations::all().iter().any(|it| it.request == name) {
                object["additionalProperties"] = false.into();
            }
            schemas.insert(name.into(), object);
        }
    }
    schemas.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                found.extend(
                    object
                        .get("$ref")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_type_that_is_referred_to_is_described() {
        let description = description("http://localhost");
        let mut found = Vec::new();
        references(&description, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(
                description.pointer(pointer).is_some(),
                "{reference} is not in schemas.txt"
            );
        }
    }
}
