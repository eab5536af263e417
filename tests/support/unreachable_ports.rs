//! TCP ports that reject connections, or do not respond to them.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// A port whose listener has a full backlog, so that connection attempts get no response.
pub(crate) struct UnresponsivePort {
    address: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl UnresponsivePort {
    pub(crate) fn new() -> UnresponsivePort {
        let (listener, address) = closed_port();
        listener.listen(0).unwrap();
        let mut queued = Vec::new();
        while !is_full(address) {
            queued.extend(TcpStream::connect_timeout(&address, CONNECT_TIMEOUT));
        }
        UnresponsivePort {
            address,
            _listener: listener,
            _queued: queued,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Time after which a connection attempt counts as unanswered, on systems without /proc/net/tcp.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);

/// Returns whether the backlog is full: with a backlog of 0, the kernel queues one connection.
#[cfg(target_os = "linux")]
fn is_full(address: SocketAddr) -> bool {
    let listening = format!(" 0100007F:{:04X} 00000000:0000 0A ", address.port());
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let queues = sockets
        .lines()
        .find_map(|line| line.split(&listening).nth(1))
        .expect("the port has a listener");
    // Format: bytes to be sent `:` connections to be accepted.
    let waiting = queues.split([':', ' ']).nth(1).unwrap();
    u32::from_str_radix(waiting, 16).unwrap() > 0
}

#[cfg(not(target_os = "linux"))]
fn is_full(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, CONNECT_TIMEOUT).is_err()
}

/// Returns a bound port without a listener, and the socket that reserves it.
pub(crate) fn closed_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&address.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}
