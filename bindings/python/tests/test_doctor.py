"""Tests of `doctor` and of `python -m camunda_admin`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import unittest
from unittest import mock

import camunda_admin
from camunda_admin import Cancel, CancelledError, ConfigError, FileError, doctor
from camunda_admin import __main__ as program

from support import BASE_URL, SandboxTest, stats


def check_of(report, name):
    """Return the only check with this name."""
    [check] = [check for check in report["checks"] if check["name"] == name]
    return check


def source_of(report, key):
    [setting] = [setting for setting in report["settings"] if setting["key"] == key]
    return setting["source"]


class Doctor(SandboxTest):
    def test_working_environment_is_reported(self):
        self.cluster(name="doctor")
        report = doctor()
        self.assertTrue(report["ok"], report)
        self.assertEqual(report["version"], camunda_admin.__version__)
        self.assertEqual(check_of(report, "token")["status"], "ok")
        self.assertEqual(report["permissions"][0], {"resource": "clusters", "access": "allowed", "detail": None})
        self.assertEqual(source_of(report, "base_url"), "CAMUNDA_CONSOLE_BASE_URL")
        self.assertNotIn(os.environ["CAMUNDA_CONSOLE_CLIENT_SECRET"], json.dumps(report))

    def test_settings_replace_variables(self):
        with socket.socket() as reserved:
            # Bound, but not listening.
            reserved.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
            report = doctor(base_url=url, timeout=5)
        self.assertFalse(report["ok"])
        targets = {check["target"]: check["status"] for check in report["checks"] if check["name"] == "tcp"}
        self.assertEqual(targets, {url: "failed", BASE_URL: "ok"})
        self.assertEqual(source_of(report, "base_url"), "program")
        self.assertEqual(source_of(report, "client_id"), "CAMUNDA_CONSOLE_CLIENT_ID")

    def test_settings_of_a_file(self):
        path = self.folder / "console.env"
        path.write_text("CAMUNDA_CONSOLE_CLIENT_ID=a\n", encoding="utf-8")
        before = stats()["token_requests"]
        report = doctor(env_file=path)
        self.assertFalse(report["ok"])
        self.assertIn("CAMUNDA_CONSOLE_CLIENT_SECRET", check_of(report, "settings")["message"])
        self.assertEqual(check_of(report, "token")["status"], "skipped")
        self.assertEqual(report["permissions"], [])
        self.assertEqual(stats()["token_requests"], before)

    def test_invalid_variable_is_reported_also_with_settings(self):
        with mock.patch.dict(os.environ, {"CAMUNDA_CONSOLE_BASE_URL": "ftp://example.com"}):
            for settings in ({}, {"timeout": 5}, {"timeout": 5, "user_agent": "a"}):
                report = doctor(**settings)
                self.assertFalse(report["ok"])
                self.assertIn("CAMUNDA_CONSOLE_BASE_URL", check_of(report, "settings")["message"])
                self.assertEqual(source_of(report, "base_url"), "CAMUNDA_CONSOLE_BASE_URL")
            self.assertTrue(doctor(base_url=BASE_URL)["ok"])
            with self.assertRaisesRegex(ConfigError, "`oauth_url`"):
                doctor(oauth_url="ftp://example.com")

    def test_mistakes_raise_errors(self):
        with self.assertRaises(FileError) as missing:
            doctor(env_file=self.folder / "missing.env")
        self.assertEqual(missing.exception.filename, str(self.folder / "missing.env"))
        with self.assertRaisesRegex(ConfigError, "`base_url`"):
            doctor(base_url="ftp://example.com")
        with self.assertRaisesRegex(TypeError, "'time_out'; did you mean 'timeout'"):
            doctor(time_out=3)
        with self.assertRaises(TypeError):
            doctor(cancel=3)

    def test_cancel_ends_the_checks(self):
        cancel = Cancel()
        cancel.cancel()
        with self.assertRaises(CancelledError):
            doctor(cancel=cancel)

    def test_ctrl_c_ends_the_checks(self):
        self.fault("GET /clusters", delay_ms=60_000)
        previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGALRM, previous)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        begun = time.monotonic()
        with self.assertRaises(KeyboardInterrupt):
            doctor()
        self.assertLess(time.monotonic() - begun, 20)


class Program(SandboxTest):
    def run_program(self, *arguments, **environment):
        command = [sys.executable, "-m", "camunda_admin", *arguments]
        return subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            env={**os.environ, **environment},
            timeout=60,
        )

    def test_doctor_prints_text_and_json(self):
        ran = self.run_program("doctor")
        self.assertEqual(ran.returncode, 0, ran.stdout + ran.stderr)
        self.assertIn("\n  client_secret         (hidden)  [CAMUNDA_CONSOLE_CLIENT_SECRET]\n", ran.stdout)
        self.assertIn("\n  connector secrets     not checked: ", ran.stdout)
        self.assertTrue(ran.stdout.endswith("\n0 failed, 0 warnings\n"), ran.stdout)
        ran = self.run_program("doctor", "--json", CAMUNDA_CONSOLE_BASE_URL="ftp://example.com")
        self.assertEqual(ran.returncode, 1, ran.stderr)
        report = json.loads(ran.stdout)
        self.assertFalse(report["ok"])
        self.assertIn("CAMUNDA_CONSOLE_BASE_URL", check_of(report, "settings")["message"])

    def test_report_is_printed_in_any_encoding(self):
        tokens = self.folder / "tokens-\u00fc"
        environment = {"PYTHONIOENCODING": "ascii", "CAMUNDA_TOKEN_CACHE_DIR": str(tokens)}
        ran = self.run_program("doctor", **environment)
        self.assertEqual(ran.returncode, 0, ran.stderr)
        self.assertIn(r"tokens-\xfc", ran.stdout)

    def test_token_prints_the_token_of_the_cache(self):
        with self.client() as admin:
            token = admin.token()
        ran = self.run_program("token")
        self.assertEqual((ran.returncode, ran.stdout), (0, token + "\n"), ran.stderr)
        ran = self.run_program("token", "--env-file", str(self.folder / "missing.env"))
        self.assertEqual((ran.returncode, ran.stdout), (1, ""))
        self.assertIn("missing.env", ran.stderr)

    def test_last_line_counts_failures_and_warnings(self):
        for statuses, expected in [
            (["ok"], "0 failed, 0 warnings"),
            (["failed", "warning", "ok"], "1 failed, 1 warning"),
            (["failed", "failed", "warning", "warning"], "2 failed, 2 warnings"),
        ]:
            check = {"name": "a", "target": None, "message": "b", "advice": None, "duration_ms": None}
            checks = [{**check, "status": status} for status in statuses]
            report = {"version": "1", "settings": [], "checks": checks, "permissions": []}
            self.assertEqual(program._text(report).splitlines()[-1], expected)

    def test_invalid_arguments_exit_with_2(self):
        for arguments in [
            (),
            ("physician",),
            ("token", "--json"),
            ("token", "--timeout", "0"),
            ("token", "--timeout", "nan"),
            ("doctor", "--timeout", "1e30"),
            ("token", "--env-file="),
            ("token", "--audience", ""),
        ]:
            ran = self.run_program(*arguments)
            self.assertEqual((ran.returncode, ran.stdout), (2, ""), arguments)
            self.assertNotIn("Traceback", ran.stderr)

    @unittest.skipUnless(os.name == "posix", "sends SIGINT")
    def test_ctrl_c_ends_the_program_without_a_traceback(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            silent.settimeout(60)
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            tokens = str(self.folder / "tokens")
            environment = {**os.environ, "CAMUNDA_OAUTH_URL": url, "CAMUNDA_TOKEN_CACHE_DIR": tokens}
            program = [sys.executable, "-m", "camunda_admin", "token"]
            running = subprocess.Popen(
                program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True
            )
            connection, _ = silent.accept()
            with connection:
                connection.recv(1)
                running.send_signal(signal.SIGINT)
                self.assertEqual(running.communicate(timeout=60), (b"", b""))
        self.assertEqual(running.returncode, -signal.SIGINT)

    @unittest.skipUnless(os.path.exists("/dev/full"), "requires /dev/full")
    def test_output_that_cannot_be_written_is_a_failure(self):
        # With and without a buffer that is written at exit.
        for unbuffered in ["", "1"]:
            for arguments in [("token",), ("doctor",), ("doctor", "--json")]:
                with open("/dev/full", "w") as full:
                    ran = subprocess.run(
                        [sys.executable, "-m", "camunda_admin", *arguments],
                        stdout=full,
                        stderr=subprocess.PIPE,
                        universal_newlines=True,
                        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
                        timeout=60,
                    )
                expected = (1, "camunda_admin: cannot write to stdout: No space left on device\n")
                self.assertEqual((ran.returncode, ran.stderr), expected, arguments)


if __name__ == "__main__":
    unittest.main()
