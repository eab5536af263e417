//! Secure connectivity: reaching a cluster over the cloud provider's private network.

use crate::api::admin::AdminClient;
use crate::api::clusters::ClusterId;
use crate::api::object::{Json, Number, object};
use crate::api::operation::{Operation, Shape};
use crate::error::Result;

object! {
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

object! {
    /// The secure connectivity of a cluster.
    answer struct SecureConnectivityStatus {
        /// How it is; without fields while it is off.
        expected status: SecureConnectivityOrEmpty = "status",
    }
}

object! {
    /// Secure connectivity as it is, or nothing while it is off.
    answer struct SecureConnectivityOrEmpty {
        /// What it is called.
        optional metadata: Option<SecureConnectivityMetadata> = "metadata",
        /// What was asked for.
        optional spec: Option<SecureConnectivitySpec> = "spec",
        /// What is there.
        optional status: Option<SecureConnectivityState> = "status",
    }
}

object! {
    /// What a secure connectivity is called.
    answer struct SecureConnectivityMetadata {
        /// Its name.
        expected name: String = "name",
        /// Its namespace.
        expected namespace: String = "namespace",
        /// Its labels.
        expected labels: OrgLabel = "labels",
    }
}

object! {
    /// The label that names the organisation.
    answer struct OrgLabel {
        /// The organisation.
        expected org_id: String = "orgId",
    }
}

object! {
    /// What was asked for.
    answer struct SecureConnectivitySpec {
        /// The cluster.
        expected cluster: ClusterRef = "cluster",
        /// Principals that may connect.
        expected allowed_principals: Vec<String> = "allowedPrincipals",
        /// Regions from which they may.
        expected allowed_regions: Vec<String> = "allowedRegions",
    }
}

object! {
    /// A reference to a cluster.
    answer struct ClusterRef {
        /// Its id.
        expected id: String = "id",
    }
}

object! {
    /// What is there.
    answer struct SecureConnectivityState {
        /// What has been reached so far.
        expected conditions: Vec<Condition> = "conditions",
        /// The service's end.
        expected endpoint: SecureEndpoint = "endpoint",
        /// How many connections there are.
        expected endpoint_connection_count: Number = "endpointConnectionCount",
        /// The connections.
        optional endpoint_connections: Option<Vec<EndpointConnection>> = "endpointConnections",
        /// Which change of the request this state answers.
        expected observed_generation: Number = "observedGeneration",
        /// Addresses by component, as the service gives them.
        expected urls: Json = "urls",
    }
}

object! {
    /// Something that has been reached or not, as Kubernetes writes it.
    answer struct Condition {
        /// What.
        expected r#type: String = "type",
        /// `True`, `False` or `Unknown`.
        expected status: String = "status",
        /// Why, in a word.
        expected reason: String = "reason",
        /// Why, in a sentence.
        expected message: String = "message",
        /// Since when: RFC 3339, UTC.
        expected last_transition_time: String = "lastTransitionTime",
        /// Which change of the request it answers.
        expected observed_generation: Number = "observedGeneration",
    }
}

object! {
    /// The service's end of the private connection.
    answer struct SecureEndpoint {
        /// Its kind.
        expected r#type: String = "type",
        /// Where it is.
        expected region: String = "region",
        /// The name to connect to.
        expected service_name: String = "serviceName",
        /// Its private DNS name.
        expected private_dns_name: String = "privateDnsName",
    }
}

object! {
    /// A connection to the endpoint.
    answer struct EndpointConnection {
        /// The connecting endpoint.
        expected endpoint_id: String = "endpointId",
        /// The service connected to.
        expected service_id: String = "serviceId",
        /// Who connects.
        expected owner: String = "owner",
        /// How the connection is.
        expected state: String = "state",
        /// Since when: RFC 3339, UTC.
        expected creation_timestamp: String = "creationTimestamp",
    }
}

pub(crate) static GET: Operation = Operation {
    name: "get secure connectivity",
    call: "cluster.secure_connectivity.get",
    c_name: "camunda_secure_connectivity_get",
    path: "/clusters/{clusterUuid}/secure-connectivity",
    answer: Some(Shape::object::<SecureConnectivityStatus>()),
    doc: "Reads the secure connectivity; its `status` is an empty object while it is off.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
    ],
    ..Operation::READ
};

pub(crate) static ACTIVATE: Operation = Operation {
    name: "activate secure connectivity",
    call: "cluster.secure_connectivity.activate",
    c_name: "camunda_secure_connectivity_activate",
    path: "/clusters/{clusterUuid}/secure-connectivity",
    body: Some(Shape::object::<ActivateSecureConnectivity>()),
    hint: Some("read the cluster's secure connectivity"),
    doc: "Switches secure connectivity on, for these principals and regions.",
    errors: &[
        (403, "cluster belongs to another organisation"),
        (404, "no such cluster"),
        (409, "already active"),
    ],
    ..Operation::ONCE
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
    ..Operation::REMOVE
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
            .tell(&ACTIVATE, &[self.cluster.as_str()], Some(request))
    }

    /// Switches it off.
    ///
    /// Errors: 403 cluster belongs to another organisation; 404 no such cluster; 409 not active.
    pub fn deactivate(&self) -> Result<()> {
        self.admin
            .tell(&DEACTIVATE, &[self.cluster.as_str()], None::<&()>)
    }
}
