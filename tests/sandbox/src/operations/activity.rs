//! Audit log as JSON and CSV.

use serde_json::Value;

use super::{Call, Operation};
use crate::permissions::Permission;
use crate::response::Response;

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("GET", "/activity/json", "list activity events", Some(Permission::AuditLog), "", "[AuditEvent]", "403", list),
    Operation::new("GET", "/activity/csv", "activity events as CSV", Some(Permission::AuditLog), "", "csv", "403", csv),
];

/// CSV columns: the fields of an event.
const COLUMNS: [&str; 13] = [
    "service",
    "orgId",
    "audit",
    "auditType",
    "entity",
    "entityId",
    "userId",
    "parentEntity",
    "parentEntityId",
    "entityAttribute",
    "entityAttributeValueFrom",
    "entityAttributeValueTo",
    "timestamp",
];

fn list(call: &mut Call<'_>) -> Result<Response, Response> {
    Ok(Response::ok(&own_events(call).cloned().collect()))
}

/// Returns raw CSV, or a JSON string with the CSV if `csv_as_json_string` is set.
fn csv(call: &mut Call<'_>) -> Result<Response, Response> {
    let mut csv = COLUMNS.join(",") + "\r\n";
    for event in own_events(call) {
        let row = COLUMNS.map(|column| match &event[column] {
            Value::Null => String::new(),
            Value::String(text) => quoted(text),
            other => other.to_string(),
        });
        csv.push_str(&row.join(","));
        csv.push_str("\r\n");
    }
    if call.state.csv_as_json_string {
        return Ok(Response::ok(&Value::String(csv)));
    }
    Ok(Response::csv(csv))
}

/// Returns the events of the caller's organization.
fn own_events<'a>(call: &'a Call<'_>) -> impl Iterator<Item = &'a Value> {
    let organization = &call.organization;
    let events = call.state.audit_events.iter();
    events.filter(|event| event["orgId"] == **organization)
}

/// Quotes a field if RFC 4180 requires it.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}
