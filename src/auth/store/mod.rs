//! Where tokens are kept besides memory, so that processes and machines can share them.
//!
//! A store is a convenience, never a condition: whatever goes wrong with one is logged once, shows in
//! the diagnostics, and leaves the process on its own.

#[cfg(unix)]
mod file;
mod vault;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::TokenCacheChoice;
use super::time::{Clock, Moment};

#[cfg(unix)]
pub(crate) use file::close_inherited_locks;
pub(crate) use vault::{Locks, Vault};

/// A place where processes share tokens: the caller's own, or one of the library's.
///
/// What is kept are small values under short names of small letters, digits and `-`. Both are safe
/// to show: names are digests, and values with a token in them are sealed with a key that is derived
/// from the client secret. Values without one hold only the pace of requests to a token host.
///
/// Methods are called by many threads at once, and never with a lock of the library held. None
/// should block for longer than a caller would like to wait, a quarter of a second, say. Whatever
/// they answer, no call fails because of it: after an error the store is left alone for half a
/// minute.
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

/// A lock of a [`TokenStore`], released when it is dropped.
pub struct StoreLock {
    _held: Box<dyn Send>,
}

impl StoreLock {
    /// Takes over whatever releases the lock when it is dropped.
    pub fn new(held: impl Send + 'static) -> Self {
        StoreLock {
            _held: Box::new(held),
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

/// The stores of one choice, nearest first. None of them is asked for anything while it is failing.
#[derive(Debug, Default)]
pub(crate) struct Stores {
    tiers: Vec<Tier>,
}

impl Stores {
    /// The stores that a choice names. Nothing is opened yet.
    pub(crate) fn new(choice: &TokenCacheChoice, clock: &Clock) -> Self {
        let store: Arc<dyn TokenStore> = match choice {
            TokenCacheChoice::Memory => return Stores::default(),
            #[cfg(unix)]
            TokenCacheChoice::Directory(path) => Arc::new(file::FileStore::new(path)),
            #[cfg(unix)]
            TokenCacheChoice::Auto => match file::default_directory() {
                Some(path) => Arc::new(file::FileStore::new(&path)),
                None => {
                    say_once_that_there_is_no_home();
                    return Stores::default();
                }
            },
            #[cfg(not(unix))]
            TokenCacheChoice::Directory(_) | TokenCacheChoice::Auto => return Stores::default(),
            TokenCacheChoice::Custom(store) => Arc::clone(store),
        };
        Stores {
            tiers: vec![Tier::new(store, clock)],
        }
    }

    /// Tells stores apart without telling what is in their addresses.
    pub(crate) fn id(choice: &TokenCacheChoice) -> StoreId {
        let directory = |path: &std::path::Path| format!("files {}", path.display());
        StoreId(match choice {
            TokenCacheChoice::Memory => "memory".to_owned(),
            TokenCacheChoice::Directory(path) => directory(path),
            #[cfg(unix)]
            TokenCacheChoice::Auto => match file::default_directory() {
                Some(path) => directory(&path),
                None => "memory".to_owned(),
            },
            #[cfg(not(unix))]
            TokenCacheChoice::Auto => "memory".to_owned(),
            TokenCacheChoice::Custom(store) => format!("custom {:p}", Arc::as_ptr(store)),
        })
    }

    /// Those that can be used now.
    pub(crate) fn usable(&self) -> impl Iterator<Item = &Tier> {
        self.tiers.iter().filter(|tier| tier.is_usable())
    }

    pub(crate) fn all(&self) -> &[Tier] {
        &self.tiers
    }
}

/// A choice of stores by name, to be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoreId(String);

/// One store, and how it is doing.
pub(crate) struct Tier {
    store: Arc<dyn TokenStore>,
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
    fn new(store: Arc<dyn TokenStore>, clock: &Clock) -> Self {
        Tier {
            store,
            clock: clock.clone(),
            health: Mutex::default(),
        }
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.clock.now().mono >= self.health().left_alone_until
    }

    pub(crate) fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.minded(self.store.get(name)).flatten()
    }

    pub(crate) fn put(&self, name: &str, value: &[u8], keep: Duration) -> bool {
        self.minded(self.store.put(name, value, keep)).is_some()
    }

    pub(crate) fn try_lock(&self, name: &str, lease: Duration) -> Locked {
        match self.minded(self.store.try_lock(name, lease)) {
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

    fn minded<T>(&self, result: io::Result<T>) -> Option<T> {
        let error = match result {
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

    fn health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(unix)]
fn say_once_that_there_is_no_home() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        log::warn!(
            "neither XDG_CACHE_HOME nor HOME is set: tokens are not shared between processes"
        );
    }
}
