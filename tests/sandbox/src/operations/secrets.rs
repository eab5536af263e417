//! Connector secrets.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Call, Change, Operation, not_empty, not_found};
use crate::cluster::{Cluster, Secret};
use crate::permissions::Permission;
use crate::response::Response;

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("GET", "/clusters/{clusterUuid}/secrets", "list secrets", Some(Permission::ConnectorSecrets), "", "{string}", "403 404", list),
    Operation::new("POST", "/clusters/{clusterUuid}/secrets", "create secret", Some(Permission::ConnectorSecrets), "CreateSecret", "", "400 403 404 409", create).non_idempotent(),
    Operation::new("PUT", "/clusters/{clusterUuid}/secrets/{secretName}", "update secret", Some(Permission::ConnectorSecrets), "UpdateSecret", "", "403 404 409", update),
    Operation::new("DELETE", "/clusters/{clusterUuid}/secrets/{secretName}", "delete secret", Some(Permission::ConnectorSecrets), "", "", "403 409", delete),
];

/// Exclusive maximum length of a name, in characters.
const NAME_LIMIT: usize = 50;

/// Time for which a deleted secret is still listed.
const LISTED_AFTER_DELETION: Duration = Duration::from_millis(200);

fn list(call: &mut Call<'_>) -> Result<Response, Response> {
    let secrets: Map<String, Value> = call
        .own_cluster()?
        .secrets
        .iter()
        .map(|(name, secret)| (name.clone(), secret.value.as_str().into()))
        .collect();
    Ok(Response::ok(&secrets.into()))
}

fn create(call: &mut Call<'_>) -> Result<Response, Response> {
    let mut fields = call.fields()?;
    let name = not_empty("secretName", fields.string("secretName")?)?;
    let value = fields.string("secretValue")?;
    fields.finish()?;
    if name.chars().count() >= NAME_LIMIT {
        return Err(Response::message(
            400,
            "the name of a secret has at most 49 characters",
        ));
    }
    let max_secrets = call.state.limits.max_secrets;
    let cluster = call.own_cluster()?;
    reject_while_busy(cluster)?;
    if is_present(cluster, &name) {
        return Err(Response::message(
            409,
            format!("secret {name} exists already"),
        ));
    }
    let present = cluster
        .secrets
        .values()
        .filter(|secret| secret.listed_until.is_none())
        .count();
    if max_secrets.is_some_and(|max| present as u64 >= max) {
        return Err(Response::message(403, "maximum number of secrets reached"));
    }
    cluster.secrets.insert(
        name.clone(),
        Secret {
            value,
            listed_until: None,
        },
    );
    call.record(Change::Created, "secret", &name, "created secret");
    Ok(Response::no_content())
}

fn update(call: &mut Call<'_>) -> Result<Response, Response> {
    let mut fields = call.fields()?;
    let value = fields.string("secretValue")?;
    fields.finish()?;
    let name = call.parameter("secretName");
    let cluster = call.own_cluster()?;
    reject_while_busy(cluster)?;
    if !is_present(cluster, name) {
        return Err(not_found("secret", name));
    }
    cluster.secrets.insert(
        name.into(),
        Secret {
            value,
            listed_until: None,
        },
    );
    call.record(Change::Updated, "secret", name, "updated secret");
    Ok(Response::no_content())
}

fn delete(call: &mut Call<'_>) -> Result<Response, Response> {
    let name = call.parameter("secretName");
    let listed_until = call.now + LISTED_AFTER_DELETION;
    let cluster = call.own_cluster()?;
    reject_while_busy(cluster)?;
    match cluster.secrets.get_mut(name) {
        Some(secret) if secret.listed_until.is_none() => secret.listed_until = Some(listed_until),
        _ => return Err(not_found("secret", name)),
    }
    call.record(Change::Deleted, "secret", name, "deleted secret");
    Ok(Response::no_content())
}

/// Returns whether the secret exists and is not deleted.
fn is_present(cluster: &Cluster, name: &str) -> bool {
    cluster
        .secrets
        .get(name)
        .is_some_and(|secret| secret.listed_until.is_none())
}

fn reject_while_busy(cluster: &mut Cluster) -> Result<(), Response> {
    if cluster.secrets_busy.reject() {
        let message = "another change to the secrets is in progress, try again";
        return Err(Response::message(409, message));
    }
    Ok(())
}
