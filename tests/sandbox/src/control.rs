//! Control API below `/_sandbox/`.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::{Method, Uri};
use serde_json::{Map, Value, json};

use crate::body::Fields;
use crate::clock::{MAX_ADVANCE, iso8601};
use crate::cluster::{AllowlistField, Backup, Busy, Cluster, UpgradeGate};
use crate::encoding::form_pairs;
use crate::faults::{Fault, TOKEN_OPERATION, UNKNOWN_OPERATION};
use crate::operations;
use crate::permissions::Permission;
use crate::request_log::{Filter, RequestLog};
use crate::response::Response;
use crate::server::Shared;
use crate::snapshot;
use crate::state::{OTHER_ORGANIZATION, Settings, State};
use crate::tls::CertificateFault;

/// Maximum number of clusters per change. No other request is served during their creation.
const MAX_CLUSTERS: u64 = 100_000;

/// Paths below `/_sandbox/` with their methods.
const PATHS: [(&str, &str); 9] = [
    ("health", "GET"),
    ("stats", "GET"),
    ("requests", "GET, DELETE"),
    ("faults", "GET, POST, DELETE"),
    ("faults/{id}", "GET, DELETE"),
    ("control", "POST"),
    ("state", "GET, PUT"),
    ("clock", "GET, POST"),
    ("reset", "POST"),
];

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

/// Handles a request below `/_sandbox/`.
pub(crate) fn respond(shared: &Shared, method: &Method, uri: &Uri, body: &[u8]) -> Response {
    try_respond(shared, method, uri, body).unwrap_or_else(|rejection| rejection)
}

fn try_respond(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    body: &[u8],
) -> Result<Response, Response> {
    // The server sends the headers of the response only (RFC 9110, section 9.3.2).
    let method = match method {
        &Method::HEAD => &Method::GET,
        method => method,
    };
    let path = uri.path().trim_start_matches("/_sandbox").trim_matches('/');
    let mut query = Query::parse(uri)?;
    let mut filter = Filter::default();
    let mut limit = None;
    let mut only_unused = false;
    match (method.as_str(), path) {
        ("GET", "requests") => {
            filter = query.filter()?;
            limit = query.number("limit")?;
        }
        ("GET", "faults") => only_unused = query.flag("unused")?,
        _ => {}
    }
    query.finish()?;
    let state = &mut *shared.state();
    let response = match (method.as_str(), path) {
        ("GET", "health") => Response::ok(&json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
        })),
        ("GET", "stats") => Response::ok(&state.stats.to_json()),
        ("GET", "requests") => {
            let mut records = shared.log().records(&filter);
            if let Some(limit) = limit {
                let surplus = records.len().saturating_sub(limit as usize);
                records.drain(..surplus);
            }
            let records = records.iter().map(|record| record.to_json());
            Response::ok(&json!({ "requests": records.collect::<Vec<_>>() }))
        }
        ("DELETE", "requests") => {
            shared.log().clear();
            Response::no_content()
        }
        ("POST", "reset") => {
            let mut fields = match body.is_empty() {
                true => Fields::from_object(Map::new()),
                false => Fields::from_object(object(body)?),
            };
            let keep_credentials = fields.optional_boolean("keep_credentials")?;
            fields.finish()?;
            if keep_credentials == Some(true) {
                state.reset_keeping_credentials();
            } else {
                state.reset();
            }
            *shared.log() = RequestLog::default();
            Response::no_content()
        }
        ("POST", "faults") => {
            let fault = Fault::from_fields(object(body)?)?;
            let id = state.faults.add(fault);
            Response::json(201, &state.faults.get(id).unwrap_or_default())
        }
        ("GET", "faults") => Response::ok(&json!({ "faults": state.faults.list(only_unused) })),
        ("DELETE", "faults") => {
            state.faults.clear();
            Response::no_content()
        }
        ("GET", "state") => Response::ok(&snapshot::take(state)),
        ("PUT", "state") => {
            snapshot::replace(state, object(body)?.into())?;
            Response::no_content()
        }
        ("GET", "clock") => Response::ok(&clock(state)),
        ("POST", "clock") => {
            let mut changed = state.clone();
            set_clock(&mut changed, Fields::from_object(object(body)?))?;
            *state = changed;
            Response::ok(&clock(state))
        }
        ("POST", "control") => Response::ok(&apply(state, object(body)?)?),
        (method, path) => match path.strip_prefix("faults/") {
            Some(id) => {
                let not_found = || Response::message(404, format!("fault {id} not found"));
                let id: u64 = id.parse().map_err(|_| not_found())?;
                match method {
                    "GET" => Response::ok(&state.faults.get(id).ok_or_else(not_found)?),
                    "DELETE" if state.faults.remove(id) => Response::no_content(),
                    "DELETE" => return Err(not_found()),
                    _ => return Err(not_allowed("faults/{id}", "GET, DELETE")),
                }
            }
            None => match PATHS.iter().find(|(known, _)| *known == path) {
                Some((known, methods)) => return Err(not_allowed(known, methods)),
                None => {
                    let known = PATHS
                        .map(|(path, _)| format!("/_sandbox/{path}"))
                        .join(", ");
                    let message = format!("unknown control path; expected one of: {known}");
                    return Err(Response::message(404, message));
                }
            },
        },
    };
    Ok(response)
}

fn not_allowed(path: &str, methods: &str) -> Response {
    let methods = methods.replace("GET", "GET, HEAD");
    let message = format!("method not allowed; /_sandbox/{path} accepts {methods}");
    let mut response = Response::message(405, message);
    response.set_header("allow", &methods);
    response
}

/// Query parameters, each at most once.
struct Query {
    remaining: Vec<(String, String)>,
    known: BTreeSet<&'static str>,
}

impl Query {
    fn parse(uri: &Uri) -> Result<Self, Response> {
        let pairs = form_pairs(uri.query().unwrap_or_default().as_bytes());
        Ok(Self {
            remaining: pairs.ok_or_else(|| bad_request("the query is not valid"))?,
            known: BTreeSet::new(),
        })
    }

    fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.insert(name);
        let position = self.remaining.iter().position(|(known, _)| known == name)?;
        Some(self.remaining.swap_remove(position).1)
    }

    fn number(&mut self, name: &'static str) -> Result<Option<u64>, Response> {
        let parse = |text: String| {
            let invalid = || bad_request(format!("query parameter \"{name}\" must be a number"));
            text.parse().map_err(|_| invalid())
        };
        self.take(name).map(parse).transpose()
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, Response> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(_) => {
                let message = format!("query parameter \"{name}\" must be true or false");
                Err(bad_request(message))
            }
        }
    }

    fn filter(&mut self) -> Result<Filter, Response> {
        let filter = Filter {
            operation: self.take("operation"),
            method: self.take("method"),
            path: self.take("path"),
            client_id: self.take("client_id"),
            status: self.number("status")?.map(|status| status as u16),
            after: self.number("after")?,
        };
        filter.check().map_err(bad_request)?;
        Ok(filter)
    }

    fn finish(self) -> Result<(), Response> {
        let Some((name, _)) = self.remaining.first() else {
            return Ok(());
        };
        let mut message = format!("unknown query parameter \"{name}\"");
        if !self.known.is_empty() {
            let known: Vec<_> = self.known.into_iter().collect();
            message.push_str(&format!("; expected one of: {}", known.join(", ")));
        }
        Err(bad_request(message))
    }
}

impl Filter {
    /// Checks that the operation exists.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.operation {
            Some(name)
                if name != TOKEN_OPERATION
                    && name != UNKNOWN_OPERATION
                    && operations::all().iter().all(|known| known.name() != *name) =>
            {
                Err(operations::unknown_operation(name))
            }
            _ => Ok(()),
        }
    }
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
            "other_organization" => {
                let mut fields = change.fields()?;
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
    find(state, cluster)?;
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
