//! Log of received requests.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::http::Method;
use axum::http::request::Parts;
use serde_json::{Map, Value, json};

use crate::clock::iso8601;

/// Maximum number of entries.
const MAX_ENTRIES: usize = 10_000;

/// Maximum total length of the bodies, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// Request and, once it is complete, its response status.
///
/// Has copies of the parts of the request, which would keep whole read buffers in memory.
pub(crate) struct Entry {
    pub(crate) id: u64,
    time: Duration,
    started: Instant,
    pub(crate) operation: Arc<str>,
    method: Method,
    /// Path and query.
    target: Box<str>,
    /// One header per line. Names and values have no line breaks.
    headers: Box<[u8]>,
    body: Box<[u8]>,
    peer: Option<SocketAddr>,
    pub(crate) client_id: OnceLock<Arc<str>>,
    pub(crate) fault: OnceLock<u64>,
    outcome: OnceLock<(u16, Duration)>,
}

impl Entry {
    /// Records the response. Only the first call has an effect.
    pub(crate) fn complete(&self, status: u16) {
        let _ = self.outcome.set((status, self.started.elapsed()));
    }

    fn status(&self) -> Option<u16> {
        self.outcome.get().map(|(status, _)| *status)
    }

    /// Returns one line for the log output.
    pub(crate) fn line(&self) -> String {
        let mut line = format!("{} {} {}", iso8601(self.time), self.method, self.target);
        match self.outcome.get() {
            Some((status, elapsed)) => {
                line.push_str(&format!(" {status} {:.1} ms", elapsed.as_secs_f64() * 1e3));
            }
            None => line.push_str(" no response"),
        }
        if let Some(client_id) = self.client_id.get() {
            line.push_str(&format!(" client={client_id}"));
        }
        if let Some(fault) = self.fault.get() {
            line.push_str(&format!(" fault={fault}"));
        }
        line
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    fn to_record(&self) -> RequestRecord {
        let headers = String::from_utf8_lossy(&self.headers);
        RequestRecord {
            id: self.id,
            time: self.time,
            operation: self.operation.as_ref().into(),
            method: self.method.to_string(),
            path: self.path().to_owned(),
            query: self
                .target
                .split_once('?')
                .map(|(_, query)| query.to_owned()),
            headers: headers
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: self.body.to_vec(),
            client_id: self.client_id.get().map(|it| it.as_ref().into()),
            peer: self.peer,
            status: self.status(),
            fault: self.fault.get().copied(),
        }
    }
}

/// Request that the sandbox received.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRecord {
    /// Number of the request since the start or the last reset, from 1.
    pub id: u64,
    /// Arrival by the clock of the sandbox, since the Unix epoch.
    pub time: Duration,
    /// Operation, for example `GET /clusters/{clusterUuid}`, `token` or `unknown`.
    pub operation: String,
    /// Method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query without the question mark.
    pub query: Option<String>,
    /// Headers with names in lower case, in the order of arrival.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// Client id of the token or of the token request.
    pub client_id: Option<String>,
    /// IP address and port of the client.
    pub peer: Option<SocketAddr>,
    /// Status of the response. `None` if the request is in progress, or a fault prevented the
    /// response.
    pub status: Option<u16>,
    /// Id of the fault that was injected.
    pub fault: Option<u64>,
}

impl RequestRecord {
    /// Returns the body as JSON, or `null` if it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns the first header with this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            match headers.get_mut(name) {
                Some(Value::String(values)) => {
                    values.push_str(", ");
                    values.push_str(value);
                }
                _ => drop(headers.insert(name.clone(), value.as_str().into())),
            }
        }
        json!({
            "id": self.id,
            "time": iso8601(self.time),
            "operation": self.operation,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": headers,
            "body": String::from_utf8_lossy(&self.body),
            "json": self.json(),
            "client_id": self.client_id,
            "peer": self.peer.map(|peer| peer.to_string()),
            "status": self.status,
            "fault": self.fault,
        })
    }
}

/// Conditions on log entries. An unset condition matches any entry.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) operation: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) status: Option<u16>,
    /// Exclusive lower bound of the id.
    pub(crate) after: Option<u64>,
}

impl Filter {
    fn matches(&self, entry: &Entry) -> bool {
        self.operation
            .as_ref()
            .is_none_or(|wanted| **wanted == *entry.operation)
            && self
                .method
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(entry.method.as_str()))
            && self
                .path
                .as_ref()
                .is_none_or(|wanted| wanted == entry.path())
            && self
                .client_id
                .as_ref()
                .is_none_or(|wanted| entry.client_id.get().is_some_and(|id| **id == **wanted))
            && self
                .status
                .is_none_or(|wanted| entry.status() == Some(wanted))
            && self.after.is_none_or(|after| entry.id > after)
    }
}

/// Latest requests, oldest first. Drops the oldest entries when it is full.
#[derive(Default)]
pub(crate) struct RequestLog {
    entries: VecDeque<Arc<Entry>>,
    body_bytes: usize,
    count: u64,
}

impl RequestLog {
    pub(crate) fn add(
        &mut self,
        time: Duration,
        operation: Arc<str>,
        head: &Parts,
        body: &[u8],
        peer: Option<SocketAddr>,
    ) -> Arc<Entry> {
        self.count += 1;
        self.body_bytes += body.len();
        while self.entries.len() >= MAX_ENTRIES || self.body_bytes > MAX_BODY_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.body_bytes -= oldest.body.len();
        }
        let mut headers = Vec::with_capacity(512);
        for (name, value) in &head.headers {
            headers.extend_from_slice(name.as_str().as_bytes());
            headers.extend_from_slice(b": ");
            headers.extend_from_slice(value.as_bytes());
            headers.push(b'\n');
        }
        let target = head.uri.path_and_query();
        let entry = Arc::new(Entry {
            id: self.count,
            time,
            started: Instant::now(),
            operation,
            method: head.method.clone(),
            target: target.map_or("", |target| target.as_str()).into(),
            headers: headers.into(),
            body: body.into(),
            peer,
            client_id: OnceLock::new(),
            fault: OnceLock::new(),
            outcome: OnceLock::new(),
        });
        self.entries.push_back(Arc::clone(&entry));
        entry
    }

    pub(crate) fn records(&self, filter: &Filter) -> Vec<RequestRecord> {
        self.entries
            .iter()
            .filter(|entry| filter.matches(entry))
            .map(|entry| entry.to_record())
            .collect()
    }

    pub(crate) fn clear(&mut self) {
        self.entries = VecDeque::new();
        self.body_bytes = 0;
    }
}
