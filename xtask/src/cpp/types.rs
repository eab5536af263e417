//! Types of requests and responses: ids, enumerations and structs with their JSON.

use std::fmt::Write as _;

use camunda_admin::description::{
    Description, Direction, EnumValue, Field, INTERNAL_TYPES, Presence, TYPES,
};

use super::names::{cpp_name, doc};

/// The response type of which the method returns one field, `cluster_id`.
pub(super) const CREATED_CLUSTER: &str = "CreatedCluster";

/// Returns whether the fields of a request body are the arguments of the method, instead of an object.
pub(crate) fn is_passed_as_arguments(name: &str) -> bool {
    is_internal(name) && name != CREATED_CLUSTER
}

/// Returns whether a type is used in the implementation of methods only.
fn is_internal(name: &str) -> bool {
    INTERNAL_TYPES.contains(&name)
}

/// Member functions of types. The end of the template defines them.
const MEMBERS: &[(&str, &str)] = &[
    (
        "Cluster",
        "  /// Returns the IP allowlist: `ipallowlist`, else `ipwhitelist`; nullptr if the credentials lack\n\
         \x20 /// the permission to read it.\n\
         \x20 [[nodiscard]] const std::vector<IpAllowlistEntry>* allowlist() const noexcept\n\
         \x20     CAMUNDA_LIFETIMEBOUND;\n",
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
         \x20 [[nodiscard]] std::vector<std::pair<std::string, std::vector<std::string>>> by_product() const;\n",
    ),
];

pub(super) fn push_types(text: &mut String) {
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
pub(super) fn field_type(field: &Field) -> String {
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
pub(super) fn cpp_type(rust_type: &str) -> String {
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

pub(super) fn push_hashes(text: &mut String) {
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
