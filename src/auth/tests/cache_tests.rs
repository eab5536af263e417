//! The invariants of the shell and its stores, within one process; see also `multi_process_tests`.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::test_support::{
    Endpoint, MEMORY, MemoryStore, Reply, call, call_within, failure, request,
};
use crate::auth::cache::{Cache, TokenCacheHandle};
use crate::auth::rate_limiter::MIN_REQUEST_INTERVAL;
use crate::auth::time::{Clock, ManualClock};
use crate::auth::{FetchError, Token, TokenEndpoint, TokenErrorKind, TokenRequest, TokenResponse};
use crate::call::{CallContext, CallOptions, Cancel};
use crate::deadline_check::in_time;
use crate::error::{ErrorKind, Outcome, Stage};
use crate::secret::Secret;

/// A cache whose clock jumps over every wait.
fn auto_advancing() -> (Cache, Clock) {
    let clock = Clock::Simulated(ManualClock::auto_advancing());
    (Cache::new(clock.clone()), clock)
}

#[test]
fn many_threads_cold_make_one_request() {
    let clock = Clock::Real;
    let cache = Cache::new(clock.clone());
    let token_state = cache.token_state(request(), &MEMORY).unwrap();
    let mut endpoint = Endpoint::with_script(&clock, []);
    endpoint.meanwhile = Some(Box::new(|_| thread::sleep(Duration::from_millis(20))));
    let barrier = Barrier::new(32);
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                barrier.wait();
                let token = token_state.token(&endpoint, &call()).unwrap();
                assert_eq!(token.expose(), "token-0");
            });
        }
    });
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn the_same_credentials_share_a_slot_and_others_do_not() {
    let (cache, clock) = auto_advancing();
    let endpoint = Endpoint::new(&clock, []);
    let other = TokenRequest {
        audience: "other.example".into(),
        ..request()
    };
    let tokens =
        [request(), request(), other].map(|request| cache.token_state(request, &MEMORY).unwrap());
    let tokens = tokens.map(|token_state| token_state.token(&*endpoint, &call()).unwrap());
    assert_eq!(tokens[0].expose(), tokens[1].expose());
    assert_ne!(tokens[0].expose(), tokens[2].expose());
    let sent = endpoint.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent[1].mono - sent[0].mono >= MIN_REQUEST_INTERVAL);
}

#[test]
fn bad_credentials_are_sent_once_and_everybody_learns_of_it() {
    let (cache, clock) = auto_advancing();
    let token_state = cache.token_state(request(), &MEMORY).unwrap();
    let endpoint = Endpoint::new(&clock, [Reply::Fails(TokenErrorKind::InvalidClient)]);
    for _ in 0..10 {
        let error = token_state.token(&*endpoint, &call()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert_eq!(error.message(), "access_denied");
        assert!(error.retry_after().is_some());
    }
    assert_eq!(endpoint.requests(), 1);
    token_state.clear_auth_failure(&call());
    assert!(token_state.token(&*endpoint, &call()).is_ok());
}

#[test]
fn an_outage_is_waited_out() {
    let (cache, clock) = auto_advancing();
    let token_state = cache.token_state(request(), &MEMORY).unwrap();
    let down = Reply::Fails(TokenErrorKind::Transient);
    let endpoint = Endpoint::new(&clock, [down, down, Reply::Token(60.0), down, down, down]);
    assert!(token_state.token(&*endpoint, &call()).is_ok());
    token_state.forget(&call());
    let error = token_state.token(&*endpoint, &call()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(endpoint.requests(), 6);
}

#[test]
fn what_will_not_pass_is_not_waited_out() {
    let (cache, clock) = auto_advancing();
    let token_state = cache.token_state(request(), &MEMORY).unwrap();
    let endpoint = Endpoint::new(&clock, [Reply::Fails(TokenErrorKind::Permanent)]);
    let error = token_state.token(&*endpoint, &call()).unwrap_err();
    assert_eq!(error.message(), "not trusted");
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!(endpoint.requests(), 1);
    assert!(token_state.token(&*endpoint, &call()).is_ok());
}

#[test]
fn a_429_closes_the_gate_for_all_credentials_of_the_host() {
    let clock = Clock::Simulated(ManualClock::frozen());
    let cache = Cache::new(clock.clone());
    let limited = Reply::Fails(TokenErrorKind::RateLimited { retry_after: None });
    let endpoint = Endpoint::new(&clock, [limited]);
    let other = TokenRequest {
        audience: "other.example".into(),
        ..request()
    };
    for request in [request(), other, request()] {
        let token_state = cache.token_state(request, &MEMORY).unwrap();
        let error = token_state
            .token(&*endpoint, &call_within(Duration::from_secs(30)))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert!(error.retry_after().unwrap() >= Duration::from_secs(59));
    }
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn a_leader_that_panics_is_succeeded() {
    let (cache, clock) = auto_advancing();
    let token_state = cache.token_state(request(), &MEMORY).unwrap();
    let endpoint = Endpoint::new(&clock, [Reply::Panics]);
    thread::scope(|scope| {
        let leader = scope.spawn(|| token_state.token(&*endpoint, &call()));
        assert!(leader.join().is_err());
    });
    assert!(token_state.token(&*endpoint, &call()).is_ok());
}

#[test]
fn invariant_04_a_failed_refresh_never_removes_a_living_token() {
    let simulation = ManualClock::frozen();
    let clock = Clock::Simulated(simulation.clone());
    let cache = Cache::new(clock.clone());
    let token_state = cache.token_state(request(), &MEMORY).unwrap();
    let endpoint = Endpoint::new(
        &clock,
        [
            Reply::Token(1_000.0),
            Reply::Fails(TokenErrorKind::Transient),
            Reply::Fails(TokenErrorKind::Cancelled),
            Reply::Fails(TokenErrorKind::InvalidClient),
        ],
    );
    let first = token_state.token(&*endpoint, &call()).unwrap();
    simulation.advance(Duration::from_secs(850));
    while endpoint.requests() < 4 {
        let token = token_state.token(&*endpoint, &call()).unwrap();
        assert_eq!(token.expose(), first.expose());
        simulation.advance(Duration::from_secs(1));
    }
    simulation.advance(Duration::from_secs(30));
    let second = token_state.token(&*endpoint, &call()).unwrap();
    assert_ne!(second.expose(), first.expose());
}

#[test]
fn invariant_09_a_child_never_waits_for_a_lock_it_inherited() {
    let clock = Clock::Simulated(ManualClock::auto_advancing());
    // The cache of a parent, as its child sees it.
    let mut parents = Cache::new(clock.clone());
    parents.pid = 0;
    let endpoint = Endpoint::new(&clock, []);
    let token_state = parents.token_state(request(), &MEMORY).unwrap();
    let cached = Arc::clone(token_state.cell.inherit(Arc::clone));
    let locked = cached.lock();
    let child = Cache::inherited(&parents);
    assert_eq!(child.pid, std::process::id());
    let childs = child.token_state(request(), &MEMORY).unwrap();
    assert!(childs.token(&*endpoint, &call()).is_ok());
    drop(locked);
}

#[test]
fn a_child_knows_what_its_parent_knew_even_if_their_store_fails() {
    let (parents, clock) = auto_advancing();
    let store = Arc::new(MemoryStore::default());
    let endpoint = Endpoint::new(&clock, []);
    let parents_slot = parents.token_state(request(), &store.choice()).unwrap();
    let token = parents_slot.token(&*endpoint, &call()).unwrap();
    store.everything_fails(true);
    let child = Cache::inherited(&parents);
    let childs = child.token_state(request(), &store.choice()).unwrap();
    let same = childs.token(&*endpoint, &call()).unwrap();
    assert_eq!(same.expose(), token.expose());
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn a_store_of_the_callers_own_goes_with_its_last_client() {
    let (cache, clock) = auto_advancing();
    let store = Arc::new(MemoryStore::default());
    let gone = Arc::downgrade(&store);
    let choice = store.choice();
    drop(store);
    let tokens = [(); 2].map(|()| cache.token_state(request(), &choice).unwrap());
    drop(choice);
    let endpoint = Endpoint::new(&clock, []);
    for token_state in tokens {
        token_state.token(&*endpoint, &call()).unwrap();
        assert!(gone.strong_count() > 0);
        assert_eq!(cache.diagnostics().tokens.len(), 1);
    }
    // Both clients of the store shared a token_state.
    assert_eq!(endpoint.requests(), 1);
    assert_eq!(gone.strong_count(), 0);
    let diagnostics = cache.diagnostics();
    assert!(diagnostics.tokens.is_empty() && diagnostics.stores.is_empty());
}

/// What happens while a request is under way: nothing, until the call has to end.
fn hangs(call: &CallContext) {
    while call.sleep(Duration::from_secs(3600)).is_ok() {}
}

/// Asks on every one of `threads` threads at the same time.
fn together(threads: usize, token_state: &TokenCacheHandle, endpoint: &Endpoint) -> Vec<Token> {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let ask = || {
            barrier.wait();
            token_state.token(endpoint, &call()).unwrap()
        };
        let asking: Vec<_> = (0..threads).map(|_| scope.spawn(ask)).collect();
        asking
            .into_iter()
            .map(|asking| asking.join().unwrap())
            .collect()
    })
}

#[test]
fn invariant_01_one_token_request_for_a_fleet_with_a_shared_store() {
    let store = Arc::new(MemoryStore::default());
    let mut endpoint = Endpoint::with_script(&Clock::Real, []);
    endpoint.meanwhile = Some(Box::new(|_| thread::sleep(Duration::from_millis(20))));
    let machines: Vec<_> = (0..4).map(|_| Cache::new(Clock::Real)).collect();
    thread::scope(|scope| {
        for machine in &machines {
            let token_state = machine.token_state(request(), &store.choice()).unwrap();
            let endpoint = &endpoint;
            scope.spawn(move || {
                for token in together(8, &token_state, endpoint) {
                    assert_eq!(token.expose(), "token-0");
                }
            });
        }
    });
    assert_eq!(endpoint.requests(), 1);
    assert!(store.names().iter().all(|name| {
        name.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    }));
}

#[test]
fn invariant_05_a_401_drops_the_token_it_was_sent_with_and_no_other() {
    let (cache, clock) = auto_advancing();
    let endpoint = Endpoint::new(&clock, []);
    let token_state = cache.token_state(request(), &MEMORY).unwrap();
    let old = token_state.token(&*endpoint, &call()).unwrap();
    let new = thread::scope(|scope| {
        let replace = || {
            token_state.reject(&old, &call());
            token_state.token(&*endpoint, &call()).unwrap()
        };
        let replacing: Vec<_> = (0..8).map(|_| scope.spawn(replace)).collect();
        replacing
            .into_iter()
            .map(|it| it.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(new.iter().all(|token| token.expose() == "token-1"));
    token_state.reject(&old, &call());
    assert_eq!(
        token_state.token(&*endpoint, &call()).unwrap().expose(),
        "token-1"
    );
    assert_eq!(endpoint.requests(), 2);
}

#[test]
fn invariant_05_a_token_that_another_machine_replaced_is_not_asked_for_again() {
    let clock = Clock::Simulated(ManualClock::auto_advancing());
    let store = Arc::new(MemoryStore::default());
    let endpoint = Endpoint::new(&clock, []);
    let machines = [Cache::new(clock.clone()), Cache::new(clock.clone())];
    let tokens = machines
        .each_ref()
        .map(|machine| machine.token_state(request(), &store.choice()).unwrap());
    let old = tokens
        .each_ref()
        .map(|token_state| token_state.token(&*endpoint, &call()).unwrap());
    assert_eq!(old[0].expose(), old[1].expose());
    tokens[0].reject(&old[0], &call());
    // Whoever comes now does not get it from the store either.
    let third = Cache::new(clock.clone())
        .token_state(request(), &store.choice())
        .unwrap();
    assert_eq!(
        third.token(&*endpoint, &call()).unwrap().expose(),
        "token-1"
    );
    tokens[1].reject(&old[1], &call());
    for token_state in &tokens {
        assert_eq!(
            token_state.token(&*endpoint, &call()).unwrap().expose(),
            "token-1"
        );
    }
    assert_eq!(endpoint.requests(), 2);
}

#[test]
fn a_forgotten_token_is_forgotten_by_the_store_too() {
    let clock = Clock::Simulated(ManualClock::auto_advancing());
    let store = Arc::new(MemoryStore::default());
    let endpoint = Endpoint::new(&clock, []);
    let token_state = Cache::new(clock.clone())
        .token_state(request(), &store.choice())
        .unwrap();
    token_state.token(&*endpoint, &call()).unwrap();
    token_state.forget(&call());
    let other = Cache::new(clock.clone())
        .token_state(request(), &store.choice())
        .unwrap();
    assert_eq!(
        other.token(&*endpoint, &call()).unwrap().expose(),
        "token-1"
    );
}

#[test]
fn forgiven_credentials_are_forgiven_by_the_store_too() {
    let clock = Clock::Simulated(ManualClock::auto_advancing());
    let store = Arc::new(MemoryStore::default());
    let endpoint = Endpoint::new(&clock, [Reply::Fails(TokenErrorKind::InvalidClient)]);
    let tokens = [0, 1].map(|_| {
        Cache::new(clock.clone())
            .token_state(request(), &store.choice())
            .unwrap()
    });
    for token_state in &tokens {
        assert!(token_state.token(&*endpoint, &call()).is_err());
    }
    assert_eq!(endpoint.requests(), 1);
    tokens[0].clear_auth_failure(&call());
    let third = Cache::new(clock.clone())
        .token_state(request(), &store.choice())
        .unwrap();
    assert!(third.token(&*endpoint, &call()).is_ok());
}

/// A deadline that is long enough for stores to be asked.
const SOON: Duration = Duration::from_millis(300);

/// Asks for a token in vain; tells the error's kind, and by how much it was late.
#[track_caller]
fn expect_error(token_state: &TokenCacheHandle, endpoint: &Endpoint) -> (ErrorKind, Duration) {
    let started = Instant::now();
    let error = token_state.token(endpoint, &call_within(SOON)).unwrap_err();
    let lateness = started.elapsed().saturating_sub(SOON);
    assert_eq!(
        (error.stage(), error.outcome()),
        (Stage::Token, Outcome::NotSent)
    );
    (error.kind(), lateness)
}

/// An endpoint that never answers.
fn silent_endpoint() -> Endpoint {
    let mut endpoint = Endpoint::with_script(&Clock::Real, []);
    endpoint.meanwhile = Some(Box::new(hangs));
    endpoint.then = Reply::Fails(TokenErrorKind::Cancelled);
    endpoint
}

#[test]
fn invariant_07_no_call_outlives_its_deadline_whatever_it_waits_for() {
    in_time(|| {
        let cache = Cache::new(Clock::Real);
        let token_state = cache.token_state(request(), &MEMORY).unwrap();
        let endpoint = silent_endpoint();
        // The endpoint.
        let (_, first) = expect_error(&token_state, &endpoint);
        // The backoff after that.
        let (kind, second) = expect_error(&token_state, &endpoint);
        assert_eq!(kind, ErrorKind::Network);
        // The rate_limiter.
        let other = TokenRequest {
            audience: "other.example".into(),
            ..request()
        };
        let other = cache.token_state(other, &MEMORY).unwrap();
        let (kind, third) = expect_error(&other, &endpoint);
        assert_eq!(kind, ErrorKind::RateLimited);
        ((), first.max(second).max(third))
    });

    // The leader in the same process.
    in_time(|| {
        let endpoint = silent_endpoint();
        let token_state = Cache::new(Clock::Real)
            .token_state(request(), &MEMORY)
            .unwrap();
        let cancel = Cancel::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                let options = CallOptions::new().cancel(cancel.clone());
                token_state.token(
                    &endpoint,
                    &CallContext::start(&options, Duration::from_secs(60)),
                )
            });
            while endpoint.requests() < 1 {
                thread::yield_now();
            }
            let (kind, lateness) = expect_error(&token_state, &endpoint);
            assert_eq!(kind, ErrorKind::Timeout);
            cancel.cancel();
            ((), lateness)
        })
    });

    // Another process, stopped while it holds the lock of the key or of the rate_limiter.
    for lock in ["token-", "gate-"] {
        in_time(|| {
            let endpoint = silent_endpoint();
            let store = Arc::new(MemoryStore::default());
            store.hold(&[lock]);
            let token_state = Cache::new(Clock::Real)
                .token_state(request(), &store.choice())
                .unwrap();
            let (_, lateness) = expect_error(&token_state, &endpoint);
            ((), lateness)
        });
    }
}

#[test]
fn a_cancelled_call_ends_at_once_and_leaves_the_lead_to_others() {
    let (token_state, mut endpoint) = in_time(|| {
        let token_state = Cache::new(Clock::Real)
            .token_state(request(), &MEMORY)
            .unwrap();
        let endpoint = silent_endpoint();
        let cancel = Cancel::new();
        let lateness = thread::scope(|scope| {
            let asking: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let options = CallOptions::new().cancel(cancel.clone());
                        let error =
                            token_state.token(&endpoint, &CallContext::start(&options, SOON * 200));
                        (error.unwrap_err(), Instant::now())
                    })
                })
                .collect();
            while endpoint.requests() < 1 {
                thread::yield_now();
            }
            cancel.cancel();
            let cancelled = Instant::now();
            asking
                .into_iter()
                .map(|asking| {
                    let (_, ended) = asking.join().unwrap();
                    ended.saturating_duration_since(cancelled)
                })
                .max()
                .unwrap()
        });
        ((token_state, endpoint), lateness)
    });
    endpoint.meanwhile = None;
    endpoint.then = Reply::Token(60.0);
    assert!(token_state.token(&endpoint, &call()).is_ok());
}

/// A token_state and its endpoint, with a clock moved by the test.
fn frozen(then: Reply) -> (Arc<ManualClock>, Arc<TokenCacheHandle>, Endpoint) {
    let simulation = ManualClock::frozen();
    let clock = Clock::Simulated(simulation.clone());
    let token_state = Cache::new(clock.clone())
        .token_state(request(), &MEMORY)
        .unwrap();
    let mut endpoint = Endpoint::with_script(&clock, []);
    endpoint.then = then;
    (simulation, token_state, endpoint)
}

#[test]
fn invariant_08_jumps_of_the_clock_do_no_harm() {
    const HOUR: i64 = 3_600_000;
    let (simulation, token_state, endpoint) = frozen(Reply::Token(3600.0));
    let ask = || token_state.token(&endpoint, &call()).unwrap();
    ask();
    // Back: the monotonic clock still makes it expire.
    simulation.step_wall_clock(-100 * HOUR);
    ask();
    assert_eq!(endpoint.requests(), 1);
    simulation.advance(Duration::from_secs(3601));
    ask();
    assert_eq!(endpoint.requests(), 2);
    // Forward, or a machine that slept: the wall clock makes it expire.
    simulation.advance(Duration::from_secs(10));
    simulation.step_wall_clock(2 * HOUR);
    ask();
    assert_eq!(endpoint.requests(), 3);
    // A process that runs while the wall clock stands still, or goes backwards.
    for _ in 0..24 * 60 {
        simulation.advance_mono(Duration::from_secs(60));
        simulation.step_wall_clock(-1_000);
        ask();
    }
    let requests = endpoint.requests() - 3;
    assert!((24..=32).contains(&requests), "{requests}");
}

#[test]
fn invariant_08_odd_lives_do_no_harm() {
    #[rustfmt::skip]
    let table = [
        // What the endpoint answers, and requests in a day of one call a minute.
        ("zero",          Reply::Token(0.0),               1440..=1440),
        ("negative",      Reply::Token(-3600.0),           1440..=1440),
        ("no number",     Reply::Token(f64::NAN),          288..=480),
        ("2^64 - 1",      Reply::Token(u64::MAX as f64),   1..=1),
        ("absent",        Reply::Same(None),               288..=480),
        ("a day",         Reply::Token(86_400.0),          1..=2),
        ("the same token", Reply::Same(Some(3600.0)),      24..=36),
        ("the same, zero", Reply::Same(Some(0.0)),         1440..=1440),
    ];
    for (name, reply, expected) in table {
        let (simulation, token_state, endpoint) = frozen(reply);
        for _ in 0..24 * 60 {
            let token = token_state.token(&endpoint, &call()).unwrap();
            assert!(token.expires_at() > SystemTime::UNIX_EPOCH, "{name}");
            // Once more, as a program does that makes two requests.
            token_state.token(&endpoint, &call()).unwrap();
            simulation.advance(Duration::from_secs(60));
        }
        assert!(
            expected.contains(&endpoint.requests()),
            "{name}: {}",
            endpoint.requests()
        );
    }
}

#[test]
fn a_store_that_fails_costs_sharing_only() {
    type Fault = fn(&MemoryStore);
    let faults: [(&str, Fault); 4] = [
        ("reading", |store| {
            store.reads_fail.store(true, Ordering::SeqCst)
        }),
        ("writing", |store| {
            store.writes_fail.store(true, Ordering::SeqCst)
        }),
        ("locking", |store| {
            store.locking_fails.store(true, Ordering::SeqCst)
        }),
        ("everything", |store| store.everything_fails(true)),
    ];
    for (name, fault) in faults {
        let clock = Clock::Simulated(ManualClock::auto_advancing());
        let store = Arc::new(MemoryStore::default());
        fault(&store);
        let endpoint = Endpoint::new(&clock, []);
        let token_state = Cache::new(clock.clone())
            .token_state(request(), &store.choice())
            .unwrap();
        for _ in 0..3 {
            assert!(token_state.token(&*endpoint, &call()).is_ok(), "{name}");
        }
        assert_eq!(endpoint.requests(), 1, "{name}");
        token_state.reject(&token_state.token(&*endpoint, &call()).unwrap(), &call());
        assert!(token_state.token(&*endpoint, &call()).is_ok(), "{name}");
        // Once it works again, it is used again.
        store.everything_fails(false);
        if let Clock::Simulated(simulation) = &clock {
            simulation.advance(Duration::from_secs(3600));
        }
        let token = token_state.token(&*endpoint, &call()).unwrap();
        let other = Cache::new(clock.clone())
            .token_state(request(), &store.choice())
            .unwrap();
        let shared = other.token(&*endpoint, &call()).unwrap();
        assert_eq!(shared.expose(), token.expose(), "{name}");
    }
}

#[test]
fn a_process_that_hangs_on_to_a_lock_is_not_waited_for_for_ever() {
    // With the second lock held too, it is waited for as long again.
    for (locks, seconds) in [
        (&["token-"][..], 45),
        (&["gate-"], 5),
        (&["token-", "-second"], 85),
        (&["gate-", "-second"], 5),
    ] {
        let clock = Clock::Simulated(ManualClock::auto_advancing());
        let store = Arc::new(MemoryStore::default());
        store.hold(locks);
        let endpoint = Endpoint::new(&clock, []);
        let token_state = || {
            Cache::new(clock.clone())
                .token_state(request(), &store.choice())
                .unwrap()
        };
        let started = clock.now();
        let token = token_state().token(&*endpoint, &call()).unwrap();
        assert!(
            clock.now().mono - started.mono < Duration::from_secs(seconds),
            "{locks:?}"
        );
        // It is shared in spite of the lock, and so is the rate limit.
        let shared = token_state().token(&*endpoint, &call()).unwrap();
        assert_eq!(shared.expose(), token.expose(), "{locks:?}");
        let other = TokenRequest {
            audience: "other.example".into(),
            ..request()
        };
        let other = Cache::new(clock.clone())
            .token_state(other, &store.choice())
            .unwrap();
        other.token(&*endpoint, &call()).unwrap();
        let sent = endpoint.sent();
        assert_eq!(sent.len(), 2, "{locks:?}");
        assert!(
            sent[1].mono - sent[0].mono >= MIN_REQUEST_INTERVAL,
            "{locks:?}"
        );
    }
}

#[test]
fn lease_of_a_token_lock_lasts_as_long_as_the_call() {
    let (cache, clock) = auto_advancing();
    let endpoint = Endpoint::new(&clock, []);
    // What the first block of a 429 and the hold-back of a rejection take together, at most.
    for (timeout, least, most) in [(10, 10, 15), (60, 60, 65), (3_600, 110, 120)] {
        let store = Arc::new(MemoryStore::default());
        let token_state = cache.token_state(request(), &store.choice()).unwrap();
        let call = call_within(Duration::from_secs(timeout));
        token_state.token(&*endpoint, &call).unwrap();
        let leases = store.leases("token-");
        assert_eq!(leases.len(), 1, "{leases:?}");
        let seconds = leases[0].as_secs_f64();
        assert!(seconds >= f64::from(least), "{timeout}: {leases:?}");
        assert!(seconds <= f64::from(most), "{timeout}: {leases:?}");
    }
}

/// A token endpoint that holds back the rejection of bad credentials for 30 s: of a call that ends
/// sooner, it lets the time run out.
struct HoldsBack {
    requests: std::sync::atomic::AtomicUsize,
    accepts: std::sync::atomic::AtomicBool,
}

impl HoldsBack {
    fn new() -> Self {
        HoldsBack {
            requests: 0.into(),
            accepts: true.into(),
        }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl TokenEndpoint for HoldsBack {
    fn fetch(&self, _: &TokenRequest, call: &CallContext) -> Result<TokenResponse, FetchError> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let cause = match self.accepts.load(Ordering::SeqCst) {
            true => {
                return Ok(TokenResponse {
                    access_token: Secret::new(format!("token-{number}")),
                    expires_in: Some(6_000.0),
                    server_date: None,
                });
            }
            false if call.remaining() >= Duration::from_secs(30) => TokenErrorKind::InvalidClient,
            false => {
                call.sleep(Duration::from_secs(3_600)).unwrap_err();
                TokenErrorKind::Cancelled
            }
        };
        Err(FetchError {
            cause,
            error: failure(cause),
        })
    }
}

/// The tokens of two processes with a store in common and a token that is due for refresh.
fn two_processes_with_a_token_due(
    simulation: &Arc<ManualClock>,
    endpoint: &HoldsBack,
) -> [Arc<TokenCacheHandle>; 2] {
    let store = Arc::new(MemoryStore::default());
    let tokens = [(); 2].map(|()| {
        let cache = Cache::new(Clock::Simulated(simulation.clone()));
        let token_state = cache.token_state(request(), &store.choice()).unwrap();
        assert_eq!(
            token_state.token(endpoint, &call()).unwrap().expose(),
            "token-0"
        );
        token_state
    });
    assert_eq!(endpoint.requests(), 1);
    endpoint.accepts.store(false, Ordering::SeqCst);
    // 900 s before its end, jitter included.
    simulation.advance(Duration::from_secs(5_100));
    tokens
}

#[test]
fn invariant_03_a_refresh_with_bad_credentials_sends_one_request_per_refusal_window() {
    let simulation = ManualClock::frozen();
    let endpoint = HoldsBack::new();
    let tokens = two_processes_with_a_token_due(&simulation, &endpoint);
    // Refused for 30 s, then for 60 s, for all processes.
    for (window, requests) in [(30, 2), (60, 3)] {
        for _ in 0..window {
            for token_state in &tokens {
                // Any call keeps its token; the one that refreshes would need more than 30 s.
                let limit = match requests {
                    2 => call(),
                    _ => call_within(Duration::from_millis(1_200)),
                };
                assert_eq!(
                    token_state.token(&endpoint, &limit).unwrap().expose(),
                    "token-0"
                );
            }
            assert_eq!(endpoint.requests(), requests);
            simulation.advance(Duration::from_secs(1));
        }
    }
    // Once the token has expired, one caller waits for the response, for all.
    simulation.advance(Duration::from_secs(810));
    for _ in 0..3 {
        for token_state in &tokens {
            let error = token_state.token(&endpoint, &call()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Authentication);
            assert_eq!(error.message(), "access_denied");
        }
    }
    assert_eq!(endpoint.requests(), 4);
}

#[test]
fn invariant_03_a_refresh_that_times_out_pauses_the_refreshes_of_all_processes() {
    let simulation = ManualClock::frozen();
    let endpoint = HoldsBack::new();
    let tokens = two_processes_with_a_token_due(&simulation, &endpoint);
    // No call has the 30 s after which the endpoint would say why.
    let short = || call_within(Duration::from_millis(1_200));
    for (window, requests) in [(30, 2), (60, 3), (120, 4)] {
        for _ in 0..window {
            for token_state in &tokens {
                assert_eq!(
                    token_state.token(&endpoint, &short()).unwrap().expose(),
                    "token-0"
                );
            }
            assert_eq!(endpoint.requests(), requests);
            simulation.advance(Duration::from_secs(1));
        }
    }
    // Once the pause is over, valid credentials get a new token.
    endpoint.accepts.store(true, Ordering::SeqCst);
    assert_eq!(
        tokens[0].token(&endpoint, &call()).unwrap().expose(),
        "token-4"
    );
}

#[test]
fn invariant_10_nothing_secret_is_shown() {
    let (cache, clock) = auto_advancing();
    let endpoint = Endpoint::new(&clock, []);
    let request = request();
    let token_state = cache.token_state(request.clone(), &MEMORY).unwrap();
    let token = token_state.token(&*endpoint, &call()).unwrap();
    let shown = format!(
        "{request:?} {token_state:?} {token:?} {cache:?} {:#?}",
        (&token_state, &cache)
    );
    for secret in ["hunter2", token.expose()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// Looks through all of this process's memory for a text that was a token, after the last owner of
/// it is gone. The text itself is never whole in memory but in the token.
#[cfg(target_os = "linux")]
#[test]
fn invariant_10_nothing_secret_stays_in_memory() {
    use std::os::unix::fs::FileExt;

    use crate::auth::key::CacheKey;
    use crate::auth::record::{RecordCipher, StoredToken, TokenRecord};
    use crate::auth::{TokenResponse, token};
    use crate::limited::{PROGRAM_LIMIT, run_to_end};

    // In a process of its own, whose memory is small and holds nothing of other tests.
    const ALONE: &str = "CAMUNDA_ADMIN_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "auth::tests::cache_tests::invariant_10_nothing_secret_stays_in_memory";
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", name]).env(ALONE, "1");
        let ended = run_to_end(alone, PROGRAM_LIMIT);
        assert!(ended.status.success(), "{}", ended.stdout);
        return;
    }
    let mask = |byte: u8| byte ^ 0x15;
    let masked: Vec<u8> = (0..40)
        .map(|at: u16| mask(b'a' + (at * 7 % 26) as u8))
        .collect();
    let text = || {
        Secret::new(
            masked
                .iter()
                .map(|byte| mask(*byte) as char)
                .collect::<String>(),
        )
    };
    let places = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let memory = std::fs::File::open("/proc/self/mem").unwrap();
        // It cannot look at itself, so it lies in the middle of nothing, far from what is looked for.
        // It moves on by half its size, so that nothing is missed in between.
        let mut room = vec![0; 1 << 20];
        let window = &mut room[1 << 19..][..8192];
        let own = window.as_ptr() as u64..window.as_ptr() as u64 + 8192;
        let mut found = std::collections::BTreeSet::new();
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
            let [from, to] = [from, to].map(|at| u64::from_str_radix(at, 16).unwrap());
            for at in (from..to).step_by(4096) {
                if at < own.end && own.start < at + 8192 {
                    continue;
                }
                let Ok(read) = memory.read_at(window, at) else {
                    break;
                };
                let texts = window[..read].windows(masked.len()).enumerate();
                let equal = texts.filter(|(_, text)| {
                    text.iter()
                        .zip(&masked)
                        .all(|(byte, masked)| mask(*byte) == *masked)
                });
                found.extend(equal.map(|(offset, _)| at + offset as u64));
                window.fill(0);
            }
        }
        found.len()
    };
    let now = Clock::Real.now();
    let answer = TokenResponse {
        access_token: text(),
        expires_in: Some(60.0),
        server_date: None,
    };
    let life = token::lifetime(&answer, now, now);
    let token = Token::new(&answer.access_token, now.after(life).system_time(), 1).unwrap();
    let stored = StoredToken {
        text: answer.access_token,
        obtained: now.wall_millis(),
        expires: now.after(life).wall_millis(),
    };
    let record = TokenRecord {
        generation: 1,
        token: Some(stored),
        auth_failure: None,
        refresh_pause: None,
    };
    let seal = RecordCipher::new(&request(), CacheKey::of(&request()));
    let sealed = seal.seal(&record).unwrap();
    let opened = seal.open(&sealed).unwrap();
    assert!(places() >= 2, "the search finds what is there");
    drop((token, record, opened));
    assert_eq!(places(), 0);
}

#[test]
fn diagnostics_tell_what_is_going_on() {
    let (simulation, _, mut endpoint) = frozen(Reply::Token(1000.0));
    let store = Arc::new(MemoryStore::default());
    let cache = Cache::new(endpoint.clock.clone());
    let token_state = cache.token_state(request(), &store.choice()).unwrap();
    token_state.token(&endpoint, &call()).unwrap();
    token_state.token(&endpoint, &call()).unwrap();
    simulation.advance(Duration::from_secs(100));
    let told = cache.diagnostics();
    let tokens = serde_json::to_value(&told.tokens).unwrap();
    assert_eq!(tokens[0]["state"], "fresh");
    assert_eq!(tokens[0]["audience"], "api.example");
    assert_eq!(tokens[0]["expires_in"], 895.0);
    assert_eq!(tokens[0]["refresh_in"], 700.0);
    assert_eq!(tokens[0]["last_error"], serde_json::Value::Null);
    assert_eq!(
        (told.counters.token_requests, told.counters.cache_hits),
        (1, 1)
    );
    assert_eq!(
        told.rate_limiters[0].token_host,
        "https://login.example:443"
    );
    assert!(told.stores[0].usable);

    store.everything_fails(true);
    token_state.forget(&call());
    endpoint.then = Reply::Fails(TokenErrorKind::InvalidClient);
    token_state.token(&endpoint, &call()).unwrap_err();
    let told = cache.diagnostics();
    assert_eq!(
        serde_json::to_value(&told.tokens[0]).unwrap()["state"],
        "refused"
    );
    assert_eq!(told.tokens[0].retry_in, Some(30.0));
    assert_eq!(told.tokens[0].last_error.as_deref(), Some("access_denied"));
    assert!(!told.stores[0].usable);
    assert_eq!(
        told.stores[0].last_error.as_deref(),
        Some("as the test says")
    );
    let all = serde_json::to_string(&told).unwrap();
    assert!(!all.contains("hunter2") && !all.contains("token-0") && !all.contains("client-id"));
}

/// A key that was derived from the secret would let it be guessed offline.
#[test]
fn diagnostics_do_not_depend_on_the_secret() {
    let report = |secrets: [&str; 2]| {
        let cache = Cache::new(Clock::Real);
        for secret in secrets {
            let mut request = request();
            request.client_secret = Secret::from(secret);
            let token_state = cache.token_state(request, &MEMORY).unwrap();
            assert_eq!(
                format!("{token_state:?}"),
                "TokenCacheHandle { label: \"9f04c1ad\", .. }"
            );
        }
        serde_json::to_value(cache.diagnostics().tokens).unwrap()
    };
    let tokens = report(["Summer2026!", "Winter2027!"]);
    assert_eq!(tokens[0]["key"], "9f04c1ad-1");
    assert_eq!(tokens[1]["key"], "9f04c1ad-2");
    assert_eq!(tokens, report(["correct horse", "battery staple"]));
}

#[test]
fn invariant_07_a_slow_store_keeps_no_call_beyond_its_deadline() {
    const LATE: Duration = Duration::from_millis(100);
    let late = |timeout: Duration| {
        let clock = Clock::Real;
        let mut store = MemoryStore::default();
        // Nearly as slow as a store may be.
        store.before = Some(|| thread::sleep(Duration::from_millis(200)));
        let store = Arc::new(store);
        let token_state = Cache::new(clock.clone())
            .token_state(request(), &store.choice())
            .unwrap();
        let call = call_within(timeout);
        let _ = token_state.token(&*Endpoint::new(&clock, []), &call);
        call.started().elapsed().saturating_sub(timeout)
    };
    // Whichever of the operations is the last one.
    thread::scope(|scope| {
        for timeout in (250..2_000).step_by(50).map(Duration::from_millis) {
            // A machine under load may delay any single call.
            scope.spawn(move || {
                let tries: Vec<_> = (0..10)
                    .map(|_| late(timeout))
                    .take_while(|late| *late > LATE)
                    .collect();
                assert!(tries.len() < 10, "{timeout:?}: {tries:?}");
            });
        }
    });
}
