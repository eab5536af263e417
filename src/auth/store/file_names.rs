//! Names, sizes and lifetimes of the files of the token store in files, on all systems.

use std::time::Duration;

use crate::auth::key::{RATE_LIMIT_PREFIX, TOKEN_PREFIX};

/// Values that were not replaced for this long belong to credentials that are no longer used.
const VALUE_TTL: Duration = Duration::from_secs(60 * 24 * 3600);
/// Temporary files of terminated processes are removed after this long.
const TEMP_FILE_TTL: Duration = Duration::from_secs(3600);

pub(super) const VALUE: &str = "value";
pub(super) const LOCK: &str = "lock";
pub(super) const TEMP_SUFFIX: &str = "new";
/// Hexadecimal digits of the digest in a name, and of the random number in a temporary file's name.
const NAME_DIGITS: usize = 32;
const RANDOM_DIGITS: usize = 16;

/// Returns how long a file of this name is kept; `None` if [`put`](crate::TokenStore::put) does not create such
/// names: the directory may contain files of other programs.
pub(crate) fn retention(file: &str) -> Option<Duration> {
    let is_hex = |text: &str, length| {
        text.len() == length
            && text
                .bytes()
                .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
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
        _ => None,
    }
}
