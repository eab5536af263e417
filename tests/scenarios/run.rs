//! Runs cases: prepares the mock server, makes the call through the driver, checks result and requests.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use camunda_admin::description::OPERATIONS;
use camunda_admin_sandbox::{Fault, Sandbox, operations};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::driver_process::Driver;
use crate::languages::{Language, Start};
use crate::pattern::mismatch;
use crate::table::{Call, Case, ExpectedError, Step, Then};
use crate::unknown::unknown_names;

/// Duration of life-cycle changes in the mock server: longer than a case takes, so that they happen only
/// when a case advances the clock.
const LIFE_CYCLE: Duration = Duration::from_secs(60);

/// Names of the error kinds, indexed by `camunda_status`.
const KINDS: [&str; 18] = [
    "Ok",
    "InvalidArgument",
    "Config",
    "Authentication",
    "PermissionDenied",
    "NotFound",
    "Conflict",
    "NotReady",
    "InvalidRequest",
    "RateLimited",
    "Service",
    "Timeout",
    "Cancelled",
    "Network",
    "Decode",
    "WaitFailed",
    "Io",
    "Internal",
];
const STAGES: [&str; 5] = ["", "Config", "Token", "Request", "Decode"];
const OUTCOMES: [&str; 5] = ["", "NotSent", "Rejected", "Unknown", "Completed"];

/// Drivers of a language that run cases at the same time, since most of a case is waiting.
const DRIVERS: usize = 2;

/// Runs all cases in one language and returns the failures. Returns `None` if a tool is not installed.
pub(crate) fn language(language: &Language, cases: &[Case]) -> Option<Vec<String>> {
    let start = (language.prepare)()?;
    let next = AtomicUsize::new(0);
    let run_cases = || {
        let mut driver = start();
        let mut failures = Vec::new();
        while let Some((index, case)) = take(&next, cases) {
            if let Err(failure) = run(&mut driver, &start, case) {
                failures.push((index, format!("{}: {failure}", case.name)));
            }
        }
        failures
    };
    let mut failures: Vec<(usize, String)> = thread::scope(|scope| {
        let drivers: Vec<_> = (0..DRIVERS.min(cases.len()))
            .map(|_| scope.spawn(run_cases))
            .collect();
        drivers
            .into_iter()
            .flat_map(|driver| driver.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    failures.sort_unstable();
    Some(failures.into_iter().map(|(_, failure)| failure).collect())
}

/// Returns the next case that no driver has taken, with its index.
fn take<'a>(next: &AtomicUsize, cases: &'a [Case]) -> Option<(usize, &'a Case)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    cases.get(index).map(|case| (index, case))
}

fn run(driver: &mut Box<dyn Driver>, start: &Start, case: &Case) -> Result<(), String> {
    // A mock server for each case, because the rate limit allows one token request per second and host.
    let sandbox = Sandbox::builder().healthy_after(LIFE_CYCLE).start();
    let mut running = Running {
        driver,
        sandbox: &sandbox,
        names: BTreeMap::new(),
    };
    let end = running.case(case);
    if matches!(&end, Err(error) if error.starts_with("the driver")) {
        *driver = start();
    }
    end
}

/// A running case.
struct Running<'a> {
    driver: &'a mut Box<dyn Driver>,
    sandbox: &'a Sandbox,
    /// Results of steps, by name.
    names: BTreeMap<String, Value>,
}

impl Running<'_> {
    fn case(&mut self, case: &Case) -> Result<(), String> {
        self.connect(&self.sandbox.client_id(), &self.sandbox.client_secret())?;
        for step in &case.given {
            self.step(step)
                .map_err(|failure| format!("given: {failure}"))?;
        }
        self.call(&case.when, &case.then).map(drop)
    }

    fn connect(&mut self, client_id: &str, client_secret: &str) -> Result<(), String> {
        let settings = json!({ "connect": {
            "base_url": self.sandbox.base_url(),
            "oauth_url": self.sandbox.oauth_url(),
            "client_id": client_id,
            "client_secret": client_secret,
            "token_cache": "memory",
            "timeout": "20",
        }});
        let reply = Reply::parse(&self.driver.exchange(&settings.to_string())?)?;
        reply
            .error
            .map_or(Ok(()), |error| Err(format!("connect: {error}")))
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Call { call, name, then } => {
                let result = self.call(call, then)?;
                self.bind(name, result);
            }
            Step::Fault(fault) => {
                self.sandbox
                    .add_fault(Fault::from_json(self.filled(fault)?)?);
            }
            Step::Control { changes, name } => {
                let given = self.sandbox.control(self.filled(changes)?)?;
                self.bind(name, given);
            }
        }
        Ok(())
    }

    fn bind(&mut self, name: &Option<String>, value: Value) {
        if let Some(name) = name {
            self.names.insert(name.clone(), value);
        }
    }

    /// Makes a call, checks its result or error and the requests, and returns the result.
    fn call(&mut self, call: &Call, then: &Then) -> Result<Value, String> {
        if let Some(name) = &call.credentials {
            let text = |field| self.filled(&format!("{name}.{field}").into());
            let (id, secret) = (text("client_id")?, text("client_secret")?);
            self.connect(
                id.as_str().unwrap_or_default(),
                secret.as_str().unwrap_or_default(),
            )?;
        }
        let before = self.sandbox.stats().requests_by_operation;
        let arguments = call.arguments.iter().map(|value| self.filled(value));
        let mut line = json!({
            "call": call.call,
            "arguments": arguments.collect::<Result<Vec<_>, _>>()?,
            // Short, so that waiters poll again immediately; other calls ignore it.
            "interval": 0.01,
        });
        if let Some(body) = &call.body {
            line["body"] = self.filled(body)?;
        }
        if let Some(timeout) = call.timeout {
            line["timeout"] = timeout.into();
        }
        if let Some(idempotency) = &call.idempotency {
            line["idempotency"] = idempotency.as_str().into();
        }
        let reply = Reply::parse(&self.driver.exchange(&line.to_string())?)?;
        let counts = {
            let mut counts = self.sandbox.stats().requests_by_operation;
            for (operation, count) in before {
                counts.entry(operation).and_modify(|now| *now -= count);
            }
            counts.retain(|_, count| *count > 0);
            counts
        };
        let result = self.check_end(call, then, &reply, &counts)?;
        check_counts(call, then, &counts)?;
        for step in &then.after {
            self.step(step)
                .map_err(|failure| format!("after: {failure}"))?;
        }
        Ok(result)
    }

    fn check_end(
        &self,
        call: &Call,
        then: &Then,
        reply: &Reply,
        counts: &BTreeMap<String, u64>,
    ) -> Result<Value, String> {
        match (&reply.result, &reply.error, &then.error) {
            (Some(_), None, Some(_)) => {
                Err(format!("{}: expected an error, got a result", call.call))
            }
            (Some(result), None, None) => {
                if let Some(part) = &then.result_text {
                    let part = self.filled(&part.as_str().into())?;
                    let part = part.as_str().unwrap_or_default();
                    if !result.get().contains(part) {
                        return Err(format!("`{part}` is not in {}", result.get()));
                    }
                }
                // Values nested deeper than the limit of serde_json are compared as text only.
                let value = serde_json::from_str(result.get()).unwrap_or_default();
                let unknown = unknown_names(&call.call, &value);
                if unknown.is_empty() == then.unknown {
                    return Err(format!("{}: unknown names: {unknown:?}", call.call));
                }
                if let Some(pattern) = &then.result {
                    let pattern = self.filled(pattern)?;
                    if let Some(mismatch) = mismatch(&pattern, Some(&value), "") {
                        return Err(mismatch);
                    }
                }
                Ok(value)
            }
            (None, Some(error), Some(expected)) => {
                self.check_error(call, expected, error, counts)?;
                Ok(Value::Null)
            }
            (None, Some(error), None) => Err(format!("{}: unexpected error: {error}", call.call)),
            _ => Err(format!(
                "{}: expected either a result or an error",
                call.call
            )),
        }
    }

    fn check_error(
        &self,
        call: &Call,
        expected: &ExpectedError,
        error: &Value,
        counts: &BTreeMap<String, u64>,
    ) -> Result<(), String> {
        let wrong = |what: &str, wanted: &dyn std::fmt::Debug| {
            Err(format!("{what}: expected {wanted:?}, error: {error}"))
        };
        let enum_name = |name: &str, number: &str, names: &'static [&'static str]| {
            let numbered = error[number]
                .as_u64()
                .and_then(|n| names.get(n as usize).copied());
            error[name]
                .as_str()
                .or(numbered)
                .unwrap_or_default()
                .to_owned()
        };
        let kind = enum_name("kind", "status", &KINDS);
        let outcome = enum_name("outcome", "outcome", &OUTCOMES);
        let stage = enum_name("stage", "stage", &STAGES);
        // Defaults that follow from the HTTP status; a case can override them.
        let implied = expected.http_status.map(kind_of_status);
        if let Some(wanted) = expected.kind.as_deref().or(implied)
            && kind != wanted
        {
            return wrong("kind", &wanted);
        }
        let rejected = implied.map(|_| "Rejected");
        if let Some(wanted) = expected.outcome.as_deref().or(rejected)
            && outcome != wanted
        {
            return wrong("outcome", &wanted);
        }
        let requested = implied.map(|_| "Request");
        if let Some(wanted) = expected.stage.as_deref().or(requested)
            && stage != wanted
        {
            return wrong("stage", &wanted);
        }
        // The status of a success is compared only if the case names one.
        let status = error["http_status"]
            .as_u64()
            .filter(|status| *status >= 300 || expected.http_status.is_some());
        if status != expected.http_status.map(u64::from) {
            return wrong("http_status", &expected.http_status);
        }
        let message = error["message"].as_str().unwrap_or_default();
        if message.is_empty() || message.contains('\n') {
            return wrong("message", &"one line");
        }
        if message.contains(&self.sandbox.client_secret()) {
            return wrong("message", &"no secret");
        }
        if let Some(wanted) = &expected.message {
            let wanted = match self.filled(wanted)? {
                Value::Array(several) => several,
                one => vec![one],
            };
            if !wanted
                .iter()
                .filter_map(Value::as_str)
                .any(|part| message.contains(part))
            {
                return wrong("message", &wanted);
            }
        }
        match (&expected.server_message, error["server_message"].as_str()) {
            (None, _) | (Some(Value::Null), None) => {}
            (Some(Value::String(part)), Some(message)) if message.contains(part.as_str()) => {}
            (Some(wanted), _) => return wrong("server_message", wanted),
        }
        if let Some(part) = &expected.body {
            let part = self.filled(&part.as_str().into())?;
            let body = from_hex(error["body_hex"].as_str().unwrap_or_default());
            let body = String::from_utf8_lossy(&body);
            if !body.contains(part.as_str().unwrap_or_default()) {
                return wrong(&format!("body (`{body}`)"), &part);
            }
        }
        if let Some(attempts) = expected.attempts
            && error["attempts"].as_u64() != Some(attempts)
        {
            return wrong("attempts", &attempts);
        }
        let applied = expected.may_have_been_applied.unwrap_or_else(|| {
            is_change(counts) && matches!(outcome.as_str(), "Unknown" | "Completed")
        });
        if error["may_have_been_applied"].as_bool().unwrap_or_default() != applied {
            return wrong("may_have_been_applied", &applied);
        }
        if let Some(seconds) = expected.retry_after
            && error["retry_after"].as_f64() != Some(seconds)
        {
            return wrong("retry_after", &seconds);
        }
        // An error that occurs before an operation is selected does not have to name one.
        let operation = OPERATIONS
            .iter()
            .find(|operation| operation.sdk_method == call.call);
        if let (Some(operation), Some(named)) = (operation, error["operation"].as_str())
            && named != operation.name
        {
            return wrong("operation", &operation.name);
        }
        if status.is_some() && error["operation"].as_str().is_none() {
            return wrong("operation", &"a name");
        }
        Ok(())
    }

    /// Returns the value with each `$name` and `$name.field` in its strings replaced, and with
    /// `{"$repeat": [string, times]}` and `{"$join": [strings]}` expanded.
    fn filled(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) => self.filled_text(text),
            Value::Array(elements) => elements
                .iter()
                .map(|element| self.filled(element))
                .collect::<Result<_, _>>(),
            Value::Object(fields) if fields.contains_key("$repeat") => {
                let (text, times) = (&fields["$repeat"][0], &fields["$repeat"][1]);
                let text = text.as_str().ok_or("$repeat takes a string and a number")?;
                let times = times
                    .as_u64()
                    .ok_or("$repeat takes a string and a number")?;
                Ok(text.repeat(times as usize).into())
            }
            Value::Object(fields) if fields.contains_key("$join") => {
                let parts = fields["$join"].as_array().ok_or("$join takes strings")?;
                let parts = parts.iter().map(|part| self.filled(part));
                let parts: Vec<Value> = parts.collect::<Result<_, String>>()?;
                Ok(parts
                    .iter()
                    .filter_map(Value::as_str)
                    .collect::<String>()
                    .into())
            }
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(name, field)| Ok((name.clone(), self.filled(field)?)));
                fields
                    .collect::<Result<serde_json::Map<_, _>, String>>()
                    .map(Value::from)
            }
            _ => Ok(value.clone()),
        }
    }

    fn filled_text(&self, text: &str) -> Result<Value, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            filled.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let length = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
                .unwrap_or(after.len());
            let (path, behind) = after.split_at(length);
            let value = self.named(path)?;
            if filled.is_empty() && behind.is_empty() {
                return Ok(value);
            }
            match value.as_str() {
                Some(text) => filled.push_str(text),
                None => return Err(format!("${path} is not a string: {value}")),
            }
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled.into())
    }

    /// Returns the value of a name: the `uuid` of a resource, or the field named by the path.
    fn named(&self, path: &str) -> Result<Value, String> {
        let (name, fields) = path.split_once('.').unwrap_or((path, ""));
        let value = self
            .names
            .get(name)
            .ok_or_else(|| format!("unknown name ${name}"))?;
        if fields.is_empty() {
            return Ok(value.get("uuid").unwrap_or(value).clone());
        }
        let pointer = format!("/{}", fields.replace('.', "/"));
        value
            .pointer(&pointer)
            .cloned()
            .ok_or_else(|| format!("{name} has no {fields}: {value}"))
    }
}

fn check_counts(call: &Call, then: &Then, counts: &BTreeMap<String, u64>) -> Result<(), String> {
    if let Some(wanted) = &then.requests
        && wanted != counts
    {
        return Err(format!("requests: expected {wanted:?}, got {counts:?}"));
    }
    // The caller of a raw request decides whether it is idempotent.
    if call.idempotency.is_some() {
        return Ok(());
    }
    for operation in operations()
        .iter()
        .filter(|operation| !operation.idempotent)
    {
        let name = format!("{} {}", operation.method, operation.path);
        let count = counts.get(&name).copied().unwrap_or_default();
        if count > 1 {
            return Err(format!("non-idempotent {name} was sent {count} times"));
        }
    }
    Ok(())
}

/// Returns whether a call sent a change, not only reads.
fn is_change(counts: &BTreeMap<String, u64>) -> bool {
    counts
        .keys()
        .any(|operation| !operation.starts_with("GET "))
}

fn kind_of_status(status: u16) -> &'static str {
    match status {
        401 => "Authentication",
        403 => "PermissionDenied",
        404 => "NotFound",
        409 => "Conflict",
        412 => "NotReady",
        429 => "RateLimited",
        400..=499 => "InvalidRequest",
        _ => "Service",
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2)
        .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap_or_default())
        .collect()
}

/// Reply of a driver: a result, which can be `null`, or an error.
struct Reply {
    result: Option<Box<RawValue>>,
    error: Option<Value>,
}

impl Reply {
    fn parse(line: &str) -> Result<Reply, String> {
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line)
            .map_err(|error| format!("the driver returned invalid JSON ({error}): {line}"))?;
        let error = fields.remove("error");
        let error = error
            .map(|error| serde_json::from_str(error.get()))
            .transpose();
        Ok(Reply {
            result: fields.remove("result"),
            error: error.map_err(|error| {
                format!("the driver returned an invalid error ({error}): {line}")
            })?,
        })
    }
}
