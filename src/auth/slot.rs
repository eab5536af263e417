//! The token of one key, as a state machine: what a caller does now, and what follows from what
//! happened.
//!
//! It is told the time and the events and answers what to do. It has no clock, no lock, no socket
//! and no store, so every rule about a token's life can be tested without waiting for it.
//!
//! Seen from outside a slot is empty, fetching, fresh, due for refresh, expired, refused or backing
//! off. Inside, three things are independent of each other: the token held, the trouble that forbids
//! asking for another, and the request under way.

use std::time::Duration;

use serde::Serialize;

use super::time::Moment;
use super::token::Token;
use crate::error::{Error, ErrorKind, Outcome, Stage};

/// A refresh is due this share of the life before its end …
const REFRESH_LEAD_DIVISOR: u32 = 5;
/// … but no more than this: longer than the longest block that a 429 makes by itself, so that no
/// living token is lost to one, and no more, since every early refresh is one request too many.
const LONGEST_REFRESH_LEAD: Duration = Duration::from_secs(15 * 60);
/// Part of the lead that is left to chance, so that processes do not come back at the same time.
const REFRESH_JITTER: f64 = 0.25;

/// A token counts as expired this much early, for the time its request is on the way.
const LONGEST_LEEWAY: Duration = Duration::from_secs(5);
const LEEWAY_DIVISOR: u32 = 20;

/// How long nobody asks again after the endpoint refused the credentials; doubles with every
/// refusal up to the longest.
const FIRST_REFUSAL: Duration = Duration::from_secs(30);
pub(crate) const LONGEST_REFUSAL: Duration = Duration::from_secs(15 * 60);

/// How long nobody asks again after a failure that may pass (network, 5xx); doubles with every
/// failure in a row up to the longest.
const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// How many such failures a single call waits out before it fails.
const FAILURES_PER_CALL: u64 = 3;

/// How many fresh tokens in a row the API may refuse before asking for more is slowed down.
const FREE_REJECTIONS: u32 = 3;
/// After this long, an older refusal by the API says nothing about the next.
const REJECTIONS_RELATED: Duration = LONGEST_REFUSAL;
/// A token that was in use for this long was accepted, whether anybody told us or not.
const SURELY_ACCEPTED: Duration = Duration::from_secs(60);

/// A token request under way, led by one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flight(u64);

/// What a caller has to do.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Use this token.
    Use(Token),
    /// Use this token, but lead a refresh first.
    Refresh(Flight, Token),
    /// Lead a request.
    Lead(Flight),
    /// Ask again when something happened, or at this time.
    Wait(Option<Duration>),
    /// Give up.
    Fail(Error),
}

/// What a slot has to know about a caller from one question to the next.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// The slot's count of failures when the caller came.
    failures: Option<u64>,
}

/// What a caller can wait for. All times are of the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// When its call has to be over.
    pub(crate) deadline: Duration,
    /// When the gate would let a new request through.
    pub(crate) turn: Duration,
}

/// A token with what this process knows about its life.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) token: Token,
    /// From then on it is not used.
    expires: Moment,
    /// From then on one caller at a time tries to replace it.
    due: Moment,
    /// Monotonic.
    obtained: Duration,
    /// No refresh before then, because another process is at it or the gate is busy.
    postponed: Duration,
}

impl Held {
    /// `life` is the whole life of the token, `left` what is left of it now, `jitter` a random
    /// number from 0 to 1.
    pub(crate) fn new(
        token: Token,
        life: Duration,
        left: Duration,
        now: Moment,
        jitter: f64,
    ) -> Self {
        let leeway = (life / LEEWAY_DIVISOR).min(LONGEST_LEEWAY);
        let lead = (life / REFRESH_LEAD_DIVISOR).min(LONGEST_REFRESH_LEAD);
        let lead = lead
            .mul_f64(1.0 - REFRESH_JITTER * jitter.clamp(0.0, 1.0))
            .max(leeway);
        Held {
            token,
            expires: now.after(left.saturating_sub(leeway)),
            due: now.after(left.saturating_sub(lead)),
            obtained: now.mono,
            postponed: Duration::ZERO,
        }
    }

    pub(crate) fn lives(&self, now: Moment) -> bool {
        !self.expires.reached(now)
    }

    pub(crate) fn is_due(&self, now: Moment) -> bool {
        self.due.reached(now)
    }
}

/// Why nobody asks for a token at the moment.
#[derive(Debug, Clone)]
struct Trouble {
    kind: TroubleKind,
    /// Monotonic.
    until: Duration,
    error: Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TroubleKind {
    /// The credentials are refused: everybody fails at once.
    Refused,
    /// The endpoint cannot be used: whoever has the time waits.
    Outage,
}

/// What a slot is doing, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Empty,
    Fetching,
    Fresh,
    /// The token lives, and is to be refreshed.
    Due,
    Expired,
    Refused,
    BackingOff,
}

/// The state of one key.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    held: Option<Held>,
    /// The highest generation ever held. None up to it is taken again, even if it is gone: the API
    /// refused it, or it was forgotten.
    newest: u64,
    trouble: Option<Trouble>,
    flight: Option<Flight>,
    /// When the flight expects to be allowed to send, once it knows.
    flight_turn: Duration,
    flights: u64,
    /// Refusals of the credentials in a row.
    refusals: u32,
    /// Refreshes without a response in a row.
    refresh_timeouts: u32,
    /// No refresh before then (monotonic), because of them.
    refresh_paused_until: Duration,
    /// Refusals up to this time (milliseconds since 1970) are forgiven.
    pardoned: u64,
    /// Passing failures in a row.
    outages: u32,
    /// Passing failures in all.
    failures: u64,
    /// Tokens that the API refused in a row without ever having accepted them, and when.
    rejections: u32,
    rejected_at: Duration,
    /// How often a living token was handed out.
    hits: u64,
}

impl Slot {
    /// The token, if it can be used and nothing else is to be done: the path of nearly every
    /// request.
    pub(crate) fn fresh(&mut self, now: Moment) -> Option<Token> {
        match &self.held {
            Some(held) if !held.is_due(now) => {
                self.hits += 1;
                Some(held.token.clone())
            }
            _ => None,
        }
    }

    /// What a caller has to do now.
    pub(crate) fn ask(&mut self, now: Moment, patience: Patience, caller: &mut Caller) -> Answer {
        if let Some(held) = &self.held
            && held.lives(now)
        {
            self.hits += 1;
            let token = held.token.clone();
            let quiet = self
                .trouble
                .as_ref()
                .is_none_or(|trouble| trouble.until <= now.mono);
            let may_refresh = self.flight.is_none()
                && quiet
                && held.postponed.max(self.refresh_paused_until) <= now.mono;
            return if held.is_due(now) && may_refresh {
                Answer::Refresh(self.take_off(), token)
            } else {
                Answer::Use(token)
            };
        }
        let failures_before = *caller.failures.get_or_insert(self.failures);
        if self.flight.is_some() {
            return if self.flight_turn > patience.deadline {
                Answer::Fail(rate_limited(self.flight_turn - now.mono))
            } else {
                Answer::Wait(None)
            };
        }
        if let Some(trouble) = &self.trouble {
            let left = trouble.until.saturating_sub(now.mono);
            let error = || trouble.error.clone().with_retry_after(Some(left));
            match trouble.kind {
                TroubleKind::Refused if !left.is_zero() => return Answer::Fail(error()),
                TroubleKind::Outage => {
                    let had_enough = self.failures - failures_before >= FAILURES_PER_CALL;
                    if had_enough || (!left.is_zero() && trouble.until > patience.deadline) {
                        return Answer::Fail(error());
                    }
                    if !left.is_zero() {
                        return Answer::Wait(Some(trouble.until));
                    }
                }
                TroubleKind::Refused => {}
            }
        }
        if patience.turn > patience.deadline {
            return Answer::Fail(rate_limited(patience.turn.saturating_sub(now.mono)));
        }
        Answer::Lead(self.take_off())
    }

    fn take_off(&mut self) -> Flight {
        self.flights += 1;
        self.flight_turn = Duration::ZERO;
        *self.flight.insert(Flight(self.flights))
    }

    /// The flight expects its turn at the gate at this time (monotonic): callers who cannot wait
    /// that long need not wait at all.
    pub(crate) fn expect_turn(&mut self, flight: Flight, turn: Duration) {
        if self.flight == Some(flight) {
            self.flight_turn = turn;
        }
    }

    /// The flight got a token, from the endpoint or from a store. An older generation than the one
    /// held changes nothing.
    pub(crate) fn landed(&mut self, flight: Flight, held: Held) {
        self.end(flight);
        self.trouble = None;
        self.refusals = 0;
        self.refresh_timeouts = 0;
        self.refresh_paused_until = Duration::ZERO;
        self.outages = 0;
        let generation = held.token.generation();
        if generation > self.newest {
            self.newest = generation;
            self.held = Some(held);
        }
    }

    /// The endpoint refused the credentials, after it had refused them this often before in other
    /// processes. The answer is how long nobody asks again, and how often it is now.
    pub(crate) fn refused(
        &mut self,
        flight: Flight,
        now: Moment,
        error: Error,
        before: u32,
    ) -> (Duration, u32) {
        self.end(flight);
        self.refusals = self.refusals.max(before).saturating_add(1);
        let window = doubled(FIRST_REFUSAL, self.refusals, LONGEST_REFUSAL);
        self.refuse_until(now.mono.saturating_add(window), error);
        (window, self.refusals)
    }

    /// Another process was refused, and shared it.
    pub(crate) fn learned_refusal(
        &mut self,
        flight: Flight,
        now: Moment,
        left: Duration,
        count: u32,
        error: Error,
    ) {
        self.end(flight);
        self.refusals = self.refusals.max(count);
        self.refuse_until(now.mono.saturating_add(left), error);
    }

    /// Whether a refusal that was noted at this time (milliseconds since 1970) still counts.
    pub(crate) fn minds_refusal(&self, at: u64) -> bool {
        at >= self.pardoned
    }

    fn refuse_until(&mut self, until: Duration, error: Error) {
        self.trouble = Some(Trouble {
            kind: TroubleKind::Refused,
            until,
            error,
        });
    }

    /// The request failed in a way that may pass. `jitter` is a random number from 0 to 1.
    pub(crate) fn failed(&mut self, flight: Flight, now: Moment, error: Error, jitter: f64) {
        self.end(flight);
        self.failures += 1;
        self.outages = self.outages.saturating_add(1);
        let backoff = doubled(FIRST_BACKOFF, self.outages, LONGEST_BACKOFF);
        let backoff = backoff.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0));
        let until = now.mono.saturating_add(backoff);
        self.trouble = Some(Trouble {
            kind: TroubleKind::Outage,
            until,
            error,
        });
    }

    /// The flight ended without learning anything: its leader ran out of time before it could send,
    /// was cancelled, or died.
    pub(crate) fn gave_up(&mut self, flight: Flight) {
        self.end(flight);
    }

    /// The flight was a refresh that got no response in time, after this many in a row before, in
    /// this process or others. Returns how long no caller refreshes, and how many it is now.
    pub(crate) fn refresh_timed_out(
        &mut self,
        flight: Flight,
        now: Moment,
        before: u32,
    ) -> (Duration, u32) {
        let before = self.refresh_timeouts.max(self.refusals).max(before);
        self.refresh_timeouts = before.saturating_add(1);
        let window = doubled(FIRST_REFUSAL, self.refresh_timeouts, LONGEST_REFUSAL);
        self.end(flight);
        self.refresh_paused_until = now.mono.saturating_add(window);
        (window, self.refresh_timeouts)
    }

    /// The flight was a refresh that can wait until `until` (monotonic).
    pub(crate) fn postponed(&mut self, flight: Flight, until: Duration) {
        self.end(flight);
        if let Some(held) = &mut self.held {
            held.postponed = held.postponed.max(until);
        }
    }

    fn end(&mut self, flight: Flight) {
        if self.flight == Some(flight) {
            self.flight = None;
        }
    }

    /// The API answered 401 to the token of this generation. Whether that was the token held.
    pub(crate) fn reject(&mut self, generation: u64, now: Moment) -> bool {
        let Some(held) = self
            .held
            .take_if(|held| held.token.generation() == generation)
        else {
            return false;
        };
        let related = now.mono.saturating_sub(self.rejected_at) < REJECTIONS_RELATED;
        let worked =
            held.token.was_accepted() || now.mono.saturating_sub(held.obtained) >= SURELY_ACCEPTED;
        self.rejections = match (worked, related) {
            (true, _) => 0,
            (false, true) => self.rejections.saturating_add(1),
            (false, false) => 1,
        };
        self.rejected_at = now.mono;
        // An API that refuses one new token after the other must not make us spend the endpoint's
        // goodwill on more of them.
        if self.rejections > FREE_REJECTIONS {
            let window = doubled(
                FIRST_REFUSAL,
                self.rejections - FREE_REJECTIONS,
                LONGEST_REFUSAL,
            );
            self.refuse_until(now.mono.saturating_add(window), tokens_rejected());
        }
        true
    }

    /// Drops the token, whatever it is.
    pub(crate) fn forget(&mut self) {
        self.held = None;
    }

    /// Lets the next caller ask again although the credentials were refused.
    pub(crate) fn retry_credentials(&mut self, now: Moment) {
        self.pardoned = now.wall_millis();
        self.refusals = 0;
        self.refresh_timeouts = 0;
        self.refresh_paused_until = Duration::ZERO;
        self.rejections = 0;
        self.trouble
            .take_if(|trouble| trouble.kind == TroubleKind::Refused);
    }

    /// Rejections of the credentials in a row.
    pub(crate) fn refusals(&self) -> u32 {
        self.refusals
    }

    /// The highest generation ever held: only a higher one is news.
    pub(crate) fn newest(&self) -> u64 {
        self.newest
    }

    /// The generation of a token that is issued now, given the newest one that a store knows.
    ///
    /// Milliseconds since 1970 unless that would go backwards, so that generations grow across
    /// processes and even if a store lost its memory.
    pub(crate) fn next_generation(&self, stored: u64, now: Moment) -> u64 {
        self.newest
            .max(stored)
            .saturating_add(1)
            .max(now.wall_millis())
    }

    /// What a forked child goes on with: the token and the trouble, but not its parent's flight.
    pub(crate) fn inherited(&self) -> Slot {
        Slot {
            held: self.held.clone(),
            trouble: self.trouble.clone(),
            newest: self.newest,
            refusals: self.refusals,
            refresh_timeouts: self.refresh_timeouts,
            refresh_paused_until: self.refresh_paused_until,
            pardoned: self.pardoned,
            outages: self.outages,
            rejections: self.rejections,
            rejected_at: self.rejected_at,
            ..Slot::default()
        }
    }

    pub(crate) fn phase(&self, now: Moment) -> Phase {
        let trouble = self
            .trouble
            .as_ref()
            .filter(|trouble| trouble.until > now.mono);
        match (&self.held, trouble.map(|trouble| trouble.kind)) {
            (Some(held), _) if held.lives(now) && !held.is_due(now) => Phase::Fresh,
            (Some(held), _) if held.lives(now) => Phase::Due,
            _ if self.flight.is_some() => Phase::Fetching,
            (_, Some(TroubleKind::Refused)) => Phase::Refused,
            (_, Some(TroubleKind::Outage)) => Phase::BackingOff,
            (Some(_), None) => Phase::Expired,
            (None, None) => Phase::Empty,
        }
    }

    /// How often a living token was handed out.
    pub(crate) fn hits(&self) -> u64 {
        self.hits
    }

    /// How long the token lives, and how long until it is due for refresh.
    pub(crate) fn token_left(&self, now: Moment) -> Option<(Duration, Duration)> {
        let held = self.held.as_ref().filter(|held| held.lives(now))?;
        Some((held.expires.left(now), held.due.left(now)))
    }

    /// How long nobody asks for a token, and why.
    pub(crate) fn trouble_left(&self, now: Moment) -> Option<(Duration, &Error)> {
        let trouble = self.trouble.as_ref()?;
        let left = trouble.until.saturating_sub(now.mono);
        (!left.is_zero()).then_some((left, &trouble.error))
    }

    /// Whether nothing would be lost by dropping the whole slot.
    pub(crate) fn is_idle(&self, now: Moment) -> bool {
        self.flight.is_none() && matches!(self.phase(now), Phase::Empty | Phase::Expired)
    }
}

/// `first`, doubled for every time after the first, but no more than `longest`.
fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first
        .saturating_mul(1 << times.saturating_sub(1).min(16))
        .min(longest)
}

/// The error of a caller whose turn comes too late for it.
pub(crate) fn rate_limited(wait: Duration) -> Error {
    Error::new(
        ErrorKind::RateLimited,
        Stage::Token,
        Outcome::NotSent,
        "the next token request is not allowed before this call has to be over",
    )
    .with_retry_after(Some(wait))
}

fn tokens_rejected() -> Error {
    Error::new(
        ErrorKind::Authentication,
        Stage::Token,
        Outcome::NotSent,
        "the API refuses one new token after the other; check that audience and base URL belong \
         together",
    )
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::secret::Secret;

    const START: Moment = Moment {
        mono: Duration::from_secs(1_000),
        wall: Duration::from_secs(1_780_000_000),
    };
    const PATIENT: Patience = Patience {
        deadline: Duration::MAX,
        turn: Duration::ZERO,
    };

    fn at(seconds: u64) -> Moment {
        START.after(Duration::from_secs(seconds))
    }

    fn within(deadline: Moment) -> Patience {
        Patience {
            deadline: deadline.mono,
            turn: Duration::ZERO,
        }
    }

    fn token(generation: u64) -> Token {
        Token::new(&Secret::from("t"), UNIX_EPOCH, generation).unwrap()
    }

    fn held(generation: u64, life: u64, now: Moment) -> Held {
        let life = Duration::from_secs(life);
        Held::new(token(generation), life, life, now, 0.0)
    }

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, Stage::Token, Outcome::NotSent, "as the endpoint says")
    }

    fn ask(slot: &mut Slot, now: Moment) -> Answer {
        slot.ask(now, PATIENT, &mut Caller::default())
    }

    #[track_caller]
    fn lead(slot: &mut Slot, now: Moment) -> Flight {
        match ask(slot, now) {
            Answer::Lead(flight) => flight,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn uses(slot: &mut Slot, now: Moment) -> u64 {
        match ask(slot, now) {
            Answer::Use(token) => token.generation(),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn fails(answer: Answer) -> Error {
        match answer {
            Answer::Fail(error) => error,
            other => panic!("{other:?}"),
        }
    }

    /// A slot that holds a token of an hour, issued at the start.
    fn fresh() -> Slot {
        let mut slot = Slot::default();
        let flight = lead(&mut slot, START);
        slot.landed(flight, held(1, 3600, START));
        slot
    }

    #[test]
    fn one_leads_and_the_others_wait() {
        let mut slot = Slot::default();
        let flight = lead(&mut slot, START);
        assert!(matches!(ask(&mut slot, START), Answer::Wait(None)));
        assert_eq!(slot.phase(START), Phase::Fetching);
        slot.landed(flight, held(1, 3600, START));
        assert_eq!(uses(&mut slot, START), 1);
        assert_eq!(slot.phase(START), Phase::Fresh);
    }

    #[test]
    fn a_token_due_for_refresh_is_used_while_one_caller_refreshes_it() {
        let mut slot = fresh();
        let due = at(3600 - 720);
        assert!(slot.fresh(at(3600 - 721)).is_some());
        assert!(slot.fresh(due).is_none());
        let Answer::Refresh(flight, token) = ask(&mut slot, due) else {
            panic!()
        };
        assert_eq!(token.generation(), 1);
        assert_eq!(uses(&mut slot, due), 1);
        slot.landed(flight, held(2, 3600, due));
        assert_eq!(uses(&mut slot, due), 2);
    }

    #[test]
    fn a_failed_refresh_keeps_the_token_and_backs_off() {
        let mut slot = fresh();
        let mut now = at(3000);
        for backoff in [1, 2, 4, 8] {
            let Answer::Refresh(flight, _) = ask(&mut slot, now) else {
                panic!()
            };
            slot.failed(flight, now, error(ErrorKind::Network), 0.0);
            now = now.after(Duration::from_secs(backoff) - Duration::from_millis(1));
            assert_eq!(uses(&mut slot, now), 1);
            now = now.after(Duration::from_millis(1));
        }
        let Answer::Refresh(flight, _) = ask(&mut slot, now) else {
            panic!()
        };
        slot.refused(flight, now, error(ErrorKind::Authentication), 0);
        assert_eq!(uses(&mut slot, now.after(Duration::from_secs(29))), 1);
        // Once it has expired, what forbids asking again is everybody's answer.
        let Answer::Refresh(flight, _) = ask(&mut slot, at(3590)) else {
            panic!()
        };
        slot.refused(flight, at(3590), error(ErrorKind::Authentication), 0);
        let error = fails(ask(&mut slot, at(3600)));
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(50)));
    }

    #[test]
    fn either_clock_makes_it_expire() {
        for jump in [
            Moment {
                mono: at(3600).mono,
                wall: START.wall,
            },
            Moment {
                mono: START.mono,
                wall: at(3600).wall,
            },
            Moment {
                mono: at(3600).mono,
                wall: Duration::ZERO,
            },
        ] {
            let mut slot = fresh();
            assert!(slot.fresh(jump).is_none());
            lead(&mut slot, jump);
        }
        let mut slot = fresh();
        assert!(
            slot.fresh(Moment {
                mono: at(60).mono,
                wall: Duration::ZERO
            })
            .is_some()
        );
    }

    #[test]
    fn refused_credentials_fail_everybody_until_the_window_is_over() {
        let mut slot = Slot::default();
        let mut now = START;
        for window in [30, 60, 120, 240, 480, 900, 900] {
            let flight = lead(&mut slot, now);
            slot.refused(flight, now, error(ErrorKind::Authentication), 0);
            let first = fails(ask(&mut slot, now));
            assert_eq!(first.retry_after(), Some(Duration::from_secs(window)));
            now = now.after(Duration::from_secs(window - 1));
            let last = fails(ask(&mut slot, now));
            assert_eq!(last.retry_after(), Some(Duration::from_secs(1)));
            assert_eq!(last.message(), first.message());
            now = now.after(Duration::from_secs(1));
        }
        let flight = lead(&mut slot, now);
        slot.refused(flight, now, error(ErrorKind::Authentication), 0);
        slot.retry_credentials(now);
        let flight = lead(&mut slot, now);
        slot.refused(flight, now, error(ErrorKind::Authentication), 0);
        let again = fails(ask(&mut slot, now));
        assert_eq!(again.retry_after(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn an_outage_is_waited_out_by_those_who_have_the_time() {
        let mut slot = Slot::default();
        let flight = lead(&mut slot, START);
        slot.failed(flight, START, error(ErrorKind::Network), 0.0);
        let mut caller = Caller::default();
        let answer = slot.ask(START, within(at(1)), &mut caller);
        assert!(
            matches!(answer, Answer::Wait(Some(until)) if until == at(1).mono),
            "{answer:?}"
        );
        let hurried = Patience {
            deadline: START.mono,
            turn: Duration::ZERO,
        };
        let error = fails(slot.ask(START, hurried, &mut Caller::default()));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        let answer = slot.ask(at(1), within(at(1)), &mut caller);
        assert!(matches!(answer, Answer::Lead(_)), "{answer:?}");
    }

    #[test]
    fn a_call_gives_up_after_three_failures() {
        let mut slot = Slot::default();
        let mut caller = Caller::default();
        let mut now = START;
        for backoff in [1, 2, 4] {
            let Answer::Lead(flight) = slot.ask(now, PATIENT, &mut caller) else {
                panic!()
            };
            slot.failed(flight, now, error(ErrorKind::Network), 0.0);
            now = now.after(Duration::from_secs(backoff));
        }
        assert_eq!(
            fails(slot.ask(now, PATIENT, &mut caller)).kind(),
            ErrorKind::Network
        );
        lead(&mut slot, now);
    }

    #[test]
    fn a_turn_beyond_the_deadline_is_not_waited_for() {
        let mut slot = Slot::default();
        let hurried = Patience {
            deadline: at(5).mono,
            turn: at(60).mono,
        };
        let error = fails(slot.ask(START, hurried, &mut Caller::default()));
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
        // Nor is that of the one who leads.
        let flight = lead(&mut slot, START);
        slot.expect_turn(flight, at(20).mono);
        let error = fails(slot.ask(START, within(at(5)), &mut Caller::default()));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(20)));
        assert!(matches!(ask(&mut slot, START), Answer::Wait(None)));
    }

    #[test]
    fn a_rejection_drops_that_token_and_no_newer_one() {
        let mut slot = fresh();
        assert!(!slot.reject(2, START));
        assert_eq!(uses(&mut slot, START), 1);
        assert!(slot.reject(1, START));
        assert!(!slot.reject(1, START));
        let flight = lead(&mut slot, START);
        slot.landed(flight, held(2, 3600, START));
        assert!(!slot.reject(1, START));
        assert_eq!(uses(&mut slot, START), 2);
    }

    #[test]
    fn an_older_generation_never_replaces_a_newer_one() {
        let mut slot = fresh();
        let Answer::Refresh(flight, _) = ask(&mut slot, at(3000)) else {
            panic!()
        };
        slot.landed(flight, held(5, 3600, at(3000)));
        let Answer::Refresh(flight, _) = ask(&mut slot, at(6000)) else {
            panic!()
        };
        slot.landed(flight, held(4, 3600, at(6000)));
        assert!(
            matches!(ask(&mut slot, at(6000)), Answer::Refresh(_, token) if token.generation() == 5)
        );
    }

    #[test]
    fn generations_grow_whatever_the_clock_does() {
        let mut slot = fresh();
        let first = slot.next_generation(0, START);
        assert_eq!(first, 1_780_000_000_000);
        slot.newest = first;
        assert_eq!(
            slot.next_generation(
                0,
                Moment {
                    wall: Duration::ZERO,
                    ..START
                }
            ),
            first + 1
        );
        assert_eq!(slot.next_generation(first + 7, START), first + 8);
    }

    #[test]
    fn an_api_that_refuses_every_token_is_not_asked_for_ever() {
        let mut slot = Slot::default();
        for generation in 1..=4 {
            let flight = lead(&mut slot, START);
            slot.landed(flight, held(generation, 3600, START));
            assert!(slot.reject(generation, START));
        }
        let error = fails(ask(&mut slot, START));
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
        lead(&mut slot, at(30));
    }

    #[test]
    fn tokens_that_worked_before_may_be_rejected_as_often_as_the_api_likes() {
        let mut slot = Slot::default();
        for generation in 1..=20 {
            let flight = lead(&mut slot, START);
            slot.landed(flight, held(generation, 3600, START));
            match ask(&mut slot, START) {
                Answer::Use(token) => token.accepted(),
                other => panic!("{other:?}"),
            }
            assert!(slot.reject(generation, START));
        }
    }

    #[test]
    fn a_leader_that_gave_up_leaves_the_way_free() {
        let mut slot = Slot::default();
        let first = lead(&mut slot, START);
        slot.gave_up(first);
        let second = lead(&mut slot, START);
        // A flight that is over can do no more harm.
        slot.gave_up(first);
        assert!(matches!(ask(&mut slot, START), Answer::Wait(None)));
        slot.landed(second, held(1, 3600, START));
        assert_eq!(uses(&mut slot, START), 1);
    }

    #[test]
    fn a_postponed_refresh_is_tried_again_later() {
        let mut slot = fresh();
        let Answer::Refresh(flight, _) = ask(&mut slot, at(3000)) else {
            panic!()
        };
        slot.postponed(flight, at(3002).mono);
        assert_eq!(uses(&mut slot, at(3001)), 1);
        assert!(matches!(ask(&mut slot, at(3002)), Answer::Refresh(..)));
    }

    #[test]
    fn a_child_goes_on_with_the_token_but_not_with_the_flight() {
        let mut slot = fresh();
        assert!(matches!(ask(&mut slot, at(3000)), Answer::Refresh(..)));
        let mut child = slot.inherited();
        assert!(matches!(ask(&mut child, at(3000)), Answer::Refresh(..)));
        assert_eq!(uses(&mut child, at(3000)), 1);
    }

    #[test]
    fn a_forgotten_token_is_asked_for_again() {
        let mut slot = fresh();
        slot.forget();
        assert_eq!(slot.phase(START), Phase::Empty);
        assert!(slot.is_idle(START));
        lead(&mut slot, START);
    }
}
