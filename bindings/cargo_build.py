"""Shared by the hatch hooks of the Python packages: the version, and a file that cargo builds.

A wheel contains the file that an environment variable names, else the one that cargo builds from the Rust
sources: those of the repository, or those in the source distribution, which contains this module as well.
The environment variable `CAMUNDA_ADMIN_PLATFORM` is the platform tag of the wheel, for a file that was
built for another system (default: the tag of this system).

An editable installation copies the file into the package, where git ignores it.
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
from typing import Any, ClassVar

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

#: Folder of the Rust sources in a source distribution.
IN_SDIST = "rust"


class VersionHook(MetadataHookInterface):
    """Sets the version, which only Cargo.toml contains."""

    def update(self, metadata: dict[str, Any]) -> None:
        folder = rust_sources(Path(self.root))
        # The standard library has a TOML parser only since Python 3.11.
        found = re.search(r'(?m)^version\s*=\s*"([^"]+)"', manifest(folder))
        if found is None:
            raise SystemExit(f"{folder / 'Cargo.toml'} has no version")
        metadata["version"] = found.group(1)


class CargoHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the built file to wheels, and the Rust sources to source distributions."""

    #: Environment variable that names a built file.
    variable: ClassVar[str]
    #: Folder of the file in the wheel, and in `src`.
    destination: ClassVar[str]
    #: Arguments of `cargo build --release`.
    arguments: ClassVar[tuple[str, ...]]
    #: Files and folders of the Rust sources from which cargo builds the file, without Cargo.toml.
    sources: ClassVar[tuple[str, ...]]
    #: Files of the Rust sources that wheels contain in the package.
    documents: ClassVar[tuple[str, ...]] = ()

    def file_name(self) -> str:
        """Return the name of the file that cargo builds."""
        raise NotImplementedError

    def packed_manifest(self, text: str) -> str:
        """Return the Cargo.toml of the source distribution for that of the repository."""
        raise NotImplementedError

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = rust_sources(Path(self.root))
        included = build_data["force_include"]
        if self.target_name == "sdist":
            self.add_sources(folder, included)
            return
        built = self.given_file() or cargo_build(folder, self.arguments, self.file_name())
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"
        if version == "editable":
            inside = Path(self.root, "src", self.destination, built.name)
            inside.parent.mkdir(exist_ok=True)
            # Replaces the file, which a running program may have mapped.
            inside.unlink(missing_ok=True)
            shutil.copy(built, inside)
        else:
            included[str(built)] = f"{self.destination}/{built.name}"
            for name in self.documents:
                package = self.destination.split("/")[0]
                included[str(folder / name)] = f"{package}/{Path(name).name}"

    def given_file(self) -> Path | None:
        given = os.environ.get(self.variable)
        if not given:
            return None
        path = Path(given).resolve()
        if not path.is_file():
            raise SystemExit(f"{self.variable}: {given} is not a file")
        return path

    def add_sources(self, folder: Path, included: dict[str, str]) -> None:
        if folder == Path(self.root, IN_SDIST):
            included[str(folder)] = IN_SDIST
            return
        for name in (*self.sources, *self.documents):
            included[str(folder / name)] = f"{IN_SDIST}/{name}"
        included[str(Path(__file__).resolve())] = Path(__file__).name
        # Deleted with this object, after the source distribution was written.
        self.folder = tempfile.TemporaryDirectory()
        packed = Path(self.folder.name) / "Cargo.toml"
        packed.write_text(self.packed_manifest(manifest(folder)), encoding="utf-8")
        included[str(packed)] = f"{IN_SDIST}/Cargo.toml"


def rust_sources(root: Path) -> Path:
    """Return the folder of the Rust sources of the package in `root`."""
    packed = root / IN_SDIST
    return packed if packed.is_dir() else root.resolve().parents[1]


def manifest(folder: Path) -> str:
    """Return the text of Cargo.toml."""
    path = folder / "Cargo.toml"
    if not path.is_file():
        raise SystemExit(
            f"no Rust sources in {folder}; install from a clone of the repository, from the source "
            "distribution, or from a wheel"
        )
    return path.read_text(encoding="utf-8")


def manifest_sections(text: str) -> list[str]:
    """Return the sections of a TOML file, each beginning with its header."""
    return re.split(r"(?m)^(?=\[)", text)


def cargo_build(folder: Path, arguments: tuple[str, ...], name: str) -> Path:
    """Build a file with cargo and return its path."""
    manifest(folder)
    cargo = os.environ.get("CARGO") or shutil.which("cargo")
    if not cargo:
        raise SystemExit(
            "cargo not found; install Rust (https://rustup.rs), or install from a wheel"
        )
    check_target(cargo, folder)
    command = [cargo, "build", "--release", *arguments]
    command += ["--message-format", "json-render-diagnostics"]
    # In the folder of the sources, so that their toolchain and cargo settings apply.
    built = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, check=False)
    if built.returncode:
        raise SystemExit(f"cargo failed with status {built.returncode}")
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact":
            for path in map(Path, message["filenames"]):
                if path.name == name:
                    return path
    raise SystemExit(f"cargo built no {name}")


def check_target(cargo: str, folder: Path) -> None:
    """Exit with a message if cargo builds for another system and the tag of the wheel is not given."""
    target = os.environ.get("CARGO_BUILD_TARGET")
    if not target or os.environ.get("CAMUNDA_ADMIN_PLATFORM"):
        return
    about = subprocess.run([cargo, "-vV"], cwd=folder, stdout=subprocess.PIPE, check=False)
    if f"host: {target}" not in about.stdout.decode().splitlines():
        raise SystemExit(
            f"CARGO_BUILD_TARGET is {target}: set CAMUNDA_ADMIN_PLATFORM to the platform tag of the wheel, "
            "or unset CARGO_BUILD_TARGET"
        )


def platform_tag() -> str:
    """Return the platform tag of the wheel."""
    given = os.environ.get("CAMUNDA_ADMIN_PLATFORM")
    if given:
        return given
    system = sysconfig.get_platform()
    if sys.platform == "darwin":
        # Python may be a universal binary; the file is built for one architecture.
        machine = platform.machine()
        system = f"macosx-{'11.0' if machine == 'arm64' else '10.12'}-{machine}"
    return re.sub("[^0-9a-zA-Z]", "_", system)
