//! Report of the checks: types, JSON form (`Serialize`) and text form (`Display`).

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::error::string_enum;

/// Result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The check found no problem.
    Ok,
    /// Calls succeed, but the environment should be changed.
    Warning,
    /// Calls fail.
    Failed,
    /// The check was not run, because an earlier one failed or it does not apply.
    Skipped,
}

string_enum! { Status {
    Ok = "ok",
    Warning = "warning",
    Failed = "failed",
    Skipped = "skipped",
} }

/// A setting and its source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Setting {
    /// Key of the setting, for example `base_url`.
    pub key: &'static str,
    /// Value; `None` for a secret, and for a setting that is not set.
    pub value: Option<String>,
    /// Whether the setting has a value, secret or not.
    pub is_set: bool,
    /// Name of the variable; `default`, or `program` for a setting of
    /// [`Options::settings`](super::Options::settings) that was not read from a variable.
    pub source: String,
}

/// Result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// Name of the check: `settings`, `client_certificate`, `dns`, `tcp`, `tls`, `http`, `clock`,
    /// `token`, `token_store` or `permissions`.
    pub name: &'static str,
    /// URL of the server, for checks of a server.
    pub target: Option<String>,
    /// Result.
    pub status: Status,
    /// What the check found.
    pub message: String,
    /// What to do about a problem.
    pub advice: Option<String>,
    /// Duration, for network steps. `Serialize` writes it as `duration_ms`, in milliseconds with
    /// decimals.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Option<Duration>,
}

/// Whether the credentials may read a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// The API returned the resource.
    Allowed,
    /// The API denied access (HTTP 403).
    Denied,
    /// The request failed for another reason.
    Failed,
    /// No request was sent.
    NotChecked,
}

string_enum! { Access {
    Allowed = "allowed",
    Denied = "denied",
    Failed = "failed",
    NotChecked = "not_checked",
} }

/// Result of a read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Permission {
    /// Name of the resource, for example `clusters`.
    pub resource: &'static str,
    /// Result.
    pub access: Access,
    /// Error message, or why no request was sent.
    pub detail: Option<String>,
}

/// Report of [`run`](super::run). `Display` formats it as text; `Serialize` gives the JSON of
/// `doctor --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Version of the library.
    pub version: &'static str,
    /// Whether no check failed.
    pub ok: bool,
    /// Settings that are set, and defaults.
    pub settings: Vec<Setting>,
    /// Checks in the order in which they were run.
    pub checks: Vec<Check>,
    /// Resources that the credentials may read.
    pub permissions: Vec<Permission>,
}

impl Report {
    /// Returns whether no check failed. Warnings count as success.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.ok
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "camunda-admin {}\n\nsettings", self.version)?;
        for setting in &self.settings {
            let value = match (&setting.value, setting.is_set) {
                (Some(value), _) => value.as_str(),
                (None, true) => "(hidden)",
                (None, false) => "(not set)",
            };
            writeln!(f, "  {:<22}{value}  [{}]", setting.key, setting.source)?;
        }
        writeln!(f, "\nchecks")?;
        for check in &self.checks {
            let status = match check.status {
                Status::Failed => "FAILED",
                status => status.as_str(),
            };
            write!(f, "  {status:<9}{:<20}", check.name)?;
            if let Some(target) = &check.target {
                write!(f, "{target}: ")?;
            }
            f.write_str(&check.message)?;
            if let Some(duration) = check.duration {
                write!(f, " ({:.0} ms)", duration.as_secs_f64() * 1000.0)?;
            }
            writeln!(f)?;
            if let Some(advice) = &check.advice {
                writeln!(f, "  {:<29}{advice}", "")?;
            }
        }
        if !self.permissions.is_empty() {
            writeln!(f, "\npermissions to read")?;
            for permission in &self.permissions {
                let access = permission.access.as_str().replace('_', " ");
                write!(f, "  {:<22}{access}", permission.resource)?;
                match &permission.detail {
                    Some(detail) => writeln!(f, ": {detail}")?,
                    None => writeln!(f)?,
                }
            }
        }
        let count = |status| self.checks.iter().filter(|it| it.status == status).count();
        let (failures, warnings) = (count(Status::Failed), count(Status::Warning));
        let plural = if warnings == 1 { "" } else { "s" };
        write!(f, "\n{failures} failed, {warnings} warning{plural}")
    }
}

fn milliseconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration
        .map(|it| it.as_secs_f64() * 1000.0)
        .serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_of_check_is_in_milliseconds() {
        let check = Check {
            name: "tcp",
            target: None,
            status: Status::Ok,
            message: "connected".into(),
            advice: None,
            duration: Some(Duration::from_micros(1_500)),
        };
        assert_eq!(
            serde_json::to_string(&check).unwrap(),
            r#"{"name":"tcp","target":null,"status":"ok","message":"connected","advice":null,"duration_ms":1.5}"#
        );
        let report = Report {
            version: "1.2.3",
            ok: true,
            settings: Vec::new(),
            checks: vec![check],
            permissions: Vec::new(),
        };
        let text = report.to_string();
        assert!(text.contains("connected (2 ms)"), "{text}");
    }
}
