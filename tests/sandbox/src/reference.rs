//! Facts about operations that tests of clients compare with their own descriptions.
//!
//! Written from the reference of the API, independently of any client library.

/// An operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct OperationInfo {
    /// HTTP method, such as `GET`.
    pub method: &'static str,
    /// Path with its parameters in braces, such as `/clusters/{clusterUuid}`.
    pub path: &'static str,
    /// Whether a client may retry a request that the server may have executed.
    pub idempotent: bool,
    /// Whether the reference marks the operation as deprecated.
    pub deprecated: bool,
}

/// Operations that must not be sent twice: the reference says so, or a second request has another effect
/// or result than the first.
const NON_IDEMPOTENT: &[(&str, &str)] = &[
    // "Never sent twice".
    ("POST", "/clusters"),
    ("POST", "/clusters/{clusterUuid}/failover"),
    ("POST", "/clusters/{clusterUuid}/clients"),
    ("POST", "/clusters/{clusterUuid}/backups"),
    ("POST", "/clusters/{clusterUuid}/backups/{backupId}/restore"),
    ("POST", "/clusters/{clusterUuid}/monitoring/clients"),
    (
        "POST",
        "/clusters/{clusterUuid}/monitoring/clients/{clientUuid}/rotate",
    ),
    // The second request is rejected with 409.
    ("POST", "/clusters/{clusterUuid}/secrets"),
    ("POST", "/clusters/{clusterUuid}/monitoring"),
    ("POST", "/clusters/{clusterUuid}/secure-connectivity"),
];

const DEPRECATED: &[(&str, &str)] = &[("PUT", "/clusters/{clusterUuid}/ipwhitelist")];

/// Returns all operations of the API.
pub fn operations() -> Vec<OperationInfo> {
    crate::operations::all()
        .iter()
        .map(|operation| {
            let key = (operation.method, operation.path);
            OperationInfo {
                method: operation.method,
                path: operation.path,
                idempotent: !NON_IDEMPOTENT.contains(&key),
                deprecated: DEPRECATED.contains(&key),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_operations_exist() {
        let all = operations();
        for (method, path) in NON_IDEMPOTENT.iter().chain(&DEPRECATED) {
            assert!(
                all.iter()
                    .any(|operation| operation.method == *method && operation.path == *path),
                "unknown operation {method} {path}"
            );
        }
    }
}
