//! Counters of a client's calls, requests and bytes.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a client and its clones since the client was created; see
/// [`AdminClient::stats`](crate::AdminClient::stats).
///
/// ```no_run
/// # let admin = camunda_admin::AdminClient::from_env()?;
/// admin.clusters().list()?;
/// let stats = admin.stats();
/// println!("{} requests, {} retries, {} token requests", stats.requests, stats.retries, stats.token_requests);
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Operations called.
    pub calls: u64,
    /// API requests sent, retries included.
    pub requests: u64,
    /// Retries of API requests after transient errors.
    pub retries: u64,
    /// Token requests sent by this client, including those for which no connection could be opened.
    pub token_requests: u64,
    /// Calls that got their access token from the cache.
    pub token_cache_hits: u64,
    /// Bytes sent over API connections, TLS included.
    pub bytes_sent: u64,
    /// Bytes received over API connections, TLS included.
    pub bytes_received: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    calls: AtomicU64,
    requests: AtomicU64,
    retries: AtomicU64,
    token_requests: AtomicU64,
    token_calls: AtomicU64,
    bytes_sent: AtomicU64,
    bytes_received: AtomicU64,
}

impl Counters {
    pub(super) fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_token_request(&self) {
        self.token_requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_token_call(&self) {
        self.token_calls.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_bytes(&self, sent: u64, received: u64) {
        self.bytes_sent.fetch_add(sent, Ordering::Relaxed);
        self.bytes_received.fetch_add(received, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let token_requests = load(&self.token_requests);
        Stats {
            calls: load(&self.calls),
            requests: load(&self.requests),
            retries: load(&self.retries),
            token_requests,
            token_cache_hits: load(&self.token_calls).saturating_sub(token_requests),
            bytes_sent: load(&self.bytes_sent),
            bytes_received: load(&self.bytes_received),
        }
    }
}
