//! Generates the C++ header: fills the markers of `templates/camunda_admin.hpp.in` with the types and
//! the operations of the API description.

mod classes;
mod definitions;
mod names;
mod types;

use std::fmt::Write as _;

use crate::{Generated, NOTICE};

pub(crate) use names::cpp_name;
pub(crate) use types::is_passed_as_arguments;

const TEMPLATE: &str = include_str!("../../templates/camunda_admin.hpp.in");

/// Generates `include/camunda_admin.hpp`.
pub(crate) fn header() -> Generated {
    Generated {
        path: "include/camunda_admin.hpp",
        text: expand_template(),
    }
}

fn expand_template() -> String {
    let mut text = format!("// {NOTICE}\n\n");
    for line in TEMPLATE.lines() {
        match line {
            "//@types" => types::push_types(&mut text),
            "//@handles" => classes::push_handles(&mut text),
            "//@admin" => classes::push_admin(&mut text),
            "//@settings" => classes::push_settings(&mut text),
            "//@resources" => classes::push_resources(&mut text),
            "//@operations" => definitions::push_definitions(&mut text),
            "//@hashes" => types::push_hashes(&mut text),
            comment if comment.starts_with("//@ ") => {}
            line => writeln!(text, "{line}").unwrap(),
        }
    }
    text
}
