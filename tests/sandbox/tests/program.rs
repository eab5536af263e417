//! Tests of the command line program.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_camunda-admin-sandbox");

/// Running program, killed on drop.
struct Program {
    child: Child,
    variables: Vec<(String, String)>,
}

impl Program {
    fn start(arguments: &[&str], lines: usize) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // Dropping the reader closes the pipe.
        let stdout = BufReader::new(child.stdout.take().unwrap());
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
        Self { child, variables }
    }

    fn variable(&self, name: &str) -> &str {
        &self
            .variables
            .iter()
            .find(|(known, _)| known == name)
            .unwrap()
            .1
    }

    fn stop(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stats(base_url: &str) -> String {
    let mut stream = TcpStream::connect(base_url.strip_prefix("http://").unwrap()).unwrap();
    let request = "GET /_sandbox/stats HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn program_prints_environment_and_stops_on_signal() {
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
        // The program's stdout is closed by now.
        assert!(stats(base_url).contains("\"token_requests\":0"));
        assert_eq!(program.stop(signal), Some(0));
    }
}

#[test]
fn program_removes_certificates_on_exit() {
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
fn program_prints_help_and_usage_errors() {
    let help = Command::new(PROGRAM).arg("--help").output().unwrap();
    assert!(help.status.success());
    let help = String::from_utf8(help.stdout).unwrap();
    for option in [
        "--port",
        "--tls",
        "--rejection-delay-ms",
        "--ban-ms",
        "--token-lifetime-s",
    ] {
        assert!(help.contains(option), "{option}");
    }
    for (arguments, message) in [
        (&["--prot", "1"][..], "unknown option --prot"),
        (&["--port"], "--port: expected a number"),
        (&["--port", "70000"], "70000 is not a valid port"),
        (&["--ban-ms", "soon"], "found soon"),
        (&["--tls=yes"], "--tls: unexpected value"),
    ] {
        let rejected = Command::new(PROGRAM).args(arguments).output().unwrap();
        assert_eq!(rejected.status.code(), Some(2));
        let stderr = String::from_utf8(rejected.stderr).unwrap();
        assert!(stderr.contains(message), "{stderr}");
    }
}
