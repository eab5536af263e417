//! Secure connectivity: reaching a cluster over the cloud provider's private network.

use crate::api::admin::AdminClient;
use crate::api::clusters::ClusterId;
use crate::api::object::{Json, Number, api_object};
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;

api_object! {
    /// Who may connect, and from where.
    request struct ActivateSecureConnectivity {
        /// Principals of the cloud provider that may connect.
        required allowed_principals: Vec<String> = "allowedPrincipals",
        /// Regions from which they may.
        required allowed_regions: Vec<String> = "allowedRegions",
    }
}

impl ActivateSecureConnectivity {
    /// Allows these principals from these regions.
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
    /// The secure connectivity of a cluster.
    response struct SecureConnectivityStatus {
        /// How it is; without fields while it is off.
        defaulted status: SecureConnectivityOrEmpty = "status",
    }
}

api_object! {
    /// Secure connectivity as it is, or nothing while it is off.
    response struct SecureConnectivityOrEmpty {
        /// What it is called.
        optional metadata: Option<SecureConnectivityMetadata> = "metadata",
        /// What was asked for.
        optional spec: Option<SecureConnectivitySpec> = "spec",
        /// What is there.
        optional status: Option<SecureConnectivityState> = "status",
    }
}

api_object! {
    /// What a secure connectivity is called.
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
    /// The label that names the organisation.
    response struct OrgLabel {
        /// The organisation.
        defaulted org_id: String = "orgId",
    }
}

api_object! {
    /// What was asked for.
    response struct SecureConnectivitySpec {
        /// The cluster.
        defaulted cluster: ClusterRef = "cluster",
        /// Principals that may connect.
        defaulted allowed_principals: Vec<String> = "allowedPrincipals",
        /// Regions from which they may.
        defaulted allowed_regions: Vec<String> = "allowedRegions",
    }
}

api_object! {
    /// A reference to a cluster.
    response struct ClusterRef {
        /// Its id.
        defaulted id: String = "id",
    }
}

api_object! {
    /// What is there.
    response struct SecureConnectivityState {
        /// What has been reached so far.
        defaulted conditions: Vec<Condition> = "conditions",
        /// The service's end.
        defaulted endpoint: SecureEndpoint = "endpoint",
        /// How many connections there are.
        defaulted endpoint_connection_count: Number = "endpointConnectionCount",
        /// The connections.
        optional endpoint_connections: Option<Vec<EndpointConnection>> = "endpointConnections",
        /// Which change of the request this state answers.
        defaulted observed_generation: Number = "observedGeneration",
        /// Addresses by component, as the service gives them.
        defaulted urls: Json = "urls",
    }
}

api_object! {
    /// Something that has been reached or not, as Kubernetes writes it.
    response struct Condition {
        /// What.
        defaulted r#type: String = "type",
        /// `True`, `False` or `Unknown`.
        defaulted status: String = "status",
        /// Why, in a word.
        defaulted reason: String = "reason",
        /// Why, in a sentence.
        defaulted message: String = "message",
        /// Since when: RFC 3339, UTC.
        defaulted last_transition_time: String = "lastTransitionTime",
        /// Which change of the request it answers.
        defaulted observed_generation: Number = "observedGeneration",
    }
}

api_object! {
    /// The service's end of the private connection.
    response struct SecureEndpoint {
        /// Its kind.
        defaulted r#type: String = "type",
        /// Where it is.
        defaulted region: String = "region",
        /// The name to connect to.
        defaulted service_name: String = "serviceName",
        /// Its private DNS name.
        defaulted private_dns_name: String = "privateDnsName",
    }
}

api_object! {
    /// A connection to the endpoint.
    response struct EndpointConnection {
        /// The connecting endpoint.
        defaulted endpoint_id: String = "endpointId",
        /// The service connected to.
        defaulted service_id: String = "serviceId",
        /// Who connects.
        defaulted owner: String = "owner",
        /// How the connection is.
        defaulted state: String = "state",
        /// Since when: RFC 3339, UTC.
        defaulted creation_timestamp: String = "creationTimestamp",
    }
}

pub(crate) static GET: Operation = Operation {
    name: "get secure connectivity",
    call: "cluster.secure_connectivity.get",
    c_name: "camunda_secure_connectivity_get",
    path: "/clusters/{clusterUuid}/secure-connectivity",
    answer: Some(BodySchema::object::<SecureConnectivityStatus>()),
    doc: "Reads the secure connectivity; its `status` is an empty object while it is off.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
    ],
    ..Operation::GET_DEFAULTS
};

pub(crate) static ACTIVATE: Operation = Operation {
    name: "activate secure connectivity",
    call: "cluster.secure_connectivity.activate",
    c_name: "camunda_secure_connectivity_activate",
    path: "/clusters/{clusterUuid}/secure-connectivity",
    body: Some(BodySchema::object::<ActivateSecureConnectivity>()),
    hint: Some("read the cluster's secure connectivity"),
    doc: "Switches secure connectivity on, for these principals and regions.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
        (409, "already active"),
    ],
    ..Operation::POST_DEFAULTS
};

pub(crate) static DEACTIVATE: Operation = Operation {
    name: "deactivate secure connectivity",
    call: "cluster.secure_connectivity.deactivate",
    c_name: "camunda_secure_connectivity_deactivate",
    path: "/clusters/{clusterUuid}/secure-connectivity",
    doc: "Switches secure connectivity off.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
        (409, "not active"),
    ],
    ..Operation::DELETE_DEFAULTS
};

/// The secure connectivity of a cluster:
/// [`ClusterHandle::secure_connectivity`](crate::ClusterHandle::secure_connectivity).
#[derive(Debug, Clone, Copy)]
pub struct SecureConnectivity<'a> {
    pub(crate) admin: &'a AdminClient,
    pub(crate) cluster: &'a ClusterId,
}

impl SecureConnectivity<'_> {
    /// Reads the secure connectivity.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster.
    pub fn get(&self) -> Result<SecureConnectivityStatus> {
        self.admin.read(&GET, &[self.cluster.as_str()])
    }

    /// Switches it on.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster; 409 already active.
    pub fn activate(&self, request: &ActivateSecureConnectivity) -> Result<()> {
        self.admin
            .send_without_response(&ACTIVATE, &[self.cluster.as_str()], Some(request))
    }

    /// Switches it off.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster; 409 not active.
    pub fn deactivate(&self) -> Result<()> {
        self.admin
            .send_without_response(&DEACTIVATE, &[self.cluster.as_str()], None::<&()>)
    }
}
