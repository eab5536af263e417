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
        Ok(Some((Command::Doctor, arguments))) => run_doctor(&arguments),
        Ok(Some((Command::Token, arguments))) => print_token(&arguments),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("camunda-admin: {error}; see camunda-admin --help");
            ExitCode::from(USAGE_ERROR)
        }
    }
}

/// Parses the arguments. Returns `None` if help or the version was printed.
fn parse(
    arguments: impl Iterator<Item = OsString>,
) -> Result<Option<(Command, Arguments)>, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut parsed = Arguments::default();
    while let Some(argument) = parser.next()? {
        let is_token = matches!(parsed.command, Some(Command::Token));
        let is_doctor = matches!(parsed.command, Some(Command::Doctor));
        match argument {
            Short('h') | Long("help") => {
                print(HELP);
                return Ok(None);
            }
            Short('V') | Long("version") => {
                print(concat!("camunda-admin ", env!("CARGO_PKG_VERSION"), "\n"));
                return Ok(None);
            }
            Long("audience") if is_token => parsed.audience = Some(parser.value()?.string()?),
            Long("json") if is_doctor => parsed.json = true,
            Long("env-file") if parsed.command.is_some() => {
                parsed.env_file = Some(parser.value()?.into());
            }
            Long("timeout") if parsed.command.is_some() => {
                parsed.timeout = Some(parser.value()?.parse_with(seconds)?);
            }
            Value(verb) if parsed.command.is_none() => {
                parsed.command = Some(match verb.to_str() {
                    Some("doctor") => Command::Doctor,
                    Some("token") => Command::Token,
                    _ => return Err(format!("unknown command {verb:?}").into()),
                });
            }
            argument => return Err(argument.unexpected()),
        }
    }
    match parsed.command.take() {
        Some(command) => Ok(Some((command, parsed))),
        None => Err("no command; expected `doctor` or `token`".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or("expected a number of seconds above zero")
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
        Err(error) => {
            eprintln!("camunda-admin: {error}");
            return ExitCode::from(FAILURE);
        }
    };
    if arguments.json {
        match serde_json::to_string_pretty(&report) {
            Ok(json) => print(&format!("{json}\n")),
            Err(error) => eprintln!("camunda-admin: {error}"),
        }
    } else {
        print(&format!("{report}\n"));
    }
    match report.is_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILURE),
    }
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
                Err(error) => {
                    eprintln!("camunda-admin: cannot write to stdout: {error}");
                    ExitCode::from(FAILURE)
                }
            }
        }
        Err(error) => {
            eprintln!("camunda-admin: {error}");
            ExitCode::from(FAILURE)
        }
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

/// Writes to stdout. A reader that has closed the pipe, such as `head`, is not an error.
fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Writes warnings of the library to stderr.
struct StderrLogger;

impl log::Log for StderrLogger {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("camunda_admin")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("camunda-admin: warning: {}", record.args());
        }
    }

    fn flush(&self) {}
}
