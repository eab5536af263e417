//! Tests of the C ABI and the C++ header: compiles the programs in `tests/c` and `tests/cpp` and the
//! examples with the system's compilers, and runs them against a sandbox, directly, under valgrind and
//! with sanitizers.
//!
//! If a tool is missing, its tests are skipped with a message; with `CI=true` they fail.

#![cfg(unix)]

#[path = "../support/cargo.rs"]
mod cargo;
mod contract;
mod header;
mod install;
#[path = "../support/library.rs"]
mod library;
#[path = "../support/limited.rs"]
#[allow(dead_code)]
mod limited;
mod multi_process;
mod program;
mod redis;
#[path = "../support/redis_server.rs"]
mod redis_server;
mod tools;

use std::collections::BTreeSet;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::process::Command;

use serde_json::Value;

use library::library;
use program::{Build, Language, Program};
use tools::{run, tool, top};

/// Generates two tests for each program: one runs it directly and then under valgrind (C++ programs only
/// if they are fast), one runs a build with sanitizers.
macro_rules! programs {
    ($($module:ident: $language:ident $source:literal;)*) => { $(
        mod $module {
            use super::*;

            #[test]
            fn runs() {
                test_program(Language::$language, $source, Build::Plain);
            }

            #[test]
            fn runs_with_sanitizers() {
                test_program(Language::$language, $source, Build::Sanitizers);
            }
        }
    )* };
}

programs! {
    c_values: C "tests/c/values.c";
    c_objects: C "tests/c/objects.c";
    c_config: C "tests/c/config.c";
    c_operations: C "tests/c/operations.c";
    c_errors: C "tests/c/errors.c";
    c_cancel: C "tests/c/cancel.c";
    c_signals: C "tests/c/signals.c";
    c_exit: C "tests/c/exit.c";
    c_callbacks: C "tests/c/callbacks.c";
    c_tokens: C "tests/c/tokens.c";
    c_token_store: C "tests/c/token_store.c";
    c_fork: C "tests/c/fork.c";
    cpp_types: Cpp "tests/cpp/types.cpp";
    cpp_operations: Cpp "tests/cpp/operations.cpp";
    cpp_errors: Cpp "tests/cpp/errors.cpp";
    cpp_calls: Cpp "tests/cpp/calls.cpp";
    cpp_exit: Cpp "tests/cpp/exit.cpp";
    cpp_token_store: Cpp "tests/cpp/token_store.cpp";
    c_example: C "examples/c/quickstart.c";
    cpp_example: Cpp "examples/cpp/quickstart.cpp";
}

const QUICK_IN_CPP: [&str; 2] = ["tests/cpp/errors.cpp", "tests/cpp/token_store.cpp"];

fn test_program(language: Language, source: &str, build: Build) {
    if let Some(program) = Program::compile(language, &top().join(source), build) {
        program.run();
        // Sanitizers check the C++ code faster than valgrind, but do not see accesses in the library.
        let is_quick = language == Language::C || QUICK_IN_CPP.contains(&source);
        if is_quick && build == Build::Plain {
            program.run_under_valgrind();
        }
    }
}

/// Checks each supported combination of compiler and language standard.
#[test]
fn headers_compile_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let matrix: [(&[&str], &str, &[&str]); 2] = [
        (&["gcc", "clang"], "c", &["c99", "c11", "c2x"]),
        (&["g++", "clang++"], "cpp", &["c++17", "c++20", "c++2b"]),
    ];
    for (compilers, extension, standards) in matrix {
        // C++ programs can include the C header as well.
        for name in ["camunda_admin.h", "camunda_admin.hpp"] {
            if extension == "c" && name == "camunda_admin.hpp" {
                continue;
            }
            let source = folder.path().join(format!("{name}.{extension}"));
            // Included twice, to check the include guard.
            let text = format!(
                "#include \"{name}\"\n#include \"{name}\"\nint main(void) {{ return 0; }}\n"
            );
            let text = if extension == "cpp" {
                text.replace("(void)", "()")
            } else {
                text
            };
            fs::write(&source, text).unwrap();
            for compiler in compilers {
                let Some(compiler) = tool(compiler) else {
                    continue;
                };
                for standard in standards {
                    let mut command = Command::new(&compiler);
                    command
                        .arg(format!("-std={standard}"))
                        .args(program::WARNINGS);
                    command.args([
                        "-Wshadow",
                        "-Wconversion",
                        "-Wsign-conversion",
                        "-fsyntax-only",
                    ]);
                    command.arg("-I").arg(top().join("include")).arg(&source);
                    run(command);
                }
            }
        }
    }
}

/// Calls every exported function with NULL for all pointers together, and for each pointer alone.
#[test]
fn exported_functions_do_not_crash_on_null() {
    generated_program("null", &header::null_test());
}

/// Calls every exported function with invalid UTF-8 for each string.
#[test]
fn exported_functions_reject_invalid_utf8() {
    generated_program("utf8", &header::utf8_test());
}

fn generated_program(name: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join(format!("{name}.c"));
    fs::write(&source, text).unwrap();
    if let Some(program) = Program::compile(Language::C, &source, Build::Plain) {
        program.run();
        program.run_under_valgrind();
    }
    if let Some(program) = Program::compile(Language::C, &source, Build::Sanitizers) {
        program.run();
    }
}

/// Checks the leak detection itself.
#[test]
fn leak_detection_reports_error_that_is_not_freed() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("leak.c");
    fs::write(
        &source,
        "#include <camunda_admin.h>\n\
         int main(void) {\n  camunda_value *value;\n  camunda_error *error;\n  \
         const camunda_status status = camunda_value_parse(\"{\", 1, &value, &error);\n  \
         error = 0;\n  return status == CAMUNDA_STATUS_OK;\n}\n",
    )
    .unwrap();
    let assert_reported = |build, run: fn(&Program), message| {
        let Some(program) = Program::compile(Language::C, &source, build) else {
            return;
        };
        let result = panic::catch_unwind(AssertUnwindSafe(|| run(&program)));
        let what = result.expect_err("the leak is reported");
        let what = what
            .downcast_ref::<String>()
            .expect("the panic has a message");
        assert!(what.contains(message), "{what}");
    };
    let sanitized = "LeakSanitizer: detected memory leaks";
    assert_reported(Build::Sanitizers, Program::run, sanitized);
    if tool("valgrind").is_some() {
        assert_reported(Build::Plain, Program::run_under_valgrind, "definitely lost");
    }
}

/// ThreadSanitizer reports no race in a program that shares a client between threads, if it uses the
/// suppressions for the library.
#[test]
fn threads_share_a_client_without_a_race() {
    let source = top().join("tests/c/threads.c");
    if let Some(program) = Program::compile(Language::C, &source, Build::Threads) {
        program.run();
    }
}

/// The suppressions do not hide a race in the program itself.
#[test]
fn thread_sanitizer_reports_a_race_of_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("race.c");
    fs::write(
        &source,
        "#include <camunda_admin.h>\n#include <pthread.h>\n\
         static camunda_value *value;\nstatic const char *text;\n\
         static void *run(void *unused) {\n  \
         text = camunda_value_str(value, NULL);\n  return unused;\n}\n\
         int main(void) {\n  pthread_t threads[2];\n  \
         if (camunda_value_parse(\"\\\"a\\\"\", 3, &value, NULL) != CAMUNDA_STATUS_OK) return 1;\n  \
         for (int i = 0; i < 2; ++i) pthread_create(&threads[i], NULL, run, NULL);\n  \
         for (int i = 0; i < 2; ++i) pthread_join(threads[i], NULL);\n  \
         camunda_value_free(value);\n  return text == NULL;\n}\n",
    )
    .unwrap();
    let Some(program) = Program::compile(Language::C, &source, Build::Threads) else {
        return;
    };
    let result = panic::catch_unwind(AssertUnwindSafe(|| program.run()));
    let what = result.expect_err("the race is reported");
    let what = what
        .downcast_ref::<String>()
        .expect("the panic has a message");
    assert!(
        what.contains("data race") && what.contains("race.c"),
        "{what}"
    );
}

/// A build of what is already built compiles nothing: link-time optimization takes minutes.
#[test]
fn c_library_is_not_compiled_again_without_a_change() {
    library();
    let mut command = cargo::build();
    command.args(["--lib", "--message-format", "json"]);
    let messages: Vec<Value> = run(command)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let fresh: Vec<(&str, bool)> = messages
        .iter()
        .filter(|message| message["reason"] == "compiler-artifact")
        .map(|message| {
            let name = message["target"]["name"].as_str().unwrap();
            (name, message["fresh"].as_bool().unwrap())
        })
        .collect();
    assert!(fresh.contains(&("camunda_admin", true)), "{fresh:?}");
    let compiled = fresh.iter().filter(|(_, fresh)| !fresh);
    assert_eq!(compiled.collect::<Vec<_>>(), [&("", false); 0]);
}

/// `cargo test` with and without `--workspace`, and the builds that tests start, use the same build of each
/// dependency. So nothing is compiled twice, and tests run with the features that users get.
#[test]
fn dependencies_are_the_same_with_and_without_workspace() {
    let dependencies = |mut command: Command| {
        // The list of what cargo would compile is not a stable feature.
        command.args(["--offline", "--unit-graph", "-Zunstable-options"]);
        command.env("RUSTC_BOOTSTRAP", "1").current_dir(top());
        let graph: Value = serde_json::from_str(&run(command)).unwrap();
        let units = graph["units"].as_array().unwrap().iter();
        units
            .filter(|unit| unit["pkg_id"].as_str().unwrap().starts_with("registry+"))
            .map(|unit| {
                let mut unit = unit.clone();
                let unit = unit.as_object_mut().unwrap();
                // The others compare the dependencies of this one.
                unit.remove("dependencies");
                // `dev` or `test`, which are one profile.
                unit["profile"].as_object_mut().unwrap().remove("name");
                serde_json::to_string(unit).unwrap()
            })
            .collect::<BTreeSet<_>>()
    };
    let test = |arguments: &[&str]| {
        let mut command = cargo::cargo();
        command.args(["test", "--all-features"]).args(arguments);
        dependencies(command)
    };
    let workspace = test(&["--workspace"]);
    let mut started_by_tests = cargo::build();
    started_by_tests.arg("--lib");
    for fewer in [test(&[]), dependencies(started_by_tests)] {
        assert!(fewer.len() > 100, "{} dependencies", fewer.len());
        let different: Vec<_> = fewer.difference(&workspace).collect();
        assert!(different.is_empty(), "{different:?}");
    }
}

/// Compares the exported symbols, the functions of the header and `tests/c/symbols.txt`.
#[test]
fn exported_symbols_match_the_header() {
    let Some(nm) = tool("nm") else { return };
    let mut command = Command::new(nm);
    command
        .args(["-D", "--defined-only"])
        .arg(&library().shared);
    let mut exported: Vec<String> = run(command)
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .map(|symbol| symbol.split('@').next().unwrap_or_default().to_owned())
        .collect();
    exported.sort_unstable();
    let list = fs::read_to_string(top().join("tests/c/symbols.txt")).unwrap();
    let listed: Vec<&str> = list.lines().filter(|line| !line.starts_with('#')).collect();
    let declared: Vec<String> = header::functions()
        .into_iter()
        .map(|function| function.name)
        .collect();
    for name in &exported {
        assert!(
            listed.contains(&name.as_str()),
            "{name} is exported and not in tests/c/symbols.txt"
        );
    }
    for name in &listed {
        assert!(
            exported.iter().any(|symbol| symbol == name),
            "{name} is listed and not exported"
        );
        assert!(
            declared.iter().any(|symbol| symbol == name),
            "{name} is not in the header"
        );
    }
    assert_eq!(
        declared.len(),
        listed.len(),
        "the header has functions that are not listed"
    );
}

/// The shared library depends on the C library only. `.ci/run` checks the size of release builds.
#[test]
fn shared_library_depends_on_c_library_only() {
    let Some(readelf) = tool("readelf") else {
        return;
    };
    let mut command = Command::new(readelf);
    command.arg("-d").arg(&library().shared);
    let dynamic = run(command);
    let needed: Vec<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        .collect();
    assert!(!needed.is_empty(), "{dynamic}");
    for name in needed {
        let allowed = ["libc.so", "libm.so", "libgcc_s.so", "ld-linux"];
        assert!(
            allowed.iter().any(|allowed| name.starts_with(allowed)),
            "needs {name}"
        );
    }
}

#[test]
fn program_links_statically() {
    let Some(compiler) = tool("cc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("values");
    let mut command = Command::new(compiler);
    command
        .args(["-std=c11", "-D_POSIX_C_SOURCE=200809L"])
        .args(program::WARNINGS);
    command
        .arg("-I")
        .arg(top().join("include"))
        .arg(top().join("tests/c/values.c"));
    command
        .arg("-o")
        .arg(&binary)
        .arg(&library().archive)
        .args(["-lpthread", "-ldl", "-lm"]);
    run(command);
    run(Command::new(binary));
}

/// The library must not leave a `pthread_atfork` handler behind when it is unloaded.
#[test]
fn fork_succeeds_after_the_library_was_unloaded() {
    let Some(compiler) = tool("cc") else { return };
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("unload");
    let mut command = Command::new(compiler);
    command
        .args(["-std=c11", "-D_POSIX_C_SOURCE=200809L"])
        .args(["-Wall", "-Wextra", "-Werror"])
        .arg(top().join("tests/c/unload.c"))
        .arg("-o")
        .arg(&binary)
        .args(["-lpthread", "-ldl"]);
    run(command);
    let mut command = Command::new(binary);
    command.arg(&library().shared);
    run(command);
}
