//! Benchmark of many processes: lists the clusters once, within the deadline `FLEET_TIMEOUT` in seconds.

use std::time::Duration;

use camunda_admin::AdminClientBuilder;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let timeout = std::env::var("FLEET_TIMEOUT")?.parse()?;
    let admin = AdminClientBuilder::from_env()
        .timeout(Duration::from_secs(timeout))
        .build()?;
    println!("{}", admin.clusters().list()?.len());
    Ok(())
}
