//! Properties of response parsing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ureq::Body;
use ureq::http::header::{CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};

use super::MAX_RETRY_AFTER;
use super::response::{
    BodyError, MAX_ERROR_BODY_BYTES, MAX_MESSAGE_LEN, Response, date, is_markup, retry_after,
};
use super::token_response::parse_token_response;
use crate::auth;
use crate::json_text::replace_unpaired_surrogates;

/// Takes the body of a successful response of the token endpoint.
pub(crate) fn any_token_response(data: &[u8]) {
    if let Some(response) =
        parse_token_response(data, Some(UNIX_EPOCH + Duration::from_secs(1_780_000_000)))
    {
        auth::fuzzing::check_response(&response);
    }
}

/// Takes the value of a header: no wait is longer than a day, and whole seconds are parsed exactly.
pub(crate) fn any_header(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else {
        return;
    };
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, value.clone());
    let now = UNIX_EPOCH + Duration::from_secs(1_780_000_000);
    let wait = retry_after(&headers, now);
    assert!(wait <= Some(MAX_RETRY_AFTER));
    let text = value.to_str().unwrap_or_default();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = text.parse().map_or(MAX_RETRY_AFTER, Duration::from_secs);
        assert_eq!(wait, Some(seconds.min(MAX_RETRY_AFTER)));
    }
    headers.insert(DATE, value.clone());
    if let Some(date) = date(&headers) {
        assert_eq!(retry_after_at(date, now), wait, "{text}");
        assert_eq!(retry_after(&headers, now), Some(Duration::ZERO), "{text}");
        auth::fuzzing::check_response(&auth::TokenResponse {
            access_token: "e30.e30.c2ln".into(),
            expires_in: None,
            server_date: Some(date),
        });
    }
}

/// Returns the wait until a date, in the format of `Retry-After`.
fn retry_after_at(date: SystemTime, now: SystemTime) -> Option<Duration> {
    let mut headers = HeaderMap::new();
    let value = httpdate::fmt_http_date(date).parse().unwrap();
    headers.insert(RETRY_AFTER, value);
    retry_after(&headers, now)
}

/// Takes two bytes for the size limit, one for the media type, then the body: read whole or not at
/// all, CSV unwrapped, an error message in one line.
pub(crate) fn any_response(data: &[u8]) {
    let [low, high, kind, body @ ..] = data else {
        return;
    };
    let limit = u64::from(u16::from_le_bytes([*low, *high]));
    let fits = body.len() as u64 <= limit;
    let kind = ["application/json", "text/csv", "text/html; charset=utf-8"][usize::from(*kind) % 3];
    let response = || {
        let response = ureq::http::Response::builder()
            .status(400)
            .header(CONTENT_TYPE, kind)
            .body(Body::builder().data(body));
        Response::new(response.unwrap(), limit)
    };
    match response().read() {
        Ok(read) => assert!(fits && *read == body),
        Err(BodyError::TooLarge { body: read, .. }) => assert!(!fits && body.starts_with(&read)),
        Err(_) => panic!("a body in memory cannot fail"),
    }

    let mut sink = Vec::new();
    match response().copy_csv(&mut sink) {
        Ok(()) => {
            let quoted = body.trim_ascii_start().starts_with(b"\"");
            let unwrapped = serde_json::from_slice::<String>(body)
                .ok()
                .filter(|_| quoted);
            // An unpaired surrogate is replaced, which is checked by its own tests.
            let has_surrogates = replace_unpaired_surrogates(&mut body.to_vec());
            let expected = unwrapped.map_or_else(|| body.to_vec(), String::into_bytes);
            assert!(fits && (sink == expected || has_surrogates && quoted));
        }
        Err(BodyError::TooLarge { .. }) => assert!(!fits && body.starts_with(&sink)),
        Err(BodyError::Page { body: read }) => {
            assert!(is_markup(body) && body.starts_with(&read) && sink.is_empty());
        }
        Err(_) => panic!("a body in memory cannot fail"),
    }

    // RFC 9110, section 8.3.1: the media type ends at a parameter and is case-insensitive.
    let media_type = kind.split(';').next().unwrap_or_default().trim();
    let html = ["text/html", "application/xhtml+xml"];
    assert_eq!(
        response().is_html(),
        html.contains(&media_type.to_ascii_lowercase().as_str())
    );
    let error_response = response().into_error_response(false, str::to_owned);
    assert!(
        body.starts_with(&error_response.body)
            && error_response.body.len() as u64 <= MAX_ERROR_BODY_BYTES
    );
    if let Some(message) = error_response.message {
        assert!(!message.is_empty() && message.chars().count() <= MAX_MESSAGE_LEN + 1);
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}
