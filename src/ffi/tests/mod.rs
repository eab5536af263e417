//! Tests of the C ABI that are not specific to one module.

mod panics;
mod panics_of_changes;
