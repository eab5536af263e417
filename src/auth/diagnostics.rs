//! Types of `diagnostics()`: the state of tokens, rate limiters and stores, for operators and
//! monitoring. Contain no secrets: names, times, numbers and error messages only.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::error::string_enum;

/// State of all tokens, rate limiters and token stores of this process; see
/// [`AdminClient::diagnostics`](crate::AdminClient::diagnostics).
///
/// `Serialize` writes durations as seconds, with decimals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Diagnostics {
    /// Process id.
    pub process_id: u32,
    /// Tokens, by audience.
    pub tokens: Vec<TokenReport>,
    /// Rate limiters, one per token host.
    pub rate_limiters: Vec<RateLimiterReport>,
    /// Token stores in addition to memory.
    pub stores: Vec<StoreReport>,
    /// Counters since the start of the process.
    pub counters: CounterReport,
}

/// State of the token of one cache key: credentials, audience, scope and token URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TokenReport {
    /// Label of the key: a digest of token URL, client id, audience and scope, and a number that is
    /// unique in this process. It does not depend on the client secret.
    pub key: String,
    /// Audience of the token.
    pub audience: String,
    /// Scheme, host and port of the token URL.
    pub token_host: String,
    /// Summary of the state.
    pub state: TokenStatus,
    /// Until the token expires; `None` if there is no valid token.
    #[serde(serialize_with = "optional_seconds")]
    pub expires_in: Option<Duration>,
    /// Until the next caller refreshes it.
    #[serde(serialize_with = "optional_seconds")]
    pub refresh_in: Option<Duration>,
    /// Until the next token request may be sent, after a failure.
    #[serde(serialize_with = "optional_seconds")]
    pub retry_in: Option<Duration>,
    /// That failure.
    pub last_error: Option<String>,
    /// Number of times that the cached token was returned.
    pub cache_hits: u64,
}

/// State of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenStatus {
    /// No token was requested yet.
    Empty,
    /// A token request is in progress.
    Fetching,
    /// The token is valid and not due for refresh.
    Fresh,
    /// The token is valid and will be refreshed by the next caller.
    NeedsRefresh,
    /// The token is expired.
    Expired,
    /// The token endpoint rejected the credentials, or the request because of its other parameters.
    CredentialsRejected,
    /// The token endpoint was not available; the next request is delayed.
    Backoff,
}

string_enum! { TokenStatus {
    Empty = "empty",
    Fetching = "fetching",
    Fresh = "fresh",
    NeedsRefresh = "needs_refresh",
    Expired = "expired",
    CredentialsRejected = "credentials_rejected",
    Backoff = "backoff",
} }

/// State of the rate limiter of one token host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RateLimiterReport {
    /// Scheme, host and port of the token URL.
    pub token_host: String,
    /// Until the next request may be sent; 0 is now.
    #[serde(serialize_with = "seconds")]
    pub next_request_in: Duration,
    /// Whether a 429 blocks requests.
    pub blocked: bool,
    /// Number of callers that wait for a permit.
    pub waiting: usize,
    /// 429s in a row.
    pub consecutive_429s: u32,
}

/// What a token store is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreRole {
    /// Shares tokens and rate limits with other processes.
    Shared,
    /// For what the shared store cannot do.
    Fallback,
}

string_enum! { StoreRole {
    Shared = "shared",
    Fallback = "fallback",
} }

/// State of one token store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoreReport {
    /// Kind and location, without passwords.
    pub store: String,
    /// What the store is used for.
    pub role: StoreRole,
    /// Whether it has all three abilities: none failed when it was last used.
    pub usable: bool,
    /// Whether locks can be taken.
    pub can_lock: bool,
    /// Whether records can be read.
    pub can_read: bool,
    /// Whether records can be written.
    pub can_write: bool,
    /// Why locks cannot be taken.
    pub lock_error: Option<String>,
    /// Why records cannot be read.
    pub read_error: Option<String>,
    /// Why records cannot be written.
    pub write_error: Option<String>,
    /// Number of failed operations since the start of the process.
    pub failures: u64,
    /// The last failure, also if the store works again.
    pub last_error: Option<String>,
}

impl StoreReport {
    /// Returns the state of a store that does not exist for this reason.
    pub(crate) fn missing(store: &str, role: StoreRole, reason: &str) -> Self {
        let reason = || Some(reason.to_owned());
        StoreReport {
            store: store.to_owned(),
            role,
            usable: false,
            can_lock: false,
            can_read: false,
            can_write: false,
            lock_error: reason(),
            read_error: reason(),
            write_error: reason(),
            failures: 0,
            last_error: reason(),
        }
    }
}

/// Counters of the tokens of this process, since its start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CounterReport {
    /// Requests sent to a token endpoint, including refreshes, and attempts that opened no connection.
    pub token_requests: u64,
    /// Requests that refreshed a valid token.
    pub refreshes: u64,
    /// Tokens read from a store, which another process had requested.
    pub tokens_from_store: u64,
    /// Tokens returned from memory.
    pub cache_hits: u64,
    /// Calls that had to wait for a token.
    pub waits: u64,
    /// Tokens dropped because the API rejected them (401).
    pub rejections: u64,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

fn optional_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.map(|it| it.as_secs_f64()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_have_durations_in_seconds() {
        let report = RateLimiterReport {
            token_host: "https://login.example:443".into(),
            next_request_in: Duration::from_millis(1_500),
            blocked: true,
            waiting: 2,
            consecutive_429s: 1,
        };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"token_host":"https://login.example:443","next_request_in":1.5,"blocked":true,"waiting":2,"consecutive_429s":1}"#
        );
        let report = TokenReport {
            key: "k-1".into(),
            audience: "a".into(),
            token_host: "h".into(),
            state: TokenStatus::NeedsRefresh,
            expires_in: Some(Duration::from_millis(250)),
            refresh_in: None,
            retry_in: None,
            last_error: None,
            cache_hits: 3,
        };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"key":"k-1","audience":"a","token_host":"h","state":"needs_refresh","expires_in":0.25,"refresh_in":null,"retry_in":null,"last_error":null,"cache_hits":3}"#
        );
    }
}
