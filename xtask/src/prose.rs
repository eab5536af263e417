//! Text of documentation comments.

/// Wraps a text into lines of at most `width` characters, unless a single word is longer. The first line
/// begins with `first`, the others with `next`.
pub(crate) fn wrapped(text: &str, width: usize, first: &str, next: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::from(first);
    let mut is_empty = true;
    for part in text.split_whitespace() {
        if !is_empty && line.chars().count() + 1 + part.chars().count() > width {
            lines.push(std::mem::replace(&mut line, next.to_owned()));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(part);
        is_empty = false;
    }
    lines.push(line);
    lines
}

/// Returns the name with a capital letter.
pub(crate) fn sentence(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_counts_characters_and_keeps_long_words() {
        for (text, lines) in [
            ("", vec!["- "]),
            ("a b\n c", vec!["- a b c"]),
            ("äää äää ä", vec!["- äää", "  äää ä"]),
            ("abcdefghijk l", vec!["- abcdefghijk", "  l"]),
        ] {
            assert_eq!(wrapped(text, 8, "- ", "  "), lines, "{text}");
        }
    }
}
