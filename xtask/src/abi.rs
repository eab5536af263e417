//! Guards the C ABI: compares the declarations of the header with those of the last release.
//!
//! `cargo xtask freeze-abi` stores the declarations at a release. A program that was compiled against
//! them must work with every later library of the same `CAMUNDA_ABI_VERSION`.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use crate::root;

/// Declarations of the last release, one per line, with the ABI version in the first.
const FROZEN: &str = "xtask/abi.txt";

/// Stores the declarations of a header as those of the last release.
pub(crate) fn freeze(header: &str) -> Result<(), String> {
    fs::write(root().join(FROZEN), listing(header))
        .map_err(|error| format!("{FROZEN}: {error}"))?;
    println!("{FROZEN}");
    Ok(())
}

/// Compares a header with the declarations of the last release, if there was one.
pub(crate) fn check(header: &str) -> Result<(), String> {
    let frozen = match fs::read_to_string(root().join(FROZEN)) {
        Ok(frozen) => frozen,
        // Before the first release.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{FROZEN}: {error}")),
    };
    let broken = incompatibilities(&frozen, &listing(header));
    if broken.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the C ABI differs from that of the last release; keep these declarations, or increase \
         CAMUNDA_ABI_VERSION and, while the version is 0.x, the minor version:\n{}",
        broken.join("\n")
    ))
}

/// Returns the declarations of the last release that the current header has no longer, unless its ABI
/// version is another. Declarations may be added, and fields at the end of a struct that begins with
/// its size.
fn incompatibilities(frozen: &str, current: &str) -> Vec<String> {
    if frozen.lines().next() != current.lines().next() {
        return Vec::new();
    }
    let current: BTreeSet<&str> = current.lines().collect();
    let is_extended = |line: &str| {
        line.starts_with("struct ")
            && line.contains("{ size_t size;")
            && line
                .strip_suffix(" }")
                .is_some_and(|start| current.iter().any(|known| known.starts_with(start)))
    };
    frozen
        .lines()
        .filter(|line| !current.contains(line) && !is_extended(line))
        .map(str::to_owned)
        .collect()
}

/// Returns the constants, types and prototypes of a header, one per line, sorted.
fn listing(header: &str) -> String {
    let mut version = String::new();
    let mut lines = BTreeSet::new();
    let mut code = String::new();
    let mut in_comment = false;
    for line in header.lines() {
        let text = line.trim();
        in_comment |= text.starts_with("/*");
        if !in_comment {
            match text
                .strip_prefix("#define ")
                .and_then(|it| it.split_once(' '))
            {
                Some(("CAMUNDA_ABI_VERSION", value)) => version = value.to_owned(),
                // The version of the header, and macros of compilers.
                Some((name, _)) if name.starts_with("CAMUNDA_VERSION") => {}
                Some((name, value)) if value.parse::<i64>().is_ok() => {
                    lines.insert(format!("constant {name} = {value}"));
                }
                _ if text.starts_with('#') => {}
                _ => {
                    code.push_str(text);
                    code.push(' ');
                }
            }
        }
        in_comment &= !text.ends_with("*/");
    }
    let code = code.replace("extern \"C\" {", "");
    let mut rest = code.as_str();
    while let Some(end) = statement_end(rest) {
        let statement = rest[..end].split_whitespace().collect::<Vec<_>>().join(" ");
        rest = &rest[end + 1..];
        lines.insert(declaration(&statement));
    }
    assert!(
        !version.is_empty(),
        "the header defines no CAMUNDA_ABI_VERSION"
    );
    let lines: Vec<String> = lines.into_iter().collect();
    format!("ABI version {version}\n{}\n", lines.join("\n"))
}

/// Returns the position of the semicolon that ends the first statement.
fn statement_end(code: &str) -> Option<usize> {
    let mut depth = 0;
    code.char_indices().find_map(|(at, c)| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        (c == ';' && depth == 0).then_some(at)
    })
}

/// Returns a statement in one form: without parameter names, which are not part of the ABI.
fn declaration(statement: &str) -> String {
    let statement = statement.replace("CAMUNDA_NODISCARD ", "");
    if let Some((_, body)) = statement
        .strip_prefix("typedef struct ")
        .and_then(|it| it.split_once('{'))
    {
        let (fields, name) = body.rsplit_once('}').unwrap_or((body, ""));
        return format!("struct {} {{ {} }}", name.trim(), fields.trim());
    }
    match statement.rsplit_once('(') {
        None => statement,
        Some((start, parameters)) => {
            let types: Vec<String> = parameters
                .trim_end_matches(')')
                .split(',')
                .map(|parameter| {
                    let parameter = parameter.trim();
                    let end = parameter
                        .rfind([' ', '*'])
                        .map_or(parameter.len(), |at| at + 1);
                    parameter[..end].trim().to_owned()
                })
                .collect();
            format!("{start}({})", types.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELEASED: &str = r#"
/** A comment; with a semicolon. */
#define CAMUNDA_VERSION_MAJOR 0
#define CAMUNDA_ABI_VERSION 3
#define CAMUNDA_STATUS_OK 0
#ifdef __cplusplus
extern "C" {
#endif
typedef int32_t camunda_status;
typedef int32_t (*camunda_write_fn)(void *user, const char *data);
typedef struct camunda_store {
  size_t size;
  /** Reads. */
  camunda_write_fn get;
} camunda_store;
CAMUNDA_NODISCARD
camunda_status camunda_get(const char *id,
                           camunda_value **value);
const char *camunda_name(void);
"#;

    fn broken(current: &str) -> Vec<String> {
        incompatibilities(&listing(RELEASED), &listing(current))
    }

    #[test]
    fn listing_has_every_declaration_once_and_no_names_of_parameters() {
        assert_eq!(
            listing(RELEASED).lines().collect::<Vec<_>>(),
            [
                "ABI version 3",
                "camunda_status camunda_get(const char *, camunda_value **)",
                "const char *camunda_name(void)",
                "constant CAMUNDA_STATUS_OK = 0",
                "struct camunda_store { size_t size; camunda_write_fn get; }",
                "typedef int32_t (*camunda_write_fn)(void *, const char *)",
                "typedef int32_t camunda_status",
            ]
        );
    }

    #[test]
    fn compatible_changes_are_accepted() {
        for (from, to) in [
            ("const char *id", "const char *cluster_id"),
            ("A comment", "Another comment"),
            ("VERSION_MAJOR 0", "VERSION_MAJOR 1"),
            (
                "const char *camunda_name(void);",
                "const char *camunda_name(void);\nvoid camunda_new(void);",
            ),
            (
                "camunda_write_fn get;",
                "camunda_write_fn get;\n  camunda_write_fn put;",
            ),
            ("CAMUNDA_NODISCARD\n", ""),
            (
                "#define CAMUNDA_STATUS_OK 0",
                "#define CAMUNDA_STATUS_OK 0\n#define CAMUNDA_STATUS_NEW 1",
            ),
        ] {
            let current = RELEASED.replacen(from, to, 1);
            assert_ne!(current, RELEASED, "{from}");
            assert_eq!(broken(&current), Vec::<String>::new(), "{from} -> {to}");
        }
    }

    #[test]
    fn incompatible_changes_need_another_abi_version() {
        for (from, to) in [
            ("const char *camunda_name(void);", ""),
            ("const char *camunda_name(void)", "char *camunda_name(void)"),
            ("camunda_value **value", "camunda_value **value, bool all"),
            ("CAMUNDA_STATUS_OK 0", "CAMUNDA_STATUS_OK 1"),
            (
                "camunda_write_fn get;",
                "camunda_write_fn put;\n  camunda_write_fn get;",
            ),
            (
                "typedef int32_t camunda_status",
                "typedef int64_t camunda_status",
            ),
            ("(void *user, const char *data)", "(void *user)"),
        ] {
            let current = RELEASED.replacen(from, to, 1);
            assert_eq!(broken(&current).len(), 1, "{from} -> {to}");
            let renumbered = current.replace("ABI_VERSION 3", "ABI_VERSION 4");
            assert_eq!(broken(&renumbered), Vec::<String>::new(), "{from} -> {to}");
        }
    }

    #[test]
    fn header_has_the_abi_of_the_last_release() {
        let header = crate::declarations();
        assert!(listing(&header).lines().count() > 150);
        if let Err(problem) = check(&header) {
            panic!("{problem}");
        }
    }
}
