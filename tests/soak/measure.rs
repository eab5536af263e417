//! Resources of the process: memory, descriptors and threads.

use std::fs;

use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// Maximum growth of the allocated bytes after the warm-up, measured while no call runs.
///
/// There are up to 64 idle connections for each of the 5 clients, with up to 48 KiB of buffers each;
/// their number varies. Each thread stores a byte per creation. Half an hour has more than a million
/// calls, so that a leak of 16 bytes per call is detected.
const MAX_GROWTH: usize = 16 << 20;

/// Maximum bytes that remain allocated after all clients are dropped: the token cache of the process.
pub(crate) const MAX_REMAINING: usize = 256 << 10;

/// Maximum resident bytes: for each of 64 threads a stack, the buffers of its connection and a response
/// of 1 MiB, each twice, because the heap does not return memory immediately.
const MAX_RESIDENT: usize = 192 << 20;

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
            let fields = line.expect(name).split_whitespace();
            fields
                .filter_map(|field| field.parse().ok())
                .next()
                .unwrap()
        };
        let resident: usize = number("VmRSS:");
        let heap = ALLOCATOR.stats();
        Sample {
            allocated: heap.bytes_allocated - heap.bytes_deallocated,
            resident: resident * 1024,
            // Without the descriptor of the directory itself.
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count() - 1,
            threads: number("Threads:"),
        }
    }
}

/// The samples of a run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ResourceSamples {
    /// Samples while no call ran, at equal intervals.
    pub(crate) at_rest: Vec<Sample>,
    /// Maximum of each value while calls ran.
    pub(crate) max: Option<Sample>,
}

impl ResourceSamples {
    pub(crate) fn update_max(&mut self, sample: Sample) {
        let max = self.max.get_or_insert(sample);
        max.allocated = max.allocated.max(sample.allocated);
        max.resident = max.resident.max(sample.resident);
        max.descriptors = max.descriptors.max(sample.descriptors);
        max.threads = max.threads.max(sample.threads);
    }

    /// Checks that memory did not grow after the first third, and that descriptors and threads did not
    /// exceed these limits.
    pub(crate) fn check(&self, descriptors: usize, threads: usize) {
        let warm = self.at_rest[(self.at_rest.len() - 1) / 3];
        let end = self.at_rest[self.at_rest.len() - 1];
        assert!(end.allocated <= warm.allocated + MAX_GROWTH, "{self:#?}");
        let max = self.max.unwrap();
        assert!(max.resident <= MAX_RESIDENT, "{self:#?}");
        assert!(max.descriptors <= descriptors, "{self:#?}");
        assert!(max.threads <= threads, "{self:#?}");
    }
}
