//! Control API below `/_sandbox/`.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Map, Value, json};

use crate::body::Fields;
use crate::cluster::{AllowlistField, Backup, Busy, Cluster, UpgradeGate};
use crate::faults::Fault;
use crate::permissions::Permission;
use crate::response::Response;
use crate::state::State;

/// Maximum number of clusters per change. No other request is served during their creation.
const MAX_CLUSTERS: u64 = 100_000;

/// Handles a request below `/_sandbox/`.
pub(crate) fn respond(state: &mut State, method: &Method, path: &str, body: &[u8]) -> Response {
    let response = match (method.as_str(), path) {
        ("GET", "/_sandbox/stats") => Ok(Response::ok(&state.stats.to_json())),
        ("POST", "/_sandbox/reset") => {
            state.reset();
            Ok(Response::no_content())
        }
        ("POST", "/_sandbox/faults") => object(body).and_then(Fault::from_fields).map(|fault| {
            state.faults.add(fault);
            Response::no_content()
        }),
        ("DELETE", "/_sandbox/faults") => {
            state.faults.clear();
            Ok(Response::no_content())
        }
        ("POST", "/_sandbox/control") => object(body)
            .and_then(|changes| apply(state, changes))
            .map(|made| Response::ok(&made)),
        _ => Err(Response::message(404, "unknown control path")),
    };
    response.unwrap_or_else(|rejection| rejection)
}

/// Parses a body as a JSON object, with any content type.
fn object(body: &[u8]) -> Result<Map<String, Value>, Response> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Response::message(
            400,
            "the request body must be a JSON object",
        )),
        Err(error) => Err(Response::message(
            400,
            format!("the request body is not valid JSON: {error}"),
        )),
    }
}

/// Applies all changes and returns their results.
pub(crate) fn apply(state: &mut State, changes: Map<String, Value>) -> Result<Value, Response> {
    let mut made = json!({});
    for (name, value) in changes {
        let change = Change { name: &name, value };
        match name.as_str() {
            "cluster" => {
                let uuid = state
                    .insert_cluster(change.object()?)
                    .map_err(bad_request)?;
                made["uuid"] = uuid.into();
            }
            "clusters" => {
                let count = change.count()?;
                if count > MAX_CLUSTERS {
                    return Err(change.wrong("at most 100000"));
                }
                made["uuids"] = create_clusters(state, count).into();
            }
            "backup" => {
                let mut fields = change.fields()?;
                let cluster = fields.string("cluster")?;
                let overrides = fields.optional_object("fields")?.unwrap_or_default();
                fields.finish()?;
                made["uuid"] = create_backup(state, &cluster, overrides)?.into();
            }
            "update_cluster" => {
                let (cluster, fields) = change.cluster_and_rest()?;
                update_cluster(state, &cluster, fields)?;
            }
            "status" => {
                let (cluster, values) = change.cluster_and_rest()?;
                find(state, &cluster)?.set_status(values);
            }
            "kind" => set_kind(state, change.fields()?)?,
            "limits" => set_limits(state, change.object()?)?,
            "other_organisation" => {
                let mut fields = change.fields()?;
                let cluster = fields.string("cluster")?;
                let value = fields.optional_boolean("value")?.unwrap_or(true);
                fields.finish()?;
                find(state, &cluster)?.other_organisation = value;
            }
            "upgrade_available" => {
                let mut fields = change.fields()?;
                let cluster = fields.string("cluster")?;
                fields.finish()?;
                made["generation"] = make_upgrade_available(state, &cluster)?;
            }
            "upgrade_gate" => {
                let mut fields = change.fields()?;
                let cluster = fields.string("cluster")?;
                let reason = fields.optional_string("reason")?;
                let next_step = fields.optional_string("next_step")?.unwrap_or_default();
                fields.finish()?;
                find(state, &cluster)?.upgrade_gate =
                    reason.map(|reason| UpgradeGate { reason, next_step });
            }
            "secrets_busy" => {
                let mut fields = change.fields()?;
                let cluster = fields.string("cluster")?;
                let busy = match fields.take("times") {
                    None => Busy::For(1),
                    Some(Value::Null) => Busy::Always,
                    Some(times) => Busy::For(
                        times
                            .as_u64()
                            .ok_or_else(|| bad_request("times must be a whole number"))?,
                    ),
                };
                fields.finish()?;
                find(state, &cluster)?.secrets_busy = busy;
            }
            "credentials" => {
                let mut fields = change.fields()?;
                let names = fields.strings("permissions")?;
                fields.finish()?;
                let (client_id, client_secret) = state.add_credentials(permissions(&names)?);
                made["client_id"] = client_id.into();
                made["client_secret"] = client_secret.into();
            }
            "rotate_secret" => {
                change.yes()?;
                made["client_secret"] = rotate_secret(state).into();
            }
            "revoke_tokens" => {
                change.yes()?;
                state.tokens.clear();
            }
            "advance_ms" => state.clock.advance(Duration::from_millis(change.count()?)),
            "csv_as_json_string" => state.csv_as_json_string = change.boolean()?,
            "allowlist_field" => {
                state.allowlist_field = match change.value.as_str() {
                    Some("ipallowlist") => AllowlistField::IpAllowlist,
                    Some("ipwhitelist") => AllowlistField::IpWhitelist,
                    Some("both") => AllowlistField::Both,
                    _ => return Err(change.wrong("ipallowlist, ipwhitelist or both")),
                };
            }
            "ip_ranges" => state.ip_ranges = change.value,
            _ => return Err(bad_request(format!("unknown control \"{name}\""))),
        }
    }
    Ok(made)
}

/// Named change with its value.
struct Change<'a> {
    name: &'a str,
    value: Value,
}

impl Change<'_> {
    fn wrong(&self, wanted: &str) -> Response {
        bad_request(format!("\"{}\" must be {wanted}", self.name))
    }

    fn object(self) -> Result<Map<String, Value>, Response> {
        match self.value {
            Value::Object(object) => Ok(object),
            _ => Err(self.wrong("an object")),
        }
    }

    fn fields(self) -> Result<Fields, Response> {
        self.object().map(Fields::from_object)
    }

    fn cluster_and_rest(self) -> Result<(String, Map<String, Value>), Response> {
        let wrong = self.wrong("an object with \"cluster\"");
        let mut object = self.object()?;
        match object.remove("cluster") {
            Some(Value::String(cluster)) => Ok((cluster, object)),
            _ => Err(wrong),
        }
    }

    fn count(&self) -> Result<u64, Response> {
        self.value
            .as_u64()
            .ok_or_else(|| self.wrong("a whole number"))
    }

    fn boolean(&self) -> Result<bool, Response> {
        self.value.as_bool().ok_or_else(|| self.wrong("a boolean"))
    }

    fn yes(&self) -> Result<(), Response> {
        if self.boolean()? {
            Ok(())
        } else {
            Err(self.wrong("true"))
        }
    }
}

fn bad_request(message: impl Into<String>) -> Response {
    Response::message(400, message)
}

fn find<'a>(state: &'a mut State, uuid: &str) -> Result<&'a mut Cluster, Response> {
    state
        .cluster(uuid)
        .ok_or_else(|| Response::message(404, format!("cluster {uuid} not found")))
}

/// Creates `count` clusters with status `Healthy`.
pub(crate) fn create_clusters(state: &mut State, count: u64) -> Vec<String> {
    (1..=count)
        .filter_map(|number| {
            let name = format!("cluster {number}");
            state
                .insert_cluster(Map::from_iter([("name".into(), name.into())]))
                .ok()
        })
        .collect()
}

/// Creates a complete backup with overrides.
pub(crate) fn create_backup(
    state: &mut State,
    cluster: &str,
    mut overrides: Map<String, Value>,
) -> Result<String, Response> {
    let now = state.now();
    let uuid = match overrides.remove("uuid") {
        None => state.random.uuid(),
        Some(Value::String(uuid)) => uuid,
        Some(_) => return Err(bad_request("the uuid of a backup must be a string")),
    };
    let cluster = find(state, cluster)?;
    cluster.backups.push(Backup {
        uuid: uuid.clone(),
        name: "Backup".into(),
        created: now,
        complete_at: now,
        generation: cluster
            .document
            .get("generation")
            .cloned()
            .unwrap_or_default(),
        optimize: cluster.has_optimize(),
        overrides,
    });
    Ok(uuid)
}

/// Applies a JSON merge patch to a cluster, except to its id.
pub(crate) fn update_cluster(
    state: &mut State,
    cluster: &str,
    mut overrides: Map<String, Value>,
) -> Result<(), Response> {
    overrides.remove("uuid");
    find(state, cluster)?.merge(overrides);
    Ok(())
}

fn set_kind(state: &mut State, mut fields: Fields) -> Result<(), Response> {
    let cluster = fields.string("cluster")?;
    let enterprise = fields.optional_boolean("enterprise")?;
    let aws = fields.optional_boolean("aws")?;
    let failover_available = fields.optional_boolean("failover_available")?;
    fields.finish()?;
    let cluster = find(state, &cluster)?;
    cluster.enterprise = enterprise.unwrap_or(cluster.enterprise);
    cluster.aws = aws.unwrap_or(cluster.aws);
    cluster.failover_available = failover_available.unwrap_or(cluster.failover_available);
    Ok(())
}

fn set_limits(state: &mut State, changes: Map<String, Value>) -> Result<(), Response> {
    let mut limits = state.limits.clone();
    for (name, value) in changes {
        let change = Change { name: &name, value };
        let limit = match name.as_str() {
            "max_clients" => &mut limits.max_clients,
            "max_secrets" => &mut limits.max_secrets,
            "reservations_left" => &mut limits.reservations_left,
            "seats_left" => &mut limits.seats_left,
            "cluster_creation_available" => {
                limits.cluster_creation_available = change.boolean()?;
                continue;
            }
            _ => return Err(bad_request(format!("unknown limit \"{name}\""))),
        };
        *limit = if change.value.is_null() {
            None
        } else {
            Some(change.count()?)
        };
    }
    state.limits = limits;
    Ok(())
}

/// Ensures that the cluster's channel has a newer generation, and returns the newest.
pub(crate) fn make_upgrade_available(state: &mut State, uuid: &str) -> Result<Value, Response> {
    let new_uuid = state.random.uuid();
    let cluster = find(state, uuid)?;
    let channel_uuid = cluster.resource_uuid("channel").to_owned();
    let current = cluster.resource_uuid("generation").to_owned();
    let channel = state
        .catalog
        .channel_mut(&channel_uuid)
        .ok_or_else(|| bad_request("the channel of the cluster is unknown"))?;
    if channel
        .generations
        .first()
        .is_none_or(|newest| newest.uuid == current)
    {
        channel.publish(new_uuid);
    }
    Ok(channel
        .generations
        .first()
        .map(crate::catalog::Generation::resource)
        .into())
}

/// Replaces the secret of the initial credentials.
pub(crate) fn rotate_secret(state: &mut State) -> String {
    let secret = state.random.characters(64);
    if let Some(credentials) = state.credentials.first_mut() {
        credentials.client_secret.clone_from(&secret);
    }
    secret
}

fn permissions(names: &[String]) -> Result<Vec<Permission>, Response> {
    names
        .iter()
        .map(|name| {
            Permission::from_name(name).ok_or_else(|| {
                let known = Permission::ALL.map(Permission::name).join(", ");
                bad_request(format!("permission \"{name}\" is not one of {known}"))
            })
        })
        .collect()
}
