"""Tests of the time limit of programs that tests start."""

import sys
import time
import unittest
from pathlib import Path

from support import SandboxTest


def is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    # A zombie has ended; its parent has not read its status.
    return state != "Z"


class RunPython(SandboxTest):
    def failure(self, program):
        with self.assertRaises(AssertionError) as raised:
            self.run_python(program, limit=5)
        return str(raised.exception)

    def test_run_python_reports_stacks_when_program_exceeds_limit(self):
        text = self.failure("import time\ndef sleep():\n    time.sleep(1000000)\nsleep()")
        self.assertIn("program did not end within 5 s, killed:", text)
        self.assertRegex(text, r'File "<string>", line 3 in sleep')

    @unittest.skipUnless(sys.platform == "linux", "needs /proc")
    def test_run_python_kills_child_that_keeps_output_open(self):
        program = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000000)"])
print("pid", child.pid)
"""
        text = self.failure(program)
        pid = int(text.partition("pid ")[2].split()[0])
        deadline = time.monotonic() + 60
        while is_running(pid):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def test_run_python_returns_output_and_status_when_program_ends(self):
        program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
        ran = self.run_python(program)
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (3, "out\n", "err\n"))
