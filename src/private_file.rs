//! Files that contain secrets: creating them for the owner only, and warning of permissions that let
//! other users read them.

#[cfg(unix)]
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::sync::Mutex;

use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::fork::above_standard_streams;
use crate::secret::Zeroizing;

/// Logs one warning per path if other users can read or write a file that contains secrets.
#[cfg(unix)]
pub(crate) fn warn_if_open_to_others(what: &str, path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    static WARNED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    /// Bounds the memory for programs that read many different files.
    const MAX_PATHS: usize = 1000;

    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return;
    }
    // `try_lock`, because a forked child may have inherited the mutex locked.
    if let Ok(mut warned) = WARNED.try_lock()
        && warned.len() < MAX_PATHS
        && warned.insert(path.to_owned())
    {
        drop(warned);
        log::warn!(
            "{what} is accessible to other users, restrict it with `chmod 600`: path={path:?} \
             mode={mode:04o}"
        );
    }
}

#[cfg(not(unix))]
pub(crate) fn warn_if_open_to_others(_: &str, _: &Path) {}

/// Sets the mode of a file that was created with mode 0600 again if the umask of the process withheld
/// a part of it.
#[cfg(unix)]
pub(crate) fn ensure_owner_access(file: &File) -> rustix::io::Result<()> {
    use rustix::fs::Mode;

    if rustix::fs::fstat(file)?.st_mode & 0o600 != 0o600 {
        rustix::fs::fchmod(file, Mode::RUSR | Mode::WUSR)?;
    }
    Ok(())
}

/// Fails if the limit on the size of files (`RLIMIT_FSIZE`) is lower than this. Writing such a file would
/// raise a signal, which kills the process unless it handles or ignores it.
#[cfg(unix)]
pub(crate) fn check_size_limit(bytes: usize) -> io::Result<()> {
    use rustix::process::{Resource, getrlimit};

    match getrlimit(Resource::Fsize).current {
        Some(limit) if limit < bytes as u64 => Err(io::Error::other(
            "the limit on the size of files is too low",
        )),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_size_limit(_: usize) -> io::Result<()> {
    Ok(())
}

/// New credential file without credentials. Dropping it before [`fill`](NewFile::fill) removes the
/// file.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    file: File,
    filled: bool,
}

/// Disk space to reserve; the credentials of a client take about 1 KiB.
const RESERVED_BYTES: usize = 8 * 1024;

impl NewFile {
    /// Creates the file with mode 0600. Fails if the path exists, also as a symbolic link.
    pub(crate) fn create(path: &Path) -> Result<NewFile> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                io_error(path, "exists already and is not overwritten", error)
            } else {
                io_error(path, "cannot be created", error)
            }
        })?;
        let created = NewFile {
            path: path.to_owned(),
            // Open during an API call, in which the program can write to its standard streams.
            file: above_standard_streams(file),
            filled: false,
        };
        #[cfg(unix)]
        ensure_owner_access(&created.file)
            .map_err(|error| io_error(path, "cannot be created", error.into()))?;
        Ok(created)
    }

    /// Reserves disk space by writing a comment and padding, so that `fill` cannot fail because of
    /// a full disk or a quota. The comment explains the file if the process terminates before
    /// `fill`.
    pub(crate) fn reserve(&mut self, comment: &str) -> Result<()> {
        let mut text = String::with_capacity(RESERVED_BYTES + comment.len());
        for line in comment.lines() {
            text.push_str("# ");
            text.push_str(line);
            text.push('\n');
        }
        while text.len() < RESERVED_BYTES {
            text.push_str("#\n");
        }
        check_size_limit(text.len())
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .and_then(|()| self.file.sync_all())
            .map_err(|error| io_error(&self.path, "cannot be written", error))
    }

    /// Replaces the content of the file, and flushes the file and its directory to the disk. Fails if
    /// the path is not the file that was created.
    pub(crate) fn fill(mut self, text: &[u8]) -> Result<()> {
        self.write(text)
            .map_err(|error| io_error(&self.path, "cannot be written", error))?;
        // A file system may not have stable inode numbers, so the content decides.
        if !is_same_file(&self.file, &self.path) && !has_content(&self.path, text) {
            let message = format!(
                "{} was removed or replaced by another program",
                self.path.display()
            );
            return Err(Error::new(
                ErrorKind::Io,
                Stage::Config,
                Outcome::NotSent,
                message,
            ));
        }
        self.filled = true;
        Ok(())
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        check_size_limit(text.len())?;
        self.file.rewind()?;
        self.file.write_all(text)?;
        self.file.set_len(text.len() as u64)?;
        self.file.sync_all()?;
        sync_folder_of(&self.path);
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // A truncated secret is useless, and the existing file would make the next attempt fail.
        if !self.filled && is_same_file(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Returns whether `path` still is the opened file, which another program may have replaced.
#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(opened), Ok(found)) => (opened.dev(), opened.ino()) == (found.dev(), found.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same_file(_: &File, path: &Path) -> bool {
    path.is_file()
}

/// Returns whether the file at `path` has this content.
fn has_content(path: &Path, text: &[u8]) -> bool {
    let mut content = Zeroizing::new(vec![0; text.len()]);
    File::open(path).is_ok_and(|mut file| {
        file.read_exact(&mut content).is_ok()
            && file
                .metadata()
                .is_ok_and(|found| found.len() == text.len() as u64)
    }) && **content == *text
}

/// Flushes the directory entry of a new file, if the file system supports it.
#[cfg(unix)]
fn sync_folder_of(path: &Path) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
        let _ = folder.sync_all();
    }
}

#[cfg(not(unix))]
fn sync_folder_of(_: &Path) {}

/// Returns an error of kind `Io` that names the file.
pub(crate) fn io_error(path: &Path, what: &str, error: io::Error) -> Error {
    let message = format!("{} {what}: {error}", path.display());
    Error::new(ErrorKind::Io, Stage::Config, Outcome::NotSent, message).with_underlying(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_file_is_removed_unless_it_is_filled() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("worker.env");
        let mut file = NewFile::create(&path).unwrap();
        file.reserve("A client is being created.").unwrap();
        assert!(
            std::fs::read(&path)
                .unwrap()
                .starts_with(b"# A client is being created.\n#\n")
        );
        drop(file);
        assert!(!path.exists());

        let mut file = NewFile::create(&path).unwrap();
        file.reserve("A client is being created.").unwrap();
        file.fill(b"A=b\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"A=b\n");
    }

    #[cfg(unix)]
    #[test]
    fn limit_on_the_size_of_files_is_an_error() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        use crate::fork::tests::forked_child::{Child, fork};

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("worker.env");
        // In a child, because the limit applies to the process.
        let child = fork(|| {
            let limit = Rlimit {
                current: Some(2),
                ..getrlimit(Resource::Fsize)
            };
            setrlimit(Resource::Fsize, limit).unwrap();
            let is_error = |result: Result<()>| {
                result.is_err_and(|error| error.to_string().contains("limit on the size of files"))
            };
            is_error(NewFile::create(&path).unwrap().reserve("A comment."))
                && is_error(NewFile::create(&path).unwrap().fill(b"A=b\n"))
        });
        assert_eq!(child.wait(), Child::Passed);
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn new_file_has_mode_600_whatever_the_umask() {
        use std::os::unix::fs::PermissionsExt;

        use crate::fork::tests::forked_child::{Child, fork};

        let directory = tempfile::tempdir().unwrap();
        for umask in [0o000, 0o177, 0o277, 0o777] {
            let path = directory.path().join(format!("{umask:03o}.env"));
            // In a child, because the umask applies to all threads of a process.
            let child = fork(|| {
                rustix::process::umask(rustix::fs::Mode::from_raw_mode(umask));
                NewFile::create(&path).is_ok_and(|file| file.fill(b"A=b\n").is_ok())
            });
            assert_eq!(child.wait(), Child::Passed, "{umask:03o}");
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "{umask:03o}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn new_file_is_left_if_another_program_has_replaced_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("worker.env");
        let file = NewFile::create(&path).unwrap();
        std::fs::write(directory.path().join("other"), "theirs").unwrap();
        std::fs::rename(directory.path().join("other"), &path).unwrap();
        drop(file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
    }

    #[cfg(unix)]
    #[test]
    fn fill_fails_if_another_program_removed_or_replaced_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("worker.env");
        let file = NewFile::create(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let error = file.fill(b"A=b\n").unwrap_err();
        let expected = format!(
            "{} was removed or replaced by another program",
            path.display()
        );
        assert_eq!(error.message(), expected);

        let file = NewFile::create(&path).unwrap();
        std::fs::write(directory.path().join("other"), "theirs").unwrap();
        std::fs::rename(directory.path().join("other"), &path).unwrap();
        let error = file.fill(b"A=b\n").unwrap_err();
        assert_eq!(error.message(), expected);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
    }
}
