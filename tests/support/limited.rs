//! Programs that tests start, each with a time limit: one that is exceeded ends the program and all
//! processes that it started, with their stacks in the failure.
//!
//! [`run_to_end`] is for programs that end by themselves, [`Limited`] for those that a test talks to.
//! [`limit_this_process`] bounds what a test waits for in its own process.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write as _};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Time limit of a program, far longer than any takes on a machine under load.
pub(crate) const PROGRAM_LIMIT: Duration = Duration::from_secs(300);
/// Time limit of compilers, of `cargo`, and for programs that run under valgrind.
pub(crate) const SLOW_PROGRAM_LIMIT: Duration = Duration::from_secs(1200);
/// Time limit of a whole test binary.
const PROCESS_LIMIT: Duration = Duration::from_secs(3600);
/// Time limit of a debugger.
const DEBUGGER_LIMIT: Duration = Duration::from_secs(30);
/// Time limit of collecting the stacks of a program that exceeded its limit.
const REPORT_LIMIT: Duration = Duration::from_secs(300);
/// Time limit of an interpreter to print its stacks.
const ABORT_LIMIT: Duration = Duration::from_secs(2);

/// Maximum interval between two checks whether a program has ended.
const MAX_POLL: Duration = Duration::from_millis(10);
/// Names the program to which a process belongs, in its environment, which its children inherit.
const MARKER: &str = "TEST_PROGRAM";

/// A running program that ends when its time limit is exceeded or when this value is dropped.
pub(crate) struct Limited {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
    id: u32,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// The program and its arguments, without the environment, which contains secrets.
    shown: String,
    marker: String,
    limit: Duration,
}

struct State {
    child: Child,
    /// When the limit begins.
    begun: Instant,
    dropped: bool,
    /// What was found when the limit was exceeded.
    report: Option<String>,
}

impl Limited {
    /// Starts a program. Its standard streams are those that `command` has; piped ones are in the
    /// fields of the value.
    ///
    /// # Panics
    ///
    /// If the program cannot be started.
    #[track_caller]
    pub(crate) fn start(command: Command, limit: Duration) -> Limited {
        let shown = shown(&command);
        match Limited::try_start(command, limit) {
            Ok(program) => program,
            Err(error) => panic!("{shown}: {error}"),
        }
    }

    /// Starts a program, or returns why it cannot be started.
    pub(crate) fn try_start(mut command: Command, limit: Duration) -> io::Result<Limited> {
        static STARTED: AtomicU64 = AtomicU64::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let marker = format!("{}-{number}", std::process::id());
        let mut child = command.env(MARKER, &marker).spawn()?;
        let limited = Limited {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            stderr: child.stderr.take(),
            id: child.id(),
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    child,
                    begun: Instant::now(),
                    dropped: false,
                    report: None,
                }),
                changed: Condvar::new(),
                shown: shown(&command),
                marker,
                limit,
            }),
        };
        let shared = Arc::clone(&limited.shared);
        thread::spawn(move || shared.watch());
        Ok(limited)
    }

    /// Returns the process id.
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Returns the exit status if the program has ended.
    pub(crate) fn try_wait(&self) -> Option<ExitStatus> {
        self.shared.lock().child.try_wait().unwrap()
    }

    /// Waits until the program ends.
    ///
    /// # Errors
    ///
    /// A text with the stacks of its processes, if the limit was exceeded.
    pub(crate) fn wait(&self) -> Result<ExitStatus, String> {
        let mut state = self.shared.lock();
        let mut poll = Duration::from_millis(1);
        loop {
            if let Some(report) = &state.report {
                return Err(report.clone());
            }
            if let Some(status) = state.child.try_wait().unwrap() {
                return Ok(status);
            }
            state = self.shared.wait(state, poll);
            poll = (poll * 2).min(MAX_POLL);
        }
    }

    /// Waits until the program ends, and fails unless it succeeds.
    #[track_caller]
    pub(crate) fn wait_for_success(&self) {
        match self.wait() {
            Ok(status) => assert!(status.success(), "{}: {status}", self.shared.shown),
            Err(report) => panic!("{report}"),
        }
    }

    /// Restarts the time limit: for a program that handles one request after another.
    pub(crate) fn restart_limit(&self) {
        self.shared.lock().begun = Instant::now();
    }

    /// Ends the program with SIGKILL.
    pub(crate) fn kill(&self) {
        let mut state = self.shared.lock();
        // Fails only if the program has ended.
        let _ = state.child.kill();
        let _ = state.child.wait();
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.dropped = true;
        self.shared.changed.notify_all();
        if thread::panicking() || !matches!(state.child.try_wait(), Ok(Some(_))) {
            self.shared.kill(&mut state);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, limit: Duration) -> MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, limit);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Ends the program when its limit is exceeded, even if it has ended itself and left processes
    /// behind that keep its output open.
    fn watch(&self) {
        let mut state = self.lock();
        while !state.dropped {
            let left = self.limit.saturating_sub(state.begun.elapsed());
            if left.is_zero() {
                break;
            }
            state = self.wait(state, left);
        }
        let processes = self.processes(&mut state);
        if state.dropped || processes.is_empty() {
            return;
        }
        let mut report = format!(
            "{}: not ended after {:?}, killed; its processes were:\n",
            self.shown, self.limit
        );
        for process in &processes {
            report += &stacks(*process);
        }
        // `faulthandler` prints where every thread of a Python program is.
        let interpreters: BTreeSet<u32> = processes
            .into_iter()
            .filter(|process| name_of(*process).starts_with("python"))
            .collect();
        signal("ABRT", &interpreters);
        let aborted = Instant::now();
        while interpreters.iter().any(|process| is_running(*process))
            && aborted.elapsed() < ABORT_LIMIT
        {
            let _ = state.child.try_wait();
            thread::sleep(MAX_POLL);
        }
        self.kill(&mut state);
        // Into the output of the test, which may fail before it waits for the program.
        eprintln!("{report}");
        state.report = Some(report);
        self.changed.notify_all();
    }

    /// Ends the program and all processes that it started.
    fn kill(&self, state: &mut State) {
        // Again, as a process may have started another one in the meantime.
        for _ in 0..10 {
            let processes = self.processes(state);
            if processes.is_empty() {
                break;
            }
            signal("KILL", &processes);
            let _ = state.child.kill();
            let _ = state.child.wait();
        }
    }

    /// Returns the running processes of the program.
    fn processes(&self, state: &mut State) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        if matches!(state.child.try_wait(), Ok(None)) {
            found.insert(state.child.id());
        }
        let all = all_processes();
        let marked = format!("{MARKER}={}", self.marker);
        for (process, _) in &all {
            let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
            let mut variables = environment.split(|byte| *byte == 0);
            if variables.any(|variable| variable == marked.as_bytes()) {
                found.insert(*process);
            }
        }
        loop {
            let known = found.len();
            for (process, parent) in &all {
                if found.contains(parent) {
                    found.insert(*process);
                }
            }
            if found.len() == known {
                return found;
            }
        }
    }
}

/// Exit status and output of a program.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a program without input until it ends.
///
/// # Panics
///
/// If it cannot be started, or exceeds the limit: with the stacks of its processes and what it
/// printed.
#[track_caller]
pub(crate) fn run_to_end(mut command: Command, limit: Duration) -> Ended {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut program = Limited::start(command, limit);
    let stdout = text_of(program.stdout.take().unwrap());
    let stderr = text_of(program.stderr.take().unwrap());
    let status = program.wait();
    // A process that is left behind keeps them open until it is ended, too.
    let [stdout, stderr] = [stdout, stderr].map(|text| {
        text.recv_timeout(limit + REPORT_LIMIT)
            .unwrap_or_else(|_| "its output stays open".to_owned())
    });
    match status.and_then(|_| program.wait()) {
        Ok(status) => Ended {
            status,
            stdout,
            stderr,
        },
        Err(report) => panic!("{report}\nIt printed:\n{stdout}\n{stderr}"),
    }
}

/// Reads a stream to its end, on a thread of its own.
pub(crate) fn text_of(mut stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        sender.send(String::from_utf8_lossy(&text).into_owned())
    });
    receiver
}

/// Ends the whole test binary, with the stacks of all its threads, when it takes longer than an hour:
/// a thread that waits for another one cannot be ended alone.
pub(crate) fn limit_this_process() {
    limit_this_process_to(PROCESS_LIMIT);
}

/// Like [`limit_this_process`], with another limit; only the first limit of a process applies.
pub(crate) fn limit_this_process_to(limit: Duration) {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        thread::spawn(move || {
            thread::sleep(limit);
            let mut report = format!("test binary not ended after {limit:?}, aborted:\n");
            report += &stacks(std::process::id());
            // Not captured by the test runner.
            let _ = io::stderr().write_all(report.as_bytes());
            std::process::abort();
        });
    });
}

fn shown(command: &Command) -> String {
    let mut shown = format!("{:?}", command.get_program());
    for argument in command.get_args() {
        let _ = write!(shown, " {argument:?}");
    }
    shown
}

/// Returns the processes of this machine that have not ended, each with its parent; none where there
/// is no `/proc`.
fn all_processes() -> Vec<(u32, u32)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let ids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id| {
        let (state, parent) = state_of(id)?;
        (state != 'Z').then_some((id, parent))
    })
    .collect()
}

/// Returns the state of a process, such as `S`, and its parent.
fn state_of(process: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before the parenthesis may have spaces and parentheses in it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

fn is_running(process: u32) -> bool {
    state_of(process).is_some_and(|(state, _)| state != 'Z')
}

fn name_of(process: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

fn signal(signal: &str, processes: &BTreeSet<u32>) {
    if processes.is_empty() {
        return;
    }
    // The shell's builtin, because containers may not have a program `kill`.
    let mut command = Command::new("sh");
    command.args(["-c", "kill -\"$0\" \"$@\"", signal]);
    command.args(processes.iter().map(u32::to_string));
    // Some may have ended already.
    let _ = command.stderr(Stdio::null()).status();
}

/// Returns the stacks of all threads of a process, from gdb where that works, else what the kernel
/// says of the threads.
fn stacks(process: u32) -> String {
    let mut text = format!("process {process} ({}):\n", name_of(process));
    for thread in fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let read = |name| {
            let text = fs::read_to_string(thread.path().join(name)).unwrap_or_default();
            text.trim_end().to_owned()
        };
        let status = read("status");
        let state = status.lines().find_map(|line| line.strip_prefix("State:"));
        let _ = writeln!(
            text,
            "  thread {} ({}):{}; in the kernel at {}; system call {}",
            thread.file_name().display(),
            read("comm"),
            state.unwrap_or("\tunknown"),
            read("wchan"),
            read("syscall"),
        );
    }
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-p", &process.to_string()]);
    gdb.args(["-ex", "thread apply all backtrace 40"]);
    gdb.env("DEBUGINFOD_URLS", "")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    match gdb.spawn() {
        Ok(mut gdb) => {
            let output = text_of(gdb.stdout.take().unwrap());
            let started = Instant::now();
            while matches!(gdb.try_wait(), Ok(None)) && started.elapsed() < DEBUGGER_LIMIT {
                thread::sleep(MAX_POLL);
            }
            let _ = gdb.kill();
            let _ = gdb.wait();
            text += &output.recv_timeout(DEBUGGER_LIMIT).unwrap_or_default();
        }
        Err(error) => {
            let _ = writeln!(text, "  no stacks: gdb: {error}");
        }
    }
    text.push('\n');
    text
}
