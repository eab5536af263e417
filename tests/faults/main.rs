//! Failure modes: injects every fault into a call of every class of operations and into the token
//! endpoint, checks the rules that hold for all of them, and compares the results with
//! `tests/faults/expected.rs` and `docs/failure-modes.md`.
//!
//! `CAMUNDA_TEST_FILTER=TEXT` selects the faults whose group or name contains `TEXT`.
//! `CAMUNDA_ADMIN_REFRESH=1 cargo test --all-features --test faults` writes the table.

#![cfg(unix)]

mod certificates;
#[path = "../support/deadline_check.rs"]
mod deadline_check;
mod expected;
mod fault_proxy;
#[path = "../support/limited.rs"]
#[allow(dead_code)]
mod limited;
mod list;
mod run;
mod table;
mod truncation;
#[path = "../support/unreachable_ports.rs"]
mod unreachable_ports;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use limited::{Limited, SLOW_PROGRAM_LIMIT, limit_this_process};
use list::Fault;
use run::{Class, Fixture, Run};
use rustix::process::{Resource, getrlimit, setrlimit};
use table::Block;

/// Deadline of calls that end only at their deadline. Not a multiple of 1 s, because the client waits
/// for the network in steps of 1 s.
const SHORT: Duration = Duration::from_millis(1500);

/// Selects the faults whose group or name contains the value; default: all.
const FILTER: &str = "CAMUNDA_TEST_FILTER";

#[test]
fn call_reports_what_is_expected_for_every_fault() {
    if run_without_proxy_variables() {
        return;
    }
    limit_this_process();
    let filter = std::env::var(FILTER).unwrap_or_default();
    let is_selected = |group: &str, name: &str| group.contains(&filter) || name.contains(&filter);
    let fixture = Fixture::start();
    let mut faults = list::all();
    faults.retain(|fault| is_selected(fault.group, &fault.name));
    let mut blocks = blocks(&fixture, &faults.iter().collect::<Vec<_>>(), SHORT);
    let known = table::known();
    // On a slow machine a short deadline can pass before the fault is reached, so a fault with another
    // result is repeated with a longer one.
    let differing: Vec<usize> = (0..faults.len())
        .filter(|&index| {
            let block = &blocks[index];
            !block.differences().is_empty() || !table::refreshing() && !block.is_in(&known)
        })
        .collect();
    let again: Vec<&Fault> = differing.iter().map(|&index| &faults[index]).collect();
    let repeated = self::blocks(&fixture, &again, 10 * SHORT);
    for (index, block) in differing.into_iter().zip(repeated) {
        blocks[index] = block;
    }
    let truncated = truncation::blocks(&fixture, |name| is_selected(truncation::GROUP, name));
    blocks.extend(truncated);
    assert!(!blocks.is_empty(), "{FILTER}: no fault contains `{filter}`");

    let differences: Vec<String> = blocks.iter().flat_map(Block::differences).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    fixture.check_reported_outcomes();
    if filter.is_empty() {
        table::compare(&known, &table::render(&blocks));
    } else {
        let outdated = blocks.iter().filter(|block| !block.is_in(&known));
        let outdated: Vec<&str> = outdated.map(Block::name).collect();
        assert!(
            outdated.is_empty(),
            "docs/failure-modes.md is outdated; run the test without {FILTER}: {outdated:?}"
        );
    }
}

#[test]
fn expectations_name_each_fault_once() {
    let mut named: Vec<&str> = expected::faults().collect();
    let mut listed: Vec<String> = list::all().into_iter().map(|fault| fault.name).collect();
    listed.extend(truncation::NAMES.map(str::to_owned));
    named.sort_unstable();
    listed.sort_unstable();
    assert_eq!(named, listed);
}

/// If the environment names a proxy, runs the test in a process without these variables and returns
/// true.
fn run_without_proxy_variables() -> bool {
    let names = std::env::vars_os().map(|(name, _)| name);
    let proxies: Vec<_> = names
        .filter(|name| {
            name.to_string_lossy()
                .to_ascii_lowercase()
                .ends_with("_proxy")
        })
        .collect();
    if proxies.is_empty() {
        return false;
    }
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    proxies.iter().for_each(|name| {
        command.env_remove(name);
    });
    Limited::start(command, SLOW_PROGRAM_LIMIT).wait_for_success();
    true
}

/// Runs each fault with each class: injected into every request, and, if the fault depends on a
/// request, into the first one only.
fn blocks(fixture: &Fixture, faults: &[&Fault], short: Duration) -> Vec<Block> {
    let runs: Vec<Run<'_>> = faults
        .iter()
        .flat_map(|fault| Class::ALL.map(|class| (*fault, class)))
        .flat_map(|(fault, class)| {
            [Some(1), None].map(|times| Run {
                fault,
                class,
                times,
            })
        })
        .filter(|run| run.fault.injection.is_some() || run.times.is_none())
        .collect();
    let observations = map_concurrently(&runs, |run| fixture.run(run, short));
    let mut observations = runs.iter().zip(observations).peekable();
    faults
        .iter()
        .map(|fault| {
            let mut block = Block::new(fault.group, &fault.name);
            while let Some((run, observation)) =
                observations.next_if(|(run, _)| std::ptr::eq(run.fault, *fault))
            {
                block.add(run.class, run.times, observation);
            }
            block
        })
        .collect()
}

/// Returns the maximum number of concurrent runs that the limit of file descriptors allows: both ends
/// of all connections are in this process.
fn max_concurrency() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If it fails, the lower limit applies.
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files / 24).map_or(128, |runs| runs.clamp(1, 128))
}

/// Applies `work` to all items concurrently, and returns the results in the order of the items.
fn map_concurrently<Item: Sync, Output: Send>(
    items: &[Item],
    work: impl Fn(&Item) -> Output + Sync,
) -> Vec<Output> {
    let next = AtomicUsize::new(0);
    let outputs: Vec<Mutex<Option<Output>>> = items.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..items.len().min(max_concurrency()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    *outputs[index].lock().unwrap() = Some(work(item));
                }
            });
        }
    });
    outputs
        .into_iter()
        .map(|output| {
            output
                .into_inner()
                .unwrap()
                .expect("all items are processed")
        })
        .collect()
}
