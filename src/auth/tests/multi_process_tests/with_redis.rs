//! Invariants of the token cache with processes that share a Redis.

use std::cell::Cell;
use std::io::{self, Read, copy};
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;

use redis::cmd;
use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::auth::store::RedisStore;
use crate::auth::{StoreLock, TokenStore};
use crate::call::{CallOptions, Cancel};
use crate::error::ErrorKind;
pub(in crate::auth) use crate::redis_server::Redis;

impl Redis {
    /// Starts a server. Returns `None` if `redis-server` is not installed.
    pub(in crate::auth) fn start() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path);
        if !folders.any(|folder| folder.join("redis-server").is_file()) {
            left_out("Redis, as redis-server is not installed", true);
            return None;
        }
        Some(Self::start_on_a_free_port(&[]))
    }

    /// Returns `None` if another process has the port.
    pub(in crate::auth) fn start_at(port: u16) -> Option<Self> {
        Self::start_with(port, &[])
    }

    pub(in crate::auth) fn store(&self) -> RedisStore {
        RedisStore::new(&Secret::new(self.url()), None).unwrap()
    }

    /// Returns the matching keys.
    pub(in crate::auth) fn keys(&self, pattern: &str) -> Vec<String> {
        let client = redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        cmd("KEYS").arg(pattern).query(&mut connection).unwrap()
    }

    pub(in crate::auth) fn signal(&self, signal: Signal) {
        let server = Pid::from_raw(self.server.id().cast_signed()).unwrap();
        kill_process(server, signal).unwrap();
    }

    /// Returns the port of a proxy that delays every response.
    fn slowed(&self, delay: Duration) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = listener.local_addr().unwrap().port();
        let port = self.port;
        thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let mut server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let (mut client_reader, mut server_writer) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || copy(&mut client_reader, &mut server_writer));
                thread::spawn(move || {
                    let mut response = [0; 4096];
                    while let Ok(length @ 1..) = server.read(&mut response) {
                        thread::sleep(delay);
                        if client.write_all(&response[..length]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        proxy
    }
}

#[test]
fn test_server_does_not_start_on_a_used_port() {
    let Some(redis) = Redis::start() else { return };
    assert!(Redis::start_at(redis.port).is_none());
    assert!(redis.is_responding());
}

pub(in crate::auth) fn scenario(place: &TempDir, redis: &Redis) -> Scenario {
    Scenario {
        redis: Some(redis.url()),
        // Different ones in every round, as the server keeps those before.
        client: place.path().to_string_lossy().into_owned(),
        ..Scenario::new(place)
    }
}

/// Runs rounds until one has no store failure, and returns its requests and results: a loaded
/// machine may exceed the time limits of a store, which is then skipped.
pub(in crate::auth) fn without_store_failures(
    round: impl Fn() -> (Vec<Duration>, Vec<Outcome>),
) -> (Vec<Duration>, Vec<Outcome>) {
    let mut rounds = (0..20).map(|_| round());
    let whole = rounds.find(|(_, outcomes)| outcomes.iter().all(|it| it.store_failures == 0));
    whole.expect("a store failed in every round")
}

/// Repeats a test with another name while the server responds too late.
pub(in crate::auth) fn retry_while_late(test: impl Fn(&str) -> io::Result<()>) {
    let mut results = (0..20).map(|round| test(&round.to_string()));
    let late = |result: &io::Result<()>| {
        let error = result.as_ref().err();
        error.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
    };
    let result = results.find(|result| !late(result));
    result.expect("a response in time").unwrap();
}

#[test]
fn invariant_01_one_token_request_with_redis() {
    let Some(redis) = Redis::start() else { return };
    for round in 0..5 {
        let (requests, outcomes) = without_store_failures(|| {
            let place = place();
            let scenario = scenario(&place, &redis);
            let outcomes = scenario.run((0..8).map(|_| scenario.start()).collect());
            (scenario.requests(), outcomes)
        });
        assert_eq!(outcomes.len(), 64);
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome.token() == outcomes[0].token())
        );
        assert_eq!(requests.len(), 1, "round {round}");
    }
}

#[test]
fn invariant_03_bad_credentials_send_one_request_with_redis() {
    let Some(redis) = Redis::start() else { return };
    let (requests, outcomes) = without_store_failures(|| {
        let place = place();
        let scenario = Scenario {
            mode: EndpointMode::BadCredentials,
            ..scenario(&place, &redis)
        };
        let outcomes = scenario.run((0..8).map(|_| scenario.start()).collect());
        (scenario.requests(), outcomes)
    });
    assert_eq!(outcomes.len(), 64);
    for outcome in outcomes {
        let (kind, message) = outcome.result.unwrap_err();
        assert_eq!((&*kind, &*message), ("Authentication", "access_denied"));
    }
    assert_eq!(requests.len(), 1);
}

#[test]
fn invariant_02_at_most_one_request_in_1100_ms_with_redis() {
    let Some(redis) = Redis::start() else { return };
    let (requests, outcomes) = without_store_failures(|| {
        let place = place();
        let scenario = Scenario {
            threads: 1,
            separate_credentials: true,
            ..scenario(&place, &redis)
        };
        let outcomes = scenario.run((0..4).map(|_| scenario.start()).collect());
        (scenario.requests(), outcomes)
    });
    assert!(
        outcomes.iter().all(|outcome| outcome.result.is_ok()),
        "{outcomes:?}"
    );
    assert_eq!(requests.len(), 4);
    assert_apart(&requests);
}

#[test]
fn invariant_06_killed_process_has_one_successor_with_redis() {
    let Some(redis) = Redis::start() else { return };
    let (requests, outcomes) = without_store_failures(|| {
        let place = place();
        let killed = Scenario {
            threads: 1,
            response_delay: Duration::from_secs(3600),
            ..scenario(&place, &redis)
        };
        let owner = killed.start_and_request();
        let scenario = scenario(&place, &redis);
        let processes: Vec<_> = (0..3).map(|_| scenario.start()).collect();
        owner.kill();
        let outcomes = scenario.run(processes);
        (scenario.requests(), outcomes)
    });
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.token() == outcomes[0].token())
    );
    // On the same machine the terminated owner is detected; its lease need not expire.
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.took < Duration::from_secs(15))
    );
    assert_eq!(requests.len(), 2);
}

#[test]
fn token_succeeds_when_redis_is_stopped_or_killed() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let place = place();
    // Stopped: it accepts connections but never responds. Then killed.
    for signal in [Signal::STOP, Signal::KILL] {
        redis.signal(signal);
        if signal == Signal::KILL {
            redis.server.wait().unwrap();
        }
        let mut scenario = scenario(&place, &redis);
        scenario.client += &format!("{signal:?}");
        let outcomes = scenario.run((0..3).map(|_| scenario.start()).collect());
        assert_eq!(outcomes.len(), 24);
        assert!(
            outcomes.iter().all(|outcome| outcome.result.is_ok()),
            "{outcomes:?}"
        );
    }
}

/// Checks that at least one of 20 attempts takes no longer than the limit: a loaded machine may
/// delay some.
fn assert_within(limit: Duration, mut attempt: impl FnMut() -> Duration) {
    let mut took = Vec::new();
    while took.len() < 20 {
        match attempt() {
            short if short <= limit => return,
            long => took.push(long),
        }
    }
    panic!("more than {limit:?}: {took:?}");
}

#[test]
fn redis_operation_takes_at_most_250_ms() {
    let Some(redis) = Redis::start() else { return };
    let lease = Duration::from_secs(60);
    // The lock is held, by this attempt or by one whose response was late.
    let take_lock = || redis.store().try_lock("a", lease);
    while !matches!(take_lock().map(mem::forget), Ok(())) {}
    let proxy = redis.slowed(Duration::from_millis(150));
    // Connecting, and two commands.
    assert_within(Duration::from_millis(350), || {
        let url = format!("redis://127.0.0.1:{proxy}/");
        let store = RedisStore::new(&Secret::new(url), None).unwrap();
        let started = Instant::now();
        assert!(store.try_lock("a", lease).is_err());
        started.elapsed()
    });
}

/// Stops the Redis while its response is awaited.
struct StopsRedis<'a> {
    redis: &'a Redis,
    cancel: Option<&'a Cancel>,
    /// When the call must end, if the token's lock was held in the Redis.
    over: Cell<Option<Instant>>,
}

impl RespondToTokenRequest for StopsRedis<'_> {
    fn respond(&self, _: &TokenRequest, call: &CallContext) -> Result<TokenResponse, FetchError> {
        let locked = !self.redis.keys("camunda-admin:token-*:lock").is_empty();
        self.redis.signal(Signal::STOP);
        let over = match self.cancel {
            None => call.started() + call.timeout(),
            Some(cancel) => {
                cancel.cancel();
                Instant::now()
            }
        };
        self.over.set(locked.then_some(over));
        call.sleep(Duration::from_secs(3600)).unwrap_err();
        Err(FetchError {
            kind: TokenErrorKind::Cancelled,
            error: failure(TokenErrorKind::Cancelled),
        })
    }
}

#[test]
fn invariant_07_no_call_exceeds_its_deadline_when_redis_is_stopped() {
    let Some(redis) = Redis::start() else { return };
    let mut tries = 0;
    for (timeout, cancelled) in [(600, false), (300, false), (60_000, true)] {
        assert_within(Duration::from_millis(100), || {
            tries += 1;
            let place = place();
            let config = TokenCacheConfig::Redis {
                tls: None,
                url: Secret::new(redis.url()),
                fallback: Fallback::Directory(place.path().join("cache")),
            };
            // Another host each time, to avoid the rate limit.
            let mut request = request();
            request.token_url = format!("https://login-{tries}.example/oauth/token");
            let handle = Cache::new(Clock::Real).handle(request, &config).unwrap();
            let cancel = Cancel::new();
            let endpoint = StopsRedis {
                redis: &redis,
                cancel: cancelled.then_some(&cancel),
                over: Cell::default(),
            };
            let options = CallOptions::new().cancel(cancel.clone());
            let call = CallContext::start(&options, Duration::from_millis(timeout));
            let result = handle.token(&endpoint, &call);
            let late = endpoint.over.get().map(|over| over.elapsed());
            redis.signal(Signal::CONT);
            if late.is_some() {
                assert_eq!(result.unwrap_err().kind(), ErrorKind::Timeout);
            }
            // On a machine that is too slow for the lock, the test tries again.
            late.unwrap_or(Duration::MAX)
        });
    }
}

#[test]
fn redis_value_expires_after_its_ttl() {
    let Some(redis) = Redis::start() else { return };
    let store = redis.store();
    retry_while_late(|name| {
        assert_eq!(store.get(name)?, None);
        store.put(name, b"\0\xff", Duration::from_secs(60))?;
        assert_eq!(store.get(name)?.as_deref(), Some(&b"\0\xff"[..]));
        store.put(name, b"", Duration::from_millis(1))?;
        eventually(|| match store.get(name) {
            Ok(Some(_)) => None,
            ended => Some(ended),
        })?;
        Ok(())
    });
}

#[test]
fn redis_lock_is_released_only_by_its_owner() {
    let Some(redis) = Redis::start() else { return };
    let (store, other) = (redis.store(), redis.store());
    let lease = Duration::from_secs(60);
    retry_while_late(|name| {
        let lock: StoreLock = store.try_lock(name, lease)?.expect("it is free");
        assert!(other.try_lock(name, lease)?.is_none());
        assert!(store.try_lock(name, lease)?.is_none());
        let another = other.try_lock(&format!("not-{name}"), lease)?;
        assert!(another.is_some());
        drop(lock);
        // A lock whose lease has expired is not released by its former owner.
        let over = store.try_lock(name, Duration::from_millis(1))?;
        let over = over.expect("it is free");
        let current = loop {
            if let Some(lock) = other.try_lock(name, lease)? {
                break lock;
            }
        };
        drop(over);
        assert!(store.try_lock(name, lease)?.is_none());
        // Released soon, long before its lease expires.
        let released = Instant::now();
        drop(current);
        while store.try_lock(name, lease)?.is_none() {}
        assert!(released.elapsed() < lease / 2);
        Ok(())
    });
}

/// A fault in the responses to a client.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// They are delayed.
    Late(Duration),
    /// The connection is closed instead.
    Closed,
    /// They are lost; commands are delivered.
    Lost,
    /// They are lost, and so is every later command.
    LostBoth,
}

/// A proxy to a server that disturbs the responses of one connection. Later connections are not
/// disturbed.
struct FaultyProxy {
    url: String,
    clients: Arc<Mutex<Vec<TcpStream>>>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl FaultyProxy {
    fn to(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "redis://127.0.0.1:{}/",
            listener.local_addr().unwrap().port()
        );
        let fault = Arc::new(Mutex::new(None));
        let (port, next) = (redis.port, Arc::clone(&fault));
        let clients = Arc::<Mutex<Vec<TcpStream>>>::default();
        let known = Arc::clone(&clients);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    return;
                };
                let broken = Arc::new(AtomicBool::new(false));
                let client = client.unwrap();
                known.lock().unwrap().push(client.try_clone().unwrap());
                let ends = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let is_broken = Arc::clone(&broken);
                thread::spawn(move || pass_on(ends.0, ends.1, |_| !is_broken.load(SeqCst)));
                let next = Arc::clone(&next);
                thread::spawn(move || {
                    let mut mine = None;
                    let other = client.try_clone().unwrap();
                    pass_on(server, client, |_| {
                        if mine.is_none() {
                            mine = next.lock().unwrap().take();
                        }
                        match mine {
                            None => return true,
                            Some(Fault::Late(delay)) => {
                                thread::sleep(delay);
                                return true;
                            }
                            Some(Fault::Closed) => {
                                let _ = other.shutdown(std::net::Shutdown::Both);
                            }
                            Some(Fault::Lost) => {}
                            Some(Fault::LostBoth) => broken.store(true, SeqCst),
                        }
                        false
                    });
                });
            }
        });
        FaultyProxy {
            url,
            clients,
            fault,
        }
    }

    /// Closes all connections.
    fn cut(&self) {
        for client in self.clients.lock().unwrap().drain(..) {
            let _ = client.shutdown(std::net::Shutdown::Both);
        }
    }

    fn store(&self) -> RedisStore {
        RedisStore::new(&Secret::new(self.url.clone()), None).unwrap()
    }
}

/// Forwards the bytes for which `passes` returns true.
fn pass_on(mut from: TcpStream, mut to: TcpStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if passes(&bytes[..length]) && to.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

#[test]
fn redis_lock_is_released_after_a_late_or_lost_response() {
    let Some(redis) = Redis::start() else { return };
    let lease = Duration::from_secs(60);
    let other = redis.store();
    // Whether the lock is released soon, although no caller uses the store again.
    let is_released = |fault, name: &str| {
        let proxy = FaultyProxy::to(&redis);
        let store = proxy.store();
        // After the first lock, one command takes another.
        retry_while_late(|_| store.try_lock("before", lease).map(drop));
        retry_while_late(|_| store.get("before").map(drop));
        *proxy.fault.lock().unwrap() = Some(fault);
        assert!(store.try_lock(name, lease).is_err(), "{fault:?}");
        let failed = Instant::now();
        let is_soon = || failed.elapsed() < Duration::from_secs(5);
        let mut lock = None;
        while lock.is_none() && is_soon() {
            thread::sleep(Duration::from_millis(5));
            lock = other.try_lock(name, lease).ok().flatten();
        }
        let is_free = lock.is_some();
        drop(lock);
        while !redis.keys(&format!("camunda-admin:{name}:lock")).is_empty() && is_soon() {
            // Its response may be late.
            let _ = other.get(name);
        }
        is_free && is_soon()
    };
    for fault in [
        Fault::Late(Duration::from_millis(600)),
        Fault::Lost,
        Fault::LostBoth,
    ] {
        // The new connection that releases the lock has 250 ms, which a loaded machine can exceed.
        let mut names = (0..10).map(|attempt| format!("{fault:?}-{attempt}"));
        let released = names.find(|name| is_released(fault, name));
        assert!(released.is_some(), "{fault:?}");
    }
}

#[test]
fn redis_lock_is_released_when_its_connection_closed_before_the_release() {
    let Some(redis) = Redis::start() else { return };
    let lease = Duration::from_secs(60);
    let other = redis.store();
    let proxy = FaultyProxy::to(&redis);
    let store = proxy.store();
    retry_while_late(|name| {
        let first = store.try_lock(name, lease)?.expect("it is free");
        let second = store.try_lock(&format!("second-{name}"), lease)?;
        // No release is delivered, and no response to one is received.
        proxy.cut();
        drop((first, second));
        store.get(name)?;
        let begun = Instant::now();
        for name in [name, &format!("second-{name}")] {
            while other.try_lock(name, lease)?.is_none() {
                assert!(begun.elapsed() < lease / 2, "the lock is released");
                store.get(name)?;
            }
        }
        Ok(())
    });
}

#[test]
fn redis_lock_is_held_when_its_connection_closed_before_the_response() {
    let Some(redis) = Redis::start() else { return };
    let lease = Duration::from_secs(60);
    let proxy = FaultyProxy::to(&redis);
    let store = proxy.store();
    retry_while_late(|name| {
        drop(store.try_lock(&format!("before-{name}"), lease)?);
        store.get("before")?;
        *proxy.fault.lock().unwrap() = Some(Fault::Closed);
        let lock = store.try_lock(name, lease)?;
        assert!(lock.is_some());
        assert!(store.try_lock(name, lease)?.is_none());
        Ok(())
    });
}

#[test]
fn redis_lock_that_no_caller_holds_is_taken_again_by_its_store() {
    let Some(redis) = Redis::start() else { return };
    let lease = Duration::from_secs(60);
    let (store, other) = (redis.store(), redis.store());
    let client = redis::Client::open(redis.url()).unwrap();
    retry_while_late(|name| {
        let mut server = client.get_connection().unwrap();
        let lock = store.try_lock(name, lease)?;
        assert!(lock.is_some());
        let key = format!("camunda-admin:{name}:lock");
        let owner: String = cmd("GET").arg(&key).query(&mut server).unwrap();
        // While its caller holds it, it is not taken.
        assert!(store.try_lock(name, lease)?.is_none());
        drop(lock);
        let mut set = cmd("SET");
        set.arg(&key).arg(&owner).arg("PX").arg(60_000);
        set.query::<()>(&mut server).unwrap();
        assert!(other.try_lock(name, lease)?.is_none());
        assert!(store.try_lock(name, lease)?.is_some());
        Ok(())
    });
}

#[test]
fn redis_lock_fails_without_permission_for_scripts() {
    let Some(redis) = Redis::start() else { return };
    let lease = Duration::from_secs(60);
    let client = redis::Client::open(redis.url()).unwrap();
    let mut admin = client.get_connection().unwrap();
    let mut set_user = |rule: &str| {
        let mut command = cmd("ACL");
        command.arg("SETUSER").arg("limited").arg("on");
        command.arg(">hunter2").arg("~*").arg("+@all").arg(rule);
        command.query::<()>(&mut admin).unwrap();
    };
    set_user("-@scripting");
    let url = format!("redis://limited:hunter2@127.0.0.1:{}/", redis.port);
    let store = RedisStore::new(&Secret::new(url), None).unwrap();
    let error = loop {
        match store.try_lock("a", lease) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => break error.to_string(),
            Ok(_) => panic!("a lock that could not be released"),
        }
    };
    assert!(error.contains("EVAL"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    assert_eq!(redis.keys("*"), Vec::<String>::new());
    // The other operations work.
    retry_while_late(|_| store.put("a", b"1", lease));
    // As soon as scripts are allowed, it locks; when they are no longer allowed, it stops.
    set_user("+@scripting");
    let lock = Mutex::new(None);
    retry_while_late(|_| {
        *lock.lock().unwrap() = store.try_lock("a", lease)?;
        Ok(())
    });
    assert!(lock.lock().unwrap().is_some());
    set_user("-@scripting");
    drop(lock);
    retry_while_late(|_| store.get("a").map(drop));
    let error = loop {
        match store.try_lock("b", lease) {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => break error.to_string(),
            Ok(_) => panic!("a lock that could not be released"),
        }
    };
    assert!(error.contains("EVAL"), "{error}");
    assert_eq!(redis.keys("*b:lock"), Vec::<String>::new());
}

#[test]
fn redis_store_reconnects_after_a_restart() {
    loop {
        let Some(redis) = Redis::start() else { return };
        let store = redis.store();
        retry_while_late(|_| store.put("a", b"1", Duration::from_secs(60)));
        let port = redis.port;
        drop(redis);
        assert!(store.get("a").is_err());
        if let Some(_redis) = Redis::start_at(port) {
            retry_while_late(|_| {
                assert_eq!(store.get("a")?, None);
                Ok(())
            });
            return;
        }
    }
}

#[test]
fn redis_store_resolves_host_names() {
    let Some(redis) = Redis::start() else { return };
    let url = format!("redis://localhost:{}/", redis.port);
    let store = RedisStore::new(&Secret::new(url), None).unwrap();
    eventually(|| store.put("a", b"1", Duration::from_secs(60)).ok());
    retry_while_late(|_| {
        assert_eq!(store.get("a")?.as_deref(), Some(&b"1"[..]));
        Ok(())
    });
}

#[test]
fn redis_error_of_rejected_credentials_contains_no_password() {
    let Some(redis) = Redis::start() else { return };
    let url = format!("redis://me:hunter2@127.0.0.1:{}/", redis.port);
    let store = RedisStore::new(&Secret::new(url), None).unwrap();
    let error = store.get("a").unwrap_err().to_string();
    assert!(!error.contains("hunter2"), "{error}");
}
