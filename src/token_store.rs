//! The interface of token stores, which programs can implement.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::fork::fork_count;

/// Maximum size of a value that is read, in bytes; the library stores a few thousand.
pub(crate) const MAX_VALUE_BYTES: u64 = 1024 * 1024;

/// A store in which processes share tokens and rate limits: one of the library's, or a custom one.
///
/// Values are small, names consist of lower-case letters, digits and `-`. Both are safe to show:
/// names are digests, and values with a token are encrypted with a key derived from the client
/// secret. All other values hold only the rate limit of a token host.
///
/// Methods are called from several threads concurrently; the library holds no lock during a call. A
/// call cannot be interrupted: return within 250 ms, or API calls exceed their deadline. Dropping a
/// [`StoreLock`] must not block. The library skips the store for a call that is cancelled or has
/// less than 250 ms left; such a call sends no token request.
///
/// A store error never fails an API call, and a panic of the store is an error. After an error, the
/// library does not use the failed ability (lock, read or write) for 30 s; after an error whose kind
/// says that the store cannot be reached, none of the three.
///
/// ```
/// use std::collections::{HashMap, HashSet};
/// use std::io;
/// use std::sync::{Arc, Mutex, PoisonError};
/// use std::time::{Duration, Instant};
///
/// use camunda_admin::{AdminClient, StoreLock, TokenStore};
///
/// /// In memory, for the example. Another process could not see it.
/// #[derive(Default)]
/// struct Store {
///     values: Mutex<HashMap<String, (Vec<u8>, Instant)>>,
///     locked: Arc<Mutex<HashSet<String>>>,
/// }
///
/// struct Unlock {
///     locked: Arc<Mutex<HashSet<String>>>,
///     name: String,
/// }
///
/// impl Drop for Unlock {
///     fn drop(&mut self) {
///         let mut locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
///         locked.remove(&self.name);
///     }
/// }
///
/// impl TokenStore for Store {
///     fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
///         let values = self.values.lock().unwrap();
///         let value = values.get(name).filter(|(_, expiry)| Instant::now() < *expiry);
///         Ok(value.map(|(value, _)| value.clone()))
///     }
///
///     fn put(&self, name: &str, value: &[u8], ttl: Duration) -> io::Result<()> {
///         let value = (value.to_vec(), Instant::now() + ttl);
///         self.values.lock().unwrap().insert(name.to_owned(), value);
///         Ok(())
///     }
///
///     // No process but this one can hold a lock, so that no lock outlives its owner.
///     fn try_lock(&self, name: &str, _lease: Duration) -> io::Result<Option<StoreLock>> {
///         let is_free = self.locked.lock().unwrap().insert(name.to_owned());
///         Ok(is_free.then(|| {
///             StoreLock::new(Unlock { locked: self.locked.clone(), name: name.to_owned() })
///         }))
///     }
///
///     fn describe(&self) -> String {
///         "memory of the example".to_owned()
///     }
/// }
///
/// let admin = AdminClient::builder()
///     .client_id("my-client")
///     .client_secret("my-secret")
///     .token_store(Arc::new(Store::default()))
///     .build()?;
/// # Ok::<(), camunda_admin::Error>(())
/// ```
pub trait TokenStore: Send + Sync {
    /// Returns the value last put under this name; `None` if there is none, or it has expired.
    ///
    /// # Errors
    ///
    /// The store cannot be read. Handled as described for [`TokenStore`].
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>>;

    /// Stores a value under this name and replaces the previous one. Must be atomic: a concurrent
    /// reader gets either of them whole. The value expires after `ttl`; the store may then delete
    /// it.
    ///
    /// # Errors
    ///
    /// The store cannot be written. Handled as described for [`TokenStore`].
    fn put(&self, name: &str, value: &[u8], ttl: Duration) -> io::Result<()>;

    /// Takes the lock of this name without waiting; `None` if another owner holds it.
    ///
    /// Dropping the returned lock releases it. If the owner terminates without doing so, the store
    /// releases the lock: immediately if it can detect that, otherwise after `lease`. Locks and
    /// values have separate namespaces.
    ///
    /// # Errors
    ///
    /// The store cannot lock. Handled as described for [`TokenStore`].
    fn try_lock(&self, name: &str, lease: Duration) -> io::Result<Option<StoreLock>>;

    /// Returns the kind and location of the store, for logs and diagnostics; without passwords.
    fn describe(&self) -> String;
}

/// A lock of a [`TokenStore`], released when it is dropped by the process that took it.
///
/// A child that is forked while the lock is held does not release it: it belongs to the parent.
#[must_use = "the lock is released when it is dropped"]
pub struct StoreLock {
    /// Released when dropped; `None` only during `drop`.
    inner: Option<Box<dyn Send>>,
    fork_count: u32,
}

impl StoreLock {
    /// Takes ownership of a value that releases the lock when it is dropped.
    pub fn new(inner: impl Send + 'static) -> Self {
        StoreLock {
            inner: Some(Box::new(inner)),
            fork_count: fork_count(),
        }
    }
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        if self.fork_count != fork_count() {
            std::mem::forget(self.inner.take());
        }
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreLock")
    }
}
