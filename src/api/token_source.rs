//! [`TokenSource`]: access tokens for other services, and for the API.

use std::fmt;
use std::sync::Arc;

use crate::api::admin::AdminClient;
use crate::api::admin_builder::{AdminClientBuilder, token_provider};
use crate::auth::{Token, TokenProvider};
use crate::call::{CallContext, CallOptions};
use crate::credentials::ClusterCredentials;
#[cfg(doc)]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::transport::{self, Stats, Transport, no_credentials};

impl AdminClient {
    /// Returns an access token of this client's credentials for an audience. `api.cloud.camunda.io`
    /// is the audience of the Administration API and of the Web Modeler API.
    ///
    /// The token comes from the same cache as the tokens of the API calls. A token request is sent
    /// only if the cache and the token store have no valid token. If the client has an
    /// [`access_token`](AdminClientBuilder::access_token), returns that one for the audience of the
    /// client.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if the audience is empty; [`ErrorKind::Config`] without
    /// credentials, or for another audience with an `access_token`; [`ErrorKind::Authentication`],
    /// [`ErrorKind::RateLimited`], [`ErrorKind::Network`] or [`ErrorKind::Timeout`] if the token
    /// request fails.
    pub fn token(&self, audience: &str) -> Result<Token> {
        self.token_source(audience)?.access_token()
    }

    /// Returns a reusable source of access tokens of this client's credentials for an audience.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if the audience is empty; [`ErrorKind::Config`] without
    /// credentials.
    pub fn token_source(&self, audience: &str) -> Result<TokenSource> {
        if audience.is_empty() {
            return Err(Error::invalid_argument("audience is empty"));
        }
        let own = self.transport().tokens().ok_or_else(no_credentials)?;
        let config = self.transport().config();
        let tokens = match audience == config.audience() {
            true => own.clone(),
            false => own
                .for_audience(audience, &transport::token_cache_config(config)?)?
                .ok_or_else(|| {
                    Error::config(format!(
                        "`access_token` is for the audience {} only; set `client_id` and \
                         `client_secret` instead of it",
                        config.audience()
                    ))
                })?,
        };
        Ok(TokenSource {
            transport: self.transport().clone(),
            tokens,
            options: self.options().clone(),
        })
    }

    /// Returns the cached token for the audience of the client, if it needs no refresh.
    #[cfg(feature = "capi")]
    pub(crate) fn cached_token(&self) -> Option<Token> {
        self.transport().tokens()?.cached()
    }

    /// Returns a token for an audience; without one, for the audience of the client.
    #[cfg(feature = "capi")]
    pub(crate) fn token_for(&self, audience: Option<&str>) -> Result<Token> {
        match (audience, self.transport().tokens()) {
            (None, Some(tokens)) => tokens.token(&**self.transport(), &self.call()),
            (None, None) => Err(no_credentials()),
            (Some(audience), _) => self.token(audience),
        }
    }

    #[cfg(feature = "capi")]
    pub(crate) fn invalidate_token(&self, audience: Option<&str>, token: &Token) -> Result<()> {
        let own = self.transport().config().audience();
        self.token_source(audience.unwrap_or(own))?
            .invalidate(token);
        Ok(())
    }
}

/// Source of access tokens of one client for one audience, which uses the shared token cache.
///
/// Cloning is cheap; a source can be shared between threads. [`access_token`](Self::access_token)
/// can be called for each request: it performs no I/O while the cached token is valid.
///
/// ```no_run
/// use camunda_admin::{ClusterCredentials, TokenSource};
///
/// let credentials = ClusterCredentials::from_env_file("worker.env")?;
/// let tokens = TokenSource::new(&credentials)?;
/// let header = format!("Bearer {}", tokens.access_token()?.expose());
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Clone)]
pub struct TokenSource {
    transport: Arc<Transport>,
    tokens: TokenProvider,
    options: CallOptions,
}

impl TokenSource {
    /// Creates a source of tokens of a cluster client, with default settings. The audience is that
    /// of the credentials, default `zeebe.camunda.io`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the name of the variable that the credentials lack.
    pub fn new(credentials: &ClusterCredentials) -> Result<TokenSource> {
        TokenSource::with_settings(credentials, AdminClient::builder())
    }

    /// Creates a source as [`new`](Self::new) does, with settings such as `token_cache`, `ca_file`
    /// or `proxy`.
    ///
    /// An [`audience`](AdminClientBuilder::audience) in `settings` replaces that of the
    /// credentials, for example to get tokens for Operate. `client_id`, `client_secret` and
    /// `oauth_url` are those of the credentials; `client_secret_file` and `access_token` in
    /// `settings` are ignored.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`], with the key of the invalid setting or the name of the variable that
    /// the credentials lack.
    pub fn with_settings(
        credentials: &ClusterCredentials,
        settings: AdminClientBuilder,
    ) -> Result<TokenSource> {
        let config = settings
            .with_credentials(credentials)?
            .into_config()?
            .resolved()?;
        let tokens = token_provider(&config)?.ok_or_else(no_credentials)?;
        let transport = Arc::new(Transport::new(config, None)?);
        Ok(TokenSource {
            transport,
            tokens,
            options: CallOptions::new(),
        })
    }

    /// Returns the same source with options for the calls made through it: a timeout, and a
    /// [`Cancel`](crate::Cancel) for [`access_token`](Self::access_token). `options` are merged
    /// into those that are already set.
    #[must_use]
    pub fn with(&self, options: CallOptions) -> TokenSource {
        TokenSource {
            transport: self.transport.clone(),
            tokens: self.tokens.clone(),
            options: self.options.merged(options),
        }
    }

    /// Returns the counters of this source and its clones: token requests, retries, bytes. A source
    /// created by [`AdminClient::token_source`] shares the counters of the client.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.transport.stats()
    }

    /// Returns a valid token: from memory, from the token store, or from the token endpoint, in
    /// this order.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Authentication`], [`ErrorKind::RateLimited`], [`ErrorKind::Network`] or
    /// [`ErrorKind::Timeout`] if the token request fails; [`ErrorKind::Cancelled`].
    pub fn access_token(&self) -> Result<Token> {
        match self.tokens.cached() {
            Some(token) => Ok(token),
            None => self.tokens.token(&*self.transport, &self.call()),
        }
    }

    /// Discards a token that a server rejected, in memory and in the token store, unless a newer
    /// one is cached. The next [`access_token`](Self::access_token) requests a new one.
    pub fn invalidate(&self, token: &Token) {
        self.tokens.invalidate(token, &self.call());
    }

    fn call(&self) -> CallContext {
        CallContext::start(&self.options, self.transport.config().timeout())
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").finish_non_exhaustive()
    }
}
