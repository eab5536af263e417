//! Similarity of names, for suggestions in error messages.

/// Returns the edit distance of two strings: insertions, deletions, replacements, and swaps of
/// adjacent characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(40).collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// Minimum length in bytes of an abbreviation.
const MIN_ABBREVIATION: usize = 3;

/// Returns the name that is most similar to a misspelt or abbreviated one, or `None` if none is
/// similar. Case, `_` and `-` make no difference.
pub(crate) fn nearest<'a>(
    misspelt: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let normalized = |name: &str| name.to_ascii_lowercase().replace(['_', '-'], "");
    let misspelt = normalized(misspelt);
    let rated = names.into_iter().map(|name| {
        let candidate = normalized(name);
        let is_abbreviation =
            misspelt.len() >= MIN_ABBREVIATION && candidate.starts_with(&misspelt);
        match is_abbreviation {
            true => (0, name),
            false => (edit_distance(&misspelt, &candidate), name),
        }
    });
    let (distance, name) = rated.min_by_key(|(distance, _)| *distance)?;
    (distance <= (name.len() / 3).max(1)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_is_a_similar_name() {
        let names = ["clientName", "permissions", "ip"];
        for (misspelt, expected) in [
            ("permisions", Some("permissions")),
            ("client_name", Some("clientName")),
            ("CLIENTNAME", Some("clientName")),
            ("perms", None),
            ("perm", Some("permissions")),
            ("pe", None),
            ("clientId", None),
            ("ip", Some("ip")),
            ("ipp", Some("ip")),
            ("scope", None),
            ("", None),
        ] {
            assert_eq!(nearest(misspelt, names), expected, "{misspelt:?}");
        }
        assert_eq!(nearest("name", []), None);
    }
}
