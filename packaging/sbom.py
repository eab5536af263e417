"""Prints the bill of materials of the C library in the format CycloneDX 1.5 (JSON).

It has the crates that are linked into the library for any target, as `cargo metadata` resolves them from
Cargo.lock: no development and no build dependencies. SOURCE_DATE_EPOCH is the time in it.
"""

import datetime
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NAME = "camunda-admin"


def main() -> None:
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--features", "capi"]
    metadata = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    (top,) = (it for it in metadata["workspace_members"] if packages[it]["name"] == NAME)

    linked: dict[str, list[str]] = {}
    queue = [top]
    while queue:
        crate = queue.pop()
        if crate in linked:
            continue
        linked[crate] = sorted(
            it["pkg"]
            for it in nodes[crate]["deps"]
            if any(kind["kind"] is None for kind in it["dep_kinds"])
        )
        queue += linked[crate]

    checksums = lock_checksums()
    components = [component(packages[it], checksums) for it in linked if it != top]
    time = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    print(json.dumps({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {**component(packages[top], checksums), "type": "library"},
        },
        "components": sorted(components, key=lambda it: it["bom-ref"]),
        "dependencies": sorted(
            (
                {"ref": purl(packages[it]), "dependsOn": sorted(purl(packages[dep]) for dep in deps)}
                for it, deps in linked.items()
            ),
            key=lambda it: it["ref"],
        ),
    }, indent=2))


def purl(package) -> str:
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums):
    described = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
    }
    if package["license"]:
        described["licenses"] = [{"expression": " OR ".join(package["license"].split("/"))}]
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return described


def lock_checksums():
    """Return the checksums of Cargo.lock by name and version."""
    found = {}
    for block in (ROOT / "Cargo.lock").read_text(encoding="utf-8").split("[[package]]")[1:]:
        fields = dict(line.split(" = ", 1) for line in block.splitlines() if " = " in line)
        if "checksum" in fields:
            name, version, checksum = (fields[it].strip('"') for it in ("name", "version", "checksum"))
            found[name, version] = checksum
    return found


if __name__ == "__main__":
    main()
