//! An entry of the process-wide token cache, and the counters that all entries share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::shared_rate_limiter::SharedRateLimiter;
use super::sync::{Mutex, MutexGuard, Signal};
use crate::auth::TokenCacheConfig;
use crate::auth::diagnostics::TokenReport;
use crate::auth::store::StoreChain;
use crate::auth::time::{Clock, ClockTime, millis};
use crate::auth::token_record::TokenRecord;
use crate::auth::token_state::TokenState;

/// An entry of the cache: a token state with its lock.
#[derive(Debug)]
pub(in crate::auth) struct CacheEntry {
    pub(super) clock: Clock,
    pub(super) token_state: Mutex<TokenState>,
    /// Notified when the in-flight request ends or its expected permit changes.
    pub(super) changed: Signal,
    pub(super) rate_limiter: Arc<SharedRateLimiter>,
    pub(super) stores: Arc<StoreChain>,
    pub(super) config: TokenCacheConfig,
    pub(super) names: EntryNames,
    /// Distinguishes entries of one process that have the same names.
    pub(super) number: u64,
    pub(super) counters: Arc<Counters>,
    pub(super) unshared: Unshared,
    /// The thread of the in-flight request, as `current_thread` returns it; 0 if there is none.
    pub(super) fetching_thread: AtomicUsize,
}

/// What the shared store does not have because it was not available.
#[derive(Debug, Default)]
pub(super) struct Unshared {
    state: Mutex<UnsharedState>,
    /// When to write it to the shared store (monotonic, in milliseconds); zero if there is nothing.
    write_at: AtomicU64,
}

#[derive(Debug, Default)]
struct UnsharedState {
    record: Option<TokenRecord>,
    rate_limit: bool,
}

impl UnsharedState {
    fn set_record(&mut self, record: &TokenRecord, is_shared: bool) {
        // Another thread may have obtained a newer one meanwhile.
        let is_newer = |known: &TokenRecord| known.generation > record.generation;
        if !self.record.as_ref().is_some_and(is_newer) {
            self.record = (!is_shared).then(|| record.clone());
        }
    }
}

/// How often a process tries to write to the shared store what that does not have.
const WRITE_BACK_INTERVAL_MS: u64 = 1_000;

impl Unshared {
    /// Records whether the shared store has a record.
    pub(super) fn set_record(&self, record: &TokenRecord, is_shared: bool, now: ClockTime) {
        let mut state = self.state.lock();
        state.set_record(record, is_shared);
        self.schedule(&state, now);
    }

    /// Changes the record that the shared store does not have.
    pub(super) fn update(&self, change: impl FnOnce(&mut TokenRecord) -> bool) {
        if let Some(record) = &mut self.state.lock().record {
            change(record);
        }
    }

    /// Records whether the shared store has the state of the rate limiter.
    pub(super) fn set_rate_limit(&self, is_shared: bool, now: ClockTime) {
        let mut state = self.state.lock();
        state.rate_limit = !is_shared;
        self.schedule(&state, now);
    }

    fn schedule(&self, state: &UnsharedState, now: ClockTime) {
        let at = match state.record.is_some() || state.rate_limit {
            true => millis(now.mono) + WRITE_BACK_INTERVAL_MS,
            false => 0,
        };
        self.write_at.store(at, Ordering::Relaxed);
    }

    /// Returns whether it is time to write. Cheap enough for every call.
    #[inline]
    pub(super) fn is_due(&self, mono: Duration) -> bool {
        let at = self.write_at.load(Ordering::Relaxed);
        at != 0 && millis(mono) >= at
    }

    /// Returns whether it is time to write; to one caller at a time.
    pub(super) fn claim(&self, mono: Duration) -> bool {
        let at = self.write_at.load(Ordering::Relaxed);
        if at == 0 || millis(mono) < at {
            return false;
        }
        let next = millis(mono) + WRITE_BACK_INTERVAL_MS;
        self.write_at
            .compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// Returns the record, and whether the state of the rate limiter is missing too.
    pub(super) fn get(&self) -> (Option<TokenRecord>, bool) {
        let state = self.state.lock();
        (state.record.clone(), state.rate_limit)
    }
}

/// Names of an entry in the diagnostics; none of them depends on the client secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryNames {
    pub(super) audience: String,
    pub(super) label: String,
}

impl CacheEntry {
    pub(super) fn report(&self, now: ClockTime) -> TokenReport {
        let token_state = self.lock();
        let token = token_state.token_remaining(now);
        let suspension = token_state.suspended_for(now);
        TokenReport {
            key: format!("{}-{}", self.names.label, self.number),
            audience: self.names.audience.clone(),
            token_host: self.rate_limiter.key.as_str().to_owned(),
            state: token_state.status(now),
            expires_in: token.map(|(expires, _)| expires),
            refresh_in: token.map(|(_, due)| due),
            retry_in: suspension.map(|(left, _)| left),
            last_error: suspension.map(|(_, error)| error.message().to_owned()),
            cache_hits: token_state.cache_hits(),
        }
    }

    pub(super) fn audience(&self) -> &str {
        &self.names.audience
    }

    pub(in crate::auth) fn lock(&self) -> MutexGuard<'_, TokenState> {
        self.token_state.lock()
    }
}

/// Counters of token requests, since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Requests sent to a token endpoint, including those for which no connection could be opened.
    pub(crate) token_requests: AtomicU64,
    /// Requests that refreshed a valid token.
    pub(crate) refreshes: AtomicU64,
    /// Tokens read from a store, which another process had requested.
    pub(crate) tokens_from_store: AtomicU64,
    /// Tokens dropped because the API rejected them (401).
    pub(crate) rejections: AtomicU64,
    /// Calls that had to wait for a token.
    pub(crate) waits: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_record_keeps_a_newer_record_that_is_not_shared() {
        let record = |generation| TokenRecord {
            generation,
            ..TokenRecord::default()
        };
        let mut state = UnsharedState::default();
        let mut kept_after = |generation, is_shared| {
            state.set_record(&record(generation), is_shared);
            state.record.as_ref().map(|record| record.generation)
        };
        assert_eq!(kept_after(1, false), Some(1));
        // Obtained while another thread writes the first one.
        assert_eq!(kept_after(2, false), Some(2));
        assert_eq!(kept_after(1, true), Some(2));
        assert_eq!(kept_after(1, false), Some(2));
        assert_eq!(kept_after(2, true), None);
    }
}
