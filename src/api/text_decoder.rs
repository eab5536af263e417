//! Decoder of the API's types from a JSON text, in one pass.
//!
//! It accepts what the decoder with serde accepts, with the same result, but reports no reason for a
//! rejection: the caller gets it from the other decoder, which is slower.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::api::extra::{Blanks, Decoded, Extra};
use crate::api::json::Json;
use crate::api::json_cursor::Cursor;
use crate::api::place::{ListPlace, ObjectBuilder, ObjectPlace, Place};
use crate::api::schema::{Field, Presence, position, required_fields};
use crate::json_text;

/// Decodes a JSON text. Returns `false` if the other decoder rejects it, or has to decode it; the place
/// may then have a value or not.
pub(crate) fn decode(text: &str, place: Place<'_>) -> bool {
    let json = text.as_bytes();
    let mut decoder = TextDecoder {
        text,
        cursor: Cursor { json, at: 0 },
    };
    decoder.cursor.skip_space();
    let decoded = decoder.value(place);
    decoder.cursor.skip_space();
    decoded.is_some() && decoder.cursor.at == json.len()
}

struct TextDecoder<'a> {
    text: &'a str,
    cursor: Cursor<'a>,
}

impl<'a> TextDecoder<'a> {
    /// Decodes a value, whose first byte is the next one.
    fn value(&mut self, place: Place<'_>) -> Option<()> {
        match place {
            // Most values: without a call.
            Place::String(value) => *value = Some(self.string()?.into_owned()),
            Place::Text { place, .. } => place.set(&self.string()?).ok()?,
            place => self.other_value(place)?,
        }
        Some(())
    }

    /// Decodes a value that need not be a string.
    #[inline(never)]
    fn other_value(&mut self, place: Place<'_>) -> Option<()> {
        match place {
            Place::String(_) | Place::Text { .. } => return self.value(place),
            Place::Object(object) => return self.object(object),
            Place::List(list) => return self.list(list),
            Place::Bool(value) => {
                let is_true = self.cursor.byte() == b't';
                self.cursor
                    .literal(if is_true { b"true" } else { b"false" })?;
                *value = Some(is_true);
            }
            Place::U32(value) => *value = Some(self.cursor.u32()?),
            Place::Json(place) => {
                let json = Json::from_raw(self.raw()?);
                place.set(json).ok()?;
            }
            Place::Secret(value) => *value = Some(serde_json::from_str(self.raw()?.get()).ok()?),
            Place::Secrets(value) => *value = Some(serde_json::from_str(self.raw()?.get()).ok()?),
        }
        Some(())
    }

    fn object(&mut self, object: &mut dyn ObjectPlace) -> Option<()> {
        let mut is_decoded = false;
        object.decode(&mut |builder| {
            let unknown = self.fields(builder);
            is_decoded = unknown.is_some();
            unknown
        });
        is_decoded.then_some(())
    }

    fn list(&mut self, list: &mut dyn ListPlace) -> Option<()> {
        list.start();
        let mut goes_on = self.cursor.open(b'[')?;
        while goes_on {
            let mut is_decoded = false;
            list.push(&mut |place| {
                is_decoded = self.value(place).is_some();
                is_decoded
            });
            goes_on = is_decoded.then_some(self.cursor.goes_on(b']'))??;
        }
        Some(())
    }

    /// Decodes the fields of an object. Returns which of them had no value, and the unknown ones.
    fn fields(&mut self, builder: &mut dyn ObjectBuilder) -> Option<(Blanks, Extra)> {
        let fields = builder.description().fields();
        let mut blanks = Blanks::default();
        let mut extra = Extra::default();
        let mut present = 0_u64;
        let mut next = 0;
        let mut goes_on = self.cursor.open(b'{')?;
        while goes_on {
            let name = self.name(fields, next)?;
            self.cursor.colon()?;
            match name {
                Ok(position) => {
                    let place = builder.place(position)?;
                    let is_required = fields[position].presence == Presence::Required;
                    let decoded = match self.blank(&place, is_required) {
                        Some(blank) => blank,
                        None => {
                            self.value(place)?;
                            Decoded::Value
                        }
                    };
                    if decoded != Decoded::Value && present >> position & 1 != 0 {
                        builder.place(position)?.clear();
                    }
                    blanks.set(position, decoded);
                    present |= 1 << position;
                    next = position + 1;
                }
                Err(unknown) => extra.insert(unknown, Json::from_raw(self.raw()?)),
            }
            goes_on = self.cursor.goes_on(b'}')?;
        }
        (required_fields(fields) & !present == 0).then_some((blanks, extra))
    }

    /// Decodes the name of a field: its position, or the name if it is unknown. `next` is the position at
    /// which the search starts.
    #[inline]
    fn name(&mut self, fields: &[Field], next: usize) -> Option<Result<usize, Cow<'a, str>>> {
        if self.cursor.usual_name(fields.get(next)) {
            return Some(Ok(next));
        }
        let name = self.string()?;
        Some(position(fields, name.as_bytes(), next).ok_or(name))
    }

    /// Skips what a field has instead of a value, if anything.
    #[inline]
    fn blank(&mut self, place: &Place<'_>, is_required: bool) -> Option<Decoded> {
        match (self.cursor.byte(), place) {
            _ if is_required => None,
            (b'n', _) => self.cursor.literal(b"null").map(|()| Decoded::Null),
            (
                b'"',
                Place::Text {
                    empty_is_absent: true,
                    ..
                },
            ) => self.cursor.literal(b"\"\"").map(|()| Decoded::Empty),
            _ => None,
        }
    }

    /// Decodes a string. Its escapes must be valid UTF-16.
    #[inline]
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let string = self.cursor.string()?;
        let written = self.text.get(string.start..string.start + string.length)?;
        match string.is_escaped {
            true => json_text::decoded(written.as_bytes()).map(Cow::Owned),
            false => Some(Cow::Borrowed(written)),
        }
    }

    /// Skips any value, and returns its text.
    fn raw(&mut self) -> Option<&'a RawValue> {
        let rest = self.text.get(self.cursor.at..)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter();
        let raw = values.next()?.ok()?;
        self.cursor.at += values.byte_offset();
        Some(raw)
    }
}
