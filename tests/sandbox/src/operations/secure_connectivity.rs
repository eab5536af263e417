//! Secure connectivity: private endpoint of a cluster.

use serde_json::{Value, json};

use super::{Call, Change, Operation};
use crate::clock::iso8601;
use crate::cluster::{Cluster, SecureConnectivity};
use crate::permissions::Permission;
use crate::response::Response;

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("GET", "/clusters/{clusterUuid}/secure-connectivity", "get secure connectivity", Some(Permission::ClusterGet), "", "SecureConnectivityStatus", "403 404", get),
    Operation::new("POST", "/clusters/{clusterUuid}/secure-connectivity", "activate secure connectivity", Some(Permission::ClusterUpdate), "ActivateSecureConnectivity", "", "403 404 409", activate).non_idempotent(),
    Operation::new("DELETE", "/clusters/{clusterUuid}/secure-connectivity", "deactivate secure connectivity", Some(Permission::ClusterUpdate), "", "", "403 404 409", deactivate),
];

fn get(call: &mut Call<'_>) -> Result<Response, Response> {
    let organization = call.organization.to_string();
    let cluster = call.own_cluster()?;
    let status = match &cluster.secure_connectivity {
        None => json!({}),
        Some(connectivity) => details(cluster, connectivity, &organization),
    };
    Ok(Response::ok(&json!({ "status": status })))
}

fn activate(call: &mut Call<'_>) -> Result<Response, Response> {
    let now = call.now;
    let mut fields = call.fields()?;
    let allowed_principals = fields.strings("allowedPrincipals")?;
    let allowed_regions = fields.strings("allowedRegions")?;
    fields.finish()?;
    let cluster = call.own_cluster()?;
    if cluster.secure_connectivity.is_some() {
        return Err(Response::message(
            409,
            "secure connectivity is active already",
        ));
    }
    cluster.secure_connectivity = Some(SecureConnectivity {
        since: now,
        allowed_principals,
        allowed_regions,
    });
    let uuid = cluster.uuid.clone();
    call.record(
        Change::Created,
        "secure connectivity",
        &uuid,
        "activated secure connectivity",
    );
    Ok(Response::no_content())
}

fn deactivate(call: &mut Call<'_>) -> Result<Response, Response> {
    let cluster = call.own_cluster()?;
    if cluster.secure_connectivity.take().is_none() {
        return Err(Response::message(409, "secure connectivity is not active"));
    }
    let uuid = cluster.uuid.clone();
    call.record(
        Change::Deleted,
        "secure connectivity",
        &uuid,
        "deactivated secure connectivity",
    );
    Ok(Response::no_content())
}

fn details(cluster: &Cluster, connectivity: &SecureConnectivity, organization: &str) -> Value {
    let region = cluster.region_code("region").unwrap_or_default();
    let service = format!("vpce-svc-{}", cluster.uuid.replace('-', ""));
    json!({
        "metadata": {
            "name": cluster.uuid,
            "namespace": format!("{}-zeebe", cluster.uuid),
            "labels": { "orgId": organization },
        },
        "spec": {
            "cluster": { "id": cluster.uuid },
            "allowedPrincipals": connectivity.allowed_principals,
            "allowedRegions": connectivity.allowed_regions,
        },
        "status": {
            "conditions": [{
                "type": "Ready",
                "status": "True",
                "reason": "EndpointReady",
                "message": "",
                "lastTransitionTime": iso8601(connectivity.since),
                "observedGeneration": 1,
            }],
            "endpoint": {
                "type": "Interface",
                "region": region,
                "serviceName": format!("com.amazonaws.vpce.{region}.{service}"),
                "privateDnsName": format!("{}.private.camunda.io", cluster.uuid),
            },
            "endpointConnectionCount": 0,
            "endpointConnections": [],
            "observedGeneration": 1,
            "urls": { "zeebe": cluster.links()["zeebe"] },
        },
    })
}
