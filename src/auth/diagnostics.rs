//! What `diagnostics()` tells: the state of tokens, rate_limiters and stores, for people and monitoring.
//! No secrets: names, times, numbers, and the words of errors.

use serde::Serialize;

pub(crate) use super::store::StoreReport;
pub(crate) use super::token_state::TokenStatus;

/// Everything about the tokens of this process.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Diagnostics {
    pub(crate) process_id: u32,
    pub(crate) tokens: Vec<TokenReport>,
    pub(crate) rate_limiters: Vec<RateLimiterReport>,
    pub(crate) stores: Vec<StoreReport>,
    pub(crate) counters: CounterReport,
}

/// The token of one key: credentials, audience, scope and token URL. Times are seconds from now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TokenReport {
    /// Label of the key: a digest of token URL, client id, audience and scope, and a number that is
    /// unique in this process. It does not depend on the client secret.
    pub(crate) key: String,
    pub(crate) audience: String,
    pub(crate) token_host: String,
    pub(crate) state: TokenStatus,
    /// Until the token expires; `None` where there is none that lives.
    pub(crate) expires_in: Option<f64>,
    /// Until the next caller refreshes it.
    pub(crate) refresh_in: Option<f64>,
    /// Until a token may be asked for again, after a failure.
    pub(crate) retry_in: Option<f64>,
    /// That failure.
    pub(crate) last_error: Option<String>,
    /// How often a living token was handed out from memory.
    pub(crate) cache_hits: u64,
}

/// The pace of requests to one token host. Times are seconds from now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RateLimiterReport {
    pub(crate) token_host: String,
    /// Until the next request may be sent; 0 is now.
    pub(crate) next_request_in: f64,
    /// Whether that is because of a 429.
    pub(crate) blocked: bool,
    /// Callers who wait for their turn.
    pub(crate) waiting: usize,
    /// 429s in a row.
    pub(crate) consecutive_429s: u32,
}

/// Numbers since the process began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct CounterReport {
    /// Requests sent to a token endpoint, refreshes included.
    pub(crate) token_requests: u64,
    /// Those that were to replace a living token.
    pub(crate) refreshes: u64,
    /// Tokens taken over from another process.
    pub(crate) shared: u64,
    /// Tokens handed out from memory.
    pub(crate) cache_hits: u64,
    /// Calls that had to wait for a token.
    pub(crate) waits: u64,
    /// Tokens dropped because the API answered 401.
    pub(crate) rejections: u64,
}
