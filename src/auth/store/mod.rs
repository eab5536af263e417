//! Where tokens are kept besides memory, so that processes and machines can share them.
//!
//! A store is a convenience, never a condition: whatever goes wrong with one is logged once, shows in
//! the diagnostics, and leaves the process on its own.

#[cfg(unix)]
mod file;
#[cfg(feature = "redis")]
mod redis;
mod vault;

use std::env;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::TokenCacheChoice;
use super::time::{Clock, Moment};
use crate::call::Call;
use crate::error::Error;
use crate::fork::{Mutex, MutexGuard, generation};
use crate::secret::Secret;

#[cfg(all(test, feature = "redis"))]
pub(crate) use redis::RedisStore;
pub(crate) use vault::{Known, Locks, MOMENT, Vault};

/// A place where processes share tokens: the caller's own, or one of the library's.
///
/// What is kept are small values under short names of small letters, digits and `-`. Both are safe
/// to show: names are digests, and values with a token in them are sealed with a key that is derived
/// from the client secret. Values without one hold only the pace of requests to a token host.
///
/// Methods are called by many threads at once, and never with a lock of the library held. What they
/// do cannot be interrupted: none should block for longer than a caller would like to wait, a quarter
/// of a second, say, and dropping a lock not at all. None is called on behalf of a call that is
/// cancelled or has less time than that left; one that takes longer makes calls outlive their
/// deadline. Redis takes 250 ms at most. Whatever they answer, no call fails because of it: after an
/// error the store is left alone for half a minute.
pub trait TokenStore: Send + Sync {
    /// The value last put under this name. `None` where there is none, or none any more.
    ///
    /// # Errors
    ///
    /// Any, if the store cannot be read.
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Keeps a value under this name instead of the one before; a reader sees either of them whole.
    /// After `keep` it is of no use any more and may go.
    ///
    /// # Errors
    ///
    /// Any, if the store cannot be written.
    fn put(&self, name: &str, value: &[u8], keep: Duration) -> io::Result<()>;

    /// Takes the lock of this name, without waiting: `None` means that someone else has it.
    ///
    /// Dropping what it answers releases the lock. If the owner dies without doing so, the store
    /// releases it: at once where it can tell, after `lease` where it cannot. Locks and values are
    /// apart, even where their names are the same.
    ///
    /// # Errors
    ///
    /// Any, if the store cannot lock. It is not written to then, as nothing could keep an older
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
    held: Option<Box<dyn Send>>,
    generation: u32,
}

impl StoreLock {
    /// Takes over whatever releases the lock when it is dropped.
    pub fn new(held: impl Send + 'static) -> Self {
        StoreLock {
            held: Some(Box::new(held)),
            generation: generation(),
        }
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        if self.generation != generation() {
            std::mem::forget(self.held.take());
        }
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreLock")
    }
}

/// How long a store is left alone after it failed.
const LEFT_ALONE: Duration = Duration::from_secs(30);

/// How long a store in another process or machine may take to answer. It is not asked on behalf of a
/// call that has less time left.
const FAR_PATIENCE: Duration = Duration::from_millis(250);

/// The stores of one choice, nearest first. None of them is asked for anything while it is failing.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    tiers: Vec<Tier>,
}

impl Stores {
    /// The stores that a choice names. Nothing is opened yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), if the choice cannot be understood.
    pub(crate) fn new(choice: &TokenCacheChoice, clock: &Clock) -> Result<Self, Error> {
        let tier = |store, far| Tier {
            store,
            far,
            clock: clock.clone(),
            health: Mutex::default(),
        };
        let mut tiers = Vec::new();
        if let Some(directory) = directory(choice) {
            tiers.extend(files(&directory).map(|store| tier(store, false)));
        } else if needs_directory(choice) {
            say_once_that_there_is_no_home();
        }
        match choice {
            TokenCacheChoice::Redis { url, .. } => tiers.push(tier(redis(url)?, true)),
            TokenCacheChoice::Custom(store) => tiers.push(tier(Arc::clone(store), true)),
            _ => {}
        }
        Ok(Stores { tiers })
    }

    /// Tells stores apart without telling what is in their addresses.
    pub(crate) fn id(choice: &TokenCacheChoice) -> StoreId {
        let store = match choice {
            TokenCacheChoice::Redis { url, .. } => digest_of(url.expose().as_bytes()),
            TokenCacheChoice::Custom(store) => format!("{:p}", Arc::as_ptr(store)),
            _ => String::new(),
        };
        StoreId {
            directory: directory(choice),
            store,
        }
    }

    /// Those that can be used now on behalf of a call.
    pub(crate) fn usable(&self, call: &Call) -> impl Iterator<Item = &Tier> {
        self.tiers.iter().filter(|tier| tier.serves(call))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// Whether there are stores for other machines, none of which can be used now: then nothing
    /// keeps their requests apart from ours.
    pub(crate) fn is_cut_off(&self) -> bool {
        let mut far = self.tiers.iter().filter(|tier| tier.far).peekable();
        far.peek().is_some() && far.all(|tier| !tier.is_usable())
    }

    pub(crate) fn reports(&self, now: Moment) -> impl Iterator<Item = StoreReport> {
        self.tiers.iter().map(move |tier| tier.report(now))
    }
}

/// The directory of a choice that has one.
fn directory(choice: &TokenCacheChoice) -> Option<PathBuf> {
    match choice {
        TokenCacheChoice::Directory(path)
        | TokenCacheChoice::Redis {
            directory: Some(path),
            ..
        } => Some(path.clone()),
        _ if needs_directory(choice) => default_directory(),
        _ => None,
    }
}

/// Whether a choice leaves the directory to us.
fn needs_directory(choice: &TokenCacheChoice) -> bool {
    matches!(
        choice,
        TokenCacheChoice::Auto
            | TokenCacheChoice::Redis {
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

#[cfg(unix)]
fn files(directory: &Path) -> Option<Arc<dyn TokenStore>> {
    Some(Arc::new(file::FileStore::new(directory)))
}

/// Who owns a file, and who else may read it, is not known how to tell elsewhere.
#[cfg(not(unix))]
fn files(_directory: &Path) -> Option<Arc<dyn TokenStore>> {
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

/// One store, and how it is doing.
pub(crate) struct Tier {
    store: Arc<dyn TokenStore>,
    /// Whether it may take long to answer, and is shared by other machines.
    far: bool,
    clock: Clock,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    /// Monotonic; zero if it never failed.
    left_alone_until: Duration,
    failures: u64,
    last_error: Option<String>,
}

/// How an attempt to take a lock ended.
#[derive(Debug)]
pub(crate) enum Locked {
    Taken(StoreLock),
    /// Somebody else has it.
    Busy,
    /// The store cannot lock.
    Unusable,
}

impl Tier {
    pub(crate) fn is_usable(&self) -> bool {
        self.clock.now().mono >= self.health().left_alone_until
    }

    /// Whether it may be asked on behalf of a call. What it is asked cannot be interrupted, so a
    /// call that has to end, or would have to before the answer, does without.
    fn serves(&self, call: &Call) -> bool {
        let in_time = || call.check().is_ok() && call.remaining() >= FAR_PATIENCE;
        self.is_usable() && (!self.far || in_time())
    }

    pub(crate) fn get(&self, call: &Call, name: &str) -> Option<Vec<u8>> {
        self.minded(call, || self.store.get(name)).flatten()
    }

    pub(crate) fn put(&self, call: &Call, name: &str, value: &[u8], keep: Duration) {
        self.minded(call, || self.store.put(name, value, keep));
    }

    pub(crate) fn try_lock(&self, call: &Call, name: &str, lease: Duration) -> Locked {
        match self.minded(call, || self.store.try_lock(name, lease)) {
            Some(Some(lock)) => Locked::Taken(lock),
            Some(None) => Locked::Busy,
            None => Locked::Unusable,
        }
    }

    /// What the diagnostics say: where, whether it can be used, how often and why it could not.
    pub(crate) fn report(&self, now: Moment) -> StoreReport {
        let health = self.health();
        StoreReport {
            store: self.store.describe(),
            usable: now.mono >= health.left_alone_until,
            failures: health.failures,
            last_error: health.last_error.clone(),
        }
    }

    /// Asks the store if it serves this call, and minds if it fails.
    fn minded<T>(&self, call: &Call, ask: impl FnOnce() -> io::Result<T>) -> Option<T> {
        // Each time, as one call asks for several things in a row.
        if !self.serves(call) {
            return None;
        }
        let error = match ask() {
            Ok(value) => return Some(value),
            Err(error) => error.to_string(),
        };
        let now = self.clock.now();
        let first = {
            let mut health = self.health();
            health.left_alone_until = now.mono.saturating_add(LEFT_ALONE);
            health.failures += 1;
            health.last_error = Some(error.clone());
            health.failures == 1
        };
        // Once; what comes later is in the diagnostics.
        if first {
            log::warn!(
                "tokens are not shared for now: {}: {error}",
                self.store.describe()
            );
        } else {
            log::debug!(
                "tokens are not shared for now: {}: {error}",
                self.store.describe()
            );
        }
        None
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock()
    }
}

impl fmt::Debug for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier")
            .field("store", &self.store.describe())
            .finish_non_exhaustive()
    }
}

/// The health of one store; see [`Tier::report`].
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct StoreReport {
    pub(crate) store: String,
    pub(crate) usable: bool,
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
    use crate::auth::testing::{MemoryStore, call, call_within};
    use crate::call::{CallOptions, Cancel};

    #[test]
    fn a_far_store_is_not_asked_by_a_call_that_cannot_wait_for_it() {
        let store = Arc::new(MemoryStore::default());
        let stores = Stores::new(&store.choice(), &Clock::Real).unwrap();
        let tier = stores.usable(&call()).next().expect("it can be used");
        let cancel = Cancel::new();
        cancel.cancel();
        let cancelled = Call::start(
            &CallOptions::new().cancel(cancel),
            Duration::from_secs(3600),
        );
        store.everything_fails(true);
        for call in [&cancelled, &call_within(FAR_PATIENCE)] {
            assert_eq!(stores.usable(call).count(), 0);
            assert_eq!(tier.get(call, "a"), None);
            tier.put(call, "a", b"1", FAR_PATIENCE);
            assert!(matches!(
                tier.try_lock(call, "a", FAR_PATIENCE),
                Locked::Unusable
            ));
        }
        // It would have failed.
        assert_eq!(tier.report(Clock::Real.now()).failures, 0);
        assert_eq!(tier.get(&call(), "a"), None);
        // After a failure nothing more is asked, by whoever.
        store.reads_fail.store(false, Ordering::SeqCst);
        tier.put(&call(), "a", b"1", FAR_PATIENCE);
        assert_eq!(tier.report(Clock::Real.now()).failures, 1);
    }
}
