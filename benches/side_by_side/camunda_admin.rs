//! Ours from Rust. Arguments: what to do (`get`, `list`, `decode` or `token`), and how often.

use std::error::Error;

use camunda_admin::{AdminClient, Cluster, ClusterId};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let work = arguments.next().ok_or("what to do?")?;
    let times: usize = arguments.next().ok_or("how often?")?.parse()?;
    let mut seen = Seen::default();
    match work.as_str() {
        "get" => {
            let admin = AdminClient::from_env()?;
            let id: ClusterId = std::env::var("BENCH_CLUSTER")?.parse()?;
            for _ in 0..times {
                seen.look_at(&admin.cluster(&id).get()?);
            }
        }
        "list" => {
            let admin = AdminClient::from_env()?;
            for _ in 0..times {
                admin
                    .clusters()
                    .list()?
                    .iter()
                    .for_each(|cluster| seen.look_at(cluster));
            }
        }
        "decode" => {
            let body = std::fs::read(std::env::var("BENCH_BODY")?)?;
            for _ in 0..times {
                let clusters: Vec<Cluster> = serde_json::from_slice(&body)?;
                clusters.iter().for_each(|cluster| seen.look_at(cluster));
                std::mem::forget(clusters); // see measure.py
            }
        }
        "token" => {
            let tokens = AdminClient::from_env()?.token_source("api.cloud.camunda.io")?;
            for _ in 0..times {
                seen.clusters += usize::from(!tokens.access_token()?.expose().is_empty());
            }
        }
        _ => return Err("there is no such work".into()),
    }
    println!("{} {}", seen.clusters, seen.bytes);
    Ok(())
}

/// What was read; all programs have to agree on it.
#[derive(Default)]
struct Seen {
    clusters: usize,
    bytes: usize,
}

impl Seen {
    fn look_at(&mut self, cluster: &Cluster) {
        self.clusters += 1;
        self.bytes += cluster.uuid.as_str().len()
            + cluster.name.len()
            + cluster.generation.name.len()
            + cluster.region.name.len()
            + cluster.status.ready.as_str().len();
    }
}
