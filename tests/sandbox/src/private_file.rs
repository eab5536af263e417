//! Creation of files that contain secrets: used by the library and by its program.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Creates a file with mode 0600, whatever the umask of the process. Fails if the path exists, also as a
/// symbolic link.
///
/// # Errors
///
/// The file exists or cannot be created.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}
