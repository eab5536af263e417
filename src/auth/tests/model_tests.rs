//! Model-based tests: random histories of events for the token state, the rate limiter and the
//! cache, compared with independent models of their rules.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::test_support::{MEMORY, MemoryStore, RespondToTokenRequest, call, failure, request};
use crate::auth::cache::{Cache, TokenCacheHandle};
use crate::auth::rate_limit_record::{MAX_BLOCK, RateLimitRecord};
use crate::auth::rate_limiter::{MIN_REQUEST_INTERVAL, MergedState, QueueTicket, RateLimiter};
use crate::auth::time::{Clock, ClockTime, ManualClock};
use crate::auth::token::Token;
use crate::auth::token_state::{
    CachedToken, FetchId, NextStep, TokenState, WaitLimits, WaiterState,
};
use crate::auth::{ConnectionSettings, FetchError, TokenErrorKind, TokenRequest, TokenResponse};
use crate::call::CallContext;
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::secret::Secret;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        // Failures are printed only; no file is written into the source tree.
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..ProptestConfig::default()
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn error(kind: ErrorKind) -> Error {
    Error::new(
        kind,
        Stage::Token,
        Outcome::NotSent,
        "failed by the history",
    )
}

/// A change of the clocks.
#[derive(Debug, Clone, Copy)]
enum Tick {
    /// Both advance, by milliseconds.
    Both(u64),
    /// The wall clock is set, or advances while the machine sleeps.
    Wall(i64),
}

fn tick() -> impl Strategy<Value = Tick> {
    prop_oneof![
        4 => (0..3_000u64).prop_map(Tick::Both),
        4 => (0..400_000u64).prop_map(Tick::Both),
        1 => (0..100_000_000u64).prop_map(Tick::Both),
        1 => (-10_000_000..10_000_000i64).prop_map(Tick::Wall),
    ]
}

// Token state.

/// An event of a token state.
#[derive(Debug, Clone, Copy)]
enum Event {
    Tick(Tick),
    /// A caller with this deadline calls `next_step`, while the next permit is this far away
    /// (seconds); the same caller as before, or a new one.
    NextStep {
        deadline_in: u64,
        permit_in: u64,
        new: bool,
        settings: u64,
    },
    /// The in-flight request gets a token with this lifetime in seconds.
    Succeed(u64),
    /// The in-flight request of a client with these connection settings fails.
    Fail(u64),
    /// The endpoint rejects the credentials, or the request.
    Reject(ErrorKind),
    Abandon,
    Defer(u64),
    /// A refresh gets no response.
    TimeOut,
    /// The API rejects the cached token, or an older one.
    RejectToken {
        current: bool,
    },
    Accept,
    Forget,
    Retry,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => tick().prop_map(Event::Tick),
        10 => (0..100u64, 0..3u64, any::<bool>(), 0..2u64).prop_map(
            |(deadline_in, permit_in, new, settings)| {
                Event::NextStep { deadline_in, permit_in: permit_in * 30, new, settings }
            },
        ),
        5 => prop_oneof![1..10u64, 1..5_000u64, 1..200_000u64].prop_map(Event::Succeed),
        2 => (0..2u64).prop_map(Event::Fail),
        1 => Just(Event::Reject(ErrorKind::Authentication)),
        1 => Just(Event::Reject(ErrorKind::Config)),
        1 => Just(Event::Abandon),
        1 => (0..5u64).prop_map(Event::Defer),
        1 => Just(Event::TimeOut),
        2 => any::<bool>().prop_map(|current| Event::RejectToken { current }),
        1 => Just(Event::Accept),
        1 => Just(Event::Forget),
        1 => Just(Event::Retry),
    ]
}

/// A token in the model: all times in milliseconds, on both clocks.
#[derive(Debug, Clone, Copy)]
struct Issued {
    generation: u64,
    at: [u64; 2],
    due_after: u64,
    expires_after: u64,
    not_refreshed_before: u64,
    accepted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cause {
    RequestRejected(ErrorKind),
    /// With these connection settings.
    Outage(u64),
    TokensRejected,
}

/// The rules of a token state.
#[derive(Debug, Default)]
struct TokenStateModel {
    token: Option<Issued>,
    generations: u64,
    fetching: bool,
    suspended: Vec<(Cause, u64)>,
    credential_rejections: u32,
    timed_out: u32,
    paused_until: u64,
    failed: u32,
    failures: u64,
    rejected: u32,
    last_rejection_at: u64,
    /// Number of failures when the current caller arrived, and its connection settings.
    caller: Option<u64>,
    settings: u64,
}

#[derive(Debug, PartialEq)]
enum Expected {
    Use(u64),
    Refresh(u64),
    Fetch,
    Wait,
    Fail(ErrorKind),
}

impl TokenStateModel {
    fn passed(token: &Issued, now: [u64; 2], after: u64) -> bool {
        (0..2).any(|clock| now[clock] >= token.at[clock] + after)
    }

    fn next_step(&mut self, now: [u64; 2], deadline: u64, permit_in: u64) -> Expected {
        let mono = now[0];
        let settings = self.settings;
        let applies = |cause: &Cause| match cause {
            Cause::Outage(with) => *with == settings,
            _ => true,
        };
        let suspended = self.suspended.iter().find(|(cause, _)| applies(cause));
        let suspended = suspended.copied();
        if let Some(token) = &self.token
            && !Self::passed(token, now, token.expires_after)
        {
            let suspended = suspended.is_some_and(|(_, until)| until > mono);
            let refresh = Self::passed(token, now, token.due_after)
                && !suspended
                && !self.fetching
                && token.not_refreshed_before <= mono
                && self.paused_until <= mono;
            self.fetching |= refresh;
            let generation = token.generation;
            return match refresh {
                true => Expected::Refresh(generation),
                false => Expected::Use(generation),
            };
        }
        let first = *self.caller.get_or_insert(self.failures);
        if self.fetching {
            return Expected::Wait;
        }
        match suspended {
            Some((Cause::Outage(_), until)) => {
                if self.failures >= first + 3 || (until > mono && until > deadline) {
                    return Expected::Fail(ErrorKind::Network);
                }
                if until > mono {
                    return Expected::Wait;
                }
            }
            Some((cause, until)) if until > mono => {
                return Expected::Fail(match cause {
                    Cause::RequestRejected(kind) => kind,
                    _ => ErrorKind::Authentication,
                });
            }
            _ => {}
        }
        if permit_in > deadline {
            return Expected::Fail(ErrorKind::RateLimited);
        }
        self.fetching = true;
        Expected::Fetch
    }
}

fn doubled(first: u64, times: u32, longest: u64) -> u64 {
    (0..times.saturating_sub(1))
        .fold(first, |window, _| (window * 2).min(longest))
        .min(longest)
}

fn run_token_state(history: Vec<Event>) {
    let simulation = ManualClock::frozen();
    let mut token_state = TokenState::default();
    let mut model = TokenStateModel::default();
    let mut fetch_id: Option<FetchId> = None;
    let mut caller = WaiterState::default();
    for event in history {
        let now = simulation.now();
        let clocks = [now.mono.as_millis() as u64, now.wall_millis()];
        let mono = clocks[0];
        match event {
            Event::Tick(tick) => tick_clock(&simulation, tick),
            Event::NextStep {
                deadline_in,
                permit_in,
                new,
                settings,
            } => {
                if new {
                    caller = WaiterState::new(ConnectionSettings(settings));
                    model.caller = None;
                    model.settings = settings;
                }
                let limits = WaitLimits {
                    deadline: now.mono + seconds(deadline_in),
                    permit_at: now.mono + seconds(permit_in),
                };
                let expected =
                    model.next_step(clocks, mono + deadline_in * 1_000, mono + permit_in * 1_000);
                let step = token_state.next_step(now, limits, &mut caller);
                let got = match step {
                    NextStep::Use(token) => Expected::Use(token.generation()),
                    NextStep::Refresh(new, token) => {
                        assert!(
                            fetch_id.replace(new).is_none(),
                            "a second request in flight"
                        );
                        Expected::Refresh(token.generation())
                    }
                    NextStep::Fetch(new) => {
                        assert!(
                            fetch_id.replace(new).is_none(),
                            "a second request in flight"
                        );
                        Expected::Fetch
                    }
                    NextStep::Wait(_) => Expected::Wait,
                    NextStep::Fail(error) => {
                        assert!(error.retry_after().is_some());
                        Expected::Fail(error.kind())
                    }
                };
                assert_eq!(got, expected);
            }
            Event::Succeed(life) => {
                let Some(fetch_id) = fetch_id.take() else {
                    continue;
                };
                let generation = token_state.next_generation(0, now);
                assert!(generation > model.generations);
                let token = Token::new(&Secret::from("t"), UNIX_EPOCH, generation).unwrap();
                token_state.fetch_succeeded(
                    fetch_id,
                    CachedToken::new(token, seconds(life), seconds(life), now, 0.0),
                );
                let life = life * 1_000;
                let leeway = (life / 20).min(5_000);
                model = TokenStateModel {
                    token: Some(Issued {
                        generation,
                        at: clocks,
                        due_after: life - (life / 5).min(900_000).max(leeway),
                        expires_after: life - leeway,
                        not_refreshed_before: 0,
                        accepted: false,
                    }),
                    generations: generation,
                    fetching: false,
                    suspended: Vec::new(),
                    credential_rejections: 0,
                    timed_out: 0,
                    paused_until: 0,
                    failed: 0,
                    ..model
                };
            }
            Event::Fail(settings) => {
                let Some(fetch_id) = fetch_id.take() else {
                    continue;
                };
                token_state.fetch_failed(
                    fetch_id,
                    now,
                    ConnectionSettings(settings),
                    error(ErrorKind::Network),
                    0.0,
                );
                model.fetching = false;
                model.failures += 1;
                model.failed += 1;
                let until = mono + doubled(1_000, model.failed, 60_000);
                let is_other =
                    |cause: &Cause| matches!(cause, Cause::Outage(with) if *with != settings);
                model.suspended.retain(|(cause, _)| is_other(cause));
                model.suspended.push((Cause::Outage(settings), until));
            }
            Event::Reject(kind) => {
                let Some(fetch_id) = fetch_id.take() else {
                    continue;
                };
                token_state.fetch_rejected(fetch_id, now, error(kind), 0);
                model.fetching = false;
                model.credential_rejections += 1;
                let until = mono + doubled(30_000, model.credential_rejections, 900_000);
                model.suspended = vec![(Cause::RequestRejected(kind), until)];
            }
            Event::Abandon => {
                let Some(fetch_id) = fetch_id.take() else {
                    continue;
                };
                token_state.fetch_abandoned(fetch_id);
                model.fetching = false;
            }
            Event::Defer(delay) => {
                let Some(fetch_id) = fetch_id.take() else {
                    continue;
                };
                token_state.refresh_deferred(fetch_id, now.mono + seconds(delay));
                model.fetching = false;
                if let Some(token) = &mut model.token {
                    let until = mono + delay * 1_000;
                    token.not_refreshed_before = token.not_refreshed_before.max(until);
                }
            }
            Event::TimeOut => {
                let Some(fetch_id) = fetch_id.take() else {
                    continue;
                };
                model.timed_out = model.timed_out.max(model.credential_rejections) + 1;
                let window = doubled(30_000, model.timed_out, 900_000);
                let paused = token_state.refresh_timed_out(fetch_id, now, 0);
                assert_eq!(paused, (Duration::from_millis(window), model.timed_out));
                model.fetching = false;
                model.paused_until = mono + window;
            }
            Event::RejectToken { current } => {
                let Some(token) = model.token else { continue };
                let generation = token.generation - u64::from(!current);
                assert_eq!(token_state.reject(generation, now), current);
                if !current {
                    continue;
                }
                model.token = None;
                let worked = token.accepted || mono >= token.at[0] + 60_000;
                let related = mono < model.last_rejection_at + 900_000;
                model.rejected = match (worked, related) {
                    (true, _) => 0,
                    (false, true) => model.rejected + 1,
                    (false, false) => 1,
                };
                model.last_rejection_at = mono;
                if model.rejected > 3 {
                    let window = doubled(30_000, model.rejected - 3, 900_000);
                    model.suspended = vec![(Cause::TokensRejected, mono + window)];
                }
            }
            Event::Accept => {
                if let Some(token) = token_state.fresh(now.mono, || now.wall) {
                    token.accepted();
                    model.token.as_mut().unwrap().accepted = true;
                }
            }
            Event::Forget => {
                token_state.forget();
                model.token = None;
            }
            Event::Retry => {
                token_state.clear_auth_failure(now);
                model.credential_rejections = 0;
                model.timed_out = 0;
                model.paused_until = 0;
                model.rejected = 0;
                model
                    .suspended
                    .retain(|(cause, _)| matches!(cause, Cause::Outage(_)));
            }
        }
        let now = simulation.now();
        let clocks = [now.mono.as_millis() as u64, now.wall_millis()];
        let fresh = model
            .token
            .filter(|token| !TokenStateModel::passed(token, clocks, token.due_after));
        let got = token_state
            .fresh(now.mono, || now.wall)
            .map(|token| token.generation());
        assert_eq!(got, fresh.map(|token| token.generation));
    }
}

fn tick_clock(simulation: &ManualClock, tick: Tick) {
    match tick {
        Tick::Both(millis) => simulation.advance(Duration::from_millis(millis)),
        Tick::Wall(millis) => simulation.step_wall_clock(millis),
    }
}

// Rate limiter.

/// An event of a rate limiter that two processes share.
#[derive(Debug, Clone, Copy)]
enum RateLimiterEvent {
    Tick(u64),
    Jump(i64),
    Enqueue(usize),
    /// The caller at this place of the queue leaves.
    Dequeue(usize, usize),
    /// The caller at this place of the queue tries to send.
    Try(usize, usize),
    /// The last request of this process gets a response.
    Response(usize),
    Limited(usize, Option<u64>),
}

fn rate_limiter_event() -> impl Strategy<Value = RateLimiterEvent> {
    let process = 0..2usize;
    let place = 0..4usize;
    prop_oneof![
        6 => prop_oneof![0..500u64, 0..2_000u64, 0..200_000u64].prop_map(RateLimiterEvent::Tick),
        1 => (-5_000_000..5_000_000i64).prop_map(RateLimiterEvent::Jump),
        5 => process.clone().prop_map(RateLimiterEvent::Enqueue),
        1 => (process.clone(), place.clone()).prop_map(|(process, place)| {
            RateLimiterEvent::Dequeue(process, place)
        }),
        8 => (process.clone(), place).prop_map(|(process, place)| RateLimiterEvent::Try(process, place)),
        2 => process.clone().prop_map(RateLimiterEvent::Response),
        1 => (process, proptest::option::of(0..10_000u64)).prop_map(|(process, after)| {
            RateLimiterEvent::Limited(process, after)
        }),
    ]
}

fn run_rate_limiter(history: Vec<RateLimiterEvent>) {
    let simulation = ManualClock::frozen();
    let mut rate_limiters = [RateLimiter::default(), RateLimiter::default()];
    let mut merged = [MergedState::default(); 2];
    let mut queues: [Vec<QueueTicket>; 2] = Default::default();
    let mut threads = 0;
    let mut last_sent: [Option<ClockTime>; 2] = [None; 2];
    let mut shared = RateLimitRecord::default();
    // Invariants.
    let mut no_request_before = Duration::ZERO;
    let mut limited = 0u32;
    for event in history {
        let now = simulation.now();
        match event {
            RateLimiterEvent::Tick(millis) => simulation.advance(Duration::from_millis(millis)),
            RateLimiterEvent::Jump(millis) => {
                // Both merge the record before the clock is set: without that, they could convert
                // it only with a correct clock.
                for (rate_limiter, merged) in rate_limiters.iter_mut().zip(&mut merged) {
                    rate_limiter.merge(shared, merged, now);
                }
                simulation.step_wall_clock(millis);
            }
            RateLimiterEvent::Enqueue(process) => {
                threads += 1;
                queues[process].push(rate_limiters[process].enqueue(threads))
            }
            RateLimiterEvent::Dequeue(process, place) => {
                if place < queues[process].len() {
                    let ticket = queues[process].remove(place);
                    rate_limiters[process].dequeue(ticket);
                }
            }
            RateLimiterEvent::Try(process, place) => {
                let rate_limiter = &mut rate_limiters[process];
                let Some(ticket) = queues[process].get(place).copied() else {
                    continue;
                };
                rate_limiter.merge(shared, &mut merged[process], now);
                let permit_at = rate_limiter.permit_at(Some(ticket), now);
                let ahead = MIN_REQUEST_INTERVAL * place as u32;
                assert_eq!(
                    permit_at,
                    rate_limiter.next_allowed_at().max(now.mono) + ahead
                );
                if permit_at > now.mono {
                    // No caller waits without a reason, nor longer than the reason lasts.
                    assert!(place > 0 || no_request_before > now.mono);
                    assert!(permit_at <= no_request_before.max(now.mono) + ahead);
                    continue;
                }
                assert_eq!(place, 0, "first come, first served");
                assert!(now.mono >= no_request_before, "too early");
                rate_limiter.record_request(now);
                rate_limiter.dequeue(queues[process].remove(0));
                shared = rate_limiter.record(&mut merged[process], now);
                last_sent[process] = Some(now);
                no_request_before = no_request_before.max(now.mono + MIN_REQUEST_INTERVAL);
            }
            RateLimiterEvent::Response(process) => {
                let Some(sent) = last_sent[process].take() else {
                    continue;
                };
                let rate_limiter = &mut rate_limiters[process];
                rate_limiter.merge(shared, &mut merged[process], now);
                rate_limiter.response_received(sent, now);
                shared = rate_limiter.record(&mut merged[process], now);
                limited = 0;
                if now.mono - sent.mono < MIN_REQUEST_INTERVAL {
                    no_request_before = no_request_before.max(now.mono + MIN_REQUEST_INTERVAL);
                }
            }
            RateLimiterEvent::Limited(process, retry_after) => {
                if last_sent[process].take().is_none() {
                    continue;
                }
                let rate_limiter = &mut rate_limiters[process];
                rate_limiter.merge(shared, &mut merged[process], now);
                rate_limiter.rate_limited(now, retry_after.map(seconds), Duration::MAX, 0.0);
                shared = rate_limiter.record(&mut merged[process], now);
                limited += 1;
                let own = (60u64 << (limited - 1).min(10)).min(600);
                let block = seconds(own.max(retry_after.unwrap_or(0).min(3600)));
                assert!(block <= MAX_BLOCK);
                no_request_before = no_request_before.max(now.mono + block);
            }
        }
    }
}

// Cache, with its store.

/// An event of processes that share a store.
#[derive(Debug, Clone, Copy)]
enum StoreEvent {
    Tick(Tick),
    /// A process requests the token of one of its keys.
    Call(usize, usize),
    /// The API rejects the last token that a process got for a key.
    Reject(usize, usize),
    Forget(usize, usize),
    Retry(usize, usize),
    Endpoint(EndpointMode),
    /// The store fails from now on, or works again.
    Store(bool),
}

/// The responses of the token endpoint from now on.
#[derive(Debug, Clone, Copy)]
enum EndpointMode {
    /// Tokens with this lifetime in seconds.
    Tokens(u64),
    Down,
    BadCredentials,
    BadRequest,
    Limited,
}

fn store_event() -> impl Strategy<Value = StoreEvent> {
    let key = || (0..2usize, 0..2usize);
    prop_oneof![
        6 => tick().prop_map(StoreEvent::Tick),
        12 => key().prop_map(|(process, key)| StoreEvent::Call(process, key)),
        2 => key().prop_map(|(process, key)| StoreEvent::Reject(process, key)),
        1 => key().prop_map(|(process, key)| StoreEvent::Forget(process, key)),
        1 => key().prop_map(|(process, key)| StoreEvent::Retry(process, key)),
        4 => prop_oneof![
            3 => (40..100_000u64).prop_map(EndpointMode::Tokens),
            1 => Just(EndpointMode::Down),
            1 => Just(EndpointMode::BadCredentials),
            1 => Just(EndpointMode::BadRequest),
            1 => Just(EndpointMode::Limited),
        ].prop_map(StoreEvent::Endpoint),
        1 => any::<bool>().prop_map(StoreEvent::Store),
    ]
}

/// A token endpoint that records its requests and tokens.
struct RecordingEndpoint {
    clock: Clock,
    mode: Mutex<EndpointMode>,
    requests: Mutex<Vec<ClockTime>>,
    /// When each token was issued, and for how many seconds.
    issued: Mutex<HashMap<String, (ClockTime, u64)>>,
}

impl RespondToTokenRequest for RecordingEndpoint {
    fn respond(&self, _: &TokenRequest, _: &CallContext) -> Result<TokenResponse, FetchError> {
        let now = self.clock.now();
        let mut requests = self.requests.lock().unwrap();
        requests.push(now);
        let failed = |cause| {
            Err(FetchError {
                kind: cause,
                error: failure(cause),
            })
        };
        match *self.mode.lock().unwrap() {
            EndpointMode::Tokens(life) => {
                let text = format!("token-{}", requests.len());
                self.issued
                    .lock()
                    .unwrap()
                    .insert(text.clone(), (now, life));
                Ok(TokenResponse {
                    access_token: Secret::new(text),
                    expires_in: Some(life as f64),
                    server_date: None,
                })
            }
            EndpointMode::Down => failed(TokenErrorKind::Transient),
            EndpointMode::BadCredentials => failed(TokenErrorKind::InvalidClient),
            EndpointMode::BadRequest => failed(TokenErrorKind::InvalidRequest),
            EndpointMode::Limited => failed(TokenErrorKind::RateLimited { retry_after: None }),
        }
    }
}

/// A token that a process holds.
#[derive(Debug, Clone)]
struct HeldToken {
    token: Token,
    /// When it expires on either clock.
    expires_at: ClockTime,
}

fn run_cache(shares: bool, history: Vec<StoreEvent>) {
    // No call waits: a call that cannot continue immediately fails.
    let simulation = ManualClock::with_remaining(Duration::ZERO);
    let clock = Clock::Simulated(simulation.clone());
    let endpoint = RecordingEndpoint {
        clock: clock.clone(),
        mode: Mutex::new(EndpointMode::Tokens(3600)),
        requests: Mutex::default(),
        issued: Mutex::default(),
    };
    let store = Arc::new(MemoryStore::default());
    let config = if shares { store.config() } else { MEMORY };
    let processes = [0, 1].map(|_| Cache::new(clock.clone()));
    let tokens: [[Arc<TokenCacheHandle>; 2]; 2] = processes.each_ref().map(|process| {
        ["a", "b"].map(|audience| {
            process
                .handle(
                    TokenRequest {
                        audience: audience.into(),
                        ..request()
                    },
                    &config,
                )
                .unwrap()
        })
    });
    let mut holds: HashMap<(usize, usize), HeldToken> = HashMap::new();
    let mut generations: HashMap<(usize, usize), u64> = HashMap::new();
    let mut rejected: Vec<u64> = Vec::new();
    // No request may be sent before these times (monotonic): by a process, and by a process for a
    // key.
    let mut blocked = [Duration::ZERO; 2];
    let mut refused: HashMap<(usize, usize), Duration> = HashMap::new();
    let mut last_sent: [Option<Duration>; 2] = [None; 2];
    // Whether both processes have the same information: while the store and the clock were right.
    let mut in_step = shares;
    for event in history {
        let now = simulation.now();
        match event {
            StoreEvent::Tick(tick) => {
                in_step &= matches!(tick, Tick::Both(_));
                tick_clock(&simulation, tick);
            }
            StoreEvent::Call(process, key) => {
                let at = (process, key);
                let before = endpoint.requests.lock().unwrap().len();
                let result = tokens[process][key].token(&endpoint, &call());
                let requests = endpoint.requests.lock().unwrap().len() - before;
                assert!(requests <= 1, "one call, {requests} requests");
                if requests == 1 {
                    let affected: &[usize] = if in_step { &[0, 1] } else { &[process] };
                    for other in affected {
                        assert!(now.mono >= blocked[*other], "request sent during a block");
                        let apart = last_sent[*other].map(|last| now.mono - last);
                        assert!(
                            apart.is_none_or(|apart| apart >= MIN_REQUEST_INTERVAL),
                            "{apart:?} apart"
                        );
                        let suspended = refused.get(&(*other, key)).copied().unwrap_or_default();
                        assert!(
                            now.mono >= suspended,
                            "request sent during a rejection window"
                        );
                    }
                    last_sent[process] = Some(now.mono);
                    match *endpoint.mode.lock().unwrap() {
                        EndpointMode::Limited => blocked[process] = now.mono + seconds(60),
                        EndpointMode::BadCredentials | EndpointMode::BadRequest => {
                            refused.insert(at, now.mono + seconds(30));
                        }
                        _ => {}
                    }
                }
                let cached = holds
                    .get(&at)
                    .filter(|cached| !cached.expires_at.is_past(now));
                match result {
                    Ok(token) => {
                        let issued = endpoint.issued.lock().unwrap()[token.expose()];
                        let (issued_at, life) = issued;
                        assert!(
                            now.wall < issued_at.wall + seconds(life),
                            "expired on the wall clock"
                        );
                        let generation = token.generation();
                        let max_generation = generations.entry(at).or_default();
                        assert!(
                            generation >= *max_generation,
                            "an older token after a newer one"
                        );
                        let is_new = generation > *max_generation;
                        *max_generation = generation;
                        assert!(
                            !in_step || !rejected.contains(&generation),
                            "rejected before"
                        );
                        if is_new {
                            let leeway = seconds(life) / 20;
                            let left = (issued_at.wall + seconds(life)).saturating_sub(now.wall);
                            let left = left
                                .min(seconds(life))
                                .saturating_sub(leeway.min(seconds(5)));
                            holds.insert(
                                at,
                                HeldToken {
                                    token,
                                    expires_at: now.after(left),
                                },
                            );
                        } else if let Some(cached) = holds.get(&at) {
                            assert!(!cached.expires_at.is_past(now), "expired on a clock");
                        }
                    }
                    Err(error) => {
                        assert!(cached.is_none(), "failed despite a valid token: {error}");
                        assert_eq!(error.stage(), Stage::Token);
                        assert_eq!(error.outcome(), Outcome::NotSent);
                    }
                }
            }
            StoreEvent::Reject(process, key) => {
                if let Some(cached) = holds.remove(&(process, key)) {
                    tokens[process][key].invalidate(&cached.token, &call());
                    rejected.push(cached.token.generation());
                    // The other process may still hold the token, and has to get a 401 itself.
                    let generation = cached.token.generation();
                    in_step &= holds
                        .get(&(1 - process, key))
                        .is_none_or(|other| other.token.generation() != generation);
                }
            }
            StoreEvent::Forget(process, key) => {
                tokens[process][key].forget(&call());
                holds.remove(&(process, key));
            }
            StoreEvent::Retry(process, key) => {
                tokens[process][key].clear_auth_failure(&call());
                refused.remove(&(process, key));
                // The other process still applies the stored rejection.
                refused.remove(&(1 - process, key));
            }
            StoreEvent::Endpoint(mode) => *endpoint.mode.lock().unwrap() = mode,
            StoreEvent::Store(fails) => {
                store.everything_fails(fails);
                in_step &= !fails;
            }
        }
    }
}

proptest! {
    #![proptest_config(config(10_000))]

    #[test]
    fn token_state_behaves_like_its_model(history in prop::collection::vec(event(), 1..80)) {
        run_token_state(history);
    }

    #[test]
    fn rate_limiter_behaves_like_its_model(history in prop::collection::vec(rate_limiter_event(), 1..80)) {
        run_rate_limiter(history);
    }
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn cache_keeps_its_invariants(
        shares in any::<bool>(),
        history in prop::collection::vec(store_event(), 1..60),
    ) {
        run_cache(shares, history);
    }
}
