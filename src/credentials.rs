//! Credential files of the Console: parsing, writing, and the credentials that they contain.

use std::collections::BTreeMap;
use std::env::VarError;
use std::fs::File;
use std::io::Read;
use std::path::Path;

#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::private_file::{NewFile, io_error, warn_if_open_to_others};
use crate::secret::{Secret, SecretBuffer, Zeroizing, read_to_end};

/// Variables of a cluster client's credentials, in the order in which they are written.
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

/// Audience of the tokens for a cluster, unless its credentials name another one.
pub(crate) const DEFAULT_CLUSTER_AUDIENCE: &str = "zeebe.camunda.io";

/// Name of a credential file in warnings.
pub(crate) const CREDENTIAL_FILE: &str = "credential file";

/// Maximum size of a credential file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Credentials of a cluster client, as the variables of the Console's credential file.
///
/// `Debug` shows only the names of the variables.
///
/// ```no_run
/// use camunda_admin::ClusterCredentials;
///
/// let credentials = ClusterCredentials::from_env_file("worker.env")?;
/// println!("{:?}", credentials.get("ZEEBE_ADDRESS"));
/// # Ok::<(), camunda_admin::Error>(())
/// ```
///
/// Variables from another source, such as a secret manager, are collected:
///
/// ```no_run
/// use camunda_admin::{ClusterCredentials, TokenSource};
///
/// let credentials: ClusterCredentials = [
///     ("ZEEBE_CLIENT_ID", "my-client"),
///     ("ZEEBE_CLIENT_SECRET", "my-secret"),
///     ("CAMUNDA_OAUTH_URL", "https://login.cloud.camunda.io/oauth/token"),
/// ]
/// .into_iter()
/// .collect();
/// let tokens = TokenSource::new(&credentials)?;
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ClusterCredentials {
    variables: BTreeMap<String, Secret>,
}

impl ClusterCredentials {
    pub(crate) fn from_variables(variables: BTreeMap<String, Secret>) -> Self {
        ClusterCredentials { variables }
    }

    /// Reads a credential file with lines `export NAME='value'` or `NAME=value`.
    ///
    /// The file is parsed as POSIX shell assignments with quotes and comments, but without
    /// expansions: `$` is a literal dollar sign. Unknown variables are kept. If other users can
    /// read the file, the library logs one warning.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the file cannot be read; [`ErrorKind::Config`], with the line number,
    /// if it cannot be parsed.
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
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the name of the variable that is not set or not UTF-8.
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

    /// Returns the value of a variable, such as `ZEEBE_ADDRESS`, or `None` if it is absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(Secret::expose)
    }

    /// Iterates over the names and values: the variables of the Console's file in its order, then
    /// the others by name.
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

    /// Writes the variables as `export NAME='value'` lines to a new file with mode 0600, and
    /// flushes it to the disk.
    ///
    /// Never overwrites a file: if the path exists, also as a symbolic link, nothing is changed. A
    /// file that cannot be written completely is removed. To store the credentials of a client that
    /// does not exist yet, use
    /// [`ClusterClients::create_env_file`](crate::ClusterClients::create_env_file), which cannot
    /// lose its secret.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if a name is invalid or a value contains a NUL, before the
    /// file is created; [`ErrorKind::Io`] if the file exists or cannot be written.
    pub fn write_env_file(&self, path: impl AsRef<Path>) -> Result<()> {
        let text = self.to_env_text()?;
        NewFile::create(path.as_ref())?.fill(text.as_bytes())
    }

    /// Returns the content of the file. Fails if the parser could not read it back.
    pub(crate) fn to_env_text(&self) -> Result<Zeroizing<String>> {
        let mut text = SecretBuffer::with_capacity(2 * 1024);
        for (name, value) in self.iter() {
            if !is_name(name) {
                return Err(Error::invalid_argument(format!(
                    "credentials: `{}` is not a valid variable name",
                    name.escape_debug()
                )));
            }
            if value.expose().contains('\0') {
                return Err(Error::invalid_argument(format!(
                    "credentials: the value of {name} contains a NUL, which no environment can hold"
                )));
            }
            text.push_str("export ");
            text.push_str(name);
            text.push_str("='");
            for (index, piece) in value.expose().split('\'').enumerate() {
                if index > 0 {
                    // Ends the quoted string, adds an escaped quote, and begins another string.
                    text.push_str(r"'\''");
                }
                text.push_str(piece);
            }
            text.push_str("'\n");
        }
        Ok(text.into_string().unwrap_or_default())
    }

    /// Returns the first of these variables that is present; fails if all are absent.
    pub(crate) fn require(&self, names: &[&str]) -> Result<&Secret> {
        names
            .iter()
            .find_map(|name| self.variables.get(*name))
            .ok_or_else(|| {
                Error::config(format!(
                    "credentials: required variable missing: {}",
                    names.join(" or ")
                ))
            })
    }
}

/// Collects names and values of variables. Of duplicates, the last one counts. Names are validated by
/// [`write_env_file`](ClusterCredentials::write_env_file), required variables by
/// [`TokenSource::new`](crate::TokenSource::new).
impl<N: Into<String>, V: Into<Secret>> FromIterator<(N, V)> for ClusterCredentials {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        ClusterCredentials {
            variables: variables
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

impl<'a> IntoIterator for &'a ClusterCredentials {
    type Item = (&'a str, &'a Secret);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().collect::<Vec<_>>().into_iter()
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
        .and_then(|file| read_to_end(&mut file.take(MAX_FILE_BYTES + 1), &mut bytes))
        .map_err(|error| io_error(path, "cannot be read", error))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::config(format!(
            "{} is too large for a credential file",
            path.display()
        )));
    }
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Error::config(format!("{} is not UTF-8", path.display())))?;
    parse(text).map_err(|problem| Error::config(format!("{}: {problem}", path.display())))
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Parses POSIX shell assignments, without expansions. Errors contain the line number and no value.
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
            .ok_or_else(|| format!("line {line}: unterminated quote in the value of {name}"))?;
        let end = after.trim_start_matches([' ', '\t', ';']);
        if !(end.is_empty() || end.starts_with(['\n', '\r', '#'])) {
            return Err(format!("line {line}: text after the value of {name}"));
        }
        // Neither an environment nor a C string can hold a NUL.
        if value.contains('\0') {
            return Err(format!("line {line}: the value of {name} contains a NUL"));
        }
        variables.insert(name.to_owned(), Secret::from(value));
        rest = end;
    }
}

/// Parses a quoted or unquoted value. Returns `None` if a quote is not terminated.
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
                // Before a line break it continues the line.
                if escaped != '\n' {
                    value.push(escaped);
                }
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
    use crate::error::ErrorKind;

    fn values(text: &str) -> Vec<(String, String)> {
        let variables = parse(text).unwrap();
        variables
            .into_iter()
            .map(|(name, value)| (name, value.expose().to_owned()))
            .collect()
    }

    #[test]
    fn parse_reads_shell_assignments() {
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
            ("A=b\\\nc", "bc"),
            ("A='b'\\\n'c'\\\n\nB=d", "bc"),
            ("A=x\nA=b", "b"),
            ("exportA=x\nA=b", "b"),
        ] {
            let values = values(text);
            let (_, value) = values.iter().find(|(name, _)| name == "A").unwrap();
            assert_eq!(value, expected, "{text:?}");
        }
    }

    #[test]
    fn parse_error_names_line_without_value() {
        for (text, part) in [
            ("A='hunter2", "line 1: unterminated quote in the value of A"),
            (
                "A=b\nB=\"hunter2",
                "line 2: unterminated quote in the value of B",
            ),
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
    fn written_file_is_read_back() {
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
    fn credentials_are_collected_from_pairs_of_which_the_last_duplicate_counts() {
        let pairs = [("B", "1"), ("ZEEBE_ADDRESS", "z:443"), ("B", "2")];
        let credentials = ClusterCredentials::from_iter(pairs);
        let found: Vec<_> = credentials
            .iter()
            .map(|(name, value)| (name, value.expose()))
            .collect();
        assert_eq!(found, [("ZEEBE_ADDRESS", "z:443"), ("B", "2")]);
        let again: ClusterCredentials = (&credentials)
            .into_iter()
            .map(|(name, value)| (name, value.clone()))
            .collect();
        assert_eq!(again, credentials);
    }

    #[test]
    fn write_env_file_leaves_no_file_if_a_variable_cannot_be_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("worker.env");
        for (name, value, part) in [
            (
                "not a name",
                "hunter2",
                "`not a name` is not a valid variable name",
            ),
            ("", "hunter2", "`` is not a valid variable name"),
            ("A", "hunter2\0", "the value of A contains a NUL"),
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
    fn write_env_file_does_not_follow_symbolic_link() {
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
