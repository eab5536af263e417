//! What stores keep: the token of one key, sealed, and the pace of one token host, in the clear.

use std::time::Duration;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::TokenRequest;
use super::key::{CacheKey, DOMAIN};
use super::rate_limiter::MAX_BLOCK;
use super::time::{Timestamp, millis};
use super::token_state::MAX_AUTH_FAILURE_WINDOW;
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::secret::{Secret, Zeroizing};

/// A record from further ahead than this is from a clock that was wrong, and is not believed.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// A 429 comes no later than this after its request was sent.
const LONGEST_RESPONSE: Duration = Duration::from_secs(600);

/// Begins every sealed record; the number is the version of what follows.
const MAGIC: &[u8; 8] = b"cadmtok2";

/// What is known of one key, as it is shared. Times are milliseconds since 1970.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    /// The highest generation ever issued, even if its token is gone.
    pub(crate) generation: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<StoredToken>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) auth_failure: Option<StoredAuthFailure>,
    /// Set by a refresh that ended without a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_pause: Option<StoredPause>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredToken {
    pub(crate) text: Secret,
    pub(crate) obtained: u64,
    pub(crate) expires: u64,
}

/// That the endpoint refused the credentials, so that nobody else has to ask.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredAuthFailure {
    pub(crate) at: u64,
    pub(crate) until: u64,
    /// Refusals in a row.
    pub(crate) count: u32,
    pub(crate) message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http_status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_message: Option<String>,
}

/// A pause of refreshes, after one that got no response within its limit: the token endpoint holds
/// back the rejection of bad credentials for longer than some calls may take. The token is used
/// meanwhile; only calls without a valid token send a request.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct StoredPause {
    pub(crate) at: u64,
    pub(crate) until: u64,
    /// Refreshes without a response in a row.
    pub(crate) count: u32,
}

impl StoredPause {
    pub(crate) fn new(at: Timestamp, window: Duration, count: u32) -> Self {
        StoredPause {
            at: at.wall_millis(),
            until: at.after(window).wall_millis(),
            count,
        }
    }

    /// The rest of the pause; `None` once it is over, and for one from the future.
    pub(crate) fn left(&self, now: Timestamp) -> Option<Duration> {
        left_of(
            self.at,
            self.until,
            now,
            MAX_AUTH_FAILURE_WINDOW,
            MAX_CLOCK_SKEW,
        )
    }

    /// Whether the next refresh without a response is one more in a row.
    pub(crate) fn counts(&self, now: Timestamp) -> bool {
        now.wall_millis().saturating_sub(self.at) <= 2 * millis(MAX_AUTH_FAILURE_WINDOW)
    }
}

impl StoredToken {
    /// The whole life and what is left of it; `None` once it is over, and for a token from the
    /// future, whose age nobody can tell.
    pub(crate) fn life(&self, now: Timestamp) -> Option<(Duration, Duration)> {
        let now = now.wall_millis();
        let believable = self.obtained <= now.saturating_add(millis(MAX_CLOCK_SKEW));
        let life = Duration::from_millis(self.expires.saturating_sub(self.obtained));
        let left = Duration::from_millis(self.expires.saturating_sub(now)).min(life);
        (believable && !left.is_zero()).then_some((life, left))
    }
}

impl StoredAuthFailure {
    pub(crate) fn new(at: Timestamp, window: Duration, count: u32, error: &Error) -> Self {
        StoredAuthFailure {
            at: at.wall_millis(),
            until: at.after(window).wall_millis(),
            count,
            message: error.message().to_owned(),
            http_status: error.http_status(),
            server_message: error.server_message().map(str::to_owned),
        }
    }

    /// How much longer nobody is to ask; `None` once that is over, and for what cannot be believed.
    pub(crate) fn left(&self, now: Timestamp) -> Option<Duration> {
        left_of(
            self.at,
            self.until,
            now,
            MAX_AUTH_FAILURE_WINDOW,
            MAX_CLOCK_SKEW,
        )
    }

    /// Whether it is recent enough for the next auth_failure to be one more in a row.
    pub(crate) fn counts(&self, now: Timestamp) -> bool {
        let age = now.wall_millis().saturating_sub(self.at);
        age <= 2 * millis(MAX_AUTH_FAILURE_WINDOW)
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

/// The pace of one token host, as it is shared. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RateLimitRecord {
    /// When the last request was sent, or is known to have been answered.
    #[serde(default)]
    pub(crate) last: u64,
    /// When the last 429 came, and until when it blocks.
    #[serde(default)]
    pub(crate) blocked_at: u64,
    #[serde(default)]
    pub(crate) blocked_until: u64,
    /// 429s in a row.
    #[serde(default)]
    pub(crate) consecutive_429s: u32,
}

/// What remains of a [`RateLimitRecord`] where a store has no space for it: two timestamps of a file.
/// Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PaceTimes {
    /// When the last request was sent, or its response received.
    pub(crate) last: u64,
    /// Until when a 429 blocks; zero or in the past if none does.
    pub(crate) blocked_until: u64,
}

impl PaceTimes {
    /// The rest of the block.
    pub(crate) fn block_left(&self, now: Timestamp) -> Duration {
        let left = left_of(
            self.last,
            self.blocked_until,
            now,
            MAX_BLOCK + LONGEST_RESPONSE,
            MAX_BLOCK,
        );
        left.unwrap_or_default()
    }
}

impl From<RateLimitRecord> for PaceTimes {
    fn from(record: RateLimitRecord) -> Self {
        PaceTimes {
            last: record.last,
            blocked_until: record.blocked_until,
        }
    }
}

impl RateLimitRecord {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        // A struct of numbers always has a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// How much longer it is blocked.
    pub(crate) fn block_left(&self, now: Timestamp) -> Duration {
        // A clock that was set back in the middle of a block still has to be run_guarded, so the
        // tolerance is that of the block itself.
        left_of(
            self.blocked_at,
            self.blocked_until,
            now,
            MAX_BLOCK,
            MAX_BLOCK,
        )
        .unwrap_or_default()
    }
}

/// What is left of a span of time that somebody noted by the wall clock: never more than its
/// length; nothing if it is longer than such spans are, or begins further ahead than `tolerance`.
fn left_of(
    at: u64,
    until: u64,
    now: Timestamp,
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

/// Seals records of one key, with a key derived from the client secret: who does not know the
/// secret, which is all it takes to get a token, can neither read nor make one.
pub(crate) struct RecordCipher {
    key: LessSafeKey,
    token_state: CacheKey,
}

impl RecordCipher {
    pub(crate) fn new(request: &TokenRequest, token_state: CacheKey) -> Self {
        let secret = request.client_secret.expose().as_bytes();
        let keyed = hkdf::Salt::new(hkdf::HKDF_SHA256, DOMAIN).extract(secret);
        // The algorithm's own key length is never too long.
        let key = UnboundKey::from(keyed.expand(&[b"seal"], &CHACHA20_POLY1305).unwrap());
        RecordCipher {
            key: LessSafeKey::new(key),
            token_state,
        }
    }

    /// Binds the version, and through the key's digest everything the token was asked for with: a
    /// record that is put in the place of another's does not open.
    fn context(&self) -> Aad<Vec<u8>> {
        Aad::from([&MAGIC[..], self.token_state.as_bytes()].concat())
    }

    /// `None` only without a source of random numbers.
    pub(crate) fn seal(&self, record: &TokenRecord) -> Option<Vec<u8>> {
        // Room for everything at once: a buffer that grows leaves copies behind.
        let token = record
            .token
            .as_ref()
            .map_or(0, |token| token.text.expose().len());
        let mut text = Zeroizing::new(Vec::with_capacity(2 * token + 4096));
        serde_json::to_writer(&mut *text, record).ok()?;
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).ok()?;
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

    /// `None` for anything that was not sealed by this version for this key.
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

    const NOW: Timestamp = Timestamp {
        mono: Duration::from_secs(1_000),
        wall: Duration::from_secs(1_780_000_000),
    };
    const NOW_MILLIS: u64 = 1_780_000_000_000;

    fn record() -> TokenRecord {
        let text = Secret::from("eyJhbGci.eyJleHAi.c2ln");
        TokenRecord {
            generation: 7,
            token: Some(StoredToken {
                text,
                obtained: NOW_MILLIS,
                expires: NOW_MILLIS + 60_000,
            }),
            auth_failure: None,
            refresh_pause: None,
        }
    }

    fn seal() -> RecordCipher {
        RecordCipher::new(&request(), CacheKey::of(&request()))
    }

    #[test]
    fn a_sealed_record_opens_with_the_same_credentials_only() {
        let sealed = seal().seal(&record()).unwrap();
        let opened = seal().open(&sealed).unwrap();
        assert_eq!(opened.generation, 7);
        assert_eq!(
            opened.token.unwrap().text.expose(),
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
    fn whatever_is_not_a_record_is_none() {
        let sealed = seal().seal(&record()).unwrap();
        for cut in 0..sealed.len() {
            assert!(seal().open(&sealed[..cut]).is_none(), "cut at {cut}");
        }
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert!(seal().open(&broken).is_none(), "broken at {at}");
        }
        for text in ["", "{", "7", r#"{"last":-1}"#, r#"{"last":"soon"}"#] {
            assert!(RateLimitRecord::decode(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn a_record_of_a_later_version_with_more_in_it_opens() {
        let more =
            r#"{"generation":3,"sparkle":[1],"token":{"text":"t","obtained":1,"expires":2,"x":0}}"#;
        let record: TokenRecord = serde_json::from_str(more).unwrap();
        assert_eq!(record.generation, 3);
    }

    #[test]
    fn the_life_of_a_stored_token() {
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
                text: Secret::from("t"),
                obtained: NOW_MILLIS.saturating_add_signed(obtained),
                expires: NOW_MILLIS.saturating_add_signed(expires),
            };
            let expected =
                expected.map(|(life, left)| (Duration::from_secs(life), Duration::from_secs(left)));
            assert_eq!(token.life(NOW), expected, "{name}");
        }
    }

    #[test]
    fn what_is_left_of_a_span() {
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
            let left = left_of(at, until, NOW, hour, hour);
            assert_eq!(left, expected.map(Duration::from_secs), "{name}");
        }
    }

    #[test]
    fn a_shared_refusal_reads_as_it_did_where_it_happened() {
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
        assert_eq!(shared.left(NOW), Some(Duration::from_secs(30)));
        let shared = shared.error();
        assert_eq!(shared.to_string(), error.to_string());
        assert_eq!(shared.http_status(), Some(401));
        assert_eq!(shared.server_message(), Some("access_denied"));
    }
}
