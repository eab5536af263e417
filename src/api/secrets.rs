//! Connector secrets of a cluster. Requests and responses contain secret values.

use std::collections::BTreeMap;

use crate::api::handle_macro::api_handle;
use crate::api::object_macro::api_object;
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;
use crate::secret::Secret;

/// Connector secrets: a map from name to value.
pub type Secrets = BTreeMap<String, Secret>;

api_object! {
    /// Request to create a connector secret.
    request struct CreateSecret {
        /// Name, fewer than 50 characters.
        required secret_name: String = "secretName",
        /// Its value.
        required secret_value: Secret = "secretValue",
    }
}

api_object! {
    /// Request to update a connector secret.
    request struct UpdateSecret {
        /// New value.
        required secret_value: Secret = "secretValue",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list secrets",
    sdk_method: "cluster.secrets.list",
    c_function: "camunda_secret_list",
    path: "/clusters/{clusterUuid}/secrets",
    response: Some(BodySchema::secrets()),
    doc: "Lists the connector secrets of the cluster with their VALUES: the response is secret.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static CREATE: Operation = Operation {
    name: "create secret",
    sdk_method: "cluster.secrets.create",
    c_function: "camunda_secret_create",
    path: "/clusters/{clusterUuid}/secrets",
    body: Some(BodySchema::object::<CreateSecret>()),
    recovery_hint: Some("look for its name among the cluster's secrets"),
    doc: "Creates a connector secret. Its name must have fewer than 50 characters.",
    documented_errors: &[
        (400, "name has 50 characters or more"),
        (
            403,
            "maximum number of secrets reached, or cluster belongs to another organization",
        ),
        (404, "no such cluster"),
        (
            409,
            "name taken, or another change to the secrets is in progress (then retry)",
        ),
    ],
    ..Operation::POST_DEFAULTS
};

pub(crate) static UPDATE: Operation = Operation {
    name: "update secret",
    sdk_method: "cluster.secrets.update",
    c_function: "camunda_secret_update",
    path: "/clusters/{clusterUuid}/secrets/{secretName}",
    body: Some(BodySchema::object::<UpdateSecret>()),
    doc: "Sets a new value of a connector secret.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
        (409, "another change to the secrets is in progress, retry"),
    ],
    ..Operation::PUT_DEFAULTS
};

pub(crate) static DELETE: Operation = Operation {
    name: "delete secret",
    sdk_method: "cluster.secrets.delete",
    c_function: "camunda_secret_delete",
    path: "/clusters/{clusterUuid}/secrets/{secretName}",
    doc: "Deletes a connector secret, which the list may still contain for a short time. \
          Irreversible.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (409, "another change to the secrets is in progress, retry"),
    ],
    ..Operation::DELETE_DEFAULTS
};

api_handle! {
    /// Operations on the connector secrets of a cluster; see
    /// [`ClusterHandle::secrets`](crate::ClusterHandle::secrets).
    ///
    /// ```no_run
    /// # let admin = camunda_admin::AdminClient::from_env()?;
    /// # let id: camunda_admin::ClusterId = "3f0e9a52-7f0c-4a6e-9d0b-7b8f2f6c1d11".parse()?;
    /// admin.cluster(&id).secrets().create("API_KEY", "my-key")?;
    /// for (name, _) in &admin.cluster(&id).secrets().list()? {
    ///     println!("{name}");
    /// }
    /// # Ok::<(), camunda_admin::Error>(())
    /// ```
    struct ClusterSecrets;
    /// Returns the operations on the cluster's connector secrets.
    fn secrets(&ClusterHandle);
}

impl ClusterSecrets {
    /// Lists the secrets with their values, which only [`Secret::expose`] returns.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster.
    pub fn list(&self) -> Result<Secrets> {
        self.admin.get(&LIST, &[self.cluster.as_str()])
    }

    /// Creates a secret. Its name must have fewer than 50 characters.
    ///
    /// # Errors
    ///
    /// 400 name has 50 characters or more; 403 maximum number of secrets reached, or cluster
    /// belongs to another organization; 404 no such cluster; 409 name taken, or another change to
    /// the secrets is in progress (then retry).
    pub fn create(&self, name: &str, value: impl Into<Secret>) -> Result<()> {
        let request = CreateSecret {
            secret_name: name.to_owned(),
            secret_value: value.into(),
            extra: Default::default(),
        };
        self.admin
            .send_without_response(&CREATE, &[self.cluster.as_str()], Some(&request))
    }

    /// Sets a new value of a secret.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster; 409 another change to the
    /// secrets is in progress, retry.
    pub fn update(&self, name: &str, value: impl Into<Secret>) -> Result<()> {
        let request = UpdateSecret {
            secret_value: value.into(),
            extra: Default::default(),
        };
        self.admin
            .send_without_response(&UPDATE, &[self.cluster.as_str(), name], Some(&request))
    }

    /// Deletes a secret. Irreversible. The list may still contain it for a short time.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 409 another change to the secrets is in
    /// progress, retry.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.admin
            .send_without_response(&DELETE, &[self.cluster.as_str(), name], None::<&()>)
    }
}
