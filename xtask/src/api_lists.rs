//! Checks the lists of `src/api/mod.rs`, from which everything is generated: every description is listed,
//! and every type is listed after the types of its fields.

use std::fs;

use camunda_admin::description::{Description, TYPES};

use crate::root;

/// Returns an error that names what is not listed, or is listed too late.
pub(crate) fn check() -> Result<(), String> {
    let mut problems = Vec::new();
    let folder = root().join("src/api");
    let read = |name: &str| {
        fs::read_to_string(folder.join(name)).map_err(|error| format!("src/api/{name}: {error}"))
    };
    let lists = read("mod.rs")?;
    let entries = fs::read_dir(&folder).map_err(|error| format!("src/api: {error}"))?;
    let mut files: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".rs") && name != "mod.rs")
        .collect();
    files.sort();
    for file in files {
        let module = file.trim_end_matches(".rs");
        problems.extend(unlisted(module, &read(&file)?, &lists));
    }
    problems.extend(disordered(TYPES));
    match problems.is_empty() {
        true => Ok(()),
        false => Err(problems.join("\n")),
    }
}

/// Names the descriptions in the source of a module that `lists`, the source of `src/api/mod.rs`, does not
/// have.
fn unlisted(module: &str, source: &str, lists: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for line in source.lines() {
        let Some(declaration) = line.strip_prefix("pub(crate) static ") else {
            continue;
        };
        for (kind, list) in [("Operation", "OPERATIONS"), ("Waiter", "WAITERS")] {
            if let Some(name) = declaration.strip_suffix(&format!(": {kind} = {kind} {{"))
                && !lists
                    .lines()
                    .any(|line| line.trim() == format!("&{module}::{name},"))
            {
                problems.push(format!(
                    "src/api/mod.rs: {list} does not list `&{module}::{name}`"
                ));
            }
        }
    }
    problems
}

/// Names the fields whose type is in `types` after the type that has the field. C++ declares the types in
/// this order.
fn disordered(types: &[&Description]) -> Vec<String> {
    let position = |name: &str| types.iter().position(|it| it.name() == name);
    let mut problems = Vec::new();
    for (at, description) in types.iter().enumerate() {
        let Description::Object { fields, .. } = description else {
            continue;
        };
        for field in *fields {
            let mut names = field.rust_type.split(|c: char| !c.is_alphanumeric());
            if let Some(late) = names.find(|name| position(name).is_some_and(|of| of > at)) {
                problems.push(format!(
                    "src/api/mod.rs: types! lists `{late}` after `{}`, whose field `{}` has that type",
                    description.name(),
                    field.name
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_listed() {
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn unlisted_names_operation_and_waiter() {
        let source = "pub(crate) static GET: Operation = Operation {\n    name: \"get\",\n};\n\
            pub(crate) static LIST: Operation = Operation {\n\
            pub(crate) static READY: Waiter = Waiter {\n\
            pub(crate) static NAMES: [&str; 0] = [];\n";
        let lists = "    &other::GET,\n    &orders::LIST,\n";
        assert_eq!(
            unlisted("orders", source, lists),
            [
                "src/api/mod.rs: OPERATIONS does not list `&orders::GET`",
                "src/api/mod.rs: WAITERS does not list `&orders::READY`",
            ]
        );
    }

    #[test]
    fn disordered_names_type_and_field() {
        let cluster = TYPES.iter().position(|it| it.name() == "Cluster").unwrap();
        let mut types = TYPES.to_vec();
        assert_eq!(disordered(&types), [""; 0]);
        types.swap(0, cluster);
        assert!(
            disordered(&types).iter().any(|problem| problem
                == "src/api/mod.rs: types! lists `ClusterStatus` after `Cluster`, whose field \
                        `status` has that type"),
            "{:?}",
            disordered(&types)
        );
    }
}
