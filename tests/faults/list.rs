//! List of the faults that are injected.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::certificates::Certificate;
use crate::fault_proxy::{HttpMessage, Injection, Wire};

/// A fault of the network, the API or the token endpoint.
pub(crate) struct Fault {
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) target: Target,
    pub(crate) injection: Option<Injection>,
    /// Whether a call ends only at its deadline.
    pub(crate) hangs: bool,
    /// Minimum duration of a response with this fault.
    pub(crate) lasts: Duration,
    /// Whether another call is made first, which leaves an idle connection.
    pub(crate) warm: bool,
}

/// What the client connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Plain,
    Tls(Certificate),
    /// A port without a listener.
    ClosedPort,
    /// A host name that cannot be resolved.
    UnknownHost,
    /// A port at which no connection is accepted or rejected.
    UnresponsivePort,
}

/// `max_response_bytes` of the clients.
pub(crate) const MAX_BYTES: u64 = 1024 * 1024;

pub(crate) fn all() -> Vec<Fault> {
    let mut list = List::default();
    no_connection(&mut list);
    tls(&mut list);
    silence(&mut list);
    broken(&mut list);
    garbage(&mut list);
    interim(&mut list);
    lengths(&mut list);
    too_much(&mut list);
    gzip(&mut list);
    statuses(&mut list);
    list.faults
}

fn no_connection(list: &mut List) {
    list.group("No connection");
    list.target("connection refused", Target::ClosedPort);
    list.target("host name not found", Target::UnknownHost);
    list.target(
        "no response to connection attempts",
        Target::UnresponsivePort,
    )
    .hangs = true;
}

fn tls(list: &mut List) {
    list.group("TLS");
    for (name, certificate) in [
        (
            "certificate of an unknown authority",
            Certificate::UnknownAuthority,
        ),
        ("expired certificate", Certificate::Expired),
        ("certificate for another host", Certificate::OtherHost),
        (
            "certificate of an authority as that of the server",
            Certificate::Authority,
        ),
        (
            "client certificate required, none configured",
            Certificate::ClientAuth,
        ),
    ] {
        list.target(name, Target::Tls(certificate));
    }
    let good = Target::Tls(Certificate::Good);
    list.first("HTTP without TLS instead of TLS", |wire| {
        wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        wire.close();
    })
    .target = good;
    list.first("server without TLS 1.2 or later", |wire| {
        wire.send(server_hello_of_tls_1_1());
        wire.close();
    })
    .target = good;
    list.first("closed during the TLS handshake", Wire::close)
        .target = good;
    let stalled = list.first("no data during the TLS handshake", Wire::stall);
    stalled.target = good;
    stalled.hangs = true;
    list.response(
        "truncated without close_notify, no Content-Length",
        |wire, response| {
            let body = body_or_object(response);
            let headers = ["Content-Length", "Connection: close"];
            wire.send(
                with_status_200(response).with_headers_and_body(&headers, &body[..body.len() / 2]),
            );
            wire.close_tcp();
        },
    )
    .target = good;
}

fn silence(list: &mut List) {
    list.group("Slow and missing responses");
    list.response("response after 1 s", |wire, response| {
        std::thread::sleep(Duration::from_secs(1));
        wire.send(response.bytes());
        wire.close();
    })
    .lasts = Duration::from_secs(1);
    list.response(
        "response sent slowly, within the deadline",
        |wire, response| {
            wire.send_slowly(&response.bytes(), Duration::from_micros(200));
            wire.close();
        },
    )
    .lasts = Duration::from_millis(10);
    list.response(
        "response sent slowly, beyond the deadline",
        |wire, response| {
            wire.send_slowly(&response.bytes(), Duration::from_millis(200));
        },
    )
    .hangs = true;
    list.instead("no data after the request", Wire::stall).hangs = true;
    list.response("no data after partial headers", |wire, response| {
        wire.send(&response.head[..response.head.len() / 2]);
        wire.stall();
    })
    .hangs = true;
    list.response("no data after a partial body", |wire, response| {
        wire.send(with_half_of_body(response));
        wire.stall();
    })
    .hangs = true;
}

fn broken(list: &mut List) {
    list.group("Lost connections");
    list.first("reset before the request is read", Wire::reset);
    list.instead("reset after the request is read", Wire::reset);
    list.response("reset after execution", |wire, _| wire.reset());
    list.instead("closed without a response", Wire::close);
    list.response("reset after partial headers", |wire, response| {
        wire.send(&response.head[..response.head.len() / 2]);
        wire.reset();
    });
    list.response("reset after a partial body", |wire, response| {
        wire.send(with_half_of_body(response));
        wire.reset();
    });
    list.response("closed after a partial body", |wire, response| {
        wire.send(with_half_of_body(response));
        wire.close();
    });
    list.after("idle connection closed by the server", Wire::close)
        .warm = true;
    for (protocol, target) in [
        ("", Target::Plain),
        (", over TLS", Target::Tls(Certificate::Good)),
    ] {
        let name = format!("idle connection with an unsolicited response{protocol}");
        let stray = list.response(&name, |wire, response| {
            let stray = status("404 Not Found", "Server: stray", "");
            wire.send([response.bytes(), stray.into_bytes()].concat());
            wire.stall();
        });
        stray.target = target;
        stray.warm = true;
    }
    let reset = Injection::OnReuse(Arc::new(|wire, _| wire.reset()));
    let name = "idle connection reset by the next request";
    list.push(name, Target::Plain, Some(reset)).warm = true;
}

fn garbage(list: &mut List) {
    list.group("Invalid responses");
    for (name, bytes) in [
        ("greeting of another protocol", "SSH-2.0-OpenSSH_9.9\r\n"),
        (
            "status line without a status",
            "HTTP/1.1 fine OK\r\nContent-Length: 0\r\n\r\n",
        ),
        ("HTTP/2 frames", "\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64"),
        (
            "header without a colon",
            "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "header with a NUL",
            "HTTP/1.1 200 OK\r\nServer: a\0b\r\nContent-Length: 0\r\n\r\n",
        ),
    ] {
        list.response(name, move |wire, _| {
            wire.send(bytes);
            wire.close();
        });
    }
    for (name, body) in [
        ("body that is not JSON", "Hello"),
        ("body of another JSON type", "[17]"),
        ("empty body", ""),
        ("truncated JSON, valid Content-Length", r#"{"uuid": "3f0e"#),
    ] {
        list.response(name, move |wire, response| {
            wire.send(response.with_body(body));
            wire.close();
        });
    }
    list.response("body that is not UTF-8", |wire, response| {
        wire.send(response.with_body(b"{\"uuid\": \"\xff\xfe\"}"));
        wire.close();
    });
    for (name, content_type) in [
        (
            "HTML page as `Text/HTML`, after execution",
            "Text/HTML; charset=UTF-8",
        ),
        ("HTML page as `text/plain`, after execution", "text/plain"),
    ] {
        let page = status(
            "200 OK",
            &format!("Content-Type: {content_type}"),
            "<!DOCTYPE html><title>Log in</title>",
        );
        list.response(name, move |wire, _| {
            wire.send(&page);
            wire.close();
        });
    }
    list.instead("truncated HTML page as `application/json`", |wire| {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n";
        wire.send(format!("{head}<html><title>Log in"));
        wire.close();
    });
    list.instead("HTML page with status 200", |wire| {
        wire.send(status(
            "200 OK",
            "Content-Type: text/html",
            "<title>Log in</title>",
        ));
        wire.close();
    });
}

fn interim(list: &mut List) {
    list.group("Interim responses");
    for (name, interim) in [
        ("100 before the response", "HTTP/1.1 100 Continue\r\n\r\n"),
        (
            "103 before the response",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        ),
    ] {
        list.response(name, move |wire, response| {
            wire.send([interim.as_bytes(), &response.bytes()].concat());
            wire.close();
        });
    }
    list.response("endless 103 responses", |wire, _| {
        while wire.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") {
            std::thread::sleep(Duration::from_millis(20));
        }
    })
    .hangs = true;
    list.response("101 Switching Protocols, after execution", |wire, _| {
        wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n");
        wire.close();
    });
}

fn lengths(list: &mut List) {
    list.group("Body lengths");
    list.response("Content-Length too small", |wire, response| {
        wire.send(
            with_status_200(response)
                .with_headers_and_body(&["Content-Length: 7"], body_or_object(response)),
        );
        wire.close();
    });
    list.response("Content-Length too large", |wire, response| {
        let body = body_or_object(response);
        let length = format!("Content-Length: {}", body.len() + 10);
        wire.send(with_status_200(response).with_headers_and_body(&[&length], body));
        wire.close();
    });
    list.response("two different Content-Length values", |wire, response| {
        let lengths = "Content-Length: 9\r\nContent-Length: 11";
        wire.send(
            with_status_200(response).with_headers_and_body(&[lengths], body_or_object(response)),
        );
        wire.close();
    });
    list.response("Content-Length not a number", |wire, response| {
        wire.send(
            with_status_200(response)
                .with_headers_and_body(&["Content-Length: many"], body_or_object(response)),
        );
        wire.close();
    });
    list.response("no Content-Length, ended by closing", |wire, response| {
        let headers = ["Content-Length", "Connection: close"];
        wire.send(
            with_status_200(response).with_headers_and_body(&headers, body_or_object(response)),
        );
        wire.close();
    });
    for (name, body) in [
        ("chunk size not a number", "zz\r\n{}\r\n0\r\n\r\n"),
        ("last chunk missing", "2\r\n{}\r\n"),
        ("truncated chunk", "40\r\n{"),
        ("chunk larger than memory", "7fffffffffffffff\r\n{"),
        ("chunk size overflows 64 bits", "ffffffffffffffffffff\r\n{"),
    ] {
        list.response(name, move |wire, response| {
            wire.send(chunked(response, body));
            wire.close();
        });
    }
    list.response("chunks and Content-Length", |wire, response| {
        let headers = ["Content-Length: 3", "Transfer-Encoding: chunked"];
        let body = body_or_object(response);
        let mut chunks = format!("{:x}\r\n", body.len()).into_bytes();
        chunks.extend_from_slice(&body);
        chunks.extend_from_slice(b"\r\n0\r\n\r\n");
        wire.send(with_status_200(response).with_headers_and_body(&headers, chunks));
        wire.close();
    });
}

fn too_much(list: &mut List) {
    list.group("Oversized responses");
    list.response("endless header line", |wire, _| {
        wire.send("HTTP/1.1 200 OK\r\nServer: ");
        wire.send_endlessly([b'a'; 4096]);
    });
    list.response("endless header lines", |wire, _| {
        wire.send("HTTP/1.1 200 OK\r\n");
        wire.send_endlessly("Set-Cookie: a=b\r\n".repeat(100));
    });
    list.response("endless body", |wire, response| {
        let headers = ["Content-Length", "Connection: close"];
        wire.send(with_status_200(response).with_headers_and_body(&headers, ""));
        wire.send_endlessly([b' '; 16 * 1024]);
    });
    list.response("endless chunks", |wire, response| {
        wire.send(chunked(response, ""));
        wire.send_endlessly([&b"400\r\n"[..], &[b' '; 0x400], b"\r\n"].concat());
    });
    let bomb = compressed(&vec![b' '; 8 * MAX_BYTES as usize]);
    list.response("gzip bomb", move |wire, response| {
        wire.send(gzipped(response, &bomb));
        wire.close();
    });
}

fn gzip(list: &mut List) {
    list.group("Compressed responses");
    list.response("valid gzip", |wire, response| {
        wire.send(gzipped(response, &compressed(&body_or_object(response))));
        wire.close();
    });
    list.response("corrupt gzip", |wire, response| {
        let mut body = compressed(&body_or_object(response));
        let middle = body.len() / 2;
        body[middle..middle + 4].fill(0xff);
        wire.send(gzipped(response, &body));
        wire.close();
    });
    list.response("truncated gzip", |wire, response| {
        let body = compressed(&body_or_object(response));
        wire.send(gzipped(response, &body[..body.len() / 2]));
        wire.close();
    });
    list.response("labelled as gzip, not compressed", |wire, response| {
        wire.send(gzipped(response, &body_or_object(response)));
        wire.close();
    });
}

fn statuses(list: &mut List) {
    list.group("Error responses");
    let json = "Content-Type: application/json";
    for (line, body) in [
        ("400 Bad Request", r#"{"message": "the name is too long"}"#),
        ("401 Unauthorized", r#"{"message": "Unauthorized"}"#),
        ("403 Forbidden", r#"{"error": "Insufficient permissions"}"#),
        ("404 Not Found", r#"{"message": "not found"}"#),
        ("409 Conflict", r#"{"message": "in progress"}"#),
        ("429 Too Many Requests", ""),
        ("500 Internal Server Error", ""),
    ] {
        list.status(line, line, json, body);
    }
    for line in ["502 Bad Gateway", "503 Service Unavailable"] {
        let page = "<html><head><title>Sorry</title></head></html>";
        list.status(
            &format!("{line}, HTML page"),
            line,
            "Content-Type: text/html",
            page,
        );
    }
    for (name, header, body) in [
        (
            "plain text",
            "Content-Type: text/plain",
            "upstream connect error or disconnect/reset before headers",
        ),
        (
            "JSON of a gateway",
            json,
            r#"{"message": "Service Unavailable"}"#,
        ),
    ] {
        let line = "503 Service Unavailable";
        let name = format!("{line}, {name}, after execution");
        list.response(&name, move |wire, _| {
            wire.send(status(line, header, body));
            wire.close();
        });
    }
    list.response("504 Gateway Timeout, after execution", |wire, _| {
        wire.send(status("504 Gateway Timeout", "Server: gateway", ""));
        wire.close();
    });
    for line in ["429 Too Many Requests", "503 Service Unavailable"] {
        list.status(
            &format!("{line}, `Retry-After: 1`"),
            line,
            "Retry-After: 1",
            "",
        );
        list.instead(
            &format!("{line}, `Retry-After`: date in 1 s"),
            move |wire| {
                let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(1));
                wire.send(status(line, &format!("Retry-After: {date}"), ""));
                wire.close();
            },
        );
        list.status(
            &format!("{line}, `Retry-After: 3600`"),
            line,
            "Retry-After: 3600",
            "",
        );
    }
    for line in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        list.status(line, line, "Location: http://127.0.0.1:9/", "");
    }
    list.response("303 See Other, after execution", |wire, _| {
        wire.send(status("303 See Other", "Location: http://127.0.0.1:9/", ""));
        wire.close();
    });
}

#[derive(Default)]
struct List {
    group: &'static str,
    faults: Vec<Fault>,
}

impl List {
    fn group(&mut self, name: &'static str) {
        self.group = name;
    }

    fn push(&mut self, name: &str, target: Target, injection: Option<Injection>) -> &mut Fault {
        self.faults.push(Fault {
            group: self.group,
            name: name.to_owned(),
            target,
            injection,
            hangs: false,
            lasts: Duration::ZERO,
            warm: false,
        });
        self.faults.last_mut().expect("just pushed")
    }

    fn target(&mut self, name: &str, target: Target) -> &mut Fault {
        self.push(name, target, None)
    }

    /// Adds a fault that replaces the handling of a connection, before anything is read.
    fn first(&mut self, name: &str, act: impl Fn(&mut Wire) + Send + Sync + 'static) -> &mut Fault {
        let injection = Injection::BeforeRead(Arc::new(move |wire, _| act(wire)));
        self.push(name, Target::Plain, Some(injection))
    }

    /// Adds a fault that is injected after a request was read and before it is forwarded.
    fn instead(
        &mut self,
        name: &str,
        act: impl Fn(&mut Wire) + Send + Sync + 'static,
    ) -> &mut Fault {
        let injection = Injection::BeforeForward(Arc::new(move |wire, _| act(wire)));
        self.push(name, Target::Plain, Some(injection))
    }

    /// Adds a fault that replaces the response of a request that was executed.
    fn response(
        &mut self,
        name: &str,
        act: impl Fn(&mut Wire, &HttpMessage) + Send + Sync + 'static,
    ) -> &mut Fault {
        self.push(
            name,
            Target::Plain,
            Some(Injection::ReplaceResponse(Arc::new(act))),
        )
    }

    /// Adds a fault that is injected after a valid response.
    fn after(&mut self, name: &str, act: impl Fn(&mut Wire) + Send + Sync + 'static) -> &mut Fault {
        let injection = Injection::AfterResponse(Arc::new(move |wire, _| act(wire)));
        self.push(name, Target::Plain, Some(injection))
    }

    /// Adds a fault that responds with this status line, header and body.
    fn status(&mut self, name: &str, line: &'static str, header: &'static str, body: &'static str) {
        self.instead(name, move |wire| {
            wire.send(status(line, header, body));
            wire.close();
        });
    }
}

fn status(line: &str, header: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {line}\r\n{header}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Returns the body of a response, or a JSON object if it has none.
fn body_or_object(response: &HttpMessage) -> Vec<u8> {
    if response.body.is_empty() {
        b"{\"key\": \"some value\"}".to_vec()
    } else {
        response.body.clone()
    }
}

/// Returns the head of a response, with status 200 instead of 204.
fn with_status_200(response: &HttpMessage) -> HttpMessage {
    HttpMessage {
        head: response.with_body("")[..].to_vec(),
        body: Vec::new(),
    }
}

fn with_half_of_body(response: &HttpMessage) -> Vec<u8> {
    let body = body_or_object(response);
    let mut whole = response.with_body(&body);
    whole.truncate(whole.len() - body.len() / 2);
    whole
}

fn chunked(response: &HttpMessage, body: &str) -> Vec<u8> {
    with_status_200(response)
        .with_headers_and_body(&["Content-Length", "Transfer-Encoding: chunked"], body)
}

fn gzipped(response: &HttpMessage, body: &[u8]) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    with_status_200(response).with_headers_and_body(&[&length, "Content-Encoding: gzip"], body)
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Returns a `ServerHello` that selects TLS 1.1, which rustls cannot send.
fn server_hello_of_tls_1_1() -> Vec<u8> {
    let mut hello = vec![0x03, 0x02];
    hello.extend([0x11; 32]); // random
    hello.push(0); // no session
    hello.extend([0x00, 0x2f]); // TLS_RSA_WITH_AES_128_CBC_SHA
    hello.push(0); // no compression
    let mut record = vec![0x16, 0x03, 0x02, 0x00, hello.len() as u8 + 4];
    record.extend([0x02, 0x00, 0x00, hello.len() as u8]);
    record.extend(hello);
    record
}
