//! Token endpoint: client authentication, rate limit, token validation.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasher;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use crate::body::is_media_type;
use crate::encoding::{base64_decode, base64_url, form_decode, form_pairs};
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

/// Issued token.
#[derive(Clone)]
pub(crate) struct Token {
    is_for_api: bool,
    client_id: Arc<str>,
    expires_at: Duration,
}

/// Issued tokens that are not expired.
///
/// Keyed by hash, because the texts of many tokens would need much memory.
#[derive(Clone, Default)]
pub(crate) struct Tokens {
    tokens: HashMap<u128, Token>,
    /// Hashes in the order of issue, with the expiry.
    issued: VecDeque<(Duration, u128)>,
    hashers: (RandomState, RandomState),
}

impl Tokens {
    fn hash(&self, token: &str) -> u128 {
        let (first, second) = &self.hashers;
        u128::from(first.hash_one(token)) << 64 | u128::from(second.hash_one(token))
    }

    /// Adds a token and removes the oldest ones that are expired.
    fn insert(&mut self, text: &str, token: Token, now: Duration) {
        while let Some((expires_at, hash)) = self.issued.front()
            && *expires_at <= now
        {
            self.tokens.remove(hash);
            self.issued.pop_front();
        }
        let hash = self.hash(text);
        self.issued.push_back((token.expires_at, hash));
        self.tokens.insert(hash, token);
    }

    fn get(&self, text: &str, now: Duration) -> Option<&Token> {
        self.tokens
            .get(&self.hash(text))
            .filter(|token| now < token.expires_at)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.tokens.len()
    }
}

/// Key that signs access tokens with ES256.
pub(crate) struct SigningKey {
    key: EcdsaKeyPair,
    random: SystemRandom,
    id: String,
}

impl SigningKey {
    pub(crate) fn generate() -> io::Result<Self> {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let failed = |_| io::Error::other("generate signing key: failed");
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random)
            .map_err(|_| io::Error::other("generate signing key: invalid key"))?;
        let id = base64_url(&key.public_key().as_ref()[1..13]);
        Ok(Self { key, random, id })
    }

    /// Returns the signature of a token as base64url.
    fn sign(&self, message: &str) -> Option<String> {
        let signature = self.key.sign(&self.random, message.as_bytes()).ok()?;
        Some(base64_url(signature.as_ref()))
    }

    /// Returns the JSON Web Key Set (RFC 7517) with the public key.
    pub(crate) fn key_set(&self) -> Value {
        // An uncompressed point: 0x04, then both coordinates of 32 bytes.
        let point = &self.key.public_key().as_ref()[1..];
        json!({ "keys": [{
            "kty": "EC",
            "use": "sig",
            "alg": "ES256",
            "kid": self.id,
            "crv": "P-256",
            "x": base64_url(&point[..32]),
            "y": base64_url(&point[32..]),
        }] })
    }
}

/// Handles `GET /.well-known/jwks.json`.
pub(crate) fn key_set(state: &State) -> Response {
    match &state.setup.signing_key {
        Some(key) => Response::ok(&key.key_set()),
        None => Response::message(
            404,
            "tokens are not signed; start the sandbox with --signed-tokens",
        ),
    }
}

/// Handles `GET /.well-known/openid-configuration`.
pub(crate) fn metadata(state: &State) -> Response {
    let base_url = &state.setup.base_url;
    Response::ok(&json!({
        "issuer": format!("{base_url}/"),
        "token_endpoint": state.setup.oauth_url(),
        "jwks_uri": format!("{base_url}/.well-known/jwks.json"),
        "grant_types_supported": ["client_credentials"],
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    }))
}

/// Rate limiter: one token request per second per source IP address.
///
/// All clients of a sandbox share one limiter.
#[derive(Clone, Default)]
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
    /// Whether the client authenticated with the `Authorization` header.
    is_basic: bool,
    grant_type: Option<String>,
    audience: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    scope: Option<String>,
}

/// Parameters of a token request.
const PARAMETERS: [&str; 5] = [
    "grant_type",
    "audience",
    "client_id",
    "client_secret",
    "scope",
];

impl TokenRequest {
    /// Parses a JSON object or a form. Unknown parameters are ignored (RFC 6749, section 3.2).
    ///
    /// The credentials may also come as HTTP Basic authentication (RFC 6749, section 2.3.1).
    pub(crate) fn read(
        content_type: Option<&str>,
        authorization: Option<&str>,
        body: &[u8],
    ) -> Result<Self, Response> {
        let fields: Vec<(String, String)> = if is_media_type(content_type, "application/json") {
            let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
                return Err(invalid("the request body must be a JSON object"));
            };
            let mut fields = Vec::with_capacity(object.len());
            for (name, value) in object {
                match value {
                    Value::String(text) => fields.push((name, text)),
                    _ if !PARAMETERS.contains(&name.as_str()) => {}
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
        let mut request = Self {
            is_basic: false,
            grant_type: once("grant_type")?,
            audience: once("audience")?,
            client_id: once("client_id")?,
            client_secret: once("client_secret")?,
            scope: once("scope")?,
        };
        if let Some(authorization) = authorization
            && let Some((client_id, client_secret)) = basic_credentials(authorization)?
        {
            if request.client_secret.is_some()
                || request
                    .client_id
                    .as_ref()
                    .is_some_and(|id| *id != client_id)
            {
                return Err(invalid(
                    "the client must authenticate with either the Authorization header or the body",
                ));
            }
            request.is_basic = true;
            request.client_id = Some(client_id);
            request.client_secret = Some(client_secret);
        }
        Ok(request)
    }

    pub(crate) fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    pub(crate) fn audience(&self) -> Option<String> {
        self.audience.clone()
    }
}

/// Decodes the credentials of an `Authorization` header with the Basic scheme, which are
/// form-encoded before they are base64-encoded. Other schemes are ignored.
fn basic_credentials(authorization: &str) -> Result<Option<(String, String)>, Response> {
    let wrong = || invalid("the Authorization header must have valid Basic credentials");
    let (scheme, encoded) = authorization.split_once(' ').unwrap_or((authorization, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let decoded = base64_decode(encoded.trim()).ok_or_else(wrong)?;
    let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
    let (client_id, client_secret) = decoded.split_once(':').ok_or_else(wrong)?;
    form_decode(client_id)
        .zip(form_decode(client_secret))
        .ok_or_else(wrong)
        .map(Some)
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
    let organization: Option<Arc<str>> = match component {
        _ if audience == API_AUDIENCE => state
            .credentials
            .get(&client_id)
            .filter(|credentials| credentials.client_secret == client_secret)
            .map(|credentials| Arc::clone(&credentials.organization)),
        Some((_, permission)) => {
            let cluster = state.client_clusters.get(&client_id).cloned();
            cluster
                .and_then(|uuid| state.cluster(&uuid))
                .filter(|cluster| {
                    cluster.clients.iter().any(|client| {
                        client.client_id == client_id
                            && client.client_secret == client_secret
                            && client
                                .permissions
                                .iter()
                                .any(|granted| granted == permission)
                    })
                })
                .map(|cluster| cluster.organization.as_str().into())
        }
        None => {
            let description = format!("Service not found: {audience}");
            return Err(error_response(403, "access_denied", &description));
        }
    };
    let Some(organization) = organization else {
        let mut rejection = error_response(401, "access_denied", "Unauthorized");
        if request.is_basic {
            rejection.set_header("www-authenticate", "Basic realm=\"sandbox\"");
        }
        let again = !state.rejected.insert((client_id, client_secret));
        let rejection_delay = if again {
            state.settings.rejection_delay
        } else {
            Duration::ZERO
        };
        return Err(rejection.delayed(rejection_delay));
    };

    let lifetime = state.settings.token_lifetime;
    let access_token = access_token(state, &client_id, &audience, &organization, now, lifetime);
    let token = Token {
        is_for_api: audience == API_AUDIENCE,
        client_id: client_id.into(),
        expires_at: now + lifetime,
    };
    state.tokens.insert(&access_token, token, now);
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
pub(crate) fn caller(state: &State, authorization: Option<&str>) -> Option<Arc<str>> {
    let (scheme, token) = authorization?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let token = state.tokens.get(token, state.now())?;
    token.is_for_api.then(|| Arc::clone(&token.client_id))
}

/// Returns a token in JWT format, signed if the sandbox has a key, else with a random signature.
fn access_token(
    state: &mut State,
    client_id: &str,
    audience: &str,
    organization: &str,
    now: Duration,
    lifetime: Duration,
) -> String {
    let setup = Arc::clone(&state.setup);
    let header = match &setup.signing_key {
        Some(key) => json!({ "alg": "ES256", "typ": "JWT", "kid": key.id }),
        None => json!({ "alg": "HS256", "typ": "JWT" }),
    };
    let claims = json!({
        "iss": format!("{}/", setup.base_url),
        "sub": client_id,
        "aud": audience,
        "iat": now.as_secs(),
        "exp": (now + lifetime).as_secs(),
        "jti": state.token_random.uuid(),
        "https://camunda.com/orgId": organization,
    });
    let mut token = base64_url(header.to_string().as_bytes());
    token.push('.');
    token.push_str(&base64_url(claims.to_string().as_bytes()));
    let signature = setup
        .signing_key
        .as_ref()
        .and_then(|key| key.sign(&token))
        .unwrap_or_else(|| state.token_random.characters(43));
    token.push('.');
    token.push_str(&signature);
    token
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
    fn tokens_are_removed_after_expiry() {
        let mut tokens = Tokens::default();
        let token = |second| Token {
            is_for_api: true,
            client_id: "c".into(),
            expires_at: Duration::from_secs(second + 10),
        };
        for second in 0..1_000 {
            let now = Duration::from_secs(second);
            tokens.insert(&format!("token {second}"), token(second), now);
            assert!(tokens.get(&format!("token {second}"), now).is_some());
        }
        assert_eq!(tokens.len(), 10);
        let now = Duration::from_secs(999);
        assert!(tokens.get("token 990", now).is_some());
        assert!(tokens.get("token 989", now).is_none());
        tokens.clear();
        assert_eq!(tokens.len(), 0);
    }

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
