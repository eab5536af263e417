//! Types of `diagnostics()`: the state of tokens, rate limiters and stores, as JSON for operators
//! and monitoring. Contains no secrets: names, times, numbers and error messages only.

use serde::Serialize;

pub(crate) use super::store::StoreReport;
pub(crate) use super::token_state::TokenStatus;

/// State of all tokens of this process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Diagnostics {
    pub(crate) process_id: u32,
    pub(crate) tokens: Vec<TokenReport>,
    pub(crate) rate_limiters: Vec<RateLimiterReport>,
    pub(crate) stores: Vec<StoreReport>,
    pub(crate) counters: CounterReport,
}

/// State of the token of one cache key: credentials, audience, scope and token URL. Times are
/// seconds from now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TokenReport {
    /// Label of the key: a digest of token URL, client id, audience and scope, and a number that is
    /// unique in this process. It does not depend on the client secret.
    pub(crate) key: String,
    pub(crate) audience: String,
    pub(crate) token_host: String,
    pub(crate) state: TokenStatus,
    /// Until the token expires; `None` if there is no valid token.
    pub(crate) expires_in: Option<f64>,
    /// Until the next caller refreshes it.
    pub(crate) refresh_in: Option<f64>,
    /// Until the next token request may be sent, after a failure.
    pub(crate) retry_in: Option<f64>,
    /// That failure.
    pub(crate) last_error: Option<String>,
    /// Number of times that the cached token was returned.
    pub(crate) cache_hits: u64,
}

/// State of the rate limiter of one token host. Times are seconds from now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RateLimiterReport {
    pub(crate) token_host: String,
    /// Until the next request may be sent; 0 is now.
    pub(crate) next_request_in: f64,
    /// Whether a 429 blocks requests.
    pub(crate) blocked: bool,
    /// Number of callers that wait for a permit.
    pub(crate) waiting: usize,
    /// 429s in a row.
    pub(crate) consecutive_429s: u32,
}

/// Counters since the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct CounterReport {
    /// Requests sent to a token endpoint, refreshes included.
    pub(crate) token_requests: u64,
    /// Requests that refreshed a valid token.
    pub(crate) refreshes: u64,
    /// Tokens read from a store, which another process had requested.
    pub(crate) shared: u64,
    /// Tokens returned from memory. #E
    pub(crate) cache_hits: u64,
    /// Calls that had to wait for a token.
    pub(crate) waits: u64,
    /// Tokens dropped because the API rejected them (401).
    pub(crate) rejections: u64,
}
