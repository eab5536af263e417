//! Cluster status over time.

use std::time::Duration;

use serde_json::{Map, Value};

/// Field of the status of the cluster as a whole.
pub(crate) const READY: &str = "ready";

/// Status value of a cluster or component in operation.
pub(crate) const HEALTHY: &str = "Healthy";

/// Values until a time.
pub(crate) type Step = (Duration, Map<String, Value>);

/// Precomputed timeline of the `status` object.
#[derive(Clone)]
pub(crate) struct Status {
    /// Ascending by time.
    steps: Vec<Step>,
    /// Values after the last step.
    last: Map<String, Value>,
}

impl Status {
    /// Returns a constant status.
    pub(crate) fn fixed(values: Map<String, Value>) -> Self {
        Self {
            steps: Vec::new(),
            last: values,
        }
    }

    /// Returns a constant status with the same value for the cluster and all components.
    pub(crate) fn same(value: &str, optimize: bool) -> Self {
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
                .map(|component| (component.into(), value.into()))
                .collect(),
        )
    }

    /// Returns a timeline from `value` to `result`: components in sequence, the cluster last.
    #[must_use]
    pub(crate) fn towards(
        &self,
        value: &str,
        result: &str,
        from: Duration,
        takes: Duration,
    ) -> Self {
        let mut values = self.all(value);
        let components: Vec<String> = values
            .keys()
            .filter(|component| *component != READY)
            .cloned()
            .collect();
        let share = takes / (components.len() as u32 + 1);
        let mut steps = Vec::with_capacity(components.len() + 1);
        let mut until = from;
        for component in components {
            until += share;
            steps.push((until, values.clone()));
            values.insert(component, result.into());
        }
        steps.push((from + takes, values));
        Self {
            steps,
            last: self.all(result),
        }
    }

    /// Returns the timeline of a restore: suspended, then resumed.
    #[must_use]
    pub(crate) fn during_restore(&self, from: Duration, takes: Duration) -> Self {
        let suspended = takes * 3 / 4;
        let mut status = self.towards("Resuming", HEALTHY, from + suspended, takes - suspended);
        status
            .steps
            .insert(0, (from + suspended, self.all("Suspended")));
        status
    }

    /// Returns a constant status with the same components.
    #[must_use]
    pub(crate) fn all_fixed(&self, value: &str) -> Self {
        Self::fixed(self.all(value))
    }

    pub(crate) fn at(&self, now: Duration) -> &Map<String, Value> {
        self.steps
            .iter()
            .find(|(until, _)| now < *until)
            .map_or(&self.last, |(_, values)| values)
    }

    /// Returns the status of the cluster as a whole.
    pub(crate) fn ready(&self, now: Duration) -> &str {
        self.at(now)
            .get(READY)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Returns the steps and the values after the last step.
    pub(crate) fn parts(&self) -> (&[Step], &Map<String, Value>) {
        (&self.steps, &self.last)
    }

    pub(crate) fn from_parts(steps: Vec<Step>, last: Map<String, Value>) -> Self {
        Self { steps, last }
    }

    fn all(&self, value: &str) -> Map<String, Value> {
        self.last
            .keys()
            .map(|component| (component.clone(), value.into()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn towards_makes_components_healthy_before_the_cluster() {
        let takes = Duration::from_millis(600);
        let status = Status::same("Creating", true).towards(
            "Creating",
            HEALTHY,
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
    fn towards_is_immediate_with_zero_duration() {
        let status = Status::same("Creating", false).towards(
            "Creating",
            HEALTHY,
            Duration::ZERO,
            Duration::ZERO,
        );
        assert_eq!(status.ready(Duration::ZERO), "Healthy");
    }
}
