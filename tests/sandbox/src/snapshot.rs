//! Serialization of the state: seeds and snapshots of `/_sandbox/state`.
//!
//! A snapshot has all resources, credentials, settings and the clock. It has no tokens, faults,
//! counters and logged requests.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::body::Fields;
use crate::changes;
use crate::clock::{MAX_ADVANCE, iso8601};
use crate::cluster::{
    AllowlistField, Backup, Busy, Cluster, ClusterClient, Clusters, MonitoringClient, PendingPolls,
    Restore, Secret, SecureConnectivity, UpgradeGate,
};
use crate::operations::{CLIENT_PERMISSIONS, check_schedule};
use crate::random::Random;
use crate::response::Response;
use crate::state::{ConsoleCredentials, Member, State};
use crate::status::Status;

fn invalid(message: impl Into<String>) -> Response {
    Response::message(400, message)
}

/// Returns the snapshot.
pub(crate) fn take(state: &State) -> Value {
    let now = state.now();
    let credentials: Vec<Value> = state
        .credentials
        .iter()
        .map(|(client_id, credentials)| {
            let permissions: Vec<&str> =
                credentials.permissions.iter().map(|it| it.name()).collect();
            json!({
                "client_id": client_id,
                "client_secret": credentials.client_secret,
                "permissions": permissions,
                "organization": &*credentials.organization,
            })
        })
        .collect();
    let members: Vec<Value> = state
        .members
        .iter()
        .map(|member| {
            json!({
                "name": member.name,
                "email": member.email,
                "roles": member.roles,
                "invite_pending": member.invite_pending,
                "organization": member.organization,
            })
        })
        .collect();
    let clusters: Vec<Value> = state
        .clusters
        .iter()
        .filter(|cluster| !cluster.is_deleted(now))
        .map(cluster_to_json)
        .collect();
    json!({
        "clock": changes::clock(state),
        "settings": changes::settings(state),
        "limits": changes::limits(state),
        "credentials": credentials,
        "members": members,
        "clusters": clusters,
        "generations": state.catalog.published(),
        "audit_events": state.audit_events,
        "ip_ranges": state.ip_ranges,
        "csv_as_json_string": state.csv_as_json_string,
        "allowlist_field": state.allowlist_field.name(),
    })
}

/// Replaces the parts of the state that the snapshot or seed has.
///
/// # Errors
///
/// The snapshot is invalid. The state is unchanged then.
pub(crate) fn replace(state: &mut State, snapshot: Value) -> Result<(), Response> {
    let mut changed = state.clone();
    for generator in [&mut changed.random, &mut changed.token_random] {
        mix_ids(generator, &snapshot);
    }
    let Value::Object(snapshot) = snapshot else {
        return Err(invalid("the state must be a JSON object"));
    };
    apply(&mut changed, Fields::from_object(snapshot))?;
    *state = changed;
    Ok(())
}

/// Mixes the ids of the snapshot into a generator. Otherwise a server with the seed of the server that the
/// snapshot is from would generate the same ids again.
fn mix_ids(generator: &mut Random, snapshot: &Value) {
    match snapshot {
        Value::Array(items) => items.iter().for_each(|item| mix_ids(generator, item)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(id) if name == "uuid" || name == "client_id" => generator.mix(id),
                    _ => mix_ids(generator, value),
                }
            }
        }
        _ => {}
    }
}

fn apply(state: &mut State, mut fields: Fields) -> Result<(), Response> {
    if let Some(clock) = fields.optional_object("clock")? {
        changes::set_clock(state, Fields::from_object(clock))?;
    }
    if let Some(settings) = fields.optional_object("settings")? {
        changes::set_settings(state, Fields::from_object(settings))?;
    }
    if let Some(limits) = fields.optional_object("limits")? {
        changes::set_limits(state, limits)?;
    }
    if let Some(ip_ranges) = fields.take("ip_ranges") {
        state.ip_ranges = ip_ranges;
    }
    if let Some(value) = fields.optional_boolean("csv_as_json_string")? {
        state.csv_as_json_string = value;
    }
    if let Some(name) = fields.optional_enum_value("allowlist_field", &AllowlistField::NAMES)? {
        state.allowlist_field = AllowlistField::from_name(&name).unwrap_or_default();
    }
    if let Some(generations) = fields.optional_object("generations")? {
        state.catalog.publish_all(&generations).map_err(invalid)?;
    }
    if let Some(events) = fields.optional_array("audit_events")? {
        state.audit_events = events;
    }
    if let Some(credentials) = fields.optional_array("credentials")? {
        set_credentials(state, credentials)?;
    }
    if let Some(members) = fields.optional_array("members")? {
        state.members = Vec::with_capacity(members.len());
        let mut listed = BTreeSet::new();
        for member in members {
            let member = member_from(object(member, "members")?, &state.setup.organization)?;
            if !listed.insert((member.organization.clone(), member.email.clone())) {
                return Err(invalid(format!("member {} is listed twice", member.email)));
            }
            state.members.push(member);
        }
    }
    if let Some(clusters) = fields.optional_array("clusters")? {
        state.clusters = Clusters::default();
        state.client_clusters.clear();
        for (position, cluster) in clusters.into_iter().enumerate() {
            let cluster = object(cluster, "clusters")?;
            insert_cluster(state, cluster)
                .map_err(|rejection| rejection.within(&format!("clusters[{position}]")))?;
        }
    }
    fields.finish()
}

fn object(value: Value, name: &str) -> Result<Fields, Response> {
    match value {
        Value::Object(object) => Ok(Fields::from_object(object)),
        _ => Err(invalid(format!(
            "field \"{name}\" must be an array of objects"
        ))),
    }
}

/// Replaces the credentials. The initial ones are kept unless they are listed.
fn set_credentials(state: &mut State, credentials: Vec<Value>) -> Result<(), Response> {
    let initial = state.setup.client_id.clone();
    state
        .credentials
        .retain(|client_id, _| *client_id == initial);
    let mut listed = BTreeSet::new();
    for item in credentials {
        let mut fields = object(item, "credentials")?;
        let client_id = fields
            .optional_string("client_id")?
            .unwrap_or_else(|| state.token_random.characters(32));
        let client_secret = fields
            .optional_string("client_secret")?
            .unwrap_or_else(|| state.token_random.characters(64));
        let permissions = match fields.optional_strings("permissions")? {
            Some(names) => changes::permissions(&names)?,
            None => crate::permissions::Permission::ALL.to_vec(),
        };
        let organization = fields
            .optional_string("organization")?
            .unwrap_or_else(|| state.setup.organization.clone());
        fields.finish()?;
        let credentials = ConsoleCredentials {
            client_secret,
            permissions: permissions.into(),
            organization: organization.into(),
        };
        if !listed.insert(client_id.clone()) {
            return Err(invalid(format!("credentials {client_id} are listed twice")));
        }
        state.credentials.insert(client_id, credentials);
    }
    Ok(())
}

fn member_from(mut fields: Fields, organization: &str) -> Result<Member, Response> {
    let member = Member {
        organization: fields
            .optional_string("organization")?
            .unwrap_or_else(|| organization.into()),
        name: fields.optional_string("name")?.unwrap_or_default(),
        email: fields.string("email")?,
        roles: fields.optional_strings("roles")?.unwrap_or_default(),
        invite_pending: fields.optional_boolean("invite_pending")?.unwrap_or(false),
    };
    fields.finish()?;
    Ok(member)
}

fn cluster_to_json(cluster: &Cluster) -> Value {
    let (steps, status) = cluster.status.parts();
    let steps: Vec<Value> = steps
        .iter()
        .map(|(until, status)| json!({ "until": iso8601(*until), "status": status }))
        .collect();
    let mut json = json!({
        "uuid": cluster.uuid,
        "organization": cluster.organization,
        "document": cluster.document,
        "status": status,
        "status_steps": steps,
        "ipallowlist": cluster.ip_allowlist,
        "omitted": cluster.omitted,
        "enterprise": cluster.enterprise,
        "aws": cluster.aws,
        "failover_available": cluster.failover_available,
        "failed_over": cluster.failed_over,
        "clients": cluster.clients.iter().map(client_to_json).collect::<Vec<_>>(),
        "backups": cluster.backups.iter().map(backup_to_json).collect::<Vec<_>>(),
        "restores": cluster.restores.iter().map(restore_to_json).collect::<Vec<_>>(),
        "secrets": cluster
            .secrets
            .iter()
            .filter(|(_, secret)| secret.listed_until.is_none())
            .map(|(name, secret)| (name.clone(), secret.value.as_str().into()))
            .collect::<Map<_, _>>(),
        "deleted_secrets": cluster
            .secrets
            .iter()
            .filter_map(|(name, secret)| {
                let until = iso8601(secret.listed_until?);
                Some(json!({ "name": name, "value": secret.value, "listed_until": until }))
            })
            .collect::<Vec<_>>(),
        "monitoring_clients": cluster
            .monitoring_clients
            .iter()
            .map(|client| {
                json!({
                    "uuid": client.uuid,
                    "username": client.username,
                    "created": iso8601(client.created),
                    "last_used": iso8601(client.last_used),
                    "created_by": client.created_by,
                })
            })
            .collect::<Vec<_>>(),
    });
    for (name, time) in [
        ("deleted_at", cluster.deleted_at),
        ("encryption_ready_at", cluster.encryption_ready_at),
        ("last_backup_at", cluster.last_backup_at),
        ("monitoring_since", cluster.monitoring_since),
    ] {
        if let Some(time) = time {
            json[name] = iso8601(time).into();
        }
    }
    if let Some(pending) = &cluster.pending_polls {
        json["pending_polls"] = json!({
            "remaining": pending.remaining,
            "result": pending.result,
        });
    }
    if let Some(gate) = &cluster.upgrade_gate {
        json["upgrade_gate"] = json!({ "reason": gate.reason, "next_step": gate.next_step });
    }
    if let Some((at, generation)) = &cluster.upgrade {
        json["upgrade"] = json!({ "generation": generation });
        if *at < Duration::MAX {
            json["upgrade"]["at"] = iso8601(*at).into();
        }
    }
    if let Some(schedule) = &cluster.backup_schedule {
        json["backup_schedule"] = schedule.as_str().into();
    }
    match cluster.secrets_busy {
        Busy::No => {}
        Busy::For(times) => json["secrets_busy"] = times.into(),
        Busy::Always => json["secrets_busy"] = Value::Null,
    }
    if let Some(connectivity) = &cluster.secure_connectivity {
        json["secure_connectivity"] = json!({
            "since": iso8601(connectivity.since),
            "allowed_principals": connectivity.allowed_principals,
            "allowed_regions": connectivity.allowed_regions,
        });
    }
    json
}

fn client_to_json(client: &ClusterClient) -> Value {
    json!({
        "name": client.name,
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "permissions": client.permissions,
    })
}

fn backup_to_json(backup: &Backup) -> Value {
    json!({
        "uuid": backup.uuid,
        "name": backup.name,
        "created": iso8601(backup.created),
        "complete_at": iso8601(backup.complete_at),
        "generation": backup.generation,
        "optimize": backup.optimize,
        "fields": backup.overrides,
    })
}

fn restore_to_json(restore: &Restore) -> Value {
    json!({
        "uuid": restore.uuid,
        "backup_id": restore.backup_id,
        "started": iso8601(restore.started),
        "takes_ms": restore.takes.as_millis() as u64,
    })
}

fn insert_cluster(state: &mut State, mut fields: Fields) -> Result<(), Response> {
    let mut overrides = fields.optional_object("fields")?.unwrap_or_default();
    for field in ["uuid", "name"] {
        if let Some(value) = fields.optional_string(field)? {
            overrides.insert(field.into(), value.into());
        }
    }
    if let Some(polls) = fields.optional_count("healthy_at_poll")? {
        overrides.insert("healthy_at_poll".into(), polls.into());
    }
    let status = fields.optional_object("status")?;
    let steps = fields.optional_array("status_steps")?;
    if steps.is_none()
        && let Some(status) = &status
    {
        overrides.insert("status".into(), status.clone().into());
    }
    let uuid = state.insert_cluster(overrides).map_err(invalid)?;
    let now = state.now();
    let mut new_uuids = state.random.clone();
    let mut new_credentials = state.token_random.clone();
    let cluster = state
        .clusters
        .get_mut(&uuid)
        .ok_or_else(|| invalid("the cluster is deleted"))?;

    if let (Some(steps), Some(status)) = (steps, status) {
        cluster.status = status_from(steps, status)?;
    }
    set_properties(cluster, &mut fields)?;
    for client in fields.objects("clients")? {
        let client = client_from(client, &mut new_credentials)?;
        let previous = state
            .client_clusters
            .insert(client.client_id.clone(), uuid.clone());
        if previous.is_some() {
            return Err(invalid(format!(
                "client {} is listed twice",
                client.client_id
            )));
        }
        cluster.clients.push(client);
    }
    for backup in fields.objects("backups")? {
        let backup = backup_from(backup, cluster, now, || new_uuids.uuid())?;
        cluster.backups.push(backup);
    }
    for restore in fields.objects("restores")? {
        let restore = restore_from(restore, now, || new_uuids.uuid())?;
        cluster.restores.push(restore);
    }
    add_secrets(cluster, &mut fields, now)?;
    for client in fields.objects("monitoring_clients")? {
        let client = monitoring_client_from(client, now, || new_uuids.uuid())?;
        cluster.monitoring_clients.push(client);
    }
    if let Some(connectivity) = fields.optional_object("secure_connectivity")? {
        let connectivity = connectivity_from(Fields::from_object(connectivity), now)?;
        cluster.secure_connectivity = Some(connectivity);
    }
    fields.finish()?;
    state.random = new_uuids;
    state.token_random = new_credentials;
    Ok(())
}

/// Sets the properties of a cluster, without its status and its lists.
fn set_properties(cluster: &mut Cluster, fields: &mut Fields) -> Result<(), Response> {
    if let Some(document) = fields.optional_object("document")? {
        cluster.document = document;
    }
    if let Some(organization) = fields.optional_string("organization")? {
        cluster.organization = organization;
    }
    if let Some(entries) = fields.optional_array("ipallowlist")? {
        cluster.ip_allowlist = entries;
    }
    if let Some(omitted) = fields.optional_strings("omitted")? {
        cluster.omitted = omitted.into_iter().collect();
    }
    for (name, flag) in [
        ("enterprise", &mut cluster.enterprise),
        ("aws", &mut cluster.aws),
        ("failover_available", &mut cluster.failover_available),
        ("failed_over", &mut cluster.failed_over),
    ] {
        if let Some(value) = fields.optional_boolean(name)? {
            *flag = value;
        }
    }
    for (name, time) in [
        ("deleted_at", &mut cluster.deleted_at),
        ("encryption_ready_at", &mut cluster.encryption_ready_at),
        ("last_backup_at", &mut cluster.last_backup_at),
        ("monitoring_since", &mut cluster.monitoring_since),
    ] {
        *time = fields.optional_time(name)?;
    }
    if let Some(pending) = fields.optional_object("pending_polls")? {
        let mut pending = Fields::from_object(pending);
        cluster.pending_polls = Some(PendingPolls {
            remaining: pending.optional_count("remaining")?.unwrap_or(1),
            result: pending.string("result")?,
        });
        pending.finish()?;
    }
    if let Some(gate) = fields.optional_object("upgrade_gate")? {
        let mut gate = Fields::from_object(gate);
        cluster.upgrade_gate = Some(UpgradeGate {
            reason: gate.string("reason")?,
            next_step: gate.optional_string("next_step")?.unwrap_or_default(),
        });
        gate.finish()?;
    }
    if let Some(upgrade) = fields.optional_object("upgrade")? {
        let mut upgrade = Fields::from_object(upgrade);
        let at = upgrade.optional_time("at")?.unwrap_or(Duration::MAX);
        cluster.upgrade = Some((at, upgrade.take("generation").unwrap_or_default()));
        upgrade.finish()?;
    }
    if let Some(schedule) = fields.optional_string("backup_schedule")? {
        check_schedule(&schedule)
            .map_err(|reason| invalid(format!("backup_schedule: {reason}")))?;
        cluster.backup_schedule = Some(schedule);
    }
    match fields.take("secrets_busy") {
        None => {}
        Some(Value::Null) => cluster.secrets_busy = Busy::Always,
        Some(times) => {
            let times = times.as_u64();
            let times = times.ok_or_else(|| invalid("secrets_busy must be a whole number"))?;
            cluster.secrets_busy = Busy::For(times);
        }
    }
    Ok(())
}

/// Adds the connector secrets, and those that are deleted and still listed.
fn add_secrets(cluster: &mut Cluster, fields: &mut Fields, now: Duration) -> Result<(), Response> {
    for (name, value) in fields.optional_object("secrets")?.unwrap_or_default() {
        let Value::String(value) = value else {
            return Err(invalid(format!("secret \"{name}\" must be a string")));
        };
        let secret = Secret {
            value,
            listed_until: None,
        };
        cluster.secrets.insert(name, secret);
    }
    for mut secret in fields.objects("deleted_secrets")? {
        let name = secret.string("name")?;
        let deleted = Secret {
            value: secret.string("value")?,
            listed_until: Some(secret.optional_time("listed_until")?.unwrap_or(now)),
        };
        secret.finish()?;
        cluster.secrets.insert(name, deleted);
    }
    Ok(())
}

fn status_from(steps: Vec<Value>, status: Map<String, Value>) -> Result<Status, Response> {
    let steps = steps
        .into_iter()
        .map(|step| {
            let mut step = object(step, "status_steps")?;
            let until = step.optional_time("until")?.unwrap_or_default();
            let values = step.optional_object("status")?.unwrap_or_default();
            step.finish()?;
            Ok((until, values))
        })
        .collect::<Result<_, Response>>()?;
    Ok(Status::from_parts(steps, status))
}

fn client_from(
    mut fields: Fields,
    random: &mut crate::random::Random,
) -> Result<ClusterClient, Response> {
    let client = ClusterClient {
        name: fields.string("name")?,
        client_id: fields
            .optional_string("client_id")?
            .unwrap_or_else(|| random.characters(32)),
        client_secret: fields
            .optional_string("client_secret")?
            .unwrap_or_else(|| random.characters(64)),
        permissions: fields
            .optional_enum_values("permissions", &CLIENT_PERMISSIONS)?
            .unwrap_or_else(|| CLIENT_PERMISSIONS.map(str::to_owned).to_vec()),
    };
    fields.finish()?;
    Ok(client)
}

/// A backup without times is complete.
fn backup_from(
    mut fields: Fields,
    cluster: &Cluster,
    now: Duration,
    new_uuid: impl FnOnce() -> String,
) -> Result<Backup, Response> {
    let created = fields.optional_time("created")?.unwrap_or(now);
    let backup = Backup {
        uuid: fields.optional_string("uuid")?.unwrap_or_else(new_uuid),
        name: fields
            .optional_string("name")?
            .unwrap_or_else(|| "Backup".into()),
        created,
        complete_at: fields.optional_time("complete_at")?.unwrap_or(created),
        generation: fields
            .take("generation")
            .or_else(|| cluster.document.get("generation").cloned())
            .unwrap_or_default(),
        optimize: fields
            .optional_boolean("optimize")?
            .unwrap_or_else(|| cluster.has_optimize()),
        overrides: fields.optional_object("fields")?.unwrap_or_default(),
    };
    fields.finish()?;
    Ok(backup)
}

fn restore_from(
    mut fields: Fields,
    now: Duration,
    new_uuid: impl FnOnce() -> String,
) -> Result<Restore, Response> {
    let takes = Duration::from_millis(fields.optional_count("takes_ms")?.unwrap_or(0));
    let restore = Restore {
        uuid: fields.optional_string("uuid")?.unwrap_or_else(new_uuid),
        backup_id: fields.string("backup_id")?,
        started: fields.optional_time("started")?.unwrap_or(now),
        takes: takes.min(MAX_ADVANCE),
    };
    fields.finish()?;
    Ok(restore)
}

fn monitoring_client_from(
    mut fields: Fields,
    now: Duration,
    new_uuid: impl FnOnce() -> String,
) -> Result<MonitoringClient, Response> {
    let client = MonitoringClient {
        uuid: fields.optional_string("uuid")?.unwrap_or_else(new_uuid),
        username: fields.string("username")?,
        created: fields.optional_time("created")?.unwrap_or(now),
        last_used: fields.optional_time("last_used")?.unwrap_or(now),
        created_by: fields.optional_string("created_by")?.unwrap_or_default(),
    };
    fields.finish()?;
    Ok(client)
}

fn connectivity_from(mut fields: Fields, now: Duration) -> Result<SecureConnectivity, Response> {
    let connectivity = SecureConnectivity {
        since: fields.optional_time("since")?.unwrap_or(now),
        allowed_principals: fields
            .optional_strings("allowed_principals")?
            .unwrap_or_default(),
        allowed_regions: fields
            .optional_strings("allowed_regions")?
            .unwrap_or_default(),
    };
    fields.finish()?;
    Ok(connectivity)
}
