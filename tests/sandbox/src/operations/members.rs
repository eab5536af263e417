//! The organisation's members and pending invites.

use serde_json::json;

use super::{Call, Change, array, not_found};
use crate::answer::Answer;
use crate::state::Member;

const ASSIGNABLE_ROLES: [&str; 7] = [
    "admin",
    "operationsengineer",
    "taskuser",
    "analyst",
    "developer",
    "visitor",
    "modeler",
];

pub(super) fn list(call: &mut Call<'_>) -> Result<Answer, Answer> {
    Ok(Answer::ok(&array(call.state.members.iter().map(
        |member| {
            json!({
                "name": member.name,
                "email": member.email,
                "roles": member.roles,
                "invitePending": member.invite_pending,
            })
        },
    ))))
}

pub(super) fn set_roles(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let mut fields = call.fields()?;
    let roles = fields.texts("orgRoles")?;
    fields.finish()?;
    if let Some(role) = roles
        .iter()
        .find(|role| !ASSIGNABLE_ROLES.contains(&role.as_str()))
    {
        return Err(Answer::message(
            400,
            format!("role \"{role}\" is not valid"),
        ));
    }
    let email = call.parameter("email");
    if let Some(member) = call
        .state
        .members
        .iter_mut()
        .find(|member| member.email == email)
    {
        member.roles = roles;
        call.record(Change::Updated, "member", email, "set roles of member");
        return Ok(Answer::no_content());
    }
    match &mut call.state.limits.seats_left {
        None => {}
        Some(0) => return Err(Answer::message(403, "no seat left in the organisation")),
        Some(left) => *left -= 1,
    }
    // Somebody who has yet to accept has given no name.
    let invited = Member {
        name: String::new(),
        email: email.into(),
        roles,
        invite_pending: true,
    };
    call.state.members.push(invited);
    call.record(Change::Created, "member", email, "invited member");
    Ok(Answer::no_content())
}

pub(super) fn delete(call: &mut Call<'_>) -> Result<Answer, Answer> {
    let email = call.parameter("email");
    let members = &mut call.state.members;
    let index = members
        .iter()
        .position(|member| member.email == email)
        .ok_or_else(|| not_found("member", email))?;
    members.remove(index);
    if let Some(left) = &mut call.state.limits.seats_left {
        *left = left.saturating_add(1);
    }
    call.record(Change::Deleted, "member", email, "removed member");
    Ok(Answer::no_content())
}
