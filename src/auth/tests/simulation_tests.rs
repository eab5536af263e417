//! Simulation of days of a program with 200 threads: a simulated clock, and a token endpoint with
//! outages, 429s and revoked tokens. No call with a valid token fails, and the token requests are
//! exactly those of a model.
//!
//! The clock stands still while each thread makes one call, then advances. So the order of the
//! threads is random, but the result is not.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::test_support::{MEMORY, RespondToTokenRequest, call, failure, request};
use crate::auth::cache::{Cache, TokenCacheHandle};
use crate::auth::time::{Clock, ClockTime, ManualClock};
use crate::auth::{FetchError, TokenErrorKind, TokenRequest, TokenResponse};
use crate::call::CallContext;
use crate::secret::Secret;

const THREADS: usize = 200;

/// Lifetime of a token, in seconds.
const LIFETIME: u64 = 3600;

#[derive(Debug, Clone, Copy, PartialEq)]
enum EndpointMode {
    Tokens,
    Down,
    Limited,
}

/// The token endpoint, and the API with the tokens that it accepts.
struct Service {
    mode: Mutex<EndpointMode>,
    requests: AtomicU64,
    /// Tokens are numbered; the API accepts those after this one.
    revoked: AtomicU64,
}

impl RespondToTokenRequest for Service {
    fn respond(&self, _: &TokenRequest, _: &CallContext) -> Result<TokenResponse, FetchError> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let failed = |cause| {
            Err(FetchError {
                kind: cause,
                error: failure(cause),
            })
        };
        // So that other threads find the request in flight.
        thread::yield_now();
        match *self.mode.lock().unwrap() {
            EndpointMode::Tokens => Ok(TokenResponse {
                access_token: Secret::new(number.to_string()),
                expires_in: Some(LIFETIME as f64),
                server_date: None,
            }),
            EndpointMode::Down => failed(TokenErrorKind::Transient),
            EndpointMode::Limited => failed(TokenErrorKind::RateLimited { retry_after: None }),
        }
    }
}

impl Service {
    /// Makes one API call. Returns whether it succeeds.
    fn called_with(&self, handle: &TokenCacheHandle) -> bool {
        for _ in 0..2 {
            let Ok(token) = handle.token(self, &call()) else {
                return false;
            };
            let number: u64 = token.expose().parse().unwrap();
            if number > self.revoked.load(Ordering::SeqCst) {
                token.accepted();
                return true;
            }
            handle.invalidate(&token, &call());
        }
        false
    }
}

/// Model of the expected state, in milliseconds of the monotonic clock.
#[derive(Debug, Default)]
struct Model {
    /// Its number, and when it was issued.
    token: Option<(u64, u64)>,
    requests: u64,
    suspended_until: u64,
    outages: u32,
    deferred_until: u64,
    next_allowed_at: u64,
    consecutive_429s: u32,
}

impl Model {
    /// Models one call of each thread. Returns whether the calls succeed.
    fn round(&mut self, now: u64, mode: EndpointMode, revoked: u64) -> bool {
        let is_valid = |issued: u64| now < issued + LIFETIME * 1_000 - 5_000;
        if self.token.is_some_and(|(_, issued)| !is_valid(issued)) {
            self.token = None;
        }
        if let Some((_, issued)) = self.token
            && now >= issued + LIFETIME * 1_000 - 720_000
            && self.suspended_until <= now
            && self.deferred_until <= now
        {
            match self.next_allowed_at <= now {
                true => self.request(now, mode),
                false => self.deferred_until = self.next_allowed_at.max(now + 2_000),
            }
        }
        if self.token.is_some_and(|(number, _)| number <= revoked) {
            self.token = None;
        }
        if self.token.is_none() && self.suspended_until <= now && self.next_allowed_at <= now {
            self.request(now, mode);
        }
        self.token.is_some()
    }

    fn request(&mut self, now: u64, mode: EndpointMode) {
        self.requests += 1;
        self.next_allowed_at = now + 1_100;
        match mode {
            EndpointMode::Tokens => {
                self.token = Some((self.requests, now));
                (self.outages, self.consecutive_429s) = (0, 0);
                (self.suspended_until, self.deferred_until) = (0, 0);
            }
            EndpointMode::Down => {
                self.suspended_until = now + (1_000 << self.outages).min(60_000);
                (self.outages, self.consecutive_429s) = ((self.outages + 1).min(10), 0);
            }
            EndpointMode::Limited => {
                self.next_allowed_at = now + (60_000 << self.consecutive_429s).min(600_000);
                self.consecutive_429s = (self.consecutive_429s + 1).min(10);
            }
        }
    }
}

/// A deterministic random number generator.
struct TestRng(u64);

impl TestRng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn millis(now: ClockTime) -> u64 {
    now.mono.as_millis() as u64
}

#[test]
fn simulation_of_200_threads_matches_model() {
    /// Simulated time in which all events occur, at the latest.
    const MAX_DAYS: u64 = 365;

    crate::limited::limit_this_process();
    // A minute in CI; elsewhere enough for all events to occur many times. A loaded machine needs longer.
    let minutes = std::env::var_os("CI").is_some();
    let until = Instant::now() + Duration::from_secs(if minutes { 60 } else { 10 });
    let simulation = ManualClock::with_remaining(Duration::ZERO);
    let cache = Cache::new(Clock::Simulated(simulation.clone()));
    let handle = cache.handle(request(), &MEMORY).unwrap();
    let service = Service {
        mode: Mutex::new(EndpointMode::Tokens),
        requests: AtomicU64::new(0),
        revoked: AtomicU64::new(0),
    };
    let (begin, end) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let over = AtomicBool::new(false);
    let succeeded = AtomicU64::new(0);
    let mut model = Model::default();
    let mut random = TestRng(7);
    let mut occurred = [0u32; 4];
    let started = simulation.now();
    let days = || (simulation.now().mono - started.mono).as_secs() / 86_400;
    let has_all = |occurred: &[u32]| days() > 0 && occurred.iter().all(|occurred| *occurred > 0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    begin.wait();
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    if service.called_with(&handle) {
                        succeeded.fetch_add(1, Ordering::SeqCst);
                    }
                    end.wait();
                }
            });
        }
        // A mismatch is reported after the threads have ended, or they would wait indefinitely.
        let mut found = None;
        while found.is_none()
            && (Instant::now() < until || !(has_all(&occurred) || days() > MAX_DAYS))
        {
            simulation.advance(Duration::from_millis(match random.below(10) {
                0..4 => 1 + random.below(3_000),
                4..8 => 20_000 + random.below(60_000),
                8 => random.below(600_000),
                _ => random.below(4_000_000),
            }));
            let mode = match random.below(12) {
                0..7 => EndpointMode::Tokens,
                7..9 => EndpointMode::Limited,
                _ => EndpointMode::Down,
            };
            *service.mode.lock().unwrap() = mode;
            if random.below(15) == 0 {
                let issued = service.requests.load(Ordering::SeqCst);
                service.revoked.store(issued, Ordering::SeqCst);
                occurred[3] += 1;
            }
            let before = model.requests;
            let expected = model.round(
                millis(simulation.now()),
                mode,
                service.revoked.load(Ordering::SeqCst),
            );
            if model.requests > before {
                occurred[mode as usize] += 1;
            }
            succeeded.store(0, Ordering::SeqCst);
            begin.wait();
            end.wait();
            let succeeded = succeeded.load(Ordering::SeqCst);
            let requests = service.requests.load(Ordering::SeqCst);
            let wanted = if expected { THREADS as u64 } else { 0 };
            if (succeeded, requests) != (wanted, model.requests) {
                let at = simulation.now().mono - started.mono;
                found = Some(format!(
                    "after {at:?}: {succeeded} calls succeeded with {requests} requests, \
                     but the model says {wanted} with {model:?}"
                ));
            }
        }
        over.store(true, Ordering::SeqCst);
        begin.wait();
        assert!(found.is_none(), "{}", found.unwrap());
    });
    assert!(has_all(&occurred), "{} days, {occurred:?}", days());
}
