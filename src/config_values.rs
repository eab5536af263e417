//! Values of settings: validation of strings, URLs and paths.
//!
//! Must not depend on `config`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;

use crate::error::{Error, Result};
use crate::secret::Secret;

/// Returns whether a host is a loopback host, to which credentials may be sent unencrypted: `localhost`
/// or a loopback address, but not an IPv6 address that contains one of IPv4.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Validates a non-empty string without control characters, since it may become part of a header or
/// of a log record.
pub(crate) fn plain(key: &str, value: &str) -> Result<String> {
    if value.is_empty() {
        return Err(Error::config(format!("`{key}`: empty")));
    }
    if value.chars().any(char::is_control) {
        return Err(Error::config(format!("`{key}`: control character")));
    }
    Ok(value.to_owned())
}

pub(crate) fn access_token(value: &str) -> Result<Secret> {
    // Other characters could end the header and inject another.
    if value.is_empty() || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::config(
            "`access_token`: invalid value; expected a token without spaces and without `Bearer`",
        ));
    }
    Ok(Secret::new(value))
}

pub(crate) fn url(key: &str, value: &str) -> Result<String> {
    let invalid = |problem: &str| {
        Error::config(format!(
            "`{key}`: {problem}; expected a URL such as https://api.cloud.camunda.io"
        ))
    };
    // The parser accepts other characters in the path, but a request may contain ASCII only.
    let uri = match value.is_ascii() {
        true => plain(key, value)?.parse::<Uri>().ok(),
        false => None,
    };
    let uri = uri.ok_or_else(|| invalid("not a valid URL"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(invalid("URL without scheme or host"));
    };
    if authority.as_str().contains('@') {
        return Err(invalid("user name or password in the URL"));
    }
    if authority.host().is_empty() {
        return Err(invalid("URL without scheme or host"));
    }
    // ureq would connect to the default port.
    if !has_valid_port(authority.as_str()) {
        return Err(invalid("invalid port"));
    }
    if uri.query().is_some() || value.contains('#') {
        return Err(invalid("query or fragment in the URL"));
    }
    match scheme {
        "https" => Ok(value.to_owned()),
        "http" if is_loopback(authority.host()) => Ok(value.to_owned()),
        "http" => Err(invalid(
            "http:// would send the credentials unencrypted and is allowed for loopback hosts only",
        )),
        _ => Err(invalid("unsupported URL scheme")),
    }
}

/// Returns whether a host has a port from 1 to 65535 after it, or none.
pub(crate) fn has_valid_port(authority: &str) -> bool {
    let after_host = authority.rsplit(']').next().unwrap_or_default();
    match after_host.rsplit_once(':') {
        None | Some((_, "")) => true,
        // `parse` accepts a sign.
        Some((_, port)) if !port.bytes().all(|byte| byte.is_ascii_digit()) => false,
        Some((_, port)) => port.parse::<u16>().is_ok_and(|port| port > 0),
    }
}

pub(crate) fn has_supported_tilde(directory: &Path) -> bool {
    let first = directory.iter().next().and_then(|name| name.to_str());
    first.is_none_or(|first| first == "~" || !first.starts_with('~'))
}

/// Name of the variable that contains the home directory.
pub(crate) const HOME: &str = if cfg!(windows) { "USERPROFILE" } else { "HOME" };

/// Returns the absolute path of a directory. `~` is the home directory; a relative path is resolved
/// against the current directory.
pub(crate) fn absolute(directory: &Path) -> Result<PathBuf> {
    let directory = match directory.strip_prefix("~") {
        Ok(rest) => {
            let home = std::env::var_os(HOME)
                .map(PathBuf::from)
                .filter(|home| home.is_absolute())
                .ok_or_else(|| {
                    Error::config(format!(
                        "`token_cache`: `~` requires the variable {HOME}, which is not set"
                    ))
                })?;
            match rest.as_os_str().is_empty() {
                true => home,
                false => home.join(rest),
            }
        }
        Err(_) => directory.to_owned(),
    };
    std::path::absolute(&directory).map_err(|error| {
        Error::config(format!(
            "`token_cache`: the current directory cannot be determined: {error}"
        ))
    })
}

pub(crate) fn seconds(key: &str, value: &str) -> Result<Duration> {
    value
        .parse::<f64>()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        // A number below 1 ns is above zero, but becomes a duration of zero.
        .filter(|timeout| !timeout.is_zero())
        .ok_or_else(|| {
            Error::config(format!(
                "`{key}`: invalid value; expected a number of seconds above zero, such as 2.5"
            ))
        })
}

pub(crate) fn valid_path(key: &str, path: &Path) -> Result<PathBuf> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(Error::config(format!("`{key}`: not a valid path")));
    }
    Ok(path.to_owned())
}

pub(crate) fn user_agent(value: &str) -> Result<String> {
    // Other characters could end the header and inject another.
    if value.is_empty() || !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(Error::config(
            "`user_agent`: invalid value; expected printable ASCII",
        ));
    }
    Ok(value.to_owned())
}
