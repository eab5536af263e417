//! Redis servers for tests.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::limited::{Limited, PROGRAM_LIMIT};

/// Returns a port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// A Redis server; killed on drop.
pub(crate) struct Redis {
    pub(crate) server: Limited,
    pub(crate) port: u16,
    _folder: TempDir,
}

impl Redis {
    /// Starts a server on a free port, with additional options.
    pub(crate) fn start_on_a_free_port(options: &[&str]) -> Self {
        loop {
            if let Some(redis) = Self::start_with(free_port(), options) {
                return redis;
            }
        }
    }

    /// Starts a server with additional options. Returns `None` if another process has the port.
    pub(crate) fn start_with(port: u16, options: &[&str]) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .args(options)
            .stdout(Stdio::null());
        let server = Limited::start(command, PROGRAM_LIMIT);
        let redis = Redis {
            server,
            port,
            _folder: folder,
        };
        while redis.server.try_wait().is_none() {
            if redis.is_responding() {
                return Some(redis);
            }
            thread::sleep(Duration::from_millis(5));
        }
        None
    }

    /// Returns whether this server responds, and not another one on the same port.
    pub(crate) fn is_responding(&self) -> bool {
        let Ok(mut connection) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let mut response = String::new();
        connection.write_all(b"INFO server\r\nQUIT\r\n").is_ok()
            && connection.read_to_string(&mut response).is_ok()
            && response.contains(&format!("process_id:{}\r\n", self.server.id()))
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }
}
