//! Idle connections, for all threads of a client.
//!
//! A connection returns to the shard of the thread that used it, and a thread takes one from its own
//! shard first, so threads rarely wait for each other. Only then it takes one of another shard: a
//! new connection is opened only if all are in use. So there are never more connections than
//! concurrent calls, and each is kept until it was idle for [`IDLE_TIMEOUT`].
//!
//! Not the pool of ureq, which keeps a fixed number of connections, checks them while it holds a
//! lock that every call takes, and checks each one twice per call.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use ureq::http::Uri;
use ureq::http::uri::{Authority, Scheme};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

use super::exchange::ExchangeGuard;
use crate::call::current_thread;

/// Maximum age of an idle connection; load balancers close idle connections after 60 s or more.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Number of shards. A power of two.
pub(super) const SHARDS: usize = 16;

/// Returns the shard of the calling thread.
pub(super) fn shard_of_thread() -> usize {
    // Fibonacci hashing: the addresses of different threads differ in few bits.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let hash = (current_thread() as u64).wrapping_mul(FACTOR);
    (hash >> (u64::BITS - SHARDS.ilog2())) as usize
}

/// The idle connections to one host.
#[derive(Debug)]
pub(super) struct IdleConnections {
    scheme: Scheme,
    authority: Authority,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    /// The connection that became idle last is at the end.
    idle: Vec<Idle>,
    /// The next shard from which connections that are too old are removed.
    next: usize,
}

#[derive(Debug)]
struct Idle {
    transport: Box<dyn Transport>,
    since: ClockPair,
}

/// A time on two clocks. The monotonic clock stands still while the machine is suspended; peers and
/// firewalls close connections meanwhile, possibly without notice.
#[derive(Debug, Clone, Copy)]
struct ClockPair {
    mono: Instant,
    wall: SystemTime,
}

impl ClockPair {
    fn read() -> Self {
        ClockPair {
            mono: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Returns the time since `earlier`, on the clock that has advanced more.
    fn since(self, earlier: ClockPair) -> Duration {
        let mono = self.mono.saturating_duration_since(earlier.mono);
        // If the wall clock was set back, the other one counts.
        let wall = self.wall.duration_since(earlier.wall).unwrap_or_default();
        mono.max(wall)
    }
}

impl IdleConnections {
    pub(super) fn new(scheme: Scheme, authority: Authority) -> Self {
        IdleConnections {
            scheme,
            authority,
            shards: Default::default(),
        }
    }

    fn serves(&self, uri: &Uri) -> bool {
        uri.scheme() == Some(&self.scheme) && uri.authority() == Some(&self.authority)
    }

    fn shard(&self, index: usize) -> MutexGuard<'_, Shard> {
        // No code that can panic runs while it is locked.
        self.shards[index % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection that can be reused, preferably one that this thread used.
    fn take(&self) -> Option<Box<dyn Transport>> {
        let own = shard_of_thread();
        for shard in own..own + SHARDS {
            loop {
                let Some(mut idle) = self.shard(shard).idle.pop() else {
                    break;
                };
                if ClockPair::read().since(idle.since) < IDLE_TIMEOUT && idle.transport.is_open() {
                    return Some(idle.transport);
                }
            }
        }
        None
    }

    fn put(&self, transport: Box<dyn Transport>) {
        let since = ClockPair::read();
        let own = shard_of_thread();
        let mut shard = self.shard(own);
        shard.idle.push(Idle { transport, since });
        shard.next = shard.next.wrapping_add(1);
        let other = shard.next;
        drop(shard);
        // One shard at a time, so that connections of threads that make no more calls are closed too.
        let mut shard = self.shard(other);
        let is_old = |idle: &Idle| since.since(idle.since) >= IDLE_TIMEOUT;
        let old = shard.idle.iter().take_while(|idle| is_old(idle)).count();
        if old > 0 {
            let closed: Vec<_> = shard.idle.drain(..old).collect();
            drop(shard);
            drop(closed);
        }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        (0..SHARDS).map(|shard| self.shard(shard).idle.len()).sum()
    }
}

/// Takes idle connections, and opens one with the inner connector if there is none.
pub(super) struct PoolConnector<C> {
    pub(super) inner: C,
    /// `None` if each request has a connection of its own.
    pub(super) idle: Option<Arc<IdleConnections>>,
}

impl<C> fmt::Debug for PoolConnector<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolConnector").finish_non_exhaustive()
    }
}

impl<C: Connector> Connector for PoolConnector<C> {
    type Out = Checkout;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Checkout>, ureq::Error> {
        if let Some(transport) = ExchangeGuard::take_connection() {
            return Ok(Some(Checkout::new(transport, None)));
        }
        // ureq also opens the connection to a proxy with this connector.
        let idle = self.idle.as_ref().filter(|idle| idle.serves(details.uri));
        if let Some(transport) = idle.and_then(|idle| idle.take()) {
            return Ok(Some(Checkout::new(transport, idle)));
        }
        let Some(transport) = self.inner.connect(details, chained)? else {
            return Ok(None);
        };
        // The error ends an exchange that only connects.
        let transport = ExchangeGuard::keep_connection(Box::new(transport))
            .ok_or(ureq::Error::ConnectionFailed)?;
        Ok(Some(Checkout::new(transport, idle)))
    }
}

/// A connection in use; it becomes idle when ureq drops it after a complete response.
#[derive(Debug)]
pub(super) struct Checkout {
    /// `None` only while it is dropped.
    transport: Option<Box<dyn Transport>>,
    idle: Option<Arc<IdleConnections>>,
    reusable: bool,
}

impl Checkout {
    fn new(transport: Box<dyn Transport>, idle: Option<&Arc<IdleConnections>>) -> Checkout {
        Checkout {
            transport: Some(transport),
            idle: idle.cloned(),
            reusable: false,
        }
    }

    fn transport(&mut self) -> &mut dyn Transport {
        self.transport
            .as_deref_mut()
            .expect("there until it is dropped")
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if self.reusable
            && let (Some(idle), Some(transport)) = (&self.idle, self.transport.take())
        {
            idle.put(transport);
        }
    }
}

impl Transport for Checkout {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport().buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.transport().transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.transport().await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        if self.idle.is_none() {
            // A connection to a proxy, which the connection inside its tunnel checks.
            return self.transport().is_open();
        }
        // ureq calls this when it has read a complete response after which the connection can be reused,
        // before it puts the connection into its own pool, which is never used. Whether the connection
        // is open is checked when it is taken.
        self.reusable = true;
        false
    }

    fn is_tls(&self) -> bool {
        self.transport
            .as_ref()
            .is_some_and(|transport| transport.is_tls())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::transport::buffers::ZeroizingBuffers;

    /// A connection that the peer closes when the flag is cleared.
    #[derive(Debug)]
    struct Fake {
        #[expect(dead_code, reason = "read through `Debug`")]
        id: usize,
        open: Arc<AtomicBool>,
        buffers: ZeroizingBuffers,
    }

    impl Transport for Fake {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.buffers
        }

        fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), ureq::Error> {
            Ok(())
        }

        fn await_input(&mut self, _: NextTimeout) -> Result<bool, ureq::Error> {
            Ok(false)
        }

        fn is_open(&mut self) -> bool {
            self.open.load(Ordering::SeqCst)
        }
    }

    fn connections() -> Arc<IdleConnections> {
        let authority = Authority::from_static("api.example:443");
        Arc::new(IdleConnections::new(Scheme::HTTPS, authority))
    }

    fn fake(id: usize) -> (Box<dyn Transport>, Arc<AtomicBool>) {
        let open = Arc::new(AtomicBool::new(true));
        let fake = Fake {
            id,
            open: open.clone(),
            buffers: ZeroizingBuffers::new(),
        };
        (Box::new(fake), open)
    }

    fn id(transport: Option<Box<dyn Transport>>) -> Option<String> {
        let shown = format!("{:?}", transport?);
        Some(shown.split([' ', ',']).nth(3)?.to_owned())
    }

    #[test]
    fn connection_becomes_idle_only_after_a_complete_response() {
        let idle = connections();
        drop(Checkout::new(fake(1).0, Some(&idle)));
        assert_eq!(idle.count(), 0);
        let mut checkout = Checkout::new(fake(2).0, Some(&idle));
        assert!(!checkout.is_open());
        drop(checkout);
        assert_eq!(id(idle.take()).as_deref(), Some("2"));
        let (transport, open) = fake(3);
        let mut checkout = Checkout::new(transport, None);
        assert!(checkout.is_open());
        open.store(false, Ordering::SeqCst);
        assert!(!checkout.is_open());
        drop(checkout);
        assert_eq!(idle.count(), 0);
    }

    #[test]
    fn take_skips_connections_that_are_closed() {
        let idle = connections();
        let (first, _) = fake(1);
        let (second, open) = fake(2);
        idle.put(first);
        idle.put(second);
        open.store(false, Ordering::SeqCst);
        assert_eq!(id(idle.take()).as_deref(), Some("1"));
        assert_eq!(id(idle.take()), None);
    }

    #[test]
    fn take_finds_connections_of_other_threads() {
        let idle = connections();
        std::thread::scope(|scope| {
            for number in 0..40 {
                scope.spawn({
                    let idle = &idle;
                    move || idle.put(fake(number).0)
                });
            }
        });
        for _ in 0..40 {
            assert!(idle.take().is_some());
        }
        assert!(idle.take().is_none());
    }

    #[test]
    fn connections_that_were_idle_for_long_are_closed() {
        let idle = connections();
        // As after a suspension: the monotonic clock has not advanced.
        let mut long_ago = ClockPair::read();
        long_ago.wall -= IDLE_TIMEOUT;
        for index in 0..SHARDS {
            idle.shard(index).idle.push(Idle {
                transport: fake(index).0,
                since: long_ago,
            });
        }
        for number in 0..SHARDS {
            idle.put(fake(number).0);
        }
        assert_eq!(idle.count(), SHARDS);
        idle.shard(0).idle.push(Idle {
            transport: fake(0).0,
            since: long_ago,
        });
        let taken = (0..=SHARDS).filter(|_| idle.take().is_some()).count();
        assert_eq!(taken, SHARDS);
    }

    #[test]
    fn age_of_a_connection_is_the_longer_one_of_two_clocks() {
        let now = ClockPair::read();
        let seconds = Duration::from_secs;
        for (mono, wall, age) in [(0, 0, 0), (7, 0, 7), (0, 7, 7), (5, 3, 5)] {
            let later = ClockPair {
                mono: now.mono + seconds(mono),
                wall: now.wall + seconds(wall),
            };
            assert_eq!(later.since(now), seconds(age));
        }
        let set_back = ClockPair {
            mono: now.mono + seconds(2),
            wall: now.wall - seconds(9),
        };
        assert_eq!(set_back.since(now), seconds(2));
    }

    #[test]
    fn serves_only_its_own_host() {
        let idle = connections();
        for (uri, expected) in [
            ("https://api.example:443/path", true),
            ("http://api.example:443/", false),
            ("https://api.example/", false),
            ("https://proxy.example:443/", false),
        ] {
            assert_eq!(idle.serves(&uri.parse().unwrap()), expected, "{uri}");
        }
    }
}
