//! Token store in Redis or Valkey: shared by all hosts behind one source IP address.
//!
//! No operation takes longer than [`OPERATION_TIMEOUT`] in total: all its steps, connecting
//! included, share one [`Budget`].
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
//!
//! Leases, expiry and the times in records are those of the server's clock.
//!
//! A command that a former primary rejects (`READONLY`) is retried on a new connection, for which
//! the host name is resolved again. A Redis Cluster is not supported: its nodes redirect commands,
//! and this store has one connection.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use redis::{Cmd, FromRedisValue, Value, cmd, from_redis_value};

use super::lock_owner::{is_terminated, process_identity};
use super::redis_connection::{Budget, Connection, Server, to_io_error};
use super::{REMOTE_STORE_TIMEOUT, ServerClock};
use crate::abandonable::{AbandonableThread, ThreadLimit};
use crate::auth::time::millis;
use crate::auth::{StoreLock, StoreTls, TokenStore};
use crate::fork::{Mutex, MutexGuard};
use crate::random;
use crate::secret::Secret;

/// Maximum duration of any operation.
pub(super) const OPERATION_TIMEOUT: Duration = REMOTE_STORE_TIMEOUT;

/// The threads that resolve the host name and connect: with more, connecting is stuck.
static CONNECT_THREADS: ThreadLimit = ThreadLimit::new("camunda-redis", 32);

/// Maximum number of queued releases: with more, the server cannot be reached.
const MAX_QUEUED_RELEASES: usize = 64;

/// Prefix of all keys, since a Redis is often shared.
const PREFIX: &str = "camunda-admin:";

/// Key with which permissions are checked.
const CHECK_KEY: &str = "camunda-admin:check";

/// Deletes a lock if the owner still holds it.
const UNLOCK_SCRIPT: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";

/// Takes a lock from an owner that has terminated, if that owner still holds it.
const STEAL_LOCK_SCRIPT: &str = "\
if redis.call('GET', KEYS[1]) == ARGV[1] then \
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) return 1 end return 0";

/// Fails unless the commands of the other scripts are permitted.
const CHECK_SCRIPT: &str = "\
redis.call('SET', KEYS[1], '', 'PX', 1) redis.call('GET', KEYS[1]) \
return redis.call('DEL', KEYS[1])";

/// A token store on a Redis or Valkey server.
#[derive(Clone)]
pub(crate) struct RedisStore(Arc<Inner>);

struct Inner {
    server: Server,
    idle: Mutex<IdleState>,
    /// Prefix of the owners of all locks that this store takes.
    owner: String,
    locks: AtomicU64,
    /// Owners whose locks are held or being taken.
    held_locks: Mutex<BTreeSet<String>>,
    /// Whether the server allowed this user to run a script. Checked again after a release failed.
    runs_scripts: AtomicBool,
    /// Whether the permissions of this user were checked.
    permissions_checked: AtomicBool,
}

/// The idle connection and queued releases.
#[derive(Default)]
struct IdleState {
    connection: Option<TimedConnection>,
    /// Packed commands that release locks, for the next idle connection.
    releases: VecDeque<Vec<u8>>,
}

impl IdleState {
    /// Queues releases. The oldest ones are no longer needed, as their leases have expired.
    fn queue(&mut self, releases: impl IntoIterator<Item = Vec<u8>>) {
        self.releases.extend(releases);
        let surplus = self.releases.len().saturating_sub(MAX_QUEUED_RELEASES);
        self.releases.drain(..surplus);
    }
}

impl RedisStore {
    /// Creates a store. Sends nothing yet.
    pub(crate) fn new(url: &Secret, tls: Option<&StoreTls>) -> Result<Self, String> {
        let server = Server::new(url, tls)?;
        if server.sends_unencrypted_password() {
            log::warn!(
                "password is sent unencrypted, use rediss:// or valkeys://: store={:?}",
                server.describe()
            );
        }
        Ok(RedisStore(Arc::new(Inner {
            server,
            idle: Mutex::default(),
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
            permissions_checked: AtomicBool::new(false),
        })))
    }

    fn query<T: FromRedisValue>(&self, command: &Cmd, budget: Budget) -> io::Result<T> {
        let [response] = self.query_or_undo([command], budget, None)?;
        decode(response?)
    }

    /// Sends commands and reads their responses. Without a response, sends `undo` on the same
    /// connection.
    fn query_or_undo<const N: usize>(
        &self,
        commands: [&Cmd; N],
        budget: Budget,
        undo: Option<&[u8]>,
    ) -> io::Result<[io::Result<Value>; N]> {
        let inner = &*self.0;
        let failed = |mut connection: TimedConnection, error: io::Error| {
            if let Some(undo) = undo {
                // If it fails too, the server has closed the connection.
                let _ = connection.connection.send_without_waiting(undo);
            }
            inner.discard(connection);
            Err(error)
        };
        let idle = inner.idle().connection.take();
        if let Some(mut connection) = idle {
            match connection.query(inner, commands, budget) {
                // Dropped: the server is a replica, and a new connection may lead to the
                // primary.
                Ok(responses) if responses.iter().any(is_read_only) => inner.discard(connection),
                Ok(responses) => return Ok(inner.make_idle(connection, responses)),
                // The server may have closed it while it was idle. The command may have been
                // executed all the same, so all commands of this store are idempotent.
                Err(error) if is_closed(&error) => inner.discard(connection),
                Err(error) => return failed(connection, error),
            }
        }
        let mut connection = self.connect(budget)?;
        match connection.query(inner, commands, budget) {
            Ok(responses) if responses.iter().any(is_read_only) => {
                inner.discard(connection);
                Ok(responses)
            }
            Ok(responses) => Ok(inner.make_idle(connection, responses)),
            Err(error) => failed(connection, error),
        }
    }

    /// Checks that this user may run scripts, without which no lock could be released.
    fn check_scripts(&self, budget: Budget) -> io::Result<()> {
        if self.0.runs_scripts.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.query::<i64>(&check_script(), budget)
            .map_err(|error| match error.kind() {
                // A script that runs a command without permission fails with another error.
                io::ErrorKind::PermissionDenied | io::ErrorKind::Other => io::Error::new(
                    error.kind(),
                    format!("locks need the commands EVAL, GET, SET and DEL: {error}"),
                ),
                _ => error,
            })?;
        self.0.runs_scripts.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Tries to take the lock of a key for an owner. Returns whether it is held.
    fn acquire(&self, key: &str, owner: &str, lease: Duration) -> io::Result<bool> {
        let budget = Budget::new(OPERATION_TIMEOUT);
        self.check_scripts(budget)?;
        let unlock = unlock(key, owner).get_packed_command();
        let mut set = cmd("SET");
        set.arg(key).arg(owner).arg("NX");
        set.arg("PX").arg(time_to_live(lease));
        let undone = |error| {
            self.undo(&unlock);
            error
        };
        let [taken] = self
            .query_or_undo([&set], budget, Some(&unlock))
            .map_err(undone)?;
        if decode::<Option<String>>(taken?)?.is_some() {
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
        let [taken] = self
            .query_or_undo([command], budget, Some(&unlock))
            .map_err(undone)?;
        if decode::<i64>(taken?)? == 1 {
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
        self.0.idle().queue([unlock.to_vec()]);
        // Does not wait. Without a connection now, the next caller's connection releases it.
        let _ = self.start_connecting(mpsc::channel().0);
    }

    /// Connects within the budget, on another thread that is abandoned on timeout: DNS resolution
    /// has no timeout.
    fn connect(&self, budget: Budget) -> io::Result<TimedConnection> {
        let (sender, connected) = mpsc::channel();
        let thread = self.start_connecting(sender)?;
        let connection = connected
            .recv_timeout(budget.remaining()?)
            .map_err(|_| late("connecting takes too long"))?;
        thread.join();
        connection
    }

    /// Connects on another thread. A connection that is not received becomes the idle one.
    fn start_connecting(
        &self,
        sender: mpsc::Sender<io::Result<TimedConnection>>,
    ) -> io::Result<AbandonableThread> {
        let permit = CONNECT_THREADS.acquire();
        let permit = permit.ok_or_else(|| late("still connecting"))?;
        let inner = Arc::clone(&self.0);
        permit.start(move || {
            let connection = inner.open_connection();
            // If it took too long, the next caller can use it.
            if let Err(mpsc::SendError(Ok(connection))) = sender.send(connection) {
                inner.make_idle(connection, ());
            }
        })
    }
}

fn late(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

/// Returns whether the server has closed the connection.
fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof | WriteZero
    )
}

fn is_read_only(response: &io::Result<Value>) -> bool {
    let error = response.as_ref().err();
    error.is_some_and(|error| error.kind() == io::ErrorKind::ReadOnlyFilesystem)
}

fn decode<T: FromRedisValue>(response: Value) -> io::Result<T> {
    from_redis_value(response).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("unexpected response: {error}"),
        )
    })
}

impl Inner {
    fn open_connection(&self) -> io::Result<TimedConnection> {
        let budget = Budget::new(OPERATION_TIMEOUT);
        let mut connection = TimedConnection {
            connection: self.server.connect(budget)?,
            pending: VecDeque::new(),
        };
        if !self.permissions_checked.load(Ordering::Relaxed) {
            self.check_permissions(&mut connection, budget)?;
        }
        Ok(connection)
    }

    /// Checks the permissions of this user once, and logs which are missing.
    fn check_permissions(
        &self,
        connection: &mut TimedConnection,
        budget: Budget,
    ) -> io::Result<()> {
        let mut set = cmd("SET");
        set.arg(CHECK_KEY).arg("").arg("PX").arg(1);
        let commands = [
            ("GET", cmd("GET").arg(CHECK_KEY).to_owned()),
            ("SET", set),
            ("DEL", cmd("DEL").arg(CHECK_KEY).to_owned()),
            ("EVAL", check_script()),
            ("TIME", cmd("TIME")),
        ];
        let responses = connection.query(self, commands.each_ref().map(|it| &it.1), budget)?;
        let is_denied = |response: &io::Result<Value>| {
            let error = response.as_ref().err();
            error.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
        };
        let missing: Vec<_> = commands
            .iter()
            .zip(&responses)
            .filter(|(_, response)| is_denied(response))
            .map(|((name, _), _)| *name)
            .collect();
        if responses[3].is_ok() {
            self.runs_scripts.store(true, Ordering::Relaxed);
        }
        // Any other error says nothing about permissions.
        if (responses[0].is_ok() || is_denied(&responses[0]))
            && !self.permissions_checked.swap(true, Ordering::Relaxed)
            && !missing.is_empty()
        {
            log::warn!(
                "permissions missing, tokens are shared in part or not at all; allow the commands \
                 GET, SET, DEL, EVAL and TIME and the keys {PREFIX}*: store={:?} \
                 missing={}",
                self.server.describe(),
                missing.join(",")
            );
        }
        Ok(())
    }

    /// Makes a connection idle, after sending the queued releases on it. Returns `response`.
    fn make_idle<T>(&self, mut connection: TimedConnection, response: T) -> T {
        loop {
            let mut idle = self.idle();
            let Some(release) = idle.releases.pop_front() else {
                let Some(other) = idle.connection.replace(connection) else {
                    return response;
                };
                drop(idle);
                // Of a caller that used the store at the same time. Its releases are queued again.
                self.discard(other);
                let taken = self.idle().connection.take();
                let Some(taken) = taken else {
                    return response;
                };
                connection = taken;
                continue;
            };
            drop(idle);
            if connection.send_async(release).is_err() {
                self.discard(connection);
                return response;
            }
        }
    }

    /// Closes a connection. Queues the releases whose responses were not received.
    fn discard(&self, connection: TimedConnection) {
        self.idle().queue(connection.pending);
    }

    /// Releases a lock without waiting: now if a connection is idle, otherwise on the next idle
    /// one.
    fn release(&self, command: &Cmd) {
        let connection = {
            let mut idle = self.idle();
            idle.queue([command.get_packed_command()]);
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

/// A connection, and the releases whose responses were not received yet; no caller waits for them.
struct TimedConnection {
    connection: Connection,
    pending: VecDeque<Vec<u8>>,
}

impl TimedConnection {
    /// Sends commands together and reads their responses, some of which may be errors.
    fn query<const N: usize>(
        &mut self,
        inner: &Inner,
        commands: [&Cmd; N],
        budget: Budget,
    ) -> io::Result<[io::Result<Value>; N]> {
        while !self.pending.is_empty() {
            let released = self.connection.read_response(budget)?;
            self.pending.pop_front();
            if let Err(error) = released {
                log::debug!(
                    "lock not released: store=\"Redis\" error={:?}",
                    error.to_string()
                );
                // The next lock is not taken before it is certain that it can be released.
                inner.runs_scripts.store(false, Ordering::Relaxed);
            }
        }
        let mut packed = Vec::new();
        for command in commands {
            packed.extend_from_slice(&command.get_packed_command());
        }
        self.connection.send(&packed, budget)?;
        let mut responses = Vec::with_capacity(N);
        for _ in 0..N {
            let response = self.connection.read_response(budget)?;
            responses.push(response.map_err(|error| to_io_error(&error)));
        }
        Ok(responses.try_into().expect("there is one for each command"))
    }

    /// Sends a command that releases a lock, without waiting for its response.
    fn send_async(&mut self, release: Vec<u8>) -> io::Result<()> {
        let sent = self.connection.send_without_waiting(&release);
        self.pending.push_back(release);
        sent
    }
}

impl TokenStore for RedisStore {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let budget = Budget::new(OPERATION_TIMEOUT);
        self.query(cmd("GET").arg(value_key(name)), budget)
    }

    fn put(&self, name: &str, value: &[u8], ttl: Duration) -> io::Result<()> {
        self.query(
            cmd("SET")
                .arg(value_key(name))
                .arg(value)
                .arg("PX")
                .arg(time_to_live(ttl)),
            Budget::new(OPERATION_TIMEOUT),
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
        self.0.server.describe()
    }
}

impl ServerClock for RedisStore {
    fn get_with_time(&self, name: &str) -> io::Result<(Option<Vec<u8>>, Option<Duration>)> {
        let budget = Budget::new(OPERATION_TIMEOUT);
        let mut get = cmd("GET");
        get.arg(value_key(name));
        let [value, time] = self.query_or_undo([&get, &cmd("TIME")], budget, None)?;
        let time = match time {
            Ok(time) => {
                let (seconds, micros) = decode(time)?;
                Some(server_time(seconds, micros))
            }
            // Logged when the permissions were checked.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => None,
            Err(error) => return Err(error),
        };
        Ok((decode(value?)?, time))
    }
}

/// Returns the time of a response to `TIME`. The server may send any numbers.
fn server_time(seconds: u64, micros: u64) -> Duration {
    Duration::from_secs(seconds).saturating_add(Duration::from_micros(micros))
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

fn check_script() -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(CHECK_SCRIPT).arg(1).arg(CHECK_KEY);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describe_and_errors_contain_no_password() {
        let url = Secret::from("redis://me:hunter2@redis.example:7000/3");
        let store = RedisStore::new(&url, None).unwrap();
        assert_eq!(store.describe(), "Redis at redis.example:7000");
        for url in [
            "http://me:hunter2@redis.example",
            "redis://me:hunter2@redis.example/x",
            "redis://me:hunter2@redis.example/0#insecure",
            "rediss://me:hunter2@",
        ] {
            let error = RedisStore::new(&Secret::from(url), None).err();
            assert!(!error.unwrap().contains("hunter2"), "{url}");
        }
    }

    #[test]
    fn release_of_a_replaced_connection_is_sent_again() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let store = RedisStore::new(&Secret::new(url), None).unwrap();
        let inner = &store.0;
        let budget = Budget::new(Duration::from_secs(20));
        let connect = || TimedConnection {
            connection: inner.server.connect(budget).unwrap(),
            pending: VecDeque::new(),
        };
        let (mut first, second) = (connect(), connect());
        first.send_async(b"release".to_vec()).unwrap();
        // Its response is not received yet when another caller's connection becomes idle.
        inner.make_idle(first, ());
        inner.make_idle(second, ());
        assert!(inner.idle().releases.is_empty());
        let idle = inner.idle().connection.take().unwrap();
        assert_eq!(idle.pending, [b"release"]);
        let mut received = [0; b"release".len()];
        let _first = listener.accept().unwrap();
        let (mut second, _) = listener.accept().unwrap();
        io::Read::read_exact(&mut second, &mut received).unwrap();
        assert_eq!(&received, b"release");
    }

    #[test]
    fn server_time_of_any_numbers_does_not_overflow() {
        assert_eq!(server_time(2, 500_000), Duration::from_millis(2_500));
        assert_eq!(server_time(u64::MAX, u64::MAX), Duration::MAX);
    }
}
