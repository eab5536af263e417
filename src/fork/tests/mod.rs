//! What tests of fork safety share, here and in other modules.

pub(crate) mod forked_child;
