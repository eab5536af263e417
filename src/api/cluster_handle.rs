//! [`ClusterHandle`]: the entry point to the operations on one cluster.
//!
//! The files of the resources add their methods, so that this file does not depend on them.

use crate::api::admin::AdminClient;
use crate::api::clusters::ClusterId;

/// Operations on one cluster; see [`AdminClient::cluster`].
///
/// Owns a clone of the client, so that it can be stored and moved to another thread.
#[derive(Debug, Clone)]
pub struct ClusterHandle {
    pub(crate) admin: AdminClient,
    pub(crate) cluster: ClusterId,
}

impl ClusterHandle {
    /// Returns the id of the cluster.
    #[must_use]
    pub fn id(&self) -> &ClusterId {
        &self.cluster
    }
}

impl AdminClient {
    /// Returns the operations on one cluster. Sends no request.
    #[must_use]
    pub fn cluster(&self, id: &ClusterId) -> ClusterHandle {
        ClusterHandle {
            admin: self.clone(),
            cluster: id.clone(),
        }
    }
}
