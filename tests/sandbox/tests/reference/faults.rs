//! Faults: what a client receives, and to which requests they apply.

use std::io::{ErrorKind, Read};
use std::thread;
use std::time::{Duration, Instant};

use camunda_admin_sandbox::{Fault, Sandbox, When};
use serde_json::{Value, json};

use crate::api::{Api, Connection, Reply, request_token, send, until};

const LIST: &str = "GET /clusters";

fn try_list(api: &Api) -> std::io::Result<Reply> {
    try_with(
        &mut Connection::open(&api.sandbox),
        api,
        "GET",
        "/clusters",
        None,
    )
}

fn try_with(
    connection: &mut Connection,
    api: &Api,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> std::io::Result<Reply> {
    let authorization = format!("Bearer {}", api.token());
    let headers = [
        ("authorization", &*authorization),
        ("content-type", "application/json"),
    ];
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    connection.exchange(method, path, &headers, body.as_bytes())
}

fn client_count(api: &Api, cluster: &str) -> usize {
    api.get(&format!("/clusters/{cluster}/clients"))
        .expect(200)
        .json()
        .as_array()
        .unwrap()
        .len()
}

#[test]
fn fault_sets_status_headers_and_body() {
    let api = Api::new();
    let fault = Fault::on(LIST)
        .status(502)
        .header("content-type", "text/html")
        .header("retry-after", "7")
        .body("<h1>Bad gateway</h1>");
    api.sandbox.add_fault(fault);
    let reply = api.get("/clusters").expect(502);
    assert_eq!(reply.text(), "<h1>Bad gateway</h1>");
    assert_eq!(reply.header("content-type"), Some("text/html"));
    assert_eq!(reply.header("retry-after"), Some("7"));
    api.get("/clusters").expect(200);
}

#[test]
fn fault_prevents_effect_only_before() {
    let api = Api::new();
    let cluster = api.cluster();
    let clients = format!("/clusters/{cluster}/clients");
    let operation = "POST /clusters/{clusterUuid}/clients";
    let create = |name: &str, fault: Fault| {
        api.sandbox.add_fault(fault);
        let body = json!({ "clientName": name });
        let mut connection = Connection::open(&api.sandbox);
        try_with(&mut connection, &api, "POST", &clients, Some(body))
    };
    assert_eq!(
        create("a", Fault::on(operation).status(503))
            .unwrap()
            .status,
        503
    );
    create("a", Fault::on(operation).reset()).unwrap_err();
    create("a", Fault::on(operation).garbage("what?\r\n\r\n")).unwrap_err();
    assert_eq!(client_count(&api, &cluster), 0);

    let after = || Fault::on(operation).when(When::After);
    assert_eq!(create("a", after().status(500)).unwrap().status, 500);
    let error = create("b", after().reset()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    create("c", Fault::on(operation).cut_body(20)).unwrap_err();
    let reply = create("d", Fault::on(operation).body("{\"name\":")).unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "{\"name\":"));
    assert_eq!(client_count(&api, &cluster), 4);
}

#[test]
fn fault_edits_original_response() {
    let api = Api::new();
    let cluster = api.cluster();
    let clients = format!("/clusters/{cluster}/clients");
    let fault = Fault::on("POST /clusters/{clusterUuid}/clients")
        .remove("/uuid")
        .replace("/permissions", Value::Null)
        .replace("/links/zeebe", json!(7))
        .extra_field("new", json!({ "a": 1 }))
        .header("x-request-id", "abc");
    api.sandbox.add_fault(fault);
    let reply = api.post(&clients, json!({ "clientName": "a" })).expect(200);
    assert_eq!(reply.header("x-request-id"), Some("abc"));
    let response = reply.json();
    assert!(response.get("uuid").is_none());
    assert!(response["permissions"].is_null());
    assert_eq!(response["links"]["zeebe"], 7);
    assert_eq!(response["links"]["new"], json!({ "a": 1 }));
    assert_eq!(response["new"], json!({ "a": 1 }));
    assert_eq!(client_count(&api, &cluster), 1);
}

#[test]
fn fault_delays_before_or_after_effect() {
    let api = Api::new();
    let delay = Duration::from_millis(100);
    api.sandbox.add_fault(Fault::on(LIST).delay(delay).times(2));
    for _ in 0..2 {
        let start = Instant::now();
        api.get("/clusters").expect(200);
        assert!(start.elapsed() >= delay);
    }

    // The client disconnects during the delay.
    let cluster = api.cluster();
    let clients = format!("/clusters/{cluster}/clients");
    let hang_up = |name: &str, when: When| {
        let fault = Fault::on("POST /clusters/{clusterUuid}/clients");
        let fault = fault.delay(Duration::from_secs(3600)).when(when);
        let requests = api.sandbox.stats().requests;
        api.sandbox.add_fault(fault);
        let mut connection = Connection::open(&api.sandbox);
        let authorization = format!("Bearer {}", api.token());
        let headers = [
            ("authorization", &*authorization),
            ("content-type", "application/json"),
        ];
        let body = json!({ "clientName": name }).to_string();
        connection
            .send("POST", &clients, &headers, body.as_bytes())
            .unwrap();
        until("the request arrives", || {
            api.sandbox.stats().requests > requests
        });
    };
    hang_up("a", When::Before);
    assert_eq!(client_count(&api, &cluster), 0);
    hang_up("b", When::After);
    until("the request takes effect", || {
        client_count(&api, &cluster) == 1
    });
}

/// Lists the clusters, and expects no complete response within 100 ms.
#[track_caller]
fn assert_list_stalls(api: &Api) {
    let mut connection = Connection::open(&api.sandbox);
    let timeout = Duration::from_millis(100);
    connection
        .stream
        .get_ref()
        .set_read_timeout(Some(timeout))
        .unwrap();
    let error = try_with(&mut connection, api, "GET", "/clusters", None).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        "{error}"
    );
}

#[test]
fn fault_stalls_until_client_disconnects() {
    let api = Api::new();
    api.sandbox.add_fault(Fault::on(LIST).stall());
    assert_list_stalls(&api);
    api.get("/clusters").expect(200);
}

#[test]
fn fault_truncates_body() {
    let api = Api::new();
    api.cluster();
    api.sandbox.add_fault(Fault::on(LIST).cut_body(10));
    assert_eq!(try_list(&api).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    api.sandbox.add_fault(Fault::on(LIST).cut_body(10).reset());
    assert_eq!(
        try_list(&api).unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );

    api.sandbox.add_fault(Fault::on(LIST).cut_body(10).stall());
    assert_list_stalls(&api);
}

#[test]
fn fault_sends_body_slowly_and_keeps_connection() {
    let api = Api::new();
    let mut connection = Connection::open(&api.sandbox);
    let interval = Duration::from_millis(30);
    api.sandbox
        .add_fault(Fault::on(LIST).slow_body(interval).informational());
    let start = Instant::now();
    let early = try_with(&mut connection, &api, "GET", "/clusters", None).unwrap();
    assert_eq!(early.status, 103);
    let reply = connection.receive().unwrap();
    assert_eq!((reply.status, reply.text().as_str()), (200, "[]"));
    assert!(start.elapsed() >= interval);
    let reply = try_with(&mut connection, &api, "GET", "/clusters", None).unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(
        api.sandbox.stats().connections,
        2,
        "the token's and this one"
    );
}

#[test]
fn fault_sends_wrong_content_length() {
    let api = Api::new();
    api.sandbox
        .add_fault(Fault::on(LIST).wrong_content_length(100));
    assert_eq!(try_list(&api).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    api.sandbox
        .add_fault(Fault::on(LIST).wrong_content_length(1));
    assert_eq!(try_list(&api).unwrap().text(), "[");
}

#[test]
fn fault_sends_huge_body() {
    let api = Api::new();
    api.sandbox.add_fault(Fault::on(LIST).huge_body(3_000_000));
    let reply = try_list(&api).unwrap();
    assert_eq!(reply.body.len(), 3_000_000);
    assert!(reply.body.iter().all(|byte| *byte == b' '));
}

#[test]
fn fault_closes_idle_connection() {
    let api = Api::new();
    api.sandbox
        .add_fault(Fault::on(LIST).close_after(Duration::ZERO));
    let mut connection = Connection::open(&api.sandbox);
    let reply = try_with(&mut connection, &api, "GET", "/clusters", None).unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("connection"), None);
    assert_eq!(connection.stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn fault_sends_garbage() {
    let api = Api::new();
    api.sandbox
        .add_fault(Fault::on(LIST).garbage("220 smtp.example.com\r\n"));
    let error = try_list(&api).unwrap_err();
    assert!(error.to_string().contains("220 smtp"), "{error}");
}

#[test]
fn faults_match_and_count() {
    let api = Api::new();
    api.sandbox.add_fault(
        Fault::on_path("/members")
            .method("GET")
            .status(500)
            .always(),
    );
    api.get("/members").expect(500);
    api.get("/members").expect(500);
    api.post("/members/a", json!({ "orgRoles": [] }))
        .expect(204);
    api.sandbox.clear_faults();
    api.get("/members").expect(200);

    api.sandbox
        .add_fault(Fault::on_any().skip(1).status(500).times(2));
    let seen: Vec<u16> = (0..4).map(|_| api.get("/members").status).collect();
    assert_eq!(seen, [200, 500, 500, 200]);

    api.sandbox.add_fault(Fault::on(LIST).status(500));
    api.sandbox.add_fault(Fault::on(LIST).status(501));
    let seen: Vec<u16> = (0..3).map(|_| api.get("/clusters").status).collect();
    assert_eq!(seen, [500, 501, 200]);
}

#[test]
fn faults_apply_to_token_endpoint_separately() {
    let sandbox = Sandbox::builder().token_rate_limit(false).start();
    let request = || {
        let (id, secret) = (sandbox.client_id(), sandbox.client_secret());
        request_token(&sandbox, "api.cloud.camunda.io", &id, &secret)
    };
    sandbox.add_fault(Fault::on_any().status(500).always());
    sandbox.add_fault(
        Fault::on_token()
            .status(401)
            .body("<html>")
            .header("content-type", "text/html"),
    );
    sandbox.add_fault(Fault::on_token().replace("/expires_in", json!(u64::MAX)));
    sandbox.add_fault(Fault::on_token().remove("/expires_in"));
    assert_eq!(request().expect(401).text(), "<html>");
    assert_eq!(request().expect(200).json()["expires_in"], u64::MAX);
    assert!(request().expect(200).json().get("expires_in").is_none());
    request().expect(200);
    assert_eq!(sandbox.stats().rejected_token_requests, 1);
}

#[test]
fn concurrent_requests_are_served_and_counted() {
    let api = Api::new();
    api.cluster();
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut connection = Connection::open(&api.sandbox);
                for _ in 0..50 {
                    let reply = try_with(&mut connection, &api, "GET", "/clusters", None);
                    assert_eq!(reply.unwrap().status, 200);
                }
            });
        }
    });
    let stats = api.sandbox.stats();
    assert_eq!((stats.requests, stats.connections), (800, 17));
}

#[test]
fn dropped_sandbox_closes_connections() {
    let api = Api::new();
    let mut idle = Connection::open(&api.sandbox);
    try_with(&mut idle, &api, "GET", "/clusters", None).unwrap();
    drop(api);
    let read = idle.stream.read(&mut [0]);
    assert!(matches!(read, Ok(0)) || read.is_err(), "{read:?}");
}

#[test]
fn fault_with_binary_body_is_listed_as_it_was_sent() {
    let api = Api::new();
    let add = |fault: Value| {
        let body = fault.to_string();
        send(
            &api.sandbox,
            "POST",
            "/_sandbox/faults",
            &[],
            body.as_bytes(),
        )
    };
    let fault = add(json!({ "body_base64": "//79/w==" })).expect(201);
    assert_eq!(fault.json()["body_base64"], "//79/w==");
    add(json!({ "body": "a", "body_base64": "//79/w==" })).rejected(400, "exclude each other");
    add(json!({ "stats": 500 })).rejected(400, "expected one of: operation");
    add(json!({ "operation": "GET /nope", "status": 500 })).rejected(
        400,
        "unknown operation \\\"GET /nope\\\"; expected one of: token",
    );
}
