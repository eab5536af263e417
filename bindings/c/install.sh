#!/bin/sh
# Installs the C and C++ library, after `cargo build --release --features capi`:
#
#   sh bindings/c/install.sh [OPTIONS] [PREFIX]
#
#   --prefix DIR       directory of the installation, default /usr/local; the same as PREFIX
#   --libdir DIR       directory of the libraries, default lib; for example lib/x86_64-linux-gnu
#   --includedir DIR   directory of the headers, default include
#   --docdir DIR       directory of the licenses, default share/doc/camunda_admin
#   --cmakedir DIR     directory of the CMake files, default LIBDIR/cmake/camunda_admin
#   --uninstall        removes the files that the same options install, and the directories of licenses, CMake
#                      files and suppressions if they are empty then; keeps links to another version of the library
#
# The suppressions of ThreadSanitizer are installed as share/camunda_admin/camunda_admin.tsan.supp.
#
# Relative directories are below the prefix. An installation with only relative directories can be moved.
# Directories may contain any character but a line break; CMake finds all of them. `pkg-config` prints the
# characters $ ( ) without an escape, so that a shell misreads its output for paths that contain them.
#
# Environment: LIBRARY_DIR is the directory of the built libraries (default: the folder `release`, or
# `$CARGO_BUILD_TARGET/release` if that variable is set, of CARGO_TARGET_DIR, else of `target`). DESTDIR is a
# staging directory that is prepended to all paths.
# STRIP is the program that removes debug information and bitcode from the static library (default: strip).
#
# Installs nothing if a file is missing. The shared library is required, the static one is optional.
set -eu

fail() {
  echo "install.sh: $1" >&2
  exit "${2:-1}"
}

prefix=
libdir=lib
includedir=include
docdir=share/doc/camunda_admin
cmakedir=
uninstall=false
while [ $# -gt 0 ]; do
  case $1 in
    --uninstall)
      uninstall=true
      shift
      continue
      ;;
    --prefix=* | --libdir=* | --includedir=* | --docdir=* | --cmakedir=*)
      name=${1%%=*}
      value=${1#*=}
      ;;
    --prefix | --libdir | --includedir | --docdir | --cmakedir)
      [ $# -ge 2 ] || fail "$1 requires a directory" 2
      name=$1
      value=$2
      shift
      ;;
    --help | -h)
      sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p;}' "$0"
      exit 0
      ;;
    -*) fail "unknown option $1; see --help" 2 ;;
    *)
      [ -z "$prefix" ] || fail "more than one prefix: $prefix, $1" 2
      name=--prefix
      value=$1
      ;;
  esac
  [ -n "$value" ] || fail "$name requires a directory" 2
  case $name in
    --prefix) prefix=$value ;;
    --libdir) libdir=$value ;;
    --includedir) includedir=$value ;;
    --docdir) docdir=$value ;;
    --cmakedir) cmakedir=$value ;;
  esac
  shift
done
prefix=${prefix:-/usr/local}
case $prefix in
  /) ;;
  */) prefix=${prefix%/} ;;
esac
case $prefix in
  /*) ;;
  *) prefix=$(pwd)/$prefix ;;
esac

top=$(cd "$(dirname "$0")/../.." && pwd)
libraries=${LIBRARY_DIR:-${CARGO_TARGET_DIR:-$top/target}/${CARGO_BUILD_TARGET:+$CARGO_BUILD_TARGET/}release}
version=$(sed -n 's/^#define CAMUNDA_VERSION "\(.*\)"$/\1/p' "$top/include/camunda_admin.h")
[ -n "$version" ] || fail "no version in $top/include/camunda_admin.h"
case $version in
  0.*) abi=0.$(echo "$version" | cut -d. -f2) ;;
  *) abi=${version%%.*} ;;
esac

# Returns the path of a directory; a relative one is below the prefix.
below_prefix() {
  case $1 in
    /*) printf '%s\n' "$1" ;;
    *) printf '%s\n' "$prefix/$1" ;;
  esac
}
# Returns one `..` for each component of a relative path.
up() {
  printf '%s\n' "$1" | sed -e 's|/*$||' -e 's|[^/][^/]*|..|g'
}
# Quotes a path for a file of pkg-config, for a string of CMake, and for the replacement of sed.
for_pc() {
  printf '%s\n' "$1" | sed "s/[][ \"'\\\\\$&;()<>|#*?{}!\`]/\\\\&/g"
}
for_cmake() {
  printf '%s\n' "$1" | sed 's|[\\"$]|\\&|g'
}
for_sed() {
  printf '%s\n' "$1" | sed 's/[\\&|]/\\&/g'
}
lib=$(below_prefix "$libdir")
include=$(below_prefix "$includedir")
doc=$(below_prefix "$docdir")
cmakedir=${cmakedir:-$libdir/cmake/camunda_admin}
cmake=$(below_prefix "$cmakedir")
data=$(below_prefix share/camunda_admin)
case $libdir:$includedir:$cmakedir in
  /*:* | *:/*)
    pc_prefix=$(for_pc "$prefix")
    pc_lib=$(for_pc "$lib")
    pc_include=$(for_pc "$include")
    cmake_lib=$(for_cmake "$lib")
    cmake_include=$(for_cmake "$include")
    ;;
  *)
    pc_prefix="\${pcfiledir}/$(up "$libdir/pkgconfig")"
    pc_lib="\${prefix}/$(for_pc "$libdir")"
    pc_include="\${prefix}/$(for_pc "$includedir")"
    cmake_prefix="\${_camunda_admin_here}/$(up "$cmakedir")"
    cmake_lib=$cmake_prefix/$(for_cmake "$libdir")
    cmake_include=$cmake_prefix/$(for_cmake "$includedir")
    ;;
esac

root=${DESTDIR:-}
if $uninstall; then
  for file in "$lib/libcamunda_admin.so.$version" "$lib/libcamunda_admin.$version.dylib" \
    "$prefix/bin/camunda_admin.dll" "$lib/libcamunda_admin.dll.a" "$lib/libcamunda_admin.a" \
    "$include/camunda_admin.h" "$include/camunda_admin.hpp" "$lib/pkgconfig/camunda_admin.pc" \
    "$lib/pkgconfig/camunda_admin-shared.pc" "$lib/pkgconfig/camunda_admin-static.pc" \
    "$cmake/camunda_admin-config.cmake" "$cmake/camunda_admin-config-version.cmake" \
    "$cmake/camunda_admin-targets.cmake" "$data/camunda_admin.tsan.supp" \
    "$doc/LICENSE" "$doc/THIRD-PARTY-LICENSES.txt"; do
    rm -f "$root$file"
  done
  # Links to a file that exists belong to another version.
  for file in "libcamunda_admin.so.$abi" libcamunda_admin.so "libcamunda_admin.$abi.dylib" \
    libcamunda_admin.dylib; do
    [ -e "$root$lib/$file" ] || rm -f "$root$lib/$file"
  done
  rmdir "$root$cmake" "$root$doc" "$root$data" 2>/dev/null || true
  exit 0
fi

archive=$libraries/libcamunda_admin.a
shared=
for candidate in libcamunda_admin.so libcamunda_admin.dylib camunda_admin.dll; do
  if [ -f "$libraries/$candidate" ]; then
    shared=$candidate
    break
  fi
done
[ -n "$shared" ] || fail "no library in $libraries; build it with cargo build --release --features capi"
for file in LICENSE THIRD-PARTY-LICENSES.txt include/camunda_admin.h include/camunda_admin.hpp \
  bindings/c/camunda_admin.pc.in bindings/c/camunda_admin-shared.pc.in \
  bindings/c/camunda_admin-static.pc.in \
  bindings/c/camunda_admin-config.cmake.in bindings/c/camunda_admin-config-version.cmake.in \
  bindings/c/camunda_admin-targets.cmake bindings/c/camunda_admin.tsan.supp; do
  [ -r "$top/$file" ] || fail "$top/$file does not exist"
done
# A library without the C ABI exports nothing.
grep -q camunda_abi_version "$libraries/$shared" \
  || fail "$libraries/$shared has no C ABI; build it with cargo build --release --features capi"

# Replaces a file instead of writing into it, since a running program may have mapped the old one.
put() {
  rm -f "$root$3"
  cp "$2" "$root$3"
  chmod "$1" "$root$3"
}
link() {
  rm -f "$root$2"
  ln -s "$1" "$root$2"
}
fill() {
  rm -f "$root$2"
  sed -e "s|@PREFIX@|$(for_sed "$pc_prefix")|" -e "s|@LIBDIR@|$(for_sed "$pc_lib")|" \
    -e "s|@INCLUDEDIR@|$(for_sed "$pc_include")|" -e "s|@CMAKE_LIB_DIR@|$(for_sed "$cmake_lib")|" \
    -e "s|@CMAKE_INCLUDE_DIR@|$(for_sed "$cmake_include")|" -e "s|@VERSION@|$version|" "$1" > "$root$2"
  chmod 644 "$root$2"
}

mkdir -p "$root$include" "$root$lib/pkgconfig" "$root$cmake" "$root$doc" "$root$data"
case $shared in
  *.so)
    put 755 "$libraries/$shared" "$lib/libcamunda_admin.so.$version"
    link "libcamunda_admin.so.$version" "$lib/libcamunda_admin.so.$abi"
    link "libcamunda_admin.so.$abi" "$lib/libcamunda_admin.so"
    ;;
  *.dylib)
    put 755 "$libraries/$shared" "$lib/libcamunda_admin.$version.dylib"
    link "libcamunda_admin.$version.dylib" "$lib/libcamunda_admin.$abi.dylib"
    link "libcamunda_admin.$abi.dylib" "$lib/libcamunda_admin.dylib"
    ;;
  *.dll)
    mkdir -p "$root$prefix/bin"
    put 755 "$libraries/$shared" "$prefix/bin/camunda_admin.dll"
    if [ -f "$libraries/libcamunda_admin.dll.a" ]; then
      put 644 "$libraries/libcamunda_admin.dll.a" "$lib/libcamunda_admin.dll.a"
    fi
    ;;
esac
if [ -f "$archive" ]; then
  put 644 "$archive" "$lib/libcamunda_admin.a"
  # With link-time optimization, objects contain LLVM bitcode, more than half of the archive. The `strip`
  # of macOS has no option that removes it.
  "${STRIP:-strip}" -S -R .llvmbc -R .llvmcmd "$root$lib/libcamunda_admin.a" 2>/dev/null \
    || "${STRIP:-strip}" -S "$root$lib/libcamunda_admin.a" 2>/dev/null \
    || echo "install.sh: static library not stripped: ${STRIP:-strip} failed" >&2
  fill "$top/bindings/c/camunda_admin-static.pc.in" "$lib/pkgconfig/camunda_admin-static.pc"
fi
put 644 "$top/include/camunda_admin.h" "$include/camunda_admin.h"
put 644 "$top/include/camunda_admin.hpp" "$include/camunda_admin.hpp"
fill "$top/bindings/c/camunda_admin.pc.in" "$lib/pkgconfig/camunda_admin.pc"
fill "$top/bindings/c/camunda_admin-shared.pc.in" "$lib/pkgconfig/camunda_admin-shared.pc"
fill "$top/bindings/c/camunda_admin-config.cmake.in" "$cmake/camunda_admin-config.cmake"
fill "$top/bindings/c/camunda_admin-config-version.cmake.in" \
  "$cmake/camunda_admin-config-version.cmake"
put 644 "$top/bindings/c/camunda_admin-targets.cmake" "$cmake/camunda_admin-targets.cmake"
put 644 "$top/bindings/c/camunda_admin.tsan.supp" "$data/camunda_admin.tsan.supp"
put 644 "$top/LICENSE" "$doc/LICENSE"
put 644 "$top/THIRD-PARTY-LICENSES.txt" "$doc/THIRD-PARTY-LICENSES.txt"
