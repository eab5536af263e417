//! TCP connections for ureq. Each wait checks the deadline and the cancellation of the current call.
//!
//! The timeouts of ureq are not used.

use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Type};
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport,
};

use super::buffers::{OUTPUT_BUFFER, ZeroizingBuffers};
use super::connect_error::CLOSED_BY_PEER;
use super::exchange::ExchangeGuard;
use super::resolver::CachingResolver;
use crate::fork::ProcessOwned;

/// A TCP connection whose waits end with the call of the current [`ExchangeGuard`].
#[derive(Debug)]
pub(super) struct Socket {
    stream: ProcessOwned<TcpStream>,
    #[cfg(unix)]
    read_timeout: Option<Duration>,
    #[cfg(unix)]
    write_timeout: Option<Duration>,
}

impl Socket {
    pub(super) fn new(stream: ProcessOwned<TcpStream>) -> Self {
        Socket {
            stream,
            #[cfg(unix)]
            read_timeout: None,
            #[cfg(unix)]
            write_timeout: None,
        }
    }

    /// Returns whether an idle connection can be reused: the peer has neither closed it nor sent
    /// anything.
    pub(super) fn is_reusable(&self) -> bool {
        let mut polled = [PollFd::new(&*self.stream, PollFlags::IN)];
        matches!(poll(&mut polled, Some(&Timespec::default())), Ok(0))
    }
}

/// Waits by the socket's own timeouts, so that a read or write that can proceed is one system call.
#[cfg(unix)]
impl Socket {
    fn read_within(&mut self, step: Duration, buffer: &mut [u8]) -> io::Result<usize> {
        let step = Some(step);
        if self.read_timeout != step {
            self.stream.set_read_timeout(step)?;
            self.read_timeout = step;
        }
        self.stream.read(buffer)
    }

    fn write_within(&mut self, step: Duration, buffer: &[u8]) -> io::Result<usize> {
        let step = Some(step);
        if self.write_timeout != step {
            self.stream.set_write_timeout(step)?;
            self.write_timeout = step;
        }
        self.stream.write(buffer)
    }
}

/// Waits for a non-blocking socket: Windows specifies that a socket must not be used any more after one
/// of its timeouts.
#[cfg(windows)]
impl Socket {
    fn read_within(&mut self, step: Duration, buffer: &mut [u8]) -> io::Result<usize> {
        match self.stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.wait_for(PollFlags::IN, step)?;
                self.stream.read(buffer)
            }
            done => done,
        }
    }

    fn write_within(&mut self, step: Duration, buffer: &[u8]) -> io::Result<usize> {
        match self.stream.write(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.wait_for(PollFlags::OUT, step)?;
                self.stream.write(buffer)
            }
            done => done,
        }
    }

    fn wait_for(&self, event: PollFlags, step: Duration) -> io::Result<()> {
        let step = Timespec::try_from(step).map_err(io::Error::other)?;
        poll(&mut [PollFd::new(&*self.stream, event)], Some(&step))?;
        Ok(())
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.read_within(ExchangeGuard::next_wait()?, buffer) {
                Err(error) if is_wait_timeout(&error) => {}
                Ok(count) => {
                    ExchangeGuard::count_received(count);
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        loop {
            ExchangeGuard::check_send_by()?;
            match self.write_within(ExchangeGuard::next_wait()?, buffer) {
                Err(error) if is_wait_timeout(&error) => {}
                Ok(count) => {
                    ExchangeGuard::count_written(count);
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match pieces {
            [piece] => self.write(piece),
            // Joined instead of `writev`, which can raise SIGPIPE in the host program. TLS writes several
            // pieces only during the handshake, a few hundred bytes.
            _ => self.write(&join(pieces)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Joins the first pieces, up to the size of an output buffer.
fn join(pieces: &[IoSlice<'_>]) -> Vec<u8> {
    let mut joined = Vec::new();
    for piece in pieces {
        if !joined.is_empty() && joined.len() + piece.len() > OUTPUT_BUFFER {
            break;
        }
        joined.extend_from_slice(piece);
    }
    joined
}

/// Returns whether a wait ended because of its timeout or a signal.
fn is_wait_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// Converts the error of a lost connection to one that ureq does not treat as the end of a response
/// without `Content-Length`: a truncated response would pass as complete.
pub(super) fn unexpected_eof(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            io::Error::new(io::ErrorKind::BrokenPipe, CLOSED_BY_PEER.to_owned())
        }
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {
            io::Error::new(io::ErrorKind::BrokenPipe, error)
        }
        _ => error,
    }
}

/// Opens [`Socket`]s.
#[derive(Debug)]
pub(super) struct SocketConnector {
    pub(super) resolver: CachingResolver,
}

impl<In: Transport> Connector<In> for SocketConnector {
    type Out = Either<In, PlainTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        // The connection through a proxy's tunnel is already established.
        if let Some(tunnel) = chained {
            return Ok(Some(Either::A(tunnel)));
        }
        let (uri, config) = (details.uri, details.config);
        let addresses = &self.resolver.resolve(uri, config, details.timeout)?;
        let (address, socket) = connect(addresses)?;
        if Some(&address) != addresses.first() {
            self.resolver.prefer(address);
        }
        Ok(Some(Either::B(PlainTransport {
            socket,
            buffers: ZeroizingBuffers::new(),
        })))
    }
}

/// Time after which the next address is tried in parallel: the Connection Attempt Delay of RFC 8305.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Connects to the first address that accepts (Happy Eyeballs, RFC 8305): a slow attempt continues
/// while the next address is tried, and the address families alternate.
///
/// The sockets are non-blocking, because a blocking `connect` cannot be cancelled.
pub(super) fn connect(addresses: &[SocketAddr]) -> io::Result<(SocketAddr, Socket)> {
    let mut waiting = interleaved(addresses).into_iter().peekable();
    let mut attempts: Vec<(SocketAddr, ProcessOwned<socket2::Socket>)> = Vec::new();
    let mut last = io::Error::from(io::ErrorKind::ConnectionRefused);
    let mut next_at = Instant::now();
    loop {
        let now = Instant::now();
        while waiting.peek().is_some() && (attempts.is_empty() || next_at <= now) {
            let address = waiting.next().expect("it was peeked at");
            match begin_to_connect(address) {
                Ok((socket, true)) => match finish(socket) {
                    Ok(socket) => return Ok((address, socket)),
                    Err(error) => last = error,
                },
                Ok((socket, false)) => {
                    attempts.push((address, socket));
                    next_at = now + ATTEMPT_DELAY;
                }
                Err(error) => last = error,
            }
        }
        if attempts.is_empty() {
            return Err(last);
        }
        let mut step = ExchangeGuard::next_wait()?;
        if waiting.peek().is_some() {
            step = step.min(next_at.saturating_duration_since(now));
        }
        let step = Timespec::try_from(step).map_err(io::Error::other)?;
        let mut polled: Vec<_> = attempts
            .iter()
            .map(|(_, socket)| PollFd::new(&**socket, PollFlags::OUT))
            .collect();
        match poll(&mut polled, Some(&step)) {
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<_> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
        for index in (0..ready.len()).filter(|index| ready[*index]).rev() {
            let (address, socket) = attempts.remove(index);
            match finish(socket) {
                Ok(socket) => return Ok((address, socket)),
                Err(error) => {
                    last = error;
                    // This attempt is over, so the next one starts immediately.
                    next_at = now;
                }
            }
        }
    }
}

/// Returns the addresses with alternating families, starting with the family of the first one.
fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_is_ipv6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses
        .iter()
        .partition(|address| address.is_ipv6() == first_is_ipv6);
    let mut ordered = Vec::with_capacity(addresses.len());
    for index in 0..first.len().max(second.len()) {
        ordered.extend(first.get(index));
        ordered.extend(second.get(index));
    }
    ordered
}

/// Starts to connect. Returns the socket and whether it is already connected.
fn begin_to_connect(address: SocketAddr) -> io::Result<(ProcessOwned<socket2::Socket>, bool)> {
    let domain = Domain::for_address(address);
    let socket = socket2::Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    // A child that is forked while this connects closes it too.
    let socket = ProcessOwned::new(socket);
    socket.set_nonblocking(true)?;
    match socket.connect(&address.into()) {
        Ok(()) => Ok((socket, true)),
        Err(error) if is_connecting(&error) => Ok((socket, false)),
        Err(error) => Err(error),
    }
}

/// Returns whether the error of a non-blocking `connect` means that it continues.
fn is_connecting(error: &io::Error) -> bool {
    let code = Errno::from_io_error(error);
    match code {
        Some(Errno::INPROGRESS | Errno::INTR) => true,
        Some(Errno::WOULDBLOCK) => cfg!(windows),
        _ => false,
    }
}

/// Returns the socket once it is connected, or why it is not.
fn finish(socket: ProcessOwned<socket2::Socket>) -> io::Result<Socket> {
    let stream = socket.map(TcpStream::from);
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    #[cfg(unix)]
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    Ok(Socket::new(stream))
}

/// Transport for HTTP without TLS: to a loopback address or to a proxy.
#[derive(Debug)]
pub(super) struct PlainTransport {
    socket: Socket,
    buffers: ZeroizingBuffers,
}

impl PlainTransport {
    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    fn send_pending(&mut self) -> io::Result<()> {
        match self.buffers.take_pending() {
            [] => Ok(()),
            pending => {
                ExchangeGuard::begin_to_send();
                self.socket.write_all(pending)
            }
        }
    }
}

impl Transport for PlainTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        if self.buffers.add_pending(amount) {
            self.send_pending()?;
        }
        Ok(())
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        self.send_pending()?;
        let room = self.buffers.input_append_buf();
        let amount =
            ExchangeGuard::receive(room, |room| self.socket.read(room)).map_err(unexpected_eof)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.socket.is_reusable()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::call::{CallContext, CallOptions};
    use crate::deadline_check::in_time;
    use crate::unreachable_ports::{UnresponsivePort, closed_port};

    fn within(timeout: Duration) -> ExchangeGuard {
        let options = CallOptions::new().timeout(timeout);
        ExchangeGuard::enter(&CallContext::start(&options, timeout))
    }

    #[test]
    fn connect_tries_the_next_address_when_one_does_not_respond() {
        let (silent, listener) = (
            UnresponsivePort::new(),
            TcpListener::bind("127.0.0.1:0").unwrap(),
        );
        let (_reserved, closed) = closed_port();
        let listening = listener.local_addr().unwrap();
        let _exchange = within(Duration::from_secs(20));
        for (addresses, least) in [
            (&[listening, silent.address()][..], 0),
            (&[closed, closed, listening], 0),
            (&[silent.address(), listening], 250),
            (&[silent.address(), closed, listening], 250),
            (&[silent.address(), silent.address(), listening], 500),
        ] {
            let least = Duration::from_millis(least);
            in_time(|| {
                let begun = Instant::now();
                let (address, socket) = connect(addresses).unwrap();
                let took = begun.elapsed();
                let peer = socket.stream.peer_addr().unwrap();
                assert_eq!((address, peer), (listening, listening));
                assert!(took >= least, "{addresses:?}: {took:?}");
                drop(listener.accept().unwrap());
                ((), took - least)
            });
        }
    }

    #[test]
    fn connect_fails_when_no_address_accepts() {
        let (_reserved, closed) = closed_port();
        let silent = UnresponsivePort::new();
        let exchange = within(Duration::from_millis(400));
        let error = connect(&[closed, closed]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(exchange.stopped().is_none());
        assert!(connect(&[silent.address(), closed]).is_err());
        assert!(exchange.stopped().is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn forked_child_closes_a_socket_that_connects() {
        use std::os::fd::AsRawFd;

        use crate::fork::tests::forked_child::{Child, fork};

        let silent = UnresponsivePort::new();
        let (socket, is_connected) = begin_to_connect(silent.address()).unwrap();
        let path = format!("/proc/self/fd/{}", socket.as_raw_fd());
        let is_open = || std::fs::symlink_metadata(&path).is_ok();
        assert!(!is_connected && is_open());
        assert_eq!(fork(|| !is_open()).wait(), Child::Passed);
        assert!(is_open());
    }

    fn connected() -> (PlainTransport, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (_, socket) = connect(&[listener.local_addr().unwrap()]).unwrap();
        let transport = PlainTransport {
            socket,
            buffers: ZeroizingBuffers::new(),
        };
        (transport, listener.accept().unwrap().0)
    }

    /// The timeout of ureq, which is not used.
    pub(crate) fn no_timeout() -> NextTimeout {
        NextTimeout {
            after: ureq::unversioned::transport::time::Duration::NotHappening,
            reason: ureq::Timeout::SendRequest,
            per_read: None,
            per_write: None,
        }
    }

    fn transmit(transport: &mut PlainTransport, bytes: &[u8]) {
        transport.buffers().output()[..bytes.len()].copy_from_slice(bytes);
        transport
            .transmit_output(bytes.len(), no_timeout())
            .unwrap();
    }

    #[test]
    fn head_and_small_body_are_sent_together_before_the_response_is_awaited() {
        let _exchange = within(Duration::from_secs(20));
        let (mut transport, mut peer) = connected();
        let mut received = [0; 100];
        transmit(&mut transport, b"head");
        transmit(&mut transport, b"body");
        peer.set_nonblocking(true).unwrap();
        let error = peer.read(&mut received).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "nothing was sent");
        peer.set_nonblocking(false).unwrap();
        peer.write_all(b"response").unwrap();
        assert!(transport.await_input(no_timeout()).unwrap());
        assert_eq!(transport.buffers().input(), b"response");
        let count = peer.read(&mut received).unwrap();
        assert_eq!(&received[..count], b"headbody");
    }

    #[test]
    fn large_body_is_sent_while_it_is_written() {
        let _exchange = within(Duration::from_secs(20));
        let (mut transport, mut peer) = connected();
        let chunk = [b'x'; OUTPUT_BUFFER - 1024];
        for _ in 0..3 {
            transmit(&mut transport, &chunk);
            let mut received = [0; OUTPUT_BUFFER - 1024];
            peer.read_exact(&mut received).unwrap();
            assert_eq!(received, chunk);
        }
    }

    #[test]
    fn interleaved_alternates_between_address_families() {
        let parsed = |addresses: &[&str]| -> Vec<SocketAddr> {
            addresses
                .iter()
                .map(|address| address.parse().unwrap())
                .collect()
        };
        for (given, expected) in [
            (
                &["[::1]:1", "[::2]:1", "1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1"][..],
                &["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "1.1.1.3:1"][..],
            ),
            (
                &["1.1.1.1:1", "1.1.1.2:1", "[::1]:1"],
                &["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"],
            ),
            (&["1.1.1.1:1"], &["1.1.1.1:1"]),
            (&[], &[]),
        ] {
            assert_eq!(interleaved(&parsed(given)), parsed(expected));
        }
    }
}
