//! The program: its threads, what each of them does, and what it is told.

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
use crate::measure::{Course, MOST_LEFT, Sample};
use crate::{MARK, THREADS};

/// The deadline of calls that are not in a hurry.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How long a thread may be without finishing a call: many times the deadline, for slow machines.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often all tokens are revoked.
const REVOKED_EVERY: Duration = Duration::from_secs(10);
/// How often it is looked whether a thread hangs.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// So many calls there are at least, lest a slow machine miss something.
const LEAST_CALLS: u64 = 5_000;
/// A thread with so many creations begins to remove them.
const MANY: usize = 10;
/// Connections that a client keeps when nobody uses them.
const IDLE_PER_CLIENT: usize = 8;
/// What else may be open for a moment: the files of the token cache, above all.
const OTHER_DESCRIPTORS: usize = 32;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) base_url: String,
    pub(crate) oauth_url: String,
    /// Ids and secrets; the last one is wrong.
    pub(crate) credentials: Vec<(String, String)>,
    pub(crate) cache: PathBuf,
    /// One for each thread.
    pub(crate) clusters: Vec<String>,
    pub(crate) seconds: u64,
}

/// What became of the calls.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) calls: u64,
    pub(crate) succeeded: u64,
    /// How many errors there were of each kind and outcome.
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) creations: Outcomes,
    /// Requests to which there was no answer, so that nobody knows whether they arrived.
    pub(crate) unanswered: u64,
    /// Calls that ended before there was an answer of the token endpoint.
    pub(crate) tokenless: u64,
    pub(crate) stats: Counters,
    pub(crate) course: Option<Course>,
    /// Before the clients were made, and after they were dropped.
    pub(crate) around: Option<[Sample; 2]>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcomes {
    pub(crate) done: u64,
    pub(crate) refused: u64,
    pub(crate) unknown: u64,
    pub(crate) not_sent: u64,
}

/// The counters of all clients together.
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

/// Runs as planned, and tells the test on standard output.
pub(crate) fn run(plan: &Plan) {
    log::set_logger(&UnansweredRetries).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let before = Sample::take();
    let clients = clients(plan);
    let workers: Vec<_> = (0..THREADS).map(|_| Watched::default()).collect();
    let report = Mutex::new(Report::default());
    let phase = Phase::default();
    let course = thread::scope(|scope| {
        for (number, watched) in workers.iter().enumerate() {
            // The wrong credentials are those of one thread, the first.
            let last = clients.len() - 1;
            let admin = &clients[if number == 0 { last } else { number % last }];
            let cluster: ClusterId = plan.clusters[number].parse().unwrap();
            let (phase, report) = (&phase, &report);
            let worker = move || {
                let _leaving = Leaving(watched);
                Worker::new(number, admin, cluster, watched).work(phase, report);
            };
            let builder = thread::Builder::new().name(format!("worker {number}"));
            builder.spawn_scoped(scope, worker).unwrap();
        }
        let course = watch(plan, &workers, &phase);
        calm_down();
        phase.calm.store(true, Ordering::Release);
        while !workers.iter().all(Watched::is_gone) {
            look_after(&workers);
            thread::sleep(LOOK_EVERY);
        }
        course
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
    assert!(after.allocated <= before.allocated + MOST_LEFT, "{after:?}");
    assert_eq!(before.descriptors, after.descriptors);
    assert_eq!(before.threads, after.threads);
    course.check(
        before.descriptors + THREADS + idle + OTHER_DESCRIPTORS,
        before.threads + THREADS,
    );
    report.course = Some(course);
    report.around = Some([before, after]);
    println!("{MARK}{}", serde_json::to_string(&report).unwrap());
}

/// Requests without an answer that were sent again.
static UNANSWERED_RETRIES: AtomicU64 = AtomicU64::new(0);

/// Counts them: what became of a request that was sent again is told by the log only.
struct UnansweredRetries;

impl log::Log for UnansweredRetries {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("camunda_admin")
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let text = record.args().to_string();
            // The status of a response, where there was one.
            if text.starts_with("request failed, retrying:") && !text.contains(" status=") {
                UNANSWERED_RETRIES.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn flush(&self) {}
}

/// Whether the words of an error are those of a connection that broke before the answer.
fn lacks_answer(words: &str) -> bool {
    words.contains("cannot connect to") || words.contains("broke before the answer")
}

/// A client for each of the credentials; every other one shares its tokens through files.
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

/// What all threads are told.
#[derive(Default)]
struct Phase {
    /// No call is to be begun.
    rest: AtomicBool,
    resting: AtomicUsize,
    /// The time is over.
    over: AtomicBool,
    /// Nothing goes wrong any more.
    calm: AtomicBool,
}

impl Phase {
    /// Takes a sample while no call is under way.
    fn rest(&self, workers: &[Watched]) -> Sample {
        self.rest.store(true, Ordering::Release);
        while self.resting.load(Ordering::Acquire) < THREADS
            && !workers.iter().any(Watched::is_gone)
        {
            look_after(workers);
            thread::sleep(Duration::from_millis(1));
        }
        let sample = Sample::take();
        self.rest.store(false, Ordering::Release);
        sample
    }

    /// Rests where that is wanted.
    fn take_part(&self) {
        if self.rest.load(Ordering::Acquire) {
            self.resting.fetch_add(1, Ordering::AcqRel);
            while self.rest.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(1));
            }
            self.resting.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// A thread as the others see it.
#[derive(Default)]
struct Watched {
    cancel: Cancel,
    calls: AtomicU64,
    /// What it is doing, and since when.
    doing: Mutex<Option<(&'static str, Instant)>>,
    gone: AtomicBool,
}

impl Watched {
    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }
}

/// Notes that a thread is gone, however it went.
struct Leaving<'a>(&'a Watched);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Release);
    }
}

/// Looks on until the time is over: cancels calls, has tokens revoked, takes samples.
fn watch(plan: &Plan, workers: &[Watched], phase: &Phase) -> Course {
    let mut chance = Chance(64);
    let mut course = Course::default();
    let begun = Instant::now();
    let until = Duration::from_secs(plan.seconds);
    let calls = || workers.iter().map(Watched::calls).sum::<u64>();
    // A rest takes as long as the longest of 64 calls.
    let rests = (plan.seconds / 30).clamp(3, 30) as u32;
    let (mut next_look, mut next_revocation) = (Duration::ZERO, REVOKED_EVERY);
    while (begun.elapsed() < until || calls() < LEAST_CALLS)
        && !workers.iter().any(Watched::is_gone)
    {
        if begun.elapsed() >= next_look {
            next_look += LOOK_EVERY;
            look_after(workers);
            course.see(Sample::take());
        }
        if begun.elapsed() >= until / rests * (course.at_rest.len() as u32 + 1) {
            course.at_rest.push(phase.rest(workers));
        }
        if begun.elapsed() >= next_revocation {
            next_revocation += REVOKED_EVERY;
            println!("{MARK}revoke");
        }
        workers[chance.below(THREADS as u64) as usize]
            .cancel
            .cancel();
        thread::sleep(Duration::from_millis(5));
    }
    course.at_rest.push(phase.rest(workers));
    phase.over.store(true, Ordering::Release);
    course
}

/// Ends everything where a thread is stuck.
fn look_after(workers: &[Watched]) {
    for (number, worker) in workers.iter().enumerate() {
        if let Some((doing, since)) = *worker.doing.lock().unwrap()
            && since.elapsed() > PATIENCE
        {
            let calls = worker.calls();
            eprintln!("worker {number} hangs in {doing} after {calls} calls");
            std::process::exit(3);
        }
    }
}

/// Has the test end all faults.
fn calm_down() {
    println!("{MARK}calm");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).unwrap();
    assert_eq!(answer, "calm\n");
}

/// One thread of the program.
struct Worker<'a> {
    admin: &'a AdminClient,
    /// A cluster that only this thread changes.
    cluster: ClusterId,
    watched: &'a Watched,
    /// Whether its credentials are right.
    trusted: bool,
    chance: Chance,
    creations: Creations,
    settings: Settings,
    report: Report,
}

impl<'a> Worker<'a> {
    fn new(
        number: usize,
        admin: &'a AdminClient,
        cluster: ClusterId,
        watched: &'a Watched,
    ) -> Worker<'a> {
        Worker {
            admin,
            cluster,
            watched,
            trusted: number > 0,
            chance: Chance(number as u64),
            creations: Creations::new(number),
            settings: Settings::default(),
            report: Report::default(),
        }
    }

    fn work(mut self, phase: &Phase, report: &Mutex<Report>) {
        while !phase.over.load(Ordering::Acquire) {
            phase.take_part();
            let options = match self.chance.below(10) {
                0 => {
                    let millis = [0, 1, 5, 20, 40][self.chance.below(5) as usize];
                    CallOptions::new().timeout(Duration::from_millis(millis))
                }
                1 => {
                    self.watched.cancel.reset();
                    CallOptions::new().cancel(self.watched.cancel.clone())
                }
                _ => CallOptions::new(),
            };
            let admin = self.admin.with(options);
            match self.chance.below(100) {
                0..30 => drop(self.get(&admin)),
                30..45 => drop(self.list(&admin)),
                45..65 => self.set(&admin),
                65..85 if self.creations.count() < MANY => self.create(&admin),
                65..98 => self.remove(&admin),
                _ => drop(self.call("list clusters", || admin.clusters().list())),
            }
        }
        while !phase.calm.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(1));
        }
        // Once nothing goes wrong, everything is as it was said to be.
        if self.trusted {
            let calm = Instant::now();
            while self.get(self.admin).is_err() || self.list(self.admin).is_err() {
                assert!(calm.elapsed() < PATIENCE, "nothing works any more");
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
            Outcome::Rejected => outcomes.refused += 1,
            Outcome::Completed => outcomes.done += 1,
            _ => outcomes.unknown += 1,
        }
        match created {
            Ok(created) => self.creations.created(created.client_id),
            Err(error) => {
                // No name is used twice, so this one would have been sent twice.
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
        let removed = self.call("delete client", || {
            admin.cluster(&cluster).clients().delete(&id)
        });
        match removed {
            Ok(()) => self.creations.removed(number),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.creations.not_there(number, error.outcome());
            }
            Err(error) => self.creations.removal_failed(number, error.outcome()),
        }
    }

    /// Makes a call, under watch, and looks at its error.
    fn call<T>(&mut self, doing: &'static str, call: impl FnOnce() -> Result<T>) -> Result<T> {
        *self.watched.doing.lock().unwrap() = Some((doing, Instant::now()));
        let result = call();
        *self.watched.doing.lock().unwrap() = None;
        self.watched.calls.fetch_add(1, Ordering::Relaxed);
        self.report.calls += 1;
        match &result {
            Ok(_) => self.report.succeeded += 1,
            Err(error) => {
                self.report.note(doing, error);
                if error.stage() == Stage::Token {
                    // It fails fast until there are tokens again.
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
        result
    }
}

/// What became of a change.
fn outcome<T>(result: &Result<T>) -> Outcome {
    result
        .as_ref()
        .map_or_else(Error::outcome, |_| Outcome::Completed)
}

impl Report {
    fn note(&mut self, doing: &str, error: &Error) {
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
            Stage::Token if stopped || kind == ErrorKind::Network => self.tokenless += 1,
            Stage::Request
                if error.attempts() > 0 && (stopped || lacks_answer(error.message())) =>
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
        self.tokenless += other.tokenless;
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
        self.creations.done += other.creations.done;
        self.creations.refused += other.creations.refused;
        self.creations.unknown += other.creations.unknown;
        self.creations.not_sent += other.creations.not_sent;
    }
}

/// The same random numbers in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}
