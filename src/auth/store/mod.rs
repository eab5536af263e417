//! Where tokens are kept besides memory, so that processes and machines can share them.
//!
//! A store is a convenience, never a condition: whatever goes wrong with one is logged once, shows in
//! the diagnostics, and leaves the process on its own.

#[cfg(unix)]
mod file;
mod record_store;
#[cfg(feature = "redis")]
mod redis;

use std::env;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::TokenCacheConfig;
use super::record::{PaceTimes, RateLimitRecord};
use super::time::{Clock, Timestamp};
use crate::call::CallContext;
use crate::error::Error;
use crate::fork::{Mutex, MutexGuard, generation};
use crate::secret::Secret;

pub(crate) use record_store::{HeldLocks, MergedRecord, RecordStore, SHORT_LEASE};
#[cfg(all(test, feature = "redis"))]
pub(crate) use redis::RedisStore;

/// A place where processes share tokens: the caller's own, or one of the library's.
///
/// What is kept are small values under short names of small letters, digits and `-`. Both are safe
/// to show: names are digests, and values with a token in them are sealed with a key that is derived
/// from the client secret. Values without one hold only the pace of requests to a token host.
///
/// Methods are called by many threads at once, and never with a lock of the library cached. What they
/// do cannot be interrupted: none should block for longer than a caller would like to wait, a quarter
/// of a second, say, and dropping a lock not at all. None is called on behalf of a call that is
/// cancelled or has less time than that left; one that takes longer makes calls outlive their
/// deadline. Redis takes 250 ms at most. No error of theirs fails a call: after one, the
/// library does not lock, does not read or does not write for 30 s, whichever failed; after one whose
/// kind says that the store cannot be reached, none of the three.
pub trait TokenStore: Send + Sync {
    /// The value last put under this name. `None` where there is none, or none any more.
    ///
    /// # Errors
    ///
    /// Any, if the store cannot be read.
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Keeps a value under this name instead of the one before; a reader sees either of them whole.
    /// After `ttl` it is of no use any more and may go.
    ///
    /// # Errors
    ///
    /// Any, if the store cannot be written.
    fn put(&self, name: &str, value: &[u8], ttl: Duration) -> io::Result<()>;

    /// Takes the lock of this name, without waiting: `None` means that someone else has it.
    ///
    /// Dropping what it answers releases the lock. If the owner dies without doing so, the store
    /// releases it: at once where it can tell, after `lease` where it cannot. HeldLocks and values are
    /// apart, even where their names are the same.
    ///
    /// # Errors
    ///
    /// Any, if the store cannot lock. No token is written to it then, as nothing could keep an older
    /// token from replacing a newer one.
    fn try_lock(&self, name: &str, lease: Duration) -> io::Result<Option<StoreLock>>;

    /// What it is and where, for logs and diagnostics; without passwords.
    fn describe(&self) -> String;
}

/// A lock of a [`TokenStore`], released when it is dropped by the process that took it.
///
/// A child that is forked while the lock is held does not release it: it belongs to the parent.
pub struct StoreLock {
    /// `None` only while it is dropped.
    cached: Option<Box<dyn Send>>,
    generation: u32,
}

impl StoreLock {
    /// Takes over whatever releases the lock when it is dropped.
    pub fn new(cached: impl Send + 'static) -> Self {
        StoreLock {
            cached: Some(Box::new(cached)),
            generation: generation(),
        }
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        if self.generation != generation() {
            std::mem::forget(self.cached.take());
        }
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreLock")
    }
}

/// How long an ability of a store is not used after it failed.
const CIRCUIT_OPEN_TIME: Duration = Duration::from_secs(30);

/// How long a store in another process or machine may take to answer. It is not asked on behalf of a
/// call that has less time left.
const REMOTE_STORE_TIMEOUT: Duration = Duration::from_millis(250);

/// The stores of one choice, nearest first. None of them is asked for anything while it is failing.
#[derive(Debug, Default)]
pub(crate) struct StoreChain {
    tiers: Vec<StoreTier>,
}

impl StoreChain {
    /// The stores that a choice names. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), if the choice cannot be understood.
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
            tiers.extend(files(&directory).map(|(store, times)| StoreTier {
                times: Some(times),
                ..tier(store, false)
            }));
        } else if needs_directory(choice) {
            say_once_that_there_is_no_home();
        }
        match choice {
            TokenCacheConfig::Redis { url, .. } => tiers.push(tier(redis(url)?, true)),
            TokenCacheConfig::Custom(store) => tiers.push(tier(Arc::clone(store), true)),
            _ => {}
        }
        Ok(StoreChain { tiers })
    }

    /// Tells stores apart without telling what is in their addresses.
    pub(crate) fn id(choice: &TokenCacheConfig) -> StoreId {
        let store = match choice {
            TokenCacheConfig::Redis { url, .. } => digest_of(url.expose().as_bytes()),
            TokenCacheConfig::Custom(store) => format!("{:p}", Arc::as_ptr(store)),
            _ => String::new(),
        };
        StoreId {
            directory: directory(choice),
            store,
        }
    }

    /// Those that can be used now on behalf of a call.
    pub(crate) fn usable(&self, call: &CallContext) -> impl Iterator<Item = &StoreTier> {
        self.tiers.iter().filter(|tier| tier.accepts(call))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// Whether there are stores for other machines, none of which can be used now: then nothing
    /// keeps their requests apart from ours.
    pub(crate) fn all_remote_unavailable(&self) -> bool {
        let mut is_remote = self.tiers.iter().filter(|tier| tier.is_remote).peekable();
        is_remote.peek().is_some() && is_remote.all(|tier| !tier.is_usable())
    }

    /// The stores that fail now and why, for the error of a call that has to wait because of it.
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

/// The directory of a choice that has one.
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

/// Whether a choice leaves the directory to us.
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

/// `$XDG_CACHE_HOME/camunda-admin`, or `$HOME/.cache/camunda-admin`; `None` where neither variable
/// names an absolute path.
fn default_directory() -> Option<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(caches.join("camunda-admin"))
}

type Files = (Arc<dyn TokenStore>, Arc<dyn Timestamps>);

#[cfg(unix)]
fn files(directory: &Path) -> Option<Files> {
    let store = Arc::new(file::FileStore::new(directory));
    Some((store.clone(), store))
}

/// Who owns a file, and who else may read it, is not known how to tell elsewhere.
#[cfg(not(unix))]
fn files(_directory: &Path) -> Option<Files> {
    None
}

#[cfg(feature = "redis")]
fn redis(url: &Secret) -> Result<Arc<dyn TokenStore>, Error> {
    match redis::RedisStore::new(url) {
        Ok(store) => Ok(Arc::new(store)),
        Err(why) => Err(Error::config(format!(
            "the address of the token cache {why}"
        ))),
    }
}

#[cfg(not(feature = "redis"))]
fn redis(_url: &Secret) -> Result<Arc<dyn TokenStore>, Error> {
    Err(Error::config(
        "the token cache is a Redis, for which this library was built without support \
         (cargo feature `redis`)",
    ))
}

fn digest_of(text: &[u8]) -> String {
    format!("{:?}", ring::digest::digest(&ring::digest::SHA256, text))
}

/// A choice of stores by name, to be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoreId {
    directory: Option<PathBuf>,
    store: String,
}

/// Timestamps that a store can change without any space, beside its locks.
pub(crate) trait Timestamps: Send + Sync {
    /// Sets the timestamps of a lock that was taken before.
    fn set_times(&self, name: &str, times: PaceTimes) -> io::Result<()>;

    /// The timestamps of a lock; `None` if they were never set.
    fn times(&self, name: &str) -> io::Result<Option<PaceTimes>>;
}

/// What a store can do. Each may fail while the others work: a full disk can be locked and read.
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

/// One store and its health.
pub(crate) struct StoreTier {
    store: Arc<dyn TokenStore>,
    times: Option<Arc<dyn Timestamps>>,
    /// Whether it may take long to answer, and is shared by other machines.
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

/// Whether an error says that nothing of the store can be reached.
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

/// How an attempt to take a lock ended.
#[derive(Debug)]
pub(crate) enum LockResult {
    Acquired(StoreLock),
    /// Somebody else has it.
    Contended,
    /// The store cannot lock.
    Failed,
}

impl StoreTier {
    /// Whether it has all of its abilities.
    fn is_usable(&self) -> bool {
        Ability::ALL.into_iter().all(|ability| self.can(ability))
    }

    pub(crate) fn can(&self, ability: Ability) -> bool {
        self.health().can(ability, self.clock.now())
    }

    /// Whether it may be used on behalf of a call. Its operations cannot be interrupted, so a call
    /// that has to end, or would have to before the operation ends, does without.
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

    /// StoreChain the state of a rate limiter: as a value, or as timestamps where that cannot be
    /// written, so that the rate limit holds on a full disk.
    pub(crate) fn put_pace(
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

    /// The stored state of a rate limiter, in both of its forms.
    pub(crate) fn pace(
        &self,
        call: &CallContext,
        name: &str,
    ) -> (Option<RateLimitRecord>, Option<PaceTimes>) {
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

    /// Returns what the store is and where, without passwords.
    pub(crate) fn describe(&self) -> String {
        self.store.describe()
    }

    /// What the diagnostics say: where, whether it can be used, how often and why it could not.
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
        // Once as a warning; later failures are in the diagnostics.
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

/// The health of one store; see [`StoreTier::report`].
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

fn say_once_that_there_is_no_home() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        log::warn!(
            "neither XDG_CACHE_HOME nor HOME is set: tokens are not shared between processes"
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
    fn a_far_store_is_not_asked_by_a_call_that_cannot_wait_for_it() {
        let store = Arc::new(MemoryStore::default());
        let stores = StoreChain::new(&store.choice(), &Clock::Real).unwrap();
        let tier = stores.usable(&call()).next().expect("it can be used");
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
        // It would have failed.
        assert_eq!(tier.report(Clock::Real.now()).failures, 0);
        assert_eq!(tier.get(&call(), "a"), None);
        // After a failure it is not read any more, by any call.
        store.reads_fail.store(false, Ordering::SeqCst);
        assert_eq!(tier.get(&call(), "a"), None);
        assert_eq!(tier.report(Clock::Real.now()).failures, 1);
    }

    #[test]
    fn store_that_cannot_write_still_locks_and_reads() {
        let store = Arc::new(MemoryStore::default());
        let stores = StoreChain::new(&store.choice(), &Clock::Real).unwrap();
        let tier = stores.usable(&call()).next().expect("it can be used");
        assert!(tier.put(&call(), "a", b"1", REMOTE_STORE_TIMEOUT));
        store.writes_fail.store(true, Ordering::SeqCst);
        assert!(!tier.put(&call(), "a", b"2", REMOTE_STORE_TIMEOUT));
        assert!(!tier.can(Ability::Write));
        assert_eq!(tier.get(&call(), "a").as_deref(), Some(&b"1"[..]));
        let lock = tier.try_lock(&call(), "a", REMOTE_STORE_TIMEOUT);
        assert!(matches!(lock, LockResult::Acquired(_)), "{lock:?}");
        let report = tier.report(Clock::Real.now());
        assert!(!report.usable && report.can_lock && report.can_read && !report.can_write);
        assert!(stores.problem().unwrap().contains("as the test says"));
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
        let tier = stores.usable(&call()).next().expect("it can be used");
        assert_eq!(tier.get(&call(), "a"), None);
        assert!(!tier.put(&call(), "a", b"1", REMOTE_STORE_TIMEOUT));
        let lock = tier.try_lock(&call(), "a", REMOTE_STORE_TIMEOUT);
        assert!(matches!(lock, LockResult::Failed), "{lock:?}");
        assert_eq!(store.0.load(Ordering::SeqCst), 1);
        assert!(stores.all_remote_unavailable());
    }
}
