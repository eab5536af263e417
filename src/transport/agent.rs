//! ureq agents: their configuration and the chain of connectors.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use once_cell::sync::OnceCell;
use rustls::ClientConfig;
use ureq::http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, USER_AGENT,
};
use ureq::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use ureq::http::{self, HeaderValue};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, NextTimeout, Transport};
use ureq::{Agent, Body};

use super::buffers::OUTPUT_BUFFER;
use super::connect_error::ConnectError;
use super::exchange::{ExchangeGuard, MAX_HEADER_BYTES};
use super::pool::{IdleConnections, PoolConnector, SHARDS, shard_of_thread};
use super::proxy::ProxySettings;
#[cfg(feature = "doctor")]
use super::proxy::shown_proxy;
use super::resolver::CachingResolver;
use super::socket::SocketConnector;
use super::tls::TlsConnector;
use super::tls_config;
use super::tunnel::TunnelConnector;
use super::{COMPRESSED, Method};
use crate::config::Config;
use crate::error::{Error, Result};

/// The ureq agents of a client, for one process.
pub(super) struct Agents {
    settings: Settings,
    /// Reuse idle connections. One for each shard of threads, because each request locks its agent for
    /// a moment. Created when first used: most programs have one thread.
    pooled: [OnceCell<Agent>; SHARDS],
    idle: Arc<IdleConnections>,
    /// Opens a connection for each request: for non-idempotent and token requests, which are not
    /// retried if an idle connection turns out to be closed.
    fresh: Agent,
    resolver: CachingResolver,
}

/// The URL of a request.
#[derive(Clone, Copy)]
pub(super) enum Url<'a> {
    /// Path and query of an API request, below the client's base URL.
    Api(&'a str),
    Absolute(&'a str),
}

/// A request as an agent sends it.
pub(super) struct HttpRequest<'a> {
    pub(super) method: Method,
    pub(super) url: Url<'a>,
    pub(super) authorization: Option<&'a HeaderValue>,
    /// Content type and bytes.
    pub(super) body: Option<(&'static str, &'a [u8])>,
    pub(super) accept_encoding: &'static str,
    /// Whether to open a connection instead of reusing an idle one.
    pub(super) new_connection: bool,
}

/// Settings of the agents.
#[derive(Clone)]
struct Settings {
    tls: Arc<ClientConfig>,
    proxy: Option<Arc<ProxySettings>>,
    base: BaseUrl,
    /// The headers of an API request, whose `Authorization` is empty.
    headers: HeaderMap,
}

/// The base URL of API requests, parsed once.
#[derive(Clone)]
struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    path: String,
}

impl BaseUrl {
    fn parse(url: &str) -> Result<Self> {
        let invalid = || Error::config(format!("`base_url`: {url} is not a valid URL"));
        let parts = url.parse::<Uri>().map_err(|_| invalid())?.into_parts();
        let path = parts
            .path_and_query
            .as_ref()
            .map_or("", PathAndQuery::as_str);
        Ok(BaseUrl {
            path: path.trim_end_matches('/').to_owned(),
            scheme: parts.scheme.ok_or_else(invalid)?,
            authority: parts.authority.ok_or_else(invalid)?,
        })
    }

    /// Returns the value of `Host`: without the port if it is the default of the scheme, which is how
    /// ureq sends it.
    fn host(&self) -> Result<HeaderValue> {
        let host = self.authority.host();
        let default_port = if self.scheme == Scheme::HTTP { 80 } else { 443 };
        let value = match self.authority.port_u16() {
            Some(port) if port != default_port => HeaderValue::try_from(format!("{host}:{port}")),
            _ => HeaderValue::from_str(host),
        };
        value.map_err(|_| Error::config(format!("`base_url`: {host} is not a valid host name")))
    }

    fn with(&self, path: &str) -> http::Result<Uri> {
        let mut whole = String::with_capacity(self.path.len() + path.len());
        whole.push_str(&self.path);
        whole.push_str(path);
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from(whole))?);
        Ok(Uri::from_parts(parts)?)
    }
}

impl Settings {
    fn new(config: &Config) -> Result<Self> {
        let proxy = ProxySettings::new(config)?.map(Arc::new);
        let base = BaseUrl::parse(config.base_url())?;
        let user_agent = HeaderValue::from_str(config.user_agent())
            .map_err(|_| Error::config("`user_agent` is not a valid value of a header"))?;
        let accept = HeaderValue::from_static("application/json, text/csv, */*;q=0.1");
        let headers = HeaderMap::from_iter([
            (HOST, base.host()?),
            (ACCEPT, accept),
            (ACCEPT_ENCODING, HeaderValue::from_static(COMPRESSED)),
            (USER_AGENT, user_agent),
            (AUTHORIZATION, HeaderValue::from_static("")),
        ]);
        Ok(Settings {
            tls: tls_config::client_config(config)?,
            proxy,
            base,
            headers,
        })
    }

    /// Returns an agent that reuses the connections in `idle`.
    fn agent(&self, resolver: &CachingResolver, idle: Option<&Arc<IdleConnections>>) -> Agent {
        let config = |proxy| {
            ureq::config::Config::builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .proxy(proxy)
                .user_agent(self.user_agent())
                .max_response_header_size(MAX_HEADER_BYTES)
                .max_idle_connections(0)
                .build()
        };
        let tls = TlsConnector {
            config: self.tls.clone(),
        };
        let tunnel = TunnelConnector {
            direct: config(None),
            user_agent: self.user_agent().to_owned(),
            proxy: self.proxy.clone(),
        };
        let sockets = SocketConnector {
            resolver: resolver.clone(),
        };
        let connector = PoolConnector {
            inner: ().chain(ConnectStart).chain(tunnel).chain(sockets).chain(tls),
            idle: idle.cloned(),
        };
        let proxy = self.proxy.as_ref().map(|proxy| proxy.address.clone());
        Agent::with_parts(config(proxy), connector, LateResolver)
    }

    /// Returns the headers of a request.
    fn headers_of(&self, request: &HttpRequest<'_>) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let Url::Absolute(_) = request.url {
            headers.remove(HOST);
        }
        if request.accept_encoding != COMPRESSED {
            let encoding = HeaderValue::from_static(request.accept_encoding);
            headers.insert(ACCEPT_ENCODING, encoding);
        }
        match request.authorization {
            Some(authorization) => headers.insert(AUTHORIZATION, authorization.clone()),
            None => headers.remove(AUTHORIZATION),
        };
        if let Some((content_type, _)) = request.body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        headers
    }

    fn user_agent(&self) -> &str {
        let value = self.headers.get(USER_AGENT);
        value.map_or("", |value| value.to_str().unwrap_or_default())
    }
}

impl Agents {
    pub(super) fn new(config: &Config) -> Result<Self> {
        let settings = Settings::new(config)?;
        Ok(Agents::with(settings, CachingResolver::default()))
    }

    /// Returns agents that resolve names with `resolver`.
    #[cfg(test)]
    pub(super) fn with_resolver(config: &Config, resolver: CachingResolver) -> Result<Self> {
        Ok(Agents::with(Settings::new(config)?, resolver))
    }

    /// Returns agents with the same settings for a forked child, which must not share sockets or TLS
    /// sessions with its parent.
    pub(super) fn clone_for_child(&self) -> Self {
        let settings = Settings {
            tls: tls_config::without_sessions(&self.settings.tls),
            ..self.settings.clone()
        };
        Agents::with(settings, CachingResolver::default())
    }

    fn with(settings: Settings, resolver: CachingResolver) -> Self {
        let idle = Arc::new(IdleConnections::new(
            settings.base.scheme.clone(),
            settings.base.authority.clone(),
        ));
        Agents {
            pooled: Default::default(),
            idle,
            fresh: settings.agent(&resolver, None),
            settings,
            resolver,
        }
    }

    /// Returns the agent of the calling thread that reuses idle connections.
    fn pooled(&self) -> &Agent {
        self.pooled[shard_of_thread()]
            .get_or_init(|| self.settings.agent(&self.resolver, Some(&self.idle)))
    }

    /// Sends a request and reads the head of the response.
    pub(super) fn send(
        &self,
        request: HttpRequest<'_>,
    ) -> Result<http::Response<Body>, ureq::Error> {
        let agent = match request.new_connection {
            true => &self.fresh,
            false => self.pooled(),
        };
        self.check_size_of_head(&request)?;
        let mut head = http::Request::new(());
        *head.method_mut() = match request.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Patch => http::Method::PATCH,
            Method::Delete => http::Method::DELETE,
        };
        *head.uri_mut() = match request.url {
            Url::Api(path) => self.settings.base.with(path)?,
            Url::Absolute(url) => Uri::try_from(url).map_err(http::Error::from)?,
        };
        *head.headers_mut() = self.settings.headers_of(&request);
        match request.body {
            Some((_, body)) => agent.run(head.map(|()| body)),
            // Some gateways respond with 411 to a POST or PUT without `Content-Length`.
            None if matches!(request.method, Method::Post | Method::Put | Method::Patch) => {
                agent.run(head.map(|()| &[][..]))
            }
            None => agent.run(head),
        }
    }

    /// Fails if the head of a request does not fit into the output buffer.
    fn check_size_of_head(&self, request: &HttpRequest<'_>) -> Result<(), ConnectError> {
        let url_bytes = match request.url {
            Url::Api(text) | Url::Absolute(text) => text.len(),
        };
        let header_bytes =
            self.settings.user_agent().len() + request.authorization.map_or(0, HeaderValue::len);
        if url_bytes + header_bytes > MAX_VARIABLE_HEAD {
            return Err(ConnectError::LargeHead {
                url_bytes,
                header_bytes,
                max_bytes: MAX_VARIABLE_HEAD,
            });
        }
        Ok(())
    }

    /// Opens a connection for a request to `url` that is sent later, by an exchange that uses the
    /// connection.
    pub(super) fn connect(
        &self,
        url: &str,
        exchange: &ExchangeGuard,
    ) -> Result<Box<dyn Transport>, ureq::Error> {
        let mut request = http::Request::new(());
        *request.uri_mut() = Uri::try_from(url).map_err(http::Error::from)?;
        exchange.connect_only();
        // Ends with an error, after the connection is established or because it cannot be.
        let ended = self.fresh.run(request);
        match (exchange.connection(), ended) {
            (Some(connection), _) => Ok(connection),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(ureq::Error::ConnectionFailed),
        }
    }

    /// Adds the proxy to a hash of the settings.
    pub(super) fn hash_proxy(&self, hasher: &mut impl Hasher) {
        self.settings.proxy.hash(hasher);
    }

    /// Returns the TLS settings of all connections.
    #[cfg(feature = "doctor")]
    pub(super) fn tls(&self) -> &Arc<ClientConfig> {
        &self.settings.tls
    }

    /// Returns the proxy for a URL that is not a loopback URL, without user name and password, and the
    /// setting or variable that names it.
    #[cfg(feature = "doctor")]
    pub(super) fn proxy_for(&self, uri: &ureq::http::Uri) -> Option<(String, &'static str)> {
        let proxy = self.settings.proxy.as_ref()?;
        (!proxy.excludes(uri)).then(|| (shown_proxy(&proxy.address), proxy.source))
    }

    /// Removes all addresses from the DNS cache, so that the next connection resolves names again.
    pub(super) fn clear_dns_cache(&self) {
        self.resolver.clear();
    }
}

impl fmt::Debug for Agents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agents").finish_non_exhaustive()
    }
}

/// Maximum size in bytes of the URL, access token and user agent of a request, whose head has to fit
/// into the output buffer. Servers accept no larger heads either.
const MAX_VARIABLE_HEAD: usize = OUTPUT_BUFFER - 1024;

/// Leaves the resolution of names to the [`SocketConnector`], which an idle connection does not need.
#[derive(Debug)]
struct LateResolver;

impl Resolver for LateResolver {
    fn resolve(
        &self,
        _: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        Ok(self.empty())
    }
}

/// First connector of the chain: records that a connection is being established.
#[derive(Debug)]
struct ConnectStart;

impl Connector<()> for ConnectStart {
    type Out = ();

    fn connect(&self, _: &ConnectionDetails<'_>, _: Option<()>) -> Result<Option<()>, ureq::Error> {
        ExchangeGuard::begin_to_connect();
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use super::*;
    use crate::call::{CallContext, CallOptions};
    use crate::transport::UNCOMPRESSED;

    /// Sends a request and returns the lines of its head.
    fn head_of(
        base: Option<&str>,
        authorization: Option<&str>,
        encoding: &'static str,
    ) -> Vec<String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let mut config = Config::default();
        config.set("base_url", base.unwrap_or(&origin)).unwrap();
        config.set("user_agent", "test/1").unwrap();
        let agents = Agents::new(&config).unwrap();
        std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                let mut stream = listener.accept().unwrap().0;
                stream
                    .set_read_timeout(Some(Duration::from_secs(20)))
                    .unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head = lines
                    .map(Result::unwrap)
                    .take_while(|line| !line.is_empty());
                let head = head.map(|line| line.replace(&origin["http://".len()..], "ORIGIN"));
                let head: Vec<_> = head.collect();
                let response = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
                stream.write_all(response).unwrap();
                head
            });
            let options = CallOptions::new();
            let call = CallContext::start(&options, Duration::from_secs(20));
            let _exchange = ExchangeGuard::enter(&call);
            let absolute = format!("{origin}/path");
            let url = match base {
                Some(_) => Url::Absolute(&absolute),
                None => Url::Api("/path"),
            };
            let authorization = authorization.map(|value| HeaderValue::from_str(value).unwrap());
            let sent = agents.send(HttpRequest {
                method: Method::Get,
                url,
                authorization: authorization.as_ref(),
                body: None,
                accept_encoding: encoding,
                new_connection: false,
            });
            assert_eq!(sent.unwrap().status(), 204);
            server.join().unwrap()
        })
    }

    #[test]
    fn send_adds_the_prepared_headers() {
        let mut head = head_of(None, Some("Bearer t"), COMPRESSED);
        head.sort();
        let expected = [
            "GET /path HTTP/1.1",
            "accept-encoding: gzip",
            "accept: application/json, text/csv, */*;q=0.1",
            "authorization: Bearer t",
            "host: ORIGIN",
            "user-agent: test/1",
        ];
        assert_eq!(head, expected);
    }

    #[test]
    fn send_to_another_host_has_its_name_and_no_access_token() {
        let mut head = head_of(Some("https://api.example"), None, UNCOMPRESSED);
        head.sort();
        let expected = [
            "GET /path HTTP/1.1",
            "accept-encoding: identity",
            "accept: application/json, text/csv, */*;q=0.1",
            "host: ORIGIN",
            "user-agent: test/1",
        ];
        assert_eq!(head, expected);
    }

    #[test]
    fn host_has_no_default_port() {
        for (url, expected) in [
            ("https://api.example", "api.example"),
            ("https://api.example:443/path", "api.example"),
            ("https://api.example:80", "api.example:80"),
            ("https://api.example:8443/path", "api.example:8443"),
            ("http://127.0.0.1:80", "127.0.0.1"),
            ("http://127.0.0.1:443", "127.0.0.1:443"),
            ("https://[::1]:8443", "[::1]:8443"),
            ("https://[::1]", "[::1]"),
        ] {
            assert_eq!(
                BaseUrl::parse(url).unwrap().host().unwrap(),
                expected,
                "{url}"
            );
        }
    }
}
