//! `camunda_token_store`: a custom token store, implemented by a table of C functions.

use std::ffi::{CStr, CString, c_char, c_void};
use std::io;
use std::mem::{MaybeUninit, offset_of};
use std::ptr;
use std::time::Duration;

use crate::auth::{MAX_VALUE_BYTES, StoreLock, TokenStore, millis};
use crate::error::{Error, Result};
use crate::ffi::boundary;
use crate::ffi::callback::camunda_write_fn;
use crate::ffi::errno::error_of;
use crate::ffi::shutdown::call_back;
use crate::fork::fork_count;

/// Reads the value of `name`: passes it to `write`, in one or several chunks, with `value` as the
/// `user` of `write`. Does not call `write` if there is no value or if it has expired. Returns 0 on
/// success, else an `errno` value.
pub type camunda_token_store_get_fn = Option<
    unsafe extern "C-unwind" fn(
        user: *mut c_void,
        name: *const c_char,
        write: camunda_write_fn,
        value: *mut c_void,
    ) -> i32,
>;

/// Stores `len` bytes under `name` and replaces the previous value. Must be atomic: a concurrent reader
/// gets the old or the new value, never a mix. The value expires after `ttl_ms` milliseconds; the store
/// may then delete it. Returns 0 on success, else an `errno` value.
pub type camunda_token_store_put_fn = Option<
    unsafe extern "C-unwind" fn(
        user: *mut c_void,
        name: *const c_char,
        data: *const c_char,
        len: usize,
        ttl_ms: u64,
    ) -> i32,
>;

/// Tries to acquire the lock of `name`, without blocking. On success, sets `*lock` to a non-NULL pointer,
/// which the library passes to camunda_token_store_unlock_fn. If another owner holds the lock, leaves
/// `*lock` NULL. Returns 0 in both cases, else an `errno` value.
///
/// If the owner terminates without releasing the lock, the store must release it: immediately if it can
/// detect that, else after `lease_ms` milliseconds. Locks and values have separate namespaces: a lock
/// and a value may have the same name.
pub type camunda_token_store_try_lock_fn = Option<
    unsafe extern "C-unwind" fn(
        user: *mut c_void,
        name: *const c_char,
        lease_ms: u64,
        lock: *mut *mut c_void,
    ) -> i32,
>;

/// Releases a lock. May run on a different thread than the one that acquired it.
pub type camunda_token_store_unlock_fn =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, lock: *mut c_void)>;

/// Returns a description of the store for logs and diagnostics, without passwords, NUL-terminated. The
/// library copies it in camunda_config_set_token_store().
pub type camunda_token_store_describe_fn =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> *const c_char>;

/// Returns the reason why the last function of the store that ran on this thread failed, NUL-terminated,
/// or NULL. It must be valid until this thread calls the next function of the store; the library copies
/// its first 500 characters.
pub type camunda_token_store_error_message_fn =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> *const c_char>;

/// Frees the resources of the store.
pub type camunda_token_store_free_fn = Option<unsafe extern "C-unwind" fn(user: *mut c_void)>;

/// Functions of a custom token store, for camunda_config_set_token_store(). The library passes the same
/// `user` to each.
///
/// Values are small (a few kilobytes). Names consist of lower-case letters, digits and `-`. Neither
/// needs protection: names are digests, and values that contain a token are encrypted
/// (ChaCha20-Poly1305) with a key that is derived from the client secret.
///
/// The functions are called from several threads concurrently, and in forked children of the process.
/// They must not throw or longjmp, nor use the camunda_config whose function calls them. A call cannot be
/// interrupted: return within 250 ms, or API calls exceed their deadline. A call with less than 250 ms left
/// does not use the store, and sends no token request.
///
/// An error never fails an API call. After an error the library does not use the function that failed
/// for 30 s; after one such as ETIMEDOUT or ECONNREFUSED, it uses none of `get`, `put` and `try_lock`.
/// The first error is logged as a warning; camunda_admin_diagnostics() has the last one of each function.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct camunda_token_store {
    /// sizeof(camunda_token_store). Later versions of the library use it to detect missing functions.
    pub size: usize,
    /// Reads a value. Required.
    pub get: camunda_token_store_get_fn,
    /// Stores a value. Required.
    pub put: camunda_token_store_put_fn,
    /// Acquires a lock. Required.
    pub try_lock: camunda_token_store_try_lock_fn,
    /// Releases a lock. Required.
    pub unlock: camunda_token_store_unlock_fn,
    /// Describes the store. May be NULL.
    pub describe: camunda_token_store_describe_fn,
    /// Called once, after the settings and all clients that use the store are freed; not in a forked
    /// child. May be NULL.
    pub free: camunda_token_store_free_fn,
    /// Describes the error of `get`, `put` or `try_lock` for logs and diagnostics, without passwords. Called
    /// right after a function returned an `errno` value, on the same thread. May be NULL: the error is then
    /// described as strerror() does.
    pub error_message: camunda_token_store_error_message_fn,
}

/// Size of a table that has all required functions. A program that was compiled for an earlier version
/// lacks the fields which later ones append; they are NULL.
const MIN_SIZE: usize =
    offset_of!(camunda_token_store, free) + size_of::<camunda_token_store_free_fn>();

/// The functions of a table and their `user` pointer.
pub(super) struct Store {
    get: unsafe extern "C-unwind" fn(
        *mut c_void,
        *const c_char,
        camunda_write_fn,
        *mut c_void,
    ) -> i32,
    put: unsafe extern "C-unwind" fn(*mut c_void, *const c_char, *const c_char, usize, u64) -> i32,
    try_lock: unsafe extern "C-unwind" fn(*mut c_void, *const c_char, u64, *mut *mut c_void) -> i32,
    unlock: unsafe extern "C-unwind" fn(*mut c_void, *mut c_void),
    free: camunda_token_store_free_fn,
    error_message: camunda_token_store_error_message_fn,
    user: *mut c_void,
    description: String,
    /// Fork count of the process that created the store; only this process calls `free`.
    fork_count: u32,
}

// SAFETY: the library passes the pointer only to the caller's functions, which must be thread-safe
// according to camunda_token_store.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// # Safety
    /// `table` is NULL or points to `size` bytes. Its functions can be called with `user` until `free`
    /// is called.
    pub(super) unsafe fn new(table: *const camunda_token_store, user: *mut c_void) -> Result<Self> {
        if table.is_null() {
            return Err(boundary::null("store"));
        }
        // SAFETY: guaranteed by the caller. The other fields may be missing.
        let size = unsafe { ptr::addr_of!((*table).size).read() };
        if size < MIN_SIZE || !size.is_multiple_of(size_of::<usize>()) {
            return Err(Error::invalid_argument(format!(
                "store->size is {size}; expected sizeof(camunda_token_store), which is {}",
                size_of::<camunda_token_store>()
            )));
        }
        let known = size.min(size_of::<camunda_token_store>());
        let mut copy = MaybeUninit::<camunda_token_store>::zeroed();
        // SAFETY: the caller guarantees `size` bytes; the copy has at least `known`. A function whose bytes
        // are zero is `None`.
        let table = unsafe {
            ptr::copy_nonoverlapping(table.cast::<u8>(), copy.as_mut_ptr().cast(), known);
            copy.assume_init()
        };
        let missing = |name| Error::invalid_argument(format!("store->{name} is NULL"));
        let mut store = Store {
            get: table.get.ok_or_else(|| missing("get"))?,
            put: table.put.ok_or_else(|| missing("put"))?,
            try_lock: table.try_lock.ok_or_else(|| missing("try_lock"))?,
            unlock: table.unlock.ok_or_else(|| missing("unlock"))?,
            // Set last: after an error the caller still owns the store.
            free: None,
            error_message: table.error_message,
            user,
            description: String::from("custom token store"),
            fork_count: fork_count(),
        };
        if let Some(describe) = table.describe {
            // SAFETY: the caller guarantees that `user` is valid for this function.
            let text = call_back(|| unsafe { describe(user) }).unwrap_or(ptr::null());
            // SAFETY: the caller guarantees that it is NULL or NUL-terminated until the next call.
            store.description =
                unsafe { boundary::text("the return value of store->describe", text) }?.into();
        }
        store.free = table.free;
        Ok(store)
    }

    /// Converts the return value of `get`, `put` or `try_lock`; `None` if the function was not called.
    fn checked(&self, returned: Option<i32>) -> io::Result<()> {
        let error = match returned {
            Some(0) => return Ok(()),
            Some(errno) if errno > 0 => error_of(errno),
            Some(other) => io::Error::other(format!("token store function returned {other}")),
            None => return Err(io::Error::other("the client is shut down")),
        };
        Err(match self.last_error_message() {
            Some(message) => io::Error::new(error.kind(), message),
            None => error,
        })
    }

    /// Returns why the function that was just called failed, if the store says so.
    fn last_error_message(&self) -> Option<String> {
        let error_message = self.error_message?;
        // SAFETY: the caller guarantees that `user` is valid for this function.
        let text = call_back(|| unsafe { error_message(self.user) })?;
        if text.is_null() {
            return None;
        }
        // SAFETY: the caller guarantees that it is NUL-terminated until the next call on this thread.
        let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
        // Part of log records and error messages, which have one line.
        let of_one_line = |c: char| if c.is_control() { ' ' } else { c };
        let message: String = text
            .trim()
            .chars()
            .take(MAX_MESSAGE_CHARS)
            .map(of_one_line)
            .collect();
        (!message.is_empty()).then_some(message)
    }
}

/// Maximum number of characters of an error message of a store.
const MAX_MESSAGE_CHARS: usize = 500;

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(free) = self.free
            && self.fork_count == fork_count()
        {
            // SAFETY: the caller guarantees that `user` is valid for this function. No other thread uses it.
            call_back(|| unsafe { free(self.user) });
        }
    }
}

impl TokenStore for Store {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let name = CString::new(name)?;
        let mut value = None;
        let into: *mut Option<Vec<u8>> = &mut value;
        // SAFETY: the caller guarantees that `user` is valid for this function; `into` is what `append`
        // requires.
        self.checked(call_back(|| unsafe {
            (self.get)(self.user, name.as_ptr(), Some(append), into.cast())
        }))?;
        Ok(value)
    }

    fn put(&self, name: &str, value: &[u8], ttl: Duration) -> io::Result<()> {
        let name = CString::new(name)?;
        let data = value.as_ptr().cast();
        // SAFETY: the caller guarantees that `user` is valid for this function.
        self.checked(call_back(|| unsafe {
            (self.put)(self.user, name.as_ptr(), data, value.len(), millis(ttl))
        }))
    }

    fn try_lock(&self, name: &str, lease: Duration) -> io::Result<Option<StoreLock>> {
        let name = CString::new(name)?;
        let mut lock = ptr::null_mut();
        let out = &raw mut lock;
        // SAFETY: the caller guarantees that `user` is valid for this function.
        self.checked(call_back(|| unsafe {
            (self.try_lock)(self.user, name.as_ptr(), millis(lease), out)
        }))?;
        Ok((!lock.is_null()).then(|| {
            StoreLock::new(HeldLock {
                unlock: self.unlock,
                user: self.user,
                lock,
            })
        }))
    }

    fn describe(&self) -> String {
        self.description.clone()
    }
}

/// An acquired lock. The library drops it before its store.
struct HeldLock {
    unlock: unsafe extern "C-unwind" fn(*mut c_void, *mut c_void),
    user: *mut c_void,
    lock: *mut c_void,
}

// SAFETY: as for `Store`.
unsafe impl Send for HeldLock {}

impl Drop for HeldLock {
    fn drop(&mut self) {
        // SAFETY: the caller guarantees that `user` is valid for this function. The lock is released once.
        call_back(|| unsafe { (self.unlock)(self.user, self.lock) });
    }
}

/// The `write` callback of `get`: appends a chunk to the value.
unsafe extern "C-unwind" fn append(value: *mut c_void, data: *const c_char, len: usize) -> i32 {
    // SAFETY: `Store::get` passes this pointer, and does not use it during the call.
    let Some(value) = (unsafe { value.cast::<Option<Vec<u8>>>().as_mut() }) else {
        return -1;
    };
    let value = value.get_or_insert_default();
    let room = MAX_VALUE_BYTES - value.len() as u64;
    if len as u64 > room || (data.is_null() && len > 0) {
        return -1;
    }
    if len > 0 {
        // SAFETY: the caller passes `len` bytes.
        value.extend_from_slice(unsafe { std::slice::from_raw_parts(data.cast(), len) });
    }
    0
}
