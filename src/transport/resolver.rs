//! Names to addresses: cached, and bounded by the call's deadline.
//!
//! `getaddrinfo` cannot be interrupted, so it runs on a thread of its own, which outlives a call
//! that gives up on it. The cache spares that thread on all but the first request. The wait uses the
//! standard library's primitives, which share no state with other waits of the program.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex as WaitMutex, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::agent::Exchange;
use crate::fork::Mutex;

/// How long addresses are used before the name is looked up again.
const LIFETIME: Duration = Duration::from_secs(60);

/// A resolver for one set of agents.
#[derive(Debug, Clone, Default)]
pub(super) struct CachingResolver {
    known: Arc<Mutex<HashMap<String, Known>>>,
}

/// Addresses, and when they were looked up.
type Known = (Instant, Vec<SocketAddr>);

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
        let asked_for = name.clone();
        let addresses =
            find_on_a_thread(move || Ok(asked_for.to_socket_addrs()?.collect::<Vec<_>>()))?;
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

/// Waits for what `find` finds no longer than the call may; `find` goes on by itself if it has to.
fn find_on_a_thread(
    find: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
) -> Result<Vec<SocketAddr>, ureq::Error> {
    let found = Arc::new((WaitMutex::new(None), Condvar::new()));
    let finder = found.clone();
    std::thread::Builder::new()
        .name("camunda-resolver".into())
        .spawn(move || {
            let addresses = find();
            *finder.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(addresses);
            finder.1.notify_one();
        })?;
    let (addresses, arrived) = &*found;
    let mut addresses = addresses.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        match addresses.take() {
            Some(Ok(addresses)) => return Ok(addresses),
            Some(Err(error)) => {
                log::debug!("the name cannot be resolved: {error}");
                return Err(ureq::Error::HostNotFound);
            }
            None => {
                let waited = arrived.wait_timeout(addresses, Exchange::slice()?);
                addresses = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::call::{Call, CallOptions, Cancel, Stop};
    use crate::in_time::in_time;

    /// Looks a name up that nobody answers for, and tells why it came back. `asked` is told once the
    /// lookup is under way.
    fn stuck(options: &CallOptions, asked: mpsc::Sender<()>) -> Option<Stop> {
        let (_answer, never) = mpsc::channel::<()>();
        let call = Call::start(options, Duration::from_secs(60));
        let exchange = Exchange::begin(&call);
        let found = find_on_a_thread(move || {
            asked.send(()).unwrap();
            let _ = never.recv();
            Ok(Vec::new())
        });
        assert!(found.is_err());
        exchange.stopped()
    }

    #[test]
    fn a_lookup_is_left_at_the_deadline() {
        let timeout = Duration::from_millis(100);
        let options = CallOptions::new().timeout(timeout);
        in_time(|| {
            let (asked, under_way) = mpsc::channel();
            let begun = Instant::now();
            assert_eq!(stuck(&options, asked), Some(Stop::Deadline));
            let took = begun.elapsed();
            assert!(took >= timeout, "{took:?}");
            under_way.recv().unwrap();
            ((), took - timeout)
        });
    }

    #[test]
    fn a_lookup_is_left_when_the_call_is_cancelled() {
        in_time(|| {
            let cancel = Cancel::new();
            let options = CallOptions::new().cancel(cancel.clone());
            let (asked, under_way) = mpsc::channel();
            let looking = std::thread::spawn(move || (stuck(&options, asked), Instant::now()));
            under_way.recv().unwrap();
            let begun = Instant::now();
            cancel.cancel();
            let (stopped, ended) = looking.join().unwrap();
            assert_eq!(stopped, Some(Stop::Cancelled));
            ((), ended.duration_since(begun))
        });
    }

    #[cfg(unix)]
    #[test]
    fn lookup_completes_in_child_of_parent_whose_threads_use_parking_lot() {
        use std::sync::atomic::{AtomicBool, Ordering};

        use crate::fork::testing::{Child, fork};

        let look_up_often = || {
            let options = CallOptions::new();
            let call = Call::start(&options, Duration::from_secs(60));
            let _exchange = Exchange::begin(&call);
            (0..20).all(|_| {
                let found = find_on_a_thread(|| {
                    std::thread::sleep(Duration::from_micros(100));
                    Ok(Vec::new())
                });
                found.is_ok()
            })
        };
        let stop = AtomicBool::new(false);
        let mutex = parking_lot::Mutex::new(());
        let ends = std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let _guard = mutex.lock();
                        std::thread::yield_now();
                    }
                });
            }
            let mut ends = Vec::new();
            for _ in 0..6 {
                let children: Vec<_> = (0..10).map(|_| fork(look_up_often)).collect();
                ends.extend(children.into_iter().map(|child| child.wait()));
            }
            stop.store(true, Ordering::Relaxed);
            ends
        });
        let hung = ends.iter().filter(|end| **end != Child::Passed).count();
        assert_eq!(hung, 0);
    }
}
