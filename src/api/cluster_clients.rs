//! Cluster clients: credentials with which programs access a cluster.

use std::collections::BTreeMap;
use std::path::Path;

use crate::api::cluster_operations;
use crate::api::clusters::{Cluster, ClusterId, ClusterLinks};
use crate::api::enum_macro::api_enum;
use crate::api::handle_macro::api_handle;
use crate::api::id_macro::api_id;
use crate::api::object_macro::api_object;
use crate::api::operation::{BodySchema, DECODED, Operation, encode};
use crate::credentials::{ClusterCredentials, DEFAULT_CLUSTER_AUDIENCE};
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::private_file::NewFile;
use crate::secret::{Secret, Zeroizing};

api_id! {
    /// Id of a cluster client: its OAuth client id.
    struct ClusterClientId;
}

api_enum! {
    /// Permission of a cluster client: a component that it may access.
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

api_object! {
    /// Cluster client, as in the list of the cluster's clients.
    response struct ClusterClient {
        /// Its name, unique in the cluster.
        defaulted name: String = "name",
        /// Its OAuth client id.
        required client_id: ClusterClientId = "clientId",
        /// Permissions; only the list of the cluster's clients has them.
        defaulted permissions: Vec<ClientPermission> = "permissions",
    }
}

api_object! {
    /// Request to create a cluster client.
    request struct CreateClusterClient {
        /// Its name, unique in the cluster.
        required client_name: String = "clientName",
        /// Permissions; all of them if absent. An empty list is not accepted.
        optional permissions: Option<Vec<ClientPermission>> = "permissions",
    }
}

impl CreateClusterClient {
    /// Creates a request for a client with all permissions.
    pub fn new(name: impl Into<String>) -> Self {
        CreateClusterClient {
            client_name: name.into(),
            permissions: None,
            extra: Default::default(),
        }
    }

    /// Restricts the client to these permissions. At least one is required: the API treats an empty
    /// list as all permissions, so creating the client then fails with
    /// [`ErrorKind::InvalidArgument`] and sends nothing.
    #[must_use]
    pub fn permissions(mut self, permissions: impl IntoIterator<Item = ClientPermission>) -> Self {
        self.permissions = Some(permissions.into_iter().collect());
        self
    }
}

api_object! {
    /// URLs of a cluster's components for a client.
    response struct ClientLinks {
        /// The Console's page of the cluster.
        optional console: Option<String> = "console",
        /// Connectors.
        optional connectors: Option<String> = "connectors",
        /// URL of the token endpoint.
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

api_object! {
    /// New cluster client, with its secret, which the API returns only once.
    response struct CreatedClusterClient {
        /// Its name.
        defaulted name: String = "name",
        /// Internal id; empty in responses of older API versions.
        defaulted uuid: String = "uuid",
        /// Its OAuth client id.
        required client_id: ClusterClientId = "clientId",
        /// OAuth client secret, which the API returns only once.
        required client_secret: Secret = "clientSecret",
        /// Permissions; empty in responses of older API versions.
        defaulted permissions: Vec<ClientPermission> = "permissions",
        /// Audience for token requests.
        optional audience: Option<String> = "audience",
        /// URLs of the cluster's components.
        optional links: Option<ClientLinks> = "links",
    }
}

impl CreatedClusterClient {
    /// Returns the credentials and URLs with which a program accesses the cluster as this client.
    ///
    /// To store them in a file, create the client with
    /// [`create_env_file`](ClusterClients::create_env_file) instead: with
    /// [`write_env_file`](ClusterCredentials::write_env_file) the secret is lost if the file cannot
    /// be written.
    #[must_use]
    pub fn credentials(&self, cluster: &Cluster) -> ClusterCredentials {
        self.credentials_for(&cluster.uuid, &cluster.links, &cluster.region.name)
    }

    fn credentials_for(
        &self,
        cluster: &ClusterId,
        cluster_links: &ClusterLinks,
        region_name: &str,
    ) -> ClusterCredentials {
        let mut variables = BTreeMap::new();
        let mut set = |name: &'static str, value: &str| {
            if !value.is_empty() {
                variables.insert(name.to_owned(), Secret::new(value));
            }
        };
        let links = self.links.clone().unwrap_or_default();
        let pick = |client: &Option<String>, cluster: &Option<String>| {
            client
                .as_ref()
                .or(cluster.as_ref())
                .cloned()
                .unwrap_or_default()
        };
        let oauth = pick(&links.oauth, &cluster_links.oauth);
        set("ZEEBE_ADDRESS", &pick(&links.zeebe, &cluster_links.zeebe));
        set("ZEEBE_CLIENT_ID", self.client_id.as_str());
        set("ZEEBE_CLIENT_SECRET", self.client_secret.expose());
        set("ZEEBE_AUTHORIZATION_SERVER_URL", &oauth);
        set("CAMUNDA_OAUTH_URL", &oauth);
        set(
            "ZEEBE_TOKEN_AUDIENCE",
            self.audience.as_deref().unwrap_or(DEFAULT_CLUSTER_AUDIENCE),
        );
        set("CAMUNDA_CLUSTER_ID", cluster.as_str());
        let urls = [
            &links.zeebe,
            &links.operate,
            &links.tasklist,
            &links.optimize,
            &cluster_links.zeebe,
            &cluster_links.operate,
            &cluster_links.tasklist,
            &cluster_links.optimize,
        ];
        let region = urls
            .into_iter()
            .flatten()
            .find_map(|url| region_code(url))
            // Not its name, such as `Belgium, Europe (europe-west1)`: programs build host names
            // from this variable.
            .or_else(|| Some(region_name).filter(|name| is_region_code(name)));
        set("CAMUNDA_CLUSTER_REGION", region.unwrap_or_default());
        let scopes: Vec<&str> = self
            .permissions
            .iter()
            .map(ClientPermission::as_str)
            .collect();
        set("CAMUNDA_CREDENTIALS_SCOPES", &scopes.join(","));
        // Responses of older API versions have no permissions; then all URLs are set.
        let may_use = |permission| scopes.is_empty() || self.permissions.contains(&permission);
        for (permission, name, link) in [
            (
                ClientPermission::Tasklist,
                "CAMUNDA_TASKLIST_BASE_URL",
                pick(&links.tasklist, &cluster_links.tasklist),
            ),
            (
                ClientPermission::Optimize,
                "CAMUNDA_OPTIMIZE_BASE_URL",
                pick(&links.optimize, &cluster_links.optimize),
            ),
            (
                ClientPermission::Operate,
                "CAMUNDA_OPERATE_BASE_URL",
                pick(&links.operate, &cluster_links.operate),
            ),
        ] {
            if may_use(permission) {
                set(name, &link);
            }
        }
        ClusterCredentials::from_variables(variables)
    }
}

/// Returns the region code in a component's host name: `bru-2` of
/// `https://bru-2.operate.camunda.io/…` and of `….bru-2.zeebe.camunda.io:443`.
fn region_code(url: &str) -> Option<&str> {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = host.split(['/', ':']).next()?;
    let mut labels = host.split('.');
    let mut before = labels.next()?;
    for label in labels {
        if ["zeebe", "operate", "tasklist", "optimize"].contains(&label) {
            return Some(before).filter(|code| is_region_code(code));
        }
        before = label;
    }
    None
}

/// Returns whether a string has the format of a region code: a location and a number, such as
/// `bru-2`.
fn is_region_code(text: &str) -> bool {
    text.len() <= 20
        && text.rsplit_once('-').is_some_and(|(place, number)| {
            !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
                && place.starts_with(|c: char| c.is_ascii_lowercase())
                && place
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        })
}

api_object! {
    /// Connection details of a cluster client, without its secret, which the API returns only at
    /// creation.
    response struct ClusterClientConnectionDetails {
        /// Name of the client.
        defaulted name: String = "name",
        /// Host and port of Zeebe.
        defaulted zeebe_address: String = "ZEEBE_ADDRESS",
        /// OAuth client id.
        omittable zeebe_client_id: Option<ClusterClientId> = "ZEEBE_CLIENT_ID",
        /// URL of the token endpoint.
        defaulted zeebe_authorization_server_url: String = "ZEEBE_AUTHORIZATION_SERVER_URL",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list clients",
    sdk_method: "cluster.clients.list",
    c_function: "camunda_cluster_client_list",
    path: "/clusters/{clusterUuid}/clients",
    response: Some(BodySchema::list::<ClusterClient>()),
    doc: "Lists the clients of the cluster, with their permissions, which no other operation returns.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static CREATE: Operation = Operation {
    name: "create client",
    sdk_method: "cluster.clients.create",
    c_function: "camunda_cluster_client_create",
    path: "/clusters/{clusterUuid}/clients",
    body: Some(BodySchema::object::<CreateClusterClient>()),
    response: Some(BodySchema::object::<CreatedClusterClient>()),
    one_time_response: true,
    recovery_hint: Some(
        "look for the name among the cluster's clients; delete it there unless you have its secret",
    ),
    doc: "Creates a client of the cluster; without `permissions` it gets all of them. An empty list \
          of permissions is not accepted. The API returns the secret ONLY in this response. \
          Non-idempotent.",
    non_empty: &[(
        "permissions",
        "the API treats it as all permissions: name at least one, or omit the field for all",
    )],
    documented_errors: &[
        (400, "client names must be unique"),
        (
            403,
            "maximum number of clients reached, or cluster belongs to another organization",
        ),
        (404, "no such cluster"),
    ],
    ..Operation::POST_DEFAULTS
};

pub(crate) static GET: Operation = Operation {
    name: "get client",
    sdk_method: "cluster.clients.get",
    c_function: "camunda_cluster_client_get",
    path: "/clusters/{clusterUuid}/clients/{clientId}",
    response: Some(BodySchema::object::<ClusterClientConnectionDetails>()),
    doc: "Returns the connection details of a client, without its secret.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster or client"),
        (412, "cluster not ready; try later"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static DELETE: Operation = Operation {
    name: "delete client",
    sdk_method: "cluster.clients.delete",
    c_function: "camunda_cluster_client_delete",
    path: "/clusters/{clusterUuid}/clients/{clientId}",
    doc: "Deletes a client. Irreversible.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster or client"),
    ],
    ..Operation::DELETE_DEFAULTS
};

api_handle! {
    /// Operations on the clients of a cluster; see
    /// [`ClusterHandle::clients`](crate::ClusterHandle::clients).
    ///
    /// ```no_run
    /// # let admin = camunda_admin::AdminClient::from_env()?;
    /// # let id: camunda_admin::ClusterId = "3f0e9a52-7f0c-4a6e-9d0b-7b8f2f6c1d11".parse()?;
    /// use camunda_admin::{ClientPermission, CreateClusterClient};
    ///
    /// // The API returns the secret only once, so the file (mode 0600) is created before the client.
    /// let worker = CreateClusterClient::new("worker").permissions([ClientPermission::Zeebe]);
    /// admin.cluster(&id).clients().create_env_file("worker.env", &worker)?;
    /// # Ok::<(), camunda_admin::Error>(())
    /// ```
    struct ClusterClients;
    /// Returns the operations on the cluster's clients, the credentials with which programs access
    /// it.
    fn clients(&ClusterHandle);
}

impl ClusterClients {
    /// Lists the clients of the cluster, with their permissions, which no other operation returns.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster.
    pub fn list(&self) -> Result<Vec<ClusterClient>> {
        self.admin.get(&LIST, &[self.cluster.as_str()])
    }

    /// Creates a client; without `permissions` it gets all of them. Non-idempotent.
    ///
    /// The API returns the secret ONLY in this response. To store it in a file, use
    /// [`create_env_file`](Self::create_env_file). If the response cannot be decoded,
    /// [`Error::body`] has it.
    ///
    /// # Errors
    ///
    /// 400 client names must be unique; 403 maximum number of clients reached, or cluster belongs
    /// to another organization; 404 no such cluster.
    pub fn create(&self, request: &CreateClusterClient) -> Result<CreatedClusterClient> {
        self.admin.send(&CREATE, &[self.cluster.as_str()], request)
    }

    /// Creates a client and writes its credentials to a new file, which
    /// [`ClusterCredentials::from_env_file`] reads.
    ///
    /// The API returns the secret only once, so the file is created before the client: with mode
    /// 0600, never overwriting another file, and with its disk space reserved. After the client was
    /// created, the file is filled and flushed. If no client was created, or if the outcome is
    /// unknown, the file is removed. The method also reads the cluster, for its URLs, if the
    /// credentials have the permission. One deadline covers all requests.
    ///
    /// # Errors
    ///
    /// Those of [`create`](Self::create); [`ErrorKind::Io`], with the outcome [`Outcome::NotSent`]
    /// if the file exists or cannot be created, and with [`Outcome::Completed`] if it cannot be
    /// filled afterwards. In the latter case the client exists, and [`Error::body`] has the
    /// response with its secret.
    pub fn create_env_file(
        &self,
        path: impl AsRef<Path>,
        request: &CreateClusterClient,
    ) -> Result<CreatedClusterClient> {
        let (created, _) = self.create_env_file_from(path.as_ref(), encode(request)?)?;
        Ok(created)
    }

    /// Creates a client and its file from an encoded request; also returns the unmodified response.
    pub(crate) fn create_env_file_from(
        &self,
        path: &Path,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<(CreatedClusterClient, Zeroizing<Vec<u8>>)> {
        let id = [self.cluster.as_str()];
        let call = self.admin.call();
        let get = self
            .admin
            .request_for(&cluster_operations::GET, &id, None)?;
        let create = self.admin.request_for(&CREATE, &id, Some(body))?;
        let transport = self.admin.transport();
        let mut cluster: Option<Cluster> = None;
        let read = transport.send(&get, &call, &mut |response| {
            let operation = &cluster_operations::GET;
            operation.decode(response, &mut cluster).map(drop)
        });
        let (links, region_name) = match read {
            // No permission to read clusters; creating a client requires another one.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Default::default(),
            read => {
                read?;
                let cluster = cluster.expect(DECODED);
                (cluster.links, cluster.region.name)
            }
        };
        let mut file = NewFile::create(path).map_err(|error| error.with_operation(CREATE.name))?;
        file.reserve(
            "Reserved for the credentials of a client that is being created.\n\
             If this text remains, the program was terminated: look for the client among those \
             of the cluster, and delete it there, since its secret is lost.",
        )
        .map_err(|error| error.with_operation(CREATE.name))?;
        let mut created: Option<CreatedClusterClient> = None;
        let mut response = Zeroizing::default();
        transport
            .send(&create, &call, &mut |received| {
                response = CREATE.decode(received, &mut created)?;
                Ok(())
            })
            .map_err(|error| match error.outcome() {
                Outcome::NotSent | Outcome::Rejected => error,
                _ => error.with_note(format!("{} was removed", path.display())),
            })?;
        let created = created.expect(DECODED);
        let credentials = created.credentials_for(&self.cluster, &links, &region_name);
        let filled = credentials
            .to_env_text()
            .and_then(|text| file.fill(text.as_bytes()));
        match filled {
            Ok(()) => Ok((created, response)),
            Err(error) => {
                let message = format!(
                    "the client was created, but {}; the error's body has the response with its \
                     secret",
                    error.message()
                );
                Err(
                    Error::new(ErrorKind::Io, Stage::Decode, Outcome::Completed, message)
                        .with_operation(CREATE.name)
                        .of_change("do not repeat it")
                        .with_body(response)
                        .with_underlying(error),
                )
            }
        }
    }

    /// Returns the connection details of a client, without its secret.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster or client; 412 cluster not
    /// ready; try later.
    pub fn get(&self, client: &ClusterClientId) -> Result<ClusterClientConnectionDetails> {
        self.admin
            .get(&GET, &[self.cluster.as_str(), client.as_str()])
    }

    /// Deletes a client. Irreversible.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster or client.
    pub fn delete(&self, client: &ClusterClientId) -> Result<()> {
        self.admin.send_without_response(
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
    fn created_client_decodes_from_response_of_older_api() {
        let created: CreatedClusterClient =
            serde_json::from_str(r#"{"name":"a","clientId":"b","clientSecret":"c"}"#).unwrap();
        assert_eq!(created.client_secret.expose(), "c");
        assert_eq!((created.uuid.as_str(), created.permissions.len()), ("", 0));
        assert!(!format!("{created:?}").contains("\"c\""));
    }

    #[test]
    fn credentials_have_variables_of_granted_permissions() {
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

    #[test]
    fn credentials_have_the_region_code_of_the_host_names() {
        let created: CreatedClusterClient =
            serde_json::from_str(r#"{"clientId":"b","clientSecret":"c"}"#).unwrap();
        let region = r#""region":{"uuid":"r","name":"Belgium, Europe (europe-west1)"}"#;
        for (links, code) in [
            (
                r#"{"zeebe":"f0a1.bru-2.zeebe.camunda.io:443"}"#,
                Some("bru-2"),
            ),
            (
                r#"{"operate":"https://syd-1.operate.camunda.io/f0a1"}"#,
                Some("syd-1"),
            ),
            (
                r#"{"zeebe":"","tasklist":"https://ont-10.tasklist.camunda.io/f0a1"}"#,
                Some("ont-10"),
            ),
            (
                r#"{"console":"https://console.cloud.camunda.io/org/a"}"#,
                None,
            ),
            (r#"{"operate":"https://operate.example.com/"}"#, None),
            (r#"{"zeebe":"localhost:26500"}"#, None),
            ("{}", None),
        ] {
            let cluster = format!(r#"{{"uuid":"u1",{region},"links":{links}}}"#);
            let cluster: Cluster = serde_json::from_str(&cluster).unwrap();
            let credentials = created.credentials(&cluster);
            assert_eq!(credentials.get("CAMUNDA_CLUSTER_REGION"), code, "{links}");
        }
    }
}
