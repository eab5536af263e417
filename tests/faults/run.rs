//! One call that meets a fault, what was seen of it from both sides, and the rules that hold
//! whatever the fault.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use camunda_admin::{
    AdminClient, ClusterId, CreateCluster, Error, IpAllowlistEntry, Outcome, Stage,
};
use camunda_admin_sandbox::Sandbox;

use crate::certificates::Authority;
use crate::deadline_check::in_time;
use crate::fault_proxy::{Front, Misbehaviour};
use crate::list::{Entry, Fault, MAX_BYTES};
use crate::unreachable_ports::{FullPort, port_of_nobody};

/// The deadline of calls that are to end by themselves.
const LONG: Duration = Duration::from_secs(30);

/// Who meets the fault.
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

/// A call to be made.
pub(crate) struct Run<'a> {
    pub(crate) fault: &'a Fault,
    pub(crate) class: Class,
    /// How many requests are struck; all of them without a number.
    pub(crate) times: Option<u32>,
}

/// What was seen of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Kind and outcome; nothing where the call succeeded.
    pub(crate) failed: Option<(String, Outcome)>,
    /// The error's one line, without the operation's name.
    pub(crate) message: Option<String>,
    /// Requests that arrived at the server, counted there; connections if it saw none.
    pub(crate) asked: String,
    pub(crate) took: &'static str,
}

/// What all runs share: the true service, and who vouches for servers.
pub(crate) struct Bench {
    sandbox: Sandbox,
    authority: Authority,
    cluster: ClusterId,
    pattern: CreateCluster,
    nobody: (OwnedFd, SocketAddr),
    full: FullPort,
    /// By name, what was to be created or set, and what was told of it.
    told: Mutex<Vec<(Class, String, Option<Outcome>)>>,
    names: AtomicU32,
}

impl Bench {
    pub(crate) fn start() -> Bench {
        let sandbox = Sandbox::builder().token_rate_limit(false).start();
        let cluster = sandbox.create_cluster(serde_json::json!({}));
        let admin = client(&sandbox).build().unwrap();
        let offer = admin.clusters().parameters().unwrap();
        Bench {
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
            nobody: port_of_nobody(),
            full: FullPort::new(),
            told: Mutex::default(),
            names: AtomicU32::new(0),
        }
    }

    /// Where the true service is.
    pub(crate) fn upstream(&self) -> SocketAddr {
        let url = self.sandbox.base_url();
        url.trim_start_matches("http://").parse().unwrap()
    }

    /// Makes a call that meets the fault, which has to end in time; `short` is the deadline where
    /// nothing else ends it.
    pub(crate) fn run(&self, run: &Run<'_>, short: Duration) -> Seen {
        in_time(|| self.run_once(run, short))
    }

    fn run_once(&self, run: &Run<'_>, short: Duration) -> (Seen, Duration) {
        let Run {
            fault,
            class,
            times,
        } = run;
        let misbehaviour = fault
            .act
            .clone()
            .map(|act| Misbehaviour { act, times: *times });
        let faulty = match fault.entry {
            Entry::Plain => Some(Front::plain(self.upstream(), misbehaviour)),
            Entry::Tls(certificate) => {
                let tls = |address| self.authority.server(certificate, address);
                Some(Front::start(self.upstream(), Some(tls), misbehaviour))
            }
            Entry::Nobody | Entry::NoName | Entry::Full => None,
        };
        let url = match (fault.entry, &faulty) {
            (Entry::Plain, Some(front)) => format!("http://{}", front.address()),
            (_, Some(front)) => format!("https://{}", front.address()),
            (Entry::Nobody, _) => format!("http://{}", self.nobody.1),
            (Entry::Full, _) => format!("http://{}", self.full.address()),
            // Too long to be asked for, so that no name server has a say in it.
            _ => format!("https://{}.example", "n".repeat(64)),
        };
        let deadline = if fault.hangs { short } else { LONG };
        self.call(
            *class,
            &url,
            faulty.as_ref(),
            deadline,
            fault.lasts,
            fault.warm,
        )
    }

    /// Makes a call of this class to a server at `url`, and holds it against the rules, but for its
    /// deadline: tells by how much it was late.
    pub(crate) fn call(
        &self,
        class: Class,
        url: &str,
        front: Option<&Front>,
        deadline: Duration,
        lasts: Duration,
        warm: bool,
    ) -> (Seen, Duration) {
        // What is not to be struck has a front of its own, so that no token serves two calls.
        let clean = Front::plain(self.upstream(), None);
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
        let count = || front.map_or((0, 0), |front| (front.requests(), front.connections()));
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
                let entry = IpAllowlistEntry::new("10.0.0.0/8", &name);
                let cluster = own_cluster.as_ref().unwrap_or(&self.cluster);
                admin.cluster(cluster).set_ip_allowlist(&[entry])
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
        self.told.lock().unwrap().push((class, name, outcome));
        if let Err(error) = &result {
            self.check_error(class, error, requests);
        }
        let stats = admin.stats();
        let tried = match class {
            Class::Token => stats.token_requests - stats_before.token_requests,
            _ => {
                let requests = stats.requests - stats_before.requests;
                requests.max(1 + stats.retries - stats_before.retries)
            }
        };
        let took = if elapsed >= deadline {
            "at the deadline"
        } else if elapsed > LONG / 2 {
            "late"
        } else if tried > 1 {
            "after retries"
        } else if lasts > Duration::ZERO {
            "when it had come"
        } else {
            "at once"
        };
        let error = result.err();
        let seen = Seen {
            failed: error
                .as_ref()
                .map(|error| (format!("{:?}", error.kind()), error.outcome())),
            message: error.map(|error| {
                let operation = error.operation().unwrap_or_default();
                let text = error.to_string();
                let words = text.strip_prefix(operation).unwrap_or(&text);
                shape(words.trim_start_matches([':', ' ']), url)
            }),
            asked: match (requests, connections) {
                (0, 0) => "0".to_owned(),
                (0, connections) => format!("0 (connections: {connections})"),
                (requests, _) => requests.to_string(),
            },
            took,
        };
        (seen, elapsed.saturating_sub(deadline))
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
        for (outcome, words) in [
            (Outcome::Unknown, "; the change may have been applied: "),
            (Outcome::Completed, "; the change was applied: "),
        ] {
            let said = error.to_string().contains(words);
            assert_eq!(said, change && error.outcome() == outcome, "{text}");
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

    /// What calls and their errors said is what became of the clusters.
    pub(crate) fn check_what_was_told(&self) {
        let admin = client(&self.sandbox).build().unwrap();
        let clusters = admin.clusters().list().unwrap();
        let told = self.told.lock().unwrap();
        let mut found = HashMap::new();
        for cluster in &clusters {
            let entries = cluster.allowlist().unwrap_or_default();
            let descriptions = entries.iter().map(|entry| entry.description.as_str());
            for name in descriptions.chain([cluster.name.as_str()]) {
                *found.entry(name).or_insert(0) += 1;
            }
        }
        for (class, name, outcome) in told.iter() {
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
                "{name}: {outcome:?}, and there are {found}"
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

/// The message without what differs from run to run.
fn shape(message: &str, url: &str) -> String {
    let mut message = message.replace(url, "https://HOST");
    for (before, after) in [("try again in ", " s"), ("deadline of ", "s exceeded")] {
        if let Some(from) = message.find(before).map(|at| at + before.len())
            && let Some(length) = message[from..].find(after)
        {
            message.replace_range(from..from + length, "N");
        }
    }
    message
}
