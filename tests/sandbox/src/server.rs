//! HTTP server: connections, routing, counting, fault injection, delivery.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{RawPathParams, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response as HttpResponse;
use axum::routing::{MethodFilter, on};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::control;
use crate::delivery::{Connection, Script};
use crate::faults::{Candidate, Delivery, Effect, TOKEN_OPERATION, TOKEN_PATH, UNKNOWN_OPERATION};
use crate::oauth::{self, TokenRequest};
use crate::openapi;
use crate::operations::{self, Operation};
use crate::request_log::{Entry, RequestLog};
use crate::response::Response;
use crate::state::State;
use crate::tls::Acceptors;

/// Maximum length of a request body, in bytes.
const MAX_BODY_LENGTH: usize = 4 * 1024 * 1024;

/// Maximum length of a request body of the control API, in bytes. The state of 100,000 clusters has
/// 180 MB.
const MAX_CONTROL_BODY_LENGTH: usize = 512 * 1024 * 1024;

/// Delay after `accept` failed, for example because no file descriptor was available.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// State shared by all connections.
pub(crate) struct Shared {
    state: Mutex<State>,
    log: Mutex<RequestLog>,
    /// Whether to write a line per request to stderr.
    verbose: bool,
    /// Whether to serve the page at `/`.
    ui: bool,
}

impl Shared {
    pub(crate) fn new(state: State, verbose: bool, ui: bool) -> Self {
        Self {
            state: Mutex::new(state),
            log: Mutex::default(),
            verbose,
            ui,
        }
    }

    /// Ignores poisoning: a panic in one request must not fail all later requests.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locked after the state, if both are.
    pub(crate) fn log(&self) -> MutexGuard<'_, RequestLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts and serves connections until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Acceptors>, shared: Arc<Shared>) {
    let router = router(&shared);
    loop {
        let Ok((tcp, peer)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (tls, router, shared) = (tls.clone(), router.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            // Responses are written in one piece; Nagle would only delay them.
            let _ = tcp.set_nodelay(true);
            let connection = match tls {
                None => Connection::Plain(tcp),
                Some(tls) => {
                    let fault = shared.state().settings.certificate_fault;
                    match tls.get(fault).accept(tcp).await {
                        Ok(tls) => Connection::Tls(Box::new(tls)),
                        Err(_) => return,
                    }
                }
            };
            serve_connection(connection, peer, router).await;
        });
    }
}

/// Connection data attached to each request.
#[derive(Clone)]
struct Origin {
    script_sender: mpsc::UnboundedSender<Script>,
    counted: Arc<AtomicBool>,
    peer: SocketAddr,
}

impl Origin {
    /// Returns true only for the first request of the connection.
    fn is_first(&self) -> bool {
        !self.counted.swap(true, Ordering::Relaxed)
    }
}

async fn serve_connection(mut connection: Connection, peer: SocketAddr, router: Router) {
    let (script_sender, mut scripts) = mpsc::unbounded_channel();
    let origin = Origin {
        script_sender,
        counted: Arc::default(),
        peer,
    };
    let service = TowerToHyperService::new(router);
    loop {
        let origin = origin.clone();
        let service = service.clone();
        let http = http1::Builder::new()
            .header_read_timeout(None)
            .serve_connection(
                TokioIo::new(connection),
                service_fn(move |mut request: hyper::Request<Incoming>| {
                    request.extensions_mut().insert(origin.clone());
                    service.call(request)
                }),
            );
        let mut http = Box::pin(http);
        let script = tokio::select! {
            _ = http.as_mut() => return,
            script = scripts.recv() => script,
        };
        let (Some(script), http) = (script, Pin::into_inner(http)) else {
            return;
        };
        connection = http.into_parts().io.into_inner();
        if !script.run(&mut connection).await.unwrap_or(false) {
            return;
        }
    }
}

/// Route of a request.
#[derive(Clone, Copy)]
enum Target {
    Token,
    Operation(&'static Operation),
    /// Unknown path.
    Unknown,
    /// Known path, unsupported method.
    WrongMethod,
}

impl Target {
    /// Returns the operation name for faults and counters.
    fn name(self) -> String {
        match self {
            Self::Token => TOKEN_OPERATION.into(),
            Self::Operation(operation) => operation.name(),
            Self::Unknown | Self::WrongMethod => UNKNOWN_OPERATION.into(),
        }
    }

    /// Handles a request that is not a token request.
    fn respond(self, state: &mut State, request: &operations::Request<'_>) -> Response {
        match self {
            Self::Operation(operation) => operation.respond(state, request),
            Self::WrongMethod => Response::message(405, "method not allowed"),
            Self::Token | Self::Unknown => Response::message(404, "path not found"),
        }
    }
}

fn router(shared: &Arc<Shared>) -> Router {
    let to = |target: Target| {
        let shared = Arc::clone(shared);
        let name: Arc<str> = target.name().into();
        move |parameters: Result<RawPathParams, _>, request: Request| {
            // A path segment that is not valid UTF-8 matches no resource.
            let (target, name, parameters) = match parameters {
                Ok(parameters) => (target, Arc::clone(&name), decoded(&parameters)),
                Err::<_, axum::extract::rejection::RawPathParamsRejection>(_) => {
                    (Target::Unknown, UNKNOWN_OPERATION.into(), Vec::new())
                }
            };
            respond(Arc::clone(&shared), target, name, parameters, request)
        }
    };
    let mut router = Router::new()
        .route(TOKEN_PATH, on(MethodFilter::POST, to(Target::Token)))
        .fallback(to(Target::Unknown));
    for operation in operations::all() {
        let method = match operation.method {
            "GET" => MethodFilter::GET,
            "POST" => MethodFilter::POST,
            "PUT" => MethodFilter::PUT,
            "PATCH" => MethodFilter::PATCH,
            _ => MethodFilter::DELETE,
        };
        let paths = [operation.path].into_iter();
        // As Camunda's documentation writes it: `GET https://api.cloud.camunda.io/clusters/`.
        let alias = (operation.path == "/clusters").then_some("/clusters/");
        for path in paths.chain(alias) {
            router = router.route(path, on(method, to(Target::Operation(operation))));
        }
    }
    router = router.method_not_allowed_fallback(to(Target::WrongMethod));
    let add = |router: Router, path: &str, respond: fn(&Shared) -> Response| {
        let shared = Arc::clone(shared);
        let respond = move || {
            let response = http_response(respond(&shared), shared.state().now());
            std::future::ready(Ok::<_, Infallible>(response))
        };
        router.route(path, axum::routing::get(respond))
    };
    router = add(router, "/.well-known/jwks.json", |shared| {
        oauth::key_set(&shared.state())
    });
    router = add(router, "/.well-known/openid-configuration", |shared| {
        oauth::metadata(&shared.state())
    });
    router = add(router, "/openapi.json", |shared| {
        Response::ok(&openapi::description(&shared.state().setup.base_url))
    });
    if shared.ui {
        router = add(router, "/", |_| {
            let mut page = Response::html(include_str!("ui.html"));
            // The page has inline scripts and styles only, and talks to this server only.
            page.set_header(
                "content-security-policy",
                "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; \
                 style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; \
                 base-uri 'none'; form-action 'none'",
            );
            page
        });
    }
    for path in ["/_sandbox", "/_sandbox/", "/_sandbox/{*path}"] {
        let control = Arc::clone(shared);
        let respond = move |request: Request| control_response(Arc::clone(&control), request);
        router = router.route(path, axum::routing::any(respond));
    }
    router
}

fn decoded(parameters: &RawPathParams) -> Vec<(String, String)> {
    parameters
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

async fn control_response(
    shared: Arc<Shared>,
    request: Request,
) -> Result<HttpResponse, Infallible> {
    let (head, body) = request.into_parts();
    let response = match read(body, MAX_CONTROL_BODY_LENGTH).await {
        Ok(_) if is_cross_origin(&head.headers) => {
            Response::message(403, "requests of pages from other origins are rejected")
        }
        Ok(body) => control::respond(&shared, &head.method, &head.uri, &body),
        Err(rejection) => rejection,
    };
    let now = shared.state().now();
    Ok(http_response(response, now))
}

/// Returns whether a browser sent the request for a page of another server.
fn is_cross_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = text(headers, header::ORIGIN) else {
        return false;
    };
    let origin = origin.split_once("://").map(|(_, host)| host);
    origin != text(headers, header::HOST)
}

/// Reads a request body.
///
/// # Errors
///
/// 413 if it is longer than `max_length` bytes, 400 if its encoding is invalid.
async fn read(body: Body, max_length: usize) -> Result<Bytes, Response> {
    to_bytes(body, max_length).await.map_err(|error| {
        let is_too_long = std::error::Error::source(&error)
            .is_some_and(|source| source.is::<http_body_util::LengthLimitError>());
        if is_too_long {
            Response::message(413, "the request body is too long")
        } else {
            Response::message(400, "the request body is incomplete or not validly encoded")
        }
    })
}

/// Handles a request to the API or the token endpoint.
async fn respond(
    shared: Arc<Shared>,
    target: Target,
    operation: Arc<str>,
    parameters: Vec<(String, String)>,
    request: Request,
) -> Result<HttpResponse, Infallible> {
    let (head, body) = request.into_parts();
    let origin = head.extensions.get::<Origin>();
    let body = read(body, MAX_BODY_LENGTH).await;
    let content = body.as_ref().cloned().unwrap_or_default();
    let authorization = text(&head.headers, header::AUTHORIZATION);
    let content_type = text(&head.headers, header::CONTENT_TYPE);

    let mut token_request = None;
    let mut rejected = None;
    let (entry, effect) = {
        let mut state = shared.state();
        if origin.is_none_or(Origin::is_first) {
            state.stats.connections += 1;
        }
        let entry = shared.log().add(
            state.now(),
            operation,
            &head,
            &content,
            origin.map(|origin| origin.peer),
        );
        if let Target::Token = target {
            let request = TokenRequest::read(content_type, authorization, &content);
            let audience = request.as_ref().ok().and_then(TokenRequest::audience);
            if let Some(client_id) = request.as_ref().ok().and_then(TokenRequest::client_id) {
                let _ = entry.client_id.set(client_id.into());
            }
            rejected = oauth::admit(&mut state, audience).err();
            token_request = Some(request);
        } else {
            state.stats.count(&entry.operation);
        }
        let effect = match rejected {
            Some(_) => None,
            None => inject(&mut state, &entry, &head, &content),
        };
        (entry, effect)
    };

    let delay = effect
        .as_ref()
        .map_or(Duration::ZERO, |effect| effect.delay);
    let delay_first = effect.as_ref().is_some_and(|effect| effect.is_before());
    if delay_first {
        wait(delay).await;
    }
    let prevented = effect
        .as_ref()
        .is_some_and(|effect| effect.prevents_effect());
    let true_response = if let Some(rejected) = rejected {
        Some(rejected)
    } else if prevented {
        None
    } else {
        Some(match (body, token_request) {
            (Err(rejection), _) => rejection,
            (Ok(_), Some(request)) => oauth::respond(&mut shared.state(), request),
            (Ok(_), None) => {
                let request = operations::Request {
                    parameters,
                    caller: oauth::caller(&shared.state(), authorization),
                    content_type,
                    body: &content,
                };
                if let Some(client_id) = &request.caller {
                    let _ = entry.client_id.set(Arc::clone(client_id));
                }
                target.respond(&mut shared.state(), &request)
            }
        })
    };
    if let Some(response) = &true_response {
        wait(response.delay).await;
    }
    if !delay_first {
        wait(delay).await;
    }

    let now = shared.state().now();
    let is_granted = |response: &Response| response.status == 200;
    let was_granted = true_response.as_ref().is_some_and(is_granted);
    let delivery = match (effect, true_response) {
        (None, response) => Delivery::Http(response.unwrap_or_else(|| Response::empty(500))),
        (Some(effect), response) => effect.deliver(response, now),
    };
    let (status, granted) = match &delivery {
        Delivery::Http(response) => (Some(response.status), is_granted(response)),
        Delivery::Script(script) => (script.status, was_granted),
    };
    if matches!(target, Target::Token) && !granted {
        shared.state().stats.rejected_token_requests += 1;
    }
    if let Some(status) = status {
        entry.complete(status);
    }
    if shared.verbose {
        eprintln!("{}", entry.line());
    }
    let response = match (delivery, origin) {
        (Delivery::Http(response), _) => response,
        (Delivery::Script(script), Some(origin)) => {
            // The connection task drops this future when it runs the script.
            let _ = origin.script_sender.send(script);
            std::future::pending().await
        }
        (Delivery::Script(_), None) => Response::empty(500),
    };
    Ok(http_response(response, now))
}

/// Returns the effect of the fault to inject, and notes the fault in the log.
fn inject(state: &mut State, entry: &Entry, head: &Parts, content: &[u8]) -> Option<Arc<Effect>> {
    if state.faults.is_empty() {
        return None;
    }
    let mut faults = std::mem::take(&mut state.faults);
    let candidate = Candidate {
        operation: &entry.operation,
        method: head.method.as_str(),
        path: head.uri.path(),
        headers: &head.headers,
        body: content,
    };
    let client_id = || match entry.client_id.get() {
        Some(client_id) => Some(client_id.to_string()),
        None => oauth::caller(state, text(&head.headers, header::AUTHORIZATION))
            .map(|client_id| client_id.to_string()),
    };
    let injected = faults.inject(&candidate, client_id);
    state.faults = faults;
    let (id, effect) = injected?;
    let _ = entry.fault.set(id);
    Some(effect)
}

/// Sleeps, but not for zero: the shortest sleep takes 1 ms.
async fn wait(duration: Duration) {
    if !duration.is_zero() {
        sleep(duration).await;
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn http_response(mut response: Response, now: Duration) -> HttpResponse {
    response.set_date(now);
    let mut http = HttpResponse::new(Body::from(response.body));
    *http.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            http.headers_mut().insert(name, value);
        }
    }
    http
}
