//! External monitoring: metrics endpoint and its clients.

use serde_json::{Value, json};

use super::{Call, Change, Operation, array, not_empty, not_found};
use crate::clock::iso8601;
use crate::cluster::MonitoringClient;
use crate::permissions::Permission;
use crate::response::Response;

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("POST", "/clusters/{clusterUuid}/monitoring", "activate monitoring", Some(Permission::Monitoring), "", "", "403 404 409", activate).non_idempotent(),
    Operation::new("DELETE", "/clusters/{clusterUuid}/monitoring", "deactivate monitoring", Some(Permission::Monitoring), "", "", "403 404 409", deactivate),
    Operation::new("GET", "/clusters/{clusterUuid}/monitoring/clients", "list monitoring clients", Some(Permission::Monitoring), "", "Monitoring", "403 404", get),
    Operation::new("POST", "/clusters/{clusterUuid}/monitoring/clients", "create monitoring client", Some(Permission::Monitoring), "CreateMonitoringClient", "CreatedMonitoringClient", "404", create_client).non_idempotent(),
    Operation::new("DELETE", "/clusters/{clusterUuid}/monitoring/clients/{clientUuid}", "delete monitoring client", Some(Permission::Monitoring), "", "", "403 404", delete_client),
    Operation::new("POST", "/clusters/{clusterUuid}/monitoring/clients/{clientUuid}/rotate", "rotate monitoring client password", Some(Permission::Monitoring), "", "CreatedMonitoringClient", "403 404", rotate_password).non_idempotent(),
];

fn activate(call: &mut Call<'_>) -> Result<Response, Response> {
    let now = call.now;
    let cluster = call.own_cluster()?;
    if cluster.monitoring_since.is_some() {
        return Err(Response::message(409, "monitoring is active already"));
    }
    cluster.monitoring_since = Some(now);
    let uuid = cluster.uuid.clone();
    call.record(Change::Created, "monitoring", &uuid, "activated monitoring");
    Ok(Response::no_content())
}

/// The clients are kept and work again after reactivation.
fn deactivate(call: &mut Call<'_>) -> Result<Response, Response> {
    let cluster = call.own_cluster()?;
    if cluster.monitoring_since.take().is_none() {
        return Err(Response::message(409, "monitoring is not active"));
    }
    let uuid = cluster.uuid.clone();
    call.record(
        Change::Deleted,
        "monitoring",
        &uuid,
        "deactivated monitoring",
    );
    Ok(Response::no_content())
}

fn get(call: &mut Call<'_>) -> Result<Response, Response> {
    let cluster = call.own_cluster()?;
    let status = match cluster.monitoring_since {
        None => json!({}),
        Some(since) => json!({
            "metricsEndpoint": {
                "scheme": "https",
                "target": "bru-2.monitoring.camunda.io",
                "path": format!("/{}/metrics", cluster.uuid),
            },
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "EndpointReady",
                "message": "",
                "lastTransitionTime": iso8601(since),
            }],
        }),
    };
    let clients = array(
        cluster
            .monitoring_clients
            .iter()
            .map(MonitoringClient::to_json),
    );
    Ok(Response::ok(
        &json!({ "clients": clients, "status": status }),
    ))
}

fn create_client(call: &mut Call<'_>) -> Result<Response, Response> {
    let mut fields = call.fields()?;
    let username = not_empty("username", fields.string("username")?)?;
    fields.finish()?;
    let uuid = call.state.random.uuid();
    let password = call.state.random.characters(32);
    let client = MonitoringClient {
        uuid: uuid.clone(),
        username,
        created: call.now,
        last_used: call.now,
        created_by: call.request.caller.as_deref().unwrap_or_default().into(),
    };
    let response = with_password(&client, password);
    call.cluster()?.monitoring_clients.push(client);
    call.record(
        Change::Created,
        "monitoring client",
        &uuid,
        "created monitoring client",
    );
    Ok(Response::ok(&response))
}

fn delete_client(call: &mut Call<'_>) -> Result<Response, Response> {
    let uuid = call.parameter("clientUuid");
    let index = client_index(call, uuid)?;
    call.own_cluster()?.monitoring_clients.remove(index);
    call.record(
        Change::Deleted,
        "monitoring client",
        uuid,
        "deleted monitoring client",
    );
    Ok(Response::no_content())
}

fn rotate_password(call: &mut Call<'_>) -> Result<Response, Response> {
    let uuid = call.parameter("clientUuid");
    let index = client_index(call, uuid)?;
    let password = call.state.random.characters(32);
    let response = with_password(&call.own_cluster()?.monitoring_clients[index], password);
    call.record(
        Change::Updated,
        "monitoring client",
        uuid,
        "rotated monitoring password",
    );
    Ok(Response::ok(&response))
}

fn client_index(call: &mut Call<'_>, uuid: &str) -> Result<usize, Response> {
    call.own_cluster()?
        .monitoring_clients
        .iter()
        .position(|client| client.uuid == uuid)
        .ok_or_else(|| not_found("monitoring client", uuid))
}

fn with_password(client: &MonitoringClient, password: String) -> Value {
    let mut response = client.to_json();
    response["password"] = password.into();
    response
}

impl MonitoringClient {
    fn to_json(&self) -> Value {
        json!({
            "uuid": self.uuid,
            "name": self.username,
            "username": self.username,
            "created": iso8601(self.created),
            "lastUsed": iso8601(self.last_used),
            "createdBy": self.created_by,
            "createdByName": "API client",
        })
    }
}
