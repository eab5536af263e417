//! [`AdminClient`]: the entry point to the operations, and their execution.
//!
//! `admin_builder.rs`, `token_source.rs` and the files of the resources add its other methods, so that
//! this file depends on none of them.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::api::json::Json;
use crate::api::operation::{self, Operation};
use crate::api::path_segment::has_dot_segment;
use crate::api::place::Decode;
use crate::auth::{self, Diagnostics};
use crate::call::{CallContext, CallOptions};
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::secret::Zeroizing;
use crate::transport::{DecodeResponse, Idempotency, Method, Request, Stats, Transport};

/// A request to an endpoint that this version has no operation for.
pub(crate) struct RawRequest<'a> {
    pub(crate) idempotency: Idempotency,
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: &'a str,
    /// JSON.
    pub(crate) body: Option<Zeroizing<Vec<u8>>>,
}

/// Client for the Camunda 8 Administration API.
///
/// Cloning is cheap; a client can be shared between threads. Clones share the connection pool and
/// the counters. All clients of the process with the same credentials share cached tokens, and by
/// default all processes of the user do, see [`token_cache`](crate::AdminClientBuilder::token_cache).
/// Creating a client sends no request. It keeps as many idle connections as calls ran at a time, each
/// for at most 30 s.
///
/// ```no_run
/// use camunda_admin::AdminClient;
///
/// let admin = AdminClient::from_env()?;
/// for cluster in admin.clusters().list()? {
///     println!("{} {}", cluster.name, cluster.status.ready);
/// }
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Clone)]
pub struct AdminClient {
    transport: Arc<Transport>,
    options: CallOptions,
}

impl AdminClient {
    /// Returns the same client with options for the calls made through it.
    ///
    /// `options` are merged into the options that are already set: an option that is not set in
    /// `options` keeps its value. To remove an option, start from a client without it.
    ///
    /// ```no_run
    /// # use camunda_admin::{AdminClient, CallOptions, Cancel};
    /// # use std::time::Duration;
    /// # let admin = AdminClient::from_env()?;
    /// let cancellable = admin.with(CallOptions::new().cancel(Cancel::new()));
    /// let quick = cancellable.with(CallOptions::new().timeout(Duration::from_secs(5)));
    /// quick.clusters().list()?; // has the timeout and can be cancelled
    /// # Ok::<(), camunda_admin::Error>(())
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> AdminClient {
        AdminClient {
            transport: self.transport.clone(),
            options: self.options.merged(options),
        }
    }

    /// Returns the audience of the client's own tokens, those for the Administration API.
    #[must_use]
    pub fn audience(&self) -> &str {
        self.transport.config().audience()
    }

    /// Sends a request to an endpoint that this version has no method for.
    ///
    /// `path` is a path with an optional query, such as `/clusters?new=1`. Returns the decoded JSON
    /// response, or `null` if it has no body. `GET` requests are retried after transient errors;
    /// other methods are treated as non-idempotent, see
    /// [`request_with_idempotency`](Self::request_with_idempotency).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`] if the path is invalid; [`ErrorKind::Decode`] if the response
    /// is not JSON; the error of the response's status.
    pub fn request(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Json> {
        let idempotency = if method == Method::Get {
            Idempotency::Safe
        } else {
            Idempotency::NonIdempotent
        };
        self.request_with_idempotency(idempotency, method, path, body)
    }

    /// Sends a request as [`request`](Self::request) does, with an explicit [`Idempotency`], which
    /// decides whether the request is retried.
    ///
    /// # Errors
    ///
    /// Those of [`request`](Self::request).
    pub fn request_with_idempotency(
        &self,
        idempotency: Idempotency,
        method: Method,
        path: &str,
        body: Option<&Json>,
    ) -> Result<Json> {
        let body = body.map(|json| Zeroizing::new(json.as_str().as_bytes().to_vec()));
        let request = RawRequest {
            idempotency,
            method,
            path,
            body,
        };
        let response = self.send_raw(&self.call(), request)?;
        operation::decode(&response).map_err(Error::invalid_argument)
    }

    /// Sends a request and returns the encoded response: `null` if it has no body.
    pub(crate) fn send_raw(
        &self,
        call: &CallContext,
        request: RawRequest<'_>,
    ) -> Result<Zeroizing<Vec<u8>>> {
        let RawRequest {
            idempotency,
            method,
            path,
            body,
        } = request;
        check_path(path)?;
        let request = Request {
            operation: REQUEST,
            method,
            path: path.to_owned(),
            body,
            idempotency,
            authenticated: true,
            hint: Some("check what the request changes before repeating it"),
            // Its response can be anything.
            secret_response: true,
            one_time_response: idempotency == Idempotency::NonIdempotent,
            documented_rejections: &[],
            secret_fields: Vec::new(),
        };
        let mut result = Zeroizing::default();
        self.transport.send(&request, call, &mut |response| {
            let json = operation::strip_bom(&response).trim_ascii();
            if json.is_empty() {
                result = Zeroizing::new(b"null".to_vec());
                return Ok(());
            }
            match operation::decode_with_serde::<IgnoredAny>(json) {
                Ok(_) => {
                    result = response;
                    Ok(())
                }
                Err(problem) => {
                    let message = format!("response is not JSON: {problem}");
                    Err(Error::new(
                        ErrorKind::Decode,
                        Stage::Decode,
                        Outcome::Completed,
                        message,
                    )
                    .with_body(response))
                }
            }
        })?;
        Ok(result)
    }

    /// Returns the counters of this client and its clones: requests, retries, token requests,
    /// bytes.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.transport.stats()
    }

    /// Returns the state of all cached tokens, rate limiters and token stores of this process,
    /// without secrets. A token in [`access_token`](crate::AdminClientBuilder::access_token) is not cached.
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        auth::diagnostics()
    }

    /// Clears the stored authentication failure of this client's credentials, in memory and in the
    /// token store, so that the next call sends a token request.
    ///
    /// Call it after the credentials were fixed in the Console. Without it, calls fail with
    /// [`ErrorKind::Authentication`] and send nothing until [`Error::retry_after`] has elapsed. The same
    /// applies if the token endpoint rejected the request for another reason ([`ErrorKind::Config`]).
    /// Does nothing if the client has an `access_token` or no credentials.
    pub fn clear_auth_failure(&self) {
        if let Some(tokens) = self.transport.tokens() {
            tokens.clear_auth_failure(&self.call());
        }
    }

    /// Discards this client's token, in memory and in the token store, so that the next call
    /// requests a new one. Does nothing if the client has an `access_token` or no credentials.
    pub fn invalidate_tokens(&self) {
        if let Some(tokens) = self.transport.tokens() {
            tokens.forget(&self.call());
        }
    }

    /// Uses each ability of the token stores, for the diagnostics.
    #[cfg(feature = "doctor")]
    pub(crate) fn check_token_stores(&self) {
        if let Some(tokens) = self.transport.tokens() {
            tokens.check_stores(&self.call());
        }
    }

    pub(super) fn new(transport: Arc<Transport>) -> AdminClient {
        AdminClient {
            transport,
            options: CallOptions::new(),
        }
    }

    pub(super) fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }

    pub(crate) fn options(&self) -> &CallOptions {
        &self.options
    }

    /// Returns a client for the requests of one call that begins now; see [`CallOptions::begin`].
    pub(crate) fn begin(&self) -> AdminClient {
        AdminClient {
            transport: self.transport.clone(),
            options: self.options.begin(),
        }
    }

    pub(crate) fn call(&self) -> CallContext {
        CallContext::start(&self.options, self.transport.config().timeout())
    }

    /// Calls an operation without a request body and decodes its response.
    pub(crate) fn get<T: Decode>(&self, operation: &Operation, arguments: &[&str]) -> Result<T> {
        self.execute_and_decode(operation, arguments, None)
    }

    /// Calls an operation with a request body and decodes its response.
    pub(crate) fn send<T: Decode>(
        &self,
        operation: &Operation,
        arguments: &[&str],
        body: &impl Serialize,
    ) -> Result<T> {
        self.execute_and_decode(operation, arguments, Some(operation::encode(body)?))
    }

    fn execute_and_decode<T: Decode>(
        &self,
        operation: &Operation,
        arguments: &[&str],
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<T> {
        let mut value: Option<T> = None;
        self.execute(operation, arguments, body, &mut |response| {
            operation.decode(response, &mut value).map(drop)
        })?;
        Ok(value.expect(operation::DECODED))
    }

    /// Calls an operation whose response has no body.
    pub(crate) fn send_without_response(
        &self,
        operation: &Operation,
        arguments: &[&str],
        body: Option<&impl Serialize>,
    ) -> Result<()> {
        let body = body.map(operation::encode).transpose()?;
        self.execute(operation, arguments, body, &mut |_| Ok(()))
    }

    /// Calls an operation whose response is CSV, and writes it to `sink`.
    pub(crate) fn stream(&self, operation: &Operation, sink: &mut dyn Write) -> Result<()> {
        let request = self.request_for(operation, &[], None)?;
        self.transport.stream(&request, &self.call(), sink)
    }

    /// Calls an operation. `decode` keeps what it decodes.
    pub(crate) fn execute(
        &self,
        operation: &Operation,
        arguments: &[&str],
        body: Option<Zeroizing<Vec<u8>>>,
        decode: DecodeResponse<'_>,
    ) -> Result<()> {
        // The time that the check of a large body takes counts, too.
        let call = self.call();
        let request = self.request_for(operation, arguments, body)?;
        self.transport.send(&request, &call, decode)
    }

    /// Returns the request of an operation.
    pub(super) fn request_for<'a>(
        &self,
        operation: &'a Operation,
        arguments: &[&str],
        body: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Request<'a>> {
        if let Some(body) = &body {
            operation.check_lists(body)?;
        }
        Ok(Request {
            operation: operation.name,
            method: operation.method,
            path: operation.path_with(arguments)?,
            body,
            idempotency: operation.idempotency,
            authenticated: operation.authenticated,
            hint: operation.recovery_hint,
            secret_response: operation.has_secret_response(),
            one_time_response: operation.one_time_response
                || (operation.idempotency == Idempotency::NonIdempotent
                    && operation.response.is_some()),
            documented_rejections: operation.documented_errors,
            secret_fields: operation.secret_request_fields(),
        })
    }
}

const REQUEST: &str = "request";

impl fmt::Debug for AdminClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminClient")
            .field("base_url", &self.transport.config().base_url())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Validates the path of a raw request: it must not leave the API or inject a header.
pub(super) fn check_path(path: &str) -> Result<()> {
    let invalid =
        |problem| Err(Error::invalid_argument(format!("path {problem}")).with_operation(REQUEST));
    if !path.starts_with('/') || path.starts_with("//") {
        return invalid("does not begin with a single `/`");
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains(['#', '\\']) {
        return invalid("has characters that must be percent-encoded");
    }
    if has_dot_segment(path.split('?').next().unwrap_or_default()) {
        return invalid("has a `.` or `..` segment, which servers and proxies resolve");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_path_rejects_paths_that_leave_the_api() {
        for good in ["/clusters", "/clusters/a%20b?x=1&y=/../", "/a..b"] {
            check_path(good).unwrap();
        }
        for bad in [
            "",
            "clusters",
            "//evil",
            "/a/../b",
            "/a/%2e%2E",
            "/.",
            "/a b",
            "/a\r\nb",
            "/a#b",
            "/ü",
            "/a\\b",
            "/a/..%2Fb",
            "/a%2f..%2Fb",
            "/a%5c..%5cb",
            "/a/%2e%2e%2fb",
            "/a/%252e%252e/b",
            "/a%25252F..",
            "/a/..;x=1/b",
            "/a/.%3bx",
        ] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }
}
