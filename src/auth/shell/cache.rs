//! The process-wide cache: slots and gates by their keys, and what becomes of them in a forked child.
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

use super::leader::{Leader, Purpose, stopped};
use super::pacing::GateCell;
use super::sync::{Mutex, MutexGuard, Signal};
use crate::auth::diagnostics::{CounterReport, Diagnostics, SlotReport};
use crate::auth::gate::Gate;
use crate::auth::key::{GateKey, SlotKey, label};
use crate::auth::slot::{Answer, Caller, Patience, Slot};
use crate::auth::store::{StoreId, Stores, Vault};
use crate::auth::time::{Clock, Moment};
use crate::auth::token::Token;
use crate::auth::{TokenCacheChoice, TokenEndpoint, TokenRequest};
use crate::call::{Call, Stop};
use crate::error::{Error, ErrorKind};
use crate::fork::PerProcess;

/// The longest that a child waits for a lock of what it inherited.
const INHERIT_TIMEOUT: Duration = Duration::from_millis(200);

/// More slots than this, and the idle ones that nobody holds go.
const SLOTS_KEPT: usize = 64;

static PROCESS_CACHE: PerProcess<Cache> = PerProcess::new();

/// The slot for these credentials in the process-wide cache.
pub(crate) fn slot(
    request: TokenRequest,
    choice: &TokenCacheChoice,
) -> Result<Arc<TokenSlot>, Error> {
    Cache::of_this_process().slot(request, choice)
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

/// All slots, gates and stores of one process.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(super) pid: u32,
    clock: Clock,
    // Trees rather than hash tables, which leak checkers cannot follow: a leak of ours is told from
    // what is kept for the life of the process.
    cells: Mutex<BTreeMap<(SlotKey, StoreId), Kept<Cell>>>,
    gates: Mutex<BTreeMap<GateKey, Arc<GateCell>>>,
    stores: Mutex<BTreeMap<StoreId, Kept<Stores>>>,
    counters: Arc<Counters>,
    /// Number of cells made so far.
    cells_made: AtomicU64,
}

impl Cache {
    pub(crate) fn new(clock: Clock) -> Self {
        Cache {
            pid: std::process::id(),
            clock,
            cells: Mutex::default(),
            gates: Mutex::default(),
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
    pub(super) fn inherited(parents: &Cache) -> Cache {
        let child = Cache::new(parents.clock.clone());
        let gates: Vec<_> = inherited(&parents.gates).map_or_else(Vec::new, |gates| {
            let gates = gates.iter();
            gates
                .map(|(key, gate)| (key.clone(), Arc::clone(gate)))
                .collect()
        });
        for (key, gate) in gates {
            let own = Arc::new(gate.inherited());
            child.gates.lock().insert(key, own);
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
            let slot = inherited(&cell.slot)
                .map(|slot| slot.inherited())
                .unwrap_or_default();
            let own = child.new_cell(slot, &cell.gate.key, stores, &cell.choice, &cell.names);
            // Even with a store of the caller's own: no client refers to it before its first use here.
            child.cells.lock().insert(key, Kept::Always(own));
        }
        child
    }

    pub(crate) fn slot(
        &self,
        request: TokenRequest,
        choice: &TokenCacheChoice,
    ) -> Result<Arc<TokenSlot>, Error> {
        let key = SlotKey::of(&request);
        let cell = self.cell(key, &request, choice)?;
        let choice = choice.clone();
        Ok(Arc::new(TokenSlot {
            request,
            key,
            choice,
            cell: PerProcess::with(cell),
        }))
    }

    fn cell(
        &self,
        key: SlotKey,
        request: &TokenRequest,
        choice: &TokenCacheChoice,
    ) -> Result<Arc<Cell>, Error> {
        let id = (key, Stores::id(choice));
        let known = self.cells.lock().get(&id).and_then(Kept::get);
        if let Some(cell) = known {
            return Ok(cell);
        }
        let gate = GateKey::of(&request.token_url);
        let stores = self.stores(choice)?;
        let names = SlotNames {
            label: label(request),
            audience: request.audience.clone(),
        };
        let new = self.new_cell(Slot::default(), &gate, stores, choice, &names);
        let now = self.clock.now();
        // Dropped after the lock is released: a cell can own a store of the caller's.
        let mut removed = Vec::new();
        let mut cells = self.cells.lock();
        if cells.len() >= SLOTS_KEPT {
            cells.retain(|_, cell| match cell {
                Kept::Always(cell) => {
                    let kept = Arc::strong_count(cell) > 1
                        || cell.slot.try_lock().is_some_and(|slot| !slot.is_idle(now));
                    if !kept {
                        removed.push(Arc::clone(cell));
                    }
                    kept
                }
                Kept::WhileUsed(_) => true,
            });
        }
        Ok(Kept::enter(&mut cells, id, &new, choice))
    }

    fn stores(&self, choice: &TokenCacheChoice) -> Result<Arc<Stores>, Error> {
        let id = Stores::id(choice);
        let known = self.stores.lock().get(&id).and_then(Kept::get);
        if let Some(stores) = known {
            return Ok(stores);
        }
        let new = Arc::new(Stores::new(choice, &self.clock)?);
        let mut stores = self.stores.lock();
        Ok(Kept::enter(&mut stores, id, &new, choice))
    }

    fn new_cell(
        &self,
        slot: Slot,
        gate: &GateKey,
        stores: Arc<Stores>,
        choice: &TokenCacheChoice,
        names: &SlotNames,
    ) -> Arc<Cell> {
        let gate = {
            let mut gates = self.gates.lock();
            let new = || Arc::new(GateCell::new(gate.clone(), Gate::default()));
            Arc::clone(gates.entry(gate.clone()).or_insert_with(new))
        };
        Arc::new(Cell {
            clock: self.clock.clone(),
            slot: Mutex::new(slot),
            changed: Signal::new(),
            gate,
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
enum Kept<T> {
    Always(Arc<T>),
    WhileUsed(Weak<T>),
}

impl<T> Kept<T> {
    fn new(value: Arc<T>, choice: &TokenCacheChoice) -> Self {
        match choice {
            TokenCacheChoice::Custom(_) => Kept::WhileUsed(Arc::downgrade(&value)),
            _ => Kept::Always(value),
        }
    }

    fn get(&self) -> Option<Arc<T>> {
        match self {
            Kept::Always(value) => Some(Arc::clone(value)),
            Kept::WhileUsed(value) => value.upgrade(),
        }
    }

    fn is_gone(&self) -> bool {
        matches!(self, Kept::WhileUsed(value) if value.strong_count() == 0)
    }

    /// Enters a value that was not there a moment ago, unless another thread was faster.
    fn enter<K: Ord>(
        map: &mut BTreeMap<K, Kept<T>>,
        key: K,
        value: &Arc<T>,
        choice: &TokenCacheChoice,
    ) -> Arc<T> {
        if let Some(value) = map.get(&key).and_then(Kept::get) {
            return value;
        }
        map.retain(|_, kept| !kept.is_gone());
        map.insert(key, Kept::new(Arc::clone(value), choice));
        Arc::clone(value)
    }
}

/// Locks what a child inherited, free but for other threads of the child that copy it too.
pub(super) fn inherited<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    mutex.try_lock_until(Instant::now().checked_add(INHERIT_TIMEOUT))
}

impl Cache {
    pub(crate) fn diagnostics(&self) -> Diagnostics {
        let now = self.clock.now();
        let mut cells: Vec<_> = self.cells.lock().values().filter_map(Kept::get).collect();
        // Not by their keys, whose order depends on the client secrets.
        cells.sort_by(|a, b| (&a.names, a.number).cmp(&(&b.names, b.number)));
        let slots: Vec<_> = cells.iter().map(|cell| cell.report(now)).collect();
        let gates: Vec<_> = self.gates.lock().values().cloned().collect();
        let stores: Vec<_> = self.stores.lock().values().filter_map(Kept::get).collect();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Diagnostics {
            process_id: self.pid,
            gates: gates.iter().map(|gate| gate.report(now)).collect(),
            stores: stores
                .iter()
                .flat_map(|stores| stores.reports(now))
                .collect(),
            counters: CounterReport {
                token_requests: read(&self.counters.token_requests),
                refreshes: read(&self.counters.refreshes),
                shared: read(&self.counters.shared),
                cache_hits: slots.iter().map(|slot| slot.hits).sum(),
                waits: read(&self.counters.waits),
                rejections: read(&self.counters.rejections),
            },
            slots,
        }
    }
}

/// What clients hold: the credentials, and the way to their slot.
pub(crate) struct TokenSlot {
    request: TokenRequest,
    key: SlotKey,
    choice: TokenCacheChoice,
    pub(super) cell: PerProcess<Arc<Cell>>,
}

impl TokenSlot {
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
    pub(crate) fn token(&self, endpoint: &dyn TokenEndpoint, call: &Call) -> Result<Token, Error> {
        let cell = self.current();
        let now = cell.clock.now_roughly();
        if let Some(mut slot) = cell.slot.try_lock()
            && let Some(token) = slot.fresh(now)
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
        call: &Call,
    ) -> Result<Token, Error> {
        let cell = self.current();
        let mut caller = Caller::default();
        let mut waited = false;
        loop {
            // Asked before the lock is taken, since it may run the caller's own code.
            let step = call.slice(Duration::MAX);
            let now = cell.clock.now();
            let patience = Patience {
                deadline: now.mono.saturating_add(cell.clock.remaining(call)),
                // What is in the stores may do without a turn, so the leader looks there first.
                turn: match cell.stores.is_empty() {
                    true => cell.gate.turn(now),
                    false => Duration::ZERO,
                },
            };
            let Some(mut slot) = cell.slot.try_lock_until(call.deadline()) else {
                return Err(stopped(call, Stop::Deadline));
            };
            let answer = slot.ask(now, patience, &mut caller);
            match answer {
                Answer::Use(token) => return Ok(token),
                Answer::Fail(error) => return Err(error),
                Answer::Wait(until) => {
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
                    drop(slot);
                    cell.changed.wait_timeout(epoch, step);
                }
                Answer::Lead(flight) => {
                    drop(slot);
                    let leader = Leader::new(cell, flight, Purpose::Fetch);
                    step.map_err(|stop| stopped(call, stop))?;
                    if let Some(token) = leader.lead(&self.request, self.key, endpoint, call)? {
                        return Ok(token);
                    }
                }
                Answer::Refresh(flight, token) => {
                    drop(slot);
                    let leader = Leader::new(cell, flight, Purpose::Refresh);
                    let refreshed = leader.lead(&self.request, self.key, endpoint, call);
                    // Whatever went wrong, the slot knows, and this caller has a token.
                    return Ok(refreshed.ok().flatten().unwrap_or(token));
                }
            }
        }
    }

    /// The API answered 401 to this token: it is not used again, here or by whoever shares the
    /// stores. A newer one stays.
    pub(crate) fn reject(&self, token: &Token, call: &Call) {
        let cell = self.current();
        let now = cell.clock.now();
        let generation = token.generation();
        if cell.lock().reject(generation, now) {
            count(&cell.counters.rejections);
            if let Some(vault) = self.vault(cell) {
                vault.edit(call, now, |record| {
                    record.generation == generation && record.token.take().is_some()
                });
            }
        }
    }

    /// Lets the next call ask again although the credentials were refused, here or in another
    /// process.
    pub(crate) fn retry_credentials(&self, call: &Call) {
        let cell = self.current();
        let now = cell.clock.now();
        cell.lock().retry_credentials(now);
        if let Some(vault) = self.vault(cell) {
            vault.edit(call, now, |record| {
                let refused = record.refusal.take().is_some();
                record.refresh_pause.take().is_some() || refused
            });
        }
    }

    /// Drops the token, here and in the stores.
    pub(crate) fn forget(&self, call: &Call) {
        let cell = self.current();
        let now = cell.clock.now();
        cell.lock().forget();
        if let Some(vault) = self.vault(cell) {
            vault.edit(call, now, |record| record.token.take().is_some());
        }
    }

    fn vault<'a>(&self, cell: &'a Cell) -> Option<Vault<'a>> {
        Vault::new(&cell.stores, &self.request, self.key)
    }

    /// The slot's state in this process, which may be a child of the one that made `self`.
    #[inline]
    fn current(&self) -> &Cell {
        self.cell.inherit(|parents| {
            let cell = Cache::of_this_process().cell(self.key, &self.request, &self.choice);
            // Valid for the parent, so valid for the child.
            cell.unwrap_or_else(|_| Arc::clone(parents))
        })
    }
}

impl fmt::Debug for TokenSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSlot")
            .field("label", &label(&self.request))
            .finish_non_exhaustive()
    }
}

/// A slot with its lock.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) clock: Clock,
    slot: Mutex<Slot>,
    /// Notified whenever a flight ends or learns its turn.
    pub(super) changed: Signal,
    pub(super) gate: Arc<GateCell>,
    pub(super) stores: Arc<Stores>,
    choice: TokenCacheChoice,
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
    fn report(&self, now: Moment) -> SlotReport {
        let slot = self.lock();
        let token = slot.token_left(now);
        let trouble = slot.trouble_left(now);
        SlotReport {
            key: format!("{}-{}", self.names.label, self.number),
            audience: self.names.audience.clone(),
            token_host: self.gate.key.as_str().to_owned(),
            state: slot.phase(now),
            expires_in: token.map(|(expires, _)| expires.as_secs_f64()),
            refresh_in: token.map(|(_, due)| due.as_secs_f64()),
            retry_in: trouble.map(|(left, _)| left.as_secs_f64()),
            last_error: trouble.map(|(_, error)| error.message().to_owned()),
            hits: slot.hits(),
        }
    }

    pub(super) fn audience(&self) -> &str {
        &self.names.audience
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock()
    }
}
