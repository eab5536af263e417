//! State of the sandbox.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::catalog::{Catalog, Generation, PlanType, Region};
use crate::clock::{Clock, iso8601};
use crate::cluster::{AllowlistField, Cluster, Clusters};
use crate::faults::Faults;
use crate::oauth::{SigningKey, TokenRateLimiter, Tokens};
use crate::permissions::Permission;
use crate::random::Random;
use crate::snapshot;
use crate::stats::Stats;
use crate::status::{HEALTHY, Status};
use crate::tls::CertificateFault;

/// Organization that `other_organization` moves clusters to.
pub(crate) const OTHER_ORGANIZATION: &str = "00000000-0000-4000-8000-000000000001";

/// Fixed properties of a sandbox, from the builder.
pub(crate) struct Setup {
    /// Settings after the start and after a reset.
    pub(crate) settings: Settings,
    pub(crate) base_url: String,
    /// URL of the server on this host, if the base URL is a public URL.
    pub(crate) local_url: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    /// Id of the organization of the initial credentials.
    pub(crate) organization: String,
    pub(crate) seed: Option<u64>,
    /// Time of the clock after the start and after a reset. Default: the system time.
    pub(crate) start_time: Option<Duration>,
    pub(crate) frozen_clock: bool,
    /// State after the start and after a reset, in the format of `PUT /_sandbox/state`.
    pub(crate) initial_state: Option<Value>,
    /// Key that signs access tokens, if they are signed.
    pub(crate) signing_key: Option<SigningKey>,
}

impl Setup {
    pub(crate) fn oauth_url(&self) -> String {
        format!("{}/oauth/token", self.base_url)
    }
}

/// Settings that the control API can change.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) healthy_after: Duration,
    /// Number of polls after which a status change is complete, instead of `healthy_after`.
    pub(crate) healthy_at_poll: Option<u64>,
    /// Final status of created clusters.
    pub(crate) creation_result: String,
    pub(crate) token_lifetime: Duration,
    pub(crate) token_rate_limit: bool,
    pub(crate) ban: Duration,
    pub(crate) rejection_delay: Duration,
    /// Defect of the server certificate, with TLS.
    pub(crate) certificate_fault: Option<CertificateFault>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            healthy_after: Duration::from_millis(300),
            healthy_at_poll: None,
            creation_result: HEALTHY.into(),
            token_lifetime: Duration::from_secs(24 * 60 * 60),
            token_rate_limit: true,
            ban: Duration::from_secs(5),
            rejection_delay: Duration::from_secs(2),
            certificate_fault: None,
        }
    }
}

/// Limits of the organization. `None` means unlimited.
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
#[derive(Clone)]
pub(crate) struct ConsoleCredentials {
    pub(crate) client_secret: String,
    pub(crate) permissions: Arc<[Permission]>,
    /// Id of the organization that the credentials belong to.
    pub(crate) organization: Arc<str>,
}

#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) organization: String,
    pub(crate) name: String,
    pub(crate) email: String,
    pub(crate) roles: Vec<String>,
    pub(crate) invite_pending: bool,
}

#[derive(Clone)]
pub(crate) struct State {
    pub(crate) setup: Arc<Setup>,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    /// Generator of resource ids and secrets.
    pub(crate) random: Random,
    /// Generator of credentials and tokens, so that token requests do not change resource ids.
    pub(crate) token_random: Random,

    /// Credentials by client id.
    pub(crate) credentials: BTreeMap<String, ConsoleCredentials>,
    pub(crate) tokens: Tokens,
    pub(crate) token_rate_limiter: TokenRateLimiter,
    /// Client ids and secrets that were rejected before.
    pub(crate) rejected: HashSet<(String, String)>,

    pub(crate) catalog: Catalog,
    pub(crate) clusters: Clusters,
    /// Cluster of each cluster client. An entry may outlive its client.
    pub(crate) client_clusters: HashMap<String, String>,
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
    /// Returns the initial state.
    ///
    /// # Errors
    ///
    /// The state that the builder was given is invalid.
    pub(crate) fn new(setup: Arc<Setup>) -> Result<Self, String> {
        let mut state = Self::without_initial_state(setup);
        if let Some(initial) = state.setup.initial_state.clone() {
            snapshot::replace(&mut state, initial).map_err(|rejection| rejection.into_message())?;
        }
        Ok(state)
    }

    fn without_initial_state(setup: Arc<Setup>) -> Self {
        let (random, token_random) = match setup.seed {
            None => (Random::new(), Random::new()),
            Some(seed) => (Random::from_seed(seed), Random::from_seed(!seed)),
        };
        let credentials = ConsoleCredentials {
            client_secret: setup.client_secret.clone(),
            permissions: Permission::ALL.into(),
            organization: setup.organization.as_str().into(),
        };
        let owner = Member {
            organization: setup.organization.clone(),
            name: "Olivia Owner".into(),
            email: "olivia.owner@example.com".into(),
            roles: vec!["owner".into()],
            invite_pending: false,
        };
        Self {
            settings: setup.settings.clone(),
            clock: Clock::new(setup.start_time, setup.frozen_clock),
            random,
            token_random,
            credentials: BTreeMap::from_iter([(setup.client_id.clone(), credentials)]),
            tokens: Tokens::default(),
            token_rate_limiter: TokenRateLimiter::default(),
            rejected: HashSet::new(),
            catalog: Catalog::new(),
            clusters: Clusters::default(),
            client_clusters: HashMap::new(),
            members: vec![owner],
            audit_events: Vec::new(),
            ip_ranges: json!({ "web-modeler": ["192.0.2.10/32", "198.51.100.0/28"] }),
            limits: Limits::default(),
            csv_as_json_string: false,
            allowlist_field: AllowlistField::default(),
            faults: Faults::default(),
            stats: Stats::default(),
            setup,
        }
    }

    /// Restores the initial state, which was valid at the start.
    pub(crate) fn reset(&mut self) {
        if let Ok(initial) = Self::new(Arc::clone(&self.setup)) {
            *self = initial;
        }
    }

    /// Restores the initial state, but keeps all credentials and their tokens.
    pub(crate) fn reset_keeping_credentials(&mut self) {
        let mut credentials = std::mem::take(&mut self.credentials);
        let tokens = std::mem::take(&mut self.tokens);
        let token_random = self.token_random.clone();
        self.reset();
        credentials.extend(
            std::mem::take(&mut self.credentials)
                .into_iter()
                .filter(|(client_id, _)| *client_id != self.setup.client_id),
        );
        self.credentials = credentials;
        self.tokens = tokens;
        self.token_random = token_random;
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Returns the cluster in its current state, regardless of its organization.
    pub(crate) fn cluster(&mut self, uuid: &str) -> Option<&mut Cluster> {
        let now = self.now();
        let cluster = self.clusters.get_mut(uuid)?;
        cluster.settle(now);
        (!cluster.is_deleted(now)).then_some(cluster)
    }

    /// Creates a cluster with status `Healthy` and applies the overrides.
    ///
    /// `healthy_at_poll` is not a field: with it, the cluster is `Creating` until that poll.
    ///
    /// # Errors
    ///
    /// The `uuid` exists already or is not a string, or a field has an invalid type. The state is
    /// unchanged then.
    pub(crate) fn insert_cluster(
        &mut self,
        mut overrides: Map<String, Value>,
    ) -> Result<String, String> {
        let given_uuid = match overrides.remove("uuid") {
            None => None,
            Some(Value::String(uuid)) if self.cluster(&uuid).is_none() => Some(uuid),
            Some(Value::String(uuid)) => return Err(format!("cluster {uuid} already exists")),
            Some(_) => return Err("the uuid of a cluster must be a string".into()),
        };
        let polls = match overrides.remove("healthy_at_poll").map(|it| it.as_u64()) {
            None => None,
            Some(Some(polls @ 1..)) => Some(polls),
            Some(_) => return Err("field \"healthy_at_poll\" must be a positive integer".into()),
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
        let mut random = self.random.clone();
        let uuid = given_uuid.unwrap_or_else(|| random.uuid());
        let organization = self.setup.organization.clone();
        let mut cluster = self.new_cluster(uuid.clone(), &organization, "cluster", plan, region);
        cluster
            .document
            .insert("channel".into(), channel_resource.unwrap_or_default());
        cluster.document.insert(
            "generation".into(),
            generation.as_ref().map(Generation::resource).into(),
        );
        cluster.merge(overrides)?;
        let now = self.now();
        if polls.is_some() {
            let settings = Settings {
                healthy_at_poll: polls,
                ..self.settings.clone()
            };
            cluster.begin("Creating", HEALTHY, now, &settings);
        }
        self.random = random;
        self.clusters.push(cluster, now);
        Ok(uuid)
    }

    /// Returns a `Healthy` cluster with the common fields, without channel and generation.
    pub(crate) fn new_cluster(
        &self,
        uuid: String,
        organization: &str,
        name: &str,
        plan: Option<&PlanType>,
        region: Option<&Region>,
    ) -> Cluster {
        let host = "bru-2";
        let component = |component: &str| format!("https://{host}.{component}.camunda.io/{uuid}");
        let mut links = json!({
            "console": format!("https://console.cloud.camunda.io/org/{organization}/cluster/{uuid}"),
            "connectors": component("connectors"),
            "identity": component("identity"),
            "oauth": self.setup.oauth_url(),
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
            ("ownerId".into(), organization.into()),
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
        let mut cluster = Cluster::new(
            uuid,
            organization.into(),
            document,
            Status::same(HEALTHY, optimize),
        );
        cluster.enterprise = plan.is_some_and(|plan| plan.enterprise);
        cluster.aws = region.is_some_and(|region| region.provider == "AWS");
        cluster
    }

    /// Creates credentials with these permissions. Returns client id and client secret.
    pub(crate) fn add_credentials(
        &mut self,
        permissions: Vec<Permission>,
        organization: Option<String>,
    ) -> (String, String) {
        let client_id = self.token_random.characters(32);
        let client_secret = self.token_random.characters(64);
        let organization = organization.as_deref().unwrap_or(&self.setup.organization);
        self.credentials.insert(
            client_id.clone(),
            ConsoleCredentials {
                client_secret: client_secret.clone(),
                permissions: permissions.into(),
                organization: organization.into(),
            },
        );
        (client_id, client_secret)
    }
}
