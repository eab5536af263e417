//! Waiters: when they end, their errors, and sharing them between threads.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use camunda_admin::{CallOptions, Cancel, Cluster, ClusterId, ErrorKind, Outcome, Stage, Wait};
use camunda_admin_sandbox::{Fault, Sandbox, When};

use crate::{builder, client, new_cluster};

const GET: &str = "GET /clusters/{clusterUuid}";

fn creating(sandbox: &Sandbox) -> ClusterId {
    let id = sandbox.create_cluster(serde_json::json!({}));
    sandbox.set_status(&id, serde_json::json!({ "ready": "Creating" }));
    id.parse().unwrap()
}

/// A wait whose deadline is far later than an immediate failure.
fn long() -> Wait<'static, Cluster> {
    Wait::new().timeout(Duration::from_secs(600))
}

#[test]
fn wait_fails_immediately_when_certificate_of_api_is_not_trusted() {
    let sandbox = Sandbox::start();
    let other = Sandbox::builder().tls(true).start();
    let admin = builder(&sandbox)
        .base_url(&other.base_url())
        .build()
        .unwrap();
    let id = "3f0e".parse().unwrap();
    let begun = Instant::now();
    let error = admin.cluster(&id).wait_until_healthy(&long()).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(
        (error.kind(), error.outcome(), error.attempts()),
        (ErrorKind::Network, Outcome::NotSent, 0),
        "{error}"
    );
    let text = error.to_string();
    assert!(
        text.starts_with("wait until healthy: cluster 3f0e: get cluster: cannot connect to "),
        "{text}"
    );
    assert!(text.contains("signed by an untrusted authority"), "{text}");
}

#[test]
fn wait_fails_immediately_when_certificate_of_token_endpoint_is_not_trusted() {
    let sandbox = Sandbox::start();
    let other = Sandbox::builder().tls(true).start();
    let admin = builder(&sandbox)
        .oauth_url(&other.oauth_url())
        .build()
        .unwrap();
    let id = creating(&sandbox);
    let begun = Instant::now();
    let error = admin.cluster(&id).wait_until_healthy(&long()).unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert_eq!(
        (error.kind(), error.stage(), error.outcome()),
        (ErrorKind::Network, Stage::Token, Outcome::NotSent),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("signed by an untrusted authority"),
        "{error}"
    );
    assert_eq!(sandbox.stats().requests, 0);
}

#[test]
fn wait_polls_again_after_retry_after() {
    let sandbox = Sandbox::start();
    // Each poll ends before the client's own retry.
    let admin = builder(&sandbox)
        .timeout(Duration::from_millis(1500))
        .build()
        .unwrap();
    let id = new_cluster(&sandbox);
    sandbox.add_fault(Fault::on(GET).status(429).header("retry-after", "2"));
    let begun = Instant::now();
    let wait = long().max_poll_interval(Duration::from_millis(10));
    admin.cluster(&id).wait_until_healthy(&wait).unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(2));
    assert_eq!(sandbox.stats().requests_by_operation[GET], 3);
}

#[test]
fn healthy_polls_with_a_failed_one_in_between_are_not_consecutive() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    let mut polled = 0;
    let wait = Wait::new()
        .timeout(Duration::from_secs(600))
        .max_poll_interval(Duration::from_millis(10))
        .on_progress(|_| {
            polled += 1;
            if polled == 1 {
                let page = Fault::on(GET).status(200).body("<html>restarting</html>");
                sandbox.add_fault(page.header("content-type", "text/html"));
            }
        });
    admin.cluster(&id).wait_until_healthy(&wait).unwrap();
    drop(wait);
    assert_eq!(polled, 3);
    assert_eq!(sandbox.stats().requests_by_operation[GET], 4);
}

#[test]
fn wait_polls_once_more_before_the_deadline() {
    let mut last_polls = Vec::new();
    // The deadline can pass during the last poll on a loaded machine.
    while last_polls.len() < 10 {
        let sandbox = Sandbox::start();
        let admin = client(&sandbox);
        let id = creating(&sandbox);
        let begun = Instant::now();
        let (mut polls, mut last) = (0, Duration::ZERO);
        let wait = Wait::new()
            .timeout(Duration::from_secs(4))
            .max_poll_interval(Duration::from_secs(60))
            .on_progress(|_| (polls, last) = (polls + 1, begun.elapsed()));
        let error = admin.cluster(&id).wait_until_healthy(&wait).unwrap_err();
        drop(wait);
        assert!(begun.elapsed() >= Duration::from_secs(4));
        assert_eq!(error.kind(), ErrorKind::Timeout);
        // The delays alone would poll after 0, 0.5, 1.25, 2.4 and 4.1 s.
        if polls == error.attempts() && last >= Duration::from_secs(3) {
            assert_eq!(u64::from(polls), sandbox.stats().requests_by_operation[GET]);
            return;
        }
        last_polls.push(last);
    }
    panic!("no poll after 3 s: {last_polls:?}");
}

#[test]
fn wait_error_is_certain_and_names_resource_state_and_last_error() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = creating(&sandbox);
    // The first poll succeeds, the next ones fail.
    sandbox.add_fault(
        Fault::on(GET)
            .skip(1)
            .status(500)
            .body(r#"{"message":"broken"}"#)
            .always(),
    );
    let wait = Wait::new()
        .timeout(Duration::from_secs(2))
        .max_poll_interval(Duration::from_millis(10));
    let error = admin.cluster(&id).wait_until_healthy(&wait).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{text}");
    assert_eq!(error.outcome(), Outcome::Rejected, "{text}");
    assert!(!error.may_have_been_applied());
    assert_eq!(
        u64::from(error.attempts()),
        sandbox.stats().requests_by_operation[GET]
    );
    let generation = admin_generation(&sandbox, &id);
    assert_eq!(
        text,
        format!(
            "wait until healthy: cluster {id}: deadline of 2s exceeded; last state: Creating, \
             generation {generation}; last error: get cluster: rejected with HTTP 500: broken"
        )
    );
    let underlying = error.underlying().unwrap();
    let last = underlying.downcast_ref::<camunda_admin::Error>().unwrap();
    assert_eq!(last.http_status(), Some(500));
    assert!(std::error::Error::source(&error).is_none());
}

fn admin_generation(sandbox: &Sandbox, id: &ClusterId) -> String {
    sandbox.clear_faults();
    client(sandbox).cluster(id).get().unwrap().generation.name
}

#[test]
fn wait_is_not_sent_when_cancelled_before_the_first_poll() {
    let sandbox = Sandbox::start();
    let cancel = Cancel::new();
    cancel.cancel();
    let admin = client(&sandbox).with(CallOptions::new().cancel(cancel));
    let id = creating(&sandbox);
    let error = admin.cluster(&id).wait_until_healthy(&long()).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome(), error.attempts()),
        (ErrorKind::Cancelled, Outcome::NotSent, 0)
    );
    assert_eq!(
        error.to_string(),
        format!("wait until healthy: cluster {id}: cancelled")
    );
    assert_eq!(sandbox.stats().requests, 0);
}

#[test]
fn wait_cancelled_during_a_poll_has_a_certain_outcome() {
    let sandbox = Sandbox::start();
    let cancel = Cancel::new();
    let admin = client(&sandbox).with(CallOptions::new().cancel(cancel.clone()));
    let id = creating(&sandbox);
    sandbox.add_fault(Fault::on(GET).stall().when(When::After));
    let error = std::thread::scope(|scope| {
        let wait = scope.spawn(|| admin.cluster(&id).wait_until_healthy(&long()).unwrap_err());
        let begun = Instant::now();
        while sandbox.stats().requests == 0 {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
        cancel.cancel();
        wait.join().unwrap()
    });
    assert_eq!(
        (error.kind(), error.outcome(), error.attempts()),
        (ErrorKind::Cancelled, Outcome::Rejected, 1),
        "{error}"
    );
    assert!(!error.may_have_been_applied());
}

#[test]
fn clones_of_wait_share_a_callback_between_threads() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let ids: Vec<ClusterId> = (0..3)
        .map(|_| {
            let id = sandbox.create_cluster(serde_json::json!({}));
            id.parse().unwrap()
        })
        .collect();
    let mut seen = Vec::new();
    let wait = Wait::new()
        .max_poll_interval(Duration::from_millis(10))
        .on_progress(|cluster: &Cluster| seen.push(cluster.uuid.clone()));
    std::thread::scope(|scope| {
        for id in &ids {
            let (wait, admin) = (wait.clone(), &admin);
            scope.spawn(move || admin.cluster(id).wait_until_healthy(&wait).unwrap());
        }
    });
    drop(wait);
    for id in &ids {
        assert_eq!(seen.iter().filter(|seen| *seen == id).count(), 2);
    }
}

#[test]
fn callback_that_waits_is_not_called_for_its_own_wait() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    let own: Arc<Mutex<Option<Wait<'static, Cluster>>>> = Arc::default();
    let calls = Arc::new(AtomicU32::new(0));
    let (inner, count, in_callback, same) = (own.clone(), calls.clone(), admin.clone(), id.clone());
    let wait = long()
        .max_poll_interval(Duration::from_millis(10))
        .on_progress(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            let wait = inner.lock().unwrap().take();
            if let Some(wait) = wait {
                in_callback
                    .cluster(&same)
                    .wait_until_healthy(&wait)
                    .unwrap();
            }
        });
    *own.lock().unwrap() = Some(wait.clone());
    admin.cluster(&id).wait_until_healthy(&wait).unwrap();
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    assert_eq!(sandbox.stats().requests_by_operation[GET], 4);
}

/// A page of a proxy, which does not know the path.
fn page_of_a_proxy(operation: &str) -> Fault {
    Fault::on(operation)
        .status(404)
        .body("<html><title>404 Not Found</title></html>")
        .header("content-type", "text/html")
}

#[test]
fn wait_until_deleted_does_not_trust_an_html_page() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = creating(&sandbox);
    sandbox.add_fault(page_of_a_proxy(GET).always());
    assert_eq!(admin.clusters().list().unwrap().len(), 1);
    let wait = Wait::new().timeout(Duration::from_secs(1));
    let error = admin.cluster(&id).wait_until_deleted(&wait).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error.to_string().contains("last state: Creating"),
        "{error}"
    );

    admin.cluster(&id).delete().unwrap();
    admin.cluster(&id).wait_until_deleted(&long()).unwrap();

    sandbox.add_fault(page_of_a_proxy("GET /clusters").always());
    let error = admin.cluster(&id).wait_until_deleted(&long()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("404 Not Found"), "{error}");
}

#[test]
fn waiter_fails_immediately_if_the_state_is_unreachable() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    sandbox.set_status(
        &format!("{id}"),
        serde_json::json!({ "ready": "Suspended" }),
    );
    let error = admin
        .cluster(&id)
        .wait_until_healthy(&Wait::new())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WaitFailed);
    assert!(error.to_string().contains("suspended"), "{error}");
}

#[test]
fn waiter_continues_after_transient_errors_until_its_deadline() {
    let sandbox = Sandbox::builder()
        .healthy_after(Duration::from_millis(10))
        .start();
    let admin = client(&sandbox);
    let id = new_cluster(&sandbox);
    sandbox.add_fault(Fault::on(GET).status(500).times(2));
    let wait = Wait::new().max_poll_interval(Duration::from_millis(10));
    admin.cluster(&id).wait_until_healthy(&wait).unwrap();

    sandbox.add_fault(Fault::on(GET).status(500).always());
    // Longer than a loaded machine takes for a poll.
    let wait = wait.timeout(Duration::from_secs(2));
    let error = admin.cluster(&id).wait_until_healthy(&wait).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("HTTP 500"), "{error}");
}
