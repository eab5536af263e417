//! Process-wide token cache: clocks, locks and waiting around the state machines `token_state` and
//! `rate_limiter`, which decide.
//!
//! No lock of the process is held during I/O. Two of them are held together only in this order: the map
//! of the entries and, if it is free, that of a token state; that of a rate limiter and that of what was
//! merged from a store.

mod connection;
mod entry;
mod fetch;
mod lock_wait;
mod permits;
mod process_cache;
mod shared_rate_limiter;

#[cfg(any(test, fuzzing))]
pub(crate) use fetch::cached_from_record;
#[cfg(test)]
pub(crate) use process_cache::Cache;
pub(crate) use process_cache::{TokenCacheHandle, diagnostics, token_cache_handle};

/// The locks of the cache, in one module so that tests can replace them.
mod sync;
