//! The shell of the token cache under shuttle, which runs its threads one at a time and chooses who
//! is next at every lock and every wake-up: no deadlock, no lost wake-up, no second leader.
//!
//! The shell's own files are compiled here once more, with shuttle's locks in the place of the
//! standard library's. Waiting without a time limit lasts until somebody wakes the thread, so a lost
//! wake-up is a deadlock, which shuttle reports. Waiting until a certain time moves the simulated
//! clock there.

#[allow(clippy::duplicate_mod)]
#[path = "../cache/fetch.rs"]
mod fetch;
#[allow(clippy::duplicate_mod, dead_code)]
#[path = "../cache/process_cache.rs"]
mod process_cache;
#[allow(clippy::duplicate_mod)]
#[path = "../cache/rate_limit.rs"]
mod rate_limit;

mod sync {
    use std::time::{Duration, Instant};

    pub(super) use shuttle::sync::MutexGuard;

    #[derive(Debug, Default)]
    pub(super) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(super) fn new(value: T) -> Self {
            Mutex(shuttle::sync::Mutex::new(value))
        }

        pub(super) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }

        pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }

        pub(super) fn try_lock_until(&self, _: Option<Instant>) -> Option<MutexGuard<'_, T>> {
            Some(self.lock())
        }
    }

    #[derive(Debug, Default)]
    pub(super) struct Signal {
        epoch: Mutex<u64>,
        notified: shuttle::sync::Condvar,
    }

    impl Signal {
        pub(super) fn new() -> Self {
            Signal::default()
        }

        pub(super) fn epoch(&self) -> u64 {
            *self.epoch.lock()
        }

        pub(super) fn wait_timeout(&self, epoch: u64, timeout: Duration) {
            if timeout.is_zero() {
                shuttle::thread::yield_now();
                return;
            }
            let mut now = self.epoch.lock();
            while *now == epoch {
                now = self.notified.wait(now).unwrap();
            }
        }

        pub(super) fn notify_all(&self) {
            *self.epoch.lock() += 1;
            self.notified.notify_all();
        }
    }
}

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use process_cache::{Cache, TokenCacheHandle};
use shuttle::thread;

use super::test_support::{Endpoint, MEMORY, MemoryStore, Reply, call, request};
use crate::auth::time::{Clock, ManualClock};
use crate::auth::{
    FetchError, TokenCacheConfig, TokenEndpoint, TokenErrorKind, TokenRequest, TokenResponse,
};
use crate::call::{CallContext, CallOptions, Cancel};
use crate::error::ErrorKind;

/// How many schedules each test tries.
const SCHEDULES: usize = 1_000;

fn explore(test: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(test, SCHEDULES);
}

/// An endpoint that lets the others run while it is asked, and is never asked twice at a time for
/// the same credentials.
struct Watched {
    endpoint: Endpoint,
    busy: Mutex<HashMap<String, bool>>,
}

impl Watched {
    fn new(clock: &Clock, script: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        let endpoint = Endpoint::with_script(clock, script);
        Arc::new(Watched {
            endpoint,
            busy: Mutex::default(),
        })
    }

    fn set_busy(&self, request: &TokenRequest, busy: bool) {
        let before = self
            .busy
            .lock()
            .unwrap()
            .insert(request.audience.clone(), busy);
        assert_ne!(before.unwrap_or(false), busy, "a second leader");
    }
}

impl TokenEndpoint for Watched {
    fn fetch(
        &self,
        request: &TokenRequest,
        call: &CallContext,
    ) -> Result<TokenResponse, FetchError> {
        self.set_busy(request, true);
        thread::yield_now();
        let result = self.endpoint.fetch(request, call);
        thread::yield_now();
        self.set_busy(request, false);
        result
    }
}

struct World {
    clock: Clock,
    simulation: Arc<ManualClock>,
    endpoint: Arc<Watched>,
}

impl World {
    fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        let simulation = ManualClock::auto_advancing();
        let clock = Clock::Simulated(simulation.clone());
        let endpoint = Watched::new(&clock, script);
        World {
            clock,
            simulation,
            endpoint,
        }
    }

    fn token_state(&self, choice: &TokenCacheConfig) -> Arc<TokenCacheHandle> {
        Cache::new(self.clock.clone())
            .token_state(request(), choice)
            .unwrap()
    }

    fn requests(&self) -> usize {
        self.endpoint.endpoint.requests()
    }
}

/// Runs the same on several threads; what each of them answers.
fn on_threads<T: Send + 'static>(
    threads: usize,
    work: impl Fn(usize) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let work = Arc::new(work);
    let running: Vec<_> = (0..threads)
        .map(|number| {
            let work = Arc::clone(&work);
            thread::spawn(move || work(number))
        })
        .collect();
    running
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}

#[test]
fn one_leads_and_all_get_its_token() {
    explore(|| {
        let world = World::new([]);
        let (token_state, endpoint) = (world.token_state(&MEMORY), Arc::clone(&world.endpoint));
        let tokens = on_threads(4, move |_| token_state.token(&*endpoint, &call()).unwrap());
        assert!(tokens.iter().all(|token| token.expose() == "token-0"));
        assert_eq!(world.requests(), 1);
    });
}

#[test]
fn leaders_that_fail_are_succeeded() {
    explore(|| {
        let world = World::new([
            Reply::Fails(TokenErrorKind::Cancelled),
            Reply::Fails(TokenErrorKind::Transient),
        ]);
        let (token_state, endpoint) = (world.token_state(&MEMORY), Arc::clone(&world.endpoint));
        let results = on_threads(3, move |_| token_state.token(&*endpoint, &call()));
        assert!(results.iter().filter(|result| result.is_err()).count() <= 1);
        assert_eq!(world.requests(), 3);
    });
}

#[test]
fn a_refusal_reaches_everybody() {
    explore(|| {
        let world = World::new([Reply::Fails(TokenErrorKind::InvalidClient)]);
        let (token_state, endpoint) = (world.token_state(&MEMORY), Arc::clone(&world.endpoint));
        for error in on_threads(4, move |_| {
            token_state.token(&*endpoint, &call()).unwrap_err()
        }) {
            assert_eq!(error.kind(), ErrorKind::Authentication);
        }
        assert_eq!(world.requests(), 1);
    });
}

#[test]
fn several_keys_pass_one_gate_in_turn() {
    explore(|| {
        let world = World::new([]);
        let cache = Cache::new(world.clock.clone());
        let tokens = ["a", "b", "c"].map(|audience| {
            cache
                .token_state(
                    TokenRequest {
                        audience: audience.into(),
                        ..request()
                    },
                    &MEMORY,
                )
                .unwrap()
        });
        let endpoint = Arc::clone(&world.endpoint);
        on_threads(6, move |number| {
            assert!(tokens[number % 3].token(&*endpoint, &call()).is_ok());
        });
        let sent = world.endpoint.endpoint.sent();
        assert_eq!(sent.len(), 3);
        for pair in sent.windows(2) {
            // Between its turn and the endpoint's clock a thread can be overtaken by the clock, but
            // not by another thread's turn.
            assert!(pair[1].mono >= pair[0].mono);
        }
    });
}

#[test]
fn rejections_and_refreshes_at_the_same_time() {
    explore(|| {
        let world = World::new([]);
        let (token_state, endpoint) = (world.token_state(&MEMORY), Arc::clone(&world.endpoint));
        let first = token_state.token(&*endpoint, &call()).unwrap();
        // Due for refresh.
        world.simulation.advance(Duration::from_secs(3000));
        let rejected = first.clone();
        let tokens = on_threads(4, move |number| {
            if number % 2 == 0 {
                token_state.reject(&rejected, &call());
            }
            let token = token_state.token(&*endpoint, &call()).unwrap();
            (number, token)
        });
        for (number, token) in tokens {
            assert!(number % 2 == 1 || token.generation() > first.generation());
        }
        assert!((2..=3).contains(&world.requests()), "{}", world.requests());
    });
}

#[test]
fn a_cancelled_leader_is_succeeded() {
    explore(|| {
        let world = World::new([Reply::Fails(TokenErrorKind::Cancelled)]);
        let (token_state, endpoint) = (world.token_state(&MEMORY), Arc::clone(&world.endpoint));
        let cancel = Cancel::new();
        let succeeded = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&succeeded);
        on_threads(3, move |number| {
            if number == 0 {
                let options = CallOptions::new().cancel(cancel.clone());
                let call = CallContext::start(&options, Duration::from_secs(60));
                cancel.cancel();
                let _ = token_state.token(&*endpoint, &call);
            } else if token_state.token(&*endpoint, &call()).is_ok() {
                seen.store(true, Ordering::SeqCst);
            }
        });
        assert!(succeeded.load(Ordering::SeqCst));
    });
}

#[test]
fn caches_that_share_a_store_ask_once() {
    explore(|| {
        let world = World::new([]);
        let mut store = MemoryStore::default();
        store.before = Some(thread::yield_now);
        let choice = Arc::new(store).choice();
        let tokens: Vec<_> = (0..2).map(|_| world.token_state(&choice)).collect();
        let endpoint = Arc::clone(&world.endpoint);
        let tokens = on_threads(4, move |number| {
            tokens[number % 2].token(&*endpoint, &call()).unwrap()
        });
        assert!(tokens.iter().all(|token| token.expose() == "token-0"));
        assert_eq!(world.requests(), 1);
    });
}
