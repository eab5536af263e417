//! One CI job gets an access token for all the others, so that fifty jobs behind one IP address send
//! one token request.
//!
//! The first job has the credentials of the API client in its environment and writes a token to a
//! file, which the CI system passes on as a secret:
//!
//! ```sh
//! cargo run --example share_token provide token.txt
//! ```
//!
//! Every other job has the token instead of credentials. It never sends a token request:
//!
//! ```sh
//! CAMUNDA_CONSOLE_ACCESS_TOKEN="$(cat token.txt)" cargo run --example share_token use
//! ```
//!
//! The token gives access to the API until it expires. Treat the file as a secret: delete it after the
//! run, and never print it, because CI systems keep their logs.

use std::error::Error;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use camunda_admin::{AdminClient, ErrorKind};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["provide", path] => provide(Path::new(path)),
        ["use"] => use_token(),
        _ => Err("usage: share_token provide FILE | share_token use".into()),
    }
}

/// The first job: writes a token for the others to a new file that only this user can read.
pub(crate) fn provide(path: &Path) -> Result<(), Box<dyn Error>> {
    let admin = AdminClient::from_env()?;
    // A token from the cache can be old, and the other jobs cannot get another one.
    admin.invalidate_tokens();
    let token = admin.token("api.cloud.camunda.io")?;
    let left = token.expires_at().duration_since(SystemTime::now())?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(token.expose().as_bytes())?;
    println!("Token written; it expires in {} min.", left.as_secs() / 60);
    Ok(())
}

/// Every other job: uses the token in `CAMUNDA_CONSOLE_ACCESS_TOKEN`.
pub(crate) fn use_token() -> Result<(), Box<dyn Error>> {
    let admin = AdminClient::from_env()?;
    match admin.clusters().list() {
        Ok(clusters) => println!("{} clusters", clusters.len()),
        Err(error) if error.kind() == ErrorKind::Authentication => {
            return Err(format!("{error}; run the first job again").into());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
