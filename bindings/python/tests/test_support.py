"""The limits of programs that the tests start."""

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
    # A zombie waits for nothing but its parent, which may be the first process of the machine.
    return state != "Z"


class Limits(SandboxTest):
    def ended(self, program):
        with self.assertRaises(AssertionError) as raised:
            self.run_python(program, limit=2)
        return str(raised.exception)

    def test_program_that_sleeps_forever_is_ended_with_its_stacks(self):
        text = self.ended("import time\ndef rest():\n    time.sleep(1000000)\nrest()")
        self.assertIn("program not ended after 2 s, killed:", text)
        self.assertRegex(text, r'File "<string>", line 3 in rest')

    @unittest.skipUnless(sys.platform == "linux", "needs /proc")
    def test_child_that_keeps_the_output_open_is_ended(self):
        program = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000000)"])
print("pid", child.pid)
"""
        text = self.ended(program)
        pid = int(text.partition("pid ")[2].split()[0])
        ended_by = time.monotonic() + 10
        while is_running(pid):
            self.assertLess(time.monotonic(), ended_by)
            time.sleep(0.01)

    def test_program_that_ends_returns_output_and_status(self):
        program = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
        ran = self.run_python(program)
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (3, "out\n", "err\n"))
