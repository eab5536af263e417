"""Test fixtures: access to the sandbox that the environment variables name, and clients of it.

All tests share one token cache, as programs on one machine do, so that together they stay within the
sandbox's rate limit for token requests. A test that must start without a token uses new credentials.
"""

import contextlib
import faulthandler
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

from camunda_admin import AdminClient

# A process that a shell starts in the background ignores SIGINT, and its children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

BASE_URL = os.environ["CAMUNDA_CONSOLE_BASE_URL"]
OAUTH_URL = os.environ["CAMUNDA_OAUTH_URL"]
ALL_PERMISSIONS = [
    "cluster:get",
    "cluster:create",
    "cluster:update",
    "cluster:delete",
    "client:get",
    "client:create",
    "client:delete",
    "ip_allowlist",
    "connector_secrets",
    "members",
    "backups",
    "audit_log",
    "monitoring",
]


def send(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE_URL + path, data=data, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        text = response.read()
    return json.loads(text) if text else None


def control(**changes):
    return send("POST", "/_sandbox/control", changes)


def stats():
    return send("GET", "/_sandbox/stats")


# Maximum duration of a test in seconds. All tests together have a limit in `tests/python.rs`.
TEST_LIMIT = 200


class SandboxTest(unittest.TestCase):
    def setUp(self):
        # At the limit, prints the stacks of all threads and ends the process.
        faulthandler.dump_traceback_later(TEST_LIMIT, exit=True, file=sys.__stderr__)
        self.addCleanup(faulthandler.cancel_dump_traceback_later)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.addCleanup(send, "DELETE", "/_sandbox/faults")

    def settings(self, permissions=None):
        """Return client settings; with `permissions`, those of new credentials without a cached token."""
        settings = {
            "client_id": os.environ["CAMUNDA_CONSOLE_CLIENT_ID"],
            "client_secret": os.environ["CAMUNDA_CONSOLE_CLIENT_SECRET"],
            "base_url": BASE_URL,
            "oauth_url": OAUTH_URL,
            "token_cache": os.environ["CAMUNDA_TOKEN_CACHE_DIR"],
        }
        if permissions is not None:
            settings.update(control(credentials={"permissions": list(permissions)}))
        return settings

    def client(self, permissions=None, **settings):
        admin = AdminClient(**{**self.settings(permissions), **settings})
        self.addCleanup(admin.close)
        return admin

    def cluster(self, **fields):
        return control(cluster=fields)["uuid"]

    def fault(self, operation, **fault):
        send("POST", "/_sandbox/faults", {"operation": operation, **fault})

    def assert_in_time(self, attempt):
        """Repeat an attempt, up to 10 times, until it returns less than 1 s. A loaded machine may delay some."""
        took = []
        while not took or took[-1] >= 1:
            self.assertLess(len(took), 10, f"late each time: {took}")
            took.append(attempt())

    def require(self, module):
        """Skip the test if a module is not installed; with `CI=true` fail it."""
        if importlib.util.find_spec(module) is None:
            self.assertNotEqual(os.environ.get("CI"), "true", f"{module} is required with CI=true, but is missing")
            print(f"skipped: {module} is missing")
            self.skipTest(f"{module} is missing")

    def run_python(self, program, *arguments, limit=60, **environment):
        """Run a program in a new interpreter.

        After `limit` seconds the program is killed with all processes that it started, and the test
        fails with the stacks of its threads.
        """
        command = [sys.executable, "-X", "faulthandler", "-c", program, *arguments]
        running = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        try:
            stdout, stderr = running.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            # On this signal `faulthandler` prints the stacks.
            running.send_signal(signal.SIGABRT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(timeout=5)
            # Includes its children.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            stdout, stderr = running.communicate()
            self.fail(f"program did not end within {limit} s, killed:\n{stdout}\n{stderr}")
        return subprocess.CompletedProcess(command, running.returncode, stdout, stderr)
