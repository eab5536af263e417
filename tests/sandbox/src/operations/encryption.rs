//! Customer-managed keys.

use super::{Call, Change};
use crate::answer::Answer;
use crate::permissions::Permission;

pub(super) fn set(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let (now, takes) = (call.now, call.state.settings.healthy_after);
    let allowlist = call
        .may(Permission::IpAllowlist)
        .then_some(call.state.allowlist_field);
    let mut fields = call.fields()?;
    let primary = fields.text("primaryEncryptionKeyId")?;
    let secondary = fields.optional_text("secondaryEncryptionKeyId")?;
    fields.finish()?;

    let cluster = call.cluster()?;
    if !cluster.enterprise {
        return Err(Answer::message(
            403,
            "the plan has no customer-managed keys",
        ));
    }
    if !cluster.aws {
        return Err(Answer::message(
            403,
            "customer-managed keys need a region of AWS",
        ));
    }
    if cluster
        .document
        .get("encryption")
        .is_none_or(|it| it["type"] != "External")
    {
        return Err(Answer::message(
            409,
            "the cluster was not created with External encryption",
        ));
    }
    check_key(&primary, cluster.region_code("region"))?;
    match (&secondary, cluster.is_multi_region()) {
        (Some(secondary), true) => check_key(secondary, cluster.region_code("backupRegion"))?,
        (None, false) => {}
        (None, true) => {
            return Err(Answer::message(
                400,
                "a dual-region cluster needs a second key",
            ));
        }
        (Some(_), false) => {
            return Err(Answer::message(
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
    cluster.encryption_ready_at = Some(now + takes);
    if cluster.ready(now) == "WaitingForInput" {
        cluster.status = cluster.status.towards_healthy("Creating", now, takes);
    }
    cluster.settle(now);
    let answer = cluster.answer(now, allowlist);
    let uuid = cluster.uuid.clone();
    call.record(Change::Updated, "cluster", &uuid, "set encryption keys");
    Ok(Answer::ok(&answer))
}

/// Checks that it is the ARN of a key in the region: `arn:aws:kms:REGION:ACCOUNT:key/ID`.
fn check_key(arn: &str, region: Option<&str>) -> Result<(), Answer> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let malformed = || Answer::message(400, "a key is named by its ARN, and this is none");
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
        return Err(Answer::message(
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
    fn a_key_is_an_arn_in_the_region_of_its_cluster() {
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
