//! Command line program of the sandbox.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::Duration;

use camunda_admin_sandbox::{CertificateFault, Sandbox, SandboxBuilder, parse_time, private_file};
use tokio::process::{Child, Command};

const NAME: &str = "camunda-admin-sandbox";

const USAGE: &str = "\
Mock server of the Camunda 8 Administration API.

Usage: camunda-admin-sandbox [OPTIONS]
       camunda-admin-sandbox [OPTIONS] -- COMMAND [ARGUMENTS]

With COMMAND, starts the server, runs the command with the environment variables of the server,
stops the server and exits with the exit status of the command. Without, prints the variables as
`export NAME='value'` lines and serves until SIGTERM, SIGINT or SIGHUP.

Server:
  --host ADDRESS           IP address to listen on (default 127.0.0.1)
  --port N                 port (default 0: any free port)
  --public-url URL         base URL of the server for its clients, for example behind a proxy
  --env-file FILE          write the variables to FILE, for as long as the server runs: as JSON if
                           the name ends in .json, else as NAME=value lines. FILE must not exist,
                           except as the file of an earlier run
  --tls                    serve HTTPS with its own certificate authority
  --client-certificates    require the client certificate that it prints; implies --tls
  --certificate-fault F    serve a defective certificate: expired, wrong_name or unknown_ca;
                           implies --tls
  --exit-with-parent       stop when the parent process terminates
  --no-ui                  do not serve the page at /
  --verbose                write a line per request to stderr

Determinism:
  --seed N                 same credentials and ids in each run and after each reset
  --client-id S            client id (default: random)
  --client-secret S        client secret (default: that of the client id in the state, else random)
  --organization-id S      organization id (default: likewise)
  --start-time T           time of the clock at the start, for example 2026-03-01T12:00:00Z
  --frozen-clock           the clock changes only by the control API
  --state FILE             initial state, in the format of GET /_sandbox/state

Behavior:
  --healthy-after-ms N     duration of creation, wake, upgrade, backup, restore (default 300)
  --healthy-at-poll N      complete status changes at this GET of the cluster instead
  --creation-result S      final status of created clusters (default Healthy)
  --signed-tokens          sign tokens, for verification with /.well-known/jwks.json
  --token-lifetime-s N     lifetime of tokens (default 86400)
  --no-token-rate-limit    allow more than one token request per second
  --ban-ms N               duration of the ban after a rate limit violation (default 5000)
  --rejection-delay-ms N   response delay for credentials that were rejected before (default 2000)

  --help                   print this help
  --version                print the version

Tests control the running server with HTTP requests below /_sandbox/:
  POST   /_sandbox/faults     inject a fault: {\"operation\": \"GET /clusters\", \"status\": 503}
  GET    /_sandbox/faults     list faults with the number of injections; ?unused=true
  POST   /_sandbox/control    create clusters and change state: {\"cluster\": {\"name\": \"test\"}}
  GET    /_sandbox/requests   list received requests; ?operation=POST%20/clusters
  GET    /_sandbox/state      read the state; PUT replaces it
  POST   /_sandbox/clock      {\"advance_ms\": 60000}, {\"now\": \"...\"}, {\"frozen\": true}
  POST   /_sandbox/reset      initial state; {\"keep_credentials\": true} keeps tokens valid
  GET    /_sandbox/stats, /_sandbox/health, /openapi.json
";

fn main() -> ExitCode {
    let options = match parse(std::env::args_os().skip(1)) {
        Ok(Action::Run(options)) => options,
        Ok(Action::Print(text)) => {
            return match print(&text) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    let _ = writeln!(io::stderr(), "{NAME}: {error}");
                    ExitCode::FAILURE
                }
            };
        }
        Err(message) => {
            let _ = writeln!(
                io::stderr(),
                "{NAME}: {message}\nTry `{NAME} --help` for the options."
            );
            return ExitCode::from(2);
        }
    };
    match run(*options) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> io::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let parent = parent_id();
        // Before the sandbox is announced, so that no signal is lost.
        let mut signals = Signals::new()?;
        if let Some(path) = &options.env_file {
            EnvFile::remove_stale(path)?;
        }
        let sandbox = options.builder.try_start()?;
        let env_file = match options.env_file {
            Some(path) => Some(EnvFile::write(path, &sandbox.environment())?),
            None => None,
        };
        let code = match options.command {
            Some(command) => {
                let parent = options.exit_with_parent.then_some(parent);
                let code = run_command(command, &sandbox, &mut signals, parent).await;
                report_unused_faults(&sandbox);
                code
            }
            None => {
                print(&exports(&sandbox))?;
                tokio::select! {
                    _ = signals.next() => {}
                    () = parent_exit(parent), if options.exit_with_parent => {}
                }
                ExitCode::SUCCESS
            }
        };
        drop(env_file);
        Ok(code)
    })
}

/// Variables that clients would use instead of, or beside, those of the sandbox.
const OF_ANOTHER_SERVER: [&str; 6] = [
    "CAMUNDA_ADMIN_SANDBOX_URL",
    "CAMUNDA_CONSOLE_ACCESS_TOKEN",
    "CAMUNDA_CONSOLE_CLIENT_SECRET_FILE",
    "CAMUNDA_CUSTOM_ROOT_CERT_PATH",
    "CAMUNDA_CUSTOM_CERT_CHAIN_PATH",
    "CAMUNDA_CUSTOM_PRIVATE_KEY_PATH",
];

/// Runs the command and returns its exit status as a shell does. Terminates the command when the
/// parent process is another one than `parent`, if that is set.
async fn run_command(
    command: Vec<OsString>,
    sandbox: &Sandbox,
    signals: &mut Signals,
    mut parent: Option<u32>,
) -> ExitCode {
    let mut parts = command.into_iter();
    let program = parts.next().unwrap_or_default();
    let mut command = Command::new(&program);
    command.args(parts);
    for name in OF_ANOTHER_SERVER {
        command.env_remove(name);
    }
    let mut child = match command.envs(sandbox.environment()).spawn() {
        Ok(child) => child,
        Err(error) => {
            let name = program.to_string_lossy();
            let _ = writeln!(io::stderr(), "{NAME}: run {name}: {error}");
            let is_missing = error.kind() == io::ErrorKind::NotFound;
            return ExitCode::from(if is_missing { 127 } else { 126 });
        }
    };
    loop {
        tokio::select! {
            status = child.wait() => {
                return match status {
                    Ok(status) => exit_code(status),
                    Err(error) => {
                        let _ = writeln!(io::stderr(), "{NAME}: wait for command: {error}");
                        ExitCode::FAILURE
                    }
                };
            }
            signal = signals.next() => signal.forward(&child),
            () = parent_exit(parent.unwrap_or_default()), if parent.is_some() => {
                Signal::Terminate.forward(&child);
                parent = None;
            }
        }
    }
}

#[cfg(unix)]
fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.unwrap_or(1) as u8)
}

#[cfg(not(unix))]
fn exit_code(status: ExitStatus) -> ExitCode {
    ExitCode::from(status.code().unwrap_or(1) as u8)
}

/// Warns about faults that were not injected, which usually means that a test tests nothing.
fn report_unused_faults(sandbox: &Sandbox) {
    for fault in sandbox.unused_faults() {
        let _ = writeln!(io::stderr(), "{NAME}: fault was never injected: {fault}");
    }
}

/// Writes to stdout, in one write. A reader that has closed the pipe is not an error: it must not stop
/// the server.
fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(with_path("write to", Path::new("stdout"), &error))
        }
        _ => Ok(()),
    }
}

/// Returns the variables as commands of a shell.
fn exports(sandbox: &Sandbox) -> String {
    let mut text = String::new();
    for (name, value) in sandbox.environment() {
        text.push_str(&format!(
            "export {name}='{}'\n",
            value.replace('\'', r"'\''")
        ));
    }
    text
}

/// File with the variables, which exists while the server accepts requests.
struct EnvFile {
    path: PathBuf,
}

impl EnvFile {
    /// Removes the file of an earlier run, so that no client reads it. Fails if another program has written
    /// the file: it may be the only copy of credentials.
    fn remove_stale(path: &Path) -> io::Result<()> {
        match Self::is_own(path) {
            Ok(true) => Self::remove(path),
            Ok(false) => Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!(
                    "--env-file: {} exists, and this program did not write it; remove it, or name \
                     another file",
                    path.display()
                ),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(with_path("read", path, &error)),
        }
    }

    /// Returns whether the file is empty, or has no variables but those of a sandbox, with the URLs of one
    /// server. The real API has its token endpoint on another host.
    fn is_own(path: &Path) -> io::Result<bool> {
        const MAX_BYTES: u64 = 64 * 1024;

        let metadata = fs::symlink_metadata(path)?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return Ok(false);
        }
        let text = fs::read_to_string(path)?;
        let variables: BTreeMap<String, String> = match serde_json::from_str(&text) {
            Ok(object) => object,
            Err(_) => {
                let parts = text
                    .lines()
                    .map(|line| line.split_once('=').unwrap_or((line, "")));
                parts
                    .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
                    .collect()
            }
        };
        let value_of = |name: &str| variables.get(name).map(String::as_str);
        let urls = value_of("CAMUNDA_CONSOLE_BASE_URL").zip(value_of("CAMUNDA_OAUTH_URL"));
        let secrets = ["CAMUNDA_CONSOLE_CLIENT_SECRET", "ZEEBE_CLIENT_SECRET"].map(value_of);
        Ok(metadata.len() == 0
            || variables.keys().all(|name| Sandbox::has_variable(name))
                && secrets[0].is_some()
                && secrets[0] == secrets[1]
                && urls
                    .is_some_and(|(base, oauth)| oauth.strip_prefix(base) == Some("/oauth/token")))
    }

    fn remove(path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(with_path("remove", path, &error))
            }
            _ => Ok(()),
        }
    }

    /// Writes a temporary file and renames it, so that clients never read half of it.
    fn write(path: PathBuf, variables: &[(String, String)]) -> io::Result<Self> {
        let is_json = path.extension().is_some_and(|it| it == "json");
        let text = if is_json {
            let object: serde_json::Map<_, _> = variables
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()))
                .collect();
            format!("{:#}\n", serde_json::Value::from(object))
        } else {
            let line = |(name, value): &(String, String)| format!("{name}={}\n", quoted(value));
            variables.iter().map(line).collect()
        };
        let mut temporary = path.clone().into_os_string();
        temporary.push(format!(".{}.tmp", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let write = || -> io::Result<()> {
            // A process with the same id may have left one.
            Self::remove(&temporary)?;
            let mut file = private_file::create(&temporary)?;
            file.write_all(text.as_bytes())?;
            drop(file);
            fs::rename(&temporary, &path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&temporary);
            with_path("write", &path, &error)
        })?;
        Ok(Self { path })
    }
}

impl Drop for EnvFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn with_path(action: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("{action} {}: {error}", path.display()),
    )
}

/// Quotes a value for shells, if necessary: Docker reads quotes as part of the value.
fn quoted(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(&byte);
    if value.bytes().all(is_plain) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Signals that stop the server, or that the command receives.
struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    /// `None` if the process was started with SIGHUP ignored, as by nohup.
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

#[derive(Clone, Copy)]
enum Signal {
    Terminate,
    #[cfg(unix)]
    Hangup,
    Interrupt,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: match ignores_hangup() {
                true => None,
                false => Some(signal(SignalKind::hangup())?),
            },
        })
    }

    async fn next(&mut self) -> Signal {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = hangup => Signal::Hangup,
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    async fn next(&mut self) -> Signal {
        let _ = tokio::signal::ctrl_c().await;
        Signal::Interrupt
    }
}

impl Signal {
    /// Sends the signal to the command. A terminal has sent it SIGINT already.
    fn forward(self, child: &Child) {
        #[cfg(unix)]
        {
            use rustix::process::{Pid, kill_process};
            let signal = match self {
                Self::Terminate => rustix::process::Signal::TERM,
                Self::Hangup => rustix::process::Signal::HUP,
                Self::Interrupt => return,
            };
            if let Some(id) = child.id().and_then(|id| Pid::from_raw(id as i32)) {
                let _ = kill_process(id, signal);
            }
        }
        #[cfg(not(unix))]
        let _ = child;
    }
}

/// Returns whether the process was started with SIGHUP ignored, where that can be read.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 != 0)
}

#[cfg(unix)]
fn parent_id() -> u32 {
    std::os::unix::process::parent_id()
}

#[cfg(not(unix))]
fn parent_id() -> u32 {
    0
}

/// Waits until the parent process is another one than `parent`.
async fn parent_exit(parent: u32) {
    while parent_id() == parent {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Parsed command line.
enum Action {
    Run(Box<Options>),
    Print(String),
}

struct Options {
    builder: SandboxBuilder,
    env_file: Option<PathBuf>,
    exit_with_parent: bool,
    command: Option<Vec<OsString>>,
}

fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Action, String> {
    let mut arguments = arguments;
    let mut options = Options {
        builder: Sandbox::builder(),
        env_file: None,
        exit_with_parent: false,
        command: None,
    };
    while let Some(argument) = arguments.next() {
        let Some(argument) = argument.to_str().map(str::to_owned) else {
            return Err(format!("unknown option {}", argument.to_string_lossy()));
        };
        if argument == "--" {
            let command: Vec<OsString> = arguments.by_ref().collect();
            if command.is_empty() {
                return Err("expected a command after --".into());
            }
            options.command = Some(command);
            break;
        }
        let (option, mut value) = match argument.split_once('=') {
            Some((option, value)) => (option.to_owned(), Some(OsString::from(value))),
            None => (argument, None),
        };
        let mut path = || -> Result<PathBuf, String> {
            let value = value.take().or_else(|| arguments.next());
            match value.filter(|value| value != "--") {
                Some(value) if value.is_empty() => {
                    Err(format!("{option}: expected a value that is not empty"))
                }
                Some(value) => Ok(value.into()),
                None => Err(format!("{option}: expected a value")),
            }
        };
        let mut text = || -> Result<String, String> {
            let invalid = |_| format!("{option}: expected UTF-8");
            path()?.into_os_string().into_string().map_err(invalid)
        };
        let mut number = || -> Result<u64, String> {
            let text = text().map_err(|_| format!("{option}: expected a number"))?;
            text.parse::<u64>()
                .map_err(|_| format!("{option}: expected a number, found {text}"))
        };
        let builder = options.builder;
        options.builder = match option.as_str() {
            "--host" => {
                let text = text()?;
                let parsed = text.parse();
                builder.host(
                    parsed
                        .map_err(|_| format!("{option}: expected an IP address, found {text}"))?,
                )
            }
            "--port" => {
                let port = number()?;
                builder.port(
                    port.try_into()
                        .map_err(|_| format!("{port} is not a valid port"))?,
                )
            }
            "--public-url" => builder.public_url(&text()?),
            "--env-file" => {
                options.env_file = Some(path()?);
                builder
            }
            "--tls" => builder.tls(true),
            "--client-certificates" => builder.client_certificates(true),
            "--certificate-fault" => {
                let text = text()?;
                let fault = CertificateFault::from_name(&text).ok_or_else(|| {
                    let known = CertificateFault::ALL.map(CertificateFault::name).join(", ");
                    format!("{option}: expected one of {known}, found {text}")
                })?;
                builder.certificate_fault(fault)
            }
            "--exit-with-parent" => {
                options.exit_with_parent = true;
                builder
            }
            "--no-ui" => builder.ui(false),
            "--verbose" | "-v" => builder.verbose(true),
            "--seed" => builder.seed(number()?),
            "--client-id" => builder.client_id(&text()?),
            "--client-secret" => builder.client_secret(&text()?),
            "--organization-id" => builder.organization_id(&text()?),
            "--start-time" => {
                let text = text()?;
                builder.start_time(parse_time(&text).ok_or_else(|| {
                    format!("{option}: expected a time such as 2026-03-01T12:00:00Z, found {text}")
                })?)
            }
            "--frozen-clock" => builder.frozen_clock(true),
            "--state" => {
                let path = path()?;
                let text = fs::read_to_string(&path)
                    .map_err(|error| format!("{option}: read {}: {error}", path.display()))?;
                let state = serde_json::from_str(&text)
                    .map_err(|error| format!("{option}: parse {}: {error}", path.display()))?;
                builder.state(state)
            }
            "--healthy-after-ms" => builder.healthy_after(Duration::from_millis(number()?)),
            "--healthy-at-poll" => builder.healthy_at_poll(match number()? {
                0 => return Err(format!("{option}: expected a number above 0")),
                poll => poll,
            }),
            "--creation-result" => builder.creation_result(&text()?),
            "--signed-tokens" => builder.signed_tokens(true),
            "--token-lifetime-s" => builder.token_lifetime(Duration::from_secs(number()?)),
            "--no-token-rate-limit" => builder.token_rate_limit(false),
            "--ban-ms" => builder.ban(Duration::from_millis(number()?)),
            "--rejection-delay-ms" => builder.rejection_delay(Duration::from_millis(number()?)),
            "--help" | "-h" => return Ok(Action::Print(USAGE.into())),
            "--version" | "-V" => {
                return Ok(Action::Print(format!(
                    "{NAME} {}\n",
                    env!("CARGO_PKG_VERSION")
                )));
            }
            _ => return Err(format!("unknown option {option}")),
        };
        if value.is_some() {
            return Err(format!("{option}: unexpected value"));
        }
    }
    Ok(Action::Run(Box::new(options)))
}
