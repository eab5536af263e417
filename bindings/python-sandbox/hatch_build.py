"""Hatch hooks: the version of the program, and the program in the wheel.

A wheel contains the program that the environment variable `CAMUNDA_ADMIN_SANDBOX` names, else the one
that cargo builds from the sources beside this package: those of the repository, or those in the source
distribution. `CAMUNDA_ADMIN_PLATFORM` is the platform tag of the wheel, for a program that was built for
another system (default: the tag of this system).

An editable installation copies the program into `src/camunda_admin_sandbox/bin`, which git ignores.
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

PACKAGE = "camunda_admin_sandbox"
PROGRAM = "camunda-admin-sandbox"
HERE = Path(__file__).resolve().parent
#: Folder of the Rust sources in a source distribution.
IN_SDIST = "rust"
#: What the program is built from.
SOURCES = ("Cargo.lock", "tests/sandbox/Cargo.toml", "tests/sandbox/README.md", "tests/sandbox/src")


def workspace() -> Path:
    """Return the folder of the Rust sources."""
    packed = HERE / IN_SDIST
    return packed if packed.is_dir() else HERE.parents[1]


def manifest() -> str:
    path = workspace() / "Cargo.toml"
    if not path.is_file():
        raise SystemExit(
            f"no Rust sources in {workspace()}; install from a clone of the repository, from the "
            "source distribution, or from a wheel"
        )
    return path.read_text(encoding="utf-8")


class CustomMetadataHook(MetadataHookInterface):
    """Sets the version, which only Cargo.toml contains."""

    def update(self, metadata: dict[str, Any]) -> None:
        # The standard library has a TOML parser only since Python 3.11.
        found = re.search(r'(?m)^version\s*=\s*"([^"]+)"', manifest())
        if found is None:
            raise SystemExit(f"{workspace() / 'Cargo.toml'} has no version")
        metadata["version"] = found.group(1)


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the program to wheels, and the Rust sources to source distributions."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "sdist":
            self.add_sources(build_data["force_include"])
            return
        program = find_program()
        name = PROGRAM + program.suffix
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"
        if version == "editable":
            inside = HERE / "src" / PACKAGE / "bin" / name
            inside.parent.mkdir(exist_ok=True)
            # Replaces the file, which may be running.
            inside.unlink(missing_ok=True)
            shutil.copy(program, inside)
        else:
            build_data["force_include"][str(program)] = f"{PACKAGE}/bin/{name}"

    def add_sources(self, included: dict[str, str]) -> None:
        if workspace() == HERE / IN_SDIST:
            included[str(workspace())] = IN_SDIST
            return
        for name in SOURCES:
            included[str(workspace() / name)] = f"{IN_SDIST}/{name}"
        self.folder = tempfile.TemporaryDirectory()
        alone = Path(self.folder.name) / "Cargo.toml"
        alone.write_text(with_only_the_program(manifest()), encoding="utf-8")
        included[str(alone)] = f"{IN_SDIST}/Cargo.toml"


def with_only_the_program(text: str) -> str:
    """Return the manifest of a workspace that has no other member."""
    sections = re.split(r"(?m)^(?=\[)", text)
    kept = [section for section in sections if section.startswith(("[workspace.", "[profile.release]"))]
    return '[workspace]\nmembers = ["tests/sandbox"]\nresolver = "3"\n\n' + "".join(kept)


def find_program() -> Path:
    given = os.environ.get("CAMUNDA_ADMIN_SANDBOX")
    if given:
        program = Path(given).resolve()
        if not program.is_file():
            raise SystemExit(f"CAMUNDA_ADMIN_SANDBOX: {given} is not a file")
        return program
    return build_program()


def build_program() -> Path:
    manifest()
    cargo = os.environ.get("CARGO") or shutil.which("cargo")
    if not cargo:
        raise SystemExit(
            "cargo not found; install Rust (https://rustup.rs), or set CAMUNDA_ADMIN_SANDBOX to a "
            "built program"
        )
    command = [cargo, "build", "--release", "--package", PROGRAM, "--bin", PROGRAM]
    command += ["--message-format", "json-render-diagnostics"]
    built = subprocess.run(command, cwd=workspace(), stdout=subprocess.PIPE, check=False)
    if built.returncode:
        raise SystemExit(f"cargo failed with status {built.returncode}")
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message.get("executable"):
            return Path(message["executable"])
    raise SystemExit(f"cargo built no {PROGRAM}")


def platform_tag() -> str:
    given = os.environ.get("CAMUNDA_ADMIN_PLATFORM")
    if given:
        return given
    system = sysconfig.get_platform()
    if sys.platform == "darwin":
        # Python may be a universal binary; the program is built for one architecture.
        machine = platform.machine()
        system = f"macosx-{'11.0' if machine == 'arm64' else '10.12'}-{machine}"
    return re.sub("[^0-9a-zA-Z]", "_", system)
