//! Members of the organization, and the limit of seats.

use camunda_admin_sandbox::Limits;
use serde_json::json;

use crate::api::{Api, names};

#[test]
fn members_are_invited_updated_and_removed() {
    let api = Api::new();
    let owner = &api.get("/members").expect(200).json()[0];
    assert_eq!(names(owner), ["email", "invitePending", "name", "roles"]);
    assert_eq!(owner["roles"], json!(["owner"]));
    assert_eq!(owner["invitePending"], false);

    let set = |roles: &[&str]| api.post("/members/ann@example.com", json!({ "orgRoles": roles }));
    set(&["admin", "analyst"]).expect(204);
    let invited = &api.get("/members").json()[1];
    assert_eq!(invited["email"], "ann@example.com");
    assert_eq!(invited["roles"], json!(["admin", "analyst"]));
    assert_eq!(invited["invitePending"], true);
    set(&["modeler"]).expect(204);
    assert_eq!(api.get("/members").json()[1]["roles"], json!(["modeler"]));
    set(&["owner"]).rejected(400, "owner");
    set(&["member"]).rejected(400, "member");
    for discouraged in ["operationsengineer", "taskuser", "developer", "visitor"] {
        set(&[discouraged]).expect(204);
    }
    api.delete("/members/ann@example.com").expect(204);
    api.delete("/members/ann@example.com")
        .rejected(404, "member");
}

#[test]
fn invites_are_limited_by_seats() {
    let api = Api::new();
    api.sandbox.set_limits(Limits {
        seats_left: Some(1),
        ..Limits::default()
    });
    let roles = || json!({ "orgRoles": ["admin"] });
    api.post("/members/a@example.com", roles()).expect(204);
    api.post("/members/b@example.com", roles())
        .rejected(403, "no seat left");
    api.post("/members/a@example.com", roles()).expect(204);
    api.delete("/members/a@example.com").expect(204);
    api.post("/members/b@example.com", roles()).expect(204);
}
