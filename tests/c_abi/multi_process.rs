//! Multi-process tests: eight processes with eight threads each start concurrently, in C and in Python,
//! against a sandbox that allows one token request per second.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use camunda_admin_sandbox::{Fault, Sandbox};

use crate::library::library;
use crate::limited::{Limited, PROGRAM_LIMIT};
use crate::program::{Build, Language, Program, without_camunda};
use crate::redis::Redis;
use crate::tools::{tool, top};

const PROCESSES: usize = 8;
const THREADS: usize = 8;
/// Default number of repetitions of each test; `CAMUNDA_TEST_MULTI_PROCESS_ROUNDS` overrides it.
const ROUNDS: usize = 3;

/// The line that a worker prints if a token store failed.
const STORE_FAILED: &str = "a store failed";
/// Maximum time until the first process sends its token request.
const START_TIMEOUT: Duration = Duration::from_secs(120);

fn rounds() -> usize {
    match std::env::var("CAMUNDA_TEST_MULTI_PROCESS_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("a number of rounds"),
        Err(_) => ROUNDS,
    }
}

/// A program that lists clusters, in one of the languages.
trait Worker {
    fn command(&self) -> Command;
}

struct C(Program);

impl Worker for C {
    fn command(&self) -> Command {
        Command::new(self.0.binary())
    }
}

struct Python(PathBuf);

impl Worker for Python {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command
            .arg(top().join("bindings/python/tests/multi_process_worker.py"))
            .env("PYTHONPATH", top().join("bindings/python/src"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("CAMUNDA_ADMIN_LIBRARY", &library().shared);
        command
    }
}

fn workers() -> Vec<Box<dyn Worker>> {
    let mut workers: Vec<Box<dyn Worker>> = Vec::new();
    let source = top().join("tests/c/multi_process_worker.c");
    if let Some(program) = Program::compile(Language::C, &source, Build::Plain) {
        workers.push(Box::new(C(program)));
    }
    if let Some(python) = tool("python3") {
        library();
        workers.push(Box::new(Python(python)));
    }
    workers
}

/// A started worker that waits for the signal to make its calls.
struct Ready {
    program: Limited,
    output: BufReader<ChildStdout>,
}

impl Ready {
    fn start(worker: &dyn Worker, environment: &[(String, String)], home: &Path) -> Self {
        let mut command = worker.command();
        without_camunda(&mut command, &["CAMUNDA_ADMIN_LIBRARY"]);
        command
            .env("HOME", home)
            .env_remove("XDG_CACHE_HOME")
            .envs(environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut program = Limited::start(command, PROGRAM_LIMIT);
        let output = BufReader::new(program.stdout.take().unwrap());
        Ready { program, output }
    }

    fn wait_until_ready(&mut self) {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
    }

    fn go(&mut self) {
        self.program
            .stdin
            .as_mut()
            .unwrap()
            .write_all(b"\n")
            .unwrap();
    }

    /// Returns the lines that the worker prints. Panics unless it exits successfully.
    fn lines(mut self) -> Vec<String> {
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        self.program.wait_for_success();
        text.lines().map(str::to_owned).collect()
    }
}

/// Starts the workers, makes all of them call concurrently, and returns the lines of all threads.
fn run_workers(worker: &dyn Worker, environment: &[(String, String)], home: &Path) -> Vec<String> {
    run_workers_at(worker, environment, |_| home.to_owned())
}

/// As [`run_workers`], with a home directory for each process.
fn run_workers_at(
    worker: &dyn Worker,
    environment: &[(String, String)],
    home: impl Fn(usize) -> PathBuf,
) -> Vec<String> {
    let mut workers_ready: Vec<Ready> = (0..PROCESSES)
        .map(|process| Ready::start(worker, environment, &home(process)))
        .collect();
    workers_ready.iter_mut().for_each(Ready::wait_until_ready);
    workers_ready.iter_mut().for_each(Ready::go);
    workers_ready.into_iter().flat_map(Ready::lines).collect()
}

#[test]
fn processes_without_token_send_one_token_request() {
    for worker in workers() {
        for round in 0..rounds() {
            let sandbox = Sandbox::start();
            let home = tempfile::tempdir().unwrap();
            let lines = run_workers(&*worker, &sandbox.environment(), home.path());
            assert_eq!(lines, vec!["ok"; PROCESSES * THREADS], "round {round}");
            let stats = sandbox.stats();
            assert_eq!(
                (
                    stats.token_requests,
                    stats.rate_limited_token_requests,
                    stats.requests
                ),
                (1, 0, (PROCESSES * THREADS) as u64),
                "round {round}"
            );
        }
    }
}

/// Each process has its own home directory, as hosts that share only the Redis.
#[test]
fn hosts_with_shared_redis_send_one_token_request() {
    for worker in workers() {
        let (mut round, mut disturbed) = (0, 0);
        while round < rounds() {
            let Some(redis) = Redis::start() else { return };
            let sandbox = Sandbox::start();
            let homes = tempfile::tempdir().unwrap();
            let mut environment = sandbox.environment();
            environment.push(("CAMUNDA_TOKEN_CACHE_REDIS_URL".into(), redis.url()));
            let lines = run_workers_at(&*worker, &environment, |process| {
                homes.path().join(process.to_string())
            });
            // On a loaded machine Redis may respond after the library's timeout. The library then does
            // not use it for a while, so the round does not count.
            if lines.iter().any(|line| line == STORE_FAILED) {
                disturbed += 1;
                assert!(disturbed < 20, "the store failed in 20 rounds");
                continue;
            }
            assert_eq!(lines, vec!["ok"; PROCESSES * THREADS], "round {round}");
            let stats = sandbox.stats();
            assert_eq!(
                (stats.token_requests, stats.rate_limited_token_requests),
                (1, 0),
                "round {round}"
            );
            round += 1;
        }
    }
}

#[test]
fn processes_with_wrong_secret_send_one_token_request() {
    let rejection_delay = Duration::from_secs(600);
    for worker in workers() {
        for round in 0..rounds() {
            let sandbox = Sandbox::builder().rejection_delay(rejection_delay).start();
            let home = tempfile::tempdir().unwrap();
            // The environment of the workers has the old secret.
            let environment = sandbox.environment();
            sandbox.rotate_secret();
            let start = Instant::now();
            let lines = run_workers(&*worker, &environment, home.path());
            assert!(start.elapsed() < rejection_delay);
            assert_eq!(lines.len(), PROCESSES * THREADS);
            let texts: BTreeSet<&str> = lines
                .iter()
                .map(|line| line.split("; retry after").next().unwrap())
                .collect();
            assert_eq!(texts.len(), 1, "round {round}: {texts:?}");
            let text = texts.first().unwrap();
            assert!(
                text.contains("rejected the client credentials (HTTP 401)"),
                "{text}"
            );
            assert_eq!(sandbox.stats().token_requests, 1, "round {round}");
        }
    }
}

#[test]
fn one_process_replaces_killed_token_fetcher() {
    for worker in workers() {
        for round in 0..rounds() {
            let sandbox = Sandbox::builder().token_rate_limit(false).start();
            let home = tempfile::tempdir().unwrap();
            sandbox.add_fault(Fault::on_token().stall());
            let mut fetcher = Ready::start(&*worker, &sandbox.environment(), home.path());
            let mut workers_ready: Vec<Ready> = (1..PROCESSES)
                .map(|_| Ready::start(&*worker, &sandbox.environment(), home.path()))
                .collect();
            fetcher.wait_until_ready();
            workers_ready.iter_mut().for_each(Ready::wait_until_ready);
            fetcher.go();
            let start = Instant::now();
            while sandbox.stats().token_requests == 0 {
                assert!(start.elapsed() < START_TIMEOUT, "no token request was sent");
                std::thread::sleep(Duration::from_millis(1));
            }
            workers_ready.iter_mut().for_each(Ready::go);
            // SIGKILL, while it waits for the token response.
            fetcher.program.kill();
            let lines: Vec<String> = workers_ready.into_iter().flat_map(Ready::lines).collect();
            assert_eq!(
                lines,
                vec!["ok"; (PROCESSES - 1) * THREADS],
                "round {round}"
            );
            assert_eq!(sandbox.stats().token_requests, 2, "round {round}");
        }
    }
}
