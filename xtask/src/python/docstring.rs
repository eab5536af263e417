//! Docstrings and names of the generated Python sources.

use std::fmt::Write as _;

use crate::prose::wrapped;

/// A section of a docstring, such as `Args`: its title, and names with their descriptions.
pub(super) type Section = (&'static str, Vec<(String, String)>);

/// Pushes a docstring: paragraphs and lists, then sections; wrapped. Empty sections are left out.
pub(super) fn push_doc(text: &mut String, indent: usize, doc: &str, sections: &[Section]) {
    let pad = " ".repeat(indent);
    let width = 96 - indent;
    let mut lines: Vec<String> = Vec::new();
    for paragraph in doc.trim().split("\n\n") {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        for item in paragraph.split("\n- ") {
            let listed = !std::ptr::eq(item.as_ptr(), paragraph.as_ptr()) || item.starts_with("- ");
            let item = item.strip_prefix("- ").unwrap_or(item);
            let (first, other) = if listed { ("- ", "  ") } else { ("", "") };
            lines.extend(wrapped(&rust_to_python(item), width, first, other));
        }
    }
    for (title, entries) in sections {
        if entries.is_empty() {
            continue;
        }
        lines.push(String::new());
        lines.push(format!("{title}:"));
        for (name, description) in entries {
            let entry = format!("{name}: {}", rust_to_python(description));
            lines.extend(wrapped(&entry, width, "    ", "        "));
        }
    }
    if lines.len() == 1 && lines[0].len() + indent + 6 <= 100 {
        writeln!(text, "{pad}\"\"\"{}\"\"\"", lines[0]).unwrap();
        return;
    }
    for (number, line) in lines.iter().enumerate() {
        let start = if number == 0 { "\"\"\"" } else { "" };
        writeln!(text, "{}", format!("{pad}{start}{line}").trim_end()).unwrap();
    }
    writeln!(text, "{pad}\"\"\"").unwrap();
}

/// Converts Rust links and paths to plain code.
fn rust_to_python(doc: &str) -> String {
    doc.replace("[`", "`")
        .replace("`]", "`")
        .replace("::", ".")
        .replace('\\', "\\\\")
}

pub(super) fn quoted(text: &str) -> String {
    format!("{text:?}")
}
