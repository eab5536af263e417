//! What the sandbox answers to one request, before any fault has its way with it.

use std::time::Duration;

use serde_json::{Value, json};

/// An answer: a refusal as well as a success.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, each at most once.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// How long the answer is kept from the client.
    pub(crate) held_back: Duration,
}

impl Answer {
    fn new(status: u16, content_type: Option<&str>, body: Vec<u8>) -> Self {
        let headers = content_type
            .map(|value| ("content-type".into(), value.into()))
            .into_iter()
            .collect();
        Self {
            status,
            headers,
            body,
            held_back: Duration::ZERO,
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

    pub(crate) fn csv(text: String) -> Self {
        Self::new(200, Some("text/csv; charset=utf-8"), text.into_bytes())
    }

    /// A refusal in the service's usual form.
    pub(crate) fn message(status: u16, message: impl Into<String>) -> Self {
        Self::json(status, &json!({ "message": message.into() }))
    }

    /// A refusal in the form that the service's gateway uses.
    pub(crate) fn error(status: u16, error: impl Into<String>) -> Self {
        Self::json(status, &json!({ "error": error.into() }))
    }

    /// The same refusal with its message as bare text.
    pub(crate) fn into_text(self) -> Self {
        let parsed: Option<Value> = serde_json::from_slice(&self.body).ok();
        match parsed.as_ref().and_then(|body| body["message"].as_str()) {
            Some(message) => Self::text(self.status, message),
            None => self,
        }
    }

    /// The message of a refusal.
    pub(crate) fn into_message(self) -> String {
        String::from_utf8_lossy(&self.into_text().body).into_owned()
    }

    pub(crate) fn held_back(mut self, by: Duration) -> Self {
        self.held_back = by;
        self
    }

    /// Replaces the header or adds it.
    pub(crate) fn set_header(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        self.headers.retain(|(present, _)| *present != name);
        self.headers.push((name, value.into()));
    }
}
