//! Changes of the state by `POST /_sandbox/control` and by the Rust API.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::body::Fields;
use crate::clock::{MAX_ADVANCE, iso8601};
use crate::cluster::{AllowlistField, Backup, Busy, Cluster, UpgradeGate};
use crate::permissions::Permission;
use crate::response::Response;
use crate::state::{OTHER_ORGANIZATION, Settings, State};
use crate::tls::CertificateFault;

/// Maximum number of clusters per change. No other request is served during their creation.
const MAX_CLUSTERS: u64 = 100_000;

/// Changes that `POST /_sandbox/control` accepts.
const CHANGES: [&str; 20] = [
    "cluster",
    "clusters",
    "backup",
    "update_cluster",
    "status",
    "kind",
    "limits",
    "settings",
    "clock",
    "other_organization",
    "upgrade_available",
    "upgrade_gate",
    "secrets_busy",
    "credentials",
    "rotate_secret",
    "revoke_tokens",
    "advance_ms",
    "csv_as_json_string",
    "allowlist_field",
    "ip_ranges",
];

/// Applies all changes and returns their results.
///
/// # Errors
///
/// A change is invalid. None is applied then.
pub(crate) fn apply(state: &mut State, changes: Map<String, Value>) -> Result<Value, Response> {
    if let Some(unknown) = changes
        .keys()
        .find(|name| !CHANGES.contains(&name.as_str()))
    {
        return Err(bad_request(format!(
            "unknown control \"{unknown}\"; expected one of: {}",
            CHANGES.join(", ")
        )));
    }
    // One change checks its input before it changes the state; several need a copy.
    if changes.len() <= 1 {
        return apply_each(state, changes);
    }
    let mut changed = state.clone();
    let results = apply_each(&mut changed, changes)?;
    *state = changed;
    Ok(results)
}

fn apply_each(state: &mut State, changes: Map<String, Value>) -> Result<Value, Response> {
    let mut made = json!({});
    // Clusters first, so that other changes can refer to them.
    let (first, others): (Vec<_>, Vec<_>) = changes
        .into_iter()
        .partition(|(name, _)| matches!(name.as_str(), "cluster" | "clusters"));
    for (name, value) in first.into_iter().chain(others) {
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
                made["backup_uuid"] = create_backup(state, &cluster, overrides)?.into();
                if made.get("uuid").is_none() {
                    made["uuid"] = made["backup_uuid"].clone();
                }
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
            "settings" => set_settings(state, change.fields()?)?,
            "clock" => set_clock(state, change.fields()?)?,
            "other_organization" => set_organization(state, change.fields()?)?,
            "upgrade_available" => {
                let mut fields = change.fields()?;
                let cluster = fields.string("cluster")?;
                fields.finish()?;
                made["generation"] = make_upgrade_available(state, &cluster)?;
            }
            "upgrade_gate" => set_upgrade_gate(state, change.fields()?)?,
            "secrets_busy" => set_secrets_busy(state, change.fields()?)?,
            "credentials" => {
                let mut fields = change.fields()?;
                let names = fields.strings("permissions")?;
                let organization = fields.optional_string("organization")?;
                fields.finish()?;
                let (client_id, client_secret) =
                    state.add_credentials(permissions(&names)?, organization);
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
                state.allowlist_field =
                    change
                        .value
                        .as_str()
                        .and_then(AllowlistField::from_name)
                        .ok_or_else(|| change.wrong("ipallowlist, ipwhitelist or both"))?;
            }
            "ip_ranges" => state.ip_ranges = change.value,
            _ => return Err(bad_request(format!("unknown control \"{name}\""))),
        }
    }
    Ok(made)
}

fn set_organization(state: &mut State, mut fields: Fields) -> Result<(), Response> {
    let cluster = fields.string("cluster")?;
    let organization = match fields.take("value") {
        None | Some(Value::Bool(true)) => OTHER_ORGANIZATION.to_owned(),
        Some(Value::Bool(false)) => state.setup.organization.clone(),
        Some(Value::String(organization)) => organization,
        Some(_) => {
            let message = "field \"value\" must be a boolean or an organization id";
            return Err(bad_request(message));
        }
    };
    fields.finish()?;
    find(state, &cluster)?.organization = organization;
    Ok(())
}

fn set_upgrade_gate(state: &mut State, mut fields: Fields) -> Result<(), Response> {
    let cluster = fields.string("cluster")?;
    let reason = fields.optional_string("reason")?;
    let next_step = fields.optional_string("next_step")?.unwrap_or_default();
    fields.finish()?;
    find(state, &cluster)?.upgrade_gate = reason.map(|reason| UpgradeGate { reason, next_step });
    Ok(())
}

fn set_secrets_busy(state: &mut State, mut fields: Fields) -> Result<(), Response> {
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
    Ok(())
}

/// Returns the clock in the format of `/_sandbox/clock`.
pub(crate) fn clock(state: &State) -> Value {
    json!({ "now": iso8601(state.now()), "frozen": state.clock.is_frozen() })
}

/// Changes the clock: sets `now`, then advances by `advance_ms`, then applies `frozen`.
pub(crate) fn set_clock(state: &mut State, mut fields: Fields) -> Result<(), Response> {
    let now = fields.optional_time("now")?;
    let advance = fields.optional_count("advance_ms")?;
    let frozen = fields.optional_boolean("frozen")?;
    fields.finish()?;
    if let Some(now) = now {
        state.clock.set(now);
    }
    if let Some(advance) = advance {
        state.clock.advance(Duration::from_millis(advance));
    }
    if let Some(frozen) = frozen
        && frozen != state.clock.is_frozen()
    {
        state.clock.set_frozen(frozen);
    }
    Ok(())
}

/// Returns the settings in the format of the `settings` change.
pub(crate) fn settings(state: &State) -> Value {
    let settings = &state.settings;
    json!({
        "healthy_after_ms": settings.healthy_after.as_millis() as u64,
        "healthy_at_poll": settings.healthy_at_poll,
        "creation_result": settings.creation_result,
        "token_lifetime_s": settings.token_lifetime.as_secs(),
        "token_rate_limit": settings.token_rate_limit,
        "ban_ms": settings.ban.as_millis() as u64,
        "rejection_delay_ms": settings.rejection_delay.as_millis() as u64,
        "certificate_fault": settings.certificate_fault.map(CertificateFault::name),
    })
}

pub(crate) fn set_settings(state: &mut State, mut fields: Fields) -> Result<(), Response> {
    let mut settings = state.settings.clone();
    let milliseconds = |ms| Duration::from_millis(ms).min(MAX_ADVANCE);
    for (name, duration) in [
        ("healthy_after_ms", &mut settings.healthy_after),
        ("ban_ms", &mut settings.ban),
        ("rejection_delay_ms", &mut settings.rejection_delay),
    ] {
        if let Some(value) = fields.optional_count(name)? {
            *duration = milliseconds(value);
        }
    }
    if let Some(seconds) = fields.optional_count("token_lifetime_s")? {
        settings.token_lifetime = Duration::from_secs(seconds).min(MAX_ADVANCE);
    }
    if let Some(value) = fields.optional_boolean("token_rate_limit")? {
        settings.token_rate_limit = value;
    }
    if let Some(value) = fields.optional_string("creation_result")? {
        settings.creation_result = value;
    }
    match fields.take("healthy_at_poll") {
        None => {}
        Some(Value::Null) => settings.healthy_at_poll = None,
        Some(polls) => match polls.as_u64() {
            Some(polls @ 1..) => settings.healthy_at_poll = Some(polls),
            _ => {
                let message = "field \"healthy_at_poll\" must be a positive integer or null";
                return Err(bad_request(message));
            }
        },
    }
    match fields.take("certificate_fault") {
        None => {}
        Some(Value::Null) => settings.certificate_fault = None,
        Some(name) => {
            let fault = name.as_str().and_then(CertificateFault::from_name);
            settings.certificate_fault = Some(fault.ok_or_else(|| {
                let known = CertificateFault::ALL.map(CertificateFault::name).join(", ");
                bad_request(format!(
                    "field \"certificate_fault\" must be null or one of {known}"
                ))
            })?);
        }
    }
    fields.finish()?;
    check_settings(&settings, &state.setup.base_url).map_err(bad_request)?;
    state.settings = settings;
    Ok(())
}

/// Checks that the settings can have an effect.
pub(crate) fn check_settings(settings: &Settings, base_url: &str) -> Result<(), String> {
    if settings.certificate_fault.is_some() && !base_url.starts_with("https:") {
        return Err("a certificate fault requires TLS; start the sandbox with --tls".into());
    }
    Ok(())
}

/// Returns the limits in the format of the `limits` change.
pub(crate) fn limits(state: &State) -> Value {
    let limits = &state.limits;
    json!({
        "max_clients": limits.max_clients,
        "max_secrets": limits.max_secrets,
        "reservations_left": limits.reservations_left,
        "seats_left": limits.seats_left,
        "cluster_creation_available": limits.cluster_creation_available,
    })
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

pub(crate) fn bad_request(message: impl Into<String>) -> Response {
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
    find(state, cluster)?;
    let now = state.now();
    let uuid = match overrides.remove("uuid") {
        None => state.random.uuid(),
        Some(Value::String(uuid)) => uuid,
        Some(_) => return Err(bad_request("the uuid of a backup must be a string")),
    };
    let cluster = find(state, cluster)?;
    let mut backup = Backup::new(cluster, uuid.clone(), "Backup".into(), now, now);
    backup.overrides = overrides;
    cluster.backups.push(backup);
    Ok(uuid)
}

/// Applies a JSON merge patch to a cluster, except to its id.
pub(crate) fn update_cluster(
    state: &mut State,
    cluster: &str,
    mut overrides: Map<String, Value>,
) -> Result<(), Response> {
    if let Some(uuid) = overrides.remove("uuid")
        && uuid != cluster
    {
        return Err(bad_request("the uuid of a cluster cannot be changed"));
    }
    find(state, cluster)?.merge(overrides).map_err(bad_request)
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

pub(crate) fn set_limits(state: &mut State, changes: Map<String, Value>) -> Result<(), Response> {
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
            _ => {
                let message = format!(
                    "unknown limit \"{name}\"; expected one of: max_clients, max_secrets, \
                     reservations_left, seats_left, cluster_creation_available"
                );
                return Err(bad_request(message));
            }
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
    find(state, uuid)?;
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
    let secret = state.token_random.characters(64);
    if let Some(credentials) = state.credentials.get_mut(&state.setup.client_id) {
        credentials.client_secret.clone_from(&secret);
    }
    secret
}

pub(crate) fn permissions(names: &[String]) -> Result<Vec<Permission>, Response> {
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
