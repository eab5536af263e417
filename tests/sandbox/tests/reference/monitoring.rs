//! Monitoring and its clients.

use serde_json::json;

use crate::api::{Api, names};

#[test]
fn monitoring_is_activated_and_deactivated() {
    let api = Api::new();
    let path = format!("/clusters/{}/monitoring", api.cluster());
    let clients = format!("{path}/clients");
    assert_eq!(
        api.get(&clients).expect(200).json(),
        json!({ "clients": [], "status": {} })
    );
    api.delete(&path).rejected(409, "not active");
    api.call("POST", &path, None).expect(204);
    api.call("POST", &path, None)
        .rejected(409, "active already");
    let status = &api.get(&clients).json()["status"];
    assert_eq!(
        names(&status["metricsEndpoint"]),
        ["path", "scheme", "target"]
    );
    api.delete(&path).expect(204);
    assert_eq!(api.get(&clients).json()["status"], json!({}));
}

#[test]
fn monitoring_password_is_returned_on_creation_and_rotation() {
    let api = Api::new();
    let clients = format!("/clusters/{}/monitoring/clients", api.cluster());
    let created = api
        .post(&clients, json!({ "username": "prometheus" }))
        .expect(200)
        .json();
    let shown = [
        "created",
        "createdBy",
        "createdByName",
        "lastUsed",
        "name",
        "username",
        "uuid",
    ];
    let listed = &api.get(&clients).expect(200).json()["clients"][0];
    assert_eq!(names(listed), shown);
    assert_eq!(names(&created).len(), shown.len() + 1);
    assert_eq!(created["username"], "prometheus");
    assert_eq!(created["createdBy"], api.sandbox.client_id());

    let client = format!("{clients}/{}", created["uuid"].as_str().unwrap());
    let rotated = api
        .call("POST", &format!("{client}/rotate"), None)
        .expect(200)
        .json();
    assert_ne!(rotated["password"], created["password"]);
    assert_eq!(rotated["uuid"], created["uuid"]);
    api.delete(&client).expect(204);
    api.delete(&client).rejected(404, "client");
    api.call("POST", &format!("{client}/rotate"), None)
        .rejected(404, "client");
    api.post(&clients, json!({ "username": "" }))
        .rejected(400, "username");
}
