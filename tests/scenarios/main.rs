//! Scenario tests: one table of cases that runs through the public API of every language.
//!
//! A case has a state of the mock server (given), a call (when), and the expected result or error (then).
//! The cases are the JSON files in `cases`, whose format `README.md` describes, and those of `derived.rs`. Each
//! language has a driver that makes calls and returns results and errors unchanged, so that expectations are
//! written and checked in one place.
//!
//! A language whose tools are not installed is reported and skipped; with `CI=true` it is a failure.

mod coverage;
mod derived;
mod driver;
mod driver_process;
mod languages;
mod pattern;
mod run;
mod table;
mod types;
mod unknown;
// Shared with the tests of the C ABI.
#[path = "../support/cargo.rs"]
mod cargo;
#[path = "../support/library.rs"]
#[allow(dead_code)]
mod library;
#[path = "../support/limited.rs"]
#[allow(dead_code)]
mod limited;
#[path = "../c_abi/tools.rs"]
#[allow(dead_code)]
mod tools;

use std::io::Write;

use languages::Language;
use table::Case;

/// Runs the cases in all languages concurrently and prints the number of failures in each. The variable
/// `CAMUNDA_TEST_FILTER` selects the cases whose names contain its value, `CAMUNDA_TEST_LANGUAGES` some of
/// the languages, separated by commas.
#[test]
fn every_case_passes_in_every_language() {
    limited::limit_this_process();
    let filter = std::env::var("CAMUNDA_TEST_FILTER").unwrap_or_default();
    let cases: Vec<Case> = table::read()
        .into_iter()
        .filter(|case| case.name.contains(&filter))
        .collect();
    let languages = languages::selected();
    let results: Vec<(&Language, Option<Vec<String>>)> = std::thread::scope(|scope| {
        let running: Vec<_> = languages
            .into_iter()
            .map(|language| (language, scope.spawn(|| run::language(language, &cases))))
            .collect();
        running
            .into_iter()
            .map(|(language, thread)| (language, thread.join().unwrap_or_else(panic_as_failure)))
            .collect()
    });

    let counts: Vec<String> = results
        .iter()
        .map(|(language, failures)| match failures {
            Some(failures) => format!("{} {} failed", language.name, failures.len()),
            None => format!("{} skipped", language.name),
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
    // Not `println!`, whose output the test runner hides if the test passes.
    let _ = writeln!(
        std::io::stderr(),
        "scenarios: {} cases: {}",
        cases.len(),
        counts.join(", ")
    );
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// A driver that cannot be built fails its language, not the results of the others.
fn panic_as_failure(panic: Box<dyn std::any::Any + Send>) -> Option<Vec<String>> {
    let message = panic.downcast::<String>().map_or_else(
        |_| "the harness panicked".to_owned(),
        |message| format!("the harness panicked: {message}"),
    );
    Some(vec![message])
}

#[test]
fn cases_are_valid_and_have_unique_names() {
    table::check(&table::read());
}

#[test]
fn every_operation_and_waiter_has_a_case_in_which_it_succeeds() {
    coverage::check_successes(&table::read());
}

#[test]
fn operations_are_those_of_the_mock_server() {
    coverage::check_operations();
}

#[test]
fn every_documented_error_has_a_case() {
    coverage::check_errors(&table::read());
}

#[test]
fn types_are_those_of_the_mock_server() {
    limited::limit_this_process();
    types::check();
}
