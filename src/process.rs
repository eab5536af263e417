//! State that belongs to one process: a forked child gets its own instead of its parent's copy,
//! whose locks may be held and whose files and sockets are shared.

use std::sync::OnceLock;

/// A value for each process that asks for it. Never blocks on what another process did, and never
/// drops what a parent made: it may be in use by threads that the child has not.
#[derive(Debug)]
pub(crate) struct PerProcess<T> {
    // A chain, the newest process last: unlike a value that is swapped it can be read without a
    // lock, and leak checkers see that it is reachable.
    first: OnceLock<Box<Generation<T>>>,
}

#[derive(Debug)]
struct Generation<T> {
    process: u32,
    value: T,
    child: OnceLock<Box<Generation<T>>>,
}

impl<T> Generation<T> {
    fn new(process: u32, value: T) -> Box<Self> {
        Box::new(Generation {
            process,
            value,
            child: OnceLock::new(),
        })
    }
}

impl<T> PerProcess<T> {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        PerProcess {
            first: OnceLock::new(),
        }
    }

    /// A value for the process that is running.
    pub(crate) fn with(value: T) -> Self {
        let first = Generation::new(std::process::id(), value);
        PerProcess {
            first: OnceLock::from(first),
        }
    }

    /// The value of the process that is running; `make` makes it, given its parent's if there is one.
    pub(crate) fn get(&self, make: impl Fn(Option<&T>) -> T) -> &T {
        let process = std::process::id();
        let new = |parent| Generation::new(process, make(parent));
        let mut generation = self.first.get_or_init(|| new(None));
        while let Some(child) = generation.child.get() {
            generation = child;
        }
        if generation.process != process {
            generation = generation
                .child
                .get_or_init(|| new(Some(&generation.value)));
        }
        &generation.value
    }

    /// The value of the process that is running, where it was made [`with`](Self::with) one.
    pub(crate) fn inherit(&self, make: impl Fn(&T) -> T) -> &T {
        self.get(|parent| make(parent.expect("there was a value to begin with")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_one_value() {
        let values = PerProcess::new();
        assert_eq!(*values.get(|_| 1), 1);
        assert_eq!(*values.get(|_| 2), 1);
    }

    #[test]
    fn a_child_makes_its_own_from_its_parents() {
        let parent = PerProcess {
            first: OnceLock::from(Generation::new(0, 1)),
        };
        let child =
            |values: &PerProcess<i32>| *values.get(|parent| parent.map_or(0, |one| one + 1));
        assert_eq!(child(&parent), 2);
        assert_eq!(child(&parent), 2);
    }
}
