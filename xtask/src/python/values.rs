//! Generator of `_values.py`: the enumeration values that arguments accept.

use std::fmt::Write as _;

use camunda_admin::description::{Description, TYPES};

use super::docstring::quoted;
use super::operations;
use crate::{Generated, NOTICE};

/// Generates `_values.py`.
pub(crate) fn values() -> Generated {
    Generated {
        path: "bindings/python/src/camunda_admin/_values.py",
        text: text(),
    }
}

fn text() -> String {
    let mut text = format!("# {NOTICE}\n");
    text.push_str(
        "\"\"\"What arguments accept: a constant of an enumeration, or the string of a known value.\"\"\"\n\n\
         from typing import Literal, Union\n\n\
         from . import _models as models\n",
    );
    let operations = operations().text;
    for description in TYPES {
        if let Description::Enum { name, values, .. } = description
            && operations.contains(&format!("values.{name}Value"))
        {
            write!(
                text,
                "\n{name}Value = Union[\n    models.{name},\n    Literal[\n"
            )
            .unwrap();
            for value in *values {
                writeln!(text, "        {},", quoted(value.json)).unwrap();
            }
            text.push_str("    ],\n]\n");
        }
    }
    text
}
