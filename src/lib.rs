//! Client for the Camunda 8 Administration API.
#![cfg_attr(not(feature = "capi"), forbid(unsafe_code))]
#![deny(unsafe_code)]

mod auth;
mod call;
mod error;
mod secret;

pub use auth::{StoreLock, Token, TokenStore};
pub use call::{CallOptions, Cancel};
pub use error::{Error, ErrorKind, Outcome, Result, Stage};
pub use secret::Secret;
