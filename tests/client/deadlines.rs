//! One deadline over everything, and cancelling in each phase.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camunda_admin::{
    AdminClient, CallOptions, Cancel, ClusterId, Error, ErrorKind, Json, Method, Outcome, Stage,
    Wait,
};
use camunda_admin_sandbox::{Fault, Sandbox};

use crate::deadline_check::in_time;
use crate::unreachable_ports::FullPort;
use crate::{builder, client, cluster};

/// A client about to get stuck in some phase, and how to tell from outside that it is there.
type Stuck = (AdminClient, Box<dyn Fn() -> bool + Send + Sync>);

/// Makes a call that gets stuck, once until its deadline and once until it is cancelled; `make` has
/// to make a new client each time, with a token host of its own.
fn ends_in_time(
    stage: Stage,
    call: impl Fn(&AdminClient) -> Error + Sync,
    make: impl Fn() -> Stuck,
) {
    keeps_its_deadline(stage, &call, &make);
    is_cancelled(stage, &call, &make);
}

fn keeps_its_deadline(
    stage: Stage,
    call: impl Fn(&AdminClient) -> Error + Sync,
    make: impl Fn() -> Stuck,
) {
    let mut timeout = Duration::from_millis(300);
    in_time(|| {
        // On a slow machine the deadline can pass before the phase is reached.
        for _ in 0..4 {
            let (admin, reached) = make();
            let admin = admin.with(CallOptions::new().timeout(timeout));
            let (error, took, seen) = std::thread::scope(|scope| {
                let call = scope.spawn(|| {
                    let begun = Instant::now();
                    (call(&admin), begun.elapsed())
                });
                let mut seen = false;
                while !call.is_finished() {
                    seen = seen || reached();
                    std::thread::sleep(Duration::from_millis(1));
                }
                let (error, took) = call.join().unwrap();
                (error, took, seen)
            });
            if !seen {
                timeout *= 4;
                continue;
            }
            assert_eq!(
                (error.kind(), error.stage()),
                (ErrorKind::Timeout, stage),
                "{error}"
            );
            assert!(took >= timeout, "{took:?}");
            return ((), took - timeout);
        }
        panic!("the phase was never reached");
    });
}

fn is_cancelled(
    stage: Stage,
    call: impl Fn(&AdminClient) -> Error + Sync,
    make: impl Fn() -> Stuck,
) {
    in_time(|| {
        let (admin, reached) = make();
        let cancel = Cancel::new();
        let admin = admin.with(CallOptions::new().cancel(cancel.clone()));
        std::thread::scope(|scope| {
            let call = scope.spawn(|| (call(&admin), Instant::now()));
            wait_for(&reached);
            let begun = Instant::now();
            cancel.cancel();
            let (error, ended) = call.join().unwrap();
            assert_eq!(
                (error.kind(), error.stage()),
                (ErrorKind::Cancelled, stage),
                "{error}"
            );
            ((), ended.duration_since(begun))
        })
    });
}

fn wait_for(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the phase was never reached"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn list(admin: &AdminClient) -> Error {
    admin.clusters().list().unwrap_err()
}

/// A server that says nothing: it reads all it gets, or nothing, and tells when there was something.
fn silent_server(reads: bool) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 4096).unwrap();
    let address = listener.local_addr().unwrap();
    let arrived = Arc::new(AtomicBool::new(false));
    let seen = arrived.clone();
    std::thread::spawn(move || {
        let mut unread = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let seen = seen.clone();
            if !reads {
                unread.push(stream.try_clone().unwrap());
            }
            std::thread::spawn(move || {
                if stream.peek(&mut [0]).is_ok_and(|count| count > 0) {
                    seen.store(true, Ordering::Release);
                }
                while reads && stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
            });
        }
    });
    (address, arrived)
}

/// What the diagnostics say of a token host, from the slots or the gates.
fn about_host(admin: &AdminClient, part: &str, host: &str) -> serde_json::Value {
    let all: serde_json::Value = admin.diagnostics().decode().unwrap();
    let entries = all[part].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["token_host"] == host);
    entry.cloned().unwrap_or_default()
}

#[test]
fn while_the_token_endpoint_says_nothing() {
    ends_in_time(Stage::Token, list, || {
        let (address, arrived) = silent_server(true);
        let sandbox = Sandbox::start();
        let admin = builder(&sandbox).oauth_url(&format!("http://{address}/oauth/token"));
        (
            admin.build().unwrap(),
            Box::new(move || arrived.load(Ordering::Acquire)),
        )
    });
}

/// A client for a sandbox whose API is elsewhere.
fn with_api_at(url: &str, reached: impl Fn() -> bool + Send + Sync + 'static) -> Stuck {
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox).base_url(url).build().unwrap();
    let reached = move || {
        // Kept for the token.
        let _ = &sandbox;
        reached()
    };
    (admin, Box::new(reached))
}

#[test]
fn while_the_service_says_nothing() {
    ends_in_time(Stage::Request, list, || {
        let (address, arrived) = silent_server(true);
        with_api_at(&format!("http://{address}"), move || {
            arrived.load(Ordering::Acquire)
        })
    });
}

#[test]
fn while_tls_is_not_answered() {
    ends_in_time(Stage::Request, list, || {
        let (address, arrived) = silent_server(true);
        with_api_at(&format!("https://{address}"), move || {
            arrived.load(Ordering::Acquire)
        })
    });
}

#[test]
fn while_a_proxy_says_nothing() {
    ends_in_time(Stage::Request, list, || {
        let (address, arrived) = silent_server(true);
        let sandbox = Sandbox::start();
        let admin = builder(&sandbox)
            .base_url("https://service.example")
            .proxy(&format!("http://{address}"))
            .build()
            .unwrap();
        let reached = move || {
            let _ = &sandbox;
            arrived.load(Ordering::Acquire)
        };
        (admin, Box::new(reached))
    });
}

/// Connections that nobody answers are told by the kernel's own list.
#[cfg(target_os = "linux")]
#[test]
fn while_connecting() {
    let is_asked_for = |port: u16| {
        let waiting = format!(" 0100007F:{port:04X} 02 ");
        let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
        connections.lines().any(|line| line.contains(&waiting))
    };
    ends_in_time(Stage::Request, list, || {
        let full = FullPort::new();
        let port = full.address().port();
        with_api_at(&format!("http://{}", full.address()), move || {
            let _ = &full;
            is_asked_for(port)
        })
    });
}

#[test]
fn while_sending() {
    // More than the kernel keeps for a server that does not read.
    let much = Json::new(format!("\"{}\"", "x".repeat(5 << 20))).unwrap();
    let send_much = |admin: &AdminClient| {
        let error = admin
            .request(Method::Put, "/much", Some(&much))
            .unwrap_err();
        assert_ne!(error.outcome(), Outcome::Rejected);
        error
    };
    ends_in_time(Stage::Request, send_much, || {
        let (address, arrived) = silent_server(false);
        with_api_at(&format!("http://{address}"), move || {
            arrived.load(Ordering::Acquire)
        })
    });
}

#[test]
fn while_the_answer_trickles() {
    ends_in_time(Stage::Request, list, || {
        let (address, begun) = trickling_server();
        with_api_at(&format!("http://{address}"), move || {
            begun.load(Ordering::Acquire)
        })
    });
}

/// A server that takes hours for its answer, and tells when some of the body is on its way.
fn trickling_server() -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let begun = Arc::new(AtomicBool::new(false));
    let tell = begun.clone();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        stream
            .write_all(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                  Content-Length: 1000000\r\n\r\n[",
            )
            .unwrap();
        // Until the client is gone.
        let mut sent = 1;
        while stream.write_all(b" ").is_ok() {
            sent += 1;
            if sent == 10 {
                tell.store(true, Ordering::Release);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    (address, begun)
}

/// A pause that would end after the deadline is not even begun; see `requests`.
#[test]
fn while_backing_off() {
    is_cancelled(Stage::Request, list, || {
        let sandbox = Sandbox::start();
        sandbox.add_fault(
            Fault::on("GET /clusters")
                .status(503)
                .header("retry-after", "15")
                .always(),
        );
        let admin = client(&sandbox);
        let stats = admin.clone();
        let reached = move || {
            let _ = &sandbox;
            stats.stats().retries > 0
        };
        (admin, Box::new(reached))
    });
}

#[test]
fn while_waiting_for_another_threads_token() {
    ends_in_time(Stage::Token, list, || {
        let (address, arrived) = silent_server(true);
        let sandbox = Sandbox::start();
        let settings = builder(&sandbox).oauth_url(&format!("http://{address}/oauth/token"));
        let admin = settings.build().unwrap();
        let leader = admin.clone();
        std::thread::spawn(move || leader.clusters().list().unwrap_err());
        wait_for(|| arrived.load(Ordering::Acquire));
        let asked = admin.clone();
        (admin, Box::new(move || asked.stats().calls == 2))
    });
}

/// A turn that comes after the deadline is not waited for; any other wait can be cancelled.
#[test]
fn while_waiting_for_a_turn() {
    in_time(|| {
        let sandbox = Sandbox::builder().token_rate_limit(false).start();
        let url = sandbox.base_url();
        let settings = |id: &str| builder(&sandbox).client_id(id).client_secret("wrong");
        let other = |number: usize| settings(&format!("other {number}")).build().unwrap();
        let cancel = Cancel::new();
        let admin = other(0);
        std::thread::scope(|scope| {
            let calls: Vec<_> = (1..=20)
                .map(|number| {
                    let admin = other(number).with(CallOptions::new().cancel(cancel.clone()));
                    scope.spawn(move || (list(&admin), Instant::now()))
                })
                .collect();
            // Turns are more than a second apart, so that most of them wait for long.
            wait_for(|| {
                about_host(&admin, "gates", &url)["waiting"]
                    .as_u64()
                    .is_some_and(|waiting| waiting >= 12)
            });
            in_time(|| {
                let quick = other(0).with(CallOptions::new().timeout(Duration::from_secs(5)));
                let begun = Instant::now();
                let error = list(&quick);
                assert_eq!(error.kind(), ErrorKind::RateLimited, "{error}");
                ((), begun.elapsed())
            });

            let begun = Instant::now();
            cancel.cancel();
            let cancelled: Vec<Duration> = calls
                .into_iter()
                .map(|call| call.join().unwrap())
                .filter(|(error, _)| error.kind() == ErrorKind::Cancelled)
                .map(|(error, ended)| {
                    assert_eq!(error.stage(), Stage::Token);
                    ended.saturating_duration_since(begun)
                })
                .collect();
            assert!(cancelled.len() >= 12, "{cancelled:?}");
            ((), cancelled.into_iter().max().unwrap())
        })
    });
}

/// The lock of another process is waited for during a part of the call only, so that the deadline
/// never falls into that wait; it can be cancelled.
#[test]
fn while_another_process_holds_the_lock() {
    let locked = |timeout: Duration| {
        let sandbox = Sandbox::builder().token_rate_limit(false).start();
        let directory = tempfile::tempdir().unwrap();
        let admin = builder(&sandbox)
            .token_cache(directory.path().to_str().unwrap())
            .timeout(timeout)
            .build()
            .unwrap();
        admin.clusters().list().unwrap();
        admin.invalidate_tokens();
        let locks: Vec<_> = std::fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                let name = path.file_name().unwrap().to_str().unwrap();
                name.starts_with("token-") && name.ends_with(".lock")
            })
            .map(|path| {
                let file = File::open(path).unwrap();
                file.try_lock().unwrap();
                file
            })
            .collect();
        assert_eq!(locks.len(), 1);
        (sandbox, directory, admin, locks)
    };
    is_cancelled(Stage::Token, list, || {
        let (sandbox, directory, admin, locks) = locked(Duration::from_secs(60));
        let asked = admin.clone();
        let reached = move || {
            let _ = (&directory, &locks);
            about_host(&asked, "slots", &sandbox.base_url())["state"] == "fetching"
        };
        (admin, Box::new(reached))
    });

    let timeout = Duration::from_secs(9);
    in_time(|| {
        let (sandbox, _directory, admin, _locks) = locked(timeout);
        let begun = Instant::now();
        admin.clusters().list().unwrap();
        let took = begun.elapsed();
        assert!(took >= timeout / 2, "{took:?}");
        assert_eq!(sandbox.stats().token_requests, 2);
        ((), took.saturating_sub(timeout))
    });
}

/// The pauses of a waiter end with its own deadline.
#[cfg(target_os = "linux")]
#[test]
fn while_a_waiter_pauses() {
    use std::path::PathBuf;
    use std::sync::Mutex;

    // Where the kernel tells of the thread that was called back, and how often it was.
    let called = Arc::new(Mutex::new((PathBuf::new(), 0)));
    let wait = |admin: &AdminClient, id: &ClusterId, timeout: Duration| {
        let wait = Wait::new().timeout(timeout).on_progress(|_| {
            let thread = std::fs::read_link("/proc/thread-self").unwrap();
            let mut called = called.lock().unwrap();
            *called = (thread, called.1 + 1);
        });
        admin.cluster(id).wait_until_healthy(&wait).unwrap_err()
    };
    let unhealthy = || {
        let sandbox = Sandbox::start();
        let id = sandbox.create_cluster(serde_json::json!({}));
        sandbox.set_status(&id, serde_json::json!({ "ready": "Creating" }));
        called.lock().unwrap().1 = 0;
        (client(&sandbox), sandbox, id.parse::<ClusterId>().unwrap())
    };

    in_time(|| {
        let (admin, sandbox, id) = unhealthy();
        let timeout = Duration::from_secs(1);
        let begun = Instant::now();
        let error = wait(&admin, &id, timeout);
        let took = begun.elapsed();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        assert!(took >= timeout, "{took:?}");
        // On a slow machine it can look when the deadline comes.
        let looks = sandbox.stats().requests;
        let pauses = looks > 0 && looks == called.lock().unwrap().1;
        (
            (),
            if pauses {
                took - timeout
            } else {
                Duration::MAX
            },
        )
    });

    let id = Mutex::new(None);
    let wait_for_long = |admin: &AdminClient| {
        let id = id.lock().unwrap().clone().unwrap();
        wait(admin, &id, Duration::from_secs(3600))
    };
    is_cancelled(Stage::Request, wait_for_long, || {
        let (admin, sandbox, cluster) = unhealthy();
        *id.lock().unwrap() = Some(cluster);
        let called = called.clone();
        let reached = move || {
            let (thread, calls) = called.lock().unwrap().clone();
            calls > 0 && sandbox.stats().requests == calls && sleeps(&thread)
        };
        (admin, Box::new(reached))
    });
}

/// Whether a thread waits for something.
#[cfg(target_os = "linux")]
fn sleeps(thread: &Path) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(thread).join("stat")).unwrap();
    // The name before it is in parentheses, and may have any of them.
    status.rsplit(") ").next().unwrap().starts_with('S')
}

#[test]
fn an_interrupt_is_asked_on_the_calling_thread() {
    let (address, _) = silent_server(true);
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox)
        .base_url(&format!("http://{address}"))
        .build()
        .unwrap();
    let thread = std::thread::current().id();
    let options = CallOptions::new().interrupt_check(move || std::thread::current().id() == thread);
    let error = admin.with(options).clusters().list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn a_once_operation_that_times_out_may_have_been_done() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let request = cluster(&admin, "once");
    sandbox.add_fault(Fault::on("POST /clusters").stall());
    let quick = admin.with(CallOptions::new().timeout(Duration::from_millis(300)));
    let error = quick.clusters().create(&request).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Timeout, Outcome::Unknown)
    );
    assert_eq!(sandbox.stats().requests_by_operation["POST /clusters"], 1);
}

#[test]
fn options_set_later_keep_those_set_before() {
    let (address, arrived) = silent_server(true);
    let (admin, _sandbox) = with_api_at(&format!("http://{address}"), || true);
    let cancel = Cancel::new();
    let cancellable = admin.with(CallOptions::new().cancel(cancel.clone()));
    let both = cancellable.with(CallOptions::new().timeout(Duration::from_secs(30)));
    let error = std::thread::scope(|scope| {
        let call = scope.spawn(|| list(&both));
        wait_for(|| arrived.load(Ordering::Acquire));
        cancel.cancel();
        call.join().unwrap()
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled);

    cancel.reset();
    let quick = admin.with(CallOptions::new().timeout(Duration::from_millis(300)));
    let both = quick.with(CallOptions::new().cancel(cancel));
    assert_eq!(list(&both).kind(), ErrorKind::Timeout);
}

#[test]
fn a_cancel_that_is_reset_immediately_still_ends_the_call() {
    let (address, arrived) = silent_server(true);
    let (admin, _sandbox) = with_api_at(&format!("http://{address}"), || true);
    let cancel = Cancel::new();
    let admin = admin.with(
        CallOptions::new()
            .cancel(cancel.clone())
            .timeout(Duration::from_secs(30)),
    );
    let error = std::thread::scope(|scope| {
        let call = scope.spawn(|| list(&admin));
        wait_for(|| arrived.load(Ordering::Acquire));
        cancel.cancel();
        cancel.reset();
        call.join().unwrap()
    });
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn a_cancel_that_is_reset_immediately_still_ends_a_wait() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let id = admin.clusters().create(&cluster(&admin, "slow")).unwrap();
    sandbox.set_status(id.as_str(), serde_json::json!({"ready": "Creating"}));
    let cancel = Cancel::new();
    let cancellable = admin.with(CallOptions::new().cancel(cancel.clone()));
    let wait = Wait::new()
        .timeout(Duration::from_secs(30))
        .on_progress(|_| {
            cancel.cancel();
            cancel.reset();
        });
    let error = cancellable
        .cluster(&id)
        .wait_until_healthy(&wait)
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}
