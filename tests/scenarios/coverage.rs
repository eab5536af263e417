//! Required coverage of the table: a success of each operation and waiter, and each documented error reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camunda_admin::Idempotency;
use camunda_admin::description::{OPERATIONS, WAITERS};
use camunda_admin_sandbox::operations;

use crate::table::Case;
use crate::tools::top;

pub(crate) fn check_successes(cases: &[Case]) {
    let succeeds: BTreeSet<&str> = cases
        .iter()
        .filter(|case| case.then.error.is_none())
        .map(|case| case.when.call.as_str())
        .collect();
    let all = OPERATIONS.iter().map(|operation| operation.sdk_method);
    let all = all.chain(WAITERS.iter().map(|waiter| waiter.sdk_method));
    let missing: Vec<&str> = all.filter(|call| !succeeds.contains(call)).collect();
    assert!(
        missing.is_empty(),
        "no case with a success of: {}",
        missing.join(", ")
    );
}

/// Checks that the library has exactly the operations of the mock server that are not deprecated, with the
/// idempotency that the mock server states.
pub(crate) fn check_operations() {
    let described: BTreeSet<(String, &str, bool)> = OPERATIONS
        .iter()
        .map(|operation| {
            let idempotent = operation.idempotency != Idempotency::NonIdempotent;
            (operation.method.to_string(), operation.path, idempotent)
        })
        .collect();
    let expected: BTreeSet<(String, &str, bool)> = operations()
        .into_iter()
        .filter(|operation| !operation.deprecated)
        .map(|operation| {
            (
                operation.method.to_owned(),
                operation.path,
                operation.idempotent,
            )
        })
        .collect();
    let missing: Vec<_> = expected.difference(&described).collect();
    let additional: Vec<_> = described.difference(&expected).collect();
    assert!(
        missing.is_empty() && additional.is_empty(),
        "method, path, idempotent: missing in OPERATIONS: {missing:?}; not in the mock server: {additional:?}"
    );
    assert_eq!(
        described.len(),
        OPERATIONS.len(),
        "an operation is listed twice"
    );
    for operation in OPERATIONS {
        assert_eq!(
            operation.idempotency == Idempotency::Safe,
            operation.method.to_string() == "GET",
            "{}: an operation is safe if and only if its method is GET",
            operation.name
        );
    }
}

/// Checks that each documented error reason has a case whose `covers` names it.
///
/// The description of an error can list several reasons; `reasons.json` splits it.
pub(crate) fn check_errors(cases: &[Case]) {
    let file = top().join("tests/scenarios/reasons.json");
    let split: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&fs::read_to_string(file).unwrap())
            .expect("descriptions and their reasons");
    let mut documented = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut problems = Vec::new();
    for operation in OPERATIONS {
        for (status, text) in operation.documented_errors {
            let reasons = match split.get(*text) {
                Some(reasons) => {
                    used.insert(*text);
                    reasons.clone()
                }
                None => {
                    // Several reasons must not be counted as one by mistake.
                    if [";", ",", " or "].iter().any(|mark| text.contains(mark)) {
                        problems.push(format!("reasons.json has no entry for `{text}`"));
                    }
                    vec![(*text).to_owned()]
                }
            };
            documented.extend(
                reasons
                    .into_iter()
                    .map(|reason| (operation.sdk_method, *status, reason)),
            );
        }
    }
    for text in split.keys().filter(|text| !used.contains(text.as_str())) {
        problems.push(format!(
            "no operation has the entry `{text}` of reasons.json"
        ));
    }
    let mut covered = BTreeSet::new();
    for case in cases {
        let (Some(reason), Some(error)) = (&case.covers, &case.then.error) else {
            continue;
        };
        let status = error.http_status.unwrap_or_default();
        let entry = (case.when.call.as_str(), status, reason.clone());
        if !documented.contains(&entry) {
            problems.push(format!(
                "`{}` covers an undocumented reason: {entry:?}",
                case.name
            ));
        }
        covered.insert(entry);
    }
    for (call, status, reason) in documented.iter().filter(|entry| !covered.contains(entry)) {
        problems.push(format!("no case covers {call}: {status} {reason}"));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    assert!(!documented.is_empty());
}
