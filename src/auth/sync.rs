//! The locks of the shell, in one place so that the tests can put their own in.
//!
//! The standard library's rather than `parking_lot`'s: those park waiting threads in one table for
//! the whole process, whose locks a fork can leave held in the child for ever. The standard ones
//! consist of nothing but their own few bytes.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
