"""Tests of processes with clients: loading the library, forks, and exits."""

import ctypes.util
import multiprocessing
import os
import signal
import threading
import time
import unittest
import warnings
import zipfile
from pathlib import Path

import camunda_admin
from camunda_admin import AdminClient
from camunda_admin._library import library_name
from support import SandboxTest, control, stats

GET = "GET /clusters/{clusterUuid}"


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


if __name__ == "__main__":
    unittest.main()
