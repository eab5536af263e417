//! Format of the cases, and reading them.

use std::collections::{BTreeMap, HashSet};
use std::fs;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::derived;
use crate::tools::top;

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// Unique name, in the form `subject_behavior_condition`.
    pub(crate) name: String,
    /// The documented error reason that the case tests.
    pub(crate) covers: Option<String>,
    /// Steps before the call, in this order.
    #[serde(default)]
    pub(crate) given: Vec<Step>,
    pub(crate) when: Call,
    pub(crate) then: Then,
}

/// A step before or after the call.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A call through the driver, with its expected result; default: success.
    Call {
        call: Call,
        name: Option<String>,
        then: Box<Then>,
    },
    /// Adds a fault to the mock server.
    Fault(Value),
    /// Changes the state of the mock server.
    Control {
        changes: Value,
        name: Option<String>,
    },
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let mut fields = Map::deserialize(deserializer)?;
        let name = match fields.remove("as") {
            None => None,
            Some(Value::String(name)) => Some(name),
            Some(_) => return Err(D::Error::custom("`as` must be a string")),
        };
        if fields.contains_key("call") {
            let (call, then) = fields
                .into_iter()
                .partition::<Map<_, _>, _>(|(key, _)| CALL.contains(&&**key));
            return Ok(Step::Call {
                call: Call::deserialize(Value::from(call)).map_err(D::Error::custom)?,
                name,
                then: Deserialize::deserialize(Value::from(then)).map_err(D::Error::custom)?,
            });
        }
        match fields.remove("fault") {
            Some(fault) if fields.is_empty() && name.is_none() => Ok(Step::Fault(fault)),
            Some(_) => Err(D::Error::custom("a fault must be a separate step")),
            None => Ok(Step::Control {
                changes: fields.into(),
                name,
            }),
        }
    }
}

/// The fields of a [`Call`].
const CALL: [&str; 6] = [
    "call",
    "with",
    "arguments",
    "body",
    "timeout",
    "idempotency",
];

/// A call through a driver.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// Name of the call, such as `cluster.clients.create`.
    pub(crate) call: String,
    /// Name of credentials that a step of `given` created; default: the initial credentials.
    #[serde(rename = "with")]
    pub(crate) credentials: Option<String>,
    /// Arguments in the path.
    #[serde(default)]
    pub(crate) arguments: Vec<Value>,
    /// Body, with the API's field names.
    pub(crate) body: Option<Value>,
    /// Deadline in seconds.
    pub(crate) timeout: Option<f64>,
    /// Idempotency of a raw `request`: `safe`, `idempotent` or `non_idempotent`.
    pub(crate) idempotency: Option<String>,
}

/// Expected result or error of a call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Then {
    /// Pattern of the result.
    #[serde(default, deserialize_with = "present")]
    pub(crate) result: Option<Value>,
    /// Part of the result's JSON text, for values that parsing would change.
    pub(crate) result_text: Option<String>,
    pub(crate) error: Option<ExpectedError>,
    /// Number of requests by operation that the mock server received; empty: no request.
    pub(crate) requests: Option<BTreeMap<String, u64>>,
    /// Whether the result must contain fields or enum values that the library does not know; default: it must
    /// not.
    #[serde(default)]
    pub(crate) unknown: bool,
    /// Steps after the call.
    #[serde(default)]
    pub(crate) after: Vec<Step>,
}

/// Expected attributes of an error. An absent attribute is not checked, unless it follows from the HTTP
/// status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedError {
    pub(crate) kind: Option<String>,
    pub(crate) http_status: Option<u16>,
    pub(crate) outcome: Option<String>,
    pub(crate) stage: Option<String>,
    /// Part of the message, or an array of parts of which one must occur.
    pub(crate) message: Option<Value>,
    /// Part of the server's error message; `null` if there must be none.
    #[serde(default, deserialize_with = "present")]
    pub(crate) server_message: Option<Value>,
    /// Part of the body.
    pub(crate) body: Option<String>,
    pub(crate) attempts: Option<u64>,
    /// Whether it is an `OutcomeUnknownError`; default: derived from the outcome.
    pub(crate) may_have_been_applied: Option<bool>,
    /// Seconds.
    pub(crate) retry_after: Option<f64>,
}

/// Distinguishes `null` from an absent field.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Returns all cases: those of the files, in their order, then the derived ones.
pub(crate) fn read() -> Vec<Case> {
    let folder = top().join("tests/scenarios/cases");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let read: Vec<Case> = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        cases.extend(read);
    }
    let derived = derived::cases(&cases);
    cases.extend(derived);
    cases
}

/// Checks the cases without running them.
pub(crate) fn check(cases: &[Case]) {
    let mut names = HashSet::new();
    for case in cases {
        assert!(
            names.insert(&case.name),
            "case `{}` is defined twice",
            case.name
        );
        let then = &case.then;
        let ends = [
            then.result.is_some() || then.result_text.is_some(),
            then.error.is_some(),
        ];
        assert!(
            ends == [true, false] || ends == [false, true],
            "case `{}` must have either a result or an error",
            case.name
        );
        assert!(
            case.covers.is_none() || then.error.is_some(),
            "case `{}` covers an error reason but expects no error",
            case.name
        );
        assert!(
            !then.unknown || then.error.is_none(),
            "case `{}` expects unknown names in an error",
            case.name
        );
    }
}
