//! What holds for whatever is found in a store or in a token.

use std::time::{Duration, UNIX_EPOCH};

use super::TokenResponse;
use super::cache::stored;
use super::key::CacheKey;
use super::rate_limiter::{MAX_BLOCK, MIN_REQUEST_INTERVAL, RateLimiter};
use super::record::{RateLimitRecord, RecordCipher, TokenRecord};
use super::tests::test_support::request;
use super::time::Timestamp;
use super::token::{MAX_LIFETIME, Token, base64_url, jwt, lifetime};
use super::token_state::MAX_AUTH_FAILURE_WINDOW;
use crate::error::{ErrorKind, Outcome};
use crate::secret::Secret;

const NOW: Timestamp = Timestamp {
    mono: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_780_000_000),
};

/// A file of a store: nothing opens that was not sealed with the secret. And the same as what was
/// sealed by somebody who knew it, and as a pace: nobody is held up for longer than there are limits.
pub(crate) fn any_record(data: &[u8]) {
    let seal = RecordCipher::new(&request(), CacheKey::of(&request()));
    assert!(seal.open(data).is_none());
    if let Ok(record) = serde_json::from_slice::<TokenRecord>(data) {
        let mut sealed = seal.seal(&record).unwrap();
        let opened = seal.open(&sealed).unwrap();
        let text = |record| serde_json::to_string(record).unwrap();
        assert_eq!(text(&opened), text(&record));
        let at = data.iter().map(|byte| usize::from(*byte)).sum::<usize>() % sealed.len();
        sealed[at] ^= 1 << (data.len() % 8);
        assert!(seal.open(&sealed).is_none());
        if let Some(cached) = stored(&record, NOW, 1.0) {
            check_header(&cached.token);
            assert!(cached.is_valid(NOW) || cached.needs_refresh(NOW));
        }
        if let Some(auth_failure) = record.auth_failure {
            assert!(auth_failure.left(NOW) <= Some(MAX_AUTH_FAILURE_WINDOW));
            let error = auth_failure.error();
            let known = (error.kind(), error.outcome());
            assert_eq!(known, (ErrorKind::Authentication, Outcome::NotSent));
        }
    }
    if let Some(pace) = RateLimitRecord::decode(data) {
        assert_eq!(RateLimitRecord::decode(&pace.encode()), Some(pace));
        let mut rate_limiter = RateLimiter::default();
        rate_limiter.merge(pace, NOW);
        assert!(rate_limiter.permit_at(None, NOW) <= NOW.mono + MAX_BLOCK + MIN_REQUEST_INTERVAL);
        rate_limiter.rate_limited(NOW, None, 1.0);
        rate_limiter.merge(pace, NOW);
        assert!(rate_limiter.permit_at(None, NOW) <= NOW.mono + MAX_BLOCK + MIN_REQUEST_INTERVAL);
    }
}

/// Eight bytes for `expires_in`, four for the answer's date, then the payload of a JWT.
pub(crate) fn any_jwt(data: &[u8]) {
    let Some((expires_in, data)) = data.split_first_chunk() else {
        return;
    };
    let Some((date, payload)) = data.split_first_chunk() else {
        return;
    };
    let token = jwt(payload);
    let encoded = token.split('.').nth(1).unwrap();
    assert_eq!(base64_url(encoded).unwrap().as_slice(), payload);
    let plain = String::from_utf8_lossy(payload).into_owned();
    for text in [token, plain] {
        check_answer(&TokenResponse {
            access_token: Secret::new(text),
            expires_in: Some(f64::from_le_bytes(*expires_in)),
            server_date: Some(UNIX_EPOCH + Duration::from_secs(u32::from_le_bytes(*date).into())),
        });
    }
}

/// However an answer of the token endpoint came about: its token lives for a while and not for ever,
/// or cannot be sent at all.
pub(crate) fn check_answer(answer: &TokenResponse) {
    for expires_in in [answer.expires_in, None] {
        let answer = TokenResponse {
            access_token: answer.access_token.clone(),
            expires_in,
            server_date: answer.server_date,
        };
        let life = lifetime(&answer, NOW, NOW.after(Duration::from_secs(1)));
        assert!(!life.is_zero() && life <= MAX_LIFETIME, "{life:?}");
    }
    if let Some(token) = Token::new(&answer.access_token, UNIX_EPOCH, 1) {
        check_header(&token);
    }
}

fn check_header(token: &Token) {
    assert_eq!(
        token.authorization().to_str().unwrap(),
        format!("Bearer {}", token.expose())
    );
}
