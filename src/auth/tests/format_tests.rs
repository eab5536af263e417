//! Records of the first release, as it wrote them: later versions have to read them, and to share
//! their rate limit with programs that write them.
//!
//! These values never change. A new format of token records gets other names, and its own values
//! beside these.

use std::sync::Arc;
use std::time::Duration;

use super::test_support::{Endpoint, MemoryStore, Reply, call, call_within, request};
use crate::auth::cache::Cache;
use crate::auth::key::{CacheKey, TokenHostKey};
use crate::auth::rate_limit_record::{RateLimitRecord, RateLimitSigner, StoredRateLimit};
use crate::auth::time::{Clock, ClockTime, ManualClock};
use crate::auth::token_record::{RecordCipher, is_of_other_version};
use crate::auth::{TokenErrorKind, TokenStore};
use crate::error::ErrorKind;

/// The time at which the records were written, and to which a manual clock is set.
const NOW: ClockTime = ClockTime {
    mono: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_780_000_000),
};

const TOKEN_NAME: &str = "token-8397c17f42d56584305ef1a69747c314";
const RATE_LIMIT_NAME: &str = "rate-limit-88c8e4d1a6b21cfa0150045facad6d5d";

/// A token with a lifetime of an hour, generation 1780000000000.
const TOKEN_RECORD: &str = "\
    6361646d746f6b334bde1930210fdbe704790e6d0fefc8cb0bee628f5d0a313a97b2f83e1f3159da\
    60749ba706ccf3a8d2db00e6c823a03dbaed65ecf81a6a47f0db38482a8344d2ff51e97f4fd8b0ca\
    1d0d8394609395a8310312d79cb6e908d8c1210d8e81f1c22833126b2bcb351aa69ced1b0957d895\
    9dd096103ca97eca38a4123253a1c75ab842aedf117c34209df7859928cb9401215888aa90809101\
    328daf2de619cd";

/// A request at the time of the record, in a private store.
const RATE_LIMIT: &str = r#"{"version":1,"last_request_at":1780000000000,"blocked_at":0,"blocked_until":0,"consecutive_429s":0}"#;

/// A block of 60 s, in a store with several tenants.
const SIGNED_BLOCK: &str = r#"{"version":1,"last_request_at":1779999999500,"blocked_at":1780000000000,"blocked_until":1780000060000,"consecutive_429s":1,
"signed":[{"blocked_at":1780000000000,"blocked_until":1780000060000,"consecutive_429s":1,"key":"053cb646107142b5","last_request_at":1779999999500,"mac":"441f057475b6ee8abdfeeb37af0adba8113ef25f34297c64e62130ce381accf9"}]}"#;

fn token_record() -> Vec<u8> {
    let digits = TOKEN_RECORD.as_bytes().chunks(2);
    let byte = |digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

fn store() -> Arc<MemoryStore> {
    let store = MemoryStore::default();
    let ttl = Duration::from_secs(3600);
    store.put(TOKEN_NAME, &token_record(), ttl).unwrap();
    store
        .put(RATE_LIMIT_NAME, RATE_LIMIT.as_bytes(), ttl)
        .unwrap();
    Arc::new(store)
}

#[test]
fn names_of_the_first_release_are_kept() {
    let key = CacheKey::of(&request());
    assert_eq!(format!("token-{}", key.digest()), TOKEN_NAME);
    let host = TokenHostKey::of(&request().token_url);
    assert_eq!(format!("rate-limit-{}", host.digest()), RATE_LIMIT_NAME);
}

#[test]
fn token_record_of_the_first_release_is_used() {
    let clock = Clock::Simulated(ManualClock::frozen());
    let handle = Cache::new(clock.clone())
        .handle(request(), &store().config())
        .unwrap();
    let endpoint = Endpoint::new(&clock, []);
    let token = handle.token(&*endpoint, &call()).unwrap();
    assert_eq!(token.expose(), "eyJhbGci.eyJleHAi.c2ln");
    assert_eq!(token.generation(), 1_780_000_000_000);
    assert_eq!(
        token.expires_at(),
        NOW.after(Duration::from_secs(3600)).system_time()
    );
    assert_eq!(endpoint.requests(), 0);
}

#[test]
fn rate_limit_record_of_the_first_release_delays_requests() {
    let simulation = ManualClock::auto_advancing();
    let clock = Clock::Simulated(simulation.clone());
    let mut request = request();
    request.audience = "other.example".into();
    let store = store();
    let handle = Cache::new(clock.clone())
        .handle(request, &store.config())
        .unwrap();
    let limited = Reply::Fails(TokenErrorKind::RateLimited { retry_after: None });
    let endpoint = Endpoint::new(&clock, [limited]);
    let error = handle
        .token(&*endpoint, &call_within(Duration::from_secs(30)))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    let waited = endpoint.sent()[0].mono - NOW.mono;
    assert!(waited >= Duration::from_millis(1_100), "{waited:?}");
    assert!(waited <= Duration::from_millis(1_200), "{waited:?}");
    // What the first release reads of the record now.
    let written = store.get(RATE_LIMIT_NAME).unwrap().unwrap();
    let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
    let field = |name: &str| written[name].as_u64().unwrap();
    let sent = endpoint.sent()[0].wall_millis();
    assert_eq!(field("version"), 1);
    assert_eq!(field("last_request_at"), sent);
    assert!(field("blocked_at") >= sent);
    assert!(field("blocked_until") >= sent + 60_000);
    assert_eq!(field("consecutive_429s"), 1);
}

#[test]
fn rate_limit_record_without_a_version_is_read() {
    let text = r#"{"last_request_at":1780000000000,"blocked_until":1780000060000}"#;
    let stored = StoredRateLimit::decode(text.as_bytes()).unwrap();
    assert_eq!(stored.state.last_request_at, 1_780_000_000_000);
    assert_eq!(stored.state.blocked_until, 1_780_000_060_000);
}

#[test]
fn signed_rate_limit_record_of_the_first_release_is_verified() {
    let block = RateLimitRecord {
        last_request_at: 1_779_999_999_500,
        blocked_at: 1_780_000_000_000,
        blocked_until: 1_780_000_060_000,
        consecutive_429s: 1,
    };
    let signer = RateLimitSigner::new(&request());
    let stored = StoredRateLimit::decode(SIGNED_BLOCK.as_bytes()).unwrap();
    assert_eq!(stored.verify(&signer, NOW).0, Some(block));
    let mut written = StoredRateLimit::default();
    written.set_signed(block, &signer, NOW);
    let value = |text| serde_json::from_slice::<serde_json::Value>(text).unwrap();
    assert_eq!(value(&written.encode()), value(SIGNED_BLOCK.as_bytes()));
}

#[test]
fn token_records_of_other_versions_are_distinguished() {
    let record = token_record();
    assert!(!is_of_other_version(&record));
    let mut later = record.clone();
    later[7] = b'4';
    assert!(is_of_other_version(&later));
    let cipher = RecordCipher::new(&request(), CacheKey::of(&request()));
    assert!(cipher.open(&record).is_some() && cipher.open(&later).is_none());
    assert!(!is_of_other_version(b"damaged"));
}
