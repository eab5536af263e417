//! State of one cluster and its dependent resources.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::iso8601;
use crate::state::Settings;
use crate::status::{HEALTHY, READY, Status};

/// Name of the IP allowlist field in cluster responses.
///
/// The API still uses the deprecated name for some organizations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllowlistField {
    /// `ipallowlist`
    #[default]
    IpAllowlist,
    /// `ipwhitelist`, the deprecated name.
    IpWhitelist,
    /// Both fields, with the same entries.
    Both,
}

impl AllowlistField {
    pub(crate) const NAMES: [&str; 3] = ["ipallowlist", "ipwhitelist", "both"];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::IpAllowlist => "ipallowlist",
            Self::IpWhitelist => "ipwhitelist",
            Self::Both => "both",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::IpAllowlist, Self::IpWhitelist, Self::Both]
            .into_iter()
            .find(|field| field.name() == name)
    }
}

#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) uuid: String,
    /// Response fields except the status and the IP allowlist.
    pub(crate) document: Map<String, Value>,
    pub(crate) status: Status,
    /// Polls after which a pending status change is complete.
    pub(crate) pending_polls: Option<PendingPolls>,
    pub(crate) ip_allowlist: Vec<Value>,
    /// Fields that responses leave out although every cluster has them.
    pub(crate) omitted: BTreeSet<String>,

    /// Id of the organization that owns the cluster.
    pub(crate) organization: String,
    /// Whether the plan supports customer-managed keys.
    pub(crate) enterprise: bool,
    /// Whether the region is an AWS region.
    pub(crate) aws: bool,
    /// Whether failover is available for its pair of regions.
    pub(crate) failover_available: bool,
    pub(crate) failed_over: bool,
    pub(crate) deleted_at: Option<Duration>,
    pub(crate) upgrade_gate: Option<UpgradeGate>,
    /// Completion time and target generation of an upgrade in progress.
    pub(crate) upgrade: Option<(Duration, Value)>,
    pub(crate) encryption_ready_at: Option<Duration>,

    pub(crate) clients: Vec<ClusterClient>,
    pub(crate) backups: Vec<Backup>,
    pub(crate) last_backup_at: Option<Duration>,
    pub(crate) backup_schedule: Option<String>,
    pub(crate) restores: Vec<Restore>,
    pub(crate) secrets: BTreeMap<String, Secret>,
    pub(crate) secrets_busy: Busy,
    pub(crate) monitoring_since: Option<Duration>,
    pub(crate) monitoring_clients: Vec<MonitoringClient>,
    pub(crate) secure_connectivity: Option<SecureConnectivity>,
}

/// Status change that completes after a number of polls instead of a time.
#[derive(Clone)]
pub(crate) struct PendingPolls {
    pub(crate) remaining: u64,
    /// Status value afterwards.
    pub(crate) result: String,
}

/// Condition that blocks upgrades until the owner takes an action.
#[derive(Clone)]
pub(crate) struct UpgradeGate {
    pub(crate) reason: String,
    pub(crate) next_step: String,
}

#[derive(Clone)]
pub(crate) struct ClusterClient {
    pub(crate) name: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) permissions: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct Backup {
    pub(crate) uuid: String,
    pub(crate) name: String,
    pub(crate) created: Duration,
    pub(crate) complete_at: Duration,
    pub(crate) generation: Value,
    pub(crate) optimize: bool,
    /// Response fields overridden through the control API.
    pub(crate) overrides: Map<String, Value>,
}

#[derive(Clone)]
pub(crate) struct Restore {
    pub(crate) uuid: String,
    pub(crate) backup_id: String,
    pub(crate) started: Duration,
    pub(crate) takes: Duration,
}

#[derive(Clone)]
pub(crate) struct Secret {
    pub(crate) value: String,
    /// Set on deletion; the secret is listed until this time.
    pub(crate) listed_until: Option<Duration>,
}

/// Number of subsequent changes that are rejected because another change is in progress.
#[derive(Clone, Copy, Default)]
pub(crate) enum Busy {
    #[default]
    No,
    For(u64),
    Always,
}

#[derive(Clone)]
pub(crate) struct MonitoringClient {
    pub(crate) uuid: String,
    pub(crate) username: String,
    pub(crate) created: Duration,
    pub(crate) last_used: Duration,
    pub(crate) created_by: String,
}

#[derive(Clone)]
pub(crate) struct SecureConnectivity {
    pub(crate) since: Duration,
    pub(crate) allowed_principals: Vec<String>,
    pub(crate) allowed_regions: Vec<String>,
}

impl Cluster {
    pub(crate) fn new(
        uuid: String,
        organization: String,
        document: Map<String, Value>,
        status: Status,
    ) -> Self {
        Self {
            uuid,
            document,
            status,
            pending_polls: None,
            ip_allowlist: Vec::new(),
            omitted: BTreeSet::new(),
            organization,
            enterprise: false,
            aws: false,
            failover_available: true,
            failed_over: false,
            deleted_at: None,
            upgrade_gate: None,
            upgrade: None,
            encryption_ready_at: None,
            clients: Vec::new(),
            backups: Vec::new(),
            last_backup_at: None,
            backup_schedule: None,
            restores: Vec::new(),
            secrets: BTreeMap::new(),
            secrets_busy: Busy::No,
            monitoring_since: None,
            monitoring_clients: Vec::new(),
            secure_connectivity: None,
        }
    }

    /// Applies scheduled changes that are due.
    pub(crate) fn settle(&mut self, now: Duration) {
        if let Some((at, generation)) = &self.upgrade
            && *at <= now
        {
            self.document
                .insert("generation".into(), generation.clone());
            self.upgrade = None;
        }
        if self.encryption_ready_at.is_some_and(|at| at <= now) {
            self.encryption_ready_at = None;
            if let Some(Value::Object(encryption)) = self.document.get_mut("encryption") {
                encryption.insert("status".into(), "Ready".into());
            }
        }
        self.secrets
            .retain(|_, secret| secret.listed_until.is_none_or(|until| now < until));
    }

    /// Starts a status change from `value` to `result`, which takes the time or the number of polls
    /// from the settings.
    pub(crate) fn begin(&mut self, value: &str, result: &str, now: Duration, settings: &Settings) {
        match settings.healthy_at_poll {
            None => {
                self.pending_polls = None;
                self.status = self
                    .status
                    .towards(value, result, now, settings.healthy_after);
            }
            Some(polls) => {
                self.status = self.status.all_fixed(value);
                self.pending_polls = Some(PendingPolls {
                    remaining: polls,
                    result: result.into(),
                });
            }
        }
    }

    /// Returns when a change that begins now is complete, as far as that is known.
    pub(crate) fn completion(&self, now: Duration, settings: &Settings) -> Duration {
        match self.pending_polls {
            None => now + settings.healthy_after,
            Some(_) => Duration::MAX,
        }
    }

    /// Counts a poll, and completes the pending status change if it was the last one.
    pub(crate) fn poll(&mut self, now: Duration) {
        let Some(pending) = &mut self.pending_polls else {
            return;
        };
        pending.remaining = pending.remaining.saturating_sub(1);
        if pending.remaining == 0 {
            self.status = self.status.all_fixed(&pending.result);
            self.pending_polls = None;
            if let Some((at, _)) = &mut self.upgrade {
                *at = now;
            }
            self.settle(now);
        }
    }

    pub(crate) fn is_deleted(&self, now: Duration) -> bool {
        self.deleted_at.is_some_and(|at| at <= now)
    }

    /// Returns the cluster as the API shows it. `allowlist` is `None` if the caller lacks the permission
    /// to read the IP allowlist.
    pub(crate) fn to_json(&self, now: Duration, allowlist: Option<AllowlistField>) -> Value {
        let mut response = self.document.clone();
        response.insert("status".into(), self.status.at(now).clone().into());
        if let Some(field) = allowlist {
            if field != AllowlistField::IpWhitelist {
                response.insert("ipallowlist".into(), self.ip_allowlist.clone().into());
            }
            if field != AllowlistField::IpAllowlist {
                response.insert("ipwhitelist".into(), self.ip_allowlist.clone().into());
            }
        }
        for field in &self.omitted {
            response.remove(field);
        }
        response.into()
    }

    pub(crate) fn ready(&self, now: Duration) -> &str {
        self.status.ready(now)
    }

    pub(crate) fn name(&self) -> &str {
        self.document
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Returns the `uuid` of a referenced resource, for example `channel`.
    pub(crate) fn resource_uuid(&self, field: &str) -> &str {
        self.document
            .get(field)
            .and_then(|it| it["uuid"].as_str())
            .unwrap_or_default()
    }

    pub(crate) fn is_multi_region(&self) -> bool {
        self.document
            .get("backupRegion")
            .is_some_and(Value::is_object)
    }

    pub(crate) fn has_optimize(&self) -> bool {
        self.status
            .at(Duration::ZERO)
            .contains_key("optimizeStatus")
    }

    /// Returns the AWS region code, from the parentheses at the end of the region name.
    pub(crate) fn region_code(&self, field: &str) -> Option<&str> {
        let name = self.document.get(field)?["name"].as_str()?;
        Some(name.strip_suffix(')')?.rsplit_once('(')?.1)
    }

    /// Returns the URLs of the cluster's components.
    pub(crate) fn links(&self) -> Value {
        self.document
            .get("links")
            .cloned()
            .unwrap_or_else(|| json!({}))
    }

    pub(crate) fn backup_is_unknown(&self, backup_id: &str) -> bool {
        !self.backups.iter().any(|backup| backup.uuid == backup_id)
    }

    /// Applies a JSON merge patch (RFC 7396) to the cluster.
    ///
    /// A patched status is fixed until an operation changes it. Components missing from it get the
    /// value of `ready`.
    ///
    /// # Errors
    ///
    /// A field with special handling has the wrong type. Nothing is changed then.
    pub(crate) fn merge(&mut self, mut overrides: Map<String, Value>) -> Result<(), String> {
        match overrides.get("status") {
            None | Some(Value::Null | Value::Object(_)) => {}
            Some(_) => return Err("field \"status\" must be an object".into()),
        }
        for field in ["ipallowlist", "ipwhitelist"] {
            match overrides.get(field) {
                None | Some(Value::Null | Value::Array(_)) => {}
                Some(_) => return Err(format!("field \"{field}\" must be an array")),
            }
        }
        for field in ["status", "ipallowlist", "ipwhitelist"] {
            match overrides.get(field) {
                None => {}
                Some(Value::Null) => drop(self.omitted.insert(field.into())),
                Some(_) => drop(self.omitted.remove(field)),
            }
        }
        if let Some(Value::Object(values)) = overrides.remove("status") {
            self.set_status(values);
        }
        if let Some(Value::Array(entries)) = overrides.remove("ipallowlist") {
            self.ip_allowlist = entries;
        }
        if overrides.contains_key("encryption") {
            self.encryption_ready_at = None;
        }
        merge_patch(&mut self.document, overrides);
        Ok(())
    }

    pub(crate) fn set_status(&mut self, values: Map<String, Value>) {
        let mut status = match values.get(READY) {
            Some(Value::String(value)) => self.status.all_fixed(value).at(Duration::ZERO).clone(),
            _ => self.status.all_fixed(HEALTHY).at(Duration::ZERO).clone(),
        };
        merge_patch(&mut status, values);
        self.status = Status::fixed(status);
        self.pending_polls = None;
    }
}

/// All clusters in the order of their creation, with an index by id.
#[derive(Clone, Default)]
pub(crate) struct Clusters {
    list: Vec<Cluster>,
    index: HashMap<String, usize>,
}

impl Clusters {
    pub(crate) fn get_mut(&mut self, uuid: &str) -> Option<&mut Cluster> {
        self.list.get_mut(*self.index.get(uuid)?)
    }

    /// Adds a cluster, and removes deleted ones before the list has to grow.
    pub(crate) fn push(&mut self, cluster: Cluster, now: Duration) {
        if self.list.len() == self.list.capacity() {
            self.remove_deleted(now);
        }
        self.index.insert(cluster.uuid.clone(), self.list.len());
        self.list.push(cluster);
    }

    pub(crate) fn remove_deleted(&mut self, now: Duration) {
        if !self.list.iter().any(|cluster| cluster.is_deleted(now)) {
            return;
        }
        self.list.retain(|cluster| !cluster.is_deleted(now));
        self.index = self
            .list
            .iter()
            .enumerate()
            .map(|(position, cluster)| (cluster.uuid.clone(), position))
            .collect();
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Cluster> {
        self.list.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Cluster> {
        self.list.iter_mut()
    }
}

impl Backup {
    /// Creates a backup of what the cluster has now.
    pub(crate) fn new(
        cluster: &Cluster,
        uuid: String,
        name: String,
        created: Duration,
        complete_at: Duration,
    ) -> Self {
        Self {
            uuid,
            name,
            created,
            complete_at,
            generation: cluster
                .document
                .get("generation")
                .cloned()
                .unwrap_or_default(),
            optimize: cluster.has_optimize(),
            overrides: Map::new(),
        }
    }

    pub(crate) fn is_complete(&self, now: Duration) -> bool {
        match self.overrides.get("status") {
            Some(status) => status == "Complete",
            None => self.complete_at <= now,
        }
    }

    pub(crate) fn generation_uuid(&self) -> &str {
        let overridden = self.overrides.get("generationUuid");
        overridden
            .unwrap_or(&self.generation["uuid"])
            .as_str()
            .unwrap_or_default()
    }

    pub(crate) fn to_json(&self, now: Duration) -> Value {
        let complete = self.complete_at <= now;
        let status = if complete { "Complete" } else { "In progress" };
        let mut response = Map::from_iter([
            ("uuid".into(), self.uuid.as_str().into()),
            ("name".into(), self.name.as_str().into()),
            ("created".into(), iso8601(self.created).into()),
            // Required by the API also before the backup is complete.
            (
                "completed".into(),
                if complete {
                    iso8601(self.complete_at)
                } else {
                    String::new()
                }
                .into(),
            ),
            ("status".into(), status.into()),
            ("zeebeStatus".into(), status.into()),
            ("operateStatus".into(), status.into()),
            ("tasklistStatus".into(), status.into()),
            (
                "optimizeStatus".into(),
                if self.optimize { status } else { "-" }.into(),
            ),
            ("generationUuid".into(), self.generation["uuid"].clone()),
            ("generationName".into(), self.generation["name"].clone()),
        ]);
        merge_patch(&mut response, self.overrides.clone());
        response.into()
    }
}

impl Restore {
    pub(crate) fn state(&self, now: Duration) -> &'static str {
        let elapsed = now.saturating_sub(self.started);
        if elapsed >= self.takes {
            "COMPLETED"
        } else if elapsed >= self.takes / 2 {
            "IN_PROGRESS"
        } else if elapsed >= self.takes / 4 {
            "VALIDATING"
        } else {
            "PENDING"
        }
    }

    pub(crate) fn is_in_flight(&self, now: Duration) -> bool {
        self.state(now) != "COMPLETED"
    }

    pub(crate) fn to_json(&self, now: Duration) -> Value {
        let state = self.state(now);
        let mut response = json!({
            "uuid": self.uuid,
            "backupId": self.backup_id,
            "state": state,
            "startTimestamp": iso8601(self.started),
        });
        if state == "COMPLETED" {
            response["completionTimestamp"] = iso8601(self.started + self.takes).into();
        }
        response
    }
}

impl Busy {
    /// Returns whether this change is rejected, and counts it.
    pub(crate) fn reject(&mut self) -> bool {
        match self {
            Self::No | Self::For(0) => false,
            Self::For(times) => {
                *times -= 1;
                true
            }
            Self::Always => true,
        }
    }
}

/// Applies a JSON merge patch (RFC 7396): objects are merged, `null` removes a field, any other value replaces it.
pub(crate) fn merge_patch(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => drop(target.remove(&name)),
            Value::Object(patch) => {
                let entry = target.entry(name).or_insert_with(|| json!({}));
                if !entry.is_object() {
                    *entry = json!({});
                }
                if let Value::Object(inner) = entry {
                    merge_patch(inner, patch);
                }
            }
            value => drop(target.insert(name, value)),
        }
    }
}
