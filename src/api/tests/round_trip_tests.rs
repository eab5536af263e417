//! Round-trip tests: decoding and encoding leaves the JSON of every type unchanged, including
//! unknown fields and enumeration values. Fuzzing entry points for bodies, responses and paths.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::Serialize;
use serde_json::value::RawValue;

use crate::api::admin::check_path;
use crate::api::json_walk::walk;
use crate::api::operation::{BodyKind, decode_with_serde, strip_bom};
use crate::api::place::Decode;
use crate::api::schema::JsonSchema;
use crate::api::schema::{Description, Direction, Field, Presence};
use crate::api::text_decoder;
use crate::api::{OPERATIONS, ROUND_TRIPS, TYPES};
use crate::error::{ErrorKind, Outcome};
#[cfg(feature = "capi")]
use crate::secret::Zeroizing;

/// Decodes JSON with both decoders, which must agree, and encodes the value.
pub(in crate::api) fn round_trip<T: Decode + Serialize>(json: &[u8]) -> Result<String, String> {
    let encode = |value: T| serde_json::to_string(&value).map_err(|error| error.to_string());
    let encoded = decode_with_serde(json).and_then(encode);
    let text = std::str::from_utf8(strip_bom(json)).ok();
    let mut value = None;
    match text.is_some_and(|text| text_decoder::decode(text, T::place(&mut value))) {
        true => assert_eq!(encode(value.expect("decoded")), encoded),
        false => assert!(encoded.is_err(), "{encoded:?}"),
    }
    encoded
}

/// Fuzzing entry point: one byte for the type, then JSON. Encoding keeps everything that was
/// decoded, and the walk accepts what decoding accepts.
pub(crate) fn any_type(data: &[u8]) {
    let Some((choice, json)) = data.split_first() else {
        return;
    };
    let (description, round_trip) = ROUND_TRIPS[usize::from(*choice) % ROUND_TRIPS.len()];
    let decoded = round_trip(json);
    let start = json.len() - strip_bom(json).len();
    let walked = walk(JsonSchema::Described(description), json, start);
    assert_eq!(walked.is_some(), decoded.is_ok(), "{decoded:?}");
    let Ok(encoded) = decoded else {
        return;
    };
    assert_eq!(round_trip(encoded.as_bytes()).as_ref(), Ok(&encoded));
    let json = serde_json::from_slice(strip_bom(json)).unwrap();
    let encoded = serde_json::from_str(&encoded).unwrap();
    assert_kept(description.name(), json, encoded);
}

/// Fuzzing entry point: one byte for the operation, then JSON. A valid request body has no unknown
/// field, and the error for an invalid response contains its body.
pub(crate) fn any_operation(data: &[u8]) {
    let Some((choice, json)) = data.split_first() else {
        return;
    };
    let operation = OPERATIONS[usize::from(*choice) % OPERATIONS.len()];
    match (operation.check_body(Some(json)), &operation.body) {
        (Ok(()), Some(schema)) => {
            if let BodyKind::Object(description) = schema.kind {
                assert_no_unknown_field(description, serde_json::from_slice(json).unwrap());
            }
        }
        (Ok(()), None) => panic!("{} accepts a body", operation.name),
        (Err(error), _) => {
            let known = (error.kind(), error.outcome());
            assert_eq!(known, (ErrorKind::InvalidArgument, Outcome::NotSent));
        }
    }
    #[cfg(feature = "capi")]
    if let Err(error) = operation.index_response(Zeroizing::new(json.to_vec())) {
        let known = (error.kind(), error.outcome(), error.body());
        assert_eq!(known, (ErrorKind::Decode, Outcome::Completed, Some(json)));
    }
}

/// Returns whether an argument has a `.` or `..` segment after repeated percent-decoding.
fn resolves_away(argument: &str) -> bool {
    let mut decoded = argument.as_bytes().to_vec();
    loop {
        let next: Vec<u8> = percent_encoding::percent_decode(&decoded).collect();
        if next == decoded {
            break;
        }
        decoded = next;
    }
    String::from_utf8_lossy(&decoded)
        .split(['/', '\\'])
        .map(|segment| segment.split_once(';').map_or(segment, |(name, _)| name))
        .any(|segment| segment == "." || segment == "..")
}

/// Fuzzing entry point: one byte for the operation, then its arguments, separated by a byte that is
/// not valid in UTF-8. Each argument stays one segment of the path and is unchanged after decoding.
pub(crate) fn any_path(data: &[u8]) {
    let Some((choice, arguments)) = data.split_first() else {
        return;
    };
    let operation = OPERATIONS[usize::from(*choice) % OPERATIONS.len()];
    let Ok(arguments) = arguments
        .split(|byte| *byte == 0xff)
        .map(std::str::from_utf8)
        .collect::<Result<Vec<_>, _>>()
    else {
        return;
    };
    for path in &arguments {
        if check_path(path).is_ok()
            && let Ok(uri) = format!("https://api.example{path}").parse::<http::Uri>()
        {
            assert_eq!(
                (uri.scheme_str(), uri.host()),
                (Some("https"), Some("api.example"))
            );
            assert!(uri.port().is_none() && uri.path().starts_with('/'));
        }
    }
    let count = operation.arguments().count();
    let arguments: Vec<_> = arguments.into_iter().chain([""; 3]).take(count).collect();
    let Ok(path) = operation.path_with(&arguments) else {
        assert!(
            arguments
                .iter()
                .any(|argument| argument.is_empty() || resolves_away(argument))
        );
        return;
    };
    check_path(&path).unwrap();
    assert!(!arguments.iter().any(|argument| resolves_away(argument)));
    let uri: http::Uri = format!("https://api.example{path}").parse().unwrap();
    assert_eq!(
        (uri.host(), uri.path()),
        (Some("api.example"), path.as_str())
    );
    assert_eq!(uri.query(), None);
    let segments: Vec<_> = path.split('/').collect();
    let template: Vec<_> = operation.path.split('/').collect();
    assert_eq!(segments.len(), template.len());
    let mut arguments = arguments.into_iter();
    for (segment, template) in segments.into_iter().zip(template) {
        if template.starts_with('{') {
            let decoded: Vec<u8> = percent_decode_str(segment).collect();
            assert_eq!(decoded, arguments.next().unwrap().as_bytes());
        } else {
            assert_eq!(segment, template);
        }
    }
}

/// Asserts that `after` equals `before`, except for fields that a request must not omit.
fn assert_kept(rust_type: &str, before: &RawValue, after: &RawValue) {
    if let Some(inner) = inside(rust_type, "Option") {
        return assert_kept(inner, before, after);
    }
    if let Some(inner) = inside(rust_type, "Vec") {
        let [before, after] = [before, after].map(|json| elements(json));
        assert_eq!(before.len(), after.len());
        let pairs = before.into_iter().zip(after);
        return pairs.for_each(|(before, after)| assert_kept(inner, before, after));
    }
    match TYPES.iter().find(|known| known.name() == rust_type) {
        Some(Description::Object {
            fields, direction, ..
        }) => assert_fields_kept(fields, *direction, before, after),
        Some(_) => assert_eq!(string(before), string(after)),
        None if ["String", "Timestamp", "Secret"].contains(&rust_type) => {
            assert_eq!(string(before), string(after));
        }
        None => assert_eq!(before.get(), after.get()),
    }
}

fn assert_fields_kept(fields: &[Field], direction: Direction, before: &RawValue, after: &RawValue) {
    let [before, after] = [before, after].map(|json| serde_json::from_str(json.get()).unwrap());
    let (before, after): (Members, Members) = (before, after);
    let unknown = |members: &Members<'_>| -> Vec<(String, String)> {
        let members = members.0.iter();
        let unknown = members.filter(|(name, _)| fields.iter().all(|field| field.json != name));
        let texts = unknown.map(|(name, json)| (name.clone(), json.get().to_owned()));
        texts.collect()
    };
    assert_eq!(unknown(&before), unknown(&after));
    for field in fields {
        match (before.last(field.json), after.last(field.json)) {
            (Some(before), Some(after)) if before.get() == "null" => {
                assert_eq!(after.get(), "null", "{}", field.json);
            }
            (Some(before), Some(after)) => assert_kept(field.rust_type, before, after),
            (Some(_), None) => panic!("{} is missing", field.json),
            (None, Some(_)) => {
                let actual = (direction, field.presence);
                assert_eq!(actual, (Direction::Request, Presence::Defaulted));
            }
            (None, None) => assert_ne!(field.presence, Presence::Required),
        }
    }
}

fn assert_no_unknown_field(description: &Description, json: &RawValue) {
    let Description::Object {
        fields, direction, ..
    } = description
    else {
        return;
    };
    assert_eq!(*direction, Direction::Request);
    let members: Members = serde_json::from_str(json.get()).unwrap();
    for (name, json) in members.0 {
        let field = fields
            .iter()
            .find(|field| field.json == name)
            .expect("known");
        let elements_are = inside(field.rust_type, "Option").unwrap_or(field.rust_type);
        let Some(element) = inside(elements_are, "Vec") else {
            continue;
        };
        if let Some(known) = TYPES.iter().find(|known| known.name() == element)
            && json.get() != "null"
        {
            let elements = elements(json).into_iter();
            elements.for_each(|json| assert_no_unknown_field(known, json));
        }
    }
}

fn elements(json: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(json.get()).unwrap()
}

fn string(json: &RawValue) -> String {
    serde_json::from_str(json.get()).unwrap()
}

/// Members of a JSON object in their order, including duplicates.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Returns the last member of that name, which wins over duplicates.
    fn last(&self, name: &str) -> Option<&'a RawValue> {
        let mut members = self.0.iter().rev();
        members
            .find(|(found, _)| found == name)
            .map(|(_, json)| *json)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;
        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Members<'de>, M::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(MembersVisitor)
    }
}

/// Returns the type parameter of `Outer < … >`, as `stringify!` writes it.
fn inside<'a>(rust_type: &'a str, outer: &str) -> Option<&'a str> {
    let inner = rust_type
        .strip_prefix(outer)?
        .trim_start()
        .strip_prefix('<')?;
    Some(inner.strip_suffix('>')?.trim())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns whether an empty string in the field means that there is no value.
    fn may_be_empty(field: &Field) -> bool {
        let inner = inside(field.rust_type, "Option");
        let is_id = |name| {
            let mut types = TYPES.iter();
            types.any(|known| matches!(known, Description::Id { .. }) && known.name() == name)
        };
        inner.is_some_and(|inner| inner == "Timestamp" || is_id(inner))
    }

    /// Generator of JSON values from the bytes of proptest, so that failures are reproducible and
    /// can be shrunk.
    struct ValueGenerator<'a>(std::slice::Iter<'a, u8>);

    impl ValueGenerator<'_> {
        /// Returns a number below `end`; 0 after the last byte.
        fn below(&mut self, end: usize) -> usize {
            usize::from(*self.0.next().unwrap_or(&0)) % end
        }

        fn string(&mut self) -> String {
            let texts = [
                "",
                "a",
                "ü\n\"\\/",
                "\u{0}\u{7f}",
                "😀",
                "null",
                "0.0.0.0/0",
                " ",
            ];
            serde_json::to_string(texts[self.below(texts.len())]).unwrap()
        }

        fn number(&mut self) -> &'static str {
            let numbers = [
                "0",
                "-1",
                "9007199254740993",
                "123456789012345678901234567890",
                "1.50",
                "1e400",
            ];
            numbers[self.below(numbers.len())]
        }

        fn any(&mut self, depth: usize) -> String {
            match self.below(if depth == 0 { 4 } else { 6 }) {
                0 => "null".to_owned(),
                1 => "true".to_owned(),
                2 => self.number().to_owned(),
                3 => self.string(),
                4 => format!("[{},{}]", self.any(depth - 1), self.any(depth - 1)),
                _ => format!(
                    "{{\"b\":{},\"a\":{}}}",
                    self.any(depth - 1),
                    self.any(depth - 1)
                ),
            }
        }

        fn of_type(&mut self, rust_type: &str) -> String {
            if let Some(inner) = inside(rust_type, "Option") {
                return self.of_type(inner);
            }
            if let Some(inner) = inside(rust_type, "Vec") {
                let elements: Vec<_> = (0..self.below(3)).map(|_| self.of_type(inner)).collect();
                return format!("[{}]", elements.join(","));
            }
            match rust_type {
                "String" | "Timestamp" | "Secret" => self.string(),
                "bool" => ["true", "false"][self.below(2)].to_owned(),
                "u32" => ["0", "4294967295"][self.below(2)].to_owned(),
                "Number" => self.number().to_owned(),
                "Json" => self.any(2),
                "FailoverStep" => ["\"ok\"", "{\"error\":\"x\"}"][self.below(2)].to_owned(),
                name => {
                    self.described(TYPES.iter().find(|known| known.name() == name).expect(name))
                }
            }
        }

        fn described(&mut self, description: &Description) -> String {
            match description {
                Description::Id { .. } => match self.string().as_str() {
                    "\"\"" => "\"id\"".to_owned(),
                    id => id.to_owned(),
                },
                Description::Enum { values, .. } => match self.below(values.len() + 1) {
                    0 => "\"unknown value\"".to_owned(),
                    index => format!("\"{}\"", values[index - 1].json),
                },
                Description::Object {
                    fields, direction, ..
                } => self.object(fields, *direction),
            }
        }

        fn object(&mut self, fields: &[Field], direction: Direction) -> String {
            let mut members = Vec::new();
            for field in fields {
                let is_present = match (field.presence, direction) {
                    (Presence::Required, _) | (Presence::Defaulted, Direction::Request) => true,
                    (Presence::Defaulted, Direction::Response) => self.below(8) != 7,
                    (Presence::Optional, _) => self.below(2) == 1,
                };
                if is_present {
                    let value = match field.presence {
                        Presence::Defaulted | Presence::Optional if self.below(8) == 7 => {
                            "null".to_owned()
                        }
                        _ if may_be_empty(field) && self.below(8) == 7 => "\"\"".to_owned(),
                        _ => self.of_type(field.rust_type),
                    };
                    members.push(format!("\"{}\":{value}", field.json));
                }
            }
            for extra in 0..self.below(3) {
                members.push(format!("\"unknown field {extra}\":{}", self.any(2)));
            }
            format!("{{{}}}", members.join(","))
        }
    }

    #[test]
    fn decoders_agree_on_fields_that_occur_twice() {
        let bytes: Vec<u8> = (0..=u8::MAX).map(|byte| byte.wrapping_mul(37)).collect();
        for (index, (description, _)) in ROUND_TRIPS.iter().enumerate() {
            for field in description.fields() {
                let mut generator = ValueGenerator(bytes.iter());
                let (value, other) = (
                    generator.of_type(field.rust_type),
                    generator.of_type(field.rust_type),
                );
                let object = generator.described(description);
                for [first, second] in [
                    [&*value, "null"],
                    [&value, "\"\""],
                    ["null", &value],
                    [&value, &other],
                ] {
                    let name = field.json;
                    let twice = format!("{{\"{name}\":{first},\"{name}\":{second}");
                    let json = match object.strip_prefix('{') {
                        Some("}") => format!("{twice}}}"),
                        Some(members) => {
                            // The generated field, if any, comes first.
                            let members = members.strip_suffix('}').unwrap();
                            format!("{{{members},{}}}", &twice[1..])
                        }
                        None => continue,
                    };
                    any_type(&[&[u8::try_from(index).unwrap()], json.as_bytes()].concat());
                }
            }
        }
    }

    /// Snippets that can make a JSON document invalid.
    static INVALID_VALUES: &[&str] = &[
        "",
        "null",
        "3",
        "-1.5",
        "1e999",
        "4294967296",
        "true",
        "\"x\"",
        "{}",
        "[]",
        ",",
        ":",
        "{",
        "]",
        "\"",
        "\\",
        "\"uuid\":1,",
        "\"uuid\":\"b\",",
    ];

    proptest! {
        #[test]
        fn decoded_json_is_encoded_unchanged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for (description, round_trip) in ROUND_TRIPS {
                let json = ValueGenerator(bytes.iter()).described(description);
                prop_assert_eq!(round_trip(json.as_bytes()), Ok(json.clone()), "{}", description.name());
            }
        }

        /// The C ABI validates JSON; the Rust API decodes it.
        #[test]
        fn walk_accepts_what_decoding_accepts(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            place in any::<prop::sample::Index>(),
            length in 0usize..12,
            put in prop::sample::select(INVALID_VALUES),
        ) {
            for (index, (description, _)) in ROUND_TRIPS.iter().enumerate() {
                let mut data = vec![u8::try_from(index).unwrap()];
                data.extend(ValueGenerator(bytes.iter()).described(description).into_bytes());
                let start = 1 + place.index(data.len());
                let end = data.len().min(start + length);
                data.splice(start..end, put.bytes());
                any_type(&data);
            }
        }

        #[test]
        fn decoders_do_not_panic_on_invalid_json(text in "\\PC*", cut in 0usize..200) {
            let json = ValueGenerator(text.as_bytes().iter()).object(&[], Direction::Response);
            let cut = cut.min(json.len());
            for (_, round_trip) in ROUND_TRIPS {
                let _ = round_trip(text.as_bytes());
                let _ = round_trip(&json.as_bytes()[..cut]);
            }
        }
    }
}
