//! Examples of each call in four languages, for the reference of operations.

use std::fmt::Write as _;

use camunda_admin::description::{BodyKind, BodySchema, Description, Field, Presence, TYPES};

use crate::cpp::is_passed_as_arguments;
use crate::identifiers::{id_type, without_id};
use crate::python::is_by_position;

/// An example of a call that is more than the call with placeholders, which [`derived`] returns. C needs
/// only the body: the call follows from the description.
struct Example {
    /// Name of the call, such as `cluster.backups.list`.
    call: &'static str,
    /// Request body; empty if the request has none.
    body: &'static str,
    rust: &'static str,
    cpp: &'static str,
    python: &'static str,
}

/// Id of the cluster in the examples.
pub(crate) const CLUSTER: &str = "3f0e9a52-7f0c-4a6e-9d0b-7b8f2f6c1d11";

#[rustfmt::skip]
const EXAMPLES: &[Example] = &[
    Example { call: "clusters.list", body: "",
        rust: "let clusters = admin.clusters().list()?;",
        cpp: "const auto clusters = admin.clusters().list();",
        python: "clusters = admin.clusters.list()" },
    Example { call: "clusters.create",
        body: r#"{"name": "orders", "channelId": "…", "generationId": "…", "regionId": "…", "planTypeId": "…"}"#,
        rust: "let offer = admin.clusters().parameters()?;\nlet channel = &offer.channels[0];\nlet id = admin.clusters().create(&CreateCluster::new(\n    \"orders\",\n    &channel.uuid,\n    &channel.default_generation.uuid,\n    &offer.regions[0].uuid,\n    &offer.cluster_plan_types[0].uuid,\n))?;",
        cpp: "const auto offer = admin.clusters().parameters();\nconst auto& channel = offer.channels.at(0);\nconst auto id = admin.clusters().create({\"orders\", channel.uuid, channel.default_generation.uuid,\n                                         offer.regions.at(0).uuid,\n                                         offer.cluster_plan_types.at(0).uuid});",
        python: "offer = admin.clusters.parameters()\nchannel = offer.channels[0]\nnew_id = admin.clusters.create(\n    name=\"orders\",\n    channel_id=channel.uuid,\n    generation_id=channel.default_generation.uuid,\n    region_id=offer.regions[0].uuid,\n    plan_type_id=offer.cluster_plan_types[0].uuid,\n)" },
    Example { call: "clusters.parameters", body: "",
        rust: "let offer = admin.clusters().parameters()?;",
        cpp: "const auto offer = admin.clusters().parameters();",
        python: "offer = admin.clusters.parameters()" },
    Example { call: "cluster.get", body: "",
        rust: "let details = admin.cluster(&id).get()?;",
        cpp: "const auto details = admin.cluster(id).get();",
        python: "details = admin.cluster(cluster_id).get()" },
    Example { call: "cluster.update", body: r#"{"name": "invoices"}"#,
        rust: "admin.cluster(&id).update(&UpdateCluster::new().name(\"invoices\"))?;",
        cpp: "camunda::UpdateCluster change;\nchange.name = \"invoices\";\nadmin.cluster(id).update(change);",
        python: "admin.cluster(cluster_id).update(name=\"invoices\")" },
    Example { call: "cluster.upgrade", body: "",
        rust: "let upgrade = admin.cluster(&id).upgrade()?;",
        cpp: "const auto upgrade = admin.cluster(id).upgrade();",
        python: "upgrade = admin.cluster(cluster_id).upgrade()" },
    Example { call: "cluster.set_encryption",
        body: r#"{"primaryEncryptionKeyId": "arn:aws:kms:us-east-1:111122223333:key/1"}"#,
        rust: "let keys = UpdateEncryption::new(\"arn:aws:kms:us-east-1:111122223333:key/1\");\nlet details = admin.cluster(&id).set_encryption(&keys)?;",
        cpp: "const auto details =\n    admin.cluster(id).set_encryption({\"arn:aws:kms:us-east-1:111122223333:key/1\"});",
        python: "details = admin.cluster(cluster_id).set_encryption(\n    primary_encryption_key_id=\"arn:aws:kms:us-east-1:111122223333:key/1\"\n)" },
    Example { call: "cluster.set_ip_allowlist",
        body: r#"{"ipallowlist": [{"ip": "10.0.0.0/8", "description": "office"}]}"#,
        rust: "let office = IpAllowlistEntry::new(\"10.0.0.0/8\", \"office\");\nadmin.cluster(&id).set_ip_allowlist(&[office])?;",
        cpp: "admin.cluster(id).set_ip_allowlist({{\"10.0.0.0/8\", \"office\"}});",
        python: "admin.cluster(cluster_id).set_ip_allowlist([(\"10.0.0.0/8\", \"office\")])" },
    Example { call: "cluster.fail_over", body: r#"{"backupIds": ["b1"], "restoreBackupId": "b1"}"#,
        rust: "let backup = admin.cluster(&id).backups().list()?[0].uuid.clone();\nlet request = TriggerFailover::new([backup.clone()], backup);\nlet result = admin.cluster(&id).fail_over(&request)?;",
        cpp: "const auto backup = admin.cluster(id).backups().list().at(0).uuid.str();\nconst auto result = admin.cluster(id).fail_over({{backup}, backup});",
        python: "result = admin.cluster(cluster_id).fail_over(backup_ids=[\"b1\"], restore_backup_id=\"b1\")" },
    Example { call: "cluster.clients.list", body: "",
        rust: "let clients = admin.cluster(&id).clients().list()?;",
        cpp: "const auto clients = admin.cluster(id).clients().list();",
        python: "clients = admin.cluster(cluster_id).clients.list()" },
    Example { call: "cluster.clients.create",
        body: r#"{"clientName": "worker", "permissions": ["Zeebe"]}"#,
        rust: "let worker = CreateClusterClient::new(\"worker\").permissions([ClientPermission::Zeebe]);\nlet created = admin.cluster(&id).clients().create(&worker)?;",
        cpp: "const auto created =\n    admin.cluster(id).clients().create({\"worker\", {{camunda::ClientPermission::Zeebe}}});",
        python: "created = admin.cluster(cluster_id).clients.create(\"worker\", permissions=[\"Zeebe\"])" },
    Example { call: "cluster.clients.get", body: "",
        rust: "let client = ClusterClientId::new(\"f5xp…\")?;\nlet details = admin.cluster(&id).clients().get(&client)?;",
        cpp: "const auto details = admin.cluster(id).clients().get(\"f5xp…\");",
        python: "details = admin.cluster(cluster_id).clients.get(\"f5xp…\")" },
    Example { call: "cluster.backups.list", body: "",
        rust: "let backups = admin.cluster(&id).backups().list()?;",
        cpp: "const auto backups = admin.cluster(id).backups().list();",
        python: "backups = admin.cluster(cluster_id).backups.list()" },
    Example { call: "cluster.backups.create", body: "",
        rust: "let backup = admin.cluster(&id).backups().create()?;",
        cpp: "const auto backup = admin.cluster(id).backups().create();",
        python: "backup = admin.cluster(cluster_id).backups.create()" },
    Example { call: "cluster.backups.delete", body: "",
        rust: "let backup = BackupId::new(\"b1…\")?;\nlet deleted = admin.cluster(&id).backups().delete(&backup)?;",
        cpp: "const auto deleted = admin.cluster(id).backups().remove(\"b1…\");",
        python: "deleted = admin.cluster(cluster_id).backups.delete(\"b1…\")" },
    Example { call: "cluster.backups.restore_status", body: "",
        rust: "let backup = BackupId::new(\"b1…\")?;\nlet restore = admin.cluster(&id).backups().restore_status(&backup)?;",
        cpp: "const auto restore = admin.cluster(id).backups().restore_status(\"b1…\");",
        python: "restore = admin.cluster(cluster_id).backups.restore_status(\"b1…\")" },
    Example { call: "cluster.backups.restore", body: "",
        rust: "let backup = BackupId::new(\"b1…\")?;\nlet restore = admin.cluster(&id).backups().restore(&backup)?;",
        cpp: "const auto restore = admin.cluster(id).backups().restore(\"b1…\");",
        python: "restore = admin.cluster(cluster_id).backups.restore(\"b1…\")" },
    Example { call: "cluster.backups.schedule", body: "",
        rust: "let schedule = admin.cluster(&id).backups().schedule()?;",
        cpp: "const auto schedule = admin.cluster(id).backups().schedule();",
        python: "schedule = admin.cluster(cluster_id).backups.schedule()" },
    Example { call: "cluster.backups.set_schedule", body: r#"{"schedule": "0 2 * * *"}"#,
        rust: "let schedule = admin.cluster(&id).backups().set_schedule(\"0 2 * * *\")?;",
        cpp: "const auto schedule = admin.cluster(id).backups().set_schedule(\"0 2 * * *\");",
        python: "schedule = admin.cluster(cluster_id).backups.set_schedule(\"0 2 * * *\")" },
    Example { call: "cluster.secrets.list", body: "",
        rust: "let secrets = admin.cluster(&id).secrets().list()?;",
        cpp: "const auto secrets = admin.cluster(id).secrets().list();",
        python: "secrets = admin.cluster(cluster_id).secrets.list()" },
    Example { call: "cluster.secrets.create",
        body: r#"{"secretName": "API_KEY", "secretValue": "…"}"#,
        rust: "admin.cluster(&id).secrets().create(\"API_KEY\", \"…\")?;",
        cpp: "admin.cluster(id).secrets().create(\"API_KEY\", \"…\");",
        python: "admin.cluster(cluster_id).secrets.create(\"API_KEY\", \"…\")" },
    Example { call: "cluster.monitoring.get", body: "",
        rust: "let monitoring = admin.cluster(&id).monitoring().get()?;",
        cpp: "const auto monitoring = admin.cluster(id).monitoring().get();",
        python: "monitoring = admin.cluster(cluster_id).monitoring.get()" },
    Example { call: "cluster.monitoring.create_client", body: r#"{"username": "prometheus"}"#,
        rust: "let created = admin.cluster(&id).monitoring().create_client(\"prometheus\")?;",
        cpp: "const auto created = admin.cluster(id).monitoring().create_client(\"prometheus\");",
        python: "created = admin.cluster(cluster_id).monitoring.create_client(\"prometheus\")" },
    Example { call: "cluster.monitoring.rotate_password", body: "",
        rust: "let client = MonitoringClientId::new(\"m1…\")?;\nlet rotated = admin.cluster(&id).monitoring().rotate_password(&client)?;",
        cpp: "const auto rotated = admin.cluster(id).monitoring().rotate_password(\"m1…\");",
        python: "rotated = admin.cluster(cluster_id).monitoring.rotate_password(\"m1…\")" },
    Example { call: "cluster.secure_connectivity.get", body: "",
        rust: "let connectivity = admin.cluster(&id).secure_connectivity().get()?;",
        cpp: "const auto connectivity = admin.cluster(id).secure_connectivity().get();",
        python: "connectivity = admin.cluster(cluster_id).secure_connectivity.get()" },
    Example { call: "cluster.secure_connectivity.activate",
        body: r#"{"allowedPrincipals": ["arn:aws:iam::111122223333:root"], "allowedRegions": ["us-east-1"]}"#,
        rust: "let request =\n    ActivateSecureConnectivity::new([\"arn:aws:iam::111122223333:root\"], [\"us-east-1\"]);\nadmin.cluster(&id).secure_connectivity().activate(&request)?;",
        cpp: "camunda::ActivateSecureConnectivity request;\nrequest.allowed_principals = {\"arn:aws:iam::111122223333:root\"};\nrequest.allowed_regions = {\"us-east-1\"};\nadmin.cluster(id).secure_connectivity().activate(request);",
        python: "admin.cluster(cluster_id).secure_connectivity.activate(\n    allowed_principals=[\"arn:aws:iam::111122223333:root\"], allowed_regions=[\"us-east-1\"]\n)" },
    Example { call: "members.list", body: "",
        rust: "let members = admin.members().list()?;",
        cpp: "const auto members = admin.members().list();",
        python: "members = admin.members.list()" },
    Example { call: "members.set_roles", body: r#"{"orgRoles": ["admin"]}"#,
        rust: "admin.members().set_roles(\"ada@example.com\", &[AssignableRole::Admin])?;",
        cpp: "admin.members().set_roles(\"ada@example.com\", {camunda::AssignableRole::Admin});",
        python: "admin.members.set_roles(\"ada@example.com\", [\"admin\"])" },
    Example { call: "activity.list", body: "",
        rust: "let events = admin.activity().list()?;",
        cpp: "const auto events = admin.activity().list();",
        python: "events = admin.activity.list()" },
    Example { call: "activity.csv", body: "",
        rust: "admin.activity().csv(&mut std::io::stdout())?;",
        cpp: "admin.activity().csv(std::cout);",
        python: "admin.activity.csv(sys.stdout)" },
    Example { call: "ip_ranges", body: "",
        rust: "let ranges = admin.ip_ranges()?;",
        cpp: "const auto ranges = admin.ip_ranges();",
        python: "ranges = admin.ip_ranges()" },
    Example { call: "cluster.wait_until_healthy", body: "",
        rust: "let details = admin.cluster(&id).wait_until_healthy(&Wait::new())?;",
        cpp: "const auto details = admin.cluster(id).wait_until_healthy();",
        python: "details = cluster.wait_until_healthy(timeout=1200)" },
    Example { call: "cluster.wait_until_deleted", body: "",
        rust: "admin.cluster(&id).delete()?;\nadmin.cluster(&id).wait_until_deleted(&Wait::new())?;",
        cpp: "admin.cluster(id).remove();\nadmin.cluster(id).wait_until_deleted();",
        python: "deleted = admin.cluster(new_id)\ndeleted.delete()\ndeleted.wait_until_deleted()" },
    Example { call: "cluster.wait_until_upgraded", body: "",
        rust: "let upgrade = admin.cluster(&id).upgrade()?;\nadmin.cluster(&id).wait_until_upgraded(&upgrade.new_generation.id, &Wait::new())?;",
        cpp: "const auto upgrade = admin.cluster(id).upgrade();\nconst auto details = admin.cluster(id).wait_until_upgraded(upgrade.new_generation.id);",
        python: "upgrade = cluster.upgrade()\ncluster.wait_until_upgraded(upgrade.new_generation.id)" },
    Example { call: "cluster.wait_until_woken", body: "",
        rust: "admin.cluster(&id).wake()?;\nlet details = admin.cluster(&id).wait_until_woken(&Wait::new())?;",
        cpp: "admin.cluster(id).wake();\nconst auto details = admin.cluster(id).wait_until_woken();",
        python: "cluster.wake()\ncluster.wait_until_woken()" },
    Example { call: "cluster.wait_until_encrypted", body: "",
        rust: "let details = admin.cluster(&id).wait_until_encrypted(&Wait::new())?;",
        cpp: "const auto details = admin.cluster(id).wait_until_encrypted();",
        python: "cluster.wait_until_encrypted()" },
    Example { call: "cluster.backups.wait_until_complete", body: "",
        rust: "let backups = admin.cluster(&id).backups();\nlet backup = backups.create()?;\nlet complete = backups.wait_until_complete(&backup.uuid, &Wait::for_backup())?;",
        cpp: "const auto backups = admin.cluster(id).backups();\nconst auto complete = backups.wait_until_complete(backups.create().uuid);",
        python: "backup = cluster.backups.create()\ncluster.backups.wait_until_complete(backup.uuid)" },
    Example { call: "cluster.backups.wait_until_restored", body: "",
        rust: "let backup = BackupId::new(\"b1…\")?;\nlet backups = admin.cluster(&id).backups();\nbackups.restore(&backup)?;\nlet restore = backups.wait_until_restored(&backup, &Wait::for_restore())?;",
        cpp: "const auto backups = admin.cluster(id).backups();\nconst auto started = backups.restore(\"b1…\");\nconst auto restore = backups.wait_until_restored(\"b1…\");",
        python: "cluster.backups.restore(\"b1…\")\ncluster.backups.wait_until_restored(\"b1…\")" },
];

/// An example as shown.
pub(crate) struct Shown {
    pub(crate) body: String,
    pub(crate) rust: String,
    pub(crate) cpp: String,
    pub(crate) python: String,
}

/// Returns the example of a call: from the list, else derived from its description.
pub(crate) fn example(
    call: &str,
    arguments: &[&str],
    body: Option<&BodySchema>,
    result: &str,
) -> Shown {
    match EXAMPLES.iter().find(|example| example.call == call) {
        Some(listed) => Shown {
            body: listed.body.into(),
            rust: listed.rust.into(),
            cpp: listed.cpp.into(),
            python: listed.python.into(),
        },
        None => derived(call, arguments, body, result).unwrap_or_else(|| {
            panic!("add an example of {call} to EXAMPLES in xtask/src/examples.rs")
        }),
    }
}

/// Returns the call with placeholders, or `None` if a field of its body has no [`sample`]. `result`: name of
/// the variable for its result; empty if it has none.
fn derived(
    call: &str,
    arguments: &[&str],
    body: Option<&BodySchema>,
    result: &str,
) -> Option<Shown> {
    let (place, method) = call.rsplit_once('.').unwrap_or(("", call));
    let accessors = place
        .split('.')
        .filter(|part| !matches!(*part, "" | "cluster"));
    let (mut native, mut python) = (String::new(), String::new());
    for accessor in accessors {
        write!(native, ".{accessor}()").unwrap();
        write!(python, ".{accessor}").unwrap();
    }
    let of_cluster = place.starts_with("cluster.") || place == "cluster";
    let (rust_admin, cpp_admin, python_admin) = match of_cluster {
        true => (
            "admin.cluster(&id)",
            "admin.cluster(id)",
            "admin.cluster(cluster_id)",
        ),
        false => ("admin", "admin", "admin"),
    };
    let (mut ids, mut json) = (String::new(), String::new());
    let [mut rust, mut cpp, mut keywords] = [const { Vec::<String>::new() }; 3];
    for name in arguments {
        if *name == "clusterUuid" && of_cluster {
            continue;
        }
        let value = format!("\"{}\"", argument(name));
        rust.push(match id_type(name).zip(without_id(name)) {
            Some((id, variable)) => {
                writeln!(ids, "let {variable} = {id}::new({value})?;").unwrap();
                format!("&{variable}")
            }
            None => value.clone(),
        });
        cpp.push(value.clone());
        keywords.push(value);
    }
    if let Some(body) = body {
        let BodyKind::Object(Description::Object { name, fields, .. }) = &body.kind else {
            return None;
        };
        let required = fields
            .iter()
            .filter(|field| field.presence == Presence::Required);
        let samples: Vec<(&Field, Sample)> = required
            .map(|field| Some((field, sample(field)?)))
            .collect::<Option<_>>()?;
        let join = |format: fn(&(&Field, Sample)) -> String| {
            samples.iter().map(format).collect::<Vec<_>>().join(", ")
        };
        json = format!(
            "{{{}}}",
            join(|(field, value)| format!("\"{}\": {}", field.json, value.json))
        );
        let (in_rust, in_cpp) = (
            join(|(_, value)| value.rust.clone()),
            join(|(_, value)| value.cpp.clone()),
        );
        if is_passed_as_arguments(name) {
            rust.push(in_rust);
            cpp.push(in_cpp);
        } else {
            rust.push(format!("&{name}::new({in_rust})"));
            cpp.push(format!("{{{in_cpp}}}"));
        }
        for (field, value) in &samples {
            keywords.push(match is_by_position(call, field.json) {
                true => value.python.clone(),
                false => format!("{}={}", field.name, value.python),
            });
        }
    }
    if method.starts_with("wait_until_") {
        rust.push("&Wait::new()".into());
    }
    let [rust, cpp, keywords] = [rust, cpp, keywords].map(|values| values.join(", "));
    let [let_rust, let_cpp, let_python] = match result {
        "" => [String::new(), String::new(), String::new()],
        result => [
            format!("let {result} = "),
            format!("const auto {result} = "),
            format!("{result} = "),
        ],
    };
    let cpp_method = match method {
        "delete" => "remove",
        method => method,
    };
    Some(Shown {
        body: json,
        rust: format!("{ids}{let_rust}{rust_admin}{native}.{method}({rust})?;"),
        cpp: format!("{let_cpp}{cpp_admin}{native}.{cpp_method}({cpp});"),
        python: format!("{let_python}{python_admin}{python}.{method}({keywords})"),
    })
}

/// A placeholder of a field in each language.
struct Sample {
    json: String,
    rust: String,
    cpp: String,
    python: String,
}

/// Returns a placeholder of a string, number, boolean or enumeration, else `None`.
fn sample(field: &Field) -> Option<Sample> {
    let same = |value: &str| Sample {
        json: value.to_owned(),
        rust: value.to_owned(),
        cpp: value.to_owned(),
        python: value.to_owned(),
    };
    match field.rust_type {
        "String" | "Secret" => Some(same("\"…\"")),
        "u32" => Some(same("1")),
        "bool" => Some(Sample {
            python: "True".to_owned(),
            ..same("true")
        }),
        rust_type => TYPES.iter().find_map(|known| match known {
            Description::Enum { name, values, .. } if *name == rust_type => {
                let value = values.first()?;
                Some(Sample {
                    rust: format!("{name}::{}", value.name),
                    cpp: format!("camunda::{name}::{}", value.name),
                    ..same(&format!("\"{}\"", value.json))
                })
            }
            _ => None,
        }),
    }
}

/// Returns the value of a path argument in the examples.
pub(crate) fn argument(name: &str) -> &'static str {
    match name {
        "clusterUuid" => CLUSTER,
        "clientId" => "f5xp…",
        "backupId" => "b1…",
        "secretName" => "API_KEY",
        "clientUuid" => "m1…",
        "email" => "ada@example.com",
        name if name.starts_with("generation") => "g2…",
        name if id_type(name).is_some() => "…",
        name => panic!("no example of the argument {name} in xtask/src/examples.rs"),
    }
}

#[cfg(test)]
mod tests {
    use camunda_admin::description::{OPERATIONS, WAITERS};

    use super::*;

    #[test]
    fn every_example_belongs_to_a_call() {
        for example in EXAMPLES {
            let known = OPERATIONS.iter().any(|it| it.sdk_method == example.call)
                || WAITERS.iter().any(|it| it.sdk_method == example.call);
            assert!(known, "{}", example.call);
        }
    }

    #[test]
    fn derived_example_has_placeholders_for_required_fields() {
        let update = OPERATIONS
            .iter()
            .find(|it| it.sdk_method == "cluster.set_encryption");
        let body = update.unwrap().body.as_ref();
        let shown = derived("cluster.set_encryption", &["clusterUuid"], body, "").unwrap();
        assert_eq!(shown.body, "{\"primaryEncryptionKeyId\": \"…\"}");
        assert_eq!(
            shown.rust,
            "admin.cluster(&id).set_encryption(&UpdateEncryption::new(\"…\"))?;"
        );
        assert_eq!(shown.cpp, "admin.cluster(id).set_encryption({\"…\"});");
        assert_eq!(
            shown.python,
            "admin.cluster(cluster_id).set_encryption(primary_encryption_key_id=\"…\")"
        );
        // A list has no placeholder.
        let fail_over = OPERATIONS
            .iter()
            .find(|it| it.sdk_method == "cluster.fail_over");
        let body = fail_over.unwrap().body.as_ref();
        assert!(derived("cluster.fail_over", &["clusterUuid"], body, "").is_none());
    }

    #[test]
    fn derived_example_has_ids_and_strings_of_the_path() {
        let arguments = ["clusterUuid", "backupId"];
        let shown = derived("cluster.backups.delete", &arguments, None, "deleted").unwrap();
        assert_eq!(
            shown.rust,
            "let backup = BackupId::new(\"b1…\")?;\n\
             let deleted = admin.cluster(&id).backups().delete(&backup)?;"
        );
        assert_eq!(
            shown.cpp,
            "const auto deleted = admin.cluster(id).backups().remove(\"b1…\");"
        );
        assert_eq!(
            shown.python,
            "deleted = admin.cluster(cluster_id).backups.delete(\"b1…\")"
        );

        let update = OPERATIONS
            .iter()
            .find(|it| it.sdk_method == "cluster.secrets.update");
        let body = update.unwrap().body.as_ref();
        let arguments = ["clusterUuid", "secretName"];
        let shown = derived("cluster.secrets.update", &arguments, body, "").unwrap();
        assert_eq!(
            shown.rust,
            "admin.cluster(&id).secrets().update(\"API_KEY\", \"…\")?;"
        );
        assert_eq!(
            shown.python,
            "admin.cluster(cluster_id).secrets.update(\"API_KEY\", \"…\")"
        );

        let shown = derived("cluster.wait_until_healthy", &["clusterUuid"], None, "").unwrap();
        assert_eq!(
            shown.rust,
            "admin.cluster(&id).wait_until_healthy(&Wait::new())?;"
        );
    }

    #[test]
    fn sample_of_an_enumeration_is_its_first_value() {
        let fields = TYPES.iter().find_map(|known| match known {
            Description::Object { name, fields, .. } if *name == "AuditEvent" => Some(*fields),
            _ => None,
        });
        let field = |name| fields.unwrap().iter().find(|field| field.name == name);
        let sample = |name| super::sample(field(name).unwrap());
        let shown = sample("audit_type").unwrap();
        assert_eq!(shown.json, "\"c\"");
        assert_eq!(shown.rust, "AuditType::Create");
        assert_eq!(shown.cpp, "camunda::AuditType::Create");
        assert_eq!(shown.python, "\"c\"");
        assert!(sample("org_id").is_none());
    }

    #[test]
    fn no_listed_example_is_the_derived_one() {
        let calls = OPERATIONS.iter().map(|it| {
            let arguments: Vec<&str> = it.arguments().collect();
            (
                it.sdk_method,
                derived(it.sdk_method, &arguments, it.body.as_ref(), ""),
            )
        });
        for (call, shown) in calls {
            let (Some(shown), Some(listed)) = (shown, EXAMPLES.iter().find(|it| it.call == call))
            else {
                continue;
            };
            assert!(
                (shown.rust.as_str(), shown.cpp.as_str()) != (listed.rust, listed.cpp),
                "{call} is derived, remove it from EXAMPLES"
            );
        }
    }
}
