//! The interval between token requests, as the token endpoint sees it.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use camunda_admin::AdminClientBuilder;
use camunda_admin_sandbox::Sandbox;

use crate::settings::in_a_process;

/// How long connections are not forwarded after the first one was accepted.
const HOLD: Duration = Duration::from_secs(3);

/// Forwards connections to `server`, none of them before [`HOLD`] has passed. So TLS handshakes that
/// begin one after the other end at the same time.
fn slow_network_to(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut first = None;
        for client in listener.incoming() {
            let client = client.unwrap();
            let open_at = *first.get_or_insert_with(Instant::now) + HOLD;
            thread::spawn(move || {
                thread::sleep(open_at.saturating_duration_since(Instant::now()));
                let server = TcpStream::connect(server).unwrap();
                let (from_client, to_server) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || forward(from_client, to_server));
                forward(server, client);
            });
        }
    });
    address
}

fn forward(mut from: TcpStream, mut to: TcpStream) {
    // An error ends the connection, too.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// Checks the distances of three token requests that `send` sends. On a loaded machine the server's threads
/// may notice an arrival late, and the next one in time, so this is repeated up to 5 times. Requests
/// without a rate limit would arrive together each time.
fn check_arrivals(send: impl Fn() -> Sandbox) {
    let mut attempts = Vec::new();
    while attempts.len() < 5 {
        let sandbox = send();
        let mut arrived: Vec<_> = sandbox
            .requests_to("token")
            .iter()
            .map(|request| request.time)
            .collect();
        arrived.sort();
        assert_eq!(arrived.len(), 3);
        let apart = |pair: &[Duration]| pair[1] - pair[0] >= Duration::from_millis(1_050);
        if arrived.windows(2).all(apart) {
            return;
        }
        attempts.push(arrived);
    }
    panic!("less than 1.05 s apart: {attempts:?}");
}

/// Returns a sandbox, and the environment of a client that reaches it through a slow network.
fn slow_sandbox() -> (Sandbox, Vec<(String, String)>) {
    let sandbox = Sandbox::builder().tls(true).start();
    let mut environment = sandbox.environment();
    let url = sandbox.oauth_url();
    let port = url.split(':').nth(2).unwrap().split('/').next().unwrap();
    let slow = slow_network_to(format!("127.0.0.1:{port}").parse().unwrap());
    let url = url.replacen(port, &slow.port().to_string(), 1);
    environment.push(("CAMUNDA_OAUTH_URL".to_owned(), url));
    (sandbox, environment)
}

#[test]
fn token_requests_of_a_process_are_apart_when_connecting_is_slow() {
    check_arrivals(|| {
        let (sandbox, mut environment) = slow_sandbox();
        environment.push(("SCOPES".to_owned(), "a b c".to_owned()));
        environment.push((
            "CAMUNDA_TOKEN_DISK_CACHE_DISABLE".to_owned(),
            "true".to_owned(),
        ));
        in_a_process("token_interval::gets_tokens", &environment);
        sandbox
    });
}

#[test]
fn token_requests_of_several_processes_are_apart_when_connecting_is_slow() {
    check_arrivals(|| {
        let (sandbox, mut environment) = slow_sandbox();
        let cache = tempfile::tempdir().unwrap();
        let directory = cache.path().join("tokens").to_str().unwrap().to_owned();
        environment.push(("CAMUNDA_TOKEN_CACHE_DIR".to_owned(), directory));
        thread::scope(|scope| {
            for scope_name in ["a", "b", "c"] {
                let mut environment = environment.clone();
                environment.push(("SCOPES".to_owned(), scope_name.to_owned()));
                scope.spawn(move || in_a_process("token_interval::gets_tokens", &environment));
            }
        });
        sandbox
    });
}

/// Gets a token for each of the scopes in a variable, concurrently.
#[test]
#[ignore = "run by others in a process of its own"]
fn gets_tokens() {
    let scopes = std::env::var("SCOPES").unwrap();
    thread::scope(|threads| {
        for scope in scopes.split(' ') {
            threads.spawn(move || {
                let builder = AdminClientBuilder::from_env().scope(scope);
                builder.build().unwrap().clusters().list().unwrap();
            });
        }
    });
}
