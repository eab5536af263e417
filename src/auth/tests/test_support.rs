//! Test support of this module: a scripted token endpoint, a token store in memory, and calls.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::auth::time::{Clock, ClockTime};
use crate::auth::{
    ConnectionSettings, FetchError, StoreLock, TokenCacheConfig, TokenConnection, TokenEndpoint,
    TokenErrorKind, TokenRequest, TokenRequestFormat, TokenResponse, TokenStore,
};
use crate::call::{CallContext, CallOptions, DEFAULT_TIMEOUT};
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::secret::Secret;

/// A time in 2026.
#[cfg(test)]
pub(crate) const NOW: ClockTime = ClockTime {
    mono: Duration::from_secs(1_000),
    wall: Duration::from_secs(1_780_000_000),
};
/// The wall clock at [`NOW`], as records have it.
#[cfg(test)]
pub(crate) const NOW_MILLIS: u64 = 1_780_000_000_000;

/// No store.
pub(crate) const MEMORY: TokenCacheConfig = TokenCacheConfig::Memory;

pub(crate) fn request() -> TokenRequest {
    TokenRequest {
        token_url: "https://login.example/oauth/token".into(),
        client_id: "the-client-id".into(),
        client_secret: Secret::from("hunter2"),
        audience: "api.example".into(),
        scope: None,
        format: TokenRequestFormat::Json,
    }
}

pub(crate) fn call() -> CallContext {
    #[cfg(test)]
    crate::limited::limit_this_process();
    CallContext::start(&CallOptions::new(), DEFAULT_TIMEOUT)
}

pub(crate) fn call_within(timeout: Duration) -> CallContext {
    CallContext::start(&CallOptions::new(), timeout)
}

/// A token endpoint to which no connection is needed.
pub(crate) trait RespondToTokenRequest {
    fn respond(
        &self,
        request: &TokenRequest,
        call: &CallContext,
    ) -> Result<TokenResponse, FetchError>;

    fn connection_settings(&self) -> ConnectionSettings {
        ConnectionSettings::default()
    }
}

impl<T: RespondToTokenRequest> TokenEndpoint for T {
    fn connect<'a>(
        &'a self,
        request: &'a TokenRequest,
        _: &CallContext,
    ) -> Result<Box<dyn TokenConnection + 'a>, FetchError> {
        Ok(Box::new(NoConnection {
            endpoint: self,
            request,
        }))
    }

    fn connection_settings(&self) -> ConnectionSettings {
        RespondToTokenRequest::connection_settings(self)
    }
}

struct NoConnection<'a> {
    endpoint: &'a dyn RespondToTokenRequest,
    request: &'a TokenRequest,
}

impl TokenConnection for NoConnection<'_> {
    fn is_open(&mut self) -> bool {
        true
    }

    fn send(
        &mut self,
        call: &CallContext,
        send_by: Option<Instant>,
    ) -> Result<TokenResponse, FetchError> {
        // A loaded machine can delay the thread after the permit, as the transport checks.
        if send_by.is_some_and(|by| Instant::now() > by) {
            let kind = TokenErrorKind::PermitExpired;
            let error = failure(kind);
            return Err(FetchError { kind, error });
        }
        self.endpoint.respond(self.request, call)
    }

    fn sent_at(&self) -> Option<Instant> {
        // At the time of the permit, on the test's clock.
        None
    }
}

/// One response of the [`Endpoint`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// A new token with this lifetime in seconds.
    Token(f64),
    /// Always the same token, with this `expires_in`.
    Same(Option<f64>),
    Fails(TokenErrorKind),
    Panics,
}

pub(crate) type Meanwhile = Box<dyn Fn(&CallContext) + Send + Sync>;

/// A token endpoint with a script of responses, followed by tokens with a lifetime of an hour.
pub(crate) struct Endpoint {
    pub(crate) clock: Clock,
    script: Mutex<VecDeque<Reply>>,
    sent: Mutex<Vec<ClockTime>>,
    tokens: AtomicU64,
    /// The response after the end of the script.
    pub(crate) then: Reply,
    /// Called during each request.
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
            then: Reply::Token(3600.0),
            meanwhile: None,
        }
    }

    pub(crate) fn requests(&self) -> usize {
        self.sent.lock().unwrap().len()
    }

    pub(crate) fn sent(&self) -> Vec<ClockTime> {
        self.sent.lock().unwrap().clone()
    }
}

impl RespondToTokenRequest for Endpoint {
    fn respond(&self, _: &TokenRequest, call: &CallContext) -> Result<TokenResponse, FetchError> {
        self.sent.lock().unwrap().push(self.clock.now());
        if let Some(meanwhile) = &self.meanwhile {
            meanwhile(call);
        }
        let reply = self.script.lock().unwrap().pop_front().unwrap_or(self.then);
        match reply {
            Reply::Token(expires_in) => Ok(TokenResponse {
                access_token: Secret::new(format!(
                    "token-{}",
                    self.tokens.fetch_add(1, Ordering::SeqCst)
                )),
                expires_in: Some(expires_in),
                server_date: None,
            }),
            Reply::Same(expires_in) => Ok(TokenResponse {
                access_token: Secret::from("the-same-token"),
                expires_in,
                server_date: None,
            }),
            Reply::Fails(cause) => Err(FetchError {
                kind: cause,
                error: failure(cause),
            }),
            Reply::Panics => panic!("the endpoint panics, as the script says"),
        }
    }
}

pub(crate) fn failure(cause: TokenErrorKind) -> Error {
    let (kind, message) = match cause {
        TokenErrorKind::InvalidClient => (ErrorKind::Authentication, "access_denied"),
        TokenErrorKind::InvalidRequest => (ErrorKind::Config, "invalid_scope"),
        TokenErrorKind::RateLimited { .. } => (ErrorKind::RateLimited, "slow down"),
        TokenErrorKind::Cancelled => (ErrorKind::Timeout, "deadline exceeded"),
        TokenErrorKind::PermitExpired | TokenErrorKind::Transient => {
            (ErrorKind::Network, "no connection")
        }
        TokenErrorKind::Permanent => (ErrorKind::Network, "not trusted"),
    };
    let error = Error::new(kind, Stage::Token, Outcome::Unknown, message);
    // As a gateway may send; it does not apply.
    let retry_after = Some(Duration::from_secs(600)).filter(|_| cause == TokenErrorKind::Permanent);
    error.with_retry_after(retry_after)
}

/// A token store in memory whose operations can be made to fail.
#[derive(Default)]
pub(crate) struct MemoryStore {
    values: Mutex<HashMap<String, Vec<u8>>>,
    locked: Arc<Mutex<HashSet<String>>>,
    /// Names and leases of the locks that were taken.
    leases: Mutex<Vec<(String, Duration)>>,
    pub(crate) reads_fail: AtomicBool,
    pub(crate) writes_fail: AtomicBool,
    pub(crate) locking_fails: AtomicBool,
    /// Called at the beginning of every operation.
    pub(crate) before: Option<fn()>,
}

impl MemoryStore {
    pub(crate) fn config(self: &Arc<Self>) -> TokenCacheConfig {
        TokenCacheConfig::Custom(Arc::clone(self) as Arc<dyn TokenStore>)
    }

    pub(crate) fn everything_fails(&self, fails: bool) {
        for fault in [&self.reads_fail, &self.writes_fail, &self.locking_fails] {
            fault.store(fails, Ordering::SeqCst);
        }
    }

    /// Makes the locks with these prefixes held by another owner. A name that begins with `-` is a
    /// suffix: `-second` stands for the locks of callers who no longer wait for an owner.
    pub(crate) fn hold(&self, names: &[&str]) {
        self.locked
            .lock()
            .unwrap()
            .extend(names.iter().map(|name| name.to_string()));
    }

    /// Returns the leases of the locks that were taken and have this prefix.
    pub(crate) fn leases(&self, name: &str) -> Vec<Duration> {
        let leases = self.leases.lock().unwrap();
        let leases = leases.iter().filter(|(taken, _)| taken.starts_with(name));
        leases.map(|(_, lease)| *lease).collect()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.values.lock().unwrap().keys().cloned().collect()
    }

    fn begin(&self, fault: &AtomicBool) -> io::Result<()> {
        if let Some(before) = self.before {
            before();
        }
        match fault.load(Ordering::SeqCst) {
            true => Err(io::Error::other("failed by the test")),
            false => Ok(()),
        }
    }
}

impl TokenStore for MemoryStore {
    fn get(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.begin(&self.reads_fail)?;
        Ok(self.values.lock().unwrap().get(name).cloned())
    }

    fn put(&self, name: &str, value: &[u8], _ttl: Duration) -> io::Result<()> {
        self.begin(&self.writes_fail)?;
        self.values
            .lock()
            .unwrap()
            .insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    fn try_lock(&self, name: &str, lease: Duration) -> io::Result<Option<StoreLock>> {
        struct Unlock(Arc<Mutex<HashSet<String>>>, String);
        impl Drop for Unlock {
            fn drop(&mut self) {
                self.0.lock().unwrap().remove(&self.1);
            }
        }
        self.begin(&self.locking_fails)?;
        let mut locked = self.locked.lock().unwrap();
        let is_held = |held: &String| match held.starts_with('-') {
            true => name.ends_with(held),
            false => {
                name == held || (name.starts_with(held.as_str()) && !name.ends_with("-second"))
            }
        };
        if locked.iter().any(is_held) {
            return Ok(None);
        }
        locked.insert(name.to_owned());
        self.leases.lock().unwrap().push((name.to_owned(), lease));
        Ok(Some(StoreLock::new(Unlock(
            Arc::clone(&self.locked),
            name.to_owned(),
        ))))
    }

    fn describe(&self) -> String {
        "memory, for tests".to_owned()
    }
}

#[cfg(all(test, unix))]
/// Prints that something is not tested, even if the test runner captures output. Fails with
/// `CI=true` if it could have been tested.
pub(crate) fn left_out(what: &str, could_be_tested: bool) {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!(in_ci && could_be_tested), "not tested: {what}");
    let line = format!("not tested: {what}\n");
    io::Write::write_all(&mut io::stderr(), line.as_bytes()).unwrap();
}
