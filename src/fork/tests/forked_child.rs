//! Forked children for tests: a child runs a check and exits, and cannot outlive its time limit.

#![allow(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};

/// The limit of a child, in seconds: far beyond what any check needs.
const LIMIT: u32 = 30;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Child {
    Passed,
    Failed,
    /// It was still running at its limit.
    Hung,
    /// It was killed by another signal.
    Crashed(i32),
}

/// A running child.
#[must_use]
pub(crate) struct Running(libc::pid_t);

impl Running {
    pub(crate) fn wait(self) -> Child {
        let mut status = 0;
        loop {
            // SAFETY: `status` can be written to. The child's alarm bounds the wait.
            let waited = unsafe { libc::waitpid(self.0, &raw mut status, 0) };
            if waited == self.0 {
                break;
            }
            let error = std::io::Error::last_os_error();
            assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "{error}");
        }
        match libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)) {
            Some(libc::SIGALRM) => Child::Hung,
            Some(signal) => Child::Crashed(signal),
            None if libc::WEXITSTATUS(status) == 0 => Child::Passed,
            None => Child::Failed,
        }
    }
}

/// Runs a check in a forked child.
pub(crate) fn fork(check: impl FnOnce() -> bool) -> Running {
    // SAFETY: the child runs `check` only, and never returns.
    run(unsafe { libc::fork() }, check)
}

/// As [`fork`], by the bare system call: the C library runs no handlers.
#[cfg(target_os = "linux")]
pub(crate) fn fork_without_handlers(check: impl FnOnce() -> bool) -> Running {
    let flags = libc::c_long::from(libc::SIGCHLD);
    // SAFETY: as `fork`, with a copy of the stack.
    let child = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    run(child as libc::pid_t, check)
}

fn run(child: libc::pid_t, check: impl FnOnce() -> bool) -> Running {
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child > 0 {
        return Running(child);
    }
    // SAFETY: the default action of the signal ends the process.
    unsafe { libc::alarm(LIMIT) };
    let passed = catch_unwind(AssertUnwindSafe(check)).unwrap_or(false);
    // SAFETY: ends the process without running what belongs to its parent.
    unsafe { libc::_exit(i32::from(!passed)) }
}
