//! Fleets of processes that start together: eight of them with eight threads each, in C and in
//! Python, against the sandbox with its limit of one token request a second.

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
/// How often each of the promises has to hold in a row; `CAMUNDA_TEST_MULTI_PROCESS_ROUNDS` says otherwise.
const ROUNDS: usize = 3;

/// What a worker says besides if a store failed.
const STORE_FAILED: &str = "a store failed";
/// How long a process may take to begin, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn rounds() -> usize {
    match std::env::var("CAMUNDA_TEST_MULTI_PROCESS_ROUNDS") {
        Ok(rounds) => rounds.parse().expect("a number of rounds"),
        Err(_) => ROUNDS,
    }
}

/// How a process of a fleet is started.
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

/// A process that is ready and waits for the word.
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

    /// What it prints until its end, which has to be a good one.
    fn lines(mut self) -> Vec<String> {
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        self.program.wait_for_success();
        text.lines().map(str::to_owned).collect()
    }
}

/// Starts a fleet on a barrier, and gives what all of its threads got.
fn run_fleet(worker: &dyn Worker, environment: &[(String, String)], home: &Path) -> Vec<String> {
    run_fleet_at(worker, environment, |_| home.to_owned())
}

/// The same with a home for each of the processes.
fn run_fleet_at(
    worker: &dyn Worker,
    environment: &[(String, String)],
    home: impl Fn(usize) -> PathBuf,
) -> Vec<String> {
    let mut fleet: Vec<Ready> = (0..PROCESSES)
        .map(|process| Ready::start(worker, environment, &home(process)))
        .collect();
    fleet.iter_mut().for_each(Ready::wait_until_ready);
    fleet.iter_mut().for_each(Ready::go);
    fleet.into_iter().flat_map(Ready::lines).collect()
}

#[test]
fn a_cold_fleet_makes_one_token_request() {
    for worker in workers() {
        for round in 0..rounds() {
            let sandbox = Sandbox::start();
            let home = tempfile::tempdir().unwrap();
            let lines = run_fleet(&*worker, &sandbox.environment(), home.path());
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

/// Machines behind one address: nothing in common but the Redis.
#[test]
fn a_fleet_of_machines_with_one_redis_makes_one_token_request() {
    for worker in workers() {
        let (mut round, mut disturbed) = (0, 0);
        while round < rounds() {
            let Some(redis) = Redis::start() else { return };
            let sandbox = Sandbox::start();
            let homes = tempfile::tempdir().unwrap();
            let mut environment = sandbox.environment();
            environment.push(("CAMUNDA_TOKEN_CACHE_REDIS_URL".into(), redis.url()));
            let lines = run_fleet_at(&*worker, &environment, |process| {
                homes.path().join(process.to_string())
            });
            // A machine under load may take longer than the library's patience with the Redis,
            // which it leaves alone then.
            if lines.iter().any(|line| line == STORE_FAILED) {
                disturbed += 1;
                assert!(disturbed < 20, "a store fails all the time");
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
fn a_fleet_with_a_wrong_secret_asks_once() {
    let rejection_delay = Duration::from_secs(600);
    for worker in workers() {
        for round in 0..rounds() {
            let sandbox = Sandbox::builder().rejection_delay(rejection_delay).start();
            let home = tempfile::tempdir().unwrap();
            // The environment of the workers still has the secret of before.
            let environment = sandbox.environment();
            sandbox.rotate_secret();
            let begun = Instant::now();
            let lines = run_fleet(&*worker, &environment, home.path());
            assert!(begun.elapsed() < rejection_delay);
            assert_eq!(lines.len(), PROCESSES * THREADS);
            let texts: BTreeSet<&str> = lines
                .iter()
                .map(|line| line.split("; try again in").next().unwrap())
                .collect();
            assert_eq!(texts.len(), 1, "round {round}: {texts:?}");
            let text = texts.first().unwrap();
            assert!(text.contains("refuses the credentials (401)"), "{text}");
            assert_eq!(sandbox.stats().token_requests, 1, "round {round}");
        }
    }
}

#[test]
fn a_leader_that_is_killed_has_one_successor() {
    for worker in workers() {
        for round in 0..rounds() {
            let sandbox = Sandbox::builder().token_rate_limit(false).start();
            let home = tempfile::tempdir().unwrap();
            sandbox.add_fault(Fault::on_token().stall());
            let mut leader = Ready::start(&*worker, &sandbox.environment(), home.path());
            let mut fleet: Vec<Ready> = (1..PROCESSES)
                .map(|_| Ready::start(&*worker, &sandbox.environment(), home.path()))
                .collect();
            leader.wait_until_ready();
            fleet.iter_mut().for_each(Ready::wait_until_ready);
            leader.go();
            let begun = Instant::now();
            while sandbox.stats().token_requests == 0 {
                assert!(begun.elapsed() < PATIENCE, "nobody asks for a token");
                std::thread::sleep(Duration::from_millis(1));
            }
            fleet.iter_mut().for_each(Ready::go);
            // SIGKILL, while it waits for the answer that never comes.
            leader.program.kill();
            let lines: Vec<String> = fleet.into_iter().flat_map(Ready::lines).collect();
            assert_eq!(
                lines,
                vec!["ok"; (PROCESSES - 1) * THREADS],
                "round {round}"
            );
            assert_eq!(sandbox.stats().token_requests, 2, "round {round}");
        }
    }
}
