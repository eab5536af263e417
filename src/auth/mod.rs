//! Everything about tokens: the state of one key, the pacing rate_limiter, the process-wide cache, the
//! stores. Knows the time and what happened only by being told; sends no bytes itself.
//!
//! - `token_state`: the token of one key, and `rate_limiter`: the pace of one token host; both pure.
//! - `shell`: clocks, locks and waiting around them; `store`: where processes share them.
//! - `token`: a token and its life; `record`: what of it is shared; `time`: two clocks; `key`: names;
//!   `diagnostics`: what is told about them.

mod cache;
mod diagnostics;
#[cfg(any(test, fuzzing))]
#[path = "../fuzzing/auth.rs"]
pub(crate) mod fuzzing;
mod key;
mod rate_limiter;
mod record;
mod store;
#[cfg(any(test, fuzzing))]
#[cfg_attr(not(test), allow(dead_code))]
mod tests;
mod time;
mod token;
mod token_state;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) use cache::{TokenCacheHandle, diagnostics, token_state};
pub use store::{StoreLock, TokenStore};
#[cfg(feature = "capi")]
pub(crate) use time::millis;
pub use token::Token;

use crate::call::CallContext;
use crate::error::Error;
use crate::secret::Secret;

/// What a token is asked for with. All of it together is the key under which the token is kept, so
/// a rotated secret never meets the old one's token.
#[derive(Clone, Debug)]
pub(crate) struct TokenRequest {
    pub(crate) token_url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    pub(crate) audience: String,
    pub(crate) scope: Option<String>,
    pub(crate) encoding: TokenRequestFormat,
}

/// How the request's body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum TokenRequestFormat {
    /// As the service documents it.
    #[default]
    Json,
    /// As other OAuth servers want it.
    Form,
}

/// Sends one token request; implemented by the transport.
pub(crate) trait TokenEndpoint {
    /// Sends exactly one request and reads its answer, on the calling thread, within the limits of
    /// `call`. It is called with no lock of this process cached; the turn at the rate_limiter is already taken.
    fn fetch(
        &self,
        request: &TokenRequest,
        call: &CallContext,
    ) -> Result<TokenResponse, FetchError>;
}

/// The endpoint's answer.
#[derive(Debug)]
pub(crate) struct TokenResponse {
    pub(crate) access_token: Secret,
    /// Seconds, as the answer has it: whatever JSON number, however absurd.
    pub(crate) expires_in: Option<f64>,
    /// The answer's `Date` header.
    pub(crate) server_date: Option<SystemTime>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct FetchError {
    pub(crate) cause: TokenErrorKind,
    /// What the callers get to see.
    pub(crate) error: Error,
}

/// What a failed request means for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenErrorKind {
    /// No byte of the request left. Treated as [`Transient`](TokenErrorKind::Transient), rate_limiter
    /// included: a host that cannot be reached deserves a second's pause as well.
    NotSent,
    /// Network, 5xx, or an answer that is none: it may work later.
    Transient,
    /// This client's settings do not fit the endpoint: the certificates that it trusts, the format of
    /// the request, the URL. Fails the call and is not stored, because another client's settings may
    /// fit, and because the credentials may be valid.
    Permanent,
    /// 429: the rate_limiter closes.
    RateLimited {
        /// As the answer asks for.
        retry_after: Option<Duration>,
    },
    /// The endpoint rejects the credentials: 401, 403, or a 400 whose `error` says so.
    InvalidClient,
    /// The call had to end, by its deadline or its caller.
    Cancelled,
}

/// Where tokens are kept besides memory.
#[derive(Clone, Default)]
pub(crate) enum TokenCacheConfig {
    /// Files in the user's cache directory.
    #[default]
    Auto,
    /// Nowhere.
    Memory,
    /// Files in this directory.
    Directory(PathBuf),
    /// Redis or Valkey at this address, and files besides: in this directory, or in the user's
    /// cache directory. Needs the cargo feature `redis`.
    Redis {
        url: Secret,
        directory: Option<PathBuf>,
    },
    /// The caller's own store.
    Custom(Arc<dyn TokenStore>),
}

impl fmt::Debug for TokenCacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenCacheConfig::Auto => f.write_str("Auto"),
            TokenCacheConfig::Memory => f.write_str("Memory"),
            TokenCacheConfig::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            TokenCacheConfig::Redis { url, directory } => f
                .debug_struct("Redis")
                .field("url", url)
                .field("directory", directory)
                .finish(),
            TokenCacheConfig::Custom(store) => {
                f.debug_tuple("Custom").field(&store.describe()).finish()
            }
        }
    }
}
