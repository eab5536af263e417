//! Checks common to all operations: tokens, permissions, ids, bodies.

use std::io::{Read, Write};
use std::net::Shutdown;

use camunda_admin_sandbox::Fault;
use camunda_admin_sandbox::Permission::{self, *};
use serde_json::{Value, json};

use crate::api::{Api, Connection, send};

/// Operation with its documented properties.
struct Row {
    method: &'static str,
    /// Path with `{c}` for a cluster, and other ids in braces.
    path: &'static str,
    permission: Option<Permission>,
    /// Valid request body, if one is required.
    body: Option<Value>,
    success: u16,
    /// Status for a cluster of another organization.
    foreign: u16,
}

const C: &str = "/clusters/{c}";

fn row(
    method: &'static str,
    path: &'static str,
    permission: Permission,
    body: Option<Value>,
    success: u16,
    foreign: u16,
) -> Row {
    Row {
        method,
        path,
        permission: Some(permission),
        body,
        success,
        foreign,
    }
}

/// All operations, with the resources that they need to succeed.
#[rustfmt::skip]
fn rows(api: &Api) -> Vec<Row> {
    let allowlist = || json!([{ "ip": "10.0.0.0/8", "description": "office" }]);
    vec![
        row("GET", "/clusters", ClusterGet, None, 200, 0),
        row("POST", "/clusters", ClusterCreate, Some(api.new_cluster()), 200, 0),
        row("GET", "/clusters/parameters", ClusterGet, None, 200, 0),
        row("GET", C, ClusterGet, None, 200, 404),
        row("PATCH", C, ClusterUpdate, Some(json!({ "name": "new" })), 204, 404),
        row("DELETE", C, ClusterDelete, None, 204, 404),
        row("PUT", "/clusters/{c}/wake", ClusterUpdate, None, 204, 404),
        row("PUT", "/clusters/{c}/upgrade", ClusterUpdate, None, 200, 404),
        row("PUT", "/clusters/{c}/encryption", ClusterUpdate, Some(json!({ "primaryEncryptionKeyId": "arn:aws:kms:us-east-1:123456789012:key/k" })), 200, 404),
        row("PUT", "/clusters/{c}/ipallowlist", IpAllowlist, Some(json!({ "ipallowlist": allowlist() })), 204, 404),
        row("PUT", "/clusters/{c}/ipwhitelist", IpAllowlist, Some(json!({ "ipwhitelist": allowlist() })), 204, 404),
        row("POST", "/clusters/{c}/failover", ClusterUpdate, Some(json!({ "backupIds": ["{b}"], "restoreBackupId": "{b}" })), 200, 403),
        row("GET", "/clusters/{c}/clients", ClientGet, None, 200, 403),
        row("POST", "/clusters/{c}/clients", ClientCreate, Some(json!({ "clientName": "worker" })), 200, 403),
        row("GET", "/clusters/{c}/clients/{client}", ClientGet, None, 200, 403),
        row("DELETE", "/clusters/{c}/clients/{client}", ClientDelete, None, 204, 403),
        row("GET", "/clusters/{c}/backups", Backups, None, 200, 403),
        row("POST", "/clusters/{c}/backups", Backups, None, 200, 404),
        row("DELETE", "/clusters/{c}/backups/{b}", Backups, None, 200, 403),
        row("GET", "/clusters/{c}/backups/{b}/restore", Backups, None, 200, 403),
        row("POST", "/clusters/{c}/backups/{b}/restore", Backups, None, 200, 403),
        row("GET", "/clusters/{c}/backups/schedule", Backups, None, 200, 403),
        row("PUT", "/clusters/{c}/backups/schedule", Backups, Some(json!({ "schedule": "0 2 * * *" })), 200, 403),
        row("DELETE", "/clusters/{c}/backups/schedule", Backups, None, 204, 403),
        row("GET", "/clusters/{c}/secrets", ConnectorSecrets, None, 200, 403),
        row("POST", "/clusters/{c}/secrets", ConnectorSecrets, Some(json!({ "secretName": "NEW", "secretValue": "v" })), 204, 403),
        row("PUT", "/clusters/{c}/secrets/OLD", ConnectorSecrets, Some(json!({ "secretValue": "w" })), 204, 403),
        row("DELETE", "/clusters/{c}/secrets/OLD", ConnectorSecrets, None, 204, 403),
        row("POST", "/clusters/{c}/monitoring", Monitoring, None, 204, 403),
        row("DELETE", "/clusters/{c}/monitoring", Monitoring, None, 204, 403),
        row("GET", "/clusters/{c}/monitoring/clients", Monitoring, None, 200, 403),
        row("POST", "/clusters/{c}/monitoring/clients", Monitoring, Some(json!({ "username": "prometheus" })), 200, 404),
        row("DELETE", "/clusters/{c}/monitoring/clients/{m}", Monitoring, None, 204, 403),
        row("POST", "/clusters/{c}/monitoring/clients/{m}/rotate", Monitoring, None, 200, 403),
        row("GET", "/clusters/{c}/secure-connectivity", ClusterGet, None, 200, 403),
        row("POST", "/clusters/{c}/secure-connectivity", ClusterUpdate, Some(json!({ "allowedPrincipals": ["arn:aws:iam::1:root"], "allowedRegions": [] })), 204, 403),
        row("DELETE", "/clusters/{c}/secure-connectivity", ClusterUpdate, None, 204, 403),
        row("GET", "/members", Members, None, 200, 0),
        row("POST", "/members/new@example.com", Members, Some(json!({ "orgRoles": ["admin"] })), 204, 0),
        row("DELETE", "/members/olivia.owner@example.com", Members, None, 204, 0),
        row("GET", "/activity/json", AuditLog, None, 200, 0),
        row("GET", "/activity/csv", AuditLog, None, 200, 0),
        Row { permission: None, ..row("GET", "/meta/ip-ranges", ClusterGet, None, 200, 0) },
    ]
}

impl Row {
    fn is_of_cluster(&self) -> bool {
        self.path.contains("{c}")
    }

    /// Whether a feature must be inactive for the operation to succeed.
    fn activates(&self) -> bool {
        self.method == "POST"
            && (self.path.ends_with("/monitoring") || self.path.ends_with("/secure-connectivity"))
    }
}

/// Cluster on which every operation can succeed, with the ids of its resources.
struct Scene {
    cluster: String,
    client: String,
    backup: String,
    monitoring_client: String,
}

impl Scene {
    fn new(api: &Api, row: &Row) -> Self {
        let mut fields = json!({
            "encryption": { "type": "External", "status": "ExternalEncryptionKeyNotSupplied" },
        });
        if row.path.ends_with("/failover") {
            fields["backupRegion"] = json!({ "uuid": "other", "name": "Other (us-east-2)" });
        }
        let cluster = api.sandbox.create_cluster(fields);
        api.sandbox.make_upgrade_available(&cluster);
        let backup = api.sandbox.create_backup(&cluster, json!({}));
        let path = format!("/clusters/{cluster}");
        let client = api.post(&format!("{path}/clients"), json!({ "clientName": "first" }));
        let secret = json!({ "secretName": "OLD", "secretValue": "v" });
        api.post(&format!("{path}/secrets"), secret).expect(204);
        let schedule = json!({ "schedule": "0 1 * * *" });
        api.put(&format!("{path}/backups/schedule"), schedule)
            .expect(200);
        let reader = json!({ "username": "reader" });
        let reader = api
            .post(&format!("{path}/monitoring/clients"), reader)
            .expect(200);
        if !row.activates() {
            api.call("POST", &format!("{path}/monitoring"), None)
                .expect(204);
            let connectivity = json!({ "allowedPrincipals": [], "allowedRegions": [] });
            api.post(&format!("{path}/secure-connectivity"), connectivity)
                .expect(204);
        }
        if row.method == "GET" && row.path.ends_with("/restore") {
            api.call("POST", &format!("{path}/backups/{backup}/restore"), None)
                .expect(200);
        }
        Self {
            cluster,
            client: client.expect(200).json()["clientId"]
                .as_str()
                .unwrap()
                .into(),
            backup,
            monitoring_client: reader.json()["uuid"].as_str().unwrap().into(),
        }
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{c}", &self.cluster)
            .replace("{client}", &self.client)
            .replace("{b}", &self.backup)
            .replace("{m}", &self.monitoring_client)
    }

    fn body(&self, row: &Row) -> Option<Value> {
        row.body
            .as_ref()
            .map(|body| serde_json::from_str(&self.fill(&body.to_string())).unwrap())
    }
}

/// Returns the operations of the server that have no row, as `GET /clusters`.
fn operations_without_row(rows: &[Row]) -> Vec<String> {
    let mut operations = camunda_admin_sandbox::operations();
    // A path without parameters belongs to its own operation, `/clusters/parameters` not to
    // `/clusters/{clusterUuid}`.
    operations.sort_by_key(|operation| operation.path.matches('{').count());
    let has_row: Vec<_> = rows
        .iter()
        .filter_map(|row| {
            operations.iter().find(|operation| {
                operation.method == row.method && is_path_of(operation.path, row.path)
            })
        })
        .collect();
    operations
        .iter()
        .filter(|operation| !has_row.contains(operation))
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect()
}

/// Returns whether a path with values is one of `template`, a path with parameters in braces.
fn is_path_of(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template
            .zip(path)
            .all(|(expected, found)| expected.starts_with('{') || expected == found)
}

/// Runs a check for each operation on a separate sandbox, and names failing operations.
fn each(check: impl Fn(&Api, &Row, &Scene) -> Result<(), String>) {
    let api = Api::new();
    let rows = rows(&api);
    assert_eq!(operations_without_row(&rows), [""; 0], "missing in `rows`");
    assert_eq!(rows.len(), camunda_admin_sandbox::operations().len());
    let failures: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let scene = Scene::new(&api, row);
            let failure = check(&api, row, &scene).err()?;
            Some(format!("{} {}: {failure}", row.method, row.path))
        })
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
}

fn is(expected: u16, reply: crate::api::Reply) -> Result<(), String> {
    if reply.status == expected {
        return Ok(());
    }
    Err(format!(
        "{} instead of {expected}: {}",
        reply.status,
        reply.text()
    ))
}

#[test]
fn all_operations_succeed() {
    each(|api, row, scene| {
        let path = scene.fill(row.path);
        let reply = api.call(row.method, &path, scene.body(row).as_ref());
        if row.success == 204 && !reply.body.is_empty() {
            return Err(format!("204 has a body: {}", reply.text()));
        }
        if row.success == 200 && !row.path.ends_with("csv") && !reply.is_json() {
            return Err("the response content type is not JSON".into());
        }
        is(row.success, reply)
    });
}

#[test]
fn request_without_valid_token_is_401() {
    each(|api, row, scene| {
        let path = scene.fill(row.path);
        let body = scene.body(row);
        let expected = if row.permission.is_some() { 401 } else { 200 };
        is(expected, send(&api.sandbox, row.method, &path, &[], b""))?;
        is(
            expected,
            api.call_with(
                "eyJhbGciOiJIUzI1NiJ9.e30.x",
                row.method,
                &path,
                body.as_ref(),
            ),
        )
    });
}

#[test]
fn request_without_permission_is_403() {
    let all_but = |lacking: Option<Permission>| -> Vec<Permission> {
        Permission::ALL
            .into_iter()
            .filter(|permission| Some(*permission) != lacking)
            .collect()
    };
    each(|api, row, scene| {
        let path = scene.fill(row.path);
        let body = scene.body(row);
        let Some(needed) = row.permission else {
            return Ok(());
        };
        let lacking = api.limited_token(&all_but(Some(needed)));
        let sufficient = api.limited_token(&[needed]);
        is(
            403,
            api.call_with(&lacking, row.method, &path, body.as_ref()),
        )?;
        is(
            row.success,
            api.call_with(&sufficient, row.method, &path, body.as_ref()),
        )
    });
}

#[test]
fn unknown_cluster_is_404() {
    each(|api, row, scene| {
        if !row.is_of_cluster() {
            return Ok(());
        }
        let path = scene.fill(
            &row.path
                .replace("{c}", "5a9f1c9e-0000-4000-8000-000000000000"),
        );
        is(404, api.call(row.method, &path, scene.body(row).as_ref()))
    });
}

#[test]
fn cluster_of_other_organization_is_rejected() {
    each(|api, row, scene| {
        if !row.is_of_cluster() {
            return Ok(());
        }
        api.sandbox.set_other_organization(&scene.cluster, true);
        let path = scene.fill(row.path);
        is(
            row.foreign,
            api.call(row.method, &path, scene.body(row).as_ref()),
        )
    });
}

#[test]
fn unknown_ids_are_404() {
    each(|api, row, scene| {
        for id in [
            "{client}",
            "{b}",
            "{m}",
            "/OLD",
            "/olivia.owner@example.com",
        ] {
            if row.path.contains(id) && (id.starts_with('{') || row.method != "POST") {
                let nothing = if id.starts_with('/') {
                    "/nothing"
                } else {
                    "nothing"
                };
                let path = scene.fill(&row.path.replace(id, nothing));
                is(404, api.call(row.method, &path, scene.body(row).as_ref()))?;
            }
        }
        Ok(())
    });
}

#[test]
fn request_body_is_required_or_not_allowed() {
    each(|api, row, scene| {
        let path = scene.fill(row.path);
        match scene.body(row) {
            None => is(400, api.call(row.method, &path, Some(&json!({})))),
            Some(body) => {
                is(400, api.call(row.method, &path, None))?;
                is(400, api.call(row.method, &path, Some(&json!([body]))))?;
                let authorization = format!("Bearer {}", api.token());
                let raw = |content_type: &str, body: &[u8]| {
                    let headers = [
                        ("authorization", &*authorization),
                        ("content-type", content_type),
                    ];
                    send(&api.sandbox, row.method, &path, &headers, body)
                };
                is(415, raw("text/plain", body.to_string().as_bytes()))?;
                is(400, raw("application/json", b"{\"name\":"))?;
                is(400, raw("application/json", b"\xff\xfe"))?;
                is(
                    row.success,
                    raw(
                        "Application/JSON;charset=utf-8",
                        body.to_string().as_bytes(),
                    ),
                )
            }
        }
    });
}

#[test]
fn unknown_fields_are_rejected_by_name() {
    each(|api, row, scene| {
        let Some(mut body) = scene.body(row) else {
            return Ok(());
        };
        body["surplus"] = json!(1);
        let reply = api.call(row.method, &scene.fill(row.path), Some(&body));
        if !reply.text().contains("surplus") {
            return Err(format!(
                "the error does not name the field: {}",
                reply.text()
            ));
        }
        is(400, reply)
    });
}

#[test]
fn fields_of_wrong_type_are_rejected_by_name() {
    each(|api, row, scene| {
        let Some(body) = scene.body(row) else {
            return Ok(());
        };
        for name in body.as_object().unwrap().keys() {
            let scalar = match body[name].is_number() {
                true => json!("7"),
                false => json!(7),
            };
            for wrong in [Value::Null, json!({ "a": 1 }), json!([7]), scalar] {
                let mut body = body.clone();
                body[name] = wrong.clone();
                let reply = api.call(row.method, &scene.fill(row.path), Some(&body));
                if !reply.text().contains(name.as_str()) {
                    return Err(format!("{wrong} for {name}: {}", reply.text()));
                }
                is(400, reply)?;
            }
        }
        Ok(())
    });
}

#[test]
fn missing_fields_are_rejected_by_name() {
    each(|api, row, scene| {
        let Some(body) = scene.body(row) else {
            return Ok(());
        };
        if row.method == "PATCH" {
            return Ok(());
        }
        for name in body.as_object().unwrap().keys() {
            let mut body = body.clone();
            body.as_object_mut().unwrap().remove(name);
            let reply = api.call(row.method, &scene.fill(row.path), Some(&body));
            if !reply.text().contains(name.as_str()) {
                return Err(format!("without {name}: {}", reply.text()));
            }
            is(400, reply)?;
        }
        Ok(())
    });
}

#[test]
fn requests_are_counted_by_operation() {
    let api = Api::new();
    let cluster = api.cluster();
    api.get("/clusters").expect(200);
    api.get(&format!("/clusters/{cluster}")).expect(200);
    api.get("/clusters/nothing").expect(404);
    api.get("/nothing").expect(404);
    let stats = api.sandbox.stats();
    assert_eq!(stats.requests, 4);
    let by_operation: Vec<(&str, u64)> = stats
        .requests_by_operation
        .iter()
        .map(|(name, count)| (name.as_str(), *count))
        .collect();
    assert_eq!(
        by_operation,
        [
            ("GET /clusters", 1),
            ("GET /clusters/{clusterUuid}", 2),
            ("unknown", 1)
        ]
    );
    assert_eq!((stats.token_requests, stats.connections), (1, 5));
}

#[test]
fn unknown_paths_and_methods_are_rejected() {
    let api = Api::new();
    for path in [
        "/clusters//",
        "/cluster",
        "/clusters/a/b",
        "/clusters/%ff",
        "/members//",
    ] {
        api.get(path).expect(404);
    }
    api.call("PUT", "/clusters", None).expect(405);
    api.call("OPTIONS", "/members", None).expect(405);
    api.get("/oauth/token").expect(405);
}

/// Camunda's documentation writes `GET https://api.cloud.camunda.io/clusters/`.
#[test]
fn clusters_path_with_a_trailing_slash_is_the_same_operation() {
    let api = Api::new();
    api.sandbox.create_cluster(json!({ "name": "a" }));
    let clusters = api.get("/clusters/").expect(200).json();
    assert_eq!(clusters[0]["name"], "a");
    assert_eq!(clusters, api.get("/clusters").expect(200).json());
    api.post("/clusters/", json!({})).expect(400);
    api.call("PUT", "/clusters/", None).expect(405);
    let counted = api.sandbox.stats().requests_by_operation;
    assert_eq!(
        (counted["GET /clusters"], counted["POST /clusters"]),
        (2, 1)
    );
    api.sandbox
        .add_fault(Fault::on("GET /clusters").status(503));
    api.get("/clusters/").expect(503);
}

#[test]
fn ids_accept_encoded_characters() {
    let api = Api::new();
    let odd = "a/b?c#d%e\r\n\u{e9}..";
    let encoded = "a%2Fb%3Fc%23d%25e%0D%0A%C3%A9..";
    api.sandbox
        .create_cluster(json!({ "uuid": odd, "name": "odd" }));
    let cluster = api.get(&format!("/clusters/{encoded}")).expect(200).json();
    assert_eq!(cluster["uuid"], odd);

    let roles = json!({ "orgRoles": ["analyst"] });
    api.post(&format!("/members/{encoded}"), roles).expect(204);
    assert_eq!(api.get("/members").json()[1]["email"], odd);
    api.delete(&format!("/members/{encoded}")).expect(204);

    let secrets = format!("/clusters/{encoded}/secrets");
    api.post(&secrets, json!({ "secretName": odd, "secretValue": "1" }))
        .expect(204);
    api.put(
        &format!("{secrets}/{encoded}"),
        json!({ "secretValue": "2" }),
    )
    .expect(204);
    assert_eq!(api.get(&secrets).json(), json!({ odd: "2" }));
}

#[test]
fn malformed_requests_do_not_crash_server() {
    let api = Api::new();
    for odd in [
        &b""[..],
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET http://elsewhere/clusters HTTP/1.1\r\nhost: a\r\n\r\n",
        b"CONNECT elsewhere:443 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /clusters/%zz HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /clusters/%00 HTTP/1.1\r\nhost: a\r\nauthorization: \xff\r\n\r\n",
        b"GET /clusters HTTP/1.1\r\nhost: a\r\nauthorization: Bearer\r\n\r\n",
        b"HEAD /meta/ip-ranges HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST /oauth/token HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n{",
        b"POST /clusters HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /clusters HTTP/1.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut connection = Connection::open(&api.sandbox);
        connection.stream.get_mut().write_all(odd).unwrap();
        connection
            .stream
            .get_ref()
            .shutdown(Shutdown::Write)
            .unwrap();
        let mut response = Vec::new();
        // Either a response or a closed connection is accepted.
        let _ = connection.stream.read_to_end(&mut response);
        assert!(
            !response.starts_with(b"HTTP/1.1 5"),
            "{}",
            String::from_utf8_lossy(&response)
        );
    }
    api.get("/clusters").expect(200);
}
