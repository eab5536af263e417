//! Pseudorandom ids, secrets and decisions. Not cryptographically secure.

use std::hash::{BuildHasher, Hasher, RandomState};

/// SplitMix64 generator.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// Returns a generator with a random seed.
    pub(crate) fn new() -> Self {
        Self::from_seed(RandomState::new().build_hasher().finish())
    }

    /// Returns a generator with a reproducible sequence.
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Makes the rest of the sequence depend on this text.
    pub(crate) fn mix(&mut self, text: &str) {
        for byte in text.bytes() {
            self.state = self.next() ^ u64::from(byte);
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff,
        )
    }

    /// Returns `length` characters from the base64url alphabet, as in client ids and secrets.
    pub(crate) fn characters(&mut self, length: usize) -> String {
        const ALPHABET: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        (0..length)
            .map(|_| char::from(ALPHABET[(self.next() >> 58) as usize]))
            .collect()
    }

    /// Returns true with this probability.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        // An f64 holds 53 bits exactly.
        ((self.next() >> 11) as f64) / ((1_u64 << 53) as f64) < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuid_has_version_4_format() {
        let mut random = Random::from_seed(7);
        for _ in 0..100 {
            let uuid = random.uuid();
            assert_eq!(uuid.len(), 36, "{uuid}");
            assert_eq!(&uuid[14..15], "4", "{uuid}");
            assert!("89ab".contains(&uuid[19..20]), "{uuid}");
        }
    }

    #[test]
    fn chance_is_never_true_for_0_and_always_for_1() {
        let mut random = Random::from_seed(7);
        assert!((0..100).all(|_| !random.chance(0.0) && random.chance(1.0)));
    }
}
