//! A token store of the caller's own in C: a table of functions behind the trait of the library.

use std::ffi::{CString, c_char, c_void};
use std::io;
use std::ptr;
use std::time::Duration;

use crate::auth::{StoreLock, TokenStore, millis};
use crate::error::{Error, Result};
use crate::ffi::boundary;
use crate::ffi::operation::camunda_write_fn;
use crate::ffi::shutdown::call_back;
use crate::fork::generation;

/// Reads the value last put under `name`: hands it to `write` together with `value`, in one piece or
/// several; does not call it where there is none, or none any more.
pub type camunda_token_store_get_fn = Option<
    unsafe extern "C-unwind" fn(
        user: *mut c_void,
        name: *const c_char,
        write: camunda_write_fn,
        value: *mut c_void,
    ) -> i32,
>;

/// Keeps `len` bytes under `name` instead of what was there; a reader sees either of them whole.
/// After `ttl_ms` milliseconds they are of no use any more and may go.
pub type camunda_token_store_put_fn = Option<
    unsafe extern "C-unwind" fn(
        user: *mut c_void,
        name: *const c_char,
        data: *const c_char,
        len: usize,
        ttl_ms: u64,
    ) -> i32,
>;

/// Takes the lock of `name`, without waiting: `*lock` gets what camunda_token_store_unlock_fn will be
/// given, not NULL; it is left as it is, NULL, where someone else has the lock.
///
/// If the owner dies without releasing it, the store does: at once where it can tell, after
/// `lease_ms` milliseconds where it cannot. HeldLocks and values are apart, even where their names are
/// the same.
pub type camunda_token_store_try_lock_fn = Option<
    unsafe extern "C-unwind" fn(
        user: *mut c_void,
        name: *const c_char,
        lease_ms: u64,
        lock: *mut *mut c_void,
    ) -> i32,
>;

/// Releases a lock. May run on another thread than the one that took it.
pub type camunda_token_store_unlock_fn =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, lock: *mut c_void)>;

/// Says what the store is and where, for logs and diagnostics, without passwords. The text is copied
/// when the store is set.
pub type camunda_token_store_describe_fn =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void) -> *const c_char>;

/// Frees what belongs to the store.
pub type camunda_token_store_free_fn = Option<unsafe extern "C-unwind" fn(user: *mut c_void)>;

/// A token store of the program's own, for camunda_config_set_token_store: what its functions do,
/// each given the same `user`.
///
/// What is kept are small values (a few kilobytes) under short names of small letters, digits and
/// `-`. Both are safe to show: names are digests, and values with a token in them are sealed with a
/// key that is derived from the client secret.
///
/// The functions are called by many threads at once, and in forked children of the process. None
/// should block for longer than a caller would like to wait, a quarter of a second, say; none may
/// throw or jump out. Those that return a number return 0, or an `errno` that says what went wrong:
/// no call fails because of it. After an error the library does not lock, does not read or does not
/// write for 30 s, whichever failed; after one such as ETIMEDOUT or ECONNREFUSED, none of the three.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct camunda_token_store {
    /// sizeof(camunda_token_store), so that a library with more functions knows which are there.
    pub size: usize,
    /// Reads a value. Needed.
    pub get: camunda_token_store_get_fn,
    /// Keeps a value. Needed.
    pub put: camunda_token_store_put_fn,
    /// Takes a lock. Needed.
    pub try_lock: camunda_token_store_try_lock_fn,
    /// Releases a lock. Needed.
    pub unlock: camunda_token_store_unlock_fn,
    /// Says what it is. May be NULL.
    pub describe: camunda_token_store_describe_fn,
    /// Called once, when neither the settings nor a client made from them are left that use the
    /// store; not in a forked child. May be NULL.
    pub free: camunda_token_store_free_fn,
}

/// More than any value that the library puts.
const MAX_VALUE_BYTES: usize = 1024 * 1024;

/// The functions of a table, with what they are given.
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
    user: *mut c_void,
    description: String,
    /// The process that `free` belongs to.
    generation: u32,
}

// SAFETY: the pointer is only ever passed back to the caller's own functions, which the documentation
// of camunda_token_store asks to bear being called from any thread.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// # Safety
    /// `table` is NULL or points to as many bytes as its `size` says, which describe functions that
    /// may be called with `user` until `free` is.
    pub(super) unsafe fn new(table: *const camunda_token_store, user: *mut c_void) -> Result<Self> {
        if table.is_null() {
            return Err(boundary::null("store"));
        }
        // SAFETY: as the caller promises; the rest may not be there.
        let size = unsafe { ptr::addr_of!((*table).size).read() };
        if size < size_of::<camunda_token_store>() {
            return Err(Error::invalid_argument(format!(
                "store->size is {size}, not sizeof(camunda_token_store), which is {}",
                size_of::<camunda_token_store>()
            )));
        }
        // SAFETY: it is long enough, as was seen. What a later version has beyond is not needed here.
        let table = unsafe { table.read() };
        let missing = |name| Error::invalid_argument(format!("store->{name} is NULL"));
        let mut store = Store {
            get: table.get.ok_or_else(|| missing("get"))?,
            put: table.put.ok_or_else(|| missing("put"))?,
            try_lock: table.try_lock.ok_or_else(|| missing("try_lock"))?,
            unlock: table.unlock.ok_or_else(|| missing("unlock"))?,
            // What is refused still belongs to the caller.
            free: None,
            user,
            description: String::from("the program's own store"),
            generation: generation(),
        };
        if let Some(describe) = table.describe {
            // SAFETY: the caller promised that functions and data go together.
            let text = call_back(|| unsafe { describe(user) }).unwrap_or(ptr::null());
            // SAFETY: it is a text for as long as this takes.
            store.description =
                unsafe { boundary::text("what store->describe answers", text) }?.into();
        }
        store.free = table.free;
        Ok(store)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(free) = self.free
            && self.generation == generation()
        {
            // SAFETY: the caller promised that functions and data go together; nobody uses them now.
            call_back(|| unsafe { free(self.user) });
        }
    }
}

impl TokenStore for Store {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let name = CString::new(name)?;
        let mut value = None;
        let into: *mut Option<Vec<u8>> = &mut value;
        // SAFETY: the caller promised that functions and data go together; `append` is given what it
        // asks for.
        done(call_back(|| unsafe {
            (self.get)(self.user, name.as_ptr(), Some(append), into.cast())
        }))?;
        Ok(value)
    }

    fn put(&self, name: &str, value: &[u8], ttl: Duration) -> io::Result<()> {
        let name = CString::new(name)?;
        let data = value.as_ptr().cast();
        // SAFETY: the caller promised that functions and data go together.
        done(call_back(|| unsafe {
            (self.put)(self.user, name.as_ptr(), data, value.len(), millis(ttl))
        }))
    }

    fn try_lock(&self, name: &str, lease: Duration) -> io::Result<Option<StoreLock>> {
        let name = CString::new(name)?;
        let mut lock = ptr::null_mut();
        // SAFETY: the caller promised that functions and data go together.
        let place = &raw mut lock;
        done(call_back(|| unsafe {
            (self.try_lock)(self.user, name.as_ptr(), millis(lease), place)
        }))?;
        Ok((!lock.is_null()).then(|| {
            StoreLock::new(Held {
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

/// A lock that was taken. The library drops its locks before the store that they are of.
struct Held {
    unlock: unsafe extern "C-unwind" fn(*mut c_void, *mut c_void),
    user: *mut c_void,
    lock: *mut c_void,
}

// SAFETY: as for `Store`.
unsafe impl Send for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: the caller promised that functions and data go together; this lock was taken, and
        // is released once.
        call_back(|| unsafe { (self.unlock)(self.user, self.lock) });
    }
}

/// What `get` hands a value to.
unsafe extern "C-unwind" fn append(value: *mut c_void, data: *const c_char, len: usize) -> i32 {
    // SAFETY: `Store::get` gave this pointer, which nobody else uses during the call.
    let Some(value) = (unsafe { value.cast::<Option<Vec<u8>>>().as_mut() }) else {
        return -1;
    };
    let value = value.get_or_insert_default();
    if len > MAX_VALUE_BYTES - value.len() || (data.is_null() && len > 0) {
        return -1;
    }
    if len > 0 {
        // SAFETY: the store's function promises so many bytes.
        value.extend_from_slice(unsafe { std::slice::from_raw_parts(data.cast(), len) });
    }
    0
}

fn done(result: Option<i32>) -> io::Result<()> {
    match result {
        Some(0) => Ok(()),
        Some(errno) if errno > 0 => Err(io::Error::from_raw_os_error(errno)),
        Some(other) => Err(io::Error::other(format!("it answered {other}"))),
        None => Err(io::Error::other("the client is shut down")),
    }
}
