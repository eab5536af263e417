//! Everything about tokens: the state of one key, the pacing gate, the process-wide cache, the
//! stores. Knows the time and what happened only by being told; sends no bytes itself.
//!
//! - `slot`: the token of one key, and `gate`: the pace of one token host; both pure.
//! - `shell`: clocks, locks and waiting around them; `store`: where processes share them.
//! - `token`: a token and its life; `record`: what of it is shared; `time`: two clocks; `key`: names;
//!   `diagnostics`: what is told about them.

mod diagnostics;
#[cfg(all(test, unix))]
mod forks;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod gate;
#[cfg(test)]
mod interleavings;
mod key;
#[cfg(test)]
mod long_run;
#[cfg(test)]
mod models;
#[cfg(all(test, unix))]
mod processes;
mod record;
mod shell;
mod slot;
mod store;
#[cfg(any(test, fuzzing))]
#[cfg_attr(not(test), allow(dead_code))]
mod testing;
mod time;
mod token;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub(crate) use shell::{TokenSlot, diagnostics, slot};
pub use store::{StoreLock, TokenStore};
#[cfg(feature = "capi")]
pub(crate) use time::millis;
pub use token::Token;

use crate::call::Call;
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
    pub(crate) encoding: TokenEncoding,
}

/// How the request's body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum TokenEncoding {
    /// As the service documents it.
    #[default]
    Json,
    /// As other OAuth servers want it.
    Form,
}

/// Sends one token request; implemented by the transport.
pub(crate) trait TokenEndpoint {
    /// Sends exactly one request and reads its answer, on the calling thread, within the limits of
    /// `call`. It is called with no lock of this process held; the turn at the gate is already taken.
    fn fetch(&self, request: &TokenRequest, call: &Call) -> Result<TokenAnswer, FetchError>;
}

/// The endpoint's answer.
#[derive(Debug)]
pub(crate) struct TokenAnswer {
    pub(crate) access_token: Secret,
    /// Seconds, as the answer has it: whatever JSON number, however absurd.
    pub(crate) expires_in: Option<f64>,
    /// The answer's `Date` header.
    pub(crate) server_date: Option<SystemTime>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct FetchError {
    pub(crate) cause: FetchFailure,
    /// What the callers get to see.
    pub(crate) error: Error,
}

/// What a failed request means for the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FetchFailure {
    /// No byte of the request left. Treated as [`Transient`](FetchFailure::Transient), gate
    /// included: a host that cannot be reached deserves a second's pause as well.
    NotSent,
    /// Network, 5xx, or an answer that is none: it may work later.
    Transient,
    /// This client's settings do not fit the endpoint: the certificates that it trusts, the format of
    /// the request, the URL. Fails the call and is not stored, because another client's settings may
    /// fit, and because the credentials may be valid.
    Lasting,
    /// 429: the gate closes.
    RateLimited {
        /// As the answer asks for.
        retry_after: Option<Duration>,
    },
    /// The endpoint rejects the credentials: 401, 403, or a 400 whose `error` says so.
    BadCredentials,
    /// The call had to end, by its deadline or its caller.
    Stopped,
}

/// Where tokens are kept besides memory.
#[derive(Clone, Default)]
pub(crate) enum TokenCacheChoice {
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

impl fmt::Debug for TokenCacheChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenCacheChoice::Auto => f.write_str("Auto"),
            TokenCacheChoice::Memory => f.write_str("Memory"),
            TokenCacheChoice::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            TokenCacheChoice::Redis { url, directory } => f
                .debug_struct("Redis")
                .field("url", url)
                .field("directory", directory)
                .finish(),
            TokenCacheChoice::Custom(store) => {
                f.debug_tuple("Custom").field(&store.describe()).finish()
            }
        }
    }
}
