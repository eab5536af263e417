//! Invalid arguments, which fail before anything is sent, and error messages of the API.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use camunda_admin::{AdminClient, ClusterId, ErrorKind, Json, Method, Outcome, Stage};
use camunda_admin_sandbox::Sandbox;

use crate::{builder, client, cluster};

#[test]
fn http_url_must_have_a_loopback_host() {
    let error = AdminClient::builder()
        .base_url("http://api.cloud.camunda.io")
        .build()
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Config, Outcome::NotSent)
    );
    assert!(error.to_string().contains("base_url"), "{error}");
}

#[test]
fn client_without_credentials_can_only_call_public_operations() {
    let sandbox = Sandbox::start();
    let admin = AdminClient::builder()
        .base_url(&sandbox.base_url())
        .build()
        .unwrap();
    assert!(!admin.ip_ranges().unwrap().web_modeler.is_empty());
    let error = admin.clusters().list().unwrap_err();
    assert_eq!(
        (error.kind(), error.stage()),
        (ErrorKind::Config, Stage::Config)
    );
    assert!(
        error.to_string().contains("CAMUNDA_CONSOLE_CLIENT_ID"),
        "{error}"
    );
}

#[test]
fn unknown_cluster_is_not_found() {
    let sandbox = Sandbox::start();
    let error = client(&sandbox)
        .cluster(&"nope".parse().unwrap())
        .get()
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.http_status()),
        (ErrorKind::NotFound, Some(404))
    );
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert_eq!(
        (error.method(), error.path()),
        (Some("GET"), Some("/clusters/nope"))
    );
    assert_eq!(error.attempts(), 1);
}

#[test]
fn server_message_is_the_message_of_the_api() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let request = cluster(&admin, &"x".repeat(200));
    let error = admin.clusters().create(&request).unwrap_err();
    assert_eq!(
        (error.kind(), error.http_status()),
        (ErrorKind::InvalidRequest, Some(400))
    );
    assert_eq!(error.server_message(), Some("Name is too long"));
    assert_eq!(
        error.to_string(),
        "create cluster: rejected with HTTP 400: Name is too long"
    );
}

#[test]
fn cluster_id_cannot_change_the_path() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    for id in [
        "a/members",
        "a\r\nX: y",
        "a\0b",
        "?a=b",
        "#a",
        "%41",
        "\u{202e}",
    ] {
        let id = ClusterId::new(id).unwrap();
        let error = admin.cluster(&id).get().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{id:?}: {error}");
    }
    for id in ["", ".", "..", "../members", "a/../../members", "%2e%2e"] {
        assert_eq!(
            ClusterId::new(id).unwrap_err().kind(),
            ErrorKind::InvalidArgument
        );
    }
    let seen = sandbox.stats().requests_by_operation;
    assert_eq!(
        seen.keys().collect::<Vec<_>>(),
        ["GET /clusters/{clusterUuid}"]
    );
}

#[test]
fn email_of_a_member_cannot_change_the_path() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    for email in ["a@b/c", "a\nb@c"] {
        let error = admin.members().delete(email).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{email:?}: {error}");
    }
    for email in ["", "../clusters", "a@b/../c"] {
        let error = admin.members().delete(email).unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidArgument,
            "{email:?}: {error}"
        );
    }
}

#[test]
fn request_sends_operations_without_a_method() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let listed = admin.request(Method::Get, "/clusters", None).unwrap();
    assert_eq!(listed.as_str(), "[]");
    let body = Json::new(r#"{"orgRoles":["admin"]}"#).unwrap();
    let response = admin
        .request(Method::Post, "/members/a%40b.c", Some(&body))
        .unwrap();
    assert_eq!(response.as_str(), "null");
    let error = admin.request(Method::Get, "/../x", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let error = admin.request(Method::Get, "/nowhere", None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn setting_of_a_missing_file_is_named() {
    let sandbox = Sandbox::start();
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for path in ["/nonexistent/ca.pem", empty.to_str().unwrap()] {
        let error = builder(&sandbox).ca_file(path).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("ca_file"), "{error}");
    }
    let error = builder(&sandbox)
        .proxy("socks5://127.0.0.1:1080")
        .build()
        .unwrap_err();
    assert!(error.to_string().contains("SOCKS"), "{error}");
}

#[test]
fn io_error_text_occurs_once_in_the_chain_of_sources() {
    let error = AdminClient::from_env_file("/nonexistent/console.env").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    let underlying = error.underlying().unwrap().downcast_ref::<io::Error>();
    assert_eq!(underlying.unwrap().kind(), io::ErrorKind::NotFound);
    let mut report = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        report = format!("{report}: {cause}");
        source = cause.source();
    }
    assert_eq!(report, error.to_string());
}

#[test]
fn request_with_a_large_head_is_rejected_before_it_is_sent() {
    let sandbox = Sandbox::start();
    let with_token = |token: &str, user_agent: &str| {
        AdminClient::builder()
            .base_url(&sandbox.base_url())
            .access_token(token)
            .user_agent(user_agent)
            .build()
            .unwrap()
    };
    let admin = with_token("token", "agent");
    let get = |length: usize| {
        let id: ClusterId = "x".repeat(length).parse().unwrap();
        admin.cluster(&id).get().unwrap_err()
    };
    // Shorter than the limit: it reaches the API, which rejects the token.
    assert_eq!(get(15_000).http_status(), Some(401));
    let sent = sandbox.requests().len();
    for (error, kind, sizes) in [
        (
            get(20_000),
            ErrorKind::InvalidArgument,
            "its URL has 20010 bytes, its access token and user agent have 17",
        ),
        (
            get(100_000),
            ErrorKind::InvalidArgument,
            "its URL has 100010 bytes, its access token and user agent have 17",
        ),
        (
            with_token(&"t".repeat(20_000), "agent")
                .clusters()
                .list()
                .unwrap_err(),
            ErrorKind::Config,
            "its URL has 9 bytes, its access token and user agent have 20012",
        ),
        (
            with_token("token", &"a".repeat(20_000))
                .clusters()
                .list()
                .unwrap_err(),
            ErrorKind::Config,
            "its URL has 9 bytes, its access token and user agent have 20012",
        ),
    ] {
        assert_eq!((error.kind(), error.outcome()), (kind, Outcome::NotSent));
        let expected = format!("the request is too large: {sizes}; all together may have 15360");
        assert!(error.to_string().contains(&expected), "{error}");
        assert!(!error.to_string().contains("connect"), "{error}");
    }
    assert_eq!(sandbox.requests().len(), sent);
}

#[test]
fn error_message_does_not_quote_the_secrets_of_the_request() {
    let server = echo_server();
    let admin = AdminClient::builder()
        .base_url(&server)
        .access_token("hunter2-token")
        .build()
        .unwrap();
    let id: ClusterId = "cluster".parse().unwrap();
    let secrets = admin.cluster(&id).secrets();
    for value in ["hunter2", "hun\"ter\\2\n", "hun-ü"] {
        for error in [
            secrets.create("name", value).unwrap_err(),
            secrets.update("name", value).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
            assert_eq!(
                error.server_message(),
                Some("Bearer … may not set … (15 %)"),
                "{value:?}"
            );
            assert!(!format!("{error} {error:?}").contains("hun"), "{error:?}");
        }
    }
}

/// Starts a server that rejects requests with a message that quotes their token and secret.
fn echo_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let mut length = 0;
            let mut authorization = String::new();
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                match line.trim_end().split_once(": ") {
                    Some(("content-length", value)) => length = value.parse().unwrap(),
                    Some(("authorization", value)) => authorization = value.to_owned(),
                    Some(_) => {}
                    None if line.trim_end().is_empty() => break,
                    None => {}
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let value = body["secretValue"].as_str().unwrap();
            let message = format!("{authorization} may not set {value} (15 %)");
            let body = serde_json::json!({ "message": message }).to_string();
            let head = format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\
                 Connection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            let stream = reader.get_mut();
            stream.write_all((head + &body).as_bytes()).unwrap();
        }
    });
    address
}
