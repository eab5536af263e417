//! The log of requests, and faults that match requests.

use camunda_admin_sandbox::{Fault, Permission};
use serde_json::{Value, json};

use crate::api::{Api, Connection, send, token, until};

fn list(api: &Api, query: &str) -> Vec<Value> {
    let path = format!("/_sandbox/requests{query}");
    let reply = send(&api.sandbox, "GET", &path, &[], b"")
        .expect(200)
        .json();
    reply["requests"].as_array().unwrap().clone()
}

#[test]
fn request_log_has_headers_body_client_and_status() {
    let api = Api::new();
    let cluster = api.cluster();
    let path = format!("/clusters/{cluster}");
    api.call("PATCH", &path, Some(&json!({ "name": "new" })))
        .expect(204);
    api.get("/clusters?a=b").expect(200);
    api.get("/nothing").expect(404);

    let records = api.sandbox.requests();
    let operations: Vec<&str> = records.iter().map(|it| it.operation.as_str()).collect();
    assert_eq!(
        operations,
        [
            "token",
            "PATCH /clusters/{clusterUuid}",
            "GET /clusters",
            "unknown"
        ]
    );
    let token_request = &records[0];
    assert_eq!(token_request.status, Some(200));
    assert_eq!(token_request.json()["grant_type"], "client_credentials");
    let patch = &records[1];
    assert_eq!((patch.id, patch.status), (2, Some(204)));
    assert_eq!(patch.method, "PATCH");
    assert_eq!(patch.path, path);
    assert_eq!(patch.json(), json!({ "name": "new" }));
    assert_eq!(patch.header("content-type"), Some("application/json"));
    for record in &records[..3] {
        assert_eq!(record.client_id, Some(api.sandbox.client_id()));
        assert!(record.peer.unwrap().ip().is_loopback());
    }
    assert_eq!(records[2].query.as_deref(), Some("a=b"));

    let json = list(&api, "?operation=PATCH%20/clusters/%7BclusterUuid%7D");
    assert_eq!(json.len(), 1);
    assert_eq!(json[0]["json"], json!({ "name": "new" }));
    assert_eq!(json[0]["body"], "{\"name\":\"new\"}");
    assert_eq!(json[0]["headers"]["content-type"], "application/json");
    assert_eq!(json[0]["fault"], Value::Null);
    let records = api.sandbox.requests_to("PATCH /clusters/{clusterUuid}");
    assert_eq!(records.len(), 1);
    assert_eq!(records[0], *patch);
}

#[test]
fn request_log_is_filtered_and_cleared() {
    let api = Api::new();
    let other = api.limited_token(&[Permission::Members]);
    api.call_with(&other, "GET", "/members", None).expect(200);
    api.call_with(&other, "GET", "/clusters", None).expect(403);
    api.get("/clusters").expect(200);
    let count = |query: &str| list(&api, query).len();
    assert_eq!(count(""), 5);
    assert_eq!(count("?operation=token"), 2);
    assert_eq!(count("?method=get"), 3);
    assert_eq!(count("?path=/clusters"), 2);
    assert_eq!(count("?status=403"), 1);
    assert_eq!(count("?after=3"), 2);
    assert_eq!(count(&format!("?client_id={}", api.sandbox.client_id())), 2);
    let latest = list(&api, "?limit=1");
    assert_eq!((latest.len(), &latest[0]["id"]), (1, &json!(5)));

    let rejected = |query: &str, message: &str| {
        let path = format!("/_sandbox/requests{query}");
        send(&api.sandbox, "GET", &path, &[], b"").rejected(400, message);
    };
    rejected("?operation=GET%20/clusterz", "unknown operation");
    rejected("?operaton=token", "expected one of: after, client_id");
    rejected("?status=ok", "must be a number");

    send(&api.sandbox, "DELETE", "/_sandbox/requests", &[], b"").expect(204);
    assert_eq!(count(""), 0);
    api.get("/clusters").expect(200);
    assert_eq!(list(&api, "")[0]["id"], 6);
}

#[test]
fn request_log_names_fault_and_has_no_status_without_response() {
    let api = Api::new();
    let reset = api
        .sandbox
        .add_fault(Fault::on("GET /clusters").reset().skip(1));
    let cut = api.sandbox.add_fault(Fault::on("GET /members").cut_body(1));
    api.get("/clusters").expect(200);
    let authorization = format!("Bearer {}", api.token());
    let headers = [("authorization", authorization.as_str())];
    for path in ["/clusters", "/members"] {
        let mut connection = Connection::open(&api.sandbox);
        connection.exchange("GET", path, &headers, b"").unwrap_err();
    }
    let outcome: Vec<_> = api.sandbox.requests()[1..]
        .iter()
        .map(|it| (it.status, it.fault))
        .collect();
    assert_eq!(
        outcome,
        [
            (Some(200), None),
            (None, Some(reset.id())),
            (Some(200), Some(cut.id()))
        ]
    );
}

#[test]
fn request_log_keeps_the_latest_10000_requests() {
    let api = Api::new();
    let mut connection = Connection::open(&api.sandbox);
    for _ in 0..10_010 {
        let reply = connection.exchange("GET", "/meta/ip-ranges", &[], b"");
        assert_eq!(reply.unwrap().status, 200);
    }
    let records = api.sandbox.requests();
    assert_eq!(records.len(), 10_000);
    assert_eq!(records[9_999].id, 10_011);
}

#[test]
fn faults_are_objects_with_counters() {
    let api = Api::new();
    let fault = |body: Value| {
        let body = body.to_string();
        let reply = send(
            &api.sandbox,
            "POST",
            "/_sandbox/faults",
            &[],
            body.as_bytes(),
        );
        reply.expect(201).json()["id"].as_u64().unwrap()
    };
    let first = fault(json!({ "operation": "GET /clusters", "status": 503, "times": 2 }));
    let unused = fault(json!({ "operation": "GET /members", "status": 503 }));
    assert_ne!(first, unused);
    let path = format!("/_sandbox/faults/{first}");
    let state = || {
        send(&api.sandbox, "GET", &path, &[], b"")
            .expect(200)
            .json()
    };
    api.get("/clusters").expect(503);
    assert_eq!(
        (&state()["fired"], &state()["remaining"]),
        (&json!(1), &json!(1))
    );
    api.get("/clusters").expect(503);
    api.get("/clusters").expect(200);
    assert_eq!(
        (&state()["fired"], &state()["remaining"]),
        (&json!(2), &json!(0))
    );

    let list = |query: &str| -> Vec<u64> {
        let path = format!("/_sandbox/faults{query}");
        let list = send(&api.sandbox, "GET", &path, &[], b"")
            .expect(200)
            .json();
        let faults = list["faults"].as_array().unwrap().iter();
        faults.map(|fault| fault["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(list(""), [first, unused]);
    assert_eq!(list("?unused=true"), [unused]);
    assert_eq!(api.sandbox.unused_faults()[0]["operation"], "GET /members");
    let path = format!("/_sandbox/faults/{unused}");
    send(&api.sandbox, "DELETE", &path, &[], b"").expect(204);
    send(&api.sandbox, "DELETE", &path, &[], b"").rejected(404, "not found");
    api.get("/members").expect(200);
    assert_eq!(list(""), [first]);

    let fault = api
        .sandbox
        .add_fault(Fault::on("GET /clusters").status(500).always());
    api.get("/clusters").expect(500);
    assert_eq!(fault.fired(), 1);
    fault.remove();
    api.get("/clusters").expect(200);
    assert_eq!(fault.fired(), 0);
}

#[test]
fn faults_match_client_header_and_body() {
    let api = Api::new();
    let credentials = api.sandbox.add_credentials(&[Permission::Members]);
    let other = token(
        &api.sandbox,
        &credentials.client_id,
        &credentials.client_secret,
    );
    api.sandbox.add_fault(
        Fault::on("GET /members")
            .client(&credentials.client_id)
            .status(500)
            .always(),
    );
    api.get("/members").expect(200);
    api.call_with(&other, "GET", "/members", None).expect(500);

    let body = json!({
        "operation": "POST /clusters/{clusterUuid}/clients",
        "match": { "body": { "/clientName": "b" }, "headers": { "X-Run": "2" } },
        "status": 500,
    });
    let fault = api.sandbox.add_fault(Fault::from_json(body).unwrap());
    let clients = format!("/clusters/{}/clients", api.cluster());
    let create = |name: &str, run: &str| {
        let authorization = format!("Bearer {}", api.token());
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("x-run", run),
        ];
        let body = json!({ "clientName": name }).to_string();
        send(&api.sandbox, "POST", &clients, &headers, body.as_bytes()).status
    };
    assert_eq!(create("a", "2"), 200);
    assert_eq!(create("b", "1"), 200);
    assert_eq!(fault.fired(), 0);
    assert_eq!(create("b", "2"), 500);

    let token_fault = api.sandbox.add_fault(
        Fault::on_token()
            .client(&credentials.client_id)
            .status(503)
            .always(),
    );
    token(
        &api.sandbox,
        &api.sandbox.client_id(),
        &api.sandbox.client_secret(),
    );
    assert_eq!(token_fault.fired(), 0);
}

#[test]
fn faults_without_effect_or_match_are_rejected() {
    let api = Api::new();
    for (fault, message) in [
        (
            json!({ "operation": "GET /clusterz", "status": 500 }),
            "POST /clusters,",
        ),
        (
            json!({ "operation": "list clusters", "status": 500 }),
            "expected one of: token",
        ),
        (
            json!({ "operation": "GET /clusters/7a", "status": 500 }),
            "did you mean \\\"GET /clusters/{clusterUuid}\\\"",
        ),
        (json!({}), "no effect"),
        (json!({ "operation": "GET /clusters" }), "no effect"),
        (json!({ "delay_ms": 0 }), "no effect"),
        (json!({ "probability": 2, "status": 500 }), "probability"),
        (json!({ "probability": -1, "status": 500 }), "probability"),
        (json!({ "probability": 0, "status": 500 }), "probability"),
        (json!({ "seed": 1, "status": 500 }), "requires"),
        (json!({ "times": 0, "status": 500 }), "times"),
        (json!({ "path_prefix": "clusters", "status": 500 }), "slash"),
        (json!({ "method": "FETCH", "status": 500 }), "FETCH"),
        (
            json!({ "operation": "GET /clusters", "method": "POST", "status": 500 }),
            "no request matches",
        ),
        (
            json!({ "operation": "GET /members", "path_prefix": "/clusters", "status": 500 }),
            "no request matches",
        ),
        (
            json!({ "operation": "GET /clusters", "match": { "body": { "/a": 1 } }, "status": 500 }),
            "has no request body",
        ),
        (
            json!({ "operation": "token", "path_prefix": "/clusters", "status": 500 }),
            "no request matches",
        ),
        (
            json!({ "operation": "token", "method": "GET", "status": 500 }),
            "no request matches",
        ),
        (
            json!({ "path_prefix": "/_sandbox/state", "status": 500 }),
            "no fault is injected into requests to /_sandbox",
        ),
        (
            json!({ "status": 99 }),
            "field \\\"status\\\" must be a whole number from 200 to 999",
        ),
        (json!({ "body_base64": "!" }), "must be valid base64"),
        (
            json!({ "headers": { "a b": "c" } }),
            "must be an object of valid header names and values",
        ),
        (json!({ "replace": { "name": 1 } }), "slash"),
        (
            json!({ "match": { "body": { "name": 1 } }, "status": 500 }),
            "slash",
        ),
        (
            json!({ "match": { "header": {} }, "status": 500 }),
            "header",
        ),
    ] {
        let body = fault.to_string();
        send(
            &api.sandbox,
            "POST",
            "/_sandbox/faults",
            &[],
            body.as_bytes(),
        )
        .rejected(400, message);
    }
    for fault in [
        Fault::on("GET /clusterz").status(500),
        Fault::on("GET /clusters"),
        Fault::on_any().status(500).probability(2.0, 1),
        Fault::on_any().status(500).probability(f64::NAN, 1),
    ] {
        assert!(api.sandbox.try_add_fault(fault).is_err());
    }
    assert_eq!(api.sandbox.unused_faults(), [] as [Value; 0]);
    until("the request", || api.get("/clusters").status == 200);
}
