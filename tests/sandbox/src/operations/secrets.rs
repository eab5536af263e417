//! Connector secrets.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Call, Change, not_empty, not_found};
use crate::answer::Answer;
use crate::cluster::{Cluster, Secret};

/// Names are shorter than this, in characters.
const NAME_LIMIT: usize = 50;

/// How long a deleted secret is still listed.
const LISTED_AFTER_DELETION: Duration = Duration::from_millis(200);

pub(super) fn list(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let secrets: Map<String, Value> = call
        .own_cluster()?
        .secrets
        .iter()
        .map(|(name, secret)| (name.clone(), secret.value.as_str().into()))
        .collect();
    Ok(Answer::ok(&secrets.into()))
}

pub(super) fn create(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let mut fields = call.fields()?;
    let name = not_empty("secretName", fields.text("secretName")?)?;
    let value = fields.text("secretValue")?;
    fields.finish()?;
    if name.chars().count() >= NAME_LIMIT {
        return Err(Answer::message(
            400,
            "the name of a secret has at most 49 characters",
        ));
    }
    let max_secrets = call.state.limits.max_secrets;
    let cluster = call.own_cluster()?;
    refuse_while_busy(cluster)?;
    if is_present(cluster, &name) {
        return Err(Answer::message(
            409,
            format!("secret {name} exists already"),
        ));
    }
    let present = cluster
        .secrets
        .values()
        .filter(|secret| secret.listed_until.is_none())
        .count();
    if max_secrets.is_some_and(|most| present as u64 >= most) {
        return Err(Answer::message(403, "maximum number of secrets reached"));
    }
    cluster.secrets.insert(
        name.clone(),
        Secret {
            value,
            listed_until: None,
        },
    );
    call.record(Change::Created, "secret", &name, "created secret");
    Ok(Answer::no_content())
}

pub(super) fn update(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let mut fields = call.fields()?;
    let value = fields.text("secretValue")?;
    fields.finish()?;
    let name = call.parameter("secretName");
    let cluster = call.own_cluster()?;
    refuse_while_busy(cluster)?;
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
    Ok(Answer::no_content())
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let name = call.parameter("secretName");
    let listed_until = call.now + LISTED_AFTER_DELETION;
    let cluster = call.own_cluster()?;
    refuse_while_busy(cluster)?;
    match cluster.secrets.get_mut(name) {
        Some(secret) if secret.listed_until.is_none() => secret.listed_until = Some(listed_until),
        _ => return Err(not_found("secret", name)),
    }
    call.record(Change::Deleted, "secret", name, "deleted secret");
    Ok(Answer::no_content())
}

/// Whether there is such a secret that hasn't been deleted.
fn is_present(cluster: &Cluster, name: &str) -> bool {
    cluster
        .secrets
        .get(name)
        .is_some_and(|secret| secret.listed_until.is_none())
}

fn refuse_while_busy(cluster: &mut Cluster) -> Result<(), Answer> {
    if cluster.secrets_busy.refuse() {
        let message = "another change to the secrets is in progress, try again";
        return Err(Answer::message(409, message));
    }
    Ok(())
}
