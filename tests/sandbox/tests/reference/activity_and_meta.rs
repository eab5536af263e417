//! The audit log and the IP ranges.

use serde_json::json;

use crate::api::{Api, send};

#[test]
fn audit_log_lists_changes() {
    let api = Api::new();
    assert_eq!(api.get("/activity/json").expect(200).json(), json!([]));
    let cluster = api.cluster();
    let secret = json!({ "secretName": "A, \"B\"", "secretValue": "hush" });
    api.post(&format!("/clusters/{cluster}/secrets"), secret)
        .expect(204);
    api.delete(&format!("/clusters/{cluster}")).expect(204);
    api.get("/clusters").expect(200);

    let events = api.get("/activity/json").expect(200).json();
    assert_eq!(events.as_array().unwrap().len(), 2);
    let created = &events[0];
    assert_eq!(created["auditType"], "c");
    assert_eq!(created["entity"], "secret");
    assert_eq!(created["entityId"], "A, \"B\"");
    assert_eq!(created["parentEntityId"], cluster.as_str());
    assert_eq!(created["userId"], api.sandbox.client_id());
    assert!(created["timestamp"].is_u64());
    for required in ["service", "orgId", "audit"] {
        assert!(created[required].is_string(), "{required}");
    }
    assert_eq!(events[1]["auditType"], "d");
    assert_eq!(events[1]["entity"], "cluster");
    assert!(!api.get("/activity/json").text().contains("hush"));

    let csv = api.get("/activity/csv").expect(200);
    assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
    let csv = csv.text();
    assert_eq!(csv.lines().count(), 3);
    assert!(
        csv.starts_with("service,orgId,audit,auditType,entity,entityId,userId,"),
        "{csv}"
    );
    assert!(csv.contains(",\"A, \"\"B\"\"\","), "{csv}");

    api.sandbox.set_csv_as_json_string(true);
    let reply = api.get("/activity/csv").expect(200);
    assert!(reply.is_json());
    assert_eq!(reply.json(), csv.as_str());
}

#[test]
fn ip_ranges_require_no_token() {
    let api = Api::new();
    let ranges = || {
        send(&api.sandbox, "GET", "/meta/ip-ranges", &[], b"")
            .expect(200)
            .json()
    };
    assert!(
        ranges()["web-modeler"]
            .as_array()
            .unwrap()
            .iter()
            .all(|range| range.is_string())
    );
    api.sandbox
        .set_ip_ranges(json!({ "web-modeler": [], "connectors": ["192.0.2.0/24"] }));
    assert_eq!(ranges()["connectors"], json!(["192.0.2.0/24"]));
}
