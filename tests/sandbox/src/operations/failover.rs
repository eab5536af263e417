//! Failover of a dual-region cluster. Error responses are plain text.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Call, Change, Operation, not_found};
use crate::cluster::{Backup, Cluster};
use crate::permissions::Permission;
use crate::response::Response;
use crate::status::{HEALTHY, Status};

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("POST", "/clusters/{clusterUuid}/failover", "trigger failover", Some(Permission::ClusterUpdate), "TriggerFailover", "FailoverResult", "400 403 404 409 422", trigger).non_idempotent(),
];

fn trigger(call: &mut Call<'_>) -> Result<Response, Response> {
    fail_over(call).map_err(Response::into_text)
}

fn fail_over(call: &mut Call<'_>) -> Result<Response, Response> {
    let mut fields = call.fields()?;
    let backup_ids = fields.strings("backupIds")?;
    let restore_backup_id = fields.string("restoreBackupId")?;
    fields.finish()?;
    if backup_ids.is_empty() {
        return Err(Response::message(400, "backupIds must not be empty"));
    }
    if backup_ids.iter().any(String::is_empty) {
        return Err(Response::message(400, "a backup id must not be empty"));
    }
    if !backup_ids.contains(&restore_backup_id) {
        return Err(Response::message(
            400,
            "restoreBackupId must be one of backupIds",
        ));
    }

    let now = call.now;
    let new_uuid = call.state.random.uuid();
    let source = call.own_cluster()?;
    let backups = backups_for_failover(source, &backup_ids, now)?;
    let source_document = source.document.clone();
    let enterprise = source.enterprise;
    let suspended = source.status.all_fixed("Suspended");
    source.status = suspended.clone();
    source.pending_polls = None;
    source.failed_over = true;

    let region = source_document["backupRegion"].clone();
    let region_uuid = region["uuid"].as_str().unwrap_or_default();
    let region_entry = call.state.catalog.region(region_uuid);
    let settings = call.state.settings.clone();
    let optimize = suspended.at(now).contains_key("optimizeStatus");
    let mut cluster =
        call.state
            .new_cluster(new_uuid.clone(), &call.organization, "", None, region_entry);
    for field in [
        "name",
        "description",
        "autoUpdate",
        "channel",
        "generation",
        "planType",
        "labels",
    ] {
        match source_document.get(field) {
            Some(value) => drop(cluster.document.insert(field.into(), value.clone())),
            None => drop(cluster.document.remove(field)),
        }
    }
    cluster.document.insert("region".into(), region);
    cluster.status = Status::same("Creating", optimize);
    cluster.begin("Creating", HEALTHY, now, &settings);
    cluster.enterprise = enterprise;
    cluster.backups = backups;
    call.state.clusters.push(cluster, now);
    call.record_cluster(Change::Updated, "failed over cluster");
    let done: Value = "ok".into();
    Ok(Response::ok(&json!({
        "newClusterId": new_uuid,
        "results": { "backupClone": done, "restore": done },
    })))
}

/// Returns the chosen backups, or an error if the cluster cannot be failed over with them.
fn backups_for_failover(
    source: &Cluster,
    backup_ids: &[String],
    now: Duration,
) -> Result<Vec<Backup>, Response> {
    if source.failed_over {
        return Err(Response::message(
            409,
            "the cluster was failed over already",
        ));
    }
    if !source.is_multi_region() {
        return Err(Response::message(422, "the cluster is not multi-region"));
    }
    if !source.failover_available {
        return Err(Response::message(
            422,
            "the cluster's pair of regions has no failover",
        ));
    }
    if let Some(unknown) = backup_ids.iter().find(|id| source.backup_is_unknown(id)) {
        return Err(not_found("backup", unknown));
    }
    // Failover is allowed for unhealthy and suspended clusters.
    if matches!(
        source.ready(now),
        "Creating" | "Updating" | "WaitingForInput"
    ) {
        return Err(Response::message(
            409,
            "the cluster is not ready for failover yet",
        ));
    }
    let chosen = || {
        source
            .backups
            .iter()
            .filter(|backup| backup_ids.contains(&backup.uuid))
    };
    if let Some(unfinished) = chosen().find(|backup| !backup.is_complete(now)) {
        let message = format!("backup {} is not complete yet", unfinished.uuid);
        return Err(Response::message(409, message));
    }

    Ok(chosen().map(Backup::clone).collect())
}
