//! External (bring-your-own) monitoring of a cluster: its switch and its clients.

use crate::api::admin::AdminClient;
use crate::api::clusters::ClusterId;
use crate::api::object::{Json, api_id, api_object};
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;
use crate::secret::Secret;

api_id! {
    /// Names a monitoring client.
    struct MonitoringClientId;
}

api_object! {
    /// Credentials with which a monitoring system reads a cluster's metrics.
    response struct MonitoringClient {
        /// Its id.
        required uuid: MonitoringClientId = "uuid",
        /// Its name.
        defaulted name: String = "name",
        /// Its user name.
        defaulted username: String = "username",
        /// When it was created: RFC 3339, UTC.
        defaulted created: String = "created",
        /// When it was last used: RFC 3339, UTC; empty before.
        defaulted last_used: String = "lastUsed",
        /// Who created it: an id.
        defaulted created_by: String = "createdBy",
        /// Who created it: a name.
        defaulted created_by_name: String = "createdByName",
    }
}

api_object! {
    /// A monitoring client to be created.
    request struct CreateMonitoringClient {
        /// Its user name.
        required username: String = "username",
    }
}

api_object! {
    /// A monitoring client whose password is shown this once.
    response struct CreatedMonitoringClient {
        /// Its id.
        defaulted uuid: MonitoringClientId = "uuid",
        /// Its name.
        defaulted name: String = "name",
        /// Its user name.
        defaulted username: String = "username",
        /// When it was created: RFC 3339, UTC.
        defaulted created: String = "created",
        /// When it was last used: RFC 3339, UTC; empty before.
        defaulted last_used: String = "lastUsed",
        /// Who created it: an id.
        defaulted created_by: String = "createdBy",
        /// Who created it: a name.
        defaulted created_by_name: String = "createdByName",
        /// Its password: the ONLY time that it is shown.
        required password: Secret = "password",
    }
}

api_object! {
    /// Where a cluster's metrics are read.
    response struct MetricsEndpoint {
        /// `https`, as a rule.
        defaulted scheme: String = "scheme",
        /// Host and port.
        defaulted target: String = "target",
        /// The path.
        defaulted path: String = "path",
    }
}

api_object! {
    /// How monitoring is; without fields while it is off.
    response struct MonitoringStatus {
        /// Where metrics are read.
        optional metrics_endpoint: Option<MetricsEndpoint> = "metricsEndpoint",
        /// The service's conditions.
        optional conditions: Option<Vec<Json>> = "conditions",
    }
}

api_object! {
    /// The monitoring of a cluster.
    response struct Monitoring {
        /// Its clients.
        defaulted clients: Vec<MonitoringClient> = "clients",
        /// How it is.
        defaulted status: MonitoringStatus = "status",
    }
}

pub(crate) static ACTIVATE: Operation = Operation {
    name: "activate monitoring",
    call: "cluster.monitoring.activate",
    c_name: "camunda_monitoring_activate",
    path: "/clusters/{clusterUuid}/monitoring",
    hint: Some("read the cluster's monitoring status"),
    doc: "Switches external (bring-your-own) monitoring on.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
        (409, "already active"),
    ],
    ..Operation::POST_DEFAULTS
};

pub(crate) static DEACTIVATE: Operation = Operation {
    name: "deactivate monitoring",
    call: "cluster.monitoring.deactivate",
    c_name: "camunda_monitoring_deactivate",
    path: "/clusters/{clusterUuid}/monitoring",
    doc: "Switches external monitoring off.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
        (409, "not active"),
    ],
    ..Operation::DELETE_DEFAULTS
};

pub(crate) static GET: Operation = Operation {
    name: "list monitoring clients",
    call: "cluster.monitoring.get",
    c_name: "camunda_monitoring_get",
    path: "/clusters/{clusterUuid}/monitoring/clients",
    answer: Some(BodySchema::object::<Monitoring>()),
    doc: "Reads the monitoring clients and how monitoring is; its `status` is an empty object \
          while it is off.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static CREATE_CLIENT: Operation = Operation {
    name: "create monitoring client",
    call: "cluster.monitoring.create_client",
    c_name: "camunda_monitoring_create_client",
    path: "/clusters/{clusterUuid}/monitoring/clients",
    body: Some(BodySchema::object::<CreateMonitoringClient>()),
    answer: Some(BodySchema::object::<CreatedMonitoringClient>()),
    one_time_response: true,
    hint: Some("look for its user name among the monitoring clients; rotate its password there"),
    doc: "Creates a monitoring client. The password is shown this once. Never sent twice.",
    errors: &[(404, "no such cluster")],
    ..Operation::POST_DEFAULTS
};

pub(crate) static DELETE_CLIENT: Operation = Operation {
    name: "delete monitoring client",
    call: "cluster.monitoring.delete_client",
    c_name: "camunda_monitoring_delete_client",
    path: "/clusters/{clusterUuid}/monitoring/clients/{clientUuid}",
    doc: "Deletes a monitoring client. Irreversible.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such client"),
    ],
    ..Operation::DELETE_DEFAULTS
};

pub(crate) static ROTATE_PASSWORD: Operation = Operation {
    name: "rotate monitoring client password",
    call: "cluster.monitoring.rotate_password",
    c_name: "camunda_monitoring_rotate_password",
    path: "/clusters/{clusterUuid}/monitoring/clients/{clientUuid}/rotate",
    answer: Some(BodySchema::object::<CreatedMonitoringClient>()),
    one_time_response: true,
    hint: Some("try the old password; if it no longer works, rotate again"),
    doc: "Gives a monitoring client another password, which is shown this once. Never sent twice.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such client"),
    ],
    ..Operation::POST_DEFAULTS
};

/// The monitoring of a cluster:
/// [`ClusterHandle::monitoring`](crate::ClusterHandle::monitoring).
#[derive(Debug, Clone, Copy)]
pub struct ClusterMonitoring<'a> {
    pub(crate) admin: &'a AdminClient,
    pub(crate) cluster: &'a ClusterId,
}

impl ClusterMonitoring<'_> {
    /// Switches external (bring-your-own) monitoring on.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster; 409 already active.
    pub fn activate(&self) -> Result<()> {
        self.admin
            .send_without_response(&ACTIVATE, &[self.cluster.as_str()], None::<&()>)
    }

    /// Switches external monitoring off.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster; 409 not active.
    pub fn deactivate(&self) -> Result<()> {
        self.admin
            .send_without_response(&DEACTIVATE, &[self.cluster.as_str()], None::<&()>)
    }

    /// Reads the monitoring clients and how monitoring is.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster.
    pub fn get(&self) -> Result<Monitoring> {
        self.admin.read(&GET, &[self.cluster.as_str()])
    }

    /// Creates a monitoring client. The answer is the ONLY time that its password is shown. Never
    /// sent twice. Errors: 404 no such cluster.
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
    /// Errors: 403 cluster belongs to another organisation; 404 no such client.
    pub fn delete_client(&self, client: &MonitoringClientId) -> Result<()> {
        self.admin.send_without_response(
            &DELETE_CLIENT,
            &[self.cluster.as_str(), client.as_str()],
            None::<&()>,
        )
    }

    /// Gives a monitoring client another password. The answer is the ONLY time that it is shown.
    /// Never sent twice.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such client.
    pub fn rotate_password(&self, client: &MonitoringClientId) -> Result<CreatedMonitoringClient> {
        self.admin
            .read(&ROTATE_PASSWORD, &[self.cluster.as_str(), client.as_str()])
    }
}
