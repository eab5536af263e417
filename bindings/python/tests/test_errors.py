"""Tests of exceptions and of argument checks."""

import builtins
import json
import os
import pickle
import typing
import unittest
import unittest.mock
from decimal import Decimal

import camunda_admin
from camunda_admin import (
    AdminClient,
    AuthenticationError,
    CamundaError,
    Cancel,
    CancelledError,
    ConfigError,
    ConflictError,
    DecodeError,
    Idempotency,
    InvalidArgumentError,
    InvalidRequestError,
    NetworkError,
    NotFoundError,
    NotReadyError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    RateLimitedError,
    ServiceError,
    TimeoutError,
    WaitFailedError,
)
from support import BASE_URL, OAUTH_URL, SandboxTest, stats

GET = "GET /clusters/{clusterUuid}"
CREATE = "POST /clusters/{clusterUuid}/clients"


class Kinds(SandboxTest):
    def test_http_status_maps_to_exception_class(self):
        cluster_id = self.cluster()
        handle = self.client().cluster(cluster_id)
        for status, kind in [
            (400, InvalidRequestError),
            (403, PermissionDeniedError),
            (404, NotFoundError),
            (409, ConflictError),
            (412, NotReadyError),
            (422, InvalidRequestError),
        ]:
            with self.subTest(status=status):
                self.fault(GET, status=status, body={"message": "the message of the API"})
                with self.assertRaises(kind) as raised:
                    handle.get()
                error = raised.exception
                self.assertEqual(error.http_status, status)
                self.assertEqual(error.server_message, "the message of the API")
                self.assertIn("the message of the API", str(error))
                self.assertEqual((error.outcome, error.stage), ("rejected", "request"))
                self.assertEqual((error.operation, error.method), ("get cluster", "GET"))
                self.assertEqual(error.path, f"/clusters/{cluster_id}")
                self.assertEqual(error.attempts, 1)
                self.assertGreater(error.elapsed, 0)
                self.assertEqual(error.abi_status, camunda_admin._errors._STATUS_OF_KIND[error.kind])

    def test_retries_end_at_deadline(self):
        handle = self.client().with_options(timeout=2).cluster(self.cluster())
        self.fault(GET, status=503, times=None)
        with self.assertRaises(ServiceError) as raised:
            handle.get()
        self.assertGreater(raised.exception.attempts, 1)

    def test_call_fails_immediately_when_retry_after_exceeds_deadline(self):
        handle = self.client().with_options(timeout=5).cluster(self.cluster())
        self.fault(GET, status=429, headers={"retry-after": "60"})
        with self.assertRaises(RateLimitedError) as raised:
            handle.get()
        self.assertGreater(raised.exception.retry_after, 50)

    def test_timeout_error_is_builtin_timeout_error(self):
        admin = self.client()
        admin.token()
        self.fault(GET, stall=True, times=None)
        with self.assertRaises(builtins.TimeoutError) as raised:
            admin.with_options(timeout=0.3).cluster(self.cluster()).get()
        self.assertIsInstance(raised.exception, TimeoutError)
        # A read changes nothing.
        self.assertNotIsInstance(raised.exception, OutcomeUnknownError)

    def test_change_raises_outcome_unknown_when_response_is_missing(self):
        admin = self.client()
        admin.token()
        handle = admin.with_options(timeout=2).cluster(self.cluster())
        for fault, kind in [({"stall": True}, TimeoutError), ({"reset": True}, NetworkError)]:
            with self.subTest(kind=kind):
                self.fault(CREATE, when="after", **fault)
                with self.assertRaises(OutcomeUnknownError) as raised:
                    handle.clients.create("twin")
                error = raised.exception
                self.assertIsInstance(error, kind)
                self.assertEqual(error.outcome, "unknown")
                self.assertIn("may have been applied", str(error))
                copy = pickle.loads(pickle.dumps(error))
                self.assertIs(type(copy), type(error))
                self.assertEqual(copy.__dict__, error.__dict__)

    def test_change_raises_outcome_unknown_when_response_is_truncated(self):
        handle = self.client().cluster(self.cluster())
        self.fault(CREATE, when="after", cut_body=9)
        with self.assertRaises(OutcomeUnknownError) as raised:
            handle.clients.create("half")
        error = raised.exception
        self.assertIsInstance(error, NetworkError)
        self.assertEqual((error.outcome, error.attempts), ("completed", 1))
        self.assertIn("; the change was applied: ", str(error))
        self.assertEqual([client.name for client in handle.clients.list()], ["half"])

    def test_waiter_never_raises_outcome_unknown(self):
        handle = self.client().cluster(self.cluster(status={"ready": "Creating"}))
        with self.assertRaises(TimeoutError) as raised:
            handle.wait_until_healthy(timeout=1.5)
        error = raised.exception
        self.assertNotIsInstance(error, OutcomeUnknownError)
        self.assertEqual(error.outcome, "rejected")
        self.assertGreaterEqual(error.attempts, 1)
        self.assertIn(str(handle.id), str(error))
        self.assertIn("last state: Creating", str(error))

    def test_cancelled_call_is_not_sent_when_cancelled_before_it_begins(self):
        admin = self.client()
        handle = admin.cluster(self.cluster())
        admin.clusters.list()
        cancel = Cancel()
        cancel.cancel()
        cancelled = admin.with_options(cancel=cancel).cluster(handle.id)
        for call in [
            cancelled.get,
            lambda: cancelled.clients.create("never"),
            cancelled.wait_until_healthy,
        ]:
            with self.assertRaises(CancelledError) as raised:
                call()
            error = raised.exception
            self.assertNotIsInstance(error, OutcomeUnknownError)
            self.assertEqual((error.outcome, error.attempts), ("not_sent", 0))
        self.assertEqual(handle.clients.list(), [])

    def test_call_is_not_sent_when_connection_is_refused(self):
        admin = AdminClient(base_url="http://127.0.0.1:9", timeout=0.5)
        with self.assertRaises((NetworkError, TimeoutError)) as raised:
            admin.ip_ranges()
        self.assertEqual(raised.exception.outcome, "not_sent")

    def test_call_raises_permission_denied_without_permission(self):
        admin = self.client(["members"])
        with self.assertRaises(PermissionDeniedError):
            admin.clusters.list()

    def test_wrong_client_secret_sends_one_token_request(self):
        admin = self.client(client_secret=f"hunter2-{self.folder.name}")
        before = stats()["token_requests"]
        for _ in range(3):
            with self.assertRaises(AuthenticationError) as raised:
                admin.clusters.list()
            self.assertEqual(raised.exception.stage, "token")
            self.assertNotIn("hunter2", f"{raised.exception} {raised.exception!r}")
        self.assertEqual(stats()["token_requests"] - before, 1)

    def test_access_token_is_used_without_a_token_request(self):
        token = self.client().token()
        before = stats()["token_requests"]
        settings = {"client_id": None, "client_secret": None}
        admin = self.client(**settings, access_token=token)
        admin.clusters.list()
        self.assertEqual(admin.token(), token)
        admin = self.client(**settings, access_token="hunter2")
        with self.assertRaises(AuthenticationError) as raised:
            admin.clusters.list()
        self.assertIn("`access_token`", str(raised.exception))
        self.assertNotIn("hunter2", f"{raised.exception} {raised.exception!r}")
        self.assertEqual(stats()["token_requests"], before)

    def test_client_secret_is_read_from_a_file(self):
        path = self.folder / "secret"
        path.write_text(self.settings()["client_secret"] + "\n")
        for file in (path, str(path)):
            self.client(client_secret=None, client_secret_file=file).clusters.list()
        with self.assertRaises(ConfigError) as raised:
            self.client(client_secret=None, client_secret_file=self.folder / "missing")
        self.assertIn("client_secret_file", str(raised.exception))
        with self.assertRaises(ConfigError) as raised:
            self.client(client_secret_file=path)
        self.assertIn("both set", str(raised.exception))

    def test_error_has_one_time_response_when_it_cannot_be_decoded(self):
        self.fault(CREATE, body='{"name": "worker", "clientSecret": "hunter2"}')
        with self.assertRaises(DecodeError) as raised:
            self.client().cluster(self.cluster()).clients.create("worker")
        error = raised.exception
        self.assertEqual(error.outcome, "completed")
        self.assertIn(b"hunter2", error.body)
        self.assertNotIn("hunter2", f"{error} {error!r}")

    def test_error_has_response_when_nesting_is_too_deep(self):
        body = '{"uuid": "a", "deep": ' + "[" * 100_000 + "]" * 100_000 + "}"
        self.fault(GET, body=body)
        with self.assertRaises(DecodeError) as raised:
            self.client().cluster(self.cluster()).get()
        self.assertEqual(raised.exception.body, body.encode())
        self.assertNotIsInstance(raised.exception, OutcomeUnknownError)

    def test_outcome_is_unknown_when_response_to_a_change_is_nested_too_deeply(self):
        deep = "[" * 100_000 + "]" * 100_000
        cluster = self.cluster()
        clients = self.client().cluster(cluster).clients
        body = '{"name": "w", "clientId": "i", "clientSecret": "hunter2", "deep": ' + deep + "}"
        request = self.client().request
        for operation, response, call in [
            (CREATE, body, lambda: clients.create("worker")),
            (CREATE, body, lambda: clients.create_env_file(self.folder / "w.env", "second")),
            (
                "POST /clusters/{clusterUuid}/backups",
                deep,
                lambda: request("POST", f"/clusters/{cluster}/backups"),
            ),
        ]:
            self.fault(operation, body=response)
            with self.assertRaises(OutcomeUnknownError) as raised:
                call()
            error = raised.exception
            self.assertIsInstance(error, DecodeError)
            self.assertEqual((error.outcome, error.body), ("completed", response.encode()))
        for arguments in [("GET", "/clusters"), ("GET", "/clusters", None, "safe")]:
            self.fault("GET /clusters", body=deep)
            with self.assertRaises(DecodeError) as read:
                request(*arguments)
            self.assertNotIsInstance(read.exception, OutcomeUnknownError)

    def test_call_ends_when_cancelled_by_another_thread(self):
        import threading

        admin = self.client()
        admin.token()
        cancel = Cancel()
        self.fault(GET, stall=True)
        timer = threading.Timer(0.2, cancel.cancel)
        timer.start()
        with self.assertRaises(CancelledError):
            admin.with_options(cancel=cancel).cluster(self.cluster()).get()
        timer.join()
        self.assertTrue(cancel.is_cancelled)
        cancel.reset()
        admin.with_options(cancel=cancel).cluster(self.cluster()).get()

    def test_outcome_type_has_the_documented_values(self):
        values = ("not_sent", "rejected", "unknown", "completed")
        self.assertEqual(typing.get_args(Outcome), values)
        self.assertEqual(tuple(camunda_admin._native_handle._OUTCOMES.values()), values)

    def test_wait_failed_error_has_kind_of_other_languages(self):
        self.assertEqual(WaitFailedError.kind, "wait_failed")

    def test_exception_classes_are_camunda_errors(self):
        for name in camunda_admin._errors.__all__:
            self.assertTrue(issubclass(getattr(camunda_admin, name), CamundaError), name)


class Decoding(SandboxTest):
    def test_responses_are_decoded_on_interpreters_without_the_c_api(self):
        cluster_id = self.cluster(name="Zoë")
        admin = self.client()
        with unittest.mock.patch("camunda_admin._native_handle._decode_utf8", None):
            self.assertEqual(admin.cluster(cluster_id).get().name, "Zoë")
        self.assertEqual(admin.cluster(cluster_id).get().name, "Zoë")

    def test_error_has_the_bytes_of_a_response_that_cannot_be_decoded(self):
        from camunda_admin._json import decode

        for encoded, value in [
            ("\ufeff[1]", [1]),
            (b"\xef\xbb\xbf[1]", [1]),
            ("[1.50]", [1.5]),
            (" [1]", [1]),
            ("\t[1]\r\n ", [1]),
            ("[" + "9" * 5000 + "]", [Decimal("9" * 5000)]),
        ]:
            self.assertEqual(decode(encoded, "list", list), value)
        for encoded, body in [
            ("[Ü", "[Ü".encode()),
            ("\ufeff{", b"\xef\xbb\xbf{"),
            (b"[\xff]", b"[\xff]"),
            ("[1]]", b"[1]]"),
            ("[1]\u00a0", b"[1]\xc2\xa0"),
            ("", b""),
        ]:
            with self.assertRaises(DecodeError) as raised:
                decode(encoded, "list", list)
            self.assertEqual(raised.exception.body, body)


class Arguments(SandboxTest):
    def test_id_is_rejected_when_not_one_path_segment(self):
        admin = self.client()
        before = stats()["requests"]
        members = stats()["requests_by_operation"].get("GET /members", 0)
        for bad in ["", ".", "..", "a\0b", "\ud800"]:
            with self.subTest(id=bad), self.assertRaises(InvalidArgumentError):
                admin.cluster(bad).get()
        for bad in [None, 5, b"a", ["a"]]:
            with self.subTest(id=bad), self.assertRaises((InvalidArgumentError)) as raised:
                admin.cluster(bad).get()
            self.assertIsInstance(raised.exception, TypeError)
        self.assertEqual(stats()["requests"], before)
        for escaped in ["../members", "a\r\nHost: b", "a?b#c", "%2e%2e", "ü", "x" * 100_000]:
            with self.subTest(id=escaped[:20]), self.assertRaises(CamundaError):
                admin.cluster(escaped).get()
        self.assertEqual(stats()["requests_by_operation"].get("GET /members", 0), members)

    def test_body_argument_of_wrong_type_is_not_sent(self):
        handle = self.client().cluster(self.cluster())
        before = stats()["requests"]
        for call in [
            lambda: handle.clients.create("a", permissions="Zeebe"),
            lambda: handle.clients.create("a", permissions=[5]),
            lambda: handle.clients.create("a", permissions=5),
            lambda: handle.clients.create("a", permissions={"Zeebe": True}),
            lambda: handle.clients.create(5),
            lambda: handle.secrets.create("a", 5),
            lambda: handle.secrets.create("a", b"hunter2"),
            lambda: handle.set_ip_allowlist("10.0.0.0/8"),
            lambda: handle.set_ip_allowlist(["10.0.0.0/8"]),
            lambda: handle.set_ip_allowlist([(1, 2)]),
            lambda: handle.update(number_of_allocated_hw_packages="many"),
            lambda: handle.update(number_of_allocated_hw_packages=float("nan")),
            lambda: handle.add_to_ip_allowlist("10.0.0.0/8", None),
            lambda: handle.backups.delete(""),
        ]:
            with self.assertRaises(InvalidArgumentError) as raised:
                call()
            self.assertNotIn("hunter2", str(raised.exception))
            self.assertEqual(raised.exception.outcome, "not_sent")
        self.assertEqual(stats()["requests"], before)

    def test_option_or_raw_request_that_is_not_valid_is_rejected(self):
        admin = self.client()
        handle = admin.cluster(self.cluster())
        for call in [
            lambda: handle.wait_until_healthy(timeout=0),
            lambda: handle.wait_until_healthy(timeout="long"),
            lambda: handle.wait_until_healthy(max_poll_interval=float("nan")),
            lambda: admin.with_options(timeout=-1),
            lambda: admin.with_options(timeout=10**400),
            lambda: admin.request("BREW", "/clusters"),
            lambda: admin.request("GET", "clusters"),
            lambda: admin.request("GET", "/a/../b"),
            lambda: admin.request("GET", "/clusters", idempotency="often"),
            lambda: admin.request("POST", "/clusters", object()),
            lambda: admin.token(""),
        ]:
            with self.assertRaises(InvalidArgumentError):
                call()

    def test_raw_request_accepts_each_idempotency(self):
        admin = self.client()
        values = ("safe", "idempotent", "non_idempotent")
        self.assertEqual(typing.get_args(Idempotency), values)
        for value in values:
            admin.request("GET", "/clusters", idempotency=value)
        for value in ["once", "repeatable", "", "Safe"]:
            with self.assertRaisesRegex(InvalidArgumentError, "expected 'safe', 'idempotent', 'non_idempotent'"):
                admin.request("GET", "/clusters", idempotency=value)

    def test_setting_that_is_not_valid_is_named(self):
        for settings, name in [
            ({"base_url": "http://example.com"}, "base_url"),
            ({"timeout": 0}, "timeout"),
            ({"token_cache": ""}, "token_cache"),
            ({"token_cache": "memroy"}, "did you mean `memory`?"),
            ({"token_cache": "mysql://:hunter2@host"}, "unsupported URL scheme"),
            ({"max_response_bytes": 0}, "max_response_bytes"),
            ({"client_id": "a"}, "client_secret"),
            ({"ca_file": "/nowhere"}, "ca_file"),
            ({"token_request_format": "xml"}, "token_request_format"),
        ]:
            with self.subTest(settings=settings), self.assertRaises(ConfigError) as raised:
                AdminClient(**settings)
            self.assertIn(name, str(raised.exception))
        for settings, name in [
            ({"client_secret": 5}, "client_secret"),
            ({"timeout": "soon"}, "timeout"),
            ({"timeout": True}, "timeout"),
            ({"max_response_bytes": 1.5}, "max_response_bytes"),
            ({"colour": "red"}, "colour"),
        ]:
            with self.subTest(settings=settings), self.assertRaises(TypeError) as raised:
                AdminClient(**settings)
            self.assertIn(name, str(raised.exception))

    def test_missing_variable_is_named(self):
        program = "from camunda_admin import AdminClient; AdminClient.from_env()"
        ran = self.run_python(program, CAMUNDA_CONSOLE_CLIENT_ID="")
        self.assertIn("ConfigError", ran.stderr)
        self.assertIn("CAMUNDA_CONSOLE_CLIENT_ID", ran.stderr)

    def test_settings_make_variables_unnecessary(self):
        settings = self.settings()
        client_id, secret = settings["client_id"], settings["client_secret"]
        secret_file = self.folder / "secret"
        secret_file.write_text(secret)
        secret_file.chmod(0o600)
        with AdminClient(**settings) as admin:
            token = str(admin.token())
        no_credentials = dict.fromkeys(
            ["CAMUNDA_CONSOLE_CLIENT_ID", "CAMUNDA_CONSOLE_CLIENT_SECRET", "CAMUNDA_CONSOLE_ACCESS_TOKEN"], ""
        )
        program = (
            "import json, sys\n"
            "from camunda_admin import AdminClient\n"
            "with AdminClient.from_env(**json.loads(sys.argv[1])) as admin:\n"
            "    print(admin, len(admin.clusters.list()) >= 0)\n"
        )
        for given, variables in [
            ({"client_secret": secret}, {"CAMUNDA_CONSOLE_CLIENT_SECRET": ""}),
            ({"client_id": client_id}, {"CAMUNDA_CONSOLE_CLIENT_ID": ""}),
            ({"client_id": client_id, "client_secret": secret}, no_credentials),
            ({"client_id": client_id, "client_secret_file": str(secret_file)}, no_credentials),
            ({"access_token": token}, no_credentials),
            # A setting also replaces the variable of its alternative.
            ({"client_secret_file": str(secret_file)}, {"CAMUNDA_CONSOLE_CLIENT_SECRET": "wrong"}),
            (
                {"client_secret": secret},
                {"CAMUNDA_CONSOLE_CLIENT_SECRET": "", "CAMUNDA_CONSOLE_CLIENT_SECRET_FILE": "/nowhere"},
            ),
            ({"client_id": client_id, "client_secret": secret}, {"CAMUNDA_CONSOLE_ACCESS_TOKEN": "expired"}),
        ]:
            with self.subTest(given=sorted(given), variables=sorted(variables)):
                ran = self.run_python(program, json.dumps(given), **variables)
                self.assertEqual(ran.returncode, 0, ran.stderr)
                described = "with an access token" if "access_token" in given else f"as {client_id}"
                self.assertEqual(ran.stdout.strip(), f"<AdminClient {BASE_URL} {described}> True")

        path = self.folder / "console.env"
        path.write_text(f"CAMUNDA_CONSOLE_CLIENT_ID={client_id}\n")
        del settings["client_id"]
        with AdminClient.from_env_file(path, **settings) as admin:
            admin.clusters.list()

    def test_error_of_missing_credentials_names_variable_and_setting(self):
        path = self.folder / "console.env"
        for text, settings, message in [
            ("", {}, "the variable CAMUNDA_CONSOLE_CLIENT_ID is not set; set it, or the setting `client_id`"),
            (
                "CAMUNDA_CONSOLE_CLIENT_SECRET=hunter2\n",
                {"client_secret": "hunter2"},
                "the variable CAMUNDA_CONSOLE_CLIENT_ID is not set; set it, or the setting `client_id`",
            ),
            (
                "CAMUNDA_CONSOLE_ACCESS_TOKEN=hunter2\n",
                {"client_id": "a"},
                "the variable CAMUNDA_CONSOLE_CLIENT_SECRET or CAMUNDA_CONSOLE_CLIENT_SECRET_FILE is not set; "
                "set it, or the setting `client_secret` or `client_secret_file`",
            ),
            (
                "CAMUNDA_CONSOLE_CLIENT_ID=a\nCAMUNDA_CONSOLE_CLIENT_SECRET=hunter2\n"
                "CAMUNDA_CONSOLE_CLIENT_SECRET_FILE=/nowhere\n",
                {},
                "the variables CAMUNDA_CONSOLE_CLIENT_SECRET and CAMUNDA_CONSOLE_CLIENT_SECRET_FILE are both set; "
                "unset one",
            ),
        ]:
            path.write_text(text)
            with self.subTest(text=text), self.assertRaises(ConfigError) as raised:
                AdminClient.from_env_file(path, **settings)
            self.assertEqual(str(raised.exception), f"{path}: {message}")
            self.assertEqual(raised.exception.args, (f"{path}: {message}",))
        # A setting replaces a variable whatever its value is.
        path.write_text("CAMUNDA_CONSOLE_BASE_URL=ftp://x\n")
        AdminClient.from_env_file(path, access_token="a", base_url=BASE_URL).close()
        # The error of a setting is not one of the file.
        path.write_text("CAMUNDA_CONSOLE_CLIENT_ID=a\nCAMUNDA_CONSOLE_CLIENT_SECRET=b\n")
        with self.assertRaises(ConfigError) as raised:
            AdminClient.from_env_file(path, ca_file="/nowhere/ca.pem")
        self.assertNotIn(str(path), str(raised.exception))
        # Nor is that of a variable of the environment.
        with unittest.mock.patch.dict(os.environ, {"HTTPS_PROXY": "http://:x"}):
            with self.assertRaisesRegex(ConfigError, "^the variable HTTPS_PROXY is not a valid URL"):
                AdminClient.from_env_file(path)

    def test_setting_replaces_a_variable_that_is_invalid(self):
        invalid = {
            "CAMUNDA_CONSOLE_BASE_URL": "ftp://x",
            "CAMUNDA_CUSTOM_USER_AGENT_STRING": "\udcff",
            "CAMUNDA_TOKEN_DISK_CACHE_DISABLE": "maybe",
        }
        settings = {"base_url": BASE_URL, "user_agent": "a", "token_cache": "memory"}
        with unittest.mock.patch.dict(os.environ, invalid):
            AdminClient.from_env(**settings).close()
            for name, key in zip(invalid, settings):
                others = {other: value for other, value in settings.items() if other != key}
                with self.assertRaisesRegex(ConfigError, name):
                    AdminClient.from_env(**others)

    def test_client_from_env_file_lists_clusters(self):
        settings = self.settings()
        path = self.folder / "console.env"
        path.write_text(
            f"export CAMUNDA_CONSOLE_CLIENT_ID='{settings['client_id']}'\n"
            f"CAMUNDA_CONSOLE_CLIENT_SECRET={settings['client_secret']}  # secret\n"
            f"CAMUNDA_CONSOLE_BASE_URL={BASE_URL}\nCAMUNDA_OAUTH_URL={OAUTH_URL}\n"
            f"CAMUNDA_TOKEN_CACHE_DIR={settings['token_cache']}\n"
        )
        with AdminClient.from_env_file(path) as admin:
            admin.clusters.list()

    def test_calls_fail_after_close(self):
        admin = self.client()
        clusters, again = admin.clusters, admin.with_options(timeout=1)
        admin.close()
        admin.close()
        for call in [clusters.list, again.clusters.list, admin.stats, admin.token]:
            with self.assertRaises(InvalidArgumentError) as raised:
                call()
            self.assertIn("closed", str(raised.exception))
        self.assertIn("closed", repr(admin))

    def test_client_cannot_be_pickled_or_deep_copied(self):
        import copy

        admin = self.client()
        with self.assertRaises(TypeError):
            pickle.dumps(admin)
        with self.assertRaises(TypeError):
            copy.deepcopy(admin)
        with self.assertRaises(TypeError):
            pickle.dumps(Cancel())


if __name__ == "__main__":
    unittest.main()
