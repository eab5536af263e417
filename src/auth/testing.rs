//! What the tests of this module share: an endpoint that plays a script, and callers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::time::{Clock, Moment};
use super::{
    FetchError, FetchFailure, TokenAnswer, TokenCacheChoice, TokenEncoding, TokenEndpoint,
    TokenRequest,
};
use crate::call::{Call, CallOptions, DEFAULT_TIMEOUT};
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::secret::Secret;

pub(crate) const MEMORY: TokenCacheChoice = TokenCacheChoice::Memory;

pub(crate) fn request() -> TokenRequest {
    TokenRequest {
        token_url: "https://login.example/oauth/token".into(),
        client_id: "the-client-id".into(),
        client_secret: Secret::from("hunter2"),
        audience: "api.example".into(),
        scope: None,
        encoding: TokenEncoding::Json,
    }
}

pub(crate) fn call() -> Call {
    Call::start(&CallOptions::new(), DEFAULT_TIMEOUT)
}

pub(crate) fn call_within(timeout: Duration) -> Call {
    Call::start(&CallOptions::new(), timeout)
}

/// One answer of the [`Endpoint`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// A new token that lives this many seconds.
    Token(f64),
    Fails(FetchFailure),
    Panics,
}

pub(crate) type Meanwhile = Box<dyn Fn(&Call) + Send + Sync>;

/// A token endpoint that answers by script, and with tokens of an hour when that is at an end.
pub(crate) struct Endpoint {
    pub(crate) clock: Clock,
    script: Mutex<VecDeque<Reply>>,
    sent: Mutex<Vec<Moment>>,
    tokens: AtomicU64,
    /// What happens while a request is under way.
    pub(crate) meanwhile: Option<Meanwhile>,
}

impl Endpoint {
    pub(crate) fn new(clock: &Clock, script: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        Arc::new(Self::with_script(clock, script))
    }

    pub(crate) fn with_script(clock: &Clock, script: impl IntoIterator<Item = Reply>) -> Self {
        Endpoint {
            clock: clock.clone(),
            script: Mutex::new(script.into_iter().collect()),
            sent: Mutex::default(),
            tokens: AtomicU64::default(),
            meanwhile: None,
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    pub(crate) fn sent(&self) -> Vec<Moment> {
        self.sent.lock().unwrap().clone()
    }
}

impl TokenEndpoint for Endpoint {
    fn fetch(&self, _: &TokenRequest, call: &Call) -> Result<TokenAnswer, FetchError> {
        self.sent.lock().unwrap().push(self.clock.now());
        if let Some(meanwhile) = &self.meanwhile {
            meanwhile(call);
        }
        let reply = self
            .script
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or(Reply::Token(3600.0));
        match reply {
            Reply::Token(expires_in) => Ok(TokenAnswer {
                access_token: Secret::new(format!(
                    "token-{}",
                    self.tokens.fetch_add(1, Ordering::SeqCst)
                )),
                expires_in: Some(expires_in),
                server_date: None,
            }),
            Reply::Fails(cause) => Err(FetchError {
                cause,
                error: failure(cause),
            }),
            Reply::Panics => panic!("the endpoint panics, as the script says"),
        }
    }
}

pub(crate) fn failure(cause: FetchFailure) -> Error {
    let (kind, message) = match cause {
        FetchFailure::BadCredentials => (ErrorKind::Authentication, "access_denied"),
        FetchFailure::RateLimited { .. } => (ErrorKind::RateLimited, "slow down"),
        FetchFailure::Stopped => (ErrorKind::Timeout, "not done within …"),
        FetchFailure::NotSent | FetchFailure::Transient => (ErrorKind::Network, "no connection"),
    };
    Error::new(kind, Stage::Token, Outcome::Unknown, message)
}
