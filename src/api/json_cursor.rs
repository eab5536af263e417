//! A position in a JSON text, with what all passes over it do: skip white space, punctuation, literals,
//! numbers and strings.

use crate::api::schema::Field;
use crate::json_text::{self, are_equal};

pub(crate) struct Cursor<'a> {
    pub(crate) json: &'a [u8],
    pub(crate) at: usize,
}

/// The bytes between the quotes of a string.
#[derive(Clone, Copy)]
pub(crate) struct StringSpan {
    pub(crate) start: usize,
    pub(crate) length: usize,
    pub(crate) is_escaped: bool,
}

impl<'a> Cursor<'a> {
    /// Returns the next byte, or 0 at the end: JSON has no NUL.
    #[inline(always)]
    pub(crate) fn byte(&self) -> u8 {
        self.json.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.json.get(self.at..).unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn skip_space(&mut self) {
        while matches!(self.byte(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Skips the colon after a name, and the white space around it.
    #[inline(always)]
    pub(crate) fn colon(&mut self) -> Option<()> {
        if self.byte() != b':' {
            self.skip_space();
        }
        self.expect(b':')
    }

    /// Skips one byte, which must be this one, and the white space after it.
    #[inline(always)]
    pub(crate) fn expect(&mut self, byte: u8) -> Option<()> {
        if self.byte() != byte {
            return None;
        }
        self.at += 1;
        self.skip_space();
        Some(())
    }

    /// Skips the opening bracket of a container, and the white space after it. If the container has no
    /// children, skips its closing bracket too, and returns `false`.
    #[inline(always)]
    pub(crate) fn open(&mut self, bracket: u8) -> Option<bool> {
        self.expect(bracket)?;
        // `{` and `}` as well as `[` and `]` differ by two.
        let is_empty = self.byte() == bracket + 2;
        self.at += usize::from(is_empty);
        Some(!is_empty)
    }

    /// Skips what follows a child of a container: a comma, and returns `true`, or the closing
    /// bracket, and returns `false`.
    #[inline(always)]
    pub(crate) fn goes_on(&mut self, bracket: u8) -> Option<bool> {
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

    #[inline]
    pub(crate) fn literal(&mut self, literal: &[u8]) -> Option<()> {
        if !self.rest().starts_with(literal) {
            return None;
        }
        self.at += literal.len();
        Some(())
    }

    pub(crate) fn number(&mut self) -> Option<()> {
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
        Some(())
    }

    /// Skips digits, at least one.
    fn digits(&mut self) -> Option<()> {
        let first = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        (self.at > first).then_some(())
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        let at = self.at;
        self.number()?;
        let digits = std::str::from_utf8(&self.json[at..self.at]).ok()?;
        digits.parse().ok()
    }

    /// Skips a string. Its escapes may have unpaired surrogates.
    #[inline(always)]
    pub(crate) fn string(&mut self) -> Option<StringSpan> {
        let (b'"', rest) = self.json.get(self.at..)?.split_first()? else {
            return None;
        };
        let mut length = json_text::plain_length(rest);
        let is_escaped = rest.get(length)? != &b'"';
        if is_escaped {
            length = json_text::escaped_length(rest, length)?;
        }
        let start = self.at + 1;
        self.at = start + length + 1;
        Some(StringSpan {
            start,
            length,
            is_escaped,
        })
    }

    /// Skips a name if it is that of `field`: responses usually have the order of the reference, and
    /// comparing takes less than searching the end of the string. Returns `false` if it is not, or if it
    /// is written with escapes.
    #[inline(always)]
    pub(crate) fn usual_name(&mut self, field: Option<&Field>) -> bool {
        let Some(field) = field else {
            return false;
        };
        let name = field.json.as_bytes();
        let (start, end) = (self.at + 1, self.at + 1 + name.len());
        let is_usual = self.byte() == b'"'
            && self.json.get(end) == Some(&b'"')
            && are_equal(&self.json[start..end], name);
        if is_usual {
            self.at = end + 1;
        }
        is_usual
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn number_skips_what_serde_json_accepts() {
        let parts = [
            "", "-", "+", "0", "1", "23", ".", ".0", ".5", "e", "E", "e4", "E-4", "e+0",
        ];
        for first in parts {
            for second in parts {
                for third in parts {
                    let text = [first, second, third].concat();
                    let mut cursor = Cursor {
                        json: text.as_bytes(),
                        at: 0,
                    };
                    let is_number = cursor.number().is_some() && cursor.at == text.len();
                    let expected = serde_json::from_str::<&RawValue>(&text).is_ok();
                    assert_eq!(is_number, expected, "{text}");
                }
            }
        }
    }
}
