//! Effects of a fault on a response.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::delivery::{End, Script, Step, head};
use crate::encoding::base64;
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

/// Effects of a fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effect {
    pub(super) when: Option<When>,
    pub(crate) delay: Duration,
    pub(super) stall: bool,
    pub(super) reset: bool,
    pub(super) garbage: Option<Vec<u8>>,
    pub(super) status: Option<u16>,
    pub(super) body: Option<Vec<u8>>,
    pub(super) extra_fields: Map<String, Value>,
    pub(super) replace: Vec<(String, Value)>,
    pub(super) remove: Vec<String>,
    pub(super) headers: Vec<(String, String)>,
    pub(super) cut_body: Option<u64>,
    pub(super) slow_body: Option<Duration>,
    pub(super) huge_body: Option<u64>,
    pub(super) wrong_content_length: Option<u64>,
    pub(super) informational: bool,
    pub(super) close_after: Option<Duration>,
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
    pub(super) fn exists(&self) -> bool {
        !self.delay.is_zero()
            || self.ends_request()
            || self.body.is_some()
            || !self.extra_fields.is_empty()
            || !self.replace.is_empty()
            || !self.remove.is_empty()
            || !self.headers.is_empty()
            || self.cut_body.is_some()
            || self.slow_body.is_some()
            || self.huge_body.is_some()
            || self.wrong_content_length.is_some()
            || self.informational
            || self.close_after.is_some()
    }

    /// Checks that no field makes another one ineffective.
    pub(super) fn check(&self) -> Result<(), String> {
        let in_body = self.cut_body.is_some() || self.slow_body.is_some();
        let edits = [
            ("extra_fields", !self.extra_fields.is_empty()),
            ("replace", !self.replace.is_empty()),
            ("remove", !self.remove.is_empty()),
        ];
        let body_parts = [
            ("cut_body", self.cut_body.is_some()),
            ("slow_body", self.slow_body.is_some()),
        ];
        let response = [
            ("status", self.status.is_some()),
            ("body", self.body.is_some()),
            ("headers", !self.headers.is_empty()),
            ("huge_body", self.huge_body.is_some()),
            ("wrong_content_length", self.wrong_content_length.is_some()),
            ("informational", self.informational),
            ("close_after_ms", self.close_after.is_some()),
        ];
        let ends = [("reset", self.reset), ("stall", self.stall)];
        let first_of = |groups: &[&[(&'static str, bool)]]| {
            let mut fields = groups.iter().copied().flatten();
            fields.find(|(_, is_set)| *is_set).map(|(name, _)| *name)
        };
        let exclude = |field: &str, other: &str, advice: &str| {
            Err(format!(
                "fields \"{field}\" and \"{other}\" exclude each other{advice}"
            ))
        };
        self.check_headers()?;
        if let Some(status @ (204 | 304)) = self.status
            && let Some(other) = first_of(&[&[
                (
                    "body",
                    self.body.as_ref().is_some_and(|body| !body.is_empty()),
                ),
                ("huge_body", self.huge_body.is_some()),
            ]])
        {
            let advice = format!(": a response with status {status} has no body");
            return exclude("status", other, &advice);
        }
        if self.garbage.is_some()
            && let Some(other) = first_of(&[&ends, &response, &edits, &body_parts])
        {
            return exclude(
                "garbage",
                other,
                ": garbage takes the place of the response",
            );
        }
        if self.reset && self.stall {
            return exclude("reset", "stall", "");
        }
        if let Some(end) = first_of(&[&ends]) {
            if !in_body && let Some(other) = first_of(&[&response, &edits]) {
                let advice = ": no response is sent, except a part of its body with \"cut_body\"";
                return exclude(end, other, advice);
            }
            if self.close_after.is_some() {
                return exclude(end, "close_after_ms", "");
            }
        }
        if self.huge_body.is_some() {
            let others = [
                ("body", self.body.is_some()),
                ("slow_body", self.slow_body.is_some()),
            ];
            if let Some(other) = first_of(&[&others, &edits]) {
                return exclude("huge_body", other, "");
            }
        } else if let Some(body) = &self.body {
            if let Some(edit) = first_of(&[&edits])
                && serde_json::from_slice::<Value>(body).is_err()
            {
                return exclude("body", edit, " unless the body is JSON");
            }
        } else if let Some(other) = first_of(&[&edits, &body_parts]) {
            if self.status.is_some() {
                return exclude("status", other, " without \"body\": the response is empty");
            }
            if self.prevents_effect() {
                return Err(format!(
                    "field \"{other}\" requires \"body\" with \"when\": \"before\": the response \
                     is empty"
                ));
            }
        }
        if self.when == Some(When::Before) && self.delay.is_zero() && !self.prevents_effect() {
            return Err(
                "\"when\": \"before\" requires one of delay_ms, status, body, body_base64, stall, \
                 reset, garbage"
                    .into(),
            );
        }
        Ok(())
    }

    /// Checks that no header contradicts the body that is sent.
    fn check_headers(&self) -> Result<(), String> {
        for (name, advice) in [
            ("content-length", "; set \"wrong_content_length\""),
            ("transfer-encoding", ""),
        ] {
            let is_set = |(header, _): &(String, String)| header.eq_ignore_ascii_case(name);
            if self.headers.iter().any(is_set) {
                return Err(format!(
                    "field \"headers\": \"{name}\" contradicts the response{advice}"
                ));
            }
        }
        Ok(())
    }

    pub(super) fn to_json(&self) -> Map<String, Value> {
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
        if !self.headers.is_empty() {
            let headers = self.headers.iter().cloned();
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
        for (name, value) in &self.headers {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::faults::Fault;

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
