//! Members of the organization and their roles.

use crate::api::enum_macro::api_enum;
use crate::api::handle_macro::api_handle;
use crate::api::id_macro::api_id;
use crate::api::object_macro::api_object;
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;
use crate::transport::Method;

api_id! {
    /// Id of an organization.
    struct OrganizationId;
}

api_id! {
    /// Id of a user.
    struct UserId;
}

api_enum! {
    /// Role of a member.
    enum OrganizationRole {
        /// Member without additional permissions.
        Member = "member",
        /// Administers the organization.
        Admin = "admin",
        /// Owns the organization.
        Owner = "owner",
        /// Camunda support.
        SupportAgent = "supportagent",
        /// Operates clusters; discouraged since 8.8.
        OperationsEngineer = "operationsengineer",
        /// Works on tasks; discouraged since 8.8.
        TaskUser = "taskuser",
        /// Analyst.
        Analyst = "analyst",
        /// Developer; discouraged since 8.8.
        Developer = "developer",
        /// Visitor with read access; discouraged since 8.8.
        Visitor = "visitor",
        /// Modeler.
        Modeler = "modeler",
    }
}

api_enum! {
    /// Role that can be assigned to a member.
    enum AssignableRole {
        /// Administers the organization.
        Admin = "admin",
        /// Operates clusters; discouraged since 8.8.
        OperationsEngineer = "operationsengineer",
        /// Works on tasks; discouraged since 8.8.
        TaskUser = "taskuser",
        /// Analyst.
        Analyst = "analyst",
        /// Developer; discouraged since 8.8.
        Developer = "developer",
        /// Visitor with read access; discouraged since 8.8.
        Visitor = "visitor",
        /// Modeler.
        Modeler = "modeler",
    }
}

api_object! {
    /// Member of the organization, or pending invitation.
    response struct Member {
        /// Name.
        defaulted name: String = "name",
        /// Email address, which identifies the member.
        required email: String = "email",
        /// Roles.
        defaulted roles: Vec<OrganizationRole> = "roles",
        /// Whether the invitation is pending.
        defaulted invite_pending: bool = "invitePending",
    }
}

api_object! {
    /// Request to set the roles of a member.
    request struct SetMemberRoles {
        /// All roles of the member.
        required org_roles: Vec<AssignableRole> = "orgRoles",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list members",
    sdk_method: "members.list",
    c_function: "camunda_member_list",
    path: "/members",
    response: Some(BodySchema::list::<Member>()),
    doc: "Lists the members and the pending invitations.",
    documented_errors: &[(403, "missing permission")],
    ..Operation::GET_DEFAULTS
};

pub(crate) static SET_ROLES: Operation = Operation {
    name: "set member roles",
    sdk_method: "members.set_roles",
    c_function: "camunda_member_set_roles",
    method: Method::Post,
    path: "/members/{email}",
    body: Some(BodySchema::object::<SetMemberRoles>()),
    doc: "Replaces the roles of a member, or invites the email address if it is not a member. \
          Since 8.8 `operationsengineer`, `taskuser`, `developer` and `visitor` are discouraged.",
    documented_errors: &[
        (400, "a role is not valid"),
        (403, "missing permission, or no seat left"),
    ],
    ..Operation::PUT_DEFAULTS
};

pub(crate) static DELETE: Operation = Operation {
    name: "delete member",
    sdk_method: "members.delete",
    c_function: "camunda_member_delete",
    path: "/members/{email}",
    doc: "Removes a member from the organization.",
    documented_errors: &[
        (403, "missing permission"),
        (404, "not a member of the organization"),
    ],
    ..Operation::DELETE_DEFAULTS
};

api_handle! {
    /// Operations on the members of the organization; see
    /// [`AdminClient::members`](crate::AdminClient::members).
    ///
    /// ```no_run
    /// # let admin = camunda_admin::AdminClient::from_env()?;
    /// use camunda_admin::AssignableRole;
    ///
    /// admin.members().set_roles("ada@example.com", &[AssignableRole::Analyst])?;
    /// # Ok::<(), camunda_admin::Error>(())
    /// ```
    struct Members;
    /// Returns the operations on the members of the organization.
    fn members(&AdminClient);
}

impl Members {
    /// Lists the members and the pending invitations.
    ///
    /// # Errors
    ///
    /// 403 missing permission.
    pub fn list(&self) -> Result<Vec<Member>> {
        self.admin.get(&LIST, &[])
    }

    /// Replaces the roles of a member, or invites the email address if it is not a member.
    /// Idempotent, so it is retried after transient errors.
    ///
    /// # Errors
    ///
    /// 400 a role is not valid; 403 missing permission, or no seat left.
    pub fn set_roles(&self, email: &str, roles: &[AssignableRole]) -> Result<()> {
        let request = SetMemberRoles {
            org_roles: roles.to_vec(),
            extra: Default::default(),
        };
        self.admin
            .send_without_response(&SET_ROLES, &[email], Some(&request))
    }

    /// Removes a member from the organization.
    ///
    /// # Errors
    ///
    /// 403 missing permission; 404 not a member of the organization.
    pub fn delete(&self, email: &str) -> Result<()> {
        self.admin
            .send_without_response(&DELETE, &[email], None::<&()>)
    }
}
