//! What a process has: memory, descriptors and threads.

use std::fs;

use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// What may be allocated at rest beyond what was after the warm-up.
///
/// At rest there are idle connections, up to 8 for each of the 5 clients, with up to 48 KiB of
/// buffers each, and how many there are is chance; and each thread remembers a byte for each of its
/// creations. Half an hour is more than a million calls, so that a leak of 3 bytes a call shows.
const MOST_GROWTH: usize = 3 << 20;

/// What may be left once all clients are gone: the tokens of the process, of which there are few.
pub(crate) const MOST_LEFT: usize = 256 << 10;

/// What may be resident: for each of 64 threads a stack, the buffers of its connection and an answer
/// of a MiB, each twice, since the heap does not give back at once.
const MOST_RESIDENT: usize = 192 << 20;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// Bytes.
    pub(crate) allocated: usize,
    /// Bytes.
    pub(crate) resident: usize,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Sample {
    pub(crate) fn take() -> Sample {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let words = line.expect(name).split_whitespace();
            words.filter_map(|word| word.parse().ok()).next().unwrap()
        };
        let resident: usize = number("VmRSS:");
        let heap = ALLOCATOR.stats();
        Sample {
            allocated: heap.bytes_allocated - heap.bytes_deallocated,
            resident: resident * 1024,
            // One of them is for the reading itself.
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count() - 1,
            threads: number("Threads:"),
        }
    }
}

/// The samples of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Course {
    /// While no call was under way, evenly over the time.
    pub(crate) at_rest: Vec<Sample>,
    /// The most of each that was seen while calls were under way.
    pub(crate) most: Option<Sample>,
}

impl Course {
    pub(crate) fn see(&mut self, sample: Sample) {
        let most = self.most.get_or_insert(sample);
        most.allocated = most.allocated.max(sample.allocated);
        most.resident = most.resident.max(sample.resident);
        most.descriptors = most.descriptors.max(sample.descriptors);
        most.threads = most.threads.max(sample.threads);
    }

    /// What is held at rest stays as it was after the first third; there are never more descriptors
    /// and threads than these.
    pub(crate) fn check(&self, descriptors: usize, threads: usize) {
        let warm = self.at_rest[(self.at_rest.len() - 1) / 3];
        let end = self.at_rest[self.at_rest.len() - 1];
        assert!(end.allocated <= warm.allocated + MOST_GROWTH, "{self:#?}");
        let most = self.most.unwrap();
        assert!(most.resident <= MOST_RESIDENT, "{self:#?}");
        assert!(most.descriptors <= descriptors, "{self:#?}");
        assert!(most.threads <= threads, "{self:#?}");
    }
}
