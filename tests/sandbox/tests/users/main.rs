//! Tests of users' programs in other languages and tools against the mock server.
//!
//! A test whose tool is missing prints its name and checks nothing; with `CI=true` it fails.

#![cfg(unix)]

mod cmake;
#[path = "../../../support/limited.rs"]
#[allow(dead_code)]
mod limited;
mod page;
mod python;
mod rust;
mod sdk;
mod tools;
