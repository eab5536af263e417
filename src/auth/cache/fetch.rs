//! What the one caller does who leads a fetch_id: looks into the stores, waits for its turn among
//! processes and at the rate_limiter, asks the endpoint, and tells everybody what came of it.

use std::time::{Duration, UNIX_EPOCH};

use super::process_cache::{Cell, count};
use super::rate_limit::Permit;
use crate::auth::key::CacheKey;
use crate::auth::record::{StoredAuthFailure, StoredPause, StoredToken, TokenRecord};
use crate::auth::store::{HeldLocks, MergedRecord, RecordStore, StoreTier};
use crate::auth::time::Timestamp;
use crate::auth::token::{Token, lifetime};
use crate::auth::token_state::{CachedToken, FetchId, TokenState, rate_limited};
use crate::auth::{FetchError, TokenEndpoint, TokenErrorKind, TokenRequest, TokenResponse};
use crate::call::{CallContext, StopReason};
use crate::error::{Error, ErrorKind, Outcome, Stage};

/// How long the leader of another process is waited for, at most: longer than the endpoint holds
/// back its answer to bad credentials, which is what everybody waits for then. Whoever takes longer
/// is stopped or stuck.
const FETCH_LOCK_TIMEOUT: Duration = Duration::from_secs(40);

/// How often it is looked whether that leader is done: at first, and in the long run.
const INITIAL_POLL: Duration = Duration::from_millis(5);
const MAX_POLL: Duration = Duration::from_millis(25);

/// For how long a store that cannot detect a terminated owner keeps its lock: until the call of the owner
/// is over, but no longer than the first block of a 429 and the response to bad credentials take.
const LONGEST_LEASE: Duration = Duration::from_secs(120);
/// Added to what is left of the call, for the writes after its response.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// How long a refresh waits for its response: longer than the endpoint holds back the rejection of
/// bad credentials, so that a refresh learns of it and shares it.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(35);
/// The same once a refresh was rejected or got no response: no more calls are kept that long.
const REPEATED_REFRESH_TIMEOUT: Duration = Duration::from_secs(5);

/// While the store that is shared with other machines cannot be reached, first requests are spread
/// over this time.
const MAX_START_JITTER: Duration = Duration::from_secs(5);

/// When a refresh that had to be put off is tried again.
const REFRESH_RETRY_DELAY: Duration = Duration::from_secs(2);

/// Why a fetch_id is led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// No token lives.
    Fetch,
    /// A token lives; nobody has to wait for anything but the answer.
    Refresh,
}

/// The thread that leads a fetch_id. Dropped without landing, by an error or a panic, it gives up, so
/// that another can lead.
pub(super) struct TokenFetch<'a> {
    cell: &'a Cell,
    fetch_id: FetchId,
    purpose: Purpose,
    finished: bool,
}

/// How waiting for other processes ended.
enum FetchLock<'a> {
    /// This process is to ask; with what was known when its turn came.
    Acquired(HeldLocks<'a>, TokenRecord),
    /// There is nothing left to do: a token, or a state of the token_state that says why there is none.
    Resolved(Option<Token>),
}

impl<'a> TokenFetch<'a> {
    pub(super) fn new(cell: &'a Cell, fetch_id: FetchId, purpose: Purpose) -> Self {
        TokenFetch {
            cell,
            fetch_id,
            purpose,
            finished: false,
        }
    }

    /// Leads the fetch_id to its end. `None` means that there is no new token, and that the token_state
    /// knows what is to be done about it.
    ///
    /// A refresh ends after [`REFRESH_TIMEOUT`], or two thirds of the time left of the call.
    pub(super) fn lead(
        mut self,
        request: &TokenRequest,
        key: CacheKey,
        endpoint: &dyn TokenEndpoint,
        call: &CallContext,
    ) -> Result<Option<Token>, Error> {
        let cell = self.cell;
        let record_store = RecordStore::new(&cell.stores, request, key);
        let (locks, known) = match &record_store {
            Some(record_store) => match self.acquire_fetch_lock(record_store, call)? {
                FetchLock::Acquired(locks, known) => (locks, known),
                FetchLock::Resolved(token) => return Ok(token),
            },
            None => Default::default(),
        };
        let waits = self.purpose == Purpose::Fetch;
        if waits && cell.stores.all_remote_unavailable() {
            // Other machines ask now too, and cannot be seen.
            let spread = MAX_START_JITTER.min(cell.clock.remaining(call) / 4);
            let spread = spread.mul_f64(cell.clock.jitter());
            call.sleep(cell.clock.real_wait(spread))
                .map_err(|stop| stopped(call, stop))?;
        }
        let expect = |turn| self.expect_permit(turn);
        let mut found = None;
        let is_settled = || {
            let known = record_store
                .as_ref()
                .map(|record_store| record_store.read(call, |_| false));
            found = known.filter(|known| self.is_settled_by(&known.record));
            found.is_some()
        };
        let passed =
            cell.rate_limiter
                .pass(&cell.stores, &cell.clock, call, waits, expect, is_settled);
        let sent = match passed {
            Permit::Granted(sent) => sent,
            Permit::Settled => {
                let settled = record_store.as_ref().zip(found);
                let settled = settled.and_then(|(record_store, found)| {
                    self.merge(call, record_store, &locks, &found)
                });
                return Ok(settled.flatten());
            }
            Permit::AfterDeadline(wait) if !waits => {
                self.defer_refresh(wait);
                return Ok(None);
            }
            Permit::AfterDeadline(wait) => return Err(rate_limited(wait)),
            Permit::Cancelled(stop) => return Err(stopped(call, stop)),
        };
        count(&cell.counters.token_requests);
        if self.purpose == Purpose::Refresh {
            count(&cell.counters.refreshes);
        }
        let share = |record: &TokenRecord| {
            if let Some(record_store) = &record_store {
                record_store.write(call, &locks, record, cell.clock.now());
            }
        };
        let limited = match self.purpose {
            Purpose::Fetch => None,
            Purpose::Refresh => Some(call.with_max_timeout(self.refresh_timeout(&known, call))),
        };
        let outcome = endpoint.fetch(request, limited.as_ref().unwrap_or(call));
        let now = cell.clock.now();
        let outcome = outcome.and_then(|answer| {
            let generation = cell.lock().next_generation(known.generation, now);
            issued(answer, generation, sent, now, cell.clock.jitter())
        });
        match outcome {
            Ok((cached, record)) => {
                let token = cached.token.clone();
                log_obtained(&request.audience, &token, now, "token endpoint");
                self.finish(|token_state, fetch_id| token_state.fetch_succeeded(fetch_id, cached));
                share(&record);
                drop(locks);
                cell.rate_limiter
                    .answered(&cell.stores, &cell.clock, call, sent);
                Ok(Some(token))
            }
            Err(FetchError { cause, error }) => {
                let timed_out = limited.is_some_and(|limited| {
                    cause == TokenErrorKind::Cancelled
                        && limited.check() == Err(StopReason::Deadline)
                });
                if timed_out {
                    self.refresh_timed_out(known, share, now);
                    return Ok(None);
                }
                self.failed(known, share, call, now, cause, error, sent)
            }
        }
    }

    /// Waits until no other process that shares a store is asking for this key's token, and takes
    /// its turn; meanwhile looks whether the other one is done.
    fn acquire_fetch_lock<'v>(
        &mut self,
        record_store: &RecordStore<'v>,
        call: &CallContext,
    ) -> Result<FetchLock<'v>, Error> {
        let cell = self.cell;
        let limits = FETCH_LOCK_TIMEOUT.min(cell.clock.remaining(call) / 3 * 2);
        let mut give_up_at = cell.clock.now().mono.saturating_add(limits);
        let mut locks = HeldLocks::default();
        let mut poll = INITIAL_POLL;
        // The stores may have it already, and reading needs no lock.
        let max_generation = cell.lock().max_generation();
        let now = cell.clock.now();
        let known = record_store.read(call, |record| {
            record.generation > max_generation
                && record
                    .token
                    .as_ref()
                    .is_some_and(|token| token.life(now).is_some())
        });
        if let Some(settled) = self.merge(call, record_store, &locks, &known) {
            return Ok(FetchLock::Resolved(settled));
        }
        let lease = cell.clock.remaining(call).saturating_add(LEASE_MARGIN);
        let lease = lease.min(LONGEST_LEASE);
        let mut overdue = false;
        loop {
            let complete = record_store.try_lock(call, &mut locks, lease)
                || (overdue && record_store.try_lock_in_place_of_owner(call, &mut locks, lease));
            let known = record_store.read(call, |_| false);
            if let Some(settled) = self.merge(call, record_store, &locks, &known) {
                return Ok(FetchLock::Resolved(settled));
            }
            if complete {
                return Ok(FetchLock::Acquired(locks, known.record));
            }
            if self.purpose == Purpose::Refresh {
                self.defer_refresh(Duration::ZERO);
                return Ok(FetchLock::Resolved(None));
            }
            cell.rate_limiter.merge(&cell.stores, &cell.clock, call);
            let now = cell.clock.now();
            let wait = cell.rate_limiter.permit_at(now).saturating_sub(now.mono);
            if wait > cell.clock.remaining(call) {
                return Err(rate_limited(wait));
            }
            if now.mono >= give_up_at {
                if overdue {
                    log::debug!(
                        "token lock timed out, requesting without it: audience={:?}",
                        cell.audience(),
                    );
                    record_store.override_busy(call, &mut locks);
                    return Ok(FetchLock::Acquired(locks, known.record));
                }
                // One of those who wait goes on in place of the owner, the others wait for that one.
                overdue = true;
                give_up_at = now
                    .mono
                    .saturating_add(FETCH_LOCK_TIMEOUT.min(cell.clock.remaining(call) / 3 * 2));
                poll = INITIAL_POLL;
                continue;
            }
            call.sleep(cell.clock.real_wait(poll))
                .map_err(|stop| stopped(call, stop))?;
            poll = (poll * 3 / 2).min(MAX_POLL);
        }
    }

    /// Lands with what another process found out, if that settles it.
    fn merge<'v>(
        &mut self,
        call: &CallContext,
        record_store: &RecordStore<'v>,
        locks: &HeldLocks<'v>,
        known: &MergedRecord<'v>,
    ) -> Option<Option<Token>> {
        let cell = self.cell;
        let now = cell.clock.now();
        let record = &known.record;
        if let Some(cached) = self.news(record, now) {
            count(&cell.counters.shared);
            let token = cached.token.clone();
            let source = known.source.map(StoreTier::describe).unwrap_or_default();
            log_obtained(cell.audience(), &token, now, &source);
            self.finish(|token_state, fetch_id| token_state.fetch_succeeded(fetch_id, cached));
            record_store.level(call, locks, known, now);
            return Some(Some(token));
        }
        if let Some((auth_failure, left)) = self.auth_failure(record, now) {
            self.finish(|token_state, fetch_id| {
                token_state.auth_failure_loaded(
                    fetch_id,
                    now,
                    left,
                    auth_failure.count,
                    auth_failure.error(),
                );
            });
            return Some(None);
        }
        let pause = self.pause(record, now)?;
        self.defer_refresh(pause);
        Some(None)
    }

    /// Whether [`learn`](Self::learn) would land.
    fn is_settled_by(&self, record: &TokenRecord) -> bool {
        let now = self.cell.clock.now();
        self.news(record, now).is_some()
            || self.auth_failure(record, now).is_some()
            || self.pause(record, now).is_some()
    }

    /// The token of a record, if it is newer than that of the token_state and good enough.
    fn news(&self, record: &TokenRecord, now: Timestamp) -> Option<CachedToken> {
        let cached = stored(record, now, self.cell.clock.jitter())?;
        let is_news = record.generation > self.cell.lock().max_generation() && cached.is_valid(now);
        let is_enough = self.purpose == Purpose::Fetch || !cached.needs_refresh(now);
        (is_news && is_enough).then_some(cached)
    }

    /// The rejection of the credentials in a record, and how long it counts.
    fn auth_failure<'r>(
        &self,
        record: &'r TokenRecord,
        now: Timestamp,
    ) -> Option<(&'r StoredAuthFailure, Duration)> {
        let auth_failure = record.auth_failure.as_ref()?;
        let left = auth_failure.left(now)?;
        let counts = self.cell.lock().is_failure_current(auth_failure.at);
        counts.then_some((auth_failure, left))
    }

    /// How long no process refreshes the token of a record.
    fn pause(&self, record: &TokenRecord, now: Timestamp) -> Option<Duration> {
        let pause = record.refresh_pause?;
        let counts =
            self.purpose == Purpose::Refresh && self.cell.lock().is_failure_current(pause.at);
        pause.left(now).filter(|_| counts)
    }

    fn refresh_timeout(&self, known: &TokenRecord, call: &CallContext) -> Duration {
        let now = self.cell.clock.now();
        let token_state = self.cell.lock();
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

    /// A refresh got no response in time: of a slow endpoint, or of one that holds back a rejection.
    /// No process that shares a store refreshes for a while.
    fn refresh_timed_out(
        mut self,
        mut known: TokenRecord,
        share: impl Fn(&TokenRecord),
        now: Timestamp,
    ) {
        let recent = known.refresh_pause.filter(|pause| pause.counts(now));
        let before = recent.map_or(0, |pause| pause.count);
        let auth_failure = known.auth_failure.as_ref().filter(|it| it.counts(now));
        let before = before.max(auth_failure.map_or(0, |auth_failure| auth_failure.count));
        let mut paused = (Duration::ZERO, 0);
        self.finish(|token_state, fetch_id| {
            paused = token_state.refresh_timed_out(fetch_id, now, before)
        });
        let (window, count) = paused;
        log::info!(
            "token refresh got no response, paused: delay={}s attempt={count}",
            window.as_secs()
        );
        known.refresh_pause = Some(StoredPause::new(now, window, count));
        share(&known);
    }

    /// What a failed request means for everybody; the error, if it is this caller's alone.
    #[expect(
        clippy::too_many_arguments,
        reason = "one step of `lead`, set apart to be readable"
    )]
    fn failed(
        mut self,
        mut known: TokenRecord,
        share: impl Fn(&TokenRecord),
        call: &CallContext,
        now: Timestamp,
        cause: TokenErrorKind,
        error: Error,
        sent: Timestamp,
    ) -> Result<Option<Token>, Error> {
        let cell = self.cell;
        let error = error.with_outcome(Outcome::NotSent);
        let jitter = cell.clock.jitter();
        match cause {
            TokenErrorKind::NotSent | TokenErrorKind::Transient => {
                self.finish(|token_state, fetch_id| {
                    token_state.failed(fetch_id, now, error, jitter)
                });
                cell.rate_limiter
                    .answered(&cell.stores, &cell.clock, call, sent);
                Ok(None)
            }
            TokenErrorKind::Permanent => {
                self.finish(|token_state, fetch_id| {
                    token_state.failed(fetch_id, now, error.clone(), jitter)
                });
                cell.rate_limiter
                    .answered(&cell.stores, &cell.clock, call, sent);
                Err(error)
            }
            TokenErrorKind::InvalidClient => {
                let recent = known
                    .auth_failure
                    .take()
                    .filter(|auth_failure| auth_failure.counts(now));
                let before =
                    recent.filter(|auth_failure| cell.lock().is_failure_current(auth_failure.at));
                let before = before.map_or(0, |auth_failure| auth_failure.count);
                let shown = error.clone();
                let mut refused = (Duration::ZERO, 0);
                self.finish(|token_state, fetch_id| {
                    refused = token_state.refused(fetch_id, now, error, before)
                });
                let (window, count) = refused;
                known.auth_failure = Some(StoredAuthFailure::new(now, window, count, &shown));
                share(&known);
                cell.rate_limiter
                    .answered(&cell.stores, &cell.clock, call, sent);
                Ok(None)
            }
            TokenErrorKind::RateLimited { retry_after } => {
                let opens =
                    cell.rate_limiter
                        .rate_limited(&cell.stores, &cell.clock, call, retry_after);
                let wait = opens.saturating_sub(now.mono);
                if wait > cell.clock.remaining(call) {
                    return Err(error.with_retry_after(Some(wait)));
                }
                Ok(None)
            }
            TokenErrorKind::Cancelled => {
                // A caller who went away says nothing about the endpoint. One whose time was up says
                // that the endpoint is slow, and the next should not press it.
                if call.check() == Err(StopReason::Deadline) {
                    let slow = self::error(
                        ErrorKind::Network,
                        "the token endpoint did not answer before the last call had to be over",
                    );
                    self.finish(|token_state, fetch_id| {
                        token_state.failed(fetch_id, now, slow, jitter)
                    });
                }
                Err(error)
            }
        }
    }

    /// Leaves a refresh to another caller, no sooner than after `wait`.
    fn defer_refresh(&mut self, wait: Duration) {
        let again = self
            .cell
            .clock
            .now()
            .mono
            .saturating_add(wait.max(REFRESH_RETRY_DELAY));
        self.finish(|token_state, fetch_id| token_state.refresh_deferred(fetch_id, again));
    }

    fn expect_permit(&self, turn: Duration) {
        self.cell.lock().expect_permit(self.fetch_id, turn);
        self.cell.changed.notify_all();
    }

    fn finish(&mut self, event: impl FnOnce(&mut TokenState, FetchId)) {
        event(&mut self.cell.lock(), self.fetch_id);
        self.finished = true;
        self.cell.changed.notify_all();
    }
}

impl Drop for TokenFetch<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.finish(|token_state, fetch_id| token_state.fetch_abandoned(fetch_id));
        }
    }
}

/// The token of an answer, made ready to be kept here and in the stores.
fn issued(
    answer: TokenResponse,
    generation: u64,
    sent: Timestamp,
    now: Timestamp,
    jitter: f64,
) -> Result<(CachedToken, TokenRecord), FetchError> {
    let life = lifetime(&answer, sent, now);
    let expires = now.after(life);
    let Some(token) = Token::new(&answer.access_token, expires.system_time(), generation) else {
        let message = "the token endpoint's answer has no usable token in it";
        let error = error(ErrorKind::Decode, message);
        return Err(FetchError {
            cause: TokenErrorKind::Transient,
            error,
        });
    };
    let stored = StoredToken {
        text: answer.access_token,
        obtained: now.wall_millis(),
        expires: expires.wall_millis(),
    };
    let record = TokenRecord {
        generation,
        token: Some(stored),
        auth_failure: None,
        refresh_pause: None,
    };
    Ok((CachedToken::new(token, life, life, now, jitter), record))
}

/// The token of a record, if there is one that lives.
pub(crate) fn stored(record: &TokenRecord, now: Timestamp, jitter: f64) -> Option<CachedToken> {
    let stored = record.token.as_ref()?;
    let (life, left) = stored.life(now)?;
    let expires_at = UNIX_EPOCH.checked_add(Duration::from_millis(stored.expires))?;
    let token = Token::new(&stored.text, expires_at, record.generation)?;
    Some(CachedToken::new(token, life, left, now, jitter))
}

fn log_obtained(audience: &str, token: &Token, now: Timestamp, source: &str) {
    let lifetime = token.expires_at().duration_since(now.system_time());
    log::debug!(
        "access token obtained: audience={audience:?} lifetime={}s source={source:?}",
        lifetime.unwrap_or_default().as_secs(),
    );
}

fn error(kind: ErrorKind, message: &str) -> Error {
    Error::new(kind, Stage::Token, Outcome::NotSent, message)
}

pub(super) fn stopped(call: &CallContext, stop: StopReason) -> Error {
    call.stop_error(stop, Stage::Token, Outcome::NotSent)
}
