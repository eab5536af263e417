//! The token endpoint: formats, errors, rate limit and signed tokens.

use std::time::{Duration, Instant};

use camunda_admin_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::api::{Api, Reply, request_token, send};

const API: &str = "api.cloud.camunda.io";

fn request(sandbox: &Sandbox, content_type: &str, body: &str) -> Reply {
    send(
        sandbox,
        "POST",
        "/oauth/token",
        &[("content-type", content_type)],
        body.as_bytes(),
    )
}

fn unlimited() -> Sandbox {
    Sandbox::builder().token_rate_limit(false).start()
}

fn good(sandbox: &Sandbox) -> Reply {
    request_token(sandbox, API, &sandbox.client_id(), &sandbox.client_secret())
}

#[test]
fn token_is_issued_for_json_and_form() {
    let sandbox = Sandbox::builder()
        .token_rate_limit(false)
        .token_lifetime(Duration::from_secs(300))
        .start();
    let (id, secret) = (sandbox.client_id(), sandbox.client_secret());
    let json = json!({
        "grant_type": "client_credentials", "audience": API, "client_id": id,
        "client_secret": secret, "scope": "a b", "something": "else",
    });
    let form = format!(
        "grant_type=client_credentials&audience=api.cloud.camunda.io&client_id={id}\
         &client_secret={secret}&scope=a+b"
    );
    let mut tokens = Vec::new();
    for (content_type, body) in [
        ("application/json", json.to_string()),
        ("application/json; charset=utf-8", json.to_string()),
        ("application/x-www-form-urlencoded", form),
    ] {
        let reply = request(&sandbox, content_type, &body).expect(200);
        assert!(reply.header("date").is_some());
        let response = reply.json();
        assert_eq!(response["expires_in"], 300);
        assert_eq!(response["token_type"], "Bearer");
        assert_eq!(response["scope"], "a b");
        let token = response["access_token"].as_str().unwrap().to_owned();
        assert_eq!(token.split('.').count(), 3, "it looks like a JWT");
        assert!(!tokens.contains(&token), "no two are the same");
        tokens.push(token);
    }
    assert!(good(&sandbox).expect(200).json().get("scope").is_none());
}

#[test]
fn unknown_token_parameters_are_ignored_whatever_their_type() {
    let sandbox = unlimited();
    let body = json!({
        "grant_type": "client_credentials", "audience": API,
        "client_id": sandbox.client_id(), "client_secret": sandbox.client_secret(),
        "organization": 7, "resource": ["a"],
    });
    request(&sandbox, "application/json", &body.to_string()).expect(200);
}

#[test]
fn invalid_token_requests_are_rejected() {
    let sandbox = unlimited();
    let complete = json!({
        "grant_type": "client_credentials", "audience": API,
        "client_id": sandbox.client_id(), "client_secret": sandbox.client_secret(),
    });
    let rejected = |change: &dyn Fn(&mut Value), status: u16, message: &str| {
        let mut body = complete.clone();
        change(&mut body);
        request(&sandbox, "application/json", &body.to_string()).rejected(status, message);
    };
    for field in ["grant_type", "audience", "client_id", "client_secret"] {
        rejected(
            &|body| drop(body.as_object_mut().unwrap().remove(field)),
            400,
            field,
        );
        rejected(&|body| body[field] = json!(""), 400, field);
        rejected(&|body| body[field] = json!(7), 400, field);
    }
    rejected(
        &|body| body["grant_type"] = json!("password"),
        400,
        "unsupported_grant_type",
    );
    rejected(
        &|body| body["audience"] = json!("example.com"),
        403,
        "Service not found",
    );
    rejected(&|body| *body = json!([]), 400, "must be a JSON object");
    request(&sandbox, "text/plain", &complete.to_string()).rejected(415, "invalid_request");
    let form = "application/x-www-form-urlencoded";
    request(&sandbox, form, "grant_type=%zz").rejected(400, "not a valid form");
    request(&sandbox, form, "audience=a&audience=b").rejected(400, "repeated");
    request(&sandbox, form, "").rejected(400, "grant_type");
    assert_eq!(
        sandbox.stats().rejected_token_requests,
        sandbox.stats().token_requests
    );
}

#[test]
fn wrong_credentials_are_rejected_with_delay_when_repeated() {
    let start_sandbox = |rejection_delay| {
        Sandbox::builder()
            .token_rate_limit(false)
            .rejection_delay(rejection_delay)
            .start()
    };
    let wrong = |sandbox: &Sandbox, secret: &str| {
        let start = Instant::now();
        let reply = request_token(sandbox, API, &sandbox.client_id(), secret).expect(401);
        let rejection = json!({ "error": "access_denied", "error_description": "Unauthorized" });
        assert_eq!(reply.json(), rejection);
        start.elapsed()
    };
    // Longer than the client waits for a response.
    let sandbox = start_sandbox(Duration::from_secs(3600));
    wrong(&sandbox, "stale");
    wrong(&sandbox, "other");

    let rejection_delay = Duration::from_millis(300);
    let sandbox = start_sandbox(rejection_delay);
    wrong(&sandbox, "stale");
    wrong(&sandbox, "other");
    assert!(wrong(&sandbox, "stale") >= rejection_delay);
    assert!(wrong(&sandbox, "stale") >= rejection_delay);
    good(&sandbox).expect(200);
}

#[test]
fn credentials_are_valid_for_own_audience_only() {
    let api = Api::with(Sandbox::builder().rejection_delay(Duration::ZERO));
    let clients = format!("/clusters/{}/clients", api.cluster());
    let client = api
        .post(&clients, json!({ "clientName": "a" }))
        .expect(200)
        .json();
    let (id, secret) = (
        client["clientId"].as_str().unwrap(),
        client["clientSecret"].as_str().unwrap(),
    );
    request_token(&api.sandbox, API, id, secret).expect(401);
    for component in ["zeebe", "operate", "tasklist", "optimize"] {
        let audience = format!("{component}.camunda.io");
        let token = request_token(&api.sandbox, &audience, id, secret)
            .expect(200)
            .json();
        let token = token["access_token"].as_str().unwrap();
        api.call_with(token, "GET", "/clusters", None).expect(401);
        let (id, secret) = (api.sandbox.client_id(), api.sandbox.client_secret());
        request_token(&api.sandbox, &audience, &id, &secret).expect(401);
    }
    let stats = api.sandbox.stats();
    assert_eq!(stats.token_requests_by_audience["zeebe.camunda.io"], 2);
    assert_eq!(stats.token_requests_by_audience[API], 2);
}

#[test]
fn token_is_valid_until_expiry_or_revocation() {
    let mut api = Api::with(Sandbox::builder().token_lifetime(Duration::from_secs(300)));
    api.get("/clusters").expect(200);
    api.sandbox.advance(Duration::from_secs(200));
    api.get("/clusters").expect(200);
    api.sandbox.advance(Duration::from_secs(100));
    api.get("/clusters").expect(401);
    api.renew_token();
    api.get("/clusters").expect(200);
    api.sandbox.revoke_tokens();
    api.get("/clusters").expect(401);
}

#[test]
fn rotated_secret_replaces_old_secret() {
    let sandbox = unlimited();
    let rotated = sandbox.rotate_secret();
    good(&sandbox).expect(401);
    request_token(&sandbox, API, &sandbox.client_id(), &rotated).expect(200);
    sandbox.reset();
    good(&sandbox).expect(200);
}

#[test]
fn rate_limit_rejects_and_bans() {
    let sandbox = Sandbox::builder().ban(Duration::from_secs(60)).start();
    good(&sandbox).expect(200);
    good(&sandbox).expect(429);
    // The ban applies to all requests.
    request_token(&sandbox, API, "other", "else").expect(429);
    sandbox.advance(Duration::from_secs(59));
    good(&sandbox).expect(429);
    sandbox.advance(Duration::from_secs(2));
    good(&sandbox).expect(200);
    sandbox.advance(Duration::from_millis(1000));
    good(&sandbox).expect(200);

    let stats = sandbox.stats();
    assert_eq!(stats.token_requests, 6);
    assert_eq!(stats.rejected_token_requests, 3);
    assert_eq!(stats.rate_limited_token_requests, 3);
    assert_eq!(stats.token_request_times_ms.len(), 6);
    assert!(stats.token_request_times_ms.is_sorted());
}

#[test]
fn rejected_requests_count_against_limit() {
    let sandbox = Sandbox::start();
    request_token(&sandbox, API, "unknown", "wrong").expect(401);
    good(&sandbox).expect(429);
}

/// Base64 of ASCII text, with padding.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for digit in 0..4 {
            let is_padding = digit > chunk.len();
            let value = DIGITS[(bits >> (18 - 6 * digit) & 63) as usize];
            encoded.push(if is_padding { '=' } else { char::from(value) });
        }
    }
    encoded
}

#[test]
fn basic_authentication_is_accepted() {
    let sandbox = Sandbox::builder()
        .token_rate_limit(false)
        .rejection_delay(Duration::ZERO)
        .client_id("id with: and %")
        .client_secret("secret+&")
        .start();
    let form = "application/x-www-form-urlencoded";
    let grant = "grant_type=client_credentials&audience=api.cloud.camunda.io";
    let with = |authorization: &str, body: &str| {
        let headers = [("content-type", form), ("authorization", authorization)];
        send(&sandbox, "POST", "/oauth/token", &headers, body.as_bytes())
    };
    let valid = format!("Basic {}", base64("id+with%3A+and+%25:secret%2B%26"));
    with(&valid, grant).expect(200);
    with(&valid.replace("Basic", "basic"), grant).expect(200);
    with(&valid, &format!("{grant}&client_id=id+with%3A+and+%25")).expect(200);
    let wrong = with(&format!("Basic {}", base64("id:wrong")), grant).expect(401);
    assert!(
        wrong
            .header("www-authenticate")
            .unwrap()
            .starts_with("Basic")
    );
    with(&valid, &format!("{grant}&client_secret=secret")).rejected(400, "either");
    with(&valid, &format!("{grant}&client_id=other")).rejected(400, "either");
    let complete = format!("{grant}&client_id=id+with%3A+and+%25&client_secret=secret%2B%26");
    for other in ["Bearer", "Bearer a"] {
        with(other, &complete).expect(200);
    }
    for invalid in ["Basic", "Basic !", &format!("Basic {}", base64("no-colon"))] {
        with(invalid, grant).rejected(400, "valid Basic credentials");
    }
    assert_eq!(
        sandbox.requests()[0].client_id.as_deref(),
        Some("id with: and %")
    );
}

/// Decodes unpadded base64url.
fn base64_url_decode(text: &str) -> Vec<u8> {
    let mut bits = 0_u32;
    let mut count = 0;
    let mut decoded = Vec::new();
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => panic!("not base64url: {text}"),
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count) as u8);
        }
    }
    decoded
}

#[test]
fn signed_tokens_verify_with_published_key() {
    let sandbox = Sandbox::builder().signed_tokens(true).start();
    let document = |path: &str| send(&sandbox, "GET", path, &[], b"").expect(200).json();
    let metadata = document("/.well-known/openid-configuration");
    assert_eq!(metadata["token_endpoint"], sandbox.oauth_url());
    assert_eq!(
        metadata["jwks_uri"],
        format!("{}/.well-known/jwks.json", sandbox.base_url())
    );
    let key = document("/.well-known/jwks.json")["keys"][0].clone();
    assert_eq!((&key["kty"], &key["crv"]), (&json!("EC"), &json!("P-256")));

    let token = good(&sandbox).expect(200).json();
    let token = token["access_token"].as_str().unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let header: Value = serde_json::from_slice(&base64_url_decode(header)).unwrap();
    assert_eq!(
        (&header["alg"], &header["kid"]),
        (&json!("ES256"), &key["kid"])
    );
    let claims: Value = serde_json::from_slice(&base64_url_decode(claims)).unwrap();
    assert_eq!(claims["aud"], API);
    assert_eq!(claims["iss"], metadata["issuer"]);
    let mut point = vec![4];
    point.extend(base64_url_decode(key["x"].as_str().unwrap()));
    point.extend(base64_url_decode(key["y"].as_str().unwrap()));
    let algorithm = &ring::signature::ECDSA_P256_SHA256_FIXED;
    ring::signature::UnparsedPublicKey::new(algorithm, point)
        .verify(message.as_bytes(), &base64_url_decode(signature))
        .unwrap();

    let unsigned = unlimited();
    send(&unsigned, "GET", "/.well-known/jwks.json", &[], b"").rejected(404, "--signed-tokens");
}
