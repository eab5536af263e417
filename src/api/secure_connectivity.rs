//! Secure connectivity: access to a cluster over the cloud provider's private network.

use crate::api::clusters::ClusterId;
use crate::api::handle_macro::api_handle;
use crate::api::json::{Json, Number};
use crate::api::members::OrganizationId;
use crate::api::object_macro::api_object;
use crate::api::operation::{BodySchema, Operation};
use crate::api::timestamp::Timestamp;
use crate::error::Result;
use crate::transport::NOT_ACTIVE;

api_object! {
    /// Request to activate secure connectivity.
    request struct ActivateSecureConnectivity {
        /// Principals of the cloud provider that may connect.
        required allowed_principals: Vec<String> = "allowedPrincipals",
        /// Regions from which they may connect.
        required allowed_regions: Vec<String> = "allowedRegions",
    }
}

impl ActivateSecureConnectivity {
    /// Creates a request that allows connections of these principals from these regions.
    pub fn new(
        principals: impl IntoIterator<Item = impl Into<String>>,
        regions: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        ActivateSecureConnectivity {
            allowed_principals: principals.into_iter().map(Into::into).collect(),
            allowed_regions: regions.into_iter().map(Into::into).collect(),
            extra: Default::default(),
        }
    }
}

api_object! {
    /// Secure connectivity of a cluster.
    response struct SecureConnectivityStatus {
        /// Configuration and state; has no fields while secure connectivity is inactive.
        defaulted status: SecureConnectivityOrEmpty = "status",
    }
}

api_object! {
    /// Configuration and state of secure connectivity; has no fields while it is inactive.
    response struct SecureConnectivityOrEmpty {
        /// Name, namespace and labels.
        optional metadata: Option<SecureConnectivityMetadata> = "metadata",
        /// Requested configuration.
        optional spec: Option<SecureConnectivitySpec> = "spec",
        /// Current state.
        optional status: Option<SecureConnectivityState> = "status",
    }
}

api_object! {
    /// Metadata of a secure connectivity.
    response struct SecureConnectivityMetadata {
        /// Its name.
        defaulted name: String = "name",
        /// Its namespace.
        defaulted namespace: String = "namespace",
        /// Its labels.
        defaulted labels: OrgLabel = "labels",
    }
}

api_object! {
    /// Label with the organization's id.
    response struct OrgLabel {
        /// The organization.
        omittable org_id: Option<OrganizationId> = "orgId",
    }
}

api_object! {
    /// Requested configuration.
    response struct SecureConnectivitySpec {
        /// The cluster.
        defaulted cluster: ClusterRef = "cluster",
        /// Principals that may connect.
        defaulted allowed_principals: Vec<String> = "allowedPrincipals",
        /// Regions from which they may connect.
        defaulted allowed_regions: Vec<String> = "allowedRegions",
    }
}

api_object! {
    /// A reference to a cluster.
    response struct ClusterRef {
        /// Its id.
        omittable id: Option<ClusterId> = "id",
    }
}

api_object! {
    /// Current state.
    response struct SecureConnectivityState {
        /// Conditions.
        defaulted conditions: Vec<Condition> = "conditions",
        /// Endpoint on Camunda's side.
        defaulted endpoint: SecureEndpoint = "endpoint",
        /// Number of connections.
        defaulted endpoint_connection_count: Number = "endpointConnectionCount",
        /// The connections.
        optional endpoint_connections: Option<Vec<EndpointConnection>> = "endpointConnections",
        /// Revision of the configuration that this state reflects.
        defaulted observed_generation: Number = "observedGeneration",
        /// URLs by component, as the API returns them.
        defaulted urls: Json = "urls",
    }
}

api_object! {
    /// Condition in the format of Kubernetes.
    response struct Condition {
        /// Type of the condition.
        defaulted r#type: String = "type",
        /// `True`, `False` or `Unknown`.
        defaulted status: String = "status",
        /// Reason, as an identifier.
        defaulted reason: String = "reason",
        /// Human-readable message.
        defaulted message: String = "message",
        /// Time of the last change.
        defaulted last_transition_time: Timestamp = "lastTransitionTime",
        /// Revision of the configuration that it reflects.
        defaulted observed_generation: Number = "observedGeneration",
    }
}

api_object! {
    /// Endpoint of the private connection on Camunda's side.
    response struct SecureEndpoint {
        /// Type of the endpoint.
        defaulted r#type: String = "type",
        /// Region.
        defaulted region: String = "region",
        /// Name of the service to connect to.
        defaulted service_name: String = "serviceName",
        /// Its private DNS name.
        defaulted private_dns_name: String = "privateDnsName",
    }
}

api_object! {
    /// Connection to the endpoint.
    response struct EndpointConnection {
        /// Id of the connecting endpoint.
        defaulted endpoint_id: String = "endpointId",
        /// Id of the service.
        defaulted service_id: String = "serviceId",
        /// Owner of the connecting endpoint.
        defaulted owner: String = "owner",
        /// State of the connection.
        defaulted state: String = "state",
        /// Creation time.
        defaulted creation_timestamp: Timestamp = "creationTimestamp",
    }
}

pub(crate) static GET: Operation = Operation {
    name: "get secure connectivity",
    sdk_method: "cluster.secure_connectivity.get",
    c_function: "camunda_secure_connectivity_get",
    path: "/clusters/{clusterUuid}/secure-connectivity",
    response: Some(BodySchema::object::<SecureConnectivityStatus>()),
    doc: "Returns the secure connectivity; its `status` is an empty object while it is inactive.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static ACTIVATE: Operation = Operation {
    name: "activate secure connectivity",
    sdk_method: "cluster.secure_connectivity.activate",
    c_function: "camunda_secure_connectivity_activate",
    path: "/clusters/{clusterUuid}/secure-connectivity",
    body: Some(BodySchema::object::<ActivateSecureConnectivity>()),
    recovery_hint: Some("read the cluster's secure connectivity"),
    doc: "Activates secure connectivity for these principals and regions.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
        (409, "already active"),
    ],
    ..Operation::POST_DEFAULTS
};

pub(crate) static DEACTIVATE: Operation = Operation {
    name: "deactivate secure connectivity",
    sdk_method: "cluster.secure_connectivity.deactivate",
    c_function: "camunda_secure_connectivity_deactivate",
    path: "/clusters/{clusterUuid}/secure-connectivity",
    doc: "Deactivates secure connectivity.",
    documented_errors: &[
        (403, "cluster belongs to another organization"),
        (404, "no such cluster"),
        (409, NOT_ACTIVE),
    ],
    ..Operation::DELETE_DEFAULTS
};

api_handle! {
    /// Operations on the secure connectivity of a cluster; see
    /// [`ClusterHandle::secure_connectivity`](crate::ClusterHandle::secure_connectivity).
    struct SecureConnectivity;
    /// Returns the operations on the cluster's secure connectivity.
    fn secure_connectivity(&ClusterHandle);
}

impl SecureConnectivity {
    /// Returns the secure connectivity.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster.
    pub fn get(&self) -> Result<SecureConnectivityStatus> {
        self.admin.get(&GET, &[self.cluster.as_str()])
    }

    /// Activates secure connectivity for the principals and regions of the request.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster; 409 already active.
    pub fn activate(&self, request: &ActivateSecureConnectivity) -> Result<()> {
        self.admin
            .send_without_response(&ACTIVATE, &[self.cluster.as_str()], Some(request))
    }

    /// Deactivates secure connectivity.
    ///
    /// # Errors
    ///
    /// 403 cluster belongs to another organization; 404 no such cluster; 409 not active.
    pub fn deactivate(&self) -> Result<()> {
        self.admin
            .send_without_response(&DEACTIVATE, &[self.cluster.as_str()], None::<&()>)
    }
}
