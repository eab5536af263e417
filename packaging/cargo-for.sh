#!/usr/bin/env bash
# Runs cargo for a target, with the compiler and linker that it requires:
#
#   bash packaging/cargo-for.sh TARGET COMMAND [ARGUMENTS]
#
# TARGET is a target triple; for Linux with glibc, `x86_64-unknown-linux-gnu.2.17` selects the minimum
# version of glibc. Uses the target of the active Rust toolchain if it is installed; else builds the
# standard library from the sources of another toolchain (variables STD_RUSTC and STD_CARGO, default:
# those of Debian's packages rustc-web, cargo-web and rust-web-src). BUILD_STD=true does that in any case.
#
# REMAP_PATHS=true replaces the directories of this machine in the paths that programs contain (those of panic
# messages), so that they do not depend on where they were built.
#
# Also required: for aarch64-unknown-linux-gnu the package gcc-aarch64-linux-gnu, for
# x86_64-unknown-linux-musl musl-tools, for x86_64-pc-windows-gnu mingw-w64; for other targets, and for a
# minimum version of glibc, cargo-zigbuild and ziglang (PyPI).
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: bash packaging/cargo-for.sh TARGET COMMAND [ARGUMENTS]" >&2
  exit 2
fi
given=$1
command=$2
shift 2
target=${given%%.*}
top=$(cd "$(dirname "$0")/.." && pwd)
variable=${target//-/_}
upper=$(tr a-z- A-Z_ <<<"$target")
linker=

case $given in
  aarch64-unknown-linux-gnu) linker=aarch64-linux-gnu-gcc ;;
  x86_64-unknown-linux-gnu) linker=cc ;;
  x86_64-unknown-linux-musl) linker=musl-gcc ;;
  x86_64-pc-windows-gnu) linker=x86_64-w64-mingw32-gcc ;;
  *-linux-*) linker="cargo-zigbuild zig cc -- -target ${given/-unknown/}" ;;
esac
if [ -n "$linker" ]; then
  export "CC_$variable=$linker"
fi
case $target in
  *-linux-*)
    export LINKER=$linker "CARGO_TARGET_${upper}_LINKER=$top/packaging/linker.sh"
    ;;
  *)
    [ -z "$linker" ] || export "CARGO_TARGET_${upper}_LINKER=$linker"
    ;;
esac
case $target in
  # musl: a shared library, and a program that loads one, link the C library dynamically. STATIC=true
  # is for programs without shared libraries.
  *-musl)
    if [ "${STATIC:-false}" = false ]; then
      flags=CARGO_TARGET_${upper}_RUSTFLAGS
      export "$flags=${!flags:-} -C target-feature=-crt-static"
      unwind=$(rustc --print sysroot)/lib/rustlib/$target/lib/self-contained/libunwind.a
      if [ -f "$unwind" ]; then
        export UNWIND=$unwind
      fi
    else
      # musl-gcc does not know -static-pie: it links a program for the dynamic loader, which crashes.
      export LINKER=cc
    fi
    ;;
esac

if [ "${REMAP_PATHS:-false}" = true ]; then
  flags=CARGO_TARGET_${upper}_RUSTFLAGS
  # The last prefix that fits is replaced, and the target folder can be inside the sources.
  export "$flags=${!flags:-} --remap-path-prefix=$top=/camunda-admin \
--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo \
--remap-path-prefix=${CARGO_TARGET_DIR:-$top/target}=/target"
fi

std=()
cargo=${CARGO:-cargo}
if [ "${BUILD_STD:-false}" = true ] || [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
  export RUSTC=${STD_RUSTC:-/usr/bin/rustc} RUSTC_BOOTSTRAP=1
  cargo=${STD_CARGO:-/usr/bin/cargo}
  std=(-Zbuild-std=std,panic_abort)
fi
if [ -z "$linker" ]; then
  export CARGO=$cargo
  exec cargo-zigbuild "${command/#build/zigbuild}" "${std[@]}" --target "$target" "$@"
fi
exec "$cargo" "$command" "${std[@]}" --target "$target" "$@"
