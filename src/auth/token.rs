//! Bearer tokens, and the lifetime of the token in a response of the token endpoint.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::HeaderValue;
use serde::Deserialize;

use super::TokenResponse;
use super::time::ClockTime;
use crate::secret::{Secret, Zeroizing};

/// Lifetime of a token if the response has none: the shortest in the API's samples. If the token is
/// valid for longer, a few requests are wasted; if shorter, the API's 401 corrects it.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(300);

/// Lifetime of a token that is expired on arrival (`expires_in` of 0, or an `exp` in the past, as
/// wrong clocks produce). An immediate request would return the same and use up the rate limit; if
/// the API rejects the token too, the 401 drops it earlier.
const EXPIRED_ON_ARRIVAL_LIFETIME: Duration = Duration::from_secs(30);

/// Maximum lifetime that is applied; 2⁶⁴−1 seconds means that the endpoint does not limit it.
pub(super) const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// A bearer token with its expiry.
///
/// Clones share the token, which is zeroized when the last clone is dropped. `Debug` shows the
/// expiry only.
#[derive(Clone)]
pub struct Token(Arc<Inner>);

struct Inner {
    /// `Bearer …`, ready to be sent: requests neither format, check nor copy it.
    header: HeaderValue,
    /// The memory of `header`.
    text: HeaderText,
    expires_at: SystemTime,
    generation: u64,
    accepted: AtomicBool,
}

const SCHEME: &str = "Bearer ";

/// `Bearer …` with a NUL, so that C can read the token in place. Zeroized when the token and the last
/// request with it are dropped.
#[derive(Clone)]
struct HeaderText(Arc<Zeroizing<String>>);

impl AsRef<[u8]> for HeaderText {
    /// Returns the bytes without the NUL.
    fn as_ref(&self) -> &[u8] {
        &self.0.as_bytes()[..self.0.len() - 1]
    }
}

impl Token {
    /// Returns `None` if `text` is not valid in a header: empty, or not visible ASCII.
    pub(crate) fn new(text: &Secret, expires_at: SystemTime, generation: u64) -> Option<Self> {
        let text = text.expose();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        // The capacity is exact, so that no partial copy of the token remains in freed memory.
        let mut header = Zeroizing::new(String::with_capacity(SCHEME.len() + text.len() + 1));
        header.push_str(SCHEME);
        header.push_str(text);
        header.push('\0');
        let text = HeaderText(Arc::new(header));
        let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(text.clone())).ok()?;
        header.set_sensitive(true);
        Some(Token(Arc::new(Inner {
            header,
            text,
            expires_at,
            generation,
            accepted: AtomicBool::new(false),
        })))
    }

    /// Returns the token for an `Authorization: Bearer …` header. Keep it out of logs and errors.
    #[must_use]
    pub fn expose(&self) -> &str {
        let text = &self.0.text.0;
        &text[SCHEME.len()..text.len() - 1]
    }

    /// Returns the bytes of [`expose`](Token::expose) and a NUL.
    #[cfg(feature = "capi")]
    pub(crate) fn bytes_with_nul(&self) -> &[u8] {
        &self.0.text.0.as_bytes()[SCHEME.len()..]
    }

    /// Returns when the token expires, on this host's wall clock.
    ///
    /// The library requests the next token well before that.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.0.expires_at
    }

    /// Returns the value of the `Authorization` header, scheme included.
    pub(crate) fn authorization(&self) -> &HeaderValue {
        &self.0.header
    }

    /// Returns the generation, which grows with every token issued for the same credentials, across
    /// processes and restarts.
    pub(crate) fn generation(&self) -> u64 {
        self.0.generation
    }

    /// Records that the API responded to this token with a status other than 401. Cheap enough for
    /// every response: after the first time it is a load.
    pub(crate) fn accepted(&self) {
        if !self.was_accepted() {
            self.0.accepted.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn was_accepted(&self) -> bool {
        self.0.accepted.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("expires_at", &self.0.expires_at)
            .finish_non_exhaustive()
    }
}

/// Returns how long after `received` the token of this response is valid.
///
/// `expires_in` counts from the time of sending, since the token was issued at some time after
/// that. A JWT's own `exp`, compared with the server's clock and not with this host's, applies if
/// it is earlier: the token endpoint may return a token that is hours old.
pub(crate) fn lifetime(response: &TokenResponse, sent: ClockTime, received: ClockTime) -> Duration {
    let elapsed = received.mono.saturating_sub(sent.mono);
    let stated = response
        .expires_in
        .filter(|seconds| !seconds.is_nan())
        .map(|seconds| bounded(seconds).saturating_sub(elapsed));
    let server_now = match response.server_date {
        Some(date) => date.duration_since(UNIX_EPOCH).unwrap_or_default(),
        None => received.wall,
    };
    let own = jwt_expiry(response.access_token.expose())
        .map(|expiry| bounded(expiry - server_now.as_secs_f64()));
    let life = match (stated, own) {
        (Some(stated), Some(own)) => stated.min(own),
        (Some(life), None) | (None, Some(life)) => life,
        (None, None) => DEFAULT_LIFETIME,
    };
    if life.is_zero() {
        EXPIRED_ON_ARRIVAL_LIFETIME
    } else {
        life
    }
}

/// Returns seconds as a duration from zero to [`MAX_LIFETIME`].
fn bounded(seconds: f64) -> Duration {
    // `max` comes first because it also turns a NaN into zero.
    Duration::from_secs_f64(seconds.max(0.0).min(MAX_LIFETIME.as_secs_f64()))
}

/// Returns the `exp` claim of a JWT, in seconds since 1970; `None` for anything that is not a JWT.
///
/// The signature is not checked: anyone who can forge the response can forge `expires_in` too.
pub(super) fn jwt_expiry(token: &str) -> Option<f64> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let claims: Claims = serde_json::from_slice(&base64_url(payload)?).ok()?;
    claims.exp.is_finite().then_some(claims.exp)
}

/// Base64 with the URL-safe alphabet; padding is optional, and unused trailing bits are ignored.
const JWT_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes a part of a JWT.
pub(super) fn base64_url(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // The capacity suffices: a buffer that grows leaves copies in memory.
    let capacity = base64::decoded_len_estimate(text.len());
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    JWT_BASE64.decode_vec(text, &mut bytes).ok()?;
    Some(bytes)
}

/// Returns a JWT with this payload.
#[cfg(any(test, fuzzing))]
pub(super) fn jwt(payload: &[u8]) -> String {
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(payload);
    format!("e30.{payload}.c2ln")
}

#[cfg(test)]
mod tests {
    use super::super::tests::test_support::NOW;
    use super::*;

    fn life(token: &str, expires_in: Option<f64>, server_date: Option<u64>) -> u64 {
        let response = TokenResponse {
            access_token: Secret::from(token),
            expires_in,
            server_date: server_date.map(|at| UNIX_EPOCH + Duration::from_secs(at)),
        };
        lifetime(&response, NOW, NOW).as_secs()
    }

    #[test]
    fn lifetime_follows_expires_in_and_jwt_expiry() {
        let now = NOW.wall.as_secs();
        let jwt = |exp: u64| jwt(format!(r#"{{"sub":"ü","exp":{exp},"aud":["a"]}}"#).as_bytes());
        let month = MAX_LIFETIME.as_secs();
        type Row = (&'static str, String, Option<f64>, Option<u64>, u64);
        #[rustfmt::skip]
        let table: &[Row] = &[
            ("as stated",              "opaque".into(), Some(86_400.0), None, 86_400),
            ("unstated",               "opaque".into(), None, None, 300),
            ("zero",                   "opaque".into(), Some(0.0), None, 30),
            ("negative",               "opaque".into(), Some(-5.0), None, 30),
            ("absurdly long",          "opaque".into(), Some(u64::MAX as f64), None, month),
            ("infinite",               "opaque".into(), Some(f64::INFINITY), None, month),
            ("no number",              "opaque".into(), Some(f64::NAN), None, 300),
            ("earlier exp wins",       jwt(now + 600), Some(86_400.0), None, 600),
            ("later exp does not",     jwt(now + 9_000), Some(600.0), None, 600),
            ("exp alone",              jwt(now + 600), None, None, 600),
            ("exp long past",          jwt(now - 600), Some(86_400.0), None, 30),
            ("local clock is fast",      jwt(now), Some(86_400.0), Some(now - 3_600), 3_600),
            ("local clock is slow",      jwt(now + 7_200), Some(86_400.0), Some(now + 3_600), 3_600),
            ("invalid exp",          super::jwt(br#"{"exp":"soon"}"#), Some(60.0), None, 60),
            ("invalid payload",      super::jwt(b"[]"), Some(60.0), None, 60),
            ("dots, but not a JWT",       "a.%%%.c".into(), Some(60.0), None, 60),
            ("standard alphabet", "a.eyJleHAiOjYwMH0+.c".into(), Some(60.0), None, 60),
            ("four parts",             jwt(now + 6) + ".d", Some(60.0), None, 60),
        ];
        for (name, token, expires_in, date, expected) in table {
            assert_eq!(life(token, *expires_in, *date), *expected, "{name}");
        }
    }

    #[test]
    fn lifetime_counts_from_sending() {
        let response = TokenResponse {
            access_token: Secret::from("opaque"),
            expires_in: Some(100.0),
            server_date: None,
        };
        let received = NOW.after(Duration::from_secs(30));
        assert_eq!(lifetime(&response, NOW, received), Duration::from_secs(70));
    }

    #[test]
    fn new_rejects_invalid_header_values() {
        for text in ["", " ", "a b", "a\r\nX-Evil: 1", "a\0", "tök", "a\u{7f}"] {
            assert!(
                Token::new(&Secret::from(text), UNIX_EPOCH, 1).is_none(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn debug_redacts_the_token() {
        let token = Token::new(&Secret::from("eyJhbGci"), UNIX_EPOCH, 1).unwrap();
        assert_eq!(token.expose(), "eyJhbGci");
        assert_eq!(token.authorization(), "Bearer eyJhbGci");
        assert!(!format!("{token:?}").contains("eyJ"));
    }
}
