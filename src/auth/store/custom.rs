//! A custom store whose panics are errors: a store never fails a call that the token endpoint can serve,
//! and no token that was fetched is lost.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::token_store::{StoreLock, TokenStore};

pub(super) struct CustomStore(pub(super) Arc<dyn TokenStore>);

impl TokenStore for CustomStore {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        caught("get", || self.0.get(name))?
    }

    fn put(&self, name: &str, value: &[u8], ttl: Duration) -> io::Result<()> {
        caught("put", || self.0.put(name, value, ttl))?
    }

    fn try_lock(&self, name: &str, lease: Duration) -> io::Result<Option<StoreLock>> {
        let lock = caught("try_lock", || self.0.try_lock(name, lease))??;
        Ok(lock.map(|lock| StoreLock::new(CustomLock(Some(lock)))))
    }

    fn describe(&self) -> String {
        caught("describe", || self.0.describe()).unwrap_or_else(|error| format!("custom: {error}"))
    }
}

/// A lock whose release may panic: two of them are dropped together, and a second panic would abort the
/// process.
struct CustomLock(Option<StoreLock>);

impl Drop for CustomLock {
    fn drop(&mut self) {
        let lock = self.0.take();
        if let Err(error) = caught("drop of the lock", || drop(lock)) {
            log::warn!(
                "token store lock not released: error={:?}",
                error.to_string()
            );
        }
    }
}

/// Runs a function of a custom store. The panic hook has shown its panic already.
fn caught<T>(function: &str, run: impl FnOnce() -> T) -> io::Result<T> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|panic| io::Error::other(format!("{function} panicked: {}", message(&*panic))))
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Panics in one of its functions.
    struct Panicking(&'static str);

    impl Panicking {
        fn reached(&self, function: &str) {
            assert_ne!(self.0, function, "by the test");
        }
    }

    struct Lock(bool);

    impl Drop for Lock {
        fn drop(&mut self) {
            assert!(!self.0, "by the test");
        }
    }

    impl TokenStore for Panicking {
        fn get(&self, _: &str) -> io::Result<Option<Vec<u8>>> {
            self.reached("get");
            Ok(Some(b"value".to_vec()))
        }
        fn put(&self, _: &str, _: &[u8], _: Duration) -> io::Result<()> {
            self.reached("put");
            Ok(())
        }
        fn try_lock(&self, _: &str, _: Duration) -> io::Result<Option<StoreLock>> {
            self.reached("try_lock");
            Ok(Some(StoreLock::new(Lock(self.0 == "drop"))))
        }
        fn describe(&self) -> String {
            self.reached("describe");
            "panicking".to_owned()
        }
    }

    #[test]
    fn panic_of_a_custom_store_is_an_error_that_names_the_function() {
        for function in ["get", "put", "try_lock", "describe", "drop", "none"] {
            let store = CustomStore(Arc::new(Panicking(function)));
            let lease = Duration::from_secs(1);
            let lock = store
                .try_lock("a", lease)
                .map(|lock| drop((lock, store.try_lock("b", lease))));
            let results = [
                (
                    "get",
                    store
                        .get("a")
                        .map(|value| assert_eq!(value.as_deref(), Some(&b"value"[..]))),
                ),
                ("put", store.put("a", b"b", lease)),
                ("try_lock", lock),
            ];
            for (name, result) in results {
                let error = result.err().map(|error| error.to_string());
                match name == function {
                    true => assert!(
                        error.unwrap().starts_with(&format!("{name} panicked: ")),
                        "{name}"
                    ),
                    false => assert_eq!(error, None, "{name} of {function}"),
                }
            }
            let description = store.describe();
            assert_eq!(
                description.starts_with("custom: describe panicked: "),
                function == "describe"
            );
        }
    }
}
