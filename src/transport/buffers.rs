//! Buffers for ureq that are zeroized when their connection closes, because they contain tokens and
//! secrets.
//!
//! Not those of ureq, which write to every page of a buffer before its first use.

use std::fmt;

use ureq::unversioned::transport::Buffers;

use super::response_head::remove_unread_headers;
use crate::secret::wipe;

/// Size in bytes; larger than a TLS record, since responses are larger than requests.
pub(super) const INPUT_BUFFER: usize = 32 * 1024;
pub(super) const OUTPUT_BUFFER: usize = 16 * 1024;
/// Maximum number of bytes of output that wait for more: the head of a request and a small body are sent
/// together.
const MAX_PENDING: usize = OUTPUT_BUFFER / 2;
/// Part of the output buffer that ureq uses for bodies of unknown length, which the client never sends.
const TEMPORARY: usize = 1024;

/// The buffers of a connection. Both are empty until they are first used.
pub(super) struct ZeroizingBuffers {
    input: Vec<u8>,
    /// Start of the unread bytes in `input`.
    start: usize,
    /// End of the unread bytes.
    end: usize,
    /// End of the bytes that were ever written: those after it are zero.
    written: usize,
    output: Vec<u8>,
    /// Number of bytes at the start of `output` that wait to be sent.
    pending: usize,
    /// Whether the last reader of the input consumed any of it.
    progress: bool,
    /// Whether the next input is the beginning of a response: output was written since the last input.
    expects_response: bool,
}

impl ZeroizingBuffers {
    pub(super) fn new() -> Self {
        ZeroizingBuffers {
            input: Vec::new(),
            start: 0,
            end: 0,
            written: 0,
            output: Vec::new(),
            pending: 0,
            progress: false,
            expects_response: false,
        }
    }

    /// Adds what ureq has written to [`output`](Buffers::output) to the bytes that wait to be sent.
    /// Returns whether they are to be sent now; otherwise the transport sends them before it waits for
    /// input.
    pub(super) fn add_pending(&mut self, amount: usize) -> bool {
        self.pending += amount;
        self.pending > MAX_PENDING
    }

    /// Returns the bytes that wait to be sent, for the caller to send.
    pub(super) fn take_pending(&mut self) -> &[u8] {
        let pending = std::mem::take(&mut self.pending);
        &self.output[..pending]
    }

    fn wipe(&mut self) {
        wipe(&mut self.input[..self.written]);
        wipe(&mut self.output);
        (self.start, self.end, self.written) = (0, 0, 0);
    }
}

impl Drop for ZeroizingBuffers {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl fmt::Debug for ZeroizingBuffers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZeroizingBuffers").finish_non_exhaustive()
    }
}

impl Buffers for ZeroizingBuffers {
    fn output(&mut self) -> &mut [u8] {
        if self.output.is_empty() {
            self.output = vec![0; OUTPUT_BUFFER];
        }
        self.expects_response = true;
        &mut self.output[self.pending..]
    }

    fn input(&self) -> &[u8] {
        &self.input[self.start..self.end]
    }

    /// Returns the free part of the input buffer. The caller writes to no more bytes of it than it
    /// reports to [`input_appended`](Buffers::input_appended).
    fn input_append_buf(&mut self) -> &mut [u8] {
        if self.input.is_empty() {
            self.input = vec![0; INPUT_BUFFER];
        }
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.input[self.end..]
    }

    fn input_appended(&mut self, amount: usize) {
        self.end += amount;
        assert!(self.end <= self.input.len());
        self.written = self.written.max(self.end);
        // Ciphertext for TLS inside a proxy's tunnel is not a head, and is not changed.
        if std::mem::take(&mut self.expects_response) && self.end - self.start == amount {
            self.start += remove_unread_headers(&mut self.input[self.start..self.end]);
        }
    }

    fn input_consume(&mut self, amount: usize) {
        assert!(amount <= self.end - self.start);
        self.progress = amount > 0;
        self.start += amount;
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        let output = self.output();
        let (output, temporary) = output.split_at_mut(output.len() - TEMPORARY);
        (temporary, output)
    }

    fn can_use_input(&self) -> bool {
        self.progress && !self.input().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(buffers: &mut ZeroizingBuffers, bytes: &[u8]) {
        buffers.input_append_buf()[..bytes.len()].copy_from_slice(bytes);
        buffers.input_appended(bytes.len());
    }

    #[test]
    fn wipe_clears_consumed_moved_and_unread_bytes() {
        let mut buffers = ZeroizingBuffers::new();
        buffers.output().fill(b'o');
        append(&mut buffers, &[b'i'; 1000]);
        buffers.input_consume(600);
        append(&mut buffers, &[b'j'; 10]);
        buffers.input_consume(300);
        buffers.wipe();
        assert!(buffers.input().is_empty());
        assert!(buffers.output().iter().all(|byte| *byte == 0));
        let input = buffers.input_append_buf();
        assert_eq!(input.len(), INPUT_BUFFER);
        assert!(input.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn unread_headers_are_removed_only_from_the_start_of_a_response() {
        let response = b"HTTP/1.1 200 OK\r\nserver: x\r\n\r\n";
        let without = b"HTTP/1.1 200 OK\r\n\r\n";
        let mut buffers = ZeroizingBuffers::new();
        append(&mut buffers, response);
        assert_eq!(buffers.input(), response, "nothing was sent");
        buffers.input_consume(response.len());
        buffers.output();
        append(&mut buffers, response);
        assert_eq!(buffers.input(), without);
        append(&mut buffers, response);
        assert_eq!(buffers.input(), [&without[..], response].concat());
        buffers.wipe();
        assert!(buffers.input_append_buf().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn input_is_appended_after_what_is_unread() {
        let mut buffers = ZeroizingBuffers::new();
        assert!(buffers.input().is_empty());
        append(&mut buffers, b"abc");
        assert!(!buffers.can_use_input(), "nothing was consumed");
        buffers.input_consume(0);
        assert!(!buffers.can_use_input(), "a reader needs more");
        append(&mut buffers, b"def");
        buffers.input_consume(2);
        assert!(buffers.can_use_input());
        assert_eq!(buffers.input(), b"cdef");
        append(&mut buffers, b"g");
        assert_eq!(buffers.input(), b"cdefg");
        assert_eq!(buffers.input_append_buf().len(), INPUT_BUFFER - 5);
        append(&mut buffers, &[b'h'; INPUT_BUFFER - 5]);
        assert!(buffers.input_append_buf().is_empty());
        buffers.input_consume(INPUT_BUFFER);
        assert!(!buffers.can_use_input(), "nothing is left");
        assert_eq!(buffers.input_append_buf().len(), INPUT_BUFFER);
    }

    #[test]
    fn pending_output_is_before_what_is_written_next() {
        let mut buffers = ZeroizingBuffers::new();
        assert!(buffers.take_pending().is_empty());
        buffers.output()[..4].copy_from_slice(b"head");
        assert!(!buffers.add_pending(4));
        let (_, output) = buffers.tmp_and_output();
        output[..4].copy_from_slice(b"body");
        assert_eq!(output.len(), OUTPUT_BUFFER - 4 - TEMPORARY);
        assert!(!buffers.add_pending(4));
        assert_eq!(buffers.take_pending(), b"headbody");
        assert!(buffers.take_pending().is_empty());
        assert_eq!(buffers.output().len(), OUTPUT_BUFFER);
        assert!(!buffers.add_pending(MAX_PENDING));
        assert!(buffers.add_pending(1), "too much to wait");
    }

    #[test]
    fn temporary_memory_is_no_part_of_the_output() {
        let mut buffers = ZeroizingBuffers::new();
        let (temporary, output) = buffers.tmp_and_output();
        temporary.fill(b't');
        output[0] = b'o';
        assert_eq!(
            (temporary.len(), output.len()),
            (1024, OUTPUT_BUFFER - 1024)
        );
        assert_eq!(buffers.output()[..2], [b'o', 0]);
    }
}
