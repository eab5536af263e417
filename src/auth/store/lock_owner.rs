//! Identity of the process that owns a lock with a lease, so that a caller on the same host need not wait
//! for the lease of an owner that has terminated.

use std::fs;
use std::path::Path;

/// The kernel's process information.
const PROC: &str = "/proc";

/// Returns a unique name of this process among all hosts: `machine/process/started/`, with which
/// another process of the same machine can check whether it still runs. Its first part is empty if
/// the machine is unknown.
pub(super) fn process_identity() -> String {
    let pid = std::process::id();
    let machine = machine().unwrap_or_default();
    format!("{machine}/{pid}/{}/", started(pid).unwrap_or_default())
}

/// Returns the boot id of the machine, and the namespaces of this process in which process ids and start
/// times have the same meaning. Kernels before 5.6 have no time namespaces.
fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let pids = fs::read_link("/proc/self/ns/pid").ok()?;
    let times = fs::read_link("/proc/self/ns/time").unwrap_or_default();
    Some(format!(
        "{} {} {}",
        boot.trim(),
        pids.to_str()?,
        times.to_str()?
    ))
}

/// Returns when a process was started, in the kernel's clock ticks; `None` if that cannot be read.
fn started(pid: u32) -> Option<u64> {
    Stat::read(Path::new(PROC), pid)?.started
}

/// State of a process, from `/proc`.
struct Stat {
    /// A zombie counts as ended.
    ended: bool,
    started: Option<u64>,
}

impl Stat {
    fn read(proc: &Path, pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(proc.join(pid.to_string()).join("stat")).ok()?;
        // The name, in parentheses, may contain any character.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let state = fields.next()?;
        Some(Stat {
            ended: matches!(state, "Z" | "X"),
            started: fields.nth(18).and_then(|field| field.parse().ok()),
        })
    }
}

/// Returns whether the owner of a lock is a process of this machine that has terminated.
pub(super) fn is_terminated(owner: &str) -> bool {
    is_terminated_in(Path::new(PROC), owner)
}

fn is_terminated_in(proc: &Path, owner: &str) -> bool {
    let mut parts = owner.split('/');
    let (Some(on), Some(pid), Some(since)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    if on.is_empty() || machine().is_none_or(|machine| machine != on) {
        return false;
    }
    let (Ok(pid), Ok(since)) = (pid.parse(), since.parse::<u64>()) else {
        return false;
    };
    match Stat::read(proc, pid) {
        Some(stat) => stat.ended || stat.started.is_some_and(|started| started != since),
        // Processes of other users may be hidden in `/proc`.
        None => is_unused_pid(pid),
    }
}

/// Returns whether no process has this id.
#[cfg(unix)]
fn is_unused_pid(pid: u32) -> bool {
    use rustix::process::{Pid, test_kill_process};
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH))
}

#[cfg(not(unix))]
fn is_unused_pid(_pid: u32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    #[cfg(target_os = "linux")]
    use crate::auth::tests::test_support::left_out;
    use crate::limited::{Limited, PROGRAM_LIMIT, run_to_end};

    #[test]
    fn is_terminated_is_false_for_a_running_process() {
        assert!(!is_terminated(&process_identity()));
        for garbage in ["", "x", "/1/2/", "///", "a/b/c"] {
            assert!(!is_terminated(garbage), "{garbage}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn is_terminated_detects_an_ended_process_and_a_reused_pid() {
        let machine = machine().unwrap();
        let pid = std::process::id();
        let since = started(pid).unwrap();
        assert!(!is_terminated(&format!("{machine}/{pid}/{since}/1")));
        assert!(is_terminated(&format!("{machine}/{pid}/{}/1", since - 1)));
        assert!(!is_terminated(&format!(
            "other {machine}/{pid}/{}/1",
            since - 1
        )));
        let child = Limited::start(Command::new("true"), PROGRAM_LIMIT);
        let child_pid = child.id();
        let child_since = started(child_pid).unwrap_or_default();
        child.wait().unwrap();
        assert!(is_terminated(&format!(
            "{machine}/{child_pid}/{child_since}/1"
        )));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn is_terminated_is_false_in_another_time_namespace() {
        // Start times are shifted there.
        let in_namespace = |program: &[&str]| {
            let mut command = Command::new("unshare");
            command.args([
                "--user",
                "--map-root-user",
                "--time",
                "--boottime",
                "100000",
            ]);
            command
                .args(["--fork", "--"])
                .args(program)
                .env("CAMUNDA_TEST_OWNER", process_identity());
            command
        };
        let probed = in_namespace(&["true"]).output();
        if !probed.is_ok_and(|output| output.status.success()) {
            return left_out(
                "lock owners in another time namespace, which needs unshare",
                false,
            );
        }
        let test = concat!(module_path!(), "::owner_runs");
        let test = test.split_once("::").unwrap().1;
        let own = std::env::current_exe().unwrap();
        let own = own.to_str().unwrap();
        let arguments = [
            own,
            "--exact",
            test,
            "--include-ignored",
            "--test-threads=1",
        ];
        let ended = run_to_end(in_namespace(&arguments), PROGRAM_LIMIT);
        assert!(ended.stdout.contains("1 passed"), "{}", ended.stdout);
    }

    #[cfg(target_os = "linux")]
    #[test]
    #[ignore = "run by another in a process of its own"]
    fn owner_runs() {
        let owner = std::env::var("CAMUNDA_TEST_OWNER").unwrap();
        assert!(!is_terminated(&owner), "{owner}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn is_terminated_is_false_for_a_hidden_process() {
        let nothing = tempfile::tempdir().unwrap();
        let owner = process_identity();
        assert!(!is_terminated_in(nothing.path(), &owner));
        let child = Limited::start(Command::new("true"), PROGRAM_LIMIT);
        let number = format!("/{}/", std::process::id());
        let owner = owner.replace(&number, &format!("/{}/", child.id()));
        child.wait().unwrap();
        assert!(is_terminated_in(nothing.path(), &owner));
    }
}
