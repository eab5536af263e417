//! Tokens in files of the user's own: shared by all processes of one user on one machine.
//!
//! The directory has to be the user's and writable by nobody else, else it is not used. It is opened
//! once per operation and everything below it is named relative to the open directory, without
//! following links, so that nothing can be moved in between. Values are replaced by renaming a new
//! file over the old. Locks are files beside the values that are never deleted, since a lock on a
//! deleted file excludes nobody: one for each key, held while its token is asked for, so that slow
//! credentials do not hold up the others, and one for each token host, held for an instant. The
//! kernel releases them when their owner dies.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timespec};
use rustix::process::{Resource, geteuid, getrlimit};

use super::{StoreLock, Timestamps, TokenStore};
use crate::auth::record::PaceTimes;
use crate::process::PerProcess;

/// Larger files are not read; a token is a few KiB.
const LARGEST_VALUE: u64 = 1024 * 1024;

/// Values that nobody replaced for this long belong to credentials that are not used any more.
const VALUES_KEPT: Duration = Duration::from_secs(60 * 24 * 3600);
/// Half-written files of processes that died are removed after this long.
const SCRAPS_KEPT: Duration = Duration::from_secs(3600);

const VALUE: &str = "value";
const LOCK: &str = "lock";
const SCRAP: &str = "new";

/// A directory with one file for each value and each lock.
#[derive(Debug)]
pub(super) struct FileStore {
    path: PathBuf,
    tidied: AtomicBool,
}

impl FileStore {
    pub(super) fn new(path: &Path) -> Self {
        FileStore {
            path: path.to_owned(),
            tidied: AtomicBool::new(false),
        }
    }

    /// Opens the directory, making it if it is not there.
    fn open(&self) -> io::Result<OwnedFd> {
        match self.open_existing() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&self.path)?;
                self.open_existing()
            }
            opened => opened,
        }
    }

    /// Opens the directory and makes sure that nobody else can change what is in it.
    fn open_existing(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::open(&self.path, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&directory)?;
        if stat.st_uid != geteuid().as_raw() {
            return Err(refused("the directory belongs to another user"));
        }
        if stat.st_mode & 0o022 != 0 {
            return Err(refused("other users can write to the directory"));
        }
        Ok(directory)
    }

    /// Removes what dead processes and old credentials left behind; locks stay.
    fn tidy(&self, directory: &OwnedFd) {
        let Ok(entries) = fs::read_dir(&self.path) else {
            return;
        };
        let now = SystemTime::now();
        for entry in entries.flatten() {
            let name = entry.file_name();
            let kept = match Path::new(&name)
                .extension()
                .and_then(|extension| extension.to_str())
            {
                Some(VALUE) => VALUES_KEPT,
                Some(SCRAP) => SCRAPS_KEPT,
                _ => continue,
            };
            let age = entry.metadata().and_then(|metadata| metadata.modified());
            if age.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > kept)) {
                // Whoever else removed it first did the same work.
                let _ = rustix::fs::unlinkat(directory, &name, AtFlags::empty());
            }
        }
    }
}

impl TokenStore for FileStore {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let directory = match self.open_existing() {
            // It is made when there is something to put in.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        // Without NONBLOCK, opening a pipe in its place would hang.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened =
            rustix::fs::openat(&directory, format!("{name}.{VALUE}"), flags, Mode::empty());
        let file = match opened {
            Ok(file) => File::from(file),
            // Nothing there, or something that is no value: the next put replaces it.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let stat = rustix::fs::fstat(&file)?;
        let private = is_own_file(&stat) && stat.st_mode & 0o077 == 0;
        if !private || u64::try_from(stat.st_size).unwrap_or(u64::MAX) > LARGEST_VALUE {
            return Ok(None);
        }
        let mut value = Vec::new();
        file.take(LARGEST_VALUE).read_to_end(&mut value)?;
        Ok(Some(value))
    }

    fn put(&self, name: &str, value: &[u8], _keep: Duration) -> io::Result<()> {
        // Exceeding this limit is answered by a signal that kills the process.
        let limit = getrlimit(Resource::Fsize).current;
        if limit.is_some_and(|limit| limit < value.len() as u64) {
            return Err(io::Error::other(
                "the limit on the size of files is too low",
            ));
        }
        let directory = self.open()?;
        if !self.tidied.swap(true, Ordering::Relaxed) {
            self.tidy(&directory);
        }
        let mut random = [0; 8];
        SystemRandom::new()
            .fill(&mut random)
            .map_err(|_| io::Error::other("no random numbers"))?;
        let scrap = format!("{name}-{:016x}.{SCRAP}", u64::from_le_bytes(random));
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(rustix::fs::openat(&directory, &scrap, flags, OWN_ONLY)?);
        // Not synced to the disk: a value that a power cut tears apart fails its seal and is asked
        // for again.
        let written = file.write_all(value).and_then(|()| {
            let name = format!("{name}.{VALUE}");
            Ok(rustix::fs::renameat(&directory, &scrap, &directory, name)?)
        });
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&directory, &scrap, AtFlags::empty());
        }
        written
    }

    fn try_lock(&self, name: &str, _lease: Duration) -> io::Result<Option<StoreLock>> {
        let directory = self.open()?;
        let file = open_lock(&directory, &format!("{name}.{LOCK}"))?;
        let stat = rustix::fs::fstat(&file)?;
        if !is_own_file(&stat) {
            return Err(refused("the lock is not a file of this user's"));
        }
        // A user who can open it can hold it, and so make every process fetch its own token.
        if stat.st_mode & 0o077 != 0 {
            return Err(refused(&format!(
                "other users can open the lock file {name}.{LOCK}; set its mode to 600"
            )));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Somebody may have cleared the directory after the file was opened; a lock on what is left
        // excludes nobody, so it has to be opened again.
        if file.metadata()?.nlink() == 0 {
            return Ok(None);
        }
        Ok(Some(StoreLock::new(FileLock::new(file))))
    }

    fn describe(&self) -> String {
        format!("files in {}", self.path.display())
    }
}

impl Timestamps for FileStore {
    fn set_times(&self, name: &str, times: PaceTimes) -> io::Result<()> {
        let directory = self.open_existing()?;
        set_times(&directory, &format!("{name}.{LOCK}"), times)
    }

    fn times(&self, name: &str) -> io::Result<Option<PaceTimes>> {
        let directory = match self.open_existing() {
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
        let times = PaceTimes {
            last: millis(stat.st_mtime, stat.st_mtime_nsec),
            blocked_until: millis(stat.st_atime, stat.st_atime_nsec),
        };
        Ok((is_own_file(&stat) && times.last > 0).then_some(times))
    }
}

/// Opens a lock file, making it if it is not there.
fn open_lock(directory: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    loop {
        match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => {}
            opened => return Ok(File::from(opened?)),
        }
        let new = flags | OFlags::CREATE | OFlags::EXCL;
        match rustix::fs::openat(directory, name, new, OWN_ONLY) {
            // Another process was faster.
            Err(rustix::io::Errno::EXIST) => {}
            opened => {
                let file = File::from(opened?);
                // The time of its creation is not that of a request. Without this, the first request
                // waits as if it were.
                let _ = set_times(directory, name, PaceTimes::default());
                return Ok(file);
            }
        }
    }
}

/// Sets the time of the last change of a file to that of the last request, and the time of the last
/// access to the end of a block.
fn set_times(directory: &OwnedFd, name: &str, times: PaceTimes) -> io::Result<()> {
    let timespec = |millis: u64| Timespec {
        tv_sec: i64::try_from(millis / 1_000).unwrap_or(i64::MAX),
        tv_nsec: (millis % 1_000 * 1_000_000) as _,
    };
    let timestamps = rustix::fs::Timestamps {
        last_access: timespec(times.blocked_until),
        last_modification: timespec(times.last),
    };
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::utimensat(directory, name, &timestamps, flags)?)
}

const OWN_ONLY: Mode = Mode::RUSR.union(Mode::WUSR);

fn is_own_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == geteuid().as_raw()
}

fn refused(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// A locked file.
///
/// A fork duplicates its descriptor, and the kernel holds a lock until it is released or the last
/// duplicate is closed. So the owner releases it expressly, whoever may have a duplicate, while a
/// child closes its duplicates without releasing anything.
struct FileLock {
    held: &'static HeldLocks,
    number: u64,
}

/// The locks held by one process.
#[derive(Debug)]
struct HeldLocks {
    pid: u32,
    files: Mutex<BTreeMap<u64, File>>,
    numbers: AtomicU64,
}

static HELD: PerProcess<HeldLocks> = PerProcess::new();

impl HeldLocks {
    /// Those of this process. A forked child closes its duplicates of its parent's here, which
    /// otherwise would keep the locks of a parent that is killed.
    fn of_this_process() -> &'static Self {
        HELD.get(|parents| {
            // Only tried: if the lock was held while the process forked, it stays held.
            if let Some(mut files) = parents.and_then(|parents| parents.files.try_lock().ok()) {
                files.clear();
            }
            HeldLocks {
                pid: std::process::id(),
                files: Mutex::default(),
                numbers: AtomicU64::new(0),
            }
        })
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<u64, File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileLock {
    fn new(file: File) -> Self {
        let held = HeldLocks::of_this_process();
        let number = held.numbers.fetch_add(1, Ordering::Relaxed);
        held.files().insert(number, file);
        FileLock { held, number }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if self.held.pid == std::process::id() {
            let file = self.held.files().remove(&self.number);
            // Should it fail, closing the file releases the lock just as well, but for a fork.
            let _ = file.map(|file| file.unlock());
        }
    }
}

/// In a forked child: lets go of what it inherited of its parent's locks.
pub(crate) fn close_inherited_locks() {
    HeldLocks::of_this_process();
}
