//! The shell around tokens and rate_limiters: clocks, locks, waiting, and the order in which threads and
//! processes come to follow the rules, which are in `token_state` and `rate_limiter`.
//!
//! No lock of the process is held while anything is sent, read or written, and none is taken while
//! another is cached.

mod fetch;
mod process_cache;
mod rate_limit;

#[cfg(any(test, fuzzing))]
pub(crate) use fetch::stored;
#[cfg(test)]
pub(crate) use process_cache::Cache;
pub(crate) use process_cache::{TokenCacheHandle, diagnostics, token_state};

/// The locks of the shell, in one place so that the tests can put their own in.
mod sync;
