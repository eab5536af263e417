//! Ports at which there is nothing to be had.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType};

/// A port with as many connections waiting as it takes, so that further ones get no answer.
pub(crate) struct FullPort {
    address: SocketAddr,
    _listener: OwnedFd,
    _waiting: Vec<TcpStream>,
}

impl FullPort {
    pub(crate) fn new() -> FullPort {
        let (listener, address) = port_of_nobody();
        rustix::net::listen(&listener, 0).unwrap();
        let mut waiting = Vec::new();
        while !is_full(address) {
            waiting.extend(TcpStream::connect_timeout(&address, PATIENCE));
        }
        FullPort {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// How long a connection is waited for where nothing else tells that there is none to be had.
const PATIENCE: Duration = Duration::from_millis(300);

/// Whether as many connections wait as the kernel keeps for a listener that asked for none: one.
#[cfg(target_os = "linux")]
fn is_full(address: SocketAddr) -> bool {
    let listening = format!(" 0100007F:{:04X} 00000000:0000 0A ", address.port());
    let sockets = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let queues = sockets
        .lines()
        .find_map(|line| line.split(&listening).nth(1))
        .expect("it listens");
    // Bytes to be sent, then connections to be accepted.
    let waiting = queues.split([':', ' ']).nth(1).unwrap();
    u32::from_str_radix(waiting, 16).unwrap() > 0
}

#[cfg(not(target_os = "linux"))]
fn is_full(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, PATIENCE).is_err()
}

/// A port that is taken, and at which nobody listens.
pub(crate) fn port_of_nobody() -> (OwnedFd, SocketAddr) {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = rustix::net::getsockname(&socket).unwrap();
    (socket, address.try_into().unwrap())
}
