//! Token store in Redis or Valkey: shared by all hosts behind one source IP address.
//!
//! No operation takes longer than [`OPERATION_TIMEOUT`] in total: all its steps, connecting
//! included, share one [`Budget`]. Only a response that arrives in pieces may take twice as long,
//! as the budget left when it begins is the limit of each piece.
//!
//! Values expire with their content. A lock is a key with a lease and a unique name of its owner,
//! and is removed only by that owner, with a script. No caller waits for that: the next command on
//! the connection reads the response. If the owner is killed, its lease has to expire, unless the
//! next caller that needs the lock detects that the owner was a process of the same host that has
//! terminated.
//!
//! A command to take a lock whose response is late or lost may have taken it. So it is followed by
//! the command that releases it, on the same connection and on a new one; and a lock of this store
//! that none of its callers holds is taken from its former owner.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::mem;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use redis::{
    Client, Cmd, Connection, ConnectionAddr, FromRedisValue, RedisError, RedisResult, Value, cmd,
    from_redis_value,
};

use super::REMOTE_STORE_TIMEOUT;
use crate::auth::time::millis;
use crate::auth::{StoreLock, TokenStore};
use crate::fork::{Mutex, MutexGuard};
use crate::random;
use crate::secret::Secret;

/// Maximum duration of any operation.
const OPERATION_TIMEOUT: Duration = REMOTE_STORE_TIMEOUT;

/// Maximum time to pass a command to the system, which is immediate unless its send buffer is full.
const SEND_TIMEOUT: Duration = Duration::from_millis(1);

/// Maximum number of threads that connect at the same time: with more, connecting is stuck.
const MAX_CONNECTING_THREADS: usize = 32;

/// Maximum number of queued releases: with more, the server cannot be reached.
const MAX_QUEUED_RELEASES: usize = 64;

/// The kernel's process information.
const PROC: &str = "/proc";

/// Prefix of all keys, since a Redis is often shared.
const PREFIX: &str = "camunda-admin:";

/// Deletes a lock if the owner still holds it.
const UNLOCK_SCRIPT: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// Takes a lock from an owner that has terminated, if that owner still holds it.
const STEAL_LOCK_SCRIPT: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then \
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1 end return 0";

/// A token store on a Redis or Valkey server.
#[derive(Clone)]
pub(crate) struct RedisStore(Arc<Inner>);

struct Inner {
    client: Client,
    /// Address of the server, without user and password.
    address: String,
    idle: Mutex<IdleState>,
    /// Number of threads that resolve the host name and connect.
    connecting: AtomicUsize,
    /// Prefix of the owners of all locks that this store takes.
    owner: String,
    locks: AtomicU64,
    /// Owners whose locks are held or being taken.
    held_locks: Mutex<BTreeSet<String>>,
    /// Whether the server allowed this user to run a script. Checked again after a release failed.
    runs_scripts: AtomicBool,
}

/// The idle connection and queued releases.
#[derive(Default)]
struct IdleState {
    connection: Option<TimedConnection>,
    /// Packed commands that release locks, for the next idle connection.
    releases: Vec<Vec<u8>>,
}

impl RedisStore {
    /// Creates a store. Sends nothing yet.
    pub(crate) fn new(url: &Secret) -> Result<Self, String> {
        // The error's message could contain the password.
        let client = Client::open(url.expose()).map_err(
            |_| "is not a valid Redis or Valkey URL, such as redis://:password@host:6379/0",
        )?;
        let address = client.get_connection_info().addr();
        if matches!(address, ConnectionAddr::TcpTls { .. }) {
            // The Redis client uses the process's default provider, which is not set if the program
            // links several. One that is set already stays.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Ok(RedisStore(Arc::new(Inner {
            address: address.to_string(),
            client,
            idle: Mutex::default(),
            connecting: AtomicUsize::new(0),
            // A second store of the same process is a different owner. Without random numbers, the
            // process id and the counter distinguish owners as well.
            owner: format!(
                "{}{:016x}-",
                process_identity(),
                random::number().unwrap_or_default()
            ),
            locks: AtomicU64::new(0),
            held_locks: Mutex::default(),
            runs_scripts: AtomicBool::new(false),
        })))
    }

    fn query<T: FromRedisValue>(&self, command: &Cmd, budget: Budget) -> io::Result<T> {
        self.query_or_undo(command, budget, None)
    }

    /// As [`query`](Self::query), followed by `undo` on the same connection if there is no
    /// response.
    fn query_or_undo<T: FromRedisValue>(
        &self,
        command: &Cmd,
        budget: Budget,
        undo: Option<&[u8]>,
    ) -> io::Result<T> {
        let inner = &*self.0;
        let failed = |mut connection: TimedConnection, error: RedisError| {
            if let Some(undo) = undo {
                // If it fails too, the server has closed the connection.
                let _ = connection.send_async(undo);
            }
            Err(to_io_error(error))
        };
        let idle = inner.idle().connection.take();
        if let Some(mut connection) = idle {
            match connection.query(inner, command, budget) {
                Ok(response) => return Ok(inner.make_idle(connection, response)),
                // The server may have closed it while it was idle. The command may have been
                // executed all the same, so all commands of this store are idempotent.
                Err(error) if error.is_connection_dropped() => {}
                Err(error) if error.is_unrecoverable_error() || error.is_io_error() => {
                    return failed(connection, error);
                }
                Err(error) => return inner.make_idle(connection, Err(to_io_error(error))),
            }
        }
        let mut connection = self.connect(budget)?;
        match connection.query(inner, command, budget) {
            Ok(response) => Ok(inner.make_idle(connection, response)),
            Err(error) if error.is_unrecoverable_error() || error.is_io_error() => {
                failed(connection, error)
            }
            Err(error) => inner.make_idle(connection, Err(to_io_error(error))),
        }
    }

    /// Checks that this user may run scripts, without which no lock could be released.
    fn check_scripts(&self, key: &str, budget: Budget) -> io::Result<()> {
        if self.0.runs_scripts.load(Ordering::Relaxed) {
            return Ok(());
        }
        // No owner has an empty name, so this deletes nothing.
        let command = &mut cmd("EVAL");
        let command = command.arg(UNLOCK_SCRIPT).arg(1).arg(key).arg("");
        self.query::<i64>(command, budget).map_err(|error| {
            let what = format!("locks need the command EVAL: {error}");
            io::Error::new(error.kind(), what)
        })?;
        self.0.runs_scripts.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Tries to take the lock of a key for an owner. Returns whether it is held.
    fn acquire(&self, key: &str, owner: &str, lease: Duration) -> io::Result<bool> {
        let budget = Budget::new();
        self.check_scripts(key, budget)?;
        let unlock = unlock(key, owner).get_packed_command();
        let mut set = cmd("SET");
        set.arg(key).arg(owner).arg("NX");
        set.arg("PX").arg(time_to_live(lease));
        let undone = |error| {
            self.undo(&unlock);
            error
        };
        let taken: Option<String> = self
            .query_or_undo(&set, budget, Some(&unlock))
            .map_err(undone)?;
        if taken.is_some() {
            return Ok(true);
        }
        let other: Option<String> = self.query(cmd("GET").arg(key), budget).map_err(undone)?;
        let Some(other) = other else { return Ok(false) };
        // The command was sent twice and executed the first time.
        if other == owner {
            return Ok(true);
        }
        if !self.is_orphan(&other) && !is_terminated(&other) {
            return Ok(false);
        }
        let command = &mut cmd("EVAL");
        command
            .arg(STEAL_LOCK_SCRIPT)
            .arg(1)
            .arg(key)
            .arg(&other)
            .arg(owner)
            .arg(time_to_live(lease));
        let taken: i64 = self
            .query_or_undo(command, budget, Some(&unlock))
            .map_err(undone)?;
        if taken == 1 {
            return Ok(true);
        }
        let now: Option<String> = self.query(cmd("GET").arg(key), budget).map_err(undone)?;
        Ok(now.as_deref() == Some(owner))
    }

    /// Returns whether an owner is of this store but none of its callers.
    fn is_orphan(&self, owner: &str) -> bool {
        owner.starts_with(&self.0.owner) && !self.0.held_locks().contains(owner)
    }

    /// Releases a lock that may have been taken, on a new connection: the current one may be
    /// unusable.
    fn undo(&self, unlock: &[u8]) {
        {
            let mut idle = self.0.idle();
            // The oldest ones are no longer needed, as their leases have expired.
            let surplus = (idle.releases.len() + 1).saturating_sub(MAX_QUEUED_RELEASES);
            idle.releases.drain(..surplus);
            idle.releases.push(unlock.to_vec());
        }
        // Does not wait. Without a connection now, the next caller's connection releases it.
        let _ = self.start_connecting(mpsc::channel().0);
    }

    /// Connects within the budget, on another thread that is abandoned on timeout: DNS resolution
    /// has no timeout, and each step of a handshake has its own.
    fn connect(&self, budget: Budget) -> io::Result<TimedConnection> {
        let (sender, connected) = mpsc::channel();
        self.start_connecting(sender)?;
        let connection = connected
            .recv_timeout(budget.remaining()?)
            .map_err(|_| late("connecting takes too long"))?;
        Ok(TimedConnection::new(connection.map_err(not_connected)?))
    }

    /// Connects on another thread. A connection that is not received becomes the idle one.
    fn start_connecting(&self, sender: mpsc::Sender<RedisResult<Connection>>) -> io::Result<()> {
        let done = |inner: &Inner| inner.connecting.fetch_sub(1, Ordering::SeqCst);
        if self.0.connecting.fetch_add(1, Ordering::SeqCst) >= MAX_CONNECTING_THREADS {
            done(&self.0);
            return Err(late("still connecting"));
        }
        let inner = Arc::clone(&self.0);
        let spawned = thread::Builder::new()
            .name("camunda-redis".into())
            .spawn(move || {
                let connection = inner.client.get_connection_with_timeout(OPERATION_TIMEOUT);
                done(&inner);
                // If it took too long, the next caller can use it.
                if let Err(mpsc::SendError(Ok(connection))) = sender.send(connection) {
                    inner.make_idle(TimedConnection::new(connection), ());
                }
            });
        if let Err(error) = spawned {
            done(&self.0);
            return Err(error);
        }
        Ok(())
    }
}

fn late(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

impl Inner {
    /// Makes a connection idle, after sending the queued releases on it. Returns `response`.
    fn make_idle<T>(&self, mut connection: TimedConnection, response: T) -> T {
        loop {
            let releases = {
                let mut idle = self.idle();
                if idle.releases.is_empty() {
                    idle.connection = Some(connection);
                    return response;
                }
                mem::take(&mut idle.releases)
            };
            for release in releases {
                if connection.send_async(&release).is_err() {
                    return response;
                }
            }
        }
    }

    /// Releases a lock without waiting: now if a connection is idle, otherwise on the next idle
    /// one.
    fn release(&self, command: &Cmd) {
        let connection = {
            let mut idle = self.idle();
            idle.releases.push(command.get_packed_command());
            idle.connection.take()
        };
        if let Some(connection) = connection {
            self.make_idle(connection, ());
        }
    }

    fn held_locks(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.held_locks.lock()
    }

    fn idle(&self) -> MutexGuard<'_, IdleState> {
        self.idle.lock()
    }
}

/// Deadline of one operation.
#[derive(Clone, Copy)]
struct Budget {
    until: Instant,
}

impl Budget {
    fn new() -> Self {
        Budget {
            until: Instant::now() + OPERATION_TIMEOUT,
        }
    }

    fn remaining(self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        // For a socket, zero means no timeout.
        match left.is_zero() {
            true => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "no response in time",
            )),
            false => Ok(left),
        }
    }
}

/// A connection, and the number of pending responses that no caller waits for.
struct TimedConnection {
    connection: Connection,
    pending_responses: usize,
}

impl TimedConnection {
    fn new(connection: Connection) -> Self {
        TimedConnection {
            connection,
            pending_responses: 0,
        }
    }

    fn query<T: FromRedisValue>(
        &mut self,
        inner: &Inner,
        command: &Cmd,
        budget: Budget,
    ) -> RedisResult<T> {
        while self.pending_responses > 0 {
            let released = self.read_response(budget)?.extract_error();
            self.pending_responses -= 1;
            if let Err(error) = released {
                log::debug!("lock not released: store=Redis error={error}");
                // The next lock is not taken before it is certain that it can be released.
                inner.runs_scripts.store(false, Ordering::Relaxed);
            }
        }
        self.send(&command.get_packed_command(), budget.remaining()?)?;
        Ok(from_redis_value(
            self.read_response(budget)?.extract_error()?,
        )?)
    }

    /// Sends a command without waiting for its response.
    fn send_async(&mut self, command: &[u8]) -> RedisResult<()> {
        self.send(command, SEND_TIMEOUT)?;
        self.pending_responses += 1;
        Ok(())
    }

    fn send(&mut self, command: &[u8], timeout: Duration) -> RedisResult<()> {
        self.connection.set_write_timeout(Some(timeout))?;
        self.connection.send_packed_command(command)
    }

    fn read_response(&mut self, budget: Budget) -> RedisResult<Value> {
        self.connection
            .set_read_timeout(Some(budget.remaining()?))?;
        self.connection.recv_response()
    }
}

impl TokenStore for RedisStore {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.query(cmd("GET").arg(value_key(name)), Budget::new())
    }

    fn put(&self, name: &str, value: &[u8], ttl: Duration) -> io::Result<()> {
        self.query(
            cmd("SET")
                .arg(value_key(name))
                .arg(value)
                .arg("PX")
                .arg(time_to_live(ttl)),
            Budget::new(),
        )
    }

    fn try_lock(&self, name: &str, lease: Duration) -> io::Result<Option<StoreLock>> {
        let number = self.0.locks.fetch_add(1, Ordering::Relaxed);
        let owner = format!("{}{number:x}", self.0.owner);
        let key = lock_key(name);
        self.0.held_locks().insert(owner.clone());
        let taken = self.acquire(&key, &owner, lease);
        if !matches!(taken, Ok(true)) {
            self.0.held_locks().remove(&owner);
            return taken.map(|_| None);
        }
        Ok(Some(StoreLock::new(RedisLock {
            store: self.clone(),
            key,
            owner,
        })))
    }

    fn describe(&self) -> String {
        format!("Redis at {}", self.0.address)
    }
}

/// A lock, released soon after its drop if this owner still holds it.
struct RedisLock {
    store: RedisStore,
    key: String,
    owner: String,
}

impl Drop for RedisLock {
    fn drop(&mut self) {
        self.store.0.held_locks().remove(&self.owner);
        self.store.0.release(&unlock(&self.key, &self.owner));
    }
}

/// Returns the command that deletes a lock if the owner still holds it.
fn unlock(key: &str, owner: &str) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(UNLOCK_SCRIPT).arg(1).arg(key).arg(owner);
    command
}

fn value_key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn lock_key(name: &str) -> String {
    format!("{PREFIX}{name}:lock")
}

/// Returns a time to live in milliseconds within the range that Redis accepts: positive and signed.
fn time_to_live(duration: Duration) -> u64 {
    millis(duration).clamp(1, i64::MAX as u64)
}

fn to_io_error(error: RedisError) -> io::Error {
    let kind = match () {
        () if error.is_timeout() => io::ErrorKind::TimedOut,
        () if error.is_connection_dropped() => io::ErrorKind::ConnectionReset,
        () if error.is_io_error() => io::ErrorKind::NotConnected,
        () => io::ErrorKind::Other,
    };
    io::Error::new(kind, error.to_string())
}

/// Converts an error while connecting, including rejected credentials, to one that means that the
/// store cannot be reached.
fn not_connected(error: RedisError) -> io::Error {
    let kind = match error.is_timeout() {
        true => io::ErrorKind::TimedOut,
        false => io::ErrorKind::NotConnected,
    };
    io::Error::new(kind, error.to_string())
}

/// Returns a unique name of this process among all hosts: `machine/process/started/`, with which
/// another process of the same machine can check whether it still runs. Its first part is empty if
/// the machine is unknown.
fn process_identity() -> String {
    let pid = std::process::id();
    let machine = machine().unwrap_or_default();
    format!("{machine}/{pid}/{}/", started(pid).unwrap_or_default())
}

/// Returns the boot id of the machine and the PID namespace of this process.
fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), space.to_str()?))
}

/// Returns when a process was started, in the kernel's clock ticks; `None` if that cannot be read.
fn started(pid: u32) -> Option<u64> {
    Stat::read(Path::new(PROC), pid)?.started
}

/// State of a process, from `/proc`.
struct Stat {
    /// A zombie counts as ended.
    ended: bool,
    started: Option<u64>,
}

impl Stat {
    fn read(proc: &Path, pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
        // The name, in parentheses, may contain any character.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        Some(Stat {
            ended: matches!(state, "Z" | "X"),
            started: fields.nth(18).and_then(|field| field.parse().ok()),
        })
    }
}

/// Returns whether the owner of a lock is a process of this machine that has terminated.
fn is_terminated(owner: &str) -> bool {
    is_terminated_in(Path::new(PROC), owner)
}

fn is_terminated_in(proc: &Path, owner: &str) -> bool {
    let mut parts = owner.split('/');
    let (Some(on), Some(pid), Some(since)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    if on.is_empty() || machine().is_none_or(|machine| machine != on) {
        return false;
    }
    let (Ok(pid), Ok(since)) = (pid.parse(), since.parse::<u64>()) else {
        return false;
    };
    match Stat::read(proc, pid) {
        Some(stat) => stat.ended || stat.started.is_some_and(|started| started != since),
        // Processes of other users may be hidden in `/proc`.
        None => is_unused_pid(pid),
    }
}

/// Returns whether no process has this id.
#[cfg(unix)]
fn is_unused_pid(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn is_unused_pid(_pid: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::limited::{Limited, PROGRAM_LIMIT};

    #[test]
    fn is_terminated_is_false_for_a_running_process() {
        assert!(!is_terminated(&process_identity()));
        for garbage in ["", "x", "/1/2/", "///", "a/b/c"] {
            assert!(!is_terminated(garbage), "{garbage}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn is_terminated_detects_an_ended_process_and_a_reused_pid() {
        let machine = machine().unwrap();
        let pid = std::process::id();
        let since = started(pid).unwrap();
        assert!(!is_terminated(&format!("{machine}/{pid}/{since}/1")));
        assert!(is_terminated(&format!("{machine}/{pid}/{}/1", since - 1)));
        assert!(!is_terminated(&format!(
            "other {machine}/{pid}/{}/1",
            since - 1
        )));
        let child = Limited::start(Command::new("true"), PROGRAM_LIMIT);
        let child_pid = child.id();
        let child_since = started(child_pid).unwrap_or_default();
        child.wait().unwrap();
        assert!(is_terminated(&format!(
            "{machine}/{child_pid}/{child_since}/1"
        )));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn is_terminated_is_false_for_a_hidden_process() {
        let nothing = tempfile::tempdir().unwrap();
        let owner = process_identity();
        assert!(!is_terminated_in(nothing.path(), &owner));
        let child = Limited::start(Command::new("true"), PROGRAM_LIMIT);
        let number = format!("/{}/", std::process::id());
        let owner = owner.replace(&number, &format!("/{}/", child.id()));
        child.wait().unwrap();
        assert!(is_terminated_in(nothing.path(), &owner));
    }

    #[test]
    fn describe_and_errors_contain_no_password() {
        let store = RedisStore::new(&Secret::from("redis://me:hunter2@redis.example:7000/3"));
        assert_eq!(store.unwrap().describe(), "Redis at redis.example:7000");
        let error = RedisStore::new(&Secret::from("http://me:hunter2@redis.example")).err();
        assert!(!error.unwrap().contains("hunter2"));
    }
}
