//! Operations of the API, one file per resource.
//!
//! [`all`] is the table of operations. A request reaches its operation only with a valid token, the
//! permission from the table, and a body exactly if the table requires one.

mod activity;
mod backups;
mod cluster_clients;
mod clusters;
mod cron;
mod encryption;
mod failover;
mod members;
mod meta;
mod monitoring;
mod secrets;
mod secure_connectivity;

use std::time::Duration;

use serde_json::{Value, json};

use crate::body::Fields;
use crate::cluster::Cluster;
use crate::oauth;
use crate::permissions::Permission;
use crate::response::Response;
use crate::state::State;

/// Operation of the API.
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    /// Path template with parameters in braces.
    pub(crate) path: &'static str,
    access: Access,
    body: Body,
    run: fn(&mut Call<'_>) -> Result<Response, Response>,
}

/// Access rule of an operation.
enum Access {
    /// No token required.
    Open,
    /// Requires a token with this permission.
    Needs(Permission),
}

/// Request body of an operation.
#[derive(PartialEq)]
enum Body {
    None,
    Json,
}

impl Operation {
    const fn new(
        method: &'static str,
        path: &'static str,
        permission: Permission,
        body: Body,
        run: fn(&mut Call<'_>) -> Result<Response, Response>,
    ) -> Self {
        Self {
            method,
            path,
            access: Access::Needs(permission),
            body,
            run,
        }
    }

    const fn open(
        method: &'static str,
        path: &'static str,
        run: fn(&mut Call<'_>) -> Result<Response, Response>,
    ) -> Self {
        Self {
            method,
            path,
            access: Access::Open,
            body: Body::None,
            run,
        }
    }

    /// Handles a request for this operation.
    pub(crate) fn respond(&self, state: &mut State, request: &Request<'_>) -> Response {
        self.try_respond(state, request)
            .unwrap_or_else(|rejection| rejection)
    }

    fn try_respond(&self, state: &mut State, request: &Request<'_>) -> Result<Response, Response> {
        let caller = oauth::caller(state, request.authorization);
        let mut permissions = Vec::new();
        if let Access::Needs(needed) = self.access {
            let unauthorized = || Response::message(401, "Unauthorized");
            let caller = caller.as_deref().ok_or_else(unauthorized)?;
            permissions = state
                .credentials
                .iter()
                .find(|credentials| credentials.client_id == caller)
                .map(|credentials| credentials.permissions.clone())
                .ok_or_else(unauthorized)?;
            if !permissions.contains(&needed) {
                let error = format!("the credentials lack the permission {}", needed.name());
                return Err(Response::error(403, error));
            }
        }
        if self.body == Body::None && !request.body.is_empty() {
            return Err(Response::message(400, "a request body is not allowed"));
        }
        let now = state.now();
        let caller = caller.unwrap_or_default();
        (self.run)(&mut Call {
            state,
            now,
            caller,
            permissions,
            request,
        })
    }
}

/// Request data available to an operation.
pub(crate) struct Request<'a> {
    /// Decoded path parameters.
    pub(crate) parameters: Vec<(String, String)>,
    pub(crate) authorization: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// Authorized call of an operation.
struct Call<'a> {
    state: &'a mut State,
    now: Duration,
    /// Client id of the token.
    caller: String,
    permissions: Vec<Permission>,
    request: &'a Request<'a>,
}

impl<'a> Call<'a> {
    fn parameter(&self, name: &str) -> &'a str {
        self.request
            .parameters
            .iter()
            .find(|(present, _)| present == name)
            .map_or("", |(_, value)| value)
    }

    fn fields(&self) -> Result<Fields, Response> {
        Fields::read(self.request.content_type, self.request.body)
    }

    fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }

    /// Returns the cluster in the path. A cluster of another organisation is 404: for operations
    /// without a documented 403.
    fn cluster(&mut self) -> Result<&mut Cluster, Response> {
        let uuid = self.parameter("clusterUuid");
        self.state
            .cluster(uuid)
            .filter(|cluster| !cluster.other_organisation)
            .ok_or_else(|| not_found("cluster", uuid))
    }

    /// Returns the cluster in the path. A cluster of another organisation is 403: for operations
    /// that document it.
    fn own_cluster(&mut self) -> Result<&mut Cluster, Response> {
        let uuid = self.parameter("clusterUuid");
        match self.state.cluster(uuid) {
            None => Err(not_found("cluster", uuid)),
            Some(cluster) if cluster.other_organisation => {
                Err(Response::text(403, "You are not supposed to be here"))
            }
            Some(cluster) => Ok(cluster),
        }
    }

    /// Adds an event to the audit log.
    fn record(&mut self, change: Change, entity: &str, entity_id: &str, audit: &str) {
        let mut event = json!({
            "service": "console",
            "orgId": self.state.organisation,
            "audit": audit,
            "auditType": match change {
                Change::Created => "c",
                Change::Updated => "u",
                Change::Deleted => "d",
            },
            "entity": entity,
            "entityId": entity_id,
            "userId": self.caller,
            "timestamp": self.now.as_millis() as u64,
        });
        let cluster = self.parameter("clusterUuid");
        if !cluster.is_empty() && entity != "cluster" {
            event["parentEntity"] = "cluster".into();
            event["parentEntityId"] = cluster.into();
        }
        self.state.audit_events.push(event);
    }
}

/// Type of a change in the audit log.
#[derive(Clone, Copy)]
enum Change {
    Created,
    Updated,
    Deleted,
}

fn not_found(kind: &str, id: &str) -> Response {
    Response::message(404, format!("{kind} {id} not found"))
}

/// Rejects an empty string.
fn not_empty(field: &str, text: String) -> Result<String, Response> {
    if text.is_empty() {
        return Err(Response::message(
            400,
            format!("field \"{field}\" must not be empty"),
        ));
    }
    Ok(text)
}

fn array(items: impl IntoIterator<Item = Value>) -> Value {
    items.into_iter().collect()
}

/// Returns all operations.
pub(crate) fn all() -> &'static [Operation] {
    use Body::{Json, None};
    use Permission as P;
    const ALL: &[Operation] = &[
        Operation::new("GET", "/clusters", P::ClusterGet, None, clusters::list),
        Operation::new(
            "POST",
            "/clusters",
            P::ClusterCreate,
            Json,
            clusters::create,
        ),
        Operation::new(
            "GET",
            "/clusters/parameters",
            P::ClusterGet,
            None,
            clusters::parameters,
        ),
        Operation::new(
            "GET",
            "/clusters/{clusterUuid}",
            P::ClusterGet,
            None,
            clusters::get,
        ),
        Operation::new(
            "PATCH",
            "/clusters/{clusterUuid}",
            P::ClusterUpdate,
            Json,
            clusters::update,
        ),
        Operation::new(
            "DELETE",
            "/clusters/{clusterUuid}",
            P::ClusterDelete,
            None,
            clusters::delete,
        ),
        Operation::new(
            "PUT",
            "/clusters/{clusterUuid}/wake",
            P::ClusterUpdate,
            None,
            clusters::wake,
        ),
        Operation::new(
            "PUT",
            "/clusters/{clusterUuid}/upgrade",
            P::ClusterUpdate,
            None,
            clusters::upgrade,
        ),
        Operation::new(
            "PUT",
            "/clusters/{clusterUuid}/encryption",
            P::ClusterUpdate,
            Json,
            encryption::set,
        ),
        Operation::new(
            "PUT",
            "/clusters/{clusterUuid}/ipallowlist",
            P::IpAllowlist,
            Json,
            clusters::set_ip_allowlist,
        ),
        Operation::new(
            "PUT",
            "/clusters/{clusterUuid}/ipwhitelist",
            P::IpAllowlist,
            Json,
            clusters::set_ip_whitelist,
        ),
        Operation::new(
            "POST",
            "/clusters/{clusterUuid}/failover",
            P::ClusterUpdate,
            Json,
            failover::trigger,
        ),
        Operation::new(
            "GET",
            "/clusters/{clusterUuid}/clients",
            P::ClientGet,
            None,
            cluster_clients::list,
        ),
        Operation::new(
            "POST",
            "/clusters/{clusterUuid}/clients",
            P::ClientCreate,
            Json,
            cluster_clients::create,
        ),
        Operation::new(
            "GET",
            "/clusters/{clusterUuid}/clients/{clientId}",
            P::ClientGet,
            None,
            cluster_clients::get,
        ),
        Operation::new(
            "DELETE",
            "/clusters/{clusterUuid}/clients/{clientId}",
            P::ClientDelete,
            None,
            cluster_clients::delete,
        ),
        Operation::new(
            "GET",
            "/clusters/{clusterUuid}/backups",
            P::Backups,
            None,
            backups::list,
        ),
        Operation::new(
            "POST",
            "/clusters/{clusterUuid}/backups",
            P::Backups,
            None,
            backups::create,
        ),
        Operation::new(
            "DELETE",
            "/clusters/{clusterUuid}/backups/{backupId}",
            P::Backups,
            None,
            backups::delete,
        ),
        Operation::new(
            "GET",
            "/clusters/{clusterUuid}/backups/{backupId}/restore",
            P::Backups,
            None,
            backups::restore_status,
        ),
        Operation::new(
            "POST",
            "/clusters/{clusterUuid}/backups/{backupId}/restore",
            P::Backups,
            None,
            backups::restore,
        ),
        Operation::new(
            "GET",
            "/clusters/{clusterUuid}/backups/schedule",
            P::Backups,
            None,
            backups::schedule,
        ),
        Operation::new(
            "PUT",
            "/clusters/{clusterUuid}/backups/schedule",
            P::Backups,
            Json,
            backups::set_schedule,
        ),
        Operation::new(
            "DELETE",
            "/clusters/{clusterUuid}/backups/schedule",
            P::Backups,
            None,
            backups::delete_schedule,
        ),
        Operation::new(
            "GET",
            "/clusters/{clusterUuid}/secrets",
            P::ConnectorSecrets,
            None,
            secrets::list,
        ),
        Operation::new(
            "POST",
            "/clusters/{clusterUuid}/secrets",
            P::ConnectorSecrets,
            Json,
            secrets::create,
        ),
        Operation::new(
            "PUT",
            "/clusters/{clusterUuid}/secrets/{secretName}",
            P::ConnectorSecrets,
            Json,
            secrets::update,
        ),
        Operation::new(
            "DELETE",
            "/clusters/{clusterUuid}/secrets/{secretName}",
            P::ConnectorSecrets,
            None,
            secrets::delete,
        ),
        Operation::new(
            "POST",
            "/clusters/{clusterUuid}/monitoring",
            P::Monitoring,
            None,
            monitoring::activate,
        ),
        Operation::new(
            "DELETE",
            "/clusters/{clusterUuid}/monitoring",
            P::Monitoring,
            None,
            monitoring::deactivate,
        ),
        Operation::new(
            "GET",
            "/clusters/{clusterUuid}/monitoring/clients",
            P::Monitoring,
            None,
            monitoring::get,
        ),
        Operation::new(
            "POST",
            "/clusters/{clusterUuid}/monitoring/clients",
            P::Monitoring,
            Json,
            monitoring::create_client,
        ),
        Operation::new(
            "DELETE",
            "/clusters/{clusterUuid}/monitoring/clients/{clientUuid}",
            P::Monitoring,
            None,
            monitoring::delete_client,
        ),
        Operation::new(
            "POST",
            "/clusters/{clusterUuid}/monitoring/clients/{clientUuid}/rotate",
            P::Monitoring,
            None,
            monitoring::rotate_password,
        ),
        Operation::new(
            "GET",
            "/clusters/{clusterUuid}/secure-connectivity",
            P::ClusterGet,
            None,
            secure_connectivity::get,
        ),
        Operation::new(
            "POST",
            "/clusters/{clusterUuid}/secure-connectivity",
            P::ClusterUpdate,
            Json,
            secure_connectivity::activate,
        ),
        Operation::new(
            "DELETE",
            "/clusters/{clusterUuid}/secure-connectivity",
            P::ClusterUpdate,
            None,
            secure_connectivity::deactivate,
        ),
        Operation::new("GET", "/members", P::Members, None, members::list),
        Operation::new(
            "POST",
            "/members/{email}",
            P::Members,
            Json,
            members::set_roles,
        ),
        Operation::new(
            "DELETE",
            "/members/{email}",
            P::Members,
            None,
            members::delete,
        ),
        Operation::new("GET", "/activity/json", P::AuditLog, None, activity::list),
        Operation::new("GET", "/activity/csv", P::AuditLog, None, activity::csv),
        Operation::open("GET", "/meta/ip-ranges", meta::ip_ranges),
    ];
    ALL
}
