//! A misbehaving server: it stands in front of the sandbox, passes requests on, and does to the
//! connections and answers whatever a fault says. It counts what it was asked.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What a fault does to a connection.
#[derive(Clone)]
pub(crate) enum Act {
    /// In place of reading what the client sends first, TLS included.
    InPlaceOfReading(Action),
    /// In place of passing the request on: it never takes effect.
    InPlaceOfAnswer(Action),
    /// In place of the answer that came back: the request has taken effect.
    WithAnswer(Action),
    /// With the connection, after an answer has gone out as it came.
    AfterAnswer(Action),
    /// In place of the answer to a request that comes by a connection which had another before.
    OnReuse(Action),
}

pub(crate) type Action = Arc<dyn Fn(&mut Wire, &Answer) + Send + Sync>;

/// How a front misbehaves, and how often.
#[derive(Clone)]
pub(crate) struct Misbehaviour {
    pub(crate) act: Act,
    /// How many requests (or connections) are struck; all of them without a number.
    pub(crate) times: Option<u32>,
}

/// A front; it stops when it is dropped.
pub(crate) struct Front {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    upstream: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    misbehaviour: Option<Misbehaviour>,
    struck: AtomicU32,
    connections: AtomicU32,
    requests: AtomicU32,
    stopped: AtomicBool,
}

impl Front {
    /// Starts without TLS.
    pub(crate) fn plain(upstream: SocketAddr, misbehaviour: Option<Misbehaviour>) -> Front {
        Front::start(
            upstream,
            None::<fn(IpAddr) -> Arc<ServerConfig>>,
            misbehaviour,
        )
    }

    /// Starts in front of `upstream`, with `tls` for its address.
    pub(crate) fn start(
        upstream: SocketAddr,
        tls: Option<impl FnOnce(IpAddr) -> Arc<ServerConfig>>,
        misbehaviour: Option<Misbehaviour>,
    ) -> Front {
        let listener = TcpListener::bind((unused_address(), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            upstream,
            tls: tls.map(|tls| tls(address.ip())),
            misbehaviour,
            struck: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            stopped: AtomicBool::new(false),
        });
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(Ordering::Acquire) {
                    break;
                }
                // A client that reset its connection meanwhile is no concern.
                let Ok(stream) = stream else { continue };
                serving.connections.fetch_add(1, Ordering::AcqRel);
                let state = Arc::clone(&serving);
                std::thread::spawn(move || {
                    // The client may break off at any time.
                    let _ = state.serve(stream);
                });
            }
        });
        Front { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connections(&self) -> u32 {
        self.state.connections.load(Ordering::Acquire)
    }

    /// Requests of which any byte arrived.
    pub(crate) fn requests(&self) -> u32 {
        self.state.requests.load(Ordering::Acquire)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// An address of this machine that no front had before: the pace of token requests is kept for each
/// address, and ports come back.
fn unused_address() -> Ipv4Addr {
    static ADDRESSES: AtomicU32 = AtomicU32::new(u32::from_be_bytes([127, 1, 0, 1]));
    Ipv4Addr::from(ADDRESSES.fetch_add(1, Ordering::Relaxed))
}

impl State {
    /// Serves one connection to its end.
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        if let Some(Misbehaviour {
            act: Act::InPlaceOfReading(action),
            ..
        }) = &self.misbehaviour
        {
            // By then the request (or the TLS hello) is on its way, whatever happens to it.
            if stream.peek(&mut [0])? == 0 {
                return Ok(());
            }
            if self.strikes() {
                if self.tls.is_none() {
                    self.requests.fetch_add(1, Ordering::AcqRel);
                }
                action(&mut Wire::Plain(stream), &Answer::default());
                return Ok(());
            }
        }
        let mut wire = match &self.tls {
            None => Wire::Plain(stream),
            Some(config) => {
                let mut connection =
                    ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                let mut stream = stream;
                let established = connection.complete_io(&mut stream);
                let mut wire = Wire::Tls(Box::new(StreamOwned::new(connection, stream)));
                if established.is_err() {
                    // The alert that says why has to arrive.
                    wire.close();
                    return Ok(());
                }
                wire
            }
        };
        let act = self
            .misbehaviour
            .as_ref()
            .map(|misbehaviour| &misbehaviour.act);
        let mut upstream: Option<TcpStream> = None;
        while let Some(request) = read_message(&mut wire, || {
            self.requests.fetch_add(1, Ordering::AcqRel);
        })? {
            match act {
                Some(Act::InPlaceOfAnswer(action)) if self.strikes() => {
                    action(&mut wire, &Answer::default());
                    return Ok(());
                }
                Some(Act::OnReuse(action)) if upstream.is_some() && self.strikes() => {
                    action(&mut wire, &Answer::default());
                    return Ok(());
                }
                _ => {}
            }
            let server = match &mut upstream {
                Some(server) => server,
                none => none.insert(TcpStream::connect(self.upstream)?),
            };
            server.write_all(&request.bytes())?;
            let answer = read_message(server, || {})?.ok_or(io::ErrorKind::UnexpectedEof)?;
            match act {
                Some(Act::WithAnswer(action)) if self.strikes() => {
                    action(&mut wire, &answer);
                    return Ok(());
                }
                Some(Act::AfterAnswer(action)) if self.strikes() => {
                    wire.send(answer.bytes());
                    action(&mut wire, &answer);
                    return Ok(());
                }
                _ => {
                    wire.send(answer.bytes());
                }
            }
        }
        Ok(())
    }

    /// Counts a request against the number that is to be struck.
    fn strikes(&self) -> bool {
        let struck = self.struck.fetch_add(1, Ordering::AcqRel);
        let times = self
            .misbehaviour
            .as_ref()
            .map_or(Some(0), |misbehaviour| misbehaviour.times);
        times.is_none_or(|times| struck < times)
    }
}

/// A connection to a client.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    /// Sends bytes as they are; a client that is gone does not matter.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.write_all(bytes.as_ref())
            .and_then(|()| self.flush())
            .is_ok()
    }

    /// Sends one byte at a time, with a pause after each, for as long as the client takes them.
    pub(crate) fn drip(&mut self, bytes: &[u8], pause: Duration) {
        for byte in bytes {
            if !self.send([*byte]) {
                break;
            }
            std::thread::sleep(pause);
        }
    }

    /// Sends the same bytes again and again, for as long as the client takes them.
    pub(crate) fn send_forever(&mut self, bytes: impl AsRef<[u8]>) {
        while self.send(bytes.as_ref()) {}
    }

    /// Says nothing more until the client closes the connection.
    pub(crate) fn hold(&mut self) {
        while self.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    }

    /// Closes the connection in an orderly way once the client has everything.
    pub(crate) fn close(&mut self) {
        if let Wire::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        self.close_tcp();
    }

    /// The same, without TLS being told: as someone in between can do.
    pub(crate) fn close_tcp(&mut self) {
        let _ = self.tcp().shutdown(std::net::Shutdown::Write);
        // Closing with bytes unread would reset the connection.
        while self.tcp().read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    }

    /// Makes the connection end with a reset when it is dropped.
    pub(crate) fn reset(&mut self) {
        let _ = set_socket_linger(self.tcp(), Some(Duration::ZERO));
        if let Wire::Tls(stream) = self {
            // Nothing may be sent by way of saying goodbye.
            let _ = stream.sock.shutdown(std::net::Shutdown::Read);
        }
    }

    fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Wire::Plain(stream) => stream,
            Wire::Tls(stream) => &mut stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.write(buffer),
            Wire::Tls(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}

/// A message as it came: the head with its empty line, and the body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head.as_slice(), &self.body].concat()
    }

    /// The same status and headers, with some headers replaced or added and another body. Headers
    /// are lines such as `Content-Length: 3`; one that only names its header removes it.
    pub(crate) fn altered(&self, headers: &[&str], body: impl AsRef<[u8]>) -> Vec<u8> {
        let name = |line: &str| line.split(':').next().unwrap_or(line).to_ascii_lowercase();
        let head = String::from_utf8(self.head.clone()).expect("the sandbox sends ASCII");
        let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
        lines.retain(|line| !headers.iter().any(|header| name(header) == name(line)));
        lines.extend(headers.iter().filter(|header| header.contains(':')));
        [lines.join("\r\n").as_bytes(), b"\r\n\r\n", body.as_ref()].concat()
    }

    /// The same with another body of its true length.
    pub(crate) fn with_body(&self, body: impl AsRef<[u8]>) -> Vec<u8> {
        let length = format!("Content-Length: {}", body.as_ref().len());
        // An answer that says it has no content would have none whatever follows.
        let as_ok = Answer {
            head: String::from_utf8(self.head.clone())
                .expect("the sandbox sends ASCII")
                .replacen("204 No Content", "200 OK", 1)
                .into_bytes(),
            body: Vec::new(),
        };
        as_ok.altered(&[&length], body)
    }
}

/// Reads a message with its body; `None` where the other end closed instead. `begun` is told when
/// its first byte is there.
fn read_message(from: &mut impl Read, begun: impl FnOnce()) -> io::Result<Option<Answer>> {
    let mut begun = Some(begun);
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            let length = content_length(&bytes);
            if body.len() >= length {
                return Ok(Some(Answer { head: bytes, body }));
            }
            let mut rest = vec![0; length - body.len()];
            from.read_exact(&mut rest)?;
            return Ok(Some(Answer {
                head: bytes,
                body: [body, rest].concat(),
            }));
        }
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(None);
        }
        if let Some(begun) = begun.take() {
            begun();
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
}

fn content_length(head: &[u8]) -> usize {
    String::from_utf8_lossy(head)
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, length)| length.trim().parse().expect("a length"))
}
