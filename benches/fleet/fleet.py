"""Starts 50 processes per contender and measures them; see `run`."""

import argparse
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import date
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).parent
BIN = Path(os.environ["FLEET_BIN"])
LIBRARY = [str(BIN / "fleet_client")]

#: Name, command, whether each process has its own HOME, whether they share a Redis server.
CONTENDERS = {
    "requests": ("requests, a token per process", [os.environ["FLEET_PYTHON"], str(HERE / "with_requests.py")], True, False),
    "sdk": ("@camunda8/sdk, one HOME", ["node", str(HERE / "camunda_sdk.js")], False, False),
    "home": ("camunda-admin, one HOME", LIBRARY, False, False),
    "redis": ("camunda-admin, 50 HOMEs and Redis", LIBRARY, True, True),
    "alone": ("camunda-admin, 50 HOMEs, nothing shared", LIBRARY, True, False),
}


class Server:
    """A program that prints a line when it is ready, and is terminated at the end."""

    def __init__(self, command, ready):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if ready in line:
                break
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def measure(key, processes, timeout, ban):
    """Run one contender. Return its token requests, rejections, and when each process was done."""
    name, command, own_homes, with_redis = CONTENDERS[key]
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        port = free_port()
        variables = place / "sandbox.json"
        sandbox = [str(BIN / "camunda-admin-sandbox"), "--env-file", str(variables)]
        with Server([*sandbox, "--ban-ms", str(int(ban * 1000))], "CAMUNDA_"):
            environment = dict(os.environ, FLEET_TIMEOUT=str(timeout))
            deadline = time.monotonic() + 10
            while not variables.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            environment.update(json.loads(variables.read_text()))
            # The mock server sets a directory of its own, which would be shared.
            for variable in ("CAMUNDA_TOKEN_CACHE_DIR", "CAMUNDA_TOKEN_DISK_CACHE_DISABLE", "XDG_CACHE_HOME"):
                environment.pop(variable, None)
            if not with_redis:
                return run(command, environment, own_homes, place, processes, timeout)
            environment["CAMUNDA_TOKEN_CACHE_REDIS_URL"] = f"redis://127.0.0.1:{port}/0"
            redis = ["redis-server", "--port", str(port), "--save", "", "--dir", str(place)]
            with Server(redis, "eady to accept connections"):
                return run(command, environment, own_homes, place, processes, timeout)


def run(command, environment, own_homes, place, processes, timeout):
    done, failures = [], []

    def wait_for(child, begun):
        try:
            _, stderr = child.communicate(timeout=timeout + 60)
        except subprocess.TimeoutExpired:
            child.kill()
            _, stderr = child.communicate()
        if child.returncode == 0:
            done.append(time.monotonic() - begun)
        else:
            failures.append((time.monotonic() - begun, stderr.strip()))

    begun = time.monotonic()
    waiting = []
    for number in range(processes):
        home = place / (f"home-{number}" if own_homes else "home")
        home.mkdir(exist_ok=True)
        # With the temporary directory in HOME, nothing but the HOME can be shared.
        child = subprocess.Popen(
            command,
            env=dict(environment, HOME=str(home), TMPDIR=str(home)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        waiting.append(threading.Thread(target=wait_for, args=(child, begun)))
        waiting[-1].start()
    for thread in waiting:
        thread.join()
    url = environment["CAMUNDA_CONSOLE_BASE_URL"] + "/_sandbox/stats"
    with urllib.request.urlopen(url) as response:
        stats = json.load(response)
    ended = max([*done, *(at for at, _ in failures)])
    return {
        "token_requests": stats["token_requests"],
        "rejected": stats["rejected_token_requests"],
        "done": sorted(round(at, 3) for at in done),
        "failed": len(failures),
        "ended": round(ended, 3),
        "error": failures[0][1][-300:] if failures else None,
    }


def table(results):
    lines = [
        "| contender | token requests | rejected | last process done | failed |",
        "|---|---|---|---|---|",
    ]
    for key, result in results.items():
        last = f"{result['done'][-1]:.1f} s" if result["done"] else "–"
        lines.append(
            f"| {CONTENDERS[key][0]} | {result['token_requests']} | {result['rejected']} | {last} "
            f"| {result['failed']} |"
        )
    return "\n".join(lines)


def put_between_markers(page, report):
    begin, end = "<!-- measured: begin -->", "<!-- measured: end -->"
    before, rest = page.read_text().split(begin, 1)
    page.write_text(f"{before}{begin}\n{report}\n{end}{rest.split(end, 1)[1]}")


# ---- The picture ------------------------------------------------------------------------------

WIDTH, HEIGHT = 880, 440
LEFT, TOP, RIGHT, BOTTOM = 60, 56, 312, 56
COLORS = {"requests": "#9a6700", "sdk": "#cf222e", "home": "#0969da", "redis": "#1a7f37", "alone": "#8250df"}


def picture(results, processes, note):
    """Return an SVG with one line per contender: processes done, over time on a logarithmic scale."""
    longest = max(max(result["ended"], 1) for result in results.values())
    first = 0.1
    decades = math.log10(longest / first)

    def x(seconds):
        share = math.log10(max(seconds, first) / first) / decades
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(count):
        return HEIGHT - BOTTOM - count / processes * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="13" role="img" '
        f'aria-label="Processes that are done, over time">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="bold" fill="#1f2328">'
        f"{processes} processes start together behind one IP address</text>",
        f'<text x="{LEFT}" y="42" fill="#59636e">{escape(note)}</text>',
    ]
    for count in range(0, processes + 1, max(processes // 5, 1)):
        parts.append(
            f'<line x1="{LEFT}" y1="{y(count):.1f}" x2="{WIDTH - RIGHT}" y2="{y(count):.1f}" stroke="#d1d9e0"/>'
            f'<text x="{LEFT - 8}" y="{y(count) + 4:.1f}" text-anchor="end" fill="#59636e">{count}</text>'
        )
    for seconds in (0.1, 1, 10, 100, 1000):
        if seconds <= longest:
            parts.append(
                f'<line x1="{x(seconds):.1f}" y1="{TOP}" x2="{x(seconds):.1f}" y2="{HEIGHT - BOTTOM}" '
                f'stroke="#eff2f5"/><text x="{x(seconds):.1f}" y="{HEIGHT - BOTTOM + 18}" '
                f'text-anchor="middle" fill="#59636e">{seconds:g} s</text>'
            )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 12}" text-anchor="middle" fill="#59636e">'
        "time since the start</text>"
        f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)" '
        'text-anchor="middle" fill="#59636e">processes done</text>'
    )
    labels = []
    for key, result in results.items():
        points = [f"{x(first):.1f},{y(0):.1f}"]
        for count, at in enumerate(result["done"], 1):
            points += [f"{x(at):.1f},{y(count - 1):.1f}", f"{x(at):.1f},{y(count):.1f}"]
        points.append(f"{x(longest):.1f},{y(len(result['done'])):.1f}")
        parts.append(
            f'<polyline points="{" ".join(points)}" fill="none" stroke="{COLORS[key]}" stroke-width="2"/>'
        )
        labels.append((y(len(result["done"])), key, result))
    # From the top down, at least two lines of text apart.
    free, right = TOP - 6, WIDTH - RIGHT + 10
    for at, key, result in sorted(labels, key=lambda label: (label[0], label[2]["ended"])):
        at = max(at, free)
        free = at + 36
        failed = f", {result['failed']} failed" if result["failed"] else ""
        last = f", {result['done'][-1]:.1f} s" if result["done"] else ""
        requests = "1 token request" if result["token_requests"] == 1 else f"{result['token_requests']} token requests"
        parts.append(
            f'<text x="{right}" y="{at:.1f}" fill="{COLORS[key]}" font-weight="bold">{escape(CONTENDERS[key][0])}</text>'
            f'<text x="{right}" y="{at + 15:.1f}" fill="#59636e">{requests}{last}{failed}</text>'
        )
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--only", choices=CONTENDERS, action="append", help="run this contender only")
    options.add_argument("--processes", type=int, default=50)
    options.add_argument("--timeout", type=int, default=420, help="deadline of a process in seconds")
    options.add_argument("--ban", type=float, default=5, help="duration of a block of the token endpoint in seconds")
    options.add_argument("--svg", type=Path, help="draw the picture to this file")
    options.add_argument("--page", type=Path, help="write the table between the markers of this file")
    options.add_argument("--json", type=Path, help="write the measurements to this file")
    options.add_argument("--from-json", type=Path, help="do not measure, use the measurements in this file")
    chosen = options.parse_args()
    if chosen.from_json:
        results = json.loads(chosen.from_json.read_text())
    else:
        results = {}
        for key in chosen.only or CONTENDERS:
            print(f"{CONTENDERS[key][0]} …", file=sys.stderr, flush=True)
            results[key] = measure(key, chosen.processes, chosen.timeout, chosen.ban)
            if results[key]["error"]:
                print(f"one failure: {results[key]['error']}", file=sys.stderr, flush=True)
    note = f"one token request per second, a block of {chosen.ban:g} s after a violation, deadline {chosen.timeout} s"
    report = f"{table(results)}\n\nMeasured on {date.today()}: {chosen.processes} processes; {note}."
    print(report)
    if chosen.page:
        put_between_markers(chosen.page, report)
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")
    if chosen.svg:
        chosen.svg.write_text(picture(results, chosen.processes, note))


if __name__ == "__main__":
    main()
