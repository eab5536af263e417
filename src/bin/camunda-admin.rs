//! The program `camunda-admin`: `doctor` checks the environment, `token` prints an access token.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use camunda_admin::{AdminClient, CallOptions, doctor};
use lexopt::prelude::*;

const HELP: &str = "\
Helper for the Camunda 8 Administration API. Settings are read from the environment variables of
Camunda's SDKs, such as CAMUNDA_CONSOLE_CLIENT_ID and CAMUNDA_CONSOLE_CLIENT_SECRET.

Usage:
  camunda-admin doctor [--json] [--env-file FILE] [--timeout SECONDS]
  camunda-admin token [--audience AUDIENCE] [--env-file FILE] [--timeout SECONDS]

Commands:
  doctor   Checks settings, network, certificates, clock, token, token store and permissions. Sends
           at most one token request, unless that fails or the token is rejected, and changes
           nothing.
  token    Prints an access token from the shared cache on stdout, for example for curl.

Options:
  --audience AUDIENCE   Audience of the token; default: that of the Administration API
  --env-file FILE       Reads the settings from a credential file of the Console
  --json                Prints the report as JSON
  --timeout SECONDS     Timeout of each call; default: 60
  -h, --help            Prints this help
  -V, --version         Prints the version

Exit status: 0 on success, 1 if a check or the token request failed, 2 for invalid arguments.
";

const FAILURE: u8 = 1;
const USAGE_ERROR: u8 = 2;

const OPTIONS: &str = "--audience, --env-file, --json, --timeout, --help, --version";

enum Command {
    Doctor,
    Token,
}

#[derive(Default)]
struct Arguments {
    command: Option<Command>,
    audience: Option<String>,
    env_file: Option<PathBuf>,
    json: bool,
    timeout: Option<Duration>,
}

fn main() -> ExitCode {
    // Fails only if a logger is installed.
    if log::set_logger(&StderrLogger).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    match parse(std::env::args_os().skip(1)) {
        Ok(Action::Run(Command::Doctor, arguments)) => run_doctor(&arguments),
        Ok(Action::Run(Command::Token, arguments)) => print_token(&arguments),
        Ok(Action::Print(text)) => print(text, ExitCode::SUCCESS),
        Err(error) => {
            report(&format!("{error}; see camunda-admin --help"));
            ExitCode::from(USAGE_ERROR)
        }
    }
}

enum Action {
    Run(Command, Arguments),
    Print(&'static str),
}

fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Action, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut parsed = Arguments::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(Action::Print(HELP)),
            Short('V') | Long("version") => {
                let version = concat!("camunda-admin ", env!("CARGO_PKG_VERSION"), "\n");
                return Ok(Action::Print(version));
            }
            Long("audience") => {
                parsed.audience = Some(parser.value()?.parse_with(not_empty)?);
            }
            Long("json") => parsed.json = true,
            Long("env-file") => {
                let path = parser.value()?;
                if path.is_empty() {
                    return Err("--env-file: expected the path of a file".into());
                }
                parsed.env_file = Some(path.into());
            }
            Long("timeout") => parsed.timeout = Some(parser.value()?.parse_with(seconds)?),
            Long(option) => {
                return Err(
                    format!("unknown option --{option}; expected one of: {OPTIONS}").into(),
                );
            }
            Value(verb) if parsed.command.is_none() => {
                parsed.command = Some(match verb.to_str() {
                    Some("doctor") => Command::Doctor,
                    Some("token") => Command::Token,
                    _ => {
                        return Err(format!(
                            "unknown command {verb:?}; expected `doctor` or `token`"
                        )
                        .into());
                    }
                });
            }
            argument => return Err(argument.unexpected()),
        }
    }
    match parsed.command.take() {
        Some(Command::Doctor) if parsed.audience.is_some() => {
            Err("--audience is an option of the command `token`".into())
        }
        Some(Command::Token) if parsed.json => {
            Err("--json is an option of the command `doctor`".into())
        }
        Some(command) => Ok(Action::Run(command, parsed)),
        None => Err("no command; expected `doctor` or `token`".into()),
    }
}

fn not_empty(text: &str) -> Result<String, &'static str> {
    match text.is_empty() {
        true => Err("expected an audience"),
        false => Ok(text.to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or("expected a number of seconds above zero and below 1.8e19")
}

fn run_doctor(arguments: &Arguments) -> ExitCode {
    // The report contains the warnings.
    log::set_max_level(log::LevelFilter::Off);
    let mut options = doctor::Options::new();
    if let Some(path) = &arguments.env_file {
        options = options.env_file(path);
    }
    if let Some(timeout) = arguments.timeout {
        options = options.timeout(timeout);
    }
    let report = match doctor::run(&options) {
        Ok(report) => report,
        Err(error) => return failed(&error),
    };
    let text = match arguments.json {
        false => report.to_string(),
        true => match serde_json::to_string_pretty(&report) {
            Ok(json) => json,
            Err(error) => return failed(&error),
        },
    };
    let status = match report.is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILURE),
    };
    print(&format!("{text}\n"), status)
}

fn print_token(arguments: &Arguments) -> ExitCode {
    let token = client(arguments).and_then(|admin| match &arguments.audience {
        Some(audience) => admin.token(audience),
        None => admin.token(admin.audience()),
    });
    match token {
        Ok(token) => {
            let mut stdout = io::stdout().lock();
            let written = stdout
                .write_all(token.expose().as_bytes())
                .and_then(|()| stdout.write_all(b"\n"))
                .and_then(|()| stdout.flush());
            match written {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => failed(&format_args!("cannot write to stdout: {error}")),
            }
        }
        Err(error) => failed(&error),
    }
}

fn client(arguments: &Arguments) -> camunda_admin::Result<AdminClient> {
    let admin = match &arguments.env_file {
        Some(path) => AdminClient::from_env_file(path)?,
        None => AdminClient::from_env()?,
    };
    Ok(match arguments.timeout {
        Some(timeout) => admin.with(CallOptions::new().timeout(timeout)),
        None => admin,
    })
}

/// Writes to stdout and returns `status`, or that of a failure. A reader that has closed the pipe, such as
/// `head`, is not an error.
fn print(text: &str, status: ExitCode) -> ExitCode {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            failed(&format_args!("cannot write to stdout: {error}"))
        }
        _ => status,
    }
}

fn failed(error: &dyn std::fmt::Display) -> ExitCode {
    report(&error.to_string());
    ExitCode::from(FAILURE)
}

/// Writes to stderr. `eprintln!` would panic if that fails.
fn report(message: &str) {
    let _ = writeln!(io::stderr(), "camunda-admin: {message}");
}

/// Writes warnings of the library to stderr.
struct StderrLogger;

impl log::Log for StderrLogger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("camunda_admin")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            report(&format!("warning: {}", record.args()));
        }
    }

    fn flush(&self) {}
}
