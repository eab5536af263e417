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
