//! Validation of strings that become a part of a request's path.

/// Validates a string that becomes one segment of a path; `what` names it in the error.
pub(crate) fn check_segment(what: &str, text: &str) -> crate::Result<()> {
    if text.is_empty() {
        return Err(crate::Error::invalid_argument(format!("{what} is empty")));
    }
    if has_dot_segment(text) {
        return Err(crate::Error::invalid_argument(format!(
            "{what} has a `.` or `..` segment, which servers and proxies resolve: the request \
             could reach another resource"
        )));
    }
    Ok(())
}

/// Returns whether a path has a `.` or `..` segment after repeated percent-decoding and splitting
/// at `/` and `\`.
///
/// Proxies decode `%2f` and resolve `..` before they forward a request, some of them more than
/// once, and Java servers ignore what follows `;` in a segment.
pub(crate) fn has_dot_segment(path: &str) -> bool {
    // Does not end at the first one, so that it is compiled to vector instructions.
    let is_suspect = |found, byte| found | (byte == b'.') | (byte == b'%');
    if !path.bytes().fold(false, is_suspect) {
        return false;
    }
    let hex = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let mut decoded = Vec::new();
    for byte in path.bytes() {
        decoded.push(byte);
        // A decoded byte can complete the next escape: `%%32e` is `%2e`, which is `.`.
        while let [.., b'%', high, low] = decoded[..]
            && let (Some(high), Some(low)) = (hex(high), hex(low))
        {
            decoded.truncate(decoded.len() - 3);
            decoded.push(high << 4 | low);
        }
    }
    decoded
        .split(|byte| matches!(byte, b'/' | b'\\'))
        .map(|segment| {
            segment
                .split(|byte| *byte == b';')
                .next()
                .unwrap_or_default()
        })
        .any(|segment| matches!(segment, b"." | b".."))
}
