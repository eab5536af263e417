//! All log records have the documented form `event[, consequence]: key=value …`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Fields whose values are texts, so that they are quoted and escaped.
const TEXTS: [&str; 6] = [
    "audience",
    "error",
    "operation",
    "request_id",
    "source",
    "store",
];

/// A record: where it is, and its format string.
struct Record {
    place: String,
    format: String,
}

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Returns the first string literal of a macro call, without line continuations and escapes.
fn first_literal(call: &str) -> String {
    let mut literal = String::new();
    let (_, text) = call.split_once('"').expect("a record has a format string");
    let mut chars = text.chars().peekable();
    loop {
        match chars.next().expect("a format string ends") {
            '"' => return literal,
            '\\' if chars.peek() == Some(&'\n') => {
                while chars.next_if(|c| c.is_whitespace()).is_some() {}
            }
            '\\' => literal.push(chars.next().unwrap()),
            c => literal.push(c),
        }
    }
}

fn records() -> Vec<Record> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    source_files(&root.join("src"), &mut files);
    let mut records = Vec::new();
    for file in files {
        let source = fs::read_to_string(&file).unwrap();
        for name in ["error!(", "warn!(", "info!(", "debug!(", "trace!(", "log!("] {
            for (position, matched) in source.match_indices(&format!("log::{name}")) {
                let line = source[..position].lines().count();
                records.push(Record {
                    place: format!("{}:{line}", file.strip_prefix(root).unwrap().display()),
                    format: first_literal(&source[position + matched.len()..]),
                });
            }
        }
    }
    records
}

/// Returns the keys of a record, or what is wrong with its form.
fn keys(format: &str) -> Result<Vec<&str>, String> {
    let (event, fields) = format.split_once(": ").ok_or("no `event: `")?;
    if event.contains('=') || event.starts_with(char::is_uppercase) {
        return Err(format!("`{event}` is not an event"));
    }
    let mut keys = Vec::new();
    let mut rest = fields;
    while !rest.is_empty() {
        let (key, value) = rest.split_once('=').ok_or(format!("no `=`: `{rest}`"))?;
        if key.is_empty() || !key.bytes().all(|c| matches!(c, b'a'..=b'z' | b'_')) {
            return Err(format!("`{key}` is not a key"));
        }
        let end = value.find(' ').unwrap_or(value.len());
        let (value, following) = value.split_at(end);
        let is_quoted = value.contains(":?}") || value.starts_with('"');
        if TEXTS.contains(&key) && !is_quoted {
            return Err(format!("the text `{key}` is not quoted"));
        }
        keys.push(key);
        rest = following.strip_prefix(' ').unwrap_or(following);
    }
    Ok(keys)
}

#[test]
fn records_have_an_event_and_documented_fields() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/observability.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("\nThe fields:\n").unwrap();
    let (table, _) = table.split_once("\n::::").unwrap();
    let documented: BTreeSet<&str> = table
        .lines()
        .filter_map(|row| row.strip_prefix("| `")?.split(" |").next())
        .flat_map(|names| names.split(['`', ',', ' ']))
        .filter(|name| !name.is_empty())
        .collect();

    let records = records();
    assert!(records.len() >= 20, "{} records found", records.len());
    let mut faults = Vec::new();
    for Record { place, format } in records {
        match keys(&format) {
            Ok(keys) => {
                let undocumented = keys.iter().filter(|key| !documented.contains(*key));
                faults.extend(undocumented.map(|key| {
                    format!("{place}: `{key}` is not in the table of docs/observability.md")
                }));
            }
            Err(fault) => faults.push(format!("{place}: {fault}: {format}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn keys_finds_faults() {
    assert_eq!(
        keys("poll failed, retrying: operation={:?} delay={}{} error={:?}"),
        Ok(vec!["operation", "delay", "error"])
    );
    for fault in [
        "{error}",
        "{}: an earlier attempt was applied: {error}",
        "Poll failed: error={:?}",
        "poll failed: error={error}",
        "poll failed: in vain",
        "token store failed: store=Redis at {}",
    ] {
        assert!(keys(fault).is_err(), "{fault}");
    }
}
