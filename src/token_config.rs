//! Parameters of token requests and of the token cache: what the configuration passes to `auth`.
//!
//! Must not depend on `auth` or `config`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

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
    pub(crate) encoding: TokenRequestFormat,
}

/// Body format of a token request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum TokenRequestFormat {
    /// JSON, as the API documents it.
    #[default]
    Json,
    /// `application/x-www-form-urlencoded`, as RFC 6749 requires it.
    Form,
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
