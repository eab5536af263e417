//! Identifiers of one language from those of another.

use camunda_admin::description::Waiter;

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

/// Returns the type of the resource that a waiter polls. A waiter that returns nothing polls a cluster.
pub(crate) fn polled_type(waiter: &Waiter) -> &'static str {
    waiter
        .response
        .map_or("Cluster", |response| response.name())
}
