//! The shell around slots and gates: clocks, locks, waiting, and the order in which threads and
//! processes come to follow the rules, which are in `slot` and `gate`.
//!
//! No lock of the process is held while anything is sent, read or written, and none is taken while
//! another is held.

mod cache;
mod leader;
mod pacing;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use cache::Cache;
pub(crate) use cache::{TokenSlot, diagnostics, slot};
#[cfg(any(test, fuzzing))]
pub(crate) use leader::stored;

/// The locks of the shell, in one place so that the tests can put their own in.
mod sync;
