"""Tests of the client in a Python program: threads, signals, callbacks, logging, forks, and exits."""

import ctypes
import ctypes.util
import errno
import gc
import http.server
import io
import json
import logging
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import unittest
import warnings
import weakref
import zipfile
from pathlib import Path
from unittest import mock

import camunda_admin
from camunda_admin import AdminClient, CancelledError, InvalidArgumentError, NotFoundError, TokenStore, _connection
from camunda_admin._library import lib, library_name
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
            (lambda: OSError(errno.ENOSPC, "full"), "No space left"),
            (lambda: OSError("without a number"), "Input/output error"),
            (ValueError, "Input/output error"),
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
            self.assertIn(message, state["last_error"])

    def test_call_ends_when_token_store_raises_keyboard_interrupt(self):
        store = MemoryStore({}, {})
        store.fails_with = KeyboardInterrupt
        admin = self.client(token_cache=store)
        with self.assertRaises(KeyboardInterrupt):
            admin.clusters.list()
        store.fails_with = None
        admin.clusters.list()


def in_child(settings, cluster_id, results):
    with AdminClient(**settings) as admin:
        results.put((admin.cluster(cluster_id).get().uuid, admin.stats().token_requests))


class Processes(SandboxTest):
    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_forked_children_use_cached_token(self):
        settings = self.settings()
        admin = AdminClient(**settings)
        cluster_id = self.cluster()
        admin.cluster(cluster_id).get()
        before = stats()["token_requests"]
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        children = [
            context.Process(target=in_child, args=(settings, cluster_id, results))
            for _ in range(4)
        ]

        def with_client_of_parent():
            results.put((admin.cluster(cluster_id).get().uuid, 0))

        children.append(context.Process(target=with_client_of_parent))
        for child in children:
            child.start()
        found = [results.get(timeout=30) for _ in children]
        for child in children:
            child.join(timeout=30)
            self.assertEqual(child.exitcode, 0)
        self.assertEqual(found, [(cluster_id, 0)] * 5)
        self.assertEqual(stats()["token_requests"], before)
        admin.cluster(cluster_id).get()

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_forked_child_makes_calls_when_threads_of_parent_are_busy(self):
        admin = self.client()
        cluster_id = self.cluster()
        token = admin.token()
        before = stats()["token_requests"]
        stop = threading.Event()

        def keep_busy():
            while not stop.is_set():
                for _ in range(50):
                    admin.token()
                admin.diagnostics()

        threads = [threading.Thread(target=keep_busy) for _ in range(4)]
        for thread in threads:
            thread.start()
        statuses = []
        try:
            with warnings.catch_warnings():
                # Python 3.12 and later warn of each fork with several threads.
                warnings.simplefilter("ignore", DeprecationWarning)
                for _ in range(40):
                    child = os.fork()
                    if child == 0:
                        # A child that hangs is killed.
                        signal.alarm(30)
                        status = 1
                        try:
                            same = str(admin.token()) == str(token)
                            found = admin.cluster(cluster_id).get().uuid
                            status = 0 if same and found == cluster_id else 2
                        finally:
                            os._exit(status)
                    statuses.append(os.waitpid(child, 0)[1])
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(statuses, [0] * 40)
        self.assertEqual(stats()["token_requests"], before)

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_daemonized_child_keeps_its_descriptors(self):
        admin = self.client()
        cluster_id = self.cluster()
        admin.cluster(cluster_id).get()
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            status = 1
            try:
                os.closerange(3, 1000)
                opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(200)]
                admin.cluster(cluster_id).get()
                admin.close()
                for descriptor in opened:
                    os.fstat(descriptor)
                status = 0
            finally:
                os._exit(status)
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        admin.cluster(cluster_id).get()

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_forked_child_makes_calls_when_a_thread_of_parent_imports_what_calls_need(self):
        program = """
import os, signal, sys, threading, time, warnings
from importlib.machinery import PathFinder
from camunda_admin import AdminClient
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads, since Python 3.12
admin = AdminClient.from_env()
importing, forked = threading.Event(), threading.Event()
main = threading.get_ident()

def main_thread_imports():
    frame = sys._current_frames()[main]
    while frame is not None and "importlib" not in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None

class Finder:
    # Delays the import of a module until the main thread has forked, or waits for that import.
    @staticmethod
    def find_spec(name, path, *_):
        if name != sys.argv[1] or threading.get_ident() == main:
            return None
        spec = PathFinder.find_spec(name, path)
        run = spec.loader.exec_module
        def run_delayed(module):
            importing.set()
            while not forked.is_set() and not main_thread_imports():
                time.sleep(0.01)
            run(module)
        spec.loader.exec_module = run_delayed
        return spec

sys.meta_path.insert(0, Finder)
os.register_at_fork(after_in_parent=forked.set)
thread = threading.Thread(target=admin.clusters.list)
thread.start()
assert importing.wait(20)
child = os.fork()
if child == 0:
    signal.alarm(20)  # A child that hangs is killed.
    os._exit(7 if admin.clusters.list() else 1)
status = os.waitpid(child, 0)[1]
thread.join()
print("ended by signal" if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
"""
        self.cluster()
        for module in ("json", "camunda_admin._models"):
            with self.subTest(module):
                ran = self.run_python(program, module)
                self.assertEqual((ran.stdout, ran.stderr), ("7\n", ""))

    def test_call_in_forked_child_ends_on_ctrl_c(self):
        program = """
import os, signal, sys, threading, time
from camunda_admin import AdminClient
admin = AdminClient.from_env()
admin.token()
if os.fork():
    sys.exit(os.waitpid(-1, 0)[1] >> 8)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    admin.cluster(sys.argv[1]).get()
except KeyboardInterrupt:
    os._exit(7)
"""
        self.fault(GET, stall=True)
        ran = self.run_python(program, self.cluster())
        self.assertEqual((ran.returncode, ran.stderr), (7, ""))


class Exits(SandboxTest):
    """A program that ends during calls of its threads ends quickly, without output, with its exit status."""

    PRELUDE = """
import logging, os, signal, sys, threading, time
from camunda_admin import AdminClient, CamundaError, Cancel, TokenStore
cluster_id = sys.argv[1]
reached = threading.Semaphore(0)
def wait():
    admin.cluster(cluster_id).wait_until_healthy(max_poll_interval=0.02, progress=lambda _: reached.release())
def get():
    while True:
        admin.cluster(cluster_id).get()
        reached.release()
def start(work, daemon=True):
    threads = [threading.Thread(target=work, daemon=daemon) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert reached.acquire(timeout=20)
    return threads
"""

    def check_exit(self, program, status=7, stderr="", stdout="", rounds=2):
        cluster_id = self.cluster(name="stuck")
        control(status={"cluster": cluster_id, "ready": "Creating"})
        for _ in range(rounds):
            started = time.monotonic()
            ran = self.run_python(self.PRELUDE + program, cluster_id)
            self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (status, stdout, stderr))
            self.assertLess(time.monotonic() - started, 20)

    def test_sys_exit_with_daemon_threads_in_waits_has_its_own_status(self):
        self.check_exit("admin = AdminClient.from_env(); start(wait); sys.exit(7)")

    def test_end_of_program_after_with_has_status_zero(self):
        program = """
with AdminClient.from_env() as admin:
    start(wait)
"""
        self.check_exit(program, status=0)

    def test_sys_exit_with_debug_log_and_gets_has_its_own_status(self):
        program = """
logging.basicConfig(level=5, stream=open(os.devnull, "w"))
admin = AdminClient.from_env()
start(get)
sys.exit(7)
"""
        self.check_exit(program, rounds=4)

    def test_sys_exit_in_a_sigterm_handler_has_its_own_status(self):
        program = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
admin = AdminClient.from_env()
[thread, *_] = start(wait)
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
thread.join()
"""
        self.check_exit(program)

    def test_ctrl_c_during_a_join_ends_as_the_interpreter_does(self):
        program = """
admin = AdminClient.from_env()
[thread, *_] = start(wait)
try:
    threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    thread.join()
except KeyboardInterrupt:
    sys.exit(7)
"""
        self.check_exit(program)

    def test_second_ctrl_c_ends_a_program_that_joins_its_threads(self):
        # The signal is repeated until the interpreter stops waiting for the threads.
        program = """
admin = AdminClient.from_env()
threads = start(wait, daemon=False)
def interrupt():
    while True:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
try:
    threading.Thread(target=interrupt, daemon=True).start()
    threads[0].join()
except KeyboardInterrupt:
    pass
"""
        cluster_id = self.cluster(name="stuck")
        control(status={"cluster": cluster_id, "ready": "Creating"})
        ran = self.run_python(self.PRELUDE + program, cluster_id)
        self.assertIn("KeyboardInterrupt", ran.stderr)
        self.assertNotIn("camunda", ran.stderr)
        # The signal itself ends the process if it arrives after the interpreter removed its handlers.
        self.assertIn(ran.returncode, (0, 1, -signal.SIGINT))

    def test_non_daemon_thread_finishes_its_call_before_exit(self):
        program = """
admin = AdminClient.from_env()
def work():
    time.sleep(0.2)
    admin.cluster(cluster_id).get()
    print("completed", flush=True)
threading.Thread(target=work).start()
"""
        self.check_exit(program, status=0, stdout="completed\n")

    def test_atexit_handlers_can_make_calls(self):
        # A handler that is registered before the package is imported runs after that of the package.
        program = """
import atexit
atexit.register(lambda: print("late", admin.cluster(cluster_id).get().name, flush=True))
""" + self.PRELUDE + """
admin = AdminClient.from_env()
atexit.register(lambda: print("early", admin.cluster(cluster_id).get().name, flush=True))
start(wait)
sys.exit(7)
"""
        cluster_id = self.cluster(name="stuck")
        control(status={"cluster": cluster_id, "ready": "Creating"})
        ran = self.run_python(program, cluster_id)
        expected = (7, "early stuck\nlate stuck\n", "")
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), expected)

    def test_call_after_exit_ends_its_thread_without_output(self):
        # A handler that is registered before the package is imported runs after that of the package.
        program = """
import atexit, sys, threading
ended = []
def join():
    for thread in threads:
        thread.join(20)
    print(len(ended), flush=True)
atexit.register(join)
""" + self.PRELUDE + """
admin = AdminClient.from_env()
def retry():
    while True:
        try:
            get()
        except CamundaError as error:
            print("not ended", error, flush=True)
        except SystemExit:
            ended.append(1)
            raise
threads = start(retry)
sys.exit(7)
"""
        cluster_id = self.cluster(name="stuck")
        ran = self.run_python(program, cluster_id)
        self.assertEqual((ran.returncode, ran.stdout, ran.stderr), (7, "4\n", ""))

    def test_exit_is_delayed_briefly_by_callback_that_does_not_return(self):
        program = """
admin = AdminClient.from_env()
def stay(_):
    reached.release()
    time.sleep(60)
start(lambda: admin.cluster(cluster_id).wait_until_healthy(progress=stay))
sys.exit(7)
"""
        self.check_exit(program, rounds=1)

    def test_exit_with_token_store_in_python_has_its_own_status(self):
        program = """
class Store(TokenStore):
    def __init__(self):
        self.values, self.locked = {}, {}
    def get(self, name):
        return self.values.get(name)
    def put(self, name, value, ttl):
        self.values[name] = value
    def try_lock(self, name, lease):
        if self.locked.setdefault(name, self) is not self:
            return None
        return lambda: self.locked.pop(name)
settings = {key: os.environ["CAMUNDA_CONSOLE_" + key.upper()] for key in ("client_id", "client_secret", "base_url")}
admin = AdminClient(oauth_url=os.environ["CAMUNDA_OAUTH_URL"], token_cache=Store(), **settings)
def invalidate():
    while True:
        try:
            admin.invalidate_tokens()
            reached.release()
        except CamundaError as error:
            print(error)
start(invalidate)
sys.exit(7)
"""
        self.check_exit(program)

    @unittest.skipUnless(hasattr(os, "fork"), "needs fork")
    def test_forked_child_exits_without_waiting_for_threads_of_parent(self):
        program = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads, since Python 3.12
admin = AdminClient.from_env()
start(wait)
def child_takes():
    child = os.fork()
    if child == 0:
        admin.cluster(cluster_id).get()
        sys.exit(5)
    began = time.monotonic()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5
    return time.monotonic() - began
# A loaded machine may delay some.
assert any(child_takes() < 1.5 for _ in range(10))
sys.exit(7)
"""
        self.check_exit(program)


class Loading(SandboxTest):
    def test_import_error_names_library_that_is_not_valid(self):
        program = "import os; os.environ['CAMUNDA_ADMIN_LIBRARY'] = {!r}; import camunda_admin"
        for path, message in [
            ("/nowhere/libcamunda_admin.so", "CAMUNDA_ADMIN_LIBRARY"),
            (ctypes.util.find_library("m") or "libm.so.6", "is not libcamunda_admin"),
        ]:
            ran = self.run_python(program.format(path))
            self.assertIn("ImportError", ran.stderr)
            self.assertIn(message, ran.stderr)

    def test_import_from_a_zip_archive_names_the_variable(self):
        archive = self.folder / "packages.zip"
        package = Path(camunda_admin.__file__).parent
        with zipfile.ZipFile(archive, "w") as packages:
            for module in package.glob("*.py"):
                packages.write(module, f"camunda_admin/{module.name}")
        program = f"import sys; sys.path.insert(0, {str(archive)!r}); import camunda_admin"
        ran = self.run_python(program)
        self.assertIn("do not import it from a zip archive", ran.stderr)
        self.assertIn("CAMUNDA_ADMIN_LIBRARY", ran.stderr)
        ran = self.run_python(program, CAMUNDA_ADMIN_LIBRARY=str(package / library_name()))
        self.assertEqual(ran.returncode, 0, ran.stderr)

    def test_import_error_reports_different_abi_version(self):
        program = """
import importlib.util, sys, types
spec = importlib.util.find_spec("camunda_admin")
package = types.ModuleType("camunda_admin")
package.__path__ = spec.submodule_search_locations
sys.modules["camunda_admin"] = package
from camunda_admin import _prototypes
_prototypes.CAMUNDA_ABI_VERSION += 1
from camunda_admin import _library
"""
        ran = self.run_python(program)
        self.assertIn("ImportError", ran.stderr)
        self.assertIn("install both from the same source", ran.stderr)

    def test_program_ends_without_output_when_clients_are_not_closed(self):
        # The program ends with open clients and an unused response.
        program = """
from camunda_admin import AdminClient, Cancel
admin = AdminClient.from_env()
clients = [admin.with_options(cancel=Cancel(), timeout=5) for _ in range(3)]
clusters = admin.clusters.list()
"""
        ran = self.run_python(program)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))


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
