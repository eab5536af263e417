//! HTTP requests of the control API, below `/_sandbox/`.

use std::collections::BTreeSet;

use axum::http::{Method, Uri};
use serde_json::{Map, json};

use crate::body::{Fields, object};
use crate::changes::{apply, bad_request, clock, set_clock};
use crate::encoding::form_pairs;
use crate::faults::{Fault, TOKEN_OPERATION, UNKNOWN_OPERATION};
use crate::operations;
use crate::request_log::{Filter, RequestLog};
use crate::response::Response;
use crate::server::Shared;
use crate::snapshot;

/// Paths below `/_sandbox/` with their methods.
const PATHS: [(&str, &str); 9] = [
    ("health", "GET"),
    ("stats", "GET"),
    ("requests", "GET, DELETE"),
    ("faults", "GET, POST, DELETE"),
    ("faults/{id}", "GET, DELETE"),
    ("control", "POST"),
    ("state", "GET, PUT"),
    ("clock", "GET, POST"),
    ("reset", "POST"),
];

/// Handles a request below `/_sandbox/`.
pub(crate) fn respond(shared: &Shared, method: &Method, uri: &Uri, body: &[u8]) -> Response {
    try_respond(shared, method, uri, body).unwrap_or_else(|rejection| rejection)
}

fn try_respond(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    body: &[u8],
) -> Result<Response, Response> {
    // The server sends the headers of the response only (RFC 9110, section 9.3.2).
    let method = match method {
        &Method::HEAD => &Method::GET,
        method => method,
    };
    let path = uri.path().trim_start_matches("/_sandbox").trim_matches('/');
    let mut query = Query::parse(uri)?;
    let mut filter = Filter::default();
    let mut limit = None;
    let mut only_unused = false;
    match (method.as_str(), path) {
        ("GET", "requests") => {
            filter = query.filter()?;
            limit = query.number("limit")?;
        }
        ("GET", "faults") => only_unused = query.flag("unused")?,
        _ => {}
    }
    query.finish()?;
    let state = &mut *shared.state();
    let response = match (method.as_str(), path) {
        ("GET", "health") => Response::ok(&json!({
            "status": "ok",
            "version": env!("CARGO_PKG_VERSION"),
        })),
        ("GET", "stats") => Response::ok(&state.stats.to_json()),
        ("GET", "requests") => {
            let mut records = shared.log().records(&filter);
            if let Some(limit) = limit {
                let surplus = records.len().saturating_sub(limit as usize);
                records.drain(..surplus);
            }
            let records = records.iter().map(|record| record.to_json());
            Response::ok(&json!({ "requests": records.collect::<Vec<_>>() }))
        }
        ("DELETE", "requests") => {
            shared.log().clear();
            Response::no_content()
        }
        ("POST", "reset") => {
            let mut fields = match body.is_empty() {
                true => Fields::from_object(Map::new()),
                false => Fields::from_object(object(body)?),
            };
            let keep_credentials = fields.optional_boolean("keep_credentials")?;
            fields.finish()?;
            if keep_credentials == Some(true) {
                state.reset_keeping_credentials();
            } else {
                state.reset();
            }
            *shared.log() = RequestLog::default();
            Response::no_content()
        }
        ("POST", "faults") => {
            let fault = Fault::from_fields(object(body)?)?;
            let id = state.faults.add(fault);
            Response::json(201, &state.faults.get(id).unwrap_or_default())
        }
        ("GET", "faults") => Response::ok(&json!({ "faults": state.faults.list(only_unused) })),
        ("DELETE", "faults") => {
            state.faults.clear();
            Response::no_content()
        }
        ("GET", "state") => Response::ok(&snapshot::take(state)),
        ("PUT", "state") => {
            snapshot::replace(state, object(body)?.into())?;
            Response::no_content()
        }
        ("GET", "clock") => Response::ok(&clock(state)),
        ("POST", "clock") => {
            let mut changed = state.clone();
            set_clock(&mut changed, Fields::from_object(object(body)?))?;
            *state = changed;
            Response::ok(&clock(state))
        }
        ("POST", "control") => Response::ok(&apply(state, object(body)?)?),
        (method, path) => match path.strip_prefix("faults/") {
            Some(id) => {
                let not_found = || Response::message(404, format!("fault {id} not found"));
                let id: u64 = id.parse().map_err(|_| not_found())?;
                match method {
                    "GET" => Response::ok(&state.faults.get(id).ok_or_else(not_found)?),
                    "DELETE" if state.faults.remove(id) => Response::no_content(),
                    "DELETE" => return Err(not_found()),
                    _ => return Err(not_allowed("faults/{id}", "GET, DELETE")),
                }
            }
            None => match PATHS.iter().find(|(known, _)| *known == path) {
                Some((known, methods)) => return Err(not_allowed(known, methods)),
                None => {
                    let known = PATHS
                        .map(|(path, _)| format!("/_sandbox/{path}"))
                        .join(", ");
                    let message = format!("unknown control path; expected one of: {known}");
                    return Err(Response::message(404, message));
                }
            },
        },
    };
    Ok(response)
}

fn not_allowed(path: &str, methods: &str) -> Response {
    let methods = methods.replace("GET", "GET, HEAD");
    let message = format!("method not allowed; /_sandbox/{path} accepts {methods}");
    let mut response = Response::message(405, message);
    response.set_header("allow", &methods);
    response
}

/// Query parameters, each at most once.
struct Query {
    remaining: Vec<(String, String)>,
    known: BTreeSet<&'static str>,
}

impl Query {
    fn parse(uri: &Uri) -> Result<Self, Response> {
        let pairs = form_pairs(uri.query().unwrap_or_default().as_bytes());
        Ok(Self {
            remaining: pairs.ok_or_else(|| bad_request("the query is not valid"))?,
            known: BTreeSet::new(),
        })
    }

    fn take(&mut self, name: &'static str) -> Option<String> {
        self.known.insert(name);
        let position = self.remaining.iter().position(|(known, _)| known == name)?;
        Some(self.remaining.swap_remove(position).1)
    }

    fn number(&mut self, name: &'static str) -> Result<Option<u64>, Response> {
        let parse = |text: String| {
            let invalid = || bad_request(format!("query parameter \"{name}\" must be a number"));
            text.parse().map_err(|_| invalid())
        };
        self.take(name).map(parse).transpose()
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, Response> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(_) => {
                let message = format!("query parameter \"{name}\" must be true or false");
                Err(bad_request(message))
            }
        }
    }

    fn filter(&mut self) -> Result<Filter, Response> {
        let filter = Filter {
            operation: self.take("operation"),
            method: self.take("method"),
            path: self.take("path"),
            client_id: self.take("client_id"),
            status: self.number("status")?.map(|status| status as u16),
            after: self.number("after")?,
        };
        filter.check().map_err(bad_request)?;
        Ok(filter)
    }

    fn finish(self) -> Result<(), Response> {
        let Some((name, _)) = self.remaining.first() else {
            return Ok(());
        };
        let mut message = format!("unknown query parameter \"{name}\"");
        if !self.known.is_empty() {
            let known: Vec<_> = self.known.into_iter().collect();
            message.push_str(&format!("; expected one of: {}", known.join(", ")));
        }
        Err(bad_request(message))
    }
}

impl Filter {
    /// Checks that the operation exists.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.operation {
            Some(name)
                if name != TOKEN_OPERATION
                    && name != UNKNOWN_OPERATION
                    && operations::all().iter().all(|known| known.name() != *name) =>
            {
                Err(operations::unknown_operation(name))
            }
            _ => Ok(()),
        }
    }
}
