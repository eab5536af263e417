//! One table of cases for all languages: given the service's state, when this call is made, then
//! this result or error.
//!
//! The cases are the JSON files in `cases`; `README.md` says how they are written. Each language has
//! a driver that does no more than make a call through the language's own public API and tell what
//! came out of it, so that what is expected is written once and checked by one piece of code.
//!
//! A language whose tool is missing is named and left out; with `CI=true` that is a failure.

mod coverage;
mod driver;
mod languages;
mod pattern;
mod run;
mod rust;
mod table;
// The tools and the library are found as the tests of the C ABI find them.
#[path = "../support/cargo.rs"]
mod cargo;
#[path = "../c_abi/library.rs"]
#[allow(dead_code)]
mod library;
#[path = "../support/limited.rs"]
#[allow(dead_code)]
mod limited;
#[path = "../c_abi/tools.rs"]
#[allow(dead_code)]
mod tools;

use std::io::Write;

use languages::{LANGUAGES, Language};
use table::Case;

/// Runs the cases in every language, the languages side by side, and says how many in which.
#[test]
fn every_case_in_every_language() {
    limited::limit_this_process();
    let wanted = std::env::var("SCENARIOS").unwrap_or_default();
    let cases: Vec<Case> = table::read()
        .into_iter()
        .filter(|case| case.name.contains(&wanted))
        .collect();
    let results: Vec<(&Language, Option<Vec<String>>)> = std::thread::scope(|scope| {
        let running: Vec<_> = LANGUAGES
            .iter()
            .map(|language| (language, scope.spawn(|| run::language(language, &cases))))
            .collect();
        running
            .into_iter()
            .map(|(language, thread)| (language, thread.join().expect("no panic of the harness")))
            .collect()
    });

    let counts: Vec<String> = results
        .iter()
        .map(|(language, failures)| match failures {
            Some(failures) => format!("{} {}", language.name, cases.len() - failures.len()),
            None => format!("{} left out", language.name),
        })
        .collect();
    let failures: Vec<String> = results
        .into_iter()
        .flat_map(|(language, failures)| {
            let failures = failures.unwrap_or_default();
            failures
                .into_iter()
                .map(|failure| format!("{}: {failure:.600}", language.name))
        })
        .collect();
    // Not `println!`, which the test runner keeps to itself where the test passes.
    let _ = writeln!(std::io::stderr(), "scenarios: {}", counts.join(", "));
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn names_are_unique_and_there_is_nothing_that_nobody_reads() {
    table::check(&table::read());
}

#[test]
fn every_operation_and_every_waiter_succeeds_in_some_case() {
    coverage::check_successes(&table::read());
}

#[test]
fn every_documented_error_has_a_case() {
    coverage::check_errors(&table::read());
}
