//! Asking the token endpoint: one request, one answer. When to ask is `auth`'s affair.

use std::time::SystemTime;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::agent::{self, Exchange};
use super::answer::{Answer, reason};
use super::{Method, Transport, UNCOMPRESSED};
use crate::auth::{
    FetchError, FetchFailure, TokenAnswer, TokenEncoding, TokenEndpoint, TokenRequest,
};
use crate::call::Call;
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::secret::{Secret, SecretBuffer, Zeroizing, to_json};

/// Far more than a token has.
const MOST_BYTES: u64 = 1024 * 1024;

/// The endpoint's answer, as far as it is used.
#[derive(Deserialize)]
struct Granted {
    access_token: Secret,
    #[serde(default)]
    expires_in: serde_json::Value,
}

impl TokenEndpoint for Transport {
    fn fetch(&self, request: &TokenRequest, call: &Call) -> Result<TokenAnswer, FetchError> {
        let failed = |cause, kind, message: String| FetchError {
            cause,
            error: Error::new(kind, Stage::Token, Outcome::NotSent, message),
        };
        let agents = self.agents();
        self.stats.count_token_request();
        log::debug!(
            "asking {} for a token, audience {}",
            request.token_url,
            request.audience
        );
        let (content_type, body) = body_of(request);
        let exchange = Exchange::begin(call);
        let sent = agents.send(
            Method::Post,
            &request.token_url,
            None,
            Some((content_type, body.as_slice())),
            UNCOMPRESSED,
            // A token request that may have been counted must not be sent again by accident.
            true,
        );
        let stopped = || {
            exchange.stopped().map(|stop| FetchError {
                cause: FetchFailure::Stopped,
                error: call.stopped(stop, Stage::Token, Outcome::NotSent),
            })
        };
        let answer = match sent {
            Ok(answer) => Answer::new(answer, MOST_BYTES),
            Err(error) => {
                if let Some(stopped) = stopped() {
                    return Err(stopped);
                }
                agents.forget_addresses();
                let cause = if agent::is_lasting(&error) {
                    FetchFailure::Lasting
                } else if exchange.sent() {
                    FetchFailure::Transient
                } else {
                    FetchFailure::NotSent
                };
                let (kind, message) = agent::explain(&error);
                let message = format!("cannot ask {} for a token: {message}", request.token_url);
                return Err(failed(cause, kind, message));
            }
        };
        let status = answer.status();
        if !answer.is_success() {
            let refusal =
                answer.into_refusal(|words| words.replace(request.client_secret.expose(), "…"));
            let words = refusal.words.as_deref().unwrap_or_else(|| reason(status));
            let (cause, kind, message) = match status {
                429 => (
                    FetchFailure::RateLimited {
                        retry_after: refusal.retry_after,
                    },
                    ErrorKind::RateLimited,
                    format!("the token endpoint limits this address (429): {words}"),
                ),
                408 | 500.. => (
                    FetchFailure::Transient,
                    ErrorKind::Service,
                    format!("the token endpoint failed ({status}): {words}"),
                ),
                400 | 401 | 403 => (
                    FetchFailure::BadCredentials,
                    ErrorKind::Authentication,
                    format!(
                        "the token endpoint refuses the credentials ({status}): {words}; \
                         check client id, client secret and audience ({})",
                        request.audience
                    ),
                ),
                // As lasting as wrong credentials, and not to be asked again any sooner.
                _ => (
                    FetchFailure::BadCredentials,
                    ErrorKind::Authentication,
                    format!(
                        "{} does not answer as a token endpoint does ({status}): {words}; \
                         check `oauth_url`",
                        request.token_url
                    ),
                ),
            };
            let FetchError { cause, error } = failed(cause, kind, message);
            let error = error
                .with_http_status(status)
                .with_server_message(refusal.words)
                .with_retry_after(refusal.retry_after)
                .with_request_id(refusal.request_id);
            return Err(FetchError { cause, error });
        }
        let server_date = answer.date();
        let html = answer.is_html();
        let body = match answer.read() {
            Ok(body) => body,
            Err(_) => {
                return Err(stopped().unwrap_or_else(|| {
                    let message = "the token endpoint's answer could not be read to its end";
                    failed(
                        FetchFailure::Transient,
                        ErrorKind::Network,
                        message.to_owned(),
                    )
                }));
            }
        };
        granted(&body, server_date).ok_or_else(|| {
            let what = if html {
                "an HTML page"
            } else {
                "not the JSON of a token"
            };
            let message = format!("the token endpoint ({}) answered {what}", request.token_url);
            failed(FetchFailure::Transient, ErrorKind::Decode, message)
        })
    }
}

/// The token of an answer. `None` says no more, since the parser's own words could quote a piece of
/// the token.
pub(super) fn granted(body: &[u8], server_date: Option<SystemTime>) -> Option<TokenAnswer> {
    let granted: Granted = serde_json::from_slice(body).ok()?;
    let expires_in = match &granted.expires_in {
        serde_json::Value::Number(seconds) => seconds.as_f64(),
        serde_json::Value::String(seconds) => seconds.trim().parse().ok(),
        _ => None,
    };
    Some(TokenAnswer {
        access_token: granted.access_token,
        expires_in,
        server_date,
    })
}

fn body_of(request: &TokenRequest) -> (&'static str, Zeroizing<Vec<u8>>) {
    let mut fields = vec![
        ("grant_type", "client_credentials"),
        ("client_id", &request.client_id),
        ("client_secret", request.client_secret.expose()),
        ("audience", &request.audience),
    ];
    if let Some(scope) = &request.scope {
        fields.push(("scope", scope));
    }
    match request.encoding {
        TokenEncoding::Json => {
            let fields: std::collections::BTreeMap<_, _> = fields.into_iter().collect();
            let json = to_json(&fields).expect("strings are JSON");
            ("application/json", json.into_bytes())
        }
        TokenEncoding::Form => {
            let mut form = SecretBuffer::with_capacity(512);
            for (name, value) in fields {
                if !form.is_empty() {
                    form.push('&');
                }
                form.push_str(name);
                form.push('=');
                for piece in utf8_percent_encode(value, NON_ALPHANUMERIC) {
                    form.push_str(piece);
                }
            }
            ("application/x-www-form-urlencoded", form.into_bytes())
        }
    }
}
