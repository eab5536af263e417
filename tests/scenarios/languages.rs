//! Builds and starts the driver of each language.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use camunda_admin::description::{BodyKind, OPERATIONS, Operation, WAITERS};
use tempfile::TempDir;

use crate::driver::{Driver, Program};
use crate::library::library;
use crate::rust::RustDriver;
use crate::tools::{run, tool, top};

/// Starts a new driver.
pub(crate) type Start = Box<dyn Fn() -> Box<dyn Driver>>;

pub(crate) struct Language {
    pub(crate) name: &'static str,
    /// Builds the driver. Returns `None` if a required tool is not installed.
    pub(crate) prepare: fn() -> Option<Start>,
}

pub(crate) static LANGUAGES: &[Language] = &[
    Language {
        name: "rust",
        prepare: rust,
    },
    Language {
        name: "c",
        prepare: c,
    },
    Language {
        name: "c++",
        prepare: cpp,
    },
    Language {
        name: "python",
        prepare: python,
    },
];

fn rust() -> Option<Start> {
    Some(Box::new(|| Box::new(RustDriver::default())))
}

fn c() -> Option<Start> {
    let compiler = tool("cc")?;
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("operations.inc"), c_operations()).unwrap();
    let mut command = Command::new(compiler);
    command.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L"]);
    compiled(command, &folder, "driver.c");
    Some(started(folder))
}

fn cpp() -> Option<Start> {
    let compiler = tool("c++")?;
    let folder = TempDir::new().unwrap();
    let mut command = Command::new(compiler);
    command.arg("-std=c++17");
    compiled(command, &folder, "driver.cpp");
    Some(started(folder))
}

fn python() -> Option<Start> {
    let interpreter = tool("python3")?;
    let shared = &library().shared;
    Some(Box::new(move || {
        let mut command = Command::new(&interpreter);
        command.arg("-B").arg(sources().join("driver.py"));
        command.env("PYTHONPATH", top().join("bindings/python/src"));
        Box::new(Program::start(
            command,
            &[("CAMUNDA_ADMIN_LIBRARY", shared)],
        ))
    }))
}

fn compiled(mut command: Command, folder: &TempDir, source: &str) {
    command.args(["-Wall", "-Wextra", "-Werror", "-pedantic"]);
    command
        .arg("-I")
        .arg(top().join("include"))
        .arg("-I")
        .arg(folder.path());
    command
        .arg(sources().join(source))
        .arg("-o")
        .arg(folder.path().join("driver"));
    command.args(library().link_flags());
    run(command);
}

/// Returns a function that starts the compiled driver. It owns the folder, which is deleted with it.
fn started(folder: TempDir) -> Start {
    Box::new(move || {
        let mut command = Command::new(folder.path().join("driver"));
        command.current_dir(folder.path());
        Box::new(Program::start(command, &[]))
    })
}

fn sources() -> PathBuf {
    Path::new(top()).join("tests/scenarios")
}

/// Generates the table of the C driver: one line for each operation and waiter with its signature (number
/// of string arguments, whether it has a body, whether it returns a value) and its function.
///
/// The driver does not compile if the header lacks a function or the driver lacks a signature.
fn c_operations() -> String {
    let mut table = String::new();
    let mut push = |call: &str, signature: &str, function: &str| {
        writeln!(table, "ENTRY(\"{call}\", {signature}, {function})").unwrap();
    };
    for operation in OPERATIONS {
        push(
            operation.sdk_method,
            &c_signature(operation),
            operation.c_function,
        );
    }
    for waiter in WAITERS {
        let value = if waiter.response.is_some() {
            "_value"
        } else {
            ""
        };
        let signature = format!("strings_{}{value}", waiter.arguments.len());
        push(waiter.sdk_method, &signature, waiter.c_function);
    }
    table
}

fn c_signature(operation: &Operation) -> String {
    let response = operation.response.as_ref().map(|schema| &schema.kind);
    if matches!(response, Some(BodyKind::Csv)) {
        return "csv".to_owned();
    }
    let body = if operation.body.is_some() {
        "_body"
    } else {
        ""
    };
    let value = if response.is_some() { "_value" } else { "" };
    format!("strings_{}{body}{value}", operation.arguments().count())
}
