//! Invariants of the cache and its stores within one process; see also `multi_process_tests`.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::test_support::{
    Endpoint, MEMORY, MemoryStore, Reply, RespondToTokenRequest, call, call_within, failure,
    request,
};
use crate::auth::cache::{Cache, TokenCacheHandle};
use crate::auth::rate_limiter::MIN_REQUEST_INTERVAL;
use crate::auth::time::{Clock, ManualClock};
use crate::auth::{
    ConnectionSettings, FetchError, StoreLock, Token, TokenCacheConfig, TokenConnection,
    TokenEndpoint, TokenErrorKind, TokenRequest, TokenRequestFormat, TokenResponse, TokenStore,
};
use crate::call::{CallContext, CallOptions, Cancel};
use crate::deadline_check::in_time;
use crate::error::{ErrorKind, Outcome, Stage};
use crate::secret::Secret;

/// Returns a cache whose clock advances by every wait.
fn auto_advancing() -> (Cache, Clock) {
    let clock = Clock::Simulated(ManualClock::auto_advancing());
    (Cache::new(clock.clone()), clock)
}

#[test]
fn token_sends_one_request_for_many_threads() {
    let clock = Clock::Real;
    let cache = Cache::new(clock.clone());
    let handle = cache.handle(request(), &MEMORY).unwrap();
    let mut endpoint = Endpoint::with_script(&clock, []);
    endpoint.meanwhile = Some(Box::new(|_| thread::sleep(Duration::from_millis(20))));
    let barrier = Barrier::new(32);
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                barrier.wait();
                let token = handle.token(&endpoint, &call()).unwrap();
                assert_eq!(token.expose(), "token-0");
            });
        }
    });
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn token_fails_immediately_in_a_callback_of_its_own_request() {
    let clock = Clock::Real;
    let cache = Cache::new(clock.clone());
    let handle = cache.handle(request(), &MEMORY).unwrap();
    let nested = Arc::clone(&handle);
    let inner = Endpoint::new(&clock, []);
    let unused = Arc::clone(&inner);
    let mut endpoint = Endpoint::with_script(&clock, []);
    endpoint.meanwhile = Some(Box::new(move |_| {
        let begun = Instant::now();
        let error = nested
            .token(&*unused, &call_within(Duration::from_secs(60)))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert!(begun.elapsed() < Duration::from_secs(30));
        // Another thread waits for the response.
        let nested = &nested;
        thread::scope(|scope| {
            let waiting =
                scope.spawn(|| nested.token(&*unused, &call_within(Duration::from_millis(100))));
            let error = waiting.join().unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        });
    }));
    assert_eq!(
        handle.token(&endpoint, &call()).unwrap().expose(),
        "token-0"
    );
    assert_eq!(handle.token(&*inner, &call()).unwrap().expose(), "token-0");
    assert_eq!((endpoint.requests(), inner.requests()), (1, 0));
}

/// Returns a handle of the tokens of an audience.
fn handle_of(cache: &Cache, audience: &str) -> Arc<TokenCacheHandle> {
    let request = TokenRequest {
        audience: audience.to_owned(),
        ..request()
    };
    cache.handle(request, &MEMORY).unwrap()
}

fn assert_requests_are_apart(endpoint: &Endpoint, count: usize) {
    let sent = endpoint.sent();
    assert_eq!(sent.len(), count);
    for pair in sent.windows(2) {
        assert!(pair[1].mono - pair[0].mono >= MIN_REQUEST_INTERVAL);
    }
}

#[test]
fn callback_can_request_another_token_while_its_caller_waits_for_the_rate_limit() {
    let clock = Clock::Real;
    let cache = Cache::new(clock.clone());
    let endpoint = Endpoint::new(&clock, []);
    let of = |audience| handle_of(&cache, audience);
    of("first.example").token(&*endpoint, &call()).unwrap();
    let (nested, inner) = (of("nested.example"), Arc::clone(&endpoint));
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let options = CallOptions::new().interrupt_check(move || {
        if is_first.swap(false, Ordering::SeqCst) {
            let timeout = Duration::from_secs(20);
            nested.token(&*inner, &call_within(timeout)).unwrap();
        }
        false
    });
    let outer = CallContext::start(&options, Duration::from_secs(60));
    of("outer.example").token(&*endpoint, &outer).unwrap();
    assert_requests_are_apart(&endpoint, 3);
}

#[test]
fn callback_can_wait_for_a_token_whose_request_is_behind_that_of_its_caller() {
    let clock = Clock::Real;
    let cache = Cache::new(clock.clone());
    let endpoint = Endpoint::new(&clock, []);
    let of = |audience| handle_of(&cache, audience);
    of("first.example").token(&*endpoint, &call()).unwrap();
    let limit = Duration::from_secs(20);
    let (start, started) = std::sync::mpsc::channel();
    let (queue, queued) = std::sync::mpsc::channel();
    let (later, nested) = (of("later.example"), of("later.example"));
    let thread = {
        let endpoint = Arc::clone(&endpoint);
        std::thread::spawn(move || {
            started.recv_timeout(limit).unwrap();
            let options = CallOptions::new().interrupt_check(move || {
                let _ = queue.send(());
                false
            });
            let call = CallContext::start(&options, Duration::from_secs(60));
            later.token(&*endpoint, &call).unwrap();
        })
    };
    let inner = Arc::clone(&endpoint);
    let pending = std::sync::Mutex::new(Some((start, queued)));
    let options = CallOptions::new().interrupt_check(move || {
        if let Some((start, queued)) = pending.lock().unwrap().take() {
            start.send(()).unwrap();
            // The first check can be before the request is in the queue.
            for _ in 0..2 {
                queued.recv_timeout(limit).unwrap();
            }
            nested.token(&*inner, &call_within(limit)).unwrap();
        }
        false
    });
    let outer = CallContext::start(&options, Duration::from_secs(60));
    of("outer.example").token(&*endpoint, &outer).unwrap();
    thread.join().unwrap();
    assert_requests_are_apart(&endpoint, 3);
}

#[test]
fn handles_share_an_entry_only_for_equal_credentials() {
    let (cache, clock) = auto_advancing();
    let endpoint = Endpoint::new(&clock, []);
    let other = TokenRequest {
        audience: "other.example".into(),
        ..request()
    };
    let tokens =
        [request(), request(), other].map(|request| cache.handle(request, &MEMORY).unwrap());
    let tokens = tokens.map(|handle| handle.token(&*endpoint, &call()).unwrap());
    assert_eq!(tokens[0].expose(), tokens[1].expose());
    assert_ne!(tokens[0].expose(), tokens[2].expose());
    let sent = endpoint.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent[1].mono - sent[0].mono >= MIN_REQUEST_INTERVAL);
}

/// Records when connections are opened. The first one fails.
struct Connections {
    endpoint: Arc<Endpoint>,
    clock: Clock,
    failure: TokenErrorKind,
    opened: Mutex<Vec<Duration>>,
}

impl Connections {
    fn new(clock: Clock, failure: TokenErrorKind) -> Self {
        Connections {
            endpoint: Endpoint::new(&clock, []),
            clock,
            failure,
            opened: Mutex::default(),
        }
    }
}

impl TokenEndpoint for Connections {
    fn connect<'a>(
        &'a self,
        request: &'a TokenRequest,
        call: &CallContext,
    ) -> Result<Box<dyn TokenConnection + 'a>, FetchError> {
        let mut opened = self.opened.lock().unwrap();
        opened.push(self.clock.now().mono);
        if opened.len() == 1 {
            let (kind, error) = (self.failure, failure(self.failure));
            return Err(FetchError { kind, error });
        }
        self.endpoint.connect(request, call)
    }
}

#[test]
fn connection_is_opened_ahead_of_the_permit_unless_the_last_one_failed() {
    let (cache, clock) = auto_advancing();
    let connections = Connections::new(clock, TokenErrorKind::Transient);
    for audience in ["a.example", "b.example"] {
        let request = TokenRequest {
            audience: audience.into(),
            ..request()
        };
        let handle = cache.handle(request, &MEMORY).unwrap();
        handle.token(&connections, &call()).unwrap();
    }
    let opened = connections.opened.into_inner().unwrap();
    let [failed, first, second] = opened[..] else {
        panic!("{opened:?}")
    };
    // The failed one counts as a request.
    assert!(first - failed >= MIN_REQUEST_INTERVAL, "{opened:?}");
    let sent = connections.endpoint.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent[1].mono - sent[0].mono >= MIN_REQUEST_INTERVAL);
    assert!(
        second < sent[0].mono + MIN_REQUEST_INTERVAL / 2,
        "{opened:?}"
    );
}

#[test]
fn connection_that_a_call_cancelled_delays_no_other() {
    let (cache, clock) = auto_advancing();
    let connections = Connections::new(clock, TokenErrorKind::Cancelled);
    let handle = cache.handle(request(), &MEMORY).unwrap();
    handle.token(&connections, &call()).unwrap_err();
    handle.token(&connections, &call()).unwrap();
    let opened = connections.opened.into_inner().unwrap();
    let [cancelled, second] = opened[..] else {
        panic!("{opened:?}")
    };
    assert!(second < cancelled + MIN_REQUEST_INTERVAL / 2, "{opened:?}");
}

/// A store whose operations take simulated time.
struct SlowStore {
    store: MemoryStore,
    clock: Arc<ManualClock>,
    read_time: Duration,
    write_time: Duration,
}

impl TokenStore for SlowStore {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.clock.advance(self.read_time);
        self.store.get(name)
    }

    fn put(&self, name: &str, value: &[u8], ttl: Duration) -> io::Result<()> {
        self.clock.advance(self.write_time);
        self.store.put(name, value, ttl)
    }

    fn try_lock(&self, name: &str, lease: Duration) -> io::Result<Option<StoreLock>> {
        self.store.try_lock(name, lease)
    }

    fn describe(&self) -> String {
        "slow".to_owned()
    }
}

#[test]
fn token_is_requested_although_the_store_is_always_slow() {
    let manual = ManualClock::auto_advancing();
    let clock = Clock::Simulated(Arc::clone(&manual));
    let store = SlowStore {
        store: MemoryStore::default(),
        clock: manual,
        // Longer than a lock of the rate limiter may be held before its record is written.
        read_time: Duration::from_millis(1_200),
        write_time: Duration::ZERO,
    };
    let config = TokenCacheConfig::Custom(Arc::new(store));
    let handle = Cache::new(clock.clone()).handle(request(), &config);
    let endpoint = Endpoint::new(&clock, []);
    // The remaining time of the call is real, and decides how long the fetch lock is held.
    let call = call_within(Duration::from_secs(60));
    let token = handle.unwrap().token(&*endpoint, &call);
    assert_eq!(token.unwrap().expose(), "token-0");
}

#[test]
fn token_fails_for_all_callers_after_one_rejection() {
    let (cache, clock) = auto_advancing();
    let handle = cache.handle(request(), &MEMORY).unwrap();
    let endpoint = Endpoint::new(&clock, [Reply::Fails(TokenErrorKind::InvalidClient)]);
    for _ in 0..10 {
        let error = handle.token(&*endpoint, &call()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert_eq!(error.outcome(), Outcome::NotSent);
        assert_eq!(error.message(), "access_denied");
        assert!(error.retry_after().is_some());
    }
    assert_eq!(endpoint.requests(), 1);
    handle.clear_auth_failure(&call());
    assert!(handle.token(&*endpoint, &call()).is_ok());
}

/// A token endpoint as it is seen by a client with connection settings of its own.
struct WithSettings(Arc<Endpoint>);

impl RespondToTokenRequest for WithSettings {
    fn respond(
        &self,
        request: &TokenRequest,
        call: &CallContext,
    ) -> Result<TokenResponse, FetchError> {
        self.0.respond(request, call)
    }

    fn connection_settings(&self) -> ConnectionSettings {
        ConnectionSettings(1)
    }
}

#[test]
fn backoff_does_not_apply_to_a_client_with_other_connection_settings() {
    let (cache, clock) = auto_advancing();
    let handle = cache.handle(request(), &MEMORY).unwrap();
    let down = [Reply::Fails(TokenErrorKind::Transient); 3];
    let endpoint = Endpoint::new(&clock, down);
    let error = handle.token(&*endpoint, &call()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    let sent = endpoint.sent();
    let token = handle.token(&WithSettings(endpoint.clone()), &call());
    assert_eq!(token.unwrap().expose(), "token-0");
    // The backoff is 4 s, less a random quarter.
    let waited = endpoint.sent()[3].mono - sent[2].mono;
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    assert!(waited >= MIN_REQUEST_INTERVAL, "{waited:?}");
}

#[test]
fn token_fails_for_all_processes_after_one_invalid_request() {
    let store = Arc::new(MemoryStore::default());
    let clock = Clock::Simulated(ManualClock::frozen());
    let mut endpoint = Endpoint::with_script(&clock, []);
    endpoint.then = Reply::Fails(TokenErrorKind::InvalidRequest);
    let process = || {
        Cache::new(clock.clone())
            .handle(request(), &store.config())
            .unwrap()
    };
    for handle in [process(), process()] {
        for _ in 0..3 {
            let error = handle.token(&endpoint, &call()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert_eq!(error.outcome(), Outcome::NotSent);
            assert_eq!(error.message(), "invalid_scope");
            assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
        }
    }
    assert_eq!(endpoint.requests(), 1);
    // An endpoint may accept another format.
    let form = TokenRequest {
        format: TokenRequestFormat::Form,
        ..request()
    };
    let handle = Cache::new(clock.clone()).handle(form, &store.config());
    let call = call_within(Duration::from_secs(600));
    endpoint.then = Reply::Token(3600.0);
    let Clock::Simulated(simulation) = &clock else {
        unreachable!()
    };
    simulation.advance(MIN_REQUEST_INTERVAL);
    assert!(handle.unwrap().token(&endpoint, &call).is_ok());
    assert_eq!(endpoint.requests(), 2);
}

#[test]
fn token_retries_transient_failures() {
    let (cache, clock) = auto_advancing();
    let handle = cache.handle(request(), &MEMORY).unwrap();
    let down = Reply::Fails(TokenErrorKind::Transient);
    let endpoint = Endpoint::new(&clock, [down, down, Reply::Token(60.0), down, down, down]);
    assert!(handle.token(&*endpoint, &call()).is_ok());
    handle.forget(&call());
    let error = handle.token(&*endpoint, &call()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert_eq!(endpoint.requests(), 6);
}

#[test]
fn token_fails_immediately_after_a_permanent_failure() {
    let (cache, clock) = auto_advancing();
    let handle = cache.handle(request(), &MEMORY).unwrap();
    let endpoint = Endpoint::new(&clock, [Reply::Fails(TokenErrorKind::Permanent)]);
    let error = handle.token(&*endpoint, &call()).unwrap_err();
    assert_eq!(error.message(), "not trusted");
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!(endpoint.requests(), 1);
    assert!(handle.token(&*endpoint, &call()).is_ok());
}

#[test]
fn rate_limit_of_a_429_applies_to_all_credentials_of_the_host() {
    let clock = Clock::Simulated(ManualClock::frozen());
    let cache = Cache::new(clock.clone());
    let limited = Reply::Fails(TokenErrorKind::RateLimited { retry_after: None });
    let endpoint = Endpoint::new(&clock, [limited]);
    let other = TokenRequest {
        audience: "other.example".into(),
        ..request()
    };
    for request in [request(), other, request()] {
        let handle = cache.handle(request, &MEMORY).unwrap();
        let error = handle
            .token(&*endpoint, &call_within(Duration::from_secs(30)))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        assert!(error.retry_after().unwrap() >= Duration::from_secs(59));
    }
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn token_succeeds_after_a_panic_of_another_caller() {
    let (cache, clock) = auto_advancing();
    let handle = cache.handle(request(), &MEMORY).unwrap();
    let endpoint = Endpoint::new(&clock, [Reply::Panics]);
    thread::scope(|scope| {
        let leader = scope.spawn(|| handle.token(&*endpoint, &call()));
        assert!(leader.join().is_err());
    });
    assert!(handle.token(&*endpoint, &call()).is_ok());
}

#[test]
fn invariant_04_failed_refresh_keeps_the_valid_token() {
    let simulation = ManualClock::frozen();
    let clock = Clock::Simulated(simulation.clone());
    let cache = Cache::new(clock.clone());
    let handle = cache.handle(request(), &MEMORY).unwrap();
    let endpoint = Endpoint::new(
        &clock,
        [
            Reply::Token(1_000.0),
            Reply::Fails(TokenErrorKind::Transient),
            Reply::Fails(TokenErrorKind::Cancelled),
            Reply::Fails(TokenErrorKind::InvalidClient),
        ],
    );
    let first = handle.token(&*endpoint, &call()).unwrap();
    simulation.advance(Duration::from_secs(850));
    while endpoint.requests() < 4 {
        let token = handle.token(&*endpoint, &call()).unwrap();
        assert_eq!(token.expose(), first.expose());
        simulation.advance(Duration::from_secs(1));
    }
    simulation.advance(Duration::from_secs(30));
    let second = handle.token(&*endpoint, &call()).unwrap();
    assert_ne!(second.expose(), first.expose());
}

#[test]
fn invariant_09_child_does_not_wait_for_an_inherited_lock() {
    let clock = Clock::Simulated(ManualClock::auto_advancing());
    // The cache of a parent, as its child sees it.
    let mut parents = Cache::new(clock.clone());
    parents.pid = 0;
    let endpoint = Endpoint::new(&clock, []);
    let handle = parents.handle(request(), &MEMORY).unwrap();
    let cached = Arc::clone(handle.entry.inherit(Arc::clone));
    let locked = cached.lock();
    let child = Cache::inherited(&parents);
    assert_eq!(child.pid, std::process::id());
    let in_child = child.handle(request(), &MEMORY).unwrap();
    assert!(in_child.token(&*endpoint, &call()).is_ok());
    drop(locked);
}

#[test]
fn child_inherits_the_token_when_the_store_fails() {
    let (parents, clock) = auto_advancing();
    let store = Arc::new(MemoryStore::default());
    let endpoint = Endpoint::new(&clock, []);
    let parents_slot = parents.handle(request(), &store.config()).unwrap();
    let token = parents_slot.token(&*endpoint, &call()).unwrap();
    store.everything_fails(true);
    let child = Cache::inherited(&parents);
    let in_child = child.handle(request(), &store.config()).unwrap();
    let same = in_child.token(&*endpoint, &call()).unwrap();
    assert_eq!(same.expose(), token.expose());
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn custom_store_is_dropped_with_its_last_client() {
    let (cache, clock) = auto_advancing();
    let store = Arc::new(MemoryStore::default());
    let weak_store = Arc::downgrade(&store);
    let config = store.config();
    drop(store);
    let tokens = [(); 2].map(|()| cache.handle(request(), &config).unwrap());
    drop(config);
    let endpoint = Endpoint::new(&clock, []);
    for handle in tokens {
        handle.token(&*endpoint, &call()).unwrap();
        assert!(weak_store.strong_count() > 0);
        assert_eq!(cache.diagnostics().tokens.len(), 1);
    }
    // Both clients of the store shared an entry.
    assert_eq!(endpoint.requests(), 1);
    assert_eq!(weak_store.strong_count(), 0);
    let diagnostics = cache.diagnostics();
    assert!(diagnostics.tokens.is_empty() && diagnostics.stores.is_empty());
}

/// Blocks a request until its call ends.
fn block_until_call_ends(call: &CallContext) {
    while call.sleep(Duration::from_secs(3600)).is_ok() {}
}

/// Gets tokens on `threads` threads concurrently.
fn together(threads: usize, handle: &TokenCacheHandle, endpoint: &Endpoint) -> Vec<Token> {
    let barrier = Barrier::new(threads);
    thread::scope(|scope| {
        let get_token = || {
            barrier.wait();
            handle.token(endpoint, &call()).unwrap()
        };
        let threads_waiting: Vec<_> = (0..threads).map(|_| scope.spawn(get_token)).collect();
        threads_waiting
            .into_iter()
            .map(|threads_waiting| threads_waiting.join().unwrap())
            .collect()
    })
}

#[test]
fn invariant_01_one_token_request_for_all_caches_with_a_shared_store() {
    let store = Arc::new(MemoryStore::default());
    let mut endpoint = Endpoint::with_script(&Clock::Real, []);
    endpoint.meanwhile = Some(Box::new(|_| thread::sleep(Duration::from_millis(20))));
    let caches: Vec<_> = (0..4).map(|_| Cache::new(Clock::Real)).collect();
    thread::scope(|scope| {
        for cache in &caches {
            let handle = cache.handle(request(), &store.config()).unwrap();
            let endpoint = &endpoint;
            scope.spawn(move || {
                for token in together(8, &handle, endpoint) {
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
fn invariant_05_reject_drops_only_the_rejected_token() {
    let (cache, clock) = auto_advancing();
    let endpoint = Endpoint::new(&clock, []);
    let handle = cache.handle(request(), &MEMORY).unwrap();
    let old = handle.token(&*endpoint, &call()).unwrap();
    let new = thread::scope(|scope| {
        let replace = || {
            handle.invalidate(&old, &call());
            handle.token(&*endpoint, &call()).unwrap()
        };
        let replacing: Vec<_> = (0..8).map(|_| scope.spawn(replace)).collect();
        replacing
            .into_iter()
            .map(|it| it.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(new.iter().all(|token| token.expose() == "token-1"));
    handle.invalidate(&old, &call());
    assert_eq!(
        handle.token(&*endpoint, &call()).unwrap().expose(),
        "token-1"
    );
    assert_eq!(endpoint.requests(), 2);
}

#[test]
fn invariant_05_reject_uses_the_token_that_another_process_stored() {
    let clock = Clock::Simulated(ManualClock::auto_advancing());
    let store = Arc::new(MemoryStore::default());
    let endpoint = Endpoint::new(&clock, []);
    let caches = [Cache::new(clock.clone()), Cache::new(clock.clone())];
    let tokens = caches
        .each_ref()
        .map(|cache| cache.handle(request(), &store.config()).unwrap());
    let old = tokens
        .each_ref()
        .map(|handle| handle.token(&*endpoint, &call()).unwrap());
    assert_eq!(old[0].expose(), old[1].expose());
    tokens[0].invalidate(&old[0], &call());
    // A new process does not get it from the store either.
    let third = Cache::new(clock.clone())
        .handle(request(), &store.config())
        .unwrap();
    assert_eq!(
        third.token(&*endpoint, &call()).unwrap().expose(),
        "token-1"
    );
    tokens[1].invalidate(&old[1], &call());
    for handle in &tokens {
        assert_eq!(
            handle.token(&*endpoint, &call()).unwrap().expose(),
            "token-1"
        );
    }
    assert_eq!(endpoint.requests(), 2);
}

#[test]
fn forget_removes_the_token_from_the_store() {
    let clock = Clock::Simulated(ManualClock::auto_advancing());
    let store = Arc::new(MemoryStore::default());
    let endpoint = Endpoint::new(&clock, []);
    let handle = Cache::new(clock.clone())
        .handle(request(), &store.config())
        .unwrap();
    handle.token(&*endpoint, &call()).unwrap();
    handle.forget(&call());
    let other = Cache::new(clock.clone())
        .handle(request(), &store.config())
        .unwrap();
    assert_eq!(
        other.token(&*endpoint, &call()).unwrap().expose(),
        "token-1"
    );
}

#[test]
fn clear_auth_failure_applies_to_the_store() {
    for can_lock in [true, false] {
        let store = MemoryStore::default();
        store.locking_fails.store(!can_lock, Ordering::SeqCst);
        check_that_clear_auth_failure_applies_to(Arc::new(store));
    }
}

#[track_caller]
fn check_that_clear_auth_failure_applies_to(store: Arc<MemoryStore>) {
    let clock = Clock::Simulated(ManualClock::auto_advancing());
    let endpoint = Endpoint::new(&clock, [Reply::Fails(TokenErrorKind::InvalidClient)]);
    let tokens = [0, 1].map(|_| {
        Cache::new(clock.clone())
            .handle(request(), &store.config())
            .unwrap()
    });
    for handle in &tokens {
        assert!(handle.token(&*endpoint, &call()).is_err());
    }
    assert_eq!(endpoint.requests(), 1);
    tokens[0].clear_auth_failure(&call());
    let third = Cache::new(clock.clone())
        .handle(request(), &store.config())
        .unwrap();
    assert!(third.token(&*endpoint, &call()).is_ok());
}

/// A timeout that is long enough for stores to be used.
const SOON: Duration = Duration::from_millis(300);

/// Expects that no token is available. Returns the error's kind, and how late it came.
#[track_caller]
fn expect_error(handle: &TokenCacheHandle, endpoint: &Endpoint) -> (ErrorKind, Duration) {
    let started = Instant::now();
    let error = handle.token(endpoint, &call_within(SOON)).unwrap_err();
    let lateness = started.elapsed().saturating_sub(SOON);
    assert_eq!(
        (error.stage(), error.outcome()),
        (Stage::Token, Outcome::NotSent)
    );
    (error.kind(), lateness)
}

/// Returns an endpoint that never responds.
fn silent_endpoint() -> Endpoint {
    let mut endpoint = Endpoint::with_script(&Clock::Real, []);
    endpoint.meanwhile = Some(Box::new(block_until_call_ends));
    endpoint.then = Reply::Fails(TokenErrorKind::Cancelled);
    endpoint
}

#[test]
fn invariant_07_no_call_exceeds_its_deadline() {
    in_time(|| {
        let cache = Cache::new(Clock::Real);
        let handle = cache.handle(request(), &MEMORY).unwrap();
        let endpoint = silent_endpoint();
        // The endpoint.
        let (_, first) = expect_error(&handle, &endpoint);
        // The backoff after that.
        let (kind, second) = expect_error(&handle, &endpoint);
        assert_eq!(kind, ErrorKind::Network);
        // The rate limiter.
        let other = TokenRequest {
            audience: "other.example".into(),
            ..request()
        };
        let other = cache.handle(other, &MEMORY).unwrap();
        let (kind, third) = expect_error(&other, &endpoint);
        assert_eq!(kind, ErrorKind::RateLimited);
        ((), first.max(second).max(third))
    });

    // The in-flight request of the same process.
    in_time(|| {
        let endpoint = silent_endpoint();
        let handle = Cache::new(Clock::Real).handle(request(), &MEMORY).unwrap();
        let cancel = Cancel::new();
        thread::scope(|scope| {
            scope.spawn(|| {
                let options = CallOptions::new().cancel(cancel.clone());
                handle.token(
                    &endpoint,
                    &CallContext::start(&options, Duration::from_secs(60)),
                )
            });
            while endpoint.requests() < 1 {
                thread::yield_now();
            }
            let (kind, lateness) = expect_error(&handle, &endpoint);
            assert_eq!(kind, ErrorKind::Timeout);
            cancel.cancel();
            ((), lateness)
        })
    });

    // Another process, stopped while it holds the lock of the token or of the rate limiter.
    for lock in ["token-", "rate-limit-"] {
        in_time(|| {
            let endpoint = silent_endpoint();
            let store = Arc::new(MemoryStore::default());
            store.hold(&[lock]);
            let handle = Cache::new(Clock::Real)
                .handle(request(), &store.config())
                .unwrap();
            let (_, lateness) = expect_error(&handle, &endpoint);
            ((), lateness)
        });
    }
}

#[test]
fn cancelled_call_ends_immediately_and_another_sends_the_request() {
    let (handle, mut endpoint) = in_time(|| {
        let handle = Cache::new(Clock::Real).handle(request(), &MEMORY).unwrap();
        let endpoint = silent_endpoint();
        let cancel = Cancel::new();
        let lateness = thread::scope(|scope| {
            let threads_waiting: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let options = CallOptions::new().cancel(cancel.clone());
                        let error =
                            handle.token(&endpoint, &CallContext::start(&options, SOON * 200));
                        (error.unwrap_err(), Instant::now())
                    })
                })
                .collect();
            while endpoint.requests() < 1 {
                thread::yield_now();
            }
            cancel.cancel();
            let cancelled = Instant::now();
            threads_waiting
                .into_iter()
                .map(|threads_waiting| {
                    let (_, ended) = threads_waiting.join().unwrap();
                    ended.saturating_duration_since(cancelled)
                })
                .max()
                .unwrap()
        });
        ((handle, endpoint), lateness)
    });
    endpoint.meanwhile = None;
    endpoint.then = Reply::Token(60.0);
    assert!(handle.token(&endpoint, &call()).is_ok());
}

/// A handle and its endpoint, with a clock moved by the test.
fn frozen(then: Reply) -> (Arc<ManualClock>, Arc<TokenCacheHandle>, Endpoint) {
    let simulation = ManualClock::frozen();
    let clock = Clock::Simulated(simulation.clone());
    let handle = Cache::new(clock.clone())
        .handle(request(), &MEMORY)
        .unwrap();
    let mut endpoint = Endpoint::with_script(&clock, []);
    endpoint.then = then;
    (simulation, handle, endpoint)
}

#[test]
fn invariant_08_token_expires_on_either_clock_when_one_is_set() {
    const HOUR: i64 = 3_600_000;
    let (simulation, handle, endpoint) = frozen(Reply::Token(3600.0));
    let get_token = || handle.token(&endpoint, &call()).unwrap();
    get_token();
    // Backward: the token still expires on the monotonic clock.
    simulation.step_wall_clock(-100 * HOUR);
    get_token();
    assert_eq!(endpoint.requests(), 1);
    simulation.advance(Duration::from_secs(3601));
    get_token();
    assert_eq!(endpoint.requests(), 2);
    // Forward, or a machine that slept: the token expires on the wall clock.
    simulation.advance(Duration::from_secs(10));
    simulation.step_wall_clock(2 * HOUR);
    get_token();
    assert_eq!(endpoint.requests(), 3);
    // A process that runs while the wall clock stands still, or goes backwards.
    for _ in 0..24 * 60 {
        simulation.advance_mono(Duration::from_secs(60));
        simulation.step_wall_clock(-1_000);
        get_token();
    }
    let requests = endpoint.requests() - 3;
    assert!((24..=32).contains(&requests), "{requests}");
}

#[test]
fn invariant_08_odd_lifetimes_cause_no_request_storm() {
    #[rustfmt::skip]
    let table = [
        // The response of the endpoint, and the requests in a day of one call per minute.
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
        let (simulation, handle, endpoint) = frozen(reply);
        for _ in 0..24 * 60 {
            let token = handle.token(&endpoint, &call()).unwrap();
            assert!(token.expires_at() > SystemTime::UNIX_EPOCH, "{name}");
            // Again, as a program with two requests does.
            handle.token(&endpoint, &call()).unwrap();
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
fn token_succeeds_when_the_store_fails() {
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
        let handle = Cache::new(clock.clone())
            .handle(request(), &store.config())
            .unwrap();
        for _ in 0..3 {
            assert!(handle.token(&*endpoint, &call()).is_ok(), "{name}");
        }
        assert_eq!(endpoint.requests(), 1, "{name}");
        handle.invalidate(&handle.token(&*endpoint, &call()).unwrap(), &call());
        assert!(handle.token(&*endpoint, &call()).is_ok(), "{name}");
        // Once it works again, it is used again.
        store.everything_fails(false);
        if let Clock::Simulated(simulation) = &clock {
            simulation.advance(Duration::from_secs(3600));
        }
        let token = handle.token(&*endpoint, &call()).unwrap();
        let other = Cache::new(clock.clone())
            .handle(request(), &store.config())
            .unwrap();
        let shared = other.token(&*endpoint, &call()).unwrap();
        assert_eq!(shared.expose(), token.expose(), "{name}");
    }
}

#[test]
fn fetch_proceeds_without_lock_after_lock_timeout() {
    // With the second lock held too, the wait is twice as long.
    for (locks, seconds) in [
        (&["token-"][..], 45),
        (&["rate-limit-"], 5),
        (&["token-", "-second"], 85),
        (&["rate-limit-", "-second"], 5),
    ] {
        let clock = Clock::Simulated(ManualClock::auto_advancing());
        let store = Arc::new(MemoryStore::default());
        store.hold(locks);
        let endpoint = Endpoint::new(&clock, []);
        let handle = || {
            Cache::new(clock.clone())
                .handle(request(), &store.config())
                .unwrap()
        };
        let started = clock.now();
        let token = handle().token(&*endpoint, &call()).unwrap();
        assert!(
            clock.now().mono - started.mono < Duration::from_secs(seconds),
            "{locks:?}"
        );
        // It is shared despite the lock, and so is the rate limit.
        let shared = handle().token(&*endpoint, &call()).unwrap();
        assert_eq!(shared.expose(), token.expose(), "{locks:?}");
        let other = TokenRequest {
            audience: "other.example".into(),
            ..request()
        };
        let other = Cache::new(clock.clone())
            .handle(other, &store.config())
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

/// A token endpoint, during the connections to which something happens.
struct Connecting<'a, F>(&'a Endpoint, F);

impl<F: Fn()> TokenEndpoint for Connecting<'_, F> {
    fn connect<'a>(
        &'a self,
        request: &'a TokenRequest,
        call: &CallContext,
    ) -> Result<Box<dyn TokenConnection + 'a>, FetchError> {
        (self.1)();
        self.0.connect(request, call)
    }
}

#[test]
fn request_is_delayed_when_the_store_fails_during_the_wait_for_a_permit() {
    let (cache, clock) = auto_advancing();
    let store = Arc::new(MemoryStore::default());
    let endpoint = Endpoint::with_script(&clock, []);
    let token = |audience: &str, endpoint: &dyn TokenEndpoint| {
        let request = TokenRequest {
            audience: audience.to_owned(),
            ..request()
        };
        let handle = cache.handle(request, &store.config()).unwrap();
        handle.token(endpoint, &call()).unwrap();
    };
    token("one.example", &endpoint);
    let connecting = Connecting(&endpoint, || store.everything_fails(true));
    token("two.example", &connecting);
    let sent = endpoint.sent();
    assert_eq!(sent.len(), 2);
    // Other hosts knew of the first request too, and would all send at the end of the interval.
    let least = MIN_REQUEST_INTERVAL + Duration::from_secs(1);
    let apart = sent[1].mono - sent[0].mono;
    assert!(apart >= least, "{apart:?}");
}

#[test]
fn call_without_time_to_read_the_shared_rate_limit_sends_no_request() {
    let (cache, clock) = auto_advancing();
    let store = Arc::new(MemoryStore::default());
    let endpoint = Endpoint::new(&clock, []);
    let handle = cache.handle(request(), &store.config()).unwrap();
    let short = || call_within(Duration::from_millis(240));
    let error = handle.token(&*endpoint, &short()).unwrap_err();
    assert_eq!(
        (error.kind(), error.stage(), error.outcome()),
        (ErrorKind::Timeout, Stage::Token, Outcome::NotSent)
    );
    assert_eq!(
        error.message(),
        "token request not sent: less than 250 ms left, too little to apply the rate limit of the \
         token store"
    );
    assert_eq!(endpoint.requests(), 0);
    // A store that failed before keeps no call from sending a request.
    store.everything_fails(true);
    handle.token(&*endpoint, &call()).unwrap();
    let other_host = TokenRequest {
        token_url: "https://other.example/oauth/token".to_owned(),
        ..request()
    };
    let handle = cache.handle(other_host, &store.config()).unwrap();
    assert!(handle.token(&*endpoint, &short()).is_ok());
    assert_eq!(endpoint.requests(), 2);
}

#[test]
fn permit_in_a_store_has_the_time_after_the_write() {
    let manual = ManualClock::auto_advancing();
    let clock = Clock::Simulated(Arc::clone(&manual));
    let store: Arc<dyn TokenStore> = Arc::new(SlowStore {
        store: MemoryStore::default(),
        clock: manual,
        read_time: Duration::ZERO,
        write_time: Duration::from_millis(200),
    });
    let mut endpoint = Endpoint::with_script(&clock, []);
    let handle = |audience: &str| {
        let request = TokenRequest {
            audience: audience.to_owned(),
            ..request()
        };
        let config = TokenCacheConfig::Custom(Arc::clone(&store));
        Cache::new(clock.clone()).handle(request, &config).unwrap()
    };
    // The first request gets its response after the second was sent.
    let second = handle("two.example");
    let other = Endpoint::new(&clock, []);
    endpoint.meanwhile = Some(Box::new({
        let other = Arc::clone(&other);
        move |_| {
            second.token(&*other, &call()).unwrap();
        }
    }));
    handle("one.example").token(&endpoint, &call()).unwrap();
    let (first, second) = (endpoint.sent(), other.sent());
    assert_eq!((first.len(), second.len()), (1, 1));
    assert!(second[0].mono - first[0].mono >= MIN_REQUEST_INTERVAL);
}

#[test]
fn lease_of_a_token_lock_lasts_as_long_as_the_call() {
    let (cache, clock) = auto_advancing();
    let endpoint = Endpoint::new(&clock, []);
    // The maximum covers the first block of a 429 and the delayed rejection of bad credentials.
    for (timeout, least, most) in [(10, 10, 15), (60, 60, 65), (3_600, 110, 120)] {
        let store = Arc::new(MemoryStore::default());
        let handle = cache.handle(request(), &store.config()).unwrap();
        let call = call_within(Duration::from_secs(timeout));
        handle.token(&*endpoint, &call).unwrap();
        let leases = store.leases("token-");
        assert_eq!(leases.len(), 1, "{leases:?}");
        let seconds = leases[0].as_secs_f64();
        assert!(seconds >= f64::from(least), "{timeout}: {leases:?}");
        assert!(seconds <= f64::from(most), "{timeout}: {leases:?}");
    }
}

/// A token endpoint that delays the rejection of bad credentials by 30 s; a call that ends sooner
/// times out.
struct DelayedRejection {
    requests: std::sync::atomic::AtomicUsize,
    accepts: std::sync::atomic::AtomicBool,
}

impl DelayedRejection {
    fn new() -> Self {
        DelayedRejection {
            requests: 0.into(),
            accepts: true.into(),
        }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl RespondToTokenRequest for DelayedRejection {
    fn respond(&self, _: &TokenRequest, call: &CallContext) -> Result<TokenResponse, FetchError> {
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
            kind: cause,
            error: failure(cause),
        })
    }
}

/// Returns the handles of two processes that share a store and a token that is due for refresh.
fn two_processes_with_a_token_due(
    simulation: &Arc<ManualClock>,
    endpoint: &DelayedRejection,
) -> [Arc<TokenCacheHandle>; 2] {
    let store = Arc::new(MemoryStore::default());
    let tokens = [(); 2].map(|()| {
        let cache = Cache::new(Clock::Simulated(simulation.clone()));
        let handle = cache.handle(request(), &store.config()).unwrap();
        assert_eq!(handle.token(endpoint, &call()).unwrap().expose(), "token-0");
        handle
    });
    assert_eq!(endpoint.requests(), 1);
    endpoint.accepts.store(false, Ordering::SeqCst);
    // 900 s before its end, jitter included.
    simulation.advance(Duration::from_secs(5_100));
    tokens
}

#[test]
fn invariant_03_refresh_with_bad_credentials_sends_one_request_per_window() {
    let simulation = ManualClock::frozen();
    let endpoint = DelayedRejection::new();
    let tokens = two_processes_with_a_token_due(&simulation, &endpoint);
    // Rejected for 30 s, then for 60 s, for all processes.
    for (window, requests) in [(30, 2), (60, 3)] {
        for _ in 0..window {
            for handle in &tokens {
                // Every call gets the old token; the one that refreshes would need more than 30 s.
                let limit = match requests {
                    2 => call(),
                    _ => call_within(Duration::from_millis(1_200)),
                };
                assert_eq!(handle.token(&endpoint, &limit).unwrap().expose(), "token-0");
            }
            assert_eq!(endpoint.requests(), requests);
            simulation.advance(Duration::from_secs(1));
        }
    }
    // Once the token has expired, one caller waits for the response, for all.
    simulation.advance(Duration::from_secs(810));
    for _ in 0..3 {
        for handle in &tokens {
            let error = handle.token(&endpoint, &call()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Authentication);
            assert_eq!(error.message(), "access_denied");
        }
    }
    assert_eq!(endpoint.requests(), 4);
}

#[test]
fn invariant_03_refresh_timeout_pauses_the_refreshes_of_all_processes() {
    let simulation = ManualClock::frozen();
    let endpoint = DelayedRejection::new();
    let tokens = two_processes_with_a_token_due(&simulation, &endpoint);
    // No call has the 30 s after which the endpoint would reject the credentials.
    let short = || call_within(Duration::from_millis(1_200));
    for (window, requests) in [(30, 2), (60, 3), (120, 4)] {
        for _ in 0..window {
            for handle in &tokens {
                assert_eq!(
                    handle.token(&endpoint, &short()).unwrap().expose(),
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
fn invariant_10_debug_contains_no_secret() {
    let (cache, clock) = auto_advancing();
    let endpoint = Endpoint::new(&clock, []);
    let request = request();
    let handle = cache.handle(request.clone(), &MEMORY).unwrap();
    let token = handle.token(&*endpoint, &call()).unwrap();
    let shown = format!(
        "{request:?} {handle:?} {token:?} {cache:?} {:#?}",
        (&handle, &cache)
    );
    for secret in ["hunter2", token.expose()] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

/// Searches all memory of this process for a token after its last owner was dropped. The token
/// itself is never contiguous in memory outside of the values under test.
#[cfg(target_os = "linux")]
#[test]
fn invariant_10_no_secret_remains_in_memory() {
    use std::os::unix::fs::FileExt;

    use crate::auth::key::CacheKey;
    use crate::auth::token_record::{RecordCipher, StoredToken, TokenRecord};
    use crate::auth::{TokenResponse, token};
    use crate::limited::{PROGRAM_LIMIT, run_to_end};

    // In a separate process, whose memory is small and has no data of other tests.
    const ALONE: &str = "CAMUNDA_ADMIN_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "auth::tests::cache_tests::invariant_10_no_secret_remains_in_memory";
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
        // The search skips its own buffer, which is surrounded by unused memory. It advances by
        // half the buffer's size, so that no match is missed at a boundary.
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
    let response = TokenResponse {
        access_token: text(),
        expires_in: Some(60.0),
        server_date: None,
    };
    let lifetime = token::lifetime(&response, now, now);
    let token = Token::new(&response.access_token, now.after(lifetime).system_time(), 1).unwrap();
    let stored = StoredToken {
        access_token: response.access_token,
        issued_at: now.wall_millis(),
        expires_at: now.after(lifetime).wall_millis(),
    };
    let record = TokenRecord {
        generation: 1,
        token: Some(stored),
        auth_failure: None,
        refresh_pause: None,
        unshared: false,
    };
    let cipher = RecordCipher::new(&request(), CacheKey::of(&request()));
    let sealed = cipher.seal(&record).unwrap();
    let opened = cipher.open(&sealed).unwrap();
    assert!(places() >= 2, "the search finds what is there");
    drop((token, record, opened));
    assert_eq!(places(), 0);
}

#[test]
fn diagnostics_report_tokens_rate_limiters_and_stores() {
    let (simulation, _, mut endpoint) = frozen(Reply::Token(1000.0));
    let store = Arc::new(MemoryStore::default());
    let cache = Cache::new(endpoint.clock.clone());
    let handle = cache.handle(request(), &store.config()).unwrap();
    handle.token(&endpoint, &call()).unwrap();
    handle.token(&endpoint, &call()).unwrap();
    simulation.advance(Duration::from_secs(100));
    let report = cache.diagnostics();
    let tokens = serde_json::to_value(&report.tokens).unwrap();
    assert_eq!(tokens[0]["state"], "fresh");
    assert_eq!(tokens[0]["audience"], "api.example");
    assert_eq!(tokens[0]["expires_in"], 895.0);
    assert_eq!(tokens[0]["refresh_in"], 700.0);
    assert_eq!(tokens[0]["last_error"], serde_json::Value::Null);
    assert_eq!(
        (report.counters.token_requests, report.counters.cache_hits),
        (1, 1)
    );
    assert_eq!(
        report.rate_limiters[0].token_host,
        "https://login.example:443"
    );
    assert!(report.stores[0].usable);

    store.everything_fails(true);
    handle.forget(&call());
    endpoint.then = Reply::Fails(TokenErrorKind::InvalidClient);
    handle.token(&endpoint, &call()).unwrap_err();
    let report = cache.diagnostics();
    assert_eq!(
        serde_json::to_value(&report.tokens[0]).unwrap()["state"],
        "credentials_rejected"
    );
    assert_eq!(report.tokens[0].retry_in, Some(Duration::from_secs(30)));
    assert_eq!(
        report.tokens[0].last_error.as_deref(),
        Some("access_denied")
    );
    assert!(!report.stores[0].usable);
    assert_eq!(
        report.stores[0].last_error.as_deref(),
        Some("failed by the test")
    );
    let all = serde_json::to_string(&report).unwrap();
    assert!(!all.contains("hunter2") && !all.contains("token-0") && !all.contains("client-id"));
}

/// A key derived from the secret would allow offline guessing.
#[test]
fn diagnostics_do_not_depend_on_the_secret() {
    let report = |secrets: [&str; 2]| {
        let cache = Cache::new(Clock::Real);
        for secret in secrets {
            let mut request = request();
            request.client_secret = Secret::from(secret);
            let handle = cache.handle(request, &MEMORY).unwrap();
            assert_eq!(
                format!("{handle:?}"),
                "TokenCacheHandle { label: \"93db6b09\", .. }"
            );
        }
        serde_json::to_value(cache.diagnostics().tokens).unwrap()
    };
    let tokens = report(["Summer2026!", "Winter2027!"]);
    assert_eq!(tokens[0]["key"], "93db6b09-1");
    assert_eq!(tokens[1]["key"], "93db6b09-2");
    assert_eq!(tokens, report(["correct horse", "battery staple"]));
}

#[test]
fn invariant_07_no_call_exceeds_its_deadline_with_a_slow_store() {
    let late = |timeout: Duration| {
        let clock = Clock::Real;
        let mut store = MemoryStore::default();
        // Nearly as slow as the limit for stores.
        store.before = Some(|| thread::sleep(Duration::from_millis(200)));
        let store = Arc::new(store);
        let handle = Cache::new(clock.clone())
            .handle(request(), &store.config())
            .unwrap();
        let call = call_within(timeout);
        let _ = handle.token(&*Endpoint::new(&clock, []), &call);
        call.started().elapsed().saturating_sub(timeout)
    };
    // With any of the operations as the last one.
    thread::scope(|scope| {
        for timeout in (250..2_000).step_by(50).map(Duration::from_millis) {
            scope.spawn(move || in_time(|| ((), late(timeout))));
        }
    });
}
