#!/bin/sh
# Linker of release builds for Linux: gives the exported symbols of the shared library a version
# (LIBCAMUNDA_ADMIN_ and the version of its ABI), so that a process can load two of them.
#
# rustc writes a version script without a version for each shared library, and linkers accept no second
# one. This program adds the version to that script. LINKER is the program that links (default: cc).
#
# UNWIND is the library that is linked instead of libgcc_s, which for musl is not there: that of the system
# is for glibc.
set -eu
script=
name=
for argument in "$@"; do
  case $argument in
    -Wl,--version-script=*) script=${argument#*=} ;;
    -Wl,-soname,libcamunda_admin.so.*) name=LIBCAMUNDA_ADMIN_${argument#*.so.} ;;
  esac
done
if [ -n "$script" ] && [ -n "$name" ]; then
  sed -i "1s/^{/$name {/" "$script"
  grep -q "^$name {" "$script" || { echo "linker.sh: unknown form of $script" >&2; exit 1; }
fi
if [ -n "${UNWIND:-}" ]; then
  for argument in "$@"; do
    shift
    [ "$argument" != -lgcc_s ] || argument=$UNWIND
    set -- "$@" "$argument"
  done
fi
exec ${LINKER:-cc} "$@"
