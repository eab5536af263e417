//! The directory of the token store in files, on Unix, and the files in it.
//!
//! The directory must belong to the user and not be writable by others, or it is not used; it is
//! created only below a directory of the same user. Files are created and opened relative to the open
//! directory, without following links, so that nothing can be moved in between.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::process::geteuid;

use crate::fork::above_standard_streams;
use crate::private_file::ensure_owner_access;

/// Flags for opening directories.
pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

const OWNER_ONLY_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Opens the directory, and creates it if it does not exist.
pub(super) fn open(path: &Path) -> io::Result<OwnedFd> {
    match open_existing(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        opened => opened,
    }
}

/// Opens the directory and checks that no other user can change its files.
pub(super) fn open_existing(path: &Path) -> io::Result<OwnedFd> {
    let directory = rustix::fs::open(path, DIRECTORY, Mode::empty())
        .map_err(|error| open_error(path, error))?;
    check_private(&directory, path)?;
    Ok(directory)
}

/// Returns the error of a directory that cannot be opened, with its remedy if it is a symbolic
/// link, which another user could replace.
fn open_error(path: &Path, error: rustix::io::Errno) -> io::Error {
    let is_link = matches!(error, rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR)
        && std::fs::symlink_metadata(path).is_ok_and(|it| it.is_symlink());
    if !is_link {
        return error.into();
    }
    match std::fs::canonicalize(path) {
        Ok(target) => permission_denied(&format!(
            "directory not used: it is a symbolic link; use {}",
            target.display()
        )),
        Err(_) => permission_denied(
            "directory not used: it is a symbolic link to a directory that does not exist",
        ),
    }
}

/// Creates the directory and those above it that are missing, mode 0700.
///
/// # Errors
///
/// [`PermissionDenied`](io::ErrorKind::PermissionDenied), and nothing is created, if the nearest
/// existing directory belongs to another user: under `sudo`, `HOME` may be another user's, who
/// could not use a `~/.cache` that belongs to root. A directory for temporary files that all
/// users share, such as `/tmp`, is accepted.
fn create(path: &Path) -> io::Result<OwnedFd> {
    let mut missing = Vec::new();
    let mut nearest = path;
    let mut directory = loop {
        let opened = match nearest.as_os_str().is_empty() {
            true => Path::new("."),
            false => nearest,
        };
        // Directories above the store's own may be links.
        match rustix::fs::open(opened, DIRECTORY - OFlags::NOFOLLOW, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => {}
            directory => break directory?,
        }
        let name = nearest.components().next_back().map(Component::as_os_str);
        missing.push(name.unwrap_or(OsStr::new(".")));
        nearest = nearest.parent().ok_or(rustix::io::Errno::NOENT)?;
    };
    let stat = rustix::fs::fstat(&directory)?;
    let is_shared = stat.st_uid == 0 && stat.st_mode & 0o1002 == 0o1002;
    if stat.st_uid != geteuid().as_raw() && !is_shared {
        return Err(permission_denied(&format!(
            "directory not created: {} belongs to another user; set HOME, or choose another \
             directory",
            nearest.display()
        )));
    }
    for name in missing.into_iter().rev() {
        match rustix::fs::mkdirat(&directory, name, Mode::RWXU) {
            Ok(()) => permit_owner(&directory, name)?,
            // Created by another process in the meantime.
            Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        directory = rustix::fs::openat(&directory, name, DIRECTORY, Mode::empty())?;
        check_private(&directory, path)?;
    }
    Ok(directory)
}

/// Checks that a directory belongs to this user and that no other user can change its files.
fn check_private(directory: &OwnedFd, path: &Path) -> io::Result<()> {
    let stat = rustix::fs::fstat(directory)?;
    let user = geteuid().as_raw();
    if stat.st_uid != user {
        return Err(permission_denied(&format!(
            "directory not used: it belongs to user {}, this process runs as user {user}; choose a \
             directory of user {user}",
            stat.st_uid
        )));
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(permission_denied(&format!(
            "directory not used: other users can write to it (mode {:04o}); run `chmod 700 {}`",
            stat.st_mode & 0o7777,
            path.display()
        )));
    }
    Ok(())
}

/// Gives the owner all permissions on a new directory, if the umask of the process withheld some.
/// Other programs use `~/.cache`, too.
fn permit_owner(parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    let mode = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode;
    if mode & 0o700 == 0o700 {
        return Ok(());
    }
    let mode = Mode::from_raw_mode(mode) | Mode::RWXU;
    rustix::fs::chmodat(parent, name, mode, AtFlags::empty())
}

/// Creates a file with mode 0600, whatever the umask of the process. Fails if it exists.
pub(super) fn create_file(
    directory: &OwnedFd,
    name: &str,
    flags: OFlags,
) -> rustix::io::Result<File> {
    let flags = flags | OFlags::CREATE | OFlags::EXCL;
    let file = File::from(rustix::fs::openat(directory, name, flags, OWNER_ONLY_MODE)?);
    let file = above_standard_streams(file);
    ensure_owner_access(&file)?;
    Ok(file)
}

/// Returns whether a file is a regular file of this user.
pub(super) fn is_own_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == geteuid().as_raw()
}

/// Returns the modification time of a file, since 1970.
pub(super) fn modified(stat: &Stat) -> Duration {
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}

pub(super) fn permission_denied(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}
