//! Fault injection: matching requests, counting, and altering responses.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use crate::body::Fields;
use crate::delivery::{End, Script, Step, head};
use crate::encoding::{base64, base64_decode};
use crate::operations;
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
    times: Option<u64>,
    skip: u64,
    chance: Option<Chance>,
    effect: Arc<Effect>,
}

/// Decision with a probability, in a reproducible sequence.
#[derive(Clone, Debug)]
struct Chance {
    probability: f64,
    seed: u64,
    random: Random,
}

/// Conditions on a request. An unset condition matches any request.
#[derive(Clone, Debug, Default)]
struct Matcher {
    operation: Option<String>,
    method: Option<String>,
    path_prefix: Option<String>,
    client_id: Option<String>,
    headers: Vec<(String, String)>,
    /// JSON pointers into the request body with the expected values.
    body: Vec<(String, Value)>,
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

/// Operation name of requests that match no operation.
pub(crate) const UNKNOWN_OPERATION: &str = "unknown";

impl Fault {
    fn with(matcher: Matcher) -> Self {
        Self {
            matcher,
            times: Some(1),
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

    /// Restricts the fault to requests with a token of this client id, and to token requests with
    /// this client id.
    #[must_use]
    pub fn client(mut self, client_id: &str) -> Self {
        self.matcher.client_id = Some(client_id.into());
        self
    }

    /// Restricts the fault to requests with this header.
    #[must_use]
    pub fn match_header(mut self, name: &str, value: &str) -> Self {
        self.matcher
            .headers
            .push((name.to_ascii_lowercase(), value.into()));
        self
    }

    /// Restricts the fault to requests with this value at a JSON pointer in the body.
    #[must_use]
    pub fn match_body(mut self, pointer: &str, value: Value) -> Self {
        self.matcher.body.push((pointer.into(), value));
        self
    }

    /// Injects the fault this many times. Default: 1.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Injects the fault until it is removed.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
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
        self.chance = Some(Chance {
            probability,
            seed,
            random: Random::from_seed(seed),
        });
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
            ..Matcher::default()
        });
        if let Some(conditions) = fields.optional_object("match")? {
            let mut conditions = Fields::from_object(conditions);
            fault.matcher.client_id = conditions.optional_string("client_id")?;
            for (name, value) in conditions.optional_object("headers")?.unwrap_or_default() {
                match value {
                    Value::String(value) => fault = fault.match_header(&name, &value),
                    _ => return Err(invalid_field("match")),
                }
            }
            for (pointer, value) in conditions.optional_object("body")?.unwrap_or_default() {
                fault = fault.match_body(&pointer, value);
            }
            conditions.finish()?;
        }
        match fields.take("times") {
            None => {}
            Some(Value::Null) => fault = fault.always(),
            Some(times) => {
                fault = fault.times(times.as_u64().ok_or_else(|| invalid_field("times"))?);
            }
        }
        fault.skip = fields.optional_count("skip")?.unwrap_or(0);
        let seed = fields.optional_count("seed")?;
        match fields.optional_number("probability")? {
            Some(probability) => fault = fault.probability(probability, seed.unwrap_or(0)),
            None if seed.is_some() => {
                return Err(Response::message(
                    400,
                    "field \"seed\" requires \"probability\"",
                ));
            }
            None => {}
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
            if effect.body.is_some() {
                return Err(Response::message(
                    400,
                    "fields \"body\" and \"body_base64\" exclude each other",
                ));
            }
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
        fault
            .check()
            .map_err(|problem| Response::message(400, problem))?;
        Ok(fault)
    }

    /// Checks that the fault can be injected into some request and has an effect.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.matcher.check()?;
        if self.times == Some(0) {
            return Err("field \"times\" must be at least 1, or null for unlimited".into());
        }
        if let Some(chance) = &self.chance
            && !(chance.probability > 0.0 && chance.probability <= 1.0)
        {
            return Err(format!(
                "field \"probability\" must be greater than 0 and at most 1, not {}",
                chance.probability
            ));
        }
        for pointer in self
            .effect
            .replace
            .iter()
            .map(|(pointer, _)| pointer)
            .chain(&self.effect.remove)
            .chain(self.matcher.body.iter().map(|(pointer, _)| pointer))
        {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                return Err(format!(
                    "JSON pointer \"{pointer}\" must begin with a slash"
                ));
            }
        }
        if !self.effect.exists() {
            return Err(
                "the fault has no effect; set one of status, body, body_base64, delay_ms, stall, \
                 reset, garbage, headers, extra_fields, replace, remove, cut_body, slow_body, \
                 huge_body, wrong_content_length, informational, close_after_ms"
                    .into(),
            );
        }
        Ok(())
    }

    fn to_json(&self) -> Map<String, Value> {
        let mut json = self.effect.to_json();
        let mut set = |name: &str, value: Value| drop(json.insert(name.into(), value));
        let matcher = &self.matcher;
        for (name, value) in [
            ("operation", &matcher.operation),
            ("method", &matcher.method),
            ("path_prefix", &matcher.path_prefix),
        ] {
            if let Some(value) = value {
                set(name, value.as_str().into());
            }
        }
        let mut conditions = Map::new();
        if let Some(client_id) = &matcher.client_id {
            conditions.insert("client_id".into(), client_id.as_str().into());
        }
        if !matcher.headers.is_empty() {
            let headers = matcher.headers.iter().cloned();
            let headers: Map<_, _> = headers.map(|(name, value)| (name, value.into())).collect();
            conditions.insert("headers".into(), headers.into());
        }
        if !matcher.body.is_empty() {
            let body: Map<_, _> = matcher.body.iter().cloned().collect();
            conditions.insert("body".into(), body.into());
        }
        if !conditions.is_empty() {
            set("match", conditions.into());
        }
        set("times", self.times.into());
        if self.skip > 0 {
            set("skip", self.skip.into());
        }
        if let Some(chance) = &self.chance {
            set("probability", chance.probability.into());
            set("seed", chance.seed.into());
        }
        json
    }
}

/// Properties of a request that faults can match.
pub(crate) struct Candidate<'a> {
    pub(crate) operation: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

/// Fault with an id and counters.
#[derive(Clone)]
struct Registered {
    id: u64,
    fault: Fault,
    skip: u64,
    remaining: Option<u64>,
    fired: u64,
}

impl Registered {
    fn to_json(&self) -> Value {
        let mut json = self.fault.to_json();
        json.insert("id".into(), self.id.into());
        json.insert("fired".into(), self.fired.into());
        json.insert("remaining".into(), self.remaining.into());
        json.into()
    }
}

/// Faults that were added, oldest first.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    active: Vec<Registered>,
    /// Faults that are used up, which requests need not be compared with.
    used_up: VecDeque<Registered>,
    count: u64,
}

/// Maximum number of used up faults that are listed.
const MAX_USED_UP: usize = 1_000;

impl Faults {
    /// Adds a fault and returns its id.
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.count += 1;
        self.active.push(Registered {
            id: self.count,
            skip: fault.skip,
            remaining: fault.times,
            fired: 0,
            fault,
        });
        self.count
    }

    /// Returns whether no fault can be injected.
    pub(crate) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
        self.used_up.clear();
    }

    /// Removes a fault. Returns false if it does not exist.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let count = self.active.len() + self.used_up.len();
        self.active.retain(|fault| fault.id != id);
        self.used_up.retain(|fault| fault.id != id);
        self.active.len() + self.used_up.len() < count
    }

    fn iter(&self) -> impl Iterator<Item = &Registered> {
        self.used_up.iter().chain(&self.active)
    }

    /// Returns how often a fault was injected, or `None` if it does not exist.
    pub(crate) fn fired(&self, id: u64) -> Option<u64> {
        self.iter()
            .find(|fault| fault.id == id)
            .map(|fault| fault.fired)
    }

    pub(crate) fn get(&self, id: u64) -> Option<Value> {
        self.iter()
            .find(|fault| fault.id == id)
            .map(Registered::to_json)
    }

    /// Returns all faults by id, or only those that were never injected.
    pub(crate) fn list(&self, only_unused: bool) -> Vec<Value> {
        let mut faults: Vec<&Registered> = self
            .iter()
            .filter(|fault| !only_unused || fault.fired == 0)
            .collect();
        faults.sort_unstable_by_key(|fault| fault.id);
        faults.into_iter().map(Registered::to_json).collect()
    }

    /// Returns the id and the effect of the fault to inject into this request, if any.
    ///
    /// `client_id` and the body are only evaluated if a fault depends on them.
    pub(crate) fn inject(
        &mut self,
        candidate: &Candidate<'_>,
        client_id: impl Fn() -> Option<String>,
    ) -> Option<(u64, Arc<Effect>)> {
        let index = self.active.iter_mut().position(|registered| {
            if !registered.fault.matcher.matches(candidate, &client_id) {
                return false;
            }
            if registered.skip > 0 {
                registered.skip -= 1;
                return false;
            }
            registered
                .fault
                .chance
                .as_mut()
                .is_none_or(|chance| chance.random.chance(chance.probability))
        })?;
        let registered = &mut self.active[index];
        registered.fired += 1;
        let injected = (registered.id, Arc::clone(&registered.fault.effect));
        if let Some(remaining) = &mut registered.remaining {
            *remaining = remaining.saturating_sub(1);
            if *remaining == 0 {
                let used_up = self.active.remove(index);
                if self.used_up.len() >= MAX_USED_UP {
                    self.used_up.pop_front();
                }
                self.used_up.push_back(used_up);
            }
        }
        Some(injected)
    }
}

impl Matcher {
    fn matches(&self, candidate: &Candidate<'_>, client_id: &impl Fn() -> Option<String>) -> bool {
        let operation_matches = match &self.operation {
            Some(wanted) => wanted == candidate.operation,
            None => self.path_prefix.is_some() || candidate.operation != TOKEN_OPERATION,
        };
        operation_matches
            && self
                .method
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(candidate.method))
            && self
                .path_prefix
                .as_ref()
                .is_none_or(|prefix| candidate.path.starts_with(prefix))
            && self.headers.iter().all(|(name, wanted)| {
                let mut values = candidate.headers.get_all(name).iter();
                values.any(|value| value.as_bytes() == wanted.as_bytes())
            })
            && self
                .client_id
                .as_ref()
                .is_none_or(|wanted| client_id().as_ref() == Some(wanted))
            && (self.body.is_empty() || self.matches_body(candidate.body))
    }

    fn matches_body(&self, body: &[u8]) -> bool {
        let Ok(json) = serde_json::from_slice::<Value>(body) else {
            return false;
        };
        self.body
            .iter()
            .all(|(pointer, wanted)| json.pointer(pointer) == Some(wanted))
    }

    /// Checks that some request can match.
    fn check(&self) -> Result<(), String> {
        if let Some(name) = &self.operation
            && name != TOKEN_OPERATION
            && name != UNKNOWN_OPERATION
        {
            let operation = operations::all()
                .iter()
                .find(|known| known.name() == *name)
                .ok_or_else(|| operations::unknown_operation(name))?;
            if let Some(method) = &self.method
                && !method.eq_ignore_ascii_case(operation.method)
            {
                return Err(format!(
                    "no request matches: operation \"{name}\" has another method than \"{method}\""
                ));
            }
            if let Some(prefix) = &self.path_prefix
                && !operations::can_begin_with(operation.path, prefix)
            {
                return Err(format!(
                    "no request matches: the paths of operation \"{name}\" do not begin with \
                     \"{prefix}\""
                ));
            }
            if operation.request.is_empty() && !self.body.is_empty() {
                return Err(format!(
                    "no request matches: operation \"{name}\" has no request body"
                ));
            }
        }
        if let Some(prefix) = &self.path_prefix
            && let Some(excluded) = ["/_sandbox", "/openapi.json", "/.well-known"]
                .into_iter()
                .find(|excluded| prefix.starts_with(excluded))
        {
            return Err(format!(
                "no request matches: no fault is injected into requests to {excluded}"
            ));
        }
        if let Some(prefix) = &self.path_prefix
            && !prefix.starts_with('/')
        {
            return Err(format!(
                "field \"path_prefix\" must begin with a slash, not \"{prefix}\""
            ));
        }
        if let Some(method) = &self.method
            && !["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
                .contains(&method.to_ascii_uppercase().as_str())
        {
            return Err(format!("field \"method\": \"{method}\" is not a method"));
        }
        if let Some((name, value)) = self
            .headers
            .iter()
            .find(|(name, value)| !is_header(name, value))
        {
            return Err(format!(
                "no request matches: invalid header: {name}: {value}"
            ));
        }
        Ok(())
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
    /// Returns whether there is any effect on a request.
    fn exists(&self) -> bool {
        !self.delay.is_zero()
            || self.ends_request()
            || self.body.is_some()
            || !self.extra_fields.is_empty()
            || !self.replace.is_empty()
            || !self.remove.is_empty()
            || !self.set_headers.is_empty()
            || self.cut_body.is_some()
            || self.slow_body.is_some()
            || self.huge_body.is_some()
            || self.wrong_content_length.is_some()
            || self.informational
            || self.close_after.is_some()
    }

    fn to_json(&self) -> Map<String, Value> {
        let mut json = Map::new();
        let mut set = |name: &str, value: Value| drop(json.insert(name.into(), value));
        let milliseconds = |duration: Duration| Value::from(duration.as_millis() as u64);
        if let Some(when) = self.when {
            let when = if when == When::Before {
                "before"
            } else {
                "after"
            };
            set("when", when.into());
        }
        if !self.delay.is_zero() {
            set("delay_ms", milliseconds(self.delay));
        }
        for (name, is_set) in [
            ("stall", self.stall),
            ("reset", self.reset),
            ("informational", self.informational),
        ] {
            if is_set {
                set(name, true.into());
            }
        }
        if let Some(garbage) = &self.garbage {
            set("garbage", String::from_utf8_lossy(garbage).into());
        }
        if let Some(status) = self.status {
            set("status", status.into());
        }
        match self
            .body
            .as_deref()
            .map(|body| (body, std::str::from_utf8(body)))
        {
            None => {}
            Some((_, Ok(text))) => set("body", text.into()),
            Some((body, Err(_))) => set("body_base64", base64(body).into()),
        }
        if !self.extra_fields.is_empty() {
            set("extra_fields", self.extra_fields.clone().into());
        }
        if !self.replace.is_empty() {
            let replace: Map<_, _> = self.replace.iter().cloned().collect();
            set("replace", replace.into());
        }
        if !self.remove.is_empty() {
            set("remove", self.remove.clone().into());
        }
        if !self.set_headers.is_empty() {
            let headers = self.set_headers.iter().cloned();
            let headers: Map<_, _> = headers.map(|(name, value)| (name, value.into())).collect();
            set("headers", headers.into());
        }
        for (name, value) in [
            ("cut_body", self.cut_body),
            ("huge_body", self.huge_body),
            ("wrong_content_length", self.wrong_content_length),
        ] {
            if let Some(value) = value {
                set(name, value.into());
            }
        }
        for (name, duration) in [
            ("slow_body", self.slow_body),
            ("close_after_ms", self.close_after),
        ] {
            if let Some(duration) = duration {
                set(name, milliseconds(duration));
            }
        }
        json
    }

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
                status: None,
                steps: Vec::new(),
                end,
            });
        }
        if let Some(garbage) = &self.garbage {
            let end = End::CloseAfter(Duration::ZERO);
            return Delivery::Script(Script {
                status: None,
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
        Script {
            status: Some(response.status),
            steps,
            end,
        }
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
        let candidate = Candidate {
            operation: "GET /clusters",
            method: "GET",
            path: "/clusters",
            headers: &HeaderMap::from_iter([(
                axum::http::header::USER_AGENT,
                "a/1".parse().unwrap(),
            )]),
            body: br#"{"name":"a"}"#,
        };
        (0..requests)
            .map(|_| faults.inject(&candidate, || Some("c".into())).is_some())
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
        assert_eq!(injected(Fault::on("GET /members"), 1), [false]);
        assert_eq!(injected(Fault::on_token(), 1), [false]);
        assert_eq!(injected(Fault::on_path("/clus"), 1), [true]);
        assert_eq!(injected(Fault::on_any().method("post"), 1), [false]);
        assert_eq!(injected(fault.clone().client("c"), 1), [true]);
        assert_eq!(injected(fault.clone().client("d"), 1), [false]);
        assert_eq!(
            injected(fault.clone().match_header("User-Agent", "a/1"), 1),
            [true]
        );
        assert_eq!(
            injected(fault.clone().match_header("user-agent", "a/2"), 1),
            [false]
        );
        assert_eq!(
            injected(fault.clone().match_body("/name", json!("a")), 1),
            [true]
        );
        assert_eq!(injected(fault.match_body("/name", json!("b")), 1), [false]);
    }

    #[test]
    fn to_json_round_trips() {
        let json = json!({
            "operation": "POST /clusters", "method": "POST", "path_prefix": "/clus",
            "match": { "client_id": "c", "headers": { "x-a": "1" }, "body": { "/name": "n" } },
            "times": null, "skip": 1, "probability": 0.5, "seed": 7, "when": "after",
            "delay_ms": 1, "stall": true, "reset": true, "garbage": "g", "status": 500,
            "body": "b", "extra_fields": { "e": 1 }, "replace": { "/r": null },
            "remove": ["/m"], "headers": { "x-b": "2" }, "cut_body": 3, "slow_body": 4,
            "huge_body": 5, "wrong_content_length": 6, "informational": true,
            "close_after_ms": 7,
        });
        let fault = Fault::from_json(json.clone()).unwrap();
        assert_eq!(Value::from(fault.to_json()), json);
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
