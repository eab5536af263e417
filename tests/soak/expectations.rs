//! Expected state of the resources that one thread changes, derived from the outcomes of its calls, and
//! its comparison with the state on the server.

use std::collections::BTreeMap;

use camunda_admin::{ClusterClientId, Outcome};

/// Expected state of one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExpectedState {
    /// The change was not executed.
    NotExecuted,
    /// The change may have been executed, or is executed later by a request in progress.
    Unknown,
    Completed,
    /// The created resource was deleted.
    Deleted,
}

impl From<Outcome> for ExpectedState {
    fn from(outcome: Outcome) -> ExpectedState {
        match outcome {
            Outcome::NotSent | Outcome::Rejected => ExpectedState::NotExecuted,
            Outcome::Completed => ExpectedState::Completed,
            _ => ExpectedState::Unknown,
        }
    }
}

/// Cluster clients that one thread creates, with unique names, and deletes.
pub(crate) struct Creations {
    thread: usize,
    states: Vec<ExpectedState>,
    /// Existing clients by number: id, and whether a deletion may have been executed.
    existing: BTreeMap<usize, (ClusterClientId, bool)>,
}

impl Creations {
    pub(crate) fn new(thread: usize) -> Creations {
        Creations {
            thread,
            states: Vec::new(),
            existing: BTreeMap::new(),
        }
    }

    pub(crate) fn next_name(&self) -> String {
        format!("t{}-{}", self.thread, self.states.len())
    }

    pub(crate) fn created(&mut self, id: ClusterClientId) {
        self.existing.insert(self.states.len(), (id, false));
        self.states.push(ExpectedState::Completed);
    }

    pub(crate) fn failed(&mut self, outcome: Outcome) {
        self.states.push(outcome.into());
    }

    /// Returns the oldest existing client.
    pub(crate) fn oldest(&self) -> Option<(usize, ClusterClientId)> {
        let (number, (id, _)) = self.existing.first_key_value()?;
        Some((*number, id.clone()))
    }

    pub(crate) fn count(&self) -> usize {
        self.existing.len()
    }

    pub(crate) fn deleted(&mut self, number: usize) {
        self.existing.remove(&number);
        self.states[number] = ExpectedState::Deleted;
    }

    /// Records a 404 in response to a deletion; panics if no earlier deletion explains it.
    pub(crate) fn already_deleted(&mut self, number: usize, outcome: Outcome) {
        let (_, removing) = self.existing[&number];
        assert!(
            removing || outcome != Outcome::Rejected,
            "client {number} of thread {} does not exist, but was not deleted",
            self.thread
        );
        self.deleted(number);
    }

    pub(crate) fn deletion_failed(&mut self, number: usize, outcome: Outcome) {
        if ExpectedState::from(outcome) != ExpectedState::NotExecuted {
            self.existing.get_mut(&number).unwrap().1 = true;
        }
    }

    /// Compares the clients on the server with the expected state, and resolves unknown states.
    pub(crate) fn check<'a>(
        &mut self,
        listed: impl Iterator<Item = (&'a str, &'a ClusterClientId)>,
    ) {
        let mut found = BTreeMap::new();
        for (name, id) in listed {
            let number: usize = name
                .strip_prefix(&format!("t{}-", self.thread))
                .and_then(|number| number.parse().ok())
                .unwrap_or_else(|| panic!("client {name} was not created by this thread"));
            assert!(
                found.insert(number, id).is_none(),
                "client {name} exists twice"
            );
            match self.states[number] {
                ExpectedState::NotExecuted => {
                    panic!("client {name} exists, but its creation was not executed")
                }
                ExpectedState::Deleted => panic!("client {name} exists, but was deleted"),
                ExpectedState::Unknown | ExpectedState::Completed => {}
            }
        }
        for (number, state) in self.states.iter_mut().enumerate() {
            match (*state, found.get(&number)) {
                (_, Some(id)) => {
                    *state = ExpectedState::Completed;
                    let existing = self.existing.entry(number);
                    existing.or_insert_with(|| ((*id).clone(), false));
                }
                (ExpectedState::Completed, None) => {
                    let removing = self
                        .existing
                        .remove(&number)
                        .is_some_and(|(_, removing)| removing);
                    assert!(
                        removing,
                        "client {number} of thread {} was created, but does not exist",
                        self.thread
                    );
                    *state = ExpectedState::Deleted;
                }
                _ => {}
            }
        }
    }
}

/// A value that one thread sets repeatedly, each time to another number.
#[derive(Default)]
pub(crate) struct Settings {
    states: Vec<ExpectedState>,
    last_completed: Option<usize>,
}

impl Settings {
    pub(crate) fn next(&self) -> usize {
        self.states.len()
    }

    pub(crate) fn set(&mut self, outcome: Outcome) {
        let state = outcome.into();
        if state == ExpectedState::Completed {
            self.last_completed = Some(self.states.len());
        }
        self.states.push(state);
    }

    /// Checks that the value on the server is the last completed one (initially none), or one whose
    /// outcome is unknown.
    pub(crate) fn check(&self, shown: Option<usize>) {
        let state = shown.map(|shown| self.states[shown]);
        assert!(
            self.last_completed == shown || state == Some(ExpectedState::Unknown),
            "the value is {shown:?} with state {state:?}; the last completed one is {:?}",
            self.last_completed
        );
    }
}
