//! Clusters: creation, life cycle, changes and deletion.

use std::time::Duration;

use camunda_admin_sandbox::{AllowlistField, Limits, Permission};
use serde_json::{Value, json};

use crate::api::{Api, names};

fn create(api: &Api, body: Value) -> String {
    let response = api.post("/clusters", body).expect(200).json();
    assert_eq!(names(&response), ["clusterId"]);
    response["clusterId"].as_str().unwrap().to_owned()
}

fn cluster(api: &Api, uuid: &str) -> Value {
    api.get(&format!("/clusters/{uuid}")).expect(200).json()
}

fn ready(api: &Api, uuid: &str) -> String {
    cluster(api, uuid)["status"]["ready"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn parameters_list_creation_options() {
    let api = Api::new();
    let parameters = api.get("/clusters/parameters").expect(200).json();
    assert_eq!(
        names(&parameters),
        ["channels", "clusterPlanTypes", "regions"]
    );
    for channel in parameters["channels"].as_array().unwrap() {
        assert_eq!(
            names(channel),
            ["allowedGenerations", "defaultGeneration", "name", "uuid"]
        );
        assert_eq!(names(&channel["defaultGeneration"]), ["name", "uuid"]);
        let generation = &channel["allowedGenerations"][0];
        assert_eq!(names(generation), ["classification", "name", "uuid"]);
        assert_eq!(generation["classification"], "channel");
    }
    let regions = &parameters["regions"];
    assert_eq!(regions[0]["provider"], "AWS");
    assert_eq!(names(&regions[0]["backups"][0]), ["regions", "uuid"]);
    assert_eq!(
        names(&regions[0]["backups"][0]["regions"][0]),
        ["id", "label"]
    );
    assert_eq!(names(&regions[2]), ["name", "provider", "uuid"]);
}

#[test]
fn created_cluster_has_requested_fields() {
    let api = Api::new();
    let parameters = api.get("/clusters/parameters").expect(200).json();
    let mut request = api.new_cluster();
    request["description"] = json!("takes orders");
    request["autoUpdate"] = json!(true);
    request["backupRegionId"] = parameters["regions"][0]["backups"][0]["regions"][0]["id"].clone();
    request["encryption"] = json!("Software");
    request["hardwarePackages"] = json!(1.5);
    request["stageLabel"] = json!("prod");
    request["identityBackendChecksEnabled"] = json!(true);
    let uuid = create(&api, request.clone());

    let cluster = cluster(&api, &uuid);
    assert_eq!(
        names(&cluster),
        [
            "autoUpdate",
            "backupRegion",
            "channel",
            "created",
            "description",
            "encryption",
            "generation",
            "ipallowlist",
            "labels",
            "links",
            "name",
            "ownerId",
            "planType",
            "region",
            "status",
            "uuid",
        ]
    );
    assert_eq!(cluster["uuid"], uuid.as_str());
    assert_eq!(cluster["name"], "orders");
    assert_eq!(cluster["description"], "takes orders");
    assert_eq!(cluster["autoUpdate"], true);
    assert_eq!(cluster["labels"], json!(["prod"]));
    assert_eq!(cluster["channel"]["uuid"], request["channelId"]);
    assert_eq!(cluster["generation"]["uuid"], request["generationId"]);
    assert_eq!(cluster["region"]["uuid"], request["regionId"]);
    assert_eq!(cluster["planType"]["uuid"], request["planTypeId"]);
    assert_eq!(cluster["backupRegion"]["uuid"], request["backupRegionId"]);
    assert_eq!(
        cluster["encryption"],
        json!({ "type": "Software", "status": "Ready" })
    );
    assert_eq!(
        names(&cluster["links"]),
        [
            "connectors",
            "console",
            "identity",
            "oauth",
            "operate",
            "optimize",
            "tasklist",
            "zeebe"
        ]
    );
    assert_eq!(api.get("/clusters").expect(200).json(), json!([cluster]));
}

#[test]
fn backup_region_accepts_option_id() {
    let api = Api::new();
    let parameters = api.get("/clusters/parameters").expect(200).json();
    let option = &parameters["regions"][0]["backups"][0];
    let mut request = api.new_cluster();
    request["backupRegionId"] = option["uuid"].clone();
    let uuid = create(&api, request);
    assert_eq!(
        cluster(&api, &uuid)["backupRegion"]["uuid"],
        option["regions"][0]["id"]
    );
}

#[test]
fn new_cluster_becomes_healthy_by_component() {
    let api = Api::new();
    let uuid = create(&api, api.new_cluster());
    let healthy = || {
        let status = &cluster(&api, &uuid)["status"];
        status
            .as_object()
            .unwrap()
            .values()
            .filter(|value| *value == "Healthy")
            .count()
    };
    assert_eq!(ready(&api, &uuid), "Creating");
    let mut seen = vec![healthy()];
    for _ in 0..6 {
        api.sandbox.advance(Duration::from_secs(100));
        seen.push(healthy());
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(ready(&api, &uuid), "Healthy");
}

#[test]
fn trial_cluster_has_no_optimize() {
    let api = Api::new();
    let mut request = api.new_cluster();
    request["planTypeId"] =
        api.get("/clusters/parameters").json()["clusterPlanTypes"][1]["uuid"].clone();
    let uuid = create(&api, request);
    assert!(
        cluster(&api, &uuid)["status"]
            .get("optimizeStatus")
            .is_none()
    );
    assert!(cluster(&api, &uuid)["links"].get("optimize").is_none());
}

#[test]
fn cluster_creation_is_rejected_as_documented() {
    let api = Api::new();
    let with = |name: &str, value: Value| {
        let mut request = api.new_cluster();
        request[name] = value;
        api.post("/clusters", request)
    };
    with("name", json!("n".repeat(50))).expect(200);
    with("name", json!("\u{e9}".repeat(50))).expect(200);
    with("name", json!("n".repeat(51))).rejected(400, "Name is too long");
    with("name", json!("")).rejected(400, "name");
    with("planTypeId", json!("nothing")).rejected(400, "Plan type");
    with("regionId", json!("nothing")).rejected(400, "Region");
    with("channelId", json!("nothing")).rejected(400, "Channel");
    with("generationId", json!("nothing")).rejected(400, "Generation");
    with("backupRegionId", json!("nothing")).rejected(400, "Backup region");
    with("encryption", json!("Rot13")).rejected(400, "encryption");
    with("stageLabel", json!("production")).rejected(400, "stageLabel");
    with("hardwarePackages", json!("1")).rejected(400, "hardwarePackages");
    with("hardwarePackages", json!(-1)).rejected(400, "hardwarePackages");
    let other_channel = &api.get("/clusters/parameters").json()["channels"][1];
    with(
        "generationId",
        other_channel["defaultGeneration"]["uuid"].clone(),
    )
    .rejected(400, "Generation");

    api.sandbox.set_limits(Limits {
        reservations_left: Some(1),
        ..Limits::default()
    });
    api.post("/clusters", api.new_cluster()).expect(200);
    api.post("/clusters", api.new_cluster())
        .rejected(400, "No reservation left");
    api.sandbox.set_limits(Limits {
        cluster_creation_available: false,
        ..Limits::default()
    });
    api.post("/clusters", api.new_cluster())
        .rejected(503, "not available");
    assert_eq!(api.get("/clusters").json().as_array().unwrap().len(), 3);
}

#[test]
fn update_changes_only_given_fields() {
    let api = Api::new();
    let uuid = api
        .sandbox
        .create_cluster(json!({ "name": "old", "description": "it" }));
    let path = format!("/clusters/{uuid}");
    let update = |body: Value| api.call("PATCH", &path, Some(&body));

    update(json!({ "name": "new" })).expect(204);
    assert_eq!(cluster(&api, &uuid)["name"], "new");
    assert_eq!(cluster(&api, &uuid)["description"], "it");
    update(json!({ "description": "", "stageLabel": "dev", "numberOfAllocatedHwPackages": 2 }))
        .expect(204);
    assert!(cluster(&api, &uuid).get("description").is_none());
    assert_eq!(cluster(&api, &uuid)["labels"], json!(["dev"]));
    update(json!({})).expect(204);
    update(json!({ "name": "n".repeat(51) })).rejected(400, "Name is too long");
    update(json!({ "stageLabel": "qa" })).rejected(400, "stageLabel");
}

#[test]
fn deleted_cluster_disappears_after_delay() {
    let api = Api::new();
    let uuid = api.cluster();
    let path = format!("/clusters/{uuid}");
    api.delete(&path).expect(204);
    api.get(&path).expect(200);
    api.delete(&path).expect(204);
    api.sandbox.advance(Duration::from_secs(301));
    api.get(&path).expect(404);
    api.delete(&path).expect(404);
    assert_eq!(api.get("/clusters").json(), json!([]));
}

#[test]
fn suspended_cluster_resumes() {
    let api = Api::new();
    let uuid = api
        .sandbox
        .create_cluster(json!({ "status": { "ready": "Suspended" } }));
    let wake = || {
        api.call("PUT", &format!("/clusters/{uuid}/wake"), None)
            .expect(204)
    };
    assert_eq!(ready(&api, &uuid), "Suspended");
    wake();
    assert_eq!(ready(&api, &uuid), "Resuming");
    wake();
    api.settle();
    assert_eq!(ready(&api, &uuid), "Healthy");
    wake();
    assert_eq!(ready(&api, &uuid), "Healthy");
}

#[test]
fn upgrade_reaches_newest_generation() {
    let api = Api::new();
    let parameters = api.get("/clusters/parameters").json();
    let generations = &parameters["channels"][0]["allowedGenerations"];
    let old = json!({ "uuid": generations[1]["uuid"], "name": generations[1]["name"] });
    let uuid = api
        .sandbox
        .create_cluster(json!({ "name": "c", "generation": old }));
    let upgrade = || api.call("PUT", &format!("/clusters/{uuid}/upgrade"), None);

    api.sandbox
        .set_upgrade_gate(&uuid, "elasticsearch is too old", "contact support");
    let rejection = upgrade().expect(409).json();
    assert_eq!(rejection["reason"], "elasticsearch is too old");
    assert_eq!(rejection["nextStep"], "contact support");
    api.sandbox.clear_upgrade_gate(&uuid);

    api.sandbox
        .set_status(&uuid, json!({ "ready": "Unhealthy" }));
    upgrade().rejected(412, "not ready");
    api.sandbox.set_status(&uuid, json!({ "ready": "Healthy" }));

    let response = upgrade().expect(200).json();
    let organization = cluster(&api, &uuid)["ownerId"].clone();
    assert_eq!(
        response,
        json!({
            "cluster": { "id": uuid, "name": "c" },
            "oldGeneration": { "id": old["uuid"], "name": old["name"] },
            "newGeneration": { "id": generations[0]["uuid"], "name": generations[0]["name"] },
            "orgId": organization,
        })
    );
    assert_eq!(ready(&api, &uuid), "Updating");
    assert_eq!(cluster(&api, &uuid)["generation"], old);
    upgrade().rejected(412, "not ready");
    api.settle();
    assert_eq!(ready(&api, &uuid), "Healthy");
    assert_eq!(
        cluster(&api, &uuid)["generation"]["uuid"],
        generations[0]["uuid"]
    );
    upgrade().rejected(400, "no upgrade");

    let newest = api.sandbox.make_upgrade_available(&uuid);
    assert_eq!(
        upgrade().expect(200).json()["newGeneration"]["id"],
        newest.as_str()
    );
}

#[test]
fn ip_allowlist_is_replaced() {
    let api = Api::new();
    let uuid = api.cluster();
    let path = format!("/clusters/{uuid}/ipallowlist");
    let two = json!([
        { "ip": "10.0.0.0/8, 2001:db8::/32", "description": "office" },
        { "ip": "192.0.2.1", "description": "" },
    ]);
    api.put(&path, json!({ "ipallowlist": two })).expect(204);
    assert_eq!(cluster(&api, &uuid)["ipallowlist"], two);
    assert!(cluster(&api, &uuid).get("ipwhitelist").is_none());

    let blind = api.limited_token(&[Permission::ClusterGet]);
    let seen = api
        .call_with(&blind, "GET", &format!("/clusters/{uuid}"), None)
        .expect(200);
    assert!(seen.json().get("ipallowlist").is_none());

    api.sandbox.set_allowlist_field(AllowlistField::IpWhitelist);
    assert!(cluster(&api, &uuid).get("ipallowlist").is_none());
    assert_eq!(cluster(&api, &uuid)["ipwhitelist"], two);
    api.sandbox.set_allowlist_field(AllowlistField::Both);
    assert_eq!(
        cluster(&api, &uuid)["ipallowlist"],
        cluster(&api, &uuid)["ipwhitelist"]
    );

    let old_name = format!("/clusters/{uuid}/ipwhitelist");
    api.put(&old_name, json!({ "ipwhitelist": [] })).expect(204);
    assert_eq!(cluster(&api, &uuid)["ipallowlist"], json!([]));

    let put = |entry: Value| api.put(&path, json!({ "ipallowlist": [entry] }));
    put(json!({ "ip": "10.0.0.0/33", "description": "" })).rejected(400, "10.0.0.0/33");
    put(json!({ "ip": "10.0.0.0/8" })).rejected(400, "description");
    put(json!({ "ip": "10.0.0.0/8", "description": "", "note": "" })).rejected(400, "note");
    put(json!("10.0.0.0/8")).rejected(400, "ipallowlist");
}

#[test]
fn list_excludes_other_organizations() {
    let api = Api::new();
    let uuid = api.cluster();
    api.sandbox.set_other_organization(&uuid, true);
    assert_eq!(api.get("/clusters").json(), json!([]));
    api.sandbox.set_other_organization(&uuid, false);
    assert_eq!(api.get("/clusters").json().as_array().unwrap().len(), 1);
}
