//! Identifiers of one language from those of another.

use camunda_admin::description::{Description, TYPES, Waiter};

/// Returns `cluster_uuid` for `clusterUuid` and `ClusterUuid`.
pub(crate) fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for (at, c) in camel.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}

/// Returns the type of an argument that is an id, such as `BackupId` for `backupId`; `None` if it is a string.
pub(crate) fn id_type(argument: &str) -> Option<&'static str> {
    let wanted = match argument {
        "clientId" => "ClusterClientId".to_owned(),
        "clientUuid" => "MonitoringClientId".to_owned(),
        _ => {
            let (first, rest) = argument.split_at_checked(1)?;
            format!("{}{}Id", first.to_ascii_uppercase(), without_id(rest)?)
        }
    };
    TYPES.iter().find_map(|known| match known {
        Description::Id { name, .. } if *name == wanted => Some(*name),
        _ => None,
    })
}

/// Returns `backup` for `backupId`, and `cluster` for `clusterUuid`; `None` for other names.
pub(crate) fn without_id(argument: &str) -> Option<&str> {
    argument
        .strip_suffix("Uuid")
        .or_else(|| argument.strip_suffix("Id"))
}

/// Returns the type of the resource that a waiter polls. A waiter that returns nothing polls a cluster.
pub(crate) fn polled_type(waiter: &Waiter) -> &'static str {
    waiter
        .response
        .map_or("Cluster", |response| response.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_type_is_the_id_of_the_resource() {
        for (argument, id) in [
            ("clusterUuid", Some("ClusterId")),
            ("backupId", Some("BackupId")),
            ("generationId", Some("GenerationId")),
            ("clientId", Some("ClusterClientId")),
            ("clientUuid", Some("MonitoringClientId")),
            ("secretName", None),
            ("email", None),
            ("unknownId", None),
        ] {
            assert_eq!(id_type(argument), id, "{argument}");
        }
    }
}
