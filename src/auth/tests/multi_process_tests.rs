//! Tests with several processes: the test binary starts itself with a scenario.
//!
//! The token endpoint of a scenario is a file to which every request appends a line, so that the
//! requests of all processes can be counted.

#[cfg(feature = "redis")]
pub(super) mod with_redis;

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::test_support::{RespondToTokenRequest, call_within, failure, left_out, request};
use crate::auth::cache::Cache;
use crate::auth::store::FLOCK_ERROR;
use crate::auth::time::Clock;
use crate::auth::{
    Fallback, FetchError, TokenCacheConfig, TokenErrorKind, TokenRequest, TokenResponse,
};
use crate::call::CallContext;
use crate::limited::{Limited, PROGRAM_LIMIT, run_to_end};
use crate::secret::Secret;

const VARIABLE: &str = "CAMUNDA_ADMIN_TEST_SCENARIO";
/// Prefix of the lines that a child prints for its parent.
const MARK: &str = "@@";

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum EndpointMode {
    Tokens,
    BadCredentials,
    BadRequest,
    RateLimited,
}

/// What a process does in a test.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Scenario {
    pub(super) cache: PathBuf,
    /// URL of a Redis; each process is then a host with its own cache directory.
    pub(super) redis: Option<String>,
    /// Name of the host, whose processes share a cache directory.
    pub(super) host: Option<String>,
    /// By how many milliseconds the host's wall clock is ahead.
    pub(super) clock_skew: i64,
    /// If libfaketime skews the wall clock that the system reports: the time at which the test
    /// started, since 1970.
    pub(super) system_clock_since: Option<Duration>,
    /// The log of requests, and the file whose creation starts all processes.
    pub(super) log: PathBuf,
    pub(super) go: PathBuf,
    pub(super) threads: usize,
    pub(super) calls: usize,
    /// Whether every thread of every process has its own credentials.
    pub(super) separate_credentials: bool,
    pub(super) client: String,
    pub(super) secret: String,
    pub(super) mode: EndpointMode,
    /// Number of bytes added to each token.
    pub(super) padding: usize,
    pub(super) response_delay: Duration,
    /// Number of the error with which the file system fails to lock files.
    pub(super) flock_error: Option<i32>,
    pub(super) timeout: Duration,
}

impl Scenario {
    pub(super) fn new(place: &TempDir) -> Self {
        Scenario {
            cache: place.path().join("cache"),
            redis: None,
            host: None,
            clock_skew: 0,
            system_clock_since: None,
            log: place.path().join("requests"),
            go: place.path().join("go"),
            threads: 8,
            calls: 1,
            separate_credentials: false,
            client: String::new(),
            secret: "hunter2".to_owned(),
            mode: EndpointMode::Tokens,
            padding: 0,
            response_delay: Duration::from_millis(50),
            flock_error: None,
            timeout: Duration::from_secs(30),
        }
    }

    /// Starts a process that runs this scenario and waits for the start file.
    pub(super) fn start(&self) -> ChildProcess {
        self.start_by(Command::new(std::env::current_exe().unwrap()))
    }

    /// As [`start`](Self::start), with an option of `ulimit`, such as `-f 1`.
    fn start_limited(&self, limit: &str) -> ChildProcess {
        let mut command = Command::new("sh");
        let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
        command
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap());
        self.start_by(command)
    }

    fn start_by(&self, mut command: Command) -> ChildProcess {
        if self.system_clock_since.is_some() {
            let library = libfaketime().expect("its absence is reported before");
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME", format!("{:+.3}", self.clock_skew as f64 / 1e3))
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        if let Some(error) = self.flock_error {
            command.env(FLOCK_ERROR, error.to_string());
        }
        command
            .args([
                "--exact",
                "auth::tests::multi_process_tests::run_scenario",
                "--include-ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(VARIABLE, serde_json::to_string(self).unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut program = Limited::start(command, PROGRAM_LIMIT);
        let mut lines = BufReader::new(program.stdout.take().unwrap());
        // All processes wait for the start file before it is created.
        read_mark(&mut lines).expect("the process starts");
        ChildProcess { program, lines }
    }

    /// Creates the start file and returns the results of all processes.
    pub(super) fn run(&self, processes: Vec<ChildProcess>) -> Vec<Outcome> {
        fs::write(&self.go, "").unwrap();
        let outcomes = processes
            .into_iter()
            .flat_map(ChildProcess::finish)
            .collect();
        fs::remove_file(&self.go).unwrap();
        outcomes
    }

    /// Starts a process and returns when it has sent a token request. Other processes wait for the
    /// start file again.
    pub(super) fn start_and_request(&self) -> ChildProcess {
        let process = self.start();
        fs::write(&self.go, "").unwrap();
        eventually(|| (!self.requests().is_empty()).then_some(()));
        fs::remove_file(&self.go).unwrap();
        process
    }

    /// Returns when each request was sent.
    pub(super) fn requests(&self) -> Vec<Duration> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let mut sent: Vec<_> = log
            .lines()
            .map(|line| Duration::from_nanos(line.parse().unwrap()))
            .collect();
        sent.sort();
        sent
    }
}

/// Returns libfaketime, or `None` if it is not installed.
pub(super) fn libfaketime() -> Option<PathBuf> {
    let libraries = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
    ];
    let mut libraries = libraries
        .iter()
        .map(|it| Path::new(it).join("faketime/libfaketime.so.1"));
    libraries.find(|library| library.exists())
}

/// A running process.
pub(super) struct ChildProcess {
    program: Limited,
    lines: BufReader<std::process::ChildStdout>,
}

impl ChildProcess {
    pub(super) fn finish(mut self) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        while let Some(line) = read_mark(&mut self.lines) {
            outcomes.push(serde_json::from_str(&line).unwrap());
        }
        self.program.wait_for_success();
        outcomes
    }

    pub(super) fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_raw(self.program.id() as i32).unwrap();
        rustix::process::kill_process(process, signal).unwrap();
    }

    pub(super) fn kill(self) {
        self.program.kill();
    }
}

/// Result of a call.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) result: Result<String, (String, String)>,
    pub(super) took: Duration,
    /// Number of store failures in the process so far.
    pub(super) store_failures: u64,
    pub(super) retry_after: Option<Duration>,
    /// The whole text of the error.
    pub(super) shown: Option<String>,
    /// Warnings in the log of the process so far.
    pub(super) warnings: Vec<String>,
}

impl Outcome {
    #[track_caller]
    pub(super) fn token(&self) -> &str {
        self.result.as_ref().expect("a token")
    }
}

fn read_mark(lines: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    loop {
        line.clear();
        if lines.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        if let Some((_, marked)) = line.split_once(MARK) {
            return Some(marked.trim_end().to_owned());
        }
    }
}

/// Runs the scenario of the environment variable.
#[test]
#[ignore = "run by others in a process of its own"]
fn run_scenario() {
    let scenario = std::env::var(VARIABLE).expect("a scenario to play");
    let scenario: Scenario = serde_json::from_str(&scenario).unwrap();
    log::set_logger(&WARNINGS).unwrap();
    log::set_max_level(log::LevelFilter::Warn);
    let clock = match scenario.system_clock_since {
        None => Clock::Skewed(scenario.clock_skew),
        Some(since) => {
            let skew = Clock::Real.now().wall.as_secs_f64() - since.as_secs_f64();
            let expected = scenario.clock_skew as f64 / 1e3;
            assert!(
                (0.0..120.0).contains(&(skew - expected)),
                "{skew} {expected}"
            );
            Clock::Real
        }
    };
    let cache = Cache::new(clock);
    println!("{MARK}");
    while !scenario.go.exists() {
        thread::sleep(Duration::from_millis(1));
    }
    thread::scope(|scope| {
        for number in 0..scenario.threads {
            let (scenario, cache) = (&scenario, &cache);
            scope.spawn(move || run_thread(scenario, cache, number));
        }
    });
}

/// Keeps the warnings of this process.
struct Warnings(Mutex<Vec<String>>);

static WARNINGS: Warnings = Warnings(Mutex::new(Vec::new()));

impl log::Log for Warnings {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

fn run_thread(scenario: &Scenario, cache: &Cache, number: usize) {
    let mut request = request();
    request.client_secret = Secret::new(scenario.secret.clone());
    request.client_id += &scenario.client;
    if scenario.separate_credentials {
        request.audience = format!("{}-{number}", std::process::id());
    }
    let config = match &scenario.redis {
        None => TokenCacheConfig::Directory(scenario.cache.clone()),
        Some(url) => TokenCacheConfig::Redis {
            tls: None,
            url: Secret::new(url.clone()),
            fallback: Fallback::Directory(match &scenario.host {
                None => scenario.cache.join(std::process::id().to_string()),
                Some(host) => scenario.cache.join(host),
            }),
        },
    };
    let handle = cache.handle(request, &config).unwrap();
    for _ in 0..scenario.calls {
        let started = Instant::now();
        let result = handle.token(scenario, &call_within(scenario.timeout));
        let outcome = Outcome {
            retry_after: result.as_ref().err().and_then(|error| error.retry_after()),
            shown: result.as_ref().err().map(|error| error.to_string()),
            warnings: WARNINGS.0.lock().unwrap().clone(),
            result: result
                .map(|token| token.expose().to_owned())
                .map_err(|error| (format!("{:?}", error.kind()), error.message().to_owned())),
            took: started.elapsed(),
            store_failures: cache
                .diagnostics()
                .stores
                .iter()
                .map(|it| it.failures)
                .sum(),
        };
        println!("{MARK}{}", serde_json::to_string(&outcome).unwrap());
    }
}

impl RespondToTokenRequest for Scenario {
    fn respond(&self, _: &TokenRequest, call: &CallContext) -> Result<TokenResponse, FetchError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        // The log has the time of the machine.
        let skew = self.system_clock_since.map_or(0, |_| self.clock_skew);
        let now = (now as i128 - i128::from(skew) * 1_000_000) as u128;
        let mut log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.log)
            .unwrap();
        // One write, so that lines of different processes do not interleave.
        log.write_all(format!("{now}\n").as_bytes()).unwrap();
        let failed = |cause| {
            Err(FetchError {
                kind: cause,
                error: failure(cause),
            })
        };
        if call.sleep(self.response_delay).is_err() {
            return failed(TokenErrorKind::Cancelled);
        }
        match self.mode {
            EndpointMode::Tokens => Ok(TokenResponse {
                access_token: Secret::new(format!("token-{now}{}", "x".repeat(self.padding))),
                expires_in: Some(3600.0),
                server_date: None,
            }),
            EndpointMode::BadCredentials => failed(TokenErrorKind::InvalidClient),
            EndpointMode::BadRequest => failed(TokenErrorKind::InvalidRequest),
            EndpointMode::RateLimited => failed(TokenErrorKind::RateLimited { retry_after: None }),
        }
    }
}

/// Calls `attempt` until it returns something, for at most a minute.
#[track_caller]
pub(super) fn eventually<T>(mut attempt: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(began.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(1));
    }
}

pub(super) fn place() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn invariant_01_one_token_request() {
    for round in 0..20 {
        let place = place();
        let scenario = Scenario::new(&place);
        let processes = (0..8).map(|_| scenario.start()).collect();
        let outcomes = scenario.run(processes);
        assert_eq!(outcomes.len(), 64);
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome.token() == outcomes[0].token())
        );
        assert_eq!(scenario.requests().len(), 1, "round {round}");
    }
}

#[test]
fn invariant_02_at_most_one_request_in_1100_ms_over_all_processes() {
    let place = place();
    let scenario = Scenario {
        threads: 2,
        separate_credentials: true,
        ..Scenario::new(&place)
    };
    check_six_requests_are_apart(&scenario, 3);
}

/// Runs processes that together send six token requests, and checks the time between these.
fn check_six_requests_are_apart(scenario: &Scenario, processes: usize) {
    let outcomes = scenario.run((0..processes).map(|_| scenario.start()).collect());
    let requests = scenario.requests();
    assert_eq!((outcomes.len(), requests.len()), (6, 6));
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()));
    assert_apart(&requests);
}

#[test]
fn invariant_03_bad_credentials_or_requests_send_one_request() {
    for round in 0..20 {
        let place = place();
        let (mode, expected) = match round % 2 {
            0 => (
                EndpointMode::BadCredentials,
                ("Authentication", "access_denied"),
            ),
            _ => (EndpointMode::BadRequest, ("Config", "invalid_scope")),
        };
        let scenario = Scenario {
            mode,
            calls: 3,
            ..Scenario::new(&place)
        };
        let processes = (0..8).map(|_| scenario.start()).collect();
        let outcomes = scenario.run(processes);
        assert_eq!(outcomes.len(), 8 * 8 * 3);
        for outcome in outcomes {
            let (kind, message) = outcome.result.unwrap_err();
            assert_eq!((&*kind, &*message), expected);
            assert!(outcome.took < Duration::from_secs(15), "{:?}", outcome.took);
        }
        assert_eq!(scenario.requests().len(), 1, "round {round}");
        // A later process sends no request either.
        let late = scenario.run(vec![scenario.start()]);
        assert!(late.iter().all(|outcome| outcome.result.is_err()));
        assert_eq!(scenario.requests().len(), 1);
    }
}

/// Checks that the rate limit of 1.1 s separated the requests of different processes, in their order.
///
/// The timestamps were written shortly after each permit was granted, and a loaded machine can
/// delay either of them; without a rate limit, the requests would be concurrent. The exact interval
/// is tested with a simulated clock.
#[track_caller]
pub(super) fn assert_apart(requests: &[Duration]) {
    for pair in requests.windows(2) {
        let apart = pair[1] - pair[0];
        assert!(apart >= Duration::from_millis(500), "{apart:?}");
    }
}

#[test]
fn invariant_06_killed_process_has_one_successor() {
    for round in 0..20 {
        let place = place();
        let killed = Scenario {
            threads: 1,
            response_delay: Duration::from_secs(3600),
            ..Scenario::new(&place)
        };
        let owner = killed.start_and_request();
        let scenario = Scenario::new(&place);
        let processes: Vec<_> = (0..4).map(|_| scenario.start()).collect();
        fs::write(&scenario.go, "").unwrap();
        owner.kill();
        let outcomes = scenario.run(processes);
        assert_eq!(outcomes.len(), 32);
        assert!(
            outcomes
                .iter()
                .all(|outcome| outcome.token() == outcomes[0].token())
        );
        let requests = scenario.requests();
        assert_eq!(requests.len(), 2, "round {round}");
        assert_apart(&requests);
    }
}

#[test]
fn invariant_06_stopped_process_has_one_successor() {
    let place = place();
    let stopped = Scenario {
        threads: 1,
        response_delay: Duration::from_secs(3600),
        ..Scenario::new(&place)
    };
    let owner = stopped.start_and_request();
    owner.signal(rustix::process::Signal::STOP);
    // They wait for the stopped process for two thirds of their time. The rest is enough for two
    // requests, and the response takes longer than the rate limit keeps others from sending.
    let scenario = Scenario {
        threads: 1,
        response_delay: Duration::from_millis(1_500),
        timeout: Duration::from_secs(12),
        ..Scenario::new(&place)
    };
    let processes = (0..5).map(|_| scenario.start()).collect();
    let outcomes = scenario.run(processes);
    owner.kill();
    let late = scenario.run(vec![scenario.start()]);
    for outcome in outcomes.iter().chain(&late) {
        assert!(outcome.result.is_ok(), "{outcomes:?} {late:?}");
        assert_eq!(outcome.token(), outcomes[0].token());
    }
    // That of the stopped process, and one.
    assert_eq!(scenario.requests().len(), 2);
}

/// Errors of `flock` on a file system that cannot lock.
fn errors_of_flock() -> [i32; 3] {
    use rustix::io::Errno;
    [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP].map(Errno::raw_os_error)
}

#[test]
fn invariants_01_and_03_hold_on_a_file_system_that_cannot_lock() {
    for error in errors_of_flock() {
        for mode in [EndpointMode::Tokens, EndpointMode::BadCredentials] {
            let place = place();
            let scenario = Scenario {
                threads: 2,
                mode,
                flock_error: Some(error),
                ..Scenario::new(&place)
            };
            let processes = (0..6).map(|_| scenario.start()).collect();
            let outcomes = scenario.run(processes);
            assert_eq!(outcomes.len(), 12);
            for outcome in &outcomes {
                match mode {
                    EndpointMode::Tokens => assert_eq!(outcome.token(), outcomes[0].token()),
                    _ => {
                        let (kind, _) = outcome.result.as_ref().unwrap_err();
                        assert_eq!(kind, "Authentication");
                    }
                }
                assert_eq!(outcome.store_failures, 0);
                assert_eq!(outcome.warnings, Vec::<String>::new());
            }
            assert_eq!(scenario.requests().len(), 1, "{error} {mode:?}");
            let late = scenario.run(vec![scenario.start()]);
            assert_eq!(late[0].result, outcomes[0].result);
            assert_eq!(scenario.requests().len(), 1, "{error} {mode:?}");
        }
    }
}

#[test]
fn invariant_02_holds_on_a_file_system_that_cannot_lock() {
    let place = place();
    let scenario = Scenario {
        threads: 1,
        separate_credentials: true,
        flock_error: Some(errors_of_flock()[0]),
        ..Scenario::new(&place)
    };
    check_six_requests_are_apart(&scenario, 6);
}

#[test]
fn invariant_06_holds_on_a_file_system_that_cannot_lock() {
    for stops in [false, true] {
        let place = place();
        let first = Scenario {
            threads: 1,
            response_delay: Duration::from_secs(3600),
            flock_error: Some(errors_of_flock()[0]),
            ..Scenario::new(&place)
        };
        let owner = first.start_and_request();
        // Other processes wait for a stopped process for two thirds of their time.
        let scenario = Scenario {
            response_delay: Duration::from_millis(1_500),
            timeout: Duration::from_secs(12),
            ..first.clone()
        };
        let processes = (0..4).map(|_| scenario.start()).collect();
        match stops {
            true => owner.signal(rustix::process::Signal::STOP),
            false => owner.signal(rustix::process::Signal::KILL),
        }
        let outcomes = scenario.run(processes);
        for outcome in &outcomes {
            assert_eq!(outcome.token(), outcomes[0].token());
        }
        // That of the first process, and one.
        let requests = scenario.requests();
        assert_eq!(requests.len(), 2, "{stops}");
        assert_apart(&requests);
        owner.kill();
    }
}

/// Clocks of hosts that share a directory: they differ by seconds and by hours.
const SKEWS: [i64; 4] = [0, 18_000_000, -18_000_000, 3_000];

/// Checks the rate limit of processes whose clocks differ, and that share a directory.
fn check_hosts_with_skewed_clocks(template: impl Fn(&TempDir) -> Scenario) {
    // Which process is the first is random.
    for _ in 0..2 {
        let place = place();
        let scenario = Scenario {
            threads: 1,
            separate_credentials: true,
            ..template(&place)
        };
        let start = |clock_skew| {
            let scenario = Scenario {
                clock_skew,
                ..scenario.clone()
            };
            scenario.start()
        };
        let outcomes = scenario.run(SKEWS.map(start).into());
        assert!(outcomes.iter().all(|it| it.result.is_ok()), "{outcomes:?}");
        let requests = scenario.requests();
        assert_eq!(requests.len(), SKEWS.len());
        assert_apart(&requests);
    }
    for clock_skew in SKEWS {
        let place = place();
        let blocked = Scenario {
            threads: 1,
            mode: EndpointMode::RateLimited,
            clock_skew,
            ..template(&place)
        };
        blocked.run(vec![blocked.start()]);
        for clock_skew in SKEWS {
            let scenario = Scenario {
                clock_skew,
                ..blocked.clone()
            };
            let outcomes = scenario.run(vec![scenario.start()]);
            let retry_after = outcomes[0].retry_after.unwrap().as_secs();
            // 60 s and a random time of up to 120 s.
            assert!((30..=181).contains(&retry_after), "{retry_after}");
        }
        assert_eq!(blocked.requests().len(), 1);
    }
}

#[test]
fn invariant_02_holds_in_a_directory_of_hosts_with_skewed_clocks() {
    check_hosts_with_skewed_clocks(Scenario::new);
}

/// The clocks of the system differ here; in the test above, only those of the token cache do.
#[cfg(target_os = "linux")]
#[test]
fn invariant_02_holds_in_a_directory_of_hosts_whose_system_clocks_differ() {
    if libfaketime().is_none() {
        return left_out("system clocks that differ, which needs libfaketime", true);
    }
    for flock_error in [None, Some(errors_of_flock()[0])] {
        check_hosts_with_skewed_clocks(|place| Scenario {
            system_clock_since: Some(since_1970()),
            flock_error,
            ..Scenario::new(place)
        });
    }
}

#[cfg(target_os = "linux")]
#[test]
fn file_of_another_process_is_kept_if_system_clocks_differ() {
    if libfaketime().is_none() {
        return left_out("a wrong system clock, which needs libfaketime", true);
    }
    let place = place();
    let scenario = Scenario {
        threads: 1,
        clock_skew: SKEWS[1],
        system_clock_since: Some(since_1970()),
        ..Scenario::new(&place)
    };
    fs::create_dir(&scenario.cache).unwrap();
    // The value that the other process is writing.
    let new = "token-0123456789abcdef0123456789abcdef-0123456789abcdef.new";
    let new = scenario.cache.join(new);
    fs::write(&new, "").unwrap();
    scenario.run(vec![scenario.start()])[0].token();
    assert!(new.exists());
}

#[cfg(target_os = "linux")]
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[test]
fn lock_file_that_other_users_can_open_is_rejected() {
    let place = place();
    let scenario = Scenario {
        threads: 1,
        ..Scenario::new(&place)
    };
    scenario.run(vec![scenario.start()]);
    fs::remove_file(value(&scenario)).unwrap();
    let lock = file(&scenario.cache, "token-", ".lock");
    fs::set_permissions(&lock, PermissionsExt::from_mode(0o644)).unwrap();
    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let outcomes = scenario.run(vec![scenario.start()]);
    outcomes[0].token();
    // No call waited for the lock.
    assert!(outcomes[0].took < Duration::from_secs(15), "{outcomes:?}");
    assert_eq!(outcomes[0].store_failures, 1);
}

#[test]
fn rate_limit_of_a_429_applies_to_all_processes() {
    let place = place();
    let scenario = Scenario {
        mode: EndpointMode::RateLimited,
        separate_credentials: true,
        threads: 3,
        ..Scenario::new(&place)
    };
    let first = scenario.run(vec![scenario.start()]);
    let second = scenario.run(vec![scenario.start(), scenario.start()]);
    for outcome in first.iter().chain(&second) {
        let (kind, _) = outcome.result.as_ref().unwrap_err();
        assert_eq!(kind, "RateLimited");
    }
    assert!(
        second
            .iter()
            .all(|outcome| outcome.took < Duration::from_secs(10)),
        "{second:?}"
    );
    assert_eq!(scenario.requests().len(), 1);
}

#[test]
fn files_are_private_and_contain_no_secret() {
    let place = place();
    let scenario = Scenario {
        threads: 1,
        ..Scenario::new(&place)
    };
    let outcomes = scenario.run(vec![scenario.start()]);
    let token = outcomes[0].token();
    assert_eq!(
        fs::metadata(&scenario.cache).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let mut files = 0;
    for entry in fs::read_dir(&scenario.cache).unwrap() {
        let entry = entry.unwrap();
        files += 1;
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
        let name = entry.file_name().into_string().unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        for secret in [token, "hunter2", "the-client-id"] {
            assert!(!name.contains(secret), "{name}");
            assert!(!contains(&bytes, secret.as_bytes()), "{name}");
        }
    }
    // A value and a lock for the token, and for the rate limiter.
    assert_eq!(files, 4);
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Returns the file in the cache with this prefix and suffix.
fn file(cache: &Path, prefix: &str, suffix: &str) -> PathBuf {
    let mut entries = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap());
    let found = entries.find(|entry| {
        let name = entry.file_name().into_string().unwrap();
        name.starts_with(prefix) && name.ends_with(suffix)
    });
    found.expect("such a file").path()
}

/// Damage to a cache between two processes, and whether the second has to send a request.
struct Damage {
    name: &'static str,
    apply: fn(&Scenario),
    sends_request: bool,
}

fn value(scenario: &Scenario) -> PathBuf {
    file(&scenario.cache, "token-", ".value")
}

#[test]
fn token_succeeds_when_files_are_damaged() {
    #[rustfmt::skip]
    let table = [
        Damage { name: "nothing", sends_request: false, apply: |_| {} },
        Damage { name: "value empty", sends_request: true, apply: |scenario| {
            fs::write(value(scenario), "").unwrap();
        }},
        Damage { name: "value cut", sends_request: true, apply: |scenario| {
            let bytes = fs::read(value(scenario)).unwrap();
            fs::write(value(scenario), &bytes[..bytes.len() / 2]).unwrap();
        }},
        Damage { name: "garbage", sends_request: true, apply: |scenario| {
            fs::write(value(scenario), [7; 100_000]).unwrap();
        }},
        Damage { name: "garbage without end", sends_request: true, apply: |scenario| {
            OpenOptions::new().write(true).open(value(scenario)).unwrap().set_len(1 << 40).unwrap();
        }},
        Damage { name: "readable by others", sends_request: true, apply: |scenario| {
            fs::set_permissions(value(scenario), PermissionsExt::from_mode(0o644)).unwrap();
        }},
        Damage { name: "a link in its place", sends_request: true, apply: |scenario| {
            let value = value(scenario);
            let elsewhere = scenario.cache.with_file_name("elsewhere");
            fs::rename(&value, &elsewhere).unwrap();
            symlink(&elsewhere, &value).unwrap();
        }},
        Damage { name: "a directory in its place", sends_request: true, apply: |scenario| {
            let value = value(scenario);
            fs::remove_file(&value).unwrap();
            fs::create_dir(&value).unwrap();
        }},
        Damage { name: "a pipe in its place", sends_request: true, apply: |scenario| {
            let value = value(scenario);
            fs::remove_file(&value).unwrap();
            let mut command = Command::new("mkfifo");
            command.arg(&value);
            assert!(run_to_end(command, PROGRAM_LIMIT).status.success());
        }},
        Damage { name: "a link in the lock's place", sends_request: false, apply: |scenario| {
            let lock = file(&scenario.cache, "token-", ".lock");
            fs::remove_file(&lock).unwrap();
            symlink("/etc/passwd", &lock).unwrap();
        }},
        Damage { name: "garbage in the rate limit record", sends_request: false, apply: |scenario| {
            fs::write(file(&scenario.cache, "rate-limit-", ".value"), "{]").unwrap();
        }},
        Damage { name: "directory deleted", sends_request: true, apply: |scenario| {
            fs::remove_dir_all(&scenario.cache).unwrap();
        }},
        Damage { name: "a file in the directory's place", sends_request: true, apply: |scenario| {
            fs::remove_dir_all(&scenario.cache).unwrap();
            fs::write(&scenario.cache, "").unwrap();
        }},
        Damage { name: "directory open to others", sends_request: true, apply: |scenario| {
            fs::set_permissions(&scenario.cache, PermissionsExt::from_mode(0o777)).unwrap();
        }},
        Damage { name: "a link in the directory's place", sends_request: true, apply: |scenario| {
            let elsewhere = scenario.cache.with_file_name("elsewhere");
            fs::rename(&scenario.cache, &elsewhere).unwrap();
            symlink(&elsewhere, &scenario.cache).unwrap();
        }},
    ];
    for Damage {
        name,
        apply,
        sends_request,
    } in table
    {
        let place = place();
        let scenario = Scenario {
            threads: 1,
            ..Scenario::new(&place)
        };
        let first = scenario.run(vec![scenario.start()]);
        apply(&scenario);
        let second = scenario.run(vec![scenario.start()]);
        assert!(second[0].result.is_ok(), "{name}: {second:?}");
        assert_eq!(
            first[0].token() != second[0].token(),
            sends_request,
            "{name}"
        );
        // No file was written through a link.
        let elsewhere = scenario.cache.with_file_name("elsewhere");
        if name == "a link in its place" {
            assert!(!fs::symlink_metadata(value(&scenario)).unwrap().is_symlink());
            assert!(elsewhere.is_file());
        }
    }
}

#[test]
fn token_succeeds_with_a_file_size_limit() {
    let place = place();
    let scenario = Scenario {
        threads: 2,
        calls: 2,
        padding: 2_000,
        ..Scenario::new(&place)
    };
    let outcomes = scenario.run(vec![scenario.start_limited("-f 1")]);
    assert_eq!(outcomes.len(), 4);
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.token() == outcomes[0].token())
    );
    assert_eq!(scenario.requests().len(), 1);
}

/// Returns whether this process has the capability to mount, which root in a container may lack.
fn may_mount() -> bool {
    const CAP_SYS_ADMIN: u32 = 21;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|it| it.strip_prefix("CapEff:"));
    let effective = effective.and_then(|it| u64::from_str_radix(it.trim(), 16).ok());
    effective.is_some_and(|set| set >> CAP_SYS_ADMIN & 1 == 1)
}

/// A file system without space, unmounted on drop.
pub(super) struct FullDisk(PathBuf);

impl FullDisk {
    /// Returns `None` if this process may not mount.
    pub(super) fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=4k,mode=0700", "none"])
            .arg(at);
        if !run_to_end(mount, PROGRAM_LIMIT).status.success() {
            left_out(
                "a full disk, which needs the privilege to mount",
                may_mount(),
            );
            return None;
        }
        let disk = FullDisk(at.to_owned());
        // The only page.
        fs::write(at.join("filler"), [0; 4096]).unwrap();
        Some(disk)
    }
}

impl Drop for FullDisk {
    fn drop(&mut self) {
        let mut unmount = Command::new("umount");
        unmount.arg(&self.0);
        let unmounted = run_to_end(unmount, PROGRAM_LIMIT).status;
        assert!(thread::panicking() || unmounted.success());
    }
}

#[test]
fn invariant_02_at_most_one_request_in_1100_ms_with_a_full_disk() {
    let place = place();
    let scenario = Scenario {
        threads: 1,
        separate_credentials: true,
        response_delay: Duration::from_millis(5),
        ..Scenario::new(&place)
    };
    let Some(_disk) = FullDisk::mount(&scenario.cache) else {
        return;
    };
    // Each process ends as soon as it has its token, so that only the disk has a record of its
    // request.
    let outcomes = scenario.run((0..6).map(|_| scenario.start()).collect());
    assert!(
        outcomes.iter().all(|outcome| outcome.result.is_ok()),
        "{outcomes:?}"
    );
    let requests = scenario.requests();
    assert_eq!(requests.len(), 6);
    assert_apart(&requests);
}

#[test]
fn invariant_06_killed_or_stopped_process_has_one_successor_with_a_full_disk() {
    for stops in [false, true] {
        let place = place();
        let first = Scenario {
            threads: 1,
            response_delay: Duration::from_secs(3600),
            ..Scenario::new(&place)
        };
        let Some(_disk) = FullDisk::mount(&first.cache) else {
            return;
        };
        let owner = first.start_and_request();
        let scenario = Scenario {
            timeout: Duration::from_secs(12),
            ..Scenario::new(&place)
        };
        // A process can share no token there, only the lock and the rate limit: of its threads, one
        // succeeds the first process.
        let successor = scenario.start();
        match stops {
            true => owner.signal(rustix::process::Signal::STOP),
            false => owner.signal(rustix::process::Signal::KILL),
        }
        let outcomes = scenario.run(vec![successor]);
        assert_eq!(outcomes.len(), 8);
        for outcome in &outcomes {
            assert_eq!(outcome.token(), outcomes[0].token());
        }
        let requests = scenario.requests();
        assert_eq!(requests.len(), 2, "{stops}");
        assert_apart(&requests);
        owner.kill();
    }
}

#[test]
fn rate_limit_of_a_429_is_shared_with_a_full_disk() {
    // The clocks can differ from that of the file system.
    for clock_skew in [0, 18_000_000, -18_000_000] {
        let place = place();
        let scenario = Scenario {
            threads: 1,
            separate_credentials: true,
            mode: EndpointMode::RateLimited,
            clock_skew,
            ..Scenario::new(&place)
        };
        let Some(_disk) = FullDisk::mount(&scenario.cache) else {
            return;
        };
        let first = scenario.run(vec![scenario.start()]);
        let second = scenario.run(vec![scenario.start()]);
        for outcome in first.iter().chain(&second) {
            let (kind, _) = outcome.result.as_ref().unwrap_err();
            assert_eq!(kind, "RateLimited");
        }
        // The error names the failure of the store.
        let shown = first[0].shown.as_ref().unwrap();
        let reason = shown.split_once("tokens are not shared: files in ");
        let reason = reason.expect("the reason").1;
        assert!(reason.contains("No space left on device"), "{shown}");
        assert_eq!(scenario.requests().len(), 1, "{clock_skew}");
    }
}

#[test]
fn token_succeeds_with_a_full_disk() {
    let place = place();
    let scenario = Scenario {
        threads: 2,
        ..Scenario::new(&place)
    };
    let Some(_disk) = FullDisk::mount(&scenario.cache) else {
        return;
    };
    let outcomes = scenario.run(vec![scenario.start()]);
    assert!(
        outcomes
            .iter()
            .all(|outcome| outcome.token() == outcomes[0].token())
    );
    assert_eq!(scenario.requests().len(), 1);
}

#[test]
fn directory_of_another_user_is_not_used() {
    if !rustix::process::geteuid().is_root() {
        return left_out("directories of other users, which needs root", false);
    }
    const OTHER_USER: u32 = 65534;
    // The parent directories must allow the other user.
    let place = place();
    fs::set_permissions(place.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let copy = place.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let scenario = Scenario {
        threads: 2,
        ..Scenario::new(&place)
    };
    let mine = scenario.run(vec![scenario.start()]);
    fs::set_permissions(&scenario.log, PermissionsExt::from_mode(0o666)).unwrap();
    let before: Vec<_> = fs::read_dir(&scenario.cache)
        .unwrap()
        .map(|it| it.unwrap().path())
        .collect();
    for mode in [0o700, 0o755, 0o777] {
        fs::set_permissions(&scenario.cache, PermissionsExt::from_mode(mode)).unwrap();
        let mut command = Command::new(&copy);
        command.uid(OTHER_USER).gid(OTHER_USER);
        let theirs = scenario.run(vec![scenario.start_by(command)]);
        assert!(
            theirs
                .iter()
                .all(|outcome| outcome.token() != mine[0].token())
        );
        let after: Vec<_> = fs::read_dir(&scenario.cache)
            .unwrap()
            .map(|it| it.unwrap().path())
            .collect();
        assert_eq!(before, after);
    }
    // Their own directory, but read-only.
    fs::remove_dir_all(&scenario.cache).unwrap();
    fs::create_dir(&scenario.cache).unwrap();
    std::os::unix::fs::chown(&scenario.cache, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
    fs::set_permissions(&scenario.cache, PermissionsExt::from_mode(0o500)).unwrap();
    let mut command = Command::new(&copy);
    command.uid(OTHER_USER).gid(OTHER_USER);
    let theirs = scenario.run(vec![scenario.start_by(command)]);
    assert!(
        theirs
            .iter()
            .all(|outcome| outcome.token() == theirs[0].token())
    );
    assert_eq!(fs::metadata(&scenario.cache).unwrap().uid(), OTHER_USER);
}
