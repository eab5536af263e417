//! The program of the soak test: its threads, their calls, and the checks of the results.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use camunda_admin::{
    AdminClient, CallOptions, Cancel, ClusterId, CreateClusterClient, Error, ErrorKind, Outcome,
    Result, Stage, Stats, UpdateCluster,
};
use serde::{Deserialize, Serialize};

use crate::expectations::{Creations, Settings};
use crate::measure::{MAX_REMAINING, ResourceSamples, Sample};
use crate::{MARK, THREADS};

/// Default deadline of a call.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Maximum duration of a call before the program aborts: many times the deadline, for slow machines.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);
/// Interval at which all tokens are revoked.
const REVOCATION_INTERVAL: Duration = Duration::from_secs(10);
/// Interval at which the program checks whether a thread is stuck.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// Minimum number of calls, so that all faults occur on a slow machine too.
const MIN_CALLS: u64 = 5_000;
/// Number of existing cluster clients from which a thread deletes some.
const MAX_CREATIONS: usize = 10;
/// Maximum number of idle connections of a client: one for each thread.
const IDLE_PER_CLIENT: usize = THREADS;
/// Maximum number of other open descriptors, mainly files of the token cache.
const OTHER_DESCRIPTORS: usize = 32;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) base_url: String,
    pub(crate) oauth_url: String,
    /// Client ids and secrets; the last secret is wrong.
    pub(crate) credentials: Vec<(String, String)>,
    pub(crate) cache: PathBuf,
    /// One cluster per thread.
    pub(crate) clusters: Vec<String>,
    pub(crate) seconds: u64,
}

/// Counters of the calls, and resource samples.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) calls: u64,
    pub(crate) succeeded: u64,
    /// Number of errors by kind, stage and outcome.
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) creations: Outcomes,
    /// Requests without a response, of which some may not have arrived.
    pub(crate) unanswered: u64,
    /// Calls that ended before the token endpoint responded.
    pub(crate) unanswered_token_requests: u64,
    pub(crate) stats: Counters,
    pub(crate) samples: Option<ResourceSamples>,
    /// Samples before the clients were created and after they were dropped.
    pub(crate) around: Option<[Sample; 2]>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcomes {
    pub(crate) completed: u64,
    pub(crate) rejected: u64,
    pub(crate) unknown: u64,
    pub(crate) not_sent: u64,
}

/// Sums of the counters of all clients.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counters {
    pub(crate) calls: u64,
    pub(crate) requests: u64,
    pub(crate) retries: u64,
    pub(crate) token_requests: u64,
}

impl Counters {
    fn add(&mut self, stats: &Stats) {
        self.calls += stats.calls;
        self.requests += stats.requests;
        self.retries += stats.retries;
        self.token_requests += stats.token_requests;
    }
}

/// Runs the plan and prints the report for the test.
pub(crate) fn run(plan: &Plan) {
    log::set_logger(&UnansweredRetries).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let before = Sample::take();
    let clients = clients(plan);
    let workers: Vec<_> = (0..THREADS).map(|_| WorkerState::default()).collect();
    let report = Mutex::new(Report::default());
    let phase = Phase::default();
    let samples = thread::scope(|scope| {
        for (number, state) in workers.iter().enumerate() {
            // Only the first thread uses the wrong credentials.
            let last = clients.len() - 1;
            let admin = &clients[if number == 0 { last } else { number % last }];
            let cluster: ClusterId = plan.clusters[number].parse().unwrap();
            let (phase, report) = (&phase, &report);
            let worker = move || {
                let _mark = MarkTerminated(state);
                Worker::new(number, admin, cluster, state).work(phase, report);
            };
            let builder = thread::Builder::new().name(format!("worker {number}"));
            builder.spawn_scoped(scope, worker).unwrap();
        }
        let samples = watch(plan, &workers, &phase);
        disable_faults();
        phase.faults_disabled.store(true, Ordering::Release);
        while !workers.iter().all(WorkerState::is_terminated) {
            abort_if_stuck(&workers);
            thread::sleep(CHECK_INTERVAL);
        }
        samples
    });
    let mut report = report.into_inner().expect("no thread failed");
    clients
        .iter()
        .for_each(|client| report.stats.add(&client.stats()));
    assert_eq!(report.stats.calls, report.calls);
    report.unanswered += UNANSWERED_RETRIES.load(Ordering::Relaxed);
    let idle = clients.len() * IDLE_PER_CLIENT;
    drop(clients);
    let after = Sample::take();
    assert!(
        after.allocated <= before.allocated + MAX_REMAINING,
        "{after:?}"
    );
    assert_eq!(before.descriptors, after.descriptors);
    assert_eq!(before.threads, after.threads);
    samples.check(
        before.descriptors + THREADS + idle + OTHER_DESCRIPTORS,
        before.threads + THREADS,
    );
    report.samples = Some(samples);
    report.around = Some([before, after]);
    println!("{MARK}{}", serde_json::to_string(&report).unwrap());
}

/// Number of retries after a request without a response.
static UNANSWERED_RETRIES: AtomicU64 = AtomicU64::new(0);

/// Logger that counts them: only the log has the error of an attempt that is retried.
struct UnansweredRetries;

impl log::Log for UnansweredRetries {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("camunda_admin")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string();
            // Without a response, the record has no status.
            if text.starts_with("request failed, retrying:") && !text.contains(" status=") {
                UNANSWERED_RETRIES.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn flush(&self) {}
}

/// Returns whether a message is of a connection that was lost before the response.
fn is_unanswered(message: &str) -> bool {
    message.contains("cannot connect to") || message.contains("connection lost before the response")
}

/// Returns a client for each of the credentials. Every other client shares its tokens through files.
fn clients(plan: &Plan) -> Vec<AdminClient> {
    let client = |(number, (id, secret)): (usize, &(String, String))| {
        let cache = match number % 2 {
            0 => plan.cache.to_str().unwrap(),
            _ => "memory",
        };
        AdminClient::builder()
            .client_id(id)
            .client_secret(secret.as_str())
            .base_url(&plan.base_url)
            .oauth_url(&plan.oauth_url)
            .token_cache(cache)
            .timeout(TIMEOUT)
            .build()
            .unwrap()
    };
    plan.credentials.iter().enumerate().map(client).collect()
}

/// Flags that control all threads.
#[derive(Default)]
struct Phase {
    /// No thread may start a call.
    pause: AtomicBool,
    /// Number of threads that wait.
    paused: AtomicUsize,
    /// The threads have to end.
    over: AtomicBool,
    /// The test has disabled all faults.
    faults_disabled: AtomicBool,
}

impl Phase {
    /// Pauses all threads and takes a sample while no call runs.
    fn sample_at_rest(&self, workers: &[WorkerState]) -> Sample {
        self.pause.store(true, Ordering::Release);
        while self.paused.load(Ordering::Acquire) < THREADS
            && !workers.iter().any(WorkerState::is_terminated)
        {
            abort_if_stuck(workers);
            thread::sleep(Duration::from_millis(1));
        }
        let sample = Sample::take();
        self.pause.store(false, Ordering::Release);
        sample
    }

    /// Waits while the threads are paused.
    fn wait_while_paused(&self) {
        if self.pause.load(Ordering::Acquire) {
            self.paused.fetch_add(1, Ordering::AcqRel);
            while self.pause.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(1));
            }
            self.paused.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// State of a thread that the main thread reads.
#[derive(Default)]
struct WorkerState {
    cancel: Cancel,
    calls: AtomicU64,
    /// The running operation and its start time.
    doing: Mutex<Option<(&'static str, Instant)>>,
    terminated: AtomicBool,
}

impl WorkerState {
    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn is_terminated(&self) -> bool {
        self.terminated.load(Ordering::Acquire)
    }
}

/// Records on drop that a thread has terminated, also after a panic.
struct MarkTerminated<'a>(&'a WorkerState);

impl Drop for MarkTerminated<'_> {
    fn drop(&mut self) {
        self.0.terminated.store(true, Ordering::Release);
    }
}

/// Cancels calls, lets the test revoke tokens, and takes samples until the time is over.
fn watch(plan: &Plan, workers: &[WorkerState], phase: &Phase) -> ResourceSamples {
    let mut rng = TestRng(64);
    let mut samples = ResourceSamples::default();
    let begun = Instant::now();
    let until = Duration::from_secs(plan.seconds);
    let calls = || workers.iter().map(WorkerState::calls).sum::<u64>();
    // A pause takes as long as the longest of 64 calls.
    let pauses = (plan.seconds / 30).clamp(3, 30) as u32;
    let (mut next_check, mut next_revocation) = (Duration::ZERO, REVOCATION_INTERVAL);
    while (begun.elapsed() < until || calls() < MIN_CALLS)
        && !workers.iter().any(WorkerState::is_terminated)
    {
        if begun.elapsed() >= next_check {
            next_check += CHECK_INTERVAL;
            abort_if_stuck(workers);
            samples.update_max(Sample::take());
        }
        if begun.elapsed() >= until / pauses * (samples.at_rest.len() as u32 + 1) {
            samples.at_rest.push(phase.sample_at_rest(workers));
        }
        if begun.elapsed() >= next_revocation {
            next_revocation += REVOCATION_INTERVAL;
            println!("{MARK}revoke");
        }
        workers[rng.below(THREADS as u64) as usize].cancel.cancel();
        thread::sleep(Duration::from_millis(5));
    }
    samples.at_rest.push(phase.sample_at_rest(workers));
    phase.over.store(true, Ordering::Release);
    samples
}

/// Ends the process if a call of a thread takes longer than [`CALL_TIMEOUT`].
fn abort_if_stuck(workers: &[WorkerState]) {
    for (number, worker) in workers.iter().enumerate() {
        if let Some((doing, since)) = *worker.doing.lock().unwrap()
            && since.elapsed() > CALL_TIMEOUT
        {
            let calls = worker.calls();
            eprintln!("worker {number} is stuck in {doing} after {calls} calls");
            std::process::exit(3);
        }
    }
}

/// Lets the test disable all faults, and waits until it has.
fn disable_faults() {
    println!("{MARK}faults_disabled");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    assert_eq!(line, "faults_disabled\n");
}

/// One thread of the program.
struct Worker<'a> {
    admin: &'a AdminClient,
    /// A cluster that only this thread changes.
    cluster: ClusterId,
    state: &'a WorkerState,
    /// Whether its credentials are valid.
    trusted: bool,
    rng: TestRng,
    creations: Creations,
    settings: Settings,
    report: Report,
}

impl<'a> Worker<'a> {
    fn new(
        number: usize,
        admin: &'a AdminClient,
        cluster: ClusterId,
        state: &'a WorkerState,
    ) -> Worker<'a> {
        Worker {
            admin,
            cluster,
            state,
            trusted: number > 0,
            rng: TestRng(number as u64),
            creations: Creations::new(number),
            settings: Settings::default(),
            report: Report::default(),
        }
    }

    fn work(mut self, phase: &Phase, report: &Mutex<Report>) {
        while !phase.over.load(Ordering::Acquire) {
            phase.wait_while_paused();
            let options = match self.rng.below(10) {
                0 => {
                    let millis = [0, 1, 5, 20, 40][self.rng.below(5) as usize];
                    CallOptions::new().timeout(Duration::from_millis(millis))
                }
                1 => {
                    self.state.cancel.reset();
                    CallOptions::new().cancel(self.state.cancel.clone())
                }
                _ => CallOptions::new(),
            };
            let admin = self.admin.with(options);
            match self.rng.below(100) {
                0..30 => drop(self.get(&admin)),
                30..45 => drop(self.list(&admin)),
                45..65 => self.set(&admin),
                65..85 if self.creations.count() < MAX_CREATIONS => self.create(&admin),
                65..98 => self.remove(&admin),
                _ => drop(self.call("list clusters", || admin.clusters().list())),
            }
        }
        while !phase.faults_disabled.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
        // Without faults, the state on the server must be consistent with all outcomes.
        if self.trusted {
            let begun = Instant::now();
            while self.get(self.admin).is_err() || self.list(self.admin).is_err() {
                assert!(begun.elapsed() < CALL_TIMEOUT, "calls fail without faults");
            }
        }
        report.lock().unwrap().add(self.report);
    }

    fn get(&mut self, admin: &AdminClient) -> Result<()> {
        let cluster = self.cluster.clone();
        let got = self.call("get cluster", || admin.cluster(&cluster).get())?;
        let shown = got.name.strip_prefix("v");
        self.settings
            .check(shown.map(|number| number.parse().unwrap()));
        Ok(())
    }

    fn set(&mut self, admin: &AdminClient) {
        let cluster = self.cluster.clone();
        let change = UpdateCluster::new().name(format!("v{}", self.settings.next()));
        let set = self.call("update cluster", || admin.cluster(&cluster).update(&change));
        self.settings.set(outcome(&set));
    }

    fn list(&mut self, admin: &AdminClient) -> Result<()> {
        let cluster = self.cluster.clone();
        let listed = self.call("list clients", || admin.cluster(&cluster).clients().list());
        let listed = listed?;
        let listed = listed.iter();
        self.creations
            .check(listed.map(|client| (client.name.as_str(), &client.client_id)));
        Ok(())
    }

    fn create(&mut self, admin: &AdminClient) {
        let cluster = self.cluster.clone();
        let request = CreateClusterClient::new(self.creations.next_name());
        let created = self.call("create client", || {
            admin.cluster(&cluster).clients().create(&request)
        });
        let outcomes = &mut self.report.creations;
        match outcome(&created) {
            Outcome::NotSent => outcomes.not_sent += 1,
            Outcome::Rejected => outcomes.rejected += 1,
            Outcome::Completed => outcomes.completed += 1,
            _ => outcomes.unknown += 1,
        }
        match created {
            Ok(created) => self.creations.created(created.client_id),
            Err(error) => {
                // Names are unique, so a 400 means that the request was sent twice.
                assert_ne!(error.kind(), ErrorKind::InvalidRequest, "{error}");
                assert!(
                    error.attempts() <= 1 || error.outcome() == Outcome::NotSent,
                    "{error}"
                );
                self.creations.failed(error.outcome());
            }
        }
    }

    fn remove(&mut self, admin: &AdminClient) {
        let Some((number, id)) = self.creations.oldest() else {
            return;
        };
        let cluster = self.cluster.clone();
        let deleted = self.call("delete client", || {
            admin.cluster(&cluster).clients().delete(&id)
        });
        match deleted {
            Ok(()) => self.creations.deleted(number),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.creations.already_deleted(number, error.outcome());
            }
            Err(error) => self.creations.deletion_failed(number, error.outcome()),
        }
    }

    /// Makes a call, records its start for the main thread, and checks its error.
    fn call<T>(&mut self, doing: &'static str, call: impl FnOnce() -> Result<T>) -> Result<T> {
        *self.state.doing.lock().unwrap() = Some((doing, Instant::now()));
        let result = call();
        *self.state.doing.lock().unwrap() = None;
        self.state.calls.fetch_add(1, Ordering::Relaxed);
        self.report.calls += 1;
        match &result {
            Ok(_) => self.report.succeeded += 1,
            Err(error) => {
                self.report.record(doing, error);
                if error.stage() == Stage::Token {
                    // Calls fail immediately until tokens are available.
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
        result
    }
}

/// Returns the outcome of a change.
fn outcome<T>(result: &Result<T>) -> Outcome {
    result
        .as_ref()
        .map_or_else(Error::outcome, |_| Outcome::Completed)
}

impl Report {
    fn record(&mut self, doing: &str, error: &Error) {
        let (kind, outcome) = (error.kind(), error.outcome());
        let expected = match kind {
            ErrorKind::Authentication
            | ErrorKind::RateLimited
            | ErrorKind::Service
            | ErrorKind::Timeout
            | ErrorKind::Cancelled
            | ErrorKind::Network
            | ErrorKind::Decode => true,
            ErrorKind::NotFound => doing == "delete client",
            _ => false,
        };
        assert!(expected, "{error:?}");
        assert_eq!(error.operation(), Some(doing), "{error:?}");
        assert!(
            error.stage() != Stage::Token || error.attempts() > 0 || outcome == Outcome::NotSent,
            "{error:?}"
        );
        let name = format!("{kind:?} {:?} {outcome:?}", error.stage());
        *self.errors.entry(name).or_default() += 1;
        let stopped = matches!(kind, ErrorKind::Timeout | ErrorKind::Cancelled);
        match error.stage() {
            Stage::Token if stopped || kind == ErrorKind::Network => {
                self.unanswered_token_requests += 1
            }
            Stage::Request
                if error.attempts() > 0 && (stopped || is_unanswered(error.message())) =>
            {
                self.unanswered += 1;
            }
            _ => {}
        }
    }

    fn add(&mut self, other: Report) {
        self.calls += other.calls;
        self.succeeded += other.succeeded;
        self.unanswered += other.unanswered;
        self.unanswered_token_requests += other.unanswered_token_requests;
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
        self.creations.completed += other.creations.completed;
        self.creations.rejected += other.creations.rejected;
        self.creations.unknown += other.creations.unknown;
        self.creations.not_sent += other.creations.not_sent;
    }
}

/// Random number generator with a fixed seed, the same in every run.
struct TestRng(u64);

impl TestRng {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
