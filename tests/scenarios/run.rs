//! Running cases: the sandbox made ready, the call handed to the driver, the end checked.

use std::collections::BTreeMap;
use std::time::Duration;

use camunda_admin::Idempotency;
use camunda_admin::description::OPERATIONS;
use camunda_admin_sandbox::{Fault, Sandbox};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::driver::Driver;
use crate::languages::{Language, Start};
use crate::pattern::mismatch;
use crate::table::{Call, Case, ExpectedError, Step, Then};

/// How long the sandbox takes for what takes minutes: so long that nothing happens by itself while a
/// case runs; cases put the clock forward.
const LIFE_CYCLE: Duration = Duration::from_secs(60);

/// The kinds of errors in the order of the statuses of the C ABI.
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
    "Failed",
    "Io",
    "Internal",
];
const STAGES: [&str; 5] = ["", "Config", "Token", "Request", "Decode"];
const OUTCOMES: [&str; 5] = ["", "NotSent", "Refused", "Unknown", "Done"];

/// Runs all cases in one language and gives what failed; `None` where a tool is missing.
pub(crate) fn language(language: &Language, cases: &[Case]) -> Option<Vec<String>> {
    let start = (language.prepare)()?;
    let mut driver = start();
    let mut failures = Vec::new();
    for case in cases {
        if let Err(failure) = run(&mut driver, &start, case) {
            failures.push(format!("{}: {failure}", case.name));
        }
    }
    Some(failures)
}

fn run(driver: &mut Box<dyn Driver>, start: &Start, case: &Case) -> Result<(), String> {
    // A sandbox for each case, since a token host is asked for a token once a second at most.
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

/// A case on its way.
struct Running<'a> {
    driver: &'a mut Box<dyn Driver>,
    sandbox: &'a Sandbox,
    /// What steps have given, by name.
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
            .map_or(Ok(()), |error| Err(format!("cannot connect: {error}")))
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

    /// Makes a call and checks its end; gives the result.
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
            // Waiters look again at once; nothing else has an interval.
            "interval": 0.01,
        });
        if let Some(body) = &call.body {
            line["body"] = self.filled(body)?;
        }
        if let Some(timeout) = call.timeout {
            line["timeout"] = timeout.into();
        }
        if let Some(class) = &call.class {
            line["class"] = class.as_str().into();
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
        let result = self.check_end(call, then, &reply)?;
        check_counts(call, then, &counts)?;
        for step in &then.after {
            self.step(step)
                .map_err(|failure| format!("after: {failure}"))?;
        }
        Ok(result)
    }

    fn check_end(&self, call: &Call, then: &Then, reply: &Reply) -> Result<Value, String> {
        match (&reply.result, &reply.error, &then.error) {
            (Some(_), None, Some(_)) => Err(format!("{} succeeds", call.call)),
            (Some(result), None, None) => {
                if let Some(part) = &then.result_text {
                    let part = self.filled(&part.as_str().into())?;
                    let part = part.as_str().unwrap_or_default();
                    if !result.get().contains(part) {
                        return Err(format!("`{part}` is not in {}", result.get()));
                    }
                }
                // What is nested deeper than this is looked at as text only.
                let value = serde_json::from_str(result.get()).unwrap_or_default();
                if let Some(pattern) = &then.result {
                    let pattern = self.filled(pattern)?;
                    if let Some(mismatch) = mismatch(&pattern, Some(&value), "") {
                        return Err(mismatch);
                    }
                }
                Ok(value)
            }
            (None, Some(error), Some(expected)) => {
                self.check_error(call, expected, error)?;
                Ok(Value::Null)
            }
            (None, Some(error), None) => Err(format!("{} fails: {error}", call.call)),
            _ => Err(format!("{} ends neither well nor badly", call.call)),
        }
    }

    fn check_error(
        &self,
        call: &Call,
        expected: &ExpectedError,
        error: &Value,
    ) -> Result<(), String> {
        let wrong = |what: &str, wanted: &dyn std::fmt::Debug| {
            Err(format!("{what} of the error has to be {wanted:?}: {error}"))
        };
        let word = |name: &str, number: &str, words: &'static [&'static str]| {
            let numbered = error[number]
                .as_u64()
                .and_then(|n| words.get(n as usize).copied());
            error[name]
                .as_str()
                .or(numbered)
                .unwrap_or_default()
                .to_owned()
        };
        let kind = word("kind", "status", &KINDS);
        let outcome = word("outcome", "outcome", &OUTCOMES);
        let stage = word("stage", "stage", &STAGES);
        // What a status is by itself; a case says what is otherwise.
        let implied = expected.http_status.map(kind_of_status);
        if let Some(wanted) = expected.kind.as_deref().or(implied)
            && kind != wanted
        {
            return wrong("the kind", &wanted);
        }
        let refused = implied.map(|_| "Refused");
        if let Some(wanted) = expected.outcome.as_deref().or(refused)
            && outcome != wanted
        {
            return wrong("the outcome", &wanted);
        }
        let requested = implied.map(|_| "Request");
        if let Some(wanted) = expected.stage.as_deref().or(requested)
            && stage != wanted
        {
            return wrong("the stage", &wanted);
        }
        // A success whose answer cannot be used is told by the kind; only refusals name a status.
        let status = error["http_status"]
            .as_u64()
            .filter(|status| *status >= 300 || expected.http_status.is_some());
        if status != expected.http_status.map(u64::from) {
            return wrong("the HTTP status", &expected.http_status);
        }
        let message = error["message"].as_str().unwrap_or_default();
        if message.is_empty() || message.contains('\n') {
            return wrong("the message", &"one line");
        }
        if message.contains(&self.sandbox.client_secret()) {
            return wrong("the message", &"free of secrets");
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
                return wrong("the message", &wanted);
            }
        }
        match (&expected.server_message, error["server_message"].as_str()) {
            (None, _) | (Some(Value::Null), None) => {}
            (Some(Value::String(part)), Some(words)) if words.contains(part.as_str()) => {}
            (Some(wanted), _) => return wrong("the service's words", wanted),
        }
        if let Some(part) = &expected.body {
            let part = self.filled(&part.as_str().into())?;
            let body = from_hex(error["body_hex"].as_str().unwrap_or_default());
            let body = String::from_utf8_lossy(&body);
            if !body.contains(part.as_str().unwrap_or_default()) {
                return wrong(&format!("the body (`{body}`)"), &part);
            }
        }
        if let Some(attempts) = expected.attempts
            && error["attempts"].as_u64() != Some(attempts)
        {
            return wrong("the number of attempts", &attempts);
        }
        let applied = expected
            .may_have_been_applied
            .unwrap_or_else(|| is_change(call) && matches!(outcome.as_str(), "Unknown" | "Done"));
        if error["may_have_been_applied"].as_bool().unwrap_or_default() != applied {
            return wrong("`may_have_been_applied`", &applied);
        }
        if let Some(seconds) = expected.retry_after
            && error["retry_after"].as_f64() != Some(seconds)
        {
            return wrong("the time to wait", &seconds);
        }
        // What never got as far as an operation need not name one.
        let operation = OPERATIONS
            .iter()
            .find(|operation| operation.call == call.call);
        if let (Some(operation), Some(named)) = (operation, error["operation"].as_str())
            && named != operation.name
        {
            return wrong("the operation", &operation.name);
        }
        if status.is_some() && error["operation"].as_str().is_none() {
            return wrong("the operation", &"named");
        }
        Ok(())
    }

    /// The value with each `$name` and `$name.field` in its texts replaced, and what is told rather
    /// than written, `{"$repeat": [text, times]}` and `{"$join": [...]}`, made.
    fn filled(&self, value: &Value) -> Result<Value, String> {
        match value {
            Value::String(text) => self.filled_text(text),
            Value::Array(elements) => elements
                .iter()
                .map(|element| self.filled(element))
                .collect::<Result<_, _>>(),
            Value::Object(fields) if fields.contains_key("$repeat") => {
                let (text, times) = (&fields["$repeat"][0], &fields["$repeat"][1]);
                let text = text.as_str().ok_or("$repeat takes a text and a number")?;
                let times = times.as_u64().ok_or("$repeat takes a text and a number")?;
                Ok(text.repeat(times as usize).into())
            }
            Value::Object(fields) if fields.contains_key("$join") => {
                let parts = fields["$join"].as_array().ok_or("$join takes texts")?;
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
                None => return Err(format!("${path} is no text: {value}")),
            }
            rest = behind;
        }
        filled.push_str(rest);
        Ok(filled.into())
    }

    /// What a name stands for: a thing's id where nothing more is asked for.
    fn named(&self, path: &str) -> Result<Value, String> {
        let (name, fields) = path.split_once('.').unwrap_or((path, ""));
        let value = self
            .names
            .get(name)
            .ok_or_else(|| format!("nothing is called ${name}"))?;
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
        return Err(format!(
            "the service has to see {wanted:?}, and sees {counts:?}"
        ));
    }
    let operation = OPERATIONS
        .iter()
        .find(|operation| operation.call == call.call);
    if let Some(operation) = operation
        && operation.idempotency == Idempotency::NonIdempotent
    {
        let path = format!("{} {}", operation.method, operation.path);
        let count = counts.get(&path).copied().unwrap_or_default();
        if count > 1 {
            return Err(format!(
                "{path} may be sent once only, and is sent {count} times"
            ));
        }
    }
    Ok(())
}

/// Whether a call changes something, as opposed to reads and waiters.
fn is_change(call: &Call) -> bool {
    let operation = OPERATIONS
        .iter()
        .find(|operation| operation.call == call.call);
    match operation {
        Some(operation) => operation.idempotency != Idempotency::Safe,
        None => call.call == "request" && call.arguments.first() != Some(&"GET".into()),
    }
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

/// A driver's answer: a result, `null` among them, or an error.
struct Reply {
    result: Option<Box<RawValue>>,
    error: Option<Value>,
}

impl Reply {
    fn parse(line: &str) -> Result<Reply, String> {
        let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line)
            .map_err(|error| format!("the driver answers no JSON ({error}): {line}"))?;
        let error = fields.remove("error");
        let error = error
            .map(|error| serde_json::from_str(error.get()))
            .transpose();
        Ok(Reply {
            result: fields.remove("result"),
            error: error
                .map_err(|error| format!("the driver answers no error ({error}): {line}"))?,
        })
    }
}
