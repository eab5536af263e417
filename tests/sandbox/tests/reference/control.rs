//! Control requests: counters, reset, faults, and changes of the state.

use std::time::Duration;

use camunda_admin_sandbox::Fault;
use serde_json::{Value, json};

use crate::api::{Api, Reply, names, request_token, send};

fn control(api: &Api, changes: Value) -> Reply {
    send(
        &api.sandbox,
        "POST",
        "/_sandbox/control",
        &[],
        changes.to_string().as_bytes(),
    )
}

fn made(api: &Api, changes: Value) -> Value {
    control(api, changes).expect(200).json()
}

#[test]
fn stats_exclude_control_requests() {
    let api = Api::new();
    api.get("/clusters").expect(200);
    let stats = || {
        send(&api.sandbox, "GET", "/_sandbox/stats", &[], b"")
            .expect(200)
            .json()
    };
    assert_eq!(stats(), stats());
    assert_eq!(
        names(&stats()),
        [
            "connections",
            "rate_limited_token_requests",
            "rejected_token_requests",
            "requests",
            "requests_by_operation",
            "token_request_times_ms",
            "token_requests",
            "token_requests_by_audience",
        ]
    );
    assert_eq!(stats()["requests"], 1);
    assert_eq!(stats()["token_requests"], 1);
    assert_eq!(stats()["connections"], 2);
}

#[test]
fn reset_restores_initial_state() {
    let mut api = Api::new();
    api.cluster();
    api.sandbox.add_fault(Fault::on_any().status(500).always());
    api.sandbox.advance(Duration::from_secs(1_000_000));
    send(&api.sandbox, "POST", "/_sandbox/reset", &[], b"").expect(204);
    assert_eq!(api.sandbox.stats(), Default::default());
    api.get("/clusters").expect(401);
    api.renew_token();
    assert_eq!(api.get("/clusters").expect(200).json(), json!([]));
}

#[test]
fn faults_are_added_and_removed() {
    let api = Api::new();
    let add = |fault: &Value| {
        send(
            &api.sandbox,
            "POST",
            "/_sandbox/faults",
            &[],
            fault.to_string().as_bytes(),
        )
    };
    add(&json!({ "operation": "GET /clusters", "status": 503, "times": null })).expect(201);
    api.get("/clusters").expect(503);
    api.get("/clusters").expect(503);
    send(&api.sandbox, "DELETE", "/_sandbox/faults", &[], b"").expect(204);
    api.get("/clusters").expect(200);

    let everything = json!({
        "path_prefix": "/clusters", "method": "GET", "times": 2, "skip": 1, "probability": 1,
        "seed": 7, "when": "after", "delay_ms": 1, "status": 418, "headers": { "x-a": "1", "x-b": "2" },
        "body": { "a": { "b": 1 }, "c": 2 },
        "extra_fields": { "d": 3 }, "replace": { "/a/b": null }, "remove": ["/c"],
        "slow_body": 0, "informational": false, "stall": false, "reset": false, "garbage": false,
    });
    add(&everything).expect(201);
    api.get("/clusters").expect(200);
    let reply = api.get("/clusters").expect(418);
    assert_eq!(
        (reply.header("x-a"), reply.header("x-b")),
        (Some("1"), Some("2"))
    );
    assert_eq!(reply.json(), json!({ "a": { "b": null, "d": 3 }, "d": 3 }));
    api.sandbox.clear_faults();

    add(&json!({ "operation": "GET /clusters", "body_base64": "//79" })).expect(201);
    assert_eq!(api.get("/clusters").expect(200).body, b"\xff\xfe\xfd");
    add(&json!({ "operation": "GET /clusters", "body": "text" })).expect(201);
    assert_eq!(api.get("/clusters").expect(200).text(), "text");

    for (wrong, name) in [
        (json!({ "stauts": 500 }), "stauts"),
        (json!({ "set_headers": { "a": "b" } }), "set_headers"),
        (json!({ "status": 100 }), "status"),
        (json!({ "times": -1 }), "times"),
        (json!({ "when": "later" }), "when"),
        (json!({ "headers": { "a": "b\r\nc: d" } }), "headers"),
        (json!({ "body_base64": "!" }), "body_base64"),
        (json!([]), "object"),
    ] {
        add(&wrong).rejected(400, name);
        assert!(Fault::from_json(wrong).unwrap_err().contains(name));
    }
}

#[test]
fn cluster_control_accepts_any_fields() {
    let api = Api::new();
    let response = made(
        &api,
        json!({ "cluster": {
            "uuid": "mine", "name": "n", "new": [1], "labels": null, "links": { "new": "x" },
            "status": { "ready": "Hibernating", "zeebeStatus": "Healthy", "newStatus": "Odd" },
            "ipallowlist": [{ "ip": "10.0.0.0/8", "description": "" }], "ipwhitelist": [],
        }}),
    );
    assert_eq!(response, json!({ "uuid": "mine" }));
    let cluster = api.get("/clusters/mine").expect(200).json();
    assert_eq!(cluster["new"], json!([1]));
    assert_eq!(cluster["links"]["new"], "x");
    assert_eq!(cluster["status"]["ready"], "Hibernating");
    assert_eq!(cluster["status"]["operateStatus"], "Hibernating");
    assert_eq!(cluster["status"]["zeebeStatus"], "Healthy");
    assert_eq!(cluster["status"]["newStatus"], "Odd");
    assert_eq!(cluster["ipallowlist"][0]["ip"], "10.0.0.0/8");
    assert_eq!(cluster["ipwhitelist"], json!([]));
    control(&api, json!({ "cluster": { "uuid": "mine" } })).rejected(400, "already");
    control(&api, json!({ "cluster": { "uuid": 7 } })).rejected(400, "string");

    made(
        &api,
        json!({ "update_cluster": { "cluster": "mine", "name": "o", "new": null } }),
    );
    let cluster = api.get("/clusters/mine").expect(200).json();
    assert_eq!(cluster["name"], "o");
    assert!(cluster.get("new").is_none());
    made(
        &api,
        json!({ "status": { "cluster": "mine", "ready": "Unhealthy" } }),
    );
    assert_eq!(
        api.get("/clusters/mine").json()["status"]["ready"],
        "Unhealthy"
    );

    let uuids = made(&api, json!({ "clusters": 20 }))["uuids"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(uuids.len(), 20);
    assert_eq!(api.get("/clusters").json().as_array().unwrap().len(), 21);
}

#[test]
fn controls_change_state() {
    let mut api = Api::new();
    let uuid = made(&api, json!({ "cluster": {} }))["uuid"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/clusters/{uuid}");

    let backup = made(
        &api,
        json!({ "backup": { "cluster": uuid, "fields": { "name": "b" } } }),
    );
    let backups = api.get(&format!("{path}/backups")).json();
    assert_eq!(backups[0]["uuid"], backup["uuid"]);
    assert_eq!(backups[0]["name"], "b");

    let newest = made(&api, json!({ "upgrade_available": { "cluster": uuid } }));
    assert!(newest["generation"]["uuid"].is_string());
    let gate = json!({ "cluster": uuid, "reason": "r", "next_step": "n" });
    made(&api, json!({ "upgrade_gate": gate }));
    api.call("PUT", &format!("{path}/upgrade"), None)
        .rejected(409, "\"reason\":\"r\"");
    made(&api, json!({ "upgrade_gate": { "cluster": uuid } }));
    api.call("PUT", &format!("{path}/upgrade"), None)
        .expect(200);

    let limits = json!({
        "max_clients": 0, "max_secrets": 0, "reservations_left": 0, "seats_left": 0,
        "cluster_creation_available": true,
    });
    made(&api, json!({ "limits": limits }));
    api.post(&format!("{path}/clients"), json!({ "clientName": "a" }))
        .expect(403);
    api.post("/clusters", api.new_cluster()).expect(400);
    made(&api, json!({ "limits": { "max_clients": null } }));
    api.post(&format!("{path}/clients"), json!({ "clientName": "a" }))
        .expect(200);

    made(&api, json!({ "limits": { "max_secrets": null } }));
    made(&api, json!({ "secrets_busy": { "cluster": uuid } }));
    let secret = json!({ "secretName": "A", "secretValue": "v" });
    api.post(&format!("{path}/secrets"), secret.clone())
        .expect(409);
    api.post(&format!("{path}/secrets"), secret).expect(204);

    made(
        &api,
        json!({ "kind": { "cluster": uuid, "enterprise": false } }),
    );
    let key = json!({ "primaryEncryptionKeyId": "k" });
    api.put(&format!("{path}/encryption"), key)
        .rejected(403, "plan");
    made(&api, json!({ "other_organization": { "cluster": uuid } }));
    api.get(&path).expect(404);
    made(
        &api,
        json!({ "other_organization": { "cluster": uuid, "value": false } }),
    );
    api.get(&path).expect(200);

    made(&api, json!({ "csv_as_json_string": true }));
    assert!(api.get("/activity/csv").is_json());
    made(&api, json!({ "allowlist_field": "ipwhitelist" }));
    assert!(api.get(&path).json().get("ipwhitelist").is_some());
    made(&api, json!({ "ip_ranges": { "new": [] } }));
    assert_eq!(api.get("/meta/ip-ranges").json(), json!({ "new": [] }));

    let credentials = made(
        &api,
        json!({ "credentials": { "permissions": ["members"] } }),
    );
    let token = request_token(
        &api.sandbox,
        "api.cloud.camunda.io",
        credentials["client_id"].as_str().unwrap(),
        credentials["client_secret"].as_str().unwrap(),
    );
    let token = token.expect(200).json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    api.call_with(&token, "GET", "/members", None).expect(200);
    api.call_with(&token, "GET", "/clusters", None).expect(403);

    made(&api, json!({ "revoke_tokens": true }));
    api.get("/clusters").expect(401);
    api.renew_token();
    made(&api, json!({ "advance_ms": 86_400_000 }));
    api.get("/clusters").expect(401);
    let rotated = made(&api, json!({ "rotate_secret": true }));
    let secret = rotated["client_secret"].as_str().unwrap();
    let id = api.sandbox.client_id();
    request_token(&api.sandbox, "api.cloud.camunda.io", &id, secret).expect(200);
}

#[test]
fn invalid_controls_are_rejected() {
    let api = Api::new();
    for (changes, message) in [
        (json!({ "clutser": {} }), "clutser"),
        (
            json!({ "status": { "cluster": "nothing" } }),
            "cluster nothing not found",
        ),
        (json!({ "status": {} }), "cluster"),
        (json!({ "limits": { "max_pods": 1 } }), "max_pods"),
        (json!({ "limits": { "max_clients": "1" } }), "max_clients"),
        (
            json!({ "settings": { "ban_s": 1 } }),
            "unknown field \\\"ban_s\\\"; expected one of: ",
        ),
        (
            json!({ "clock": { "time": 1 } }),
            "expected one of: now, advance_ms, frozen",
        ),
        (json!({ "advance_ms": -1 }), "advance_ms"),
        (json!({ "clusters": 100_001 }), "clusters"),
        (json!({ "revoke_tokens": false }), "revoke_tokens"),
        (json!({ "credentials": { "permissions": ["all"] } }), "all"),
        (json!({ "allowlist_field": "none" }), "allowlist_field"),
        (json!([]), "object"),
    ] {
        let reply = control(&api, changes.clone());
        assert!(matches!(reply.status, 400 | 404), "{changes}");
        assert!(
            reply.text().contains(message),
            "{changes}: {}",
            reply.text()
        );
    }
    assert!(
        api.sandbox
            .control(json!({ "no": 1 }))
            .unwrap_err()
            .contains("unknown control")
    );
    send(&api.sandbox, "POST", "/_sandbox/control", &[], b"{").expect(400);
    send(&api.sandbox, "PUT", "/_sandbox/control", &[], b"{}").rejected(405, "POST");
    send(&api.sandbox, "GET", "/_sandbox/nothing", &[], b"").expect(404);
}

#[test]
fn maximum_durations_do_not_overflow() {
    let api = Api::with(
        camunda_admin_sandbox::Sandbox::builder()
            .healthy_after(Duration::MAX)
            .token_lifetime(Duration::MAX)
            .ban(Duration::MAX),
    );
    made(&api, json!({ "advance_ms": u64::MAX }));
    made(&api, json!({ "advance_ms": u64::MAX }));
    let cluster = api.cluster();
    api.call("POST", &format!("/clusters/{cluster}/backups"), None)
        .expect(401);
}
