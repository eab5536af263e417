//! Cluster clients: the credentials that the API hands out for a cluster.

use std::collections::BTreeMap;
use std::path::Path;

use crate::api::admin::{AdminClient, encode};
use crate::api::clusters::{self, Cluster, ClusterId};
use crate::api::object::{api_enum, api_id, api_object};
use crate::api::operation::{BodySchema, Operation};
use crate::credentials::{ClusterCredentials, NewFile};
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::secret::{Secret, Zeroizing};

api_id! {
    /// Names a client of a cluster: its OAuth client id.
    struct ClusterClientId;
}

api_enum! {
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

api_object! {
    /// A client of a cluster, as the listing shows it.
    response struct ClusterClient {
        /// Its name, unique in the cluster.
        defaulted name: String = "name",
        /// Its OAuth client id.
        required client_id: ClusterClientId = "clientId",
        /// What it may use; the listing is the only place that says so.
        defaulted permissions: Vec<ClientPermission> = "permissions",
    }
}

api_object! {
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

api_object! {
    /// Where a client of a cluster finds its components.
    response struct ClientLinks {
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

api_object! {
    /// A client just created. Its secret is shown this once.
    response struct CreatedClusterClient {
        /// Its name.
        defaulted name: String = "name",
        /// Its id within the service; empty in older answers.
        defaulted uuid: String = "uuid",
        /// Its OAuth client id.
        required client_id: ClusterClientId = "clientId",
        /// Its OAuth client secret: the ONLY time that it is shown.
        required client_secret: Secret = "clientSecret",
        /// What it may use; empty in older answers.
        defaulted permissions: Vec<ClientPermission> = "permissions",
        /// The audience to ask a token for.
        optional audience: Option<String> = "audience",
        /// Where it finds the cluster's components.
        optional links: Option<ClientLinks> = "links",
    }
}

impl CreatedClusterClient {
    /// Everything a program needs to use the cluster as this client.
    ///
    /// To keep it in a file, create the client with
    /// [`create_env_file`](ClusterClients::create_env_file) instead: with
    /// [`write_env_file`](ClusterCredentials::write_env_file) the secret is lost if the file cannot be
    /// written.
    pub fn credentials(&self, cluster: &Cluster) -> ClusterCredentials {
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
        let oauth = pick(&links.oauth, &cluster.links.oauth);
        set("ZEEBE_ADDRESS", &pick(&links.zeebe, &cluster.links.zeebe));
        set("ZEEBE_CLIENT_ID", self.client_id.as_str());
        set("ZEEBE_CLIENT_SECRET", self.client_secret.expose());
        set("ZEEBE_AUTHORIZATION_SERVER_URL", &oauth);
        set("CAMUNDA_OAUTH_URL", &oauth);
        set(
            "ZEEBE_TOKEN_AUDIENCE",
            self.audience.as_deref().unwrap_or("zeebe.camunda.io"),
        );
        set("CAMUNDA_CLUSTER_ID", cluster.uuid.as_str());
        let addresses = [
            &links.zeebe,
            &links.operate,
            &links.tasklist,
            &links.optimize,
            &cluster.links.zeebe,
            &cluster.links.operate,
            &cluster.links.tasklist,
            &cluster.links.optimize,
        ];
        let region = addresses
            .into_iter()
            .flatten()
            .find_map(|address| region_code(address))
            // Not its name, such as `Belgium, Europe (europe-west1)`: programs build host names of it.
            .or_else(|| Some(cluster.region.name.as_str()).filter(|name| is_region_code(name)));
        set("CAMUNDA_CLUSTER_REGION", region.unwrap_or_default());
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
                pick(&links.tasklist, &cluster.links.tasklist),
            ),
            (
                ClientPermission::Optimize,
                "CAMUNDA_OPTIMIZE_BASE_URL",
                pick(&links.optimize, &cluster.links.optimize),
            ),
            (
                ClientPermission::Operate,
                "CAMUNDA_OPERATE_BASE_URL",
                pick(&links.operate, &cluster.links.operate),
            ),
        ] {
            if may_use(permission) {
                set(name, &link);
            }
        }
        ClusterCredentials::from_variables(variables)
    }
}

/// Returns the code of the region that is part of a component's host name: `bru-2` of
/// `https://bru-2.operate.camunda.io/…` and of `….bru-2.zeebe.camunda.io:443`.
fn region_code(address: &str) -> Option<&str> {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
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

/// Whether a text has the form of a region's code: a place and a number, such as `bru-2`.
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
    /// How to connect as a client; without its secret, which is shown at creation only.
    response struct ClusterClientConnectionDetails {
        /// The client's name.
        defaulted name: String = "name",
        /// Host and port of the cluster's Zeebe.
        defaulted zeebe_address: String = "ZEEBE_ADDRESS",
        /// The client's OAuth client id.
        defaulted zeebe_client_id: String = "ZEEBE_CLIENT_ID",
        /// The token endpoint.
        defaulted zeebe_authorization_server_url: String = "ZEEBE_AUTHORIZATION_SERVER_URL",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list clients",
    call: "cluster.clients.list",
    c_name: "camunda_cluster_client_list",
    path: "/clusters/{clusterUuid}/clients",
    answer: Some(BodySchema::list::<ClusterClient>()),
    doc: "Lists the clients of the cluster. The only place that tells a client's permissions.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static CREATE: Operation = Operation {
    name: "create client",
    call: "cluster.clients.create",
    c_name: "camunda_cluster_client_create",
    path: "/clusters/{clusterUuid}/clients",
    body: Some(BodySchema::object::<CreateClusterClient>()),
    answer: Some(BodySchema::object::<CreatedClusterClient>()),
    one_time_response: true,
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
    ..Operation::POST_DEFAULTS
};

pub(crate) static GET: Operation = Operation {
    name: "get client",
    call: "cluster.clients.get",
    c_name: "camunda_cluster_client_get",
    path: "/clusters/{clusterUuid}/clients/{clientId}",
    answer: Some(BodySchema::object::<ClusterClientConnectionDetails>()),
    doc: "Reads how to connect as a client, its secret left out.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster or client"),
        (412, "cluster not ready; try later"),
    ],
    ..Operation::GET_DEFAULTS
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
    ..Operation::DELETE_DEFAULTS
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
    /// The answer is the ONLY time that the secret is shown. To keep it in a file, use
    /// [`create_env_file`](Self::create_env_file). Never sent twice. Where the answer arrives and
    /// cannot be decoded, [`Error::body`](crate::Error::body) has it.
    ///
    /// Errors: 400 client names must be unique; 403 maximum number of clients reached, or cluster
    /// belongs to another organisation; 404 no such cluster.
    pub fn create(&self, request: &CreateClusterClient) -> Result<CreatedClusterClient> {
        self.admin.send(&CREATE, &[self.cluster.as_str()], request)
    }

    /// Creates a client, and keeps its credentials in a new file, from which
    /// [`ClusterCredentials::from_env_file`] reads them.
    ///
    /// The secret is shown only once, so the file comes first: it is created with mode 0600, never
    /// over another, and takes its room on the disk; then the client is created; then the file is
    /// filled and flushed. If no client was created, or if that is unknown, the file is removed
    /// again. The cluster is read as well, for its addresses, except where the credentials of this
    /// client may not do that. One deadline covers all of it.
    ///
    /// Errors: those of [`create`](Self::create), and
    /// [`ErrorKind::Io`](crate::ErrorKind::Io): with the outcome
    /// [`NotSent`](crate::Outcome::NotSent) if the file exists or cannot be created, and with
    /// [`Done`](crate::Outcome::Completed) if it cannot be filled afterwards. The client exists then, and
    /// [`Error::body`](crate::Error::body) has the response with its secret.
    pub fn create_env_file(
        &self,
        path: impl AsRef<Path>,
        request: &CreateClusterClient,
    ) -> Result<CreatedClusterClient> {
        let (created, _) = self.create_env_file_from(path.as_ref(), encode(request)?)?;
        Ok(created)
    }

    /// The same with the encoded request; also returns the response as it came.
    pub(crate) fn create_env_file_from(
        &self,
        path: &Path,
        body: Zeroizing<Vec<u8>>,
    ) -> Result<(CreatedClusterClient, Zeroizing<Vec<u8>>)> {
        let id = [self.cluster.as_str()];
        CREATE.check_lists(&body)?;
        let call = self.admin.call();
        let read = |answer| clusters::GET.decode::<Cluster>(answer);
        let cluster = match self
            .admin
            .exchange_in(&call, &clusters::GET, &id, None, read)
        {
            // Without the permission to read clusters; creating a client needs another one.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Cluster {
                uuid: self.cluster.clone(),
                ..Cluster::default()
            },
            read => read?,
        };
        let mut file = NewFile::create(path).map_err(|error| error.with_operation(CREATE.name))?;
        file.reserve(
            "Reserved for the credentials of a client that is being created.\n\
             If this text stays, the program was ended meanwhile: look for the client among those \
             of the cluster, and delete it there, since its secret is lost.",
        )
        .map_err(|error| error.with_operation(CREATE.name))?;
        let decode = |answer: Zeroizing<Vec<u8>>| {
            let created: CreatedClusterClient = CREATE.decode(answer.clone())?;
            Ok((created, answer))
        };
        let (created, answer) = self
            .admin
            .exchange_in(&call, &CREATE, &id, Some(body), decode)
            .map_err(|error| match error.outcome() {
                Outcome::NotSent | Outcome::Rejected => error,
                _ => error.with_note(format!("{} was removed", path.display())),
            })?;
        let credentials = created.credentials(&cluster);
        let filled = credentials
            .to_env_text()
            .and_then(|text| file.fill(text.as_bytes()));
        match filled {
            Ok(()) => Ok((created, answer)),
            Err(error) => {
                let message = format!(
                    "the client was created, but {}; the error's body has the response with its \
                     secret",
                    error.message()
                );
                Err(
                    Error::new(ErrorKind::Io, Stage::Decode, Outcome::Completed, message)
                        .with_operation(CREATE.name)
                        .with_body(answer)
                        .with_underlying(error),
                )
            }
        }
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
