//! Cluster clients: credentials for cluster components.

use serde_json::json;

use super::{Call, Change, Operation, array, not_empty, not_found};
use crate::cluster::ClusterClient;
use crate::permissions::Permission;
use crate::response::Response;

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("GET", "/clusters/{clusterUuid}/clients", "list clients", Some(Permission::ClientGet), "", "[ClusterClient]", "403 404", list),
    Operation::new("POST", "/clusters/{clusterUuid}/clients", "create client", Some(Permission::ClientCreate), "CreateClusterClient", "CreatedClusterClient", "400 403 404", create).non_idempotent(),
    Operation::new("GET", "/clusters/{clusterUuid}/clients/{clientId}", "get client", Some(Permission::ClientGet), "", "ClusterClientConnectionDetails", "403 404 412", get),
    Operation::new("DELETE", "/clusters/{clusterUuid}/clients/{clientId}", "delete client", Some(Permission::ClientDelete), "", "", "403 404", delete),
];

/// Permissions that a client can have.
pub(crate) const PERMISSIONS: [&str; 5] = ["Zeebe", "Operate", "Tasklist", "Optimize", "Secrets"];

fn list(call: &mut Call<'_>) -> Result<Response, Response> {
    Ok(Response::ok(&array(
        call.own_cluster()?.clients.iter().map(|client| {
            json!({
                "name": client.name,
                "clientId": client.client_id,
                "permissions": client.permissions,
            })
        }),
    )))
}

fn create(call: &mut Call<'_>) -> Result<Response, Response> {
    let mut fields = call.fields()?;
    let name = not_empty("clientName", fields.string("clientName")?)?;
    let permissions = fields
        .optional_enum_values("permissions", &PERMISSIONS)?
        .filter(|permissions| !permissions.is_empty())
        .unwrap_or_else(|| PERMISSIONS.map(str::to_owned).to_vec());
    fields.finish()?;

    let uuid = call.state.random.uuid();
    let client_id = call.state.random.characters(32);
    let client_secret = call.state.random.characters(64);
    let max_clients = call.state.limits.max_clients;
    let cluster = call.own_cluster()?;
    if cluster.clients.iter().any(|client| client.name == name) {
        return Err(Response::message(400, "client names must be unique"));
    }
    if max_clients.is_some_and(|max| cluster.clients.len() as u64 >= max) {
        return Err(Response::message(403, "maximum number of clients reached"));
    }
    let mut links = cluster.links();
    if let Some(links) = links.as_object_mut() {
        links.remove("identity");
    }
    let response = json!({
        "name": name,
        "uuid": uuid,
        "clientId": client_id,
        "clientSecret": client_secret,
        "permissions": permissions,
        "audience": "zeebe.camunda.io",
        "links": links,
    });
    let audit = format!("created client {name}");
    let cluster_uuid = cluster.uuid.clone();
    let index_entry = (client_id.clone(), cluster_uuid);
    cluster.clients.push(ClusterClient {
        name,
        client_id,
        client_secret,
        permissions,
    });
    call.state.client_clusters.extend([index_entry]);
    call.record(Change::Created, "client", &uuid, &audit);
    Ok(Response::ok(&response))
}

fn get(call: &mut Call<'_>) -> Result<Response, Response> {
    let now = call.now;
    let client_id = call.parameter("clientId");
    let oauth_url = call.state.setup.oauth_url();
    let cluster = call.own_cluster()?;
    let client = cluster
        .clients
        .iter()
        .find(|client| client.client_id == client_id)
        .ok_or_else(|| not_found("client", client_id))?;
    if cluster.ready(now) != "Healthy" {
        return Err(Response::message(
            412,
            "the cluster is not ready, try later",
        ));
    }
    Ok(Response::ok(&json!({
        "name": client.name,
        "ZEEBE_ADDRESS": cluster.links()["zeebe"],
        "ZEEBE_CLIENT_ID": client.client_id,
        "ZEEBE_AUTHORIZATION_SERVER_URL": oauth_url,
    })))
}

fn delete(call: &mut Call<'_>) -> Result<Response, Response> {
    let client_id = call.parameter("clientId");
    let clients = &mut call.own_cluster()?.clients;
    let index = clients
        .iter()
        .position(|client| client.client_id == client_id)
        .ok_or_else(|| not_found("client", client_id))?;
    let client = clients.remove(index);
    call.record(
        Change::Deleted,
        "client",
        client_id,
        &format!("deleted client {}", client.name),
    );
    Ok(Response::no_content())
}
