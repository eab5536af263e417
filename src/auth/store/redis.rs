//! Tokens in Redis or Valkey: shared by all machines behind one address.
//!
//! No operation takes longer than [`OPERATION_TIMEOUT`] in all: whatever it consists of, connecting included,
//! shares one [`Budget`]. Only an answer that comes in pieces may take as long again, as what is left
//! when it begins is the limit of every single piece.
//!
//! Values expire with what is in them. A lock is a key with a lease and a name of its own for its
//! owner, and is removed only by that owner, with a script. No caller waits for that: the next command
//! on the connection reads the response. If the owner is killed, its lease has to expire, unless the
//! next caller that needs the lock detects that the owner was a process of the same machine that has
//! terminated.
//!
//! A command to take a lock whose response is late or lost may have taken it. So it is followed by
//! the command that releases it, on the same connection and on a new one; and a lock of this store
//! that none of its callers holds is taken over.

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
use ring::rand::{SecureRandom, SystemRandom};

use super::{REMOTE_STORE_TIMEOUT, StoreLock, TokenStore};
use crate::auth::time::millis;
use crate::fork::{Mutex, MutexGuard};
use crate::secret::Secret;

/// The longest that any operation takes: what callers reckon with.
const OPERATION_TIMEOUT: Duration = REMOTE_STORE_TIMEOUT;

/// The longest that leaving a command with the system takes, which is no time at all unless it still
/// has so many others that it takes no more.
const POSTING: Duration = Duration::from_millis(1);

/// More threads than these do not connect at once: they are stuck.
const MOST_CONNECTING: usize = 32;

/// More releases than these do not wait for a connection: the server cannot be reached.
const MOST_RELEASES: usize = 64;

/// Where the kernel tells of processes.
const PROC: &str = "/proc";

/// Begins all names, since a Redis is often shared.
const PREFIX: &str = "camunda-admin:";

/// Removes a lock if it is still that of the owner.
const UNLOCK: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// Takes a lock over from the owner who was seen to be dead, if it is still that owner's.
const TAKE_OVER: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then \
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1 end return 0";

/// A Redis or Valkey server.
#[derive(Clone)]
pub(crate) struct RedisStore(Arc<Inner>);

struct Inner {
    client: Client,
    /// Where the server is, without user and password.
    address: String,
    idle: Mutex<Idle>,
    /// Threads that are busy looking the server's name up and connecting.
    connecting: AtomicUsize,
    /// Begins the owner of every lock that this store takes.
    owner: String,
    locks: AtomicU64,
    /// The owners whose locks are cached, or being taken.
    cached: Mutex<BTreeSet<String>>,
    /// Whether the server let this user run a script. Checked again after a release failed.
    runs_scripts: AtomicBool,
}

/// What nobody works at at the moment.
#[derive(Default)]
struct Idle {
    link: Option<TimedConnection>,
    /// Packed commands that release locks, for the next connection that is free.
    releases: Vec<Vec<u8>>,
}

impl RedisStore {
    /// Nothing is sent yet.
    pub(crate) fn new(url: &Secret) -> Result<Self, String> {
        // The error's own words could quote the password.
        let client = Client::open(url.expose()).map_err(
            |_| "is not a valid Redis or Valkey URL, such as redis://:password@host:6379/0",
        )?;
        let address = client.get_connection_info().addr();
        if matches!(address, ConnectionAddr::TcpTls { .. }) {
            // Redis's client takes the process's default, of which there is none if a program
            // around us has several. If one is set already, it stays.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        Ok(RedisStore(Arc::new(Inner {
            address: address.to_string(),
            client,
            idle: Mutex::default(),
            connecting: AtomicUsize::new(0),
            // A second store of the same process is another owner.
            owner: format!("{}{:016x}-", process_identity(), random()),
            locks: AtomicU64::new(0),
            cached: Mutex::default(),
            runs_scripts: AtomicBool::new(false),
        })))
    }

    fn query<T: FromRedisValue>(&self, command: &Cmd, budget: Budget) -> io::Result<T> {
        self.ask_or_undo(command, budget, None)
    }

    /// The same, followed by `undo` on the same connection if there is no response.
    fn ask_or_undo<T: FromRedisValue>(
        &self,
        command: &Cmd,
        budget: Budget,
        undo: Option<&[u8]>,
    ) -> io::Result<T> {
        let inner = &*self.0;
        let failed = |mut link: TimedConnection, error: RedisError| {
            if let Some(undo) = undo {
                // If it does not get through either, the server has closed the connection.
                let _ = link.post(undo);
            }
            Err(to_io_error(error))
        };
        let idle = inner.idle().link.take();
        if let Some(mut link) = idle {
            match link.query(inner, command, budget) {
                Ok(answer) => return Ok(inner.keep(link, answer)),
                // The server may have closed it since. The command may have got through all the
                // same, so only those may be sent that can be sent twice.
                Err(error) if error.is_connection_dropped() => {}
                Err(error) if error.is_unrecoverable_error() || error.is_io_error() => {
                    return failed(link, error);
                }
                Err(error) => return inner.keep(link, Err(to_io_error(error))),
            }
        }
        let mut link = self.connect(budget)?;
        match link.query(inner, command, budget) {
            Ok(answer) => Ok(inner.keep(link, answer)),
            Err(error) if error.is_unrecoverable_error() || error.is_io_error() => {
                failed(link, error)
            }
            Err(error) => inner.keep(link, Err(to_io_error(error))),
        }
    }

    /// Makes sure that this user may run scripts, without which no lock could be released.
    fn check_scripts(&self, key: &str, budget: Budget) -> io::Result<()> {
        if self.0.runs_scripts.load(Ordering::Relaxed) {
            return Ok(());
        }
        // No owner has this name, so nothing is released.
        let command = &mut cmd("EVAL");
        let command = command.arg(UNLOCK).arg(1).arg(key).arg("");
        self.query::<i64>(command, budget).map_err(|error| {
            let what = format!("locks need the command EVAL: {error}");
            io::Error::new(error.kind(), what)
        })?;
        self.0.runs_scripts.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Takes the lock of a name for an owner.
    fn take(&self, key: &str, owner: &str, lease: Duration) -> io::Result<bool> {
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
            .ask_or_undo(&set, budget, Some(&unlock))
            .map_err(undone)?;
        if taken.is_some() {
            return Ok(true);
        }
        let other: Option<String> = self.query(cmd("GET").arg(key), budget).map_err(undone)?;
        let Some(other) = other else { return Ok(false) };
        // The command was sent twice, and got through the first time.
        if other == owner {
            return Ok(true);
        }
        if !self.is_orphan(&other) && !is_dead(&other) {
            return Ok(false);
        }
        let command = &mut cmd("EVAL");
        command
            .arg(TAKE_OVER)
            .arg(1)
            .arg(key)
            .arg(&other)
            .arg(owner)
            .arg(time_to_live(lease));
        let taken: i64 = self
            .ask_or_undo(command, budget, Some(&unlock))
            .map_err(undone)?;
        if taken == 1 {
            return Ok(true);
        }
        let now: Option<String> = self.query(cmd("GET").arg(key), budget).map_err(undone)?;
        Ok(now.as_deref() == Some(owner))
    }

    /// Whether this store took a lock that none of its callers holds.
    fn is_orphan(&self, owner: &str) -> bool {
        owner.starts_with(&self.0.owner) && !self.0.held_locks().contains(owner)
    }

    /// Releases a lock that may have been taken, on a new connection: the one that was used may be
    /// unusable.
    fn undo(&self, unlock: &[u8]) {
        {
            let mut idle = self.0.idle();
            // Those before have been useless since their leases ended.
            let surplus = (idle.releases.len() + 1).saturating_sub(MOST_RELEASES);
            idle.releases.drain(..surplus);
            idle.releases.push(unlock.to_vec());
        }
        // Not waited for. If there is no connection now, the next caller's releases it.
        let _ = self.start_connecting(mpsc::channel().0);
    }

    /// Looking a name up knows no limit in time, and each step of a handshake has its own: so
    /// another thread does it, which whoever is in a hurry leaves behind.
    fn connect(&self, budget: Budget) -> io::Result<TimedConnection> {
        let (sender, connected) = mpsc::channel();
        self.start_connecting(sender)?;
        let connection = connected
            .recv_timeout(budget.left()?)
            .map_err(|_| late("connecting takes too long"))?;
        Ok(TimedConnection::new(connection.map_err(not_connected)?))
    }

    /// Connects on another thread. A connection that is not received is kept.
    fn start_connecting(&self, sender: mpsc::Sender<RedisResult<Connection>>) -> io::Result<()> {
        let done = |inner: &Inner| inner.connecting.fetch_sub(1, Ordering::SeqCst);
        if self.0.connecting.fetch_add(1, Ordering::SeqCst) >= MOST_CONNECTING {
            done(&self.0);
            return Err(late("still connecting"));
        }
        let inner = Arc::clone(&self.0);
        let spawned = thread::Builder::new()
            .name("camunda-redis".into())
            .spawn(move || {
                let connection = inner.client.get_connection_with_timeout(OPERATION_TIMEOUT);
                done(&inner);
                // If it took too long, the next one can use it.
                if let Err(mpsc::SendError(Ok(connection))) = sender.send(connection) {
                    inner.keep(TimedConnection::new(connection), ());
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
    /// Keeps a connection on which everything asked was answered, once the locks are released that
    /// waited for one.
    fn keep<T>(&self, mut link: TimedConnection, answer: T) -> T {
        loop {
            let releases = {
                let mut idle = self.idle();
                if idle.releases.is_empty() {
                    idle.link = Some(link);
                    return answer;
                }
                mem::take(&mut idle.releases)
            };
            for release in releases {
                if link.post(&release).is_err() {
                    return answer;
                }
            }
        }
    }

    /// Releases a lock without waiting: now if there is a connection that nobody uses, otherwise
    /// with the next one that is free.
    fn release(&self, command: &Cmd) {
        let link = {
            let mut idle = self.idle();
            idle.releases.push(command.get_packed_command());
            idle.link.take()
        };
        if let Some(link) = link {
            self.keep(link, ());
        }
    }

    fn held_locks(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.cached.lock()
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock()
    }
}

/// The time that one operation may take.
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

    fn left(self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        // A socket takes zero for "no limit".
        match left.is_zero() {
            true => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
            false => Ok(left),
        }
    }
}

/// A connection, and how many answers are still to come on it that nobody waits for.
struct TimedConnection {
    connection: Connection,
    owed: usize,
}

impl TimedConnection {
    fn new(connection: Connection) -> Self {
        TimedConnection {
            connection,
            owed: 0,
        }
    }

    fn query<T: FromRedisValue>(
        &mut self,
        inner: &Inner,
        command: &Cmd,
        budget: Budget,
    ) -> RedisResult<T> {
        while self.owed > 0 {
            let released = self.answer(budget)?.extract_error();
            self.owed -= 1;
            if let Err(error) = released {
                log::debug!("lock not released: store=Redis error={error}");
                // The next lock is not taken before it is certain that it can be released.
                inner.runs_scripts.store(false, Ordering::Relaxed);
            }
        }
        self.send(&command.get_packed_command(), budget.left()?)?;
        Ok(from_redis_value(self.answer(budget)?.extract_error()?)?)
    }

    /// Sends a command without waiting for what comes of it.
    fn post(&mut self, command: &[u8]) -> RedisResult<()> {
        self.send(command, POSTING)?;
        self.owed += 1;
        Ok(())
    }

    fn send(&mut self, command: &[u8], limits: Duration) -> RedisResult<()> {
        self.connection.set_write_timeout(Some(limits))?;
        self.connection.send_packed_command(command)
    }

    fn answer(&mut self, budget: Budget) -> RedisResult<Value> {
        self.connection.set_read_timeout(Some(budget.left()?))?;
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
        let taken = self.take(&key, &owner, lease);
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

/// A lock, removed soon after its drop if it is still ours.
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

/// Removes a lock if it is still that of the owner.
fn unlock(key: &str, owner: &str) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(UNLOCK).arg(1).arg(key).arg(owner);
    command
}

fn value_key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn lock_key(name: &str) -> String {
    format!("{PREFIX}{name}:lock")
}

/// A time to live as Redis takes it: not zero, and signed.
fn time_to_live(duration: Duration) -> u64 {
    millis(duration).clamp(1, i64::MAX as u64)
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    // The process and its counter tell owners apart as well.
    let _ = SystemRandom::new().fill(&mut bytes);
    u64::from_le_bytes(bytes)
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

/// An error while connecting, the rejection of user and password included: nothing can be done
/// without a connection.
fn not_connected(error: RedisError) -> io::Error {
    let kind = match error.is_timeout() {
        true => io::ErrorKind::TimedOut,
        false => io::ErrorKind::NotConnected,
    };
    io::Error::new(kind, error.to_string())
}

/// Names this process among all of a fleet, with enough for another process of the same machine to
/// see whether it is still there: `machine/process/started/`. Empty in its first part where that
/// cannot be to_io_error.
fn process_identity() -> String {
    let pid = std::process::id();
    let machine = machine().unwrap_or_default();
    format!("{machine}/{pid}/{}/", started(pid).unwrap_or_default())
}

/// The machine since it was started, and the name space in which its process ids count.
fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), space.to_str()?))
}

/// When a process was started, in the kernel's own measure; `None` if that cannot be read.
fn started(pid: u32) -> Option<u64> {
    Stat::read(Path::new(PROC), pid)?.started
}

/// What the kernel says of a process.
struct Stat {
    /// A zombie holds nothing any more.
    ended: bool,
    started: Option<u64>,
}

impl Stat {
    fn read(proc: &Path, pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
        // The name, in parentheses, may have anything in it.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        Some(Stat {
            ended: matches!(state, "Z" | "X"),
            started: fields.nth(18).and_then(|field| field.parse().ok()),
        })
    }
}

/// Whether the owner of a lock is a process of this machine that is gone.
fn is_dead(owner: &str) -> bool {
    is_dead_by(Path::new(PROC), owner)
}

fn is_dead_by(proc: &Path, owner: &str) -> bool {
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
        // Processes of other users may be hidden.
        None => is_nobody(pid),
    }
}

/// Whether no process has this number.
#[cfg(unix)]
fn is_nobody(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn is_nobody(_pid: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::limited::{Limited, PROGRAM_LIMIT};

    #[test]
    fn a_process_that_lives_is_not_dead() {
        assert!(!is_dead(&process_identity()));
        for garbage in ["", "x", "/1/2/", "///", "a/b/c"] {
            assert!(!is_dead(garbage), "{garbage}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_ended_is_dead_even_if_its_number_is_used_again() {
        let machine = machine().unwrap();
        let pid = std::process::id();
        let since = started(pid).unwrap();
        assert!(!is_dead(&format!("{machine}/{pid}/{since}/1")));
        assert!(is_dead(&format!("{machine}/{pid}/{}/1", since - 1)));
        assert!(!is_dead(&format!("other {machine}/{pid}/{}/1", since - 1)));
        let child = Limited::start(Command::new("true"), PROGRAM_LIMIT);
        let child_pid = child.id();
        let child_since = started(child_pid).unwrap_or_default();
        child.wait().unwrap();
        assert!(is_dead(&format!("{machine}/{child_pid}/{child_since}/1")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_is_hidden_is_not_dead() {
        let nothing = tempfile::tempdir().unwrap();
        let owner = process_identity();
        assert!(!is_dead_by(nothing.path(), &owner));
        let child = Limited::start(Command::new("true"), PROGRAM_LIMIT);
        let number = format!("/{}/", std::process::id());
        let owner = owner.replace(&number, &format!("/{}/", child.id()));
        child.wait().unwrap();
        assert!(is_dead_by(nothing.path(), &owner));
    }

    #[test]
    fn an_address_is_described_without_its_password() {
        let store = RedisStore::new(&Secret::from("redis://me:hunter2@redis.example:7000/3"));
        assert_eq!(store.unwrap().describe(), "Redis at redis.example:7000");
        let error = RedisStore::new(&Secret::from("http://me:hunter2@redis.example")).err();
        assert!(!error.unwrap().contains("hunter2"));
    }
}
