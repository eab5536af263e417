//! Minimal HTTP client: sends exactly the bytes that a test specifies.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use camunda_admin_sandbox::{Permission, Sandbox, SandboxBuilder};
use serde_json::{Value, json};

/// Time limit for operations that are expected to succeed.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Api {
    pub(crate) sandbox: Sandbox,
    token: String,
}

impl Api {
    /// Starts a sandbox with slow life cycles, to be advanced by its clock, and without token rate
    /// limit.
    pub(crate) fn new() -> Self {
        Self::with(Sandbox::builder().healthy_after(Duration::from_secs(600)))
    }

    pub(crate) fn with(builder: SandboxBuilder) -> Self {
        crate::limited::limit_this_process();
        let sandbox = builder.token_rate_limit(false).start();
        let token = token(&sandbox, &sandbox.client_id(), &sandbox.client_secret());
        Self { sandbox, token }
    }

    /// Requests a new token, after a reset or after expiry.
    pub(crate) fn renew_token(&mut self) {
        let sandbox = &self.sandbox;
        self.token = token(sandbox, &sandbox.client_id(), &sandbox.client_secret());
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Requests a token for new credentials with these permissions only.
    pub(crate) fn limited_token(&self, permissions: &[Permission]) -> String {
        let credentials = self.sandbox.add_credentials(permissions);
        token(
            &self.sandbox,
            &credentials.client_id,
            &credentials.client_secret,
        )
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None)
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, Some(&body))
    }

    pub(crate) fn put(&self, path: &str, body: Value) -> Reply {
        self.call("PUT", path, Some(&body))
    }

    pub(crate) fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, None)
    }

    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        self.call_with(&self.token, method, path, body)
    }

    pub(crate) fn call_with(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Reply {
        let authorization = format!("Bearer {token}");
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut headers = vec![("authorization", authorization.as_str())];
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        send(&self.sandbox, method, path, &headers, body.as_bytes())
    }

    /// Advances the clock by more than the cluster creation time.
    pub(crate) fn settle(&self) {
        self.sandbox.advance(Duration::from_secs(601));
    }

    /// Creates a healthy cluster: enterprise plan, AWS region.
    pub(crate) fn cluster(&self) -> String {
        self.sandbox.create_cluster(json!({}))
    }

    /// Returns a valid body for `POST /clusters`.
    pub(crate) fn new_cluster(&self) -> Value {
        let parameters = self.get("/clusters/parameters").expect(200).json();
        let channel = &parameters["channels"][0];
        json!({
            "name": "orders",
            "channelId": channel["uuid"],
            "generationId": channel["defaultGeneration"]["uuid"],
            "regionId": parameters["regions"][0]["uuid"],
            "planTypeId": parameters["clusterPlanTypes"][0]["uuid"],
        })
    }
}

/// Requests a token for the API.
pub(crate) fn token(sandbox: &Sandbox, client_id: &str, client_secret: &str) -> String {
    let reply = request_token(sandbox, "api.cloud.camunda.io", client_id, client_secret);
    reply.expect(200).json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

pub(crate) fn request_token(
    sandbox: &Sandbox,
    audience: &str,
    client_id: &str,
    client_secret: &str,
) -> Reply {
    let body = json!({
        "grant_type": "client_credentials",
        "audience": audience,
        "client_id": client_id,
        "client_secret": client_secret,
    });
    let headers = [("content-type", "application/json")];
    send(
        sandbox,
        "POST",
        "/oauth/token",
        &headers,
        body.to_string().as_bytes(),
    )
}

/// Sends one request on a new connection.
pub(crate) fn send(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    try_send(sandbox, method, path, headers, body).expect("send request")
}

pub(crate) fn try_send(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Reply> {
    Connection::open(sandbox).exchange(method, path, headers, body)
}

/// Persistent connection.
pub(crate) struct Connection<S: Read + Write = TcpStream> {
    pub(crate) stream: BufReader<S>,
}

impl Connection {
    pub(crate) fn open(sandbox: &Sandbox) -> Self {
        let address = sandbox.base_url().split_once("//").unwrap().1.to_owned();
        let stream = TcpStream::connect(address).expect("connect to sandbox");
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        Self {
            stream: BufReader::new(stream),
        }
    }
}

impl<S: Read + Write> Connection<S> {
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub(crate) fn exchange(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Reply> {
        self.send(method, path, headers, body)?;
        self.receive()
    }

    pub(crate) fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nhost: sandbox\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        request.extend_from_slice(body);
        self.stream.get_mut().write_all(&request)
    }

    /// Reads one response. Returns an error if it is truncated.
    pub(crate) fn receive(&mut self) -> io::Result<Reply> {
        let status_line = self.line()?;
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or_else(|| io::Error::other(format!("no status line: {status_line:?}")))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut reply = Reply {
            status,
            headers,
            body: Vec::new(),
        };
        let length = reply
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        reply.body.resize(length, 0);
        self.stream.read_exact(&mut reply.body)?;
        Ok(reply)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    /// Checks status and message of an error response.
    #[track_caller]
    pub(crate) fn rejected(self, status: u16, message: &str) {
        let reply = self.expect(status);
        assert!(
            reply.text().contains(message),
            "{message:?} is not in {}",
            reply.text()
        );
    }

    /// Checks that the response is a client error with this message.
    #[track_caller]
    pub(crate) fn expect_message(self, message: &str) {
        assert!((400..500).contains(&self.status), "{}", self.text());
        let status = self.status;
        self.rejected(status, message);
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(present, _)| present == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn is_json(&self) -> bool {
        self.header("content-type")
            .is_some_and(|it| it.starts_with("application/json"))
    }
}

/// Returns the sorted field names of an object.
#[track_caller]
pub(crate) fn names(object: &Value) -> Vec<&str> {
    let fields = object.as_object().expect("an object");
    let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// Waits until the condition is true, for at most [`TIMEOUT`].
#[track_caller]
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "timeout waiting for: {what}");
        std::thread::yield_now();
    }
}
