#!/usr/bin/env bash
# Compares the Rust API with that of the last release (the newest tag vX.Y.Z that this commit contains) by
# cargo-semver-checks. Without such a tag there is nothing to compare with, and it succeeds.
set -euo pipefail
cd "$(dirname "$0")/.."
tag=$(git describe --tags --match 'v[0-9]*' --abbrev=0 2> /dev/null) || {
  echo "no release yet: the API is compared from the first tag on"
  exit 0
}
command -v cargo-semver-checks > /dev/null || cargo install --locked cargo-semver-checks
cargo semver-checks --package camunda-admin --baseline-rev "$tag" --all-features
