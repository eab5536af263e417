//! A test program in C or C++: compiled, and run against a sandbox of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use camunda_admin_sandbox::Sandbox;
use tempfile::TempDir;

use crate::library::library;
use crate::tools::{run, tool, top};

pub(crate) const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Language {
    C,
    Cpp,
}

/// Who watches a program while it runs.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Checker {
    None,
    Valgrind,
    Sanitizers,
}

pub(crate) struct Program {
    binary: PathBuf,
    checker: Checker,
    folder: TempDir,
}

impl Program {
    /// Compiles a program; `None` where a tool is missing.
    pub(crate) fn compile(language: Language, source: &Path, checker: Checker) -> Option<Program> {
        let compiler = tool(match language {
            Language::C => "cc",
            Language::Cpp => "c++",
        })?;
        if checker == Checker::Valgrind {
            tool("valgrind")?;
        }
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("program");
        let mut command = Command::new(compiler);
        match language {
            Language::C => command.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L"]),
            // Test programs hold what is unusual against each other.
            Language::Cpp => command.args(["-std=c++17", "-Wshadow"]),
        };
        command.args(WARNINGS).args(["-g", "-O1"]);
        if checker == Checker::Sanitizers {
            command.args(["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]);
        }
        command.arg("-I").arg(top().join("include")).arg("-I").arg(top().join("tests/c"));
        command.arg(source).arg("-o").arg(&binary);
        command.args(library().link_flags()).args(["-lpthread", "-lm"]);
        run(command);
        Some(Program { binary, checker, folder })
    }

    /// Runs the program with a sandbox and a home of its own; it has to exit with 0.
    pub(crate) fn run(&self) {
        let sandbox = Sandbox::builder().healthy_after(Duration::from_millis(200)).start();
        let mut command = match self.checker {
            Checker::Valgrind => {
                let mut command = Command::new("valgrind");
                command.args(["--quiet", "--leak-check=full", "--error-exitcode=9"]);
                // Threads of the runtime must get a turn while another one waits.
                command.arg("--fair-sched=yes").arg(&self.binary);
                command
            }
            _ => Command::new(&self.binary),
        };
        // Nothing of the developer's own environment.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CAMUNDA_") || text.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(&name);
            }
        }
        let home = self.folder.path();
        command.current_dir(home).env("HOME", home).env_remove("XDG_CACHE_HOME");
        command.env("CAMUNDA_TOKEN_CACHE_DIR", home.join("tokens"));
        command.envs(sandbox.environment());
        match self.checker {
            Checker::None => {}
            Checker::Valgrind => {
                command.env("CHECK_SLOWNESS", "40");
            }
            Checker::Sanitizers => {
                command.env("CHECK_SLOWNESS", "5");
                command.env("UBSAN_OPTIONS", "print_stacktrace=1");
            }
        }
        run(command);
    }
}
