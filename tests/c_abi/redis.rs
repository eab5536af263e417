//! A program that uses a Redis, and the start of Redis servers.

use crate::program::{Build, Language, Program};
pub(crate) use crate::redis_server::Redis;
use crate::tools::{tool, top};

impl Redis {
    /// Starts a server. Returns `None` if `redis-server` is not installed.
    pub(crate) fn start() -> Option<Redis> {
        tool("redis-server")?;
        Some(Self::start_on_a_free_port(&[]))
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
