//! [`ClusterHandle`]: the entry point to the operations on one cluster.
//!
//! The files of the resources add their methods, so that this file does not depend on them.

use crate::api::admin::AdminClient;
use crate::api::clusters::ClusterId;

/// Operations on one cluster; see [`AdminClient::cluster`].
///
/// Owns a clone of the client, so that it can be stored and moved to another thread.
///
/// ```no_run
/// # let admin = camunda_admin::AdminClient::from_env()?;
/// use camunda_admin::{ClusterId, UpdateCluster};
///
/// let id: ClusterId = "3f0e9a52-7f0c-4a6e-9d0b-7b8f2f6c1d11".parse()?;
/// let cluster = admin.cluster(&id);
/// cluster.update(&UpdateCluster::new().description("orders of the shop"))?;
/// println!("{}", cluster.get()?.status.ready);
/// # Ok::<(), camunda_admin::Error>(())
/// ```
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
