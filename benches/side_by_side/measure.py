"""Runs our programs and their peers side by side, and prints what they cost as a Markdown table.

    measure.py [--readme FILE] [--rounds N] [--only WORK]

Called by `benches/run`, which builds what is measured and says where it is: BENCH_DIR, the
directory for what this makes; BENCH_BIN, where the programs are; BENCH_PYTHON, with `requests`;
BENCH_NODE_MODULES, with Camunda's SDK; BENCH_LIBRARY, the C library.

Cost is CPU time, user and system, of the whole process. The programs of a row run by turns, round by
round; a ratio is the median of the rounds' ratios. What a single call costs is the difference
between a process that makes few calls and one that makes many. No process finds anything of the one
before it: each has a HOME of its own, and so an empty token cache."""

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
# Two hosts, as the service and its token endpoint are.
API = "127.0.0.1"
LOGIN = "127.0.0.2"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--readme", type=Path, help="put the table between this file's markers")
    parser.add_argument("--rounds", type=int, default=15, help="how often each program runs")
    parser.add_argument("--only", default="", help="only the rows whose text has this in it")
    options = parser.parse_args()
    # Ended from outside, it still ends its server.
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
    ours: str
    beside: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None


PYTHON = os.environ["BENCH_PYTHON"]
OURS_RUST = Program("Rust", (str(BIN / "ours_rust"),))
OURS_C = Program("C", (str(BIN / "ours_c"),))
OURS_PYTHON = Program(
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
    """Two programs, and what is wanted of their ratios, where anything is."""

    ours: Program
    peer: Program
    cpu: float | None = None
    memory: float | None = None


@dataclass(frozen=True)
class Row:
    """Work that several programs do."""

    work: str
    arguments: str
    answers: str
    comparisons: tuple[Comparison, ...]
    few: int | None = None
    """Where a single call is what counts: the calls of the process that is deducted."""
    many: int = 1
    show_memory: bool = False

    def measure(self, port: int, directory: Path, rounds: int) -> Iterator[Line]:
        programs = self.programs()
        costs: dict[Program, list[Cost]] = {program: [] for program in programs}
        for round_number in range(rounds + 1):
            # The first round warms up what all share: the page cache, byte code, the server.
            if round_number == 1:
                costs = {program: [] for program in programs}
            for program in programs:
                costs[program].append(self.cost(program, port, directory))
        outputs = {program.name: cost.output for program in programs for cost in costs[program]}
        if len(set(outputs.values())) != 1:
            sys.exit(f"{self.work}: the programs did not read the same: {outputs}")
        for comparison in self.comparisons:
            pairs = list(zip(costs[comparison.ours], costs[comparison.peer], strict=True))
            work = f"{self.work}: {comparison.ours.name}"
            cpu = [(ours.cpu, peer.cpu) for ours, peer in pairs]
            yield line(work, comparison, cpu, seconds, comparison.cpu)
            if self.show_memory:
                memory = [(ours.memory, peer.memory) for ours, peer in pairs]
                yield line("— its peak memory", comparison, memory, megabytes, comparison.memory)

    def programs(self) -> list[Program]:
        programs = []
        for comparison in self.comparisons:
            for program in (comparison.ours, comparison.peer):
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
    ratio = statistics.median(ours / peer for ours, peer in pairs)
    return Line(
        work,
        shown(statistics.median(ours for ours, _ in pairs)),
        f"{comparison.peer.name}: {shown(statistics.median(peer for _, peer in pairs))}",
        f"{ratio:.2f} ×",
        f"≤ {target} ×" if target else "",
        ratio <= target if target else None,
    )


@dataclass(frozen=True)
class TokenHit:
    """A token out of memory, for which there is no peer."""

    work: str = "a token that is at hand, uncontended: Rust"

    def measure(self, port: int, directory: Path, rounds: int) -> Iterator[Line]:
        row = Row(self.work, "token", "one", (), few=1000, many=1_001_000)
        costs = [row.cost(OURS_RUST, port, directory).cpu for _ in range(rounds)]
        cost = statistics.median(costs)
        yield Line(self.work, seconds(cost), target="≤ 100 ns", met=cost <= 100e-9)


ROWS: list[Row | TokenHit] = [
    Row(
        "one warm `get cluster`",
        "get",
        "one",
        (
            Comparison(OURS_RUST, UREQ, 1.05),
            Comparison(OURS_C, LIBCURL, 0.7),
            Comparison(OURS_PYTHON, REQUESTS, 0.2),
            Comparison(OURS_PYTHON, SDK),
        ),
        few=100,
        many=1100,
    ),
    Row(
        "start, token, list 100 clusters, exit",
        "list",
        "hundred",
        (
            Comparison(OURS_C, LIBCURL, 0.5),
            Comparison(OURS_RUST, UREQ),
            Comparison(OURS_PYTHON, REQUESTS),
            Comparison(OURS_PYTHON, SDK),
        ),
    ),
    Row(
        "start, token, list 10,000 clusters (15 MB), exit",
        "list",
        "many",
        (
            Comparison(OURS_RUST, UREQ),
            Comparison(OURS_C, LIBCURL),
            Comparison(OURS_PYTHON, REQUESTS),
            Comparison(OURS_PYTHON, SDK),
        ),
        show_memory=True,
    ),
    Row(
        "10,000 clusters (15 MB) decoded",
        "decode",
        "many",
        (Comparison(OURS_RUST, UREQ, 1.2, 1.2), Comparison(OURS_C, LIBCURL)),
        # Once in each process, and kept until its end: whether glibc tidies up its heap when such a
        # list is freed depends on which block happens to be the last, and is worth 14 %.
        few=0,
        show_memory=True,
    ),
    TokenHit(),
]


def run(program: Program, row: Row, times: int, port: int, directory: Path) -> Cost:
    """Runs a program to its end, in an environment of its own."""
    home = Path(tempfile.mkdtemp(dir=directory))
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PYTHONPYCACHEPREFIX": str(WORK / "pycache"),
        "BENCH_CLUSTER": CLUSTER,
        "BENCH_BODY": str(directory / "answers" / row.answers / "clusters"),
        "CAMUNDA_CONSOLE_BASE_URL": f"https://{API}:{port}/{row.answers}",
        "CAMUNDA_OAUTH_URL": f"https://{LOGIN}:{port}/oauth/token",
        "CAMUNDA_CUSTOM_ROOT_CERT_PATH": str(directory / "ca.pem"),
        **dict(program.variables),
    }
    # The SDK takes the second pair where the token endpoint is not the service's own.
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
    """nginx with TLS on loopback, and static answers. Gives its port."""
    subprocess.run([sys.executable, HERE / "responses.py", directory / "answers"], check=True)
    make_certificates(directory)
    for _ in range(5):
        with socket.socket() as free:
            free.bind((API, 0))
            port = free.getsockname()[1]
        configuration = directory / "nginx.conf"
        configuration.write_text(NGINX.format(directory=directory, port=port, api=API, login=LOGIN))
        nginx = subprocess.Popen(["nginx", "-e", directory / "error.log", "-c", configuration])
        try:
            if answers(nginx, port, directory):
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
    root {directory}/answers;
    location = /oauth/token {{
      # A static file does not take POST.
      error_page 405 =200 $uri;
    }}
  }}
}}
"""


def answers(nginx: subprocess.Popen[bytes], port: int, directory: Path) -> bool:
    """Waits until the server answers, or has ended."""
    trust = ssl.create_default_context(cafile=str(directory / "ca.pem"))
    while nginx.poll() is None:
        try:
            urllib.request.urlopen(f"https://{LOGIN}:{port}/oauth/token", context=trust).close()
            return True
        except OSError:
            time.sleep(0.01)
    return False


def make_certificates(directory: Path) -> None:
    """A CA, and a certificate of it for the loopback addresses."""

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
    yield "| work | ours | beside | ratio | target | met |"
    yield "|---|---|---|---|---|---|"
    for one in lines:
        met = {True: "yes", False: "**no**", None: ""}[one.met]
        yield f"| {one.work} | {one.ours} | {one.beside} | {one.ratio} | {one.target} | {met} |"


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
