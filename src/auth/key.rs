//! Cache keys of tokens, keys of token hosts, and the names and labels derived from them.

use std::fmt;
use std::net::Ipv6Addr;

use ring::{digest, hkdf, hmac};

use super::{TokenRequest, TokenRequestFormat};

/// Domain separation: distinguishes keys derived here from any other use of the same secret. Changes
/// with the format of token records, so that the names of two formats differ.
const DOMAIN: &[u8] = b"camunda-admin token cache 2";

/// Domain separation of the names of rate limit records. Never changes: all versions of the library
/// have to share one rate limit.
const RATE_LIMIT_DOMAIN: &[u8] = b"camunda-admin token cache 2";

/// Prefix of the names of token records in a token store.
pub(crate) const TOKEN_PREFIX: &str = "token-";
/// Prefix of the names of rate limit records in a token store.
pub(crate) const RATE_LIMIT_PREFIX: &str = "rate-limit-";

/// Cache key: identifies all parameters of a token request.
///
/// A digest keyed with the client secret: a name derived from it reveals neither the secret nor the
/// client id, and a guess of the client id alone cannot be verified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CacheKey([u8; 32]);

/// Returns what all keys of a token request are derived from, by expanding it with different texts.
pub(super) fn key_material(request: &TokenRequest) -> hkdf::Prk {
    let secret = request.client_secret.expose().as_bytes();
    hkdf::Salt::new(hkdf::HKDF_SHA256, DOMAIN).extract(secret)
}

impl CacheKey {
    pub(crate) fn of(request: &TokenRequest) -> Self {
        let message = public_parts(request);
        let keyed = key_material(request);
        // Expanding to the length of the digest itself cannot be too long.
        let key = hmac::Key::from(keyed.expand(&[b"name"], hmac::HMAC_SHA256).unwrap());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&key, &message).as_ref());
        CacheKey(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the digest in the names of this key's records in a token store.
    ///
    /// Must not be shown in logs, errors or diagnostics: with it, a weak client secret can be
    /// guessed offline. [`label`] is for those.
    pub(crate) fn digest(&self) -> String {
        hex(&self.0[..16])
    }

    /// Returns the digest in the names of records that are used instead, if another version of the
    /// library uses the first.
    pub(crate) fn second_digest(&self) -> String {
        hex(&self.0[16..])
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheKey(..)")
    }
}

/// Returns a label for logs and diagnostics: a digest of everything in a token request but its client
/// secret. Requests that differ only in the secret have the same label.
pub(crate) fn label(request: &TokenRequest) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(DOMAIN);
    context.update(b"label");
    context.update(&public_parts(request));
    hex(&context.finish().as_ref()[..4])
}

/// Returns an unambiguous encoding of everything in a token request but its client secret.
fn public_parts(request: &TokenRequest) -> Vec<u8> {
    let mut message = Vec::new();
    for part in [
        Some(&normalized(&request.token_url)),
        Some(&request.client_id),
        Some(&request.audience),
        request.scope.as_ref(),
    ] {
        // Lengths distinguish `a` + `bc` from `ab` + `c`, the flag distinguishes "no scope" from
        // "empty".
        message.push(u8::from(part.is_some()));
        let part = part.map_or(&b""[..], |part| part.as_bytes());
        message.extend_from_slice(&(part.len() as u64).to_le_bytes());
        message.extend_from_slice(part);
    }
    // An endpoint that rejects one format may accept the other. The default adds nothing.
    if request.format != TokenRequestFormat::Json {
        message.extend_from_slice(request.format.as_str().as_bytes());
    }
    message
}

/// Identifies a token host: the scope of a token endpoint's rate limit for one source IP address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenHostKey(String);

impl TokenHostKey {
    /// Returns the key for the scheme, host and port of a URL; the port is always explicit.
    pub(crate) fn of(token_url: &str) -> Self {
        let parts = UrlParts::of(token_url);
        TokenHostKey(format!("{}://{}:{}", parts.scheme, parts.host, parts.port))
    }

    /// Returns the host in readable form.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a digest of lower-case hexadecimal digits.
    pub(crate) fn digest(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(RATE_LIMIT_DOMAIN);
        context.update(self.0.as_bytes());
        hex(&context.finish().as_ref()[..16])
    }
}

/// Returns the usual spelling of a token URL, so that clients that spell it in different ways share a
/// token: lower-case scheme and host, the short form of an IPv6 address, no default port. The path is
/// case-sensitive and stays as it is.
fn normalized(token_url: &str) -> String {
    let parts = UrlParts::of(token_url);
    let port = match parts.port.as_str() {
        port if port == parts.default_port() => String::new(),
        port => format!(":{port}"),
    };
    let path = if parts.path.is_empty() {
        "/"
    } else {
        parts.path
    };
    format!("{}://{}{port}{path}", parts.scheme, parts.host)
}

/// Parts of a URL, without user name and password.
struct UrlParts<'a> {
    /// In lower case.
    scheme: String,
    /// In lower case; an IPv6 address in its short form and in brackets.
    host: String,
    /// Explicit, without leading zeros.
    port: String,
    /// What follows the port: the path with its slash, if any, and a query.
    path: &'a str,
}

impl<'a> UrlParts<'a> {
    fn of(url: &'a str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        // An IPv6 address has colons of its own, inside its brackets.
        let after_address = host.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match host[after_address..].rfind(':') {
            Some(colon) => host.split_at(after_address + colon),
            None => (host, ""),
        };
        let address = host
            .strip_prefix('[')
            .and_then(|it| it.strip_suffix(']')?.parse::<Ipv6Addr>().ok());
        let mut parts = UrlParts {
            scheme: scheme.to_ascii_lowercase(),
            host: address.map_or(host.to_ascii_lowercase(), |it| format!("[{it}]")),
            port: port
                .trim_start_matches(':')
                .trim_start_matches('0')
                .to_owned(),
            path,
        };
        if parts.port.is_empty() {
            parts.port = parts.default_port().to_owned();
        }
        parts
    }

    fn default_port(&self) -> &'static str {
        match self.scheme.as_str() {
            "http" => "80",
            _ => "443",
        }
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn request() -> TokenRequest {
        TokenRequest {
            token_url: "https://login.example/oauth/token".into(),
            client_id: "id".into(),
            client_secret: Secret::from("hunter2"),
            audience: "api".into(),
            scope: None,
            format: TokenRequestFormat::Json,
        }
    }

    #[test]
    fn cache_key_differs_by_every_part_of_the_request() {
        let mut others = vec![request(); 8];
        others[0].token_url.push('2');
        others[1].client_id = "i".into();
        others[2].client_secret = Secret::from("hunter3");
        others[3].audience = "ap".into();
        others[4].scope = Some(String::new());
        others[5].scope = Some("s".into());
        others[6].client_id = "ida".into();
        others[6].audience = "pi".into();
        others[7].format = TokenRequestFormat::Form;
        let mut keys: Vec<_> = others.iter().map(|other| CacheKey::of(other).0).collect();
        keys.push(CacheKey::of(&request()).0);
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 9);
        assert_eq!(CacheKey::of(&request()), CacheKey::of(&request()));
    }

    #[test]
    fn cache_key_is_the_same_for_all_spellings_of_a_token_url() {
        let key = |token_url: &str| {
            CacheKey::of(&TokenRequest {
                token_url: token_url.into(),
                ..request()
            })
        };
        for (one, others) in [
            (
                "https://login.example/oauth/token",
                &[
                    "HTTPS://LOGIN.example/oauth/token",
                    "https://login.example:443/oauth/token",
                    "https://login.example:/oauth/token",
                ][..],
            ),
            (
                "http://[::1]:8080/oauth/token",
                &[
                    "http://[0:0:0:0:0:0:0:1]:8080/oauth/token",
                    "http://[::0001]:8080/oauth/token",
                ],
            ),
            ("http://localhost", &["http://LOCALHOST:80/"]),
        ] {
            for other in others {
                assert_eq!(key(other), key(one), "{other}");
            }
        }
        let different = [
            "https://login.example/oauth/token",
            "http://login.example/oauth/token",
            "https://login.example:80/oauth/token",
            "https://login.example/oauth/TOKEN",
            "https://login.example/oauth/token/",
            "https://login.example",
        ];
        for (index, one) in different.iter().enumerate() {
            for other in &different[..index] {
                assert_ne!(key(one), key(other), "{one} {other}");
            }
        }
    }

    #[test]
    fn label_differs_by_every_part_but_the_secret() {
        let mut others = vec![request(); 4];
        others[0].token_url.push('2');
        others[1].client_id = "i".into();
        others[2].audience = "ap".into();
        others[3].scope = Some(String::new());
        for other in &others {
            assert_ne!(label(other), label(&request()), "{other:?}");
        }
        let mut rotated = request();
        rotated.client_secret = Secret::from("hunter3");
        assert_eq!(label(&rotated), label(&request()));
        assert_eq!(label(&request()).len(), 8);
    }

    #[test]
    fn cache_key_debug_shows_no_digest() {
        assert_eq!(format!("{:?}", CacheKey::of(&request())), "CacheKey(..)");
    }

    #[test]
    fn token_host_key_is_scheme_host_and_port() {
        let table = [
            (
                "https://login.example/oauth/token",
                "https://login.example:443",
            ),
            ("HTTPS://Login.Example:443?a=b", "https://login.example:443"),
            ("http://u:p@127.0.0.1:8080/x@y", "http://127.0.0.1:8080"),
            ("http://[::1]/", "http://[::1]:80"),
            ("http://[::1]:81/", "http://[::1]:81"),
            ("http://[0:0::0:1]:81/", "http://[::1]:81"),
            ("https://[2001:DB8::A]", "https://[2001:db8::a]:443"),
            ("https://login.example:/oauth", "https://login.example:443"),
            ("https://login.example:08443/", "https://login.example:8443"),
            ("https://login.example?a=b:1", "https://login.example:443"),
        ];
        for (url, expected) in table {
            assert_eq!(TokenHostKey::of(url).as_str(), expected);
        }
        assert_ne!(
            TokenHostKey::of("https://a/").digest(),
            TokenHostKey::of("https://b/").digest()
        );
        assert_eq!(TokenHostKey::of("https://a/").digest().len(), 32);
    }
}
