//! JSON values that keep their text: [`Json`] and [`Number`].

use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::error_path::without_values;
use crate::error::{Error, ErrorKind, Outcome, Stage};
use crate::secret::Zeroizing;

/// Unparsed JSON value that keeps its text verbatim: numbers keep all digits, objects keep the
/// order of their fields and duplicates.
///
/// The value may contain secrets, so its memory is zeroized on drop.
///
/// ```
/// use camunda_admin::Json;
///
/// let json = Json::new(r#"{"price": 1.10}"#)?;
/// assert_eq!(json.as_str(), r#"{"price": 1.10}"#);
/// # Ok::<(), camunda_admin::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Json(
    /// `None` is `null`.
    Option<Box<RawValue>>,
);

impl Json {
    /// Parses a JSON text. Surrounding white space is dropped.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if `text` is not valid
    /// JSON.
    pub fn new(text: impl Into<String>) -> crate::Result<Self> {
        let text = Zeroizing::new(text.into());
        match serde_json::from_str::<Box<RawValue>>(&text) {
            Ok(raw) => Ok(Json(Some(raw))),
            Err(error) => Err(Error::invalid_argument(format!("not JSON: {error}"))),
        }
    }

    pub(crate) fn from_raw(raw: &RawValue) -> Self {
        Json(Some(raw.to_owned()))
    }

    /// Returns the JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().map_or("null", RawValue::get)
    }

    /// Decodes the value as `T`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) if the value does not match `T`. The message has
    /// the path of the mismatch, and no part of the value, which may be secret.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> crate::Result<T> {
        let text = self.as_str();
        serde_json::from_str(text).map_err(|error| {
            let problem = without_values(text.as_bytes(), &error);
            let message = format!("the JSON value cannot be decoded: {problem}");
            Error::new(ErrorKind::Decode, Stage::Decode, Outcome::NotSent, message)
        })
    }
}

impl Drop for Json {
    fn drop(&mut self) {
        if let Some(raw) = self.0.take() {
            drop(Zeroizing::new(Box::<str>::from(raw).into_boxed_bytes()));
        }
    }
}

/// Compares the texts: `1` and `1.0` are different.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Json {}

/// Writes the length of the text instead of the text, which can contain a secret.
impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} bytes)", self.as_str().len())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Json(Some(raw)))
    }
}

/// Returns the integer that a JSON number is. Some programs write integers with a fraction or an exponent.
pub(crate) fn integer(number: &str) -> Option<i64> {
    /// From here on a float may stand for another integer than the text.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    number.parse().ok().or_else(|| {
        let float: f64 = number.parse().ok()?;
        (float.fract() == 0.0 && float.abs() < MAX_EXACT).then_some(float as i64)
    })
}

/// JSON number that keeps its text verbatim, with all digits. `Eq` compares the texts.
#[derive(Clone, PartialEq, Eq)]
pub struct Number(Json);

impl Number {
    /// # Errors
    ///
    /// The message of the error.
    pub(crate) fn from_json(json: Json) -> Result<Self, &'static str> {
        match json.as_str().as_bytes() {
            [b'-' | b'0'..=b'9', ..] => Ok(Number(json)),
            _ => Err("expected a number"),
        }
    }

    /// Returns the number as `i64`, or `None` if it is not an integer or out of range. `1.0` and `1e3` are
    /// integers.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        integer(self.as_str())
    }

    /// Returns the nearest floating-point number.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        self.as_str().parse().unwrap_or(f64::NAN)
    }

    /// Returns the number as the API wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Default for Number {
    /// Zero.
    fn default() -> Self {
        Number::from(0)
    }
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Number(Json(Some(
            RawValue::from_string(number.to_string()).expect("an integer is valid JSON"),
        )))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Number::from_json(Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn number_is_an_integer_if_it_has_no_fraction() {
        for (json, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1.0", Some(1)),
            ("-2.50e1", Some(-25)),
            ("1E3", Some(1000)),
            ("1763700000123.000", Some(1_763_700_000_123)),
            ("9007199254740991.0", Some(9_007_199_254_740_991)),
            ("9007199254740993.0", None),
            ("1.5", None),
            ("1e400", None),
        ] {
            let number: Number = serde_json::from_str(json).unwrap();
            assert_eq!(number.as_i64(), expected, "{json}");
        }
    }

    #[test]
    fn decode_error_has_the_path_and_no_value() {
        let json = Json::new(r#"{"count":1,"limits":[2,"hunter2"]}"#).unwrap();
        let limits: HashMap<String, Json> = json.decode().unwrap();
        assert_eq!(limits["count"].decode::<u32>().unwrap(), 1);
        let error = json.decode::<HashMap<String, Vec<u32>>>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        let error = limits["limits"].decode::<Vec<u32>>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the JSON value cannot be decoded: [1]: unexpected type or missing field at line 1 \
             column 12"
        );
    }

    #[test]
    fn debug_of_json_shows_its_length_only() {
        let json = Json::new(r#"{"clientSecret":"hunter2"}"#).unwrap();
        assert_eq!(format!("{json:?}"), "Json(26 bytes)");
        let number: Number = serde_json::from_str("1.50").unwrap();
        assert_eq!(format!("{number:?} {number}"), "1.50 1.50");
    }
}
