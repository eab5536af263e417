//! A driver: told a call as a line of JSON, it answers a line of JSON.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use crate::limited::{Limited, PROGRAM_LIMIT};

/// One language's way to the library.
pub(crate) trait Driver {
    /// Passes a line on and waits for the answer; fails where the driver is no more.
    fn exchange(&mut self, line: &str) -> Result<String, String>;
}

/// A program that reads lines from its input and answers on its output.
pub(crate) struct Program {
    program: Limited,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    pub(crate) fn start(mut command: Command, environment: &[(&str, &PathBuf)]) -> Program {
        // Nothing of the developer's own environment.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CAMUNDA_") || text.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(&name);
            }
        }
        command.envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = Limited::start(command, PROGRAM_LIMIT);
        Program {
            input: program.stdin.take(),
            output: BufReader::new(program.stdout.take().unwrap()),
            program,
        }
    }
}

impl Driver for Program {
    fn exchange(&mut self, line: &str) -> Result<String, String> {
        self.program.restart_limit();
        let input = self.input.as_mut().expect("open until the end");
        let mut answer = String::new();
        let written = writeln!(input, "{line}").and_then(|()| input.flush());
        match written.and_then(|()| self.output.read_line(&mut answer)) {
            Ok(1..) => Ok(answer),
            Ok(0) => Err(format!("the driver ended: {:?}", self.program.wait())),
            Err(error) => Err(format!("the driver does not answer: {error}")),
        }
    }
}
