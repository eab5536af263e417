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
        // Once one gets no answer in this time, none will.
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            waiting.push(stream);
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

/// A port that is taken, and at which nobody listens.
pub(crate) fn port_of_nobody() -> (OwnedFd, SocketAddr) {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = rustix::net::getsockname(&socket).unwrap();
    (socket, address.try_into().unwrap())
}
