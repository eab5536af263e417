//! Format of the rate limit record of a token host in the token stores: JSON, signed (HMAC-SHA256)
//! where other tenants can write it.
//!
//! Versions of the library that share a store have to work side by side: the record keeps its name and
//! the meaning of its fields. A version may add fields; the others keep them when they write the
//! record.

use std::time::Duration;

use ring::hmac;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::TokenRequest;
use super::key::{TokenHostKey, hex, key_material};
use super::time::{ClockTime, millis, remaining_span};

/// Maximum duration of a 429 block, jitter included; a stored block that is longer is ignored.
pub(crate) const MAX_BLOCK: Duration = Duration::from_secs(66 * 60);

/// Maximum time between a request and its 429.
const MAX_RESPONSE_TIME: Duration = Duration::from_secs(600);

/// Format version of the rate limit record.
const RATE_LIMIT_VERSION: u32 = 1;
/// Maximum number of signed states in a rate limit record: one for each client secret in use. A process
/// whose state is missing does not know of a block. 200 bytes each.
const MAX_SIGNED_STATES: usize = 128;

/// Time to live of a rate limit record, and of each state in it.
pub(crate) const RATE_RECORD_TTL: Duration = Duration::from_secs(2 * 3600);

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

#[cfg(test)]
mod tests {
    use super::super::tests::test_support::{NOW, NOW_MILLIS, request};
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn decode_rejects_invalid_records() {
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
        for number in 0..200 {
            stored.set_signed(blocked(60), &signer(&number.to_string()), NOW);
            if number == 99 {
                assert_eq!(stored.verify(&signer("0"), NOW).0, Some(blocked(60)));
            }
        }
        assert_eq!(stored.signed.len(), MAX_SIGNED_STATES);
        assert_eq!(stored.verify(&signer("199"), NOW).0, Some(blocked(60)));
    }

    #[test]
    fn set_signed_repeats_the_longest_block_without_a_signature() {
        let idle = RateLimitRecord::default();
        for (first, second, longest) in [(600, 60, 600), (60, 600, 600)] {
            let mut stored = StoredRateLimit::default();
            stored.set_signed(blocked(first), &signer("hunter2"), NOW);
            stored.set_signed(blocked(second), &signer("hunter3"), NOW);
            stored.set_signed(idle, &signer("hunter4"), NOW);
            let block = (stored.state.blocked_at, stored.state.blocked_until);
            assert_eq!(block, (NOW_MILLIS, NOW_MILLIS + longest * 1_000));
            // A block that has ended is not repeated.
            let ended = NOW.after(Duration::from_secs(longest));
            stored.set_signed(idle, &signer("hunter4"), ended);
            assert_eq!(stored.state, idle);
        }
    }

    #[test]
    fn set_signed_replaces_its_own_state_and_drops_old_ones() {
        let mut stored = StoredRateLimit::default();
        for seconds in [60, 3_600] {
            stored.set_signed(blocked(seconds), &signer("hunter2"), NOW);
            assert_eq!(stored.signed.len(), 1);
        }
        // Kept until long after the end of its block.
        let end = NOW.after(Duration::from_secs(3_600) + RATE_RECORD_TTL);
        let own = signer("hunter3");
        stored.set_signed(blocked(0), &own, end);
        assert_eq!(stored.signed.len(), 2);
        stored.set_signed(blocked(0), &own, end.after(Duration::from_millis(1)));
        assert_eq!(stored.signed.len(), 1);
    }

    #[test]
    fn block_of_times_is_as_long_as_a_block_after_a_slow_response() {
        let longest = millis(MAX_BLOCK + MAX_RESPONSE_TIME);
        for (length, applies) in [(longest, true), (longest + 1, false)] {
            let times = RateLimitTimes {
                last_request_at: NOW_MILLIS - 1_000,
                blocked_until: NOW_MILLIS - 1_000 + length,
            };
            assert_eq!(!times.block_remaining(NOW).is_zero(), applies, "{length}");
        }
    }

    #[test]
    fn verify_reads_a_limited_number_of_states() {
        let mut stored = StoredRateLimit::default();
        stored.set_signed(blocked(60), &signer("hunter2"), NOW);
        let other = serde_json::to_value(signer("hunter3").sign(blocked(60))).unwrap();
        let own = signer("hunter2");
        stored.signed.resize(MAX_SIGNED_STATES, other.clone());
        assert!(stored.verify(&own, NOW).0.is_some());
        stored.signed.push(other);
        assert_eq!(stored.verify(&own, NOW).0, None);
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
}
