//! Unusual responses: their length, their encoding, and their limits.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

use camunda_admin::{ErrorKind, Idempotency, Method, Outcome};
use camunda_admin_sandbox::{Fault, Sandbox};

use crate::{builder, client};

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
        let admin = builder(&sandbox)
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
        let builder = builder(&sandbox).base_url(&server_that_responds(response));
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
        let builder = builder(&sandbox).base_url(&server_that_responds(response));
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

#[test]
fn response_without_content_length_is_an_error_if_the_connection_is_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Closing with unread bytes resets the connection.
        stream.peek(&mut [0]).unwrap();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nConnection: close\r\n\r\n";
        writeln!(stream, "{head}time,actor").unwrap();
    });
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox)
        .base_url(&format!("http://{address}"))
        .build()
        .unwrap();
    let error = admin.activity().csv(&mut Vec::new()).unwrap_err();
    server.join().unwrap();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
}

#[test]
fn response_larger_than_max_response_bytes_is_an_error() {
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox)
        .max_response_bytes(100_000)
        .build()
        .unwrap();
    sandbox.add_fault(Fault::on("GET /clusters").huge_body(200_000));
    let error = admin.clusters().list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.to_string().contains("max_response_bytes"), "{error}");
}

#[test]
fn token_response_larger_than_a_mebibyte_is_an_error() {
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox)
        .timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    sandbox.add_fault(Fault::on("token").huge_body(2 << 20));
    let error = admin.clusters().list().unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Decode, Outcome::NotSent)
    );
    let expected = "the response body exceeds 1048576 bytes";
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn token_response_with_a_byte_order_mark_is_read() {
    let sandbox = Sandbox::start();
    let response = b"\xef\xbb\xbf{\"access_token\":\"token\",\"expires_in\":60}";
    sandbox.add_fault(Fault::on("token").body(response.to_vec()));
    let token = client(&sandbox).token("api.cloud.camunda.io").unwrap();
    assert_eq!(token.expose(), "token");
}

#[test]
fn error_of_an_unreadable_token_response_says_what_is_wrong_with_it() {
    let gzip = ("Content-Encoding", "gzip");
    for (body, (name, value), problem) in [
        ("{}", gzip, "gzip decompression failed: "),
        (
            "{}",
            ("Content-Encoding", "br"),
            "its content coding is `br`",
        ),
        (" <p>", ("Content-Type", "application/json"), "an HTML page"),
    ] {
        let sandbox = Sandbox::start();
        let admin = builder(&sandbox)
            .timeout(Duration::from_secs(1))
            .build()
            .unwrap();
        sandbox.add_fault(Fault::on("token").body(body).header(name, value).always());
        let error = admin.clusters().list().unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
        assert!(error.contains("/oauth/token"), "{error}");
    }
}
