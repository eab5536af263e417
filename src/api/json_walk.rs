//! Validation of a JSON text against a schema and construction of its index, in one pass over the
//! bytes.
//!
//! The schema is the description that the decoders read, and the pass accepts what they accept. It
//! reports no reason for a rejection: the caller gets it from the decoder with serde, which is
//! slower. Known structures are nested no deeper than their schema; other values use no stack.

use crate::api::json_cursor::Cursor;
use crate::api::json_index::{ESCAPED, Entry, Index, MAX_BYTES, Open};
use crate::api::schema::{
    Description, Direction, Field, JsonSchema, Presence, UnknownField, position, required_fields,
};
use crate::json_text;

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
        cursor: Cursor { json, at: start },
        index: Index::with_capacity(json.len()),
        unknown: None,
    };
    walk.cursor.skip_space();
    walk.value(schema)?;
    walk.cursor.skip_space();
    (walk.cursor.at == json.len()).then_some(Walked {
        index: walk.index,
        unknown: walk.unknown,
    })
}

struct Walk<'a> {
    cursor: Cursor<'a>,
    index: Index,
    unknown: Option<UnknownField>,
}

impl Walk<'_> {
    /// Walks through a value, whose first byte is the next one.
    #[inline(always)]
    fn value(&mut self, schema: JsonSchema) -> Option<()> {
        let schema = match schema {
            JsonSchema::Optional(_) if self.cursor.byte() == b'n' => return self.literal(b"null"),
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
            JsonSchema::Bool => match self.cursor.byte() {
                b't' => self.literal(b"true"),
                _ => self.literal(b"false"),
            },
            JsonSchema::U32 => {
                self.leaf(self.cursor.at)?;
                self.cursor.u32().map(drop)
            }
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
            if !self.cursor.goes_on(b']')? {
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
            self.cursor.colon()?;
            self.value(schema)?;
            if !self.cursor.goes_on(b'}')? {
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
                self.cursor.colon()?;
                match found {
                    Some(index) => {
                        present |= 1 << index;
                        next = index + 1;
                        let field = &fields[index];
                        match field.presence {
                            Presence::Defaulted if self.cursor.byte() == b'n' => {
                                self.literal(b"null")?
                            }
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
                if !self.cursor.goes_on(b'}')? {
                    break;
                }
            }
            self.index.close(object);
        }
        (required_fields(fields) & !present == 0).then_some(())
    }

    /// Walks through a name if it is that of `field`.
    #[inline]
    fn usual_name(&mut self, field: Option<&Field>) -> Option<bool> {
        let at = self.cursor.at;
        let is_usual = self.cursor.usual_name(field);
        if is_usual {
            self.index.push(Entry {
                head: at as u32,
                link: (self.cursor.at - at - 2) as u32,
            })?;
        }
        Some(is_usual)
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
        position(fields, name, next)
    }

    /// Returns the bytes between the quotes of a string.
    #[inline]
    fn written(&self, string: Entry) -> &[u8] {
        let start = string.head as usize + 1;
        &self.cursor.json[start..start + (string.link & !ESCAPED) as usize]
    }

    /// Walks through any value, without recursion.
    fn any(&mut self) -> Option<()> {
        let mut innermost = Open::NONE;
        loop {
            // A value, whose first byte is the next one.
            let opened = match self.cursor.byte() {
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
                    if self.cursor.goes_on(bracket)? {
                        break;
                    }
                    innermost = self.index.close(innermost);
                }
            }
            if innermost.is_object() {
                self.string()?;
                self.cursor.colon()?;
            }
        }
    }

    /// Skips the opening bracket of a container, and the white space after it. Returns `None` inside
    /// if it has no children; its end is then skipped too.
    #[inline]
    fn open(&mut self, bracket: u8, outer: Open) -> Option<Option<Open>> {
        let at = self.cursor.at;
        if !self.cursor.open(bracket)? {
            self.leaf(at)?;
            return Some(None);
        }
        self.index.open(bracket == b'{', outer).map(Some)
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
        self.leaf(self.cursor.at)?;
        self.cursor.literal(literal)
    }

    fn number(&mut self) -> Option<()> {
        self.leaf(self.cursor.at)?;
        self.cursor.number()
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
        let at = self.cursor.at;
        let string = self.cursor.string()?;
        let escaped = if string.is_escaped { ESCAPED } else { 0 };
        let entry = Entry {
            head: at as u32,
            link: string.length as u32 | escaped,
        };
        self.index.push(entry)?;
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
    fn walk_accepts_a_required_field_twice() {
        static FIELDS: [Field; 1] = [Field {
            name: "id",
            json: "id",
            rust_type: "String",
            presence: Presence::Required,
            doc: "",
            schema: JsonSchema::Text,
        }];
        static OBJECT: Description = Description::Object {
            name: "Item",
            doc: "",
            direction: Direction::Response,
            fields: &FIELDS,
        };
        for (json, expected) in [
            (r#"{"id":"a"}"#, true),
            (r#"{"id":"a","id":"b"}"#, true),
            (r#"{"id":"a","new":[],"id":"b"}"#, true),
            (r#"{"new":[]}"#, false),
            ("{}", false),
        ] {
            let walked = walk(JsonSchema::Described(&OBJECT), json.as_bytes(), 0);
            assert_eq!(walked.is_some(), expected, "{json}");
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
