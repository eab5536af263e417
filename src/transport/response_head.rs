//! Removes the headers that nothing reads from a response before ureq parses it: storing a header costs
//! more than everything else that is done with it, and gateways send twenty.

use memchr::memchr;

use super::response::REQUEST_ID_HEADERS;

/// The headers that ureq and the client read, except those with a request id.
const READ_HEADERS: [&str; 8] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "location",
    "retry-after",
    "transfer-encoding",
];

/// Maximum number of lines that remain; a head with more is not changed.
const MAX_LINES: usize = 32;

/// Removes the lines of unread headers from `input`, which begins with the head of a response. Returns
/// the length of what remains.
///
/// Changes nothing if the head is incomplete, is that of an interim response, or has a line that is not
/// in the usual form, so that it is ureq that accepts or rejects what is unusual.
pub(super) fn remove_unread_headers(input: &mut [u8]) -> usize {
    let unchanged = input.len();
    let (mut kept, mut count) = ([(0, 0); MAX_LINES], 0);
    if !input.starts_with(b"HTTP/1.") || input.get(9) == Some(&b'1') {
        return unchanged;
    }
    let mut at = 0;
    loop {
        let Some(length) = memchr(b'\n', &input[at..]) else {
            return unchanged;
        };
        let next = at + length + 1;
        let [line @ .., b'\r', b'\n'] = &input[at..next] else {
            return unchanged;
        };
        if line.is_empty() {
            break;
        }
        if at == 0 || is_read(line) {
            if count == MAX_LINES {
                return unchanged;
            }
            kept[count] = (at, next);
            count += 1;
        } else if !is_usual(line) {
            return unchanged;
        }
        at = next;
    }
    let mut length = 0;
    for (start, end) in kept[..count].iter().copied().chain([(at, unchanged)]) {
        if start != length {
            input.copy_within(start..end, length);
        }
        length += end - start;
    }
    length
}

/// Returns whether a line is a header that is read.
fn is_read(line: &[u8]) -> bool {
    let is_name = |name: &&str| {
        line.get(name.len()) == Some(&b':')
            && line[..name.len()].eq_ignore_ascii_case(name.as_bytes())
    };
    READ_HEADERS.iter().any(is_name) || REQUEST_ID_HEADERS.iter().any(is_name)
}

/// Returns whether a line is a header (RFC 9110, section 5): a token, a colon, and a value.
fn is_usual(line: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let Some(colon) = memchr(b':', line) else {
        return false;
    };
    // Without an exit inside the value, so that the compiler uses vectors.
    let is_invalid = |byte: &u8| (*byte < b' ') & (*byte != b'\t') | (*byte == 0x7f);
    let (name, value) = line.split_at(colon);
    colon > 0
        && name.iter().all(is_token)
        && !value
            .iter()
            .fold(false, |found, byte| found | is_invalid(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_unread(input: &str) -> String {
        let mut bytes = input.as_bytes().to_vec();
        let length = remove_unread_headers(&mut bytes);
        bytes.truncate(length);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn remove_unread_headers_keeps_what_is_read_and_the_body() {
        let head = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: application/json\r\nvary: a\r\n\
            CONTENT-LENGTH: 9\r\nContent-Types: x\r\nX-Request-ID: 1\r\nretry-after:\r\nCF-Ray: 2\r\n\
            x-empty:\r\n\r\n";
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nCONTENT-LENGTH: 9\r\n\
            X-Request-ID: 1\r\nretry-after:\r\nCF-Ray: 2\r\n\r\n";
        for body in ["", "Server: x\r\n\r\n"] {
            let input = format!("{head}{body}");
            assert_eq!(without_unread(&input), format!("{expected}{body}"));
        }
        assert_eq!(
            without_unread("HTTP/1.0 204 \r\na: b\r\n\r\n"),
            "HTTP/1.0 204 \r\n\r\n"
        );
    }

    #[test]
    fn remove_unread_headers_changes_no_unusual_head() {
        for line in [
            "no colon",
            ": no name",
            "with space : x",
            " folded: x",
            "\tfolded: x",
            "a(b): x",
            "a\u{e9}: x",
            "null: \0",
            "return: a\rb",
            "delete: \x7f",
            "feed: x\n",
        ] {
            for head in [
                format!("HTTP/1.1 200 OK\r\nserver: x\r\n{line}\r\n\r\nbody"),
                format!("HTTP/1.1 200 OK\r\n{line}\r\nserver: x\r\n\r\nbody"),
            ] {
                assert_eq!(without_unread(&head), head);
            }
        }
        let many = "date: x\r\n".repeat(MAX_LINES);
        for head in [
            "",
            "HTTP/1.1 200 OK\r\nserver: x\r\n",
            "HTTP/1.1 200 OK\r\nserver: x\r\n\r",
            "HTTP/1.1 100 Continue\r\nserver: x\r\n\r\n",
            "HTTP/2 200 OK\r\nserver: x\r\n\r\n",
            "\r\nHTTP/1.1 200 OK\r\nserver: x\r\n\r\n",
            "HTTP/1.1 200 OK\nserver: x\n\n",
            &format!("HTTP/1.1 200 OK\r\nserver: x\r\n{many}\r\n"),
        ] {
            assert_eq!(without_unread(head), head);
        }
    }
}
