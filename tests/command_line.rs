//! Tests of the command line of the program `camunda-admin`: arguments, exit status, output that cannot be
//! written.

#![cfg(all(unix, feature = "cli"))]

#[path = "support/limited.rs"]
#[allow(dead_code)]
mod limited;

use std::process::Command;

use camunda_admin_sandbox::Sandbox;
use limited::{Ended, PROGRAM_LIMIT, run_to_end};

const PROGRAM: &str = env!("CARGO_BIN_EXE_camunda-admin");

/// Runs a script in which `$0` is the program, with the variables and a home directory of its own.
fn run(script: &str, variables: &[(String, String)]) -> Ended {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM]);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CAMUNDA_", "XDG_"].iter().any(|own| text.starts_with(own)) {
            command.env_remove(&name);
        }
    }
    command.current_dir(home.path()).env("HOME", home.path());
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    run_to_end(command, PROGRAM_LIMIT)
}

#[test]
fn invalid_arguments_are_reported_with_status_2() {
    for (arguments, message) in [
        ("", "no command; expected `doctor` or `token`"),
        (
            "tokne",
            "unknown command \"tokne\"; expected `doctor` or `token`",
        ),
        (
            "token --audiance x",
            "unknown option --audiance; expected one of: --audience, --env-file, --json, --timeout, \
             --help, --version",
        ),
        (
            "doctor --audience x",
            "--audience is an option of the command `token`",
        ),
        (
            "--json token",
            "--json is an option of the command `doctor`",
        ),
        ("token extra", "unexpected argument \"extra\""),
        (
            "token --audience ''",
            "cannot parse argument \"\": expected an audience",
        ),
        (
            "doctor --env-file=",
            "--env-file: expected the path of a file",
        ),
        ("token --timeout", "missing argument for option '--timeout'"),
        (
            "token --timeout 0",
            "cannot parse argument \"0\": expected a number of seconds above zero and below 1.8e19",
        ),
        (
            "token --timeout 1e30",
            "cannot parse argument \"1e30\": expected a number of seconds above zero and below 1.8e19",
        ),
    ] {
        let ended = run(&format!("exec \"$0\" {arguments}"), &[]);
        assert_eq!(ended.status.code(), Some(2), "{arguments}");
        assert_eq!(ended.stdout, "", "{arguments}");
        let expected = format!("camunda-admin: {message}; see camunda-admin --help\n");
        assert_eq!(ended.stderr, expected, "{arguments}");
    }
}

#[test]
fn options_can_precede_the_command() {
    let sandbox = Sandbox::start();
    let script = "exec \"$0\" --json --timeout 20 doctor";
    let ended = run(script, &sandbox.environment());
    assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["ok"], true);
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_cannot_be_written_is_a_failure() {
    let sandbox = Sandbox::start();
    for arguments in ["--help", "--version", "token", "doctor", "doctor --json"] {
        let script = format!("exec \"$0\" {arguments} > /dev/full");
        let ended = run(&script, &sandbox.environment());
        assert_eq!(ended.status.code(), Some(1), "{arguments}");
        assert!(
            ended
                .stderr
                .starts_with("camunda-admin: cannot write to stdout: "),
            "{arguments}: {}",
            ended.stderr
        );
    }
    // An error message that cannot be written does not change the exit status.
    for (arguments, status) in [("tokne", 2), ("token", 1), ("doctor --timeout x", 2)] {
        let ended = run(&format!("exec \"$0\" {arguments} 2> /dev/full"), &[]);
        assert_eq!(ended.status.code(), Some(status), "{arguments}");
    }
}

#[test]
fn reader_that_closes_the_pipe_is_not_a_failure() {
    let script = "{ \"$0\" --help; echo $? >&2; } | true";
    let ended = run(script, &[]);
    assert_eq!(ended.stderr, "0\n");
}
