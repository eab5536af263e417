//! Proxy between a client and the mock server that injects faults into connections and responses, and
//! counts connections and requests.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use socket2::SockRef;

/// The point at which a fault is injected into a connection, and the action there.
#[derive(Clone)]
pub(crate) enum Injection {
    /// Before anything is read from the client, the TLS handshake included.
    BeforeRead(Action),
    /// Instead of forwarding the request, which is not executed.
    BeforeForward(Action),
    /// Instead of the server's response to the request, which was executed.
    ReplaceResponse(Action),
    /// After the response was sent unmodified.
    AfterResponse(Action),
    /// Instead of forwarding a request that reuses a connection.
    OnReuse(Action),
}

pub(crate) type Action = Arc<dyn Fn(&mut Wire, &HttpMessage) + Send + Sync>;

/// A fault that a proxy injects.
#[derive(Clone)]
pub(crate) struct InjectedFault {
    pub(crate) injection: Injection,
    /// Number of requests (or connections) into which it is injected; `None`: all.
    pub(crate) times: Option<u32>,
}

/// A running proxy; stops when dropped.
pub(crate) struct FaultProxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    upstream: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    fault: Option<InjectedFault>,
    injected: AtomicU32,
    connections: AtomicU32,
    requests: AtomicU32,
    stopped: AtomicBool,
}

impl FaultProxy {
    /// Starts a proxy without TLS.
    pub(crate) fn plain(upstream: SocketAddr, fault: Option<InjectedFault>) -> FaultProxy {
        FaultProxy::start(upstream, None::<fn(IpAddr) -> Arc<ServerConfig>>, fault)
    }

    /// Starts a proxy in front of `upstream`, with the TLS configuration that `tls` returns for its
    /// address.
    pub(crate) fn start(
        upstream: SocketAddr,
        tls: Option<impl FnOnce(IpAddr) -> Arc<ServerConfig>>,
        fault: Option<InjectedFault>,
    ) -> FaultProxy {
        let listener = TcpListener::bind((unused_address(), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            upstream,
            tls: tls.map(|tls| tls(address.ip())),
            fault,
            injected: AtomicU32::new(0),
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
                // Fails if the client has reset the connection.
                let Ok(stream) = stream else { continue };
                serving.connections.fetch_add(1, Ordering::AcqRel);
                let state = Arc::clone(&serving);
                std::thread::spawn(move || {
                    // Fails if the client closes the connection.
                    let _ = state.serve(stream);
                });
            }
        });
        FaultProxy { address, state }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connections(&self) -> u32 {
        self.state.connections.load(Ordering::Acquire)
    }

    /// Returns the number of requests of which at least one byte was received.
    pub(crate) fn requests(&self) -> u32 {
        self.state.requests.load(Ordering::Acquire)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::Release);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

/// Returns a loopback address that no proxy has used: the rate limit of token requests applies per host,
/// and ports are reused.
fn unused_address() -> Ipv4Addr {
    static ADDRESSES: AtomicU32 = AtomicU32::new(u32::from_be_bytes([127, 1, 0, 1]));
    Ipv4Addr::from(ADDRESSES.fetch_add(1, Ordering::Relaxed))
}

impl State {
    /// Serves one connection to its end.
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        if let Some(InjectedFault {
            injection: Injection::BeforeRead(action),
            ..
        }) = &self.fault
        {
            // Wait until a byte of the request or of the TLS handshake has been received.
            if stream.peek(&mut [0])? == 0 {
                return Ok(());
            }
            if self.is_injected() {
                if self.tls.is_none() {
                    self.requests.fetch_add(1, Ordering::AcqRel);
                }
                action(&mut Wire::Plain(stream), &HttpMessage::default());
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
                    // The client has to receive the TLS alert.
                    wire.close();
                    return Ok(());
                }
                wire
            }
        };
        let injection = self.fault.as_ref().map(|fault| &fault.injection);
        let mut upstream: Option<TcpStream> = None;
        while let Some(request) = read_message(&mut wire, || {
            self.requests.fetch_add(1, Ordering::AcqRel);
        })? {
            match injection {
                Some(Injection::BeforeForward(action)) if self.is_injected() => {
                    action(&mut wire, &HttpMessage::default());
                    return Ok(());
                }
                Some(Injection::OnReuse(action)) if upstream.is_some() && self.is_injected() => {
                    action(&mut wire, &HttpMessage::default());
                    return Ok(());
                }
                _ => {}
            }
            let server = match &mut upstream {
                Some(server) => server,
                none => none.insert(TcpStream::connect(self.upstream)?),
            };
            server.write_all(&request.bytes())?;
            let response = read_message(server, || {})?.ok_or(io::ErrorKind::UnexpectedEof)?;
            match injection {
                Some(Injection::ReplaceResponse(action)) if self.is_injected() => {
                    action(&mut wire, &response);
                    return Ok(());
                }
                Some(Injection::AfterResponse(action)) if self.is_injected() => {
                    wire.send(response.bytes());
                    action(&mut wire, &response);
                    return Ok(());
                }
                _ => {
                    wire.send(response.bytes());
                }
            }
        }
        Ok(())
    }

    /// Counts a request, and returns whether the fault is injected into it.
    fn is_injected(&self) -> bool {
        let injected = self.injected.fetch_add(1, Ordering::AcqRel);
        let times = self.fault.as_ref().map_or(Some(0), |fault| fault.times);
        times.is_none_or(|times| injected < times)
    }
}

/// A connection to a client.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    /// Sends bytes unmodified. Returns false if the client has closed the connection.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.write_all(bytes.as_ref())
            .and_then(|()| self.flush())
            .is_ok()
    }

    /// Sends one byte at a time, with a pause after each, until the client closes the connection.
    pub(crate) fn send_slowly(&mut self, bytes: &[u8], pause: Duration) {
        for byte in bytes {
            if !self.send([*byte]) {
                break;
            }
            std::thread::sleep(pause);
        }
    }

    /// Sends the same bytes repeatedly until the client closes the connection.
    pub(crate) fn send_endlessly(&mut self, bytes: impl AsRef<[u8]>) {
        while self.send(bytes.as_ref()) {}
    }

    /// Sends nothing until the client closes the connection.
    pub(crate) fn stall(&mut self) {
        while self.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    }

    /// Closes the connection, with a TLS close_notify, after the client has received everything.
    pub(crate) fn close(&mut self) {
        if let Wire::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
        self.close_tcp();
    }

    /// Closes the TCP connection without a TLS close_notify, as a third party can.
    pub(crate) fn close_tcp(&mut self) {
        let _ = self.tcp().shutdown(std::net::Shutdown::Write);
        // Closing with bytes unread would reset the connection.
        while self.tcp().read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    }

    /// Makes the connection end with a reset when it is dropped.
    pub(crate) fn reset(&mut self) {
        let _ = SockRef::from(&*self.tcp()).set_linger(Some(Duration::ZERO));
        if let Wire::Tls(stream) = self {
            // Nothing may be sent when the connection closes.
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

/// An HTTP request or response, unmodified: its head with the empty line, and its body.
#[derive(Debug, Clone, Default)]
pub(crate) struct HttpMessage {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl HttpMessage {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head.as_slice(), &self.body].concat()
    }

    /// Returns the message with other headers and another body. A header line such as
    /// `Content-Length: 3` replaces or adds a header; a name without a value removes it.
    pub(crate) fn with_headers_and_body(
        &self,
        headers: &[&str],
        body: impl AsRef<[u8]>,
    ) -> Vec<u8> {
        let name = |line: &str| line.split(':').next().unwrap_or(line).to_ascii_lowercase();
        let head = String::from_utf8(self.head.clone()).expect("the sandbox sends ASCII");
        let mut lines: Vec<&str> = head.trim_end().split("\r\n").collect();
        lines.retain(|line| !headers.iter().any(|header| name(header) == name(line)));
        lines.extend(headers.iter().filter(|header| header.contains(':')));
        [lines.join("\r\n").as_bytes(), b"\r\n\r\n", body.as_ref()].concat()
    }

    /// Returns the message with another body and its `Content-Length`.
    pub(crate) fn with_body(&self, body: impl AsRef<[u8]>) -> Vec<u8> {
        let length = format!("Content-Length: {}", body.as_ref().len());
        // A response with status 204 has no body.
        let with_status_200 = HttpMessage {
            head: String::from_utf8(self.head.clone())
                .expect("the sandbox sends ASCII")
                .replacen("204 No Content", "200 OK", 1)
                .into_bytes(),
            body: Vec::new(),
        };
        with_status_200.with_headers_and_body(&[&length], body)
    }
}

/// Reads a message; `None` if the peer closed the connection. Calls `begun` after the first byte.
fn read_message(from: &mut impl Read, begun: impl FnOnce()) -> io::Result<Option<HttpMessage>> {
    let mut begun = Some(begun);
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            let length = content_length(&bytes);
            if body.len() >= length {
                return Ok(Some(HttpMessage { head: bytes, body }));
            }
            let mut rest = vec![0; length - body.len()];
            from.read_exact(&mut rest)?;
            return Ok(Some(HttpMessage {
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
        .map_or(0, |(_, length)| length.trim().parse().expect("a number"))
}
