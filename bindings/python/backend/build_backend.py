"""PEP 517 build backend: a wheel of the Python files and the native library.

Builds the library with cargo from the repository that contains this folder, or takes the one that the
variable `CAMUNDA_ADMIN_LIBRARY` names. Writes nothing into the source tree except cargo's target folder.
"""

import base64
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

NAME = "camunda_admin"
HERE = Path(__file__).resolve().parents[1]
SOURCES = HERE / "src" / NAME
CRATE = HERE.parents[1]


class UnsupportedOperation(Exception):
    """The exception of PEP 517 for an operation that the backend does not support."""


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = Path(metadata_directory) / dist_info()
    folder.mkdir()
    for name, text in metadata().items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder.name


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    files = {}
    for path in sorted(SOURCES.iterdir()):
        if path.suffix == ".py" or path.name == "py.typed":
            files[f"{NAME}/{path.name}"] = path.read_bytes()
    library = find_library()
    files[f"{NAME}/{library_name()}"] = library.read_bytes()
    for name, text in metadata().items():
        files[f"{dist_info()}/{name}"] = text.encode()
    wheel = f"{NAME}-{version()}-{tag()}.whl"
    with zipfile.ZipFile(Path(wheel_directory) / wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        record = []
        for name, content in files.items():
            # A fixed date makes the wheel reproducible.
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            executable = name.endswith(library_name())
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            archive.writestr(entry, content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append(f"{name},sha256={digest.decode()},{len(content)}")
        record.append(f"{dist_info()}/RECORD,,")
        entry = zipfile.ZipInfo(f"{dist_info()}/RECORD", (1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o100644 << 16
        archive.writestr(entry, "\n".join(record) + "\n")
    return wheel


def build_sdist(sdist_directory, config_settings=None):
    raise UnsupportedOperation(
        "camunda-admin has no source distribution, since it needs the Rust sources; use "
        "`pip install ./bindings/python` in a clone of the repository"
    )


def find_library():
    given = os.environ.get("CAMUNDA_ADMIN_LIBRARY")
    if given:
        library = Path(given)
        if not library.is_file():
            raise SystemExit(f"CAMUNDA_ADMIN_LIBRARY: {given} is not a file")
        return library
    return build_library()


def build_library():
    manifest = CRATE / "Cargo.toml"
    if not manifest.is_file():
        raise SystemExit(f"no Rust sources in {CRATE}; install from a clone of the repository")
    cargo = os.environ.get("CARGO") or shutil.which("cargo")
    if not cargo:
        raise SystemExit(
            "cargo not found; install Rust (https://rustup.rs), or set CAMUNDA_ADMIN_LIBRARY to a "
            "built library"
        )
    command = [cargo, "build", "--release", "--lib", "--features", "capi"]
    command += ["--manifest-path", str(manifest), "--message-format", "json-render-diagnostics"]
    # In the crate's folder, so that its toolchain and cargo settings apply.
    built = subprocess.run(command, cwd=CRATE, stdout=subprocess.PIPE, check=False)
    if built.returncode:
        raise SystemExit(f"cargo failed with status {built.returncode}")
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact":
            for name in message["filenames"]:
                if Path(name).name == library_name():
                    return Path(name)
    raise SystemExit(f"cargo built no {library_name()}")


def library_name():
    if sys.platform == "win32":
        return f"{NAME}.dll"
    return f"lib{NAME}.dylib" if sys.platform == "darwin" else f"lib{NAME}.so"


def tag():
    system = sysconfig.get_platform()
    if sys.platform == "darwin":
        # Python may be a universal binary; the library is built for one architecture.
        machine = platform.machine()
        system = f"macosx-{'11.0' if machine == 'arm64' else '10.12'}-{machine}"
    return f"py3-none-{re.sub('[^0-9a-zA-Z]', '_', system)}"


def version():
    # The standard library has a TOML parser only since Python 3.11.
    manifest = (CRATE / "Cargo.toml").read_text(encoding="utf-8")
    found = re.search(r'(?m)^version\s*=\s*"([^"]+)"', manifest)
    if found is None:
        raise SystemExit(f"{CRATE / 'Cargo.toml'} has no version")
    return found.group(1)


def dist_info():
    return f"{NAME}-{version()}.dist-info"


def metadata():
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    return {
        "METADATA": (
            "Metadata-Version: 2.1\n"
            "Name: camunda-admin\n"
            f"Version: {version()}\n"
            "Summary: Blocking client for the Camunda 8 Administration API (SaaS)\n"
            "License: MIT OR Apache-2.0\n"
            "Requires-Python: >=3.9\n"
            "Description-Content-Type: text/markdown\n"
            f"\n{readme}"
        ),
        "WHEEL": (
            "Wheel-Version: 1.0\n"
            "Generator: build_backend\n"
            "Root-Is-Purelib: false\n"
            f"Tag: {tag()}\n"
        ),
    }
