//! What the one caller does who leads a flight: looks into the stores, waits for its turn among
//! processes and at the gate, asks the endpoint, and tells everybody what came of it.

use std::time::{Duration, UNIX_EPOCH};

use super::cache::{Cell, count};
use super::pacing::Pass;
use crate::auth::key::SlotKey;
use crate::auth::record::{Record, StoredPause, StoredRefusal, StoredToken};
use crate::auth::slot::{Flight, Held, Slot, rate_limited};
use crate::auth::store::{Known, Locks, Tier, Vault};
use crate::auth::time::Moment;
use crate::auth::token::{Token, lifetime};
use crate::auth::{FetchError, FetchFailure, TokenAnswer, TokenEndpoint, TokenRequest};
use crate::call::{Call, Stop};
use crate::error::{Error, ErrorKind, Outcome, Stage};

/// How long the leader of another process is waited for, at most: longer than the endpoint holds
/// back its answer to bad credentials, which is what everybody waits for then. Whoever takes longer
/// is stopped or stuck.
const LEADER_PATIENCE: Duration = Duration::from_secs(40);

/// How often it is looked whether that leader is done: at first, and in the long run.
const FIRST_POLL: Duration = Duration::from_millis(5);
const LAST_POLL: Duration = Duration::from_millis(25);

/// For how long a store that cannot detect a terminated owner keeps its lock: until the call of the owner
/// is over, but no longer than the first block of a 429 and the response to bad credentials take.
const LONGEST_LEASE: Duration = Duration::from_secs(120);
/// Added to what is left of the call, for the writes after its response.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// How long a refresh waits for its response: longer than the endpoint holds back the rejection of
/// bad credentials, so that a refresh learns of it and shares it.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(35);
/// The same once a refresh was rejected or got no response: no more calls are kept that long.
const REPEATED_REFRESH_TIMEOUT: Duration = Duration::from_secs(5);

/// While the store that is shared with other machines cannot be reached, first requests are spread
/// over this time.
const LONGEST_SPREAD: Duration = Duration::from_secs(5);

/// When a refresh that had to be put off is tried again.
const REFRESH_AGAIN: Duration = Duration::from_secs(2);

/// Why a flight is led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// No token lives.
    Fetch,
    /// A token lives; nobody has to wait for anything but the answer.
    Refresh,
}

/// The thread that leads a flight. Dropped without landing, by an error or a panic, it gives up, so
/// that another can lead.
pub(super) struct Leader<'a> {
    cell: &'a Cell,
    flight: Flight,
    purpose: Purpose,
    landed: bool,
}

/// How waiting for other processes ended.
enum Turn<'a> {
    /// This process is to ask; with what was known when its turn came.
    Taken(Locks<'a>, Record),
    /// There is nothing left to do: a token, or a state of the slot that says why there is none.
    Settled(Option<Token>),
}

impl<'a> Leader<'a> {
    pub(super) fn new(cell: &'a Cell, flight: Flight, purpose: Purpose) -> Self {
        Leader {
            cell,
            flight,
            purpose,
            landed: false,
        }
    }

    /// Leads the flight to its end. `None` means that there is no new token, and that the slot
    /// knows what is to be done about it.
    ///
    /// A refresh ends after [`REFRESH_TIMEOUT`], or two thirds of the time left of the call.
    pub(super) fn lead(
        mut self,
        request: &TokenRequest,
        key: SlotKey,
        endpoint: &dyn TokenEndpoint,
        call: &Call,
    ) -> Result<Option<Token>, Error> {
        let cell = self.cell;
        let vault = Vault::new(&cell.stores, request, key);
        let (locks, known) = match &vault {
            Some(vault) => match self.turn_among_processes(vault, call)? {
                Turn::Taken(locks, known) => (locks, known),
                Turn::Settled(token) => return Ok(token),
            },
            None => Default::default(),
        };
        let waits = self.purpose == Purpose::Fetch;
        if waits && cell.stores.is_cut_off() {
            // Other machines ask now too, and cannot be seen.
            let spread = LONGEST_SPREAD.min(cell.clock.remaining(call) / 4);
            let spread = spread.mul_f64(cell.clock.jitter());
            call.sleep(cell.clock.real_wait(spread))
                .map_err(|stop| stopped(call, stop))?;
        }
        let expect = |turn| self.expect_turn(turn);
        let mut found = None;
        let is_settled = || {
            let known = vault.as_ref().map(|vault| vault.read(call, |_| false));
            found = known.filter(|known| self.is_settled_by(&known.record));
            found.is_some()
        };
        let passed = cell
            .gate
            .pass(&cell.stores, &cell.clock, call, waits, expect, is_settled);
        let sent = match passed {
            Pass::Go(sent) => sent,
            Pass::Settled => {
                let settled = vault.as_ref().zip(found);
                let settled =
                    settled.and_then(|(vault, found)| self.learn(call, vault, &locks, &found));
                return Ok(settled.flatten());
            }
            Pass::TooLate(wait) if !waits => {
                self.put_off(wait);
                return Ok(None);
            }
            Pass::TooLate(wait) => return Err(rate_limited(wait)),
            Pass::Stopped(stop) => return Err(stopped(call, stop)),
        };
        count(&cell.counters.token_requests);
        if self.purpose == Purpose::Refresh {
            count(&cell.counters.refreshes);
        }
        let share = |record: &Record| {
            if let Some(vault) = &vault {
                vault.write(call, &locks, record, cell.clock.now());
            }
        };
        let limited = match self.purpose {
            Purpose::Fetch => None,
            Purpose::Refresh => Some(call.at_most(self.refresh_timeout(&known, call))),
        };
        let outcome = endpoint.fetch(request, limited.as_ref().unwrap_or(call));
        let now = cell.clock.now();
        let outcome = outcome.and_then(|answer| {
            let generation = cell.lock().next_generation(known.generation, now);
            issued(answer, generation, sent, now, cell.clock.jitter())
        });
        match outcome {
            Ok((held, record)) => {
                let token = held.token.clone();
                log_obtained(&request.audience, &token, now, "token endpoint");
                self.land(|slot, flight| slot.landed(flight, held));
                share(&record);
                drop(locks);
                cell.gate.answered(&cell.stores, &cell.clock, call, sent);
                Ok(Some(token))
            }
            Err(FetchError { cause, error }) => {
                let timed_out = limited.is_some_and(|limited| {
                    cause == FetchFailure::Stopped && limited.check() == Err(Stop::Deadline)
                });
                if timed_out {
                    self.refresh_timed_out(known, share, now);
                    return Ok(None);
                }
                self.failed(known, share, call, now, cause, error, sent)
            }
        }
    }

    /// Waits until no other process that shares a store is asking for this key's token, and takes
    /// its turn; meanwhile looks whether the other one is done.
    fn turn_among_processes<'v>(
        &mut self,
        vault: &Vault<'v>,
        call: &Call,
    ) -> Result<Turn<'v>, Error> {
        let cell = self.cell;
        let patience = LEADER_PATIENCE.min(cell.clock.remaining(call) / 3 * 2);
        let mut give_up_at = cell.clock.now().mono.saturating_add(patience);
        let mut locks = Locks::default();
        let mut poll = FIRST_POLL;
        // The stores may have it already, and reading needs no lock.
        let newest = cell.lock().newest();
        let now = cell.clock.now();
        let known = vault.read(call, |record| {
            record.generation > newest
                && record
                    .token
                    .as_ref()
                    .is_some_and(|token| token.life(now).is_some())
        });
        if let Some(settled) = self.learn(call, vault, &locks, &known) {
            return Ok(Turn::Settled(settled));
        }
        let lease = cell.clock.remaining(call).saturating_add(LEASE_MARGIN);
        let lease = lease.min(LONGEST_LEASE);
        let mut overdue = false;
        loop {
            let complete = vault.try_lock(call, &mut locks, lease)
                || (overdue && vault.try_lock_in_place_of_owner(call, &mut locks, lease));
            let known = vault.read(call, |_| false);
            if let Some(settled) = self.learn(call, vault, &locks, &known) {
                return Ok(Turn::Settled(settled));
            }
            if complete {
                return Ok(Turn::Taken(locks, known.record));
            }
            if self.purpose == Purpose::Refresh {
                self.put_off(Duration::ZERO);
                return Ok(Turn::Settled(None));
            }
            cell.gate.learn(&cell.stores, &cell.clock, call);
            let now = cell.clock.now();
            let wait = cell.gate.turn(now).saturating_sub(now.mono);
            if wait > cell.clock.remaining(call) {
                return Err(rate_limited(wait));
            }
            if now.mono >= give_up_at {
                if overdue {
                    log::debug!(
                        "token lock timed out, requesting without it: audience={:?}",
                        cell.audience(),
                    );
                    vault.override_busy(call, &mut locks);
                    return Ok(Turn::Taken(locks, known.record));
                }
                // One of those who wait goes on in place of the owner, the others wait for that one.
                overdue = true;
                give_up_at = now
                    .mono
                    .saturating_add(LEADER_PATIENCE.min(cell.clock.remaining(call) / 3 * 2));
                poll = FIRST_POLL;
                continue;
            }
            call.sleep(cell.clock.real_wait(poll))
                .map_err(|stop| stopped(call, stop))?;
            poll = (poll * 3 / 2).min(LAST_POLL);
        }
    }

    /// Lands with what another process found out, if that settles it.
    fn learn<'v>(
        &mut self,
        call: &Call,
        vault: &Vault<'v>,
        locks: &Locks<'v>,
        known: &Known<'v>,
    ) -> Option<Option<Token>> {
        let cell = self.cell;
        let now = cell.clock.now();
        let record = &known.record;
        if let Some(held) = self.news(record, now) {
            count(&cell.counters.shared);
            let token = held.token.clone();
            let source = known.source.map(Tier::describe).unwrap_or_default();
            log_obtained(cell.audience(), &token, now, &source);
            self.land(|slot, flight| slot.landed(flight, held));
            vault.level(call, locks, known, now);
            return Some(Some(token));
        }
        if let Some((refusal, left)) = self.refusal(record, now) {
            self.land(|slot, flight| {
                slot.learned_refusal(flight, now, left, refusal.count, refusal.error());
            });
            return Some(None);
        }
        let pause = self.pause(record, now)?;
        self.put_off(pause);
        Some(None)
    }

    /// Whether [`learn`](Self::learn) would land.
    fn is_settled_by(&self, record: &Record) -> bool {
        let now = self.cell.clock.now();
        self.news(record, now).is_some()
            || self.refusal(record, now).is_some()
            || self.pause(record, now).is_some()
    }

    /// The token of a record, if it is newer than that of the slot and good enough.
    fn news(&self, record: &Record, now: Moment) -> Option<Held> {
        let held = stored(record, now, self.cell.clock.jitter())?;
        let is_news = record.generation > self.cell.lock().newest() && held.lives(now);
        let is_enough = self.purpose == Purpose::Fetch || !held.is_due(now);
        (is_news && is_enough).then_some(held)
    }

    /// The rejection of the credentials in a record, and how long it counts.
    fn refusal<'r>(
        &self,
        record: &'r Record,
        now: Moment,
    ) -> Option<(&'r StoredRefusal, Duration)> {
        let refusal = record.refusal.as_ref()?;
        let left = refusal.left(now)?;
        let counts = self.cell.lock().minds_refusal(refusal.at);
        counts.then_some((refusal, left))
    }

    /// How long no process refreshes the token of a record.
    fn pause(&self, record: &Record, now: Moment) -> Option<Duration> {
        let pause = record.refresh_pause?;
        let counts = self.purpose == Purpose::Refresh && self.cell.lock().minds_refusal(pause.at);
        pause.left(now).filter(|_| counts)
    }

    fn refresh_timeout(&self, known: &Record, call: &Call) -> Duration {
        let now = self.cell.clock.now();
        let slot = self.cell.lock();
        let refusal = known.refusal.as_ref();
        let is_repeated = slot.refusals() > 0
            || refusal.is_some_and(|it| it.counts(now) && slot.minds_refusal(it.at))
            || known.refresh_pause.is_some_and(|it| it.counts(now));
        let limit = match is_repeated {
            true => REPEATED_REFRESH_TIMEOUT,
            false => REFRESH_TIMEOUT,
        };
        limit.min(call.remaining() / 3 * 2)
    }

    /// A refresh got no response in time: of a slow endpoint, or of one that holds back a rejection.
    /// No process that shares a store refreshes for a while.
    fn refresh_timed_out(mut self, mut known: Record, share: impl Fn(&Record), now: Moment) {
        let recent = known.refresh_pause.filter(|pause| pause.counts(now));
        let before = recent.map_or(0, |pause| pause.count);
        let refusal = known.refusal.as_ref().filter(|it| it.counts(now));
        let before = before.max(refusal.map_or(0, |refusal| refusal.count));
        let mut paused = (Duration::ZERO, 0);
        self.land(|slot, flight| paused = slot.refresh_timed_out(flight, now, before));
        let (window, count) = paused;
        log::info!(
            "token refresh got no response, paused: delay={}s attempt={count}",
            window.as_secs()
        );
        known.refresh_pause = Some(StoredPause::new(now, window, count));
        share(&known);
    }

    /// What a failed request means for everybody; the error, if it is this caller's alone.
    #[expect(
        clippy::too_many_arguments,
        reason = "one step of `lead`, set apart to be readable"
    )]
    fn failed(
        mut self,
        mut known: Record,
        share: impl Fn(&Record),
        call: &Call,
        now: Moment,
        cause: FetchFailure,
        error: Error,
        sent: Moment,
    ) -> Result<Option<Token>, Error> {
        let cell = self.cell;
        let error = error.with_outcome(Outcome::NotSent);
        let jitter = cell.clock.jitter();
        match cause {
            FetchFailure::NotSent | FetchFailure::Transient => {
                self.land(|slot, flight| slot.failed(flight, now, error, jitter));
                cell.gate.answered(&cell.stores, &cell.clock, call, sent);
                Ok(None)
            }
            FetchFailure::Lasting => {
                self.land(|slot, flight| slot.failed(flight, now, error.clone(), jitter));
                cell.gate.answered(&cell.stores, &cell.clock, call, sent);
                Err(error)
            }
            FetchFailure::BadCredentials => {
                let recent = known.refusal.take().filter(|refusal| refusal.counts(now));
                let before = recent.filter(|refusal| cell.lock().minds_refusal(refusal.at));
                let before = before.map_or(0, |refusal| refusal.count);
                let shown = error.clone();
                let mut refused = (Duration::ZERO, 0);
                self.land(|slot, flight| refused = slot.refused(flight, now, error, before));
                let (window, count) = refused;
                known.refusal = Some(StoredRefusal::new(now, window, count, &shown));
                share(&known);
                cell.gate.answered(&cell.stores, &cell.clock, call, sent);
                Ok(None)
            }
            FetchFailure::RateLimited { retry_after } => {
                let opens = cell
                    .gate
                    .rate_limited(&cell.stores, &cell.clock, call, retry_after);
                let wait = opens.saturating_sub(now.mono);
                if wait > cell.clock.remaining(call) {
                    return Err(error.with_retry_after(Some(wait)));
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
                    self.land(|slot, flight| slot.failed(flight, now, slow, jitter));
                }
                Err(error)
            }
        }
    }

    /// Leaves a refresh to another caller, no sooner than after `wait`.
    fn put_off(&mut self, wait: Duration) {
        let again = self
            .cell
            .clock
            .now()
            .mono
            .saturating_add(wait.max(REFRESH_AGAIN));
        self.land(|slot, flight| slot.postponed(flight, again));
    }

    fn expect_turn(&self, turn: Duration) {
        self.cell.lock().expect_turn(self.flight, turn);
        self.cell.changed.notify_all();
    }

    fn land(&mut self, event: impl FnOnce(&mut Slot, Flight)) {
        event(&mut self.cell.lock(), self.flight);
        self.landed = true;
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

/// The token of an answer, made ready to be kept here and in the stores.
fn issued(
    answer: TokenAnswer,
    generation: u64,
    sent: Moment,
    now: Moment,
    jitter: f64,
) -> Result<(Held, Record), FetchError> {
    let life = lifetime(&answer, sent, now);
    let expires = now.after(life);
    let Some(token) = Token::new(&answer.access_token, expires.system_time(), generation) else {
        let message = "the token endpoint's answer has no usable token in it";
        let error = error(ErrorKind::Decode, message);
        return Err(FetchError {
            cause: FetchFailure::Transient,
            error,
        });
    };
    let stored = StoredToken {
        text: answer.access_token,
        obtained: now.wall_millis(),
        expires: expires.wall_millis(),
    };
    let record = Record {
        generation,
        token: Some(stored),
        refusal: None,
        refresh_pause: None,
    };
    Ok((Held::new(token, life, life, now, jitter), record))
}

/// The token of a record, if there is one that lives.
pub(crate) fn stored(record: &Record, now: Moment, jitter: f64) -> Option<Held> {
    let stored = record.token.as_ref()?;
    let (life, left) = stored.life(now)?;
    let expires_at = UNIX_EPOCH.checked_add(Duration::from_millis(stored.expires))?;
    let token = Token::new(&stored.text, expires_at, record.generation)?;
    Some(Held::new(token, life, left, now, jitter))
}

fn log_obtained(audience: &str, token: &Token, now: Moment, source: &str) {
    let lifetime = token.expires_at().duration_since(now.system_time());
    log::debug!(
        "access token obtained: audience={audience:?} lifetime={}s source={source:?}",
        lifetime.unwrap_or_default().as_secs(),
    );
}

fn error(kind: ErrorKind, message: &str) -> Error {
    Error::new(kind, Stage::Token, Outcome::NotSent, message)
}

pub(super) fn stopped(call: &Call, stop: Stop) -> Error {
    call.stopped(stop, Stage::Token, Outcome::NotSent)
}
