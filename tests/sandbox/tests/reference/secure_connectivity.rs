//! Secure connectivity.

use serde_json::json;

use crate::api::{Api, names};

#[test]
fn secure_connectivity_is_activated_and_deactivated() {
    let api = Api::new();
    let cluster = api.cluster();
    let path = format!("/clusters/{cluster}/secure-connectivity");
    let body = json!({
        "allowedPrincipals": ["arn:aws:iam::123456789012:root"],
        "allowedRegions": ["us-east-1"],
    });
    assert_eq!(api.get(&path).expect(200).json(), json!({ "status": {} }));
    api.delete(&path).rejected(409, "not active");
    api.post(&path, body.clone()).expect(204);
    api.post(&path, body.clone())
        .rejected(409, "active already");

    let status = &api.get(&path).expect(200).json()["status"];
    assert_eq!(names(status), ["metadata", "spec", "status"]);
    assert_eq!(names(&status["metadata"]), ["labels", "name", "namespace"]);
    assert_eq!(names(&status["metadata"]["labels"]), ["orgId"]);
    assert_eq!(status["spec"]["cluster"], json!({ "id": cluster }));
    assert_eq!(
        status["spec"]["allowedPrincipals"],
        body["allowedPrincipals"]
    );
    assert_eq!(status["spec"]["allowedRegions"], body["allowedRegions"]);
    assert_eq!(
        names(&status["status"]),
        [
            "conditions",
            "endpoint",
            "endpointConnectionCount",
            "endpointConnections",
            "observedGeneration",
            "urls",
        ]
    );
    assert_eq!(status["status"]["endpoint"]["region"], "us-east-1");
    assert_eq!(
        names(&status["status"]["conditions"][0]),
        [
            "lastTransitionTime",
            "message",
            "observedGeneration",
            "reason",
            "status",
            "type"
        ]
    );
    api.delete(&path).expect(204);
    assert_eq!(api.get(&path).json(), json!({ "status": {} }));
}
