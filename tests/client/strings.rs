//! Enumerations of the library have one string for `as_str`, `Display`, `FromStr` and JSON.

use std::fmt::{Debug, Display};
use std::str::FromStr;

#[cfg(feature = "doctor")]
use camunda_admin::doctor;
use camunda_admin::{
    Error, ErrorKind, Idempotency, Method, Outcome, Stage, StoreRole, TokenStatus,
};
use serde_json::Value;

#[track_caller]
fn check<T>(values: &[(T, &'static str, &'static str)])
where
    T: Debug + Display + FromStr<Err = Error> + PartialEq + serde::Serialize,
    T: serde::de::DeserializeOwned,
{
    for (value, as_str, string) in values {
        assert_eq!(as_str, string);
        assert_eq!(value.to_string(), *string);
        assert_eq!(format!("{value:>20}"), format!("{string:>20}"));
        assert_eq!(string.parse::<T>().as_ref().ok(), Some(value), "{string}");
        let json = Value::from(*string);
        assert_eq!(serde_json::to_value(value).unwrap(), json);
        assert_eq!(serde_json::from_value::<T>(json).unwrap(), *value);
    }
    let error = "sideways".parse::<T>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let expected = format!("`sideways`; expected one of: {}", values[0].1);
    assert!(error.message().contains(&expected), "{error}");
}

macro_rules! strings {
    ($($value:path = $string:literal,)*) => {
        check(&[$(($value, $value.as_str(), $string)),*])
    };
}

#[test]
fn enumerations_have_one_string_for_display_parsing_and_json() {
    strings! {
        ErrorKind::InvalidArgument = "invalid_argument",
        ErrorKind::WaitFailed = "wait_failed",
        ErrorKind::Io = "io",
    }
    strings! {
        Outcome::NotSent = "not_sent",
        Outcome::Rejected = "rejected",
        Outcome::Unknown = "unknown",
        Outcome::Completed = "completed",
    }
    strings! {
        Stage::Config = "config",
        Stage::Token = "token",
        Stage::Request = "request",
        Stage::Decode = "decode",
    }
    strings! {
        Method::Get = "GET",
        Method::Post = "POST",
        Method::Put = "PUT",
        Method::Patch = "PATCH",
        Method::Delete = "DELETE",
    }
    strings! {
        Idempotency::Safe = "safe",
        Idempotency::Idempotent = "idempotent",
        Idempotency::NonIdempotent = "non_idempotent",
    }
    strings! {
        TokenStatus::Empty = "empty",
        TokenStatus::Fetching = "fetching",
        TokenStatus::Fresh = "fresh",
        TokenStatus::NeedsRefresh = "needs_refresh",
        TokenStatus::Expired = "expired",
        TokenStatus::CredentialsRejected = "credentials_rejected",
        TokenStatus::Backoff = "backoff",
    }
    strings! {
        StoreRole::Shared = "shared",
        StoreRole::Fallback = "fallback",
    }
}

#[cfg(feature = "doctor")]
#[test]
fn enumerations_of_doctor_have_one_string_for_display_parsing_and_json() {
    strings! {
        doctor::Status::Ok = "ok",
        doctor::Status::Warning = "warning",
        doctor::Status::Failed = "failed",
        doctor::Status::Skipped = "skipped",
    }
    strings! {
        doctor::Access::Allowed = "allowed",
        doctor::Access::Denied = "denied",
        doctor::Access::Failed = "failed",
        doctor::Access::NotChecked = "not_checked",
    }
}
