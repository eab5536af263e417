//! The proxy of a client: that of the settings or of the environment. `tunnel.rs` connects through it.

use ureq::{Proxy, ProxyProtocol};

use crate::config::Config;
use crate::config_values::has_valid_port;
use crate::error::{Error, Result};

/// The name of the configured proxy in error messages.
pub(super) const PROXY_SETTING: &str = "`proxy`";

/// Returns the configured proxy, else the proxy of the environment, and the setting or variable that
/// names it.
pub(super) fn configured_proxy(config: &Config) -> Result<Option<(Proxy, &'static str)>> {
    match config.proxy() {
        Some(url) => Ok(Some((parse_proxy(PROXY_SETTING, url)?, PROXY_SETTING))),
        None => proxy_from(|name| std::env::var(name).ok()),
    }
}

/// Reads the proxy for `https` and its exceptions (`NO_PROXY`) from environment variables. Ignores
/// `HTTP_PROXY`, because unencrypted requests are sent to loopback addresses only.
fn proxy_from(read: impl Fn(&str) -> Option<String>) -> Result<Option<(Proxy, &'static str)>> {
    let read = |name: &str| read(name).filter(|value| !value.trim().is_empty());
    let first = |names: &[&'static str]| {
        let found = names.iter().find_map(|name| Some((*name, read(name)?)));
        found.map(|(name, value)| (name, value.trim().to_owned()))
    };
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let Some((name, url)) = first(&names) else {
        return Ok(None);
    };
    let proxy = parse_proxy(&format!("the variable {name}"), &url)?;
    let mut builder = Proxy::builder(proxy.protocol())
        .host(proxy.host())
        .port(proxy.port());
    if let Some(username) = proxy.username() {
        builder = builder.username(username);
    }
    if let Some(password) = proxy.password() {
        builder = builder.password(password);
    }
    let (_, excluded) = first(&["NO_PROXY", "no_proxy"]).unwrap_or_default();
    for host in excluded.split(',').map(str::trim) {
        builder = builder.no_proxy(host);
        // As in curl, a name also excludes its subdomains.
        if host.starts_with(char::is_alphanumeric) {
            builder = builder.no_proxy(&format!(".{host}"));
        }
    }
    builder
        .build()
        .map(|proxy| Some((proxy, name)))
        .map_err(|_| invalid_proxy_url(&format!("the variable {name}")))
}

/// Fails for a SOCKS proxy, too: ureq would connect directly.
fn parse_proxy(setting: &str, url: &str) -> Result<Proxy> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    // ureq would connect to the default port.
    if authority.starts_with(':') || !has_valid_port(authority) {
        return Err(invalid_proxy_url(setting));
    }
    let proxy = Proxy::new(url).map_err(|_| invalid_proxy_url(setting))?;
    match proxy.protocol() {
        ProxyProtocol::Http | ProxyProtocol::Https => Ok(proxy),
        _ => Err(Error::config(format!(
            "{setting}: {}:{} is a SOCKS proxy; expected an HTTP proxy (CONNECT)",
            proxy.host(),
            proxy.port(),
        ))),
    }
}

/// Does not quote the URL, which can contain a password.
fn invalid_proxy_url(setting: &str) -> Error {
    Error::config(format!(
        "{setting} is not a valid URL of an HTTP proxy; expected for example http://proxy:3128"
    ))
}

/// Returns the URL of a proxy without its user name and password.
pub(super) fn shown_proxy(proxy: &Proxy) -> String {
    format!(
        "{}://{}:{}",
        proxy.protocol().to_string().to_ascii_lowercase(),
        proxy.host(),
        proxy.port()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Option<Proxy>> {
        proxy_from(|name| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        })
        .map(|found| found.map(|(proxy, _)| proxy))
    }

    #[test]
    fn proxy_from_prefers_https_proxy_over_all_proxy() {
        for (variables, host) in [
            (
                &[
                    ("ALL_PROXY", "socks5://socks"),
                    ("https_proxy", "http://a:1"),
                ][..],
                Some("a"),
            ),
            (&[("HTTPS_PROXY", " "), ("all_proxy", "b:2")], Some("b")),
            (&[("HTTP_PROXY", "http://plain")], None),
            (&[("NO_PROXY", "*")], None),
            (&[], None),
        ] {
            let proxy = found(variables).unwrap();
            assert_eq!(proxy.as_ref().map(Proxy::host), host, "{variables:?}");
        }
    }

    #[test]
    fn proxy_from_decodes_user_name_and_password() {
        let proxy = found(&[("HTTPS_PROXY", "http://us%40er:p%3Aw@proxy:3128")]);
        let proxy = proxy.unwrap().unwrap();
        assert_eq!(
            (proxy.username(), proxy.password()),
            (Some("us@er"), Some("p:w"))
        );
        assert_eq!((proxy.host(), proxy.port()), ("proxy", 3128));
    }

    #[test]
    fn proxy_from_names_an_invalid_variable_without_its_value() {
        for url in [
            "ftp://user:hunter2@proxy",
            "http://user:hunter2@proxy:99999",
            "http://user:hunter2@proxy:port",
            "http://user:hunter2@:3128",
            "http://user:hunter2/2@proxy:3128",
            "user:hunter2@proxy:0",
        ] {
            let error = found(&[("HTTPS_PROXY", url)]).expect_err(url);
            assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn proxy_from_accepts_ports_and_addresses() {
        for (url, expected) in [
            ("proxy:65535", ("proxy", 65535)),
            ("http://[::1]:3128/", ("[::1]", 3128)),
            ("https://user:p%3Aw@proxy:1/path", ("proxy", 1)),
        ] {
            let proxy = found(&[("HTTPS_PROXY", url)]).unwrap().expect(url);
            assert_eq!((proxy.host(), proxy.port()), expected, "{url}");
        }
    }

    #[test]
    fn proxy_from_excludes_hosts_of_no_proxy() {
        let excluded = "localhost, example.com,.internal , *.wild,10.0.0.1";
        let proxy = found(&[("HTTPS_PROXY", "proxy"), ("no_proxy", excluded)]);
        let proxy = proxy.unwrap().unwrap();
        for (host, expected) in [
            ("example.com", true),
            ("EXAMPLE.com", true),
            ("api.example.com", true),
            ("notexample.com", false),
            ("a.internal", true),
            ("a.wild", true),
            ("10.0.0.1", true),
            ("10.0.0.11", false),
            ("camunda.io", false),
        ] {
            let uri = format!("https://{host}/").parse().unwrap();
            assert_eq!(proxy.is_no_proxy(&uri), expected, "{host}");
        }
    }
}
