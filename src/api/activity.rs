//! The organisation's audit log.

use std::io::Write;

use crate::api::admin::AdminClient;
use crate::api::object::{Number, api_enum, api_object};
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;

api_enum! {
    /// What was done to an entity.
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
    /// Something that someone did.
    response struct AuditEvent {
        /// The service that noted it.
        defaulted service: String = "service",
        /// The organisation.
        defaulted org_id: String = "orgId",
        /// What was done, in values.
        defaulted audit: String = "audit",
        /// What was done, as a type.
        defaulted audit_type: AuditType = "auditType",
        /// The kind of entity it was done to.
        defaulted entity: String = "entity",
        /// The entity.
        defaulted entity_id: String = "entityId",
        /// Who did it.
        defaulted user_id: String = "userId",
        /// The kind of entity around it.
        optional parent_entity: Option<String> = "parentEntity",
        /// The entity around it.
        optional parent_entity_id: Option<String> = "parentEntityId",
        /// The attribute that changed.
        optional entity_attribute: Option<String> = "entityAttribute",
        /// Its value before.
        optional entity_attribute_value_from: Option<String> = "entityAttributeValueFrom",
        /// Its value after.
        optional entity_attribute_value_to: Option<String> = "entityAttributeValueTo",
        /// When: a number, as the service counts (milliseconds since 1970 as a rule).
        optional timestamp: Option<Number> = "timestamp",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list activity events",
    call: "activity.list",
    c_name: "camunda_activity_list",
    path: "/activity/json",
    answer: Some(BodySchema::list::<AuditEvent>()),
    doc: "Lists what was done in the organisation.",
    errors: &[(403, "missing permission")],
    ..Operation::GET_DEFAULTS
};

pub(crate) static CSV: Operation = Operation {
    name: "activity events as CSV",
    call: "activity.csv",
    c_name: "camunda_activity_csv",
    path: "/activity/csv",
    answer: Some(BodySchema::csv()),
    doc: "Writes what was done in the organisation as CSV text.",
    errors: &[(403, "missing permission")],
    ..Operation::GET_DEFAULTS
};

/// The organisation's audit log: [`AdminClient::activity`].
#[derive(Debug, Clone, Copy)]
pub struct Activity<'a> {
    pub(crate) admin: &'a AdminClient,
}

impl Activity<'_> {
    /// Lists what was done in the organisation. Errors: 403 missing permission.
    pub fn list(&self) -> Result<Vec<AuditEvent>> {
        self.admin.read(&LIST, &[])
    }

    /// Writes what was done in the organisation as CSV text, as it arrives.
    ///
    /// The service is described as answering a JSON string and seen answering raw CSV; both come
    /// out as raw CSV. Where the connection breaks after something was written, the call fails and
    /// is not begun again, since the writer has part of the text already.
    ///
    /// Errors: 403 missing permission; `Io` where the writer fails.
    pub fn csv(&self, writer: &mut dyn Write) -> Result<()> {
        self.admin.stream(&CSV, writer)
    }
}
