//! Command line program of the sandbox.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use camunda_admin_sandbox::{Sandbox, SandboxBuilder};
use tokio::signal;

const USAGE: &str = "\
Mock server of the Camunda 8 Administration API.

Prints `export NAME='value'` lines for the programs that are to use it, then serves on 127.0.0.1
until SIGTERM or SIGINT.

Usage: camunda-admin-sandbox [OPTIONS]

Options:
  --port N                 the port; 0, the default, is any free one
  --tls                    serve https, with a certificate authority of its own
  --client-certificates    the same, and let in only who shows the certificate that it prints
  --healthy-after-ms N     how long clusters take to be made, woken, upgraded (default 300)
  --token-lifetime-s N     how long tokens live (default 86400)
  --no-token-rate-limit    allow more than one token request per second
  --ban-ms N               duration of the ban after a rate limit violation (default 5000)
  --rejection-delay-ms N   response delay for credentials that were rejected before (default 2000)
  --help                   print this
";

fn main() -> ExitCode {
    let builder = match parse(std::env::args().skip(1)) {
        Ok(Some(builder)) => builder,
        Ok(None) => {
            let _ = io::stdout().write_all(USAGE.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            let _ = writeln!(io::stderr(), "camunda-admin-sandbox: {message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(builder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "camunda-admin-sandbox: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(builder: SandboxBuilder) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Before the sandbox is announced, so that no signal is lost.
        let stop = stop_signal()?;
        let sandbox = builder.try_start()?;
        print_environment(&sandbox);
        stop.await;
        Ok(())
    })
}

/// Ignores write errors: a closed stdout must not stop the server.
fn print_environment(sandbox: &Sandbox) {
    let mut stdout = io::stdout().lock();
    for (name, value) in sandbox.environment() {
        let _ = writeln!(stdout, "export {name}='{}'", value.replace('\'', r"'\''"));
    }
    let _ = stdout.flush();
}

#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = signal::ctrl_c().await;
    })
}

/// Parses the command line. Returns `None` for `--help`.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<SandboxBuilder>, String> {
    let mut builder = Sandbox::builder();
    while let Some(argument) = arguments.next() {
        let (option, mut value) = match argument.split_once('=') {
            Some((option, value)) => (option.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        let mut number = || {
            let text = value.take().or_else(|| arguments.next());
            let text = text.ok_or_else(|| format!("{option}: expected a number"))?;
            text.parse::<u64>()
                .map_err(|_| format!("{option}: expected a number, found {text}"))
        };
        builder = match option.as_str() {
            "--port" => {
                let port = number()?;
                builder.port(
                    port.try_into()
                        .map_err(|_| format!("{port} is not a valid port"))?,
                )
            }
            "--healthy-after-ms" => builder.healthy_after(Duration::from_millis(number()?)),
            "--token-lifetime-s" => builder.token_lifetime(Duration::from_secs(number()?)),
            "--ban-ms" => builder.ban(Duration::from_millis(number()?)),
            "--rejection-delay-ms" => builder.rejection_delay(Duration::from_millis(number()?)),
            "--tls" => builder.tls(true),
            "--client-certificates" => builder.client_certificates(true),
            "--no-token-rate-limit" => builder.token_rate_limit(false),
            "--help" | "-h" => return Ok(None),
            _ => return Err(format!("unknown option {option}")),
        };
        if value.is_some() {
            return Err(format!("{option}: unexpected value"));
        }
    }
    Ok(Some(builder))
}
