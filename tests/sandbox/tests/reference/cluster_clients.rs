//! Clients of a cluster: their secrets, permissions and tokens.

use camunda_admin_sandbox::Limits;
use serde_json::json;

use crate::api::{Api, names, request_token};

#[test]
fn client_secret_is_returned_once() {
    let api = Api::new();
    let cluster = api.cluster();
    let clients = format!("/clusters/{cluster}/clients");
    let body = json!({ "clientName": "worker", "permissions": ["Zeebe", "Operate"] });
    let created = api.post(&clients, body).expect(200).json();
    assert_eq!(
        names(&created),
        [
            "audience",
            "clientId",
            "clientSecret",
            "links",
            "name",
            "permissions",
            "uuid"
        ]
    );
    assert_eq!(created["permissions"], json!(["Zeebe", "Operate"]));
    assert_eq!(
        names(&created["links"]),
        [
            "connectors",
            "console",
            "oauth",
            "operate",
            "optimize",
            "tasklist",
            "zeebe"
        ]
    );

    let list = api.get(&clients).expect(200).json();
    let expected = json!([{
        "name": "worker",
        "clientId": created["clientId"],
        "permissions": ["Zeebe", "Operate"],
    }]);
    assert_eq!(list, expected);

    let client = format!("{clients}/{}", created["clientId"].as_str().unwrap());
    let details = api.get(&client).expect(200).json();
    let expected = json!({
        "name": "worker",
        "ZEEBE_ADDRESS": created["links"]["zeebe"],
        "ZEEBE_CLIENT_ID": created["clientId"],
        "ZEEBE_AUTHORIZATION_SERVER_URL": api.sandbox.oauth_url(),
    });
    assert_eq!(details, expected);
    api.delete(&client).expect(204);
    api.get(&client).rejected(404, "client");
    api.delete(&client).rejected(404, "client");
    assert_eq!(api.get(&clients).json(), json!([]));
}

#[test]
fn client_without_permissions_gets_all() {
    let api = Api::new();
    let clients = format!("/clusters/{}/clients", api.cluster());
    let all = json!(["Zeebe", "Operate", "Tasklist", "Optimize", "Secrets"]);
    let created = api
        .post(&clients, json!({ "clientName": "a" }))
        .expect(200)
        .json();
    assert_eq!(created["permissions"], all);
    let body = json!({ "clientName": "b", "permissions": [] });
    assert_eq!(
        api.post(&clients, body).expect(200).json()["permissions"],
        all
    );
}

#[test]
fn client_creation_is_rejected_as_documented() {
    let api = Api::new();
    let clients = format!("/clusters/{}/clients", api.cluster());
    let create = |name: &str| api.post(&clients, json!({ "clientName": name }));
    create("a").expect(200);
    create("a").rejected(400, "unique");
    create("").rejected(400, "clientName");
    let body = json!({ "clientName": "b", "permissions": ["Everything"] });
    api.post(&clients, body).rejected(400, "Everything");
    api.sandbox.set_limits(Limits {
        max_clients: Some(2),
        ..Limits::default()
    });
    create("b").expect(200);
    create("c").rejected(403, "maximum number of clients");
}

#[test]
fn client_details_require_healthy_cluster() {
    let api = Api::new();
    let cluster = api.cluster();
    let clients = format!("/clusters/{cluster}/clients");
    let created = api
        .post(&clients, json!({ "clientName": "a" }))
        .expect(200)
        .json();
    let client = format!("{clients}/{}", created["clientId"].as_str().unwrap());
    api.sandbox
        .set_status(&cluster, json!({ "ready": "Creating" }));
    api.get(&client).rejected(412, "not ready");
    api.sandbox
        .set_status(&cluster, json!({ "ready": "Healthy" }));
    api.get(&client).expect(200);
}

#[test]
fn client_gets_tokens_for_permitted_components() {
    let api = Api::new();
    let cluster = api.cluster();
    let clients = format!("/clusters/{cluster}/clients");
    let body = json!({ "clientName": "worker", "permissions": ["Zeebe"] });
    let created = api.post(&clients, body).expect(200).json();
    let token = |audience: &str| {
        let id = created["clientId"].as_str().unwrap();
        let secret = created["clientSecret"].as_str().unwrap();
        request_token(&api.sandbox, audience, id, secret).status
    };
    assert_eq!(token("zeebe.camunda.io"), 200);
    api.sandbox
        .set_status(&cluster, json!({ "ready": "Suspended" }));
    assert_eq!(token("operate.camunda.io"), 401);
}
