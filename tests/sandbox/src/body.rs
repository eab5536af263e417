//! Strict parsing of request bodies: an undocumented field is rejected, and the error names it.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::clock::parse_iso8601;
use crate::response::Response;

/// Parses a body as a JSON object.
///
/// # Errors
///
/// 400 if it is not one.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, Response> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Response::message(
            400,
            "the request body must be a JSON object",
        )),
        Err(error) => Err(Response::message(
            400,
            format!("the request body is not valid JSON: {error}"),
        )),
    }
}

/// Fields of a JSON object. The parser removes the fields that it expects; any field left is unknown.
pub(crate) struct Fields {
    remaining: Map<String, Value>,
    expected: Vec<String>,
}

impl Fields {
    /// Parses the body of a request.
    ///
    /// # Errors
    ///
    /// 415 if the content type is not JSON, 400 if the body is missing or not a JSON object.
    pub(crate) fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, Response> {
        if body.is_empty() {
            return Err(Response::message(400, "a request body is required"));
        }
        if !is_media_type(content_type, "application/json") {
            return Err(Response::message(
                415,
                "the request body must be application/json",
            ));
        }
        object(body).map(Self::from_object)
    }

    pub(crate) fn from_object(fields: Map<String, Value>) -> Self {
        Self {
            remaining: fields,
            expected: Vec::new(),
        }
    }

    /// Removes and returns a field, whatever its type.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.expected.push(name.to_owned());
        self.remaining.remove(name)
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String, Response> {
        required(name, self.optional_string(name)?)
    }

    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Response> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    /// Removes a string field whose value must be one of `values`.
    pub(crate) fn optional_enum_value(
        &mut self,
        name: &str,
        values: &[&str],
    ) -> Result<Option<String>, Response> {
        let value = self.optional_string(name)?;
        if let Some(value) = &value {
            check_enum_value(name, value, values)?;
        }
        Ok(value)
    }

    pub(crate) fn optional_boolean(&mut self, name: &str) -> Result<Option<bool>, Response> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(wrong_type(name, "a boolean")),
        }
    }

    pub(crate) fn optional_number(&mut self, name: &str) -> Result<Option<f64>, Response> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(_) => Err(wrong_type(name, "a number")),
        }
    }

    pub(crate) fn optional_count(&mut self, name: &str) -> Result<Option<u64>, Response> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count)),
                None => Err(wrong_type(name, "a whole number")),
            },
        }
    }

    pub(crate) fn strings(&mut self, name: &str) -> Result<Vec<String>, Response> {
        required(name, self.optional_strings(name)?)
    }

    pub(crate) fn optional_strings(&mut self, name: &str) -> Result<Option<Vec<String>>, Response> {
        let Some(items) = self.optional_array(name)? else {
            return Ok(None);
        };
        items
            .into_iter()
            .map(|item| match item {
                Value::String(text) => Ok(text),
                _ => Err(wrong_type(name, "an array of strings")),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    pub(crate) fn optional_enum_values(
        &mut self,
        name: &str,
        values: &[&str],
    ) -> Result<Option<Vec<String>>, Response> {
        let items = self.optional_strings(name)?;
        for item in items.iter().flatten() {
            check_enum_value(name, item, values)?;
        }
        Ok(items)
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Value>, Response> {
        required(name, self.optional_array(name)?)
    }

    pub(crate) fn optional_array(&mut self, name: &str) -> Result<Option<Vec<Value>>, Response> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(wrong_type(name, "an array")),
        }
    }

    pub(crate) fn optional_object(
        &mut self,
        name: &str,
    ) -> Result<Option<Map<String, Value>>, Response> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(wrong_type(name, "an object")),
        }
    }

    /// Removes an array of objects. An absent field is an empty array.
    pub(crate) fn objects(&mut self, name: &str) -> Result<Vec<Self>, Response> {
        self.optional_array(name)?
            .unwrap_or_default()
            .into_iter()
            .map(|item| match item {
                Value::Object(object) => Ok(Self::from_object(object)),
                _ => Err(wrong_type(name, "an array of objects")),
            })
            .collect()
    }

    /// Removes a time in ISO 8601 format.
    pub(crate) fn optional_time(&mut self, name: &str) -> Result<Option<Duration>, Response> {
        match self.optional_string(name)? {
            None => Ok(None),
            Some(text) => match parse_iso8601(&text) {
                Some(time) => Ok(Some(time)),
                None => Err(wrong_type(name, "a time such as \"2026-03-01T12:00:00Z\"")),
            },
        }
    }

    /// Rejects fields that were not removed.
    pub(crate) fn finish(self) -> Result<(), Response> {
        match self.remaining.keys().next() {
            None => Ok(()),
            Some(name) => {
                let expected = self.expected.join(", ");
                Err(Response::message(
                    400,
                    format!("unknown field \"{name}\"; expected one of: {expected}"),
                ))
            }
        }
    }
}

/// Whether a `Content-Type` header has this media type, with any parameters.
pub(crate) fn is_media_type(header: Option<&str>, media_type: &str) -> bool {
    header
        .and_then(|header| header.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type))
}

/// Rejects a request without a field, such as a number or an enumeration value that is required.
pub(crate) fn required<T>(name: &str, value: Option<T>) -> Result<T, Response> {
    let missing = || Response::message(400, format!("field \"{name}\" is missing"));
    value.ok_or_else(missing)
}

fn wrong_type(name: &str, wanted: &str) -> Response {
    Response::message(400, format!("field \"{name}\" must be {wanted}"))
}

fn check_enum_value(name: &str, value: &str, values: &[&str]) -> Result<(), Response> {
    if values.contains(&value) {
        return Ok(());
    }
    let values = values.join(", ");
    Err(Response::message(
        400,
        format!("field \"{name}\": \"{value}\" is not one of {values}"),
    ))
}
