//! Where a client's access tokens come from: token requests with client credentials, or a token that
//! the caller supplied.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::cache::{TokenCacheHandle, token_cache_handle};
use super::token::{MAX_LIFETIME, Token, jwt_expiry};
use super::{TokenCacheConfig, TokenEndpoint, TokenRequest};
use crate::call::CallContext;
use crate::client_secret_file::ClientSecretFile;
use crate::error::{ErrorKind, Result};
use crate::fork::Mutex;
use crate::secret::Secret;

/// Source of the access tokens of one client for one audience.
#[derive(Debug, Clone)]
pub(crate) enum TokenProvider {
    /// Client credentials; tokens come from the cache.
    Credentials(Arc<TokenCacheHandle>),
    /// Client credentials whose secret is in a file.
    ClientSecretFile(Arc<FileCredentials>),
    /// A token that the caller supplied: used unmodified, and no token request is sent.
    Supplied(Token),
}

impl TokenProvider {
    /// Returns the provider of a supplied token; `None` if it is not valid in a header.
    ///
    /// Its expiry is the `exp` of a JWT; any other token counts as valid for [`MAX_LIFETIME`].
    pub(crate) fn supplied(token: &Secret) -> Option<Self> {
        let expires_at = jwt_expiry(token.expose())
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .and_then(|expiry| UNIX_EPOCH.checked_add(expiry))
            .unwrap_or_else(|| SystemTime::now() + MAX_LIFETIME);
        Token::new(token, expires_at, 0).map(TokenProvider::Supplied)
    }

    /// Returns the provider of client credentials in the process-wide cache.
    pub(crate) fn credentials(request: TokenRequest, cache: &TokenCacheConfig) -> Result<Self> {
        token_cache_handle(request, cache).map(TokenProvider::Credentials)
    }

    /// Returns the provider of client credentials whose secret, that of `request`, was read from
    /// `file`.
    pub(crate) fn secret_file(
        file: ClientSecretFile,
        request: TokenRequest,
        cache: &TokenCacheConfig,
    ) -> Result<Self> {
        let handle = token_cache_handle(request, cache)?;
        Ok(TokenProvider::ClientSecretFile(Arc::new(FileCredentials {
            file,
            cache: cache.clone(),
            current: Mutex::new(handle),
        })))
    }

    /// Returns the provider of tokens for another audience; `None` if the token was supplied.
    pub(crate) fn for_audience(
        &self,
        audience: &str,
        cache: &TokenCacheConfig,
    ) -> Result<Option<Self>> {
        let Some(handle) = self.handle() else {
            return Ok(None);
        };
        let request = TokenRequest {
            audience: audience.to_owned(),
            ..handle.request().clone()
        };
        match self {
            TokenProvider::ClientSecretFile(credentials) => {
                Self::secret_file(credentials.file.clone(), request, cache)
            }
            _ => Self::credentials(request, cache),
        }
        .map(Some)
    }

    /// Returns the token if [`token`](Self::token) would return it immediately. Faster, since it needs no
    /// [`CallContext`].
    #[inline]
    pub(crate) fn cached(&self) -> Option<Token> {
        match self {
            TokenProvider::Credentials(handle) => handle.cached(),
            TokenProvider::ClientSecretFile(credentials) => credentials.current().cached(),
            TokenProvider::Supplied(token) => Some(token.clone()),
        }
    }

    /// Returns a valid token; see [`TokenCacheHandle::token`]. A supplied token is returned even if it
    /// is expired, since the clock of this host may be wrong.
    pub(crate) fn token(&self, endpoint: &dyn TokenEndpoint, call: &CallContext) -> Result<Token> {
        match self {
            TokenProvider::Credentials(handle) => handle.token(endpoint, call),
            TokenProvider::ClientSecretFile(credentials) => credentials.token(endpoint, call),
            TokenProvider::Supplied(token) => Ok(token.clone()),
        }
    }

    /// Drops a token to which the API responded 401; has no effect on a supplied token.
    pub(crate) fn invalidate(&self, token: &Token, call: &CallContext) {
        if let Some(handle) = self.handle() {
            handle.invalidate(token, call);
        }
    }

    /// Clears a rejection of the credentials; has no effect on a supplied token.
    pub(crate) fn clear_auth_failure(&self, call: &CallContext) {
        if let Some(handle) = self.handle() {
            handle.clear_auth_failure(call);
        }
    }

    /// Drops the cached token; has no effect on a supplied token.
    pub(crate) fn forget(&self, call: &CallContext) {
        if let Some(handle) = self.handle() {
            handle.forget(call);
        }
    }

    /// Uses each ability of the token stores, for the diagnostics.
    #[cfg(feature = "doctor")]
    pub(crate) fn check_stores(&self, call: &CallContext) {
        if let Some(handle) = self.handle() {
            handle.check_stores(call);
        }
    }

    /// Returns whether the token was supplied by the caller.
    pub(crate) fn is_supplied(&self) -> bool {
        matches!(self, TokenProvider::Supplied(_))
    }

    /// Returns the client secret, to redact it.
    pub(crate) fn client_secret(&self) -> Option<Secret> {
        Some(self.handle()?.request().client_secret.clone())
    }

    fn handle(&self) -> Option<Arc<TokenCacheHandle>> {
        match self {
            TokenProvider::Credentials(handle) => Some(Arc::clone(handle)),
            TokenProvider::ClientSecretFile(credentials) => Some(credentials.current()),
            TokenProvider::Supplied(_) => None,
        }
    }
}

/// Client credentials whose secret is in a file. A changed secret is another entry of the cache.
pub(crate) struct FileCredentials {
    file: ClientSecretFile,
    cache: TokenCacheConfig,
    /// The entry of the secret that was read last.
    current: Mutex<Arc<TokenCacheHandle>>,
}

impl FileCredentials {
    fn current(&self) -> Arc<TokenCacheHandle> {
        Arc::clone(&self.current.lock())
    }

    fn token(&self, endpoint: &dyn TokenEndpoint, call: &CallContext) -> Result<Token> {
        let handle = self.current();
        let error = match handle.token(endpoint, call) {
            Ok(token) => return Ok(token),
            Err(error) => error,
        };
        // The token endpoint delays a rejection by about 30 s, so a call with a shorter deadline
        // never receives it.
        match error.kind() {
            ErrorKind::Authentication | ErrorKind::Timeout => {}
            _ => return Err(error),
        }
        match self.rotated(&handle) {
            Ok(Some(rotated)) if error.kind() == ErrorKind::Authentication => {
                rotated.token(endpoint, call)
            }
            Ok(_) => Err(error),
            Err(unreadable) => Err(error.with_note(unreadable.message())),
        }
    }

    /// Reads the file again. Returns the entry of the secret in it, or `None` if it is the one that
    /// `used` has.
    fn rotated(&self, used: &Arc<TokenCacheHandle>) -> Result<Option<Arc<TokenCacheHandle>>> {
        let current = self.current();
        if !Arc::ptr_eq(&current, used) {
            return Ok(Some(current));
        }
        let client_secret = self.file.read()?;
        if client_secret == used.request().client_secret {
            return Ok(None);
        }
        log::info!(
            "client secret changed, using the new one: path={:?}",
            self.file.path()
        );
        let request = TokenRequest {
            client_secret,
            ..used.request().clone()
        };
        let rotated = token_cache_handle(request, &self.cache)?;
        *self.current.lock() = Arc::clone(&rotated);
        Ok(Some(rotated))
    }
}

impl fmt::Debug for FileCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCredentials")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}
