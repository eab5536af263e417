//! Backups, restores and backup schedules: their states, intervals and errors.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{Api, names};

#[test]
fn backup_completes() {
    let api = Api::new();
    let cluster = api.cluster();
    let backups = format!("/clusters/{cluster}/backups");
    let backup = api.call("POST", &backups, None).expect(200).json();
    assert_eq!(
        names(&backup),
        [
            "completed",
            "created",
            "generationName",
            "generationUuid",
            "name",
            "operateStatus",
            "optimizeStatus",
            "status",
            "tasklistStatus",
            "uuid",
            "zeebeStatus",
        ]
    );
    assert_eq!(backup["status"], "In progress");
    assert_eq!(backup["completed"], "");
    api.settle();
    let list = api.get(&backups).expect(200).json();
    assert_eq!(list[0]["uuid"], backup["uuid"]);
    assert_eq!(list[0]["status"], "Complete");
    assert_eq!(list[0]["zeebeStatus"], "Complete");
    assert_ne!(list[0]["completed"], "");

    let path = format!("{backups}/{}", backup["uuid"].as_str().unwrap());
    assert_eq!(api.delete(&path).expect(200).json(), list[0]);
    api.delete(&path).rejected(404, "backup");
    assert_eq!(api.get(&backups).json(), json!([]));
}

#[test]
fn backup_is_rejected_within_15_minutes() {
    let api = Api::new();
    let backups = format!("/clusters/{}/backups", api.cluster());
    let create = || api.call("POST", &backups, None);
    create().expect(200);
    create().rejected(409, "15 minutes");
    api.sandbox.advance(Duration::from_secs(15 * 60 - 30));
    create().rejected(409, "15 minutes");
    api.sandbox.advance(Duration::from_secs(30));
    create().expect(200);
}

#[test]
fn restore_passes_states_and_suspends_cluster() {
    let api = Api::new();
    let cluster = api.cluster();
    let backup = api.sandbox.create_backup(&cluster, json!({}));
    let path = format!("/clusters/{cluster}/backups/{backup}/restore");
    api.get(&path).rejected(404, "no restore");
    let restore = api.call("POST", &path, None).expect(200).json();
    assert_eq!(
        names(&restore),
        ["backupId", "startTimestamp", "state", "uuid"]
    );
    assert_eq!(restore["backupId"], backup.as_str());
    api.call("POST", &path, None).rejected(409, "in flight");

    let ready = || {
        let cluster = api.get(&format!("/clusters/{cluster}")).expect(200).json();
        cluster["status"]["ready"].as_str().unwrap().to_owned()
    };
    let state = || {
        api.get(&path).expect(200).json()["state"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let mut seen = vec![(state(), ready())];
    for _ in 0..4 {
        api.sandbox.advance(Duration::from_secs(150));
        seen.push((state(), ready()));
    }
    let seen: Vec<(&str, &str)> = seen.iter().map(|(s, r)| (s.as_str(), r.as_str())).collect();
    assert_eq!(
        seen,
        [
            ("PENDING", "Suspended"),
            ("VALIDATING", "Suspended"),
            ("IN_PROGRESS", "Suspended"),
            ("IN_PROGRESS", "Resuming"),
            ("COMPLETED", "Healthy"),
        ]
    );
    assert!(api.get(&path).json()["completionTimestamp"].is_string());

    let again = api.call("POST", &path, None).expect(200).json();
    assert_eq!(
        api.get(&path).json()["uuid"],
        again["uuid"],
        "the latest restore is shown"
    );
}

#[test]
fn restore_is_rejected_as_documented() {
    let api = Api::new();
    let cluster = api.cluster();
    let restore = |fields: Value| {
        let backup = api.sandbox.create_backup(&cluster, fields);
        api.call(
            "POST",
            &format!("/clusters/{cluster}/backups/{backup}/restore"),
            None,
        )
    };
    restore(json!({ "generationUuid": "long ago" })).rejected(409, "unknown generation");
    restore(json!({ "status": "In progress" })).rejected(409, "not complete");
    restore(json!({})).expect(200);
}

#[test]
fn schedule_is_replaced_and_deleted() {
    let api = Api::new();
    let path = format!("/clusters/{}/backups/schedule", api.cluster());
    let set = |schedule: &str| api.put(&path, json!({ "schedule": schedule }));
    api.get(&path).rejected(404, "no backup schedule");
    api.delete(&path).expect(204);
    let schedule = set("0 2 * * *").expect(200).json();
    assert_eq!(names(&schedule), ["name", "schedule"]);
    assert_eq!(schedule["schedule"], "0 2 * * *");
    set("*/15 * * * *").expect(200);
    assert_eq!(
        api.get(&path).expect(200).json()["schedule"],
        "*/15 * * * *"
    );
    set("*/5 * * * *").rejected(400, "cron");
    set("every night").rejected(400, "cron");
    set("0 2 * * * *").rejected(400, "cron");
    api.delete(&path).expect(204);
    api.get(&path).expect(404);
}
