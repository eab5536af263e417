//! Redaction of secrets in a server's messages, in case that it quotes them.

use crate::secret::Zeroizing;

/// Minimum length in bytes of a secret of a request that is redacted in messages: a shorter one is
/// likely to be a part of other words.
pub(super) const MIN_REDACTED_LEN: usize = 4;

/// Replaces secrets in a text.
pub(super) fn redacted<'a>(text: &str, secrets: impl Iterator<Item = &'a str>) -> String {
    let mut text = Zeroizing::new(text.to_owned());
    for secret in secrets.filter(|secret| !secret.is_empty()) {
        if text.contains(secret) {
            text = Zeroizing::new(text.replace(secret, "…"));
        }
    }
    std::mem::take(&mut *text)
}
