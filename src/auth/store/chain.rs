//! The stores of one configuration, in the order of their use.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ring::digest;

use super::custom::CustomStore;
#[cfg(feature = "redis")]
use super::redis::RedisStore;
use super::{LockResult, SECOND_LOCK, Store, file};
use crate::auth::diagnostics::{StoreReport, StoreRole};
use crate::auth::time::Clock;
use crate::auth::{Fallback, StoreLock, StoreTls, TokenCacheConfig};
use crate::call::CallContext;
use crate::error::Error;
use crate::secret::Secret;

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
    pub(crate) fn new(config: &TokenCacheConfig, clock: &Clock) -> Result<Self, Error> {
        let files = match directory(config) {
            Some(directory) => Some(files(&directory, clock)),
            None => {
                if needs_directory(config) {
                    warn_once_without_home();
                }
                None
            }
        };
        let is_missing = files.is_none() && needs_directory(config);
        Ok(match config {
            TokenCacheConfig::Redis { url, tls, .. } => StoreChain {
                shared: Some(redis(url, tls, clock)?),
                fallback: files.map(|files| Store {
                    is_fallback: true,
                    ..files
                }),
                missing_files: is_missing.then_some(StoreRole::Fallback),
            },
            TokenCacheConfig::Custom(store) => StoreChain {
                shared: Some(Store::new(
                    Arc::new(CustomStore(Arc::clone(store))),
                    true,
                    clock,
                )),
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

    /// Creates a chain of a server, if any, and of files, if any.
    #[cfg(test)]
    pub(crate) fn simulated<T>(server: Option<Arc<T>>, files: Option<Arc<T>>, clock: &Clock) -> Self
    where
        T: crate::auth::TokenStore + super::ServerClock + super::Timestamps + 'static,
    {
        let server = server.map(|it| Store {
            server: Some(it.clone()),
            ..Store::new(it, true, clock)
        });
        let files = files.map(|it| Store {
            times: Some(it.clone()),
            is_fallback: server.is_some(),
            ..Store::new(it, false, clock)
        });
        let (shared, fallback) = match server {
            Some(server) => (Some(server), files),
            None => (files, None),
        };
        StoreChain {
            shared,
            fallback,
            missing_files: None,
        }
    }

    /// Returns the identity of the stores of a configuration. Contains no part of a URL.
    pub(crate) fn id(config: &TokenCacheConfig) -> StoreId {
        let shared = match config {
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
            directory: directory(config),
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

    /// Tries to take the lock of a name in each store that can lock.
    ///
    /// The fallback is locked even if the shared store works: another process of this host may not
    /// reach the shared store, or may not have noticed yet that it is back. It is locked first, so
    /// that processes of one host that wait for each other send nothing to the shared store.
    pub(crate) fn try_lock(&self, call: &CallContext, name: &str, lease: Duration) -> LockResult {
        let try_lock = |store: &Option<Store>| {
            let store = store.as_ref();
            store.map_or(LockResult::Failed, |it| it.try_lock(call, name, lease))
        };
        let fallback = try_lock(&self.fallback);
        if matches!(fallback, LockResult::Contended) {
            return LockResult::Contended;
        }
        match (try_lock(&self.shared), fallback) {
            (LockResult::Acquired(shared), LockResult::Acquired(fallback)) => {
                // Released in this order.
                LockResult::Acquired(StoreLock::new((shared, fallback)))
            }
            (LockResult::Failed, fallback) => fallback,
            (shared, _) => shared,
        }
    }

    /// As [`try_lock`](Self::try_lock) under a second name, for callers who no longer wait for the
    /// owner of the first: one of them at a time continues in its place.
    pub(crate) fn try_second_lock(
        &self,
        call: &CallContext,
        name: &str,
        lease: Duration,
    ) -> LockResult {
        self.try_lock(call, &format!("{name}{SECOND_LOCK}"), lease)
    }

    /// Returns whether the shared store is remote and lacks an ability: other hosts may then send
    /// requests at the same time.
    pub(crate) fn is_unavailable(&self) -> bool {
        let shared = self.shared.as_ref();
        shared.is_some_and(|store| store.is_remote && !store.is_usable())
    }

    /// Returns whether the shared store works, but the call has no time for its operations.
    pub(crate) fn is_skipped(&self, call: &CallContext) -> bool {
        self.shared
            .as_ref()
            .is_some_and(|store| store.is_usable() && !store.accepts(call))
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
fn directory(config: &TokenCacheConfig) -> Option<PathBuf> {
    match config {
        TokenCacheConfig::Directory(path)
        | TokenCacheConfig::Redis {
            fallback: Fallback::Directory(path),
            ..
        } => Some(path.clone()),
        _ if needs_directory(config) => default_directory(),
        _ => None,
    }
}

/// Returns whether a configuration uses the default directory.
fn needs_directory(config: &TokenCacheConfig) -> bool {
    matches!(
        config,
        TokenCacheConfig::Auto
            | TokenCacheConfig::Redis {
                fallback: Fallback::Auto,
                ..
            }
    )
}

/// Returns `$XDG_CACHE_HOME/camunda-admin` or `$HOME/.cache/camunda-admin`, on Windows
/// `%LOCALAPPDATA%\camunda-admin`; `None` if none of these variables is an absolute path.
///
/// The user database is not consulted: a lookup can wait for a server longer than a call may take, and
/// can block in a forked child; a program without an environment expects to touch no home directory.
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
    match RedisStore::new(url, tls.as_ref()) {
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

#[cfg(all(test, feature = "redis"))]
mod tests {
    use super::*;

    #[test]
    fn redis_without_files_has_no_fallback() {
        let chain = |fallback| {
            let config = TokenCacheConfig::Redis {
                url: Secret::from("redis://127.0.0.1"),
                fallback,
                tls: None,
            };
            StoreChain::new(&config, &Clock::Real).unwrap()
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
}
