//! Token stores: share tokens and rate limits between processes and hosts.
//!
//! A configuration has one shared store. If that is remote (Redis), files are its fallback: they are
//! used for whatever the shared store cannot do at the moment, and what is obtained meanwhile is
//! written to the shared store when it works again. Locks are taken in both, because not all
//! processes of a host notice at the same time that the shared store fails or works again. The
//! fallback also has copies of what was read from or written to the shared store, so that a process
//! that starts while that is not available sends no request.
//!
//! A store error never fails an API call: it is logged once as a warning, shown in the diagnostics,
//! and the process continues without the ability that failed.

mod chain;
mod custom;
#[cfg_attr(windows, path = "file_windows.rs")]
mod file;
mod file_clock;
#[cfg(unix)]
mod file_lease;
mod file_names;
mod health;
#[cfg(any(unix, feature = "redis"))]
mod lock_owner;
#[cfg(unix)]
mod private_directory;
mod record_store;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "redis")]
mod redis_connection;
mod store_time;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::diagnostics::{StoreReport, StoreRole};
use super::rate_limit_record::{RateLimitTimes, StoredRateLimit};
use super::rate_limiter::MergedState;
use super::time::Clock;
use super::{MAX_VALUE_BYTES, StoreLock, TokenStore};
use crate::call::CallContext;
use crate::fork::{Mutex, MutexGuard};

pub(crate) use chain::{StoreChain, StoreId};
#[cfg(all(test, unix))]
pub(crate) use file::FLOCK_ERROR;
#[cfg(test)]
pub(crate) use file::FileStore;
#[cfg(test)]
pub(crate) use file_names::retention;
pub(crate) use health::{Ability, INITIAL_SERVER_SUSPENSION};
pub(crate) use record_store::{FoundRecord, ReadScope, RecordStore, SHORT_LEASE};
#[cfg(all(test, feature = "redis"))]
pub(crate) use redis::RedisStore;
pub(crate) use store_time::{StoreTime, StoredValue};

use file_clock::FileClock;
use health::{Health, SUSPENSION, Suspension, is_unreachable};

/// Time that an operation of a remote store may take. The store is skipped for a call that has less
/// time left.
pub(crate) const REMOTE_STORE_TIMEOUT: Duration = Duration::from_millis(250);

/// Suffix of the name of a lock for callers who no longer wait for the owner of the first.
const SECOND_LOCK: &str = "-second";

/// Timestamps of a store's files.
pub(crate) trait Timestamps: Send + Sync {
    /// Sets the timestamps of an existing lock, which needs no free space.
    fn set_times(&self, name: &str, times: RateLimitTimes) -> io::Result<()>;

    /// Returns the timestamps of a lock; `None` if they were never set.
    fn times(&self, name: &str) -> io::Result<Option<RateLimitTimes>>;

    /// Returns the current time of the file system, since 1970; `None` if it has none.
    fn current_time(&self, _name: &str) -> io::Result<Option<Duration>> {
        Ok(None)
    }
}

/// Reads of a store that has a clock of its own.
pub(crate) trait ServerClock: Send + Sync {
    /// Returns the value of a name as [`TokenStore::get`] does, and the server's time since 1970;
    /// `None` if the server does not report it.
    fn get_with_time(&self, name: &str) -> io::Result<(Option<Vec<u8>>, Option<Duration>)>;
}

/// One store with its health.
pub(crate) struct Store {
    store: Arc<dyn TokenStore>,
    times: Option<Arc<dyn Timestamps>>,
    file_clock: FileClock,
    server: Option<Arc<dyn ServerClock>>,
    /// Whether it is shared with other hosts, and may be slow.
    is_remote: bool,
    is_fallback: bool,
    clock: Clock,
    health: Mutex<Health>,
    /// What was last read or written of each rate limit record, by its name.
    merged: Mutex<BTreeMap<String, MergedState>>,
}

/// Returns a value of acceptable size. Another tenant of a store can write a value of any size.
fn limited(value: Option<Vec<u8>>) -> io::Result<Option<Vec<u8>>> {
    match &value {
        Some(value) if value.len() as u64 > MAX_VALUE_BYTES => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "value of {} bytes; at most {} are read",
                value.len(),
                MAX_VALUE_BYTES
            ),
        )),
        _ => Ok(value),
    }
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
            file_clock: FileClock::default(),
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

    /// Returns the time of a store that reports none: that of the file system of a store in files, else
    /// that of this machine.
    pub(crate) fn unreported_time(&self, name: &str) -> StoreTime {
        match &self.times {
            // Also if values cannot be written: the timestamps of locks are of the same clock.
            Some(times) => self
                .file_clock
                .measure(&self.clock, || times.current_time(name)),
            None => StoreTime::local(self.clock.now()),
        }
    }

    /// Returns a value and the store's time; `None` if the store failed or was skipped.
    pub(crate) fn read(&self, call: &CallContext, name: &str) -> Option<StoredValue> {
        self.guarded(call, Ability::Read, || {
            let Some(server) = &self.server else {
                let value = limited(self.store.get(name)?)?;
                return Ok(StoredValue { value, time: None });
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
            Ok(StoredValue { value, time })
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::auth::TokenCacheConfig;
    use crate::auth::tests::test_support::{MemoryStore, call, call_within};
    use crate::call::{CallOptions, Cancel};

    #[test]
    fn remote_store_is_skipped_for_calls_that_cannot_wait() {
        let store = Arc::new(MemoryStore::default());
        let stores = StoreChain::new(&store.config(), &Clock::Real).unwrap();
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

    #[test]
    fn store_that_cannot_write_still_locks_and_reads() {
        let store = Arc::new(MemoryStore::default());
        let stores = StoreChain::new(&store.config(), &Clock::Real).unwrap();
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
        let config = TokenCacheConfig::Custom(store.clone());
        let stores = StoreChain::new(&config, &Clock::Real).unwrap();
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
        let largest = vec![b'x'; MAX_VALUE_BYTES as usize];
        assert_eq!(limited(Some(largest.clone())).unwrap(), Some(largest));
        assert_eq!(limited(None).unwrap(), None);
        let too_large = vec![b'x'; MAX_VALUE_BYTES as usize + 1];
        let error = limited(Some(too_large)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
