//! Customer-managed keys.

use super::{Call, Change, Operation};
use crate::permissions::Permission;
use crate::response::Response;

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("PUT", "/clusters/{clusterUuid}/encryption", "update cluster encryption", Some(Permission::ClusterUpdate), "UpdateEncryption", "Cluster", "400 403 404 409", set),
];

fn set(call: &mut Call<'_>) -> Result<Response, Response> {
    let (now, settings) = (call.now, call.state.settings.clone());
    let allowlist = call
        .may(Permission::IpAllowlist)
        .then_some(call.state.allowlist_field);
    let mut fields = call.fields()?;
    let primary = fields.string("primaryEncryptionKeyId")?;
    let secondary = fields.optional_string("secondaryEncryptionKeyId")?;
    fields.finish()?;

    let cluster = call.cluster()?;
    if !cluster.enterprise {
        return Err(Response::message(
            403,
            "the plan does not support customer-managed keys",
        ));
    }
    if !cluster.aws {
        return Err(Response::message(
            403,
            "customer-managed keys require an AWS region",
        ));
    }
    if cluster
        .document
        .get("encryption")
        .is_none_or(|it| it["type"] != "External")
    {
        return Err(Response::message(
            409,
            "the cluster was not created with External encryption",
        ));
    }
    check_key(&primary, cluster.region_code("region"))?;
    match (&secondary, cluster.is_multi_region()) {
        (Some(secondary), true) => check_key(secondary, cluster.region_code("backupRegion"))?,
        (None, false) => {}
        (None, true) => {
            return Err(Response::message(
                400,
                "a dual-region cluster needs a second key",
            ));
        }
        (Some(_), false) => {
            return Err(Response::message(
                400,
                "only a dual-region cluster has a second key",
            ));
        }
    }

    let mut encryption = serde_json::json!({
        "type": "External",
        "status": "ExternalEncryptionKeyNotReady",
        "primaryKeyArn": primary,
    });
    if let Some(secondary) = secondary {
        encryption["secondaryKeyArn"] = secondary.into();
    }
    cluster.document.insert("encryption".into(), encryption);
    cluster.encryption_ready_at = Some(now + settings.healthy_after);
    if cluster.ready(now) == "WaitingForInput" {
        cluster.begin("Creating", &settings.creation_result, now, &settings);
    }
    cluster.settle(now);
    let response = cluster.to_json(now, allowlist);
    call.record_cluster(Change::Updated, "set encryption keys");
    Ok(Response::ok(&response))
}

/// Checks that `arn` is the ARN of a KMS key in the region: `arn:aws:kms:REGION:ACCOUNT:key/ID`.
fn check_key(arn: &str, region: Option<&str>) -> Result<(), Response> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let malformed = || Response::message(400, "a key id must be the ARN of a KMS key");
    let [scheme, partition, service, key_region, account, resource] = parts[..] else {
        return Err(malformed());
    };
    let key = resource.strip_prefix("key/").unwrap_or_default();
    let is_arn = scheme == "arn"
        && matches!(partition, "aws" | "aws-cn" | "aws-us-gov")
        && service == "kms"
        && !key_region.is_empty()
        && account.len() == 12
        && account.bytes().all(|digit| digit.is_ascii_digit())
        && !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_arn {
        return Err(malformed());
    }
    if region.is_some_and(|region| region != key_region) {
        return Err(Response::message(
            400,
            "the region of the key is not the cluster's",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_key;

    #[test]
    fn check_key_accepts_only_arns_in_the_region() {
        let good = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        assert!(check_key(good, Some("us-east-1")).is_ok());
        assert!(check_key(good, None).is_ok());
        assert!(check_key(good, Some("us-east-2")).is_err());
        for other in [
            "",
            "1234abcd",
            "arn:aws:kms:us-east-1:123456789012",
            "arn:aws:kms:us-east-1:123456789012:alias/mine",
            "arn:aws:s3:us-east-1:123456789012:key/1234abcd",
            "arn:aws:kms:us-east-1:12345:key/1234abcd",
        ] {
            assert!(check_key(other, None).is_err(), "{other}");
        }
    }
}
