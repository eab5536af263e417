//! The server itself: address, start page, OpenAPI description, and unusual HTTP requests.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use camunda_admin_sandbox::Sandbox;
use serde_json::{Value, json};

use crate::api::{Api, TIMEOUT, send};

fn port(sandbox: &Sandbox) -> u16 {
    let base_url = sandbox.base_url();
    base_url.rsplit_once(':').unwrap().1.parse().unwrap()
}

#[test]
fn try_start_returns_error_when_port_in_use() {
    let sandbox = Sandbox::start();
    let port = port(&sandbox);
    let check = || {
        let error = Sandbox::builder().port(port).try_start().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
        let message = error.to_string();
        assert!(
            message.contains(&format!("listen on 127.0.0.1:{port}: ")),
            "{message}"
        );
    };
    check();
    // Dropping a runtime inside of another one panics.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async { check() });
    runtime.block_on(async { drop(Sandbox::start()) });
}

#[test]
fn public_url_replaces_address_in_environment_and_links() {
    let api = Api::with(Sandbox::builder());
    assert_eq!(
        api.sandbox.base_url(),
        format!("http://127.0.0.1:{}", port(&api.sandbox))
    );
    let sandbox = Sandbox::builder()
        .host("0.0.0.0".parse().unwrap())
        .public_url("http://sandbox.example:8080/")
        .start();
    assert_eq!(sandbox.base_url(), "http://sandbox.example:8080");
    assert_eq!(
        sandbox.oauth_url(),
        "http://sandbox.example:8080/oauth/token"
    );
    let variables: BTreeMap<_, _> = sandbox.environment().into_iter().collect();
    let local = &variables["CAMUNDA_ADMIN_SANDBOX_URL"];
    assert!(local.starts_with("http://127.0.0.1:"), "{local}");
    let sandbox = Sandbox::builder().host("0.0.0.0".parse().unwrap()).start();
    assert!(sandbox.base_url().starts_with("http://127.0.0.1:"));
    send(&sandbox, "GET", "/_sandbox/health", &[], b"").expect(200);
}

#[test]
fn health_reports_version() {
    let sandbox = Sandbox::start();
    let health = send(&sandbox, "GET", "/_sandbox/health", &[], b"").expect(200);
    let expected = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
    assert_eq!(health.json(), expected);
}

#[test]
fn control_rejects_pages_of_other_origins() {
    let api = Api::new();
    let change = |origin: &str| {
        let headers = [("origin", origin)];
        send(&api.sandbox, "POST", "/_sandbox/control", &headers, b"{}").status
    };
    assert_eq!(change("http://sandbox"), 200);
    assert_eq!(change("https://example.com"), 403);
    assert_eq!(change("null"), 403);
}

#[test]
fn unknown_control_paths_name_the_known_ones() {
    let api = Api::new();
    send(&api.sandbox, "GET", "/_sandbox/request", &[], b"").rejected(404, "/_sandbox/requests");
    send(&api.sandbox, "GET", "/_sandbox/", &[], b"").rejected(404, "/_sandbox/requests");
    send(&api.sandbox, "PATCH", "/_sandbox/state", &[], b"").rejected(405, "GET, HEAD, PUT");
    send(&api.sandbox, "GET", "/_sandbox/stats?a=1", &[], b"").rejected(400, "\\\"a\\\"");
}

/// `wget --spider` and health checks of load balancers send HEAD.
#[test]
fn control_answers_head_as_get() {
    let api = Api::new();
    let get = send(&api.sandbox, "GET", "/_sandbox/health", &[], b"").expect(200);
    let address = api.sandbox.base_url();
    let head = |path: &str| {
        let mut stream = TcpStream::connect(address.split_once("//").unwrap().1).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let request = format!("HEAD {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        response
    };
    let response = head("/_sandbox/health");
    let length = format!("content-length: {}\r\n", get.text().len());
    assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
    assert!(response.contains(&length), "{response}");
    assert!(response.ends_with("\r\n\r\n"), "{response}");
    assert!(head("/_sandbox/control").starts_with("HTTP/1.1 405 "));
}

#[test]
fn invalid_chunk_is_400_and_long_body_is_413() {
    let api = Api::new();
    let exchange = |body: &[u8], headers: &str, path: &str| {
        let address = api
            .sandbox
            .base_url()
            .split_once("//")
            .unwrap()
            .1
            .to_owned();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\n{headers}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // The server may close the connection before it has read a long body.
        let _ = stream.write_all(body);
        let mut response = Vec::new();
        let _ = stream.take(12).read_to_end(&mut response);
        String::from_utf8(response).unwrap()
    };
    for path in ["/_sandbox/control", "/oauth/token", "/clusters"] {
        let chunked = "transfer-encoding: chunked";
        assert_eq!(exchange(b"zz\r\n", chunked, path), "HTTP/1.1 400");
        let length = "content-length: 4194305";
        // The state of many clusters is longer.
        let expected = match path {
            "/_sandbox/control" => "HTTP/1.1 400",
            _ => "HTTP/1.1 413",
        };
        assert_eq!(exchange(&vec![b' '; 4_194_305], length, path), expected);
    }
}

#[test]
fn page_is_served_unless_disabled() {
    let sandbox = Sandbox::start();
    let page = send(&sandbox, "GET", "/", &[], b"").expect(200);
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    assert!(page.header("content-security-policy").is_some());
    assert!(!page.text().contains("src=\"http"));
    let sandbox = Sandbox::builder().ui(false).start();
    send(&sandbox, "GET", "/", &[], b"").expect(404);
    assert_eq!(sandbox.stats().requests, 1);
}

#[test]
fn openapi_describes_all_operations() {
    let api = Api::new();
    let description = send(&api.sandbox, "GET", "/openapi.json", &[], b"")
        .expect(200)
        .json();
    assert_eq!(description["openapi"], "3.1.0");
    assert_eq!(description["servers"][0]["url"], api.sandbox.base_url());
    let paths = description["paths"].as_object().unwrap();
    let operations = |is_control: bool| {
        let paths = paths.iter();
        let paths = paths.filter(|(path, _)| path.starts_with("/_sandbox/") == is_control);
        let count = paths.map(|(_, methods)| methods.as_object().unwrap().len());
        count.sum::<usize>()
    };
    // Also the token endpoint and two documents below /.well-known/.
    let expected = camunda_admin_sandbox::operations().len() + 3;
    assert_eq!(operations(false), expected);
    assert_eq!(operations(true), 15);
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["operationId"].is_string(), "{method} {path}");
            assert!(!operation["responses"].as_object().unwrap().is_empty());
            let parameters = operation["parameters"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let in_path = parameters.iter().filter(|it| it["in"] == "path").count();
            assert_eq!(in_path, path.matches('{').count(), "{method} {path}");
            let is_deprecated = operation["deprecated"] == true;
            assert_eq!(
                is_deprecated,
                path.ends_with("/ipwhitelist"),
                "{method} {path}"
            );
        }
    }
    let create = &paths["/clusters"]["post"];
    let body = &create["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["$ref"], "#/components/schemas/CreateCluster");
    assert_eq!(
        description["components"]["schemas"]["CreateCluster"]["required"],
        json!([
            "name",
            "channelId",
            "generationId",
            "regionId",
            "planTypeId"
        ])
    );
    assert_eq!(
        create["responses"]["503"]["description"],
        "Service Unavailable"
    );
    assert_eq!(create["security"], json!([{ "token": [] }]));
    assert_eq!(paths["/meta/ip-ranges"]["get"]["security"], json!([]));
    let text = description.to_string();
    let references = text.matches("\"$ref\":\"#/components/").count();
    assert!(references > 0);
    let resolved = |value: &Value| {
        let pointer = value.as_str().unwrap().trim_start_matches('#');
        description.pointer(pointer).is_some()
    };
    fn each_reference(value: &Value, check: &impl Fn(&Value) -> bool) {
        match value {
            Value::Object(fields) => {
                if let Some(reference) = fields.get("$ref") {
                    assert!(check(reference), "{reference}");
                }
                fields
                    .values()
                    .for_each(|field| each_reference(field, check));
            }
            Value::Array(items) => items.iter().for_each(|item| each_reference(item, check)),
            _ => {}
        }
    }
    each_reference(&description, &resolved);
}

#[test]
fn openapi_describes_the_responses_that_the_server_sends() {
    let api = Api::new();
    let paths = send(&api.sandbox, "GET", "/openapi.json", &[], b"")
        .expect(200)
        .json()["paths"]
        .take();
    let authorization = format!("Bearer {}", api.token());
    let headers = [
        ("authorization", authorization.as_str()),
        ("content-type", "application/json"),
    ];
    let mut requests = vec![
        ("POST", "/clusters/{clusterUuid}/failover".to_owned(), "{}"),
        (
            "POST",
            "/_sandbox/faults".to_owned(),
            r#"{"operation":"token","status":503}"#,
        ),
        ("POST", "/_sandbox/faults".to_owned(), "{}"),
        ("DELETE", "/_sandbox/faults".to_owned(), ""),
        ("DELETE", "/_sandbox/requests".to_owned(), ""),
        ("GET", "/_sandbox/faults/{id}".to_owned(), ""),
        ("PUT", "/_sandbox/state".to_owned(), "{}"),
        (
            "POST",
            "/_sandbox/reset".to_owned(),
            r#"{"keep_credentials": true}"#,
        ),
        ("GET", "/.well-known/jwks.json".to_owned(), ""),
    ];
    // With the id of no cluster.
    for (path, methods) in paths.as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let has_body = operation.get("requestBody").is_some();
            if path.contains("{clusterUuid}") && !has_body {
                let method = method.to_uppercase();
                let method: &str = ["GET", "POST", "PUT", "DELETE"]
                    .into_iter()
                    .find(|known| *known == method)
                    .unwrap();
                requests.push((method, path.clone(), ""));
            }
        }
    }
    for (method, path, body) in requests {
        let response = send(
            &api.sandbox,
            method,
            &path.replace(['{', '}'], ""),
            &headers,
            body.as_bytes(),
        );
        let described = &paths[&path][method.to_lowercase()]["responses"];
        let described = &described[response.status.to_string()];
        assert!(
            described.is_object(),
            "{method} {path}: {}",
            response.status
        );
        let media_type = response
            .header("content-type")
            .map(|it| it.split(';').next().unwrap());
        let content = described.get("content");
        let is_described = match media_type {
            Some(media_type) => content.is_some_and(|it| it.get(media_type).is_some()),
            None => content.is_none(),
        };
        assert!(is_described, "{method} {path}: {media_type:?}");
    }
    for (path, status) in [("/_sandbox/clock", 400), ("/_sandbox/reset", 204)] {
        assert_eq!(
            paths[path]["post"]["requestBody"]["required"],
            status == 400
        );
        let _ = send(&api.sandbox, "POST", path, &[], b"").expect(status);
    }
}

#[test]
fn openapi_describes_that_unknown_and_empty_fields_are_rejected() {
    let api = Api::new();
    let description = send(&api.sandbox, "GET", "/openapi.json", &[], b"")
        .expect(200)
        .json();
    let schemas = &description["components"]["schemas"];
    assert_eq!(schemas["CreateSecret"]["additionalProperties"], false);
    assert!(schemas["Cluster"].get("additionalProperties").is_none());
    assert_eq!(
        schemas["CreateCluster"]["properties"]["name"]["minLength"],
        1
    );
    let after = &description["paths"]["/_sandbox/requests"]["get"]["parameters"];
    let after = after
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["name"] == "after");
    assert_eq!(after.unwrap()["schema"]["type"], "integer");
}

#[test]
fn last_of_many_clusters_is_found_as_fast_as_the_first() {
    let api = Api::new();
    let uuids = api.sandbox.create_clusters(10_001);
    let mut connection = crate::api::Connection::open(&api.sandbox);
    let authorization = format!("Bearer {}", api.token());
    let headers = [("authorization", authorization.as_str())];
    let mut measure = |uuid: &str| {
        let path = format!("/clusters/{uuid}");
        let start = std::time::Instant::now();
        let reply = connection.exchange("GET", &path, &headers, b"").unwrap();
        assert_eq!(reply.status, 200);
        start.elapsed()
    };
    // Alternately, so that other load on the machine affects both.
    let (mut first, mut last) = (Duration::MAX, Duration::MAX);
    for _ in 0..200 {
        first = first.min(measure(&uuids[0]));
        last = last.min(measure(&uuids[10_000]));
    }
    assert!(
        last < first * 2 + Duration::from_micros(50),
        "first {first:?}, last {last:?}"
    );
}
