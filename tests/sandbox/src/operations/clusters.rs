//! Cluster operations.

use serde_json::{Value, json};

use super::{Call, Change, Operation, array, not_empty};
use crate::body::Fields;
use crate::permissions::Permission;
use crate::response::Response;
use crate::status::{HEALTHY, Status};

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("GET", "/clusters", "list clusters", Some(Permission::ClusterGet), "", "[Cluster]", "", list),
    Operation::new("POST", "/clusters", "create cluster", Some(Permission::ClusterCreate), "CreateCluster", "CreatedCluster", "400 503", create).non_idempotent(),
    Operation::new("GET", "/clusters/parameters", "list creation parameters", Some(Permission::ClusterGet), "", "Parameters", "", parameters),
    Operation::new("GET", "/clusters/{clusterUuid}", "get cluster", Some(Permission::ClusterGet), "", "Cluster", "404", get),
    Operation::new("PATCH", "/clusters/{clusterUuid}", "update cluster", Some(Permission::ClusterUpdate), "UpdateCluster", "", "404", update),
    Operation::new("DELETE", "/clusters/{clusterUuid}", "delete cluster", Some(Permission::ClusterDelete), "", "", "404", delete),
    Operation::new("PUT", "/clusters/{clusterUuid}/wake", "wake cluster", Some(Permission::ClusterUpdate), "", "", "", wake),
    Operation::new("PUT", "/clusters/{clusterUuid}/upgrade", "upgrade cluster", Some(Permission::ClusterUpdate), "", "GenerationUpgrade", "400 404 409 412", upgrade),
    Operation::new("PUT", "/clusters/{clusterUuid}/ipallowlist", "set IP allowlist", Some(Permission::IpAllowlist), "UpdateIpAllowlist", "", "", set_ip_allowlist),
    Operation::new("PUT", "/clusters/{clusterUuid}/ipwhitelist", "set IP whitelist", Some(Permission::IpAllowlist), "UpdateIpWhitelist", "", "", set_ip_whitelist).deprecated(),
];

/// Maximum length of a cluster name, in characters.
const MAX_NAME_LENGTH: usize = 50;

const STAGES: [&str; 4] = ["dev", "test", "stage", "prod"];
const ENCRYPTION_TYPES: [&str; 4] = ["Software", "Hardware", "Provider", "External"];

fn list(call: &mut Call<'_>) -> Result<Response, Response> {
    let now = call.now;
    let allowlist = call
        .may(Permission::IpAllowlist)
        .then_some(call.state.allowlist_field);
    call.state.clusters.remove_deleted(now);
    let organization = &call.organization;
    let own = call
        .state
        .clusters
        .iter_mut()
        .filter(|cluster| *cluster.organization == **organization);
    Ok(Response::ok(&array(own.map(|cluster| {
        cluster.settle(now);
        cluster.to_json(now, allowlist)
    }))))
}

fn create(call: &mut Call<'_>) -> Result<Response, Response> {
    let mut fields = call.fields()?;
    let name = cluster_name(fields.string("name")?)?;
    let channel_id = fields.string("channelId")?;
    let generation_id = fields.string("generationId")?;
    let region_id = fields.string("regionId")?;
    let plan_type_id = fields.string("planTypeId")?;
    let description = fields.optional_string("description")?;
    let auto_update = fields.optional_boolean("autoUpdate")?;
    let backup_region_id = fields.optional_string("backupRegionId")?;
    let encryption = fields.optional_enum_value("encryption", &ENCRYPTION_TYPES)?;
    hardware_packages(&mut fields, "hardwarePackages")?;
    let stage = fields.optional_enum_value("stageLabel", &STAGES)?;
    fields.optional_boolean("identityBackendChecksEnabled")?;
    fields.finish()?;

    let limits = &mut call.state.limits;
    if !limits.cluster_creation_available {
        return Err(Response::message(
            503,
            "Cluster creation is not available at the moment",
        ));
    }
    let invalid = |what: &str| Response::message(400, format!("{what} is not valid"));
    let catalog = &call.state.catalog;
    let plan = catalog
        .plan_type(&plan_type_id)
        .ok_or_else(|| invalid("Plan type"))?;
    let region = catalog
        .region(&region_id)
        .ok_or_else(|| invalid("Region"))?;
    let channel = catalog
        .channel(&channel_id)
        .ok_or_else(|| invalid("Channel"))?;
    let generation = channel
        .generation(&generation_id)
        .ok_or_else(|| invalid("Generation"))?;
    let backup_region = match &backup_region_id {
        None => None,
        Some(_) if !plan.enterprise => return Err(invalid("Plan type for a backup region")),
        Some(id) => Some(
            region
                .backup_region(id)
                .ok_or_else(|| invalid("Backup region"))?,
        ),
    };
    let channel = json!({ "uuid": channel.uuid, "name": channel.name });
    let generation = generation.resource();
    match &mut call.state.limits.reservations_left {
        None => {}
        Some(0) => return Err(Response::message(400, "No reservation left")),
        Some(left) => *left -= 1,
    }

    let now = call.now;
    let uuid = call.state.random.uuid();
    let organization = &call.organization;
    let mut cluster =
        call.state
            .new_cluster(uuid.clone(), organization, &name, Some(plan), Some(region));
    let mut set = |field: &str, value: Value| cluster.document.insert(field.into(), value);
    set("channel", channel);
    set("generation", generation);
    if let Some(description) = description.filter(|text| !text.is_empty()) {
        set("description", description.into());
    }
    if let Some(auto_update) = auto_update {
        set("autoUpdate", auto_update.into());
    }
    if let Some(backup_region) = backup_region {
        set("backupRegion", backup_region);
    }
    if let Some(stage) = stage {
        set("labels", json!([stage]));
    }
    // Setup waits for the customer-managed keys.
    cluster.status = if encryption.as_deref() == Some("External") {
        set(
            "encryption",
            json!({ "type": "External", "status": "ExternalEncryptionKeyNotSupplied" }),
        );
        Status::same("WaitingForInput", plan.optimize)
    } else {
        if let Some(encryption) = encryption {
            set(
                "encryption",
                json!({ "type": encryption, "status": "Ready" }),
            );
        }
        let settings = &call.state.settings;
        cluster.begin("Creating", &settings.creation_result, now, settings);
        cluster.status
    };
    call.state.clusters.push(cluster, now);
    call.record(
        Change::Created,
        "cluster",
        &uuid,
        &format!("created cluster {name}"),
    );
    Ok(Response::ok(&json!({ "clusterId": uuid })))
}

fn parameters(call: &mut Call<'_>) -> Result<Response, Response> {
    Ok(Response::ok(&call.state.catalog.parameters()))
}

fn get(call: &mut Call<'_>) -> Result<Response, Response> {
    let now = call.now;
    let allowlist = call
        .may(Permission::IpAllowlist)
        .then_some(call.state.allowlist_field);
    let cluster = call.cluster()?;
    cluster.poll(now);
    Ok(Response::ok(&cluster.to_json(now, allowlist)))
}

fn update(call: &mut Call<'_>) -> Result<Response, Response> {
    let mut fields = call.fields()?;
    let name = fields
        .optional_string("name")?
        .map(cluster_name)
        .transpose()?;
    let description = fields.optional_string("description")?;
    let stage = fields.optional_enum_value("stageLabel", &STAGES)?;
    hardware_packages(&mut fields, "numberOfAllocatedHwPackages")?;
    fields.finish()?;

    let cluster = call.cluster()?;
    if let Some(name) = name {
        cluster.document.insert("name".into(), name.into());
    }
    match description {
        None => {}
        Some(text) if text.is_empty() => drop(cluster.document.remove("description")),
        Some(text) => drop(cluster.document.insert("description".into(), text.into())),
    }
    if let Some(stage) = stage {
        cluster.document.insert("labels".into(), json!([stage]));
    }
    call.record_cluster(Change::Updated, "updated cluster");
    Ok(Response::no_content())
}

/// The cluster remains visible for half of the creation time.
fn delete(call: &mut Call<'_>) -> Result<Response, Response> {
    let deleted_at = call.now + call.state.settings.healthy_after / 2;
    let cluster = call.cluster()?;
    cluster.deleted_at.get_or_insert(deleted_at);
    call.record_cluster(Change::Deleted, "deleted cluster");
    Ok(Response::no_content())
}

/// Has no effect on a cluster that is not suspended.
fn wake(call: &mut Call<'_>) -> Result<Response, Response> {
    let (now, settings) = (call.now, call.state.settings.clone());
    let cluster = call.cluster()?;
    if cluster.failed_over {
        return Err(Response::message(
            409,
            "the cluster was failed over and stays suspended",
        ));
    }
    if cluster.ready(now) == "Suspended" {
        cluster.begin("Resuming", HEALTHY, now, &settings);
        call.record_cluster(Change::Updated, "woke cluster");
    }
    Ok(Response::no_content())
}

/// The generation changes when the upgrade is complete.
fn upgrade(call: &mut Call<'_>) -> Result<Response, Response> {
    let (now, settings) = (call.now, call.state.settings.clone());
    let cluster = call.cluster()?;
    let uuid = cluster.uuid.clone();
    let cluster_name = cluster.name().to_owned();
    let channel = cluster.resource_uuid("channel").to_owned();
    let current = cluster.resource_uuid("generation").to_owned();
    let old = cluster
        .document
        .get("generation")
        .cloned()
        .unwrap_or_default();
    let newest = call
        .state
        .catalog
        .channel(&channel)
        .and_then(|channel| channel.generations.first())
        .filter(|newest| newest.uuid != current)
        .ok_or_else(|| Response::message(400, "no upgrade is available"))?
        .clone();

    let organization = call.organization.to_string();
    let cluster = call.cluster()?;
    if let Some(gate) = &cluster.upgrade_gate {
        return Err(Response::json(
            409,
            &json!({
                "message": "the upgrade is blocked",
                "reason": gate.reason,
                "nextStep": gate.next_step,
            }),
        ));
    }
    if cluster.ready(now) != HEALTHY {
        return Err(Response::message(
            412,
            "the cluster is not ready for an upgrade",
        ));
    }
    cluster.begin("Updating", HEALTHY, now, &settings);
    cluster.upgrade = Some((cluster.completion(now, &settings), newest.resource()));
    call.record_cluster(
        Change::Updated,
        &format!("upgraded cluster to {}", newest.name),
    );
    Ok(Response::ok(&json!({
        "cluster": { "id": uuid, "name": cluster_name },
        "oldGeneration": { "id": old["uuid"], "name": old["name"] },
        "newGeneration": { "id": newest.uuid, "name": newest.name },
        "orgId": organization,
    })))
}

fn set_ip_allowlist(call: &mut Call<'_>) -> Result<Response, Response> {
    set_allowed_addresses(call, "ipallowlist")
}

fn set_ip_whitelist(call: &mut Call<'_>) -> Result<Response, Response> {
    set_allowed_addresses(call, "ipwhitelist")
}

fn set_allowed_addresses(call: &mut Call<'_>, field: &str) -> Result<Response, Response> {
    let mut fields = call.fields()?;
    let entries = fields.array(field)?;
    fields.finish()?;
    let mut allowlist = Vec::with_capacity(entries.len());
    for entry in entries {
        let Value::Object(entry) = entry else {
            return Err(Response::message(
                400,
                format!("field \"{field}\" must hold objects"),
            ));
        };
        let mut entry = Fields::from_object(entry);
        let ip = entry.string("ip")?;
        let description = entry.string("description")?;
        entry.finish()?;
        if let Some(wrong) = ip.split(',').map(str::trim).find(|cidr| !is_cidr(cidr)) {
            return Err(Response::message(
                400,
                format!("\"{wrong}\" is not a valid CIDR"),
            ));
        }
        allowlist.push(json!({ "ip": ip, "description": description }));
    }
    let cluster = call.cluster()?;
    cluster.ip_allowlist = allowlist;
    call.record_cluster(Change::Updated, "set IP allowlist");
    Ok(Response::no_content())
}

/// Returns whether `text` is an IP address with optional prefix length.
fn is_cidr(text: &str) -> bool {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<std::net::IpAddr>() else {
        return false;
    };
    let max_length = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| {
        prefix.bytes().all(|digit| digit.is_ascii_digit())
            && prefix
                .parse::<u8>()
                .is_ok_and(|length| length <= max_length)
    })
}

fn cluster_name(name: String) -> Result<String, Response> {
    if name.chars().count() > MAX_NAME_LENGTH {
        return Err(Response::message(400, "Name is too long"));
    }
    not_empty("name", name)
}

fn hardware_packages(fields: &mut Fields, name: &str) -> Result<(), Response> {
    match fields.optional_number(name)? {
        Some(packages) if packages < 0.0 => Err(Response::message(
            400,
            format!("field \"{name}\" must not be negative"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::is_cidr;

    #[test]
    fn is_cidr_accepts_addresses_and_ranges_only() {
        for cidr in ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "0.0.0.0/0"] {
            assert!(is_cidr(cidr), "{cidr}");
        }
        for other in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "office",
        ] {
            assert!(!is_cidr(other), "{other}");
        }
    }
}
