//! Tests of the API's descriptions as a whole, and fuzzing entry points.

#[cfg(test)]
mod description_tests;
pub(crate) mod round_trip_tests;
