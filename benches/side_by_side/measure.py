"""Compares programs that use this library with baselines, and prints their cost as a Markdown table.

    measure.py [--readme FILE] [--chart FILE] [--rounds N] [--quick] [--only WORK]

Called by `benches/run`, which builds the programs and sets these variables: BENCH_DIR, the directory
for generated files; BENCH_BIN, the directory of the programs; BENCH_PYTHON, an interpreter with
`requests`; BENCH_NODE_MODULES, with Camunda's SDK; BENCH_LIBRARY, the C library.

Cost is CPU time, user and system, of the whole process. The programs of a row run alternately; a
ratio is the median of the ratios of all rounds. The cost of a single call is the difference between a
process that makes few calls and one that makes many, divided by the number of calls. Each process has
a HOME of its own, so its token cache is empty."""

import argparse
import contextlib
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

from server import BIN, WORK, environment, server

TOP = Path(__file__).parents[2]
HERE = Path(__file__).parent
LIBRARY = Path(os.environ["BENCH_LIBRARY"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--readme", type=Path, help="put the table between this file's markers")
    parser.add_argument("--chart", type=Path, help="draw the ratios as SVG")
    parser.add_argument("--rounds", type=int, default=15, help="how often each program runs")
    parser.add_argument("--quick", action="store_true", help="3 rounds, for a first impression")
    parser.add_argument("--only", default="", help="only the rows whose text has this in it")
    options = parser.parse_args()
    rounds = 3 if options.quick else options.rounds
    # A signal must also stop the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    lines = []
    for rows, one_core in ((ROWS_ON_ONE_CORE, True), (ROWS, False)):
        chosen = [row for row in rows if options.only in row.work]
        with tempfile.TemporaryDirectory(dir=WORK) as directory, cores(one_core):
            # It inherits the cores, as the programs do.
            with server(Path(directory)) as port:
                for row in chosen:
                    lines += row.measure(port, Path(directory), rounds)
    if not options.only:
        lines += library_lines()
    table = "\n".join([*table_of(lines), "", *conditions(rounds)])
    print(table)
    if options.chart:
        options.chart.write_text(chart(lines))
    if options.readme:
        if options.chart:
            path = os.path.relpath(options.chart, options.readme.parent)
            table = f"![Cost relative to the baselines]({path})\n\n{table}"
        put_between_markers(options.readme, table)


@contextlib.contextmanager
def cores(one_core: bool) -> Iterator[None]:
    """Restricts this process and those that it starts to one core."""
    all_cores = os.sched_getaffinity(0)
    if one_core:
        os.sched_setaffinity(0, {max(all_cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, all_cores)


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()
    parses: bool = True
    """Whether it reads the response, so that its output must be that of the others."""


@dataclass(frozen=True)
class Cost:
    cpu: float
    """Seconds, user and system."""
    memory: int
    """Bytes, at the peak."""
    output: str


@dataclass(frozen=True)
class Line:
    work: str
    client: str
    baseline: str = ""
    ratio: float | None = None
    target: str = ""
    """Maximum of the ratio, or of what the client needs."""
    limit: float | None = None
    met: bool | None = None


PYTHON = os.environ["BENCH_PYTHON"]
RUST_CLIENT = Program("Rust", (str(BIN / "camunda_admin_rust"),))
C_CLIENT = Program("C", (str(BIN / "camunda_admin_c"),))
PYTHON_CLIENT = Program(
    "Python",
    (PYTHON, str(HERE / "camunda_admin_client.py")),
    (("PYTHONPATH", str(TOP / "bindings/python/src")), ("CAMUNDA_ADMIN_LIBRARY", str(LIBRARY))),
)
UREQ = Program("ureq + serde_json", (str(BIN / "ureq_serde"),))
UREQ_MINIMAL = replace(
    UREQ,
    name="ureq + serde_json, unknown fields dropped",
    variables=(("BENCH_DECODED", "known"),),
)
UREQ_ALONE = replace(
    UREQ,
    name="ureq alone, nothing decoded",
    variables=(("BENCH_DECODED", "nothing"),),
    parses=False,
)
LIBCURL = Program("libcurl + cJSON", (str(BIN / "libcurl_cjson"),))
OPENSSL = Program("OpenSSL alone, nothing parsed", (str(BIN / "openssl_loop"),), parses=False)
CPP_CLIENT = Program("C++", (str(BIN / "camunda_admin_cpp"),))
NLOHMANN = Program("nlohmann/json", (str(BIN / "nlohmann"),))
YYJSON = Program("yyjson", (str(BIN / "with_yyjson"),))
REQUESTS = Program("requests", (PYTHON, str(HERE / "with_requests.py")))
SDK = Program(
    "@camunda8/sdk (Node)",
    ("node", str(HERE / "camunda_sdk.js")),
    (("NODE_PATH", os.environ["BENCH_NODE_MODULES"]),),
)


def seconds(value: float) -> str:
    for unit, scale in [("s", 1), ("ms", 1e3), ("µs", 1e6)]:
        if value * scale >= 1:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e9:.0f} ns"


def megabytes(value: float) -> str:
    return f"{value / 1e6:.1f} MB"


@dataclass(frozen=True)
class Comparison:
    """A program with this library, its baseline, and the maximum of their ratios, if any."""

    client: Program
    baseline: Program
    cpu: float | None = None
    memory: float | None = None


@dataclass(frozen=True)
class Row:
    """Work that several programs perform."""

    work: str
    arguments: str
    responses: str
    comparisons: tuple[Comparison, ...]
    few: int | None = None
    """Calls of the process whose cost is subtracted, to measure a single call."""
    many: int = 1
    show_memory: bool = False

    def measure(self, port: int, directory: Path, rounds: int) -> Iterator[Line]:
        programs = self.programs()
        costs: dict[Program, list[Cost]] = {program: [] for program in programs}
        for round_number in range(rounds + 1):
            # The first round only warms up the page cache, byte code and the server.
            if round_number == 1:
                costs = {program: [] for program in programs}
            for program in programs:
                costs[program].append(self.cost(program, port, directory))
        outputs = {
            program.name: cost.output
            for program in programs
            for cost in costs[program]
            if program.parses
        }
        if len(set(outputs.values())) != 1:
            sys.exit(f"{self.work}: the programs read different data: {outputs}")
        for comparison in self.comparisons:
            pairs = list(zip(costs[comparison.client], costs[comparison.baseline], strict=True))
            work = f"{self.work}: {comparison.client.name}"
            cpu = [(client.cpu, baseline.cpu) for client, baseline in pairs]
            yield line(work, comparison, cpu, seconds, comparison.cpu)
            if self.show_memory:
                memory = [(client.memory, baseline.memory) for client, baseline in pairs]
                yield line("— its peak memory", comparison, memory, megabytes, comparison.memory)

    def programs(self) -> list[Program]:
        programs = []
        for comparison in self.comparisons:
            for program in (comparison.client, comparison.baseline):
                if program not in programs:
                    programs.append(program)
        return programs

    def cost(self, program: Program, port: int, directory: Path) -> Cost:
        many = run(program, self, self.many, port, directory)
        if self.few is None:
            return many
        few = run(program, self, self.few, port, directory)
        each = (many.cpu - few.cpu) / (self.many - self.few)
        return Cost(each, many.memory, many.output)


def line(
    work: str,
    comparison: Comparison,
    pairs: Sequence[tuple[float, float]],
    shown: Callable[[float], str],
    target: float | None,
) -> Line:
    ratio = statistics.median(client / baseline for client, baseline in pairs)
    return Line(
        work,
        shown(statistics.median(client for client, _ in pairs)),
        f"{comparison.baseline.name}: {shown(statistics.median(baseline for _, baseline in pairs))}",
        ratio,
        f"≤ {target} ×" if target else "",
        target,
        ratio <= target if target else None,
    )


@dataclass(frozen=True)
class CachedToken:
    """A token from the memory cache, which has no baseline."""

    work: str = "a cached token, uncontended: Rust"

    def measure(self, port: int, directory: Path, rounds: int) -> Iterator[Line]:
        row = Row(self.work, "token", "one", (), few=1000, many=1_001_000)
        costs = [row.cost(RUST_CLIENT, port, directory).cpu for _ in range(rounds)]
        cost = statistics.median(costs)
        yield Line(self.work, seconds(cost), target="≤ 60 ns", met=cost <= 60e-9)


@dataclass(frozen=True)
class Threads:
    """Warm gets of several threads from one client, beside those of one thread."""

    threads: int
    work: str = ""
    calls: int = 6400

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "work", f"one warm `get cluster`, {self.threads} threads of one client: Rust"
        )

    def measure(self, port: int, directory: Path, rounds: int) -> Iterator[Line]:
        def cost(threads: int) -> Cost:
            program = replace(RUST_CLIENT, variables=(("BENCH_THREADS", str(threads)),))
            few = self.calls // 4
            row = Row(self.work, "get", "one", (), few=few, many=self.calls + few)
            return row.cost(program, port, directory)

        costs = [(cost(self.threads), cost(1)) for _ in range(rounds)]
        pairs = [(many.cpu, one.cpu) for many, one in costs]
        comparison = Comparison(RUST_CLIENT, replace(RUST_CLIENT, name="one thread"), 0.6)
        yield line(self.work, comparison, pairs, seconds, comparison.cpu)
        connections = max(int(many.output.split()[-1]) for many, _ in costs)
        yield Line(
            "— its connections, at most",
            str(connections),
            target=f"≤ {self.threads}",
            met=connections <= self.threads,
        )


@dataclass(frozen=True)
class Import:
    """Importing the Python package, beside the bare interpreter."""

    work: str = "importing the package, above the bare interpreter: Python"

    def measure(self, port: int, directory: Path, rounds: int) -> Iterator[Line]:
        def cost(code: str) -> float:
            program = replace(PYTHON_CLIENT, command=(PYTHON, "-c", code))
            return run(program, Row(self.work, "get", "one", ()), 1, port, directory).cpu

        # The first one writes the byte code.
        cost("import camunda_admin")
        costs = [cost("import camunda_admin") - cost("pass") for _ in range(rounds)]
        median = statistics.median(costs)
        yield Line(self.work, seconds(median), target="≤ 12 ms", met=median <= 12e-3)


WARM_GET = Row(
    "one more warm `get cluster`",
    "get",
    "one",
    (
        Comparison(C_CLIENT, LIBCURL, 0.55),
        Comparison(C_CLIENT, OPENSSL, 2.0),
        Comparison(RUST_CLIENT, UREQ, 0.7),
        Comparison(RUST_CLIENT, UREQ_MINIMAL),
        Comparison(RUST_CLIENT, UREQ_ALONE),
        Comparison(PYTHON_CLIENT, REQUESTS, 0.14),
        Comparison(PYTHON_CLIENT, SDK),
    ),
    few=1000,
    many=6000,
)

# Waiting for a server on another core includes waking an idle core, which a hypervisor makes expensive
# and which costs every program the same.
ROWS_ON_ONE_CORE = [
    replace(WARM_GET, work=f"{WARM_GET.work}, server on the same core"),
]

ROWS: list[Row | CachedToken | Threads | Import] = [
    WARM_GET,
    Row(
        "start, token, list 100 clusters, exit",
        "list",
        "hundred",
        (
            Comparison(C_CLIENT, LIBCURL, 0.3),
            Comparison(RUST_CLIENT, UREQ, 0.9),
            Comparison(RUST_CLIENT, UREQ_MINIMAL),
            Comparison(PYTHON_CLIENT, REQUESTS, 0.3),
            Comparison(PYTHON_CLIENT, SDK),
        ),
    ),
    Row(
        "start, token, list 10,000 clusters (15 MB), exit",
        "list",
        "many",
        (
            Comparison(C_CLIENT, LIBCURL, 0.6),
            Comparison(RUST_CLIENT, UREQ, 1.05),
            Comparison(RUST_CLIENT, UREQ_MINIMAL),
            Comparison(PYTHON_CLIENT, REQUESTS, 0.8),
            Comparison(PYTHON_CLIENT, SDK),
        ),
        show_memory=True,
    ),
    Row(
        "10,000 clusters (15 MB) decoded",
        "decode",
        "many",
        (
            Comparison(C_CLIENT, LIBCURL, 0.6),
            Comparison(C_CLIENT, YYJSON),
            Comparison(CPP_CLIENT, NLOHMANN, 0.4),
            Comparison(RUST_CLIENT, UREQ, 1.05),
            Comparison(RUST_CLIENT, UREQ_MINIMAL),
        ),
        # Decoded once per process and not freed: whether glibc trims its heap when such a list is freed
        # depends on the order of blocks, and makes a difference of 14 %.
        few=0,
        show_memory=True,
    ),
    Threads(16),
    Threads(64),
    CachedToken(),
    Import(),
]


def run(program: Program, row: Row, times: int, port: int, directory: Path) -> Cost:
    """Runs a program with an environment of its own until it exits."""
    with environment(row.responses, port, directory) as variables:
        process = subprocess.Popen(
            [*program.command, row.arguments, str(times)],
            env={**variables, **dict(program.variables)},
            stdout=subprocess.PIPE,
            text=True,
        )
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{row.work}: {program.name} failed ({process.returncode})")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output.strip())


def library_lines() -> list[Line]:
    size = LIBRARY.stat().st_size
    dynamic = subprocess.run(
        ["readelf", "-d", LIBRARY], check=True, capture_output=True, text=True
    ).stdout
    needs = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    allowed = {"libc.so.6", "libm.so.6", "libgcc_s.so.1"}
    # The dynamic linker itself is part of the C library.
    others = {name for name in needs if name not in allowed and not name.startswith("ld-linux")}
    return [
        Line("stripped shared library", megabytes(size), target="≤ 4.5 MB", met=size <= 4_500_000),
        Line(
            "what it needs",
            ", ".join(name.split(".so")[0] for name in needs),
            target="libc, libm, libgcc_s",
            met=not others,
        ),
    ]


def table_of(lines: list[Line]) -> Iterator[str]:
    yield "| work | this library | baseline | ratio | target | target met |"
    yield "|---|---|---|---|---|---|"
    for one in lines:
        ratio = "" if one.ratio is None else f"{shown_ratio(one)} ×"
        met = {True: "yes", False: "**no**", None: ""}[one.met]
        yield f"| {one.work} | {one.client} | {one.baseline} | {ratio} | {one.target} | {met} |"


def shown_ratio(line: Line) -> str:
    """Returns a ratio with two digits, or with three if two would hide that it misses its target."""
    assert line.ratio is not None
    rounded = f"{line.ratio:.2f}"
    if line.met is False and line.limit is not None and float(rounded) <= line.limit:
        return f"{line.ratio:.3f}"
    return rounded


def chart(lines: list[Line]) -> str:
    """Draws the ratios with their targets: bars from 0 to 2.4 times the baseline."""
    shown = [one for one in lines if one.ratio is not None]
    height, left, unit, longest = 24, 520, 160, 2.4
    parts = []
    for number, one in enumerate(shown):
        assert one.ratio is not None
        top = 34 + number * height
        color = "#b91c1c" if one.met is False else "#1d4ed8"
        width = min(one.ratio, longest) * unit
        text = f"{one.work}, beside {one.baseline.split(':')[0]}"
        parts.append(f'<text x="{left - 8}" y="{top + 14}" text-anchor="end">{escape(text)}</text>')
        parts.append(
            f'<rect x="{left}" y="{top + 3}" width="{width:.0f}" height="15" fill="{color}"/>'
        )
        parts.append(f'<text x="{left + 400}" y="{top + 14}">{shown_ratio(one)}</text>')
        if one.limit:
            at = left + min(one.limit, longest) * unit
            parts.append(
                f'<path d="M{at:.0f} {top}v21" stroke="#111827" stroke-width="2">'
                f"<title>target {one.limit}</title></path>"
            )
    total = 34 + len(shown) * height + 8
    one_at = left + unit
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="1070" height="{total}" '
        f'viewBox="-90 0 1070 {total}" font-family="sans-serif" font-size="12" fill="#111827">\n'
        "<title>CPU time and memory relative to the baseline; shorter is better</title>\n"
        f'<rect x="-90" width="1070" height="{total}" fill="#ffffff"/>\n'
        f'<text x="{left}" y="18">relative to the baseline (line: 1.00); black mark: target</text>\n'
        f'<path d="M{one_at} 26V{total - 6}" stroke="#9ca3af"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def conditions(rounds: int) -> Iterator[str]:
    def said(*command: str, pattern: str = r"(\d+\.\d+[.\d]*)") -> str:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = re.search(pattern, done.stdout + done.stderr)
        return found.group(1) if found else "?"

    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    curl = said("pkg-config", "--modversion", "libcurl")
    cjson = said("pkg-config", "--modversion", "libcjson")
    openssl = said("pkg-config", "--modversion", "libssl")
    nlohmann = said("pkg-config", "--modversion", "nlohmann_json")
    get_requests = "import requests; print(requests.__version__)"
    package = Path(os.environ["BENCH_NODE_MODULES"]) / "@camunda8/sdk/package.json"
    sdk = said("node", "-p", f"require('{package}').version")
    ureq = re.search(r'name = "ureq"\nversion = "(.*)"', (TOP / "Cargo.lock").read_text())
    yield (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {rounds} rounds, on {os.cpu_count()} cores of "
        f"{cpu.group(1) if cpu else platform.machine()}, Linux {platform.release()}; "
        f"{said('rustc', '--version', pattern=r'(rustc [^ ]+)')}, "
        f"gcc {said('gcc', '-dumpfullversion')}, nginx {said('nginx', '-v')}, "
        f"ureq {ureq.group(1) if ureq else '?'}, libcurl {curl} with OpenSSL {openssl}, "
        f"cJSON {cjson}, yyjson {os.environ['BENCH_YYJSON']}, nlohmann/json {nlohmann}, "
        f"Python {said(PYTHON, '--version')}, requests {said(PYTHON, '-c', get_requests)}, "
        f"Node {said('node', '--version')}, @camunda8/sdk {sdk}."
    )


def put_between_markers(file: Path, table: str) -> None:
    begin, end = "<!-- measured: begin -->", "<!-- measured: end -->"
    before, rest = file.read_text().split(begin, 1)
    after = rest.split(end, 1)[1]
    file.write_text(f"{before}{begin}\n{table}\n{end}{after}")


if __name__ == "__main__":
    main()
