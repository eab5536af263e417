#!/usr/bin/env bash
# Runs cargo for a target, with the compiler and linker that it requires:
#
#   bash packaging/cargo-for.sh TARGET COMMAND [ARGUMENTS]
#
# TARGET is a target triple; for Linux with glibc, `x86_64-unknown-linux-gnu.2.17` selects the minimum
# version of glibc. Uses the target of the active Rust toolchain if it is installed; else builds the
# standard library from the sources of another toolchain (variables STD_RUSTC and STD_CARGO, default:
# those of Debian's packages rustc-web, cargo-web and rust-web-src).
#
# Required besides: for aarch64-unknown-linux-gnu the package gcc-aarch64-linux-gnu, for
# x86_64-unknown-linux-musl musl-tools, for x86_64-pc-windows-gnu mingw-w64; for other targets, and for a
# minimum version of glibc, cargo-zigbuild and ziglang (PyPI). With ZIG=true, zig is used for all targets.
set -euo pipefail

if [ $# -lt 2 ]; then
  echo "usage: bash packaging/cargo-for.sh TARGET COMMAND [ARGUMENTS]" >&2
  exit 2
fi
given=$1
command=$2
shift 2
target=${given%%.*}
zig=${ZIG:-false}
variable=${target//-/_}
linker_variable=CARGO_TARGET_$(tr a-z A-Z <<<"$variable")_LINKER

case $given in
  *-linux-gnu.*) zig=true ;;
  aarch64-unknown-linux-gnu) prefix=aarch64-linux-gnu- ;;
  x86_64-unknown-linux-gnu) prefix= ;;
  x86_64-unknown-linux-musl) prefix=musl- ;;
  x86_64-pc-windows-gnu) prefix=x86_64-w64-mingw32- ;;
  *) zig=true ;;
esac
if [ "$zig" = false ]; then
  given=$target
  export "CC_$variable=${prefix}gcc" "$linker_variable=${prefix}gcc"
  case $target in
    *-musl) ;;
    *) export "CXX_$variable=${prefix}g++" ;;
  esac
fi
# A shared library links the C library dynamically, also with musl. Static programs are requested with
# STATIC=true.
case $target in
  *-musl)
    if [ "${STATIC:-false}" = false ]; then
      flags=CARGO_TARGET_$(tr a-z A-Z <<<"$variable")_RUSTFLAGS
      export "$flags=${!flags:-} -C target-feature=-crt-static"
    fi
    ;;
esac

std=()
cargo=${CARGO:-cargo}
if [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
  :
else
  export RUSTC=${STD_RUSTC:-/usr/bin/rustc} RUSTC_BOOTSTRAP=1
  cargo=${STD_CARGO:-/usr/bin/cargo}
  # `--config` instead of an option of the command, which not all commands accept.
  std=(-Zbuild-std=std,panic_abort)
fi
if [ "$zig" = true ]; then
  export CARGO=$cargo
  exec cargo-zigbuild "${command/#build/zigbuild}" "${std[@]}" --target "$given" "$@"
fi
exec "$cargo" "$command" "${std[@]}" --target "$given" "$@"
