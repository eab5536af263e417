//! The state as a whole: seed, clock, organizations, export and replacement.

use std::collections::HashSet;
use std::time::{Duration, UNIX_EPOCH};

use camunda_admin_sandbox::{Permission, Sandbox};
use serde_json::{Value, json};

use crate::api::{Api, request_token, send, token};

const AUDIENCE: &str = "api.cloud.camunda.io";

fn start_time() -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_772_368_496)
}

/// Creates one of each resource and returns the ids and secrets that the API returned.
fn create_resources(api: &Api) -> Value {
    let created = api.post("/clusters", api.new_cluster()).expect(200).json();
    let path = format!("/clusters/{}", created["clusterId"].as_str().unwrap());
    let client = api
        .post(&format!("{path}/clients"), json!({ "clientName": "a" }))
        .expect(200)
        .json();
    let backup = api
        .call("POST", &format!("{path}/backups"), None)
        .expect(200)
        .json();
    let monitoring = api
        .post(
            &format!("{path}/monitoring/clients"),
            json!({ "username": "u" }),
        )
        .expect(200)
        .json();
    json!([created, client, backup, monitoring])
}

fn deterministic() -> Api {
    Api::with(
        Sandbox::builder()
            .seed(7)
            .start_time(start_time())
            .frozen_clock(true)
            .healthy_after(Duration::from_secs(600)),
    )
}

/// Removes the port, which differs between sandboxes.
fn without_port(api: &Api, value: &Value) -> String {
    value.to_string().replace(&api.sandbox.base_url(), "BASE")
}

#[test]
fn seed_and_frozen_clock_make_responses_reproducible() {
    let mut first = deterministic();
    let second = deterministic();
    assert_eq!(first.sandbox.client_id(), second.sandbox.client_id());
    assert_eq!(
        first.sandbox.client_secret(),
        second.sandbox.client_secret()
    );
    let resources = create_resources(&first);
    assert_eq!(
        without_port(&first, &resources),
        without_port(&second, &create_resources(&second))
    );
    assert_eq!(resources[2]["created"], "2026-03-01T12:34:56.000Z");
    assert_eq!(
        first.get("/clusters").header("date"),
        Some("Sun, 01 Mar 2026 12:34:56 GMT")
    );

    first.sandbox.reset();
    first.renew_token();
    // Another number of token requests does not change the ids.
    first.renew_token();
    assert_eq!(create_resources(&first), resources);
    let other = Sandbox::builder().seed(8).start();
    assert_ne!(other.client_id(), first.sandbox.client_id());
}

#[test]
fn credentials_and_organization_are_configurable() {
    let api = Api::with(
        Sandbox::builder()
            .client_id("id")
            .client_secret("secret")
            .organization_id("org"),
    );
    assert_eq!(api.sandbox.client_id(), "id");
    request_token(&api.sandbox, AUDIENCE, "id", "secret").expect(200);
    let cluster = api.cluster();
    let cluster = api.get(&format!("/clusters/{cluster}")).expect(200).json();
    assert_eq!(cluster["ownerId"], "org");
}

#[test]
fn reset_keeping_credentials_keeps_tokens_valid() {
    let api = Api::new();
    let credentials = api.sandbox.add_credentials(&[Permission::ClusterGet]);
    let other = token(
        &api.sandbox,
        &credentials.client_id,
        &credentials.client_secret,
    );
    let secret = api.sandbox.rotate_secret();
    api.cluster();
    for via_http in [false, true] {
        if via_http {
            let body = br#"{"keep_credentials": true}"#;
            send(&api.sandbox, "POST", "/_sandbox/reset", &[], body).expect(204);
        } else {
            api.sandbox.reset_keeping_credentials();
        }
        assert_eq!(api.sandbox.requests().len(), 0);
        assert_eq!(api.sandbox.stats().requests, 0);
        assert_eq!(api.get("/clusters").expect(200).json(), json!([]));
        api.call_with(&other, "GET", "/clusters", None).expect(200);
        request_token(&api.sandbox, AUDIENCE, &api.sandbox.client_id(), &secret).expect(200);
        token(
            &api.sandbox,
            &credentials.client_id,
            &credentials.client_secret,
        );
    }
    send(
        &api.sandbox,
        "POST",
        "/_sandbox/reset",
        &[],
        br#"{"keep": 1}"#,
    )
    .rejected(400, "keep");
    api.get("/clusters").expect(200);
    send(&api.sandbox, "POST", "/_sandbox/reset", &[], b"").expect(204);
    api.get("/clusters").expect(401);
}

#[test]
fn clock_is_set_advanced_and_frozen() {
    let mut api = Api::new();
    let change = |body: Value| {
        let body = body.to_string();
        send(
            &api.sandbox,
            "POST",
            "/_sandbox/clock",
            &[],
            body.as_bytes(),
        )
    };
    let clock = change(json!({ "now": "2026-03-01T12:34:56Z", "frozen": true })).expect(200);
    let expected = |now: &str| json!({ "now": now, "frozen": true });
    // The clock ran between both changes.
    assert!(
        clock.json()["now"]
            .as_str()
            .unwrap()
            .starts_with("2026-03-01T12:34:56.")
    );
    change(json!({ "now": "2026-03-01T12:34:56Z" })).expect(200);
    let read = || {
        send(&api.sandbox, "GET", "/_sandbox/clock", &[], b"")
            .expect(200)
            .json()
    };
    assert_eq!(read(), expected("2026-03-01T12:34:56.000Z"));
    change(json!({ "advance_ms": 1_500 })).expect(200);
    assert_eq!(read(), expected("2026-03-01T12:34:57.500Z"));
    for (body, message) in [
        (json!({ "now": "tomorrow" }), "now"),
        (
            json!({ "now": "2026-03-02T00:00:00Z", "frozen": 1 }),
            "frozen",
        ),
        (json!({ "speed": 2 }), "speed"),
    ] {
        change(body).rejected(400, message);
    }
    assert_eq!(read(), expected("2026-03-01T12:34:57.500Z"));
    api.renew_token();
    api.get("/clusters").expect(200);
    api.sandbox
        .control(json!({ "clock": { "advance_ms": 86_400_000 } }))
        .unwrap();
    api.get("/clusters").expect(401);
}

#[test]
fn controls_are_applied_completely_or_not_at_all() {
    let api = Api::new();
    let uuid = api.cluster();
    let before = api.sandbox.state();
    for (changes, message) in [
        (
            json!({ "clusters": 2, "zzz": 1 }),
            "expected one of: cluster, clusters",
        ),
        (
            json!({ "clusters": 2, "limits": { "max_clients": -1 } }),
            "max_clients",
        ),
        (
            json!({ "cluster": {}, "status": { "cluster": "none" } }),
            "none",
        ),
        (
            json!({ "limits": { "max_clients": 1 }, "update_cluster": { "cluster": uuid, "uuid": "b" } }),
            "uuid",
        ),
        (json!({ "cluster": { "status": "Unhealthy" } }), "status"),
        (json!({ "cluster": { "ipallowlist": {} } }), "ipallowlist"),
        (
            json!({ "update_cluster": { "cluster": uuid, "name": "b", "status": 1 } }),
            "status",
        ),
        (
            json!({ "cluster": { "healthy_at_poll": 0 } }),
            "healthy_at_poll",
        ),
        (
            json!({ "settings": { "ban_ms": 1, "healthy_at_poll": 0 } }),
            "healthy_at_poll",
        ),
        (
            json!({ "settings": { "certificate_fault": "expired" } }),
            "--tls",
        ),
        (
            json!({ "backup": { "cluster": uuid, "fields": { "uuid": 1 } } }),
            "uuid",
        ),
    ] {
        let body = changes.to_string();
        send(
            &api.sandbox,
            "POST",
            "/_sandbox/control",
            &[],
            body.as_bytes(),
        )
        .expect_message(message);
        let mut after = api.sandbox.state();
        after["clock"] = before["clock"].clone();
        assert_eq!(after, before, "{changes}");
    }
    let made = api
        .sandbox
        .control(json!({ "backup": { "cluster": "new" }, "cluster": { "uuid": "new" } }))
        .unwrap();
    assert_eq!(made["uuid"], "new");
    let backups = api.get("/clusters/new/backups").expect(200).json();
    assert_eq!(backups[0]["uuid"], made["backup_uuid"]);
}

#[test]
fn cluster_control_omits_fields_that_are_null() {
    let api = Api::new();
    let uuid = api
        .sandbox
        .create_cluster(json!({ "status": null, "ipallowlist": null, "links": null }));
    let path = format!("/clusters/{uuid}");
    let cluster = api.get(&path).expect(200).json();
    for field in ["status", "ipallowlist", "links"] {
        assert!(cluster.get(field).is_none(), "{field}");
    }
    api.sandbox
        .update_cluster(&uuid, json!({ "status": { "ready": "Unhealthy" } }));
    assert_eq!(api.get(&path).json()["status"]["ready"], "Unhealthy");
}

#[test]
fn state_round_trips() {
    let api = deterministic();
    create_resources(&api);
    let uuid = api.cluster();
    let path = format!("/clusters/{uuid}");
    api.sandbox.make_upgrade_available(&uuid);
    api.call("PUT", &format!("{path}/upgrade"), None)
        .expect(200);
    let secret = |name: &str| json!({ "secretName": name, "secretValue": "v" });
    api.post(&format!("{path}/secrets"), secret("A"))
        .expect(204);
    api.post(&format!("{path}/secrets"), secret("B"))
        .expect(204);
    api.delete(&format!("{path}/secrets/B")).expect(204);
    api.put(
        &format!("{path}/backups/schedule"),
        json!({ "schedule": "0 2 * * *" }),
    )
    .expect(200);
    let connectivity = json!({ "allowedPrincipals": ["p"], "allowedRegions": ["r"] });
    api.post(&format!("{path}/secure-connectivity"), connectivity)
        .expect(204);
    api.call("POST", &format!("{path}/monitoring"), None)
        .expect(204);
    let polling = json!({ "healthy_at_poll": 3, "ipallowlist": null, "name": "polled" });
    let polling = api.sandbox.create_cluster(polling);
    let backup = api
        .sandbox
        .create_backup(&polling, json!({ "incidentLink": "x" }));
    api.call(
        "POST",
        &format!("/clusters/{polling}/backups/{backup}/restore"),
        None,
    )
    .expect(200);
    api.sandbox.set_upgrade_gate(&polling, "reason", "next");
    api.sandbox.set_secrets_busy(&polling, None);
    api.sandbox.set_other_organization(&polling, true);
    api.post("/members/ann@example.com", json!({ "orgRoles": ["admin"] }))
        .expect(204);
    api.sandbox.add_credentials(&[Permission::Members]);
    let state = api.sandbox.state();

    let other = deterministic();
    send(
        &other.sandbox,
        "PUT",
        "/_sandbox/state",
        &[],
        state.to_string().as_bytes(),
    )
    .expect(204);
    let restored = send(&other.sandbox, "GET", "/_sandbox/state", &[], b"").expect(200);
    assert_eq!(restored.json(), state);
    for path in ["/clusters", "/members", "/activity/json"] {
        assert_eq!(other.get(path).expect(200).json(), api.get(path).json());
    }
    // Life cycles go on.
    other.settle();
    let upgraded = other.get(&path).json();
    assert_eq!(upgraded["status"]["ready"], "Healthy");
    assert_ne!(
        upgraded["generation"],
        state["clusters"][1]["document"]["generation"]
    );
}

#[test]
fn state_of_an_earlier_server_is_continued_with_its_client_id() {
    let client_id = "continued";
    let first = Api::with(Sandbox::builder().client_id(client_id));
    let cluster = first.cluster();
    first.sandbox.rotate_secret();
    let state = first.sandbox.state();
    let next = Api::with(Sandbox::builder().client_id(client_id).state(state));
    next.get(&format!("/clusters/{cluster}")).expect(200);
    // A cluster that the control API creates belongs to the same organization.
    next.sandbox.create_cluster(json!({ "name": "added" }));
    let clusters = next.get("/clusters").expect(200).json();
    assert_eq!(clusters.as_array().unwrap().len(), 2, "{clusters}");
}

#[test]
fn ids_after_a_restart_with_the_same_seed_are_new() {
    let mut state = None;
    let mut seen = HashSet::new();
    for _ in 0..3 {
        let builder = Sandbox::builder().seed(7);
        let api = Api::with(match state.take() {
            None => builder,
            Some(state) => builder.state(state),
        });
        let created = create_resources(&api);
        let ids = [
            "/0/clusterId",
            "/1/uuid",
            "/1/clientId",
            "/2/uuid",
            "/3/uuid",
        ]
        .map(|pointer| created.pointer(pointer).unwrap().to_string());
        let credentials = api.sandbox.add_credentials(&[Permission::ClusterGet]);
        for id in ids.into_iter().chain([credentials.client_id]) {
            assert!(seen.insert(id.clone()), "{id} was generated twice");
        }
        state = Some(api.sandbox.state());
    }
}

#[test]
fn state_accepts_minimal_seed() {
    let seed = json!({
        "clusters": [{
            "name": "orders",
            "clients": [{ "name": "worker", "client_id": "i", "client_secret": "s" }],
            "secrets": { "API_KEY": "value" },
            "backups": [{ "name": "b" }],
            "backup_schedule": "0 2 * * *",
            "fields": { "description": "d" },
        }],
        "members": [{ "email": "ann@example.com", "roles": ["admin"] }],
        "credentials": [{ "client_id": "reader", "client_secret": "r", "permissions": ["cluster:get"] }],
    });
    let mut api = Api::with(Sandbox::builder().state(seed));
    for _ in 0..2 {
        let clusters = api.get("/clusters").expect(200).json();
        assert_eq!(clusters[0]["name"], "orders");
        assert_eq!(clusters[0]["description"], "d");
        assert_eq!(clusters[0]["status"]["ready"], "Healthy");
        let path = format!("/clusters/{}", clusters[0]["uuid"].as_str().unwrap());
        let clients = api.get(&format!("{path}/clients")).json();
        assert_eq!(clients[0]["clientId"], "i");
        assert_eq!(clients[0]["permissions"].as_array().unwrap().len(), 5);
        request_token(&api.sandbox, "zeebe.camunda.io", "i", "s").expect(200);
        let secrets = api.get(&format!("{path}/secrets")).json();
        assert_eq!(secrets, json!({ "API_KEY": "value" }));
        let backups = api.get(&format!("{path}/backups")).json();
        assert_eq!(backups[0]["status"], "Complete");
        let schedule = api.get(&format!("{path}/backups/schedule")).json();
        assert_eq!(schedule["schedule"], "0 2 * * *");
        let members = api.get("/members").json();
        assert_eq!(members[0]["email"], "ann@example.com");
        let reader = token(&api.sandbox, "reader", "r");
        api.call_with(&reader, "GET", "/clusters", None).expect(200);
        api.call_with(&reader, "GET", "/members", None).expect(403);
        // A reset restores the seed.
        api.delete(&path).expect(204);
        api.sandbox.reset();
        api.renew_token();
    }
}

#[test]
fn state_is_replaced_completely_or_not_at_all() {
    let api = Api::new();
    api.cluster();
    let before = api.get("/clusters").json();
    for (state, message) in [
        (json!({ "clusters": [], "members": 1 }), "members"),
        (
            json!({ "clusters": [{ "name": 7 }] }),
            "clusters[0]: field \\\"name\\\"",
        ),
        (
            json!({ "clusters": [{ "name": "a" }, { "client": [] }] }),
            "clusters[1]",
        ),
        (
            json!({ "clusters": [{ "clients": [{ "name": "a", "permissions": ["All"] }] }] }),
            "All",
        ),
        (
            json!({ "clusters": [{ "backup_schedule": "daily" }] }),
            "backup_schedule",
        ),
        (
            json!({ "clusters": [{ "uuid": "a" }, { "uuid": "a" }] }),
            "already exists",
        ),
        (
            json!({ "clusters": [
                { "clients": [{ "name": "a", "client_id": "c" }] },
                { "clients": [{ "name": "b", "client_id": "c" }] },
            ] }),
            "clusters[1]: client c is listed twice",
        ),
        (
            json!({ "members": [{ "email": "a@b.example" }, { "email": "a@b.example" }] }),
            "member a@b.example is listed twice",
        ),
        (
            json!({ "credentials": [{ "client_id": "c" }, { "client_id": "c" }] }),
            "credentials c are listed twice",
        ),
        (json!({ "clusters": [{ "secrets": { "A": 1 } }] }), "secret"),
        (
            json!({ "clusters": [{ "deleted_at": "now" }] }),
            "deleted_at",
        ),
        (json!({ "clusters": [], "tokens": [] }), "tokens"),
        (json!([]), "object"),
    ] {
        let body = state.to_string();
        send(&api.sandbox, "PUT", "/_sandbox/state", &[], body.as_bytes()).rejected(400, message);
        assert!(api.sandbox.set_state(state).is_err());
        assert_eq!(api.get("/clusters").json(), before);
    }
    let error = Sandbox::builder()
        .state(json!({ "tokens": [] }))
        .try_start();
    assert!(error.unwrap_err().to_string().contains("tokens"));
}

#[test]
fn organizations_have_separate_clusters_members_and_activity() {
    let api = Api::new();
    let made = api
        .sandbox
        .control(json!({ "credentials": {
            "permissions": ["cluster:get", "cluster:create", "members", "audit_log"],
            "organization": "org-2",
        } }))
        .unwrap();
    let other = token(
        &api.sandbox,
        made["client_id"].as_str().unwrap(),
        made["client_secret"].as_str().unwrap(),
    );
    let call =
        |method: &str, path: &str, body: Option<&Value>| api.call_with(&other, method, path, body);
    let moved = api.cluster();
    let own = api.cluster();
    api.sandbox
        .control(json!({ "other_organization": { "cluster": moved, "value": "org-2" } }))
        .unwrap();
    let created = call("POST", "/clusters", Some(&api.new_cluster()))
        .expect(200)
        .json();
    call(
        "POST",
        "/members/bob@example.com",
        Some(&json!({ "orgRoles": [] })),
    )
    .expect(204);

    let uuids = |clusters: Value| -> Vec<String> {
        let clusters = clusters.as_array().unwrap().clone().into_iter();
        clusters
            .map(|it| it["uuid"].as_str().unwrap().to_owned())
            .collect()
    };
    let created = created["clusterId"].as_str().unwrap().to_owned();
    assert_eq!(
        uuids(api.get("/clusters").json()),
        std::slice::from_ref(&own)
    );
    assert_eq!(
        uuids(call("GET", "/clusters", None).json()),
        [moved, created]
    );
    call("GET", &format!("/clusters/{own}"), None).expect(404);
    assert_eq!(api.get("/members").json().as_array().unwrap().len(), 1);
    let members = call("GET", "/members", None).json();
    assert_eq!(members[0]["email"], "bob@example.com");
    assert_eq!(api.get("/activity/json").json(), json!([]));
    let events = call("GET", "/activity/json", None).json();
    assert_eq!(events.as_array().unwrap().len(), 2);
    assert_eq!(events[0]["orgId"], "org-2");
}

#[test]
fn settings_change_at_run_time() {
    let mut api = Api::new();
    let set = |api: &Api, settings: Value| api.sandbox.control(json!({ "settings": settings }));
    set(&api, json!({ "token_lifetime_s": 10 })).unwrap();
    api.renew_token();
    api.sandbox.advance(Duration::from_secs(11));
    api.get("/clusters").expect(401);
    set(
        &api,
        json!({ "token_lifetime_s": 3600, "token_rate_limit": true }),
    )
    .unwrap();
    let request = || {
        let (id, secret) = (api.sandbox.client_id(), api.sandbox.client_secret());
        request_token(&api.sandbox, AUDIENCE, &id, &secret).status
    };
    assert_eq!((request(), request()), (200, 429));
    set(&api, json!({ "token_rate_limit": false })).unwrap();
    api.renew_token();

    set(&api, json!({ "healthy_at_poll": 3 })).unwrap();
    let ready = |path: &str| api.get(path).expect(200).json()["status"]["ready"].clone();
    let create = || {
        let created = api.post("/clusters", api.new_cluster()).expect(200).json();
        format!("/clusters/{}", created["clusterId"].as_str().unwrap())
    };
    let path = create();
    api.sandbox.advance(Duration::from_secs(1_000));
    let states: Vec<Value> = (0..4).map(|_| ready(&path)).collect();
    assert_eq!(states, ["Creating", "Creating", "Healthy", "Healthy"]);
    api.sandbox
        .make_upgrade_available(path.strip_prefix("/clusters/").unwrap());
    let old = api.get(&path).json()["generation"].clone();
    api.call("PUT", &format!("{path}/upgrade"), None)
        .expect(200);
    assert_eq!(
        (ready(&path), ready(&path)),
        (json!("Updating"), json!("Updating"))
    );
    assert_eq!(ready(&path), "Healthy");
    assert_ne!(api.get(&path).json()["generation"], old);

    set(
        &api,
        json!({ "healthy_at_poll": null, "creation_result": "Unhealthy" }),
    )
    .unwrap();
    let path = create();
    assert_eq!(ready(&path), "Creating");
    api.sandbox.advance(Duration::from_secs(601));
    assert_eq!(ready(&path), "Unhealthy");
    let settings = api.sandbox.state()["settings"].clone();
    assert_eq!(settings["creation_result"], "Unhealthy");
    api.sandbox.reset();
    assert_eq!(
        api.sandbox.state()["settings"]["creation_result"],
        "Healthy"
    );
    let polled = api.sandbox.create_cluster(json!({ "healthy_at_poll": 2 }));
    api.renew_token();
    let path = format!("/clusters/{polled}");
    let ready = |path: &str| api.get(path).expect(200).json()["status"]["ready"].clone();
    assert_eq!(
        (ready(&path), ready(&path)),
        (json!("Creating"), json!("Healthy"))
    );
}

#[test]
fn state_of_many_clusters_can_be_replaced() {
    let api = Api::new();
    api.sandbox
        .control(json!({ "clusters": 5000 }))
        .expect("5000 is a valid number of clusters");
    let state = send(&api.sandbox, "GET", "/_sandbox/state", &[], b"").expect(200);
    let body = state.text();
    assert!(body.len() > 5_000_000, "{}", body.len());
    send(&api.sandbox, "PUT", "/_sandbox/state", &[], body.as_bytes()).expect(204);
}
