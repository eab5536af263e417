//! Proxies of the configuration and of the environment, and certificates. Tests that set environment
//! variables run in a process of their own.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camunda_admin::{AdminClient, AdminClientBuilder, ErrorKind, Outcome, Wait};
use camunda_admin_sandbox::Sandbox;

use crate::settings::in_a_process;

/// A CONNECT proxy that forwards every connection to the sandbox, or rejects every request.
struct ConnectProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ConnectProxy {
    fn to(sandbox: &Sandbox) -> ConnectProxy {
        ConnectProxy::responding(sandbox, "HTTP/1.1 200 Connection established\r\n\r\n")
    }

    /// A proxy that sends this response before it forwards a connection.
    fn responding(sandbox: &Sandbox, response: &str) -> ConnectProxy {
        let url = sandbox.base_url();
        let (_, address) = url.split_once("://").unwrap();
        ConnectProxy::start(Some(address.parse().unwrap()), response.to_owned())
    }

    /// A proxy that responds with this status to every request.
    fn rejecting(status: &str) -> ConnectProxy {
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        ConnectProxy::start(None, response)
    }

    fn start(target: Option<SocketAddr>, response: String) -> ConnectProxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&heads);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let (recorded, response) = (Arc::clone(&recorded), response.clone());
                // Fails if either end closes its connection.
                std::thread::spawn(move || serve(client, target, &response, &recorded));
            }
        });
        ConnectProxy { address, heads }
    }

    fn url(&self, credentials: &str) -> String {
        format!("http://{credentials}{}", self.address)
    }

    /// Returns the heads of the received requests.
    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn serve(
    mut client: TcpStream,
    target: Option<SocketAddr>,
    response: &str,
    heads: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    heads.lock().unwrap().push(String::from_utf8(head).unwrap());
    // Not in one packet.
    for line in response.split_inclusive("\r\n") {
        client.write_all(line.as_bytes())?;
    }
    let Some(target) = target else {
        return Ok(());
    };
    let mut server = TcpStream::connect(target)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        to_server.shutdown(std::net::Shutdown::Write)
    });
    io::copy(&mut server, &mut client)?;
    client.shutdown(std::net::Shutdown::Write)
}

/// Returns the environment variables of a sandbox, with a host name in its URLs that only the proxy can
/// resolve.
fn environment(sandbox: &Sandbox) -> Vec<(String, String)> {
    let named = |value: String| value.replace("127.0.0.1", "sandbox.test");
    let variables = sandbox.environment().into_iter();
    variables
        .map(|(name, value)| (name, named(value)))
        .collect()
}

fn variable(sandbox: &Sandbox, name: &str) -> String {
    let variables = environment(sandbox);
    let found = variables.into_iter().find(|(known, _)| known == name);
    found.expect(name).1
}

/// Returns a builder for a sandbox with TLS, with its host name.
fn builder(sandbox: &Sandbox) -> AdminClientBuilder {
    crate::builder(sandbox)
        .base_url(&variable(sandbox, "CAMUNDA_CONSOLE_BASE_URL"))
        .oauth_url(&variable(sandbox, "CAMUNDA_OAUTH_URL"))
        .ca_file(variable(sandbox, "CAMUNDA_CUSTOM_ROOT_CERT_PATH"))
}

#[test]
fn api_and_token_endpoint_are_reached_through_a_proxy_with_mutual_tls() {
    let sandbox = Sandbox::builder().client_certificates(true).start();
    let proxy = ConnectProxy::to(&sandbox);
    let admin = builder(&sandbox)
        .client_cert(variable(&sandbox, "CAMUNDA_CUSTOM_CERT_CHAIN_PATH"))
        .client_key(variable(&sandbox, "CAMUNDA_CUSTOM_PRIVATE_KEY_PATH"))
        .proxy(&proxy.url(""))
        .build()
        .unwrap();
    admin.clusters().list().unwrap();
    // The second call reuses the connection of the first.
    admin.clusters().list().unwrap();
    let stats = sandbox.stats();
    assert_eq!((stats.token_requests, stats.requests), (1, 2));
    let heads = proxy.heads();
    assert_eq!(heads.len(), 2, "{heads:?}");
    for head in heads {
        assert!(head.starts_with("CONNECT sandbox.test:"), "{head}");
        assert!(
            !head.to_ascii_lowercase().contains("authorization"),
            "{head}"
        );
    }
}

/// Lists clusters with the environment's configuration and prints the result and the log records: all
/// of this library, and those of its dependencies except `trace`, which prints every byte.
#[test]
#[ignore = "run by other tests in a process of its own"]
fn prints_result_and_log() {
    struct Print;
    impl log::Log for Print {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.level() < log::Level::Trace || metadata.target().starts_with("camunda_admin")
        }
        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                println!("{} {}", record.target(), record.args());
            }
        }
        fn flush(&self) {}
    }
    log::set_logger(&Print).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    match AdminClient::from_env().and_then(|admin| admin.clusters().list()) {
        Ok(_) => println!("result: response"),
        Err(error) => println!("result: {error} {error:?}"),
    }
}

/// Returns what `prints_result_and_log` prints in a process with these variables.
fn result_and_log(sandbox: &Sandbox, variables: &[(&str, &str)]) -> String {
    let mut all = environment(sandbox);
    for (name, value) in variables {
        all.retain(|(known, _)| known != name);
        all.push(((*name).to_owned(), (*value).to_owned()));
    }
    in_a_process("proxies::prints_result_and_log", &all)
}

#[test]
fn proxy_of_the_environment_is_used() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let sandbox = Sandbox::builder().tls(true).start();
        let proxy = ConnectProxy::to(&sandbox);
        let output = result_and_log(&sandbox, &[(name, &proxy.url(""))]);
        assert!(output.contains("result: response"), "{name}: {output}");
        assert_eq!(sandbox.stats().requests, 1);
        assert_eq!(proxy.heads().len(), 2);
    }
}

#[test]
fn hosts_of_no_proxy_are_connected_to_directly() {
    let sandbox = Sandbox::builder().tls(true).start();
    let proxy = ConnectProxy::to(&sandbox);
    // A label of more than 63 characters is invalid, so no DNS server is queried.
    let host = format!("{}.example", "n".repeat(64));
    let oauth_url = format!("https://{host}/oauth/token");
    let output = result_and_log(
        &sandbox,
        &[
            ("HTTPS_PROXY", &proxy.url("")),
            ("NO_PROXY", "localhost, example"),
            ("CAMUNDA_OAUTH_URL", &oauth_url),
        ],
    );
    assert!(output.contains("host not found"), "{output}");
    assert!(proxy.heads().is_empty());
}

#[test]
fn proxy_credentials_are_sent_to_the_proxy_and_not_logged() {
    let sandbox = Sandbox::builder().tls(true).start();
    let encoded = "dXNlcjpwYTpzcw=="; // user:pa:ss
    for (proxy, expected) in [
        (ConnectProxy::to(&sandbox), "result: response"),
        (ConnectProxy::rejecting(AUTHENTICATION_REQUIRED), "407"),
    ] {
        let output = result_and_log(&sandbox, &[("HTTPS_PROXY", &proxy.url("user:pa%3Ass@"))]);
        assert!(output.contains(expected), "{output}");
        assert!(
            output.contains("camunda_admin"),
            "nothing was logged: {output}"
        );
        let secret = sandbox.client_secret();
        for secret in ["pa:ss", "pa%3Ass", encoded, &secret, "eyJ"] {
            assert!(!output.contains(secret), "{output}");
        }
        for head in proxy.heads() {
            let line = format!("Proxy-Authorization: Basic {encoded}\r\n");
            assert!(head.contains(&line), "{head}");
        }
        assert!(!proxy.heads().is_empty());
    }
}

const AUTHENTICATION_REQUIRED: &str = "407 Proxy Authentication Required";

/// Returns the error of a call through a proxy. The token endpoint is excluded from the proxy, so the
/// API request fails.
fn error_through(proxy: &str) -> camunda_admin::Error {
    let sandbox = Sandbox::builder().tls(true).start();
    let settings = builder(&sandbox).proxy(proxy);
    let admin = settings.oauth_url(&sandbox.oauth_url()).build().unwrap();
    let error = admin.clusters().list().unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Network, Outcome::NotSent)
    );
    assert!(
        !format!("{error} {error:?}").contains("hunter2"),
        "{error:?}"
    );
    error
}

#[test]
fn proxy_opens_a_tunnel_with_any_final_2xx_response() {
    let many_headers = format!(
        "HTTP/1.1 200 OK\r\n{}\r\n",
        "Via: 1.1 proxy\r\n".repeat(200)
    );
    for response in [
        "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </>\r\n\r\nHTTP/1.1 200\r\n\r\n",
        "\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nnot a header\r\n\r\n",
        &many_headers,
    ] {
        let sandbox = Sandbox::builder().tls(true).start();
        let proxy = ConnectProxy::responding(&sandbox, response);
        let admin = builder(&sandbox).proxy(&proxy.url("")).build().unwrap();
        admin.clusters().list().expect(response);
    }
}

#[test]
fn proxy_that_does_not_respond_in_http_is_named() {
    let endless = format!("HTTP/1.1 200 OK\r\nVia: {}", "x".repeat(1 << 20));
    for (response, problem) in [
        (&*endless, "its headers exceed 32768 bytes"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "it does not respond in HTTP"),
        ("HTTP/1.1 fine\r\n\r\n", "its response has no status"),
        ("HTTP/1.1 200 OK\r\n", "connection closed by peer"),
    ] {
        let proxy = ConnectProxy::start(None, response.to_owned());
        let message = error_through(&proxy.url("user:hunter2@")).to_string();
        let expected = format!(
            "cannot connect to the proxy http://{}: {problem}; check `proxy`",
            proxy.address
        );
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn proxy_that_rejects_the_connection_is_named_and_not_retried() {
    for (status, advice) in [
        (
            AUTHENTICATION_REQUIRED,
            "requires authentication (HTTP 407): check the user name and password in `proxy`",
        ),
        (
            "403 Forbidden",
            "does not allow connections to https://sandbox.test:",
        ),
        (
            "405 Method Not Allowed",
            "(HTTP 405: Method Not Allowed): check that `proxy` names",
        ),
        ("302 Found", "(HTTP 302: Found): check that `proxy` names"),
    ] {
        let proxy = ConnectProxy::rejecting(status);
        let error = error_through(&proxy.url("user:hunter2@"));
        let message = error.to_string();
        let named = format!("the proxy http://{} ", proxy.address);
        assert!(
            message.contains(&named) && message.contains(advice),
            "{message}"
        );
        // No byte of the API request was sent.
        assert_eq!((error.attempts(), proxy.heads().len()), (0, 1), "{message}");
    }
}

#[test]
fn waiter_fails_immediately_behind_a_proxy_that_rejects_the_connection() {
    let sandbox = Sandbox::builder().tls(true).start();
    let proxy = ConnectProxy::rejecting(AUTHENTICATION_REQUIRED);
    let settings = builder(&sandbox).proxy(&proxy.url("user:hunter2@"));
    let admin = settings.oauth_url(&sandbox.oauth_url()).build().unwrap();
    let wait = Wait::new().timeout(Duration::from_secs(1800));
    let id = "some-cluster".parse().unwrap();
    let error = admin.cluster(&id).wait_until_healthy(&wait).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("wait until healthy: cluster some-cluster")
            && message.contains("requires authentication (HTTP 407)")
            && !message.contains("hunter2"),
        "{message}"
    );
    assert_eq!(error.outcome(), Outcome::NotSent);
    assert_eq!(proxy.heads().len(), 1);
}

#[test]
fn proxy_that_cannot_reach_the_server_is_named_and_retried() {
    let proxy = ConnectProxy::rejecting("503 Service Unavailable");
    let error = error_through(&proxy.url("user:hunter2@"));
    let message = error.to_string();
    let named = format!(
        "the proxy http://{} cannot connect to https://sandbox",
        proxy.address
    );
    assert!(message.contains(&named), "{message}");
    assert_eq!((error.attempts(), proxy.heads().len()), (0, 5), "{message}");
}

#[test]
fn proxy_that_cannot_be_connected_to_is_named() {
    let (_reserved, closed) = crate::unreachable_ports::closed_port();
    let error = error_through(&format!("http://user:hunter2@{closed}"));
    let message = error.to_string();
    let named = format!("cannot connect to the proxy http://{closed}: Connection refused");
    assert!(
        message.contains(&named) && message.contains("; check `proxy`"),
        "{message}"
    );
}

#[test]
fn proxy_of_the_environment_is_named_with_its_variable() {
    let sandbox = Sandbox::builder().tls(true).start();
    let proxy = ConnectProxy::rejecting(AUTHENTICATION_REQUIRED);
    let output = result_and_log(&sandbox, &[("ALL_PROXY", &proxy.url("user:hunter2@"))]);
    let expected = format!(
        "token request failed: the proxy http://{} requires authentication (HTTP 407): check the user \
         name and password in ALL_PROXY",
        proxy.address
    );
    assert!(output.contains(&expected), "{output}");
    assert!(!output.contains("hunter2"), "{output}");
    assert_eq!(proxy.heads().len(), 1, "{output}");
}

#[test]
fn socks_proxy_is_a_configuration_error() {
    let sandbox = Sandbox::builder().tls(true).start();
    for scheme in ["socks", "socks4", "socks4a", "socks5", "socks5h"] {
        let address = format!("{scheme}://user:hunter2@proxy:1080");
        let error = crate::builder(&sandbox)
            .proxy(&address)
            .build()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        let expected = "`proxy`: proxy:1080 is a SOCKS proxy; expected an HTTP proxy (CONNECT)";
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let output = result_and_log(&sandbox, &[("ALL_PROXY", "socks5h://user:hunter2@proxy")]);
    let expected = "the variable ALL_PROXY: proxy:1080 is a SOCKS proxy";
    assert!(output.contains(expected), "{output}");
    assert!(!output.contains("hunter2"), "{output}");
    assert_eq!(sandbox.stats().requests, 0);
}

#[test]
fn all_certificates_of_a_file_are_trusted() {
    let (first, second) = (
        Sandbox::builder().tls(true).start(),
        Sandbox::builder().tls(true).start(),
    );
    let root = |sandbox| variable(sandbox, "CAMUNDA_CUSTOM_ROOT_CERT_PATH");
    let directory = tempfile::tempdir().unwrap();
    let both = directory.path().join("both.pem");
    let read = |sandbox| fs::read_to_string(root(sandbox)).unwrap();
    fs::write(
        &both,
        format!("# first\n{}# second\n{}", read(&first), read(&second)),
    )
    .unwrap();
    for sandbox in [&first, &second] {
        let trusting = |file: &str| crate::builder(sandbox).ca_file(file).build().unwrap();
        trusting(both.to_str().unwrap()).clusters().list().unwrap();
        let other = if std::ptr::eq(sandbox, &first) {
            &second
        } else {
            &first
        };
        let error = trusting(&root(other)).token("another").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert!(error.to_string().contains("`ca_file`"), "{error}");
    }
}

#[test]
fn encrypted_private_key_is_an_error_that_says_so() {
    let sandbox = Sandbox::builder().client_certificates(true).start();
    let certificate = variable(&sandbox, "CAMUNDA_CUSTOM_CERT_CHAIN_PATH");
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key.pem");
    let body = "AAAA".repeat(16);
    for text in [
        format!(
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}\n-----END ENCRYPTED PRIVATE KEY-----\n"
        ),
        format!(
            "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n\
             {body}\n-----END RSA PRIVATE KEY-----\n"
        ),
    ] {
        fs::write(&key, text).unwrap();
        let settings = crate::builder(&sandbox).client_cert(&certificate);
        let error = settings.client_key(key.to_str().unwrap()).build();
        let message = error.unwrap_err().to_string();
        for expected in ["`client_key` (", "key.pem", "is encrypted", "openssl pkey"] {
            assert!(message.contains(expected), "{message}");
        }
    }
}

#[test]
fn roots_of_the_environment_are_used_or_cause_an_error() {
    let sandbox = Sandbox::builder().tls(true).start();
    let proxy = ConnectProxy::to(&sandbox);
    let root = variable(&sandbox, "CAMUNDA_CUSTOM_ROOT_CERT_PATH");
    let with = |file: &str| {
        let variables = [
            ("HTTPS_PROXY", &proxy.url("")[..]),
            ("CAMUNDA_CUSTOM_ROOT_CERT_PATH", ""),
            ("SSL_CERT_FILE", file),
        ];
        result_and_log(&sandbox, &variables)
    };
    let trusting = with(&root);
    assert!(trusting.contains("result: response"), "{trusting}");
    let missing = with("/nowhere.pem");
    assert!(
        missing.contains("`SSL_CERT_FILE` (/nowhere.pem) cannot be used"),
        "{missing}"
    );
}

#[test]
fn client_cert_file_can_contain_the_private_key() {
    let sandbox = Sandbox::builder().client_certificates(true).start();
    let directory = tempfile::tempdir().unwrap();
    let both = directory.path().join("both.pem");
    let certificate = variable(&sandbox, "CAMUNDA_CUSTOM_CERT_CHAIN_PATH");
    let key = variable(&sandbox, "CAMUNDA_CUSTOM_PRIVATE_KEY_PATH");
    let text = [&key, &certificate].map(|file| fs::read_to_string(file).unwrap());
    fs::write(&both, text.concat()).unwrap();
    let settings =
        || crate::builder(&sandbox).ca_file(variable(&sandbox, "CAMUNDA_CUSTOM_ROOT_CERT_PATH"));
    let admin = settings().client_cert(both.to_str().unwrap()).build();
    admin.unwrap().clusters().list().unwrap();

    for (setting, error) in [
        ("client_key", settings().client_cert(&certificate).build()),
        ("client_cert", settings().client_key(&key).build()),
        (
            "client_cert",
            settings().client_cert(&key).client_key(&key).build(),
        ),
        (
            "`client_key` (",
            settings()
                .client_cert(&certificate)
                .client_key(&certificate)
                .build(),
        ),
        ("ca_file", settings().ca_file(&key).build()),
        ("ca_file", settings().ca_file("/nowhere.pem").build()),
    ] {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(setting), "{error}");
    }
}
