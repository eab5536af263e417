//! Failover of dual-region clusters.

use camunda_admin_sandbox::ClusterKind;
use serde_json::{Value, json};

use crate::api::{Api, Reply};

fn fail_over(api: &Api, cluster: &str, backups: &[&str], restore: &str) -> Reply {
    let body = json!({ "backupIds": backups, "restoreBackupId": restore });
    api.post(&format!("/clusters/{cluster}/failover"), body)
}

fn dual_region(api: &Api) -> String {
    let parameters = api.get("/clusters/parameters").json();
    let mut request = api.new_cluster();
    request["backupRegionId"] = parameters["regions"][0]["backups"][0]["regions"][0]["id"].clone();
    let response = api.post("/clusters", request).expect(200).json();
    response["clusterId"].as_str().unwrap().to_owned()
}

#[test]
fn failover_creates_cluster_and_suspends_source() {
    let api = Api::new();
    let source = dual_region(&api);
    let backup = api.sandbox.create_backup(&source, json!({}));
    fail_over(&api, &source, &[&backup], &backup).rejected(409, "not ready");
    api.settle();

    let cluster = |uuid: &str| api.get(&format!("/clusters/{uuid}")).expect(200).json();
    let before = cluster(&source);
    let response = fail_over(&api, &source, &[&backup], &backup)
        .expect(200)
        .json();
    assert_eq!(
        response["results"],
        json!({ "backupClone": "ok", "restore": "ok" })
    );
    let new = response["newClusterId"].as_str().unwrap();
    assert_eq!(cluster(new)["region"], before["backupRegion"]);
    assert_eq!(cluster(new)["name"], before["name"]);
    assert_eq!(cluster(new)["status"]["ready"], "Creating");
    let backups = api
        .get(&format!("/clusters/{new}/backups"))
        .expect(200)
        .json();
    assert_eq!(backups[0]["uuid"], backup.as_str());

    assert_eq!(cluster(&source)["status"]["ready"], "Suspended");
    fail_over(&api, &source, &[&backup], &backup).rejected(409, "already");
    api.call("PUT", &format!("/clusters/{source}/wake"), None)
        .expect(409);
    api.settle();
    assert_eq!(cluster(&source)["status"]["ready"], "Suspended");
    assert_eq!(cluster(new)["status"]["ready"], "Healthy");
}

#[test]
fn failover_errors_are_plain_text() {
    let api = Api::new();
    let source = dual_region(&api);
    api.settle();
    let backup = api.sandbox.create_backup(&source, json!({}));
    let is_text = |reply: Reply, status: u16, message: &str| {
        assert!(
            reply
                .header("content-type")
                .unwrap()
                .starts_with("text/plain"),
            "{reply:?}"
        );
        assert!(
            serde_json::from_slice::<Value>(&reply.body).is_err(),
            "{}",
            reply.text()
        );
        reply.rejected(status, message);
    };
    is_text(
        fail_over(&api, &source, &[], &backup),
        400,
        "must not be empty",
    );
    is_text(
        fail_over(&api, &source, &[""], ""),
        400,
        "must not be empty",
    );
    is_text(
        fail_over(&api, &source, &[&backup], "other"),
        400,
        "restoreBackupId",
    );
    is_text(fail_over(&api, &source, &["other"], "other"), 404, "backup");
    is_text(
        fail_over(&api, "nothing", &[&backup], &backup),
        404,
        "cluster",
    );
    let single = api.cluster();
    is_text(
        fail_over(&api, &single, &[&backup], &backup),
        422,
        "multi-region",
    );
    let running = json!({ "status": "In progress" });
    let running = api.sandbox.create_backup(&source, running);
    is_text(
        fail_over(&api, &source, &[&running], &running),
        409,
        "not complete",
    );
    let body = json!({ "restoreBackupId": backup });
    is_text(
        api.post(&format!("/clusters/{source}/failover"), body),
        400,
        "backupIds",
    );

    let kind = ClusterKind {
        enterprise: true,
        aws: true,
        failover_available: false,
    };
    api.sandbox.set_kind(&source, kind);
    is_text(
        fail_over(&api, &source, &[&backup], &backup),
        422,
        "no failover",
    );
    api.sandbox.set_other_organization(&source, true);
    is_text(
        fail_over(&api, &source, &[&backup], &backup),
        403,
        "You are not supposed",
    );
}
