//! Identifiers of one language from those of another.

/// Returns `cluster_uuid` for `clusterUuid` and `ClusterUuid`.
pub(crate) fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for (at, c) in camel.char_indices() {
        if c.is_ascii_uppercase() && at > 0 {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
