//! Request counters.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Requests received since the start or the last reset. Control requests are not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests to the token endpoint, including rejected ones.
    pub token_requests: u64,
    /// Token requests by requested audience, if it could be parsed.
    pub token_requests_by_audience: BTreeMap<String, u64>,
    /// Token requests with a response status other than 200.
    pub rejected_token_requests: u64,
    /// Token requests rejected with 429 by the rate limit or a ban.
    pub rate_limited_token_requests: u64,
    /// Arrival time of each token request, in milliseconds of real time since the start or reset.
    pub token_request_times_ms: Vec<u64>,
    /// Requests to the API, with any response.
    pub requests: u64,
    /// API requests by operation, for example `GET /clusters/{clusterUuid}`. Requests that match
    /// no operation are counted under `unknown`.
    pub requests_by_operation: BTreeMap<String, u64>,
    /// Connections with at least one counted request.
    pub connections: u64,
}

impl Stats {
    /// Counts a request to an operation of the API.
    pub(crate) fn count(&mut self, operation: &str) {
        self.requests += 1;
        match self.requests_by_operation.get_mut(operation) {
            Some(count) => *count += 1,
            None => drop(self.requests_by_operation.insert(operation.into(), 1)),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "token_requests": self.token_requests,
            "token_requests_by_audience": self.token_requests_by_audience,
            "rejected_token_requests": self.rejected_token_requests,
            "rate_limited_token_requests": self.rate_limited_token_requests,
            "token_request_times_ms": self.token_request_times_ms,
            "requests": self.requests,
            "requests_by_operation": self.requests_by_operation,
            "connections": self.connections,
        })
    }
}
