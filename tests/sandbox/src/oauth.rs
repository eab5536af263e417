//! Token endpoint: client authentication, rate limit, token validation.

use std::time::Duration;

use serde_json::{Value, json};

use crate::body::is_media_type;
use crate::encoding::{base64_url, form_pairs};
use crate::response::Response;
use crate::state::State;

/// The audience of the Administration API.
pub(crate) const API_AUDIENCE: &str = "api.cloud.camunda.io";

/// Audiences of cluster components, with the client permission that each requires.
const COMPONENT_AUDIENCES: [(&str, &str); 4] = [
    ("zeebe.camunda.io", "Zeebe"),
    ("operate.camunda.io", "Operate"),
    ("tasklist.camunda.io", "Tasklist"),
    ("optimize.camunda.io", "Optimize"),
];

/// Minimum time between two token requests.
const TOKEN_REQUEST_INTERVAL: Duration = Duration::from_secs(1);

/// Expired tokens are kept so long as there are fewer tokens than this in all.
const TOKENS_BEFORE_PRUNING: usize = 10_000;

/// Issued token.
pub(crate) struct Token {
    pub(crate) audience: String,
    pub(crate) client_id: String,
    pub(crate) expires_at: Duration,
}

/// Rate limiter: one token request per second per source IP address.
///
/// All clients of a sandbox share one limiter.
#[derive(Default)]
pub(crate) struct TokenRateLimiter {
    last_arrival: Option<Duration>,
    banned_until: Duration,
}

impl TokenRateLimiter {
    /// Records a token request and returns whether it is admitted.
    ///
    /// A request within the interval starts a ban. Rejected requests count too, but requests
    /// during a ban do not extend it.
    fn admit(&mut self, now: Duration, ban: Duration) -> bool {
        let early = self
            .last_arrival
            .replace(now)
            .is_some_and(|last| now.saturating_sub(last) < TOKEN_REQUEST_INTERVAL);
        if now < self.banned_until {
            return false;
        }
        if early {
            self.banned_until = now + ban;
        }
        !early
    }
}

/// Counts a token request and applies the rate limit. Returns the 429 response as the error.
pub(crate) fn admit(state: &mut State, audience: Option<String>) -> Result<(), Response> {
    let now = state.now();
    let since_start = state.clock.since_start().as_millis();
    state.stats.token_requests += 1;
    state.stats.token_request_times_ms.push(since_start as u64);
    if let Some(audience) = audience {
        *state
            .stats
            .token_requests_by_audience
            .entry(audience)
            .or_default() += 1;
    }
    if state.settings.token_rate_limit && !state.token_rate_limiter.admit(now, state.settings.ban) {
        state.stats.rate_limited_token_requests += 1;
        return Err(error_response(
            429,
            "too_many_requests",
            "Global limit has been reached",
        ));
    }
    Ok(())
}

/// Parsed token request.
pub(crate) struct TokenRequest {
    grant_type: Option<String>,
    audience: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
}

impl TokenRequest {
    /// Parses a JSON object or a form. Unknown parameters are ignored (RFC 6749, section 3.2).
    pub(crate) fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, Response> {
        let fields: Vec<(String, String)> = if is_media_type(content_type, "application/json") {
            let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
                return Err(invalid("the request body must be a JSON object"));
            };
            let mut fields = Vec::with_capacity(object.len());
            for (name, value) in object {
                match value {
                    Value::String(text) => fields.push((name, text)),
                    _ => return Err(invalid(&format!("{name} must be a string"))),
                }
            }
            fields
        } else if is_media_type(content_type, "application/x-www-form-urlencoded") {
            form_pairs(body).ok_or_else(|| invalid("the request body is not a valid form"))?
        } else {
            return Err(error_response(
                415,
                "invalid_request",
                "the request body must be application/json or application/x-www-form-urlencoded",
            ));
        };
        let once = |wanted: &str| {
            let mut values = fields.iter().filter(|(name, _)| name == wanted);
            let value = values.next().map(|(_, value)| value.clone());
            match values.next() {
                Some(_) => Err(invalid(&format!("{wanted} must not be repeated"))),
                None => Ok(value),
            }
        };
        Ok(Self {
            grant_type: once("grant_type")?,
            audience: once("audience")?,
            client_id: once("client_id")?,
            client_secret: once("client_secret")?,
            scope: once("scope")?,
        })
    }

    pub(crate) fn audience(&self) -> Option<String> {
        self.audience.clone()
    }
}

/// Handles a token request that the rate limiter has admitted.
pub(crate) fn respond(state: &mut State, request: Result<TokenRequest, Response>) -> Response {
    request
        .and_then(|request| issue(state, request))
        .unwrap_or_else(|rejection| rejection)
}

fn issue(state: &mut State, request: TokenRequest) -> Result<Response, Response> {
    let required = |value: Option<String>, name: &str| {
        value
            .filter(|value| !value.is_empty())
            .ok_or_else(|| invalid(&format!("{name} is missing")))
    };
    if required(request.grant_type, "grant_type")? != "client_credentials" {
        let description = "grant_type must be client_credentials";
        return Err(error_response(400, "unsupported_grant_type", description));
    }
    let audience = required(request.audience, "audience")?;
    let client_id = required(request.client_id, "client_id")?;
    let client_secret = required(request.client_secret, "client_secret")?;

    let now = state.now();
    let component = COMPONENT_AUDIENCES
        .iter()
        .find(|(known, _)| *known == audience);
    let accepted = match component {
        _ if audience == API_AUDIENCE => state.credentials.iter().any(|credentials| {
            credentials.client_id == client_id && credentials.client_secret == client_secret
        }),
        Some((_, permission)) => state
            .clusters
            .iter()
            .filter(|cluster| !cluster.is_deleted(now))
            .flat_map(|cluster| &cluster.clients)
            .any(|client| {
                client.client_id == client_id
                    && client.client_secret == client_secret
                    && client
                        .permissions
                        .iter()
                        .any(|granted| granted == permission)
            }),
        None => {
            let description = format!("Service not found: {audience}");
            return Err(error_response(403, "access_denied", &description));
        }
    };
    if !accepted {
        let rejection = error_response(401, "access_denied", "Unauthorized");
        let again = !state.rejected.insert((client_id, client_secret));
        let rejection_delay = if again {
            state.settings.rejection_delay
        } else {
            Duration::ZERO
        };
        return Err(rejection.delayed(rejection_delay));
    }

    let lifetime = state.settings.token_lifetime;
    let access_token = access_token(state, &client_id, &audience, now, lifetime);
    if state.tokens.len() >= TOKENS_BEFORE_PRUNING {
        state.tokens.retain(|_, token| now < token.expires_at);
    }
    let token = Token {
        audience,
        client_id,
        expires_at: now + lifetime,
    };
    state.tokens.insert(access_token.clone(), token);
    let mut response = json!({
        "access_token": access_token,
        "expires_in": lifetime.as_secs(),
        "token_type": "Bearer",
    });
    if let Some(scope) = request.scope {
        response["scope"] = scope.into();
    }
    let mut response = Response::ok(&response);
    response.set_header("cache-control", "no-store");
    Ok(response)
}

/// Returns the client id of a bearer token, if the token is valid for this API.
pub(crate) fn caller(state: &State, authorization: Option<&str>) -> Option<String> {
    let (scheme, token) = authorization?.split_once(' ')?;
    let token = state
        .tokens
        .get(token)
        .filter(|_| scheme.eq_ignore_ascii_case("bearer"))?;
    (token.audience == API_AUDIENCE && state.now() < token.expires_at)
        .then(|| token.client_id.clone())
}

/// Returns a token in JWT format with a random signature.
fn access_token(
    state: &mut State,
    client_id: &str,
    audience: &str,
    now: Duration,
    lifetime: Duration,
) -> String {
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let claims = json!({
        "iss": format!("{}/", state.settings.base_url),
        "sub": client_id,
        "aud": audience,
        "iat": now.as_secs(),
        "exp": (now + lifetime).as_secs(),
        "jti": state.random.uuid(),
        "https://camunda.com/orgId": state.organisation,
    });
    format!(
        "{}.{}.{}",
        base64_url(header.to_string().as_bytes()),
        base64_url(claims.to_string().as_bytes()),
        state.random.characters(43),
    )
}

fn invalid(description: &str) -> Response {
    error_response(400, "invalid_request", description)
}

fn error_response(status: u16, error: &str, description: &str) -> Response {
    Response::json(
        status,
        &json!({ "error": error, "error_description": description }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limiter_bans_after_early_request_and_admits_after_interval() {
        let ban = Duration::from_secs(5);
        let mut limiter = TokenRateLimiter::default();
        let mut admit = |ms| limiter.admit(Duration::from_millis(ms), ban);
        assert!(admit(100_000));
        assert!(admit(101_000));
        assert!(!admit(101_999), "too early");
        assert!(!admit(104_000), "banned");
        assert!(!admit(106_998), "still banned");
        assert!(
            !admit(107_000),
            "the ban is over, but the previous request is too recent"
        );
        assert!(admit(112_001));
    }
}
