//! DNS resolution: cached, one lookup per name at a time, bounded by the call's deadline.
//!
//! `getaddrinfo` cannot be interrupted, so it runs on a thread, which outlives a call that stops
//! waiting for it. Concurrent calls for one name share its thread, and the number of these threads
//! has a limit.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::connect_error::ConnectError;
use super::exchange::ExchangeGuard;
use crate::abandonable::{AbandonableThread, ThreadLimit, ThreadPermit};
use crate::config_values::is_loopback;

/// How long addresses are used before the name is resolved again.
const DNS_CACHE_TTL: Duration = Duration::from_secs(60);
/// Maximum time that calls wait for a lookup before they start another one.
const STUCK_AFTER: Duration = Duration::from_secs(30);
/// Maximum number of concurrent lookups in the process.
const MAX_LOOKUPS: u32 = 16;
/// Interval at which a call that waits for a permit tries again.
const PERMIT_POLL: Duration = Duration::from_millis(20);

/// The threads of all resolvers of this process.
pub(super) static LOOKUP_THREADS: ThreadLimit = ThreadLimit::new("camunda-resolver", MAX_LOOKUPS);

/// A resolver for one set of agents.
#[derive(Clone)]
pub(super) struct CachingResolver {
    names: Arc<Mutex<Names>>,
    find: Arc<Find>,
    threads: &'static ThreadLimit,
}

/// Resolves `host:port`; may block indefinitely.
type Find = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;

#[derive(Default)]
struct Names {
    /// Addresses, and when they were resolved.
    known: HashMap<String, (Instant, Vec<SocketAddr>)>,
    in_progress: HashMap<String, Arc<Lookup>>,
}

/// What is known about a name.
enum Found {
    Addresses(Vec<SocketAddr>),
    Lookup(Arc<Lookup>),
}

impl Names {
    fn find(&self, name: &str) -> Option<Found> {
        if let Some((at, addresses)) = self.known.get(name)
            && at.elapsed() < DNS_CACHE_TTL
        {
            return Some(Found::Addresses(addresses.clone()));
        }
        let lookup = self.in_progress.get(name)?;
        let is_stuck = lookup.began.elapsed() >= STUCK_AFTER;
        (!is_stuck).then(|| Found::Lookup(lookup.clone()))
    }
}

/// A lookup in progress.
struct Lookup {
    began: Instant,
    /// The addresses once it has ended, or why there are none.
    result: Mutex<Option<Result<Vec<SocketAddr>, String>>>,
    ended: Condvar,
    /// Joined by the first caller that has the result.
    thread: Mutex<Option<AbandonableThread>>,
}

impl Default for CachingResolver {
    fn default() -> Self {
        CachingResolver::with(&LOOKUP_THREADS, |name| {
            Ok(name.to_socket_addrs()?.collect())
        })
    }
}

impl CachingResolver {
    pub(super) fn with(
        threads: &'static ThreadLimit,
        find: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        CachingResolver {
            names: Arc::default(),
            find: Arc::new(find),
            threads,
        }
    }

    /// Removes all addresses from the cache. Called after a connection could not be made.
    pub(super) fn clear(&self) {
        lock(&self.names).known.clear();
    }

    /// Moves an address to the front of the cached ones, because it was connected to while those
    /// before it were not.
    pub(super) fn prefer(&self, address: SocketAddr) {
        for (_, addresses) in lock(&self.names).known.values_mut() {
            if let Some(index) = addresses.iter().position(|known| *known == address) {
                addresses[..=index].rotate_right(1);
            }
        }
    }

    /// Returns the addresses of `host:port`. Ends with the current call of this thread.
    pub(super) fn look_up(&self, name: String) -> Result<Vec<SocketAddr>, ureq::Error> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        ExchangeGuard::resolving(true);
        let found = self.look_up_name(name)?;
        ExchangeGuard::resolving(false);
        Ok(found)
    }

    fn look_up_name(&self, name: String) -> Result<Vec<SocketAddr>, ureq::Error> {
        let lookup = loop {
            match lock(&self.names).find(&name) {
                Some(Found::Addresses(addresses)) => return Ok(addresses),
                Some(Found::Lookup(lookup)) => break lookup,
                None => {}
            }
            // Without the lock: it may wait for a fork, and other calls need the cache only.
            if let Some(permit) = self.threads.acquire() {
                let mut names = lock(&self.names);
                match names.find(&name) {
                    Some(Found::Addresses(addresses)) => return Ok(addresses),
                    Some(Found::Lookup(lookup)) => break lookup,
                    None => break self.start(&mut names, name, permit)?,
                }
            }
            std::thread::sleep(ExchangeGuard::next_wait()?.min(PERMIT_POLL));
        };
        lookup.wait()
    }

    /// Starts a lookup on a thread of its own.
    fn start(
        &self,
        names: &mut Names,
        name: String,
        permit: ThreadPermit,
    ) -> Result<Arc<Lookup>, ureq::Error> {
        let lookup = Arc::new(Lookup {
            began: Instant::now(),
            result: Mutex::new(None),
            ended: Condvar::new(),
            thread: Mutex::new(None),
        });
        let (resolver, own, key) = (self.clone(), lookup.clone(), name.clone());
        // Locked so that the thread's result is not received before the thread is known.
        let mut thread = lock(&lookup.thread);
        *thread = Some(permit.start(move || {
            let addresses = (resolver.find)(&key).map_err(|error| {
                log::debug!("name not resolved: error={:?}", error.to_string());
                problem(&error)
            });
            let mut names = lock(&resolver.names);
            if names
                .in_progress
                .get(&key)
                .is_some_and(|current| Arc::ptr_eq(current, &own))
            {
                names.in_progress.remove(&key);
            }
            if let Ok(addresses) = &addresses {
                names.known.insert(key, (Instant::now(), addresses.clone()));
            }
            drop(names);
            *lock(&own.result) = Some(addresses);
            own.ended.notify_all();
        })?);
        drop(thread);
        names.in_progress.insert(name, lookup.clone());
        Ok(lookup)
    }
}

/// Returns the resolver's message for a failed lookup; "" if the name does not exist.
fn problem(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(&text);
    // glibc, musl, macOS; Windows.
    let is_unknown = [
        "Name or service not known",
        "Name does not resolve",
        "nodename nor servname provided, or not known",
        "os error 11001",
    ];
    match is_unknown.iter().any(|unknown| text.contains(unknown)) {
        true => String::new(),
        false => text.to_owned(),
    }
}

impl Lookup {
    /// Waits for the addresses until the current call of this thread ends.
    fn wait(&self) -> Result<Vec<SocketAddr>, ureq::Error> {
        let addresses = self.wait_for_result()?;
        if let Some(thread) = lock(&self.thread).take() {
            thread.join();
        }
        addresses.map_err(|problem| match problem.is_empty() {
            true => ureq::Error::HostNotFound,
            false => ConnectError::NotResolved(problem).into(),
        })
    }

    fn wait_for_result(&self) -> Result<Result<Vec<SocketAddr>, String>, ureq::Error> {
        loop {
            // Without the lock: it may run an interrupt check of the caller, which can make a call that
            // needs the same name.
            let step = ExchangeGuard::next_wait();
            let result = lock(&self.result);
            if let Some(addresses) = &*result {
                return Ok(addresses.clone());
            }
            drop(self.ended.wait_timeout(result, step?));
        }
    }
}

impl fmt::Debug for CachingResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachingResolver").finish_non_exhaustive()
    }
}

/// Locks a mutex and ignores its poisoning: no code that can panic runs while it is locked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Resolver for CachingResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let plain = uri.scheme_str() == Some("http");
        let default = if plain { 80 } else { 443 };
        let mut addresses =
            self.look_up(format!("{host}:{}", uri.port_u16().unwrap_or(default)))?;
        if plain && is_loopback(host) {
            // Credentials are sent unencrypted to this host because it is this machine, but a hosts file
            // or DNS server can map its name to another one.
            let found = addresses.len();
            addresses.retain(|address| address.ip().to_canonical().is_loopback());
            if addresses.is_empty() && found > 0 {
                return Err(ConnectError::NotLoopback(host.to_owned()).into());
            }
        }
        let mut resolved = self.empty();
        let room = 16; // capacity of ureq's array
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::call::{CallContext, CallOptions, Cancel, StopReason};
    use crate::deadline_check::in_time;

    fn threads(limit: u32) -> &'static ThreadLimit {
        Box::leak(Box::new(ThreadLimit::new("camunda-resolver", limit)))
    }

    /// Resolves a name whose lookup does not end, and returns why the call ended. Sends to `started`
    /// when the lookup has started.
    fn stuck(options: &CallOptions, started: mpsc::Sender<()>) -> Option<StopReason> {
        let (_sender, never) = mpsc::channel::<()>();
        let never = Mutex::new(never);
        let call = CallContext::start(options, Duration::from_secs(60));
        let exchange = ExchangeGuard::enter(&call);
        let resolver = CachingResolver::with(threads(1), move |_| {
            started.send(()).unwrap();
            let _ = lock(&never).recv();
            Ok(Vec::new())
        });
        assert!(resolver.look_up("stuck.example:443".into()).is_err());
        exchange.stopped()
    }

    #[test]
    fn lookup_is_abandoned_at_the_deadline() {
        let timeout = Duration::from_millis(100);
        let options = CallOptions::new().timeout(timeout);
        in_time(|| {
            let (started, has_started) = mpsc::channel();
            let begun = Instant::now();
            assert_eq!(stuck(&options, started), Some(StopReason::Deadline));
            let took = begun.elapsed();
            assert!(took >= timeout, "{took:?}");
            has_started.recv().unwrap();
            ((), took - timeout)
        });
    }

    #[test]
    fn lookup_is_abandoned_when_the_call_is_cancelled() {
        in_time(|| {
            let cancel = Cancel::new();
            let options = CallOptions::new().cancel(cancel.clone());
            let (started, has_started) = mpsc::channel();
            let caller = std::thread::spawn(move || (stuck(&options, started), Instant::now()));
            has_started.recv().unwrap();
            let begun = Instant::now();
            cancel.cancel();
            let (stopped, ended) = caller.join().unwrap();
            assert_eq!(stopped, Some(StopReason::Cancelled));
            ((), ended.duration_since(begun))
        });
    }

    /// Returns a resolver whose lookups wait until the sender is dropped, the number of started lookups,
    /// and a receiver that gets a message when one starts.
    fn blocked_resolver(
        threads: &'static ThreadLimit,
    ) -> (
        CachingResolver,
        mpsc::Sender<()>,
        Arc<AtomicUsize>,
        mpsc::Receiver<()>,
    ) {
        let (release, released) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let count = Arc::new(AtomicUsize::new(0));
        let (released, counted) = (Mutex::new(released), count.clone());
        let resolver = CachingResolver::with(threads, move |name| {
            counted.fetch_add(1, Ordering::SeqCst);
            begin.send(()).unwrap();
            let _ = lock(&released).recv();
            let port = name.rsplit(':').next().unwrap().parse().unwrap();
            Ok(vec![SocketAddr::from(([192, 0, 2, 1], port))])
        });
        (resolver, release, count, begun)
    }

    fn wait_until(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn concurrent_calls_share_one_lookup_of_a_name() {
        let (resolver, release, count, begun) = blocked_resolver(threads(4));
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let resolver = resolver.clone();
                std::thread::spawn(move || resolver.look_up("one.example:443".into()).unwrap())
            })
            .collect();
        begun.recv().unwrap();
        // References: 8 callers, the lookup's thread and the table.
        wait_until("all callers wait for the lookup", || {
            let names = lock(&resolver.names);
            Arc::strong_count(&names.in_progress["one.example:443"]) == 10
        });
        drop(release);
        for caller in callers {
            assert_eq!(
                caller.join().unwrap(),
                [SocketAddr::from(([192, 0, 2, 1], 443))]
            );
        }
        resolver.look_up("one.example:443".into()).unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn lookups_wait_when_all_permits_are_in_use() {
        let (resolver, release, count, begun) = blocked_resolver(threads(2));
        let look_up = |host: usize| {
            let resolver = resolver.clone();
            std::thread::spawn(move || resolver.look_up(format!("{host}.example:443")))
        };
        let callers: Vec<_> = (0..2).map(look_up).collect();
        begun.recv().unwrap();
        begun.recv().unwrap();
        let call = CallContext::start(
            &CallOptions::new().timeout(Duration::from_millis(100)),
            Duration::from_secs(60),
        );
        let exchange = ExchangeGuard::enter(&call);
        assert!(resolver.look_up("more.example:443".into()).is_err());
        assert_eq!(exchange.stopped(), Some(StopReason::Deadline));
        assert_eq!(
            exchange.activity("https://more.example"),
            "resolving the host name of https://more.example"
        );
        drop(exchange);
        assert_eq!(count.load(Ordering::SeqCst), 2);
        drop(release);
        for caller in callers {
            caller.join().unwrap().unwrap();
        }
        resolver.look_up("more.example:443".into()).unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn interrupt_check_of_a_lookup_can_look_up_the_same_name() {
        crate::limited::limit_this_process();
        let (resolver, release, count, _begun) = blocked_resolver(threads(1));
        let (inner, release) = (resolver.clone(), Mutex::new(Some(release)));
        let options = CallOptions::new().interrupt_check(move || {
            if let Some(release) = lock(&release).take() {
                let options = CallOptions::new().timeout(Duration::from_millis(100));
                let call = CallContext::start(&options, Duration::from_secs(60));
                let exchange = ExchangeGuard::enter(&call);
                assert!(inner.look_up("one.example:443".into()).is_err());
                assert_eq!(exchange.stopped(), Some(StopReason::Deadline));
                drop(release);
            }
            false
        });
        let call = CallContext::start(&options, Duration::from_secs(60));
        let _exchange = ExchangeGuard::enter(&call);
        assert!(resolver.look_up("one.example:443".into()).is_ok());
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn error_says_why_a_name_cannot_be_resolved() {
        for (error, expected) in [
            (
                "failed to lookup address information: Name or service not known",
                "host not found",
            ),
            (
                "failed to lookup address information: Temporary failure in name resolution",
                "host name not resolved: Temporary failure in name resolution",
            ),
            (
                "Too many open files (os error 24)",
                "host name not resolved: Too many open files (os error 24)",
            ),
        ] {
            let resolver = CachingResolver::with(threads(1), move |_| Err(io::Error::other(error)));
            let error = resolver.look_up("a.example:443".into()).unwrap_err();
            let (kind, message) = super::super::connect_error::describe(&error);
            assert_eq!((kind, &*message), (crate::ErrorKind::Network, expected));
            assert!(!super::super::connect_error::is_permanent(&error));
        }
    }

    #[test]
    fn prefer_moves_a_connected_address_to_the_front() {
        let addresses = [1, 2, 3].map(|host| SocketAddr::from(([192, 0, 2, host], 443)));
        let resolver = CachingResolver::with(threads(1), move |_| Ok(addresses.to_vec()));
        let look_up = || resolver.look_up("many.example:443".into()).unwrap();
        assert_eq!(look_up(), addresses);
        resolver.prefer(addresses[2]);
        assert_eq!(look_up(), [addresses[2], addresses[0], addresses[1]]);
        resolver.clear();
        assert_eq!(look_up(), addresses);
    }

    #[test]
    fn plain_http_to_localhost_uses_loopback_addresses_only() {
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 8080));
        let here = [
            "127.0.0.1:8080",
            "127.8.8.8:8080",
            "[::1]:8080",
            "[::ffff:127.0.0.1]:8080",
        ]
        .map(|address| address.parse::<SocketAddr>().unwrap());
        let resolve = |url: &str, addresses: Vec<SocketAddr>| {
            let resolver = CachingResolver::with(threads(1), move |_| Ok(addresses.clone()));
            let timeout = NextTimeout {
                after: ureq::unversioned::transport::time::Duration::NotHappening,
                reason: ureq::Timeout::Resolve,
                per_read: None,
                per_write: None,
            };
            let resolved = resolver.resolve(
                &url.parse().unwrap(),
                &ureq::config::Config::default(),
                timeout,
            );
            resolved.map(|addresses| addresses.to_vec())
        };
        let localhost = "http://localhost:8080/clusters";
        let mixed = [&[elsewhere][..], &here].concat();
        assert_eq!(resolve(localhost, mixed.clone()).unwrap(), here);
        let error = resolve(localhost, vec![elsewhere]).unwrap_err();
        let (_, message) = super::super::connect_error::describe(&error);
        assert_eq!(
            message,
            "`localhost` does not resolve to a loopback address of this machine, and http:// is \
             allowed to those only; check the hosts file or use https://"
        );
        assert!(super::super::connect_error::is_permanent(&error));
        // With TLS the certificate identifies the server; a proxy may have any address.
        for url in ["https://localhost:8080/", "http://proxy.example:8080/"] {
            assert_eq!(resolve(url, mixed.clone()).unwrap(), mixed);
        }
    }

    /// Returns whether 20 lookups of different names, each bounded by a timeout, succeed.
    #[cfg(unix)]
    fn look_up_often(find: impl Fn() -> Vec<SocketAddr> + Send + Sync + 'static) -> bool {
        let options = CallOptions::new().timeout(Duration::from_secs(10));
        let call = CallContext::start(&options, Duration::from_secs(60));
        let _exchange = ExchangeGuard::enter(&call);
        let resolver = CachingResolver::with(threads(4), move |_| Ok(find()));
        (0..20).all(|host| resolver.look_up(format!("{host}.example:443")).is_ok())
    }

    /// Runs `work` on eight threads, forks children that look names up, and checks that all of them
    /// succeed.
    ///
    /// Does so in a process of its own: in a Rust program a child can hang in the start of a thread if
    /// the program's own threads, here those of other tests, start or end during the fork.
    #[cfg(unix)]
    fn check_children_of_busy_parent(
        work: impl Fn() + Sync,
        find: impl Fn() -> Vec<SocketAddr> + Send + Sync + Copy + 'static,
    ) {
        use std::process::Command;
        use std::sync::atomic::AtomicBool;

        use crate::fork::tests::forked_child::{Child, fork};
        use crate::limited::{PROGRAM_LIMIT, run_to_end};

        const ALONE: &str = "CAMUNDA_TEST_LOOKUP_IN_CHILD";
        if std::env::var_os(ALONE).is_none() {
            let mut command = Command::new(std::env::current_exe().unwrap());
            let name = std::thread::current().name().unwrap().to_owned();
            command.args(["--exact", &name]).env(ALONE, "1");
            let ended = run_to_end(command, PROGRAM_LIMIT);
            assert!(ended.status.success(), "{}{}", ended.stdout, ended.stderr);
            assert!(ended.stdout.contains("1 passed"), "{}", ended.stdout);
            return;
        }
        let stop = AtomicBool::new(false);
        let started = std::sync::Barrier::new(8 + 1);
        let ends = std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    started.wait();
                    while !stop.load(Ordering::Relaxed) {
                        work();
                    }
                });
            }
            started.wait();
            let mut ends = Vec::new();
            for _ in 0..6 {
                let children: Vec<_> = (0..10).map(|_| fork(move || look_up_often(find))).collect();
                ends.extend(children.into_iter().map(|child| child.wait()));
            }
            stop.store(true, Ordering::Relaxed);
            ends
        });
        let hung = ends.iter().filter(|end| **end != Child::Passed).count();
        assert_eq!(hung, 0);
    }

    #[cfg(unix)]
    #[test]
    fn lookup_completes_in_child_of_parent_whose_threads_use_parking_lot() {
        let mutex = parking_lot::Mutex::new(());
        let work = || {
            let _guard = mutex.lock();
            std::thread::yield_now();
        };
        check_children_of_busy_parent(work, || {
            std::thread::sleep(Duration::from_micros(100));
            Vec::new()
        });
    }

    /// glibc and std have locks for name resolution and for threads, which a child must not inherit.
    #[cfg(unix)]
    #[test]
    fn lookup_completes_in_child_of_parent_that_looks_names_up() {
        let find = || "localhost:80".to_socket_addrs().unwrap().collect();
        check_children_of_busy_parent(move || assert!(look_up_often(find)), find);
    }
}
