//! Backups, restores and the backup schedule.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Call, Change, Operation, array, cron, not_found};
use crate::clock::iso8601;
use crate::cluster::{Backup, Restore};
use crate::permissions::Permission;
use crate::response::Response;

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("GET", "/clusters/{clusterUuid}/backups", "list backups", Some(Permission::Backups), "", "[Backup]", "403 404", list),
    Operation::new("POST", "/clusters/{clusterUuid}/backups", "create backup", Some(Permission::Backups), "", "Backup", "404", create).non_idempotent(),
    Operation::new("DELETE", "/clusters/{clusterUuid}/backups/{backupId}", "delete backup", Some(Permission::Backups), "", "Backup", "403", delete),
    Operation::new("GET", "/clusters/{clusterUuid}/backups/{backupId}/restore", "get restore", Some(Permission::Backups), "", "Restore", "403 404", restore_status),
    Operation::new("POST", "/clusters/{clusterUuid}/backups/{backupId}/restore", "restore from backup", Some(Permission::Backups), "", "Restore", "403 404 409", restore).non_idempotent(),
    Operation::new("GET", "/clusters/{clusterUuid}/backups/schedule", "get backup schedule", Some(Permission::Backups), "", "BackupSchedule", "403 404", schedule),
    Operation::new("PUT", "/clusters/{clusterUuid}/backups/schedule", "set backup schedule", Some(Permission::Backups), "SetBackupSchedule", "BackupSchedule", "400 403 404", set_schedule),
    Operation::new("DELETE", "/clusters/{clusterUuid}/backups/schedule", "delete backup schedule", Some(Permission::Backups), "", "", "403 404", delete_schedule),
];

/// Minimum time between two backups of a cluster.
const BACKUP_INTERVAL: Duration = Duration::from_secs(15 * 60);

fn list(call: &mut Call<'_>) -> Result<Response, Response> {
    let now = call.now;
    let backups = &call.own_cluster()?.backups;
    Ok(Response::ok(&array(
        backups.iter().map(|backup| backup.to_json(now)),
    )))
}

/// Creates a backup. One within 15 minutes of the last one is rejected with 409, which is this
/// sandbox's choice: the reference documents the limit, but no status for it.
fn create(call: &mut Call<'_>) -> Result<Response, Response> {
    let (now, takes) = (call.now, call.state.settings.healthy_after);
    let uuid = call.state.random.uuid();
    let cluster = call.cluster()?;
    if cluster
        .last_backup_at
        .is_some_and(|last| now.saturating_sub(last) < BACKUP_INTERVAL)
    {
        let message = "at most one backup can be made every 15 minutes";
        return Err(Response::message(409, message));
    }
    cluster.last_backup_at = Some(now);
    let name = format!("Backup {}", iso8601(now));
    let backup = Backup::new(cluster, uuid.clone(), name, now, now + takes);
    let response = backup.to_json(now);
    cluster.backups.push(backup);
    call.record(Change::Created, "backup", &uuid, "created backup");
    Ok(Response::ok(&response))
}

fn delete(call: &mut Call<'_>) -> Result<Response, Response> {
    let now = call.now;
    let uuid = call.parameter("backupId");
    let backups = &mut call.own_cluster()?.backups;
    let index = backups
        .iter()
        .position(|backup| backup.uuid == uuid)
        .ok_or_else(|| not_found("backup", uuid))?;
    let response = backups.remove(index).to_json(now);
    call.record(Change::Deleted, "backup", uuid, "deleted backup");
    Ok(Response::ok(&response))
}

fn restore_status(call: &mut Call<'_>) -> Result<Response, Response> {
    let now = call.now;
    let backup_id = call.parameter("backupId");
    let restores = &call.own_cluster()?.restores;
    let latest = restores
        .iter()
        .rev()
        .find(|restore| restore.backup_id == backup_id);
    match latest {
        Some(restore) => Ok(Response::ok(&restore.to_json(now))),
        None => Err(Response::message(
            404,
            format!("no restore was triggered for {backup_id}"),
        )),
    }
}

fn restore(call: &mut Call<'_>) -> Result<Response, Response> {
    let (now, takes) = (call.now, call.state.settings.healthy_after);
    let backup_id = call.parameter("backupId");
    let uuid = call.state.random.uuid();
    let backup = call
        .own_cluster()?
        .backups
        .iter()
        .find(|backup| backup.uuid == backup_id)
        .ok_or_else(|| not_found("backup", backup_id))?;
    let complete = backup.is_complete(now);
    let generation = backup.generation_uuid().to_owned();
    if !complete {
        return Err(Response::message(409, "the backup is not complete"));
    }
    if !call.state.catalog.knows_generation(&generation) {
        return Err(Response::message(
            409,
            "the backup is of an unknown generation",
        ));
    }
    let cluster = call.own_cluster()?;
    if cluster
        .restores
        .iter()
        .any(|restore| restore.is_in_flight(now))
    {
        return Err(Response::message(409, "a restore is in flight already"));
    }
    let restore = Restore {
        uuid,
        backup_id: backup_id.into(),
        started: now,
        takes,
    };
    let response = restore.to_json(now);
    cluster.restores.push(restore);
    cluster.status = cluster.status.during_restore(now, takes);
    cluster.pending_polls = None;
    call.record(Change::Updated, "backup", backup_id, "restored from backup");
    Ok(Response::ok(&response))
}

fn schedule(call: &mut Call<'_>) -> Result<Response, Response> {
    match &call.own_cluster()?.backup_schedule {
        Some(schedule) => Ok(Response::ok(&schedule_response(schedule))),
        None => Err(Response::message(404, "no backup schedule is configured")),
    }
}

fn set_schedule(call: &mut Call<'_>) -> Result<Response, Response> {
    let mut fields = call.fields()?;
    let schedule = fields.string("schedule")?;
    fields.finish()?;
    if let Err(reason) = cron::check(&schedule) {
        return Err(Response::message(
            400,
            format!("not a valid cron expression: {reason}"),
        ));
    }
    let cluster = call.own_cluster()?;
    let response = schedule_response(&schedule);
    cluster.backup_schedule = Some(schedule);
    let uuid = cluster.uuid.clone();
    call.record(
        Change::Updated,
        "backup schedule",
        &uuid,
        "set backup schedule",
    );
    Ok(Response::ok(&response))
}

fn delete_schedule(call: &mut Call<'_>) -> Result<Response, Response> {
    let cluster = call.own_cluster()?;
    let uuid = cluster.uuid.clone();
    if cluster.backup_schedule.take().is_some() {
        call.record(
            Change::Deleted,
            "backup schedule",
            &uuid,
            "deleted backup schedule",
        );
    }
    Ok(Response::no_content())
}

fn schedule_response(schedule: &str) -> Value {
    json!({ "name": "backup-schedule", "schedule": schedule })
}
