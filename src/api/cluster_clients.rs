//! Cluster clients: the credentials that the API hands out for a cluster.

use std::collections::BTreeMap;

use crate::api::admin::AdminClient;
use crate::api::clusters::{Cluster, ClusterId};
use crate::api::object::{id, object, words};
use crate::api::operation::{Operation, Shape};
use crate::credentials::ClusterCredentials;
use crate::error::Result;
use crate::secret::Secret;

id! {
    /// Names a client of a cluster: its OAuth client id.
    struct ClusterClientId;
}

words! {
    /// What a client of a cluster may use.
    enum ClientPermission {
        /// Zeebe, the process engine.
        Zeebe = "Zeebe",
        /// Operate.
        Operate = "Operate",
        /// Tasklist.
        Tasklist = "Tasklist",
        /// Optimize.
        Optimize = "Optimize",
        /// The cluster's connector secrets.
        Secrets = "Secrets",
    }
}

object! {
    /// A client of a cluster, as the listing shows it.
    answer struct ClusterClient {
        /// Its name, unique in the cluster.
        expected name: String = "name",
        /// Its OAuth client id.
        required client_id: ClusterClientId = "clientId",
        /// What it may use; the listing is the only place that says so.
        expected permissions: Vec<ClientPermission> = "permissions",
    }
}

object! {
    /// A client to be created.
    request struct CreateClusterClient {
        /// Its name, unique in the cluster.
        required client_name: String = "clientName",
        /// What it may use; all of them if absent. An empty list is not accepted.
        optional permissions: Option<Vec<ClientPermission>> = "permissions",
    }
}

impl CreateClusterClient {
    /// A client of that name with all permissions.
    pub fn new(name: impl Into<String>) -> Self {
        CreateClusterClient {
            client_name: name.into(),
            permissions: None,
            extra: Default::default(),
        }
    }

    /// Gives it these permissions and no other. There has to be at least one: the API takes an empty
    /// list for all permissions, so creating the client fails with
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) and sends nothing.
    pub fn permissions(mut self, permissions: impl IntoIterator<Item = ClientPermission>) -> Self {
        self.permissions = Some(permissions.into_iter().collect());
        self
    }
}

object! {
    /// Where a client of a cluster finds its components.
    answer struct ClientLinks {
        /// The Console's page of the cluster.
        optional console: Option<String> = "console",
        /// Connectors.
        optional connectors: Option<String> = "connectors",
        /// The token endpoint.
        optional oauth: Option<String> = "oauth",
        /// Operate.
        optional operate: Option<String> = "operate",
        /// Optimize.
        optional optimize: Option<String> = "optimize",
        /// Tasklist.
        optional tasklist: Option<String> = "tasklist",
        /// Zeebe.
        optional zeebe: Option<String> = "zeebe",
    }
}

object! {
    /// A client just created. Its secret is shown this once.
    answer struct CreatedClusterClient {
        /// Its name.
        expected name: String = "name",
        /// Its id within the service; empty in older answers.
        expected uuid: String = "uuid",
        /// Its OAuth client id.
        required client_id: ClusterClientId = "clientId",
        /// Its OAuth client secret: the ONLY time that it is shown.
        required client_secret: Secret = "clientSecret",
        /// What it may use; empty in older answers.
        expected permissions: Vec<ClientPermission> = "permissions",
        /// The audience to ask a token for.
        optional audience: Option<String> = "audience",
        /// Where it finds the cluster's components.
        optional links: Option<ClientLinks> = "links",
    }
}

impl CreatedClusterClient {
    /// Everything a program needs to use the cluster as this client, ready to be kept:
    /// [`ClusterCredentials::write_env_file`].
    pub fn credentials(&self, cluster: &Cluster) -> ClusterCredentials {
        let mut variables = BTreeMap::new();
        let mut set = |name: &'static str, value: &str| {
            if !value.is_empty() {
                variables.insert(name.to_owned(), Secret::new(value));
            }
        };
        let links = self.links.clone().unwrap_or_default();
        let pick = |client: Option<String>, cluster: &Option<String>| {
            client.or_else(|| cluster.clone()).unwrap_or_default()
        };
        let oauth = pick(links.oauth, &cluster.links.oauth);
        set("ZEEBE_ADDRESS", &pick(links.zeebe, &cluster.links.zeebe));
        set("ZEEBE_CLIENT_ID", self.client_id.as_str());
        set("ZEEBE_CLIENT_SECRET", self.client_secret.expose());
        set("ZEEBE_AUTHORIZATION_SERVER_URL", &oauth);
        set("CAMUNDA_OAUTH_URL", &oauth);
        set(
            "ZEEBE_TOKEN_AUDIENCE",
            self.audience.as_deref().unwrap_or("zeebe.camunda.io"),
        );
        set("CAMUNDA_CLUSTER_ID", cluster.uuid.as_str());
        set("CAMUNDA_CLUSTER_REGION", &cluster.region.name);
        let scopes: Vec<&str> = self
            .permissions
            .iter()
            .map(ClientPermission::as_str)
            .collect();
        set("CAMUNDA_CREDENTIALS_SCOPES", &scopes.join(","));
        // Older answers do not say what the client may use; then it is shown the way everywhere.
        let may_use = |permission| scopes.is_empty() || self.permissions.contains(&permission);
        for (permission, name, link) in [
            (
                ClientPermission::Tasklist,
                "CAMUNDA_TASKLIST_BASE_URL",
                pick(links.tasklist, &cluster.links.tasklist),
            ),
            (
                ClientPermission::Optimize,
                "CAMUNDA_OPTIMIZE_BASE_URL",
                pick(links.optimize, &cluster.links.optimize),
            ),
            (
                ClientPermission::Operate,
                "CAMUNDA_OPERATE_BASE_URL",
                pick(links.operate, &cluster.links.operate),
            ),
        ] {
            if may_use(permission) {
                set(name, &link);
            }
        }
        ClusterCredentials::from_variables(variables)
    }
}

object! {
    /// How to connect as a client; without its secret, which is shown at creation only.
    answer struct ClusterClientConnectionDetails {
        /// The client's name.
        expected name: String = "name",
        /// Host and port of the cluster's Zeebe.
        expected zeebe_address: String = "ZEEBE_ADDRESS",
        /// The client's OAuth client id.
        expected zeebe_client_id: String = "ZEEBE_CLIENT_ID",
        /// The token endpoint.
        expected zeebe_authorization_server_url: String = "ZEEBE_AUTHORIZATION_SERVER_URL",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list clients",
    call: "cluster.clients.list",
    c_name: "camunda_cluster_client_list",
    path: "/clusters/{clusterUuid}/clients",
    answer: Some(Shape::list::<ClusterClient>()),
    doc: "Lists the clients of the cluster. The only place that tells a client's permissions.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
    ],
    ..Operation::READ
};

pub(crate) static CREATE: Operation = Operation {
    name: "create client",
    call: "cluster.clients.create",
    c_name: "camunda_cluster_client_create",
    path: "/clusters/{clusterUuid}/clients",
    body: Some(Shape::object::<CreateClusterClient>()),
    answer: Some(Shape::object::<CreatedClusterClient>()),
    answered_once: true,
    hint: Some(
        "look for the name among the cluster's clients; delete it there, since its secret is lost",
    ),
    doc: "Creates a client of the cluster; without permissions it gets all of them. An empty list of \
          permissions is not accepted. The answer is the ONLY time that the secret is shown. Never \
          sent twice.",
    non_empty: &[(
        "permissions",
        "the API takes that for all permissions: name at least one, or leave them out for all",
    )],
    errors: &[
        (400, "client names must be unique"),
        (
            403,
            "maximum number of clients reached, or cluster belongs to another organisation",
        ),
        (404, "no such cluster"),
    ],
    ..Operation::ONCE
};

pub(crate) static GET: Operation = Operation {
    name: "get client",
    call: "cluster.clients.get",
    c_name: "camunda_cluster_client_get",
    path: "/clusters/{clusterUuid}/clients/{clientId}",
    answer: Some(Shape::object::<ClusterClientConnectionDetails>()),
    doc: "Reads how to connect as a client, its secret left out.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster or client"),
        (412, "cluster not ready; try later"),
    ],
    ..Operation::READ
};

pub(crate) static DELETE: Operation = Operation {
    name: "delete client",
    call: "cluster.clients.delete",
    c_name: "camunda_cluster_client_delete",
    path: "/clusters/{clusterUuid}/clients/{clientId}",
    doc: "Deletes a client. Irreversible.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster or client"),
    ],
    ..Operation::REMOVE
};

/// The clients of a cluster: [`ClusterHandle::clients`](crate::ClusterHandle::clients).
#[derive(Debug, Clone, Copy)]
pub struct ClusterClients<'a> {
    pub(crate) admin: &'a AdminClient,
    pub(crate) cluster: &'a ClusterId,
}

impl ClusterClients<'_> {
    /// Lists the clients of the cluster. The only place that tells a client's permissions.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster.
    pub fn list(&self) -> Result<Vec<ClusterClient>> {
        self.admin.read(&LIST, &[self.cluster.as_str()])
    }

    /// Creates a client; without permissions it gets all of them.
    ///
    /// The answer is the ONLY time that the secret is shown: keep it at once, for example with
    /// [`CreatedClusterClient::credentials`]. Never sent twice. Where the answer arrives and cannot
    /// be decoded, [`Error::body`](crate::Error::body) has it.
    ///
    /// Errors: 400 client names must be unique; 403 maximum number of clients reached, or cluster
    /// belongs to another organisation; 404 no such cluster.
    pub fn create(&self, request: &CreateClusterClient) -> Result<CreatedClusterClient> {
        self.admin.send(&CREATE, &[self.cluster.as_str()], request)
    }

    /// Reads how to connect as a client, its secret left out.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster or client; 412
    /// cluster not ready, try later.
    pub fn get(&self, client: &ClusterClientId) -> Result<ClusterClientConnectionDetails> {
        self.admin
            .read(&GET, &[self.cluster.as_str(), client.as_str()])
    }

    /// Deletes a client. Irreversible.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster or client.
    pub fn delete(&self, client: &ClusterClientId) -> Result<()> {
        self.admin.tell(
            &DELETE,
            &[self.cluster.as_str(), client.as_str()],
            None::<&()>,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_old_with_three_fields_decodes() {
        let created: CreatedClusterClient =
            serde_json::from_str(r#"{"name":"a","clientId":"b","clientSecret":"c"}"#).unwrap();
        assert_eq!(created.client_secret.expose(), "c");
        assert_eq!((created.uuid.as_str(), created.permissions.len()), ("", 0));
        assert!(!format!("{created:?}").contains("\"c\""));
    }

    #[test]
    fn credentials_have_what_the_permissions_need() {
        let created: CreatedClusterClient = serde_json::from_str(
            r#"{"name":"a","uuid":"u","clientId":"b","clientSecret":"c","permissions":["Zeebe","Operate"],
               "audience":"zeebe.camunda.io","links":{"oauth":"https://o","zeebe":"z:443","operate":"https://op","tasklist":"https://t"}}"#,
        )
        .unwrap();
        let cluster: Cluster =
            serde_json::from_str(r#"{"uuid":"u1","region":{"uuid":"r","name":"bru-2"}}"#).unwrap();
        let credentials = created.credentials(&cluster);
        assert_eq!(
            credentials.get("CAMUNDA_OPERATE_BASE_URL"),
            Some("https://op")
        );
        assert_eq!(credentials.get("CAMUNDA_TASKLIST_BASE_URL"), None);
        assert_eq!(
            credentials.get("CAMUNDA_CREDENTIALS_SCOPES"),
            Some("Zeebe,Operate")
        );
        assert_eq!(credentials.get("CAMUNDA_CLUSTER_REGION"), Some("bru-2"));
        assert_eq!(credentials.get("CAMUNDA_OAUTH_URL"), Some("https://o"));
    }
}
