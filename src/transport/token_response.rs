//! Responses of token endpoints (RFC 6749, section 5): the token, or what a response without one means for
//! later requests.
//!
//! Performs no I/O.

use std::time::SystemTime;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use ureq::http::response::Parts;

use super::redaction::redacted;
use super::response::{ErrorResponse, is_markup, reason, strip_bom};
use crate::auth::{FetchError, TokenErrorKind, TokenRequest, TokenRequestFormat, TokenResponse};
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::secret::{Secret, Zeroizing};

/// The fields of a token response (RFC 6749, section 5.1) that are used.
#[derive(Deserialize)]
struct AccessTokenResponse<'a> {
    access_token: Secret,
    // Any number: serde_json rejects those beyond `f64`.
    #[serde(borrow)]
    expires_in: Option<&'a RawValue>,
}

/// Parses a token response. Returns `None` without the parser's message if it is invalid, because
/// that message can contain a part of the token.
pub(super) fn parse_token_response(
    body: &[u8],
    server_date: Option<SystemTime>,
) -> Option<TokenResponse> {
    let response: AccessTokenResponse<'_> = serde_json::from_slice(strip_bom(body)).ok()?;
    let expires_in = response.expires_in.and_then(|seconds| {
        let text = serde_json::from_str::<String>(seconds.get());
        text.as_deref().unwrap_or(seconds.get()).trim().parse().ok()
    });
    Some(TokenResponse {
        access_token: response.access_token,
        expires_in,
        server_date,
    })
}

/// Returns the error of a 2xx response whose body is not a token response. `unsupported`: what is wrong
/// with its coding.
pub(super) fn without_token(
    request: &TokenRequest,
    head: &Parts,
    body: Zeroizing<Vec<u8>>,
    is_html: bool,
    unsupported: Option<String>,
) -> FetchError {
    // Some servers respond to an invalid request with 200.
    if error_code(&body).is_some() && !has_token(&body) {
        let redact = |text: &str| redacted_secret(request, text);
        return rejection(request, ErrorResponse::new(head, body, true, redact));
    }
    let what = if is_html || is_markup(&body) {
        "an HTML page"
    } else {
        "a body that is not a token response in JSON"
    };
    let mut message = format!("token request to {}: received {what}", request.token_url);
    if let Some(problem) = unsupported {
        message = format!("{message}; {problem}");
    }
    failed(TokenErrorKind::Transient, ErrorKind::Decode, message)
}

/// Returns the error of an error response.
pub(super) fn rejection(request: &TokenRequest, response: ErrorResponse) -> FetchError {
    let FetchError { kind, error } = described_rejection(request, &response);
    let error = error
        .with_http_status(response.status)
        .with_server_message(response.message)
        .with_retry_after(response.retry_after)
        .with_request_id(response.request_id);
    FetchError { kind, error }
}

/// Returns the error of an error response, without its fields.
fn described_rejection(request: &TokenRequest, response: &ErrorResponse) -> FetchError {
    let status = response.status;
    let message = response.message.as_deref();
    let message = message.unwrap_or_else(|| reason(status));
    let code = error_code(&response.body);
    // Anything but JSON is the page of a gateway, or of a server that requires a client certificate: it
    // does not concern clients that connect in another way, or later.
    let is_from_endpoint = serde_json::from_slice::<IgnoredAny>(strip_bom(&response.body)).is_ok();
    let rejected = match status {
        300..400 => TokenErrorKind::Permanent,
        _ if is_from_endpoint => TokenErrorKind::InvalidRequest,
        _ => TokenErrorKind::Permanent,
    };
    // Of a 2xx response with an error, the code says what it means.
    let meaning = match status {
        200..300 => 400,
        _ => status,
    };
    match meaning {
        429 => failed(
            TokenErrorKind::RateLimited {
                retry_after: response.retry_after,
            },
            ErrorKind::RateLimited,
            format!("token endpoint: rate limited (HTTP 429): {message}"),
        ),
        _ if is_transient(meaning, code.as_deref()) => failed(
            TokenErrorKind::Transient,
            ErrorKind::Service,
            format!("token endpoint: failed with HTTP {status}: {message}"),
        ),
        _ if concerns_credentials(meaning, code.as_deref()) => failed(
            TokenErrorKind::InvalidClient,
            ErrorKind::Authentication,
            format!(
                "token endpoint rejected the client credentials (HTTP {status}): {message}; \
                 check client id, client secret and audience ({})",
                request.audience
            ),
        ),
        400 | 415 | 422 => failed(
            rejected,
            ErrorKind::Config,
            format!(
                "token request: rejected with HTTP {status}{}: {message}; {}",
                match &code {
                    Some(code) if code != message => format!(" ({code})"),
                    _ => String::new(),
                },
                advice(code.as_deref(), request.format)
            ),
        ),
        _ => failed(
            rejected,
            ErrorKind::Config,
            format!(
                "token request to {} failed: unexpected HTTP {status}: {message}; \
                 check `oauth_url`",
                request.token_url
            ),
        ),
    }
}

/// Returns whether a body has an access token, which may be unusable.
fn has_token(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct TokenResponse {
        #[serde(rename = "access_token")]
        _access_token: IgnoredAny,
    }
    serde_json::from_slice::<TokenResponse>(strip_bom(body)).is_ok()
}

/// Returns the `error` code of an error response of a token endpoint (RFC 6749, section 5.2), or
/// `None` if it has none.
fn error_code(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct ErrorResponse {
        error: String,
    }
    let code = serde_json::from_slice::<ErrorResponse>(strip_bom(body))
        .ok()?
        .error;
    let is_code = !code.is_empty()
        && code.len() <= 60
        && code
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    is_code.then_some(code)
}

/// Returns whether an error response is about the state of the server. Some servers send the codes of the
/// authorization endpoint (RFC 6749, section 4.1.2.1), which cannot respond with 5xx, from the token
/// endpoint with 400 too.
fn is_transient(status: u16, code: Option<&str>) -> bool {
    matches!(status, 408 | 500..)
        || status == 400 && matches!(code, Some("server_error" | "temporarily_unavailable"))
}

/// Returns whether an error response rejects the credentials, as opposed to the request.
fn concerns_credentials(status: u16, code: Option<&str>) -> bool {
    matches!(status, 401 | 403)
        || status == 400
            && matches!(
                code,
                Some("invalid_client" | "invalid_grant" | "unauthorized_client" | "access_denied")
            )
}

/// Returns what to check after a token endpoint rejected the request.
fn advice(code: Option<&str>, format: TokenRequestFormat) -> &'static str {
    match (code, format) {
        (Some("invalid_scope"), _) => "check `scope`",
        (Some("invalid_target"), _) => "check `audience`",
        (_, TokenRequestFormat::Json) => {
            "many OAuth servers accept forms only: set `token_request_format` to `form`"
        }
        (_, TokenRequestFormat::Form) => {
            "check `audience`, `scope` and `token_request_format`, which is `form`"
        }
    }
}

/// Replaces the client secret in a text of the server.
pub(super) fn redacted_secret(request: &TokenRequest, text: &str) -> String {
    redacted(text, std::iter::once(request.client_secret.expose()))
}

/// Returns the error of a token request.
pub(super) fn failed(cause: TokenErrorKind, kind: ErrorKind, message: String) -> FetchError {
    FetchError {
        kind: cause,
        error: Error::new(kind, Stage::Token, Outcome::NotSent, message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expires_in_is_any_number_also_in_a_string() {
        for (json, expected) in [
            ("3600", Some(3_600.0)),
            ("-0.5", Some(-0.5)),
            (r#"" 3600 ""#, Some(3_600.0)),
            (r#""3\u0036""#, Some(36.0)),
            ("1e400", Some(f64::INFINITY)),
            (r#""soon""#, None),
            ("null", None),
            ("true", None),
            ("[3600]", None),
        ] {
            let body = format!(r#"{{"access_token":"token","expires_in":{json}}}"#);
            let response = parse_token_response(body.as_bytes(), None).expect(json);
            assert_eq!(response.access_token.expose(), "token");
            assert_eq!(response.expires_in, expected, "{json}");
        }
        for body in [
            r#"{"expires_in":60}"#,
            r#"{"access_token":"a","expires_in":}"#,
        ] {
            assert!(
                parse_token_response(body.as_bytes(), None).is_none(),
                "{body}"
            );
        }
        let response = parse_token_response(br#"{"access_token":"a"}"#, None).unwrap();
        assert_eq!(response.expires_in, None);
    }

    #[test]
    fn concerns_credentials_depends_on_status_and_error_code() {
        for (status, body, expected) in [
            (401, "", true),
            (403, "no", true),
            (401, r#"{"error":"invalid_request"}"#, true),
            (400, r#"{"error":"invalid_client"}"#, true),
            (400, r#"{"error":"invalid_grant"}"#, true),
            (400, r#"{"error":"unauthorized_client"}"#, true),
            (
                400,
                r#"{"error":"access_denied","error_description":"Unauthorized"}"#,
                true,
            ),
            (400, r#"{"error":"invalid_request"}"#, false),
            (400, r#"{"error":"unsupported_grant_type"}"#, false),
            (400, r#"{"error":"invalid_scope"}"#, false),
            (400, r#"{"error":"invalid_target"}"#, false),
            (400, r#"{"message":"the name is too long"}"#, false),
            (400, "Bad Request", false),
            (404, r#"{"error":"invalid_client"}"#, false),
            (415, "", false),
            (302, "", false),
        ] {
            let code = error_code(body.as_bytes());
            assert_eq!(
                concerns_credentials(status, code.as_deref()),
                expected,
                "{status} {body}"
            );
        }
    }

    #[test]
    fn is_transient_depends_on_status_and_error_code() {
        for (status, code, expected) in [
            (400, Some("temporarily_unavailable"), true),
            (400, Some("server_error"), true),
            (400, Some("invalid_request"), false),
            (400, None, false),
            (401, Some("temporarily_unavailable"), false),
            (404, Some("server_error"), false),
            (408, None, true),
            (499, None, false),
            (500, None, true),
            (503, Some("invalid_client"), true),
        ] {
            assert_eq!(is_transient(status, code), expected, "{status} {code:?}");
        }
    }

    #[test]
    fn error_code_is_a_short_identifier() {
        for (body, expected) in [
            (r#"{"error":"invalid_request"}"#, Some("invalid_request")),
            (
                "\u{feff}{\"error\":\"invalid_scope\"}",
                Some("invalid_scope"),
            ),
            (r#"{"error":"two message"}"#, None),
            (r#"{"error":{"message":"x"}}"#, None),
            (r#"{"error":""}"#, None),
            ("[]", None),
            ("", None),
        ] {
            assert_eq!(error_code(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
