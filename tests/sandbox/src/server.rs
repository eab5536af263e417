//! From connections to answers: routing, counting, faults, delivery.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
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

use crate::answer::Answer;
use crate::control;
use crate::delivery::{Connection, Script};
use crate::faults::{Delivery, TOKEN_OPERATION};
use crate::oauth::{self, TokenRequest};
use crate::operations::{self, Operation};
use crate::state::State;

/// The longest request body that is read.
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// How long to wait after the system had no descriptor left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// What all connections share.
pub(crate) struct Shared {
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
        }
    }

    /// A panic in one request is no reason to refuse all the others.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let router = router(&shared);
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (tls, router) = (tls.clone(), router.clone());
        tokio::spawn(async move {
            // Answers go out in one piece, and waiting for more would only delay them.
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

/// What a request knows of the connection that it came by.
#[derive(Clone)]
struct Origin {
    take_over: mpsc::UnboundedSender<Script>,
    counted: Arc<AtomicBool>,
}

impl Origin {
    /// True for the first request of a connection only.
    fn is_first(&self) -> bool {
        !self.counted.swap(true, Ordering::Relaxed)
    }
}

async fn serve_connection(mut connection: Connection, router: Router) {
    let (take_over, mut scripts) = mpsc::unbounded_channel();
    let origin = Origin {
        take_over,
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

/// Where a request was routed to.
#[derive(Clone, Copy)]
enum Target {
    Token,
    Operation(&'static Operation),
    /// No path of the API's.
    Unknown,
    /// A path of the API's, but not with this method.
    WrongMethod,
}

impl Target {
    /// The name by which faults and counters know it.
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
            // Segments that decode to no UTF-8 name nothing that there is.
            let (target, parameters) = match parameters {
                Ok(parameters) => (target, decoded(&parameters)),
                Err::<_, axum::extract::rejection::RawPathParamsRejection>(_) => {
                    (Target::Unknown, Vec::new())
                }
            };
            answer(Arc::clone(&shared), target, parameters, request)
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
        let paths = [operation.path].into_iter();
        // As Camunda's documentation writes it: `GET https://api.cloud.camunda.io/clusters/`.
        let alias = (operation.path == "/clusters").then_some("/clusters/");
        for path in paths.chain(alias) {
            router = router.route(path, on(method, to(Target::Operation(operation))));
        }
    }
    let control = Arc::clone(shared);
    router
        .method_not_allowed_fallback(to(Target::WrongMethod))
        .route(
            "/_sandbox/{control}",
            axum::routing::any(move |request: Request| {
                control_answer(Arc::clone(&control), request)
            }),
        )
}

fn decoded(parameters: &RawPathParams) -> Vec<(String, String)> {
    parameters
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

async fn control_answer(shared: Arc<Shared>, request: Request) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let answer = match to_bytes(body, LONGEST_BODY).await {
        Ok(body) => control::answer(&mut shared.state(), &head.method, head.uri.path(), &body),
        Err(_) => Answer::message(413, "the request body is too long"),
    };
    let now = shared.state().now();
    Ok(response(answer, now))
}

/// Answers a request to the API or the token endpoint.
async fn answer(
    shared: Arc<Shared>,
    target: Target,
    parameters: Vec<(String, String)>,
    request: Request,
) -> Result<Response, Infallible> {
    let (head, body) = request.into_parts();
    let origin = head.extensions.get::<Origin>().cloned();
    let body = to_bytes(body, LONGEST_BODY).await;

    let mut token_request = None;
    let mut refused = None;
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
            refused = oauth::admit(&mut state, audience).err();
            token_request = Some(request);
        } else {
            state.stats.requests += 1;
            *state
                .stats
                .requests_by_operation
                .entry(name.clone())
                .or_default() += 1;
        }
        match refused {
            Some(_) => None,
            None => state
                .faults
                .strike(&name, head.method.as_str(), head.uri.path()),
        }
    };

    let delay = effect
        .as_ref()
        .map_or(Duration::ZERO, |effect| effect.delay);
    let delay_first = effect
        .as_ref()
        .is_some_and(|effect| effect.strikes_before());
    if delay_first {
        wait(delay).await;
    }
    let prevented = effect
        .as_ref()
        .is_some_and(|effect| effect.prevents_effect());
    let true_answer = if let Some(refused) = refused {
        Some(refused)
    } else if prevented {
        None
    } else {
        Some(match (&body, token_request) {
            (Err(_), _) => Answer::message(413, "the request body is too long"),
            (Ok(_), Some(request)) => oauth::answer(&mut shared.state(), request),
            (Ok(body), None) => api_answer(&shared, target, parameters, &head.headers, body),
        })
    };
    if let Some(answer) = &true_answer {
        wait(answer.held_back).await;
    }
    if !delay_first {
        wait(delay).await;
    }

    let now = shared.state().now();
    let granted = true_answer
        .as_ref()
        .is_some_and(|answer| answer.status == 200);
    let delivery = match (effect, true_answer) {
        (None, answer) => Delivery::Proper(answer.unwrap_or_else(|| Answer::empty(500))),
        (Some(effect), answer) => effect.deliver(answer, now),
    };
    let granted = match &delivery {
        Delivery::Proper(answer) => answer.status == 200,
        Delivery::Improper(_) => granted,
    };
    if matches!(target, Target::Token) && !granted {
        shared.state().stats.refused_token_requests += 1;
    }
    let answer = match (delivery, origin) {
        (Delivery::Proper(answer), _) => answer,
        (Delivery::Improper(script), Some(origin)) => {
            // The connection ends this wait, as it drops what it was serving.
            let _ = origin.take_over.send(script);
            std::future::pending().await
        }
        (Delivery::Improper(_), None) => Answer::empty(500),
    };
    Ok(response(answer, now))
}

/// Even the shortest sleep takes a millisecond, which no request without one should pay for.
async fn wait(duration: Duration) {
    if !duration.is_zero() {
        sleep(duration).await;
    }
}

fn api_answer(
    shared: &Shared,
    target: Target,
    parameters: Vec<(String, String)>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Answer {
    let request = operations::Request {
        parameters,
        authorization: text(headers, header::AUTHORIZATION),
        content_type: text(headers, header::CONTENT_TYPE),
        body,
    };
    match target {
        Target::Operation(operation) => operation.answer(&mut shared.state(), &request),
        Target::WrongMethod => Answer::message(405, "no such method here"),
        Target::Token | Target::Unknown => Answer::message(404, "no such path"),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn response(mut answer: Answer, now: Duration) -> Response {
    answer.set_date(now);
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
