//! Deadline and cancellation of a call in each of its phases.

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
use crate::unreachable_ports::UnresponsivePort;
use crate::{builder, client, cluster};

/// A client whose calls block in one phase, and a function that returns whether a call has reached it.
type Blocked = (AdminClient, Box<dyn Fn() -> bool + Send + Sync>);

/// Checks that a blocked call returns at its deadline, with an error that names the activity, and when it
/// is cancelled. `make` creates a client with a token host of its own each time.
fn check_deadline_and_cancellation(
    stage: Stage,
    activity: &str,
    call: impl Fn(&AdminClient) -> Error + Sync,
    make: impl Fn() -> Blocked,
) {
    check_deadline(stage, activity, &call, &make);
    check_cancellation(stage, &call, &make);
}

fn check_deadline(
    stage: Stage,
    activity: &str,
    call: impl Fn(&AdminClient) -> Error + Sync,
    make: impl Fn() -> Blocked,
) {
    let mut timeout = Duration::from_millis(300);
    in_time(|| {
        // On a slow machine the deadline can pass before the phase is reached.
        let mut last = None;
        for _ in 0..4 {
            let (admin, reached) = make();
            let admin = admin.with(CallOptions::new().timeout(timeout));
            let (error, took, was_reached) = std::thread::scope(|scope| {
                let call = scope.spawn(|| {
                    let begun = Instant::now();
                    (call(&admin), begun.elapsed())
                });
                let mut was_reached = false;
                while !call.is_finished() {
                    was_reached = was_reached || reached();
                    std::thread::sleep(Duration::from_millis(1));
                }
                let (error, took) = call.join().unwrap();
                (error, took, was_reached)
            });
            let names_activity = error.message().contains(&format!(" while {activity}"));
            if !was_reached || !names_activity {
                timeout *= 4;
                last = Some(error);
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
        panic!("the phase was never reached: {last:?}");
    });
}

fn check_cancellation(
    stage: Stage,
    call: impl Fn(&AdminClient) -> Error + Sync,
    make: impl Fn() -> Blocked,
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

/// Starts a server that never responds and, if `reads`, reads requests. Returns its address and a flag
/// that is set when bytes arrive.
fn silent_server(reads: bool) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&listener)
        .set_recv_buffer_size(4096)
        .unwrap();
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

/// Returns the entry of a token host in a list of the diagnostics.
fn diagnostics_of_host(admin: &AdminClient, part: &str, host: &str) -> serde_json::Value {
    let all = serde_json::to_value(admin.diagnostics()).unwrap();
    let entries = all[part].as_array().unwrap();
    let entry = entries.iter().find(|entry| entry["token_host"] == host);
    entry.cloned().unwrap_or_default()
}

#[test]
fn call_ends_while_token_endpoint_does_not_respond() {
    check_deadline_and_cancellation(
        Stage::Token,
        "waiting for the response of http://127.0.0.1:",
        list,
        || {
            let (address, arrived) = silent_server(true);
            let sandbox = Sandbox::start();
            let admin = builder(&sandbox).oauth_url(&format!("http://{address}/oauth/token"));
            (
                admin.build().unwrap(),
                Box::new(move || arrived.load(Ordering::Acquire)),
            )
        },
    );
}

/// Returns a client that gets its token from a sandbox, and whose API has another URL.
fn with_api_at(url: &str, reached: impl Fn() -> bool + Send + Sync + 'static) -> Blocked {
    let sandbox = Sandbox::start();
    let admin = builder(&sandbox).base_url(url).build().unwrap();
    let reached = move || {
        // The sandbox must run until the token is requested.
        let _ = &sandbox;
        reached()
    };
    (admin, Box::new(reached))
}

/// As [`with_api_at`], with an API that does not respond; unless it `reads`, it does not receive either.
fn with_silent_api(scheme: &str, reads: bool) -> Blocked {
    let (address, arrived) = silent_server(reads);
    with_api_at(&format!("{scheme}://{address}"), move || {
        arrived.load(Ordering::Acquire)
    })
}

#[test]
fn call_ends_while_api_does_not_respond() {
    check_deadline_and_cancellation(
        Stage::Request,
        "waiting for the response of http://127.0.0.1:",
        list,
        || with_silent_api("http", true),
    );
}

#[test]
fn call_ends_during_tls_handshake() {
    check_deadline_and_cancellation(
        Stage::Request,
        "waiting for the TLS handshake with https://127.0.0.1:",
        list,
        || with_silent_api("https", true),
    );
}

#[test]
fn call_ends_while_proxy_does_not_respond() {
    check_deadline_and_cancellation(
        Stage::Request,
        "waiting for the proxy http://127.0.0.1:",
        list,
        || {
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
        },
    );
}

/// Linux lists connection attempts without a response in /proc/net/tcp.
#[cfg(target_os = "linux")]
#[test]
fn call_ends_while_connecting() {
    let is_connecting = |port: u16| {
        let syn_sent = format!(" 0100007F:{port:04X} 02 ");
        let connections = std::fs::read_to_string("/proc/net/tcp").unwrap();
        connections.lines().any(|line| line.contains(&syn_sent))
    };
    check_deadline_and_cancellation(
        Stage::Request,
        "connecting to http://127.0.0.1:",
        list,
        || {
            let full = UnresponsivePort::new();
            let port = full.address().port();
            with_api_at(&format!("http://{}", full.address()), move || {
                let _ = &full;
                is_connecting(port)
            })
        },
    );
}

#[test]
fn call_ends_while_sending() {
    // Larger than the socket buffers of both ends.
    let large = Json::new(format!("\"{}\"", "x".repeat(5 << 20))).unwrap();
    let send_large = |admin: &AdminClient| {
        let error = admin
            .request(Method::Put, "/large", Some(&large))
            .unwrap_err();
        assert_ne!(error.outcome(), Outcome::Rejected);
        error
    };
    check_deadline_and_cancellation(
        Stage::Request,
        "sending the request to http://127.0.0.1:",
        send_large,
        || with_silent_api("http", false),
    );
}

#[test]
fn call_ends_while_response_is_sent_slowly() {
    check_deadline_and_cancellation(
        Stage::Request,
        "receiving the response of http://127.0.0.1:",
        list,
        || {
            let (address, begun) = slow_server();
            with_api_at(&format!("http://{address}"), move || {
                begun.load(Ordering::Acquire)
            })
        },
    );
}

/// Starts a server that sends its response for hours. Returns its address and a flag that is set when a
/// part of the body was sent.
fn slow_server() -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let begun = Arc::new(AtomicBool::new(false));
    let flag = begun.clone();
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
        // Ends when the client closes the connection.
        let mut sent = 1;
        while stream.write_all(b" ").is_ok() {
            sent += 1;
            if sent == 10 {
                flag.store(true, Ordering::Release);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    (address, begun)
}

/// Only cancellation: a call does not wait for a retry after its deadline, see `requests`.
#[test]
fn call_ends_while_waiting_for_a_retry() {
    check_cancellation(Stage::Request, list, || {
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
fn call_ends_while_waiting_for_another_threads_token_request() {
    check_deadline_and_cancellation(Stage::Token, "waiting for an access token", list, || {
        let (address, arrived) = silent_server(true);
        let sandbox = Sandbox::start();
        let settings = builder(&sandbox).oauth_url(&format!("http://{address}/oauth/token"));
        let admin = settings.build().unwrap();
        let first = admin.clone();
        std::thread::spawn(move || first.clusters().list().unwrap_err());
        wait_for(|| arrived.load(Ordering::Acquire));
        let observer = admin.clone();
        (admin, Box::new(move || observer.stats().calls == 2))
    });
}

/// A call fails immediately if the rate limit allows its token request only after its deadline; any
/// other wait for the rate limit can be cancelled.
#[test]
fn call_ends_while_waiting_for_the_token_rate_limit() {
    in_time(|| {
        let sandbox = Sandbox::builder().token_rate_limit(false).start();
        let url = sandbox.base_url();
        let settings = |id: &str| builder(&sandbox).client_id(id).client_secret("wrong");
        let other = |number: usize| settings(&format!("other {number}")).build().unwrap();
        let cancel = Cancel::new();
        let admin = other(0);
        // Made before the first call: a slow machine may take longer to make one than the rate limit
        // takes to let a request through.
        let admins: Vec<_> = (1..=40)
            .map(|number| other(number).with(CallOptions::new().cancel(cancel.clone())))
            .collect();
        std::thread::scope(|scope| {
            let calls: Vec<_> = admins
                .iter()
                .map(|admin| scope.spawn(move || (list(admin), Instant::now())))
                .collect();
            // Token requests are more than 1 s apart, so most calls wait for several seconds.
            wait_for(|| {
                diagnostics_of_host(&admin, "rate_limiters", &url)["waiting"]
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

/// The wait for another process's lock ends before the call's deadline, and can be cancelled.
#[test]
fn call_ends_while_another_process_holds_the_fetch_lock() {
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
    check_cancellation(Stage::Token, list, || {
        let (sandbox, directory, admin, locks) = locked(Duration::from_secs(60));
        let observer = admin.clone();
        let reached = move || {
            let _ = (&directory, &locks);
            diagnostics_of_host(&observer, "tokens", &sandbox.base_url())["state"] == "fetching"
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

/// The delay between polls ends at the deadline of the waiter.
#[cfg(target_os = "linux")]
#[test]
fn waiter_ends_between_two_polls() {
    use std::path::PathBuf;
    use std::sync::Mutex;

    // The entry in /proc of the thread that called back, and the number of callbacks.
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
        // On a slow machine the deadline can pass during a poll, which is not what is tested.
        let polls = sandbox.stats().requests;
        let between_polls = polls > 0 && polls == called.lock().unwrap().1;
        (
            (),
            if between_polls {
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
    check_cancellation(Stage::Request, wait_for_long, || {
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

/// Returns whether a thread is blocked.
#[cfg(target_os = "linux")]
fn sleeps(thread: &Path) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(thread).join("stat")).unwrap();
    // The state follows the thread name, which is in parentheses and can contain some.
    status.rsplit(") ").next().unwrap().starts_with('S')
}

#[test]
fn interrupt_check_runs_on_the_calling_thread() {
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
fn non_idempotent_operation_has_unknown_outcome_after_a_timeout() {
    let sandbox = Sandbox::start();
    let admin = client(&sandbox);
    let request = cluster(&admin, "once");
    sandbox.add_fault(Fault::on("POST /clusters").stall());
    // Longer than a loaded machine takes to send the request.
    let quick = admin.with(CallOptions::new().timeout(Duration::from_secs(2)));
    let error = quick.clusters().create(&request).unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Timeout, Outcome::Unknown)
    );
    assert_eq!(sandbox.stats().requests_by_operation["POST /clusters"], 1);
}

#[test]
fn options_set_later_do_not_reset_earlier_ones() {
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
fn call_ends_when_cancel_is_reset_immediately() {
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
fn waiter_ends_when_cancel_is_reset_immediately() {
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
