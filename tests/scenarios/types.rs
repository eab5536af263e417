//! Compares the types of the library with those of the mock server, which are written from the API's reference.

use std::collections::{BTreeMap, BTreeSet};

use camunda_admin::description::{
    BodyKind, BodySchema, Description, Field, OPERATIONS, Presence, TYPES,
};
use camunda_admin::{AdminClient, Method};
use camunda_admin_sandbox::Sandbox;
use serde_json::Value;

/// Checks that the bodies of all operations have the same fields and enumeration values in the library and in
/// the mock server, and that the same fields may be absent.
pub(crate) fn check() {
    let mut comparison = Comparison {
        openapi: openapi(),
        compared: BTreeSet::new(),
        types: BTreeMap::new(),
        differences: Vec::new(),
    };
    for operation in OPERATIONS {
        let method = operation.method.to_string().to_ascii_lowercase();
        let described = comparison.openapi["paths"][operation.path][method].clone();
        comparison.body(operation.body.as_ref(), &described["requestBody"]);
        comparison.body(operation.response.as_ref(), &described["responses"]["200"]);
    }
    let mut differences = comparison.differences;
    for known in TYPES {
        let name = known.name();
        match comparison.types.get(name) {
            Some(members) => differences.extend(members.differences(name)),
            None if matches!(known, Description::Id { .. }) => {}
            None => differences.push(format!("{name} is in no request or response")),
        }
    }
    assert!(
        differences.is_empty(),
        "src/api/ and tests/sandbox/src/schemas.txt differ:\n{}",
        differences.join("\n")
    );
}

/// Returns the OpenAPI description of the mock server.
fn openapi() -> Value {
    let sandbox = Sandbox::start();
    let admin = AdminClient::builder()
        .base_url(&sandbox.base_url())
        .access_token("unused")
        .build()
        .unwrap();
    let description = admin.request(Method::Get, "/openapi.json", None).unwrap();
    serde_json::from_str(description.as_str()).unwrap()
}

/// The fields or values of a type of the library. The mock server can have several types for it, such as
/// `NamedResource` for a generation without its optional field.
#[derive(Default)]
struct Members {
    library: BTreeSet<String>,
    mock_server: BTreeSet<String>,
}

impl Members {
    fn differences(&self, name: &str) -> impl Iterator<Item = String> {
        let missing = self.mock_server.difference(&self.library);
        let additional = self.library.difference(&self.mock_server);
        missing
            .map(|member| (member, "the library"))
            .chain(additional.map(|member| (member, "the mock server")))
            .map(move |(member, place)| format!("{name}: `{member}` is missing in {place}"))
    }
}

struct Comparison {
    openapi: Value,
    /// Types with the name that each has in the mock server.
    compared: BTreeSet<(&'static str, String)>,
    types: BTreeMap<&'static str, Members>,
    differences: Vec<String>,
}

impl Comparison {
    fn body(&mut self, body: Option<&BodySchema>, described: &Value) {
        let schema = &described["content"]["application/json"]["schema"];
        match body.map(|body| &body.kind) {
            Some(BodyKind::Object(description)) => self.type_(description, schema),
            Some(BodyKind::List(description)) => self.type_(description, &schema["items"]),
            Some(BodyKind::Secrets | BodyKind::Csv) | None => {}
        }
    }

    /// Compares a type with a reference to a type of the mock server.
    fn type_(&mut self, description: &'static Description, schema: &Value) {
        let Some(reference) = schema["$ref"].as_str() else {
            return;
        };
        let name = description.name();
        if !self.compared.insert((name, reference.to_owned())) {
            return;
        }
        let pointer = reference.trim_start_matches('#');
        let schema = self.openapi.pointer(pointer).unwrap().clone();
        let members = self.types.entry(name).or_default();
        match description {
            Description::Object { fields, .. } => {
                let named = fields.iter().map(|field| field.json.to_owned());
                members.library.extend(named);
                let properties = schema["properties"].as_object().unwrap();
                members.mock_server.extend(properties.keys().cloned());
                for field in *fields {
                    if let Some(property) = properties.get(field.json) {
                        self.field(name, field, property, &schema["required"]);
                    }
                }
            }
            Description::Enum { values, .. } => {
                let named = values.iter().map(|value| value.json.to_owned());
                members.library.extend(named);
                let values = schema["enum"].as_array().unwrap();
                let values = values
                    .iter()
                    .map(|value| value.as_str().unwrap().to_owned());
                members.mock_server.extend(values);
            }
            Description::Id { .. } => {}
        }
    }

    fn field(&mut self, of: &str, field: &Field, property: &Value, required: &Value) {
        let in_library = field.presence != Presence::Optional;
        let in_mock_server = required
            .as_array()
            .is_some_and(|required| required.iter().any(|name| name == field.json));
        if in_library != in_mock_server {
            let place = if in_library { "library" } else { "mock server" };
            let field = field.json;
            self.differences
                .push(format!("{of}: `{field}` is required in the {place} only"));
        }
        if let Some(description) = type_of(field) {
            let is_list = property["type"] == "array";
            let property = if is_list {
                &property["items"]
            } else {
                property
            };
            self.type_(description, property);
        }
    }
}

/// Returns the type of a field, or that of the items of a list, if it has a description.
fn type_of(field: &Field) -> Option<&'static Description> {
    let mut names = field.rust_type.split(|c: char| !c.is_alphanumeric());
    let name = names.rfind(|name| !name.is_empty())?;
    TYPES.iter().copied().find(|known| known.name() == name)
}
