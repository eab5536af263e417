//! Generator of `_prototypes.py`: the declarations of the C header for ctypes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::{Generated, NOTICE};

/// Generates `_prototypes.py` from the C header.
pub(crate) fn prototypes(header: &str) -> Generated {
    Generated {
        path: "bindings/python/src/camunda_admin/_prototypes.py",
        text: text(header),
    }
}

fn text(header: &str) -> String {
    let header = Header::parse(header);
    let mut text = format!("# {NOTICE}\n");
    text.push_str(
        "\"\"\"The ctypes declarations of the C ABI: constants, callback types, structures, prototypes.\"\"\"\n\n\
         from __future__ import annotations\n\n\
         from ctypes import (\n    CFUNCTYPE,\n    POINTER,\n    Structure,\n    c_bool,\n    c_char_p,\n    \
         c_double,\n    c_int32,\n    c_int64,\n    c_size_t,\n    c_uint32,\n    c_uint64,\n    c_void_p,\n)\n\n\
         TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from typing import Any, Dict, Tuple\n\n\
         ",
    );
    let pointers: BTreeSet<String> = header
        .functions
        .iter()
        .flat_map(|function| function.ctypes(false))
        .filter(|kind| kind.starts_with("POINTER("))
        .collect();
    for pointer in &pointers {
        writeln!(text, "{} = {pointer}", pointer_name(pointer)).unwrap();
    }
    text.push('\n');
    for (name, value) in &header.constants {
        writeln!(text, "{name} = {value}").unwrap();
    }
    text.push('\n');
    for function in &header.callbacks {
        // A string that a callback returns is a pointer: ctypes would free a converted string too early.
        let mut types = vec![ctype(&function.return_type, &function.return_type, true)];
        types.extend(function.ctypes(true));
        writeln!(text, "{} = CFUNCTYPE({})", function.name, types.join(", ")).unwrap();
    }
    for structure in &header.structures {
        write!(
            text,
            "\n\nclass {}(Structure):\n    _fields_ = [\n",
            structure.name
        )
        .unwrap();
        for (name, written) in &structure.fields {
            let kind = ctype(written, name, false);
            writeln!(text, "        (\"{name}\", {kind}),").unwrap();
        }
        text.push_str("    ]\n");
    }
    text.push_str(
        "\n\n#: The return type and the argument types of each function.\n\
         PROTOTYPES: Dict[str, Tuple[Any, Tuple[Any, ...]]] = {\n",
    );
    for function in &header.functions {
        let sized = function
            .parameters
            .iter()
            .any(|parameter| parameter.ends_with("size_t*"));
        let result = ctype(&function.return_type, "", sized);
        let types: Vec<_> = function
            .ctypes(false)
            .into_iter()
            .map(|kind| match kind.starts_with("POINTER(") {
                true => pointer_name(&kind),
                false => kind,
            })
            .collect();
        let comma = if types.len() == 1 { "," } else { "" };
        let line = format!(
            "    \"{}\": ({result}, ({}{comma})),",
            function.name,
            types.join(", ")
        );
        if line.len() <= 100 {
            writeln!(text, "{line}").unwrap();
        } else {
            writeln!(
                text,
                "    \"{}\": (\n        {result},\n        (",
                function.name
            )
            .unwrap();
            for kind in types {
                writeln!(text, "            {kind},").unwrap();
            }
            text.push_str("        ),\n    ),\n");
        }
    }
    text.push_str("}\n");
    text
}

/// The name of a pointer type that several prototypes have: `_void_p_p` for `POINTER(c_void_p)`.
fn pointer_name(pointer: &str) -> String {
    let target = pointer.trim_start_matches("POINTER(").trim_end_matches(')');
    format!("_{}_p", target.trim_start_matches("c_"))
}

/// The declarations of the C header.
#[derive(Default)]
struct Header {
    constants: Vec<(String, String)>,
    callbacks: Vec<Function>,
    structures: Vec<Structure>,
    functions: Vec<Function>,
}

struct Structure {
    name: String,
    /// Names and types of the fields.
    fields: Vec<(String, String)>,
}

struct Function {
    name: String,
    return_type: String,
    /// The types without names, `const`, `struct` and blanks: `camunda_error**`.
    parameters: Vec<String>,
}

impl Function {
    /// The parameter types for ctypes. In callbacks, a string with a length is not NUL-terminated.
    fn ctypes(&self, callback: bool) -> Vec<String> {
        let followed_by_size = |at: usize| {
            self.parameters
                .get(at + 1)
                .is_some_and(|next| next == "size_t")
        };
        self.parameters
            .iter()
            .enumerate()
            .map(|(at, parameter)| {
                ctype(
                    parameter,
                    parameter,
                    callback && parameter == "char*" && followed_by_size(at),
                )
            })
            .collect()
    }
}

impl Header {
    fn parse(text: &str) -> Header {
        let mut header = Header::default();
        let code = without_comments(text);
        let mut rest = String::new();
        for line in code.lines() {
            match line.trim().strip_prefix('#') {
                None => writeln!(rest, "{line}").unwrap(),
                Some(directive) => {
                    let mut tokens = directive.split_whitespace();
                    if let (Some("define"), Some(name), Some(value)) =
                        (tokens.next(), tokens.next(), tokens.next())
                        && let Ok(value) = value.trim_matches(['(', ')', 'U', 'u']).parse::<i64>()
                    {
                        header.constants.push((name.into(), value.to_string()));
                    }
                }
            }
        }
        let mut rest = rest.replace("extern \"C\" {", "");
        // Functions and opaque types have no braces.
        while let Some((before, body)) = rest.split_once('{') {
            let (before, _tag) = before.rsplit_once("typedef struct ").unwrap();
            let (fields, after) = body.split_once('}').unwrap();
            let (name, after) = after.split_once(';').unwrap();
            header.structures.push(structure(name, fields));
            rest = format!("{before}{after}");
        }
        let rest = rest.replace('}', "");
        for statement in rest.split(';') {
            let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
            match statement.strip_prefix("typedef ") {
                Some(alias) => {
                    if let Some((return_type, rest)) = alias.split_once("(*") {
                        let (name, parameters) = rest.split_once(")(").unwrap();
                        header
                            .callbacks
                            .push(function(return_type, name, parameters));
                    }
                }
                None => {
                    if let Some((start, parameters)) = statement.split_once('(') {
                        let at = start.rfind([' ', '*']).unwrap() + 1;
                        header
                            .functions
                            .push(function(&start[..at], &start[at..], parameters));
                    }
                }
            }
        }
        assert!(
            !header.functions.is_empty(),
            "the header declares no function"
        );
        header
    }
}

fn structure(name: &str, fields: &str) -> Structure {
    let fields = fields
        .split(';')
        .map(str::trim)
        .filter(|field| !field.is_empty());
    Structure {
        name: name.trim().to_owned(),
        fields: fields
            .map(|field| {
                let at = field.rfind([' ', '*']).unwrap() + 1;
                (field[at..].to_owned(), bare(&field[..at]))
            })
            .collect(),
    }
}

fn function(return_type: &str, name: &str, parameters: &str) -> Function {
    let parameters = parameters.trim().trim_end_matches(')').trim();
    Function {
        name: name.trim().to_owned(),
        return_type: bare(return_type),
        parameters: parameters
            .split(',')
            .filter(|parameter| !matches!(parameter.trim(), "" | "void"))
            .map(|parameter| {
                // The name follows the last blank or `*`; every parameter of the header has one.
                let at = parameter.trim_end().rfind([' ', '*']).unwrap() + 1;
                bare(&parameter[..at])
            })
            .collect(),
    }
}

fn bare(written: &str) -> String {
    written
        .replace('*', " * ")
        .split_whitespace()
        .filter(|token| !matches!(*token, "const" | "struct"))
        .collect()
}

fn ctype(written: &str, at: &str, sized: bool) -> String {
    match written {
        "void" => "None",
        "bool" => "c_bool",
        "double" => "c_double",
        "int32_t" | "camunda_status" => "c_int32",
        "int64_t" => "c_int64",
        "uint32_t" => "c_uint32",
        "uint64_t" => "c_uint64",
        "size_t" => "c_size_t",
        // A string with a length may contain NULs, at the first of which c_char_p ends.
        "char*" if sized => "c_void_p",
        "char*" => "c_char_p",
        "char**" => "POINTER(c_char_p)",
        "size_t*" => "POINTER(c_size_t)",
        "int64_t*" => "POINTER(c_int64)",
        pointer if pointer.ends_with("**") => "POINTER(c_void_p)",
        pointer if pointer.ends_with('*') => "c_void_p",
        callback if callback.ends_with("_fn") => callback,
        _ => panic!("no ctypes type for the C type {written} {at}"),
    }
    .to_owned()
}

fn without_comments(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("/*") {
        code.push_str(&rest[..start]);
        rest = rest[start..].split_once("*/").map_or("", |(_, rest)| rest);
    }
    code.push_str(rest);
    code.lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join("\n")
}
