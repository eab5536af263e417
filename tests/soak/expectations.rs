//! What one thread was told of the changes that it asked for, and what the service shows of them.

use std::collections::BTreeMap;

use camunda_admin::{ClusterClientId, Outcome};

/// What is known of a change, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The call said that it was not done.
    NotDone,
    /// Nobody knows; it may even be done later, by a request that is still under way.
    Unknown,
    Done,
    /// Done, and removed again.
    Removed,
}

impl From<Outcome> for Fate {
    fn from(outcome: Outcome) -> Fate {
        match outcome {
            Outcome::NotSent | Outcome::Rejected => Fate::NotDone,
            Outcome::Completed => Fate::Done,
            _ => Fate::Unknown,
        }
    }
}

/// Things created under names that were never used before, and removed again.
pub(crate) struct Creations {
    thread: usize,
    fates: Vec<Fate>,
    /// Those to be removed: their ids, and whether a removal may have been done already.
    there: BTreeMap<usize, (ClusterClientId, bool)>,
}

impl Creations {
    pub(crate) fn new(thread: usize) -> Creations {
        Creations {
            thread,
            fates: Vec::new(),
            there: BTreeMap::new(),
        }
    }

    pub(crate) fn next_name(&self) -> String {
        format!("t{}-{}", self.thread, self.fates.len())
    }

    pub(crate) fn created(&mut self, id: ClusterClientId) {
        self.there.insert(self.fates.len(), (id, false));
        self.fates.push(Fate::Done);
    }

    pub(crate) fn failed(&mut self, outcome: Outcome) {
        self.fates.push(outcome.into());
    }

    /// The one that is there for longest, of those that are known to be there.
    pub(crate) fn oldest(&self) -> Option<(usize, ClusterClientId)> {
        let (number, (id, _)) = self.there.first_key_value()?;
        Some((*number, id.clone()))
    }

    pub(crate) fn count(&self) -> usize {
        self.there.len()
    }

    pub(crate) fn removed(&mut self, number: usize) {
        self.there.remove(&number);
        self.fates[number] = Fate::Removed;
    }

    /// The service says that there is no such thing: somebody removed it before.
    pub(crate) fn not_there(&mut self, number: usize, outcome: Outcome) {
        let (_, removing) = self.there[&number];
        assert!(
            removing || outcome != Outcome::Rejected,
            "{number} of {} is gone, though nothing removed it",
            self.thread
        );
        self.removed(number);
    }

    pub(crate) fn removal_failed(&mut self, number: usize, outcome: Outcome) {
        if Fate::from(outcome) != Fate::NotDone {
            self.there.get_mut(&number).unwrap().1 = true;
        }
    }

    /// Holds what the service lists against what was said.
    pub(crate) fn check<'a>(
        &mut self,
        listed: impl Iterator<Item = (&'a str, &'a ClusterClientId)>,
    ) {
        let mut seen = BTreeMap::new();
        for (name, id) in listed {
            let number: usize = name
                .strip_prefix(&format!("t{}-", self.thread))
                .and_then(|number| number.parse().ok())
                .unwrap_or_else(|| panic!("{name} belongs to nobody"));
            assert!(seen.insert(number, id).is_none(), "{name} is there twice");
            match self.fates[number] {
                Fate::NotDone => panic!("{name} is there, though it was said not to be done"),
                Fate::Removed => panic!("{name} is there again"),
                Fate::Unknown | Fate::Done => {}
            }
        }
        for (number, fate) in self.fates.iter_mut().enumerate() {
            match (*fate, seen.get(&number)) {
                (_, Some(id)) => {
                    *fate = Fate::Done;
                    let there = self.there.entry(number);
                    there.or_insert_with(|| ((*id).clone(), false));
                }
                (Fate::Done, None) => {
                    let removing = self
                        .there
                        .remove(&number)
                        .is_some_and(|(_, removing)| removing);
                    assert!(
                        removing,
                        "{number} of {} was done and is not there",
                        self.thread
                    );
                    *fate = Fate::Removed;
                }
                _ => {}
            }
        }
    }
}

/// One value, set again and again, each time to another number.
#[derive(Default)]
pub(crate) struct Settings {
    fates: Vec<Fate>,
    last_done: Option<usize>,
}

impl Settings {
    pub(crate) fn next(&self) -> usize {
        self.fates.len()
    }

    pub(crate) fn set(&mut self, outcome: Outcome) {
        let fate = outcome.into();
        if fate == Fate::Done {
            self.last_done = Some(self.fates.len());
        }
        self.fates.push(fate);
    }

    /// The service shows the last that was done (none at first), or one of those of which nobody
    /// knows.
    pub(crate) fn check(&self, shown: Option<usize>) {
        let fate = shown.map(|shown| self.fates[shown]);
        assert!(
            self.last_done == shown || fate == Some(Fate::Unknown),
            "the value is {shown:?}, which was {fate:?}; the last one done is {:?}",
            self.last_done
        );
    }
}
