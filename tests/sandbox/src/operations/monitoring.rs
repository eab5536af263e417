//! External monitoring: a cluster's metrics endpoint and who may read it.

use serde_json::{Value, json};

use super::{Call, Change, array, not_empty, not_found};
use crate::answer::Answer;
use crate::clock::iso8601;
use crate::cluster::MonitoringClient;

pub(super) fn activate(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let now = call.now;
    let cluster = call.own_cluster()?;
    if cluster.monitoring_since.is_some() {
        return Err(Answer::message(409, "monitoring is active already"));
    }
    cluster.monitoring_since = Some(now);
    let uuid = cluster.uuid.clone();
    call.record(Change::Created, "monitoring", &uuid, "activated monitoring");
    Ok(Answer::no_content())
}

/// The clients stay, for when monitoring is activated again.
pub(super) fn deactivate(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let cluster = call.own_cluster()?;
    if cluster.monitoring_since.take().is_none() {
        return Err(Answer::message(409, "monitoring is not active"));
    }
    let uuid = cluster.uuid.clone();
    call.record(
        Change::Deleted,
        "monitoring",
        &uuid,
        "deactivated monitoring",
    );
    Ok(Answer::no_content())
}

pub(super) fn get(call: &mut Call<'_>) -> Result<Answer, Answer> {
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
            .map(MonitoringClient::answer),
    );
    Ok(Answer::ok(&json!({ "clients": clients, "status": status })))
}

pub(super) fn create_client(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let mut fields = call.fields()?;
    let username = not_empty("username", fields.text("username")?)?;
    fields.finish()?;
    let uuid = call.state.random.uuid();
    let password = call.state.random.characters(32);
    let client = MonitoringClient {
        uuid: uuid.clone(),
        username,
        created: call.now,
        last_used: call.now,
        created_by: call.caller.clone(),
    };
    let answer = with_password(&client, password);
    call.cluster()?.monitoring_clients.push(client);
    call.record(
        Change::Created,
        "monitoring client",
        &uuid,
        "created monitoring client",
    );
    Ok(Answer::ok(&answer))
}

pub(super) fn delete_client(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let uuid = call.parameter("clientUuid");
    let index = client_index(call, uuid)?;
    call.own_cluster()?.monitoring_clients.remove(index);
    call.record(
        Change::Deleted,
        "monitoring client",
        uuid,
        "deleted monitoring client",
    );
    Ok(Answer::no_content())
}

pub(super) fn rotate_password(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let uuid = call.parameter("clientUuid");
    let index = client_index(call, uuid)?;
    let password = call.state.random.characters(32);
    let answer = with_password(&call.own_cluster()?.monitoring_clients[index], password);
    call.record(
        Change::Updated,
        "monitoring client",
        uuid,
        "rotated monitoring password",
    );
    Ok(Answer::ok(&answer))
}

fn client_index(call: &mut Call<'_>, uuid: &str) -> Result<usize, Answer> {
    call.own_cluster()?
        .monitoring_clients
        .iter()
        .position(|client| client.uuid == uuid)
        .ok_or_else(|| not_found("monitoring client", uuid))
}

fn with_password(client: &MonitoringClient, password: String) -> Value {
    let mut answer = client.answer();
    answer["password"] = password.into();
    answer
}

impl MonitoringClient {
    fn answer(&self) -> Value {
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
