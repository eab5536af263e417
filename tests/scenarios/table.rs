//! The table: reading it, and what a case is made of.

use std::collections::{BTreeMap, HashSet};
use std::fs;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::tools::top;

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What it shows, unique in the whole table.
    pub(crate) name: String,
    /// The documented reason for a refusal that it is the case of.
    pub(crate) covers: Option<String>,
    /// What happens before the call, in this order.
    #[serde(default)]
    pub(crate) given: Vec<Step>,
    pub(crate) when: Call,
    pub(crate) then: Then,
}

/// Something that happens before or after the call.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// A call through the driver, which has to end as `then` says: well, where nothing is said.
    Call {
        call: Call,
        name: Option<String>,
        then: Box<Then>,
    },
    /// A fault of the sandbox.
    Fault(Value),
    /// A change of the sandbox's state.
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
            Some(_) => return Err(D::Error::custom("`as` is a name")),
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
            Some(_) => Err(D::Error::custom("a fault is a step of its own")),
            None => Ok(Step::Control {
                changes: fields.into(),
                name,
            }),
        }
    }
}

/// The fields of a [`Call`].
const CALL: [&str; 6] = ["call", "with", "arguments", "body", "timeout", "class"];

/// A call through a driver.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// By its name, such as `cluster.clients.create`.
    pub(crate) call: String,
    /// Credentials that a step of `given` handed out; the first ones unless there are any here.
    #[serde(rename = "with")]
    pub(crate) credentials: Option<String>,
    /// The arguments in the path.
    #[serde(default)]
    pub(crate) arguments: Vec<Value>,
    /// The body by the service's names.
    pub(crate) body: Option<Value>,
    /// The deadline in seconds.
    pub(crate) timeout: Option<f64>,
    /// Whether `request` may send it again.
    pub(crate) class: Option<String>,
}

/// What has to come of a call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Then {
    /// A pattern of the result.
    #[serde(default, deserialize_with = "present")]
    pub(crate) result: Option<Value>,
    /// A part of the result's JSON text, for what parsing would change.
    pub(crate) result_text: Option<String>,
    pub(crate) error: Option<ExpectedError>,
    /// How often which operation reached the service; none at all where it is empty.
    pub(crate) requests: Option<BTreeMap<String, u64>>,
    /// What happens after it.
    #[serde(default)]
    pub(crate) after: Vec<Step>,
}

/// What an error has to be. What is not said is not looked at, but for what follows from the HTTP
/// status.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedError {
    pub(crate) kind: Option<String>,
    pub(crate) http_status: Option<u16>,
    pub(crate) outcome: Option<String>,
    pub(crate) stage: Option<String>,
    /// A part of the message, or several of which one has to be in it.
    pub(crate) message: Option<Value>,
    /// A part of the service's words; `null` where it must have said nothing.
    #[serde(default, deserialize_with = "present")]
    pub(crate) server_message: Option<Value>,
    /// A part of the body.
    pub(crate) body: Option<String>,
    pub(crate) attempts: Option<u64>,
    /// Whether it is an `OutcomeUnknownError`; follows from the outcome unless given.
    pub(crate) may_have_been_applied: Option<bool>,
    /// In seconds.
    pub(crate) retry_after: Option<f64>,
}

/// Tells `null` from nothing.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// All cases, file by file.
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
    cases
}

/// Checks what can be checked without running a case.
pub(crate) fn check(cases: &[Case]) {
    let mut names = HashSet::new();
    for case in cases {
        assert!(
            names.insert(&case.name),
            "there are two cases `{}`",
            case.name
        );
        let then = &case.then;
        let said = [
            then.result.is_some() || then.result_text.is_some(),
            then.error.is_some(),
        ];
        assert!(
            said == [true, false] || said == [false, true],
            "`{}` says nothing of the end of the call, or two things",
            case.name
        );
        assert!(
            case.covers.is_none() || then.error.is_some(),
            "`{}` covers an error and expects none",
            case.name
        );
    }
}
