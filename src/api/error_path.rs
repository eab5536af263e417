//! Path of a decode error in a JSON document, such as `[1].status.ready`.
//!
//! Derived from the position of the error. Tracking the path while decoding, as `serde_path_to_error`
//! does, takes 41 % more instructions for a list of 100 clusters, and 47 kB of code for that one type.

use std::str::Utf8Error;

use crate::secret::Zeroizing;

/// Maximum length of a path in an error message. Longer paths are truncated.
const MAX_PATH_LEN: usize = 200;

/// Object or array that encloses a position in a JSON document.
enum Container<'a> {
    Object {
        key: Option<&'a [u8]>,
        expects_key: bool,
    },
    Array {
        index: usize,
    },
}

/// Returns the message of the error, prefixed with its JSON path and without the text of a string,
/// which may be secret: a body can be encoded twice, for example.
pub(super) fn with_json_path(json: &[u8], error: &serde_json::Error) -> String {
    let message = Zeroizing::new(error.to_string());
    message_at(json, offset(json, error), without_string(&message))
}

/// Removes the string that serde quotes in `invalid type: string "text", expected a sequence`.
fn without_string(message: &str) -> String {
    const BEFORE: &str = "string \"";
    const AFTER: &str = "\", expected ";
    let begins = message.starts_with("invalid type: ") || message.starts_with("invalid value: ");
    match (message.find(BEFORE), message.rfind(AFTER)) {
        (Some(before), Some(after)) if begins && before < after => {
            let kept = &message[..before + "string".len()];
            [kept, &message[after + 1..]].concat()
        }
        _ => message.to_owned(),
    }
}

/// Returns the JSON path and the position of the error. `serde_json`'s message can quote the value.
pub(super) fn without_values(json: &[u8], error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let message = format!("unexpected type or missing field at line {line} column {column}");
    message_at(json, offset(json, error), message)
}

fn message_at(json: &[u8], offset: usize, message: String) -> String {
    let containers = open_containers(&json[..offset.min(json.len())]);
    match path(&containers) {
        path if path.is_empty() => message,
        path => format!("{path}: {message}"),
    }
}

/// Returns the message for a document that is not UTF-8, as `serde_json::from_slice` writes it.
/// That function itself would need a second instance of each decoder.
///
/// `decode` returns the error of a document in which placeholders replace the invalid bytes. It is the
/// error of `json` too if it is before the end of the first string with such a byte.
pub(super) fn of_invalid_utf8(
    json: &[u8],
    invalid: Utf8Error,
    decode: &dyn Fn(&str) -> Option<serde_json::Error>,
) -> String {
    let mut replaced = Zeroizing::new(Vec::with_capacity(json.len()));
    for chunk in json.utf8_chunks() {
        replaced.extend_from_slice(chunk.valid().as_bytes());
        replaced.extend(chunk.invalid().iter().map(|_| b'?'));
    }
    let end = string_end(json, invalid.valid_up_to());
    if let Some(error) = std::str::from_utf8(&replaced).ok().and_then(decode)
        && end.is_none_or(|end| offset(json, &error) < end)
    {
        return with_json_path(json, &error);
    }
    let end = end.unwrap_or(json.len());
    let start_of_line = json[..end]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let lines = json[..end].split(|byte| *byte == b'\n').count();
    let column = end - start_of_line;
    let message = format!("invalid unicode code point at line {lines} column {column}");
    message_at(json, end, message)
}

/// Returns the offset after the closing quote of the string that encloses a position, or `None` if no
/// string does.
fn string_end(json: &[u8], position: usize) -> Option<usize> {
    let mut at = 0;
    while at <= position {
        if json[at] != b'"' {
            at += 1;
            continue;
        }
        at += 1;
        while *json.get(at)? != b'"' {
            at += if json[at] == b'\\' { 2 } else { 1 };
        }
        at += 1;
        if at > position {
            return Some(at);
        }
    }
    None
}

/// Returns the byte offset of an error. `serde_json` counts lines from 1, and columns in bytes.
fn offset(json: &[u8], error: &serde_json::Error) -> usize {
    let lines_before = error.line().saturating_sub(1);
    let ends = json.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let start = match lines_before.checked_sub(1) {
        Some(line) => ends.map(|(at, _)| at + 1).nth(line).unwrap_or(json.len()),
        None => 0,
    };
    let offset = start.saturating_add(error.column());
    // The error of a secret has no position of its own. If the secret is the last field, `serde_json`
    // reports the position after the end of the object.
    let is_after_object = offset.checked_sub(1).and_then(|last| json.get(last)) == Some(&b'}');
    offset
        - usize::from(is_after_object && error.to_string().starts_with(crate::secret::NOT_A_STRING))
}

/// Scans a truncated JSON document, and returns the containers that are open at its end.
fn open_containers(json: &[u8]) -> Vec<Container<'_>> {
    let mut open = Vec::new();
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'{' => open.push(Container::Object {
                key: None,
                expects_key: true,
            }),
            b'[' => open.push(Container::Array { index: 0 }),
            b'}' | b']' => {
                open.pop();
            }
            b',' => match open.last_mut() {
                Some(Container::Object { expects_key, .. }) => *expects_key = true,
                Some(Container::Array { index }) => *index += 1,
                None => {}
            },
            b'"' => {
                let start = at + 1;
                at = start;
                while at < json.len() && json[at] != b'"' {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                if let Some(Container::Object {
                    key,
                    expects_key: expects_key @ true,
                }) = open.last_mut()
                {
                    *key = Some(&json[start..at.min(json.len())]);
                    *expects_key = false;
                }
            }
            _ => {}
        }
        at += 1;
    }
    open
}

fn path(containers: &[Container<'_>]) -> String {
    let mut path = String::new();
    for step in containers {
        match step {
            Container::Object { key: Some(key), .. } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&String::from_utf8_lossy(key));
            }
            Container::Object { key: None, .. } => {}
            Container::Array { index } => path.push_str(&format!("[{index}]")),
        }
        if path.len() > MAX_PATH_LEN {
            let cut = (0..=MAX_PATH_LEN)
                .rev()
                .find(|at| path.is_char_boundary(*at))
                .unwrap_or(0);
            path.truncate(cut);
            path.push('…');
            break;
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_at_end_of(json: &str) -> String {
        path(&open_containers(json.as_bytes()))
    }

    #[test]
    fn message_has_no_text_of_a_string() {
        for (json, expected) in [
            (
                r#""hunter2""#,
                "invalid type: string, expected a sequence at line 1 column 9",
            ),
            (
                r#"[1,"\", expected hunter2\", expected a u8"]"#,
                "[1]: invalid type: string, expected u8 at line 1 column 42",
            ),
            (
                "[[]]",
                "[0]: invalid type: sequence, expected u8 at line 1 column 1",
            ),
            (
                "[300]",
                "[0]: invalid value: integer `300`, expected u8 at line 1 column 4",
            ),
        ] {
            let error = serde_json::from_str::<Vec<u8>>(json).unwrap_err();
            assert_eq!(with_json_path(json.as_bytes(), &error), expected);
        }
    }

    #[test]
    fn path_names_open_containers() {
        for (json, expected) in [
            ("", ""),
            ("17", ""),
            ("{", ""),
            (r#"{"a""#, "a"),
            (r#"{"a":1"#, "a"),
            (r#"{"a":1,"b":{"c":[1,2,{"d":"#, "b.c[2].d"),
            (r#"{"a":"},{","b":3"#, "b"),
            (r#"{"a\"b":"\\","c":3"#, "c"),
            ("[[],[],3", "[2]"),
            ("{}]}}", ""),
            (r#"{"a":"unfinished \"#, "a"),
        ] {
            assert_eq!(path_at_end_of(json), expected, "{json}");
        }
        assert!(path_at_end_of(&"[".repeat(1000)).len() < 300);
    }
}
