//! Declarations of the classes with the operations and waiters, and the settings of the builder.

use std::fmt::Write as _;

use camunda_admin::description::{BodyKind, Description, OPERATIONS, Operation, WAITERS, Waiter};

use super::names::{cpp_name, doc};
use super::types::{CREATED_CLUSTER, field_type, is_passed_as_arguments};
use crate::identifiers::{id_type, polled_type, snake, without_id};

/// C++ classes that have operations as methods.
pub(super) const PLACES: &[Place] = &[
    Place {
        call: "clusters",
        class: "Clusters",
        doc: "The clusters of the organization.",
        of_cluster: false,
    },
    Place {
        call: "cluster.clients",
        class: "ClusterClients",
        doc: "The clients of a cluster: credentials for its APIs.",
        of_cluster: true,
    },
    Place {
        call: "cluster.backups",
        class: "Backups",
        doc: "The backups of a cluster, their schedule and their restores.",
        of_cluster: true,
    },
    Place {
        call: "cluster.secrets",
        class: "ClusterSecrets",
        doc: "The connector secrets of a cluster.",
        of_cluster: true,
    },
    Place {
        call: "cluster.monitoring",
        class: "ClusterMonitoring",
        doc: "External (bring-your-own) monitoring of a cluster.",
        of_cluster: true,
    },
    Place {
        call: "cluster.secure_connectivity",
        class: "SecureConnectivity",
        doc: "Secure connectivity of a cluster: access over the cloud provider's private network.",
        of_cluster: true,
    },
    // After the classes that its methods return.
    Place {
        call: "cluster",
        class: "ClusterHandle",
        doc: "One cluster.",
        of_cluster: true,
    },
    Place {
        call: "members",
        class: "Members",
        doc: "The members of the organization and their roles.",
        of_cluster: false,
    },
    Place {
        call: "activity",
        class: "Activity",
        doc: "The organization's audit log.",
        of_cluster: false,
    },
];

/// Keys of string settings and of `max_response_bytes`, with the documentation of their setters.
const SETTINGS: &[(&str, &str)] = &[
    (
        "client_id",
        "Sets the client id. Required without an access token.",
    ),
    (
        "client_secret",
        "Sets the client secret. Required with the client id, unless client_secret_file() is set.",
    ),
    (
        "client_secret_file",
        "Sets a file with the client secret: one line of UTF-8, at most 64 KiB. The client reads it again when the token endpoint rejects the credentials.",
    ),
    (
        "access_token",
        "Sets an access token that is used unmodified, instead of credentials. The client then sends no token request.",
    ),
    (
        "base_url",
        "Sets the URL of the API. `http://` is accepted for this machine only. Default: `https://api.cloud.camunda.io`.",
    ),
    (
        "oauth_url",
        "Sets the URL of the token endpoint. Default: `https://login.cloud.camunda.io/oauth/token`.",
    ),
    (
        "audience",
        "Sets the audience of token requests. Default: `api.cloud.camunda.io`.",
    ),
    ("scope", "Sets the scope of token requests. Default: none."),
    (
        "token_cache",
        "Sets the token store: `auto` (default), `memory`, a directory, or a Redis or Valkey URL.",
    ),
    (
        "ca_file",
        "Sets a PEM file of CA certificates to trust instead of the platform's. Without it, the environment variables `SSL_CERT_FILE` and `SSL_CERT_DIR` replace the platform's on Linux.",
    ),
    (
        "client_cert",
        "Sets a PEM file with the client certificate chain (mTLS). It may also contain the key.",
    ),
    (
        "client_key",
        "Sets a PEM file with the unencrypted private key of the client certificate (mTLS).",
    ),
    (
        "proxy",
        "Sets the URL of an HTTP proxy, for example `http://proxy:3128`. Default: that of the environment, for example `HTTPS_PROXY`.",
    ),
    (
        "user_agent",
        "Sets the User-Agent header: printable ASCII. Default: `camunda-admin/VERSION`.",
    ),
    (
        "token_request_format",
        "Sets the format of token requests: `json` (default) or `form`.",
    ),
    (
        "max_response_bytes",
        "Sets the maximum size of a decompressed response body in bytes. Default: 64 MiB.",
    ),
];

pub(super) struct Place {
    /// Prefix of `Operation::sdk_method` of its methods.
    pub(super) call: &'static str,
    pub(super) class: &'static str,
    pub(super) doc: &'static str,
    /// Whether an object of the class has a cluster id.
    pub(super) of_cluster: bool,
}

pub(super) fn push_handles(text: &mut String) {
    writeln!(text, "class AdminClientBuilder;\nclass TokenSource;").unwrap();
    for place in PLACES {
        writeln!(text, "class {};", place.class).unwrap();
    }
}

pub(super) fn push_admin(text: &mut String) {
    for place in PLACES {
        match place.call.split_once('.') {
            None if place.of_cluster => {
                doc(
                    text,
                    "  ",
                    "Returns the resource of one cluster; sends no request.",
                );
                writeln!(
                    text,
                    "  [[nodiscard]] {} {}(ClusterId id) const;",
                    place.class, place.call
                )
                .unwrap();
            }
            None => {
                doc(text, "  ", place.doc);
                writeln!(
                    text,
                    "  [[nodiscard]] {} {}() const;",
                    place.class, place.call
                )
                .unwrap();
            }
            Some(_) => {}
        }
    }
    for operation in operations_of("") {
        push_declaration(text, operation);
    }
}

pub(super) fn push_settings(text: &mut String) {
    for (key, documentation) in SETTINGS {
        doc(text, "  ", documentation);
        let (argument, value) = match *key {
            "client_secret" => ("const Secret& secret", "secret.expose()"),
            "access_token" => ("const Secret& token", "token.expose()"),
            "max_response_bytes" => ("std::uint64_t bytes", "std::to_string(bytes)"),
            _ => ("std::string_view value", "value"),
        };
        let name = argument.rsplit(' ').next().unwrap();
        writeln!(
            text,
            "  AdminClientBuilder& {key}({argument}) & {{ return set(\"{key}\", {value}); }}\n  \
             /// @copydoc {key}\n  \
             [[nodiscard]] AdminClientBuilder {key}({argument}) && {{\n    return std::move({key}({name}));\n  }}"
        )
        .unwrap();
    }
}

pub(super) fn push_resources(text: &mut String) {
    for (index, place) in PLACES.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        push_resource(text, place);
    }
}

fn push_resource(text: &mut String, place: &Place) {
    let Place { call, class, .. } = place;
    doc(
        text,
        "",
        &format!(
            "{} Returned by the client; can be used from several threads concurrently.",
            place.doc
        ),
    );
    writeln!(text, "class {class} {{\n public:").unwrap();
    if *call == "cluster" {
        doc(text, "  ", "Returns the id of the cluster.");
        writeln!(
            text,
            "  [[nodiscard]] const ClusterId& id() const noexcept {{ return cluster_; }}"
        )
        .unwrap();
        for other in PLACES {
            if let Some((_, name)) = other.call.split_once('.') {
                doc(text, "  ", other.doc);
                writeln!(
                    text,
                    "  [[nodiscard]] {0} {name}() const {{ return {0}(admin_, cluster_); }}",
                    other.class
                )
                .unwrap();
            }
        }
    }
    for operation in operations_of(call) {
        push_declaration(text, operation);
    }
    match *call {
        "cluster" => push_allowlist_helpers(text),
        "cluster.clients" => push_env_file_helper(text),
        _ => {}
    }
    for waiter in waiters_of(call) {
        push_waiter_declaration(text, waiter);
    }
    let friend = if call.contains('.') {
        "ClusterHandle"
    } else {
        "AdminClient"
    };
    if place.of_cluster {
        writeln!(
            text,
            "\n private:\n  friend class {friend};\n  {class}(AdminClient admin, ClusterId cluster)\n      \
             : admin_(std::move(admin)), cluster_(std::move(cluster)) {{}}\n\n  \
             AdminClient admin_;\n  ClusterId cluster_;\n}};"
        )
        .unwrap();
    } else {
        writeln!(
            text,
            "\n private:\n  friend class {friend};\n  explicit {class}(AdminClient admin) : admin_(std::move(admin)) {{}}\n\n  \
             AdminClient admin_;\n}};"
        )
        .unwrap();
    }
}

fn push_allowlist_helpers(text: &mut String) {
    let race = "Reads the list, changes it and writes it. The API has no atomic operation: if two \
                programs change the list concurrently, one change is lost. Throws \
                PermissionDeniedError if the credentials lack the permission to read the list.";
    doc(
        text,
        "  ",
        &format!(
            "Adds an entry to the IP allowlist, or replaces the entry with the same `ip`, and returns \
             the new list. {race}"
        ),
    );
    writeln!(
        text,
        "  [[nodiscard]] std::vector<IpAllowlistEntry> add_to_ip_allowlist(const IpAllowlistEntry& entry) const;"
    )
    .unwrap();
    doc(
        text,
        "  ",
        &format!(
            "Removes the entry with this `ip` from the IP allowlist, and returns the new list. {race}"
        ),
    );
    writeln!(
        text,
        "  [[nodiscard]] std::vector<IpAllowlistEntry> remove_from_ip_allowlist(std::string_view ip) const;"
    )
    .unwrap();
}

fn push_env_file_helper(text: &mut String) {
    doc(
        text,
        "  ",
        "Creates a client and stores its credentials in a new file, which \
         ClusterCredentials::from_env_file() reads. The API returns the secret only once, so the \
         file is created first, with mode 0600 and reserved disk space; it never replaces a file. \
         Then the client is created, and the file is written and flushed. If no client was created, \
         or if that is unknown, the file is removed. Also reads the cluster, for its URLs. The \
         timeout of the call covers all steps.",
    );
    doc(
        text,
        "  ",
        "Throws the errors of create(), and IoError: with Outcome::NotSent if the file exists or \
         cannot be created, with Outcome::Completed if it cannot be written afterwards. In the \
         latter case the client exists, and Error::body() returns the response with its secret.",
    );
    writeln!(
        text,
        "  [[nodiscard]] CreatedClusterClient create_env_file(const std::string& path,\n                                                     \
         const CreateClusterClient& request) const;"
    )
    .unwrap();
}

/// Splits `cluster.clients.create` into the class prefix and the name of the method.
pub(super) fn place_of(call: &str) -> (&str, &str) {
    call.rsplit_once('.').unwrap_or(("", call))
}

fn operations_of(place: &str) -> impl Iterator<Item = &'static Operation> {
    OPERATIONS
        .iter()
        .copied()
        .filter(move |operation| place_of(operation.sdk_method).0 == place)
}

fn waiters_of(place: &str) -> impl Iterator<Item = &'static Waiter> {
    WAITERS
        .iter()
        .copied()
        .filter(move |waiter| place_of(waiter.sdk_method).0 == place)
}

pub(super) fn class_of(place: &str) -> &'static str {
    match place {
        "" => "AdminClient",
        place => {
            let found = PLACES.iter().find(|known| known.call == place);
            found
                .unwrap_or_else(|| panic!("{place}: no C++ class is defined; add it to PLACES"))
                .class
        }
    }
}

/// Argument of a C++ method.
pub(super) struct Argument {
    /// Type and name.
    pub(super) declared: String,
    /// Statements before the call of the C function.
    pub(super) before: String,
    /// Arguments of the C function.
    pub(super) passed: String,
}

pub(super) fn path_argument(name: &str, of_cluster: bool) -> Option<Argument> {
    if name == "clusterUuid" && of_cluster {
        return None;
    }
    let id = id_type(name).zip(without_id(name));
    let snake = snake(name);
    Some(match id {
        Some((id, short)) => Argument {
            declared: format!("const {id}& {short}"),
            before: String::new(),
            passed: format!("detail::c_text({short}.str(), \"{snake}\")"),
        },
        None => {
            let short = snake.strip_prefix("secret_").unwrap_or(&snake);
            Argument {
                declared: format!("std::string_view {short}"),
                before: format!("  const detail::CText {short}_text({short}, \"{snake}\");\n"),
                passed: format!("{short}_text.get()"),
            }
        }
    })
}

pub(super) fn arguments(operation: &Operation) -> Vec<Argument> {
    let of_cluster = operation.sdk_method.starts_with("cluster.");
    let mut arguments: Vec<Argument> = operation
        .arguments()
        .filter_map(|name| path_argument(name, of_cluster))
        .collect();
    if let Some(shape) = &operation.body {
        let BodyKind::Object(description) = shape.kind else {
            panic!("{}: the body is not an object", operation.name)
        };
        let Description::Object { name, fields, .. } = description else {
            unreachable!()
        };
        if is_passed_as_arguments(name) {
            let mut declared = Vec::new();
            let mut before = format!("  detail::{name} request;\n");
            for field in *fields {
                let short = match field.name.rsplit('_').next().unwrap() {
                    "schedule" => "cron",
                    "ipallowlist" => "entries",
                    short => short,
                };
                let (kind, value) = match field_type(field).as_str() {
                    "std::string" => ("std::string_view".to_owned(), short.to_owned()),
                    "Secret" => ("Secret".to_owned(), format!("std::move({short})")),
                    number @ ("bool" | "std::uint32_t") => (number.to_owned(), short.to_owned()),
                    other => (other.to_owned(), format!("std::move({short})")),
                };
                declared.push(format!("{kind} {short}"));
                writeln!(before, "  request.{} = {value};", cpp_name(field.name)).unwrap();
            }
            before.push_str("  const detail::Body body(request);\n");
            arguments.push(Argument {
                declared: declared.join(", "),
                before,
                passed: "body.data(), body.size()".to_owned(),
            });
        } else {
            arguments.push(Argument {
                declared: format!("const {name}& request"),
                before: "  const detail::Body body(request);\n".to_owned(),
                passed: "body.data(), body.size()".to_owned(),
            });
        }
    }
    arguments
}

/// Returns the return type of a method, and the type of which its JSON is decoded.
pub(super) fn response_types(operation: &Operation) -> (String, String) {
    match operation.response.as_ref().map(|shape| &shape.kind) {
        None | Some(BodyKind::Csv) => ("void".to_owned(), String::new()),
        Some(BodyKind::List(item)) => {
            let list = format!("std::vector<{}>", item.name());
            (list.clone(), list)
        }
        Some(BodyKind::Secrets) => ("Secrets".to_owned(), "Secrets".to_owned()),
        // The response has no other field than the id.
        Some(BodyKind::Object(object)) if object.name() == CREATED_CLUSTER => {
            ("ClusterId".to_owned(), format!("detail::{CREATED_CLUSTER}"))
        }
        Some(BodyKind::Object(object)) => (object.name().to_owned(), object.name().to_owned()),
    }
}

pub(super) fn is_csv(operation: &Operation) -> bool {
    matches!(
        operation.response.as_ref().map(|shape| &shape.kind),
        Some(BodyKind::Csv)
    )
}

pub(super) fn signature(operation: &Operation) -> String {
    let arguments: Vec<String> = arguments(operation)
        .into_iter()
        .map(|argument| argument.declared)
        .collect();
    format!(
        "{}({}) const",
        cpp_name(place_of(operation.sdk_method).1),
        arguments.join(", ")
    )
}

fn push_declaration(text: &mut String, operation: &Operation) {
    doc(text, "  ", operation.doc);
    if !operation.documented_errors.is_empty() {
        let errors: Vec<String> = operation
            .documented_errors
            .iter()
            .map(|(status, reason)| format!("{status} {reason}"))
            .collect();
        doc(
            text,
            "  ",
            &format!("Documented error responses: {}.", errors.join("; ")),
        );
    }
    if is_csv(operation) {
        let name = cpp_name(place_of(operation.sdk_method).1);
        doc(
            text,
            "  ",
            "Writes the CSV to a stream. Throws IoError if writing fails.",
        );
        writeln!(text, "  void {name}(std::ostream& stream) const;").unwrap();
        doc(text, "  ", operation.doc);
        doc(
            text,
            "  ",
            "Passes the CSV to a callback in pieces. If the callback returns `false`, the call ends \
             with IoError; a callback that returns void receives all pieces.",
        );
        writeln!(
            text,
            "  template <class Sink,\n            \
             class = std::enable_if_t<std::is_invocable_v<Sink&, std::string_view>>>\n  \
             void {name}(Sink&& sink) const;"
        )
        .unwrap();
        return;
    }
    let returns = response_types(operation).0;
    writeln!(
        text,
        "  {}{returns} {};",
        if returns == "void" {
            ""
        } else {
            "[[nodiscard]] "
        },
        signature(operation)
    )
    .unwrap();
}

fn push_waiter_declaration(text: &mut String, waiter: &Waiter) {
    doc(text, "  ", waiter.doc);
    doc(
        text,
        "  ",
        "Throws WaitFailedError as soon as the resource cannot reach the state any more, \
         TimeoutError at the deadline of the wait.",
    );
    writeln!(
        text,
        "  {} {}({}) const;",
        waiter.response.map_or("void", |response| response.name()),
        cpp_name(place_of(waiter.sdk_method).1),
        waiter_arguments(waiter, true)
    )
    .unwrap();
}

pub(super) fn waiter_arguments(waiter: &Waiter, with_default: bool) -> String {
    let mut declared: Vec<String> = waiter
        .arguments
        .iter()
        .filter_map(|name| path_argument(name, true))
        .map(|argument| argument.declared)
        .collect();
    let default = if with_default { " = {}" } else { "" };
    declared.push(format!(
        "const Wait<{}>& wait{default}",
        polled_type(waiter)
    ));
    declared.join(", ")
}
