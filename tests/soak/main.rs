//! Soak test: 64 threads read, change, create and delete resources of a mock server that injects faults
//! into about a fifth of the requests. Some calls have short deadlines, some are cancelled; access tokens
//! are valid for 10 s and are revoked.
//!
//! The program runs in a process of its own (`program`), so that its memory, descriptors and threads can
//! be measured. The mock server runs in the process of the test, which counts the requests.
//!
//! Duration: `CAMUNDA_SOAK_SECONDS`, default: 15. `-- --nocapture` prints the counters.

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

/// Environment variable that passes the plan to the program.
const PLAN: &str = "CAMUNDA_SOAK_PLAN";
/// Prefix of the lines that the program prints for the test.
const MARK: &str = "@@";

const THREADS: usize = 64;
const CLIENT_IDS: usize = 4;

/// Minimum interval between two token requests of a process.
const MIN_TOKEN_REQUEST_INTERVAL: Duration = Duration::from_millis(1_100);

#[test]
fn outcomes_and_resources_are_consistent_with_64_threads_and_faults() {
    let seconds: u64 = match std::env::var("CAMUNDA_SOAK_SECONDS") {
        Ok(seconds) => seconds.parse().expect("CAMUNDA_SOAK_SECONDS is a number"),
        Err(_) => 15,
    };
    let sandbox = Sandbox::builder()
        .token_lifetime(Duration::from_secs(10))
        // The interval at which requests arrive depends on the machine; their number does not.
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
        .args([
            "--exact",
            "program_with_64_threads",
            "--ignored",
            "--nocapture",
        ])
        .env(PLAN, serde_json::to_string(&plan).unwrap())
        .env("HOME", cache.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let limit = Duration::from_secs(seconds) + PROGRAM_LIMIT;
    let mut program = Limited::start(command, limit);
    let mut input = program.stdin.take().unwrap();
    let mut report = None;
    for line in BufReader::new(program.stdout.take().unwrap()).lines() {
        match line.unwrap().split_once(MARK) {
            Some((_, "revoke")) => sandbox.revoke_tokens(),
            Some((_, "faults_disabled")) => {
                sandbox.clear_faults();
                writeln!(input, "faults_disabled").unwrap();
            }
            Some((_, text)) => report = Some(serde_json::from_str::<Report>(text).unwrap()),
            None => {}
        }
    }
    program.wait_for_success();
    let elapsed = begun.elapsed();
    let report = report.expect("the program prints a report");
    let stats = sandbox.stats();
    println!(
        "{elapsed:?}: {report:#?}\nthe sandbox received {} requests on {} connections, \
         {} token requests ({} rejected)\n{:#?}",
        stats.requests,
        stats.connections,
        stats.token_requests,
        stats.rejected_token_requests,
        stats.requests_by_operation,
    );

    // Every request that arrived was counted as sent. Every request that was counted arrived, except
    // for some without a response.
    println!(
        "{} of {} requests did not arrive, {} had no response; {} of {} token requests did not arrive",
        report.stats.requests - stats.requests,
        report.stats.requests,
        report.unanswered,
        report.stats.token_requests - stats.token_requests,
        report.stats.token_requests,
    );
    assert!(stats.requests <= report.stats.requests);
    assert!(stats.requests + report.unanswered >= report.stats.requests);
    assert!(stats.token_requests <= report.stats.token_requests);
    assert!(stats.token_requests + report.unanswered_token_requests >= report.stats.token_requests);
    let limit = 1 + elapsed.as_millis() / MIN_TOKEN_REQUEST_INTERVAL.as_millis();
    assert!(u128::from(report.stats.token_requests) <= limit, "{limit}");

    // Each creation arrived at most once, and exactly once if its outcome is known.
    let arrived = stats.requests_by_operation["POST /clusters/{clusterUuid}/clients"];
    let creations = &report.creations;
    assert!(arrived <= creations.completed + creations.rejected + creations.unknown);
    assert!(arrived >= creations.completed + creations.rejected);

    // All outcomes and error kinds must have occurred.
    for outcome in [
        creations.completed,
        creations.rejected,
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

/// Runs the program.
#[test]
#[ignore = "run by the other test in a process of its own"]
fn program_with_64_threads() {
    let plan = std::env::var(PLAN).expect("CAMUNDA_SOAK_PLAN is set");
    program::run(&serde_json::from_str(&plan).unwrap());
}

/// Returns the faults, with the percentage of requests into which each is injected: about 20 % in total.
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
