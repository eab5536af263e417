//! Names to addresses: cached, and bounded by the call's deadline.
//!
//! `getaddrinfo` cannot be interrupted, so it runs on a thread of its own, which outlives a call
//! that gives up on it. The cache spares that thread on all but the first request.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::agent::Exchange;

/// How long addresses are used before the name is looked up again.
const LIFETIME: Duration = Duration::from_secs(60);

/// A resolver for one set of agents.
#[derive(Debug, Clone, Default)]
pub(super) struct CachingResolver {
    known: std::sync::Arc<Mutex<HashMap<String, (Instant, Vec<SocketAddr>)>>>,
}

impl CachingResolver {
    /// Forgets all addresses; said when a connection could not be made.
    pub(super) fn forget(&self) {
        self.known.lock().clear();
    }

    fn look_up(&self, name: String) -> Result<Vec<SocketAddr>, ureq::Error> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        if let Some((at, addresses)) = self.known.lock().get(&name)
            && at.elapsed() < LIFETIME
        {
            return Ok(addresses.clone());
        }
        let addresses = look_up_on_a_thread(name.clone())?;
        self.known
            .lock()
            .insert(name, (Instant::now(), addresses.clone()));
        Ok(addresses)
    }
}

impl Resolver for CachingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let default = if uri.scheme_str() == Some("http") {
            80
        } else {
            443
        };
        let addresses = self.look_up(format!("{host}:{}", uri.port_u16().unwrap_or(default)))?;
        let mut resolved = self.empty();
        let room = 16; // what ureq's array holds
        addresses
            .into_iter()
            .take(room)
            .for_each(|address| resolved.push(address));
        if resolved.is_empty() {
            Err(ureq::Error::HostNotFound)
        } else {
            Ok(resolved)
        }
    }
}

fn look_up_on_a_thread(name: String) -> Result<Vec<SocketAddr>, ureq::Error> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("camunda-resolver".into())
        .spawn(move || {
            // The receiver may be gone: its call ended first.
            let _ = sender.send(name.to_socket_addrs().map(Iterator::collect));
        })?;
    loop {
        let step = Exchange::slice()?;
        match receiver.recv_timeout(step) {
            Ok(Ok(addresses)) => return Ok(addresses),
            Ok(Err(error)) => {
                log::debug!("the name cannot be resolved: {error}");
                return Err(ureq::Error::HostNotFound);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(io::Error::other("the resolver's thread ended early").into());
            }
        }
    }
}
