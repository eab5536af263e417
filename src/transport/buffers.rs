//! Buffers for ureq that are zeroized when their connection closes, because they contain tokens and
//! secrets.

use ureq::unversioned::transport::{Buffers, LazyBuffers};

use crate::secret::wipe;

/// Size in bytes; larger than a TLS record, since responses are larger than requests.
pub(super) const INPUT_BUFFER: usize = 32 * 1024;
pub(super) const OUTPUT_BUFFER: usize = 16 * 1024;

#[derive(Debug)]
pub(super) struct ZeroizingBuffers(LazyBuffers);

impl ZeroizingBuffers {
    pub(super) fn new() -> Self {
        ZeroizingBuffers(LazyBuffers::new(INPUT_BUFFER, OUTPUT_BUFFER))
    }

    fn wipe(&mut self) {
        // After this, the append buffer covers the whole input buffer.
        let unread = self.0.input().len();
        self.0.input_consume(unread);
        wipe(self.0.input_append_buf());
        wipe(self.0.output());
    }
}

impl Drop for ZeroizingBuffers {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl Buffers for ZeroizingBuffers {
    fn output(&mut self) -> &mut [u8] {
        self.0.output()
    }

    fn input(&self) -> &[u8] {
        self.0.input()
    }

    fn input_append_buf(&mut self) -> &mut [u8] {
        self.0.input_append_buf()
    }

    fn input_appended(&mut self, amount: usize) {
        self.0.input_appended(amount);
    }

    fn input_consume(&mut self, amount: usize) {
        self.0.input_consume(amount);
    }

    fn tmp_and_output(&mut self) -> (&mut [u8], &mut [u8]) {
        self.0.tmp_and_output()
    }

    fn can_use_input(&self) -> bool {
        self.0.can_use_input()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wipe_clears_consumed_and_unread_bytes() {
        let mut buffers = ZeroizingBuffers::new();
        buffers.output().fill(b'o');
        buffers.input_append_buf().fill(b'i');
        buffers.input_appended(100);
        buffers.input_consume(40);
        buffers.wipe();
        assert!(buffers.output().iter().all(|byte| *byte == 0));
        assert!(buffers.input().is_empty());
        let input = buffers.input_append_buf();
        assert_eq!(input.len(), INPUT_BUFFER);
        assert!(input.iter().all(|byte| *byte == 0));
    }
}
