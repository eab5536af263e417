//! Connector secrets.

use std::time::Duration;

use camunda_admin_sandbox::Limits;
use serde_json::json;

use crate::api::Api;

#[test]
fn secrets_are_listed_with_values() {
    let api = Api::new();
    let secrets = format!("/clusters/{}/secrets", api.cluster());
    let create = |name: &str| api.post(&secrets, json!({ "secretName": name, "secretValue": "v" }));
    assert_eq!(api.get(&secrets).expect(200).json(), json!({}));
    create("A").expect(204);
    create("A").rejected(409, "exists");
    create(&"n".repeat(49)).expect(204);
    create(&"n".repeat(50)).rejected(400, "49 characters");
    create("").rejected(400, "secretName");
    api.put(&format!("{secrets}/A"), json!({ "secretValue": "w" }))
        .expect(204);
    assert_eq!(api.get(&secrets).json()["A"], "w");

    api.sandbox.set_limits(Limits {
        max_secrets: Some(3),
        ..Limits::default()
    });
    create("B").expect(204);
    create("C").rejected(403, "maximum number of secrets");
}

#[test]
fn deleted_secret_is_listed_until_delay() {
    let api = Api::new();
    let secrets = format!("/clusters/{}/secrets", api.cluster());
    let body = json!({ "secretName": "A", "secretValue": "v" });
    api.post(&secrets, body.clone()).expect(204);
    api.delete(&format!("{secrets}/A")).expect(204);
    api.delete(&format!("{secrets}/A")).expect(404);
    api.sandbox.advance(Duration::from_millis(200));
    assert_eq!(api.get(&secrets).json(), json!({}));

    api.post(&secrets, body.clone()).expect(204);
    api.delete(&format!("{secrets}/A")).expect(204);
    api.post(&secrets, body).expect(204);
    api.sandbox.advance(Duration::from_millis(200));
    assert_eq!(api.get(&secrets).json(), json!({ "A": "v" }));
}

#[test]
fn secret_changes_conflict_while_busy() {
    let api = Api::new();
    let cluster = api.cluster();
    let secrets = format!("/clusters/{cluster}/secrets");
    let create = |name: &str| api.post(&secrets, json!({ "secretName": name, "secretValue": "v" }));
    create("A").expect(204);
    api.sandbox.set_secrets_busy(&cluster, Some(3));
    create("B").rejected(409, "in progress");
    api.put(&format!("{secrets}/A"), json!({ "secretValue": "w" }))
        .rejected(409, "in progress");
    api.delete(&format!("{secrets}/A"))
        .rejected(409, "in progress");
    create("B").expect(204);
    api.sandbox.set_secrets_busy(&cluster, None);
    create("C").rejected(409, "in progress");
    create("C").rejected(409, "in progress");
    api.get(&secrets).expect(200);
}
