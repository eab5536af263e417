//! Tests of users' programs in other languages and tools against the mock server.
//!
//! A test whose tool is missing prints its name and checks nothing; with `CI=true` it fails.

#![cfg(unix)]

mod cmake;
mod page;
mod python;
mod rust;
mod sdk;
mod tools;
