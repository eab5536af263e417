//! Generates the C++ header: fills the markers of `templates/camunda_admin.hpp.in` with the types and
//! the operations of the API description.

use std::fmt::Write as _;

use camunda_admin::description::{
    BodyKind, Description, Direction, EnumValue, Field, OPERATIONS, Operation, Presence, TYPES,
    WAITERS, Waiter,
};

use crate::{Generated, NOTICE};

const TEMPLATE: &str = include_str!("../templates/camunda_admin.hpp.in");

/// C++ classes that have operations as methods.
const PLACES: &[Place] = &[
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

/// Requests with one or two fields, which are the arguments of the method instead of an object.
const AS_ARGUMENTS: &[&str] = &[
    "UpdateIpAllowlist",
    "SetBackupSchedule",
    "CreateSecret",
    "UpdateSecret",
    "CreateMonitoringClient",
    "SetMemberRoles",
];

/// The response type of which the method returns one field, `cluster_id`.
const CREATED_CLUSTER: &str = "CreatedCluster";

/// Returns whether the fields of a request body are the arguments of the method.
pub(crate) fn is_passed_as_arguments(name: &str) -> bool {
    AS_ARGUMENTS.contains(&name)
}

/// Returns whether a type is used in the implementation of methods only.
fn is_internal(name: &str) -> bool {
    is_passed_as_arguments(name) || name == CREATED_CLUSTER
}

/// Member functions of types. The end of the template defines them.
const MEMBERS: &[(&str, &str)] = &[
    (
        "Cluster",
        "  /// Returns the IP allowlist: `ipallowlist`, else `ipwhitelist`; nullptr if the credentials lack\n\
         \x20 /// the permission to read it.\n\
         \x20 [[nodiscard]] const std::vector<IpAllowlistEntry>* allowlist() const noexcept;\n",
    ),
    (
        "AuditEvent",
        "  /// Returns the instant of `timestamp`; nothing if it is absent or not a whole number.\n\
         \x20 [[nodiscard]] std::optional<SysTime> time() const noexcept;\n",
    ),
    (
        "CreatedClusterClient",
        "  /// Returns the variables with which a program uses the cluster as this client. To store them in\n\
         \x20 /// a file, create the client with ClusterClients::create_env_file() instead.\n\
         \x20 [[nodiscard]] ClusterCredentials credentials(const Cluster& cluster) const;\n",
    ),
    (
        "IpRanges",
        "  /// Returns all products with their IP ranges, including products unknown to this version.\n\
         \x20 [[nodiscard]] std::vector<std::pair<std::string, std::vector<std::string>>> all() const;\n",
    ),
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
        "Sets the encoding of token requests: `json` (default) or `form`.",
    ),
    (
        "max_response_bytes",
        "Sets the maximum size of a decompressed response body in bytes. Default: 64 MiB.",
    ),
];

struct Place {
    /// Prefix of `Operation::sdk_method` of its methods.
    call: &'static str,
    class: &'static str,
    doc: &'static str,
    /// Whether an object of the class has a cluster id.
    of_cluster: bool,
}

/// Generates `include/camunda_admin.hpp`.
pub(crate) fn header() -> Generated {
    Generated {
        path: "include/camunda_admin.hpp",
        text: expand_template(),
    }
}

fn expand_template() -> String {
    let mut text = format!("// {NOTICE}\n\n");
    for line in TEMPLATE.lines() {
        match line {
            "//@types" => push_types(&mut text),
            "//@handles" => push_handles(&mut text),
            "//@admin" => push_admin(&mut text),
            "//@settings" => push_settings(&mut text),
            "//@resources" => push_resources(&mut text),
            "//@operations" => push_definitions(&mut text),
            "//@hashes" => push_hashes(&mut text),
            comment if comment.starts_with("//@ ") => {}
            line => writeln!(text, "{line}").unwrap(),
        }
    }
    text
}

// Types

fn push_types(text: &mut String) {
    for (index, description) in TYPES.iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        match description {
            Description::Id { name, doc } => push_id(text, name, doc),
            Description::Enum { name, doc, values } => push_enum(text, name, doc, values),
            Description::Object { .. } => push_object(text, description),
        }
    }
}

fn push_id(text: &mut String, name: &str, documentation: &str) {
    doc(text, "", documentation);
    writeln!(
        text,
        "class {name} : public Id<{name}> {{\n public:\n  using Id::Id;\n}};"
    )
    .unwrap();
}

fn push_enum(text: &mut String, name: &str, documentation: &str, values: &[EnumValue]) {
    doc(text, "", documentation);
    doc(
        text,
        "",
        "Keeps values unknown to this version; to_json() writes them unchanged.",
    );
    writeln!(text, "class {name} : public OpenEnum<{name}> {{\n public:").unwrap();
    doc(text, "  ", "Values known to this version.");
    writeln!(text, "  enum Known : unsigned char {{").unwrap();
    doc(
        text,
        "    ",
        "A value unknown to this version, or an absent field.",
    );
    writeln!(text, "    Unknown,").unwrap();
    for value in values {
        doc(text, "    ", value.doc);
        writeln!(text, "    {},", value.name).unwrap();
    }
    let list: Vec<String> = values
        .iter()
        .map(|value| format!("\"{}\"", value.json))
        .collect();
    writeln!(
        text,
        "  }};\n\n  \
         /// Creates an absent value.\n  {name}() = default;\n  \
         /// Creates a known value.\n  {name}(Known known) : OpenEnum(static_cast<std::size_t>(known)) {{}}\n  \
         /// Creates a value from its JSON string.\n  explicit {name}(std::string_view value) : OpenEnum(value) {{}}\n  \
         /// Returns the value for a `switch`.\n  [[nodiscard]] Known known() const noexcept {{ return static_cast<Known>(index()); }}\n\n  \
         /// @private\n  static constexpr std::string_view values[] = {{\n      {}}};\n}};",
        list.join(", ")
    )
    .unwrap();
}

fn push_object(text: &mut String, description: &Description) {
    let Description::Object {
        name,
        doc: documentation,
        fields,
        direction,
    } = description
    else {
        unreachable!()
    };
    let internal = is_internal(name);
    if internal {
        text.push_str("/// @cond\nnamespace detail {\n");
    }
    doc(text, "", documentation);
    writeln!(text, "struct {name} {{").unwrap();
    for field in *fields {
        doc(text, "  ", field.doc);
        writeln!(
            text,
            "  {} {}{{}};",
            field_type(field),
            cpp_name(field.name)
        )
        .unwrap();
    }
    let keeps_extra = !internal || *direction == Direction::Response;
    if keeps_extra {
        let documentation = match direction {
            Direction::Response => "Fields unknown to this version.",
            Direction::Request => {
                "Fields unknown to this version. A request with such a field is not sent: it causes an \
                 InvalidArgumentError."
            }
        };
        doc(text, "  ", documentation);
        writeln!(text, "  Extra extra{{}};").unwrap();
    }
    text.push('\n');
    if let Some((_, members)) = MEMBERS.iter().find(|(of, _)| of == name) {
        text.push_str(members);
    }
    doc(
        text,
        "  ",
        "Decodes JSON. Throws InvalidArgumentError if `json` is not valid JSON, DecodeError if it does \
         not have the structure of the type.",
    );
    writeln!(
        text,
        "  [[nodiscard]] static {name} from_json(std::string_view json);"
    )
    .unwrap();
    doc(
        text,
        "  ",
        "Encodes the object as JSON with the API's field names, including unknown fields, nulls and \
         secrets. Fields of a response that were absent stay absent unless they were set.",
    );
    writeln!(text, "  [[nodiscard]] std::string to_json() const;\n}};").unwrap();
    let name = match internal {
        true => {
            text.push_str("}  // namespace detail\n/// @endcond\n");
            format!("detail::{name}")
        }
        false => (*name).to_owned(),
    };
    text.push('\n');
    text.push_str("/// @cond\n");
    push_table(text, &name, fields, *direction, keeps_extra);
    text.push('\n');
    let writer = format!("detail::writer_of<{name}>");
    writeln!(
        text,
        "inline {name} {name}::from_json(std::string_view json) {{\n  \
         {name} object{{}};\n  detail::decode_json(detail::reader_of<{name}>, json, &object);\n  return object;\n}}\n\n\
         inline std::string {name}::to_json() const {{ return detail::encode({writer}, this); }}\n/// @endcond"
    )
    .unwrap();
    if !internal {
        writeln!(
            text,
            "\n/// Compares all fields, also those unknown to this version.\n\
             inline bool operator==(const {name}& a, const {name}& b) {{\n  \
             return detail::equal({writer}, &a, &b);\n}}\n\
             /// Compares all fields, also those unknown to this version.\n\
             inline bool operator!=(const {name}& a, const {name}& b) {{ return !(a == b); }}\n\
             /// Writes the JSON of the object, with `***` for secrets and for the values of unknown fields.\n\
             inline std::ostream& operator<<(std::ostream& stream, const {name}& object) {{\n  \
             return detail::print(stream, {writer}, &object);\n}}"
        )
        .unwrap();
    }
}

/// Writes the table by which an object is decoded, encoded and compared.
fn push_table(
    text: &mut String,
    name: &str,
    fields: &[Field],
    direction: Direction,
    keeps_extra: bool,
) {
    writeln!(
        text,
        "template <>\nstruct detail::Table<{name}> {{\n  \
         static void* field(void* object, std::size_t index) {{\n    \
         auto& it = *static_cast<{name}*>(object);\n    switch (index) {{"
    )
    .unwrap();
    for (index, field) in fields.iter().enumerate() {
        writeln!(
            text,
            "      case {index}: return &it.{};",
            cpp_name(field.name)
        )
        .unwrap();
    }
    let extra = if keeps_extra { "&it.extra" } else { "nullptr" };
    writeln!(
        text,
        "      default: return {extra};\n    }}\n  }}\n  static constexpr Field fields[] = {{"
    )
    .unwrap();
    assert!(
        fields.len() <= 64,
        "{name}: the sets of null and of absent fields have 64 bits"
    );
    for field in fields {
        let presence = match (field.presence, direction) {
            (Presence::Required, _) => "Required",
            (Presence::Defaulted, Direction::Response) => "Defaulted",
            // A request must be complete, also with objects of a response: `Defaulted` fields that were
            // absent are not written.
            (Presence::Defaulted, Direction::Request) | (Presence::Optional, _) => "Optional",
        };
        writeln!(text, "      {{\"{}\", Presence::{presence}}},", field.json).unwrap();
    }
    writeln!(
        text,
        "  }};\n  static constexpr ObjectTable table = {{fields, std::size(fields), field}};"
    )
    .unwrap();
    for (kind, list) in [("Reader", "reader"), ("Writer", "writer")] {
        writeln!(text, "  static constexpr const {kind}* {list}s[] = {{").unwrap();
        for field in fields {
            writeln!(text, "      &{list}_of<{}>,", field_type(field)).unwrap();
        }
        writeln!(text, "  }};").unwrap();
    }
    writeln!(text, "}};").unwrap();
}

/// Returns the C++ type of a field. Ids and times that are documented as required are empty if
/// absent.
fn field_type(field: &Field) -> String {
    let kind = cpp_type(field.rust_type);
    let inner = kind
        .strip_prefix("std::optional<")
        .and_then(|rest| rest.strip_suffix('>'));
    match (field.presence, inner) {
        (Presence::Defaulted, Some(inner)) => inner.to_owned(),
        _ => kind,
    }
}

/// Returns the C++ type of a Rust type such as `Option < Vec < Generation > >`.
fn cpp_type(rust_type: &str) -> String {
    let compact: String = rust_type.split_whitespace().collect();
    let inner = |wrapper: &str| {
        compact
            .strip_prefix(wrapper)?
            .strip_prefix('<')?
            .strip_suffix('>')
            .map(cpp_type)
    };
    if let Some(inner) = inner("Option") {
        return format!("std::optional<{inner}>");
    }
    if let Some(inner) = inner("Vec") {
        return format!("std::vector<{inner}>");
    }
    match compact.as_str() {
        "String" => "std::string".to_owned(),
        "u32" => "std::uint32_t".to_owned(),
        other => {
            let own = [
                "bool",
                "Secret",
                "Json",
                "Number",
                "FailoverStep",
                "Timestamp",
            ];
            assert!(
                own.contains(&other) || TYPES.iter().any(|known| known.name() == other),
                "{other}: no C++ type is defined; add it to cpp_type"
            );
            other.to_owned()
        }
    }
}

/// Returns the C++ name of a Rust name: without `r#`, `remove` for `delete`, and with `_` after other C++
/// keywords.
pub(crate) fn cpp_name(name: &str) -> String {
    let name = name.strip_prefix("r#").unwrap_or(name);
    match name {
        // Methods only: no field has this name.
        "delete" => "remove".to_owned(),
        "namespace" | "operator" | "class" | "new" | "default" | "register" | "public"
        | "private" | "template" | "this" | "union" | "virtual" | "export" => {
            format!("{name}_")
        }
        name => name.to_owned(),
    }
}

fn push_hashes(text: &mut String) {
    let texts = TYPES.iter().filter_map(|description| match description {
        Description::Id { name, .. } | Description::Enum { name, .. } => Some(*name),
        Description::Object { .. } => None,
    });
    for name in texts.chain(["Timestamp"]) {
        writeln!(
            text,
            "template <>\nstruct std::hash<camunda::{name}> : camunda::detail::HashText<camunda::{name}> {{}};"
        )
        .unwrap();
    }
}

// Operations

fn push_handles(text: &mut String) {
    writeln!(text, "class AdminClientBuilder;\nclass TokenSource;").unwrap();
    for place in PLACES {
        writeln!(text, "class {};", place.class).unwrap();
    }
}

fn push_admin(text: &mut String) {
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

fn push_settings(text: &mut String) {
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
             AdminClientBuilder&& {key}({argument}) && {{\n    return std::move({key}({name}));\n  }}"
        )
        .unwrap();
    }
}

fn push_resources(text: &mut String) {
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
fn place_of(call: &str) -> (&str, &str) {
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

fn class_of(place: &str) -> &'static str {
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
struct Argument {
    /// Type and name.
    declared: String,
    /// Statements before the call of the C function.
    before: String,
    /// Arguments of the C function.
    passed: String,
}

fn path_argument(name: &str, of_cluster: bool) -> Option<Argument> {
    let id = match name {
        "clusterUuid" if of_cluster => return None,
        "clusterUuid" => Some("ClusterId"),
        "clientId" => Some("ClusterClientId"),
        "clientUuid" => Some("MonitoringClientId"),
        "backupId" => Some("BackupId"),
        "generationId" => Some("GenerationId"),
        _ => None,
    };
    let snake = snake(name);
    Some(match id {
        Some(id) => {
            let short = match name {
                "clusterUuid" => "cluster",
                "backupId" => "backup",
                "generationId" => "generation",
                _ => "client",
            };
            Argument {
                declared: format!("const {id}& {short}"),
                before: String::new(),
                passed: format!("detail::c_text({short}.str(), \"{snake}\")"),
            }
        }
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

fn arguments(operation: &Operation) -> Vec<Argument> {
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
        if AS_ARGUMENTS.contains(name) {
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
                    other => (
                        format!("std::vector<{}>", &other[12..other.len() - 1]),
                        format!("std::move({short})"),
                    ),
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
fn response_types(operation: &Operation) -> (String, String) {
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

fn is_csv(operation: &Operation) -> bool {
    matches!(
        operation.response.as_ref().map(|shape| &shape.kind),
        Some(BodyKind::Csv)
    )
}

fn signature(operation: &Operation) -> String {
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

fn waiter_arguments(waiter: &Waiter, with_default: bool) -> String {
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

/// Returns the type that the progress callback of a waiter receives.
pub(crate) fn polled_type(waiter: &Waiter) -> &'static str {
    waiter
        .response
        .map_or("Cluster", |response| response.name())
}

fn push_definitions(text: &mut String) {
    for place in PLACES {
        match place.call.split_once('.') {
            None if place.of_cluster => writeln!(
                text,
                "inline {0} AdminClient::{1}(ClusterId id) const {{\n  return {0}(*this, std::move(id));\n}}\n",
                place.class, place.call
            ),
            None => writeln!(
                text,
                "inline {0} AdminClient::{1}() const {{ return {0}(*this); }}\n",
                place.class, place.call
            ),
            Some(_) => Ok(()),
        }
        .unwrap();
    }
    for operation in OPERATIONS {
        push_definition(text, operation);
    }
    push_allowlist_definitions(text);
    push_env_file_definition(text);
    for waiter in WAITERS {
        push_waiter_definition(text, waiter);
    }
}

fn push_definition(text: &mut String, operation: &Operation) {
    let (place, _) = place_of(operation.sdk_method);
    let class = class_of(place);
    if is_csv(operation) {
        push_csv(text, operation, class);
        return;
    }
    let arguments = arguments(operation);
    let mut passed = if class == "AdminClient" {
        vec!["get()".to_owned(), "call()".to_owned()]
    } else {
        vec!["admin_.get()".to_owned(), "admin_.call()".to_owned()]
    };
    if operation.sdk_method.starts_with("cluster.") {
        passed.push("detail::c_text(cluster_.str(), \"cluster_uuid\")".to_owned());
    }
    passed.extend(arguments.iter().map(|argument| argument.passed.clone()));
    let (returns, read_as) = response_types(operation);
    writeln!(
        text,
        "inline {returns} {class}::{} {{",
        signature(operation)
    )
    .unwrap();
    for argument in &arguments {
        text.push_str(&argument.before);
    }
    if read_as.is_empty() {
        passed.push("error".to_owned());
        writeln!(text, "  detail::run([&](camunda_error** error) {{").unwrap();
        push_call(text, operation.c_function, &passed);
        writeln!(text, "  }});").unwrap();
    } else {
        passed.extend(["value".to_owned(), "error".to_owned()]);
        writeln!(
            text,
            "  return detail::call_value<{read_as}>([&](camunda_value** value, camunda_error** error) {{"
        )
        .unwrap();
        push_call(text, operation.c_function, &passed);
        let field = if returns == read_as {
            ""
        } else {
            ".cluster_id"
        };
        writeln!(text, "  }}){field};").unwrap();
    }
    writeln!(text, "}}\n").unwrap();
}

fn push_call(text: &mut String, function: &str, passed: &[String]) {
    let mut line = format!("    return {function}(");
    for (index, argument) in passed.iter().enumerate() {
        let separator = if index + 1 == passed.len() { ");" } else { "," };
        if line.len() + argument.len() + separator.len() + 1 > 99 {
            writeln!(text, "{}", line.trim_end()).unwrap();
            line = "        ".to_owned();
        }
        line.push_str(argument);
        line.push_str(separator);
        if separator == "," {
            line.push(' ');
        }
    }
    writeln!(text, "{}", line.trim_end()).unwrap();
}

fn push_csv(text: &mut String, operation: &Operation, class: &str) {
    let name = cpp_name(place_of(operation.sdk_method).1);
    writeln!(
        text,
        "inline void {class}::{name}(std::ostream& stream) const {{\n  \
           {name}([&](std::string_view piece) {{\n    \
             stream.write(piece.data(), static_cast<std::streamsize>(piece.size()));\n    \
             return stream.good();\n  }});\n}}\n\n\
         template <class Sink, class>\nvoid {class}::{name}(Sink&& sink) const {{\n  \
           const camunda_write_fn write = [](void* user, const char* data,\n                                    \
           std::size_t size) noexcept -> std::int32_t {{\n    \
             try {{\n      \
               auto& sink_of_caller = *static_cast<std::remove_reference_t<Sink>*>(user);\n      \
               const std::string_view piece(data, size);\n      \
               if constexpr (std::is_void_v<std::invoke_result_t<Sink&, std::string_view>>) {{\n        \
                 sink_of_caller(piece);\n        return 0;\n      \
               }} else {{\n        return sink_of_caller(piece) ? 0 : 1;\n      }}\n    \
             }} catch (...) {{\n      detail::store_exception(true);\n      return 1;\n    }}\n  }};\n  \
           void* const user = const_cast<void*>(static_cast<const void*>(std::addressof(sink)));\n  \
           detail::run([&](camunda_error** error) {{\n    \
             return {}(admin_.get(), admin_.call(), write, user, error);\n  }});\n}}\n",
        operation.c_function
    )
    .unwrap();
}

fn push_allowlist_definitions(text: &mut String) {
    writeln!(
        text,
        "inline std::vector<IpAllowlistEntry> ClusterHandle::add_to_ip_allowlist(\n    \
         const IpAllowlistEntry& entry) const {{\n  \
         return detail::call_value<std::vector<IpAllowlistEntry>>(\n      \
         [&](camunda_value** value, camunda_error** error) {{\n        \
         return camunda_cluster_add_to_ip_allowlist(\n            \
         admin_.get(), admin_.call(), detail::c_text(cluster_.str(), \"cluster_uuid\"),\n            \
         detail::c_text(entry.ip, \"ip\"), detail::c_text(entry.description, \"description\"), value, error);\n      \
         }});\n}}\n\n\
         inline std::vector<IpAllowlistEntry> ClusterHandle::remove_from_ip_allowlist(\n    \
         std::string_view ip) const {{\n  \
         const detail::CText ip_text(ip, \"ip\");\n  \
         return detail::call_value<std::vector<IpAllowlistEntry>>(\n      \
         [&](camunda_value** value, camunda_error** error) {{\n        \
         return camunda_cluster_remove_from_ip_allowlist(\n            \
         admin_.get(), admin_.call(), detail::c_text(cluster_.str(), \"cluster_uuid\"), ip_text.get(),\n            \
         value, error);\n      }});\n}}\n"
    )
    .unwrap();
}

fn push_env_file_definition(text: &mut String) {
    writeln!(
        text,
        "inline CreatedClusterClient ClusterClients::create_env_file(\n    \
         const std::string& path, const CreateClusterClient& request) const {{\n  \
         const detail::Body body(request);\n  \
         return detail::call_value<CreatedClusterClient>([&](camunda_value** value, camunda_error** error) {{\n    \
         return camunda_cluster_client_create_env_file(\n        \
         admin_.get(), admin_.call(), detail::c_text(cluster_.str(), \"cluster_uuid\"), body.data(),\n        \
         body.size(), detail::c_text(path, \"the path\"), value, error);\n  }});\n}}\n"
    )
    .unwrap();
}

fn push_waiter_definition(text: &mut String, waiter: &Waiter) {
    let (place, name) = place_of(waiter.sdk_method);
    let response = waiter.response.map(|response| response.name());
    writeln!(
        text,
        "inline {} {}::{}({}) const {{",
        response.unwrap_or("void"),
        class_of(place),
        cpp_name(name),
        waiter_arguments(waiter, false)
    )
    .unwrap();
    let arguments: Vec<Argument> = waiter
        .arguments
        .iter()
        .filter_map(|name| path_argument(name, true))
        .collect();
    for argument in &arguments {
        text.push_str(&argument.before);
    }
    let mut passed = vec![
        "admin_.get()".to_owned(),
        "handle.get()".to_owned(),
        "detail::c_text(cluster_.str(), \"cluster_uuid\")".to_owned(),
    ];
    passed.extend(arguments.into_iter().map(|argument| argument.passed));
    writeln!(
        text,
        "  const detail::WaitHandle<{}> handle(admin_.options(), wait);",
        polled_type(waiter)
    )
    .unwrap();
    match response {
        Some(response) => {
            passed.extend(["value".to_owned(), "error".to_owned()]);
            writeln!(
                text,
                "  return detail::call_value<{response}>([&](camunda_value** value, camunda_error** error) {{"
            )
        }
        None => {
            passed.push("error".to_owned());
            writeln!(text, "  detail::run([&](camunda_error** error) {{")
        }
    }
    .unwrap();
    push_call(text, waiter.c_function, &passed);
    writeln!(text, "  }});\n}}\n").unwrap();
}

// Text

/// Writes a paragraph as a Doxygen comment, with intra-doc links of Rust as plain names.
fn doc(text: &mut String, indent: &str, paragraph: &str) {
    let plain = paragraph.replace("[`", "").replace("`]", "");
    let width = 95 - indent.len();
    let mut line = String::new();
    for part in plain.split_whitespace() {
        if !line.is_empty() && line.len() + part.len() > width {
            writeln!(text, "{indent}/// {line}").unwrap();
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(part);
    }
    writeln!(text, "{indent}/// {line}").unwrap();
}

fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
