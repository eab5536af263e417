#!/usr/bin/env bash
# Builds the documentation site into target/site. Warnings, links to missing pages and links to missing
# anchors are errors.
#
#   bash docs/build.sh            the site
#   bash docs/build.sh --all      with the references of Rust (rustdoc) and C (Doxygen) below it
#
# Requires python3 with venv; the packages of docs/requirements.txt are installed below target/.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
environment=$target/site-python
if ! cmp -s docs/requirements.txt "$environment/requirements.txt"; then
  rm -rf "$environment"
  python3 -m venv "$environment"
  install() { "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement docs/requirements.txt; }
  # The registry may fail once.
  install || install
  cp docs/requirements.txt "$environment/requirements.txt"
fi

extra=$target/site-references
rm -rf "$extra" "$target/site"
mkdir -p "$extra"
if [ "${1-}" = --all ]; then
  RUSTDOCFLAGS="-D warnings" cargo doc --workspace --all-features --no-deps --quiet
  mkdir "$extra/rust" "$extra/c"
  cp -r "$target/doc/." "$extra/rust/"
  { cat docs/Doxyfile; printf "%s\n" "OUTPUT_DIRECTORY=$extra/c" HTML_OUTPUT=. WARN_AS_ERROR=FAIL_ON_WARNINGS; } | doxygen - >/dev/null
fi
[ "${1-}" = --all ] || extra=
SITE_EXTRA=${extra:+$(realpath "$extra")} "$environment/bin/sphinx-build" --quiet --fail-on-warning --keep-going \
  -b html -d "$target/site-doctrees" docs "$target/site"
echo "$target/site/index.html"
