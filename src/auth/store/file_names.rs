//! Names, sizes and lifetimes of the files of the token store in files, on all systems.

use std::time::Duration;

use super::SECOND_LOCK;
use crate::auth::key::{RATE_LIMIT_PREFIX, TOKEN_PREFIX};

/// Values that were not replaced for this long belong to credentials that are no longer used.
const VALUE_TTL: Duration = Duration::from_secs(60 * 24 * 3600);
/// Temporary files and leases of terminated processes are removed after this long.
const TEMP_FILE_TTL: Duration = Duration::from_secs(3600);

pub(super) const VALUE: &str = "value";
pub(super) const LOCK: &str = "lock";
pub(super) const TEMP_SUFFIX: &str = "new";
/// Extension of locks on a file system that cannot lock.
pub(super) const LEASE: &str = "lease";
/// Hexadecimal digits of the number in the name of a lease.
pub(super) const LEASE_DIGITS: usize = 8;
/// Hexadecimal digits of the digest in a name, and of the random number in a temporary file's name.
const NAME_DIGITS: usize = 32;
const RANDOM_DIGITS: usize = 16;

/// Returns the number of a lease file of this lock; `None` for all other files.
#[cfg(unix)]
pub(super) fn lease_number(file: &str, lock: &str) -> Option<u32> {
    let rest = file.strip_prefix(lock)?.strip_prefix('-')?;
    let number = rest.strip_suffix(LEASE)?.strip_suffix('.')?;
    is_hex(number, LEASE_DIGITS).then(|| u32::from_str_radix(number, 16).ok())?
}

/// Returns how long a file of this name is kept; `None` if [`put`](crate::TokenStore::put) does not create such
/// names: the directory may contain files of other programs.
pub(crate) fn retention(file: &str) -> Option<Duration> {
    let (stem, extension) = file.rsplit_once('.')?;
    let rest = [TOKEN_PREFIX, RATE_LIMIT_PREFIX]
        .into_iter()
        .find_map(|prefix| stem.strip_prefix(prefix))?;
    match extension {
        VALUE => is_hex(rest, NAME_DIGITS).then_some(VALUE_TTL),
        TEMP_SUFFIX => {
            let (digest, random) = rest.split_once('-')?;
            (is_hex(digest, NAME_DIGITS) && is_hex(random, RANDOM_DIGITS)).then_some(TEMP_FILE_TTL)
        }
        LEASE => {
            let (lock, number) = rest.rsplit_once('-')?;
            let digest = lock.strip_suffix(SECOND_LOCK).unwrap_or(lock);
            (is_hex(digest, NAME_DIGITS) && is_hex(number, LEASE_DIGITS)).then_some(TEMP_FILE_TTL)
        }
        _ => None,
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    let is_digit = |it| matches!(it, b'0'..=b'9' | b'a'..=b'f');
    text.len() == digits && text.bytes().all(is_digit)
}
