"""What the tests have in common: the sandbox that the environment names, and clients of it.

All share one token cache, as programs on one machine do, so that together they keep to the sandbox's
limit of token requests. A test that has to begin without a token takes credentials of its own.
"""

import contextlib
import faulthandler
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

# A shell that starts the tests in the background has them ignore Ctrl-C, which is inherited.
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


def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(BASE_URL + path, data=data, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def control(**changes):
    return ask("POST", "/_sandbox/control", changes)


def stats():
    return ask("GET", "/_sandbox/stats")


# Seconds that a test may take. The tests as a whole have a limit of 300 s, in `tests/python.rs`.
TEST_LIMIT = 200


class SandboxTest(unittest.TestCase):
    def setUp(self):
        # Prints the stacks of all threads and ends the tests.
        faulthandler.dump_traceback_later(TEST_LIMIT, exit=True, file=sys.__stderr__)
        self.addCleanup(faulthandler.cancel_dump_traceback_later)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.addCleanup(ask, "DELETE", "/_sandbox/faults")

    def settings(self, permissions=None):
        """Settings; with permissions given, those of new credentials, which have no token yet."""
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
        ask("POST", "/_sandbox/faults", {"operation": operation, **fault})

    def run_python(self, program, *arguments, limit=60, **environment):
        """Runs a program in another interpreter, which has met nothing yet.

        One that takes longer than `limit` seconds is ended with all processes that it started, and the
        test fails with the stacks of its threads.
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
            # `faulthandler` prints the stacks then.
            running.send_signal(signal.SIGABRT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(timeout=5)
            # Its children, too, if it has any.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            stdout, stderr = running.communicate()
            self.fail(f"program not ended after {limit} s, killed:\n{stdout}\n{stderr}")
        return subprocess.CompletedProcess(command, running.returncode, stdout, stderr)
