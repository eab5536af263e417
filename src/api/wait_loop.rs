//! Loop of a waiter: sends polls, keeps the last state and the last error, and makes the errors of a
//! wait. `polling` decides when to poll; the waiters decide which state ends the wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::api::admin::AdminClient;
use crate::api::polling::{Action, Event, Polling};
use crate::api::wait_options::Wait;
use crate::call::{CallContext, CallOptions, StopReason};
use crate::error::{Error, ErrorKind, Outcome, Result, Stage};
use crate::transport::logs;

/// Classification of a successful poll.
pub(super) enum PollState {
    /// The wanted state.
    Ready,
    /// Another state, with its description.
    Pending(String),
    /// The wanted state, but only if the previous or the next poll has the same result.
    Confirming(String),
    /// The wanted state can no longer be reached. The reason follows the name of the resource.
    Unreachable(String),
}

/// A wait in progress, which reports resources of type `P`.
pub(super) struct WaitLoop<'a, 'c, P> {
    admin: &'a AdminClient,
    /// Name of the waiter in errors and logs, such as `wait until healthy`.
    name: &'static str,
    /// The polled resource, such as `cluster 3f0e…`.
    resource: String,
    options: &'a Wait<'c, P>,
    /// The wait, polls included.
    call: CallContext,
    /// Requests sent so far.
    requests: Arc<AtomicU32>,
    last_state: Option<String>,
    last_error: Option<Error>,
}

impl<'a, 'c, P> WaitLoop<'a, 'c, P> {
    pub(super) fn new(
        admin: &'a AdminClient,
        name: &'static str,
        resource: String,
        options: &'a Wait<'c, P>,
    ) -> Self {
        let timeout = options.timeout;
        WaitLoop {
            admin,
            name,
            resource,
            options,
            call: CallContext::start(&admin.options().clone().timeout(timeout), timeout),
            requests: Arc::default(),
            last_state: None,
            last_error: None,
        }
    }

    /// Polls with `request` until `classify` ends the wait. `reported` returns the resource that the
    /// progress callback receives.
    pub(super) fn run<T>(
        mut self,
        request: impl Fn(&AdminClient) -> Result<T>,
        reported: impl Fn(&T) -> Option<&P>,
        classify: impl Fn(&T) -> PollState,
    ) -> Result<T> {
        let poll_timeout = self.admin.call().timeout();
        let mut polling = Polling::new(self.options.max_poll_interval);
        // Whether the previous poll has to be confirmed. A failed poll confirms nothing.
        let mut confirming = false;
        loop {
            if let Err(stop) = self.call.check() {
                return Err(self.stop_error(stop));
            }
            let begun = Instant::now();
            let polled = request(&self.admin.with(self.options_of_poll(poll_timeout)));
            let took = begun.elapsed();
            let event = match polled {
                Ok(polled) => {
                    self.last_error = None;
                    if let Some(resource) = reported(&polled) {
                        self.options.report(resource);
                    }
                    match classify(&polled) {
                        PollState::Ready => return Ok(polled),
                        PollState::Confirming(_) if confirming => return Ok(polled),
                        PollState::Unreachable(reason) => return Err(self.unreachable(&reason)),
                        PollState::Pending(state) => {
                            self.last_state = Some(state);
                            Event::Pending
                        }
                        PollState::Confirming(state) => {
                            self.last_state = Some(state);
                            Event::Confirming
                        }
                    }
                }
                Err(error) => self.failed_poll(error)?,
            };
            confirming = event == Event::Confirming;
            let action = polling.next(&event, took, self.call.remaining());
            let delay = self.delay(&action)?;
            if let Err(stop) = self.call.sleep(delay) {
                return Err(self.stop_error(stop));
            }
        }
    }

    /// Returns the options of a poll that begins now.
    fn options_of_poll(&self, timeout: Duration) -> CallOptions {
        self.call
            .options()
            .clone()
            .timeout(timeout.min(self.call.remaining()))
            .counting_requests(self.requests.clone())
    }

    /// Keeps the error of a poll. Fails if the poll failed because the wait ended.
    fn failed_poll(&mut self, error: Error) -> Result<Event> {
        if error.kind() == ErrorKind::Cancelled {
            return Err(self.stop_error(StopReason::Cancelled));
        }
        if self.call.remaining().is_zero() {
            // The previous error has more information than that of a poll that the deadline ended.
            if error.kind() != ErrorKind::Timeout || self.last_state.is_none() {
                self.last_error.get_or_insert(error);
            }
            return Err(self.stop_error(StopReason::Deadline));
        }
        let event = Event::Failed {
            kind: error.kind(),
            permanent: error.is_permanent(),
            retry_after: error.retry_after(),
        };
        self.last_error = Some(error);
        Ok(event)
    }

    /// Returns the delay before the next poll. Fails if the error of the last poll ends the wait.
    fn delay(&mut self, action: &Action) -> Result<Duration> {
        match *action {
            Action::Fail => Err(self.failed("")),
            Action::FailBeforeRetryAfter => Err(self.failed(", which is after the deadline")),
            Action::PollAfter(delay) | Action::TimeOutAfter(delay) => {
                if let Some(error) = &self.last_error {
                    logs::poll_retry(self.name, delay, error);
                }
                Ok(delay)
            }
        }
    }

    /// Returns the outcome. It is never unknown, because a waiter changes nothing.
    fn outcome(&self) -> Outcome {
        match self.requests.load(Ordering::Relaxed) {
            0 => Outcome::NotSent,
            _ => Outcome::Rejected,
        }
    }

    /// Returns an error message with the last state, and with the last error unless `text` quotes
    /// it.
    fn message(&self, text: &str, quoted: bool) -> String {
        let mut message = format!("{}{text}", self.resource);
        if let Some(state) = &self.last_state {
            message.push_str(&format!("; last state: {state}"));
        }
        if let Some(error) = self.last_error.as_ref().filter(|_| !quoted) {
            message.push_str(&format!("; last error: {error}"));
        }
        message
    }

    fn finish(&self, error: Error) -> Error {
        let error = error
            .with_operation(self.name)
            .with_attempts(self.requests.load(Ordering::Relaxed))
            .with_elapsed(self.call.started().elapsed());
        logs::failure(self.name, &error);
        error
    }

    /// Returns the error of a wait that the deadline or the caller ended.
    fn stop_error(&mut self, stop: StopReason) -> Error {
        let stopped = self.call.stop_error(stop, Stage::Request, self.outcome());
        let message = self.message(&format!(": {}", stopped.message()), false);
        let error = Error::new(stopped.kind(), stopped.stage(), stopped.outcome(), message);
        let error = self.finish(error);
        match self.last_error.take() {
            Some(last) => error.with_underlying(last),
            None => error,
        }
    }

    /// Returns the error of a wait that the error of the last poll ended.
    fn failed(&mut self, note: &str) -> Error {
        let error = self
            .last_error
            .take()
            .expect("only the error of a poll ends a wait");
        let message = self.message(&format!(": {error}{note}"), true);
        let error = error.into_error_of_waiter(self.name, message, self.outcome());
        self.finish(error)
    }

    /// Returns the error of a wait for a state that the resource can no longer reach.
    fn unreachable(&self, reason: &str) -> Error {
        let message = format!("{} {reason}", self.resource);
        self.finish(Error::new(
            ErrorKind::WaitFailed,
            Stage::Request,
            self.outcome(),
            message,
        ))
    }
}
