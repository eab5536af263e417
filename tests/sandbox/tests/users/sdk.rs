//! Camunda's SDK for JavaScript, with the environment variables that the program prints.

use std::fs;
use std::process::Command;

use crate::tools::{PROGRAM, cache, find, missing, repository, run, try_run};

#[test]
fn camunda_sdk_for_javascript_uses_printed_environment() {
    let (Some(node), Some(npm)) = (find("node"), find("npm")) else {
        return;
    };
    let source = repository().join("tests/sandbox/tests/sdk");
    let directory = cache("sdk");
    for file in ["package.json", "main_job.js"] {
        fs::copy(source.join(file), directory.join(file)).unwrap();
    }
    let mut check = Command::new(&npm);
    check
        .args(["ls", "--silent", "@camunda8/sdk"])
        .current_dir(&directory);
    if !try_run(&mut check).0 {
        let mut install = Command::new(&npm);
        install
            .args([
                "install",
                "--silent",
                "--no-fund",
                "--no-audit",
                "--no-package-lock",
            ])
            .current_dir(&directory);
        // The registry may fail once.
        if !(0..3).any(|_| try_run(&mut install).0) {
            return missing("@camunda8/sdk, from the network,");
        }
    }
    for options in [&["--seed", "1"][..], &["--seed", "1", "--tls"]] {
        let mut script = Command::new(PROGRAM);
        script
            .args(options)
            .arg("--")
            .arg(&node)
            .arg("main_job.js")
            .current_dir(&directory)
            // The SDK keeps tokens in the home directory.
            .env("HOME", cache("sdk-home"))
            .env("CAMUNDA_TOKEN_DISK_CACHE_DISABLE", "true");
        assert!(run(&mut script).contains("done"));
    }
}
