//! Members of the organisation and their roles.

use crate::api::admin::AdminClient;
use crate::api::object::{api_enum, api_object};
use crate::api::operation::{BodySchema, Operation};
use crate::error::Result;
use crate::transport::Method;

api_enum! {
    /// A role that a member has.
    enum OrganizationRole {
        /// A member, without further rights.
        Member = "member",
        /// Administers the organisation.
        Admin = "admin",
        /// Owns the organisation.
        Owner = "owner",
        /// The service's support.
        SupportAgent = "supportagent",
        /// Operates clusters; discouraged since 8.8.
        OperationsEngineer = "operationsengineer",
        /// Works on tasks; discouraged since 8.8.
        TaskUser = "taskuser",
        /// Analyses.
        Analyst = "analyst",
        /// Develops; discouraged since 8.8.
        Developer = "developer",
        /// Looks on; discouraged since 8.8.
        Visitor = "visitor",
        /// Models.
        Modeler = "modeler",
    }
}

api_enum! {
    /// A role that can be given to a member.
    enum AssignableRole {
        /// Administers the organisation.
        Admin = "admin",
        /// Operates clusters; discouraged since 8.8.
        OperationsEngineer = "operationsengineer",
        /// Works on tasks; discouraged since 8.8.
        TaskUser = "taskuser",
        /// Analyses.
        Analyst = "analyst",
        /// Develops; discouraged since 8.8.
        Developer = "developer",
        /// Looks on; discouraged since 8.8.
        Visitor = "visitor",
        /// Models.
        Modeler = "modeler",
    }
}

api_object! {
    /// A member of the organisation, or someone invited.
    response struct Member {
        /// The name.
        defaulted name: String = "name",
        /// The e-mail address, which names the member.
        required email: String = "email",
        /// The roles.
        defaulted roles: Vec<OrganizationRole> = "roles",
        /// Whether the invitation is still open.
        defaulted invite_pending: bool = "invitePending",
    }
}

api_object! {
    /// The roles that a member is to have.
    request struct SetMemberRoles {
        /// All of them.
        required org_roles: Vec<AssignableRole> = "orgRoles",
    }
}

pub(crate) static LIST: Operation = Operation {
    name: "list members",
    call: "members.list",
    c_name: "camunda_member_list",
    path: "/members",
    answer: Some(BodySchema::list::<Member>()),
    doc: "Lists members and pending invites.",
    errors: &[(403, "missing permission")],
    ..Operation::GET_DEFAULTS
};

pub(crate) static SET_ROLES: Operation = Operation {
    name: "set member roles",
    call: "members.set_roles",
    c_name: "camunda_member_set_roles",
    method: Method::Post,
    path: "/members/{email}",
    body: Some(BodySchema::object::<SetMemberRoles>()),
    doc: "Invites the member where needed, else replaces the roles. Since 8.8 \
          `operationsengineer`, `taskuser`, `developer` and `visitor` are discouraged.",
    errors: &[
        (400, "a role is not valid"),
        (403, "missing permission, or no seat left"),
    ],
    ..Operation::PUT_DEFAULTS
};

pub(crate) static DELETE: Operation = Operation {
    name: "delete member",
    call: "members.delete",
    c_name: "camunda_member_delete",
    path: "/members/{email}",
    doc: "Removes a member from the organisation.",
    errors: &[
        (403, "missing permission"),
        (404, "not a member of the organisation"),
    ],
    ..Operation::DELETE_DEFAULTS
};

/// The members of the organisation: [`AdminClient::members`].
#[derive(Debug, Clone, Copy)]
pub struct Members<'a> {
    pub(crate) admin: &'a AdminClient,
}

impl Members<'_> {
    /// Lists members and pending invites. Errors: 403 missing permission.
    pub fn list(&self) -> Result<Vec<Member>> {
        self.admin.read(&LIST, &[])
    }

    /// Invites the member where needed, else replaces the roles. Sets state, so it is replayed after
    /// a passing failure.
    ///
    /// Errors: 400 a role is not valid; 403 missing permission, or no seat left.
    pub fn set_roles(&self, email: &str, roles: &[AssignableRole]) -> Result<()> {
        let request = SetMemberRoles {
            org_roles: roles.to_vec(),
            extra: Default::default(),
        };
        self.admin
            .send_without_response(&SET_ROLES, &[email], Some(&request))
    }

    /// Removes a member from the organisation.
    ///
    /// Errors: 403 missing permission; 404 not a member of the organisation.
    pub fn delete(&self, email: &str) -> Result<()> {
        self.admin
            .send_without_response(&DELETE, &[email], None::<&()>)
    }
}
