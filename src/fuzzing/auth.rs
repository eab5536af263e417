//! Properties of token records and access tokens.

use std::time::{Duration, UNIX_EPOCH};

use super::TokenResponse;
use super::cache::cached_from_record;
use super::key::CacheKey;
use super::rate_limit_record::{MAX_BLOCK, RateLimitSigner, StoredRateLimit};
use super::rate_limiter::{MIN_REQUEST_INTERVAL, MergedState, RateLimiter};
use super::tests::test_support::request;
use super::time::ClockTime;
use super::token::{MAX_LIFETIME, Token, base64_url, jwt, lifetime};
use super::token_record::{RecordCipher, TokenRecord};
use super::token_state::MAX_AUTH_FAILURE_WINDOW;
use crate::error::{ErrorKind, Outcome};
use crate::secret::Secret;

const NOW: ClockTime = ClockTime {
    mono: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_780_000_000),
};

/// Takes a file of a token store: nothing opens that was not sealed with the secret. Also takes the
/// bytes as the content of a sealed record, and as a rate limit record: no request is delayed for
/// longer than the limits.
pub(crate) fn any_record(data: &[u8]) {
    let cipher = RecordCipher::new(&request(), CacheKey::of(&request()));
    assert!(cipher.open(data).is_none());
    if let Ok(record) = serde_json::from_slice::<TokenRecord>(data) {
        let mut sealed = cipher.seal(&record).unwrap();
        let opened = cipher.open(&sealed).unwrap();
        let text = |record| serde_json::to_string(record).unwrap();
        assert_eq!(text(&opened), text(&record));
        let at = data.iter().map(|byte| usize::from(*byte)).sum::<usize>() % sealed.len();
        sealed[at] ^= 1 << (data.len() % 8);
        assert!(cipher.open(&sealed).is_none());
        if let Some(cached) = cached_from_record(&record, NOW, 1.0) {
            check_header(&cached.token);
            assert!(cached.is_valid(NOW) || cached.needs_refresh(NOW));
        }
        if let Some(auth_failure) = record.auth_failure {
            assert!(auth_failure.remaining(NOW) <= Some(MAX_AUTH_FAILURE_WINDOW));
            let error = auth_failure.error();
            let known = (error.kind(), error.outcome());
            assert_eq!(known, (ErrorKind::Authentication, Outcome::NotSent));
        }
    }
    if let Some(stored) = StoredRateLimit::decode(data) {
        assert_eq!(
            StoredRateLimit::decode(&stored.encode()).as_ref(),
            Some(&stored)
        );
        let signer = RateLimitSigner::new(&request());
        assert_eq!(stored.verify(&signer, NOW).0, None);
        let mut signed = stored.clone();
        signed.set_signed(stored.state, &signer, NOW);
        assert_eq!(signed.verify(&signer, NOW).0, Some(stored.state));
        let rate_limit = stored.state;
        let mut rate_limiter = RateLimiter::default();
        let merged = &mut MergedState::default();
        rate_limiter.merge(rate_limit, merged, NOW);
        assert!(rate_limiter.permit_at(None, NOW) <= NOW.mono + MAX_BLOCK + MIN_REQUEST_INTERVAL);
        rate_limiter.rate_limited(NOW, None, Duration::MAX, 1.0);
        rate_limiter.merge(rate_limit, merged, NOW);
        assert!(rate_limiter.permit_at(None, NOW) <= NOW.mono + MAX_BLOCK + MIN_REQUEST_INTERVAL);
    }
}

/// Takes eight bytes for `expires_in`, four for the date of the response, then the payload of a
/// JWT.
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
        check_response(&TokenResponse {
            access_token: Secret::new(text),
            expires_in: Some(f64::from_le_bytes(*expires_in)),
            server_date: Some(UNIX_EPOCH + Duration::from_secs(u32::from_le_bytes(*date).into())),
        });
    }
}

/// The token of any response has a positive and limited lifetime, or cannot be sent at all.
pub(crate) fn check_response(response: &TokenResponse) {
    for expires_in in [response.expires_in, None] {
        let response = TokenResponse {
            access_token: response.access_token.clone(),
            expires_in,
            server_date: response.server_date,
        };
        let life = lifetime(&response, NOW, NOW.after(Duration::from_secs(1)));
        assert!(!life.is_zero() && life <= MAX_LIFETIME, "{life:?}");
    }
    if let Some(token) = Token::new(&response.access_token, UNIX_EPOCH, 1) {
        check_header(&token);
    }
}

fn check_header(token: &Token) {
    assert_eq!(
        token.authorization().to_str().unwrap(),
        format!("Bearer {}", token.expose())
    );
}
