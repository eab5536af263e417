//! The faults.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use camunda_admin::Outcome;

use crate::certificates::Certificate;
use crate::fault_proxy::{Act, Answer, Wire};

/// Something that goes wrong.
pub(crate) struct Fault {
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) entry: Entry,
    pub(crate) act: Option<Act>,
    /// Whether only the deadline ends it.
    pub(crate) hangs: bool,
    /// How long an answer takes because of it.
    pub(crate) lasts: Duration,
    /// Whether another call goes before, and leaves a connection that is idle.
    pub(crate) warm: bool,
}

/// What a client finds at the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Plain,
    Tls(Certificate),
    /// A port at which nobody listens.
    Nobody,
    /// A name without an address.
    NoName,
    /// A port at which connections are asked for in vain.
    Full,
}

/// What a body may have at most, in the clients that meet these faults.
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

/// Outcome that `create cluster` has to report when a fault strikes every time; `None` where it
/// succeeds. Written by hand, since `docs/failure-modes.md` is what was seen.
pub(crate) fn outcome_of_create(fault: &str) -> Option<Outcome> {
    let table: [(Option<Outcome>, &[&str]); 5] = [
        (
            None,
            &[
                "an answer after a second",
                "an answer byte by byte, in time",
                "an idle connection that the server closed",
                "an idle connection with an answer that nobody asked for",
                "an idle connection with an answer that nobody asked for, over TLS",
                "an idle connection that breaks under the next request",
                "100 before the answer",
                "103 before the answer",
                "no length, ended by closing",
                "chunks, and a length besides",
                "as it should be",
            ],
        ),
        (
            Some(Outcome::NotSent),
            &[
                "nobody listens at the port",
                "the name has no address",
                "nobody answers at the address",
                "a certificate of an unknown authority",
                "an expired certificate",
                "a certificate for another host",
                "plain HTTP where TLS should be",
                "a server that knows TLS 1.1 at most",
                "closed inside the handshake",
                "silence inside the handshake",
            ],
        ),
        (
            Some(Outcome::Rejected),
            &[
                "400 Bad Request",
                "401 Unauthorized",
                "403 Forbidden",
                "404 Not Found",
                "409 Conflict",
                "429 Too Many Requests",
                "429 Too Many Requests, `Retry-After: 1`",
                "429 Too Many Requests, `Retry-After` as a date in a second",
                "429 Too Many Requests, `Retry-After: 3600`",
            ],
        ),
        (
            Some(Outcome::Unknown),
            &[
                "a client certificate is asked for, and there is none",
                "an answer byte by byte, too slow",
                "silence after the request",
                "silence inside the headers",
                "reset before the request is read",
                "reset after the request is read",
                "reset after it took effect",
                "closed without an answer",
                "reset inside the headers",
                "another protocol's greeting",
                "a status line without a status",
                "HTTP/2 frames",
                "a header without a colon",
                "a NUL inside a header",
                "a page of HTML that calls itself a success",
                "103 without end",
                "101, to another protocol, after it took effect",
                "two lengths that differ",
                "a length that is no number",
                "a header line without end",
                "header lines without end",
                "500 Internal Server Error",
                "502 Bad Gateway, a page of HTML",
                "503 Service Unavailable, a page of HTML",
                "503 Service Unavailable, text, after it took effect",
                "503 Service Unavailable, JSON of a gateway, after it took effect",
                "504 Gateway Timeout, after it took effect",
                "503 Service Unavailable, `Retry-After: 1`",
                "503 Service Unavailable, `Retry-After` as a date in a second",
                "503 Service Unavailable, `Retry-After: 3600`",
                "301 Moved Permanently",
                "302 Found",
                "307 Temporary Redirect",
                "303 See Other, after it took effect",
                "308 Permanent Redirect",
                "HTML as `Text/HTML`, after it took effect",
                "HTML as `text/plain`",
                "HTML as `application/json`, cut",
            ],
        ),
        (
            Some(Outcome::Completed),
            &[
                "cut by someone in between, the length not announced",
                "silence inside the body",
                "reset inside the body",
                "closed inside the body",
                "a body that is no JSON",
                "a body of another JSON type",
                "an empty body",
                "a body that is cut, its length true",
                "a body that is no UTF-8",
                "a length that is too short",
                "a length that is too long",
                "chunks with a size that is no number",
                "chunks without the last one",
                "a chunk that is cut",
                "a chunk larger than any memory",
                "a chunk size that overflows",
                "a body without end",
                "chunks without end",
                "a gzip bomb",
                "damaged",
                "cut",
                "called compressed, and is not",
            ],
        ),
    ];
    let found = table.iter().find(|(_, faults)| faults.contains(&fault));
    found
        .unwrap_or_else(|| panic!("no outcome is written down for `{fault}`"))
        .0
}

fn no_connection(list: &mut List) {
    list.group("No connection");
    list.entry("nobody listens at the port", Entry::Nobody);
    list.entry("the name has no address", Entry::NoName);
    list.entry("nobody answers at the address", Entry::Full)
        .hangs = true;
}

fn tls(list: &mut List) {
    list.group("TLS");
    for (name, certificate) in [
        (
            "a certificate of an unknown authority",
            Certificate::UnknownAuthority,
        ),
        ("an expired certificate", Certificate::Expired),
        ("a certificate for another host", Certificate::OtherHost),
        (
            "a client certificate is asked for, and there is none",
            Certificate::AsksForOne,
        ),
    ] {
        list.entry(name, Entry::Tls(certificate));
    }
    let good = Entry::Tls(Certificate::Good);
    list.first("plain HTTP where TLS should be", |wire| {
        wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        wire.close();
    })
    .entry = good;
    list.first("a server that knows TLS 1.1 at most", |wire| {
        wire.send(server_hello_of_tls_1_1());
        wire.close();
    })
    .entry = good;
    list.first("closed inside the handshake", Wire::close).entry = good;
    let stalled = list.first("silence inside the handshake", Wire::hold);
    stalled.entry = good;
    stalled.hangs = true;
    list.answer(
        "cut by someone in between, the length not announced",
        |wire, answer| {
            let body = body_of(answer);
            let headers = ["Content-Length", "Connection: close"];
            wire.send(as_ok(answer).altered(&headers, &body[..body.len() / 2]));
            wire.close_tcp();
        },
    )
    .entry = good;
}

fn silence(list: &mut List) {
    list.group("Slowness and silence");
    list.answer("an answer after a second", |wire, answer| {
        std::thread::sleep(Duration::from_secs(1));
        wire.send(answer.bytes());
        wire.close();
    })
    .lasts = Duration::from_secs(1);
    list.answer("an answer byte by byte, in time", |wire, answer| {
        wire.drip(&answer.bytes(), Duration::from_micros(200));
        wire.close();
    })
    .lasts = Duration::from_millis(10);
    list.answer("an answer byte by byte, too slow", |wire, answer| {
        wire.drip(&answer.bytes(), Duration::from_millis(200));
    })
    .hangs = true;
    list.instead("silence after the request", Wire::hold).hangs = true;
    list.answer("silence inside the headers", |wire, answer| {
        wire.send(&answer.head[..answer.head.len() / 2]);
        wire.hold();
    })
    .hangs = true;
    list.answer("silence inside the body", |wire, answer| {
        wire.send(half_a_body(answer));
        wire.hold();
    })
    .hangs = true;
}

fn broken(list: &mut List) {
    list.group("Broken connections");
    list.first("reset before the request is read", Wire::reset);
    list.instead("reset after the request is read", Wire::reset);
    list.answer("reset after it took effect", |wire, _| wire.reset());
    list.instead("closed without an answer", Wire::close);
    list.answer("reset inside the headers", |wire, answer| {
        wire.send(&answer.head[..answer.head.len() / 2]);
        wire.reset();
    });
    list.answer("reset inside the body", |wire, answer| {
        wire.send(half_a_body(answer));
        wire.reset();
    });
    list.answer("closed inside the body", |wire, answer| {
        wire.send(half_a_body(answer));
        wire.close();
    });
    list.after("an idle connection that the server closed", Wire::close)
        .warm = true;
    for (protocol, entry) in [
        ("", Entry::Plain),
        (", over TLS", Entry::Tls(Certificate::Good)),
    ] {
        let name = format!("an idle connection with an answer that nobody asked for{protocol}");
        let stray = list.answer(&name, |wire, answer| {
            let stray = status("404 Not Found", "Server: stray", "");
            wire.send([answer.bytes(), stray.into_bytes()].concat());
            wire.hold();
        });
        stray.entry = entry;
        stray.warm = true;
    }
    let reset = Act::OnReuse(Arc::new(|wire, _| wire.reset()));
    let name = "an idle connection that breaks under the next request";
    list.push(name, Entry::Plain, Some(reset)).warm = true;
}

fn garbage(list: &mut List) {
    list.group("Not HTTP, or not what was described");
    for (name, bytes) in [
        ("another protocol's greeting", "SSH-2.0-OpenSSH_9.9\r\n"),
        (
            "a status line without a status",
            "HTTP/1.1 fine OK\r\nContent-Length: 0\r\n\r\n",
        ),
        ("HTTP/2 frames", "\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64"),
        (
            "a header without a colon",
            "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "a NUL inside a header",
            "HTTP/1.1 200 OK\r\nServer: a\0b\r\nContent-Length: 0\r\n\r\n",
        ),
    ] {
        list.answer(name, move |wire, _| {
            wire.send(bytes);
            wire.close();
        });
    }
    for (name, body) in [
        ("a body that is no JSON", "Hello"),
        ("a body of another JSON type", "[17]"),
        ("an empty body", ""),
        ("a body that is cut, its length true", r#"{"uuid": "3f0e"#),
    ] {
        list.answer(name, move |wire, answer| {
            wire.send(answer.with_body(body));
            wire.close();
        });
    }
    list.answer("a body that is no UTF-8", |wire, answer| {
        wire.send(answer.with_body(b"{\"uuid\": \"\xff\xfe\"}"));
        wire.close();
    });
    for (name, content_type) in [
        (
            "HTML as `Text/HTML`, after it took effect",
            "Text/HTML; charset=UTF-8",
        ),
        ("HTML as `text/plain`", "text/plain"),
    ] {
        let page = status(
            "200 OK",
            &format!("Content-Type: {content_type}"),
            "<!DOCTYPE html><title>Log in</title>",
        );
        list.answer(name, move |wire, _| {
            wire.send(&page);
            wire.close();
        });
    }
    list.instead("HTML as `application/json`, cut", |wire| {
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n";
        wire.send(format!("{head}<html><title>Log in"));
        wire.close();
    });
    list.instead("a page of HTML that calls itself a success", |wire| {
        wire.send(status(
            "200 OK",
            "Content-Type: text/html",
            "<title>Log in</title>",
        ));
        wire.close();
    });
}

fn interim(list: &mut List) {
    list.group("Interim answers");
    for (name, interim) in [
        ("100 before the answer", "HTTP/1.1 100 Continue\r\n\r\n"),
        (
            "103 before the answer",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
        ),
    ] {
        list.answer(name, move |wire, answer| {
            wire.send([interim.as_bytes(), &answer.bytes()].concat());
            wire.close();
        });
    }
    list.answer("103 without end", |wire, _| {
        while wire.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") {
            std::thread::sleep(Duration::from_millis(20));
        }
    })
    .hangs = true;
    list.answer(
        "101, to another protocol, after it took effect",
        |wire, _| {
            wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n");
            wire.close();
        },
    );
}

fn lengths(list: &mut List) {
    list.group("Lengths");
    list.answer("a length that is too short", |wire, answer| {
        wire.send(as_ok(answer).altered(&["Content-Length: 7"], body_of(answer)));
        wire.close();
    });
    list.answer("a length that is too long", |wire, answer| {
        let body = body_of(answer);
        let length = format!("Content-Length: {}", body.len() + 10);
        wire.send(as_ok(answer).altered(&[&length], body));
        wire.close();
    });
    list.answer("two lengths that differ", |wire, answer| {
        let lengths = "Content-Length: 9\r\nContent-Length: 11";
        wire.send(as_ok(answer).altered(&[lengths], body_of(answer)));
        wire.close();
    });
    list.answer("a length that is no number", |wire, answer| {
        wire.send(as_ok(answer).altered(&["Content-Length: many"], body_of(answer)));
        wire.close();
    });
    list.answer("no length, ended by closing", |wire, answer| {
        let headers = ["Content-Length", "Connection: close"];
        wire.send(as_ok(answer).altered(&headers, body_of(answer)));
        wire.close();
    });
    for (name, body) in [
        (
            "chunks with a size that is no number",
            "zz\r\n{}\r\n0\r\n\r\n",
        ),
        ("chunks without the last one", "2\r\n{}\r\n"),
        ("a chunk that is cut", "40\r\n{"),
        ("a chunk larger than any memory", "7fffffffffffffff\r\n{"),
        ("a chunk size that overflows", "ffffffffffffffffffff\r\n{"),
    ] {
        list.answer(name, move |wire, answer| {
            wire.send(chunked(answer, body));
            wire.close();
        });
    }
    list.answer("chunks, and a length besides", |wire, answer| {
        let headers = ["Content-Length: 3", "Transfer-Encoding: chunked"];
        let body = body_of(answer);
        let mut chunks = format!("{:x}\r\n", body.len()).into_bytes();
        chunks.extend_from_slice(&body);
        chunks.extend_from_slice(b"\r\n0\r\n\r\n");
        wire.send(as_ok(answer).altered(&headers, chunks));
        wire.close();
    });
}

fn too_much(list: &mut List) {
    list.group("Too much");
    list.answer("a header line without end", |wire, _| {
        wire.send("HTTP/1.1 200 OK\r\nServer: ");
        wire.send_forever([b'a'; 4096]);
    });
    list.answer("header lines without end", |wire, _| {
        wire.send("HTTP/1.1 200 OK\r\n");
        wire.send_forever("Set-Cookie: a=b\r\n".repeat(100));
    });
    list.answer("a body without end", |wire, answer| {
        let headers = ["Content-Length", "Connection: close"];
        wire.send(as_ok(answer).altered(&headers, ""));
        wire.send_forever([b' '; 16 * 1024]);
    });
    list.answer("chunks without end", |wire, answer| {
        wire.send(chunked(answer, ""));
        wire.send_forever([&b"400\r\n"[..], &[b' '; 0x400], b"\r\n"].concat());
    });
    let bomb = compressed(&vec![b' '; 8 * MAX_BYTES as usize]);
    list.answer("a gzip bomb", move |wire, answer| {
        wire.send(gzipped(answer, &bomb));
        wire.close();
    });
}

fn gzip(list: &mut List) {
    list.group("Compressed answers");
    list.answer("as it should be", |wire, answer| {
        wire.send(gzipped(answer, &compressed(&body_of(answer))));
        wire.close();
    });
    list.answer("damaged", |wire, answer| {
        let mut body = compressed(&body_of(answer));
        let middle = body.len() / 2;
        body[middle..middle + 4].fill(0xff);
        wire.send(gzipped(answer, &body));
        wire.close();
    });
    list.answer("cut", |wire, answer| {
        let body = compressed(&body_of(answer));
        wire.send(gzipped(answer, &body[..body.len() / 2]));
        wire.close();
    });
    list.answer("called compressed, and is not", |wire, answer| {
        wire.send(gzipped(answer, &body_of(answer)));
        wire.close();
    });
}

fn statuses(list: &mut List) {
    list.group("Refusals and failures");
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
            &format!("{line}, a page of HTML"),
            line,
            "Content-Type: text/html",
            page,
        );
    }
    for (name, header, body) in [
        (
            "text",
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
        let name = format!("{line}, {name}, after it took effect");
        list.answer(&name, move |wire, _| {
            wire.send(status(line, header, body));
            wire.close();
        });
    }
    list.answer("504 Gateway Timeout, after it took effect", |wire, _| {
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
            &format!("{line}, `Retry-After` as a date in a second"),
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
    list.answer("303 See Other, after it took effect", |wire, _| {
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

    fn push(&mut self, name: &str, entry: Entry, act: Option<Act>) -> &mut Fault {
        self.faults.push(Fault {
            group: self.group,
            name: name.to_owned(),
            entry,
            act,
            hangs: false,
            lasts: Duration::ZERO,
            warm: false,
        });
        self.faults.last_mut().expect("just pushed")
    }

    fn entry(&mut self, name: &str, entry: Entry) -> &mut Fault {
        self.push(name, entry, None)
    }

    /// In place of reading anything.
    fn first(&mut self, name: &str, act: impl Fn(&mut Wire) + Send + Sync + 'static) -> &mut Fault {
        let act = Act::InPlaceOfReading(Arc::new(move |wire, _| act(wire)));
        self.push(name, Entry::Plain, Some(act))
    }

    /// In place of letting the request take effect.
    fn instead(
        &mut self,
        name: &str,
        act: impl Fn(&mut Wire) + Send + Sync + 'static,
    ) -> &mut Fault {
        let act = Act::InPlaceOfAnswer(Arc::new(move |wire, _| act(wire)));
        self.push(name, Entry::Plain, Some(act))
    }

    /// In place of the answer, the request having taken effect.
    fn answer(
        &mut self,
        name: &str,
        act: impl Fn(&mut Wire, &Answer) + Send + Sync + 'static,
    ) -> &mut Fault {
        self.push(name, Entry::Plain, Some(Act::WithAnswer(Arc::new(act))))
    }

    /// After a good answer.
    fn after(&mut self, name: &str, act: impl Fn(&mut Wire) + Send + Sync + 'static) -> &mut Fault {
        let act = Act::AfterAnswer(Arc::new(move |wire, _| act(wire)));
        self.push(name, Entry::Plain, Some(act))
    }

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

/// The answer's body; an object where it has none, so that there is something to spoil.
fn body_of(answer: &Answer) -> Vec<u8> {
    if answer.body.is_empty() {
        b"{\"nothing\": \"to say\"}".to_vec()
    } else {
        answer.body.clone()
    }
}

/// An answer that may have a body.
fn as_ok(answer: &Answer) -> Answer {
    Answer {
        head: answer.with_body("")[..].to_vec(),
        body: Vec::new(),
    }
}

fn half_a_body(answer: &Answer) -> Vec<u8> {
    let body = body_of(answer);
    let mut whole = answer.with_body(&body);
    whole.truncate(whole.len() - body.len() / 2);
    whole
}

fn chunked(answer: &Answer, body: &str) -> Vec<u8> {
    as_ok(answer).altered(&["Content-Length", "Transfer-Encoding: chunked"], body)
}

fn gzipped(answer: &Answer, body: &[u8]) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    as_ok(answer).altered(&[&length, "Content-Encoding: gzip"], body)
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A `ServerHello` that settles for TLS 1.1, as no server with rustls could send it.
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
