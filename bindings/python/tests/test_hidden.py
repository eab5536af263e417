"""Tests that reports of exceptions contain no secrets: `repr`, local variables, attributes."""

import copy
import json
import pickle
import pprint
import threading
import traceback
import unittest
import warnings
from http.server import BaseHTTPRequestHandler, HTTPServer

from camunda_admin import (
    AdminClient,
    CamundaError,
    Cancel,
    ClusterCredentials,
    DecodeError,
    Secrets,
    TokenSource,
)
from support import SandboxTest

SECRET = "hunter2"


def shown(error):
    """Return the reports of an exception that include the local variables of each frame."""
    texts = []
    for each in chain(error):
        report = traceback.TracebackException.from_exception(each, capture_locals=True)
        texts.extend(report.format())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            try:
                import cgitb
            except ImportError:  # removed in Python 3.13
                continue
            try:
                texts.append(cgitb.text((type(each), each, each.__traceback__)))
            except AttributeError:  # it cannot show an OSError
                continue
    return "".join(texts)


def chain(error):
    """Yield an exception and its causes and contexts, including suppressed ones."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class StaticServer:
    """An HTTP server that returns the same body for each request."""

    def __init__(self, text):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Representations(unittest.TestCase):
    def test_secrets_show_names_only_when_copied_or_merged(self):
        secrets = Secrets(KEY=SECRET)
        for each in [
            secrets,
            secrets.copy(),
            copy.copy(secrets),
            copy.deepcopy(secrets),
            pickle.loads(pickle.dumps(secrets)),
            secrets | {"OTHER": SECRET},
            {"OTHER": SECRET} | secrets,
            secrets | Secrets(OTHER=SECRET),
        ]:
            self.assertIs(type(each), Secrets)
            self.assertEqual(each["KEY"], SECRET)
            for text in [repr(each), str(each), f"{each}", "%s" % each, pprint.pformat(each)]:
                self.assertIn("KEY", text)
                self.assertNotIn(SECRET, text)
        secrets |= {"KEY": "hunter3"}
        self.assertIs(type(secrets), Secrets)
        self.assertEqual(secrets, {"KEY": "hunter3"})
        self.assertEqual({"KEY": "a"} | Secrets(KEY="b"), {"KEY": "b"})
        self.assertEqual(Secrets(KEY="a") | {"KEY": "b"}, {"KEY": "b"})
        with self.assertRaises(TypeError):
            secrets | [("KEY", "a")]
        self.assertIs(type(secrets.to_dict()), dict)
        self.assertEqual(json.loads(json.dumps(secrets)), {"KEY": "hunter3"})

    def test_repr_works_when_constructor_failed(self):
        for kind in [AdminClient, Cancel, ClusterCredentials, TokenSource]:
            self.assertIn(kind.__name__, repr(kind.__new__(kind)))


class Subclass(AdminClient):
    """A subclass whose frame is in the reports, if it is created by a method of `AdminClient`."""

    def __init__(self, **settings):
        super().__init__(**settings)


class Reports(SandboxTest):
    def fails(self, kind, call):
        """Return the exception of a call with its frames, which `assertRaises` removes."""
        try:
            call()
        except kind as error:
            text = shown(error)
            self.assertIn("camunda_admin/_", text)
            self.assertNotIn(SECRET, text)
            return error
        raise AssertionError(f"{kind.__name__} was not raised")

    # No local variable and no source line of a test contains the secret itself.

    def test_client_shows_no_secret_when_setting_is_not_valid(self):
        for settings in [
            {"client_secret": SECRET, "base_url": "nowhere"},
            {"client_secret": SECRET + "\0"},
            {"client_secret": SECRET + "\ud800"},
            {"client_secret": SECRET.encode()},
            {"client_secret": [SECRET]},
            {"access_token": SECRET + "\0"},
            {"access_token": SECRET, "base_url": "nowhere"},
            {"access_token": f"Bearer {SECRET}"},
            {"proxy": f"nothing://me:{SECRET}@there"},
            {"token_cache": f"redis://:{SECRET}@[", "client_secret": SECRET},
        ]:
            for make in [AdminClient, AdminClient.from_env, Subclass.from_env]:
                with self.subTest(settings=list(settings), make=make):
                    self.fails(CamundaError, Call(make, **settings))

    def test_token_source_shows_no_secret_when_setting_is_not_valid(self):
        variables = Secrets(
            ZEEBE_CLIENT_ID="a", ZEEBE_CLIENT_SECRET=SECRET, ZEEBE_AUTHORIZATION_SERVER_URL="b"
        )
        for settings in [
            {},
            {"timeout": "soon"},
            {"proxy": f"nothing://me:{SECRET}@there"},
        ]:
            with self.subTest(settings=list(settings)):
                self.fails(CamundaError, Call(TokenSource, dict(variables), **settings))
        self.fails(TypeError, Call(TokenSource, dict(variables), nonsense=SECRET))

    def test_secret_is_not_shown_when_it_cannot_be_set(self):
        secrets = self.client().cluster("no-such-cluster").secrets
        for change in [secrets.create, secrets.update]:
            error = self.fails(CamundaError, Call(change, "KEY", SECRET))
            self.assertIn("value = <hidden>", shown(error))
            for value in [SECRET.encode(), SECRET + "\ud800", [SECRET]]:
                self.fails(CamundaError, Call(change, "KEY", value))
        with self.assertRaisesRegex(TypeError, "`value`: bytes given; expected a str"):
            secrets.create("KEY", SECRET.encode())

    def test_request_body_is_not_shown_when_request_fails(self):
        admin = self.client()
        for body in [{"value": SECRET}, {"value": SECRET.encode()}, {"value": SECRET + "\ud800"}]:
            self.fails(CamundaError, Call(admin.request, "POST", "/nowhere", body))

    def test_credentials_are_not_shown_when_file_cannot_be_written(self):
        credentials = ClusterCredentials({"ZEEBE_CLIENT_SECRET": SECRET})
        path = self.folder / "there"
        path.touch()
        self.fails(CamundaError, Call(credentials.write_env_file, path))
        self.fails(CamundaError, Call(credentials.write_env_file, 5))

    def test_response_is_in_body_only_when_it_cannot_be_decoded(self):
        text = json.dumps({"uuid": 5, "clientSecret": SECRET}).encode()
        server = StaticServer(text)
        self.addCleanup(server.close)
        admin = self.client(base_url=server.url)
        admin.token()
        error = self.fails(DecodeError, Call(admin.cluster("c").clients.create, "worker"))
        body = error.body
        self.assertEqual((body, bytes(body), body.decode()), (text, text, text.decode()))
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual(again.body, text)
        self.assertNotIn(SECRET, f"{vars(again)}")


class Call:
    """A call whose arguments are in no local variable and no attribute."""

    def __init__(self, function, *arguments, **settings):
        self._call = lambda: function(*arguments, **settings)

    def __call__(self):
        try:
            self._call()
        except Exception as error:
            # Removes the frames of this class, whose local variables contain the secret.
            trace = error.__traceback__
            raise error.with_traceback(trace.tb_next.tb_next)

    def __repr__(self):
        return "<Call>"


if __name__ == "__main__":
    unittest.main()
