//! Token stores: share tokens and rate limits between processes and hosts.
//!
//! A configuration has one shared store. If that is remote (Redis), files are its fallback: they are
//! used for whatever the shared store cannot do at the moment, and what is obtained meanwhile is
//! written to the shared store when it works again. Locks exist in one of the two at a time. The
//! fallback also has copies of what was read from or written to the shared store, so that a process
//! that starts while that is not available sends no request.
//!
//! A store error never fails an API call: it is logged once as a warning, shown in the diagnostics,
//! and the process continues without the ability that failed.

#[cfg_attr(windows, path = "file_windows.rs")]
mod file;
mod file_names;
mod record_store;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod redis_connection;

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ring::digest;

use super::diagnostics::{StoreReport, StoreRole};
use super::rate_limiter::MergedState;
use super::record::{RateLimitTimes, StoredRateLimit};
use super::time::{Clock, Timestamp};
use super::{Fallback, StoreLock, StoreTls, TokenCacheConfig, TokenStore};
use crate::backoff::exponential;
use crate::call::CallContext;
use crate::error::Error;
use crate::fork::{Mutex, MutexGuard};
use crate::secret::Secret;

#[cfg(test)]
pub(crate) use file::FileStore;
#[cfg(test)]
pub(crate) use file_names::retention;
pub(crate) use record_store::{FoundRecord, ReadScope, RecordStore, SHORT_LEASE};
#[cfg(all(test, feature = "redis"))]
pub(crate) use redis::RedisStore;

/// How long an ability of a store is not used after it failed.
const SUSPENSION: Duration = Duration::from_secs(30);

/// The same for the first failure of a server; doubles with every consecutive failure up to
/// [`SUSPENSION`]. Shorter, because other hosts go on using the server.
pub(crate) const INITIAL_SERVER_SUSPENSION: Duration = Duration::from_secs(1);

/// Time that an operation of a remote store may take. The store is skipped for a call that has less
/// time left.
const REMOTE_STORE_TIMEOUT: Duration = Duration::from_millis(250);

/// The stores of one configuration.
#[derive(Debug, Default)]
pub(crate) struct StoreChain {
    shared: Option<Store>,
    fallback: Option<Store>,
    /// The role of the files that have no directory.
    missing_files: Option<StoreRole>,
}

impl StoreChain {
    /// Creates the stores of a configuration. Opens nothing yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a URL is not valid.
    pub(crate) fn new(choice: &TokenCacheConfig, clock: &Clock) -> Result<Self, Error> {
        let files = match directory(choice) {
            Some(directory) => Some(files(&directory, clock)),
            None => {
                if needs_directory(choice) {
                    warn_once_without_home();
                }
                None
            }
        };
        let is_missing = files.is_none() && needs_directory(choice);
        Ok(match choice {
            TokenCacheConfig::Redis { url, tls, .. } => StoreChain {
                shared: Some(redis(url, tls, clock)?),
                fallback: files.map(|files| Store {
                    is_fallback: true,
                    ..files
                }),
                missing_files: is_missing.then_some(StoreRole::Fallback),
            },
            TokenCacheConfig::Custom(store) => StoreChain {
                shared: Some(Store::new(Arc::clone(store), true, clock)),
                fallback: None,
                missing_files: None,
            },
            _ => StoreChain {
                shared: files,
                fallback: None,
                missing_files: is_missing.then_some(StoreRole::Shared),
            },
        })
    }

    /// Returns the identity of the stores of a configuration. Contains no part of a URL.
    pub(crate) fn id(choice: &TokenCacheConfig) -> StoreId {
        let shared = match choice {
            TokenCacheConfig::Redis { url, tls, .. } => {
                let mut context = digest::Context::new(&digest::SHA256);
                context.update(url.expose().as_bytes());
                let tls = tls.as_ref().map(|tls| tls.id.clone());
                SharedStoreId::Redis(context.finish().as_ref().to_vec(), tls)
            }
            TokenCacheConfig::Custom(store) => {
                SharedStoreId::Custom(Arc::as_ptr(store).cast::<()>().addr())
            }
            _ => SharedStoreId::None,
        };
        StoreId {
            directory: directory(choice),
            shared,
        }
    }

    /// Returns the shared store, then its fallback.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Store> {
        self.shared.iter().chain(&self.fallback)
    }

    pub(crate) fn shared(&self) -> Option<&Store> {
        self.shared.as_ref()
    }

    pub(crate) fn fallback(&self) -> Option<&Store> {
        self.fallback.as_ref()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.shared.is_none() && self.fallback.is_none()
    }

    /// Tries to take the lock of a name, in the first store that can lock.
    pub(crate) fn try_lock(&self, call: &CallContext, name: &str, lease: Duration) -> LockResult {
        self.all()
            .map(|store| store.try_lock(call, name, lease))
            .find(|result| !matches!(result, LockResult::Failed))
            .unwrap_or(LockResult::Failed)
    }

    /// As [`try_lock`](Self::try_lock) under a second name, for callers who no longer wait for the
    /// owner of the first: one of them at a time continues in its place.
    pub(crate) fn try_second_lock(
        &self,
        call: &CallContext,
        name: &str,
        lease: Duration,
    ) -> LockResult {
        self.try_lock(call, &format!("{name}-second"), lease)
    }

    /// Returns whether the shared store is remote and lacks an ability: other hosts may then send
    /// requests at the same time.
    pub(crate) fn is_unavailable(&self) -> bool {
        let shared = self.shared.as_ref();
        shared.is_some_and(|store| store.is_remote && !store.is_usable())
    }

    /// Returns whether the shared store can be written to now. Cheap: reads the health only.
    pub(crate) fn may_write_back(&self, call: &CallContext) -> bool {
        self.shared
            .as_ref()
            .is_some_and(|store| store.accepts(call) && store.is_usable())
    }

    /// Returns the failing stores and their errors, for the error of a call that has to wait
    /// because of them; `None` if the shared store works.
    pub(crate) fn problem(&self) -> Option<String> {
        // A shared store that works is enough.
        if let Some(shared) = &self.shared {
            shared.health().problem()?;
        }
        let failing = self.all().filter_map(|store| {
            let error = store.health().problem()?.to_owned();
            Some(format!("{}: {error}", store.describe()))
        });
        let missing = self.missing_files.iter();
        let missing = missing.map(|_| format!("{FILES}: {NO_DIRECTORY}"));
        let problems: Vec<_> = failing.chain(missing).collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    pub(crate) fn reports(&self) -> impl Iterator<Item = StoreReport> {
        let missing = self.missing_files.iter();
        let missing = missing.map(|role| StoreReport::missing(FILES, *role, NO_DIRECTORY));
        self.all().map(Store::report).chain(missing)
    }
}

/// Returns the directory of a configuration that has one.
fn directory(choice: &TokenCacheConfig) -> Option<PathBuf> {
    match choice {
        TokenCacheConfig::Directory(path)
        | TokenCacheConfig::Redis {
            fallback: Fallback::Directory(path),
            ..
        } => Some(path.clone()),
        _ if needs_directory(choice) => default_directory(),
        _ => None,
    }
}

/// Returns whether a configuration uses the default directory.
fn needs_directory(choice: &TokenCacheConfig) -> bool {
    matches!(
        choice,
        TokenCacheConfig::Auto
            | TokenCacheConfig::Redis {
                fallback: Fallback::Auto,
                ..
            }
    )
}

/// Returns `$XDG_CACHE_HOME/camunda-admin` or `$HOME/.cache/camunda-admin`, on Windows
/// `%LOCALAPPDATA%\camunda-admin`; `None` if none of these variables is an absolute path.
fn default_directory() -> Option<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let caches = if cfg!(windows) {
        absolute("LOCALAPPDATA")?
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?
    };
    Some(caches.join("camunda-admin"))
}

fn files(directory: &Path, clock: &Clock) -> Store {
    let store = Arc::new(file::FileStore::new(directory));
    let mut files = Store::new(store.clone(), false, clock);
    files.times = Some(store);
    files
}

#[cfg(feature = "redis")]
fn redis(url: &Secret, tls: &Option<StoreTls>, clock: &Clock) -> Result<Store, Error> {
    match redis::RedisStore::new(url, tls.as_ref()) {
        Ok(store) => {
            let store = Arc::new(store);
            let mut shared = Store::new(store.clone(), true, clock);
            shared.server = Some(store);
            Ok(shared)
        }
        Err(why) => Err(Error::config(format!("`token_cache`: the URL {why}"))),
    }
}

#[cfg(not(feature = "redis"))]
fn redis(_url: &Secret, _tls: &Option<StoreTls>, _clock: &Clock) -> Result<Store, Error> {
    Err(Error::config(
        "`token_cache`: this library was built without support for Redis (cargo feature `redis`)",
    ))
}

/// Identity of the stores of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoreId {
    directory: Option<PathBuf>,
    shared: SharedStoreId,
}

/// Identity of the store that is shared with other hosts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum SharedStoreId {
    None,
    /// Digest of the URL, and the identity of the TLS settings.
    Redis(Vec<u8>, Option<Vec<u8>>),
    /// Address of the object, which is unique while the configuration refers to it.
    Custom(usize),
}

/// Timestamps of a store's locks, which can be set without free space.
pub(crate) trait Timestamps: Send + Sync {
    /// Sets the timestamps of an existing lock.
    fn set_times(&self, name: &str, times: RateLimitTimes) -> io::Result<()>;

    /// Returns the timestamps of a lock; `None` if they were never set.
    fn times(&self, name: &str) -> io::Result<Option<RateLimitTimes>>;
}

/// Reads of a store that has a clock of its own.
pub(crate) trait ServerClock: Send + Sync {
    /// Returns the value of a name as [`TokenStore::get`] does, and the server's time since 1970;
    /// `None` if the server does not report it.
    fn get_with_time(&self, name: &str) -> io::Result<(Option<Vec<u8>>, Option<Duration>)>;
}

/// The time of a store's clock, as it was reported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreTime {
    /// Time since 1970.
    time: Duration,
    /// The moments (monotonic) between which the store reported it.
    sent: Duration,
    received: Duration,
}

impl StoreTime {
    /// Returns the time of a store that uses this machine's clock.
    pub(crate) fn local(now: Timestamp) -> Self {
        StoreTime {
            time: now.wall,
            sent: now.mono,
            received: now.mono,
        }
    }

    /// Returns the store's time at a moment (monotonic), at the earliest. With it, the age of a
    /// record is not overestimated.
    pub(crate) fn earliest(self, mono: Duration) -> Timestamp {
        Timestamp {
            mono,
            wall: self.time.saturating_add(mono.saturating_sub(self.received)),
        }
    }

    /// Returns the store's time at a moment (monotonic), at the latest. A record that is written
    /// with it does not appear older than it is.
    pub(crate) fn latest(self, mono: Duration) -> Timestamp {
        Timestamp {
            mono,
            wall: self.time.saturating_add(mono.saturating_sub(self.sent)),
        }
    }

    /// Returns by how many milliseconds the store's clock is ahead of this machine's.
    pub(crate) fn ahead_of(self, now: Timestamp) -> i64 {
        let store = self.earliest(now.mono).wall_millis();
        i64::try_from(i128::from(store) - i128::from(now.wall_millis())).unwrap_or(0)
    }
}

/// A value of a store, or its absence, at a time of the store's clock.
#[derive(Debug)]
pub(crate) struct StoredValue {
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) time: StoreTime,
}

/// An ability of a store. Each may fail while the others work: a full disk can be locked and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ability {
    Lock,
    Read,
    Write,
}

impl Ability {
    const ALL: [Ability; 3] = [Ability::Lock, Ability::Read, Ability::Write];

    fn name(self) -> &'static str {
        match self {
            Ability::Lock => "lock",
            Ability::Read => "read",
            Ability::Write => "write",
        }
    }
}

/// One store with its health.
pub(crate) struct Store {
    store: Arc<dyn TokenStore>,
    times: Option<Arc<dyn Timestamps>>,
    server: Option<Arc<dyn ServerClock>>,
    /// Whether it is shared with other hosts, and may be slow.
    is_remote: bool,
    is_fallback: bool,
    clock: Clock,
    health: Mutex<Health>,
    /// What was last read or written of each rate limit record, by its name.
    merged: Mutex<BTreeMap<String, MergedState>>,
}

/// Health of a store, ability by ability.
#[derive(Debug, Default)]
struct Health {
    abilities: [Suspension; 3],
    /// Suspends all abilities.
    reach: Suspension,
    failures: u64,
    last_error: Option<String>,
}

/// Whether something failed when it was last used.
#[derive(Debug, Default)]
struct Suspension {
    error: Option<String>,
    /// Consecutive failures.
    count: u32,
    /// When it is tried again (monotonic).
    until: Duration,
}

impl Suspension {
    fn failed(&mut self, error: &io::Error, initial: Duration, now: Timestamp) -> Duration {
        self.count = self.count.saturating_add(1);
        self.error = Some(error.to_string());
        let length = exponential(initial, self.count, SUSPENSION);
        self.until = now.mono.saturating_add(length);
        length
    }
}

impl Health {
    /// Returns whether an ability may be used: it works, or it is time to try again.
    fn can(&self, ability: Ability, now: Timestamp) -> bool {
        let may_try = |it: &Suspension| it.error.is_none() || now.mono >= it.until;
        may_try(&self.reach) && may_try(&self.abilities[ability as usize])
    }

    /// Returns why an ability failed when it was last used.
    fn error(&self, ability: Ability) -> Option<&str> {
        let own = &self.abilities[ability as usize];
        self.reach.error.as_deref().or(own.error.as_deref())
    }

    /// Returns why the first ability that does not work failed.
    fn problem(&self) -> Option<&str> {
        Ability::ALL.into_iter().find_map(|it| self.error(it))
    }
}

/// Returns a value of acceptable size. Another tenant of a store can write a value of any size.
fn limited(value: Option<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
    match &value {
        Some(value) if value.len() as u64 > file_names::MAX_VALUE_BYTES => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "value of {} bytes; at most {} are read",
                value.len(),
                file_names::MAX_VALUE_BYTES
            ),
        )),
        _ => Ok(value),
    }
}

/// Returns whether an error means that the store cannot be reached.
fn is_unreachable(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(
        error.kind(),
        AddrNotAvailable
            | BrokenPipe
            | ConnectionAborted
            | ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkDown
            | NetworkUnreachable
            | NotConnected
            | TimedOut
            | UnexpectedEof
    )
}

/// Result of an attempt to take a lock.
#[derive(Debug)]
pub(crate) enum LockResult {
    Acquired(StoreLock),
    /// Another owner holds the lock.
    Contended,
    /// No store could be used.
    Failed,
}

impl Store {
    fn new(store: Arc<dyn TokenStore>, is_remote: bool, clock: &Clock) -> Self {
        Store {
            store,
            times: None,
            server: None,
            is_remote,
            is_fallback: false,
            clock: clock.clone(),
            health: Mutex::default(),
            merged: Mutex::default(),
        }
    }

    /// Returns what was last read or written of each rate limit record, by its name.
    pub(crate) fn merged(&self) -> MutexGuard<'_, BTreeMap<String, MergedState>> {
        self.merged.lock()
    }

    /// Returns whether all of its abilities may be used.
    pub(crate) fn is_usable(&self) -> bool {
        Ability::ALL.into_iter().all(|ability| self.can(ability))
    }

    pub(crate) fn can(&self, ability: Ability) -> bool {
        self.health().can(ability, self.clock.now())
    }

    /// Returns whether tenants other than this user can write to the store, so that its records
    /// have to be verified.
    pub(crate) fn is_multi_tenant(&self) -> bool {
        self.server.is_some()
    }

    /// Returns whether the store may be used for a call. Its operations cannot be interrupted, so
    /// it is skipped if the call is cancelled or would end before the operation.
    fn accepts(&self, call: &CallContext) -> bool {
        !self.is_remote || (call.check().is_ok() && call.remaining() >= REMOTE_STORE_TIMEOUT)
    }

    /// Returns a value and the store's time; `None` if the store failed or was skipped.
    pub(crate) fn read(&self, call: &CallContext, name: &str) -> Option<StoredValue> {
        self.guarded(call, Ability::Read, || {
            let Some(server) = &self.server else {
                let value = limited(self.store.get(name)?)?;
                let time = StoreTime::local(self.clock.now());
                return Ok(StoredValue { value, time });
            };
            let sent = self.clock.now();
            let (value, time) = server.get_with_time(name)?;
            let value = limited(value)?;
            let received = self.clock.now();
            let time = time.map(|time| StoreTime {
                time,
                sent: sent.mono,
                received: received.mono,
            });
            Ok(StoredValue {
                value,
                time: time.unwrap_or(StoreTime::local(received)),
            })
        })
    }

    /// Returns whether the value was stored.
    pub(crate) fn put(&self, call: &CallContext, name: &str, value: &[u8], ttl: Duration) -> bool {
        self.guarded(call, Ability::Write, || self.store.put(name, value, ttl))
            .is_some()
    }

    /// Stores the record of a rate limiter: as a value, or as timestamps if that cannot be written,
    /// so that the rate limit holds on a full disk. Returns whether the value was stored.
    pub(crate) fn put_rate_limit(
        &self,
        call: &CallContext,
        name: &str,
        record: &StoredRateLimit,
        ttl: Duration,
    ) -> bool {
        let stored = self.put(call, name, &record.encode(), ttl);
        if !stored
            && let Some(times) = &self.times
            && let Err(error) = times.set_times(name, record.state.into())
        {
            log::debug!(
                "rate limit not stored: store={:?} error={:?}",
                self.store.describe(),
                error.to_string()
            );
        }
        stored
    }

    /// Returns the timestamps of a process that could not write its rate limit record.
    pub(crate) fn rate_limit_times(&self, name: &str) -> Option<RateLimitTimes> {
        self.times.as_ref()?.times(name).ok().flatten()
    }

    pub(crate) fn try_lock(&self, call: &CallContext, name: &str, lease: Duration) -> LockResult {
        match self.guarded(call, Ability::Lock, || self.store.try_lock(name, lease)) {
            Some(Some(lock)) => LockResult::Acquired(lock),
            Some(None) => LockResult::Contended,
            None => LockResult::Failed,
        }
    }

    /// Returns the kind and location of the store, without passwords.
    pub(crate) fn describe(&self) -> String {
        self.store.describe()
    }

    /// Returns the state of the store for the diagnostics.
    fn report(&self) -> StoreReport {
        // The caller's function: called before the lock is taken.
        let store = self.store.describe();
        let health = self.health();
        let error = |ability| health.error(ability).map(str::to_owned);
        StoreReport {
            store,
            role: match self.is_fallback {
                true => StoreRole::Fallback,
                false => StoreRole::Shared,
            },
            usable: health.problem().is_none(),
            can_lock: health.error(Ability::Lock).is_none(),
            can_read: health.error(Ability::Read).is_none(),
            can_write: health.error(Ability::Write).is_none(),
            lock_error: error(Ability::Lock),
            read_error: error(Ability::Read),
            write_error: error(Ability::Write),
            failures: health.failures,
            last_error: health.last_error.clone(),
        }
    }

    /// Runs `operation` on the store. Returns `None` if the store fails, or the ability is suspended
    /// after a failure. Skips a remote store, also with `None`, if the call is cancelled or has less
    /// than [`REMOTE_STORE_TIMEOUT`] left.
    ///
    /// An operation of a server that worked before is tried twice if it takes too long. A failure is
    /// logged and suspends the ability for [`SUSPENSION`], or less at first for a server; one that
    /// says that a remote store cannot be reached suspends all of its abilities.
    fn guarded<T>(
        &self,
        call: &CallContext,
        ability: Ability,
        operation: impl Fn() -> io::Result<T>,
    ) -> Option<T> {
        // Each time, as one call needs several operations in a row.
        if !self.accepts(call) || !self.can(ability) {
            return None;
        }
        let mut result = operation();
        let is_late = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
        // On a loaded machine or network, the next response may be in time. Without the server, this
        // process could send a request that another host sends too.
        if self.server.is_some()
            && result.as_ref().is_err_and(is_late)
            && self.health().problem().is_none()
            && self.accepts(call)
        {
            result = operation();
        }
        match result {
            Ok(value) => {
                self.worked(ability);
                Some(value)
            }
            Err(error) => {
                self.failed(ability, &error);
                None
            }
        }
    }

    fn worked(&self, ability: Ability) {
        let mut health = self.health();
        let failed_before = health.problem().is_some();
        health.reach = Suspension::default();
        health.abilities[ability as usize] = Suspension::default();
        let recovered = failed_before && health.problem().is_none();
        drop(health);
        if recovered {
            log::info!("token store works again: store={:?}", self.store.describe());
        }
    }

    fn failed(&self, ability: Ability, error: &io::Error) {
        let now = self.clock.now();
        let (suspended, first) = {
            let mut health = self.health();
            health.failures += 1;
            health.last_error = Some(error.to_string());
            let suspension = match self.is_remote && is_unreachable(error) {
                true => &mut health.reach,
                false => &mut health.abilities[ability as usize],
            };
            let initial = match self.server {
                Some(_) => INITIAL_SERVER_SUSPENSION,
                None => SUSPENSION,
            };
            let suspended = suspension.failed(error, initial, now);
            (suspended, health.failures == 1)
        };
        // One warning; later failures are in the diagnostics. The shared store may work without its
        // fallback, for example in a container without a writable directory.
        let level = match (first, self.is_fallback) {
            (true, false) => log::Level::Warn,
            (true, true) => log::Level::Info,
            (false, _) => log::Level::Debug,
        };
        log::log!(
            level,
            "token store failed, not used to {} for {} s: store={:?} error={:?}",
            ability.name(),
            suspended.as_secs(),
            self.store.describe(),
            error.to_string()
        );
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("store", &self.store.describe())
            .finish_non_exhaustive()
    }
}

/// Store that does not exist because no variable leads to its directory.
const FILES: &str = "files";
const NO_DIRECTORY: &str = match cfg!(windows) {
    true => "LOCALAPPDATA is not set",
    false => "neither XDG_CACHE_HOME nor HOME is set",
};

fn warn_once_without_home() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        log::warn!("tokens are not shared: store={FILES:?} error={NO_DIRECTORY:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::auth::tests::test_support::{MemoryStore, call, call_within};
    use crate::call::{CallOptions, Cancel};

    #[test]
    fn remote_store_is_skipped_for_calls_that_cannot_wait() {
        let store = Arc::new(MemoryStore::default());
        let stores = StoreChain::new(&store.choice(), &Clock::Real).unwrap();
        let shared = stores.shared().expect("a store");
        let cancel = Cancel::new();
        cancel.cancel();
        let cancelled = CallContext::start(
            &CallOptions::new().cancel(cancel),
            Duration::from_secs(3600),
        );
        store.everything_fails(true);
        for call in [&cancelled, &call_within(REMOTE_STORE_TIMEOUT)] {
            assert!(shared.read(call, "a").is_none());
            shared.put(call, "a", b"1", REMOTE_STORE_TIMEOUT);
            assert!(matches!(
                shared.try_lock(call, "a", REMOTE_STORE_TIMEOUT),
                LockResult::Failed
            ));
        }
        // An operation would have failed.
        assert_eq!(shared.report().failures, 0);
        assert!(shared.read(&call(), "a").is_none());
        // After a failure, no call reads the store.
        store.reads_fail.store(false, Ordering::SeqCst);
        assert!(shared.read(&call(), "a").is_none());
        assert_eq!(shared.report().failures, 1);
    }

    #[cfg(feature = "redis")]
    #[test]
    fn redis_without_files_has_no_fallback() {
        let chain = |fallback| {
            let choice = TokenCacheConfig::Redis {
                url: Secret::from("redis://127.0.0.1"),
                fallback,
                tls: None,
            };
            StoreChain::new(&choice, &Clock::Real).unwrap()
        };
        let without_files = chain(Fallback::Memory);
        assert!(without_files.shared().is_some());
        assert!(without_files.fallback().is_none());
        // Its files are not missing either.
        assert_eq!(without_files.reports().count(), 1);
        let with_files = chain(Fallback::Directory("/var/tokens".into()));
        assert_eq!(
            with_files.fallback().unwrap().describe(),
            "files in /var/tokens"
        );
    }

    #[test]
    fn store_that_cannot_write_still_locks_and_reads() {
        let store = Arc::new(MemoryStore::default());
        let stores = StoreChain::new(&store.choice(), &Clock::Real).unwrap();
        let shared = stores.shared().expect("a store");
        assert!(shared.put(&call(), "a", b"1", REMOTE_STORE_TIMEOUT));
        store.writes_fail.store(true, Ordering::SeqCst);
        assert!(!shared.put(&call(), "a", b"2", REMOTE_STORE_TIMEOUT));
        assert!(!shared.can(Ability::Write));
        let read = shared.read(&call(), "a").and_then(|read| read.value);
        assert_eq!(read.as_deref(), Some(&b"1"[..]));
        let lock = shared.try_lock(&call(), "a", REMOTE_STORE_TIMEOUT);
        assert!(matches!(lock, LockResult::Acquired(_)), "{lock:?}");
        let report = shared.report();
        assert!(!report.usable && report.can_lock && report.can_read && !report.can_write);
        assert!(stores.problem().unwrap().contains("failed by the test"));
    }

    #[test]
    fn store_that_cannot_be_reached_is_not_used_for_anything() {
        struct Unreachable(std::sync::atomic::AtomicU64);
        impl Unreachable {
            fn fail<T>(&self) -> io::Result<T> {
                self.0.fetch_add(1, Ordering::SeqCst);
                Err(io::ErrorKind::TimedOut.into())
            }
        }
        impl TokenStore for Unreachable {
            fn get(&self, _: &str) -> io::Result<Option<Vec<u8>>> {
                self.fail()
            }
            fn put(&self, _: &str, _: &[u8], _: Duration) -> io::Result<()> {
                self.fail()
            }
            fn try_lock(&self, _: &str, _: Duration) -> io::Result<Option<StoreLock>> {
                self.fail()
            }
            fn describe(&self) -> String {
                "nowhere".to_owned()
            }
        }
        let store = Arc::new(Unreachable(0.into()));
        let choice = TokenCacheConfig::Custom(store.clone());
        let stores = StoreChain::new(&choice, &Clock::Real).unwrap();
        let shared = stores.shared().expect("a store");
        assert!(shared.read(&call(), "a").is_none());
        assert!(!shared.put(&call(), "a", b"1", REMOTE_STORE_TIMEOUT));
        let lock = shared.try_lock(&call(), "a", REMOTE_STORE_TIMEOUT);
        assert!(matches!(lock, LockResult::Failed), "{lock:?}");
        assert_eq!(store.0.load(Ordering::SeqCst), 1);
        assert!(stores.is_unavailable());
        let report = shared.report();
        assert!(!report.can_lock && !report.can_read && !report.can_write);
        assert_eq!(report.lock_error.as_deref(), Some("timed out"));
    }

    #[test]
    fn limited_rejects_values_that_are_too_large() {
        let largest = vec![b'x'; file_names::MAX_VALUE_BYTES as usize];
        assert_eq!(limited(Some(largest.clone())).unwrap(), Some(largest));
        assert_eq!(limited(None).unwrap(), None);
        let too_large = vec![b'x'; file_names::MAX_VALUE_BYTES as usize + 1];
        let error = limited(Some(too_large)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
