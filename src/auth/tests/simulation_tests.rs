//! Days in the life of a busy program: 200 threads, a simulated clock, and a token endpoint with
//! outages, 429s and tokens that the API revokes. No call fails that had a living token, and the
//! token requests are exactly those that a model foresees.
//!
//! Time stands still while the threads make one call each, then moves on. So which thread does what
//! is left to chance, but not what comes of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::test_support::{MEMORY, call, failure, request};
use crate::auth::cache::{Cache, TokenCacheHandle};
use crate::auth::time::{Clock, ManualClock, Timestamp};
use crate::auth::{FetchError, TokenEndpoint, TokenErrorKind, TokenRequest, TokenResponse};
use crate::call::CallContext;
use crate::secret::Secret;

const THREADS: usize = 200;

/// How long a token lives, in seconds.
const LIFE: u64 = 3600;

#[derive(Debug, Clone, Copy, PartialEq)]
enum EndpointMode {
    Well,
    Down,
    Limited,
}

/// The service: its token endpoint, and its API with what it accepts.
struct Service {
    mood: Mutex<EndpointMode>,
    requests: AtomicU64,
    /// Tokens are numbered; the API accepts those after this one.
    revoked: AtomicU64,
}

impl TokenEndpoint for Service {
    fn fetch(&self, _: &TokenRequest, _: &CallContext) -> Result<TokenResponse, FetchError> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst) + 1;
        let failed = |cause| {
            Err(FetchError {
                cause,
                error: failure(cause),
            })
        };
        // Long enough for the others to come and find the request under way.
        thread::yield_now();
        match *self.mood.lock().unwrap() {
            EndpointMode::Well => Ok(TokenResponse {
                access_token: Secret::new(number.to_string()),
                expires_in: Some(LIFE as f64),
                server_date: None,
            }),
            EndpointMode::Down => failed(TokenErrorKind::Transient),
            EndpointMode::Limited => failed(TokenErrorKind::RateLimited { retry_after: None }),
        }
    }
}

impl Service {
    /// One call of a program to the API; whether it succeeds.
    fn called_with(&self, token_state: &TokenCacheHandle) -> bool {
        for _ in 0..2 {
            let Ok(token) = token_state.token(self, &call()) else {
                return false;
            };
            let number: u64 = token.expose().parse().unwrap();
            if number > self.revoked.load(Ordering::SeqCst) {
                token.accepted();
                return true;
            }
            token_state.reject(&token, &call());
        }
        false
    }
}

/// What has to come of it, in milliseconds of the monotonic clock.
#[derive(Debug, Default)]
struct Model {
    /// Its number, and when it was issued.
    token: Option<(u64, u64)>,
    requests: u64,
    quiet_until: u64,
    outages: u32,
    put_off_until: u64,
    gate_opens: u64,
    consecutive_429s: u32,
}

impl Model {
    /// Everybody calls once; whether the calls succeed.
    fn round(&mut self, now: u64, mood: EndpointMode, revoked: u64) -> bool {
        let lives = |issued: u64| now < issued + LIFE * 1_000 - 5_000;
        if self.token.is_some_and(|(_, issued)| !lives(issued)) {
            self.token = None;
        }
        if let Some((_, issued)) = self.token
            && now >= issued + LIFE * 1_000 - 720_000
            && self.quiet_until <= now
            && self.put_off_until <= now
        {
            match self.gate_opens <= now {
                true => self.request(now, mood),
                false => self.put_off_until = self.gate_opens.max(now + 2_000),
            }
        }
        if self.token.is_some_and(|(number, _)| number <= revoked) {
            self.token = None;
        }
        if self.token.is_none() && self.quiet_until <= now && self.gate_opens <= now {
            self.request(now, mood);
        }
        self.token.is_some()
    }

    fn request(&mut self, now: u64, mood: EndpointMode) {
        self.requests += 1;
        self.gate_opens = now + 1_100;
        match mood {
            EndpointMode::Well => {
                self.token = Some((self.requests, now));
                (self.outages, self.consecutive_429s) = (0, 0);
                (self.quiet_until, self.put_off_until) = (0, 0);
            }
            EndpointMode::Down => {
                self.quiet_until = now + (1_000 << self.outages).min(60_000);
                (self.outages, self.consecutive_429s) = ((self.outages + 1).min(10), 0);
            }
            EndpointMode::Limited => {
                self.gate_opens = now + (60_000 << self.consecutive_429s).min(600_000);
                self.consecutive_429s = (self.consecutive_429s + 1).min(10);
            }
        }
    }
}

/// The same random numbers in every run.
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

fn millis(now: Timestamp) -> u64 {
    now.mono.as_millis() as u64
}

#[test]
fn days_of_200_threads() {
    // A minute where somebody waits for it anyway; elsewhere enough to meet everything many times.
    let minutes = std::env::var_os("CI").is_some();
    let until = Instant::now() + Duration::from_secs(if minutes { 60 } else { 10 });
    let simulation = ManualClock::with_remaining(Duration::ZERO);
    let cache = Cache::new(Clock::Simulated(simulation.clone()));
    let token_state = cache.token_state(request(), &MEMORY).unwrap();
    let service = Service {
        mood: Mutex::new(EndpointMode::Well),
        requests: AtomicU64::new(0),
        revoked: AtomicU64::new(0),
    };
    let (begin, end) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    let over = AtomicBool::new(false);
    let succeeded = AtomicU64::new(0);
    let mut model = Model::default();
    let mut chance = TestRng(7);
    let mut met = [0u32; 4];
    let started = simulation.now();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    begin.wait();
                    if over.load(Ordering::SeqCst) {
                        break;
                    }
                    if service.called_with(&token_state) {
                        succeeded.fetch_add(1, Ordering::SeqCst);
                    }
                    end.wait();
                }
            });
        }
        // Whatever is found is told after the threads are let go, or they would wait for ever.
        let mut found = None;
        while found.is_none() && Instant::now() < until {
            simulation.advance(Duration::from_millis(match chance.below(10) {
                0..4 => 1 + chance.below(3_000),
                4..8 => 20_000 + chance.below(60_000),
                8 => chance.below(600_000),
                _ => chance.below(4_000_000),
            }));
            let mood = match chance.below(12) {
                0..7 => EndpointMode::Well,
                7..9 => EndpointMode::Limited,
                _ => EndpointMode::Down,
            };
            *service.mood.lock().unwrap() = mood;
            if chance.below(15) == 0 {
                let issued = service.requests.load(Ordering::SeqCst);
                service.revoked.store(issued, Ordering::SeqCst);
                met[3] += 1;
            }
            let before = model.requests;
            let expected = model.round(
                millis(simulation.now()),
                mood,
                service.revoked.load(Ordering::SeqCst),
            );
            if model.requests > before {
                met[mood as usize] += 1;
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
    let days = (simulation.now().mono - started.mono).as_secs() / 86_400;
    assert!(
        days > 0 && met.iter().all(|met| *met > 0),
        "{days} days, {met:?}"
    );
}
