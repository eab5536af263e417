//! Tests of the time limit of programs that tests start.

#![cfg(unix)]

#[path = "support/limited.rs"]
#[allow(dead_code)]
mod limited;

use std::io::{BufRead, BufReader, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use limited::{Limited, PROGRAM_LIMIT, limit_this_process_to, run_to_end};

/// Longer than a loaded machine takes to start a program.
const SHORT: Duration = Duration::from_secs(2);

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Runs a script that exceeds its limit, and returns the text of the failure.
fn failure_of(script: &str) -> String {
    let started = Instant::now();
    let failed = catch_unwind(AssertUnwindSafe(|| run_to_end(shell(script), SHORT)));
    let Err(failed) = failed else {
        panic!("{script:?} ended within its limit");
    };
    assert!(started.elapsed() < PROGRAM_LIMIT, "{:?}", started.elapsed());
    *failed.downcast::<String>().unwrap()
}

/// Returns the number of process ids that a script printed (`pid 1234`), and checks that none runs.
#[cfg(target_os = "linux")]
fn ended_processes(text: &str) -> usize {
    let ids: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("pid "))
        .collect();
    for id in &ids {
        // An orphaned process remains a zombie until the init process reaps it.
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }
    ids.len()
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(target_os = "linux")]
#[test]
fn program_that_sleeps_forever_is_ended_with_its_stacks() {
    let text = failure_of("echo pid $$; exec sleep 1000000");
    assert!(
        text.starts_with(
            "\"sh\" \"-c\" \"echo pid $$; exec sleep 1000000\": not ended after 2s, killed; \
             its processes were:\nprocess "
        ),
        "{text}"
    );
    assert!(text.contains("(sleep):\n  thread "), "{text}");
    assert!(text.contains("nanosleep"), "{text}");
    if is_installed("gdb") {
        assert!(text.contains("\n#0 "), "{text}");
    }
    assert_eq!(ended_processes(&text), 1, "{text}");
}

#[cfg(target_os = "linux")]
#[test]
fn program_with_children_is_ended_with_all_of_them() {
    let text = failure_of("sleep 1000000 & echo pid $!; echo pid $$; wait");
    assert!(text.contains(" (sh):\n"), "{text}");
    assert!(text.contains(" (sleep):\n"), "{text}");
    assert_eq!(ended_processes(&text), 2, "{text}");
}

/// Its parent has ended, so only its environment identifies the program that started it.
#[cfg(target_os = "linux")]
#[test]
fn process_left_behind_that_keeps_the_output_open_is_ended() {
    let text = failure_of("(setsid sleep 1000000 & echo pid $!)");
    assert!(text.contains(" (sleep):\n"), "{text}");
    assert_eq!(ended_processes(&text), 1, "{text}");
}

/// A stopped process handles no other signal than SIGKILL and SIGCONT.
#[test]
fn program_that_is_stopped_is_ended() {
    let text = failure_of("kill -STOP $$");
    assert!(text.contains("not ended after 2s"), "{text}");
}

#[test]
fn program_that_a_test_reads_from_is_ended() {
    let mut command = shell("echo ready; exec sleep 1000000");
    command.stdout(Stdio::piped());
    let mut program = Limited::start(command, SHORT);
    let mut output = BufReader::new(program.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    // Blocks until the program is ended.
    assert_eq!(output.read_to_string(&mut line).unwrap(), 0);
    let report = program.wait().unwrap_err();
    assert!(report.contains("not ended after 2s"), "{report}");
}

#[test]
fn program_within_its_limit_returns_status_and_output() {
    let ended = run_to_end(shell("echo out; echo err >&2; exit 3"), PROGRAM_LIMIT);
    assert_eq!(ended.status.code(), Some(3));
    assert_eq!(
        (ended.stdout.as_str(), ended.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn program_that_responds_within_the_limit_keeps_running() {
    let mut command = shell("while read line; do echo \"$line\"; done");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let limit = Duration::from_secs(2);
    let mut program = Limited::start(command, limit);
    let mut input = program.stdin.take().unwrap();
    let mut output = BufReader::new(program.stdout.take().unwrap());
    let started = Instant::now();
    while started.elapsed() < limit * 2 {
        program.restart_limit();
        input.write_all(b"1\n").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "1\n");
    }
    drop(input);
    program.wait_for_success();
}

#[cfg(target_os = "linux")]
#[test]
fn dropped_program_is_ended() {
    let program = Limited::start(shell("exec sleep 1000000"), PROGRAM_LIMIT);
    let place = format!("/proc/{}", program.id());
    assert!(Path::new(&place).exists());
    drop(program);
    assert!(!Path::new(&place).exists());
}

#[test]
#[ignore = "run by another test in a process of its own"]
fn waits_for_another_thread_forever() {
    limit_this_process_to(SHORT);
    let (_sender, receiver) = std::sync::mpsc::channel::<()>();
    // Blocks until the process is aborted.
    let _ = receiver.recv();
}

#[test]
fn test_binary_that_waits_for_itself_is_ended_with_its_stacks() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "waits_for_another_thread_forever", "--ignored"]);
    let ended = run_to_end(command, PROGRAM_LIMIT);
    assert!(!ended.status.success());
    let text = ended.stderr;
    assert!(
        text.contains("test binary not ended after 2s, aborted:\n"),
        "{text}"
    );
    // The kernel truncates names of threads.
    #[cfg(target_os = "linux")]
    assert!(text.contains("(waits_for_anoth):"), "{text}");
    if is_installed("gdb") {
        assert!(text.contains("waits_for_another_thread_forever"), "{text}");
    }
}

/// A forked child that never ends, as one that waits for a lock of its parent's thread.
#[cfg(target_os = "linux")]
#[test]
fn forked_child_that_hangs_is_ended_with_the_names_of_its_functions() {
    if !is_installed("cc") || !is_installed("gdb") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("hang.c");
    std::fs::write(
        &source,
        "#include <sys/wait.h>\n#include <unistd.h>\n\
         __attribute__((noinline)) static void child_that_hangs(void) { for (;;) pause(); }\n\
         int main(void) {\n\
           const pid_t child = fork();\n\
           if (child == 0) child_that_hangs();\n\
           return waitpid(child, NULL, 0) != child;\n\
         }\n",
    )
    .unwrap();
    let binary = folder.path().join("hang");
    let mut compile = Command::new("cc");
    compile.arg("-g").arg(&source).arg("-o").arg(&binary);
    let compiled = run_to_end(compile, PROGRAM_LIMIT);
    assert!(compiled.status.success(), "{}", compiled.stderr);
    let failed = catch_unwind(|| run_to_end(Command::new(&binary), SHORT));
    let text = failed
        .err()
        .expect("the program hangs")
        .downcast::<String>()
        .unwrap();
    assert_eq!(text.matches(" (hang):\n").count(), 2, "{text}");
    assert!(text.contains(" main () at "), "{text}");
    assert!(text.contains(" child_that_hangs ()"), "{text}");
}
