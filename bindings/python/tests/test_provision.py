"""Tests of `examples/python/provision.py`: a run that is killed at any step is completed by the next one."""

import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

from camunda_admin import ClusterCredentials
from support import SandboxTest, send

PROGRAM = Path(__file__).resolve().parents[3] / "examples/python/provision.py"
CLIENTS = "/clusters/{clusterUuid}/clients"


class Provision(SandboxTest):
    def setUp(self):
        super().setUp()
        self.client().token()
        self.file = self.folder / "worker.env"

    def start(self, name):
        command = [sys.executable, str(PROGRAM), name, "worker", str(self.file)]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        return running

    def run_to_end(self, name):
        running = self.start(name)
        output, errors = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 0, output + errors)
        return output.splitlines()

    def kill_at(self, name, operation):
        """Start the program and kill it when the server has executed the operation, before it responds."""
        self.fault(operation, delay_ms=60_000)
        before = self.count(operation)
        running = self.start(name)
        limit = time.monotonic() + 60
        while self.count(operation) == before:
            self.assertIsNone(running.poll(), "the program ended before the operation")
            self.assertLess(time.monotonic(), limit, operation)
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.communicate(timeout=60)

    def count(self, operation):
        return len(send("GET", "/_sandbox/requests?operation=" + operation.replace(" ", "%20"))["requests"])

    def assert_provisioned(self, name):
        admin = self.client()
        clusters = [each for each in admin.clusters.list() if each.name == name]
        self.assertEqual(len(clusters), 1)
        clients = admin.cluster(clusters[0].uuid).clients.list()
        credentials = ClusterCredentials.from_env_file(self.file)
        self.assertEqual([each.client_id for each in clients], [credentials["ZEEBE_CLIENT_ID"]])
        self.assertTrue(credentials["ZEEBE_CLIENT_SECRET"])
        if os.name == "posix":
            self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)

    def test_run_that_was_killed_at_any_step_is_completed_by_the_next(self):
        name = "killed"
        for operation in ["GET /clusters", "GET /clusters/parameters", "POST /clusters"]:
            self.kill_at(name, operation)
        self.kill_at(name, "GET /clusters/{clusterUuid}")
        self.kill_at(name, f"GET {CLIENTS}")
        self.kill_at(name, f"POST {CLIENTS}")
        # The client exists, the file has only reserved space.
        self.assertTrue(self.file.exists())
        self.kill_at(name, f"DELETE {CLIENTS}/{{clientId}}")
        self.assertEqual(len(self.run_to_end(name)), 1)
        self.assert_provisioned(name)

    def test_next_run_deletes_a_client_whose_secret_was_lost(self):
        self.kill_at("lost", f"POST {CLIENTS}")
        output = self.run_to_end("lost")
        self.assertRegex(output[0], "deleted the client .*, whose secret was lost")
        self.assert_provisioned("lost")

    def test_second_run_changes_nothing(self):
        self.assertEqual(len(self.run_to_end("twice")), 2)
        text = self.file.read_text()
        self.assertEqual(self.run_to_end("twice"), [])
        self.assertEqual(self.file.read_text(), text)

    def test_credentials_of_another_client_are_kept(self):
        self.run_to_end("first")
        text = self.file.read_text()
        running = self.start("second")
        _, errors = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 1)
        self.assertIn("has the credentials of another client", errors)
        self.assertEqual(self.file.read_text(), text)


if __name__ == "__main__":
    unittest.main()
