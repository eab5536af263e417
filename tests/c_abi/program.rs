//! Compiles test programs in C and C++ and runs each against its own sandbox.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use camunda_admin_sandbox::Sandbox;
use tempfile::TempDir;

use crate::library::library;
use crate::limited::{PROGRAM_LIMIT, SLOW_PROGRAM_LIMIT, limit_this_process};
use crate::tools::{run, run_within, tool, top};

pub(crate) const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Language {
    C,
    Cpp,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Build {
    Plain,
    /// AddressSanitizer and UndefinedBehaviorSanitizer.
    Sanitizers,
    /// ThreadSanitizer.
    Threads,
}

/// Suppressions of ThreadSanitizer for the library, which is not instrumented.
const THREAD_SUPPRESSIONS: &str = "bindings/c/camunda_admin.tsan.supp";

pub(crate) struct Program {
    binary: PathBuf,
    build: Build,
    folder: TempDir,
}

impl Program {
    /// Compiles a program. Returns `None` if the compiler is missing.
    pub(crate) fn compile(language: Language, source: &Path, build: Build) -> Option<Program> {
        let compiler = tool(match language {
            Language::C => "cc",
            Language::Cpp => "c++",
        })?;
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("program");
        let mut command = Command::new(compiler);
        match language {
            Language::C => command.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L"]),
            Language::Cpp => command.args(["-std=c++17", "-Wshadow"]),
        };
        command.args(WARNINGS).arg("-g1");
        if build == Build::Sanitizers {
            command.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
            // AddressSanitizer finds these errors as well, and C++ takes minutes to compile with them.
            command.arg("-fno-sanitize=null,vptr,alignment,object-size");
        }
        if build == Build::Threads {
            command.arg("-fsanitize=thread");
        }
        command.arg("-I").arg(top().join("include"));
        command.arg("-I").arg(top().join("tests/c"));
        command.arg(source).arg("-o").arg(&binary);
        command
            .args(library().link_flags())
            .args(["-lpthread", "-lm"]);
        run(command);
        Some(Program {
            binary,
            build,
            folder,
        })
    }

    pub(crate) fn binary(&self) -> &Path {
        &self.binary
    }

    /// Runs the program. Panics unless it exits with 0.
    pub(crate) fn run(&self) {
        let mut command = Command::new(&self.binary);
        if self.build == Build::Sanitizers {
            command.env("CHECK_TIMEOUT_FACTOR", "5");
            command.env("UBSAN_OPTIONS", "print_stacktrace=1");
        }
        if self.build == Build::Threads {
            let suppressions = top().join(THREAD_SUPPRESSIONS);
            command.env("CHECK_TIMEOUT_FACTOR", "5");
            command.env(
                "TSAN_OPTIONS",
                format!("suppressions={}", suppressions.display()),
            );
        }
        self.run_with_sandbox(command, PROGRAM_LIMIT);
    }

    /// Runs the program under valgrind, if it is installed. Panics on an error or a leak.
    pub(crate) fn run_under_valgrind(&self) {
        let Some(valgrind) = tool("valgrind") else {
            return;
        };
        let mut command = Command::new(valgrind);
        command.args(["--quiet", "--leak-check=full", "--error-exitcode=9"]);
        // Valgrind runs one thread at a time; a thread that polls must not starve the others.
        command.arg("--fair-sched=yes").arg(&self.binary);
        command.env("CHECK_TIMEOUT_FACTOR", "40");
        self.run_with_sandbox(command, SLOW_PROGRAM_LIMIT);
    }

    /// Runs the program with additional environment variables. Panics unless it exits with 0.
    pub(crate) fn run_with(&self, environment: &[(&str, &str)]) {
        let mut command = Command::new(&self.binary);
        command.envs(environment.iter().copied());
        self.run_with_sandbox(command, PROGRAM_LIMIT);
    }

    /// Runs a command with its own sandbox and home directory.
    fn run_with_sandbox(&self, mut command: Command, limit: Duration) {
        let sandbox = Sandbox::builder()
            .healthy_after(Duration::from_millis(200))
            .start();
        limit_this_process();
        without_camunda(&mut command, &[]);
        let home = tempfile::tempdir_in(self.folder.path()).unwrap();
        command.current_dir(&home).env("HOME", home.path());
        command.env_remove("XDG_CACHE_HOME");
        command.env("CAMUNDA_TOKEN_CACHE_DIR", home.path().join("tokens"));
        command.envs(sandbox.environment());
        run_within(command, limit);
    }
}

/// Removes the variables of the library and of proxies from the environment of a command, except those
/// in `keep`.
pub(crate) fn without_camunda(command: &mut Command, keep: &[&str]) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_setting =
            text.starts_with("CAMUNDA_") || text.to_ascii_lowercase().ends_with("_proxy");
        if is_setting && !keep.contains(&&*text) {
            command.env_remove(&name);
        }
    }
}
