//! Faults of a sandbox: selects the fault to inject, and counts.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

use super::effect::Effect;
use super::fault::Fault;
use super::matcher::Candidate;

/// Fault with an id and counters.
#[derive(Clone)]
struct Registered {
    id: u64,
    fault: Fault,
    skip: u64,
    remaining: Option<u64>,
    fired: u64,
}

impl Registered {
    fn to_json(&self) -> Value {
        let mut json = self.fault.to_json();
        json.insert("id".into(), self.id.into());
        json.insert("fired".into(), self.fired.into());
        json.insert("remaining".into(), self.remaining.into());
        json.into()
    }
}

/// Faults that were added, oldest first.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    active: Vec<Registered>,
    /// Faults that are used up, which requests need not be compared with.
    used_up: VecDeque<Registered>,
    count: u64,
}

/// Maximum number of used up faults that are listed.
const MAX_USED_UP: usize = 1_000;

impl Faults {
    /// Adds a fault and returns its id.
    pub(crate) fn add(&mut self, fault: Fault) -> u64 {
        self.count += 1;
        self.active.push(Registered {
            id: self.count,
            skip: fault.skip,
            remaining: fault.times,
            fired: 0,
            fault,
        });
        self.count
    }

    /// Returns whether no fault can be injected.
    pub(crate) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.active.clear();
        self.used_up.clear();
    }

    /// Removes a fault. Returns false if it does not exist.
    pub(crate) fn remove(&mut self, id: u64) -> bool {
        let count = self.active.len() + self.used_up.len();
        self.active.retain(|fault| fault.id != id);
        self.used_up.retain(|fault| fault.id != id);
        self.active.len() + self.used_up.len() < count
    }

    fn iter(&self) -> impl Iterator<Item = &Registered> {
        self.used_up.iter().chain(&self.active)
    }

    /// Returns how often a fault was injected, or `None` if it does not exist.
    pub(crate) fn fired(&self, id: u64) -> Option<u64> {
        self.iter()
            .find(|fault| fault.id == id)
            .map(|fault| fault.fired)
    }

    pub(crate) fn get(&self, id: u64) -> Option<Value> {
        self.iter()
            .find(|fault| fault.id == id)
            .map(Registered::to_json)
    }

    /// Returns all faults by id, or only those that were never injected.
    pub(crate) fn list(&self, only_unused: bool) -> Vec<Value> {
        let mut faults: Vec<&Registered> = self
            .iter()
            .filter(|fault| !only_unused || fault.fired == 0)
            .collect();
        faults.sort_unstable_by_key(|fault| fault.id);
        faults.into_iter().map(Registered::to_json).collect()
    }

    /// Returns the id and the effect of the fault to inject into this request, if any.
    ///
    /// `client_id` and the body are only evaluated if a fault depends on them.
    pub(crate) fn inject(
        &mut self,
        candidate: &Candidate<'_>,
        client_id: impl Fn() -> Option<String>,
    ) -> Option<(u64, Arc<Effect>)> {
        let index = self.active.iter_mut().position(|registered| {
            if !registered.fault.matcher.matches(candidate, &client_id) {
                return false;
            }
            if registered.skip > 0 {
                registered.skip -= 1;
                return false;
            }
            registered
                .fault
                .chance
                .as_mut()
                .is_none_or(|chance| chance.random.chance(chance.probability))
        })?;
        let registered = &mut self.active[index];
        registered.fired += 1;
        let injected = (registered.id, Arc::clone(&registered.fault.effect));
        if let Some(remaining) = &mut registered.remaining {
            *remaining = remaining.saturating_sub(1);
            if *remaining == 0 {
                let used_up = self.active.remove(index);
                if self.used_up.len() >= MAX_USED_UP {
                    self.used_up.pop_front();
                }
                self.used_up.push_back(used_up);
            }
        }
        Some(injected)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use serde_json::json;

    use super::*;

    fn injected(fault: Fault, requests: usize) -> Vec<bool> {
        let mut faults = Faults::default();
        faults.add(fault);
        let candidate = Candidate {
            operation: "GET /clusters",
            method: "GET",
            path: "/clusters",
            headers: &HeaderMap::from_iter([(
                axum::http::header::USER_AGENT,
                "a/1".parse().unwrap(),
            )]),
            body: br#"{"name":"a"}"#,
        };
        (0..requests)
            .map(|_| faults.inject(&candidate, || Some("c".into())).is_some())
            .collect()
    }

    #[test]
    fn inject_honours_skip_times_and_matchers() {
        let fault = Fault::on("GET /clusters");
        assert_eq!(injected(fault.clone(), 2), [true, false]);
        assert_eq!(
            injected(fault.clone().skip(1).times(2), 4),
            [false, true, true, false]
        );
        assert_eq!(injected(fault.clone().always(), 3), [true, true, true]);
        assert_eq!(injected(Fault::on("GET /members"), 1), [false]);
        assert_eq!(injected(Fault::on_token(), 1), [false]);
        assert_eq!(injected(Fault::on_path("/clus"), 1), [true]);
        assert_eq!(injected(Fault::on_any().method("post"), 1), [false]);
        assert_eq!(injected(fault.clone().client("c"), 1), [true]);
        assert_eq!(injected(fault.clone().client("d"), 1), [false]);
        assert_eq!(
            injected(fault.clone().match_header("User-Agent", "a/1"), 1),
            [true]
        );
        assert_eq!(
            injected(fault.clone().match_header("user-agent", "a/2"), 1),
            [false]
        );
        assert_eq!(
            injected(fault.clone().match_body("/name", json!("a")), 1),
            [true]
        );
        assert_eq!(injected(fault.match_body("/name", json!("b")), 1), [false]);
    }

    #[test]
    fn inject_repeats_sequence_for_same_seed() {
        let fault = Fault::on_any().always().probability(0.5, 42);
        let first = injected(fault.clone(), 64);
        assert_eq!(first, injected(fault, 64));
        assert!(first.contains(&true) && first.contains(&false));
    }
}
