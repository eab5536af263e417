//! Faults on demand: which request goes wrong, how often, and how.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::answer::Answer;
use crate::body::Fields;
use crate::clock::http_date;
use crate::delivery::{End, Script, Step, head};
use crate::encoding::base64_decode;
use crate::random::Random;

/// When a fault strikes: before the request takes effect, or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// A fault that ends the request keeps it from having any effect. A delay puts the effect
    /// off, and a client that hangs up meanwhile prevents it.
    Before,
    /// The request takes effect, and only the answer suffers.
    After,
}

/// One way for requests to go wrong.
///
/// Begin with [`Fault::on`], [`Fault::on_token`], [`Fault::on_path`] or [`Fault::on_any`], add
/// what is to happen, and hand it to [`Sandbox::add_fault`](crate::Sandbox::add_fault). A fault
/// strikes once unless told otherwise. Of several faults that match a request, the first one that
/// was added and isn't used up strikes.
#[derive(Clone, Debug)]
pub struct Fault {
    matcher: Matcher,
    remaining: Option<u64>,
    skip: u64,
    chance: Option<(f64, Random)>,
    effect: Arc<Effect>,
}

/// Which requests a fault is for. What isn't set matches anything.
#[derive(Clone, Debug, Default)]
struct Matcher {
    operation: Option<String>,
    method: Option<String>,
    path_prefix: Option<String>,
}

/// What a fault does.
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

/// The operation that stands for requests to the token endpoint.
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

    /// For one operation, such as `GET /clusters/{clusterUuid}`.
    pub fn on(operation: &str) -> Self {
        Self::with(Matcher {
            operation: Some(operation.into()),
            ..Matcher::default()
        })
    }

    /// For the token endpoint. Requests that the rate limit refuses don't count.
    pub fn on_token() -> Self {
        Self::on(TOKEN_OPERATION)
    }

    /// For every path that begins like this, the token endpoint's included.
    pub fn on_path(prefix: &str) -> Self {
        Self::with(Matcher {
            path_prefix: Some(prefix.into()),
            ..Matcher::default()
        })
    }

    /// For every request to the API, but not to the token endpoint.
    pub fn on_any() -> Self {
        Self::with(Matcher::default())
    }

    /// Only for requests with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.matcher.method = Some(method.into());
        self
    }

    /// Strikes this many times; once where it isn't said.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.remaining = Some(times);
        self
    }

    /// Strikes until faults are cleared.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.remaining = None;
        self
    }

    /// Lets this many requests through first.
    #[must_use]
    pub fn skip(mut self, skip: u64) -> Self {
        self.skip = skip;
        self
    }

    /// Strikes with this probability (0 to 1), in a sequence that the seed determines.
    #[must_use]
    pub fn probability(mut self, probability: f64, seed: u64) -> Self {
        self.chance = Some((probability, Random::from_seed(seed)));
        self
    }

    /// When it strikes. Without this, a status, a stall, a reset and garbage strike before the
    /// request takes effect, and everything else after.
    #[must_use]
    pub fn when(self, when: When) -> Self {
        self.change(|effect| effect.when = Some(when))
    }

    /// Waits this long.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        self.change(|effect| effect.delay = delay.min(crate::clock::LONGEST_ADVANCE))
    }

    /// Never answers, and leaves the connection open until the client closes it. Together with
    /// [`cut_body`](Self::cut_body) it goes silent in the middle of the body.
    #[must_use]
    pub fn stall(self) -> Self {
        self.change(|effect| effect.stall = true)
    }

    /// Closes the connection with a TCP RST. Together with [`cut_body`](Self::cut_body) it does
    /// so in the middle of the body.
    #[must_use]
    pub fn reset(self) -> Self {
        self.change(|effect| effect.reset = true)
    }

    /// Answers bytes that aren't HTTP, and closes the connection.
    #[must_use]
    pub fn garbage(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.change(|effect| effect.garbage = Some(bytes.into()))
    }

    /// Answers this status (200 to 999), without a body unless [`body`](Self::body) gives one.
    ///
    /// # Panics
    ///
    /// On a status out of range.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        assert!(
            (200..1000).contains(&status),
            "{status} is no status to answer with"
        );
        self.change(|effect| effect.status = Some(status))
    }

    /// Answers this body, whatever the true one. Its content type stays that of the true answer,
    /// or JSON, unless [`header`](Self::header) sets another.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.change(|effect| effect.body = Some(body.into()))
    }

    /// Sets a header.
    ///
    /// # Panics
    ///
    /// On a name or a value that can't be in a header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        assert!(is_header(name, value), "{name}: {value} is no header");
        self.change(|effect| effect.set_headers.push((name.into(), value.into())))
    }

    /// Adds a field to every JSON object in the answer.
    #[must_use]
    pub fn extra_field(self, name: &str, value: Value) -> Self {
        self.change(|effect| drop(effect.extra_fields.insert(name.into(), value)))
    }

    /// Sets what the JSON pointer points to in the answer. `*` stands for every item or field.
    #[must_use]
    pub fn replace(self, pointer: &str, value: Value) -> Self {
        self.change(|effect| effect.replace.push((pointer.into(), value)))
    }

    /// Removes what the JSON pointer points to in the answer. `*` stands for every item or field.
    #[must_use]
    pub fn remove(self, pointer: &str) -> Self {
        self.change(|effect| effect.remove.push(pointer.into()))
    }

    /// Announces the whole body and closes the connection after this many bytes of it.
    #[must_use]
    pub fn cut_body(self, after: u64) -> Self {
        self.change(|effect| effect.cut_body = Some(after))
    }

    /// Sends the body byte by byte, with a pause after each.
    #[must_use]
    pub fn slow_body(self, interval: Duration) -> Self {
        self.change(|effect| effect.slow_body = Some(interval))
    }

    /// Answers a body of this many spaces.
    #[must_use]
    pub fn huge_body(self, bytes: u64) -> Self {
        self.change(|effect| effect.huge_body = Some(bytes))
    }

    /// Announces this many bytes whatever the length of the body, and closes the connection after
    /// the body.
    #[must_use]
    pub fn wrong_content_length(self, announced: u64) -> Self {
        self.change(|effect| effect.wrong_content_length = Some(announced))
    }

    /// Sends a 103 answer before the real one.
    #[must_use]
    pub fn informational(self) -> Self {
        self.change(|effect| effect.informational = true)
    }

    /// Answers as if the connection were to live on, but closes it this long after the answer.
    #[must_use]
    pub fn close_after(self, delay: Duration) -> Self {
        self.change(|effect| {
            effect.close_after = Some(delay.min(crate::clock::LONGEST_ADVANCE));
        })
    }

    fn change(mut self, change: impl FnOnce(&mut Effect)) -> Self {
        change(Arc::make_mut(&mut self.effect));
        self
    }

    /// Reads a fault as `POST /_sandbox/faults` takes it.
    ///
    /// # Errors
    ///
    /// The message with which the endpoint refuses it.
    pub fn from_json(fault: Value) -> Result<Self, String> {
        match fault {
            Value::Object(fields) => Self::from_fields(fields).map_err(Answer::into_message),
            _ => Err("a fault is an object".into()),
        }
    }

    pub(crate) fn from_fields(fields: Map<String, Value>) -> Result<Self, Answer> {
        let mut fields = Fields::from_object(fields);
        let mut fault = Self::with(Matcher {
            operation: fields.optional_text("operation")?,
            method: fields.optional_text("method")?,
            path_prefix: fields.optional_text("path_prefix")?,
        });
        match fields.take("times") {
            None => {}
            Some(Value::Null) => fault = fault.always(),
            Some(times) => {
                fault = fault.times(times.as_u64().ok_or_else(|| refused("times"))?);
            }
        }
        fault.skip = fields.optional_count("skip")?.unwrap_or(0);
        let seed = fields.optional_count("seed")?.unwrap_or(0);
        if let Some(probability) = fields.optional_number("probability")? {
            fault = fault.probability(probability, seed);
        }
        let mut effect = Effect {
            when: fields
                .optional_word("when", &["before", "after"])?
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
                Some(_) => return Err(refused("garbage")),
            },
            status: match fields.optional_count("status")? {
                None => None,
                Some(status @ 200..1000) => Some(status as u16),
                Some(_) => return Err(refused("status")),
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
            remove: fields.optional_texts("remove")?.unwrap_or_default(),
            set_headers: Vec::new(),
            cut_body: fields.optional_count("cut_body")?,
            slow_body: milliseconds(&mut fields, "slow_body")?,
            huge_body: fields.optional_count("huge_body")?,
            wrong_content_length: fields.optional_count("wrong_content_length")?,
            informational: fields.optional_boolean("informational")?.unwrap_or(false),
            close_after: milliseconds(&mut fields, "close_after_ms")?,
        };
        if let Some(encoded) = fields.optional_text("body_base64")? {
            effect.body = Some(base64_decode(&encoded).ok_or_else(|| refused("body_base64"))?);
        }
        for field in ["headers", "set_headers"] {
            for (name, value) in fields.optional_object(field)?.unwrap_or_default() {
                match value {
                    Value::String(value) if is_header(&name, &value) => {
                        effect.set_headers.push((name, value));
                    }
                    _ => return Err(refused(field)),
                }
            }
        }
        fields.finish()?;
        fault.effect = Arc::new(effect);
        Ok(fault)
    }
}

/// The faults that are in force.
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

    /// What goes wrong with this request, if anything.
    pub(crate) fn strike(
        &mut self,
        operation: &str,
        method: &str,
        path: &str,
    ) -> Option<Arc<Effect>> {
        let struck = self.faults.iter_mut().position(|fault| {
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
        let fault = &mut self.faults[struck];
        let effect = Arc::clone(&fault.effect);
        if let Some(remaining) = &mut fault.remaining {
            *remaining = remaining.saturating_sub(1);
            if *remaining == 0 {
                self.faults.remove(struck);
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

/// What becomes of an answer.
pub(crate) enum Delivery {
    /// It is sent as HTTP has it.
    Proper(Answer),
    /// The connection is treated like this instead.
    Improper(Script),
}

impl Effect {
    /// Whether the request has no effect.
    pub(crate) fn prevents_effect(&self) -> bool {
        self.strikes_before() && (self.ends_request() || self.body.is_some())
    }

    /// Whether the delay comes before the effect.
    pub(crate) fn strikes_before(&self) -> bool {
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

    /// A stall or a reset in the middle of a body needs a body to be in the middle of.
    fn needs_true_body(&self) -> bool {
        self.status.is_none() && (self.cut_body.is_some() || self.slow_body.is_some())
    }

    /// What is left of the true answer; `None` where the request had no effect.
    pub(crate) fn deliver(&self, answer: Option<Answer>, now: Duration) -> Delivery {
        let in_body = self.cut_body.is_some() || self.slow_body.is_some();
        if !in_body && (self.reset || self.stall) {
            let end = if self.reset { End::Reset } else { End::Stall };
            return Delivery::Improper(Script {
                steps: Vec::new(),
                end,
            });
        }
        if let Some(garbage) = &self.garbage {
            let end = End::CloseAfter(Duration::ZERO);
            return Delivery::Improper(Script {
                steps: vec![Step::Write(garbage.clone())],
                end,
            });
        }
        let answer = self.alter(answer.unwrap_or_else(|| Answer::empty(200)));
        if in_body
            || self.huge_body.is_some()
            || self.wrong_content_length.is_some()
            || self.informational
            || self.close_after.is_some()
        {
            return Delivery::Improper(self.script(answer, now));
        }
        Delivery::Proper(answer)
    }

    fn alter(&self, mut answer: Answer) -> Answer {
        if let Some(status) = self.status {
            answer.status = status;
            answer.body.clear();
        }
        if let Some(body) = &self.body {
            answer.body.clone_from(body);
            if answer
                .headers
                .iter()
                .all(|(name, _)| name != "content-type")
            {
                answer.set_header("content-type", "application/json");
            }
        }
        if !self.extra_fields.is_empty() || !self.replace.is_empty() || !self.remove.is_empty() {
            self.alter_json(&mut answer);
        }
        for (name, value) in &self.set_headers {
            answer.set_header(name, value);
        }
        answer
    }

    fn alter_json(&self, answer: &mut Answer) {
        let Ok(mut value) = serde_json::from_slice::<Value>(&answer.body) else {
            return;
        };
        add_to_objects(&mut value, &self.extra_fields);
        for (pointer, replacement) in &self.replace {
            edit(&mut value, &segments(pointer), Some(replacement));
        }
        for pointer in &self.remove {
            edit(&mut value, &segments(pointer), None);
        }
        answer.body = value.to_string().into_bytes();
    }

    fn script(&self, mut answer: Answer, now: Duration) -> Script {
        let mut steps = Vec::new();
        if self.informational {
            let hint = "HTTP/1.1 103 Early Hints\r\nlink: </sandbox>; rel=preload\r\n\r\n";
            steps.push(Step::Write(hint.into()));
        }
        let keeps_alive = self.cut_body.is_none()
            && self.wrong_content_length.is_none()
            && self.close_after.is_none();
        let true_length = self.huge_body.unwrap_or(answer.body.len() as u64);
        answer.set_header("date", &http_date(now));
        let head = head(&answer, self.wrong_content_length.unwrap_or(true_length));
        let length = self
            .cut_body
            .map_or(true_length, |cut| cut.min(true_length));
        steps.push(Step::Write(head));
        steps.push(match (self.huge_body, self.slow_body) {
            (Some(_), _) => Step::Fill(length),
            (None, slow) => {
                answer.body.truncate(length as usize);
                match slow {
                    Some(interval) => Step::Trickle(answer.body, interval),
                    None => Step::Write(answer.body),
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

/// The segments of a JSON pointer, unescaped.
fn segments(pointer: &str) -> Vec<String> {
    pointer
        .split('/')
        .skip(1)
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect()
}

/// Sets what the segments lead to, or removes it. Nothing happens where they lead nowhere.
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

fn milliseconds(fields: &mut Fields, name: &str) -> Result<Option<Duration>, Answer> {
    let bounded = |ms| Duration::from_millis(ms).min(crate::clock::LONGEST_ADVANCE);
    Ok(fields.optional_count(name)?.map(bounded))
}

fn is_header(name: &str, value: &str) -> bool {
    use axum::http::{HeaderName, HeaderValue};
    HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok()
}

fn refused(field: &str) -> Answer {
    Answer::message(400, format!("field \"{field}\" has no usable value"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn strikes(fault: Fault, requests: usize) -> Vec<bool> {
        let mut faults = Faults::default();
        faults.add(fault);
        (0..requests)
            .map(|_| faults.strike("GET /clusters", "GET", "/clusters").is_some())
            .collect()
    }

    #[test]
    fn a_fault_skips_then_strikes_as_often_as_told() {
        let fault = Fault::on("GET /clusters");
        assert_eq!(strikes(fault.clone(), 2), [true, false]);
        assert_eq!(
            strikes(fault.clone().skip(1).times(2), 4),
            [false, true, true, false]
        );
        assert_eq!(strikes(fault.clone().always(), 3), [true, true, true]);
        assert_eq!(strikes(fault.times(0), 1), [false]);
        assert_eq!(strikes(Fault::on("GET /members"), 1), [false]);
        assert_eq!(strikes(Fault::on_token(), 1), [false]);
        assert_eq!(strikes(Fault::on_path("/clus"), 1), [true]);
        assert_eq!(strikes(Fault::on_any().method("post"), 1), [false]);
    }

    #[test]
    fn chances_repeat_with_their_seed() {
        let fault = Fault::on_any().always().probability(0.5, 42);
        let first = strikes(fault.clone(), 64);
        assert_eq!(first, strikes(fault, 64));
        assert!(first.contains(&true) && first.contains(&false));
    }

    #[test]
    fn answers_are_altered_where_pointers_lead() {
        let effect = Fault::on_any()
            .replace("/*/status/ready", json!("Hibernating"))
            .replace("/0/new", Value::Null)
            .replace("/7/name", json!("nobody"))
            .remove("/1/name")
            .extra_field("since", json!(3))
            .effect;
        let answer = Answer::ok(&json!([
            { "name": "a", "status": { "ready": "Healthy" } },
            { "name": "b", "status": { "ready": "Healthy" } },
        ]));
        let Delivery::Proper(answer) = effect.deliver(Some(answer), Duration::ZERO) else {
            panic!("the answer is sent as HTTP has it")
        };
        assert_eq!(
            serde_json::from_slice::<Value>(&answer.body).unwrap(),
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
    fn what_ends_a_request_prevents_its_effect_unless_told_otherwise() {
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
