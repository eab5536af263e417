//! Retries, non-idempotent operations, and the outcome in errors.

use std::net::TcpListener;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use camunda_admin::{
    AdminClient, CallOptions, Cancel, CreateClusterClient, ErrorKind, Outcome, UpdateCluster,
};
use camunda_admin_sandbox::{Fault, Sandbox, When};

use crate::settings::in_a_process;
use crate::{builder, client, cluster, new_cluster};

const GET: &str = "GET /clusters/{clusterUuid}";
const UPDATE: &str = "PATCH /clusters/{clusterUuid}";
const CREATE: &str = "POST /clusters";

#[test]
fn idempotent_operations_are_retried_after_transient_statuses() {
    for status in [429, 502, 503, 504] {
        let sandbox = Sandbox::start();
        let admin = client(&sandbox);
        let id = new_cluster(&sandbox);
        for operation in [GET, UPDATE] {
            sandbox.add_fault(Fault::on(operation).status(status).times(2));
        }
        admin.cluster(&id).get().unwrap();
        admin
            .cluster(&id)
            .update(&UpdateCluster::new().name("new"))
            .unwrap();
        assert_eq!(sandbox.stats().requests_by_operation[GET], 3, "{status}");
        assert_eq!(admin.stats().retries, 4);
    }
}

#[test]
fn idempotent_operations_are_retried_after_lost_connections() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    sandbox.add_fault(Fault::on(GET).reset());
    sandbox.add_fault(Fault::on(GET).cut_body(10));
    admin.cluster(&id).get().unwrap();
    assert_eq!(sandbox.stats().requests_by_operation[GET], 3);
    sandbox.add_fault(Fault::on(UPDATE).reset().when(When::After));
    admin
        .cluster(&id)
        .update(&UpdateCluster::new().name("new"))
        .unwrap();
    assert_eq!(sandbox.stats().requests_by_operation[UPDATE], 2);
}

#[test]
fn delete_succeeds_when_first_response_is_lost_and_retry_gets_404() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    let created = admin
        .cluster(&id)
        .clients()
        .create(&CreateClusterClient::new("a"));
    let operation = "DELETE /clusters/{clusterUuid}/clients/{clientId}";
    sandbox.add_fault(Fault::on(operation).reset().when(When::After));
    let client = created.unwrap().client_id;
    admin.cluster(&id).clients().delete(&client).unwrap();
    assert_eq!(sandbox.stats().requests_by_operation[operation], 2);

    // A 404 in response to the first attempt is an error with the outcome `Rejected`.
    let error = admin.cluster(&id).clients().delete(&client).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome(), error.attempts()),
        (ErrorKind::NotFound, Outcome::Rejected, 1),
        "{error}"
    );
    // A gateway's 404 does not mean that the resource does not exist.
    sandbox.add_fault(Fault::on(operation).status(502));
    sandbox.add_fault(
        Fault::on(operation)
            .status(404)
            .body("default backend - 404"),
    );
    let error = admin.cluster(&id).clients().delete(&client).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome(), error.attempts()),
        (ErrorKind::NotFound, Outcome::Unknown, 2),
        "{error}"
    );
    assert!(error.may_have_been_applied());
}

#[test]
fn other_error_statuses_are_not_retried() {
    for status in [400, 403, 404, 409, 412, 500] {
        let sandbox = Sandbox::start();
        sandbox.add_fault(Fault::on("GET /clusters").status(status).always());
        let error = client(&sandbox).clusters().list().unwrap_err();
        assert_eq!((error.attempts(), error.http_status()), (1, Some(status)));
    }
}

#[test]
fn redirect_is_not_followed() {
    let sandbox = Sandbox::start();
    let other = Sandbox::start();
    let location = format!("{}/clusters", other.base_url());
    sandbox.add_fault(
        Fault::on("GET /clusters")
            .status(302)
            .header("location", &location),
    );
    let error = client(&sandbox).clusters().list().unwrap_err();
    assert_eq!(
        (error.kind(), error.http_status()),
        (ErrorKind::Network, Some(302))
    );
    assert_eq!(other.stats().connections, 0);
}

#[test]
fn non_idempotent_operation_is_sent_once() {
    for fault in [
        Fault::on(CREATE).reset(),
        Fault::on(CREATE).reset().when(When::After),
        Fault::on(CREATE).status(502),
        Fault::on(CREATE).status(504).when(When::After),
        Fault::on(CREATE).cut_body(5),
        Fault::on(CREATE).garbage("SSH-2.0"),
    ] {
        let sandbox = Sandbox::start();
        let admin = client(&sandbox);
        let request = cluster(&admin, "once");
        sandbox.add_fault(fault.clone());
        let error = admin.clusters().create(&request).unwrap_err();
        assert_eq!(
            sandbox.stats().requests_by_operation[CREATE],
            1,
            "{fault:?}: {error}"
        );
        assert_eq!(error.attempts(), 1);
        assert!(
            matches!(error.outcome(), Outcome::Unknown | Outcome::Completed),
            "{fault:?}: {error:?}"
        );
        if error.outcome() == Outcome::Unknown {
            assert!(
                error
                    .to_string()
                    .contains("look for the name among the clusters"),
                "{error}"
            );
        }
    }
}

#[test]
fn non_idempotent_operation_is_rejected_by_an_error_response_of_the_api() {
    for status in [401, 429, 503] {
        let sandbox = Sandbox::start();
        let admin = client(&sandbox);
        let request = cluster(&admin, "once");
        // With a message of the API: the outcome after a gateway's 503 is unknown.
        let rejection = Fault::on(CREATE)
            .status(status)
            .body(r#"{"message": "not now"}"#);
        sandbox.add_fault(rejection.header("retry-after", "7"));
        let error = admin.clusters().create(&request).unwrap_err();
        assert_eq!(
            (error.outcome(), error.attempts()),
            (Outcome::Rejected, 1),
            "{status}"
        );
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        // The caller's own retry is not blocked by the `Retry-After`.
        admin.clusters().create(&request).unwrap();
    }
}

#[test]
fn html_page_leaves_the_outcome_unknown() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    let page = |operation, status| {
        Fault::on(operation)
            .status(status)
            .header("content-type", "text/html; charset=utf-8")
            .body("<title>Log in</title>")
    };
    // With status 200, of an operation without a response body.
    sandbox.add_fault(page("PUT /clusters/{clusterUuid}/ipallowlist", 200));
    let error = admin.cluster(&id).set_ip_allowlist(&[]).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Decode, Outcome::Unknown)
    );
    // With status 200 and 503, of a non-idempotent operation.
    for (status, kind) in [(200, ErrorKind::Decode), (503, ErrorKind::Service)] {
        let request = cluster(&admin, "once");
        sandbox.add_fault(page(CREATE, status));
        let error = admin.clusters().create(&request).unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (kind, Outcome::Unknown));
        assert_eq!(error.attempts(), 1);
        assert_eq!(error.body(), Some(&b"<title>Log in</title>"[..]));
    }
}

#[test]
fn decode_error_of_a_one_time_response_contains_its_body() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    let operation = "POST /clusters/{clusterUuid}/clients";
    sandbox.add_fault(Fault::on(operation).replace("/clientId", serde_json::json!(17)));
    let error = admin
        .cluster(&id)
        .clients()
        .create(&CreateClusterClient::new("a"))
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Decode, Outcome::Completed)
    );
    assert!(
        error.to_string().contains("clientId: invalid type"),
        "{error}"
    );
    let body: serde_json::Value = serde_json::from_slice(error.body().unwrap()).unwrap();
    let secret = body["clientSecret"].as_str().unwrap();
    assert!(!secret.is_empty() && !format!("{error} {error:?}").contains(secret));

    // After a lost connection, the error contains the bytes received before.
    sandbox.add_fault(Fault::on(operation).cut_body(60));
    let error = admin
        .cluster(&id)
        .clients()
        .create(&CreateClusterClient::new("b"))
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Network, Outcome::Completed)
    );
    assert_eq!(error.body().unwrap().len(), 60);
}

#[test]
fn error_contains_no_part_of_a_secret_that_the_server_quotes() {
    for (length, at) in [(1000, 0), (40, 490)] {
        // No two parts of a secret are equal.
        let secret = |letter| -> String {
            let pieces = (0..length / 5).map(|n| format!("{letter}{n:04}"));
            pieces.collect()
        };
        let (client_secret, token) = (secret('s'), secret('t'));
        let sandbox = Sandbox::start();
        let admin = builder(&sandbox)
            .client_secret(client_secret.as_str())
            .build()
            .unwrap();
        let id = "a".parse().unwrap();
        let echo = |fault: Fault, status, secret: &str| {
            let text = format!("{}{secret}", "x".repeat(at));
            let body = serde_json::json!({ "message": text }).to_string();
            sandbox.add_fault(
                fault
                    .status(status)
                    .body(body)
                    .header("x-request-id", &text),
            );
        };
        let granted = serde_json::json!({ "access_token": token, "expires_in": 3600 });
        sandbox.add_fault(Fault::on_token().status(200).body(granted.to_string()));
        let mut errors = Vec::new();
        for secret in [&client_secret, &token] {
            echo(Fault::on(GET), 403, secret);
            errors.push(admin.cluster(&id).get().unwrap_err());
        }
        admin.invalidate_tokens();
        echo(Fault::on_token(), 401, &client_secret);
        errors.push(admin.cluster(&id).get().unwrap_err());

        for error in errors {
            let message = error.server_message().unwrap();
            let request_id = error.request_id().unwrap();
            assert!(message.ends_with('…') && request_id.ends_with('…'));
            let shown = format!("{error} {error:?} {message} {request_id}");
            for secret in [&client_secret, &token] {
                let pieces = (0..length - 8).map(|from| &secret[from..from + 8]);
                assert_eq!(pieces.filter(|piece| shown.contains(piece)).count(), 0);
            }
        }
    }
}

#[test]
fn call_fails_immediately_if_retry_after_exceeds_its_deadline() {
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox)
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    sandbox.add_fault(
        Fault::on("GET /clusters")
            .status(503)
            .header("retry-after", "3600"),
    );
    let error = admin.clusters().list().unwrap_err();
    assert_eq!(
        (error.attempts(), error.retry_after()),
        (1, Some(Duration::from_secs(3600)))
    );
    assert!(error.elapsed().unwrap() < Duration::from_secs(10));
}

#[test]
fn rejected_token_is_replaced_once_per_call() {
    let sandbox = Sandbox::builder().token_rate_limit(false).start();
    let admin = client(&sandbox);
    admin.clusters().list().unwrap();
    sandbox.revoke_tokens();
    admin.clusters().list().unwrap();
    assert_eq!(sandbox.stats().token_requests, 2);

    sandbox.add_fault(Fault::on("GET /clusters").status(401).always());
    let error = admin.clusters().list().unwrap_err();
    assert_eq!(
        (error.kind(), error.attempts()),
        (ErrorKind::Authentication, 2)
    );

    sandbox.clear_faults();
    sandbox.add_fault(Fault::on("GET /clusters").status(403));
    let before = sandbox.stats().token_requests;
    assert_eq!(
        admin.clusters().list().unwrap_err().kind(),
        ErrorKind::PermissionDenied
    );
    admin.clusters().list().unwrap();
    assert!(
        sandbox.stats().token_requests <= before + 1,
        "a 403 does not invalidate the token"
    );
}

#[test]
fn closed_idle_connection_is_replaced_without_an_error() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    sandbox.add_fault(
        Fault::on("GET /clusters")
            .close_after(Duration::ZERO)
            .times(1),
    );
    admin.clusters().list().unwrap();
    let before = sandbox.stats().connections;
    admin.clusters().list().unwrap();
    assert_eq!(sandbox.stats().connections, before + 1);
}

#[test]
fn connections_are_kept_for_as_many_threads_as_made_calls_at_a_time() {
    const THREADS: usize = 24;
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    sandbox.add_fault(Fault::on("GET /clusters").delay(Duration::from_millis(50)));
    admin.clusters().list().unwrap();
    let before = sandbox.stats().connections;
    for _ in 0..3 {
        let barrier = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..3 {
                        barrier.wait();
                        admin.clusters().list().unwrap();
                    }
                });
            }
        });
    }
    let opened = sandbox.stats().connections - before;
    assert!(opened < THREADS as u64, "{opened} for {THREADS} threads");
}

#[test]
fn non_idempotent_operation_opens_a_new_connection() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let request = cluster(&admin, "once");
    let before = sandbox.stats().connections;
    admin.clusters().create(&request).unwrap();
    assert_eq!(sandbox.stats().connections, before + 1);
}

#[test]
fn call_is_not_sent_if_the_connection_is_refused() {
    // The listener is closed immediately, so connections are refused.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox)
        .base_url(&format!("http://127.0.0.1:{port}"))
        .build()
        .unwrap();
    let error = admin.clusters().list().unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Network, Outcome::NotSent)
    );
    // Five connection attempts, no request.
    assert_eq!(error.attempts(), 0);
    let stats = admin.stats();
    assert_eq!((stats.requests, stats.retries), (0, 4));
}

#[test]
fn error_says_that_no_thread_can_be_started() {
    // A stack that no process has room for.
    let stack = ("RUST_MIN_STACK".to_owned(), (1_u64 << 50).to_string());
    in_a_process("requests::cannot_start_a_thread", &[stack]);
}

#[test]
#[ignore = "run by another in a process of its own"]
fn cannot_start_a_thread() {
    let admin = AdminClient::builder()
        .access_token("token")
        .base_url("https://api.example")
        .build()
        .unwrap();
    let error = admin.clusters().list().unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Network, Outcome::NotSent)
    );
    let expected = "cannot connect to https://api.example: no thread can be started: ";
    assert!(error.message().starts_with(expected), "{error}");
}

#[test]
fn partly_written_response_is_not_requested_again() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let operation = "GET /activity/csv";
    sandbox.add_fault(Fault::on(operation).cut_body(5));
    let mut written = Vec::new();
    let error = admin.activity().csv(&mut written).unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Network, 1));
    assert_eq!(written.len(), 5);
    assert_eq!(sandbox.stats().requests_by_operation[operation], 1);
}

#[test]
fn outcome_is_unknown_if_an_earlier_attempt_may_have_been_executed() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    sandbox.add_fault(Fault::on(UPDATE).reset().when(When::After));
    sandbox.add_fault(Fault::on(UPDATE).status(403));
    let change = UpdateCluster::new().name("new");
    let error = admin.cluster(&id).update(&change).unwrap_err();
    assert_eq!(
        (error.http_status(), error.outcome()),
        (Some(403), Outcome::Unknown)
    );
    assert_eq!(admin.cluster(&id).get().unwrap().name, "new");

    // The retry's connection is refused, because the listener is closed by then.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = builder(&sandbox)
        .base_url(&format!("http://{}", listener.local_addr().unwrap()))
        .build()
        .unwrap();
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        drop(listener);
        stream.peek(&mut [0]).unwrap();
    });
    let error = admin.cluster(&id).update(&change).unwrap_err();
    server.join().unwrap();
    assert_eq!(error.attempts(), 1);
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
}

#[test]
fn create_cluster_reports_applied_change_when_response_is_truncated() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let request = cluster(&admin, "orders");
    sandbox.add_fault(Fault::on("POST /clusters").cut_body(5).when(When::After));
    let error = admin.clusters().create(&request).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome(), error.attempts()),
        (ErrorKind::Network, Outcome::Completed, 1)
    );
    assert!(error.may_have_been_applied());
    let text = error.to_string();
    assert!(
        text.contains("; the change was applied: look for the name among the clusters"),
        "{text}"
    );
    assert_eq!(admin.clusters().list().unwrap().len(), 1);
}

#[test]
fn call_is_not_sent_when_cancelled_before_it_begins() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    // With a cached token and an idle connection, no other step checks the cancellation.
    admin.clusters().list().unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let cancelled = admin.with(CallOptions::new().cancel(cancel));
    let before = sandbox.stats().requests;
    for error in [
        cancelled.clusters().list().unwrap_err(),
        cancelled
            .cluster(&id)
            .update(&UpdateCluster::new().name("new"))
            .unwrap_err(),
        cancelled
            .cluster(&id)
            .clients()
            .create(&CreateClusterClient::new("worker"))
            .unwrap_err(),
    ] {
        assert_eq!(
            (error.kind(), error.outcome(), error.attempts()),
            (ErrorKind::Cancelled, Outcome::NotSent, 0),
            "{error}"
        );
        assert!(!error.may_have_been_applied());
    }
    assert_eq!(sandbox.stats().requests, before);
}
