#!/bin/sh
# Installs the C and C++ library, after `cargo build --release --features capi`:
#
#   sh bindings/c/install.sh PREFIX
#
# Installs headers to PREFIX/include, libraries to PREFIX/lib, and the files of pkg-config and CMake to
# PREFIX/lib/pkgconfig and PREFIX/lib/cmake. LIBRARY_DIR is the directory of the built libraries
# (default: target/release). DESTDIR is a staging directory that is prepended to PREFIX.
set -eu

if [ $# -ne 1 ]; then
  echo "usage: sh install.sh PREFIX" >&2
  exit 2
fi
prefix=$1
top=$(cd "$(dirname "$0")/../.." && pwd)
libraries=${LIBRARY_DIR:-$top/target/release}
root=${DESTDIR:-}$prefix
version=$(sed -n 's/^#define CAMUNDA_VERSION "\(.*\)"$/\1/p' "$top/include/camunda_admin.h")

fill() {
  sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" "$1" > "$2"
}

mkdir -p "$root/include" "$root/lib/pkgconfig" "$root/lib/cmake/camunda_admin"
cp "$top/include/camunda_admin.h" "$top/include/camunda_admin.hpp" "$root/include/"
for library in libcamunda_admin.so libcamunda_admin.dylib libcamunda_admin.a; do
  if [ -e "$libraries/$library" ]; then
    # Replaces the file, since a running program may have mapped the old one.
    rm -f "$root/lib/$library"
    cp "$libraries/$library" "$root/lib/"
  fi
done
if ! [ -e "$root/lib/libcamunda_admin.a" ]; then
  echo "no library in $libraries: build it with cargo build --release --features capi" >&2
  exit 1
fi
fill "$top/bindings/c/camunda_admin.pc.in" "$root/lib/pkgconfig/camunda_admin.pc"
fill "$top/bindings/c/camunda_admin-config-version.cmake.in" \
  "$root/lib/cmake/camunda_admin/camunda_admin-config-version.cmake"
cp "$top/bindings/c/camunda_admin-config.cmake" "$root/lib/cmake/camunda_admin/"
