//! Simulation of processes on several hosts that share a server, each host with its files: random
//! histories in which each process sees the stores in a state of its own, and checks of the
//! invariants 1 to 3 and of the blocks after a 429.
//!
//! Each process is a thread. One of them runs at a time, from one wait to the next, and the order
//! is that of a simulated clock: so a history depends on its seed only, and takes no time.
//! `CAMUNDA_TEST_SEED=N` runs one history and prints it, `CAMUNDA_TEST_HISTORIES=N` the first N of
//! each kind.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Barrier, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::test_support::{failure, request};
use crate::auth::cache::Cache;
use crate::auth::key::{RATE_LIMIT_PREFIX, TokenHostKey};
use crate::auth::rate_limit_record::RateLimitTimes;
use crate::auth::store::{ServerClock, StoreChain, Timestamps};
use crate::auth::time::{Clock, ClockTime, ProcessClock, millis};
use crate::auth::{
    FetchError, StoreLock, TokenCacheConfig, TokenConnection, TokenEndpoint, TokenErrorKind,
    TokenRequest, TokenResponse, TokenStore,
};
use crate::call::{CallContext, CallOptions, Cancel};
use crate::limited::limit_this_process;
use crate::secret::Secret;

/// Number of histories of each kind by default; fewer of those that simulate several minutes.
const HISTORIES: u64 = 20;
const LONG_HISTORIES: u64 = 6;
/// Of those in which processes are stopped, which rarely happens at a critical moment.
const STOP_HISTORIES: u64 = 40;

const EPOCH: ClockTime = ClockTime {
    mono: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_780_000_000),
};

/// Records have whole milliseconds, in the time of two clocks.
const ROUNDING: Duration = Duration::from_millis(3);
/// A permit is valid for that long.
const MAX_SEND_DELAY: Duration = ms(250);
const INTERVAL: Duration = Duration::from_millis(1_100);
/// The first window after a rejection of the credentials, and the first block after a 429.
const WINDOW: Duration = Duration::from_secs(30);
const BLOCK: Duration = Duration::from_secs(60);
/// Remaining time of a call that may have continued without the lock of its token.
const SHORT_TIME: Duration = Duration::from_secs(20);
/// How long a process needs to store what it received.
const TIME_TO_STORE: Duration = Duration::from_secs(3);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Runs one thread at a time, in the order of their waits.
struct Scheduler {
    state: Mutex<Schedule>,
    /// For each thread, notified when it is its turn.
    turns: Vec<Condvar>,
}

struct Schedule {
    /// Since [`EPOCH`].
    now: Duration,
    running: Option<usize>,
    waiting: BTreeSet<(Duration, u64, usize)>,
    random: u64,
    printed: bool,
}

impl Schedule {
    fn next_random(&mut self) -> u64 {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn run_next(&mut self, turns: &[Condvar]) {
        self.running = self.waiting.pop_first().map(|(at, _, id)| {
            self.now = self.now.max(at);
            turns[id].notify_one();
            id
        });
    }
}

impl Scheduler {
    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.state.lock().unwrap()
    }

    fn now(&self) -> Duration {
        self.lock().now
    }

    fn below(&self, limit: u64) -> u64 {
        self.lock().next_random() % limit
    }

    fn between(&self, least: u64, most: u64) -> Duration {
        ms(least + self.below(most - least + 1))
    }

    fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Lets other threads run for `duration`.
    fn wait(&self, id: usize, duration: Duration) {
        let mut schedule = self.lock();
        let entry = (schedule.now + duration, schedule.next_random(), id);
        schedule.waiting.insert(entry);
        schedule.run_next(&self.turns);
        self.wait_for_turn(id, schedule);
    }

    fn wait_for_turn(&self, id: usize, schedule: MutexGuard<'_, Schedule>) {
        // If it never is, `limit_this_process` ends the test.
        let is_other = |schedule: &mut Schedule| schedule.running != Some(id);
        drop(self.turns[id].wait_while(schedule, is_other).unwrap());
    }

    fn end(&self) {
        // Also while a thread panics.
        if let Ok(mut schedule) = self.state.lock() {
            schedule.run_next(&self.turns);
        }
    }

    fn print(&self, line: fmt::Arguments<'_>) {
        let schedule = self.lock();
        if schedule.printed {
            eprintln!("{:>9.3} {line}", schedule.now.as_secs_f64());
        }
    }
}

/// How a store treats the operations of a process.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Every operation fails immediately.
    Refused,
    /// No operation is executed, after 250 ms.
    Late,
    /// Operations are executed, but there is no response within 250 ms.
    NoResponse,
    /// Only reads work.
    ReadOnly,
    /// Nothing can be written, but locks work.
    Full,
    /// Values cannot be read, as those of a wrong type.
    Unreadable,
}

const SERVER_FAULTS: [Fault; 6] = [
    Fault::Refused,
    Fault::Late,
    Fault::NoResponse,
    Fault::ReadOnly,
    Fault::Full,
    Fault::Unreadable,
];

/// A store and what is in it.
#[derive(Default)]
struct Contents {
    values: HashMap<String, Vec<u8>>,
    times: HashMap<String, RateLimitTimes>,
    /// Owner and end of each lock.
    locks: HashMap<String, (u64, Duration)>,
    owners: u64,
}

/// A store as one process sees it.
struct View {
    process: Arc<Process>,
    contents: Arc<Mutex<Contents>>,
    /// Duration of an operation.
    latency: (u64, u64),
    is_server: bool,
    /// Times in which the store fails for this process.
    faults: Vec<(Duration, Duration, Fault)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Operation {
    Read,
    Write,
    Lock,
}

impl View {
    fn fault(&self) -> Option<Fault> {
        let now = self.process.scheduler.now();
        let faults = self.faults.iter();
        let mut current = faults.filter(|(from, until, _)| (*from..*until).contains(&now));
        current.next().map(|(_, _, fault)| *fault)
    }

    fn run<T>(
        &self,
        operation: Operation,
        execute: impl FnOnce(&mut Contents, Duration) -> T,
    ) -> io::Result<T> {
        let process = &self.process;
        let latency = process.scheduler.between(self.latency.0, self.latency.1);
        process.wait(latency / 2);
        let late = || {
            process.wait(ms(250));
            Err(io::ErrorKind::TimedOut.into())
        };
        let execute = || execute(&mut self.contents.lock().unwrap(), process.scheduler.now());
        let result = match self.fault() {
            None => execute(),
            Some(Fault::Refused) => return Err(io::ErrorKind::ConnectionRefused.into()),
            Some(Fault::Late) => return late(),
            Some(Fault::NoResponse) => {
                let _ = execute();
                return late();
            }
            Some(Fault::ReadOnly) if operation == Operation::Read => execute(),
            Some(Fault::Full) if operation != Operation::Write => execute(),
            Some(Fault::Unreadable) if operation != Operation::Read => execute(),
            Some(_) => return Err(io::Error::other("failed by the simulation")),
        };
        process.wait(latency - latency / 2);
        Ok(result)
    }
}

impl TokenStore for Arc<View> {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.run(Operation::Read, |contents, _| {
            contents.values.get(name).cloned()
        })
    }

    fn put(&self, name: &str, value: &[u8], _ttl: Duration) -> io::Result<()> {
        self.run(Operation::Write, |contents, _| {
            contents.values.insert(name.to_owned(), value.to_owned());
        })
    }

    fn try_lock(&self, name: &str, lease: Duration) -> io::Result<Option<StoreLock>> {
        let acquired = self.run(Operation::Lock, |contents, now| {
            if contents.locks.get(name).is_some_and(|(_, end)| *end > now) {
                return None;
            }
            contents.owners += 1;
            // The kernel releases the locks of files.
            let end = match self.is_server {
                true => now + lease,
                false => Duration::MAX,
            };
            let owner = contents.owners;
            contents.locks.insert(name.to_owned(), (owner, end));
            Some(owner)
        })?;
        Ok(acquired.map(|owner| {
            StoreLock::new(HeldLock {
                view: Arc::clone(self),
                name: name.to_owned(),
                owner,
            })
        }))
    }

    fn describe(&self) -> String {
        "simulated".to_owned()
    }
}

impl ServerClock for Arc<View> {
    fn get_with_time(&self, name: &str) -> io::Result<(Option<Vec<u8>>, Option<Duration>)> {
        self.run(Operation::Read, |contents, now| {
            let value = contents.values.get(name).cloned();
            (value, Some(EPOCH.wall + now))
        })
    }
}

impl Timestamps for Arc<View> {
    fn set_times(&self, name: &str, times: RateLimitTimes) -> io::Result<()> {
        self.run(Operation::Lock, |contents, _| {
            contents.times.insert(name.to_owned(), times);
        })
    }

    fn times(&self, name: &str) -> io::Result<Option<RateLimitTimes>> {
        self.run(Operation::Read, |contents, _| {
            contents.times.get(name).copied()
        })
    }
}

struct HeldLock {
    view: Arc<View>,
    name: String,
    owner: u64,
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        let is_lost = matches!(
            self.view.fault(),
            Some(Fault::Refused | Fault::Late | Fault::ReadOnly)
        );
        // A lock of the server then ends with its lease.
        if self.view.is_server && is_lost {
            return;
        }
        let locks = &mut self.view.contents.lock().unwrap().locks;
        if locks
            .get(&self.name)
            .is_some_and(|(owner, _)| *owner == self.owner)
        {
            locks.remove(&self.name);
        }
    }
}

/// A process of a simulated host.
struct Process {
    id: usize,
    scheduler: Arc<Scheduler>,
    deadline: Mutex<Duration>,
    cancel: Cancel,
    /// Of 1,000 waits, so many are followed by a stop (SIGSTOP) of seconds.
    stops: u64,
}

impl Process {
    fn wait(&self, duration: Duration) {
        self.scheduler.wait(self.id, duration);
        if self.stops > 0 && self.scheduler.below(1_000) < self.stops {
            let length = self.scheduler.between(100, 6_000);
            self.scheduler.print(format_args!(
                "process {} is stopped for {length:?}",
                self.id
            ));
            self.scheduler.wait(self.id, length);
        }
        if self.scheduler.now() >= *self.deadline.lock().unwrap() {
            self.cancel.cancel();
        }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.id)
    }
}

impl ProcessClock for Process {
    fn now(&self) -> ClockTime {
        EPOCH.after(self.scheduler.now())
    }

    fn remaining(&self) -> Duration {
        let deadline = *self.deadline.lock().unwrap();
        deadline.saturating_sub(self.scheduler.now())
    }

    fn jitter(&self) -> f64 {
        self.scheduler.below(1_000) as f64 / 1e3
    }

    fn wait(&self, duration: Duration) {
        Process::wait(self, duration);
    }
}

/// A request that the token endpoint received.
#[derive(Debug, Clone)]
struct Received {
    at: Duration,
    process: usize,
    host: usize,
    audience: String,
    /// Time until the deadline of its call.
    remaining: Duration,
    /// Its response, and when the process received it.
    response: Option<(Duration, Result<(), TokenErrorKind>)>,
}

/// The token endpoint.
#[derive(Default)]
struct Service {
    received: Mutex<Vec<Received>>,
}

/// The endpoint as one process sees it.
struct Endpoint {
    service: Arc<Service>,
    process: Arc<Process>,
    host: usize,
    /// Duration of a response, and how many percent of them are 429s.
    latency: (u64, u64),
    limited: u64,
}

/// Audience of credentials that the endpoint rejects.
const REJECTED: &str = "rejected.example";

impl TokenEndpoint for Endpoint {
    fn connect<'a>(
        &'a self,
        request: &'a TokenRequest,
        _: &CallContext,
    ) -> Result<Box<dyn TokenConnection + 'a>, FetchError> {
        self.process.wait(self.process.scheduler.between(0, 300));
        Ok(Box::new(Connection(self, request)))
    }
}

struct Connection<'a>(&'a Endpoint, &'a TokenRequest);

impl TokenConnection for Connection<'_> {
    fn is_open(&mut self) -> bool {
        true
    }

    fn send(
        &mut self,
        call: &CallContext,
        send_by: Option<Instant>,
    ) -> Result<TokenResponse, FetchError> {
        let Connection(endpoint, request) = self;
        let (process, service) = (&endpoint.process, &endpoint.service);
        let scheduler = &process.scheduler;
        let granted = scheduler.now();
        // A process that is stopped may be stopped here.
        for _ in 0..10 {
            process.wait(Duration::ZERO);
        }
        if send_by.is_some() && scheduler.now() - granted > MAX_SEND_DELAY {
            let kind = TokenErrorKind::PermitExpired;
            return Err(FetchError {
                kind,
                error: failure(kind),
            });
        }
        let index = {
            let mut received = service.received.lock().unwrap();
            received.push(Received {
                at: scheduler.now(),
                process: process.id,
                host: endpoint.host,
                audience: request.audience.clone(),
                remaining: process.remaining(),
                response: None,
            });
            received.len() - 1
        };
        scheduler.print(format_args!(
            "host {} process {} sends for {}",
            endpoint.host, process.id, request.audience
        ));
        let latency = scheduler.between(endpoint.latency.0, endpoint.latency.1);
        let is_limited = scheduler.chance(endpoint.limited);
        process.wait(latency.min(process.remaining()));
        let response = match () {
            () if call.check().is_err() => Err(TokenErrorKind::Cancelled),
            () if is_limited => Err(TokenErrorKind::RateLimited { retry_after: None }),
            () if request.audience == REJECTED => Err(TokenErrorKind::InvalidClient),
            () => Ok(()),
        };
        scheduler.print(format_args!("process {} receives {response:?}", process.id));
        service.received.lock().unwrap()[index].response = Some((scheduler.now(), response));
        match response {
            Ok(()) => Ok(TokenResponse {
                access_token: Secret::new(format!("token-{index}")),
                expires_in: Some(3600.0),
                server_date: None,
            }),
            Err(kind) => Err(FetchError {
                kind,
                error: failure(kind),
            }),
        }
    }

    fn sent_at(&self) -> Option<Instant> {
        None
    }
}

/// A kind of histories.
#[derive(Debug, Clone)]
struct Kind {
    name: &'static str,
    hosts: usize,
    processes_per_host: usize,
    has_server: bool,
    has_files: bool,
    server_latency: (u64, u64),
    /// Faults of the server, as each process sees it.
    server_faults: &'static [Fault],
    /// Whether the server loses its contents once.
    restarts: bool,
    /// Whether another tenant of the server writes rate limit records all the time.
    has_tenant: bool,
    file_faults: &'static [Fault],
    response_latency: (u64, u64),
    audiences: &'static [&'static str],
    /// Number of client secrets, each of which the same number of processes has, with one audience; 0 if
    /// all processes have the same.
    secrets: usize,
    /// Percentage of responses that are 429s.
    limited: u64,
    timeout: Duration,
    calls: usize,
    /// Of 1,000 waits of a process, so many are followed by a stop.
    stops: u64,
    /// Whether hosts exclude each other.
    is_shared_by_hosts: bool,
    /// Seeds beyond the first ones, whose histories have found a fault.
    more_seeds: &'static [u64],
}

const AUDIENCES: &[&str] = &["one.example", "two.example", "three.example"];

const PLAIN: Kind = Kind {
    name: "plain",
    hosts: 2,
    processes_per_host: 3,
    has_server: true,
    has_files: true,
    server_latency: (0, 5),
    server_faults: &[],
    restarts: false,
    has_tenant: false,
    file_faults: &[],
    response_latency: (50, 3_000),
    audiences: AUDIENCES,
    secrets: 0,
    limited: 0,
    timeout: Duration::from_secs(60),
    calls: 2,
    stops: 0,
    is_shared_by_hosts: true,
    more_seeds: &[],
};

/// Runs one history and returns the requests that the endpoint received.
fn run(kind: &Kind, seed: u64, printed: bool) -> Vec<Received> {
    let processes = kind.hosts * kind.processes_per_host;
    let threads = processes + usize::from(kind.restarts) + usize::from(kind.has_tenant);
    let scheduler = Arc::new(Scheduler {
        state: Mutex::new(Schedule {
            now: Duration::ZERO,
            running: None,
            waiting: BTreeSet::new(),
            random: seed,
            printed,
        }),
        turns: (0..threads).map(|_| Condvar::new()).collect(),
    });
    let service = Arc::new(Service::default());
    let server = Arc::new(Mutex::new(Contents::default()));
    let files: Vec<_> = (0..kind.hosts)
        .map(|_| Arc::new(Mutex::new(Contents::default())))
        .collect();
    let faults = |all: &[Fault]| -> Vec<(Duration, Duration, Fault)> {
        let count = if all.is_empty() {
            0
        } else {
            scheduler.below(3)
        };
        (0..count)
            .map(|_| {
                let from = scheduler.between(0, 8_000);
                let until = from + scheduler.between(1, 6_000);
                (from, until, all[scheduler.below(all.len() as u64) as usize])
            })
            .collect()
    };
    let setups: Vec<_> = (0..processes)
        .map(|id| {
            let host = id / kind.processes_per_host;
            let process = Arc::new(Process {
                id,
                scheduler: Arc::clone(&scheduler),
                deadline: Mutex::new(Duration::MAX),
                cancel: Cancel::new(),
                stops: kind.stops,
            });
            let view = |contents: &Arc<Mutex<Contents>>, is_server| {
                Arc::new(View {
                    process: Arc::clone(&process),
                    contents: Arc::clone(contents),
                    latency: if is_server {
                        kind.server_latency
                    } else {
                        (0, 1)
                    },
                    is_server,
                    faults: faults(match is_server {
                        true => kind.server_faults,
                        false => kind.file_faults,
                    }),
                })
            };
            let stores = (
                kind.has_server.then(|| view(&server, true)),
                view(&files[host], false),
            );
            scheduler.print(format_args!(
                "process {id} on host {host}: faults of the server {:?}, of the files {:?}",
                stores.0.as_ref().map(|view| &view.faults),
                stores.1.faults
            ));
            let starts = scheduler.between(0, 4_000);
            (process, host, stores, starts)
        })
        .collect();
    let restarts_at = scheduler.between(0, 8_000);
    let registered = Barrier::new(threads + 1);
    let thread = |id: usize, starts: Duration, run: &dyn Fn()| {
        let _end = End(&scheduler);
        scheduler.lock().waiting.insert((starts, id as u64, id));
        registered.wait();
        scheduler.wait_for_turn(id, scheduler.lock());
        run();
    };
    thread::scope(|scope| {
        for (process, host, (server, files), starts) in &setups {
            let (thread, service) = (&thread, &service);
            scope.spawn(move || {
                thread(process.id, *starts, &|| {
                    run_process(kind, process, *host, server, files, service);
                });
            });
        }
        if kind.restarts {
            scope.spawn(|| {
                thread(processes, restarts_at, &|| {
                    scheduler.print(format_args!("the server loses its contents"));
                    let mut server = server.lock().unwrap();
                    server.values.clear();
                    server.locks.clear();
                });
            });
        }
        if kind.has_tenant {
            scope.spawn(|| {
                let id = threads - 1;
                thread(id, Duration::ZERO, &|| {
                    for _ in 0..1_500 {
                        let record =
                            json!({"last_request_at": millis(EPOCH.wall + scheduler.now())});
                        let name = rate_limit_name();
                        let record = record.to_string().into_bytes();
                        server.lock().unwrap().values.insert(name, record);
                        scheduler.wait(id, ms(200));
                    }
                });
            });
        }
        registered.wait();
        scheduler.end();
    });
    service.received.lock().unwrap().clone()
}

/// Returns the name of the rate limit record of the token host.
fn rate_limit_name() -> String {
    let host = TokenHostKey::of(&request().token_url);
    format!("{RATE_LIMIT_PREFIX}{}", host.digest())
}

/// Runs the next thread when dropped, also after a panic.
struct End<'a>(&'a Scheduler);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Makes the calls of one process, which may be restarted between them.
fn run_process(
    kind: &Kind,
    process: &Arc<Process>,
    host: usize,
    server: &Option<Arc<View>>,
    files: &Arc<View>,
    service: &Arc<Service>,
) {
    let scheduler = &process.scheduler;
    let clock = Clock::Process(Arc::clone(process) as Arc<dyn ProcessClock>);
    let config = TokenCacheConfig::Directory(PathBuf::from("/simulated"));
    let started = || {
        let cache = Cache::new(clock.clone());
        let files = kind.has_files.then(|| Arc::clone(files));
        let server = server.clone();
        let stores = StoreChain::simulated(server.map(Arc::new), files.map(Arc::new), &clock);
        cache.use_stores(&config, stores);
        cache
    };
    let endpoint = Endpoint {
        service: Arc::clone(service),
        process: Arc::clone(process),
        host,
        latency: kind.response_latency,
        limited: kind.limited,
    };
    let mut cache = started();
    for _ in 0..kind.calls {
        let audience = match kind.audiences {
            _ if kind.secrets > 0 => format!("{}.example", process.id % kind.secrets),
            // Each call has its own key.
            [] => format!("{}.example", scheduler.below(u64::MAX)),
            some => some[scheduler.below(some.len() as u64) as usize].to_owned(),
        };
        let mut request = TokenRequest {
            audience: audience.clone(),
            ..request()
        };
        if kind.secrets > 0 {
            request.client_secret = Secret::new(format!("secret of {audience}"));
        }
        let handle = cache.handle(request, &config).unwrap();
        process.cancel.reset();
        *process.deadline.lock().unwrap() = scheduler.now() + kind.timeout;
        // The deadline of the simulation cancels the call.
        let options = CallOptions::new().cancel(process.cancel.clone());
        let call = CallContext::start(&options, Duration::from_secs(24 * 3_600));
        let result = handle.token(&endpoint, &call);
        *process.deadline.lock().unwrap() = Duration::MAX;
        scheduler.print(format_args!(
            "process {} has {:?} for {audience}",
            process.id,
            result.map(|token| token.expose().to_owned())
        ));
        process.wait(scheduler.between(0, 3_000));
        if scheduler.chance(30) {
            cache = started();
        }
    }
}

/// Returns the first violation of an invariant in a history.
fn violation(kind: &Kind, received: &[Received]) -> Option<String> {
    let mut received = received.to_vec();
    received.sort_by_key(|request| request.at);
    let tolerance = match kind.stops {
        0 => ROUNDING,
        _ => MAX_SEND_DELAY,
    };
    for (index, later) in received.iter().enumerate() {
        for earlier in &received[..index] {
            if !kind.is_shared_by_hosts && earlier.host != later.host {
                continue;
            }
            let apart = later.at - earlier.at;
            // A call waits for the request of another process for two thirds of its time, so the
            // longest response comes too late for a short one.
            let is_same = earlier.audience == later.audience && later.remaining > SHORT_TIME;
            let after = |at: Duration| later.at.checked_sub(at);
            let broken = match earlier.response {
                _ if apart + tolerance < INTERVAL => Some("two requests within 1.1 s"),
                None if is_same => Some("two requests for one key in flight"),
                Some((at, _)) if is_same && later.at < at => {
                    Some("two requests for one key in flight")
                }
                Some((at, Ok(()))) if is_same && after(at).is_some() => {
                    Some("a request in spite of a valid token")
                }
                Some((at, Err(TokenErrorKind::InvalidClient)))
                    if is_same && after(at).is_some_and(|after| after < WINDOW) =>
                {
                    Some("a request in spite of a rejection")
                }
                Some((at, Err(TokenErrorKind::RateLimited { .. })))
                    if after(at).is_some_and(|after| (TIME_TO_STORE..BLOCK).contains(&after)) =>
                {
                    Some("a request in spite of a block")
                }
                _ => None,
            };
            if let Some(broken) = broken {
                return Some(format!(
                    "{broken}, of process {}: {later:?}, after process {}: {earlier:?}",
                    later.process, earlier.process
                ));
            }
        }
    }
    None
}

/// Runs histories of a kind, and checks each.
fn check(kind: &Kind) {
    limit_this_process();
    let number = |name| {
        let value = std::env::var(name).ok();
        value.map(|number| number.parse::<u64>().expect("a number"))
    };
    let only = number("CAMUNDA_TEST_SEED");
    let seeds = match (only, number("CAMUNDA_TEST_HISTORIES")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(count)) => 1..count + 1,
        (None, None) if kind.stops > 0 => 1..STOP_HISTORIES + 1,
        (None, None) if kind.limited > 0 => 1..LONG_HISTORIES + 1,
        (None, None) => 1..HISTORIES + 1,
    };
    let more_seeds = match only {
        Some(_) => &[],
        None => kind.more_seeds,
    };
    let mut requests = 0;
    let mut broken = Vec::new();
    for seed in seeds.chain(more_seeds.iter().copied()) {
        let received = run(kind, seed, only.is_some());
        requests += received.len();
        if let Some(violation) = violation(kind, &received) {
            broken.push(format!("CAMUNDA_TEST_SEED={seed}: {violation}"));
        }
    }
    let count = broken.len();
    assert!(
        broken.is_empty(),
        "{}, {count} histories:\n{}",
        kind.name,
        broken[..count.min(5)].join("\n")
    );
    assert!(requests > 0);
}

#[test]
fn invariants_hold_with_a_server() {
    check(&PLAIN);
}

#[test]
fn invariants_hold_with_a_slow_server() {
    check(&Kind {
        name: "slow server",
        server_latency: (50, 245),
        ..PLAIN
    });
}

#[test]
fn invariants_hold_on_each_host_while_its_processes_see_the_server_differently() {
    check(&Kind {
        name: "server faults",
        server_faults: &SERVER_FAULTS,
        server_latency: (0, 100),
        restarts: true,
        is_shared_by_hosts: false,
        ..PLAIN
    });
}

#[test]
fn invariants_hold_with_a_server_while_files_fail() {
    check(&Kind {
        name: "file faults",
        file_faults: &[Fault::Full, Fault::ReadOnly, Fault::Unreadable],
        ..PLAIN
    });
}

#[test]
fn invariants_hold_while_processes_are_stopped() {
    check(&Kind {
        name: "stops",
        stops: 20,
        ..PLAIN
    });
}

#[test]
fn invariants_hold_on_each_host_while_processes_are_stopped_and_the_server_fails() {
    check(&Kind {
        name: "stops and server faults",
        stops: 10,
        server_faults: &SERVER_FAULTS,
        restarts: true,
        is_shared_by_hosts: false,
        ..PLAIN
    });
}

#[test]
fn invariants_hold_with_files_only() {
    for stops in [0, 20] {
        check(&Kind {
            name: "files only",
            hosts: 1,
            processes_per_host: 5,
            has_server: false,
            stops,
            ..PLAIN
        });
    }
}

#[test]
fn rate_limit_holds_with_files_on_a_full_disk() {
    check(&Kind {
        name: "full disk",
        hosts: 1,
        processes_per_host: 5,
        has_server: false,
        file_faults: &[Fault::Full],
        audiences: &[],
        ..PLAIN
    });
}

#[test]
fn invariants_hold_with_a_server_and_no_files() {
    for stops in [0, 20] {
        check(&Kind {
            name: "server only",
            has_files: false,
            server_latency: (0, 200),
            stops,
            ..PLAIN
        });
    }
}

#[test]
fn delayed_rejections_after_a_block_are_shared() {
    check(&Kind {
        name: "delayed rejections",
        audiences: &[REJECTED],
        response_latency: (1_000, 30_000),
        limited: 30,
        server_faults: &SERVER_FAULTS,
        is_shared_by_hosts: false,
        more_seeds: &[51],
        timeout: Duration::from_secs(900),
        ..PLAIN
    });
}

#[test]
fn rejections_are_shared_by_processes_that_see_the_server_differently() {
    check(&Kind {
        name: "rejections",
        audiences: &[REJECTED, "one.example"],
        server_faults: &SERVER_FAULTS,
        is_shared_by_hosts: false,
        ..PLAIN
    });
}

#[test]
fn blocks_after_a_429_are_shared_by_processes_that_see_the_server_differently() {
    check(&Kind {
        name: "blocks",
        limited: 30,
        server_faults: &SERVER_FAULTS,
        server_latency: (0, 100),
        is_shared_by_hosts: false,
        more_seeds: &[9],
        timeout: Duration::from_secs(300),
        ..PLAIN
    });
}

#[test]
fn blocks_after_a_429_are_shared_with_a_slow_server() {
    check(&Kind {
        name: "blocks, slow server",
        limited: 30,
        server_latency: (20, 200),
        timeout: Duration::from_secs(600),
        ..PLAIN
    });
}

#[test]
fn rate_limit_holds_for_many_secrets() {
    for (server_latency, timeout) in [((5, 50), 60), ((0, 5), 3)] {
        check(&Kind {
            name: "many secrets",
            hosts: 20,
            processes_per_host: 1,
            secrets: 20,
            server_latency,
            timeout: Duration::from_secs(timeout),
            calls: 1,
            ..PLAIN
        });
    }
}

#[test]
fn calls_of_35_secrets_succeed_within_the_default_timeout() {
    assert_eq!(succeeded_calls_of_secrets(35, LONG_HISTORIES), 35);
}

#[test]
fn calls_of_60_secrets_keep_the_rate_limit_at_the_end_of_the_default_timeout() {
    let succeeded = succeeded_calls_of_secrets(60, 2);
    assert!((40..60).contains(&succeeded), "{succeeded}");
}

/// Runs histories of so many hosts with a secret each, whose calls begin within four seconds, and checks
/// them. Returns the least number of calls that succeeded.
fn succeeded_calls_of_secrets(secrets: usize, histories: u64) -> usize {
    limit_this_process();
    let kind = Kind {
        name: "many secrets",
        hosts: secrets,
        processes_per_host: 1,
        secrets,
        response_latency: (200, 400),
        calls: 1,
        ..PLAIN
    };
    let succeeded = (1..=histories).map(|seed| {
        let received = run(&kind, seed, false);
        assert_eq!(violation(&kind, &received), None, "{seed}");
        let responses = received
            .iter()
            .filter_map(|request| request.response.as_ref());
        responses.filter(|(_, response)| response.is_ok()).count()
    });
    succeeded.min().unwrap_or_default()
}

#[test]
fn rate_limit_holds_for_many_keys_with_a_slow_server() {
    check(&Kind {
        name: "many keys, slow server",
        hosts: 20,
        processes_per_host: 1,
        audiences: &[],
        server_latency: (20, 200),
        calls: 1,
        ..PLAIN
    });
}

#[test]
fn tenant_who_writes_rate_limit_records_all_the_time_delays_requests_only() {
    limit_this_process();
    for (timeout, expected) in [(60, 0), (150, 1), (600, 1)] {
        let kind = Kind {
            name: "tenant",
            hosts: 1,
            processes_per_host: 1,
            has_tenant: true,
            timeout: Duration::from_secs(timeout),
            calls: 1,
            ..PLAIN
        };
        for seed in 1..=LONG_HISTORIES {
            let received = run(&kind, seed, false);
            let responses = received.iter().filter_map(|request| request.response);
            let succeeded = responses.filter(|(_, response)| response.is_ok());
            let succeeded = succeeded.count();
            assert_eq!(succeeded, expected, "{timeout} {seed}: {received:?}");
            assert_eq!(received.len(), expected, "{timeout} {seed}: {received:?}");
            let is_late = |request: &Received| request.at > Duration::from_secs(65);
            assert!(received.iter().all(is_late), "{received:?}");
        }
    }
}

#[test]
fn processes_of_one_secret_send_one_request_while_a_tenant_delays_it() {
    limit_this_process();
    let kind = Kind {
        name: "tenant, two processes",
        hosts: 2,
        processes_per_host: 1,
        has_tenant: true,
        secrets: 1,
        // The endpoint holds back rejections that long.
        response_latency: (20_000, 30_000),
        timeout: Duration::from_secs(300),
        calls: 1,
        ..PLAIN
    };
    for seed in 1..=HISTORIES {
        let received = run(&kind, seed, false);
        assert_eq!(received.len(), 1, "{seed}: {received:?}");
    }
}
