//! Removes the headers that nothing reads from a response before ureq parses it: storing a header costs
//! more than everything else that is done with it, and gateways send twenty.

use std::io::BufRead;

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

/// Which bytes a token has (RFC 9110, section 5.6.2).
static TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        token[byte as usize] = byte.is_ascii_graphic()
            && !matches!(
                byte,
                b'"' | b'(' | b')' | b',' | b'/' | b':'..=b'@' | b'['..=b']' | b'{' | b'}'
            );
        byte += 1;
    }
    token
};

/// Removes the lines of unread headers from `input`, which begins with the head of a response, by moving
/// the other lines towards the body. Returns the position at which the response then begins.
///
/// Changes nothing if the head is incomplete, is that of an interim response, or has a line that is not
/// in the usual form, so that it is ureq that accepts or rejects what is unusual.
pub(super) fn remove_unread_headers(input: &mut [u8]) -> usize {
    if !input.starts_with(b"HTTP/1.") || input.get(9) == Some(&b'1') {
        return 0;
    }
    let (mut kept, mut count) = ([(0, 0); MAX_LINES], 0);
    let (mut start, mut lines) = (0, 0);
    loop {
        // Not with the crate memchr: at its first use it detects the features of the processor, which takes
        // 50 µs under a hypervisor.
        let Ok(length) = (&input[start..]).skip_until(b'\n') else {
            return 0;
        };
        let end = start + length;
        let [line @ .., b'\r', b'\n'] = &input[start..end] else {
            return 0;
        };
        lines += 1;
        let is_read = match line {
            [] => break,
            _ if start == 0 => true,
            _ => match name(line) {
                Some(name) => is_read(name),
                None => return 0,
            },
        };
        if is_read {
            let Some(place) = kept.get_mut(count) else {
                return 0;
            };
            *place = (start, end);
            count += 1;
        }
        start = end;
    }
    // The empty line, if it was found.
    let (head, body) = input.split_at_mut(start);
    if !body.starts_with(b"\r\n") || count + 1 == lines || !is_usual(head) {
        return 0;
    }
    let mut to = start;
    for (start, end) in kept[..count].iter().rev() {
        let room = to - (end - start);
        head.copy_within(start..end, room);
        to = room;
    }
    to
}

/// Returns the name of the header in a line, or `None` if it does not begin with a token and a colon.
fn name(line: &[u8]) -> Option<&[u8]> {
    let length = line.iter().position(|byte| !TOKEN[usize::from(*byte)])?;
    (length > 0 && line[length] == b':').then(|| &line[..length])
}

fn is_read(name: &[u8]) -> bool {
    // In a token, setting this bit makes lower case of upper case, and a letter or hyphen of nothing else.
    let is_same = |(read, byte): (u8, &u8)| read == byte | 0x20;
    let is_name = |read: &&str| read.len() == name.len() && read.bytes().zip(name).all(is_same);
    READ_HEADERS.iter().any(is_name) || REQUEST_ID_HEADERS.iter().any(is_name)
}

/// Returns whether all control characters in a head are tabs and the ends of its lines.
fn is_usual(head: &[u8]) -> bool {
    // Without an exit, so that the compiler uses vectors.
    let is_invalid = |found, (byte, next): (&u8, &u8)| {
        let is_space = matches!(byte, b'\t' | b'\n') | (*byte == b'\r') & (*next == b'\n');
        found | (*byte < b' ') & !is_space | (*byte == 0x7f)
    };
    !head.iter().zip(&head[1..]).fold(false, is_invalid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parts of responses; a sequence of them is often a valid head.
    static PIECES: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n",
        b"server: x\r\n",
        b"Server: x\r\nVary: y\r\n",
        b"Content-Type: application/json\r\n",
        b"content-length: 5\r\n",
        b"content-length : 5\r\n",
        b"CF-Ray: 1\r\n",
        b"x:\r\n",
        b"x: \ty\n",
        b" folded\r\n",
        b"(x): y\r\n",
        b"x: a\rb\r\n",
        b"x: \xff\r\n",
        b"x: \x7f\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b":",
        b"\0",
    ];

    /// What the parser that ureq uses reads of a response: its status, the headers that are read, and
    /// its body. `Err` if the parser rejects it, `None` if it is incomplete.
    type Parsed = Result<Option<(Option<u16>, Vec<(String, Vec<u8>)>, Vec<u8>)>, ()>;

    fn parsed(input: &[u8]) -> Parsed {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(input).map_err(drop)? else {
            return Ok(None);
        };
        let read = response
            .headers
            .iter()
            .map(|header| (header.name.to_lowercase(), header.value.to_vec()))
            .filter(|(name, _)| {
                READ_HEADERS.contains(&name.as_str()) || REQUEST_ID_HEADERS.contains(&name.as_str())
            });
        Ok(Some((
            response.code,
            read.collect(),
            input[length..].to_vec(),
        )))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn remove_unread_headers_leaves_what_the_parser_reads(
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..8),
        ) {
            let mut response = [PIECES[0], &pieces.concat(), b"\r\n"].concat();
            let expected = parsed(&response);
            let start = remove_unread_headers(&mut response);
            prop_assert_eq!(parsed(&response[start..]), expected);
        }
    }

    fn without_unread(input: &str) -> String {
        let mut bytes = input.as_bytes().to_vec();
        let start = remove_unread_headers(&mut bytes);
        String::from_utf8(bytes.split_off(start)).unwrap()
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
