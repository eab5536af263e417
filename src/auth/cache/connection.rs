//! The connection of one token request: opened before the permit, used within a limited time after
//! it.

use std::time::{Duration, Instant};

use crate::auth::time::{Clock, ClockTime};
use crate::auth::{
    ConnectionSettings, FetchError, TokenConnection, TokenEndpoint, TokenRequest, TokenResponse,
};
use crate::call::CallContext;

/// Maximum age of a connection on which a request is sent: a server may close an older one at the
/// same moment.
const MAX_CONNECTION_AGE: Duration = Duration::from_secs(5);

/// Maximum time between a permit and the first byte of its request. A process that was stopped for
/// longer, or on a machine that was, takes another permit: requests of other processes may have
/// followed the first one.
const MAX_SEND_DELAY: Duration = Duration::from_millis(250);

/// The connection for one token request.
pub(super) struct Connection<'a> {
    endpoint: &'a dyn TokenEndpoint,
    request: &'a TokenRequest,
    call: &'a CallContext,
    clock: &'a Clock,
    /// The connection, and since when it is open (monotonic).
    open: Option<(Box<dyn TokenConnection + 'a>, Duration)>,
}

impl<'a> Connection<'a> {
    /// A connection that is not open yet.
    pub(super) fn new(
        endpoint: &'a dyn TokenEndpoint,
        request: &'a TokenRequest,
        call: &'a CallContext,
        clock: &'a Clock,
    ) -> Self {
        Connection {
            endpoint,
            request,
            call,
            clock,
            open: None,
        }
    }

    /// Opens the connection unless it is open. Returns whether it opened one.
    pub(super) fn open(&mut self) -> Result<bool, FetchError> {
        if let Some((open, since)) = &mut self.open
            && self.clock.now().mono.saturating_sub(*since) < MAX_CONNECTION_AGE
            && open.is_open()
        {
            return Ok(false);
        }
        self.open = None;
        let open = self.endpoint.connect(self.request, self.call)?;
        self.open = Some((open, self.clock.now().mono));
        Ok(true)
    }

    /// Sends the request with the permit that was granted at this time; with `may_expire`, only within
    /// [`MAX_SEND_DELAY`] of it. Returns the result, and when the first byte was sent.
    pub(super) fn send(
        &mut self,
        granted: ClockTime,
        may_expire: bool,
    ) -> (Result<TokenResponse, FetchError>, ClockTime) {
        let Some((open, _)) = &mut self.open else {
            unreachable!("a permit is granted to a request with a connection");
        };
        let since = self.clock.now().mono.saturating_sub(granted.mono);
        let now = Instant::now();
        let granted_at = now.checked_sub(since).unwrap_or(now);
        let send_by = may_expire.then(|| granted_at + MAX_SEND_DELAY);
        let result = open.send(self.call, send_by);
        // The thread may have been delayed since the permit.
        let sent_at = open.sent_at();
        let delay = sent_at.map(|sent_at| sent_at.saturating_duration_since(granted_at));
        (result, granted.after(delay.unwrap_or_default()))
    }

    /// Returns the settings of the connection.
    pub(super) fn settings(&self) -> ConnectionSettings {
        self.endpoint.connection_settings()
    }

    /// Logs the response of the request, if one was received.
    pub(super) fn log_response(&mut self) {
        if let Some((open, _)) = &mut self.open {
            open.log_response();
        }
    }
}
