//! Builds and starts the driver of each language.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use camunda_admin::description::{BodyKind, OPERATIONS, Operation, WAITERS};
use tempfile::TempDir;

use crate::driver::RustDriver;
use crate::driver_process::{Driver, Program};
use crate::library::library;
use crate::tools::{run, tool, top};

/// Starts a new driver.
pub(crate) type Start = Box<dyn Fn() -> Box<dyn Driver> + Sync>;

pub(crate) struct Language {
    pub(crate) name: &'static str,
    /// Builds the driver. Returns `None` if a required tool is not installed.
    pub(crate) prepare: fn() -> Option<Start>,
}

static LANGUAGES: &[Language] = &[
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

/// Returns the languages that the variable `CAMUNDA_TEST_LANGUAGES` selects; default: all.
pub(crate) fn selected() -> Vec<&'static Language> {
    let Ok(names) = std::env::var("CAMUNDA_TEST_LANGUAGES") else {
        return LANGUAGES.iter().collect();
    };
    let named = |name: &str| LANGUAGES.iter().find(|language| language.name == name);
    names
        .split(',')
        .map(|name| {
            named(name).unwrap_or_else(|| {
                let known: Vec<_> = LANGUAGES.iter().map(|language| language.name).collect();
                let known = known.join(", ");
                panic!(
                    "CAMUNDA_TEST_LANGUAGES: unknown language `{name}`; expected some of: {known}"
                )
            })
        })
        .collect()
}

fn rust() -> Option<Start> {
    Some(Box::new(|| Box::new(RustDriver::default())))
}

fn c() -> Option<Start> {
    let mut command = Command::new(tool("cc")?);
    command.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L"]);
    Some(started(compiled("c", command, "driver.c")))
}

fn cpp() -> Option<Start> {
    let mut command = Command::new(tool("c++")?);
    command.arg("-std=c++17");
    Some(started(compiled("cpp", command, "driver.cpp")))
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

/// Compiles a driver, unless it was compiled before with the same compiler, flags and files. Returns its path.
fn compiled(language: &str, mut command: Command, source: &str) -> PathBuf {
    let source = sources().join(source);
    let operations = c_operations();
    command.args(["-Wall", "-Wextra", "-Werror", "-pedantic"]);
    command.arg("-I").arg(top().join("include"));

    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("scenarios");
    fs::create_dir_all(&cache).unwrap();
    let mut hash = DefaultHasher::new();
    let mut version = Command::new(command.get_program());
    version.arg("--version");
    run(version).hash(&mut hash);
    format!("{command:?} {:?}", library().link_flags()).hash(&mut hash);
    operations.hash(&mut hash);
    for file in included_files(&source) {
        fs::read(&file).unwrap().hash(&mut hash);
    }
    let prefix = format!("driver_{language}_");
    let driver = cache.join(format!("{prefix}{:016x}", hash.finish()));
    if driver.exists() {
        return driver;
    }

    for entry in fs::read_dir(&cache).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(&prefix)
        {
            let _ = fs::remove_file(path);
        }
    }
    let folder = TempDir::new_in(&cache).unwrap();
    fs::write(folder.path().join("operations.inc"), operations).unwrap();
    let unfinished = folder.path().join("driver");
    command.arg("-I").arg(folder.path()).arg(&source);
    command
        .arg("-o")
        .arg(&unfinished)
        .args(library().link_flags());
    run(command);
    fs::rename(unfinished, &driver).unwrap();
    driver
}

/// The files of this repository that a driver may include, and its source.
fn included_files(source: &Path) -> Vec<PathBuf> {
    let mut files = vec![source.to_owned()];
    for folder in [top().join("include"), sources()] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if matches!(path.extension().and_then(OsStr::to_str), Some("h" | "hpp")) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Returns a function that starts the compiled driver in an empty directory, which is deleted with the
/// function.
fn started(driver: PathBuf) -> Start {
    let folder = TempDir::new().unwrap();
    Box::new(move || {
        let mut command = Command::new(&driver);
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
        // The compiler shows the line of a function that is not declared.
        let hint = "undeclared: run `cargo xtask generate`";
        writeln!(
            table,
            "ENTRY(\"{call}\", {signature}, {function}) // {hint}"
        )
        .unwrap();
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
