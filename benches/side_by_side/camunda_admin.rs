//! This library from Rust. Arguments: work (`get`, `list`, `decode` or `token`) and number of
//! repetitions. With BENCH_THREADS, that many threads share the calls of `get`, and the output ends with
//! the number of open connections.

use std::error::Error;
use std::path::Path;

use camunda_admin::{AdminClient, Cluster, ClusterId};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let work = arguments.next().ok_or("missing argument: work")?;
    let times: usize = arguments
        .next()
        .ok_or("missing argument: repetitions")?
        .parse()?;
    let mut totals = Totals::default();
    let mut connections = None;
    match work.as_str() {
        "get" => {
            let admin = AdminClient::from_env()?;
            let id: ClusterId = std::env::var("BENCH_CLUSTER")?.parse()?;
            let given = std::env::var("BENCH_THREADS").ok();
            let threads = given.as_deref().map_or(Ok(1), str::parse)?;
            let results = std::thread::scope(|scope| {
                let get_all = || -> Result<Totals, camunda_admin::Error> {
                    let mut totals = Totals::default();
                    for _ in 0..times / threads {
                        totals.add(&admin.cluster(&id).get()?);
                    }
                    Ok(totals)
                };
                let others: Vec<_> = (1..threads).map(|_| scope.spawn(get_all)).collect();
                let mut results = vec![get_all()];
                results.extend(
                    others
                        .into_iter()
                        .map(|thread| thread.join().expect("no panic")),
                );
                results
            });
            for result in results {
                let of_thread = result?;
                totals.clusters += of_thread.clusters;
                totals.bytes += of_thread.bytes;
            }
            if given.is_some() {
                connections = Some(open_sockets()?);
            }
        }
        "list" => {
            let admin = AdminClient::from_env()?;
            for _ in 0..times {
                admin
                    .clusters()
                    .list()?
                    .iter()
                    .for_each(|cluster| totals.add(cluster));
            }
        }
        "decode" => {
            let body = std::fs::read(std::env::var("BENCH_BODY")?)?;
            for _ in 0..times {
                let clusters: Vec<Cluster> = serde_json::from_slice(&body)?;
                clusters.iter().for_each(|cluster| totals.add(cluster));
                std::mem::forget(clusters); // see measure.py
            }
        }
        "token" => {
            let tokens = AdminClient::from_env()?.token_source("api.cloud.camunda.io")?;
            for _ in 0..times {
                totals.clusters += usize::from(!tokens.access_token()?.expose().is_empty());
            }
        }
        _ => return Err("there is no such work".into()),
    }
    println!("{} {}", totals.clusters, totals.bytes);
    if let Some(connections) = connections {
        println!("{connections}");
    }
    Ok(())
}

/// Returns the number of sockets of this process, on Linux.
fn open_sockets() -> std::io::Result<usize> {
    let mut sockets = 0;
    for descriptor in Path::new("/proc/self/fd").read_dir()? {
        let target = std::fs::read_link(descriptor?.path())?;
        sockets += usize::from(target.to_string_lossy().starts_with("socket:"));
    }
    Ok(sockets)
}

/// Sizes of the decoded data, which must be equal for all programs.
#[derive(Default)]
struct Totals {
    clusters: usize,
    bytes: usize,
}

impl Totals {
    fn add(&mut self, cluster: &Cluster) {
        self.clusters += 1;
        self.bytes += cluster.uuid.as_str().len()
            + cluster.name.len()
            + cluster.generation.name.len()
            + cluster.region.name.len()
            + cluster.status.ready.as_str().len();
    }
}
