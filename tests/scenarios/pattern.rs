//! Patterns of results: the expected value, with markers for values that vary.

use serde_json::Value;

/// Compares a value with a pattern. Returns a description of the first mismatch, with its path.
///
/// The value of an object pattern may have additional fields. An array pattern matches an array of the same
/// length, element by element. Markers are objects with one key:
///
/// | marker | matches |
/// |---|---|
/// | `{"$any": "string"}` | a value of that kind that is not empty: `string`, `array`, `object`, `number` or `bool` |
/// | `{"$absent": true}` | an absent field, or `null` |
/// | `{"$empty": true}` | an absent field, or the value that a typed language uses for one: `null`, `false`, 0, an empty string, list or object |
/// | `{"$contains": [...]}` | an array that contains a match for each of these patterns |
/// | `{"$len": n}` | an array of that length |
/// | `{"$text": "part"}` | a string that contains this part |
pub(crate) fn mismatch(pattern: &Value, found: Option<&Value>, path: &str) -> Option<String> {
    let place = if path.is_empty() { "the result" } else { path };
    let shown = || match found {
        Some(found) => {
            let text = found.to_string();
            text.char_indices()
                .nth(300)
                .map_or(text.clone(), |(end, _)| format!("{}…", &text[..end]))
        }
        None => "no value".to_owned(),
    };
    let expected = |what: String| Some(format!("{place}: expected {what}, found {}", shown()));
    match pattern {
        Value::Object(fields) => {
            if let Some((marker, wanted)) = marker(fields) {
                return match marker {
                    _ if holds(marker, wanted, found) => None,
                    "$contains" => expected(format!("an array with {wanted}")),
                    _ => expected(format!("{} {wanted}", &marker[1..])),
                };
            }
            let Some(Value::Object(object)) = found else {
                return expected("an object".to_owned());
            };
            fields.iter().find_map(|(name, pattern)| {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                mismatch(pattern, object.get(name), &path)
            })
        }
        Value::Array(patterns) => match found {
            Some(Value::Array(elements)) if elements.len() == patterns.len() => patterns
                .iter()
                .zip(elements)
                .enumerate()
                .find_map(|(index, (pattern, element))| {
                    mismatch(pattern, Some(element), &format!("{path}[{index}]"))
                }),
            _ => expected(format!("an array of {} elements", patterns.len())),
        },
        _ if found == Some(pattern) => None,
        _ => expected(pattern.to_string()),
    }
}

fn marker(fields: &serde_json::Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, wanted) = fields.iter().next()?;
    (fields.len() == 1 && name.starts_with('$')).then_some((name.as_str(), wanted))
}

fn holds(marker: &str, wanted: &Value, found: Option<&Value>) -> bool {
    match marker {
        "$any" => match (wanted.as_str().expect("a kind"), found) {
            ("string", Some(Value::String(text))) => !text.is_empty(),
            ("array", Some(Value::Array(elements))) => !elements.is_empty(),
            ("object", Some(Value::Object(fields))) => !fields.is_empty(),
            ("number", Some(Value::Number(_))) | ("bool", Some(Value::Bool(_))) => true,
            _ => false,
        },
        "$absent" => matches!(found, None | Some(Value::Null)),
        "$empty" => is_empty(found.unwrap_or(&Value::Null)),
        "$contains" => {
            let none = Vec::new();
            let elements = found.and_then(Value::as_array).unwrap_or(&none);
            wanted
                .as_array()
                .expect("an array of patterns")
                .iter()
                .all(|pattern| {
                    elements
                        .iter()
                        .any(|element| mismatch(pattern, Some(element), "").is_none())
                })
        }
        "$len" => {
            found
                .and_then(Value::as_array)
                .map(|array| array.len() as u64)
                == wanted.as_u64()
        }
        "$text" => found
            .and_then(Value::as_str)
            .is_some_and(|text| text.contains(wanted.as_str().expect("a part of a string"))),
        other => panic!("unknown marker {other}"),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}
