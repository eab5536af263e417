#!/usr/bin/env bash
# Tests the files in `dist/` without Rust: installs them from there alone, and runs the C, C++ and Python
# examples against the mock server.
#
#   bash packaging/test-dist.sh [DIST]
#
# Requires cc, c++, cmake, pkg-config and python3 with venv; any call of cargo or rustc fails. PYTHONS is a
# list of Python interpreters (default: python3). The tarball of another target is tested with its C
# compiler and its emulator, if they are installed: musl-gcc; aarch64-linux-gnu-gcc and qemu-aarch64;
# x86_64-w64-mingw32-gcc-posix and wine.
set -euo pipefail
top=$(cd "$(dirname "$0")/.." && pwd)
dist=$(cd "${1:-$top/dist}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step() { printf '\n== %s\n' "$*"; }

# Not only absent from the path: a build that calls them must not succeed by chance.
mkdir "$work/no-rust"
for program in cargo rustc rustup; do
  printf '#!/bin/sh\necho "%s was called" >&2\nexit 97\n' "$program" > "$work/no-rust/$program"
  chmod +x "$work/no-rust/$program"
done
export PATH=$work/no-rust:/usr/local/bin:/usr/bin:/bin HOME=$work/home
mkdir "$HOME"
for name in $(compgen -e | grep -E '^(CAMUNDA|ZEEBE|CARGO|RUST|PKG_CONFIG|CMAKE|PYTHON[A-RT-Z])' || true); do
  unset "$name"
done

step "checksums"
(cd "$dist" && sha256sum --check --quiet SHA256SUMS)

# The examples come with the sources, not with the packages.
cp -R "$top/examples" "$work/examples"
cd "$work"

step "tarball"
archive=$(ls "$dist"/camunda-admin-*-"$(uname -m)"-unknown-linux-gnu.tar.gz)
tar xzf "$archive"
installation=$work/$(basename "$archive" .tar.gz)
sandbox=$installation/bin/camunda-admin-sandbox
export PKG_CONFIG_PATH=$installation/lib/pkgconfig
export CAMUNDA_TOKEN_CACHE_DIR=$work/tokens

# Runs a program against a mock server of its own.
against_sandbox() {
  rm -rf "$work/tokens"
  timeout 120 "$sandbox" -- "$@"
}

# Fails unless a shared library has the name and the symbol versions of its C ABI.
check_abi() {
  local abi
  abi=$(sed -n 's/^#define CAMUNDA_VERSION "\(0\.[0-9]*\|[1-9][0-9]*\)\..*/\1/p' \
    "$installation/include/camunda_admin.h")
  readelf -d -W "$1" | grep -qF "soname: [libcamunda_admin.so.$abi]" \
    || { echo "$1: SONAME is not libcamunda_admin.so.$abi" >&2; exit 1; }
  # The version itself is defined as an absolute symbol.
  if ! nm -D --defined-only "$1" | awk -v version="LIBCAMUNDA_ADMIN_$abi" '
    $2 == "A" { next }
    { count += 1; if ($3 !~ "^camunda_[a-z_0-9]+@@" version "$") { print "exported: " $3; bad = 1 } }
    END { exit bad || count == 0 }' >&2; then
    echo "$1: symbols without the version LIBCAMUNDA_ADMIN_$abi" >&2
    exit 1
  fi
}

step "symbol versions"
check_abi "$installation/lib/libcamunda_admin.so"
for file in "$dist"/camunda_admin-*_"$(uname -m)"*.whl; do
  rm -rf wheel
  python3 -m zipfile -e "$file" wheel
  check_abi wheel/camunda_admin/libcamunda_admin.so
done
for file in "$dist"/libcamunda-admin0*.deb; do
  if [ -f "$file" ] && command -v dpkg-deb > /dev/null; then
    rm -rf deb
    dpkg-deb --extract "$file" deb
    for library in deb/usr/lib/*/libcamunda_admin.so.*.*.*; do
      check_abi "$library"
    done
  fi
done

step "C, shared and static library by pkg-config"
for package in camunda_admin camunda_admin-static; do
  # shellcheck disable=SC2046
  cc -std=c11 -D_POSIX_C_SOURCE=200809L examples/c/quickstart.c -o "c-$package" \
    $(pkg-config --cflags --libs "$package") -Wl,-rpath,"$installation/lib"
  against_sandbox "./c-$package"
done

step "C++ by CMake"
mkdir project
cat > project/CMakeLists.txt <<'EOF'
cmake_minimum_required(VERSION 3.14)
project(quickstart CXX)
find_package(camunda_admin REQUIRED COMPONENTS shared static)
add_executable(quickstart ../examples/cpp/quickstart.cpp)
target_link_libraries(quickstart PRIVATE camunda_admin::camunda_admin)
EOF
cmake -S project -B build -DCMAKE_PREFIX_PATH="$installation" > cmake.log
cmake --build build > build.log
against_sandbox build/quickstart

for python in ${PYTHONS:-python3}; do
  step "wheels, $("$python" --version)"
  rm -rf venv
  "$python" -m venv venv
  venv/bin/pip install --quiet --disable-pip-version-check --no-index --find-links "$dist" \
    --only-binary :all: camunda-admin camunda-admin-sandbox
  rm -rf "$work/tokens"
  timeout 120 venv/bin/python -m camunda_admin_sandbox -- venv/bin/python examples/python/quickstart.py
done

skipped=()
for archive in "$dist"/camunda-admin-*.tar.gz; do
  installation=$work/$(basename "$archive" .tar.gz)
  [ ! -d "$installation" ] || continue
  step "C, $(basename "$archive")"
  suffix= run=() libraries=("$installation/lib/libcamunda_admin.so" -Wl,-rpath,"$installation/lib")
  case $archive in
    *-x86_64-unknown-linux-musl.*) compiler=musl-gcc ;;
    *-aarch64-unknown-linux-gnu.*)
      compiler=aarch64-linux-gnu-gcc run=(qemu-aarch64 -L /usr/aarch64-linux-gnu)
      ;;
    *-x86_64-pc-windows-gnu.*)
      compiler=x86_64-w64-mingw32-gcc-posix run=(wine) suffix=.exe
      libraries=("$installation/lib/libcamunda_admin.dll.a" -static -lws2_32)
      export WINEPREFIX=$work/wine WINEDEBUG=-all WINEPATH="Z:$installation/bin"
      ;;
    *) echo "unknown target: $archive" >&2; exit 1 ;;
  esac
  if ! command -v "$compiler" > /dev/null || ! command -v "${run[0]:-sh}" > /dev/null; then
    skipped+=("$(basename "$archive")")
    continue
  fi
  tar xzf "$archive"
  "$compiler" -std=c11 -D_POSIX_C_SOURCE=200809L -I"$installation/include" examples/c/quickstart.c \
    -o "quickstart$suffix" "${libraries[@]}"
  inside=("${run[@]}")
  [ -z "$suffix" ] || inside=()
  rm -rf "$work/tokens"
  timeout 300 "${run[@]}" "$installation/bin/camunda-admin-sandbox$suffix" -- "${inside[@]}" \
    "./quickstart$suffix"
done
[ ${#skipped[@]} -eq 0 ] || echo "not tested, since their compiler or emulator is missing: ${skipped[*]}"

step "passed"
