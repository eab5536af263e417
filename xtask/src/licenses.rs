//! `THIRD-PARTY-LICENSES.txt`: the licenses of everything that is linked into the library and into the
//! mock server.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::{Generated, root};

/// Supported targets, which differ in their dependencies.
const TARGETS: &[&str] = &[
    "aarch64-apple-darwin",
    "aarch64-unknown-linux-gnu",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "x86_64-pc-windows-gnu",
    "x86_64-unknown-linux-gnu",
    "x86_64-unknown-linux-musl",
];

/// Package and path of the file with the licenses of its dependencies.
const FILES: &[(&str, &str)] = &[
    ("camunda-admin", "THIRD-PARTY-LICENSES.txt"),
    (
        "camunda-admin-sandbox",
        "tests/sandbox/THIRD-PARTY-LICENSES.txt",
    ),
];

const RULE: &str =
    "================================================================================\n";

/// A package that is linked.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    name: String,
    version: String,
    license: String,
    repository: String,
    directory: String,
}

/// Generates the files. Runs `cargo metadata`, which downloads missing packages.
pub(crate) fn generate() -> Result<Vec<Generated>, String> {
    let metadata: Vec<Value> = TARGETS
        .iter()
        .map(|target| metadata(target))
        .collect::<Result<_, _>>()?;
    let file = |(package, path): &(&str, &'static str)| {
        let mut linked = BTreeSet::new();
        for metadata in &metadata {
            linked.extend(linked_packages(metadata, package)?);
        }
        Ok(Generated {
            path,
            text: text(package, &linked)?,
        })
    };
    FILES.iter().map(file).collect()
}

fn metadata(target: &str) -> Result<Value, String> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--all-features",
        ])
        .args(["--filter-platform", target])
        .current_dir(root());
    let output = command
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo metadata: failed: {stderr}"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

fn str_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Returns the packages from a registry that are linked into `package`: neither build scripts nor
/// procedural macros, nor what only these need.
fn linked_packages(metadata: &Value, package: &str) -> Result<BTreeSet<Package>, String> {
    let packages: BTreeMap<&str, &Value> = items(&metadata["packages"])
        .map(|package| (str_of(package, "id"), package))
        .collect();
    let nodes: BTreeMap<&str, &Value> = items(&metadata["resolve"]["nodes"])
        .map(|node| (str_of(node, "id"), node))
        .collect();
    let is_macro = |package: &Value| {
        items(&package["targets"])
            .flat_map(|target| items(&target["kind"]))
            .any(|kind| kind == "proc-macro")
    };
    let root = packages
        .iter()
        .find(|(_, it)| str_of(it, "name") == package)
        .ok_or_else(|| format!("cargo metadata: no package {package}"))?;
    let mut found = BTreeSet::new();
    let mut visited = BTreeSet::new();
    let mut pending = vec![*root.0];
    while let Some(id) = pending.pop() {
        let package = packages[id];
        if !visited.insert(id) || is_macro(package) {
            continue;
        }
        if package["source"].is_string() {
            let manifest = Path::new(str_of(package, "manifest_path"));
            let directory = manifest.parent().unwrap_or(manifest);
            found.insert(Package {
                name: str_of(package, "name").to_owned(),
                version: str_of(package, "version").to_owned(),
                license: str_of(package, "license").to_owned(),
                repository: str_of(package, "repository").to_owned(),
                directory: directory.to_string_lossy().into_owned(),
            });
        }
        let linked = items(&nodes[id]["deps"])
            .filter(|dependency| items(&dependency["dep_kinds"]).any(|it| it["kind"].is_null()));
        pending.extend(linked.map(|dependency| str_of(dependency, "pkg")));
    }
    Ok(found)
}

/// Returns the content of a file: the list of packages, then each text with the packages that have it.
fn text(package: &str, linked: &BTreeSet<Package>) -> Result<String, String> {
    let mut text = format!(
        "Licenses of the software that is linked into {package}, on all supported platforms.\n\
         Generated by `cargo xtask licenses`; do not edit.\n\n\
         The Rust standard library (https://www.rust-lang.org) is licensed under MIT OR Apache-2.0;\n\
         Copyright (c) The Rust Project Contributors.\n\n"
    );
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut without_file = Vec::new();
    for package in linked {
        let Package {
            name,
            version,
            license,
            repository,
            directory,
        } = package;
        text.push_str(&format!("{name} {version}: {license}\n"));
        let files = license_files(Path::new(directory), license)?;
        if files.is_empty() {
            without_file.push(format!("{name} {version} ({license}), see {repository}"));
        }
        for file in files {
            let packages = texts.entry(file).or_default();
            packages.push(format!("{name} {version}"));
        }
    }
    if !without_file.is_empty() {
        text.push_str("\nPackages without a file of their license:\n");
        for package in without_file {
            text.push_str(&format!("{package}\n"));
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|a, b| a.1.cmp(&b.1));
    for (license, packages) in texts {
        text.push_str(&format!("\n{RULE}{}\n{RULE}\n", packages.join(", ")));
        text.push_str(&license);
    }
    Ok(text)
}

/// Returns the texts of a package's license files: that of MIT if the package offers a choice that
/// includes it, else all of them.
fn license_files(directory: &Path, license: &str) -> Result<Vec<String>, String> {
    let failed = |error| format!("{}: {error}", directory.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let upper = name.to_ascii_uppercase();
        let is_license = [
            "LICENSE",
            "LICENCE",
            "COPYING",
            "COPYRIGHT",
            "NOTICE",
            "UNLICENSE",
        ]
        .iter()
        .any(|prefix| upper.starts_with(prefix));
        if is_license && entry.file_type().map_err(failed)?.is_file() {
            names.push(name);
        }
    }
    names.sort();
    let is_choice = license.contains(" OR ") || license.contains('/');
    if is_choice && let Some(mit) = names.iter().find(|name| name.contains("MIT")) {
        names = vec![mit.clone()];
    }
    let read = |name: &String| {
        let bytes = fs::read(directory.join(name)).map_err(failed)?;
        let lines = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
        let lines: Vec<&str> = lines.lines().map(str::trim_end).collect();
        Ok(format!("{}\n", lines.join("\n").trim_matches('\n')))
    };
    names.iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn linked_packages_leave_out_macros_build_scripts_and_members() {
        let package = |name: &str, kind: &str, source: Value| {
            json!({
                "id": name, "name": name, "version": "1.0.0", "license": "MIT",
                "repository": null, "source": source, "manifest_path": format!("/r/{name}/Cargo.toml"),
                "targets": [{"kind": [kind]}],
            })
        };
        let registry = json!("registry");
        let dependency =
            |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [
                package("top", "lib", Value::Null),
                package("linked", "lib", registry.clone()),
                package("deep", "lib", registry.clone()),
                package("macro", "proc-macro", registry.clone()),
                package("of-macro", "lib", registry.clone()),
                package("build", "lib", registry.clone()),
                package("test", "lib", registry),
            ],
            "resolve": {"nodes": [
                {"id": "top", "deps": [
                    dependency("linked", Value::Null),
                    dependency("macro", Value::Null),
                    dependency("build", json!("build")),
                    dependency("test", json!("dev")),
                ]},
                {"id": "linked", "deps": [dependency("deep", Value::Null)]},
                {"id": "deep", "deps": [dependency("linked", Value::Null)]},
                {"id": "macro", "deps": [dependency("of-macro", Value::Null)]},
            ]},
        });
        let found = linked_packages(&metadata, "top").ok().unwrap();
        let names: Vec<_> = found.iter().map(|it| (&*it.name, &*it.directory)).collect();
        assert_eq!(names, [("deep", "/r/deep"), ("linked", "/r/linked")]);
    }

    #[test]
    fn license_files_choose_mit_if_there_is_a_choice() {
        let place = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("LICENSE-APACHE", "apache"),
            ("LICENSE-MIT", "\r\nmit  \r\n\r\n"),
            ("license.txt", "other"),
            ("README.md", "no license"),
        ] {
            fs::write(place.path().join(name), text).unwrap();
        }
        let files = |license| license_files(place.path(), license).unwrap();
        assert_eq!(files("MIT OR Apache-2.0"), ["mit\n"]);
        assert_eq!(files("MIT/Apache-2.0"), ["mit\n"]);
        assert_eq!(
            files("MIT AND Apache-2.0"),
            ["apache\n", "mit\n", "other\n"]
        );
    }
}
