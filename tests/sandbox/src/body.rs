//! Strict reading of request bodies: what isn't described is refused by name.

use serde_json::{Map, Value};

use crate::answer::Answer;

/// The fields of a JSON object, taken one by one. What is left at the end was not asked for.
pub(crate) struct Fields {
    remaining: Map<String, Value>,
}

impl Fields {
    /// Reads the body of a request.
    ///
    /// 415 where it is not declared as JSON, 400 where it is missing or no JSON object.
    pub(crate) fn read(content_type: Option<&str>, body: &[u8]) -> Result<Self, Answer> {
        if body.is_empty() {
            return Err(Answer::message(400, "a request body is required"));
        }
        if !is_media_type(content_type, "application/json") {
            return Err(Answer::message(
                415,
                "the request body must be application/json",
            ));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => Ok(Self { remaining: fields }),
            Ok(_) => Err(Answer::message(
                400,
                "the request body must be a JSON object",
            )),
            Err(error) => Err(Answer::message(
                400,
                format!("the request body is no JSON: {error}"),
            )),
        }
    }

    pub(crate) fn from_object(fields: Map<String, Value>) -> Self {
        Self { remaining: fields }
    }

    /// Takes a field as it is.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.remaining.remove(name)
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<String, Answer> {
        self.optional_text(name)?.ok_or_else(|| missing(name))
    }

    pub(crate) fn optional_text(&mut self, name: &str) -> Result<Option<String>, Answer> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    /// A string that is one of the given words.
    pub(crate) fn optional_word(
        &mut self,
        name: &str,
        words: &[&str],
    ) -> Result<Option<String>, Answer> {
        let word = self.optional_text(name)?;
        if let Some(word) = &word {
            check_word(name, word, words)?;
        }
        Ok(word)
    }

    pub(crate) fn optional_boolean(&mut self, name: &str) -> Result<Option<bool>, Answer> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(wrong_type(name, "a boolean")),
        }
    }

    pub(crate) fn optional_number(&mut self, name: &str) -> Result<Option<f64>, Answer> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(number.as_f64()),
            Some(_) => Err(wrong_type(name, "a number")),
        }
    }

    pub(crate) fn optional_count(&mut self, name: &str) -> Result<Option<u64>, Answer> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(count) => Ok(Some(count)),
                None => Err(wrong_type(name, "a whole number")),
            },
        }
    }

    pub(crate) fn texts(&mut self, name: &str) -> Result<Vec<String>, Answer> {
        self.optional_texts(name)?.ok_or_else(|| missing(name))
    }

    pub(crate) fn optional_texts(&mut self, name: &str) -> Result<Option<Vec<String>>, Answer> {
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

    pub(crate) fn optional_words(
        &mut self,
        name: &str,
        words: &[&str],
    ) -> Result<Option<Vec<String>>, Answer> {
        let items = self.optional_texts(name)?;
        for item in items.iter().flatten() {
            check_word(name, item, words)?;
        }
        Ok(items)
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Value>, Answer> {
        self.optional_array(name)?.ok_or_else(|| missing(name))
    }

    fn optional_array(&mut self, name: &str) -> Result<Option<Vec<Value>>, Answer> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(wrong_type(name, "an array")),
        }
    }

    pub(crate) fn optional_object(
        &mut self,
        name: &str,
    ) -> Result<Option<Map<String, Value>>, Answer> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object)),
            Some(_) => Err(wrong_type(name, "an object")),
        }
    }

    /// Refuses what nobody has taken.
    pub(crate) fn finish(self) -> Result<(), Answer> {
        match self.remaining.keys().next() {
            None => Ok(()),
            Some(name) => Err(Answer::message(400, format!("unknown field \"{name}\""))),
        }
    }
}

/// Whether a `Content-Type` header names the media type, whatever its parameters.
pub(crate) fn is_media_type(header: Option<&str>, media_type: &str) -> bool {
    header
        .and_then(|header| header.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case(media_type))
}

fn missing(name: &str) -> Answer {
    Answer::message(400, format!("field \"{name}\" is missing"))
}

fn wrong_type(name: &str, wanted: &str) -> Answer {
    Answer::message(400, format!("field \"{name}\" must be {wanted}"))
}

fn check_word(name: &str, word: &str, words: &[&str]) -> Result<(), Answer> {
    if words.contains(&word) {
        return Ok(());
    }
    let words = words.join(", ");
    Err(Answer::message(
        400,
        format!("field \"{name}\": \"{word}\" is none of {words}"),
    ))
}
