//! Access tokens: their state, the rate limit of token requests, the process-wide cache, and the
//! token stores.
//!
//! - `token_state`: the state machine of one cache key; `rate_limiter`: that of one token host.
//!   Both perform no I/O; time and events are parameters.
//! - `cache`: clocks, locks and waiting around them; `store`: records shared between processes.
//! - `provider`: client credentials or a supplied token; `token`: a token and its lifetime;
//!   `token_record`, `rate_limit_record`: the formats of the stores; `time`: times on two clocks;
//!   `key`: cache keys and names; `diagnostics`: reports.
//!
//! Sends no bytes itself: the transport implements [`TokenEndpoint`]. Must not depend on
//! `transport` or `api`.

mod cache;
mod diagnostics;
#[cfg(any(test, fuzzing))]
#[path = "../fuzzing/auth.rs"]
pub(crate) mod fuzzing;
mod key;
mod provider;
mod rate_limit_record;
mod rate_limiter;
mod store;
#[cfg(any(test, fuzzing))]
#[cfg_attr(not(test), allow(dead_code))]
mod tests;
mod time;
mod token;
mod token_record;
mod token_state;

use std::time::{Duration, Instant, SystemTime};

pub(crate) use cache::diagnostics;
pub use diagnostics::{
    CounterReport, Diagnostics, RateLimiterReport, StoreReport, StoreRole, TokenReport, TokenStatus,
};
pub(crate) use provider::TokenProvider;
#[cfg(feature = "capi")]
pub(crate) use time::millis;
pub use token::Token;

use crate::call::CallContext;
use crate::error::Error;
use crate::secret::Secret;
pub(crate) use crate::token_config::{
    Fallback, StoreTls, TokenCacheConfig, TokenRequest, TokenRequestFormat,
};
pub(crate) use crate::token_store::{MAX_VALUE_BYTES, StoreLock, TokenStore};

/// Opens connections to token endpoints; implemented by the transport.
pub(crate) trait TokenEndpoint {
    /// Opens a connection for one request: resolves the name, connects, completes the TLS
    /// handshake. On the calling thread, within the limits of `call`. Sends no byte of the request,
    /// and needs no permit of the rate limiter.
    fn connect<'a>(
        &'a self,
        request: &'a TokenRequest,
        call: &CallContext,
    ) -> Result<Box<dyn TokenConnection + 'a>, FetchError>;

    /// Identifies the settings of connections: proxy and certificates. The backoff after a transient
    /// failure applies to clients with the same ones.
    fn connection_settings(&self) -> ConnectionSettings {
        ConnectionSettings::default()
    }
}

/// Identifies the settings of connections to a token endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ConnectionSettings(pub(crate) u64);

/// An open connection to a token endpoint, for one request.
pub(crate) trait TokenConnection {
    /// Returns whether the peer has not closed the connection. Does not wait.
    fn is_open(&mut self) -> bool;

    /// Sends exactly one request and reads its response, on the calling thread, within the limits
    /// of `call`. The caller holds no lock of this process and has a permit of the rate limiter.
    ///
    /// If the first byte could not be sent by `send_by`, sends none, and fails with
    /// [`PermitExpired`](TokenErrorKind::PermitExpired).
    fn send(
        &mut self,
        call: &CallContext,
        send_by: Option<Instant>,
    ) -> Result<TokenResponse, FetchError>;

    /// Returns when the first byte of the request was sent, or `None` if none was.
    fn sent_at(&self) -> Option<Instant>;

    /// Logs the response, if one was received. The caller has recorded the result: other callers do not
    /// wait for a log callback that takes long, and a call that it makes finds the token.
    fn log_response(&mut self) {}
}

/// A successful response of the token endpoint.
#[derive(Debug)]
pub(crate) struct TokenResponse {
    pub(crate) access_token: Secret,
    /// Seconds; any JSON number, not validated.
    pub(crate) expires_in: Option<f64>,
    /// The `Date` header of the response.
    pub(crate) server_date: Option<SystemTime>,
}

/// A token request that failed.
#[derive(Debug)]
pub(crate) struct FetchError {
    pub(crate) kind: TokenErrorKind,
    /// The error that callers get.
    pub(crate) error: Error,
}

/// Kind of a failed token request, which decides when the next one may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenErrorKind {
    /// No byte of the request was sent before its permit expired: another permit is needed.
    PermitExpired,
    /// Network error, HTTP 5xx, or an invalid response: a later request may succeed.
    Transient,
    /// This client cannot connect with its settings: the certificates that it trusts, the proxy. Fails
    /// the call and is not stored, because another client's settings may fit.
    Permanent,
    /// HTTP 429: blocks the rate limiter.
    RateLimited {
        /// The `Retry-After` of the response.
        retry_after: Option<Duration>,
    },
    /// The endpoint rejects the credentials: 401, 403, or a 400 whose `error` says so.
    InvalidClient,
    /// The endpoint rejects the request whatever the credentials are: its audience, scope or format, or
    /// the URL. Handled as [`InvalidClient`](TokenErrorKind::InvalidClient), because all of these are
    /// parts of the cache key.
    InvalidRequest,
    /// The call was cancelled or reached its deadline.
    Cancelled,
}
