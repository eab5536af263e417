//! The HTTP proxy of a configuration or of the environment, and the hosts that do not use it.

use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

use crate::config::Config;
use crate::config_values::has_valid_port;
use crate::error::{Error, Result};
use crate::secret::{Secret, SecretBuffer, Zeroizing};

/// The name of the configured proxy in error messages.
const PROXY_SETTING: &str = "`proxy`";

/// A proxy, and the hosts that are connected to directly.
#[derive(Debug)]
pub(super) struct ProxySettings {
    /// Without user name and password, which ureq would leave in memory.
    pub(super) address: Proxy,
    /// `user:password`, decoded.
    pub(super) credentials: Option<Secret>,
    /// The setting or environment variable that names the proxy.
    pub(super) source: &'static str,
    excluded: Vec<Exclusion>,
}

impl Hash for ProxySettings {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let credentials = self.credentials.as_ref().map(Secret::expose);
        (&self.address, credentials, &self.excluded).hash(hasher);
    }
}

impl ProxySettings {
    /// Returns the configured proxy, else the proxy of the environment.
    pub(super) fn new(config: &Config) -> Result<Option<Self>> {
        match config.proxy() {
            Some(url) => ProxySettings::parse(PROXY_SETTING, PROXY_SETTING, url).map(Some),
            None => ProxySettings::from_variables(|name| std::env::var(name).ok()),
        }
    }

    /// Reads the proxy for `https` and its exceptions (`NO_PROXY`) from environment variables. Ignores
    /// `HTTP_PROXY`, because unencrypted requests are sent to loopback addresses only.
    fn from_variables(read: impl Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = Zeroizing::new(read(name)?);
                (!value.trim().is_empty()).then_some((*name, value))
            })
        };
        let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
        let Some((name, url)) = first(&names) else {
            return Ok(None);
        };
        let mut settings = ProxySettings::parse(&format!("the variable {name}"), name, url.trim())?;
        if let Some((_, excluded)) = first(&["NO_PROXY", "no_proxy"]) {
            let separated = excluded.split(|c: char| c == ',' || c.is_whitespace());
            settings.excluded = separated.filter_map(Exclusion::parse).collect();
        }
        Ok(Some(settings))
    }

    /// Fails for a SOCKS proxy, too: ureq would connect directly.
    fn parse(setting: &str, source: &'static str, url: &str) -> Result<Self> {
        // Does not quote the URL, which can contain a password.
        let invalid = || {
            Error::config(format!(
                "{setting} is not a valid URL of an HTTP proxy; expected for example http://proxy:3128"
            ))
        };
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user_info, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        // ureq would connect to the default port.
        if host.starts_with(':') || !has_valid_port(host) {
            return Err(invalid());
        }
        let address = Proxy::new(&format!("{scheme}://{host}")).map_err(|_| invalid())?;
        if !matches!(
            address.protocol(),
            ProxyProtocol::Http | ProxyProtocol::Https
        ) {
            return Err(Error::config(format!(
                "{setting}: {}:{} is a SOCKS proxy; expected an HTTP proxy (CONNECT)",
                address.host(),
                address.port(),
            )));
        }
        Ok(ProxySettings {
            address,
            credentials: match user_info {
                "" => None,
                _ => Some(decoded_credentials(user_info).ok_or_else(invalid)?),
            },
            source,
            excluded: Vec::new(),
        })
    }

    /// Returns whether the host of a URL is connected to directly.
    pub(super) fn excludes(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default();
        // Only loopback hosts may have the scheme `http`, and they use no proxy.
        let port = uri.port_u16().unwrap_or(443);
        let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        self.excluded.iter().any(|it| it.matches(host, port))
    }
}

/// Decodes user name and password in a URL, and returns them with a colon in between; `None` if they
/// contain characters that a URL cannot have, or are not UTF-8.
fn decoded_credentials(user_info: &str) -> Option<Secret> {
    let is_valid = |byte: u8| byte.is_ascii_graphic() && !b"\"<>[\\]^`{|}".contains(&byte);
    if !user_info.bytes().all(is_valid) {
        return None;
    }
    let mut decoded = SecretBuffer::with_capacity(user_info.len() + 1);
    for byte in percent_decode_str(user_info) {
        decoded.extend(&[byte]);
    }
    if !user_info.contains(':') {
        decoded.push(':');
    }
    let mut text = decoded.into_string()?;
    Some(Secret::new(std::mem::take(&mut *text)))
}

/// An entry of `NO_PROXY`: a name or address, alone or with a port.
#[derive(Debug, Hash)]
struct Exclusion {
    hosts: Hosts,
    /// All ports if absent.
    port: Option<u16>,
}

#[derive(Debug, Hash)]
enum Hosts {
    All,
    /// The addresses that begin with so many bits of this one.
    Network(IpAddr, u32),
    /// A name in lower case and its subdomains; `.name` and `*.name`: the subdomains only.
    Name(String),
    /// Names or addresses that begin with this text.
    Prefix(String),
}

impl Exclusion {
    fn parse(entry: &str) -> Option<Self> {
        let all_ports = |hosts| Some(Exclusion { hosts, port: None });
        let address = |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let bits = |address: &IpAddr| if address.is_ipv4() { 32 } else { 128 };
        if let Some(address) = address(entry) {
            return all_ports(Hosts::Network(address, bits(&address)));
        }
        if let Some((network, length)) = entry.split_once('/') {
            let network = address(network)?;
            // No address is in a network whose length is too large.
            let length = length.parse().ok()?;
            return all_ports(Hosts::Network(network, length));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        let hosts = match address(host) {
            Some(address) => Hosts::Network(address, bits(&address)),
            None => Hosts::of_pattern(&host.to_ascii_lowercase())?,
        };
        Some(Exclusion { hosts, port })
    }

    /// `host` is in lower case, without brackets and without a dot at its end.
    fn matches(&self, host: &str, port: u16) -> bool {
        let matches = match &self.hosts {
            Hosts::All => true,
            Hosts::Network(network, length) => host
                .parse()
                .is_ok_and(|address| is_in_network(address, *network, *length)),
            Hosts::Prefix(prefix) => host.starts_with(prefix),
            Hosts::Name(name) => match host.strip_suffix(name.as_str()) {
                Some(rest) => name.starts_with('.') || rest.is_empty() || rest.ends_with('.'),
                None => false,
            },
        };
        matches && self.port.is_none_or(|it| it == port)
    }
}

impl Hosts {
    fn of_pattern(pattern: &str) -> Option<Self> {
        let is_start_of_address = |it: &str| it.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        match pattern {
            "" | "." => None,
            "*" => Some(Hosts::All),
            _ if pattern.ends_with('.') && is_start_of_address(pattern) => {
                Some(Hosts::Prefix(pattern.to_owned()))
            }
            _ => match pattern.strip_suffix('*') {
                Some(prefix) => Some(Hosts::Prefix(prefix.to_owned())),
                None => {
                    let name = pattern.strip_prefix('*').unwrap_or(pattern);
                    let name = name.strip_suffix('.').unwrap_or(name);
                    Some(Hosts::Name(name.to_owned()))
                }
            },
        }
    }
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

fn is_in_network(address: IpAddr, network: IpAddr, length: u32) -> bool {
    let differing = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros()
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (address.to_bits() ^ network.to_bits()).leading_zeros()
        }
        _ => return false,
    };
    differing >= length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Option<ProxySettings>> {
        ProxySettings::from_variables(|name| {
            let known = variables.iter().find(|(known, _)| *known == name);
            known.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn from_variables_prefers_https_proxy_over_all_proxy() {
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
            assert_eq!(
                proxy.as_ref().map(|it| it.address.host()),
                host,
                "{variables:?}"
            );
        }
    }

    #[test]
    fn from_variables_decodes_user_name_and_password() {
        let proxy = found(&[("HTTPS_PROXY", "http://us%40er:p%3Aw@proxy:3128")]);
        let proxy = proxy.unwrap().unwrap();
        let credentials = proxy.credentials.as_ref().map(Secret::expose);
        assert_eq!(credentials, Some("us@er:p:w"));
        let address = &proxy.address;
        assert_eq!((address.host(), address.port()), ("proxy", 3128));
        for (url, expected) in [
            ("proxy:3128", None),
            ("http://@proxy:3128", None),
            ("http://user@proxy:3128", Some("user:")),
            ("http://:pass@proxy:3128", Some(":pass")),
            ("http://a@b:c@proxy:3128", Some("a@b:c")),
            ("http://user:%C3%A9@proxy:3128", Some("user:\u{e9}")),
        ] {
            let proxy = found(&[("HTTPS_PROXY", url)]).unwrap().unwrap();
            let credentials = proxy.credentials.as_ref().map(Secret::expose);
            assert_eq!(credentials, expected, "{url}");
            assert!(!format!("{proxy:?}").contains("pass"), "{proxy:?}");
        }
    }

    #[test]
    fn from_variables_names_an_invalid_variable_without_its_value() {
        for url in [
            "ftp://user:hunter2@proxy",
            "http://user:hunter2@proxy:99999",
            "http://user:hunter2@proxy:port",
            "http://user:hunter2@:3128",
            "http://user:hunter2/2@proxy:3128",
            "user:hunter2@proxy:0",
            "http://user:hunter2%FF@proxy:3128",
            "http://user:hunter2<@proxy:3128",
            "http://user:hunter2 @proxy:3128",
        ] {
            let error = found(&[("HTTPS_PROXY", url)]).expect_err(url);
            assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn from_variables_accepts_ports_and_addresses() {
        for (url, expected) in [
            ("proxy:65535", ("proxy", 65535)),
            ("http://[::1]:3128/", ("[::1]", 3128)),
            ("https://user:p%3Aw@proxy:1/path", ("proxy", 1)),
        ] {
            let proxy = found(&[("HTTPS_PROXY", url)]).unwrap().expect(url);
            let address = proxy.address;
            assert_eq!((address.host(), address.port()), expected, "{url}");
        }
    }

    #[test]
    fn from_variables_excludes_hosts_of_no_proxy() {
        let excluded = "localhost, example.com,.internal , *.wild,10.0.0.1,10.1.0.0/16,192.168.7.,\
                        fd00::1,fe80::/10,[::1]:443,ported.example:443 other.example:8443\t\
                        spaced.example,trailing.example.,10.0.0.0/33,nonsense:x,/8,:443,.";
        let proxy = found(&[("HTTPS_PROXY", "proxy"), ("no_proxy", excluded)]);
        let proxy = proxy.unwrap().unwrap();
        for (host, expected) in [
            ("example.com", true),
            ("EXAMPLE.com", true),
            ("api.example.com", true),
            ("notexample.com", false),
            ("a.internal", true),
            ("a.wild", true),
            ("example.com.", true),
            ("10.0.0.1", true),
            ("10.0.0.11", false),
            ("camunda.io", false),
            ("10.1.2.3", true),
            ("10.2.2.3", false),
            ("192.168.7.1", true),
            ("192.168.70.1", false),
            ("[fd00::1]", true),
            ("[fd00:0:0::1]:8443", true),
            ("[fd00::2]", false),
            ("[fe80:1::1]", true),
            ("[::1]", true),
            ("[::1]:8443", false),
            ("ported.example", true),
            ("ported.example:8443", false),
            ("other.example:8443", true),
            ("other.example", false),
            ("spaced.example", true),
            ("trailing.example", true),
        ] {
            let uri = format!("https://{host}/").parse().unwrap();
            assert_eq!(proxy.excludes(&uri), expected, "{host}");
        }
    }
}
