//! Declaration of a fault: builder and JSON.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::effect::{Effect, When};
use super::matcher::Matcher;
use super::{TOKEN_OPERATION, is_header};
use crate::body::Fields;
use crate::encoding::base64_decode;
use crate::random::Random;
use crate::response::Response;

/// Fault to inject into matching requests.
///
/// Create one with [`Fault::on`], [`Fault::on_token`], [`Fault::on_path`] or [`Fault::on_any`], add
/// effects, and pass it to [`Sandbox::add_fault`](crate::Sandbox::add_fault). By default a fault is
/// injected once. If several faults match a request, the oldest one that is not used up is
/// injected.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(super) matcher: Matcher,
    pub(super) times: Option<u64>,
    pub(super) skip: u64,
    pub(super) chance: Option<Chance>,
    pub(super) effect: Arc<Effect>,
}

/// Decision with a probability, in a reproducible sequence.
#[derive(Clone, Debug)]
pub(super) struct Chance {
    pub(super) probability: f64,
    seed: u64,
    pub(super) random: Random,
}

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

    /// Sets a response header other than `Content-Length`, for which
    /// [`wrong_content_length`](Self::wrong_content_length) exists, and `Transfer-Encoding`.
    ///
    /// # Panics
    ///
    /// The name or value is not valid in a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        assert!(is_header(name, value), "invalid header: {name}: {value}");
        self.change(|effect| effect.headers.push((name.into(), value.into())))
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
                    _ => {
                        return Err(invalid_field(
                            "match",
                            "an object whose headers are strings",
                        ));
                    }
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
                fault = fault.times(
                    times
                        .as_u64()
                        .ok_or_else(|| invalid_field("times", "a whole number, or null"))?,
                );
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
        let effect = effect_from_fields(&mut fields)?;
        fields.finish()?;
        fault.effect = Arc::new(effect);
        fault
            .check()
            .map_err(|problem| Response::message(400, problem))?;
        Ok(fault)
    }

    /// Checks that the fault can be injected into some request, has an effect, and has no field that
    /// makes another one ineffective.
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
        self.effect.check()
    }

    pub(super) fn to_json(&self) -> Map<String, Value> {
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

fn effect_from_fields(fields: &mut Fields) -> Result<Effect, Response> {
    let mut effect = Effect {
        when: fields
            .optional_enum_value("when", &["before", "after"])?
            .map(|when| match &*when {
                "before" => When::Before,
                _ => When::After,
            }),
        delay: milliseconds(fields, "delay_ms")?.unwrap_or_default(),
        stall: fields.optional_boolean("stall")?.unwrap_or(false),
        reset: fields.optional_boolean("reset")?.unwrap_or(false),
        garbage: match fields.take("garbage") {
            None | Some(Value::Bool(false)) => None,
            Some(Value::Bool(true)) => Some(b"\x16\x03\x01 this is not HTTP\n".to_vec()),
            Some(Value::String(text)) => Some(text.into_bytes()),
            Some(_) => return Err(invalid_field("garbage", "a string or a boolean")),
        },
        status: match fields.optional_count("status")? {
            None => None,
            Some(status @ 200..1000) => Some(status as u16),
            Some(_) => return Err(invalid_field("status", "a whole number from 200 to 999")),
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
        headers: response_headers(fields)?,
        cut_body: fields.optional_count("cut_body")?,
        slow_body: milliseconds(fields, "slow_body")?,
        huge_body: fields.optional_count("huge_body")?,
        wrong_content_length: fields.optional_count("wrong_content_length")?,
        informational: fields.optional_boolean("informational")?.unwrap_or(false),
        close_after: milliseconds(fields, "close_after_ms")?,
    };
    if let Some(encoded) = fields.optional_string("body_base64")? {
        if effect.body.is_some() {
            return Err(Response::message(
                400,
                "fields \"body\" and \"body_base64\" exclude each other",
            ));
        }
        effect.body = Some(
            base64_decode(&encoded).ok_or_else(|| invalid_field("body_base64", "valid base64"))?,
        );
    }
    Ok(effect)
}

fn response_headers(fields: &mut Fields) -> Result<Vec<(String, String)>, Response> {
    let headers = fields.optional_object("headers")?.unwrap_or_default();
    headers
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(value) if is_header(&name, &value) => Ok((name, value)),
            _ => {
                let expected = "an object of valid header names and values";
                Err(invalid_field("headers", expected))
            }
        })
        .collect()
}

fn milliseconds(fields: &mut Fields, name: &str) -> Result<Option<Duration>, Response> {
    let bounded = |ms| Duration::from_millis(ms).min(crate::clock::MAX_ADVANCE);
    Ok(fields.optional_count(name)?.map(bounded))
}

fn invalid_field(field: &str, expected: &str) -> Response {
    Response::message(400, format!("field \"{field}\" must be {expected}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn to_json_round_trips() {
        for json in [
            json!({
                "operation": "POST /clusters", "method": "POST", "path_prefix": "/clus",
                "match": { "client_id": "c", "headers": { "x-a": "1" }, "body": { "/name": "n" } },
                "times": null, "skip": 1, "probability": 0.5, "seed": 7, "when": "after",
                "delay_ms": 1, "reset": true, "status": 500, "body": "{}",
                "extra_fields": { "e": 1 }, "replace": { "/r": null }, "remove": ["/m"],
                "headers": { "x-b": "2" }, "cut_body": 3, "slow_body": 4,
                "wrong_content_length": 6, "informational": true,
            }),
            json!({ "times": 2, "huge_body": 5, "cut_body": 3, "close_after_ms": 7 }),
            json!({ "times": 1, "when": "before", "garbage": "g" }),
            json!({ "times": 1, "slow_body": 1, "stall": true }),
        ] {
            let fault = Fault::from_json(json.clone()).unwrap();
            assert_eq!(Value::from(fault.to_json()), json);
        }
    }

    #[test]
    fn from_json_rejects_fields_without_effect_beside_others() {
        for (effect, fields) in [
            (
                json!({ "reset": true, "status": 503 }),
                "\"reset\" and \"status\"",
            ),
            (
                json!({ "stall": true, "body": "a" }),
                "\"stall\" and \"body\"",
            ),
            (
                json!({ "stall": true, "headers": { "a": "b" } }),
                "\"stall\" and \"headers\"",
            ),
            (
                json!({ "reset": true, "remove": ["/a"] }),
                "\"reset\" and \"remove\"",
            ),
            (
                json!({ "reset": true, "stall": true }),
                "\"reset\" and \"stall\"",
            ),
            (
                json!({ "reset": true, "huge_body": 9 }),
                "\"reset\" and \"huge_body\"",
            ),
            (
                json!({ "reset": true, "cut_body": 1, "close_after_ms": 1 }),
                "\"reset\" and \"close_after_ms\"",
            ),
            (
                json!({ "garbage": true, "reset": true }),
                "\"garbage\" and \"reset\"",
            ),
            (
                json!({ "garbage": "a", "status": 500 }),
                "\"garbage\" and \"status\"",
            ),
            (
                json!({ "garbage": "a", "cut_body": 1 }),
                "\"garbage\" and \"cut_body\"",
            ),
            (
                json!({ "huge_body": 9, "body": "a" }),
                "\"huge_body\" and \"body\"",
            ),
            (
                json!({ "huge_body": 9, "slow_body": 1 }),
                "\"huge_body\" and \"slow_body\"",
            ),
            (
                json!({ "huge_body": 9, "replace": { "/a": 1 } }),
                "\"huge_body\" and \"replace\"",
            ),
            (
                json!({ "body": "<html>", "extra_fields": { "a": 1 } }),
                "\"body\" and \"extra_fields\"",
            ),
            (
                json!({ "headers": { "Content-Length": "5" } }),
                "set \"wrong_content_length\"",
            ),
            (
                json!({ "headers": { "transfer-encoding": "a" } }),
                "\"transfer-encoding\"",
            ),
            (
                json!({ "status": 204, "body": "a" }),
                "\"status\" and \"body\"",
            ),
            (
                json!({ "status": 304, "huge_body": 9 }),
                "\"status\" and \"huge_body\"",
            ),
            (
                json!({ "status": 500, "remove": ["/a"] }),
                "\"status\" and \"remove\"",
            ),
            (
                json!({ "status": 500, "cut_body": 1 }),
                "\"status\" and \"cut_body\"",
            ),
            (
                json!({ "status": 200, "slow_body": 1, "when": "after" }),
                "\"status\" and \"slow_body\"",
            ),
            (
                json!({ "reset": true, "cut_body": 1, "when": "before" }),
                "\"cut_body\" requires \"body\"",
            ),
            (
                json!({ "replace": { "/a": 1 }, "when": "before" }),
                "\"when\": \"before\" requires one of delay_ms, status",
            ),
        ] {
            let problem = Fault::from_json(effect.clone()).expect_err(&effect.to_string());
            assert!(problem.contains(fields), "{effect}: {problem}");
        }
        for effect in [
            json!({ "reset": true, "cut_body": 1, "body": "ab", "status": 500 }),
            json!({ "status": 204, "body": "" }),
            json!({ "stall": true, "slow_body": 1 }),
            json!({ "reset": true, "delay_ms": 1, "when": "after" }),
            json!({ "status": 500, "body": { "a": 1 }, "replace": { "/a": 2 }, "cut_body": 1 }),
            json!({ "status": 500, "huge_body": 9, "cut_body": 1 }),
            json!({ "status": 500, "headers": { "a": "b" }, "close_after_ms": 1 }),
            json!({ "replace": { "/a": 1 }, "delay_ms": 1, "when": "before" }),
            json!({ "body": "ab", "cut_body": 1, "when": "before" }),
        ] {
            Fault::from_json(effect.clone())
                .unwrap_or_else(|problem| panic!("{effect}: {problem}"));
        }
    }
}
