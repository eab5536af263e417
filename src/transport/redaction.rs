//! Redaction of secrets in a server's messages, in case that it quotes them.

use crate::secret::Zeroizing;

/// Minimum length in bytes of a secret of a request that is redacted in messages: a shorter one is
/// likely to be a word of a message.
pub(super) const MIN_REDACTED_LEN: usize = 4;

/// Minimum length in bytes of a secret that is redacted within a word: a shorter one, such as `secret`
/// in tests, is likely to be a part of other words.
const MIN_LEN_WITHIN_WORD: usize = 8;

const REPLACEMENT: &str = "…";

/// Replaces secrets in a text.
pub(super) fn redacted<'a>(text: &str, secrets: impl Iterator<Item = &'a str>) -> String {
    let mut text = Zeroizing::new(text.to_owned());
    for secret in secrets.filter(|secret| !secret.is_empty()) {
        // As long as the result can be, so that no copy of a secret remains in freed memory.
        let mut result = Zeroizing::new(String::with_capacity(text.len() * REPLACEMENT.len()));
        let mut copied = 0;
        for (begin, _) in text.match_indices(secret) {
            let end = begin + secret.len();
            if secret.len() >= MIN_LEN_WITHIN_WORD || is_word(&text, begin, end) {
                result.push_str(&text[copied..begin]);
                result.push_str(REPLACEMENT);
                copied = end;
            }
        }
        if copied > 0 {
            result.push_str(&text[copied..]);
            text = result;
        }
    }
    std::mem::take(&mut *text)
}

/// Returns whether a part of a text is not a part of a longer word. An escape sequence, as in JSON,
/// belongs to no word.
fn is_word(text: &str, begin: usize, end: usize) -> bool {
    let is_in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before = &text[..begin];
    // The longest escape sequence is `\u0000`.
    let is_escape = || {
        let mut preceding = before.chars().rev().take(6);
        preceding.find(|c| !is_in_word(*c)) == Some('\\')
    };
    let begins = !before.ends_with(is_in_word) || is_escape();
    begins && !text[end..].starts_with(is_in_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_secret_is_redacted_as_a_word() {
        for (secret, text, expected) in [
            (
                "s",
                "maximum number of secrets",
                "maximum number of secrets",
            ),
            ("secret", "secrets: no secret", "secrets: no …"),
            (
                "secret",
                "secret,secret_secretsecret",
                "…,secret_secretsecret",
            ),
            ("secret", r#"{"error":"secret"}"#, r#"{"error":"…"}"#),
            ("secret", r"line\nsecret\u0009secret", r"line\n…\u0009…"),
            ("päss", "pässe päss", "pässe …"),
            (
                "s3c",
                "s3cs3c \u{7801}s3c\u{7801}",
                "s3cs3c \u{7801}…\u{7801}",
            ),
            ("", "text", "text"),
        ] {
            let redacted = redacted(text, [secret].into_iter());
            assert_eq!(redacted, expected, "{secret}");
        }
    }

    #[test]
    fn long_secret_is_redacted_everywhere() {
        let secrets = ["hunter2-hunter2", "pw-of-db"];
        let text = "xhunter2-hunter2y pw-of-dbpw-of-db";
        assert_eq!(redacted(text, secrets.into_iter()), "x…y ……");
    }
}
