//! A test program in C or C++: compiled, and run against a sandbox of its own.

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
    Sanitizers,
}

pub(crate) struct Program {
    binary: PathBuf,
    build: Build,
    folder: TempDir,
}

impl Program {
    /// Compiles a program; `None` where a tool is missing.
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
            // What the other one finds as well, and takes minutes to compile in C++.
            command.arg("-fno-sanitize=null,vptr,alignment,object-size");
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

    /// Runs the program; it has to exit with 0.
    pub(crate) fn run(&self) {
        let mut command = Command::new(&self.binary);
        if self.build == Build::Sanitizers {
            command.env("CHECK_TIMEOUT_FACTOR", "5");
            command.env("UBSAN_OPTIONS", "print_stacktrace=1");
        }
        self.run_with_sandbox(command, PROGRAM_LIMIT);
    }

    /// Runs the program under valgrind, if that is installed: no error and no leak.
    pub(crate) fn run_under_valgrind(&self) {
        let Some(valgrind) = tool("valgrind") else {
            return;
        };
        let mut command = Command::new(valgrind);
        command.args(["--quiet", "--leak-check=full", "--error-exitcode=9"]);
        // One thread runs at a time: the one that waits for another must not keep it from running.
        command.arg("--fair-sched=yes").arg(&self.binary);
        command.env("CHECK_TIMEOUT_FACTOR", "40");
        self.run_with_sandbox(command, SLOW_PROGRAM_LIMIT);
    }

    /// Runs the program with more in its environment; it has to exit with 0.
    pub(crate) fn run_with(&self, environment: &[(&str, &str)]) {
        let mut command = Command::new(&self.binary);
        command.envs(environment.iter().copied());
        self.run_with_sandbox(command, PROGRAM_LIMIT);
    }

    /// Runs a command with a sandbox and a home of its own.
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

/// Takes the developer's own settings out of the environment of a program, but for some.
pub(crate) fn without_camunda(command: &mut Command, but: &[&str]) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("CAMUNDA_") || text.to_ascii_lowercase().ends_with("_proxy");
        if ours && !but.contains(&&*text) {
            command.env_remove(&name);
        }
    }
}
