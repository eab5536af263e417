//! Generates `docs/operations.md`, the reference of operations of the documentation site.

use std::fmt::Write as _;

use camunda_admin::Idempotency;
use camunda_admin::description::{
    BodyKind, BodySchema, Description, Direction, Field, OPERATIONS, Operation, Presence, TYPES,
    WAITERS, Waiter,
};

use crate::examples::{CLUSTER, Shown, argument, example};
use crate::prose::sentence;
use crate::{Generated, NOTICE};

/// Generates `docs/operations.md`.
pub(crate) fn operations() -> Generated {
    let mut text = format!("<!-- {NOTICE} -->\n\n# Operation reference\n\n");
    text.push_str(
        "Operations of the Administration API in the order of its reference, then the waiters and the \
         types. In the examples, `admin` is a client, and `id` (Python: `cluster_id`) the id of a \
         cluster. C functions return a status and set `error`; `value` is the response, see \
         [quick start](quick-start.md).\n",
    );
    let mut last_group = "";
    for operation in OPERATIONS {
        let group = group(operation.sdk_method);
        if group != last_group {
            write!(text, "\n## {group}\n").unwrap();
            last_group = group;
        }
        push_operation(&mut text, operation);
    }
    text.push_str(
        "\n## Waiters\n\nA waiter polls until a resource has reached a state. Default timeout: 30 min; \
         the delay between two polls grows from 0.5 s to 10 s. See [the life of a \
         cluster](clusters.md).\n",
    );
    for waiter in WAITERS {
        push_waiter(&mut text, waiter);
    }
    push_types(&mut text);
    Generated {
        path: "docs/operations.md",
        text,
    }
}

fn push_operation(text: &mut String, operation: &Operation) {
    let path_arguments: Vec<&str> = operation.arguments().collect();
    let result = match operation.response {
        Some(_) => "response",
        None => "",
    };
    let body = operation.body.as_ref();
    let example = example(operation.sdk_method, &path_arguments, body, result);
    write!(
        text,
        "\n### {}\n\n`{} {}`: {}\n\n",
        sentence(operation.name),
        operation.method,
        operation.path,
        operation.doc
    )
    .unwrap();
    let idempotency = match operation.idempotency {
        Idempotency::Safe => "safe: retried after transient errors",
        Idempotency::Idempotent => "idempotent: retried after transient errors",
        Idempotency::NonIdempotent => {
            "non-idempotent: retried only if no byte of the request was sent"
        }
    };
    writeln!(text, "| | |\n|---|---|\n| idempotency | {idempotency} |").unwrap();
    if let Some(body) = &operation.body {
        writeln!(text, "| request body | {} |", body_link(body)).unwrap();
    }
    let response = operation.response.as_ref().map(body_link);
    writeln!(
        text,
        "| response | {} |",
        response.unwrap_or_else(|| "none".to_owned())
    )
    .unwrap();
    if operation.one_time_response {
        writeln!(
            text,
            "| response is returned once | an error contains the bytes received |"
        )
        .unwrap();
    }
    if !operation.authenticated {
        writeln!(text, "| access token | not required |").unwrap();
    }
    for (status, reason) in operation.documented_errors {
        writeln!(text, "| error {status} | {reason} |").unwrap();
    }
    let is_csv = matches!(
        operation.response.as_ref().map(|it| &it.kind),
        Some(BodyKind::Csv)
    );
    let arguments: Vec<&str> = operation.arguments().map(argument).collect();
    let c = match is_csv {
        true => c_csv(operation.c_function),
        false => c_call(
            operation.c_function,
            &arguments,
            &example.body,
            operation.response.is_some(),
        ),
    };
    push_tabs(text, &example, &c);
}

/// Returns the heading above an operation, which is the same for all operations of a resource.
fn group(call: &str) -> &'static str {
    match call.rsplit_once('.').map(|(resource, _)| resource) {
        Some("clusters" | "cluster") => "Clusters",
        Some("cluster.clients") => "Cluster clients",
        Some("cluster.backups") => "Backups",
        Some("cluster.secrets") => "Connector secrets",
        Some("cluster.monitoring") => "Monitoring of clusters",
        Some("cluster.secure_connectivity") => "Secure connectivity",
        Some("members") => "Members",
        Some("activity") => "Audit log",
        None => "Egress IP ranges",
        Some(resource) => panic!("no heading of {resource} in xtask/src/operations_page.rs"),
    }
}

fn push_waiter(text: &mut String, waiter: &Waiter) {
    let result = match waiter.response {
        Some(_) => "resource",
        None => "",
    };
    let example = example(waiter.sdk_method, waiter.arguments, None, result);
    write!(text, "\n### {}\n\n{}\n", sentence(waiter.name), waiter.doc).unwrap();
    let arguments: Vec<&str> = waiter.arguments.iter().map(|name| argument(name)).collect();
    let c = c_call(waiter.c_function, &arguments, "", waiter.response.is_some());
    push_tabs(text, &example, &c);
}

fn c_call(function: &str, arguments: &[&str], body: &str, has_value: bool) -> String {
    let mut text = String::new();
    let mut parameters = vec!["admin".to_owned(), "NULL".into()];
    parameters.extend(arguments.iter().map(|argument| format!("\"{argument}\"")));
    if !body.is_empty() {
        let escaped = body.replace('"', "\\\"");
        writeln!(text, "const char *json = \"{escaped}\";").unwrap();
        parameters.extend(["json".to_owned(), "strlen(json)".into()]);
    }
    if has_value {
        parameters.push("&value".into());
    }
    parameters.push("&error".into());
    write!(text, "status = {function}({});", parameters.join(", ")).unwrap();
    text
}

fn c_csv(function: &str) -> String {
    format!(
        "#include <camunda_admin.h>\n#include <stdio.h>\n\n\
         static int32_t print_chunk(void *user, const char *chunk, size_t len) {{\n  \
         (void)user;\n  return fwrite(chunk, 1, len, stdout) == len ? 0 : 1;\n}}\n\n\
         camunda_status print_events(const camunda_admin *admin, camunda_error **error);\n\
         camunda_status print_events(const camunda_admin *admin, camunda_error **error) {{\n  \
         return {function}(admin, NULL, print_chunk, NULL, error);\n}}"
    )
}

fn push_tabs(text: &mut String, example: &Shown, c: &str) {
    let imports = imports(&example.rust);
    let cluster = match example.rust.contains("&id") {
        true => format!("# let id = \"{CLUSTER}\".parse()?;\n"),
        false => String::new(),
    };
    let rust = format!(
        "# use camunda_admin::{{{imports}}};\n# let admin = AdminClient::from_env()?;\n{cluster}{}\n\
         # Ok::<(), camunda_admin::Error>(())",
        example.rust
    );
    let cpp = match example.cpp.contains("(id)") {
        true => format!(
            "const camunda::ClusterId id(\"{CLUSTER}\");\n{}",
            example.cpp
        ),
        false => example.cpp.clone(),
    };
    text.push_str("\n::::{tab-set}\n:sync-group: language\n");
    for (title, sync, language, code) in [
        ("Rust", "rust", "rust,no_run", rust.as_str()),
        ("C", "c", "c", c),
        ("C++", "cpp", "cpp", &cpp),
        ("Python", "python", "python", &example.python),
    ] {
        write!(
            text,
            "\n:::{{tab-item}} {title}\n:sync: {sync}\n\n```{language}\n{code}\n```\n:::\n"
        )
        .unwrap();
    }
    text.push_str("::::\n");
}

/// Returns the types that an example uses, `AdminClient` included.
fn imports(rust: &str) -> String {
    let mut names: Vec<&str> = rust
        .split(|c: char| !c.is_alphanumeric())
        .filter(|name| *name == "Wait" || TYPES.iter().any(|known| known.name() == *name))
        .collect();
    names.push("AdminClient");
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn body_link(body: &BodySchema) -> String {
    match &body.kind {
        BodyKind::Object(description) => type_link(description.name()),
        BodyKind::List(description) => format!("list of {}", type_link(description.name())),
        BodyKind::Secrets => "object with a secret string for each name".to_owned(),
        BodyKind::Csv => "CSV".to_owned(),
    }
}

fn type_link(name: &str) -> String {
    format!("[{name}](#{})", name.to_lowercase())
}

fn push_types(text: &mut String) {
    text.push_str(
        "\n## Objects\n\nFields by their JSON names. Rust, C++ and Python use snake case. *Required* \
         fields of a request must be set; a field of a response that is not required may be absent.\n",
    );
    for description in TYPES {
        if let Description::Object {
            name,
            doc,
            direction,
            fields,
        } = description
        {
            let direction = match direction {
                Direction::Request => "Request",
                Direction::Response => "Response",
            };
            write!(text, "\n### {name}\n\n{direction}. {}\n\n", plain(doc)).unwrap();
            if fields.is_empty() {
                continue;
            }
            text.push_str("| field | type | required | description |\n|---|---|---|---|\n");
            for field in *fields {
                push_field(text, field);
            }
        }
    }
    text.push_str("\n## Enumerations\n\nUnknown values are preserved in all languages.\n");
    for description in TYPES {
        if let Description::Enum { name, doc, values } = description {
            write!(
                text,
                "\n### {name}\n\n{}\n\n| value | description |\n|---|---|\n",
                plain(doc)
            )
            .unwrap();
            for value in *values {
                writeln!(text, "| `{}` | {} |", value.json, plain(value.doc)).unwrap();
            }
        }
    }
}

fn push_field(text: &mut String, field: &Field) {
    let required = match field.presence {
        Presence::Required => "yes",
        Presence::Defaulted | Presence::Optional => "no",
    };
    writeln!(
        text,
        "| `{}` | {} | {required} | {} |",
        field.json,
        json_type(field.rust_type),
        plain(field.doc)
    )
    .unwrap();
}

/// Returns the type of a field in JSON, from its type in Rust.
fn json_type(rust_type: &str) -> String {
    let compact: String = rust_type.split_whitespace().collect();
    let inner = |prefix: &str| {
        let inner = compact.strip_prefix(prefix)?.strip_suffix('>')?;
        Some(json_type(inner))
    };
    if let Some(inner) = inner("Option<").or_else(|| inner("Box<")) {
        return inner;
    }
    if let Some(inner) = inner("Vec<") {
        return format!("list of {inner}");
    }
    match compact.as_str() {
        "String" => "string".to_owned(),
        "Secret" => "string, secret".to_owned(),
        "bool" => "boolean".to_owned(),
        "Number" | "u32" | "u64" | "i64" | "f64" => "number".to_owned(),
        "Json" => "any".to_owned(),
        "Timestamp" => "string, time in RFC 3339".to_owned(),
        name => {
            let description = TYPES.iter().find(|known| known.name() == name);
            match description {
                Some(Description::Object { .. } | Description::Enum { .. }) => type_link(name),
                Some(Description::Id { .. }) => format!("string ({name})"),
                None => name.to_owned(),
            }
        }
    }
}

/// Returns a doc comment in one line, without links to Rust items.
fn plain(doc: &str) -> String {
    let mut text = String::new();
    let mut rest = doc;
    while let Some(start) = rest.find("[`") {
        let Some(length) = rest[start..].find("`]") else {
            break;
        };
        text.push_str(&rest[..start]);
        let item = &rest[start + 2..start + length];
        write!(text, "`{}`", item.rsplit("::").next().unwrap_or(item)).unwrap();
        rest = &rest[start + length + 2..];
        // The target of the link.
        if rest.starts_with('(')
            && let Some(end) = rest.find(')')
        {
            rest = &rest[end + 1..];
        }
    }
    text.push_str(rest);
    let parts: Vec<&str> = text.split_whitespace().collect();
    parts.join(" ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_type_names_lists_and_types() {
        for (rust_type, expected) in [
            ("String", "string"),
            (
                "Option < Vec < Generation > >",
                "list of [Generation](#generation)",
            ),
            ("Option < Secret >", "string, secret"),
            ("ClusterId", "string (ClusterId)"),
        ] {
            assert_eq!(json_type(rust_type), expected);
        }
    }

    #[test]
    fn plain_removes_links_to_rust_items() {
        assert_eq!(
            plain("Returned by [`Clusters::parameters`],\nor [`list`](Self::list); a|b"),
            "Returned by `parameters`, or `list`; a\\|b"
        );
    }
}
