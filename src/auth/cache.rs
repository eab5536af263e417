//! The shell around slots and gates: the process-wide cache, with its clock, locks and waiting.
//!
//! The rules are in `slot` and `gate`; here is only how threads and processes come to follow them.
//! No lock is held while anything is sent, read or written, and none is taken while another is held.
//!
//! # Fork
//!
//! A child of `fork` has one thread, and copies of locks and flights that belonged to threads which
//! it has not. The fast path never blocks, so it may use the copies: an unlocked slot with a fresh
//! token is as good as any. Everything else first compares the process id with the one that made the
//! state, and in a child moves on to state of its own.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use ring::rand::{SecureRandom, SystemRandom};

use super::gate::{Gate, SPACING, Ticket};
use super::key::{GateKey, SlotKey};
use super::slot::{Answer, Caller, Flight, Held, Patience, Slot, rate_limited};
use super::sync::{Condvar, Mutex, MutexGuard};
use super::time::{Clock, Moment};
use super::token::{Token, lifetime};
use super::{FetchError, FetchFailure, TokenAnswer, TokenCacheChoice, TokenEndpoint, TokenRequest};
use crate::call::{Call, Stop};
use crate::error::{Error, ErrorKind, Outcome, Stage};

/// The longest a caller who holds a living token is kept by refreshing it.
const REFRESH_PATIENCE: Duration = Duration::from_secs(5);

/// When a refresh that had to be put off is tried again.
const REFRESH_AGAIN: Duration = Duration::from_secs(2);

/// More slots than this, and the idle ones that nobody holds go.
const SLOTS_KEPT: usize = 64;

static PROCESS_CACHE: ArcSwapOption<Cache> = ArcSwapOption::const_empty();

/// The slot for these credentials in the process-wide cache.
pub(crate) fn slot(
    request: TokenRequest,
    choice: &TokenCacheChoice,
) -> Result<Arc<TokenSlot>, Error> {
    Ok(Cache::of_this_process().slot(request, choice))
}

/// What became of token requests, since the process began.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Requests sent to a token endpoint.
    pub(crate) token_requests: AtomicU64,
    /// Those of them that were to replace a living token.
    pub(crate) refreshes: AtomicU64,
    /// Tokens dropped because the API answered 401.
    pub(crate) rejections: AtomicU64,
    /// Calls that had to wait for a token.
    pub(crate) waits: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// All slots and gates of one process.
#[derive(Debug)]
pub(crate) struct Cache {
    pid: u32,
    clock: Clock,
    cells: Mutex<HashMap<(SlotKey, TokenCacheChoice), Arc<Cell>>>,
    gates: Mutex<HashMap<GateKey, Arc<GateCell>>>,
    counters: Arc<Counters>,
}

impl Cache {
    pub(crate) fn new(clock: Clock) -> Self {
        Cache {
            pid: std::process::id(),
            clock,
            cells: Mutex::default(),
            gates: Mutex::default(),
            counters: Arc::default(),
        }
    }

    fn of_this_process() -> Arc<Cache> {
        let pid = std::process::id();
        loop {
            let known = PROCESS_CACHE.load();
            let fresh = match &*known {
                Some(cache) if cache.pid == pid => return Arc::clone(cache),
                Some(parents) => Cache::inherited(parents),
                None => Cache::new(Clock::real()),
            };
            PROCESS_CACHE.compare_and_swap(&known, Some(Arc::new(fresh)));
        }
    }

    /// The cache of a forked child: what could be read of its parent's, with locks of its own.
    ///
    /// Only tries the locks: one that was held while the process forked stays held in the child.
    fn inherited(parents: &Cache) -> Cache {
        let child = Cache::new(parents.clock.clone());
        if let Ok(gates) = parents.gates.try_lock() {
            for (key, cell) in gates.iter() {
                let gate = cell
                    .gate
                    .try_lock()
                    .map(|gate| gate.inherited())
                    .unwrap_or_default();
                lock(&child.gates).insert(key.clone(), Arc::new(GateCell::new(key.clone(), gate)));
            }
        }
        if let Ok(cells) = parents.cells.try_lock() {
            for (key, cell) in cells.iter() {
                let slot = cell
                    .slot
                    .try_lock()
                    .map(|slot| slot.inherited())
                    .unwrap_or_default();
                let cell = child.new_cell(slot, child.gate(&cell.gate.key));
                lock(&child.cells).insert(key.clone(), cell);
            }
        }
        child
    }

    pub(crate) fn slot(&self, request: TokenRequest, choice: &TokenCacheChoice) -> Arc<TokenSlot> {
        let key = SlotKey::of(&request);
        let cell = self.cell(key, &request, choice);
        Arc::new(TokenSlot {
            request,
            key,
            choice: choice.clone(),
            cell: ArcSwap::new(cell),
        })
    }

    fn cell(&self, key: SlotKey, request: &TokenRequest, choice: &TokenCacheChoice) -> Arc<Cell> {
        let gate = self.gate(&GateKey::of(&request.token_url));
        let mut cells = lock(&self.cells);
        if cells.len() >= SLOTS_KEPT {
            let now = self.clock.now();
            cells.retain(|_, cell| {
                Arc::strong_count(cell) > 1
                    || cell.slot.try_lock().is_ok_and(|slot| !slot.is_idle(now))
            });
        }
        let cell = cells
            .entry((key, choice.clone()))
            .or_insert_with(|| self.new_cell(Slot::default(), gate));
        Arc::clone(cell)
    }

    fn gate(&self, key: &GateKey) -> Arc<GateCell> {
        let mut gates = lock(&self.gates);
        let gate = gates
            .entry(key.clone())
            .or_insert_with(|| Arc::new(GateCell::new(key.clone(), Gate::default())));
        Arc::clone(gate)
    }

    fn new_cell(&self, slot: Slot, gate: Arc<GateCell>) -> Arc<Cell> {
        Arc::new(Cell {
            pid: self.pid,
            clock: self.clock.clone(),
            slot: Mutex::new(slot),
            changed: Condvar::new(),
            gate,
            counters: Arc::clone(&self.counters),
        })
    }
}

/// What clients hold: the credentials, and the way to their slot.
pub(crate) struct TokenSlot {
    request: TokenRequest,
    key: SlotKey,
    choice: TokenCacheChoice,
    /// Replaced once in every forked child.
    cell: ArcSwap<Cell>,
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
    pub(crate) fn token(&self, endpoint: &dyn TokenEndpoint, call: &Call) -> Result<Token, Error> {
        let cell = self.cell.load();
        let now = cell.clock.now();
        // A lock that is taken may be that of a thread which a fork left behind.
        if let Ok(mut slot) = cell.slot.try_lock()
            && let Some(token) = slot.fresh(now)
        {
            return Ok(token);
        }
        drop(cell);
        self.token_with_patience(endpoint, call)
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
                deadline: deadline(now, call),
                turn: cell.gate.turn(now),
            };
            let mut slot = lock(&cell.slot);
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
                    drop(cell.changed.wait_timeout(slot, step));
                }
                Answer::Lead(flight) => {
                    drop(slot);
                    let leader = Leader {
                        cell: &cell,
                        flight,
                        landed: false,
                    };
                    if let Err(stop) = step {
                        return Err(stopped(call, stop));
                    }
                    if let Some(token) = self.fetch(leader, endpoint, call)? {
                        return Ok(token);
                    }
                }
                Answer::Refresh(flight, token) => {
                    drop(slot);
                    let leader = Leader {
                        cell: &cell,
                        flight,
                        landed: false,
                    };
                    let patience = REFRESH_PATIENCE.min(call.remaining() / 2);
                    let refreshed = self.refresh(leader, endpoint, &call.at_most(patience));
                    return Ok(refreshed.unwrap_or(token));
                }
            }
        }
    }

    /// Leads a request because no token lives. `None` means that there is none yet, and that the
    /// slot knows what is to be done about it.
    fn fetch(
        &self,
        leader: Leader<'_>,
        endpoint: &dyn TokenEndpoint,
        call: &Call,
    ) -> Result<Option<Token>, Error> {
        let cell = leader.cell;
        match cell
            .gate
            .pass(&cell.clock, call, |turn| leader.expect_turn(turn))
        {
            Pass::Go(sent) => self.send(leader, sent, endpoint, call),
            Pass::TooLate(wait) => Err(rate_limited(wait)),
            Pass::Stopped(stop) => Err(stopped(call, stop)),
        }
    }

    /// Leads a request although a token lives: without waiting for anything but the answer, and
    /// without an error.
    fn refresh(
        &self,
        mut leader: Leader<'_>,
        endpoint: &dyn TokenEndpoint,
        call: &Call,
    ) -> Option<Token> {
        call.check().ok()?;
        let cell = leader.cell;
        let now = cell.clock.now();
        if !cell.gate.pass_now(now) {
            let again = cell
                .gate
                .turn(now)
                .max(now.mono.saturating_add(REFRESH_AGAIN));
            leader.land(|slot, flight| slot.postponed(flight, again));
            return None;
        }
        count(&cell.counters.refreshes);
        self.send(leader, now, endpoint, call).ok().flatten()
    }

    /// Sends the request whose turn was taken at `sent`.
    fn send(
        &self,
        mut leader: Leader<'_>,
        sent: Moment,
        endpoint: &dyn TokenEndpoint,
        call: &Call,
    ) -> Result<Option<Token>, Error> {
        let cell = leader.cell;
        count(&cell.counters.token_requests);
        let outcome = endpoint.fetch(&self.request, call);
        let now = cell.clock.now();
        let outcome = outcome.and_then(|answer| held(&lock(&cell.slot), &answer, sent, now));
        match outcome {
            Ok(held) => {
                cell.gate.answered(sent, now);
                let token = held.token.clone();
                leader.land(|slot, flight| slot.landed(flight, held));
                Ok(Some(token))
            }
            Err(failure) => failed(leader, sent, now, call, failure),
        }
    }

    /// The API answered 401 to this token: it is not used again. A newer one stays.
    pub(crate) fn reject(&self, token: &Token) {
        let cell = self.current();
        let now = cell.clock.now();
        if lock(&cell.slot).reject(token.generation(), now) {
            count(&cell.counters.rejections);
        }
    }

    /// Lets the next call ask again although the credentials were refused.
    pub(crate) fn retry_credentials(&self) {
        let cell = self.current();
        lock(&cell.slot).retry_credentials();
    }

    /// Drops the token.
    pub(crate) fn forget(&self) {
        let cell = self.current();
        lock(&cell.slot).forget();
    }

    /// The slot's state in this process, which may be another than the one that made `self`.
    fn current(&self) -> Arc<Cell> {
        let cell = self.cell.load_full();
        if cell.pid == std::process::id() {
            return cell;
        }
        let cell = Cache::of_this_process().cell(self.key, &self.request, &self.choice);
        self.cell.store(Arc::clone(&cell));
        cell
    }
}

impl fmt::Debug for TokenSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSlot")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// A slot with its lock.
#[derive(Debug)]
struct Cell {
    pid: u32,
    clock: Clock,
    slot: Mutex<Slot>,
    /// Notified whenever a flight ends or learns its turn.
    changed: Condvar,
    gate: Arc<GateCell>,
    counters: Arc<Counters>,
}

/// The thread that leads a flight. Dropped without landing, by an error or a panic, it gives up, so
/// that another can lead.
struct Leader<'a> {
    cell: &'a Cell,
    flight: Flight,
    landed: bool,
}

impl Leader<'_> {
    fn land(&mut self, event: impl FnOnce(&mut Slot, Flight)) {
        event(&mut lock(&self.cell.slot), self.flight);
        self.landed = true;
        self.cell.changed.notify_all();
    }

    fn expect_turn(&self, turn: Duration) {
        lock(&self.cell.slot).expect_turn(self.flight, turn);
        self.cell.changed.notify_all();
    }
}

impl Drop for Leader<'_> {
    fn drop(&mut self) {
        if !self.landed {
            self.land(|slot, flight| slot.gave_up(flight));
        }
    }
}

/// A gate with its lock.
#[derive(Debug)]
struct GateCell {
    key: GateKey,
    gate: Mutex<Gate>,
    /// Notified whenever the queue moves or the gate is blocked.
    changed: Condvar,
}

/// How waiting at a gate ended.
enum Pass {
    /// The turn is taken, at this moment: send.
    Go(Moment),
    /// The turn comes this much later, beyond the caller's deadline.
    TooLate(Duration),
    Stopped(Stop),
}

impl GateCell {
    fn new(key: GateKey, gate: Gate) -> Self {
        GateCell {
            key,
            gate: Mutex::new(gate),
            changed: Condvar::new(),
        }
    }

    /// The earliest turn (monotonic) of someone who comes now.
    fn turn(&self, now: Moment) -> Duration {
        lock(&self.gate).turn(None, now)
    }

    /// Waits for a turn and takes it. `expect` is told whenever the expected turn changes.
    fn pass(&self, clock: &Clock, call: &Call, expect: impl Fn(Duration)) -> Pass {
        let place = Place {
            cell: self,
            ticket: lock(&self.gate).enter(),
        };
        let mut expected = Duration::ZERO;
        loop {
            let step = match call.slice(Duration::MAX) {
                Ok(step) => step,
                Err(stop) => return Pass::Stopped(stop),
            };
            let now = clock.now();
            let mut gate = lock(&self.gate);
            let turn = gate.turn(Some(place.ticket), now);
            if turn <= now.mono {
                gate.stamp(now);
                return Pass::Go(now);
            }
            if turn > deadline(now, call) {
                return Pass::TooLate(turn - now.mono);
            }
            if turn.abs_diff(expected) < SPACING / 4 {
                let step = step.min(clock.real_wait(turn - now.mono));
                drop(self.changed.wait_timeout(gate, step));
            } else {
                // Told without this lock; then looked at again, as things may have changed.
                drop(gate);
                expected = turn;
                expect(turn);
            }
        }
    }

    /// Takes the turn if it is now; never waits.
    fn pass_now(&self, now: Moment) -> bool {
        let mut gate = lock(&self.gate);
        let passes = gate.turn(None, now) <= now.mono;
        if passes {
            gate.stamp(now);
        }
        passes
    }

    fn answered(&self, sent: Moment, now: Moment) {
        lock(&self.gate).answered(sent, now);
    }

    /// Closes the gate; the answer is when it opens (monotonic).
    fn rate_limited(&self, now: Moment, retry_after: Option<Duration>) -> Duration {
        let opens = {
            let mut gate = lock(&self.gate);
            gate.rate_limited(now, retry_after, random());
            gate.opens()
        };
        // Those who queue have to see that their turn is later now.
        self.changed.notify_all();
        opens
    }
}

/// A place in the queue of a gate, left on drop.
struct Place<'a> {
    cell: &'a GateCell,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        lock(&self.cell.gate).leave(self.ticket);
        self.cell.changed.notify_all();
    }
}

/// The token of an answer, made ready to be kept.
fn held(slot: &Slot, answer: &TokenAnswer, sent: Moment, now: Moment) -> Result<Held, FetchError> {
    let life = lifetime(answer, sent, now);
    let generation = slot.next_generation(0, now);
    let expires_at = now.after(life).system_time();
    match Token::new(&answer.access_token, expires_at, generation) {
        Some(token) => Ok(Held::new(token, life, life, now, random())),
        None => Err(FetchError {
            cause: FetchFailure::Transient,
            error: error(
                ErrorKind::Decode,
                "the token endpoint's answer has no usable token in it",
            ),
        }),
    }
}

/// What the failure of a request means for everybody; the error, if it is this caller's alone.
fn failed(
    mut leader: Leader<'_>,
    sent: Moment,
    now: Moment,
    call: &Call,
    failure: FetchError,
) -> Result<Option<Token>, Error> {
    let gate = &leader.cell.gate;
    let error = failure.error.with_outcome(Outcome::NotSent);
    match failure.cause {
        FetchFailure::NotSent | FetchFailure::Transient => {
            gate.answered(sent, now);
            leader.land(|slot, flight| slot.failed(flight, now, error, random()));
            Ok(None)
        }
        FetchFailure::BadCredentials => {
            gate.answered(sent, now);
            leader.land(|slot, flight| {
                slot.refused(flight, now, error);
            });
            Ok(None)
        }
        FetchFailure::RateLimited { retry_after } => {
            let opens = gate.rate_limited(now, retry_after);
            if opens > deadline(now, call) {
                return Err(error.with_retry_after(Some(opens.saturating_sub(now.mono))));
            }
            Ok(None)
        }
        FetchFailure::Stopped => {
            // A caller who went away says nothing about the endpoint. One whose time was up says
            // that the endpoint is slow, and the next should not press it.
            if call.check() == Err(Stop::Deadline) {
                let slow = self::error(
                    ErrorKind::Network,
                    "the token endpoint did not answer before the last call had to be over",
                );
                leader.land(|slot, flight| slot.failed(flight, now, slow, random()));
            }
            Err(error)
        }
    }
}

fn error(kind: ErrorKind, message: &str) -> Error {
    Error::new(kind, Stage::Token, Outcome::NotSent, message)
}

fn stopped(call: &Call, stop: Stop) -> Error {
    call.stopped(stop, Stage::Token, Outcome::NotSent)
}

/// When the call has to be over, by the monotonic clock of `now`.
fn deadline(now: Moment, call: &Call) -> Duration {
    now.mono.saturating_add(call.remaining())
}

/// A lock that another thread's panic does not close: what it guards is consistent after every
/// single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A random number from 0 to 1.
fn random() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness there is no jitter; nothing else depends on it.
    let _ = SystemRandom::new().fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::super::testing::{Endpoint, MEMORY, Reply, call, call_within, request};
    use super::super::time::Simulation;
    use super::*;
    use crate::call::{CallOptions, Cancel};

    /// A cache whose clock jumps over every wait.
    fn skipping() -> (Cache, Clock) {
        let clock = Clock::Simulated(Simulation::skipping());
        (Cache::new(clock.clone()), clock)
    }

    #[test]
    fn many_threads_cold_make_one_request() {
        let clock = Clock::real();
        let cache = Cache::new(clock.clone());
        let slot = cache.slot(request(), &MEMORY);
        let mut endpoint = Endpoint::with_script(&clock, []);
        endpoint.meanwhile = Some(Box::new(|_| thread::sleep(Duration::from_millis(20))));
        let barrier = Barrier::new(32);
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    barrier.wait();
                    let token = slot.token(&endpoint, &call()).unwrap();
                    assert_eq!(token.expose(), "token-0");
                });
            }
        });
        assert_eq!(endpoint.requests(), 1);
    }

    #[test]
    fn the_same_credentials_share_a_slot_and_others_do_not() {
        let (cache, clock) = skipping();
        let endpoint = Endpoint::new(&clock, []);
        let other = TokenRequest {
            audience: "other.example".into(),
            ..request()
        };
        let slots = [request(), request(), other].map(|request| cache.slot(request, &MEMORY));
        let tokens = slots.map(|slot| slot.token(&*endpoint, &call()).unwrap());
        assert_eq!(tokens[0].expose(), tokens[1].expose());
        assert_ne!(tokens[0].expose(), tokens[2].expose());
        let sent = endpoint.sent();
        assert_eq!(sent.len(), 2);
        assert!(sent[1].mono - sent[0].mono >= SPACING);
    }

    #[test]
    fn bad_credentials_are_sent_once_and_everybody_learns_of_it() {
        let (cache, clock) = skipping();
        let slot = cache.slot(request(), &MEMORY);
        let endpoint = Endpoint::new(&clock, [Reply::Fails(FetchFailure::BadCredentials)]);
        for _ in 0..10 {
            let error = slot.token(&*endpoint, &call()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Authentication);
            assert_eq!(error.outcome(), Outcome::NotSent);
            assert_eq!(error.message(), "access_denied");
            assert!(error.retry_after().is_some());
        }
        assert_eq!(endpoint.requests(), 1);
        slot.retry_credentials();
        assert!(slot.token(&*endpoint, &call()).is_ok());
    }

    #[test]
    fn an_outage_is_waited_out() {
        let (cache, clock) = skipping();
        let slot = cache.slot(request(), &MEMORY);
        let down = Reply::Fails(FetchFailure::Transient);
        let endpoint = Endpoint::new(&clock, [down, down, Reply::Token(60.0), down, down, down]);
        assert!(slot.token(&*endpoint, &call()).is_ok());
        slot.forget();
        let error = slot.token(&*endpoint, &call()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert_eq!(endpoint.requests(), 6);
    }

    #[test]
    fn a_429_closes_the_gate_for_all_credentials_of_the_host() {
        let clock = Clock::Simulated(Simulation::standing());
        let cache = Cache::new(clock.clone());
        let limited = Reply::Fails(FetchFailure::RateLimited { retry_after: None });
        let endpoint = Endpoint::new(&clock, [limited]);
        let other = TokenRequest {
            audience: "other.example".into(),
            ..request()
        };
        for request in [request(), other, request()] {
            let slot = cache.slot(request, &MEMORY);
            let error = slot
                .token(&*endpoint, &call_within(Duration::from_secs(30)))
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::RateLimited);
            assert!(error.retry_after().unwrap() >= Duration::from_secs(59));
        }
        assert_eq!(endpoint.requests(), 1);
    }

    #[test]
    fn a_leader_that_panics_is_succeeded() {
        let (cache, clock) = skipping();
        let slot = cache.slot(request(), &MEMORY);
        let endpoint = Endpoint::new(&clock, [Reply::Panics]);
        thread::scope(|scope| {
            let leader = scope.spawn(|| slot.token(&*endpoint, &call()));
            assert!(leader.join().is_err());
        });
        assert!(slot.token(&*endpoint, &call()).is_ok());
    }

    #[test]
    fn a_refresh_that_fails_costs_nobody_the_token() {
        let simulation = Simulation::standing();
        let clock = Clock::Simulated(simulation.clone());
        let cache = Cache::new(clock.clone());
        let slot = cache.slot(request(), &MEMORY);
        let endpoint = Endpoint::new(
            &clock,
            [
                Reply::Token(1_000.0),
                Reply::Fails(FetchFailure::Transient),
                Reply::Fails(FetchFailure::Stopped),
                Reply::Fails(FetchFailure::BadCredentials),
            ],
        );
        let first = slot.token(&*endpoint, &call()).unwrap();
        simulation.advance(Duration::from_secs(850));
        while endpoint.requests() < 4 {
            let token = slot.token(&*endpoint, &call()).unwrap();
            assert_eq!(token.expose(), first.expose());
            simulation.advance(Duration::from_secs(1));
        }
        simulation.advance(Duration::from_secs(30));
        let second = slot.token(&*endpoint, &call()).unwrap();
        assert_ne!(second.expose(), first.expose());
    }

    #[test]
    fn a_call_ends_when_it_has_to() {
        let clock = Clock::real();
        let cache = Cache::new(clock.clone());
        let slot = cache.slot(request(), &MEMORY);
        let mut endpoint = Endpoint::with_script(&clock, [Reply::Fails(FetchFailure::Stopped)]);
        endpoint.meanwhile = Some(Box::new(|call| while call.sleep(Duration::MAX).is_ok() {}));
        let cancel = Cancel::new();
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                let options = CallOptions::new().cancel(cancel.clone());
                let call = Call::start(&options, Duration::from_secs(60));
                barrier.wait();
                assert!(slot.token(&endpoint, &call).is_err());
            });
            barrier.wait();
            let error = slot
                .token(&endpoint, &call_within(Duration::from_millis(60)))
                .unwrap_err();
            assert!(matches!(
                error.kind(),
                ErrorKind::Timeout | ErrorKind::RateLimited
            ));
            cancel.cancel();
        });
    }

    #[test]
    fn a_child_never_waits_for_a_lock_it_inherited() {
        let clock = Clock::Simulated(Simulation::skipping());
        // The cache of a parent, as its child sees it.
        let parents = Cache {
            pid: 0,
            ..Cache::new(clock.clone())
        };
        let endpoint = Endpoint::new(&clock, []);
        let slot = parents.slot(request(), &MEMORY);
        let held = slot.cell.load_full();
        let locked = held.slot.lock().unwrap();
        let child = Cache::inherited(&parents);
        assert_eq!(child.pid, std::process::id());
        let childs = child.slot(request(), &MEMORY);
        assert!(childs.token(&*endpoint, &call()).is_ok());
        drop(locked);
    }
}
