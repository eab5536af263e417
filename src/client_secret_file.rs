//! The file of a client secret (`client_secret_file`), which is read again after the token endpoint
//! rejected its content, so that a rotated secret needs no restart.
//!
//! Must not depend on `auth` or `config`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::private_file::warn_if_open_to_others;
use crate::secret::{Secret, Zeroizing, read_to_end};

/// Maximum size of the file in bytes; a secret has less than a hundred.
const MAX_BYTES: u64 = 64 * 1024;

/// A file with a client secret.
#[derive(Debug, Clone)]
pub(crate) struct ClientSecretFile {
    /// The setting or variable that names the file, for error messages.
    setting: &'static str,
    path: PathBuf,
}

impl ClientSecretFile {
    pub(crate) fn new(setting: &'static str, path: PathBuf) -> Self {
        ClientSecretFile { setting, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Resolves a relative path against the current directory.
    pub(crate) fn make_absolute(&mut self) -> Result<()> {
        self.path = std::path::absolute(&self.path).map_err(|error| {
            Error::config(format!(
                "{}: the current directory cannot be determined: {error}",
                self.setting
            ))
        })?;
        Ok(())
    }

    /// Reads the file. Logs one warning if other users can read it.
    ///
    /// # Errors
    ///
    /// `Config`, with the setting and the path, if the content is not one line of UTF-8, or the file
    /// cannot be read.
    pub(crate) fn read(&self) -> Result<Secret> {
        let secret = read(&self.path).map_err(|problem| {
            Error::config(format!(
                "{}: {} {problem}",
                self.setting,
                self.path.display()
            ))
        })?;
        warn_if_open_to_others("client secret file", &self.path);
        Ok(secret)
    }
}

fn read(path: &Path) -> std::result::Result<Secret, String> {
    let unreadable = |error: io::Error| format!("cannot be read: {error}");
    let file = open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("is not a regular file".to_owned());
    }
    // The capacity suffices: a buffer that grows leaves copies in memory.
    let capacity = metadata.len().min(MAX_BYTES) as usize + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(capacity));
    read_to_end(&mut file.take(MAX_BYTES + 1), &mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("has more than {MAX_BYTES} bytes"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8".to_owned())?;
    // Some editors on Windows add a byte-order mark.
    let secret = text.strip_prefix('\u{feff}').unwrap_or(text);
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err("is empty".to_owned());
    }
    if secret.contains(['\r', '\n', '\0']) {
        return Err("has more than one line; expected the client secret only".to_owned());
    }
    Ok(Secret::new(secret))
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    // Opening a FIFO would block until a process writes to it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn content(bytes: &[u8]) -> Result<Secret> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, bytes).unwrap();
        ClientSecretFile::new("`client_secret_file`", path).read()
    }

    #[test]
    fn read_removes_a_byte_order_mark_and_trailing_line_breaks_only() {
        for (bytes, secret) in [
            (&b"hunter2"[..], "hunter2"),
            (b"hunter2\n", "hunter2"),
            (b"hunter2\r\n", "hunter2"),
            (b"hunter2\n\n", "hunter2"),
            (b" hunter2 ", " hunter2 "),
            ("hünter2\n".as_bytes(), "hünter2"),
            ("\u{feff}hunter2\r\n".as_bytes(), "hunter2"),
        ] {
            assert_eq!(content(bytes).unwrap().expose(), secret, "{bytes:?}");
        }
        assert_eq!(content(&[b'x'; 64 * 1024]).unwrap().expose().len(), 65_536);
    }

    #[test]
    fn read_names_setting_file_and_problem() {
        for (bytes, problem) in [
            (&b""[..], "is empty"),
            (b"\n", "is empty"),
            (b"hunter2\xff", "is not UTF-8"),
            (b"a=hunter2\nb=hunter2\n", "has more than one line"),
            (&[b'x'; 64 * 1024 + 1], "has more than 65536 bytes"),
        ] {
            let error = content(bytes).unwrap_err().to_string();
            assert!(error.starts_with("`client_secret_file`: "), "{error}");
            assert!(error.contains(&format!("secret {problem}")), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn read_rejects_what_is_not_a_regular_file_without_blocking() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        // rustix has no function for this on macOS.
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        let missing = directory.path().join("missing");
        for (path, problem) in [
            (directory.path(), "is not a regular file"),
            (&fifo, "is not a regular file"),
            (Path::new("/dev/null"), "is not a regular file"),
            (&missing, "cannot be read: No such file"),
        ] {
            let file = ClientSecretFile::new("`client_secret_file`", path.to_owned());
            let error = file.read().unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            assert!(error.contains(problem), "{error}");
        }
    }
}
