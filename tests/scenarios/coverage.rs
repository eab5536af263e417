//! What the table has to have: a success of each operation and each waiter, and each documented
//! refusal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camunda_admin::description::{OPERATIONS, WAITERS};

use crate::table::Case;
use crate::tools::top;

pub(crate) fn check_successes(cases: &[Case]) {
    let succeeds: BTreeSet<&str> = cases
        .iter()
        .filter(|case| case.then.error.is_none())
        .map(|case| case.when.call.as_str())
        .collect();
    let all = OPERATIONS.iter().map(|operation| operation.call);
    let all = all.chain(WAITERS.iter().map(|waiter| waiter.call));
    let missing: Vec<&str> = all.filter(|call| !succeeds.contains(call)).collect();
    assert!(
        missing.is_empty(),
        "no case in which these succeed: {}",
        missing.join(", ")
    );
}

/// A text of the description may hold several reasons; `reasons.json` takes it apart. A case says
/// with `covers` which of them it is the case of.
pub(crate) fn check_errors(cases: &[Case]) {
    let file = top().join("tests/scenarios/reasons.json");
    let apart: BTreeMap<String, Vec<String>> =
        serde_json::from_str(&fs::read_to_string(file).unwrap()).expect("texts and their reasons");
    let mut documented = BTreeSet::new();
    let mut used = BTreeSet::new();
    let mut problems = Vec::new();
    for operation in OPERATIONS {
        for (status, text) in operation.errors {
            let reasons = match apart.get(*text) {
                Some(reasons) => {
                    used.insert(*text);
                    reasons.clone()
                }
                None => {
                    // What looks like several reasons is not taken for one by an oversight.
                    if [";", ",", " or "].iter().any(|mark| text.contains(mark)) {
                        problems.push(format!("reasons.json does not take `{text}` apart"));
                    }
                    vec![(*text).to_owned()]
                }
            };
            documented.extend(
                reasons
                    .into_iter()
                    .map(|reason| (operation.call, *status, reason)),
            );
        }
    }
    for text in apart.keys().filter(|text| !used.contains(text.as_str())) {
        problems.push(format!(
            "reasons.json knows `{text}`, and no operation does"
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
                "`{}` covers what is not documented: {entry:?}",
                case.name
            ));
        }
        covered.insert(entry);
    }
    for (call, status, reason) in documented.iter().filter(|entry| !covered.contains(entry)) {
        problems.push(format!("no case of {call}: {status} {reason}"));
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    assert!(!documented.is_empty());
}
