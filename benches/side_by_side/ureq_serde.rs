//! Baseline with ureq and serde_json: no retries, no deadline, no cancellation, one token per process.
//! Arguments: work (`get`, `list` or `decode`) and number of repetitions. Unknown fields are kept, as this
//! library keeps them; with the variable BENCH_DECODED=known they are not, and with BENCH_DECODED=nothing
//! the responses of `get` are received but not decoded.

mod cluster_types;

use std::env::var;
use std::error::Error;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use cluster_types::{keeping, minimal};

fn main() -> Result<(), Box<dyn Error>> {
    match var("BENCH_DECODED").as_deref() {
        Ok("nothing") => receive(),
        Ok("known") => run::<minimal::Cluster>(),
        _ => run::<keeping::Cluster>(),
    }
}

/// Receives the responses of `get`, and prints the sum of their bytes.
fn receive() -> Result<(), Box<dyn Error>> {
    let admin = Admin::new()?;
    let path = format!("/clusters/{}", var("BENCH_CLUSTER")?);
    let times: usize = std::env::args()
        .nth(2)
        .ok_or("missing argument: repetitions")?
        .parse()?;
    let mut bytes = 0;
    for _ in 0..times {
        bytes += admin.body(&path)?.len();
    }
    println!("{bytes}");
    Ok(())
}

/// A type of clusters.
trait Sizes {
    /// Returns the bytes of five fields.
    fn bytes(&self) -> usize;
}

macro_rules! sizes {
    ($($types:ident)*) => { $(
        impl Sizes for $types::Cluster {
            fn bytes(&self) -> usize {
                self.uuid.len()
                    + self.name.len()
                    + self.generation.name.len()
                    + self.region.name.len()
                    + self.status.ready.as_str().len()
            }
        }
    )* };
}
sizes!(keeping minimal);

fn run<Cluster: DeserializeOwned + Sizes>() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let work = arguments.next().ok_or("missing argument: work")?;
    let times: usize = arguments
        .next()
        .ok_or("missing argument: repetitions")?
        .parse()?;
    let mut totals = Totals::default();
    match work.as_str() {
        "get" => {
            let admin = Admin::new()?;
            let path = format!("/clusters/{}", var("BENCH_CLUSTER")?);
            for _ in 0..times {
                totals.add(&admin.get::<Cluster>(&path)?);
            }
        }
        "list" => {
            let admin = Admin::new()?;
            for _ in 0..times {
                let clusters: Vec<Cluster> = admin.get("/clusters")?;
                clusters.iter().for_each(|cluster| totals.add(cluster));
            }
        }
        "decode" => {
            let body = std::fs::read(var("BENCH_BODY")?)?;
            for _ in 0..times {
                let clusters: Vec<Cluster> = serde_json::from_slice(&body)?;
                clusters.iter().for_each(|cluster| totals.add(cluster));
                std::mem::forget(clusters); // see measure.py
            }
        }
        _ => return Err("there is no such work".into()),
    }
    println!("{} {}", totals.clusters, totals.bytes);
    Ok(())
}

struct Admin {
    agent: Agent,
    base_url: String,
    authorization: String,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

impl Admin {
    fn new() -> Result<Self, Box<dyn Error>> {
        let pem = std::fs::read(var("CAMUNDA_CUSTOM_ROOT_CERT_PATH")?)?;
        let mut roots: Vec<Certificate<'static>> = Vec::new();
        for item in parse_pem(&pem) {
            if let PemItem::Certificate(certificate) = item? {
                roots.push(certificate);
            }
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(roots))
            .build();
        let agent: Agent = Agent::config_builder().tls_config(tls).build().into();
        let credentials = serde_json::json!({
            "grant_type": "client_credentials",
            "client_id": var("CAMUNDA_CONSOLE_CLIENT_ID")?,
            "client_secret": var("CAMUNDA_CONSOLE_CLIENT_SECRET")?,
            "audience": "api.cloud.camunda.io",
        });
        let mut response = agent
            .post(var("CAMUNDA_OAUTH_URL")?)
            .content_type("application/json")
            .send(&serde_json::to_vec(&credentials)?)?;
        let token: Token = serde_json::from_slice(&response.body_mut().read_to_vec()?)?;
        Ok(Admin {
            agent,
            base_url: var("CAMUNDA_CONSOLE_BASE_URL")?,
            authorization: format!("Bearer {}", token.access_token),
        })
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Box<dyn Error>> {
        Ok(serde_json::from_slice(&self.body(path)?)?)
    }

    fn body(&self, path: &str) -> Result<Vec<u8>, Box<dyn Error>> {
        let mut response = self
            .agent
            .get(format!("{}{path}", self.base_url))
            .header("Authorization", &self.authorization)
            .call()?;
        // Read into memory first, because serde_json decodes a slice much faster than a stream.
        let body = response.body_mut().with_config().limit(64 << 20);
        Ok(body.read_to_vec()?)
    }
}

/// Sizes of the decoded data, which must be equal for all programs.
#[derive(Default)]
struct Totals {
    clusters: usize,
    bytes: usize,
}

impl Totals {
    fn add(&mut self, cluster: &impl Sizes) {
        self.clusters += 1;
        self.bytes += cluster.bytes();
    }
}
