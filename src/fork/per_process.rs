//! Per-process state: a forked child creates its own from a copy of its parent's.

use std::any::Any;

use once_cell::race::OnceBox;

use super::{Mutex, fork_count, inconsistent_since, interrupted_since, watch};

/// A value per process.
///
/// Reading it takes no lock. Two threads that are the first may both create a value, of which one
/// is kept: with a cell that blocks one of them, a child forked in the meantime would block
/// forever.
#[derive(Debug)]
pub(crate) struct PerProcess<T: Send + 'static> {
    // A chain, the newest process last.
    first: OnceBox<ProcessValue<T>>,
}

/// The value of one process.
#[derive(Debug)]
struct ProcessValue<T: Send + 'static> {
    fork_count: u32,
    /// `None` only while it is dropped.
    value: Option<T>,
    child: OnceBox<ProcessValue<T>>,
}

/// Values of parents whose owner was dropped in a child, and which another thread of the parent may
/// have been changing at the fork. Dropping them is not safe; here leak checkers find them.
static ABANDONED: Mutex<Vec<Box<dyn Any + Send>>> = Mutex::new(Vec::new());

impl<T: Send + 'static> ProcessValue<T> {
    fn new(fork_count: u32, value: T) -> Box<Self> {
        Box::new(ProcessValue {
            fork_count,
            value: Some(value),
            child: OnceBox::new(),
        })
    }

    fn value(&self) -> &T {
        self.value.as_ref().expect("there until it is dropped")
    }
}

impl<T: Send + 'static> Drop for ProcessValue<T> {
    fn drop(&mut self) {
        if self.fork_count != fork_count()
            && self.fork_count < interrupted_since()
            && let Some(value) = self.value.take()
        {
            let value = Box::new(value);
            ABANDONED.lock().push(value);
        }
    }
}

impl<T: Send + 'static> PerProcess<T> {
    /// Returns a cell without a value.
    pub(crate) const fn new() -> Self {
        PerProcess {
            first: OnceBox::new(),
        }
    }

    /// Returns a cell with a value for the current process.
    pub(crate) fn with(value: T) -> Self {
        watch();
        PerProcess {
            first: OnceBox::with_value(ProcessValue::new(fork_count(), value)),
        }
    }

    /// Returns the value of the current process. `make` creates it from the parent's value, if
    /// there is one that is consistent.
    pub(crate) fn get(&self, make: impl Fn(Option<&T>) -> T) -> &T {
        self.get_or_make(|parent| {
            let consistent = parent.filter(|parent| parent.fork_count >= inconsistent_since());
            make(consistent.map(ProcessValue::value))
        })
    }

    /// Returns the value of the current process, of a cell created [`with`](Self::with) one. `make`
    /// must read only those parts of the parent's value that never change.
    #[inline]
    pub(crate) fn inherit(&self, make: impl Fn(&T) -> T) -> &T {
        self.get_or_make(|parent| make(parent.expect("made with a value").value()))
    }

    #[inline]
    fn get_or_make(&self, make: impl Fn(Option<&ProcessValue<T>>) -> T) -> &T {
        let fork_count = fork_count();
        let Some(mut newest) = self.first.get() else {
            return self.make_first(make);
        };
        while let Some(child) = newest.child.get() {
            newest = child;
        }
        if newest.fork_count != fork_count {
            newest = newest
                .child
                .get_or_init(|| ProcessValue::new(fork_count, make(Some(newest))));
        }
        newest.value()
    }

    #[cold]
    fn make_first(&self, make: impl Fn(Option<&ProcessValue<T>>) -> T) -> &T {
        watch();
        let fork_count = fork_count();
        let first = self
            .first
            .get_or_init(|| ProcessValue::new(fork_count, make(None)));
        first.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn get_makes_one_value_per_process() {
        let values = PerProcess::new();
        assert_eq!(*values.get(|_| 1), 1);
        assert_eq!(*values.get(|_| 2), 1);
    }

    #[cfg(unix)]
    mod forked {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering};
        use std::thread;

        use super::super::super::InUse;
        use super::*;
        use crate::fork::tests::forked_child::{Child, fork};

        #[test]
        fn get_in_child_makes_value_from_parents() {
            let values = PerProcess::new();
            let next = |values: &PerProcess<i32>| *values.get(|parent| parent.map_or(0, |n| n + 1));
            assert_eq!(next(&values), 0);
            let child = fork(|| {
                let own = next(&values) == 1 && next(&values) == 1;
                own && fork(|| next(&values) == 2).wait() == Child::Passed
            });
            assert_eq!(child.wait(), Child::Passed);
            assert_eq!(next(&values), 0);
        }

        #[test]
        fn get_in_child_does_not_wait_for_a_thread_of_the_parent() {
            static VALUES: PerProcess<u32> = PerProcess::new();
            static MAKING: AtomicBool = AtomicBool::new(false);
            static GO_ON: AtomicBool = AtomicBool::new(false);
            let making = thread::spawn(|| {
                *VALUES.get(|_| {
                    MAKING.store(true, Ordering::SeqCst);
                    while !GO_ON.load(Ordering::SeqCst) {
                        thread::yield_now();
                    }
                    1
                })
            });
            while !MAKING.load(Ordering::SeqCst) {
                thread::yield_now();
            }
            let child = fork(|| *VALUES.get(|_| 2) == 2).wait();
            GO_ON.store(true, Ordering::SeqCst);
            assert_eq!(making.join().unwrap(), 1);
            assert_eq!(child, Child::Passed);
        }

        #[test]
        fn drop_in_child_keeps_parents_value_that_was_in_use() {
            // In children, which no other test's thread shares.
            for in_use in [false, true] {
                let child = fork(|| {
                    let count = Arc::new(());
                    let values = PerProcess::with(Arc::clone(&count));
                    let using = in_use.then(InUse::begin);
                    let grandchild = fork(|| {
                        values.inherit(Arc::clone);
                        let both = Arc::strong_count(&count) == 3;
                        drop(values);
                        let kept = usize::from(in_use);
                        both && Arc::strong_count(&count) == 1 + kept
                    });
                    drop(using);
                    // The closure dropped the child's own.
                    grandchild.wait() == Child::Passed && Arc::strong_count(&count) == 1
                });
                assert_eq!(child.wait(), Child::Passed, "in use: {in_use}");
            }
        }
    }
}
