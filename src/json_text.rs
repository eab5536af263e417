//! Strings in JSON: where they end, and what their escapes mean. Must not depend on other modules.

/// Returns the number of bytes at the start of `json` that stand for themselves in a string: up to
/// the first quote, backslash or control character.
#[inline]
pub(crate) fn plain_length(json: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let mut rest = json;
    while let Some((chunk, after)) = rest.split_first_chunk() {
        let bytes = u64::from_le_bytes(*chunk);
        // A byte that is less than a limit gets its highest bit by the subtraction of that limit, as may
        // bytes after it. Inverting a bit makes the quote (0x22) the byte after the control characters,
        // so that one limit serves for both.
        let control_or_quote = (bytes ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
        let backslash = (bytes ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let special = (control_or_quote | backslash) & !bytes & HIGH;
        if special != 0 {
            return json.len() - rest.len() + (special.trailing_zeros() / 8) as usize;
        }
        rest = after;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    json.len() - rest.len() + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// Returns the length of a string without its quotes, whose first `plain` bytes stand for themselves.
/// `json` begins after the first quote. Returns `None` if the string is not valid or has no end.
#[cold]
pub(crate) fn escaped_length(json: &[u8], plain: usize) -> Option<usize> {
    let mut length = plain;
    loop {
        match json.get(length)? {
            b'"' => return Some(length),
            b'\\' => length += escape_length(&json[length..])?,
            _ => return None,
        }
        length += plain_length(&json[length..]);
    }
}

/// Returns the length of the escape at the start of `json`, or `None` if it is not valid. The
/// halves of a surrogate pair are two escapes.
fn escape_length(json: &[u8]) -> Option<usize> {
    match json.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => code_unit(json).map(|_| 6),
        _ => None,
    }
}

/// Returns the decoded text of a string, or `None` if its escapes are not valid UTF-16.
pub(crate) fn decoded(written: &[u8]) -> Option<String> {
    let mut text = Vec::with_capacity(written.len());
    if !decode_lossy(written, &mut text) {
        return None;
    }
    String::from_utf8(text).ok()
}

/// Returns whether the escapes of a string are valid UTF-16.
pub(crate) fn is_valid(written: &[u8]) -> bool {
    pieces(written).all(|piece| !matches!(piece, Piece::Invalid))
}

/// Decodes the bytes between the quotes of a string. Returns whether all escapes are valid UTF-16. U+FFFD
/// replaces those that are not, so the result is never longer than a `written` that is valid JSON.
pub(crate) fn decode_lossy(written: &[u8], text: &mut Vec<u8>) -> bool {
    let mut is_valid = true;
    for piece in pieces(written) {
        match piece {
            Piece::Bytes(bytes) => text.extend_from_slice(bytes),
            Piece::Char(c) => {
                let mut buffer = [0; 4];
                text.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            }
            Piece::Invalid => {
                is_valid = false;
                text.extend_from_slice(REPLACEMENT);
            }
        }
    }
    is_valid
}

/// Replaces the unpaired surrogates in the strings of a JSON text by U+FFFD, which is written with as many
/// bytes. Returns whether there were any.
pub(crate) fn replace_unpaired_surrogates(json: &mut [u8]) -> bool {
    let mut found = false;
    let mut at = 0;
    // Only strings have backslashes.
    while let Some(plain) = json[at..].iter().position(|byte| *byte == b'\\') {
        at += plain;
        at += match code_unit(&json[at..]) {
            Some(0xd800..=0xdbff)
                if matches!(code_unit(&json[at + 6..]), Some(0xdc00..=0xdfff)) =>
            {
                12
            }
            Some(0xd800..=0xdfff) => {
                json[at + 2..at + 6].copy_from_slice(b"fffd");
                found = true;
                6
            }
            _ => 2.min(json.len() - at),
        };
    }
    found
}

/// Returns the number of bytes that [`decode_lossy`] appends.
#[cfg(feature = "capi")]
pub(crate) fn decoded_length(written: &[u8]) -> usize {
    pieces(written)
        .map(|piece| match piece {
            Piece::Bytes(bytes) => bytes.len(),
            Piece::Char(c) => c.len_utf8(),
            Piece::Invalid => REPLACEMENT.len(),
        })
        .sum()
}

/// A part of a string: literal bytes, or the character of an escape.
pub(crate) enum Piece<'a> {
    Bytes(&'a [u8]),
    Char(char),
    /// An unpaired surrogate; or what is not JSON, and everything after it.
    Invalid,
}

/// U+FFFD.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Returns the parts of the bytes between the quotes of a string.
pub(crate) fn pieces(mut rest: &[u8]) -> impl Iterator<Item = Piece<'_>> {
    std::iter::from_fn(move || {
        let plain = rest
            .iter()
            .position(|byte| *byte == b'\\')
            .unwrap_or(rest.len());
        if plain > 0 {
            let (bytes, after) = rest.split_at(plain);
            rest = after;
            return Some(Piece::Bytes(bytes));
        }
        rest.first()?;
        let (piece, length) = match *rest.get(1).unwrap_or(&0) {
            b'u' => match code_unit(rest) {
                Some(high @ 0xd800..=0xdbff) => match code_unit(&rest[6..]) {
                    Some(low @ 0xdc00..=0xdfff) => {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        (char::from_u32(code), 12)
                    }
                    _ => (None, 6),
                },
                Some(code) => (char::from_u32(code), 6),
                None => (None, rest.len()),
            },
            b'b' => (Some('\u{8}'), 2),
            b'f' => (Some('\u{c}'), 2),
            b'n' => (Some('\n'), 2),
            b'r' => (Some('\r'), 2),
            b't' => (Some('\t'), 2),
            escape @ (b'"' | b'\\' | b'/') => (Some(char::from(escape)), 2),
            _ => (None, rest.len()),
        };
        rest = &rest[length..];
        Some(piece.map_or(Piece::Invalid, Piece::Char))
    })
}

/// Decodes an escape such as `\u00e9` at the start of `json` to its code unit.
fn code_unit(json: &[u8]) -> Option<u32> {
    let digits = json.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |code, digit| {
        Some(code << 4 | char::from(*digit).to_digit(16)?)
    })
}

/// Compares two names; without the call that comparing slices takes for usual lengths.
#[inline]
pub(crate) fn are_equal(one: &[u8], other: &[u8]) -> bool {
    /// Compares the first and last `N` bytes, which overlap if there are fewer than `2 * N`.
    #[inline]
    fn ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
        one.first_chunk::<N>() == other.first_chunk::<N>()
            && one.last_chunk::<N>() == other.last_chunk::<N>()
    }
    one.len() == other.len()
        && match one.len() {
            2..=3 => ends::<2>(one, other),
            4..=7 => ends::<4>(one, other),
            8..=15 => ends::<8>(one, other),
            16..=32 => ends::<16>(one, other),
            _ => one == other,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_length_ends_at_each_special_byte() {
        for special in 0..=u8::MAX {
            let is_special = special < 0x20 || [b'"', b'\\'].contains(&special);
            for position in 0..20 {
                for filler in [b' ', b'#', b'~', 0x80, 0xff] {
                    let mut json = [filler; 20];
                    json[position] = special;
                    let expected = if is_special { position } else { 20 };
                    assert_eq!(plain_length(&json), expected, "{special:#x} at {position}");
                }
            }
        }
        assert_eq!(plain_length(b""), 0);
    }

    #[test]
    fn decoded_replaces_escapes_and_rejects_invalid_ones() {
        for (written, expected) in [
            ("a", Some("a")),
            (r#"\"\\\/\b\f\n\r\t"#, Some("\"\\/\u{8}\u{c}\n\r\t")),
            (r"\u00e9\u0000", Some("é\0")),
            (r"\ud83d\ude00", Some("😀")),
            (r"\ud83d", None),
            (r"\ude00\ud83d", None),
            (r"\x", None),
            (r"a\u12", None),
            (r"\u+123", None),
            (r"\ud83d\u12", None),
            ("\\", None),
        ] {
            assert_eq!(
                decoded(written.as_bytes()).as_deref(),
                expected,
                "{written}"
            );
            assert_eq!(
                is_valid(written.as_bytes()),
                expected.is_some(),
                "{written}"
            );
        }
    }

    #[test]
    fn replace_unpaired_surrogates_changes_nothing_else() {
        for (json, expected) in [
            (r#""\ud800""#, r#""\ufffd""#),
            (r#""\uDBFF\uD800\uDC00""#, r#""\ufffd\uD800\uDC00""#),
            (r#"["\udc00\ud83d"]"#, r#"["\ufffd\ufffd"]"#),
            (r#""\ud800\n\u00e9""#, r#""\ufffd\n\u00e9""#),
            (r#""\\ud800 \ud83d\ude00""#, r#""\\ud800 \ud83d\ude00""#),
            (r#""\ud80""#, r#""\ud80""#),
            ("\"\\", "\"\\"),
        ] {
            let mut text = json.as_bytes().to_vec();
            let replaced = replace_unpaired_surrogates(&mut text);
            assert_eq!(String::from_utf8(text).unwrap(), expected);
            assert_eq!(replaced, json != expected, "{json}");
        }
    }

    #[test]
    fn are_equal_compares_every_byte() {
        for length in 0..40 {
            let one: Vec<u8> = (0..length).collect();
            assert!(are_equal(&one, &one.clone()));
            assert!(!are_equal(&one, &[&one[..], b"x"].concat()));
            for position in 0..one.len() {
                let mut other = one.clone();
                other[position] ^= 0x20;
                assert!(!are_equal(&one, &other), "{length} {position}");
            }
        }
    }
}
