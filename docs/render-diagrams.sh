#!/usr/bin/env bash
# Renders docs/*.dot to SVG with Graphviz.
#
#   bash docs/render-diagrams.sh           writes docs/*.svg
#   bash docs/render-diagrams.sh --check   fails if an SVG file was made from another version of its source
#
# Each SVG file contains the checksum of its source, so that --check does not need Graphviz and does not
# depend on its version.
set -euo pipefail
cd "$(dirname "$0")"

stale=0
for source in *.dot; do
  image=${source%.dot}.svg
  stamp="<!-- Generated from docs/$source by docs/render-diagrams.sh; sha256 $(sha256sum <"$source" | cut -d' ' -f1). -->"
  if [ "${1-}" = --check ]; then
    if ! grep -qF "$stamp" "$image" 2>/dev/null; then
      echo "docs/$image is out of date; run \`bash docs/render-diagrams.sh\`" >&2
      stale=1
    fi
    continue
  fi
  rendered=$(dot -Tsvg "$source")
  # The comment comes after the XML declaration, which must be the first line.
  {
    head -n 1 <<<"$rendered"
    echo "$stamp"
    tail -n +2 <<<"$rendered"
  } >"$image"
done
exit $stale
