//! Scenario driver for Rust: calls the typed API in this process.

use std::time::Duration;

use camunda_admin::description::OPERATIONS;
use camunda_admin::{
    AdminClient, CallOptions, ClusterHandle, ClusterId, Error, Idempotency, IpAllowlistEntry, Json,
    Method, Wait,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::driver_process::Driver;

#[derive(Default)]
pub(crate) struct RustDriver {
    admin: Option<AdminClient>,
}

/// Why a call failed.
enum Failure {
    Library(Error),
    /// The call does not compile in Rust.
    Language(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Library(error)
    }
}

impl Driver for RustDriver {
    fn exchange(&mut self, line: &str) -> Result<String, String> {
        let request: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let end = if let Some(settings) = request["connect"].as_object() {
            connect(settings).map(|admin| {
                self.admin = Some(admin);
                "null".to_owned()
            })
        } else {
            let admin = self.admin.as_ref().expect("connected first");
            call(admin, &Request(&request))
        };
        Ok(match end {
            Ok(result) => format!(r#"{{"result":{result}}}"#),
            Err(Failure::Library(error)) => json!({ "error": error_fields(&error) }).to_string(),
            Err(Failure::Language(message)) => json!({ "error": {
                "kind": "InvalidArgument", "stage": "Config", "outcome": "NotSent",
                "message": message,
            }})
            .to_string(),
        })
    }
}

fn connect(settings: &serde_json::Map<String, Value>) -> Result<AdminClient, Failure> {
    let mut builder = AdminClient::builder();
    for (key, value) in settings {
        builder.set(key, value.as_str().unwrap_or_default())?;
    }
    Ok(builder.build()?)
}

/// Returns all attributes of an error.
fn error_fields(error: &Error) -> Value {
    json!({
        "kind": format!("{:?}", error.kind()),
        "stage": format!("{:?}", error.stage()),
        "outcome": format!("{:?}", error.outcome()),
        "message": error.to_string(),
        "http_status": error.http_status(),
        "server_message": error.server_message(),
        "body_hex": error.body().map(hex),
        "operation": error.operation(),
        "attempts": error.attempts(),
        "retry_after": error.retry_after().map(|wait| wait.as_secs_f64()),
        "may_have_been_applied": error.may_have_been_applied(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A line that describes a call.
struct Request<'a>(&'a Value);

impl Request<'_> {
    fn argument(&self, index: usize) -> &str {
        self.0["arguments"][index].as_str().unwrap_or_default()
    }

    /// Returns the body as its type. A body that is not valid according to `check_body` does not compile.
    fn body<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let json = self.0.get("body").map(Value::to_string);
        let operation = OPERATIONS
            .iter()
            .find(|operation| Some(operation.sdk_method) == self.0["call"].as_str());
        if let Some(operation) = operation
            && let Err(error) = operation.check_body(json.as_ref().map(String::as_bytes))
        {
            return Err(Failure::Language(error.to_string()));
        }
        serde_json::from_str(&json.unwrap_or_default())
            .map_err(|error| Failure::Language(error.to_string()))
    }

    /// Returns the body fields that are method arguments.
    fn fields(&self) -> Result<calls::Arguments, Failure> {
        self.body()
    }

    fn wait<T>(&self) -> Wait<'_, T> {
        let mut wait = Wait::default();
        if let Some(timeout) = self.0["timeout"].as_f64() {
            wait = wait.timeout(Duration::from_secs_f64(timeout));
        }
        if let Some(interval) = self.0["interval"].as_f64() {
            wait = wait.max_poll_interval(Duration::from_secs_f64(interval));
        }
        wait
    }
}

fn encode(result: impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(&result).expect("a result can be encoded"))
}

/// Selects a call by its name, such as `cluster.backups.list`, and makes it.
///
/// The name consists of the identifiers of the handle and the method. If a method is renamed but its
/// description is not, no entry has the name of the description.
macro_rules! make_call {
    ($name:ident, $prefix:literal, $root:ident:
     $([$($handle:ident)?] $method:ident($($argument:expr),*);)*) => {
        match $name {
            $(_ if $name == concat!($prefix, $(stringify!($handle), ".",)? stringify!($method)) => {
                encode($root$(.$handle())?.$method($($argument),*)?)
            })*
            _ => Err(Failure::Language(format!("unknown call {}", $name))),
        }
    };
}

#[path = "rust_calls_generated.rs"]
mod calls;

fn call(admin: &AdminClient, request: &Request<'_>) -> Result<String, Failure> {
    let name = request.0["call"].as_str().unwrap_or_default();
    let with_timeout;
    let admin = match request.0["timeout"].as_f64() {
        Some(timeout) if !name.contains("wait_until") => {
            let options = CallOptions::new().timeout(Duration::from_secs_f64(timeout));
            with_timeout = admin.with(options);
            &with_timeout
        }
        _ => admin,
    };
    if name.starts_with("cluster.") {
        let id = ClusterId::new(request.argument(0))?;
        return cluster_call(&admin.cluster(&id), name, request);
    }
    match name {
        "activity.csv" => {
            let mut text = Vec::new();
            admin.activity().csv(&mut text)?;
            return encode(String::from_utf8_lossy(&text));
        }
        "clusters.create" => {
            let id = admin.clusters().create(&request.body()?)?;
            return encode(json!({ "clusterId": id.as_str() }));
        }
        "request" => return raw_request(admin, request),
        _ => {}
    }
    calls::call(admin, name, request)
}

fn raw_request(admin: &AdminClient, request: &Request<'_>) -> Result<String, Failure> {
    let method = match request.argument(0) {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        other => return Err(Failure::Language(format!("unknown method {other}"))),
    };
    let idempotency = match request.0["idempotency"].as_str() {
        Some("safe") => Some(Idempotency::Safe),
        Some("idempotent") => Some(Idempotency::Idempotent),
        Some("non_idempotent") => Some(Idempotency::NonIdempotent),
        _ => None,
    };
    let body = request.0.get("body");
    let body = body.map(|body| Json::new(body.to_string())).transpose()?;
    let path = request.argument(1);
    encode(match idempotency {
        Some(idempotency) => {
            admin.request_with_idempotency(idempotency, method, path, body.as_ref())?
        }
        None => admin.request(method, path, body.as_ref())?,
    })
}

fn cluster_call(
    cluster: &ClusterHandle,
    name: &str,
    request: &Request<'_>,
) -> Result<String, Failure> {
    match name {
        "cluster.add_to_ip_allowlist" => {
            let entry = IpAllowlistEntry::new(request.argument(1), request.argument(2));
            encode(cluster.add_to_ip_allowlist(entry)?)
        }
        "cluster.remove_from_ip_allowlist" => {
            encode(cluster.remove_from_ip_allowlist(request.argument(1))?)
        }
        _ => calls::cluster_call(cluster, name, request),
    }
}
