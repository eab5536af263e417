//! Connections: limits on responses, and the server that a setting names.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use camunda_admin::{ErrorKind, Idempotency, Method};
use camunda_admin_sandbox::Sandbox;

/// A server that responds to its first request with `response`, and then closes the connection.
fn server_that_responds(response: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let head = BufReader::new(stream.try_clone().unwrap()).lines();
        let length = head.take_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()));
        assert!(length.count() > 0);
        stream.write_all(response).unwrap();
    });
    url
}

#[test]
fn response_with_false_content_length_is_an_error_with_the_received_bytes() {
    let sandbox = Sandbox::start();
    for length in [
        "9223372036854775807",
        "18446744073709551615",
        "1099511627776",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n[1,");
        let admin = crate::builder(&sandbox)
            .base_url(&server_that_responds(response.leak().as_bytes()))
            .max_response_bytes(u64::MAX)
            .build()
            .unwrap();
        let error = admin
            .request_with_idempotency(Idempotency::NonIdempotent, Method::Get, "/clusters", None)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network, "{length}: {error}");
        assert_eq!(error.body(), Some(&b"[1,"[..]), "{length}: {error}");
    }
}

#[test]
fn empty_body_that_is_labelled_as_gzip_is_empty() {
    let sandbox = Sandbox::start();
    let admin_with = |response| {
        let builder = crate::builder(&sandbox).base_url(&server_that_responds(response));
        builder.build().unwrap()
    };
    for response in [
        &b"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let admin = admin_with(response);
        admin.cluster(&"a".parse().unwrap()).delete().unwrap();
        assert_eq!(admin.stats().retries, 0);
    }
    let closed_early = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\n";
    let admin = admin_with(closed_early);
    let secrets = admin.cluster(&"a".parse().unwrap()).secrets();
    let error = secrets.create("name", "value").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
}

#[test]
fn response_with_an_unsupported_content_coding_is_an_error_that_names_it() {
    let sandbox = Sandbox::start();
    let admin_with = |response| {
        let builder = crate::builder(&sandbox).base_url(&server_that_responds(response));
        builder.build().unwrap()
    };
    let response =
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\n\x0b\x02\x80\x03";
    let note = "its content coding is `br`, which the client did not request";

    let error = admin_with(response).clusters().list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.to_string().ends_with(note), "{error}");

    let mut csv = Vec::new();
    let error = admin_with(response).activity().csv(&mut csv).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("activity events as CSV: the response cannot be decoded: {note}")
    );
    assert_eq!(error.body(), Some(&b"\x0b\x02\x80\x03"[..]));
    assert!(csv.is_empty(), "{csv:?}");

    let response =
        b"HTTP/1.1 400 Bad Request\r\nContent-Encoding: deflate\r\nContent-Length: 3\r\n\r\nabc";
    let error = admin_with(response).clusters().list().unwrap_err();
    assert_eq!(error.server_message(), None, "{error}");
    assert_eq!(
        error.to_string(),
        "list clusters: rejected with HTTP 400: Bad Request"
    );
}
