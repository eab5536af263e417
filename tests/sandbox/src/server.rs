//! HTTP server: connections, routing, counting, fault injection, delivery.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{RawPathParams, Request};
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
use tokio_rustls::TlsAcceptor;

use crate::control;
use crate::delivery::{Connection, Script};
use crate::faults::{Delivery, TOKEN_OPERATION};
use crate::oauth::{self, TokenRequest};
use crate::operations::{self, Operation};
use crate::response::Response;
use crate::state::State;

/// Maximum length of a request body, in bytes.
const MAX_BODY_LENGTH: usize = 4 * 1024 * 1024;

/// Delay after `accept` failed, for example because no file descriptor was available.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// State shared by all connections.
pub(crate) struct Shared {
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
        }
    }

    /// Ignores poisoning: a panic in one request must not fail all later requests.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Accepts and serves connections until the future is dropped.
pub(crate) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let router = router(&shared);
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (tls, router) = (tls.clone(), router.clone());
        tokio::spawn(async move {
            // Responses are written in one piece; Nagle would only delay them.
            let _ = tcp.set_nodelay(true);
            let connection = match tls {
                None => Connection::Plain(tcp),
                Some(tls) => match tls.accept(tcp).await {
                    Ok(tls) => Connection::Tls(Box::new(tls)),
                    Err(_) => return,
                },
            };
            serve_connection(connection, router).await;
        });
    }
}

/// Connection data attached to each request.
#[derive(Clone)]
struct Origin {
    script_sender: mpsc::UnboundedSender<Script>,
    counted: Arc<AtomicBool>,
}

impl Origin {
    /// Returns true only for the first request of the connection.
    fn is_first(&self) -> bool {
        !self.counted.swap(true, Ordering::Relaxed)
    }
}

async fn serve_connection(mut connection: Connection, router: Router) {
    let (script_sender, mut scripts) = mpsc::unbounded_channel();
    let origin = Origin {
        script_sender,
        counted: Arc::default(),
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
            Self::Operation(operation) => format!("{} {}", operation.method, operation.path),
            Self::Unknown | Self::WrongMethod => "unknown".into(),
        }
    }
}

fn router(shared: &Arc<Shared>) -> Router {
    let to = |target: Target| {
        let shared = Arc::clone(shared);
        move |parameters: Result<RawPathParams, _>, request: Request| {
            // A path segment that is not valid UTF-8 matches no resource.
            let (target, parameters) = match parameters {
                Ok(parameters) => (target, decoded(&parameters)),
                Err::<_, axum::extract::rejection::RawPathParamsRejection>(_) => {
                    (Target::Unknown, Vec::new())
                }
            };
            response(Arc::clone(&shared), target, parameters, request)
        }
    };
    let mut router = Router::new()
        .route("/oauth/token", on(MethodFilter::POST, to(Target::Token)))
        .fallback(to(Target::Unknown));
    for operation in operations::all() {
        let method = match operation.method {
            "GET" => MethodFilter::GET,
            "POST" => MethodFilter::POST,
            "PUT" => MethodFilter::PUT,
            "PATCH" => MethodFilter::PATCH,
            _ => MethodFilter::DELETE,
        };
        router = router.route(operation.path, on(method, to(Target::Operation(operation))));
    }
    let control = Arc::clone(shared);
    router
        .method_not_allowed_fallback(to(Target::WrongMethod))
        .route(
            "/_sandbox/{control}",
            axum::routing::any(move |request: Request| {
                control_response(Arc::clone(&control), request)
            }),
        )
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
    let response = match to_bytes(body, MAX_BODY_LENGTH).await {
        Ok(body) => control::respond(&mut shared.state(), &head.method, head.uri.path(), &body),
        Err(_) => Response::message(413, "the request body is too long"),
    };
    let now = shared.state().now();
    Ok(http_response(response, now))
}

/// Handles a request to the API or the token endpoint.
async fn response(
    shared: Arc<Shared>,
    target: Target,
    parameters: Vec<(String, String)>,
    request: Request,
) -> Result<HttpResponse, Infallible> {
    let (head, body) = request.into_parts();
    let origin = head.extensions.get::<Origin>().cloned();
    let body = to_bytes(body, MAX_BODY_LENGTH).await;

    let mut token_request = None;
    let mut rejected = None;
    let effect = {
        let mut state = shared.state();
        if origin.as_ref().is_none_or(Origin::is_first) {
            state.stats.connections += 1;
        }
        let name = target.name();
        if let Target::Token = target {
            let body = body.as_ref().map_or(&b""[..], |body| body);
            let request = TokenRequest::read(text(&head.headers, header::CONTENT_TYPE), body);
            let audience = request.as_ref().ok().and_then(TokenRequest::audience);
            rejected = oauth::admit(&mut state, audience).err();
            token_request = Some(request);
        } else {
            state.stats.requests += 1;
            *state
                .stats
                .requests_by_operation
                .entry(name.clone())
                .or_default() += 1;
        }
        match rejected {
            Some(_) => None,
            None => state
                .faults
                .inject(&name, head.method.as_str(), head.uri.path()),
        }
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
        Some(match (&body, token_request) {
            (Err(_), _) => Response::message(413, "the request body is too long"),
            (Ok(_), Some(request)) => oauth::respond(&mut shared.state(), request),
            (Ok(body), None) => api_response(&shared, target, parameters, &head.headers, body),
        })
    };
    if let Some(response) = &true_response {
        wait(response.delay).await;
    }
    if !delay_first {
        wait(delay).await;
    }

    let now = shared.state().now();
    let granted = true_response
        .as_ref()
        .is_some_and(|response| response.status == 200);
    let delivery = match (effect, true_response) {
        (None, response) => Delivery::Http(response.unwrap_or_else(|| Response::empty(500))),
        (Some(effect), response) => effect.deliver(response, now),
    };
    let granted = match &delivery {
        Delivery::Http(response) => response.status == 200,
        Delivery::Script(_) => granted,
    };
    if matches!(target, Target::Token) && !granted {
        shared.state().stats.rejected_token_requests += 1;
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

/// Sleeps, but not for zero: the shortest sleep takes 1 ms.
async fn wait(duration: Duration) {
    if !duration.is_zero() {
        sleep(duration).await;
    }
}

fn api_response(
    shared: &Shared,
    target: Target,
    parameters: Vec<(String, String)>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let request = operations::Request {
        parameters,
        authorization: text(headers, header::AUTHORIZATION),
        content_type: text(headers, header::CONTENT_TYPE),
        body,
    };
    match target {
        Target::Operation(operation) => operation.respond(&mut shared.state(), &request),
        Target::WrongMethod => Response::message(405, "method not allowed"),
        Target::Token | Target::Unknown => Response::message(404, "path not found"),
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
