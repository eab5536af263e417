"""Hatch hooks: the version of the program, and the program in the wheel.

The environment variable `CAMUNDA_ADMIN_SANDBOX` names a built program, which is used instead of one that
cargo builds. See `cargo_build.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Beside this file in a source distribution.
sys.path.insert(0, str(HERE if (HERE / "cargo_build.py").is_file() else HERE.parent))

import cargo_build  # noqa: E402

PROGRAM = "camunda-admin-sandbox"


class CustomMetadataHook(cargo_build.VersionHook):
    pass


class CustomBuildHook(cargo_build.CargoHook):
    variable = "CAMUNDA_ADMIN_SANDBOX"
    destination = "camunda_admin_sandbox/bin"
    arguments = ("--package", PROGRAM, "--bin", PROGRAM)
    sources = ("Cargo.lock", "tests/sandbox/Cargo.toml", "tests/sandbox/README.md", "tests/sandbox/src")
    # Licenses of the crates that the program contains.
    documents = ("tests/sandbox/THIRD-PARTY-LICENSES.txt",)

    def file_name(self) -> str:
        return PROGRAM + (".exe" if sys.platform == "win32" else "")

    def packed_manifest(self, text: str) -> str:
        # A workspace that has no other member.
        kept = [
            section
            for section in cargo_build.manifest_sections(text)
            if section.startswith(("[workspace.", "[profile.release]"))
        ]
        return '[workspace]\nmembers = ["tests/sandbox"]\nresolver = "3"\n\n' + "".join(kept)
