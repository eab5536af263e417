//! Waiting for a turn at a gate: among the threads of this process, then among all processes that
//! share a store.

use std::thread;
use std::time::Duration;

use super::cache::inherited;
use super::sync::{Mutex, MutexGuard, Signal};
use crate::auth::diagnostics::GateReport;
use crate::auth::gate::{Gate, SPACING, Ticket};
use crate::auth::key::GateKey;
use crate::auth::store::{Ability, Locks, MOMENT, Stores};
use crate::auth::time::{Clock, Moment};
use crate::call::{Call, Stop};

/// A gate's lock in a store is held for an instant only. Whoever holds it longer is stopped or
/// stuck, and is not waited for.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_POLL: Duration = Duration::from_millis(2);
/// After an answer, the call it was for should not be kept.
const LOCK_TRIES_AFTERWARDS: u32 = 10;

/// How long a record of the pace is of use.
const PACE_KEPT: Duration = Duration::from_secs(2 * 3600);

/// A gate with its lock.
#[derive(Debug)]
pub(super) struct GateCell {
    pub(super) key: GateKey,
    name: String,
    gate: Mutex<Gate>,
    /// Notified whenever the queue moves or the gate is blocked.
    changed: Signal,
}

/// How waiting at a gate ended.
#[derive(Debug)]
pub(super) enum Pass {
    /// The turn is taken, at this moment: send.
    Go(Moment),
    /// The turn comes this much later, which is too late for the caller.
    TooLate(Duration),
    /// No request is needed any more.
    Settled,
    Stopped(Stop),
}

impl GateCell {
    pub(super) fn new(key: GateKey, gate: Gate) -> Self {
        let name = format!("gate-{}", key.digest());
        GateCell {
            key,
            name,
            gate: Mutex::new(gate),
            changed: Signal::new(),
        }
    }

    /// What a forked child goes on with, if it can be read.
    pub(super) fn inherited(&self) -> GateCell {
        let gate = inherited(&self.gate)
            .map(|gate| gate.inherited())
            .unwrap_or_default();
        GateCell::new(self.key.clone(), gate)
    }

    /// The earliest turn (monotonic) of someone who comes now.
    pub(super) fn turn(&self, now: Moment) -> Duration {
        self.lock().turn(None, now)
    }

    pub(super) fn report(&self, now: Moment) -> GateReport {
        let gate = self.lock();
        GateReport {
            token_host: self.key.as_str().to_owned(),
            opens_in: gate.opens().saturating_sub(now.mono).as_secs_f64(),
            blocked: gate.blocked(now),
            waiting: gate.waiting(),
            strikes: gate.strikes(),
        }
    }

    /// Waits for a turn and takes it. `expect` is told whenever the expected turn changes. Who does
    /// not want to wait gets the turn only if it is now. After a wait, `is_settled` says whether the
    /// request became unnecessary meanwhile; no lock is held while it does.
    pub(super) fn pass(
        &self,
        stores: &Stores,
        clock: &Clock,
        call: &Call,
        waits: bool,
        expect: impl Fn(Duration),
        mut is_settled: impl FnMut() -> bool,
    ) -> Pass {
        let place = Place {
            cell: self,
            ticket: self.lock().enter(),
        };
        let mut expected = Duration::ZERO;
        let mut has_waited = false;
        loop {
            let step = match call.slice(Duration::MAX) {
                Ok(step) => step,
                Err(stop) => return Pass::Stopped(stop),
            };
            let now = clock.now();
            let mut gate = self.lock();
            let turn = gate.turn(Some(place.ticket), now);
            let wait = turn.saturating_sub(now.mono);
            let ends = wait.is_zero() || !waits || wait > clock.remaining(call);
            if ends && has_waited {
                drop(gate);
                if is_settled() {
                    return Pass::Settled;
                }
                has_waited = false;
                continue;
            }
            if wait.is_zero() {
                if stores.is_empty() {
                    gate.stamp(now);
                    return Pass::Go(now);
                }
                drop(gate);
                match self.pass_stores(stores, clock, call, place.ticket) {
                    Some(now) => return Pass::Go(now),
                    None => {
                        has_waited = true;
                        continue;
                    }
                }
            }
            if ends {
                return Pass::TooLate(wait);
            }
            has_waited = true;
            if turn.abs_diff(expected) < SPACING / 4 {
                let epoch = self.changed.epoch();
                drop(gate);
                self.changed
                    .wait_timeout(epoch, step.min(clock.real_wait(wait)));
            } else {
                // Told without this lock; then looked at again, as things may have changed.
                drop(gate);
                expected = turn;
                expect(turn);
            }
        }
    }

    /// Takes the turn in the stores too. `None` if another process was faster, which this gate then
    /// knows. Only the first of the queue comes here, so one thread of a process at a time.
    fn pass_stores(
        &self,
        stores: &Stores,
        clock: &Clock,
        call: &Call,
        ticket: Ticket,
    ) -> Option<Moment> {
        let mut locks = Locks::default();
        let began = clock.now().mono;
        while !locks.take(stores, call, &self.name, MOMENT) {
            let waited = clock.now().mono.saturating_sub(began);
            if waited >= LOCK_PATIENCE && locks.take_second(stores, call, &self.name, MOMENT) {
                break;
            }
            if waited >= 2 * LOCK_PATIENCE {
                locks.override_busy(stores, call);
                break;
            }
            call.sleep(clock.real_wait(LOCK_POLL)).ok()?;
        }
        self.learn(stores, clock, call);
        let now = clock.now();
        let record = {
            let mut gate = self.lock();
            if gate.turn(Some(ticket), now) > now.mono {
                return None;
            }
            gate.stamp(now);
            gate.record()
        };
        for tier in stores.usable(call) {
            // Without locks, a stamp may get lost; without stamps, all of them would.
            if locks.has(tier) || !tier.can(Ability::Lock) {
                tier.put_pace(call, &self.name, record, PACE_KEPT);
            }
        }
        Some(now)
    }

    /// Learns what other processes know of the pace.
    pub(super) fn learn(&self, stores: &Stores, clock: &Clock, call: &Call) {
        for tier in stores.usable(call) {
            let (record, times) = tier.pace(call, &self.name);
            let now = clock.now();
            let mut gate = self.lock();
            if let Some(record) = record {
                gate.learn(record, now);
            }
            if let Some(times) = times {
                gate.learn_times(times, now);
            }
        }
    }

    /// An answer came that is no 429.
    pub(super) fn answered(&self, stores: &Stores, clock: &Clock, call: &Call, sent: Moment) {
        let now = clock.now();
        // What the others wrote meanwhile is older news than this answer.
        self.share(stores, clock, call, |gate| gate.answered(sent, now));
    }

    /// A 429 came: closes the gate. The answer is when it opens (monotonic).
    pub(super) fn rate_limited(
        &self,
        stores: &Stores,
        clock: &Clock,
        call: &Call,
        retry_after: Option<Duration>,
    ) -> Duration {
        let opens = {
            let mut gate = self.lock();
            gate.rate_limited(clock.now(), retry_after, clock.jitter());
            gate.opens()
        };
        // Those who queue have to see that their turn is later now.
        self.changed.notify_all();
        self.share(stores, clock, call, |_| {});
        opens
    }

    /// Tells the other processes of an event. If somebody holds the lock for so long that it cannot
    /// be had, a stamp may get lost, which is less bad than a 429 that nobody hears of.
    fn share(&self, stores: &Stores, clock: &Clock, call: &Call, event: impl FnOnce(&mut Gate)) {
        if stores.is_empty() {
            event(&mut self.lock());
            return;
        }
        let mut locks = Locks::default();
        for _ in 0..LOCK_TRIES_AFTERWARDS {
            if locks.take(stores, call, &self.name, MOMENT) {
                break;
            }
            thread::sleep(LOCK_POLL);
        }
        self.learn(stores, clock, call);
        let record = {
            let mut gate = self.lock();
            event(&mut gate);
            gate.record()
        };
        for tier in stores.usable(call) {
            tier.put_pace(call, &self.name, record, PACE_KEPT);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock()
    }
}

/// A place in the queue of a gate, left on drop.
struct Place<'a> {
    cell: &'a GateCell,
    ticket: Ticket,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.cell.lock().leave(self.ticket);
        self.cell.changed.notify_all();
    }
}
