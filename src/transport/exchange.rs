//! HTTP exchange (request and response) that a thread currently runs: its call, its byte counts, and the
//! captured response.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ureq::unversioned::transport::Transport;

use super::buffers::INPUT_BUFFER;
use crate::call::{CallContext, StopReason};
use crate::fork::InUse;
use crate::secret::{SecretBuffer, Zeroizing};

/// Maximum duration of one socket wait if the call cannot be cancelled: long enough that the socket
/// timeout is set once per connection, short enough to notice a deadline that passed while the machine
/// was suspended.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Maximum size of the headers of a response, in bytes. They must fit into the input buffer.
pub(super) const MAX_HEADER_BYTES: usize = INPUT_BUFFER * 3 / 4;

thread_local! {
    /// It has no destructor, so it is usable until the thread ends: functions that were registered with
    /// `atexit()` and destructors of thread-specific data can make calls. It is empty between calls.
    static CURRENT_EXCHANGE: ManuallyDrop<RefCell<Option<Rc<ExchangeState>>>> =
        const { ManuallyDrop::new(RefCell::new(None)) };
}

/// Guard of one HTTP exchange (request and response) on this thread; ends the exchange when dropped.
///
/// A connection of ureq outlives a call, so a socket finds the call that it currently serves in a
/// thread-local variable. ureq runs a request on the thread that sends it.
#[derive(Debug)]
pub(super) struct ExchangeGuard {
    state: Rc<ExchangeState>,
    /// The exchange that this one interrupts: a callback of a call can make another call.
    outer: Option<Rc<ExchangeState>>,
    _agents: InUse,
}

/// State of an exchange.
#[derive(Debug)]
struct ExchangeState {
    call: CallContext,
    stopped: Cell<Option<StopReason>>,
    /// Number of connections being established: one inside the other if there is a proxy.
    connecting: Cell<u32>,
    /// The URL of the proxy that the new connection leads through.
    proxy: RefCell<Option<String>>,
    step: Cell<Step>,
    /// Whether bytes that are written now belong to the request.
    sending: Cell<bool>,
    /// When the first byte of the request was written, and by when it has to be.
    sent_at: Cell<Option<Instant>>,
    send_by: Cell<Option<Instant>>,
    send_expired: Cell<bool>,
    written: Cell<u64>,
    received: Cell<u64>,
    /// Number of reads in progress: one inside the other if TLS runs through a proxy's tunnel.
    reading: Cell<u32>,
    /// The bytes of the response, if they are captured.
    captured: RefCell<Option<Capture>>,
    prepared: RefCell<Prepared>,
}

/// Step of an exchange, for the error of a deadline that ends it.
#[derive(Clone, Copy, Debug)]
enum Step {
    Resolve,
    Connect,
    /// The proxy connects to the server.
    Tunnel,
    Handshake,
    Send,
    Receive,
}

/// A connection that is opened by one exchange and used by another.
#[derive(Debug, Default)]
enum Prepared {
    #[default]
    No,
    /// The exchange ends when its connection is established.
    Wanted,
    Open(Box<dyn Transport>),
}

/// The bytes of a response as received, its head included.
#[derive(Debug, Default)]
struct Capture {
    bytes: SecretBuffer,
    /// Maximum number of bytes.
    limit: usize,
}

impl ExchangeGuard {
    /// Starts an exchange on this thread.
    pub(super) fn enter(call: &CallContext) -> ExchangeGuard {
        let state = Rc::new(ExchangeState {
            call: call.clone(),
            stopped: Cell::new(None),
            connecting: Cell::new(0),
            proxy: RefCell::default(),
            step: Cell::new(Step::Send),
            sending: Cell::new(false),
            sent_at: Cell::new(None),
            send_by: Cell::new(None),
            send_expired: Cell::new(false),
            written: Cell::new(0),
            received: Cell::new(0),
            reading: Cell::new(0),
            captured: RefCell::default(),
            prepared: RefCell::default(),
        });
        let outer = CURRENT_EXCHANGE.with(|current| current.replace(Some(state.clone())));
        ExchangeGuard {
            state,
            outer,
            _agents: InUse::begin(),
        }
    }

    /// Captures the response, in case that it cannot be decoded: its head and `limit` bytes of its body.
    pub(super) fn capture(&self, limit: u64) {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.state.captured.replace(Some(Capture {
            bytes: SecretBuffer::default(),
            limit: limit.saturating_add(MAX_HEADER_BYTES),
        }));
    }

    /// Returns the captured bytes of the response, its head included; `None` if there are none.
    pub(super) fn captured(&self) -> Option<Zeroizing<Vec<u8>>> {
        let capture = self.state.captured.take()?;
        Some(capture.bytes.into_bytes()).filter(|bytes| !bytes.is_empty())
    }

    /// Reads from a connection into ureq's buffer, and captures the bytes if the exchange does.
    pub(super) fn receive(
        buffer: &mut [u8],
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        ExchangeGuard::current(|state| {
            state.reading.set(state.reading.get() + 1);
            if state.connecting.get() == 0 {
                state.step.set(Step::Receive);
            }
        });
        let result = read(buffer);
        let reading = ExchangeGuard::current(|state| {
            let reading = state.reading.get().saturating_sub(1);
            state.reading.set(reading);
            reading
        });
        // The bytes of an outer read are the ciphertext of the connection inside the tunnel.
        if let (Ok(amount), Some(0)) = (&result, reading) {
            ExchangeGuard::current(|state| {
                if state.connecting.get() == 0
                    && let Some(capture) = &mut *state.captured.borrow_mut()
                {
                    let room = capture.limit.saturating_sub(capture.bytes.len());
                    capture.bytes.extend(&buffer[..room.min(*amount)]);
                }
            });
        }
        result
    }

    /// Returns whether a byte of the request was sent; establishing the connection does not count. False
    /// if it is certain that the server has read none.
    pub(super) fn sent(&self) -> bool {
        self.sent_at().is_some()
    }

    /// Returns when the first byte of the request was sent, or `None` if none was.
    pub(super) fn sent_at(&self) -> Option<Instant> {
        self.state.sent_at.get()
    }

    /// Makes the exchange end with an error instead of sending the first byte of the request after
    /// this time.
    pub(super) fn send_by(&self, by: Option<Instant>) {
        self.state.send_by.set(by);
    }

    /// Returns whether the exchange ended because of [`send_by`](Self::send_by).
    pub(super) fn is_send_expired(&self) -> bool {
        self.state.send_expired.get()
    }

    /// Makes the exchange end with an error when its connection is established, before a byte of the
    /// request is sent.
    pub(super) fn connect_only(&self) {
        self.state.prepared.replace(Prepared::Wanted);
    }

    /// Returns the connection of an exchange that only connects; `None` if it is not established.
    pub(super) fn connection(&self) -> Option<Box<dyn Transport>> {
        match self.state.prepared.take() {
            Prepared::Open(connection) => Some(connection),
            Prepared::No | Prepared::Wanted => None,
        }
    }

    /// Makes the exchange use this connection instead of a new one.
    pub(super) fn use_connection(&self, connection: Box<dyn Transport>) {
        self.state.prepared.replace(Prepared::Open(connection));
    }

    /// Returns the connection that the current exchange is to use, if there is one.
    pub(super) fn take_connection() -> Option<Box<dyn Transport>> {
        ExchangeGuard::current(|state| {
            let mut prepared = state.prepared.borrow_mut();
            match std::mem::take(&mut *prepared) {
                Prepared::Open(connection) => Some(connection),
                other => {
                    *prepared = other;
                    None
                }
            }
        })
        .flatten()
    }

    /// Keeps a new connection if the current exchange only connects; returns it otherwise. The
    /// connection to a proxy is not the exchange's: that inside its tunnel is.
    pub(super) fn keep_connection(connection: Box<dyn Transport>) -> Option<Box<dyn Transport>> {
        let mut connection = Some(connection);
        ExchangeGuard::current(|state| {
            let mut prepared = state.prepared.borrow_mut();
            if state.connecting.get() == 0
                && matches!(*prepared, Prepared::Wanted)
                && let Some(connection) = connection.take()
            {
                *prepared = Prepared::Open(connection);
            }
        });
        connection
    }

    /// Returns why the client ended the exchange, or `None` if it did not.
    pub(super) fn stopped(&self) -> Option<StopReason> {
        self.state.stopped.get()
    }

    /// Returns whether the exchange failed before a byte of the request was sent, other than by a
    /// cancellation: the addresses of its server may be outdated, also if none of them responds before
    /// the deadline.
    pub(super) fn is_unconnected(&self) -> bool {
        !self.sent() && matches!(self.stopped(), None | Some(StopReason::Deadline))
    }

    /// Returns what the exchange with the server of `url` does, as a part of an error message.
    pub(super) fn activity(&self, url: &str) -> String {
        let proxy = match &*self.state.proxy.borrow() {
            Some(proxy) => format!("the proxy {proxy}"),
            None => "the proxy".to_owned(),
        };
        let of_proxy = self.state.connecting.get() > 1;
        let peer = if of_proxy { &proxy } else { url };
        match self.state.step.get() {
            Step::Resolve => format!("resolving the host name of {peer}"),
            Step::Connect => format!("connecting to {peer}"),
            Step::Tunnel => format!("waiting for {proxy} to connect to {url}"),
            Step::Handshake => format!("waiting for the TLS handshake with {peer}"),
            Step::Send => format!("sending the request to {url}"),
            Step::Receive => format!("waiting for the response of {url}"),
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.state.written.get()
    }

    pub(super) fn received(&self) -> u64 {
        self.state.received.get()
    }

    fn current<T>(read: impl FnOnce(&ExchangeState) -> T) -> Option<T> {
        // Not borrowed during `read`, which can call the caller's interrupt check, which can start
        // another exchange.
        let current = CURRENT_EXCHANGE.with(|current| current.borrow().clone());
        current.as_deref().map(read)
    }

    /// Returns the maximum duration of the next wait on this thread.
    ///
    /// # Errors
    ///
    /// `TimedOut` if the call is cancelled or its deadline has passed.
    pub(super) fn next_wait() -> io::Result<Duration> {
        // There is no exchange while the pool closes a connection.
        ExchangeGuard::current(|state| {
            state.call.next_wait(MAX_WAIT).map_err(|stop| {
                state.stopped.set(Some(stop));
                io::Error::new(
                    io::ErrorKind::TimedOut,
                    "call cancelled or deadline exceeded",
                )
            })
        })
        .unwrap_or(Ok(MAX_WAIT))
    }

    /// Records that a connection is being established.
    pub(super) fn begin_to_connect() {
        ExchangeGuard::current(|state| {
            state.connecting.set(state.connecting.get() + 1);
            state.step.set(Step::Connect);
        });
    }

    /// Records that the connection that is being established leads through this proxy.
    pub(super) fn through_proxy(url: String) {
        ExchangeGuard::current(|state| state.proxy.replace(Some(url)));
    }

    /// Records that the exchange waits for a DNS resolution, or that this has ended.
    pub(super) fn resolving(is_resolving: bool) {
        ExchangeGuard::current(|state| {
            state.step.set(match is_resolving {
                true => Step::Resolve,
                false => Step::Connect,
            });
        });
    }

    /// Records that the server has read no byte of the request, although some were sent.
    pub(super) fn not_received() {
        ExchangeGuard::current(|state| {
            if state.connecting.get() == 0 {
                state.sending.set(false);
                state.sent_at.set(None);
            }
        });
    }

    /// Records that a TLS handshake begins.
    pub(super) fn begin_handshake() {
        ExchangeGuard::current(|state| state.step.set(Step::Handshake));
    }

    /// Records that a connection was established.
    pub(super) fn connected() {
        ExchangeGuard::current(|state| {
            let outer = state.connecting.get().saturating_sub(1);
            state.connecting.set(outer);
            state.step.set(match outer {
                0 => Step::Send,
                _ => Step::Tunnel,
            });
        });
    }

    /// Records that the next bytes belong to the request, unless a connection is being established.
    pub(super) fn begin_to_send() {
        ExchangeGuard::current(|state| {
            if state.connecting.get() == 0 {
                state.sending.set(true);
            }
        });
    }

    /// Fails if the first byte of the request has to be sent by a time that is past. Called before
    /// each write.
    pub(super) fn check_send_by() -> io::Result<()> {
        let is_expired = ExchangeGuard::current(|state| {
            let is_expired = state.send_by.get().is_some_and(|by| {
                state.sending.get() && state.sent_at.get().is_none() && Instant::now() > by
            });
            state.send_expired.set(is_expired);
            is_expired
        });
        match is_expired {
            Some(true) => Err(io::Error::other("permit of the rate limit expired")),
            _ => Ok(()),
        }
    }

    pub(super) fn count_written(bytes: usize) {
        ExchangeGuard::current(|state| {
            state.written.set(state.written.get() + bytes as u64);
            if state.sending.get() && bytes > 0 && state.sent_at.get().is_none() {
                state.sent_at.set(Some(Instant::now()));
            }
        });
    }

    pub(super) fn count_received(bytes: usize) {
        ExchangeGuard::current(|state| state.received.set(state.received.get() + bytes as u64));
    }
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        CURRENT_EXCHANGE.with(|current| current.replace(self.outer.take()));
    }
}
