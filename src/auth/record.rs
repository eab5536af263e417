//! Formats of the token stores: the record of a cache key, encrypted (ChaCha20-Poly1305), and the
//! rate limit record of a token host, JSON, signed (HMAC-SHA256) where other tenants can write it.
//!
//! Versions of the library that share a store have to work side by side:
//!
//! - A token record begins with its format version. One of another version is ignored and not
//!   overwritten. A change of the format changes the version and `DOMAIN` in `key.rs`, and with it the names
//!   of the records.
//! - The rate limit record keeps its name and the meaning of its fields. A version may add fields;
//!   the others keep them when they write the record.

use std::time::Duration;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::TokenRequest;
use super::key::{CacheKey, TokenHostKey, hex, key_material};
use super::time::{ClockTime, millis};
use super::token_state::MAX_AUTH_FAILURE_WINDOW;
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::random;
use crate::secret::{Secret, Zeroizing};

/// Maximum clock skew: a record from a later time was written with a wrong clock and is ignored.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// Maximum duration of a 429 block, jitter included; a stored block that is longer is ignored.
pub(crate) const MAX_BLOCK: Duration = Duration::from_secs(66 * 60);

/// Maximum time between a request and its 429.
const MAX_RESPONSE_TIME: Duration = Duration::from_secs(600);

/// Prefix of every sealed record; its number is the format version.
const MAGIC: &[u8; 8] = b"cadmtok3";
/// Prefix of the sealed records of all versions.
const ANY_VERSION: &[u8] = b"cadmtok";

/// Format version of the rate limit record.
const RATE_LIMIT_VERSION: u32 = 1;
/// Maximum number of signed states in a rate limit record: one for each client secret in use.
const MAX_SIGNED_STATES: usize = 32;

/// Time to live of a rate limit record, and of each state in it.
pub(crate) const RATE_RECORD_TTL: Duration = Duration::from_secs(2 * 3600);

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

/// A rejection of the credentials by the token endpoint, shared so that other processes send no
/// request.
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
        let error = Error::new(
            ErrorKind::Authentication,
            Stage::Token,
            Outcome::NotSent,
            self.message.clone(),
        )
        .with_server_message(self.server_message.clone());
        match self.http_status {
            Some(status) => error.with_http_status(status),
            None => error,
        }
    }
}

/// Shared state of the rate limiter of one token host. Times are milliseconds since 1970, of the
/// store's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RateLimitRecord {
    /// When the last request was sent, or its response received.
    #[serde(default)]
    pub(crate) last_request_at: u64,
    /// When the last 429 was received, and until when it blocks.
    #[serde(default)]
    pub(crate) blocked_at: u64,
    #[serde(default)]
    pub(crate) blocked_until: u64,
    /// Consecutive 429s.
    #[serde(default)]
    pub(crate) consecutive_429s: u32,
}

/// The part of a [`RateLimitRecord`] that fits into two timestamps of a file, for stores without
/// free space. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RateLimitTimes {
    /// When the last request was sent, or its response received.
    pub(crate) last_request_at: u64,
    /// Until when a 429 blocks; zero or in the past if none does.
    pub(crate) blocked_until: u64,
}

impl RateLimitTimes {
    /// Returns the rest of the block; zero if none applies.
    pub(crate) fn block_remaining(&self, now: ClockTime) -> Duration {
        let left = remaining_span(
            self.last_request_at,
            self.blocked_until,
            now,
            MAX_BLOCK + MAX_RESPONSE_TIME,
            MAX_BLOCK,
        );
        left.unwrap_or_default()
    }
}

impl From<RateLimitRecord> for RateLimitTimes {
    fn from(record: RateLimitRecord) -> Self {
        RateLimitTimes {
            last_request_at: record.last_request_at,
            blocked_until: record.blocked_until,
        }
    }
}

impl RateLimitRecord {
    /// Returns the rest of the block; zero if none applies.
    pub(crate) fn block_remaining(&self, now: ClockTime) -> Duration {
        // A block still applies if the clock was set back during it, so the tolerance is that of
        // the block itself.
        remaining_span(
            self.blocked_at,
            self.blocked_until,
            now,
            MAX_BLOCK,
            MAX_BLOCK,
        )
        .unwrap_or_default()
    }
}

/// The rate limit record of one token host in a store.
///
/// A private store has the state alone. In a store that other tenants can write to, each client
/// secret has a state of its own, signed with a key derived from the secret: a process that has
/// another secret cannot verify it, and keeps it when it writes its own. The state that is not
/// signed is for such processes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredRateLimit {
    #[serde(default)]
    version: u32,
    #[serde(flatten)]
    pub(crate) state: RateLimitRecord,
    /// [`SignedState`]s, possibly of later versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signed: Vec<Value>,
    /// Fields of later versions.
    #[serde(flatten)]
    unknown: Map<String, Value>,
}

/// A state and its signature.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct SignedState {
    /// Identifies the signing key.
    key: String,
    #[serde(flatten)]
    state: RateLimitRecord,
    /// HMAC-SHA256, hexadecimal.
    mac: String,
}

/// What a record contains that this process cannot verify.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UnverifiedState {
    pub(crate) last_request_at: u64,
    /// Whether it contains a block that has not ended.
    pub(crate) blocks: bool,
}

impl StoredRateLimit {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        // Numbers and JSON always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Returns the state that was signed with this key, and what else the record contains.
    pub(crate) fn verify(
        &self,
        signer: &RateLimitSigner,
        now: ClockTime,
    ) -> (Option<RateLimitRecord>, UnverifiedState) {
        let mut verified: Option<RateLimitRecord> = None;
        let mut others = vec![self.state];
        // New states are at the end; another tenant can write a list of any length.
        let surplus = self.signed.len().saturating_sub(MAX_SIGNED_STATES);
        for state in &self.signed[surplus..] {
            let Ok(signed) = serde_json::from_value::<SignedState>(state.clone()) else {
                continue;
            };
            match signer.verify(&signed) {
                true => verified = Some(signed.state),
                false => others.push(signed.state),
            }
        }
        // The state without a signature repeats one that has a signature.
        let known = verified.unwrap_or_default();
        let latest = others.iter().map(|state| state.last_request_at).max();
        let latest = latest.unwrap_or_default();
        let unverified = UnverifiedState {
            last_request_at: if latest > known.last_request_at {
                latest
            } else {
                0
            },
            blocks: others.iter().any(|state| {
                state.blocked_until > known.blocked_until && !state.block_remaining(now).is_zero()
            }),
        };
        (verified, unverified)
    }

    /// Replaces the state of the private store.
    pub(crate) fn set(&mut self, state: RateLimitRecord) {
        self.version = self.version.max(RATE_LIMIT_VERSION);
        self.state = state;
    }

    /// Replaces the state that was signed with this key, and keeps those of other keys.
    pub(crate) fn set_signed(
        &mut self,
        state: RateLimitRecord,
        signer: &RateLimitSigner,
        now: ClockTime,
    ) {
        let before = self.state;
        self.set(state);
        // Processes that verify no signature have to respect the block of other keys too.
        if before.blocked_until > state.blocked_until && !before.block_remaining(now).is_zero() {
            self.state.blocked_at = before.blocked_at;
            self.state.blocked_until = before.blocked_until;
        }
        let oldest = now.wall_millis().saturating_sub(millis(RATE_RECORD_TTL));
        self.signed.retain(|signed| {
            let time = |field: &str| signed[field].as_u64().unwrap_or_default();
            signed["key"] != signer.id.as_str()
                && time("last_request_at").max(time("blocked_until")) >= oldest
        });
        let surplus = (self.signed.len() + 1).saturating_sub(MAX_SIGNED_STATES);
        self.signed.drain(..surplus);
        let signed = serde_json::to_value(signer.sign(state));
        self.signed.extend(signed);
    }
}

/// Key that signs rate limit states of one token host, derived from the client secret.
pub(crate) struct RateLimitSigner {
    key: hmac::Key,
    id: String,
    host: String,
}

impl RateLimitSigner {
    pub(crate) fn new(request: &TokenRequest) -> Self {
        let keyed = key_material(request);
        // Expanding to the length of the digest itself cannot be too long.
        let derive =
            |info: &[u8]| hmac::Key::from(keyed.expand(&[info], hmac::HMAC_SHA256).unwrap());
        let host = TokenHostKey::of(&request.token_url).digest();
        let id = hmac::sign(&derive(b"rate limit key id"), host.as_bytes());
        RateLimitSigner {
            key: derive(b"rate limit"),
            id: hex(&id.as_ref()[..8]),
            host,
        }
    }

    fn message(&self, state: &RateLimitRecord) -> String {
        let RateLimitRecord {
            last_request_at,
            blocked_at,
            blocked_until,
            consecutive_429s,
        } = state;
        let host = &self.host;
        format!("{host} {last_request_at} {blocked_at} {blocked_until} {consecutive_429s}")
    }

    fn sign(&self, state: RateLimitRecord) -> SignedState {
        let mac = hmac::sign(&self.key, self.message(&state).as_bytes());
        SignedState {
            key: self.id.clone(),
            state,
            mac: hex(mac.as_ref()),
        }
    }

    fn verify(&self, signed: &SignedState) -> bool {
        let mac: Option<Vec<u8>> = (0..signed.mac.len() / 2)
            .map(|at| {
                let digits = signed.mac.get(2 * at..2 * at + 2)?;
                u8::from_str_radix(digits, 16).ok()
            })
            .collect();
        let message = self.message(&signed.state);
        signed.key == self.id
            && mac.is_some_and(|mac| hmac::verify(&self.key, message.as_bytes(), &mac).is_ok())
    }
}

/// Returns the rest of a time span that was written with a wall clock, at most its length. `None`
/// if it is over, longer than `longest`, or begins later than `now` plus `tolerance`.
fn remaining_span(
    at: u64,
    until: u64,
    now: ClockTime,
    longest: Duration,
    tolerance: Duration,
) -> Option<Duration> {
    let now = now.wall_millis();
    let span = until.saturating_sub(at);
    if span > millis(longest) || at > now.saturating_add(millis(tolerance)) {
        return None;
    }
    let left = until.saturating_sub(now).min(span);
    (left > 0).then(|| Duration::from_millis(left))
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
    use super::super::tests::test_support::request;
    use super::*;

    const NOW: ClockTime = ClockTime {
        mono: Duration::from_secs(1_000),
        wall: Duration::from_secs(1_780_000_000),
    };
    const NOW_MILLIS: u64 = 1_780_000_000_000;

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
    fn open_and_decode_reject_invalid_records() {
        let sealed = cipher().seal(&record()).unwrap();
        for cut in 0..sealed.len() {
            assert!(cipher().open(&sealed[..cut]).is_none(), "cut at {cut}");
        }
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert!(cipher().open(&broken).is_none(), "broken at {at}");
        }
        for text in [
            "",
            "{",
            "7",
            r#"{"last_request_at":-1}"#,
            r#"{"last_request_at":"soon"}"#,
        ] {
            assert!(StoredRateLimit::decode(text.as_bytes()).is_none(), "{text}");
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
    fn remaining_span_is_bounded_and_plausible() {
        let hour = Duration::from_secs(3600);
        #[rustfmt::skip]
        let table = [
            ("as noted",            -10_000, 20_000,     Some(20)),
            ("over",                -30_000, 0,          None),
            ("the clock went back", 600_000, 630_000,    Some(30)),
            ("from the far future", 7_200_000, 7_230_000, None),
            ("longer than allowed", 0,       7_200_000,  None),
        ];
        for (name, at, until, expected) in table {
            let at = NOW_MILLIS.saturating_add_signed(at);
            let until = NOW_MILLIS.saturating_add_signed(until);
            let left = remaining_span(at, until, NOW, hour, hour);
            assert_eq!(left, expected.map(Duration::from_secs), "{name}");
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

    fn signer(secret: &str) -> RateLimitSigner {
        RateLimitSigner::new(&TokenRequest {
            client_secret: Secret::from(secret),
            ..request()
        })
    }

    fn blocked(seconds: u64) -> RateLimitRecord {
        RateLimitRecord {
            last_request_at: NOW_MILLIS - 500,
            blocked_at: NOW_MILLIS,
            blocked_until: NOW_MILLIS + seconds * 1_000,
            consecutive_429s: 1,
        }
    }

    #[test]
    fn verify_accepts_only_states_signed_with_the_same_secret() {
        let mut stored = StoredRateLimit::default();
        stored.set_signed(blocked(60), &signer("hunter2"), NOW);
        let (verified, unverified) = stored.verify(&signer("hunter2"), NOW);
        assert_eq!(verified, Some(blocked(60)));
        assert_eq!(unverified, UnverifiedState::default());
        let (verified, unverified) = stored.verify(&signer("hunter3"), NOW);
        assert_eq!(verified, None);
        let expected = UnverifiedState {
            last_request_at: NOW_MILLIS - 500,
            blocks: true,
        };
        assert_eq!(unverified, expected);
        // The record of another host.
        let other = RateLimitSigner::new(&TokenRequest {
            token_url: "https://other.example/oauth/token".into(),
            ..request()
        });
        assert_eq!(stored.verify(&other, NOW).0, None);
    }

    #[test]
    fn verify_rejects_a_changed_state() {
        let mut stored = StoredRateLimit::default();
        stored.set_signed(blocked(60), &signer("hunter2"), NOW);
        for (field, value) in [
            ("blocked_until", Value::from(NOW_MILLIS + 3_600_000)),
            ("last_request_at", Value::from(NOW_MILLIS)),
            ("consecutive_429s", Value::from(9)),
            ("mac", Value::from("")),
            ("mac", Value::from("zz")),
            ("key", Value::from("0000000000000000")),
        ] {
            let mut forged = stored.clone();
            forged.signed[0][field] = value;
            assert_eq!(forged.verify(&signer("hunter2"), NOW).0, None, "{field}");
        }
    }

    #[test]
    fn set_signed_keeps_the_states_of_other_secrets() {
        let mut stored = StoredRateLimit::default();
        stored.set_signed(blocked(600), &signer("hunter2"), NOW);
        let later = RateLimitRecord {
            last_request_at: NOW_MILLIS + 5_000,
            ..RateLimitRecord::default()
        };
        stored.set_signed(later, &signer("hunter3"), NOW);
        let stored = StoredRateLimit::decode(&stored.encode()).unwrap();
        assert_eq!(stored.verify(&signer("hunter2"), NOW).0, Some(blocked(600)));
        assert_eq!(stored.verify(&signer("hunter3"), NOW).0, Some(later));
        // For processes that verify nothing.
        assert_eq!(stored.state.last_request_at, NOW_MILLIS + 5_000);
        assert_eq!(stored.state.blocked_until, NOW_MILLIS + 600_000);
        // A state is dropped when it is of no interest.
        let mut stored = stored;
        let much_later = NOW.after(2 * RATE_RECORD_TTL);
        stored.set_signed(later, &signer("hunter4"), much_later);
        assert_eq!(stored.signed.len(), 1);
        // The number of states is limited.
        for number in 0..100 {
            stored.set_signed(blocked(60), &signer(&number.to_string()), NOW);
        }
        assert_eq!(stored.signed.len(), MAX_SIGNED_STATES);
        assert_eq!(stored.verify(&signer("99"), NOW).0, Some(blocked(60)));
    }

    #[test]
    fn rate_limit_record_keeps_fields_of_later_versions() {
        let text = format!(
            r#"{{"version":7,"last_request_at":{NOW_MILLIS},"sparkle":[1],"signed":[{{"key":"k","sparkle":2,"last_request_at":{NOW_MILLIS}}}]}}"#
        );
        let mut stored = StoredRateLimit::decode(text.as_bytes()).unwrap();
        assert_eq!(stored.state.last_request_at, NOW_MILLIS);
        stored.set_signed(blocked(60), &signer("hunter2"), NOW);
        let written: Value = serde_json::from_slice(&stored.encode()).unwrap();
        assert_eq!(written["version"], 7);
        assert_eq!(written["sparkle"], serde_json::json!([1]));
        assert_eq!(written["signed"][0]["sparkle"], 2);
        assert_eq!(written["last_request_at"], NOW_MILLIS - 500);
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
