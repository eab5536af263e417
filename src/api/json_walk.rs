//! Validation of a JSON text against a schema and construction of its index, in one pass over the
//! bytes.
//!
//! The schema is the description from which the decoders are generated, and the pass accepts what
//! they accept. It reports no reason for a rejection: the caller gets it from the decoder, which is
//! slower. Known structures are nested no deeper than their schema; other values use no stack.

use crate::api::json_index::{ESCAPED, Entry, Index, MAX_BYTES, Open};
use crate::api::schema::{Description, Direction, Field, JsonSchema, Presence, UnknownField};
use crate::json_text::{self, are_equal};

/// Result of an accepted text.
#[derive(Debug)]
pub(crate) struct Walked {
    #[cfg_attr(not(feature = "capi"), expect(dead_code, reason = "read by C only"))]
    pub(crate) index: Index,
    /// The first field of a request that its type does not have.
    pub(crate) unknown: Option<UnknownField>,
}

/// Walks through the JSON text that begins at `start`. Returns `None` if it does not match the
/// schema, or if it is longer than [`MAX_BYTES`].
pub(crate) fn walk(schema: JsonSchema, json: &[u8], start: usize) -> Option<Walked> {
    if json.len() > MAX_BYTES || std::str::from_utf8(&json[start..]).is_err() {
        return None;
    }
    let mut walk = Walk {
        json,
        at: start,
        index: Index::with_capacity(json.len()),
        unknown: None,
    };
    walk.skip_space();
    walk.value(schema)?;
    walk.skip_space();
    (walk.at == json.len()).then_some(Walked {
        index: walk.index,
        unknown: walk.unknown,
    })
}

struct Walk<'a> {
    json: &'a [u8],
    at: usize,
    index: Index,
    unknown: Option<UnknownField>,
}

impl Walk<'_> {
    /// Returns the next byte, or 0 at the end: JSON has no NUL.
    #[inline]
    fn byte(&self) -> u8 {
        self.json.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn skip_space(&mut self) {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Skips the colon after a name, and the white space around it.
    #[inline]
    fn colon(&mut self) -> Option<()> {
        if self.byte() != b':' {
            self.skip_space();
        }
        self.expect(b':')
    }

    /// Skips one byte, which must be this one, and the white space after it.
    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        if self.byte() != byte {
            return None;
        }
        self.at += 1;
        self.skip_space();
        Some(())
    }

    /// Walks through a value, whose first byte is the next one.
    #[inline(always)]
    fn value(&mut self, schema: JsonSchema) -> Option<()> {
        let schema = match schema {
            JsonSchema::Optional(_) if self.byte() == b'n' => return self.literal(b"null"),
            // An empty string counts as absent.
            JsonSchema::Optional(JsonSchema::Described(Description::Id { .. })) => JsonSchema::Text,
            JsonSchema::Optional(schema) => *schema,
            schema => schema,
        };
        match schema {
            // Most values: without a call.
            JsonSchema::Text
            | JsonSchema::Timestamp
            | JsonSchema::Secret
            | JsonSchema::Described(Description::Enum { .. }) => self.text().map(drop),
            schema => self.other_value(schema),
        }
    }

    /// Walks through a value that need not be a string.
    #[inline(never)]
    fn other_value(&mut self, schema: JsonSchema) -> Option<()> {
        match schema {
            JsonSchema::Text | JsonSchema::Timestamp | JsonSchema::Secret => self.text().map(drop),
            JsonSchema::Bool => match self.byte() {
                b't' => self.literal(b"true"),
                _ => self.literal(b"false"),
            },
            JsonSchema::U32 => self.u32(),
            JsonSchema::Number => self.number(),
            JsonSchema::Any => self.any(),
            JsonSchema::Described(Description::Object {
                name,
                fields,
                direction,
                ..
            }) => self.fields(name, fields, *direction),
            JsonSchema::Described(Description::Enum { .. }) => self.text().map(drop),
            JsonSchema::Described(Description::Id { .. }) => {
                let id = self.text()?;
                (id.link != 0).then_some(())
            }
            JsonSchema::List(schema) => self.list(*schema),
            JsonSchema::Map(schema) => self.map(*schema),
            JsonSchema::Optional(_) => self.value(schema),
        }
    }

    fn list(&mut self, schema: JsonSchema) -> Option<()> {
        let Some(list) = self.open(b'[', Open::NONE)? else {
            return Some(());
        };
        loop {
            self.value(schema)?;
            if !self.goes_on(b']')? {
                break;
            }
        }
        self.index.close(list);
        Some(())
    }

    fn map(&mut self, schema: JsonSchema) -> Option<()> {
        let Some(map) = self.open(b'{', Open::NONE)? else {
            return Some(());
        };
        loop {
            self.text()?;
            self.colon()?;
            self.value(schema)?;
            if !self.goes_on(b'}')? {
                break;
            }
        }
        self.index.close(map);
        Some(())
    }

    fn fields(
        &mut self,
        of: &'static str,
        fields: &'static [Field],
        direction: Direction,
    ) -> Option<()> {
        let mut present = 0_u64;
        let object = self.open(b'{', Open::NONE)?;
        if let Some(object) = object {
            let mut next = 0;
            loop {
                let (name, found) = match self.usual_name(fields.get(next))? {
                    true => (Entry::default(), Some(next)),
                    false => {
                        let name = self.text()?;
                        (name, self.field(name, fields, next))
                    }
                };
                self.colon()?;
                match found {
                    Some(index) => {
                        present |= 1 << index;
                        next = index + 1;
                        let field = &fields[index];
                        match field.presence {
                            Presence::Defaulted if self.byte() == b'n' => self.literal(b"null")?,
                            _ => self.value(field.schema)?,
                        }
                    }
                    None => {
                        if direction == Direction::Request && self.unknown.is_none() {
                            let name = json_text::decoded(self.written(name))?;
                            self.unknown = Some(UnknownField { of, name, fields });
                        }
                        self.any()?;
                    }
                }
                if !self.goes_on(b'}')? {
                    break;
                }
            }
            self.index.close(object);
        }
        let required = fields.iter().rev().fold(0_u64, |required, field| {
            required << 1 | u64::from(field.presence == Presence::Required)
        });
        (required & !present == 0).then_some(())
    }

    /// Walks through a name if it is that of `field`: responses usually have the order of the
    /// reference, and comparing takes less than searching the end of the string. Returns `None` inside
    /// if it is not, or if it is written with escapes.
    #[inline]
    fn usual_name(&mut self, field: Option<&Field>) -> Option<bool> {
        let Some(field) = field else {
            return Some(false);
        };
        let name = field.json.as_bytes();
        let (start, end) = (self.at + 1, self.at + 1 + name.len());
        let is_usual = self.byte() == b'"'
            && self.json.get(end) == Some(&b'"')
            && are_equal(&self.json[start..end], name);
        if !is_usual {
            return Some(false);
        }
        self.index.push(Entry {
            head: self.at as u32,
            link: name.len() as u32,
        })?;
        self.at = end + 1;
        Some(true)
    }

    /// Returns the index of the field of that name. `next` is the index at which the search starts.
    #[inline]
    fn field(&self, name: Entry, fields: &[Field], next: usize) -> Option<usize> {
        let decoded;
        let name = match name.link & ESCAPED {
            0 => self.written(name),
            _ => {
                decoded = json_text::decoded(self.written(name))?;
                decoded.as_bytes()
            }
        };
        let is_named = |field: &Field| are_equal(field.json.as_bytes(), name);
        let (before, after) = fields.split_at(next);
        match after.iter().position(is_named) {
            Some(index) => Some(next + index),
            None => before.iter().position(is_named),
        }
    }

    /// Returns the bytes between the quotes of a string.
    #[inline]
    fn written(&self, string: Entry) -> &[u8] {
        let start = string.head as usize + 1;
        &self.json[start..start + (string.link & !ESCAPED) as usize]
    }

    /// Walks through any value, without recursion.
    fn any(&mut self) -> Option<()> {
        let mut innermost = Open::NONE;
        loop {
            // A value, whose first byte is the next one.
            let opened = match self.byte() {
                bracket @ (b'{' | b'[') => self.open(bracket, innermost)?,
                b'"' => {
                    self.string()?;
                    None
                }
                b't' => {
                    self.literal(b"true")?;
                    None
                }
                b'f' => {
                    self.literal(b"false")?;
                    None
                }
                b'n' => {
                    self.literal(b"null")?;
                    None
                }
                _ => {
                    self.number()?;
                    None
                }
            };
            if let Some(opened) = opened {
                innermost = opened;
            } else {
                // The end of the value, and of the containers that end with it.
                loop {
                    if innermost == Open::NONE {
                        return Some(());
                    }
                    let bracket = if innermost.is_object() { b'}' } else { b']' };
                    if self.goes_on(bracket)? {
                        break;
                    }
                    innermost = self.index.close(innermost);
                }
            }
            if innermost.is_object() {
                self.string()?;
                self.colon()?;
            }
        }
    }

    /// Skips the opening bracket of a container, and the white space after it. Returns `None` inside
    /// if it has no children; its end is then skipped too.
    #[inline]
    fn open(&mut self, bracket: u8, outer: Open) -> Option<Option<Open>> {
        let at = self.at;
        self.expect(bracket)?;
        // `{` and `}` as well as `[` and `]` differ by two.
        if self.byte() == bracket + 2 {
            self.at += 1;
            self.leaf(at)?;
            return Some(None);
        }
        self.index.open(bracket == b'{', outer).map(Some)
    }

    /// Skips what follows a child of a container: a comma, and returns `true`, or the closing
    /// bracket, and returns `false`.
    #[inline]
    fn goes_on(&mut self, bracket: u8) -> Option<bool> {
        let mut byte = self.byte();
        if byte != b',' && byte != bracket {
            self.skip_space();
            byte = self.byte();
        }
        if byte == b',' {
            self.at += 1;
            self.skip_space();
            return Some(true);
        }
        if byte != bracket {
            return None;
        }
        self.at += 1;
        Some(false)
    }

    /// Adds the entry of a value that is neither a string nor a container with children.
    #[inline]
    fn leaf(&mut self, at: usize) -> Option<()> {
        self.index.push(Entry {
            head: at as u32,
            link: 0,
        })
    }

    #[inline]
    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        let rest = self.json.get(self.at..)?;
        if !rest.starts_with(literal) {
            return None;
        }
        self.leaf(self.at)?;
        self.at += literal.len();
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let at = self.at;
        if self.byte() == b'-' {
            self.at += 1;
        }
        match self.byte() {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.byte(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        self.leaf(at)
    }

    /// Skips digits, at least one.
    fn digits(&mut self) -> Option<()> {
        let first = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        (self.at > first).then_some(())
    }

    fn u32(&mut self) -> Option<()> {
        let at = self.at;
        self.number()?;
        let digits = std::str::from_utf8(&self.json[at..self.at]).ok()?;
        digits.parse::<u32>().ok().map(drop)
    }

    /// Walks through a string that is decoded, so its escapes must be valid UTF-16.
    #[inline(always)]
    fn text(&mut self) -> Option<Entry> {
        let entry = self.string()?;
        if entry.link & ESCAPED != 0 && !json_text::is_valid(self.written(entry)) {
            return None;
        }
        Some(entry)
    }

    /// Walks through a string or name. Its escapes may have unpaired surrogates.
    #[inline(never)]
    fn string(&mut self) -> Option<Entry> {
        let at = self.at;
        let (b'"', rest) = self.json.get(at..)?.split_first()? else {
            return None;
        };
        let mut length = json_text::plain_length(rest);
        let mut escaped = 0;
        if rest.get(length)? != &b'"' {
            length = json_text::escaped_length(rest, length)?;
            escaped = ESCAPED;
        }
        let entry = Entry {
            head: at as u32,
            link: length as u32 | escaped,
        };
        self.index.push(entry)?;
        self.at = at + length + 2;
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// Pieces of JSON; a sequence of them is often almost valid.
    static PIECES: &[&str] = &[
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        " ",
        "\n",
        "\"",
        "\"a\"",
        "\"a\":",
        "[]",
        "{}",
        "0",
        "-",
        "12",
        "1.5",
        "1e",
        "e+9",
        ".",
        "true",
        "false",
        "null",
        "nul",
        "\\",
        "\\u00e",
        "\"\\ud800\"",
        "ü",
        "\"\\n\"",
        "\u{1}",
        "\u{7f}",
        "\0",
        "\"longer than two steps of eight bytes\"",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn walk_accepts_what_serde_json_accepts(
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..12),
        ) {
            let json = pieces.concat();
            let expected = serde_json::from_str::<&RawValue>(&json).is_ok();
            let walked = walk(JsonSchema::Any, json.as_bytes(), 0);
            prop_assert_eq!(walked.is_some(), expected, "{}", json);
        }
    }

    #[test]
    fn walk_of_text_requires_paired_surrogates() {
        for (schema, json, expected) in [
            (JsonSchema::Any, r#""\ud800""#, true),
            (JsonSchema::Any, r#"{"\ud800":1}"#, true),
            (JsonSchema::Text, r#""\ud800""#, false),
            (JsonSchema::Text, r#""\ud83d\ude00""#, true),
            (JsonSchema::Text, r#""\ud800\u0041""#, false),
            (JsonSchema::Map(&JsonSchema::Any), r#"{"\ud800":1}"#, false),
        ] {
            let walked = walk(schema, json.as_bytes(), 0);
            assert_eq!(walked.is_some(), expected, "{schema:?} {json}");
        }
    }

    #[test]
    fn walk_rejects_numbers_that_are_no_u32() {
        for (json, expected) in [
            ("0", true),
            ("4294967295", true),
            ("4294967296", false),
            ("-0", false),
            ("1.0", false),
            ("1e2", false),
            ("01", false),
            ("\"1\"", false),
        ] {
            let walked = walk(JsonSchema::U32, json.as_bytes(), 0);
            assert_eq!(walked.is_some(), expected, "{json}");
            assert_eq!(
                serde_json::from_str::<u32>(json).is_ok(),
                expected,
                "{json}"
            );
        }
    }

    #[cfg(feature = "capi")]
    #[test]
    fn index_has_room_for_the_smallest_values() {
        for unit in ["0", "[]", "\"\"", "[0]", "[[[]]]", "{\"\":0}"] {
            for count in [1, 2, 62, 63, 64, 126, 127, 1_000] {
                let json = format!("[{}]", vec![unit; count].join(","));
                let walked = walk(JsonSchema::Any, json.as_bytes(), 0);
                let whole = walked.expect(&json).index.whole();
                assert_eq!(
                    whole.head & crate::api::json_index::COUNT,
                    count as u32,
                    "{json}"
                );
            }
        }
    }
}
