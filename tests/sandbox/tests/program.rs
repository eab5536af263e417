//! The program: what it prints, how it stops.

#![cfg(unix)]

#[path = "../../support/limited.rs"]
#[allow(dead_code)]
mod limited;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use limited::{Ended, Limited, PROGRAM_LIMIT, run_to_end};

const PROGRAM: &str = env!("CARGO_BIN_EXE_camunda-admin-sandbox");

/// A running program that doesn't outlive its test.
struct Program {
    program: Limited,
    variables: Vec<(String, String)>,
}

impl Program {
    fn start(arguments: &[&str], lines: usize) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).stdout(Stdio::piped());
        let mut program = Limited::start(command, PROGRAM_LIMIT);
        // What is read from is closed at the end of this function.
        let stdout = BufReader::new(program.stdout.take().unwrap());
        let variables = stdout
            .lines()
            .take(lines)
            .map(|line| {
                let line = line.unwrap();
                let assignment = line.strip_prefix("export ").unwrap();
                let (name, value) = assignment.split_once('=').unwrap();
                let value = value
                    .strip_prefix('\'')
                    .unwrap()
                    .strip_suffix('\'')
                    .unwrap();
                (name.to_owned(), value.to_owned())
            })
            .collect();
        Self { program, variables }
    }

    fn variable(&self, name: &str) -> &str {
        &self
            .variables
            .iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
    }

    fn stop(self, signal: &str) -> Option<i32> {
        let mut kill = Command::new("kill");
        kill.args([signal, &self.program.id().to_string()]);
        assert!(run_to_end(kill, PROGRAM_LIMIT).status.success());
        self.program.wait().unwrap().code()
    }
}

fn run(arguments: &[&str]) -> Ended {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    run_to_end(command, PROGRAM_LIMIT)
}

fn stats(base_url: &str) -> String {
    let mut stream = TcpStream::connect(base_url.strip_prefix("http://").unwrap()).unwrap();
    let request = "GET /_sandbox/stats HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_prints_the_environment_and_serves_until_it_is_stopped() {
    for signal in ["-TERM", "-INT"] {
        let program = Program::start(&["--port", "0", "--healthy-after-ms=50"], 5);
        let names: Vec<&str> = program
            .variables
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "CAMUNDA_CONSOLE_CLIENT_ID",
                "CAMUNDA_CONSOLE_CLIENT_SECRET",
                "CAMUNDA_CONSOLE_BASE_URL",
                "CAMUNDA_CONSOLE_OAUTH_AUDIENCE",
                "CAMUNDA_OAUTH_URL",
            ]
        );
        let base_url = program.variable("CAMUNDA_CONSOLE_BASE_URL");
        assert_eq!(
            program.variable("CAMUNDA_OAUTH_URL"),
            format!("{base_url}/oauth/token")
        );
        // By now the program's output is closed.
        assert!(stats(base_url).contains("\"token_requests\":0"));
        assert_eq!(program.stop(signal), Some(0));
    }
}

/// Whoever waits for the first line, or for the file not to be empty, has all of them.
#[test]
fn environment_is_printed_in_one_write() {
    let (output, reader) = UnixDatagram::pair().unwrap();
    reader.set_read_timeout(Some(PROGRAM_LIMIT)).unwrap();
    let mut command = Command::new(PROGRAM);
    command.stdout(OwnedFd::from(output));
    let program = Limited::start(command, PROGRAM_LIMIT);
    let mut written = [0; 4096];
    let length = reader.recv(&mut written).unwrap();
    let lines = std::str::from_utf8(&written[..length]).unwrap();
    assert_eq!(lines.lines().count(), 5, "{lines}");
    assert!(lines.ends_with("'\n"), "{lines}");
    program.kill();
}

#[test]
fn it_takes_its_certificates_away_with_it() {
    let program = Program::start(&["--client-certificates"], 8);
    let root = program.variable("CAMUNDA_CUSTOM_ROOT_CERT_PATH").to_owned();
    assert!(
        program
            .variable("CAMUNDA_CONSOLE_BASE_URL")
            .starts_with("https://")
    );
    assert!(std::path::Path::new(&root).exists());
    assert_eq!(program.stop("-TERM"), Some(0));
    assert!(!std::path::Path::new(&root).exists());
}

#[test]
fn it_explains_itself() {
    let help = run(&["--help"]);
    assert!(help.status.success());
    let help = help.stdout;
    for option in [
        "--port",
        "--tls",
        "--hold-back-ms",
        "--ban-ms",
        "--token-lifetime-s",
    ] {
        assert!(help.contains(option), "{option}");
    }
    for (arguments, complaint) in [
        (&["--prot", "1"][..], "unknown option --prot"),
        (&["--port"], "--port wants a number"),
        (&["--port", "70000"], "70000 is no port"),
        (&["--ban-ms", "soon"], "not soon"),
        (&["--tls=yes"], "--tls takes no value"),
    ] {
        let refused = run(arguments);
        assert_eq!(refused.status.code(), Some(2));
        assert!(refused.stderr.contains(complaint), "{}", refused.stderr);
    }
}
