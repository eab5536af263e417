//! Reads from a socket ahead of TLS, which reads one record of at most 16 KiB at a time. A large response
//! takes fewer system calls, and each of them can wake the peer, which waits for room to send.

use std::io::{self, Read};
use std::ops::Range;

use super::socket::Socket;

/// Larger ones made receiving 15 MB no faster, 64 KiB 2 % slower.
const CAPACITY: usize = 128 * 1024;

/// A socket whose peer may have sent more than TLS reads at a time.
pub(super) struct ReadAhead<S = Socket> {
    socket: S,
    /// Empty until the first response that is larger than a read of TLS. Encrypted, so not zeroized.
    buffer: Vec<u8>,
    /// The part of `buffer` that TLS has not read yet.
    unread: Range<usize>,
    /// Whether the last read of the socket filled the room that TLS gave it, so that more is expected.
    expects_more: bool,
}

impl<S: Read> ReadAhead<S> {
    pub(super) fn new(socket: S) -> Self {
        ReadAhead {
            socket,
            buffer: Vec::new(),
            unread: 0..0,
            expects_more: false,
        }
    }

    /// Returns the socket.
    pub(super) fn socket(&mut self) -> &mut S {
        &mut self.socket
    }

    /// Returns whether the next read returns bytes without reading the socket.
    pub(super) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }
}

impl<S: Read> Read for ReadAhead<S> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if self.unread.is_empty() {
            if !self.expects_more {
                let count = self.socket.read(room)?;
                self.expects_more = count == room.len();
                return Ok(count);
            }
            self.buffer.resize(CAPACITY, 0);
            let count = self.socket.read(&mut self.buffer)?;
            self.unread = 0..count;
            self.expects_more = count >= room.len();
        }
        let count = self.unread.len().min(room.len());
        let end = self.unread.start + count;
        room[..count].copy_from_slice(&self.buffer[self.unread.start..end]);
        self.unread.start = end;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns at most `at_once` bytes for each read, and counts the reads.
    struct Source {
        rest: Vec<u8>,
        at_once: usize,
        reads: usize,
    }

    impl Read for Source {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.reads += 1;
            let count = room.len().min(self.at_once).min(self.rest.len());
            room[..count].copy_from_slice(&self.rest[..count]);
            self.rest.drain(..count);
            Ok(count)
        }
    }

    fn sent(length: usize, at_once: usize) -> (Vec<u8>, ReadAhead<Source>) {
        let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let source = Source {
            rest: bytes.clone(),
            at_once,
            reads: 0,
        };
        (bytes, ReadAhead::new(source))
    }

    #[test]
    fn read_returns_every_byte_in_order() {
        for length in [0, 1, 4_096, 4_097, 70_000, 300_000] {
            for at_once in [1_000, 4_096, 16_384, usize::MAX] {
                for room in [1, 4_096, 16_406] {
                    let (bytes, mut ahead) = sent(length, at_once);
                    let mut received = Vec::new();
                    let mut buffer = vec![0; room];
                    loop {
                        match ahead.read(&mut buffer).unwrap() {
                            0 => break,
                            count => received.extend_from_slice(&buffer[..count]),
                        }
                    }
                    assert!(received == bytes, "{length} {at_once} {room}");
                    assert!(!ahead.has_unread());
                }
            }
        }
    }

    #[test]
    fn small_response_is_read_without_a_buffer() {
        let (_, mut ahead) = sent(1_500, usize::MAX);
        assert_eq!(ahead.read(&mut [0; 4_096]).unwrap(), 1_500);
        assert_eq!(ahead.read(&mut [0; 4_096]).unwrap(), 0);
        assert_eq!((ahead.buffer.capacity(), ahead.socket().reads), (0, 2));
    }

    #[test]
    fn large_response_takes_one_read_for_each_buffer() {
        let (bytes, mut ahead) = sent(4_096 + 2 * CAPACITY, usize::MAX);
        let mut received = 0;
        while received < bytes.len() {
            received += ahead.read(&mut [0; 4_096]).unwrap();
        }
        assert_eq!(ahead.socket().reads, 3);
    }

    #[test]
    fn error_of_the_socket_loses_no_byte() {
        struct Interrupted(Source);
        impl Read for Interrupted {
            fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
                if self.0.reads % 2 == 1 {
                    self.0.reads += 1;
                    return Err(io::ErrorKind::Interrupted.into());
                }
                self.0.read(room)
            }
        }
        let (bytes, ahead) = sent(200_000, 50_000);
        let mut ahead = ReadAhead::new(Interrupted(ahead.socket));
        let mut received = Vec::new();
        // Reads again after each interruption.
        ahead.read_to_end(&mut received).unwrap();
        assert!(received == bytes);
    }
}
