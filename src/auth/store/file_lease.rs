//! Locks of the token store in files, for file systems that store files but cannot lock them: NFS
//! version 3 without its lock service, Lustre without `flock`, some file systems in user space.
//!
//! A lock is a file `NAME-NUMBER.lease` with the lease and the identity of its owner. It is held until
//! its owner deletes it, its lease expires, or its owner is a process of this host that has terminated.
//! To take a lock for which no such file is held, a caller creates the file with the next number
//! exclusively, so that of several callers that found the same files one succeeds, and then lists the
//! files again: another caller may have taken the lock with another number in between. Each caller
//! creates its file before it lists those of the others, so that of two callers at least one finds the
//! file of the other, and withdraws. An expired file is deleted by the next owner.
//!
//! Whether a lease has expired is decided by the times that the file system gave to the files, so that
//! the clocks of hosts may differ. The clock of this host only decides whether that is worth a check.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, Dir, Mode, OFlags};

use super::file_names::{LEASE, LEASE_DIGITS, lease_number};
use super::lock_owner::{is_terminated, process_identity};
use super::private_directory::{DIRECTORY, create_file, is_own_file, modified, permission_denied};
use crate::private_file::check_size_limit;
use crate::random;

/// Lease of a file whose owner has not written it completely yet.
const INCOMPLETE_LEASE: Duration = Duration::from_secs(2);
/// Longer leases, of damaged files, are this long.
const MAX_LEASE: Duration = Duration::from_secs(300);
/// A file whose time is later than that was created before the clock was set back.
const MAX_TIME_AHEAD: Duration = Duration::from_secs(5);
/// Larger files are not those of this store.
const MAX_LEASE_BYTES: u64 = 1024;

/// A lock with a lease. Released when dropped.
pub(super) struct Lease {
    directory: PathBuf,
    file: String,
    content: String,
}

/// Returns whether the error of a lock means that the file system has no locks.
pub(super) fn cannot_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error() == Some(rustix::io::Errno::NOLCK.raw_os_error())
}

/// Tries to take the lock of a name in the directory that is open, with this path.
pub(super) fn try_lease(
    directory: &OwnedFd,
    path: &Path,
    name: &str,
    lease: Duration,
) -> io::Result<Option<Lease>> {
    let found = Found::list(directory, name)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    if found.iter().any(|it| it.is_held(now)) {
        return Ok(None);
    }
    let number = found.iter().map(|it| it.number).max();
    let number = number.unwrap_or(0).wrapping_add(1);
    let own = file_name(name, number);
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = match create_file(directory, &own, flags) {
        Err(rustix::io::Errno::EXIST) => return Ok(None),
        created => created?,
    };
    let lease = Lease {
        directory: path.to_owned(),
        content: format!(
            "{} {}{:016x}\n",
            lease.as_millis(),
            process_identity(),
            random::number().unwrap_or_default()
        ),
        file: own,
    };
    let written = check_size_limit(lease.content.len())
        .and_then(|()| file.write_all(lease.content.as_bytes()));
    if let Err(error) = written {
        // Its content does not identify it, so that its drop would leave it.
        let _ = rustix::fs::unlinkat(directory, &lease.file, AtFlags::empty());
        return Err(error);
    }
    let now = modified(&rustix::fs::fstat(&file)?);
    let mut others = Found::list(directory, name)?;
    others.retain(|it| it.number != number);
    if others.iter().any(|it| it.is_held(now)) {
        return Ok(None);
    }
    for expired in others {
        // Fails if another caller deleted it first.
        let _ = rustix::fs::unlinkat(directory, file_name(name, expired.number), AtFlags::empty());
    }
    Ok(Some(lease))
}

impl Drop for Lease {
    fn drop(&mut self) {
        // After the lease has expired, the file may be another owner's. If it cannot be deleted, it
        // expires.
        let Ok(directory) = rustix::fs::open(&self.directory, DIRECTORY, Mode::empty()) else {
            return;
        };
        let content = read(&directory, &self.file);
        if content.is_ok_and(|it| it.is_some_and(|(_, content)| content == self.content)) {
            let _ = rustix::fs::unlinkat(&directory, &self.file, AtFlags::empty());
        }
    }
}

/// A lease file.
struct Found {
    number: u32,
    modified: Duration,
    lease: Duration,
    /// Empty if its owner has not written it completely yet.
    owner: String,
}

impl Found {
    /// Returns the lease files of a name.
    fn list(directory: &OwnedFd, name: &str) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            let number = entry.file_name().to_str().ok();
            let Some(number) = number.and_then(|file| lease_number(file, name)) else {
                continue;
            };
            // Its owner may have released it.
            if let Some((modified, content)) = read(directory, &file_name(name, number))? {
                let complete = content.strip_suffix('\n').and_then(|it| it.split_once(' '));
                let complete =
                    complete.and_then(|(lease, owner)| Some((lease.parse().ok()?, owner)));
                let (lease, owner) = complete.map_or((INCOMPLETE_LEASE, ""), |(millis, owner)| {
                    (Duration::from_millis(millis).min(MAX_LEASE), owner)
                });
                found.push(Found {
                    number,
                    modified,
                    lease,
                    owner: owner.to_owned(),
                });
            }
        }
        Ok(found)
    }

    fn is_held(&self, now: Duration) -> bool {
        let is_current = match now.checked_sub(self.modified) {
            Some(age) => age <= self.lease,
            None => self.modified - now <= MAX_TIME_AHEAD,
        };
        is_current && !is_terminated(&self.owner)
    }
}

/// Returns the time and the content of a file; `None` if it does not exist.
fn read(directory: &OwnedFd, file: &str) -> io::Result<Option<(Duration, String)>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let opened = match rustix::fs::openat(directory, file, flags, Mode::empty()) {
        Ok(opened) => File::from(opened),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stat = rustix::fs::fstat(&opened)?;
    if !is_own_file(&stat) {
        return Err(permission_denied(
            "lock file not used: it is not a regular file of this user",
        ));
    }
    let mut content = Vec::new();
    opened.take(MAX_LEASE_BYTES).read_to_end(&mut content)?;
    let content = String::from_utf8_lossy(&content).into_owned();
    Ok(Some((modified(&stat), content)))
}

fn file_name(name: &str, number: u32) -> String {
    format!("{name}-{number:0LEASE_DIGITS$x}.{LEASE}")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, FileTimes};

    use super::*;

    const NAME: &str = "token-0123456789abcdef0123456789abcdef";
    const LONG: Duration = Duration::from_secs(100);

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Place(tempfile::tempdir().unwrap())
        }

        fn take(&self, lease: Duration) -> Option<Lease> {
            let directory = rustix::fs::open(self.0.path(), DIRECTORY, Mode::empty()).unwrap();
            try_lease(&directory, self.0.path(), NAME, lease).unwrap()
        }

        fn files(&self) -> Vec<String> {
            let entries = fs::read_dir(self.0.path()).unwrap();
            let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        }

        /// Creates the file of another owner, whose age is negative for a time ahead.
        fn put(&self, number: u32, content: &str, age: f64) {
            let path = self.0.path().join(file_name(NAME, number));
            fs::write(&path, content).unwrap();
            let shift = Duration::from_secs_f64(age.abs());
            let now = SystemTime::now();
            let time = match age < 0.0 {
                true => now + shift,
                false => now - shift,
            };
            let file = File::options().write(true).open(&path).unwrap();
            file.set_times(FileTimes::new().set_modified(time)).unwrap();
        }
    }

    #[test]
    fn lease_is_held_until_it_is_dropped() {
        let place = Place::new();
        let lease = place.take(LONG).unwrap();
        assert_eq!(place.files(), [format!("{NAME}-00000001.lease")]);
        assert!(place.take(LONG).is_none());
        drop(lease);
        assert!(place.files().is_empty());
        drop(place.take(LONG).unwrap());
    }

    #[test]
    fn lease_of_another_owner_is_held_until_it_expires() {
        let other = "other host/1/2/ff";
        for (content, age, is_held) in [
            (format!("100000 {other}\n"), 90.0, true),
            (format!("100000 {other}\n"), 110.0, false),
            // Its clock is slightly ahead, or was set back.
            (format!("100000 {other}\n"), -1.0, true),
            (format!("100000 {other}\n"), -60.0, false),
            // Its owner is about to write it, or terminated before it could.
            (String::new(), 0.0, true),
            ("100".to_owned(), 0.0, true),
            (String::new(), 10.0, false),
            // Damaged.
            (format!("{} {other}\n", u64::MAX), 250.0, true),
            (format!("{} {other}\n", u64::MAX), 310.0, false),
            (format!("x {other}\n"), 10.0, false),
        ] {
            let place = Place::new();
            place.put(7, &content, age);
            let lease = place.take(LONG);
            assert_eq!(lease.is_none(), is_held, "{content:?} {age}");
            let expected = if is_held { 7 } else { 8 };
            // The next owner deletes an expired file.
            assert_eq!(
                place.files(),
                [file_name(NAME, expected)],
                "{content:?} {age}"
            );
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn lease_of_a_terminated_process_is_not_held() {
        let place = Place::new();
        let owner = process_identity();
        place.put(1, &format!("100000 {owner}ff\n"), 0.0);
        assert!(place.take(LONG).is_none());
        // The process id was used again since.
        let (before, started) = owner.trim_end_matches('/').rsplit_once('/').unwrap();
        let earlier = started.parse::<u64>().unwrap() - 1;
        place.put(1, &format!("100000 {before}/{earlier}/ff\n"), 0.0);
        assert!(place.take(LONG).is_some());
    }

    #[test]
    fn expired_lease_does_not_release_that_of_its_successor() {
        let place = Place::new();
        let first = place.take(LONG).unwrap();
        place.put(1, "100000 other host/1/2/ff\n", 0.0);
        drop(first);
        assert_eq!(place.files(), [file_name(NAME, 1)]);
        assert!(place.take(LONG).is_none());
    }

    #[test]
    fn lease_is_not_taken_beside_one_with_a_lower_number() {
        let place = Place::new();
        // A caller that listed the files when the first one was there has not created its own yet.
        place.put(3, "1 other host/1/2/ff\n", 10.0);
        place.put(1, "100000 other host/1/2/ff\n", 0.0);
        assert!(place.take(LONG).is_none());
    }

    #[test]
    fn lease_has_one_owner_at_a_time_among_threads() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let place = Place::new();
        let (owners, taken) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while taken.load(Ordering::SeqCst) < 200 {
                        let Some(lease) = place.take(LONG) else {
                            continue;
                        };
                        assert_eq!(owners.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        taken.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(owners.fetch_sub(1, Ordering::SeqCst), 1);
                        drop(lease);
                    }
                });
            }
        });
        assert!(place.files().is_empty());
    }
}
