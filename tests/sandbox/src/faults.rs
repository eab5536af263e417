//! Fault injection: matching requests, counting, and altering responses.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::body::Fields;
use crate::delivery::{End, Script, Step, head};
use crate::encoding::base64_decode;
use crate::random::Random;
use crate::response::Response;

/// Time of injection: before or after the request takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// A fault that ends the request prevents its effect. A delay defers the effect, and a client
    /// that disconnects during the delay prevents it.
    Before,
    /// The request takes effect, and only the response is altered.
    After,
}

/// Fault to inject into matching requests.
///
/// Create one with [`Fault::on`], [`Fault::on_token`], [`Fault::on_path`] or [`Fault::on_any`], add
/// effects, and pass it to [`Sandbox::add_fault`](crate::Sandbox::add_fault). By default a fault is
/// injected once. If several faults match a request, the oldest one that is not used up is
/// injected.
#[derive(Clone, Debug)]
pub struct Fault {
    matcher: Matcher,
    remaining: Option<u64>,
    skip: u64,
    chance: Option<(f64, Random)>,
    effect: Arc<Effect>,
}

/// Conditions on a request. An unset condition matches any request.
#[derive(Clone, Debug, Default)]
struct Matcher {
    operation: Option<String>,
    method: Option<String>,
    path_prefix: Option<String>,
}

/// Effects of a fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effect {
    when: Option<When>,
    pub(crate) delay: Duration,
    stall: bool,
    reset: bool,
    garbage: Option<Vec<u8>>,
    status: Option<u16>,
    body: Option<Vec<u8>>,
    extra_fields: Map<String, Value>,
    replace: Vec<(String, Value)>,
    remove: Vec<String>,
    set_headers: Vec<(String, String)>,
    cut_body: Option<u64>,
    slow_body: Option<Duration>,
    huge_body: Option<u64>,
    wrong_content_length: Option<u64>,
    informational: bool,
    close_after: Option<Duration>,
}

/// Operation name of token requests.
pub(crate) const TOKEN_OPERATION: &str = "token";

impl Fault {
    fn with(matcher: Matcher) -> Self {
        Self {
            matcher,
            remaining: Some(1),
            skip: 0,
            chance: None,
            effect: Arc::default(),
        }
    }

    /// Creates a fault for an operation, for example `GET /clusters/{clusterUuid}`.
    pub fn on(operation: &str) -> Self {
        Self::with(Matcher {
            operation: Some(operation.into()),
            ..Matcher::default()
        })
    }

    /// Creates a fault for the token endpoint. Rate-limited requests do not match.
    pub fn on_token() -> Self {
        Self::on(TOKEN_OPERATION)
    }

    /// Creates a fault for paths with this prefix, including the token endpoint.
    pub fn on_path(prefix: &str) -> Self {
        Self::with(Matcher {
            path_prefix: Some(prefix.into()),
            ..Matcher::default()
        })
    }

    /// Creates a fault for all API requests, excluding the token endpoint.
    pub fn on_any() -> Self {
        Self::with(Matcher::default())
    }

    /// Restricts the fault to this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.matcher.method = Some(method.into());
        self
    }

    /// Injects the fault this many times. Default: 1.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.remaining = Some(times);
        self
    }

    /// Injects the fault until it is removed.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.remaining = None;
        self
    }

    /// Skips this number of matching requests first.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Injects the fault with this probability (0 to 1), in a sequence determined by the seed.
    #[must_use]
    pub fn probability(mut self, probability: f64, seed: u64) -> Self {
        self.chance = Some((probability, Random::from_seed(seed)));
        self
    }

    /// Sets the time of injection. Default: status, stall, reset and garbage before the request
    /// takes effect, all other effects after.
    #[must_use]
    pub fn when(self, when: When) -> Self {
        self.change(|effect| effect.when = Some(when))
    }

    /// Delays the response.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        self.change(|effect| effect.delay = delay.min(crate::clock::MAX_ADVANCE))
    }

    /// Sends no response and keeps the connection open until the client closes it. With
    /// [`cut_body`](Self::cut_body), stalls after part of the body.
    #[must_use]
    pub fn stall(self) -> Self {
        self.change(|effect| effect.stall = true)
    }

    /// Closes the connection with a TCP RST. With [`cut_body`](Self::cut_body), after part of the
    /// body.
    #[must_use]
    pub fn reset(self) -> Self {
        self.change(|effect| effect.reset = true)
    }

    /// Sends these bytes instead of an HTTP response and closes the connection.
    #[must_use]
    pub fn garbage(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.change(|effect| effect.garbage = Some(bytes.into()))
    }

    /// Responds with this status (200 to 999), with an empty body unless [`body`](Self::body) is set.
    ///
    /// # Panics
    ///
    /// The status is out of range.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        assert!(
            (200..1000).contains(&status),
            "status {status} is not in the range 200 to 999"
        );
        self.change(|effect| effect.status = Some(status))
    }

    /// Replaces the response body. The content type is that of the original response, else JSON;
    /// override it with [`header`](Self::header).
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.change(|effect| effect.body = Some(body.into()))
    }

    /// Sets a response header.
    ///
    /// # Panics
    ///
    /// The name or value is not valid in a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        assert!(is_header(name, value), "invalid header: {name}: {value}");
        self.change(|effect| effect.set_headers.push((name.into(), value.into())))
    }

    /// Adds a field to every JSON object in the response.
    #[must_use]
    pub fn extra_field(self, name: &str, value: Value) -> Self {
        self.change(|effect| drop(effect.extra_fields.insert(name.into(), value)))
    }

    /// Sets the value at a JSON pointer in the response. `*` matches every item or field.
    #[must_use]
    pub fn replace(self, pointer: &str, value: Value) -> Self {
        self.change(|effect| effect.replace.push((pointer.into(), value)))
    }

    /// Removes the value at a JSON pointer in the response. `*` matches every item or field.
    #[must_use]
    pub fn remove(self, pointer: &str) -> Self {
        self.change(|effect| effect.remove.push(pointer.into()))
    }

    /// Declares the full length and closes the connection after this number of body bytes.
    #[must_use]
    pub fn cut_body(self, after: u64) -> Self {
        self.change(|effect| effect.cut_body = Some(after))
    }

    /// Sends the body byte by byte at this interval.
    #[must_use]
    pub fn slow_body(self, interval: Duration) -> Self {
        self.change(|effect| effect.slow_body = Some(interval))
    }

    /// Responds with a body of this number of spaces.
    #[must_use]
    pub fn huge_body(self, bytes: u64) -> Self {
        self.change(|effect| effect.huge_body = Some(bytes))
    }

    /// Sets `Content-Length` to this value whatever the body, and closes the connection after the
    /// body.
    #[must_use]
    pub fn wrong_content_length(self, announced: u64) -> Self {
        self.change(|effect| effect.wrong_content_length = Some(announced))
    }

    /// Sends a 103 response before the final one.
    #[must_use]
    pub fn informational(self) -> Self {
        self.change(|effect| effect.informational = true)
    }

    /// Closes the connection this long after a response that does not announce it.
    #[must_use]
    pub fn close_after(self, delay: Duration) -> Self {
        self.change(|effect| {
            effect.close_after = Some(delay.min(crate::clock::MAX_ADVANCE));
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Effect)) -> Self {
        change(Arc::make_mut(&mut self.effect));
        self
    }

    /// Parses a fault in the format of `POST /_sandbox/faults`.
    ///
    /// # Errors
    ///
    /// The error message of the endpoint.
    pub fn from_json(fault: Value) -> Result<Self, String> {
        match fault {
            Value::Object(fields) => Self::from_fields(fields).map_err(Response::into_message),
            _ => Err("a fault must be an object".into()),
        }
    }

    pub(crate) fn from_fields(fields: Map<String, Value>) -> Result<Self, Response> {
        let mut fields = Fields::from_object(fields);
        let mut fault = Self::with(Matcher {
            operation: fields.optional_string("operation")?,
            method: fields.optional_string("method")?,
            path_prefix: fields.optional_string("path_prefix")?,
        });
        match fields.take("times") {
            None => {}
            Some(Value::Null) => fault = fault.always(),
            Some(times) => {
                fault = fault.times(times.as_u64().ok_or_else(|| invalid_field("times"))?);
            }
        }
        fault.skip = fields.optional_count("skip")?.unwrap_or(0);
        let seed = fields.optional_count("seed")?.unwrap_or(0);
        if let Some(probability) = fields.optional_number("probability")? {
            fault = fault.probability(probability, seed);
        }
        let mut effect = Effect {
            when: fields
                .optional_enum_value("when", &["before", "after"])?
                .map(|when| match &*when {
                    "before" => When::Before,
                    _ => When::After,
                }),
            delay: milliseconds(&mut fields, "delay_ms")?.unwrap_or_default(),
            stall: fields.optional_boolean("stall")?.unwrap_or(false),
            reset: fields.optional_boolean("reset")?.unwrap_or(false),
            garbage: match fields.take("garbage") {
                None | Some(Value::Bool(false)) => None,
                Some(Value::Bool(true)) => Some(b"\x16\x03\x01 this is not HTTP\n".to_vec()),
                Some(Value::String(text)) => Some(text.into_bytes()),
                Some(_) => return Err(invalid_field("garbage")),
            },
            status: match fields.optional_count("status")? {
                None => None,
                Some(status @ 200..1000) => Some(status as u16),
                Some(_) => return Err(invalid_field("status")),
            },
            body: match fields.take("body") {
                None => None,
                Some(Value::String(text)) => Some(text.into_bytes()),
                Some(value) => Some(value.to_string().into_bytes()),
            },
            extra_fields: fields.optional_object("extra_fields")?.unwrap_or_default(),
            replace: fields
                .optional_object("replace")?
                .unwrap_or_default()
                .into_iter()
                .collect(),
            remove: fields.optional_strings("remove")?.unwrap_or_default(),
            set_headers: Vec::new(),
            cut_body: fields.optional_count("cut_body")?,
            slow_body: milliseconds(&mut fields, "slow_body")?,
            huge_body: fields.optional_count("huge_body")?,
            wrong_content_length: fields.optional_count("wrong_content_length")?,
            informational: fields.optional_boolean("informational")?.unwrap_or(false),
            close_after: milliseconds(&mut fields, "close_after_ms")?,
        };
        if let Some(encoded) = fields.optional_string("body_base64")? {
            effect.body =
                Some(base64_decode(&encoded).ok_or_else(|| invalid_field("body_base64"))?);
        }
        for field in ["headers", "set_headers"] {
            for (name, value) in fields.optional_object(field)?.unwrap_or_default() {
                match value {
                    Value::String(value) if is_header(&name, &value) => {
                        effect.set_headers.push((name, value));
                    }
                    _ => return Err(invalid_field(field)),
                }
            }
        }
        fields.finish()?;
        fault.effect = Arc::new(effect);
        Ok(fault)
    }
}

/// Active faults, oldest first.
#[derive(Default)]
pub(crate) struct Faults {
    faults: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
    }

    /// Returns the effect to inject into this request, if any.
    pub(crate) fn inject(
        &mut self,
        operation: &str,
        method: &str,
        path: &str,
    ) -> Option<Arc<Effect>> {
        let index = self.faults.iter_mut().position(|fault| {
            if !fault.matcher.matches(operation, method, path) {
                return false;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                return false;
            }
            let chance = fault
                .chance
                .as_mut()
                .is_none_or(|(probability, random)| random.chance(*probability));
            chance && fault.remaining != Some(0)
        })?;
        let fault = &mut self.faults[index];
        let effect = Arc::clone(&fault.effect);
        if let Some(remaining) = &mut fault.remaining {
            *remaining = remaining.saturating_sub(1);
            if *remaining == 0 {
                self.faults.remove(index);
            }
        }
        Some(effect)
    }
}

impl Matcher {
    fn matches(&self, operation: &str, method: &str, path: &str) -> bool {
        let operation_matches = match &self.operation {
            Some(wanted) => wanted == operation,
            None => self.path_prefix.is_some() || operation != TOKEN_OPERATION,
        };
        operation_matches
            && self
                .method
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self
                .path_prefix
                .as_ref()
                .is_none_or(|prefix| path.starts_with(prefix))
    }
}

/// Delivery of a response.
pub(crate) enum Delivery {
    /// Sent as regular HTTP.
    Http(Response),
    /// Replaced by a script.
    Script(Script),
}

impl Effect {
    /// Returns whether the fault prevents the effect of the request.
    pub(crate) fn prevents_effect(&self) -> bool {
        self.is_before() && (self.ends_request() || self.body.is_some())
    }

    /// Returns whether the delay precedes the effect.
    pub(crate) fn is_before(&self) -> bool {
        let default = if self.ends_request() && !self.needs_true_body() {
            When::Before
        } else {
            When::After
        };
        self.when.unwrap_or(default) == When::Before
    }

    fn ends_request(&self) -> bool {
        self.stall || self.reset || self.garbage.is_some() || self.status.is_some()
    }

    /// Returns whether the fault needs the original body, to stop in the middle of it.
    fn needs_true_body(&self) -> bool {
        self.status.is_none() && (self.cut_body.is_some() || self.slow_body.is_some())
    }

    /// Applies the effects to the original response, which is `None` if the request was prevented.
    pub(crate) fn deliver(&self, response: Option<Response>, now: Duration) -> Delivery {
        let in_body = self.cut_body.is_some() || self.slow_body.is_some();
        if !in_body && (self.reset || self.stall) {
            let end = if self.reset { End::Reset } else { End::Stall };
            return Delivery::Script(Script {
                steps: Vec::new(),
                end,
            });
        }
        if let Some(garbage) = &self.garbage {
            let end = End::CloseAfter(Duration::ZERO);
            return Delivery::Script(Script {
                steps: vec![Step::Write(garbage.clone())],
                end,
            });
        }
        let response = self.alter(response.unwrap_or_else(|| Response::empty(200)));
        if in_body
            || self.huge_body.is_some()
            || self.wrong_content_length.is_some()
            || self.informational
            || self.close_after.is_some()
        {
            return Delivery::Script(self.script(response, now));
        }
        Delivery::Http(response)
    }

    fn alter(&self, mut response: Response) -> Response {
        if let Some(status) = self.status {
            response.status = status;
            response.body.clear();
        }
        if let Some(body) = &self.body {
            response.body.clone_from(body);
            if response
                .headers
                .iter()
                .all(|(name, _)| name != "content-type")
            {
                response.set_header("content-type", "application/json");
            }
        }
        if !self.extra_fields.is_empty() || !self.replace.is_empty() || !self.remove.is_empty() {
            self.alter_json(&mut response);
        }
        for (name, value) in &self.set_headers {
            response.set_header(name, value);
        }
        response
    }

    fn alter_json(&self, response: &mut Response) {
        let Ok(mut value) = serde_json::from_slice::<Value>(&response.body) else {
            return;
        };
        add_to_objects(&mut value, &self.extra_fields);
        for (pointer, replacement) in &self.replace {
            edit(&mut value, &segments(pointer), Some(replacement));
        }
        for pointer in &self.remove {
            edit(&mut value, &segments(pointer), None);
        }
        response.body = value.to_string().into_bytes();
    }

    fn script(&self, mut response: Response, now: Duration) -> Script {
        let mut steps = Vec::new();
        if self.informational {
            let hint = "HTTP/1.1 103 Early Hints\r\nlink: </sandbox>; rel=preload\r\n\r\n";
            steps.push(Step::Write(hint.into()));
        }
        let keeps_alive = self.cut_body.is_none()
            && self.wrong_content_length.is_none()
            && self.close_after.is_none();
        let true_length = self.huge_body.unwrap_or(response.body.len() as u64);
        response.set_date(now);
        let head = head(&response, self.wrong_content_length.unwrap_or(true_length));
        let length = self
            .cut_body
            .map_or(true_length, |cut| cut.min(true_length));
        steps.push(Step::Write(head));
        steps.push(match (self.huge_body, self.slow_body) {
            (Some(_), _) => Step::Fill(length),
            (None, slow) => {
                response.body.truncate(length as usize);
                match slow {
                    Some(interval) => Step::Trickle(response.body, interval),
                    None => Step::Write(response.body),
                }
            }
        });
        let end = match (self.reset, self.stall) {
            (true, _) => End::Reset,
            (_, true) => End::Stall,
            _ if keeps_alive => End::KeepAlive,
            _ => End::CloseAfter(self.close_after.unwrap_or_default()),
        };
        Script { steps, end }
    }
}

fn add_to_objects(value: &mut Value, extra: &Map<String, Value>) {
    match value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| add_to_objects(item, extra)),
        Value::Object(fields) => {
            fields
                .values_mut()
                .for_each(|field| add_to_objects(field, extra));
            fields.extend(extra.clone());
        }
        _ => {}
    }
}

/// Splits and unescapes a JSON pointer.
fn segments(pointer: &str) -> Vec<String> {
    pointer
        .split('/')
        .skip(1)
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// Sets or removes the value at a path. Does nothing if the path does not exist.
fn edit(value: &mut Value, segments: &[String], replacement: Option<&Value>) {
    let Some((first, rest)) = segments.split_first() else {
        *value = replacement.cloned().unwrap_or_default();
        return;
    };
    match value {
        Value::Object(fields) if first == "*" => match replacement {
            None if rest.is_empty() => fields.clear(),
            _ => fields
                .values_mut()
                .for_each(|field| edit(field, rest, replacement)),
        },
        Value::Array(items) if first == "*" => match replacement {
            None if rest.is_empty() => items.clear(),
            _ => items
                .iter_mut()
                .for_each(|item| edit(item, rest, replacement)),
        },
        Value::Object(fields) => match (fields.get_mut(first), replacement) {
            (Some(_), None) if rest.is_empty() => drop(fields.remove(first)),
            (Some(field), _) => edit(field, rest, replacement),
            (None, Some(replacement)) if rest.is_empty() => {
                fields.insert(first.clone(), replacement.clone());
            }
            (None, _) => {}
        },
        Value::Array(items) => {
            let Some(index) = first.parse().ok().filter(|index| *index < items.len()) else {
                return;
            };
            match replacement {
                None if rest.is_empty() => drop(items.remove(index)),
                _ => edit(&mut items[index], rest, replacement),
            }
        }
        _ => {}
    }
}

fn milliseconds(fields: &mut Fields, name: &str) -> Result<Option<Duration>, Response> {
    let bounded = |ms| Duration::from_millis(ms).min(crate::clock::MAX_ADVANCE);
    Ok(fields.optional_count(name)?.map(bounded))
}

fn is_header(name: &str, value: &str) -> bool {
    use axum::http::{HeaderName, HeaderValue};
    HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok()
}

fn invalid_field(field: &str) -> Response {
    Response::message(400, format!("field \"{field}\" has an invalid value"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn injected(fault: Fault, requests: usize) -> Vec<bool> {
        let mut faults = Faults::default();
        faults.add(fault);
        (0..requests)
            .map(|_| faults.inject("GET /clusters", "GET", "/clusters").is_some())
            .collect()
    }

    #[test]
    fn inject_honours_skip_times_and_matchers() {
        let fault = Fault::on("GET /clusters");
        assert_eq!(injected(fault.clone(), 2), [true, false]);
        assert_eq!(
            injected(fault.clone().skip(1).times(2), 4),
            [false, true, true, false]
        );
        assert_eq!(injected(fault.clone().always(), 3), [true, true, true]);
        assert_eq!(injected(fault.times(0), 1), [false]);
        assert_eq!(injected(Fault::on("GET /members"), 1), [false]);
        assert_eq!(injected(Fault::on_token(), 1), [false]);
        assert_eq!(injected(Fault::on_path("/clus"), 1), [true]);
        assert_eq!(injected(Fault::on_any().method("post"), 1), [false]);
    }

    #[test]
    fn inject_repeats_sequence_for_same_seed() {
        let fault = Fault::on_any().always().probability(0.5, 42);
        let first = injected(fault.clone(), 64);
        assert_eq!(first, injected(fault, 64));
        assert!(first.contains(&true) && first.contains(&false));
    }

    #[test]
    fn deliver_edits_json_at_pointers() {
        let effect = Fault::on_any()
            .replace("/*/status/ready", json!("Hibernating"))
            .replace("/0/new", Value::Null)
            .replace("/7/name", json!("unused"))
            .remove("/1/name")
            .extra_field("since", json!(3))
            .effect;
        let response = Response::ok(&json!([
            { "name": "a", "status": { "ready": "Healthy" } },
            { "name": "b", "status": { "ready": "Healthy" } },
        ]));
        let Delivery::Http(response) = effect.deliver(Some(response), Duration::ZERO) else {
            panic!("delivery is not regular HTTP")
        };
        assert_eq!(
            serde_json::from_slice::<Value>(&response.body).unwrap(),
            json!([
                {
                    "name": "a", "new": null, "since": 3,
                    "status": { "ready": "Hibernating", "since": 3 },
                },
                { "since": 3, "status": { "ready": "Hibernating", "since": 3 } },
            ])
        );
    }

    #[test]
    fn prevents_effect_depends_on_effect_and_time() {
        let prevents = |fault: Fault| fault.effect.prevents_effect();
        assert!(prevents(Fault::on_any().status(503)));
        assert!(prevents(Fault::on_any().reset()));
        assert!(!prevents(Fault::on_any().reset().when(When::After)));
        assert!(!prevents(Fault::on_any().reset().cut_body(10)));
        assert!(!prevents(Fault::on_any().body("{}")));
        assert!(prevents(Fault::on_any().body("{}").when(When::Before)));
        assert!(!prevents(Fault::on_any().delay(Duration::ZERO)));
    }
}
