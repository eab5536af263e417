//! Runs one call with an injected fault, observes it at the client and at the server, and checks the
//! rules that hold for every fault.

use socket2::Socket;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use camunda_admin::{
    AdminClient, ClusterId, CreateCluster, Error, IpAllowlistEntry, Outcome, Stage,
};
use camunda_admin_sandbox::Sandbox;

use crate::certificates::Authority;
use crate::deadline_check::in_time;
use crate::expected::{Report, Timing};
use crate::fault_proxy::{FaultProxy, InjectedFault};
use crate::list::{Fault, MAX_BYTES, Target};
use crate::unreachable_ports::{UnresponsivePort, closed_port};

/// Deadline of calls that have to return before it.
const LONG: Duration = Duration::from_secs(30);

/// Class of a call: the idempotency of its operation, or the token request before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Safe,
    Idempotent,
    NonIdempotent,
    Token,
}

impl Class {
    pub(crate) const ALL: [Class; 4] = [
        Class::Safe,
        Class::Idempotent,
        Class::NonIdempotent,
        Class::Token,
    ];
}

/// A call with an injected fault.
pub(crate) struct Run<'a> {
    pub(crate) fault: &'a Fault,
    pub(crate) class: Class,
    /// Number of requests into which the fault is injected; `None`: all.
    pub(crate) times: Option<u32>,
}

/// The observed result of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observation {
    pub(crate) report: Report,
    /// The error's `Display` text without the name of the operation.
    pub(crate) message: Option<String>,
}

/// The mock server, the certificate authority and the unreachable ports that all runs share.
pub(crate) struct Fixture {
    sandbox: Sandbox,
    authority: Authority,
    cluster: ClusterId,
    pattern: CreateCluster,
    closed_port: (Socket, SocketAddr),
    unresponsive_port: UnresponsivePort,
    /// Class, name of what was created or set, and reported outcome of each call.
    reported: Mutex<Vec<(Class, String, Option<Outcome>)>>,
    names: AtomicU32,
}

impl Fixture {
    pub(crate) fn start() -> Fixture {
        let sandbox = Sandbox::builder().token_rate_limit(false).start();
        let cluster = sandbox.create_cluster(serde_json::json!({}));
        let admin = client(&sandbox).build().unwrap();
        let offer = admin.clusters().parameters().unwrap();
        Fixture {
            authority: Authority::new(),
            cluster: cluster.parse().unwrap(),
            pattern: CreateCluster::new(
                "",
                &offer.channels[0].uuid,
                &offer.channels[0].default_generation.uuid,
                &offer.regions[0].uuid,
                &offer.cluster_plan_types[0].uuid,
            ),
            sandbox,
            closed_port: closed_port(),
            unresponsive_port: UnresponsivePort::new(),
            reported: Mutex::default(),
            names: AtomicU32::new(0),
        }
    }

    /// Returns the address of the mock server.
    pub(crate) fn upstream(&self) -> SocketAddr {
        let url = self.sandbox.base_url();
        url.trim_start_matches("http://").parse().unwrap()
    }

    /// Makes a call with the fault, which must not exceed its deadline. `short`: deadline of calls that
    /// end only at their deadline.
    pub(crate) fn run(&self, run: &Run<'_>, short: Duration) -> Observation {
        in_time(|| self.run_once(run, short))
    }

    fn run_once(&self, run: &Run<'_>, short: Duration) -> (Observation, Duration) {
        let Run {
            fault,
            class,
            times,
        } = run;
        let injected = fault.injection.clone().map(|injection| InjectedFault {
            injection,
            times: *times,
        });
        let proxy = match fault.target {
            Target::Plain => Some(FaultProxy::plain(self.upstream(), injected)),
            Target::Tls(certificate) => {
                let tls = |address| self.authority.server(certificate, address);
                Some(FaultProxy::start(self.upstream(), Some(tls), injected))
            }
            Target::ClosedPort | Target::UnknownHost | Target::UnresponsivePort => None,
        };
        let url = match (fault.target, &proxy) {
            (Target::Plain, Some(proxy)) => format!("http://{}", proxy.address()),
            (_, Some(proxy)) => format!("https://{}", proxy.address()),
            (Target::ClosedPort, _) => format!("http://{}", self.closed_port.1),
            (Target::UnresponsivePort, _) => format!("http://{}", self.unresponsive_port.address()),
            // A label of more than 63 characters is invalid, so no DNS server is queried.
            _ => format!("https://{}.example", "n".repeat(64)),
        };
        let deadline = if fault.hangs { short } else { LONG };
        self.call(
            *class,
            &url,
            proxy.as_ref(),
            deadline,
            fault.lasts,
            fault.warm,
        )
    }

    /// Makes a call of this class to the server at `url` and checks the rules, except for the deadline:
    /// returns by how much the call exceeded it.
    pub(crate) fn call(
        &self,
        class: Class,
        url: &str,
        proxy: Option<&FaultProxy>,
        deadline: Duration,
        lasts: Duration,
        warm: bool,
    ) -> (Observation, Duration) {
        // Requests without a fault go through a proxy of their own, so that no two calls share a token.
        let clean = FaultProxy::plain(self.upstream(), None);
        let clean_url = format!("http://{}", clean.address());
        let (api, oauth) = match class {
            Class::Token => (clean_url.as_str(), url),
            _ => (url, clean_url.as_str()),
        };
        let admin = client(&self.sandbox)
            .base_url(api)
            .oauth_url(&format!("{oauth}/oauth/token"))
            .ca_file(self.authority.ca_file().to_str().unwrap())
            .max_response_bytes(MAX_BYTES)
            .timeout(deadline)
            .build()
            .unwrap();
        if warm {
            admin.cluster(&self.cluster).get().unwrap();
            if class == Class::Token {
                admin.invalidate_tokens();
            }
        }
        let count = || proxy.map_or((0, 0), |proxy| (proxy.requests(), proxy.connections()));
        let (before, stats_before) = (count(), admin.stats());
        let name = format!("run {}", self.names.fetch_add(1, Ordering::Relaxed));
        let own_cluster = (class == Class::Idempotent).then(|| {
            let cluster = self.sandbox.create_cluster(serde_json::json!({}));
            cluster.parse::<ClusterId>().unwrap()
        });
        let begun = Instant::now();
        let result = match class {
            Class::Safe | Class::Token => admin.cluster(&self.cluster).get().map(drop),
            Class::Idempotent => {
                let target = IpAllowlistEntry::new("10.0.0.0/8", &name);
                let cluster = own_cluster.as_ref().unwrap_or(&self.cluster);
                admin.cluster(cluster).set_ip_allowlist(&[target])
            }
            Class::NonIdempotent => {
                let mut request = self.pattern.clone();
                request.name = name.clone();
                admin.clusters().create(&request).map(drop)
            }
        };
        let elapsed = begun.elapsed();
        let after = count();
        let (requests, connections) = (after.0 - before.0, after.1 - before.1);

        if class == Class::NonIdempotent {
            assert!(requests <= 1, "sent {requests} times: {result:?}");
        }
        let outcome = result.as_ref().err().map(Error::outcome);
        self.reported.lock().unwrap().push((class, name, outcome));
        if let Err(error) = &result {
            self.check_error(class, error, requests);
        }
        let stats = admin.stats();
        let attempts = match class {
            Class::Token => stats.token_requests - stats_before.token_requests,
            _ => {
                let requests = stats.requests - stats_before.requests;
                requests.max(1 + stats.retries - stats_before.retries)
            }
        };
        let timing = if elapsed >= deadline {
            Timing::AtDeadline
        } else if elapsed > LONG / 2 {
            Timing::Late
        } else if attempts > 1 {
            Timing::AfterRetries
        } else if lasts > Duration::ZERO {
            Timing::WhenComplete
        } else {
            Timing::Immediately
        };
        let error = result.err();
        let observation = Observation {
            report: Report {
                error: error.as_ref().map(|error| (error.kind(), error.outcome())),
                requests,
                connections: match requests {
                    0 => connections,
                    _ => 0,
                },
                timing,
            },
            message: error.map(|error| {
                let operation = error.operation().unwrap_or_default();
                let text = error.to_string();
                let message = text.strip_prefix(operation).unwrap_or(&text);
                normalized(message.trim_start_matches([':', ' ']), url)
            }),
        };
        (observation, elapsed.saturating_sub(deadline))
    }

    fn check_error(&self, class: Class, error: &Error, requests: u32) {
        let text = format!("{error} {error:?}");
        assert!(!text.contains(&self.sandbox.client_secret()), "{text}");
        assert!(!text.contains("Bearer") && !text.contains("eyJ"), "{text}");
        assert!(
            !error.message().is_empty() && !error.to_string().contains('\n'),
            "{text}"
        );
        assert!(
            error.operation().is_some() && error.path().is_some(),
            "{text}"
        );
        assert!(error.elapsed().is_some(), "{text}");
        let change = matches!(class, Class::Idempotent | Class::NonIdempotent);
        let unconfirmed = matches!(error.outcome(), Outcome::Unknown | Outcome::Completed);
        assert_eq!(
            error.may_have_been_applied(),
            change && unconfirmed,
            "{text}"
        );
        for (outcome, text) in [
            (Outcome::Unknown, "; the change may have been applied: "),
            (Outcome::Completed, "; the change was applied: "),
        ] {
            let contained = error.to_string().contains(text);
            assert_eq!(contained, change && error.outcome() == outcome, "{error}");
        }
        if class == Class::Token {
            assert_eq!(
                (error.stage(), error.outcome()),
                (Stage::Token, Outcome::NotSent),
                "{text}"
            );
            assert_eq!(error.attempts(), 0, "{text}");
        } else {
            assert!(error.attempts() >= requests, "{text}");
            let sent = error.outcome() != Outcome::NotSent;
            assert_eq!(error.attempts() > 0, sent, "{text}");
        }
    }

    /// Checks that the reported outcomes are consistent with the state of the mock server.
    pub(crate) fn check_reported_outcomes(&self) {
        let admin = client(&self.sandbox).build().unwrap();
        let clusters = admin.clusters().list().unwrap();
        let reported = self.reported.lock().unwrap();
        let mut found = HashMap::new();
        for cluster in &clusters {
            let entries = cluster.allowlist().unwrap_or_default();
            let descriptions = entries.iter().map(|target| target.description.as_str());
            for name in descriptions.chain([cluster.name.as_str()]) {
                *found.entry(name).or_insert(0) += 1;
            }
        }
        for (class, name, outcome) in reported.iter() {
            if !matches!(class, Class::Idempotent | Class::NonIdempotent) {
                continue;
            }
            let found = found.get(name.as_str()).copied().unwrap_or(0);
            let allowed = match outcome {
                None | Some(Outcome::Completed) => 1..=1,
                Some(Outcome::NotSent | Outcome::Rejected) => 0..=0,
                _ => 0..=1,
            };
            assert!(
                allowed.contains(&found),
                "{name}: reported {outcome:?}, found {found} times"
            );
        }
    }
}

fn client(sandbox: &Sandbox) -> camunda_admin::AdminClientBuilder {
    AdminClient::builder()
        .client_id(&sandbox.client_id())
        .client_secret(sandbox.client_secret())
        .base_url(&sandbox.base_url())
        .oauth_url(&sandbox.oauth_url())
        .token_cache("memory")
}

/// Returns the message without the parts that differ between runs.
fn normalized(message: &str, url: &str) -> String {
    let mut message = message.replace(url, "https://HOST");
    for (before, after) in [("retry after ", " s"), ("deadline of ", "s exceeded")] {
        if let Some(from) = message.find(before).map(|at| at + before.len())
            && let Some(length) = message[from..].find(after)
        {
            message.replace_range(from..from + length, "N");
        }
    }
    message
}
