//! Process-wide token cache: maps cache keys to token states and token hosts to rate limiters.
//!
//! # Fork
//!
//! A child of `fork` has one thread and a copy of its parent's state, which is consistent because a
//! fork waits for all critical sections (see [`fork`](crate::fork)). In-flight requests and queues
//! belong to threads that the child does not have, and stores to connections of the parent: the
//! child copies the tokens, failures and rate limits into a cache of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::entry::{CacheEntry, Counters, EntryNames, Unshared, count};
use super::fetch::{Purpose, TokenFetch, stopped};
use super::shared_rate_limiter::{Contended, SharedRateLimiter, Sharing};
use super::sync::{Mutex, Signal, current_thread, lock_inherited};
use crate::auth::diagnostics::{CounterReport, Diagnostics};
use crate::auth::key::{CacheKey, TokenHostKey, label};
use crate::auth::rate_limit_record::RateLimitSigner;
use crate::auth::rate_limiter::RateLimiter;
use crate::auth::store::{RecordStore, StoreChain, StoreId};
use crate::auth::time::Clock;
use crate::auth::token::Token;
use crate::auth::token_record::TokenRecord;
use crate::auth::token_state::{NextStep, TokenState, WaitLimits, WaiterState};
use crate::auth::{TokenCacheConfig, TokenEndpoint, TokenRequest};
use crate::call::{CallContext, StopReason};
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::fork::PerProcess;

/// Number of entries above which the cache drops idle ones that no client uses.
const MAX_ENTRIES: usize = 64;

static PROCESS_CACHE: PerProcess<Cache> = PerProcess::new();

/// Returns the handle for these credentials in the process-wide cache.
pub(crate) fn token_cache_handle(
    request: TokenRequest,
    config: &TokenCacheConfig,
) -> Result<Arc<TokenCacheHandle>, Error> {
    Cache::of_this_process().handle(request, config)
}

/// Returns the state of all tokens of this process.
pub(crate) fn diagnostics() -> Diagnostics {
    Cache::of_this_process().diagnostics()
}

/// All token states, rate limiters and stores of one process.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(in crate::auth) pid: u32,
    clock: Clock,
    // B-trees, as leak checkers cannot follow the pointers of hash tables: they would report what
    // the cache keeps until the process ends.
    entries: Mutex<BTreeMap<(CacheKey, StoreId), Retention<CacheEntry>>>,
    rate_limiters: Mutex<BTreeMap<TokenHostKey, Arc<SharedRateLimiter>>>,
    stores: Mutex<BTreeMap<StoreId, Retention<StoreChain>>>,
    counters: Arc<Counters>,
    /// Number of entries created so far.
    entries_created: AtomicU64,
}

impl Cache {
    pub(crate) fn new(clock: Clock) -> Self {
        Cache {
            pid: std::process::id(),
            clock,
            entries: Mutex::default(),
            rate_limiters: Mutex::default(),
            stores: Mutex::default(),
            counters: Arc::default(),
            entries_created: AtomicU64::new(0),
        }
    }

    fn of_this_process() -> &'static Cache {
        PROCESS_CACHE.get(|parents| match parents {
            Some(parents) => Cache::inherited(parents),
            None => Cache::new(Clock::Real),
        })
    }

    /// Creates the cache of a forked child from its parent's tokens, failures and rate limits, with
    /// locks, stores and connections of its own.
    ///
    /// Waits at most 200 ms for each lock: a thread that forked with a lock held never
    /// releases it in the child.
    pub(in crate::auth) fn inherited(parents: &Cache) -> Cache {
        let child = Cache::new(parents.clock.clone());
        let rate_limiters: Vec<_> =
            lock_inherited(&parents.rate_limiters).map_or_else(Vec::new, |rate_limiters| {
                let rate_limiters = rate_limiters.iter();
                rate_limiters
                    .map(|(key, rate_limiter)| (key.clone(), Arc::clone(rate_limiter)))
                    .collect()
            });
        for (key, rate_limiter) in rate_limiters {
            let own = Arc::new(rate_limiter.inherited());
            child.rate_limiters.lock().insert(key, own);
        }
        let entries: Vec<_> = lock_inherited(&parents.entries).map_or_else(Vec::new, |entries| {
            let entries = entries.iter();
            entries
                .filter_map(|(key, entry)| Some((key.clone(), entry.get()?)))
                .collect()
        });
        for (key, entry) in entries {
            let token_state = lock_inherited(&entry.token_state)
                .map(|token_state| token_state.inherited())
                .unwrap_or_default();
            // Valid for the parent, so valid for the child.
            let host = &entry.rate_limiter.key;
            let Ok(own) = child.new_entry(token_state, host, &entry.config, &entry.names) else {
                continue;
            };
            // Kept for a custom store too, since no client refers to the entry before its first use
            // in the child.
            child.entries.lock().insert(key, Retention::Process(own));
        }
        child
    }

    pub(crate) fn handle(
        &self,
        request: TokenRequest,
        config: &TokenCacheConfig,
    ) -> Result<Arc<TokenCacheHandle>, Error> {
        let key = CacheKey::of(&request);
        let entry = self.entry(key, &request, config)?;
        let config = config.clone();
        Ok(Arc::new(TokenCacheHandle {
            request,
            key,
            config,
            entry: PerProcess::with(entry),
        }))
    }

    fn entry(
        &self,
        key: CacheKey,
        request: &TokenRequest,
        config: &TokenCacheConfig,
    ) -> Result<Arc<CacheEntry>, Error> {
        let id = (key, StoreChain::id(config));
        let known = self.entries.lock().get(&id).and_then(Retention::get);
        if let Some(entry) = known {
            return Ok(entry);
        }
        let host = TokenHostKey::of(&request.token_url);
        let names = EntryNames {
            label: label(request),
            audience: request.audience.clone(),
        };
        let new = self.new_entry(TokenState::default(), &host, config, &names)?;
        let now = self.clock.now();
        // Dropped after the lock is released: an entry can own a custom store.
        let mut removed = Vec::new();
        let mut entries = self.entries.lock();
        if entries.len() >= MAX_ENTRIES {
            entries.retain(|_, entry| match entry {
                Retention::Process(entry) => {
                    let kept = Arc::strong_count(entry) > 1
                        || entry
                            .token_state
                            .try_lock()
                            .is_some_and(|token_state| !token_state.is_idle(now));
                    if !kept {
                        removed.push(Arc::clone(entry));
                    }
                    kept
                }
                Retention::WhileReferenced(_) => true,
            });
        }
        Ok(Retention::insert(&mut entries, id, &new, config))
    }

    fn stores(&self, config: &TokenCacheConfig) -> Result<Arc<StoreChain>, Error> {
        let id = StoreChain::id(config);
        let known = self.stores.lock().get(&id).and_then(Retention::get);
        if let Some(stores) = known {
            return Ok(stores);
        }
        let new = Arc::new(StoreChain::new(config, &self.clock)?);
        let mut stores = self.stores.lock();
        Ok(Retention::insert(&mut stores, id, &new, config))
    }

    /// Uses these stores for a configuration.
    #[cfg(test)]
    pub(in crate::auth) fn use_stores(&self, config: &TokenCacheConfig, stores: StoreChain) {
        let kept = Retention::Process(Arc::new(stores));
        self.stores.lock().insert(StoreChain::id(config), kept);
    }

    fn rate_limiter(&self, host: &TokenHostKey) -> Arc<SharedRateLimiter> {
        let mut rate_limiters = self.rate_limiters.lock();
        let new = || Arc::new(SharedRateLimiter::new(host.clone(), RateLimiter::default()));
        Arc::clone(rate_limiters.entry(host.clone()).or_insert_with(new))
    }

    fn new_entry(
        &self,
        token_state: TokenState,
        host: &TokenHostKey,
        config: &TokenCacheConfig,
        names: &EntryNames,
    ) -> Result<Arc<CacheEntry>, Error> {
        let stores = self.stores(config)?;
        Ok(Arc::new(CacheEntry {
            clock: self.clock.clone(),
            token_state: Mutex::new(token_state),
            changed: Signal::new(),
            rate_limiter: self.rate_limiter(host),
            stores,
            config: config.clone(),
            names: names.clone(),
            number: self.entries_created.fetch_add(1, Ordering::Relaxed) + 1,
            counters: Arc::clone(&self.counters),
            unshared: Unshared::default(),
            fetching_thread: AtomicUsize::new(0),
        }))
    }
}

/// How long the cache keeps an entry or a store chain: one with a custom store until the last
/// client that uses it is dropped, any other until the process ends.
#[derive(Debug)]
enum Retention<T> {
    Process(Arc<T>),
    WhileReferenced(Weak<T>),
}

impl<T> Retention<T> {
    fn new(value: Arc<T>, config: &TokenCacheConfig) -> Self {
        match config {
            TokenCacheConfig::Custom(_) => Retention::WhileReferenced(Arc::downgrade(&value)),
            _ => Retention::Process(value),
        }
    }

    fn get(&self) -> Option<Arc<T>> {
        match self {
            Retention::Process(value) => Some(Arc::clone(value)),
            Retention::WhileReferenced(value) => value.upgrade(),
        }
    }

    fn is_dropped(&self) -> bool {
        matches!(self, Retention::WhileReferenced(value) if value.strong_count() == 0)
    }

    /// Inserts a value, unless another thread inserted one in the meantime. Returns the value in
    /// the map.
    fn insert<K: Ord>(
        map: &mut BTreeMap<K, Retention<T>>,
        key: K,
        value: &Arc<T>,
        config: &TokenCacheConfig,
    ) -> Arc<T> {
        if let Some(value) = map.get(&key).and_then(Retention::get) {
            return value;
        }
        map.retain(|_, kept| !kept.is_dropped());
        map.insert(key, Retention::new(Arc::clone(value), config));
        Arc::clone(value)
    }
}

impl Cache {
    pub(crate) fn diagnostics(&self) -> Diagnostics {
        let now = self.clock.now();
        let mut entries: Vec<_> = self
            .entries
            .lock()
            .values()
            .filter_map(Retention::get)
            .collect();
        // Not sorted by keys, whose order depends on the client secrets.
        entries.sort_by(|a, b| (&a.names, a.number).cmp(&(&b.names, b.number)));
        let tokens: Vec<_> = entries.iter().map(|entry| entry.report(now)).collect();
        let rate_limiters: Vec<_> = self.rate_limiters.lock().values().cloned().collect();
        let stores: Vec<_> = self
            .stores
            .lock()
            .values()
            .filter_map(Retention::get)
            .collect();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Diagnostics {
            process_id: self.pid,
            rate_limiters: rate_limiters
                .iter()
                .map(|rate_limiter| rate_limiter.report(now))
                .collect(),
            stores: stores.iter().flat_map(|stores| stores.reports()).collect(),
            counters: CounterReport {
                token_requests: read(&self.counters.token_requests),
                refreshes: read(&self.counters.refreshes),
                tokens_from_store: read(&self.counters.tokens_from_store),
                cache_hits: tokens
                    .iter()
                    .map(|token_state| token_state.cache_hits)
                    .sum(),
                waits: read(&self.counters.waits),
                rejections: read(&self.counters.rejections),
            },
            tokens,
        }
    }
}

/// Credentials of a client, with their entry in the token cache.
pub(crate) struct TokenCacheHandle {
    request: TokenRequest,
    key: CacheKey,
    config: TokenCacheConfig,
    pub(in crate::auth) entry: PerProcess<Arc<CacheEntry>>,
}

impl TokenCacheHandle {
    /// Returns the parameters of the token requests.
    pub(crate) fn request(&self) -> &TokenRequest {
        &self.request
    }

    /// Returns the cached token, or `None` if [`token`](Self::token) has more to do than return it.
    #[inline]
    pub(crate) fn cached(&self) -> Option<Token> {
        let entry = self.current();
        let mono = entry.clock.coarse_mono();
        if entry.unshared.is_due(mono) {
            return None;
        }
        let mut token_state = entry.token_state.try_lock()?;
        token_state.fresh(mono, || entry.clock.coarse_wall())
    }

    /// Returns a valid token.
    ///
    /// Returns the cached token in well under a microsecond if it is not due for refresh. Otherwise
    /// one caller requests a token from `endpoint`, within the limits of `call`, and concurrent
    /// callers wait for the result, each within its own limits.
    ///
    /// # Errors
    ///
    /// All with [`Stage::Token`] and [`Outcome::NotSent`]: the API request was not sent.
    ///
    /// - [`ErrorKind::Authentication`]: the token endpoint rejected the credentials. All callers
    ///   get the same error, and no request is sent, until [`Error::retry_after`] has elapsed.
    /// - [`ErrorKind::RateLimited`]: the rate limit allows the next token request only after the
    ///   caller's deadline. Fails immediately.
    /// - [`ErrorKind::Timeout`], [`ErrorKind::Cancelled`]: the call ended.
    /// - [`ErrorKind::InvalidArgument`]: the caller is in a callback of the request that it would wait
    ///   for, on the same thread.
    /// - [`ErrorKind::Config`]: the token endpoint rejected the request. As for rejected credentials, no
    ///   request is sent until [`Error::retry_after`] has elapsed.
    /// - Any other error of the token endpoint, after up to three attempts.
    ///
    /// An error of the rate limit names the store that fails, if one does: without it, processes do
    /// not share their tokens.
    pub(crate) fn token(
        &self,
        endpoint: &dyn TokenEndpoint,
        call: &CallContext,
    ) -> Result<Token, Error> {
        if let Some(token) = self.cached() {
            return Ok(token);
        }
        let entry = self.current();
        if entry.unshared.claim(entry.clock.coarse_mono()) {
            self.write_back(entry, call);
        }
        self.wait_for_token(endpoint, call).map_err(|error| {
            match (error.kind(), self.current().stores.problem()) {
                (ErrorKind::RateLimited, Some(problem)) => {
                    error.ending_with(format!("tokens are not shared: {problem}"))
                }
                _ => error,
            }
        })
    }

    fn wait_for_token(
        &self,
        endpoint: &dyn TokenEndpoint,
        call: &CallContext,
    ) -> Result<Token, Error> {
        let mut waiter = WaiterState::new(endpoint.connection_settings());
        let token = self.wait_for_token_as(&mut waiter, endpoint, call);
        token.map_err(|error| {
            // The rate limit allows no second attempt before the deadline: why the first one failed
            // is the cause.
            let is_own_limit =
                error.kind() == ErrorKind::RateLimited && error.http_status().is_none();
            let failure = || self.current().lock().failure_since(&waiter);
            match is_own_limit.then(failure).flatten() {
                Some(failure) => failure.with_retry_after(error.retry_after()),
                None => error,
            }
        })
    }

    fn wait_for_token_as(
        &self,
        waiter: &mut WaiterState,
        endpoint: &dyn TokenEndpoint,
        call: &CallContext,
    ) -> Result<Token, Error> {
        let entry = self.current();
        let _paused = entry.rate_limiter.pause_calls_of_thread();
        let mut waited = false;
        loop {
            // Called before the lock is taken, since it may run an interrupt check of the caller.
            let step = call.next_wait(Duration::MAX);
            let now = entry.clock.now();
            let limits = WaitLimits {
                deadline: now.mono.saturating_add(entry.clock.remaining(call)),
                // With stores, a token may be found there without a request.
                permit_at: match entry.stores.is_empty() {
                    true => entry.rate_limiter.permit_at(now),
                    false => Duration::ZERO,
                },
            };
            let Some(mut token_state) = entry.token_state.try_lock_until(call.deadline()) else {
                return Err(stopped(call, StopReason::Deadline));
            };
            let next = token_state.next_step(now, limits, waiter);
            match next {
                NextStep::Use(token) => return Ok(token),
                NextStep::Fail(error) => return Err(error),
                NextStep::Wait(_)
                    if entry.fetching_thread.load(Ordering::Relaxed) == current_thread() =>
                {
                    return Err(Error::new(
                        ErrorKind::InvalidArgument,
                        Stage::Token,
                        Outcome::NotSent,
                        "access token not available: this thread is requesting it, and made this call \
                         in a callback (log, interrupt check or token store); make it after the \
                         outer call",
                    ));
                }
                NextStep::Wait(until) => {
                    let step = step.map_err(|stop| stopped(call, stop))?;
                    if !waited {
                        waited = true;
                        count(&entry.counters.waits);
                    }
                    let step = match until {
                        Some(until) => step.min(entry.clock.real_wait(until - now.mono)),
                        None => step,
                    };
                    let epoch = entry.changed.epoch();
                    drop(token_state);
                    entry.changed.wait_timeout(epoch, step);
                }
                NextStep::Fetch(fetch_id) => {
                    drop(token_state);
                    let fetch = TokenFetch::new(entry, fetch_id, Purpose::Fetch);
                    step.map_err(|stop| stopped(call, stop))?;
                    if let Some(token) = fetch.run(&self.request, self.key, endpoint, call)? {
                        return Ok(token);
                    }
                }
                NextStep::Refresh(fetch_id, token) => {
                    drop(token_state);
                    let fetch = TokenFetch::new(entry, fetch_id, Purpose::Refresh);
                    let refreshed = fetch.run(&self.request, self.key, endpoint, call);
                    // If the refresh failed, the token state has recorded it, and this caller still
                    // has a valid token.
                    return Ok(refreshed.ok().flatten().unwrap_or(token));
                }
            }
        }
    }

    /// Drops a token to which the API responded 401, in memory and in the stores. A newer token
    /// stays.
    pub(crate) fn invalidate(&self, token: &Token, call: &CallContext) {
        let entry = self.current();
        let now = entry.clock.now();
        let generation = token.generation();
        if entry.lock().reject(generation, now) {
            count(&entry.counters.rejections);
            self.update_records(entry, call, |record| {
                record.generation == generation && record.token.take().is_some()
            });
        }
    }

    /// Clears a rejection of the credentials, in memory and in the stores, so that the next call
    /// sends a token request.
    pub(crate) fn clear_auth_failure(&self, call: &CallContext) {
        let entry = self.current();
        let now = entry.clock.now();
        entry.lock().clear_auth_failure(now);
        self.update_records(entry, call, |record| {
            let had_failure = record.auth_failure.take().is_some();
            let had_pause = record.refresh_pause.take().is_some();
            had_failure || had_pause
        });
    }

    /// Drops the token, in memory and in the stores.
    pub(crate) fn forget(&self, call: &CallContext) {
        let entry = self.current();
        entry.lock().forget();
        self.update_records(entry, call, |record| record.token.take().is_some());
    }

    /// Locks, reads and writes the stored records, without a change, so that the diagnostics have what
    /// fails. A cached token needs no lock and no write.
    #[cfg(feature = "doctor")]
    pub(crate) fn check_stores(&self, call: &CallContext) {
        if let Some(record_store) = self.record_store(self.current()) {
            record_store.update(call, |_| true);
        }
    }

    /// Changes the stored records, and the one that has not been stored yet.
    fn update_records(
        &self,
        entry: &CacheEntry,
        call: &CallContext,
        change: impl Fn(&mut TokenRecord) -> bool,
    ) {
        entry.unshared.update(&change);
        if let Some(record_store) = self.record_store(entry) {
            record_store.update(call, change);
        }
    }

    fn record_store<'a>(&self, entry: &'a CacheEntry) -> Option<RecordStore<'a>> {
        RecordStore::new(&entry.stores, &entry.clock, &self.request, self.key)
    }

    /// Writes to the shared store what was obtained while it was not available, if it works again.
    fn write_back(&self, entry: &CacheEntry, call: &CallContext) {
        let Some(record_store) = self.record_store(entry) else {
            return;
        };
        if !entry.stores.may_write_back(call) {
            return;
        }
        let (record, rate_limit) = entry.unshared.get();
        if let Some(record) = record {
            let is_shared = record_store.write(call, &record);
            entry
                .unshared
                .set_record(&record, is_shared, entry.clock.now());
        }
        if rate_limit {
            let sharing = Sharing {
                stores: &entry.stores,
                signer: &RateLimitSigner::new(&self.request),
                clock: &entry.clock,
                call,
            };
            let is_shared = entry.rate_limiter.share(sharing, Contended::Skip, |_| {});
            entry.unshared.set_rate_limit(is_shared, entry.clock.now());
        }
    }

    /// Returns the entry of this process, which may be a child of the process that created `self`.
    #[inline]
    fn current(&self) -> &CacheEntry {
        self.entry.inherit(|parents| {
            let entry = Cache::of_this_process().entry(self.key, &self.request, &self.config);
            // Valid for the parent, so valid for the child.
            entry.unwrap_or_else(|_| Arc::clone(parents))
        })
    }
}

impl fmt::Debug for TokenCacheHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCacheHandle")
            .field("label", &label(&self.request))
            .finish_non_exhaustive()
    }
}
