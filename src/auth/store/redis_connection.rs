//! A connection to a Redis or Valkey server: URL, TCP, TLS, authentication, and responses.
//!
//! Sockets and TLS are the library's own, so that every step has a deadline and the TLS settings are
//! those of the API's connections. Parses URLs and responses with the `redis` crate.

use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use percent_encoding::percent_decode_str;
use redis::{Parser, RedisError, Value, cmd};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use socket2::{Domain, Protocol, Type};

use crate::auth::StoreTls;
use crate::config_values::is_loopback;
use crate::fork::ProcessOwned;
use crate::secret::{Secret, SecretBuffer, Zeroizing};

const DEFAULT_PORT: u16 = 6379;

/// Maximum time to pass a command to the system if no caller waits for its response. That is
/// immediate unless the send buffer is full.
const SEND_TIMEOUT: Duration = Duration::from_millis(1);

/// Deadline of one operation.
#[derive(Clone, Copy)]
pub(super) struct Budget {
    until: Instant,
}

impl Budget {
    pub(super) fn new(timeout: Duration) -> Self {
        Budget {
            until: Instant::now() + timeout,
        }
    }

    pub(super) fn remaining(self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        // For a socket, zero means no timeout.
        match left.is_zero() {
            true => Err(no_response()),
            false => Ok(left),
        }
    }
}

/// Location and credentials of a server.
pub(super) struct Server {
    host: String,
    port: u16,
    /// Empty for the default user.
    user: Secret,
    /// `None` if the server needs none.
    password: Option<Secret>,
    database: u32,
    tls: Option<StoreTls>,
}

impl Server {
    /// Parses `redis://[[user]:password@]host[:port][/database]`. Not with the `redis` crate, which
    /// leaves the password in freed memory.
    ///
    /// # Errors
    ///
    /// What is wrong with the URL. Does not contain it, because of its password.
    pub(super) fn new(url: &Secret, tls: Option<&StoreTls>) -> Result<Self, String> {
        const EXAMPLE: &str =
            "is not a valid Redis or Valkey URL, such as redis://:password@host:6379/0";
        let (scheme, rest) = url.expose().split_once("://").ok_or(EXAMPLE)?;
        let is_encrypted = match scheme {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" => true,
            _ => return Err(EXAMPLE.into()),
        };
        if rest.contains('#') {
            return Err("has a fragment, which is not supported".into());
        }
        if rest.contains('?') {
            return Err("has a query, which is not supported".into());
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, location) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        let password = (!password.is_empty()).then(|| decoded(password));
        let (host, port) = host_and_port(location).ok_or(EXAMPLE)?;
        let database = match path.trim_matches('/') {
            "" => 0,
            number => number.parse().map_err(|_| EXAMPLE)?,
        };
        if is_encrypted && ServerName::try_from(host.as_str()).is_err() {
            return Err("has a host name that no certificate can have".into());
        }
        let tls = match (is_encrypted, tls) {
            (true, None) => return Err("needs TLS settings".into()),
            (true, Some(tls)) => Some(tls.clone()),
            (false, _) => None,
        };
        Ok(Server {
            host,
            port,
            user: decoded(user).ok_or(EXAMPLE)?,
            password: password.map(|it| it.ok_or(EXAMPLE)).transpose()?,
            database,
            tls,
        })
    }

    /// Returns the name of the store in log records and reports.
    pub(super) fn describe(&self) -> String {
        format!("Redis at {}", self.address())
    }

    /// Returns the host and port, without user and password.
    pub(super) fn address(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Returns whether a password is sent unencrypted to another machine.
    pub(super) fn sends_unencrypted_password(&self) -> bool {
        self.tls.is_none() && self.password.is_some() && !is_loopback(&self.host)
    }

    /// Connects and authenticates. DNS resolution may exceed the budget.
    pub(super) fn connect(&self, budget: Budget) -> io::Result<Connection> {
        let mut connection = Connection {
            stream: self.open(budget).map_err(not_connected)?,
            parser: Parser::new(),
        };
        let user = self.user.expose();
        let password = self.password.as_ref().map_or("", Secret::expose);
        // The capacity suffices: a buffer that grows leaves copies in memory.
        let capacity = user.len() + password.len() + 128;
        let mut handshake = Zeroizing::new(Vec::with_capacity(capacity));
        let mut responses = 0;
        if !password.is_empty() {
            let arguments = ["AUTH", user, password].into_iter();
            let arguments: Vec<_> = arguments.filter(|it| !it.is_empty()).collect();
            write!(handshake, "*{}\r\n", arguments.len())?;
            for argument in arguments {
                write!(handshake, "${}\r\n{argument}\r\n", argument.len())?;
            }
            responses += 1;
        }
        if self.database != 0 {
            handshake.extend(cmd("SELECT").arg(self.database).get_packed_command());
            responses += 1;
        }
        if responses > 0 {
            connection.send(&handshake, budget)?;
        }
        for _ in 0..responses {
            let response = connection.read_response(budget)?;
            response.map_err(|error| not_connected(to_io_error(&error)))?;
        }
        Ok(connection)
    }

    fn open(&self, budget: Budget) -> io::Result<Stream> {
        let mut result = Err(io::Error::new(io::ErrorKind::NotFound, "host not found"));
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            result = connect(address, budget.remaining()?);
            if result.is_ok() {
                break;
            }
        }
        let stream = result?;
        stream.set_nodelay(true)?;
        let socket = Socket { stream, budget };
        let Some(tls) = &self.tls else {
            return Ok(Stream::Plain(socket));
        };
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let session = ClientConnection::new(tls.config.clone(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Stream::Tls(Box::new(stream)))
    }
}

/// Connects to an address. A child that is forked meanwhile closes the socket.
fn connect(address: SocketAddr, timeout: Duration) -> io::Result<ProcessOwned<TcpStream>> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    let socket = ProcessOwned::new(socket);
    socket.connect_timeout(&address.into(), timeout)?;
    Ok(socket.map(TcpStream::from))
}

/// Decodes the percent-encoding of a part of a URL. Returns `None` if it is not UTF-8.
fn decoded(part: &str) -> Option<Secret> {
    let mut decoded = SecretBuffer::with_capacity(part.len());
    percent_decode_str(part).for_each(|byte| decoded.extend(&[byte]));
    let mut decoded = decoded.into_string()?;
    Some(Secret::new(std::mem::take(&mut *decoded)))
}

/// Parses `host[:port]`; an IPv6 address is in brackets.
fn host_and_port(location: &str) -> Option<(String, u16)> {
    let (host, rest) = match location.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => location.split_at(location.find(':').unwrap_or(location.len())),
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if rest.is_empty() => DEFAULT_PORT,
        None => return None,
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    let is_valid = !host.is_empty() && host.chars().all(is_name);
    is_valid.then(|| (host.to_owned(), port))
}

/// A connection that sends commands and reads responses.
pub(super) struct Connection {
    stream: Stream,
    parser: Parser,
}

impl Connection {
    pub(super) fn send(&mut self, commands: &[u8], budget: Budget) -> io::Result<()> {
        self.stream.socket().budget = budget;
        self.stream.write_all(commands)?;
        self.stream.flush()
    }

    /// Sends a command whose response no caller waits for.
    pub(super) fn send_without_waiting(&mut self, command: &[u8]) -> io::Result<()> {
        self.send(command, Budget::new(SEND_TIMEOUT))
    }

    /// Reads the next response, which may be an error of the server.
    pub(super) fn read_response(
        &mut self,
        budget: Budget,
    ) -> io::Result<Result<Value, RedisError>> {
        self.stream.socket().budget = budget;
        match self.parser.parse_value(&mut self.stream) {
            Ok(response) => Ok(response.extract_error()),
            Err(error) if error.is_timeout() => Err(no_response()),
            Err(error) if error.is_connection_dropped() => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "connection closed by peer",
            )),
            Err(error) => Err(io::Error::new(
                io::ErrorKind::NotConnected,
                match error.is_io_error() {
                    true => error.to_string(),
                    // The parser's message has several lines and shows parts of the response.
                    false => NOT_REDIS.to_owned(),
                },
            )),
        }
    }
}

const NOT_REDIS: &str = "it does not respond in the protocol of Redis; check the URL, which begins with \
                         `rediss://` if the server requires TLS";

enum Stream {
    Plain(Socket),
    Tls(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Stream {
    fn socket(&mut self) -> &mut Socket {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => &mut stream.sock,
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// A socket whose reads and writes end with a budget.
struct Socket {
    /// Closed in a forked child.
    stream: ProcessOwned<TcpStream>,
    budget: Budget,
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream
            .set_read_timeout(Some(self.budget.remaining()?))?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream
            .set_write_timeout(Some(self.budget.remaining()?))?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn no_response() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no response in time")
}

/// Unix reports the timeout of a socket as an operation that would block.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => no_response(),
        _ => error,
    }
}

/// Converts an error while connecting, including rejected credentials, to one that means that the
/// store cannot be reached.
fn not_connected(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::TimedOut => error,
        _ => io::Error::new(io::ErrorKind::NotConnected, error.to_string()),
    }
}

/// Converts an error of the server. Its kind says what follows from it.
pub(super) fn to_io_error(error: &RedisError) -> io::Error {
    use io::ErrorKind::*;
    let text = error.detail().unwrap_or_default();
    let (kind, message) = match error.code().unwrap_or_default() {
        "READONLY" => (
            ReadOnlyFilesystem,
            "the server is a read-only replica; use the URL of the primary".to_owned(),
        ),
        "MOVED" | "ASK" | "CLUSTERDOWN" | "CROSSSLOT" | "TRYAGAIN" => (
            Unsupported,
            "Redis Cluster is not supported; use the URL of a standalone server".to_owned(),
        ),
        "NOPERM" => (PermissionDenied, format!("permission denied: {text}")),
        // Nothing works on such a server.
        code @ ("LOADING" | "MASTERDOWN" | "NOAUTH" | "WRONGPASS") => {
            (NotConnected, format!("{code}: {text}"))
        }
        "ERR" if text.starts_with("unknown command") => (
            Unsupported,
            format!(
                "{text}; use the URL of a Redis or Valkey server, not of a Sentinel or another \
                 service"
            ),
        ),
        code => (Other, format!("{code}: {text}")),
    };
    io::Error::new(kind, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Server {
        Server::new(&Secret::from(url), None).unwrap()
    }

    #[test]
    fn server_of_another_protocol_is_rejected_with_a_reason() {
        crate::limited::limit_this_process();
        for response in [
            &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"[..],
            // An alert of TLS 1.2.
            b"\x15\x03\x03\x00\x02\x02\x46",
            &b"*1\r\n".repeat(1_000),
        ] {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let error = std::thread::scope(|scope| {
                scope.spawn(|| {
                    let mut stream = listener.accept().unwrap().0;
                    let _ = stream.read(&mut [0; 1024]).unwrap();
                    stream.write_all(response).unwrap();
                });
                let server = server(&format!("redis://:hunter2@{address}"));
                let budget = Budget::new(Duration::from_secs(20));
                server.connect(budget).err().unwrap()
            });
            assert_eq!(error.to_string(), NOT_REDIS);
        }
    }

    #[test]
    fn server_is_located_by_its_url() {
        #[rustfmt::skip]
        let table = [
            ("redis://host",                  "host:6379"),
            ("valkey://:hunter2@host:7000/3", "host:7000"),
            ("redis://me:hunter2@[::1]",      "[::1]:6379"),
            ("valkey://10.0.0.1",             "10.0.0.1:6379"),
        ];
        for (url, address) in table {
            assert_eq!(server(url).address(), address);
        }
    }

    #[test]
    fn credentials_and_database_are_parts_of_the_url() {
        #[rustfmt::skip]
        let table = [
            ("redis://host",                      "",      None,             0),
            ("redis://host:7000/",                "",      None,             0),
            ("redis://:hunter2@host",             "",      Some("hunter2"),  0),
            ("redis://me:hunter2@host/15",        "me",    Some("hunter2"), 15),
            ("redis://me@host",                   "me",    None,             0),
            ("redis://m%40e:h%2Fu%3An%40ter@host/2/", "m@e", Some("h/u:n@ter"), 2),
            ("redis://me:a:b@c@host",             "me",    Some("a:b@c"),    0),
            ("redis://:%C3%A4@host",              "",      Some("ä"),        0),
        ];
        for (url, user, password, database) in table {
            let server = server(url);
            assert_eq!(server.user.expose(), user, "{url}");
            let found = server.password.as_ref().map(Secret::expose);
            assert_eq!((found, server.database), (password, database), "{url}");
        }
    }

    #[test]
    fn invalid_urls_are_rejected_without_their_password() {
        for url in [
            "redis:hunter2@host",
            "http://:hunter2@host",
            "redis://",
            "redis://:hunter2@",
            "redis://:hunter2@:6379",
            "redis://:hunter2@host:port",
            "redis://:hunter2@host:0",
            "redis://:hunter2@host:65536",
            "redis://:hunter2@host:",
            "redis://:hunter2@host/one",
            "redis://:hunter2@host/-1",
            "redis://:hunter2@host/0?db=1",
            "redis://:hunter2@host#insecure",
            "redis://:hunter2@[::1",
            "redis://:hunter2@[host]",
            "redis://:hunter2@[::1]6379",
            "redis://:hunter2@::1",
            "redis://:hunter2@ho st",
            "redis://:%FFhunter2@host",
            "rediss://:hunter2@-",
        ] {
            let error = Server::new(&Secret::from(url), None).err().expect(url);
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
    }

    #[test]
    fn error_of_a_server_has_a_kind_and_a_reason() {
        use io::ErrorKind::*;
        #[rustfmt::skip]
        let table = [
            ("-READONLY You can't write against a read only replica.", ReadOnlyFilesystem,
                "the server is a read-only replica; use the URL of the primary"),
            ("-MOVED 3999 127.0.0.1:6381", Unsupported,
                "Redis Cluster is not supported; use the URL of a standalone server"),
            ("-CLUSTERDOWN Hash slot not served", Unsupported,
                "Redis Cluster is not supported; use the URL of a standalone server"),
            // Of a Sentinel.
            ("-ERR unknown command 'GET', with args beginning with: 'a' ", Unsupported,
                "unknown command 'GET', with args beginning with: 'a' ; use the URL of a Redis or \
                 Valkey server, not of a Sentinel or another service"),
            ("-NOPERM this user has no permissions to run the 'del' command", PermissionDenied,
                "permission denied: this user has no permissions to run the 'del' command"),
            ("-LOADING Redis is loading the dataset in memory", NotConnected,
                "LOADING: Redis is loading the dataset in memory"),
            ("-WRONGPASS invalid username-password pair or user is disabled.", NotConnected,
                "WRONGPASS: invalid username-password pair or user is disabled."),
            ("-OOM command not allowed when used memory > 'maxmemory'.", Other,
                "OOM: command not allowed when used memory > 'maxmemory'."),
            ("-ERR syntax error", Other, "ERR: syntax error"),
        ];
        for (line, kind, message) in table {
            let response = redis::parse_redis_value(format!("{line}\r\n").as_bytes());
            let error = response.unwrap().extract_error().unwrap_err();
            let error = to_io_error(&error);
            assert_eq!((error.kind(), &*error.to_string()), (kind, message));
        }
    }

    #[test]
    fn unencrypted_password_is_detected_unless_it_stays_on_this_machine() {
        #[rustfmt::skip]
        let table = [
            ("redis://:hunter2@redis.example",   true),
            ("valkey://me:hunter2@10.0.0.1",     true),
            ("redis://redis.example",            false),
            ("redis://:hunter2@127.0.0.1",       false),
            ("redis://:hunter2@[::1]",           false),
            ("redis://:hunter2@LOCALHOST",       false),
            ("redis://:hunter2@[::ffff:127.0.0.1]", true),
        ];
        for (url, expected) in table {
            assert_eq!(server(url).sends_unencrypted_password(), expected, "{url}");
        }
    }
}
