"""Compares programs that use this library with baselines, and prints their cost as a Markdown table.

    measure.py [--readme FILE] [--rounds N] [--only WORK]

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
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[2]
HERE = Path(__file__).parent
WORK = Path(os.environ["BENCH_DIR"])
BIN = Path(os.environ["BENCH_BIN"])
LIBRARY = Path(os.environ["BENCH_LIBRARY"])
CLUSTER = "3f0e9a52-7f0c-4a6e-9d0b-7b8f2f6c1d11"
# Two hosts, because the API and its token endpoint have different ones.
API = "127.0.0.1"
LOGIN = "127.0.0.2"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--readme", type=Path, help="put the table between this file's markers")
    parser.add_argument("--rounds", type=int, default=15, help="how often each program runs")
    parser.add_argument("--only", default="", help="only the rows whose text has this in it")
    options = parser.parse_args()
    # A signal must also stop the server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    with tempfile.TemporaryDirectory(dir=WORK) as directory, server(Path(directory)) as port:
        rows = [row for row in ROWS if options.only in row.work]
        lines = [
            line for row in rows for line in row.measure(port, Path(directory), options.rounds)
        ]
    if not options.only:
        lines += library_lines()
    table = "\n".join([*table_of(lines), "", *conditions(options.rounds)])
    print(table)
    if options.readme:
        put_between_markers(options.readme, table)


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()


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
    ratio: str = ""
    target: str = ""
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
LIBCURL = Program("libcurl + cJSON", (str(BIN / "libcurl_cjson"),))
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
        outputs = {program.name: cost.output for program in programs for cost in costs[program]}
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
        f"{ratio:.2f} ×",
        f"≤ {target} ×" if target else "",
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
        yield Line(self.work, seconds(cost), target="≤ 100 ns", met=cost <= 100e-9)


ROWS: list[Row | CachedToken] = [
    Row(
        "one warm `get cluster`",
        "get",
        "one",
        (
            Comparison(RUST_CLIENT, UREQ, 1.05),
            Comparison(C_CLIENT, LIBCURL, 0.7),
            Comparison(PYTHON_CLIENT, REQUESTS, 0.2),
            Comparison(PYTHON_CLIENT, SDK),
        ),
        few=100,
        many=1100,
    ),
    Row(
        "start, token, list 100 clusters, exit",
        "list",
        "hundred",
        (
            Comparison(C_CLIENT, LIBCURL, 0.5),
            Comparison(RUST_CLIENT, UREQ),
            Comparison(PYTHON_CLIENT, REQUESTS),
            Comparison(PYTHON_CLIENT, SDK),
        ),
    ),
    Row(
        "start, token, list 10,000 clusters (15 MB), exit",
        "list",
        "many",
        (
            Comparison(RUST_CLIENT, UREQ),
            Comparison(C_CLIENT, LIBCURL),
            Comparison(PYTHON_CLIENT, REQUESTS),
            Comparison(PYTHON_CLIENT, SDK),
        ),
        show_memory=True,
    ),
    Row(
        "10,000 clusters (15 MB) decoded",
        "decode",
        "many",
        (Comparison(RUST_CLIENT, UREQ, 1.2, 1.2), Comparison(C_CLIENT, LIBCURL)),
        # Decoded once per process and not freed: whether glibc trims its heap when such a list is freed
        # depends on the order of blocks, and makes a difference of 14 %.
        few=0,
        show_memory=True,
    ),
    CachedToken(),
]


def run(program: Program, row: Row, times: int, port: int, directory: Path) -> Cost:
    """Runs a program with an environment of its own until it exits."""
    home = Path(tempfile.mkdtemp(dir=directory))
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPYCACHEPREFIX": str(WORK / "pycache"),
        "BENCH_CLUSTER": CLUSTER,
        "BENCH_BODY": str(directory / "responses" / row.responses / "clusters"),
        "CAMUNDA_CONSOLE_BASE_URL": f"https://{API}:{port}/{row.responses}",
        "CAMUNDA_OAUTH_URL": f"https://{LOGIN}:{port}/oauth/token",
        "CAMUNDA_CUSTOM_ROOT_CERT_PATH": str(directory / "ca.pem"),
        **dict(program.variables),
    }
    # The SDK reads the second pair if the token endpoint is not the default one.
    for prefix in ("CAMUNDA_CONSOLE", "ZEEBE"):
        variables[f"{prefix}_CLIENT_ID"] = "bench"
        variables[f"{prefix}_CLIENT_SECRET"] = "correct horse battery staple"
    process = subprocess.Popen(
        [*program.command, row.arguments, str(times)],
        env=variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    output = process.stdout.read() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    shutil.rmtree(home)
    if process.returncode != 0:
        sys.exit(f"{row.work}: {program.name} failed ({process.returncode})")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, output.strip())


@contextlib.contextmanager
def server(directory: Path) -> Iterator[int]:
    """Starts nginx with TLS on loopback and static responses. Yields its port."""
    subprocess.run([sys.executable, HERE / "responses.py", directory / "responses"], check=True)
    make_certificates(directory)
    for _ in range(5):
        with socket.socket() as free:
            free.bind((API, 0))
            port = free.getsockname()[1]
        configuration = directory / "nginx.conf"
        configuration.write_text(NGINX.format(directory=directory, port=port, api=API, login=LOGIN))
        nginx = subprocess.Popen(["nginx", "-e", directory / "error.log", "-c", configuration])
        try:
            if responds(nginx, port, directory):
                yield port
                return
        finally:
            nginx.send_signal(signal.SIGTERM)
            nginx.wait()
    sys.exit("nginx did not start: " + (directory / "error.log").read_text())


NGINX = """
daemon off;
master_process off;
pid {directory}/nginx.pid;
events {{}}
http {{
  access_log off;
  default_type application/json;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  open_file_cache max=16;
  keepalive_requests 1000000;
  server {{
    listen {api}:{port} ssl;
    listen {login}:{port} ssl;
    ssl_certificate {directory}/server.pem;
    ssl_certificate_key {directory}/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    root {directory}/responses;
    location = /oauth/token {{
      # nginx rejects a POST to a static file.
      error_page 405 =200 $uri;
    }}
  }}
}}
"""


def responds(nginx: subprocess.Popen[bytes], port: int, directory: Path) -> bool:
    """Waits until the server responds or exits."""
    trust = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    while nginx.poll() is None:
        try:
            urllib.request.urlopen(f"https://{LOGIN}:{port}/oauth/token", context=trust).close()
            return True
        except OSError:
            time.sleep(0.01)
    return False


def make_certificates(directory: Path) -> None:
    """Creates a CA and a certificate for the loopback addresses."""

    def openssl(*arguments: str) -> None:
        subprocess.run(
            ["openssl", *arguments], cwd=directory, check=True, stderr=subprocess.DEVNULL
        )

    def key(name: str) -> tuple[str, ...]:
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", name)

    ca = ("-days", "2", "-subj", "/CN=bench CA", "-out", "ca.pem")
    openssl("req", "-x509", *key("ca.key"), *ca)
    openssl("req", *key("server.key"), "-subj", "/CN=bench", "-out", "server.csr")
    names = directory / "names"
    names.write_text(f"subjectAltName=IP:{API},IP:{LOGIN}\nbasicConstraints=CA:FALSE\n")
    issue = ("-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", *issue, "-out", "server.pem")


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
        Line("stripped shared library", megabytes(size), target="≤ 3 MB", met=size <= 3_000_000),
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
        met = {True: "yes", False: "**no**", None: ""}[one.met]
        yield f"| {one.work} | {one.client} | {one.baseline} | {one.ratio} | {one.target} | {met} |"


def conditions(rounds: int) -> Iterator[str]:
    def said(*command: str, pattern: str = r"(\d+\.\d+[.\d]*)") -> str:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = re.search(pattern, done.stdout + done.stderr)
        return found.group(1) if found else "?"

    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    curl = said("pkg-config", "--modversion", "libcurl")
    cjson = said("pkg-config", "--modversion", "libcjson")
    get_requests = "import requests; print(requests.__version__)"
    package = Path(os.environ["BENCH_NODE_MODULES"]) / "@camunda8/sdk/package.json"
    sdk = said("node", "-p", f"require('{package}').version")
    ureq = re.search(r'name = "ureq"\nversion = "(.*)"', (TOP / "Cargo.lock").read_text())
    yield (
        f"{time.strftime('%Y-%m-%d', time.gmtime())}, {rounds} rounds, on {os.cpu_count()} cores of "
        f"{cpu.group(1) if cpu else platform.machine()}, Linux {platform.release()}; "
        f"{said('rustc', '--version', pattern=r'(rustc [^ ]+)')}, "
        f"gcc {said('gcc', '-dumpfullversion')}, nginx {said('nginx', '-v')}, "
        f"ureq {ureq.group(1) if ureq else '?'}, libcurl {curl}, cJSON {cjson}, "
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
