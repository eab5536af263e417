"""Conan recipe: builds the library with cargo from the sources of this repository.

    conan create packaging/conan

Option `shared` (default: True). The consumer's CMake target is camunda_admin::camunda_admin.
The environment variable LIBRARY_DIR names a folder of a library that is built already; CARGO_BUILD_TARGET
names the Rust target for which cargo builds it (default: the host).
"""

import os
import re
import shutil
from pathlib import Path

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.files import copy, rm


class CamundaAdmin(ConanFile):
    name = "camunda_admin"
    description = "Client for the Camunda 8 Administration API (SaaS)"
    license = ("MIT", "Apache-2.0")
    topics = ("camunda", "api", "client")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": True}

    def set_version(self):
        manifest = Path(self.recipe_folder, "../../Cargo.toml").read_text(encoding="utf-8")
        self.version = re.search(r'(?m)^version = "([^"]+)"', manifest).group(1)

    def export_sources(self):
        top = Path(self.recipe_folder).parents[1]
        for pattern in ("Cargo.*", "build.rs", "LICENSE", "README.md", "THIRD-PARTY-LICENSES.txt", "src/*", "include/*",
                        "bindings/c/*", "packaging/*.sh"):
            copy(self, pattern, src=top, dst=self.export_sources_folder)
        # Cargo requires all members of the workspace, and the files of all benchmarks.
        manifest = Path(self.export_sources_folder, "Cargo.toml")
        text = manifest.read_text(encoding="utf-8")
        sections = re.split(r"(?m)^(?=\[)", text)
        left_out = ("[dev-dependencies]", "[[bench]]")
        kept = [re.sub(r"(?ms)^members = \[.*?\]\n", 'members = ["bindings/c/library"]\n', section)
                for section in sections if not section.startswith(left_out)]
        manifest.write_text("".join(kept), encoding="utf-8")

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("the recipe supports Linux only")

    def build(self):
        if not os.environ.get("LIBRARY_DIR") and not shutil.which("cargo"):
            raise ConanInvalidConfiguration("cargo not found; install Rust (https://rustup.rs)")
        if not os.environ.get("LIBRARY_DIR"):
            self.run(f'cargo build --release --lib --features capi --target-dir "{self.build_folder}/target"',
                     cwd=self.source_folder)

    def package(self):
        # Cargo reads the variable too.
        target = os.environ.get("CARGO_BUILD_TARGET", "")
        built = os.environ.get("LIBRARY_DIR") or os.path.join(self.build_folder, "target", target, "release")
        script = os.path.join(self.source_folder, "bindings", "c", "install.sh")
        self.run(f'LIBRARY_DIR="{built}" sh "{script}" --docdir licenses "{self.package_folder}"')
        library = os.path.join(self.package_folder, "lib")
        if self.options.shared:
            rm(self, "*.a", library)
        else:
            rm(self, "libcamunda_admin.so*", library)

    def package_info(self):
        self.cpp_info.libs = ["camunda_admin"]
        self.cpp_info.set_property("cmake_target_name", "camunda_admin::camunda_admin")
        self.cpp_info.set_property("pkg_config_name", "camunda_admin")
        if not self.options.shared:
            self.cpp_info.system_libs = ["pthread", "dl", "m"]
            flags = ["-Wl,--gc-sections", "-Wl,--exclude-libs,libcamunda_admin.a"]
            self.cpp_info.exelinkflags = flags
            self.cpp_info.sharedlinkflags = flags
