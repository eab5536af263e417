//! Format of the token record of a cache key in the token stores: JSON, encrypted (ChaCha20-Poly1305).
//!
//! Versions of the library that share a store have to work side by side: a token record begins with
//! its format version. One of another version is ignored and not overwritten. A change of the format
//! changes the version and `DOMAIN` in `key.rs`, and with it the names of the records.

use std::time::Duration;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};

use super::TokenRequest;
use super::key::{CacheKey, key_material};
use super::time::{ClockTime, millis, remaining_span};
use super::token_state::MAX_AUTH_FAILURE_WINDOW;
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::random;
use crate::secret::{Secret, Zeroizing};

/// Maximum clock skew: a record from a later time was written with a wrong clock and is ignored.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Prefix of every sealed record; its number is the format version.
const MAGIC: &[u8; 8] = b"cadmtok3";
/// Prefix of the sealed records of all versions.
const ANY_VERSION: &[u8] = b"cadmtok";

/// Returns whether a value is the token record of another version of the library.
pub(crate) fn is_of_other_version(value: &[u8]) -> bool {
    value.starts_with(ANY_VERSION) && !value.starts_with(MAGIC)
}

/// Shared state of one cache key. Times are milliseconds since 1970, of the store's clock where it
/// is stored, of this machine's wall clock in memory.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    /// The highest generation issued, even if its token was dropped.
    pub(crate) generation: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<StoredToken>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth_failure: Option<StoredAuthFailure>,
    /// Set by a refresh that ended without a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_pause: Option<StoredPause>,
    /// Set in the fallback of a store for what was obtained while that store was not available.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unshared: bool,
}

impl TokenRecord {
    /// Returns when the last of its parts expires.
    pub(crate) fn last_expiry(&self) -> u64 {
        let token = self.token.as_ref().map_or(0, |it| it.expires_at);
        let auth_failure = self.auth_failure.as_ref().map_or(0, |it| it.until);
        let pause = self.refresh_pause.map_or(0, |it| it.until);
        token.max(auth_failure).max(pause)
    }

    /// Converts all times between two clocks, the second of which is ahead by `millis`.
    pub(crate) fn shifted(mut self, millis: i64) -> Self {
        let shift = |time: &mut u64| *time = time.saturating_add_signed(millis);
        if let Some(token) = &mut self.token {
            shift(&mut token.issued_at);
            shift(&mut token.expires_at);
        }
        if let Some(auth_failure) = &mut self.auth_failure {
            shift(&mut auth_failure.at);
            shift(&mut auth_failure.until);
        }
        if let Some(pause) = &mut self.refresh_pause {
            shift(&mut pause.at);
            shift(&mut pause.until);
        }
        self
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredToken {
    pub(crate) access_token: Secret,
    pub(crate) issued_at: u64,
    pub(crate) expires_at: u64,
}

/// A rejection of the credentials or the request by the token endpoint, shared so that other processes
/// send no request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredAuthFailure {
    pub(crate) at: u64,
    pub(crate) until: u64,
    /// Consecutive rejections.
    pub(crate) count: u32,
    pub(crate) message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_message: Option<String>,
    /// Whether the endpoint rejected the request whatever the credentials are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) invalid_request: bool,
}

/// A pause of refreshes, after one that got no response within its timeout: the token endpoint
/// holds back the rejection of bad credentials for longer than some calls may take. The token is
/// used meanwhile; only calls without a valid token send a request.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct StoredPause {
    pub(crate) at: u64,
    pub(crate) until: u64,
    /// Consecutive refreshes without a response.
    pub(crate) count: u32,
}

impl StoredPause {
    pub(crate) fn new(at: ClockTime, window: Duration, count: u32) -> Self {
        StoredPause {
            at: at.wall_millis(),
            until: at.after(window).wall_millis(),
            count,
        }
    }

    /// Returns the rest of the pause; `None` once it is over, and for one from the future.
    pub(crate) fn remaining(&self, now: ClockTime) -> Option<Duration> {
        pause_remaining(self.at, self.until, now)
    }

    /// Returns whether it is recent enough for the next refresh without a response to be
    /// consecutive.
    pub(crate) fn counts(&self, now: ClockTime) -> bool {
        is_recent(self.at, now)
    }
}

impl StoredToken {
    /// Returns the total lifetime and the remaining one; `None` if the token is expired, or from
    /// the future, so that its age is unknown.
    pub(crate) fn lifetime(&self, now: ClockTime) -> Option<(Duration, Duration)> {
        let now = now.wall_millis();
        let plausible = self.issued_at <= now.saturating_add(millis(MAX_CLOCK_SKEW));
        let life = Duration::from_millis(self.expires_at.saturating_sub(self.issued_at));
        let left = Duration::from_millis(self.expires_at.saturating_sub(now)).min(life);
        (plausible && !left.is_zero()).then_some((life, left))
    }
}

impl StoredAuthFailure {
    pub(crate) fn new(at: ClockTime, window: Duration, count: u32, error: &Error) -> Self {
        StoredAuthFailure {
            at: at.wall_millis(),
            until: at.after(window).wall_millis(),
            count,
            message: error.message().to_owned(),
            http_status: error.http_status(),
            server_message: error.server_message().map(str::to_owned),
            invalid_request: error.kind() == ErrorKind::Config,
        }
    }

    /// Returns how long no token request may be sent; `None` once that is over, and for an
    /// implausible record.
    pub(crate) fn remaining(&self, now: ClockTime) -> Option<Duration> {
        pause_remaining(self.at, self.until, now)
    }

    /// Returns whether it is recent enough for the next rejection to be consecutive.
    pub(crate) fn counts(&self, now: ClockTime) -> bool {
        is_recent(self.at, now)
    }

    pub(crate) fn error(&self) -> Error {
        let kind = match self.invalid_request {
            true => ErrorKind::Config,
            false => ErrorKind::Authentication,
        };
        let error = Error::new(kind, Stage::Token, Outcome::NotSent, self.message.clone())
            .with_server_message(self.server_message.clone());
        match self.http_status {
            Some(status) => error.with_http_status(status),
            None => error,
        }
    }
}

/// As [`remaining_span`], for the pause after a rejection or after a refresh without a response.
fn pause_remaining(at: u64, until: u64, now: ClockTime) -> Option<Duration> {
    remaining_span(at, until, now, MAX_AUTH_FAILURE_WINDOW, MAX_CLOCK_SKEW)
}

/// Returns whether a rejection or a refresh without a response is recent enough for the next one to
/// be consecutive.
fn is_recent(at: u64, now: ClockTime) -> bool {
    now.wall_millis().saturating_sub(at) <= 2 * millis(MAX_AUTH_FAILURE_WINDOW)
}

/// Cipher for the records of one cache key, with an encryption key derived from the client secret:
/// without the secret, a record can neither be read nor forged.
pub(crate) struct RecordCipher {
    key: LessSafeKey,
    cache_key: CacheKey,
}

impl RecordCipher {
    pub(crate) fn new(request: &TokenRequest, cache_key: CacheKey) -> Self {
        let keyed = key_material(request);
        // The algorithm's own key length is never too long.
        let key = UnboundKey::from(keyed.expand(&[b"seal"], &CHACHA20_POLY1305).unwrap());
        RecordCipher {
            key: LessSafeKey::new(key),
            cache_key,
        }
    }

    /// Returns the associated data: the format version, and through the key's digest all parameters
    /// of the token request. A record copied to the name of another does not open.
    fn context(&self) -> Aad<Vec<u8>> {
        Aad::from([&MAGIC[..], self.cache_key.as_bytes()].concat())
    }

    /// Encrypts a record. Returns `None` only without a source of random numbers.
    pub(crate) fn seal(&self, record: &TokenRecord) -> Option<Vec<u8>> {
        // The capacity suffices: a buffer that grows leaves copies in memory.
        let token = record
            .token
            .as_ref()
            .map_or(0, |token| token.access_token.expose().len());
        let mut text = Zeroizing::new(Vec::with_capacity(2 * token + 4096));
        serde_json::to_writer(&mut *text, record).ok()?;
        let mut nonce = [0; NONCE_LEN];
        random::fill(&mut nonce).ok()?;
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                self.context(),
                text.as_mut_slice(),
            )
            .ok()?;
        Some([&MAGIC[..], &nonce, &text, tag.as_ref()].concat())
    }

    /// Decrypts a record. Returns `None` for anything that was not sealed by this version for this
    /// key.
    pub(crate) fn open(&self, sealed: &[u8]) -> Option<TokenRecord> {
        let (nonce, text) = sealed
            .strip_prefix(MAGIC)?
            .split_first_chunk::<NONCE_LEN>()?;
        let mut text = Zeroizing::new(text.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self
            .key
            .open_in_place(nonce, self.context(), text.as_mut_slice())
            .ok()?;
        serde_json::from_slice(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::test_support::{NOW, NOW_MILLIS, request};
    use super::*;

    fn record() -> TokenRecord {
        let access_token = Secret::from("eyJhbGci.eyJleHAi.c2ln");
        TokenRecord {
            generation: 7,
            token: Some(StoredToken {
                access_token,
                issued_at: NOW_MILLIS,
                expires_at: NOW_MILLIS + 60_000,
            }),
            auth_failure: None,
            refresh_pause: None,
            unshared: false,
        }
    }

    fn cipher() -> RecordCipher {
        RecordCipher::new(&request(), CacheKey::of(&request()))
    }

    #[test]
    fn open_requires_the_same_credentials() {
        let sealed = cipher().seal(&record()).unwrap();
        let opened = cipher().open(&sealed).unwrap();
        assert_eq!(opened.generation, 7);
        assert_eq!(
            opened.token.unwrap().access_token.expose(),
            "eyJhbGci.eyJleHAi.c2ln"
        );
        assert!(!sealed.windows(8).any(|window| window == b"eyJhbGci"));

        let mut other = request();
        other.client_secret = Secret::from("hunter3");
        assert!(
            RecordCipher::new(&other, CacheKey::of(&other))
                .open(&sealed)
                .is_none()
        );
        // The right secret, but for another audience.
        let mut other = request();
        other.audience = "other.example".into();
        assert!(
            RecordCipher::new(&other, CacheKey::of(&other))
                .open(&sealed)
                .is_none()
        );
    }

    #[test]
    fn open_rejects_invalid_records() {
        let sealed = cipher().seal(&record()).unwrap();
        for cut in 0..sealed.len() {
            assert!(cipher().open(&sealed[..cut]).is_none(), "cut at {cut}");
        }
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert!(cipher().open(&broken).is_none(), "broken at {at}");
        }
    }

    #[test]
    fn record_with_unknown_fields_is_read() {
        let more = r#"{"generation":3,"sparkle":[1],"token":{"access_token":"t","issued_at":1,"expires_at":2,"x":0}}"#;
        let record: TokenRecord = serde_json::from_str(more).unwrap();
        assert_eq!(record.generation, 3);
    }

    #[test]
    fn stored_token_lifetime_is_bounded_and_plausible() {
        #[rustfmt::skip]
        let table = [
            ("new",               0,       600_000,  Some((600, 600))),
            ("half over",         -300_000, 300_000, Some((600, 300))),
            ("over",              -600_000, 0,       None),
            ("a little ahead",    30_000,  630_000,  Some((600, 600))),
            ("from the future",   90_000,  690_000,  None),
            ("expires backwards", 0,       -1,       None),
        ];
        for (name, obtained, expires, expected) in table {
            let token = StoredToken {
                access_token: Secret::from("t"),
                issued_at: NOW_MILLIS.saturating_add_signed(obtained),
                expires_at: NOW_MILLIS.saturating_add_signed(expires),
            };
            let expected =
                expected.map(|(life, left)| (Duration::from_secs(life), Duration::from_secs(left)));
            assert_eq!(token.lifetime(NOW), expected, "{name}");
        }
    }

    #[test]
    fn stored_auth_failure_round_trips_the_error() {
        let error = Error::new(
            ErrorKind::Authentication,
            Stage::Token,
            Outcome::NotSent,
            "denied: x",
        )
        .with_http_status(401)
        .with_server_message(Some("access_denied".into()));
        let auth_failure = StoredAuthFailure::new(NOW, Duration::from_secs(30), 1, &error);
        let shared: StoredAuthFailure =
            serde_json::from_str(&serde_json::to_string(&auth_failure).unwrap()).unwrap();
        assert_eq!(shared.remaining(NOW), Some(Duration::from_secs(30)));
        let shared = shared.error();
        assert_eq!(shared.to_string(), error.to_string());
        assert_eq!(shared.http_status(), Some(401));
        assert_eq!(shared.server_message(), Some("access_denied"));
    }

    #[test]
    fn shifted_converts_all_times() {
        let error = Error::new(
            ErrorKind::Authentication,
            Stage::Token,
            Outcome::NotSent,
            "denied",
        );
        let record = TokenRecord {
            auth_failure: Some(StoredAuthFailure::new(
                NOW,
                Duration::from_secs(30),
                1,
                &error,
            )),
            refresh_pause: Some(StoredPause::new(NOW, Duration::from_secs(60), 1)),
            ..record()
        };
        let shifted = record.clone().shifted(-300_000);
        let (token, auth_failure) = (shifted.token.unwrap(), shifted.auth_failure.unwrap());
        let pause = shifted.refresh_pause.unwrap();
        assert_eq!(token.issued_at, NOW_MILLIS - 300_000);
        assert_eq!(token.expires_at, NOW_MILLIS - 240_000);
        assert_eq!(auth_failure.at, NOW_MILLIS - 300_000);
        assert_eq!(auth_failure.until, NOW_MILLIS - 270_000);
        assert_eq!(
            (pause.at, pause.until),
            (NOW_MILLIS - 300_000, NOW_MILLIS - 240_000)
        );
    }
}
