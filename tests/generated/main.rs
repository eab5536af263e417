//! Holds the files that are generated from the description of the API against the tree: a type,
//! a field or an operation that was added in Rust and not elsewhere is named here.
//!
//! `CAMUNDA_ADMIN_REFRESH=1 cargo test --features capi --test generated` writes them anew.

mod c;
#[path = "../support/cargo.rs"]
mod cargo;
mod cpp;
#[path = "../support/limited.rs"]
#[allow(dead_code)]
mod limited;
mod python;

use std::fs;
use std::path::{Path, PathBuf};

/// A file of the tree as it has to be.
struct Generated {
    /// From the top of the tree.
    path: &'static str,
    text: String,
}

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Whether stale files are to be written anew rather than reported.
fn refreshing() -> bool {
    std::env::var_os("CAMUNDA_ADMIN_REFRESH").is_some()
}

#[test]
fn generated_files_are_fresh() {
    let mut stale = Vec::new();
    // In this order: what follows the header is made from it.
    for generate in [
        c::generate,
        c::generate_from_header,
        cpp::generate,
        python::generate,
    ] {
        for Generated { path, text } in generate() {
            let found = fs::read_to_string(top().join(path)).unwrap_or_default();
            if found == text {
                continue;
            }
            if refreshing() {
                fs::create_dir_all(top().join(Path::new(path).parent().unwrap())).unwrap();
                fs::write(top().join(path), &text).unwrap();
            } else {
                stale.push(format!("{path}: {}", first_difference(&found, &text)));
            }
        }
    }
    assert!(
        stale.is_empty(),
        "stale, refresh with `CAMUNDA_ADMIN_REFRESH=1 cargo test --features capi --test generated`:\n{}",
        stale.join("\n")
    );
}

fn first_difference(found: &str, wanted: &str) -> String {
    let mut found = found.lines();
    for (number, line) in wanted.lines().enumerate() {
        if found.next() != Some(line) {
            return format!("line {} has to be `{}`", number + 1, line.trim());
        }
    }
    "has lines too many".to_owned()
}
