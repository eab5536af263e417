//! Tests of the token cache in forked children, beside threads that keep it busy.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use super::test_support::{Endpoint, MEMORY, MemoryStore, Reply, call, call_within, request};
use crate::auth::cache::{TokenCacheHandle, diagnostics, token_cache_handle};
use crate::auth::store::{LockResult, StoreChain};
use crate::auth::time::Clock;
use crate::auth::{Token, TokenErrorKind, TokenRequest};
use crate::error::ErrorKind;
use crate::fork::tests::forked_child::{Child, fork};

const FORKS: usize = 1_000;
/// Number of children that run at the same time.
const BATCH: usize = 10;
const THREADS: usize = 12;
/// Far beyond the time that the test needs on a loaded machine.
const LIMIT: Duration = Duration::from_secs(400);

/// In a separate process, since threads of other tests may use `parking_lot`.
#[test]
fn child_of_busy_parent_neither_hangs_nor_loses_state() {
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "auth::tests::fork_tests::run_children",
            "--include-ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let give_up_at = Instant::now() + LIMIT;
    let status = loop {
        if let Some(status) = process.try_wait().unwrap() {
            break Some(status);
        }
        if Instant::now() >= give_up_at {
            process.kill().unwrap();
            process.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(10));
    };
    assert!(status.is_some_and(|status| status.success()), "{status:?}");
}

fn request_for(audience: String) -> TokenRequest {
    TokenRequest {
        audience,
        ..request()
    }
}

#[test]
#[ignore = "run by another test in a process of its own"]
fn run_children() {
    // Longer than the test takes.
    let retry_after = Some(2 * LIMIT);
    let limited = Reply::Fails(TokenErrorKind::RateLimited { retry_after });
    let endpoint = Endpoint::new(&Clock::Real, [Reply::Token(3600.0), limited]);
    let known = token_cache_handle(request(), &MEMORY).unwrap();
    let token = known.token(&*endpoint, &call()).unwrap();
    let other = token_cache_handle(request_for("other.example".into()), &MEMORY).unwrap();
    let error = other.token(&*endpoint, &call_within(Duration::from_secs(20)));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::RateLimited);

    let stop = AtomicBool::new(false);
    // A thread that starts during a fork can leave std's table of threads locked in the child.
    let started = Barrier::new(THREADS + 1);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (started, stop, known, endpoint) = (&started, &stop, &known, &endpoint);
            scope.spawn(move || {
                started.wait();
                keep_busy(number, stop, known, endpoint);
            });
        }
        started.wait();
        let mut ends = Vec::new();
        for _ in 0..FORKS / BATCH {
            let children: Vec<_> = (0..BATCH)
                .map(|_| fork(|| child_knows_all(&known, &other, &token, &endpoint)))
                .collect();
            ends.extend(children.into_iter().map(|child| child.wait()));
        }
        stop.store(true, Ordering::Relaxed);
        let count = |wanted| ends.iter().filter(|end| **end == wanted).count();
        let (passed, hung) = (count(Child::Passed), count(Child::Hung));
        assert_eq!((passed, hung), (FORKS, 0), "passed and hung");
    });
    assert_eq!(endpoint.requests(), 2);
}

fn keep_busy(number: usize, stop: &AtomicBool, known: &TokenCacheHandle, endpoint: &Endpoint) {
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..20 {
            known.token(endpoint, &call()).unwrap();
        }
        diagnostics();
        // More entries than the cache keeps.
        round += 1;
        let audience = format!("{number}-{}.example", round % 10);
        drop(token_cache_handle(request_for(audience), &MEMORY).unwrap());
        thread::yield_now();
    }
}

fn child_knows_all(
    known: &TokenCacheHandle,
    other: &TokenCacheHandle,
    token: &Token,
    endpoint: &Endpoint,
) -> bool {
    let finds_token = || {
        (0..20).all(|_| {
            let found = known.token(endpoint, &call()).unwrap();
            found.expose() == token.expose() && found.generation() == token.generation()
        })
    };
    // Also with threads that wait for each other.
    let found = thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(finds_token));
        threads
            .into_iter()
            .all(|thread| thread.join().unwrap_or(false))
    });
    let limited = other.token(endpoint, &call_within(Duration::from_secs(20)));
    let blocked = diagnostics()
        .rate_limiters
        .iter()
        .all(|rate_limiter| rate_limiter.blocked);
    found
        && blocked
        && limited.is_err_and(|error| error.kind() == ErrorKind::RateLimited)
        && endpoint.requests() == 2
}

#[test]
fn store_lock_is_not_released_by_a_forked_child() {
    let store = Arc::new(MemoryStore::default());
    let stores = StoreChain::new(&store.config(), &Clock::Real).unwrap();
    let take = || stores.try_lock(&call(), "token-a", Duration::from_secs(60));
    let lock = take();
    assert!(matches!(lock, LockResult::Acquired(_)));
    let child = fork(|| {
        drop(lock);
        matches!(take(), LockResult::Contended)
    });
    assert_eq!(child.wait(), Child::Passed);
    assert!(matches!(take(), LockResult::Acquired(_)));
}
