//! The token of one key, as a state machine: what a caller does now, and what follows from what
//! happened.
//!
//! It is told the time and the events and answers what to do. It has no clock, no lock, no socket
//! and no store, so every rule about a token's life can be tested without waiting for it.
//!
//! Seen from outside a token_state is empty, fetching, fresh, due for refresh, expired, refused or backing
//! off. Inside, three things are independent of each other: the token cached, the suspension that forbids
//! asking for another, and the request under way.

use std::time::Duration;

use serde::Serialize;

use super::time::Timestamp;
use super::token::Token;
use crate::error::{Error, ErrorKind, Outcome, Stage};

/// A refresh is due this share of the life before its end …
const REFRESH_LEAD_DIVISOR: u32 = 5;
/// … but no more than this: longer than the longest block that a 429 makes by itself, so that no
/// living token is lost to one, and no more, since every early refresh is one request too many.
const MAX_REFRESH_LEAD: Duration = Duration::from_secs(15 * 60);
/// Part of the lead that is left to chance, so that processes do not come back at the same time.
const REFRESH_JITTER: f64 = 0.25;

/// A token counts as expired this much early, for the time its request is on the way.
const MAX_LEEWAY: Duration = Duration::from_secs(5);
const LEEWAY_DIVISOR: u32 = 20;

/// How long nobody asks again after the endpoint refused the credentials; doubles with every
/// auth_failure up to the longest.
const INITIAL_AUTH_FAILURE_WINDOW: Duration = Duration::from_secs(30);
pub(crate) const MAX_AUTH_FAILURE_WINDOW: Duration = Duration::from_secs(15 * 60);

/// How long nobody asks again after a failure that may pass (network, 5xx); doubles with every
/// failure in a row up to the longest.
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// How many such failures a single call waits out before it fails.
const FAILURES_PER_CALL: u64 = 3;

/// How many fresh tokens in a row the API may refuse before asking for more is slowed down.
const MAX_UNPENALIZED_REJECTIONS: u32 = 3;
/// After this long, an older auth_failure by the API says nothing about the next.
const REJECTION_WINDOW: Duration = MAX_AUTH_FAILURE_WINDOW;
/// A token that was in use for this long was accepted, whether anybody told us or not.
const ASSUME_ACCEPTED_AFTER: Duration = Duration::from_secs(60);

/// A token request under way, led by one thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FetchId(u64);

/// What a caller has to do.
#[derive(Debug)]
pub(crate) enum NextStep {
    /// Use this token.
    Use(Token),
    /// Use this token, but lead a refresh first.
    Refresh(FetchId, Token),
    /// Lead a request.
    Fetch(FetchId),
    /// Ask again when something happened, or at this time.
    Wait(Option<Duration>),
    /// Give up.
    Fail(Error),
}

/// What a token_state has to know about a caller from one question to the next.
#[derive(Debug, Default)]
pub(crate) struct WaiterState {
    /// The token_state's count of failures when the caller came.
    failures: Option<u64>,
}

/// What a caller can wait for. All times are of the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitLimits {
    /// When its call has to be over.
    pub(crate) deadline: Duration,
    /// When the rate_limiter would let a new request through.
    pub(crate) turn: Duration,
}

/// A token with what this process knows about its life.
#[derive(Debug, Clone)]
pub(crate) struct CachedToken {
    pub(crate) token: Token,
    /// From then on it is not used.
    expires: Timestamp,
    /// From then on one caller at a time tries to replace it.
    due: Timestamp,
    /// Monotonic.
    obtained: Duration,
    /// No refresh before then, because another process is at it or the rate_limiter is busy.
    postponed: Duration,
}

impl CachedToken {
    /// `life` is the whole life of the token, `left` what is left of it now, `jitter` a random
    /// number from 0 to 1.
    pub(crate) fn new(
        token: Token,
        life: Duration,
        left: Duration,
        now: Timestamp,
        jitter: f64,
    ) -> Self {
        let leeway = (life / LEEWAY_DIVISOR).min(MAX_LEEWAY);
        let lead = (life / REFRESH_LEAD_DIVISOR).min(MAX_REFRESH_LEAD);
        let lead = lead
            .mul_f64(1.0 - REFRESH_JITTER * jitter.clamp(0.0, 1.0))
            .max(leeway);
        CachedToken {
            token,
            expires: now.after(left.saturating_sub(leeway)),
            due: now.after(left.saturating_sub(lead)),
            obtained: now.mono,
            postponed: Duration::ZERO,
        }
    }

    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        !self.expires.is_past(now)
    }

    pub(crate) fn needs_refresh(&self, now: Timestamp) -> bool {
        self.due.is_past(now)
    }
}

/// Why nobody asks for a token at the moment.
#[derive(Debug, Clone)]
struct FetchSuspension {
    kind: SuspensionKind,
    /// Monotonic.
    until: Duration,
    error: Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SuspensionKind {
    /// The credentials are refused: everybody fails at once.
    CredentialsRejected,
    /// The endpoint cannot be used: whoever has the time waits.
    EndpointUnavailable,
}

/// What a token_state is doing, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenStatus {
    Empty,
    Fetching,
    Fresh,
    /// The token lives, and is to be refreshed.
    NeedsRefresh,
    Expired,
    CredentialsRejected,
    Backoff,
}

/// The state of one key.
#[derive(Debug, Default)]
pub(crate) struct TokenState {
    cached: Option<CachedToken>,
    /// The highest generation ever cached. None up to it is taken again, even if it is gone: the API
    /// refused it, or it was forgotten.
    max_generation: u64,
    suspension: Option<FetchSuspension>,
    fetch_id: Option<FetchId>,
    /// When the fetch_id expects to be allowed to send, once it knows.
    fetch_permit_at: Duration,
    fetches_started: u64,
    /// Refusals of the credentials in a row.
    auth_failures: u32,
    /// Refreshes without a response in a row.
    refresh_timeouts: u32,
    /// No refresh before then (monotonic), because of them.
    refresh_paused_until: Duration,
    /// Refusals up to this time (milliseconds since 1970) are forgiven.
    auth_failures_cleared_at: u64,
    /// Passing failures in a row.
    outages: u32,
    /// Passing failures in all.
    failures: u64,
    /// Tokens that the API refused in a row without ever having accepted them, and when.
    rejections: u32,
    last_rejection_at: Duration,
    /// How often a living token was handed out.
    cache_hits: u64,
}

impl TokenState {
    /// The token, if it can be used and nothing else is to be done: the path of nearly every
    /// request.
    pub(crate) fn fresh(&mut self, now: Timestamp) -> Option<Token> {
        match &self.cached {
            Some(cached) if !cached.needs_refresh(now) => {
                self.cache_hits += 1;
                Some(cached.token.clone())
            }
            _ => None,
        }
    }

    /// What a caller has to do now.
    pub(crate) fn next_step(
        &mut self,
        now: Timestamp,
        limits: WaitLimits,
        caller: &mut WaiterState,
    ) -> NextStep {
        if let Some(cached) = &self.cached
            && cached.is_valid(now)
        {
            self.cache_hits += 1;
            let token = cached.token.clone();
            let quiet = self
                .suspension
                .as_ref()
                .is_none_or(|suspension| suspension.until <= now.mono);
            let may_refresh = self.fetch_id.is_none()
                && quiet
                && cached.postponed.max(self.refresh_paused_until) <= now.mono;
            return if cached.needs_refresh(now) && may_refresh {
                NextStep::Refresh(self.start_fetch(), token)
            } else {
                NextStep::Use(token)
            };
        }
        let failures_before = *caller.failures.get_or_insert(self.failures);
        if self.fetch_id.is_some() {
            return if self.fetch_permit_at > limits.deadline {
                NextStep::Fail(rate_limited(self.fetch_permit_at - now.mono))
            } else {
                NextStep::Wait(None)
            };
        }
        if let Some(suspension) = &self.suspension {
            let left = suspension.until.saturating_sub(now.mono);
            let error = || suspension.error.clone().with_retry_after(Some(left));
            match suspension.kind {
                SuspensionKind::CredentialsRejected if !left.is_zero() => {
                    return NextStep::Fail(error());
                }
                SuspensionKind::EndpointUnavailable => {
                    let had_enough = self.failures - failures_before >= FAILURES_PER_CALL;
                    if had_enough || (!left.is_zero() && suspension.until > limits.deadline) {
                        return NextStep::Fail(error());
                    }
                    if !left.is_zero() {
                        return NextStep::Wait(Some(suspension.until));
                    }
                }
                SuspensionKind::CredentialsRejected => {}
            }
        }
        if limits.turn > limits.deadline {
            return NextStep::Fail(rate_limited(limits.turn.saturating_sub(now.mono)));
        }
        NextStep::Fetch(self.start_fetch())
    }

    fn start_fetch(&mut self) -> FetchId {
        self.fetches_started += 1;
        self.fetch_permit_at = Duration::ZERO;
        *self.fetch_id.insert(FetchId(self.fetches_started))
    }

    /// The fetch_id expects its turn at the rate_limiter at this time (monotonic): callers who cannot wait
    /// that long need not wait at all.
    pub(crate) fn expect_permit(&mut self, fetch_id: FetchId, turn: Duration) {
        if self.fetch_id == Some(fetch_id) {
            self.fetch_permit_at = turn;
        }
    }

    /// The fetch_id got a token, from the endpoint or from a store. An older generation than the one
    /// held changes nothing.
    pub(crate) fn fetch_succeeded(&mut self, fetch_id: FetchId, cached: CachedToken) {
        self.end(fetch_id);
        self.suspension = None;
        self.auth_failures = 0;
        self.refresh_timeouts = 0;
        self.refresh_paused_until = Duration::ZERO;
        self.outages = 0;
        let generation = cached.token.generation();
        if generation > self.max_generation {
            self.max_generation = generation;
            self.cached = Some(cached);
        }
    }

    /// The endpoint refused the credentials, after it had refused them this often before in other
    /// processes. The answer is how long nobody asks again, and how often it is now.
    pub(crate) fn refused(
        &mut self,
        fetch_id: FetchId,
        now: Timestamp,
        error: Error,
        before: u32,
    ) -> (Duration, u32) {
        self.end(fetch_id);
        self.auth_failures = self.auth_failures.max(before).saturating_add(1);
        let window = doubled(
            INITIAL_AUTH_FAILURE_WINDOW,
            self.auth_failures,
            MAX_AUTH_FAILURE_WINDOW,
        );
        self.refuse_until(now.mono.saturating_add(window), error);
        (window, self.auth_failures)
    }

    /// Another process was refused, and shared it.
    pub(crate) fn auth_failure_loaded(
        &mut self,
        fetch_id: FetchId,
        now: Timestamp,
        left: Duration,
        count: u32,
        error: Error,
    ) {
        self.end(fetch_id);
        self.auth_failures = self.auth_failures.max(count);
        self.refuse_until(now.mono.saturating_add(left), error);
    }

    /// Whether a auth_failure that was noted at this time (milliseconds since 1970) still counts.
    pub(crate) fn is_failure_current(&self, at: u64) -> bool {
        at >= self.auth_failures_cleared_at
    }

    fn refuse_until(&mut self, until: Duration, error: Error) {
        self.suspension = Some(FetchSuspension {
            kind: SuspensionKind::CredentialsRejected,
            until,
            error,
        });
    }

    /// The request failed in a way that may pass. `jitter` is a random number from 0 to 1.
    pub(crate) fn failed(&mut self, fetch_id: FetchId, now: Timestamp, error: Error, jitter: f64) {
        self.end(fetch_id);
        self.failures += 1;
        self.outages = self.outages.saturating_add(1);
        let backoff = doubled(INITIAL_BACKOFF, self.outages, MAX_BACKOFF);
        let backoff = backoff.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0));
        let until = now.mono.saturating_add(backoff);
        self.suspension = Some(FetchSuspension {
            kind: SuspensionKind::EndpointUnavailable,
            until,
            error,
        });
    }

    /// The fetch_id ended without learning anything: its leader ran out of time before it could send,
    /// was cancelled, or died.
    pub(crate) fn fetch_abandoned(&mut self, fetch_id: FetchId) {
        self.end(fetch_id);
    }

    /// The fetch_id was a refresh that got no response in time, after this many in a row before, in
    /// this process or others. Returns how long no caller refreshes, and how many it is now.
    pub(crate) fn refresh_timed_out(
        &mut self,
        fetch_id: FetchId,
        now: Timestamp,
        before: u32,
    ) -> (Duration, u32) {
        let before = self.refresh_timeouts.max(self.auth_failures).max(before);
        self.refresh_timeouts = before.saturating_add(1);
        let window = doubled(
            INITIAL_AUTH_FAILURE_WINDOW,
            self.refresh_timeouts,
            MAX_AUTH_FAILURE_WINDOW,
        );
        self.end(fetch_id);
        self.refresh_paused_until = now.mono.saturating_add(window);
        (window, self.refresh_timeouts)
    }

    /// The fetch_id was a refresh that can wait until `until` (monotonic).
    pub(crate) fn refresh_deferred(&mut self, fetch_id: FetchId, until: Duration) {
        self.end(fetch_id);
        if let Some(cached) = &mut self.cached {
            cached.postponed = cached.postponed.max(until);
        }
    }

    fn end(&mut self, fetch_id: FetchId) {
        if self.fetch_id == Some(fetch_id) {
            self.fetch_id = None;
        }
    }

    /// The API answered 401 to the token of this generation. Whether that was the token cached.
    pub(crate) fn reject(&mut self, generation: u64, now: Timestamp) -> bool {
        let Some(cached) = self
            .cached
            .take_if(|cached| cached.token.generation() == generation)
        else {
            return false;
        };
        let related = now.mono.saturating_sub(self.last_rejection_at) < REJECTION_WINDOW;
        let worked = cached.token.was_accepted()
            || now.mono.saturating_sub(cached.obtained) >= ASSUME_ACCEPTED_AFTER;
        self.rejections = match (worked, related) {
            (true, _) => 0,
            (false, true) => self.rejections.saturating_add(1),
            (false, false) => 1,
        };
        self.last_rejection_at = now.mono;
        // An API that refuses one new token after the other must not make us spend the endpoint's
        // goodwill on more of them.
        if self.rejections > MAX_UNPENALIZED_REJECTIONS {
            let window = doubled(
                INITIAL_AUTH_FAILURE_WINDOW,
                self.rejections - MAX_UNPENALIZED_REJECTIONS,
                MAX_AUTH_FAILURE_WINDOW,
            );
            self.refuse_until(now.mono.saturating_add(window), tokens_rejected());
        }
        true
    }

    /// Drops the token, whatever it is.
    pub(crate) fn forget(&mut self) {
        self.cached = None;
    }

    /// Lets the next caller ask again although the credentials were refused.
    pub(crate) fn clear_auth_failure(&mut self, now: Timestamp) {
        self.auth_failures_cleared_at = now.wall_millis();
        self.auth_failures = 0;
        self.refresh_timeouts = 0;
        self.refresh_paused_until = Duration::ZERO;
        self.rejections = 0;
        self.suspension
            .take_if(|suspension| suspension.kind == SuspensionKind::CredentialsRejected);
    }

    /// Rejections of the credentials in a row.
    pub(crate) fn auth_failures(&self) -> u32 {
        self.auth_failures
    }

    /// The highest generation ever cached: only a higher one is news.
    pub(crate) fn max_generation(&self) -> u64 {
        self.max_generation
    }

    /// The generation of a token that is issued now, given the max_generation one that a store knows.
    ///
    /// Milliseconds since 1970 unless that would go backwards, so that generations grow across
    /// processes and even if a store lost its memory.
    pub(crate) fn next_generation(&self, stored: u64, now: Timestamp) -> u64 {
        self.max_generation
            .max(stored)
            .saturating_add(1)
            .max(now.wall_millis())
    }

    /// What a forked child goes on with: the token and the suspension, but not its parent's fetch_id.
    pub(crate) fn inherited(&self) -> TokenState {
        TokenState {
            cached: self.cached.clone(),
            suspension: self.suspension.clone(),
            max_generation: self.max_generation,
            auth_failures: self.auth_failures,
            refresh_timeouts: self.refresh_timeouts,
            refresh_paused_until: self.refresh_paused_until,
            auth_failures_cleared_at: self.auth_failures_cleared_at,
            outages: self.outages,
            rejections: self.rejections,
            last_rejection_at: self.last_rejection_at,
            ..TokenState::default()
        }
    }

    pub(crate) fn phase(&self, now: Timestamp) -> TokenStatus {
        let suspension = self
            .suspension
            .as_ref()
            .filter(|suspension| suspension.until > now.mono);
        match (&self.cached, suspension.map(|suspension| suspension.kind)) {
            (Some(cached), _) if cached.is_valid(now) && !cached.needs_refresh(now) => {
                TokenStatus::Fresh
            }
            (Some(cached), _) if cached.is_valid(now) => TokenStatus::NeedsRefresh,
            _ if self.fetch_id.is_some() => TokenStatus::Fetching,
            (_, Some(SuspensionKind::CredentialsRejected)) => TokenStatus::CredentialsRejected,
            (_, Some(SuspensionKind::EndpointUnavailable)) => TokenStatus::Backoff,
            (Some(_), None) => TokenStatus::Expired,
            (None, None) => TokenStatus::Empty,
        }
    }

    /// How often a living token was handed out.
    pub(crate) fn cache_hits(&self) -> u64 {
        self.cache_hits
    }

    /// How long the token lives, and how long until it is due for refresh.
    pub(crate) fn token_remaining(&self, now: Timestamp) -> Option<(Duration, Duration)> {
        let cached = self.cached.as_ref().filter(|cached| cached.is_valid(now))?;
        Some((cached.expires.left(now), cached.due.left(now)))
    }

    /// How long nobody asks for a token, and why.
    pub(crate) fn suspended_for(&self, now: Timestamp) -> Option<(Duration, &Error)> {
        let suspension = self.suspension.as_ref()?;
        let left = suspension.until.saturating_sub(now.mono);
        (!left.is_zero()).then_some((left, &suspension.error))
    }

    /// Whether nothing would be lost by dropping the whole token_state.
    pub(crate) fn is_idle(&self, now: Timestamp) -> bool {
        self.fetch_id.is_none()
            && matches!(self.phase(now), TokenStatus::Empty | TokenStatus::Expired)
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

    const START: Timestamp = Timestamp {
        mono: Duration::from_secs(1_000),
        wall: Duration::from_secs(1_780_000_000),
    };
    const PATIENT: WaitLimits = WaitLimits {
        deadline: Duration::MAX,
        turn: Duration::ZERO,
    };

    fn at(seconds: u64) -> Timestamp {
        START.after(Duration::from_secs(seconds))
    }

    fn within(deadline: Timestamp) -> WaitLimits {
        WaitLimits {
            deadline: deadline.mono,
            turn: Duration::ZERO,
        }
    }

    fn token(generation: u64) -> Token {
        Token::new(&Secret::from("t"), UNIX_EPOCH, generation).unwrap()
    }

    fn held(generation: u64, life: u64, now: Timestamp) -> CachedToken {
        let life = Duration::from_secs(life);
        CachedToken::new(token(generation), life, life, now, 0.0)
    }

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, Stage::Token, Outcome::NotSent, "as the endpoint says")
    }

    fn next_step(token_state: &mut TokenState, now: Timestamp) -> NextStep {
        token_state.next_step(now, PATIENT, &mut WaiterState::default())
    }

    #[track_caller]
    fn lead(token_state: &mut TokenState, now: Timestamp) -> FetchId {
        match next_step(token_state, now) {
            NextStep::Fetch(fetch_id) => fetch_id,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn uses(token_state: &mut TokenState, now: Timestamp) -> u64 {
        match next_step(token_state, now) {
            NextStep::Use(token) => token.generation(),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn fails(step: NextStep) -> Error {
        match step {
            NextStep::Fail(error) => error,
            other => panic!("{other:?}"),
        }
    }

    /// A token_state that holds a token of an hour, issued at the start.
    fn fresh() -> TokenState {
        let mut token_state = TokenState::default();
        let fetch_id = lead(&mut token_state, START);
        token_state.fetch_succeeded(fetch_id, held(1, 3600, START));
        token_state
    }

    #[test]
    fn one_leads_and_the_others_wait() {
        let mut token_state = TokenState::default();
        let fetch_id = lead(&mut token_state, START);
        assert!(matches!(
            next_step(&mut token_state, START),
            NextStep::Wait(None)
        ));
        assert_eq!(token_state.phase(START), TokenStatus::Fetching);
        token_state.fetch_succeeded(fetch_id, held(1, 3600, START));
        assert_eq!(uses(&mut token_state, START), 1);
        assert_eq!(token_state.phase(START), TokenStatus::Fresh);
    }

    #[test]
    fn a_token_due_for_refresh_is_used_while_one_caller_refreshes_it() {
        let mut token_state = fresh();
        let due = at(3600 - 720);
        assert!(token_state.fresh(at(3600 - 721)).is_some());
        assert!(token_state.fresh(due).is_none());
        let NextStep::Refresh(fetch_id, token) = next_step(&mut token_state, due) else {
            panic!()
        };
        assert_eq!(token.generation(), 1);
        assert_eq!(uses(&mut token_state, due), 1);
        token_state.fetch_succeeded(fetch_id, held(2, 3600, due));
        assert_eq!(uses(&mut token_state, due), 2);
    }

    #[test]
    fn a_failed_refresh_keeps_the_token_and_backs_off() {
        let mut token_state = fresh();
        let mut now = at(3000);
        for backoff in [1, 2, 4, 8] {
            let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, now) else {
                panic!()
            };
            token_state.failed(fetch_id, now, error(ErrorKind::Network), 0.0);
            now = now.after(Duration::from_secs(backoff) - Duration::from_millis(1));
            assert_eq!(uses(&mut token_state, now), 1);
            now = now.after(Duration::from_millis(1));
        }
        let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, now) else {
            panic!()
        };
        token_state.refused(fetch_id, now, error(ErrorKind::Authentication), 0);
        assert_eq!(
            uses(&mut token_state, now.after(Duration::from_secs(29))),
            1
        );
        // Once it has expired, what forbids asking again is everybody's answer.
        let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, at(3590)) else {
            panic!()
        };
        token_state.refused(fetch_id, at(3590), error(ErrorKind::Authentication), 0);
        let error = fails(next_step(&mut token_state, at(3600)));
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(50)));
    }

    #[test]
    fn either_clock_makes_it_expire() {
        for jump in [
            Timestamp {
                mono: at(3600).mono,
                wall: START.wall,
            },
            Timestamp {
                mono: START.mono,
                wall: at(3600).wall,
            },
            Timestamp {
                mono: at(3600).mono,
                wall: Duration::ZERO,
            },
        ] {
            let mut token_state = fresh();
            assert!(token_state.fresh(jump).is_none());
            lead(&mut token_state, jump);
        }
        let mut token_state = fresh();
        assert!(
            token_state
                .fresh(Timestamp {
                    mono: at(60).mono,
                    wall: Duration::ZERO
                })
                .is_some()
        );
    }

    #[test]
    fn refused_credentials_fail_everybody_until_the_window_is_over() {
        let mut token_state = TokenState::default();
        let mut now = START;
        for window in [30, 60, 120, 240, 480, 900, 900] {
            let fetch_id = lead(&mut token_state, now);
            token_state.refused(fetch_id, now, error(ErrorKind::Authentication), 0);
            let first = fails(next_step(&mut token_state, now));
            assert_eq!(first.retry_after(), Some(Duration::from_secs(window)));
            now = now.after(Duration::from_secs(window - 1));
            let last = fails(next_step(&mut token_state, now));
            assert_eq!(last.retry_after(), Some(Duration::from_secs(1)));
            assert_eq!(last.message(), first.message());
            now = now.after(Duration::from_secs(1));
        }
        let fetch_id = lead(&mut token_state, now);
        token_state.refused(fetch_id, now, error(ErrorKind::Authentication), 0);
        token_state.clear_auth_failure(now);
        let fetch_id = lead(&mut token_state, now);
        token_state.refused(fetch_id, now, error(ErrorKind::Authentication), 0);
        let again = fails(next_step(&mut token_state, now));
        assert_eq!(again.retry_after(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn an_outage_is_waited_out_by_those_who_have_the_time() {
        let mut token_state = TokenState::default();
        let fetch_id = lead(&mut token_state, START);
        token_state.failed(fetch_id, START, error(ErrorKind::Network), 0.0);
        let mut caller = WaiterState::default();
        let answer = token_state.next_step(START, within(at(1)), &mut caller);
        assert!(
            matches!(answer, NextStep::Wait(Some(until)) if until == at(1).mono),
            "{answer:?}"
        );
        let hurried = WaitLimits {
            deadline: START.mono,
            turn: Duration::ZERO,
        };
        let error = fails(token_state.next_step(START, hurried, &mut WaiterState::default()));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        let answer = token_state.next_step(at(1), within(at(1)), &mut caller);
        assert!(matches!(answer, NextStep::Fetch(_)), "{answer:?}");
    }

    #[test]
    fn a_call_gives_up_after_three_failures() {
        let mut token_state = TokenState::default();
        let mut caller = WaiterState::default();
        let mut now = START;
        for backoff in [1, 2, 4] {
            let NextStep::Fetch(fetch_id) = token_state.next_step(now, PATIENT, &mut caller) else {
                panic!()
            };
            token_state.failed(fetch_id, now, error(ErrorKind::Network), 0.0);
            now = now.after(Duration::from_secs(backoff));
        }
        assert_eq!(
            fails(token_state.next_step(now, PATIENT, &mut caller)).kind(),
            ErrorKind::Network
        );
        lead(&mut token_state, now);
    }

    #[test]
    fn a_turn_beyond_the_deadline_is_not_waited_for() {
        let mut token_state = TokenState::default();
        let hurried = WaitLimits {
            deadline: at(5).mono,
            turn: at(60).mono,
        };
        let error = fails(token_state.next_step(START, hurried, &mut WaiterState::default()));
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
        // Nor is that of the one who leads.
        let fetch_id = lead(&mut token_state, START);
        token_state.expect_permit(fetch_id, at(20).mono);
        let error = fails(token_state.next_step(START, within(at(5)), &mut WaiterState::default()));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(20)));
        assert!(matches!(
            next_step(&mut token_state, START),
            NextStep::Wait(None)
        ));
    }

    #[test]
    fn a_rejection_drops_that_token_and_no_newer_one() {
        let mut token_state = fresh();
        assert!(!token_state.reject(2, START));
        assert_eq!(uses(&mut token_state, START), 1);
        assert!(token_state.reject(1, START));
        assert!(!token_state.reject(1, START));
        let fetch_id = lead(&mut token_state, START);
        token_state.fetch_succeeded(fetch_id, held(2, 3600, START));
        assert!(!token_state.reject(1, START));
        assert_eq!(uses(&mut token_state, START), 2);
    }

    #[test]
    fn an_older_generation_never_replaces_a_newer_one() {
        let mut token_state = fresh();
        let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, at(3000)) else {
            panic!()
        };
        token_state.fetch_succeeded(fetch_id, held(5, 3600, at(3000)));
        let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, at(6000)) else {
            panic!()
        };
        token_state.fetch_succeeded(fetch_id, held(4, 3600, at(6000)));
        assert!(
            matches!(next_step(&mut token_state, at(6000)), NextStep::Refresh(_, token) if token.generation() == 5)
        );
    }

    #[test]
    fn generations_grow_whatever_the_clock_does() {
        let mut token_state = fresh();
        let first = token_state.next_generation(0, START);
        assert_eq!(first, 1_780_000_000_000);
        token_state.max_generation = first;
        assert_eq!(
            token_state.next_generation(
                0,
                Timestamp {
                    wall: Duration::ZERO,
                    ..START
                }
            ),
            first + 1
        );
        assert_eq!(token_state.next_generation(first + 7, START), first + 8);
    }

    #[test]
    fn an_api_that_refuses_every_token_is_not_asked_for_ever() {
        let mut token_state = TokenState::default();
        for generation in 1..=4 {
            let fetch_id = lead(&mut token_state, START);
            token_state.fetch_succeeded(fetch_id, held(generation, 3600, START));
            assert!(token_state.reject(generation, START));
        }
        let error = fails(next_step(&mut token_state, START));
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
        lead(&mut token_state, at(30));
    }

    #[test]
    fn tokens_that_worked_before_may_be_rejected_as_often_as_the_api_likes() {
        let mut token_state = TokenState::default();
        for generation in 1..=20 {
            let fetch_id = lead(&mut token_state, START);
            token_state.fetch_succeeded(fetch_id, held(generation, 3600, START));
            match next_step(&mut token_state, START) {
                NextStep::Use(token) => token.accepted(),
                other => panic!("{other:?}"),
            }
            assert!(token_state.reject(generation, START));
        }
    }

    #[test]
    fn a_leader_that_gave_up_leaves_the_way_free() {
        let mut token_state = TokenState::default();
        let first = lead(&mut token_state, START);
        token_state.fetch_abandoned(first);
        let second = lead(&mut token_state, START);
        // A fetch_id that is over can do no more harm.
        token_state.fetch_abandoned(first);
        assert!(matches!(
            next_step(&mut token_state, START),
            NextStep::Wait(None)
        ));
        token_state.fetch_succeeded(second, held(1, 3600, START));
        assert_eq!(uses(&mut token_state, START), 1);
    }

    #[test]
    fn a_postponed_refresh_is_tried_again_later() {
        let mut token_state = fresh();
        let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, at(3000)) else {
            panic!()
        };
        token_state.refresh_deferred(fetch_id, at(3002).mono);
        assert_eq!(uses(&mut token_state, at(3001)), 1);
        assert!(matches!(
            next_step(&mut token_state, at(3002)),
            NextStep::Refresh(..)
        ));
    }

    #[test]
    fn a_child_goes_on_with_the_token_but_not_with_the_flight() {
        let mut token_state = fresh();
        assert!(matches!(
            next_step(&mut token_state, at(3000)),
            NextStep::Refresh(..)
        ));
        let mut child = token_state.inherited();
        assert!(matches!(
            next_step(&mut child, at(3000)),
            NextStep::Refresh(..)
        ));
        assert_eq!(uses(&mut child, at(3000)), 1);
    }

    #[test]
    fn a_forgotten_token_is_asked_for_again() {
        let mut token_state = fresh();
        token_state.forget();
        assert_eq!(token_state.phase(START), TokenStatus::Empty);
        assert!(token_state.is_idle(START));
        lead(&mut token_state, START);
    }
}
