//! Checks of the environment of a client: settings, token store, clock, network, certificates and
//! permissions. The program `camunda-admin doctor` prints the [`Report`].
//!
//! Requires the crate feature `doctor`.
//!
//! ```no_run
//! use camunda_admin::doctor;
//!
//! let report = doctor::run(&doctor::Options::new())?;
//! println!("{report}");
//! assert!(report.is_ok());
//! # Ok::<(), camunda_admin::Error>(())
//! ```

mod checks;
mod findings;
mod report;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::api::admin_builder::AdminClientBuilder;
use crate::call::{CallOptions, Cancel};
use crate::error::Result;

pub(crate) use checks::check;
pub use report::{Access, Check, Permission, Report, Setting, Status};

/// Options of [`run`].
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Options {
    env_file: Option<PathBuf>,
    settings: Option<Arc<AdminClientBuilder>>,
    call: CallOptions,
}

impl Options {
    /// Returns the default options: the settings of the environment are checked.
    pub fn new() -> Self {
        Options::default()
    }

    /// Reads the settings from a credential file of the Console instead of the environment.
    pub fn env_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.env_file = Some(path.into());
        self.settings = None;
        self
    }

    /// Checks the settings of a client instead of those of the environment.
    pub fn settings(mut self, builder: AdminClientBuilder) -> Self {
        self.settings = Some(Arc::new(builder));
        self
    }

    /// Sets the timeout of the token request and of each read; default: the setting `timeout` (60 s).
    /// The token endpoint delays rejections of invalid credentials by about 30 s. The network steps of
    /// each server take at most 10 s in any case.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call = self.call.timeout(timeout);
        self
    }

    /// Sets the flag that cancels the checks.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.call = self.call.cancel(cancel);
        self
    }
}

/// Checks the environment and returns the report. Blocks.
///
/// Changes nothing: sends only `GET` requests to the API, and to each server one request without
/// credentials, whose response has the time of the server. Uses a cached token or requests one, through
/// the shared cache and its rate limit. As in every call, a token request that fails with a transient
/// error is sent up to three times, and another token is requested if the API rejects the first one or
/// the secret in `client_secret_file` has changed. The report contains no secrets.
///
/// # Errors
///
/// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled) if [`Options::cancel`] cancels the checks.
/// A check that fails is not an error: [`Report::is_ok`] returns whether all succeeded.
pub fn run(options: &Options) -> Result<Report> {
    let source = match (&options.settings, &options.env_file) {
        (Some(builder), _) => Source::Builder(builder),
        (None, Some(path)) => Source::File(path),
        (None, None) => Source::Environment,
    };
    check(&source, &options.call)
}

/// Where the settings come from.
pub(crate) enum Source<'a> {
    Environment,
    File(&'a Path),
    Builder(&'a AdminClientBuilder),
}
