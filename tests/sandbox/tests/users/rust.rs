//! A Rust program and its test, which the documentation has as an example.

use camunda_admin_sandbox::{Fault, Sandbox};
use serde_json::json;

/// Program under test: renames the first cluster, and retries after 503.
mod app {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use serde_json::{Value, json};

    fn send(url: &str, method: &str, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).unwrap();
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let authorization = match token {
            "" => String::new(),
            token => format!("authorization: Bearer {token}\r\n"),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: app\r\nconnection: close\r\n\
             {authorization}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        let status = head[9..12].parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or_default())
    }

    pub(super) fn rename(environment: &[(String, String)], name: &str) {
        let variable = |wanted: &str| {
            let mut variables = environment.iter();
            variables
                .find(|(name, _)| name == wanted)
                .unwrap()
                .1
                .clone()
        };
        let url = variable("CAMUNDA_CONSOLE_BASE_URL");
        let grant = json!({
            "grant_type": "client_credentials",
            "audience": variable("CAMUNDA_CONSOLE_OAUTH_AUDIENCE"),
            "client_id": variable("CAMUNDA_CONSOLE_CLIENT_ID"),
            "client_secret": variable("CAMUNDA_CONSOLE_CLIENT_SECRET"),
        });
        let (status, token) = send(&url, "POST", "/oauth/token", "", &grant);
        assert_eq!(status, 200, "{token}");
        let token = token["access_token"].as_str().unwrap();
        let list = || send(&url, "GET", "/clusters", token, &Value::Null);
        let (mut status, mut clusters) = list();
        if status == 503 {
            (status, clusters) = list();
        }
        assert_eq!(status, 200);
        let path = format!("/clusters/{}", clusters[0]["uuid"].as_str().unwrap());
        let (status, _) = send(&url, "PATCH", &path, token, &json!({ "name": name }));
        assert_eq!(status, 204);
    }
}

#[test]
fn rust_test_observes_requests_and_faults() {
    let sandbox = Sandbox::builder().seed(1).start();
    sandbox.create_cluster(json!({ "name": "old" }));
    let fault = sandbox.add_fault(Fault::on("GET /clusters").status(503));
    app::rename(&sandbox.environment(), "new");
    let patches = sandbox.requests_to("PATCH /clusters/{clusterUuid}");
    assert_eq!(patches[0].json()["name"], "new");
    assert_eq!(fault.fired(), 1);
    assert_eq!(sandbox.requests_to("GET /clusters").len(), 2);
}

#[test]
fn documentation_has_tested_example() {
    let tested = include_str!("rust.rs");
    let page = crate::tools::repository().join("docs/sandbox.md");
    let page = std::fs::read_to_string(page).unwrap();
    let example = page.split("```rust\n").nth(1).unwrap();
    for line in example.split("```").next().unwrap().lines() {
        assert!(tested.contains(line), "{line}");
    }
}
