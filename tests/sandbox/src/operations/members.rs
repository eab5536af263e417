//! Organization members and pending invites.

use serde_json::json;

use super::{Call, Change, Operation, array, not_found};
use crate::permissions::Permission;
use crate::response::Response;
use crate::state::Member;

#[rustfmt::skip]
pub(super) const OPERATIONS: &[Operation] = &[
    Operation::new("GET", "/members", "list members", Some(Permission::Members), "", "[Member]", "403", list),
    Operation::new("POST", "/members/{email}", "set member roles", Some(Permission::Members), "SetMemberRoles", "", "400 403", set_roles),
    Operation::new("DELETE", "/members/{email}", "delete member", Some(Permission::Members), "", "", "403 404", delete),
];

const ASSIGNABLE_ROLES: [&str; 7] = [
    "admin",
    "operationsengineer",
    "taskuser",
    "analyst",
    "developer",
    "visitor",
    "modeler",
];

fn list(call: &mut Call<'_>) -> Result<Response, Response> {
    let organization = &call.organization;
    let own = call
        .state
        .members
        .iter()
        .filter(|member| *member.organization == **organization);
    Ok(Response::ok(&array(own.map(|member| {
        json!({
            "name": member.name,
            "email": member.email,
            "roles": member.roles,
            "invitePending": member.invite_pending,
        })
    }))))
}

fn set_roles(call: &mut Call<'_>) -> Result<Response, Response> {
    let mut fields = call.fields()?;
    let roles = fields.strings("orgRoles")?;
    fields.finish()?;
    if let Some(role) = roles
        .iter()
        .find(|role| !ASSIGNABLE_ROLES.contains(&role.as_str()))
    {
        return Err(Response::message(
            400,
            format!("role \"{role}\" is not valid"),
        ));
    }
    let email = call.parameter("email");
    if let Some(member) = call
        .state
        .members
        .iter_mut()
        .find(|member| member.email == email && *member.organization == *call.organization)
    {
        member.roles = roles;
        call.record(Change::Updated, "member", email, "set roles of member");
        return Ok(Response::no_content());
    }
    match &mut call.state.limits.seats_left {
        None => {}
        Some(0) => return Err(Response::message(403, "no seat left in the organization")),
        Some(left) => *left -= 1,
    }
    // The name is unknown until the invite is accepted.
    let invited = Member {
        organization: call.organization.to_string(),
        name: String::new(),
        email: email.into(),
        roles,
        invite_pending: true,
    };
    call.state.members.push(invited);
    call.record(Change::Created, "member", email, "invited member");
    Ok(Response::no_content())
}

fn delete(call: &mut Call<'_>) -> Result<Response, Response> {
    let email = call.parameter("email");
    let members = &mut call.state.members;
    let index = members
        .iter()
        .position(|member| member.email == email && *member.organization == *call.organization)
        .ok_or_else(|| not_found("member", email))?;
    members.remove(index);
    if let Some(left) = &mut call.state.limits.seats_left {
        *left = left.saturating_add(1);
    }
    call.record(Change::Deleted, "member", email, "removed member");
    Ok(Response::no_content())
}
