//! Tokens in files of the user's own: shared by all processes of one user on one machine.
//!
//! The directory has to be the user's and writable by nobody else, else it is not used. It is opened
//! once per operation and everything below it is named relative to the open directory, without
//! following links, so that nothing can be moved in between. Values are replaced by renaming a new
//! file over the old. Locks are files beside the values that are never deleted, since a lock on a
//! deleted file excludes nobody: one for each key, held while its token is asked for, so that slow
//! credentials do not hold up the others, and one for each token host, held for an instant. The
//! kernel releases them when their owner dies.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ring::rand::{SecureRandom, SystemRandom};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::process::{Resource, geteuid, getrlimit};

use super::{StoreLock, TokenStore};
use crate::fork::ProcessOwned;

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
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&directory, format!("{name}.{LOCK}"), flags, OWN_ONLY)?;
        let file = ProcessOwned::new(File::from(file));
        if !is_own_file(&rustix::fs::fstat(&*file)?) {
            return Err(refused("the lock is not a file of this user's"));
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
        Ok(Some(StoreLock::new(FileLock(file))))
    }

    fn describe(&self) -> String {
        format!("files in {}", self.path.display())
    }
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
