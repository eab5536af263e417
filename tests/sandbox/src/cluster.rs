//! One cluster and everything that belongs to it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::clock::iso8601;
use crate::status::{READY, Status};

/// Under which name or names a cluster shows its IP allowlist.
///
/// The service still uses the deprecated name for some organisations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AllowlistField {
    /// `ipallowlist`
    #[default]
    IpAllowlist,
    /// `ipwhitelist`, the deprecated name.
    IpWhitelist,
    /// Both, with the same entries.
    Both,
}

pub(crate) struct Cluster {
    pub(crate) uuid: String,
    /// What the service shows of the cluster, but for its status and its IP allowlist.
    pub(crate) document: Map<String, Value>,
    pub(crate) status: Status,
    pub(crate) ip_allowlist: Vec<Value>,

    pub(crate) other_organisation: bool,
    /// On a plan that has customer-managed keys.
    pub(crate) enterprise: bool,
    /// In a region of AWS.
    pub(crate) aws: bool,
    /// Whether its pair of regions has failover.
    pub(crate) failover_available: bool,
    pub(crate) failed_over: bool,
    pub(crate) gone_at: Option<Duration>,
    pub(crate) upgrade_gate: Option<UpgradeGate>,
    /// The generation that an upgrade in progress leads to, and when it is reached.
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

/// What keeps a cluster from being upgraded until its owner has done something.
#[derive(Clone)]
pub(crate) struct UpgradeGate {
    pub(crate) reason: String,
    pub(crate) next_step: String,
}

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
    /// Fields that a test has laid over the backup.
    pub(crate) overrides: Map<String, Value>,
}

pub(crate) struct Restore {
    pub(crate) uuid: String,
    pub(crate) backup_id: String,
    pub(crate) started: Duration,
    pub(crate) takes: Duration,
}

pub(crate) struct Secret {
    pub(crate) value: String,
    /// Set once deleted: until then it is still listed.
    pub(crate) listed_until: Option<Duration>,
}

/// For how many changes to come another change is in progress.
#[derive(Clone, Copy, Default)]
pub(crate) enum Busy {
    #[default]
    No,
    For(u64),
    Always,
}

pub(crate) struct MonitoringClient {
    pub(crate) uuid: String,
    pub(crate) username: String,
    pub(crate) created: Duration,
    pub(crate) last_used: Duration,
    pub(crate) created_by: String,
}

pub(crate) struct SecureConnectivity {
    pub(crate) since: Duration,
    pub(crate) allowed_principals: Vec<String>,
    pub(crate) allowed_regions: Vec<String>,
}

impl Cluster {
    pub(crate) fn new(uuid: String, document: Map<String, Value>, status: Status) -> Self {
        Self {
            uuid,
            document,
            status,
            ip_allowlist: Vec::new(),
            other_organisation: false,
            enterprise: false,
            aws: false,
            failover_available: true,
            failed_over: false,
            gone_at: None,
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

    /// Brings about what was to happen by now.
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

    pub(crate) fn is_gone(&self, now: Duration) -> bool {
        self.gone_at.is_some_and(|at| at <= now)
    }

    /// The cluster as the service shows it. The allowlist is there only for who may see it.
    pub(crate) fn answer(&self, now: Duration, allowlist: Option<AllowlistField>) -> Value {
        let mut answer = self.document.clone();
        answer.insert("status".into(), self.status.at(now).clone().into());
        if let Some(field) = allowlist {
            if field != AllowlistField::IpWhitelist {
                answer.insert("ipallowlist".into(), self.ip_allowlist.clone().into());
            }
            if field != AllowlistField::IpAllowlist {
                answer.insert("ipwhitelist".into(), self.ip_allowlist.clone().into());
            }
        }
        answer.into()
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

    /// The `uuid` of a resource that the cluster names, such as `channel`.
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

    /// AWS's own code of a region, from the parentheses at the end of its name.
    pub(crate) fn region_code(&self, field: &str) -> Option<&str> {
        let name = self.document.get(field)?["name"].as_str()?;
        Some(name.strip_suffix(')')?.rsplit_once('(')?.1)
    }

    /// The addresses of the cluster's components.
    pub(crate) fn links(&self) -> Value {
        self.document
            .get("links")
            .cloned()
            .unwrap_or_else(|| json!({}))
    }

    pub(crate) fn backup_is_unknown(&self, backup_id: &str) -> bool {
        !self.backups.iter().any(|backup| backup.uuid == backup_id)
    }

    /// Lays fields over the cluster, as a JSON merge patch does.
    ///
    /// A status stays as it is put. Components that it doesn't name take the word of `ready`.
    pub(crate) fn merge(&mut self, mut overrides: Map<String, Value>) {
        if let Some(Value::Object(words)) = overrides.remove("status") {
            self.set_status(words);
        }
        match overrides.remove("ipallowlist") {
            Some(Value::Array(entries)) => self.ip_allowlist = entries,
            Some(other) => drop(overrides.insert("ipallowlist".into(), other)),
            None => {}
        }
        merge_patch(&mut self.document, overrides);
    }

    pub(crate) fn set_status(&mut self, words: Map<String, Value>) {
        let mut status = match words.get(READY) {
            Some(Value::String(word)) => self.status.all_fixed(word).at(Duration::ZERO).clone(),
            _ => self.status.all_fixed("Healthy").at(Duration::ZERO).clone(),
        };
        merge_patch(&mut status, words);
        self.status = Status::fixed(status);
    }
}

impl Backup {
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

    pub(crate) fn answer(&self, now: Duration) -> Value {
        let complete = self.complete_at <= now;
        let status = if complete { "Complete" } else { "In progress" };
        let mut answer = Map::from_iter([
            ("uuid".into(), self.uuid.as_str().into()),
            ("name".into(), self.name.as_str().into()),
            ("created".into(), iso8601(self.created).into()),
            // The service requires the field, also of a backup that isn't complete yet.
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
        merge_patch(&mut answer, self.overrides.clone());
        answer.into()
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

    pub(crate) fn answer(&self, now: Duration) -> Value {
        let state = self.state(now);
        let mut answer = json!({
            "uuid": self.uuid,
            "backupId": self.backup_id,
            "state": state,
            "startTimestamp": iso8601(self.started),
        });
        if state == "COMPLETED" {
            answer["completionTimestamp"] = iso8601(self.started + self.takes).into();
        }
        answer
    }
}

impl Busy {
    /// Whether this change is one of those that find another in progress.
    pub(crate) fn refuse(&mut self) -> bool {
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

/// RFC 7396: objects are merged, `null` removes, anything else replaces.
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
