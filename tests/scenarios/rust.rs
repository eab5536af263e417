//! The driver for Rust: the typed API, called in this process.

use std::time::Duration;

use camunda_admin::description::OPERATIONS;
use camunda_admin::{
    AdminClient, AssignableRole, BackupId, CallOptions, ClusterClientId, ClusterHandle, ClusterId,
    Error, Idempotency, IpAllowlistEntry, Json, Method, MonitoringClientId, Secret, Wait,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::driver::Driver;

/// The fields of bodies that are arguments in Rust.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Arguments {
    org_roles: Vec<AssignableRole>,
    ipallowlist: Vec<IpAllowlistEntry>,
    schedule: String,
    secret_name: String,
    secret_value: Secret,
    username: String,
}

#[derive(Default)]
pub(crate) struct RustDriver {
    admin: Option<AdminClient>,
}

/// Why a call failed.
enum Failure {
    Library(Error),
    /// The call cannot be written in Rust: the compiler refuses it.
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
            Err(Failure::Library(error)) => json!({ "error": told(&error) }).to_string(),
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

/// Everything that an error tells.
fn told(error: &Error) -> Value {
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

/// A line that asks for a call.
struct Request<'a>(&'a Value);

impl Request<'_> {
    fn argument(&self, index: usize) -> &str {
        self.0["arguments"][index].as_str().unwrap_or_default()
    }

    /// The body as its type. What a type cannot hold is what `check_body` refuses.
    fn body<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        let json = self.0.get("body").map(Value::to_string);
        let operation = OPERATIONS
            .iter()
            .find(|operation| Some(operation.call) == self.0["call"].as_str());
        if let Some(operation) = operation
            && let Err(error) = operation.check_body(json.as_ref().map(String::as_bytes))
        {
            return Err(Failure::Language(error.to_string()));
        }
        serde_json::from_str(&json.unwrap_or_default())
            .map_err(|error| Failure::Language(error.to_string()))
    }

    fn wait<T>(&self) -> Wait<'_, T> {
        let mut wait = Wait::default();
        if let Some(timeout) = self.0["timeout"].as_f64() {
            wait = wait.timeout(Duration::from_secs_f64(timeout));
        }
        if let Some(interval) = self.0["interval"].as_f64() {
            wait = wait.interval(Duration::from_secs_f64(interval));
        }
        wait
    }

    fn backup(&self) -> Result<BackupId, Error> {
        BackupId::new(self.argument(1))
    }

    fn client(&self) -> Result<ClusterClientId, Error> {
        ClusterClientId::new(self.argument(1))
    }

    fn monitoring_client(&self) -> Result<MonitoringClientId, Error> {
        MonitoringClientId::new(self.argument(1))
    }
}

fn encode(result: impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(&result).expect("an answer can be encoded"))
}

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
        "clusters.list" => encode(admin.clusters().list()?),
        "clusters.create" => {
            let id = admin.clusters().create(&request.body()?)?;
            encode(json!({ "clusterId": id.as_str() }))
        }
        "clusters.parameters" => encode(admin.clusters().parameters()?),
        "members.list" => encode(admin.members().list()?),
        "members.set_roles" => {
            let body: Arguments = request.body()?;
            encode(
                admin
                    .members()
                    .set_roles(request.argument(0), &body.org_roles)?,
            )
        }
        "members.delete" => encode(admin.members().delete(request.argument(0))?),
        "activity.list" => encode(admin.activity().list()?),
        "activity.csv" => {
            let mut text = Vec::new();
            admin.activity().csv(&mut text)?;
            encode(String::from_utf8_lossy(&text))
        }
        "ip_ranges" => encode(admin.ip_ranges()?),
        "request" => {
            let method = match request.argument(0) {
                "GET" => Method::Get,
                "POST" => Method::Post,
                "PUT" => Method::Put,
                "PATCH" => Method::Patch,
                "DELETE" => Method::Delete,
                other => return Err(Failure::Language(format!("there is no method {other}"))),
            };
            let body = request
                .0
                .get("body")
                .map(|body| Json::new(body.to_string()))
                .transpose()?;
            let path = request.argument(1);
            encode(match request.0["class"].as_str() {
                Some("safe") => admin.request_with_idempotency(
                    Idempotency::Safe,
                    method,
                    path,
                    body.as_ref(),
                )?,
                Some("repeatable") => admin.request_with_idempotency(
                    Idempotency::Idempotent,
                    method,
                    path,
                    body.as_ref(),
                )?,
                Some("once") => admin.request_with_idempotency(
                    Idempotency::NonIdempotent,
                    method,
                    path,
                    body.as_ref(),
                )?,
                _ => admin.request(method, path, body.as_ref())?,
            })
        }
        _ => Err(Failure::Language(format!("there is no call {name}"))),
    }
}

fn cluster_call(
    cluster: &ClusterHandle<'_>,
    name: &str,
    request: &Request<'_>,
) -> Result<String, Failure> {
    match name {
        "cluster.get" => encode(cluster.get()?),
        "cluster.update" => encode(cluster.update(&request.body()?)?),
        "cluster.delete" => encode(cluster.delete()?),
        "cluster.wake" => encode(cluster.wake()?),
        "cluster.upgrade" => encode(cluster.upgrade()?),
        "cluster.set_encryption" => encode(cluster.set_encryption(&request.body()?)?),
        "cluster.set_ip_allowlist" => {
            let body: Arguments = request.body()?;
            encode(cluster.set_ip_allowlist(&body.ipallowlist)?)
        }
        "cluster.add_to_ip_allowlist" => {
            let entry = IpAllowlistEntry::new(request.argument(1), request.argument(2));
            encode(cluster.add_to_ip_allowlist(entry)?)
        }
        "cluster.remove_from_ip_allowlist" => {
            encode(cluster.remove_from_ip_allowlist(request.argument(1))?)
        }
        "cluster.fail_over" => encode(cluster.fail_over(&request.body()?)?),
        "cluster.wait_until_healthy" => encode(cluster.wait_until_healthy(&request.wait())?),
        "cluster.wait_until_deleted" => encode(cluster.wait_until_deleted(&request.wait())?),
        "cluster.wait_until_upgraded" => {
            encode(cluster.wait_until_upgraded(request.argument(1), &request.wait())?)
        }
        "cluster.wait_until_woken" => encode(cluster.wait_until_woken(&request.wait())?),
        "cluster.wait_until_encrypted" => encode(cluster.wait_until_encrypted(&request.wait())?),
        "cluster.clients.list" => encode(cluster.clients().list()?),
        "cluster.clients.create" => encode(cluster.clients().create(&request.body()?)?),
        "cluster.clients.get" => encode(cluster.clients().get(&request.client()?)?),
        "cluster.clients.delete" => encode(cluster.clients().delete(&request.client()?)?),
        "cluster.backups.list" => encode(cluster.backups().list()?),
        "cluster.backups.create" => encode(cluster.backups().create()?),
        "cluster.backups.delete" => encode(cluster.backups().delete(&request.backup()?)?),
        "cluster.backups.restore_status" => {
            encode(cluster.backups().restore_status(&request.backup()?)?)
        }
        "cluster.backups.restore" => encode(cluster.backups().restore(&request.backup()?)?),
        "cluster.backups.schedule" => encode(cluster.backups().schedule()?),
        "cluster.backups.set_schedule" => {
            let body: Arguments = request.body()?;
            encode(cluster.backups().set_schedule(&body.schedule)?)
        }
        "cluster.backups.delete_schedule" => encode(cluster.backups().delete_schedule()?),
        "cluster.backups.wait_until_complete" => encode(
            cluster
                .backups()
                .wait_until_complete(&request.backup()?, &request.wait())?,
        ),
        "cluster.backups.wait_until_restored" => encode(
            cluster
                .backups()
                .wait_until_restored(&request.backup()?, &request.wait())?,
        ),
        "cluster.secrets.list" => encode(cluster.secrets().list()?),
        "cluster.secrets.create" => {
            let body: Arguments = request.body()?;
            encode(
                cluster
                    .secrets()
                    .create(&body.secret_name, body.secret_value)?,
            )
        }
        "cluster.secrets.update" => {
            let body: Arguments = request.body()?;
            encode(
                cluster
                    .secrets()
                    .update(request.argument(1), body.secret_value)?,
            )
        }
        "cluster.secrets.delete" => encode(cluster.secrets().delete(request.argument(1))?),
        "cluster.monitoring.activate" => encode(cluster.monitoring().activate()?),
        "cluster.monitoring.deactivate" => encode(cluster.monitoring().deactivate()?),
        "cluster.monitoring.get" => encode(cluster.monitoring().get()?),
        "cluster.monitoring.create_client" => {
            let body: Arguments = request.body()?;
            encode(cluster.monitoring().create_client(&body.username)?)
        }
        "cluster.monitoring.delete_client" => encode(
            cluster
                .monitoring()
                .delete_client(&request.monitoring_client()?)?,
        ),
        "cluster.monitoring.rotate_password" => encode(
            cluster
                .monitoring()
                .rotate_password(&request.monitoring_client()?)?,
        ),
        "cluster.secure_connectivity.get" => encode(cluster.secure_connectivity().get()?),
        "cluster.secure_connectivity.activate" => {
            encode(cluster.secure_connectivity().activate(&request.body()?)?)
        }
        "cluster.secure_connectivity.deactivate" => {
            encode(cluster.secure_connectivity().deactivate()?)
        }
        _ => Err(Failure::Language(format!("there is no call {name}"))),
    }
}
