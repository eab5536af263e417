//! Concurrency tests of the token cache with shuttle, which runs one thread at a time and chooses
//! the next one at every lock and every wake-up: no deadlock, no lost wake-up, no second request in
//! flight.
//!
//! The files of the cache are compiled here again with shuttle's locks instead of its own. A wait
//! without a timeout lasts until another thread wakes this one, so a lost wake-up is a deadlock,
//! which shuttle reports. A wait with a timeout advances the simulated clock.

#[allow(clippy::duplicate_mod)]
#[path = "../cache/connection.rs"]
mod connection;
#[allow(clippy::duplicate_mod)]
#[path = "../cache/entry.rs"]
mod entry;
#[allow(clippy::duplicate_mod)]
#[path = "../cache/fetch.rs"]
mod fetch;
#[allow(clippy::duplicate_mod)]
#[path = "../cache/lock_wait.rs"]
mod lock_wait;
#[allow(clippy::duplicate_mod)]
#[path = "../cache/permits.rs"]
mod permits;
#[allow(clippy::duplicate_mod, dead_code)]
#[path = "../cache/process_cache.rs"]
mod process_cache;
#[allow(clippy::duplicate_mod)]
#[path = "../cache/shared_rate_limiter.rs"]
mod shared_rate_limiter;

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

    pub(super) fn current_thread() -> usize {
        usize::from(shuttle::thread::current().id()) + 1
    }

    pub(super) fn lock_inherited<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        Some(mutex.lock())
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

use super::test_support::{
    Endpoint, MEMORY, MemoryStore, Reply, RespondToTokenRequest, call, request,
};
use crate::auth::time::{Clock, ManualClock};
use crate::auth::{FetchError, TokenCacheConfig, TokenErrorKind, TokenRequest, TokenResponse};
use crate::call::{CallContext, CallOptions, Cancel};
use crate::error::ErrorKind;

/// Number of schedules that each test tries.
const SCHEDULES: usize = 1_000;

fn explore(test: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(test, SCHEDULES);
}

/// A token endpoint that lets other threads run during a request, and checks that there is one
/// request at a time for the same credentials.
struct CheckedEndpoint {
    endpoint: Endpoint,
    busy: Mutex<HashMap<String, bool>>,
}

impl CheckedEndpoint {
    fn new(clock: &Clock, script: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        let endpoint = Endpoint::with_script(clock, script);
        Arc::new(CheckedEndpoint {
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
        assert_ne!(before.unwrap_or(false), busy, "a second request in flight");
    }
}

impl RespondToTokenRequest for CheckedEndpoint {
    fn respond(
        &self,
        request: &TokenRequest,
        call: &CallContext,
    ) -> Result<TokenResponse, FetchError> {
        self.set_busy(request, true);
        thread::yield_now();
        let result = self.endpoint.respond(request, call);
        thread::yield_now();
        self.set_busy(request, false);
        result
    }
}

struct World {
    clock: Clock,
    simulation: Arc<ManualClock>,
    endpoint: Arc<CheckedEndpoint>,
}

impl World {
    fn new(script: impl IntoIterator<Item = Reply>) -> Self {
        let simulation = ManualClock::auto_advancing();
        let clock = Clock::Simulated(simulation.clone());
        let endpoint = CheckedEndpoint::new(&clock, script);
        World {
            clock,
            simulation,
            endpoint,
        }
    }

    fn handle(&self, config: &TokenCacheConfig) -> Arc<TokenCacheHandle> {
        Cache::new(self.clock.clone())
            .handle(request(), config)
            .unwrap()
    }

    fn requests(&self) -> usize {
        self.endpoint.endpoint.requests()
    }
}

/// Runs `work` on several threads and returns the results.
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
fn token_sends_one_request_for_concurrent_callers() {
    explore(|| {
        let world = World::new([]);
        let (handle, endpoint) = (world.handle(&MEMORY), Arc::clone(&world.endpoint));
        let tokens = on_threads(4, move |_| handle.token(&*endpoint, &call()).unwrap());
        assert!(tokens.iter().all(|token| token.expose() == "token-0"));
        assert_eq!(world.requests(), 1);
    });
}

#[test]
fn token_succeeds_after_failed_requests_of_other_callers() {
    explore(|| {
        let world = World::new([
            Reply::Fails(TokenErrorKind::Cancelled),
            Reply::Fails(TokenErrorKind::Transient),
        ]);
        let (handle, endpoint) = (world.handle(&MEMORY), Arc::clone(&world.endpoint));
        let results = on_threads(3, move |_| handle.token(&*endpoint, &call()));
        assert!(results.iter().filter(|result| result.is_err()).count() <= 1);
        assert_eq!(world.requests(), 3);
    });
}

#[test]
fn rejected_credentials_fail_all_callers() {
    explore(|| {
        let world = World::new([Reply::Fails(TokenErrorKind::InvalidClient)]);
        let (handle, endpoint) = (world.handle(&MEMORY), Arc::clone(&world.endpoint));
        for error in on_threads(4, move |_| handle.token(&*endpoint, &call()).unwrap_err()) {
            assert_eq!(error.kind(), ErrorKind::Authentication);
        }
        assert_eq!(world.requests(), 1);
    });
}

#[test]
fn rate_limiter_orders_requests_of_several_keys() {
    explore(|| {
        let world = World::new([]);
        let cache = Cache::new(world.clock.clone());
        let tokens = ["a", "b", "c"].map(|audience| {
            cache
                .handle(
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
            // The clock may advance between a permit and its request, but no other thread's permit
            // comes between.
            assert!(pair[1].mono >= pair[0].mono);
        }
    });
}

#[test]
fn reject_and_refresh_run_concurrently() {
    explore(|| {
        let world = World::new([]);
        let (handle, endpoint) = (world.handle(&MEMORY), Arc::clone(&world.endpoint));
        let first = handle.token(&*endpoint, &call()).unwrap();
        // Due for refresh.
        world.simulation.advance(Duration::from_secs(3000));
        let rejected = first.clone();
        let tokens = on_threads(4, move |number| {
            if number % 2 == 0 {
                handle.invalidate(&rejected, &call());
            }
            let token = handle.token(&*endpoint, &call()).unwrap();
            (number, token)
        });
        for (number, token) in tokens {
            assert!(number % 2 == 1 || token.generation() > first.generation());
        }
        assert!((2..=3).contains(&world.requests()), "{}", world.requests());
    });
}

#[test]
fn token_succeeds_after_a_cancelled_request() {
    explore(|| {
        let world = World::new([Reply::Fails(TokenErrorKind::Cancelled)]);
        let (handle, endpoint) = (world.handle(&MEMORY), Arc::clone(&world.endpoint));
        let cancel = Cancel::new();
        let succeeded = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&succeeded);
        on_threads(3, move |number| {
            if number == 0 {
                let options = CallOptions::new().cancel(cancel.clone());
                let call = CallContext::start(&options, Duration::from_secs(60));
                cancel.cancel();
                let _ = handle.token(&*endpoint, &call);
            } else if handle.token(&*endpoint, &call()).is_ok() {
                seen.store(true, Ordering::SeqCst);
            }
        });
        assert!(succeeded.load(Ordering::SeqCst));
    });
}

#[test]
fn caches_that_share_a_store_send_one_request() {
    explore(|| {
        let world = World::new([]);
        let mut store = MemoryStore::default();
        store.before = Some(thread::yield_now);
        let config = Arc::new(store).config();
        let tokens: Vec<_> = (0..2).map(|_| world.handle(&config)).collect();
        let endpoint = Arc::clone(&world.endpoint);
        let tokens = on_threads(4, move |number| {
            tokens[number % 2].token(&*endpoint, &call()).unwrap()
        });
        assert!(tokens.iter().all(|token| token.expose() == "token-0"));
        assert_eq!(world.requests(), 1);
    });
}
