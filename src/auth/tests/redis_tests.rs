//! Invariants of the token cache with several hosts and a Redis: clocks that differ, a server that
//! is not available for a while, tenants that write to it, and mixed versions.

use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::{Cmd, cmd};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::multi_process_tests::with_redis::{
    Redis, retry_while_late, scenario, without_store_failures,
};
use super::multi_process_tests::{
    EndpointMode, FullDisk, Outcome, Scenario, assert_apart, eventually, libfaketime, place,
};
use super::test_support::{Endpoint, Reply, call, call_within, left_out, request};
use crate::auth::cache::{Cache, TokenCacheHandle};
use crate::auth::store::RedisStore;
use crate::auth::time::{Clock, ManualClock};
use crate::auth::{
    Fallback, FetchError, TokenCacheConfig, TokenConnection, TokenEndpoint, TokenErrorKind,
    TokenRequest, TokenStore,
};
use crate::call::CallContext;
use crate::redis_server::free_port;
use crate::secret::Secret;

/// Clocks that differ by minutes.
const SKEWS: [i64; 4] = [0, 900_000, -600_000, 3_000];

/// Starts a process on each of four hosts whose clocks differ.
fn run_on_skewed_hosts(scenario: &Scenario) -> Vec<Outcome> {
    let processes = SKEWS.map(|clock_skew| {
        Scenario {
            clock_skew,
            ..scenario.clone()
        }
        .start()
    });
    scenario.run(processes.into())
}

fn assert_same_token(outcomes: &[Outcome]) {
    for outcome in outcomes {
        assert_eq!(outcome.token(), outcomes[0].token());
    }
}

impl Redis {
    fn query<T: redis::FromRedisValue>(&self, command: &Cmd) -> T {
        let client = redis::Client::open(self.url()).unwrap();
        command
            .query(&mut client.get_connection().unwrap())
            .unwrap()
    }

    /// Returns the only key that matches.
    fn key(&self, pattern: &str) -> String {
        let keys = self.keys(pattern);
        let mut keys = keys.into_iter().filter(|key| !key.ends_with(":lock"));
        let key = keys.next().expect("such a key");
        assert_eq!(keys.next(), None);
        key
    }

    /// Returns milliseconds since 1970.
    fn time(&self) -> u64 {
        let (seconds, micros): (u64, u64) = self.query(&cmd("TIME"));
        seconds * 1_000 + micros / 1_000
    }
}

#[test]
fn invariant_01_one_token_request_on_hosts_with_skewed_clocks() {
    let Some(redis) = Redis::start() else { return };
    let (requests, outcomes) = without_store_failures(|| {
        let place = place();
        let scenario = scenario(&place, &redis);
        let mut outcomes = run_on_skewed_hosts(&scenario);
        // And later.
        outcomes.extend(run_on_skewed_hosts(&scenario));
        (scenario.requests(), outcomes)
    });
    assert_eq!(outcomes.len(), 64);
    assert_same_token(&outcomes);
    assert_eq!(requests.len(), 1);
}

#[test]
fn invariant_02_at_most_one_request_in_1100_ms_on_hosts_with_skewed_clocks() {
    let Some(redis) = Redis::start() else { return };
    let (requests, outcomes) = without_store_failures(|| {
        let place = place();
        let scenario = Scenario {
            threads: 1,
            separate_credentials: true,
            ..scenario(&place, &redis)
        };
        let outcomes = run_on_skewed_hosts(&scenario);
        (scenario.requests(), outcomes)
    });
    assert!(outcomes.iter().all(|it| it.result.is_ok()), "{outcomes:?}");
    assert_eq!(requests.len(), 4);
    assert_apart(&requests);
}

#[test]
fn invariant_03_bad_credentials_send_one_request_on_hosts_with_skewed_clocks() {
    let Some(redis) = Redis::start() else { return };
    let (requests, outcomes) = without_store_failures(|| {
        let place = place();
        let scenario = Scenario {
            mode: EndpointMode::BadCredentials,
            threads: 4,
            ..scenario(&place, &redis)
        };
        let mut outcomes = run_on_skewed_hosts(&scenario);
        outcomes.extend(run_on_skewed_hosts(&scenario));
        (scenario.requests(), outcomes)
    });
    for outcome in &outcomes {
        let (kind, message) = outcome.result.as_ref().unwrap_err();
        assert_eq!((&**kind, &**message), ("Authentication", "access_denied"));
        let retry_after = outcome.retry_after.unwrap();
        assert!(retry_after <= Duration::from_secs(31), "{retry_after:?}");
    }
    assert_eq!(requests.len(), 1);
}

#[test]
fn rate_limit_of_a_429_applies_to_hosts_with_skewed_clocks() {
    let Some(redis) = Redis::start() else { return };
    let (requests, outcomes) = without_store_failures(|| {
        let place = place();
        let scenario = Scenario {
            mode: EndpointMode::RateLimited,
            separate_credentials: true,
            threads: 1,
            ..scenario(&place, &redis)
        };
        let mut outcomes = Vec::new();
        // One after the other: each has to know the block of the first.
        for clock_skew in SKEWS {
            let scenario = Scenario {
                clock_skew,
                ..scenario.clone()
            };
            outcomes.extend(scenario.run(vec![scenario.start()]));
        }
        redis.query::<()>(&cmd("FLUSHALL"));
        (scenario.requests(), outcomes)
    });
    for outcome in &outcomes {
        let (kind, _) = outcome.result.as_ref().unwrap_err();
        assert_eq!(kind, "RateLimited");
        let retry_after = outcome.retry_after.unwrap();
        assert!(retry_after > Duration::from_secs(30), "{retry_after:?}");
        assert!(retry_after <= Duration::from_secs(181), "{retry_after:?}");
    }
    assert_eq!(requests.len(), 1);
}

#[test]
fn invariant_06_stopped_process_has_one_successor_on_hosts_with_skewed_clocks() {
    let Some(redis) = Redis::start() else { return };
    let (requests, outcomes) = without_store_failures(|| {
        let place = place();
        let stopped = Scenario {
            threads: 1,
            response_delay: Duration::from_secs(3600),
            ..scenario(&place, &redis)
        };
        let owner = stopped.start_and_request();
        owner.signal(Signal::STOP);
        let scenario = Scenario {
            threads: 1,
            response_delay: Duration::from_millis(1_500),
            timeout: Duration::from_secs(12),
            ..scenario(&place, &redis)
        };
        let outcomes = run_on_skewed_hosts(&scenario);
        owner.kill();
        (scenario.requests(), outcomes)
    });
    assert_same_token(&outcomes);
    // That of the stopped process, and one.
    assert_eq!(requests.len(), 2);
}

/// The clocks of the system differ here; in the tests above, only those of the token cache do.
#[cfg(target_os = "linux")]
#[test]
fn invariants_01_to_03_hold_on_hosts_whose_system_clocks_differ() {
    if libfaketime().is_none() {
        return left_out("system clocks that differ, which needs libfaketime", true);
    }
    let Some(redis) = Redis::start() else { return };
    for (separate_credentials, mode) in [
        (false, EndpointMode::Tokens),
        (true, EndpointMode::Tokens),
        (false, EndpointMode::BadCredentials),
    ] {
        let (requests, outcomes) = without_store_failures(|| {
            let place = place();
            let scenario = Scenario {
                threads: 1,
                separate_credentials,
                mode,
                system_clock_since: Some(SystemTime::now().duration_since(UNIX_EPOCH).unwrap()),
                ..scenario(&place, &redis)
            };
            let outcomes = run_on_skewed_hosts(&scenario);
            redis.query::<()>(&cmd("FLUSHALL"));
            (scenario.requests(), outcomes)
        });
        assert_eq!(outcomes.len(), SKEWS.len());
        let expected = match separate_credentials {
            true => SKEWS.len(),
            false => 1,
        };
        assert_eq!(requests.len(), expected);
        assert_apart(&requests);
        match mode {
            EndpointMode::Tokens if !separate_credentials => assert_same_token(&outcomes),
            EndpointMode::Tokens => assert!(outcomes.iter().all(|it| it.result.is_ok())),
            _ => assert!(outcomes.iter().all(|it| it.result.is_err())),
        }
    }
}

#[test]
fn invariant_06_stopped_process_has_one_successor_on_a_host_with_a_full_disk() {
    let Some(redis) = Redis::start() else { return };
    let place = place();
    let on_full_disk = Scenario {
        threads: 1,
        host: Some(String::new()),
        ..scenario(&place, &redis)
    };
    let Some(_disk) = FullDisk::mount(&on_full_disk.cache) else {
        return;
    };
    let stopped = Scenario {
        response_delay: Duration::from_secs(3600),
        ..on_full_disk.clone()
    };
    let owner = stopped.start_and_request();
    owner.signal(Signal::STOP);
    let scenario = Scenario {
        response_delay: Duration::from_millis(1_500),
        timeout: Duration::from_secs(12),
        ..on_full_disk
    };
    let outcomes = scenario.run((0..4).map(|_| scenario.start()).collect());
    owner.kill();
    assert_same_token(&outcomes);
    // That of the stopped process, and one.
    assert_eq!(scenario.requests().len(), 2);
}

#[test]
fn invariant_01_one_token_request_when_redis_restarts() {
    let (requests, outcomes) = without_store_failures_but(|| {
        let redis = Redis::start()?;
        let place = place();
        let on = |host: &str| Scenario {
            host: Some(host.to_owned()),
            threads: 2,
            ..scenario(&place, &redis)
        };
        let two = |scenario: &Scenario| scenario.run(vec![scenario.start(), scenario.start()]);
        let (first, second) = (on("one"), on("two"));
        let mut outcomes = two(&first);
        let failures = |outcomes: &[Outcome]| outcomes.iter().any(|it| it.store_failures > 0);
        if failures(&outcomes) {
            return Some(Err(()));
        }
        let port = redis.port;
        drop(redis);
        // The host has a copy.
        outcomes.extend(two(&first));
        let Some(_redis) = Redis::start_at(port) else {
            return Some(Err(()));
        };
        // The copy is written to the empty server, where the other host finds it.
        let back = [two(&first), two(&second)];
        if back.iter().any(|outcomes| failures(outcomes)) {
            return Some(Err(()));
        }
        outcomes.extend(back.into_iter().flatten());
        Some(Ok((first.requests(), outcomes)))
    });
    if outcomes.is_empty() {
        return;
    }
    assert_eq!(outcomes.len(), 16);
    assert_same_token(&outcomes);
    assert_eq!(requests.len(), 1);
}

#[test]
fn invariant_02_at_most_one_request_in_1100_ms_while_redis_restarts() {
    let Some(redis) = Redis::start() else { return };
    let port = redis.port;
    let place = place();
    let scenario = Scenario {
        host: Some("one".to_owned()),
        threads: 2,
        separate_credentials: true,
        timeout: Duration::from_secs(60),
        ..scenario(&place, &redis)
    };
    let processes = (0..4).map(|_| scenario.start()).collect();
    let outcomes = thread::scope(|scope| {
        let (watched, log) = (scenario.clone(), Mutex::new(Some(redis)));
        scope.spawn(move || {
            let wait_for = |requests| {
                eventually(|| (watched.requests().len() >= requests).then_some(()));
            };
            wait_for(2);
            log.lock().unwrap().take();
            wait_for(4);
            // Not if another process has the port by now; the server then stays away.
            let _redis = Redis::start_at(port);
            wait_for(8);
        });
        scenario.run(processes)
    });
    assert!(outcomes.iter().all(|it| it.result.is_ok()), "{outcomes:?}");
    let requests = scenario.requests();
    assert_eq!(requests.len(), 8);
    assert_apart(&requests);
}

/// Starts processes on one host: two that reach Redis and two that do not.
fn run_where_some_reach_redis(scenario: &Scenario) -> Vec<Outcome> {
    let without = Scenario {
        // Nothing listens on this port.
        redis: Some("redis://127.0.0.1:1/".to_owned()),
        ..scenario.clone()
    };
    let processes = [scenario, &without, scenario, &without].map(Scenario::start);
    scenario.run(processes.into())
}

#[test]
fn invariant_01_one_token_request_on_a_host_where_some_reach_redis() {
    let Some(redis) = Redis::start() else { return };
    for _ in 0..2 {
        let place = place();
        let scenario = Scenario {
            host: Some("one".to_owned()),
            // Longer than a process without Redis waits before its request.
            response_delay: Duration::from_secs(4),
            ..scenario(&place, &redis)
        };
        let outcomes = run_where_some_reach_redis(&scenario);
        assert_same_token(&outcomes);
        assert_eq!(scenario.requests().len(), 1);
        redis.query::<()>(&cmd("FLUSHALL"));
    }
}

#[test]
fn invariant_02_at_most_one_request_in_1100_ms_on_a_host_where_some_reach_redis() {
    let Some(redis) = Redis::start() else { return };
    let place = place();
    let scenario = Scenario {
        host: Some("one".to_owned()),
        threads: 2,
        separate_credentials: true,
        timeout: Duration::from_secs(60),
        ..scenario(&place, &redis)
    };
    let outcomes = run_where_some_reach_redis(&scenario);
    assert!(outcomes.iter().all(|it| it.result.is_ok()), "{outcomes:?}");
    let requests = scenario.requests();
    assert_eq!(requests.len(), 8);
    assert_apart(&requests);
}

#[test]
fn invariant_03_bad_credentials_send_one_request_when_redis_restarts() {
    let (requests, outcomes) = without_store_failures_but(|| {
        let redis = Redis::start()?;
        let place = place();
        let scenario = Scenario {
            host: Some("one".to_owned()),
            mode: EndpointMode::BadCredentials,
            threads: 2,
            ..scenario(&place, &redis)
        };
        let two = || scenario.run(vec![scenario.start(), scenario.start()]);
        let mut outcomes = two();
        if outcomes.iter().any(|it| it.store_failures > 0) {
            return Some(Err(()));
        }
        let port = redis.port;
        drop(redis);
        outcomes.extend(two());
        let _redis = Redis::start_at(port);
        outcomes.extend(two());
        Some(Ok((scenario.requests(), outcomes)))
    });
    for outcome in &outcomes {
        let (kind, _) = outcome.result.as_ref().unwrap_err();
        assert_eq!(kind, "Authentication");
    }
    assert!(requests.len() <= 1);
    assert_eq!(requests.is_empty(), outcomes.is_empty());
}

#[test]
fn invariant_06_stopped_process_has_one_successor_when_redis_is_killed() {
    let Some(redis) = Redis::start() else { return };
    let place = place();
    let stopped = Scenario {
        host: Some("one".to_owned()),
        threads: 1,
        response_delay: Duration::from_secs(3600),
        ..scenario(&place, &redis)
    };
    let owner = stopped.start_and_request();
    owner.signal(Signal::STOP);
    let scenario = Scenario {
        threads: 2,
        response_delay: Duration::from_millis(1_500),
        ..stopped
    };
    drop(redis);
    let outcomes = scenario.run((0..4).map(|_| scenario.start()).collect());
    owner.kill();
    assert_same_token(&outcomes);
    // That of the stopped process, and one.
    assert_eq!(scenario.requests().len(), 2);
}

/// Runs rounds until one is not disturbed by a machine under load. Returns nothing if the test
/// cannot be run.
fn without_store_failures_but(
    round: impl Fn() -> Option<Result<(Vec<Duration>, Vec<Outcome>), ()>>,
) -> (Vec<Duration>, Vec<Outcome>) {
    for _ in 0..20 {
        match round() {
            None => return Default::default(),
            Some(Ok(result)) => return result,
            Some(Err(())) => {}
        }
    }
    panic!("a store failed in every round");
}

/// A proxy to a server, which can be cut off, or replaced by another server.
struct Network {
    url: String,
    port: Arc<AtomicU16>,
    is_cut: Arc<AtomicBool>,
    connections: Arc<Mutex<Vec<TcpStream>>>,
}

impl Network {
    fn to(redis: &Redis) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "redis://127.0.0.1:{}/",
            listener.local_addr().unwrap().port()
        );
        let network = Network {
            url,
            port: Arc::new(redis.port.into()),
            is_cut: Arc::default(),
            connections: Arc::default(),
        };
        let (port, is_cut, connections) = (
            Arc::clone(&network.port),
            Arc::clone(&network.is_cut),
            Arc::clone(&network.connections),
        );
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", port.load(Ordering::SeqCst)));
                let (false, Ok(server)) = (is_cut.load(Ordering::SeqCst), server) else {
                    continue;
                };
                let clone = |stream: &TcpStream| stream.try_clone().unwrap();
                connections.lock().unwrap().push(clone(&client));
                let (mut from, mut to) = (clone(&client), clone(&server));
                thread::spawn(move || io::copy(&mut from, &mut to));
                let (mut from, mut to) = (server, client);
                thread::spawn(move || io::copy(&mut from, &mut to));
            }
        });
        network
    }

    /// Closes all connections, and new ones too until it is undone.
    fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
        for connection in self.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
    }

    fn config(&self, directory: &std::path::Path) -> TokenCacheConfig {
        TokenCacheConfig::Redis {
            url: Secret::new(self.url.clone()),
            fallback: Fallback::Directory(directory.to_owned()),
            tls: None,
        }
    }
}

/// Opening a connection takes so long that something happens meanwhile.
struct SlowConnection<F> {
    endpoint: Arc<Endpoint>,
    meanwhile: F,
}

impl<F: Fn()> TokenEndpoint for SlowConnection<F> {
    fn connect<'a>(
        &'a self,
        request: &'a TokenRequest,
        call: &CallContext,
    ) -> Result<Box<dyn TokenConnection + 'a>, FetchError> {
        (self.meanwhile)();
        self.endpoint.connect(request, call)
    }
}

#[test]
fn host_without_redis_for_a_moment_uses_the_token_of_another() {
    let Some(redis) = Redis::start() else { return };
    let network = Network::to(&redis);
    let place = place();
    retry_while_late(|name| {
        let request = || TokenRequest {
            audience: name.to_owned(),
            ..request()
        };
        network.cut(true);
        let endpoint = Endpoint::new(&Clock::Real, []);
        let other = Cache::new(Clock::Real);
        let config = TokenCacheConfig::Redis {
            url: Secret::new(redis.url()),
            fallback: Fallback::Memory,
            tls: None,
        };
        let other = other.handle(request(), &config).unwrap();
        let connects = SlowConnection {
            endpoint: Arc::clone(&endpoint),
            meanwhile: || {
                network.cut(false);
                other.token(&*endpoint, &call()).unwrap();
                // The rate limit does not keep the host from sending.
                let sent = redis.time();
                eventually(|| (redis.time() >= sent + 1_200).then_some(()));
            },
        };
        // Waits without real time.
        let host = Cache::new(Clock::Simulated(ManualClock::auto_advancing()));
        let config = network.config(&place.path().join(name));
        let handle = host.handle(request(), &config).unwrap();
        let token = handle.token(&connects, &call()).unwrap();
        let failures: u64 = host.diagnostics().stores.iter().map(|it| it.failures).sum();
        if failures != 1 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        assert_eq!(endpoint.requests(), 1);
        assert_eq!(token.expose(), "token-0");
        Ok(())
    });
}

#[test]
fn token_that_another_process_stored_in_the_files_is_used_after_a_wait() {
    let Some(redis) = Redis::start() else { return };
    let place = place();
    let endpoint = Endpoint::new(&Clock::Real, []);
    let handle = |url: String| {
        let config = TokenCacheConfig::Redis {
            url: Secret::new(url),
            fallback: Fallback::Directory(place.path().join("host")),
            tls: None,
        };
        Cache::new(Clock::Real).handle(request(), &config).unwrap()
    };
    // Nothing listens on this port.
    let without_redis = handle("redis://127.0.0.1:1/".to_owned());
    let connects = SlowConnection {
        endpoint: Arc::clone(&endpoint),
        // Sends a request without the lock after two thirds of its time.
        meanwhile: || {
            let call = call_within(Duration::from_secs(4));
            without_redis.token(&*endpoint, &call).unwrap();
        },
    };
    let token = handle(redis.url()).token(&connects, &call()).unwrap();
    assert_eq!(token.expose(), "token-0");
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn copy_in_the_files_is_used_when_redis_has_an_older_record() {
    let Some(redis) = Redis::start() else { return };
    let place = place();
    let endpoint = Endpoint::new(&Clock::Real, [Reply::Token(2.0)]);
    let get_token = |host: &str| {
        let config = TokenCacheConfig::Redis {
            url: Secret::new(redis.url()),
            fallback: Fallback::Directory(place.path().join(host)),
            tls: None,
        };
        let cache = Cache::new(Clock::Real);
        let handle = cache.handle(request(), &config).unwrap();
        let token = handle.token(&*endpoint, &call()).unwrap();
        token.expose().to_owned()
    };
    assert_eq!(get_token("one"), "token-0");
    let issued = redis.time();
    let key = redis.key("camunda-admin:token-*");
    let snapshot: Vec<u8> = redis.query(cmd("GET").arg(&key));
    eventually(|| (redis.time() >= issued + 2_000).then_some(()));
    assert_eq!(get_token("one"), "token-1");
    // Redis starts with a snapshot, or a replica that has not received all records is promoted.
    redis.query::<()>(cmd("SET").arg(&key).arg(snapshot));
    assert_eq!(get_token("one"), "token-1");
    assert_eq!(get_token("two"), "token-1");
    assert_eq!(endpoint.requests(), 2);
}

#[test]
fn token_obtained_during_a_partition_is_written_back() {
    let Some(redis) = Redis::start() else { return };
    let network = Network::to(&redis);
    network.cut(true);
    let place = place();
    let scenario = Scenario {
        threads: 1,
        ..scenario(&place, &redis)
    };
    let mut request = request();
    request.client_id += &scenario.client;
    let cache = Cache::new(Clock::Skewed(-300_000));
    let config = network.config(&place.path().join("partitioned"));
    let handle = cache.handle(request, &config).unwrap();
    let endpoint = Endpoint::new(&Clock::Real, []);
    let token = handle.token(&*endpoint, &call()).unwrap();
    let stores = cache.diagnostics().stores;
    assert!(!stores[0].usable && stores[1].usable, "{stores:?}");
    assert_eq!(redis.keys("*"), Vec::<String>::new());
    network.cut(false);
    // The next calls use the cached token, and write it to the server.
    eventually(|| {
        let same = handle.token(&*endpoint, &call()).unwrap();
        assert_eq!(same.expose(), token.expose());
        (!redis.keys("camunda-admin:token-*").is_empty()).then_some(())
    });
    let outcomes = eventually(|| {
        let outcomes = scenario.run(vec![scenario.start()]);
        (outcomes[0].store_failures == 0).then_some(outcomes)
    });
    assert_eq!(outcomes[0].token(), token.expose());
    assert_eq!((endpoint.requests(), scenario.requests().len()), (1, 0));
}

#[test]
fn block_received_during_a_partition_is_written_back() {
    let Some(redis) = Redis::start() else { return };
    let network = Network::to(&redis);
    network.cut(true);
    let place = place();
    let cache = Cache::new(Clock::Skewed(900_000));
    let config = network.config(&place.path().join("partitioned"));
    let handle = cache.handle(request(), &config).unwrap();
    let limited = Reply::Fails(TokenErrorKind::RateLimited { retry_after: None });
    let endpoint = Endpoint::new(&Clock::Real, [limited]);
    let get_token = || {
        let call = call_within(Duration::from_secs(20));
        handle.token(&*endpoint, &call).unwrap_err().retry_after()
    };
    assert!(get_token().is_some());
    network.cut(false);
    eventually(|| {
        assert!(get_token().is_some());
        (!redis.keys("camunda-admin:rate-limit-*").is_empty()).then_some(())
    });
    let scenario = Scenario {
        threads: 1,
        separate_credentials: true,
        ..scenario(&place, &redis)
    };
    let outcomes = scenario.run(vec![scenario.start(), scenario.start()]);
    for outcome in outcomes.iter().filter(|it| it.store_failures == 0) {
        let (kind, _) = outcome.result.as_ref().unwrap_err();
        assert_eq!(kind, "RateLimited");
        assert!(outcome.retry_after <= Some(Duration::from_secs(181)));
    }
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn block_received_during_a_partition_is_written_back_by_another_process_of_the_host() {
    let Some(redis) = Redis::start() else { return };
    let network = Network::to(&redis);
    network.cut(true);
    let place = place();
    let limited = Reply::Fails(TokenErrorKind::RateLimited { retry_after: None });
    let mut endpoint = Endpoint::with_script(&Clock::Real, []);
    endpoint.then = limited;
    // A process that makes one call and ends.
    let get_token = |host: &str| {
        let cache = Cache::new(Clock::Real);
        let config = network.config(&place.path().join(host));
        let handle = cache.handle(request(), &config).unwrap();
        let call = call_within(Duration::from_secs(20));
        handle.token(&endpoint, &call).unwrap_err().retry_after()
    };
    assert!(get_token("partitioned").is_some());
    assert_eq!(endpoint.requests(), 1);
    network.cut(false);
    eventually(|| {
        assert!(get_token("partitioned").is_some());
        (!redis.keys("camunda-admin:rate-limit-*").is_empty()).then_some(())
    });
    retry_while_late(|_| {
        let before = endpoint.requests();
        let cache = Cache::new(Clock::Real);
        let config = network.config(&place.path().join("other"));
        let handle = cache.handle(request(), &config).unwrap();
        let call = call_within(Duration::from_secs(20));
        let error = handle.token(&endpoint, &call).unwrap_err();
        let failures: u64 = cache
            .diagnostics()
            .stores
            .iter()
            .map(|it| it.failures)
            .sum();
        if failures != 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        assert!(
            error.retry_after() > Some(Duration::from_secs(40)),
            "{error:?}"
        );
        assert_eq!(endpoint.requests(), before);
        Ok(())
    });
}

#[test]
fn rejected_token_of_a_partition_is_not_written_back() {
    let Some(redis) = Redis::start() else { return };
    let network = Network::to(&redis);
    network.cut(true);
    let place = place();
    let config = network.config(&place.path().join("partitioned"));
    let handle = Cache::new(Clock::Real).handle(request(), &config).unwrap();
    let endpoint = Endpoint::new(&Clock::Real, []);
    let token = handle.token(&*endpoint, &call()).unwrap();
    handle.invalidate(&token, &call());
    network.cut(false);
    let next = handle.token(&*endpoint, &call()).unwrap();
    assert_ne!(next.expose(), token.expose());
    let other = Cache::new(Clock::Real);
    let config = network.config(&place.path().join("other"));
    let other = other.handle(request(), &config).unwrap();
    let got = eventually(|| {
        handle.token(&*endpoint, &call()).unwrap();
        (!redis.keys("camunda-admin:token-*").is_empty()).then_some(())?;
        Some(other.token(&*endpoint, &call()).unwrap())
    });
    assert_eq!(got.expose(), next.expose());
}

#[test]
fn invariants_01_to_03_hold_on_a_host_with_a_full_disk() {
    let Some(redis) = Redis::start() else { return };
    let place = place();
    let scenario = |separate_credentials| Scenario {
        threads: 2,
        host: Some(String::new()),
        separate_credentials,
        ..scenario(&place, &redis)
    };
    let Some(_disk) = FullDisk::mount(&scenario(false).cache) else {
        return;
    };
    let one = scenario(false);
    let outcomes = one.run((0..4).map(|_| one.start()).collect());
    assert_same_token(&outcomes);
    assert_eq!(one.requests().len(), 1);
    let many = scenario(true);
    let outcomes = many.run(vec![many.start(), many.start()]);
    assert!(outcomes.iter().all(|it| it.result.is_ok()), "{outcomes:?}");
    let requests = many.requests();
    assert_eq!(requests.len(), 5);
    assert_apart(&requests);
    let bad = Scenario {
        mode: EndpointMode::BadCredentials,
        client: "bad".to_owned(),
        ..scenario(false)
    };
    let outcomes = bad.run((0..4).map(|_| bad.start()).collect());
    assert!(outcomes.iter().all(|it| it.result.is_err()), "{outcomes:?}");
    assert_eq!(bad.requests().len(), 6);
}

#[test]
fn invariant_01_one_token_request_on_a_host_when_redis_is_full() {
    let Some(redis) = Redis::start() else { return };
    redis.query::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg(1));
    let place = place();
    let scenario = Scenario {
        host: Some("one".to_owned()),
        threads: 2,
        ..scenario(&place, &redis)
    };
    let outcomes = scenario.run((0..4).map(|_| scenario.start()).collect());
    assert_same_token(&outcomes);
    assert_eq!(scenario.requests().len(), 1);
    let cache = Cache::new(Clock::Real);
    let config = TokenCacheConfig::Redis {
        url: Secret::new(redis.url()),
        fallback: Fallback::Directory(scenario.cache.join("two")),
        tls: None,
    };
    let handle = cache.handle(request(), &config).unwrap();
    let endpoint = Endpoint::new(&Clock::Real, []);
    handle.token(&*endpoint, &call()).unwrap();
    let report = &cache.diagnostics().stores[0];
    if report.can_read {
        assert!(!report.can_write && !report.can_lock, "{report:?}");
        for error in [&report.lock_error, &report.write_error] {
            assert!(error.as_ref().unwrap().contains("OOM"), "{report:?}");
        }
    }
}

/// Returns a handle on a host of its own.
fn handle(redis: &Redis, place: &tempfile::TempDir, secret: &str) -> Arc<TokenCacheHandle> {
    let config = TokenCacheConfig::Redis {
        url: Secret::new(redis.url()),
        fallback: Fallback::Directory(place.path().join(secret)),
        tls: None,
    };
    let mut request = request();
    request.client_secret = Secret::from(secret);
    Cache::new(Clock::Real).handle(request, &config).unwrap()
}

#[test]
fn forged_rate_limit_record_blocks_no_request() {
    let Some(redis) = Redis::start() else { return };
    let first = place();
    let endpoint = Endpoint::new(&Clock::Real, []);
    eventually(|| {
        let handle = handle(&redis, &first, "hunter2");
        handle.token(&*endpoint, &call()).unwrap();
        (!redis.keys("camunda-admin:rate-limit-*").is_empty()).then_some(())
    });
    let key = redis.key("camunda-admin:rate-limit-*");
    let genuine: Vec<u8> = redis.query(cmd("GET").arg(&key));
    let now = redis.time();
    let block = json!({
        "version": 1,
        "last_request_at": now,
        "blocked_at": now,
        "blocked_until": now + 3_600_000,
        "consecutive_429s": 9,
    });
    let mut changed: Value = serde_json::from_slice(&genuine).unwrap();
    for (name, value) in block.as_object().unwrap() {
        changed["signed"][0][name] = value.clone();
        changed[name] = value.clone();
    }
    let mut added = block.clone();
    added["signed"] = json!([{"key": "0123456789abcdef", "mac": "00"}, 7, null, {}]);
    for forged in [block, changed, added] {
        let place = place();
        let scenario = Scenario {
            threads: 2,
            separate_credentials: true,
            ..scenario(&place, &redis)
        };
        let outcomes = eventually(|| {
            redis.query::<()>(cmd("SET").arg(&key).arg(forged.to_string()));
            let outcomes = scenario.run(vec![scenario.start(), scenario.start()]);
            outcomes
                .iter()
                .all(|it| it.store_failures == 0)
                .then_some(outcomes)
        });
        for outcome in &outcomes {
            outcome.token();
            assert!(outcome.took < Duration::from_secs(15), "{outcomes:?}");
            let warnings = outcome.warnings.iter();
            let named = warnings.filter(|it| it.starts_with("rate limit record not verified"));
            assert!(named.count() <= 1);
        }
        let all = outcomes.iter().flat_map(|it| &it.warnings);
        let expected = format!(
            "rate limit record not verified, its block is ignored: store=\"Redis at 127.0.0.1:{}\" \
             token_host=https://login.example:443",
            redis.port
        );
        assert!(all.clone().any(|it| *it == expected), "{outcomes:?}");
    }
}

#[test]
fn block_of_another_secret_costs_one_request_for_all_processes() {
    let Some(redis) = Redis::start() else { return };
    let (requests, outcomes) = without_store_failures(|| {
        let place = place();
        let with_secret = |secret: &str| Scenario {
            threads: 2,
            mode: EndpointMode::RateLimited,
            secret: secret.to_owned(),
            ..scenario(&place, &redis)
        };
        let (one, other) = (with_secret("one"), with_secret("other"));
        let mut outcomes = one.run(vec![one.start(), one.start()]);
        outcomes.extend(other.run((0..3).map(|_| other.start()).collect()));
        outcomes.extend(one.run(vec![one.start()]));
        redis.query::<()>(&cmd("FLUSHALL"));
        (one.requests(), outcomes)
    });
    assert_eq!(outcomes.len(), 12);
    for outcome in &outcomes {
        let (kind, _) = outcome.result.as_ref().unwrap_err();
        assert_eq!(kind, "RateLimited");
    }
    assert_eq!(requests.len(), 2);
    assert_apart(&requests);
}

#[test]
fn invariant_02_at_most_one_request_in_1100_ms_for_different_secrets() {
    let Some(redis) = Redis::start() else { return };
    let (requests, outcomes) = without_store_failures(|| {
        let place = place();
        let scenario = Scenario {
            threads: 1,
            ..scenario(&place, &redis)
        };
        let processes = ["a", "b", "c", "d"].map(|secret| {
            Scenario {
                secret: secret.to_owned(),
                ..scenario.clone()
            }
            .start()
        });
        let outcomes = scenario.run(processes.into());
        (scenario.requests(), outcomes)
    });
    assert!(outcomes.iter().all(|it| it.result.is_ok()), "{outcomes:?}");
    assert_eq!(requests.len(), 4);
    assert_apart(&requests);
}

#[test]
fn token_record_of_another_version_is_ignored_and_kept() {
    let Some(redis) = Redis::start() else { return };
    let (requests, outcomes) = without_store_failures(|| {
        let place = place();
        let scenario = Scenario {
            threads: 1,
            ..scenario(&place, &redis)
        };
        redis.query::<()>(&cmd("FLUSHALL"));
        let mut outcomes = scenario.run(vec![scenario.start()]);
        if outcomes[0].store_failures > 0 {
            return (Vec::new(), outcomes);
        }
        let key = redis.key("camunda-admin:token-*");
        let later = b"cadmtok9 in a format of the future".to_vec();
        redis.query::<()>(cmd("SET").arg(&key).arg(&later));
        // It is not known to this version, whose processes share another record.
        for _ in 0..2 {
            outcomes.extend(scenario.run(vec![scenario.start(), scenario.start()]));
        }
        let kept: Vec<u8> = redis.query(cmd("GET").arg(&key));
        assert_eq!(kept, later);
        (scenario.requests(), outcomes)
    });
    assert_eq!(requests.len(), 2);
    assert_same_token(&outcomes[1..]);
}

fn user(redis: &Redis, rules: &[&str]) -> RedisStore {
    let mut command = cmd("ACL");
    command.arg("SETUSER").arg("limited").arg("reset").arg("on");
    redis.query::<()>(command.arg(">hunter2").arg(rules));
    let url = format!("redis://limited:hunter2@127.0.0.1:{}/", redis.port);
    RedisStore::new(&Secret::new(url), None).unwrap()
}

#[test]
fn documented_permissions_suffice() {
    let Some(redis) = Redis::start() else { return };
    let rules = ["~camunda-admin:*", "+get", "+set", "+del", "+eval", "+time"];
    let store = user(&redis, &rules);
    let lease = Duration::from_secs(60);
    retry_while_late(|name| {
        drop(store.try_lock(name, lease)?);
        store.put(name, b"1", lease)?;
        assert_eq!(store.get(name)?.as_deref(), Some(&b"1"[..]));
        // The response to the release is read by now.
        assert!(store.try_lock(name, lease)?.is_some());
        Ok(())
    });
}

#[test]
fn missing_permissions_are_named_once() {
    let Some(redis) = Redis::start() else { return };
    for (rules, missing) in [
        (&["~camunda-admin:*", "+get", "+set"][..], "DEL,EVAL,TIME"),
        (
            &["~camunda-admin:*", "+get", "+set", "+eval", "+time"],
            "DEL",
        ),
        (&["~other:*", "+@all"], "GET,SET,DEL,EVAL"),
        (&["~camunda-admin:*", "+@all", "-time"], "TIME"),
    ] {
        user(&redis, rules);
        let place = place();
        let scenario = Scenario {
            threads: 1,
            calls: 2,
            redis: Some(format!("redis://limited:hunter2@127.0.0.1:{}/", redis.port)),
            ..scenario(&place, &redis)
        };
        let named = eventually(|| {
            let outcomes = scenario.run(vec![scenario.start()]);
            let warnings = &outcomes[1].warnings;
            assert!(outcomes[1].result.is_ok());
            assert!(warnings.iter().all(|it| !it.contains("hunter2")));
            let mut named = warnings.iter().filter(|it| it.contains("missing="));
            let first = named.next().cloned();
            assert_eq!(named.next(), None);
            first
        });
        let expected = format!(
            "store=\"Redis at 127.0.0.1:{}\" missing={missing}",
            redis.port
        );
        assert!(named.ends_with(&expected), "{named}");
    }
}

#[test]
fn store_follows_a_failover() {
    let (Some(primary), Some(replica)) = (Redis::start(), Redis::start()) else {
        return;
    };
    let network = Network::to(&primary);
    let store = RedisStore::new(&Secret::new(network.url.clone()), None).unwrap();
    let lease = Duration::from_secs(60);
    retry_while_late(|name| store.put(name, b"1", lease));
    // The name leads to the new primary; the connection to the old one is still open.
    network.port.store(replica.port, Ordering::SeqCst);
    let mut demote = cmd("REPLICAOF");
    primary.query::<()>(demote.arg("127.0.0.1").arg(replica.port));
    retry_while_late(|name| {
        store.put(name, b"2", lease)?;
        assert!(store.try_lock(name, lease)?.is_some());
        Ok(())
    });
    assert!(!replica.keys("camunda-admin:*").is_empty());
}

#[test]
fn servers_of_other_kinds_are_rejected_with_a_reason() {
    if Redis::start().is_none() {
        return;
    }
    let cluster = Redis::start_on_a_free_port(&["--cluster-enabled", "yes"]);
    let replica = Redis::start().unwrap();
    let mut command = cmd("REPLICAOF");
    replica.query::<()>(command.arg("127.0.0.1").arg(cluster.port));
    for (redis, reason) in [
        (
            &cluster,
            "Redis Cluster is not supported; use the URL of a standalone server",
        ),
        (
            &replica,
            "the server is a read-only replica; use the URL of the primary",
        ),
    ] {
        let store = redis.store();
        let error = eventually(|| {
            let error = store.put("a", b"1", Duration::from_secs(60)).unwrap_err();
            (error.kind() != io::ErrorKind::TimedOut).then_some(error)
        });
        assert_eq!(error.to_string(), reason);
    }
}

/// Certificates for a server on this machine and for its clients, all of one authority.
struct Certificates(tempfile::TempDir);

impl Certificates {
    fn new() -> Self {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
        let folder = place();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = &mut authority.distinguished_name;
        name.push(DnType::CommonName, "authority of the test");
        let key = KeyPair::generate().unwrap();
        write("ca.pem", authority.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(authority, key);
        for name in ["server", "client"] {
            let leaf = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
            let key = KeyPair::generate().unwrap();
            let certificate = leaf.signed_by(&key, &issuer).unwrap();
            write(&format!("{name}.pem"), certificate.pem());
            write(&format!("{name}-key.pem"), key.serialize_pem());
        }
        Certificates(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

#[test]
fn certificates_of_the_configuration_apply_to_an_encrypted_connection() {
    if Redis::start().is_none() {
        return;
    }
    let certificates = Certificates::new();
    let (redis, tls_port) = loop {
        let tls_port = free_port();
        let options = [
            ("--tls-port", tls_port.to_string()),
            ("--tls-cert-file", certificates.path("server.pem")),
            ("--tls-key-file", certificates.path("server-key.pem")),
            ("--tls-ca-cert-file", certificates.path("ca.pem")),
        ];
        let options: Vec<_> = options
            .iter()
            .flat_map(|(key, value)| [*key, value])
            .collect();
        if let Some(redis) = Redis::start_with(free_port(), &options) {
            break (redis, tls_port);
        }
    };
    let store = |settings: &[(&str, &str)]| {
        let mut config = crate::config::Config::default();
        let url = format!("rediss://127.0.0.1:{tls_port}/");
        config.set("token_cache", &url).unwrap();
        for (key, file) in settings {
            config.set(key, &certificates.path(file)).unwrap();
        }
        match crate::transport::token_cache_config(&config).unwrap() {
            TokenCacheConfig::Redis { url, tls, .. } => {
                RedisStore::new(&url, tls.as_ref()).unwrap()
            }
            other => panic!("{other:?}"),
        }
    };
    let lease = Duration::from_secs(60);
    let trusted = [("ca_file", "ca.pem")];
    let identified = [
        ("ca_file", "ca.pem"),
        ("client_cert", "client.pem"),
        ("client_key", "client-key.pem"),
    ];
    let with_certificate = store(&identified);
    retry_while_late(|name| {
        with_certificate.put(name, b"1", lease)?;
        assert!(with_certificate.try_lock(name, lease)?.is_some());
        // Too large for one TLS record.
        let large = vec![7; 100_000];
        with_certificate.put(name, &large, lease)?;
        assert_eq!(with_certificate.get(name)?, Some(large));
        Ok(())
    });
    assert!(!redis.keys("camunda-admin:*").is_empty());
    for (settings, part) in [(&trusted[..], ""), (&[], "UnknownIssuer")] {
        let store = store(settings);
        let error = eventually(|| {
            let error = store.get("a").unwrap_err();
            (error.kind() != io::ErrorKind::TimedOut).then_some(error)
        });
        assert!(error.to_string().contains(part), "{error}");
    }
}
