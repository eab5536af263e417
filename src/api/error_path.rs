//! Where in a JSON text a decode error is, as a path such as `[1].status.ready`.
//!
//! Found from the error's position alone: keeping track of the path while decoding would cost time
//! on every answer and room for a second copy of every decoder.

/// The longest path that is told; deeper ones come from hostile answers.
const MAX_PATH_LEN: usize = 200;

/// What is around a place in JSON.
enum Container<'a> {
    Object {
        key: Option<&'a [u8]>,
        expects_key: bool,
    },
    Array {
        index: usize,
    },
}

/// The error in api_enum, with its path in front.
pub(super) fn with_json_path(json: &[u8], error: &serde_json::Error) -> String {
    let message = error.to_string();
    let around = around(&json[..offset(json, error).min(json.len())]);
    match path(&around) {
        path if path.is_empty() => message,
        path => format!("{path}: {message}"),
    }
}

/// The position of an error, which `serde_json` counts in lines from 1 and bytes of the line.
fn offset(json: &[u8], error: &serde_json::Error) -> usize {
    let lines_before = error.line().saturating_sub(1);
    let ends = json.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    let start = match lines_before.checked_sub(1) {
        Some(line) => ends.map(|(at, _)| at + 1).nth(line).unwrap_or(json.len()),
        None => 0,
    };
    start.saturating_add(error.column())
}

/// Walks JSON up to its end and answers what is open there.
fn around(json: &[u8]) -> Vec<Container<'_>> {
    let mut around = Vec::new();
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'{' => around.push(Container::Object {
                key: None,
                expects_key: true,
            }),
            b'[' => around.push(Container::Array { index: 0 }),
            b'}' | b']' => {
                around.pop();
            }
            b',' => match around.last_mut() {
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
                }) = around.last_mut()
                {
                    *key = Some(&json[start..at.min(json.len())]);
                    *expects_key = false;
                }
            }
            _ => {}
        }
        at += 1;
    }
    around
}

fn path(around: &[Container<'_>]) -> String {
    let mut path = String::new();
    for step in around {
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

    fn place(json: &str) -> String {
        path(&around(json.as_bytes()))
    }

    #[test]
    fn places() {
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
            assert_eq!(place(json), expected, "{json}");
        }
        assert!(place(&"[".repeat(1000)).len() < 300);
    }
}
