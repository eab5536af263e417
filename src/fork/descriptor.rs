//! Descriptors that belong to one process, such as connections and locked files.
//!
//! A fork duplicates them. A child closes its duplicates at the fork, and never afterwards: by then the
//! program may have closed them, as daemons do, and reused their numbers for its own files. At the fork,
//! another thread may be closing one, so the child compares device and inode first.

#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Mutex, fork_count, watch};

/// All open descriptors of this kind.
static OPEN: Mutex<BTreeMap<u64, Descriptor>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Clone, Copy, PartialEq)]
struct Descriptor {
    fork_count: u32,
    /// Negative once it is closed in a child.
    number: RawFd,
    identity: Option<(u64, u64)>,
}

/// A file or socket that a forked child closes and does not use.
#[derive(Debug)]
pub(crate) struct ProcessOwned<T: AsFd> {
    value: ManuallyDrop<T>,
    fork_count: u32,
    key: u64,
}

impl<T: AsFd + From<OwnedFd>> ProcessOwned<T> {
    pub(crate) fn new(value: T) -> Self {
        let value = above_standard_streams(value);
        watch();
        let fork_count = fork_count();
        let key = NEXT.fetch_add(1, Ordering::Relaxed);
        let descriptor = Descriptor {
            fork_count,
            number: value.as_fd().as_raw_fd(),
            identity: identity(value.as_fd()),
        };
        OPEN.lock().insert(key, descriptor);
        ProcessOwned {
            value: ManuallyDrop::new(value),
            fork_count,
            key,
        }
    }
}

impl<T: AsFd> ProcessOwned<T> {
    /// Returns the same descriptor as another type.
    pub(crate) fn map<U: AsFd>(self, convert: impl FnOnce(T) -> U) -> ProcessOwned<U> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: taken once, as `this` is neither dropped nor used afterwards.
        let value = unsafe { ManuallyDrop::take(&mut this.value) };
        ProcessOwned {
            value: ManuallyDrop::new(convert(value)),
            fork_count: this.fork_count,
            key: this.key,
        }
    }

    /// Whether this process opened it.
    pub(crate) fn is_own(&self) -> bool {
        self.fork_count == fork_count()
    }
}

impl<T: AsFd> Drop for ProcessOwned<T> {
    fn drop(&mut self) {
        if self.is_own() {
            // SAFETY: dropped once, here; it is not used afterwards.
            unsafe { ManuallyDrop::drop(&mut self.value) }
        }
        // Last, so that a child that is forked while this closes also closes its duplicate.
        OPEN.lock().remove(&self.key);
    }
}

impl<T: AsFd> Deref for ProcessOwned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: AsFd> DerefMut for ProcessOwned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Returns a file or socket whose descriptor is not that of a standard stream. A program that has closed
/// one of these may nevertheless write to it: to a connection, or to a file with credentials.
pub(crate) fn above_standard_streams<T: AsFd + From<OwnedFd>>(value: T) -> T {
    const FIRST: RawFd = 3;
    if value.as_fd().as_raw_fd() >= FIRST {
        return value;
    }
    match rustix::io::fcntl_dupfd_cloexec(&value, FIRST) {
        Ok(duplicate) => T::from(duplicate),
        // The limit on descriptors.
        Err(_) => value,
    }
}

/// Closes the inherited descriptors of a child, on its only thread, before the program continues.
pub(super) fn close_inherited() {
    // Locked only if the thread that forked holds it.
    let Some(mut open) = OPEN.try_lock() else {
        return;
    };
    // Entries stay until their owner is dropped: freeing memory is not for here.
    for descriptor in open.values_mut() {
        let number = std::mem::replace(&mut descriptor.number, -1);
        if number < 0 {
            continue;
        }
        // SAFETY: valid or not, nothing but `fstat` is called with it.
        let found = identity(unsafe { BorrowedFd::borrow_raw(number) });
        // The parent may have closed it by its number.
        if found.is_some() && found == descriptor.identity {
            // SAFETY: the child's own duplicate, which its `ProcessOwned` neither uses nor closes.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
    }
}

/// Identity of an open file: device and inode.
fn identity(descriptor: BorrowedFd<'_>) -> Option<(u64, u64)> {
    let stat = rustix::fs::fstat(descriptor).ok()?;
    #[allow(clippy::unnecessary_cast, reason = "the types differ between systems")]
    Some((stat.st_dev as u64, stat.st_ino as u64))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::fork::tests::forked_child::{Child, fork};

    /// Returns whether this descriptor refers to this file.
    fn is_open(number: RawFd, wanted: Option<(u64, u64)>) -> bool {
        // SAFETY: valid or not, nothing but `fstat` is called with it.
        wanted.is_some() && identity(unsafe { BorrowedFd::borrow_raw(number) }) == wanted
    }

    #[test]
    fn child_closes_inherited_descriptor_and_parent_keeps_it() {
        let file = ProcessOwned::new(tempfile::tempfile().unwrap());
        let (number, wanted) = (file.as_raw_fd(), identity(file.as_fd()));
        assert_eq!(
            fork(|| !is_open(number, wanted) && !file.is_own()).wait(),
            Child::Passed
        );
        assert!(is_open(number, wanted) && file.is_own());
    }

    #[test]
    fn descriptors_are_not_those_of_closed_standard_streams() {
        let child = fork(|| {
            for number in 0..3 {
                // SAFETY: the child uses none of them afterwards.
                drop(unsafe { OwnedFd::from_raw_fd(number) });
            }
            let file = tempfile::tempfile().unwrap();
            let (number, wanted) = (file.as_raw_fd(), identity(file.as_fd()));
            let moved = ProcessOwned::new(file);
            let is_moved = number == 0 && moved.as_raw_fd() >= 3 && !is_open(0, wanted);
            is_moved && identity(moved.as_fd()) == wanted
        });
        assert_eq!(child.wait(), Child::Passed);
    }

    #[test]
    fn drop_in_child_leaves_descriptor_that_took_the_number_open() {
        let file = ProcessOwned::new(tempfile::tempfile().unwrap());
        let number = file.as_raw_fd();
        let child = fork(|| {
            let others: Vec<File> = (0..64).map(|_| tempfile::tempfile().unwrap()).collect();
            let taken = others.iter().find(|other| other.as_raw_fd() == number);
            let wanted = taken.and_then(|taken| identity(taken.as_fd()));
            drop(file);
            is_open(number, wanted)
        });
        assert_eq!(child.wait(), Child::Passed);
    }

    #[test]
    fn child_closes_descriptor_that_its_parent_is_about_to_close() {
        struct Closing(File);
        impl AsFd for Closing {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }
        impl From<OwnedFd> for Closing {
            fn from(descriptor: OwnedFd) -> Self {
                Closing(File::from(descriptor))
            }
        }
        impl Drop for Closing {
            fn drop(&mut self) {
                let (number, wanted) = (self.0.as_raw_fd(), identity(self.0.as_fd()));
                let child = fork(|| !is_open(number, wanted)).wait();
                assert_eq!(child, Child::Passed);
            }
        }
        drop(ProcessOwned::new(Closing(tempfile::tempfile().unwrap())));
    }

    #[test]
    fn map_keeps_the_descriptor_and_its_entry() {
        let file = ProcessOwned::new(tempfile::tempfile().unwrap());
        let (number, wanted, key) = (file.as_raw_fd(), identity(file.as_fd()), file.key);
        let mapped = file.map(OwnedFd::from);
        assert_eq!(mapped.as_raw_fd(), number);
        assert_eq!(
            fork(|| !is_open(number, wanted) && !mapped.is_own()).wait(),
            Child::Passed
        );
        assert!(is_open(number, wanted) && mapped.is_own());
        drop(mapped);
        assert!(!is_open(number, wanted));
        assert!(!OPEN.lock().contains_key(&key));
    }

    #[test]
    fn drop_closes_own_descriptor_and_forgets_it() {
        let file = ProcessOwned::new(tempfile::tempfile().unwrap());
        let (number, wanted, key) = (file.as_raw_fd(), identity(file.as_fd()), file.key);
        assert!(OPEN.lock().contains_key(&key));
        drop(file);
        assert!(!is_open(number, wanted));
        assert!(!OPEN.lock().contains_key(&key));
    }
}
