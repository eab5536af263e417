//! Generator of the types, operations and C prototypes of the Python package.
//!
//! Types and operations are generated from the descriptions of the API, prototypes from the C header,
//! so that Python calls exactly the functions that the C ABI exports.

mod docstring;
mod models;
mod operations;
mod prototypes;
mod values;

use std::fmt::Write as _;

use operations::PLACES;

pub(crate) use models::models;
pub(crate) use operations::{is_by_position, operations};
pub(crate) use prototypes::prototypes;
pub(crate) use values::values;

use crate::{Generated, NOTICE};

/// Public names of the hand-written modules, in the order of the modules.
const HAND_WRITTEN: &[(&str, &[&str])] = &[
    ("_client", &["AdminClient"]),
    ("_connection", &["Cancel"]),
    (
        "_errors",
        &[
            "ArgumentTypeError",
            "AuthenticationError",
            "CamundaError",
            "CancelledError",
            "ConfigError",
            "ConflictError",
            "DecodeError",
            "FileError",
            "InternalError",
            "InvalidArgumentError",
            "InvalidRequestError",
            "NetworkError",
            "NotFoundError",
            "NotReadyError",
            "OutcomeUnknownError",
            "PermissionDeniedError",
            "RateLimitedError",
            "ServiceError",
            "TimeoutError",
            "WaitFailedError",
        ],
    ),
];

/// Public names of the hand-written modules that are imported when they are first used, as the models
/// and the type aliases are.
const HAND_WRITTEN_LAZY: &[(&str, &[&str])] = &[
    ("_credentials", &["ClusterCredentials"]),
    ("_doctor", &["doctor"]),
    ("_model_base", &["Model", "OpenEnum", "OpenEnumType"]),
    ("_stats", &["Stats"]),
    ("_token", &["Token"]),
    ("_token_source", &["TokenSource"]),
    ("_token_store", &["TokenStore"]),
];

/// Returns the public type aliases: what `_types.py` exports.
fn aliases() -> Vec<&'static str> {
    let module = include_str!("../../../bindings/python/src/camunda_admin/_types.py");
    let (_, list) = module
        .split_once("__all__ = [")
        .expect("_types.py has `__all__`");
    let (list, _) = list.split_once(']').expect("the list ends");
    list.split('"').skip(1).step_by(2).collect()
}

/// Generates `__init__.py`.
pub(crate) fn init() -> Generated {
    Generated {
        path: "bindings/python/src/camunda_admin/__init__.py",
        text: init_text(),
    }
}

fn init_text() -> String {
    let mut models = vec!["FailoverStep", "Secrets"];
    models.extend(models::names());
    let operations: Vec<&str> = PLACES.iter().map(|(_, class, _)| *class).collect();
    let mut modules: Vec<(&str, Vec<&str>)> = HAND_WRITTEN
        .iter()
        .map(|(module, names)| (*module, names.to_vec()))
        .chain([("_operations", operations)])
        .collect();
    modules.sort_unstable();
    let import = |module: &str, indent: &str, names: &[&str]| {
        let mut text = format!("{indent}from .{module} import (\n");
        for name in names {
            writeln!(text, "{indent}    {name},").unwrap();
        }
        writeln!(text, "{indent})").unwrap();
        text
    };
    let mut text = format!("# {NOTICE}\n");
    text.push_str(include_str!("../../templates/__init__.py.in"));
    let mut imports = String::new();
    models.sort_unstable();
    let mut classes = models.clone();
    for (module, names) in &mut modules {
        names.sort_unstable();
        imports.push_str(&import(module, "", names));
        classes.extend(names.iter().copied());
    }
    let mut lazy = import("_models", "    ", &models);
    let mut places = String::new();
    let aliases = aliases();
    for (module, names) in HAND_WRITTEN_LAZY.iter().chain([&("_types", &*aliases)]) {
        lazy.push_str(&import(module, "    ", names));
        for name in *names {
            writeln!(places, "    \"{name}\": \"{module}\",").unwrap();
        }
        if *module != "_types" {
            classes.extend(*names);
        }
    }
    classes.sort_unstable();
    let quoted_names = |names: &[&str]| {
        let mut text = String::new();
        for name in names {
            writeln!(text, "    \"{name}\",").unwrap();
        }
        text
    };
    text.replace("@IMPORTS@\n", &imports)
        .replace("    @LAZY_IMPORTS@\n", &lazy)
        .replace("@MODULES@\n", &places)
        .replace("@CLASSES@\n", &quoted_names(&classes))
        .replace("@ALIAS_NAMES@\n", &quoted_names(&aliases))
}
