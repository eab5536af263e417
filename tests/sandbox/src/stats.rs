//! What the sandbox counts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// What has reached the sandbox since its start or last reset, control requests left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests to the token endpoint, refused ones included.
    pub token_requests: u64,
    /// The same by the audience that they ask for, where it could be read.
    pub token_requests_by_audience: BTreeMap<String, u64>,
    /// Token requests that were refused, for whatever reason: any status but 200.
    pub refused_token_requests: u64,
    /// Token requests that were refused with 429, by the rate limit or its ban.
    pub rate_limited_token_requests: u64,
    /// When each token request arrived, in milliseconds of real time since the start or reset.
    pub token_request_times_ms: Vec<u64>,
    /// Requests to the API, whatever came of them.
    pub requests: u64,
    /// The same by operation, such as `GET /clusters/{clusterUuid}`. Those that belong to no
    /// operation are counted under `unknown`.
    pub requests_by_operation: BTreeMap<String, u64>,
    /// Connections that carried at least one of these requests.
    pub connections: u64,
}

impl Stats {
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "token_requests": self.token_requests,
            "token_requests_by_audience": self.token_requests_by_audience,
            "refused_token_requests": self.refused_token_requests,
            "rate_limited_token_requests": self.rate_limited_token_requests,
            "token_request_times_ms": self.token_request_times_ms,
            "requests": self.requests,
            "requests_by_operation": self.requests_by_operation,
            "connections": self.connections,
        })
    }
}
