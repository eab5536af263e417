"""Hatch hooks: the version of the crate, and the native library in the wheel.

A wheel contains the library that the environment variable `CAMUNDA_ADMIN_LIBRARY` names, else the one
that cargo builds from the sources beside this package: those of the repository, or those in the source
distribution. `CAMUNDA_ADMIN_PLATFORM` is the platform tag of the wheel, for a library that was built for
another system (default: the tag of this system).

An editable installation copies the library into `src/camunda_admin`, which git ignores.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PACKAGE = "camunda_admin"
HERE = Path(__file__).resolve().parent
#: Folder of the Rust sources in a source distribution.
IN_SDIST = "rust"
#: What the library is built from.
SOURCES = ("Cargo.lock", "LICENSE", "README.md", "bindings/c/library", "build.rs", "include", "src")
#: Licences of the crates that the library contains.
LICENCES = "THIRD-PARTY-LICENSES.txt"


def crate() -> Path:
    """Return the folder of the Rust sources."""
    packed = HERE / IN_SDIST
    return packed if packed.is_dir() else HERE.parents[1]


def manifest() -> str:
    path = crate() / "Cargo.toml"
    if not path.is_file():
        raise SystemExit(
            f"no Rust sources in {crate()}; install from a clone of the repository, from the source "
            "distribution, or from a wheel"
        )
    return path.read_text(encoding="utf-8")


class CustomMetadataHook(MetadataHookInterface):
    """Sets the version, which only Cargo.toml contains."""

    def update(self, metadata: dict[str, Any]) -> None:
        # The standard library has a TOML parser only since Python 3.11.
        found = re.search(r'(?m)^version\s*=\s*"([^"]+)"', manifest())
        if found is None:
            raise SystemExit(f"{crate() / 'Cargo.toml'} has no version")
        metadata["version"] = found.group(1)


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the library to wheels, and the Rust sources to source distributions."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "sdist":
            self.add_sources(build_data["force_include"])
            return
        library = find_library()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"
        if version == "editable":
            inside = HERE / "src" / PACKAGE / library.name
            # Replaces the file, since a running program may have mapped the old one.
            inside.unlink(missing_ok=True)
            shutil.copyfile(library, inside)
        else:
            build_data["force_include"][str(library)] = f"{PACKAGE}/{library.name}"
            build_data["force_include"][str(crate() / LICENCES)] = f"{PACKAGE}/{LICENCES}"

    def add_sources(self, included: dict[str, str]) -> None:
        if crate() == HERE / IN_SDIST:
            included[str(crate())] = IN_SDIST
            return
        for name in (*SOURCES, LICENCES):
            included[str(crate() / name)] = f"{IN_SDIST}/{name}"
        self.folder = tempfile.TemporaryDirectory()
        alone = Path(self.folder.name) / "Cargo.toml"
        alone.write_text(of_library(manifest()), encoding="utf-8")
        included[str(alone)] = f"{IN_SDIST}/Cargo.toml"


def of_library(text: str) -> str:
    """Return a manifest without what refers to files outside of the source distribution."""
    left_out = ("[dev-dependencies]", "[[bench]]", "[[test]]", "[[example]]")
    sections = re.split(r"(?m)^(?=\[)", text)
    kept = [
        re.sub(r"(?ms)^members = \[.*?\]\n", 'members = ["bindings/c/library"]\n', section)
        for section in sections
        if not section.startswith(left_out)
    ]
    return "".join(kept)


def find_library() -> Path:
    given = os.environ.get("CAMUNDA_ADMIN_LIBRARY")
    if given:
        library = Path(given).resolve()
        if not library.is_file():
            raise SystemExit(f"CAMUNDA_ADMIN_LIBRARY: {given} is not a file")
        return library
    return build_library()


def build_library() -> Path:
    manifest()
    cargo = os.environ.get("CARGO") or shutil.which("cargo")
    if not cargo:
        raise SystemExit(
            "cargo not found; install Rust (https://rustup.rs), or set CAMUNDA_ADMIN_LIBRARY to a "
            "built library"
        )
    command = [cargo, "build", "--release", "--lib", "--features", "capi"]
    command += ["--message-format", "json-render-diagnostics"]
    # In the crate's folder, so that its toolchain and cargo settings apply.
    built = subprocess.run(command, cwd=crate(), stdout=subprocess.PIPE, check=False)
    if built.returncode:
        raise SystemExit(f"cargo failed with status {built.returncode}")
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact":
            for name in message["filenames"]:
                if Path(name).name == library_name():
                    return Path(name)
    raise SystemExit(f"cargo built no {library_name()}")


def library_name() -> str:
    if sys.platform == "win32":
        return f"{PACKAGE}.dll"
    return f"lib{PACKAGE}.dylib" if sys.platform == "darwin" else f"lib{PACKAGE}.so"


def platform_tag() -> str:
    given = os.environ.get("CAMUNDA_ADMIN_PLATFORM")
    if given:
        return given
    system = sysconfig.get_platform()
    if sys.platform == "darwin":
        # Python may be a universal binary; the library is built for one architecture.
        machine = platform.machine()
        system = f"macosx-{'11.0' if machine == 'arm64' else '10.12'}-{machine}"
    return re.sub("[^0-9a-zA-Z]", "_", system)
