"""Tests of the client in a Python program: threads, signals, callbacks, logging, and token stores."""

import ctypes
import errno
import gc
import http.server
import io
import json
import logging
import os
import pickle
import signal
import sys
import threading
import time
import unittest
import weakref
from unittest import mock

from camunda_admin import AdminClient, CancelledError, InvalidArgumentError, NotFoundError, TokenStore, _connection
from camunda_admin._library import lib
from camunda_admin._native_handle import NativeHandle
from camunda_admin._progress import ProgressDisplay
from support import ALL_PERMISSIONS, SandboxTest, control, stats

GET = "GET /clusters/{clusterUuid}"


class Threads(SandboxTest):
    def test_concurrent_first_calls_send_one_token_request(self):
        admin = self.client(ALL_PERMISSIONS)
        before = stats()["token_requests"]
        barrier = threading.Barrier(8)
        responses = []

        def work():
            barrier.wait()
            responses.append(admin.clusters.list())

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(responses), 8)
        self.assertEqual(stats()["token_requests"] - before, 1)

    def test_call_finishes_when_client_is_closed_by_another_thread(self):
        admin = self.client()
        admin.token()
        cluster_id = self.cluster()
        self.fault(GET, delay_ms=300)
        result = []
        thread = threading.Thread(target=lambda: result.append(admin.cluster(cluster_id).get()))
        before = stats()["requests"]
        thread.start()
        while stats()["requests"] == before:
            time.sleep(0.01)
        admin.close()
        gc.collect()
        thread.join()
        self.assertEqual(result[0].uuid, cluster_id)

    def test_gil_is_released_during_call(self):
        admin = self.client()
        admin.token()
        cluster_id = self.cluster()
        self.fault(GET, delay_ms=300)
        thread = threading.Thread(target=admin.cluster(cluster_id).get)
        thread.start()
        iterations = 0
        while thread.is_alive():
            iterations += 1
        self.assertGreater(iterations, 1000)


class Signals(SandboxTest):
    def stalled(self, call, stall="stall", prepare=None):
        """Make a call on the main thread and interrupt it while the response is stalled."""
        admin = self.client()
        admin.token()
        cluster_id = self.cluster()
        self.fault(GET, **{stall: True})
        before = stats()["requests"]

        def interrupt():
            while stats()["requests"] == before:
                time.sleep(0.01)
            self.interrupted = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        try:
            return call(admin.cluster(cluster_id))
        finally:
            thread.join()

    def test_call_ends_on_ctrl_c(self):
        def attempt():
            with self.assertRaises(KeyboardInterrupt) as raised:
                self.stalled(lambda handle: handle.get())
            self.assertIsInstance(raised.exception.__cause__, CancelledError)
            return time.monotonic() - self.interrupted

        self.assert_in_time(attempt)
        # The exception is not raised again by the next call.
        self.client().cluster(self.cluster()).get()

    def interrupted(self, call, after):
        """Make a call that Ctrl-C ends when this function of the C ABI has returned."""
        function = getattr(lib, after)

        def interrupt(*arguments):
            function(*arguments)
            signal.raise_signal(signal.SIGINT)

        with mock.patch.object(lib, after, interrupt), self.assertRaises(KeyboardInterrupt) as raised:
            call()
        return raised.exception.__cause__

    def test_ctrl_c_has_the_result_of_a_completed_call(self):
        handle = self.client().cluster(self.cluster())
        cause = self.interrupted(
            lambda: handle.clients.create("worker"), after="camunda_cluster_client_create"
        )
        self.assertIs(type(cause), CancelledError)
        self.assertEqual(cause.outcome, "completed")
        self.assertEqual(str(cause), "create client: completed before it was interrupted")
        (listed,) = handle.clients.list()
        self.assertEqual(cause.result.client_id, listed.client_id)
        self.assertGreater(len(cause.result.client_secret), 10)
        self.assertNotIn(cause.result.client_secret, repr(cause) + repr(cause.result))
        copy = pickle.loads(pickle.dumps(cause))
        self.assertEqual((copy.outcome, copy.result), ("completed", cause.result))

    def test_ctrl_c_has_the_result_of_a_response_that_is_being_decoded(self):
        handle = self.client().cluster(self.cluster())
        with mock.patch.object(
            _connection, "decode", mock.Mock(side_effect=[KeyboardInterrupt, "result"])
        ):
            with self.assertRaises(KeyboardInterrupt) as raised:
                handle.clients.create("worker")
        self.assertEqual(raised.exception.__cause__.result, "result")

    def test_ctrl_c_has_the_outcome_of_a_call_that_has_ended(self):
        handle = self.client().cluster(self.cluster())
        client_id = handle.clients.create("worker").client_id

        def delete():
            handle.clients.delete(client_id)

        cause = self.interrupted(delete, after="camunda_cluster_client_delete")
        self.assertIs(type(cause), CancelledError)
        self.assertEqual((cause.outcome, cause.result), ("completed", None))
        self.assertEqual(handle.clients.list(), [])
        cause = self.interrupted(delete, after="camunda_cluster_client_delete")
        self.assertIs(type(cause), NotFoundError)
        self.assertEqual(cause.outcome, "rejected")

    def test_wait_ends_on_ctrl_c(self):
        def attempt():
            with self.assertRaises(KeyboardInterrupt):
                self.stalled(lambda handle: handle.wait_until_healthy(progress=lambda _: None))
            return time.monotonic() - self.interrupted

        self.assert_in_time(attempt)

    def test_call_ends_with_exception_of_signal_handler(self):
        class Stop(Exception):
            pass

        def stop(*_):
            raise Stop

        self.addCleanup(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, stop))
        with self.assertRaises(Stop):
            self.stalled(lambda handle: handle.get())

    def test_call_continues_when_signal_handler_returns(self):
        handled = []
        handler = signal.signal(signal.SIGINT, lambda *_: handled.append(1))
        self.addCleanup(signal.signal, signal.SIGINT, handler)
        admin = self.client()
        admin.token()
        cluster_id = self.cluster()
        self.fault(GET, delay_ms=400)
        timer = threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        self.assertEqual(admin.cluster(cluster_id).get().uuid, cluster_id)
        self.assertEqual(handled, [1])
        timer.join()

    def test_signal_handler_can_make_a_call(self):
        other = self.client()
        cluster_id = self.cluster()
        clusters = []
        handler = signal.signal(
            signal.SIGINT, lambda *_: clusters.append(other.cluster(cluster_id).get())
        )
        self.addCleanup(signal.signal, signal.SIGINT, handler)
        admin = self.client()
        admin.token()
        other.token()
        self.fault(GET, delay_ms=400)
        timer = threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        admin.cluster(cluster_id).get()
        timer.join()
        self.assertEqual(clusters[0].uuid, cluster_id)

    @unittest.skipUnless(os.name == "posix", "needs the C library of the process")
    def test_ctrl_c_while_a_handle_is_freed_is_raised(self):
        # Frees the "handle" by a signal to this process.
        send_signal = getattr(ctypes.CDLL(None), "raise")
        handle = NativeHandle(signal.SIGINT, send_signal)
        with self.assertRaises(KeyboardInterrupt):
            del handle
            for _ in range(1000):
                pass

    def test_every_ctrl_c_is_raised_during_frequent_callbacks(self):
        # A signal can be handled anywhere, including the first step of a callback.
        program = """
import logging, os, signal, sys, threading, time
from camunda_admin import AdminClient
logging.basicConfig(level=5, stream=open(os.devnull, "w"))
admin = AdminClient.from_env()
handle = admin.cluster(sys.argv[1])
handle.get()
sent = caught = 0
go = threading.Event()
def interrupt():
    global sent
    while go.wait() and sent < 40:
        go.clear()
        time.sleep(0.0003 * (sent % 13))
        sent += 1
        os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
for _ in range(40):
    try:
        go.set()
        while True:
            handle.wait_until_healthy(max_poll_interval=0.01, progress=lambda _: None)
    except KeyboardInterrupt:
        caught += 1
print(sent, caught)
"""
        ran = self.run_python(program, self.cluster())
        self.assertEqual((ran.stdout, ran.stderr), ("40 40\n", ""))


class Callbacks(SandboxTest):
    def test_wait_ends_with_exception_of_progress(self):
        handle = self.client().cluster(self.cluster())
        control(status={"cluster": handle.id, "ready": "Creating"})

        class Stop(Exception):
            pass

        def stop(_):
            raise Stop

        def wait():
            with self.assertRaises(Stop):
                handle.wait_until_healthy(progress=stop)

        wait()
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()

    def test_csv_ends_with_exception_of_file(self):
        class Full(io.RawIOBase):
            def write(self, piece):
                raise OSError(28, "full")

        admin = self.client()
        admin.cluster(self.cluster()).update(description="changed")
        with self.assertRaisesRegex(OSError, "full") as raised:
            admin.activity.csv(Full())
        self.assertIsNone(raised.exception.__context__)
        admin.activity.csv(io.BytesIO())

    def test_csv_is_not_truncated_by_a_file_that_would_block(self):
        class Pipe(io.RawIOBase):
            def __init__(self, result):
                self.result = result
                self.data = b""

            def write(self, piece):
                if isinstance(piece, str):
                    raise TypeError("bytes expected")
                if len(self.data) == 10:
                    return self.result
                part = piece[: 10 - len(self.data)]
                self.data += part
                return len(part)

        admin = self.client()
        admin.cluster(self.cluster()).update(description="changed")
        for result in (None, 0):
            pipe = Pipe(result)
            with self.assertRaises(BlockingIOError):
                admin.activity.csv(pipe)
            self.assertEqual(len(pipe.data), 10)

    def test_progress_display_replaces_control_characters_and_repeats_nothing(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        cluster = self.client().cluster(self.cluster(name="a\x1b[2Jb")).get()
        for stream, parts in [
            (Terminal(), ["\ra?[2Jb: Healthy (0 s)\x1b[K", "\n"]),
            (io.StringIO(), ["a?[2Jb: Healthy (0 s)\n"]),
        ]:
            with ProgressDisplay(stream) as display:
                display.show(cluster)
            self.assertEqual(stream.getvalue(), "".join(parts))
        with ProgressDisplay(io.StringIO()) as display:
            display.show(cluster)
            display.show(cluster)
            self.assertEqual(display._stream.getvalue().count("\n"), 1)

    def test_progress_true_displays_state_on_standard_error(self):
        handle = self.client().cluster(self.cluster(name="shown"))
        stderr, sys.stderr = sys.stderr, io.StringIO()
        try:
            handle.wait_until_healthy(progress=True, max_poll_interval=0.01)
            shown = sys.stderr.getvalue()
        finally:
            sys.stderr = stderr
        self.assertIn("shown: Healthy", shown)

    def test_log_records_have_requests_and_no_secrets(self):
        logger = logging.getLogger("camunda_admin")
        level = logger.level
        logger.setLevel(logging.DEBUG)
        self.addCleanup(logger.setLevel, level)
        settings = self.settings()
        self.fault("GET /clusters", status=503, headers={"x-request-id": "1234-abcd"})
        with self.assertLogs(logger, logging.DEBUG) as logs:
            admin = AdminClient(**settings)
            admin.clusters.list()
        text = "\n".join(logs.output)
        self.assertRegex(
            text,
            r'response received: operation="list clusters" method=GET path=/clusters status=503 '
            r'bytes=\d+ duration=[\d.]+ms attempt=1 request_id="1234-abcd"',
        )
        self.assertRegex(
            text,
            r'INFO:camunda_admin\S*:request failed, retrying: operation="list clusters" attempt=1 '
            r"delay=[\d.]+ms status=503 ",
        )
        self.assertRegex(text, r"status=200 bytes=\d+ duration=[\d.]+ms attempt=2")
        self.assertNotIn(settings["client_secret"], text)
        self.assertNotIn(admin.token(), text)


class MemoryStore(TokenStore):
    """A token store in dictionaries, which several stores can share as several machines would."""

    def __init__(self, values, locked):
        self.values = values
        self.locked = locked
        self.fails_with = None

    def fail(self):
        # A new exception each time: a stored one would hold the frames of the call, and the client.
        if self.fails_with is not None:
            raise self.fails_with()

    def get(self, name):
        self.fail()
        return self.values.get(name)

    def put(self, name, value, ttl):
        self.fail()
        assert ttl > 0
        self.values[name] = value

    def try_lock(self, name, lease):
        self.fail()
        assert lease > 0
        # `setdefault` is atomic.
        if self.locked.setdefault(name, self) is not self:
            return None
        return lambda: self.locked.pop(name)

    def describe(self):
        return "a dictionary"


class TokenStores(SandboxTest):
    def test_token_is_shared_through_token_store(self):
        values, locked = {}, {}
        before = stats()["token_requests"]
        stores = [MemoryStore(values, locked) for _ in range(2)]
        clients = [AdminClient(**{**self.settings(), "token_cache": store}) for store in stores]
        for client in clients:
            client.clusters.list()
        self.assertEqual(stats()["token_requests"] - before, 1)
        self.assertEqual(locked, {})
        self.assertTrue(values)
        token = clients[0].token().encode()
        self.assertFalse(any(token in value for value in values.values()))
        # The store is released with its last client.
        released = weakref.ref(stores.pop())
        del client
        clients.pop().close()
        gc.collect()
        self.assertIsNone(released())
        clients[0].clusters.list()

    def test_description_of_token_store_is_checked(self):
        for described, kind, message in [
            (5, TypeError, "`TokenStore.describe`: int given; expected a str"),
            ("a\0b", ValueError, "`TokenStore.describe`: NUL character; expected a string without NUL characters"),
        ]:
            store = MemoryStore({}, {})
            store.describe = lambda: described
            with self.assertRaises(InvalidArgumentError) as raised:
                self.client(token_cache=store)
            self.assertIsInstance(raised.exception, kind)
            self.assertEqual(str(raised.exception), message)

    def test_call_succeeds_when_token_store_raises(self):
        for fault, message in [
            (lambda: OSError(errno.ENOSPC, "full"), f"OSError: [Errno {errno.ENOSPC}] full"),
            (lambda: OSError("without a number"), "OSError: without a number"),
            (ValueError, "ValueError"),
            (lambda: KeyError("of\0two\nlines \udcff"), r"KeyError: 'of\x00two\nlines \udcff'"),
            (lambda: RuntimeError("two\nlines"), "RuntimeError: two lines"),
        ]:
            store = MemoryStore({}, {})
            store.fails_with = fault
            with self.assertLogs("camunda_admin", "DEBUG") as logged, self.client(token_cache=store) as admin:
                admin.clusters.list()
                found = admin.diagnostics()["stores"]
            raised = {type(fault())} & {record.exc_info[0] for record in logged.records if record.exc_info}
            self.assertTrue(raised, logged.output)
            self.assertTrue(all(record.part.startswith("camunda_admin") for record in logged.records))
            [state] = [each for each in found if each["store"] == "a dictionary"]
            self.assertFalse(state["usable"])
            self.assertEqual(state["last_error"], message)
            warnings = [record.getMessage() for record in logged.records if record.levelname == "WARNING"]
            self.assertEqual(len(warnings), 1)
            self.assertRegex(warnings[0], '^token store failed, .* store="a dictionary" error="')
            self.assertIn(message.replace("\\", r"\\"), warnings[0])

    def test_failure_to_release_a_lock_is_logged(self):
        class Unreleased(MemoryStore):
            def try_lock(self, name, lease):
                release = super().try_lock(name, lease)

                def release_and_fail():
                    release()
                    raise RuntimeError("connection lost")

                return release and release_and_fail

        with self.assertLogs("camunda_admin", "WARNING") as logged:
            self.client(token_cache=Unreleased({}, {})).clusters.list()
        messages = {record.getMessage() for record in logged.records}
        self.assertEqual(messages, {"token store lock not released: error=\"RuntimeError: connection lost\""})

    def test_call_ends_when_token_store_raises_keyboard_interrupt(self):
        store = MemoryStore({}, {})
        store.fails_with = KeyboardInterrupt
        admin = self.client(token_cache=store)
        with self.assertRaises(KeyboardInterrupt):
            admin.clusters.list()
        store.fails_with = None
        admin.clusters.list()


class Speed(SandboxTest):
    def test_ten_thousand_clusters_are_decoded_in_time(self):
        admin = self.client()
        cluster = admin.request("GET", f"/clusters/{self.cluster()}")
        text = json.dumps([cluster] * 10_000).encode()

        class Listing(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Listing) as server:
            threading.Thread(target=server.handle_request).start()
            admin = self.client(base_url=f"http://127.0.0.1:{server.server_port}")
            started = time.process_time()
            clusters = admin.clusters.list()
            took = time.process_time() - started
        self.assertEqual(len(clusters), 10_000)
        self.assertEqual(clusters[-1].to_dict(), clusters[0].to_dict())
        # Generous, for slow machines and unoptimized builds.
        self.assertLess(took, 30)


if __name__ == "__main__":
    unittest.main()
