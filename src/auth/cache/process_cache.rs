//! The process-wide cache: tokens and rate_limiters by their keys, and what becomes of them in a forked child.
//!
//! # Fork
//!
//! A child of `fork` has one thread, and copies of its parent's state, which are consistent because a
//! fork waits for all critical sections (see [`fork`](crate::fork)). Flights and queues belong to
//! threads that the child does not have, and stores to connections of the parent: the child copies
//! the tokens, failures and rate limits into a cache of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::fetch::{Purpose, TokenFetch, stopped};
use super::rate_limit::SharedRateLimiter;
use super::sync::{Mutex, MutexGuard, Signal};
use crate::auth::diagnostics::{CounterReport, Diagnostics, TokenReport};
use crate::auth::key::{CacheKey, TokenHostKey, label};
use crate::auth::rate_limiter::RateLimiter;
use crate::auth::store::{RecordStore, StoreChain, StoreId};
use crate::auth::time::{Clock, Timestamp};
use crate::auth::token::Token;
use crate::auth::token_state::{NextStep, TokenState, WaitLimits, WaiterState};
use crate::auth::{TokenCacheConfig, TokenEndpoint, TokenRequest};
use crate::call::{CallContext, StopReason};
use crate::error::{Error, ErrorKind};
use crate::fork::PerProcess;

/// The longest that a child waits for a lock of what it inherited.
const INHERIT_TIMEOUT: Duration = Duration::from_millis(200);

/// More tokens than this, and the idle ones that nobody holds go.
const MAX_ENTRIES: usize = 64;

static PROCESS_CACHE: PerProcess<Cache> = PerProcess::new();

/// The token_state for these credentials in the process-wide cache.
pub(crate) fn token_state(
    request: TokenRequest,
    choice: &TokenCacheConfig,
) -> Result<Arc<TokenCacheHandle>, Error> {
    Cache::of_this_process().token_state(request, choice)
}

/// What there is to say about the tokens of this process.
pub(crate) fn diagnostics() -> Diagnostics {
    Cache::of_this_process().diagnostics()
}

/// What became of token requests, since the process began.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Requests sent to a token endpoint.
    pub(crate) token_requests: AtomicU64,
    /// Those of them that were to replace a living token.
    pub(crate) refreshes: AtomicU64,
    /// Tokens that another process had asked for.
    pub(crate) shared: AtomicU64,
    /// Tokens dropped because the API answered 401.
    pub(crate) rejections: AtomicU64,
    /// Calls that had to wait for a token.
    pub(crate) waits: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// All tokens, rate_limiters and stores of one process.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(in crate::auth) pid: u32,
    clock: Clock,
    // Trees rather than hash tables, which leak checkers cannot follow: a leak of ours is told from
    // what is kept for the life of the process.
    cells: Mutex<BTreeMap<(CacheKey, StoreId), Retention<Cell>>>,
    rate_limiters: Mutex<BTreeMap<TokenHostKey, Arc<SharedRateLimiter>>>,
    stores: Mutex<BTreeMap<StoreId, Retention<StoreChain>>>,
    counters: Arc<Counters>,
    /// Number of cells made so is_remote.
    cells_made: AtomicU64,
}

impl Cache {
    pub(crate) fn new(clock: Clock) -> Self {
        Cache {
            pid: std::process::id(),
            clock,
            cells: Mutex::default(),
            rate_limiters: Mutex::default(),
            stores: Mutex::default(),
            counters: Arc::default(),
            cells_made: AtomicU64::new(0),
        }
    }

    fn of_this_process() -> &'static Cache {
        PROCESS_CACHE.get(|parents| match parents {
            Some(parents) => Cache::inherited(parents),
            None => Cache::new(Clock::Real),
        })
    }

    /// The cache of a forked child: its parent's tokens, failures and rate limits, with locks, stores
    /// and connections of its own.
    ///
    /// No lock is waited for long: a thread that forked with a lock held never releases it here.
    pub(in crate::auth) fn inherited(parents: &Cache) -> Cache {
        let child = Cache::new(parents.clock.clone());
        let rate_limiters: Vec<_> =
            inherited(&parents.rate_limiters).map_or_else(Vec::new, |rate_limiters| {
                let rate_limiters = rate_limiters.iter();
                rate_limiters
                    .map(|(key, rate_limiter)| (key.clone(), Arc::clone(rate_limiter)))
                    .collect()
            });
        for (key, rate_limiter) in rate_limiters {
            let own = Arc::new(rate_limiter.inherited());
            child.rate_limiters.lock().insert(key, own);
        }
        let cells: Vec<_> = inherited(&parents.cells).map_or_else(Vec::new, |cells| {
            let cells = cells.iter();
            cells
                .filter_map(|(key, cell)| Some((key.clone(), cell.get()?)))
                .collect()
        });
        for (key, cell) in cells {
            // Valid for the parent, so valid for the child.
            let Ok(stores) = child.stores(&cell.choice) else {
                continue;
            };
            let token_state = inherited(&cell.token_state)
                .map(|token_state| token_state.inherited())
                .unwrap_or_default();
            let own = child.new_cell(
                token_state,
                &cell.rate_limiter.key,
                stores,
                &cell.choice,
                &cell.names,
            );
            // Even with a store of the caller's own: no client refers to it before its first use here.
            child.cells.lock().insert(key, Retention::Process(own));
        }
        child
    }

    pub(crate) fn token_state(
        &self,
        request: TokenRequest,
        choice: &TokenCacheConfig,
    ) -> Result<Arc<TokenCacheHandle>, Error> {
        let key = CacheKey::of(&request);
        let cell = self.cell(key, &request, choice)?;
        let choice = choice.clone();
        Ok(Arc::new(TokenCacheHandle {
            request,
            key,
            choice,
            cell: PerProcess::with(cell),
        }))
    }

    fn cell(
        &self,
        key: CacheKey,
        request: &TokenRequest,
        choice: &TokenCacheConfig,
    ) -> Result<Arc<Cell>, Error> {
        let id = (key, StoreChain::id(choice));
        let known = self.cells.lock().get(&id).and_then(Retention::get);
        if let Some(cell) = known {
            return Ok(cell);
        }
        let rate_limiter = TokenHostKey::of(&request.token_url);
        let stores = self.stores(choice)?;
        let names = SlotNames {
            label: label(request),
            audience: request.audience.clone(),
        };
        let new = self.new_cell(TokenState::default(), &rate_limiter, stores, choice, &names);
        let now = self.clock.now();
        // Dropped after the lock is released: a cell can own a store of the caller's.
        let mut removed = Vec::new();
        let mut cells = self.cells.lock();
        if cells.len() >= MAX_ENTRIES {
            cells.retain(|_, cell| match cell {
                Retention::Process(cell) => {
                    let kept = Arc::strong_count(cell) > 1
                        || cell
                            .token_state
                            .try_lock()
                            .is_some_and(|token_state| !token_state.is_idle(now));
                    if !kept {
                        removed.push(Arc::clone(cell));
                    }
                    kept
                }
                Retention::WhileReferenced(_) => true,
            });
        }
        Ok(Retention::enter(&mut cells, id, &new, choice))
    }

    fn stores(&self, choice: &TokenCacheConfig) -> Result<Arc<StoreChain>, Error> {
        let id = StoreChain::id(choice);
        let known = self.stores.lock().get(&id).and_then(Retention::get);
        if let Some(stores) = known {
            return Ok(stores);
        }
        let new = Arc::new(StoreChain::new(choice, &self.clock)?);
        let mut stores = self.stores.lock();
        Ok(Retention::enter(&mut stores, id, &new, choice))
    }

    fn new_cell(
        &self,
        token_state: TokenState,
        rate_limiter: &TokenHostKey,
        stores: Arc<StoreChain>,
        choice: &TokenCacheConfig,
        names: &SlotNames,
    ) -> Arc<Cell> {
        let rate_limiter = {
            let mut rate_limiters = self.rate_limiters.lock();
            let new = || {
                Arc::new(SharedRateLimiter::new(
                    rate_limiter.clone(),
                    RateLimiter::default(),
                ))
            };
            Arc::clone(
                rate_limiters
                    .entry(rate_limiter.clone())
                    .or_insert_with(new),
            )
        };
        Arc::new(Cell {
            clock: self.clock.clone(),
            token_state: Mutex::new(token_state),
            changed: Signal::new(),
            rate_limiter,
            stores,
            choice: choice.clone(),
            names: names.clone(),
            number: self.cells_made.fetch_add(1, Ordering::Relaxed) + 1,
            counters: Arc::clone(&self.counters),
        })
    }
}

/// How long the cache keeps what it made. A store of the caller's own goes when the last client
/// that uses it does; everything else stays for the next client of the process.
#[derive(Debug)]
enum Retention<T> {
    Process(Arc<T>),
    WhileReferenced(Weak<T>),
}

impl<T> Retention<T> {
    fn new(value: Arc<T>, choice: &TokenCacheConfig) -> Self {
        match choice {
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

    /// Enters a value that was not there a moment ago, unless another thread was faster.
    fn enter<K: Ord>(
        map: &mut BTreeMap<K, Retention<T>>,
        key: K,
        value: &Arc<T>,
        choice: &TokenCacheConfig,
    ) -> Arc<T> {
        if let Some(value) = map.get(&key).and_then(Retention::get) {
            return value;
        }
        map.retain(|_, kept| !kept.is_dropped());
        map.insert(key, Retention::new(Arc::clone(value), choice));
        Arc::clone(value)
    }
}

/// HeldLocks what a child inherited, free but for other threads of the child that copy it too.
pub(super) fn inherited<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    mutex.try_lock_until(Instant::now().checked_add(INHERIT_TIMEOUT))
}

impl Cache {
    pub(crate) fn diagnostics(&self) -> Diagnostics {
        let now = self.clock.now();
        let mut cells: Vec<_> = self
            .cells
            .lock()
            .values()
            .filter_map(Retention::get)
            .collect();
        // Not by their keys, whose order depends on the client secrets.
        cells.sort_by(|a, b| (&a.names, a.number).cmp(&(&b.names, b.number)));
        let tokens: Vec<_> = cells.iter().map(|cell| cell.report(now)).collect();
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
            stores: stores
                .iter()
                .flat_map(|stores| stores.reports(now))
                .collect(),
            counters: CounterReport {
                token_requests: read(&self.counters.token_requests),
                refreshes: read(&self.counters.refreshes),
                shared: read(&self.counters.shared),
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

/// What clients hold: the credentials, and the way to their token_state.
pub(crate) struct TokenCacheHandle {
    request: TokenRequest,
    key: CacheKey,
    choice: TokenCacheConfig,
    pub(in crate::auth) cell: PerProcess<Arc<Cell>>,
}

impl TokenCacheHandle {
    /// A token that lives.
    ///
    /// From memory in well under a microsecond if one is there that is not due for refresh.
    /// Otherwise one caller asks `endpoint` for it, within the limits of `call`, and all others
    /// wait for what comes of it, each within its own.
    ///
    /// # Errors
    ///
    /// All with [`Stage::Token`] and [`Outcome::NotSent`]: the API's request did not leave.
    ///
    /// - [`ErrorKind::Authentication`]: the endpoint refuses the credentials. The same for every
    ///   caller until [`Error::retry_after`] is over; nothing is sent until then.
    /// - [`ErrorKind::RateLimited`]: the next token request is not allowed within the caller's
    ///   deadline. Fails at once.
    /// - [`ErrorKind::Timeout`], [`ErrorKind::Cancelled`]: the call had to end.
    /// - Any other that the endpoint's failure calls for, after up to three tries.
    ///
    /// An error of a rate limit names the store that fails, if one does: without it, processes do
    /// not share their tokens.
    pub(crate) fn token(
        &self,
        endpoint: &dyn TokenEndpoint,
        call: &CallContext,
    ) -> Result<Token, Error> {
        let cell = self.current();
        let now = cell.clock.now_coarse();
        if let Some(mut token_state) = cell.token_state.try_lock()
            && let Some(token) = token_state.fresh(now)
        {
            return Ok(token);
        }
        self.token_with_patience(endpoint, call).map_err(|error| {
            match (error.kind(), self.current().stores.problem()) {
                (ErrorKind::RateLimited, Some(problem)) => error.with_detail(&problem),
                _ => error,
            }
        })
    }

    fn token_with_patience(
        &self,
        endpoint: &dyn TokenEndpoint,
        call: &CallContext,
    ) -> Result<Token, Error> {
        let cell = self.current();
        let mut caller = WaiterState::default();
        let mut waited = false;
        loop {
            // Asked before the lock is taken, since it may run the caller's own code.
            let step = call.next_wait(Duration::MAX);
            let now = cell.clock.now();
            let limits = WaitLimits {
                deadline: now.mono.saturating_add(cell.clock.remaining(call)),
                // What is in the stores may do without a turn, so the leader looks there first.
                turn: match cell.stores.is_empty() {
                    true => cell.rate_limiter.permit_at(now),
                    false => Duration::ZERO,
                },
            };
            let Some(mut token_state) = cell.token_state.try_lock_until(call.deadline()) else {
                return Err(stopped(call, StopReason::Deadline));
            };
            let answer = token_state.next_step(now, limits, &mut caller);
            match answer {
                NextStep::Use(token) => return Ok(token),
                NextStep::Fail(error) => return Err(error),
                NextStep::Wait(until) => {
                    let step = step.map_err(|stop| stopped(call, stop))?;
                    if !waited {
                        waited = true;
                        count(&cell.counters.waits);
                    }
                    let step = match until {
                        Some(until) => step.min(cell.clock.real_wait(until - now.mono)),
                        None => step,
                    };
                    let epoch = cell.changed.epoch();
                    drop(token_state);
                    cell.changed.wait_timeout(epoch, step);
                }
                NextStep::Fetch(fetch_id) => {
                    drop(token_state);
                    let leader = TokenFetch::new(cell, fetch_id, Purpose::Fetch);
                    step.map_err(|stop| stopped(call, stop))?;
                    if let Some(token) = leader.lead(&self.request, self.key, endpoint, call)? {
                        return Ok(token);
                    }
                }
                NextStep::Refresh(fetch_id, token) => {
                    drop(token_state);
                    let leader = TokenFetch::new(cell, fetch_id, Purpose::Refresh);
                    let refreshed = leader.lead(&self.request, self.key, endpoint, call);
                    // Whatever went wrong, the token_state knows, and this caller has a token.
                    return Ok(refreshed.ok().flatten().unwrap_or(token));
                }
            }
        }
    }

    /// The API answered 401 to this token: it is not used again, here or by whoever shares the
    /// stores. A newer one stays.
    pub(crate) fn reject(&self, token: &Token, call: &CallContext) {
        let cell = self.current();
        let now = cell.clock.now();
        let generation = token.generation();
        if cell.lock().reject(generation, now) {
            count(&cell.counters.rejections);
            if let Some(record_store) = self.record_store(cell) {
                record_store.edit(call, now, |record| {
                    record.generation == generation && record.token.take().is_some()
                });
            }
        }
    }

    /// Lets the next call ask again although the credentials were refused, here or in another
    /// process.
    pub(crate) fn clear_auth_failure(&self, call: &CallContext) {
        let cell = self.current();
        let now = cell.clock.now();
        cell.lock().clear_auth_failure(now);
        if let Some(record_store) = self.record_store(cell) {
            record_store.edit(call, now, |record| {
                let refused = record.auth_failure.take().is_some();
                record.refresh_pause.take().is_some() || refused
            });
        }
    }

    /// Drops the token, here and in the stores.
    pub(crate) fn forget(&self, call: &CallContext) {
        let cell = self.current();
        let now = cell.clock.now();
        cell.lock().forget();
        if let Some(record_store) = self.record_store(cell) {
            record_store.edit(call, now, |record| record.token.take().is_some());
        }
    }

    fn record_store<'a>(&self, cell: &'a Cell) -> Option<RecordStore<'a>> {
        RecordStore::new(&cell.stores, &self.request, self.key)
    }

    /// The token_state's state in this process, which may be a child of the one that made `self`.
    #[inline]
    fn current(&self) -> &Cell {
        self.cell.inherit(|parents| {
            let cell = Cache::of_this_process().cell(self.key, &self.request, &self.choice);
            // Valid for the parent, so valid for the child.
            cell.unwrap_or_else(|_| Arc::clone(parents))
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

/// A token_state with its lock.
#[derive(Debug)]
pub(in crate::auth) struct Cell {
    pub(super) clock: Clock,
    token_state: Mutex<TokenState>,
    /// Notified whenever a fetch_id ends or learns its turn.
    pub(super) changed: Signal,
    pub(super) rate_limiter: Arc<SharedRateLimiter>,
    pub(super) stores: Arc<StoreChain>,
    choice: TokenCacheConfig,
    names: SlotNames,
    /// Tells apart the cells of one process whose names are the same.
    number: u64,
    pub(super) counters: Arc<Counters>,
}

/// Names of a cell in the diagnostics; none of them depends on the client secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SlotNames {
    audience: String,
    label: String,
}

impl Cell {
    fn report(&self, now: Timestamp) -> TokenReport {
        let token_state = self.lock();
        let token = token_state.token_remaining(now);
        let suspension = token_state.suspended_for(now);
        TokenReport {
            key: format!("{}-{}", self.names.label, self.number),
            audience: self.names.audience.clone(),
            token_host: self.rate_limiter.key.as_str().to_owned(),
            state: token_state.phase(now),
            expires_in: token.map(|(expires, _)| expires.as_secs_f64()),
            refresh_in: token.map(|(_, due)| due.as_secs_f64()),
            retry_in: suspension.map(|(left, _)| left.as_secs_f64()),
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
