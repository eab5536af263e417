//! Audit log of the organization.

use std::io::Write;

use crate::api::enum_macro::api_enum;
use crate::api::handle_macro::api_handle;
use crate::api::json::Number;
use crate::api::members::{OrganizationId, UserId};
use crate::api::object_macro::api_object;
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;

api_enum! {
    /// Type of a change.
    enum AuditType {
        /// Created.
        Create = "c",
        /// Read.
        Read = "r",
        /// Updated.
        Update = "u",
        /// Deleted.
        Delete = "d",
    }
}

api_object! {
    /// Event of the audit log.
    response struct AuditEvent {
        /// Service that logged the event.
        defaulted service: String = "service",
        /// Id of the organization.
        omittable org_id: Option<OrganizationId> = "orgId",
        /// Description of the change.
        defaulted audit: String = "audit",
        /// Type of the change.
        defaulted audit_type: AuditType = "auditType",
        /// Type of the changed entity.
        defaulted entity: String = "entity",
        /// Id of the changed entity.
        defaulted entity_id: String = "entityId",
        /// Id of the user.
        omittable user_id: Option<UserId> = "userId",
        /// Type of the parent entity.
        optional parent_entity: Option<String> = "parentEntity",
        /// Id of the parent entity.
        optional parent_entity_id: Option<String> = "parentEntityId",
        /// Changed attribute.
        optional entity_attribute: Option<String> = "entityAttribute",
        /// Value before the change.
        optional entity_attribute_value_from: Option<String> = "entityAttributeValueFrom",
        /// Value after the change.
        optional entity_attribute_value_to: Option<String> = "entityAttributeValueTo",
        /// Time as a number, usually in milliseconds since the Unix epoch.
        optional timestamp: Option<Number> = "timestamp",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list activity events",
    sdk_method: "activity.list",
    c_function: "camunda_activity_list",
    path: "/activity/json",
    response: Some(BodySchema::list::<AuditEvent>()),
    doc: "Lists the events of the organization's audit log.",
    documented_errors: &[(403, "missing permission")],
    ..Operation::GET_DEFAULTS
};

pub(crate) static CSV: Operation = Operation {
    name: "activity events as CSV",
    sdk_method: "activity.csv",
    c_function: "camunda_activity_csv",
    path: "/activity/csv",
    response: Some(BodySchema::csv()),
    doc: "Writes the events of the organization's audit log as CSV.",
    documented_errors: &[(403, "missing permission")],
    ..Operation::GET_DEFAULTS
};

api_handle! {
    /// Operations on the organization's audit log; see
    /// [`AdminClient::activity`](crate::AdminClient::activity).
    ///
    /// ```no_run
    /// # let admin = camunda_admin::AdminClient::from_env()?;
    /// for event in admin.activity().list()? {
    ///     println!("{} {}", event.entity, event.audit);
    /// }
    /// admin.activity().csv(std::io::stdout())?;
    /// # Ok::<(), camunda_admin::Error>(())
    /// ```
    struct Activity;
    /// Returns the operations on the organization's audit log.
    fn activity(&AdminClient);
}

impl Activity {
    /// Lists the events of the organization's audit log.
    ///
    /// # Errors
    ///
    /// 403 missing permission.
    pub fn list(&self) -> Result<Vec<AuditEvent>> {
        self.admin.get(&LIST, &[])
    }

    /// Writes the events of the organization's audit log as CSV, while the response arrives.
    ///
    /// The API returns raw CSV or, as documented, CSV in a JSON string; both are written as raw
    /// CSV. If the connection is lost after something was written, the call fails and is not
    /// retried, because the writer already has a part of the response. To keep the writer, pass a
    /// mutable reference to it.
    ///
    /// # Errors
    ///
    /// 403 missing permission; [`ErrorKind::Io`](crate::ErrorKind::Io) if the writer fails.
    pub fn csv(&self, mut writer: impl Write) -> Result<()> {
        self.admin.stream(&CSV, &mut writer)
    }
}
