//! What an operation of the API is, as data, and the one way from such a description to an answer.
//!
//! Every language's function for an operation goes through its [`Operation`]. Knows nothing of what
//! the single operations mean.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{Deserialize, DeserializeOwned};
use serde_json::value::RawValue;

use crate::api::error_path;
use crate::api::object::{Describe, Description, check_segment};
use crate::api::schema::{self, HasSchema, JsonSchema, UnknownField};
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::secret::Zeroizing;
use crate::transport::{Idempotency, Method};

/// An operation of the API.
#[derive(Debug)]
pub struct Operation {
    /// Its plain name: `create cluster`.
    pub name: &'static str,
    /// Where Rust, C++ and Python have it: `cluster.clients.create`.
    pub call: &'static str,
    /// Its function in C.
    pub c_name: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path, with `{name}` for each argument.
    pub path: &'static str,
    /// What it sends.
    pub body: Option<BodySchema>,
    /// What it answers; `None` is an answer without a body.
    pub answer: Option<BodySchema>,
    /// Whether it may be sent again.
    pub idempotency: Idempotency,
    /// Whether its answer is given only this once.
    pub one_time_response: bool,
    /// Whether it needs a token.
    pub authenticated: bool,
    /// What to look at before it is done again, where it may have been done.
    pub hint: Option<&'static str>,
    /// What it does, with its limits.
    pub doc: &'static str,
    /// Documented refusals: HTTP status and reason.
    pub errors: &'static [(u16, &'static str)],
    /// Lists of the body that must not be empty: the field, and what to do instead.
    pub non_empty: &'static [(&'static str, &'static str)],
}

impl Operation {
    /// What most operations are: a read with a token.
    pub(crate) const GET_DEFAULTS: Operation = Operation {
        name: "",
        call: "",
        c_name: "",
        method: Method::Get,
        path: "",
        body: None,
        answer: None,
        idempotency: Idempotency::Safe,
        one_time_response: false,
        authenticated: true,
        hint: None,
        doc: "",
        errors: &[],
        non_empty: &[],
    };

    /// A change that sets a state, so that doing it twice is doing it once.
    pub(crate) const PUT_DEFAULTS: Operation = Operation {
        method: Method::Put,
        idempotency: Idempotency::Idempotent,
        ..Operation::GET_DEFAULTS
    };

    /// A removal: the thing is gone after one or several.
    pub(crate) const DELETE_DEFAULTS: Operation = Operation {
        method: Method::Delete,
        idempotency: Idempotency::Idempotent,
        ..Operation::GET_DEFAULTS
    };

    /// A change that must never be sent twice.
    pub(crate) const POST_DEFAULTS: Operation = Operation {
        method: Method::Post,
        idempotency: Idempotency::NonIdempotent,
        ..Operation::GET_DEFAULTS
    };

    /// The names of the arguments in the path, in order: `clusterUuid`.
    pub fn arguments(&self) -> impl Iterator<Item = &'static str> {
        self.path
            .split('/')
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    }

    /// The path with its arguments, each percent-encoded so that it stays one segment.
    pub(crate) fn path_with(&self, arguments: &[&str]) -> Result<String> {
        let mut path = String::with_capacity(self.path.len() + 48);
        let mut arguments = arguments.iter();
        for segment in self.path.split('/').skip(1) {
            path.push('/');
            match segment
                .strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'))
            {
                Some(name) => {
                    let argument = arguments.next().expect("an argument for each {name}");
                    check_segment(name, argument)
                        .map_err(|error| error.with_operation(self.name))?;
                    path.extend(utf8_percent_encode(argument, NOT_UNRESERVED));
                }
                None => path.push_str(segment),
            }
        }
        debug_assert!(
            arguments.next().is_none(),
            "an argument too many for {}",
            self.path
        );
        Ok(path)
    }

    /// Checks a body given as JSON text: the shape of its type, and no field that the type lacks.
    ///
    /// A field too many is refused although the service may know it, because a misspelt one can do
    /// harm: a client created without its `permissions` has all of them.
    pub fn check_body(&self, body: Option<&[u8]>) -> Result<()> {
        let problem = match (&self.body, body) {
            (None, None) => return Ok(()),
            (None, Some(_)) => "takes no body".to_owned(),
            (Some(_), None) => "needs a body".to_owned(),
            (Some(shape), Some(body)) => match shape.check(body) {
                Ok(None) => return Ok(()),
                Ok(Some(UnknownField { of, name })) => format!(
                    "body: {of} has no field `{name}`; what is newer than this version goes \
                     through `request`"
                ),
                Err(problem) => format!("body: {problem}"),
            },
        };
        Err(Error::invalid_argument(problem).with_operation(self.name))
    }

    /// Checks the lists of a body that must not be empty.
    pub(crate) fn check_lists(&self, body: &[u8]) -> Result<()> {
        if self.non_empty.is_empty() {
            return Ok(());
        }
        // A body that is no object is rejected by its type.
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

    /// Returns whether its response has secrets in it.
    pub(crate) fn has_secret_response(&self) -> bool {
        match self.answer.as_ref().map(|shape| &shape.kind) {
            Some(BodyKind::Secrets) => true,
            Some(BodyKind::Object(Description::Object { fields, .. })) => fields
                .iter()
                .any(|field| field.rust_type.contains("Secret")),
            _ => false,
        }
    }

    /// Decodes an answer; where that fails, the error carries the answer and says that the
    /// operation was done.
    pub(crate) fn decode<T: DeserializeOwned>(&self, answer: Zeroizing<Vec<u8>>) -> Result<T> {
        decode(&answer).map_err(|problem| self.decode_error(problem, answer))
    }

    /// Checks an answer against its type without keeping the result.
    #[cfg(feature = "capi")]
    pub(crate) fn validate_response(&self, answer: &Zeroizing<Vec<u8>>) -> Result<()> {
        match &self.answer {
            Some(shape) => match shape.check(answer) {
                Ok(_) => Ok(()),
                Err(problem) => Err(self.decode_error(problem, answer.clone())),
            },
            None => Ok(()),
        }
    }

    fn decode_error(&self, problem: String, answer: Zeroizing<Vec<u8>>) -> Error {
        let message = if self.one_time_response {
            format!("the response cannot be decoded ({problem}); the error's body has it")
        } else {
            format!("the answer cannot be read: {problem}")
        };
        Error::new(
            ErrorKind::Decode,
            Stage::Decode,
            Outcome::Completed,
            message,
        )
        .with_operation(self.name)
        .with_body(answer)
    }
}

/// All but the unreserved characters of RFC 3986: what is not encoded in a segment.
const NOT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How a body or an answer is built from a type.
#[derive(Debug)]
pub enum BodyKind {
    /// The object itself.
    Object(&'static Description),
    /// An array of objects.
    List(&'static Description),
    /// An object of strings, name to secret value.
    Secrets,
    /// CSV text, which may come wrapped in a JSON string.
    Csv,
}

/// The shape of a body or an answer.
#[derive(Debug)]
pub struct BodySchema {
    /// How it is built.
    pub kind: BodyKind,
    /// `None` is text that is not JSON.
    form: Option<JsonSchema>,
}

impl BodySchema {
    pub(crate) const fn object<T: Describe + HasSchema>() -> BodySchema {
        BodySchema {
            kind: BodyKind::Object(T::DESCRIPTION),
            form: Some(T::SCHEMA),
        }
    }

    pub(crate) const fn list<T: Describe + HasSchema>() -> BodySchema {
        BodySchema {
            kind: BodyKind::List(T::DESCRIPTION),
            form: Some(Vec::<T>::SCHEMA),
        }
    }

    pub(crate) const fn secrets() -> BodySchema {
        BodySchema {
            kind: BodyKind::Secrets,
            form: Some(crate::api::secrets::Secrets::SCHEMA),
        }
    }

    pub(crate) const fn csv() -> BodySchema {
        BodySchema {
            kind: BodyKind::Csv,
            form: None,
        }
    }

    fn check(&self, json: &[u8]) -> Result<Option<UnknownField>, String> {
        self.form.map_or(Ok(None), |form| schema::check(form, json))
    }
}

/// Decodes JSON; a failure says where it is, as a path such as `status.ready`.
pub(crate) fn decode<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, String> {
    let json = strip_bom(json);
    serde_json::from_slice(json).map_err(|error| error_path::with_json_path(json, &error))
}

/// The text without the byte-order mark that some proxies and editors put in front.
pub(crate) fn strip_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{OPERATIONS, clusters};

    #[test]
    fn no_argument_leaves_its_segment() {
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
            assert_eq!(clusters::GET.path_with(&[argument]).unwrap(), path);
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
            let error = clusters::GET.path_with(&[argument]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{argument:?}");
            assert!(
                error.to_string().starts_with("get cluster: clusterUuid "),
                "{error}"
            );
        }
    }

    #[test]
    fn a_misspelt_field_of_a_body_is_named() {
        let client = &crate::api::cluster_clients::CREATE;
        let error = client
            .check_body(Some(br#"{"clientName":"a","permisions":["Zeebe"]}"#))
            .unwrap_err();
        assert!(error.to_string().contains("`permisions`"), "{error}");
        let allowlist = &clusters::SET_IP_ALLOWLIST;
        let error = allowlist
            .check_body(Some(
                br#"{"ipallowlist":[{"ip":"10.0.0.0/8","descr":"a"}]}"#,
            ))
            .unwrap_err();
        assert!(error.to_string().contains("`descr`"), "{error}");
        client.check_body(Some(br#"{"clientName":"a"}"#)).unwrap();
    }

    #[test]
    fn a_body_is_there_exactly_where_one_is_sent() {
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
    fn a_failure_names_the_place() {
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
    fn what_follows_the_json_is_refused_and_a_mark_before_it_is_not() {
        assert!(decode::<Vec<String>>(b"[] x").is_err());
        assert!(decode::<Vec<String>>(b"").is_err());
        assert!(decode::<Vec<String>>(b"[\"\xff\"]").is_err());
        assert_eq!(
            decode::<Vec<String>>(b"\xef\xbb\xbf[]").unwrap(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn endless_nesting_is_refused() {
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
