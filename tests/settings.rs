//! Every setting of `src/config.rs` and environment variable of `src/config/variables.rs` is offered and
//! documented in Rust, C, C++ and Python and has a row in the configuration page.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const CONFIG: &str = "src/config.rs";
const VARIABLES: &str = "src/config/variables.rs";
const BUILDER: &str = "src/api/admin_builder.rs";
const C_HEADER: &str = "include/camunda_admin.h";
const CPP_HEADER: &str = "include/camunda_admin.hpp";
const PYTHON: &str = "bindings/python/src/camunda_admin/_client.py";
const PYTHON_TYPES: &str = "bindings/python/src/camunda_admin/_types.py";
const PYTHON_KEYS: &str = "bindings/python/src/camunda_admin/_settings.py";
const PAGE: &str = "docs/configuration.md";

fn read(path: &str) -> String {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(top.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the part of `text` from `start` to the next `end`.
#[track_caller]
fn section<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap_or_else(|| panic!("no `{start}`"));
    let text = &text[from + start.len()..];
    let to = text.find(end).unwrap_or_else(|| panic!("no `{end}`"));
    &text[..to]
}

/// Returns the comment lines directly before the line that begins with `item`.
#[track_caller]
fn comment_before<'a>(text: &'a str, item: &str) -> Vec<&'a str> {
    let lines: Vec<&str> = text.lines().collect();
    let item = lines
        .iter()
        .position(|line| line.trim_start().starts_with(item))
        .unwrap_or_else(|| panic!("no `{item}`"));
    let is_comment = |line: &&&str| {
        let line = line.trim_start();
        line.starts_with('*') || line.starts_with('/') || line.starts_with('#')
    };
    lines[..item]
        .iter()
        .rev()
        .take_while(is_comment)
        .copied()
        .collect()
}

/// Returns the strings in quotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

/// Returns the keys of the settings in the order of their definition.
fn keys(config: &str) -> Vec<&str> {
    let keys = quoted(section(config, "KEYS: &[&str] = &[", "];"));
    assert!(keys.contains(&"client_id"), "{keys:?}");
    keys
}

/// Returns the names of the environment variables that the configuration reads.
fn variables(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let names: BTreeSet<String> = code
        .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
        .filter(|name| name.starts_with("CAMUNDA_"))
        .map(str::to_owned)
        .collect();
    assert!(names.contains("CAMUNDA_CONSOLE_CLIENT_ID"), "{names:?}");
    names
}

#[track_caller]
fn assert_contains_all<'a>(place: &str, text: &str, parts: impl IntoIterator<Item = &'a str>) {
    let missing: Vec<&str> = parts
        .into_iter()
        .filter(|part| !text.contains(part))
        .collect();
    assert!(missing.is_empty(), "{place} lacks {missing:?}");
}

/// Checks that a place has exactly the keys of `KEYS`.
#[track_caller]
fn assert_has_keys<'a>(place: &str, found: impl IntoIterator<Item = &'a str>) {
    let config = read(CONFIG);
    let listed: BTreeSet<&str> = keys(&config).into_iter().collect();
    let found: BTreeSet<&str> = found.into_iter().collect();
    let missing: Vec<_> = listed.difference(&found).collect();
    let additional: Vec<_> = found.difference(&listed).collect();
    assert!(
        missing.is_empty() && additional.is_empty(),
        "{place} lacks {missing:?}; not in KEYS of {CONFIG}: {additional:?}"
    );
}

#[track_caller]
fn assert_documents_keys(place: &str, text: &str) {
    let config = read(CONFIG);
    let marked: Vec<String> = keys(&config).iter().map(|key| format!("`{key}`")).collect();
    assert_contains_all(place, text, marked.iter().map(String::as_str));
}

/// Returns the keys with an arm in the outer match of a function, found by its indentation.
fn matched_keys<'a>(config: &'a str, function: &str) -> BTreeSet<&'a str> {
    section(config, function, "\n    }\n")
        .lines()
        .filter_map(|line| line.strip_prefix("            \"")?.split_once("\" =>"))
        .flat_map(|(keys, _)| keys.split("\" | \""))
        .collect()
}

#[test]
fn set_value_matches_exactly_the_listed_keys() {
    let config = read(CONFIG);
    assert_has_keys("Config::set_value", matched_keys(&config, "fn set_value("));
}

/// With it, `doctor` shows the settings.
#[test]
fn value_of_matches_exactly_the_listed_keys() {
    let config = read(CONFIG);
    assert_has_keys("Config::value_of", matched_keys(&config, "fn value_of("));
}

#[test]
fn configuration_page_has_a_complete_row_for_each_key_in_order() {
    let page = read(PAGE);
    let table = section(&page, "| key | environment variable |", "\n\n");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(row.iter().all(|column| !column.is_empty()), "{row:?}");
    }
    let documented: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert_has_keys(PAGE, documented.iter().copied());
    assert_eq!(documented, keys(&read(CONFIG)), "order in {PAGE}");
}

#[test]
fn rust_builder_has_a_method_for_each_key() {
    let config = read(CONFIG);
    let methods: Vec<String> = keys(&config)
        .iter()
        .map(|key| format!("pub fn {key}("))
        .collect();
    assert_contains_all(BUILDER, &read(BUILDER), methods.iter().map(String::as_str));
}

#[test]
fn rust_setter_documents_each_key() {
    let builder = read(BUILDER);
    let comment = comment_before(&builder, "pub fn set(&mut self, key").concat();
    assert_documents_keys("the documentation of AdminClientBuilder::set", &comment);
}

#[test]
fn c_header_documents_each_key() {
    let header = read(C_HEADER);
    let lines = header.lines().collect::<Vec<_>>();
    let function = lines
        .iter()
        .position(|line| line.starts_with("camunda_status camunda_config_set("))
        .expect("no camunda_config_set");
    let start = lines[..function]
        .iter()
        .rposition(|line| line.trim_start().starts_with("/**"))
        .expect("no comment");
    let comment = lines[start..function].concat();
    assert_documents_keys("the documentation of camunda_config_set", &comment);
}

#[test]
fn cpp_builder_has_a_method_for_each_key() {
    let config = read(CONFIG);
    let methods: Vec<String> = keys(&config)
        .iter()
        .map(|key| format!("AdminClientBuilder& {key}("))
        .collect();
    assert_contains_all(
        &format!("SETTINGS of xtask/src/cpp/classes.rs, so {CPP_HEADER},"),
        &read(CPP_HEADER),
        methods.iter().map(String::as_str),
    );
}

#[test]
fn python_keys_are_the_listed_ones_in_order() {
    let config = read(CONFIG);
    let python_keys = read(PYTHON_KEYS);
    let python_keys = quoted(section(&python_keys, "\nKEYS = (", ")\n"));
    assert_has_keys(PYTHON_KEYS, python_keys.iter().copied());
    assert_eq!(python_keys, keys(&config), "order in {PYTHON_KEYS}");
}

/// Returns the start of each line that a key begins in the source of the Python client.
fn python_entries() -> Vec<String> {
    let config = read(CONFIG);
    let entry = |key: &&str| format!("\n        {key}: ");
    keys(&config).iter().map(entry).collect()
}

#[test]
fn python_client_accepts_each_key() {
    let client = read(PYTHON);
    let parameters = section(&client, "    def __init__(\n", "    ) -> None:");
    let entries = python_entries();
    let place = format!("AdminClient.__init__ in {PYTHON}");
    assert_contains_all(&place, parameters, entries.iter().map(String::as_str));
}

#[test]
fn python_client_documents_each_key() {
    let client = read(PYTHON);
    let class = section(&client, "class AdminClient(", "locals().items()");
    let arguments = section(class, "    Args:", "\n    Raises:\n");
    let entries = python_entries();
    assert_contains_all(
        "the docstring of AdminClient",
        arguments,
        entries.iter().map(String::as_str),
    );
}

/// `from_env` and `from_env_file` take these as keyword arguments; type checkers reject others.
#[test]
fn python_settings_type_has_exactly_the_listed_keys() {
    let types = read(PYTHON_TYPES);
    let typed = section(&types, "class TokenSettings(", "\nclass Doctor")
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(": "))
        .map(|(key, _)| key)
        .filter(|key| !key.contains('"'));
    assert_has_keys(PYTHON_TYPES, typed);
}

#[test]
fn environment_variables_are_documented_in_all_languages() {
    let variables = variables(&read(VARIABLES));
    for path in [PAGE, BUILDER, C_HEADER, PYTHON] {
        assert_contains_all(path, &read(path), variables.iter().map(String::as_str));
    }
}
