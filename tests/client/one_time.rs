//! One-time responses: if one cannot be read, the error contains the bytes that were received.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use camunda_admin::{
    CallOptions, ClusterId, CreateClusterClient, Error, Json, Method, MonitoringClientId,
};
use camunda_admin_sandbox::{Fault, Sandbox};

use crate::{builder, new_cluster};

const CREATED: &str = r#"{"name":"worker","clientId":"id-1","clientSecret":"hunter2-hunter2"}"#;

/// HTTP server that responds to one request with these bytes, then closes the connection.
struct OneResponse {
    address: String,
    /// Returns the head of the request.
    thread: JoinHandle<String>,
}

impl OneResponse {
    fn start(response: Vec<u8>) -> OneResponse {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(20)))
                .unwrap();
            let head = read_request(&mut stream);
            stream.write_all(&response).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            // Closing with bytes unread would reset the connection.
            let _ = stream.read_to_end(&mut Vec::new());
            head
        });
        OneResponse { address, thread }
    }
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the request ends early");
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8(bytes.clone())
            .unwrap()
            .to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                return head.to_owned();
            }
        }
    }
}

fn response(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}\r\n\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn chunk(data: impl AsRef<[u8]>) -> Vec<u8> {
    let data = data.as_ref();
    let size = format!("{:x}\r\n", data.len());
    [size.as_bytes(), data, b"\r\n"].concat()
}

/// Creates a cluster client with this response of the server; also returns the head of the request.
fn created_with(sandbox: &Sandbox, response: Vec<u8>) -> (Result<String, Error>, String) {
    let server = OneResponse::start(response);
    let admin = builder(sandbox).base_url(&server.address).build().unwrap();
    let id: ClusterId = "cluster".parse().unwrap();
    let created = admin
        .cluster(&id)
        .clients()
        .create(&CreateClusterClient::new("worker"));
    let secret = created.map(|created| created.client_secret.expose().to_owned());
    (secret, server.thread.join().unwrap())
}

#[test]
fn one_time_response_is_kept_however_it_is_truncated() {
    let sandbox = Sandbox::start();
    let chunked = "Transfer-Encoding: chunked";
    let length = |length: usize| format!("Content-Length: {length}");
    let gzip_length = |length: usize| format!("Content-Encoding: gzip\r\nContent-Length: {length}");
    let compressed = gzip(CREATED);
    let (half, rest) = CREATED.split_at(CREATED.len() / 2);
    let without_trailer = &compressed[..compressed.len() - 8];
    let damaged = {
        let mut damaged = compressed.clone();
        let trailer = damaged.len() - 8;
        damaged[trailer] ^= 0xff;
        damaged
    };
    let cases: Vec<(&str, Vec<u8>, Vec<u8>)> = vec![
        (
            "shorter than its Content-Length",
            response(&length(CREATED.len() + 1), CREATED),
            CREATED.into(),
        ),
        (
            "half of its Content-Length",
            response(&length(CREATED.len()), half),
            half.into(),
        ),
        (
            "chunks without the last one",
            response(chunked, chunk(CREATED)),
            CREATED.into(),
        ),
        (
            "a chunk that is cut",
            response(chunked, &chunk(CREATED)[..half.len() + 4]),
            half.into(),
        ),
        (
            "a chunk size that is cut",
            response(chunked, [chunk(half), b"3".to_vec()].concat()),
            half.into(),
        ),
        (
            "a chunk size that is cut after its carriage return",
            response(chunked, [chunk(half), b"3f;x=y\r".to_vec()].concat()),
            half.into(),
        ),
        (
            "a chunk that is cut within the line break after it",
            response(chunked, &chunk(CREATED)[..CREATED.len() + 5]),
            CREATED.into(),
        ),
        (
            "an invalid chunk size after a whole chunk",
            response(chunked, [chunk(CREATED), b"zz\r\n".to_vec()].concat()),
            [CREATED, "zz\r\n"].concat().into(),
        ),
        (
            "an invalid chunk size between two chunks",
            response(
                chunked,
                [chunk(half), b"zz\r\n".to_vec(), rest.into()].concat(),
            ),
            [half, "zz\r\n", rest].concat().into(),
        ),
        (
            "a chunk size that overflows",
            response(
                chunked,
                [chunk(CREATED), b"fffffffffffffffff\r\n".to_vec()].concat(),
            ),
            [CREATED, "fffffffffffffffff\r\n"].concat().into(),
        ),
        (
            "gzip without trailer",
            response(&gzip_length(compressed.len()), without_trailer),
            CREATED.into(),
        ),
        (
            "gzip without trailer, its length not announced",
            response(
                "Content-Encoding: gzip\r\nConnection: close",
                without_trailer,
            ),
            CREATED.into(),
        ),
        (
            "gzip with a wrong checksum",
            response(&gzip_length(compressed.len()), &damaged),
            CREATED.into(),
        ),
        (
            "gzip in chunks, without the last one",
            response(
                &format!("Content-Encoding: gzip\r\n{chunked}"),
                chunk(&compressed),
            ),
            CREATED.into(),
        ),
        (
            "gzip of which nothing but its header arrived",
            response(&gzip_length(compressed.len()), &compressed[..10]),
            compressed[..10].into(),
        ),
        (
            "a plain body labelled gzip",
            response(&gzip_length(CREATED.len()), CREATED),
            CREATED.into(),
        ),
        (
            "an interim response before it",
            [
                b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".to_vec(),
                response(&length(CREATED.len() + 1), CREATED),
            ]
            .concat(),
            CREATED.into(),
        ),
        (
            "headers that are not valid",
            response("Content-Length: many", CREATED),
            CREATED.into(),
        ),
    ];
    for (name, response, expected) in cases {
        let (result, _) = created_with(&sandbox, response);
        let error = result.expect_err(name);
        assert_eq!(
            error.body().map(String::from_utf8_lossy),
            Some(String::from_utf8_lossy(&expected)),
            "{name}: {error}"
        );
        assert!(
            error.to_string().contains("the error's body has"),
            "{name}: {error}"
        );
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{name}");
    }
}

#[test]
fn error_at_the_deadline_says_what_was_received_of_a_one_time_response() {
    let sandbox = Sandbox::start();
    let cluster = new_cluster(&sandbox);
    sandbox.add_fault(
        Fault::on("POST /clusters/{clusterUuid}/clients")
            .cut_body(40)
            .stall(),
    );
    let options = CallOptions::new().timeout(Duration::from_secs(1));
    let admin = builder(&sandbox).build().unwrap().with(options);
    let clients = admin.cluster(&cluster).clients();
    let error = clients.create(&CreateClusterClient::new("worker"));
    let error = error.unwrap_err();
    assert_eq!(error.body().map(<[u8]>::len), Some(40));
    assert_eq!(
        error.to_string(),
        format!(
            "create client: deadline of 1s exceeded while receiving the response of {}; the error's \
             body has what was received of the response; the change was applied: look for the name \
             among the cluster's clients; delete it there unless you have its secret",
            sandbox.base_url()
        )
    );
}

#[test]
fn truncated_gzip_is_decompressed_as_far_as_possible() {
    let sandbox = Sandbox::start();
    // Long enough that a part of its first half can be decompressed.
    let long = format!(
        r#"{{"clientSecret":"hunter2-hunter2","clientId":"id-1","name":"{}"}}"#,
        (0..2000).map(|n| format!("{n:x}-")).collect::<String>()
    );
    let compressed = gzip(&long);
    let half = &compressed[..compressed.len() / 2];
    let headers = format!(
        "Content-Encoding: gzip\r\nContent-Length: {}",
        compressed.len()
    );
    let (result, _) = created_with(&sandbox, response(&headers, half));
    let error = result.unwrap_err();
    let body = std::str::from_utf8(error.body().unwrap()).unwrap();
    assert!(body.contains("hunter2-hunter2"), "{body}");
    assert!(
        long.starts_with(body) && body.len() > long.len() / 3,
        "{body}"
    );
    assert!(
        error.to_string().contains("could be decompressed"),
        "{error}"
    );
}

#[test]
fn one_time_response_is_requested_without_compression_and_read_with_it() {
    let sandbox = Sandbox::start();
    for (headers, body) in [
        (String::new(), CREATED.as_bytes().to_vec()),
        ("\r\nContent-Encoding: GZip".into(), gzip(CREATED)),
    ] {
        let headers = format!("Content-Length: {}{headers}", body.len());
        let (result, request) = created_with(&sandbox, response(&headers, &body));
        assert_eq!(result.unwrap(), "hunter2-hunter2");
        assert!(request.contains("accept-encoding: identity"), "{request}");
    }
}

#[test]
fn compression_is_requested_for_reads_only() {
    let sandbox = Sandbox::start();
    let id: ClusterId = "cluster".parse().unwrap();
    let monitoring: MonitoringClientId = "client".parse().unwrap();
    type Call = Box<dyn Fn(&camunda_admin::AdminClient) -> Result<(), Error>>;
    let cluster = id.clone();
    let secrets = id.clone();
    let calls: Vec<(&str, &str, Call)> = vec![
        (
            "gzip",
            "[]",
            Box::new(|admin| admin.clusters().list().map(drop)),
        ),
        (
            "identity",
            r#"{"uuid":"u","username":"n","password":"p"}"#,
            Box::new(move |admin| {
                let monitoring_of = admin.cluster(&cluster);
                monitoring_of
                    .monitoring()
                    .rotate_password(&monitoring)
                    .map(drop)
            }),
        ),
        (
            "identity",
            "{}",
            Box::new(move |admin| admin.cluster(&secrets).secrets().list().map(drop)),
        ),
        (
            "identity",
            "{}",
            Box::new(|admin| admin.request(Method::Post, "/new", None::<&Json>).map(drop)),
        ),
    ];
    for (encoding, body, call) in calls {
        let length = format!("Content-Length: {}", body.len());
        let server = OneResponse::start(response(&length, body));
        let admin = builder(&sandbox).base_url(&server.address).build().unwrap();
        call(&admin).unwrap();
        let request = server.thread.join().unwrap();
        assert!(
            request.contains(&format!("accept-encoding: {encoding}\r\n")),
            "{request}"
        );
    }
}

#[test]
fn one_time_response_is_kept_when_tls_connection_is_lost() {
    let sandbox = Sandbox::builder().tls(true).start();
    let environment = sandbox.environment();
    let ca_file = environment
        .iter()
        .find(|(name, _)| name == "CAMUNDA_CUSTOM_ROOT_CERT_PATH");
    let admin = builder(&sandbox)
        .ca_file(&ca_file.unwrap().1)
        .build()
        .unwrap();
    let id = new_cluster(&sandbox);
    sandbox.add_fault(Fault::on("POST /clusters/{clusterUuid}/clients").cut_body(25));
    let error = admin
        .cluster(&id)
        .clients()
        .create(&CreateClusterClient::new("worker"))
        .unwrap_err();
    assert_eq!(error.body().map(<[u8]>::len), Some(25), "{error}");
}
