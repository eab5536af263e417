"""Counts the instructions of workloads with callgrind and compares them with a file.

    instructions.py [--refresh] [--profile DIRECTORY] [--only WORK]

Called by `benches/instructions`, which builds the program and sets the variables that it reads.

Instruction counts do not depend on the load of the machine, but on the compilers and on the C
library. The file names those that it was made with; with others the comparison is skipped. The cost
of a single call is the difference between a process that makes few calls and one that makes many,
divided by the number of calls."""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from server import BIN, WORK, environment, server

FILE = Path(__file__).parents[1] / "instructions.json"
TOLERANCE = 0.05


@dataclass(frozen=True)
class Workload:
    name: str
    arguments: str
    responses: str
    many: int
    few: int | None = None
    """Repetitions of the process whose cost is subtracted; None for the cost of a whole process."""


WORKLOADS = [
    Workload("one warm `get cluster`", "get", "one", 60, 10),
    Workload("one warm list of 100 clusters, five fields of each read", "list", "hundred", 6, 2),
    Workload("100 clusters decoded, five fields of each read", "decode", "hundred", 6, 2),
    Workload("a cached token", "token", "one", 1010, 10),
    Workload("start, token, list 100 clusters, exit", "list", "hundred", 1),
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--refresh", action="store_true", help="write the file")
    parser.add_argument("--profile", type=Path, help="keep callgrind's output files here")
    parser.add_argument("--only", default="", help="only the workloads whose name has this in it")
    options = parser.parse_args()
    expected = json.loads(FILE.read_text()) if FILE.exists() else {}
    made_with = toolchain()
    if not (options.refresh or options.profile) and expected.get("toolchain") != made_with:
        print(f"skipped: made with {expected.get('toolchain')}, here is {made_with}")
        return
    workloads = [workload for workload in WORKLOADS if options.only in workload.name]
    with tempfile.TemporaryDirectory(dir=WORK) as directory, server(Path(directory)) as port:
        counts = {
            workload.name: count(workload, port, Path(directory), options.profile)
            for workload in workloads
        }
    if options.refresh:
        content = {"toolchain": made_with, "instructions": counts}
        FILE.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    failed = False
    for name, counted in counts.items():
        before = expected.get("instructions", {}).get(name)
        change = f" ({counted / before - 1:+.1%})" if before else ""
        print(f"{counted:>12,} instructions: {name}{change}")
        failed |= before is None or abs(counted / before - 1) > TOLERANCE
    if failed and not (options.refresh or options.profile):
        sys.exit(
            f"differs by more than {TOLERANCE:.0%} from benches/instructions.json; "
            "if that is intended, run: bash benches/instructions --refresh"
        )


def count(workload: Workload, port: int, directory: Path, profile: Path | None) -> int:
    many = run(workload, workload.many, port, directory, profile)
    if workload.few is None:
        return many
    few = run(workload, workload.few, port, directory, profile)
    return (many - few) // (workload.many - workload.few)


def run(
    workload: Workload, times: int, port: int, directory: Path, profile: Path | None
) -> int:
    """Runs the C program under callgrind. Returns the number of its instructions."""
    output = "/dev/null"
    if profile:
        profile.mkdir(parents=True, exist_ok=True)
        output = str(profile / f"{workload.arguments}-{workload.responses}-{times}")
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={output}"]
    program = [str(BIN / "camunda_admin_c"), workload.arguments, str(times)]
    with environment(workload.responses, port, directory) as variables:
        done = subprocess.run(
            [*command, *program], env=variables, capture_output=True, text=True, timeout=300
        )
    collected = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or collected is None:
        sys.exit(f"{workload.name}: failed ({done.returncode})\n{done.stderr}")
    return int(collected[1])


def toolchain() -> str:
    """Returns the versions that determine the instruction counts."""

    def first_line(*command: str) -> str:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout.splitlines()[0]

    return ", ".join(
        [
            first_line("rustc", "--version"),
            first_line("gcc", "--version"),
            first_line("valgrind", "--version"),
            " ".join(platform.libc_ver()),
            platform.machine(),
        ]
    )


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    main()
