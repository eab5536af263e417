//! TCP as ureq sees it: every wait asks the call under way whether it may go on.
//!
//! ureq's own timeouts are left off, so that deadline and cancellation are kept in one place: here.

use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags, SocketType};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, NextTimeout, Transport,
};

use super::agent::Exchange;
use super::buffers::{OUTPUT_BUFFER, WipedBuffers};
use crate::fork::ProcessOwned;

/// How it is said that the other end closed a connection too early.
pub(super) const CLOSED: &str = "closed by the other end";

/// A TCP connection whose waits honour the current [`Exchange`].
#[derive(Debug)]
pub(super) struct Socket {
    stream: ProcessOwned<TcpStream>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Socket {
    fn new(stream: TcpStream) -> Self {
        Socket {
            stream: ProcessOwned::new(stream),
            read_timeout: None,
            write_timeout: None,
        }
    }

    /// Whether the other end has neither closed nor said anything: an idle connection that speaks
    /// is of no use.
    pub(super) fn is_quiet(&self) -> bool {
        let peeked = rustix::net::recv(
            &*self.stream,
            &mut [0u8; 1][..],
            RecvFlags::PEEK | RecvFlags::DONTWAIT,
        );
        matches!(peeked, Err(Errno::AGAIN))
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let step = Some(Exchange::slice()?);
            if self.read_timeout != step {
                self.stream.set_read_timeout(step)?;
                self.read_timeout = step;
            }
            match self.stream.read(buffer) {
                Err(error) if is_a_pause(&error) => {}
                Ok(count) => {
                    Exchange::count_received(count);
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
            let step = Some(Exchange::slice()?);
            if self.write_timeout != step {
                self.stream.set_write_timeout(step)?;
                self.write_timeout = step;
            }
            match self.stream.write(buffer) {
                Err(error) if is_a_pause(&error) => {}
                Ok(count) => {
                    Exchange::count_written(count);
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match pieces {
            [piece] => self.write(piece),
            // Joined rather than handed to `writev`, which would raise SIGPIPE in a host program. TLS
            // writes in pieces only while it shakes hands, a few hundred bytes.
            _ => self.write(&join(pieces)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first pieces as one, as far as one buffer's worth goes.
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

/// A wait that ended without news: its slice is over, or a signal came.
fn is_a_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// A connection that broke, told so that ureq does not take it for the end of an answer whose length
/// was not announced: what is cut would pass for whole.
pub(super) fn broken_off(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            io::Error::new(io::ErrorKind::BrokenPipe, CLOSED.to_owned())
        }
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {
            io::Error::new(io::ErrorKind::BrokenPipe, error)
        }
        _ => error,
    }
}

/// Opens [`Socket`]s.
#[derive(Debug, Default)]
pub(super) struct SocketConnector;

impl<In: Transport> Connector<In> for SocketConnector {
    type Out = Either<In, PlainTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        // A proxy's tunnel is there already.
        if let Some(tunnel) = chained {
            return Ok(Some(Either::A(tunnel)));
        }
        let mut last = io::Error::from(io::ErrorKind::ConnectionRefused);
        // With a proxy at hand ureq looks no names up, not even for what goes past it.
        let past_the_proxy = if details.addrs.is_empty() {
            let (uri, config) = (details.uri, details.config);
            Some(details.resolver.resolve(uri, config, details.timeout)?)
        } else {
            None
        };
        for address in past_the_proxy.as_ref().unwrap_or(&details.addrs) {
            match connect(*address) {
                Ok(stream) => {
                    let socket = Socket::new(stream);
                    return Ok(Some(Either::B(PlainTransport {
                        socket,
                        buffers: WipedBuffers::new(),
                    })));
                }
                Err(error) if Exchange::is_stopped() => return Err(error.into()),
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }
}

/// Connects without blocking, since a blocking connect can be neither cancelled nor resumed.
fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => rustix::net::AddressFamily::INET,
        SocketAddr::V6(_) => rustix::net::AddressFamily::INET6,
    };
    let socket = rustix::net::socket_with(
        family,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) => {}
        Err(Errno::INPROGRESS | Errno::INTR) => loop {
            let step = Timespec::try_from(Exchange::slice()?).map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&step)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => break,
                Err(error) => return Err(error.into()),
            }
        },
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(socket);
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// HTTP without TLS: to a loopback address, or to a proxy.
#[derive(Debug)]
pub(super) struct PlainTransport {
    socket: Socket,
    buffers: WipedBuffers,
}

impl PlainTransport {
    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }
}

impl Transport for PlainTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, _: NextTimeout) -> Result<(), ureq::Error> {
        Exchange::begin_to_send();
        Ok(self.socket.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
        let amount = self
            .socket
            .read(self.buffers.input_append_buf())
            .map_err(broken_off)?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.socket.is_quiet()
    }
}
