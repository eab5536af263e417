//! External (bring-your-own) monitoring of a cluster: activation, status and clients.

use crate::api::handle_macro::api_handle;
use crate::api::id_macro::api_id;
use crate::api::json::Json;
use crate::api::members::UserId;
use crate::api::object_macro::api_object;
use crate::api::operation::{BodySchema, Operation};
use crate::api::timestamp::Timestamp;
use crate::error::Result;
use crate::secret::Secret;
use crate::transport::NOT_ACTIVE;

api_id! {
    /// Id of a monitoring client.
    struct MonitoringClientId;
}

api_object! {
    /// Monitoring client: credentials with which a monitoring system reads a cluster's metrics.
    response struct MonitoringClient {
        /// Its id.
        required uuid: MonitoringClientId = "uuid",
        /// Its name.
        defaulted name: String = "name",
        /// Its user name.
        defaulted username: String = "username",
        /// Creation time.
        defaulted created: Timestamp = "created",
        /// Time of the last use; absent if never used.
        omittable last_used: Option<Timestamp> = "lastUsed",
        /// Id of the user who created it.
        omittable created_by: Option<UserId> = "createdBy",
        /// Name of the user who created it.
        defaulted created_by_name: String = "createdByName",
    }
}

api_object! {
    /// Request to create a monitoring client.
    request struct CreateMonitoringClient {
        /// Its user name.
        required username: String = "username",
    }
}

api_object! {
    /// Monitoring client with its password, which the API returns only once.
    response struct CreatedMonitoringClient {
        /// Its id.
        required uuid: MonitoringClientId = "uuid",
        /// Its name.
        defaulted name: String = "name",
        /// Its user name.
        defaulted username: String = "username",
        /// Creation time.
        defaulted created: Timestamp = "created",
        /// Time of the last use; absent if never used.
        omittable last_used: Option<Timestamp> = "lastUsed",
        /// Id of the user who created it.
        omittable created_by: Option<UserId> = "createdBy",
        /// Name of the user who created it.
        defaulted created_by_name: String = "createdByName",
        /// Password, which the API returns only once.
        required password: Secret = "password",
    }
}

api_object! {
    /// Metrics endpoint of a cluster.
    response struct MetricsEndpoint {
        /// URL scheme, usually `https`.
        defaulted scheme: String = "scheme",
        /// Host and port.
        defaulted target: String = "target",
        /// The path.
        defaulted path: String = "path",
    }
}

api_object! {
    /// Status of monitoring; has no fields while monitoring is inactive.
    response struct MonitoringStatus {
        /// Metrics endpoint.
        optional metrics_endpoint: Option<MetricsEndpoint> = "metricsEndpoint",
        /// Conditions, as the API returns them.
        optional conditions: Option<Vec<Json>> = "conditions",
    }
}

api_object! {
    /// Monitoring of a cluster.
    response struct Monitoring {
        /// Its clients.
        defaulted clients: Vec<MonitoringClient> = "clients",
        /// Status.
        defaulted status: MonitoringStatus = "status",
    }
}

pub(crate) static ACTIVATE: Operation = Operation {
    name: "activate monitoring",
    sdk_method: "cluster.monitoring.activate",
    c_function: "camunda_monitoring_activate",
    path: "/clusters/{clusterUuid}/monitoring",
    recovery_hint: Some("read the cluster's monitoring status"),
    doc: "Activates external (bring-your-own) monitoring.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
        (409, "already active"),
    ],
    ..Operation::POST_DEFAULTS
};

pub(crate) static DEACTIVATE: Operation = Operation {
    name: "deactivate monitoring",
    sdk_method: "cluster.monitoring.deactivate",
    c_function: "camunda_monitoring_deactivate",
    path: "/clusters/{clusterUuid}/monitoring",
    doc: "Deactivates external monitoring.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
        (409, NOT_ACTIVE),
    ],
    ..Operation::DELETE_DEFAULTS
};

pub(crate) static GET: Operation = Operation {
    name: "list monitoring clients",
    sdk_method: "cluster.monitoring.get",
    c_function: "camunda_monitoring_get",
    path: "/clusters/{clusterUuid}/monitoring/clients",
    response: Some(BodySchema::object::<Monitoring>()),
    doc: "Returns the monitoring clients and the status of monitoring, which is an empty object \
          while monitoring is inactive.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static CREATE_CLIENT: Operation = Operation {
    name: "create monitoring client",
    sdk_method: "cluster.monitoring.create_client",
    c_function: "camunda_monitoring_create_client",
    path: "/clusters/{clusterUuid}/monitoring/clients",
    body: Some(BodySchema::object::<CreateMonitoringClient>()),
    response: Some(BodySchema::object::<CreatedMonitoringClient>()),
    one_time_response: true,
    recovery_hint: Some(
        "look for its user name among the monitoring clients; rotate its password there",
    ),
    doc: "Creates a monitoring client. The API returns the password ONLY in this response. \
          Non-idempotent.",
    documented_errors: &[(404, "no such cluster")],
    ..Operation::POST_DEFAULTS
};

pub(crate) static DELETE_CLIENT: Operation = Operation {
    name: "delete monitoring client",
    sdk_method: "cluster.monitoring.delete_client",
    c_function: "camunda_monitoring_delete_client",
    path: "/clusters/{clusterUuid}/monitoring/clients/{clientUuid}",
    doc: "Deletes a monitoring client. Irreversible.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such client"),
    ],
    ..Operation::DELETE_DEFAULTS
};

pub(crate) static ROTATE_PASSWORD: Operation = Operation {
    name: "rotate monitoring client password",
    sdk_method: "cluster.monitoring.rotate_password",
    c_function: "camunda_monitoring_rotate_password",
    path: "/clusters/{clusterUuid}/monitoring/clients/{clientUuid}/rotate",
    response: Some(BodySchema::object::<CreatedMonitoringClient>()),
    one_time_response: true,
    recovery_hint: Some("try the old password; if it no longer works, rotate again"),
    doc: "Replaces the password of a monitoring client. The API returns the new one ONLY in this \
          response. Non-idempotent.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such client"),
    ],
    ..Operation::POST_DEFAULTS
};

api_handle! {
    /// Operations on the monitoring of a cluster; see
    /// [`ClusterHandle::monitoring`](crate::ClusterHandle::monitoring).
    struct ClusterMonitoring;
    /// Returns the operations on the cluster's monitoring.
    fn monitoring(&ClusterHandle);
}

impl ClusterMonitoring {
    /// Activates external (bring-your-own) monitoring.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster; 409 already active.
    pub fn activate(&self) -> Result<()> {
        self.admin
            .send_without_response(&ACTIVATE, &[self.cluster.as_str()], None::<&()>)
    }

    /// Deactivates external monitoring.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster; 409 not active.
    pub fn deactivate(&self) -> Result<()> {
        self.admin
            .send_without_response(&DEACTIVATE, &[self.cluster.as_str()], None::<&()>)
    }

    /// Returns the monitoring clients and the status of monitoring.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster.
    pub fn get(&self) -> Result<Monitoring> {
        self.admin.get(&GET, &[self.cluster.as_str()])
    }

    /// Creates a monitoring client. The API returns the password ONLY in this response.
    /// Non-idempotent.
    ///
    /// # Errors
    ///
    /// 404 no such cluster.
    pub fn create_client(&self, username: &str) -> Result<CreatedMonitoringClient> {
        let request = CreateMonitoringClient {
            username: username.to_owned(),
            extra: Default::default(),
        };
        self.admin
            .send(&CREATE_CLIENT, &[self.cluster.as_str()], &request)
    }

    /// Deletes a monitoring client. Irreversible.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such client.
    pub fn delete_client(&self, client: &MonitoringClientId) -> Result<()> {
        self.admin.send_without_response(
            &DELETE_CLIENT,
            &[self.cluster.as_str(), client.as_str()],
            None::<&()>,
        )
    }

    /// Replaces the password of a monitoring client. The API returns the new one ONLY in this
    /// response. Non-idempotent.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such client.
    pub fn rotate_password(&self, client: &MonitoringClientId) -> Result<CreatedMonitoringClient> {
        self.admin
            .get(&ROTATE_PASSWORD, &[self.cluster.as_str(), client.as_str()])
    }
}
