//! Tests of the token cache that span several modules, and what they share.
//!
//! Unit tests of a single module are in that module's file.

#[cfg(test)]
mod cache_tests;
#[cfg(test)]
mod file_store_tests;
#[cfg(all(test, unix))]
mod fork_tests;
#[cfg(test)]
mod format_tests;
#[cfg(test)]
mod host_simulation_tests;
#[cfg(test)]
mod lone_process_tests;
#[cfg(test)]
mod model_tests;
#[cfg(all(test, unix))]
mod multi_process_tests;
#[cfg(all(test, unix, feature = "redis"))]
mod redis_tests;
#[cfg(test)]
mod shuttle_tests;
#[cfg(test)]
mod simulation_tests;
pub(crate) mod test_support;
