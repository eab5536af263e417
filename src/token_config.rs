//! Parameters of token requests and of the token cache: what the configuration passes to `auth`.
//!
//! Must not depend on `auth` or `config`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::edit_distance::nearest;
use crate::error::Error;
use crate::secret::Secret;
use crate::token_store::TokenStore;

/// Parameters of a token request. All of them together are the cache key, so a rotated secret never
/// gets a token of the old one.
#[derive(Clone, Debug)]
pub(crate) struct TokenRequest {
    pub(crate) token_url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Secret,
    pub(crate) audience: String,
    pub(crate) scope: Option<String>,
    pub(crate) format: TokenRequestFormat,
}

/// Body format of token requests, the value of
/// [`token_request_format`](crate::AdminClientBuilder::token_request_format).
///
/// Later versions can add formats, so a `match` needs a wildcard arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenRequestFormat {
    /// `json`: JSON, as the API documents it.
    #[default]
    Json,
    /// `form`: `application/x-www-form-urlencoded`, as RFC 6749 requires it.
    Form,
}

impl TokenRequestFormat {
    /// Returns the name of the format in configurations: `json` or `form`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            TokenRequestFormat::Json => "json",
            TokenRequestFormat::Form => "form",
        }
    }
}

impl fmt::Display for TokenRequestFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for TokenRequestFormat {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), if the text is neither `json` nor `form`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "json" => Ok(TokenRequestFormat::Json),
            "form" => Ok(TokenRequestFormat::Form),
            _ => Err(Error::config(
                "`token_request_format`: invalid value; expected `json` or `form`",
            )),
        }
    }
}

/// Where tokens are cached and with whom they are shared, the value of
/// [`token_cache`](crate::AdminClientBuilder::token_cache).
///
/// Parsing a string accepts the same values as the setting in a configuration:
///
/// ```
/// use camunda_admin::TokenCache;
///
/// assert!(matches!("memory".parse()?, TokenCache::Memory));
/// assert!(matches!("./tokens".parse()?, TokenCache::Directory(_)));
/// assert!("memroy".parse::<TokenCache>().is_err());
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenCache {
    /// `auto`: all processes of this user on this machine share tokens, through encrypted files in
    /// the user's cache directory.
    #[default]
    Auto,
    /// `memory`: the clients of this process share tokens.
    Memory,
    /// All processes that use this directory share tokens, through encrypted files. `~` at the
    /// beginning is the home directory. [`build`](crate::AdminClientBuilder::build) resolves a
    /// relative path.
    Directory(PathBuf),
    /// All processes that use this Redis or Valkey server share tokens; its URL begins with
    /// `redis://`, `rediss://`, `valkey://` or `valkeys://`. Requires the crate feature `redis`.
    Redis(Secret),
}

impl FromStr for TokenCache {
    type Err = Error;

    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), if the text is neither `auto` nor `memory`
    /// nor a directory (with a separator, or beginning with `.` or `~`) nor a URL of Redis or
    /// Valkey.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => return Ok(TokenCache::Auto),
            "memory" => return Ok(TokenCache::Memory),
            _ if text.trim().is_empty() => return Err(TokenCache::invalid("empty")),
            _ => {}
        }
        if let Some(url) = redis_url(text) {
            return Ok(TokenCache::Redis(url));
        }
        if resembles_url(text) {
            return Err(TokenCache::invalid("unsupported URL scheme"));
        }
        if text.starts_with(['.', '~']) || text.contains(std::path::is_separator) {
            return Ok(TokenCache::Directory(PathBuf::from(text)));
        }
        Err(match similar_keyword(text) {
            Some(keyword) => {
                TokenCache::invalid(&format!("unknown value, did you mean `{keyword}`?"))
            }
            None => TokenCache::invalid("unknown value"),
        })
    }
}

/// The conversions that the setters of the builder accept in addition to the value itself.
macro_rules! try_from_strings {
    ($type:ty: $($text:ty),*) => {
        $(impl TryFrom<$text> for $type {
            type Error = Error;

            fn try_from(text: $text) -> Result<Self, Error> {
                text.parse()
            }
        })*
    };
}
try_from_strings!(TokenCache: &str, &String, String);
try_from_strings!(TokenRequestFormat: &str, &String, String);

impl TokenCache {
    pub(crate) fn invalid(problem: &str) -> Error {
        Error::config(format!("`token_cache`: {problem}; {TOKEN_CACHE_VALUES}"))
    }
}

/// Valid values of `token_cache`, for error messages. These do not quote the value, which may
/// contain a password.
const TOKEN_CACHE_VALUES: &str = "expected `auto`, `memory`, a directory (with a separator, or \
                                  beginning with `.` or `~`), or a redis://, rediss://, valkey:// \
                                  or valkeys:// URL";

/// Returns the URL of a Redis or Valkey server with its scheme in lower case, or `None` for any
/// other value.
pub(crate) fn redis_url(value: &str) -> Option<Secret> {
    let (scheme, rest) = value.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    matches!(&*scheme, "redis" | "rediss" | "valkey" | "valkeys")
        .then(|| Secret::new(format!("{scheme}://{rest}")))
}

/// Returns whether a value is a URL, possibly misspelt. Such a value is not used as a directory,
/// whose name could then contain a password. A scheme of one letter is a Windows drive.
pub(crate) fn resembles_url(value: &str) -> bool {
    let is_scheme = |scheme: &str| {
        scheme.len() > 1
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    value.contains("://")
        || value
            .trim_start()
            .split_once(':')
            .is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// Returns the keyword of `token_cache` that is most similar to an unknown value.
fn similar_keyword(value: &str) -> Option<&'static str> {
    let value = value.trim().to_ascii_lowercase();
    if matches!(
        &*value,
        "none" | "off" | "no" | "false" | "disabled" | "ram"
    ) {
        return Some("memory");
    }
    if matches!(&*value, "default" | "on" | "yes" | "true") {
        return Some("auto");
    }
    nearest(&value, ["auto", "memory"])
}

/// Token stores in addition to memory.
#[derive(Clone, Default)]
pub(crate) enum TokenCacheConfig {
    /// Files in the user's cache directory.
    #[default]
    Auto,
    /// No store.
    Memory,
    /// Files in this directory.
    Directory(PathBuf),
    /// Redis or Valkey at this URL. Requires the cargo feature `redis`.
    Redis {
        url: Secret,
        fallback: Fallback,
        /// For a `rediss://` or `valkeys://` URL.
        tls: Option<StoreTls>,
    },
    /// The caller's own store.
    Custom(Arc<dyn TokenStore>),
}

/// What a process uses while its Redis cannot be reached, in addition to memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fallback {
    /// Files in the user's cache directory.
    #[default]
    Auto,
    /// Files in this directory.
    Directory(PathBuf),
    /// No files.
    Memory,
}

/// TLS settings of connections to a token store.
#[derive(Clone)]
pub(crate) struct StoreTls {
    /// Distinguishes settings: clients with equal ones share a store. A digest of the files'
    /// contents, which can change while their names do not.
    pub(crate) id: Vec<u8>,
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(crate) config: Arc<rustls::ClientConfig>,
}

impl fmt::Debug for TokenCacheConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenCacheConfig::Auto => f.write_str("Auto"),
            TokenCacheConfig::Memory => f.write_str("Memory"),
            TokenCacheConfig::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            TokenCacheConfig::Redis { url, fallback, .. } => f
                .debug_struct("Redis")
                .field("url", url)
                .field("fallback", fallback)
                .finish_non_exhaustive(),
            TokenCacheConfig::Custom(store) => {
                f.debug_tuple("Custom").field(&store.describe()).finish()
            }
        }
    }
}
