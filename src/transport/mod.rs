//! HTTP transport: sends one request with its access token, within its deadline, and retries it.
//!
//! The only module that uses ureq. It gets tokens from `auth`, and receives an operation as a method,
//! a path and an [`Idempotency`]. Must not depend on `api`.

mod agent;
mod attempt_error;
mod buffers;
#[cfg(feature = "doctor")]
pub(crate) mod certificate;
mod connect_error;
mod exchange;
mod execution;
#[cfg(any(test, fuzzing))]
#[path = "../fuzzing/transport.rs"]
pub(crate) mod fuzzing;
pub(crate) mod logs;
mod pem;
mod pool;
#[cfg(feature = "doctor")]
pub(crate) mod probe;
mod proxy;
mod read_ahead;
mod redaction;
mod resolver;
mod response;
mod response_head;
mod retry;
mod salvage;
mod server_message;
mod socket;
mod stats;
mod tls;
mod tls_config;
mod token_endpoint;
mod token_response;
mod tunnel;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use serde_json::value::RawValue;

use crate::auth::{StoreTls, TokenCacheConfig, TokenProvider};
use crate::call::CallContext;
use crate::config::Config;
use crate::error::{Result, string_enum};
use crate::fork::PerProcess;
use crate::secret::{Secret, Zeroizing};

use agent::Agents;
pub(crate) use execution::no_credentials;
use execution::{Consumer, Execution};
use response::{BodyError, Response};
pub(crate) use response::{is_markup, strip_bom};

pub use stats::Stats;

/// An HTTP method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads a resource.
    Get,
    /// Creates a resource or starts an action.
    Post,
    /// Replaces a resource or a setting.
    Put,
    /// Changes a part of a resource.
    Patch,
    /// Deletes a resource.
    Delete,
}

string_enum! { Method {
    Get = "GET",
    Post = "POST",
    Put = "PUT",
    Patch = "PATCH",
    Delete = "DELETE",
} }

/// Idempotency of a request, which determines when the client retries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Idempotency {
    /// Changes nothing (RFC 9110, section 9.2.1): retried after transient errors.
    Safe,
    /// Has the same effect if executed more than once (RFC 9110, section 9.2.2): retried after
    /// transient errors.
    Idempotent,
    /// Can have another effect each time it is executed: retried only if no byte of the request was
    /// sent.
    NonIdempotent,
}

string_enum! { Idempotency {
    Safe = "safe",
    Idempotent = "idempotent",
    NonIdempotent = "non_idempotent",
} }

/// The value of `Accept-Encoding` that accepts a compressed response.
const COMPRESSED: &str = "gzip";
/// The value of `Accept-Encoding` that requests a response without compression.
const UNCOMPRESSED: &str = "identity";

/// A request, described by its operation.
pub(crate) struct Request<'a> {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    /// Path and query, percent-encoded.
    pub(crate) path: String,
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
    pub(crate) idempotency: Idempotency,
    pub(crate) authenticated: bool,
    pub(crate) hint: Option<&'static str>,
    /// Whether the response contains secrets: it is requested without compression, because a
    /// decompressor keeps copies.
    pub(crate) secret_response: bool,
    /// Whether the API returns the response only once: it is requested without compression, and an
    /// error contains every byte of it that was received.
    pub(crate) one_time_response: bool,
    /// Error responses that the API documents for the operation: HTTP status and reason. After one of
    /// these with a 5xx status the operation was not executed.
    pub(crate) documented_rejections: &'a [(u16, &'static str)],
    /// Fields of the body that are secret strings.
    pub(crate) secret_fields: Vec<&'static str>,
}

impl Request<'_> {
    /// Returns the secrets in the body.
    fn secrets(&self) -> Vec<Secret> {
        let Some(body) = self
            .body
            .as_ref()
            .filter(|_| !self.secret_fields.is_empty())
        else {
            return Vec::new();
        };
        let fields: BTreeMap<String, &RawValue> =
            serde_json::from_slice(strip_bom(body)).unwrap_or_default();
        self.secret_fields
            .iter()
            .filter_map(|name| serde_json::from_str(fields.get(*name)?.get()).ok())
            .collect()
    }
}

/// Returns the token stores of a configuration, with its TLS settings for those that need them.
///
/// # Errors
///
/// [`ErrorKind::Config`](crate::ErrorKind::Config) if a certificate or key cannot be used.
pub(crate) fn token_cache_config(config: &Config) -> Result<TokenCacheConfig> {
    let mut token_cache = config.token_cache().clone();
    if let TokenCacheConfig::Redis { url, tls, .. } = &mut token_cache
        && (url.expose().starts_with("rediss:") || url.expose().starts_with("valkeys:"))
    {
        *tls = Some(StoreTls {
            config: tls_config::client_config(config)?,
            id: tls_config::identity(config)?,
        });
    }
    Ok(token_cache)
}

/// The HTTP connections, counters and token provider that all clones of a client share.
#[derive(Debug)]
pub(crate) struct Transport {
    config: Config,
    /// One set per process: a forked child must not use the sockets of its parent.
    agents: PerProcess<Agents>,
    tokens: Option<TokenProvider>,
    stats: stats::Counters,
}

impl Transport {
    /// Creates a transport. Sends no request and opens no connection.
    pub(crate) fn new(config: Config, tokens: Option<TokenProvider>) -> Result<Self> {
        let agents = PerProcess::with(Agents::new(&config)?);
        Ok(Transport {
            config,
            agents,
            tokens,
            stats: Default::default(),
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn tokens(&self) -> Option<&TokenProvider> {
        self.tokens.as_ref()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.stats.read()
    }

    /// Sends a request, reads the response to its end and decodes it. `decode` keeps what it decodes. If
    /// the operation was executed but its response was lost, it decodes an empty response.
    ///
    /// Not generic, so that it is compiled once.
    pub(crate) fn send(
        &self,
        request: &Request<'_>,
        call: &CallContext,
        decode: DecodeResponse<'_>,
    ) -> Result<()> {
        Execution::new(self, request, call).run(&mut Whole { decode })
    }

    /// Sends a request and writes the response to `sink` as it arrives. CSV inside a JSON string is
    /// decoded. Does not retry after a part of the response was written.
    pub(crate) fn stream(
        &self,
        request: &Request<'_>,
        call: &CallContext,
        sink: &mut dyn Write,
    ) -> Result<()> {
        Execution::new(self, request, call).run(&mut Streamed { sink })
    }

    fn agents(&self) -> &Agents {
        self.agents.inherit(Agents::clone_for_child)
    }
}

/// Decodes a response and keeps the result.
pub(crate) type DecodeResponse<'a> = &'a mut dyn FnMut(Zeroizing<Vec<u8>>) -> Result<()>;

/// Reads a response to its end and decodes it.
struct Whole<'a> {
    decode: DecodeResponse<'a>,
}

impl Consumer for Whole<'_> {
    fn consume(&mut self, response: Response) -> Result<(), BodyError> {
        let unsupported = response.unsupported_coding();
        let body = response.read()?;
        if is_markup(&body) {
            return Err(BodyError::Page { body });
        }
        (self.decode)(body).map_err(|error| {
            BodyError::Undecodable(match unsupported {
                Some(problem) => error.with_note(problem),
                None => error,
            })
        })
    }

    fn without_response(&mut self) -> bool {
        (self.decode)(Zeroizing::default()).is_ok()
    }
}

/// Writes a response to a sink as it arrives.
struct Streamed<'a> {
    sink: &'a mut dyn Write,
}

impl Consumer for Streamed<'_> {
    fn consume(&mut self, response: Response) -> Result<(), BodyError> {
        response.copy_csv(self.sink)
    }

    fn without_response(&mut self) -> bool {
        false
    }
}

/// Documented reason of a 409 to an operation that deactivates what is not active. After a retry it means
/// that an earlier request was applied.
pub(crate) const NOT_ACTIVE: &str = "not active";

/// Maximum wait that the client accepts from a server's `Retry-After`.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_whatever_else_the_body_has() {
        for body in [
            r#"{"name":"a","value":"hunter2"}"#,
            "\u{feff}{\"value\":\"hunter2\"}",
            r#"{"value":"h\u0075nter2","labels":["a"],"name":null}"#,
        ] {
            let request = Request {
                operation: "create secret",
                method: Method::Post,
                path: "/secrets".to_owned(),
                body: Some(Zeroizing::new(body.as_bytes().to_vec())),
                idempotency: Idempotency::NonIdempotent,
                authenticated: true,
                hint: None,
                secret_response: false,
                one_time_response: false,
                documented_rejections: &[],
                secret_fields: vec!["value", "absent"],
            };
            assert_eq!(request.secrets(), [Secret::from("hunter2")], "{body}");
        }
    }
}
