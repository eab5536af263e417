//! Encryption with keys of the customer.

use camunda_admin_sandbox::ClusterKind;
use serde_json::{Value, json};

use crate::api::Api;

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const OTHER_KEY: &str = "arn:aws:kms:us-east-2:123456789012:key/mrk-1234abcd";

fn set(api: &Api, cluster: &str, primary: &str, secondary: Option<&str>) -> crate::api::Reply {
    let mut body = json!({ "primaryEncryptionKeyId": primary });
    if let Some(secondary) = secondary {
        body["secondaryEncryptionKeyId"] = secondary.into();
    }
    api.put(&format!("/clusters/{cluster}/encryption"), body)
}

fn external(backup_region: Value) -> Value {
    json!({
        "encryption": { "type": "External", "status": "ExternalEncryptionKeyNotSupplied" },
        "backupRegion": backup_region,
    })
}

#[test]
fn cluster_with_external_encryption_waits_for_key() {
    let api = Api::new();
    let mut request = api.new_cluster();
    request["encryption"] = json!("External");
    let response = api.post("/clusters", request).expect(200).json();
    let uuid = response["clusterId"].as_str().unwrap();
    let cluster = || api.get(&format!("/clusters/{uuid}")).expect(200).json();
    api.settle();
    assert_eq!(cluster()["status"]["ready"], "WaitingForInput");
    assert_eq!(
        cluster()["encryption"]["status"],
        "ExternalEncryptionKeyNotSupplied"
    );

    let response = set(&api, uuid, KEY, None).expect(200).json();
    let not_ready = json!({
        "type": "External",
        "status": "ExternalEncryptionKeyNotReady",
        "primaryKeyArn": KEY,
    });
    assert_eq!(response["encryption"], not_ready);
    assert_eq!(response["status"]["ready"], "Creating");
    api.settle();
    assert_eq!(cluster()["encryption"]["status"], "Ready");
    assert_eq!(cluster()["status"]["ready"], "Healthy");
}

#[test]
fn secondary_key_requires_dual_region() {
    let api = Api::new();
    let dual = json!({ "uuid": "r", "name": "Ohio, North America (us-east-2)" });
    let dual = api.sandbox.create_cluster(external(dual));
    let single = api.sandbox.create_cluster(external(Value::Null));
    set(&api, &dual, KEY, None).rejected(400, "second key");
    set(&api, &single, KEY, Some(OTHER_KEY)).rejected(400, "second key");
    set(&api, &dual, KEY, Some(KEY)).rejected(400, "region");
    set(&api, &single, OTHER_KEY, None).rejected(400, "region");
    set(&api, &single, "my-key", None).rejected(400, "ARN");
    let response = set(&api, &dual, KEY, Some(OTHER_KEY)).expect(200).json();
    assert_eq!(response["encryption"]["secondaryKeyArn"], OTHER_KEY);
}

#[test]
fn keys_require_plan_provider_and_encryption_type() {
    let api = Api::new();
    let uuid = api.sandbox.create_cluster(external(Value::Null));
    let kind = |enterprise, aws| {
        let kind = ClusterKind {
            enterprise,
            aws,
            failover_available: true,
        };
        api.sandbox.set_kind(&uuid, kind);
    };
    kind(false, true);
    set(&api, &uuid, KEY, None).rejected(403, "plan");
    kind(true, false);
    set(&api, &uuid, KEY, None).rejected(403, "AWS");
    set(&api, &api.cluster(), KEY, None).rejected(409, "External");

    let parameters = api.get("/clusters/parameters").json();
    let trial = json!({ "planType": parameters["clusterPlanTypes"][1] });
    set(&api, &api.sandbox.create_cluster(trial), KEY, None).rejected(403, "plan");
    let google = json!({ "region": parameters["regions"][2] });
    set(&api, &api.sandbox.create_cluster(google), KEY, None).rejected(403, "AWS");
}
