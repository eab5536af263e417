//! Runs the single in-flight token request of a cache entry (single-flight): reads the stores,
//! takes the fetch lock among processes and a permit of the rate limiter, sends the request, and
//! shares the result.

use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use super::connection::Connection;
use super::entry::{CacheEntry, count};
use super::lock_wait::{FETCH_LOCK_TIMEOUT, LockStep, LockWait, OwnerDelay, give_up_time};
use super::permits::{Permit, PermitCallbacks};
use super::shared_rate_limiter::{Contended, Sharing};
use super::sync::current_thread;
use crate::auth::StoreLock;
use crate::auth::key::CacheKey;
use crate::auth::rate_limit_record::RateLimitSigner;
use crate::auth::store::{
    FoundRecord, LockResult, REMOTE_STORE_TIMEOUT, ReadScope, RecordStore, Store,
};
use crate::auth::time::ClockTime;
use crate::auth::token::{Token, lifetime};
use crate::auth::token_record::{StoredAuthFailure, StoredPause, StoredToken, TokenRecord};
use crate::auth::token_state::{CachedToken, FetchId, TokenState, rate_limited};
use crate::auth::{
    ConnectionSettings, FetchError, TokenEndpoint, TokenErrorKind, TokenRequest, TokenResponse,
};
use crate::call::{CallContext, StopReason};
use crate::error::{Error, ErrorKind, Outcome, Stage};

/// Maximum lease of the fetch lock, which applies if the store cannot detect a terminated owner.
/// The lease lasts until the call of the owner ends, but no longer than the first block of a 429
/// and the response to bad credentials take.
const MAX_LEASE: Duration = Duration::from_secs(120);
/// Added to the remaining time of the call, for the writes after its response.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// Timeout of a refresh: longer than the token endpoint holds back the rejection of bad
/// credentials, so that a refresh receives and shares it.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(35);
/// Timeout of a refresh after one that was rejected or got no response, so that no more calls are
/// delayed that long.
const REPEATED_REFRESH_TIMEOUT: Duration = Duration::from_secs(5);

/// Delay of the next refresh after one was deferred.
const REFRESH_RETRY_DELAY: Duration = Duration::from_secs(2);

/// Maximum number of permits that expire because the request was not sent in time. After that it is
/// sent late: the machine is always that slow.
const MAX_EXPIRED_PERMITS: u32 = 3;

/// Purpose of a token request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// No valid token is cached.
    Fetch,
    /// A valid token is cached; no other caller waits for the response.
    Refresh,
}

/// The in-flight token request of an entry, run by one thread. If dropped before
/// [`finish`](Self::finish), after an error or a panic, it ends the request without a result, so
/// that another caller can send one.
pub(super) struct TokenFetch<'a> {
    entry: &'a CacheEntry,
    fetch_id: FetchId,
    purpose: Purpose,
    finished: bool,
}

/// Why no request is needed: another process has stored a token, or `None` if the token state has the
/// reason why there is no new token.
struct Resolution(Option<Token>);

/// Result of waiting for the fetch lock.
enum FetchLock {
    /// This process sends the request; with the record read under the lock.
    Acquired(HeldLock, Box<TokenRecord>),
    Resolved(Resolution),
}

/// The fetch lock of this process.
#[derive(Default)]
struct HeldLock {
    /// Absent if no store can lock, or the owner of the lock holds it for too long.
    lock: Option<StoreLock>,
    /// When its lease ends (monotonic), at the earliest.
    until: Duration,
}

/// The stores and the rate limiter, for one token request.
struct Shared<'a> {
    entry: &'a CacheEntry,
    sharing: Sharing<'a>,
    /// Absent without stores.
    record_store: Option<RecordStore<'a>>,
}

impl Shared<'_> {
    /// Writes the result of the request to the stores.
    fn write(&self, record: &TokenRecord) {
        if let Some(record_store) = &self.record_store {
            let is_shared = record_store.write(self.sharing.call, record);
            let now = self.entry.clock.now();
            self.entry.unshared.set_record(record, is_shared, now);
        }
    }

    /// Records in the rate limiter that a request sent at this time got a response, or none. Without a
    /// time, shares what the rate limiter has recorded already: that no connection was established.
    fn response_received(&self, sent: Option<ClockTime>) {
        let (rate_limiter, sharing) = (&self.entry.rate_limiter, self.sharing);
        match sent {
            Some(sent) => rate_limiter.response_received(sharing, sent),
            None => rate_limiter.share(sharing, Contended::Skip, |_| {}),
        };
    }
}

/// A token request that failed.
struct FailedRequest {
    error: FetchError,
    /// When it was sent; `None` if no connection was established.
    sent: Option<ClockTime>,
    /// The record of the stores before the request.
    known: TokenRecord,
    settings: ConnectionSettings,
}

/// Result of sending a token request.
enum Sending {
    Done(Box<Attempt>),
    Resolved(Resolution),
}

/// A token request and its response, or the error.
struct Attempt {
    result: Result<TokenResponse, FetchError>,
    /// When the request was sent; `None` if no connection was established.
    sent: Option<ClockTime>,
    /// The record of the stores before the request.
    known: TokenRecord,
    /// Held until the result is shared.
    lock: HeldLock,
}

impl HeldLock {
    /// Returns whether the lease may end before the response to a request that is sent now.
    fn expires(&self, now: ClockTime, remaining: Duration) -> bool {
        let needed = FETCH_LOCK_TIMEOUT.min(remaining);
        self.lock.is_some() && self.until < now.mono.saturating_add(needed)
    }
}

impl<'a> TokenFetch<'a> {
    pub(super) fn new(entry: &'a CacheEntry, fetch_id: FetchId, purpose: Purpose) -> Self {
        entry
            .fetching_thread
            .store(current_thread(), Ordering::Relaxed);
        TokenFetch {
            entry,
            fetch_id,
            purpose,
            finished: false,
        }
    }

    /// Runs the request to its end. Returns `None` if there is no new token; the token state then
    /// determines the caller's next step.
    ///
    /// A refresh ends after [`REFRESH_TIMEOUT`], or two thirds of the remaining time of the call.
    pub(super) fn run(
        mut self,
        request: &TokenRequest,
        key: CacheKey,
        endpoint: &dyn TokenEndpoint,
        call: &CallContext,
    ) -> Result<Option<Token>, Error> {
        let entry = self.entry;
        let signer = RateLimitSigner::new(request);
        let shared = Shared {
            entry,
            sharing: Sharing {
                stores: &entry.stores,
                signer: &signer,
                clock: &entry.clock,
                call,
            },
            record_store: RecordStore::new(&entry.stores, &entry.clock, request, key),
        };
        let (lock, known) = match &shared.record_store {
            Some(record_store) => match self.acquire_fetch_lock(record_store, shared.sharing)? {
                FetchLock::Acquired(lock, known) => (lock, *known),
                FetchLock::Resolved(Resolution(token)) => return Ok(token),
            },
            None => Default::default(),
        };
        let limited = match self.purpose {
            Purpose::Fetch => None,
            Purpose::Refresh => Some(call.with_max_timeout(self.refresh_timeout(&known, call))),
        };
        let limited_call = limited.as_ref().unwrap_or(call);
        let mut connection = Connection::new(endpoint, request, limited_call, &entry.clock);
        let attempt = match self.send(&shared, &mut connection, lock, known)? {
            Sending::Done(attempt) => attempt,
            Sending::Resolved(Resolution(token)) => return Ok(token),
        };
        count(&entry.counters.token_requests);
        if self.purpose == Purpose::Refresh {
            count(&entry.counters.refreshes);
        }
        self.record_result(&shared, *attempt, limited.as_ref(), &mut connection)
    }

    /// Sends the request when it has a permit.
    fn send(
        &mut self,
        shared: &Shared<'_>,
        connection: &mut Connection<'_>,
        mut lock: HeldLock,
        mut known: TokenRecord,
    ) -> Result<Sending, Error> {
        let entry = self.entry;
        let sharing = shared.sharing;
        let call = sharing.call;
        let mut expired = 0;
        loop {
            let mut found = None;
            let is_resolved = || {
                // In all stores: the owner of a second lock may not reach the shared store.
                let known = shared
                    .record_store
                    .as_ref()
                    .map(|record_store| record_store.read(call, ReadScope::All));
                found = known.filter(|known| self.is_resolved_by(&known.record));
                found.is_some() || lock.expires(entry.clock.now(), entry.clock.remaining(call))
            };
            // The connection is opened before the permit is granted: name resolution, TCP and TLS can
            // take seconds, and requests with different permits would then arrive at the same time.
            let callbacks = PermitCallbacks {
                expect: |permit_at| self.expect_permit(permit_at),
                is_resolved,
                connect: || connection.open(),
            };
            let may_block = self.purpose == Purpose::Fetch;
            let permit = entry.rate_limiter.acquire(sharing, may_block, callbacks);
            let granted = match permit {
                Permit::Granted(granted) => granted,
                Permit::NotConnected(error) => {
                    return Ok(Sending::Done(Box::new(Attempt {
                        result: Err(error),
                        sent: None,
                        known,
                        lock,
                    })));
                }
                Permit::NotNeeded => {
                    // Without stores, every request is needed.
                    let Some(record_store) = &shared.record_store else {
                        return Ok(Sending::Resolved(Resolution(None)));
                    };
                    if let Some(found) = found {
                        let resolved = self.merge(call, record_store, &found);
                        return Ok(Sending::Resolved(resolved.unwrap_or(Resolution(None))));
                    }
                    // After a long wait, another process may have the lock.
                    drop(lock);
                    (lock, known) = match self.acquire_fetch_lock(record_store, sharing)? {
                        FetchLock::Acquired(lock, known) => (lock, *known),
                        FetchLock::Resolved(resolution) => {
                            return Ok(Sending::Resolved(resolution));
                        }
                    };
                    continue;
                }
                Permit::AfterDeadline(wait) => return self.not_sent(wait, rate_limited(wait)),
                Permit::NoTimeLeft => return self.not_sent(Duration::ZERO, no_time_left()),
                Permit::Cancelled(stop) => return Err(stopped(call, stop)),
            };
            let (result, sent) = connection.send(granted, expired < MAX_EXPIRED_PERMITS);
            if let Err(error) = &result
                && error.kind == TokenErrorKind::PermitExpired
            {
                expired += 1;
                continue;
            }
            return Ok(Sending::Done(Box::new(Attempt {
                result,
                sent: Some(sent),
                known,
                lock,
            })));
        }
    }

    /// Ends the request without a permit: defers a refresh by at least `wait`, else fails.
    fn not_sent(&mut self, wait: Duration, error: Error) -> Result<Sending, Error> {
        match self.purpose {
            Purpose::Fetch => Err(error),
            Purpose::Refresh => {
                self.defer_refresh(wait);
                Ok(Sending::Resolved(Resolution(None)))
            }
        }
    }

    /// Records the result of a request in the token state, the rate limiter and the stores. `limited`
    /// is the call of a refresh.
    fn record_result(
        mut self,
        shared: &Shared<'_>,
        attempt: Attempt,
        limited: Option<&CallContext>,
        connection: &mut Connection<'_>,
    ) -> Result<Option<Token>, Error> {
        let entry = self.entry;
        let Attempt {
            result,
            sent,
            known,
            lock,
        } = attempt;
        let now = entry.clock.now();
        let result = result.and_then(|response| {
            let generation = entry.lock().next_generation(known.generation, now);
            let sent = sent.unwrap_or(now);
            token_of_response(response, generation, sent, now, entry.clock.jitter())
        });
        match result {
            Ok((cached, record)) => {
                let token = cached.token.clone();
                self.finish(|token_state, fetch_id| token_state.fetch_succeeded(fetch_id, cached));
                shared.write(&record);
                drop(lock);
                shared.response_received(sent);
                // Last: a log callback may make calls, or take long.
                connection.log_response();
                log_obtained(entry.audience(), &token, now, "token endpoint");
                Ok(Some(token))
            }
            Err(error) => {
                let timed_out = error.kind == TokenErrorKind::Cancelled
                    && limited.is_some_and(|limited| limited.check() == Err(StopReason::Deadline));
                if timed_out {
                    let (delay, count) = self.refresh_timed_out(shared, known, now);
                    drop(lock);
                    connection.log_response();
                    log::info!(
                        "token refresh got no response, paused: audience={:?} delay={}s \
                         attempt={count}",
                        entry.audience(),
                        delay.as_secs()
                    );
                    return Ok(None);
                }
                let failed = FailedRequest {
                    error,
                    sent,
                    known,
                    settings: connection.settings(),
                };
                let result = self.handle_failure(shared, failed, now);
                drop(lock);
                connection.log_response();
                result
            }
        }
    }

    /// Waits until no other process that shares a store fetches this entry's token, and takes the
    /// fetch lock. Ends early if the other process has stored a result.
    fn acquire_fetch_lock(
        &mut self,
        record_store: &RecordStore<'_>,
        sharing: Sharing<'_>,
    ) -> Result<FetchLock, Error> {
        let entry = self.entry;
        let call = sharing.call;
        let remaining = entry.clock.remaining(call);
        let give_up_at = give_up_time(entry.clock.now().mono, remaining, Duration::ZERO);
        // Reading needs no lock, and the shared store may have a token already.
        if let Err(resolution) = self.read_unresolved(record_store, call, ReadScope::Shared) {
            return Ok(FetchLock::Resolved(resolution));
        }
        let lease = entry.clock.remaining(call).saturating_add(LEASE_MARGIN);
        let lease = lease.min(MAX_LEASE);
        let mut wait = LockWait::new(entry.clock.now().mono, give_up_at);
        loop {
            match self.try_fetch_lock(record_store, call, lease, &wait) {
                Ok(Some((lock, known))) => {
                    return Ok(FetchLock::Acquired(lock, Box::new(known)));
                }
                Err(resolution) => return Ok(FetchLock::Resolved(resolution)),
                Ok(None) => {}
            }
            if self.purpose == Purpose::Refresh {
                self.defer_refresh(Duration::ZERO);
                return Ok(FetchLock::Resolved(Resolution(None)));
            }
            entry.rate_limiter.merge(sharing);
            let now = entry.clock.now();
            let permit_in = entry.rate_limiter.permit_at(now).saturating_sub(now.mono);
            let remaining = entry.clock.remaining(call);
            if permit_in > remaining {
                return Err(rate_limited(permit_in));
            }
            let owner = OwnerDelay {
                block: entry.rate_limiter.block_remaining(now),
                by_unverified: entry.rate_limiter.is_delayed_by_unverified(now),
            };
            match wait.next_step(now.mono, remaining, owner) {
                LockStep::Poll(delay) => call
                    .sleep(entry.clock.real_wait(delay))
                    .map_err(|stop| stopped(call, stop))?,
                LockStep::TrySecondLock => {}
                LockStep::GiveUp => {
                    log::debug!(
                        "token lock timed out, requesting without it: audience={:?}",
                        entry.audience(),
                    );
                    let known = record_store.read(call, ReadScope::All);
                    return Ok(FetchLock::Acquired(
                        HeldLock::default(),
                        Box::new(known.record),
                    ));
                }
            }
        }
    }

    /// Tries to take the fetch lock, or the second one. Returns `None` if another process holds it.
    ///
    /// # Errors
    ///
    /// Another process has stored a result.
    fn try_fetch_lock(
        &mut self,
        record_store: &RecordStore<'_>,
        call: &CallContext,
        lease: Duration,
        wait: &LockWait,
    ) -> Result<Option<(HeldLock, TokenRecord)>, Resolution> {
        let until = self.entry.clock.now().mono.saturating_add(lease);
        let mut lock = record_store.try_lock(call, lease);
        // Those who wait may continue in the place of the last owner, now or soon. A process that did not
        // have to wait does not check that, which would be one more operation of the stores for each
        // request: the last owner has usually stored a result.
        let excludes_second = wait.has_waited() && matches!(lock, LockResult::Acquired(_));
        if wait.is_overdue() && matches!(lock, LockResult::Contended) {
            lock = record_store.try_second_lock(call, lease);
        }
        let scope = match lock {
            LockResult::Contended => ReadScope::Shared,
            LockResult::Acquired(_) | LockResult::Failed => ReadScope::All,
        };
        let mut known = self.read_unresolved(record_store, call, scope)?;
        let mut lock = match lock {
            LockResult::Acquired(lock) => lock,
            LockResult::Failed => return Ok(Some((HeldLock::default(), known))),
            LockResult::Contended => return Ok(None),
        };
        if excludes_second {
            // Others wait that long from now on.
            let block = self
                .entry
                .rate_limiter
                .block_remaining(self.entry.clock.now());
            let second_lease = lease.min(FETCH_LOCK_TIMEOUT.saturating_add(block));
            match record_store.try_second_lock(call, second_lease) {
                LockResult::Acquired(second) => lock = StoreLock::new((lock, second)),
                LockResult::Failed => {}
                LockResult::Contended => return Ok(None),
            }
            // The last owner of the second lock may have stored a result meanwhile.
            known = self.read_unresolved(record_store, call, ReadScope::All)?;
        }
        let lock = Some(lock);
        Ok(Some((HeldLock { lock, until }, known)))
    }

    /// Reads the record.
    ///
    /// # Errors
    ///
    /// It has the result of another process.
    fn read_unresolved(
        &mut self,
        record_store: &RecordStore<'_>,
        call: &CallContext,
        scope: ReadScope,
    ) -> Result<TokenRecord, Resolution> {
        let known = record_store.read(call, scope);
        match self.merge(call, record_store, &known) {
            Some(resolution) => Err(resolution),
            None => Ok(known.record),
        }
    }

    /// Ends the request with the result of another process, if there is one.
    fn merge(
        &mut self,
        call: &CallContext,
        record_store: &RecordStore<'_>,
        known: &FoundRecord<'_>,
    ) -> Option<Resolution> {
        let entry = self.entry;
        let now = entry.clock.now();
        let record = &known.record;
        if let Some(cached) = self.newer_token(record, now) {
            count(&entry.counters.tokens_from_store);
            let token = cached.token.clone();
            self.finish(|token_state, fetch_id| token_state.fetch_succeeded(fetch_id, cached));
            let source = known.source.map(Store::describe).unwrap_or_default();
            log_obtained(entry.audience(), &token, now, &source);
            record_store.propagate(call, known);
            return Some(Resolution(Some(token)));
        }
        if let Some((auth_failure, left)) = self.auth_failure(record, now) {
            self.finish(|token_state, fetch_id| {
                let until = now.mono.saturating_add(left);
                let error = auth_failure.error();
                token_state.auth_failure_loaded(fetch_id, until, auth_failure.count, error);
            });
            record_store.propagate(call, known);
            return Some(Resolution(None));
        }
        let pause = self.pause(record, now)?;
        self.defer_refresh(pause);
        Some(Resolution(None))
    }

    /// Returns whether [`merge`](Self::merge) would end the request.
    fn is_resolved_by(&self, record: &TokenRecord) -> bool {
        let now = self.entry.clock.now();
        self.newer_token(record, now).is_some()
            || self.auth_failure(record, now).is_some()
            || self.pause(record, now).is_some()
    }

    /// Returns the token of a record if it is newer than the cached one, and not due if this is a
    /// refresh.
    fn newer_token(&self, record: &TokenRecord, now: ClockTime) -> Option<CachedToken> {
        let cached = cached_from_record(record, now, self.entry.clock.jitter())?;
        let is_newer =
            record.generation > self.entry.lock().max_generation() && cached.is_valid(now);
        let is_enough = self.purpose == Purpose::Fetch || !cached.needs_refresh(now);
        (is_newer && is_enough).then_some(cached)
    }

    /// Returns the rejection of the credentials in a record, and how long it still applies.
    fn auth_failure<'r>(
        &self,
        record: &'r TokenRecord,
        now: ClockTime,
    ) -> Option<(&'r StoredAuthFailure, Duration)> {
        let auth_failure = record.auth_failure.as_ref()?;
        let left = auth_failure.remaining(now)?;
        let counts = self.entry.lock().is_failure_current(auth_failure.at);
        counts.then_some((auth_failure, left))
    }

    /// Returns how long no process refreshes the token of a record.
    fn pause(&self, record: &TokenRecord, now: ClockTime) -> Option<Duration> {
        let pause = record.refresh_pause?;
        let counts =
            self.purpose == Purpose::Refresh && self.entry.lock().is_failure_current(pause.at);
        pause.remaining(now).filter(|_| counts)
    }

    fn refresh_timeout(&self, known: &TokenRecord, call: &CallContext) -> Duration {
        let now = self.entry.clock.now();
        let token_state = self.entry.lock();
        let auth_failure = known.auth_failure.as_ref();
        let is_repeated = token_state.auth_failures() > 0
            || auth_failure
                .is_some_and(|it| it.counts(now) && token_state.is_failure_current(it.at))
            || known.refresh_pause.is_some_and(|it| it.counts(now));
        let limit = match is_repeated {
            true => REPEATED_REFRESH_TIMEOUT,
            false => REFRESH_TIMEOUT,
        };
        limit.min(call.remaining() / 3 * 2)
    }

    /// Ends a refresh that got no response in time: the endpoint is slow, or holds back a
    /// rejection. Pauses the refreshes of all processes that share a store. Returns for how long, and the
    /// number of consecutive pauses.
    fn refresh_timed_out(
        mut self,
        shared: &Shared<'_>,
        mut known: TokenRecord,
        now: ClockTime,
    ) -> (Duration, u32) {
        let recent = known.refresh_pause.filter(|pause| pause.counts(now));
        let before = recent.map_or(0, |pause| pause.count);
        let auth_failure = known.auth_failure.as_ref().filter(|it| it.counts(now));
        let before = before.max(auth_failure.map_or(0, |auth_failure| auth_failure.count));
        let mut paused = (Duration::ZERO, 0);
        self.finish(|token_state, fetch_id| {
            paused = token_state.refresh_timed_out(fetch_id, now, before)
        });
        let (window, count) = paused;
        known.refresh_pause = Some(StoredPause::new(now, window, count));
        shared.write(&known);
        (window, count)
    }

    /// Records a failed request in the token state, the rate limiter and the stores. Returns the
    /// error if it applies to this call only.
    fn handle_failure(
        mut self,
        shared: &Shared<'_>,
        failed: FailedRequest,
        now: ClockTime,
    ) -> Result<Option<Token>, Error> {
        let entry = self.entry;
        let sharing = shared.sharing;
        let call = sharing.call;
        let FailedRequest {
            error: FetchError { kind, error },
            sent,
            mut known,
            settings,
        } = failed;
        let error = error.with_outcome(Outcome::NotSent);
        let jitter = entry.clock.jitter();
        match kind {
            TokenErrorKind::PermitExpired | TokenErrorKind::Transient => {
                self.finish(|token_state, fetch_id| {
                    token_state.fetch_failed(fetch_id, now, settings, error, jitter)
                });
                shared.response_received(sent);
                Ok(None)
            }
            TokenErrorKind::Permanent => {
                // Time does not end it, so the server's wait is not applied.
                let failure = error.clone().with_retry_after(None);
                self.finish(|token_state, fetch_id| {
                    token_state.fetch_failed(fetch_id, now, settings, failure, jitter)
                });
                shared.response_received(sent);
                Err(error)
            }
            TokenErrorKind::InvalidClient | TokenErrorKind::InvalidRequest => {
                let recent = known
                    .auth_failure
                    .take()
                    .filter(|it| it.counts(now) && entry.lock().is_failure_current(it.at));
                let before = recent.map_or(0, |auth_failure| auth_failure.count);
                let shown = error.clone();
                let mut rejected = (Duration::ZERO, 0);
                self.finish(|token_state, fetch_id| {
                    rejected = token_state.fetch_rejected(fetch_id, now, error, before)
                });
                let (window, count) = rejected;
                known.auth_failure = Some(StoredAuthFailure::new(now, window, count, &shown));
                shared.write(&known);
                shared.response_received(sent);
                Ok(None)
            }
            TokenErrorKind::RateLimited { retry_after } => {
                let (blocked_until, is_shared) =
                    entry.rate_limiter.rate_limited(sharing, retry_after);
                entry.unshared.set_rate_limit(is_shared, entry.clock.now());
                let wait = blocked_until.saturating_sub(now.mono);
                if wait > entry.clock.remaining(call) {
                    return Err(error.with_retry_after(Some(wait)));
                }
                Ok(None)
            }
            TokenErrorKind::Cancelled => {
                // A cancelled call says nothing about the endpoint. At the deadline the endpoint is
                // slow, and the next request has to wait for a backoff.
                if call.check() == Err(StopReason::Deadline) {
                    let slow = self::error(
                        ErrorKind::Network,
                        "token endpoint: no response before the deadline of the call that sent the \
                         request",
                    );
                    self.finish(|token_state, fetch_id| {
                        token_state.fetch_failed(fetch_id, now, settings, slow, jitter)
                    });
                }
                Err(error)
            }
        }
    }

    /// Defers the refresh to a later caller, by at least `wait`.
    fn defer_refresh(&mut self, wait: Duration) {
        let not_before = self
            .entry
            .clock
            .now()
            .mono
            .saturating_add(wait.max(REFRESH_RETRY_DELAY));
        self.finish(|token_state, fetch_id| token_state.refresh_deferred(fetch_id, not_before));
    }

    fn expect_permit(&self, permit_at: Duration) {
        self.entry.lock().expect_permit(self.fetch_id, permit_at);
        self.entry.changed.notify_all();
    }

    fn finish(&mut self, event: impl FnOnce(&mut TokenState, FetchId)) {
        event(&mut self.entry.lock(), self.fetch_id);
        self.finished = true;
        self.entry.changed.notify_all();
    }
}

impl Drop for TokenFetch<'_> {
    fn drop(&mut self) {
        // Another thread may have begun the next request.
        let _ = self.entry.fetching_thread.compare_exchange(
            current_thread(),
            0,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        if !self.finished {
            self.finish(|token_state, fetch_id| token_state.fetch_abandoned(fetch_id));
        }
    }
}

/// Returns the token of a response for this process and for the stores.
fn token_of_response(
    response: TokenResponse,
    generation: u64,
    sent: ClockTime,
    now: ClockTime,
    jitter: f64,
) -> Result<(CachedToken, TokenRecord), FetchError> {
    let life = lifetime(&response, sent, now);
    let expires = now.after(life);
    let Some(token) = Token::new(&response.access_token, expires.system_time(), generation) else {
        let message = "token endpoint: the response has no usable access token";
        let error = error(ErrorKind::Decode, message);
        return Err(FetchError {
            kind: TokenErrorKind::Transient,
            error,
        });
    };
    let stored = StoredToken {
        access_token: response.access_token,
        issued_at: now.wall_millis(),
        expires_at: expires.wall_millis(),
    };
    let record = TokenRecord {
        generation,
        token: Some(stored),
        auth_failure: None,
        refresh_pause: None,
        unshared: false,
    };
    Ok((CachedToken::new(token, life, life, now, jitter), record))
}

/// Returns the token of a record if it is valid.
pub(crate) fn cached_from_record(
    record: &TokenRecord,
    now: ClockTime,
    jitter: f64,
) -> Option<CachedToken> {
    let stored = record.token.as_ref()?;
    let (life, left) = stored.lifetime(now)?;
    let expires_at = UNIX_EPOCH.checked_add(Duration::from_millis(stored.expires_at))?;
    let token = Token::new(&stored.access_token, expires_at, record.generation)?;
    Some(CachedToken::new(token, life, left, now, jitter))
}

fn log_obtained(audience: &str, token: &Token, now: ClockTime, source: &str) {
    let lifetime = token.expires_at().duration_since(now.system_time());
    log::debug!(
        "access token obtained: audience={audience:?} lifetime={}s source={source:?}",
        lifetime.unwrap_or_default().as_secs(),
    );
}

fn error(kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, Stage::Token, Outcome::NotSent, message)
}

fn no_time_left() -> Error {
    let message = format!(
        "token request not sent: less than {} ms left, too little to apply the rate limit of the token \
         store",
        REMOTE_STORE_TIMEOUT.as_millis()
    );
    error(ErrorKind::Timeout, message)
}

pub(super) fn stopped(call: &CallContext, stop: StopReason) -> Error {
    let activity = Some("waiting for an access token");
    call.stop_error_while(stop, Stage::Token, Outcome::NotSent, activity)
}
