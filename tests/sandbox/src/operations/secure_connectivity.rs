//! Secure connectivity: private endpoint of a cluster.

use serde_json::{Value, json};

use super::{Call, Change};
use crate::clock::iso8601;
use crate::cluster::{Cluster, SecureConnectivity};
use crate::response::Response;

pub(super) fn get(call: &mut Call<'_>) -> Result<Response, Response> {
    let organisation = call.organisation.to_string();
    let cluster = call.own_cluster()?;
    let status = match &cluster.secure_connectivity {
        None => json!({}),
        Some(connectivity) => details(cluster, connectivity, &organisation),
    };
    Ok(Response::ok(&json!({ "status": status })))
}

pub(super) fn activate(call: &mut Call<'_>) -> Result<Response, Response> {
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

pub(super) fn deactivate(call: &mut Call<'_>) -> Result<Response, Response> {
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

fn details(cluster: &Cluster, connectivity: &SecureConnectivity, organisation: &str) -> Value {
    let region = cluster.region_code("region").unwrap_or_default();
    let service = format!("vpce-svc-{}", cluster.uuid.replace('-', ""));
    json!({
        "metadata": {
            "name": cluster.uuid,
            "namespace": format!("{}-zeebe", cluster.uuid),
            "labels": { "orgId": organisation },
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
