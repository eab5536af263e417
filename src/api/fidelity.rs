//! What is decoded is encoded unchanged: arbitrary valid answers and requests of every type, with
//! fields and words of the future.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::form::{self, Form};
use super::object::{Description, Field, Presence};
use super::operation::decode;
use super::{ROUND_TRIPS, TYPES};

pub(super) fn round_trip<T: DeserializeOwned + Serialize>(json: &[u8]) -> Result<String, String> {
    let value: T = decode(json)?;
    serde_json::to_string(&value).map_err(|error| error.to_string())
}

/// Draws from the bytes that proptest chose, so that a failure is repeated and made smaller.
struct Draw<'a>(std::slice::Iter<'a, u8>);

impl Draw<'_> {
    /// A number below `end`; 0 once the bytes are used up.
    fn below(&mut self, end: usize) -> usize {
        usize::from(*self.0.next().unwrap_or(&0)) % end
    }

    fn string(&mut self) -> String {
        let texts = [
            "",
            "a",
            "ü\n\"\\/",
            "\u{0}\u{7f}",
            "😀",
            "null",
            "0.0.0.0/0",
            " ",
        ];
        serde_json::to_string(texts[self.below(texts.len())]).unwrap()
    }

    fn number(&mut self) -> &'static str {
        let numbers = [
            "0",
            "-1",
            "9007199254740993",
            "123456789012345678901234567890",
            "1.50",
            "1e400",
        ];
        numbers[self.below(numbers.len())]
    }

    fn any(&mut self, depth: usize) -> String {
        match self.below(if depth == 0 { 4 } else { 6 }) {
            0 => "null".to_owned(),
            1 => "true".to_owned(),
            2 => self.number().to_owned(),
            3 => self.string(),
            4 => format!("[{},{}]", self.any(depth - 1), self.any(depth - 1)),
            _ => format!(
                "{{\"b\":{},\"a\":{}}}",
                self.any(depth - 1),
                self.any(depth - 1)
            ),
        }
    }

    fn of_type(&mut self, rust_type: &str) -> String {
        if let Some(inner) = inside(rust_type, "Option") {
            return self.of_type(inner);
        }
        if let Some(inner) = inside(rust_type, "Vec") {
            let elements: Vec<_> = (0..self.below(3)).map(|_| self.of_type(inner)).collect();
            return format!("[{}]", elements.join(","));
        }
        match rust_type {
            "String" | "Secret" => self.string(),
            "bool" => ["true", "false"][self.below(2)].to_owned(),
            "u32" => ["0", "4294967295"][self.below(2)].to_owned(),
            "Number" => self.number().to_owned(),
            "Json" => self.any(2),
            "FailoverStep" => ["\"ok\"", "{\"error\":\"x\"}"][self.below(2)].to_owned(),
            name => self.described(TYPES.iter().find(|known| known.name() == name).expect(name)),
        }
    }

    fn described(&mut self, description: &Description) -> String {
        match description {
            Description::Id { .. } => self.string(),
            Description::Words { words, .. } => match self.below(words.len() + 1) {
                0 => "\"A word to come\"".to_owned(),
                index => format!("\"{}\"", words[index - 1].json),
            },
            Description::Object { fields, .. } => self.object(fields),
        }
    }

    fn object(&mut self, fields: &[Field]) -> String {
        let mut members = Vec::new();
        for field in fields {
            if field.presence != Presence::Optional || self.below(2) == 1 {
                members.push(format!(
                    "\"{}\":{}",
                    field.json,
                    self.of_type(field.rust_type)
                ));
            }
        }
        for extra in 0..self.below(3) {
            members.push(format!("\"field to come {extra}\":{}", self.any(2)));
        }
        format!("{{{}}}", members.join(","))
    }
}

/// The type inside `Outer < … >`, as `stringify!` writes it.
fn inside<'a>(rust_type: &'a str, outer: &str) -> Option<&'a str> {
    let inner = rust_type
        .strip_prefix(outer)?
        .trim_start()
        .strip_prefix('<')?;
    Some(inner.strip_suffix('>')?.trim())
}

/// What spoils a text, or leaves it as good as it was.
static SPOILERS: &[&[u8]] = &[
    b"",
    b"null",
    b"3",
    b"-1.5",
    b"1e999",
    b"4294967296",
    b"true",
    b"\"x\"",
    b"{}",
    b"[]",
    b",",
    b":",
    b"{",
    b"]",
    b"\"",
    b"\\",
    b"\"uuid\":1,",
    b"\"uuid\":\"b\",",
    b"\xff",
    b"\"x\":\"\xff\",",
];

proptest! {
    #[test]
    fn what_is_decoded_is_encoded_unchanged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (description, round_trip) in ROUND_TRIPS {
            let json = Draw(bytes.iter()).described(description);
            prop_assert_eq!(round_trip(json.as_bytes()), Ok(json.clone()), "{}", description.name());
        }
    }

    /// What the C ABI takes and refuses, and how it says so, is what decoding does.
    #[test]
    fn a_text_is_checked_as_it_would_be_decoded(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        place in any::<prop::sample::Index>(),
        length in 0usize..12,
        put in prop::sample::select(SPOILERS),
    ) {
        for (description, round_trip) in ROUND_TRIPS {
            let mut json = Draw(bytes.iter()).described(description).into_bytes();
            let start = place.index(json.len() + 1);
            let end = json.len().min(start + length);
            json.splice(start..end, put.iter().copied());
            let checked = form::check(Form::Described(description), &json);
            prop_assert_eq!(
                checked.err(),
                round_trip(&json).err(),
                "{} {}",
                description.name(),
                String::from_utf8_lossy(&json)
            );
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(text in "\\PC*", cut in 0usize..200) {
        let json = Draw(text.as_bytes().iter()).object(&[]);
        let cut = (0..=cut.min(json.len())).rev().find(|at| json.is_char_boundary(*at)).unwrap();
        for (_, round_trip) in ROUND_TRIPS {
            let _ = round_trip(text.as_bytes());
            let _ = round_trip(&json.as_bytes()[..cut]);
        }
    }
}
