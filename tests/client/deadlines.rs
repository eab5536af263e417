//! One deadline over everything, and cancelling in each phase.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camunda_admin::{AdminClient, CallOptions, Cancel, ErrorKind, Outcome, Stage, Wait};
use camunda_admin_sandbox::{Fault, Sandbox};

use crate::{builder, client, cluster};

/// What the design allows a call beyond its deadline, and a cancelled call to take.
const GRACE: Duration = Duration::from_millis(100);
/// What a loaded machine may add: no test may fail because it is slow.
const SLOW_MACHINE: Duration = Duration::from_secs(2);

/// A server that accepts connections, says nothing, and tells when a connection was made.
fn silent_server() -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let connected = Arc::new(AtomicBool::new(false));
    let seen = connected.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            seen.store(true, Ordering::Release);
            std::thread::spawn(move || while stream.read(&mut [0; 1024]).is_ok_and(|n| n > 0) {});
        }
    });
    (address.to_string(), connected)
}

fn keeps_its_deadline(admin: &AdminClient, stage: Stage) {
    let timeout = Duration::from_millis(300);
    let begun = Instant::now();
    let error = admin
        .with(CallOptions::new().timeout(timeout))
        .clusters()
        .list()
        .unwrap_err();
    let took = begun.elapsed();
    assert_eq!(
        (error.kind(), error.stage()),
        (ErrorKind::Timeout, stage),
        "{error}"
    );
    assert!(
        took >= timeout && took < timeout + GRACE + SLOW_MACHINE,
        "{took:?}"
    );
}

/// Cancels once `reached` says that the call is in the phase to be tested.
fn is_cancelled(admin: &AdminClient, stage: Stage, reached: impl Fn() -> bool + Sync) {
    let cancel = Cancel::new();
    let admin = admin.with(CallOptions::new().cancel(cancel.clone()));
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            let error = admin.clusters().list().unwrap_err();
            (error, Instant::now())
        });
        wait_for(&reached);
        let begun = Instant::now();
        cancel.cancel();
        let (error, ended) = call.join().unwrap();
        assert_eq!(
            (error.kind(), error.stage()),
            (ErrorKind::Cancelled, stage),
            "{error}"
        );
        let took = ended.duration_since(begun);
        assert!(took < GRACE + SLOW_MACHINE, "{took:?}");
    });
}

fn wait_for(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the phase was never reached"
        );
        std::thread::yield_now();
    }
}

#[test]
fn while_the_token_endpoint_says_nothing() {
    let (address, connected) = silent_server();
    let sandbox = Sandbox::start();
    let settings = || builder(&sandbox).oauth_url(&format!("http://{address}/oauth/token"));
    keeps_its_deadline(
        &settings().client_id("deadline").build().unwrap(),
        Stage::Token,
    );
    connected.store(false, Ordering::Release);
    // Another client id: after the failure above the same one would back off first.
    let (address, connected) = silent_server();
    let admin = settings().oauth_url(&format!("http://{address}/oauth/token"));
    is_cancelled(
        &admin.client_id("cancel").build().unwrap(),
        Stage::Token,
        || connected.load(Ordering::Acquire),
    );
}

#[test]
fn while_the_service_says_nothing() {
    let (address, connected) = silent_server();
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox)
        .base_url(&format!("http://{address}"))
        .build()
        .unwrap();
    keeps_its_deadline(&admin, Stage::Request);
    connected.store(false, Ordering::Release);
    is_cancelled(&admin, Stage::Request, || connected.load(Ordering::Acquire));
}

#[test]
fn while_tls_is_not_answered() {
    let (address, connected) = silent_server();
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox)
        .base_url(&format!("https://{address}"))
        .build()
        .unwrap();
    keeps_its_deadline(&admin, Stage::Request);
    connected.store(false, Ordering::Release);
    is_cancelled(&admin, Stage::Request, || connected.load(Ordering::Acquire));
}

#[test]
fn while_the_answer_trickles() {
    let sandbox = Sandbox::start();
    sandbox.create_clusters(50);
    let admin = client(&sandbox);
    let operation = "GET /clusters";
    sandbox.add_fault(
        Fault::on(operation)
            .slow_body(Duration::from_millis(10))
            .always(),
    );
    keeps_its_deadline(&admin, Stage::Request);
    let before = sandbox.stats().requests;
    is_cancelled(&admin, Stage::Request, || sandbox.stats().requests > before);
}

#[test]
fn while_backing_off() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    sandbox.add_fault(
        Fault::on("GET /clusters")
            .status(503)
            .header("retry-after", "15")
            .always(),
    );
    is_cancelled(&admin, Stage::Request, || sandbox.stats().requests > 0);
}

#[test]
fn while_waiting_for_another_threads_token() {
    let (address, connected) = silent_server();
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox)
        .oauth_url(&format!("http://{address}/oauth/token"))
        .build()
        .unwrap();
    let leader = Cancel::new();
    std::thread::scope(|scope| {
        let leading = admin.with(CallOptions::new().cancel(leader.clone()));
        scope.spawn(move || leading.clusters().list().unwrap_err());
        wait_for(|| connected.load(Ordering::Acquire));
        let timeout = Duration::from_millis(200);
        let begun = Instant::now();
        let follower = admin.with(CallOptions::new().timeout(timeout));
        let error = follower.clusters().list().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(begun.elapsed() < timeout + GRACE + SLOW_MACHINE);
        leader.cancel();
    });
}

#[test]
fn while_a_waiter_pauses() {
    let sandbox = Sandbox::builder()
        .healthy_after(Duration::from_secs(3600))
        .start();
    let id = sandbox
        .create_cluster(serde_json::json!({}))
        .parse()
        .unwrap();
    sandbox.set_status(&format!("{id}"), serde_json::json!({ "ready": "Creating" }));
    let cancel = Cancel::new();
    let admin = client(&sandbox).with(CallOptions::new().cancel(cancel.clone()));
    let wait = Wait::new().on_progress(|_| cancel.cancel());
    let begun = Instant::now();
    let error = admin.cluster(&id).wait_until_healthy(&wait).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert!(begun.elapsed() < SLOW_MACHINE);
}

#[test]
fn an_interrupt_is_asked_on_the_calling_thread() {
    let (address, _) = silent_server();
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox)
        .base_url(&format!("http://{address}"))
        .build()
        .unwrap();
    let thread = std::thread::current().id();
    let options = CallOptions::new().interrupted_by(move || std::thread::current().id() == thread);
    let error = admin.with(options).clusters().list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn a_once_operation_that_times_out_may_have_been_done() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let request = cluster(&admin, "once");
    sandbox.add_fault(Fault::on("POST /clusters").stall());
    let quick = admin.with(CallOptions::new().timeout(Duration::from_millis(300)));
    let error = quick.clusters().create(&request).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Timeout, Outcome::Unknown)
    );
    assert_eq!(sandbox.stats().requests_by_operation["POST /clusters"], 1);
}
