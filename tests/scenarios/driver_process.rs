//! Interface of the drivers, which receive a call as a line of JSON and return its result or error as a line of
//! JSON, and the processes of those in other languages.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use crate::limited::{Limited, PROGRAM_LIMIT};

/// Calls the library through the public API of one language.
pub(crate) trait Driver {
    /// Sends a line and returns the reply. Fails if the driver has terminated; the message then begins with
    /// `the driver`.
    fn exchange(&mut self, line: &str) -> Result<String, String>;
}

/// Driver process that reads calls from its standard input and writes replies to its standard output.
pub(crate) struct Program {
    program: Limited,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    pub(crate) fn start(mut command: Command, environment: &[(&str, &PathBuf)]) -> Program {
        // Removes settings of the developer's environment.
        for (name, _) in std::env::vars_os() {
            let variable = name.to_string_lossy();
            if variable.starts_with("CAMUNDA_") || variable.to_ascii_lowercase().ends_with("_proxy")
            {
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
        let mut reply = String::new();
        let written = writeln!(input, "{line}").and_then(|()| input.flush());
        match written.and_then(|()| self.output.read_line(&mut reply)) {
            Ok(1..) => Ok(reply),
            Ok(0) => Err(format!("the driver terminated: {:?}", self.program.wait())),
            Err(error) => Err(format!("the driver does not reply: {error}")),
        }
    }
}
