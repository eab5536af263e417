//! The status words of a cluster and how they change as time goes by.

use std::time::Duration;

use serde_json::{Map, Value};

pub(crate) const READY: &str = "ready";

/// What `status` says from one moment on, written down in advance.
#[derive(Clone)]
pub(crate) struct Status {
    /// The words until a time, in order of time.
    steps: Vec<(Duration, Map<String, Value>)>,
    /// The words after all of these.
    last: Map<String, Value>,
}

impl Status {
    /// These words until an operation changes them.
    pub(crate) fn fixed(words: Map<String, Value>) -> Self {
        Self {
            steps: Vec::new(),
            last: words,
        }
    }

    /// The same word for the cluster and each of its components, until an operation changes it.
    pub(crate) fn same(word: &str, optimize: bool) -> Self {
        let components = [
            READY,
            "zeebeStatus",
            "operateStatus",
            "tasklistStatus",
            "optimizeStatus",
            "connectorsStatus",
        ];
        Self::fixed(
            components
                .into_iter()
                .filter(|component| optimize || *component != "optimizeStatus")
                .map(|component| (component.into(), word.into()))
                .collect(),
        )
    }

    /// Every component gets to `Healthy` from `word`, one after the other, the cluster last.
    #[must_use]
    pub(crate) fn towards_healthy(&self, word: &str, from: Duration, takes: Duration) -> Self {
        let mut words = self.all(word);
        let components: Vec<String> = words
            .keys()
            .filter(|component| *component != READY)
            .cloned()
            .collect();
        let share = takes / (components.len() as u32 + 1);
        let mut steps = Vec::with_capacity(components.len() + 1);
        let mut until = from;
        for component in components {
            until += share;
            steps.push((until, words.clone()));
            words.insert(component, "Healthy".into());
        }
        steps.push((from + takes, words));
        Self {
            steps,
            last: self.all("Healthy"),
        }
    }

    /// What a restore does to the cluster that it restores: suspended, then resumed.
    #[must_use]
    pub(crate) fn during_restore(&self, from: Duration, takes: Duration) -> Self {
        let suspended = takes * 3 / 4;
        let mut status = self.towards_healthy("Resuming", from + suspended, takes - suspended);
        status
            .steps
            .insert(0, (from + suspended, self.all("Suspended")));
        status
    }

    /// One word for everything, for good.
    #[must_use]
    pub(crate) fn all_fixed(&self, word: &str) -> Self {
        Self::fixed(self.all(word))
    }

    pub(crate) fn at(&self, now: Duration) -> &Map<String, Value> {
        self.steps
            .iter()
            .find(|(until, _)| now < *until)
            .map_or(&self.last, |(_, words)| words)
    }

    /// The word for the cluster as a whole.
    pub(crate) fn ready(&self, now: Duration) -> &str {
        self.at(now)
            .get(READY)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn all(&self, word: &str) -> Map<String, Value> {
        self.last
            .keys()
            .map(|component| (component.clone(), word.into()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_get_healthy_before_the_cluster_does() {
        let takes = Duration::from_millis(600);
        let status = Status::same("Creating", true).towards_healthy(
            "Creating",
            Duration::from_secs(10),
            takes,
        );
        let healthy = |at: Duration| {
            status
                .at(Duration::from_secs(10) + at)
                .values()
                .filter(|w| *w == "Healthy")
                .count()
        };
        assert_eq!(healthy(Duration::ZERO), 0);
        assert_eq!(healthy(Duration::from_millis(350)), 3);
        assert_eq!(healthy(takes - Duration::from_millis(1)), 5);
        assert_eq!(healthy(takes), 6);
    }

    #[test]
    fn no_time_at_all_is_enough() {
        let status = Status::same("Creating", false).towards_healthy(
            "Creating",
            Duration::ZERO,
            Duration::ZERO,
        );
        assert_eq!(status.ready(Duration::ZERO), "Healthy");
    }
}
