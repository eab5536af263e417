//! Descriptions of the API's operations as data, and validation and decoding of their bodies.
//!
//! The functions of all languages for an operation use its [`Operation`]. Must not depend on single
//! operations.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::value::RawValue;

use crate::api::error_path;
#[cfg(feature = "capi")]
use crate::api::json_index::Index;
use crate::api::json_index::MAX_BYTES;
use crate::api::json_walk::{Walked, walk};
use crate::api::path_segment::check_segment;
use crate::api::place::Decode;
use crate::api::schema::{
    Describe, Description, Field, HasSchema, JsonSchema, Presence, UnknownField,
};
use crate::api::text_decoder;
use crate::edit_distance::nearest;
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::json_text::replace_unpaired_surrogates;
use crate::secret::{Secret, Zeroizing, to_json};
pub(crate) use crate::transport::strip_bom;
use crate::transport::{Idempotency, Method};

/// Description of an operation of the API.
#[derive(Debug)]
pub struct Operation {
    /// Name in errors and logs, such as `create cluster`.
    pub name: &'static str,
    /// Method in Rust, C++ and Python, such as `cluster.clients.create`.
    pub sdk_method: &'static str,
    /// Function in C.
    pub c_function: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path, with `{name}` for each argument.
    pub path: &'static str,
    /// Request body, or `None` if the request has none.
    pub body: Option<BodySchema>,
    /// Response body, or `None` if the response has none.
    pub response: Option<BodySchema>,
    /// Whether the request may be retried.
    pub idempotency: Idempotency,
    /// Whether the API returns the response only once.
    pub one_time_response: bool,
    /// Whether the request has an access token.
    pub authenticated: bool,
    /// What to check before the operation is repeated, if it may have been executed.
    pub recovery_hint: Option<&'static str>,
    /// Documentation: what the operation does, and its limits.
    pub doc: &'static str,
    /// Documented error responses: HTTP status and reason.
    pub documented_errors: &'static [(u16, &'static str)],
    /// Lists of the body that must not be empty: name of the field, and what to do instead.
    pub non_empty: &'static [(&'static str, &'static str)],
}

impl Operation {
    /// Defaults of a safe operation: an authenticated GET.
    pub(crate) const GET_DEFAULTS: Operation = Operation {
        name: "",
        sdk_method: "",
        c_function: "",
        method: Method::Get,
        path: "",
        body: None,
        response: None,
        idempotency: Idempotency::Safe,
        one_time_response: false,
        authenticated: true,
        recovery_hint: None,
        doc: "",
        documented_errors: &[],
        non_empty: &[],
    };

    /// Defaults of an idempotent change (RFC 9110 §9.2.2).
    pub(crate) const PUT_DEFAULTS: Operation = Operation {
        method: Method::Put,
        idempotency: Idempotency::Idempotent,
        ..Operation::GET_DEFAULTS
    };

    /// Defaults of a deletion, which is idempotent.
    pub(crate) const DELETE_DEFAULTS: Operation = Operation {
        method: Method::Delete,
        idempotency: Idempotency::Idempotent,
        ..Operation::GET_DEFAULTS
    };

    /// Defaults of a non-idempotent change.
    pub(crate) const POST_DEFAULTS: Operation = Operation {
        method: Method::Post,
        idempotency: Idempotency::NonIdempotent,
        ..Operation::GET_DEFAULTS
    };

    /// Returns the names of the arguments in the path, in order, such as `clusterUuid`.
    pub fn arguments(&self) -> impl Iterator<Item = &'static str> {
        segments(self.path).filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// Returns the path with its arguments, each percent-encoded so that it stays one segment.
    pub(crate) fn path_with(&self, arguments: &[&str]) -> Result<String> {
        let mut path = String::with_capacity(self.path.len() + 48);
        let mut arguments = arguments.iter();
        for segment in segments(self.path).skip(1) {
            path.push('/');
            match segment
                .strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'))
            {
                Some(name) => {
                    let argument = arguments.next().expect("an argument for each {name}");
                    // Neither a dot segment, nor anything to encode.
                    if is_plain_id(argument) {
                        path.push_str(argument);
                    } else {
                        check_segment(name, argument)
                            .map_err(|error| error.with_operation(self.name))?;
                        path.extend(utf8_percent_encode(argument, NOT_UNRESERVED));
                    }
                }
                None => path.push_str(segment),
            }
        }
        debug_assert!(
            arguments.next().is_none(),
            "unexpected argument for {}",
            self.path
        );
        Ok(path)
    }

    /// Validates an encoded request body against its schema. Unknown fields are not accepted.
    ///
    /// A newer API may know such a field, but a misspelt field can do harm: a client created
    /// without its `permissions` has all of them.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`], with the JSON path of the problem.
    pub fn check_body(&self, body: Option<&[u8]>) -> Result<()> {
        let problem = match (&self.body, body) {
            (None, None) => return Ok(()),
            (None, Some(_)) => "body not allowed".to_owned(),
            (Some(_), None) => "body required".to_owned(),
            (Some(schema), Some(body)) => match schema.check(body) {
                Ok(None) => return Ok(()),
                Ok(Some(unknown)) => unknown_field(&unknown),
                Err(problem) => format!("body: {problem}"),
            },
        };
        Err(Error::invalid_argument(problem).with_operation(self.name))
    }

    /// Validates the lists of a body that must not be empty.
    pub(crate) fn check_lists(&self, body: &[u8]) -> Result<()> {
        if self.non_empty.is_empty() {
            return Ok(());
        }
        // A body that is not an object has failed the validation of its type.
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_slice(strip_bom(body)).unwrap_or_default();
        for (field, advice) in self.non_empty {
            let list = fields.get(*field).map(|value| value.get().as_bytes());
            let inside = list.and_then(|list| list.strip_prefix(b"[")?.strip_suffix(b"]"));
            if inside.is_some_and(|inside| inside.trim_ascii().is_empty()) {
                let problem = format!("{field} is an empty list; {advice}");
                return Err(Error::invalid_argument(problem).with_operation(self.name));
            }
        }
        Ok(())
    }

    /// Returns whether the response contains secrets.
    pub(crate) fn has_secret_response(&self) -> bool {
        match self.response.as_ref().map(|schema| &schema.kind) {
            Some(BodyKind::Secrets) => true,
            _ => secret_fields(self.response.as_ref()).next().is_some(),
        }
    }

    /// Returns the names of the secret fields of the request body.
    pub(crate) fn secret_request_fields(&self) -> Vec<&'static str> {
        secret_fields(self.body.as_ref()).collect()
    }

    /// Decodes a response into a value, and returns the text that was decoded. An error contains the
    /// response body and has the outcome `Completed`.
    pub(crate) fn decode(
        &self,
        response: Zeroizing<Vec<u8>>,
        value: &mut dyn DecodeJson,
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.read(response, &mut |json| value.decode(json))
    }

    /// Reads a response, a second time with unpaired surrogates replaced if that fails. Returns the text
    /// that was read. `read` keeps the result.
    fn read(
        &self,
        response: Zeroizing<Vec<u8>>,
        read: &mut dyn FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let problem = match read(&response) {
            Ok(()) => return Ok(response),
            Err(problem) => problem,
        };
        let problem = match self.with_valid_strings(&response) {
            Some(replaced) => match read(&replaced) {
                Ok(()) => return Ok(replaced),
                Err(problem) => problem,
            },
            None => problem,
        };
        Err(self.decode_error(problem, response))
    }

    /// Returns a copy of a response in which U+FFFD replaces unpaired surrogates, or `None` if there are
    /// none. Programs truncate names in the middle of a surrogate pair, and one such name must not make
    /// a whole listing unreadable. `None` for secrets too: a changed one is useless.
    #[cold]
    fn with_valid_strings(&self, response: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if self.one_time_response || self.has_secret_response() {
            return None;
        }
        let mut copy = Zeroizing::new(response.to_vec());
        replace_unpaired_surrogates(&mut copy).then_some(copy)
    }

    /// Validates a response against its schema. Returns the response and its index; the index is
    /// `None` if the operation has no response in JSON.
    #[cfg(feature = "capi")]
    pub(crate) fn index_response(
        &self,
        response: Zeroizing<Vec<u8>>,
    ) -> Result<(Zeroizing<Vec<u8>>, Option<Index>)> {
        match self.response.as_ref().and_then(|body| body.json.as_ref()) {
            Some(json) => {
                let mut index = None;
                let response = self.read(response, &mut |text| {
                    index = Some(json.walk(text)?.index);
                    Ok(())
                })?;
                Ok((response, index))
            }
            None => Ok((response, None)),
        }
    }

    fn decode_error(&self, problem: String, response: Zeroizing<Vec<u8>>) -> Error {
        let message = if self.one_time_response {
            format!("the response cannot be decoded ({problem}); the error's body has it")
        } else {
            format!("the response cannot be decoded: {problem}")
        };
        Error::new(
            ErrorKind::Decode,
            Stage::Decode,
            Outcome::Completed,
            message,
        )
        .with_operation(self.name)
        .with_body(response)
    }
}

/// Returns the segments of a path. Not `split`, whose search is made for long texts.
fn segments(path: &'static str) -> impl Iterator<Item = &'static str> {
    let mut rest = Some(path);
    std::iter::from_fn(move || {
        let path = rest?;
        match path.bytes().position(|byte| byte == b'/') {
            Some(end) => {
                rest = Some(&path[end + 1..]);
                Some(&path[..end])
            }
            None => rest.take(),
        }
    })
}

/// Returns the names of the secret fields of an object.
fn secret_fields(body: Option<&BodySchema>) -> impl Iterator<Item = &'static str> {
    use JsonSchema::{Optional, Secret};
    let fields = match body.map(|schema| &schema.kind) {
        Some(BodyKind::Object(Description::Object { fields, .. })) => *fields,
        _ => &[],
    };
    fields
        .iter()
        .filter(|field| matches!(field.schema, Secret | Optional(Secret)))
        .map(|field| field.json)
}

/// Returns whether a segment has letters, digits and hyphens only, as a UUID does. Does not end at the
/// first other byte, so that it is compiled to vector instructions.
fn is_plain_id(segment: &str) -> bool {
    !segment.is_empty()
        && segment.bytes().fold(true, |so_far, byte| {
            let is_letter = (byte | 0x20).wrapping_sub(b'a') < 26;
            let is_digit = byte.wrapping_sub(b'0') < 10;
            so_far & (is_letter | is_digit | (byte == b'-'))
        })
}

/// Characters that are percent-encoded in a segment: all but the unreserved ones of RFC 3986.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Type of a body of the kind [`BodyKind::Secrets`].
type SecretMap = BTreeMap<String, Secret>;

/// Structure of a request or response body.
#[derive(Debug)]
pub enum BodyKind {
    /// An object.
    Object(&'static Description),
    /// An array of objects.
    List(&'static Description),
    /// An object that maps names to secret strings.
    Secrets,
    /// CSV, possibly encoded as a JSON string.
    Csv,
}

/// Schema of a request or response body.
#[derive(Debug)]
pub struct BodySchema {
    /// Structure of the body.
    pub kind: BodyKind,
    /// `None` if the body is not JSON.
    json: Option<JsonBody>,
}

/// A body in JSON.
#[derive(Debug)]
struct JsonBody {
    schema: JsonSchema,
    /// Returns the error of the decoder, or `Ok` if there is none.
    decode: fn(&[u8]) -> Result<(), String>,
}

impl JsonBody {
    const fn of<T: DeserializeOwned>(schema: JsonSchema) -> JsonBody {
        JsonBody {
            schema,
            decode: |json| decode_with_serde::<T>(json).map(drop),
        }
    }

    /// Validates a body. Fails with the error of the decoder.
    fn walk(&self, json: &[u8]) -> Result<Walked, String> {
        let start = json.len() - strip_bom(json).len();
        walk(self.schema, json, start).ok_or_else(|| match (self.decode)(json) {
            Err(problem) => problem,
            Ok(()) if json.len() > MAX_BYTES => format!("it has more than {MAX_BYTES} bytes"),
            Ok(()) => "it does not match its description".to_owned(),
        })
    }
}

impl BodySchema {
    pub(crate) const fn object<T: Describe + HasSchema + Decode>() -> BodySchema {
        BodySchema {
            kind: BodyKind::Object(T::DESCRIPTION),
            json: Some(JsonBody::of::<T>(T::SCHEMA)),
        }
    }

    pub(crate) const fn list<T: Describe + HasSchema + Decode>() -> BodySchema {
        BodySchema {
            kind: BodyKind::List(T::DESCRIPTION),
            json: Some(JsonBody::of::<Vec<T>>(Vec::<T>::SCHEMA)),
        }
    }

    pub(crate) const fn secrets() -> BodySchema {
        BodySchema {
            kind: BodyKind::Secrets,
            json: Some(JsonBody::of::<SecretMap>(SecretMap::SCHEMA)),
        }
    }

    pub(crate) const fn csv() -> BodySchema {
        BodySchema {
            kind: BodyKind::Csv,
            json: None,
        }
    }

    fn check(&self, json: &[u8]) -> Result<Option<UnknownField>, String> {
        let Some(body) = &self.json else {
            return Ok(None);
        };
        match body.walk(json) {
            Ok(walked) => Ok(walked.unknown),
            Err(problem) => self.misspelt_field(json).map(Some).ok_or(problem),
        }
    }

    /// Returns a field of an object that its type does not have, if the object lacks a required one: it
    /// probably is that one, misspelt.
    fn misspelt_field(&self, json: &[u8]) -> Option<UnknownField> {
        let BodyKind::Object(Description::Object { name, fields, .. }) = &self.kind else {
            return None;
        };
        let (of, fields) = (*name, *fields);
        let present: BTreeMap<String, IgnoredAny> = serde_json::from_slice(strip_bom(json)).ok()?;
        let is_absent = |field: &Field| {
            field.presence == Presence::Required && !present.contains_key(field.json)
        };
        if !fields.iter().any(is_absent) {
            return None;
        }
        present
            .into_keys()
            .find(|name| fields.iter().all(|field| field.json != name))
            .map(|name| UnknownField { of, name, fields })
    }
}

/// Returns the description of an unknown field, with the name that was probably meant.
fn unknown_field(UnknownField { of, name, fields }: &UnknownField) -> String {
    let names = || fields.iter().map(|field| field.json);
    let expected = match nearest(name, names()) {
        Some(similar) => format!(", did you mean `{similar}`?"),
        None => format!(
            "; expected one of: {}",
            names().collect::<Vec<_>>().join(", ")
        ),
    };
    format!(
        "body: {of} has no field `{name}`{expected}; use `request` for fields that are newer than \
         this version"
    )
}

/// Encodes a value as JSON. Its memory is zeroized on drop.
pub(crate) fn encode(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>> {
    match to_json(value) {
        Ok(json) => Ok(json.into_bytes()),
        Err(error) => Err(Error::invalid_argument(format!(
            "value cannot be encoded as JSON: {error}"
        ))),
    }
}

/// A value that can be decoded from JSON, whatever its type: what every call executes is compiled once.
pub(crate) trait DecodeJson {
    /// Decodes JSON. An error message begins with the JSON path of the problem, such as `status.ready`.
    fn decode(&mut self, json: &[u8]) -> Result<(), String>;
}

impl<T: Decode> DecodeJson for Option<T> {
    fn decode(&mut self, json: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(strip_bom(json));
        let is_decoded = text.is_ok_and(|text| text_decoder::decode(text, T::place(self)));
        if !is_decoded || self.is_none() {
            *self = Some(decode_with_serde(json)?);
        }
        Ok(())
    }
}

/// Decodes JSON. See [`DecodeJson`].
pub(crate) fn decode<T: Decode>(json: &[u8]) -> Result<T, String> {
    let mut value = None;
    DecodeJson::decode(&mut value, json)?;
    Ok(value.expect(DECODED))
}

/// Why a value that was decoded without an error is there.
pub(crate) const DECODED: &str = "decoded without an error";

/// Decodes JSON with serde. See [`DecodeJson`].
pub(crate) fn decode_with_serde<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    let json = strip_bom(json);
    match std::str::from_utf8(json) {
        Ok(text) => {
            serde_json::from_str(text).map_err(|error| error_path::with_json_path(json, &error))
        }
        Err(invalid) => Err(error_path::of_invalid_utf8(json, invalid, &|text| {
            serde_json::from_str::<T>(text).err()
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{OPERATIONS, cluster_operations, clusters};

    #[test]
    fn path_with_keeps_each_argument_in_its_segment() {
        for (argument, path) in [
            ("..a/members", "/clusters/..a%2Fmembers"),
            ("a?b#c", "/clusters/a%3Fb%23c"),
            ("a\r\nHost: b\0", "/clusters/a%0D%0AHost%3A%20b%00"),
            ("ü", "/clusters/%C3%BC"),
            ("%2e%41", "/clusters/%252e%2541"),
            ("...", "/clusters/..."),
            ("a.b;c", "/clusters/a.b%3Bc"),
            ("f0-1_2.3~", "/clusters/f0-1_2.3~"),
        ] {
            assert_eq!(
                cluster_operations::GET.path_with(&[argument]).unwrap(),
                path
            );
        }
        for argument in [
            "",
            ".",
            "..",
            "../members",
            "../../x",
            "a/..",
            "a/./b",
            "..\\x",
            "a\\..",
            "%2e%2e",
            "%2E",
            "..%2fx",
            "..%5Cx",
            "%2e%2e%2fx",
            "%252e%252e%252fx",
            "%25252e.",
            "%%32e",
            "%2%65.",
            "..;x",
            "..%3bx",
            "/..",
        ] {
            let error = cluster_operations::GET.path_with(&[argument]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{argument:?}");
            assert!(
                error.to_string().starts_with("get cluster: clusterUuid "),
                "{error}"
            );
        }
    }

    #[test]
    fn check_body_names_unknown_field() {
        let client = &crate::api::cluster_clients::CREATE;
        let error = client
            .check_body(Some(br#"{"clientName":"a","permisions":["Zeebe"]}"#))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "create client: body: CreateClusterClient has no field `permisions`, did you mean \
             `permissions`?; use `request` for fields that are newer than this version"
        );
        let error = client
            .check_body(Some(br#"{"clientName":"a","scope":"b"}"#))
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`scope`; expected one of: clientName, permissions; use"),
            "{error}"
        );
        let allowlist = &cluster_operations::SET_IP_ALLOWLIST;
        let error = allowlist
            .check_body(Some(
                br#"{"ipallowlist":[{"ip":"10.0.0.0/8","descr":"a"}]}"#,
            ))
            .unwrap_err();
        assert!(
            error.to_string().contains(
                "IpAllowlistEntry has no field `descr`, did you mean `description`?; use"
            ),
            "{error}"
        );
        // The required field is missing, because it is misspelt.
        for body in [
            r#"{"client_name":"a"}"#,
            r#"{"permissions":[],"clientname":"a"}"#,
        ] {
            let error = client.check_body(Some(body.as_bytes())).unwrap_err();
            let message = error.to_string();
            assert!(message.contains("did you mean `clientName`?"), "{error}");
        }
        let error = client.check_body(Some(b"{}")).unwrap_err();
        assert!(
            error.to_string().contains("missing field `clientName`"),
            "{error}"
        );
        client.check_body(Some(br#"{"clientName":"a"}"#)).unwrap();
    }

    #[test]
    fn check_body_requires_body_exactly_if_operation_has_one() {
        for operation in OPERATIONS {
            match operation.body {
                Some(_) => assert!(operation.check_body(None).is_err(), "{}", operation.name),
                None => assert!(
                    operation.check_body(Some(b"{}")).is_err(),
                    "{}",
                    operation.name
                ),
            }
        }
    }

    #[test]
    fn decode_error_begins_with_json_path() {
        let error = decode::<Vec<clusters::Cluster>>(
            br#"[{"uuid":"a"},{"uuid":"b","status":{"ready":3}}]"#,
        );
        let error = error.unwrap_err();
        assert!(
            error.starts_with("[1].status.ready: invalid type"),
            "{error}"
        );
    }

    #[test]
    fn decode_rejects_trailing_text_and_accepts_byte_order_mark() {
        assert!(decode::<Vec<String>>(b"[] x").is_err());
        assert!(decode::<Vec<String>>(b"").is_err());
        assert!(decode::<Vec<String>>(b"[\"\xff\"]").is_err());
        assert_eq!(
            decode::<Vec<String>>(b"\xef\xbb\xbf[]").unwrap(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn decode_error_of_invalid_utf8_is_the_first_error() {
        for (json, expected) in [
            (
                &b"[{\"uuid\":\"a\xffb\"}]"[..],
                "[0].uuid: invalid unicode code point at line 1 column 14",
            ),
            (
                b"[{\"uuid\":\"\xc3\"},\n {\"uuid\":\"\xff\"}]",
                "[0].uuid: invalid unicode code point at line 1 column 12",
            ),
            (
                b"[{\"uuid\":\"a\"},\n {\"uuid\":\"\\\"\xff\"}]",
                "[1].uuid: invalid unicode code point at line 2 column 14",
            ),
            (
                b"[{\"\xff\":1}]",
                "[0].\u{fffd}: invalid unicode code point at line 1 column 5",
            ),
            (
                b"[{\"uuid\":7,\"name\":\"\xff\"}]",
                "[0].uuid: invalid type: integer `7`, expected a string at line 1 column 10",
            ),
            (
                b"[{\"uuid\":\"a\xff",
                "[0].uuid: EOF while parsing a string at line 1 column 12",
            ),
            (b"[\xff]", "[0]: expected value at line 1 column 2"),
            (b"[]\xff", "trailing characters at line 1 column 3"),
        ] {
            let error = decode::<Vec<clusters::Cluster>>(json).unwrap_err();
            assert_eq!(error, expected, "{}", json.escape_ascii());
        }
    }

    #[test]
    fn decode_rejects_deep_nesting_of_known_fields_only() {
        let json = "[".repeat(1_000_000);
        assert!(decode::<Vec<clusters::Cluster>>(json.as_bytes()).is_err());
        let json = format!(
            r#"{{"uuid":"a","new":{}{}}}"#,
            "[".repeat(200),
            "]".repeat(200)
        );
        let cluster = decode::<clusters::Cluster>(json.as_bytes()).unwrap();
        assert_eq!(cluster.extra.len(), 1);
    }
}
