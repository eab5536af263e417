//! Fault injection.

mod effect;
mod fault;
mod matcher;
mod registry;

pub use effect::When;
pub(crate) use effect::{Delivery, Effect};
pub use fault::Fault;
pub(crate) use matcher::Candidate;
pub(crate) use registry::Faults;

/// Operation name of token requests.
pub(crate) const TOKEN_OPERATION: &str = "token";

/// Path of token requests.
pub(crate) const TOKEN_PATH: &str = "/oauth/token";

/// Operation name of requests that match no operation.
pub(crate) const UNKNOWN_OPERATION: &str = "unknown";

fn is_header(name: &str, value: &str) -> bool {
    use axum::http::{HeaderName, HeaderValue};
    HeaderName::from_bytes(name.as_bytes()).is_ok() && HeaderValue::from_str(value).is_ok()
}
