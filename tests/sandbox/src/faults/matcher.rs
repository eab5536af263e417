//! Conditions of a fault on a request.

use axum::http::HeaderMap;
use serde_json::Value;

use super::{TOKEN_OPERATION, TOKEN_PATH, UNKNOWN_OPERATION, is_header};
use crate::operations;

/// Conditions on a request. An unset condition matches any request.
#[derive(Clone, Debug, Default)]
pub(super) struct Matcher {
    pub(super) operation: Option<String>,
    pub(super) method: Option<String>,
    pub(super) path_prefix: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) headers: Vec<(String, String)>,
    /// JSON pointers into the request body with the expected values.
    pub(super) body: Vec<(String, Value)>,
}

/// Properties of a request that faults can match.
pub(crate) struct Candidate<'a> {
    pub(crate) operation: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

impl Matcher {
    pub(super) fn matches(
        &self,
        candidate: &Candidate<'_>,
        client_id: &impl Fn() -> Option<String>,
    ) -> bool {
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
    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(name) = &self.operation
            && name != UNKNOWN_OPERATION
        {
            let (method_of_operation, path, has_body) = if name == TOKEN_OPERATION {
                ("POST", TOKEN_PATH, true)
            } else {
                let operation = operations::all()
                    .iter()
                    .find(|known| known.name() == *name)
                    .ok_or_else(|| operations::unknown_operation(name))?;
                (
                    operation.method,
                    operation.path,
                    !operation.request.is_empty(),
                )
            };
            if let Some(method) = &self.method
                && !method.eq_ignore_ascii_case(method_of_operation)
            {
                return Err(format!(
                    "no request matches: operation \"{name}\" has another method than \"{method}\""
                ));
            }
            if let Some(prefix) = &self.path_prefix
                && !operations::can_begin_with(path, prefix)
            {
                return Err(format!(
                    "no request matches: the paths of operation \"{name}\" do not begin with \
                     \"{prefix}\""
                ));
            }
            if !has_body && !self.body.is_empty() {
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
