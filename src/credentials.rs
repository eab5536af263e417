//! The credential files that the Console hands out: reading, writing, and what is in them.

use std::collections::BTreeMap;
#[cfg(unix)]
use std::collections::BTreeSet;
use std::env::VarError;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::sync::Mutex;

use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::secret::{Secret, SecretBuffer, Zeroizing, read_to_end};

/// The variables of a cluster's credentials, in the order in which they are written.
const VARIABLE_ORDER: [&str; 12] = [
    "ZEEBE_ADDRESS",
    "ZEEBE_CLIENT_ID",
    "ZEEBE_CLIENT_SECRET",
    "ZEEBE_AUTHORIZATION_SERVER_URL",
    "ZEEBE_TOKEN_AUDIENCE",
    "CAMUNDA_CLUSTER_ID",
    "CAMUNDA_CLUSTER_REGION",
    "CAMUNDA_CREDENTIALS_SCOPES",
    "CAMUNDA_TASKLIST_BASE_URL",
    "CAMUNDA_OPTIMIZE_BASE_URL",
    "CAMUNDA_OPERATE_BASE_URL",
    "CAMUNDA_OAUTH_URL",
];

/// What warnings call a credential file.
pub(crate) const CREDENTIAL_FILE: &str = "credential file";

/// Far more than any credential file has; a bound for files that are something else.
const MAX_BYTES: u64 = 1024 * 1024;

/// The credentials of a cluster's client, as the variables of the Console's file.
///
/// `Debug` shows the names of the variables only.
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterCredentials {
    variables: BTreeMap<String, Secret>,
}

impl ClusterCredentials {
    pub(crate) fn from_variables(variables: BTreeMap<String, Secret>) -> Self {
        ClusterCredentials { variables }
    }

    /// Reads a file of `export NAME='value'` or `NAME=value` lines, quotes and comments understood.
    ///
    /// Nothing is expanded: `$` is a dollar sign. Unknown variables are kept. A file that other users
    /// can read is logged as a warning, once. Errors: `Io` where the file cannot be read, `Config`
    /// naming the line that cannot be understood.
    pub fn from_env_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let variables = read_env_file(path)?;
        warn_if_open_to_others(CREDENTIAL_FILE, path);
        Ok(ClusterCredentials::from_variables(variables))
    }

    /// Reads the variables of the Console's credential file from the environment, such as
    /// `ZEEBE_CLIENT_ID` and `ZEEBE_CLIENT_SECRET`, which are required. An empty variable counts as
    /// not set.
    ///
    /// Errors: `Config`, naming the variable that is not set or not UTF-8.
    pub fn from_env() -> Result<Self> {
        ClusterCredentials::read(|name| std::env::var(name))
    }

    fn read(variable: impl Fn(&str) -> Result<String, VarError>) -> Result<Self> {
        let mut variables = BTreeMap::new();
        for name in VARIABLE_ORDER {
            match variable(name) {
                Ok(value) if value.is_empty() => {}
                Ok(value) => {
                    variables.insert(name.to_owned(), Secret::new(value));
                }
                Err(VarError::NotPresent) => {}
                Err(VarError::NotUnicode(_)) => {
                    return Err(Error::config(format!("the variable {name} is not UTF-8")));
                }
            }
        }
        for name in ["ZEEBE_CLIENT_ID", "ZEEBE_CLIENT_SECRET"] {
            if !variables.contains_key(name) {
                return Err(Error::config(format!("the variable {name} is not set")));
            }
        }
        Ok(ClusterCredentials { variables })
    }

    /// The value of a variable, such as `ZEEBE_ADDRESS`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(Secret::expose)
    }

    /// Names and values, in the order of the Console's file; others follow by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let known = VARIABLE_ORDER
            .iter()
            .filter_map(|name| self.variables.get_key_value(*name));
        let others = self
            .variables
            .iter()
            .filter(|(name, _)| !VARIABLE_ORDER.contains(&name.as_str()));
        known
            .chain(others)
            .map(|(name, value)| (name.as_str(), value))
    }

    /// Writes the variables as `export NAME='value'` lines to a new file with mode 0600, and flushes
    /// it to the disk.
    ///
    /// Never overwrites: if the path exists, a symbolic link included, nothing is changed. A file that
    /// cannot be written whole is removed again. To keep the credentials of a client that is yet to be
    /// created, use [`ClusterClients::create_env_file`](crate::ClusterClients::create_env_file), which
    /// cannot lose its secret.
    ///
    /// Errors: `InvalidArgument` if a name is not valid or a value has a NUL, before the file is
    /// created; `Io`.
    pub fn write_env_file(&self, path: impl AsRef<Path>) -> Result<()> {
        let text = self.to_env_text()?;
        NewFile::create(path.as_ref())?.fill(text.as_bytes())
    }

    /// Returns the text of the file; fails if it could not be read back.
    pub(crate) fn to_env_text(&self) -> Result<Zeroizing<String>> {
        let mut text = SecretBuffer::with_capacity(2 * 1024);
        for (name, value) in self.iter() {
            if !is_name(name) {
                return Err(Error::invalid_argument(format!(
                    "credentials: `{}` is not a valid name of a variable",
                    name.escape_debug()
                )));
            }
            if value.expose().contains('\0') {
                return Err(Error::invalid_argument(format!(
                    "credentials: the value of {name} has a NUL, which no environment can hold"
                )));
            }
            text.push_str("export ");
            text.push_str(name);
            text.push_str("='");
            for (index, piece) in value.expose().split('\'').enumerate() {
                if index > 0 {
                    // A quote ends the quoted text, stands for itself, and begins another.
                    text.push_str(r"'\''");
                }
                text.push_str(piece);
            }
            text.push_str("'\n");
        }
        Ok(text.into_string().unwrap_or_default())
    }

    /// A variable that has to be there for what the caller wants.
    pub(crate) fn require(&self, names: &[&str]) -> Result<&Secret> {
        names
            .iter()
            .find_map(|name| self.variables.get(*name))
            .ok_or_else(|| {
                Error::config(format!(
                    "the credentials have no {}",
                    names.join(" and no ")
                ))
            })
    }
}

impl std::fmt::Debug for ClusterCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ClusterCredentials")
            .field(&self.variables.keys().collect::<Vec<_>>())
            .finish()
    }
}

/// Reads the variables of a credential file.
pub(crate) fn read_env_file(path: &Path) -> Result<BTreeMap<String, Secret>> {
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| read_to_end(&mut file.take(MAX_BYTES + 1), &mut bytes))
        .map_err(|error| io_error(path, "cannot be read", error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::config(format!(
            "{} is too large for a credential file",
            path.display()
        )));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::config(format!("{} is not UTF-8", path.display())))?;
    parse(text).map_err(|problem| Error::config(format!("{}: {problem}", path.display())))
}

/// Logs a warning, once for each path, if other users can read a file with secrets in it or write it.
#[cfg(unix)]
pub(crate) fn warn_if_open_to_others(what: &str, path: &Path) {
    use std::os::unix::fs::PermissionsExt;

    static WARNED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    /// Programs that read ever new files are not to fill the memory with their names.
    const MAX_PATHS: usize = 1000;

    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return;
    }
    // Not waited for: a forked child may have inherited it locked.
    if let Ok(mut warned) = WARNED.try_lock()
        && warned.len() < MAX_PATHS
        && warned.insert(path.to_owned())
    {
        drop(warned);
        log::warn!(
            "{what} is open to other users, restrict it with `chmod 600`: path={} mode={mode:04o}",
            path.display()
        );
    }
}

#[cfg(not(unix))]
pub(crate) fn warn_if_open_to_others(_: &str, _: &Path) {}

/// A credential file that was created and has no credentials yet; it is removed if it gets none.
#[derive(Debug)]
pub(crate) struct NewFile {
    path: PathBuf,
    file: File,
    filled: bool,
}

/// Room that is reserved on the disk; the credentials of a client take about 1 KiB.
const RESERVED_BYTES: usize = 8 * 1024;

impl NewFile {
    /// Creates the file with mode 0600. Fails if the path exists, a symbolic link included.
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
        Ok(NewFile {
            path: path.to_owned(),
            file,
            filled: false,
        })
    }

    /// Writes a comment and as many bytes as the credentials will take, so that neither a full disk
    /// nor a quota can keep them out later. The comment explains a file that a crash leaves behind.
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
        self.file
            .write_all(text.as_bytes())
            .and_then(|()| self.file.sync_all())
            .map_err(|error| io_error(&self.path, "cannot be written", error))
    }

    /// Replaces what is in the file, and flushes it and its folder to the disk.
    pub(crate) fn fill(mut self, text: &[u8]) -> Result<()> {
        self.write(text)
            .map_err(|error| io_error(&self.path, "cannot be written", error))?;
        self.filled = true;
        Ok(())
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
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
        // Half a secret is useless, and it would stand in the way of the next attempt.
        if !self.filled && is_same_file(&self.file, &self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether a path still leads to a file that was opened: another program may have replaced it.
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

/// Flushes the entry of a new file; on file systems that cannot do that, it is none the worse.
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

fn io_error(path: &Path, what: &str, error: io::Error) -> Error {
    let message = format!("{} {what}: {error}", path.display());
    Error::new(ErrorKind::Io, Stage::Config, Outcome::NotSent, message).with_underlying(error)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Parses what a shell would read, expansions aside; a problem names its line and no value.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, Secret>, String> {
    let mut variables = BTreeMap::new();
    let mut rest = text.trim_start_matches('\u{feff}');
    let line_of = |rest: &str| text[..text.len() - rest.len()].matches('\n').count() + 1;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(variables);
        }
        if rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        let line = line_of(rest);
        let assignment = match rest.strip_prefix("export") {
            Some(after) if after.starts_with([' ', '\t']) => after.trim_start_matches([' ', '\t']),
            _ => rest,
        };
        let (name, value) = assignment
            .split_once('=')
            .filter(|(name, _)| is_name(name))
            .ok_or_else(|| format!("line {line} is not NAME=value"))?;
        let (value, after) = parse_value(value)
            .ok_or_else(|| format!("line {line}: the quotes of {name} do not end"))?;
        let end = after.trim_start_matches([' ', '\t', ';']);
        if !(end.is_empty() || end.starts_with(['\n', '\r', '#'])) {
            return Err(format!("line {line}: text after the value of {name}"));
        }
        // A NUL could be neither in an environment nor in a C string.
        if value.contains('\0') {
            return Err(format!("line {line}: the value of {name} has a NUL"));
        }
        variables.insert(name.to_owned(), Secret::from(value));
        rest = end;
    }
}

/// Reads a value, quoted or not; `None` where a quote does not end.
fn parse_value(text: &str) -> Option<(Zeroizing<String>, &str)> {
    let mut value = SecretBuffer::default();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        match c {
            ' ' | '\t' | '\r' | '\n' | ';' => break,
            '\'' => {
                let (quoted, after) = after.split_once('\'')?;
                value.push_str(quoted);
                rest = after;
            }
            '"' => rest = parse_double_quoted(after, &mut value)?,
            '\\' => {
                let escaped = after.chars().next()?;
                value.push(escaped);
                rest = &after[escaped.len_utf8()..];
            }
            c => {
                value.push(c);
                rest = after;
            }
        }
    }
    Some((value.into_string()?, rest))
}

fn parse_double_quoted<'a>(text: &'a str, value: &mut SecretBuffer) -> Option<&'a str> {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some(&text[at + 1..]),
            '\\' => match chars.next()?.1 {
                escaped @ ('"' | '\\' | '$' | '`') => value.push(escaped),
                '\n' => {}
                other => {
                    value.push('\\');
                    value.push(other);
                }
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let variables = parse(text).unwrap();
        variables
            .into_iter()
            .map(|(name, value)| (name, value.expose().to_owned()))
            .collect()
    }

    #[test]
    fn what_shells_write_is_read() {
        for (text, expected) in [
            ("export A='b c'", "b c"),
            ("A=b", "b"),
            ("A=", ""),
            ("A=\"b \\\" \\$c \\n\"", "b \" $c \\n"),
            ("A='it'\\''s'", "it's"),
            ("  export\tA='b' # why\n", "b"),
            ("# first\n\nA=b#c\r\n", "b#c"),
            ("\u{feff}A=b;", "b"),
            ("A='two\nlines'", "two\nlines"),
            ("A=x\nA=b", "b"),
            ("exportA=x\nA=b", "b"),
        ] {
            let values = values(text);
            let (_, value) = values.iter().find(|(name, _)| name == "A").unwrap();
            assert_eq!(value, expected, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_without_its_value() {
        for (text, part) in [
            ("A='hunter2", "line 1: the quotes of A"),
            ("A=b\nB=\"hunter2", "line 2: the quotes of B"),
            ("A=b\n\nhunter2", "line 3 is not NAME=value"),
            ("A=b hunter2", "line 1: text after the value of A"),
            ("1A=hunter2", "line 1"),
            ("A=hunter2\\", "line 1"),
            ("A='\0hunter2'", "NUL"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(
                problem.contains(part) && !problem.contains("hunter2"),
                "{text:?}: {problem}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("worker.env");
        let variables: BTreeMap<_, _> = [
            (
                "ZEEBE_CLIENT_SECRET".to_owned(),
                Secret::new("it's $HOME \"x\"\n\\"),
            ),
            ("ZEEBE_ADDRESS".to_owned(), Secret::new("z:443")),
            ("OTHER".to_owned(), Secret::new("")),
        ]
        .into();
        let credentials = ClusterCredentials::from_variables(variables);
        credentials.write_env_file(&path).unwrap();
        assert_eq!(
            ClusterCredentials::from_env_file(&path).unwrap(),
            credentials
        );
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("export ZEEBE_ADDRESS='z:443'\n"), "{text}");

        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
        }
        let error = credentials.write_env_file(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("not overwritten"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }

    #[test]
    fn write_env_file_leaves_no_file_if_a_variable_cannot_be_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("worker.env");
        for (name, value, part) in [
            ("not a name", "hunter2", "`not a name` is not a valid name"),
            ("", "hunter2", "`` is not a valid name"),
            ("A", "hunter2\0", "the value of A has a NUL"),
        ] {
            let variables = [(name.to_owned(), Secret::new(value))].into();
            let credentials = ClusterCredentials::from_variables(variables);
            let error = credentials.write_env_file(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
            let text = error.to_string();
            assert!(text.contains(part) && !text.contains("hunter2"), "{text}");
            assert!(!path.exists(), "{name:?}");
        }
    }

    #[test]
    fn new_file_is_removed_unless_it_is_filled() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("worker.env");
        let mut file = NewFile::create(&path).unwrap();
        file.reserve("A client is being created.").unwrap();
        assert_eq!(read_env_file(&path).unwrap(), BTreeMap::new());
        drop(file);
        assert!(!path.exists());

        let mut file = NewFile::create(&path).unwrap();
        file.reserve("A client is being created.").unwrap();
        file.fill(b"A=b\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"A=b\n");
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

    #[test]
    fn credentials_from_env_have_the_variables_that_are_set() {
        let credentials = ClusterCredentials::read(|name| match name {
            "ZEEBE_CLIENT_ID" => Ok("id".to_owned()),
            "ZEEBE_CLIENT_SECRET" => Ok("hunter2".to_owned()),
            "ZEEBE_TOKEN_AUDIENCE" => Ok(String::new()),
            _ => Err(VarError::NotPresent),
        })
        .unwrap();
        let read: Vec<_> = credentials
            .iter()
            .map(|(name, it)| (name, it.expose()))
            .collect();
        assert_eq!(
            read,
            [
                ("ZEEBE_CLIENT_ID", "id"),
                ("ZEEBE_CLIENT_SECRET", "hunter2")
            ]
        );
    }

    #[test]
    fn credentials_from_env_name_the_variable_that_is_missing_or_not_utf8() {
        let error = ClusterCredentials::read(|name| match name {
            "ZEEBE_CLIENT_ID" => Ok("id".to_owned()),
            _ => Err(VarError::NotPresent),
        });
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.message().contains("ZEEBE_CLIENT_SECRET"), "{error}");
        let error = ClusterCredentials::read(|name| match name {
            "ZEEBE_ADDRESS" => Err(VarError::NotUnicode("x".into())),
            _ => Ok("x".to_owned()),
        });
        let error = error.unwrap_err();
        assert!(
            error.message().contains("ZEEBE_ADDRESS is not UTF-8"),
            "{error}"
        );
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        #[cfg(unix)]
        {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("worker.env");
            let elsewhere = directory.path().join("elsewhere");
            std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
            let credentials = ClusterCredentials::from_variables(BTreeMap::new());
            assert!(credentials.write_env_file(&path).is_err());
            assert!(!elsewhere.exists());
        }
    }
}
