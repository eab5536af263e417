//! Token stores: share tokens and rate limits between processes and hosts.
//!
//! A store error never fails an API call: it is logged once as a warning, shown in the diagnostics,
//! and the process continues without the store.

#[cfg_attr(windows, path = "file_windows.rs")]
mod file;
mod file_names;
#[cfg(test)]
mod file_tests;
mod record_store;
#[cfg(feature = "redis")]
mod redis;

use std::env;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ring::digest;

use super::record::{RateLimitRecord, RateLimitTimes};
use super::time::{Clock, Timestamp};
use super::{StoreLock, TokenCacheConfig, TokenStore};
use crate::call::CallContext;
use crate::error::Error;
use crate::fork::{Mutex, MutexGuard};
use crate::secret::Secret;

pub(crate) use record_store::{HeldLocks, MergedRecord, RecordStore, SHORT_LEASE};
#[cfg(all(test, feature = "redis"))]
pub(crate) use redis::RedisStore;

/// How long an ability of a store is not used after it failed.
const CIRCUIT_OPEN_TIME: Duration = Duration::from_secs(30);

/// Time that an operation of a remote store may take. The store is skipped for a call that has less
/// time left.
const REMOTE_STORE_TIMEOUT: Duration = Duration::from_millis(250);

/// The stores of one configuration, nearest first.
#[derive(Debug, Default)]
pub(crate) struct StoreChain {
    tiers: Vec<StoreTier>,
}

impl StoreChain {
    /// Creates the stores of a configuration. Opens nothing yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) if a URL is not valid.
    pub(crate) fn new(choice: &TokenCacheConfig, clock: &Clock) -> Result<Self, Error> {
        let tier = |store, is_remote| StoreTier {
            store,
            times: None,
            is_remote,
            clock: clock.clone(),
            health: Mutex::default(),
        };
        let mut tiers = Vec::new();
        if let Some(directory) = directory(choice) {
            let store = Arc::new(file::FileStore::new(&directory));
            tiers.push(StoreTier {
                times: Some(store.clone()),
                ..tier(store, false)
            });
        } else if needs_directory(choice) {
            warn_once_without_home();
        }
        match choice {
            TokenCacheConfig::Redis { url, .. } => tiers.push(tier(redis(url)?, true)),
            TokenCacheConfig::Custom(store) => tiers.push(tier(Arc::clone(store), true)),
            _ => {}
        }
        Ok(StoreChain { tiers })
    }

    /// Returns the identity of the stores of a configuration. Contains no part of a URL.
    pub(crate) fn id(choice: &TokenCacheConfig) -> StoreId {
        let shared = match choice {
            TokenCacheConfig::Redis { url, .. } => {
                let digest = digest::digest(&digest::SHA256, url.expose().as_bytes());
                SharedStoreId::Redis(digest.as_ref().to_vec())
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

    /// Returns the stores that may be used for a call.
    pub(crate) fn usable(&self, call: &CallContext) -> impl Iterator<Item = &StoreTier> {
        self.tiers.iter().filter(|tier| tier.accepts(call))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// Returns whether there are remote stores, none of which is available: other hosts may then
    /// send requests at the same time.
    pub(crate) fn all_remote_unavailable(&self) -> bool {
        let mut is_remote = self.tiers.iter().filter(|tier| tier.is_remote).peekable();
        is_remote.peek().is_some() && is_remote.all(|tier| !tier.is_usable())
    }

    /// Returns the failing stores and their errors, for the error of a call that has to wait
    /// because of them.
    pub(crate) fn problem(&self) -> Option<String> {
        let failing = self.tiers.iter().filter_map(|tier| {
            let error = tier.health().last_error.clone()?;
            (!tier.is_usable()).then(|| format!("token store {}: {error}", tier.store.describe()))
        });
        let problems: Vec<_> = failing.collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }

    pub(crate) fn reports(&self, now: Timestamp) -> impl Iterator<Item = StoreReport> {
        self.tiers.iter().map(move |tier| tier.report(now))
    }
}

/// Returns the directory of a configuration that has one.
fn directory(choice: &TokenCacheConfig) -> Option<PathBuf> {
    match choice {
        TokenCacheConfig::Directory(path)
        | TokenCacheConfig::Redis {
            directory: Some(path),
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
                directory: None,
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

#[cfg(feature = "redis")]
fn redis(url: &Secret) -> Result<Arc<dyn TokenStore>, Error> {
    match redis::RedisStore::new(url) {
        Ok(store) => Ok(Arc::new(store)),
        Err(why) => Err(Error::config(format!("`token_cache`: the URL {why}"))),
    }
}

#[cfg(not(feature = "redis"))]
fn redis(_url: &Secret) -> Result<Arc<dyn TokenStore>, Error> {
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
    /// Digest of the URL.
    Redis(Vec<u8>),
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

/// One store with its circuit breaker.
pub(crate) struct StoreTier {
    store: Arc<dyn TokenStore>,
    times: Option<Arc<dyn Timestamps>>,
    /// Whether it is shared with other hosts, and may be slow.
    is_remote: bool,
    clock: Clock,
    health: Mutex<CircuitBreaker>,
}

#[derive(Debug, Default)]
struct CircuitBreaker {
    /// When each [`Ability`] is used again (monotonic); zero if it never failed.
    suspended_until: [Duration; 3],
    failures: u64,
    last_error: Option<String>,
}

impl CircuitBreaker {
    fn can(&self, ability: Ability, now: Timestamp) -> bool {
        now.mono >= self.suspended_until[ability as usize]
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
    /// The store failed or was skipped.
    Failed,
}

impl StoreTier {
    /// Returns whether it has all of its abilities.
    fn is_usable(&self) -> bool {
        Ability::ALL.into_iter().all(|ability| self.can(ability))
    }

    pub(crate) fn can(&self, ability: Ability) -> bool {
        self.health().can(ability, self.clock.now())
    }

    /// Returns whether the store may be used for a call. Its operations cannot be interrupted, so
    /// it is skipped if the call is cancelled or would end before the operation.
    fn accepts(&self, call: &CallContext) -> bool {
        !self.is_remote || (call.check().is_ok() && call.remaining() >= REMOTE_STORE_TIMEOUT)
    }

    pub(crate) fn get(&self, call: &CallContext, name: &str) -> Option<Vec<u8>> {
        self.guarded(call, Ability::Read, || self.store.get(name))
            .flatten()
    }

    /// Returns whether the value was stored.
    pub(crate) fn put(&self, call: &CallContext, name: &str, value: &[u8], ttl: Duration) -> bool {
        self.guarded(call, Ability::Write, || self.store.put(name, value, ttl))
            .is_some()
    }

    /// Stores the record of a rate limiter: as a value, or as timestamps if that cannot be written,
    /// so that the rate limit holds on a full disk.
    pub(crate) fn put_rate_limit(
        &self,
        call: &CallContext,
        name: &str,
        record: RateLimitRecord,
        ttl: Duration,
    ) {
        if !self.put(call, name, &record.encode(), ttl)
            && let Some(times) = &self.times
            && let Err(error) = times.set_times(name, record.into())
        {
            log::debug!(
                "rate limit not stored: store={} error={error}",
                self.store.describe()
            );
        }
    }

    /// Returns the stored state of a rate limiter, in both of its forms.
    pub(crate) fn rate_limit(
        &self,
        call: &CallContext,
        name: &str,
    ) -> (Option<RateLimitRecord>, Option<RateLimitTimes>) {
        let record = self.get(call, name);
        let times = self.times.as_ref();
        (
            record.and_then(|text| RateLimitRecord::decode(&text)),
            times.and_then(|times| times.times(name).ok().flatten()),
        )
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
    pub(crate) fn report(&self, now: Timestamp) -> StoreReport {
        let health = self.health();
        StoreReport {
            store: self.store.describe(),
            usable: Ability::ALL.into_iter().all(|it| health.can(it, now)),
            can_lock: health.can(Ability::Lock, now),
            can_read: health.can(Ability::Read, now),
            can_write: health.can(Ability::Write, now),
            failures: health.failures,
            last_error: health.last_error.clone(),
        }
    }

    /// Runs `operation` on the store. Returns `None` if the store fails, or the ability is suspended
    /// after a failure. Skips a remote store, also with `None`, if the call is cancelled or has less
    /// than [`REMOTE_STORE_TIMEOUT`] left. A failure is logged and suspends the ability for [`CIRCUIT_OPEN_TIME`];
    /// one that says that a remote store cannot be reached suspends all of its abilities.
    fn guarded<T>(
        &self,
        call: &CallContext,
        ability: Ability,
        operation: impl FnOnce() -> io::Result<T>,
    ) -> Option<T> {
        // Each time, as one call needs several operations in a row.
        if !self.accepts(call) || !self.can(ability) {
            return None;
        }
        let error = match operation() {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let until = self.clock.now().mono.saturating_add(CIRCUIT_OPEN_TIME);
        let first = {
            let mut health = self.health();
            if self.is_remote && is_unreachable(&error) {
                health.suspended_until = [until; 3];
            } else {
                health.suspended_until[ability as usize] = until;
            }
            health.failures += 1;
            health.last_error = Some(error.to_string());
            health.failures == 1
        };
        // One warning; later failures are in the diagnostics.
        let level = match first {
            true => log::Level::Warn,
            false => log::Level::Debug,
        };
        log::log!(
            level,
            "token store failed, not used to {} for {} s: store={} error={error}",
            ability.name(),
            CIRCUIT_OPEN_TIME.as_secs(),
            self.store.describe()
        );
        None
    }

    fn health(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.health.lock()
    }
}

impl fmt::Debug for StoreTier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreTier")
            .field("store", &self.store.describe())
            .finish_non_exhaustive()
    }
}

/// State of one store, for the diagnostics.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct StoreReport {
    pub(crate) store: String,
    /// Whether it has all three abilities.
    pub(crate) usable: bool,
    pub(crate) can_lock: bool,
    pub(crate) can_read: bool,
    pub(crate) can_write: bool,
    pub(crate) failures: u64,
    pub(crate) last_error: Option<String>,
}

fn warn_once_without_home() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        let variables = match cfg!(windows) {
            true => "LOCALAPPDATA is not set",
            false => "neither XDG_CACHE_HOME nor HOME is set",
        };
        log::warn!(
            "token store not available, tokens are not shared between processes: {variables}"
        );
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
        let tier = stores.usable(&call()).next().expect("a usable store");
        let cancel = Cancel::new();
        cancel.cancel();
        let cancelled = CallContext::start(
            &CallOptions::new().cancel(cancel),
            Duration::from_secs(3600),
        );
        store.everything_fails(true);
        for call in [&cancelled, &call_within(REMOTE_STORE_TIMEOUT)] {
            assert_eq!(stores.usable(call).count(), 0);
            assert_eq!(tier.get(call, "a"), None);
            tier.put(call, "a", b"1", REMOTE_STORE_TIMEOUT);
            assert!(matches!(
                tier.try_lock(call, "a", REMOTE_STORE_TIMEOUT),
                LockResult::Failed
            ));
        }
        // An operation would have failed.
        assert_eq!(tier.report(Clock::Real.now()).failures, 0);
        assert_eq!(tier.get(&call(), "a"), None);
        // After a failure, no call reads the store.
        store.reads_fail.store(false, Ordering::SeqCst);
        assert_eq!(tier.get(&call(), "a"), None);
        assert_eq!(tier.report(Clock::Real.now()).failures, 1);
    }

    #[test]
    fn store_that_cannot_write_still_locks_and_reads() {
        let store = Arc::new(MemoryStore::default());
        let stores = StoreChain::new(&store.choice(), &Clock::Real).unwrap();
        let tier = stores.usable(&call()).next().expect("a usable store");
        assert!(tier.put(&call(), "a", b"1", REMOTE_STORE_TIMEOUT));
        store.writes_fail.store(true, Ordering::SeqCst);
        assert!(!tier.put(&call(), "a", b"2", REMOTE_STORE_TIMEOUT));
        assert!(!tier.can(Ability::Write));
        assert_eq!(tier.get(&call(), "a").as_deref(), Some(&b"1"[..]));
        let lock = tier.try_lock(&call(), "a", REMOTE_STORE_TIMEOUT);
        assert!(matches!(lock, LockResult::Acquired(_)), "{lock:?}");
        let report = tier.report(Clock::Real.now());
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
        let tier = stores.usable(&call()).next().expect("a usable store");
        assert_eq!(tier.get(&call(), "a"), None);
        assert!(!tier.put(&call(), "a", b"1", REMOTE_STORE_TIMEOUT));
        let lock = tier.try_lock(&call(), "a", REMOTE_STORE_TIMEOUT);
        assert!(matches!(lock, LockResult::Failed), "{lock:?}");
        assert_eq!(store.0.load(Ordering::SeqCst), 1);
        assert!(stores.all_remote_unavailable());
    }
}
