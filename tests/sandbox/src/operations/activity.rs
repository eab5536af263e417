//! The audit log, as JSON and as CSV.

use serde_json::Value;

use super::Call;
use crate::answer::Answer;

/// The columns of the CSV: the fields of an event.
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

pub(super) fn list(call: &mut Call<'_>) -> Result<Answer, Answer> {
    Ok(Answer::ok(&Value::Array(call.state.audit_events.clone())))
}

/// Raw CSV, or a JSON string of it where a test wants what the description says.
pub(super) fn csv(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let mut csv = COLUMNS.join(",") + "\r\n";
    for event in &call.state.audit_events {
        let row = COLUMNS.map(|column| match &event[column] {
            Value::Null => String::new(),
            Value::String(text) => quoted(text),
            other => other.to_string(),
        });
        csv.push_str(&row.join(","));
        csv.push_str("\r\n");
    }
    if call.state.csv_as_json_string {
        return Ok(Answer::ok(&Value::String(csv)));
    }
    Ok(Answer::csv(csv))
}

/// Quotes a field where RFC 4180 wants quotes.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}
