//! Response to one request, before faults are applied.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::http_date;

/// HTTP response, success or error.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Header names are lower case and unique.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Delay before the response is sent.
    pub(crate) delay: Duration,
}

impl Response {
    fn new(status: u16, content_type: Option<&str>, body: Vec<u8>) -> Self {
        let headers = content_type
            .map(|value| ("content-type".into(), value.into()))
            .into_iter()
            .collect();
        Self {
            status,
            headers,
            body,
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::new(status, None, Vec::new())
    }

    pub(crate) fn no_content() -> Self {
        Self::empty(204)
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::new(
            status,
            Some("application/json; charset=utf-8"),
            body.to_string().into_bytes(),
        )
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    pub(crate) fn text(status: u16, text: impl Into<String>) -> Self {
        Self::new(
            status,
            Some("text/plain; charset=utf-8"),
            text.into().into_bytes(),
        )
    }

    pub(crate) fn html(text: &str) -> Self {
        Self::new(
            200,
            Some("text/html; charset=utf-8"),
            text.as_bytes().into(),
        )
    }

    pub(crate) fn csv(text: String) -> Self {
        Self::new(200, Some("text/csv; charset=utf-8"), text.into_bytes())
    }

    /// Error response with `{"message": …}`, the usual form of the API.
    pub(crate) fn message(status: u16, message: impl Into<String>) -> Self {
        Self::json(status, &json!({ "message": message.into() }))
    }

    /// Error response with `{"error": …}`, the form of the API's gateway.
    pub(crate) fn error(status: u16, error: impl Into<String>) -> Self {
        Self::json(status, &json!({ "error": error.into() }))
    }

    /// Converts an error response to plain text.
    pub(crate) fn into_text(self) -> Self {
        let parsed: Option<Value> = serde_json::from_slice(&self.body).ok();
        match parsed.as_ref().and_then(|body| body["message"].as_str()) {
            Some(message) => Self::text(self.status, message),
            None => self,
        }
    }

    /// Returns the message of an error response.
    pub(crate) fn into_message(self) -> String {
        String::from_utf8_lossy(&self.into_text().body).into_owned()
    }

    /// Prefixes the message of an error response with the position of the problem.
    pub(crate) fn within(self, position: &str) -> Self {
        let status = self.status;
        Self::message(status, format!("{position}: {}", self.into_message()))
    }

    pub(crate) fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sets the `Date` header unless it is set.
    pub(crate) fn set_date(&mut self, now: Duration) {
        if self.headers.iter().all(|(name, _)| name != "date") {
            self.set_header("date", &http_date(now));
        }
    }

    /// Sets a header, replacing an existing one.
    pub(crate) fn set_header(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value.into()));
    }
}
