//! Reads responses: their body up to a size limit, and what an error response says.

use std::io::{self, Read, Take, Write};
use std::time::{Duration, SystemTime};

use flate2::read::MultiGzDecoder;
use ureq::Body;
use ureq::http::StatusCode;
use ureq::http::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE};
use ureq::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use ureq::http::response::Parts;

use super::MAX_RETRY_AFTER;
use super::server_message::{error_message, is_gateway_message};
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::json_text::replace_unpaired_surrogates;
use crate::secret::{Zeroizing, read_to_end, read_to_end_expecting};

/// Maximum number of bytes that are read of the body of an error response.
pub(super) const MAX_ERROR_BODY_BYTES: u64 = 64 * 1024;
/// Maximum length of a server's message in an error, in characters.
pub(super) const MAX_MESSAGE_LEN: usize = 500;
/// Headers with the id of a request, as servers and gateways send them.
pub(super) const REQUEST_ID_HEADERS: [&str; 4] = [
    "x-request-id",
    "x-correlation-id",
    "x-amzn-requestid",
    "cf-ray",
];

/// A response whose head was received.
pub(super) struct Response {
    head: Parts,
    body: Body,
    limit: u64,
}

/// The names of the content coding gzip (RFC 9110, section 8.4.1.3).
pub(super) const GZIP: [&str; 2] = ["gzip", "x-gzip"];
/// Content codings of the IANA registry that the client neither requests nor decodes. Other values, such
/// as `UTF-8`, are mistakes of servers whose bodies are not encoded.
const UNSUPPORTED_CODINGS: [&str; 5] = ["br", "compress", "deflate", "x-compress", "zstd"];

/// Returns whether a comma-separated header value contains one of these codings.
pub(super) fn lists_any(value: &[u8], codings: &[&str]) -> bool {
    value.split(|byte| *byte == b',').any(|listed| {
        let listed = listed.trim_ascii();
        codings
            .iter()
            .any(|coding| listed.eq_ignore_ascii_case(coding.as_bytes()))
    })
}

/// A response with a status other than 2xx, or of a token endpoint with an error, and its body.
pub(super) struct ErrorResponse {
    pub(super) status: u16,
    pub(super) message: Option<String>,
    pub(super) body: Zeroizing<Vec<u8>>,
    pub(super) retry_after: Option<Duration>,
    pub(super) request_id: Option<String>,
    /// Whether `message` comes from the API: it is in JSON, and says more than a reason phrase. A
    /// gateway sends plain text, an HTML page or the reason phrase of the status.
    pub(super) from_api: bool,
}

/// A failure to read the body of a 2xx response, with the bytes received until then.
pub(super) enum BodyError {
    /// The body is not the JSON that the operation expects.
    Undecodable(Error),
    /// HTML instead of the API's response: a gateway or portal sent it, whatever the status.
    Page { body: Zeroizing<Vec<u8>> },
    /// The connection was lost, or the body's framing or compression is invalid.
    ConnectionLost {
        error: io::Error,
        body: Zeroizing<Vec<u8>>,
        /// Whether a part of the body was written to the sink.
        partly_written: bool,
    },
    /// The body exceeds the limit.
    TooLarge {
        limit: u64,
        body: Zeroizing<Vec<u8>>,
    },
    /// The sink returned an error.
    Sink(io::Error),
}

impl BodyError {
    /// Returns whether what was received of the body is HTML or XML.
    pub(super) fn is_page(&self) -> bool {
        match self {
            BodyError::Page { .. } => true,
            BodyError::ConnectionLost { body, .. } | BodyError::TooLarge { body, .. } => {
                is_markup(body)
            }
            BodyError::Undecodable(_) | BodyError::Sink(_) => false,
        }
    }
}

/// Returns the text of a JSON string, in which U+FFFD replaces unpaired surrogates; `None` if `json` is
/// something else.
fn csv_of_json_string(json: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let json = strip_bom(json);
    let text = serde_json::from_slice::<String>(json).or_else(|error| {
        let mut copy = Zeroizing::new(json.to_vec());
        match replace_unpaired_surrogates(&mut copy) {
            true => serde_json::from_slice(&copy),
            false => Err(error),
        }
    });
    text.ok().map(|text| Zeroizing::new(text.into_bytes()))
}

impl Response {
    pub(super) fn new(response: ureq::http::Response<Body>, limit: u64) -> Self {
        let (head, body) = response.into_parts();
        Response { head, body, limit }
    }

    pub(super) fn is_success(&self) -> bool {
        self.head.status.is_success()
    }

    pub(super) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(super) fn date(&self) -> Option<SystemTime> {
        date(&self.head.headers)
    }

    /// Returns what is wrong with the coding of the body if the client cannot decode it.
    pub(super) fn unsupported_coding(&self) -> Option<String> {
        unsupported_coding(&self.head.headers)
    }

    pub(super) fn head(&self) -> &Parts {
        &self.head
    }

    /// Returns a reader of the decompressed body, up to one byte more than the limit.
    fn reader(self) -> Take<BodyReader> {
        // Absent if another crate enables ureq's feature `gzip`: ureq then decompresses.
        let codings = self.head.headers.get_all(CONTENT_ENCODING).iter();
        let gzip = codings
            .map(HeaderValue::as_bytes)
            .any(|codings| lists_any(codings, &GZIP));
        let reader = Connection {
            body: self.body.into_reader(),
            is_empty: true,
            failed: false,
        };
        let reader = match gzip {
            true => BodyReader::Gzip(Box::new(MultiGzDecoder::new(reader))),
            false => BodyReader::Plain(reader),
        };
        reader.take(self.limit.saturating_add(1))
    }

    /// Reads the body, decompressed, up to the limit.
    pub(super) fn read(self) -> Result<Zeroizing<Vec<u8>>, BodyError> {
        let limit = self.limit;
        let expected = self.body.content_length().unwrap_or(0).min(limit);
        let mut reader = self.reader();
        // `Content-Length` can be false, so memory is reserved only as bytes arrive. One byte more than
        // expected, so that neither finding the end nor appending a NUL for C reallocates the vector.
        let mut body = Zeroizing::new(Vec::new());
        if let Err(error) =
            read_to_end_expecting(&mut reader, &mut body, expected.saturating_add(1))
        {
            return Err(BodyError::ConnectionLost {
                error,
                body,
                partly_written: false,
            });
        }
        if body.len() as u64 > limit {
            return Err(BodyError::TooLarge { limit, body });
        }
        Ok(body)
    }

    /// Copies a CSV body to a sink. A body that starts with a quote is either one JSON string or CSV
    /// with a quoted field; only the end of the body distinguishes them, so it is read to its end
    /// first.
    pub(super) fn copy_csv(self, sink: &mut dyn Write) -> Result<(), BodyError> {
        if let Some(problem) = self.unsupported_coding() {
            let body = self.read()?;
            return match body.is_empty() {
                true => sink.flush().map_err(BodyError::Sink),
                false => Err(BodyError::Undecodable(undecodable(&problem, body))),
            };
        }
        let limit = self.limit;
        let mut reader = self.reader();
        let connection_error = |error, partly_written| BodyError::ConnectionLost {
            error,
            body: Zeroizing::default(),
            partly_written,
        };
        let unwritten = |error| connection_error(error, false);
        let mut buffer = Zeroizing::new(vec![0; 16 * 1024]);
        let mut count = read_beginning(&mut reader, &mut buffer).map_err(unwritten)?;
        if is_markup(&buffer[..count]) {
            let mut body = Zeroizing::new(buffer[..count].to_vec());
            // The page is reported as an error anyway, so a lost connection is ignored.
            let _ = read_to_end(&mut reader, &mut body);
            return Err(BodyError::Page { body });
        }
        if beginning(&buffer[..count]).starts_with(b"\"") {
            let mut whole = Zeroizing::new(buffer[..count].to_vec());
            read_to_end(&mut reader, &mut whole).map_err(unwritten)?;
            if whole.len() as u64 > limit {
                return Err(BodyError::TooLarge { limit, body: whole });
            }
            let text = csv_of_json_string(&whole).unwrap_or(whole);
            return sink
                .write_all(&text)
                .and_then(|()| sink.flush())
                .map_err(BodyError::Sink);
        }
        let mut copied = 0;
        while count > 0 {
            copied += count as u64;
            if copied > limit {
                return Err(BodyError::TooLarge {
                    limit,
                    body: Zeroizing::default(),
                });
            }
            sink.write_all(&buffer[..count]).map_err(BodyError::Sink)?;
            count = read_some(&mut reader, &mut buffer)
                .map_err(|error| connection_error(error, true))?;
        }
        sink.flush().map_err(BodyError::Sink)
    }

    /// Reads an error response. Ignores a failure to read its body. Redacts the message before
    /// shortening it, so that no part of a secret remains. If the body may contain new secrets, JSON in
    /// which no message is recognized is not the message.
    pub(super) fn into_error_response(
        self,
        may_contain_secrets: bool,
        redact: impl Fn(&str) -> String,
    ) -> ErrorResponse {
        let mut body = Zeroizing::new(Vec::new());
        let head = self.head.clone();
        let mut reader = self.reader();
        reader.set_limit(MAX_ERROR_BODY_BYTES);
        let _ = read_to_end(&mut reader, &mut body);
        ErrorResponse::new(&head, body, may_contain_secrets, redact)
    }

    /// Returns the id under which the server or a gateway logs the request.
    pub(super) fn request_id(&self) -> Option<&str> {
        request_id(&self.head.headers)
    }

    pub(super) fn is_html(&self) -> bool {
        let content_type = self.head.headers.get(CONTENT_TYPE);
        content_type.is_some_and(|value| is_html(value.as_bytes()))
    }
}

impl ErrorResponse {
    /// An error response with this head and body. Redacts the message before shortening it, so that no
    /// part of a secret remains.
    pub(super) fn new(
        head: &Parts,
        body: Zeroizing<Vec<u8>>,
        may_contain_secrets: bool,
        redact: impl Fn(&str) -> String,
    ) -> Self {
        let headers = &head.headers;
        let may_be_json = content_type(headers).is_none_or(is_json);
        let is_readable = unsupported_coding(headers).is_none();
        let shown = |text: &str| Some(one_line(&redact(text))).filter(|line| !line.is_empty());
        // Redacted before it is parsed, so that the parser makes no copy of a secret. A secret with
        // escaped characters is only found in the message.
        let text = Zeroizing::new(String::from_utf8_lossy(&body).into_owned());
        let (message, structured) = match is_readable {
            true => error_message(&redact(&text), may_contain_secrets),
            false => (None, false),
        };
        let message = message.as_deref().and_then(shown);
        ErrorResponse {
            status: head.status.as_u16(),
            from_api: may_be_json
                && structured
                && message
                    .as_deref()
                    .is_some_and(|message| !is_gateway_message(message)),
            message,
            retry_after: retry_after(headers, SystemTime::now()),
            request_id: request_id(headers).and_then(shown),
            body,
        }
    }
}

/// Returns the value of `Content-Type`: "" if it is not ASCII, `None` if absent.
fn content_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?;
    Some(value.to_str().unwrap_or_default())
}

/// Returns what is wrong with the coding of a body if the client cannot decode it.
fn unsupported_coding(headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(CONTENT_ENCODING).iter();
    values.find_map(|value| {
        let unsupported = |coding: &&str| lists_any(value.as_bytes(), &[coding]);
        let coding = UNSUPPORTED_CODINGS.into_iter().find(unsupported)?;
        Some(format!(
            "its content coding is `{coding}`, which the client did not request"
        ))
    })
}

/// Returns the error of a 2xx response whose body cannot be decoded.
fn undecodable(problem: &str, body: Zeroizing<Vec<u8>>) -> Error {
    let message = format!("the response cannot be decoded: {problem}");
    Error::new(
        ErrorKind::Decode,
        Stage::Decode,
        Outcome::Completed,
        message,
    )
    .with_body(body)
}

fn request_id(headers: &HeaderMap) -> Option<&str> {
    REQUEST_ID_HEADERS
        .iter()
        .find_map(|name| headers.get(HeaderName::from_static(name))?.to_str().ok())
}

/// Returns whether a content type is JSON, for example `application/json` or
/// `application/problem+json`.
fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    kind.ends_with("/json") || kind.ends_with("+json")
}

/// Reader of a body that records whether the connection failed.
struct Connection {
    body: ureq::BodyReader<'static>,
    /// Whether no byte was read.
    is_empty: bool,
    /// Whether the connection failed, as opposed to the decompression of the body.
    failed: bool,
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.body.read(buffer);
        self.failed |= result.is_err();
        self.is_empty &= !matches!(result, Ok(1..));
        result
    }
}

/// Reader of the decompressed body of a response.
enum BodyReader {
    Plain(Connection),
    Gzip(Box<MultiGzDecoder<Connection>>),
}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            BodyReader::Plain(body) => body.read(buffer),
            BodyReader::Gzip(body) => body.read(buffer).or_else(|error| {
                let connection = body.get_ref();
                if connection.failed {
                    return Err(error);
                }
                // Servers label a response without a body, 204 for example, like those with one.
                if connection.is_empty {
                    return Ok(0);
                }
                let message = format!("gzip decompression failed: {error}");
                Err(io::Error::new(io::ErrorKind::InvalidData, message))
            }),
        }
    }
}

fn is_html(content_type: &[u8]) -> bool {
    ["text/html", "application/xhtml+xml"].iter().any(|kind| {
        content_type
            .split_at_checked(kind.len())
            .is_some_and(|(start, parameters)| {
                start.eq_ignore_ascii_case(kind.as_bytes())
                    && matches!(parameters.trim_ascii_start(), [] | [b';', ..])
            })
    })
}

/// Returns whether a body starts like HTML or XML. Gateways and portals send pages with any content
/// type; neither JSON nor the API's CSV starts with `<`.
pub(crate) fn is_markup(body: &[u8]) -> bool {
    beginning(body).starts_with(b"<")
}

/// Returns a body from its first character that is not white space.
fn beginning(body: &[u8]) -> &[u8] {
    strip_bom(body).trim_ascii_start()
}

/// Removes the byte-order mark that some proxies and editors add.
pub(crate) fn strip_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// Reads a body up to its first character that is not white space, or to its end: it can arrive
/// in small pieces.
fn read_beginning(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    loop {
        let read = read_some(reader, &mut buffer[count..])?;
        count += read;
        // The first bytes may be a part of a byte-order mark.
        if read == 0 || (count >= 3 && !beginning(&buffer[..count]).is_empty()) {
            return Ok(count);
        }
    }
}

fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Returns the time of the `Date` header.
pub(super) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// Returns the wait of the `Retry-After` header (seconds or a date), at most [`MAX_RETRY_AFTER`].
///
/// A date is compared with the server's clock, or with `now` if the response has no `Date`: on a host
/// whose clock is behind, a short wait would otherwise become a long block, also for other hosts.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match value.parse::<f64>() {
        Ok(seconds) if seconds >= 0.0 => {
            Duration::from_secs_f64(seconds.min(MAX_RETRY_AFTER.as_secs_f64()))
        }
        Ok(_) => return None,
        Err(_) => httpdate::parse_http_date(value)
            .ok()?
            .duration_since(date(headers).unwrap_or(now))
            .unwrap_or_default(),
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

/// Returns a message for one line of a log: no control characters, at most [`MAX_MESSAGE_LEN`]
/// characters and an ellipsis.
fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .take(MAX_MESSAGE_LEN + 1)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned();
    if line.chars().count() > MAX_MESSAGE_LEN {
        line = line.chars().take(MAX_MESSAGE_LEN).chain(['…']).collect();
    }
    line
}

/// Returns the standard reason phrase of a status.
pub(super) fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_message_is_found_in_json_text_and_html() {
        for (body, message) in [
            (
                r#"{"message":"Name is too long"}"#,
                Some("Name is too long"),
            ),
            (
                r#"{"error":"access_denied","error_description":"Unauthorized"}"#,
                Some("Unauthorized"),
            ),
            (r#"{"error":{"message":"inner"}}"#, Some("inner")),
            (
                r#"{"message":"gate","nextStep":"migrate"}"#,
                Some("gate (migrate)"),
            ),
            (
                r#"{"message":"upgrade blocked","reason":"an old job worker","nextStep":"migrate"}"#,
                Some("upgrade blocked: an old job worker (migrate)"),
            ),
            (
                r#"{"reason":"an old job worker","next_step":"migrate"}"#,
                Some("an old job worker (migrate)"),
            ),
            (
                r#"{"message":"blocked by an old job worker","reason":"an old job worker"}"#,
                Some("blocked by an old job worker"),
            ),
            (
                "You are not supposed\n to be here",
                Some("You are not supposed  to be here"),
            ),
            (
                "<html><head><TITLE>502 Bad Gateway</TITLE></head></html>",
                Some("502 Bad Gateway"),
            ),
            ("<!doctype html>", Some("an HTML page")),
            ("\u{feff}{\"message\":\"x\"}", Some("x")),
            (
                r#"{"message":["name is too long","plan type is not valid"],"error":"Bad Request"}"#,
                Some("name is too long; plan type is not valid"),
            ),
            (
                r#"{"errors":[{"message":"name is too long"},{"code":7},{"detail":"no plan"}]}"#,
                Some("name is too long; no plan"),
            ),
            (
                r#"{"code":"GATE","blockedBy":["an old job worker"]}"#,
                Some(r#"{"code":"GATE","blockedBy":["an old job worker"]}"#),
            ),
            ("{\n  \"status\": 409\n}", Some(r#"{   "status": 409 }"#)),
            ("", None),
            ("{}", None),
            ("null", None),
            (r#"{"message":null,"errors":[{}, " "]}"#, None),
            (
                r#"{"message":"","error":"Bad Request"}"#,
                Some("Bad Request"),
            ),
        ] {
            let error_response = error_response(None, body.as_bytes());
            assert_eq!(error_response.message.as_deref(), message, "{body}");
        }
        assert!(error_response(None, b"\xff\xfe").message.is_some());
        let created = r#"{"clientId":"worker","clientSecret":"hunter2"}"#;
        assert_eq!(error_message(created, false).0.as_deref(), Some(created));
        assert_eq!(error_message(created, true), (None, false));
        let long = "x".repeat(10_000);
        assert!(error_response(None, long.as_bytes()).message.unwrap().len() < 600);
    }

    #[test]
    fn csv_is_recognized_in_pieces_of_any_size() {
        /// Reads as many bytes at a time.
        struct Pieces(&'static [u8], usize);
        impl Read for Pieces {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let count = self.1.min(buffer.len());
                (&mut self.0).take(count as u64).read(buffer)
            }
        }

        for (body, expected) in [
            ("a,b\n1,2\n", Some("a,b\n1,2\n")),
            ("\"a\",b\n1,2\n", Some("\"a\",b\n1,2\n")),
            ("\"a,b\\n1,2\\n\"", Some("a,b\n1,2\n")),
            (" \n\"a,b\\n\"\n", Some("a,b\n")),
            ("\u{feff}\"a,b\\n\"", Some("a,b\n")),
            ("\u{feff}a,b\n", Some("\u{feff}a,b\n")),
            ("\u{feff}\"a\",b\n", Some("\u{feff}\"a\",b\n")),
            ("", Some("")),
            ("a", Some("a")),
            ("  ", Some("  ")),
            ("\n<html>", None),
            ("\u{feff}\n <html>", None),
        ] {
            for size in 1..=body.len() + 1 {
                let pieces = Pieces(body.as_bytes(), size);
                let response = ureq::http::Response::new(Body::builder().reader(pieces));
                let mut copied = Vec::new();
                let result = Response::new(response, 1_000).copy_csv(&mut copied);
                match expected {
                    Some(expected) => {
                        assert!(result.is_ok(), "{body:?}");
                        assert_eq!(copied, expected.as_bytes(), "{body:?}, {size}");
                    }
                    None => {
                        assert!(matches!(result, Err(BodyError::Page { .. })), "{body:?}");
                        assert!(copied.is_empty());
                    }
                }
            }
        }
    }

    #[test]
    fn error_response_of_a_gateway_is_not_from_the_api() {
        let message = r#"{"message":"Cluster creation is not available"}"#;
        for (content_type, body, from_api) in [
            (Some("application/json"), message, true),
            (
                Some("Application/Problem+JSON; charset=utf-8"),
                message,
                true,
            ),
            (None, message, true),
            (None, r#""Cluster creation is not available""#, true),
            (Some("text/plain"), message, false),
            (Some("text/html"), message, false),
            (None, "Cluster creation is not available", false),
            (None, r#"["Cluster creation is not available"]"#, false),
            (None, "", false),
            (None, "{}", false),
            (None, r#"{"message":""}"#, false),
            (None, r#"{"code":"GATE"}"#, false),
            (None, r#"{"message":"\u0000"}"#, false),
            (None, r#"{"message":"Service Unavailable"}"#, false),
            (None, r#"{"error":"503 service unavailable."}"#, false),
            (
                None,
                r#"{"message":"Service Temporarily Unavailable"}"#,
                false,
            ),
            (None, r#"{"message":"Bad Gateway"}"#, false),
            (None, r#"{"message":"503"}"#, false),
            (None, r#"{"message":"no healthy upstream"}"#, false),
        ] {
            let error_response = error_response(content_type, body.as_bytes());
            assert_eq!(error_response.from_api, from_api, "{content_type:?} {body}");
        }
    }

    #[test]
    fn html_is_recognized_by_type_and_by_content() {
        for (content_type, html) in [
            ("text/html", true),
            ("Text/HTML; charset=utf-8", true),
            ("text/html ;charset=utf-8", true),
            ("application/xhtml+xml", true),
            ("text/plain", false),
            ("application/json", false),
            ("text/htmlx", false),
        ] {
            assert_eq!(is_html(content_type.as_bytes()), html, "{content_type}");
        }
        for (body, markup) in [
            ("<!DOCTYPE html><title>Log in</title>", true),
            (" \r\n<html>", true),
            ("\u{feff}<?xml version=\"1.0\"?>", true),
            ("{\"name\":\"<b>\"}", false),
            ("\"<b>\"", false),
            ("", false),
        ] {
            assert_eq!(is_markup(body.as_bytes()), markup, "{body}");
        }
    }

    fn error_response(content_type: Option<&str>, body: &[u8]) -> ErrorResponse {
        let mut response = ureq::http::Response::builder().status(503);
        if let Some(content_type) = content_type {
            response = response.header(CONTENT_TYPE, content_type);
        }
        let response = response.body(Body::builder().data(body)).unwrap();
        Response::new(response, 0).into_error_response(false, str::to_owned)
    }

    #[test]
    fn read_leaves_capacity_for_a_nul_after_a_large_body() {
        let sent = vec![b'x'; 20 << 20];
        let body = Body::builder().data(sent.clone());
        let body = Response::new(
            ureq::http::Response::builder().body(body).unwrap(),
            64 << 20,
        )
        .read();
        let Ok(body) = body else {
            panic!("the body is complete")
        };
        assert!(*body == sent);
        assert_eq!(body.capacity(), sent.len() + 1);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("99999999999999999999", Some(24 * 3600)),
            ("-1", None),
            ("NaN", None),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{value}");
        }
    }

    #[test]
    fn retry_after_compares_a_date_with_the_clock_of_the_server() {
        let mut headers = HeaderMap::new();
        let at = |second| {
            format!("Sun, 06 Nov 1994 08:49:{second} GMT")
                .parse()
                .unwrap()
        };
        headers.insert(DATE, at(37));
        headers.insert(RETRY_AFTER, at(47));
        for wrong in [0, 784_111_777 - 3000, 784_111_777 + 3000] {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(wrong);
            assert_eq!(retry_after(&headers, now), Some(Duration::from_secs(10)));
        }
        headers.insert(DATE, "now".parse().unwrap());
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after(&headers, now), Some(Duration::from_secs(10)));
    }
}
