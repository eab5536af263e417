"""Hatch hooks: the version of the crate, and the native library in the wheel.

The environment variable `CAMUNDA_ADMIN_LIBRARY` names a built library, which is used instead of one that
cargo builds. See `cargo_build.py`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Beside this file in a source distribution.
sys.path.insert(0, str(HERE if (HERE / "cargo_build.py").is_file() else HERE.parent))

import cargo_build  # noqa: E402


class CustomMetadataHook(cargo_build.VersionHook):
    pass


class CustomBuildHook(cargo_build.CargoHook):
    variable = "CAMUNDA_ADMIN_LIBRARY"
    destination = "camunda_admin"
    arguments = ("--lib", "--features", "capi")
    sources = (
        "Cargo.lock",
        "LICENSE",
        "README.md",
        "bindings/c/library",
        "build.rs",
        "include",
        "src",
    )
    # Licenses of the crates that the library contains.
    documents = ("THIRD-PARTY-LICENSES.txt",)

    def file_name(self) -> str:
        if sys.platform == "win32":
            return "camunda_admin.dll"
        return f"libcamunda_admin.{'dylib' if sys.platform == 'darwin' else 'so'}"

    def packed_manifest(self, text: str) -> str:
        # Without what refers to files outside of the source distribution.
        left_out = ("[dev-dependencies]", "[[bench]]", "[[test]]", "[[example]]")
        return "".join(
            re.sub(r"(?ms)^members = \[.*?\]\n", 'members = ["bindings/c/library"]\n', section)
            for section in cargo_build.manifest_sections(text)
            if not section.startswith(left_out)
        )
