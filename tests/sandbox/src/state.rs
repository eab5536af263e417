//! State of the sandbox.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::catalog::{Catalog, Generation, PlanType, Region};
use crate::clock::{Clock, iso8601};
use crate::cluster::{AllowlistField, Cluster};
use crate::faults::Faults;
use crate::oauth::{Token, TokenRateLimiter};
use crate::permissions::Permission;
use crate::random::Random;
use crate::stats::Stats;
use crate::status::Status;

/// Settings from the builder.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) healthy_after: Duration,
    pub(crate) token_lifetime: Duration,
    pub(crate) token_rate_limit: bool,
    pub(crate) ban: Duration,
    pub(crate) rejection_delay: Duration,
    pub(crate) base_url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
}

impl Settings {
    pub(crate) fn oauth_url(&self) -> String {
        format!("{}/oauth/token", self.base_url)
    }
}

/// Limits of the organisation. `None` means unlimited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of clients per cluster. Default: 100.
    pub max_clients: Option<u64>,
    /// Maximum number of connector secrets per cluster. Default: 100.
    pub max_secrets: Option<u64>,
    /// Clusters that can still be created. Default: unlimited.
    pub reservations_left: Option<u64>,
    /// Members that can still be invited. Default: unlimited.
    pub seats_left: Option<u64>,
    /// Whether cluster creation is available. Default: true.
    pub cluster_creation_available: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_clients: Some(100),
            max_secrets: Some(100),
            reservations_left: None,
            seats_left: None,
            cluster_creation_available: true,
        }
    }
}

/// API credentials with their permissions.
pub(crate) struct ConsoleCredentials {
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) permissions: Vec<Permission>,
}

pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) roles: Vec<String>,
    pub(crate) invite_pending: bool,
}

pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    pub(crate) organisation: String,

    pub(crate) credentials: Vec<ConsoleCredentials>,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) token_rate_limiter: TokenRateLimiter,
    /// Client ids and secrets that were rejected before.
    pub(crate) rejected: HashSet<(String, String)>,

    pub(crate) catalog: Catalog,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) members: Vec<Member>,
    pub(crate) audit_events: Vec<Value>,
    pub(crate) ip_ranges: Value,

    pub(crate) limits: Limits,
    pub(crate) csv_as_json_string: bool,
    pub(crate) allowlist_field: AllowlistField,
    pub(crate) faults: Faults,
    pub(crate) stats: Stats,
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut random = Random::new();
        let credentials = ConsoleCredentials {
            client_id: settings.client_id.clone(),
            client_secret: settings.client_secret.clone(),
            permissions: Permission::ALL.to_vec(),
        };
        let owner = Member {
            name: "Olivia Owner".into(),
            email: "olivia.owner@example.com".into(),
            roles: vec!["owner".into()],
            invite_pending: false,
        };
        Self {
            settings,
            clock: Clock::new(),
            organisation: random.uuid(),
            random,
            credentials: vec![credentials],
            tokens: HashMap::new(),
            token_rate_limiter: TokenRateLimiter::default(),
            rejected: HashSet::new(),
            catalog: Catalog::new(),
            clusters: Vec::new(),
            members: vec![owner],
            audit_events: Vec::new(),
            ip_ranges: json!({ "web-modeler": ["192.0.2.10/32", "198.51.100.0/28"] }),
            limits: Limits::default(),
            csv_as_json_string: false,
            allowlist_field: AllowlistField::default(),
            faults: Faults::default(),
            stats: Stats::default(),
        }
    }

    /// Restores the initial state. Keeps only the settings and the initial credentials.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.settings.clone());
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Returns the cluster in its current state, regardless of its organisation.
    pub(crate) fn cluster(&mut self, uuid: &str) -> Option<&mut Cluster> {
        let now = self.now();
        let cluster = self
            .clusters
            .iter_mut()
            .find(|cluster| cluster.uuid == uuid)?;
        cluster.settle(now);
        (!cluster.is_deleted(now)).then_some(cluster)
    }

    /// Creates a cluster with status `Healthy` and applies the overrides.
    ///
    /// # Errors
    ///
    /// The `uuid` exists already or is not a string.
    pub(crate) fn insert_cluster(
        &mut self,
        mut overrides: Map<String, Value>,
    ) -> Result<String, String> {
        let uuid = match overrides.remove("uuid") {
            None => self.random.uuid(),
            Some(Value::String(uuid)) if self.cluster(&uuid).is_none() => uuid,
            Some(Value::String(uuid)) => return Err(format!("cluster {uuid} already exists")),
            Some(_) => return Err("the uuid of a cluster must be a string".into()),
        };
        let named = |field: &str| overrides.get(field).and_then(|it| it["uuid"].as_str());
        let plan = match named("planType") {
            Some(uuid) => self.catalog.plan_type(uuid),
            None => self.catalog.plan_types.first(),
        };
        let region = match named("region") {
            Some(uuid) => self.catalog.region(uuid),
            None => self.catalog.regions.first(),
        };
        let channel = named("channel")
            .and_then(|uuid| self.catalog.channel(uuid))
            .or(self.catalog.channels.first());
        let channel_resource =
            channel.map(|channel| json!({ "uuid": channel.uuid, "name": channel.name }));
        let generation = channel
            .and_then(|channel| channel.generations.first())
            .cloned();
        let mut cluster = self.new_cluster(uuid.clone(), "cluster", plan, region);
        cluster
            .document
            .insert("channel".into(), channel_resource.unwrap_or_default());
        cluster.document.insert(
            "generation".into(),
            generation.as_ref().map(Generation::resource).into(),
        );
        cluster.merge(overrides);
        self.clusters.push(cluster);
        Ok(uuid)
    }

    /// Returns a `Healthy` cluster with the common fields, without channel and generation.
    pub(crate) fn new_cluster(
        &self,
        uuid: String,
        name: &str,
        plan: Option<&PlanType>,
        region: Option<&Region>,
    ) -> Cluster {
        let host = "bru-2";
        let component = |component: &str| format!("https://{host}.{component}.camunda.io/{uuid}");
        let mut links = json!({
            "console": format!("https://console.cloud.camunda.io/org/{}/cluster/{uuid}", self.organisation),
            "connectors": component("connectors"),
            "identity": component("identity"),
            "oauth": self.settings.oauth_url(),
            "operate": component("operate"),
            "tasklist": component("tasklist"),
            "zeebe": format!("{uuid}.{host}.zeebe.camunda.io:443"),
        });
        let optimize = plan.is_none_or(|plan| plan.optimize);
        if optimize {
            links["optimize"] = component("optimize").into();
        }
        let document = Map::from_iter([
            ("uuid".into(), uuid.as_str().into()),
            ("name".into(), name.into()),
            ("ownerId".into(), self.organisation.as_str().into()),
            ("created".into(), iso8601(self.now()).into()),
            ("autoUpdate".into(), false.into()),
            ("region".into(), region.map(Region::resource).into()),
            (
                "planType".into(),
                plan.map(|plan| json!({ "uuid": plan.uuid, "name": plan.name }))
                    .into(),
            ),
            ("links".into(), links),
            (
                "encryption".into(),
                json!({ "type": "Provider", "status": "Ready" }),
            ),
        ]);
        let mut cluster = Cluster::new(uuid, document, Status::same("Healthy", optimize));
        cluster.enterprise = plan.is_some_and(|plan| plan.enterprise);
        cluster.aws = region.is_some_and(|region| region.provider == "AWS");
        cluster
    }

    /// Creates credentials with these permissions. Returns client id and client secret.
    pub(crate) fn add_credentials(&mut self, permissions: Vec<Permission>) -> (String, String) {
        let client_id = self.random.characters(32);
        let client_secret = self.random.characters(64);
        self.credentials.push(ConsoleCredentials {
            client_id: client_id.clone(),
            client_secret: client_secret.clone(),
            permissions,
        });
        (client_id, client_secret)
    }
}
