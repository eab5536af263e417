//! Permissions of API credentials.

/// Permission of API credentials, as selectable in the Console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Permission {
    /// `cluster:get`: see clusters, creation parameters and secure connectivity.
    ClusterGet,
    /// `cluster:create`: create clusters.
    ClusterCreate,
    /// `cluster:update`: change, wake, upgrade, encrypt, fail over and connect clusters.
    ClusterUpdate,
    /// `cluster:delete`: delete clusters.
    ClusterDelete,
    /// `client:get`: see clusters' clients.
    ClientGet,
    /// `client:create`: create clusters' clients.
    ClientCreate,
    /// `client:delete`: delete clusters' clients.
    ClientDelete,
    /// `web_modeler`: use the Web Modeler API, which is not part of this API.
    WebModeler,
    /// `ip_allowlist`: set IP allowlists, and see them in clusters.
    IpAllowlist,
    /// `connector_secrets`: see and change connector secrets.
    ConnectorSecrets,
    /// `members`: see and change the organization's members.
    Members,
    /// `backups`: see, make and restore backups, and their schedule.
    Backups,
    /// `audit_log`: see activity events.
    AuditLog,
    /// `monitoring`: see and change external monitoring.
    Monitoring,
}

impl Permission {
    /// All permissions.
    pub const ALL: [Self; 14] = [
        Self::ClusterGet,
        Self::ClusterCreate,
        Self::ClusterUpdate,
        Self::ClusterDelete,
        Self::ClientGet,
        Self::ClientCreate,
        Self::ClientDelete,
        Self::WebModeler,
        Self::IpAllowlist,
        Self::ConnectorSecrets,
        Self::Members,
        Self::Backups,
        Self::AuditLog,
        Self::Monitoring,
    ];

    /// Returns the name used by the control API, for example `cluster:get`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClusterGet => "cluster:get",
            Self::ClusterCreate => "cluster:create",
            Self::ClusterUpdate => "cluster:update",
            Self::ClusterDelete => "cluster:delete",
            Self::ClientGet => "client:get",
            Self::ClientCreate => "client:create",
            Self::ClientDelete => "client:delete",
            Self::WebModeler => "web_modeler",
            Self::IpAllowlist => "ip_allowlist",
            Self::ConnectorSecrets => "connector_secrets",
            Self::Members => "members",
            Self::Backups => "backups",
            Self::AuditLog => "audit_log",
            Self::Monitoring => "monitoring",
        }
    }

    /// Returns the permission with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|permission| permission.name() == name)
    }
}
