//! Freed memory contains no secret: an allocator scans every block before it frees it.
//!
//! The tests use HTTP without TLS, because rustls does not zeroize its buffers.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_char, c_void};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::ptr::{null, null_mut};
use std::sync::Arc;
use std::time::Duration;

use camunda_admin::{
    AdminClient, ClusterCredentials, ClusterId, CreateClusterClient, Secret, TokenSource,
};

/// Allocator that scans every block that a thread frees or moves for the needles of the thread.
struct Scanner;

thread_local! {
    /// Byte strings to scan for; empty outside [`scanned`].
    static NEEDLES: Cell<&'static [Vec<u8>]> = const { Cell::new(&[]) };
    static FOUND: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

#[global_allocator]
static SCANNER: Scanner = Scanner;

// SAFETY: calls the system's allocator, and only reads a block before freeing it.
unsafe impl GlobalAlloc for Scanner {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // Zeroed, so that a match was written by the program and not by an earlier owner.
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises; the block is initialized, see `alloc` and `realloc`.
        unsafe {
            look_at(block, layout.size());
            System.dealloc(block, layout);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Always moves the block, as the system's allocator may do without clearing the old one.
        // SAFETY: as the caller promises.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

/// # Safety
/// `block` has `size` bytes that are initialized.
unsafe fn look_at(block: *const u8, size: usize) {
    let needles = NEEDLES.try_with(Cell::get).unwrap_or_default();
    if needles.is_empty() {
        return;
    }
    // SAFETY: as the caller promises.
    let bytes = unsafe { std::slice::from_raw_parts(block, size) };
    let found = needles.iter().find(|needle| {
        size >= needle.len()
            && bytes
                .windows(needle.len())
                .any(|window| window == &needle[..])
    });
    if let Some(needle) = found {
        NEEDLES.set(&[]);
        let needle = String::from_utf8_lossy(needle);
        let found = format!("{needle} in {size} bytes\n{}", Backtrace::force_capture());
        FOUND.with_borrow_mut(|all| all.push(found));
        NEEDLES.set(needles);
    }
}

/// Runs `body` on a thread of its own, and panics if a block that it freed contains a part of a
/// secret.
fn scanned(secrets: &[&str], body: impl FnOnce() + Send) {
    let mut needles = Vec::new();
    for secret in secrets {
        assert!(secret.len() >= 16, "{secret} is too short to be recognized");
        needles.push(secret.as_bytes()[..16].to_vec());
        needles.push(secret.as_bytes()[secret.len() - 16..].to_vec());
    }
    scanned_for(needles, body);
}

/// Runs `body` as [`scanned`] does, and panics if a block that it freed contains one of `needles`.
fn scanned_for(needles: Vec<Vec<u8>>, body: impl FnOnce() + Send) {
    let needles: &'static [Vec<u8>] = needles.leak();
    std::thread::scope(|scope| {
        let run = || {
            NEEDLES.set(needles);
            body();
            NEEDLES.set(&[]);
            let found = FOUND.take();
            assert!(
                found.is_empty(),
                "{} blocks\n{}",
                found.len(),
                found.join("\n")
            );
        };
        if let Err(panic) = scope.spawn(run).join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Runs a part of the test itself without scanning the blocks that it frees.
fn unscanned<T>(body: impl FnOnce() -> T) -> T {
    let needles = NEEDLES.replace(&[]);
    let result = body();
    NEEDLES.set(needles);
    result
}

/// Starts an HTTP server with one response per path, and returns its URL.
fn server(responses: Vec<(&'static str, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let responses = Arc::new(responses);
    // Not joined: the thread ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let responses = responses.clone();
            std::thread::spawn(move || respond(stream.unwrap(), &responses));
        }
    });
    url
}

fn respond(mut stream: TcpStream, responses: &[(&str, String)]) {
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                let path = head.split(' ').nth(1).unwrap();
                let (_, body) = responses.iter().find(|(known, _)| *known == path).unwrap();
                let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length";
                write!(stream, "{head}: {}\r\n\r\n{body}", body.len()).unwrap();
                return;
            }
        }
        match stream.read(&mut buffer) {
            Ok(count) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
            _ => return,
        }
    }
}

const CLIENT_SECRET: &str = "K7-client-secret-of-the-console-9Q";
const TOKEN: &str = "dG9rZW4-first-part.c2Vjb25k-part.dGhpcmQ-last-part";
const CREATED_SECRET: &str = "V3-secret-of-a-created-client-that-is-shown-once-8W";

/// Returns a string like a PEM file, with line breaks, which are escaped in JSON.
fn pem() -> String {
    let lines: String = (0..26)
        .map(|line| format!("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj{line:02}XYZ\n"))
        .collect();
    format!("-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----\n")
}

const CLUSTER: &str = "3f0e9a52";

fn api() -> String {
    let links = format!(r#"{{"zeebe":"{CLUSTER}.bru-2.zeebe.camunda.io:443"}}"#);
    // Unicode escapes, as some servers send them.
    let secret = CREATED_SECRET.replace("shown", "\\u0073hown");
    server(vec![
        (
            "/oauth/token",
            format!(r#"{{"access_token":"{TOKEN}","expires_in":300}}"#),
        ),
        (
            "/clusters/3f0e9a52",
            format!(r#"{{"uuid":"{CLUSTER}","links":{links}}}"#),
        ),
        (
            "/clusters/3f0e9a52/clients",
            format!(
                r#"{{"name":"worker","clientId":"id","clientSecret":"{secret}","links":{links}}}"#
            ),
        ),
        (
            "/clusters/3f0e9a52/secrets",
            serde_json::json!({ "tls-key": pem() }).to_string(),
        ),
    ])
}

fn admin(url: &str, format: &str) -> AdminClient {
    AdminClient::builder()
        .client_id("id")
        .client_secret(CLIENT_SECRET)
        .base_url(url)
        .oauth_url(&format!("{url}/oauth/token"))
        .audience(format)
        // Makes the request larger than its initial buffer.
        .scope(&"scope ".repeat(200))
        .token_cache("memory")
        .token_request_format(format)
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

fn cluster() -> ClusterId {
    CLUSTER.parse().unwrap()
}

#[test]
fn scanner_finds_a_secret_in_freed_memory() {
    let failed = std::panic::catch_unwind(|| {
        scanned(&[CREATED_SECRET], || drop(CREATED_SECRET.to_owned()));
    });
    assert!(failed.is_err());
    scanned(&[CREATED_SECRET], || drop(Secret::new(CREATED_SECRET)));
}

#[test]
fn token_request_and_response_leave_nothing() {
    let url = api();
    scanned(&[CLIENT_SECRET, TOKEN], || {
        for format in ["json", "form"] {
            let admin = admin(&url, format);
            let token = admin.token(format).unwrap();
            assert_eq!(token.expose(), TOKEN);
            admin.invalidate_tokens();
        }
    });
}

#[test]
fn tokens_shared_through_files_leave_nothing() {
    let url = api();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    scanned(&[CLIENT_SECRET, TOKEN], || {
        let admin = AdminClient::builder()
            .client_id("id")
            .client_secret(CLIENT_SECRET)
            .base_url(&url)
            .oauth_url(&format!("{url}/oauth/token"))
            .token_cache(path)
            .build()
            .unwrap();
        assert_eq!(admin.token("files").unwrap().expose(), TOKEN);
        admin.invalidate_tokens();
    });
}

#[cfg(feature = "redis")]
#[test]
fn url_of_a_redis_leaves_no_password() {
    const PASSWORD: &str = "redis-password-0123456789";
    // No server listens there.
    const URL: &str = "redis://user:redis-password-0123456789@127.0.0.1:1/1";
    const ENCODED: &str = "redis://user:redis%2Dpassword%2D0123456789@127.0.0.1:1/2";
    let url = api();
    let folder = tempfile::tempdir().unwrap();
    let environment = folder.path().join("redis.env");
    scanned(&[PASSWORD], || {
        for redis in [URL, ENCODED] {
            let builder = AdminClient::builder();
            let builder = builder.client_id("id").client_secret(CLIENT_SECRET);
            builder.token_cache(redis).build().unwrap();
        }
        unscanned(|| {
            let lines = format!(
                "CAMUNDA_CONSOLE_CLIENT_ID=id\nCAMUNDA_CONSOLE_CLIENT_SECRET=a\n\
                 CAMUNDA_CONSOLE_BASE_URL={url}\nCAMUNDA_OAUTH_URL={url}/oauth/token\n\
                 CAMUNDA_TOKEN_CACHE_REDIS_URL={URL}\nCAMUNDA_TOKEN_DISK_CACHE_DISABLE=true\n"
            );
            std::fs::write(&environment, lines).unwrap();
        });
        let admin = AdminClient::from_env_file(&environment).unwrap();
        assert_eq!(admin.token("redis").unwrap().expose(), TOKEN);
    });
}

/// A proxy that requires this password, and rejects the connection.
const PROXY_PASSWORD: &str = "proxy-password-0123456789";

#[test]
fn url_of_a_proxy_leaves_no_password() {
    let proxy = server(vec![("api.example:443", String::new())]);
    let url = proxy.replace("://", &format!("://user:{PROXY_PASSWORD}@"));
    let encoded = url.replace("password-", "pass%77ord%2D");
    // "user:" and the password.
    let basic = "dXNlcjpwcm94eS1wYXNzd29yZC0wMTIz";
    scanned(&[PROXY_PASSWORD, basic], || {
        for url in [&url, &encoded] {
            let admin = AdminClient::builder()
                .access_token("token")
                .base_url("https://api.example")
                .proxy(url)
                .timeout(Duration::from_secs(20))
                .build()
                .unwrap();
            // The tunnel leads to a server that does not use TLS.
            admin.clusters().list().unwrap_err();
        }
    });
}

#[test]
fn creating_a_client_leaves_nothing() {
    let url = api();
    let folder = tempfile::tempdir().unwrap();
    scanned(&[CLIENT_SECRET, TOKEN, CREATED_SECRET], || {
        let admin = admin(&url, "json");
        let created = admin
            .cluster(&cluster())
            .clients()
            .create(&CreateClusterClient::new("worker"))
            .unwrap();
        assert_eq!(created.client_secret.expose(), CREATED_SECRET);
        let path = folder.path().join("worker.env");
        let request = CreateClusterClient::new("worker");
        admin
            .cluster(&cluster())
            .clients()
            .create_env_file(&path, &request)
            .unwrap();
        let kept = ClusterCredentials::from_env_file(&path).unwrap();
        assert_eq!(kept.get("ZEEBE_CLIENT_SECRET"), Some(CREATED_SECRET));
    });
}

#[test]
fn secrets_leave_nothing() {
    let url = api();
    let key = pem();
    let body = &key[100..500];
    scanned(&[CLIENT_SECRET, TOKEN, &body[..40], &body[60..]], || {
        let admin = admin(&url, "json");
        admin
            .cluster(&cluster())
            .secrets()
            .create("tls-key", &*key)
            .unwrap();
        let listed = admin.cluster(&cluster()).secrets().list().unwrap();
        assert!(listed["tls-key"].expose() == key);
    });
}

#[test]
fn credential_files_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console.env");
    let quoted = CREATED_SECRET.replace("shown", "'\\''shown'\\''");
    std::fs::write(
        &path,
        format!(
            "# {}\nexport CAMUNDA_CONSOLE_CLIENT_ID='id'\n\
             export CAMUNDA_CONSOLE_CLIENT_SECRET='{CLIENT_SECRET}'\n\
             ZEEBE_CLIENT_ID=id\nZEEBE_CLIENT_SECRET=\"{CREATED_SECRET}\"\n\
             CAMUNDA_OAUTH_URL=http://localhost/oauth/token\nOTHER='{quoted}'\n",
            "x".repeat(10_000)
        ),
    )
    .unwrap();
    let copy = folder.path().join("copy.env");
    scanned(&[CLIENT_SECRET, CREATED_SECRET], || {
        let credentials = ClusterCredentials::from_env_file(&path).unwrap();
        credentials.write_env_file(&copy).unwrap();
        let again = ClusterCredentials::from_env_file(&copy).unwrap();
        assert!(again == credentials);
        TokenSource::new(&credentials).unwrap();
        AdminClient::from_env_file(&path).unwrap();
    });
}

#[test]
fn private_key_of_a_client_certificate_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["client".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let pem = key.serialize_pem();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let certificate_file = file("client.pem", &certificate.pem());
    let key_file = file("client.key", &pem);
    let both_file = file("both.pem", &format!("{}{pem}", certificate.pem()));
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let first_line = pem.lines().nth(1).unwrap();
    // The private part of the key in DER, which is not valid UTF-8.
    let private = key.serialize_der()[36..68].to_vec();
    let needles = vec![
        first_line.as_bytes()[..16].to_vec(),
        base64.as_bytes()[70..86].to_vec(),
        private,
    ];
    scanned_for(needles, || {
        for (certificate, key) in [(&certificate_file, Some(&key_file)), (&both_file, None)] {
            let mut builder = AdminClient::builder().client_cert(certificate);
            if let Some(key) = key {
                builder = builder.client_key(key);
            }
            drop(builder.build().unwrap());
        }
    });
    assert!(Path::new(&key_file).exists());
}

unsafe extern "C" {
    fn camunda_config_new() -> *mut c_void;
    fn camunda_config_set(
        config: *mut c_void,
        key: *const c_char,
        value: *const c_char,
        error: *mut *mut c_void,
    ) -> i32;
    fn camunda_config_free(config: *mut c_void);
    fn camunda_admin_new(
        config: *const c_void,
        admin: *mut *mut c_void,
        error: *mut *mut c_void,
    ) -> i32;
    fn camunda_admin_free(admin: *mut c_void);
    fn camunda_object_new() -> *mut c_void;
    fn camunda_object_set_str(
        object: *mut c_void,
        key: *const c_char,
        value: *const c_char,
        error: *mut *mut c_void,
    ) -> i32;
    fn camunda_object_set_json(
        object: *mut c_void,
        key: *const c_char,
        json: *const c_char,
        json_len: usize,
        error: *mut *mut c_void,
    ) -> i32;
    fn camunda_object_json(object: *const c_void, len: *mut usize) -> *const c_char;
    fn camunda_object_free(object: *mut c_void);
    fn camunda_secret_create(
        admin: *const c_void,
        call: *const c_void,
        cluster: *const c_char,
        json: *const c_char,
        json_len: usize,
        error: *mut *mut c_void,
    ) -> i32;
    fn camunda_cluster_get(
        admin: *const c_void,
        call: *const c_void,
        cluster: *const c_char,
        value: *mut *mut c_void,
        error: *mut *mut c_void,
    ) -> i32;
    fn camunda_cluster_client_create(
        admin: *const c_void,
        call: *const c_void,
        cluster: *const c_char,
        json: *const c_char,
        json_len: usize,
        value: *mut *mut c_void,
        error: *mut *mut c_void,
    ) -> i32;
    fn camunda_request(
        admin: *const c_void,
        call: *const c_void,
        class: i32,
        method: *const c_char,
        path: *const c_char,
        json: *const c_char,
        json_len: usize,
        value: *mut *mut c_void,
        error: *mut *mut c_void,
    ) -> i32;
    fn camunda_credentials_from_client(
        created: *const c_void,
        cluster: *const c_void,
        credentials: *mut *mut c_void,
        error: *mut *mut c_void,
    ) -> i32;
    fn camunda_credentials_write(
        credentials: *const c_void,
        path: *const c_char,
        error: *mut *mut c_void,
    ) -> i32;
    fn camunda_credentials_read(
        path: *const c_char,
        credentials: *mut *mut c_void,
        error: *mut *mut c_void,
    ) -> i32;
    fn camunda_value_free(value: *mut c_void);
}

#[test]
fn c_abi_leaves_nothing() {
    let url = api();
    let folder = tempfile::tempdir().unwrap();
    let key = pem();
    let body = &key[100..500];
    let text = |text: &str| CString::new(text).unwrap();
    let settings: Vec<(CString, CString)> = [
        ("client_id", "id"),
        ("client_secret", CLIENT_SECRET),
        ("base_url", &url),
        ("oauth_url", &format!("{url}/oauth/token")),
        ("audience", "c"),
        ("token_cache", "memory"),
    ]
    .map(|(key, value)| (text(key), text(value)))
    .into();
    let id = text(CLUSTER);
    let (name, value) = (text("secretName"), text("secretValue"));
    let (tls_key, pem_text) = (text("tls-key"), text(&key));
    let pem_json = serde_json::to_string(&key).unwrap();
    let client = text(r#"{"clientName":"worker"}"#);
    let path = text(folder.path().join("worker.env").to_str().unwrap());
    let (post, clients) = (text("POST"), text("/clusters/3f0e9a52/clients"));
    let secrets = [
        CLIENT_SECRET,
        TOKEN,
        CREATED_SECRET,
        &body[..40],
        &body[60..],
    ];
    // SAFETY: each pointer is valid as the header requires, and used on this thread only.
    scanned(&secrets, || unsafe {
        let config = camunda_config_new();
        for (key, value) in &settings {
            assert_eq!(
                camunda_config_set(config, key.as_ptr(), value.as_ptr(), null_mut()),
                0
            );
        }
        let mut admin = null_mut();
        assert_eq!(camunda_admin_new(config, &mut admin, null_mut()), 0);
        camunda_config_free(config);

        let object = camunda_object_new();
        let key = tls_key.as_ptr();
        assert_eq!(
            camunda_object_set_str(object, name.as_ptr(), key, null_mut()),
            0
        );
        for _ in 0..2 {
            let pem = pem_text.as_ptr();
            assert_eq!(
                camunda_object_set_str(object, value.as_ptr(), pem, null_mut()),
                0
            );
            let (pem, len) = (pem_json.as_ptr().cast(), pem_json.len());
            assert_eq!(
                camunda_object_set_json(object, value.as_ptr(), pem, len, null_mut()),
                0
            );
        }
        let mut len = 0;
        let json = camunda_object_json(object, &mut len);
        assert_eq!(
            camunda_secret_create(admin, null(), id.as_ptr(), json, len, null_mut()),
            0
        );
        let mut value = null_mut();
        let (method, at) = (post.as_ptr(), clients.as_ptr());
        assert_eq!(
            camunda_request(
                admin,
                null(),
                3,
                method,
                at,
                json,
                len,
                &mut value,
                null_mut()
            ),
            0
        );
        camunda_value_free(value);
        camunda_object_free(object);

        let (mut cluster, mut created) = (null_mut(), null_mut());
        assert_eq!(
            camunda_cluster_get(admin, null(), id.as_ptr(), &mut cluster, null_mut()),
            0
        );
        let (json, len) = (client.as_ptr(), client.as_bytes().len());
        assert_eq!(
            camunda_cluster_client_create(
                admin,
                null(),
                id.as_ptr(),
                json,
                len,
                &mut created,
                null_mut()
            ),
            0
        );
        let mut credentials = null_mut();
        assert_eq!(
            camunda_credentials_from_client(created, cluster, &mut credentials, null_mut()),
            0
        );
        assert_eq!(
            camunda_credentials_write(credentials, path.as_ptr(), null_mut()),
            0
        );
        camunda_value_free(credentials);
        assert_eq!(
            camunda_credentials_read(path.as_ptr(), &mut credentials, null_mut()),
            0
        );
        for value in [credentials, created, cluster] {
            camunda_value_free(value);
        }
        camunda_admin_free(admin);
    });
    unscanned(|| drop(folder));
}
