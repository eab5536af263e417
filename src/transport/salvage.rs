//! Recovers the body of a response that could not be read, from the bytes that were received.

use std::io::{self, BufRead, Read};

use flate2::bufread;

use super::response::{GZIP, lists_any};
use crate::secret::{SecretBuffer, Zeroizing, read_to_end};

/// The first bytes of gzip data (RFC 1952).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The part of a body that was recovered after its response could not be read.
pub(super) struct Salvaged {
    pub(super) body: Zeroizing<Vec<u8>>,
    /// Whether `body` is compressed, because no byte of it could be decompressed.
    pub(super) compressed: bool,
    /// Whether `body` was decompressed.
    pub(super) decompressed: bool,
}

/// How the body of a response is encoded.
struct Encoding {
    chunked: bool,
    gzip: bool,
}

impl Encoding {
    /// Reads the codings from the head of a response as it was received. The parsed headers do not have
    /// them if another crate enables ureq's feature `gzip`.
    fn of_head(head: &[u8]) -> Self {
        let has = |name: &str, codings: &[&str]| {
            head.split(|byte| *byte == b'\n').any(|line| {
                let mut parts = line.splitn(2, |byte| *byte == b':');
                let key = parts.next().unwrap_or_default().trim_ascii();
                key.eq_ignore_ascii_case(name.as_bytes())
                    && parts.next().is_some_and(|value| lists_any(value, codings))
            })
        };
        Encoding {
            chunked: has("transfer-encoding", &["chunked"]),
            gzip: has("content-encoding", &GZIP),
        }
    }
}

/// Recovers as much as possible of a body from the bytes of its response.
///
/// Joins the data of chunks, and returns the bytes from the first invalid chunk on unmodified.
/// Decompresses at most `limit` bytes. Returns `None` if no byte of the body was received.
pub(super) fn salvage(wire: &[u8], limit: u64) -> Option<Salvaged> {
    let (head, received) = split_head(wire)?;
    let encoding = Encoding::of_head(head);
    let body = match encoding.chunked {
        true => unchunk(received),
        false => Zeroizing::new(received.to_vec()),
    };
    if body.is_empty() {
        return None;
    }
    if encoding.gzip {
        let mut text = Zeroizing::new(Vec::new());
        let mut reader = bufread::MultiGzDecoder::new(ByteByByte(&body)).take(limit);
        // Fails if the data is truncated or corrupt, after returning everything before that byte.
        let _ = read_to_end(&mut reader, &mut text);
        if !text.is_empty() {
            return Some(Salvaged {
                body: text,
                compressed: false,
                decompressed: true,
            });
        }
    }
    Some(Salvaged {
        // A body that is labelled as gzip but is not is returned unmodified.
        compressed: encoding.gzip && body.starts_with(&GZIP_MAGIC),
        decompressed: false,
        body,
    })
}

/// Reader that returns one byte at a time, so that a decompressor returns everything before a corrupt
/// byte.
struct ByteByByte<'a>(&'a [u8]);

impl Read for ByteByByte<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let limit = buffer.len().min(1);
        self.0.read(&mut buffer[..limit])
    }
}

impl BufRead for ByteByByte<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(&self.0[..self.0.len().min(1)])
    }

    fn consume(&mut self, amount: usize) {
        self.0 = &self.0[amount..];
    }
}

/// Splits the final response into head and body. Returns `None` if its head is incomplete.
pub(super) fn split_head(mut wire: &[u8]) -> Option<(&[u8], &[u8])> {
    loop {
        let interim = wire.starts_with(b"HTTP/1.1 1") || wire.starts_with(b"HTTP/1.0 1");
        let mut after = 0;
        loop {
            let line = after + wire[after..].iter().position(|byte| *byte == b'\n')?;
            let is_empty = wire[after..line].trim_ascii().is_empty();
            // Parsers skip empty lines before the status line.
            let is_end = is_empty && !wire[..after].trim_ascii().is_empty();
            after = line + 1;
            if is_end {
                break;
            }
        }
        if !interim {
            return Some(wire.split_at(after));
        }
        wire = &wire[after..];
    }
}

/// Joins the data of chunks. Appends the bytes from the first invalid chunk on unmodified, but not a
/// truncated line between two chunks: it would look like a part of the data.
fn unchunk(mut rest: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut body = SecretBuffer::with_capacity(rest.len());
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = rest[..end].split(|byte| *byte == b';').next();
        let size = line
            .and_then(|line| std::str::from_utf8(line.trim_ascii()).ok())
            .and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let Some(size) = size else { break };
        let data = &rest[end + 1..];
        let (data, after) = data.split_at(size.min(data.len()));
        body.extend(data);
        rest = after
            .strip_prefix(b"\r\n")
            .or_else(|| after.strip_prefix(b"\n"))
            .unwrap_or(after);
        if size == 0 {
            return body.into_bytes();
        }
    }
    if !is_truncated_chunk_line(rest) {
        body.extend(rest);
    }
    body.into_bytes()
}

/// Returns whether `line` is the beginning of the line with the size of a chunk, or of the line break
/// before it.
fn is_truncated_chunk_line(line: &[u8]) -> bool {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let after = &line[digits.count()..];
    matches!(after, [] | [b'\r'] | [b';', ..]) && !after.contains(&b'\n')
}
