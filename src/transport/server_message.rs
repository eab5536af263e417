//! Finds the server's message in the body of an error response.

use ureq::http::StatusCode;

/// Returns the message in the body of an error response (JSON, text, or the title of an HTML page),
/// and whether it is in a JSON object or string, as messages of the API are. If no message is recognized
/// in JSON, the message is all of it, unless it may contain secrets.
pub(super) fn error_message(body: &str, may_contain_secrets: bool) -> (Option<String>, bool) {
    let text = body.trim_start_matches('\u{feff}').trim();
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else {
        let message = match text.starts_with('<') {
            true => title_of(text).unwrap_or("an HTML page"),
            false => text,
        };
        return (Some(message.to_owned()), false);
    };
    match error_message_from_json(&json) {
        Some(message) => (Some(message), json.is_object() || json.is_string()),
        None => {
            let is_message = !may_contain_secrets && has_content(&json);
            (is_message.then(|| text.to_owned()), false)
        }
    }
}

/// Returns whether JSON contains a number, a boolean or a string that is not empty.
fn has_content(json: &serde_json::Value) -> bool {
    match json {
        serde_json::Value::Null => false,
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => true,
        serde_json::Value::String(text) => !text.trim().is_empty(),
        serde_json::Value::Array(items) => items.iter().any(has_content),
        serde_json::Value::Object(fields) => fields.values().any(has_content),
    }
}

/// Returns whether a message is one of a gateway: the reason phrase of a 5xx status, with or without
/// its number, or a variant that proxies use.
pub(super) fn is_gateway_message(message: &str) -> bool {
    let message = message.trim_matches(|c: char| !c.is_alphabetic());
    message.is_empty()
        || message.to_ascii_lowercase().contains("upstream")
        || (500..600)
            .filter_map(|status| StatusCode::from_u16(status).ok()?.canonical_reason())
            .chain(["Service Temporarily Unavailable", "Gateway Time-out"])
            .any(|reason| reason.eq_ignore_ascii_case(message))
}

fn error_message_from_json(json: &serde_json::Value) -> Option<String> {
    match json {
        serde_json::Value::String(message) => (!message.trim().is_empty()).then(|| message.clone()),
        serde_json::Value::Object(fields) => {
            let text = |name| fields.get(name).and_then(error_message_from_json);
            let message = text("message")
                .or_else(|| text("error_description"))
                .or_else(|| text("error"))
                .or_else(|| text("errors"))
                .or_else(|| text("detail"))
                .or_else(|| text("title"));
            // The error of a blocked upgrade has its reason and the next step in separate fields.
            let message = match (message, text("reason")) {
                (Some(message), Some(reason)) if !message.contains(&reason) => {
                    format!("{message}: {reason}")
                }
                (message, reason) => message.or(reason)?,
            };
            Some(match text("nextStep").or_else(|| text("next_step")) {
                Some(next) => format!("{message} ({next})"),
                None => message,
            })
        }
        serde_json::Value::Array(errors) => {
            let messages: Vec<_> = errors.iter().filter_map(error_message_from_json).collect();
            (!messages.is_empty()).then(|| messages.join("; "))
        }
        _ => None,
    }
}

fn title_of(html: &str) -> Option<&str> {
    // Lower-casing only ASCII keeps the offsets valid in the original.
    let lower = html.to_ascii_lowercase();
    let from = lower.find("<title>")? + "<title>".len();
    let to = from + lower[from..].find("</title>")?;
    Some(html[from..to].trim())
}
