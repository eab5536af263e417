//! Random numbers from the operating system.

use std::io;

use ring::rand::{SecureRandom, SystemRandom};

/// Fills a buffer with random bytes.
pub(crate) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    SystemRandom::new()
        .fill(bytes)
        .map_err(|_| io::Error::other("random numbers not available"))
}

/// Returns a random number.
pub(crate) fn number() -> io::Result<u64> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Returns a random number from 0 to 1, for jitter; 0 if random numbers are not available.
pub(crate) fn jitter() -> f64 {
    number().unwrap_or_default() as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_between_zero_and_one_and_differs() {
        let samples: Vec<_> = (0..100).map(|_| jitter()).collect();
        assert!(samples.iter().all(|sample| (0.0..=1.0).contains(sample)));
        assert!(samples.iter().any(|sample| *sample < 0.5));
        assert!(samples.iter().any(|sample| *sample >= 0.5));
    }
}
