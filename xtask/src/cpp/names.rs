//! C++ names, and documentation comments.

use std::fmt::Write as _;

use crate::prose::wrapped;

/// Returns the C++ name of a Rust name: without `r#`, `remove` for `delete`, and with `_` after other C++
/// keywords.
pub(crate) fn cpp_name(name: &str) -> String {
    let name = name.strip_prefix("r#").unwrap_or(name);
    match name {
        // Methods only: no field has this name.
        "delete" => "remove".to_owned(),
        "namespace" | "operator" | "class" | "new" | "default" | "register" | "public"
        | "private" | "template" | "this" | "union" | "virtual" | "export" => {
            format!("{name}_")
        }
        name => name.to_owned(),
    }
}

/// Writes a paragraph as a Doxygen comment, with intra-doc links of Rust as plain names.
pub(super) fn doc(text: &mut String, indent: &str, paragraph: &str) {
    let plain = paragraph.replace("[`", "").replace("`]", "");
    for line in wrapped(&plain, 96 - indent.len(), "", "") {
        writeln!(text, "{indent}/// {line}").unwrap();
    }
}
