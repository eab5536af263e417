//! What callers see when the network or the service misbehaves: every fault against every class of
//! operations and the token endpoint, with the rules that hold for all of them, and the table of it
//! in `docs/failure-modes.md`.
//!
//! `CAMUNDA_ADMIN_REFRESH=1 cargo test --test faults` writes the table anew.

mod certificates;
#[path = "../support/deadline_check.rs"]
mod deadline_check;
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
use run::{Bench, Class, Run};
use rustix::process::{Resource, getrlimit, setrlimit};
use table::Block;

/// How long a call may take that nothing but its deadline ends. Waits for the network are made of
/// pieces of a second: the deadline must not be where one of them ends.
const SHORT: Duration = Duration::from_millis(1500);

#[test]
fn every_fault_is_as_the_table_says() {
    if in_a_process_without_proxies() {
        return;
    }
    limit_this_process();
    let bench = Bench::start();
    let faults = list::all();
    let mut blocks = blocks(&bench, &faults.iter().collect::<Vec<_>>(), SHORT);
    blocks.extend(truncation::blocks(&bench));
    let known = table::known();
    if !table::refreshing() {
        // On a slow machine a short deadline can pass before the fault is met: what differs gets a
        // second chance, with time enough. A change of behaviour shows then as well.
        let differing: Vec<usize> = (0..faults.len())
            .filter(|&index| !blocks[index].is_in(&known))
            .collect();
        let again: Vec<&Fault> = differing.iter().map(|&index| &faults[index]).collect();
        let found = self::blocks(&bench, &again, 10 * SHORT);
        for (index, block) in differing.into_iter().zip(found) {
            blocks[index] = block;
        }
    }
    for (fault, block) in faults.iter().zip(&blocks) {
        let outcome = block.outcome_of(Class::NonIdempotent);
        assert_eq!(
            outcome,
            list::outcome_of_create(&fault.name),
            "create cluster: {}",
            fault.name
        );
    }
    table::compare(&known, &table::render(&blocks));
    bench.check_what_was_told();
}

/// Where the environment names a proxy, does the test in a process that knows of none.
fn in_a_process_without_proxies() -> bool {
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

/// Meets each fault with each class: every time, and where that makes a difference the first time
/// only.
fn blocks(bench: &Bench, faults: &[&Fault], short: Duration) -> Vec<Block> {
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
        .filter(|run| run.fault.act.is_some() || run.times.is_none())
        .collect();
    let seen = at_once(&runs, |run| bench.run(run, short));
    let mut seen = runs.iter().zip(seen).peekable();
    faults
        .iter()
        .map(|fault| {
            let mut block = Block::new(fault.group, &fault.name);
            while let Some((run, seen)) = seen.next_if(|(run, _)| std::ptr::eq(run.fault, *fault)) {
                block.add(run.class, run.times, seen);
            }
            block
        })
        .collect()
}

/// As many runs as there are descriptors for: both ends of all connections are in this process.
fn most_at_once() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Else the lower limit has to do.
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(files / 24).map_or(128, |runs| runs.clamp(1, 128))
}

/// Does something with all items, many at a time, since nearly all of it is waiting; the results are
/// in the order of the items.
fn at_once<Item: Sync, Found: Send>(
    items: &[Item],
    work: impl Fn(&Item) -> Found + Sync,
) -> Vec<Found> {
    let next = AtomicUsize::new(0);
    let found: Vec<Mutex<Option<Found>>> = items.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..items.len().min(most_at_once()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { break };
                    *found[index].lock().unwrap() = Some(work(item));
                }
            });
        }
    });
    found
        .into_iter()
        .map(|found| {
            found
                .into_inner()
                .unwrap()
                .expect("every item was worked on")
        })
        .collect()
}
