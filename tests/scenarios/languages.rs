//! The languages, and how each one's driver is built and started.

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

/// Starts another driver.
pub(crate) type Start = Box<dyn Fn() -> Box<dyn Driver>>;

pub(crate) struct Language {
    pub(crate) name: &'static str,
    /// `None` where a tool is missing.
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

/// The folder lives as long as drivers can be started from it.
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

/// The table of the C driver: a line for each function of the header that is an operation or a
/// waiter, with its shape: how many texts it takes, whether a body, whether it gives a value.
///
/// A function that the header lacks, or a shape that the driver lacks, does not compile.
fn c_operations() -> String {
    let mut table = String::new();
    let mut push = |call: &str, shape: &str, function: &str| {
        writeln!(table, "ENTRY(\"{call}\", {shape}, {function})").unwrap();
    };
    for operation in OPERATIONS {
        push(operation.call, &c_shape(operation), operation.c_name);
    }
    for waiter in WAITERS {
        let value = if waiter.answer.is_some() {
            "_value"
        } else {
            ""
        };
        let shape = format!("texts_{}{value}", waiter.arguments.len());
        push(waiter.call, &shape, waiter.c_name);
    }
    table
}

fn c_shape(operation: &Operation) -> String {
    let answer = operation.answer.as_ref().map(|shape| &shape.kind);
    if matches!(answer, Some(BodyKind::Csv)) {
        return "csv".to_owned();
    }
    let body = if operation.body.is_some() {
        "_body"
    } else {
        ""
    };
    let value = if answer.is_some() { "_value" } else { "" };
    format!("texts_{}{body}{value}", operation.arguments().count())
}
