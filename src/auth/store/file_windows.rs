//! Token store in files, on Windows: shared by all processes of one user on one machine.
//!
//! Files inherit the access control list of the directory. The default directory is below
//! `%LOCALAPPDATA%`, which only the user, administrators and the system can access; the store does not
//! check the list of another directory. Values are replaced by renaming a new file over the old one.
//!
//! Locks are files beside the values, as on Unix. The system releases them when their owner terminates
//! (`LockFileEx`), and deletes no lock file while it is open.

use std::fs::{self, File, FileTimes, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Timestamps;
use super::file_names::{LOCK, TEMP_SUFFIX, VALUE, retention};
use crate::auth::rate_limit_record::RateLimitTimes;
use crate::auth::{MAX_VALUE_BYTES, StoreLock, TokenStore};
use crate::random;

/// Opens a symbolic link or junction itself instead of what it refers to.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_SHARE_READ: u32 = 1;
const FILE_SHARE_WRITE: u32 = 2;

/// Access to a value is tried this often, at this interval: Windows denies it for moments, while another
/// process replaces the file or a virus scanner has it open.
const ATTEMPTS: u32 = 50;
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(5);

/// A token store with one file for each value and each lock.
#[derive(Debug)]
pub(crate) struct FileStore {
    path: PathBuf,
    stale_files_removed: AtomicBool,
}

impl FileStore {
    pub(crate) fn new(path: &Path) -> Self {
        FileStore {
            path: path.to_owned(),
            stale_files_removed: AtomicBool::new(false),
        }
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.path.join(format!("{name}.{extension}"))
    }

    /// Removes temporary files of terminated processes and expired values; locks stay.
    fn remove_stale_files(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return;
        };
        let now = SystemTime::now();
        for entry in entries.flatten() {
            let Some(retention) = entry.file_name().to_str().and_then(retention) else {
                continue;
            };
            // That of a link itself.
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let age = metadata
                .modified()
                .ok()
                .and_then(|modified| now.duration_since(modified).ok());
            if metadata.is_file() && age.is_some_and(|age| age > retention) {
                // Fails if another process removed it first.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

impl TokenStore for FileStore {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let path = self.file(name, VALUE);
        let mut options = OpenOptions::new();
        options
            .read(true)
            .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        let file = match retry(|| options.open(&path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let metadata = file.metadata()?;
        // The next `put` replaces it.
        if !metadata.is_file() || metadata.len() > MAX_VALUE_BYTES {
            return Ok(None);
        }
        let mut value = Vec::with_capacity(metadata.len() as usize + 1);
        file.take(MAX_VALUE_BYTES).read_to_end(&mut value)?;
        Ok(Some(value))
    }

    fn put(&self, name: &str, value: &[u8], _ttl: Duration) -> io::Result<()> {
        fs::create_dir_all(&self.path)?;
        if !self.stale_files_removed.swap(true, Ordering::Relaxed) {
            self.remove_stale_files();
        }
        let temp = self
            .path
            .join(format!("{name}-{:016x}.{TEMP_SUFFIX}", random::number()?));
        let mut file = File::create_new(&temp)?;
        // Not synced to the disk: a value that a power failure damages does not open, and its token
        // is requested again.
        let written = file.write_all(value);
        drop(file);
        let written = written.and_then(|()| {
            let path = self.file(name, VALUE);
            retry(|| fs::rename(&temp, &path))
        });
        if written.is_err() {
            let _ = fs::remove_file(&temp);
        }
        written
    }

    fn try_lock(&self, name: &str, _lease: Duration) -> io::Result<Option<StoreLock>> {
        fs::create_dir_all(&self.path)?;
        let file = open_lock(&self.file(name, LOCK))?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "lock file not used: it is not a regular file",
            ));
        }
        match file.try_lock() {
            Ok(()) => Ok(Some(StoreLock::new(FileLock(file)))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn describe(&self) -> String {
        format!("files in {}", self.path.display())
    }
}

impl Timestamps for FileStore {
    fn set_times(&self, name: &str, times: RateLimitTimes) -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
            .open(self.file(name, LOCK))?;
        set_times(&file, times)
    }

    fn times(&self, name: &str) -> io::Result<Option<RateLimitTimes>> {
        let metadata = match fs::symlink_metadata(self.file(name, LOCK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        let times = RateLimitTimes {
            last_request_at: millis(metadata.modified()?),
            blocked_until: millis(metadata.accessed()?),
        };
        Ok((metadata.is_file() && times.last_request_at > 0).then_some(times))
    }
}

/// Opens a lock file, and creates it if it does not exist. No process can delete the file while it is open,
/// since a lock on a deleted file excludes no other process.
fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    loop {
        match options.open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        match options.clone().create_new(true).open(path) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            opened => {
                let file = opened?;
                // The time of its creation is not that of a request. Without this, the first
                // request waits as if it were.
                let _ = set_times(&file, RateLimitTimes::default());
                return Ok(file);
            }
        }
    }
}

/// Repeats an operation while Windows denies access.
fn retry<T>(operation: impl Fn() -> io::Result<T>) -> io::Result<T> {
    for _ in 1..ATTEMPTS {
        match operation() {
            Err(error) if is_denied(&error) => thread::sleep(ATTEMPT_INTERVAL),
            done => return done,
        }
    }
    operation()
}

fn is_denied(error: &io::Error) -> bool {
    const ERROR_SHARING_VIOLATION: i32 = 32;
    error.kind() == io::ErrorKind::PermissionDenied
        || error.raw_os_error() == Some(ERROR_SHARING_VIOLATION)
}

/// Sets the modification time of a file to that of the last request, and the access time to the end
/// of a block.
fn set_times(file: &File, times: RateLimitTimes) -> io::Result<()> {
    let time = |millis| {
        UNIX_EPOCH
            .checked_add(Duration::from_millis(millis))
            .ok_or(io::ErrorKind::InvalidInput)
    };
    file.set_times(
        FileTimes::new()
            .set_accessed(time(times.blocked_until)?)
            .set_modified(time(times.last_request_at)?),
    )
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A locked file, unlocked when dropped: closing it releases the lock too, but possibly later.
struct FileLock(File);

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}
