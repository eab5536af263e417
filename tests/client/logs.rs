//! Log records of calls, responses and tokens.

use std::sync::atomic::{AtomicUsize, Ordering};

use camunda_admin::{AssignableRole, Outcome};
use camunda_admin_sandbox::{Fault, Sandbox};

use crate::builder;
use crate::log_collector;
use crate::settings::in_a_process;

static SEEN: AtomicUsize = AtomicUsize::new(0);

/// Returns the records since the last call, with `…` instead of values that differ between runs.
fn records() -> Vec<String> {
    let all = log_collector::records();
    let records = &all[SEEN.swap(all.len(), Ordering::Relaxed)..];
    let varying = ["bytes=", "duration=", "delay=", "lifetime=", "url="];
    let masked = |part: &str| match varying.iter().find(|key| part.starts_with(**key)) {
        // The unit is part of the format, the number is masked.
        Some(key) => {
            let value = part.strip_prefix(key).unwrap();
            let unit = value.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
            assert!(value.len() > unit.len() || *key == "url=", "{part}");
            match *key {
                "duration=" | "delay=" => assert_eq!(unit, "ms", "{part}"),
                "lifetime=" => assert_eq!(unit, "s", "{part}"),
                "bytes=" => assert_eq!(unit, "", "{part}"),
                _ => {}
            }
            format!("{key}…")
        }
        None => part.to_owned(),
    };
    records
        .iter()
        .map(|record| record.split(' ').map(masked).collect::<Vec<_>>().join(" "))
        .collect()
}

/// In a process of its own, because a process has one logger.
#[test]
fn calls_responses_and_tokens_are_logged_without_secrets() {
    in_a_process("logs::logs_calls_responses_and_tokens", &[]);
}

#[test]
#[ignore = "run by others in a process of its own"]
fn logs_calls_responses_and_tokens() {
    log_collector::collect(log::LevelFilter::Debug);
    let sandbox = Sandbox::start();
    let place = tempfile::tempdir().unwrap();
    let cache = format!("{}/tokens", place.path().display());
    let admin = builder(&sandbox).token_cache(&cache).build().unwrap();

    admin.clusters().list().unwrap();
    assert_eq!(
        records(),
        [
            "DEBUG requesting access token: url=… audience=\"api.cloud.camunda.io\"",
            "DEBUG token response received: url=… status=200 bytes=… duration=…",
            "DEBUG access token obtained: audience=\"api.cloud.camunda.io\" lifetime=… \
             source=\"token endpoint\"",
            "DEBUG response received: operation=\"list clusters\" method=GET path=/clusters \
             status=200 bytes=… duration=… attempt=1",
        ]
    );

    // A retry with its operation, and a response with its request id.
    sandbox.add_fault(
        Fault::on("GET /clusters")
            .status(503)
            .header("x-request-id", "1234-abcd"),
    );
    admin.clusters().list().unwrap();
    assert_eq!(
        records(),
        [
            "DEBUG response received: operation=\"list clusters\" method=GET path=/clusters \
             status=503 bytes=… duration=… attempt=1 request_id=\"1234-abcd\"",
            "INFO request failed, retrying: operation=\"list clusters\" attempt=1 delay=… \
             status=503 error=\"Service Unavailable\"",
            "DEBUG response received: operation=\"list clusters\" method=GET path=/clusters \
             status=200 bytes=… duration=… attempt=2",
        ]
    );

    // Without a response there is no status.
    sandbox.add_fault(Fault::on("GET /members").reset());
    admin.members().list().unwrap();
    let logged = records();
    assert!(
        logged[0].starts_with(
            "INFO request failed, retrying: operation=\"list members\" attempt=1 delay=… error=\""
        ),
        "{logged:?}"
    );
    assert_eq!(logged.len(), 2);

    // Email addresses and queries can contain personal data.
    let roles = [AssignableRole::Analyst];
    admin
        .members()
        .set_roles("ann@example.com", &roles)
        .unwrap();
    let path = "/members/ann%40example.com?to=ann";
    let error = admin
        .request(camunda_admin::Method::Get, path, None)
        .unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    let logged = records();
    assert_eq!(
        logged[0],
        "DEBUG response received: operation=\"set member roles\" method=POST path=/members/{email} \
         status=204 bytes=… duration=… attempt=1"
    );
    assert_eq!(
        logged[1],
        "DEBUG response received: operation=\"request\" method=GET path=/members/{email}?… \
         status=405 bytes=… duration=… attempt=1"
    );
    assert!(
        logged[2].starts_with("DEBUG call failed: operation=\"request\" attempts=1 duration=… "),
        "{logged:?}"
    );
    assert_eq!(logged.len(), 3, "{logged:?}");

    // Another path to the same store counts as another store, from which the token is loaded.
    let same = format!("{cache}/../tokens");
    let other = builder(&sandbox).token_cache(&same).build().unwrap();
    other.clusters().list().unwrap();
    let logged = records();
    assert_eq!(
        logged[0],
        format!(
            "DEBUG access token obtained: audience=\"api.cloud.camunda.io\" lifetime=… \
             source=\"files in {same}\""
        )
    );
    assert_eq!(logged.len(), 2, "{logged:?}");

    // The API rejects the token.
    sandbox.revoke_tokens();
    sandbox.advance(std::time::Duration::from_secs(2));
    admin.clusters().list().unwrap();
    let logged = records();
    assert!(
        logged.contains(
            &"DEBUG access token rejected, requesting another: operation=\"list clusters\" \
              attempt=1 status=401"
                .to_owned()
        ),
        "{logged:?}"
    );

    // No record contains a secret.
    for fault in [401, 403] {
        sandbox.add_fault(Fault::on("GET /clusters").status(fault).times(2));
        admin.clusters().list().unwrap_err();
    }
    let all = log_collector::records().join("\n");
    let token = admin.token("api.cloud.camunda.io").unwrap();
    for secret in [&sandbox.client_secret(), token.expose(), "ann"] {
        assert!(!all.contains(secret), "{all}");
    }
}
