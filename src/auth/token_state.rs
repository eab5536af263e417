//! Token state machine for one cache key (credentials, audience, scope, token URL). Decides whether
//! a caller uses the cached token, sends a token request, waits, or fails.
//!
//! Performs no I/O and reads no clock; time and events are parameters, so unit tests run without
//! waiting.
//!
//! State: the cached token, the suspensions (request rejected, or backoffs) and the in-flight
//! request. They change independently; [`TokenStatus`] summarizes them for diagnostics.

use std::time::Duration;

use super::ConnectionSettings;
use super::diagnostics::TokenStatus;
use super::time::ClockTime;
use super::token::Token;
use crate::backoff::exponential;
use crate::error::{Error, ErrorKind, Outcome, Stage};

/// A token is refreshed when this share of its lifetime is left …
const REFRESH_LEAD_DIVISOR: u32 = 5;
/// … but at most this long before it expires. Exceeds the first two 429 blocks without `Retry-After`
/// (at most 3 min and 6 min), so that a refresh has three attempts before the token expires. Not
/// larger, because every early refresh costs a token request.
const MAX_REFRESH_LEAD: Duration = Duration::from_secs(15 * 60);
/// Random part of the lead, so that processes do not refresh at the same time.
const REFRESH_JITTER: f64 = 0.25;

/// A token counts as expired this long before it expires, to allow for the duration of the API
/// request.
const MAX_LEEWAY: Duration = Duration::from_secs(5);
const LEEWAY_DIVISOR: u32 = 20;

/// How long no token request is sent after the token endpoint rejected the credentials; doubles
/// with every consecutive rejection up to the maximum.
const INITIAL_AUTH_FAILURE_WINDOW: Duration = Duration::from_secs(30);
pub(crate) const MAX_AUTH_FAILURE_WINDOW: Duration = Duration::from_secs(15 * 60);

/// How long no token request is sent after a transient failure (network, 5xx); doubles with every
/// consecutive failure up to the maximum.
const INITIAL_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// Maximum `Retry-After` of a transient failure that is added to the backoff. Less than that of a 429,
/// because an outage is often shorter than the server expects.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// Number of transient failures that a single call waits out before it fails.
const FAILURES_PER_CALL: u64 = 3;

/// Number of consecutive new tokens that the API may reject before token requests are slowed down.
const MAX_UNPENALIZED_REJECTIONS: u32 = 3;
/// After this time, an earlier 401 of the API no longer counts as consecutive.
const REJECTION_WINDOW: Duration = MAX_AUTH_FAILURE_WINDOW;
/// A token that was in use for this long counts as accepted even if no response confirmed it.
const ASSUME_ACCEPTED_AFTER: Duration = Duration::from_secs(60);

/// Identifies an in-flight token request, which one thread runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FetchId(u64);

/// The next step of a caller.
#[derive(Debug)]
pub(crate) enum NextStep {
    /// Use this token.
    Use(Token),
    /// Use this token, but first run a refresh.
    Refresh(FetchId, Token),
    /// Run a token request.
    Fetch(FetchId),
    /// Call `next_step` again after the next event, or at this time (monotonic) at the latest.
    Wait(Option<Duration>),
    /// Fail with this error.
    Fail(Error),
}

/// State of a caller between its calls of [`TokenState::next_step`].
#[derive(Debug, Default)]
pub(crate) struct WaiterState {
    /// Number of failures when the caller arrived.
    failures: Option<u64>,
    /// The settings of its connections.
    settings: ConnectionSettings,
}

impl WaiterState {
    pub(crate) fn new(settings: ConnectionSettings) -> Self {
        WaiterState {
            failures: None,
            settings,
        }
    }
}

/// Limits of a caller's wait, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitLimits {
    /// Deadline of the call.
    pub(crate) deadline: Duration,
    /// When the rate limiter allows the next request.
    pub(crate) permit_at: Duration,
}

/// A token with its expiry and refresh times.
#[derive(Debug, Clone)]
pub(crate) struct CachedToken {
    pub(crate) token: Token,
    /// When the token counts as expired.
    expires: ClockTime,
    /// When one caller at a time begins to refresh it.
    refresh_at: ClockTime,
    /// Monotonic.
    obtained: Duration,
    /// No refresh before this time (monotonic), because another process refreshes the token or the
    /// rate limiter allows no request.
    refresh_not_before: Duration,
    /// When it was last found not due for refresh (monotonic, coarse).
    fresh_at: Duration,
}

impl CachedToken {
    /// `life` is the total lifetime of the token, `left` the remaining one, `jitter` a random
    /// number from 0 to 1.
    pub(crate) fn new(
        token: Token,
        life: Duration,
        left: Duration,
        now: ClockTime,
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
            refresh_at: now.after(left.saturating_sub(lead)),
            obtained: now.mono,
            refresh_not_before: Duration::ZERO,
            fresh_at: Duration::ZERO,
        }
    }

    pub(crate) fn is_valid(&self, now: ClockTime) -> bool {
        !self.expires.is_past(now)
    }

    pub(crate) fn needs_refresh(&self, now: ClockTime) -> bool {
        self.refresh_at.is_past(now)
    }
}

/// Why no token request may be sent for now.
#[derive(Debug, Clone)]
struct FetchSuspension {
    kind: SuspensionKind,
    /// Monotonic.
    until: Duration,
    error: Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SuspensionKind {
    /// The credentials or the request were rejected: callers fail immediately.
    Rejected,
    /// The token endpoint is unavailable with these settings of connections: callers that have the same
    /// ones wait if their deadlines allow it.
    EndpointUnavailable(ConnectionSettings),
}

impl FetchSuspension {
    fn applies_to(&self, waiter: &WaiterState) -> bool {
        match self.kind {
            SuspensionKind::Rejected => true,
            SuspensionKind::EndpointUnavailable(settings) => settings == waiter.settings,
        }
    }
}

/// Token state of one cache key.
#[derive(Debug, Default)]
pub(crate) struct TokenState {
    cached: Option<CachedToken>,
    /// Highest token generation seen. A token with this generation or a lower one is ignored, even
    /// if the API rejected it (401) or the caller invalidated it.
    max_generation: u64,
    /// A rejection, or the backoffs, at most one for the same settings of connections.
    suspensions: Vec<FetchSuspension>,
    fetch_id: Option<FetchId>,
    /// When the in-flight request expects its permit (monotonic); zero if not known yet.
    fetch_permit_at: Duration,
    fetches_started: u64,
    /// Consecutive rejections of the credentials.
    auth_failures: u32,
    /// Consecutive refreshes without a response.
    refresh_timeouts: u32,
    /// No refresh before this time (monotonic), because of `refresh_timeouts`.
    refresh_paused_until: Duration,
    /// Rejections up to this time (milliseconds since 1970) are ignored.
    auth_failures_cleared_at: u64,
    /// Consecutive transient failures.
    consecutive_failures: u32,
    /// Total number of transient failures.
    failures: u64,
    /// Consecutive tokens that the API rejected without having accepted them, and the time of the
    /// last rejection (monotonic).
    rejections: u32,
    last_rejection_at: Duration,
    /// Number of times that a cached token was returned.
    cache_hits: u64,
}

impl TokenState {
    /// Returns the token if it is valid and not due for refresh: the fast path of nearly every
    /// request.
    ///
    /// A token that was fresh is fresh until the coarse monotonic clock advances, some milliseconds later:
    /// reading the wall clock as well would take a fifth of the time.
    pub(crate) fn fresh(
        &mut self,
        mono: Duration,
        wall: impl FnOnce() -> Duration,
    ) -> Option<Token> {
        let cached = self.cached.as_mut()?;
        if cached.fresh_at != mono {
            let wall = wall();
            if cached.needs_refresh(ClockTime { mono, wall }) {
                return None;
            }
            cached.fresh_at = mono;
        }
        self.cache_hits += 1;
        Some(cached.token.clone())
    }

    /// Returns the next step of a caller.
    pub(crate) fn next_step(
        &mut self,
        now: ClockTime,
        limits: WaitLimits,
        waiter: &mut WaiterState,
    ) -> NextStep {
        if let Some(cached) = &self.cached
            && cached.is_valid(now)
        {
            self.cache_hits += 1;
            let token = cached.token.clone();
            let suspension = self.suspension_of(waiter);
            let not_suspended = suspension.is_none_or(|it| it.until <= now.mono);
            let may_refresh = self.fetch_id.is_none()
                && not_suspended
                && cached.refresh_not_before.max(self.refresh_paused_until) <= now.mono;
            return if cached.needs_refresh(now) && may_refresh {
                NextStep::Refresh(self.start_fetch(), token)
            } else {
                NextStep::Use(token)
            };
        }
        let failures_before = *waiter.failures.get_or_insert(self.failures);
        if self.fetch_id.is_some() {
            return if self.fetch_permit_at > limits.deadline {
                NextStep::Fail(rate_limited(self.fetch_permit_at - now.mono))
            } else {
                NextStep::Wait(None)
            };
        }
        if let Some(suspension) = self.suspension_of(waiter) {
            let left = suspension.until.saturating_sub(now.mono);
            let error = || suspension.error.clone().with_retry_after(Some(left));
            match suspension.kind {
                SuspensionKind::Rejected if !left.is_zero() => {
                    return NextStep::Fail(error());
                }
                SuspensionKind::EndpointUnavailable(_) => {
                    let had_enough = self.failures - failures_before >= FAILURES_PER_CALL;
                    if had_enough || (!left.is_zero() && suspension.until > limits.deadline) {
                        return NextStep::Fail(error());
                    }
                    if !left.is_zero() {
                        return NextStep::Wait(Some(suspension.until));
                    }
                }
                SuspensionKind::Rejected => {}
            }
        }
        if limits.permit_at > limits.deadline {
            return NextStep::Fail(rate_limited(limits.permit_at.saturating_sub(now.mono)));
        }
        NextStep::Fetch(self.start_fetch())
    }

    fn suspension_of(&self, waiter: &WaiterState) -> Option<&FetchSuspension> {
        self.suspensions.iter().find(|it| it.applies_to(waiter))
    }

    fn start_fetch(&mut self) -> FetchId {
        self.fetches_started += 1;
        self.fetch_permit_at = Duration::ZERO;
        *self.fetch_id.insert(FetchId(self.fetches_started))
    }

    /// Records when the in-flight request expects its permit (monotonic): callers whose deadline is
    /// earlier fail immediately.
    pub(crate) fn expect_permit(&mut self, fetch_id: FetchId, permit_at: Duration) {
        if self.fetch_id == Some(fetch_id) {
            self.fetch_permit_at = permit_at;
        }
    }

    /// Ends the request with a token from the endpoint or a store. A token of an older generation
    /// than the cached one is ignored.
    pub(crate) fn fetch_succeeded(&mut self, fetch_id: FetchId, cached: CachedToken) {
        self.clear_fetch(fetch_id);
        self.suspensions.clear();
        self.auth_failures = 0;
        self.refresh_timeouts = 0;
        self.refresh_paused_until = Duration::ZERO;
        self.consecutive_failures = 0;
        let generation = cached.token.generation();
        if generation > self.max_generation {
            self.max_generation = generation;
            self.cached = Some(cached);
        }
    }

    /// Ends the request: the token endpoint rejected the credentials or the request, after `before`
    /// consecutive rejections in other processes. Returns how long no request is sent, and the new
    /// number of consecutive rejections.
    pub(crate) fn fetch_rejected(
        &mut self,
        fetch_id: FetchId,
        now: ClockTime,
        error: Error,
        before: u32,
    ) -> (Duration, u32) {
        self.clear_fetch(fetch_id);
        self.auth_failures = self.auth_failures.max(before).saturating_add(1);
        let window = exponential(
            INITIAL_AUTH_FAILURE_WINDOW,
            self.auth_failures,
            MAX_AUTH_FAILURE_WINDOW,
        );
        self.suspend_until(now.mono.saturating_add(window), error);
        (window, self.auth_failures)
    }

    /// Ends the request: another process stored a rejection of the credentials, which applies until
    /// this time (monotonic).
    pub(crate) fn auth_failure_loaded(
        &mut self,
        fetch_id: FetchId,
        until: Duration,
        count: u32,
        error: Error,
    ) {
        self.clear_fetch(fetch_id);
        self.auth_failures = self.auth_failures.max(count);
        self.suspend_until(until, error);
    }

    /// Returns whether a rejection at this time (milliseconds since 1970) was not cleared since.
    pub(crate) fn is_failure_current(&self, at: u64) -> bool {
        at >= self.auth_failures_cleared_at
    }

    fn suspend_until(&mut self, until: Duration, error: Error) {
        self.suspensions = vec![FetchSuspension {
            kind: SuspensionKind::Rejected,
            until,
            error,
        }];
    }

    /// Ends the request with a transient failure. The backoff begins after the `Retry-After` of the
    /// error, if it has one, and applies to callers with these settings. `jitter` is a random number
    /// from 0 to 1.
    pub(crate) fn fetch_failed(
        &mut self,
        fetch_id: FetchId,
        now: ClockTime,
        settings: ConnectionSettings,
        error: Error,
        jitter: f64,
    ) {
        self.clear_fetch(fetch_id);
        self.failures += 1;
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        let backoff = exponential(INITIAL_BACKOFF, self.consecutive_failures, MAX_BACKOFF);
        let backoff = backoff.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0));
        let retry_after = error.retry_after().unwrap_or_default().min(MAX_RETRY_AFTER);
        let until = now.mono.saturating_add(retry_after + backoff);
        let kind = SuspensionKind::EndpointUnavailable(settings);
        self.suspensions
            .retain(|it| it.kind != SuspensionKind::Rejected && it.kind != kind);
        self.suspensions
            .push(FetchSuspension { kind, until, error });
    }

    /// Ends the request without a result: its thread reached the deadline before it could send, was
    /// cancelled, or panicked.
    pub(crate) fn fetch_abandoned(&mut self, fetch_id: FetchId) {
        self.clear_fetch(fetch_id);
    }

    /// Ends a refresh that got no response in time, after `before` consecutive ones in this process
    /// or others. Returns how long no caller refreshes, and the new number of consecutive ones.
    pub(crate) fn refresh_timed_out(
        &mut self,
        fetch_id: FetchId,
        now: ClockTime,
        before: u32,
    ) -> (Duration, u32) {
        let before = self.refresh_timeouts.max(self.auth_failures).max(before);
        self.refresh_timeouts = before.saturating_add(1);
        let window = exponential(
            INITIAL_AUTH_FAILURE_WINDOW,
            self.refresh_timeouts,
            MAX_AUTH_FAILURE_WINDOW,
        );
        self.clear_fetch(fetch_id);
        self.refresh_paused_until = now.mono.saturating_add(window);
        (window, self.refresh_timeouts)
    }

    /// Ends a refresh that is deferred until `until` (monotonic).
    pub(crate) fn refresh_deferred(&mut self, fetch_id: FetchId, until: Duration) {
        self.clear_fetch(fetch_id);
        if let Some(cached) = &mut self.cached {
            cached.refresh_not_before = cached.refresh_not_before.max(until);
        }
    }

    fn clear_fetch(&mut self, fetch_id: FetchId) {
        if self.fetch_id == Some(fetch_id) {
            self.fetch_id = None;
        }
    }

    /// Drops the token of this generation, to which the API responded 401. Returns whether it was
    /// the cached one.
    pub(crate) fn reject(&mut self, generation: u64, now: ClockTime) -> bool {
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
        // An API that rejects every new token must not use up the rate limit of the token endpoint.
        if self.rejections > MAX_UNPENALIZED_REJECTIONS {
            let window = exponential(
                INITIAL_AUTH_FAILURE_WINDOW,
                self.rejections - MAX_UNPENALIZED_REJECTIONS,
                MAX_AUTH_FAILURE_WINDOW,
            );
            self.suspend_until(now.mono.saturating_add(window), tokens_rejected());
        }
        true
    }

    /// Drops the cached token.
    pub(crate) fn forget(&mut self) {
        self.cached = None;
    }

    /// Clears a rejection of the credentials, so that the next caller sends a token request.
    pub(crate) fn clear_auth_failure(&mut self, now: ClockTime) {
        self.auth_failures_cleared_at = now.wall_millis();
        self.auth_failures = 0;
        self.refresh_timeouts = 0;
        self.refresh_paused_until = Duration::ZERO;
        self.rejections = 0;
        self.suspensions
            .retain(|suspension| suspension.kind != SuspensionKind::Rejected);
    }

    /// Returns the number of consecutive rejections of the credentials.
    pub(crate) fn auth_failures(&self) -> u32 {
        self.auth_failures
    }

    /// Returns the highest token generation seen.
    pub(crate) fn max_generation(&self) -> u64 {
        self.max_generation
    }

    /// Returns the generation of a token that is issued now; `stored` is the highest one in a
    /// store.
    ///
    /// Milliseconds since 1970, or one more than the highest generation seen: generations grow
    /// across processes, and even if a store lost its records.
    pub(crate) fn next_generation(&self, stored: u64, now: ClockTime) -> u64 {
        self.max_generation
            .max(stored)
            .saturating_add(1)
            .max(now.wall_millis())
    }

    /// Returns the state of a forked child: the token and the suspensions, without the parent's
    /// in-flight request.
    pub(crate) fn inherited(&self) -> TokenState {
        TokenState {
            cached: self.cached.clone(),
            suspensions: self.suspensions.clone(),
            max_generation: self.max_generation,
            auth_failures: self.auth_failures,
            refresh_timeouts: self.refresh_timeouts,
            refresh_paused_until: self.refresh_paused_until,
            auth_failures_cleared_at: self.auth_failures_cleared_at,
            consecutive_failures: self.consecutive_failures,
            rejections: self.rejections,
            last_rejection_at: self.last_rejection_at,
            ..TokenState::default()
        }
    }

    pub(crate) fn status(&self, now: ClockTime) -> TokenStatus {
        let suspension = self.longest_suspension(now);
        match (&self.cached, suspension.map(|suspension| suspension.kind)) {
            (Some(cached), _) if cached.is_valid(now) && !cached.needs_refresh(now) => {
                TokenStatus::Fresh
            }
            (Some(cached), _) if cached.is_valid(now) => TokenStatus::NeedsRefresh,
            _ if self.fetch_id.is_some() => TokenStatus::Fetching,
            (_, Some(SuspensionKind::Rejected)) => TokenStatus::CredentialsRejected,
            (_, Some(SuspensionKind::EndpointUnavailable(_))) => TokenStatus::Backoff,
            (Some(_), None) => TokenStatus::Expired,
            (None, None) => TokenStatus::Empty,
        }
    }

    /// Returns the number of times that a cached token was returned.
    pub(crate) fn cache_hits(&self) -> u64 {
        self.cache_hits
    }

    /// Returns the time until the token expires, and until it is due for refresh.
    pub(crate) fn token_remaining(&self, now: ClockTime) -> Option<(Duration, Duration)> {
        let cached = self.cached.as_ref().filter(|cached| cached.is_valid(now))?;
        Some((
            cached.expires.remaining(now),
            cached.refresh_at.remaining(now),
        ))
    }

    /// Returns how long no token request may be sent, and the error that caused it.
    pub(crate) fn suspended_for(&self, now: ClockTime) -> Option<(Duration, &Error)> {
        let suspension = self.longest_suspension(now)?;
        let left = suspension.until.saturating_sub(now.mono);
        Some((left, &suspension.error))
    }

    fn longest_suspension(&self, now: ClockTime) -> Option<&FetchSuspension> {
        let pending = self.suspensions.iter().filter(|it| it.until > now.mono);
        pending.max_by_key(|it| it.until)
    }

    /// Returns the last transient failure if it happened since this caller arrived.
    pub(crate) fn failure_since(&self, waiter: &WaiterState) -> Option<Error> {
        let suspension = self.suspension_of(waiter)?;
        (suspension.kind != SuspensionKind::Rejected
            && waiter.failures.is_some_and(|before| self.failures > before))
        .then(|| suspension.error.clone())
    }

    /// Returns whether the state can be dropped without losing anything.
    pub(crate) fn is_idle(&self, now: ClockTime) -> bool {
        self.fetch_id.is_none()
            && matches!(self.status(now), TokenStatus::Empty | TokenStatus::Expired)
    }
}

/// Returns the error of a caller whose deadline is before the next permit.
pub(crate) fn rate_limited(wait: Duration) -> Error {
    Error::new(
        ErrorKind::RateLimited,
        Stage::Token,
        Outcome::NotSent,
        "token request not sent: the rate limit allows the next one only after this call's \
         deadline",
    )
    .with_retry_after(Some(wait))
}

fn tokens_rejected() -> Error {
    Error::new(
        ErrorKind::Authentication,
        Stage::Token,
        Outcome::NotSent,
        "access token: the API rejected several new tokens in a row; check that the audience \
         matches the base URL",
    )
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::secret::Secret;

    const START: ClockTime = ClockTime {
        mono: Duration::from_secs(1_000),
        wall: Duration::from_secs(1_780_000_000),
    };
    const SETTINGS: ConnectionSettings = ConnectionSettings(0);
    const UNLIMITED: WaitLimits = WaitLimits {
        deadline: Duration::MAX,
        permit_at: Duration::ZERO,
    };

    fn at(seconds: u64) -> ClockTime {
        START.after(Duration::from_secs(seconds))
    }

    fn within(deadline: ClockTime) -> WaitLimits {
        WaitLimits {
            deadline: deadline.mono,
            permit_at: Duration::ZERO,
        }
    }

    fn token(generation: u64) -> Token {
        Token::new(&Secret::from("t"), UNIX_EPOCH, generation).unwrap()
    }

    fn cached(generation: u64, life: u64, now: ClockTime) -> CachedToken {
        let life = Duration::from_secs(life);
        CachedToken::new(token(generation), life, life, now, 0.0)
    }

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, Stage::Token, Outcome::NotSent, "failed by the test")
    }

    fn next_step(token_state: &mut TokenState, now: ClockTime) -> NextStep {
        token_state.next_step(now, UNLIMITED, &mut WaiterState::default())
    }

    #[track_caller]
    fn start_fetch(token_state: &mut TokenState, now: ClockTime) -> FetchId {
        match next_step(token_state, now) {
            NextStep::Fetch(fetch_id) => fetch_id,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn uses(token_state: &mut TokenState, now: ClockTime) -> u64 {
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

    fn fresh_token(token_state: &mut TokenState, now: ClockTime) -> Option<Token> {
        token_state.fresh(now.mono, || now.wall)
    }

    /// Returns a token state with a token issued at the start, valid for an hour.
    fn fresh() -> TokenState {
        let mut token_state = TokenState::default();
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.fetch_succeeded(fetch_id, cached(1, 3600, START));
        token_state
    }

    #[test]
    fn next_step_lets_one_caller_fetch_while_others_wait() {
        let mut token_state = TokenState::default();
        let fetch_id = start_fetch(&mut token_state, START);
        assert!(matches!(
            next_step(&mut token_state, START),
            NextStep::Wait(None)
        ));
        assert_eq!(token_state.status(START), TokenStatus::Fetching);
        token_state.fetch_succeeded(fetch_id, cached(1, 3600, START));
        assert_eq!(uses(&mut token_state, START), 1);
        assert_eq!(token_state.status(START), TokenStatus::Fresh);
    }

    #[test]
    fn next_step_uses_a_due_token_while_one_caller_refreshes() {
        let mut token_state = fresh();
        let due = at(3600 - 720);
        assert!(fresh_token(&mut token_state, at(3600 - 721)).is_some());
        assert!(fresh_token(&mut token_state, due).is_none());
        let NextStep::Refresh(fetch_id, token) = next_step(&mut token_state, due) else {
            panic!()
        };
        assert_eq!(token.generation(), 1);
        assert_eq!(uses(&mut token_state, due), 1);
        token_state.fetch_succeeded(fetch_id, cached(2, 3600, due));
        assert_eq!(uses(&mut token_state, due), 2);
    }

    #[test]
    fn failed_refresh_keeps_the_token_and_backs_off() {
        let mut token_state = fresh();
        let mut now = at(3000);
        for backoff in [1, 2, 4, 8] {
            let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, now) else {
                panic!()
            };
            token_state.fetch_failed(fetch_id, now, SETTINGS, error(ErrorKind::Network), 0.0);
            now = now.after(Duration::from_secs(backoff) - Duration::from_millis(1));
            assert_eq!(uses(&mut token_state, now), 1);
            now = now.after(Duration::from_millis(1));
        }
        let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, now) else {
            panic!()
        };
        token_state.fetch_rejected(fetch_id, now, error(ErrorKind::Authentication), 0);
        assert_eq!(
            uses(&mut token_state, now.after(Duration::from_secs(29))),
            1
        );
        // Once it has expired, callers get the error of the suspension.
        let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, at(3590)) else {
            panic!()
        };
        token_state.fetch_rejected(fetch_id, at(3590), error(ErrorKind::Authentication), 0);
        let error = fails(next_step(&mut token_state, at(3600)));
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(50)));
    }

    #[test]
    fn token_expires_on_either_clock() {
        for jump in [
            ClockTime {
                mono: at(3600).mono,
                wall: START.wall,
            },
            ClockTime {
                mono: START.mono,
                wall: at(3600).wall,
            },
            ClockTime {
                mono: at(3600).mono,
                wall: Duration::ZERO,
            },
        ] {
            let mut token_state = fresh();
            assert!(fresh_token(&mut token_state, jump).is_none());
            start_fetch(&mut token_state, jump);
        }
        let mut token_state = fresh();
        assert!(token_state.fresh(at(60).mono, || Duration::ZERO).is_some());
    }

    #[test]
    fn fresh_reads_the_wall_clock_when_the_monotonic_clock_has_advanced() {
        let mut token_state = fresh();
        assert!(fresh_token(&mut token_state, START).is_some());
        let unread = || panic!("the wall clock was read");
        assert!(token_state.fresh(START.mono, unread).is_some());
        let later = START.mono + Duration::from_millis(4);
        assert!(token_state.fresh(later, || at(3600).wall).is_none());
        assert!(token_state.fresh(later, || at(3600).wall).is_none());
    }

    #[test]
    fn next_step_fails_until_the_rejection_window_ends() {
        let mut token_state = TokenState::default();
        let mut now = START;
        for window in [30, 60, 120, 240, 480, 900, 900] {
            let fetch_id = start_fetch(&mut token_state, now);
            token_state.fetch_rejected(fetch_id, now, error(ErrorKind::Authentication), 0);
            let first = fails(next_step(&mut token_state, now));
            assert_eq!(first.retry_after(), Some(Duration::from_secs(window)));
            now = now.after(Duration::from_secs(window - 1));
            let last = fails(next_step(&mut token_state, now));
            assert_eq!(last.retry_after(), Some(Duration::from_secs(1)));
            assert_eq!(last.message(), first.message());
            now = now.after(Duration::from_secs(1));
        }
        let fetch_id = start_fetch(&mut token_state, now);
        token_state.fetch_rejected(fetch_id, now, error(ErrorKind::Authentication), 0);
        token_state.clear_auth_failure(now);
        let fetch_id = start_fetch(&mut token_state, now);
        token_state.fetch_rejected(fetch_id, now, error(ErrorKind::Authentication), 0);
        let again = fails(next_step(&mut token_state, now));
        assert_eq!(again.retry_after(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn next_step_waits_when_backoff_ends_before_deadline() {
        let mut token_state = TokenState::default();
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.fetch_failed(fetch_id, START, SETTINGS, error(ErrorKind::Network), 0.0);
        let mut caller = WaiterState::default();
        let step = token_state.next_step(START, within(at(1)), &mut caller);
        assert!(
            matches!(step, NextStep::Wait(Some(until)) if until == at(1).mono),
            "{step:?}"
        );
        let hurried = WaitLimits {
            deadline: START.mono,
            permit_at: Duration::ZERO,
        };
        let error = fails(token_state.next_step(START, hurried, &mut WaiterState::default()));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
        let step = token_state.next_step(at(1), within(at(1)), &mut caller);
        assert!(matches!(step, NextStep::Fetch(_)), "{step:?}");
    }

    #[test]
    fn next_step_fails_after_three_transient_failures() {
        let mut token_state = TokenState::default();
        let mut caller = WaiterState::default();
        let mut now = START;
        for backoff in [1, 2, 4] {
            let NextStep::Fetch(fetch_id) = token_state.next_step(now, UNLIMITED, &mut caller)
            else {
                panic!()
            };
            token_state.fetch_failed(fetch_id, now, SETTINGS, error(ErrorKind::Network), 0.0);
            now = now.after(Duration::from_secs(backoff));
        }
        assert_eq!(
            fails(token_state.next_step(now, UNLIMITED, &mut caller)).kind(),
            ErrorKind::Network
        );
        start_fetch(&mut token_state, now);
    }

    #[test]
    fn backoff_applies_to_callers_with_the_same_connection_settings() {
        let other = ConnectionSettings(1);
        let mut token_state = TokenState::default();
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.fetch_failed(fetch_id, START, other, error(ErrorKind::Network), 0.0);
        let mut same = WaiterState::new(other);
        let step = token_state.next_step(START, UNLIMITED, &mut same);
        assert!(matches!(step, NextStep::Wait(Some(until)) if until == at(1).mono));
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.fetch_rejected(fetch_id, START, error(ErrorKind::Config), 0);
        let step = token_state.next_step(START, UNLIMITED, &mut same);
        assert_eq!(fails(step).kind(), ErrorKind::Config);

        // The failure of one does not end the backoff of the other.
        let mut token_state = TokenState::default();
        let unavailable =
            error(ErrorKind::Service).with_retry_after(Some(Duration::from_secs(120)));
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.fetch_failed(fetch_id, START, other, unavailable, 0.0);
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.fetch_failed(fetch_id, START, SETTINGS, error(ErrorKind::Network), 0.0);
        for (settings, seconds) in [(other, 121), (SETTINGS, 2)] {
            let mut waiter = WaiterState::new(settings);
            let step = token_state.next_step(START, UNLIMITED, &mut waiter);
            assert!(matches!(step, NextStep::Wait(Some(until)) if until == at(seconds).mono));
        }

        // A token that is due for refresh.
        let mut token_state = fresh();
        let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, at(3000)) else {
            panic!()
        };
        token_state.fetch_failed(fetch_id, at(3000), other, error(ErrorKind::Network), 0.0);
        let step = token_state.next_step(at(3000), UNLIMITED, &mut WaiterState::new(other));
        assert!(matches!(step, NextStep::Use(_)));
        let step = next_step(&mut token_state, at(3000));
        assert!(matches!(step, NextStep::Refresh(..)));
    }

    #[test]
    fn backoff_begins_after_retry_after_up_to_its_maximum() {
        for (retry_after, left) in [(0, 1), (2, 3), (120, 121), (3600, 601)] {
            let mut token_state = TokenState::default();
            let fetch_id = start_fetch(&mut token_state, START);
            let retry_after = Some(Duration::from_secs(retry_after));
            let unavailable = error(ErrorKind::Service).with_retry_after(retry_after);
            token_state.fetch_failed(fetch_id, START, SETTINGS, unavailable, 0.0);
            let (suspended, _) = token_state.suspended_for(START).unwrap();
            assert_eq!(suspended, Duration::from_secs(left));
        }
    }

    #[test]
    fn failure_since_is_a_transient_failure_after_the_arrival() {
        let mut token_state = TokenState::default();
        let mut waiter = WaiterState::default();
        assert!(token_state.failure_since(&waiter).is_none());
        let step = token_state.next_step(START, UNLIMITED, &mut waiter);
        let NextStep::Fetch(fetch_id) = step else {
            panic!("{step:?}")
        };
        assert!(token_state.failure_since(&waiter).is_none());
        token_state.fetch_failed(fetch_id, START, SETTINGS, error(ErrorKind::Network), 0.0);
        let failure = token_state.failure_since(&waiter).unwrap();
        assert_eq!(failure.kind(), ErrorKind::Network);
        // One that arrives later did not see it.
        let mut later = WaiterState::default();
        token_state.next_step(START, UNLIMITED, &mut later);
        assert!(token_state.failure_since(&later).is_none());
    }

    #[test]
    fn next_step_fails_when_permit_is_after_deadline() {
        let mut token_state = TokenState::default();
        let hurried = WaitLimits {
            deadline: at(5).mono,
            permit_at: at(60).mono,
        };
        let error = fails(token_state.next_step(START, hurried, &mut WaiterState::default()));
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
        let just_in_time = WaitLimits {
            permit_at: hurried.deadline,
            ..hurried
        };
        let step =
            TokenState::default().next_step(START, just_in_time, &mut WaiterState::default());
        assert!(matches!(step, NextStep::Fetch(_)), "{step:?}");
        // Nor is the permit of an in-flight request.
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.expect_permit(fetch_id, at(20).mono);
        let error = fails(token_state.next_step(START, within(at(5)), &mut WaiterState::default()));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(20)));
        assert!(matches!(
            next_step(&mut token_state, START),
            NextStep::Wait(None)
        ));
    }

    #[test]
    fn reject_drops_only_the_token_of_its_generation() {
        let mut token_state = fresh();
        assert!(!token_state.reject(2, START));
        assert_eq!(uses(&mut token_state, START), 1);
        assert!(token_state.reject(1, START));
        assert!(!token_state.reject(1, START));
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.fetch_succeeded(fetch_id, cached(2, 3600, START));
        assert!(!token_state.reject(1, START));
        assert_eq!(uses(&mut token_state, START), 2);
    }

    #[test]
    fn fetch_succeeded_ignores_an_older_generation() {
        let mut token_state = fresh();
        let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, at(3000)) else {
            panic!()
        };
        token_state.fetch_succeeded(fetch_id, cached(5, 3600, at(3000)));
        let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, at(6000)) else {
            panic!()
        };
        token_state.fetch_succeeded(fetch_id, cached(4, 3600, at(6000)));
        assert!(
            matches!(next_step(&mut token_state, at(6000)), NextStep::Refresh(_, token) if token.generation() == 5)
        );
    }

    #[test]
    fn next_generation_grows_when_the_clock_is_set_back() {
        let mut token_state = fresh();
        let first = token_state.next_generation(0, START);
        assert_eq!(first, 1_780_000_000_000);
        token_state.max_generation = first;
        assert_eq!(
            token_state.next_generation(
                0,
                ClockTime {
                    wall: Duration::ZERO,
                    ..START
                }
            ),
            first + 1
        );
        assert_eq!(token_state.next_generation(first + 7, START), first + 8);
    }

    #[test]
    fn reject_suspends_fetches_after_four_new_tokens() {
        let mut token_state = TokenState::default();
        for generation in 1..=4 {
            let fetch_id = start_fetch(&mut token_state, START);
            token_state.fetch_succeeded(fetch_id, cached(generation, 3600, START));
            assert!(token_state.reject(generation, START));
        }
        let error = fails(next_step(&mut token_state, START));
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
        start_fetch(&mut token_state, at(30));
    }

    #[test]
    fn reject_does_not_suspend_after_accepted_tokens() {
        let mut token_state = TokenState::default();
        for generation in 1..=20 {
            let fetch_id = start_fetch(&mut token_state, START);
            token_state.fetch_succeeded(fetch_id, cached(generation, 3600, START));
            match next_step(&mut token_state, START) {
                NextStep::Use(token) => token.accepted(),
                other => panic!("{other:?}"),
            }
            assert!(token_state.reject(generation, START));
        }
    }

    #[test]
    fn fetch_abandoned_lets_another_caller_fetch() {
        let mut token_state = TokenState::default();
        let first = start_fetch(&mut token_state, START);
        token_state.fetch_abandoned(first);
        let second = start_fetch(&mut token_state, START);
        // A request that has ended has no effect.
        token_state.fetch_abandoned(first);
        assert!(matches!(
            next_step(&mut token_state, START),
            NextStep::Wait(None)
        ));
        token_state.fetch_succeeded(second, cached(1, 3600, START));
        assert_eq!(uses(&mut token_state, START), 1);
    }

    #[test]
    fn refresh_deferred_delays_the_next_refresh() {
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
    fn inherited_keeps_the_token_without_the_fetch() {
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
    fn forget_makes_the_next_caller_fetch() {
        let mut token_state = fresh();
        token_state.forget();
        assert_eq!(token_state.status(START), TokenStatus::Empty);
        assert!(token_state.is_idle(START));
        start_fetch(&mut token_state, START);
    }

    #[test]
    fn cache_hits_counts_every_use_of_a_token() {
        let mut token_state = fresh();
        assert_eq!(token_state.cache_hits(), 0);
        assert!(fresh_token(&mut token_state, START).is_some());
        assert!(fresh_token(&mut token_state, START).is_some());
        uses(&mut token_state, START);
        assert_eq!(token_state.cache_hits(), 3);
    }

    #[test]
    fn waits_that_end_exactly_at_the_deadline_are_allowed() {
        let mut token_state = TokenState::default();
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.expect_permit(fetch_id, at(5).mono);
        let mut next = |deadline| {
            let waiter = &mut WaiterState::default();
            token_state.next_step(START, within(deadline), waiter)
        };
        assert!(matches!(next(at(5)), NextStep::Wait(None)));
        assert_eq!(
            fails(next(at(4))).retry_after(),
            Some(Duration::from_secs(5))
        );
        token_state.fetch_failed(fetch_id, START, SETTINGS, error(ErrorKind::Network), 0.0);
        let step = token_state.next_step(START, within(at(1)), &mut WaiterState::default());
        assert!(matches!(step, NextStep::Wait(Some(until)) if until == at(1).mono));
    }

    #[test]
    fn fetch_succeeded_ignores_a_token_of_a_generation_that_was_rejected() {
        let mut token_state = fresh();
        assert_eq!(token_state.max_generation(), 1);
        assert!(token_state.reject(1, START));
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.fetch_succeeded(fetch_id, cached(1, 3600, START));
        assert!(fresh_token(&mut token_state, START).is_none());
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.fetch_succeeded(fetch_id, cached(7, 3600, START));
        assert_eq!(token_state.max_generation(), 7);
    }

    #[test]
    fn auth_failure_loaded_suspends_fetches_for_the_time_that_is_left() {
        let mut token_state = TokenState::default();
        let fetch_id = start_fetch(&mut token_state, START);
        let left = Duration::from_secs(10);
        let until = START.mono + left;
        token_state.auth_failure_loaded(fetch_id, until, 3, error(ErrorKind::Authentication));
        assert_eq!(token_state.auth_failures(), 3);
        assert_eq!(
            token_state.suspended_for(START).map(|(left, _)| left),
            Some(left)
        );
        assert_eq!(token_state.status(START), TokenStatus::CredentialsRejected);
        let error = fails(next_step(&mut token_state, at(4)));
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(6)));
        assert!(token_state.suspended_for(at(10)).is_none());
        start_fetch(&mut token_state, at(10));
    }

    #[test]
    fn clear_auth_failure_makes_earlier_rejections_outdated() {
        let mut token_state = TokenState::default();
        assert!(token_state.is_failure_current(0));
        token_state.clear_auth_failure(START);
        assert!(token_state.is_failure_current(START.wall_millis()));
        assert!(!token_state.is_failure_current(START.wall_millis() - 1));
    }

    #[test]
    fn jitter_shortens_the_backoff_by_a_quarter_at_most() {
        let mut token_state = TokenState::default();
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.fetch_failed(fetch_id, START, SETTINGS, error(ErrorKind::Network), 1.0);
        assert_eq!(token_state.status(START), TokenStatus::Backoff);
        let left = token_state.suspended_for(START).map(|(left, _)| left);
        assert_eq!(left, Some(Duration::from_millis(750)));
    }

    #[test]
    fn refresh_timed_out_pauses_refreshes_with_a_window_that_doubles() {
        let mut token_state = fresh();
        let mut now = at(3000);
        for (before, seconds, count) in [(0, 30, 1), (0, 60, 2), (4, 480, 5)] {
            let NextStep::Refresh(fetch_id, _) = next_step(&mut token_state, now) else {
                panic!()
            };
            let window = Duration::from_secs(seconds);
            let paused = token_state.refresh_timed_out(fetch_id, now, before);
            assert_eq!(paused, (window, count));
            uses(
                &mut token_state,
                now.after(window - Duration::from_millis(1)),
            );
            now = now.after(window);
        }
    }

    #[test]
    fn reject_doubles_its_window_and_forgets_rejections_after_another_window() {
        let rejects_until = |token_state: &mut TokenState, generation, now: ClockTime| {
            let fetch_id = start_fetch(token_state, now);
            token_state.fetch_succeeded(fetch_id, cached(generation, 3600, now));
            assert!(token_state.reject(generation, now));
            token_state
                .suspended_for(now)
                .map(|(left, _)| left.as_secs())
        };
        let mut token_state = TokenState::default();
        for generation in 1..=3 {
            assert_eq!(rejects_until(&mut token_state, generation, START), None);
        }
        assert_eq!(rejects_until(&mut token_state, 4, START), Some(30));
        assert_eq!(rejects_until(&mut token_state, 5, at(30)), Some(60));
        assert_eq!(rejects_until(&mut token_state, 6, at(90)), Some(120));
        assert_eq!(rejects_until(&mut token_state, 7, at(90 + 900)), None);
    }

    #[test]
    fn inherited_has_token_and_suspensions_without_the_request() {
        let mut parent = fresh();
        for generation in 2..=4 {
            assert!(parent.reject(generation - 1, at(1)));
            let fetch_id = start_fetch(&mut parent, at(1));
            parent.fetch_succeeded(fetch_id, cached(generation, 3600, at(1)));
        }
        assert!(parent.reject(4, at(1)));
        let mut child = parent.inherited();
        assert_eq!(child.max_generation(), 4);
        let left = child.suspended_for(at(1)).map(|(left, _)| left);
        assert_eq!(left, Some(Duration::from_secs(30)));
        // The child counts the rejections of its parent.
        let fetch_id = start_fetch(&mut child, at(31));
        assert_eq!(child.status(at(31)), TokenStatus::Fetching);
        assert_eq!(child.inherited().status(at(31)), TokenStatus::Empty);
        child.fetch_succeeded(fetch_id, cached(5, 3600, at(31)));
        assert!(child.reject(5, at(31)));
        let left = child.suspended_for(at(31)).map(|(left, _)| left);
        assert_eq!(left, Some(Duration::from_secs(60)));

        let mut parent = fresh();
        assert_eq!(uses(&mut parent.inherited(), START), 1);
        parent.clear_auth_failure(START);
        assert!(
            !parent
                .inherited()
                .is_failure_current(START.wall_millis() - 1)
        );
        let NextStep::Refresh(fetch_id, _) = next_step(&mut parent, at(3000)) else {
            panic!()
        };
        parent.refresh_timed_out(fetch_id, at(3000), 0);
        let mut child = parent.inherited();
        uses(&mut child, at(3029));
        let NextStep::Refresh(fetch_id, _) = next_step(&mut child, at(3030)) else {
            panic!()
        };
        let paused = child.refresh_timed_out(fetch_id, at(3030), 0);
        assert_eq!(paused, (Duration::from_secs(60), 2));

        let mut parent = TokenState::default();
        let fetch_id = start_fetch(&mut parent, START);
        parent.fetch_rejected(fetch_id, START, error(ErrorKind::Authentication), 0);
        assert_eq!(parent.inherited().auth_failures(), 1);
        let mut parent = TokenState::default();
        let fetch_id = start_fetch(&mut parent, START);
        parent.fetch_failed(fetch_id, START, SETTINGS, error(ErrorKind::Network), 0.0);
        let mut child = parent.inherited();
        let fetch_id = start_fetch(&mut child, at(1));
        child.fetch_failed(fetch_id, at(1), SETTINGS, error(ErrorKind::Network), 0.0);
        let left = child.suspended_for(at(1)).map(|(left, _)| left);
        assert_eq!(left, Some(Duration::from_secs(2)));
    }

    #[test]
    fn status_and_remaining_times_follow_the_life_of_a_token() {
        let mut token_state = TokenState::default();
        assert_eq!(token_state.status(START), TokenStatus::Empty);
        assert!(token_state.is_idle(START));
        assert_eq!(token_state.token_remaining(START), None);
        let fetch_id = start_fetch(&mut token_state, START);
        assert!(!token_state.is_idle(START));
        token_state.fetch_succeeded(fetch_id, cached(1, 3600, START));
        let seconds = Duration::from_secs;
        for (now, status, is_idle, remaining) in [
            (
                at(0),
                TokenStatus::Fresh,
                false,
                Some((seconds(3595), seconds(2880))),
            ),
            (
                at(2879),
                TokenStatus::Fresh,
                false,
                Some((seconds(716), seconds(1))),
            ),
            (
                at(2880),
                TokenStatus::NeedsRefresh,
                false,
                Some((seconds(715), seconds(0))),
            ),
            (
                at(3594),
                TokenStatus::NeedsRefresh,
                false,
                Some((seconds(1), seconds(0))),
            ),
            (at(3595), TokenStatus::Expired, true, None),
        ] {
            assert_eq!(token_state.status(now), status, "{now:?}");
            assert_eq!(token_state.is_idle(now), is_idle, "{now:?}");
            assert_eq!(token_state.token_remaining(now), remaining, "{now:?}");
        }
        let mut token_state = TokenState::default();
        let fetch_id = start_fetch(&mut token_state, START);
        token_state.fetch_rejected(fetch_id, START, error(ErrorKind::Authentication), 0);
        assert_eq!(token_state.status(at(29)), TokenStatus::CredentialsRejected);
        assert!(!token_state.is_idle(at(29)));
        assert_eq!(token_state.status(at(30)), TokenStatus::Empty);
    }
}
