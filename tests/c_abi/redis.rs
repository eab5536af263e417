//! Starts Redis servers for tests.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::limited::{Limited, PROGRAM_LIMIT};
use crate::program::{Build, Language, Program};
use crate::tools::{tool, top};

/// A Redis server on a free port; killed on drop.
pub(crate) struct Redis {
    server: Limited,
    port: u16,
    _folder: TempDir,
}

impl Redis {
    /// Starts a server. Returns `None` if `redis-server` is not installed.
    pub(crate) fn start() -> Option<Redis> {
        let program = tool("redis-server")?;
        loop {
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = socket.local_addr().unwrap().port();
            drop(socket);
            let folder = tempfile::tempdir().unwrap();
            let mut command = Command::new(&program);
            command
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                .args(["--save", "", "--appendonly", "no", "--dir"])
                .arg(folder.path())
                .stdout(Stdio::null());
            let server = Limited::start(command, PROGRAM_LIMIT);
            let redis = Redis {
                server,
                port,
                _folder: folder,
            };
            // Another process may have taken the port. The server then exits, and the loop retries.
            while redis.server.try_wait().is_none() {
                if redis.responds() {
                    return Some(redis);
                }
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Returns whether this server responds, not another one on the same port.
    fn responds(&self) -> bool {
        let Ok(mut connection) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let mut response = String::new();
        connection.write_all(b"INFO server\r\nQUIT\r\n").is_ok()
            && connection.read_to_string(&mut response).is_ok()
            && response.contains(&format!("process_id:{}\r\n", self.server.id()))
    }
}

#[test]
fn calls_succeed_when_redis_is_killed() {
    let source = top().join("tests/c/redis.c");
    let Some(program) = Program::compile(Language::C, &source, Build::Plain) else {
        return;
    };
    let Some(redis) = Redis::start() else { return };
    program.run_with(&[
        ("REDIS_URL", &redis.url()),
        ("REDIS_PID", &redis.server.id().to_string()),
    ]);
}
