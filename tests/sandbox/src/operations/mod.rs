//! Operations of the API, one file per resource.
//!
//! Each file has the table of its operations, with their entries in the OpenAPI description. A request
//! reaches its operation only with a valid token, the permission from the table, and a body exactly if
//! the table requires one.

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

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Value, json};

use crate::body::Fields;
use crate::cluster::Cluster;
use crate::permissions::Permission;
use crate::response::Response;
use crate::state::State;

pub(crate) use cluster_clients::PERMISSIONS as CLIENT_PERMISSIONS;
pub(crate) use cron::check as check_schedule;

/// Operation of the API.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    /// Path template with parameters in braces.
    pub(crate) path: &'static str,
    /// Name in the OpenAPI description, such as `list clusters`.
    pub(crate) summary: &'static str,
    /// Permission that it requires. `None`: it requires no token.
    permission: Option<Permission>,
    /// Object of the request body, see `schemas.txt`. Empty: the request has no body.
    pub(crate) request: &'static str,
    /// Type of the response body. Empty: the response has no body.
    pub(crate) response: &'static str,
    /// Documented error statuses, separated by spaces.
    pub(crate) errors: &'static str,
    idempotent: bool,
    pub(crate) deprecated: bool,
    run: fn(&mut Call<'_>) -> Result<Response, Response>,
}

impl Operation {
    #[allow(clippy::too_many_arguments, reason = "a row of a table")]
    const fn new(
        method: &'static str,
        path: &'static str,
        summary: &'static str,
        permission: Option<Permission>,
        request: &'static str,
        response: &'static str,
        errors: &'static str,
        run: fn(&mut Call<'_>) -> Result<Response, Response>,
    ) -> Self {
        Self {
            method,
            path,
            summary,
            permission,
            request,
            response,
            errors,
            idempotent: true,
            deprecated: false,
            run,
        }
    }

    /// Marks an operation that must not be sent twice: the reference says so ("Never sent twice"), or the
    /// second request is rejected with 409.
    const fn non_idempotent(self) -> Self {
        Self {
            idempotent: false,
            ..self
        }
    }

    /// Marks an operation that the reference calls deprecated.
    const fn deprecated(self) -> Self {
        Self {
            deprecated: true,
            ..self
        }
    }

    /// Returns method and path template, for example `GET /clusters/{clusterUuid}`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Returns the permission that the operation requires, if it requires a token.
    pub(crate) fn permission(&self) -> Option<Permission> {
        self.permission
    }

    pub(crate) fn has_body(&self) -> bool {
        !self.request.is_empty()
    }

    /// Whether its error responses are plain text.
    pub(crate) fn has_text_errors(&self) -> bool {
        self.path.ends_with("/failover")
    }

    /// Handles a request for this operation.
    pub(crate) fn respond(&self, state: &mut State, request: &Request<'_>) -> Response {
        self.try_respond(state, request)
            .unwrap_or_else(|rejection| rejection)
    }

    fn try_respond(&self, state: &mut State, request: &Request<'_>) -> Result<Response, Response> {
        let mut credentials = None;
        if let Some(needed) = self.permission {
            let unauthorized = || Response::message(401, "Unauthorized");
            let caller = request.caller.as_deref().ok_or_else(unauthorized)?;
            let known = state.credentials.get(caller).ok_or_else(unauthorized)?;
            if !known.permissions.contains(&needed) {
                let error = format!("the credentials lack the permission {}", needed.name());
                return Err(Response::error(403, error));
            }
            credentials = Some((
                Arc::clone(&known.permissions),
                Arc::clone(&known.organization),
            ));
        }
        if !self.has_body() && !request.body.is_empty() {
            return Err(Response::message(400, "a request body is not allowed"));
        }
        let now = state.now();
        let (permissions, organization) =
            credentials.unwrap_or_else(|| (Arc::default(), Arc::default()));
        (self.run)(&mut Call {
            state,
            now,
            organization,
            permissions,
            request,
        })
    }
}

/// Returns the error message for an operation name that does not exist.
pub(crate) fn unknown_operation(name: &str) -> String {
    let mut message = format!("unknown operation \"{name}\"");
    let meant = name
        .split_once(' ')
        .and_then(|(method, path)| matching(method, path))
        .or_else(|| {
            let method = ["GET", "POST", "PUT", "PATCH", "DELETE"];
            method.into_iter().find_map(|method| matching(method, name))
        });
    if let Some(meant) = meant {
        message.push_str(&format!("; did you mean \"{}\"?", meant.name()));
    }
    message.push_str("; expected one of: token, unknown");
    for operation in all() {
        message.push_str(", ");
        message.push_str(&operation.name());
    }
    message
}

/// Returns the operation for a method and a concrete path, preferring paths without parameters.
fn matching(method: &str, path: &str) -> Option<&'static Operation> {
    let fits = |operation: &&Operation| {
        let template: Vec<&str> = operation.path.split('/').collect();
        let path: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        operation.method.eq_ignore_ascii_case(method)
            && template.len() == path.len()
            && template
                .iter()
                .zip(&path)
                .all(|(template, segment)| template == segment || template.starts_with('{'))
    };
    all()
        .iter()
        .filter(fits)
        .min_by_key(|operation| operation.path.matches('{').count())
}

/// Returns whether a path of the template can begin with the prefix.
pub(crate) fn can_begin_with(template: &str, prefix: &str) -> bool {
    let mut template = template.split('/');
    let mut segments = prefix.split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        let fits = template.next().is_some_and(|expected| {
            expected.starts_with('{')
                || expected == segment
                || is_last && expected.starts_with(segment)
        });
        if !fits {
            return false;
        }
    }
    true
}

/// Request data available to an operation.
pub(crate) struct Request<'a> {
    /// Decoded path parameters.
    pub(crate) parameters: Vec<(String, String)>,
    /// Client id of the token, if it is valid.
    pub(crate) caller: Option<Arc<str>>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// Authorized call of an operation.
struct Call<'a> {
    state: &'a mut State,
    now: Duration,
    /// Organization of the caller. Empty if the operation requires no token.
    organization: Arc<str>,
    permissions: Arc<[Permission]>,
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

    /// Returns the cluster in the path. A cluster of another organization is 404: for operations
    /// without a documented 403.
    fn cluster(&mut self) -> Result<&mut Cluster, Response> {
        let uuid = self.parameter("clusterUuid");
        self.state
            .cluster(uuid)
            .filter(|cluster| *cluster.organization == *self.organization)
            .ok_or_else(|| not_found("cluster", uuid))
    }

    /// Returns the cluster in the path. A cluster of another organization is 403: for operations
    /// that document it.
    fn own_cluster(&mut self) -> Result<&mut Cluster, Response> {
        let uuid = self.parameter("clusterUuid");
        match self.state.cluster(uuid) {
            None => Err(not_found("cluster", uuid)),
            Some(cluster) if *cluster.organization != *self.organization => {
                Err(Response::text(403, "You are not supposed to be here"))
            }
            Some(cluster) => Ok(cluster),
        }
    }

    /// Adds an event on the cluster in the path to the audit log.
    fn record_cluster(&mut self, change: Change, audit: &str) {
        self.record(change, "cluster", self.parameter("clusterUuid"), audit);
    }

    /// Adds an event to the audit log.
    fn record(&mut self, change: Change, entity: &str, entity_id: &str, audit: &str) {
        let mut event = json!({
            "service": "console",
            "orgId": &*self.organization,
            "audit": audit,
            "auditType": match change {
                Change::Created => "c",
                Change::Updated => "u",
                Change::Deleted => "d",
            },
            "entity": entity,
            "entityId": entity_id,
            "userId": self.request.caller.as_deref(),
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

/// An operation of the API, for tests of clients that compare it with their own description. The facts are
/// those of the reference of the API, independent of any client library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct OperationInfo {
    /// HTTP method, such as `GET`.
    pub method: &'static str,
    /// Path with its parameters in braces, such as `/clusters/{clusterUuid}`.
    pub path: &'static str,
    /// Whether a client may retry a request that the server may have executed.
    pub idempotent: bool,
    /// Whether the reference marks the operation as deprecated.
    pub deprecated: bool,
}

/// Returns all operations of the API.
pub fn operations() -> Vec<OperationInfo> {
    let info = |operation: &Operation| OperationInfo {
        method: operation.method,
        path: operation.path,
        idempotent: operation.idempotent,
        deprecated: operation.deprecated,
    };
    all().iter().map(info).collect()
}

/// Returns all operations.
pub(crate) fn all() -> &'static [Operation] {
    static ALL: LazyLock<Vec<Operation>> = LazyLock::new(|| {
        [
            clusters::OPERATIONS,
            encryption::OPERATIONS,
            failover::OPERATIONS,
            cluster_clients::OPERATIONS,
            backups::OPERATIONS,
            secrets::OPERATIONS,
            monitoring::OPERATIONS,
            secure_connectivity::OPERATIONS,
            members::OPERATIONS,
            activity::OPERATIONS,
            meta::OPERATIONS,
        ]
        .concat()
    });
    &ALL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn can_begin_with_compares_segments() {
        let template = "/clusters/{clusterUuid}/clients";
        for prefix in ["/", "/clus", "/clusters", "/clusters/a", "/clusters/a/cl"] {
            assert!(can_begin_with(template, prefix), "{prefix}");
        }
        for prefix in [
            "/members",
            "/clusters/a/secrets",
            "/clusters/a/clients/b",
            "/clusterz",
            "/cluster/a",
        ] {
            assert!(!can_begin_with(template, prefix), "{prefix}");
        }
    }

    #[test]
    fn unknown_operation_suggests_template_for_concrete_path() {
        for (name, meant) in [
            ("GET /clusters/7a", "GET /clusters/{clusterUuid}"),
            ("get /clusters/parameters", "GET /clusters/parameters"),
            ("PATCH /clusters/7a/", "PATCH /clusters/{clusterUuid}"),
            ("/members", "GET /members"),
        ] {
            let message = unknown_operation(name);
            assert!(
                message.contains(&format!("did you mean \"{meant}\"?")),
                "{message}"
            );
        }
        let message = unknown_operation("list clusters");
        assert!(!message.contains("did you mean"), "{message}");
        assert!(message.contains("GET /clusters,"), "{message}");
    }
}
