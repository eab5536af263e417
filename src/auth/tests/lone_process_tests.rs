//! Simulation of processes behind one IP address that do not know of each other, because they have no
//! store in common: how soon does the last of them get its token after a 429, and after how many
//! rejected requests? Compares policies; the documentation shows the resulting tables.
//!
//! The token endpoint rejects a request within a second of the previous one, or within a block. The
//! first rejection starts a block; one that is extended lasts until the same time after the last
//! rejected request.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::auth::rate_limiter::block_after_429;

/// A simulation ends here.
const END: u64 = 12 * 3_600_000;
/// Number of simulations of which a table shows the median.
const RUNS: u64 = 9;

/// Returns the time, in milliseconds, that a process waits after the given number of 429s in a row,
/// with this remaining time and a random number from 0 to 1.
type Policy = fn(u32, u64, f64) -> u64;

/// 60 s, doubling up to 10 min, and up to 10 % more.
fn doubling(consecutive: u32, _: u64, jitter: f64) -> u64 {
    let block = doubled(60_000, consecutive, 600_000);
    block + (block as f64 / 10.0 * jitter) as u64
}

/// From zero to 2 min, doubling up to 1 h.
fn full_jitter(consecutive: u32, _: u64, jitter: f64) -> u64 {
    (doubled(120_000, consecutive, 3_600_000) as f64 * jitter) as u64
}

/// The policy of the library: 60 s, doubling up to 10 min, and a random share of a window that doubles
/// too.
fn growing_window(consecutive: u32, remaining: u64, jitter: f64) -> u64 {
    let remaining = Duration::from_millis(remaining);
    let block = block_after_429(consecutive, None, remaining, jitter);
    block.as_millis() as u64
}

const POLICIES: [Policy; 3] = [doubling, full_jitter, growing_window];

fn doubled(initial: u64, consecutive: u32, max: u64) -> u64 {
    (initial << (consecutive - 1).min(10)).min(max)
}

/// A deterministic random number generator (SplitMix64).
struct Random(u64);

impl Random {
    fn number(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[derive(Clone, Copy)]
struct Endpoint {
    /// Length of a block, in milliseconds.
    block: u64,
    is_extended: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Run {
    /// When the last process got its token or gave up, in milliseconds.
    ended: u64,
    rejected: u32,
    /// Processes without a token at their deadline.
    failed: u32,
}

/// Simulates processes that start within 2 s and need a token before `deadline`.
fn simulate(processes: usize, endpoint: Endpoint, policy: Policy, deadline: u64, seed: u64) -> Run {
    let mut random = Random(seed);
    let mut sends: BinaryHeap<_> = (0..processes)
        .map(|process| Reverse(((random.number() * 2_000.0) as u64, process)))
        .collect();
    let mut consecutive = vec![0; processes];
    let (mut last_request, mut blocked_until) = (None, 0);
    let mut run = Run {
        ended: 0,
        rejected: 0,
        failed: 0,
    };
    while let Some(Reverse((now, process))) = sends.pop() {
        run.ended = now;
        let is_blocked = now < blocked_until;
        let is_early = last_request.is_some_and(|last| now < last + 1_000);
        last_request = Some(now);
        if !is_blocked && !is_early {
            continue;
        }
        run.rejected += 1;
        if endpoint.is_extended || !is_blocked {
            blocked_until = now + endpoint.block;
        }
        consecutive[process] += 1;
        let remaining = deadline.saturating_sub(now);
        let wait = policy(consecutive[process], remaining, random.number());
        match wait <= remaining {
            true => sends.push(Reverse((now + wait, process))),
            false => run.failed += 1,
        }
    }
    run
}

/// Returns the medians of several simulations.
fn median(processes: usize, endpoint: Endpoint, policy: Policy, deadline: u64) -> Run {
    let runs: Vec<Run> = (0..RUNS)
        .map(|seed| simulate(processes, endpoint, policy, deadline, seed))
        .collect();
    fn middle<T: Ord + Copy>(runs: &[Run], of: impl Fn(&Run) -> T) -> T {
        let mut values: Vec<T> = runs.iter().map(of).collect();
        values.sort_unstable();
        values[values.len() / 2]
    }
    Run {
        ended: middle(&runs, |run| run.ended),
        rejected: middle(&runs, |run| run.rejected),
        failed: middle(&runs, |run| run.failed),
    }
}

const PROCESSES: [usize; 4] = [2, 10, 50, 200];
const BLOCKS: [u64; 3] = [10, 60, 600];

fn endpoints() -> impl Iterator<Item = (String, Endpoint)> {
    BLOCKS.into_iter().flat_map(|seconds| {
        [false, true].map(|is_extended| {
            let extended = if is_extended { ", extended" } else { "" };
            let endpoint = Endpoint {
                block: seconds * 1_000,
                is_extended,
            };
            (format!("{seconds} s{extended}"), endpoint)
        })
    })
}

/// A row of a table: number of processes, block, and one result per policy.
struct Row {
    processes: usize,
    block: String,
    results: [Run; 3],
}

impl Row {
    fn new(processes: usize, block: &str, endpoint: Endpoint, deadline: u64) -> Self {
        Row {
            processes,
            block: block.to_owned(),
            results: POLICIES.map(|policy| median(processes, endpoint, policy, deadline)),
        }
    }

    fn write(&self, text: &mut String, cell: impl Fn(&Run) -> String) {
        let [old, jitter, new] = self.results.each_ref().map(cell);
        let (processes, block) = (self.processes, &self.block);
        writeln!(text, "| {processes} | {block} | {old} | {jitter} | {new} |").unwrap();
    }
}

/// Returns the results without a deadline.
fn rows() -> Vec<Row> {
    let groups = PROCESSES.into_iter();
    groups
        .flat_map(|processes| {
            endpoints().map(move |(block, endpoint)| Row::new(processes, &block, endpoint, END))
        })
        .collect()
}

/// Returns the results with a deadline of 7 min.
fn rows_with_deadline() -> Vec<Row> {
    [(10, 5), (10, 60), (50, 2), (50, 5), (50, 10), (50, 60)]
        .into_iter()
        .map(|(processes, seconds)| {
            let endpoint = Endpoint {
                block: seconds * 1_000,
                is_extended: false,
            };
            Row::new(processes, &format!("{seconds} s"), endpoint, 420_000)
        })
        .collect()
}

const HEAD: &str = "| processes | block | doubling, 10 % jitter | full jitter | growing window |\n\
                    |---|---|---|---|---|\n";

/// Returns the tables of the documentation.
fn tables(rows: &[Row], with_deadline: &[Row]) -> String {
    let mut text = HEAD.to_owned();
    for row in rows {
        row.write(&mut text, |run| match run.failed {
            0 => format!("{:.1} min, {}", run.ended as f64 / 60_000.0, run.rejected),
            _ => format!("more than 12 h, {}", run.rejected),
        });
    }
    text.push_str(
        "\nThe second table has the number of processes that have no token after a deadline of 7 min, and \
         the\nnumber of rejected requests.\n\n",
    );
    text.push_str(HEAD);
    for row in with_deadline {
        row.write(&mut text, |run| format!("{}, {}", run.failed, run.rejected));
    }
    text
}

#[test]
fn growing_window_serves_groups_sooner_with_fewer_rejections_as_documented() {
    const DOCUMENT: &str = "docs/containers.md";
    const BEGIN: &str = "<!-- lone processes: begin -->\n";
    const END: &str = "<!-- lone processes: end -->";
    let (rows, with_deadline) = (rows(), rows_with_deadline());
    for row in &rows {
        let [old, _, new] = &row.results;
        let case = format!("{} {} {new:?} {old:?}", row.processes, row.block);
        assert!(new.rejected <= old.rejected, "{case}");
        assert!(new.failed <= old.failed, "{case}");
        if row.processes >= 50 && old.failed == 0 {
            assert!(new.ended < old.ended, "{case}");
        }
    }
    for row in &with_deadline {
        let [old, _, new] = &row.results;
        let case = format!("{} {} {new:?} {old:?}", row.processes, row.block);
        assert!(new.failed < old.failed, "{case}");
        if row.processes == 50 && row.block == "5 s" {
            assert_eq!(new.failed, 0, "{case}");
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOCUMENT);
    let document = std::fs::read_to_string(&path).unwrap();
    let begin = document.find(BEGIN).expect("begin of the tables") + BEGIN.len();
    let end = document.find(END).expect("end of the tables");
    let tables = tables(&rows, &with_deadline);
    println!("{tables}");
    if std::env::var_os("CAMUNDA_ADMIN_REFRESH").is_some() {
        let text = document[..begin].to_owned() + &tables + &document[end..];
        std::fs::write(&path, text).unwrap();
        return;
    }
    assert_eq!(
        &document[begin..end],
        tables,
        "stale; run with CAMUNDA_ADMIN_REFRESH=1"
    );
}
