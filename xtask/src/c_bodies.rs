//! Documents request and response bodies in the C header, and generates its constants for enumeration
//! values and for names of JSON fields.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use camunda_admin::description::{
    BodyKind, Description, EnumValue, Field, OPERATIONS, Presence, TYPES, WAITERS,
};

use crate::prose::wrapped;

/// Maximum length of a line of a comment, without its marker.
const WIDTH: usize = 95;

/// Returns the lines that document the fields of a body: one list item for each field, nested fields
/// with their path, for example `status.ready`.
pub(crate) fn fields(kind: &BodyKind) -> Vec<String> {
    let mut lines = Vec::new();
    match kind {
        BodyKind::Object(description) => push_fields(&mut lines, "", description),
        BodyKind::List(description) => push_fields(&mut lines, "N.", description),
        BodyKind::Secrets | BodyKind::Csv => {}
    }
    lines
}

fn push_fields(lines: &mut Vec<String>, prefix: &str, description: &Description) {
    let Description::Object { fields, .. } = description else {
        return;
    };
    for field in *fields {
        let (kind, inner) = kind_of(field);
        let presence = match field.presence {
            Presence::Required => "required",
            Presence::Defaulted => "expected",
            Presence::Optional => "optional",
        };
        let path = format!("{prefix}{}", field.json);
        let text = format!("`{path}` ({kind}, {presence}): {}", plain(field.doc));
        push_item(lines, &text);
        if let Some(inner) = inner {
            let separator = if is_list(field) { ".N." } else { "." };
            push_fields(lines, &format!("{path}{separator}"), inner);
        }
    }
}

/// Returns the JSON type of a field, with the values of an enumeration, and its object type.
fn kind_of(field: &Field) -> (String, Option<&'static Description>) {
    let item = field
        .rust_type
        .split(|c: char| !c.is_alphanumeric())
        .rfind(|name| !["Option", "Vec", ""].contains(name))
        .unwrap_or_default();
    let known = TYPES.iter().copied().find(|known| known.name() == item);
    let (one, many) = match (item, known) {
        (_, Some(Description::Object { .. })) => ("object".to_owned(), "objects".to_owned()),
        (_, Some(Description::Enum { values, .. })) => {
            let values: Vec<String> = values
                .iter()
                .map(|value| format!("`{}`", value.json))
                .collect();
            let values = values.join(", ");
            (format!("string: {values}"), format!("strings: {values}"))
        }
        (_, Some(Description::Id { .. })) | ("String", None) => {
            ("string".to_owned(), "strings".to_owned())
        }
        ("Secret", None) => ("secret string".to_owned(), "secret strings".to_owned()),
        ("Timestamp", None) => ("string: RFC 3339 time".to_owned(), "times".to_owned()),
        ("bool", None) => ("boolean".to_owned(), "booleans".to_owned()),
        ("u32" | "u64", None) => ("integer".to_owned(), "integers".to_owned()),
        ("Number", None) => ("number".to_owned(), "numbers".to_owned()),
        ("Json", None) => ("any JSON".to_owned(), "any JSON".to_owned()),
        ("FailoverStep", None) => ("string or object".to_owned(), "steps".to_owned()),
        (other, _) => panic!("{other}: no C documentation is defined; add it to kind_of"),
    };
    let object = known.filter(|known| matches!(known, Description::Object { .. }));
    let kind = if is_list(field) {
        format!("array of {many}")
    } else {
        one
    };
    (kind, object)
}

fn is_list(field: &Field) -> bool {
    field
        .rust_type
        .split(|c: char| !c.is_alphanumeric())
        .any(|name| name == "Vec")
}

/// Returns documentation without the intra-doc links of Rust.
fn plain(doc: &str) -> String {
    let plain = doc.replace("[`", "`").replace("`]", "`");
    // A method of the other languages.
    let plain = plain.replace("See `Cluster::allowlist`.", "");
    in_c(&plain.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Returns documentation with the names of C: those of JSON fields, and of the functions of operations
/// and waiters.
pub(crate) fn in_c(doc: &str) -> String {
    doc.split('`')
        .enumerate()
        .map(|(index, part)| match index % 2 {
            // Between backticks.
            1 => match function_of(part) {
                Some(function) => format!("{function}()"),
                None => format!("`{}`", json_name(part)),
            },
            _ => part.to_owned(),
        })
        .collect()
}

/// Returns the function of the operation or waiter whose method has a name, if only one has it.
fn function_of(method: &str) -> Option<&'static str> {
    let operations = OPERATIONS.iter().map(|it| (it.sdk_method, it.c_function));
    let waiters = WAITERS.iter().map(|it| (it.sdk_method, it.c_function));
    let mut found = operations
        .chain(waiters)
        .filter(|(known, _)| known.rsplit('.').next() == Some(method));
    match (found.next(), found.next()) {
        (Some((_, function)), None) => Some(function),
        _ => None,
    }
}

/// Returns the JSON name of a field whose name in Rust has several parts.
fn json_name(name: &str) -> &str {
    if !name.contains('_') {
        return name;
    }
    TYPES
        .iter()
        .filter_map(|description| match description {
            Description::Object { fields, .. } => Some(fields.iter()),
            _ => None,
        })
        .flatten()
        .find(|field| field.name == name)
        .map_or(name, |field| field.json)
}

/// Adds a list item, wrapped.
fn push_item(lines: &mut Vec<String>, text: &str) {
    lines.extend(wrapped(text, WIDTH, "- ", "  "));
}

/// Returns the constants of enumeration values and field names.
pub(crate) fn constants() -> String {
    let mut text = String::new();
    let mut names = BTreeMap::new();
    let mut define = |text: &mut String, name: String, json: &str, doc: &str| {
        let previous = names.insert(name.clone(), json.to_owned());
        assert!(previous.is_none(), "{name} is defined twice");
        let mut lines = Vec::new();
        push_item(&mut lines, &plain(doc));
        if let [line] = &lines[..] {
            writeln!(text, "/** {} */", &line[2..]).unwrap();
        } else {
            writeln!(text, "/**").unwrap();
            for line in &lines {
                writeln!(text, " * {}", &line[2..]).unwrap();
            }
            writeln!(text, " */").unwrap();
        }
        writeln!(text, "#define {name} \"{json}\"\n").unwrap();
    };
    for description in TYPES {
        if let Description::Enum { name, doc, values } = description {
            let group = enum_prefix(name);
            group_start(&mut text, &format!("Values of {group}_…: {}", plain(doc)));
            for EnumValue { name, json, doc } in *values {
                define(&mut text, format!("{group}_{}", constant(name)), json, doc);
            }
            text.push_str("/** @} */\n\n");
        }
    }
    group_start(
        &mut text,
        "Names of JSON fields, for camunda_value_get(), camunda_object_set_str() and others",
    );
    for (json, owners) in field_names() {
        let doc = format!("Field of {}.", owners.join(", "));
        let name = format!("CAMUNDA_FIELD_{}", constant(json));
        define(&mut text, name, json, &doc);
    }
    text.push_str("/** @} */\n\n");
    text
}

fn group_start(text: &mut String, title: &str) {
    let title = title.trim_end_matches('.');
    writeln!(text, "/** @name {title}\n * @{{ */\n").unwrap();
}

/// Returns the names of all fields, with the objects that have them.
fn field_names() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for description in TYPES {
        if let Description::Object { name, fields, .. } = description {
            for field in *fields {
                names.entry(field.json).or_default().push(*name);
            }
        }
    }
    names
}

/// Returns the common start of the constants of an enumeration.
fn enum_prefix(name: &str) -> String {
    // All statuses of a cluster are of this enumeration.
    let name = if name == "ClusterComponentStatus" {
        "ClusterStatus"
    } else {
        name
    };
    format!("CAMUNDA_{}", constant(name))
}

/// Returns `CLIENT_ID` for `clientId`, `ClientId` and `client-id`.
fn constant(name: &str) -> String {
    let mut constant = String::new();
    let mut after_lower = false;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            if c.is_ascii_uppercase() && after_lower {
                constant.push('_');
            }
            after_lower = c.is_ascii_lowercase() || c.is_ascii_digit();
            constant.push(c.to_ascii_uppercase());
        } else {
            constant.push('_');
            after_lower = false;
        }
    }
    constant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constant_separates_words() {
        for (name, expected) in [
            ("clientId", "CLIENT_ID"),
            ("Healthy", "HEALTHY"),
            ("web-modeler", "WEB_MODELER"),
            ("k8sContext", "K8S_CONTEXT"),
            ("ipallowlist", "IPALLOWLIST"),
        ] {
            assert_eq!(constant(name), expected);
        }
    }

    #[test]
    fn documentation_has_the_names_of_c() {
        for (doc, expected) in [
            ("Its id, for `channel_id`.", "Its id, for `channelId`."),
            (
                "Waits, after `wake`, until it is `Healthy`.",
                "Waits, after camunda_cluster_wake(), until it is `Healthy`.",
            ),
            // Several resources have this method.
            ("See `create`.", "See `create`."),
        ] {
            assert_eq!(in_c(doc), expected);
        }
    }

    #[test]
    fn enumeration_values_have_constants() {
        let text = constants();
        for line in [
            "#define CAMUNDA_CLUSTER_STATUS_HEALTHY \"Healthy\"",
            "#define CAMUNDA_FIELD_CLIENT_SECRET \"clientSecret\"",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
    }

    /// Every JSON name and every enumeration value is documented where it is used, not only as a
    /// constant.
    #[test]
    fn header_documents_every_field_of_the_bodies() {
        let header = crate::c::declarations(&crate::c::operations().text);
        let mut missing = Vec::new();
        for description in TYPES {
            match description {
                Description::Object { name, fields, .. } => missing.extend(
                    fields
                        .iter()
                        .filter(|field| {
                            !header.contains(&format!("`{}`", field.json))
                                && !header.contains(&format!(".{}`", field.json))
                        })
                        .map(|field| format!("{name}.{}", field.json)),
                ),
                Description::Enum { name, values, .. } => missing.extend(
                    values
                        .iter()
                        .filter(|value| !header.contains(&format!("`{}`", value.json)))
                        .map(|value| format!("{name}: {}", value.json)),
                ),
                Description::Id { .. } => {}
            }
        }
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }
}
