//! Tests of the command line program.

#![cfg(unix)]

#[path = "../../support/limited.rs"]
#[allow(dead_code)]
mod limited;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use limited::{Ended, Limited, PROGRAM_LIMIT, run_to_end};

const PROGRAM: &str = env!("CARGO_BIN_EXE_camunda-admin-sandbox");

/// Time limit for operations that are expected to succeed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Variables that the program prints without TLS.
const VARIABLES: [&str; 7] = [
    "CAMUNDA_CONSOLE_CLIENT_ID",
    "CAMUNDA_CONSOLE_CLIENT_SECRET",
    "CAMUNDA_CONSOLE_BASE_URL",
    "CAMUNDA_CONSOLE_OAUTH_AUDIENCE",
    "CAMUNDA_OAUTH_URL",
    "ZEEBE_CLIENT_ID",
    "ZEEBE_CLIENT_SECRET",
];

/// Waits until the condition is true, for at most [`TIMEOUT`].
#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "timeout waiting for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Returns whether SIGHUP does not end programs: they keep it ignored if it was ignored at their start,
/// as below `nohup`.
fn hangup_is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.map(|mask| u64::from_str_radix(mask.trim(), 16).unwrap());
    ignored.is_some_and(|mask| mask & 1 != 0)
}

/// Runs a program to its end.
fn output(command: Command) -> Ended {
    run_to_end(command, PROGRAM_LIMIT)
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments);
    command
}

/// Starts a program whose stdout the test reads.
fn start(mut command: Command) -> Limited {
    command.stdout(Stdio::piped());
    Limited::start(command, PROGRAM_LIMIT)
}

/// Temporary directory of one test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sandbox-test-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).unwrap().next().is_none()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn send_signal(id: u32, signal: &str) {
    let mut kill = Command::new("kill");
    kill.args([signal, &id.to_string()]);
    assert!(output(kill).status.success());
}

/// Running program with the variables that it printed.
struct Program {
    program: Limited,
    variables: Vec<(String, String)>,
}

impl Program {
    fn start(arguments: &[&str], lines: usize) -> Self {
        Self::start_in(&std::env::temp_dir(), arguments, lines)
    }

    fn start_in(directory: &Path, arguments: &[&str], lines: usize) -> Self {
        let mut command = command(arguments);
        command.env("TMPDIR", directory);
        let mut program = start(command);
        // Dropping the reader closes the pipe.
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
        send_signal(self.program.id(), signal);
        self.program.wait().unwrap().code()
    }
}

fn get(base_url: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(base_url.strip_prefix("http://").unwrap())?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    Ok(response)
}

#[test]
fn program_prints_environment_and_stops_on_signal() {
    for signal in ["-TERM", "-INT", "-HUP"] {
        if signal == "-HUP" && hangup_is_ignored() {
            continue;
        }
        let program = Program::start(&["--port", "0", "--healthy-after-ms=50"], 7);
        let names: Vec<&str> = program
            .variables
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, VARIABLES);
        let base_url = program.variable("CAMUNDA_CONSOLE_BASE_URL");
        assert_eq!(
            program.variable("CAMUNDA_OAUTH_URL"),
            format!("{base_url}/oauth/token")
        );
        // The program's stdout is closed by now.
        let stats = get(base_url, "/_sandbox/stats").unwrap();
        assert!(stats.contains("\"token_requests\":0"), "{stats}");
        assert_eq!(program.stop(signal), Some(0));
    }
}

#[test]
fn program_prints_environment_in_one_write() {
    let (output, reader) = UnixDatagram::pair().unwrap();
    reader.set_read_timeout(Some(PROGRAM_LIMIT)).unwrap();
    let mut command = command(&[]);
    command.stdout(OwnedFd::from(output));
    let program = Limited::start(command, PROGRAM_LIMIT);
    let mut written = [0; 4096];
    let length = reader.recv(&mut written).unwrap();
    let lines = std::str::from_utf8(&written[..length]).unwrap();
    assert_eq!(lines.lines().count(), VARIABLES.len(), "{lines}");
    assert!(lines.ends_with("'\n"), "{lines}");
    program.kill();
}

#[test]
fn program_removes_certificates_on_exit() {
    for signal in ["-TERM", "-HUP"] {
        if signal == "-HUP" && hangup_is_ignored() {
            continue;
        }
        let directory = Directory::new(&format!("certificates{signal}"));
        let program = Program::start_in(&directory.0, &["--client-certificates"], 10);
        let root = program.variable("CAMUNDA_CUSTOM_ROOT_CERT_PATH").to_owned();
        assert!(
            program
                .variable("CAMUNDA_CONSOLE_BASE_URL")
                .starts_with("https://")
        );
        assert!(Path::new(&root).exists());
        assert_eq!(program.stop(signal), Some(0));
        assert!(directory.is_empty());
    }
}

#[test]
fn program_removes_certificates_of_killed_program() {
    let directory = Directory::new("killed");
    let killed = Program::start_in(&directory.0, &["--tls"], 8);
    let killed_root = killed.variable("CAMUNDA_CUSTOM_ROOT_CERT_PATH").to_owned();
    let running = Program::start_in(&directory.0, &["--tls"], 8);
    let running_root = running.variable("CAMUNDA_CUSTOM_ROOT_CERT_PATH").to_owned();
    assert_eq!(killed.stop("-KILL"), None);
    assert!(Path::new(&killed_root).exists());
    // A lock file in it would keep Windows from renaming or removing it.
    let certificates = Path::new(&killed_root).parent().unwrap();
    let files = std::fs::read_dir(certificates).unwrap();
    let names: Vec<_> = files.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["root.pem"]);
    let next = Program::start_in(&directory.0, &["--tls"], 8);
    assert!(!Path::new(&killed_root).exists());
    assert!(Path::new(&running_root).exists());
    assert_eq!(next.stop("-TERM"), Some(0));
    assert_eq!(running.stop("-TERM"), Some(0));
    assert!(directory.is_empty());
}

#[test]
fn program_names_directory_that_it_cannot_create() {
    let mut command = command(&["--tls"]);
    command.env("TMPDIR", "/nonexistent/directory");
    let output = output(command);
    assert_eq!(output.status.code(), Some(1));
    let stderr = output.stderr;
    assert!(
        stderr.contains("create certificate directory /nonexistent/directory/camunda-admin"),
        "{stderr}"
    );
}

#[test]
fn program_reports_port_in_use() {
    let program = Program::start(&[], 7);
    let base_url = program.variable("CAMUNDA_CONSOLE_BASE_URL").to_owned();
    let port = base_url.rsplit_once(':').unwrap().1;
    let second = output(command(&["--port", port]));
    assert_eq!(second.status.code(), Some(1));
    let stderr = second.stderr;
    assert!(
        stderr.starts_with(&format!(
            "camunda-admin-sandbox: listen on 127.0.0.1:{port}: "
        )),
        "{stderr}"
    );
    assert!(stderr.contains("choose another port"), "{stderr}");
}

#[test]
fn program_runs_command_and_returns_its_status() {
    let run = |script: &str| output(command(&["--seed", "1", "--", "sh", "-c", script]));
    let checked = run("echo \"$CAMUNDA_CONSOLE_CLIENT_ID $CAMUNDA_OAUTH_URL\"; exit 7");
    assert_eq!(checked.status.code(), Some(7));
    let stdout = checked.stdout;
    let again = run("echo \"$CAMUNDA_CONSOLE_CLIENT_ID\"").stdout;
    assert_eq!(stdout.split(' ').next(), again.lines().next());
    assert!(stdout.ends_with("/oauth/token\n"), "{stdout}");

    assert_eq!(run("kill -KILL $$").status.code(), Some(137));
    let missing = output(command(&["--", "/nonexistent/program"]));
    assert_eq!(missing.status.code(), Some(127));
    let stderr = missing.stderr;
    assert!(stderr.contains("run /nonexistent/program: "), "{stderr}");
    let none = output(command(&["--"]));
    assert_eq!(none.status.code(), Some(2));
}

#[test]
fn program_forwards_signals_to_command() {
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done";
    let mut child = start(command(&["--", "sh", "-c", script]));
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "ready\n");
    send_signal(child.id(), "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(9));
}

#[test]
fn program_reports_faults_that_were_not_injected() {
    let script = r#"exec 3<>"/dev/tcp/127.0.0.1/${CAMUNDA_CONSOLE_BASE_URL##*:}"
        body='{"operation":"GET /clusters","status":503}'
        printf 'POST /_sandbox/faults HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n%s' \
            ${#body} "$body" >&3
        read -r status <&3
        case $status in *201*) exit 0;; *) exit 1;; esac"#;
    let output = output(command(&["--", "bash", "-c", script]));
    assert_eq!(output.status.code(), Some(0));
    let stderr = output.stderr;
    assert!(stderr.contains("fault was never injected"), "{stderr}");
    assert!(stderr.contains("GET /clusters"), "{stderr}");
}

#[test]
fn program_writes_env_file_while_it_runs() {
    let directory = Directory::new("env-file");
    for name in ["a.env", "a.json"] {
        let path = directory.path(name);
        // Of a server that was killed.
        let stale = if name == "a.json" {
            r#"{"CAMUNDA_CONSOLE_BASE_URL": "http://s:1", "CAMUNDA_OAUTH_URL": "http://s:1/oauth/token",
                "CAMUNDA_CONSOLE_CLIENT_SECRET": "s", "ZEEBE_CLIENT_SECRET": "s"}"#
        } else {
            "CAMUNDA_CONSOLE_BASE_URL='http://s:1'\nCAMUNDA_OAUTH_URL='http://s:1/oauth/token'\n\
             CAMUNDA_CONSOLE_CLIENT_SECRET='s'\nZEEBE_CLIENT_SECRET='s'\n"
        };
        fs::write(&path, stale).unwrap();
        let option = format!("--env-file={}", path.display());
        let mut command = command(&[&option, "--client-secret", "it's $HOME"]);
        command.stdout(Stdio::null());
        let child = Limited::start(command, PROGRAM_LIMIT);
        until("the env file", || {
            fs::read_to_string(&path).is_ok_and(|text| text != stale)
        });
        let text = fs::read_to_string(&path).unwrap();
        let expected = if name == "a.json" {
            "\"CAMUNDA_CONSOLE_CLIENT_SECRET\": \"it's $HOME\"".to_owned()
        } else {
            "\nCAMUNDA_CONSOLE_CLIENT_SECRET='it'\\''s $HOME'\n".to_owned()
        };
        assert!(text.contains(&expected), "{text}");
        for variable in VARIABLES {
            assert!(text.contains(variable), "{text}");
        }
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        send_signal(child.id(), "-TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert!(directory.is_empty());
    }
}

#[test]
fn program_replaces_env_file_of_a_killed_sandbox() {
    for name in ["a.env", "a.json"] {
        let directory = Directory::new("env-file-of-killed");
        let path = directory.path(name);
        let option = format!("--env-file={}", path.display());
        // With these, the file has all variables.
        let mut server = command(&["--client-certificates", &option]);
        server.stdout(Stdio::null());
        let child = Limited::start(server, PROGRAM_LIMIT);
        until("the env file", || path.exists());
        send_signal(child.id(), "-KILL");
        assert!(!child.wait().unwrap().success());
        assert!(path.exists());
        let ended = output(command(&[&option, "--", "true"]));
        assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    }
}

#[test]
fn program_keeps_file_of_another_program_that_env_file_names() {
    let directory = Directory::new("env-file-of-others");
    for text in [
        "CAMUNDA_CONSOLE_CLIENT_SECRET=s\nCAMUNDA_CONSOLE_BASE_URL=https://api.cloud.camunda.io\n\
         CAMUNDA_OAUTH_URL=https://login.cloud.camunda.io/oauth/token\n",
        r#"{"CAMUNDA_CONSOLE_CLIENT_SECRET": "s"}"#,
        "notes",
        // Of a gateway that serves both, and of a sandbox with an additional line.
        "CAMUNDA_CONSOLE_CLIENT_SECRET=s\nCAMUNDA_CONSOLE_BASE_URL=https://gateway.test\n\
         CAMUNDA_OAUTH_URL=https://gateway.test/oauth/token\n",
        "CAMUNDA_CONSOLE_CLIENT_SECRET=s\nZEEBE_CLIENT_SECRET=s\nPASSWORD=p\n\
         CAMUNDA_CONSOLE_BASE_URL=http://s:1\nCAMUNDA_OAUTH_URL=http://s:1/oauth/token\n",
    ] {
        let path = directory.path("a.env");
        fs::write(&path, text).unwrap();
        let ended = output(command(&[
            "--env-file",
            path.to_str().unwrap(),
            "--",
            "true",
        ]));
        assert_eq!(ended.status.code(), Some(1), "{text}");
        assert!(
            ended.stderr.contains("did not write it"),
            "{}",
            ended.stderr
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    // As `mktemp` creates one.
    let path = directory.path("empty");
    fs::write(&path, "").unwrap();
    // Links, such as /dev/stdout.
    for target in [Path::new("/dev/null"), &path] {
        let link = directory.path("link");
        std::os::unix::fs::symlink(target, &link).unwrap();
        let ended = output(command(&[
            "--env-file",
            link.to_str().unwrap(),
            "--",
            "true",
        ]));
        assert_eq!(ended.status.code(), Some(1));
        assert!(link.is_symlink());
        fs::remove_file(link).unwrap();
    }
    let ended = output(command(&[
        "--env-file",
        path.to_str().unwrap(),
        "--",
        "true",
    ]));
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn command_does_not_inherit_variables_of_another_server() {
    let mut command = command(&["--", "env"]);
    let variables = [
        "CAMUNDA_CONSOLE_ACCESS_TOKEN",
        "CAMUNDA_CONSOLE_CLIENT_SECRET_FILE",
        "CAMUNDA_CUSTOM_ROOT_CERT_PATH",
        "CAMUNDA_CUSTOM_CERT_CHAIN_PATH",
        "CAMUNDA_CUSTOM_PRIVATE_KEY_PATH",
    ];
    command.envs(variables.map(|name| (name, "/of/another/server")));
    command.env("CAMUNDA_TOKEN_CACHE_DIR", "/of/the/test");
    let ended = output(command);
    assert_eq!(ended.status.code(), Some(0));
    let stdout = ended.stdout;
    assert!(!stdout.contains("/of/another/server"), "{stdout}");
    assert!(
        stdout.contains("CAMUNDA_TOKEN_CACHE_DIR=/of/the/test"),
        "{stdout}"
    );
}

#[test]
fn files_with_secrets_have_mode_600_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for umask in ["000", "177", "277", "777"] {
        let directory = Directory::new("umask");
        let path = directory.path("a.env");
        let mut shell = Command::new("sh");
        shell
            .env("TMPDIR", directory.path(""))
            .args(["-c", "umask $0; exec \"$@\"", umask, PROGRAM])
            .args(["--client-certificates", "--env-file"])
            .arg(&path);
        let child = start(shell);
        until("the env file", || {
            path.exists() || child.try_wait().is_some()
        });
        assert_eq!(mode(&path), 0o600, "{umask}");
        let text = fs::read_to_string(&path).unwrap();
        let key = text
            .lines()
            .find_map(|line| line.strip_prefix("CAMUNDA_CUSTOM_PRIVATE_KEY_PATH="))
            .unwrap();
        assert_eq!(mode(Path::new(key)), 0o600, "{umask}");
        assert_eq!(mode(Path::new(key).parent().unwrap()), 0o700, "{umask}");
        send_signal(child.id(), "-TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn env_file_is_not_written_through_symbolic_link() {
    let directory = Directory::new("env-link");
    let elsewhere = directory.path("elsewhere");
    // `exec` keeps the id of the shell, which is in the name of the temporary file.
    let script = "ln -s elsewhere \"$2.$$.tmp\" && exec \"$1\" --env-file \"$2\" -- test -s \"$2\"";
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script, "sh", PROGRAM])
        .arg(directory.path("a.env"));
    let ended = output(shell);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(!elsewhere.exists());
}

#[test]
fn env_file_recipe_reads_current_environment() {
    let recipe = include_str!("../README.md")
        .split("```sh\n")
        .map(|block| block.split("```").next().unwrap())
        .find(|block| block.contains("--env-file"))
        .unwrap();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    let page = fs::read_to_string(repository.unwrap().join("docs/sandbox.md")).unwrap();
    assert!(page.contains(recipe));
    let directory = Directory::new("recipe");
    // Ends the server before the directory is removed.
    let script = format!(
        "trap 'kill $!; wait $!' EXIT\n{recipe}\ncurl -fsS \"$CAMUNDA_CONSOLE_BASE_URL/_sandbox/health\""
    );
    let path = format!(
        "{}:{}",
        Path::new(PROGRAM).parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    for _ in 0..10 {
        // A file of a server that was killed.
        fs::write(
            directory.path("sandbox.env"),
            "CAMUNDA_CONSOLE_BASE_URL=http://127.0.0.1:1\n",
        )
        .unwrap();
        let mut recipe = Command::new("bash");
        recipe
            .args(["-euc", &script])
            .env("PATH", &path)
            .current_dir(&directory.0);
        let output = output(recipe);
        let stdout = output.stdout;
        let stderr = output.stderr;
        assert!(output.status.success(), "{stdout}{stderr}");
        assert!(stdout.contains("\"status\":\"ok\""), "{stdout}{stderr}");
    }
}

#[test]
fn program_exits_with_parent() {
    for suffix in ["", "-- sh -c 'while :; do sleep 0.02; done'"] {
        let directory = Directory::new(&format!("parent{}", suffix.len()));
        let path = directory.path("sandbox.env");
        let script = format!(
            "\"{PROGRAM}\" --exit-with-parent --env-file \"{0}\" {suffix} > \"{0}.log\" 2>&1 &\n\
             until [ -e \"{0}\" ] || ! kill -0 $!; do sleep 0.01; done; cat \"{0}\"",
            path.display()
        );
        // Without the time limit, which would end the process that the shell leaves behind. The
        // script waits for the file only as long as the program runs.
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let base_url = text
            .lines()
            .find_map(|line| line.strip_prefix("CAMUNDA_CONSOLE_BASE_URL="))
            .unwrap();
        until("the end of the program", || {
            get(base_url, "/_sandbox/health").is_err() && !path.exists()
        });
    }
}

#[test]
fn program_logs_requests_with_verbose() {
    let mut command = command(&["--verbose"]);
    command.stderr(Stdio::piped());
    let mut child = start(command);
    let mut stdout = BufReader::new(child.stdout.take().unwrap()).lines();
    let base_url = stdout
        .find_map(|line| {
            let line = line.unwrap();
            let value = line.strip_prefix("export CAMUNDA_CONSOLE_BASE_URL='")?;
            Some(value.trim_end_matches('\'').to_owned())
        })
        .unwrap();
    get(&base_url, "/clusters?a=b").unwrap();
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    child.kill();
    assert!(line.contains("Z GET /clusters?a=b 401 "), "{line}");
}

/// A script that waits for the variables would wait indefinitely.
#[cfg(target_os = "linux")]
#[test]
fn program_fails_if_it_cannot_write_to_stdout() {
    for argument in ["--help", "--version", "--no-ui"] {
        let mut shell = Command::new("sh");
        shell.args(["-c", r#"exec "$@" > /dev/full"#, "sh", PROGRAM, argument]);
        let ended = output(shell);
        assert_eq!(ended.status.code(), Some(1), "{argument}");
        assert!(
            ended
                .stderr
                .starts_with("camunda-admin-sandbox: write to stdout: "),
            "{argument}: {}",
            ended.stderr
        );
    }
}

#[test]
fn program_prints_help_and_usage_errors() {
    let version = output(command(&["--version"]));
    assert_eq!(
        version.stdout,
        format!("camunda-admin-sandbox {}\n", env!("CARGO_PKG_VERSION"))
    );
    let help = output(command(&["--help"]));
    assert!(help.status.success());
    let help = help.stdout;
    for option in [
        "--port",
        "--tls",
        "--rejection-delay-ms",
        "--ban-ms",
        "--token-lifetime-s",
        "-- COMMAND",
        "/_sandbox/faults",
        "/_sandbox/control",
    ] {
        assert!(help.contains(option), "{option}");
    }
    for (arguments, message) in [
        (
            &["--certificate-fault", "old"][..],
            "expected one of expired",
        ),
        (&["--start-time", "today"], "found today"),
        (&["--state", "/nonexistent.json"], "read /nonexistent.json"),
        (&["--host", "localhost"], "expected an IP address"),
        (&["--public-url", "localhost"], "must begin with http"),
        (&["--prot", "1"], "unknown option --prot"),
        (&["--port"], "--port: expected a number"),
        (&["--port", "70000"], "70000 is not a valid port"),
        (&["--ban-ms", "soon"], "found soon"),
        (&["--tls=yes"], "--tls: unexpected value"),
        (&["--healthy-at-poll", "0"], "expected a number above 0"),
        (&["--client-id", ""], "--client-id: expected a value"),
        (&["--client-secret="], "--client-secret: expected a value"),
        (&["--env-file="], "--env-file: expected a value"),
        (
            &["--creation-result", ""],
            "--creation-result: expected a value",
        ),
    ] {
        let rejected = output(command(arguments));
        assert!(
            matches!(rejected.status.code(), Some(1 | 2)),
            "{arguments:?}"
        );
        let stderr = rejected.stderr;
        assert!(stderr.contains(message), "{stderr}");
    }
}
