//! Collects the log records of the library, for tests that run in a process of their own: a process has
//! one logger.

use std::sync::Mutex;

use log::{LevelFilter, Log, Metadata, Record};

static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Collector;

impl Log for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("camunda_admin")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = format!("{} {}", record.level(), record.args());
            RECORDS.lock().unwrap().push(line);
        }
    }

    fn flush(&self) {}
}

/// Collects records up to this level from now on.
pub(crate) fn collect(level: LevelFilter) {
    log::set_logger(&Collector).unwrap();
    log::set_max_level(level);
}

/// Returns all records so far, such as `WARN event: key=value`.
pub(crate) fn records() -> Vec<String> {
    RECORDS.lock().unwrap().clone()
}
