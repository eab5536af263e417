//! Token store in files, on Unix: shared by all processes of one user on one machine, or on all hosts that
//! mount the directory.
//!
//! Files whose names the store does not create itself are never touched. Each operation opens the
//! directory once, see `private_directory`, and accesses everything below it relative to the open
//! directory. Values are replaced by renaming a new file over the old one.
//!
//! Locks are files beside the values that are never deleted, since a lock on a deleted file
//! excludes no other process: one for each cache key, held during its token request, so that slow
//! credentials do not delay others, and one for each token host, held for a moment. The kernel
//! releases them when their owner terminates. On a file system that cannot lock, files with a lease
//! replace them.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, Mode, OFlags, Timespec};
#[cfg(target_os = "linux")]
use rustix::fs::{FileType, RenameFlags};

use super::Timestamps;
use super::file_lease::{cannot_lock, try_lease};
use super::file_names::{LOCK, TEMP_SUFFIX, VALUE, retention};
use super::private_directory::{
    create_file, is_own_file, modified, open, open_existing, permission_denied,
};
use crate::auth::rate_limit_record::RateLimitTimes;
use crate::auth::{MAX_VALUE_BYTES, StoreLock, TokenStore};
use crate::fork::ProcessOwned;
use crate::private_file::check_size_limit;
use crate::random;

/// A token store with one file for each value and each lock.
#[derive(Debug)]
pub(crate) struct FileStore {
    path: PathBuf,
    stale_files_removed: AtomicBool,
    /// Whether the log has a record that the file system cannot lock.
    uses_leases: AtomicBool,
}

impl FileStore {
    pub(crate) fn new(path: &Path) -> Self {
        FileStore {
            path: path.to_owned(),
            stale_files_removed: AtomicBool::new(false),
            uses_leases: AtomicBool::new(false),
        }
    }

    /// Removes temporary files of terminated processes and expired values; locks stay. `now` is the
    /// time of the file system: by a wrong clock of this machine, files of other processes could seem
    /// old.
    fn remove_stale_files(&self, directory: &OwnedFd, now: Duration) {
        let Ok(entries) = Dir::read_from(directory) else {
            return;
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(retention) = name.to_str().ok().and_then(retention) else {
                continue;
            };
            let Ok(stat) = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let age = now.saturating_sub(modified(&stat));
            if is_own_file(&stat) && age > retention {
                // Fails if another process removed it first.
                let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
            }
        }
    }
}

impl TokenStore for FileStore {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let directory = match open_existing(&self.path) {
            // The first `put` creates it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        // Without NONBLOCK, opening a pipe in its place would hang.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened =
            rustix::fs::openat(&directory, format!("{name}.{VALUE}"), flags, Mode::empty());
        let file = match opened {
            Ok(file) => File::from(file),
            // No file, or not a regular file: the next `put` replaces it.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = rustix::fs::fstat(&file)?;
        let private = is_own_file(&stat) && stat.st_mode & 0o077 == 0;
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if !private || size > MAX_VALUE_BYTES {
            return Ok(None);
        }
        // One byte more, so that the second read finds the end instead of growing the vector.
        let mut value = Vec::with_capacity(size as usize + 1);
        file.take(MAX_VALUE_BYTES).read_to_end(&mut value)?;
        Ok(Some(value))
    }

    fn put(&self, name: &str, value: &[u8], _ttl: Duration) -> io::Result<()> {
        check_size_limit(value.len())?;
        let directory = open(&self.path)?;
        let (temp, mut file) = create_temp(&directory, name)?;
        if !self.stale_files_removed.swap(true, Ordering::Relaxed) {
            self.remove_stale_files(&directory, modified(&rustix::fs::fstat(&file)?));
        }
        // Not synced to the disk: a value that a power failure damages does not open, and its token
        // is requested again.
        let written = file
            .write_all(value)
            .and_then(|()| replace(&directory, &temp, &format!("{name}.{VALUE}")));
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&directory, &temp, AtFlags::empty());
        }
        written
    }

    fn try_lock(&self, name: &str, lease: Duration) -> io::Result<Option<StoreLock>> {
        let directory = open(&self.path)?;
        let file = ProcessOwned::new(open_lock(&directory, &format!("{name}.{LOCK}"))?);
        let stat = rustix::fs::fstat(&*file)?;
        if !is_own_file(&stat) {
            return Err(permission_denied(
                "lock file not used: it is not a regular file of this user",
            ));
        }
        // A user who can open it can hold it, and make every process fetch its own token.
        if stat.st_mode & 0o077 != 0 {
            return Err(permission_denied(&format!(
                "lock file not used: other users can open {name}.{LOCK}; set its mode to 600"
            )));
        }
        match flock(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) if cannot_lock(&error) => {
                if !self.uses_leases.swap(true, Ordering::Relaxed) {
                    log::info!(
                        "file system cannot lock, locks are files with a lease: store={:?} \
                         error={:?}",
                        self.describe(),
                        error.to_string()
                    );
                }
                let lease = try_lease(&directory, &self.path, name, lease)?;
                return Ok(lease.map(StoreLock::new));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // The directory may have been cleared after the file was opened; a lock on a deleted file
        // excludes no other process, so it has to be opened again.
        if file.metadata()?.nlink() == 0 {
            return Ok(None);
        }
        Ok(Some(StoreLock::new(FileLock(file))))
    }

    fn describe(&self) -> String {
        format!("files in {}", self.path.display())
    }
}

impl Timestamps for FileStore {
    fn set_times(&self, name: &str, times: RateLimitTimes) -> io::Result<()> {
        let directory = open_existing(&self.path)?;
        set_times(&directory, &format!("{name}.{LOCK}"), times)
    }

    fn times(&self, name: &str) -> io::Result<Option<RateLimitTimes>> {
        let directory = match open_existing(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let name = format!("{name}.{LOCK}");
        let stat = match rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let millis = |seconds, nanos| {
            let seconds = u64::try_from(seconds).unwrap_or(0);
            let nanos = u64::try_from(nanos).unwrap_or(0);
            seconds
                .saturating_mul(1_000)
                .saturating_add(nanos / 1_000_000)
        };
        let times = RateLimitTimes {
            last_request_at: millis(stat.st_mtime, stat.st_mtime_nsec),
            blocked_until: millis(stat.st_atime, stat.st_atime_nsec),
        };
        Ok((is_own_file(&stat) && times.last_request_at > 0).then_some(times))
    }

    fn current_time(&self, name: &str) -> io::Result<Option<Duration>> {
        let directory = open_existing(&self.path)?;
        let (temp, file) = create_temp(&directory, name)?;
        let stat = rustix::fs::fstat(&file);
        let _ = rustix::fs::unlinkat(&directory, &temp, AtFlags::empty());
        Ok(Some(modified(&stat?)))
    }
}

/// Creates a temporary file for a value, and returns its name.
fn create_temp(directory: &OwnedFd, name: &str) -> io::Result<(String, File)> {
    let temp = format!("{name}-{:016x}.{TEMP_SUFFIX}", random::number()?);
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = create_file(directory, &temp, flags)?;
    Ok((temp, file))
}

/// Opens a lock file, and creates it if it does not exist.
fn open_lock(directory: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    loop {
        match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => {}
            opened => return Ok(File::from(opened?)),
        }
        match create_file(directory, name, flags) {
            // Another process was faster.
            Err(rustix::io::Errno::EXIST) => {}
            created => {
                let file = created?;
                // The time of its creation is not that of a request. Without this, the first
                // request waits as if it were.
                let _ = set_times(directory, name, RateLimitTimes::default());
                return Ok(file);
            }
        }
    }
}

/// Sets the modification time of a file to that of the last request, and the access time to the end
/// of a block.
fn set_times(directory: &OwnedFd, name: &str, times: RateLimitTimes) -> io::Result<()> {
    let timespec = |millis: u64| Timespec {
        tv_sec: i64::try_from(millis / 1_000).unwrap_or(i64::MAX),
        tv_nsec: (millis % 1_000 * 1_000_000) as _,
    };
    let timestamps = rustix::fs::Timestamps {
        last_access: timespec(times.blocked_until),
        last_modification: timespec(times.last_request_at),
    };
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::utimensat(directory, name, &timestamps, flags)?)
}

/// Renames a new file to `name`, atomically, and removes the file that had this name.
fn replace(directory: &OwnedFd, new: &str, name: &str) -> io::Result<()> {
    // If `rename` replaces a file, ext4 immediately writes the new file to the disk. That takes ten times as
    // long as to exchange both names and to remove the old file, and a cache does not need it.
    #[cfg(target_os = "linux")]
    {
        let old = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let exchange = RenameFlags::EXCHANGE;
        if old.is_ok_and(|old| FileType::from_raw_mode(old.st_mode) == FileType::RegularFile)
            && rustix::fs::renameat_with(directory, new, directory, name, exchange).is_ok()
        {
            // If this fails, the old file is removed with other stale files.
            let _ = rustix::fs::unlinkat(directory, new, AtFlags::empty());
            return Ok(());
        }
    }
    Ok(rustix::fs::renameat(directory, new, directory, name)?)
}

/// Name of a variable with the number of an error that locking a file then fails with.
#[cfg(test)]
pub(crate) const FLOCK_ERROR: &str = "CAMUNDA_ADMIN_TEST_FLOCK_ERROR";

fn flock(file: &File) -> Result<(), TryLockError> {
    #[cfg(test)]
    if let Ok(error) = std::env::var(FLOCK_ERROR) {
        let error = error.parse().expect("the number of an error");
        return Err(TryLockError::Error(io::Error::from_raw_os_error(error)));
    }
    file.try_lock()
}

/// A locked file.
///
/// A fork duplicates its descriptor, and the kernel holds a lock until it is released or the last
/// duplicate is closed. So the owner releases it explicitly, whichever process has a duplicate, while
/// a child closes its duplicate at the fork without releasing anything.
struct FileLock(ProcessOwned<File>);

impl Drop for FileLock {
    fn drop(&mut self) {
        if self.0.is_own() {
            // If it fails, closing the file releases the lock as well, unless a child has a duplicate.
            let _ = self.0.unlock();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use rustix::process::geteuid;

    use super::*;
    use crate::auth::tests::test_support::left_out;
    use crate::fork::tests::forked_child::{Child, fork};

    const TTL: Duration = Duration::from_secs(3600);
    const OTHER_USER: u32 = 65534;

    #[test]
    fn put_creates_missing_directories_for_this_user_alone() {
        let place = tempfile::tempdir().unwrap();
        let linked = place.path().join("linked");
        symlink(place.path(), &linked).unwrap();
        for path in ["a/b/c", "linked/d", "e/../f"] {
            let path = place.path().join(path);
            let store = FileStore::new(&path);
            assert_eq!(store.get("token-1").unwrap(), None);
            assert!(!path.exists());
            store.put("token-1", b"1", TTL).unwrap();
            assert_eq!(fs::read(path.join("token-1.value")).unwrap(), b"1");
        }
        for made in ["a", "a/b", "a/b/c", "d", "e", "f"] {
            let mode = fs::metadata(place.path().join(made)).unwrap().mode();
            assert_eq!(mode & 0o7777, 0o700, "{made}");
        }
    }

    #[test]
    fn put_replaces_a_link_and_leaves_a_directory_of_that_name_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        let store = FileStore::new(&path("cache"));
        store.put("token-1", b"1", TTL).unwrap();
        fs::write(path("other"), "other").unwrap();
        symlink(path("other"), path("cache/token-2.value")).unwrap();
        store.put("token-2", b"2", TTL).unwrap();
        assert_eq!(fs::read(path("other")).unwrap(), b"other");
        assert_eq!(store.get("token-2").unwrap().unwrap(), b"2");
        fs::create_dir(path("cache/token-3.value")).unwrap();
        store.put("token-3", b"3", TTL).unwrap_err();
        let mut names: Vec<_> = fs::read_dir(path("cache"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = ["token-1.value", "token-2.value", "token-3.value"];
        assert_eq!(names, expected);
        assert!(path("cache/token-3.value").is_dir());
    }

    #[test]
    fn directories_and_files_are_usable_whatever_the_umask() {
        let place = tempfile::tempdir().unwrap();
        for umask in [0o000, 0o177, 0o277, 0o777] {
            let path = place.path().join(format!("{umask:03o}/camunda-admin"));
            let store = FileStore::new(&path);
            // In a child, because the umask applies to all threads of a process.
            let child = fork(|| {
                rustix::process::umask(Mode::from_raw_mode(umask));
                store.put("token-1", b"1", TTL).is_ok()
                    && store
                        .try_lock("token-1", TTL)
                        .is_ok_and(|lock| lock.is_some())
            });
            assert_eq!(child.wait(), Child::Passed, "{umask:03o}");
            let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
            for directory in [path.parent().unwrap(), &path] {
                assert_eq!(mode(directory), 0o700, "{umask:03o}: {directory:?}");
            }
            for file in ["token-1.value", "token-1.lock"] {
                assert_eq!(mode(&path.join(file)), 0o600, "{umask:03o}: {file}");
            }
        }
    }

    #[test]
    fn put_creates_nothing_in_a_directory_of_another_user() {
        if !geteuid().is_root() {
            return left_out("homes of other users, which needs root", false);
        }
        let home = tempfile::tempdir().unwrap();
        chown(home.path(), Some(OTHER_USER), Some(OTHER_USER)).unwrap();
        let store = FileStore::new(&home.path().join(".cache/camunda-admin"));
        let errors = [
            store.put("token-1", b"1", TTL).unwrap_err(),
            store.try_lock("token-1", TTL).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert_eq!(
                error.to_string(),
                format!(
                    "directory not created: {} belongs to another user; set HOME, or choose \
                     another directory",
                    home.path().display()
                )
            );
        }
        assert_eq!(store.get("token-1").unwrap(), None);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
        // Writable by all does not make it shared; only root's sticky directories are.
        fs::set_permissions(home.path(), PermissionsExt::from_mode(0o1777)).unwrap();
        store.put("token-1", b"1", TTL).unwrap_err();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }

    #[test]
    fn directory_that_is_not_used_is_reported_with_reason_and_remedy() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let (open, link, broken) = (place.join("open"), place.join("link"), place.join("broken"));
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, PermissionsExt::from_mode(0o775)).unwrap();
        symlink(&open, &link).unwrap();
        symlink(place.join("missing"), &broken).unwrap();
        let check = |path: &Path, expected: &str| {
            let store = FileStore::new(path);
            for error in [
                store.put("token-1", b"1", TTL).unwrap_err(),
                store.try_lock("token-1", TTL).unwrap_err(),
                store.get("token-1").unwrap_err(),
            ] {
                assert_eq!(error.to_string(), format!("directory not used: {expected}"));
            }
        };
        check(
            &open,
            &format!(
                "other users can write to it (mode 0775); run `chmod 700 {}`",
                open.display()
            ),
        );
        check(
            &link,
            &format!("it is a symbolic link; use {}", open.display()),
        );
        check(
            &broken,
            "it is a symbolic link to a directory that does not exist",
        );
        if !geteuid().is_root() {
            return left_out("directories of other users, which needs root", false);
        }
        chown(&open, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
        check(
            &open,
            "it belongs to user 65534, this process runs as user 0; choose a directory of user 0",
        );
    }
}
