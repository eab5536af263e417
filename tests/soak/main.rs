//! A busy program for as long as one likes: 64 threads that read, change and create against a
//! sandbox in which everything fails now and then, some of them in a hurry, some cancelled, with
//! tokens that live for seconds and are revoked.
//!
//! The program is a process of its own (`program`), so that its memory, descriptors and threads are
//! its own; the sandbox is in this one, which counts what arrives there.
//!
//! It takes about 15 seconds; `CAMUNDA_SOAK_SECONDS=1800` makes it half an hour, and `-- --nocapture`
//! shows what happened.

mod expectations;
#[path = "../support/limited.rs"]
#[allow(dead_code)]
mod limited;
mod measure;
mod program;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camunda_admin_sandbox::{Fault, Limits, Permission, Sandbox, When};
use serde_json::json;

use limited::{Limited, PROGRAM_LIMIT};
use program::{Plan, Report};

/// Names the plan to the program's process.
const PLAN: &str = "CAMUNDA_SOAK_PLAN";
/// Begins the lines of the program that are for the test.
const MARK: &str = "@@";

const THREADS: usize = 64;
const CLIENT_IDS: usize = 4;

/// The least time between two token requests of a process.
const PACE: Duration = Duration::from_millis(1_100);

#[test]
fn sixty_four_threads_against_everything_that_fails() {
    let seconds: u64 = match std::env::var("CAMUNDA_SOAK_SECONDS") {
        Ok(seconds) => seconds.parse().expect("CAMUNDA_SOAK_SECONDS is a number"),
        Err(_) => 15,
    };
    let sandbox = Sandbox::builder()
        .token_lifetime(Duration::from_secs(10))
        // How far apart requests arrive depends on the machine; how many there are does not.
        .token_rate_limit(false)
        .rejection_delay(Duration::from_millis(100))
        .start();
    sandbox.set_limits(Limits {
        max_clients: None,
        ..sandbox.limits()
    });
    let mut credentials: Vec<_> = (0..CLIENT_IDS)
        .map(|_| sandbox.add_credentials(&Permission::ALL))
        .map(|credentials| (credentials.client_id, credentials.client_secret))
        .collect();
    credentials.push((sandbox.client_id(), "a wrong secret".to_owned()));
    let cache = tempfile::tempdir().unwrap();
    let plan = Plan {
        base_url: sandbox.base_url(),
        oauth_url: sandbox.oauth_url(),
        credentials,
        cache: cache.path().join("cache"),
        clusters: sandbox.create_clusters(THREADS as u64),
        seconds,
    };
    faults()
        .into_iter()
        .for_each(|fault| drop(sandbox.add_fault(fault)));

    let begun = Instant::now();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "play", "--ignored", "--nocapture"])
        .env(PLAN, serde_json::to_string(&plan).unwrap())
        .env("HOME", cache.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let limit = Duration::from_secs(seconds) + PROGRAM_LIMIT;
    let mut program = Limited::start(command, limit);
    let mut answers = program.stdin.take().unwrap();
    let mut report = None;
    for line in BufReader::new(program.stdout.take().unwrap()).lines() {
        match line.unwrap().split_once(MARK) {
            Some((_, "revoke")) => sandbox.revoke_tokens(),
            Some((_, "calm")) => {
                sandbox.clear_faults();
                writeln!(answers, "calm").unwrap();
            }
            Some((_, text)) => report = Some(serde_json::from_str::<Report>(text).unwrap()),
            None => {}
        }
    }
    program.wait_for_success();
    let elapsed = begun.elapsed();
    let report = report.expect("the program reports");
    let stats = sandbox.stats();
    println!(
        "{elapsed:?}: {report:#?}\nthe sandbox saw {} requests by {} connections, \
         {} token requests ({} refused)\n{:#?}",
        stats.requests,
        stats.connections,
        stats.token_requests,
        stats.rejected_token_requests,
        stats.requests_by_operation,
    );

    // Every request that arrived was counted as sent, and every one that was sent has arrived, but
    // for those without an answer.
    println!(
        "{} of {} requests did not arrive, {} had no answer; {} of {} for tokens",
        report.stats.requests - stats.requests,
        report.stats.requests,
        report.unanswered,
        report.stats.token_requests - stats.token_requests,
        report.stats.token_requests,
    );
    assert!(stats.requests <= report.stats.requests);
    assert!(stats.requests + report.unanswered >= report.stats.requests);
    assert!(stats.token_requests <= report.stats.token_requests);
    assert!(stats.token_requests + report.tokenless >= report.stats.token_requests);
    let most = 1 + elapsed.as_millis() / PACE.as_millis();
    assert!(u128::from(report.stats.token_requests) <= most, "{most}");

    // Nothing was created that was not asked for, nothing was asked for twice, nothing that was
    // said to have arrived had not.
    let arrived = stats.requests_by_operation["POST /clusters/{clusterUuid}/clients"];
    let creations = &report.creations;
    assert!(arrived <= creations.done + creations.refused + creations.unknown);
    assert!(arrived >= creations.done + creations.refused);

    // It is a test of something only if everything happened.
    for outcome in [
        creations.done,
        creations.refused,
        creations.unknown,
        creations.not_sent,
    ] {
        assert!(outcome > 0, "{creations:?}");
    }
    for kind in [
        "Authentication",
        "Cancelled",
        "Decode",
        "Network",
        "RateLimited",
        "Service",
        "Timeout",
    ] {
        assert!(
            report.errors.keys().any(|error| error.starts_with(kind)),
            "no error {kind}: {:?}",
            report.errors
        );
    }
    assert!(stats.token_requests > CLIENT_IDS as u64);
}

/// Plays the program.
#[test]
#[ignore = "run by the other in a process of its own"]
fn play() {
    let plan = std::env::var(PLAN).expect("a plan");
    program::run(&serde_json::from_str(&plan).unwrap());
}

/// What goes wrong, and in how many of a hundred requests: about one of five has to suffer.
fn faults() -> Vec<Fault> {
    let delay = Duration::from_millis(30);
    let table = [
        (4.0, Fault::on_any().delay(delay)),
        (2.0, Fault::on_any().delay(delay).when(When::Before)),
        (2.0, Fault::on_any().status(503).header("retry-after", "0")),
        (1.0, Fault::on_any().status(502).when(When::After)),
        (1.0, Fault::on_any().status(500).when(When::After)),
        (3.0, Fault::on_any().status(429)),
        (1.0, Fault::on_any().reset()),
        (1.0, Fault::on_any().reset().when(When::After)),
        (1.0, Fault::on_any().cut_body(9)),
        (0.5, Fault::on_any().cut_body(9).reset()),
        (0.1, Fault::on_any().cut_body(9).stall()),
        (0.1, Fault::on_any().stall()),
        (0.1, Fault::on_any().stall().when(When::After)),
        (0.5, Fault::on_any().garbage("not HTTP\r\n\r\n")),
        (
            2.0,
            Fault::on_any()
                .body("<html>")
                .header("content-type", "text/html"),
        ),
        (0.5, Fault::on_any().wrong_content_length(1_000_000)),
        (0.2, Fault::on_any().slow_body(Duration::from_millis(1))),
        (0.2, Fault::on_any().huge_body(1 << 20)),
        (0.5, Fault::on_any().informational()),
        (2.0, Fault::on_any().close_after(Duration::ZERO)),
        (
            1.0,
            Fault::on_any().extra_field("new", json!({ "a": [1.50] })),
        ),
        (5.0, Fault::on_token().status(503)),
        (5.0, Fault::on_token().reset()),
        (5.0, Fault::on_token().delay(delay)),
        (2.0, Fault::on_token().body("{}")),
    ];
    let with_seed = |(seed, (percent, fault)): (u64, (f64, Fault))| {
        fault.always().probability(percent / 100.0, seed)
    };
    (1..).zip(table).map(with_seed).collect()
}
